//! Receiving a copy: whole, catching up, resuming and mending are this one mechanism.
//!
//! ```text
//! a source's manifest ─▶ what is held here? ─▶ reuse by digest ─▶ the rest from all sources in turn (`gather`)
//!                                                                  what was staged stays, whatever happens
//! then:  papers, one sync, `fetched` mark     (InstallCopy makes it the head)
//!
//! staging/task-<tablet>/replica/    data/<added>/<path>, <v>.b3, <v>.meta, tablet, head: a replica in the making
//!                       fetched     TOML: what is durable there
//! ```

use super::beneath::LastDir;
use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::gather::{Givers, Setback};
use super::papers::{OpenVersion, head_text, label_text, task_dir};
use super::run::OpContext;
use super::source::{FetchFailure, PeerFailure};
use super::survey::{self, Kept, Own};
use super::tree::Tree;
use crate::pace::Way;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use stele_agent_rules::{OpFailure, OpResult, clone_plan};
use stele_common::manifest::data_name;
use stele_common::peer::Wanted;
use stele_common::{CloneOrder, Digest, Entry, Manifest, RelPath, TaskFailure, Version, VersionHash};

/// Progress is told at most this often: a report is sent to the coordinator for it.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Bytes copied at a time from another place on this disk.
const COPY_BYTES: usize = 1024 * 1024;

/// What the `fetched` mark says: everything of this version is staged or kept in the replica, durably.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    pub version: Version,
    pub hash: VersionHash,
    /// Every byte of the version was held against its digest.
    pub content_checked: bool,
}

impl DiskDir {
    /// Carries out `Op::Fetch`; with `mend` nothing of the replica that is there is believed without reading.
    pub(crate) fn fetch(&self, order: &CloneOrder, mend: bool, ctx: &OpContext) -> Result<OpResult, OpFailure> {
        let mut copy = Copy::begin(self, order, mend, ctx).map_err(DiskError::copy_failure)?;
        if order.sources.is_empty() && order.version == Version::EMPTY {
            return copy.finish(&OpenVersion::empty(), true).map_err(DiskError::copy_failure);
        }
        let mut givers = Givers::new(order, ctx);
        let result = copy.all(&mut givers);
        givers.tell_doubts();
        if result == Err(OpFailure::Copy(TaskFailure::DiskFull)) {
            drop(copy);
            // On a full disk the half copy is in the way of everything else.
            self.remove_task_dir(order.label.tablet).map_err(DiskError::copy_failure)?;
        }
        result
    }
}

/// One copy on its way, over as many sources as it takes.
pub(crate) struct Copy<'a> {
    disk: &'a DiskDir,
    order: &'a CloneOrder,
    ctx: &'a OpContext<'a>,
    tree: Tree,
    dir: String,
    own: Option<Own>,
    /// Something was staged before this look at it.
    resuming: bool,
    /// Staged files whose bytes were checked in this run.
    checked: BTreeMap<String, Digest>,
    copied: u64,
    reused: u64,
    progress: Progress<'a>,
}

/// What is told of a copy: bytes that were received or read for it, whether or not they were of use, for the coordinator ends
/// a copy of which it sees no byte move. The sum never shrinks; what was in vain is brought again, so the whole grows by it.
struct Progress<'a> {
    tell: &'a dyn Fn(u64, u64),
    moved: u64,
    total: u64,
    told: Instant,
}

impl Progress<'_> {
    /// So many bytes more have moved.
    fn moved(&mut self, bytes: u64) {
        self.moved += bytes;
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.tell();
        }
    }

    /// So many bytes are still to move.
    fn expect(&mut self, left: u64) {
        self.total = self.moved + left;
        self.tell();
    }

    fn tell(&mut self) {
        self.told = Instant::now();
        (self.tell)(self.moved, self.total.max(self.moved));
    }
}

