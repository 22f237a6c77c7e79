//! What a world would do: the real catalog, checker and desk in virtual time over modelled agents and plain
//! bandwidths, with events at chosen moments. Behind `stele sim run`, and the stage of the accidents in the tests.
//!
//! ```text
//! happenings ──▶ hosts (model) ──reports──▶ catalog ──▶ verdicts ──▶ desk ──proposals──▶ catalog ──orders──▶ hosts
//!                     ▲                        │ every record                                                 │
//!                     └── copies share disks   └──▶ watch: the promises                                       │
//!                         and networks  ◀─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Unlike the soak ([`crate::run`]) nothing is lost, late or twice here, and no coordinator dies: it tells how long things
//! take, not whether the rules survive. It must decide nothing: whatever is copied or dropped, the rules ordered.

mod copies;
mod curve;
mod drive;
mod happening;
mod hosts;
mod life;
mod orders;
mod watch;

#[cfg(test)]
mod tests;

pub use curve::{Sample, sparkline};
pub use happening::{BadHappening, Happening, NewDisk, NewNode, Scheduled, duration_ms, scheduled};
pub use hosts::{Held, Host, Plate, UNREADABLE};
pub use watch::Watch;

use crate::queue::Queue;
use crate::{Mutant, Rng};
use copies::Copies;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{BootId, DiskId, DiskState, Fact, NodeId, OrderBody, ReportKind, TabletId, Tick};
use stele_coordinator_rules::World;
use stele_coordinator_rules::roster::Roster;
use stele_coordinator_rules::schedule::Desk;
use stele_coordinator_rules::world::Task;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By the moment at which each comes, milliseconds from the beginning.
    pub happenings: Vec<(u64, Happening)>,
    pub for_ms: u64,
    pub seed: u64,
    /// Megabytes (10^6 bytes) a second that each disk reads and writes in all, and each host's network carries.
    pub disk_mbps: u64,
    pub net_mbps: u64,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { happenings: Vec::new(), for_ms: 3_600_000, seed: 1, disk_mbps: 150, net_mbps: 1_000 }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Since when every tablet has been healthy; `None` when some is not at the end.
    pub healthy_at_ms: Option<u64>,
    /// When the last tablet became healthy that had not been; others may be ill for good.
    pub last_healed_ms: Option<u64>,
    pub bytes_copied: u64,
    /// Copies that made a replica where there was none.
    pub moves: u64,
    /// The fewest complete copies that any tablet had at any time.
    pub min_complete_copies: u32,
    pub violations: Vec<String>,
    pub timeline: Vec<(u64, String)>,
    pub curve: Vec<Sample>,
    /// Tablets that are not healthy at the end, with the sentence of the checker.
    pub ill: Vec<(TabletId, String)>,
    /// How many there are.
    pub ill_count: u64,
}

/// What comes next.
#[derive(Clone, Debug)]
enum Next {
    /// Beats, housekeeping, verdicts, a round.
    Step,
    Sweep,
    Sample,
    Happens(usize),
    /// An order reaches its agent.
    Order {
        node: NodeId,
        order: OrderBody,
    },
    /// An agent's word reaches the catalog.
    Say {
        node: NodeId,
        boot: BootId,
        kind: ReportKind,
        facts: Vec<Fact>,
    },
    /// The next copy ends, unless rates have changed since.
    CopyEnds {
        generation: u64,
    },
    Progress,
    /// A killed agent starts again by itself.
    Restart(NodeId),
}

/// A world and what happens to it.
#[derive(Debug)]
pub struct Forecast {
    pub world: World,
    pub desk: Desk,
    pub hosts: BTreeMap<NodeId, Host>,
    pub watch: Watch,
    /// Replicas whose receiver dies at the end of each copy: a poisoned tablet, for tests.
    pub poisoned: BTreeSet<TabletId>,
    /// How often that killed an agent.
    pub poison_deaths: u64,
    /// What the desk is made blind to, for tests of the tests.
    pub mutant: Option<Mutant>,
    roster: Roster,
    plan: Plan,
    /// The world's clock at virtual time 0.
    begin: Tick,
    now: u64,
    queue: Queue<Next>,
    rng: Rng,
    copies: Copies,
    /// Running tasks, to know one that has ended.
    running: BTreeMap<TabletId, Task>,
    dirty: BTreeSet<TabletId>,
    /// Tablets that are not HEALTHY.
    ill: BTreeSet<TabletId>,
    healthy_at: Option<u64>,
    told: Told,
    task_lines: u64,
    swept: TabletId,
    /// As last told by an agent.
    disk_states: BTreeMap<DiskId, DiskState>,
    next_boot: u64,
}

