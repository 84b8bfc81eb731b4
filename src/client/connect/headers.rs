//! [`ExtraHeaders`]: headers that the caller adds to requests on a sandbox.
//!
//! Later ones replace earlier ones of the same name, in this order: settings of the way, headers
//! of the call, the client's own routing headers. Names that begin with `x-sandbox-` are the
//! router's and are refused. Source: Python SDK 1.0.8.

use std::fmt;

use http::header::{self, HeaderName, HeaderValue};

/// What begins the names of the router's own headers.
const ROUTING: &str = "x-sandbox-";
/// What belongs to the connection or to the body, and not to the caller.
const FRAMING: [HeaderName; 7] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// Headers that are added to requests. Their values never show in `Debug`.
///
/// ```
/// use sandbench::client::connect::ExtraHeaders;
///
/// # fn main() -> Result<(), sandbench::client::connect::HeaderError> {
/// let headers = ExtraHeaders::default().with("x-team", "blue")?;
/// assert_eq!(format!("{headers:?}"), r#"{"x-team"}"#);
/// assert!(headers.with("X-Sandbox-ID", "other").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ExtraHeaders(Vec<(HeaderName, HeaderValue)>);

/// Why a header cannot be added. Its value is not told: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("add the header `{name}`: {problem}")]
pub struct HeaderError {
    /// Name of the header.
    pub name: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl HeaderError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        self.name.to_ascii_lowercase().starts_with(ROUTING).then(|| {
            "routing headers are set from the sandbox and the settings of the way; the one with \
             the pod's address can be left out"
                .to_owned()
        })
    }
}

impl ExtraHeaders {
    /// The same with one header more; it replaces an earlier one of that name.
    ///
    /// # Errors
    /// [`HeaderError`]: not a header, one of the router's (`x-sandbox-…`), or one that the
    /// connection or the body needs (such as `host` and `content-length`).
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        let refused = |problem| HeaderError {
            name: name.to_owned(),
            problem,
        };
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refused("it is not the name of a header"))?;
        if key.as_str().starts_with(ROUTING) {
            return Err(refused(
                "names that begin with `x-sandbox-` are the router's",
            ));
        }
        if FRAMING.contains(&key) {
            return Err(refused("it belongs to the connection or the body"));
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_| refused("its value cannot be a header"))?;
        value.set_sensitive(true);
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, value));
        Ok(self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values.
    pub(in crate::client) fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl fmt::Debug for ExtraHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_router_and_of_the_connection_are_refused() {
        for name in [
            "x-sandbox-id",
            "X-Sandbox-Anything",
            "Host",
            "content-length",
        ] {
            let error = ExtraHeaders::default().with(name, "a").expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = ExtraHeaders::default().with("x-sandbox-id", "a");
        assert!(error.is_err_and(|error| error.help().is_some()));
    }

    #[test]
    fn a_refused_value_is_not_told() {
        let error = ExtraHeaders::default().with("authorization", "Bearer s3cret\n");
        let error = error.expect_err("a line break");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }

    #[test]
    fn a_later_header_replaces_an_earlier_one_of_that_name() {
        let headers = ExtraHeaders::default()
            .with("X-Team", "blue")
            .and_then(|headers| headers.with("x-team", "red"))
            .expect("valid");
        let all: Vec<_> = headers.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(all, ["red"]);
    }
}
