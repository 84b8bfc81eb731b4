//! [`ServedVersions`]: in which versions the cluster serves the Agent Sandbox kinds.
//!
//! Servers up to 0.4 serve `v1alpha1`, 0.5 both, 1.0 and later `v1beta1`. Objects are always kept as
//! `v1beta1`; a request for `v1alpha1` converts them on their way in and out.

use std::fmt;
use std::str::FromStr;

use crate::api::{ApiVersion, EXTENSIONS_GROUP, GROUP};

/// The served versions of both Agent Sandbox groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServedVersions {
    /// `v1alpha1` alone, as controllers up to 0.4: a claim names a template and adopts from any pool
    /// of it.
    V1Alpha1,
    /// Both, as controllers 0.5: a `v1alpha1` claim uses the pool `shadow-pool-<template>`, which is
    /// made for each template.
    Both,
    /// `v1beta1` alone, as controllers from 1.0 on.
    #[default]
    V1Beta1,
}

impl ServedVersions {
    /// The versions, newest first.
    pub fn versions(self) -> &'static [ApiVersion] {
        match self {
            Self::V1Alpha1 => &[ApiVersion::V1Alpha1],
            Self::Both => &[ApiVersion::V1Beta1, ApiVersion::V1Alpha1],
            Self::V1Beta1 => &[ApiVersion::V1Beta1],
        }
    }

    /// The versions of a group as they stand in URLs, newest first; `own` for the groups that are not
    /// Agent Sandbox's.
    pub(super) fn of_group(self, group: &str, own: &'static str) -> Vec<&'static str> {
        if group == GROUP || group == EXTENSIONS_GROUP {
            self.versions().iter().map(|one| one.as_str()).collect()
        } else {
            vec![own]
        }
    }
}

impl fmt::Display for ServedVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1Alpha1 => "v1alpha1",
            Self::Both => "v1alpha1,v1beta1",
            Self::V1Beta1 => "v1beta1",
        })
    }
}

/// The text names no set of versions that a server has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no set of API versions; use `v1alpha1`, `v1alpha1,v1beta1` or `v1beta1`")]
pub struct UnknownVersions {
    /// What was written.
    pub text: String,
}

impl FromStr for ServedVersions {
    type Err = UnknownVersions;

    fn from_str(text: &str) -> Result<Self, UnknownVersions> {
        let mut names: Vec<&str> = text.split(',').map(str::trim).collect();
        names.sort_unstable();
        match names.as_slice() {
            ["v1alpha1"] => Ok(Self::V1Alpha1),
            ["v1alpha1", "v1beta1"] => Ok(Self::Both),
            ["v1beta1"] => Ok(Self::V1Beta1),
            _ => Err(UnknownVersions {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_any_order_and_print_as_they_are_written() {
        for text in ["v1alpha1", "v1alpha1,v1beta1", "v1beta1"] {
            assert_eq!(text.parse::<ServedVersions>().unwrap().to_string(), text);
        }
        assert_eq!("v1beta1, v1alpha1".parse(), Ok(ServedVersions::Both));
        for wrong in ["", "v1", "v1beta1,v1beta1", "v1alpha1 v1beta1"] {
            assert!(wrong.parse::<ServedVersions>().is_err(), "{wrong}");
        }
    }
}
