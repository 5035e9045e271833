//! The time zone that a process sees: its `TZ`, else its `/etc/localtime`, read
//! as RFC 9636 (TZif) and POSIX `TZ` strings say. The C library's own functions
//! would answer for this process instead of the target.

use super::proc_dir::ProcDir;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const MAX_FILE: u64 = 1 << 20;
const DAY: i64 = 86_400;

/// Minutes to add to local time for UTC, and the zone's abbreviation, now.
pub(super) fn of_process(proc: &ProcDir, environ: &[u8]) -> Option<(i32, String)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() as i64;
    let variable = environ.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(b"TZ="));
    let read = |path: PathBuf| proc.read_in_root(&path, MAX_FILE).ok();
    let zone = match variable {
        None => match read("/etc/localtime".into()) {
            Some(file) => in_file(&file, now)?,
            // As the C library does.
            None => Zone::utc(),
        },
        Some(name) => {
            let name = String::from_utf8_lossy(name.strip_prefix(b":").unwrap_or(name));
            match name.as_ref() {
                "" => Zone::utc(),
                // `join` lets an absolute path stand for itself.
                name => match read(PathBuf::from("/usr/share/zoneinfo").join(name)) {
                    Some(file) => in_file(&file, now)?,
                    None => in_rule(name, now)?,
                },
            }
        }
    };
    Some(((-zone.offset).div_euclid(60) as i32, zone.name))
}

/// A zone at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// Seconds to add to UTC.
    offset: i64,
    name: String,
}

impl Zone {
    fn utc() -> Self {
        Zone { offset: 0, name: "UTC".into() }
    }
}

/// The zone at `now` by a TZif file.
pub(super) fn in_file(file: &[u8], now: i64) -> Option<Zone> {
    let first = Block::parse(file, 4)?;
    if file.get(4) == Some(&0) {
        return first.at(now);
    }
    // From version 2 on the same again with 64-bit times, then a rule for the
    // time after the last transition.
    let rest = file.get(first.end..)?;
    let second = Block::parse(rest, 8)?;
    let footer = rest.get(second.end..)?.strip_prefix(b"\n").unwrap_or_default();
    let rule = String::from_utf8_lossy(footer.split(|b| *b == b'\n').next().unwrap_or_default());
    if second.last().is_none_or(|last| now >= last) && !rule.is_empty() {
        return in_rule(&rule, now);
    }
    second.at(now)
}

/// Header and data of a TZif file, as slices of it.
struct Block<'a> {
    times: &'a [u8],
    indices: &'a [u8],
    types: &'a [u8],
    names: &'a [u8],
    /// Bytes of the whole block.
    end: usize,
    time_size: usize,
}

impl<'a> Block<'a> {
    fn parse(file: &'a [u8], time_size: usize) -> Option<Self> {
        const HEADER: usize = 44;
        let header = file.get(..HEADER).filter(|h| h.starts_with(b"TZif"))?;
        let count = |i: usize| {
            let at = 20 + 4 * i;
            header[at..at + 4].iter().fold(0usize, |n, b| n << 8 | usize::from(*b))
        };
        let mut at = HEADER;
        let mut take = |count: usize, size: usize| {
            let end = at.checked_add(count.checked_mul(size)?)?;
            let part = file.get(at..end)?;
            at = end;
            Some(part)
        };
        let times = take(count(3), time_size)?;
        let indices = take(count(3), 1)?;
        let types = take(count(4), 6)?;
        let names = take(count(5), 1)?;
        take(count(2), time_size + 4)?;
        take(count(1), 1)?;
        take(count(0), 1)?;
        Some(Block { times, indices, types, names, end: at, time_size })
    }

    fn time(bytes: &[u8]) -> i64 {
        let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
        bytes.iter().fold(if negative { -1 } else { 0 }, |n, b| n << 8 | i64::from(*b))
    }

    fn last(&self) -> Option<i64> {
        self.times.chunks_exact(self.time_size).next_back().map(Self::time)
    }

    fn at(&self, now: i64) -> Option<Zone> {
        let passed =
            self.times.chunks_exact(self.time_size).take_while(|t| Self::time(t) <= now).count();
        let index = match passed.checked_sub(1) {
            Some(last) => usize::from(*self.indices.get(last)?),
            None => 0,
        };
        let kind = self.types.chunks_exact(6).nth(index)?;
        let name = self.names.get(usize::from(kind[5])..)?.split(|b| *b == 0).next()?;
        let name = String::from_utf8_lossy(name).into_owned();
        Some(Zone { offset: Self::time(&kind[..4]), name })
    }
}

/// The zone at `now` by a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
pub(super) fn in_rule(rule: &str, now: i64) -> Option<Zone> {
    let (name, rest) = abbreviation(rule)?;
    let (west, rest) = time(rest)?;
    let standard = Zone { offset: -west, name };
    if rest.is_empty() {
        return Some(standard);
    }
    let (name, rest) = abbreviation(rest)?;
    let (west, rest) =
        if rest.is_empty() || rest.starts_with(',') { (west - 3600, rest) } else { time(rest)? };
    let summer = Zone { offset: -west, name };
    // Without dates: those of the United States, as the C library assumes.
    let rest = if rest.is_empty() { ",M3.2.0,M11.1.0" } else { rest };
    let (start, end) = rest.strip_prefix(',')?.split_once(',')?;
    let year = year_of(now + standard.offset);
    let start = change(start, year)? - standard.offset;
    let end = change(end, year)? - summer.offset;
    let is_summer =
        if start < end { (start..end).contains(&now) } else { !(end..start).contains(&now) };
    Some(if is_summer { summer } else { standard })
}

