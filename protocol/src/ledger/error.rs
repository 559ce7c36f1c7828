//! Which rule a transaction or a block breaks.

use crate::address::Owner;
use crate::amount::Amount;
use crate::bounds::{
    BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, BOND_UNITS_MIN, DUST_UNITS, INPUTS_MAX, MEMO_BYTES_MAX, OUTPUTS_MAX,
    TRANSACTION_BYTES_MAX,
};
use crate::hash::{BlockHash, Hash, MerkleRoot, Txid};
use crate::keys::PublicKey;
use crate::transaction::OutPoint;
use crate::validator::{Epoch, Height};

/// Which rule a transaction breaks. Inputs and outputs are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// L-2: no inputs, or too many.
    #[error("{0} inputs; there must be 1 to {INPUTS_MAX}")]
    InputCount(usize),
    /// L-2: no outputs, or too many.
    #[error("{0} outputs; there must be 1 to {OUTPUTS_MAX}")]
    OutputCount(usize),
    /// L-2: the memo is too long.
    #[error("the memo has {0} bytes, at most {MEMO_BYTES_MAX} are allowed")]
    MemoTooLong(usize),
    /// L-2: the encoded transaction is too long.
    #[error("the transaction has {0} bytes, at most {TRANSACTION_BYTES_MAX} are allowed; spend fewer outputs at once")]
    TooLong(usize),
    /// L-2: an input that only a coinbase has.
    #[error("input {input} is the one of a coinbase")]
    CoinbaseInput {
        /// Which input.
        input: usize,
    },
    /// L-2: the same output is spent twice.
    #[error("{0} is spent twice by the same transaction")]
    RepeatedInput(OutPoint),
    /// L-3: a sum of amounts is above 2^64 - 1 units.
    #[error("the amounts add up to more than there can be")]
    AmountOverflow,
    /// L-4: an output is too small.
    #[error("output {output} holds {found} units, at least {DUST_UNITS} are needed")]
    Dust {
        /// Which output.
        output: usize,
        /// Its units.
        found: u64,
    },
    /// L-5: more goes out than comes in.
    #[error("the outputs hold {outputs}, but the inputs only {inputs}")]
    OutputsAboveInputs {
        /// Sum of the inputs.
        inputs: Amount,
        /// Sum of the outputs.
        outputs: Amount,
    },
    /// L-5: the fee is too low.
    #[error("the fee is {} units, at least {} are needed for {bytes} bytes", found.units(), needed.units())]
    FeeTooLow {
        /// Inputs minus outputs.
        found: Amount,
        /// The least fee.
        needed: Amount,
        /// Size of the transaction, in bytes.
        bytes: usize,
    },
    /// L-6: witnesses are not sorted by key, or a key is there twice.
    #[error("the witnesses are not sorted by key, each key once: see the one of {0}")]
    WitnessOrder(PublicKey),
    /// L-6: an owner of a spent output did not sign.
    #[error("input {input} belongs to owner {owner}, who did not sign")]
    WitnessMissing {
        /// The first input of that owner.
        input: usize,
        /// Hash of the key that must sign.
        owner: Owner,
    },
    /// L-6: a key signed that does not have to.
    #[error("key {0} signed, but owns no input and is no validator of an output")]
    WitnessSuperfluous(PublicKey),
    /// L-7: the validator of a bond did not sign.
    #[error("output {output} is a bond of validator {validator}, whose key did not sign")]
    ValidatorWitnessMissing {
        /// Which output.
        output: usize,
        /// The validator's key.
        validator: PublicKey,
    },
    /// L-8: a bond is too small.
    #[error("output {output} is a bond of {found} units, at least {BOND_UNITS_MIN} are needed")]
    BondTooSmall {
        /// Which output.
        output: usize,
        /// Its units.
        found: u64,
    },
    /// L-9: bonds are spent together with something else.
    #[error("input {input} is not a bond; whoever withdraws bonds can spend nothing else along with them")]
    WithdrawalInput {
        /// The first input that is no bond.
        input: usize,
    },
    /// L-9: a bond is spent into something else than unbonding outputs.
    #[error("output {output} must be unbonding, because a bond is spent")]
    WithdrawalOutput {
        /// The first output that is not unbonding.
        output: usize,
    },
    /// L-9: an unbonding output is made from something else than bonds.
    #[error("output {output} is unbonding, but no bond is spent")]
    UnbondingWithoutBond {
        /// Which output.
        output: usize,
    },
    /// L-9: an unbonding output is spent before it is in a block.
    #[error("input {input} is unbonding and not in a block yet")]
    UnbondingUncommitted {
        /// Which input.
        input: usize,
    },
    /// L-9: an unbonding output is spent too early.
    #[error("input {input} is unbonding until height {until}; the next height is {next}")]
    Unbonding {
        /// Which input.
        input: usize,
        /// Height at which it can be spent first.
        until: Height,
        /// The next height.
        next: Height,
    },
    /// An output to be spent is unknown, or spent already.
    #[error("input {0} is not known or already spent")]
    MissingInput(OutPoint),
}

