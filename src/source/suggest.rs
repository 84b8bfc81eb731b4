//! Did-you-mean: the known word that an unknown one was most likely meant to be.

/// The longest word that is compared; longer ones are not typing mistakes.
const LONGEST: usize = 64;

/// The most known words that are looked at.
const MOST_KNOWN: usize = 1_000;
/// The most words that are listed for people.
const MOST_LISTED: usize = 20;

/// The known word nearest to `unknown`, if one is near enough.
///
/// Case, `-` and `_` do not count. Near is: at most a third of the letters wrong (optimal string
/// alignment distance), or one word ending or beginning with the other (`arrivalRate`, `rate`).
pub fn suggest<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    if unknown.len() > LONGEST {
        return None;
    }
    let known = &known[..known.len().min(MOST_KNOWN)];
    let wanted = plain(unknown);
    if wanted.is_empty() {
        return None;
    }
    let by_distance = known
        .iter()
        .map(|word| (strsim::osa_distance(&wanted, &plain(word)), *word))
        .filter(|(distance, word)| *distance <= (wanted.len().max(word.len()) / 3).max(1))
        .filter(|(distance, word)| *distance < word.len().min(wanted.len()))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, word)) = by_distance {
        return Some(word);
    }
    known.iter().copied().find(|word| {
        let word = plain(word);
        word.len() >= 3
            && wanted.len() >= 3
            && (wanted.ends_with(&word) || wanted.starts_with(&word) || word.starts_with(&wanted))
    })
}

fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// What to say beside an unknown word: the known one that it was most likely meant to be.
pub fn did_you_mean(unknown: &str, known: &[&str]) -> String {
    suggest(unknown, known).map_or_else(
        || "unknown".to_owned(),
        |word| format!("did you mean `{word}`?"),
    )
}

/// Words as a list for people: `` `a`, `b`, `c` ``; the first twenty, then how many more.
pub fn list_of<T: AsRef<str>>(words: &[T]) -> String {
    let mut quoted: Vec<String> = words
        .iter()
        .take(MOST_LISTED)
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    if words.len() > MOST_LISTED {
        quoted.push(format!("and {} more", words.len() - MOST_LISTED));
    }
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_and_word_parts_are_found() {
        let known = ["vus", "iterations", "duration", "gracefulStop", "rate"];
        assert_eq!(suggest("iteration", &known), Some("iterations"));
        assert_eq!(suggest("graceful_stop", &known), Some("gracefulStop"));
        assert_eq!(suggest("arrivalRate", &known), Some("rate"));
        assert_eq!(suggest("vsu", &known), Some("vus"));
        assert_eq!(suggest("banana", &known), None);
        assert_eq!(suggest("", &known), None);
        assert_eq!(suggest(&"x".repeat(1_000_000), &known), None);
    }

    #[test]
    fn short_words_are_not_confused_with_each_other() {
        assert_eq!(suggest("x", &["y"]), None);
        assert_eq!(suggest("run", &["vus"]), None);
    }
}
