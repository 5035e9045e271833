//! The types of arguments as they cross the boundary.
//!
//! Each wraps a pointer that a foreign caller passed. Rust code cannot make one
//! of an address: values come from a call of a method, whose contract is that a
//! pointer is null or points to what the method's documentation says, for as
//! long as the call lasts. On that contract rest all `SAFETY` comments here;
//! what can be checked (null, lengths, termination) is.

use dumpwright::HResult;
use std::ffi::{OsString, c_char, c_void};

use crate::platform;

/// What a method answers: both sides are codes for the caller.
pub type Answer<T = HResult> = Result<T, HResult>;

/// Characters of a string that are looked at before its end is given up on.
const MAX_STRING: usize = 1 << 20;

/// `REFIID` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Guid {
    data1: u32,
    data2: u16,
    data3: u16,
    data4: [u8; 8],
}

impl Guid {
    /// From the digits as they are written.
    pub const fn from_u128(value: u128) -> Guid {
        Guid {
            data1: (value >> 96) as u32,
            data2: (value >> 80) as u16,
            data3: (value >> 64) as u16,
            data4: (value as u64).to_be_bytes(),
        }
    }

    /// The digits as they are written.
    pub const fn to_u128(self) -> u128 {
        (self.data1 as u128) << 96
            | (self.data2 as u128) << 80
            | (self.data3 as u128) << 64
            | u64::from_be_bytes(self.data4) as u128
    }
}

/// `DEBUG_MODULE_PARAMETERS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ModuleParameters {
    /// Load address; `DEBUG_INVALID_OFFSET` where there is no such module.
    pub base: u64,
    /// Bytes.
    pub size: u32,
    /// Of the PE header.
    pub time_date_stamp: u32,
    /// Of the PE header.
    pub checksum: u32,
    /// `DEBUG_MODULE_*`.
    pub flags: u32,
    /// `DEBUG_SYMTYPE_*`.
    pub symbol_type: u32,
    /// Characters, NUL included, of each name.
    pub image_name_size: u32,
    /// As above.
    pub module_name_size: u32,
    /// As above.
    pub loaded_image_name_size: u32,
    /// As above.
    pub symbol_file_name_size: u32,
    /// As above.
    pub mapped_image_name_size: u32,
    /// Zero.
    pub reserved: [u64; 2],
}

/// `MEMORY_BASIC_INFORMATION64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct MemoryBasicInformation {
    /// First address of the region.
    pub base_address: u64,
    /// First address of the allocation.
    pub allocation_base: u64,
    /// `PAGE_*`.
    pub allocation_protect: u32,
    /// Zero.
    pub alignment1: u32,
    /// Bytes.
    pub region_size: u64,
    /// `MEM_COMMIT` or `MEM_FREE`.
    pub state: u32,
    /// `PAGE_*`.
    pub protect: u32,
    /// `MEM_PRIVATE`, `MEM_MAPPED`, `MEM_IMAGE`.
    pub kind: u32,
    /// Zero.
    pub alignment2: u32,
}

/// Any pointer: an interface, or a structure that is not looked at.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Raw(pub(crate) *mut c_void);

impl Raw {
    /// The null pointer.
    pub const NULL: Raw = Raw(std::ptr::null_mut());

    /// Whether it is null.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// The pointer itself.
    pub fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// `T*` for one or more results.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    /// Whether the caller does not want the value.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Stores a value that must be wanted.
    ///
    /// # Errors
    /// `E_POINTER` if the pointer is null.
    pub fn put(self, value: T) -> Answer<()> {
        if self.0.is_null() {
            return Err(HResult::E_POINTER);
        }
        self.put_if_wanted(value);
        Ok(())
    }

    /// Stores a value if the pointer is not null.
    pub fn put_if_wanted(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, so it points to room for a T (module docs); it
            // need not be aligned.
            unsafe { self.0.write_unaligned(value) }
        }
    }

    /// Stores the first values of an array of `count`, if wanted.
    pub fn put_array(self, count: u32, values: impl IntoIterator<Item = T>) {
        if self.0.is_null() {
            return;
        }
        for (index, value) in values.into_iter().take(count as usize).enumerate() {
            // SAFETY: not null, so it points to room for `count` values.
            unsafe { self.0.add(index).write_unaligned(value) }
        }
    }
}

