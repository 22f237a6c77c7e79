//! Sources that are there and say nothing: how often they are waited for, and who is asked instead.

use super::copying::hundred;
use super::*;
use std::io::BufReader;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use stele_agent::net::peer_line::{Credentials, welcome};
use stele_agent_rules::OpFailure;
use stele_common::peer::{PEER_FRAME_MAX, PeerReply, PeerRequest, read_frame, write_frame};
use stele_common::{TaskFailure, Version};

/// A peer port that proves who it is, hears what is asked, and falls silent where it was told to.
struct Mute {
    address: String,
    calls: Arc<AtomicUsize>,
}

/// What a mute one still says.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Nothing,
    /// What the version is.
    Manifest,
    /// The first two of the files that it is asked for at its first call, too; the first is empty.
    TwoFiles,
}

impl Mute {
    fn beside(source: &Agent, says: Says) -> Mute {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, calls) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
        let (disk, replica, count) = (Arc::clone(&source.disk), source.replica, Arc::clone(&calls));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let call = count.fetch_add(1, Relaxed);
                let disk = Arc::clone(&disk);
                // It ends when the caller hangs up.
                std::thread::spawn(move || answer(stream.unwrap(), &disk, replica, says, call));
            }
        });
        Mute { address, calls }
    }

    fn source(&self, replica: u64) -> Source {
        Source { node: NodeId(9), replica: ReplicaId(replica), peer: self.address.clone() }
    }

    fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }
}

fn answer(mut stream: TcpStream, disk: &DiskDir, replica: ReplicaId, says: Says, call: usize) {
    welcome(&mut stream, &Credentials { cluster: cluster(), token: Some(TOKEN) }).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Ok(asked) = read_frame(&mut reader, PEER_FRAME_MAX) {
        match asked {
            PeerRequest::Manifest { .. } if says != Says::Nothing => {
                let open = disk.offer(TABLET, replica, None).unwrap();
                let reply = PeerReply::Manifest { meta: open.meta_text.clone(), b3: open.b3_text.clone() };
                write_frame(&mut stream, &reply).unwrap();
            }
            PeerRequest::Fetch { files, .. } if says == Says::TwoFiles && call == 0 => {
                for Wanted { path, entry } in &files[..2] {
                    let header = FileHeader { path: path.clone(), size: entry.size, digest: entry.digest };
                    write_frame(&mut stream, &PeerReply::File(header)).unwrap();
                    let mut file = disk.giver(TABLET, replica).unwrap().open(path, entry).unwrap();
                    std::io::copy(&mut file, &mut stream).unwrap();
                }
            }
            _ => {}
        }
    }
}

/// A source that says nothing, one that only says what the version is, and one that falls silent after two files: each is left
/// for the next after one wait, and the last gives the rest.
#[test]
fn the_next_is_asked_after_one_wait() {
    let (good, mine) = (Agent::with_replica(1), Agent::new(2));
    let hash = good.load(1, &hundred());
    let mutes = [Says::Nothing, Says::Manifest, Says::TwoFiles].map(|says| Mute::beside(&good, says));
    let mut sources: Vec<Source> = mutes.iter().zip([91, 92, 93]).map(|(mute, id)| mute.source(id)).collect();
    sources.push(good.source());
    let mut order = mine.order(1, hash, sources);
    order.stall_ms = 300;
    assert!(matches!(mine.run(&Op::Fetch { order: order.clone(), mend: false }), OpResult::Fetched { .. }));
    assert_eq!(mutes.each_ref().map(Mute::calls), [1, 1, 1]);
}

/// Where all are silent the copy ends after one wait for each, and one more for the one that gave something: within the
/// coordinator's patience, of which the order's is such a share.
#[test]
fn nobody_is_waited_for_twice_without_a_byte() {
    let (good, mine) = (Agent::with_replica(1), Agent::new(2));
    let hash = good.load(1, &hundred());
    let mutes = [Says::Manifest, Says::TwoFiles].map(|says| Mute::beside(&good, says));
    let mut order = mine.order(1, hash, vec![mutes[0].source(91), mutes[1].source(92)]);
    order.stall_ms = 300;
    let failed = mine.run(&Op::Fetch { order, mend: false });
    let OpResult::Failed(OpFailure::Copy(TaskFailure::SourceLost { detail })) = failed else { panic!("{failed:?}") };
    assert!(detail.contains("says nothing") && detail.contains("95 more files"), "{detail}");
    assert_eq!(mutes.each_ref().map(Mute::calls), [1, 2]);
    // What came is kept for the next try.
    assert_eq!(mine.copy(1, hash, vec![good.source()]).1, 14_000);
    assert_eq!(mine.verify(), OpResult::Verified { version: Version(1) });
}
