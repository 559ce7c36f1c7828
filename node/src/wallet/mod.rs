//! The wallet without its command line: recovery phrases, derived keys, encrypted keystores, key
//! files, amounts as people write them, choosing coins, building and signing transactions.
//!
//! Nothing here talks to a node. Secrets are wiped from memory when they are dropped.

mod amount;
mod build;
mod coins;
mod keyfile;
mod keystore;
mod phrase;
mod private_file;

pub use amount::{AmountError, format_time, parse_amount};
pub use build::{BuildError, FEE_RATE_MAX, Payment, Plan, bond, pay, withdraw};
pub use coins::{Coin, Selection, SelectionError};
pub use keyfile::{create_key, read_key};
pub use keystore::{Keystore, KeystoreError, UnlockedWallet};
pub use phrase::{COIN_TYPE_MAINNET, COIN_TYPE_TEST, Phrase, PhraseError, path_text};
pub use private_file::{PrivateFileError, create_private, read_private, replace_private};
