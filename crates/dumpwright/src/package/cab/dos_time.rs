//! The date and time of MS-DOS, which cabinets use: 1980 to 2107, in steps of
//! two seconds.

use crate::time::CivilTime;
use std::time::{SystemTime, UNIX_EPOCH};

/// Date and time words of `time`, as UTC, cut to what can be said.
pub(super) fn date_and_time(time: SystemTime) -> (u16, u16) {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = CivilTime::from_unix(seconds);
    if time.year < 1980 {
        return (word(0, 1, 1, 9, 5), 0);
    }
    if time.year > 2107 {
        return (word(127, 12, 31, 9, 5), word(23, 59, 29, 11, 5));
    }
    (
        word(time.year - 1980, time.month, time.day, 9, 5),
        word(time.hour, time.minute, time.second / 2, 11, 5),
    )
}

fn word(a: u64, b: u64, c: u64, a_at: u32, b_at: u32) -> u16 {
    (a << a_at | b << b_at | c) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> (u16, u16) {
        date_and_time(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn words(date: [u64; 3], time: [u64; 3]) -> (u16, u16) {
        let [year, month, day] = date;
        let [hour, minute, second] = time;
        (word(year - 1980, month, day, 9, 5), word(hour, minute, second / 2, 11, 5))
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        // `date -u -d @…` says what each is.
        assert_eq!(at(951_827_696), words([2000, 2, 29], [12, 34, 56]));
        assert_eq!(at(2_147_483_648), words([2038, 1, 19], [3, 14, 8]));
        assert_eq!(at(4_107_542_399), words([2100, 2, 28], [23, 59, 59]));
        assert_eq!(at(4_107_542_400), words([2100, 3, 1], [0, 0, 0]));
        assert_eq!(words([2018, 1, 6], [15, 19, 42]), (0x4c26, 0x7a75));
    }

    #[test]
    fn times_out_of_range_are_the_nearest_that_can_be_said() {
        assert_eq!(at(0), (0x21, 0));
        assert_eq!(date_and_time(UNIX_EPOCH - Duration::from_secs(1)), (0x21, 0));
        assert_eq!(at(10_000_000_000), (0xff9f, 0xbf7d));
        assert_eq!(at(u64::from(u32::MAX) * 1000), (0xff9f, 0xbf7d));
    }
}
