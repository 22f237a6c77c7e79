//! Moves for evenness: when the planner is asked, what holds everything back, what a move comes to.

use super::house::{House, drain};
use super::*;
use crate::balance::moves::{Move, Scope, Why, next_moves};
use crate::plans::{Plan, Step};
use crate::world::Replica;
use std::collections::VecDeque;
use std::sync::Arc;
use stele_common::api::{PlanState, PlanWhat};
use stele_common::status::Level;
use stele_common::{DiskId, Fact};

/// Nothing is held back by the grace of a leadership.
fn knobs(sample: &mut Sample) {
    let knobs = Arc::make_mut(&mut sample.world.knobs);
    (knobs.balance_threshold, knobs.lost_ms, knobs.storage_headroom_bytes) = (0.1, 10_000, 0);
    sample.at = sample.world.began.plus(20_000);
}

/// Four hosts of one disk each; the replicas of `tablets` tablets of one copy stand on the first, half of its space.
fn heavy(tablets: u32) -> (Shop, Vec<TabletId>, Vec<DiskId>) {
    let (mut shop, ids) = Shop::new(4, 1, 0);
    assert!(ids.is_empty());
    let ids = shop.sample.table(1, tablets);
    let disks: Vec<DiskId> = shop.sample.world.disks.keys().copied().collect();
    for id in &ids {
        _ = shop.sample.load_all(*id);
        stand(&mut shop.sample, *id, disks[0]);
    }
    fill(&mut shop.sample, &disks);
    knobs(&mut shop.sample);
    (shop, ids, disks)
}

/// The only replica of the tablet stands there.
fn stand(sample: &mut Sample, tablet: TabletId, disk: DiskId) {
    let (node, replica) = (sample.world.disks[&disk].node, sample.replicas(tablet)[0]);
    sample.apply(Change::ReplicaMoved { tablet, replica, node, disk });
    let version = sample.tablet(tablet).committed;
    sample.see(tablet, replica, version);
}

/// Disks are filled by what stands on them; half of one disk is all of it together.
fn fill(sample: &mut Sample, disks: &[DiskId]) {
    let bytes = |replica: &Replica| replica.seen.as_ref().map_or(0, |seen| seen.size);
    let all: u64 = sample.world.tablets.iter().flat_map(|tablet| &tablet.replicas).map(bytes).sum();
    for disk in disks {
        let here = sample.world.tablets.iter().flat_map(|tablet| &tablet.replicas).filter(|r| r.disk == *disk);
        let used = here.map(bytes).sum();
        sample.fill(*disk, used, all * 2);
    }
}

fn asks(actions: &[DeskAction]) -> bool {
    actions.iter().any(|action| matches!(action, DeskAction::AskMoves { .. }))
}

fn planned(shop: &Shop) -> Result<Vec<Move>, Reason> {
    next_moves(&shop.sample.world, &Scope::all(shop.sample.at), 100)
}

fn idle(shop: &Shop) -> Option<&'static str> {
    shop.desk.balancing().idle().map(Reason::code)
}

/// The planner is asked when nothing is in the way, once; its batch is granted by the slots of balance at both ends, and
/// the next one is asked for when the last of it has ended and its effects are known.
#[test]
fn a_batch_from_question_to_end() {
    let (mut shop, ..) = heavy(8);
    assert!(asks(&shop.step(DeskEvent::Round)), "at rest");
    assert!(!asks(&shop.step(DeskEvent::Round)), "it is thinking");
    let moves = planned(&shop).expect("one disk has everything");
    assert!(moves.len() >= 5, "{moves:?}");
    shop.step(DeskEvent::Moves(moves.clone().into()));
    let first = proposals(shop.step(DeskEvent::Round));
    assert_eq!(first.len(), 2, "balance_slot_num_per_path at the source: {first:?}");
    assert_eq!(shop.desk.balancing().waiting().count(), moves.len() - 2);
    first.iter().for_each(|proposal| shop.accept(proposal));
    let mut done = 0;
    let is_move = |task: &Task| task.task_type == TaskType::Balance;
    while !shop.sample.world.tasks.is_empty() {
        let running: Vec<TabletId> = shop.sample.world.tasks.keys().copied().collect();
        for tablet in running {
            done += u64::from(is_move(&shop.sample.world.tasks[&tablet]));
            shop.finish(tablet);
        }
        shop.pass(1_000);
        let actions = shop.step(DeskEvent::Round);
        let more = proposals(actions);
        more.iter().for_each(|proposal| shop.accept(proposal));
    }
    assert!(done >= 5, "{done} moved");
    assert_eq!(shop.desk.balancing().done.moves, done);
    shop.pass(30_000);
    assert!(asks(&shop.step(DeskEvent::Round)));
}

