//! What a run is made of.

use super::chance::mix;

/// What a run is made of. The seed decides everything that is left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Source of all chance.
    pub seed: u64,
    /// Weight of each validator, in smallest bonds: first those who join, then those who leave, then those who stay.
    pub weights: Vec<u64>,
    /// How many of them have no bond at the start, and make one in the time of faults.
    pub joiners: usize,
    /// How many of them withdraw their bond in that time.
    pub leavers: usize,
    /// How many of them lie: the last ones. Together they have less than a third of the weight of those who stay.
    pub byzantine: usize,
    /// Messages and the clocks of those who send them.
    pub network: NetworkFaults,
    /// Disks, and the processes that use them.
    pub disks: DiskFaults,
    /// Least number of blocks of an epoch.
    pub epoch_blocks: u64,
    /// Number of payments.
    pub payments: usize,
    /// Number of double spends: two payments of one coin, sent to different nodes.
    pub double_spends: usize,
    /// How much later the second half of a double spend comes, in milliseconds, at most. Half of them come at once.
    pub late_half_ms: u64,
    /// Longest chain of payments on top of each side of a double spend.
    pub chain_max: u64,
    /// Length of the time with faults and new payments, in milliseconds. After it everything heals.
    pub faulty_ms: u64,
    /// Time to settle everything after that, in milliseconds.
    pub settle_ms: u64,
}

/// What messages suffer.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkFaults {
    /// In how many regions the nodes are; 1 is one data centre.
    pub regions: usize,
    /// Share of messages that are lost.
    pub loss: f64,
    /// Share of messages that arrive twice.
    pub duplication: f64,
    /// Share of messages that others overtake, by up to `LATE_MS_MAX`.
    pub late: f64,
    /// How often the network is cut in two for a while: wholly, in one direction, or on and off.
    pub partitions: u32,
    /// How far the clocks of nodes may be ahead of the slowest one, in milliseconds; drawn anew at
    /// each start of a node.
    pub skew_ms: u64,
    /// How much faster a node's clock may be than the slowest one, in millionths.
    pub drift_ppm: u64,
}

/// What disks and processes suffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFaults {
    /// How long a sync takes, in microseconds.
    pub sync_us: u64,
    /// Whether syncs do nothing, although they say that they did. No run can hold then.
    pub forgets_syncs: bool,
    /// How often an honest node dies and is started again.
    pub crashes: u32,
    /// How often an honest node is told to stop and started again. If ever, some are also stopped soon after they started.
    pub stops: u32,
    /// How often a validator is set back: its data disk to an old image, its history kept; its whole machine; or its
    /// history is lost. Only such as can be silent without stopping the network.
    pub set_backs: u32,
    /// Whether nodes take any history for whole, and none asks others what it signed. No run with set-backs can hold then.
    pub believes_all: bool,
    /// How often the disk of a node is full for a while.
    pub full: u32,
    /// How often the disk of a node is slow for a while.
    pub slow: u32,
    /// Blocks after which a node compacts its log and, every other time, makes a checkpoint; it does so by itself as well,
    /// when that is due.
    pub tidy_blocks: u64,
}

