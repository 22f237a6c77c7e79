//! Drains: nodes and disks that an operator wants empty. They begin after a check that everything fits elsewhere, and
//! end by themselves.
//!
//! In: an operator's wish; ticks. Out: the mark on record, what stood there when it began, and the end once nothing
//! stands there and all of it is proven elsewhere. It moves nothing: the ladder sees the mark, and repair does the rest.
//! Nothing begins that cannot end, unless it is forced.

use super::{Draft, hello, level, tables};
use crate::evacuation::{self, Leaving, proof};
use crate::policy::{Drain, Leaver};
use crate::world::Node;
use crate::{Answer, Change, Reason, World};
use std::collections::BTreeSet;
use stele_common::{NodeId, api};

/// A drain is looked at this often; its end is not urgent.
const LOOK_MS: u64 = 1_000;

/// The node of this id.
pub fn find_node(world: &World, node: NodeId) -> Result<&Node, Reason> {
    world.nodes.get(&node).ok_or_else(|| no_such_node(node.to_string()))
}

pub fn no_such_node(name: String) -> Reason {
    Reason::NoSuchNode { name }
}

/// Begins drains, if everything finds a place or it is forced.
pub fn begin(draft: &mut Draft, ask: &api::DrainAsk) {
    let answer = begun(draft, ask).map(Answer::Evacuation);
    draft.answer(answer.unwrap_or_else(Answer::Refused));
}

pub(crate) fn begun(draft: &mut Draft, ask: &api::DrainAsk) -> Result<api::Evacuation, Reason> {
    if let Some(reason) = level::forbids_work(draft.world) {
        return Err(reason);
    }
    let leaving = meant(draft.world, ask)?;
    let mut answer = evacuation::evacuate(draft.world, &leaving, draft.at);
    let may_begin = (answer.fits || ask.force) && !ask.check;
    let nodes = leaving.nodes.iter().map(|node| Leaver::Node(*node));
    let leavers: Vec<Leaver> = nodes.chain(leaving.disks.iter().map(|disk| Leaver::Disk(*disk))).collect();
    if may_begin {
        leavers.iter().for_each(|of| mark(draft, *of, ask));
    }
    answer.begun = leavers.iter().all(|of| is_marked(draft.world, *of));
    Ok(answer)
}

/// What is meant by the wish, if all of it is there.
pub(crate) fn meant(world: &World, ask: &api::DrainAsk) -> Result<Leaving, Reason> {
    let mut leaving =
        Leaving { nodes: ask.nodes.iter().copied().collect(), disks: ask.disks.iter().copied().collect() };
    if let Some(rack) = &ask.rack {
        let nodes = world.nodes.values().filter(|node| node.rack == *rack).map(|node| node.id);
        let nodes: BTreeSet<NodeId> = nodes.collect();
        if nodes.is_empty() {
            return Err(Reason::NoSuchRack { rack: rack.clone() });
        }
        leaving.nodes.extend(nodes);
    }
    for node in &leaving.nodes {
        find_node(world, *node)?;
    }
    for disk in &leaving.disks {
        hello::find_disk(world, *disk)?;
    }
    if leaving == Leaving::default() {
        return Err(tables::bad_request("name a node, a rack or a disk".into()));
    }
    Ok(leaving)
}

fn is_marked(world: &World, of: Leaver) -> bool {
    match of {
        Leaver::Node(node) => world.nodes.get(&node).is_some_and(|node| node.draining),
        Leaver::Disk(disk) => world.disks.get(&disk).is_some_and(|disk| disk.draining),
    }
}

/// Puts the mark and what stands there on record; one that has it already keeps its own.
fn mark(draft: &mut Draft, of: Leaver, ask: &api::DrainAsk) {
    if is_marked(draft.world, of) {
        return;
    }
    draft.record(match of {
        Leaver::Node(node) => Change::NodeDrained { node, on: true },
        Leaver::Disk(disk) => Change::DiskDrained { disk, on: true },
    });
    let drain = Drain {
        of,
        owner: ask.owner.clone(),
        reason: ask.reason.clone(),
        began_wall_ms: draft.wall_ms,
        held: evacuation::held(draft.world, of),
        done_wall_ms: None,
    };
    draft.record(Change::DrainBegan { drain });
}

/// Takes drains back; what has moved stays where it is.
pub fn end(draft: &mut Draft, ask: &api::DrainAsk) {
    let answer = match level::forbids_work(draft.world).map_or_else(|| meant(draft.world, ask), Err) {
        Ok(leaving) => {
            let mut undrained = api::Undrained::default();
            for node in leaving.nodes {
                if is_marked(draft.world, Leaver::Node(node)) {
                    draft.record(Change::NodeDrained { node, on: false });
                    undrained.nodes.push(node);
                }
            }
            for disk in leaving.disks {
                if is_marked(draft.world, Leaver::Disk(disk)) {
                    draft.record(Change::DiskDrained { disk, on: false });
                    undrained.disks.push(disk);
                }
            }
            Answer::Undrained(undrained)
        }
        Err(reason) => Answer::Refused(reason),
    };
    draft.answer(answer);
}

/// Ends every drain that has nothing left to do.
pub fn tick(draft: &mut Draft) {
    if draft.world.drains.is_empty() || !draft.comes_round(draft.world.began, LOOK_MS) {
        return;
    }
    let open = draft.world.drains.values().filter(|drain| drain.done_wall_ms.is_none());
    let done = open.filter(|drain| proof::is_done(draft.world, drain, draft.at)).map(|drain| drain.of);
    let done: Vec<Leaver> = done.collect();
    for of in done {
        draft.record(Change::DrainDone { of, wall_ms: draft.wall_ms });
    }
}
