//! A coordinator that is only a script: it welcomes everybody, formats what is blank, and hands on what agents say.

use super::WAIT;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use stele_common::handshake::{
    Answer, Challenge, DiskFound, DiskWord, FRAME_MAX, Hello, MAGIC, PROTOCOL_MAX, PROTOCOL_MIN, Welcome,
};
use stele_common::peer::{read_frame, write_frame};
use stele_common::{
    ClusterId, DiskId, Epoch, Fact, NodeId, Order, OrderBody, ReplicaFact, ReplicaId, ReportKind, ToAgent,
    ToCoordinator,
};

/// A coordinator that welcomes everybody, formats what is blank, and remembers the connections.
pub struct Coordinator {
    pub address: String,
    pub heard: Receiver<(String, Heard)>,
    pub lines: Arc<Mutex<BTreeMap<String, TcpStream>>>,
}

pub enum Heard {
    Hello(Box<Hello>),
    Fact(Box<Fact>),
    FullEnd,
    Gone,
}

impl Coordinator {
    pub fn start() -> Coordinator {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, heard) = channel();
        let lines = Arc::new(Mutex::new(BTreeMap::new()));
        let (known, next) = (Arc::clone(&lines), Arc::new(AtomicU64::new(1)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, known, next) = (tell.clone(), Arc::clone(&known), Arc::clone(&next));
                std::thread::spawn(move || serve(stream, &tell, &known, &next));
            }
        });
        Coordinator { address, heard, lines }
    }

    /// Waits for something that an agent says.
    pub fn wait<T>(&self, what: &str, agent: &str, mut wanted: impl FnMut(&Heard) -> Option<T>) -> T {
        let deadline = Instant::now() + WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (from, heard) = self.heard.recv_timeout(left).unwrap_or_else(|_| panic!("waited for: {what}"));
            if from == agent
                && let Some(found) = wanted(&heard)
            {
                return found;
            }
        }
    }

    pub fn fact<T>(&self, what: &str, agent: &str, mut wanted: impl FnMut(&Fact) -> Option<T>) -> T {
        self.wait(what, agent, |heard| match heard {
            Heard::Fact(fact) => wanted(fact),
            Heard::Hello(_) | Heard::FullEnd | Heard::Gone => None,
        })
    }

    pub fn replica(
        &self,
        what: &str,
        agent: &str,
        replica: ReplicaId,
        wanted: impl Fn(&ReplicaFact) -> bool,
    ) -> ReplicaFact {
        self.fact(what, agent, |fact| match fact {
            Fact::Replica(found) if found.replica == replica && wanted(found) => Some(found.clone()),
            _ => None,
        })
    }

    pub fn order(&self, agent: &str, epoch: u64, body: OrderBody) {
        let message = ToAgent::Order(Order { epoch: Epoch(epoch), body });
        let mut lines = self.lines.lock().unwrap();
        write_frame(lines.get_mut(agent).unwrap(), &message).unwrap();
    }
}

pub fn serve(
    mut stream: TcpStream,
    tell: &Sender<(String, Heard)>,
    lines: &Mutex<BTreeMap<String, TcpStream>>,
    next: &AtomicU64,
) -> Option<()> {
    let nonce = [1; 16];
    let challenge = Challenge { magic: MAGIC.into(), min: PROTOCOL_MIN, max: PROTOCOL_MAX, nonce, open: true };
    write_frame(&mut stream, &challenge).ok()?;
    let hello: Hello = read_frame(&mut stream, FRAME_MAX).ok()?;
    let name = hello.name.clone();
    let words = hello.disks.iter().map(|disk| match &disk.found {
        DiskFound::Known { disk } => DiskWord::Use { disk: *disk },
        DiskFound::Blank => DiskWord::Format { disk: DiskId(next.fetch_add(1, Relaxed)) },
        DiskFound::Unusable { cause } => DiskWord::Refuse { cause: cause.clone() },
    });
    let welcome = Welcome {
        version: PROTOCOL_MAX,
        cluster: ClusterId("f".repeat(32)),
        node: NodeId(10_000),
        epoch: Epoch(1),
        proof: [0; 32],
        disks: words.collect(),
        beat_ms: 100,
        lease_ms: 5_000,
    };
    tell.send((name.clone(), Heard::Hello(Box::new(hello)))).ok()?;
    lines.lock().unwrap().insert(name.clone(), stream.try_clone().unwrap());
    write_frame(&mut stream, &Answer::Welcome(welcome)).ok()?;
    let mut seq = None;
    while let Ok(message) = read_frame::<ToCoordinator>(&mut stream, FRAME_MAX) {
        match message {
            ToCoordinator::Beat { .. } => {
                let mut lines = lines.lock().unwrap();
                write_frame(lines.get_mut(&name)?, &ToAgent::Heard { epoch: Epoch(1), sequence: 0 }).ok()?;
            }
            ToCoordinator::Report(report) => {
                assert!(seq.is_none_or(|seq| report.seq == seq + 1), "a gap in the numbers of reports");
                seq = Some(report.seq);
                for fact in report.facts {
                    tell.send((name.clone(), Heard::Fact(Box::new(fact)))).ok()?;
                }
                if matches!(report.kind, ReportKind::FullLast | ReportKind::FullOnly) {
                    tell.send((name.clone(), Heard::FullEnd)).ok()?;
                }
            }
        }
    }
    tell.send((name, Heard::Gone)).ok()
}
