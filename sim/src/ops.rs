//! What each op does to a model disk: all of its effect or none, as the real disk code promises for every crash point.
//! Reads nothing but the disk; copies from peers are [`crate::copying`].

use crate::disk::{Body, ModelDisk, Papers, ReplicaDir, TrashDir, older};
use std::sync::Arc;
use stele_agent_rules::{Op, OpFailure, OpResult};
use stele_common::{Manifest, ReplicaId, TabletId, TabletLabel, Version, VersionHash};

/// Whether an op needs free space.
pub fn writes(op: &Op) -> bool {
    match op {
        Op::Create { .. } | Op::Fetch { .. } | Op::InstallCopy { .. } | Op::InstallLoad { .. } => true,
        Op::DiscardCopy { .. }
        | Op::DiscardLoad { .. }
        | Op::Drop { .. }
        | Op::Purge { .. }
        | Op::Confirm { .. }
        | Op::Verify { .. }
        | Op::Collect { .. } => false,
    }
}

/// Carries out any op but a fetch.
pub fn run(disk: &mut ModelDisk, op: &Op, now: u64) -> OpResult {
    match op {
        Op::Create { label } => create(disk, label),
        Op::Fetch { .. } => OpResult::Failed(OpFailure::NotFound),
        Op::InstallCopy { label, version, hash, mend, .. } => install_copy(disk, label, *version, *hash, *mend),
        Op::DiscardCopy { tablet, .. } => {
            disk.copies.remove(tablet);
            OpResult::Discarded
        }
        Op::InstallLoad { load, tablet, replica, parent, version, hash } => {
            let key = (*load, *tablet);
            install_load(disk, key, *replica, *parent, (*version, *hash))
        }
        Op::DiscardLoad { load, tablet } => {
            disk.staged.remove(&(*load, *tablet));
            OpResult::Discarded
        }
        Op::Drop { replica, .. } => match disk.replicas.remove(replica) {
            Some(dir) => {
                let bytes = dir.size();
                disk.trash.insert(*replica, TrashDir { dir, dropped: now });
                OpResult::Dropped { bytes }
            }
            None => OpResult::Failed(OpFailure::NotFound),
        },
        Op::Purge { replica, .. } => match disk.trash.remove(replica) {
            Some(_) => OpResult::Purged,
            None => OpResult::Failed(OpFailure::NotFound),
        },
        Op::Confirm { replica, .. } => with_dir(disk, *replica, |dir| match dir.missing(dir.head).cloned() {
            Some(path) => damaged(dir, format!("`{path}` is missing")),
            None => OpResult::Confirmed { version: dir.head, hash: dir.hash() },
        }),
        Op::Verify { replica, .. } => with_dir(disk, *replica, |dir| match dir.rotten(dir.head).cloned() {
            Some(path) => damaged(dir, format!("`{path}`: digest mismatch")),
            None => {
                dir.scrubbed = Some(now);
                OpResult::Verified { version: dir.head }
            }
        }),
        Op::Collect { replica, below, keep, .. } => with_dir(disk, *replica, |dir| {
            let below = (*below).min(dir.head);
            dir.versions.retain(|version, _| *version >= below || keep.contains(version));
            let ReplicaDir { versions, data, .. } = dir;
            data.retain(|(added, path), _| {
                versions.values().any(|papers| papers.manifest.entries.get(path).is_some_and(|e| e.added == *added))
            });
            OpResult::Collected { older: older(dir).into_iter().collect(), size: dir.size() }
        }),
    }
}

fn with_dir(disk: &mut ModelDisk, replica: ReplicaId, f: impl FnOnce(&mut ReplicaDir) -> OpResult) -> OpResult {
    disk.replicas.get_mut(&replica).map_or(OpResult::Failed(OpFailure::NotFound), f)
}

fn damaged(dir: &mut ReplicaDir, cause: String) -> OpResult {
    dir.bad = Some(cause.clone());
    OpResult::Damaged { cause }
}

fn mismatch(detail: String) -> OpResult {
    OpResult::Failed(OpFailure::Mismatch { detail })
}

fn create(disk: &mut ModelDisk, label: &TabletLabel) -> OpResult {
    disk.replicas.entry(label.replica).or_insert_with(|| ReplicaDir::new(label.clone()));
    OpResult::Created
}

fn installed(dir: &ReplicaDir, content_checked: bool) -> OpResult {
    OpResult::Installed {
        version: dir.head,
        hash: dir.hash(),
        size: dir.size(),
        files: dir.versions.get(&dir.head).map_or(0, |papers| papers.manifest.entries.len() as u64),
        content_checked,
    }
}

/// What was received goes into place; what was not is kept as it lies there (and was checked only when mending).
fn install_copy(
    disk: &mut ModelDisk,
    label: &TabletLabel,
    version: Version,
    hash: VersionHash,
    mend: bool,
) -> OpResult {
    let Some(copy) = disk.copies.get(&label.tablet) else { return OpResult::Failed(OpFailure::NotFound) };
    let papers = match &copy.ready {
        Some((ready, papers)) if *ready == version && papers.hash == hash => papers.clone(),
        Some(_) | None => return mismatch("what is staged is another version".to_string()),
    };
    let mut dir = disk.replicas.get(&label.replica).cloned().unwrap_or_else(|| ReplicaDir::new(label.clone()));
    let mut all_checked = true;
    for (path, entry) in &papers.manifest.entries {
        let place = (entry.added, path.clone());
        match copy.files.get(&entry.digest) {
            Some(body) => {
                dir.data.insert(place, *body);
            }
            None if dir.data.contains_key(&place) => all_checked &= mend,
            None => return mismatch(format!("`{path}` was not received")),
        }
    }
    dir.versions.insert(version, papers);
    dir.head = version;
    if all_checked {
        dir.bad = None;
    }
    let result = installed(&dir, all_checked);
    disk.replicas.insert(label.replica, dir);
    disk.copies.remove(&label.tablet);
    result
}

fn install_load(
    disk: &mut ModelDisk,
    key: (stele_common::LoadId, TabletId),
    replica: ReplicaId,
    parent: Version,
    (version, hash): (Version, VersionHash),
) -> OpResult {
    let Some(dir) = disk.replicas.get_mut(&replica) else { return OpResult::Failed(OpFailure::NotFound) };
    if dir.head >= version && dir.versions.get(&version).is_some_and(|papers| papers.hash == hash) {
        disk.staged.remove(&key);
        return installed(dir, false);
    }
    let Some(staged) = disk.staged.get(&key) else { return OpResult::Failed(OpFailure::NotFound) };
    let Some(base) = dir.manifest(parent).filter(|_| dir.head == parent) else {
        return mismatch(format!("the head is {}, not {parent}", dir.head));
    };
    let manifest: Manifest = base.with(&staged.delta, version);
    let found = manifest.hash();
    if found != hash {
        return mismatch(format!("it would become {found}, not {hash}"));
    }
    for (path, entry) in manifest.entries.iter().filter(|(_, entry)| entry.added == version) {
        dir.data.insert((version, path.clone()), Body { digest: entry.digest, size: entry.size });
    }
    dir.versions.insert(version, Arc::new(Papers { manifest, hash }));
    dir.head = version;
    disk.staged.remove(&key);
    installed(dir, parent == Version::EMPTY)
}
