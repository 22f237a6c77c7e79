//! The sources of one copy: which of them says what the version is, and what each of them can give of it.
//!
//! ```text
//! target:  in the order's order, the first that offers the ordered version (its hash proves it), or a newer head that its
//!          own agent trusts
//! gather:  that source first, then all others:  files asked ─▶ right          staged
//!                                                          ├─▶ wrong digest   struck for this source, doubted at its agent
//!                                                          ├─▶ lacking        struck for this source
//!                                                          ├─▶ line broke     struck is the file it broke in; asked again later
//!                                                          └─▶ silent         the same if it had brought something, else left
//! ```
//!
//! A source may be bad, a stray or trash: every byte is held against a digest of the target, so it can only fail to help.
//! Nothing is written here; [`struct@Copy`] takes the files.

use super::error::DiskError;
use super::fetch::Copy;
use super::papers::OpenVersion;
use super::run::OpContext;
use super::source::{FetchFailure, FileSink, PeerFailure, PeerSession, Terms};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::BufRead;
use std::sync::atomic::Ordering;
use stele_agent_rules::OpFailure;
use stele_common::peer::{FileHeader, PeerError, PeerErrorCode, Wanted};
use stele_common::{CloneOrder, Entry, RelPath, ReplicaId, Source, TaskFailure, Version};

/// A source is called so often in one copy. Each call but the last ended in a broken line, which costs one file: with fewer,
/// unreadable sectors in a few files hide the files behind them. One that brought nothing before it fell silent is not
/// called again at all: waiting for it twice could cost the time in which the coordinator wants to see a byte.
const CALLS_MAX: u32 = 16;
/// Files named in a failure; the rest are counted.
const NAMED_MAX: usize = 3;

/// Why a copy does not go on.
pub(crate) enum Setback {
    /// Try the next source.
    Source(TaskFailure),
    /// The same, and this one is not to be waited for again.
    Silent(TaskFailure),
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
            PeerFailure::Silent { .. } => Setback::Silent(TaskFailure::SourceLost { detail }),
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
            FetchFailure::Disk(error) => error.into(),
        }
    }
}

/// One source, as far as it has been asked.
struct Giver<'a> {
    source: &'a Source,
    /// Kept to the end: while it is open, the source keeps the version that it named.
    session: Option<Box<dyn PeerSession + 'a>>,
    calls: u32,
    /// Files that it was asked for in vain.
    struck: BTreeSet<RelPath>,
    /// Files of which it sent wrong bytes.
    doubts: Vec<Wanted>,
}

/// All sources of an order.
pub(crate) struct Givers<'a> {
    order: &'a CloneOrder,
    ctx: &'a OpContext<'a>,
    all: Vec<Giver<'a>>,
    /// The next to be asked for a target; the one before it gave the last.
    next: usize,
    /// Why no source did so far; damage before anything else, because the coordinator has it looked into.
    worst: Option<TaskFailure>,
    /// Who sent wrong bytes of a file, or has it no more though its manifest names it.
    blamed: BTreeMap<RelPath, BTreeSet<ReplicaId>>,
}

