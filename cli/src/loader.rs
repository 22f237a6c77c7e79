//! One load from the client's side: opened, streamed to every touched tablet's primary, committed, waited for.
//!
//! ```text
//! open ─▶ stream to each primary, some at once ─▶ commit ─▶ VISIBLE: done
//!   ▲         │ broke off, ballot moved, too few prepared     │ ABORTED
//!   └── wait ─┴──────────── the same key again ◀──────────────┘
//! ```
//!
//! The whole load is repeated under its own key until it is visible or the time is over: a load that was committed
//! meanwhile answers with its result, so repeating is harmless. Never reports done before the coordinator says VISIBLE.
//! Whoever is asked to stop aborts the load, so that its tablets are free and its staged files go.

use crate::exit::{Failure, Origin};
use crate::http::Face;
use crate::names::TableName;
use crate::stop;
use crate::stream::LoadBody;
use crate::tree::{self, Hashed};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use stele_common::api::{LoadOpen, LoadOpened, LoadPhase, LoadResult, LoadStaged, LoadTablet, TabletInfo};
use stele_common::peer::{LoadBegin, Member, PEER_FRAME_MAX};
use stele_common::{Delta, Epoch, LoadKey, LoadMode, NewFile, RelPath, ReplicaId};

/// The coordinator is asked to answer a commit within this; then it is asked again.
const POLL_MS: &str = "10000";
/// A load that is stopped gets this long to end its streams, and its abort this long to be answered: together as long as
/// somebody waits after Ctrl-C before pressing it again.
const STOP_WITHIN: Duration = Duration::from_secs(1);
const ABORT_WITHIN: Duration = Duration::from_secs(3);

/// What is to be loaded.
pub struct Load<'a> {
    pub table: &'a TableName,
    pub files: &'a [Hashed],
    pub remove: &'a [RelPath],
    pub mode: LoadMode,
    pub key: LoadKey,
    /// Streams at once.
    pub jobs: usize,
    pub timeout: Duration,
}

/// A load that is visible.
#[derive(Debug)]
pub struct Loaded {
    pub result: LoadResult,
    /// How often it had to be repeated.
    pub repeats: u32,
    pub took: Duration,
}

/// One tablet's share.
#[derive(Default)]
struct Part<'a> {
    files: Vec<&'a Hashed>,
    remove: Vec<RelPath>,
}

/// A random name for a load that was given none.
pub fn fresh_key() -> Result<LoadKey, Failure> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::io("cannot get random bytes", error))?;
    Ok(LoadKey(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Carries the load through; the bar counts file bytes. When it was asked to stop, the load is aborted.
pub fn run(face: &Face, load: &Load, bar: &ProgressBar) -> Result<Loaded, Failure> {
    let carried = carry(face, load, bar);
    if carried.is_err() && stop::asked() { Err(abort(face, &load.key)) } else { carried }
}

/// [`run`] for a command that only loads: asked to stop, it does not wait for a request that hangs.
pub fn run_or_leave(face: &Face, load: &Load, bar: &ProgressBar) -> Result<Loaded, Failure> {
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        // Nobody listens any more only when the process is ending.
        scope.spawn(move || drop(tell.send(run(face, load, bar))));
        let mut patience = STOP_WITHIN;
        loop {
            let look = STOP_WITHIN / 20;
            match told.recv_timeout(look) {
                Ok(carried) => return carried,
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::error("the thread of the load panicked")),
                Err(RecvTimeoutError::Timeout) if !stop::asked() => {}
                Err(RecvTimeoutError::Timeout) if patience > look => patience -= look,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        bar.finish_and_clear();
        let failure = abort(face, &load.key);
        // An aborted load ends a poll for its commit; one that was committed meanwhile is a success after all.
        match told.recv_timeout(STOP_WITHIN) {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(_)) => Err(failure),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => crate::leave(&failure),
        }
    })
}

