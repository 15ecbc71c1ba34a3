//! The databases that links may select.

use crate::auth::IdentityId;

/// The databases that the upstream has let sessions of each identity select, by its own replies. Any other is
/// asked for, since it may not exist, or a user of Valkey may be limited to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Databases {
    /// In ascending order.
    known: Vec<(IdentityId, u32)>,
}

impl Databases {
    /// Most databases that are remembered. Further ones are asked for each time.
    const MOST: usize = 4096;

    /// Notes that the upstream has let a session of `identity` select database `number`.
    pub fn insert(&mut self, identity: IdentityId, number: u32) {
        let database = (identity, number);
        if self.known.len() < Self::MOST
            && let Err(place) = self.known.binary_search(&database)
        {
            self.known.insert(place, database);
        }
    }

    /// Returns true if the upstream is known to let sessions of `identity` select database `number`.
    pub fn contain(&self, identity: IdentityId, number: u32) -> bool {
        self.known.binary_search(&(identity, number)).is_ok()
    }

    /// Forgets all, as the upstream or the users may be others.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_databases_that_were_selected_are_known_and_a_bound_holds() {
        let mut databases = Databases::default();
        let (one, other) = (IdentityId::FIRST, IdentityId::new(1).unwrap());
        [7, 2, 7, u32::MAX].into_iter().for_each(|number| databases.insert(one, number));
        databases.insert(other, 3);
        let known = [0, 1, 2, 3, 7, u32::MAX].map(|number| databases.contain(one, number));
        assert_eq!(known, [false, false, true, false, true, true]);
        assert!(databases.contain(other, 3) && !databases.contain(other, 7));
        (0..5000).for_each(|number| databases.insert(one, number));
        assert_eq!(databases.known.len(), Databases::MOST);
        databases.clear();
        assert_eq!(databases, Databases::default());
    }
}
