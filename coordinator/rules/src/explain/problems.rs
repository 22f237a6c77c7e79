//! What is wrong with the cluster: cause, effect, and what helps. Decides nothing.
//!
//! In: the world and the time. Out: problems, worst first; empty when all is well. One kind that concerns many tablets
//! is named for the first few and then summed up, so that the list stays readable.

use crate::checkup::count::Flaw;
use crate::checkup::verdict::{rung, verdict_on};
use crate::checkup::{Counts, Verdict, count};
use crate::evacuation::progress::stuck;
use crate::evacuation::proof::subject;
use crate::reason_text::size;
use crate::world::{Disk, Drain, Leaver, Node, Tablet};
use crate::{Reason, World, level};
use std::collections::BTreeMap;
use stele_common::api::Problem;
use stele_common::status::Level;
use stele_common::{DiskState, Liveness, NodeId, TabletStatus, Tick, Version};

/// Problems of one kind that are named one by one.
const NAMED_MAX: usize = 20;

/// Everything that is wrong, worst first.
pub fn problems(world: &World, at: Tick) -> Vec<Problem> {
    let mut problems = Problems::default();
    for tablet in world.tablets.iter() {
        let counts = count(world, tablet);
        let verdict = verdict_on(world, tablet, &counts, at);
        problems.add(world, tablet, &counts, verdict, at);
    }
    problems.shown(world, at)
}

/// What is wrong with tablets, gathered while somebody walks over them.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    lost: Named,
    bad: Named,
    /// Copies on lost nodes whose tablets still miss them, by node.
    missed: BTreeMap<NodeId, u64>,
    ill: BTreeMap<TabletStatus, (u64, String)>,
}

/// The first few, and how many there are.
#[derive(Clone, Debug, Default)]
struct Named {
    first: Vec<Problem>,
    count: u64,
}

impl Named {
    fn add(&mut self, problem: impl FnOnce() -> Problem) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(problem());
        }
    }
}

impl Problems {
    /// One more tablet, counted and judged.
    pub fn add(&mut self, world: &World, tablet: &Tablet, counts: &Counts, verdict: Verdict, at: Tick) {
        for replica in &tablet.replicas {
            if let Some(cause) = &replica.bad {
                self.bad.add(|| of_bad(tablet, replica, cause));
            }
        }
        if verdict.status != TabletStatus::Healthy {
            let lost = |node: &NodeId| world.nodes.get(node).is_some_and(|node| node.liveness == Liveness::Lost);
            for node in tablet.replicas.iter().map(|replica| replica.node).filter(lost) {
                *self.missed.entry(node).or_default() += 1;
            }
        }
        match verdict.status {
            TabletStatus::Healthy => {}
            TabletStatus::Unrecoverable if is_only_unheard(world, tablet, counts, at) => {}
            TabletStatus::Unrecoverable => self.lost.add(|| of_unrecoverable(world, tablet, verdict)),
            TabletStatus::ForceRedundant
            | TabletStatus::NeedFurtherRepair
            | TabletStatus::ReplicaMissing
            | TabletStatus::VersionIncomplete
            | TabletStatus::ReplicaRelocating
            | TabletStatus::ReplicaMissingInCluster
            | TabletStatus::DiskMigration
            | TabletStatus::ColocateMismatch
            | TabletStatus::ColocateRedundant
            | TabletStatus::Redundant => {
                let known = self.ill.entry(verdict.status).or_insert_with(|| (0, tablet.id.to_string()));
                known.0 += 1;
            }
        }
    }

    /// All of them with what is wrong with the rest of the cluster, worst first.
    pub fn shown(self, world: &World, at: Tick) -> Vec<Problem> {
        let mut found: Vec<Problem> = of_level(world).into_iter().collect();
        found.extend(bounded(self.lost, "tablet_unrecoverable", "tablets"));
        found.extend(
            world.nodes.values().filter_map(|node| of_node(world, node, self.missed.get(&node.id).copied(), at)),
        );
        found.extend(world.disks.values().filter_map(|disk| of_disk(world, disk)));
        found.extend(world.drains.values().filter_map(|drain| of_drain(world, drain, at)));
        found.extend(bounded(self.bad, "replica_bad", "replicas"));
        found.extend(self.ill.into_iter().map(|(status, (tablets, first))| summary(status, tablets, &first)));
        found
    }
}

