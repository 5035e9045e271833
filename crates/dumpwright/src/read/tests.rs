//! The reader as a whole, held against an independent one on real dumps.

use super::*;
use ::minidump::{
    Minidump as Peer, MinidumpMemory64List, MinidumpMemoryList, MinidumpModuleList,
    MinidumpSystemInfo, MinidumpThreadList, MinidumpThreadNames, Module as _,
};

fn each_sample(check: impl Fn(&str, &Minidump, &Peer<'static, Vec<u8>>)) {
    for (name, bytes) in samples::sound() {
        let dump = Minidump::from_source(bytes.clone()).unwrap();
        check(&name, &dump, &Peer::read(bytes).unwrap());
    }
}

#[test]
fn threads_and_their_registers_are_those_of_the_minidump_crate() {
    each_sample(|name, dump, peer| {
        let theirs = peer.get_stream::<MinidumpThreadList>().unwrap();
        let ours = dump.threads().unwrap().unwrap();
        let architecture = dump.system_info().unwrap().unwrap().processor_architecture;
        let system = peer.get_stream::<MinidumpSystemInfo>().unwrap();
        let misc = peer.get_stream().ok();
        assert_eq!(ours.len(), theirs.threads.len(), "{name}");
        for (ours, theirs) in ours.iter().zip(&theirs.threads) {
            assert_eq!(ours.thread_id, theirs.raw.thread_id, "{name}");
            assert_eq!(ours.stack_start, theirs.raw.stack.start_of_memory_range, "{name}");
            let context = theirs.context(&system, misc.as_ref());
            let registers = dump.registers(architecture, ours.context).unwrap();
            assert_eq!(context.is_some(), registers.is_some(), "{name}");
            let (Some(context), Some(registers)) = (context, registers) else { continue };
            assert_eq!(registers.instruction_pointer, context.get_instruction_pointer());
            assert_eq!(registers.stack_pointer, context.get_stack_pointer(), "{name}");
            for (register, value) in context.valid_registers() {
                assert_eq!(registers.get(register), Some(value), "{name}: {register}");
            }
        }
    });
}

#[test]
fn thread_names_are_those_of_the_minidump_crate() {
    each_sample(|name, dump, peer| {
        let theirs = peer.get_stream::<MinidumpThreadNames>().ok();
        let ours = dump.thread_names().unwrap();
        assert_eq!(ours.is_some(), theirs.is_some(), "{name}");
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
        for ours in ours {
            assert_eq!(ours.name.as_deref(), theirs.get_name(ours.thread_id).as_deref(), "{name}");
        }
    });
}

#[test]
fn modules_are_those_of_the_minidump_crate() {
    each_sample(|name, dump, peer| {
        let theirs = peer.get_stream::<MinidumpModuleList>().unwrap();
        let ours = dump.modules().unwrap().unwrap();
        assert_eq!(ours.len(), theirs.iter().count(), "{name}");
        for (ours, theirs) in ours.iter().zip(theirs.iter()) {
            assert_eq!(ours.base, theirs.base_address(), "{name}");
            assert_eq!(u64::from(ours.size), theirs.size(), "{name}");
            assert_eq!(ours.name.clone().unwrap_or_default(), theirs.code_file(), "{name}");
            let id = theirs.debug_identifier().map(|id| id.breakpad().to_string());
            assert_eq!(ours.debug_id(), id, "{name}: {:?}", ours.name);
        }
    });
}

#[test]
fn memory_is_that_of_the_minidump_crate() {
    each_sample(|name, dump, peer| {
        let mut theirs = Vec::new();
        if let Ok(list) = peer.get_stream::<MinidumpMemory64List>() {
            theirs.extend(list.iter().map(|m| (m.base_address, m.size, m.bytes.to_vec())));
        }
        if let Ok(list) = peer.get_stream::<MinidumpMemoryList>() {
            theirs.extend(list.iter().map(|m| (m.base_address, m.size, m.bytes.to_vec())));
        }
        let ours = dump.memory_ranges().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, (start, size, bytes)) in ours.iter().zip(theirs) {
            assert_eq!((ours.start, ours.size), (start, size), "{name}");
            let mut buf = vec![0; bytes.len()];
            dump.read_memory(start, &mut buf).unwrap();
            assert_eq!(buf, bytes, "{name}: memory at {start:#x}");
        }
    });
}

#[test]
fn windows_streams_of_a_real_dump_are_decoded() {
    for (name, bytes) in samples::sound() {
        if name != "windows-calc.dmp" {
            continue;
        }
        let dump = Minidump::from_source(bytes).unwrap();
        let misc = dump.misc_info().unwrap().unwrap();
        assert_eq!((misc.form, misc.process_id), (5, Some(3368)));
        assert_eq!(misc.build_string.as_deref(), Some("6.1.7601.18015 (win7sp1_gdr.121129-1432)"));
        assert_eq!(dump.tokens().unwrap().unwrap()[0].token_id, 3368);
        assert!(dump.vm_counters().unwrap().unwrap().working_set_size > 0);
        assert_eq!(dump.system_memory().unwrap().unwrap().page_size, 4096);
    }
}

#[test]
fn the_linkers_list_of_breakpads_writer_has_all_names() {
    for (name, bytes) in samples::sound() {
        let Some(debug) = Minidump::from_source(bytes).unwrap().dso_debug().unwrap() else {
            continue;
        };
        assert!(debug.entries.len() > 3, "{name}");
        assert!(debug.entries.iter().all(|entry| entry.name.is_some()), "{name}: {debug:?}");
        assert!(
            debug.entries.iter().any(|e| e.name.as_deref().is_some_and(|n| n.contains("libc")))
        );
    }
}

#[test]
fn a_file_is_read_like_its_bytes() {
    let mut synth = synth::Synth::new();
    synth.stream(dumpwright_format::minidump::StreamType(77), b"content");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), synth.bytes()).unwrap();
    let dump = Minidump::open(file.path()).unwrap();
    let bytes = dump.stream_bytes(dumpwright_format::minidump::StreamType(77)).unwrap();
    assert_eq!(bytes.as_deref(), Some(&b"content"[..]));
    assert_eq!(dump.file(), file.path());
}
