//! Random choices from a seed: the same seed makes the same choices, on every machine.
//!
//! Not a strategy of a property-testing library: the cases made here are trees whose pieces depend on each other (an
//! expression on a schema, a request on both), and they are made small again by [`crate::oracle`] as trees, which no
//! shrinking of the choices behind them could do as well.

/// A source of choices (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The choices of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice { state: seed }
    }

    /// A number below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("counts fit 64 bits");
        usize::try_from(self.bits() % count).expect("smaller than a count that was a usize")
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// The next 64 bits.
    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }
}
