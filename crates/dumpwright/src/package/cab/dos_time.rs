//! The date and time of MS-DOS, which cabinets use: 1980 to 2107, in steps of
//! two seconds.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// Date and time words of `time`, as UTC, cut to what can be said.
pub(super) fn date_and_time(time: SystemTime) -> (u16, u16) {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / DAY);
    if year < 1980 {
        return (word(0, 1, 1, 9, 5), 0);
    }
    if year > 2107 {
        return (word(127, 12, 31, 9, 5), word(23, 59, 29, 11, 5));
    }
    let of_day = seconds % DAY;
    (
        word(year - 1980, month, day, 9, 5),
        word(of_day / 3600, of_day / 60 % 60, of_day % 60 / 2, 11, 5),
    )
}

fn word(a: u64, b: u64, c: u64, a_at: u32, b_at: u32) -> u16 {
    (a << a_at | b << b_at | c) as u16
}

/// Year, month and day of a number of days since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // By whole 400-year cycles, in which the calendar repeats; then by years
    // and months. At most 400 steps, once a file.
    let mut year = 1970 + days / DAYS_IN_400_YEARS * 400;
    let mut left = days % DAYS_IN_400_YEARS;
    loop {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let february = if leap { 29 } else { 28 };
        let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(months) {
            if left < length {
                return (year, month, left + 1);
            }
            left -= length;
        }
        year += 1;
    }
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
