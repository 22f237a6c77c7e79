//! What readers are told, on hand-made bulletins and on a small world that changes.

use super::*;
use stele_common::Liveness;
use stele_common::config::RepairKnobs;
use stele_coordinator_rules::sample::Sample;
use stele_coordinator_rules::{Change, World};

fn line(text: &str) -> lines::Line {
    lines::Line { topic: Topic::Nodes, kind: "node_turned", subject: "node 1".into(), text: text.into() }
}

fn told(news: News) -> (Vec<Topic>, Vec<String>) {
    match news {
        News::Changed(message) => (message.changed, message.happened.into_iter().map(|line| line.text).collect()),
        other => panic!("{other:?}"),
    }
}

/// A reader is told each topic that changed since it looked, once, and the lines of that time in order.
#[test]
fn what_is_new() {
    let mut bulletin = Bulletin { epoch: 3, ..Bulletin::default() };
    let start = bulletin.mark();
    assert_eq!(bulletin.since(start), News::Nothing);
    bulletin.take([], vec![], 0);
    assert_eq!(bulletin.mark(), start, "nothing happened");
    bulletin.take([Topic::Nodes, Topic::Tasks], vec![line("a")], 1);
    let middle = bulletin.mark();
    bulletin.take([Topic::Tasks], vec![line("b"), line("c")], 2);
    let all = (vec![Topic::Nodes, Topic::Tasks], vec!["a".into(), "b".into(), "c".into()]);
    assert_eq!(told(bulletin.since(start)), all);
    assert_eq!(told(bulletin.since(middle)), (vec![Topic::Tasks], vec!["b".into(), "c".into()]));
    assert_eq!(bulletin.since(bulletin.mark()), News::Nothing);
    let recent: Vec<u64> = bulletin.recent(Some(3)).map(|line| line.number).collect();
    assert_eq!(recent, [2, 1]);
}

/// Another epoch, a mark that we never gave, or more than can be told: everything is to be read again.
#[test]
fn resets() {
    let mut bulletin = Bulletin { epoch: 3, ..Bulletin::default() };
    let start = bulletin.mark();
    let of = |epoch, revision| Mark { epoch, revision };
    for strange in [of(2, 0), of(4, 0), of(3, 9), of(u64::MAX, u64::MAX)] {
        let News::Reset(message) = bulletin.since(strange) else { panic!("{strange:?}") };
        assert_eq!(message.changed, Topic::ALL);
    }
    bulletin.take([Topic::Nodes], (0..TOLD_MAX).map(|n| line(&n.to_string())).collect(), 0);
    assert_eq!(told(bulletin.since(start)).1.len(), TOLD_MAX);
    let later = bulletin.mark();
    bulletin.take([Topic::Nodes], vec![line("one too many")], 0);
    assert!(matches!(bulletin.since(start), News::Reset(_)));
    assert_eq!(told(bulletin.since(later)).1, ["one too many"]);
    for _ in 0..LINES_MAX {
        bulletin.take([Topic::Nodes], vec![line("more")], 0);
    }
    assert_eq!(bulletin.lines.len(), LINES_MAX, "old lines go");
    assert!(matches!(bulletin.since(later), News::Reset(_)));
}

fn published(world: &World, number: u64, at: Tick) -> Arc<Published> {
    Arc::new(Published { world: Arc::new(world.clone()), at, wall_ms: 1_000, number })
}

/// A node that dies is told of with its effect; a snapshot that shows nothing new tells nothing; an epoch begins anew.
#[test]
fn a_world_that_changes() {
    let mut sample = Sample::new(4, 1);
    let tablets = sample.table(3, 2);
    tablets.iter().for_each(|tablet| _ = sample.load_all(*tablet));
    let (tally, mut keeper) = (TallyCell::default(), Keeper::default());
    keeper.look(published(&sample.world, 1, sample.at), &tally, sample.at);
    let start = keeper.bulletin.mark();
    keeper.look(published(&sample.world, 2, sample.at), &tally, sample.at);
    assert_eq!(keeper.bulletin.since(start), News::Nothing);

    let node = sample.world.tablets.iter().next().unwrap().replicas[0].node;
    sample.apply(Change::NodeLive { node, liveness: Liveness::Lost, at: sample.at });
    keeper.look(published(&sample.world, 3, sample.at), &tally, sample.at);
    let (changed, lines) = told(keeper.bulletin.since(start));
    assert!(changed.contains(&Topic::Nodes) && changed.contains(&Topic::Health), "{changed:?}");
    assert!(!changed.contains(&Topic::Tables) && !changed.contains(&Topic::Plans), "{changed:?}");
    assert!(lines.iter().any(|line| line.contains("counts as lost")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("node_lost: ")), "{lines:?}");

    let mut next = World::empty(Arc::new(RepairKnobs::default()));
    next.epoch = stele_common::Epoch(sample.world.epoch.0 + 1);
    keeper.look(published(&next, 1, Tick(0)), &tally, Tick(0));
    assert_eq!(keeper.bulletin.epoch, next.epoch.0);
    assert!(matches!(keeper.bulletin.since(start), News::Reset(_)));
}

/// Each kind of change touches its own topics.
#[test]
fn topics() {
    let mut sample = Sample::new(4, 1);
    let tablets = sample.table(3, 1);
    let before = sample.world.clone();
    assert!(compare::topics(&before, &before).is_empty());
    sample.load_all(tablets[0]);
    let changed = compare::topics(&before, &sample.world);
    assert!(changed.contains(&Topic::Tablets), "{changed:?}");
    assert!(!changed.contains(&Topic::Nodes) && !changed.contains(&Topic::Level), "{changed:?}");
}
