//! [`Token`]: a secret that callers must show, and [`RouterAuth`]: whether the router asks for one.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// A bearer token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a text as the token.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a request shows the token.
    pub(super) fn admits(&self, headers: &HeaderMap) -> Shown {
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some((scheme, given)) = given.and_then(|value| value.split_once(' ')) else {
            return Shown::None;
        };
        if !scheme.eq_ignore_ascii_case("bearer") || given.is_empty() || given.contains(' ') {
            return Shown::None;
        }
        // The same time whatever the first difference: no hint at the token.
        let differences = given
            .bytes()
            .zip(self.0.bytes())
            .fold(0, |all, (a, b)| all | (a ^ b));
        if given.len() == self.0.len() && differences == 0 {
            Shown::Right
        } else {
            Shown::Wrong
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a request shows in place of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// No `Authorization: Bearer …`.
    None,
    /// Another one.
    Wrong,
    /// The token.
    Right,
}

/// Whether the router asks for a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RouterAuth {
    /// Everybody who reaches it may use it, as in upstream's `allow-all`.
    #[default]
    AllowAll,
    /// `Authorization: Bearer …` must be this, as upstream's Python router asks with
    /// `ROUTER_AUTH_TOKEN`.
    Token(Token),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_right_and_it_is_never_printed() {
        let token = Token::new("s3cret");
        let shown = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, value.parse().unwrap());
            }
            token.admits(&headers)
        };
        assert_eq!(shown(Some("Bearer s3cret")), Shown::Right);
        assert_eq!(shown(Some("bearer s3cret")), Shown::Right);
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer S3cret"] {
            assert_eq!(shown(Some(wrong)), Shown::Wrong, "{wrong}");
        }
        for none in [
            None,
            Some("s3cret"),
            Some("Basic s3cret"),
            Some("Bearer "),
            Some("Bearer a b"),
        ] {
            assert_eq!(shown(none), Shown::None, "{none:?}");
        }
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