impl<'a> Givers<'a> {
    pub fn new(order: &'a CloneOrder, ctx: &'a OpContext<'a>) -> Givers<'a> {
        let giver = |source| Giver { source, session: None, calls: 0, struck: BTreeSet::new(), doubts: Vec::new() };
        let all = order.sources.iter().map(giver).collect();
        Givers { order, ctx, all, next: 0, worst: None, blamed: BTreeMap::new() }
    }

    /// What the next source that has something fitting would make of the replica; `None`: there is none left.
    pub fn target(&mut self) -> Result<Option<OpenVersion>, OpFailure> {
        // Another version's file of the same name is another file.
        self.all.iter_mut().for_each(|giver| giver.struck.clear());
        self.blamed.clear();
        while self.next < self.all.len() {
            self.next += 1;
            match self.offered(self.next - 1) {
                Ok(target) => return Ok(Some(target)),
                Err(setback) => self.note(self.next - 1, setback)?,
            }
        }
        Ok(None)
    }

    fn offered(&mut self, index: usize) -> Result<OpenVersion, Setback> {
        let (version, replica) = (self.order.version, self.all[index].source.replica);
        let mut session = self.session(index)?;
        let head = match read(session.as_mut(), None) {
            // It is bad or in the trash, or is found damaged just now: it may have what was ordered all the same.
            Err(PeerFailure::Refused(PeerError {
                code: PeerErrorCode::NoSuchVersion | PeerErrorCode::Damaged,
                ..
            })) => read(session.as_mut(), Some(version))?,
            head => head?,
        };
        let found = head.meta.version;
        if found < version {
            let detail = format!("replica {replica} is at version {found}, not at {version}");
            return Err(Setback::Source(TaskFailure::SourceLost { detail }));
        }
        let committed = match found > version {
            false => head.hash() == self.order.hash,
            // What follows another version than the committed one is not believed either; it may have been collected.
            true => match read(session.as_mut(), Some(version)) {
                Ok(ordered) => ordered.hash() == self.order.hash,
                Err(PeerFailure::Refused(error)) => error.code == PeerErrorCode::NoSuchVersion,
                Err(failure) => return Err(failure.into()),
            },
        };
        self.all[index].session = Some(session);
        if !committed {
            let path = format!("the manifest of version {version} is not the one that was committed");
            return Err(Setback::Source(TaskFailure::SourceDamaged { path }));
        }
        Ok(head)
    }

    /// The open connection to a source, or a new one. It is put back by whoever still trusts the line.
    fn session(&mut self, index: usize) -> Result<Box<dyn PeerSession + 'a>, Setback> {
        if self.ctx.cancelled.load(Ordering::Relaxed) {
            return Err(PeerFailure::Cancelled.into());
        }
        let giver = &mut self.all[index];
        if let Some(session) = giver.session.take() {
            return Ok(session);
        }
        let (purpose, stall_ms) = (self.order.purpose, self.order.stall_ms);
        let terms = Terms { purpose, stall_ms, cancelled: self.ctx.cancelled };
        let connected = self.ctx.peers.connect(giver.source, self.order.label.tablet, terms);
        if connected.is_err() {
            // Nobody there: waiting for it again would only hold up the others.
            giver.calls = CALLS_MAX;
        }
        Ok(connected?)
    }

    /// Brings files from all sources; what is left in `wanted` nobody could give.
    pub fn gather(&mut self, copy: &mut Copy, wanted: &mut BTreeMap<RelPath, Entry>) -> Result<(), OpFailure> {
        let first = self.next.saturating_sub(1);
        let order: Vec<usize> =
            std::iter::once(first).chain((0..self.all.len()).filter(|index| *index != first)).collect();
        let mut asked = true;
        while asked && !wanted.is_empty() {
            asked = false;
            for index in &order {
                asked |= self.ask(*index, copy, wanted)?;
            }
        }
        Ok(())
    }

