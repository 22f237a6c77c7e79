//! The family of backends: nodes, and the disks of one.

use super::Moment;
use super::fault::Fault;
use super::format::{part, percent, size, time};
use super::rows::{Row, Table, Value, row};
use crate::front::view::{self, Placements};
use serde_json::json;
use std::collections::BTreeMap;
use stele_common::api::{DiskInfo, NodeInfo};
use stele_common::{DiskState, Liveness, NodeId};
use stele_coordinator_rules::world::Node;

const NODES: &[&str] = &[
    "BackendId",
    "Cluster",
    "IP",
    "HeartbeatPort",
    "BePort",
    "HttpPort",
    "BrpcPort",
    "LastStartTime",
    "LastHeartbeat",
    "Alive",
    "SystemDecommissioned",
    "ClusterDecommissioned",
    "TabletNum",
    "DataUsedCapacity",
    "AvailCapacity",
    "TotalCapacity",
    "UsedPct",
    "MaxDiskUsedPct",
    "ErrMsg",
    "Version",
    "Status",
    "Host",
    "Name",
    "Rack",
    "Liveness",
];

/// SHOW BACKENDS, and '/backends'.
pub fn list<'a>(moment: &Moment, silences: BTreeMap<NodeId, u64>) -> Table<'a> {
    let placements = Placements::of(moment.world());
    let nodes = moment.world().nodes.values();
    let rows = nodes.map(|node| {
        let silent = silences.get(&node.id).copied();
        one(moment, node, &view::node(moment.world(), &placements, node, silent))
    });
    Table::of(NODES, rows.collect())
}

fn one(moment: &Moment, node: &Node, info: &NodeInfo) -> Row {
    let (ip, peer) = address(&info.peer);
    let (_, http) = address(&info.http);
    let is_alive = info.liveness == Liveness::Alive;
    // Of a backend that is away, what it had when it was last heard.
    let there = || info.disks.iter().filter(|disk| disk.state != DiskState::Unavailable || !is_alive);
    let (used, total) = (there().map(|disk| disk.used).sum(), there().map(|disk| disk.total).sum());
    let fullest = there().map(|disk| disk.used_percent / 100.0).fold(0.0, f64::max);
    let started = if is_alive { time(moment.wall_at(node.since)) } else { Value::absent() };
    let heard = info.silent_ms.map_or_else(Value::absent, |silent| time(moment.wall_ms.saturating_sub(silent)));
    let error = match (info.liveness, info.silent_ms) {
        (Liveness::Alive, _) => String::new(),
        (Liveness::Silent | Liveness::Lost, Some(ms)) => format!("no heartbeat for {} s", ms / 1000),
        (Liveness::Silent | Liveness::Lost, None) => "not heard since this coordinator leads".into(),
    };
    let drain = info.drain.map(|state| state.as_str());
    let status = json!({ "drain": drain, "maintenance_until": info.maintenance_until }).to_string();
    row![
        info.id.0,
        info.tag.as_str(),
        ip,
        peer,
        peer,
        http,
        http,
        started,
        heard,
        is_alive,
        info.drain.is_some(),
        false,
        info.replicas,
        size(used),
        size(there().map(|disk| disk.available).sum()),
        size(total),
        percent(part(used, total)),
        percent(fullest),
        error,
        info.build.as_str(),
        status,
        info.host.as_str(),
        info.name.as_str(),
        info.rack.as_str(),
        info.liveness.as_str(),
    ]
}

/// Address and port; an agent that has never said is nowhere.
fn address(text: &str) -> (String, i64) {
    let known = text.rsplit_once(':').and_then(|(ip, port)| Some((ip.to_string(), port.parse().ok()?)));
    known.unwrap_or_else(|| ("N/A".into(), -1))
}

const DISKS: &[&str] = &[
    "RootPath",
    "DataUsedCapacity",
    "OtherUsedCapacity",
    "AvailCapacity",
    "TotalCapacity",
    "TotalUsedPct",
    "State",
    "PathHash",
    "StorageMedium",
    "TabletNum",
    "DataTotalCapacity",
    "DataUsedPct",
    "Reason",
];

/// '/backends/ID'.
pub fn disks<'a>(moment: &Moment, id: NodeId) -> Result<Table<'a>, Fault> {
    let world = moment.world();
    let placements = Placements::of(world);
    let node = world.nodes.get(&id).ok_or_else(|| Fault::not_found(format!("there is no backend {id}")))?;
    let info = view::node(world, &placements, node, None);
    Ok(Table::of(DISKS, info.disks.iter().map(disk).collect()))
}

fn disk(disk: &DiskInfo) -> Row {
    let others = disk.raw_total.saturating_sub(disk.raw_free).saturating_sub(disk.used);
    let state = match disk.state {
        DiskState::Online => "ONLINE",
        DiskState::Suspect => "SUSPECT",
        DiskState::Unavailable => "OFFLINE",
    };
    row![
        disk.path.as_str(),
        size(disk.used),
        size(others),
        size(disk.available),
        size(disk.raw_total),
        percent(part(disk.raw_total.saturating_sub(disk.raw_free), disk.raw_total)),
        state,
        disk.id.0,
        super::proc::medium(disk.medium),
        disk.replicas,
        size(disk.total),
        percent(disk.used_percent / 100.0),
        disk.cause.clone().unwrap_or_default(),
    ]
}
