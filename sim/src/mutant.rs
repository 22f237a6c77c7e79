//! Named breaches of single laws, each made from a real incident. The harness commits them at its boundary, on what
//! the rules say or hear, so that the rules hold no test-only branch. A suite that lets one live does not see enough.

use stele_common::Tick;
use stele_coordinator_rules::schedule::slots::size_of;
use stele_coordinator_rules::world::Work;
use stele_coordinator_rules::{Change, Proposal, World};

/// One broken law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// A drop takes whatever replica of the tablet it finds (StarRocks 29530, Doris 6061).
    DropIgnoresReplica,
    /// A load stream is called durable when it begins (NATS 2.12.1).
    AckBeforeDurable,
    /// A report that comes again late is taken for a new one (Doris 38695, HDFS 16987).
    StaleReportAccepted,
    /// Orders of a leadership that is over are followed (Doris 3545).
    OldEpochAccepted,
    /// A task that was cancelled never ends, so its slot is never free again (Doris 6659).
    SlotLeaked,
    /// A directory that is gone is reported as a disk without replicas (Pegasus 895, MinIO 14053).
    MissingReadAsEmpty,
    /// A copy takes bytes that do not match their digest (Ceph 19.2, HostUp).
    RottenSourceAccepted,
    /// The drop goes out when the victim is chosen (SeaweedFS 5881).
    DeleteWithoutEvidence,
    /// The store does not keep how far ids were reserved (incarnations are used twice).
    CounterNotPersisted,
    /// A replica that failed its digest is removed at once (Pegasus 1572).
    QuarantineDeletes,
    /// A copy that was given up still counts as the replica that the catalog wants (Doris 9886).
    LateCloneCounts,
    /// A dead host is never noticed.
    DeadHostCounts,
    /// Answers and orders leave before their records are durable (Pegasus 719).
    SentBeforeStored,
    /// The agent frees trash on its own word.
    PurgeWithoutOrder,
    /// A crash during an install leaves the new head without its files (TiKV 11746).
    HalfInstallVisible,
    /// A replica that went back to an older version is taken for what it was (Doris 1966, HDFS 17342).
    RegressionAccepted,
    /// A new leadership takes whoever it has not heard for dead (MinIO 14053, StarRocks 10619).
    GraceSkipped,
    /// Verifying reads from the cache, so rot on the medium is never found (ZFS 15526, TigerBeetle's scrub).
    VerifyReadsNothing,
    /// After a failed sync the next one is believed (fsync failures, ATC 2020; Ceph 2026: writes acknowledged and dropped).
    FailedSyncTrusted,
    /// A coordinator goes on with an older copy of its store (Neon 8784, Doris 3545).
    OldStoreTrusted,
    /// Of a load's one commit record only the first tablet's part is written (HBase 23693, Neon 11254).
    TornCommit,
    /// New copies go to hosts that are being drained (Doris 4802: the drain never ends).
    TargetIgnoresDraining,
    /// Of a surplus the newest copy leaves, not the one that it was made for (Doris 4147, SeaweedFS 2637).
    VictimReversed,
    /// Hosts that are away on purpose are replaced at once (Doris 4935, StarRocks operator 764).
    MaintenanceIgnored,
    /// A drain drops its copy when the new one is ordered (SeaweedFS 6042, Doris 17182).
    DrainDropsFirst,
    /// What is put together from bad and trashed replicas is taken without its digests (Ceph at RAL, Pegasus 1572).
    SalvageWithoutDigest,
    /// A new copy may go to any host, whatever tag its table asks for (StarRocks 33413).
    TagIgnoredAtTarget,
    /// What comes and goes may do so for ever: each return restarts the wait in full (Pegasus's flapping nodes).
    FlapBoundLifted,
    /// A copy that landed behind is not brought up first, its surplus is judged at once (Doris 4147).
    FurtherRepairIgnored,
    /// A deletion that is given up leaves its victim in DECOMMISSION (StarRocks 1976).
    UndoLeavesDecommission,
    /// Of a colocated surplus the copy inside the bucket leaves, not the one outside (Doris 7066).
    ColocateDropSwapped,
    /// Bytes that are on their way to a disk do not count there (CockroachDB 4110).
    InFlightBytesNotCounted,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 32] = [
        Mutant::DropIgnoresReplica,
        Mutant::AckBeforeDurable,
        Mutant::StaleReportAccepted,
        Mutant::OldEpochAccepted,
        Mutant::SlotLeaked,
        Mutant::MissingReadAsEmpty,
        Mutant::RottenSourceAccepted,
        Mutant::DeleteWithoutEvidence,
        Mutant::CounterNotPersisted,
        Mutant::QuarantineDeletes,
        Mutant::LateCloneCounts,
        Mutant::DeadHostCounts,
        Mutant::SentBeforeStored,
        Mutant::PurgeWithoutOrder,
        Mutant::HalfInstallVisible,
        Mutant::RegressionAccepted,
        Mutant::GraceSkipped,
        Mutant::VerifyReadsNothing,
        Mutant::FailedSyncTrusted,
        Mutant::OldStoreTrusted,
        Mutant::TornCommit,
        Mutant::TargetIgnoresDraining,
        Mutant::VictimReversed,
        Mutant::MaintenanceIgnored,
        Mutant::DrainDropsFirst,
        Mutant::SalvageWithoutDigest,
        Mutant::TagIgnoredAtTarget,
        Mutant::FlapBoundLifted,
        Mutant::FurtherRepairIgnored,
        Mutant::UndoLeavesDecommission,
        Mutant::ColocateDropSwapped,
        Mutant::InFlightBytesNotCounted,
    ];
}

