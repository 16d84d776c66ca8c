//! When to say again that a certificate ends: once a day, from 30 days before it does. Pure.

use std::time::Duration;

use penstock_events::Timestamp;

use super::own::Expiry;

/// Often enough to be seen, and no more than a line a day.
const EVERY: Duration = Duration::from_secs(86_400);

/// When it was said last.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::opcua) struct Reminder(Option<Timestamp>);

impl Reminder {
    /// What is to be said at `now` of a certificate that is valid until `end`, if it is time to.
    pub(in crate::opcua) fn due(&mut self, end: Timestamp, now: Timestamp) -> Option<Expiry> {
        let expiry = Expiry::until(end, now);
        if expiry == Expiry::Far {
            self.0 = None;
            return None;
        }
        // After a step back of the clock it is said anew.
        let was_said = self.0.is_some_and(|said| now.checked_since(said).is_some_and(|age| age < EVERY));
        if was_said {
            return None;
        }
        self.0 = Some(now);
        Some(expiry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::at;
    use super::{Expiry, Reminder};

    #[test]
    fn the_end_is_told_once_a_day_from_thirty_days_before_and_also_when_it_is_over() {
        let end = at("2026-06-30T12:00:00Z");
        let mut reminder = Reminder::default();
        let mut due = |time: &str| reminder.due(end, at(time));
        assert_eq!(due("2026-01-01T00:00:00Z"), None);
        assert_eq!(due("2026-05-31T11:59:59Z"), None);
        assert_eq!(due("2026-05-31T12:00:00Z"), Some(Expiry::Soon(end)));
        assert_eq!(due("2026-05-31T13:00:00Z"), None);
        assert_eq!(due("2026-06-01T11:59:59Z"), None);
        assert_eq!(due("2026-06-01T12:00:00Z"), Some(Expiry::Soon(end)));
        assert_eq!(due("2026-06-30T12:00:01Z"), Some(Expiry::Over(end)));
        assert_eq!(due("2026-06-30T12:00:02Z"), None);
    }

    #[test]
    fn a_clock_that_is_set_back_or_a_renewed_certificate_silences_nothing() {
        let end = at("2026-06-30T12:00:00Z");
        let mut reminder = Reminder::default();
        assert!(reminder.due(end, at("2026-06-20T00:00:00Z")).is_some());
        assert!(reminder.due(end, at("2026-06-19T00:00:00Z")).is_some());
        assert_eq!(reminder.due(at("2027-06-30T12:00:00Z"), at("2026-06-19T01:00:00Z")), None);
        assert!(reminder.due(end, at("2026-06-19T02:00:00Z")).is_some());
    }
}