fn of_level(world: &World) -> Option<Problem> {
    let effect = match level::in_force(world) {
        Level::Stopped => "nothing is received and nothing decided",
        Level::Blind => "reports are read, nothing is ordered: no load, no repair, no deletion",
        Level::Freezed => "loads go on, nothing is repaired",
        Level::Steady | Level::Lively => return None,
    };
    let cause = level::cause(world);
    Some(Problem {
        code: format!("level_{}", level::in_force(world).as_str().to_lowercase()),
        subject: "cluster".into(),
        cause: cause.as_ref().map_or("an operator set it".into(), Reason::detail),
        effect: effect.into(),
        next: cause.and_then(|cause| cause.next()).unwrap_or_else(|| "raise the level when it is safe".into()),
    })
}

fn of_node(world: &World, node: &Node, missed: Option<u64>, at: Tick) -> Option<Problem> {
    let (code, state) = match node.liveness {
        Liveness::Alive => return None,
        // Everybody is unheard at first.
        Liveness::Silent if at.since(world.began) < world.knobs.lost_ms => return None,
        Liveness::Silent => ("node_silent", "silent"),
        Liveness::Lost => ("node_lost", "lost"),
    };
    let effect = match (node.liveness, missed) {
        (Liveness::Lost, None) => "its replicas have been replaced: no tablet waits for it".to_string(),
        (Liveness::Lost, Some(missed)) => {
            let tablets =
                if missed == 1 { "1 tablet misses its".into() } else { format!("{missed} tablets miss their") };
            format!("{tablets} copy there; new ones are made as soon as its return has been waited for long enough")
        }
        (Liveness::Silent | Liveness::Alive, _) => {
            "its replicas do not count; they are replaced when its return has been waited for long enough".to_string()
        }
    };
    let seconds = at.since(node.since.max(world.began)) / 1000;
    Some(Problem {
        code: code.into(),
        subject: format!("node {}", node.id),
        cause: format!("agent `{}` on host {} has been {state} for {seconds} s", node.name, node.host),
        effect,
        next: format!("start the agent on host {} again, or repair the host", node.host),
    })
}

fn of_disk(world: &World, disk: &Disk) -> Option<Problem> {
    let node = world.nodes.get(&disk.node).filter(|node| node.liveness == Liveness::Alive)?;
    if disk.replaced_by.is_some() {
        return None;
    }
    let subject = format!("disk {}", disk.id);
    let place = format!("{} on host {}", disk.path, node.host);
    let cause = disk.cause.clone().unwrap_or_else(|| "its agent has not told why".into());
    match disk.state {
        DiskState::Online => of_space(world, disk, &place),
        // Between its connection and its first word on the disk nothing is known, and nothing wrong.
        DiskState::Unavailable if !node.reported => None,
        DiskState::Suspect => Some(Problem {
            code: "disk_suspect".into(),
            subject,
            cause: format!("{place}: {cause}"),
            effect: "nothing is written to it; its replicas do not count and are replaced".into(),
            next: "check the device; restart the agent to have it judged anew".into(),
        }),
        DiskState::Unavailable => Some(Problem {
            code: "disk_unavailable".into(),
            subject,
            cause: format!("{place}: {cause}"),
            effect: "its replicas are unknown, not gone; they are replaced when it stays away".into(),
            next: format!(
                "bring {} back, or give its place away: `stele disk init {} --host {} --replace {}`",
                disk.path, disk.path, node.host, disk.id
            ),
        }),
    }
}

