//! The line to the coordinator: dials, shakes hands, beats, carries reports up and orders down, and dials again. In:
//! reports from the Reporter. Out: orders to the Disk actors that they name, the lease, the coordinator's word on disks.
//!
//! ```text
//! dial ─▶ Challenge ─▶ Hello ─▶ Welcome ─▶ beats, reports ⇄ orders ─▶ (closed, silent, garbage) ─▶ back-off ─▶ dial
//!                         └──▶ Refused: said once per change, tried again after 2 s
//! ```
//!
//! Believes nothing before the coordinator has proven the token; reads no frame above the limits. Opens no disk
//! itself (`settle` does) and decides nothing about data.

use crate::actors::messages::Happened;
use crate::actors::ops;
use crate::actors::reporter::{FullWanted, LinkDown, LinkUp, Reporter, Settled};
use crate::net::hello::{self, HelloError, Identity};
use crate::settle::Settler;
use crate::store_mark;
use crate::telemetry;
use crate::wiring::Shared;
use actix::Addr;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use stele_agent_rules::event::EventBody;
use stele_common::handshake::{FRAME_MAX, HANDSHAKE_FRAME_MAX, StoreMark, Welcome};
use stele_common::{Order, OrderBody, ToAgent, ToCoordinator, wire};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// First and longest wait before dialling again. A coordinator that restarts is found within 2 s; a hundred agents
/// that wait for it dial 50 times a second in all.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// A refused agent asks again after so long: somebody may have freed its place.
const REFUSED_RETRY: Duration = Duration::from_secs(2);
/// Dialling, the handshake and each write may take so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Reports that may wait in the line; the Reporter compares again when there is room.
const LINE: usize = 4;
/// Nothing heard for so many leases: the connection is dead, whatever TCP thinks.
const DEAD_LEASES: u64 = 2;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot reach the coordinator at {at}: {detail}")]
    Unreachable { at: String, detail: String },
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error("the coordinator closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the coordinator sent what is no message: {0}")]
    Garbage(String),
    #[error("nothing heard for {0} ms")]
    Silent(u64),
    #[error("asking the coordinator again about disks that are out")]
    AskAgain,
}

/// Keeps the line up for ever.
pub async fn keep(shared: Arc<Shared>, reporter: Addr<Reporter>, mut settler: Settler) {
    let mut backoff = BACKOFF_MIN;
    let mut said = String::new();
    let mut session = 0u64;
    let mut asked_again = false;
    loop {
        session += 1;
        let mut welcomed = false;
        let ended = talk(&shared, &reporter, &mut settler, (session, asked_again), &mut welcomed).await;
        asked_again = matches!(ended, Ended::AskAgain);
        reporter.do_send(LinkDown { session });
        metrics::gauge!(telemetry::CONNECTED).set(0.0);
        shared.set_connected(false);
        let text = ended.to_string();
        // The same trouble is said once, not every two seconds.
        if welcomed || text != said {
            match &ended {
                Ended::AskAgain => tracing::debug!(reason = %text, "leaving the coordinator"),
                _ => tracing::warn!(reason = %text, "no session with the coordinator"),
            }
            said = text;
        }
        let pause = match &ended {
            Ended::AskAgain => Duration::ZERO,
            Ended::Hello(HelloError::Refused(refused)) => {
                metrics::counter!(telemetry::REFUSED, "code" => format!("{:?}", refused.code)).increment(1);
                REFUSED_RETRY
            }
            Ended::Unreachable { .. }
            | Ended::Hello(_)
            | Ended::Closed
            | Ended::Broken(_)
            | Ended::Garbage(_)
            | Ended::Silent(_) => {
                backoff = if welcomed { BACKOFF_MIN } else { (backoff * 2).min(BACKOFF_MAX) };
                backoff
            }
        };
        sleep(pause).await;
    }
}

