//! Settling: what becomes of each configured data directory. In: what lies there, the coordinator's word. Out: an open
//! disk with its actor, or news that it is out and why. One directory that is out never stops the others.
//!
//! ```text
//!            look                    word of the coordinator
//!   path ──────────▶ Known/Blank ──── Use/Format ──▶ opening (its own thread) ──▶ open, for the life of the process
//!     ▲                 │                                   │ failed
//!     │                 └──── Refuse ──▶ out ◀──────────────┘
//!     └── asked again ────────────────────┘
//! ```
//!
//! Formats only a directory that looked blank in this very session; touches nothing else of what is not ours.

use crate::actors::disk::{Disk, Opening};
use crate::actors::reporter::{DiskNews, Facts, Reporter};
use crate::disk;
use crate::medium;
use crate::net::peer_client::TcpPeers;
use crate::telemetry;
use crate::watch::DiskPlace;
use crate::wiring::Shared;
use actix::{Actor as _, Addr, Arbiter};
use actix_rt::task::{JoinHandle, spawn_blocking};
use futures_util::future::join_all;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stele_agent_rules::report::Key;
use stele_common::config::DiskConfig;
use stele_common::handshake::{DiskFound, DiskHello, DiskWord, StoreMark, Welcome};
use stele_common::{ClusterId, DiskFact, DiskId, DiskState, Epoch, Fact, Medium, Space};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A directory that has not said in this time what it is counts as unusable: its device hangs.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);
/// The full report waits so long for disks that are being read; a slower one is told as unavailable until it is.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);
/// A directory that is out is looked at, or asked about, again after so long: somebody may have mounted it, or given
/// its place away. Asking costs a new session, so after [`ASKS_SOON`] of them it is done at leisure.
const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_LATER: Duration = Duration::from_secs(30);
const ASKS_SOON: u32 = 24;
/// A directory that could not be opened rests so long: each try costs a new session with the coordinator.
const REST: Duration = Duration::from_secs(30);

/// One configured data directory.
struct Seat {
    config: DiskConfig,
    medium: Medium,
    state: SeatState,
    /// What was last said about it in the log.
    said: String,
    /// Not looked at again before; set when opening failed.
    rests_until: Option<Instant>,
}

enum SeatState {
    /// As it was found, and not in use.
    Out {
        found: DiskFound,
        cluster: Option<ClusterId>,
        epoch: Epoch,
        store: StoreMark,
    },
    Opening {
        disk: DiskId,
        work: JoinHandle<Result<(), String>>,
    },
    Open {
        disk: DiskId,
    },
}

/// All configured data directories.
pub struct Settler {
    shared: Arc<Shared>,
    reporter: Addr<Reporter>,
    seats: Vec<Seat>,
    /// Times in a row that the coordinator was asked anew.
    asks: u32,
}

impl Settler {
    /// Asks the machine for the media; looks at nothing yet.
    pub fn new(shared: Arc<Shared>, reporter: Addr<Reporter>) -> Settler {
        let configs = shared.config.disks.clone();
        let paths: Vec<&Path> = configs.iter().map(|config| config.path.as_path()).collect();
        let media = medium::of_paths(&paths);
        let out = || SeatState::Out {
            found: DiskFound::Unusable { cause: "not looked at yet".to_string() },
            cluster: None,
            epoch: Epoch(0),
            store: StoreMark::default(),
        };
        let seat = |(config, medium): (DiskConfig, Medium)| Seat {
            medium: config.medium.unwrap_or(medium),
            config,
            state: out(),
            said: String::new(),
            rests_until: None,
        };
        Settler { seats: configs.into_iter().zip(media).map(seat).collect(), shared, reporter, asks: 0 }
    }

    /// The cluster that we belong to: the coordinator's word, before it the disks'.
    pub fn cluster(&self) -> Option<ClusterId> {
        let of_disks = || {
            self.seats.iter().find_map(|seat| match &seat.state {
                SeatState::Out { found: DiskFound::Known { .. }, cluster, .. } => cluster.clone(),
                SeatState::Out { .. } | SeatState::Opening { .. } | SeatState::Open { .. } => None,
            })
        };
        self.shared.cluster().or_else(of_disks)
    }

