//! `KDDEBUGGER_DATA64` (wdbgexts.h) of Windows 10 build 19041, and how it is
//! hidden in memory while no debugger is enabled.

use crate::{put, put_u16, put_u32, put_u64};

/// Size of the block.
pub const SIZE: usize = 0x380;

/// Offsets and sizes that the block tells, as `triage_x64.dmp` has them: where
/// in the block, and the value.
const OFFSETS: [(usize, u16); 34] = [
    (0x298, 0x218), // KTHREAD: NextProcessor
    (0x29a, 0xf0),  // Teb
    (0x29c, 0x58),  // KernelStack
    (0x29e, 0x28),  // InitialStack
    (0x2a0, 0xb8),  // ApcProcess
    (0x2a2, 0x184), // State
    (0x2a8, 0xa40), // SizeEProcess
    (0x2aa, 0x550), // EPROCESS: Peb
    (0x2ac, 0x540), // ParentCID
    (0x2ae, 0x28),  // DirectoryTableBase
    (0x2b0, PRCB_SIZE),
    (0x2b2, 0x3128), // PRCB: DpcRoutine
    (0x2b4, 0x8),    // CurrentThread
    (0x2b6, 0x44),   // Mhz
    (0x2b8, 0x40),   // CpuType
    (0x2ba, 0x8590), // VendorString
    (0x2bc, 0x1f0),  // ProcStateContext
    (0x2be, 0x24),   // Number
    (0x2c0, 0x898),  // SizeEThread
    (0x2e0, 0xb080), // SizePcr
    (0x2e2, 0x18),   // PCR: SelfPcr
    (0x2e4, 0x20),   // CurrentPrcb
    (0x2e6, 0x180),  // ContainedPrcb
    (0x2f2, 0x100),  // PRCB: ProcStateSpecialReg
    (0x2f4, 0x10),   // GDT selectors from here
    (0x2f6, 0x18),
    (0x2fa, 0x33),
    (0x2fc, 0x2b),
    (0x302, 0x40),
    (0x304, 0x23),
    (0x306, 0x53),
    (0x338, 0x85c0), // PRCB: Context
    (0x340, 0x30),   // KTHREAD: StackLimit
    (0x344, 0x38),   // StackBase
];

/// `SizePrcb`.
pub const PRCB_SIZE: u16 = 0xaf00;

/// The block: `addresses` are (where in the block, value).
pub fn block(list: u64, kernel_base: u64, addresses: &[(usize, u64)]) -> Vec<u8> {
    let mut b = vec![0; SIZE];
    put_u64(&mut b, 0, list);
    put_u64(&mut b, 8, list);
    put(&mut b, 0x10, b"KDBG");
    put_u32(&mut b, 0x14, SIZE as u32);
    put_u64(&mut b, 0x18, kernel_base);
    put_u64(&mut b, 0x138, 0x1000);
    for &(at, value) in &OFFSETS {
        put_u16(&mut b, at, value);
    }
    for &(at, value) in addresses {
        put_u64(&mut b, at, value);
    }
    b
}

/// The keys of an encoded block.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// `KiWaitNever`.
    pub wait_never: u64,
    /// `KiWaitAlways`.
    pub wait_always: u64,
    /// Address of `KdpDataBlockEncoded`.
    pub encoded_at: u64,
}

impl Keys {
    /// The block as it stands in memory while it is hidden.
    pub fn encode(&self, block: &[u8]) -> Vec<u8> {
        each(block, |value| {
            ((value ^ self.wait_always).swap_bytes() ^ self.encoded_at).rotate_right(self.turn())
                ^ self.wait_never
        })
    }

    /// The way back.
    pub fn decode(&self, block: &[u8]) -> Vec<u8> {
        each(block, |value| {
            ((value ^ self.wait_never).rotate_left(self.turn()) ^ self.encoded_at).swap_bytes()
                ^ self.wait_always
        })
    }

    fn turn(&self) -> u32 {
        self.wait_never as u32 & 0xff
    }
}

fn each(block: &[u8], f: impl Fn(u64) -> u64) -> Vec<u8> {
    let words = block.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap()));
    words.flat_map(|word| f(word).to_le_bytes()).collect()
}
