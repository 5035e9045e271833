//! Physical memory: runs of RAM, and the pages of it that are not zero.

use std::collections::BTreeMap;

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// A page's bytes.
pub type Page = [u8; PAGE as usize];

/// Consecutive page frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First frame.
    pub base: u64,
    /// How many.
    pub count: u64,
}

impl Run {
    /// A run from its first frame to before `end`.
    pub fn new(base: u64, end: u64) -> Run {
        Run { base, count: end - base }
    }

    /// The frame past the last.
    pub fn end(self) -> u64 {
        self.base + self.count
    }
}

/// Physical memory of a machine.
#[derive(Clone, Debug)]
pub struct Image {
    runs: Vec<Run>,
    pages: BTreeMap<u64, Box<Page>>,
    /// The next frame to give out, for each run.
    next: Vec<u64>,
    turn: usize,
}

impl Image {
    /// RAM of these runs (in order, apart from each other), all zero.
    pub fn new(runs: &[Run]) -> Image {
        assert!(runs.windows(2).all(|w| w[0].end() < w[1].base), "runs touch or are not in order");
        // The first page is the firmware's, and a frame 0 in a table hides bugs.
        let next = runs.iter().map(|r| r.base.max(1)).collect();
        Image { runs: runs.to_vec(), pages: BTreeMap::new(), next, turn: 0 }
    }

    /// The runs.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Pages of RAM.
    pub fn ram_pages(&self) -> u64 {
        self.runs.iter().map(|r| r.count).sum()
    }

    /// The frame past the last one of RAM.
    pub fn end(&self) -> u64 {
        self.runs.last().unwrap().end()
    }

    /// Whether a frame is RAM.
    pub fn is_ram(&self, pfn: u64) -> bool {
        self.runs.iter().any(|r| r.base <= pfn && pfn < r.end())
    }

    /// A page's bytes.
    pub fn page(&self, pfn: u64) -> Page {
        self.pages.get(&pfn).map_or([0; PAGE as usize], |p| **p)
    }

    /// Frames that were written to, in order, with their bytes.
    pub fn written(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.pages.iter().map(|(pfn, page)| (*pfn, &**page))
    }

    /// Takes a free frame, each from another run than the one before, so that
    /// neighbours in virtual memory are none in physical memory.
    pub fn allocate(&mut self) -> u64 {
        for _ in 0..self.runs.len() {
            let i = self.turn % self.runs.len();
            self.turn += 1;
            if let Some(pfn) = self.take(i, 1, 1) {
                return pfn;
            }
        }
        panic!("the image is full");
    }

    /// Takes a free frame below 4 GiB.
    pub fn allocate_low(&mut self) -> u64 {
        for i in 0..self.runs.len() {
            if self.next[i] < 1 << 20
                && let Some(pfn) = self.take(i, 1, 1)
            {
                return pfn;
            }
        }
        panic!("the image is full below 4 GiB");
    }

    /// Takes frames in a row whose first is a multiple of `alignment`.
    pub fn allocate_aligned(&mut self, count: u64, alignment: u64) -> u64 {
        (0..self.runs.len())
            .find_map(|i| self.take(i, count, alignment))
            .expect("the image has room for aligned frames")
    }

    /// Takes the run that holds this frame out of what is given out.
    pub fn keep_free(&mut self, pfn: u64) {
        let run = self.runs.iter().position(|r| r.base <= pfn && pfn < r.end()).unwrap();
        self.next[run] = self.runs[run].end();
    }

    fn take(&mut self, run: usize, count: u64, alignment: u64) -> Option<u64> {
        let mut pfn = self.next[run].next_multiple_of(alignment);
        // A frame that the caller fixed by hand is not free.
        while let Some((&used, _)) = self.pages.range(pfn..pfn + count).next_back() {
            pfn = (used + 1).next_multiple_of(alignment);
        }
        (pfn + count <= self.runs[run].end()).then(|| {
            self.next[run] = pfn + count;
            pfn
        })
    }

    /// Writes at a physical address.
    pub fn write(&mut self, gpa: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = gpa + done as u64;
            let (pfn, offset) = (at / PAGE, (at % PAGE) as usize);
            assert!(self.is_ram(pfn), "{at:#x} is not RAM");
            let length = (bytes.len() - done).min(PAGE as usize - offset);
            let page = self.pages.entry(pfn).or_insert_with(|| Box::new([0; PAGE as usize]));
            page[offset..offset + length].copy_from_slice(&bytes[done..done + length]);
            done += length;
        }
    }

    /// Reads at a physical address; what is not RAM reads as zero.
    pub fn read(&self, gpa: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = gpa + bytes.len() as u64;
            let offset = (at % PAGE) as usize;
            let take = (length - bytes.len()).min(PAGE as usize - offset);
            bytes.extend_from_slice(&self.page(at / PAGE)[offset..offset + take]);
        }
        bytes
    }

    /// Reads eight bytes.
    pub fn read_u64(&self, gpa: u64) -> u64 {
        u64::from_le_bytes(self.read(gpa, 8).try_into().unwrap())
    }

    /// Reads four bytes.
    pub fn read_u32(&self, gpa: u64) -> u32 {
        u32::from_le_bytes(self.read(gpa, 4).try_into().unwrap())
    }

    /// Fills frames that nothing uses with [`crate::pattern`], every `step`th of
    /// them: memory that the guest has freed.
    pub fn litter(&mut self, step: u64, most: usize) -> Vec<u64> {
        let mut littered = Vec::new();
        for i in 0..self.runs.len() {
            let mut pfn = self.next[i] + 1;
            while pfn < self.runs[i].end() && littered.len() < most {
                if let std::collections::btree_map::Entry::Vacant(e) = self.pages.entry(pfn) {
                    e.insert(Box::new(crate::pattern(pfn)));
                    littered.push(pfn);
                }
                pfn += step;
            }
        }
        littered
    }
}