/// A move that evens nothing any more when its turn comes is dropped, with the reason.
#[test]
fn tested_again_at_the_grant() {
    let (mut shop, _, disks) = heavy(4);
    shop.step(DeskEvent::Round);
    let moves = planned(&shop).expect("one disk has everything");
    shop.step(DeskEvent::Moves(moves.into()));
    // Something else has filled the others meanwhile.
    let full = shop.sample.world.disks[&disks[0]].space;
    disks[1..].iter().for_each(|disk| shop.sample.fill(*disk, full.used, full.total));
    let actions = shop.step(DeskEvent::Round);
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, DeskAction::Explain { reason, .. } if reason.code() == "not_worth")),
        "{actions:?}"
    );
    assert_eq!((proposals(actions).len(), shop.desk.balancing().waiting().count()), (0, 0));
}

/// A plan's first steps may have become impossible: those behind them have their turn all the same, at level STEADY too.
#[test]
fn a_plan_goes_on_behind_what_is_refused() {
    let (mut shop, ids, disks) = heavy(6);
    let all = shop.sample.world.disks[&disks[0]].space.total;
    shop.sample.fill(disks[3], all, all);
    let step = |shop: &Shop, tablet: TabletId, to: DiskId| {
        let replica = &shop.sample.tablet(tablet).replicas[0];
        let (node, bytes) = (shop.sample.world.disks[&to].node, replica.seen.as_ref().map_or(0, |seen| seen.size));
        let (from_node, from) = (replica.node, replica.disk);
        let (replica, why) = (replica.id, Why::Usage);
        Step::of_move(&Move { tablet, replica, from_node, from, to_node: node, to, bytes, why })
    };
    let steps = [(0, 3), (1, 3), (2, 1), (3, 2)].map(|(tablet, disk)| step(&shop, ids[tablet], disks[disk]));
    let plan = Plan {
        id: 1,
        what: PlanWhat::Balance { tables: Vec::new() },
        owner: String::new(),
        reason: String::new(),
        made_wall_ms: 0,
        ended_wall_ms: None,
        state: PlanState::Running,
        cause: None,
        steps: Arc::new(steps.to_vec()),
        price: Default::default(),
        base: Default::default(),
    };
    shop.sample.apply(Change::PlanKept { plan: Arc::new(plan) });
    Arc::make_mut(&mut shop.sample.world.knobs).max_balancing_tablets = 2;
    Arc::make_mut(&mut shop.sample.world.settings).level.level = Level::Steady;
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.extend(proposals(shop.step(DeskEvent::Round)));
        shop.pass(25_000);
    }
    let moved: Vec<TabletId> = begun.iter().map(Proposal::tablet).collect();
    assert!(moved.contains(&ids[2]) && moved.contains(&ids[3]), "{begun:?}");
    assert!(!moved.contains(&ids[0]) && !moved.contains(&ids[1]), "a full disk takes nothing: {begun:?}");
}

