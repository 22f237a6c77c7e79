//! The agent's side of the handshake with the coordinator. In: frames, the token, who we are. Out: a `Welcome` that is
//! proven, or why not. Opens nothing, keeps nothing; generic over the stream so that tests need no network.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use stele_common::handshake::{
    Answer, Challenge, DiskHello, Hello, MAGIC, PROTOCOL_MAX, PROTOCOL_MIN, Refused, Speaker, StoreMark, Welcome,
    common_version, proof, proof_holds,
};
use stele_common::{BootId, ClusterId, Epoch, wire};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// Who this agent is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub host: String,
    pub name: String,
    pub rack: String,
    pub tag: String,
    pub boot: BootId,
    pub peer: String,
    pub http: String,
    pub cluster: Option<ClusterId>,
    pub epoch_seen: Epoch,
    pub store_seen: StoreMark,
    pub disks: Vec<DiskHello>,
}

/// Why there is no welcome.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("what answers there is no Stele coordinator: {0}")]
    Stranger(String),
    #[error("the coordinator speaks protocol {min} to {max}, this agent {PROTOCOL_MIN} to {PROTOCOL_MAX}")]
    NoCommonVersion { min: u16, max: u16 },
    #[error("the coordinator wants a cluster token and this agent has none; set `token_file`")]
    NoToken,
    #[error("the coordinator could not prove that it knows the cluster's token")]
    BadProof,
    #[error("the coordinator at that address leads cluster {theirs}, this agent belongs to {ours}")]
    OtherCluster { ours: ClusterId, theirs: ClusterId },
    #[error("the coordinator answered about {found} disks, asked were {asked}")]
    Disks { asked: usize, found: usize },
    #[error("{0}")]
    Closed(String),
    #[error("no random numbers from the system: {0}")]
    Random(String),
}

/// Shakes hands over an open connection.
pub async fn shake<R, W>(
    read: &mut FramedRead<R, LengthDelimitedCodec>,
    write: &mut FramedWrite<W, LengthDelimitedCodec>,
    token: Option<&[u8; 32]>,
    me: Identity,
) -> Result<Welcome, HelloError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let challenge: Challenge = receive(read).await?;
    if challenge.magic != MAGIC {
        return Err(HelloError::Stranger(format!("it calls itself `{}`", challenge.magic.escape_debug())));
    }
    if common_version(challenge.min, challenge.max).is_none() {
        return Err(HelloError::NoCommonVersion { min: challenge.min, max: challenge.max });
    }
    if !challenge.open && token.is_none() {
        return Err(HelloError::NoToken);
    }
    let mut nonce = [0u8; 16];
    getrandom::fill(&mut nonce).map_err(|error| HelloError::Random(error.to_string()))?;
    let (asked, ours) = (me.disks.len(), me.cluster.clone());
    let hello = Hello {
        magic: MAGIC.to_string(),
        min: PROTOCOL_MIN,
        max: PROTOCOL_MAX,
        cluster: me.cluster,
        host: me.host,
        name: me.name,
        rack: me.rack,
        tag: me.tag,
        boot: me.boot,
        epoch_seen: me.epoch_seen,
        store_seen: me.store_seen,
        peer: me.peer,
        http: me.http,
        disks: me.disks,
        build: env!("CARGO_PKG_VERSION").to_string(),
        nonce,
        proof: proof(token, Speaker::Agent, &challenge.nonce, &nonce),
    };
    let sent = write.send(Bytes::from(wire::encode(&hello))).await;
    sent.map_err(|error| HelloError::Closed(format!("the connection broke in the handshake: {error}")))?;
    let welcome = match receive(read).await? {
        Answer::Welcome(welcome) => welcome,
        Answer::Refused(refused) => return Err(refused.into()),
    };
    let expected = proof(token, Speaker::Coordinator, &nonce, &challenge.nonce);
    if token.is_some() && !proof_holds(&expected, &welcome.proof) {
        return Err(HelloError::BadProof);
    }
    if common_version(welcome.version, welcome.version).is_none() {
        return Err(HelloError::NoCommonVersion { min: welcome.version, max: welcome.version });
    }
    if let Some(ours) = ours.filter(|ours| *ours != welcome.cluster) {
        return Err(HelloError::OtherCluster { ours, theirs: welcome.cluster });
    }
    if welcome.disks.len() != asked {
        return Err(HelloError::Disks { asked, found: welcome.disks.len() });
    }
    Ok(welcome)
}

