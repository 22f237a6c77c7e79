//! Making staged files a replica's head: new replicas, loads, copies.
//!
//! ```text
//! load:               staging/load-L/T/data/<v> ──rename──▶ data/<v>      then <v>.b3 + <v>.meta, then head
//! copy, new replica:  staging/task-T/replica    ──rename──▶ tablets/T/R   (complete with its head)
//! copy, in place:     each staged file          ──rename──▶ data/<a>/..   then papers, then head, then `bad` goes
//! ```
//!
//! Everything was durable before it came here; each rename is durable before the next thing relies on it. Until
//! `head` is replaced the replica is at its old version, whatever else lies there. The head never goes back.

use super::beneath::{LastDir, is_file_of, split};
use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::fetch::read_fetched;
use super::load::Prepared;
use super::papers::{
    OpenVersion, bytes_of, head_text, label_text, listed_versions, load_dir, read_bad, read_head, read_head_version,
    read_label, read_version, replica_dir, task_dir,
};
use super::steps::{Step, perform};
use super::tree::Tree;
use std::collections::BTreeSet;
use stele_agent_rules::OpResult;
use stele_common::manifest::data_name;
use stele_common::{Digest, Entry, LoadId, Manifest, RelPath, ReplicaId, TabletId, TabletLabel, Version, VersionHash};

/// Which load becomes which version of which replica.
pub(crate) struct LoadInstall {
    pub load: LoadId,
    pub tablet: TabletId,
    pub replica: ReplicaId,
    pub parent: Version,
    pub version: Version,
    pub hash: VersionHash,
}

/// What is to be done, and what it will come to.
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub result: OpResult,
    /// The replica's bytes afterwards.
    pub size: u64,
}

impl DiskDir {
    /// Makes an empty replica.
    pub(crate) fn create(&self, label: &TabletLabel) -> Result<OpResult, DiskError> {
        let dir = replica_dir(label.tablet, label.replica);
        if self.beneath.exists(&dir).tried(|| dir.clone())? {
            return Ok(OpResult::Created);
        }
        let staged = format!("staging/create-{}", label.replica);
        let mut tree = Tree::open(&self.beneath, &staged)?;
        for (name, text) in [("tablet", label_text(label)?), ("head", head_text(Version::EMPTY, Digest::ZERO))] {
            let mut file = tree.create(name, text.len() as u64)?;
            file.write(text.as_bytes())?;
            tree.end(file)?;
        }
        tree.sync()?;
        perform(&self.beneath, &move_in(label.tablet, staged, dir))?;
        self.ledger().set_replica(label.replica, 0);
        tracing::info!(tablet = label.tablet.0, replica = label.replica.0, disk = self.disk().0, "replica created");
        Ok(OpResult::Created)
    }

    /// Makes a prepared load the head.
    pub(crate) fn install_load(&self, install: &LoadInstall, now_ms: u64) -> Result<OpResult, DiskError> {
        let plan = self.plan_load(install, now_ms)?;
        perform(&self.beneath, &plan.steps)?;
        self.remove_load_dir(install.load, install.tablet)?;
        self.ledger().set_replica(install.replica, plan.size);
        tracing::info!(
            load = install.load.0,
            tablet = install.tablet.0,
            replica = install.replica.0,
            disk = self.disk().0,
            version = install.version.0,
            "load installed"
        );
        Ok(plan.result)
    }