    /// The highest epoch that any of our disks has seen.
    pub fn epoch_seen(&self) -> Epoch {
        let seats = self.seats.iter().map(|seat| match &seat.state {
            SeatState::Out { epoch, .. } => *epoch,
            SeatState::Open { disk } | SeatState::Opening { disk, .. } => {
                self.shared.shelf.disk(*disk).map_or(Epoch(0), |disk| disk.epoch())
            }
        });
        seats.max().unwrap_or_default()
    }

    /// How far the coordinator's store was, as far as any disk of our cluster remembers, or we do.
    pub fn store_seen(&self) -> StoreMark {
        let ours = self.cluster();
        let seats = self.seats.iter().map(|seat| match &seat.state {
            SeatState::Out { found: DiskFound::Known { .. }, cluster, store, .. } if *cluster == ours => *store,
            SeatState::Out { .. } | SeatState::Opening { .. } | SeatState::Open { .. } => StoreMark::default(),
        });
        seats.max().unwrap_or_default().max(self.shared.store_mark.heard())
    }

    /// Looks at every directory that is not in use and says what lies where.
    pub async fn look(&mut self) -> Vec<DiskHello> {
        self.collect_opened().await;
        let out = self.seats.iter_mut().filter(|seat| matches!(seat.state, SeatState::Out { .. }));
        join_all(out.map(|seat| async { seat.state = look_at(&seat.config.path).await })).await;
        self.refuse_strangers();
        self.seats.iter().map(Seat::hello).collect()
    }

    /// A disk of another cluster than the rest is out before anybody is asked.
    fn refuse_strangers(&mut self) {
        let Some(ours) = self.cluster() else { return };
        for seat in &mut self.seats {
            if let SeatState::Out { found, cluster: Some(theirs), .. } = &mut seat.state
                && *theirs != ours
            {
                let cause = format!("the directory belongs to cluster {theirs}, this agent to {ours}");
                *found = DiskFound::Unusable { cause };
            }
        }
    }

    /// Follows the coordinator's word on each directory; returns when all that may be used are open, have failed, or
    /// have been told as late.
    pub async fn settle(&mut self, welcome: &Welcome) {
        for index in 0..self.seats.len() {
            if let Some(word) = welcome.disks.get(index) {
                self.follow(index, word, &welcome.cluster);
            }
        }
        let deadline = Instant::now() + OPEN_PATIENCE;
        for seat in &mut self.seats {
            let SeatState::Opening { disk, work } = &mut seat.state else { continue };
            let disk = *disk;
            match timeout_at(deadline, work).await {
                Ok(done) => seat.opened(disk, done.unwrap_or_else(|error| Err(error.to_string())), &self.reporter),
                Err(_) => seat.tell_out(disk, "the directory is still being read", &self.reporter),
            }
        }
    }

    /// Returns when the coordinator should be asked anew about a directory; never while all are open or the rest is
    /// unusable as before.
    pub async fn wait_for_change(&mut self) {
        loop {
            sleep(if self.asks < ASKS_SOON { AGAIN } else { AGAIN_LATER }).await;
            self.collect_opened().await;
            let mut ask = false;
            for seat in &mut self.seats {
                let SeatState::Out { found, .. } = &seat.state else { continue };
                if seat.rests_until.is_some_and(|until| until > Instant::now()) {
                    continue;
                }
                // One that could be used waits for the coordinator's word only; one that could not is looked at.
                if let DiskFound::Unusable { .. } = found {
                    seat.state = look_at(&seat.config.path).await;
                }
                ask |= seat.state.could_be_used();
            }
            if ask {
                self.asks = self.asks.saturating_add(1);
                return;
            }
            self.asks = 0;
        }
    }

