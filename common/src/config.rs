//! Every knob: its unit, its default, and the one rule that reads it. A file is TOML; `STELE__SECTION__KEY`
//! overrides it, flags come last; an unknown key is an error.

use crate::{CopyLimit, CopyLimits, TaskType};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::path::PathBuf;

mod agent;
pub mod knobs;
mod known;

pub use agent::{AgentConfig, AgentLimits, DiskConfig, ScrubKnobs};

/// The coordinator's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoordinatorConfig {
    pub coordinator: CoordinatorSection,
    pub repair: RepairKnobs,
}

/// Where the coordinator lives and listens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoordinatorSection {
    /// Its store.
    pub dir: PathBuf,
    /// Agents dial this address.
    pub agents: String,
    /// People and scripts: HTTP.
    pub http: String,
    /// `mysql` clients; empty: there is no such port.
    pub sql: String,
    /// Certificate chain and key of the MySQL port, PEM; without them it makes its own at each start.
    pub sql_certificate: Option<PathBuf>,
    pub sql_key: Option<PathBuf>,
    /// MySQL clients that do not speak TLS are sent away.
    pub sql_requires_tls: bool,
    /// Who may come in; without it only root, without a password, from this machine.
    pub users_file: Option<PathBuf>,
    /// File with the cluster's token (64 hex digits); needed to bind outside loopback.
    pub token_file: Option<PathBuf>,
}

impl Default for CoordinatorSection {
    fn default() -> Self {
        CoordinatorSection {
            dir: "stele-coordinator".into(),
            agents: "127.0.0.1:7400".into(),
            http: "127.0.0.1:7401".into(),
            sql: "127.0.0.1:9030".into(),
            sql_certificate: None,
            sql_key: None,
            sql_requires_tls: false,
            users_file: None,
            token_file: None,
        }
    }
}

/// The law's numbers. Times are milliseconds, sizes bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepairKnobs {
    /// Agents beat this often. Half of it doubles idle traffic; double it and silence is seen a second later.
    pub beat_ms: u64,
    /// No beat for this long: SILENT. Three beats, so that one lost packet is no event.
    pub silent_ms: u64,
    /// No beat for this long: LOST, repair waits begin.
    pub lost_ms: u64,
    /// An agent that heard nothing for this long takes no loads; shorter than `lost_ms`, so that it stops before we act.
    pub lease_ms: u64,
    /// Wait from LOST to a new copy while a majority is left (Pegasus' name).
    pub assign_delay_ms: u64,
    /// Wait below majority.
    pub assign_delay_below_majority_ms: u64,
    /// Fewer live nodes than this freeze the cluster (Pegasus' name; its 3 would stop small clusters).
    pub min_live_node_count_for_unfreeze: u64,
    /// So does a smaller part of the nodes than this, percent (Pegasus' name).
    pub node_live_percentage_threshold_for_update: u64,
    /// Nodes that get no new replica: ids, hosts, names or addresses (Pegasus' name).
    #[serde(deserialize_with = "knobs::list_or_text")]
    pub assign_secondary_black_list: Vec<String>,
    /// Repair copies under way to one node are bounded (Pegasus' names).
    pub add_secondary_enable_flow_control: bool,
    /// So many at once; 0 = none at all.
    pub add_secondary_max_count_for_one_node: u32,
    /// A replica that is behind gets this long to install what it has staged before a copy is ordered.
    pub install_grace_ms: u64,
    /// Copies at once on a disk, as source and as destination together (the seed's name).
    pub schedule_slot_num_per_path: u32,
    /// Copies at once on a disk that only make hosts even; slots apart from those of repair (the seed's name).
    pub balance_slot_num_per_path: u32,
    /// Moves planned at once (the originals' name).
    pub max_balancing_tablets: usize,
    /// Nothing is moved to make hosts even.
    pub disable_balance: bool,
    /// Balance goes table by table: the next one when the one before needs nothing (the originals' name, as the next two).
    pub balancer_in_turn: bool,
    /// Only primaries are evened.
    pub only_primary_balancer: bool,
    /// Primaries are evened by roles alone, not by copies.
    pub only_move_primary: bool,
    /// Sequences of colocation groups are not evened (the originals' name).
    pub disable_colocate_balance: bool,
    /// Nodes must not have come or gone for so long before they are. Much shorter, and a host that restarts moves whole
    /// buckets; much longer, and a new host stays empty.
    pub colocate_balance_wait_ms: u64,
    /// Above this used part of its disks, only space counts in a node's score (the seed's name).
    pub capacity_used_percent_high_water: f64,
    /// A node whose score is further than this part from the average is HIGH or LOW (the originals' name).
    pub balance_load_score_threshold: f64,
    /// Disks of a medium are evened when their used parts differ by this or more. Halved, twice the bytes are moved for
    /// the same use of space; doubled, the fullest disk is full while a tenth of the space is free.
    pub balance_threshold: f64,
    /// A destination keeps at least min((1 - this) x total, `storage_headroom_bytes`) free.
    pub storage_high_watermark: f64,
    pub storage_headroom_bytes: u64,
    /// Loads keep at least min((1 - this) x total, `load_headroom_bytes`) free.
    pub load_high_watermark: f64,
    pub load_headroom_bytes: u64,
    /// Timeout of a copy = clamp(size / this (bytes per second; the originals' 5 MiB), min, max); one that still moves
    /// faster than `task_rate_alive` goes on.
    pub task_rate_min: u64,
    pub task_timeout_min_ms: u64,
    pub task_timeout_max_ms: u64,
    pub task_rate_alive: u64,
    /// No byte for this long ends a copy.
    pub task_stall_ms: u64,
    /// Bytes a second that repair reads from and writes to one disk at most; 0 = no limit.
    pub repair_disk_rate: u64,
    /// Bytes a second that one agent sends, and as many that it receives, for repair; 0 = no limit.
    pub repair_node_rate: u64,
    /// The same for balance. Half of what a spinning disk can do is left to its readers.
    pub balance_disk_rate: u64,
    pub balance_node_rate: u64,
    /// A deletion whose evidence does not come in this time is undone.
    pub evidence_timeout_ms: u64,
    /// Content receipts older than this are not proof.
    pub scrub_period_ms: u64,
    /// Pending tasks at most; beyond it the idle give way to the urgent.
    pub queue_max: usize,
    /// Decisions remembered.
    pub history_max: usize,
    /// Versions kept at least, and for how long a superseded one is kept.
    pub keep_versions: u32,
    pub keep_for_ms: u64,
    /// Trash is freed after this long, when n others are proven.
    pub trash_ms: u64,
    /// A load that has not become durable at a quorum in this time is aborted.
    pub load_timeout_ms: u64,
    /// Results of loads are kept this long.
    pub load_results_ms: u64,
}

