//! The exception of a dump: its own, or the one that a request names in its
//! memory.

use crate::error::{Error, Result};
use crate::packed::Packed;
use crate::target::nt::exception::Evidence as NtEvidence;
use crate::target::{
    Architecture, ExceptionSnapshot, ExceptionSource, MemorySource, Pid, Platform, Region,
    ThreadSnapshot, XstateLayout,
};
use dumpwright_format::nt::NtOffsets;

/// What a request for an exception is answered from.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "what Linux left in memory is read on Linux only")
)]
pub(in crate::target) struct Evidence<'a> {
    /// The process, for messages.
    pub pid: Pid,
    /// The system that the process ran on.
    pub platform: Platform,
    /// Its processor.
    pub architecture: Architecture,
    /// Its threads.
    pub threads: &'a [ThreadSnapshot],
    /// Its address space.
    pub regions: &'a Packed<Region>,
    /// What the dump has of its memory.
    pub memory: &'a dyn MemorySource,
    /// Layout of extended state, where wanted.
    pub layout: Option<&'a XstateLayout>,
    /// The exception that the dump has, and the address of a chained record.
    pub own: Option<(ExceptionSnapshot, u64)>,
}

impl Evidence<'_> {
    /// The exception that `source` names; the dump's own if it names none, or no
    /// more than that one's thread.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: the dump has no such thread, or not the memory
    /// that is named.
    pub(in crate::target) fn exception(
        self,
        source: &ExceptionSource,
    ) -> Result<Option<(ExceptionSnapshot, u64)>> {
        if !source.is_given() {
            return Ok(self.own);
        }
        if self.threads.is_empty() {
            return Err(refused("the dump has no threads; leave -xt, -xc, -xr and -xp out".into()));
        }
        if let Some(tid) = source.thread {
            if !self.threads.iter().any(|thread| thread.tid == tid) {
                return Err(refused(format!(
                    "the dump has no thread {tid} (-xt); see `dumpwright info --all`"
                )));
            }
            let is_all = *source == ExceptionSource { thread: Some(tid), ..Default::default() };
            if is_all && self.own.as_ref().is_some_and(|(own, _)| own.tid == tid) {
                return Ok(self.own);
            }
        }
        let found = match self.platform {
            Platform::Windows => self.windows(source),
            Platform::Linux => self.linux(source),
            Platform::Other => Err(refused(
                "exceptions are found in the memory of Windows and Linux processes only; leave -xt, -xc, -xr and -xp out, and the dump's own exception stays"
                    .into(),
            )),
        };
        Ok(found?.map(|exception| (exception, 0)))
    }

    fn windows(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        let narrow = self.architecture.pointer_size() == 4;
        let evidence = NtEvidence {
            architecture: self.architecture,
            offsets: if narrow { &NtOffsets::NARROW } else { &NtOffsets::WIDE },
            memory: self.memory,
            threads: self.threads,
        };
        evidence.exception(source)
    }

    #[cfg(target_os = "linux")]
    fn linux(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        use crate::target::linux::exception::Evidence as LinuxEvidence;
        let in_memory = ExceptionSource { thread: None, ..*source };
        if self.architecture == Architecture::X86 && in_memory.is_given() {
            return Err(refused(
                "siginfo_t and ucontext_t of 32-bit Linux processes are not read; leave -xc, -xr and -xp out (-xt names a thread)"
                    .into(),
            ));
        }
        let evidence = LinuxEvidence {
            pid: self.pid,
            architecture: self.architecture,
            threads: self.threads,
            regions: self.regions,
            memory: self.memory,
            layout: self.layout,
            crash: None,
        };
        evidence.exception(source)
    }

    #[cfg(not(target_os = "linux"))]
    fn linux(&self, _: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        Err(refused(
            "siginfo_t and ucontext_t in dumps of Linux processes are read on Linux only; leave -xt, -xc, -xr and -xp out, and the dump's own exception stays"
                .into(),
        ))
    }
}

