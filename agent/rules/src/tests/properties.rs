//! Any run of events, with a small shell that ends ops in any order and any way: the book stays consistent, nothing goes
//! back, nothing runs that was not ordered, orders are harmless to repeat, and with the faults over everything ends.

use crate::book::{Book, CopyPhase, LeftoverState};
use crate::event::{Action, Event, EventBody, Op, OpFailure, OpResult};
use crate::report::{self, Key};
use crate::testing::*;
use crate::{check, handle, next};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::{BTreeMap, BTreeSet};
use stele_common::{
    DiskState, Epoch, Fact, Order, OrderBody, ReplicaFact, ReplicaId, TabletId, TaskFailure, TaskId, Tick, Version,
};

/// One thing that happens; small numbers, so that they meet often.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a run has a hundred of them")]
enum Step {
    Event(EventBody),
    /// One of the ops in flight ends.
    End(usize, End),
    Wait(u64),
}

#[derive(Clone, Debug)]
enum End {
    Well {
        newer: u64,
        content_checked: bool,
    },
    Fails(OpFailure),
    Damaged,
    /// The answer of some other op: the shell is broken, the book must not be.
    Nonsense,
}

fn bodies() -> impl Strategy<Value = OrderBody> {
    let (replica, tablet, version) = (1..5u64, 10..12u64, 0..6u64);
    let (task, load) = (1..9u64, 1..6u64);
    prop_oneof![
        (replica.clone(), tablet.clone())
            .prop_map(|(replica, tablet)| OrderBody::Create { disk: DISK, label: label(replica, tablet) }),
        (task.clone(), replica.clone(), tablet.clone(), version.clone())
            .prop_map(|(task, replica, tablet, version)| clone_of(task, replica, tablet, version)),
        task.prop_map(|task| OrderBody::CancelTask { task: TaskId(task) }),
        (replica.clone(), tablet.clone()).prop_map(|(replica, tablet)| drop_of(replica, tablet)),
        (replica.clone(), tablet.clone()).prop_map(|(replica, tablet)| purge_of(replica, tablet)),
        (load.clone(), replica.clone(), tablet.clone(), 1..6u64)
            .prop_map(|(load, replica, tablet, version)| commit_of(load, replica, tablet, version)),
        load.prop_map(abort_of),
        (replica.clone(), tablet.clone(), 1..4u64)
            .prop_map(|(replica, tablet, nonce)| confirm_of(replica, tablet, nonce)),
        (replica.clone(), tablet.clone()).prop_map(|(replica, tablet)| verify_of(replica, tablet)),
        (replica, tablet, version).prop_map(|(replica, tablet, below)| collect_of(replica, tablet, below)),
    ]
}

fn events() -> impl Strategy<Value = EventBody> {
    let (replica, version) = ((1..5u64).prop_map(ReplicaId), (1..6u64).prop_map(Version));
    let state = prop_oneof![
        6 => Just(DiskState::Online), 1 => Just(DiskState::Suspect), 2 => Just(DiskState::Unavailable)
    ];
    prop_oneof![
        30 => (4..7u64, bodies()).prop_map(|(epoch, body)| EventBody::Order(Order { epoch: Epoch(epoch), body })),
        8 => (1..6u64, 1..5u64, 10..12u64, 1..6u64)
            .prop_map(|(load, replica, tablet, version)| load_staged(load, replica, tablet, version).body),
        2 => (1..9u64, 0..9u64).prop_map(|(task, bytes_done)| EventBody::Progress {
            task: TaskId(task), bytes_done, bytes_total: 9
        }),
        2 => (replica.clone(), version.clone())
            .prop_map(|(replica, version)| EventBody::Pinned { replica, version }),
        2 => (replica.clone(), version).prop_map(|(replica, version)| EventBody::Unpinned { replica, version }),
        2 => replica.clone()
            .prop_map(|replica| EventBody::FoundDamaged { replica, cause: "rot".to_string() }),
        2 => replica.prop_map(|replica| EventBody::Scrub { replica }),
        2 => state.prop_map(|state| turned(state, "x").body),
        2 => Just(EventBody::Tick),
    ]
}

