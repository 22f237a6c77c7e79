//! The demo's deeds and measurements, one function a step. Each asks the cluster over HTTP as any client would; only
//! the flipped byte goes past it, to the file on disk.

use super::data::Source;
use super::since;
use crate::bar;
use crate::cluster::{AgentEntry, ClusterFile};
use crate::cmd::export;
use crate::cmd::load::{LoadReport, with_bar};
use crate::cmd::verify;
use crate::exit::Failure;
use crate::http::Face;
use crate::loader::{self, Load};
use crate::names::TableName;
use crate::reader::{self, Listing};
use crate::stop;
use crate::table::{duration, size};
use crate::tree::{self, Hashed, Unfit};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stele_common::api::{ManifestInfo, Nodes, ReplicaInfo, TableCreate, TableInfo, TabletInfo, Tasks, Verification};
use stele_common::{Digest, Liveness, LoadMode, Medium, ReplicaId, TabletId, TabletStatus, manifest};

pub const REPLICATION: usize = 3;
/// A step that takes longer than this has failed. Repair waits 15 s by design, the rest is copying.
pub const STEP_WITHIN: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(100);

/// Where the deeds are done.
pub struct Stage {
    face: Face,
    table: TableName,
    agents: Vec<AgentEntry>,
}

/// What a killed host held: bytes of its copy of each tablet.
pub struct Lost(BTreeMap<TabletId, u64>);

impl Lost {
    pub fn copies(&self) -> usize {
        self.0.len()
    }

    pub fn bytes(&self) -> u64 {
        self.0.values().sum()
    }
}

/// The byte that was flipped.
pub struct Wound {
    tablet: TabletId,
    replica: ReplicaId,
    host: String,
    file: PathBuf,
    offset: u64,
    digest: Digest,
}

impl Wound {
    pub fn described(&self) -> String {
        format!("flipped byte {} of {} on {} (tablet {})", self.offset, self.file.display(), self.host, self.tablet)
    }
}

/// Hashes what lies below `dir`, under a bar.
pub fn hashed(dir: &Path, what: &str) -> Result<Vec<Hashed>, Failure> {
    let walk = tree::walk(dir, Unfit::Fail)?;
    let progress = bar::bytes(what, walk.bytes());
    let hashed = tree::hash(walk.files, Unfit::Fail, &|bytes| progress.inc(bytes));
    progress.finish_and_clear();
    Ok(hashed?.0)
}

impl Stage {
    pub fn new(face: Face, file: &ClusterFile) -> Result<Stage, Failure> {
        let table = "demo.files".parse().map_err(Failure::error)?;
        Ok(Stage { face, table, agents: file.agents.clone() })
    }

    pub fn face(&self) -> &Face {
        &self.face
    }

    /// An agent that is not this one.
    pub fn another(&self, than: &AgentEntry) -> Result<AgentEntry, Failure> {
        let other = self.agents.iter().find(|agent| agent.node_id != than.node_id);
        other.cloned().ok_or_else(|| Failure::error("the cluster has one agent only"))
    }

    fn tablets(&self) -> Result<Vec<TabletInfo>, Failure> {
        reader::tablets(&self.face, &self.table)
    }

    pub fn create_table(&self) -> Result<String, Failure> {
        let body = TableCreate {
            db: self.table.db.clone(),
            name: self.table.table.clone(),
            replication: REPLICATION as u32,
            buckets: 16,
            medium: Medium::Hdd,
            partitions: Vec::new(),
            tag: None,
            colocate: None,
        };
        let info: TableInfo = self.face.post("/v1/tables", &body)?;
        Ok(format!("made {}: {} tablets, replication {}", self.table, info.tablets, info.replication))
    }

    pub fn load(&self, source: &Source) -> Result<String, Failure> {
        let load = Load {
            table: &self.table,
            files: &source.files,
            remove: &[],
            mode: LoadMode::Add,
            key: loader::fresh_key()?,
            jobs: 4,
            timeout: STEP_WITHIN,
        };
        let loaded = with_bar(&self.face, &load)?;
        let report = LoadReport::new(&self.table, &source.files, 0, loaded);
        let rate = size((report.bytes as f64 / report.seconds.max(1e-3)) as u64);
        let (files, bytes, seconds) = (report.files, size(report.bytes), report.seconds);
        // Acknowledged at a quorum; the third copies are installed a moment later.
        let acknowledged = Instant::now();
        verify::wait_healthy(&self.face, Some(&self.table), acknowledged + STEP_WITHIN)?;
        let rest = since(acknowledged);
        Ok(format!(
            "{files} files, {bytes} in {seconds:.1} s ({rate}/s), durable and visible; all 3 copies {rest} later"
        ))
    }

