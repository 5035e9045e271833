//! Sound dumps stay without errors, and each fault is found.

use super::*;
use crate::read::{samples, synth::Synth};
use dumpwright_format::MinidumpType;
use dumpwright_format::context::amd64::{CONTEXT_ALL, ContextAmd64};
use dumpwright_format::minidump::{
    self as wire, LocationDescriptor, MEM_COMMIT, MemoryDescriptor, StreamType,
};
use zerocopy::{FromZeros, IntoBytes};

const STACK: u64 = 0x7000;

fn errors(dump: &Minidump) -> Vec<String> {
    let faults = verify(dump);
    faults.iter().filter(|f| f.severity == Severity::Error).map(ToString::to_string).collect()
}

/// The parts of a sound dump that the tests make unsound.
struct Parts {
    synth: Synth,
    system: wire::SystemInfo,
    context: ContextAmd64,
    threads: Vec<wire::Thread>,
    modules: Vec<wire::Module>,
    memory: Vec<MemoryDescriptor>,
}

fn location(rva: u32, data_size: u32) -> LocationDescriptor {
    LocationDescriptor { data_size: data_size.into(), rva: rva.into() }
}

fn sound() -> Parts {
    let mut synth = Synth::new();
    let mut system = wire::SystemInfo::new_zeroed();
    system.processor_architecture = wire::PROCESSOR_ARCHITECTURE_AMD64.into();
    system.platform_id = wire::PLATFORM_LINUX.into();
    let mut context = ContextAmd64::new_zeroed();
    context.context_flags = CONTEXT_ALL.into();
    context.rsp = (STACK + 8).into();
    let stack = MemoryDescriptor {
        start_of_memory_range: STACK.into(),
        memory: location(synth.put(&[7; 64]), 64),
    };
    let mut thread = wire::Thread::new_zeroed();
    thread.thread_id = 1.into();
    thread.stack = stack;
    let mut module = wire::Module::new_zeroed();
    module.base_of_image = 0x40_0000.into();
    module.size_of_image = 0x1000.into();
    module.module_name_rva = synth.string("/bin/app").into();
    let (threads, modules, memory) = (vec![thread], vec![module], vec![stack]);
    Parts { synth, system, context, threads, modules, memory }
}

impl Parts {
    fn faults(mut self) -> Vec<Fault> {
        let context = self.synth.put(self.context.as_bytes());
        for thread in &mut self.threads {
            if thread.thread_context.data_size.get() == 0 {
                thread.thread_context = location(context, size_of::<ContextAmd64>() as u32);
            }
        }
        self.synth.stream(StreamType::SYSTEM_INFO, self.system.as_bytes());
        self.synth.list(StreamType::THREAD_LIST, &self.threads);
        self.synth.list(StreamType::MODULE_LIST, &self.modules);
        self.synth.list(StreamType::MEMORY_LIST, &self.memory);
        verify(&self.synth.open())
    }
}

/// Makes a sound dump unsound and wants to read of it, as an error.
#[track_caller]
fn finds(error: &str, spoil: impl FnOnce(&mut Parts)) {
    finds_at(Severity::Error, error, spoil);
}

#[track_caller]
fn finds_at(severity: Severity, message: &str, spoil: impl FnOnce(&mut Parts)) {
    let mut parts = sound();
    spoil(&mut parts);
    let faults = parts.faults();
    let found = faults.iter().any(|f| f.severity == severity && f.message.contains(message));
    assert!(found, "'{message}' is not among {faults:#?}");
}

#[test]
fn a_sound_dump_has_no_faults() {
    assert_eq!(sound().faults(), []);
}

#[test]
fn dumps_of_real_writers_have_no_errors() {
    let mut unsound = Vec::new();
    for (name, bytes) in samples::sound() {
        let dump = Minidump::from_source(bytes).unwrap();
        for fault in verify(&dump) {
            println!("{name}: {fault}");
        }
        unsound.extend(errors(&dump).iter().map(|error| format!("{name}: {error}")));
    }
    assert_eq!(unsound, [""; 0]);
}

#[test]
fn unsound_samples_have_errors_or_are_refused() {
    for (name, bytes) in samples::user() {
        if samples::UNSOUND.contains(&name.as_str()) {
            let unsound = Minidump::from_source(bytes).is_ok_and(|dump| errors(&dump).is_empty());
            assert!(!unsound, "{name}");
        }
    }
}

