//! Receiving a copy: whole, catching up, resuming and mending are this one mechanism.
//!
//! ```text
//! for each source:  its manifest ─▶ what is held here? ─▶ reuse by digest, fetch the rest in one stream
//!                   wrong bytes, broken line ─▶ next source; what was staged stays
//! then:             papers, one sync, `fetched` mark     (InstallCopy makes it the head)
//!
//! staging/task-<tablet>/replica/    data/<added>/<path>, <v>.b3, <v>.meta, tablet, head: a replica in the making
//!                       fetched     TOML: what is durable there
//! ```

use super::beneath::LastDir;
use super::dir::DiskDir;
use super::error::{DiskError, Tried};
use super::papers::{OpenVersion, head_text, label_text, task_dir};
use super::run::OpContext;
use super::source::{FetchFailure, FileSink, Patience, PeerFailure, PeerSession};
use super::survey::{self, Kept, Own};
use super::tree::Tree;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, Read};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use stele_agent_rules::{OpFailure, OpResult, clone_plan};
use stele_common::manifest::data_name;
use stele_common::peer::{FileHeader, PeerErrorCode};
use stele_common::{CloneOrder, Digest, Entry, Manifest, RelPath, Source, TaskFailure, Version, VersionHash};

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

/// Why one source did not do.
enum Setback {
    /// Try the next one.
    Source(TaskFailure),
    /// This side failed, or is to stop: no other source would help.
    Here(OpFailure),
}

impl From<DiskError> for Setback {
    fn from(error: DiskError) -> Self {
        Setback::Here(error.copy_failure())
    }
}

impl From<PeerFailure> for Setback {
    fn from(failure: PeerFailure) -> Self {
        let detail = failure.to_string();
        match failure {
            PeerFailure::Cancelled => Setback::Here(OpFailure::Copy(TaskFailure::Cancelled)),
            PeerFailure::Refused(error) if error.code == PeerErrorCode::Damaged => {
                Setback::Source(TaskFailure::SourceDamaged { path: error.detail })
            }
            PeerFailure::Refused(_) | PeerFailure::Lost { .. } | PeerFailure::Malformed { .. } => {
                Setback::Source(TaskFailure::SourceLost { detail })
            }
        }
    }
}

impl From<FetchFailure> for Setback {
    fn from(failure: FetchFailure) -> Self {
        match failure {
            FetchFailure::Peer(failure) => failure.into(),
            FetchFailure::WrongBytes { path } => Setback::Source(TaskFailure::SourceDamaged { path }),
            FetchFailure::Disk(error) => error.into(),
        }
    }
}

impl DiskDir {
    /// Carries out `Op::Fetch`; with `mend` nothing of the replica that is there is believed without reading.
    pub(crate) fn fetch(&self, order: &CloneOrder, mend: bool, ctx: &OpContext) -> Result<OpResult, OpFailure> {
        let mut copy = Copy::begin(self, order, mend, ctx).map_err(DiskError::copy_failure)?;
        let mut worst: Option<TaskFailure> = None;
        if order.sources.is_empty() && order.version == Version::EMPTY {
            return copy.finish(&OpenVersion::empty(), true).map_err(DiskError::copy_failure);
        }
        for source in &order.sources {
            match copy.from(source) {
                Ok(done) => return Ok(done),
                // However the line ended: it was cut for this.
                Err(Setback::Source(_)) if ctx.cancelled.load(Ordering::Relaxed) => {
                    return Err(OpFailure::Copy(TaskFailure::Cancelled));
                }
                Err(Setback::Source(failure)) => {
                    tracing::warn!(
                        task = order.task.0,
                        tablet = order.label.tablet.0,
                        source = source.replica.0,
                        node = source.node.0,
                        reason = ?failure,
                        "a source did not give what was asked"
                    );
                    // Damage is what the coordinator must hear of: it has the source verified.
                    if !matches!(worst, Some(TaskFailure::SourceDamaged { .. })) {
                        worst = Some(failure);
                    }
                }
                Err(Setback::Here(failure)) => {
                    if failure == OpFailure::Copy(TaskFailure::DiskFull) {
                        drop(copy);
                        // On a full disk the half copy is in the way of everything else.
                        self.remove_task_dir(order.label.tablet).map_err(DiskError::copy_failure)?;
                    }
                    return Err(failure);
                }
            }
        }
        let none = || TaskFailure::Refused { detail: "the order names no source".into() };
        Err(OpFailure::Copy(worst.unwrap_or_else(none)))
    }
}

