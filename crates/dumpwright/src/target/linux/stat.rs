//! The one-line `/proc/<pid>/stat` and `/proc/<pid>/task/<tid>/stat` (proc(5)).

use crate::target::{Pid, Tid};
use std::fs::File;
use std::io::Read;

/// A `stat` line. The name may itself hold blanks and parentheses.
#[derive(Clone, Debug)]
pub(super) struct Stat {
    name: Vec<u8>,
    state: char,
    /// From field 3 on; what does not parse is 0. Negative numbers are stored
    /// as two's complement.
    fields: Vec<u64>,
}

impl Stat {
    /// Of a thread of a process; `None` if it is gone.
    pub fn of_thread(pid: Pid, tid: Tid) -> Option<Self> {
        // No line is longer. There are thousands of threads: without asking
        // for the file's size this takes one read.
        let mut line = [0; 1024];
        let mut file = File::open(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
        let len = file.read(&mut line).ok()?;
        Self::parse(&line[..len])
    }

    /// Parses a line; `None` if it is not one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let before_name = line.iter().position(|b| *b == b'(')? + 1;
        let after_name = line.iter().rposition(|b| *b == b')')?;
        let name = line.get(before_name..after_name)?.to_vec();
        let text = std::str::from_utf8(&line[after_name + 1..]).ok()?;
        let state = text.trim_ascii_start().chars().next()?;
        let number = |s: &str| {
            s.parse::<u64>().or_else(|_| s.parse::<i64>().map(|n| n as u64)).unwrap_or_default()
        };
        let fields: Vec<u64> = text.split_ascii_whitespace().map(number).collect();
        // Up to the start time every kernel has had the fields.
        (fields.len() >= 20).then_some(Stat { name, state, fields })
    }

    /// Field `number` as proc(5) counts, from 1; at least 3.
    fn field(&self, number: usize) -> u64 {
        self.fields.get(number - 3).copied().unwrap_or_default()
    }

    /// Short name (`comm`).
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// State letter: `R`, `S`, `D`, `T`, `t`, `Z`, `X`, …
    pub fn state(&self) -> char {
        self.state
    }

    /// The parent process.
    pub fn parent(&self) -> Pid {
        Pid(self.field(4) as u32)
    }

    /// Whether it has ended and waits to be reaped.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether it is a thread of the kernel (`PF_KTHREAD`).
    pub fn is_kernel_thread(&self) -> bool {
        const PF_KTHREAD: u64 = 0x0020_0000;
        self.field(9) & PF_KTHREAD != 0
    }

    /// Whether it is a worker that the kernel runs inside a user process
    /// (`PF_IO_WORKER`, `PF_USER_WORKER`: io_uring, vhost). Such threads have no
    /// user registers, and some kernels refuse to trace them.
    pub fn is_user_worker(&self) -> bool {
        const PF_IO_WORKER: u64 = 0x10;
        const PF_USER_WORKER: u64 = 0x4000;
        self.field(9) & (PF_IO_WORKER | PF_USER_WORKER) != 0
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

    /// Start in ticks since boot; tells a process from a later one of the same id.
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
        assert_eq!((stat.name().as_str(), stat.state()), ("a) R (b c", 'S'));
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
