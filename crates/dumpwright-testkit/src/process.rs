//! A process of the guest: `EPROCESS`, and user pages with canaries in them.

use crate::image::{Image, PAGE};
use crate::paging::{Access, AddressSpace, PageSize};
use crate::{mix, put, put_u16, put_u32, put_u64, utf16};

/// Where in a page its canary stands.
pub const CANARY_AT: usize = 0xfe0;
/// `EPROCESS.ActiveProcessLinks`.
pub const LINKS: u64 = 0x448;

/// Bytes of a user page that must be in no kernel dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The frame.
    pub pfn: u64,
    /// Where the process sees it.
    pub va: u64,
    /// The bytes, at `CANARY_AT` of the page.
    pub bytes: [u8; 32],
}

/// A process.
#[derive(Clone, Debug)]
pub struct Process {
    /// `ImageFileName`.
    pub name: String,
    /// Process id.
    pub pid: u64,
    /// Address of its `EPROCESS`.
    pub eprocess: u64,
    /// Its page tables.
    pub space: AddressSpace,
    /// The page tables that its program runs with, where the kernel hides from
    /// it (KVA shadow).
    pub shadow: Option<AddressSpace>,
    /// Address of its PEB; 0 for the system process, which has no user space.
    pub peb: u64,
    /// Address of a TEB.
    pub teb: u64,
    /// Where its program begins.
    pub entry_point: u64,
    /// A stack pointer of the program.
    pub user_stack: u64,
    /// What stands in its user pages.
    pub canaries: Vec<Canary>,
    /// Names and addresses of its modules.
    pub modules: Vec<(String, u64)>,
}

impl Process {
    /// The system process.
    pub fn system(eprocess: u64, space: AddressSpace) -> Process {
        Process {
            name: "System".into(),
            pid: 4,
            eprocess,
            space,
            shadow: None,
            peb: 0,
            teb: 0,
            entry_point: 0,
            user_stack: 0,
            canaries: Vec::new(),
            modules: Vec::new(),
        }
    }

    /// A process with a program in its user half.
    pub fn program(
        image: &mut Image,
        name: &str,
        pid: u64,
        eprocess: u64,
        space: AddressSpace,
    ) -> Process {
        let program = 0x7ff6_0000_0000 + pid * 0x10_0000;
        let mut p = Process {
            name: name.into(),
            pid,
            eprocess,
            space,
            shadow: None,
            peb: 0x7f_0000_2000,
            teb: 0x7f_0000_4000,
            entry_point: program + 0x1450,
            user_stack: 0x7e_0000_3f00,
            canaries: Vec::new(),
            modules: vec![
                (format!(r"C:\Tools\{name}"), program),
                (r"C:\Windows\System32\ntdll.dll".into(), 0x7ffb_1234_0000),
            ],
        };
        for (va, pages) in [
            (p.peb, 1),
            (p.teb, 3),
            (program, 4),
            (0x7ffb_1234_0000, 2),
            (0x7e_0000_0000, 4),
            (0x1000_0000, 8),
        ] {
            for i in 0..pages {
                p.page(image, va + i * PAGE, Access::User);
            }
        }
        p.page(image, 0x1001_0000, Access::UserTransition);
        p.large_page(image, 0x4000_0000);
        p.loader_data(image);
        p
    }

    /// A user page, filled, with its canary.
    fn page(&mut self, image: &mut Image, va: u64, access: Access) {
        let pfn = image.allocate();
        self.space.map(image, va, pfn, PageSize::Normal, access);
        image.write(pfn * PAGE, &[0]);
        self.plant(image, pfn, va);
    }

    /// A large user page; its canary is in the first 4 KiB too, which are what a
    /// walk through the self-map takes for a page of tables.
    fn large_page(&mut self, image: &mut Image, va: u64) {
        let pfn = image.allocate_aligned(512, 512);
        self.space.map(image, va, pfn, PageSize::Large, Access::User);
        for i in [0, 1, 255, 511] {
            self.plant(image, pfn + i, va + i * PAGE);
        }
    }

    /// A 1 GiB user page at this frame.
    pub fn huge_page(&mut self, image: &mut Image, va: u64, pfn: u64) {
        self.space.map(image, va, pfn, PageSize::Huge, Access::User);
        for i in [0, 1, 511, 512, 0x3_ffff] {
            self.plant(image, pfn + i, va + i * PAGE);
        }
    }

    fn plant(&mut self, image: &mut Image, pfn: u64, va: u64) {
        let mut bytes = *b"USER PAGE CANARY, NOT FOR DUMPS!";
        put_u64(&mut bytes, 16, mix(pfn));
        put_u64(&mut bytes, 24, mix(self.pid << 40 ^ va));
        image.write(pfn * PAGE + CANARY_AT as u64, &bytes);
        self.canaries.push(Canary { pfn, va, bytes });
    }

    /// PEB, TEB and the list of modules.
    fn loader_data(&self, image: &mut Image) {
        let space = self.space;
        let (ldr, entries) = (self.peb + 0x800, 0x1000_0000_u64);
        let head = ldr + 0x10;
        space.write(image, self.teb + 0x30, &self.teb.to_le_bytes());
        space.write(image, self.teb + 0x60, &self.peb.to_le_bytes());
        space.write(image, self.peb + 0x10, &self.modules[0].1.to_le_bytes());
        space.write(image, self.peb + 0x18, &ldr.to_le_bytes());
        let at: Vec<u64> = (0..self.modules.len() as u64).map(|i| entries + i * 0x200).collect();
        link(&space, image, head, &at);
        for ((name, base), at) in self.modules.iter().zip(at) {
            let name = utf16(name);
            let mut e = [0; 0x58];
            put_u64(&mut e, 0x20, *base);
            put_u64(&mut e, 0x28, base + 0x1000);
            put_u32(&mut e, 0x30, 0x4000);
            put_u16(&mut e, 0x38, name.len() as u16);
            put_u16(&mut e, 0x3a, name.len() as u16);
            put_u64(&mut e, 0x40, at + 0x100);
            space.write(image, at + 0x10, &e);
            space.write(image, at + 0x100, &name);
        }
    }

    /// Puts its `EPROCESS` where it stands, but for the list.
    pub fn write_eprocess(&self, image: &mut Image, kernel: &AddressSpace) {
        let mut b = vec![0; 0xa40];
        b[0] = 3;
        put_u64(&mut b, 0x28, self.space.root);
        if let Some(shadow) = self.shadow {
            put_u64(&mut b, 0x388, shadow.root);
        }
        put_u64(&mut b, 0x440, self.pid);
        put_u64(&mut b, 0x540, if self.pid == 4 { 0 } else { 4 });
        put_u64(&mut b, 0x550, self.peb);
        let name = &self.name.as_bytes()[..self.name.len().min(14)];
        put(&mut b, 0x5a8, name);
        put_u64(&mut b, 0xa38, mix(self.eprocess));
        kernel.back(image, self.eprocess, b.len() as u64, Access::Kernel);
        kernel.write(image, self.eprocess, &b);
    }
}

/// Links list entries into a ring behind `head`.
pub fn link(space: &AddressSpace, image: &mut Image, head: u64, entries: &[u64]) {
    let ring: Vec<u64> = std::iter::once(head).chain(entries.iter().copied()).collect();
    for (i, &here) in ring.iter().enumerate() {
        let next = ring[(i + 1) % ring.len()];
        let before = ring[(i + ring.len() - 1) % ring.len()];
        space.write(image, here, &next.to_le_bytes());
        space.write(image, here + 8, &before.to_le_bytes());
    }
}
