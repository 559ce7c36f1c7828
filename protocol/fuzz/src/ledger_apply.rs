//! Blocks on a small chain (`SPEC.md` L-*, B-4…B-7, B-9, H-4): what is built is valid, what is valid does
//! what is said, nothing makes money but the reward, and a block that was changed is refused.

use crate::network::{coins_of, genesis_coins, network};
use crate::payments::{Coin, transaction};
use crate::script::Script;
use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::{Block, Commit, CommitSignature};
use timecoin_protocol::hash::{Hash, Txid};
use timecoin_protocol::keys::Signature;
use timecoin_protocol::ledger::{
    BlockDelta, BlockParts, ChainState, UtxoSetHash, apply_block, build_block, check_transfer,
};
use timecoin_protocol::transaction::{OutPoint, Output, Transaction, Utxo};
use timecoin_protocol::validator::{Height, Round};

/// Most blocks of one run.
const BLOCKS_MAX: usize = 6;
/// Most candidates for one block.
const CANDIDATES_MAX: usize = 10;

type Utxos = BTreeMap<OutPoint, Utxo>;

struct Chain {
    state: ChainState,
    utxos: Utxos,
    /// Everything that was ever there to be spent.
    coins: Vec<Coin>,
}

/// Grows a chain as the bytes say.
pub fn run(bytes: &[u8]) {
    let script = &mut Script::new(bytes);
    let mut chain = Chain { state: network().state.clone(), utxos: network().utxos.clone(), coins: genesis_coins() };
    for _ in 0..BLOCKS_MAX {
        if script.is_over() {
            return;
        }
        chain.grow(script);
    }
}

impl Chain {
    fn grow(&mut self, script: &mut Script<'_>) {
        let candidates: Vec<Arc<Transaction>> =
            (0..script.below(CANDIDATES_MAX)).map(|_| self.candidate(script)).collect();
        let network = network();
        let commit = self.parent_commit(script);
        let time_ms = self.state.time_ms.saturating_add(1 + script.number() % 10_000);
        let proposer = network.validators[script.below(network.validators.len())].public();
        let params = &network.genesis.params;
        let parts = BlockParts { parent_commit: commit, transactions: &candidates, seals: &[], evidence: &[] };
        let (block, built) =
            build_block(&self.state, params, &self.utxos, time_ms, proposer, parts).expect("memory does not fail");
        let after = self.expected(&candidates, &block);
        assert_eq!(self.judge(&block).as_ref(), Some(&built), "what is built is valid, with the same effect (B-9)");
        self.refuses_changed(block, script);
        self.advance(&built, &after);
    }

    fn candidate(&mut self, script: &mut Script<'_>) -> Arc<Transaction> {
        let transaction = transaction(script, &self.coins);
        self.coins.extend(coins_of(transaction.txid(), &transaction.body.outputs).take(4));
        Arc::new(transaction)
    }

    /// Of the last block, by any list of indices: signatures are not the ledger's.
    fn parent_commit(&self, script: &mut Script<'_>) -> Option<Commit> {
        let indices = (0..script.below(6)).map(|_| u16::from(script.byte() % 6));
        let signature = |validator| CommitSignature { validator, signature: Signature([0; 64]) };
        let signatures = indices.map(signature).collect();
        (self.state.height.0 > 0).then_some(Commit {
            height: self.state.height,
            round: Round(0),
            block: self.state.hash,
            signatures,
        })
    }

    fn judge(&self, block: &Block) -> Option<BlockDelta> {
        apply_block(&self.state, &network().genesis.params, &self.utxos, block).expect("memory does not fail").ok()
    }

