//! Which messages of a subscription never came (OPC 10000-4, section 5.14.1.4). Pure.

/// The number of the message that comes next.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Expected(Option<u32>);

/// More missing messages than a server can still have are only counted.
const MOST_LISTED: u32 = 1_000;

/// Messages that are missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gap {
    /// The first.
    pub(super) first: u32,
    /// How many.
    pub(super) count: u32,
}

impl Expected {
    /// Takes the number of a message with data, and says what is missing before it.
    pub(super) fn data(&mut self, number: u32) -> Option<Gap> {
        let gap = self.before(number);
        if gap.is_some() || self.0.is_none_or(|expected| expected == number) {
            self.0 = Some(after(number));
        }
        gap
    }

    /// Takes the number in a keep-alive, which is that of the message to come.
    pub(super) fn keep_alive(&mut self, number: u32) -> Option<Gap> {
        let gap = self.before(number);
        if gap.is_some() || self.0.is_none() {
            self.0 = Some(number);
        }
        gap
    }

    /// A number far behind the expected one is that of a message which comes twice or late.
    fn before(self, number: u32) -> Option<Gap> {
        let expected = self.0?;
        let count = number.wrapping_sub(expected);
        (1..u32::MAX / 2).contains(&count).then_some(Gap { first: expected, count })
    }
}

impl Gap {
    /// The numbers to ask for again.
    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        let numbers = (0..self.count.min(MOST_LISTED)).map(move |step| self.first.wrapping_add(step));
        numbers.filter(|number| *number != 0)
    }
}

/// Numbers begin again at 1.
fn after(number: u32) -> u32 {
    number.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::{Expected, Gap};

    #[test]
    fn messages_in_a_row_have_no_gap_and_keep_alives_do_not_count() {
        let mut expected = Expected::default();
        assert_eq!(expected.keep_alive(1), None);
        assert_eq!(expected.data(1), None);
        assert_eq!(expected.keep_alive(2), None);
        assert_eq!(expected.keep_alive(2), None);
        assert_eq!(expected.data(2), None);
    }

    #[test]
    fn what_is_missing_is_told_once_by_a_message_or_by_a_keep_alive() {
        let mut expected = Expected::default();
        assert_eq!(expected.data(5), None);
        assert_eq!(expected.data(8), Some(Gap { first: 6, count: 2 }));
        assert_eq!(expected.keep_alive(10), Some(Gap { first: 9, count: 1 }));
        assert_eq!(expected.keep_alive(10), None);
        assert_eq!(expected.data(9), None);
        assert_eq!(expected.data(10), None);
    }

    #[test]
    fn numbers_begin_again_at_one() {
        let mut expected = Expected::default();
        assert_eq!(expected.data(u32::MAX), None);
        assert_eq!(expected.data(1), None);
        assert_eq!(expected.data(2), None);
    }
}
