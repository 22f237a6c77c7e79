//! Holding a replica against its manifest: every byte past the page cache (verify), or every length (confirm).
//!
//! What is found damaged is named, all of it, and the replica is marked before the answer goes out.

use super::beneath::{LastDir, is_file_of};
use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::papers::{OpenVersion, read_bad, read_head_version, replica_dir};
use super::run::OpContext;
use super::survey::digest_of;
use crate::pace::{Meter, rest};
use rustix::fs::Advice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use stele_agent_rules::OpResult;
use stele_common::manifest::data_name;
use stele_common::{Entry, RelPath, ReplicaId, TabletId};

/// Damaged files named in a cause; the rest are counted.
const NAMED_MAX: usize = 3;

impl DiskDir {
    /// Reads every byte of the head past the page cache.
    pub(crate) fn verify(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        urgent: bool,
        ctx: &OpContext,
    ) -> Result<OpResult, DiskError> {
        let dir = replica_dir(tablet, replica);
        let head = match self.head_or_damage(tablet, replica, &dir)? {
            Ok(head) => head,
            Err(cause) => return Ok(OpResult::Damaged { cause }),
        };
        // Only clean pages can be dropped from the cache: what was written lately goes to the disk first. Where
        // syncs have failed the reading goes on without: what is wrong with the bytes is worth knowing there too.
        if self.fit().is_ok() {
            let handle = self.beneath.dir(".").tried(|| "open the data directory".to_string())?;
            self.beneath.synced(rustix::fs::syncfs(&handle), &dir)?;
        }
        let (mut damages, mut last) = (Vec::new(), LastDir::default());
        let total = head.manifest.bytes();
        let rate = if urgent { 0 } else { self.pace.load(Ordering::Relaxed) };
        let (mut meter, began, mut done) = (Meter::default(), Instant::now(), 0);
        for (path, entry) in &head.manifest.entries {
            let name = format!("{dir}/{}", data_name(entry.added, path));
            let cause = self.read_through(&mut last, &name, entry, ctx.cancelled, |bytes| {
                done += bytes;
                (ctx.progress)(done, total);
                rest(meter.passed(began.elapsed(), bytes, rate), ctx.cancelled);
            })?;
            if ctx.cancelled.load(Ordering::Relaxed) {
                return Err(DiskError::Busy {
                    what: format!("the verification of replica {replica} was cancelled; it"),
                });
            }
            if let Some(cause) = cause {
                damages.push((path, cause));
            }
        }
        if damages.is_empty() {
            return Ok(OpResult::Verified { version: head.meta.version });
        }
        self.found(tablet, replica, &damages)
    }

    /// Looks at every file's kind and length, and hashes the manifest again.
    pub(crate) fn confirm(&self, tablet: TabletId, replica: ReplicaId) -> Result<OpResult, DiskError> {
        let dir = replica_dir(tablet, replica);
        if let Some(cause) = read_bad(&self.beneath, &dir)? {
            return Ok(OpResult::Damaged { cause });
        }
        let head = match self.head_or_damage(tablet, replica, &dir)? {
            Ok(head) => head,
            Err(cause) => return Ok(OpResult::Damaged { cause }),
        };
        let (mut damages, mut last) = (Vec::new(), LastDir::default());
        for (path, entry) in &head.manifest.entries {
            let name = format!("{dir}/{}", data_name(entry.added, path));
            let cause = match last.stat(&self.beneath, &name).tried(|| name.clone()) {
                Ok(None) => "it is missing".to_string(),
                Ok(Some(stat)) if is_file_of(&stat, entry.size) => continue,
                Ok(Some(stat)) => format!("it has {} bytes instead of {}", stat.st_size, entry.size),
                Err(DiskError::Damaged { cause, .. }) => cause,
                Err(error) => return Err(error),
            };
            damages.push((path, cause));
        }
        if damages.is_empty() {
            return Ok(OpResult::Confirmed { version: head.meta.version, hash: head.hash() });
        }
        self.found(tablet, replica, &damages)
    }

    /// Somebody got bytes of this file that fail their digest: reads it past the page cache. `Some`: it is damaged here,
    /// and the replica was marked now. A file that the head of a trusted replica does not name is nobody's loss.
    pub fn look_again(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        path: &RelPath,
        entry: &Entry,
    ) -> Result<Option<String>, DiskError> {
        let dir = replica_dir(tablet, replica);
        if !self.beneath.exists(&dir).tried(|| dir.clone())? || read_bad(&self.beneath, &dir)?.is_some() {
            return Ok(None);
        }
        if self.manifest(tablet, replica, None)?.manifest.entries.get(path) != Some(entry) {
            return Ok(None);
        }
        let name = format!("{dir}/{}", data_name(entry.added, path));
        let found = self.read_through(&mut LastDir::default(), &name, entry, &AtomicBool::new(false), |_| {})?;
        let cause = found.map(|cause| format!("`{path}`: {cause}"));
        if let Some(cause) = &cause {
            self.quarantine(tablet, replica, cause);
        }
        Ok(cause)
    }

    /// The head, or why its papers do not hold (then the replica is marked).
    fn head_or_damage(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        dir: &str,
    ) -> Result<Result<OpenVersion, String>, DiskError> {
        match read_head_version(&self.beneath, dir) {
            Ok(head) => Ok(Ok(head)),
            Err(error @ DiskError::Damaged { .. }) => {
                let cause = error.to_string();
                self.quarantine(tablet, replica, &cause);
                Ok(Err(cause))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads one file; answers what is wrong with it.
    fn read_through(
        &self,
        last: &mut LastDir,
        name: &str,
        entry: &Entry,
        cancelled: &AtomicBool,
        read: impl FnMut(u64),
    ) -> Result<Option<String>, DiskError> {
        let mut file = match last.file(&self.beneath, name).tried(|| name.to_string()) {
            Ok(file) => file,
            Err(DiskError::NotFound { .. }) => return Ok(Some("it is missing".into())),
            Err(DiskError::Damaged { cause, .. }) => return Ok(Some(cause)),
            Err(error) => return Err(error),
        };
        let size = rustix::fs::fstat(&file).tried(|| format!("stat `{name}`"))?.st_size as u64;
        if size != entry.size {
            return Ok(Some(format!("it has {size} bytes instead of {}", entry.size)));
        }
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).tried(|| format!("fadvise `{name}`"))?;
        rustix::fs::fadvise(&file, 0, None, Advice::Sequential).tried(|| format!("fadvise `{name}`"))?;
        let digest = digest_of(&mut file, entry.size, cancelled, read).tried(|| format!("read `{name}`"))?;
        Ok((digest != Some(entry.digest)).then(|| "its bytes do not match its digest".to_string()))
    }

    fn found(
        &self,
        tablet: TabletId,
        replica: ReplicaId,
        damages: &[(&RelPath, String)],
    ) -> Result<OpResult, DiskError> {
        let named: Vec<String> =
            damages.iter().take(NAMED_MAX).map(|(path, cause)| format!("`{path}`: {cause}")).collect();
        let mut cause = named.join("; ");
        if damages.len() > NAMED_MAX {
            cause += &format!("; and {} more files", damages.len() - NAMED_MAX);
        }
        self.quarantine(tablet, replica, &cause);
        Ok(OpResult::Damaged { cause })
    }
}
