//! Moves for evenness: what one is, whether it is still worth it, and which come next.
//!
//! In: the world, what is under way, what is held back. Out: moves, or why there is none. It proposes only what lowers
//! a potential of [`super::worth`] strictly, with what is under way counted at both ends, and never puts two replicas
//! of a tablet on one host. It touches healthy tablets only: whatever is ill is the scheduler's.

use super::counts::still_fairer;
use super::worth::{Filled, lowers_usage};
use super::{exchanges, primaries};
use crate::checkup::verdict;
use crate::policy::TableState;
use crate::schedule::slots::{Ledger, size_of};
use crate::schedule::target::{beside_refusal, place_refusal, takes_nothing_new};
use crate::world::{Disk, Replica, Tablet};
use crate::{Reason, World, pause};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use stele_common::{DiskId, NodeId, ReplicaId, TableId, TabletId, TabletStatus, Tick};

/// One replica that is to stand elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub from_node: NodeId,
    pub from: DiskId,
    pub to_node: NodeId,
    pub to: DiskId,
    pub bytes: u64,
    pub why: Why,
}

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Lowers the bytes' potential.
    Usage,
    /// Lowers the count potential of its table.
    Count,
    /// Makes primaries of its table more even: it is one, and stays one where it goes.
    Primary,
    /// Lowers the bytes' potential together with this smaller copy, which comes in exchange: after it that one does so by
    /// itself.
    Exchange { tablet: TabletId, replica: ReplicaId },
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Usage => "usage",
            Why::Count => "count",
            Why::Primary => "primary",
            Why::Exchange { .. } => "exchange",
        }
    }

    /// Whether it is the bytes' potential that falls.
    pub fn is_for_bytes(self) -> bool {
        match self {
            Why::Usage | Why::Exchange { .. } => true,
            Why::Count | Why::Primary => false,
        }
    }
}

/// When it is, and what balance keeps its hands off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    pub at: Tick,
    /// Nothing comes here and nothing leaves.
    pub held_nodes: BTreeSet<NodeId>,
    pub held_disks: BTreeSet<DiskId>,
    pub held_tables: BTreeSet<TableId>,
    /// Made by a move so lately that they rest.
    pub resting: BTreeSet<ReplicaId>,
    /// Where tablets have lately left for evenness: no replica of theirs goes back there.
    pub left: BTreeSet<(TabletId, DiskId)>,
    /// Only these tables move; `None`: all.
    pub only_tables: Option<BTreeSet<TableId>>,
}

impl Scope {
    /// Everything, at this time.
    pub fn all(at: Tick) -> Scope {
        Scope { at, ..Scope::default() }
    }

    pub fn holds_table(&self, table: TableId) -> bool {
        self.held_tables.contains(&table) || self.only_tables.as_ref().is_some_and(|only| !only.contains(&table))
    }
}

/// Whether a disk takes part: both to give and to take.
pub fn takes_part(world: &World, scope: &Scope, disk: &Disk) -> Result<(), Reason> {
    if scope.held_disks.contains(&disk.id) || scope.held_nodes.contains(&disk.node) {
        return Err(Reason::BalanceHeld { what: format!("disk {} of node {}", disk.id, disk.node) });
    }
    if world.maintenance_until(disk.node, scope.at).is_some() {
        return Err(Reason::BalanceHeld { what: format!("node {}, it is under maintenance,", disk.node) });
    }
    place_refusal(world, disk).or_else(|| takes_nothing_new(world, disk)).map_or(Ok(()), Err)
}

/// Whether a tablet's replicas may be moved for evenness at all.
pub fn may_move(world: &World, scope: &Scope, tablet: &Tablet) -> Result<(), Reason> {
    if scope.holds_table(tablet.table) {
        return Err(Reason::BalanceHeld { what: format!("table {}", tablet.table) });
    }
    if world.tables.get(&tablet.table).is_none_or(|table| table.state != TableState::Normal) {
        return Err(Reason::BalanceHeld { what: format!("table {}, it is being altered,", tablet.table) });
    }
    if world.bucket_nodes(tablet).is_some() {
        return Err(Reason::BalanceHeld { what: format!("tablet {}, its colocation group says where,", tablet.id) });
    }
    match verdict(world, tablet, scope.at).status {
        TabletStatus::Healthy if !world.tasks.contains_key(&tablet.id) => Ok(()),
        status => Err(Reason::RepairFirst { tablet: tablet.id, status }),
    }
}

