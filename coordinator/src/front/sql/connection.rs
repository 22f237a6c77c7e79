//! One connection's bytes: packets in under a deadline, packets out under another. Knows nothing of what they mean.
//!
//! An idle connection holds a small buffer only: what a long statement made it grow is given back.

use super::codec::{Outgoing, Packet, PacketCodec, Unreadable};
use super::wire;
use crate::front::statements::fault::Fault;
use bytes::BytesMut;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::FramedRead;

/// What an idle connection holds for reading.
const READ_BUFFER: usize = 1 << 10;
/// Beyond this, a buffer is given back after use.
const KEEP: usize = 16 << 10;
/// Rows are sent in pieces of about this size.
const PIECE: usize = 64 << 10;
/// A client that takes nothing for this long is cut off.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// Why a connection ended; a label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client said so, closed, or the network did.
    Closed,
    /// Idle for longer than it may be.
    Idle,
    /// Slow in logging in, or in taking what it asked for.
    Slow,
    Oversize,
    Malformed,
    /// It may not come in.
    Denied,
    /// There are too many.
    TooMany,
}

impl End {
    pub fn as_str(self) -> &'static str {
        match self {
            End::Closed => "closed",
            End::Idle => "idle",
            End::Slow => "slow",
            End::Oversize => "oversize",
            End::Malformed => "malformed",
            End::Denied => "denied",
            End::TooMany => "too_many",
        }
    }
}

pub struct Connection<S> {
    packets: FramedRead<S, PacketCodec>,
    out: Outgoing,
    /// Each packet of the client begins a conversation of its own.
    is_in: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(stream: S) -> Connection<S> {
        let packets = FramedRead::with_capacity(stream, PacketCodec::new(), READ_BUFFER);
        Connection { packets, out: Outgoing::default(), is_in: false }
    }

    /// The stream, with what was read of it already.
    pub fn into_parts(mut self) -> (S, BytesMut) {
        let left = self.packets.read_buffer_mut().split();
        (self.packets.into_inner(), left)
    }

    /// The next packet is the client's `seq`th; ours go on from there.
    pub fn go_on_from(&mut self, seq: u8) {
        self.out.seq = seq;
    }

    pub fn logged_in(&mut self) {
        self.is_in = true;
        self.packets.decoder_mut().logged_in();
    }

    /// The next payload. Garbage is answered before the connection ends.
    pub async fn read(&mut self, patience: Duration) -> Result<Packet, End> {
        let expected = if self.is_in { 0 } else { self.out.seq };
        self.packets.decoder_mut().begin_with(expected);
        let packet = match timeout(patience, self.packets.next()).await {
            Err(_) => return Err(End::Idle),
            Ok(None) => return Err(End::Closed),
            Ok(Some(packet)) => packet,
        };
        match packet {
            Ok(packet) => {
                self.out.seq = packet.seq.wrapping_add(1);
                Ok(packet)
            }
            Err(Unreadable::Broken(_)) => Err(End::Closed),
            Err(Unreadable::Oversize(bytes)) => Err(self.farewell(&Fault::oversize(bytes), End::Oversize).await),
            Err(Unreadable::OutOfOrder) => Err(self.farewell(&Fault::out_of_order(), End::Malformed).await),
        }
    }

    /// Says why, as far as the client still listens.
    pub async fn farewell(&mut self, fault: &Fault, end: End) -> End {
        self.put(|out| wire::put_error(out, fault));
        self.flush().await.ok();
        end
    }

    /// Adds a packet to what will be sent.
    pub fn put(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.out.packet(write);
    }

    /// Sends what has gathered, if it is a piece.
    pub async fn flush_pieces(&mut self) -> Result<(), End> {
        if self.out.bytes.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    pub async fn flush(&mut self) -> Result<(), End> {
        let stream = self.packets.get_mut();
        for piece in self.out.bytes.chunks(PIECE) {
            match timeout(WRITE_DEADLINE, stream.write_all(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(End::Closed),
                Err(_) => return Err(End::Slow),
            }
        }
        match timeout(WRITE_DEADLINE, stream.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(End::Closed),
            Err(_) => return Err(End::Slow),
        }
        self.out.bytes.clear();
        Ok(())
    }

    /// Gives back what a long statement or answer has made it hold.
    pub fn rest(&mut self) {
        if self.out.bytes.capacity() > 0 {
            self.out.bytes = BytesMut::new();
        }
        let buffer = self.packets.read_buffer_mut();
        if buffer.is_empty() && buffer.capacity() > KEEP {
            *buffer = BytesMut::with_capacity(READ_BUFFER);
        }
    }

    pub async fn close(mut self) {
        timeout(Duration::from_secs(1), self.packets.get_mut().shutdown()).await.ok();
    }
}
