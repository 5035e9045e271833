//! Wine's own tables of the address space: what `VirtualQuery` answers from.
//!
//! The kernel's list of mappings does not tell two allocations that touch, nor
//! memory that is reserved from memory that is kept free, nor a guard page from
//! a forbidden one. Wine's tables do. They are no interface: they are looked for
//! among the variables of Wine's Unix library, and believed only if they agree
//! with everything that is known from elsewhere — each loaded module is a view,
//! and each page is readable just if the kernel says so.

use crate::address::{AddressRange, RangeSet};
use crate::packed::Packed;
use crate::target::nt::read;
use crate::target::{MemorySource, PageState, Protection, Region};
use dumpwright_format::minidump::{
    MEM_COMMIT, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, PageProtection,
};
use dumpwright_format::wine::{PAGE_TABLE_SHIFT, VIEW_IMAGE, VIEW_SECTION, View, page};
use std::collections::HashSet;

/// More views than a process has.
const MOST_VIEWS: usize = 1 << 17;
/// More pages than a process has.
const MOST_PAGES: u64 = 1 << 26;
/// More bytes of variables than the library has.
const MOST_VARIABLES: u64 = 16 << 20;
/// Bytes of a page.
const PAGE: u64 = 4096;
/// The bits that count: which pages were written, and whether anyone watches, is
/// no matter.
const STATE: u8 = page::COMMITTED | page::GUARD | 0xF;
/// Of so many views, one may differ from the kernel's mappings: the process may
/// have been stopped between the kernel's change and Wine's. So may two of any
/// number.
const TOLERANCE: usize = 16;

/// An allocation or mapping, with the state of each page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allocation {
    /// Its addresses.
    pub range: AddressRange,
    protect: u32,
    pages: Vec<u8>,
}

impl Allocation {
    /// Runs of pages in one state, with what `VirtualQuery` says of them.
    pub fn runs(&self) -> impl Iterator<Item = (AddressRange, PageState)> + '_ {
        let mut at = self.range.start;
        self.pages.chunk_by(|a, b| a == b).map(move |run| {
            let range = AddressRange::with_len(at, run.len() as u64 * PAGE);
            at = range.end;
            (range, self.state(run[0]))
        })
    }

    fn state(&self, bits: u8) -> PageState {
        let committed = bits & page::COMMITTED != 0;
        let memory_type = if self.protect & VIEW_IMAGE != 0 {
            MEM_IMAGE
        } else if self.protect & VIEW_SECTION != 0 {
            MEM_MAPPED
        } else {
            MEM_PRIVATE
        };
        PageState {
            state: if committed { MEM_COMMIT } else { MEM_RESERVE },
            protect: if committed { protection(bits).bits() } else { 0 },
            allocation_protect: protection(self.protect as u8).bits(),
            memory_type,
        }
    }
}

/// The `PAGE_*` value of a page's bits.
fn protection(bits: u8) -> PageProtection {
    let has = |bit| bits & bit != 0;
    let base = match (has(page::EXECUTE), has(page::WRITE_COPY), has(page::WRITE), has(page::READ))
    {
        (false, true, ..) => PageProtection::WRITE_COPY,
        (false, false, true, _) => PageProtection::READ_WRITE,
        (false, false, false, true) => PageProtection::READ_ONLY,
        (false, false, false, false) => PageProtection::NO_ACCESS,
        (true, true, ..) => PageProtection::EXECUTE_WRITE_COPY,
        (true, false, true, _) => PageProtection::EXECUTE_READ_WRITE,
        (true, false, false, true) => PageProtection::EXECUTE_READ,
        (true, false, false, false) => PageProtection::EXECUTE,
    };
    if has(page::GUARD) { base | PageProtection::GUARD } else { base }
}

/// What is known from elsewhere.
pub(super) struct Known<'a> {
    pub memory: &'a dyn MemorySource,
    /// As the kernel maps them.
    pub regions: &'a Packed<Region>,
    /// Writable segments of Wine's Unix library.
    pub variables: &'a [AddressRange],
    /// Images of loaded modules.
    pub images: &'a [AddressRange],
    /// Where a TEB is.
    pub teb: u64,
}

