//! What the shell needs to know of ops and orders: their names, whom they name, and the counters when an op
//! ended. Pure text work; decides nothing.

use crate::telemetry;
use stele_agent_rules::{Op, OpResult};
use stele_common::{DiskId, OrderBody, ReplicaId};

/// The op's name in logs.
pub fn name_of(op: &Op) -> &'static str {
    match op {
        Op::Create { .. } => "create",
        Op::Fetch { .. } => "fetch",
        Op::InstallCopy { .. } => "install_copy",
        Op::DiscardCopy { .. } => "discard_copy",
        Op::InstallLoad { .. } => "install_load",
        Op::DiscardLoad { .. } => "discard_load",
        Op::Drop { .. } => "drop",
        Op::Purge { .. } => "purge",
        Op::Confirm { .. } => "confirm",
        Op::Verify { .. } => "verify",
        Op::Collect { .. } => "collect",
    }
}

/// The replica that an order names, for finding its disk; `None` when it names a disk, a load or a task.
pub fn replica_of_order(body: &OrderBody) -> Option<ReplicaId> {
    match body {
        OrderBody::Drop { replica, .. }
        | OrderBody::Purge { replica, .. }
        | OrderBody::CommitLoad { replica, .. }
        | OrderBody::DiscardLoad { replica, .. }
        | OrderBody::Confirm { replica, .. }
        | OrderBody::Verify { replica, .. }
        | OrderBody::Collect { replica, .. } => Some(*replica),
        OrderBody::Create { label, .. } => Some(label.replica),
        OrderBody::Clone(clone) => Some(clone.label.replica),
        OrderBody::CancelTask { .. } | OrderBody::AbortLoad { .. } => None,
    }
}

/// The order's name in logs and metrics.
pub fn order_name(body: &OrderBody) -> &'static str {
    match body {
        OrderBody::Create { .. } => "create",
        OrderBody::Clone(_) => "clone",
        OrderBody::CancelTask { .. } => "cancel_task",
        OrderBody::Drop { .. } => "drop",
        OrderBody::Purge { .. } => "purge",
        OrderBody::CommitLoad { .. } => "commit_load",
        OrderBody::AbortLoad { .. } => "abort_load",
        OrderBody::DiscardLoad { .. } => "discard_load",
        OrderBody::Confirm { .. } => "confirm",
        OrderBody::Verify { .. } => "verify",
        OrderBody::Collect { .. } => "collect",
    }
}

/// Counts what an op did. The disk has its own line in the log for what changed on it; here is only whom a finding is
/// about, and what it cost.
pub fn count(disk: DiskId, op: &Op, result: &OpResult) {
    let (tablet, replica) = (op.tablet(), op.replica().unwrap_or_default());
    match result {
        OpResult::Fetched { version, bytes_copied, bytes_reused, .. } => {
            metrics::counter!(telemetry::COPIED_BYTES).increment(*bytes_copied);
            metrics::counter!(telemetry::REUSED_BYTES).increment(*bytes_reused);
            tracing::info!(%tablet, %replica, %disk, %version, bytes_copied, bytes_reused, "copy received");
        }
        OpResult::Damaged { cause } => {
            metrics::counter!(telemetry::DAMAGED, "by" => name_of(op)).increment(1);
            tracing::warn!(%tablet, %replica, %disk, reason = %cause, "replica is damaged");
        }
        OpResult::Created
        | OpResult::Installed { .. }
        | OpResult::Discarded
        | OpResult::Dropped { .. }
        | OpResult::Purged
        | OpResult::Confirmed { .. }
        | OpResult::Verified { .. }
        | OpResult::Collected { .. }
        | OpResult::Failed(_) => {
            tracing::debug!(%tablet, %replica, %disk, op = name_of(op), result = ?result, "job done");
        }
    }
}
