//! Callers that are no peers: each is told or cut off, counted, and nothing changes.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use stele_agent::disk::{PeerFailure, PeerSource, Terms};
use stele_agent::net::peer_line::{Credentials, introduce};
use stele_common::peer::{PEER_FRAME_MAX, PeerErrorCode, PeerReply, PeerRequest, read_frame, write_frame};

fn dial(agent: &Agent) -> TcpStream {
    let stream = TcpStream::connect(agent.server.address()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

/// Reads until the port closes the connection.
fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is a close too.
    stream.read_to_end(&mut said).ok();
    said
}

/// Garbage and a frame over the limit before the handshake: closed and counted.
#[test]
fn garbage_is_cut_off() {
    let agent = Agent::with_replica(1);
    for garbage in
        [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 64], &[0, 0, 0, 5, 1, 2, 3, 4, 5], &[0, 2, 0, 0, 1]]
    {
        let mut stream = dial(&agent);
        stream.write_all(garbage).unwrap();
        until_closed(stream);
        agent.wait_for(PeerCounter::Malformed);
    }
    assert_eq!(agent.count(PeerCounter::Malformed), 4);
}

/// A caller without the token, or of another cluster, is refused with a clear word.
#[test]
fn strangers_are_refused() {
    let agent = Agent::with_replica(1);
    let cancelled = AtomicBool::new(false);
    let patience = Terms { purpose: stele_common::TaskType::Repair, stall_ms: 2_000, cancelled: &cancelled };
    // It does not believe us either: the callee's proof comes first.
    assert!(peers([8; 32]).connect(&agent.source(), TABLET, patience).is_err());
    let other = TcpPeers { cluster: ClusterId("other".into()), ..peers(TOKEN) };
    let Err(PeerFailure::Refused(error)) = other.connect(&agent.source(), TABLET, patience).map(|_| ()) else {
        panic!()
    };
    assert_eq!(error.code, PeerErrorCode::OtherCluster);
    agent.wait_for(PeerCounter::Refused);

    let mut liar = dial(&agent);
    write_frame(&mut liar, &PeerRequest::Hello { cluster: cluster(), nonce: [1; 16] }).unwrap();
    let welcome: PeerReply = read_frame(&mut liar, PEER_FRAME_MAX).unwrap();
    let PeerReply::Welcome { proof, .. } = welcome else { panic!("{welcome:?}") };
    // Its own proof sent back to it proves nothing.
    write_frame(&mut liar, &PeerRequest::Proof { proof }).unwrap();
    let PeerReply::Error(error) = read_frame(&mut liar, PEER_FRAME_MAX).unwrap() else { panic!() };
    assert_eq!(error.code, PeerErrorCode::BadProof);
    agent.wait_for(PeerCounter::Refused);
    assert!(agent.told.try_recv().is_err(), "nobody was told anything");
}

/// After the handshake too: an oversize frame, nonsense and words out of order end the connection.
#[test]
fn a_known_peer_that_talks_nonsense() {
    let agent = Agent::with_replica(1);
    let me = Credentials { cluster: cluster(), token: Some(TOKEN) };
    let mut frame = Vec::new();
    write_frame(&mut frame, &PeerRequest::StreamEnd).unwrap();
    for nonsense in [&[0xff, 0, 0, 0][..], &[0, 0, 0, 2, 1, 2], &frame] {
        let mut stream = dial(&agent);
        introduce(&mut stream, &me).unwrap();
        stream.write_all(nonsense).unwrap();
        until_closed(stream);
        agent.wait_for(PeerCounter::Malformed);
    }
}

/// A caller that sends a byte now and then is cut off by the handshake's deadline, however lively it is.
#[test]
fn a_slow_writer_is_cut_off() {
    let limits = AgentLimits { peer_idle_ms: 300, ..AgentLimits::default() };
    let agent = Agent::with_limits(1, &limits);
    let mut stream = dial(&agent);
    let mut writer = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        // One byte, then the next as soon as the port has had time to wait for it.
        for byte in [0u8, 0, 0, 60].into_iter().chain([1; 60]) {
            if writer.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    });
    let mut said = Vec::new();
    stream.read_to_end(&mut said).ok();
    agent.wait_for(PeerCounter::Slow);
}

/// More connections than allowed: the next is told that the port is busy, and is let in when one has gone.
#[test]
fn too_many_are_turned_away() {
    let agent = Agent::with_limits(1, &AgentLimits { peers_max: 1, ..AgentLimits::default() });
    let me = Credentials { cluster: cluster(), token: Some(TOKEN) };
    let mut first = dial(&agent);
    introduce(&mut first, &me).unwrap();
    let mut second = dial(&agent);
    let PeerReply::Error(error) = read_frame(&mut second, PEER_FRAME_MAX).unwrap() else { panic!() };
    assert_eq!(error.code, PeerErrorCode::Busy);
    agent.wait_for(PeerCounter::Busy);
    drop(first);
    let let_in = (0..500).any(|_| introduce(&mut dial(&agent), &me).is_ok());
    assert!(let_in);
}
