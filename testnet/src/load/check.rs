//! What must hold after a run. Pure: it judges what was gathered, and knows no node.

use crate::rpc::{OutputSet, Standing, Word};
use std::collections::HashSet;
use timecoin_protocol::hash::Txid;

/// A double spend must be settled within this time, in milliseconds…
pub const SETTLE_MS_MAX: u64 = 5_000;
/// …in at least this share of cases.
pub const SETTLED_SHARE_MIN: f64 = 0.95;
/// Violations of one kind that are listed one by one.
const LISTED_MAX: usize = 20;

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Every node's unspent outputs, at one height.
    pub outputs: Vec<OutputSet>,
    /// Every node's hash and commitment at the lowest of all tips.
    pub headers: Vec<(String, String)>,
    /// Money that exists from the start, in units.
    pub genesis_units: u64,
    /// Minted by each block, in units.
    pub reward_units: u64,
    /// Transactions in the blocks of the run.
    pub chain: HashSet<Txid>,
    /// Payments that are halves of no double spend.
    pub payments: Vec<PaymentEvidence>,
    /// Double spends of which at least one half was accepted.
    pub pairs: Vec<PairEvidence>,
    /// Transactions in each node's pool at the end.
    pub pools: Vec<u64>,
}

/// A payment without rival.
#[derive(Clone, Copy, Debug)]
pub struct PaymentEvidence {
    /// Which one.
    pub txid: Txid,
    /// The node took it.
    pub accepted: bool,
    /// The node said that it is final.
    pub was_final: bool,
}

/// A double spend.
#[derive(Clone, Debug)]
pub struct PairEvidence {
    /// Both halves.
    pub txids: [Txid; 2],
    /// Where both halves stand at each node now; `None`: unknown to it.
    pub standings: Vec<[Option<Standing>; 2]>,
    /// Each half: at which nodes it was ever said to be final.
    pub was_final: [bool; 2],
    /// From sending to one half being final at every node.
    pub settled_ms: Option<u64>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Nodes disagree about the past.
    #[error("nodes have different blocks, or different outputs, at one height: {0}")]
    Fork(String),
    /// Nodes disagree about who owns what.
    #[error("at one height, nodes differ in their unspent outputs: {0}")]
    Outputs(String),
    /// Money was made or lost.
    #[error("node {node} has {found} units at height {height}; genesis and rewards make {expected}")]
    Supply {
        /// From 1.
        node: usize,
        /// Height of its tip.
        height: u64,
        /// Sum of its outputs.
        found: u64,
        /// What it must be.
        expected: u128,
    },
    /// A finished payment is gone.
    #[error("payment {0} was final, but no block holds it")]
    FinalLost(Txid),
    /// An accepted payment did not become final.
    #[error("payment {0} was accepted and has no rival, but no block holds it")]
    Unfinished(Txid),
    /// Both halves of a double spend were final somewhere.
    #[error("both halves of a double spend were final: {} and {}", .0[0], .0[1])]
    BothFinal([Txid; 2]),
    /// Neither half was.
    #[error("neither half of a double spend became final: {} and {}", .0[0], .0[1])]
    NeitherFinal([Txid; 2]),
    /// The half that is final somewhere is not everywhere, or the other one is not rejected.
    #[error("node {node} does not agree how the double spend {} or {} ended", txids[0], txids[1])]
    Disagreement {
        /// From 1.
        node: usize,
        /// Both halves.
        txids: [Txid; 2],
    },
    /// Too many double spends took too long.
    #[error("only {settled} of {pairs} double spends were settled within {SETTLE_MS_MAX} ms")]
    SlowSettling {
        /// In time.
        settled: usize,
        /// All.
        pairs: usize,
    },
    /// A pool keeps something.
    #[error("the pool of node {node} still holds {size} transactions")]
    PoolNotEmpty {
        /// From 1.
        node: usize,
        /// What it holds.
        size: u64,
    },
    /// More of the same kind.
    #[error("and {0} more of this kind")]
    More(usize),
}

impl Violation {
    /// Whether it only says that something took long, as it must at a rate that is too high.
    #[must_use]
    pub const fn is_slowness(&self) -> bool {
        matches!(self, Self::SlowSettling { .. })
    }
}

/// Everything that does not hold.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = judge_outcome(evidence);
    violations.extend(settling(&evidence.pairs));
    violations
}

