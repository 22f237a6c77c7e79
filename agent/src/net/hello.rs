//! The agent's side of the handshake with the coordinator. In: frames, the token, who we are. Out: a `Welcome` that is
//! proven, or why not. Opens nothing, keeps nothing; generic over the stream so that tests need no network.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use stele_common::handshake::{
    Answer, Challenge, DiskHello, Hello, MAGIC, PROTOCOL_MAX, PROTOCOL_MIN, Refused, Speaker, Welcome, common_version,
    proof, proof_holds,
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
    let asked = me.disks.len();
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