    /// Copies and bytes per host, after checking that no two copies of a tablet share one.
    pub fn spread(&self) -> Result<String, Failure> {
        let mut hosts: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for tablet in self.tablets()? {
            let mut of_tablet = BTreeSet::new();
            for replica in tablet.replicas.iter().filter(|replica| replica.complete) {
                if !of_tablet.insert(replica.host.clone()) {
                    let text = format!("tablet {} has two copies on {}", tablet.id, replica.host);
                    return Err(Failure::error(text));
                }
                let entry = hosts.entry(replica.host.clone()).or_default();
                *entry = (entry.0 + 1, entry.1 + replica.size);
            }
        }
        let shown = hosts.iter().map(|(host, (copies, bytes))| format!("{host}: {copies} copies {}", size(*bytes)));
        Ok(shown.collect::<Vec<_>>().join(", "))
    }

    pub fn busiest_agent(&self) -> Result<AgentEntry, Failure> {
        let tablets = self.tablets()?;
        let copies = |agent: &AgentEntry| {
            tablets.iter().flat_map(|tablet| &tablet.replicas).filter(|replica| replica.node == agent.node_id).count()
        };
        let busiest = self.agents.iter().max_by_key(|agent| copies(agent));
        busiest.cloned().ok_or_else(|| Failure::error("the cluster has no agents"))
    }

    pub fn held_by(&self, agent: &AgentEntry) -> Result<Lost, Failure> {
        let mut held = BTreeMap::new();
        for tablet in self.tablets()? {
            let here = tablet.replicas.iter().find(|replica| replica.node == agent.node_id);
            held.extend(here.map(|replica| (tablet.id, replica.size)));
        }
        Ok(Lost(held))
    }

