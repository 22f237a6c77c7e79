//! A replica that is behind on a full disk.

use super::*;

/// It cannot be brought up where it lies, so another host takes over, and the stuck one leaves as the surplus.
#[test]
fn another_host_takes_over() {
    let (mut shop, ids) = Shop::new(4, 1, 1);
    let tablet = ids[0];
    let replicas = shop.sample.replicas(tablet);
    let (behind, holders) = (replicas[0], &replicas[1..]);
    let full = shop.sample.replica(tablet, behind).disk;
    shop.sample.load(tablet, holders);
    shop.sample.fill(full, 1_000, 1_001);
    // The new version brings a whole replica's bytes.
    let known = shop.sample.world.tablets.get_mut(tablet).expect("it was made above");
    known.replicas[0].seen.as_mut().expect("it was seen").size = 0;
    shop.pass(60_000);
    let proposals = shop.round();
    let [proposal @ Proposal::Clone { target: Target::NewOn { disk, .. }, .. }] = &proposals[..] else {
        panic!("one new copy elsewhere, not {proposals:?}");
    };
    assert_ne!(*disk, full);
    shop.accept(proposal);
    shop.finish(tablet);
    let proposals = shop.round();
    let [Proposal::Delete { victim, .. }] = &proposals[..] else { panic!("one deletion, not {proposals:?}") };
    assert_eq!(*victim, behind, "the stuck one is the surplus");
}

/// With no other host the refusal names the full disk, and nothing is made.
#[test]
fn with_no_other_host_it_says_why() {
    let (mut shop, ids) = Shop::new(3, 1, 1);
    let tablet = ids[0];
    let replicas = shop.sample.replicas(tablet);
    let full = shop.sample.replica(tablet, replicas[0]).disk;
    shop.sample.load(tablet, &replicas[1..]);
    shop.sample.fill(full, 1_000, 1_001);
    let known = shop.sample.world.tablets.get_mut(tablet).expect("it was made above");
    known.replicas[0].seen.as_mut().expect("it was seen").size = 0;
    shop.pass(60_000);
    assert_eq!(shop.round(), []);
    let reason = shop.desk.entry(tablet).and_then(|entry| entry.reason.clone());
    assert!(matches!(&reason, Some(Reason::DiskWouldOverfill { disk, .. }) if *disk == full), "{reason:?}");
}
