//! [`Feed`]: which row of data an iteration gets.
//!
//! It follows from the number of the iteration and the seed alone, so that a run with the same seed
//! gives every iteration the same row, however fast the VUs are.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use super::seed::Seed;
use crate::expr::Value;
use crate::scenario::{DataEnd, DataOrder};

/// The columns of a row.
pub type Row = Vec<(Arc<str>, Value)>;

/// The stream of randomness of the order: none that iterations or arrivals have.
const ORDER: u64 = u64::MAX - 2;

/// The rows for the iterations of a cell.
#[derive(Debug, Clone)]
pub struct Feed {
    rows: Arc<[Row]>,
    /// The places of the rows in the order in which they come; empty: that of the file.
    shuffled: Arc<[usize]>,
    order: DataOrder,
    on_end: DataEnd,
}

impl Feed {
    /// A feed for a cell; `rows` has at least one.
    pub(super) fn new(
        rows: &Arc<[Row]>,
        (order, on_end): (DataOrder, DataEnd),
        (seed, cell): (Seed, &str),
    ) -> Self {
        let mut shuffled = Vec::new();
        if order == DataOrder::Shuffle {
            shuffled.extend(0..rows.len());
            shuffled.shuffle(&mut SmallRng::seed_from_u64(seed.stream(cell, ORDER)));
        }
        Self {
            rows: Arc::clone(rows),
            shuffled: shuffled.into(),
            order,
            on_end,
        }
    }

    /// How many iterations have a row; `None`: all of them.
    pub fn length(&self) -> Option<u64> {
        (self.on_end == DataEnd::Stop).then_some(self.rows.len() as u64)
    }

    /// The row of an iteration of a cell, which is counted from 0. `None` after the last one.
    pub fn row_of(&self, iteration: u64, seed: Seed, cell: &str) -> Option<&Row> {
        // Another number than that of the iteration's steps, which draw from it.
        self.row(iteration, seed.stream(cell, iteration).rotate_left(32))
    }

    /// The row of an iteration, which is counted from 0; `draw` is a random number of its own.
    /// `None` after the last one.
    fn row(&self, iteration: u64, draw: u64) -> Option<&Row> {
        if self.length().is_some_and(|length| iteration >= length) {
            return None;
        }
        let number = match self.order {
            DataOrder::Random => draw,
            DataOrder::Sequential | DataOrder::Shuffle => iteration,
        };
        let place = usize::try_from(number % self.rows.len() as u64).ok()?;
        self.rows.get(*self.shuffled.get(place).unwrap_or(&place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(order: DataOrder, on_end: DataEnd, seed: u64) -> Feed {
        let row = |n: i64| vec![(Arc::from("n"), Value::Int(n))];
        let rows: Arc<[Row]> = (0..20).map(row).collect();
        Feed::new(&rows, (order, on_end), (Seed(seed), "a"))
    }

    fn numbers(feed: &Feed, iterations: std::ops::Range<u64>) -> Vec<Value> {
        let row = |n| Some(feed.row(n, n * 7919)?[0].1.clone());
        iterations.filter_map(row).collect()
    }

    #[test]
    fn rows_come_in_their_order_and_begin_again_or_end() {
        let recycled = feed(DataOrder::Sequential, DataEnd::Recycle, 1);
        assert_eq!(numbers(&recycled, 18..22), [18, 19, 0, 1].map(Value::Int));
        assert_eq!(recycled.length(), None);
        let stopped = feed(DataOrder::Sequential, DataEnd::Stop, 1);
        assert_eq!(numbers(&stopped, 18..22), [18, 19].map(Value::Int));
        assert_eq!(stopped.length(), Some(20));
    }

    #[test]
    fn a_shuffled_feed_has_every_row_once_in_an_order_of_the_seed() {
        let order = |seed| numbers(&feed(DataOrder::Shuffle, DataEnd::Stop, seed), 0..30);
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        let mut sorted = order(7);
        sorted.sort_by_key(|value| match value {
            Value::Int(number) => *number,
            _ => -1,
        });
        assert_eq!(sorted, (0..20).map(Value::Int).collect::<Vec<_>>());
    }

    #[test]
    fn a_random_feed_follows_the_draw() {
        let random = feed(DataOrder::Random, DataEnd::Recycle, 1);
        assert_eq!(random.row(0, 45), random.row(9, 5));
    }
}
