//! What fuzzing of the engine found about restarts (`SPEC.md` F-4, D-12, D-13).

use crate::support::{Node, payment, voted};
use timecoin_protocol::engine::{Effect, Event, Path, Status};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::wire::Opinion;

fn is_final(effects: &[Effect], wanted: Txid) -> bool {
    effects.iter().any(|effect| {
        matches!(effect, Effect::Event(Event::Status { txid, status: Status::Final(Path::Sampled), .. }) if *txid == wanted)
    })
}

/// Found by the target `engine_step`: a validator prepared a payment, then heard a quorum of Commit
/// votes, whose Prepare votes it had missed. It did not vote Commit, since it had no certificate to
/// rest that on. But after a restart it did: it took every payment that is final for one that it has
/// a prepare certificate of. The seals of an epoch rest on who voted Commit being able to show one.
#[test]
fn after_a_restart_no_commit_is_voted_without_a_prepare_certificate_f_4() {
    let mut node = Node::new(0);
    let (missed, other) = (payment(1, ""), payment(2, ""));
    let mut effects = node.gossip(std::slice::from_ref(&missed));
    let mut said = Vec::new();
    for _ in 0..4 {
        effects = node.answer(&effects, |_| Opinion::Preferred);
        effects.extend(node.pass_ms(25));
        said.extend(voted(&effects, Phase::Prepare));
    }
    assert_eq!(said, [missed.txid()], "its body and lock are durable");
    let heard = node.votes(Phase::Commit, &[missed.txid()], &[1, 2, 3]);
    assert!(is_final(&heard, missed.txid()));
    assert_eq!(voted(&heard, Phase::Commit), []);
    // What was heard becomes durable with the next record (D-12).
    node.gossip(std::slice::from_ref(&other));
    let mut next = node.votes(Phase::Prepare, &[other.txid()], &[1, 2, 3]);
    next.extend(node.pass_ms(25));
    assert_eq!(voted(&next, Phase::Commit), [other.txid()]);

    let mut back = node.restart();
    back.extend(node.pass_ms(100));
    assert!(is_final(&back, missed.txid()), "what is final stays final (D-13)");
    assert_eq!(voted(&back, Phase::Commit), []);
}