impl Default for RepairKnobs {
    fn default() -> Self {
        RepairKnobs {
            beat_ms: 1_000,
            silent_ms: 3_000,
            lost_ms: 10_000,
            lease_ms: 6_000,
            assign_delay_ms: 300_000,
            assign_delay_below_majority_ms: 10_000,
            min_live_node_count_for_unfreeze: 1,
            node_live_percentage_threshold_for_update: 50,
            assign_secondary_black_list: Vec::new(),
            add_secondary_enable_flow_control: false,
            add_secondary_max_count_for_one_node: 10,
            install_grace_ms: 2_000,
            schedule_slot_num_per_path: 2,
            balance_slot_num_per_path: 2,
            max_balancing_tablets: 500,
            disable_balance: false,
            balancer_in_turn: false,
            only_primary_balancer: false,
            only_move_primary: false,
            disable_colocate_balance: false,
            colocate_balance_wait_ms: 15 * 60 * 1000,
            capacity_used_percent_high_water: 0.75,
            balance_load_score_threshold: 0.1,
            balance_threshold: 0.1,
            storage_high_watermark: 0.85,
            storage_headroom_bytes: 200 << 30,
            load_high_watermark: 0.95,
            load_headroom_bytes: 100 << 30,
            task_rate_min: 5 << 20,
            task_timeout_min_ms: 180_000,
            task_timeout_max_ms: 7_200_000,
            task_rate_alive: 1 << 20,
            task_stall_ms: 60_000,
            repair_disk_rate: 0,
            repair_node_rate: 0,
            balance_disk_rate: 100 << 20,
            balance_node_rate: 200 << 20,
            evidence_timeout_ms: 60_000,
            scrub_period_ms: 7 * 24 * 3_600_000,
            queue_max: 10_000,
            history_max: 1_000,
            keep_versions: 2,
            keep_for_ms: 3_600_000,
            trash_ms: 24 * 3_600_000,
            load_timeout_ms: 600_000,
            load_results_ms: 7 * 24 * 3_600_000,
        }
    }
}

impl RepairKnobs {
    /// Free bytes that a copy must leave on a disk of `total` bytes.
    pub fn clone_reserve(&self, total: u64) -> u64 {
        reserve(total, self.storage_high_watermark, self.storage_headroom_bytes)
    }