impl<'a> Copy<'a> {
    fn begin(disk: &'a DiskDir, order: &'a CloneOrder, mend: bool, ctx: &'a OpContext) -> Result<Copy<'a>, DiskError> {
        disk.may_write()?;
        let label = &order.label;
        let task = task_dir(label.tablet);
        let mark = format!("{task}/fetched");
        disk.beneath.remove_file(&mark).tried(|| format!("remove `{mark}`"))?;
        let dir = format!("{task}/replica");
        let resuming = disk.beneath.exists(&format!("{dir}/data")).tried(|| dir.clone())?;
        let tree = Tree::open(&disk.beneath, &dir)?;
        let mut own = Own::find(&disk.beneath, label.tablet, label.replica, order.version)?;
        if let Some(own) = &mut own {
            own.doubted |= mend;
        }
        let checked = BTreeMap::new();
        let progress = Progress { tell: ctx.progress, moved: 0, total: 0, told: Instant::now() };
        let (copied, reused) = (0, 0);
        Ok(Copy { disk, order, ctx, tree, dir, own, resuming, checked, copied, reused, progress })
    }

    /// The whole version, from as many sources as it takes.
    fn all(&mut self, givers: &mut Givers) -> Result<OpResult, OpFailure> {
        let mut missing = BTreeMap::new();
        while let Some(mut target) = givers.target()? {
            target.meta.installed_ms = self.ctx.now_wall_ms;
            target.meta_text = target.meta.encode();
            let done = self.gather(&target, givers, &mut missing).map_err(|setback| match setback {
                Setback::Source(failure) | Setback::Silent(failure) => OpFailure::Copy(failure),
                Setback::Here(failure) => failure,
            })?;
            if let Some(content_checked) = done {
                return self.finish(&target, content_checked).map_err(DiskError::copy_failure);
            }
            // All sources were asked for the ordered version itself; only from a newer one is there a way back to it.
            if target.meta.version == self.order.version {
                break;
            }
        }
        Err(OpFailure::Copy(givers.failure(&missing)))
    }

    /// Brings all files of the target together; answers whether all its content was read, `None` if some is `missing`.
    fn gather(
        &mut self,
        target: &OpenVersion,
        givers: &mut Givers,
        missing: &mut BTreeMap<RelPath, Entry>,
    ) -> Result<Option<bool>, Setback> {
        let (absent, content_checked) = self.missing(&target.manifest)?;
        missing.clear();
        if !absent.entries.is_empty() {
            let plan = clone_plan::plan(&absent, &self.held()?);
            self.progress.expect(plan.bytes_reused + plan.bytes_to_fetch);
            missing.extend(plan.fetch);
            for (path, entry, places) in plan.reuse {
                if !self.reuse(&path, &entry, &places)? {
                    missing.insert(path, entry);
                }
            }
        }
        self.resuming = true;
        givers.gather(self, missing).map_err(Setback::Here)?;
        self.progress.tell();
        Ok(missing.is_empty().then_some(content_checked))
    }

    /// The files of the target that are not in their place, and whether all others were read.
    fn missing(&mut self, target: &Manifest) -> Result<(Manifest, bool), Setback> {
        let (mut missing, mut content_checked) = (Manifest::default(), true);
        let (mut staged_dir, mut own_dir) = (LastDir::default(), LastDir::default());
        if self.resuming || self.own.as_ref().is_some_and(|own| own.doubted) {
            // All that is here is read.
            self.progress.expect(target.entries.values().map(|entry| entry.size).sum());
        }
        for (path, entry) in &target.entries {
            self.go_on()?;
            let mut read = |bytes| self.progress.moved(bytes);
            let name = self.tree.name(&data_name(entry.added, path));
            if let Some(own) = &self.own {
                match own.keeps(&self.disk.beneath, &mut own_dir, path, entry, self.ctx.cancelled, &mut read)? {
                    Kept::Not => {}
                    kept => {
                        content_checked &= kept == Kept::Read;
                        continue;
                    }
                }
            }
            if self.checked.get(&name) == Some(&entry.digest) {
                continue;
            }
            let (beneath, cancelled) = (&self.disk.beneath, self.ctx.cancelled);
            if self.resuming && survey::holds(beneath, &mut staged_dir, &name, entry, cancelled, &mut read)? {
                self.checked.insert(name, entry.digest);
                self.reused += entry.size;
                continue;
            }
            missing.entries.insert(path.clone(), *entry);
        }
        self.go_on()?;
        Ok((missing, content_checked))
    }

    /// What may be reused: an earlier try's files, the replica's own, other copies on this disk, the trash.
    fn held(&self) -> Result<BTreeMap<Digest, Vec<String>>, Setback> {
        let staged: Option<(String, Manifest)> = match self.resuming {
            false => None,
            true => {
                let latest = super::papers::listed_versions(&self.disk.beneath, &self.dir)?.pop();
                let open = latest.and_then(|v| super::papers::read_version(&self.disk.beneath, &self.dir, v).ok());
                open.map(|open| (self.dir.clone(), open.manifest))
            }
        };
        let label = &self.order.label;
        let staged = staged.as_ref().map(|(dir, manifest)| (dir.as_str(), manifest));
        Ok(survey::held(&self.disk.beneath, label.tablet, label.replica, staged)?)
    }

    /// Copies a file that lies elsewhere on this disk, the best place being the last; false when it is nowhere what it
    /// should be.
    fn reuse(&mut self, path: &RelPath, entry: &Entry, places: &[String]) -> Result<bool, Setback> {
        for from in places.iter().rev() {
            if self.reuse_from(path, entry, from)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn reuse_from(&mut self, path: &RelPath, entry: &Entry, from: &str) -> Result<bool, Setback> {
        let mut file = match self.disk.beneath.file(from).tried(|| from.to_string()) {
            Ok(file) => file,
            Err(DiskError::NotFound { .. } | DiskError::Damaged { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file).tried(|| format!("stat `{from}`"))?;
        if stat.st_size as u64 != entry.size {
            return Ok(false);
        }
        self.disk.has_room(entry.size)?;
        let name = data_name(entry.added, path);
        let mut incoming = self.tree.create(&name, entry.size)?;
        let mut buffer = vec![0; COPY_BYTES.min(entry.size as usize)];
        while incoming.left() > 0 {
            self.go_on()?;
            let room = buffer.len().min(incoming.left() as usize);
            match file.read(&mut buffer[..room]).tried(|| format!("read `{from}`"))? {
                0 => return Ok(false),
                n => {
                    incoming.write(&buffer[..n])?;
                    self.progress.moved(n as u64);
                }
            }
        }
        if self.tree.end(incoming)? != entry.digest {
            return Ok(false);
        }
        self.disk.ledger().add_staging(&task_dir(self.order.label.tablet), entry.size);
        self.checked.insert(self.tree.name(&name), entry.digest);
        self.reused += entry.size;
        Ok(true)
    }

    /// Takes one file as it comes; false when its bytes fail their digest.
    pub fn take(&mut self, file: &Wanted, body: &mut dyn BufRead) -> Result<bool, FetchFailure> {
        let (path, entry) = (&file.path, &file.entry);
        self.disk.has_room(entry.size)?;
        let name = data_name(entry.added, path);
        let mut incoming = self.tree.create(&name, entry.size)?;
        while incoming.left() > 0 {
            let bytes = body.fill_buf().map_err(|error| PeerFailure::of_line(&error))?;
            let piece = self.ctx.pacer.piece(self.order.purpose).min(incoming.left());
            let taken = bytes.len().min(piece as usize);
            if taken == 0 {
                return Err(PeerFailure::Lost { detail: format!("the line broke within `{path}`") }.into());
            }
            incoming.write(&bytes[..taken])?;
            body.consume(taken);
            let (purpose, disk, cancelled) = (self.order.purpose, self.disk.disk(), self.ctx.cancelled);
            self.ctx.pacer.passed(purpose, Way::In, disk, taken as u64, cancelled);
            self.progress.moved(taken as u64);
        }
        let digest = self.tree.end(incoming)?;
        let full = self.tree.name(&name);
        if digest != entry.digest {
            self.disk.beneath.remove_file(&full).tried(|| format!("remove `{full}`"))?;
            return Ok(false);
        }
        self.disk.ledger().add_staging(&task_dir(self.order.label.tablet), entry.size);
        self.checked.insert(full, entry.digest);
        self.copied += entry.size;
        Ok(true)
    }

    /// Papers, sync, mark.
    fn finish(&mut self, target: &OpenVersion, content_checked: bool) -> Result<OpResult, DiskError> {
        let (version, hash) = (target.meta.version, target.hash());
        if self.resuming {
            self.tidy(target)?;
        }
        let mut papers = vec![
            ("tablet".to_string(), label_text(&self.order.label)?),
            ("head".to_string(), head_text(version, hash)),
        ];
        if version != Version::EMPTY {
            papers.push((format!("{version}.b3"), target.b3_text.clone()));
            papers.push((format!("{version}.meta"), target.meta_text.clone()));
        }
        for (name, text) in papers {
            let mut file = self.tree.create(&name, text.len() as u64)?;
            file.write(text.as_bytes())?;
            self.tree.end(file)?;
        }
        self.tree.sync()?;
        let mark = Fetched { version, hash, content_checked };
        let text = toml::to_string(&mark).expect("a struct of numbers and digests is always valid TOML");
        self.disk.beneath.write_text(&format!("{}/fetched", task_dir(self.order.label.tablet)), &text)?;
        Ok(OpResult::Fetched { version, hash, bytes_copied: self.copied, bytes_reused: self.reused })
    }

    /// Removes what earlier tries staged and this target does not name, or what the replica keeps itself.
    fn tidy(&mut self, target: &OpenVersion) -> Result<(), DiskError> {
        let named = target.manifest.entries.iter().map(|(path, entry)| self.tree.name(&data_name(entry.added, path)));
        let named: BTreeSet<String> = named.filter(|name| self.checked.contains_key(name)).collect();
        let wanted = |name: &str| named.contains(name);
        let beneath = &self.disk.beneath;
        let removed = super::remove::sweep(beneath, &format!("{}/data", self.dir), &wanted)?;
        for dir in removed {
            self.tree.touched(&dir);
        }
        for version in super::papers::listed_versions(beneath, &self.dir)? {
            if version != target.meta.version {
                for name in [format!("{}/{version}.meta", self.dir), format!("{}/{version}.b3", self.dir)] {
                    beneath.remove_file(&name).tried(|| format!("remove `{name}`"))?;
                }
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), Setback> {
        if self.ctx.cancelled.load(Ordering::Relaxed) {
            return Err(Setback::Here(OpFailure::Copy(TaskFailure::Cancelled)));
        }
        Ok(())
    }

    /// So many bytes have not come yet.
    pub fn expect(&mut self, left: u64) {
        self.progress.expect(left);
    }

    /// Bytes that were received or read until now.
    pub fn moved(&self) -> u64 {
        self.progress.moved
    }
}

/// The mark of a finished fetch; `None` when there is none.
pub(crate) fn read_fetched(disk: &DiskDir, task: &str) -> Result<Option<Fetched>, DiskError> {
    let name = format!("{task}/fetched");
    match disk.beneath.text(&name).tried(|| name.clone()) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| DiskError::damaged(name, error.message())),
        Err(DiskError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
