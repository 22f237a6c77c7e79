//! The whole simulation as one value, and its loop: take what is next, let its owner act, look at what was touched.
//!
//! ```text
//! chaos (faults, clients, crashes) ──▶ calm (all links healed, all hosts that are left run) ──▶ at rest?
//! ```
//!
//! Acting is spread over `impl Sim` in the files named after who acts; nothing here decides.

use crate::agent::Agent;
use crate::clients::{Client, ClientNext};
use crate::coordinator::{Coordinator, UpBody};
use crate::evenness::Evenness;
use crate::faults::{Fault, Undo};
use crate::net::{Net, Place};
use crate::options::{HOUR, MINUTE, Mix, Options};
use crate::queue::Queue;
use crate::streams::Stream;
use crate::trace::Trace;
use crate::truth::Truth;
use crate::{Mutant, Rng, Stats, Violation};
use std::collections::BTreeSet;
use stele_common::handshake::{Answer as Handshake, StoreMark};
use stele_common::{BootId, ReplicaId, TabletId, ToAgent};
use stele_coordinator_rules::Proposal;
use stele_coordinator_rules::balance::selection::Selection;

/// More than this in one virtual minute is a loop that feeds itself: a busy house of this size stays below a tenth.
const STORM: u64 = 300_000;
/// What an operator still does in the calm (a drain taken back hours later) has so long to be answered before the end.
const ANSWERED_MS: u64 = HOUR;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Next {
    AgentStart {
        agent: usize,
    },
    AgentBeat {
        agent: usize,
        boot: BootId,
    },
    AgentTick {
        agent: usize,
        boot: BootId,
    },
    AgentReport {
        agent: usize,
        boot: BootId,
    },
    OpEnd {
        agent: usize,
        boot: BootId,
        number: u64,
    },
    FetchStep {
        agent: usize,
        boot: BootId,
        number: u64,
    },
    /// A message arrives at the coordinator, at the agent, on a connection.
    Up {
        agent: usize,
        conn: u64,
        body: UpBody,
    },
    Down {
        agent: usize,
        conn: u64,
        body: DownBody,
    },
    /// The agent's system notices that its connection is gone; then the coordinator's.
    LinkBroken {
        agent: usize,
        boot: BootId,
        conn: u64,
    },
    LinkClosed {
        agent: usize,
        boot: BootId,
        conn: u64,
    },
    CoordinatorStart,
    Stored {
        life: u64,
    },
    CoordinatorTick {
        life: u64,
    },
    Check {
        life: u64,
    },
    Sweep {
        life: u64,
    },
    Round {
        life: u64,
    },
    Propose {
        life: u64,
        proposal: Proposal,
    },
    /// The planner has looked for moves.
    Moves {
        life: u64,
        answer: Selection,
    },
    Asked {
        client: usize,
        attempt: u64,
        event: Box<stele_coordinator_rules::EventBody>,
    },
    Client {
        client: usize,
        step: ClientNext,
    },
    Stream {
        stream: Box<Stream>,
    },
    Staged {
        boot: BootId,
        stream: Box<Stream>,
    },
    /// A crash in the middle of an op, or of a commit.
    AgentCrashPoint {
        agent: usize,
        boot: BootId,
    },
    CoordinatorCrashPoint {
        life: u64,
    },
    Fault {
        fault: Fault,
    },
    Undo {
        undo: Undo,
    },
    Calm,
    /// Everything is looked at, not only what was touched.
    FullCheck,
    End,
}

/// What the coordinator sends on a connection.
#[derive(Clone, Debug)]
pub enum DownBody {
    Handshake(Box<Handshake>),
    Message(ToAgent),
}

/// Whether faults are still on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Chaos,
    Calm,
}

