//! The agent port. Agents dial in, prove that they know the cluster's token, and are handed to the hub.
//!
//! ```text
//! accept ─▶ Challenge ─▶ Hello ─▶ proof ─▶ Catalog ─▶ Welcome | Refused     5 s for all of it, small frames only
//!                                                        │
//!          reports ─▶ Catalog, one at a time: the socket is not read while one is decided (back-pressure)
//!          beats   ─▶ Roster, answered with Heard
//!          orders  ◀─ hub
//! ```
//!
//! Nothing that comes in is believed before the proof; what is garbage, oversize, too slow or too much closes the
//! connection and is counted. No rule lives here.

mod lanes;

pub use lanes::Lanes;

use crate::actors::words::{Beat, BeatKind, Happened, SessionClosed, SessionOpened};
use crate::published::Snapshots;
use actix::Recipient;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use lanes::Place;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use stele_common::handshake::{self, Challenge, Hello, Refused, RefusedCode, Speaker, Welcome};
use stele_common::{BootId, Epoch, NodeId, ReportKind, ToAgent, ToCoordinator, wire};
use stele_coordinator_rules::{Answer, EventBody};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec, LengthDelimitedCodecError};

/// From accepting to the welcome, all in all: longer only serves those who write a byte a second.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// One frame to an agent; an agent that takes no byte for so long is as good as gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Connections at once, welcome or not. Half of them bounds what strangers can hold before their deadline.
const CONNECTIONS_MAX: usize = 4_096;
/// Orders that may wait for one agent's socket; more are dropped and given again later.
const OUTBOUND_MAX: usize = 8_192;
/// After a failed accept (no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every session needs.
#[derive(Clone)]
pub struct Link {
    pub token: Option<[u8; 32]>,
    pub handshake_deadline: Duration,
    pub catalog: Recipient<Happened>,
    pub hub_opened: Recipient<SessionOpened>,
    pub hub_closed: Recipient<SessionClosed>,
    pub roster: Recipient<Beat>,
    /// What is committed: agents are told how far the store is.
    pub snapshots: Snapshots,
    pub refusals: Refusals,
    pub lanes: Lanes,
}

/// Who was refused last time, and for what: agents ask again every other second, and one line is enough.
#[derive(Clone, Default)]
pub struct Refusals(Rc<RefCell<BTreeMap<String, RefusedCode>>>);

/// Names remembered; they come from strangers, so there must be an end to them.
const REFUSALS_MAX: usize = 1_024;

impl Refusals {
    fn is_news(&self, who: &str, code: RefusedCode) -> bool {
        let mut known = self.0.borrow_mut();
        if known.len() >= REFUSALS_MAX {
            known.clear();
        }
        known.insert(who.to_string(), code) != Some(code)
    }

    fn forget(&self, who: &str) {
        self.0.borrow_mut().remove(who);
    }
}

impl Link {
    /// The deadline that is used outside tests.
    pub const DEADLINE: Duration = HANDSHAKE_DEADLINE;
}

/// Why a connection ended; a label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side closed, or the network did.
    Closed,
    Slow,
    Oversize,
    Malformed,
    Refused,
    /// A newer session took its place.
    Replaced,
    /// We are ending.
    Ending,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            End::Closed => "closed",
            End::Slow => "slow",
            End::Oversize => "oversize",
            End::Malformed => "malformed",
            End::Refused => "refused",
            End::Replaced => "replaced",
            End::Ending => "ending",
        }
    }

    fn of(error: &std::io::Error) -> End {
        let oversize = error.get_ref().is_some_and(|cause| cause.is::<LengthDelimitedCodecError>());
        if oversize { End::Oversize } else { End::Closed }
    }
}

/// Accepts until the task is dropped.
pub async fn serve(listener: TcpListener, link: Rc<Link>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut number = 0;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the agent port");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        metrics::counter!("stele_link_accepted_total").increment(1);
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            closed(End::Refused);
            continue;
        };
        let link = link.clone();
        number += 1;
        actix_rt::spawn(async move {
            metrics::gauge!("stele_link_connections").increment(1.0);
            let end = connection(&link, stream, number).await;
            closed(end);
            metrics::gauge!("stele_link_connections").decrement(1.0);
            drop(permit);
        });
    }
}

fn closed(end: End) {
    metrics::counter!("stele_link_closed_total", "cause" => end.as_str()).increment(1);
}

type Frames = Framed<TcpStream, LengthDelimitedCodec>;

/// An agent that was let in.
struct Session {
    node: NodeId,
    boot: BootId,
    epoch: Epoch,
}