    /// Takes in late openings that have ended.
    async fn collect_opened(&mut self) {
        for seat in &mut self.seats {
            let SeatState::Opening { disk, work } = &mut seat.state else { continue };
            let disk = *disk;
            if let Ok(done) = timeout(Duration::ZERO, work).await {
                seat.opened(disk, done.unwrap_or_else(|error| Err(error.to_string())), &self.reporter);
            }
        }
    }

    fn follow(&mut self, index: usize, word: &DiskWord, cluster: &ClusterId) {
        let Some(seat) = self.seats.get_mut(index) else { return };
        let open = match &seat.state {
            SeatState::Open { disk } => self.shared.shelf.disk(*disk),
            SeatState::Opening { .. } => return,
            SeatState::Out { .. } => None,
        };
        match (word, open) {
            (DiskWord::Use { disk }, Some(open)) if open.disk == *disk => open.fence(None),
            (DiskWord::Use { disk } | DiskWord::Format { disk }, Some(open)) => {
                open.fence(Some(format!("the coordinator takes this directory for disk {disk}")));
            }
            (DiskWord::Refuse { cause }, Some(open)) => open.fence(Some(cause.clone())),
            (DiskWord::Refuse { cause }, None) => {
                // Told what we could not open ourselves, it only says so again.
                let unusable = match &seat.state {
                    SeatState::Out { found: DiskFound::Unusable { cause }, .. } => {
                        Some(format!("it cannot be used: {cause}"))
                    }
                    SeatState::Out { .. } | SeatState::Opening { .. } | SeatState::Open { .. } => None,
                };
                seat.say(&unusable.unwrap_or_else(|| format!("the coordinator refuses it: {cause}")));
            }
            (DiskWord::Use { disk }, None) => self.open(index, *disk, cluster, false),
            (DiskWord::Format { disk }, None) => self.open(index, *disk, cluster, true),
        }
    }

    fn open(&mut self, index: usize, disk: DiskId, cluster: &ClusterId, format: bool) {
        let Some(seat) = self.seats.get_mut(index) else { return };
        let blank = matches!(seat.state, SeatState::Out { found: DiskFound::Blank, .. });
        if let SeatState::Out { store, .. } = &seat.state {
            self.shared.store_mark.learn(*store);
        }
        if format && !blank {
            return seat.say("the coordinator would format it, but it is not blank");
        }
        let config = seat.config.clone();
        let place =
            DiskPlace { path: config.path, cluster: cluster.clone(), disk, capacity_bytes: config.capacity_bytes };
        let work = open(Arc::clone(&self.shared), self.reporter.clone(), place, seat.medium, format);
        seat.state = SeatState::Opening { disk, work: actix_rt::spawn(work) };
    }
}

impl SeatState {
    fn could_be_used(&self) -> bool {
        match self {
            SeatState::Out { found: DiskFound::Known { .. } | DiskFound::Blank, .. } => true,
            SeatState::Out { found: DiskFound::Unusable { .. }, .. }
            | SeatState::Opening { .. }
            | SeatState::Open { .. } => false,
        }
    }
}

impl Seat {
    fn hello(&self) -> DiskHello {
        let found = match &self.state {
            SeatState::Out { found, .. } => found.clone(),
            SeatState::Opening { disk, .. } | SeatState::Open { disk } => DiskFound::Known { disk: *disk },
        };
        DiskHello { path: self.config.path.display().to_string(), medium: self.medium, found }
    }

    fn opened(&mut self, disk: DiskId, result: Result<(), String>, reporter: &Addr<Reporter>) {
        match result {
            Ok(()) => {
                self.said.clear();
                self.state = SeatState::Open { disk };
            }
            Err(cause) => {
                self.tell_out(disk, &cause, reporter);
                self.rests_until = Some(Instant::now() + REST);
                let found = DiskFound::Unusable { cause };
                self.state = SeatState::Out { found, cluster: None, epoch: Epoch(0), store: StoreMark::default() };
            }
        }
    }