/// The world as checker and desk see it under a mutant that closes their eyes to something.
pub fn bent(mutant: Option<Mutant>, world: &World) -> Option<World> {
    let blind: fn(&mut World) = match mutant? {
        Mutant::TargetIgnoresDraining => |world| world.nodes.values_mut().for_each(|node| node.draining = false),
        Mutant::MaintenanceIgnored => |world| world.leases.clear(),
        Mutant::TagIgnoredAtTarget => |world| {
            world.nodes.values_mut().for_each(|node| node.tag.clear());
            world.tables.values_mut().for_each(|table| std::sync::Arc::make_mut(table).tag.clear());
        },
        Mutant::FlapBoundLifted => |world| world.nodes.values_mut().for_each(|node| node.flaps = Default::default()),
        Mutant::FurtherRepairIgnored => |world| {
            // As if each mark were long over.
            let replicas = world.tablets.iter().flat_map(|tablet| tablet.replicas.iter().map(move |r| (tablet.id, r)));
            let marked: Vec<_> = replicas.filter(|(_, r)| r.further_repair.is_some()).map(|(t, r)| (t, r.id)).collect();
            for (tablet, replica) in marked {
                world.apply(&Change::FurtherRepairMarked { tablet, replica, at: Tick(0) });
            }
        },
        Mutant::InFlightBytesNotCounted => |world| {
            let running = world.tasks.values().filter_map(|task| match &task.work {
                Work::Clone { disk, .. } => Some((*disk, world.tablets.get(task.tablet).map_or(0, size_of))),
                Work::Delete { .. } => None,
            });
            for (disk, bytes) in running.collect::<Vec<_>>() {
                world.disks.get_mut(&disk).into_iter().for_each(|disk| disk.space.total += bytes);
            }
        },
        _ => return None,
    };
    let mut world = world.clone();
    blind(&mut world);
    Some(world)
}

/// A wish that was decided on a bent world is none that a moved world refuses.
pub fn straighten(mut proposal: Proposal, world: &World) -> Proposal {
    match &mut proposal {
        Proposal::Clone { tablet, revision, .. } | Proposal::Delete { tablet, revision, .. } => {
            *revision = world.tablets.get(*tablet).map_or(*revision, |tablet| tablet.revision);
        }
        Proposal::Move { mv, revision } => {
            *revision = world.tablets.get(mv.tablet).map_or(*revision, |tablet| tablet.revision);
        }
        Proposal::Cancel { .. } | Proposal::Turn(_) => {}
    }
    proposal
}