    /// The UTXO set after the transfers of a block, by judging each candidate alone (B-7, B-9).
    fn expected(&self, candidates: &[Arc<Transaction>], block: &Block) -> Utxos {
        let mut utxos = self.utxos.clone();
        let mut included = block.transactions.iter().peekable();
        let next = self.state.height.next();
        for candidate in candidates {
            let valid_at = |height| {
                let lookup = |outpoint: &OutPoint| Ok(utxos.get(outpoint).copied());
                let judged = check_transfer(candidate, height, network().genesis.params.unbonding_blocks, lookup);
                judged.expect("memory does not fail")
            };
            let Ok(transfer) = valid_at(next) else {
                // Or the same transaction again, which spends what the first one spent.
                continue;
            };
            assert_eq!(included.next(), Some(candidate.as_ref()), "a valid candidate was left out");
            assert!(valid_at(Height(next.0 + 1_000)).is_ok(), "what is valid once stays valid");
            let ins = Amount::checked_sum(transfer_inputs(candidate, &utxos));
            let outs = candidate.body.output_sum().expect("a valid transaction has a sum");
            assert_eq!(ins, outs.checked_add(transfer.fee), "L-5");
            for input in &candidate.body.inputs {
                utxos.remove(input);
            }
            put(&mut utxos, candidate.txid(), &candidate.body.outputs, next, false);
        }
        assert_eq!(included.next(), None, "an invalid candidate was taken");
        put(&mut utxos, block.coinbase.txid(), &block.coinbase.outputs, next, true);
        utxos
    }

    /// The header commits to everything; what differs from it is no block (B-5…B-7).
    fn refuses_changed(&self, mut block: Block, script: &mut Script<'_>) {
        let original = block.clone();
        change(&mut block, script);
        if block.header.time_ms > self.state.time_ms {
            // Any later time would do.
            block.header.time_ms = original.header.time_ms;
        }
        if block != original {
            assert!(self.judge(&block).is_none(), "a changed block is valid: {block:?}");
        }
    }

    fn advance(&mut self, delta: &BlockDelta, expected: &Utxos) {
        for (outpoint, utxo) in &delta.spent {
            assert_eq!(self.utxos.remove(outpoint).as_ref(), Some(utxo));
        }
        for (outpoint, utxo) in &delta.created {
            assert_eq!(self.utxos.insert(*outpoint, *utxo), None);
        }
        assert_eq!(&self.utxos, expected, "the effect is that of the transfers, one by one");
        let minted = network().genesis.params.block_reward_units;
        let supply = self.state.supply.units() + minted;
        assert_eq!(delta.state.supply, Amount(supply), "only the reward makes money (B-6)");
        assert_eq!(Amount::checked_sum(self.utxos.values().map(|utxo| utxo.output.amount)), Some(delta.state.supply));
        assert_eq!(delta.state.utxo_count, self.utxos.len() as u64);
        let mut sums = UtxoSetHash::empty();
        self.utxos.iter().for_each(|(outpoint, utxo)| sums.add(outpoint, utxo));
        assert_eq!(sums.commitment(), delta.state.utxo_set.commitment(), "H-4");
        self.coins.extend(delta.created.iter().map(|(outpoint, utxo)| (*outpoint, utxo.output)));
        self.state = delta.state.clone();
    }
}

fn transfer_inputs(transaction: &Transaction, utxos: &Utxos) -> Vec<Amount> {
    transaction.body.inputs.iter().map(|input| utxos[input].output.amount).collect()
}

fn put(utxos: &mut Utxos, txid: Txid, outputs: &[Output], height: Height, coinbase: bool) {
    utxos.extend(coins_of(txid, outputs).map(|(at, output)| (at, Utxo { output, height: height.0, coinbase })));
}

fn change(block: &mut Block, script: &mut Script<'_>) {
    let Block { header, parent_commit, coinbase, transactions, .. } = block;
    match script.below(16) {
        0 => transactions.reverse(),
        1 => drop(transactions.pop()),
        2 => transactions.extend_from_within(..1.min(transactions.len())),
        3 => {
            let by = 1.min(transactions.len());
            transactions.rotate_left(by);
        }
        4 => coinbase.memo.push(0),
        5 => coinbase.outputs.reverse(),
        6 => coinbase.outputs.iter_mut().for_each(|output| output.amount = Amount(script.number())),
        7 => drop(coinbase.outputs.pop()),
        8 => header.height = Height(script.number()),
        9 => header.time_ms = script.number(),
        10 => header.proposer = network().stranger.public(),
        11 => header.utxo_set = Hash([script.byte(); 32]),
        12 => header.next_validators = Hash([script.byte(); 32]),
        13 => header.parent.0[0] ^= 1,
        14 => drop(parent_commit.take()),
        _ => {
            if let Some(commit) = parent_commit {
                commit.round = Round(1);
            }
        }
    }
}
