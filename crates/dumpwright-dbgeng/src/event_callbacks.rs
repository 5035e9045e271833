//! Calls into `IDebugEventCallbacks` and `IDebugEventCallbacksWide` of the client
//! program, which differ in the characters of names.

use crate::com::Callback;
use crate::platform;
use dumpwright::HResult;
use dumpwright::format::minidump::Exception;
use std::ffi::c_void;
use zerocopy::IntoBytes;

/// `DEBUG_EVENT_*`, which are also the bits of an interest mask.
pub mod event {
    /// `DEBUG_EVENT_EXCEPTION`.
    pub const EXCEPTION: u32 = 0x2;
    /// `DEBUG_EVENT_CREATE_THREAD`.
    pub const CREATE_THREAD: u32 = 0x4;
    /// `DEBUG_EVENT_EXIT_THREAD`.
    pub const EXIT_THREAD: u32 = 0x8;
    /// `DEBUG_EVENT_CREATE_PROCESS`.
    pub const CREATE_PROCESS: u32 = 0x10;
    /// `DEBUG_EVENT_EXIT_PROCESS`.
    pub const EXIT_PROCESS: u32 = 0x20;
    /// `DEBUG_EVENT_LOAD_MODULE`.
    pub const LOAD_MODULE: u32 = 0x40;
    /// `DEBUG_EVENT_UNLOAD_MODULE`.
    pub const UNLOAD_MODULE: u32 = 0x80;
    /// `DEBUG_EVENT_CHANGE_ENGINE_STATE`.
    pub const CHANGE_ENGINE_STATE: u32 = 0x800;
}

type This = *mut c_void;

/// The methods in their order, after those of `IUnknown` (dbgeng.h).
#[repr(C)]
struct Vtable {
    unknown: [*const c_void; 3],
    get_interest_mask: unsafe extern "system" fn(This, *mut u32) -> HResult,
    breakpoint: *const c_void,
    exception: unsafe extern "system" fn(This, *const c_void, u32) -> HResult,
    create_thread: unsafe extern "system" fn(This, u64, u64, u64) -> HResult,
    exit_thread: unsafe extern "system" fn(This, u32) -> HResult,
    create_process: unsafe extern "system" fn(
        This,
        u64,
        u64,
        u64,
        u32,
        *const c_void,
        *const c_void,
        u32,
        u32,
        u64,
        u64,
        u64,
    ) -> HResult,
    exit_process: unsafe extern "system" fn(This, u32) -> HResult,
    load_module: unsafe extern "system" fn(
        This,
        u64,
        u64,
        u32,
        *const c_void,
        *const c_void,
        u32,
        u32,
    ) -> HResult,
    unload_module: unsafe extern "system" fn(This, *const c_void, u64) -> HResult,
    system_error: *const c_void,
    session_status: *const c_void,
    change_debuggee_state: *const c_void,
    change_engine_state: unsafe extern "system" fn(This, u32, u64) -> HResult,
}

/// A module as a callback is told of it.
#[derive(Clone, Debug, Default)]
pub struct ToldModule {
    /// Where it is mapped.
    pub base: u64,
    /// Bytes.
    pub size: u32,
    /// Its name, without folder and extension.
    pub name: String,
    /// Its file.
    pub image: String,
    /// Of the PE header.
    pub check_sum: u32,
    /// Of the PE header.
    pub time_date_stamp: u32,
}

/// What a callback is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// `Exception`: the record, and whether the process has not seen it yet.
    Exception(Box<Exception>, bool),
    /// `CreateThread`: its TEB (thread pointer) and where it starts.
    CreateThread(u64, u64),
    /// `ExitThread`.
    ExitThread(u32),
    /// `CreateProcess`: the program, and TEB and start of its first thread.
    CreateProcess(ToldModule, u64, u64),
    /// `ExitProcess`.
    ExitProcess(u32),
    /// `LoadModule`.
    LoadModule(ToldModule),
    /// `UnloadModule`: its file, and where it was.
    UnloadModule(String, u64),
    /// `ChangeEngineState`: `DEBUG_CES_*` and what it became.
    EngineState(u32, u64),
}

