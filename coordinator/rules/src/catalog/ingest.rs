//! Reports: which are taken, in what order their facts count, and what a full one says by not naming it.
//!
//! In: a report of an agent's session. Out: records of what was seen, and what follows from it. A report of another
//! life, an old one, or one after a gap changes nothing: stale input can never undo newer facts. Absence is judged at
//! the last page only, and only on disks that are ONLINE in this very report.

use super::{Draft, commit, facts, loads, remove, strays, tasks};
use crate::world::{LoadPhase, Naming};
use crate::{Answer, Change, level};
use stele_common::{BootId, DiskFact, DiskState, Fact, NodeId, ReplicaId, Report, ReportKind, TabletId};

/// Whose word it is.
#[derive(Clone, Copy)]
pub(crate) struct From {
    pub node: NodeId,
    pub boot: BootId,
    pub seq: u64,
}

pub fn reported(draft: &mut Draft, node: NodeId, report: &Report) {
    if level::forbids_everything(draft.world).is_some() {
        return;
    }
    let Some(known) = draft.world.nodes.get(&node) else {
        return draft.answer(Answer::Refused(remove::gone(node)));
    };
    if known.boot != Some(report.boot) || report.seq <= known.seq {
        return;
    }
    let follows = report.seq == known.seq + 1;
    let fits = match report.kind {
        ReportKind::FullFirst | ReportKind::FullOnly => true,
        ReportKind::FullMore | ReportKind::FullLast => known.naming.is_some() && follows,
        ReportKind::Delta => known.reported && follows,
    };
    if !fits {
        // Asked once here; housekeeping asks again while nothing comes.
        if known.reported || known.naming.is_some() {
            draft.record(Change::ReportsBroken { node });
            draft.ask_full_report(node);
        }
        return;
    }
    draft.record(Change::ReportTaken { node, boot: report.boot, seq: report.seq });
    let (begins, ends) = match report.kind {
        ReportKind::FullFirst => (true, false),
        ReportKind::FullOnly => (true, true),
        ReportKind::FullLast => (false, true),
        ReportKind::FullMore | ReportKind::Delta => (false, false),
    };
    if begins {
        draft.record(Change::NamingBegan { node });
    }
    let from = From { node, boot: report.boot, seq: report.seq };
    let mut facts: Vec<&Fact> = report.facts.iter().collect();
    facts.sort_by_key(|fact| turn(fact));
    for fact in facts {
        take(draft, from, fact);
    }
    if ends {
        let naming = draft.world.nodes.get(&node).and_then(|node| node.naming.clone()).unwrap_or_default();
        draft.record(Change::FullReportTaken { node });
        absent(draft, node, &naming);
    }
}

/// Disks first: whether a missing replica is gone depends on them. Then what lies there, then what is going on.
fn turn(fact: &Fact) -> u8 {
    match fact {
        Fact::Disk(_) => 0,
        Fact::Replica(_) => 1,
        Fact::ReplicaGone { .. } => 2,
        Fact::Confirmed { .. } => 3,
        Fact::Load(_) => 4,
        Fact::Task(_) => 5,
        Fact::Trash(_) => 6,
        Fact::TrashGone { .. } => 7,
        Fact::Host(_) => 8,
    }
}

fn take(draft: &mut Draft, from: From, fact: &Fact) {
    name(draft, from.node, fact);
    match fact {
        Fact::Disk(fact) => disk(draft, from, fact),
        Fact::Replica(fact) => facts::replica(draft, from, fact),
        Fact::ReplicaGone { tablet, replica, disk } => facts::replica_gone(draft, from, *tablet, *replica, *disk),
        Fact::Confirmed { tablet, replica, version, hash, nonce } => {
            facts::confirmed(draft, from, (*tablet, *replica), (*version, *hash), *nonce)
        }
        Fact::Load(fact) => facts::load(draft, from, fact),
        Fact::Task(fact) => tasks::told(draft, from.node, fact),
        Fact::Trash(fact) => strays::trash_seen(draft, from.node, fact),
        Fact::TrashGone { replica, .. } => strays::trash_gone(draft, from.node, *replica),
        Fact::Host(figures) => {
            draft.record(Change::HostSeen { node: from.node, figures: figures.clone() });
        }
    }
}

