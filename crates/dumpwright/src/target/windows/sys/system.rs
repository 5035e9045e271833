//! The machine and its Windows.

use super::text;
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Foundation::{FARPROC, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::{
    GetNativeSystemInfo, OSVERSIONINFOEXW, SYSTEM_INFO,
};
use windows_sys::Win32::System::Time::{GetTimeZoneInformation, TIME_ZONE_INFORMATION};
use windows_sys::w;

/// The version of Windows, as it is and not as manifests make it seem.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Version {
    pub numbers: [u32; 3],
    pub service_pack: String,
    pub product_type: u8,
    pub suite_mask: u16,
}

/// The version of Windows.
pub(in super::super) fn version() -> Version {
    let mut info = OSVERSIONINFOEXW {
        dwOSVersionInfoSize: size_of::<OSVERSIONINFOEXW>() as u32,
        ..Default::default()
    };
    // SAFETY: the structure is the extended form, and says so by its size.
    unsafe { RtlGetVersion((&raw mut info).cast()) };
    Version {
        numbers: [info.dwMajorVersion, info.dwMinorVersion, info.dwBuildNumber],
        service_pack: text(&info.szCSDVersion),
        product_type: info.wProductType,
        suite_mask: info.wSuiteMask,
    }
}

/// Processors and addresses.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Machine {
    pub processors: u32,
    pub page_size: u64,
    /// The last address that a process may use.
    pub last_address: u64,
}

/// Processors and addresses of this machine.
pub(in super::super) fn machine() -> Machine {
    let mut info = SYSTEM_INFO::default();
    // SAFETY: the structure is writable.
    unsafe { GetNativeSystemInfo(&raw mut info) };
    Machine {
        processors: info.dwNumberOfProcessors,
        page_size: info.dwPageSize.into(),
        last_address: info.lpMaximumApplicationAddress as u64,
    }
}

/// Minutes to add to local time for UTC, and the zone's name.
pub(in super::super) fn time_zone() -> (i32, String) {
    let mut info = TIME_ZONE_INFORMATION::default();
    // SAFETY: the structure is writable.
    unsafe { GetTimeZoneInformation(&raw mut info) };
    (info.Bias, text(&info.StandardName))
}

/// Wine's version where this is Wine and not Windows.
pub(in super::super) fn wine_version() -> Option<String> {
    let get = ntdll_function(c"wine_get_version")?;
    // SAFETY: Wine documents it as `const char *wine_get_version(void)`.
    let get: unsafe extern "system" fn() -> *const std::ffi::c_char =
        unsafe { std::mem::transmute(get) };
    // SAFETY: it returns a constant text with a NUL.
    let text = unsafe { std::ffi::CStr::from_ptr(get()) };
    Some(text.to_string_lossy().into_owned())
}

/// Where our own ntdll is loaded, and where in it the variables of its trace of
/// unloaded modules are: element size, element count, trace.
pub(in super::super) fn unload_trace() -> Option<(u64, [u64; 3])> {
    let get = ntdll_function(c"RtlGetUnloadEventTraceEx")?;
    type Get = unsafe extern "system" fn(*mut *mut u32, *mut *mut u32, *mut *mut std::ffi::c_void);
    // SAFETY: the signature that winnt.h's documentation gives.
    let get: Get = unsafe { std::mem::transmute(get) };
    let (mut size, mut count, mut trace) =
        (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: all three are writable.
    unsafe { get(&raw mut size, &raw mut count, &raw mut trace) };
    Some((ntdll() as u64, [size as u64, count as u64, trace as u64]))
}

fn ntdll() -> HMODULE {
    // SAFETY: the name is a constant with a NUL; every process has the module.
    unsafe { GetModuleHandleW(w!("ntdll.dll")) }
}

fn ntdll_function(name: &std::ffi::CStr) -> FARPROC {
    // SAFETY: the module stays loaded, and the name has a NUL.
    unsafe { GetProcAddress(ntdll(), name.as_ptr().cast()) }
}
