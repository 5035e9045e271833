//! `IDebugDataSpaces`: the memory of the current target.

use super::OK;
use crate::abi::{Answer, Buffer, Bytes, MemoryBasicInformation, Out, StrBuf, TextBuf, WideBuf};
use crate::object::Client;
use crate::reading::{CHUNK, present, read_prefix, region_at};
use crate::target::Held;
use dumpwright::HResult;
use dumpwright::address::AddressRange;
use dumpwright::hresult::win32;
use dumpwright::target::machine::PAGE_SIZE;
use dumpwright::target::{Backing, ProcessSnapshot, Protection, Region};

/// `HRESULT_FROM_NT(STATUS_NO_MORE_ENTRIES)`: what was searched is not there.
const NOT_FOUND: HResult = HResult(0x9000_001A_u32 as i32);
/// Memory cannot be read.
pub const UNREADABLE: HResult = HResult::from_win32(win32::READ_FAULT);
/// `MEM_COMMIT`.
const COMMIT: u32 = 0x1000;
/// `MEM_FREE`.
const FREE: u32 = 0x1_0000;

/// `ReadVirtual`: as many bytes as can be read from `offset` without a gap.
pub fn read(client: &Client, offset: u64, buffer: Buffer, size: u32, count: Out<u32>) -> Answer {
    count.put_if_wanted(0);
    let session = &client.state.session;
    let done =
        session.with_held(|_, held| buffer.with(size, |bytes| read_prefix(held, offset, bytes)))?;
    count.put_if_wanted(done as u32);
    if done == 0 && size > 0 { Err(UNREADABLE) } else { OK }
}

/// `ReadPointersVirtual`: all of them, or none.
pub fn read_pointers(client: &Client, count: u32, offset: u64, pointers: Out<u64>) -> Answer {
    if pointers.is_null() {
        return Err(HResult::E_POINTER);
    }
    let values = client.state.session.with_held(|_, held| {
        let size = pointer_size(held);
        let mut values = Vec::new();
        let mut left = count as usize * size;
        let mut at = offset;
        let mut chunk = vec![0; left.min(CHUNK)];
        while left > 0 {
            let part = &mut chunk[..left.min(CHUNK)];
            if read_prefix(held, at, part) < part.len() {
                return Err(UNREADABLE);
            }
            values.extend(part.chunks_exact(size).map(|bytes| {
                let mut value = [0; 8];
                value[..size].copy_from_slice(bytes);
                u64::from_le_bytes(value)
            }));
            left -= part.len();
            at = at.saturating_add(part.len() as u64);
        }
        Ok(values)
    })?;
    pointers.put_array(count, values);
    OK
}

fn pointer_size(held: Held<'_>) -> usize {
    match held {
        Held::Process(snapshot, _) => snapshot.system.architecture.pointer_size() as usize,
        Held::Machine(snapshot, _) if snapshot.architecture.is_64_bit() => 8,
        Held::Machine(..) => 4,
    }
}

fn page_size(held: Held<'_>) -> u64 {
    match held {
        Held::Process(snapshot, _) => snapshot.page_size.max(1),
        Held::Machine(..) => PAGE_SIZE,
    }
}

/// `SearchVirtual`: the first place of a pattern at a multiple of the
/// granularity from `offset`. What cannot be read is passed over.
pub fn search(
    client: &Client,
    offset: u64,
    length: u64,
    pattern: Bytes,
    pattern_size: u32,
    granularity: u32,
    found: Out<u64>,
) -> Answer {
    let pattern = pattern.get(pattern_size)?;
    if pattern.is_empty() || pattern.len() > CHUNK || granularity == 0 {
        return Err(HResult::E_INVALIDARG);
    }
    if found.is_null() {
        return Err(HResult::E_POINTER);
    }
    let place = client.state.session.with_held(|_, held| {
        let all = AddressRange::new(offset, offset.saturating_add(length));
        let mut parts = present(held, all).into_iter();
        parts
            .find_map(|part| search_part(held, part, offset, &pattern, granularity.into()))
            .ok_or(NOT_FOUND)
    })?;
    found.put(place)?;
    OK
}

fn search_part(
    held: Held<'_>,
    part: AddressRange,
    origin: u64,
    pattern: &[u8],
    granularity: u64,
) -> Option<u64> {
    let page = page_size(held);
    let mut buffer = vec![0; CHUNK * 2];
    let mut start = part.start;
    while start < part.end {
        let length = (part.end - start).min(buffer.len() as u64) as usize;
        let readable = read_prefix(held, start, &mut buffer[..length]);
        let step = granularity as usize;
        let first = (start - origin).next_multiple_of(granularity) - (start - origin);
        let last = (readable + 1).saturating_sub(pattern.len());
        let hit =
            (first as usize..last).step_by(step).find(|at| buffer[*at..].starts_with(pattern));
        if let Some(at) = hit {
            return Some(start + at as u64);
        }
        start = if readable < length {
            // On behind the page that cannot be read.
            ((start + readable as u64) / page + 1) * page
        } else if start + length as u64 == part.end {
            part.end
        } else {
            // A pattern can lie across the seam.
            start + (length - pattern.len() + 1) as u64
        };
    }
    None
}