    pub(crate) fn plan_load(&self, install: &LoadInstall, now_ms: u64) -> Result<Plan, DiskError> {
        let LoadInstall { load, tablet, replica, parent, version, hash } = *install;
        let dir = replica_dir(tablet, replica);
        let head = read_head_version(&self.beneath, &dir)?;
        let had = self.ledger().replica(replica).unwrap_or_else(|| head.manifest.bytes());
        if head.meta.version == version && head.hash() == hash {
            return Ok(Plan { steps: vec![], result: installed(&head, had, false), size: had });
        }
        let at = head.meta.version;
        if at != parent || version <= at {
            return Err(DiskError::mismatch(format!("replica {replica} is at version {at}, not at {parent}")));
        }
        let staged = load_dir(load, tablet);
        let prepared = Prepared::read(&self.beneath, &staged)?
            .ok_or_else(|| DiskError::NotFound { what: format!("load {load} of tablet {tablet}") })?;
        if prepared.replica != replica || prepared.version != version || prepared.parent_hash != head.hash() {
            return Err(DiskError::mismatch(format!(
                "load {load} was prepared for another version than {parent} here"
            )));
        }
        let manifest = head.manifest.with(&prepared.delta, version);
        let meta = manifest.meta(version, parent, load, now_ms);
        if meta.manifest != hash {
            return Err(DiskError::mismatch(format!("load {load} makes {} here, {hash} was committed", meta.manifest)));
        }
        let new = |entry: &Entry| entry.added == version;
        let mut steps: Vec<Step> = Vec::new();
        // Files that were put again unchanged stay where they are.
        for file in &prepared.delta.put {
            if !manifest.entries.get(&file.path).is_some_and(new) {
                steps.push(Step::RemoveFile(format!("{staged}/{}", data_name(version, &file.path))));
            }
        }
        let added = manifest.entries.iter().filter(|(_, entry)| new(entry));
        steps.extend(self.moves(&staged, &dir, &format!("{staged}/aside"), added)?);
        let open = OpenVersion { meta_text: meta.encode(), b3_text: manifest.encode(), meta, manifest };
        steps.extend(papers(&dir, &open, vec![]));
        let whole = open.manifest.entries.values().all(new);
        let size = had + open.manifest.entries.values().filter(|entry| new(entry)).map(|entry| entry.size).sum::<u64>();
        Ok(Plan { steps, result: installed(&open, size, whole), size })
    }

    /// Makes a fetched copy the head.
    pub(crate) fn install_copy(
        &self,
        label: &TabletLabel,
        version: Version,
        hash: VersionHash,
    ) -> Result<OpResult, DiskError> {
        let plan = self.plan_copy(label, version, hash)?;
        perform(&self.beneath, &plan.steps)?;
        self.remove_task_dir(label.tablet)?;
        self.ledger().set_replica(label.replica, plan.size);
        tracing::info!(
            tablet = label.tablet.0,
            replica = label.replica.0,
            disk = self.disk().0,
            version = version.0,
            "copy installed"
        );
        Ok(plan.result)
    }

