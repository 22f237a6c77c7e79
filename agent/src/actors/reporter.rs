//! The Reporter actor: what the coordinator was told, and what it must be told next. In: news of disks and of the
//! host, the state of the link. Out: numbered reports, one after another, as fast as the link takes them.
//!
//! ```text
//! LinkUp ─▶ (disks settle) ─▶ full report in pages ─▶ deltas: what differs from what was told ─▶ LinkDown
//!                  ▲                                     │
//!                  └─────── the coordinator asks ────────┘
//! ```
//!
//! A slow link makes deltas fewer and larger, never a queue longer: what was not sent yet is not stored, it is found
//! again by comparing. Never reports a disk that has not been read as if it were empty: the full report waits for it.

use crate::telemetry;
use actix::{Actor, AsyncContext as _, Context, Handler, Message};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use stele_agent_rules::report::{self, Key};
use stele_common::{BootId, DiskId, Fact, Report, ReportKind, ToCoordinator, report::HostFact};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Facts in one report at most: a page stays far below the frame limit.
pub const PAGE_MAX: usize = 2_000;
/// A full link is tried again after so long.
const RETRY: Duration = Duration::from_millis(10);

/// Facts of one agent, or of one disk, by what they are about.
pub type Facts = BTreeMap<Key, Fact>;

/// Everything that is to be told of one disk, now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DiskNews {
    pub disk: DiskId,
    pub facts: Arc<Facts>,
}

/// The host's figures.
#[derive(Message)]
#[rtype(result = "()")]
pub struct HostNews(pub HostFact);

/// The coordinator welcomed us; reports go into `out`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LinkUp {
    pub session: u64,
    pub out: mpsc::Sender<ToCoordinator>,
}

/// Every disk that the coordinator let in has been read (or has said why not): the full report may go.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settled {
    pub session: u64,
}

/// The coordinator asked for a full report.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FullWanted {
    pub session: u64,
}

/// The connection is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LinkDown {
    pub session: u64,
}

/// What the coordinator was told and what it must be told.
pub struct Reporter {
    boot: BootId,
    /// The number of the last report of this boot.
    seq: u64,
    /// The newest facts of each disk.
    latest: BTreeMap<DiskId, Arc<Facts>>,
    /// What the coordinator knows of each disk.
    told: BTreeMap<DiskId, Arc<Facts>>,
    changed: BTreeSet<DiskId>,
    host: Option<HostFact>,
    host_changed: bool,
    /// Pages that are decided and not handed to the link.
    pages: VecDeque<(ReportKind, Vec<Fact>)>,
    link: Option<Link>,
    retrying: bool,
}

struct Link {
    session: u64,
    out: mpsc::Sender<ToCoordinator>,
    settled: bool,
    /// A full report is owed.
    full: bool,
}

impl Reporter {
    /// A reporter that has told nothing.
    pub fn new(boot: BootId) -> Reporter {
        Reporter {
            boot,
            seq: 0,
            latest: BTreeMap::new(),
            told: BTreeMap::new(),
            changed: BTreeSet::new(),
            host: None,
            host_changed: false,
            pages: VecDeque::new(),
            link: None,
            retrying: false,
        }
    }

    /// Sends what may be sent. Returns whether the link was full.
    fn pump(&mut self) -> bool {
        loop {
            self.decide_pages();
            let Some(link) = &self.link else { return false };
            let Some((kind, facts)) = self.pages.pop_front() else { return false };
            let report = Report { boot: self.boot, seq: self.seq + 1, kind, facts };
            let count = report.facts.len() as u64;
            match link.out.try_send(ToCoordinator::Report(report)) {
                Ok(()) => {
                    self.seq += 1;
                    metrics::counter!(telemetry::REPORTS, "kind" => kind_name(kind)).increment(1);
                    metrics::counter!(telemetry::FACTS).increment(count);
                }
                Err(TrySendError::Full(ToCoordinator::Report(report))) => {
                    self.pages.push_front((report.kind, report.facts));
                    return true;
                }
                // A closed link says so itself, by LinkDown; its successor gets everything.
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => return false,
            }
        }
    }

