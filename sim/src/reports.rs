//! What an agent tells: facts of its books and disks, in full after connecting and when asked, else what changed.

use crate::Mutant;
use crate::agent::{Agent, Life};
use crate::coordinator::UpBody;
use crate::net::Place;
use crate::sim::{Next, Sim};
use std::collections::BTreeMap;
use stele_agent_rules::report::{self, Key};
use stele_agent_rules::trash;
use stele_common::{BootId, DiskFact, DiskState, Fact, Medium, Report, ReportKind, Space, Tick};

/// Facts a page: few, so that full reports have several pages and a crash or a gap may fall between two.
const PAGE: usize = 24;

impl Sim {
    /// A report will be made soon; changes until then go with it.
    pub fn ask_report(&mut self, agent: usize) {
        let after = 100 + self.work.below(400);
        let Some(life) = self.agents[agent].life.as_mut().filter(|life| !life.report_due) else { return };
        life.report_due = true;
        let boot = life.boot;
        self.queue.put(self.now + after, Next::AgentReport { agent, boot });
    }

    /// Tells what changed.
    pub fn agent_report(&mut self, agent: usize, boot: BootId) {
        let Some(life) = self.agents[agent].life.as_mut().filter(|life| life.boot == boot) else { return };
        life.report_due = false;
        if life.conn().is_none() {
            return;
        }
        let mut news = Vec::new();
        for disk in std::mem::take(&mut life.news) {
            let facts = self.facts(agent, disk);
            let Some(life) = &mut self.agents[agent].life else { return };
            let told = life.told.entry(disk).or_default();
            news.extend(report::diff(told, &facts));
            *told = facts;
        }
        if !news.is_empty() {
            self.tell(agent, ReportKind::Delta, news);
        }
    }

    /// Tells everything.
    pub fn report_in_full(&mut self, agent: usize) {
        let Some(life) = self.agents[agent].life.as_mut().filter(|life| life.conn().is_some()) else { return };
        life.news.clear();
        let disks: Vec<usize> = life.books.keys().copied().collect();
        let told: BTreeMap<usize, _> = disks.into_iter().map(|disk| (disk, self.facts(agent, disk))).collect();
        let all = told.values().flatten().map(|(key, fact)| (*key, fact.clone())).collect();
        let Some(life) = self.agents[agent].life.as_mut() else { return };
        life.told = told;
        for (kind, facts) in report::full(&all, PAGE) {
            self.tell(agent, kind, facts);
        }
    }

    fn tell(&mut self, agent: usize, kind: ReportKind, facts: Vec<Fact>) {
        let Some(life) = &mut self.agents[agent].life else { return };
        let (Some(conn), Some(node)) = (life.conn(), life.node) else { return };
        life.seq += 1;
        let report = Report { boot: life.boot, seq: life.seq, kind, facts };
        self.trace.event(5, self.now, agent as u64, report.seq);
        let body = UpBody::Report { node, report };
        self.send(Place::Agent(agent), Place::Coordinator, || Next::Up { agent, conn, body: body.clone() });
    }

    /// Everything that an agent has to tell of one disk in use.
    fn facts(&self, agent: usize, disk: usize) -> BTreeMap<Key, Fact> {
        let host = &self.agents[agent];
        let Some(life) = &host.life else { return BTreeMap::new() };
        let Some(book) = life.books.get(&disk) else { return BTreeMap::new() };
        let now = Tick(self.now - life.began);
        let lies = self.breaks(Mutant::MissingReadAsEmpty) && book.state == DiskState::Unavailable;
        let mut facts = if lies { BTreeMap::new() } else { report::facts(book, now) };
        let of_disk = disk_fact(host, life, disk, lies);
        let knobs = &self.mix.knobs;
        let space = of_disk.space;
        let short = trash::short_of(book, space.available(), knobs.clone_reserve(space.total));
        // The model keeps no squeeze: it lets each last for ten minutes, so that one that is stuck is got over.
        let squeeze = trash::Squeeze::of(short, Tick(now.0 - now.0 % 600_000));
        trash::mark(&mut facts, &trash::due(book, now, knobs.trash_ms, &squeeze));
        facts.insert(Key::Disk(book.disk), Fact::Disk(of_disk));
        facts
    }
}

fn disk_fact(host: &Agent, life: &Life, index: usize, lies: bool) -> DiskFact {
    let (book, model) = (&life.books[&index], &host.disks[index]);
    let replicas = book.replicas.values().map(|held| held.size);
    let staged = book.staged.values().map(|staged| staged.bytes);
    let used = replicas.chain(staged).chain(book.trash.values().map(|trashed| trashed.bytes)).sum();
    let total = if model.full { used } else { model.total };
    DiskFact {
        disk: book.disk,
        path: Agent::path(index),
        medium: Medium::Hdd,
        state: if lies { DiskState::Online } else { book.state },
        cause: book.cause.clone(),
        space: Space { total, used, raw_total: model.total, raw_free: total - used },
        device: index as u64 + 1,
    }
}
