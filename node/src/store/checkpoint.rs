//! Writes the effect of a run of blocks into the ledger's tables: one transaction, each row once,
//! in the order of the tree, and nothing of what was made and spent within the run
//! (`SPEC.md` D-9).

use super::durable_write;
use super::layer::{Layer, transactions};
use super::tables::{
    BLOCK_HASHES, HISTORY, META, META_STATE, OWNER_UTXOS, TRANSACTIONS, UTXOS, history_key, outpoint_key, owner_key,
};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use redb::{Database, WriteTransaction};
use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::codec::encode;
use timecoin_protocol::ledger::ChainState;
use timecoin_protocol::transaction::{OutPoint, Utxo};

/// What is left of the changes to one output.
#[derive(Clone, Copy, Debug)]
enum Net {
    Made(Utxo),
    Spent(Owner),
}

/// Writes `layers`, which follow the checkpoint, and the state after them.
pub fn write(database: &Database, layers: &[Arc<Layer>]) -> Result<(), redb::Error> {
    let Some(last) = layers.last() else { return Ok(()) };
    let transaction = durable_write(database)?;
    write_outputs(&transaction, &net_changes(layers))?;
    write_transactions(&transaction, layers)?;
    write_history(&transaction, layers)?;
    write_blocks(&transaction, layers)?;
    write_state(&transaction, &last.changes().delta().state)?;
    transaction.commit()?;
    Ok(())
}

/// Writes outputs that nobody made, as genesis does.
pub fn write_genesis(
    transaction: &WriteTransaction,
    utxos: impl Iterator<Item = (OutPoint, Utxo)>,
    state: &ChainState,
) -> Result<(), redb::Error> {
    let mut made: Vec<_> = utxos.map(|(outpoint, utxo)| (outpoint, Net::Made(utxo))).collect();
    made.sort_unstable_by_key(|(outpoint, _)| *outpoint);
    write_outputs(transaction, &made)?;
    transaction.open_table(TRANSACTIONS)?;
    transaction.open_table(HISTORY)?;
    transaction.open_table(BLOCK_HASHES)?;
    write_state(transaction, state)
}

fn net_changes(layers: &[Arc<Layer>]) -> Vec<(OutPoint, Net)> {
    let mut changes: HashMap<OutPoint, Net> = HashMap::new();
    for delta in layers.iter().map(|layer| layer.changes().delta()) {
        for (outpoint, utxo) in &delta.spent {
            match changes.entry(*outpoint) {
                Entry::Occupied(made) => {
                    made.remove();
                }
                Entry::Vacant(entry) => {
                    entry.insert(Net::Spent(*utxo.output.lock.owner()));
                }
            }
        }
        changes.extend(delta.created.iter().map(|(outpoint, utxo)| (*outpoint, Net::Made(*utxo))));
    }
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort_unstable_by_key(|(outpoint, _)| *outpoint);
    changes
}

/// `changes` are in the order of outpoints.
fn write_outputs(transaction: &WriteTransaction, changes: &[(OutPoint, Net)]) -> Result<(), redb::Error> {
    let mut utxos = transaction.open_table(UTXOS)?;
    let mut owned = Vec::with_capacity(changes.len());
    for (outpoint, net) in changes {
        let key = outpoint_key(outpoint);
        match net {
            Net::Made(utxo) => {
                utxos.insert(&key, encode(utxo).as_slice())?;
                owned.push((owner_key(utxo.output.lock.owner(), outpoint), true));
            }
            Net::Spent(owner) => {
                if utxos.remove(&key)?.is_none() {
                    return Err(redb::Error::Corrupted(format!("output {outpoint} is spent but was never there")));
                }
                owned.push((owner_key(owner, outpoint), false));
            }
        }
    }
    owned.sort_unstable();
    let mut owner_utxos = transaction.open_table(OWNER_UTXOS)?;
    for (key, is_made) in owned {
        if is_made {
            owner_utxos.insert(&key, ())?;
        } else {
            owner_utxos.remove(&key)?;
        }
    }
    Ok(())
}

fn write_transactions(transaction: &WriteTransaction, layers: &[Arc<Layer>]) -> Result<(), redb::Error> {
    let places = |layer: &Arc<Layer>| {
        let height = layer.changes().height().0;
        transactions(layer.changes().delta()).map(|(position, txid)| (txid, (height, position))).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = layers.iter().flat_map(places).collect();
    rows.sort_unstable();
    let mut table = transaction.open_table(TRANSACTIONS)?;
    for (txid, place) in rows {
        table.insert(&txid.0, place)?;
    }
    Ok(())
}

fn write_history(transaction: &WriteTransaction, layers: &[Arc<Layer>]) -> Result<(), redb::Error> {
    let mut rows = Vec::new();
    for layer in layers {
        for (owner, changes) in layer.owners() {
            let height = layer.changes().height();
            rows.extend(changes.history.iter().map(|(position, txid)| (history_key(owner, height, *position), *txid)));
        }
    }
    rows.sort_unstable();
    let mut table = transaction.open_table(HISTORY)?;
    for (key, txid) in rows {
        table.insert(&key, &txid.0)?;
    }
    Ok(())
}

fn write_blocks(transaction: &WriteTransaction, layers: &[Arc<Layer>]) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(BLOCK_HASHES)?;
    for state in layers.iter().map(|layer| &layer.changes().delta().state) {
        table.insert(&state.hash.0, state.height.0)?;
    }
    Ok(())
}

fn write_state(transaction: &WriteTransaction, state: &ChainState) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(META_STATE, encode(state).as_slice())?;
    Ok(())
}