    /// The coordinator is told that the disk is there and cannot be used: its replicas are unknown, not gone.
    fn tell_out(&mut self, disk: DiskId, cause: &str, reporter: &Addr<Reporter>) {
        self.say(cause);
        let fact = DiskFact {
            disk,
            path: self.config.path.display().to_string(),
            medium: self.medium,
            state: DiskState::Unavailable,
            cause: Some(cause.to_string()),
            space: Space::default(),
            device: 0,
        };
        let facts = Facts::from([(Key::Disk(disk), Fact::Disk(fact))]);
        reporter.do_send(DiskNews { disk, facts: Arc::new(facts) });
    }

    /// One line when the trouble changes.
    fn say(&mut self, cause: &str) {
        if self.said != cause {
            tracing::warn!(path = %self.config.path.display(), reason = cause, "this data directory is out");
            self.said = cause.to_string();
        }
    }
}

async fn look_at(path: &Path) -> SeatState {
    let looked = {
        let path = path.to_path_buf();
        timeout(LOOK_PATIENCE, spawn_blocking(move || (disk::inspect(&path), disk::store_mark(&path)))).await
    };
    let unusable = |cause: String| {
        let (found, store) = (DiskFound::Unusable { cause }, StoreMark::default());
        SeatState::Out { found, cluster: None, epoch: Epoch(0), store }
    };
    match looked {
        Ok(Ok(((found, cluster, epoch), store))) => {
            SeatState::Out { found, cluster, epoch: epoch.unwrap_or_default(), store }
        }
        Ok(Err(error)) => unusable(error.to_string()),
        Err(_) => unusable(format!("no answer for {} s", LOOK_PATIENCE.as_secs())),
    }
}

/// Formats if asked to, opens, reads what is there, starts the actor on an arbiter of its own.
async fn open(
    shared: Arc<Shared>,
    reporter: Addr<Reporter>,
    place: DiskPlace,
    medium: Medium,
    format: bool,
) -> Result<(), String> {
    let started = Instant::now();
    let clock = shared.clock;
    let opened = {
        let place = place.clone();
        spawn_blocking(move || {
            if format {
                disk::format(&place.path, &place.cluster, place.disk, medium).map_err(|error| error.to_string())?;
            }
            let (dir, book) = place.open(clock)?;
            let (space, device) = dir.space().map_err(|error| error.to_string())?;
            Ok::<_, String>((dir, book, space, device))
        })
    };
    let (dir, book, space, device) = opened.await.map_err(|error| error.to_string())??;
    let path = place.path.display().to_string();
    tracing::info!(
        disk = %place.disk, path, medium = ?medium, replicas = book.replicas.len(), staged = book.staged.len(),
        trash = book.trash.len(), ms = started.elapsed().as_millis() as u64, formatted = format, "disk open"
    );
    let fact = DiskFact { disk: place.disk, path, medium, state: DiskState::Online, cause: None, space, device };
    let peers = TcpPeers {
        token: shared.token,
        cluster: place.cluster.clone(),
        idle: Duration::from_millis(shared.config.limits.peer_idle_ms),
    };
    let opening = Opening {
        place,
        fact,
        dir,
        book,
        peers: Arc::new(peers),
        pacer: Arc::clone(&shared.pacer),
        shelf: Arc::clone(&shared.shelf),
        reporter: reporter.recipient(),
        clock,
        config: Arc::clone(&shared.config),
    };
    let arbiter = Arbiter::new();
    let (begun, begins) = tokio::sync::oneshot::channel();
    Disk::start_in_arbiter(&arbiter.handle(), move |context| match Disk::begin(opening, context) {
        Ok(disk) => {
            // Nobody listens any more only when the agent stops.
            let _ = begun.send(());
            disk
        }
        Err(error) => telemetry::give_up(&format!("cannot start a disk's threads: {error}")),
    });
    shared.keep_arbiter(arbiter);
    // Its first news must stand in the reporter's mailbox before the full report is allowed.
    begins.await.map_err(|_| "the agent is stopping".to_string())
}
