//! What a run, or many of them, were like.

use std::collections::BTreeMap;
use std::fmt;

/// Something that must never happen happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, {at_ms} ms: {what}")]
pub struct Violation {
    /// Seed of the run.
    pub seed: u64,
    /// Virtual time since the start, in milliseconds.
    pub at_ms: u64,
    /// What happened.
    pub what: String,
}

/// What is done to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A message was lost, or could not cross a cut.
    Lost,
    /// A message arrived twice.
    Twice,
    /// A message was overtaken by others.
    Late,
    /// The network was cut in two.
    Partition,
    /// One half did not hear the other.
    OneWay,
    /// The cut came and went.
    Flapping,
    /// Power failed between two writes or syncs, unsynced ones were lost or torn.
    PowerLost,
    /// Power failed while a node was starting.
    PowerLostAtStart,
    /// A process was killed between two turns, or before the effects of a turn left.
    Killed,
    /// A process was killed when some effects of a turn had left and others had not.
    KilledSending,
    /// A node was told to stop, and compacted its log on the way out.
    Stopped,
    /// Likewise, while it listened to others or was silent.
    StoppedQuiet,
    /// A disk was full.
    DiskFull,
    /// A disk was slow.
    DiskSlow,
    /// A ledger was replaced by an old backup.
    OldLedger,
    /// Ledger and blocks were replaced by an old backup, and the vote history was not.
    OldImage,
    /// All of a machine was replaced by an old image, its vote history with it.
    OldMachine,
    /// A vote history was lost.
    HistoryLost,
    /// A validator became silent.
    Silence,
    /// A lying validator sent something that its engine did not ask for, or kept something back.
    Lie,
    /// A log was compacted.
    Compaction,
    /// A checkpoint was made.
    Checkpoint,
}

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::Lost => "messages lost",
            Self::Twice => "messages twice",
            Self::Late => "messages overtaken",
            Self::Partition => "partitions",
            Self::OneWay => "one-way partitions",
            Self::Flapping => "flapping partitions",
            Self::PowerLost => "power lost while running",
            Self::PowerLostAtStart => "power lost while starting",
            Self::Killed => "processes killed",
            Self::KilledSending => "processes killed while sending",
            Self::Stopped => "nodes stopped cleanly",
            Self::StoppedQuiet => "likewise while listening or silent",
            Self::DiskFull => "disks full",
            Self::DiskSlow => "disks slow",
            Self::OldLedger => "old ledgers put back",
            Self::OldImage => "old ledgers and blocks put back",
            Self::OldMachine => "machines set back to old images",
            Self::HistoryLost => "vote histories lost",
            Self::Silence => "validators that became silent",
            Self::Lie => "lies of validators",
            Self::Compaction => "logs compacted",
            Self::Checkpoint => "checkpoints",
        }
    }
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// No two final or committed transactions spend one output, anywhere, ever.
    OneWinner,
    /// What is final is never rejected, by anybody.
    FinalStays,
    /// All honest nodes have the same block at a height.
    Agreement,
    /// No money is made but block rewards, and none is lost.
    Supply,
    /// An honest node prepares, and commits, one spend of an output in an epoch, and none after its seal,
    /// whatever happens to it.
    OneSpend,
    /// It signs one seal in an epoch.
    OneSeal,
    /// It votes once in a round and phase, and proposes once in a round.
    OneVote,
    /// What leaves a node rests on records that are durable.
    Durable,
    /// After a restart a node remembers what it said.
    Remembered,
    /// Heights, rounds and epochs of a node never go back.
    NeverBack,
    /// Everything that others can make grow stays within its bound: pool, votes, evidence, layers, queues, the log.
    Bounds,
    /// A log that was compacted holds what is live, and nothing else.
    LiveLog,
    /// No honest node blames another one.
    NoBlame,
    /// Who bonds in an epoch votes from the one after the next on, and who withdraws votes as long.
    Members,
    /// Evidence is true, and against liars alone.
    OnlyLiarsAccused,
    /// In the end everything valid has a terminal status, the same everywhere.
    Settled,
}

impl Invariant {
    const fn name(self) -> &'static str {
        match self {
            Self::OneWinner => "one winner for each output",
            Self::FinalStays => "final stays final",
            Self::Agreement => "agreement on blocks",
            Self::Supply => "supply",
            Self::OneSpend => "votes for one spend of each output",
            Self::OneSeal => "one seal for each epoch",
            Self::OneVote => "one vote for each round",
            Self::Durable => "durable before sent",
            Self::Remembered => "remembered after a restart",
            Self::NeverBack => "heights, rounds, epochs never back",
            Self::Bounds => "memory within bounds",
            Self::LiveLog => "compacted logs hold what is live",
            Self::NoBlame => "no honest node blamed",
            Self::Members => "validators follow bonds",
            Self::OnlyLiarsAccused => "only liars accused",
            Self::Settled => "everything settled",
        }
    }
}

