//! The extended state behind a `CONTEXT`: how it is laid out, and laying it out.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1232 | `CONTEXT`, with `CONTEXT_XSTATE` in its flags |
//! | 1232 | 24 | `CONTEXT_EX`; its offsets count from here |
//! | 1256 | 24 | 0 |
//! | 1280 | 64 | `XSAVE_AREA_HEADER`: which features are not in their initial state |
//! | 1344 | … | the features, each at its CPUID offset − 512 from 1280 |
//!
//! `CONTEXT_EX` says: all = (−1232, whole size), legacy = (−1232, 1232),
//! xstate = (48, whole size − 1280). The XSAVE area is in the standard form
//! (not compacted), without its first 512 bytes, which stand in the `CONTEXT`
//! as `FltSave`. A feature in its initial state has its bit clear and zeroes
//! (or what the kernel gives as initial state) in its place.

#[cfg(target_arch = "x86_64")]
use crate::target::Wants;
use crate::target::XstateLayout;
use dumpwright_format::context::amd64::{CONTEXT_XSTATE, ContextAmd64};
use dumpwright_format::context::xstate::{
    ContextChunk, ContextEx, XSAVE_ALIGN, XSAVE_LEGACY_SIZE, XSTATE_MASK_LEGACY, XsaveAreaHeader,
};
use dumpwright_format::elf_core::XSAVE_XCR0_OFFSET;
use zerocopy::{FromZeros, IntoBytes};

const CONTEXT_SIZE: usize = size_of::<ContextAmd64>();

/// Where the XSAVE header stands behind a `CONTEXT`.
const HEADER_AT: usize = (CONTEXT_SIZE + size_of::<ContextEx>()).next_multiple_of(XSAVE_ALIGN);

/// The two features of the legacy area as Windows lists them: feature, offset,
/// size.
const LEGACY_COMPONENTS: [(u32, u32, u32); 2] = [(0, 0, 160), (1, 160, 256)];

/// The layout of extended contexts on this machine; `None` where the request
/// does not want them or the processor has none.
///
/// It holds the user features that the kernel has switched on (XCR0), at the
/// offsets of the standard form (CPUID leaf 0xD).
#[cfg(target_arch = "x86_64")]
pub(in crate::target) fn xstate_layout(wants: &Wants) -> Option<XstateLayout> {
    use std::sync::OnceLock;
    static LAYOUT: OnceLock<Option<XstateLayout>> = OnceLock::new();
    if !wants.extended_state {
        return None;
    }
    LAYOUT.get_or_init(|| enabled_features().map(|xcr0| layout(xcr0, cpuid_component))).clone()
}

/// The layout for a mask of features; `component` tells offset and size of each.
fn layout(mask: u64, component: impl Fn(u32) -> (u32, u32)) -> XstateLayout {
    let mut layout = XstateLayout { features: XSTATE_MASK_LEGACY, ..XstateLayout::default() };
    layout.components.extend(LEGACY_COMPONENTS);
    let mut end = XSAVE_LEGACY_SIZE + size_of::<XsaveAreaHeader>();
    for feature in (2..63).filter(|f| mask & (1 << f) != 0) {
        let (offset, size) = component(feature);
        // A user feature never stands in the legacy area or header; one without
        // a size is not known to the processor.
        if size == 0 || (offset as usize) < XSAVE_LEGACY_SIZE + size_of::<XsaveAreaHeader>() {
            continue;
        }
        layout.features |= 1 << feature;
        layout.components.push((feature, offset, size));
        end = end.max(offset as usize + size as usize);
    }
    layout.context_size = (HEADER_AT + end - XSAVE_LEGACY_SIZE) as u32;
    layout
}

/// Where processors keep the features: number, offset, size. The first as
/// Intel's, with MPX; the second as AMD's, without.
const KNOWN_PROCESSORS: [&[(u32, u32, u32)]; 2] = [
    &[
        (2, 576, 256),
        (3, 960, 64),
        (4, 1024, 64),
        (5, 1088, 64),
        (6, 1152, 512),
        (7, 1664, 1024),
        (9, 2688, 8),
    ],
    &[(2, 576, 256), (5, 832, 64), (6, 896, 512), (7, 1408, 1024), (9, 2432, 8)],
];

