//! The one-line `/proc/<pid>/stat` and `/proc/<pid>/task/<tid>/stat` (proc(5)).

/// The fields of a `stat` line after the name, which may itself hold blanks
/// and parentheses.
#[derive(Clone, Debug)]
pub(super) struct Stat {
    /// From field 3 on; numbers that do not parse are 0. Negative ones are
    /// stored as two's complement.
    fields: Vec<u64>,
}

impl Stat {
    /// Parses a line; `None` if it is not one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let after_name = line.iter().rposition(|b| *b == b')')? + 1;
        let text = String::from_utf8_lossy(&line[after_name..]);
        let number = |s: &str| {
            s.parse::<u64>().or_else(|_| s.parse::<i64>().map(|n| n as u64)).unwrap_or_default()
        };
        let fields: Vec<u64> = text.split_ascii_whitespace().map(number).collect();
        // Up to the start time every kernel has had the fields.
        (fields.len() >= 20).then_some(Stat { fields })
    }

    /// Field `number` as proc(5) counts, from 1; at least 3.
    fn field(&self, number: usize) -> u64 {
        self.fields.get(number - 3).copied().unwrap_or_default()
    }

    /// Page faults that needed no I/O, and that did.
    pub fn faults(&self) -> u64 {
        self.field(10).wrapping_add(self.field(12))
    }

    /// User time in ticks.
    pub fn user_ticks(&self) -> u64 {
        self.field(14)
    }

    /// Kernel time in ticks.
    pub fn kernel_ticks(&self) -> u64 {
        self.field(15)
    }

    /// Priority as the kernel counts: 20 + nice, or −1 − the real-time priority.
    pub fn priority(&self) -> i32 {
        self.field(18) as i32
    }

    /// Start in ticks since boot.
    pub fn start_ticks(&self) -> u64 {
        self.field(22)
    }

    /// Address of `argc` on the main stack.
    pub fn start_stack(&self) -> u64 {
        self.field(28)
    }

    /// Bounds of the argument strings.
    pub fn arguments(&self) -> (u64, u64) {
        (self.field(48), self.field(49))
    }

    /// Bounds of the environment strings.
    pub fn environment(&self) -> (u64, u64) {
        (self.field(50), self.field(51))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_shifts_no_field() {
        let mut line = b"12 (a) R (b c) S".to_vec();
        for field in 4..=52 {
            line.extend_from_slice(format!(" {field}").as_bytes());
        }
        let stat = Stat::parse(&line).unwrap();
        assert_eq!(stat.user_ticks(), 14);
        assert_eq!(stat.start_ticks(), 22);
        assert_eq!(stat.start_stack(), 28);
        assert_eq!(stat.arguments(), (48, 49));
        assert_eq!(stat.environment(), (50, 51));
    }

    #[test]
    fn a_negative_priority_survives_and_short_lines_are_refused() {
        let line = format!("1 (x) S {}-51{}", "0 ".repeat(14), " 7".repeat(34));
        assert_eq!(Stat::parse(line.as_bytes()).unwrap().priority(), -51);
        assert!(Stat::parse(b"1 (x) S 1 2").is_none());
        assert!(Stat::parse(b"garbage").is_none());
    }
}