    /// Free bytes that a load must leave on a disk of `total` bytes.
    pub fn load_reserve(&self, total: u64) -> u64 {
        reserve(total, self.load_high_watermark, self.load_headroom_bytes)
    }

    /// [`RepairKnobs::balance_threshold`] in parts per million.
    pub fn balance_threshold_ppm(&self) -> u64 {
        (self.balance_threshold.clamp(0.0, 1.0) * 1e6).round() as u64
    }

    /// How fast copies may be.
    pub fn copy_limits(&self) -> CopyLimits {
        CopyLimits {
            repair: CopyLimit { disk: self.repair_disk_rate, node: self.repair_node_rate },
            balance: CopyLimit { disk: self.balance_disk_rate, node: self.balance_node_rate },
        }
    }

    /// A copy past its timeout that is slower than this, bytes a second, is ended. Where a limit is in force it shares
    /// that with others, so less is expected of it.
    pub fn alive_rate(&self, task_type: TaskType) -> u64 {
        let CopyLimit { disk, node } = self.copy_limits().of(task_type);
        let limits = [disk, node].into_iter().filter(|limit| *limit > 0).map(|limit| limit / LIMIT_SHARERS);
        limits.fold(self.task_rate_alive, u64::min)
    }

    /// How long one of so many sources of a copy may say nothing before the next is asked, milliseconds. Between two bytes
    /// each of them may be silent once, and the one that gave the last byte once more; that, and what the last one takes to
    /// begin, must end before `task_stall_ms` ends the copy: 20 s of 60 with one source, 15 with two. Shorter than
    /// [`SOURCE_PATIENCE_MIN_MS`] a source on a busy disk would be passed over: of more than ten that are all silent, not
    /// all are asked.
    pub fn source_patience_ms(&self, sources: usize) -> u64 {
        let share = |shares: u64| (self.task_stall_ms / shares).max(1);
        let least = SOURCE_PATIENCE_MIN_MS.min(share(3));
        share((sources as u64).saturating_add(2)).max(least)
    }

    /// How long a copy of `size` bytes may take, milliseconds: 1 GiB 204.8 s, 100 MiB the least, 100 GiB the most.
    pub fn task_timeout_ms(&self, size: u64) -> u64 {
        let by_rate = size.saturating_mul(1000) / self.task_rate_min.max(1);
        by_rate.clamp(self.task_timeout_min_ms, self.task_timeout_max_ms)
    }
}

/// A source is waited for at least so long, unless a third of `task_stall_ms` is less: as long as for a connection.
const SOURCE_PATIENCE_MIN_MS: u64 = 5_000;

/// Copies that may share one limit: disks of an agent times slots of a disk, and more.
const LIMIT_SHARERS: u64 = 64;

fn reserve(total: u64, watermark: f64, headroom: u64) -> u64 {
    (((1.0 - watermark) * total as f64) as u64).min(headroom)
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    #[error("{origin}: {detail}")]
    Toml { origin: String, detail: String },
    #[error("the environment variable {0} is not of the form STELE__SECTION__KEY")]
    Variable(String),
    #[error("the environment variable {name} does not fit: {detail}")]
    Override { name: String, detail: String },
}

/// Reads `text` (from `origin`, for messages) with the overrides in `environment`; both may be empty.
/// `STELE__REPAIR__ASSIGN_DELAY_MS=5000` sets `repair.assign_delay_ms`; `STELE__HOST=a` sets `host`.
pub fn parse<T: DeserializeOwned>(
    text: &str,
    origin: &str,
    environment: &BTreeMap<String, String>,
) -> Result<T, BadConfig> {
    let refused = |origin: &str, error: toml::de::Error| BadConfig::Toml {
        origin: origin.to_string(),
        detail: error.to_string(),
    };
    // The file alone first: what is wrong with it is named with its line.
    let alone: T = toml::from_str(text).map_err(|error| refused(origin, error))?;
    if environment.is_empty() {
        return Ok(alone);
    }
    let mut root: toml::Table = toml::from_str(text).map_err(|error| refused(origin, error))?;
    let mut config = alone;
    for (name, value) in environment {
        put(&mut root, name, value)?;
        // After each, so that the one that does not fit is named.
        config = root.clone().try_into().map_err(|error: toml::de::Error| BadConfig::Override {
            name: name.clone(),
            detail: error.message().to_string(),
        })?;
    }
    Ok(config)
}