async fn receive<R, T>(read: &mut FramedRead<R, LengthDelimitedCodec>) -> Result<T, HelloError>
where
    R: AsyncRead + Unpin,
    T: serde::de::DeserializeOwned,
{
    match read.next().await {
        Some(Ok(frame)) => wire::decode(&frame).map_err(|error| HelloError::Stranger(error.to_string())),
        Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(HelloError::Stranger(error.to_string()))
        }
        Some(Err(error)) => Err(HelloError::Closed(format!("the connection broke in the handshake: {error}"))),
        None => Err(HelloError::Closed("the coordinator closed the connection in the handshake".to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_common::handshake::{DiskFound, DiskWord, FRAME_MAX, HANDSHAKE_FRAME_MAX, RefusedCode};
    use stele_common::{DiskId, Medium, NodeId};
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex, split};

    const TOKEN: [u8; 32] = [7; 32];

    fn me() -> Identity {
        let disk = |path: &str| DiskHello { path: path.to_string(), medium: Medium::Ssd, found: DiskFound::Blank };
        Identity {
            host: "h".into(),
            name: "n".into(),
            rack: String::new(),
            tag: "default".into(),
            boot: BootId(3),
            peer: "127.0.0.1:1".into(),
            http: "127.0.0.1:2".into(),
            cluster: Some(ClusterId("c".into())),
            epoch_seen: Epoch(4),
            store_seen: StoreMark { epoch: Epoch(4), sequence: 17 },
            disks: vec![disk("/a"), disk("/b")],
        }
    }

    fn challenge(open: bool) -> Challenge {
        Challenge { magic: MAGIC.into(), min: PROTOCOL_MIN, max: PROTOCOL_MAX, nonce: [9; 16], open }
    }

    fn welcome(hello: &Hello, token: Option<&[u8; 32]>) -> Welcome {
        Welcome {
            version: PROTOCOL_MAX,
            cluster: ClusterId("c".into()),
            node: NodeId(10_001),
            epoch: Epoch(5),
            proof: proof(token, Speaker::Coordinator, &hello.nonce, &[9; 16]),
            disks: vec![DiskWord::Format { disk: DiskId(1) }, DiskWord::Refuse { cause: "no".into() }],
            beat_ms: 1_000,
            lease_ms: 6_000,
        }
    }

    /// Runs the agent's side against `coordinator`, which gets the other end of the line.
    async fn against<F>(
        token: Option<[u8; 32]>,
        coordinator: impl FnOnce(DuplexStream) -> F,
    ) -> Result<Welcome, HelloError>
    where
        F: Future<Output = ()>,
    {
        let (ours, theirs) = duplex(256 * 1024);
        let (read, write) = split(ours);
        let codec = |max| LengthDelimitedCodec::builder().max_frame_length(max).new_codec();
        let mut read = FramedRead::new(read, codec(HANDSHAKE_FRAME_MAX));
        let mut write = FramedWrite::new(write, codec(FRAME_MAX));
        // Its end of the line goes with its verdict: the coordinator sees that it hung up.
        let agent = async move { shake(&mut read, &mut write, token.as_ref(), me()).await };
        let (result, ()) = tokio::join!(agent, coordinator(theirs));
        result
    }

    /// A coordinator that says `challenge`, hears the hello, and answers what `answer` makes of it.
    async fn play(line: DuplexStream, challenge: Challenge, answer: impl FnOnce(Hello) -> Answer) {
        let mut line = tokio_util::codec::Framed::new(line, LengthDelimitedCodec::new());
        line.send(Bytes::from(wire::encode(&challenge))).await.unwrap();
        let Some(Ok(frame)) = line.next().await else { return };
        let hello: Hello = wire::decode(&frame).unwrap();
        line.send(Bytes::from(wire::encode(&answer(hello)))).await.unwrap();
    }

    /// Both sides prove the token; the agent says who it is; the coordinator's word on each disk comes back.
    #[actix_rt::test]
    async fn a_good_handshake() {
        let result = against(Some(TOKEN), |line| {
            play(line, challenge(false), |hello| {
                let expected = proof(Some(&TOKEN), Speaker::Agent, &[9; 16], &hello.nonce);
                assert!(proof_holds(&expected, &hello.proof));
                assert_eq!((hello.name.as_str(), hello.epoch_seen, hello.disks.len()), ("n", Epoch(4), 2));
                Answer::Welcome(welcome(&hello, Some(&TOKEN)))
            })
        });
        assert_eq!(result.await.unwrap().node, NodeId(10_001));
    }

    /// A refusal keeps its code and text.
    #[actix_rt::test]
    async fn a_refusal() {
        let refused = Refused { code: RefusedCode::DuplicateNode, detail: "`n` is connected already".into() };
        let answer = refused.clone();
        let result = against(None, |line| play(line, challenge(true), |_| Answer::Refused(answer))).await;
        assert!(matches!(result, Err(HelloError::Refused(found)) if found == refused));
    }

    /// An impostor, a stranger, another protocol and a missing token are each told apart.
    #[actix_rt::test]
    async fn who_is_not_believed() {
        let forged = |hello: Hello| Answer::Welcome(welcome(&hello, Some(&[1; 32])));
        let result = against(Some(TOKEN), |line| play(line, challenge(false), forged)).await;
        assert!(matches!(result, Err(HelloError::BadProof)), "{result:?}");

        // A proof that is merely our own, sent back.
        let reflected = |hello: Hello| Answer::Welcome(Welcome { proof: hello.proof, ..welcome(&hello, None) });
        let result = against(Some(TOKEN), |line| play(line, challenge(false), reflected)).await;
        assert!(matches!(result, Err(HelloError::BadProof)), "{result:?}");

        let other = Challenge { magic: "other".into(), ..challenge(true) };
        let result = against(None, |line| play(line, other, |_| unreachable!("it hung up"))).await;
        assert!(matches!(result, Err(HelloError::Stranger(_))), "{result:?}");

        let newer = Challenge { min: PROTOCOL_MAX + 1, max: PROTOCOL_MAX + 9, ..challenge(true) };
        let result = against(None, |line| play(line, newer, |_| unreachable!("it hung up"))).await;
        assert!(matches!(result, Err(HelloError::NoCommonVersion { .. })), "{result:?}");

        let result = against(None, |line| play(line, challenge(false), |_| unreachable!("it hung up"))).await;
        assert!(matches!(result, Err(HelloError::NoToken)), "{result:?}");

        let short = |hello: Hello| Answer::Welcome(Welcome { disks: vec![], ..welcome(&hello, None) });
        let result = against(None, |line| play(line, challenge(true), short)).await;
        assert!(matches!(result, Err(HelloError::Disks { asked: 2, found: 0 })), "{result:?}");

        let other = |hello: Hello| Answer::Welcome(Welcome { cluster: ClusterId("x".into()), ..welcome(&hello, None) });
        let result = against(None, |line| play(line, challenge(true), other)).await;
        assert!(matches!(result, Err(HelloError::OtherCluster { .. })), "{result:?}");
    }

    /// Garbage, an oversize frame and a line that is cut are errors at once, and none of them is believed.
    #[actix_rt::test]
    async fn nonsense_on_the_line() {
        for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0, 0, 0, 3, 0xc1, 0xc1, 0xc1], &[0xff; 64]] {
            let result = against(None, |mut line| async move { line.write_all(bytes).await.unwrap() }).await;
            assert!(matches!(result, Err(HelloError::Stranger(_))), "{result:?}");
        }
        let result = against(None, |line| async move { drop(line) }).await;
        assert!(matches!(result, Err(HelloError::Closed(_))), "{result:?}");
    }
}
