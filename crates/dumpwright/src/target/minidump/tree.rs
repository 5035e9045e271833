//! Streams that point to other parts of their file, read as trees.

use crate::read::{Location, Minidump};
use crate::target::{CarriedContent, CarriedSection, CarriedStream, Pointer, PointerKind};
use dumpwright_format::minidump::StreamType;

/// Entries of one list that are believed.
const MAX_ENTRIES: u32 = 0x1_0000;
/// Bytes that one stream may point to in all.
const MAX_BYTES: u64 = 64 << 20;

/// Reads what a stream points to, with bounds on all of it.
pub(super) struct Reader<'a> {
    dump: &'a Minidump,
    left: u64,
}

/// Bytes, and the trees that they point to.
pub(super) struct Tree {
    section: CarriedSection,
    children: Vec<Tree>,
}

impl Tree {
    /// Bytes that are no text.
    pub(super) fn new(bytes: Vec<u8>) -> Tree {
        let section = CarriedSection { bytes, ..Default::default() };
        Tree { section, children: Vec::new() }
    }

    /// Bytes with text in them.
    pub(super) fn text(bytes: Vec<u8>) -> Tree {
        Tree { section: CarriedSection::text(bytes), children: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.section.bytes.len()
    }

    /// The 32-bit number at an offset.
    pub(super) fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.section.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Where the entries of a list with a plain count stand.
    pub(super) fn entries(&self, size: usize) -> Option<impl Iterator<Item = usize> + use<>> {
        let count = self.word(0)?;
        let fits = count <= MAX_ENTRIES && 4 + count as usize * size <= self.len();
        fits.then(|| (0..count as usize).map(move |index| 4 + index * size))
    }

    /// Makes everything from an offset on zero.
    pub(super) fn clear_from(&mut self, at: usize) {
        if let Some(rest) = self.section.bytes.get_mut(at..) {
            rest.fill(0);
        }
    }

    fn point(&mut self, at: usize, kind: PointerKind, to: Tree) {
        self.section.pointers.push(Pointer { at, kind, to: self.children.len() });
        self.children.push(to);
    }

    /// The tree as a stream.
    pub(super) fn into_stream(
        self,
        stream_type: StreamType,
        content: CarriedContent,
    ) -> CarriedStream {
        let mut blobs = Vec::new();
        let section = flatten(self, &mut blobs);
        CarriedStream { stream_type, content, section, blobs }
    }
}

/// A tree's section, its children behind those that there are.
fn flatten(tree: Tree, blobs: &mut Vec<CarriedSection>) -> CarriedSection {
    let mut section = tree.section;
    let mut places = Vec::with_capacity(tree.children.len());
    for child in tree.children {
        let child = flatten(child, blobs);
        places.push(blobs.len());
        blobs.push(child);
    }
    for pointer in &mut section.pointers {
        pointer.to = places[pointer.to];
    }
    section
}

impl<'a> Reader<'a> {
    pub(super) fn new(dump: &'a Minidump) -> Reader<'a> {
        Reader { dump, left: dump.work_allowance().min(MAX_BYTES) }
    }

    fn bytes(&mut self, rva: u64, size: u64) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(size)?;
        if !self.dump.holds(rva, size) {
            return None;
        }
        let mut bytes = vec![0; size as usize];
        self.dump.read_file(rva, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Follows the `MINIDUMP_LOCATION_DESCRIPTOR` at an offset, unless it is zero.
    pub(super) fn location(
        &mut self,
        tree: &mut Tree,
        at: usize,
        read: impl FnOnce(&mut Self, Vec<u8>) -> Option<Tree>,
    ) -> Option<()> {
        let location =
            Location { size: tree.word(at)?.into(), rva: tree.word(at.checked_add(4)?)?.into() };
        if location.size == 0 {
            tree.section.bytes[at..at + 8].fill(0);
            return Some(());
        }
        let bytes = self.bytes(location.rva, location.size)?;
        let child = read(self, bytes)?;
        tree.point(at, PointerKind::Location, child);
        Some(())
    }

    /// Follows the RVA at an offset to text or bytes behind a byte count, with
    /// `nul` bytes of NUL behind them, unless it is zero.
    pub(super) fn counted(&mut self, tree: &mut Tree, at: usize, nul: u64) -> Option<()> {
        let rva = tree.word(at)?.into();
        self.counted_at(tree, at, rva, nul, PointerKind::Rva)
    }

    /// As [`counted`](Self::counted), for a 64-bit RVA.
    pub(super) fn counted64(&mut self, tree: &mut Tree, at: usize, nul: u64) -> Option<()> {
        let rva = u64::from(tree.word(at)?) | u64::from(tree.word(at + 4)?) << 32;
        self.counted_at(tree, at, rva, nul, PointerKind::Rva64)
    }

    fn counted_at(
        &mut self,
        tree: &mut Tree,
        at: usize,
        rva: u64,
        nul: u64,
        kind: PointerKind,
    ) -> Option<()> {
        if rva == 0 {
            return Some(());
        }
        let count = self.bytes(rva, 4)?;
        let length = u32::from_le_bytes(count.try_into().ok()?);
        let bytes = self.bytes(rva, 4 + u64::from(length) + nul)?;
        let mut section = CarriedSection { bytes, ..Default::default() };
        section.text = (4, 4 + length as usize);
        tree.point(at, kind, Tree { section, children: Vec::new() });
        Some(())
    }
}
