//! A node that is killed with SIGKILL at random moments, again and again (`SPEC.md` D-1, D-5).

use crate::process_support::Process;
use crate::support::{Chain, Choices};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use timecoin_node::store::{Opened, Store};
use timecoin_protocol::engine::{Journal, Ledger, Record};
use timecoin_protocol::validator::{Height, Round};

const DIR: &str = "STORE_CRASH_DIR";
const SEED: u64 = 11;
/// Stands for all turns up to a number, after the log was compacted.
const ALL: Round = Round(u32::MAX);

/// Turn `number`: some records, and in every second turn a block.
fn turn(number: u64) -> Vec<Record> {
    (0..=number % 3).map(|part| Record::Round(Height(number), Round(u32::try_from(part).unwrap()))).collect()
}

fn blocks_after(turns: u64) -> usize {
    usize::try_from(turns / 2).unwrap()
}

/// Checks what a restart found and brings the ledger up to date; gives the number of whole turns.
fn recover(opened: &mut Opened, chain: &mut Chain) -> u64 {
    let mut turns = 0;
    let mut rounds = Vec::new();
    let mut blocks = usize::try_from(opened.state.height.0).unwrap();
    while chain.blocks.len() < blocks {
        chain.grow(6, SEED);
    }
    for record in std::mem::take(&mut opened.records) {
        match record {
            Record::Round(Height(number), ALL) => turns = number + 1,
            Record::Block(block) => {
                if chain.blocks.len() == blocks {
                    chain.grow(6, SEED);
                }
                let grown = &chain.blocks[blocks];
                assert_eq!(block, grown.block);
                opened.ledger.push(&grown.delta);
                blocks += 1;
            }
            record => rounds.push(record),
        }
    }
    let mut rounds = rounds.into_iter().peekable();
    while rounds.peek().is_some() {
        for expected in turn(turns) {
            assert_eq!(rounds.next(), Some(expected), "turn {turns} is torn");
        }
        turns += 1;
    }
    assert_eq!(blocks, blocks_after(turns), "the block of a turn is there with its records");
    opened.ledger.publish().unwrap();
    turns
}

/// The child: appends turns and says so, until it is killed.
#[test]
#[ignore = "runs inside `what_was_acknowledged_survives_kill_9`"]
fn child_that_appends_until_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let mut chain = Chain::new();
    let mut opened = Store::open(&dir, &chain.genesis).unwrap();
    let first = recover(&mut opened, &mut chain);
    for number in first.. {
        let mut records = turn(number);
        if blocks_after(number + 1) > chain.blocks.len() {
            let grown = chain.grow(6, SEED);
            opened.ledger.push(&grown.delta);
            records.push(Record::Block(grown.block));
        }
        opened.journal.append(&records).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "appended {number}").unwrap();
        out.flush().unwrap();
        opened.ledger.publish().unwrap();
        if number % 11 == 10 {
            opened.ledger.checkpoint().unwrap();
        }
        if number % 17 == 16 {
            opened.journal.compact(&[Record::Round(Height(number), ALL)]).unwrap();
        }
    }
}

fn start_child(dir: &Path) -> Process {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "crash::child_that_appends_until_killed", "--ignored", "--nocapture"]);
    Process::start(child.env(DIR, dir).stderr(Stdio::null()))
}

/// Lets a child append about `turns` turns, kills it, and gives the last turn that it acknowledged.
fn run_and_kill(dir: &Path, turns: usize) -> Option<u64> {
    let mut child = start_child(dir);
    let acknowledged = |line: String| line.rsplit_once("appended ")?.1.parse().ok();
    let mut lines = 0;
    let mut last = None;
    while lines < turns {
        let Some(line) = child.line() else { break };
        if let Some(number) = acknowledged(line) {
            (last, lines) = (Some(number), lines + 1);
        }
    }
    child.kill(); // SIGKILL, at whatever the child does now
    while let Some(line) = child.line() {
        last = acknowledged(line).or(last);
    }
    last
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut choices = Choices(SEED);
    let mut turns = 0;
    for _ in 0..12 {
        let acknowledged = run_and_kill(dir.path(), 1 + choices.below(40));
        let acknowledged = acknowledged.expect("the child appends until it is killed") + 1;
        let mut chain = Chain::new();
        let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
        let found = recover(&mut opened, &mut chain);
        assert!(found > turns, "the child made progress");
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{acknowledged} acknowledged, {found} found");
        chain.assert_same(&opened.reader, &opened.ledger);
        turns = found;
    }
}
