//! ADD_AVX_XSTATE_CONTEXT from end to end: values that a program has in its
//! registers stand in the dump where `MiscInfo`'s `XStateData` says.

use crate::support::cli::{dump, dump_pid};
use crate::support::dump::Loaded;
use crate::support::find;
use crate::support::target::Target;
use minidump::{MinidumpMiscInfo, MinidumpThreadList, RawMiscInfo};
use std::fs;

/// Bytes of an x86-64 `CONTEXT`; `CONTEXT_EX` stands behind it.
const CONTEXT: usize = 1232;
/// `CONTEXT.FltSave.XmmRegisters`.
const XMM: usize = 256 + 160;
/// Bytes of the part of an XSAVE area that stands in `FltSave`; offsets of
/// `XStateData` count from there.
const LEGACY: usize = 512;

// Numbers of features: Intel SDM, volume 1, chapter 13.
const AVX: usize = 2;
const OPMASK: usize = 5;
const ZMM_HI256: usize = 6;
const HI16_ZMM: usize = 7;
const PKRU: usize = 9;

/// The extended context of the only thread.
struct Extended<'a> {
    context: &'a [u8],
    /// From the XSAVE header on.
    area: &'a [u8],
    features: Vec<(usize, usize)>,
}

impl<'a> Extended<'a> {
    fn of(loaded: &'a Loaded) -> Self {
        let threads: MinidumpThreadList<'_> = loaded.get();
        let location = threads.threads[0].raw.thread_context;
        let start = location.rva as usize;
        let context = &loaded.bytes[start..start + location.data_size as usize];
        let word = |at: usize| u32::from_le_bytes(context[at..at + 4].try_into().unwrap());
        // CONTEXT_EX: three chunks of offset and length, the third of which is
        // the XSAVE area; offsets count from CONTEXT_EX.
        let (offset, length) = (word(CONTEXT + 16) as usize, word(CONTEXT + 20) as usize);
        let area = &context[CONTEXT + offset..CONTEXT + offset + length];
        let misc: MinidumpMiscInfo = loaded.get();
        let RawMiscInfo::MiscInfo5(misc) = misc.raw else { panic!("MiscInfo is not version 5") };
        let features = misc.xstate_data.features;
        let features = features.iter().map(|f| (f.offset as usize, f.size as usize)).collect();
        Extended { context, area, features }
    }

    /// The bytes of a feature, which must not be in its initial state.
    #[track_caller]
    fn feature(&self, number: usize) -> &[u8] {
        let mask = u64::from_le_bytes(self.area[..8].try_into().unwrap());
        assert!(mask >> number & 1 == 1, "XSTATE_BV {mask:#x} has no feature {number}");
        let (offset, size) = self.features[number];
        &self.area[offset - LEGACY..offset - LEGACY + size]
    }
}

/// Bytes of vector register `n`, as the fixture sets them.
fn vector(n: usize, bytes: std::ops::Range<usize>) -> Vec<u8> {
    bytes.map(|i| (n * 64 + i + 1) as u8).collect()
}

#[test]
fn extended_registers_hold_what_the_program_put_there() {
    let target = Target::fixture("vectors", &[]);
    let has = |feature: &str| target.ready[feature] == true;
    if !has("avx") {
        eprintln!("SKIPPED: extended registers: this processor has no AVX");
        return;
    }
    for options in [&["-my"][..], &["-myR", "--filter-triage"]] {
        let loaded = dump(&target, options).load();
        let extended = Extended::of(&loaded);
        for n in 0..16 {
            let at = XMM + 16 * n;
            assert_eq!(extended.context[at..at + 16], vector(n, 0..16), "xmm{n}");
            let high = &extended.feature(AVX)[16 * n..16 * n + 16];
            assert_eq!(high, vector(n, 16..32), "high half of ymm{n}");
        }
        if has("avx512") {
            for n in 0..16 {
                let high = &extended.feature(ZMM_HI256)[32 * n..32 * n + 32];
                assert_eq!(high, vector(n, 32..64), "high half of zmm{n}");
                let whole = &extended.feature(HI16_ZMM)[64 * n..64 * n + 64];
                assert_eq!(whole, vector(16 + n, 0..64), "zmm{}", 16 + n);
            }
            for n in 0..8 {
                assert_eq!(extended.feature(OPMASK)[8 * n..8 * n + 8], [n as u8; 8], "k{n}");
            }
        }
        if has("pku") {
            assert_eq!(extended.feature(PKRU)[..4], 0x24u32.to_le_bytes(), "PKRU");
        }
    }
}

#[test]
fn filter_memory_leaves_nothing_of_vector_registers() {
    let target = Target::fixture("vectors", &[]);
    let vectors = if target.ready["avx512"] == true { 32 } else { 16 };
    for options in [&["-mr"][..], &["-myr"], &["-mr", "--as", "core"], &["-myr", "--as", "core"]] {
        let written = dump_pid(target.pid(), options);
        let bytes = fs::read(&written.file).unwrap();
        for n in 0..vectors {
            for start in [0, 16, 32, 48] {
                let planted = vector(n, start..start + 8);
                assert!(find(&bytes, &planted).is_none(), "{options:?}: vector {n}, byte {start}");
            }
        }
    }
}