impl Forecast {
    /// `at` is the world's own clock now; nodes that are alive in it have an agent that holds what the world says.
    pub fn new(world: World, at: Tick, plan: Plan) -> Forecast {
        let known: Vec<NodeId> = world.nodes.keys().copied().collect();
        // The world is no new leadership: its grace is over.
        let roster = Roster::new(Tick(at.0.saturating_sub(world.knobs.lost_ms)), &known);
        let hosts = Host::all(&world, at);
        let mut forecast = Forecast {
            desk: Desk::new(),
            hosts,
            watch: Watch::default(),
            poisoned: BTreeSet::new(),
            poison_deaths: 0,
            mutant: None,
            roster,
            begin: at,
            now: 0,
            queue: Queue::new(plan.seed),
            rng: Rng::new(plan.seed, 8),
            copies: Copies::new(plan.disk_mbps, plan.net_mbps),
            running: world.tasks.clone(),
            dirty: world.tablets.iter().map(|tablet| tablet.id).collect(),
            ill: BTreeSet::new(),
            healthy_at: None,
            told: Told { min_complete_copies: u32::MAX, ..Told::default() },
            task_lines: 0,
            swept: TabletId(0),
            disk_states: world.disks.values().map(|disk| (disk.id, disk.state)).collect(),
            next_boot: 1_000_000,
            plan,
            world,
        };
        forecast.begin();
        forecast
    }

    /// The clock of the rules.
    pub fn at(&self) -> Tick {
        self.begin.plus(self.now)
    }

    /// Milliseconds since the beginning.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Runs to the end of the plan and tells.
    pub fn run(mut self) -> Told {
        self.run_until(self.plan.for_ms);
        self.finish()
    }

    /// Runs until everything is healthy, or until for so long nothing has run: what is ill then stays so. At most to the
    /// end of the plan.
    pub fn run_until_calm(mut self, patience_ms: u64) -> Told {
        let mut calm_since = 0;
        while self.now < self.plan.for_ms {
            self.run_until((self.now + SLICE_MS).min(self.plan.for_ms));
            let is_well = self.ill.is_empty() && self.now >= self.last_happening();
            if !self.world.tasks.is_empty() {
                calm_since = self.now;
            }
            if is_well || self.now - calm_since >= patience_ms {
                break;
            }
        }
        self.finish()
    }

    /// When the last of what is planned happens, and its effects show.
    fn last_happening(&self) -> u64 {
        let last = self.plan.happenings.iter().map(|(at, _)| *at).max().unwrap_or(0);
        last + self.world.knobs.lost_ms + SLICE_MS
    }

    fn finish(mut self) -> Told {
        self.check_everything();
        let mut told = self.told;
        told.healthy_at_ms = if self.ill.is_empty() { self.healthy_at } else { None };
        told.violations = self.watch.violations;
        if told.min_complete_copies == u32::MAX {
            told.min_complete_copies = 0;
        }
        let at = self.begin.plus(self.now);
        let sentence = |id: &TabletId| {
            let tablet = self.world.tablets.get(*id)?;
            Some((*id, stele_coordinator_rules::checkup::verdict::because(&self.world, tablet, at).join("; ")))
        };
        told.ill_count = self.ill.len() as u64;
        told.ill = self.ill.iter().take(ILL_MAX).filter_map(sentence).collect();
        if self.task_lines > TASK_LINES {
            let more = self.task_lines - TASK_LINES;
            told.timeline.push((self.now, format!("... and {more} more lines about tasks")));
        }
        told
    }

    fn line(&mut self, text: String) {
        self.told.timeline.push((self.now, text));
    }

    fn task_line(&mut self, text: impl FnOnce() -> String) {
        self.task_lines += 1;
        if self.task_lines <= TASK_LINES {
            self.line(text());
        }
    }

    /// Tablets that are not healthy now.
    pub fn ill(&self) -> &BTreeSet<TabletId> {
        &self.ill
    }

    /// What has been told so far.
    pub fn so_far(&self) -> &Told {
        &self.told
    }
}

/// Virtual time between two looks at whether anything is going to happen.
const SLICE_MS: u64 = 10_000;
/// Lines about single tasks in a timeline: enough for a small case, bearable for a large one.
const TASK_LINES: u64 = 200;
/// Ill tablets named at the end.
const ILL_MAX: usize = 20;