/// Sets what one variable says; others than ours say nothing.
fn put(root: &mut toml::Table, name: &str, value: &str) -> Result<(), BadConfig> {
    let Some(rest) = name.strip_prefix("STELE__") else { return Ok(()) };
    let malformed = || BadConfig::Variable(name.to_string());
    let keys: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
    let (last, sections) = keys.split_last().filter(|(last, _)| !last.is_empty()).ok_or_else(malformed)?;
    let mut table = root;
    for section in sections {
        let slot = table.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = slot.as_table_mut().ok_or_else(malformed)?;
    }
    table.insert(last.clone(), value_of(value));
    Ok(())
}

/// The variables of this process that are ours.
pub fn environment(all: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    all.filter(|(name, _)| name.starts_with("STELE__")).collect()
}

fn value_of(text: &str) -> toml::Value {
    if let Ok(number) = text.parse::<i64>() {
        return toml::Value::Integer(number);
    }
    if let Ok(number) = text.parse::<f64>() {
        return toml::Value::Float(number);
    }
    match text {
        "true" => toml::Value::Boolean(true),
        "false" => toml::Value::Boolean(false),
        _ => toml::Value::String(text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files, then the environment; an unknown key is an error that names it.
    #[test]
    fn layers_and_unknown_keys() {
        let none = BTreeMap::new();
        let config: CoordinatorConfig = parse("[repair]\nassign_delay_ms = 5", "f", &none).unwrap();
        assert_eq!(config.repair.assign_delay_ms, 5);
        let env = environment(
            [("STELE__REPAIR__ASSIGN_DELAY_MS".to_string(), "7".to_string()), ("HOME".into(), "/".into())].into_iter(),
        );
        let config: CoordinatorConfig = parse("[repair]\nassign_delay_ms = 5", "f", &env).unwrap();
        assert_eq!(config.repair.assign_delay_ms, 7);
        let error =
            parse::<CoordinatorConfig>("[repair]\nasign_delay_ms = 5", "c.toml", &none).unwrap_err().to_string();
        assert!(error.contains("asign_delay_ms") && error.contains("c.toml"), "{error}");
    }

    /// A variable that does not fit is named itself, whatever the file says; a fault of the file stays the file's.
    #[test]
    fn a_bad_variable_is_named() {
        let refused = |text: &str, name: &str, value: &str| {
            let environment =
                environment([("STELE__REPAIR__LOST_MS".into(), "9".into()), (name.into(), value.into())].into_iter());
            parse::<CoordinatorConfig>(text, "k.toml", &environment).unwrap_err().to_string()
        };
        let unknown = refused("[repair]\nlost_ms = 5", "STELE__REPAIR__LOST_MSS", "7");
        assert!(unknown.contains("STELE__REPAIR__LOST_MSS") && unknown.contains("lost_mss"), "{unknown}");
        assert!(!unknown.contains("k.toml") && !unknown.contains("line"), "{unknown}");
        let text = refused("", "STELE__REPAIR__LEASE_MS", "soon");
        assert!(text.contains("STELE__REPAIR__LEASE_MS") && text.contains("soon"), "{text}");
        let file = refused("[repair]\nlos_ms = 5", "STELE__REPAIR__LEASE_MS", "7");
        assert!(file.contains("k.toml") && file.contains("los_ms") && file.contains("line 2"), "{file}");
    }

    /// The seed's numbers (reference 2.6, 2.8).
    #[test]
    fn timeouts_and_reserves() {
        let knobs = RepairKnobs::default();
        for (size, ms) in [(0, 180_000), (100 << 20, 180_000), (1 << 30, 204_800), (10 << 30, 2_048_000)] {
            assert_eq!(knobs.task_timeout_ms(size), ms, "{size} bytes");
        }
        assert_eq!(knobs.task_timeout_ms(100 << 30), 7_200_000);
        assert_eq!(knobs.clone_reserve(1000 << 30) >> 30, 150);
        assert_eq!(knobs.clone_reserve(4000 << 30) >> 30, 200);
    }
    /// As long as the least patience allows it, all sources can be silent, one of them twice, before a copy counts as stalled.
    #[test]
    fn silent_sources_leave_time_for_others() {
        let knobs = RepairKnobs::default();
        let waits = [1, 2, 3, 10, 16].map(|sources| knobs.source_patience_ms(sources));
        assert_eq!(waits, [20_000, 15_000, 12_000, 5_000, 5_000]);
        for sources in 0..=10 {
            assert!((sources as u64 + 1) * knobs.source_patience_ms(sources) < knobs.task_stall_ms, "{sources}");
        }
        let brief = |task_stall_ms| RepairKnobs { task_stall_ms, ..RepairKnobs::default() };
        assert_eq!([1, 30, 9_000].map(|ms| brief(ms).source_patience_ms(2)), [1, 10, 3_000]);
    }
}
