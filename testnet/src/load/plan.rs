//! What a run sends: when, to which node, spending what. The plan knows no key, coin or socket; the
//! seed decides it.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;

/// Payments of one run at most: each is signed ahead and kept in memory (about 1 kB).
pub const PAYMENTS_MAX: usize = 500_000;
/// Highest rate that may be asked for, in transactions per second.
pub const RATE_MAX: u32 = 100_000;
/// Payments in one chain of unconfirmed payments at most, below the pool's bound on ancestors.
pub const CHAIN_LENGTH_MAX: usize = 16;
/// A chained payment follows its parent within this time, in microseconds: well before the next
/// block, so that the parent is not committed, and often not final.
const CHAIN_WINDOW_US: u64 = 500_000;

/// What a run is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Transactions per second, both halves of a double spend counted.
    pub rate: f64,
    /// For how long, in seconds.
    pub seconds: u64,
    /// Number of nodes that payments are spread over.
    pub nodes: usize,
    /// Number of keys that money is spread over.
    pub accounts: usize,
    /// Share of arrivals that are double spends.
    pub double_spends: f64,
    /// Share of arrivals that spend the change of an earlier payment that is in no block yet.
    pub chains: f64,
    /// Source of all chance.
    pub seed: u64,
}

/// What a payment spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A coin of its own, by number.
    Coin(usize),
    /// The change of an earlier payment, by index.
    ChangeOf(usize),
}

/// One payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// When it is to be sent, in microseconds from the start.
    pub due_us: u64,
    /// To which node, from 0.
    pub node: usize,
    /// What it spends.
    pub source: Source,
    /// Whose money it spends, and who gets the change.
    pub payer: usize,
    /// Whom it pays.
    pub payee: usize,
    /// Which double spend it is a half of.
    pub pair: Option<usize>,
}

/// All payments of a run, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order of `due_us`.
    pub payments: Vec<Payment>,
    /// How many coins they spend; coin `k` belongs to account `k % accounts`.
    pub coins: usize,
    /// Indices of both halves of each double spend.
    pub pairs: Vec<[usize; 2]>,
}

/// The newest payment at a node, if a chain may go on from it.
#[derive(Clone, Copy)]
struct Tip {
    index: usize,
    length: usize,
}

struct Planner<'a> {
    shape: &'a Shape,
    rng: ChaCha12Rng,
    plan: Plan,
    tips: Vec<Option<Tip>>,
}

impl Plan {
    /// Plans a run. Arrivals are a Poisson process, as those of payers who do not know of one
    /// another are: gaps are independent and exponential.
    #[must_use]
    pub fn new(shape: &Shape) -> Self {
        let mut planner = Planner {
            shape,
            rng: ChaCha12Rng::seed_from_u64(shape.seed),
            plan: Self::default(),
            tips: vec![None; shape.nodes.max(1)],
        };
        // A double spend is one arrival of two transactions.
        let arrivals_per_us = shape.rate / (1.0 + shape.double_spends) / 1_000_000.0;
        let end_us = shape.seconds as f64 * 1_000_000.0;
        let mut at_us = 0.0;
        while planner.plan.payments.len() + 2 <= PAYMENTS_MAX {
            at_us += -(1.0 - planner.rng.random::<f64>()).ln() / arrivals_per_us;
            if at_us >= end_us {
                break;
            }
            planner.arrival(at_us as u64);
        }
        planner.plan
    }

    /// How many payments spend an output of another one.
    #[must_use]
    pub fn chained(&self) -> usize {
        self.payments.iter().filter(|payment| matches!(payment.source, Source::ChangeOf(_))).count()
    }
}

