//! What the Windows kernel tells a debugger.
//!
//! Layouts and constants are those of ntdll's debugging functions (`NtWaitForDebugEvent`,
//! `DbgUiConvertStateChangeStructure`) on 64-bit systems, which are the same from
//! Windows XP on and in Wine (`DBGUI_WAIT_STATE_CHANGE`, `DBGKM_*` of winternl.h), and of
//! winnt.h and ntstatus.h.

use crate::nt::ExceptionRecord64;
use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `DbgCreateThreadStateChange`
pub const CREATE_THREAD: u32 = 2;
/// `DbgCreateProcessStateChange`
pub const CREATE_PROCESS: u32 = 3;
/// `DbgExitThreadStateChange`
pub const EXIT_THREAD: u32 = 4;
/// `DbgExitProcessStateChange`
pub const EXIT_PROCESS: u32 = 5;
/// `DbgExceptionStateChange`
pub const EXCEPTION: u32 = 6;
/// `DbgBreakpointStateChange`: an exception, too.
pub const BREAKPOINT: u32 = 7;
/// `DbgSingleStepStateChange`: an exception, too.
pub const SINGLE_STEP: u32 = 8;
/// `DbgLoadDllStateChange`
pub const LOAD_DLL: u32 = 9;
/// `DbgUnloadDllStateChange`
pub const UNLOAD_DLL: u32 = 10;

/// `STATUS_BREAKPOINT`
pub const STATUS_BREAKPOINT: u32 = 0x8000_0003;
/// `STATUS_SINGLE_STEP`
pub const STATUS_SINGLE_STEP: u32 = 0x8000_0004;
/// `STATUS_WX86_BREAKPOINT`: the same of 32-bit code, for a 64-bit debugger.
pub const STATUS_WX86_BREAKPOINT: u32 = 0x4000_001F;
/// `STATUS_WX86_SINGLE_STEP`
pub const STATUS_WX86_SINGLE_STEP: u32 = 0x4000_001E;
/// `STATUS_INVALID_HANDLE`
pub const STATUS_INVALID_HANDLE: u32 = 0xC000_0008;
/// `STATUS_HANDLE_NOT_CLOSABLE`
pub const STATUS_HANDLE_NOT_CLOSABLE: u32 = 0xC000_0235;
/// `DBG_CONTROL_C`: Ctrl-C in a console program that has a debugger.
pub const DBG_CONTROL_C: u32 = 0x4001_0005;
/// `DBG_PRINTEXCEPTION_C`: `OutputDebugStringA`.
pub const DBG_PRINTEXCEPTION_C: u32 = 0x4001_0006;
/// `DBG_RIPEXCEPTION`
pub const DBG_RIPEXCEPTION: u32 = 0x4001_0007;
/// `DBG_CONTROL_BREAK`
pub const DBG_CONTROL_BREAK: u32 = 0x4001_0008;
/// `DBG_PRINTEXCEPTION_WIDE_C`: `OutputDebugStringW`.
pub const DBG_PRINTEXCEPTION_WIDE_C: u32 = 0x4001_000A;
/// What a program raises to name a thread to its debugger ("How to: Set a Thread Name
/// in Native Code" of the Visual Studio documentation).
pub const SET_THREAD_NAME: u32 = 0x406D_1388;

/// Bytes of the part of a [`StateChange`] that depends on its state.
pub const STATE_INFO_SIZE: usize = 160;

wire! {
    /// `DBGUI_WAIT_STATE_CHANGE`
    pub struct StateChange [184] {
        /// What happened: [`CREATE_THREAD`] to [`UNLOAD_DLL`].
        pub state: U32,
        /// 0.
        pub alignment: U32,
        /// `CLIENT_ID`: ids of process and thread.
        pub client: [U64; 2],
        /// One of the following structures, by state.
        pub info: [u8; STATE_INFO_SIZE],
    }

    /// `DBGUI_CREATE_THREAD`
    pub struct CreateThread [24] {
        /// A handle to the thread, of the debugger's own.
        pub thread: U64,
        /// `SubSystemKey`
        pub subsystem_key: U64,
        /// Where it starts.
        pub start_address: U64,
    }

    /// `DBGUI_CREATE_PROCESS`, as far as its handles.
    pub struct CreateProcess [32] {
        /// A handle to the process, of the debugger's own.
        pub process: U64,
        /// The same to its first thread.
        pub thread: U64,
        /// `SubSystemKey`
        pub subsystem_key: U64,
        /// The same to its executable, or 0.
        pub file: U64,
    }

    /// `DBGKM_EXIT_THREAD` and `DBGKM_EXIT_PROCESS`
    pub struct Exit [4] {
        /// Exit code.
        pub status: U32,
    }

    /// `DBGKM_EXCEPTION`
    pub struct Exception [160] {
        /// Its record, which is as wide in 32-bit processes.
        pub record: ExceptionRecord64,
        /// 0 if no handler took it, and the process ends of it.
        pub first_chance: U32,
        /// 0.
        pub alignment: U32,
    }

    /// `DBGKM_LOAD_DLL`, as far as its base.
    pub struct LoadDll [16] {
        /// A handle to the file, of the debugger's own, or 0.
        pub file: U64,
        /// Where it was mapped.
        pub base: U64,
    }

    /// `DBGKM_UNLOAD_DLL`
    pub struct UnloadDll [8] {
        /// Where it was.
        pub base: U64,
    }
}