#[test]
fn faults_of_the_directory_are_found() {
    finds("reach past the end of the file", |p| {
        p.synth.directory_entry(StreamType::LINUX_MAPS, 1000, 0xffff_0000);
    });
    finds("more than one stream of this type", |p| {
        p.synth.stream(StreamType::LINUX_MAPS, b"a").stream(StreamType::LINUX_MAPS, b"b");
    });
    finds("LinuxMaps and LinuxAuxv share bytes", |p| {
        let rva = p.synth.put(&[0; 16]);
        p.synth.directory_entry(StreamType::LINUX_MAPS, 16, rva);
        p.synth.directory_entry(StreamType::LINUX_AUXV, 4, rva + 8);
    });
    finds("header or directory and LinuxMaps share bytes", |p| {
        p.synth.directory_entry(StreamType::LINUX_MAPS, 4, 30);
    });
}

#[test]
fn sizes_of_lists_must_agree_with_their_counts() {
    finds("its 1 entries take 16", |p| {
        p.synth.stream(
            StreamType::THREAD_NAMES,
            &[[1, 0, 0, 0], [0; 4], [0; 4], [0; 4], [0; 4], [0; 4]].concat(),
        );
    });
    finds("do not fit", |p| {
        p.synth.stream(StreamType::THREAD_NAMES, &[0xff; 16]);
    });
    finds("exactly 16 + 16 * 0", |p| {
        p.synth.stream(StreamType::MEMORY64_LIST, &[0; 24]);
    });
    finds("it states a head of 0 bytes", |p| {
        p.synth.stream(StreamType::THREAD_INFO_LIST, &[0; 12]);
    });
    finds_at(Severity::Warning, "none of the five forms", |p| {
        p.synth.stream(StreamType::MISC_INFO, &[0; 30]);
    });
}

#[test]
fn faults_of_threads_are_found() {
    finds("thread id 1 occurs twice", |p| p.threads.push(p.threads[0]));
    finds("one of x86-64 has 1232", |p| p.threads[0].thread_context = location(32, 64));
    finds("the context of thread 1: its 1232 bytes reach past", |p| {
        p.threads[0].thread_context = location(0xffff_0000, 1232);
    });
    finds("not those of x86-64", |p| p.context.context_flags = 1.into());
    finds_at(Severity::Warning, "does not hold its stack pointer", |p| p.context.rsp = 1.into());
    finds("64 bytes at file offset 0", |p| {
        p.threads[0].stack.memory.rva = 0.into();
        p.memory.clear();
    });
    finds("hold different bytes for 0x7000", |p| {
        p.threads[0].stack.memory.rva = p.synth.put(&[8; 64]).into();
    });
    finds("wraps around", |p| p.threads[0].stack.start_of_memory_range = u64::MAX.into());
    finds("it happened in thread 9", |p| {
        let mut exception = wire::ExceptionStream::new_zeroed();
        exception.thread_id = 9.into();
        p.synth.stream(StreamType::EXCEPTION, exception.as_bytes());
    });
    finds_at(Severity::Warning, "thread 9 is not in the list", |p| {
        let rva = u64::from(p.synth.string("gone"));
        let name = wire::ThreadName { thread_id: 9.into(), rva_of_thread_name: rva.into() };
        p.synth.list(StreamType::THREAD_NAMES, &[name]);
    });
}

#[test]
fn faults_of_modules_are_found() {
    finds("modules 0x400000 and 0x400000 overlap", |p| p.modules.push(p.modules[0]));
    finds("has size 0", |p| p.modules[0].size_of_image = 0.into());
    finds("the name of module 0x400000", |p| p.modules[0].module_name_rva = u32::MAX.into());
    finds("cannot be decoded", |p| p.modules[0].cv_record = location(p.synth.put(b"RSDS"), 4));
    finds("is a path", |p| {
        p.synth.flags(MinidumpType::FILTER_MODULE_PATHS.bits());
    });
    finds_at(Severity::Warning, "not terminated by NUL", |p| {
        let rva = p.synth.put(b"\x02\0\0\0a\0bb");
        p.modules[0].module_name_rva = rva.into();
    });
    finds("odd length", |p| p.modules[0].module_name_rva = p.synth.put(b"\x03\0\0\0abcd").into());
}

