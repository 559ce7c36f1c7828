//! One engine, and a script that plays everybody else: users, peers, the other three validators, the
//! clock and the power switch. The others may sign whatever they like, so nothing is asked of what
//! the network agrees on; but this node must go on, stay within its bounds, answer everybody, and
//! never say anything that its journal does not hold or that contradicts what it said before.

mod answers;
mod blocks;
mod checks;
mod epoch_checks;
mod epochs;
mod messages;
mod node;

use crate::script::Script;
use node::Node;

/// Most decisions of one run.
const STEPS_MAX: usize = 256;

/// Plays the script.
pub fn run(bytes: &[u8]) {
    run_to_epoch(bytes);
}

/// Plays the script, and says how many epochs ended in it.
pub fn run_to_epoch(bytes: &[u8]) -> u64 {
    let script = &mut Script::new(bytes);
    let mut node = Node::new(script);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        step(&mut node, script);
    }
    node.end_turn();
    node.restart(false);
    node.engine.chain_state().epoch.0
}

/// One decision. Messages of a decision with the high bit set share a turn with what follows.
fn step(node: &mut Node, script: &mut Script<'_>) {
    let decision = script.byte();
    match decision & 0x7f {
        0x60 => return node.usual_height(script),
        0x61 | 0x62 => node.everybody_seals(script),
        0x63 => node.seals(script),
        _ => usual_step(node, script, decision & 0x1f),
    }
    if decision < 0x80 {
        node.end_turn();
    }
}

fn usual_step(node: &mut Node, script: &mut Script<'_>, decision: u8) {
    match decision {
        0..4 => node.sleep_until_due(),
        4 | 5 => node.pass(script),
        6 | 7 => node.new_transactions(script),
        8 => node.known_transactions(script),
        9 => node.local_transaction(script),
        10 | 11 => node.finality_votes(script),
        12 => node.everybody_votes_for_one(script),
        13 | 14 => node.block_votes(script),
        15 | 16 => node.everybody_votes_for_a_block(script),
        17 | 18 => node.propose(script),
        19 => node.propose_again(script),
        20 => node.echo(script),
        21 | 22 => node.ask(script),
        23..27 => node.answer(script),
        27 => node.fail(script),
        28 => node.decided_elsewhere(script),
        29 => node.restart(false),
        30 => node.restart(true),
        _ => node.lose_turn(),
    }
}
