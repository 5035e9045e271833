//! `KDDEBUGGER_DATA64`: found in clear, decoded, or else made of what is known.

use super::kernel::KernelImage;
use super::{made, processors};
use crate::soft_error::SoftError;
use crate::target::machine::open::MachineOptions;
use crate::target::machine::symbols::{self, KernelSymbols};
use crate::target::machine::{AddressSpace, Gva, MachineSnapshot, PAGE_SIZE};
use dumpwright_format::kernel::{DEBUGGER_DATA_TAG, DebuggerData, DebuggerDataHeader, Header64};
use dumpwright_format::machine::windows::{KPCR_VERSION_BLOCK, VersionBlock};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Sizes that the block can have: Windows XP's to some future one's.
const SIZES: std::ops::RangeInclusive<u32> = 0x200..=0x1000;
/// Bug check code of a header that a guest's driver prepared while it ran; its
/// first parameter is the address of a decoded block.
const LIVE_SYSTEM_DUMP: u32 = 0x161;

/// Where a header says that the block is.
#[derive(Clone, Copy)]
pub(super) struct Stated {
    address: Option<Gva>,
    /// A decoded copy that a driver in the guest made.
    copy: Option<Gva>,
}

impl Stated {
    /// What a prepared header says, or that of the dump that the snapshot is of.
    pub fn new(header: Option<&Header64>, snapshot: &MachineSnapshot) -> Stated {
        let (address, code, parameter) = match (header, snapshot.bug_check) {
            (Some(header), _) => (
                header.kd_debugger_data_block.get(),
                header.bug_check_code.get(),
                header.bug_check_parameters[0].get(),
            ),
            (None, Some(bug_check)) => {
                (snapshot.debugger_data.0, bug_check.code, bug_check.parameters[0])
            }
            (None, None) => (snapshot.debugger_data.0, 0, 0),
        };
        let given = |address: u64| Some(Gva(address)).filter(|at| at.0 >> 47 == 0x1_ffff);
        let copy = given(parameter).filter(|_| code == LIVE_SYSTEM_DUMP);
        Stated { address: given(address), copy }
    }
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// Where the kernel has it.
    pub address: Gva,
    /// The block.
    pub data: Option<DebuggerData>,
    /// Its bytes, with its header.
    pub bytes: Vec<u8>,
    /// Whether memory at `address` does not hold it in clear.
    pub must_be_stored: bool,
    /// The kernel's symbols.
    pub symbols: Option<KernelSymbols>,
    /// Why there is none, and what would help.
    missing: Option<String>,
    /// What would help.
    pub soft_errors: Vec<SoftError>,
}

/// Finds the block.
pub(super) fn find(
    space: &AddressSpace<'_>,
    kernel: Option<&KernelImage>,
    stated: Stated,
    snapshot: &MachineSnapshot,
    options: &MachineOptions,
) -> Found {
    let mut found = Found::default();
    let base = kernel.map(KernelImage::base);
    let identity = kernel.and_then(|kernel| kernel.pdb(space));
    let symbols = identity.as_ref().and_then(|identity| {
        symbols::kernel_symbols(identity, &options.symbols, &mut found.soft_errors)
    });
    found.symbols.clone_from(&symbols);

    let Stated { address: stated, copy } = stated;
    let named = symbols.as_ref().zip(base);
    let named = named.and_then(|(symbols, base)| symbols.address(base, "KdDebuggerDataBlock"));
    let by_hand = options.by_hand.debugger_data;
    let home = by_hand.or(stated).or(named).or_else(|| listed(space, kernel?, snapshot));
    let searched = || kernel.and_then(|kernel| search(space, kernel));
    let clear =
        [by_hand, stated, named].into_iter().flatten().find(|at| in_clear(space, *at, base));
    if let Some(address) = clear.or_else(searched) {
        found.take(address, bytes_at(space, address));
        return found;
    }
    if let Some(copy) = copy.filter(|copy| in_clear(space, *copy, base)) {
        found.take(home.unwrap_or(copy), bytes_at(space, copy));
        found.must_be_stored = found.address != copy;
        return found;
    }
    let decoded = symbols.as_ref().zip(base).and_then(|(symbols, base)| {
        let home = home?;
        let bytes = decoded(space, symbols, base, home)?;
        Some((home, bytes))
    });
    if let Some((home, bytes)) = decoded {
        found.take(home, Some(bytes));
        found.must_be_stored = true;
        return found;
    }
    found.address = home.unwrap_or_default();
    found.missing = Some(advice(identity.as_ref(), symbols.is_some()));
    found
}

/// Where the kernel's own list says that the block is: processor regions lead to
/// what the kernel tells a debugger first, and that to the list.
fn listed(
    space: &AddressSpace<'_>,
    kernel: &KernelImage,
    snapshot: &MachineSnapshot,
) -> Option<Gva> {
    let regions = snapshot.processors.iter().filter_map(|processor| processor.control);
    regions.filter_map(|control| processors::region(space, &control)).find_map(|pcr| {
        let version = space.read_u64(Gva(pcr.checked_add(KPCR_VERSION_BLOCK)?))?;
        let version: VersionBlock = space.read_as(Gva(version))?;
        let first = space.read_u64(Gva(version.debugger_data_list.get()))?;
        let is_place = first % 8 == 0 && kernel.holds(first);
        (version.kern_base.get() == kernel.base().0 && is_place).then_some(Gva(first))
    })
}