    /// When no page waits: decides what is to be told next.
    fn decide_pages(&mut self) {
        let Some(link) = &mut self.link else { return };
        if !link.settled || !self.pages.is_empty() {
            return;
        }
        if link.full {
            link.full = false;
            let mut facts = Facts::new();
            for disk in self.latest.values() {
                facts.extend(disk.iter().map(|(key, fact)| (*key, fact.clone())));
            }
            if let Some(host) = &self.host {
                facts.insert(Key::Host, Fact::Host(host.clone()));
            }
            self.told.clone_from(&self.latest);
            self.changed.clear();
            self.host_changed = false;
            self.pages = report::full(&facts, PAGE_MAX).into();
            return;
        }
        let mut delta = Vec::new();
        for disk in std::mem::take(&mut self.changed) {
            let Some(now) = self.latest.get(&disk) else { continue };
            let before = self.told.get(&disk).cloned().unwrap_or_default();
            delta.extend(report::diff(&before, now));
            self.told.insert(disk, Arc::clone(now));
        }
        if std::mem::take(&mut self.host_changed)
            && let Some(host) = &self.host
        {
            delta.push(Fact::Host(host.clone()));
        }
        let mut rest = delta.into_iter().peekable();
        while rest.peek().is_some() {
            self.pages.push_back((ReportKind::Delta, rest.by_ref().take(PAGE_MAX).collect()));
        }
    }

    fn pump_or_retry(&mut self, context: &mut Context<Reporter>) {
        if self.pump() && !self.retrying {
            self.retrying = true;
            context.run_later(RETRY, |reporter, context| {
                reporter.retrying = false;
                reporter.pump_or_retry(context);
            });
        }
    }

    fn session(&mut self, session: u64) -> Option<&mut Link> {
        self.link.as_mut().filter(|link| link.session == session)
    }
}

fn kind_name(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::FullFirst | ReportKind::FullMore | ReportKind::FullLast | ReportKind::FullOnly => "full",
        ReportKind::Delta => "delta",
    }
}

impl Actor for Reporter {
    type Context = Context<Reporter>;

    fn started(&mut self, context: &mut Context<Reporter>) {
        // A word from each disk every few milliseconds at most.
        context.set_mailbox_capacity(256);
    }
}

impl Handler<DiskNews> for Reporter {
    type Result = ();

    fn handle(&mut self, news: DiskNews, context: &mut Context<Reporter>) {
        self.latest.insert(news.disk, news.facts);
        self.changed.insert(news.disk);
        self.pump_or_retry(context);
    }
}

impl Handler<HostNews> for Reporter {
    type Result = ();

    fn handle(&mut self, HostNews(host): HostNews, context: &mut Context<Reporter>) {
        self.host = Some(host);
        self.host_changed = true;
        self.pump_or_retry(context);
    }
}

impl Handler<LinkUp> for Reporter {
    type Result = ();

    fn handle(&mut self, LinkUp { session, out }: LinkUp, _: &mut Context<Reporter>) {
        self.pages.clear();
        self.link = Some(Link { session, out, settled: false, full: true });
    }
}

impl Handler<Settled> for Reporter {
    type Result = ();

    fn handle(&mut self, Settled { session }: Settled, context: &mut Context<Reporter>) {
        if let Some(link) = self.session(session) {
            link.settled = true;
        }
        self.pump_or_retry(context);
    }
}

impl Handler<FullWanted> for Reporter {
    type Result = ();

    fn handle(&mut self, FullWanted { session }: FullWanted, context: &mut Context<Reporter>) {
        let Some(link) = self.session(session) else { return };
        link.full = true;
        // Pages of a report that has a gap anyway are of no use; the full one starts a new picture.
        self.pages.clear();
        self.pump_or_retry(context);
    }
}

impl Handler<LinkDown> for Reporter {
    type Result = ();