    /// Asks one source for what it has not been asked for in vain; false when there is nothing to ask it for.
    fn ask(&mut self, index: usize, copy: &mut Copy, wanted: &mut BTreeMap<RelPath, Entry>) -> Result<bool, OpFailure> {
        let giver = &mut self.all[index];
        let open = wanted.iter().filter(|(path, _)| !giver.struck.contains(*path));
        let files: Vec<Wanted> = open.map(|(path, entry)| Wanted { path: path.clone(), entry: *entry }).collect();
        if files.is_empty() || giver.calls >= CALLS_MAX {
            return Ok(false);
        }
        giver.calls += 1;
        let mut session = match self.session(index) {
            Ok(session) => session,
            Err(setback) => return self.note(index, setback).map(|()| true),
        };
        copy.expect(wanted.values().map(|entry| entry.size).sum());
        let before = copy.moved();
        let mut arriving = Arriving { copy, files: files.iter().collect(), right: Vec::new(), faults: Vec::new() };
        let mut result = session.fetch(&files, &mut arriving);
        let Arriving { copy, files, right, faults } = arriving;
        let brought = copy.moved() > before;
        for file in right {
            wanted.remove(&file.path);
        }
        if let Some(next) = files.front() {
            self.all[index].struck.insert(next.path.clone());
            if result.is_ok() {
                let detail = format!("the stream ended before `{}`", next.path);
                result = Err(PeerFailure::Lost { detail }.into());
            }
        }
        self.fault(index, faults);
        match result {
            Ok(()) => self.all[index].session = Some(session),
            // However the line ended: it was cut for this.
            Err(_) if self.ctx.cancelled.load(Ordering::Relaxed) => return Err(cancelled()),
            Err(failure) => match failure.into() {
                Setback::Silent(failure) if brought => self.note(index, Setback::Source(failure))?,
                setback => self.note(index, setback)?,
            },
        }
        Ok(true)
    }

    fn fault(&mut self, index: usize, faults: Vec<(&Wanted, Fault)>) {
        let giver = &mut self.all[index];
        let source = giver.source;
        let mut wrong = 0;
        for (file, fault) in faults {
            giver.struck.insert(file.path.clone());
            match fault {
                Fault::Lacking { detail } => {
                    self.worst.get_or_insert(TaskFailure::SourceLost { detail });
                    continue;
                }
                Fault::Missing => {}
                Fault::Wrong => {
                    wrong += 1;
                    giver.doubts.push(file.clone());
                }
            }
            self.blamed.entry(file.path.clone()).or_default().insert(source.replica);
        }
        if let Some(first) = giver.doubts.first().filter(|_| wrong > 0) {
            tracing::warn!(
                task = self.order.task.0,
                tablet = self.order.label.tablet.0,
                source = source.replica.0,
                node = source.node.0,
                files = wrong,
                first = first.path.as_str(),
                reason = "wrong digest",
                "a source sent damaged files"
            );
        }
    }

    /// A source did not do; an error when no other would help.
    fn note(&mut self, index: usize, setback: Setback) -> Result<(), OpFailure> {
        let failure = match setback {
            Setback::Source(_) | Setback::Silent(_) if self.ctx.cancelled.load(Ordering::Relaxed) => {
                return Err(cancelled());
            }
            Setback::Source(failure) => failure,
            Setback::Silent(failure) => {
                self.all[index].calls = CALLS_MAX;
                failure
            }
            Setback::Here(failure) => return Err(failure),
        };
        let source = self.all[index].source;
        tracing::warn!(
            task = self.order.task.0,
            tablet = self.order.label.tablet.0,
            source = source.replica.0,
            node = source.node.0,
            reason = ?failure,
            "a source did not give what was asked"
        );
        if !matches!(self.worst, Some(TaskFailure::SourceDamaged { .. })) {
            self.worst = Some(failure);
        }
        Ok(())
    }

    /// Why the copy failed, `missing` being what nobody could give.
    pub fn failure(&self, missing: &BTreeMap<RelPath, Entry>) -> TaskFailure {
        let Some(_) = missing.first_key_value() else {
            let none = || TaskFailure::Refused { detail: "the order names no source".into() };
            return self.worst.clone().unwrap_or_else(none);
        };
        let name = |path: &RelPath| match self.blamed.get(path) {
            None => path.to_string(),
            Some(replicas) => {
                let replicas: Vec<String> = replicas.iter().map(ReplicaId::to_string).collect();
                format!("{path} (damaged in replica {})", replicas.join(" and "))
            }
        };
        // Damaged ones first: they say more than those that a lost line left out.
        let (mut first, others): (Vec<&RelPath>, Vec<&RelPath>) =
            missing.keys().partition(|path| self.blamed.contains_key(*path));
        let damaged = !first.is_empty();
        first.extend(others);
        let named: Vec<String> = first.iter().take(NAMED_MAX).map(|path| name(path)).collect();
        let mut names = named.join(", ");
        if missing.len() > NAMED_MAX {
            names += &format!(" and {} more files", missing.len() - NAMED_MAX);
        }
        match &self.worst {
            _ if damaged => TaskFailure::SourceDamaged { path: names },
            Some(TaskFailure::SourceLost { detail }) => {
                TaskFailure::SourceLost { detail: format!("{detail}; no source gave {names}") }
            }
            Some(_) | None => TaskFailure::SourceLost { detail: format!("no source gave {names}") },
        }
    }