impl Known<'_> {
    /// The allocations, in order. `None` if no tables are found that agree with
    /// what is known.
    pub fn allocations(&self) -> Option<Vec<Allocation>> {
        let words = self.words();
        let views = words.iter().find_map(|word| self.views(*word))?;
        words.iter().find_map(|word| self.with_pages(&views, *word))
    }

    /// What of the library's variables can be a pointer to data.
    fn words(&self) -> Vec<u64> {
        let data: RangeSet = self
            .regions
            .iter()
            .filter(|r| r.is_readable() && r.protection.contains(Protection::WRITE))
            .map(|r| r.range)
            .collect();
        let mut words = Vec::new();
        for range in self.variables.iter().filter(|range| range.len() <= MOST_VARIABLES) {
            let mut bytes = vec![0; range.len() as usize];
            self.memory.read(&[*range], &mut bytes, &mut Vec::new());
            let (whole, _) = bytes.as_chunks::<8>();
            let values = whole.iter().map(|word| u64::from_le_bytes(*word));
            words.extend(values.filter(|v| *v != 0 && v % 8 == 0 && data.find(*v).is_some()));
        }
        words
    }

    /// The views of the tree whose root is at `root`, if it is that tree.
    fn views(&self, root: u64) -> Option<Vec<(AddressRange, u32)>> {
        let mut views = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![(root, 0)];
        while let Some((at, parent)) = waiting.pop() {
            if views.len() == MOST_VIEWS || !seen.insert(at) {
                return None;
            }
            let view: View = read(self.memory, at)?;
            let range = AddressRange::with_len(view.base.get(), view.size.get());
            let whole_pages = range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE);
            if view.parent.get() != parent || range.is_empty() || !whole_pages {
                return None;
            }
            views.push((range, view.protect.get()));
            let children = [view.left.get(), view.right.get()];
            waiting.extend(children.into_iter().filter(|c| *c != 0).map(|child| (child, at)));
        }
        views.sort_unstable_by_key(|(range, _)| range.start);
        let apart = views.windows(2).all(|pair| pair[0].0.end <= pair[1].0.start);
        let is_image = |image: &AddressRange| {
            let whole = image.align_outward(PAGE);
            views.iter().any(|(range, bits)| *range == whole && bits & VIEW_IMAGE != 0)
        };
        let has_teb = views.iter().any(|(range, _)| range.contains(self.teb));
        (apart && has_teb && self.images.iter().all(is_image)).then_some(views)
    }

    /// The views with the pages of the table of tables at `table`, if it is that.
    fn with_pages(&self, views: &[(AddressRange, u32)], table: u64) -> Option<Vec<Allocation>> {
        let (mut pages, mut different) = (0, 0);
        let tolerated = 2 + views.len() / TOLERANCE;
        let mut allocations = Vec::with_capacity(views.len());
        for (range, protect) in views {
            let mut allocation =
                Allocation { range: *range, protect: *protect, pages: self.pages(table, *range)? };
            pages += allocation.pages.len() as u64;
            if pages > MOST_PAGES {
                return None;
            }
            if self.correct(&mut allocation) {
                different += 1;
            }
            if different > tolerated {
                return None;
            }
            allocations.push(allocation);
        }
        (views.len() > 2 * different).then_some(allocations)
    }

    /// The state of each page of `range`.
    fn pages(&self, table: u64, range: AddressRange) -> Option<Vec<u8>> {
        const COVERED: u64 = 1 << PAGE_TABLE_SHIFT;
        let (mut at, end) = (range.start / PAGE, range.end / PAGE);
        if end - at > MOST_PAGES {
            return None;
        }
        let mut pages = Vec::new();
        while at < end {
            let entry = table.checked_add(8 * (at / COVERED))?;
            let states = self.memory.read_u64(entry).filter(|states| *states != 0)?;
            let count = (COVERED - at % COVERED).min(end - at);
            let mut part = vec![0; count as usize];
            if !self.memory.read_exact(states.checked_add(at % COVERED)?, &mut part) {
                return None;
            }
            pages.extend(part);
            at += count;
        }
        for state in &mut pages {
            *state &= STATE;
        }
        Some(pages)
    }

    /// Whether the kernel lets the process read a page although the table says
    /// otherwise, or the reverse. What the kernel says counts then.
    fn correct(&self, allocation: &mut Allocation) -> bool {
        let mut regions = self.regions.behind(allocation.range.start).peekable();
        let mut differs = false;
        let mut at = allocation.range.start;
        for bits in &mut allocation.pages {
            while regions.peek().is_some_and(|r| r.range.end <= at) {
                regions.next();
            }
            let mapped = regions.peek().filter(|r| r.range.contains(at));
            let allowed = mapped.map_or(Protection::empty(), |r| r.protection);
            let readable = allowed.contains(Protection::READ);
            let stated =
                *bits & page::COMMITTED != 0 && *bits & page::GUARD == 0 && *bits & 0xF != 0;
            if readable != stated {
                differs = true;
                *bits = if readable { as_mapped(allowed) } else { *bits & !page::COMMITTED };
            }
            at += PAGE;
        }
        differs
    }
}