impl Planner<'_> {
    fn arrival(&mut self, due_us: u64) {
        let node = self.below(self.shape.nodes);
        let kind: f64 = self.rng.random();
        if kind < self.shape.double_spends {
            self.double_spend(due_us, node);
        } else if let Some(tip) = self.tip(node, due_us).filter(|_| kind < self.shape.double_spends + self.shape.chains)
        {
            self.chained(due_us, node, tip);
        } else {
            let (coin, payer) = self.coin();
            self.tips_set(node, 1);
            self.push(due_us, node, Source::Coin(coin), payer, None);
        }
    }

    /// Two payments of one coin to two nodes at one moment.
    fn double_spend(&mut self, due_us: u64, node: usize) {
        let other = (node + 1 + self.below(self.shape.nodes.saturating_sub(1))) % self.shape.nodes.max(1);
        let (coin, payer) = self.coin();
        let (pair, first) = (self.plan.pairs.len(), self.plan.payments.len());
        self.plan.pairs.push([first, first + 1]);
        for node in [node, other] {
            self.push(due_us, node, Source::Coin(coin), payer, Some(pair));
        }
    }

    /// A payment with the change of the newest one at the same node: a wallet asks the node that
    /// knows its last payment.
    fn chained(&mut self, due_us: u64, node: usize, tip: Tip) {
        let payer = self.plan.payments.get(tip.index).map_or(0, |parent| parent.payer);
        self.tips_set(node, tip.length + 1);
        self.push(due_us, node, Source::ChangeOf(tip.index), payer, None);
    }

    fn tip(&self, node: usize, due_us: u64) -> Option<Tip> {
        let tip = self.tips.get(node).copied().flatten()?;
        let parent = self.plan.payments.get(tip.index)?;
        (tip.length < CHAIN_LENGTH_MAX && due_us - parent.due_us <= CHAIN_WINDOW_US).then_some(tip)
    }

    /// The payment pushed next is the newest at its node.
    fn tips_set(&mut self, node: usize, length: usize) {
        let index = self.plan.payments.len();
        if let Some(tip) = self.tips.get_mut(node) {
            *tip = Some(Tip { index, length });
        }
    }

    fn coin(&mut self) -> (usize, usize) {
        let coin = self.plan.coins;
        self.plan.coins += 1;
        (coin, coin % self.shape.accounts.max(1))
    }

    fn push(&mut self, due_us: u64, node: usize, source: Source, payer: usize, pair: Option<usize>) {
        let payee = self.below(self.shape.accounts);
        self.plan.payments.push(Payment { due_us, node, source, payer, payee, pair });
    }

    /// A number below `bound`; 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 { 0 } else { self.rng.random_range(0..bound) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    fn shape() -> Shape {
        Shape { rate: 2_000.0, seconds: 5, nodes: 4, accounts: 50, double_spends: 0.1, chains: 0.3, seed: 7 }
    }

    #[test]
    fn no_coin_is_spent_twice_except_by_the_halves_of_a_pair() {
        let plan = Plan::new(&shape());
        let mut spenders: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, payment) in plan.payments.iter().enumerate() {
            if let Source::Coin(coin) = payment.source {
                spenders.entry(coin).or_default().push(index);
            }
        }
        assert_eq!(spenders.len(), plan.coins);
        let twice: HashSet<Vec<usize>> = spenders.into_values().filter(|spenders| spenders.len() > 1).collect();
        let pairs: HashSet<Vec<usize>> = plan.pairs.iter().map(|pair| pair.to_vec()).collect();
        assert_eq!(twice, pairs);
        assert!(!pairs.is_empty());
    }

    #[test]
    fn the_halves_of_a_pair_go_to_two_nodes_at_one_moment() {
        let plan = Plan::new(&shape());
        for (at, [a, b]) in plan.pairs.iter().enumerate() {
            let (a, b) = (&plan.payments[*a], &plan.payments[*b]);
            assert!(a.node != b.node && a.due_us == b.due_us && a.pair == Some(at) && b.pair == Some(at));
        }
    }

    #[test]
    fn a_chained_payment_spends_the_change_of_an_earlier_one_at_the_same_node() {
        let plan = Plan::new(&shape());
        let mut spent = HashSet::new();
        for payment in &plan.payments {
            let Source::ChangeOf(parent) = payment.source else { continue };
            let before = &plan.payments[parent];
            assert!(before.due_us <= payment.due_us && payment.due_us - before.due_us <= CHAIN_WINDOW_US);
            assert!(before.node == payment.node && before.payer == payment.payer);
            assert_eq!(before.pair, None, "nothing builds on what may lose");
            assert!(spent.insert(parent), "change is spent once");
        }
        assert!(!spent.is_empty());
    }

    #[test]
    fn chains_stay_below_their_bound() {
        let plan = Plan::new(&Shape { chains: 1.0, double_spends: 0.0, ..shape() });
        let mut lengths = vec![1; plan.payments.len()];
        for (index, payment) in plan.payments.iter().enumerate() {
            if let Source::ChangeOf(parent) = payment.source {
                assert!(parent < index);
                lengths[index] = lengths[parent] + 1;
            }
        }
        assert_eq!(lengths.into_iter().max(), Some(CHAIN_LENGTH_MAX));
    }

    #[test]
    fn the_rate_counts_both_halves() {
        let plan = Plan::new(&shape());
        let wanted = 10_000.0;
        assert!((plan.payments.len() as f64 - wanted).abs() < 0.05 * wanted, "{}", plan.payments.len());
        assert!(plan.payments.is_sorted_by_key(|payment| payment.due_us));
        assert!(plan.payments.iter().all(|payment| payment.due_us < 5_000_000 && payment.node < 4));
    }

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        assert_eq!(Plan::new(&shape()), Plan::new(&shape()));
        assert_ne!(Plan::new(&shape()), Plan::new(&Shape { seed: 8, ..shape() }));
    }

    #[test]
    fn one_node_and_one_account_are_enough() {
        let plan = Plan::new(&Shape { nodes: 1, accounts: 1, ..shape() });
        assert!(plan.payments.iter().all(|payment| payment.node == 0 && payment.payee == 0));
        assert!(!plan.pairs.is_empty());
    }

    #[test]
    fn a_plan_is_bounded() {
        let plan = Plan::new(&Shape { rate: 100_000.0, seconds: 3_600, ..shape() });
        assert!(plan.payments.len() <= PAYMENTS_MAX);
    }
}
