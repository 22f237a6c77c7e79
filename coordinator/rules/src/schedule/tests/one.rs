//! One round over everything: its order, and that everything has its answer.

use super::*;

/// Tasks stand in the order in which they leave the queue: priority, then as they came in; others are refused.
#[test]
fn one_round_in_order() {
    let mut sample = Sample::new(6, 4);
    let ids = sample.table(3, 6);
    ids.iter().for_each(|id| _ = sample.load_all(*id));
    let bad = |sample: &mut Sample, id: TabletId, indices: &[usize]| {
        indices.iter().for_each(|index| sample.bad(id, sample.replicas(id)[*index]));
    };
    bad(&mut sample, ids[0], &[0]);
    bad(&mut sample, ids[1], &[0]);
    bad(&mut sample, ids[2], &[0, 1]);
    bad(&mut sample, ids[3], &[0, 1, 2]);
    let order = [ids[1], ids[3], ids[2], ids[0], ids[5], ids[4]];
    let round = one_round(&mut Desk::new(), &sample.world, sample.at, &order);
    let proposed: Vec<TabletId> = round.proposals.iter().map(Proposal::tablet).collect();
    assert_eq!(proposed, [ids[2], ids[1], ids[0]]);
    let refused: Vec<_> = round.refused.iter().map(|(id, reason)| (*id, reason.code())).collect();
    assert_eq!(refused, [(ids[3], "unrecoverable")]);
}

/// Beyond the bounds of a scheduler's round everything still has its answer, and slots still bound what begins.
#[test]
fn one_round_answers_everything() {
    let mut sample = Sample::new(4, 1);
    let ids = sample.table(3, 600);
    ids.iter().for_each(|id| _ = sample.load_all(*id));
    let lost = sample.nodes()[0];
    sample.turn(lost, Liveness::Lost);
    sample.at = sample.at.plus(300_000);
    let round = one_round(&mut Desk::new(), &sample.world, sample.at, &ids);
    let sick = ids.iter().filter(|id| sample.tablet(**id).replicas.iter().any(|replica| replica.node == lost)).count();
    assert_eq!(round.proposals.len() + round.refused.len(), sick);
    let mut used: BTreeMap<DiskId, u32> = BTreeMap::new();
    for proposal in &round.proposals {
        let Proposal::Clone { tablet, source, target: Target::NewOn { disk, .. }, .. } = proposal else {
            panic!("{proposal:?}")
        };
        *used.entry(*disk).or_default() += 1;
        *used.entry(sample.replica(*tablet, *source).disk).or_default() += 1;
    }
    assert!(used.values().all(|used| *used <= 2), "{used:?}");
    assert!(round.refused.iter().all(|(_, reason)| reason.code().ends_with("_slot")));
}

/// A round for a world file leaves nobody out, however small the scheduler's queue is.
#[test]
fn one_round_knows_no_full_queue() {
    let mut sample = Sample::new(4, 1);
    let ids = sample.table(3, 40);
    ids.iter().for_each(|id| _ = sample.load_all(*id));
    ids.iter().for_each(|id| sample.bad(*id, sample.replicas(*id)[0]));
    std::sync::Arc::make_mut(&mut sample.world.knobs).queue_max = 3;
    let round = one_round(&mut Desk::new(), &sample.world, sample.at, &ids);
    assert_eq!(round.proposals.len() + round.refused.len(), 40);
    assert!(round.refused.iter().all(|(_, reason)| reason.code() != "queue_full"), "{:?}", round.refused);
}
