//! What a request may contain, checked before anything is sent.
//!
//! The limits are those of the API server, the controller and the router: a name that a router
//! would refuse later is refused here. Source: Python SDK 1.0.8, and the router for names.

use jiff::{SignedDuration, Timestamp};

use super::claim::{ClaimSource, CreateRequest, Existing, WarmStart};
use super::error::CreateError;
use crate::api::ApiVersion;

const NAME: &str =
    "it must be 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends";
const KEY: &str = "it must be a name of 1 to 63 letters, digits, `-`, `_` and `.`, if need be \
                   after a DNS prefix and `/`";
const VALUE: &str = "it must be at most 63 letters, digits, `-`, `_` and `.`, with a letter or \
                     digit at both ends";
const VARIABLE: &str = "it must be letters, digits, `-`, `_` and `.`, and begin neither with a \
                        digit nor with `..`";

/// Refuses what the API server or the router would refuse later.
pub(super) fn check(
    version: ApiVersion,
    name: &str,
    request: &CreateRequest,
) -> Result<(), CreateError> {
    if !is_dns_label(name) {
        return invalid("name", name, NAME);
    }
    let (ClaimSource::WarmPool(source) | ClaimSource::Template(source)) = &request.source;
    if source.is_empty() {
        return invalid("warm pool or template", source, "it is empty");
    }
    for (key, value) in request.labels.iter().chain(&request.pod_labels) {
        if !is_label_key(key) {
            return invalid("label", key, KEY);
        }
        if !is_label_value(value) {
            return invalid("label value", value, VALUE);
        }
    }
    for variable in &request.env {
        if !is_variable_name(&variable.name) {
            return invalid("environment variable", &variable.name, VARIABLE);
        }
    }
    check_life(request)?;
    check_volumes(version, request)?;
    check_policies(version, request)
}

fn check_life(request: &CreateRequest) -> Result<(), CreateError> {
    let Some(ttl) = request.time_to_live else {
        return Ok(());
    };
    if ttl.is_zero() {
        return invalid("time to live", "0", "it must be longer than nothing");
    }
    let end = SignedDuration::try_from(ttl).map(|ttl| Timestamp::now().checked_add(ttl));
    if !matches!(end, Ok(Ok(_))) {
        let seconds = format!("{}s", ttl.as_secs());
        return invalid("time to live", &seconds, "it would end after the year 9999");
    }
    Ok(())
}

fn check_volumes(version: ApiVersion, request: &CreateRequest) -> Result<(), CreateError> {
    for volume in &request.volumes {
        if version == ApiVersion::V1Alpha1 {
            let problem = "this cluster speaks v1alpha1, where a claim cannot have volumes";
            return invalid("volume", &volume.name, problem);
        }
        if !is_dns_label(&volume.name) {
            return invalid("volume", &volume.name, NAME);
        }
        if volume.access_modes.is_empty() {
            return invalid("volume", &volume.name, "it has no access mode");
        }
    }
    Ok(())
}

fn check_policies(version: ApiVersion, request: &CreateRequest) -> Result<(), CreateError> {
    if request.warm_start == WarmStart::Never && version == ApiVersion::V1Beta1 {
        let problem = "this cluster speaks v1beta1, where only the pool decides; name a pool \
                       with `replicas: 0`";
        return invalid("warm start", "never", problem);
    }
    if request.existing == Existing::Adopt && request.name.is_none() {
        let problem = "only a claim with an explicit name can be adopted";
        return invalid("existing", "adopt", problem);
    }
    Ok(())
}

fn invalid(setting: &'static str, value: &str, problem: &'static str) -> Result<(), CreateError> {
    Err(CreateError::Invalid {
        setting,
        value: value.to_owned(),
        problem,
    })
}

/// Whether a text is a DNS label (RFC 1123).
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text can be the value of a Kubernetes label.
pub(super) fn is_label_value(text: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && end(text.bytes().next())
        && end(text.bytes().next_back())
}

/// Whether a text can be the key of a Kubernetes label.
fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let end = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let good = |prefix: &str| {
        prefix.len() <= 253
            && prefix.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
            })
            && end(prefix.bytes().next())
            && end(prefix.bytes().next_back())
    };
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(good)
}

/// Whether a text can be the name of an environment variable in Kubernetes.
fn is_variable_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text != "."
        && !text.starts_with("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_be_dns_labels_of_at_most_63_characters() {
        for good in ["a", "sandbox-claim-0123456789abcdef", &"x".repeat(63)] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ü", &"x".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
        }
    }

    #[test]
    fn label_keys_have_a_name_and_may_have_a_dns_prefix() {
        let longest = format!("{}/{}", "p".repeat(253), "n".repeat(63));
        for good in ["a", "A_b.c", "example.com/Team", "a/b", &longest] {
            assert!(is_label_key(good), "{good}");
        }
        let long = format!("{}/n", "p".repeat(254));
        for bad in ["", "/a", "a/", "A/b", "-a/b", "a/b/c", "a b", "_a", &long] {
            assert!(!is_label_key(bad), "{bad}");
        }
        assert!(!is_label_key(&"n".repeat(64)));
    }

    #[test]
    fn variables_may_begin_with_anything_but_a_digit_and_two_dots() {
        for good in ["A", "_a", "-a.b", ".a"] {
            assert!(is_variable_name(good), "{good}");
        }
        for bad in ["", "1a", ".", "..", "..a", "a b", "a=b", "ü"] {
            assert!(!is_variable_name(bad), "{bad}");
        }
    }
}