impl Told {
    /// The bit of an interest mask that asks for it.
    pub fn interest(&self) -> u32 {
        match self {
            Told::Exception(..) => event::EXCEPTION,
            Told::CreateThread(..) => event::CREATE_THREAD,
            Told::ExitThread(..) => event::EXIT_THREAD,
            Told::CreateProcess(..) => event::CREATE_PROCESS,
            Told::ExitProcess(..) => event::EXIT_PROCESS,
            Told::LoadModule(..) => event::LOAD_MODULE,
            Told::UnloadModule(..) => event::UNLOAD_MODULE,
            Told::EngineState(..) => event::CHANGE_ENGINE_STATE,
        }
    }
}

/// The characters of an interface's strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// `IDebugEventCallbacks`.
    Narrow,
    /// `IDebugEventCallbacksWide`.
    Wide,
}

/// A string for a callback, NUL included, aligned for either width.
struct Name(Vec<u16>);

impl Name {
    fn new(text: &str, width: Width) -> Name {
        if width == Width::Wide {
            return Name(text.encode_utf16().filter(|u| *u != 0).chain([0]).collect());
        }
        let mut bytes = platform::to_narrow(text);
        bytes.retain(|b| *b != 0);
        bytes.resize(bytes.len() / 2 * 2 + 2, 0);
        Name(bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect())
    }

    fn pointer(&self) -> *const c_void {
        self.0.as_ptr().cast()
    }
}

impl Callback {
    /// `GetInterestMask`; nothing of an object that fails.
    pub fn interest(&self) -> u32 {
        let mut mask = 0;
        // SAFETY: the program set an object with these methods; the mask has a place.
        let answer =
            unsafe { ((*self.vtable::<Vtable>()).get_interest_mask)(self.this(), &raw mut mask) };
        if answer.is_failure() { 0 } else { mask }
    }

    /// Tells an event, and answers what the callback does: a `DEBUG_STATUS_*`.
    pub fn tell(&self, told: &Told, width: Width) -> HResult {
        let (this, vtable) = (self.this(), self.vtable::<Vtable>());
        let name = |text: &str| Name::new(text, width);
        // SAFETY: the program set an object with these methods, and every pointer is
        // to something that lives until the call returns.
        unsafe {
            match told {
                Told::Exception(record, first_chance) => ((*vtable).exception)(
                    this,
                    record.as_bytes().as_ptr().cast(),
                    u32::from(*first_chance),
                ),
                Told::CreateThread(data, start) => {
                    ((*vtable).create_thread)(this, 0, *data, *start)
                }
                Told::ExitThread(code) => ((*vtable).exit_thread)(this, *code),
                Told::CreateProcess(module, data, start) => ((*vtable).create_process)(
                    this,
                    0,
                    0,
                    module.base,
                    module.size,
                    name(&module.name).pointer(),
                    name(&module.image).pointer(),
                    module.check_sum,
                    module.time_date_stamp,
                    0,
                    *data,
                    *start,
                ),
                Told::ExitProcess(code) => ((*vtable).exit_process)(this, *code),
                Told::LoadModule(module) => ((*vtable).load_module)(
                    this,
                    0,
                    module.base,
                    module.size,
                    name(&module.name).pointer(),
                    name(&module.image).pointer(),
                    module.check_sum,
                    module.time_date_stamp,
                ),
                Told::UnloadModule(image, base) => {
                    ((*vtable).unload_module)(this, name(image).pointer(), *base)
                }
                Told::EngineState(flags, argument) => {
                    ((*vtable).change_engine_state)(this, *flags, *argument)
                }
            }
        }
    }
}
