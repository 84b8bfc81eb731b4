//! [`Registrar`]: the claims that an iteration has asked for and not yet deleted.
//!
//! A claim is registered *before* the request that creates it is sent, so that nothing is lost when
//! the request is cancelled half-way.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A claim that may exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its name, which we chose.
    pub name: String,
    /// Its UID, once the API server has told it. Without one nobody knows whether the claim of
    /// this name is ours: whoever cleans up looks for the run's label first.
    pub uid: Option<String>,
}

/// The claims of one iteration, oldest first.
#[derive(Debug, Default)]
pub struct Registrar {
    claims: Mutex<Vec<Registered>>,
}

impl Registrar {
    fn lock(&self) -> MutexGuard<'_, Vec<Registered>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a claim that is about to be created.
    pub fn add(&self, name: &str) {
        self.lock().push(Registered {
            name: name.to_owned(),
            uid: None,
        });
    }

    /// Notes the UID of the claim that was last registered under this name and exists now.
    pub fn set_uid(&self, name: &str, uid: &str) {
        let mut claims = self.lock();
        if let Some(claim) = claims.iter_mut().rev().find(|claim| claim.name == name) {
            claim.uid = Some(uid.to_owned());
        }
    }

    /// Forgets a claim that is deleted or was not created: the one that was last registered under
    /// this name. An earlier one of the same name, which a scenario can choose, stays.
    pub fn remove(&self, name: &str) {
        let mut claims = self.lock();
        if let Some(place) = claims.iter().rposition(|claim| claim.name == name) {
            claims.remove(place);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The names of all of them.
    pub fn names(&self) -> Vec<String> {
        self.lock().iter().map(|claim| claim.name.clone()).collect()
    }

    /// How many claims were asked for without an answer so far.
    pub fn unconfirmed(&self) -> usize {
        let claims = self.lock();
        claims.iter().filter(|claim| claim.uid.is_none()).count()
    }

    /// The claim that was registered last.
    pub fn newest(&self) -> Option<Registered> {
        self.lock().last().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_claim_comes_first_and_a_deleted_one_not_at_all() {
        let registrar = Registrar::default();
        registrar.add("a");
        registrar.add("b");
        registrar.set_uid("b", "u");
        assert_eq!(registrar.unconfirmed(), 1);
        let newest = registrar.newest().unwrap();
        assert_eq!(
            (newest.name.as_str(), newest.uid.as_deref()),
            ("b", Some("u"))
        );
        registrar.remove("b");
        assert_eq!(registrar.newest().unwrap().name, "a");
    }

    #[test]
    fn a_name_that_was_taken_does_not_cost_the_claim_that_has_it() {
        let registrar = Registrar::default();
        registrar.add("a");
        registrar.set_uid("a", "u");
        registrar.add("a");
        registrar.remove("a");
        assert_eq!(registrar.newest().unwrap().uid.as_deref(), Some("u"));
        registrar.remove("a");
        assert_eq!(registrar.newest(), None);
    }
}