/// Aborts a load because somebody asked us to stop; says what is known of it then.
fn abort(face: &Face, key: &LoadKey) -> Failure {
    let again = format!("interrupted; repeat with --load-id {key}");
    Failure::interrupted_as(match face.put_back::<LoadResult>(&load_url(key), ABORT_WITHIN) {
        Ok(result) => match result.state {
            LoadPhase::Aborted => format!("interrupted: load {key} aborted; nothing is visible"),
            LoadPhase::Open | LoadPhase::Committed | LoadPhase::Visible => again,
        },
        Err(Failure { origin: Origin::Problem { status: 404, .. }, .. }) => {
            format!("interrupted before load {key} was opened; nothing is visible")
        }
        Err(_) => again,
    })
}

fn carry(face: &Face, load: &Load, bar: &ProgressBar) -> Result<Loaded, Failure> {
    let began = Instant::now();
    let deadline = began + load.timeout;
    let info = load.table.info(face)?;
    let partition = load.table.one_partition(&info)?;
    let quorum = partition.replication as usize / 2 + 1;
    let parts = split(load, info.buckets);
    let open = LoadOpen {
        key: load.key.clone(),
        db: load.table.db.clone(),
        table: load.table.table.clone(),
        partition: partition.name.clone(),
        mode: load.mode,
        content: tree::content(load.mode, load.files, load.remove),
        buckets: parts.iter().map(|(bucket, part)| (*bucket, part.files.iter().map(|file| file.size).sum())).collect(),
    };
    let mut repeats = 0;
    loop {
        bar.set_position(0);
        let failure = match attempt(face, load, &open, &parts, quorum, deadline, bar) {
            Ok(result) => return Ok(Loaded { result, repeats, took: began.elapsed() }),
            Err(failure) => failure,
        };
        if !worth_repeating(&failure) {
            return Err(failure);
        }
        repeats += 1;
        let pause = Duration::from_millis(200 << repeats.min(4));
        if Instant::now() + pause >= deadline {
            return Err(timed_out(load, &failure));
        }
        if repeats == 1 {
            bar.suspend(|| {
                // The bar is hidden in a script; why it takes longer is told there too, once.
                let _ =
                    writeln!(anstream::stderr(), "not yet, trying again for {} s: {failure}", load.timeout.as_secs());
            });
        }
        bar.set_message(format!("again: {failure}"));
        rest(pause)?;
    }
}

fn timed_out(load: &Load, last: &Failure) -> Failure {
    Failure::timeout(format!(
        "load {} into {} was not acknowledged within {} s: {last}",
        load.key,
        load.table,
        load.timeout.as_secs()
    ))
    .next(format!("it may still be committed; repeat it harmlessly with --load-id {}", load.key))
}

fn rest(pause: Duration) -> Result<(), Failure> {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        stop::check()?;
        std::thread::sleep(Duration::from_millis(50).min(pause));
    }
    Ok(())
}

/// Whether the same load may succeed a little later.
fn worth_repeating(failure: &Failure) -> bool {
    match &failure.origin {
        Origin::Unreachable => true,
        Origin::Interrupted | Origin::BrokenPipe | Origin::Here => false,
        Origin::Problem { status, code } => match (status, code.as_str()) {
            (_, "other_content" | "bad_request") => false,
            (_, "stream_broken" | "no_such_replica") => true,
            (400 | 401 | 403 | 405 | 413 | 415 | 422, _) => false,
            // A coordinator that was restarted has forgotten an open load; a table that is not there stays away.
            (404, code) => code == "no_such_load",
            _ => true,
        },
    }
}

/// Files and removals by bucket. Replacing touches every bucket, so that what is not named goes.
fn split<'a>(load: &Load<'a>, buckets: u32) -> BTreeMap<u32, Part<'a>> {
    let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
    if load.mode == LoadMode::Replace {
        parts.extend((0..buckets).map(|bucket| (bucket, Part::default())));
    }
    for file in load.files {
        parts.entry(file.path.bucket(buckets)).or_default().files.push(file);
    }
    for path in load.remove {
        parts.entry(path.bucket(buckets)).or_default().remove.push(path.clone());
    }
    parts
}