#[test]
fn faults_of_memory_are_found() {
    let at = |start: u64, size: u32, rva: u32| MemoryDescriptor {
        start_of_memory_range: start.into(),
        memory: location(rva, size),
    };
    finds("is empty", |p| p.memory.push(at(0x9000, 0, 32)));
    finds("reach past the end", |p| p.memory.push(at(0x9000, 4096, 0xffff_f000)));
    finds("wraps around", |p| p.memory.push(at(u64::MAX - 1, 16, 32)));
    finds("overlap and hold different bytes for 0x7010", |p| {
        let rva = p.synth.put(&[9; 16]);
        p.memory.push(at(STACK + 16, 16, rva));
    });
    finds("are those of a stream, too", |p| p.memory.push(at(0x9000, 16, 0)));
    finds_at(Severity::Warning, "not in order", |p| {
        let rva = p.synth.put(&[9; 16]);
        p.memory.push(at(0x100, 16, rva));
    });
    finds("starts before the one ahead of it ends", |p| {
        let mut region = wire::MemoryInfo::new_zeroed();
        region.region_size = 0x2000.into();
        region.state = MEM_COMMIT.into();
        let list = wire::MemoryInfoList {
            size_of_header: 16.into(),
            size_of_entry: 48.into(),
            number_of_entries: 2.into(),
        };
        let bytes = [list.as_bytes(), region.as_bytes(), region.as_bytes()].concat();
        p.synth.stream(StreamType::MEMORY_INFO_LIST, &bytes);
    });
}

#[test]
fn memory64_may_not_overlap_even_with_the_same_bytes() {
    finds("overlap", |p| {
        let rva = u64::from(p.synth.put(&[0; 64]));
        let words = [2, rva, 0x1000, 32, 0x1010, 32];
        let bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
        p.synth.stream(StreamType::MEMORY64_LIST, &bytes);
    });
}

#[test]
fn flags_and_texts_that_are_untrue_are_found() {
    finds("say WITH_FULL_MEMORY and there is no such stream", |p| {
        p.synth.flags(MinidumpType::WITH_FULL_MEMORY.bits());
    });
    finds_at(Severity::Warning, "say WITH_HANDLE_DATA", |p| {
        p.synth.flags(MinidumpType::WITH_HANDLE_DATA.bits());
    });
    finds_at(Severity::Warning, "differs from the wide comment", |p| {
        p.synth.stream(StreamType::COMMENT_A, b"one\0");
        p.synth.stream(StreamType::COMMENT_W, b"t\0w\0o\0\0\0");
    });
    finds("odd length of 3", |p| {
        p.synth.stream(StreamType::COMMENT_W, b"t\0\0");
    });
    finds("not JSON", |p| {
        p.synth.stream(StreamType::MOZ_SOFT_ERRORS, b"[1,");
    });
}

#[test]
fn handles_that_lead_nowhere_are_found() {
    finds("lead out of the file or to themselves", |p| {
        let mut bytes = Vec::new();
        for word in [16u32, 40, 1, 0] {
            bytes.extend(word.to_le_bytes());
        }
        let mut handle = wire::HandleDescriptor2::new_zeroed();
        handle.object_info_rva = u32::MAX.into();
        bytes.extend(handle.as_bytes());
        p.synth.stream(StreamType::HANDLE_DATA, &bytes);
    });
}

#[test]
fn many_faults_of_one_kind_are_counted_not_listed() {
    let mut parts = sound();
    parts.memory = vec![MemoryDescriptor::new_zeroed(); 1000];
    let faults = parts.faults();
    assert!(faults.len() < 50, "{}", faults.len());
    assert!(faults.iter().any(|f| f.message == "968 more such faults are not listed"));
}

#[test]
fn a_fault_says_where_and_what() {
    let fault = Fault {
        severity: Severity::Error,
        stream: Some(StreamType::THREAD_LIST),
        offset: Some(0x20),
        message: "it is bad".to_owned(),
    };
    assert_eq!(fault.to_string(), "error: ThreadList: it is bad (file offset 0x20)");
    let json = serde_json::to_value(&fault).unwrap();
    assert_eq!((&json["severity"], &json["stream"]), (&"error".into(), &"ThreadList".into()));
}