fn advice(identity: Option<&super::PdbIdentity>, has_symbols: bool) -> String {
    let what = "the kernel's debugger data is encoded or missing";
    match identity {
        Some(_) if has_symbols => {
            format!(
                "{what}, and does not decode with the symbols' keys; give its address (--raw-header kdbg=)"
            )
        }
        Some(identity) => format!(
            "{what}; its symbols would decode it: give {} with the id {} (--pdb FILE or FOLDER, or --symbol-server URL), or its address (--raw-header kdbg=)",
            identity.name,
            identity.key()
        ),
        None => format!("{what}; give its address (--raw-header kdbg=)"),
    }
}

impl Found {
    /// Makes a block where none was found. One whose address is given by hand
    /// stands there or nowhere.
    pub fn make_up_for(
        &mut self,
        space: &AddressSpace<'_>,
        kernel: Option<&KernelImage>,
        snapshot: &MachineSnapshot,
        options: &MachineOptions,
    ) {
        let Some(missing) = self.missing.take() else { return };
        let mut message = missing;
        if let Some(kernel) = kernel {
            let data = made::make(space, kernel, self.symbols.as_ref(), snapshot);
            let bytes = made::bytes(&data);
            let home = Some(self.address).filter(|home| home.0 != 0);
            let place = match options.by_hand.debugger_data {
                Some(by_hand) => Some(by_hand),
                None => made::place(space, kernel, home, bytes.len()),
            };
            message.push_str(match (&self.symbols, place) {
                (Some(_), Some(_)) => ". The dump has one made of the symbols and the kernel's structures",
                (None, Some(_)) => ". The dump has one made of the kernel's exports and structures; what only symbols tell is 0 in it",
                (_, None) => ". The kernel's image has no room for one made of what is known, so the dump has none in its memory",
            });
            self.must_be_stored = place.is_some();
            self.take(place.or(home).unwrap_or_default(), Some(bytes));
        }
        self.soft_errors.push(SoftError::new("KDBG", message));
    }

    fn take(&mut self, address: Gva, bytes: Option<Vec<u8>>) {
        self.address = address;
        let Some(bytes) = bytes else { return };
        let mut data = DebuggerData::new_zeroed();
        let len = bytes.len().min(size_of::<DebuggerData>());
        data.as_mut_bytes()[..len].copy_from_slice(&bytes[..len]);
        self.data = Some(data);
        self.bytes = bytes;
    }
}

/// Whether a block stands in clear at an address, and is this kernel's.
fn in_clear(space: &AddressSpace<'_>, at: Gva, base: Option<Gva>) -> bool {
    space.read_bytes(at, size_of::<DebuggerDataHeader>() + 8).is_some_and(|b| is_block(&b, base))
}

/// Whether bytes begin like a block.
fn is_block(bytes: &[u8], base: Option<Gva>) -> bool {
    let Ok((header, rest)) = DebuggerDataHeader::ref_from_prefix(bytes) else { return false };
    let kern_base = rest.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    header.owner_tag.get() == DEBUGGER_DATA_TAG
        && SIZES.contains(&header.size.get())
        && kern_base >> 47 == 0x1_ffff
        && base.is_none_or(|base| base.0 == kern_base)
}

fn bytes_at(space: &AddressSpace<'_>, at: Gva) -> Option<Vec<u8>> {
    let header: DebuggerDataHeader = space.read_as(at)?;
    space.read_bytes(at, header.size.get().min(*SIZES.end()) as usize)
}

/// Looks for the block in the kernel's image. It is aligned to 8 bytes, and may
/// cross pages.
fn search(space: &AddressSpace<'_>, kernel: &KernelImage) -> Option<Gva> {
    let base = kernel.base();
    let tag = DEBUGGER_DATA_TAG.to_le_bytes();
    let mut page = vec![0; PAGE_SIZE as usize];
    let offset = std::mem::offset_of!(DebuggerDataHeader, owner_tag) as u64;
    for rva in (0..u64::from(kernel.size())).step_by(PAGE_SIZE as usize) {
        let at = base.0.checked_add(rva)?;
        if !space.read(Gva(at), &mut page) {
            continue;
        }
        for word in (0..page.len()).step_by(8).filter(|word| page[*word..].starts_with(&tag)) {
            let block = (at + word as u64).checked_sub(offset).map(Gva);
            if let Some(block) = block.filter(|block| in_clear(space, *block, Some(base))) {
                return Some(block);
            }
        }
    }
    None
}

/// The block decoded with the keys that the symbols name.
fn decoded(
    space: &AddressSpace<'_>,
    symbols: &KernelSymbols,
    base: Gva,
    home: Gva,
) -> Option<Vec<u8>> {
    let keys = Keys {
        wait_never: space.read_u64(symbols.address(base, "KiWaitNever")?)?,
        wait_always: space.read_u64(symbols.address(base, "KiWaitAlways")?)?,
        encoded_at: symbols.address(base, "KdpDataBlockEncoded")?.0,
    };
    let head = keys.decode(&space.read_bytes(home, size_of::<DebuggerDataHeader>() + 8)?);
    if !is_block(&head, Some(base)) {
        return None;
    }
    let (header, _) = DebuggerDataHeader::ref_from_prefix(&head).ok()?;
    let size = header.size.get().next_multiple_of(8) as usize;
    Some(keys.decode(&space.read_bytes(home, size)?))
}

/// What the block is encoded with.
#[derive(Clone, Copy, Debug)]
struct Keys {
    wait_never: u64,
    wait_always: u64,
    encoded_at: u64,
}

impl Keys {
    fn decode(self, encoded: &[u8]) -> Vec<u8> {
        encoded
            .chunks_exact(8)
            .flat_map(|word| {
                let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
                let turned = (word ^ self.wait_never).rotate_left(self.wait_never as u8 as u32);
                ((turned ^ self.encoded_at).swap_bytes() ^ self.wait_always).to_le_bytes()
            })
            .collect()
    }
}