fn attempt(
    face: &Face,
    load: &Load,
    open: &LoadOpen,
    parts: &BTreeMap<u32, Part>,
    quorum: usize,
    deadline: Instant,
    bar: &ProgressBar,
) -> Result<LoadResult, Failure> {
    let opened: LoadOpened = face.post("/v1/loads", open)?;
    if let Some(done) = &opened.done
        && matches!(done.state, LoadPhase::Committed | LoadPhase::Visible)
    {
        return settle(face, load, deadline);
    }
    if let Err(failure) = send_all(face, load, &opened, parts, quorum, bar) {
        // Frees the staged files now; when this is lost the coordinator's own timeout does the same. Asked to stop,
        // `run` does it once.
        let _ = face.delete(&load_url(&load.key));
        return Err(failure);
    }
    settle(face, load, deadline)
}

fn load_url(key: &LoadKey) -> String {
    format!("/v1/loads/{}", crate::http::encode_path(&key.0).replace('/', "%2F"))
}

/// Asks for the commit and waits until it is visible.
fn settle(face: &Face, load: &Load, deadline: Instant) -> Result<LoadResult, Failure> {
    let url = format!("{}/commit", load_url(&load.key));
    loop {
        let waits_for = match face.post_empty::<LoadResult>(&url, &[("wait_ms", POLL_MS)]) {
            Ok(result) => match result.state {
                LoadPhase::Visible => return Ok(result),
                LoadPhase::Aborted => {
                    let detail = result.detail.unwrap_or_else(|| "no reason given".to_string());
                    return Err(Failure::problem(409, "aborted", format!("load {} was aborted: {detail}", load.key)));
                }
                LoadPhase::Open | LoadPhase::Committed => result.detail,
            },
            // A coordinator that is restarted knows every committed load; it is asked until it is back.
            Err(failure) if failure.origin == Origin::Unreachable => {
                rest(Duration::from_millis(200))?;
                Some(failure.to_string())
            }
            Err(failure) => return Err(failure),
        };
        if Instant::now() >= deadline {
            let why = waits_for.unwrap_or_else(|| "it is not visible yet".to_string());
            return Err(timed_out(load, &Failure::error(why)));
        }
    }
}

