//! The rows of the registry: every knob, in the order in which they are explained. What they are is [`super::knobs`]'s.

use super::knobs::{Alias, Kind, Knob, Scale, Unit};

const HOUR: u64 = 3_600_000;
const YEAR: u64 = 366 * 24 * HOUR;

pub(super) const KNOBS: &[Knob] = &[
    // nodes
    from_file(ms("beat_ms", 1, HOUR, "agents beat this often")),
    ms("silent_ms", 1, HOUR, "no beat for this long: SILENT"),
    ms("lost_ms", 1, HOUR, "no beat for this long: LOST, repair waits begin"),
    from_file(ms("lease_ms", 1, HOUR, "an agent that heard nothing for this long takes no loads")),
    count("min_live_node_count_for_unfreeze", 1, 100_000, "fewer live nodes than this freeze the cluster"),
    Knob {
        aliases: &[same("live_percentage")],
        kind: Kind::Whole { unit: Unit::Percent, min: 0, max: 100 },
        ..count(
            "node_live_percentage_threshold_for_update",
            0,
            100,
            "a smaller part of live nodes than this freezes the cluster",
        )
    },
    // repair
    Knob {
        aliases: &[
            same("replica_assign_delay_ms_for_dropouts"),
            // Once for HIGH, twice for NORMAL; LOW waits for nothing in our law.
            times("repair_delay_factor_second", 2_000),
            times("tablet_repair_delay_factor_second", 2_000),
            times("tablet_repair_delay", 2_000),
        ],
        ..ms("assign_delay_ms", 0, YEAR, "wait from LOST to a new copy while a majority is left")
    },
    Knob {
        aliases: &[
            times("repair_delay_factor_second", 1_000),
            times("tablet_repair_delay_factor_second", 1_000),
            times("tablet_repair_delay", 1_000),
        ],
        ..ms("assign_delay_below_majority_ms", 0, YEAR, "wait from LOST to a new copy below majority")
    },
    Knob {
        name: "assign_secondary_black_list",
        kind: Kind::Names,
        live: true,
        meaning: "nodes that get no new replica: ids, hosts, names or addresses",
        aliases: &[],
    },
    flag("add_secondary_enable_flow_control", "repair copies under way to one node are bounded"),
    count("add_secondary_max_count_for_one_node", 0, 100_000, "so many at once under flow control; 0 is none"),
    ms("install_grace_ms", 0, HOUR, "a replica that is behind has this long to install before a copy is ordered"),
    Knob {
        aliases: &[same("slot_num_per_path")],
        ..count(
            "schedule_slot_num_per_path",
            1,
            1_024,
            "repair copies at once on a disk, as source and destination together",
        )
    },
    Knob {
        aliases: &[same("max_scheduling_tablets")],
        ..count("queue_max", 1, 10_000_000, "pending repairs at most; beyond it the idle give way to the urgent")
    },
    count("history_max", 0, 1_000_000, "ended tasks remembered"),
    // space
    Knob {
        aliases: &[percent("storage_high_watermark_usage_percent"), percent("storage_usage_soft_limit_percent")],
        ..part("storage_high_watermark", "a copy leaves min((1 - this) x total, storage_headroom_bytes) free")
    },
    Knob {
        aliases: &[same("storage_min_left_capacity_bytes"), same("storage_usage_soft_limit_reserve_bytes")],
        ..bytes("storage_headroom_bytes", "a copy leaves min((1 - storage_high_watermark) x total, this) free")
    },
    Knob {
        aliases: &[percent("storage_flood_stage_usage_percent"), percent("storage_usage_hard_limit_percent")],
        ..part("load_high_watermark", "a load leaves min((1 - this) x total, load_headroom_bytes) free")
    },
    Knob {
        aliases: &[same("storage_flood_stage_left_capacity_bytes"), same("storage_usage_hard_limit_reserve_bytes")],
        ..bytes("load_headroom_bytes", "a load leaves min((1 - load_high_watermark) x total, this) free")
    },
    // balance
    count(
        "balance_slot_num_per_path",
        1,
        1_024,
        "copies at once on a disk that only make hosts even; apart from those of repair",
    ),
    count("max_balancing_tablets", 1, 100_000, "moves planned at once"),
    flag("disable_balance", "nothing is moved to make hosts even"),
    flag("balancer_in_turn", "balance goes table by table: the next when the one before needs nothing"),
    flag("only_primary_balancer", "only primaries are evened, other copies stay"),
    flag("only_move_primary", "primaries are evened by changing roles alone, never by copying"),
    flag("disable_colocate_balance", "bucket sequences of colocation groups are not evened"),
    Knob {
        aliases: &[times("colocate_balance_wait_system_stable_time_s", 1_000)],
        ..ms("colocate_balance_wait_ms", 0, YEAR, "groups are evened when no node has come or gone for this long")
    },
    part("balance_threshold", "disks of a medium are evened when their used parts differ by this or more"),
    part("capacity_used_percent_high_water", "above this used part of its disks only space counts in a node's score"),
    part(
        "balance_load_score_threshold",
        "a node whose score is further than this part from the average is HIGH or LOW",
    ),
    // tasks
    rate("task_rate_min", "a copy's timeout is its size divided by this, within its two bounds"),
    Knob {
        aliases: &[times("min_clone_task_timeout_sec", 1_000)],
        ..ms("task_timeout_min_ms", 1, YEAR, "a copy's timeout is at least this")
    },
    Knob {
        aliases: &[times("max_clone_task_timeout_sec", 1_000)],
        ..ms("task_timeout_max_ms", 1, YEAR, "a copy's timeout is at most this")
    },
    rate("task_rate_alive", "a copy past its timeout goes on while it is faster than this"),
    ms(
        "task_stall_ms",
        1,
        YEAR,
        "no byte for this long ends a copy; a silent source is left for the next after a share of it",
    ),
    limit("repair_disk_rate", "repair reads from and writes to one disk at most this; 0 = no limit"),
    limit("repair_node_rate", "one agent sends at most this for repair, and receives as much; 0 = no limit"),
    limit("balance_disk_rate", "balance reads from and writes to one disk at most this; 0 = no limit"),
    limit("balance_node_rate", "one agent sends at most this for balance, and receives as much; 0 = no limit"),
    ms("evidence_timeout_ms", 1, YEAR, "a deletion whose evidence does not come in this time is undone"),
    ms("scrub_period_ms", 1, YEAR, "content receipts older than twice this are no proof"),
    // versions, trash, loads
    count("keep_versions", 1, 1_000_000, "versions of a tablet kept at least"),
    ms("keep_for_ms", 0, YEAR, "a superseded version is kept this long"),
    ms("trash_ms", 0, YEAR, "trash is freed after this long, when enough others are proven"),
    ms("load_timeout_ms", 1, YEAR, "a load that is not durable at a quorum in this time is aborted"),
    ms("load_results_ms", 0, YEAR, "results of loads are kept this long"),
];