/// The layout of features at given places: number, offset, size.
pub(in crate::target) fn layout_of(mask: u64, components: &[(u32, u32, u32)]) -> XstateLayout {
    layout(mask, |feature| {
        components.iter().find(|c| c.0 == feature).map_or((0, 0), |c| (c.1, c.2))
    })
}

/// The layout of an XSAVE area in a core, where nothing says it: the area names
/// its features, and its length tells which of the known processors it is.
/// `None` if that fits none of them, or there is nothing beyond the legacy part.
pub(in crate::target) fn area_layout(area: &[u8]) -> Option<XstateLayout> {
    let mask =
        u64::from_le_bytes(area.get(XSAVE_XCR0_OFFSET..XSAVE_XCR0_OFFSET + 8)?.try_into().ok()?);
    let fits = |layout: &XstateLayout| {
        let all = layout.features == mask | XSTATE_MASK_LEGACY;
        all && layout.components.len() > LEGACY_COMPONENTS.len() && area_size(layout) == area.len()
    };
    #[cfg(target_arch = "x86_64")]
    let native = Some(layout(mask, cpuid_component));
    #[cfg(not(target_arch = "x86_64"))]
    let native = None;
    native
        .into_iter()
        .chain(KNOWN_PROCESSORS.iter().map(|components| layout_of(mask, components)))
        .find(fits)
}

/// Bytes of an XSAVE area, from its legacy part on, that a layout covers.
pub(super) fn area_size(layout: &XstateLayout) -> usize {
    // The regset wants a multiple of 8, and so may be longer than the features.
    (layout.context_size as usize - HEADER_AT + XSAVE_LEGACY_SIZE).next_multiple_of(8)
}

/// The context with the extended state of `area` (an XSAVE area in standard
/// form, from its legacy part on) behind it. What the area is too short for
/// counts as being in its initial state.
pub(super) fn extend(context: &ContextAmd64, layout: &XstateLayout, area: &[u8]) -> Vec<u8> {
    let size = layout.context_size as usize;
    let mut context = *context;
    context.context_flags = (context.context_flags.get() | CONTEXT_XSTATE).into();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(context.as_bytes());
    let ex = ContextEx {
        all: ContextChunk { offset: (-(CONTEXT_SIZE as i32)).into(), length: (size as u32).into() },
        legacy: ContextChunk {
            offset: (-(CONTEXT_SIZE as i32)).into(),
            length: (CONTEXT_SIZE as u32).into(),
        },
        xstate: ContextChunk {
            offset: ((HEADER_AT - CONTEXT_SIZE) as i32).into(),
            length: ((size - HEADER_AT) as u32).into(),
        },
    };
    out.extend_from_slice(ex.as_bytes());
    out.resize(size, 0);

    let mut header = XsaveAreaHeader::new_zeroed();
    let mut present = area
        .get(XSAVE_LEGACY_SIZE..XSAVE_LEGACY_SIZE + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(XSTATE_MASK_LEGACY, u64::from_le_bytes)
        & layout.features;
    for &(feature, offset, len) in layout.components.iter().filter(|c| c.0 >= 2) {
        let (offset, len) = (offset as usize, len as usize);
        match area.get(offset..offset + len) {
            Some(bytes) => {
                let at = HEADER_AT + offset - XSAVE_LEGACY_SIZE;
                out[at..at + len].copy_from_slice(bytes);
            }
            None => present &= !(1 << feature),
        }
    }
    header.mask = present.into();
    out[HEADER_AT..HEADER_AT + size_of::<XsaveAreaHeader>()].copy_from_slice(header.as_bytes());
    out
}

/// XCR0, if the processor has XSAVE and the kernel uses it.
#[cfg(target_arch = "x86_64")]
fn enabled_features() -> Option<u64> {
    const OSXSAVE: u32 = 1 << 27;
    let leaf1 = cpuid(1, 0);
    if cpuid(0, 0).eax < 0xD || leaf1.ecx & OSXSAVE == 0 {
        return None;
    }
    // SAFETY: OSXSAVE says that XGETBV may be executed.
    Some(unsafe { xcr0() })
}

/// # Safety
/// The processor must have XSAVE and the kernel must have switched it on.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: as this function demands.
    unsafe { std::arch::x86_64::_xgetbv(0) }
}