/// Level, knob, the grace of a new leadership and repair hold balance back, each with its reason; what waits is dropped,
/// at once or when repair goes on for long.
#[test]
fn what_holds_it_back() {
    type Case = (&'static str, fn(&mut Shop));
    let cases: [Case; 4] = [
        ("level_forbids", |shop| shop.sample.apply(Change::LevelTurned { level: Level::Steady, cause: None })),
        ("balance_disabled", |shop| Arc::make_mut(&mut shop.sample.world.knobs).disable_balance = true),
        ("balance_too_early", |shop| shop.sample.at = shop.sample.world.began.plus(1)),
        ("repairs_first", |shop| {
            let tablet = shop.sample.table(3, 1)[0];
            shop.sample.load_all(tablet);
            let bad = shop.sample.replicas(tablet)[0];
            shop.sample.bad(tablet, bad);
        }),
    ];
    for (code, arrange) in cases {
        let (mut shop, ..) = heavy(4);
        shop.step(DeskEvent::Round);
        let moves = planned(&shop).expect("one disk has everything");
        shop.step(DeskEvent::Moves(moves.into()));
        arrange(&mut shop);
        let proposed = shop.round();
        assert!(proposed.iter().all(|proposal| !matches!(proposal, Proposal::Move { .. })), "{code}: {proposed:?}");
        let waiting = shop.desk.balancing().waiting().count();
        assert_eq!(waiting > 0, code == "repairs_first", "{code}");
        shop.pass(20_000);
        shop.round();
        assert_eq!((idle(&shop), shop.desk.balancing().waiting().count()), (Some(code), 0));
    }
}

/// A repair that is soon over costs balance no batch, and a tablet that is behind because it is being loaded is none.
#[test]
fn brief_repairs_and_loads() {
    let (mut shop, ..) = heavy(4);
    let tablet = shop.sample.table(3, 1)[0];
    shop.sample.load_all(tablet);
    shop.step(DeskEvent::Round);
    let moves = planned(&shop).expect("one disk has everything");
    shop.step(DeskEvent::Moves(moves.into()));
    let bad = shop.sample.replicas(tablet)[0];
    let good = shop.sample.world.clone();
    shop.sample.bad(tablet, bad);
    assert!(shop.round().iter().all(|proposal| !matches!(proposal, Proposal::Move { .. })));
    assert_eq!(idle(&shop), Some("repairs_first"));
    shop.sample.world = good;
    shop.pass(1_000);
    let begun = shop.round();
    assert!(begun.iter().any(|proposal| matches!(proposal, Proposal::Move { .. })), "{begun:?}");
    assert_eq!(idle(&shop), Some("balance_looks"));
    let replicas = shop.sample.replicas(tablet);
    shop.sample.load(tablet, &replicas[..2]);
    for (ms, expected) in [(0, "balance_looks"), (9_000, "balance_looks"), (1_000, "repairs_first")] {
        shop.pass(ms);
        shop.round();
        assert_eq!(idle(&shop), Some(expected), "{ms}");
    }
}

/// What cannot be repaired as things are holds nothing back: a move may make the room that it waits for.
#[test]
fn a_refused_repair_does_not_block() {
    let (mut shop, _, _) = heavy(8);
    let tablet = shop.sample.table(4, 1)[0];
    shop.sample.load_all(tablet);
    let node = shop.sample.replica(tablet, shop.sample.replicas(tablet)[3]).node;
    drain(&mut shop.sample, node);
    for _ in 0..3 {
        shop.round();
        shop.pass(100);
    }
    assert!(shop.desk.entry(tablet).is_some_and(|entry| entry.reason.is_some()), "no fifth host");
    assert_eq!(idle(&shop), None);
}

/// Two disks that differ by a tenth, and every copy is larger than half of that: 150 + 150 + 100 and 3 x 100 of 1000.
fn huge() -> (Shop, Vec<TabletId>, Vec<DiskId>) {
    let (mut shop, _) = Shop::new(2, 1, 0);
    let ids = shop.sample.table(1, 6);
    let disks: Vec<DiskId> = shop.sample.world.disks.keys().copied().collect();
    for (index, id) in ids.iter().enumerate() {
        _ = shop.sample.load_all(*id);
        stand(&mut shop.sample, *id, disks[index / 3]);
    }
    weigh(&mut shop.sample, &ids, &disks);
    knobs(&mut shop.sample);
    (shop, ids, disks)
}

/// The agents tell how large everything is.
fn weigh(sample: &mut Sample, ids: &[TabletId], disks: &[DiskId]) {
    let size = |index: usize| if index < 2 { 150 } else { 100 };
    ids.iter().enumerate().for_each(|(index, id)| sample.resize(*id, size(index)));
    for disk in disks {
        let here = ids.iter().enumerate().map(|(index, id)| {
            let replicas = sample.tablet(*id).replicas.iter();
            replicas.filter(|replica| replica.disk == *disk).count() as u64 * size(index)
        });
        let used = here.sum();
        sample.fill(*disk, used, 1_000);
    }
}

/// Of an exchange the second half is proposed when the first is on record; without the first it is not worth it.
#[test]
fn the_second_half_waits_for_the_first() {
    for is_refused in [false, true] {
        let (mut shop, ..) = huge();
        shop.step(DeskEvent::Round);
        let moves = planned(&shop).expect("they differ by the threshold");
        let second = (moves[1].tablet, moves[1].replica);
        assert_eq!((moves.len(), moves[0].why), (2, Why::Exchange { tablet: second.0, replica: second.1 }));
        shop.step(DeskEvent::Moves(moves.into()));
        let first = proposals(shop.step(DeskEvent::Round));
        assert_eq!((first.len(), shop.desk.balancing().waiting().count()), (1, 1), "{first:?}");
        if is_refused {
            let (tablet, answer) = (first[0].tablet(), Err(Reason::BalanceDisabled));
            shop.step(DeskEvent::Answered { tablet, answer });
        } else {
            shop.accept(&first[0]);
        }
        let actions = shop.step(DeskEvent::Round);
        let is_told =
            |action: &DeskAction| matches!(action, DeskAction::Explain { reason, .. } if reason.code() == "not_worth");
        assert_eq!(actions.iter().any(is_told), is_refused, "{actions:?}");
        assert!(proposals(actions).is_empty(), "it comes when the first has landed");
        assert_eq!(shop.desk.balancing().waiting().count(), usize::from(!is_refused));
    }
}

/// With the real Catalog, and one slot: the exchange is carried out, and the disks are even without anything turning back.
#[test]
fn two_change_places() {
    let (shop, ids, disks) = huge();
    let mut house = House::of(shop.sample);
    Arc::make_mut(&mut house.sample().world.knobs).balance_slot_num_per_path = 1;
    let mut moved = Vec::new();
    for _ in 0..120 {
        let moves = house.lives(1).into_iter().filter_map(|proposal| match proposal {
            Proposal::Move { mv, .. } => Some((mv.bytes, mv.from)),
            Proposal::Clone { .. } | Proposal::Delete { .. } | Proposal::Cancel { .. } | Proposal::Turn(_) => None,
        });
        moved.extend(moves);
        weigh(house.sample(), &ids, &disks);
    }
    assert_eq!(moved, [(150, disks[0]), (100, disks[1])]);
    assert_eq!(disks.iter().map(|disk| house.play.world().disks[disk].space.used).collect::<Vec<_>>(), [350, 350]);
    assert_eq!(house.desk.balancing().idle().map(Reason::code), Some("balance_idle"));
}

/// With the real Catalog: moves land, what they replace leaves, the tablet is HEALTHY all the time, and in the end the
/// disks are even and nothing is asked for any more.
#[test]
fn from_heavy_to_even() {
    let (shop, ids, disks) = heavy(8);
    let mut house = House::of(shop.sample);
    Arc::make_mut(&mut house.sample().world.knobs).balance_slot_num_per_path = 2;
    let mut left: BTreeSet<(TabletId, DiskId)> = BTreeSet::new();
    for _ in 0..120 {
        for proposal in house.lives(1) {
            if let Proposal::Move { mv, .. } = proposal {
                assert!(!left.contains(&(mv.tablet, mv.to)), "{mv:?} turns back");
                left.insert((mv.tablet, mv.from));
            }
        }
        for id in &ids {
            let found = verdict(house.play.world(), house.play.sample.tablet(*id), house.play.sample.at);
            assert_eq!(found.status, TabletStatus::Healthy, "{id}");
        }
        fill(house.sample(), &disks);
    }
    assert!(left.len() >= 6, "two of eight on each: {left:?}");
    assert_eq!(house.desk.balancing().idle().map(Reason::code), Some("balance_idle"));
    for disk in &disks {
        let here = house.play.world().tablets.iter().filter(|tablet| tablet.replicas[0].disk == *disk);
        assert_eq!(here.count(), 2);
    }
}

/// The coordinator dies and comes back; every agent connects anew and reports what it holds.
fn begin_again(house: &mut House) {
    let held: Vec<(TabletId, Replica)> = house
        .play
        .world()
        .tablets
        .iter()
        .flat_map(|tablet| {
            let held = tablet.replicas.iter().filter(|replica| replica.seen.is_some());
            held.map(|replica| (tablet.id, replica.clone())).collect::<Vec<_>>()
        })
        .collect();
    let spaces: Vec<(DiskId, u64, u64)> =
        house.play.world().disks.values().map(|disk| (disk.id, disk.space.used, disk.space.total)).collect();
    house.play.restarts();
    (house.desk, house.inbox) = (Desk::new(), VecDeque::new());
    let nodes = house.play.sample.nodes();
    for node in nodes {
        house.play.returns(node, 90_000 + node.0);
        let facts = held
            .iter()
            .filter(|(_, replica)| replica.node == node)
            .map(|(tablet, replica)| Fact::Replica(house.play.fact(*tablet, replica.id, replica.version.0)));
        let facts = facts.collect();
        house.play.full(node, facts);
    }
    spaces.into_iter().for_each(|(disk, used, total)| house.sample().fill(disk, used, total));
}

/// Whatever ends between landing and deletion, it is the old one that leaves: no evidence comes, the deletion is called
/// off and asked for again, the coordinator starts anew at any second of that, and still the move is finished and not
/// turned around.
#[test]
fn a_restart_between_landing_and_deletion() {
    for second in 4..18 {
        let (shop, ids, disks) = heavy(2);
        let mut house = House::of(shop.sample);
        house.mute = true;
        house.lives(second);
        let has_landed = |id: &TabletId| {
            let replicas = &house.play.sample.tablet(*id).replicas;
            replicas.iter().any(|replica| replica.disk != disks[0] && replica.state == ReplicaState::Normal)
        };
        let landed: Vec<TabletId> = ids.iter().copied().filter(has_landed).collect();
        let [tablet] = landed[..] else { panic!("one of two moves, in second {second}: {landed:?}") };
        let old = house.play.sample.replicas(tablet)[0];
        assert_eq!(house.play.sample.tablet(tablet).replicas.len(), 2, "no evidence has come");
        fill(house.sample(), &disks);
        begin_again(&mut house);
        house.mute = false;
        let mut proposed = Vec::new();
        for _ in 0..60 {
            proposed.extend(house.lives(1));
            fill(house.sample(), &disks);
        }
        let standing = &house.play.sample.tablet(tablet).replicas;
        assert!(standing.len() == 1 && standing[0].id != old && standing[0].disk != disks[0], "{standing:?}");
        let is_move = |proposal: &&Proposal| matches!(proposal, Proposal::Move { .. });
        assert_eq!(proposed.iter().find(is_move), None, "restart in second {second}");
    }
}