const fn ms(name: &'static str, min: u64, max: u64, meaning: &'static str) -> Knob {
    Knob { name, kind: Kind::Whole { unit: Unit::Ms, min, max }, live: true, meaning, aliases: &[] }
}

const fn count(name: &'static str, min: u64, max: u64, meaning: &'static str) -> Knob {
    Knob { name, kind: Kind::Whole { unit: Unit::Count, min, max }, live: true, meaning, aliases: &[] }
}

const fn bytes(name: &'static str, meaning: &'static str) -> Knob {
    let kind = Kind::Whole { unit: Unit::Bytes, min: 0, max: u64::MAX };
    Knob { name, kind, live: true, meaning, aliases: &[] }
}

const fn rate(name: &'static str, meaning: &'static str) -> Knob {
    let kind = Kind::Whole { unit: Unit::BytesPerSecond, min: 1, max: u64::MAX };
    Knob { name, kind, live: true, meaning, aliases: &[] }
}

/// 0 stands for none.
const fn limit(name: &'static str, meaning: &'static str) -> Knob {
    let kind = Kind::Whole { unit: Unit::BytesPerSecond, min: 0, max: u64::MAX };
    Knob { name, kind, live: true, meaning, aliases: &[] }
}

const fn flag(name: &'static str, meaning: &'static str) -> Knob {
    Knob { name, kind: Kind::Flag, live: true, meaning, aliases: &[] }
}

const fn part(name: &'static str, meaning: &'static str) -> Knob {
    Knob { name, kind: Kind::Part, live: true, meaning, aliases: &[] }
}

/// Agents hear it when they connect, so it cannot change under them.
const fn from_file(knob: Knob) -> Knob {
    Knob { live: false, ..knob }
}

const fn same(name: &'static str) -> Alias {
    Alias { name, scale: Scale::Same }
}

const fn times(name: &'static str, factor: u64) -> Alias {
    Alias { name, scale: Scale::Times(factor) }
}

const fn percent(name: &'static str) -> Alias {
    Alias { name, scale: Scale::Percent }
}