impl TransactionError {
    /// A stable name of the rule broken, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InputCount(_) => "input_count",
            Self::OutputCount(_) => "output_count",
            Self::MemoTooLong(_) => "memo_too_long",
            Self::TooLong(_) => "too_long",
            Self::CoinbaseInput { .. } => "coinbase_input",
            Self::RepeatedInput(_) => "repeated_input",
            Self::AmountOverflow => "amount_overflow",
            Self::Dust { .. } => "dust",
            Self::OutputsAboveInputs { .. } => "outputs_above_inputs",
            Self::FeeTooLow { .. } => "fee_too_low",
            Self::WitnessOrder(_) => "witness_order",
            Self::WitnessMissing { .. } => "witness_missing",
            Self::WitnessSuperfluous(_) => "witness_superfluous",
            Self::ValidatorWitnessMissing { .. } => "validator_witness_missing",
            Self::BondTooSmall { .. } => "bond_too_small",
            Self::WithdrawalInput { .. } => "withdrawal_input",
            Self::WithdrawalOutput { .. } => "withdrawal_output",
            Self::UnbondingWithoutBond { .. } => "unbonding_without_bond",
            Self::UnbondingUncommitted { .. } => "unbonding_uncommitted",
            Self::Unbonding { .. } => "unbonding",
            Self::MissingInput(_) => "missing_input",
        }
    }
}

/// Why a block is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// B-4: too many transfers.
    #[error("{0} transfers, at most {BLOCK_TRANSACTIONS_MAX} are allowed")]
    TooManyTransactions(usize),
    /// B-4: too many bytes.
    #[error("the transfers have {0} bytes or more, at most {BLOCK_BYTES_MAX} are allowed")]
    TooManyBytes(usize),
    /// B-5: not the next height.
    #[error("height {found} where {expected} is next")]
    Height {
        /// In the header.
        found: Height,
        /// The next one.
        expected: Height,
    },
    /// B-5: not on top of the last block.
    #[error("parent {found} where the last block is {expected}")]
    Parent {
        /// In the header.
        found: BlockHash,
        /// The last block.
        expected: BlockHash,
    },
    /// B-5: another epoch.
    #[error("epoch {found} where {expected} is due")]
    Epoch {
        /// In the header.
        found: Epoch,
        /// The chain's.
        expected: Epoch,
    },
    /// B-5: not later than the last block.
    #[error("time {found_ms} ms is not after {parent_ms} ms, the time of the last block")]
    Time {
        /// In the header, in milliseconds since 1970 UTC.
        found_ms: u64,
        /// Of the last block, in milliseconds since 1970 UTC.
        parent_ms: u64,
    },
    /// B-5: the proposer has no vote.
    #[error("proposer {0} is not a validator of this epoch")]
    Proposer(PublicKey),
    /// B-5: there is no commit of the last block.
    #[error("the commit of the last block is missing")]
    ParentCommitMissing,
    /// B-5: the first block has a commit.
    #[error("the first block has the commit of a block below it")]
    ParentCommitUnexpected,
    /// B-5: the commit is of another block.
    #[error("the commit is for block {block} at height {height}, which is not the last block")]
    ParentCommitTarget {
        /// Height of the commit.
        height: Height,
        /// Its block.
        block: BlockHash,
    },
    /// B-5: the header commits to another commit.
    #[error("the header names parent commit {found}, which should be {expected}")]
    ParentCommitHash {
        /// In the header.
        found: Hash,
        /// Hash of the commit that came with the block.
        expected: Hash,
    },
    /// B-5: the header commits to another validator set.
    #[error("the header names next validators {found}, which should be {expected}")]
    NextValidators {
        /// In the header.
        found: Hash,
        /// Hash of the validator set of the next height.
        expected: Hash,
    },
    /// E-5: the header commits to another closing.
    #[error("the header names closing {found}, which should be {expected}")]
    ClosingHash {
        /// In the header.
        found: Hash,
        /// Hash of the closing that came with the block.
        expected: Hash,
    },
    /// E-5: the block cannot close the epoch as it claims to.
    #[error(transparent)]
    Closing(super::ClosingError),
    /// B-6: the coinbase is not the one that every node computes.
    #[error("coinbase {found} where {expected} is due")]
    Coinbase {
        /// Id of the block's coinbase.
        found: Txid,
        /// Id of the computed one.
        expected: Txid,
    },
    /// B-7: a transaction breaks a rule.
    #[error("transaction {txid}: {error}")]
    Transaction {
        /// Which.
        txid: Txid,
        /// The rule.
        error: TransactionError,
    },
    /// B-7: two transactions of the block spend the same output.
    #[error("transaction {txid} spends {outpoint}, which transaction {by} of the same block spends before it")]
    DoubleSpend {
        /// The later one.
        txid: Txid,
        /// What both spend.
        outpoint: OutPoint,
        /// The earlier one.
        by: Txid,
    },
    /// B-7: the header commits to other transactions.
    #[error("the header names transactions root {found}, which should be {expected}")]
    TransactionsRoot {
        /// In the header.
        found: MerkleRoot,
        /// Root of the block's transactions.
        expected: MerkleRoot,
    },
    /// B-7: the header commits to another UTXO set.
    #[error("the header names UTXO set {found}, which should be {expected}")]
    UtxoSet {
        /// In the header.
        found: Hash,
        /// Commitment to the UTXO set after this block.
        expected: Hash,
    },
}