/// What a run was like, or many of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs.
    pub runs: u64,
    /// What was done, how often.
    pub faults: BTreeMap<Fault, u64>,
    /// What was checked, how often.
    pub checks: BTreeMap<Invariant, u64>,
    /// Blocks decided.
    pub blocks: u64,
    /// Payments that became final by sampling, at the node that was first.
    pub sampled: u64,
    /// Payments that a block settled.
    pub by_block: u64,
    /// Epochs that ended.
    pub epochs: u64,
    /// Seals that honest validators signed.
    pub seals: u64,
    /// Precommits of validators that joined, in commits that nodes have.
    pub joiners_precommits: u64,
    /// Lying validators that signed contradictions.
    pub contradicted: u64,
    /// Of all liars, those that an honest node found out.
    pub caught: u64,
    /// Those that lost their vote.
    pub removed: u64,
    /// Times to finality at the first node, in milliseconds; sorted in the report of one run.
    pub finality_ms: Vec<u64>,
    /// Messages sent.
    pub messages: u64,
    /// Their encoded bytes.
    pub bytes: u64,
    /// Turns of drivers.
    pub turns: u64,
    /// Syncs of disks.
    pub syncs: u64,
    /// A fingerprint of the whole run: equal for equal seeds. Of many runs: of all of them, in order.
    pub trace: u64,
}

impl Report {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults(fault, 1);
    }

    pub(super) fn faults(&mut self, fault: Fault, count: u64) {
        *self.faults.entry(fault).or_default() += count;
    }

    pub(super) fn check(&mut self, invariant: Invariant) {
        *self.checks.entry(invariant).or_default() += 1;
    }

    /// How often something was done.
    #[must_use]
    pub fn count(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or_default()
    }

    /// How often something was checked.
    #[must_use]
    pub fn checked(&self, invariant: Invariant) -> u64 {
        self.checks.get(&invariant).copied().unwrap_or_default()
    }

    /// Adds another report.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        other.faults.into_iter().for_each(|(fault, count)| self.faults(fault, count));
        for (invariant, count) in other.checks {
            *self.checks.entry(invariant).or_default() += count;
        }
        self.blocks += other.blocks;
        self.sampled += other.sampled;
        self.by_block += other.by_block;
        self.epochs += other.epochs;
        self.seals += other.seals;
        self.joiners_precommits += other.joiners_precommits;
        self.contradicted += other.contradicted;
        self.caught += other.caught;
        self.removed += other.removed;
        self.finality_ms.extend(other.finality_ms);
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.turns += other.turns;
        self.syncs += other.syncs;
        self.trace = super::chance::mix(self.trace, other.trace);
    }

    /// The time within which this share (in hundredths) of the payments became final, in milliseconds.
    #[must_use]
    pub fn finality(&self, percent: usize) -> u64 {
        let mut sorted = self.finality_ms.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(rank).copied().unwrap_or_default()
    }

    fn results(&self) -> Vec<(&'static str, u64)> {
        let payments = (self.sampled + self.by_block).max(1);
        vec![
            ("blocks", self.blocks),
            ("payments final by sampling", self.sampled),
            ("payments settled by a block", self.by_block),
            ("epochs ended", self.epochs),
            ("seals of honest validators", self.seals),
            ("precommits of those who joined", self.joiners_precommits),
            ("liars that contradicted themselves", self.contradicted),
            ("liars found out", self.caught),
            ("liars that lost their vote", self.removed),
            ("finality p50, ms", self.finality(50)),
            ("finality p95, ms", self.finality(95)),
            ("messages", self.messages),
            ("messages for each payment", self.messages / payments),
            ("bytes for each payment", self.bytes / payments),
            ("turns of drivers", self.turns),
            ("syncs of disks", self.syncs),
        ]
    }

    fn rows(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut rows = vec![("runs", "on real drivers and stores", self.runs)];
        rows.extend(self.faults.iter().map(|(fault, count)| ("fault", fault.name(), *count)));
        rows.extend(self.checks.iter().map(|(invariant, count)| ("check", invariant.name(), *count)));
        rows.extend(self.results().into_iter().map(|(name, count)| ("result", name, count)));
        rows
    }

    /// All figures for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let faults: BTreeMap<_, _> = self.faults.iter().map(|(fault, count)| (fault.name(), *count)).collect();
        let checks: BTreeMap<_, _> = self.checks.iter().map(|(check, count)| (check.name(), *count)).collect();
        let results: BTreeMap<_, _> = self.results().into_iter().collect();
        let trace = format!("{:016x}", self.trace);
        serde_json::json!({ "runs": self.runs, "faults": faults, "checks": checks, "results": results, "trace": trace })
    }
}

/// A table: what was done to the networks, what was checked, what came of it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, what, count) in self.rows() {
            writeln!(f, "{kind:<7} {what:<34} {count:>14}")?;
        }
        write!(f, "{:<7} {:<34} {:>14}", "trace", "fingerprint", format!("{:08x}", self.trace >> 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_runs_together() {
        let run = |finality_ms: Vec<u64>| Report { runs: 1, finality_ms, ..Report::default() };
        let mut all = Report::default();
        all.add(run((1..=50).collect()));
        all.add(run((51..=100).rev().collect()));
        assert_eq!((all.runs, all.finality(50), all.finality(95), all.finality(100)), (2, 50, 95, 100));
        assert_eq!(Report::default().finality(50), 0);
    }

    #[test]
    fn the_table_names_each_fault_and_each_check_with_its_count() {
        let mut report = Report::default();
        report.faults(Fault::PowerLost, 3);
        report.check(Invariant::Supply);
        let table = report.to_string();
        assert!(table.lines().any(|line| line.contains("power lost while running") && line.ends_with(" 3")), "{table}");
        assert!(table.lines().any(|line| line.contains("supply") && line.ends_with(" 1")), "{table}");
        assert_eq!(report.json()["faults"]["power lost while running"], 3);
    }
}
