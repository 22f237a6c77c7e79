//! Messages as bytes: MessagePack with named fields, so that fields can be added. No logic lives here.
//!
//! Frames on the coordinator's agent port are length-delimited (big-endian u32, as tokio-util's
//! `LengthDelimitedCodec` writes by default), at most [`crate::handshake::FRAME_MAX`] bytes.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
#[error("not a valid message: {0}")]
pub struct Malformed(String);

/// A message as bytes.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(message).expect("messages hold no type that MessagePack lacks")
}

/// Bytes as a message; unknown fields are ignored, anything else that does not fit is an error.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    rmp_serde::from_slice(bytes).map_err(|error| Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;

    fn report() -> ToCoordinator {
        ToCoordinator::Report(Report {
            boot: BootId(7),
            seq: 1,
            kind: ReportKind::Delta,
            facts: vec![Fact::Replica(ReplicaFact {
                tablet: TabletId(1),
                replica: ReplicaId(2),
                disk: DiskId(3),
                version: Version(4),
                hash: Digest([5; 32]),
                pending: Version(4),
                bad: None,
                size: 6,
                files: 1,
                verified_age_ms: Some(9),
                oldest: Version(3),
            })],
        })
    }

    /// The bytes on the wire are a format between builds: changing them is a change of protocol.
    #[test]
    fn golden_bytes() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        insta_free(
            "beat",
            &hex(encode(&ToCoordinator::Beat { node: NodeId(1), boot: BootId(2) })),
            "81a46265617482a46e6f646501a4626f6f7402",
        );
        insta_free(
            "drop",
            &hex(encode(&Order { epoch: Epoch(3), body: OrderBody::AbortLoad { load: LoadId(4) } })),
            "82a565706f636803a4626f647981aa61626f72745f6c6f616481a46c6f616404",
        );
        assert_eq!(decode::<ToCoordinator>(&encode(&report())).unwrap(), report());
    }

    fn insta_free(what: &str, found: &str, pinned: &str) {
        assert_eq!(found, pinned, "the bytes of `{what}` changed");
    }

    /// Unknown fields of a newer build are ignored; nonsense is an error and never a panic.
    #[test]
    fn newer_builds_and_nonsense() {
        #[derive(Serialize)]
        struct NewerOrder {
            epoch: u64,
            body: OrderBody,
            urgency: u8,
        }
        let bytes = encode(&NewerOrder { epoch: 3, body: OrderBody::AbortLoad { load: LoadId(4) }, urgency: 1 });
        assert_eq!(decode::<Order>(&bytes).unwrap().epoch, Epoch(3));
        let good = encode(&report());
        for cut in 0..good.len() {
            assert!(decode::<ToCoordinator>(&good[..cut]).is_err());
        }
        assert!(decode::<ToCoordinator>(b"GET / HTTP/1.1\r\n").is_err());
    }
}
