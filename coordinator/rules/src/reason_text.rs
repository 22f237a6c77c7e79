//! What people read about a [`Reason`]: its sentence with numbers, and what helps. Decides nothing.

use crate::Reason;
use stele_common::api::Refusal;

/// A number of bytes as people say it, to a tenth.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(power) = bytes.checked_ilog2().map(|log| log as usize / 10).filter(|power| *power > 0) else {
        return format!("{bytes} B");
    };
    format!("{:.1} {}", bytes as f64 / (1u64 << (10 * power)) as f64, units[power - 1])
}

/// Parts per million as people say them, to a tenth.
pub(crate) fn percent(ppm: u64) -> String {
    format!("{:.1} %", ppm as f64 / 1e4)
}

/// A wall-clock time as RFC 3339, to the second.
pub(crate) fn utc(wall_ms: u64) -> String {
    let (days, second) = (wall_ms / 86_400_000, wall_ms / 1_000 % 86_400);
    // Days since 0000-03-01 in eras of 400 years, each of 146 097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

impl Reason {
    /// The sentence, with its numbers.
    pub fn detail(&self) -> String {
        self.to_string()
    }

    /// Code and sentence, as every face shows it.
    pub fn refusal(&self) -> Refusal {
        Refusal { code: self.code().into(), detail: self.detail() }
    }

    /// What an operator may do about it; `None` when it passes by itself or was asked for.
    pub fn next(&self) -> Option<String> {
        use Reason::*;
        let text = match self {
            TableExists { .. } => "choose another name, or drop the table first",
            NoSuchTable { .. } => "see `stele table list`",
            NoSuchPartition { .. } => "see `stele table show`",
            NoSuchDisk { .. } => "see `stele disk list`",
            NoSuchNode { .. } | NoSuchRack { .. } => "see `stele node list`",
            NoSuchReplica { .. } => "see `stele tablet show`",
            NoSuchLease { .. } => "see `stele status` for the leases",
            NoSuchKnob { .. } => "see `stele config list`",
            BadKnob { .. } => "see `stele config get NAME`",
            NoSuchPlan { .. } | PlanOver { .. } => "see `stele plan list`",
            PlanStale { .. } => "make it anew",
            PlanRunning { .. } => "wait until it is done, or cancel it: `stele plan cancel`",
            PlanOnlyShown { .. } => "add the hosts, then make a plan with `stele balance plan`",
            PlanBlocked { .. } => "see `stele plan show` for what finds no place; add hosts or disks with room",
            GroupMismatch { .. } => "see `stele group show`",
            GroupNodeAway { .. } => "wait until it is back or has been replaced: see `stele group show`",
            LowerInSteps { .. } => "lower it by two, wait until the surplus is gone, then go on",
            WouldBeLast { .. } => "wait until another copy is complete: see `stele tablet explain`",
            NodeRemoved { .. } => "let it join as a new node: `stele node admit HOST`",
            BadRequest { .. } => "correct the request",
            TooFewHosts { .. } => "add agents on other hosts, or ask for fewer copies",
            NoQuorum { .. } => "see `stele tablet explain` for the replicas that are away; the load may be repeated",
            OtherContent { .. } => "use a new load id for new content",
            NoSuchLoad { .. } => "open the load first",
            TabletBusy { .. } | LoadInFlight { .. } => "repeat it when the other load has ended",
            LoadTimedOut { .. } | BallotMoved { .. } => "repeat the load with the same load id",
            DiskFullForLoad { .. } => "add disks or free space",
            StoreIsOld { .. } => "put the newest copy of the coordinator's store back; until then nothing is deleted",
            LevelForbids { .. } => "raise it when it is safe: `stele level set lively`",
            AutoFreezed { .. } => {
                "bring the nodes back; `stele node remove` those that will not come; or lower \
                 `stele config set node_live_percentage_threshold_for_update`"
            }
            Paused { .. } => "wait, or take it back: `stele resume LEASE`",
            BlackListed { .. } => "take it off the list: `stele config set assign_secondary_black_list`",
            NoSource { .. } | Unrecoverable { .. } | Unsalvaged { .. } => {
                "bring back a node or disk that holds a replica"
            }
            NoDestination { .. } => {
                "add a host or disk with room; `stele tablet explain` names the rule for every disk"
            }
            NoOtherDisk { .. } => "add a disk to the node, or a host",
            NoFreeHost { .. } => "add a host, or take a node back from draining",
            OtherTag { .. } => "add nodes with the table's tag, or give the table another tag",
            BucketNodeAway { .. } => "start the agent again or repair its host",
            DiskNotOnline { .. } => "see `stele disk list` for its cause",
            NodeDraining { .. } => "take the node back: `stele node undrain`",
            DiskDraining { .. } => "take the disk back: `stele disk undrain`",
            DiskWouldOverfill { .. } => "add disks or free space",
            NodeNotAlive { .. } | NodeLost { .. } => "start the agent again or repair its host",
            NodesNotReported { .. } => "wait for the agents' full reports",
            TooManyReplicas { .. } => "bring back a node that holds a replica",
            SourceDamaged { .. } | Inconsistent { .. } => "nothing: the replica is verified and mended",
            LastComplete { .. } | TooFewHolders { .. } | NotProven { .. } | EvidenceTimedOut { .. } => {
                "bring the other replicas back; nothing is deleted before they are proven"
            }
            BalanceDisabled => "allow it again: `stele config set disable_balance false`",
            PrimariesOnly => "allow the others again: `stele config set only_primary_balancer false`",
            GroupBalanceOff { .. } => "allow it again: `stele config set KNOB false`",
            GroupUnstable { .. } => "see `stele task list`; it is evened when it stands",
            GroupAlone { .. } | GroupUneven { .. } => "add hosts, or disks with room",
            RepairsFirst { .. } => "see `stele task list`; balance goes on by itself",
            AgentFailed { .. } => "see the agent's log; the copy is tried again",
            NothingEvens { .. } => "add hosts or disks; only healthy tablets move, and no two copies to one host",
            LoadAborted
            | AlreadyCommitted { .. }
            | RevisionMoved { .. }
            | NotReady { .. }
            | NodeTakesEnough { .. }
            | NoSourceSlot { .. }
            | NoDestinationSlot { .. }
            | HostHasCopy { .. }
            | OtherMedium { .. }
            | TableNotNormal { .. }
            | NotInBucket { .. }
            | TabletHasTask { .. }
            | NowHealthy
            | QueueFull { .. }
            | Backoff { .. }
            | TimedOut { .. }
            | Stalled { .. }
            | NotAdopted
            | TableDropped
            | CopiesLost { .. }
            | BalanceIdle { .. }
            | BalanceHeld { .. }
            | RepairFirst { .. }
            | NotWorth { .. }
            | BalanceTooEarly { .. }
            | BalanceLooks { .. }
            | PrimariesEven
            | PrimariesUneven { .. }
            | NotPrimary { .. }
            | LoadOnTablet { .. }
            | PrimaryRests { .. }
            | NodesUnsettled { .. }
            | GroupEven { .. }
            | LoadCountsIt { .. } => return None,
        };
        Some(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times are said as calendars do.
    #[test]
    fn times_are_calendar_times() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }

    /// Sizes are said as people say them.
    #[test]
    fn sizes_are_readable() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (3 << 19, "1.5 MiB"),
            (200 << 30, "200.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