/// An abbreviation, `CET` or `<+03>`, and what follows it.
fn abbreviation(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('<') {
        let (name, rest) = quoted.split_once('>')?;
        return Some((name.to_owned(), rest));
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    (end >= 3).then(|| (text[..end].to_owned(), &text[end..]))
}

/// `[+-]hh[:mm[:ss]]` in seconds, and what follows it.
fn time(text: &str) -> Option<(i64, &str)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let mut seconds = 0;
    for (part, unit) in text[..end].split(':').zip([3600, 60, 1]) {
        seconds += i64::from(part.parse::<u16>().ok()?) * unit;
    }
    Some((sign * seconds, &text[end..]))
}

/// Local seconds since 1970 of a change such as `M3.5.0/2`, `J60` or `59`.
fn change(rule: &str, year: i64) -> Option<i64> {
    let (date, clock) = match rule.split_once('/') {
        Some((date, clock)) => (date, time(clock)?.0),
        None => (rule, 2 * 3600),
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let day = if let Some(date) = date.strip_prefix('M') {
        let mut parts = date.split('.').map(|p| p.parse::<i64>().ok());
        let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
        if !(1..=12).contains(&month) || !(1..=5).contains(&week) || !(0..=6).contains(&weekday) {
            return None;
        }
        let first = days_before(year, month);
        // 1970-01-01 was a Thursday (4).
        let day = first + (weekday - (first + 4)).rem_euclid(7) + 7 * (week - 1);
        let after =
            if month == 12 { days_before(year + 1, 1) } else { days_before(year, month + 1) };
        if day >= after { day - 7 } else { day }
    } else if let Some(date) = date.strip_prefix('J') {
        // 1 to 365; 29 February is never counted.
        let n = i64::from(date.parse::<u16>().ok()?);
        days_before(year, 1) + n - 1 + i64::from(is_leap && n >= 60)
    } else {
        days_before(year, 1) + i64::from(date.parse::<u16>().ok()?)
    };
    Some(day * DAY + clock)
}

/// Days from 1970-01-01 to the first of a month (proleptic Gregorian).
fn days_before(year: i64, month: i64) -> i64 {
    // Years that begin in March put the leap day last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * month + 2) / 5 - 719_468
}

fn year_of(seconds: i64) -> i64 {
    let days = seconds.div_euclid(DAY);
    let mut year = 1970 + days.div_euclid(366);
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    year
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn minutes(zone: &Zone) -> i64 {
        zone.offset / 60
    }

    #[test]
    fn rules_agree_with_the_c_library() {
        for rule in [
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "EST5EDT,M3.2.0,M11.1.0",
            "AEST-10AEDT,M10.1.0,M4.1.0/3",
            "<+0330>-3:30",
            "IST-1GMT0,M10.5.0,M3.5.0/1",
            "XXX3YYY,J60/0,J300",
        ] {
            for now in (0..40).map(|i| 1_700_000_000 + i * 11 * DAY) {
                let date = Command::new("date")
                    .args(["-d", &format!("@{now}"), "+%z %Z"])
                    .env("TZ", rule)
                    .output()
                    .unwrap();
                let zone = in_rule(rule, now).unwrap();
                let (sign, m) = (if zone.offset < 0 { '-' } else { '+' }, minutes(&zone).abs());
                let ours = format!("{sign}{:02}{:02} {}", m / 60, m % 60, zone.name);
                assert_eq!(String::from_utf8_lossy(&date.stdout).trim(), ours, "{rule} at {now}");
            }
        }
    }

    /// A TZif file: version 1 data empty, one transition in version 2.
    fn tzif(transition: i64, footer: &str) -> Vec<u8> {
        let header = |times: u32| {
            let mut h = b"TZif2".to_vec();
            h.resize(20, 0);
            for count in [0u32, 0, 0, times, 2, 8] {
                h.extend_from_slice(&count.to_be_bytes());
            }
            h
        };
        let types = |h: &mut Vec<u8>| {
            h.extend_from_slice(&[0, 0, 0x0e, 0x10, 0, 0]);
            h.extend_from_slice(&[0xff, 0xff, 0xf1, 0xf0, 1, 4]);
            h.extend_from_slice(b"AAA\0BBB\0");
        };
        let mut file = header(0);
        types(&mut file);
        file.extend(header(1));
        file.extend_from_slice(&transition.to_be_bytes());
        file.push(1);
        types(&mut file);
        file.extend_from_slice(format!("\n{footer}\n").as_bytes());
        file
    }

    #[test]
    fn a_file_is_followed_before_and_after_its_transitions() {
        let zone = |offset, name: &str| Some(Zone { offset, name: name.into() });
        let file = tzif(1000, "");
        assert_eq!(in_file(&file, 999), zone(3600, "AAA"));
        assert_eq!(in_file(&file, 1000), zone(-3600, "BBB"));
        assert_eq!(in_file(&tzif(1000, "CCC-2"), 2000), zone(7200, "CCC"));
        assert_eq!(in_file(&tzif(1000, "CCC-2"), 500), zone(3600, "AAA"));
    }

    proptest! {
        #[test]
        fn no_text_and_no_file_makes_it_panic(
            rule in "[A-Z<>]{0,4}[-+:0-9]{0,6}[A-Z]{0,4}[-,MJ./0-9]{0,20}",
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in 0usize..200,
            now in 0i64..5_000_000_000,
        ) {
            let _ = in_rule(&rule, now);
            let _ = in_file(&bytes, now);
            let mut file = tzif(1000, "CCC-2");
            if at < file.len() {
                file[at] ^= 0xff;
                let _ = in_file(&file[..file.len() - at / 2], now);
            }
        }
    }
}
