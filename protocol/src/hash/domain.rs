//! The uses of hashes, kept apart by their names (`SPEC.md` H-1).

use super::hex::const_hex;
use core::fmt;

/// What a hash is of. Each use has its own BLAKE3 key-derivation context, so that bytes hashed
/// for one use never collide with another's (H-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Transaction body → txid.
    Txid,
    /// What an owner signs to spend.
    Spend,
    /// Block header → block hash.
    Block,
    /// Genesis description → genesis hash.
    Genesis,
    /// Public key → address.
    Address,
    /// A leaf of a Merkle tree.
    MerkleLeaf,
    /// An inner node of a Merkle tree.
    MerkleNode,
    /// A batch of Prepare or Commit votes.
    FinalityVote,
    /// A block proposal.
    Proposal,
    /// A prevote or a precommit.
    BlockVote,
    /// The end of a validator's votes in an epoch.
    Seal,
    /// The transactions that a seal names.
    SealList,
    /// What closes an epoch → its commitment in a header.
    Closing,
    /// A masternode announcement.
    Announcement,
    /// One unspent output in the multiset hash of the UTXO set.
    Utxo,
    /// The state of that multiset hash → its commitment in a header.
    UtxoSet,
    /// A validator set → its commitment in a header.
    Validators,
    /// A commit → its commitment in the next header.
    Commit,
    /// Height → seed of the proposer rotation.
    Proposer,
    /// Message content → gossip message id.
    MessageId,
}

impl Domain {
    /// The BLAKE3 context string of this use.
    #[must_use]
    pub const fn context(self) -> &'static str {
        match self {
            Self::Txid => "timecoin 1 txid",
            Self::Spend => "timecoin 1 spend",
            Self::Block => "timecoin 1 block",
            Self::Genesis => "timecoin 1 genesis",
            Self::Address => "timecoin 1 address",
            Self::MerkleLeaf => "timecoin 1 merkle leaf",
            Self::MerkleNode => "timecoin 1 merkle node",
            Self::FinalityVote => "timecoin 1 finality vote",
            Self::Proposal => "timecoin 1 proposal",
            Self::BlockVote => "timecoin 1 block vote",
            Self::Seal => "timecoin 1 seal",
            Self::SealList => "timecoin 1 seal list",
            Self::Closing => "timecoin 1 closing",
            Self::Announcement => "timecoin 1 announcement",
            Self::Utxo => "timecoin 1 utxo",
            Self::UtxoSet => "timecoin 1 utxo set",
            Self::Validators => "timecoin 1 validators",
            Self::Commit => "timecoin 1 commit",
            Self::Proposer => "timecoin 1 proposer",
            Self::MessageId => "timecoin 1 message id",
        }
    }

    /// The BLAKE3 key that the context string stands for, worked out once: it saves each hash of
    /// something short half of its time.
    pub(super) const fn context_key(self) -> &'static [u8; 32] {
        match self {
            Self::Txid => const { &const_hex("cec751a9bc10dae864781984e12c933d0d2e0eb1a51374a025508820f6f28b8d") },
            Self::Spend => const { &const_hex("ee8d205172683300517dd6506e8d98aa410877d3e9f30fe9b10e1acbd960e4c7") },
            Self::Block => const { &const_hex("adb42ebb69a7079783304465e9089ed2e1b7b26e5c4e2bdca5ae2dd24c621b1e") },
            Self::Genesis => const { &const_hex("b83e5a9c4966fcdb359cd899ae5acc631f9d1ed3cd55c9d8c8f0a5b56ab8d2ad") },
            Self::Address => const { &const_hex("b87b1554dfe7d5671431630381804771bea095a867ab0aa21dbdcbecef709b2c") },
            Self::MerkleLeaf => {
                const { &const_hex("db922a599c1d44998422540e7e04766a7a3ec00b524677ffab919eba4748550f") }
            }
            Self::MerkleNode => {
                const { &const_hex("d90ecebf32c92514550b0ef8ac483872af19b8f8957cc3dd5a5695f99006c57e") }
            }
            Self::FinalityVote => {
                const { &const_hex("6cba44524d2bd917abfef6e8a041465ec84101658305eb2dd4c2844eb1947ad5") }
            }
            Self::Proposal => const { &const_hex("9d30baa50efa7f87ccde4768495a15cec826cbfb1170b8800626962f454f2b62") },
            Self::BlockVote => const { &const_hex("377c9f8427ad4cd548b4852aaa474c33a195e5c48780619132688614a422e0dd") },
            Self::Seal => const { &const_hex("536ceb7a36e7583c230772ff80d139d4fcfa949d93fdcd9fec1e21dd2e107022") },
            Self::SealList => const { &const_hex("0c3a587227f7b00fb5d8bb02f92724bf7b11babf74958de83b4e7e53187b1417") },
            Self::Closing => const { &const_hex("c4606d8725133441fe6716fd59ddce12835f7613f1990a1c2c9bc42fd005c751") },
            Self::Announcement => {
                const { &const_hex("799d6868f1f2d41692c410026e4a53e820562631288e38077c2734a088a9ba22") }
            }
            Self::Utxo => const { &const_hex("c187d1b544b7becf9505adec8d287eaf76281341de0d23cb4ac8eb42d69cbe52") },
            Self::UtxoSet => const { &const_hex("7ff94a03399591f1db508703c1ee2a68a1620bbc2666470d937a16e289d7c695") },
            Self::Validators => {
                const { &const_hex("dae527bb4c305a7c2266d46a117d478e3f6f33ce464b9f7fa68241b3351a68a6") }
            }
            Self::Commit => const { &const_hex("7e2a931292a1543cdf1f2ffbfc715d7f3a12592f9a821ba06a85521ea1af47d8") },
            Self::Proposer => const { &const_hex("772a335c3e2d16b565eb7de289224542e9be058a085cb04040076a4baff6a083") },
            Self::MessageId => const { &const_hex("e4bd2958bcda1f7b1b4f7ad6d6051b663fa7387c1619e250ace61a34256a6912") },
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.context())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::String;

    const ALL: [Domain; 20] = [
        Domain::Txid,
        Domain::Spend,
        Domain::Block,
        Domain::Genesis,
        Domain::Address,
        Domain::MerkleLeaf,
        Domain::MerkleNode,
        Domain::FinalityVote,
        Domain::Proposal,
        Domain::BlockVote,
        Domain::Seal,
        Domain::SealList,
        Domain::Closing,
        Domain::Announcement,
        Domain::Utxo,
        Domain::UtxoSet,
        Domain::Validators,
        Domain::Commit,
        Domain::Proposer,
        Domain::MessageId,
    ];

    #[test]
    fn context_keys_are_those_of_the_context_strings_h_1() {
        for domain in ALL {
            let key = blake3::hazmat::hash_derive_key_context(domain.context());
            let hex: String = key.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
            assert_eq!(domain.context_key(), &key, "the key of {domain} is {hex}");
        }
    }

    #[test]
    fn no_two_uses_share_a_context_h_1() {
        let contexts: BTreeSet<_> = ALL.iter().map(|domain| domain.context()).collect();
        assert_eq!(contexts.len(), ALL.len());
    }
}