fn refused(reason: String) -> Error {
    Error::InvalidRequest(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressRange;
    use crate::target::nt::fake::FakeMemory;
    use crate::target::{Registers, Tid};

    fn thread(tid: u32, stack: u64) -> ThreadSnapshot {
        ThreadSnapshot {
            tid: Tid(tid),
            name: String::new(),
            registers: Registers::none(),
            thread_pointer: 0,
            stack: Some(AddressRange::with_len(stack, 0x1000)),
            suspend_count: 0,
            priority: 0,
            info: None,
            local_storage: Vec::new(),
        }
    }

    fn own() -> (ExceptionSnapshot, u64) {
        let exception = ExceptionSnapshot {
            tid: Tid(5),
            code: 0xC000_0094,
            flags: 1,
            address: 0x77,
            parameters: vec![3],
            registers: Registers::none(),
        };
        (exception, 0x1234)
    }

    fn found(
        platform: Platform,
        architecture: Architecture,
        memory: &FakeMemory,
        source: ExceptionSource,
    ) -> Result<Option<(ExceptionSnapshot, u64)>> {
        let threads = [thread(4, 0x4000), thread(5, 0x5000)];
        let evidence = Evidence {
            pid: Pid(1),
            platform,
            architecture,
            threads: &threads,
            regions: &Packed::new(),
            memory,
            layout: None,
            own: Some(own()),
        };
        evidence.exception(&source)
    }

    #[test]
    fn exception_pointers_of_windows_processes_of_every_processor_are_followed() {
        // Where the flags, stack and instruction pointer of each context are.
        for (architecture, wide, size, [flags, sp, ip]) in [
            (Architecture::Amd64, true, 1232, [0x30, 0x98, 0xF8]),
            (Architecture::Arm64, true, 912, [0, 0x100, 0x108]),
            (Architecture::X86, false, 716, [0, 0xC4, 0xB8]),
        ] {
            let mut memory = FakeMemory::default();
            let mut word = |at: u64, value: u32| {
                memory.put(at, [value.to_le_bytes(), [0; 4]][..if wide { 2 } else { 1 }].concat());
            };
            word(0x100, 0x200);
            word(0x100 + if wide { 8 } else { 4 }, 0x400);
            memory.put(0x200, vec![0; 152]);
            memory.put_u32(0x200, 0xC000_0005);
            memory.put(0x400, vec![0; size]);
            memory.put_u32(0x400 + flags, 0x3F);
            memory.put_u32(0x400 + sp, 0x4800);
            memory.put_u32(0x400 + ip, 0x9876);
            let source = ExceptionSource { pointers: Some(0x100), ..Default::default() };
            let (exception, chained) =
                found(Platform::Windows, architecture, &memory, source).unwrap().unwrap();
            assert_eq!((exception.tid, exception.code), (Tid(4), 0xC000_0005), "{architecture:?}");
            assert_eq!(exception.registers.instruction_pointer, 0x9876, "{architecture:?}");
            assert_eq!(chained, 0);
        }
    }

    #[test]
    fn the_dumps_own_exception_stays_for_no_request_and_for_its_thread() {
        let memory = FakeMemory::default();
        for thread in [None, Some(Tid(5))] {
            let source = ExceptionSource { thread, ..Default::default() };
            for platform in [Platform::Windows, Platform::Linux, Platform::Other] {
                let found = found(platform, Architecture::Amd64, &memory, source).unwrap();
                assert_eq!(format!("{found:?}"), format!("{:?}", Some(own())));
            }
        }
        let source = ExceptionSource { thread: Some(Tid(4)), ..Default::default() };
        let (other, chained) =
            found(Platform::Windows, Architecture::Amd64, &memory, source).unwrap().unwrap();
        assert_eq!((other.tid, other.code, chained), (Tid(4), 0, 0));
    }

    #[test]
    fn what_the_dump_does_not_have_is_refused_by_name() {
        let memory = FakeMemory::default();
        let none = ExceptionSource::default();
        for (platform, architecture, source, names) in [
            (
                Platform::Windows,
                Architecture::Amd64,
                ExceptionSource { record: Some(0x10), ..none },
                "-xr",
            ),
            (
                Platform::Linux,
                Architecture::Amd64,
                ExceptionSource { context: Some(0x10), ..none },
                "-xc",
            ),
            (
                Platform::Linux,
                Architecture::X86,
                ExceptionSource { record: Some(0x10), ..none },
                "32-bit",
            ),
            (
                Platform::Other,
                Architecture::Arm64,
                ExceptionSource { pointers: Some(0x10), ..none },
                "Windows and Linux",
            ),
            (
                Platform::Windows,
                Architecture::Amd64,
                ExceptionSource { thread: Some(Tid(9)), ..none },
                "no thread 9",
            ),
        ] {
            let error = found(platform, architecture, &memory, source).unwrap_err().to_string();
            assert!(error.contains(names) || cfg!(not(target_os = "linux")), "{error}");
        }
    }
}
