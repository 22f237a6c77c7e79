//! Who may connect, and what becomes of each directory.

use super::*;
use stele_common::handshake::{DiskWord, RefusedCode};
use stele_common::status::Level;
use stele_common::{ClusterId, DiskState, Epoch, Liveness, Medium};

fn disk(path: &str, found: DiskFound) -> DiskHello {
    DiskHello { path: path.into(), medium: Medium::Hdd, found }
}

fn refused(answer: handshake::Answer) -> RefusedCode {
    match answer {
        handshake::Answer::Refused(refused) => refused.code,
        handshake::Answer::Welcome(_) => panic!("it was let in"),
    }
}

fn words(answer: handshake::Answer) -> Vec<DiskWord> {
    match answer {
        handshake::Answer::Welcome(welcome) => welcome.disks,
        handshake::Answer::Refused(refused) => panic!("it was refused: {refused}"),
    }
}

/// Each thing that is wrong with a hello has its own refusal, and none leaves a trace on record.
#[test]
fn who_is_refused() {
    type Spoil = fn(&mut Hello);
    let cases: [(&str, Spoil, RefusedCode); 7] = [
        ("stray connection", |hello| hello.magic = "http".into(), RefusedCode::WrongMagic),
        ("newer protocol", |hello| (hello.min, hello.max) = (900, 901), RefusedCode::NoCommonVersion),
        ("other cluster", |hello| hello.cluster = Some(ClusterId("9".into())), RefusedCode::OtherCluster),
        ("no host", |hello| hello.host.clear(), RefusedCode::Malformed),
        (
            "twin of a live agent",
            |hello| (hello.host, hello.name) = ("h1".into(), "h1".into()),
            RefusedCode::DuplicateNode,
        ),
        ("no name", |hello| hello.name.clear(), RefusedCode::Malformed),
        ("later epoch", |hello| hello.epoch_seen = Epoch(99), RefusedCode::StoreIsOld),
    ];
    for (name, spoil, code) in cases {
        let mut play = Play::new(Sample::new(2, 1));
        let mut hello = play.hello_of("h9", 77, vec![]);
        spoil(&mut hello);
        let before = durable(play.world());
        assert_eq!(refused(play.hello(hello)), code, "{name}");
        assert_eq!(durable(play.world()), before, "{name}");
        assert_eq!(play.world().level == Level::Blind, code == RefusedCode::StoreIsOld, "{name}");
    }
}

/// A new host is named, its blank disk formatted; it comes back under the same names, also when our word was lost.
#[test]
fn a_new_host() {
    let mut play = Play::new(Sample::new(0, 0));
    let hello = play.hello_of("h1", 1, vec![disk("/d", DiskFound::Blank)]);
    let DiskWord::Format { disk: id } = words(play.hello(hello.clone()))[0] else { panic!("not formatted") };
    assert_eq!(words(play.hello(hello)), [DiskWord::Format { disk: id }], "the word was lost: the same again");
    let known = play.hello_of("h1", 1, vec![disk("/d", DiskFound::Known { disk: id })]);
    assert_eq!(words(play.hello(known)), [DiskWord::Use { disk: id }]);
    assert_eq!((play.world().nodes.len(), play.world().disks.len()), (1, 1));
}

/// A blank directory where replicas should be waits for an operator; only it is out; after `disk init` it is a new disk.
#[test]
fn an_emptied_disk() {
    let (mut play, tablet) = Play::loaded(3);
    let replica = play.sample.replicas(tablet)[0];
    let known = play.sample.replica(tablet, replica).clone();
    let (path, host) = (play.world().disks[&known.disk].path.clone(), play.world().nodes[&known.node].host.clone());
    play.sample.turn(known.node, Liveness::Silent);
    let hello = play.hello_of(&host, 99, vec![disk(&path, DiskFound::Blank)]);
    let answer = words(play.hello(hello.clone()));
    let DiskWord::Refuse { cause } = &answer[0] else { panic!("{answer:?}") };
    assert!(cause.contains(&format!("--replace {}", known.disk)), "{cause}");
    assert_eq!(play.world().disks[&known.disk].state, DiskState::Unavailable);
    play.report(known.node, ReportKind::FullOnly, vec![]);
    play.passes(60_000);
    assert_eq!(play.sample.replica(tablet, replica).bad, None, "missing is not empty");

    let wish = api::DiskInit { host: host.clone(), path: "/elsewhere".into(), replace: known.disk };
    assert!(matches!(answer_of(&mut play, wish), Answer::Refused(Reason::BadRequest { .. })));
    let wish = api::DiskInit { host, path: path.clone(), replace: known.disk };
    assert!(matches!(answer_of(&mut play, wish), Answer::Done));
    assert!(play.sample.replica(tablet, replica).bad.is_some(), "what lay there is not waited for");
    let DiskWord::Format { disk: fresh } = words(play.hello(hello))[0] else { panic!("not formatted") };
    assert_ne!(fresh, known.disk);
}

fn answer_of(play: &mut Play, wish: api::DiskInit) -> Answer {
    answer(&play.happens(EventBody::InitDisk(wish))).clone()
}

