//! [`Secrets`]: values that must not be shown: those of the environment that a scenario file uses.

use std::sync::Arc;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";
/// The shortest value that is hidden: hiding `1` would hide every 1.
const SHORTEST: usize = 4;

/// Values that must not be shown. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[String]>);

impl Secrets {
    /// Hides these values, those of at least four characters. Longer ones go first, as one may be
    /// part of another.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let values = values.into_iter();
        let mut values: Vec<String> = values.filter(|value| value.len() >= SHORTEST).collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self(values.into())
    }

    /// The text with `***` in the place of every secret.
    pub fn hide(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for value in self.0.iter() {
            if shown.contains(value) {
                shown = shown.replace(value, HIDDEN);
            }
        }
        shown
    }
}

/// How many there are, and nothing of what they are.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_hidden_wherever_it_is_and_short_values_are_not() {
        let secrets = Secrets::new(["pass".to_owned(), "password".to_owned(), "1".to_owned()]);
        assert_eq!(secrets.hide("a password, pass 1"), "a ***, *** 1");
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
        assert_eq!(Secrets::default().hide("x"), "x");
    }
}