/// `const T*` with a count beside it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T: Copy> In<T> {
    /// The values; `None` if the pointer is null.
    pub fn values(self, count: u32) -> Option<Vec<T>> {
        // SAFETY: not null, so it points to `count` values.
        let at = |index: usize| unsafe { self.0.add(index).read_unaligned() };
        (!self.0.is_null()).then(|| (0..count as usize).map(at).collect())
    }
}

/// `void*` with a size beside it, to be filled.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Buffer(*mut c_void);

impl Buffer {
    /// Stores as much of `bytes` as fits, if the buffer is not null, and how many there
    /// are. Answers `S_FALSE` if it was too small.
    pub fn put_if_wanted(self, size: u32, used: Out<u32>, bytes: &[u8]) -> HResult {
        used.put_if_wanted(bytes.len() as u32);
        let fits = bytes.len().min(size as usize);
        // A null buffer only asks for the size.
        let put = self.with(size, |place| place[..fits].copy_from_slice(&bytes[..fits]));
        if put.is_ok() && fits < bytes.len() { HResult::S_FALSE } else { HResult::S_OK }
    }

    /// The bytes to fill.
    ///
    /// # Errors
    /// `E_POINTER` if it is null.
    pub fn with<T>(self, size: u32, fill: impl FnOnce(&mut [u8]) -> T) -> Answer<T> {
        if self.0.is_null() {
            return Err(HResult::E_POINTER);
        }
        // SAFETY: not null, so it points to `size` bytes that are the caller's
        // until the call returns. Zeroed first: the caller may not have
        // initialised them, and a slice must be.
        let bytes = unsafe {
            self.0.cast::<u8>().write_bytes(0, size as usize);
            std::slice::from_raw_parts_mut(self.0.cast::<u8>(), size as usize)
        };
        Ok(fill(bytes))
    }
}

/// `const void*` with a size beside it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Bytes(*const c_void);

impl Bytes {
    /// A copy of the bytes.
    ///
    /// # Errors
    /// `E_POINTER` if it is null.
    pub fn get(self, size: u32) -> Answer<Vec<u8>> {
        if self.0.is_null() {
            return Err(HResult::E_POINTER);
        }
        // SAFETY: not null, so it points to `size` bytes.
        Ok(unsafe { std::slice::from_raw_parts(self.0.cast::<u8>(), size as usize) }.to_vec())
    }
}

/// `PCSTR`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Str(*const c_char);

/// `PCWSTR`: 16-bit characters on every system.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Wide(*const u16);

/// A string argument, narrow or wide, so that one method serves both.
pub trait Text: Copy {
    /// As a file name or command line; `None` if it is null.
    ///
    /// # Errors
    /// `E_INVALIDARG` for a string without an end, or wide characters that are
    /// no characters.
    fn os(self) -> Answer<Option<OsString>>;

    /// As text; bytes that are no characters are replaced.
    ///
    /// # Errors
    /// As [`os`](Self::os).
    fn text(self) -> Answer<Option<String>> {
        Ok(self.os()?.map(|s| s.to_string_lossy().into_owned()))
    }

    /// As text that must be given.
    ///
    /// # Errors
    /// As [`os`](Self::os), and `E_POINTER` for null.
    fn required(self) -> Answer<String> {
        self.text()?.ok_or(HResult::E_POINTER)
    }

    /// The strings of a block that ends with an empty one; `None` if it is null.
    ///
    /// # Errors
    /// As [`os`](Self::os).
    fn block(self) -> Answer<Option<Vec<OsString>>>;
}

/// The characters before a NUL.
///
/// # Safety
/// `start` points to a string that ends with a zero.
unsafe fn until_nul<T: Copy + Default + PartialEq>(start: *const T) -> Answer<Vec<T>> {
    let mut out = Vec::new();
    while out.len() < MAX_STRING {
        // SAFETY: no zero was seen before this place.
        let unit = unsafe { start.add(out.len()).read_unaligned() };
        if unit == T::default() {
            return Ok(out);
        }
        out.push(unit);
    }
    Err(HResult::E_INVALIDARG)
}