async fn connection(link: &Link, stream: TcpStream, number: u64) -> End {
    // Orders and beats are small and must not wait for each other.
    stream.set_nodelay(true).ok();
    let codec = LengthDelimitedCodec::builder().max_frame_length(handshake::HANDSHAKE_FRAME_MAX).new_codec();
    let mut frames = Framed::new(stream, codec);
    let (hello, proof) = match timeout(link.handshake_deadline, introduce(link, &mut frames)).await {
        Ok(Ok(introduced)) => introduced,
        Ok(Err(end)) => return end,
        Err(_) => return End::Slow,
    };
    let (boot, who) = (hello.boot, agent_name(&hello));
    let place = link.lanes.place((hello.host.clone(), hello.name.clone()), number);
    let Some(mut turn) = place.turn().await else { return End::Replaced };
    let Some(answer) = ask(link, EventBody::Hello { hello, proof }).await else { return End::Ending };
    let welcome = match answer {
        Answer::Handshake(handshake::Answer::Welcome(welcome)) => welcome,
        Answer::Handshake(handshake::Answer::Refused(refused)) => {
            return refuse(link, &mut frames, &who, refused).await;
        }
        other => {
            tracing::error!(answer = ?other, "the catalog answered a hello with something else");
            return End::Ending;
        }
    };
    link.refusals.forget(&who);
    let session = Session { node: welcome.node, boot, epoch: welcome.epoch };
    // Known to the hub before the agent hears of it, so that no order is lost between the two. From here on the
    // hub must hear of the end.
    let (outbound, orders) = mpsc::channel(OUTBOUND_MAX);
    let own = outbound.downgrade();
    let Ok(number) = link.hub_opened.send(SessionOpened { node: session.node, boot, outbound }).await else {
        return End::Ending;
    };
    turn.welcomed();
    drop(turn);
    let end = converse(link, frames, &session, &place, welcome, (orders, own)).await;
    tracing::info!(node = %session.node, boot = %boot, cause = end.as_str(), "session ended");
    let closed = SessionClosed { node: session.node, boot, session: number };
    if link.hub_closed.send(closed).await.is_err() { End::Ending } else { end }
}

/// Up to a hello whose proof holds; gives it with our own proof for the welcome.
async fn introduce(link: &Link, frames: &mut Frames) -> Result<(Hello, [u8; 32]), End> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| {
        tracing::error!(%error, "no random numbers for a handshake");
        End::Ending
    })?;
    let challenge = Challenge {
        magic: handshake::MAGIC.to_string(),
        min: handshake::PROTOCOL_MIN,
        max: handshake::PROTOCOL_MAX,
        nonce,
        open: link.token.is_none(),
    };
    send(frames, &challenge).await?;
    let bytes = match frames.next().await {
        Some(Ok(bytes)) => bytes,
        Some(Err(error)) => return Err(End::of(&error)),
        None => return Err(End::Closed),
    };
    let hello = match wire::decode::<Hello>(&bytes) {
        Ok(hello) => hello,
        Err(error) => {
            refuse(link, frames, "", Refused { code: RefusedCode::Malformed, detail: error.to_string() }).await;
            return Err(End::Malformed);
        }
    };
    if let Some(refused) = fault(link, &nonce, &hello) {
        return Err(refuse(link, frames, &agent_name(&hello), refused).await);
    }
    let proof = handshake::proof(link.token.as_ref(), Speaker::Coordinator, &hello.nonce, &nonce);
    Ok((hello, proof))
}

/// For the log; whoever says hello chose it.
fn agent_name(hello: &Hello) -> String {
    format!("{}/{}", hello.host, hello.name).chars().take(200).collect()
}

/// What is wrong with a hello before anything in it is believed.
fn fault(link: &Link, nonce: &[u8; 16], hello: &Hello) -> Option<Refused> {
    if hello.magic != handshake::MAGIC {
        return Some(Refused {
            code: RefusedCode::WrongMagic,
            detail: "this is the agent port of a coordinator".into(),
        });
    }
    if handshake::common_version(hello.min, hello.max).is_none() {
        let (min, max) = (handshake::PROTOCOL_MIN, handshake::PROTOCOL_MAX);
        let detail = format!("you speak protocol {} to {}, this coordinator {min} to {max}", hello.min, hello.max);
        return Some(Refused { code: RefusedCode::NoCommonVersion, detail });
    }
    let expected = handshake::proof(link.token.as_ref(), Speaker::Agent, nonce, &hello.nonce);
    if !handshake::proof_holds(&expected, &hello.proof) {
        let detail = "the proof does not fit this cluster's token; compare the token files of both".into();
        return Some(Refused { code: RefusedCode::BadProof, detail });
    }
    None
}