/// Everything.
#[derive(Debug)]
pub struct Sim {
    pub now: u64,
    pub phase: Phase,
    pub queue: Queue<Next>,
    pub net: Net,
    pub trace: Trace,
    pub mix: Mix,
    pub options: Options,
    /// Durations and crash points; faults; clients; what operators set.
    pub work: Rng,
    pub fate: Rng,
    pub wish: Rng,
    pub whim: Rng,
    pub agents: Vec<Agent>,
    pub coordinator: Coordinator,
    pub clients: Vec<Client>,
    pub truth: Truth,
    /// Tablets whose bytes changed in this step.
    pub touched: BTreeSet<TabletId>,
    pub violation: Option<Violation>,
    pub stats: Stats,
    pub next_conn: u64,
    /// When a byte of a copy last moved.
    pub moved_at: u64,
    /// When an operator, or a fault's end, last changed something: the cluster has [`ANSWERED_MS`] from then on to answer.
    pub acted_at: u64,
    /// Tables that the mix drew; one may be dropped.
    pub drawn_tables: usize,
    /// Wall clock at virtual time 0, as the coordinator's machine has it set.
    pub wall_ms: u64,
    /// The coordinator runs on an older copy of its store.
    pub on_old_store: bool,
    /// How far that copy is, if disks must know better whatever was lost.
    pub old_mark: Option<StoreMark>,
    /// A leadership that does not know it is over; while it acts, the one that counts.
    pub rival: Option<Coordinator>,
    pub is_rival: bool,
    /// The victim of the latest deletion that was given up.
    pub given_up: Option<ReplicaId>,
    pub evenness: Evenness,
}

impl Sim {
    pub fn new(seed: u64, options: Options) -> Sim {
        let mut mix = Mix::draw(seed, options.hours);
        // A mutant is found by what it breaks; moves and settings beside it would only hide which law that was.
        if options.mutant.is_some() {
            mix.knobs.disable_balance = true;
            mix.faults.spare(Fault::is_whim);
        }
        let bytes = |host: u64| match mix.large_every {
            0 => mix.disk_bytes,
            every => {
                if host.is_multiple_of(every) {
                    4 * mix.disk_bytes
                } else {
                    mix.disk_bytes
                }
            }
        };
        let agents = (0..mix.hosts).map(|i| Agent::new(i as usize, mix.disks_per_host, bytes(i)));
        let mut agents: Vec<Agent> = agents.collect();
        agents.iter_mut().rev().take(mix.tagged_hosts as usize).for_each(|agent| agent.tag = "b");
        let mut sim = Sim {
            now: 0,
            phase: Phase::Chaos,
            queue: Queue::new(seed),
            net: Net::new(seed, mix.net.clone()),
            trace: Trace::new(options.trace),
            options,
            work: Rng::new(seed, 4),
            fate: Rng::new(seed, 5),
            wish: Rng::new(seed, 6),
            whim: Rng::new(seed, 12),
            agents,
            coordinator: Coordinator::new(),
            clients: (0..mix.clients).map(|_| Client::default()).collect(),
            truth: Truth::default(),
            touched: BTreeSet::new(),
            violation: None,
            stats: Stats::default(),
            next_conn: 0,
            moved_at: 0,
            acted_at: 0,
            drawn_tables: mix.tables.len(),
            wall_ms: 1_700_000_000_000,
            on_old_store: false,
            old_mark: None,
            rival: None,
            is_rival: false,
            given_up: None,
            evenness: Evenness::default(),
            mix,
        };
        sim.begin();
        sim
    }

    fn begin(&mut self) {
        self.queue.put(0, Next::CoordinatorStart);
        for agent in 0..self.agents.len() {
            let at = self.work.below(3_000);
            self.queue.put(at, Next::AgentStart { agent });
        }
        for client in 0..self.clients.len() {
            let at = 20_000 + self.wish.below(20_000);
            self.queue.put(at, Next::Client { client, step: ClientNext::Think });
        }
        self.plan_faults();
        if self.mix.drops_table {
            let at = self.options.hours * HOUR * 3 / 4;
            self.queue.put(at, Next::Client { client: 0, step: ClientNext::DropTable });
        }
        let calm = self.options.hours * HOUR;
        self.queue.put(calm, Next::Calm);
        self.queue.put(self.options.end(), Next::End);
        self.queue.put(10 * MINUTE, Next::FullCheck);
    }

