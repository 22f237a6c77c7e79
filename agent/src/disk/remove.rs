//! Everything that takes bytes away: drop, purge, collect, discard. Each removes exactly what it was told, by id.
//!
//! Order matters for a crash: a mark or a paper goes first (durably), the bytes that it stood for after it, so that
//! what is left over is nothing that anybody would believe.

use super::beneath::Beneath;
use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::papers::{bytes_of, listed_versions, load_dir, read_head_version, read_version, replica_dir, task_dir};
use super::steps::{Step, perform};
use super::trash::{self, TrashEntry};
use rustix::fs::FileType;
use std::collections::BTreeSet;
use stele_agent_rules::OpResult;
use stele_common::manifest::data_name;
use stele_common::{LoadId, Manifest, ReplicaId, TabletId, Version};

impl DiskDir {
    /// Moves a replica to the trash.
    pub(crate) fn drop_replica(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        now_ms: u64,
    ) -> Result<OpResult, DiskError> {
        let from = replica_dir(tablet, replica);
        if !self.beneath.exists(&from).tried(|| from.clone())? {
            return Err(DiskError::NotFound { what: format!("replica {replica} of tablet {tablet}") });
        }
        let of_tablet = format!("tablets/{tablet}");
        let steps = [
            Step::MoveDir { from, to: format!("trash/{}", TrashEntry::new(now_ms, tablet, replica).name) },
            Step::SyncDirs(BTreeSet::from(["trash".to_string(), of_tablet.clone()])),
            Step::RemoveEmpty(of_tablet),
        ];
        perform(&self.beneath, &steps)?;
        let bytes = self.ledger().move_to_trash(replica);
        tracing::info!(
            tablet = tablet.0,
            replica = replica.0,
            disk = self.disk().0,
            bytes,
            "replica moved to the trash"
        );
        Ok(OpResult::Dropped { bytes })
    }

    /// Frees a trashed replica.
    pub(crate) fn purge(&self, tablet: TabletId, replica: ReplicaId) -> Result<OpResult, DiskError> {
        let entries = trash::find(&self.beneath, tablet, replica)?;
        if entries.is_empty() {
            return Err(DiskError::NotFound { what: format!("replica {replica} in the trash") });
        }
        for entry in entries {
            let name = format!("trash/{}", entry.name);
            self.beneath.remove_tree(&name).tried(|| format!("remove `{name}`"))?;
        }
        self.beneath.sync_dir("trash")?;
        self.ledger().purge(replica);
        tracing::info!(tablet = tablet.0, replica = replica.0, disk = self.disk().0, "trash freed");
        Ok(OpResult::Purged)
    }

    /// Removes a staged load: on the coordinator's word, or one that never became prepared.
    pub(crate) fn remove_load_dir(&self, load: LoadId, tablet: TabletId) -> Result<(), DiskError> {
        let dir = load_dir(load, tablet);
        let above = format!("staging/load-{load}");
        let mut steps = Vec::new();
        if self.beneath.exists(&format!("{dir}/prepared")).tried(|| dir.clone())? {
            steps.push(Step::RemoveFile(format!("{dir}/prepared")));
            steps.push(Step::SyncDirs(BTreeSet::from([dir.clone()])));
        }
        steps.push(Step::RemoveTree(dir.clone()));
        steps.push(Step::RemoveEmpty(above));
        perform(&self.beneath, &steps)?;
        self.ledger().clear_staging(&dir);
        Ok(())
    }

    /// Removes a copy that was given up or has been installed.
    pub(crate) fn remove_task_dir(&self, tablet: TabletId) -> Result<(), DiskError> {
        let dir = task_dir(tablet);
        self.beneath.remove_tree(&dir).tried(|| format!("remove `{dir}`"))?;
        self.ledger().clear_staging(&dir);
        Ok(())
    }

    /// Removes versions below `below` but not the head nor `keep`, and the files that only they name.
    pub(crate) fn collect(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        below: Version,
        keep: &[Version],
    ) -> Result<OpResult, DiskError> {
        let dir = replica_dir(tablet, replica);
        let head = read_head_version(&self.beneath, &dir)?;
        let listed = listed_versions(&self.beneath, &dir)?;
        let goes = |version: &Version| *version < below && *version < head.meta.version && !keep.contains(version);
        let (going, staying): (Vec<Version>, Vec<Version>) = listed.into_iter().partition(goes);
        // All kept papers are read before anything goes: what one of them names stays.
        let mut kept: Vec<(Version, Manifest)> = Vec::new();
        let mut older = Vec::new();
        for version in staying {
            let open = read_version(&self.beneath, &dir, version)?;
            if version < head.meta.version {
                older.push((version, open.hash()));
            }
            kept.push((version, open.manifest));
        }
        if !going.is_empty() {
            let removed = |extension: &str| {
                let names = going.iter().map(|version| format!("{dir}/{version}.{extension}"));
                names.map(Step::RemoveFile).collect::<Vec<_>>()
            };
            let mut steps = removed("meta");
            steps.push(Step::SyncDirs(BTreeSet::from([dir.clone()])));
            steps.extend(removed("b3"));
            perform(&self.beneath, &steps)?;
        }
        let named: BTreeSet<String> = kept
            .iter()
            .flat_map(|(_, manifest)| &manifest.entries)
            .map(|(path, entry)| format!("{dir}/{}", data_name(entry.added, path)))
            .collect();
        // Above the head may lie an install that was cut off and will be repeated.
        for (name, _) in self.beneath.names(&format!("{dir}/data")).tried(|| format!("list `{dir}/data`"))? {
            if name.parse::<u64>().is_ok_and(|added| added <= head.meta.version.0) {
                sweep(&self.beneath, &format!("{dir}/data/{name}"), &|name: &str| named.contains(name))?;
            }
        }
        let size = bytes_of(kept.iter().map(|(_, manifest)| manifest));
        self.ledger().set_replica(replica, size);
        if !going.is_empty() {
            tracing::info!(
                tablet = tablet.0,
                replica = replica.0,
                disk = self.disk().0,
                versions = going.len(),
                size,
                "old versions collected"
            );
        }
        Ok(OpResult::Collected { older, size })
    }
}

/// Removes every file beneath `dir` that is not `wanted`, and directories left empty; answers the directories
/// whose entries changed. Nothing needs to be durable: what survives a crash is swept the next time.
pub(crate) fn sweep(
    beneath: &Beneath,
    dir: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<BTreeSet<String>, DiskError> {
    let mut changed = BTreeSet::new();
    let mut left = 0;
    for (name, kind) in beneath.names(dir).tried(|| format!("list `{dir}`"))? {
        let full = format!("{dir}/{name}");
        if kind == FileType::Directory {
            changed.extend(sweep(beneath, &full, wanted)?);
            left += usize::from(beneath.exists(&full).tried(|| full.clone())?);
        } else if wanted(&full) {
            left += 1;
        } else {
            beneath.remove_file(&full).tried(|| format!("remove `{full}`"))?;
            changed.insert(dir.to_string());
        }
    }
    if left == 0 && beneath.remove_empty(dir).tried(|| format!("remove `{dir}`"))? {
        changed.remove(dir);
        changed.insert(super::beneath::split(dir).0.to_string());
    }
    Ok(changed)
}
