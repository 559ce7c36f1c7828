//! The corpus, replayed without libFuzzer: whatever a target found once stays found, on every machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use timecoin_fuzz::decode::{DECODERS, judge};
use timecoin_fuzz::{TARGETS, Target};

/// Longest that one input may take, in seconds, on a slow machine; one takes milliseconds.
const INPUT_SECONDS_MAX: u64 = 20;
/// Most files of one target in the repository.
const FILES_MAX: usize = 400;
/// Most bytes of one target in the repository.
const CORPUS_BYTES_MAX: usize = 512 * 1024;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn replay((name, run): Target) {
    let files = corpus(name);
    assert!(!files.is_empty(), "the corpus of {name} is gone");
    for (path, bytes) in files {
        let start = Instant::now();
        assert!(catch_unwind(|| run(&bytes)).is_ok(), "{} breaks {name}; the panic is above", path.display());
        let limit = Duration::from_secs(INPUT_SECONDS_MAX);
        assert!(start.elapsed() < limit, "{} takes {:?}", path.display(), start.elapsed());
    }
}

#[test]
fn nothing_in_the_corpus_of_decode_breaks_a_decoder() {
    replay(TARGETS[0]);
}

#[test]
fn nothing_in_the_corpus_of_text_breaks_a_parser() {
    replay(TARGETS[1]);
}

#[test]
fn nothing_in_the_corpus_of_ledger_apply_breaks_the_ledger() {
    replay(TARGETS[2]);
}

#[test]
fn nothing_in_the_corpus_of_engine_step_breaks_the_engine() {
    replay(TARGETS[3]);
}

/// A script that ends epochs by the usual way of heights and seals is in the corpus, so that libFuzzer finds what
/// comes after one: with `TIMECOIN_WRITE_SEEDS=1` it is written.
#[test]
fn the_usual_heights_and_seals_end_epochs() {
    let payment = [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let height = [0x60, 0xff, 0, 0, 0, 0, 0];
    let mut bytes = vec![0, 0];
    for _ in 0..3 {
        bytes.extend(payment);
        bytes.extend(height.repeat(2));
        bytes.extend([0x61, 0]);
        bytes.extend(height.repeat(2));
    }
    let epochs = timecoin_fuzz::engine_step::run_to_epoch(&bytes);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/engine_step/epochs-end");
    if std::env::var_os("TIMECOIN_WRITE_SEEDS").is_some() {
        fs::write(&path, &bytes).unwrap();
    }
    assert!(epochs >= 2, "{epochs} epochs ended");
    assert_eq!(fs::read(path).unwrap(), bytes);
}

#[test]
fn every_folder_of_the_corpus_has_a_target_and_is_small() {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
    let folders: BTreeSet<String> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(folders, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
    for folder in &folders {
        let files = corpus(folder);
        let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(
            files.len() <= FILES_MAX && bytes <= CORPUS_BYTES_MAX,
            "{folder}: {} files, {bytes} bytes",
            files.len()
        );
    }
}

/// The golden vectors as seeds. With `TIMECOIN_WRITE_SEEDS=1` they are written into the corpus.
#[test]
fn every_golden_vector_is_accepted_by_its_decoder_w_2() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = fs::read_to_string(manifest.join("../tests/vectors/encodings.json")).unwrap();
    let vectors: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&vectors).unwrap();
    for (name, value) in vectors {
        let type_name = name.split(':').next().unwrap();
        let position = DECODERS.iter().position(|(decoder, _)| *decoder == type_name);
        let position = position.unwrap_or_else(|| panic!("no decoder for {name}: add one at the end of DECODERS"));
        let mut bytes = vec![u8::try_from(position).unwrap()];
        bytes.extend(hex::decode(value.as_str().unwrap()).unwrap());
        assert!(judge(&bytes), "{name}");
        bytes.push(0);
        assert!(!judge(&bytes), "{name} with a byte too many");
        bytes.pop();
        if std::env::var_os("TIMECOIN_WRITE_SEEDS").is_some() {
            let file = format!("vector-{}", name.to_lowercase().replace([':', ' '], "-").replace("--", "-"));
            fs::write(manifest.join("corpus/decode").join(file), bytes).unwrap();
        }
    }
}