/// One session, from dialling to its end.
async fn talk(
    shared: &Arc<Shared>,
    reporter: &Addr<Reporter>,
    settler: &mut Settler,
    (session, asked_again): (u64, bool),
    welcomed: &mut bool,
) -> Ended {
    // Before dialling: a disk that hangs must not keep the coordinator waiting.
    let disks = settler.look().await;
    let at = shared.config.coordinator.clone();
    let stream = match timeout(PATIENCE, TcpStream::connect(&at)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Ended::Unreachable { at, detail: error.to_string() },
        Err(_) => return Ended::Unreachable { at, detail: "no answer".to_string() },
    };
    // A beat is a few bytes that must not wait for more.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok();
    let (read, write) = stream.into_split();
    let codec = |max| LengthDelimitedCodec::builder().max_frame_length(max).new_codec();
    let mut read = FramedRead::new(read, codec(HANDSHAKE_FRAME_MAX));
    let mut write = FramedWrite::new(write, codec(FRAME_MAX));
    let me = Identity {
        host: shared.config.host.clone(),
        name: shared.config.name.clone(),
        rack: shared.config.rack.clone(),
        tag: shared.config.tag.clone(),
        boot: shared.boot,
        peer: shared.addresses.peer_seen_from(local),
        http: shared.addresses.http_seen_from(local),
        cluster: settler.cluster(),
        epoch_seen: settler.epoch_seen(),
        store_seen: settler.store_seen(),
        disks,
    };
    let welcome = match timeout(PATIENCE, hello::shake(&mut read, &mut write, shared.token.as_ref(), me)).await {
        Ok(Ok(welcome)) => welcome,
        Ok(Err(error)) => return error.into(),
        Err(_) => return HelloError::Closed("the coordinator did not finish the handshake".to_string()).into(),
    };
    *welcomed = true;
    read.decoder_mut().set_max_frame_length(FRAME_MAX);
    metrics::counter!(telemetry::CONNECTS).increment(1);
    metrics::gauge!(telemetry::CONNECTED).set(1.0);
    let Welcome { node, epoch, cluster, .. } = &welcome;
    if asked_again {
        tracing::debug!(%node, %epoch, %cluster, coordinator = %at, "welcomed by the coordinator again");
    } else {
        tracing::info!(%node, %epoch, %cluster, coordinator = %at, "welcomed by the coordinator");
    }
    shared.welcomed(&welcome);
    let (out, line) = mpsc::channel(LINE);
    reporter.do_send(LinkUp { session, out });
    let heard = AtomicU64::new(shared.clock.now().0);
    let up = carry_up(&mut write, line, &welcome, shared);
    let down = carry_down(&mut read, shared, reporter, session, &heard);
    let silence = watch_silence(&heard, &welcome, shared);
    let settle = async {
        settler.settle(&welcome).await;
        reporter.do_send(Settled { session });
        shared.set_connected(true);
        settler.wait_for_change().await;
        Ended::AskAgain
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
        ended = silence => ended,
        ended = settle => ended,
    }
}

/// Beats and reports, one writer for both, so that a long report delays a beat by one frame at most.
async fn carry_up<W>(
    write: &mut FramedWrite<W, LengthDelimitedCodec>,
    mut line: mpsc::Receiver<ToCoordinator>,
    welcome: &Welcome,
    shared: &Shared,
) -> Ended
where
    W: tokio::io::AsyncWrite + Unpin,
{
    let mut beat = interval(Duration::from_millis(welcome.beat_ms.max(10)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            biased;
            _ = beat.tick() => {
                metrics::counter!(telemetry::BEATS).increment(1);
                ToCoordinator::Beat { node: welcome.node, boot: shared.boot }
            }
            report = line.recv() => match report {
                Some(report) => report,
                None => return Ended::Closed,
            },
        };
        match timeout(PATIENCE, write.send(Bytes::from(wire::encode(&message)))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Ended::Broken(error.to_string()),
            Err(_) => return Ended::Broken(format!("a write took more than {} s", PATIENCE.as_secs())),
        }
    }
}