/// Everything that does not hold, however long it took to come about.
#[must_use]
pub fn judge_outcome(evidence: &Evidence) -> Vec<Violation> {
    let kinds = [
        agreement(evidence),
        supply(evidence),
        payments(evidence),
        evidence.pairs.iter().flat_map(|pair| pair_violations(pair, &evidence.chain)).collect(),
        pools(&evidence.pools),
    ];
    kinds.into_iter().flat_map(shortened).collect()
}

fn shortened(mut violations: Vec<Violation>) -> Vec<Violation> {
    let more = violations.len().saturating_sub(LISTED_MAX);
    violations.truncate(LISTED_MAX);
    violations.extend((more > 0).then_some(Violation::More(more)));
    violations
}

fn all_same<T: PartialEq>(values: &[T]) -> bool {
    values.windows(2).all(|two| matches!(two, [a, b] if a == b))
}

fn agreement(evidence: &Evidence) -> Vec<Violation> {
    let fork = (!all_same(&evidence.headers)).then(|| Violation::Fork(format!("{:?}", evidence.headers)));
    let outputs = (!all_same(&evidence.outputs)).then(|| Violation::Outputs(format!("{:?}", evidence.outputs)));
    fork.into_iter().chain(outputs).collect()
}

fn supply(evidence: &Evidence) -> Vec<Violation> {
    let checks = evidence.outputs.iter().zip(1..).map(|(outputs, node)| {
        let minted = u128::from(evidence.reward_units) * u128::from(outputs.height);
        let expected = u128::from(evidence.genesis_units) + minted;
        let (height, found) = (outputs.height, outputs.total_amount);
        (expected != u128::from(found)).then_some(Violation::Supply { node, height, found, expected })
    });
    checks.flatten().collect()
}

fn payments(evidence: &Evidence) -> Vec<Violation> {
    let missing = evidence.payments.iter().filter(|payment| !evidence.chain.contains(&payment.txid));
    let broken = missing.filter_map(|payment| match (payment.was_final, payment.accepted) {
        (true, _) => Some(Violation::FinalLost(payment.txid)),
        (false, true) => Some(Violation::Unfinished(payment.txid)),
        (false, false) => None,
    });
    broken.collect()
}

fn pair_violations(pair: &PairEvidence, chain: &HashSet<Txid>) -> Vec<Violation> {
    let in_chain = pair.txids.map(|txid| chain.contains(&txid));
    let was_final = [in_chain[0] || pair.was_final[0], in_chain[1] || pair.was_final[1]];
    match was_final {
        [true, true] => return vec![Violation::BothFinal(pair.txids)],
        [false, false] => return vec![Violation::NeitherFinal(pair.txids)],
        _ => {}
    }
    let winner = usize::from(was_final[1]);
    if !in_chain.contains(&true) {
        return pair.txids.get(winner).map(|txid| Violation::FinalLost(*txid)).into_iter().collect();
    }
    let disagree = pair.standings.iter().zip(1..).filter(|([first, second], _)| {
        let (won, lost) = if winner == 0 { (first, second) } else { (second, first) };
        !won.as_ref().is_some_and(|standing| standing.status.is_final())
            || lost.as_ref().is_some_and(|standing| standing.status != Word::Rejected)
    });
    disagree.map(|(_, node)| Violation::Disagreement { node, txids: pair.txids }).collect()
}

fn settling(pairs: &[PairEvidence]) -> Option<Violation> {
    let in_time = |pair: &&PairEvidence| pair.settled_ms.is_some_and(|ms| ms <= SETTLE_MS_MAX);
    let settled = pairs.iter().filter(in_time).count();
    let enough = settled as f64 >= SETTLED_SHARE_MIN * pairs.len() as f64;
    (!enough).then_some(Violation::SlowSettling { settled, pairs: pairs.len() })
}

