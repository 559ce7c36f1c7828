//! Published vectors: BIP-39 (Trezor's English ones) and SLIP-0010 for ed25519.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use timecoin_node::wallet::Phrase;
use timecoin_protocol::address::NetworkKind;
use timecoin_protocol::keys::SecretKey;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// Entropy and phrase, from the test vectors that BIP-39 links to.
#[test]
fn phrases_are_those_of_bip_39() {
    for (entropy, phrase) in [
        ("00000000000000000000000000000000", [["abandon"; 11].join(" "), "about".into()].join(" ")),
        (
            "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
            "legal winner thank year wave sausage worth useful legal winner thank yellow".into(),
        ),
        (
            "80808080808080808080808080808080",
            "letter advice cage absurd amount doctor acoustic avoid letter advice cage above".into(),
        ),
        ("ffffffffffffffffffffffffffffffff", [["zoo"; 11].join(" "), "wrong".into()].join(" ")),
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            [["abandon"; 23].join(" "), "art".into()].join(" "),
        ),
        (
            "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
            "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol \
             group space point ten exist slush involve unfold"
                .into(),
        ),
    ] {
        let made = Phrase::from_entropy(&bytes(entropy)).unwrap();
        assert_eq!(*made.words(), phrase);
        assert_eq!(*Phrase::parse(&phrase).unwrap().entropy(), bytes(entropy));
    }
}

/// SLIP-0010, "Test vector 1 for ed25519" and "Test vector 2 for ed25519": private and public keys.
#[test]
fn derived_keys_are_those_of_slip_0010() {
    let seed_1 = "000102030405060708090a0b0c0d0e0f";
    let seed_2 = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
    for (seed, path, private, public) in [
        (
            seed_1,
            [].as_slice(),
            "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
            "a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
        ),
        (
            seed_1,
            &[0],
            "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
            "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
        ),
        (
            seed_1,
            &[0, 1],
            "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2",
            "1932a5270f335bed617d5b935c80aedb1a35bd9fc1e31acafd5372c30f5c1187",
        ),
        (
            seed_1,
            &[0, 1, 2, 2, 1_000_000_000],
            "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
            "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
        ),
        (
            seed_2,
            &[],
            "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012",
            "8fe9693f8fa62a4305a140b9764c5ee01e455963744fe18204b4fb948249308a",
        ),
        (
            seed_2,
            &[0],
            "1559eb2bbec5790b0c65d8693e4d0875b1747f4970ae8b650486ed7470845635",
            "86fab68dcb57aa196c77c5f264f215a112c22a912c10d123b0d03c3c28ef1037",
        ),
    ] {
        let derived = slip10_ed25519::derive_ed25519_private_key(&bytes(seed), path);
        assert_eq!(hex::encode(derived), private, "{path:?}");
        assert_eq!(SecretKey::from_seed(&derived).public().to_string(), public, "{path:?}");
    }
}

/// The wallet's own path, pinned: a change would lose everybody's money.
#[test]
fn the_wallets_path_never_changes() {
    let phrase = Phrase::from_entropy(&[0; 16]).unwrap();
    let bip39_seed = bytes(
        "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4",
    );
    for (network, coin) in [(NetworkKind::Mainnet, 1_414_090_053), (NetworkKind::Testnet, 1), (NetworkKind::Devnet, 1)]
    {
        let expected = slip10_ed25519::derive_ed25519_private_key(&bip39_seed, &[44, coin, 2, 0, 7]);
        let keys = phrase.keys(network, 2, 7..8);
        assert_eq!(keys[0].seed(), expected, "{network:?}");
    }
}