/// Offset and size of a feature in the standard form; size 0 if unknown.
#[cfg(target_arch = "x86_64")]
fn cpuid_component(feature: u32) -> (u32, u32) {
    let leaf = cpuid(0xD, feature);
    (leaf.ebx, leaf.eax)
}

#[cfg(target_arch = "x86_64")]
fn cpuid(leaf: u32, sub_leaf: u32) -> std::arch::x86_64::CpuidResult {
    // SAFETY: every x86-64 processor has CPUID. (Newer compilers say so too.)
    #[allow(unused_unsafe, reason = "unsafe up to Rust 1.93")]
    unsafe {
        std::arch::x86_64::__cpuid_count(leaf, sub_leaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpwright_format::context::xstate::{
        XSTATE_MASK_AVX, XSTATE_MASK_AVX512, XSTATE_MASK_PKRU,
    };
    use zerocopy::FromBytes;

    /// Offsets and sizes of a processor with AVX-512 and PKRU.
    fn component(feature: u32) -> (u32, u32) {
        match feature {
            2 => (576, 256),
            5 => (1088, 64),
            6 => (1152, 512),
            7 => (1664, 1024),
            9 => (2688, 8),
            _ => (0, 0),
        }
    }

    #[test]
    fn each_feature_stands_where_the_layout_says() {
        let mask = XSTATE_MASK_LEGACY | XSTATE_MASK_AVX | XSTATE_MASK_AVX512 | XSTATE_MASK_PKRU;
        let layout = layout(mask | 1 << 20, component);
        assert_eq!(layout.features, mask, "a feature that CPUID does not know is left out");
        assert_eq!(layout.context_size, 1280 + 2696 - 512);
        assert_eq!(layout.components[..2], LEGACY_COMPONENTS);

        let area: Vec<u8> = (0..area_size(&layout)).map(|i| (i % 251) as u8).collect();
        let out = extend(&ContextAmd64::new_zeroed(), &layout, &area);
        assert_eq!(out.len(), layout.context_size as usize);
        let (context, rest) = ContextAmd64::read_from_prefix(&out).unwrap();
        assert_eq!(context.context_flags.get(), CONTEXT_XSTATE);
        let (ex, _) = ContextEx::read_from_prefix(rest).unwrap();
        assert_eq!((ex.all.offset.get(), ex.all.length.get()), (-1232, layout.context_size));
        assert_eq!((ex.legacy.offset.get(), ex.legacy.length.get()), (-1232, 1232));
        assert_eq!((ex.xstate.offset.get(), ex.xstate.length.get()), (48, 2696 - 512));
        let xsave = &out[1280..];
        for (feature, offset, size) in layout.components.iter().skip(2) {
            let (at, len) = (*offset as usize, *size as usize);
            assert_eq!(xsave[at - 512..at - 512 + len], area[at..at + len], "feature {feature}");
        }
    }

    #[test]
    fn what_an_area_is_too_short_for_counts_as_initial() {
        let layout = layout(XSTATE_MASK_AVX | XSTATE_MASK_AVX512, component);
        let mut area = vec![0xFF; 832];
        area[512..520].copy_from_slice(&(layout.features | 1 << 40).to_le_bytes());
        let out = extend(&ContextAmd64::new_zeroed(), &layout, &area);
        let (header, _) = XsaveAreaHeader::read_from_prefix(&out[1280..]).unwrap();
        assert_eq!(header.mask.get(), XSTATE_MASK_LEGACY | XSTATE_MASK_AVX);
        assert!(out[1280 + 832 - 512..].iter().all(|b| *b == 0));
    }

    #[test]
    fn the_layout_of_this_machine_covers_what_its_processor_reports() {
        let wants = Wants { extended_state: true, ..Wants::default() };
        let Some(layout) = xstate_layout(&wants) else {
            assert!(enabled_features().is_none());
            return;
        };
        // CPUID 0xD.0 EBX: bytes that XSAVE needs for what XCR0 enables.
        let needed = cpuid(0xD, 0).ebx;
        assert_eq!(layout.context_size, 1280 - 512 + needed);
        assert_eq!(Some(layout.features), enabled_features().map(|f| f | XSTATE_MASK_LEGACY));
        assert_eq!(xstate_layout(&Wants::default()), None);
    }
}
