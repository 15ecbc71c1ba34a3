//! How often and when something was used.

/// How often and when something was used. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Number of uses.
    pub count: u64,
    /// The first use.
    pub first: u64,
    /// The last use.
    pub last: u64,
    /// Numbers of uses in periods, by the beginnings of the periods, in order. A period ends where the next one
    /// begins. Those that are long ago are long.
    periods: Vec<(u64, u64)>,
}

impl Usage {
    /// Length of the shortest period, in seconds.
    const SHORTEST: u64 = 60;
    /// Most periods that are kept.
    const MOST: usize = 16;

    /// So many uses at `now`.
    pub fn new(count: u64, now: u64) -> Self {
        Self { count, first: now, last: now, periods: vec![(Self::begin(now), count)] }
    }

    fn begin(at: u64) -> u64 {
        at.saturating_sub(at.checked_rem(Self::SHORTEST).unwrap_or(0))
    }

    /// Adds uses at `now`.
    pub fn add(&mut self, count: u64, now: u64) {
        self.merge(&Self::new(count, now));
    }

    /// Adds uses that were counted apart.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for (begin, count) in &other.periods {
            match self.periods.binary_search_by_key(begin, |(begin, _)| *begin) {
                Ok(at) => {
                    if let Some((_, own)) = self.periods.get_mut(at) {
                        *own = own.saturating_add(*count);
                    }
                }
                Err(at) => self.periods.insert(at, (*begin, *count)),
            }
        }
        while self.periods.len() > Self::MOST {
            self.join_two();
        }
    }

    /// Joins the two neighbours that are shortest in comparison with how long ago they are.
    fn join_two(&mut self) {
        let end = self.last.saturating_add(Self::SHORTEST);
        let end_of = |at: usize| self.periods.get(at).map_or(end, |(begin, _)| *begin);
        let share = |at: &usize| {
            let begin = end_of(*at);
            let length = end_of(at.saturating_add(2)).saturating_sub(begin);
            let age = end.saturating_sub(begin).max(1);
            length.saturating_mul(1 << 16).checked_div(age).unwrap_or(0)
        };
        let Some(at) = (0..self.periods.len().saturating_sub(1)).min_by_key(share) else { return };
        let (_, count) = self.periods.remove(at.saturating_add(1));
        if let Some((_, own)) = self.periods.get_mut(at) {
            *own = own.saturating_add(count);
        }
    }

    /// Returns the number of uses since `since`, together with those in the same period.
    pub fn count_since(&self, since: u64) -> u64 {
        let end_of = |at: usize| self.periods.get(at).map_or(u64::MAX, |(begin, _)| *begin);
        let periods = self.periods.iter().enumerate();
        let later = periods.filter(|(at, _)| end_of(at.saturating_add(1)) > since);
        later.map(|(_, (_, count))| count).fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Appends it to a line of the state file.
    pub(super) fn write(&self, out: &mut String) {
        out.push_str(&format!("{} {} {}", self.count, self.first, self.last));
        let mut sign = ' ';
        for (begin, count) in &self.periods {
            out.push_str(&format!("{sign}{begin}+{count}"));
            sign = ',';
        }
    }

    /// Reads what [`Usage::write`] has written.
    pub(super) fn read<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut number = || words.next()?.parse().ok();
        let (count, first, last) = (number()?, number()?, number()?);
        let period = |text: &str| {
            let (begin, count) = text.split_once('+')?;
            Some((begin.parse().ok()?, count.parse().ok()?))
        };
        let periods: Vec<_> = words.next()?.split(',').map(period).collect::<Option<_>>()?;
        let is_bounded =
            periods.len() <= Self::MOST && periods.is_sorted_by_key(|(begin, _)| *begin);
        is_bounded.then_some(Self { count, first, last, periods })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_of_the_last_hour_are_counted_apart_from_older_ones() {
        let start = 1_700_000_000;
        let mut usage = Usage::new(1, start);
        for minute in 1..=60 * 24 * 30 {
            usage.add(1, start + minute * 60);
        }
        let now = start + 60 * 60 * 24 * 30;
        assert_eq!(usage.count, 60 * 24 * 30 + 1);
        assert!(usage.periods.len() <= Usage::MOST);
        for (span, uses) in
            [(60 * 60, 60), (24 * 60 * 60, 24 * 60), (7 * 24 * 60 * 60, 7 * 24 * 60)]
        {
            let counted = usage.count_since(now - span);
            assert!((uses..uses * 2).contains(&counted), "{counted} in {span} s");
        }
        assert_eq!(usage.count_since(0), usage.count);
    }

    #[test]
    fn uses_of_two_workers_are_merged() {
        let mut usage = Usage::new(3, 1000);
        usage.merge(&Usage::new(4, 900));
        usage.merge(&Usage::new(5, 1001));
        assert_eq!((usage.count, usage.first, usage.last), (12, 900, 1001));
        assert_eq!(usage.count_since(960), 8);
        let mut line = String::new();
        usage.write(&mut line);
        assert_eq!(Usage::read(line.split(' ')), Some(usage));
        assert_eq!(Usage::read("1 2 3 4".split(' ')), None);
    }
}