/// Orders and the lease.
async fn carry_down<R>(
    read: &mut FramedRead<R, LengthDelimitedCodec>,
    shared: &Shared,
    reporter: &Addr<Reporter>,
    session: u64,
    heard: &AtomicU64,
) -> Ended
where
    R: tokio::io::AsyncRead + Unpin,
{
    loop {
        let frame = match read.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                metrics::counter!(telemetry::BAD_FRAMES).increment(1);
                return Ended::Garbage(error.to_string());
            }
            Some(Err(error)) => return Ended::Broken(error.to_string()),
            None => return Ended::Closed,
        };
        heard.store(shared.clock.now().0, Relaxed);
        match wire::decode::<ToAgent>(&frame) {
            Ok(ToAgent::Heard { epoch, sequence }) => {
                shared.lease.renew();
                store_mark::told(shared, StoreMark { epoch, sequence });
            }
            Ok(ToAgent::SendFullReport { .. }) => reporter.do_send(FullWanted { session }),
            Ok(ToAgent::Order(order)) => hand_out(order, shared).await,
            Ok(ToAgent::Limits { epoch, limits }) => {
                tracing::info!(%epoch, ?limits, "limits of copies");
                shared.pacer.set(limits);
            }
            Err(error) => {
                metrics::counter!(telemetry::BAD_FRAMES).increment(1);
                return Ended::Garbage(error.to_string());
            }
        }
    }
}

/// Gives an order to the disk that it names. Waiting for room in the disk's mailbox stops reading from the
/// coordinator: that is the back-pressure of orders.
async fn hand_out(order: Order, shared: &Shared) {
    let kind = ops::order_name(&order.body);
    metrics::counter!(telemetry::ORDERS, "kind" => kind).increment(1);
    tracing::debug!(kind, epoch = %order.epoch, order = ?order.body, "order");
    let disks = match &order.body {
        OrderBody::Create { disk, .. } => shared.shelf.disk(*disk).into_iter().collect(),
        OrderBody::Clone(clone) => shared.shelf.disk(clone.disk).into_iter().collect(),
        // Whose load or task it is, only the disks know.
        OrderBody::CancelTask { .. } | OrderBody::AbortLoad { .. } => shared.shelf.disks(),
        // Trash and staged loads belong to no replica of the shelf: when it is unknown there, all disks are asked.
        OrderBody::Drop { .. }
        | OrderBody::Purge { .. }
        | OrderBody::CommitLoad { .. }
        | OrderBody::DiscardLoad { .. }
        | OrderBody::Confirm { .. }
        | OrderBody::Verify { .. }
        | OrderBody::Collect { .. } => {
            let found = ops::replica_of_order(&order.body).and_then(|replica| shared.shelf.find(replica));
            found.map_or_else(|| shared.shelf.disks(), |(_, disk)| vec![disk])
        }
    };
    if disks.is_empty() {
        metrics::counter!(telemetry::ORDERS_REFUSED, "reason" => "NoSuchDisk").increment(1);
        tracing::warn!(kind, order = ?order.body, "order for a disk that is not open here");
    }
    for disk in disks {
        let event = Happened(EventBody::Order(order.clone()));
        if disk.hand(event).await.is_err() {
            tracing::error!(disk = %disk.disk, "the disk's actor is gone");
        }
    }
}

/// Ends when nothing was heard for so long that the connection must be dead.
async fn watch_silence(heard: &AtomicU64, welcome: &Welcome, shared: &Shared) -> Ended {
    let limit_ms = welcome.lease_ms.saturating_mul(DEAD_LEASES).max(1_000);
    loop {
        let silent_ms = shared.clock.now().0.saturating_sub(heard.load(Relaxed));
        if silent_ms >= limit_ms {
            return Ended::Silent(silent_ms);
        }
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(limit_ms - silent_ms)).await;
    }
}
