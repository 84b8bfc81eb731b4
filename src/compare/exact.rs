//! Ranks and the exact distributions of their sums where nothing but chance decides.
//!
//! Ranks are doubled, so that the mean ranks of ties are whole numbers.

/// Twice the rank of each value, ties sharing the mean of theirs.
pub(super) fn doubled_ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0; values.len()];
    for tied in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let before = order.iter().take_while(|at| **at != tied[0]).count();
        // Ranks before + 1 to before + n have the mean before + (n + 1) / 2.
        let doubled = 2 * before + tied.len() + 1;
        for at in tied {
            ranks[*at] = doubled;
        }
    }
    ranks
}

/// Probability of each sum when every rank is in it or not, with equal chance.
pub(super) fn signed(ranks: &[usize]) -> Vec<f64> {
    let total: usize = ranks.iter().sum();
    let mut chance = vec![0.0; total + 1];
    chance[0] = 1.0;
    let mut reached = 0;
    for rank in ranks {
        for sum in (0..=reached).rev() {
            let half = chance[sum] / 2.0;
            chance[sum] = half;
            chance[sum + rank] += half;
        }
        reached += rank;
    }
    chance
}

/// Probability of each sum of `chosen` of the ranks, every choice having equal chance.
pub(super) fn chosen(ranks: &[usize], chosen: usize) -> Vec<f64> {
    let total: usize = ranks.iter().sum();
    // Row k: how likely the first ranks have k of them chosen, by their sum. A rank is chosen with
    // the share of what is still to be chosen, which makes all choices equally likely.
    let mut chance = vec![vec![0.0; total + 1]; chosen + 1];
    chance[0][0] = 1.0;
    for (seen, rank) in ranks.iter().enumerate() {
        let left = (ranks.len() - seen) as f64;
        for taken in (0..=chosen.min(seen)).rev() {
            let take = (chosen - taken) as f64 / left;
            for sum in (0..=total - rank).rev() {
                let here = chance[taken][sum];
                if here <= 0.0 {
                    continue;
                }
                chance[taken][sum] = here * (1.0 - take);
                if taken < chosen {
                    chance[taken + 1][sum + rank] += here * take;
                }
            }
        }
    }
    chance.swap_remove(chosen)
}

/// Probability of a sum as far from the middle as this one or farther, on both sides.
pub(super) fn both_sides(chance: &[f64], sum: usize) -> f64 {
    let below: f64 = chance[..=sum].iter().sum();
    let above: f64 = chance[sum..].iter().sum();
    (2.0 * below.min(above)).min(1.0)
}

/// How many sums from either end are refused at most with this probability for both sides together.
pub(super) fn refused(chance: &[f64], both: f64) -> usize {
    let mut tail = 0.0;
    let within = chance.iter().take_while(|chance| {
        tail += **chance;
        // Sums of halves and thirds carry rounding errors.
        2.0 * tail <= both + 1e-12
    });
    within.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_the_mean_of_their_ranks() {
        assert_eq!(doubled_ranks(&[3.0, 1.0, 2.0]), [6, 2, 4]);
        assert_eq!(doubled_ranks(&[1.0, 1.0, 5.0]), [3, 3, 6]);
        assert_eq!(doubled_ranks(&[]), Vec::<usize>::new());
    }

    #[test]
    fn distributions_are_those_of_all_choices_counted_one_by_one() {
        let ranks = [2, 5, 5, 8, 10];
        let total: usize = ranks.iter().sum();
        let mut subsets = vec![0.0; total + 1];
        let mut pairs = vec![0.0; total + 1];
        for subset in 0_u32..32 {
            let taken = ranks.iter().enumerate();
            let taken = taken.filter(|(at, _)| subset >> at & 1 == 1);
            let sum: usize = taken.map(|(_, rank)| rank).sum();
            subsets[sum] += 1.0 / 32.0;
            if subset.count_ones() == 2 {
                pairs[sum] += 1.0 / 10.0;
            }
        }
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&signed(&ranks), &subsets));
        assert!(close(&chosen(&ranks, 2), &pairs));
    }
}