    /// Until the coordinator no longer counts the agent as ALIVE; also tells when its process was really gone.
    pub fn wait_seen(
        &self,
        victim: &AgentEntry,
        killed: Instant,
        mut is_gone: impl FnMut() -> bool,
    ) -> Result<(Liveness, Duration, Duration), Failure> {
        let mut gone = None;
        while killed.elapsed() < STEP_WITHIN {
            if gone.is_none() && is_gone() {
                gone = Some(killed.elapsed());
            }
            let nodes: Nodes = self.face.list("/v1/nodes", &[])?;
            let state = nodes.nodes.iter().find(|node| node.id == victim.node_id).map(|node| node.liveness);
            match state {
                Some(state @ (Liveness::Silent | Liveness::Lost)) => {
                    let seen = killed.elapsed();
                    return Ok((state, seen, gone.unwrap_or(seen)));
                }
                Some(Liveness::Alive) | None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(Failure::timeout(format!("the death of {} was not seen", victim.host)))
    }

    /// Until every tablet is whole on live hosts again, under a bar of the bytes that were lost.
    pub fn wait_repaired(&self, victim: &AgentEntry, lost: &Lost, killed: Instant) -> Result<String, Failure> {
        let progress = bar::bytes("repair", lost.bytes());
        let mut copying: Option<Instant> = None;
        let mut last = String::new();
        while killed.elapsed() < STEP_WITHIN {
            stop::check()?;
            let tablets = self.tablets()?;
            let running: Tasks = self.face.list("/v1/tasks", &[("state", "running")])?;
            let whole: Vec<_> = tablets.iter().filter(|tablet| is_whole(tablet, victim)).collect();
            let done: u64 = whole.iter().filter_map(|tablet| lost.0.get(&tablet.id)).sum();
            let part: u64 = running.tasks.iter().map(|task| task.bytes_done).sum();
            if copying.is_none()
                && (!running.tasks.is_empty() || whole.iter().any(|tablet| lost.0.contains_key(&tablet.id)))
            {
                copying = Some(Instant::now());
                progress.reset_elapsed();
                progress.reset_eta();
            }
            progress.set_position((done + part).min(lost.bytes()));
            progress.set_message(match copying {
                None => format!("waits, {} since the kill", since(killed)),
                Some(_) => format!("{} of {} tablets whole", whole.len(), tablets.len()),
            });
            if whole.len() == tablets.len() {
                progress.finish_and_clear();
                return Ok(repaired(lost, copying.unwrap_or(killed), killed));
            }
            last = tablets
                .iter()
                .find(|tablet| !is_whole(tablet, victim))
                .map(|tablet| format!("tablet {} is {}: {}", tablet.id, tablet.status, tablet.reason))
                .unwrap_or_default();
            std::thread::sleep(POLL);
        }
        progress.finish_and_clear();
        Err(Failure::timeout(format!("not repaired within {} s; {last}", STEP_WITHIN.as_secs())))
    }

    /// Changes one byte in the middle of the largest file of a copy that was there from the start.
    pub fn flip_byte(&self, victim: &AgentEntry) -> Result<Wound, Failure> {
        let tablets = self.tablets()?;
        let oldest = tablets
            .iter()
            .flat_map(|tablet| tablet.replicas.iter().map(move |replica| (tablet, replica)))
            .filter(|(_, replica)| replica.complete && replica.node != victim.node_id && replica.size > 0)
            .min_by_key(|(_, replica)| replica.id);
        let (tablet, replica) = oldest.ok_or_else(|| Failure::error("there is no complete copy to damage"))?;
        let url = format!("/v1/replicas/{}/manifest", replica.id);
        let version = tablet.visible_version.to_string();
        let held: ManifestInfo = self.face.agent_at(&replica.http).get(&url, &[("version", &version)])?;
        let file = held.files.iter().max_by_key(|file| file.size).filter(|file| file.size > 0);
        let file = file.ok_or_else(|| Failure::error(format!("replica {} holds no bytes", replica.id)))?;
        let path = stele_common::RelPath::new(file.path.clone()).map_err(|error| Failure::error(error.to_string()))?;
        let place = Path::new(&replica.dir).join(manifest::data_name(file.added, &path));
        let offset = file.size / 2;
        flip(&place, offset).map_err(|error| Failure::io(format_args!("cannot damage {}", place.display()), error))?;
        Ok(Wound {
            tablet: tablet.id,
            replica: replica.id,
            host: replica.host.clone(),
            file: place,
            offset,
            digest: file.digest,
        })
    }

    /// A verification that must name the damaged copy.
    pub fn verify_finds(&self, wound: &Wound) -> Result<String, Failure> {
        let (found, took) = self.verify()?;
        let named = found.found.iter().find(|finding| finding.replica == wound.replica);
        // The background scrub may have been faster; then the copy is marked already.
        let marked = self.replica(wound)?.and_then(|replica| replica.bad);
        match (named.map(|finding| finding.cause.clone()).or(marked), found.found.len()) {
            (Some(cause), 0 | 1) => {
                let (count, bytes) = (found.replicas, size(found.bytes_done));
                Ok(format!("read {count} copies, {bytes}, in {took}; found it: {cause}"))
            }
            (Some(_), more) => Err(Failure::error(format!("one copy was damaged, but {more} were found"))),
            (None, _) => Err(Failure::error(format!("the damage of replica {} was not found", wound.replica))),
        }
    }

    fn verify(&self) -> Result<(Verification, String), Failure> {
        let began = Instant::now();
        let found = verify::read_all(&self.face, Some(&self.table), began + STEP_WITHIN)?;
        Ok((found, since(began)))
    }

    fn replica(&self, wound: &Wound) -> Result<Option<ReplicaInfo>, Failure> {
        let tablet: TabletInfo = self.face.get(&format!("/v1/tablets/{}", wound.tablet), &[])?;
        Ok(tablet.replicas.into_iter().find(|replica| replica.id == wound.replica))
    }

    /// Until the damaged copy is mended or replaced, and the tablet is healthy.
    pub fn wait_mended(&self, wound: &Wound) -> Result<String, Failure> {
        let began = Instant::now();
        let progress = bar::spinner("heal");
        let mut buffer = vec![0; 256 * 1024];
        while began.elapsed() < STEP_WITHIN {
            stop::check()?;
            let tablet: TabletInfo = self.face.get(&format!("/v1/tablets/{}", wound.tablet), &[])?;
            progress.set_message(format!("{}: {}", tablet.status, tablet.reason));
            let same = tablet.replicas.iter().find(|replica| replica.id == wound.replica);
            let how = match same {
                None => Some("replaced by a new copy".to_string()),
                Some(replica) if replica.bad.is_some() => None,
                // It counts when the bytes on disk are right again, whatever anyone says.
                Some(_) => tree::hash_one(&wound.file, &mut buffer, &|_| ())
                    .is_ok_and(|(_, digest)| digest == wound.digest)
                    .then(|| "mended in place".to_string()),
            };
            let complete = tablet.replicas.iter().filter(|replica| replica.complete).count();
            if let (Some(how), TabletStatus::Healthy) = (how, tablet.status)
                && complete >= REPLICATION
            {
                progress.finish_and_clear();
                // Repair does not wait for the verification to end.
                let when = if began.elapsed() < POLL {
                    "while the other copies were still being read".to_string()
                } else {
                    format!("after {}", since(began))
                };
                return Ok(format!("{how}, 3 good copies again {when}"));
            }
            std::thread::sleep(POLL);
        }
        progress.finish_and_clear();
        Err(Failure::timeout(format!("replica {} was not mended within {} s", wound.replica, STEP_WITHIN.as_secs())))
    }

    /// A verification that must find nothing.
    pub fn verify_clean(&self, victim: &AgentEntry) -> Result<String, Failure> {
        let (found, took) = self.verify()?;
        let away = found.unreachable.iter().find(|finding| finding.host != victim.host);
        match (found.found.first(), away) {
            (None, None) => Ok(format!("{} copies, {}, all clean in {took}", found.clean, size(found.bytes_done))),
            (Some(first), _) => Err(Failure::error(format!("replica {} is damaged: {}", first.replica, first.cause))),
            (None, Some(first)) => {
                Err(Failure::error(format!("replica {} could not be read: {}", first.replica, first.cause)))
            }
        }
    }

    pub fn export(&self, to: &Path) -> Result<String, Failure> {
        let began = Instant::now();
        let listing = Listing::read(&self.face, &self.table, None)?;
        export::write_all(&listing, to, 4)?;
        let rate = listing.bytes() as f64 / began.elapsed().as_secs_f64().max(1e-3);
        let (files, bytes) = (listing.files.len(), size(listing.bytes()));
        Ok(format!("{files} files, {bytes}, in {} ({}/s), digests checked", since(began), size(rate as u64)))
    }
}

fn repaired(lost: &Lost, copying: Instant, killed: Instant) -> String {
    let seconds = copying.elapsed().as_secs_f64();
    let rate = size((lost.bytes() as f64 / seconds.max(1e-3)) as u64);
    let after = duration(killed.elapsed().as_millis() as u64);
    let (copies, bytes) = (lost.copies(), size(lost.bytes()));
    format!("{copies} copies, {bytes}, made anew in {seconds:.1} s ({rate}/s); whole {after} after the kill")
}

/// Healthy, with all its copies on different hosts, none of them the killed one's.
fn is_whole(tablet: &TabletInfo, victim: &AgentEntry) -> bool {
    let complete = tablet.replicas.iter().filter(|replica| replica.complete && replica.node != victim.node_id);
    let hosts: BTreeSet<&str> = complete.map(|replica| replica.host.as_str()).collect();
    tablet.status == TabletStatus::Healthy && hosts.len() >= REPLICATION
}

fn flip(place: &Path, offset: u64) -> std::io::Result<()> {
    let open = || File::options().read(true).write(true).open(place);
    let file = match open() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            // A read-only file of ours: bit rot does not ask for permission either.
            std::fs::set_permissions(place, PermissionsExt::from_mode(0o600))?;
            open()?
        }
        opened => opened?,
    };
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    byte[0] ^= 0x01;
    file.write_all_at(&byte, offset)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exactly one bit of one byte changes, also in a read-only file.
    #[test]
    fn one_byte_is_flipped() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("f");
        std::fs::write(&place, b"hello").unwrap();
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o400)).unwrap();
        flip(&place, 2).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"hemlo");
    }
}
