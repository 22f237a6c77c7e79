//! The agent port against strangers, liars, slow writers and a well-behaved agent, over loopback.

use super::*;
use actix::prelude::*;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use stele_common::{ClusterId, Order, OrderBody, Report, TaskId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TOKEN: [u8; 32] = [7; 32];

/// Catalog, hub and Roster in one: welcomes everybody as node 1 and writes down what it hears.
struct Fake {
    heard: Arc<Mutex<Vec<String>>>,
    refuse: Option<RefusedCode>,
    sessions: Vec<mpsc::Sender<ToAgent>>,
}

impl Fake {
    fn note(&self, text: String) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

impl Actor for Fake {
    type Context = Context<Self>;
}

impl Handler<Happened> for Fake {
    type Result = ();

    fn handle(&mut self, happened: Happened, _: &mut Context<Self>) {
        let answer = match happened.body {
            EventBody::Hello { hello, proof } => {
                self.note(format!("hello {}", hello.name));
                Answer::Handshake(match self.refuse {
                    Some(code) => handshake::Answer::Refused(Refused { code, detail: "no".into() }),
                    None => handshake::Answer::Welcome(Welcome {
                        version: 1,
                        cluster: ClusterId("c".into()),
                        node: NodeId(1),
                        epoch: Epoch(3),
                        proof,
                        disks: vec![],
                        beat_ms: 1000,
                        lease_ms: 6000,
                    }),
                })
            }
            EventBody::Reported { node, report } => {
                self.note(format!("report {} of node {node}", report.seq));
                Answer::Done
            }
            other => panic!("the link has no business with {other:?}"),
        };
        happened.answer.send(answer).ok();
    }
}

impl Handler<SessionOpened> for Fake {
    type Result = MessageResult<SessionOpened>;

    fn handle(&mut self, opened: SessionOpened, _: &mut Context<Self>) -> Self::Result {
        self.note("opened".into());
        let order = OrderBody::CancelTask { task: TaskId(5) };
        opened.outbound.try_send(ToAgent::Order(Order { epoch: Epoch(3), body: order })).unwrap();
        self.sessions.push(opened.outbound);
        MessageResult(self.sessions.len() as u64)
    }
}

impl Handler<SessionClosed> for Fake {
    type Result = ();

    fn handle(&mut self, closed: SessionClosed, _: &mut Context<Self>) {
        self.note(format!("closed {}", closed.session));
    }
}

impl Handler<Beat> for Fake {
    type Result = ();

    fn handle(&mut self, beat: Beat, _: &mut Context<Self>) {
        self.note(format!("beat of {}", beat.node));
    }
}

struct Port {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Port {
    async fn open(refuse: Option<RefusedCode>, deadline: Duration) -> Port {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let fake = Fake { heard: heard.clone(), refuse, sessions: Vec::new() }.start();
        let link = Link {
            token: Some(TOKEN),
            handshake_deadline: deadline,
            catalog: fake.clone().recipient(),
            hub_opened: fake.clone().recipient(),
            hub_closed: fake.clone().recipient(),
            roster: fake.recipient(),
            snapshots: crate::published::cell(Default::default()).1,
            refusals: Refusals::default(),
            lanes: Lanes::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        actix_rt::spawn(serve(listener, Rc::new(link)));
        Port { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// An agent that knows `token`.
struct Caller {
    frames: Frames,
    nonce: [u8; 16],
}

impl Caller {
    async fn connect(port: &Port) -> Caller {
        let stream = TcpStream::connect(port.address).await.unwrap();
        let mut frames = Framed::new(stream, LengthDelimitedCodec::builder().max_frame_length(1 << 30).new_codec());
        let challenge: Challenge = wire::decode(&frames.next().await.unwrap().unwrap()).unwrap();
        assert_eq!((challenge.magic.as_str(), challenge.open), (handshake::MAGIC, false));
        Caller { frames, nonce: challenge.nonce }
    }

    fn hello(&self, token: &[u8; 32]) -> Hello {
        let nonce = [9; 16];
        Hello {
            magic: handshake::MAGIC.into(),
            min: 1,
            max: 1,
            cluster: None,
            host: "h".into(),
            name: "h".into(),
            rack: String::new(),
            tag: "default".into(),
            boot: BootId(4),
            epoch_seen: Epoch(0),
            store_seen: Default::default(),
            peer: "127.0.0.1:1".into(),
            http: "127.0.0.1:2".into(),
            disks: vec![],
            build: "test".into(),
            nonce,
            proof: handshake::proof(Some(token), Speaker::Agent, &self.nonce, &nonce),
        }
    }

    async fn say<T: serde::Serialize>(&mut self, message: &T) {
        self.frames.send(Bytes::from(wire::encode(message))).await.unwrap();
    }

    async fn hear<T: serde::de::DeserializeOwned>(&mut self) -> T {
        wire::decode(&self.frames.next().await.unwrap().unwrap()).unwrap()
    }

    /// Whatever still comes, then the end.
    async fn ends(mut self) -> bool {
        while let Some(Ok(_)) = self.frames.next().await {}
        true
    }
}

/// An HTTP client, and a frame longer than any hello: closed, and nobody inside hears of it.
#[actix::test]
async fn strangers() {
    let port = Port::open(None, Link::DEADLINE).await;
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 64], &[0, 0, 0, 4, 1, 2, 3, 4]] {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        // A reset is an end as well.
        stream.read_to_end(&mut rest).await.ok();
    }
    assert!(port.heard().is_empty(), "{:?}", port.heard());
}

/// Who does not get through the handshake in time is cut off, even if a byte comes now and then.
#[actix::test]
async fn slow_handshake() {
    let port = Port::open(None, Duration::from_millis(30)).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(&[0, 0]).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    assert!(port.heard().is_empty());
}

/// A wrong token is told so, and a wrong protocol too; the Catalog never hears of either.
#[actix::test]
async fn refused_before_the_catalog() {
    let port = Port::open(None, Link::DEADLINE).await;
    let mut caller = Caller::connect(&port).await;
    let hello = caller.hello(&[8; 32]);
    caller.say(&hello).await;
    let handshake::Answer::Refused(refused) = caller.hear().await else { panic!("welcomed") };
    assert_eq!(refused.code, RefusedCode::BadProof);
    assert!(caller.ends().await);

    let mut caller = Caller::connect(&port).await;
    let hello = Hello { min: 90, max: 91, ..caller.hello(&TOKEN) };
    caller.say(&hello).await;
    let handshake::Answer::Refused(refused) = caller.hear().await else { panic!("welcomed") };
    assert_eq!(refused.code, RefusedCode::NoCommonVersion);
    assert!(port.heard().is_empty());
}

/// What the Catalog refuses reaches the agent with its code: here, an agent that has seen a higher epoch than ours.
#[actix::test]
async fn refused_by_the_catalog() {
    let port = Port::open(Some(RefusedCode::StoreIsOld), Link::DEADLINE).await;
    let mut caller = Caller::connect(&port).await;
    let hello = caller.hello(&TOKEN);
    caller.say(&hello).await;
    let handshake::Answer::Refused(refused) = caller.hear().await else { panic!("welcomed") };
    assert_eq!(refused.code, RefusedCode::StoreIsOld);
    assert!(caller.ends().await);
    assert_eq!(port.heard(), ["hello h"]);
}

/// The whole way: our proof holds, the hub's order arrives after the welcome, a beat is heard, the limits of copies are
/// told once, a report is taken, and an oversize frame ends the session, which the hub is told.
#[actix::test]
async fn a_session() {
    let port = Port::open(None, Link::DEADLINE).await;
    let mut caller = Caller::connect(&port).await;
    let hello = caller.hello(&TOKEN);
    caller.say(&hello).await;
    let handshake::Answer::Welcome(welcome) = caller.hear().await else { panic!("refused") };
    assert_eq!(welcome.proof, handshake::proof(Some(&TOKEN), Speaker::Coordinator, &hello.nonce, &caller.nonce));
    assert!(matches!(caller.hear().await, ToAgent::Order(_)));
    caller.say(&ToCoordinator::Beat { node: NodeId(1), boot: BootId(4) }).await;
    assert!(matches!(caller.hear().await, ToAgent::Heard { epoch: Epoch(3), sequence: 0 }));
    assert!(matches!(caller.hear().await, ToAgent::Limits { epoch: Epoch(3), .. }));
    let report = Report { boot: BootId(4), seq: 1, kind: ReportKind::FullOnly, facts: vec![] };
    caller.say(&ToCoordinator::Report(report)).await;
    caller.say(&ToCoordinator::Beat { node: NodeId(1), boot: BootId(4) }).await;
    assert!(matches!(caller.hear().await, ToAgent::Heard { .. }));
    let oversize = u32::try_from(handshake::FRAME_MAX + 1).unwrap().to_be_bytes();
    caller.frames.get_mut().write_all(&oversize).await.unwrap();
    assert!(caller.ends().await);
    let expected = ["hello h", "opened", "beat of 1", "report 1 of node 1", "beat of 1", "closed 1"];
    assert_eq!(port.heard(), expected);
}

/// A beat in another's name is no message of this session.
#[actix::test]
async fn anothers_beat() {
    let port = Port::open(None, Link::DEADLINE).await;
    let mut caller = Caller::connect(&port).await;
    let hello = caller.hello(&TOKEN);
    caller.say(&hello).await;
    let handshake::Answer::Welcome(_) = caller.hear().await else { panic!("refused") };
    caller.say(&ToCoordinator::Beat { node: NodeId(2), boot: BootId(4) }).await;
    assert!(caller.ends().await);
    assert_eq!(port.heard(), ["hello h", "opened", "closed 1"]);
}

/// A whole house behind the port.
async fn house() -> (crate::wiring::House, Port) {
    let store = Box::new(crate::store::memory::MemoryStore::default());
    let fatal = |cause: String| panic!("{cause}");
    let house = crate::wiring::start(Default::default(), Some(TOKEN), store, Box::new(fatal)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = Port { address: listener.local_addr().unwrap(), heard: Arc::default() };
    actix_rt::spawn(serve(listener, Rc::new(house.link.clone())));
    (house, port)
}

/// The same agent dials again: its older connection is ended, its node goes on.
#[actix::test]
async fn newer_connection() {
    let (house, port) = house().await;
    let mut callers = Vec::new();
    for _ in 0..2 {
        let mut caller = Caller::connect(&port).await;
        let hello = caller.hello(&TOKEN);
        caller.say(&hello).await;
        let handshake::Answer::Welcome(welcome) = caller.hear().await else { panic!("refused") };
        assert_eq!(welcome.node, NodeId(10_001));
        callers.push(caller);
    }
    let (mut newer, older) = (callers.pop().unwrap(), callers.pop().unwrap());
    assert!(older.ends().await);
    newer.say(&ToCoordinator::Beat { node: NodeId(10_001), boot: BootId(4) }).await;
    while !matches!(newer.hear().await, ToAgent::Heard { .. }) {}
    house.close().await;
}

/// An agent that has seen a higher epoch: it is told that our store is old, and nothing is ordered from then on.
#[actix::test]
async fn stale_store() {
    let (house, port) = house().await;
    let mut caller = Caller::connect(&port).await;
    let hello = Hello { epoch_seen: Epoch(99), ..caller.hello(&TOKEN) };
    caller.say(&hello).await;
    let handshake::Answer::Refused(refused) = caller.hear().await else { panic!("welcomed") };
    assert_eq!(refused.code, RefusedCode::StoreIsOld);
    let published = house.ask.now();
    assert_eq!(published.world.level, stele_common::status::Level::Blind);
    assert_eq!(published.world.level_cause.as_ref().map(|cause| cause.code()), Some("store_is_old"));
    house.close().await;
}