/// While a full report comes in, everything that it (or a delta between its pages) names is there.
fn name(draft: &mut Draft, node: NodeId, fact: &Fact) {
    if draft.world.nodes.get(&node).is_none_or(|node| node.naming.is_none()) {
        return;
    }
    let (mut replica, mut load, mut task, mut trash, mut disk) = (None, None, None, None, None);
    match fact {
        Fact::Disk(fact) => disk = Some(fact.disk),
        Fact::Replica(fact) => replica = Some(fact.replica),
        Fact::Load(fact) => load = Some((fact.load, fact.tablet)),
        Fact::Task(fact) => task = Some(fact.task),
        Fact::Trash(fact) => trash = Some(fact.replica),
        Fact::ReplicaGone { .. } | Fact::Confirmed { .. } | Fact::TrashGone { .. } | Fact::Host(_) => return,
    }
    draft.record(Change::Named { node, replica, load, task, trash, disk });
}

fn disk(draft: &mut Draft, from: From, fact: &DiskFact) {
    if draft.world.disks.get(&fact.disk).is_some_and(|disk| disk.node == from.node) {
        draft.record(Change::DiskSeen { fact: fact.clone(), node: from.node, at: draft.at });
    }
}

/// The last page came: what the node did not name, it does not have.
fn absent(draft: &mut Draft, node: NodeId, naming: &Naming) {
    let disks = draft.world.disks.values().filter(|disk| disk.node == node && disk.state == DiskState::Online);
    let unnamed: Vec<_> = disks.map(|disk| disk.id).filter(|disk| !naming.disks.contains(disk)).collect();
    for disk in unnamed {
        let (cause, at) = ("its agent does not report it".to_string(), draft.at);
        draft.record(Change::DiskUnseen { disk, cause, at });
    }
    for (tablet, replica) in unnamed_replicas(draft, node, naming) {
        facts::not_there(draft, tablet, replica);
    }
    unnamed_loads(draft, node, naming);
    let strays =
        draft.world.strays.iter().filter(|((_, id), stray)| stray.node == node && !naming.replicas.contains(id));
    let strays: Vec<_> = strays.map(|(key, _)| *key).collect();
    for (tablet, replica) in strays {
        draft.record(Change::StrayGone { tablet, replica });
    }
    let trash = draft.world.trash.iter().filter(|(id, trashed)| trashed.node == node && !naming.trash.contains(id));
    let trash: Vec<ReplicaId> = trash.map(|(id, _)| *id).collect();
    for replica in trash {
        strays::trash_gone(draft, node, replica);
    }
    tasks::unnamed(draft, node, &naming.tasks);
}

fn unnamed_replicas(draft: &Draft, node: NodeId, naming: &Naming) -> Vec<(TabletId, ReplicaId)> {
    let tablets = draft.world.tablets.iter();
    let here = tablets.flat_map(|tablet| tablet.replicas.iter().map(move |replica| (tablet.id, replica)));
    here.filter(|(_, replica)| replica.node == node && !naming.replicas.contains(&replica.id))
        .map(|(tablet, replica)| (tablet, replica.id))
        .collect()
}

/// A load that was durable here and is not named any more is not durable here.
fn unnamed_loads(draft: &mut Draft, node: NodeId, naming: &Naming) {
    let orphans = draft.world.orphans.iter();
    let gone = orphans.filter(|((load, owner), tablets)| {
        *owner == node && !tablets.iter().any(|tablet| naming.loads.contains(&(*load, *tablet)))
    });
    let gone: Vec<_> = gone.map(|(key, _)| key.0).collect();
    for load in gone {
        draft.record(Change::OrphanGone { load, node });
    }
    let mut lost = Vec::new();
    for load in draft.world.loads.in_flight().filter(|load| load.phase == LoadPhase::Open) {
        for (tablet, part) in &load.tablets {
            let Some(known) = draft.world.tablets.get(*tablet) else { continue };
            let here = known.replicas.iter().filter(|replica| replica.node == node);
            let unnamed = here.filter(|replica| part.prepared.contains_key(&replica.id));
            let unnamed = unnamed.filter(|_| !naming.loads.contains(&(load.id, *tablet)));
            lost.extend(unnamed.map(|replica| (load.key.clone(), *tablet, replica.id)));
        }
    }
    for (key, tablet, replica) in lost {
        let cause = "it is not staged there any more".to_string();
        draft.record(Change::LoadPartFailed { key: key.clone(), tablet, replica, cause });
        commit::try_commit(draft, &key);
    }
    loads::reconsider_orphans(draft, node);
}
