//! [`Counts`]: how often each value occurred, in the buckets of HdrHistogram with three significant digits.
//!
//! A histogram of nanoseconds up to an hour has 33,000 buckets, of which one step of one second fills some
//! dozens. Only pages of 64 buckets in which something was counted have memory, so that to add, clear, read and
//! write a histogram costs what is in it, not what could be.

/// Values that are told apart between two powers of two.
const HALF: usize = 1 << HALF_BITS;
/// Ten bits are three decimal digits.
const HALF_BITS: u32 = 10;
/// Buckets of a page.
const PAGE: usize = 64;

/// Counted values.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Where the counts of each page are among `pages`, from 1; 0 for a page without counts.
    table: Vec<u16>,
    pages: Vec<[u64; PAGE]>,
    total: u64,
}

/// Values that are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// The shortest.
    pub(super) lowest: u64,
    /// The longest.
    pub(super) highest: u64,
}

impl Bucket {
    /// How many there are, of all values that a `u64` can have.
    pub(super) const COUNT: usize = (u64::BITS - HALF_BITS + 1) as usize * HALF;
    /// How many differ in nothing but their last digits: other libraries make them together.
    pub(super) const ROW: usize = HALF;

    /// That of this place.
    pub(super) fn at(index: usize) -> Self {
        let doubling = (index / HALF).saturating_sub(1);
        let lowest = ((index - doubling * HALF) as u64) << doubling;
        Self {
            lowest,
            highest: lowest + ((1 << doubling) - 1),
        }
    }

    /// The place of the bucket of a value.
    #[expect(clippy::cast_possible_truncation, reason = "eleven bits are left")]
    pub(super) fn index_of(value: u64) -> usize {
        let bits = u64::BITS - (value | (2 * HALF as u64 - 1)).leading_zeros();
        let doubling = bits - HALF_BITS - 1;
        doubling as usize * HALF + (value >> doubling) as usize
    }

    /// The middle, which stands for all of them in a mean.
    pub(super) fn middle(self) -> u64 {
        self.lowest + (self.highest - self.lowest).div_ceil(2)
    }
}

impl Counts {
    /// Counts values of the bucket at a place.
    pub(super) fn add(&mut self, index: usize, count: u64) {
        let counted = &mut self.page(index / PAGE)[index % PAGE];
        *counted = counted.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// The counts of a page, made if there are none.
    fn page(&mut self, page: usize) -> &mut [u64; PAGE] {
        if page >= self.table.len() {
            self.table.resize(page + 1, 0);
        }
        if self.table[page] == 0 {
            self.pages.push([0; PAGE]);
            // There are fewer than a thousand pages.
            self.table[page] = u16::try_from(self.pages.len()).unwrap_or(u16::MAX);
        }
        &mut self.pages[usize::from(self.table[page]) - 1]
    }

    /// Adds everything that another one counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for (page, counts) in other.used() {
            for (own, more) in self.page(page).iter_mut().zip(counts) {
                *own = own.saturating_add(*more);
            }
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// Takes away what an earlier copy has.
    pub(super) fn subtract(&mut self, earlier: &Self) {
        for (page, counts) in earlier.used() {
            for (own, less) in self.page(page).iter_mut().zip(counts) {
                *own = own.saturating_sub(*less);
            }
        }
        self.total = self.total.saturating_sub(earlier.total);
    }

    /// Forgets everything, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.pages.clear();
        self.total = 0;
    }

    /// How many values were counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The place of each bucket that is not empty, ascending, and its count.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, u64)> + '_ {
        self.used().flat_map(|(page, counts)| {
            let places = counts.iter().enumerate();
            let found = places.filter(|(_, count)| **count > 0);
            found.map(move |(place, count)| (page * PAGE + place, *count))
        })
    }

    fn used(&self) -> impl DoubleEndedIterator<Item = (usize, &[u64; PAGE])> + '_ {
        let pages = self.table.iter().enumerate();
        pages.filter_map(|(page, slot)| {
            let slot = usize::from(*slot).checked_sub(1)?;
            Some((page, &self.pages[slot]))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let last = Bucket::index_of(u64::MAX);
        assert_eq!(last + 1, Bucket::COUNT);
        for index in 0..last {
            let (this, next) = (Bucket::at(index), Bucket::at(index + 1));
            assert_eq!(this.highest + 1, next.lowest, "{index}");
        }
        assert_eq!(Bucket::at(last).highest, u64::MAX);
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_bucket_to_three_digits(value in 0..=u64::MAX, shift in 0_u32..64) {
            let value = value >> shift;
            let bucket = Bucket::at(Bucket::index_of(value));
            prop_assert!((bucket.lowest..=bucket.highest).contains(&value));
            prop_assert!(bucket.highest - bucket.lowest <= value / 1_000);
        }

        #[test]
        fn what_is_taken_away_leaves_the_rest(
            first in proptest::collection::vec(0_usize..40_000, 0..50),
            then in proptest::collection::vec(0_usize..40_000, 0..50),
        ) {
            let of = |places: &[usize]| {
                let mut counts = Counts::default();
                for place in places {
                    counts.add(*place, 1);
                }
                counts
            };
            let (first, then) = (of(&first), of(&then));
            let mut both = first.clone();
            both.merge(&then);
            prop_assert_eq!(both.total(), first.total() + then.total());
            both.subtract(&first);
            prop_assert_eq!(both.iter().collect::<Vec<_>>(), then.iter().collect::<Vec<_>>());
            both.clear();
            prop_assert_eq!((both.total(), both.iter().count()), (0, 0));
        }
    }
}
