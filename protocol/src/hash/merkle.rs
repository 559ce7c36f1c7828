//! Merkle trees over txids (`SPEC.md` H-3).

use super::{Domain, DomainHasher, Hash, MerkleRoot, Txid, hash_bytes};
use crate::codec::{Decode, Encode};
use alloc::vec::Vec;

fn leaf(txid: &Txid) -> [u8; 32] {
    hash_bytes(Domain::MerkleLeaf, &txid.0)
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    DomainHasher::new(Domain::MerkleNode).update(left).update(right).finish()
}

fn level_up(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            [last] => *last,
            _ => [0; 32], // `chunks` gives no such thing
        })
        .collect()
}

/// Root of the Merkle tree over `txids` (H-3): leaves and nodes hashed in domains of their own;
/// an odd node moves up unchanged; the root of no leaves is 32 zero bytes.
#[must_use]
pub fn merkle_root(txids: &[Txid]) -> MerkleRoot {
    let mut level: Vec<_> = txids.iter().map(leaf).collect();
    while level.len() > 1 {
        level = level_up(&level);
    }
    MerkleRoot(level.first().copied().unwrap_or_default())
}

/// The siblings from a leaf up to the root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct MerklePath {
    /// Position of the leaf.
    pub index: u32,
    /// Number of leaves of the tree.
    pub leaves: u32,
    /// Sibling hashes, from the leaf's level up; levels where the node has no sibling are left out.
    pub siblings: Vec<Hash>,
}

/// The path of leaf `index`, or `None` if there is no such leaf.
#[must_use]
pub fn merkle_path(txids: &[Txid], index: usize) -> Option<MerklePath> {
    if index >= txids.len() {
        return None;
    }
    let mut siblings = Vec::new();
    let mut level: Vec<_> = txids.iter().map(leaf).collect();
    let mut at = index;
    while level.len() > 1 {
        if let Some(sibling) = level.get(at ^ 1) {
            siblings.push(Hash(*sibling));
        }
        level = level_up(&level);
        at /= 2;
    }
    Some(MerklePath { index: u32::try_from(index).ok()?, leaves: u32::try_from(txids.len()).ok()?, siblings })
}

impl MerklePath {
    /// The root that this path leads to from `txid`, or `None` if its shape is impossible.
    #[must_use]
    pub fn root(&self, txid: &Txid) -> Option<MerkleRoot> {
        if self.index >= self.leaves {
            return None;
        }
        let mut hash = leaf(txid);
        let (mut at, mut width) = (self.index, self.leaves);
        let mut siblings = self.siblings.iter();
        while width > 1 {
            let has_sibling = (at ^ 1) < width;
            if has_sibling {
                let sibling = siblings.next()?;
                hash = if at % 2 == 0 { node(&hash, &sibling.0) } else { node(&sibling.0, &hash) };
            }
            at /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none().then_some(MerkleRoot(hash))
    }
}

#[cfg(test)]
mod tests {
    //! Rules: H-3.

    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn txids(count: u8) -> Vec<Txid> {
        (1..=count).map(|byte| Txid([byte; 32])).collect()
    }

    #[test]
    fn small_trees_have_the_shape_of_h_3() {
        let all = txids(5);
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| leaf(&all[at]));
        assert_eq!(merkle_root(&[]), MerkleRoot([0; 32]));
        assert_eq!(merkle_root(&all[..1]).0, a);
        assert_eq!(merkle_root(&all[..2]).0, node(&a, &b));
        assert_eq!(merkle_root(&all[..3]).0, node(&node(&a, &b), &c), "the odd one moves up unchanged");
        assert_eq!(merkle_root(&all).0, node(&node(&node(&a, &b), &node(&c, &d)), &e));
    }

    #[test]
    fn every_path_of_every_size_leads_to_the_root_h_3() {
        for count in 1..=65 {
            let all = txids(count);
            let root = merkle_root(&all);
            for (index, txid) in all.iter().enumerate() {
                let path = merkle_path(&all, index).unwrap();
                assert_eq!(path.root(txid), Some(root), "leaf {index} of {count}");
            }
            assert_eq!(merkle_path(&all, usize::from(count)), None);
        }
        assert_eq!(merkle_path(&[], 0), None);
    }

    #[test]
    fn a_path_of_another_leaf_or_with_a_changed_sibling_leads_elsewhere_h_3() {
        for count in 2..=33 {
            let all = txids(count);
            let root = merkle_root(&all);
            for (index, txid) in all.iter().enumerate() {
                let path = merkle_path(&all, index).unwrap();
                assert_ne!(path.root(&Txid([0; 32])), Some(root));
                assert_ne!(path.root(&all[(index + 1) % all.len()]), Some(root));
                for level in 0..path.siblings.len() {
                    let mut wrong = path.clone();
                    wrong.siblings[level].0[31] ^= 1;
                    assert_ne!(wrong.root(txid), Some(root), "leaf {index} of {count}, level {level}");
                }
            }
        }
    }

    #[test]
    fn a_path_of_impossible_shape_leads_nowhere_h_3() {
        let all = txids(7);
        for (index, txid) in all.iter().enumerate() {
            let path = merkle_path(&all, index).unwrap();
            let mut longer = path.clone();
            longer.siblings.push(Hash([0; 32]));
            let mut shorter = path.clone();
            shorter.siblings.pop();
            let outside = MerklePath { index: 7, ..path.clone() };
            let empty = MerklePath { leaves: 0, ..path };
            for wrong in [longer, shorter, outside, empty] {
                assert_eq!(wrong.root(txid), None, "{wrong:?}");
            }
        }
        let endless = MerklePath { index: u32::MAX - 1, leaves: u32::MAX, siblings: vec![] };
        assert_eq!(endless.root(&all[0]), None);
    }

    #[test]
    fn an_inner_node_does_not_pass_for_a_leaf_h_3() {
        let all = txids(4);
        let inner = Txid(node(&leaf(&all[0]), &leaf(&all[1])));
        let right = Hash(node(&leaf(&all[2]), &leaf(&all[3])));
        let path = MerklePath { index: 0, leaves: 2, siblings: vec![right] };
        assert_ne!(path.root(&inner), Some(merkle_root(&all)));
    }

    proptest! {
        #[test]
        fn any_path_is_judged_without_panic(index: u32, leaves: u32, siblings in prop::collection::vec(any::<[u8; 32]>(), 0..34)) {
            let path = MerklePath { index, leaves, siblings: siblings.into_iter().map(Hash).collect() };
            if path.root(&Txid([1; 32])).is_some() {
                prop_assert!(index < leaves && path.siblings.len() <= 32);
            }
        }

        #[test]
        fn different_lists_have_different_roots(a in prop::collection::vec(0_u8..3, 0..9), b in prop::collection::vec(0_u8..3, 0..9)) {
            let root = |bytes: &[u8]| merkle_root(&bytes.iter().map(|byte| Txid([*byte; 32])).collect::<Vec<_>>());
            prop_assert_eq!(root(&a) == root(&b), a == b);
        }
    }
}
