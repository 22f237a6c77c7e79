//! Packets of the MySQL protocol: three bytes of length, one of sequence, the payload.
//!
//! In: bytes off a socket. Out: whole payloads, put together where one was split; and the bytes of packets to be sent.
//! A payload is refused by its announced length, before it is read: small ones only until somebody has logged in.

use bytes::{BufMut, BytesMut};
use tokio_util::codec::Decoder;

/// Largest payload before login; the longest sound one is a name, a password's scramble and a list of attributes.
pub const BEFORE_LOGIN_MAX: usize = 64 << 10;
/// Largest payload after it: what MySQL allows unless it is told otherwise.
pub const AFTER_LOGIN_MAX: usize = 16 << 20;
/// A payload of this length goes on in the next packet.
const SPLIT_AT: usize = 0xff_ffff;
const HEADER: usize = 4;

/// One payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Number of its (last) packet.
    pub seq: u8,
    pub payload: BytesMut,
}

/// Why a stream of packets cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("a packet of {0} bytes is more than may be sent here")]
    Oversize(usize),
    #[error("the parts of a packet are out of order")]
    OutOfOrder,
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
}

/// Reads packets.
#[derive(Debug)]
pub struct PacketCodec {
    limit: usize,
    /// What has come of a payload in parts.
    gathered: Option<BytesMut>,
    /// The number that the next packet has.
    next: u8,
}

impl PacketCodec {
    pub fn new() -> PacketCodec {
        PacketCodec { limit: BEFORE_LOGIN_MAX, gathered: None, next: 0 }
    }

    /// The next payload begins with this number.
    pub fn begin_with(&mut self, seq: u8) {
        self.next = seq;
    }

    /// Larger payloads may come from now on.
    pub fn logged_in(&mut self) {
        self.limit = AFTER_LOGIN_MAX;
    }
}

impl Decoder for PacketCodec {
    type Item = Packet;
    type Error = Unreadable;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Packet>, Unreadable> {
        loop {
            let Some(&[a, b, c, seq]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let so_far = self.gathered.as_ref().map_or(0, BytesMut::len);
            if so_far + length > self.limit {
                return Err(Unreadable::Oversize(so_far + length));
            }
            if seq != self.next {
                return Err(Unreadable::OutOfOrder);
            }
            if bytes.len() < HEADER + length {
                return Ok(None);
            }
            let part = bytes.split_to(HEADER + length).split_off(HEADER);
            let payload = match self.gathered.take() {
                Some(mut gathered) => {
                    gathered.unsplit(part);
                    gathered
                }
                None => part,
            };
            self.next = seq.wrapping_add(1);
            if length < SPLIT_AT {
                return Ok(Some(Packet { seq, payload }));
            }
            self.gathered = Some(payload);
        }
    }
}

/// Gathers packets to be sent.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub bytes: BytesMut,
    /// Number of the next packet.
    pub seq: u8,
}

impl Outgoing {
    /// Adds a packet with what `write` writes.
    pub fn packet(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let begin = self.bytes.len();
        self.bytes.put_slice(&[0; HEADER]);
        write(&mut self.bytes);
        let length = self.bytes.len() - begin - HEADER;
        if length < SPLIT_AT {
            self.header(begin, length);
            return;
        }
        let payload = self.bytes.split_off(begin).split_off(HEADER);
        for part in payload.chunks(SPLIT_AT) {
            self.part(part);
        }
        if length.is_multiple_of(SPLIT_AT) {
            self.part(&[]);
        }
    }

    fn part(&mut self, part: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.put_slice(&[0; HEADER]);
        self.bytes.put_slice(part);
        self.header(begin, part.len());
    }

    fn header(&mut self, begin: usize, length: usize) {
        let [a, b, c, ..] = (length as u32).to_le_bytes();
        self.bytes[begin..begin + HEADER].copy_from_slice(&[a, b, c, self.seq]);
        self.seq = self.seq.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn read_all(codec: &mut PacketCodec, bytes: &[u8], step: usize) -> Result<Vec<Packet>, Unreadable> {
        let (mut buffer, mut packets) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(step.max(1)) {
            buffer.extend_from_slice(piece);
            while let Some(packet) = codec.decode(&mut buffer)? {
                packets.push(packet);
            }
        }
        Ok(packets)
    }

    proptest! {
        #![proptest_config(Config { rng_seed: RngSeed::Fixed(1), cases: 200, ..Config::default() })]

        /// What is sent is read again, however it is cut.
        #[test]
        fn there_and_back(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8), step in 1usize..90) {
            let mut out = Outgoing::default();
            payloads.iter().for_each(|payload| out.packet(|bytes| bytes.put_slice(payload)));
            let packets = read_all(&mut PacketCodec::new(), &out.bytes, step).unwrap();
            prop_assert_eq!(packets.len(), payloads.len());
            for (number, (packet, payload)) in packets.iter().zip(&payloads).enumerate() {
                prop_assert_eq!(packet.seq as usize, number);
                prop_assert_eq!(&packet.payload[..], &payload[..]);
            }
        }

        /// No bytes make it panic, and none make it hold more than a stranger may send.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1usize..90) {
            let mut codec = PacketCodec::new();
            let _ = read_all(&mut codec, &bytes, step);
            prop_assert!(codec.gathered.is_none_or(|gathered| gathered.len() <= BEFORE_LOGIN_MAX));
        }
    }

    /// A packet is refused by its header, and what is too much for a stranger is not for a user.
    #[test]
    fn limits() {
        let header = [0x01, 0x00, 0x01, 0];
        let refused = PacketCodec::new().decode(&mut BytesMut::from(&header[..]));
        assert!(matches!(refused, Err(Unreadable::Oversize(0x10001))), "{refused:?}");
        let mut codec = PacketCodec::new();
        codec.logged_in();
        assert!(matches!(codec.decode(&mut BytesMut::from(&header[..])), Ok(None)));
    }

    /// A payload at the seam goes in two packets, and comes back as one.
    #[test]
    fn split_payloads() {
        for length in [SPLIT_AT - 1, SPLIT_AT, SPLIT_AT + 1] {
            let mut out = Outgoing::default();
            out.packet(|bytes| bytes.put_bytes(7, length));
            let mut codec = PacketCodec::new();
            codec.logged_in();
            let packets = read_all(&mut codec, &out.bytes, 1 << 20).unwrap();
            assert_eq!((packets.len(), packets[0].payload.len()), (1, length));
            assert_eq!(out.seq, if length < SPLIT_AT { 1 } else { 2 });
        }
    }

    /// Parts that are out of order end the stream.
    #[test]
    fn parts_out_of_order() {
        let mut bytes = BytesMut::from(&[0xff, 0xff, 0xff, 0][..]);
        bytes.put_bytes(0, SPLIT_AT);
        bytes.put_slice(&[0, 0, 0, 5]);
        let mut codec = PacketCodec::new();
        codec.logged_in();
        assert!(matches!(codec.decode(&mut bytes), Err(Unreadable::OutOfOrder)));
    }
}