/// `QueryVirtual`.
pub fn query(client: &Client, offset: u64, info: Out<MemoryBasicInformation>) -> Answer {
    let state = client.state.session.state();
    let snapshot = state.current()?.process()?;
    let answer = match region_at(snapshot, offset) {
        Some(region) => committed(&region),
        None => free(snapshot, offset).ok_or(HResult::E_INVALIDARG)?,
    };
    info.put(answer)?;
    OK
}

fn committed(region: &Region) -> MemoryBasicInformation {
    let protect = protect(region.protection);
    MemoryBasicInformation {
        base_address: region.range.start,
        allocation_base: region.allocation_base,
        allocation_protect: protect,
        region_size: region.range.len(),
        state: COMMIT,
        protect,
        // MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE.
        kind: match region.backing {
            Backing::Image(_) => 0x100_0000,
            Backing::File => 0x4_0000,
            Backing::Anonymous if region.shared => 0x4_0000,
            Backing::Anonymous => 0x2_0000,
        },
        ..MemoryBasicInformation::default()
    }
}

/// The gap around an address.
fn free(snapshot: &ProcessSnapshot, offset: u64) -> Option<MemoryBasicInformation> {
    let regions = &snapshot.regions;
    let next = regions.behind(offset).next();
    let end = next.as_ref().map_or(snapshot.address_space_end, |r| r.range.start);
    let before = regions.before(offset);
    let start = before.map_or(0, |r| r.range.end);
    (offset < end).then(|| MemoryBasicInformation {
        base_address: start,
        region_size: end - start,
        state: FREE,
        // PAGE_NOACCESS, as VirtualQueryEx has it of free memory.
        protect: 1,
        ..MemoryBasicInformation::default()
    })
}

/// `PAGE_*` of a protection.
fn protect(protection: Protection) -> u32 {
    let has = |p| protection.contains(p);
    match (has(Protection::READ), has(Protection::WRITE), has(Protection::EXECUTE)) {
        (_, true, true) => 0x40,
        (true, false, true) => 0x20,
        (false, false, true) => 0x10,
        (_, true, false) => 0x4,
        (true, false, false) => 0x2,
        (false, false, false) => 0x1,
    }
}

/// `GetNextDifferentlyValidOffsetVirtual`: the next place where memory begins
/// or ends.
pub fn next_difference(client: &Client, offset: u64, next: Out<u64>) -> Answer {
    let state = client.state.session.state();
    let regions = &state.current()?.process()?.regions;
    let mut behind = regions.behind(offset).map(|region| region.range).peekable();
    let region = behind.next().ok_or(HResult::E_NOINTERFACE)?;
    let mut place = region.start;
    if region.contains(offset) {
        place = region.end;
        while let Some(follows) = behind.next_if(|range| range.start == place) {
            place = follows.end;
        }
    }
    next.put(place)?;
    OK
}

/// `GetValidRegionVirtual`: the first memory in a range.
pub fn valid_region(
    client: &Client,
    base: u64,
    size: u32,
    valid_base: Out<u64>,
    valid_size: Out<u32>,
) -> Answer {
    let asked = AddressRange::new(base, base.saturating_add(size.into()));
    let valid = client.state.session.with_held(|_, held| {
        let mut parts = present(held, asked).into_iter();
        let mut valid = parts.next().ok_or(UNREADABLE)?;
        for part in parts {
            if part.start != valid.end {
                break;
            }
            valid.end = part.end;
        }
        Ok(valid)
    })?;
    valid_base.put(valid.start)?;
    valid_size.put(valid.len() as u32)?;
    OK
}

/// The units of a string in the target, up to its NUL or so many bytes.
fn string_bytes(client: &Client, offset: u64, max: u32, unit: usize) -> Answer<Vec<u8>> {
    client.state.session.with_held(|_, held| {
        let mut bytes = vec![0; (max as usize).min(CHUNK) / unit * unit];
        let readable = read_prefix(held, offset, &mut bytes);
        bytes.truncate(readable / unit * unit);
        let end = bytes.chunks_exact(unit).position(|u| u.iter().all(|b| *b == 0));
        match end {
            Some(end) => bytes.truncate(end * unit),
            None if readable == 0 && max > 0 => return Err(UNREADABLE),
            None => return Err(HResult::E_INVALIDARG),
        }
        Ok(bytes)
    })
}

/// `ReadMultiByteStringVirtual`. The size that it tells is in bytes.
pub fn read_string(
    client: &Client,
    offset: u64,
    max: u32,
    buffer: StrBuf,
    size: u32,
    needed: Out<u32>,
) -> Answer {
    let bytes = string_bytes(client, offset, max, 1)?;
    buffer.fill(size, needed, &String::from_utf8_lossy(&bytes))
}

/// `ReadUnicodeStringVirtualWide`. The size that it tells is in bytes.
pub fn read_wide_string(
    client: &Client,
    offset: u64,
    max: u32,
    buffer: WideBuf,
    size: u32,
    needed: Out<u32>,
) -> Answer {
    let bytes = string_bytes(client, offset, max, 2)?;
    let units: Vec<u16> = bytes.chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]])).collect();
    needed.put_if_wanted(0);
    let answer = buffer.fill(size, needed, &String::from_utf16_lossy(&units))?;
    needed.put_if_wanted((units.len() as u32 + 1) * 2);
    Ok(answer)
}
