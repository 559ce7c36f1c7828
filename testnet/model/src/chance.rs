//! Chance that can be repeated.

/// Numbers by SplitMix64: the same ones of a seed on every machine, and with every version of everything.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `range`.
    pub fn below(&mut self, range: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = u128::from(mixed ^ mixed >> 31);
        usize::try_from((mixed * range as u128) >> 64).unwrap_or_default()
    }
}