/// One copy on its way, over as many sources as it takes.
struct Copy<'a> {
    disk: &'a DiskDir,
    order: &'a CloneOrder,
    ctx: &'a OpContext<'a>,
    tree: Tree,
    dir: String,
    own: Option<Own>,
    /// Something was staged before this source was asked.
    resuming: bool,
    /// Staged files whose bytes were checked in this run.
    checked: BTreeMap<String, Digest>,
    copied: u64,
    reused: u64,
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
        Ok(Copy { disk, order, ctx, tree, dir, own, resuming, checked, copied: 0, reused: 0 })
    }

    /// Everything from one source.
    fn from(&mut self, source: &Source) -> Result<OpResult, Setback> {
        self.go_on()?;
        let patience = Patience { stall_ms: self.order.stall_ms, cancelled: self.ctx.cancelled };
        let mut session = self.ctx.peers.connect(source, self.order.label.tablet, patience)?;
        let target = self.target(session.as_mut(), source)?;
        let (missing, content_checked) = self.missing(&target.manifest)?;
        let mut wanted = Vec::new();
        if !missing.entries.is_empty() {
            let held = self.held()?;
            let plan = clone_plan::plan(&missing, &held);
            self.tell(plan.bytes_reused + plan.bytes_to_fetch);
            wanted = plan.fetch;
            for (path, entry, name) in plan.reuse {
                if !self.reuse(&path, &entry, &name)? {
                    wanted.push((path, entry));
                }
            }
        }
        self.resuming = true;
        if !wanted.is_empty() {
            wanted.sort_by(|a, b| a.0.cmp(&b.0));
            self.receive(session.as_mut(), target.meta.version, wanted)?;
        }
        drop(session);
        Ok(self.finish(&target, content_checked)?)
    }

    /// The version that the source offers: at least what was ordered, and exactly that content if it is that version.
    fn target(&self, session: &mut dyn PeerSession, source: &Source) -> Result<OpenVersion, Setback> {
        let lost = |detail: String| Setback::Source(TaskFailure::SourceLost { detail });
        let (meta, b3) = session.manifest(None)?;
        let mut target = OpenVersion::read(meta, b3)
            .map_err(|error| Setback::Source(TaskFailure::SourceDamaged { path: format!("manifest: {error}") }))?;
        let version = target.meta.version;
        if version < self.order.version {
            let wanted = self.order.version;
            return Err(lost(format!("replica {} is at version {version}, not at {wanted}", source.replica)));
        }
        if version == self.order.version && target.hash() != self.order.hash {
            let path = format!("the manifest of version {version} is not the one that was committed");
            return Err(Setback::Source(TaskFailure::SourceDamaged { path }));
        }
        target.meta.installed_ms = self.ctx.now_wall_ms;
        target.meta_text = target.meta.encode();
        Ok(target)
    }

    /// The files of the target that are not in their place, and whether all others were read.
    fn missing(&mut self, target: &Manifest) -> Result<(Manifest, bool), Setback> {
        let (mut missing, mut content_checked) = (Manifest::default(), true);
        let (mut staged_dir, mut own_dir) = (LastDir::default(), LastDir::default());
        for (path, entry) in &target.entries {
            self.go_on()?;
            let name = self.tree.name(&data_name(entry.added, path));
            if let Some(own) = &self.own {
                match own.keeps(&self.disk.beneath, &mut own_dir, path, entry, self.ctx.cancelled)? {
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
            if self.resuming && survey::holds(&self.disk.beneath, &mut staged_dir, &name, entry, self.ctx.cancelled)? {
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
    fn held(&self) -> Result<BTreeMap<Digest, String>, Setback> {
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

    /// Copies a file that lies elsewhere on this disk; false when it is not what it should be.
    fn reuse(&mut self, path: &RelPath, entry: &Entry, from: &str) -> Result<bool, Setback> {
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
                n => incoming.write(&buffer[..n])?,
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

    /// Fetches the files in one stream.
    fn receive(
        &mut self,
        session: &mut dyn PeerSession,
        version: Version,
        wanted: Vec<(RelPath, Entry)>,
    ) -> Result<(), Setback> {
        let files: Vec<RelPath> = wanted.iter().map(|(path, _)| path.clone()).collect();
        let left: u64 = wanted.iter().map(|(_, entry)| entry.size).sum();
        let total = self.copied + self.reused + left;
        let mut arriving = Arriving { copy: self, wanted: wanted.into(), total, told: Instant::now() };
        session.fetch(version, &files, &mut arriving)?;
        if let Some((path, _)) = arriving.wanted.front() {
            let detail = format!("the stream ended before `{path}`");
            return Err(Setback::Source(TaskFailure::SourceLost { detail }));
        }
        self.tell(0);
        Ok(())
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

    fn tell(&self, left: u64) {
        let done = self.copied + self.reused;
        (self.ctx.progress)(done, done + left);
    }
}

/// The stream of one source, file by file.
struct Arriving<'c, 'a> {
    copy: &'c mut Copy<'a>,
    wanted: VecDeque<(RelPath, Entry)>,
    total: u64,
    told: Instant,
}

impl FileSink for Arriving<'_, '_> {
    fn file(&mut self, header: &FileHeader, body: &mut dyn BufRead) -> Result<(), FetchFailure> {
        let Some((path, entry)) = self.wanted.front().cloned() else {
            return Err(PeerFailure::Malformed { detail: "a file came that was not asked for".into() }.into());
        };
        if header.path != path || header.size != entry.size {
            let detail = format!("`{}` came where `{path}` was asked for", header.path);
            return Err(PeerFailure::Malformed { detail }.into());
        }
        let disk = self.copy.disk;
        disk.has_room(entry.size)?;
        let name = data_name(entry.added, &path);
        let mut incoming = self.copy.tree.create(&name, entry.size)?;
        while incoming.left() > 0 {
            let bytes = body.fill_buf().map_err(|error| PeerFailure::Lost { detail: error.to_string() })?;
            let taken = bytes.len().min(incoming.left() as usize);
            if taken == 0 {
                return Err(PeerFailure::Lost { detail: format!("the line broke within `{path}`") }.into());
            }
            incoming.write(&bytes[..taken])?;
            body.consume(taken);
            self.progress(entry.size - incoming.left());
        }
        let digest = self.copy.tree.end(incoming)?;
        let full = self.copy.tree.name(&name);
        if digest != entry.digest {
            disk.beneath.remove_file(&full).tried(|| format!("remove `{full}`"))?;
            return Err(FetchFailure::WrongBytes { path: path.to_string() });
        }
        disk.ledger().add_staging(&task_dir(self.copy.order.label.tablet), entry.size);
        self.copy.checked.insert(full, entry.digest);
        self.copy.copied += entry.size;
        self.wanted.pop_front();
        self.progress(0);
        Ok(())
    }
}

impl Arriving<'_, '_> {
    fn progress(&mut self, of_this_file: u64) {
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            (self.copy.ctx.progress)(self.copy.copied + self.copy.reused + of_this_file, self.total);
        }
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