/// Streams every tablet's part; the first failure ends all.
fn send_all(
    face: &Face,
    load: &Load,
    opened: &LoadOpened,
    parts: &BTreeMap<u32, Part>,
    quorum: usize,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let is_failed = || failed.lock().map_or(true, |failed| failed.is_some());
    std::thread::scope(|scope| {
        for _ in 0..load.jobs.clamp(1, opened.tablets.len().max(1)) {
            scope.spawn(|| {
                while let Some(tablet) = opened.tablets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if is_failed() {
                        return;
                    }
                    let part = parts.get(&tablet.bucket);
                    let sent = match part {
                        Some(part) => send_one(face, load, opened, tablet, part, quorum, bar),
                        None => Err(Failure::error(format!(
                            "the coordinator opened bucket {}, which the load does not touch",
                            tablet.bucket
                        ))),
                    };
                    if let (Err(failure), Ok(mut failed)) = (sent, failed.lock()) {
                        failed.get_or_insert(failure);
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err(failure),
        Err(_) => Err(Failure::error("a thread of the load panicked")),
    }
}

fn send_one(
    face: &Face,
    load: &Load,
    opened: &LoadOpened,
    tablet: &LoadTablet,
    part: &Part,
    quorum: usize,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let begin = begin(load.mode, opened, tablet, part);
    if part.files.len() + part.remove.len() > 50_000 && stele_common::wire::encode(&begin).len() > PEER_FRAME_MAX {
        let text = format!("tablet {} would get {} files in one load", tablet.tablet, part.files.len());
        return Err(Failure::refused(text).next("use a table with more buckets, or load in parts"));
    }
    let sent = |bytes| bar.inc(bytes);
    let named = |error| Failure::io(format_args!("cannot load into tablet {}", tablet.tablet), error);
    let mut body = LoadBody::new(begin, &part.files, &sent).map_err(named)?;
    let url = format!("/v1/loads/{}/tablets/{}", opened.load, tablet.tablet);
    let answer: Result<LoadStaged, Failure> = face.agent_at(&tablet.primary.http).put_stream(&url, &mut body);
    let staged = match (answer, body.failure) {
        (Ok(staged), _) => staged,
        // Our own file, not the agent, ended the stream: sending it again would change nothing.
        (Err(_), Some(own)) if !stop::asked() => return Err(Failure::error(format!("cannot load {own}"))),
        (Err(failure), _) => return Err(failure),
    };
    if staged.prepared.len() >= quorum {
        return Ok(());
    }
    // Only says more about a failure that is told anyway.
    let places = face.get::<TabletInfo>(&format!("/v1/tablets/{}", tablet.tablet), &[]).ok();
    let failed: Vec<_> =
        staged.failed.iter().map(|(id, why)| format!("{}: {why}", place(places.as_ref(), *id))).collect();
    let text = format!(
        "tablet {} is durable on {} replicas, {quorum} are needed ({})",
        tablet.tablet,
        staged.prepared.len(),
        failed.join(", ")
    );
    Err(Failure::problem(503, "no_quorum", text))
}

/// A replica with its disk and host, where they are known.
fn place(tablet: Option<&TabletInfo>, id: ReplicaId) -> String {
    match tablet.and_then(|tablet| tablet.replicas.iter().find(|replica| replica.id == id)) {
        Some(replica) => format!("replica {id} on disk {} of host {}", replica.disk, replica.host),
        None => format!("replica {id}"),
    }
}

fn begin(mode: LoadMode, opened: &LoadOpened, tablet: &LoadTablet, part: &Part) -> LoadBegin {
    let new = |file: &&Hashed| NewFile { path: file.path.clone(), size: file.size, digest: file.digest };
    LoadBegin {
        load: opened.load,
        tablet: tablet.tablet,
        replica: tablet.primary.replica,
        epoch: Epoch(opened.epoch),
        ballot: tablet.ballot,
        parent: tablet.parent,
        parent_hash: tablet.parent_hash,
        version: tablet.version,
        hash: None,
        delta: Delta { mode, put: part.files.iter().map(new).collect(), remove: part.remove.clone() },
        forward: tablet
            .others
            .iter()
            .map(|member| Member { node: member.node, replica: member.replica, peer: member.peer.clone() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use stele_common::Digest;

    fn file(path: &str) -> Hashed {
        Hashed { path: RelPath::new(path).unwrap(), place: PathBuf::new(), size: 1, digest: Digest::ZERO }
    }

    fn load<'a>(table: &'a TableName, files: &'a [Hashed], remove: &'a [RelPath], mode: LoadMode) -> Load<'a> {
        Load { table, files, remove, mode, key: LoadKey("k".into()), jobs: 1, timeout: Duration::ZERO }
    }

    /// Each file and each removal goes to the bucket of its path; only replacing touches the others.
    #[test]
    fn a_load_is_split_by_bucket() {
        let table: TableName = "d.t".parse().unwrap();
        let (files, remove) = ([file("a"), file("b"), file("dir/file.txt")], [RelPath::new("a").unwrap()]);
        let parts = split(&load(&table, &files, &remove, LoadMode::Add), 16);
        assert_eq!(parts.keys().copied().collect::<Vec<_>>(), [0, 7, 14]);
        assert_eq!((parts[&7].files.len(), parts[&7].remove.len(), parts[&0].remove.len()), (1, 1, 0));
        let parts = split(&load(&table, &files, &remove, LoadMode::Replace), 16);
        assert_eq!(parts.len(), 16);
    }

    /// What time can cure is repeated; what it cannot is told at once.
    #[test]
    fn only_the_curable_is_repeated() {
        let problem = |status, code: &str| worth_repeating(&Failure::problem(status, code, ""));
        for (status, code) in [
            (503, "no_quorum"),
            (409, "stale_ballot"),
            (503, "busy"),
            (409, "aborted"),
            (404, "no_such_load"),
            (507, "disk_full_for_load"),
        ] {
            assert!(problem(status, code), "{code}");
        }
        for (status, code) in [(404, "no_such_table"), (409, "other_content"), (400, "bad_request"), (422, "bad")] {
            assert!(!problem(status, code), "{code}");
        }
        assert!(worth_repeating(&Failure::unreachable("")));
        assert!(!worth_repeating(&Failure::interrupted()));
    }
}