    /// Runs until the end or the first violation.
    pub fn run(&mut self) {
        let (mut minute, mut steps) = (0, 0);
        while let Some((at, next)) = self.queue.next() {
            self.now = at;
            if matches!(next, Next::End) && at < self.acted_at + ANSWERED_MS {
                self.queue.put(self.acted_at + ANSWERED_MS, next);
                continue;
            }
            steps = if at / MINUTE == minute { steps + 1 } else { 0 };
            minute = at / MINUTE;
            let is_end = matches!(next, Next::End);
            self.step(next);
            self.check_touched();
            if steps > STORM {
                self.violate("I10 storm", || format!("{STORM} things happened in one virtual minute"));
            }
            if is_end || self.violation.is_some() {
                break;
            }
        }
    }

    fn step(&mut self, next: Next) {
        match next {
            Next::AgentStart { agent } => self.agent_start(agent),
            Next::AgentBeat { agent, boot } => self.agent_beat(agent, boot),
            Next::AgentTick { agent, boot } => self.agent_tick(agent, boot),
            Next::AgentReport { agent, boot } => self.agent_report(agent, boot),
            Next::OpEnd { agent, boot, number } => self.op_end(agent, boot, number),
            Next::FetchStep { agent, boot, number } => self.fetch_step(agent, boot, number),
            Next::Up { agent, conn, body } => {
                let heard = body.clone();
                self.as_hearer(agent, conn, &body, |sim| sim.coordinator_hears(agent, conn, heard));
            }
            Next::Down { agent, conn, body } => self.agent_hears(agent, conn, body),
            Next::LinkBroken { agent, boot, conn } => self.link_broken(agent, boot, conn),
            Next::LinkClosed { agent, boot, conn } => {
                self.as_rival(|sim| sim.link_closed(agent, boot, conn));
                self.link_closed(agent, boot, conn);
            }
            Next::CoordinatorStart => self.coordinator_start(),
            Next::Stored { life } => self.as_life(life, |sim| sim.stored(life)),
            Next::CoordinatorTick { life } => self.as_life(life, |sim| sim.coordinator_tick(life)),
            Next::Check { life } => self.as_life(life, |sim| sim.check_dirty(life)),
            Next::Sweep { life } => self.as_life(life, |sim| sim.sweep(life)),
            Next::Round { life } => self.as_life(life, |sim| sim.desk_round(life)),
            Next::Propose { life, proposal } => self.as_life(life, |sim| sim.propose(life, proposal)),
            Next::Moves { life, answer } => self.as_life(life, |sim| sim.moves(life, answer)),
            Next::Asked { client, attempt, event } => self.client_asks(client, attempt, *event),
            Next::Client { client, step } => self.client_step(client, step),
            Next::Stream { stream } => self.stream_arrives(*stream),
            Next::Staged { boot, stream } => self.stream_staged(boot, *stream),
            Next::AgentCrashPoint { agent, boot } => self.agent_crash_point(agent, boot),
            Next::CoordinatorCrashPoint { life } => self.coordinator_crash_point(life),
            Next::Fault { fault } => self.fault(fault),
            Next::Undo { undo } => self.undo(undo),
            Next::Calm => self.become_calm(),
            Next::FullCheck => {
                self.check_everything();
                self.queue.put(self.now + 10 * MINUTE, Next::FullCheck);
            }
            Next::End => self.check_rest(),
        }
    }

    /// Whether this run breaks the law `mutant` names.
    pub fn breaks(&self, mutant: Mutant) -> bool {
        self.options.mutant == Some(mutant)
    }

    /// The first violation stays; later ones follow from it.
    pub fn violate(&mut self, law: &'static str, detail: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let violation = Violation { law, detail: detail(), at_ms: self.now };
            self.trace.line(self.now, format_args!("VIOLATION {violation}"));
            self.violation = Some(violation);
        }
    }

    /// A message goes out; it arrives never, once or twice.
    pub fn send(&mut self, from: Place, to: Place, next: impl Fn() -> Next) {
        for at in self.net.arrivals(self.now, from, to) {
            self.queue.put(at, next());
        }
    }
}
