//! Access tokens.

use super::{owned, succeeded, text};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{HANDLE, LUID, LocalFree};
use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, GetTokenInformation, LUID_AND_ATTRIBUTES, LookupPrivilegeNameW,
    LookupPrivilegeValueW, PSID, SE_DEBUG_NAME, SE_PRIVILEGE_ENABLED, SID_AND_ATTRIBUTES,
    TOKEN_ACCESS_MASK, TOKEN_ADJUST_PRIVILEGES, TOKEN_GROUPS, TOKEN_INFORMATION_CLASS,
    TOKEN_MANDATORY_LABEL, TOKEN_PRIVILEGES, TOKEN_QUERY, TOKEN_USER, TokenElevation, TokenGroups,
    TokenIntegrityLevel, TokenPrivileges, TokenSessionId, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// What a token says.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Token {
    pub user: String,
    /// SID and attributes.
    pub groups: Vec<(String, u32)>,
    /// Name and attributes.
    pub privileges: Vec<(String, u32)>,
    pub integrity: Option<String>,
    pub session: Option<u32>,
    pub elevated: Option<bool>,
}

/// Reads the primary token of a process.
pub(in super::super) fn of_process(process: BorrowedHandle<'_>) -> io::Result<Token> {
    let token = open(process.as_raw_handle(), TOKEN_QUERY)?;
    let user = information(&token, TokenUser)?;
    // SAFETY: TokenUser answers with a TOKEN_USER, whose SID is in the buffer.
    let user = unsafe { sid((*user.as_ptr().cast::<TOKEN_USER>()).User.Sid) };
    let number = |class| information(&token, class).ok().and_then(|words| words.first().copied());
    Ok(Token {
        user,
        groups: information(&token, TokenGroups).map(|words| groups(&words)).unwrap_or_default(),
        privileges: information(&token, TokenPrivileges)
            .map(|words| privileges(&words))
            .unwrap_or_default(),
        integrity: integrity_of(&token).ok(),
        session: number(TokenSessionId).map(|word| word as u32),
        elevated: number(TokenElevation).map(|word| word as u32 != 0),
    })
}

/// The SID of a process's integrity level.
pub(in super::super) fn integrity(process: BorrowedHandle<'_>) -> io::Result<String> {
    let token = open(process.as_raw_handle(), TOKEN_QUERY)?;
    integrity_of(&token)
}

fn integrity_of(token: &OwnedHandle) -> io::Result<String> {
    let words = information(token, TokenIntegrityLevel)?;
    // SAFETY: TokenIntegrityLevel answers with a TOKEN_MANDATORY_LABEL, whose
    // SID is in the buffer.
    Ok(unsafe { sid((*words.as_ptr().cast::<TOKEN_MANDATORY_LABEL>()).Label.Sid) })
}

/// Switches on SeDebugPrivilege where the user has it: administrators may then
/// open what belongs to others. Without it some processes are refused later.
pub(in super::super) fn enable_debug_privilege() -> io::Result<()> {
    // SAFETY: a constant that stands for this process.
    let token = open(unsafe { GetCurrentProcess() }, TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY)?;
    let mut luid = LUID::default();
    // SAFETY: the name is a constant, and the result is writable.
    succeeded(unsafe { LookupPrivilegeValueW(std::ptr::null(), SE_DEBUG_NAME, &raw mut luid) })?;
    let wanted = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: SE_PRIVILEGE_ENABLED }],
    };
    // SAFETY: the structure has the one privilege that it counts.
    succeeded(unsafe {
        AdjustTokenPrivileges(
            token.as_raw_handle(),
            0,
            &raw const wanted,
            0,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    })
}

fn open(process: HANDLE, access: TOKEN_ACCESS_MASK) -> io::Result<OwnedHandle> {
    let mut token = std::ptr::null_mut();
    // SAFETY: the result is writable.
    succeeded(unsafe { OpenProcessToken(process, access, &raw mut token) })?;
    owned(token)
}

/// One class of information, in words so that structures in it are aligned. At
/// least as large as the structures that are read of it.
fn information(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
    /// Larger than the fixed part of each structure.
    const LEAST: usize = 8;
    let mut len = 0;
    // SAFETY: without a buffer the call only tells the length.
    unsafe {
        GetTokenInformation(token.as_raw_handle(), class, std::ptr::null_mut(), 0, &raw mut len);
    }
    let mut words = vec![0_u64; (len as usize).div_ceil(8).max(LEAST)];
    let bytes = (words.len() * 8) as u32;
    // SAFETY: the buffer is writable for as many bytes as are named.
    succeeded(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            class,
            words.as_mut_ptr().cast(),
            bytes,
            &raw mut len,
        )
    })?;
    Ok(words)
}

fn groups(words: &[u64]) -> Vec<(String, u32)> {
    // SAFETY: TokenGroups answers with a TOKEN_GROUPS, the array as long as it
    // counts, and the SIDs in the buffer.
    let entries: &[SID_AND_ATTRIBUTES] = unsafe {
        let list = words.as_ptr().cast::<TOKEN_GROUPS>();
        std::slice::from_raw_parts((&raw const (*list).Groups).cast(), (*list).GroupCount as usize)
    };
    // SAFETY: as above.
    entries.iter().map(|entry| (unsafe { sid(entry.Sid) }, entry.Attributes)).collect()
}

fn privileges(words: &[u64]) -> Vec<(String, u32)> {
    // SAFETY: TokenPrivileges answers with a TOKEN_PRIVILEGES, the array as long
    // as it counts.
    let entries: &[LUID_AND_ATTRIBUTES] = unsafe {
        let list = words.as_ptr().cast::<TOKEN_PRIVILEGES>();
        std::slice::from_raw_parts(
            (&raw const (*list).Privileges).cast(),
            (*list).PrivilegeCount as usize,
        )
    };
    entries.iter().map(|entry| (privilege_name(entry.Luid), entry.Attributes)).collect()
}

fn privilege_name(luid: LUID) -> String {
    let mut name = [0; 128];
    let mut len = name.len() as u32;
    // SAFETY: the buffer is writable for as many units as `len` says.
    let result = unsafe {
        LookupPrivilegeNameW(std::ptr::null(), &raw const luid, name.as_mut_ptr(), &raw mut len)
    };
    if result == 0 { format!("privilege {}", luid.LowPart) } else { text(&name) }
}

/// A SID as text.
///
/// # Safety
/// `sid` is a SID.
unsafe fn sid(sid: PSID) -> String {
    let mut out = std::ptr::null_mut();
    // SAFETY: `sid` is a SID by this function's contract; the result is writable.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut out) } == 0 {
        return String::new();
    }
    let mut units = Vec::new();
    // SAFETY: the call has made a text with a NUL, which is ours to free.
    unsafe {
        let mut at = out;
        while *at != 0 {
            units.push(*at);
            at = at.add(1);
        }
        LocalFree(out.cast());
    }
    String::from_utf16_lossy(&units)
}