/// The state of a page that the kernel allows so much.
fn as_mapped(allowed: Protection) -> u8 {
    let bit = |of, bit| if allowed.contains(of) { bit } else { 0 };
    page::COMMITTED
        | bit(Protection::READ, page::READ)
        | bit(Protection::WRITE, page::WRITE)
        | bit(Protection::EXECUTE, page::EXECUTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::nt::fake::FakeMemory;
    use crate::target::{Absent, Access, Backing};

    const TEB: u64 = 0x4_0000;
    const IMAGE: AddressRange = AddressRange { start: 0x10_0000, end: 0x10_2000 };
    const VARIABLES: AddressRange = AddressRange { start: 0x7000_0000, end: 0x7000_0040 };

    fn region(start: u64, end: u64, protection: Protection) -> Region {
        Region {
            range: AddressRange::new(start, end),
            protection,
            shared: false,
            backing: Backing::Anonymous,
            name: "".into(),
            allocation_base: start,
            access: Access::Normal,
            absent: Absent::Zero,
            backed_end: end,
            page_state: None,
        }
    }

    fn view(memory: &mut FakeMemory, at: u64, links: [u64; 3], range: (u64, u64), protect: u32) {
        let words = [links[0], links[1], links[2], 0, range.0, range.1, protect.into()];
        memory.put(at, words.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<_>>());
    }

    /// A TEB's view, an image of two pages, and a view with a reserved page, a
    /// guard page and one that can be written.
    fn process() -> (FakeMemory, Packed<Region>) {
        let read = Protection::READ;
        let write = Protection::READ | Protection::WRITE;
        let regions = [
            region(TEB, TEB + 0x1000, write),
            region(0x8_0000, 0x8_2000, Protection::empty()),
            region(0x8_2000, 0x8_3000, write),
            region(IMAGE.start, IMAGE.start + 0x1000, read),
            region(IMAGE.start + 0x1000, IMAGE.end, read | Protection::EXECUTE),
            region(0x6000_0000, 0x6010_0000, write),
            region(0x7000_0000, 0x7000_1000, write),
        ];
        let mut memory = FakeMemory::default();
        memory.put(VARIABLES.start, vec![0; 0x40]);
        // Something that points to data and is neither table.
        memory.put_u64(VARIABLES.start + 0x08, 0x6000_8000);
        memory.put_u64(VARIABLES.start + 0x18, 0x6000_0000);
        memory.put_u64(VARIABLES.start + 0x20, 0x6000_1000);
        memory.put(0x6000_8000, vec![0; 0x100]);
        view(&mut memory, 0x6000_0000, [0, 0x6000_0100, 0x6000_0200], (0x8_0000, 0x3000), 0x03);
        view(&mut memory, 0x6000_0100, [0x6000_0000, 0, 0], (TEB, 0x1000), 0x23);
        let image = VIEW_IMAGE | 0x2D;
        view(&mut memory, 0x6000_0200, [0x6000_0000, 0, 0], (IMAGE.start, 0x2000), image);
        memory.put_u64(0x6000_1000, 0x6000_2000);
        memory.put(0x6000_2000, vec![0; 0x200]);
        memory.put(0x6000_2000 + TEB / PAGE, [0xA3]);
        memory.put(0x6000_2080, [0x03, 0x33, 0x23]);
        memory.put(0x6000_2100, [0x21, 0x25]);
        (memory, regions.into_iter().collect())
    }

    fn allocations(memory: &FakeMemory, regions: &Packed<Region>) -> Option<Vec<Allocation>> {
        let variables = [VARIABLES];
        let images = [IMAGE];
        Known { memory, regions, variables: &variables, images: &images, teb: TEB }.allocations()
    }

    #[test]
    fn the_tables_tell_reserved_guarded_and_committed_pages_apart() {
        let (memory, regions) = process();
        let found = allocations(&memory, &regions).unwrap();
        let bases: Vec<_> = found.iter().map(|a| a.range.start).collect();
        assert_eq!(bases, [TEB, 0x8_0000, IMAGE.start], "in order");
        let states: Vec<_> = found[1].runs().map(|(r, s)| (r.start, s.state, s.protect)).collect();
        let guard = (PageProtection::READ_WRITE | PageProtection::GUARD).bits();
        let write = PageProtection::READ_WRITE.bits();
        let expected = [
            (0x8_0000, MEM_RESERVE, 0),
            (0x8_1000, MEM_COMMIT, guard),
            (0x8_2000, MEM_COMMIT, write),
        ];
        assert_eq!(states, expected);
        let (_, image) = found[2].runs().next().unwrap();
        assert_eq!(image.memory_type, MEM_IMAGE);
        assert_eq!(image.allocation_protect, PageProtection::EXECUTE_WRITE_COPY.bits());
    }

    #[test]
    fn where_the_kernel_disagrees_about_a_view_the_kernel_counts() {
        let (memory, mut regions) = process();
        regions.change(AddressRange::new(0, u64::MAX), |r| r[1].protection = Protection::READ);
        let found = allocations(&memory, &regions).unwrap();
        let states: Vec<_> = found[1].runs().map(|(r, s)| (r.start, s.protect)).collect();
        let read = PageProtection::READ_ONLY.bits();
        assert_eq!(states, [(0x8_0000, read), (0x8_2000, PageProtection::READ_WRITE.bits())]);
    }

    #[test]
    fn tables_that_do_not_know_a_module_or_go_in_circles_are_not_believed() {
        let (mut memory, regions) = process();
        view(&mut memory, 0x6000_0200, [0x6000_0000, 0, 0], (IMAGE.start, 0x1000), VIEW_IMAGE);
        assert_eq!(allocations(&memory, &regions), None);
        let (mut memory, regions) = process();
        let circle = [0x6000_0000, 0x6000_0000, 0];
        view(&mut memory, 0x6000_0100, circle, (TEB, 0x1000), 0x23);
        assert_eq!(allocations(&memory, &regions), None);
    }
}
