//! Did-you-mean: the known word that is nearest to an unknown one.

/// The word in `known` nearest to `unknown`, if it is near enough to be meant.
///
/// Distance: Damerau-Levenshtein, at most a third of the longer word; a difference only in case,
/// `-` or `_` always counts as near.
pub fn suggest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.replace(['-', '_', ' '], "").to_lowercase();
    let wanted = plain(unknown);
    known
        .into_iter()
        .filter_map(|word| {
            let candidate = plain(word);
            let distance = strsim::damerau_levenshtein(&wanted, &candidate);
            let longest = wanted.chars().count().max(candidate.chars().count());
            let contained = candidate.len() >= 4 && wanted.contains(&candidate);
            (distance * 3 <= longest || contained).then_some((distance, word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["exec", "write", "gracefulStop", "rate"];
        assert_eq!(suggest("exce", known), Some("exec"));
        assert_eq!(suggest("graceful-stop", known), Some("gracefulStop"));
        assert_eq!(suggest("arrivalRate", known), Some("rate"));
        assert_eq!(suggest("banana", known), None);
        assert_eq!(suggest("", known), None);
    }
}