async fn refuse(link: &Link, frames: &mut Frames, who: &str, refused: Refused) -> End {
    metrics::counter!("stele_link_refused_total", "code" => format!("{:?}", refused.code)).increment(1);
    if link.refusals.is_news(who, refused.code) {
        tracing::warn!(agent = who, code = ?refused.code, detail = refused.detail, "agent refused");
    }
    // The end is the same whether the other side still hears it.
    send(frames, &handshake::Answer::Refused(refused)).await.ok();
    SinkExt::<Bytes>::close(frames).await.ok();
    End::Refused
}

async fn send<T: serde::Serialize>(frames: &mut Frames, message: &T) -> Result<(), End> {
    match timeout(WRITE_DEADLINE, frames.send(Bytes::from(wire::encode(message)))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::of(&error)),
        Err(_) => Err(End::Slow),
    }
}

/// The Catalog's answer; `None` when it has ended.
async fn ask(link: &Link, body: EventBody) -> Option<Answer> {
    let (answer, answered) = oneshot::channel();
    link.catalog.send(Happened { body, answer }).await.ok()?;
    answered.await.ok()
}

/// The welcome, then both directions at once, until one of them ends.
async fn converse(
    link: &Link,
    mut frames: Frames,
    session: &Session,
    place: &Place,
    welcome: Welcome,
    (orders, own): (mpsc::Receiver<ToAgent>, mpsc::WeakSender<ToAgent>),
) -> End {
    if let Err(end) = send(&mut frames, &handshake::Answer::Welcome(welcome)).await {
        return end;
    }
    frames.codec_mut().set_max_frame_length(handshake::FRAME_MAX);
    let (sink, stream) = frames.split();
    tokio::select! {
        end = write(sink, orders) => end,
        end = read(link, stream, session, place, own) => end,
    }
}

async fn write(mut sink: SplitSink<Frames, Bytes>, mut orders: mpsc::Receiver<ToAgent>) -> End {
    while let Some(order) = orders.recv().await {
        match timeout(WRITE_DEADLINE, sink.send(Bytes::from(wire::encode(&order)))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::of(&error),
            Err(_) => return End::Slow,
        }
    }
    End::Replaced
}

async fn read(
    link: &Link,
    mut stream: SplitStream<Frames>,
    session: &Session,
    place: &Place,
    own: mpsc::WeakSender<ToAgent>,
) -> End {
    let mut limits_told = None;
    loop {
        // No frame for so long ends a session.
        let silence = Duration::from_millis(link.snapshots.borrow().world.knobs.lost_ms);
        let bytes = match timeout(silence, stream.next()).await {
            Ok(Some(Ok(bytes))) => bytes,
            Ok(Some(Err(error))) => return End::of(&error),
            Ok(None) => return End::Closed,
            Err(_) => return End::Slow,
        };
        match wire::decode::<ToCoordinator>(&bytes) {
            Ok(ToCoordinator::Beat { node, boot }) if node == session.node && boot == session.boot => {
                metrics::counter!("stele_beats_total").increment(1);
                let Some(outbound) = own.upgrade() else { return End::Replaced };
                // When too much waits for it already, the next beat is a second away.
                let sequence = link.snapshots.borrow().world.sequence_to_tell();
                outbound.try_send(ToAgent::Heard { epoch: session.epoch, sequence }).ok();
                let limits = link.snapshots.borrow().world.knobs.copy_limits();
                if limits_told != Some(limits)
                    && outbound.try_send(ToAgent::Limits { epoch: session.epoch, limits }).is_ok()
                {
                    limits_told = Some(limits);
                }
                if link.roster.send(Beat { node, boot, kind: BeatKind::Beat }).await.is_err() {
                    return End::Ending;
                }
            }
            Ok(ToCoordinator::Report(report)) => {
                metrics::counter!("stele_reports_total", "kind" => report_kind(report.kind)).increment(1);
                metrics::counter!("stele_facts_total").increment(report.facts.len() as u64);
                let Some(_turn) = place.turn().await else { return End::Replaced };
                match ask(link, EventBody::Reported { node: session.node, report }).await {
                    None => return End::Ending,
                    // It was removed: when it dials again it is told so.
                    Some(Answer::Refused(_)) => return End::Refused,
                    Some(_) => {}
                }
            }
            Ok(ToCoordinator::Beat { .. }) | Err(_) => {
                tracing::warn!(node = %session.node, bytes = bytes.len(), "agent sent something that is no message of its session");
                return End::Malformed;
            }
        }
    }
}

fn report_kind(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::FullFirst | ReportKind::FullMore | ReportKind::FullLast | ReportKind::FullOnly => "full",
        ReportKind::Delta => "delta",
    }
}

#[cfg(test)]
mod tests;