/// What a disk takes no more of, by the marks that loads and copies are refused at.
fn of_space(world: &World, disk: &Disk, place: &str) -> Option<Problem> {
    let free = disk.space.available();
    let (load, copy) = (world.knobs.load_reserve(disk.space.total), world.knobs.clone_reserve(disk.space.total));
    // Its total is what is ours and what is free: none of either, and the marks are 0.
    let (code, cause, effect) = if free == 0 || free < load {
        let cause = format!("{place} has {} free, {} must stay free", size(free), size(load));
        ("disk_full", cause, "it takes neither loads nor copies")
    } else if free < copy {
        let cause = format!("{place} has {} free, a new copy must leave {}", size(free), size(copy));
        ("disk_nearly_full", cause, "no new copies come to it; loads still do")
    } else {
        return None;
    };
    Some(Problem {
        code: code.into(),
        subject: format!("disk {}", disk.id),
        cause,
        effect: effect.into(),
        next: "free space or add disks".into(),
    })
}

/// At the beginning of a leadership nobody has reported yet, and of a new tablet's replicas nobody has reported that they
/// are made: that is no loss.
fn is_only_unheard(world: &World, tablet: &Tablet, counts: &Counts, at: Tick) -> bool {
    let any = |is_so: fn(Flaw) -> bool| counts.judged.iter().any(|judged| judged.why.is_some_and(is_so));
    let is_young = at.since(world.began) < world.knobs.lost_ms && any(Flaw::may_return);
    is_young || (tablet.committed == Version::EMPTY && any(|flaw| flaw == Flaw::NotSeen))
}

fn of_unrecoverable(world: &World, tablet: &Tablet, verdict: Verdict) -> Problem {
    let tried = world.salvages.get(&tablet.id).and_then(|salvage| salvage.cause.as_ref());
    Problem {
        code: "tablet_unrecoverable".into(),
        subject: format!("tablet {}", tablet.id),
        cause: tried.map_or_else(|| rung(verdict), |tried| format!("{}; {}", rung(verdict), tried.detail())),
        effect: format!("version {} cannot be read and cannot be copied", tablet.visible),
        next: format!("bring back a node or disk that holds a replica: `stele tablet explain {}`", tablet.id),
    }
}

fn of_drain(world: &World, drain: &Drain, at: Tick) -> Option<Problem> {
    let blocker = stuck(world, drain, at)?;
    let (what, id) = match drain.of {
        Leaver::Node(node) => ("node", node.to_string()),
        Leaver::Disk(disk) => ("disk", disk.to_string()),
    };
    let back = format!("or take the drain back: `stele {what} undrain {id}`");
    let (cause, next) = match blocker.tablet {
        Some(tablet) => (
            format!("what is left there finds no place: tablet {tablet}: {}", blocker.detail),
            format!("make room, start or add a host, {back}"),
        ),
        None => (format!("nothing may be copied: {}", blocker.detail), format!("see `stele level get`, {back}")),
    };
    Some(Problem {
        code: "drain_stuck".into(),
        subject: subject(drain.of),
        cause,
        effect: "the drain does not end, and what is left stays where it is".into(),
        next,
    })
}

fn of_bad(tablet: &Tablet, replica: &crate::world::Replica, cause: &str) -> Problem {
    Problem {
        code: "replica_bad".into(),
        subject: format!("replica {}", replica.id),
        cause: format!("tablet {} on node {} disk {}: {cause}", tablet.id, replica.node, replica.disk),
        effect: "it does not count and gives no files as they are; another copy takes its place".into(),
        next: format!("nothing, it is mended by itself: `stele tablet explain {}`", tablet.id),
    }
}