/// A disk in use is not given away.
#[test]
fn a_disk_in_use_is_not_replaced() {
    let mut play = Play::new(Sample::new(1, 1));
    let node = play.sample.nodes()[0];
    let disk = play.sample.disks_of(node)[0];
    let path = play.world().disks[&disk].path.clone();
    let wish = api::DiskInit { host: "h1".into(), path, replace: disk };
    assert!(matches!(answer_of(&mut play, wish), Answer::Refused(Reason::BadRequest { .. })));
    let wish = api::DiskInit { host: "h1".into(), path: "/x".into(), replace: DiskId(5) };
    assert!(matches!(answer_of(&mut play, wish), Answer::Refused(Reason::NoSuchDisk { .. })));
}

/// One disk id in two places: the second is refused while the first is in use; it may move once the first is gone.
#[test]
fn a_disk_seen_twice() {
    let mut play = Play::new(Sample::new(2, 1));
    let (first, second) = (play.sample.nodes()[0], play.sample.nodes()[1]);
    let id = play.sample.disks_of(first)[0];
    play.sample.turn(second, Liveness::Silent);
    let mut hello = play.hello_of("h2", 50, vec![disk("/moved", DiskFound::Known { disk: id })]);
    assert!(matches!(words(play.hello(hello.clone()))[0], DiskWord::Refuse { .. }));
    play.sample.turn(first, Liveness::Lost);
    assert_eq!(words(play.hello(hello.clone())), [DiskWord::Use { disk: id }]);
    assert_eq!((play.world().disks[&id].node, play.world().disks[&id].path.as_str()), (second, "/moved"));
    hello.disks.push(disk("/copy", DiskFound::Known { disk: id }));
    assert!(matches!(words(play.hello(hello))[1], DiskWord::Refuse { .. }), "named twice in one hello");
}

/// One disk id at two live nodes: neither is used, whichever says hello again, until one of them is gone.
#[test]
fn twins_are_both_fenced() {
    for gone in ["twin lost", "twin without it", "owner lost", "owner without it"] {
        let (mut play, tablet) = Play::loaded(3);
        let replica = play.sample.replicas(tablet)[0];
        let (owner, id) = (play.sample.replica(tablet, replica).node, play.sample.replica(tablet, replica).disk);
        let path = play.world().disks[&id].path.clone();
        let owner_host = play.world().nodes[&owner].host.clone();
        let of = |play: &Play, host: &str, boot: u64, path: &str, named: bool| {
            let found = if named { DiskFound::Known { disk: id } } else { DiskFound::Blank };
            play.hello_of(host, boot, vec![disk(path, found)])
        };
        let hello = of(&play, "h9", 50, "/copy", true);
        assert!(matches!(&words(play.hello(hello))[0], DiskWord::Refuse { cause } if cause.contains("one of the two")));
        assert_eq!(play.world().disks[&id].state, DiskState::Unavailable, "{gone}");
        let facts = vec![Fact::Replica(play.fact(tablet, replica, 1))];
        play.full(owner, facts.clone());
        assert_eq!(play.world().disks[&id].state, DiskState::Unavailable, "{gone}: its agent calls it ONLINE");
        let counts = crate::checkup::count(play.world(), play.sample.tablet(tablet));
        assert_eq!((counts.alive, play.sample.replica(tablet, replica).bad.clone()), (2, None), "{gone}");
        let boot = play.world().nodes[&owner].boot.unwrap().0;
        let hello = of(&play, &owner_host, boot, &path, true);
        assert!(matches!(words(play.hello(hello))[0], DiskWord::Refuse { .. }), "{gone}: the owner asks again");

        let twin = play.world().disks[&id].twin.unwrap();
        match gone {
            "twin lost" => _ = play.happens(EventBody::NodeTurned { node: twin, liveness: Liveness::Lost }),
            "twin without it" => {
                let hello = of(&play, "h9", 50, "/copy", false);
                play.hello(hello);
            }
            _ => {
                if gone == "owner lost" {
                    play.happens(EventBody::NodeTurned { node: owner, liveness: Liveness::Lost });
                } else {
                    let hello = play.hello_of(&owner_host, boot, Vec::new());
                    play.hello(hello);
                }
                let hello = of(&play, "h9", 50, "/copy", true);
                assert_eq!(words(play.hello(hello)), [DiskWord::Use { disk: id }]);
                assert_eq!((play.world().disks[&id].node, play.world().disks[&id].twin), (twin, None));
                continue;
            }
        }
        let hello = of(&play, &owner_host, boot, &path, true);
        assert_eq!(words(play.hello(hello)), [DiskWord::Use { disk: id }], "{gone}");
        play.full(owner, facts);
        assert_eq!(play.world().disks[&id].state, DiskState::Online, "{gone}");
    }
}

/// A disk of ours with an id that we never issued: our store is old.
#[test]
fn a_disk_from_the_future() {
    let mut play = Play::new(Sample::new(1, 1));
    let id = DiskId(play.world().next_id + 5);
    let hello = play.hello_of("h7", 1, vec![disk("/d", DiskFound::Known { disk: id })]);
    assert_eq!(words(play.hello(hello)), [DiskWord::Use { disk: id }], "it may be read");
    assert_eq!(play.world().level, Level::Blind);
    let blank = play.hello_of("h1", BootId(play.sample.nodes()[0].0).0, vec![disk("/new", DiskFound::Blank)]);
    assert!(matches!(words(play.hello(blank))[0], DiskWord::Refuse { .. }), "nothing is formatted while blind");
}