    fn handle(&mut self, LinkDown { session }: LinkDown, _: &mut Context<Reporter>) {
        if self.session(session).is_some() {
            self.link = None;
            self.pages.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::Addr;
    use stele_common::{Digest, ReplicaFact, ReplicaId, TabletId, Version};

    const DISK: DiskId = DiskId(1);

    fn replica(id: u64, version: u64) -> (Key, Fact) {
        let fact = ReplicaFact {
            tablet: TabletId(id),
            replica: ReplicaId(id),
            disk: DISK,
            version: Version(version),
            hash: Digest::ZERO,
            pending: Version(version),
            bad: None,
            size: 1,
            files: 1,
            verified_age_ms: None,
            oldest: Version(version),
        };
        (Key::Replica(ReplicaId(id), None), Fact::Replica(fact))
    }

    fn news(facts: impl IntoIterator<Item = (Key, Fact)>) -> DiskNews {
        DiskNews { disk: DISK, facts: Arc::new(facts.into_iter().collect()) }
    }

    async fn report(line: &mut mpsc::Receiver<ToCoordinator>) -> Report {
        match line.recv().await.expect("the reporter lives") {
            ToCoordinator::Report(report) => report,
            ToCoordinator::Beat { .. } => panic!("the reporter does not beat"),
        }
    }

    fn link(reporter: &Addr<Reporter>, session: u64, room: usize) -> mpsc::Receiver<ToCoordinator> {
        let (out, line) = mpsc::channel(room);
        reporter.do_send(LinkUp { session, out });
        line
    }

    /// Nothing is said before the disks have settled; then everything in pages, then only what changed; numbers rise
    /// by one; asked, or connected anew, everything is said again.
    #[actix_rt::test]
    async fn full_then_deltas() {
        let reporter = Reporter::new(BootId(4)).start();
        let mut line = link(&reporter, 1, 8);
        let many = || (1..=(PAGE_MAX as u64) * 2 + 1).map(|id| replica(id, 1));
        reporter.send(news(many())).await.unwrap();
        assert!(line.try_recv().is_err(), "a disk may still be missing");
        reporter.do_send(Settled { session: 1 });
        let kinds = [ReportKind::FullFirst, ReportKind::FullMore, ReportKind::FullLast];
        for (number, kind) in kinds.into_iter().enumerate() {
            let page = report(&mut line).await;
            assert_eq!((page.boot, page.seq, page.kind), (BootId(4), number as u64 + 1, kind));
        }
        reporter.send(news(many())).await.unwrap();
        assert!(line.try_recv().is_err(), "nothing changed");
        reporter.do_send(news(many().skip(1).chain([replica(2, 9)])));
        let delta = report(&mut line).await;
        assert_eq!((delta.seq, delta.kind), (4, ReportKind::Delta));
        let gone = Fact::ReplicaGone { tablet: TabletId(1), replica: ReplicaId(1), disk: DISK };
        assert_eq!(delta.facts, [gone, replica(2, 9).1]);
        reporter.do_send(news([replica(2, 9)]));
        assert_eq!(report(&mut line).await.kind, ReportKind::Delta, "all the others are gone, in pages");
        while let Ok(more) = line.try_recv() {
            assert!(matches!(more, ToCoordinator::Report(Report { kind: ReportKind::Delta, .. })));
        }
        reporter.do_send(FullWanted { session: 1 });
        let full = report(&mut line).await;
        assert_eq!((full.kind, full.facts), (ReportKind::FullOnly, vec![replica(2, 9).1]));
        reporter.do_send(LinkDown { session: 1 });
        let mut line = link(&reporter, 2, 8);
        reporter.do_send(Settled { session: 1 });
        reporter.send(FullWanted { session: 1 }).await.unwrap();
        assert!(line.try_recv().is_err(), "words of an old session mean nothing");
        reporter.do_send(Settled { session: 2 });
        let again = report(&mut line).await;
        assert_eq!((again.kind, again.seq), (ReportKind::FullOnly, full.seq + 1));
    }

    /// A link that takes nothing makes reports fewer, not a queue longer, and the last state arrives.
    #[actix_rt::test]
    async fn a_slow_link_gets_the_last_state() {
        let reporter = Reporter::new(BootId(4)).start();
        let mut line = link(&reporter, 1, 1);
        reporter.do_send(Settled { session: 1 });
        for version in 1..=50 {
            reporter.send(news([replica(1, version)])).await.unwrap();
        }
        let mut reports = 0;
        let mut seq = 0;
        loop {
            let next = report(&mut line).await;
            reports += 1;
            assert_eq!(next.seq, seq + 1, "numbers have no gap");
            seq = next.seq;
            if next.facts == [replica(1, 50).1] {
                break;
            }
        }
        assert!(reports < 10, "{reports} reports for 50 changes");
    }
}
