//! The kinds of faults and of operators' doings, how often each comes, and how each is over. Data only: who carries one
//! out stands in `faults`.

use crate::Rng;
use crate::net::Place;
use crate::options::{HOUR, MINUTE};
use std::collections::BTreeMap;
use stele_common::{ReplicaId, TabletId};

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    AgentCrash,
    CoordinatorCrash,
    HostGone,
    Cut,
    DiskFull,
    DiskError,
    Rot,
    Unmount,
    Emptied,
    OldStore,
    Regress,
    /// Every copy of a tablet rots, each in another file.
    Scatter,
    /// A second leadership begins while the first one still runs.
    Rival,
    /// A copied disk comes up on another host; an agent comes up a second time.
    TwinDisk,
    TwinNode,
    /// A host that comes and goes for hours.
    Flap,
    /// Operators' doings, see `people` and `hands`.
    Drain,
    DrainDisk,
    Maintain,
    Urgent,
    Replication,
    Storm,
    SetBad,
    NodeTag,
    TableTag,
    Remove,
    /// What operators set for a while, see `whims`.
    Knob,
    Level,
    Pause,
}

/// How it is over.
#[derive(Clone, Debug)]
pub enum Undo {
    Cut(Vec<(Place, Place)>),
    Full {
        agent: usize,
        disk: usize,
    },
    Error {
        agent: usize,
        disk: usize,
    },
    Mount {
        agent: usize,
        disk: usize,
    },
    Emptied {
        agent: usize,
        disk: usize,
    },
    /// An operator thinks again about a drain.
    Drain {
        agent: usize,
    },
    DrainDisk {
        agent: usize,
        disk: usize,
    },
    /// Drains that could not end are taken back.
    Drains,
    /// Operators take back what has no room to end.
    FullDrains,
    /// A host under maintenance is switched off for so long.
    Switched {
        agent: usize,
        down: u64,
    },
    /// The copy of the store that was made takes its place.
    UseBackup,
    TrueStore,
    /// The old leadership learns that it is over.
    Rival,
    /// The copy of a disk is taken away again.
    TwinDisk {
        agent: usize,
    },
    /// An agent that comes and goes is killed once more, until then.
    Flap {
        agent: usize,
        until: u64,
    },
    /// Somebody says of a replica that was called bad that it is good.
    Pardon {
        tablet: TabletId,
        replica: ReplicaId,
    },
    /// A node that was removed may join again.
    Admit {
        agent: usize,
    },
    /// A host that is lost for good is taken out of the cluster.
    Bury {
        agent: usize,
    },
    /// A knob is again what the file says; everything is allowed again.
    Knob {
        name: &'static str,
    },
    Level,
    /// All that operators have set is taken back.
    Whims,
}

impl Fault {
    /// In the order in which a seed draws them: of a thousand seeds so many have it, so often.
    const DRAWN: [(Fault, u64, u64); 17] = [
        (Fault::AgentCrash, 900, 25 * MINUTE),
        (Fault::CoordinatorCrash, 700, 40 * MINUTE),
        (Fault::HostGone, 400, 8 * HOUR),
        (Fault::Cut, 600, 30 * MINUTE),
        (Fault::DiskFull, 400, 90 * MINUTE),
        (Fault::DiskError, 400, 2 * HOUR),
        (Fault::Rot, 700, 40 * MINUTE),
        (Fault::Unmount, 500, 80 * MINUTE),
        (Fault::Emptied, 300, 6 * HOUR),
        (Fault::OldStore, 250, 9 * HOUR),
        (Fault::Regress, 300, 3 * HOUR),
        (Fault::Drain, 500, 4 * HOUR),
        (Fault::DrainDisk, 300, 5 * HOUR),
        (Fault::Maintain, 400, 3 * HOUR),
        (Fault::Urgent, 300, 4 * HOUR),
        (Fault::Replication, 300, 6 * HOUR),
        (Fault::Storm, 300, 2 * HOUR),
    ];

