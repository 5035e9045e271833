//! Raw images of Windows guests: the guest's own list of RAM says where the
//! bytes of the file stood, and which of them are none of its memory.

use super::image::{ExtentMemory, Image, ImageKind, RawLayout, parse};
use super::understand::{self, Effort};
use super::{
    GuestKind, MachineOptions, MachineSnapshot, PAGE_SIZE, PageRun, PhysicalMemory, common_runs,
    count_pages, windows,
};
use crate::read::Source;
use crate::soft_error::SoftError;
use std::sync::Arc;

const GIB: u64 = 1 << 30;
/// What is said of the layout that was guessed.
const SUBJECT: &str = "memory layout";

/// A raw image with a guess of its layout, understood.
type Understood = (ExtentMemory, MachineSnapshot);

/// Opens a raw image that nobody said the layout of. `Err` tells what is wrong.
pub(super) fn open(
    source: &Arc<dyn Source>,
    options: &MachineOptions,
) -> Result<Understood, String> {
    let guess = understood(source, &RawLayout::Guess, options)?;
    let len = source.len() - source.len() % PAGE_SIZE;
    let is_understood = |(_, snapshot): &Understood| snapshot.memory_block.is_some();
    // Low memory is the same in every layout, so that the top table of a Windows
    // shows in any; what it leads to may lie above.
    let others = [RawLayout::Flat, RawLayout::Q35, RawLayout::PC];
    let is_windows = || {
        guess.1.guest == GuestKind::Windows
            || options.by_hand.directory_table_base.is_some()
            || windows::has_top_table(&guess.0)
    };
    let first = if is_understood(&guess) || len < 2 * GIB || !is_windows() {
        None
    } else {
        let mut tried = others.iter().filter_map(|other| understood(source, other, options).ok());
        tried.find(is_understood)
    };
    let (memory, snapshot) = first.unwrap_or(guess);
    let Some(block) = snapshot.memory_block.clone() else { return Ok((memory, snapshot)) };
    let Some(layout) = layout_of(len, &block) else {
        return Ok((memory, contradicted(snapshot)));
    };
    let (memory, mut snapshot) = understood(source, &layout, options)?;
    let held = common_runs(&block, memory.runs());
    if snapshot.memory_block.as_ref() != Some(&block) || held != block {
        return Ok((memory, contradicted(snapshot)));
    }
    let left_out = count_pages(memory.runs()) - count_pages(&block);
    if left_out > 0 {
        snapshot.soft_errors.push(SoftError::new(
            SUBJECT,
            format!(
                "{left_out} pages of the image are none of the guest's memory by its own list (holes for devices, firmware) and are left out; --ranges ({}) keeps them",
                name(&layout)
            ),
        ));
    }
    snapshot.runs = block;
    Ok((memory, snapshot))
}

fn understood(
    source: &Arc<dyn Source>,
    layout: &RawLayout,
    options: &MachineOptions,
) -> Result<Understood, String> {
    let mut image: Image =
        parse(ImageKind::Raw, source, layout).map_err(|refusal| refusal.to_string())?;
    let extents = std::mem::take(&mut image.extents);
    let (memory, soft_errors) = ExtentMemory::new(source.clone(), extents)?;
    image.soft_errors.extend(soft_errors);
    let snapshot = understand::understand(&memory, image, options, Effort::Search);
    Ok((memory, snapshot))
}

/// The layout of a file of `len` bytes that holds the guest's RAM: each byte at
/// its address, or the hole below 4 GiB left out. `None` if it is neither.
fn layout_of(len: u64, block: &[PageRun]) -> Option<RawLayout> {
    let end = block.last()?.end().gpa().0;
    if len >= end {
        return Some(RawLayout::Flat);
    }
    let low = block.iter().map(|run| run.end().gpa().0).filter(|end| *end <= 4 * GIB).max()?;
    let hole = len.checked_sub(end.checked_sub(4 * GIB)?)?;
    (low..4 * GIB).contains(&hole).then_some(RawLayout::HoleFrom(hole))
}

fn contradicted(mut snapshot: MachineSnapshot) -> MachineSnapshot {
    snapshot.soft_errors.push(SoftError::new(
        SUBJECT,
        "the image does not hold what the guest lists as its memory: it is cut off, or its bytes stood elsewhere; give --ranges",
    ));
    snapshot
}

fn name(layout: &RawLayout) -> String {
    match layout {
        RawLayout::Flat => "flat".into(),
        layout if *layout == RawLayout::PC => "pc".into(),
        layout if *layout == RawLayout::Q35 => "q35".into(),
        RawLayout::HoleFrom(hole) => format!("0-{hole:#x},0x100000000+…"),
        RawLayout::Guess | RawLayout::Ranges(_) => "START-END,…".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::machine::Pfn;

    fn block(runs: &[(u64, u64)]) -> Vec<PageRun> {
        runs.iter().map(|&(base, count)| PageRun { base: Pfn(base), count }).collect()
    }

    #[test]
    fn the_guests_own_list_says_where_a_files_bytes_stood() {
        let small = block(&[(1, 0x9e), (0x100, 0x7f00)]);
        assert_eq!(layout_of(0x800_0000, &small), Some(RawLayout::Flat));
        assert_eq!(layout_of(0x700_0000, &small), None, "it is cut off");
        // 8 GiB with the hole of q35, of pc, and 5 GiB of it flat.
        let large =
            |low: u64, high: u64| block(&[(1, low / 4096 - 0x20), (0x10_0000, high / 4096)]);
        assert_eq!(layout_of(8 * GIB, &large(2 * GIB, 6 * GIB)), Some(RawLayout::Q35));
        assert_eq!(layout_of(8 * GIB, &large(3 * GIB, 5 * GIB)), Some(RawLayout::PC));
        assert_eq!(layout_of(9 * GIB, &large(3 * GIB, 5 * GIB)), Some(RawLayout::Flat));
        assert_eq!(layout_of(8 * GIB, &large(3 * GIB, 6 * GIB)), None, "RAM in the hole");
    }
}
