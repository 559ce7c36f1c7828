//! Storage against a model of maps and lists (`SPEC.md` D-9).

use crate::support::{Chain, Choices, OWNERS, owner};
use proptest::prelude::*;
use timecoin_node::bounds::LAYERS_MAX;
use timecoin_node::store::{Opened, Store};
use timecoin_protocol::engine::{Journal, Ledger, Record};
use timecoin_protocol::ledger::UtxoSet;

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// A turn that decides this many blocks.
    Blocks(usize),
    Checkpoint,
    Reopen {
        checkpoint_first: bool,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        5 => (1_usize..3).prop_map(Operation::Blocks),
        2 => Just(Operation::Checkpoint),
        1 => any::<bool>().prop_map(|checkpoint_first| Operation::Reopen { checkpoint_first }),
    ]
}

/// Brings opened storage to where the chain was: what the engine does in its restore.
fn restore(opened: &mut Opened, chain: &Chain) {
    for record in &opened.records {
        let Record::Block(block) = record else { continue };
        let grown = &chain.blocks[block.block.header.height.0 as usize - 1];
        assert_eq!(*block, grown.block);
        opened.ledger.push(&grown.delta);
    }
    opened.ledger.publish().unwrap();
}

fn decide(opened: &mut Opened, chain: &mut Chain, blocks: usize, seed: u64) {
    let mut records = Vec::new();
    for number in 0..blocks {
        let grown = chain.grow(Choices(seed + number as u64).below(9), seed);
        opened.ledger.push(&grown.delta);
        records.push(Record::Block(grown.block));
    }
    opened.journal.append(&records).unwrap();
    opened.ledger.publish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// D-9.
    #[test]
    fn storage_says_what_the_model_says(operations in prop::collection::vec(operation(), 1..24), seed: u64) {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new();
        let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
        for (number, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::Blocks(blocks) => decide(&mut opened, &mut chain, blocks, seed.wrapping_add(number as u64)),
                Operation::Checkpoint => opened.ledger.checkpoint().unwrap(),
                Operation::Reopen { checkpoint_first } => {
                    if checkpoint_first {
                        opened.ledger.checkpoint().unwrap();
                    }
                    drop(opened);
                    opened = Store::open(dir.path(), &chain.genesis).unwrap();
                    if checkpoint_first {
                        assert!(opened.records.iter().all(|record| !matches!(record, Record::Block(_))));
                        assert_eq!(opened.state, chain.state);
                        assert_eq!(opened.last_commit, chain.blocks.last().map(|last| last.block.commit.clone()));
                    }
                    restore(&mut opened, &chain);
                }
            }
        }
        chain.assert_same(&opened.reader, &opened.ledger);
    }

    /// D-9: pages of any size, cut anywhere, some rows in layers and some in tables.
    #[test]
    fn pages_join_to_the_whole(blocks in 1_usize..12, checkpoint_at in 0_usize..12, limit in 1_usize..5, seed: u64) {
        let mut chain = Chain::new();
        let dir = tempfile::tempdir().unwrap();
        let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
        for number in 0..blocks {
            if number == checkpoint_at {
                opened.ledger.checkpoint().unwrap();
            }
            decide(&mut opened, &mut chain, 1, seed);
        }
        for of in (0..OWNERS).map(owner) {
            let (mut outputs, mut history) = (Vec::new(), Vec::new());
            loop {
                let page = opened.reader.utxos_of(&of, outputs.last().map(|(last, _)| *last), limit).unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                outputs.extend(page);
            }
            loop {
                let before = history.last().map(|(height, position, _)| (*height, *position));
                let page = opened.reader.history_of(&of, before, limit).unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                history.extend(page);
            }
            prop_assert_eq!(outputs, chain.utxos_of(&of, None, usize::MAX));
            prop_assert_eq!(history, chain.history_of(&of, None, usize::MAX));
        }
    }
}

/// D-1: consensus builds on a block that it decided at once, readers only once it is durable.
#[test]
fn a_block_is_seen_by_consensus_at_once_and_by_readers_when_published() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    let before = chain.clone();
    let grown = chain.grow(5, 1);
    let (made, utxo) = grown.delta.created[0];

    opened.ledger.push(&grown.delta);
    assert_eq!(opened.ledger.utxo(&made).unwrap(), Some(utxo));
    assert_eq!(opened.ledger.committed_at(&grown.delta.coinbase).unwrap(), Some(chain.state.height));
    assert_eq!(opened.reader.utxo(&made).unwrap(), None);

    opened.journal.append(&[Record::Block(grown.block)]).unwrap();
    assert_eq!(opened.reader.tip(), before.state.height);
    assert!(opened.reader.block(chain.state.height).unwrap().is_none());

    opened.ledger.publish().unwrap();
    chain.assert_same(&opened.reader, &opened.ledger);
}

/// D-10: the driver is held back before more lies in memory than may.
#[test]
fn a_checkpoint_happens_by_itself_before_there_are_too_many_layers() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    for _ in 0..LAYERS_MAX {
        decide(&mut opened, &mut chain, 1, 1);
    }
    drop(opened);
    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    assert!(opened.records.len() < LAYERS_MAX, "{} blocks are replayed", opened.records.len());
    restore(&mut opened, &chain);
    chain.assert_same(&opened.reader, &opened.ledger);
}

/// D-10: more blocks in one turn than there may be layers; nobody waits for ever.
#[test]
fn a_turn_of_very_many_blocks_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    decide(&mut opened, &mut chain, LAYERS_MAX + 50, 1);
    chain.assert_same(&opened.reader, &opened.ledger);
}

/// D-9: checkpoints in the background, while another thread reads: at each moment an output is
/// either there or spent, and what every block keeps is always there.
#[test]
fn readers_never_miss_an_output_while_checkpoints_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let bond = *chain.utxos.iter().find(|(_, utxo)| utxo.output.amount.units() > 1_000_000_000).unwrap().0;
    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    let reader = std::sync::Arc::clone(&opened.reader);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen_done = std::sync::Arc::clone(&done);
    let watcher = std::thread::spawn(move || {
        let mut looks = 0_u64;
        while !seen_done.load(std::sync::atomic::Ordering::Relaxed) {
            let history = reader.history_of(&owner(1), None, usize::MAX).unwrap();
            assert!(
                history.windows(2).all(|pair| (pair[0].0, pair[0].1) > (pair[1].0, pair[1].1)),
                "in order, no repeat"
            );
            let own = reader.utxos_of(&owner(0), None, usize::MAX).unwrap();
            assert!(own.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, no repeat");
            assert_eq!(own.iter().filter(|(outpoint, _)| *outpoint == bond).count(), 1);
            assert!(reader.utxo(&bond).unwrap().is_some());
            looks += 1;
        }
        looks
    });
    for _ in 0..150 {
        let grown = chain.grow_keeping(3, 5, &bond);
        opened.ledger.push(&grown.delta);
        opened.journal.append(&[Record::Block(grown.block)]).unwrap();
        opened.ledger.publish().unwrap();
        opened.ledger.checkpoint().unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(watcher.join().unwrap() > 0);
    chain.assert_same(&opened.reader, &opened.ledger);
}
