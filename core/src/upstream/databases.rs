//! The databases that links may select.

/// The databases that the upstream has let a session select, by its own replies. Any other is asked for,
/// since it may not exist, or a user of Valkey may be limited to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Databases {
    /// In ascending order.
    numbers: Vec<u32>,
}

impl Databases {
    /// Most databases that are remembered. Further ones are asked for each time.
    const MOST: usize = 1024;

    /// Notes that the upstream has let a session select database `number`.
    pub fn insert(&mut self, number: u32) {
        if self.numbers.len() < Self::MOST
            && let Err(place) = self.numbers.binary_search(&number)
        {
            self.numbers.insert(place, number);
        }
    }

    /// Returns true if the upstream is known to let sessions select database `number`.
    pub fn contains(&self, number: u32) -> bool {
        self.numbers.binary_search(&number).is_ok()
    }

    /// Forgets all, as the upstream or the user may be another.
    pub fn clear(&mut self) {
        self.numbers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_databases_that_were_selected_are_known_and_a_bound_holds() {
        let mut databases = Databases::default();
        [7, 2, 7, u32::MAX].into_iter().for_each(|number| databases.insert(number));
        let known = [0, 1, 2, 3, 7, u32::MAX].map(|number| databases.contains(number));
        assert_eq!(known, [false, false, true, false, true, true]);
        (0..5000).for_each(|number| databases.insert(number));
        assert_eq!(databases.numbers.len(), Databases::MOST);
        databases.clear();
        assert_eq!(databases, Databases::default());
    }
}
