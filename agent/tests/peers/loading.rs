//! Loads forwarded from a primary to a member.

use super::*;
use stele_agent::disk::PeerFailure;
use stele_agent::net::peer_client::LoadForward;
use stele_common::peer::PeerErrorCode;

fn forward(member: &Agent, begin: &LoadBegin) -> Result<LoadForward, PeerFailure> {
    LoadForward::connect(&peers(TOKEN), &member.server.address().to_string(), begin)
}

/// A forwarded load is durable and its owner has been told before the primary hears of it.
#[test]
fn a_forwarded_load_is_prepared() {
    let member = Agent::with_replica(1);
    let load = files(&[("a", b"one"), ("empty", b""), ("dir/big", &[7; 300_000])]);
    let begin = member.begin(1, &load);
    let mut stream = forward(&member, &begin).unwrap();
    for ((_, content), header) in load.iter().zip(headers(&begin)) {
        stream.file(&header).unwrap();
        for piece in content.chunks(70_000) {
            stream.bytes(piece).unwrap();
        }
    }
    let (hash, bytes) = stream.finish().unwrap();
    assert_eq!(bytes, 300_003);
    let EventBody::LoadStaged { load, tablet, staged } = member.told.try_recv().unwrap() else { panic!() };
    assert_eq!((load, tablet, staged.hash, staged.bytes), (LoadId(1), TABLET, hash, bytes));
    assert!(member.dir.path().join("staging/load-1/7/prepared").exists());
}

/// A stream that breaks off leaves nothing at the member.
#[test]
fn a_broken_stream_leaves_nothing() {
    let member = Agent::with_replica(1);
    let load = files(&[("a", &[1; 200_000]), ("b", b"two")]);
    let begin = member.begin(1, &load);
    let mut stream = forward(&member, &begin).unwrap();
    stream.file(&headers(&begin)[0]).unwrap();
    stream.bytes(&load[0].1[..100_000]).unwrap();
    drop(stream);
    // The next stream for the same load is let in once the first has been cleared away.
    let second = (0..200).find_map(|_| match forward(&member, &begin) {
        Ok(stream) => Some(stream),
        Err(PeerFailure::Refused(error)) if error.code == PeerErrorCode::Busy => {
            std::thread::yield_now();
            None
        }
        Err(error) => panic!("{error}"),
    });
    let mut second = second.expect("the first stream ends");
    for ((_, content), header) in load.iter().zip(headers(&begin)) {
        second.file(&header).unwrap();
        second.bytes(content).unwrap();
    }
    assert_eq!(second.finish().unwrap().1, 200_003);
}

/// Bytes that fail their digest are refused with a reason, and nothing stays.
#[test]
fn wrong_bytes_are_refused_with_a_reason() {
    let member = Agent::with_replica(1);
    let load = files(&[("a", &[1; 200_000]), ("b", &[2; 2_000_000])]);
    let begin = member.begin(1, &load);
    let mut stream = forward(&member, &begin).unwrap();
    let mut send = || {
        for ((_, content), header) in load.iter().zip(headers(&begin)) {
            stream.file(&header)?;
            stream.bytes(&vec![3; content.len()])?;
        }
        Ok(())
    };
    let failed: Result<(), PeerFailure> = send();
    let error = match failed {
        Err(error) => error,
        Ok(()) => stream.finish().unwrap_err(),
    };
    let PeerFailure::Refused(error) = error else { panic!("{error:?}") };
    assert!(error.detail.contains("`a`"), "{error}");
    assert!(member.told.try_recv().is_err());
    assert!(member.staging_is_empty());
}

/// What the agent around the port does not admit never begins.
#[test]
fn a_load_that_is_not_admitted_never_begins() {
    let member = Agent::with_replica(1);
    let begin = member.begin(1, &files(&[("a", b"one")]));
    let no = PeerError { code: PeerErrorCode::StaleEpoch, detail: "an old epoch".into() };
    *member.host.refuse_loads.lock().unwrap() = Some(no.clone());
    let Err(PeerFailure::Refused(error)) = forward(&member, &begin).map(|_| ()) else { panic!() };
    assert_eq!(error, no);
    *member.host.refuse_loads.lock().unwrap() = None;
    let other = LoadBegin { replica: ReplicaId(99), ..begin };
    let Err(PeerFailure::Refused(error)) = forward(&member, &other).map(|_| ()) else { panic!() };
    assert_eq!(error.code, PeerErrorCode::NoSuchReplica);
}
