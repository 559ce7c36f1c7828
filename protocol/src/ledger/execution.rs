//! The transfers of one block, one after the other (`SPEC.md` B-4, B-7).

use super::transfer::{form, spend};
use super::{BlockError, TransactionError, Transfer, Unavailable, UtxoSet};
use crate::amount::Amount;
use crate::bounds::{BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX};
use crate::genesis::Params;
use crate::hash::Txid;
use crate::transaction::{OutPoint, Output, Transaction, Utxo};
use crate::validator::Height;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// Why a check ended early.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// A rule is broken.
    Rule(E),
    /// Storage failed.
    Storage(Unavailable),
}

impl<E> Stop<E> {
    /// Sorts the two kinds of failure into their places in a public result.
    pub(super) fn split<T>(result: Result<T, Self>) -> Result<Result<T, E>, Unavailable> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Self::Rule(error)) => Ok(Err(error)),
            Err(Self::Storage(error)) => Err(error),
        }
    }
}

impl<E> From<Unavailable> for Stop<E> {
    fn from(error: Unavailable) -> Self {
        Self::Storage(error)
    }
}

impl From<TransactionError> for Stop<TransactionError> {
    fn from(error: TransactionError) -> Self {
        Self::Rule(error)
    }
}

impl From<BlockError> for Stop<BlockError> {
    fn from(error: BlockError) -> Self {
        Self::Rule(error)
    }
}

/// What the block has done to an output so far.
enum Touched {
    /// Made it.
    Made(Utxo),
    /// Spent it, by this transaction.
    Spent(Txid),
}

/// A UTXO set with the transfers of the next block on top of it.
pub(super) struct Execution<'a, U> {
    utxos: &'a U,
    height: Height,
    unbonding_blocks: u64,
    touched: HashMap<OutPoint, Touched>,
    bytes: usize,
    pub(super) effect: Effect,
}

/// What the transfers did; see [`super::BlockDelta`] for the fields.
#[derive(Default)]
pub(super) struct Effect {
    pub(super) created: Vec<(OutPoint, Utxo)>,
    pub(super) spent: Vec<(OutPoint, Utxo)>,
    pub(super) ephemeral: Vec<(OutPoint, Utxo)>,
    pub(super) txids: Vec<Txid>,
    pub(super) fees: Amount,
}

impl<'a, U: UtxoSet> Execution<'a, U> {
    /// No transfers yet; about `expected` will come.
    pub(super) fn new(utxos: &'a U, height: Height, params: &Params, expected: usize) -> Self {
        Self {
            utxos,
            height,
            unbonding_blocks: params.unbonding_blocks,
            touched: HashMap::with_capacity(expected.min(BLOCK_TRANSACTIONS_MAX).saturating_mul(3)),
            bytes: 0,
            effect: Effect::default(),
        }
    }

    /// Whether no further transfer is allowed (B-4).
    pub(super) const fn is_full(&self) -> bool {
        self.effect.txids.len() >= BLOCK_TRANSACTIONS_MAX
    }

    /// Appends a transfer, or changes nothing if it breaks a rule or does not fit.
    pub(super) fn append(&mut self, transaction: &Transaction) -> Result<(), Stop<BlockError>> {
        let bytes = form(transaction).map_err(|error| self.blame(transaction, error))?;
        let total = self.bytes.saturating_add(bytes);
        if total > BLOCK_BYTES_MAX {
            return Err(BlockError::TooManyBytes(total).into()); // B-4
        }
        let checked = spend(transaction, bytes, self.height, self.unbonding_blocks, |outpoint| self.find(outpoint));
        let transfer = match checked {
            Ok(transfer) => transfer,
            Err(Stop::Rule(error)) => return Err(self.blame(transaction, error).into()),
            Err(Stop::Storage(error)) => return Err(error.into()),
        };
        let fees = self.effect.fees.checked_add(transfer.fee); // L-3
        let fees = fees.ok_or(TransactionError::AmountOverflow).map_err(|error| self.blame(transaction, error))?;
        self.effect.fees = fees;
        self.bytes = total;
        self.take(&transfer);
        self.make(transfer.txid, &transaction.body.outputs, false);
        self.effect.txids.push(transfer.txid);
        Ok(())
    }

    /// The effect of all transfers, and then of the coinbase, whose outputs none of them could
    /// spend. // B-7
    pub(super) fn finish(mut self, coinbase: Txid, rewards: &[Output]) -> Effect {
        if !self.effect.ephemeral.is_empty() {
            let touched = &self.touched;
            self.effect.created.retain(|(outpoint, _)| matches!(touched.get(outpoint), Some(Touched::Made(_))));
        }
        self.make(coinbase, rewards, true);
        self.effect
    }

    fn find(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        match self.touched.get(outpoint) {
            Some(Touched::Made(utxo)) => Ok(Some(*utxo)),
            Some(Touched::Spent(_)) => Ok(None),
            None => self.utxos.utxo(outpoint),
        }
    }

    fn take(&mut self, transfer: &Transfer) {
        for (outpoint, utxo) in &transfer.spent {
            match self.touched.insert(*outpoint, Touched::Spent(transfer.txid)) {
                Some(_) => self.effect.ephemeral.push((*outpoint, *utxo)),
                None => self.effect.spent.push((*outpoint, *utxo)),
            }
        }
    }

    fn make(&mut self, txid: Txid, outputs: &[Output], coinbase: bool) {
        for (index, output) in (0_u32..).zip(outputs) {
            let outpoint = OutPoint { txid, index };
            let utxo = Utxo { output: *output, height: self.height.0, coinbase };
            self.touched.insert(outpoint, Touched::Made(utxo));
            self.effect.created.push((outpoint, utxo));
        }
    }

    /// Says what is wrong with a transfer, and with which one it collides if it does.
    fn blame(&self, transaction: &Transaction, error: TransactionError) -> BlockError {
        let txid = transaction.txid();
        if let TransactionError::MissingInput(outpoint) = error
            && let Some(Touched::Spent(by)) = self.touched.get(&outpoint)
        {
            return BlockError::DoubleSpend { txid, outpoint, by: *by };
        }
        BlockError::Transaction { txid, error }
    }
}
