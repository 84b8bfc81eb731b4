//! One run seed gives one stream of randomness per iteration of each cell.
//!
//! The seed of a stream is `SplitMix64` (Steele, Lea and Flood, 2014) over the run's seed, the
//! cell's name and the number of the iteration, so that a cell draws the same values whether it
//! runs alone or beside others.

use std::fmt;

/// The seed of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

/// The stream of the arrivals: none that an iteration, or a cell's set-up, has.
const ARRIVALS: u64 = u64::MAX - 1;

impl Seed {
    /// The seed of the arrivals of an open model.
    pub fn of_arrivals(self, cell: &str) -> u64 {
        self.stream(cell, ARRIVALS)
    }

    /// The seed of one iteration of one cell.
    pub fn stream(self, cell: &str, iteration: u64) -> u64 {
        let cell = cell.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        mix(mix(self.0 ^ cell).wrapping_add(iteration))
    }

    /// The seed of one round, from 1: every round draws anew, in all cells alike.
    #[must_use]
    pub fn of_round(self, round: u32) -> Self {
        Self(self.stream("round", u64::from(round)))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn streams_repeat_with_the_seed_and_differ_between_cells_and_iterations() {
        let streams: HashSet<u64> = ["a", "b"]
            .iter()
            .flat_map(|cell| (0..1000).map(|iteration| Seed(7).stream(cell, iteration)))
            .collect();
        assert_eq!(streams.len(), 2000);
        assert_eq!(Seed(7).stream("a", 3), Seed(7).stream("a", 3));
        assert_ne!(Seed(8).stream("a", 3), Seed(7).stream("a", 3));
    }
}