    /// Tells the sources which of their files came damaged, so that they look at them; nothing depends on it.
    pub fn tell_doubts(&mut self) {
        for index in 0..self.all.len() {
            let doubts = std::mem::take(&mut self.all[index].doubts);
            if doubts.is_empty() {
                continue;
            }
            let Ok(mut session) = self.session(index) else { continue };
            if let Err(failure) = doubts.iter().try_for_each(|file| session.doubt(file)) {
                tracing::debug!(source = self.all[index].source.replica.0, reason = %failure, "a source was not told");
            }
        }
    }
}

fn cancelled() -> OpFailure {
    OpFailure::Copy(TaskFailure::Cancelled)
}

fn read(session: &mut dyn PeerSession, version: Option<Version>) -> Result<OpenVersion, PeerFailure> {
    let (meta, b3) = session.manifest(version)?;
    let damaged = |detail: String| PeerFailure::Refused(PeerError { code: PeerErrorCode::Damaged, detail });
    let open = OpenVersion::read(meta, b3).map_err(|error| damaged(format!("manifest: {error}")))?;
    match version {
        Some(version) if open.meta.version != version => {
            Err(damaged(format!("manifest: it speaks of version {}, not of {version}", open.meta.version)))
        }
        Some(_) | None => Ok(open),
    }
}

/// What was wrong with a file that a source was asked for.
enum Fault {
    /// Its bytes fail their digest.
    Wrong,
    /// Its replica should have it and has not.
    Missing,
    /// It has no such file, or cannot read it.
    Lacking { detail: String },
}

/// The stream of one source, file by file.
struct Arriving<'c, 'a, 'f> {
    copy: &'c mut Copy<'a>,
    /// What has not come yet, in order.
    files: VecDeque<&'f Wanted>,
    right: Vec<&'f Wanted>,
    faults: Vec<(&'f Wanted, Fault)>,
}

impl<'f> Arriving<'_, '_, 'f> {
    fn expected(&self, path: &RelPath) -> Result<&'f Wanted, FetchFailure> {
        let detail = match self.files.front() {
            Some(next) if next.path == *path => return Ok(next),
            Some(next) => format!("`{path}` came where `{}` was asked for", next.path),
            None => "a file came that was not asked for".to_string(),
        };
        Err(PeerFailure::Malformed { detail }.into())
    }
}

impl FileSink for Arriving<'_, '_, '_> {
    fn file(&mut self, header: &FileHeader, body: &mut dyn BufRead) -> Result<(), FetchFailure> {
        let file = self.expected(&header.path)?;
        if header.size != file.entry.size {
            let detail = format!("`{}` came with {} bytes, asked for {}", header.path, header.size, file.entry.size);
            return Err(PeerFailure::Malformed { detail }.into());
        }
        if self.copy.take(file, body)? {
            self.right.push(file);
        } else {
            self.faults.push((file, Fault::Wrong));
        }
        self.files.pop_front();
        Ok(())
    }

    fn lacks(&mut self, path: &RelPath, error: &PeerError) -> Result<(), FetchFailure> {
        let file = self.expected(path)?;
        let missing = error.code == PeerErrorCode::Damaged;
        let fault = if missing { Fault::Missing } else { Fault::Lacking { detail: error.to_string() } };
        tracing::debug!(path = path.as_str(), reason = %error, "a source lacks a file");
        self.faults.push((file, fault));
        self.files.pop_front();
        Ok(())
    }
}