/// The strings before an empty one.
///
/// # Safety
/// `start` points to strings that each end with a zero, the last of them empty.
unsafe fn until_empty<T: Copy + Default + PartialEq>(start: *const T) -> Answer<Vec<Vec<T>>> {
    let (mut strings, mut at) = (Vec::new(), 0);
    while at < MAX_STRING {
        // SAFETY: no empty string was seen before this place.
        let string = unsafe { until_nul(start.add(at)) }?;
        if string.is_empty() {
            return Ok(strings);
        }
        at += string.len() + 1;
        strings.push(string);
    }
    Err(HResult::E_INVALIDARG)
}

impl Text for Str {
    fn os(self) -> Answer<Option<OsString>> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so it is a string (module docs).
        let bytes = unsafe { until_nul(self.0.cast::<u8>()) }?;
        Ok(Some(platform::from_narrow(bytes)))
    }

    fn block(self) -> Answer<Option<Vec<OsString>>> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so it is a block of strings (module docs).
        let strings = unsafe { until_empty(self.0.cast::<u8>()) }?;
        Ok(Some(strings.into_iter().map(platform::from_narrow).collect()))
    }
}

impl Text for Wide {
    fn os(self) -> Answer<Option<OsString>> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so it is a string (module docs).
        let units = unsafe { until_nul(self.0) }?;
        platform::from_wide(&units).map(Some)
    }

    fn block(self) -> Answer<Option<Vec<OsString>>> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so it is a block of strings (module docs).
        let strings = unsafe { until_empty(self.0) }?;
        strings.iter().map(|units| platform::from_wide(units)).collect::<Answer<_>>().map(Some)
    }
}

/// `PSTR` with a size beside it, to be filled.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct StrBuf(*mut c_char);

/// `PWSTR` with a size beside it, to be filled.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct WideBuf(*mut u16);

/// A buffer for a string, narrow or wide.
pub trait TextBuf: Copy {
    /// Stores as much of a string as fits, with its NUL, and the characters
    /// that all of it needs, NUL included. `size` is in characters.
    ///
    /// Answers `S_FALSE` if the buffer was too small. A null buffer only asks
    /// for the size.
    ///
    /// # Errors
    /// `E_INVALIDARG` for a buffer of no characters.
    fn fill(self, size: u32, needed: Out<u32>, text: &str) -> Answer;
}

/// # Safety
/// `buffer` is null or has room for `size` units.
unsafe fn fill_units<T: Copy + Default>(
    buffer: *mut T,
    size: u32,
    needed: Out<u32>,
    units: &[T],
    cut: impl Fn(&[T], usize) -> usize,
) -> Answer {
    needed.put_if_wanted(units.len() as u32 + 1);
    if buffer.is_null() {
        return Ok(HResult::S_OK);
    }
    let Some(room) = (size as usize).checked_sub(1) else { return Err(HResult::E_INVALIDARG) };
    let fits = if units.len() <= room { units.len() } else { cut(units, room) };
    for (index, unit) in units[..fits].iter().copied().chain([T::default()]).enumerate() {
        // SAFETY: index is at most `room`, which is `size` - 1.
        unsafe { buffer.add(index).write_unaligned(unit) }
    }
    Ok(if fits == units.len() { HResult::S_OK } else { HResult::S_FALSE })
}

impl TextBuf for StrBuf {
    fn fill(self, size: u32, needed: Out<u32>, text: &str) -> Answer {
        let bytes = platform::to_narrow(text);
        // A character is not cut in the middle where narrow text is UTF-8.
        let cut = |bytes: &[u8], room: usize| {
            (0..=room).rev().find(|at| !platform::continues(bytes[*at])).unwrap_or(0)
        };
        // SAFETY: a buffer of `size` characters (module docs).
        unsafe { fill_units(self.0.cast::<u8>(), size, needed, &bytes, cut) }
    }
}

impl TextBuf for WideBuf {
    fn fill(self, size: u32, needed: Out<u32>, text: &str) -> Answer {
        let units: Vec<u16> = text.encode_utf16().collect();
        let cut = |units: &[u16], room: usize| {
            if (0xDC00..0xE000).contains(&units[room]) { room.saturating_sub(1) } else { room }
        };
        // SAFETY: a buffer of `size` characters (module docs).
        unsafe { fill_units(self.0, size, needed, &units, cut) }
    }
}