fn summary(status: TabletStatus, tablets: u64, first: &str) -> Problem {
    let effect = match status {
        TabletStatus::ReplicaMissing => "fewer copies than wanted until they are made",
        TabletStatus::ReplicaRelocating => "copies are made elsewhere before the draining node gives up its own",
        TabletStatus::ReplicaMissingInCluster => "some copies are outside the nodes that the table asks for",
        TabletStatus::DiskMigration => "copies move off the draining disk",
        TabletStatus::ColocateMismatch => "some copies are not where their group wants them",
        TabletStatus::VersionIncomplete | TabletStatus::NeedFurtherRepair => {
            "some copies are behind until they have caught up"
        }
        TabletStatus::Redundant | TabletStatus::ForceRedundant | TabletStatus::ColocateRedundant => {
            "copies that are not needed hold space"
        }
        TabletStatus::Unrecoverable | TabletStatus::Healthy => "",
    };
    Problem {
        code: format!("tablets_{}", status.as_str().to_lowercase()),
        subject: if tablets == 1 { "1 tablet".to_string() } else { format!("{tablets} tablets") },
        cause: format!("{status}, such as tablet {first}"),
        effect: effect.into(),
        next: format!("nothing, unless it lasts: `stele tablet explain {first}`"),
    }
}

fn bounded(named: Named, code: &str, what: &str) -> Vec<Problem> {
    let mut problems = named.first;
    let more = named.count - problems.len() as u64;
    if more > 0 {
        problems.push(Problem {
            code: code.into(),
            subject: format!("{more} more {what}"),
            cause: "like those above".into(),
            effect: "like those above".into(),
            next: "see `stele tablet list`".into(),
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn found(sample: &Sample, code: &str) -> Option<Problem> {
        problems(&sample.world, sample.at).into_iter().find(|problem| problem.code == code)
    }

    /// A disk is named as soon as copies are refused for its space, and again when loads are; also one that others have
    /// filled, on which nothing is ours.
    #[test]
    fn space() {
        for (used, total, expected) in [
            (0, 1_000, None),
            (850, 1_000, None),
            (851, 1_000, Some("disk_nearly_full")),
            (950, 1_000, Some("disk_nearly_full")),
            (951, 1_000, Some("disk_full")),
            (7, 7, Some("disk_full")),
            (0, 0, Some("disk_full")),
        ] {
            let mut sample = Sample::new(1, 1);
            let disk = sample.disks_of(sample.nodes()[0])[0];
            sample.fill(disk, used, total);
            let named = ["disk_full", "disk_nearly_full"].into_iter().filter(|code| found(&sample, code).is_some());
            assert_eq!(named.collect::<Vec<_>>(), Vec::from_iter(expected), "{used} of {total}");
        }
    }

    /// Of a new table nothing is lost while its replicas are made; once something was loaded, it is.
    #[test]
    fn a_new_table_is_no_loss() {
        let mut sample = Sample::new(3, 1);
        let tablet = sample.table(3, 1)[0];
        let later = sample.at.plus(sample.world.knobs.lost_ms * 2);
        let is_lost = |sample: &mut Sample| {
            let known = sample.world.tablets.get_mut(tablet).expect("it was made");
            known.replicas.iter_mut().for_each(|replica| replica.seen = None);
            problems(&sample.world, later).iter().any(|problem| problem.code == "tablet_unrecoverable")
        };
        assert!(!is_lost(&mut sample));
        sample.load_all(tablet);
        assert!(is_lost(&mut sample));
    }

    /// While a tablet misses its copy on a lost node, so many are named; when none does, its replicas were replaced.
    #[test]
    fn a_lost_node() {
        let mut sample = Sample::new(4, 1);
        let tablet = sample.table(3, 1)[0];
        sample.load_all(tablet);
        let node = sample.replica(tablet, sample.replicas(tablet)[0]).node;
        sample.at = Tick(sample.at.0 + 100_000);
        sample.turn(node, Liveness::Lost);
        let effect = |sample: &Sample| found(sample, "node_lost").expect("it is lost").effect;
        assert!(effect(&sample).starts_with("1 tablet misses"), "{}", effect(&sample));
        let unused = sample.nodes().into_iter().find(|node| {
            sample.world.tablets.get(tablet).is_some_and(|tablet| tablet.replicas.iter().all(|held| held.node != *node))
        });
        let other = unused.expect("four nodes, three copies");
        sample.turn(node, Liveness::Alive);
        sample.turn(other, Liveness::Lost);
        assert!(effect(&sample).contains("have been replaced"), "{}", effect(&sample));
    }
}
