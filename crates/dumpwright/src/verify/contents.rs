//! Everything that is decoded once and checked in several places.

use super::report::Report;
use crate::read::{
    Exception, HandleData, MemoryRange, MemoryRegion, Module, SystemInfo, Thread, ThreadInfo,
    ThreadName, UnloadedModule,
};
use dumpwright_format::minidump::StreamType;

/// The decoded streams; `None` for one that is not there or cannot be decoded.
pub(super) struct Contents {
    pub(super) system: Option<SystemInfo>,
    pub(super) threads: Option<Vec<Thread>>,
    pub(super) thread_names: Option<Vec<ThreadName>>,
    pub(super) thread_info: Option<Vec<ThreadInfo>>,
    pub(super) modules: Option<Vec<Module>>,
    pub(super) unloaded_modules: Option<Vec<UnloadedModule>>,
    pub(super) memory: Option<Vec<MemoryRange>>,
    pub(super) memory64: Option<Vec<MemoryRange>>,
    pub(super) memory_info: Option<Vec<MemoryRegion>>,
    pub(super) exception: Option<Exception>,
    pub(super) handles: Option<HandleData>,
}

impl Contents {
    pub(super) fn decode(report: &mut Report) -> Contents {
        use StreamType as S;
        let dump = report.dump;
        // These have nothing to check but that they can be decoded.
        report.decoded(S::MISC_INFO, dump.misc_info());
        report.decoded(S::TOKEN, dump.tokens());
        report.decoded(S::PROCESS_VM_COUNTERS, dump.vm_counters());
        report.decoded(S::SYSTEM_MEMORY_INFO, dump.system_memory());
        report.decoded(S::BREAKPAD_INFO, dump.breakpad_info());
        Contents {
            system: report.decoded(S::SYSTEM_INFO, dump.system_info()),
            threads: report.decoded(S::THREAD_LIST, dump.threads()),
            thread_names: report.decoded(S::THREAD_NAMES, dump.thread_names()),
            thread_info: report.decoded(S::THREAD_INFO_LIST, dump.thread_info()),
            modules: report.decoded(S::MODULE_LIST, dump.modules()),
            unloaded_modules: report.decoded(S::UNLOADED_MODULE_LIST, dump.unloaded_modules()),
            memory: report.decoded(S::MEMORY_LIST, dump.memory_list()),
            memory64: report.decoded(S::MEMORY64_LIST, dump.memory64_list()),
            memory_info: report.decoded(S::MEMORY_INFO_LIST, dump.memory_info()),
            exception: report.decoded(S::EXCEPTION, dump.exception()),
            handles: report.decoded(S::HANDLE_DATA, dump.handles()),
        }
    }

    pub(super) fn check_system(&self, report: &mut Report) {
        for (stream, why) in [
            (StreamType::SYSTEM_INFO, "without it no reader knows how to read the contexts"),
            (StreamType::THREAD_LIST, "the dump has no threads"),
            (StreamType::MODULE_LIST, "the dump has no modules"),
        ] {
            if report.dump.stream(stream).is_none() {
                let missing = || format!("the stream is missing; {why}");
                match stream {
                    StreamType::SYSTEM_INFO => report.error(stream, None, missing),
                    _ => report.warning(stream, None, missing),
                }
            }
        }
        if let Some(rva @ 1..) = self.system.as_ref().map(|system| system.csd_version_rva) {
            report.string(StreamType::SYSTEM_INFO, rva.into(), || "the CSD version".to_owned());
        }
    }

    /// The processor architecture, if the dump says it.
    pub(super) fn architecture(&self) -> Option<u16> {
        self.system.as_ref().map(|system| system.processor_architecture)
    }
}