impl Scenario {
    /// Four honest validators in one data centre, fast disks, no faults.
    #[must_use]
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            weights: vec![1; 4],
            joiners: 0,
            leavers: 0,
            byzantine: 0,
            network: NetworkFaults {
                regions: 1,
                loss: 0.0,
                duplication: 0.0,
                late: 0.0,
                partitions: 0,
                skew_ms: 0,
                drift_ppm: 0,
            },
            disks: DiskFaults {
                sync_us: 200,
                forgets_syncs: false,
                crashes: 0,
                stops: 0,
                set_backs: 0,
                believes_all: false,
                full: 0,
                slow: 0,
                tidy_blocks: 3,
            },
            epoch_blocks: 3,
            payments: 40,
            double_spends: 0,
            late_half_ms: 0,
            chain_max: 0,
            faulty_ms: 4_000,
            settle_ms: 20_000,
        }
    }

    /// A scenario whose parameters are drawn from its seed: four to seven validators, often of
    /// unequal weight, some that lie, one that joins, one that leaves, faults of every kind.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let pick = |salt: u64, range: u64| mix(seed, salt) % range;
        let small = |salt: u64, range: u64| u32::try_from(pick(salt, range)).unwrap_or_default();
        let (joiners, leavers) = one_of([(0, 0), (1, 0), (0, 1), (1, 1)], pick(17, 4));
        let count = 4 + pick(1, 4) + joiners + leavers;
        let weights: Vec<u64> = match pick(10, 2) {
            0 => (0..count).map(|_| 1).collect(),
            _ => (0..count).map(|index| 1 + pick(100 + index, 4)).collect(),
        };
        let [joiners, leavers] = [joiners, leavers].map(|count| usize::try_from(count).unwrap_or_default());
        let epoch_blocks = 2 + pick(16, 5);
        let most = liars_max(weights.get(joiners + leavers..).unwrap_or_default());
        Self {
            seed,
            byzantine: usize::try_from(pick(2, 2)).unwrap_or_default() * most,
            joiners,
            leavers,
            weights,
            network: NetworkFaults {
                regions: one_of([1, 2, 4, 10], pick(3, 4)),
                loss: one_of([0.0, 0.01, 0.05, 0.15], pick(4, 4)),
                duplication: one_of([0.0, 0.02, 0.2], pick(7, 3)),
                late: one_of([0.0, 0.02, 0.1], pick(11, 3)),
                partitions: small(5, 4),
                skew_ms: one_of([0, 50, 1_500], pick(8, 3)),
                drift_ppm: one_of([0, 50, 2_000], pick(12, 3)),
            },
            disks: DiskFaults {
                sync_us: one_of([0, 200, 1_000, 6_000], pick(13, 4)),
                forgets_syncs: false,
                crashes: small(6, 6),
                stops: small(18, 4),
                set_backs: small(17, 4),
                believes_all: false,
                full: small(14, 2),
                slow: small(15, 3),
                tidy_blocks: one_of([1, 2, 3, 4, 1_000], pick(9, 5)),
            },
            epoch_blocks,
            payments: 32,
            double_spends: 6,
            // A block takes a second or more: halves lie in one epoch, across its end, and further apart.
            late_half_ms: 2_000 * epoch_blocks,
            chain_max: 4,
            faulty_ms: 8_000,
            settle_ms: 60_000,
        }
    }

    /// Honest validators that stay and that the network can do without, all of them at once, besides the liars.
    #[must_use]
    pub fn spare(&self) -> Vec<usize> {
        let movers = self.joiners + self.leavers;
        let staying = self.weights.get(movers..).unwrap_or_default();
        let spared = spare(staying, self.honest().saturating_sub(movers));
        spared.into_iter().map(|index| index + movers).collect()
    }

    /// Number of nodes that do not lie: the first ones.
    #[must_use]
    pub const fn honest(&self) -> usize {
        self.weights.len().saturating_sub(self.byzantine)
    }
}

/// What can be taken from `validators` so that these and the liars have less than a third of the weight.
fn spare(weights: &[u64], honest: usize) -> Vec<usize> {
    let total: u64 = weights.iter().sum();
    let mut taken: u64 = weights.iter().skip(honest).sum();
    let mut spared = Vec::new();
    for (index, weight) in weights.iter().enumerate().take(honest) {
        if (taken + weight) * 3 < total {
            taken += weight;
            spared.push(index);
        }
    }
    spared
}

/// How many of the last validators together have less than a third of the weight.
fn liars_max(weights: &[u64]) -> usize {
    let total: u64 = weights.iter().sum();
    let weight_of = |count: usize| weights.iter().rev().take(count).sum::<u64>();
    (0..weights.len()).take_while(|count| weight_of(*count) * 3 < total).last().unwrap_or_default()
}

/// The choice at `index`; the last one beyond them.
fn one_of<T: Copy + Default, const N: usize>(choices: [T; N], index: u64) -> T {
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    choices.get(at).or(choices.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liars_have_less_than_a_third_of_the_weight() {
        assert_eq!(liars_max(&[1; 4]), 1);
        assert_eq!(liars_max(&[1; 6]), 1);
        assert_eq!(liars_max(&[1; 7]), 2);
        assert_eq!(liars_max(&[1, 1, 1, 2]), 0);
        assert_eq!(liars_max(&[4, 4, 4, 1, 1, 1]), 3);
        for seed in 0..500 {
            let scenario = Scenario::from_seed(seed);
            let lying: u64 = scenario.weights.iter().skip(scenario.honest()).sum();
            let staying: u64 = scenario.weights.iter().skip(scenario.joiners + scenario.leavers).sum();
            let spare: u64 = scenario.spare().iter().map(|index| scenario.weights[*index]).sum();
            assert!((lying + spare) * 3 < staying, "{scenario:?}");
        }
    }
}