    /// The same of what was added later: drawn from a source of its own, so that seeds keep what they had.
    const DRAWN_LATER: [(Fault, u64, u64); 9] = [
        (Fault::Scatter, 400, 2 * HOUR),
        (Fault::Rival, 300, 3 * HOUR),
        (Fault::TwinDisk, 300, 5 * HOUR),
        (Fault::TwinNode, 200, 4 * HOUR),
        (Fault::Flap, 250, 7 * HOUR),
        (Fault::SetBad, 300, 3 * HOUR),
        (Fault::NodeTag, 300, 4 * HOUR),
        (Fault::TableTag, 300, 6 * HOUR),
        (Fault::Remove, 300, 5 * HOUR),
    ];

    /// Of a thousand seeds so many have operators who set things, which of them by the permille here.
    const WHIMS_PERMILLE: u64 = 350;
    const DRAWN_AS_WHIMS: [(Fault, u64, u64); 3] =
        [(Fault::Knob, 800, 90 * MINUTE), (Fault::Level, 600, 4 * HOUR), (Fault::Pause, 700, 2 * HOUR)];

    /// It has a source of chance of its own.
    pub fn is_whim(self) -> bool {
        Fault::DRAWN_AS_WHIMS.iter().any(|(fault, ..)| *fault == self)
    }

    /// As a run counts it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::AgentCrash => "agent_crash",
            Fault::CoordinatorCrash => "coordinator_crash",
            Fault::HostGone => "host_gone",
            Fault::Cut => "cut",
            Fault::DiskFull => "disk_full",
            Fault::DiskError => "disk_error",
            Fault::Rot => "rot",
            Fault::Unmount => "unmount",
            Fault::Emptied => "emptied",
            Fault::OldStore => "old_store",
            Fault::Regress => "regress",
            Fault::Scatter => "scatter",
            Fault::Rival => "rival",
            Fault::TwinDisk => "twin_disk",
            Fault::TwinNode => "twin_node",
            Fault::Flap => "flap",
            Fault::Drain => "drain",
            Fault::DrainDisk => "drain_disk",
            Fault::Maintain => "maintain",
            Fault::Urgent => "urgent",
            Fault::Replication => "replication",
            Fault::Storm => "storm",
            Fault::SetBad => "set_bad",
            Fault::NodeTag => "node_tag",
            Fault::TableTag => "table_tag",
            Fault::Remove => "remove",
            Fault::Knob => "knob",
            Fault::Level => "level",
            Fault::Pause => "pause",
        }
    }
}

/// Mean time between faults of a kind over the whole cluster, milliseconds; this seed has none of the others.
#[derive(Clone, Debug, Default)]
pub struct FaultMix(BTreeMap<Fault, u64>);

impl FaultMix {
    /// The first kinds, from the mix's own source of chance.
    pub fn draw(rng: &mut Rng, hours: u64) -> FaultMix {
        let mut mix = FaultMix::default();
        mix.draw_from(rng, hours, &Fault::DRAWN);
        mix
    }

    /// The later ones.
    pub fn draw_later(&mut self, rng: &mut Rng, hours: u64) {
        self.draw_from(rng, hours, &Fault::DRAWN_LATER);
    }

    /// Operators' settings.
    pub fn draw_whims(&mut self, rng: &mut Rng, hours: u64) {
        if rng.permille(Fault::WHIMS_PERMILLE) {
            self.draw_from(rng, hours, &Fault::DRAWN_AS_WHIMS);
        }
    }

    fn draw_from(&mut self, rng: &mut Rng, hours: u64, kinds: &[(Fault, u64, u64)]) {
        // The shorter the run, the denser the faults, so that an hour of a mutant's run is worth something.
        let dense = if hours < 12 { 3 } else { 1 };
        for (fault, on_permille, mean) in kinds {
            if rng.permille(*on_permille) {
                self.0.insert(*fault, (mean / dense / 2) + rng.below(mean / dense));
            }
        }
    }

    /// None of these.
    pub fn spare(&mut self, is_spared: impl Fn(Fault) -> bool) {
        self.0.retain(|fault, _| !is_spared(*fault));
    }

    pub fn mean(&self, fault: Fault) -> Option<u64> {
        self.0.get(&fault).copied()
    }

    /// What this seed has.
    pub fn kinds(&self) -> Vec<Fault> {
        self.0.keys().copied().collect()
    }
}
