//! The machine and its Windows.

use super::text;
use dumpwright_format::minidump::{SystemTime, TimeZoneInformation};
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Foundation::{FARPROC, HANDLE, HMODULE, MAX_PATH, SYSTEMTIME};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::{
    GetNativeSystemInfo, GetSystemDirectoryW, GetSystemWow64DirectoryW, OSVERSIONINFOEXW,
    SYSTEM_INFO,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;
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
    let (_, zone) = zone();
    (zone.Bias, text(&zone.StandardName))
}

/// `TIME_ZONE_ID_*`, and the zone as a minidump has it.
pub(in super::super) fn time_zone_information() -> (u32, TimeZoneInformation) {
    let (id, zone) = zone();
    let date = |date: SYSTEMTIME| SystemTime {
        year: date.wYear.into(),
        month: date.wMonth.into(),
        day_of_week: date.wDayOfWeek.into(),
        day: date.wDay.into(),
        hour: date.wHour.into(),
        minute: date.wMinute.into(),
        second: date.wSecond.into(),
        milliseconds: date.wMilliseconds.into(),
    };
    let information = TimeZoneInformation {
        bias: zone.Bias.into(),
        standard_name: zone.StandardName.map(Into::into),
        standard_date: date(zone.StandardDate),
        standard_bias: zone.StandardBias.into(),
        daylight_name: zone.DaylightName.map(Into::into),
        daylight_date: date(zone.DaylightDate),
        daylight_bias: zone.DaylightBias.into(),
    };
    (id, information)
}

fn zone() -> (u32, TIME_ZONE_INFORMATION) {
    let mut info = TIME_ZONE_INFORMATION::default();
    // SAFETY: the structure is writable.
    let id = unsafe { GetTimeZoneInformation(&raw mut info) };
    (id, info)
}

/// The folder of Windows's libraries, and the one that stands for it in a
/// 32-bit process.
pub(in super::super) fn system_folders() -> Option<(String, String)> {
    let mut wide = [0; MAX_PATH as usize];
    let mut narrow = [0; MAX_PATH as usize];
    // SAFETY: the buffer is writable for as many units as are named.
    let wide_len = unsafe { GetSystemDirectoryW(wide.as_mut_ptr(), MAX_PATH) };
    // SAFETY: as above.
    let narrow_len = unsafe { GetSystemWow64DirectoryW(narrow.as_mut_ptr(), MAX_PATH) };
    let fits = |len: u32| len != 0 && len < MAX_PATH;
    (fits(wide_len) && fits(narrow_len)).then(|| (text(&wide), text(&narrow)))
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

/// Where a thread starts that a debugger starts in a process to break in. A function of
/// ntdll, which is at the same place in every process.
pub(in super::super) fn break_in_routine() -> Option<u64> {
    ntdll_function(c"DbgUiRemoteBreakin").map(|routine| routine as usize as u64)
}

/// `IMAGE_FILE_MACHINE_*` of the processor that Windows runs on, which emulation
/// hides; `None` before Windows 10, which knows no emulation.
pub(in super::super) fn native_machine() -> Option<u16> {
    type IsWow64Process2 = unsafe extern "system" fn(HANDLE, *mut u16, *mut u16) -> i32;
    // SAFETY: the name is a constant with a NUL; every process has the module.
    let kernel32 = unsafe { GetModuleHandleW(w!("kernel32.dll")) };
    // SAFETY: the module stays loaded, and the name has a NUL.
    let get = unsafe { GetProcAddress(kernel32, c"IsWow64Process2".as_ptr().cast()) }?;
    // SAFETY: the signature that wow64apiset.h gives.
    let get: IsWow64Process2 = unsafe { std::mem::transmute(get) };
    let (mut process, mut native) = (0, 0);
    // SAFETY: a constant that stands for this process; both results are writable.
    let asked = unsafe { get(GetCurrentProcess(), &raw mut process, &raw mut native) };
    (asked != 0).then_some(native)
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

pub(super) fn ntdll_function(name: &std::ffi::CStr) -> FARPROC {
    // SAFETY: the module stays loaded, and the name has a NUL.
    unsafe { GetProcAddress(ntdll(), name.as_ptr().cast()) }
}