/// Whether this move still lowers, strictly, what it is for, with what is under way counted at both ends; also that it
/// may happen at all.
pub fn still_worth(world: &World, scope: &Scope, ledger: &Ledger, mv: &Move) -> Result<(), Reason> {
    let gone = || not_there(mv.tablet);
    let tablet = world.tablets.get(mv.tablet).ok_or_else(gone)?;
    let mut replicas = tablet.replicas.iter();
    let replica = replicas.find(|replica| replica.id == mv.replica && replica.disk == mv.from).ok_or_else(gone)?;
    may_move(world, scope, tablet)?;
    let ends = (world.disks.get(&mv.from), world.disks.get(&mv.to));
    let (Some(from), Some(to)) = ends else { return Err(gone()) };
    may_go(world, scope, ledger, tablet, replica, from, to)?;
    let bytes = bytes_of(replica);
    let (source, target) = (filled(ledger, from), filled(ledger, to));
    match mv.why {
        Why::Usage if lowers_usage(source, target, bytes) => Ok(()),
        Why::Usage => Err(not_worth(mv.tablet, source, target, bytes)),
        Why::Count => still_fairer(world, scope, ledger, tablet, from, to)
            .map_err(|detail| Reason::NotWorth { tablet: mv.tablet, detail }),
        Why::Primary => primaries::still_worth(world, scope, ledger, tablet, replica, (from, to))
            .map_err(|detail| Reason::NotWorth { tablet: mv.tablet, detail }),
        Why::Exchange { tablet: other, replica: back } => {
            let less = exchanges::comes_back(world, scope, ledger, (other, back), (from, to))?;
            let net = bytes.saturating_sub(less);
            if lowers_usage(source, target, net) { Ok(()) } else { Err(not_worth(mv.tablet, source, target, net)) }
        }
    }
}

pub(super) fn not_there(tablet: TabletId) -> Reason {
    Reason::NotWorth { tablet, detail: "its replica is not there any more".into() }
}

fn not_worth(tablet: TabletId, from: Filled, to: Filled, bytes: u64) -> Reason {
    let (source, target) = (from.ppm() as f64 / 1e4, to.ppm() as f64 / 1e4);
    let size = crate::reason_text::size(bytes);
    let detail = format!("{size} from a disk {source:.1} % used to one {target:.1} % used evens nothing");
    Reason::NotWorth { tablet, detail }
}

/// Every rule about the two ends, slots aside.
pub fn may_go(
    world: &World,
    scope: &Scope,
    ledger: &Ledger,
    tablet: &Tablet,
    replica: &Replica,
    from: &Disk,
    to: &Disk,
) -> Result<(), Reason> {
    takes_part(world, scope, from)?;
    takes_part(world, scope, to)?;
    if let Some(reason) = pause::holds_move(world, tablet, from, to) {
        return Err(reason);
    }
    if scope.resting.contains(&replica.id) || scope.left.contains(&(tablet.id, to.id)) {
        return Err(Reason::BalanceHeld { what: format!("tablet {}, it was moved lately,", tablet.id) });
    }
    if from.medium != to.medium || from.id == to.id {
        return Err(Reason::OtherMedium { disk: to.id });
    }
    beside_refusal(world, ledger, tablet, replica, to, size_of(tablet)).map_or(Ok(()), Err)
}

/// Bytes that leave with a replica.
pub fn bytes_of(replica: &Replica) -> u64 {
    replica.seen.as_ref().map_or(0, |seen| seen.size)
}

/// A disk's bytes for the law: promised ones counted, those about to leave and those in its trash not.
pub fn filled(ledger: &Ledger, disk: &Disk) -> Filled {
    Filled { used: ledger.settled(disk), total: disk.space.total }
}

/// The next moves, best first, at most `limit`; or why there is none. The beginning of a [`super::plan::plan`].
pub fn next_moves(world: &World, scope: &Scope, limit: usize) -> Result<Vec<Move>, Reason> {
    let mut plan = super::plan::plan(world, scope);
    plan.moves.truncate(limit);
    match plan.idle {
        Some(reason) => Err(reason),
        None => Ok(plan.moves),
    }
}