fn pools(pools: &[u64]) -> Vec<Violation> {
    let filled = pools.iter().zip(1..).filter(|(size, _)| **size > 0);
    filled.map(|(size, node)| Violation::PoolNotEmpty { node, size: *size }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txid(at: u8) -> Txid {
        Txid([at; 32])
    }

    fn standing(at: u8, status: Word) -> Option<Standing> {
        Some(Standing { txid: txid(at), status, reason: None })
    }

    fn outputs() -> OutputSet {
        OutputSet { height: 10, bestblock: "b".into(), utxo_set: "u".into(), txouts: 4, total_amount: 1_000 + 10 * 100 }
    }

    /// Payment 1 and half 2 of the pair (2, 3) are in the chain, at two nodes.
    fn good() -> Evidence {
        Evidence {
            outputs: vec![outputs(); 2],
            headers: vec![("h".into(), "u".into()); 2],
            genesis_units: 1_000,
            reward_units: 100,
            chain: [txid(1), txid(2)].into(),
            payments: vec![
                PaymentEvidence { txid: txid(1), accepted: true, was_final: true },
                PaymentEvidence { txid: txid(9), accepted: false, was_final: false },
            ],
            pairs: vec![PairEvidence {
                txids: [txid(2), txid(3)],
                standings: vec![
                    [standing(2, Word::Committed), standing(3, Word::Rejected)],
                    [standing(2, Word::Committed), None],
                ],
                was_final: [true, false],
                settled_ms: Some(300),
            }],
            pools: vec![0, 0],
        }
    }

    #[test]
    fn a_good_run_passes() {
        assert_eq!(judge(&good()), []);
    }

    #[test]
    fn nodes_with_different_blocks_or_outputs_are_found() {
        let mut evidence = good();
        evidence.headers[1].0 = "other".into();
        evidence.outputs[1].utxo_set = "other".into();
        assert!(matches!(judge(&evidence)[..], [Violation::Fork(_), Violation::Outputs(_)]));
    }

    #[test]
    fn one_unit_too_many_or_too_few_is_found() {
        for wrong in [1_999, 2_001] {
            let mut evidence = good();
            evidence.outputs.iter_mut().for_each(|outputs| outputs.total_amount = wrong);
            let violations = judge(&evidence);
            assert_eq!(violations.len(), 2, "{violations:?}");
            assert_eq!(violations[0], Violation::Supply { node: 1, height: 10, found: wrong, expected: 2_000 });
        }
    }

    #[test]
    fn a_final_payment_that_no_block_holds_is_found() {
        let mut evidence = good();
        evidence.chain.remove(&txid(1));
        assert_eq!(judge(&evidence), [Violation::FinalLost(txid(1))]);
        evidence.payments[0].was_final = false;
        assert_eq!(judge(&evidence), [Violation::Unfinished(txid(1))]);
    }

    #[test]
    fn two_final_halves_are_found_even_if_only_one_is_in_the_chain() {
        let mut evidence = good();
        evidence.pairs[0].was_final = [true, true];
        assert_eq!(judge(&evidence), [Violation::BothFinal([txid(2), txid(3)])]);
        let mut evidence = good();
        evidence.chain.insert(txid(3));
        assert_eq!(judge(&evidence), [Violation::BothFinal([txid(2), txid(3)])]);
    }

    #[test]
    fn a_pair_without_winner_and_one_whose_winner_is_lost_are_found() {
        let mut evidence = good();
        evidence.chain.remove(&txid(2));
        assert_eq!(judge(&evidence), [Violation::FinalLost(txid(2))]);
        evidence.pairs[0].was_final = [false, false];
        assert_eq!(judge(&evidence), [Violation::NeitherFinal([txid(2), txid(3)])]);
    }

    #[test]
    fn a_node_that_does_not_know_the_winner_or_does_not_reject_the_loser_is_found() {
        let wrong = [
            [standing(2, Word::Contested), standing(3, Word::Rejected)],
            [None, None],
            [standing(2, Word::Committed), standing(3, Word::Contested)],
            [standing(2, Word::Rejected), standing(3, Word::Committed)],
        ];
        for standings in wrong {
            let mut evidence = good();
            evidence.pairs[0].standings[1] = standings;
            assert_eq!(judge(&evidence), [Violation::Disagreement { node: 2, txids: [txid(2), txid(3)] }]);
        }
    }

    #[test]
    fn one_slow_pair_of_twenty_is_allowed_two_are_not() {
        let mut evidence = good();
        evidence.pairs = vec![evidence.pairs[0].clone(); 20];
        evidence.pairs[0].settled_ms = Some(SETTLE_MS_MAX + 1);
        assert_eq!(judge(&evidence), []);
        evidence.pairs[1].settled_ms = None;
        assert_eq!(judge(&evidence), [Violation::SlowSettling { settled: 18, pairs: 20 }]);
    }

    #[test]
    fn a_pool_that_keeps_something_is_found() {
        let mut evidence = good();
        evidence.pools[1] = 3;
        assert_eq!(judge(&evidence), [Violation::PoolNotEmpty { node: 2, size: 3 }]);
    }

    #[test]
    fn many_violations_of_one_kind_are_counted_not_listed() {
        let mut evidence = good();
        evidence.payments = vec![PaymentEvidence { txid: txid(8), accepted: true, was_final: true }; 100];
        let violations = judge(&evidence);
        assert_eq!((violations.len(), violations.last()), (LISTED_MAX + 1, Some(&Violation::More(80))));
    }
}
