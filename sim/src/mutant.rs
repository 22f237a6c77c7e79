//! Named breaches of single laws, each made from a real incident. The harness commits them at its boundary, on what
//! the rules say or hear, so that the rules hold no test-only branch. A suite that lets one live does not see enough.

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
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 26] = [
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
    ];
}
