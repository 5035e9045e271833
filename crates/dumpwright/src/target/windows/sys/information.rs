//! The `NtQuery…` family: one class of information about a process, a thread,
//! an object or the system, as 64-bit words.

use super::status_error;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Wdk::Foundation::{
    NtQueryObject, OBJECT_INFORMATION_CLASS, ObjectBasicInformation,
};
use windows_sys::Wdk::System::SystemInformation::{
    NtQuerySystemInformation, SYSTEM_INFORMATION_CLASS,
};
use windows_sys::Wdk::System::Threading::{
    NtQueryInformationProcess, NtQueryInformationThread, PROCESSINFOCLASS, THREADINFOCLASS,
};
use windows_sys::Win32::Foundation::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INFO_LENGTH_MISMATCH,
};

/// The most words that an answer may have: 64 MiB.
const MOST_WORDS: usize = 8 << 20;

/// Information about a process that has `WORDS` words.
pub(in super::super) fn of_process<const WORDS: usize>(
    process: BorrowedHandle<'_>,
    class: PROCESSINFOCLASS,
) -> io::Result<[u64; WORDS]> {
    let mut words = [0; WORDS];
    into_words_of_process(process, class, &mut words)?;
    Ok(words)
}

/// The same for a structure that says what is wanted of it.
pub(in super::super) fn into_words_of_process(
    process: BorrowedHandle<'_>,
    class: PROCESSINFOCLASS,
    words: &mut [u64],
) -> io::Result<()> {
    let bytes = size_of_val(words) as u32;
    // SAFETY: the buffer is writable for as many bytes as are named.
    let status = unsafe {
        NtQueryInformationProcess(
            process.as_raw_handle(),
            class,
            words.as_mut_ptr().cast(),
            bytes,
            std::ptr::null_mut(),
        )
    };
    if status < 0 { Err(status_error(status)) } else { Ok(()) }
}

/// Information about a process that is a `ULONG`.
pub(in super::super) fn half_word_of_process(
    process: BorrowedHandle<'_>,
    class: PROCESSINFOCLASS,
) -> io::Result<u32> {
    let mut word = 0_u32;
    // SAFETY: the word is writable, and four bytes long.
    let status = unsafe {
        NtQueryInformationProcess(
            process.as_raw_handle(),
            class,
            (&raw mut word).cast(),
            size_of::<u32>() as u32,
            std::ptr::null_mut(),
        )
    };
    if status < 0 { Err(status_error(status)) } else { Ok(word) }
}

/// Information about a process of any length.
pub(in super::super) fn of_process_growing(
    process: BorrowedHandle<'_>,
    class: PROCESSINFOCLASS,
) -> io::Result<Vec<u64>> {
    growing(256, |words, bytes, needed| {
        // SAFETY: the buffer is writable for as many bytes as are named.
        unsafe {
            NtQueryInformationProcess(process.as_raw_handle(), class, words.cast(), bytes, needed)
        }
    })
}

/// Information about a thread that has `WORDS` words.
pub(in super::super) fn of_thread<const WORDS: usize>(
    thread: BorrowedHandle<'_>,
    class: THREADINFOCLASS,
) -> io::Result<[u64; WORDS]> {
    let mut words = [0; WORDS];
    let bytes = size_of_val(&words) as u32;
    // SAFETY: the buffer is writable for as many bytes as are named.
    let status = unsafe {
        NtQueryInformationThread(
            thread.as_raw_handle(),
            class,
            words.as_mut_ptr().cast(),
            bytes,
            std::ptr::null_mut(),
        )
    };
    if status < 0 { Err(status_error(status)) } else { Ok(words) }
}

/// Information about a thread that is a `UNICODE_STRING` and its text.
pub(in super::super) fn text_of_thread(
    thread: BorrowedHandle<'_>,
    class: THREADINFOCLASS,
) -> io::Result<String> {
    let words = growing(64, |words, bytes, needed| {
        // SAFETY: the buffer is writable for as many bytes as are named.
        unsafe {
            NtQueryInformationThread(thread.as_raw_handle(), class, words.cast(), bytes, needed)
        }
    })?;
    Ok(unicode_string(&words))
}