    pub(crate) fn plan_copy(
        &self,
        label: &TabletLabel,
        version: Version,
        hash: VersionHash,
    ) -> Result<Plan, DiskError> {
        let (task, dir) = (task_dir(label.tablet), replica_dir(label.tablet, label.replica));
        let there = self.beneath.exists(&dir).tried(|| dir.clone())?;
        let Some(fetched) = read_fetched(self, &task)?.filter(|mark| mark.version == version && mark.hash == hash)
        else {
            // Cut off between the last rename and its answer: the work is done.
            if there && read_head(&self.beneath, &dir)? == (version, hash) && read_bad(&self.beneath, &dir)?.is_none() {
                let head = read_head_version(&self.beneath, &dir)?;
                let size = self.kept_bytes(&dir, &head)?;
                return Ok(Plan { steps: vec![], result: installed(&head, size, false), size });
            }
            return Err(DiskError::NotFound { what: format!("a fetched copy of tablet {}", label.tablet) });
        };
        let staged = format!("{task}/replica");
        let target = read_version(&self.beneath, &staged, version)?;
        if target.hash() != hash || read_label(&self.beneath, &staged)?.replica != label.replica {
            return Err(DiskError::mismatch(format!("the staged copy of tablet {} is another one", label.tablet)));
        }
        if !there {
            let size = target.manifest.bytes();
            let steps = move_in(label.tablet, staged, dir);
            return Ok(Plan { steps, result: installed(&target, size, fetched.content_checked), size });
        }
        match read_head(&self.beneath, &dir) {
            Ok((head, _)) if head > version => {
                return Err(DiskError::mismatch(format!("the head {head} does not go back to {version}")));
            }
            Ok(_) | Err(DiskError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut steps = self.moves(&staged, &dir, &format!("{task}/aside"), target.manifest.entries.iter())?;
        let mut also = Vec::new();
        if !read_label(&self.beneath, &dir).is_ok_and(|found| found.replica == label.replica) {
            also.push(("tablet".to_string(), label_text(label)?));
        }
        steps.extend(papers(&dir, &target, also));
        if self.beneath.exists(&format!("{dir}/bad")).tried(|| dir.clone())? {
            steps.push(Step::RemoveFile(format!("{dir}/bad")));
            steps.push(Step::SyncDirs(BTreeSet::from([dir.clone()])));
        }
        let size = self.kept_bytes(&dir, &target)?;
        Ok(Plan { steps, result: installed(&target, size, fetched.content_checked), size })
    }

    /// The renames that bring staged files to their places; an error if one is neither staged nor there already.
    fn moves<'e>(
        &self,
        staged: &str,
        dir: &str,
        aside: &str,
        entries: impl Iterator<Item = (&'e RelPath, &'e Entry)>,
    ) -> Result<Vec<Step>, DiskError> {
        let beneath = &self.beneath;
        let (mut from_dir, mut to_dir) = (LastDir::default(), LastDir::default());
        let (mut steps, mut dirs, mut whole) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let exists = |name: &str| beneath.exists(name).tried(|| name.to_string());
        let data = format!("{dir}/data");
        steps.push(Step::MakeDir(data.clone()));
        for (path, entry) in entries {
            let name = data_name(entry.added, path);
            let (from, to) = (format!("{staged}/{name}"), format!("{dir}/{name}"));
            let is_staged = match from_dir.stat(beneath, &from).tried(|| from.clone()) {
                Ok(stat) => stat.is_some_and(|stat| is_file_of(&stat, entry.size)),
                Err(error) => return Err(error),
            };
            if !is_staged {
                let there = match to_dir.stat(beneath, &to).tried(|| to.clone()) {
                    Ok(stat) => stat.is_some_and(|stat| is_file_of(&stat, entry.size)),
                    Err(DiskError::Damaged { .. }) => false,
                    Err(error) => return Err(error),
                };
                if !there {
                    return Err(DiskError::mismatch(format!("`{path}` is neither staged nor in place")));
                }
                continue;
            }
            // A version that has no directory here yet moves as a whole.
            let (from_version, to_version) =
                (format!("{staged}/data/{}", entry.added), format!("{data}/{}", entry.added));
            if whole.contains(&entry.added) {
                continue;
            }
            if !exists(&to_version)? {
                whole.insert(entry.added);
                dirs.insert(format!("{staged}/data"));
                dirs.insert(data.clone());
                steps.push(Step::MoveDir { from: from_version, to: to_version });
            } else {
                dirs.insert(split(&from).0.to_string());
                dirs.insert(split(&to).0.to_string());
                steps.push(Step::MoveFile { from, to, aside: aside.to_string() });
            }
        }
        steps.push(Step::SyncDirs(dirs));
        Ok(steps)
    }

    /// Bytes of all versions that the replica will keep, `target` being the new head.
    fn kept_bytes(&self, dir: &str, target: &OpenVersion) -> Result<u64, DiskError> {
        let mut kept: Vec<Manifest> = vec![target.manifest.clone()];
        for version in listed_versions(&self.beneath, dir)? {
            if version < target.meta.version {
                match read_version(&self.beneath, dir, version) {
                    Ok(open) => kept.push(open.manifest),
                    Err(DiskError::Damaged { .. } | DiskError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(bytes_of(&kept))
    }
}

/// A complete staged directory becomes the replica.
fn move_in(tablet: TabletId, staged: String, dir: String) -> Vec<Step> {
    let of_tablet = format!("tablets/{tablet}");
    let dirs = BTreeSet::from([of_tablet.clone(), split(&staged).0.to_string()]);
    vec![Step::MakeDir(of_tablet), Step::MoveDir { from: staged, to: dir }, Step::SyncDirs(dirs)]
}

/// A version's papers, then the head: in this order, each durable before the next.
fn papers(dir: &str, open: &OpenVersion, mut files: Vec<(String, String)>) -> Vec<Step> {
    let version = open.meta.version;
    if version != Version::EMPTY {
        files.push((format!("{version}.b3"), open.b3_text.clone()));
        files.push((format!("{version}.meta"), open.meta_text.clone()));
    }
    let head = vec![("head".to_string(), head_text(version, open.hash()))];
    vec![Step::Write { dir: dir.to_string(), files }, Step::Write { dir: dir.to_string(), files: head }]
}

fn installed(open: &OpenVersion, size: u64, content_checked: bool) -> OpResult {
    OpResult::Installed {
        version: open.meta.version,
        hash: open.hash(),
        size,
        files: open.manifest.entries.len() as u64,
        content_checked,
    }
}
