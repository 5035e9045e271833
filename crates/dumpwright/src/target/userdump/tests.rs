use super::synth::{IMAGE, STACK, TEB, contents, dump, swapped};
use super::*;
use crate::read::Minidump;
use crate::verify::verify;
use crate::{DumpRequest, FormatFlags, Output, Qualifier, write_dump};
use proptest::prelude::*;

fn converted(bytes: Vec<u8>, flags: FormatFlags) -> Result<Minidump> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.dmp");
    let request = DumpRequest::new(&file, Qualifier::Small).flags(flags);
    let target = UserDumpProcess::from_source(bytes, Path::new("user.dmp"), 99, &request.wants())?;
    let output = Output::open(&request)?;
    write_dump(Box::new(target), &request, output, &())?;
    Minidump::from_source(std::fs::read(&file).unwrap())
}

#[test]
fn both_widths_become_minidumps_with_all_that_they_have() {
    for (wide, bytes) in
        [(false, dump(false)), (true, dump(true)), (false, swapped(false)), (true, swapped(true))]
    {
        let new = converted(bytes, FormatFlags::DUMP_MA).unwrap();
        assert!(verify(&new).is_empty(), "{:?}", verify(&new));
        let threads = new.threads().unwrap().unwrap();
        assert_eq!((threads[0].thread_id, threads[0].teb), (77, TEB));
        assert_eq!((threads[0].priority_class, threads[0].priority), (0x20, 8));
        let info = new.system_info().unwrap().unwrap();
        let registers = new.registers(info.processor_architecture, threads[0].context);
        assert_eq!(registers.unwrap().unwrap().stack_pointer, STACK + 0x1800, "{wide}");
        let modules = new.modules().unwrap().unwrap();
        assert_eq!(modules[0].name.as_deref(), Some(r"C:\app\app.exe"));
        let exception = new.exception().unwrap().unwrap();
        assert_eq!((exception.code, exception.address), (0xC000_0005, IMAGE + 0x10));
        assert_eq!(exception.parameters, [1, 0xDEAD]);
        assert_eq!(new.misc_info().unwrap().unwrap().process_id, Some(1234));
        assert_eq!(new.header().time_date_stamp.get(), 99);
        for (base, size) in [(STACK, 0x2000), (TEB, 0x1000), (IMAGE, 0x1000)] {
            let mut bytes = vec![0; size as usize];
            new.read_memory(base, &mut bytes).unwrap();
            assert_eq!(bytes, contents(base, size), "{base:#x}");
        }
        assert!(new.read_memory(STACK - 0x1000, &mut [0]).is_err(), "a guard page is made up");
    }
}

#[test]
fn a_small_dump_of_one_has_its_stack() {
    let new = converted(dump(true), FormatFlags::empty()).unwrap();
    let threads = new.threads().unwrap().unwrap();
    assert_eq!(threads[0].stack_start, STACK + 0x1800 - 128);
    assert!(threads[0].stack.size >= 0x800);
}

#[test]
fn what_is_cut_off_or_of_another_machine_is_refused() {
    let whole = dump(false);
    for length in [0, 20, 40, 70, 200] {
        assert!(converted(whole[..length].to_vec(), FormatFlags::empty()).is_err(), "{length}");
    }
    let mut other = whole.clone();
    other[16] = 0x66;
    let error = converted(other, FormatFlags::empty()).unwrap_err().to_string();
    assert!(error.contains("0x166"), "{error}");
    // Without its last bytes it says what is missing.
    let cut = whole[..whole.len() - 0x800].to_vec();
    let new = converted(cut, FormatFlags::DUMP_MA).unwrap();
    let stream = dumpwright_format::minidump::StreamType::MOZ_SOFT_ERRORS;
    let notes = String::from_utf8(new.stream_bytes(stream).unwrap().unwrap()).unwrap();
    assert!(notes.contains("2048 bytes"), "{notes}");
}

proptest! {
    #[test]
    fn hostile_dumps_never_panic(
        wide in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u32>()), 1..12),
    ) {
        let mut bytes = dump(wide);
        for (at, value) in changes {
            let at = at.index(2400) & !3;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let _ = converted(bytes, FormatFlags::DUMP_MA);
    }
}