/// Information about an object that begins with a `UNICODE_STRING`.
///
/// Some names make the kernel wait for the object's owner, which may be the
/// process that stands still.
pub(in super::super) fn text_of_object(
    object: BorrowedHandle<'_>,
    class: OBJECT_INFORMATION_CLASS,
) -> io::Result<String> {
    let words = growing(128, |words, bytes, needed| {
        // SAFETY: the buffer is writable for as many bytes as are named.
        unsafe { NtQueryObject(object.as_raw_handle(), class, words.cast(), bytes, needed) }
    })?;
    Ok(unicode_string(&words))
}

/// How many handles and how many pointers there are to an object
/// (`ObjectBasicInformation`).
pub(in super::super) fn counts_of_object(object: BorrowedHandle<'_>) -> io::Result<[u32; 2]> {
    /// Bytes of `PUBLIC_OBJECT_BASIC_INFORMATION`, winternl.h: attributes,
    /// access, handles, pointers; 40 reserved bytes.
    const WORDS: usize = 7;
    let mut words = [0_u64; WORDS];
    // SAFETY: the buffer is writable for as many bytes as are named.
    let status = unsafe {
        NtQueryObject(
            object.as_raw_handle(),
            ObjectBasicInformation,
            words.as_mut_ptr().cast(),
            size_of_val(&words) as u32,
            std::ptr::null_mut(),
        )
    };
    if status < 0 {
        return Err(status_error(status));
    }
    Ok([words[1] as u32, (words[1] >> 32) as u32])
}

/// Information about the system.
pub(in super::super) fn of_system(class: SYSTEM_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
    growing(1024, |words, bytes, needed| {
        // SAFETY: the buffer is writable for as many bytes as are named.
        unsafe { NtQuerySystemInformation(class, words.cast(), bytes, needed) }
    })
}

/// Information about the system that has exactly `bytes` bytes.
pub(in super::super) fn of_system_sized(
    class: SYSTEM_INFORMATION_CLASS,
    bytes: usize,
) -> io::Result<Vec<u64>> {
    let mut words = vec![0; bytes.div_ceil(8)];
    let mut needed = 0;
    // SAFETY: the buffer is writable for as many bytes as are named.
    let status = unsafe {
        NtQuerySystemInformation(class, words.as_mut_ptr().cast(), bytes as u32, &raw mut needed)
    };
    if status < 0 { Err(status_error(status)) } else { Ok(words) }
}

/// Asks with a larger buffer until the answer fits.
fn growing(
    first: usize,
    query: impl Fn(*mut u64, u32, *mut u32) -> NTSTATUS,
) -> io::Result<Vec<u64>> {
    let mut words = vec![0_u64; first];
    loop {
        let mut needed = 0;
        let status = query(words.as_mut_ptr(), (words.len() * 8) as u32, &raw mut needed);
        if status >= 0 {
            return Ok(words);
        }
        let too_small = matches!(
            status,
            STATUS_BUFFER_OVERFLOW | STATUS_BUFFER_TOO_SMALL | STATUS_INFO_LENGTH_MISMATCH
        );
        // What is listed may have grown meanwhile: some room more than asked for.
        let more = (needed as usize).div_ceil(8).saturating_add(64).max(words.len() * 2);
        if !too_small || more > MOST_WORDS {
            return Err(status_error(status));
        }
        words = vec![0; more];
    }
}

/// The text of the `UNICODE_STRING` that `words` begin with, if its buffer is
/// among them.
fn unicode_string(words: &[u64]) -> String {
    let [head, buffer, ..] = *words else { return String::new() };
    let length = usize::from(head as u16) / 2;
    let Some(offset) = buffer.checked_sub(words.as_ptr() as u64) else { return String::new() };
    let units = words.iter().flat_map(|word| {
        [*word as u16, (word >> 16) as u16, (word >> 32) as u16, (word >> 48) as u16]
    });
    let units: Vec<u16> = units.skip(offset as usize / 2).take(length).collect();
    String::from_utf16_lossy(&units)
}