fn ends() -> impl Strategy<Value = End> {
    let failure = prop_oneof![
        3 => Just(OpFailure::NotFound),
        1 => Just(OpFailure::Disk { detail: "EIO".to_string() }),
        2 => Just(OpFailure::Full),
        2 => Just(OpFailure::Mismatch { detail: "m".to_string() }),
        2 => Just(OpFailure::Copy(TaskFailure::SourceLost { detail: "reset".to_string() })),
    ];
    prop_oneof![
        20 => (0..3u64, any::<bool>()).prop_map(|(newer, content_checked)| End::Well { newer, content_checked }),
        4 => failure.prop_map(End::Fails),
        1 => Just(End::Damaged),
        1 => Just(End::Nonsense),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => events().prop_map(Step::Event),
        8 => (any::<proptest::sample::Index>(), ends()).prop_map(|(which, end)| Step::End(which.index(64), end)),
        1 => (0..3_600_000u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The shell of a disk that has no bytes: it remembers what it was told to do, and what it told.
struct Shell {
    book: Book,
    now: Tick,
    in_flight: Vec<Op>,
    told: BTreeMap<Key, Fact>,
    /// What a coordinator knows that hears every delta.
    mirror: BTreeMap<ReplicaId, ReplicaFact>,
    drops: BTreeSet<(ReplicaId, TabletId)>,
    purges: BTreeSet<(ReplicaId, TabletId)>,
}

impl Shell {
    fn new() -> Shell {
        let mut book = book_of(vec![held(1, 10, 3), held(2, 11, 0)]);
        book.replicas.get_mut(&ReplicaId(1)).unwrap().older.insert(Version(2), hash(2));
        Shell {
            book,
            now: Tick(0),
            in_flight: Vec::new(),
            told: BTreeMap::new(),
            mirror: BTreeMap::new(),
            drops: BTreeSet::new(),
            purges: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        self.now = self.now.plus(10);
        match step {
            Step::Wait(ms) => self.now = self.now.plus(*ms),
            Step::Event(body) => self.turn(body.clone()),
            Step::End(which, end) if !self.in_flight.is_empty() => {
                let op = self.in_flight.remove(which % self.in_flight.len());
                let result = result_of(&op, end, &self.book);
                self.turn(EventBody::Done { op, result });
            }
            Step::End(..) => {}
        }
    }

    fn turn(&mut self, body: EventBody) {
        let event = Event { at: self.now, body };
        let before = self.book.clone();
        let actions = handle(&mut self.book, &event);
        self.note_order(&before, &event);
        self.ops_are_allowed(&before, &actions);
        self.nothing_goes_back(&before);
        assert_eq!(check(&self.book), Vec::<String>::new());
        assert_eq!(next::ops(&self.book), vec![], "could run and does not");
        self.flights_match();
        self.deltas_add_up();
        if let EventBody::Order(order) = &event.body {
            if order.epoch < before.epoch {
                assert_eq!(self.book, before, "an old leadership changed something");
            } else if let OrderBody::Clone(copy) = &order.body
                && copy.disk == self.book.disk
            {
                let is_known = self.book.copies.contains_key(&copy.task) || self.book.ended.contains_key(&copy.task);
                assert!(is_known, "nobody will be told what became of {copy:?}");
            }
            let once = self.book.clone();
            let again = handle(&mut self.book, &event);
            assert_eq!(self.book, once, "the same order twice");
            assert!(again.iter().all(|action| matches!(action, Action::Explain(_))), "{again:?}");
        }
    }

    fn note_order(&mut self, before: &Book, event: &Event) {
        let EventBody::Order(order) = &event.body else { return };
        if order.epoch < before.epoch {
            return;
        }
        if let OrderBody::Drop { tablet, replica, .. } = &order.body {
            self.drops.insert((*replica, *tablet));
        }
        if let OrderBody::Purge { tablet, replica, .. } = &order.body {
            self.purges.insert((*replica, *tablet));
        }
    }

    /// Each op has its reason at the moment when it is handed out.
    fn ops_are_allowed(&mut self, before: &Book, actions: &[Action]) {
        for action in actions {
            let op = match action {
                Action::Do(op) => op.clone(),
                Action::Explain(_) => continue,
                Action::Record(change) => panic!("a record came out of a turn: {change:?}"),
            };
            let reads = matches!(op, Op::Confirm { .. } | Op::Verify { .. });
            let state = self.book.state;
            assert!(state == DiskState::Online || (reads && state == DiskState::Suspect), "{op:?} on {state:?}");
            match &op {
                Op::Drop { tablet, replica, .. } => assert!(self.drops.contains(&(*replica, *tablet))),
                Op::Purge { tablet, replica, .. } => assert!(self.purges.contains(&(*replica, *tablet))),
                Op::InstallLoad { load, tablet, replica, parent, .. } => {
                    let held = &self.book.replicas[replica];
                    assert!(self.book.staged[&(*load, *tablet)].committed && held.head == *parent);
                    assert!(held.bad.is_none(), "built on a bad replica");
                }
                Op::DiscardLoad { load, tablet } => {
                    let staged = &self.book.staged[&(*load, *tablet)];
                    let head = self.book.replicas.get(&staged.replica).map(|held| held.head);
                    let useless = head.map_or(staged.failed.is_some(), |head| head >= staged.version);
                    assert!(staged.aborted || useless, "a load is removed that may be needed: {before:?}");
                }
                Op::InstallCopy { label, .. } => assert!(!self.book.trash.contains_key(&label.replica)),
                Op::Create { .. }
                | Op::Fetch { .. }
                | Op::DiscardCopy { .. }
                | Op::Confirm { .. }
                | Op::Verify { .. }
                | Op::Collect { .. } => {}
            }
            self.in_flight.push(op);
        }
    }

    fn nothing_goes_back(&mut self, before: &Book) {
        assert!(self.book.epoch >= before.epoch);
        for (id, old) in &before.replicas {
            match self.book.replicas.get(id) {
                Some(new) => assert!(new.head >= old.head, "replica {id} went back"),
                None => {
                    let known = self.book.trash.contains_key(id) || self.book.state == DiskState::Online;
                    assert!(known, "replica {id} is gone from a disk that is away");
                }
            }
        }
        for (key, _) in before.staged.iter().filter(|(_, staged)| staged.committed) {
            let new = self.book.staged.get(key);
            assert!(new.is_none_or(|new| new.committed && !new.aborted), "a commit was taken back: {key:?}");
        }
        let risen = self.book.replicas.keys().find(|id| self.book.trash.contains_key(id));
        assert_eq!(risen, None, "a dropped incarnation came back");
    }

    /// What the book takes for in flight is in flight, and no two ops share files that one of them replaces.
    fn flights_match(&self) {
        let mut known: Vec<Op> = self.book.busy.values().cloned().collect();
        for copy in self.book.copies.values().filter(|copy| copy.phase == CopyPhase::Fetching) {
            known.push(Op::Fetch { order: copy.order.clone(), mend: copy.mend });
        }
        let mut counts = (self.book.reading.len(), self.book.discarding.len(), 0);
        counts.2 = self.book.leftovers.values().filter(|left| left.state == LeftoverState::Removing).count();
        for op in &self.in_flight {
            match op {
                Op::Verify { .. } => counts.0 -= 1,
                Op::DiscardLoad { .. } => counts.1 -= 1,
                Op::DiscardCopy { .. } => counts.2 -= 1,
                Op::Create { .. }
                | Op::Fetch { .. }
                | Op::InstallCopy { .. }
                | Op::InstallLoad { .. }
                | Op::Drop { .. }
                | Op::Purge { .. }
                | Op::Confirm { .. }
                | Op::Collect { .. } => {
                    let place = known.iter().position(|known| known == op);
                    known.remove(place.unwrap_or_else(|| panic!("{op:?} is in flight and not in the book")));
                }
            }
        }
        assert_eq!((known, counts), (vec![], (0, 0, 0)), "in the book and not in flight");
        let mut staging = BTreeSet::new();
        for op in &self.in_flight {
            if matches!(op, Op::Fetch { .. } | Op::InstallCopy { .. } | Op::DiscardCopy { .. }) {
                assert!(staging.insert(op.tablet()), "two ops in one staging directory: {:?}", self.in_flight);
            }
        }
    }

    /// One who hears every delta knows what a full report would say.
    fn deltas_add_up(&mut self) {
        let now = report::facts(&self.book, self.now);
        for fact in report::diff(&self.told, &now) {
            match fact {
                Fact::Replica(fact) => {
                    self.mirror.insert(fact.replica, fact);
                }
                Fact::ReplicaGone { replica, .. } => {
                    self.mirror.remove(&replica);
                }
                Fact::Disk(_)
                | Fact::Load(_)
                | Fact::Task(_)
                | Fact::Confirmed { .. }
                | Fact::Trash(_)
                | Fact::TrashGone { .. }
                | Fact::Host(_) => {}
            }
        }
        let ageless =
            |fact: &ReplicaFact| ReplicaFact { verified_age_ms: fact.verified_age_ms.map(|_| 0), ..fact.clone() };
        let known: Vec<_> = self.mirror.values().map(ageless).collect();
        let truth =
            now.values().filter_map(|fact| if let Fact::Replica(fact) = fact { Some(ageless(fact)) } else { None });
        assert_eq!(known, truth.collect::<Vec<_>>());
        assert_eq!(report::diff(&now, &now), vec![]);
        self.told = now;
    }

    /// Faults are over: whatever is in flight ends well, and then everything has ended.
    fn calm(&mut self) {
        for replica in 1..5 {
            for version in 1..6 {
                while self
                    .book
                    .replicas
                    .get(&ReplicaId(replica))
                    .is_some_and(|h| h.pins.contains_key(&Version(version)))
                {
                    self.turn(EventBody::Unpinned { replica: ReplicaId(replica), version: Version(version) });
                }
            }
        }
        for _ in 0..500 {
            if self.in_flight.is_empty() {
                break;
            }
            self.step(&Step::End(0, End::Well { newer: 0, content_checked: true }));
        }
        assert_eq!(self.in_flight, vec![], "it never ends");
        assert!(self.book.copies.is_empty(), "a copy is stuck: {:?}", self.book.copies);
        if self.book.state != DiskState::Online {
            return;
        }
        for (id, held) in &self.book.replicas {
            assert_eq!(held.wishes, Default::default(), "replica {id} waits");
        }
        self.turn(EventBody::Tick);
        self.now = self.now.plus(crate::book::RESUME_MS);
        self.turn(EventBody::Tick);
        while !self.in_flight.is_empty() {
            self.step(&Step::End(0, End::Well { newer: 0, content_checked: true }));
        }
        assert!(self.book.leftovers.is_empty(), "something is left over: {:?}", self.book.leftovers);
    }
}

fn result_of(op: &Op, end: &End, book: &Book) -> OpResult {
    let (newer, content_checked) = match end {
        End::Well { newer, content_checked } => (*newer, *content_checked),
        End::Fails(failure) => return OpResult::Failed(failure.clone()),
        End::Damaged => return OpResult::Damaged { cause: "rot".to_string() },
        End::Nonsense => {
            return OpResult::Fetched { version: Version(1), hash: hash(1), bytes_copied: 0, bytes_reused: 0 };
        }
    };
    let held = op.replica().and_then(|replica| book.replicas.get(&replica));
    let head = held.map_or(Version(0), |held| held.head);
    match op {
        Op::Create { .. } => OpResult::Created,
        Op::Fetch { order, .. } => fetched(order.version.0 + newer),
        Op::InstallCopy { version, .. } | Op::InstallLoad { version, .. } => installed(version.0, content_checked),
        Op::DiscardCopy { .. } | Op::DiscardLoad { .. } => OpResult::Discarded,
        Op::Drop { .. } => OpResult::Dropped { bytes: 1 },
        Op::Purge { .. } => OpResult::Purged,
        Op::Confirm { .. } => OpResult::Confirmed { version: head, hash: hash(head.0) },
        Op::Verify { .. } => OpResult::Verified { version: head },
        Op::Collect { below, keep, .. } => {
            let older = held.map(|held| held.older.clone()).unwrap_or_default();
            let stays = |version: &Version| version >= below || keep.contains(version);
            OpResult::Collected { older: older.into_iter().filter(|(version, _)| stays(version)).collect(), size: 1 }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// See the module's first lines; every sentence of it is an assertion of [`Shell`].
    #[test]
    fn any_run(steps in steps()) {
        let mut shell = Shell::new();
        for step in &steps {
            shell.step(step);
        }
        shell.calm();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// A drop of a replica id that is not here changes nothing at all.
    #[test]
    fn a_drop_of_another_id(steps in steps(), tablet in 10..12u64, replica in 100..200u64) {
        let mut shell = Shell::new();
        for step in &steps {
            shell.step(step);
        }
        let before = shell.book.clone();
        handle(&mut shell.book, &order(before.epoch.0, drop_of(replica, tablet)));
        prop_assert_eq!(shell.book, before);
    }
}
