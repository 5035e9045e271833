/*
 * The debugger engine's interfaces as dumpwright has them, for C and C++ users
 * without Microsoft's dbgeng.h. Generated of the lists in
 * crates/dumpwright-dbgeng/src/interfaces; see docs/dbgeng.md.
 *
 * Link with -ldumpwright_dbgeng. Strings of the Wide methods are of 16-bit
 * characters on every system: u"text" in C11 and C++11.
 */
#ifndef DUMPWRIGHT_DBGENG_H
#define DUMPWRIGHT_DBGENG_H

#include <stdint.h>

#ifdef _WIN32
#include <windows.h>
#define DUMPWRIGHT_CALL __stdcall
#else
#define DUMPWRIGHT_CALL
typedef int32_t HRESULT;
typedef int32_t LONG;
typedef uint32_t ULONG;
typedef uint64_t ULONG64;
typedef uint16_t USHORT;
typedef uint8_t UCHAR;
#ifdef __cplusplus
typedef char16_t WCHAR;
#else
typedef uint16_t WCHAR;
#endif
typedef char *PSTR;
typedef const char *PCSTR;
typedef WCHAR *PWSTR;
typedef const WCHAR *PCWSTR;
typedef struct GUID {
    uint32_t Data1;
    uint16_t Data2;
    uint16_t Data3;
    uint8_t Data4[8];
} GUID;
#define SUCCEEDED(hr) ((HRESULT)(hr) >= 0)
#define FAILED(hr) ((HRESULT)(hr) < 0)
#define S_OK ((HRESULT)0)
#define S_FALSE ((HRESULT)1)
#define E_NOTIMPL ((HRESULT)0x80004001)
#define E_NOINTERFACE ((HRESULT)0x80004002)
#define E_POINTER ((HRESULT)0x80004003)
#define E_FAIL ((HRESULT)0x80004005)
#define E_UNEXPECTED ((HRESULT)0x8000FFFF)
#define E_ACCESSDENIED ((HRESULT)0x80070005)
#define E_HANDLE ((HRESULT)0x80070006)
#define E_OUTOFMEMORY ((HRESULT)0x8007000E)
#define E_INVALIDARG ((HRESULT)0x80070057)
#define HRESULT_FROM_WIN32(error) ((HRESULT)(0x80070000u | ((error) & 0xFFFFu)))
#define INFINITE 0xFFFFFFFFu
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DEBUG_DUMP_SMALL 1024
#define DEBUG_DUMP_DEFAULT 1025
#define DEBUG_DUMP_FULL 1026
#define DEBUG_DUMP_IMAGE_FILE 1027
#define DEBUG_DUMP_TRACE_LOG 1028
#define DEBUG_DUMP_WINDOWS_CE 1029
#define DEBUG_DUMP_ACTIVE 1030

#define DEBUG_ATTACH_DEFAULT 0x00
#define DEBUG_ATTACH_NONINVASIVE 0x01
#define DEBUG_ATTACH_EXISTING 0x02
#define DEBUG_ATTACH_NONINVASIVE_NO_SUSPEND 0x04
#define DEBUG_ATTACH_INVASIVE_NO_INITIAL_BREAK 0x08
#define DEBUG_ATTACH_INVASIVE_RESUME_PROCESS 0x10
#define DEBUG_ATTACH_NONINVASIVE_ALLOW_PARTIAL 0x20

/* AttachKernel: "qemu:socket=PATH", the QMP monitor of a guest on Linux. */
#define DEBUG_ATTACH_KERNEL_CONNECTION 0

#define DEBUG_GET_PROC_DEFAULT 0
#define DEBUG_GET_PROC_FULL_MATCH 1
#define DEBUG_GET_PROC_ONLY_MATCH 2
#define DEBUG_PROC_DESC_DEFAULT 0
#define DEBUG_PROC_DESC_NO_PATHS 1
#define DEBUG_PROC_DESC_NO_COMMAND_LINE 8

#define DEBUG_END_PASSIVE 0
#define DEBUG_END_ACTIVE_TERMINATE 1
#define DEBUG_END_ACTIVE_DETACH 2
#define DEBUG_END_REENTRANT 3
#define DEBUG_END_DISCONNECT 4

#define DEBUG_DUMP_FILE_BASE 0xFFFFFFFFu
#define DEBUG_DUMP_FILE_PAGE_FILE_DUMP 0

#define DEBUG_OUTPUT_NORMAL 0x1
#define DEBUG_OUTPUT_ERROR 0x2
#define DEBUG_OUTPUT_WARNING 0x4
#define DEBUG_OUTCTL_THIS_CLIENT 0
#define DEBUG_OUTCTL_ALL_CLIENTS 1
#define DEBUG_EXECUTE_DEFAULT 0
#define DEBUG_WAIT_DEFAULT 0
#define DEBUG_INTERRUPT_ACTIVE 0
#define DEBUG_INTERRUPT_PASSIVE 1
#define DEBUG_INTERRUPT_EXIT 2

#define DEBUG_STATUS_NO_CHANGE 0
#define DEBUG_STATUS_GO 1
#define DEBUG_STATUS_GO_HANDLED 2
#define DEBUG_STATUS_GO_NOT_HANDLED 3
#define DEBUG_STATUS_BREAK 6
#define DEBUG_STATUS_NO_DEBUGGEE 7
#define DEBUG_STATUS_INSIDE_WAIT 0x100000000ull
#define DEBUG_ENGOPT_INITIAL_BREAK 0x20
#define DEBUG_ENGOPT_FINAL_BREAK 0x80
#define DEBUG_EVENT_EXCEPTION 0x2
#define DEBUG_EVENT_CREATE_THREAD 0x4
#define DEBUG_EVENT_EXIT_THREAD 0x8
#define DEBUG_EVENT_CREATE_PROCESS 0x10
#define DEBUG_EVENT_EXIT_PROCESS 0x20
#define DEBUG_EVENT_LOAD_MODULE 0x40
#define DEBUG_EVENT_UNLOAD_MODULE 0x80
#define DEBUG_EVENT_CHANGE_ENGINE_STATE 0x800
#define DEBUG_CES_EXECUTION_STATUS 0x10
#define DEBUG_CLASS_UNINITIALIZED 0
#define DEBUG_CLASS_KERNEL 1
#define DEBUG_CLASS_USER_WINDOWS 2
#define DEBUG_KERNEL_CONNECTION 0
#define DEBUG_KERNEL_SMALL_DUMP DEBUG_DUMP_SMALL
#define DEBUG_KERNEL_DUMP DEBUG_DUMP_DEFAULT
#define DEBUG_KERNEL_FULL_DUMP DEBUG_DUMP_FULL
#define DEBUG_USER_WINDOWS_PROCESS 0
#define DEBUG_USER_WINDOWS_SMALL_DUMP DEBUG_DUMP_SMALL
#define DEBUG_USER_WINDOWS_DUMP DEBUG_DUMP_DEFAULT
#define DEBUG_ANY_ID 0xFFFFFFFFu
#define DEBUG_INVALID_OFFSET 0xFFFFFFFFFFFFFFFFull

/* ReadDebuggerData: offsets in KDDEBUGGER_DATA64; these and those between. */
#define DEBUG_DATA_KernBase 24
#define DEBUG_DATA_PsLoadedModuleListAddr 72
#define DEBUG_DATA_PsActiveProcessHeadAddr 80
#define DEBUG_DATA_MmVirtualTranslationBase 656
/* ReadProcessorSystemData. */
#define DEBUG_DATA_KPCR_OFFSET 0
#define DEBUG_DATA_KPRCB_OFFSET 1
#define DEBUG_DATA_KTHREAD_OFFSET 2
#define DEBUG_DATA_BASE_TRANSLATION_VIRTUAL_OFFSET 3
#define DEBUG_PHYSICAL_DEFAULT 0

typedef struct DEBUG_MODULE_PARAMETERS {
    ULONG64 Base;
    ULONG Size;
    ULONG TimeDateStamp;
    ULONG Checksum;
    ULONG Flags;
    ULONG SymbolType;
    ULONG ImageNameSize;
    ULONG ModuleNameSize;
    ULONG LoadedImageNameSize;
    ULONG SymbolFileNameSize;
    ULONG MappedImageNameSize;
    ULONG64 Reserved[2];
} DEBUG_MODULE_PARAMETERS;

#ifndef _WIN32
typedef struct MEMORY_BASIC_INFORMATION64 {
    ULONG64 BaseAddress;
    ULONG64 AllocationBase;
    ULONG AllocationProtect;
    ULONG alignment1_;
    ULONG64 RegionSize;
    ULONG State;
    ULONG Protect;
    ULONG Type;
    ULONG alignment2_;
} MEMORY_BASIC_INFORMATION64;
#endif

#ifndef _WIN32
typedef struct EXCEPTION_RECORD64 {
    ULONG ExceptionCode; /* on Linux the signal */
    ULONG ExceptionFlags; /* on Linux si_code */
    ULONG64 ExceptionRecord;
    ULONG64 ExceptionAddress;
    ULONG NumberParameters;
    ULONG unusedAlignment_;
    ULONG64 ExceptionInformation[15];
} EXCEPTION_RECORD64;
#endif

/* GetLastEventInformation, of DEBUG_EVENT_EXCEPTION and DEBUG_EVENT_EXIT_PROCESS. */
typedef struct DEBUG_LAST_EVENT_INFO_EXCEPTION {
    EXCEPTION_RECORD64 ExceptionRecord;
    ULONG FirstChance;
} DEBUG_LAST_EVENT_INFO_EXCEPTION;
typedef struct DEBUG_LAST_EVENT_INFO_EXIT_PROCESS {
    ULONG ExitCode;
} DEBUG_LAST_EVENT_INFO_EXIT_PROCESS;

/* The start of every interface's vtable. */
#define DUMPWRIGHT_UNKNOWN(T) \
    HRESULT (DUMPWRIGHT_CALL *QueryInterface)(T *This, const GUID *iid, void **object); \
    ULONG (DUMPWRIGHT_CALL *AddRef)(T *This); \
    ULONG (DUMPWRIGHT_CALL *Release)(T *This);

/* What a program implements to hear what is said. */
typedef struct IDebugOutputCallbacks IDebugOutputCallbacks;
typedef struct IDebugOutputCallbacksVtbl {
    DUMPWRIGHT_UNKNOWN(IDebugOutputCallbacks)
    HRESULT (DUMPWRIGHT_CALL *Output)(IDebugOutputCallbacks *This, ULONG mask, PCSTR text);
} IDebugOutputCallbacksVtbl;
struct IDebugOutputCallbacks {
    const IDebugOutputCallbacksVtbl *lpVtbl;
};
typedef struct IDebugOutputCallbacksWide IDebugOutputCallbacksWide;
typedef struct IDebugOutputCallbacksWideVtbl {
    DUMPWRIGHT_UNKNOWN(IDebugOutputCallbacksWide)
    HRESULT (DUMPWRIGHT_CALL *Output)(IDebugOutputCallbacksWide *This, ULONG mask, PCWSTR text);
} IDebugOutputCallbacksWideVtbl;
struct IDebugOutputCallbacksWide {
    const IDebugOutputCallbacksWideVtbl *lpVtbl;
};

/* What a program implements to hear what happens; answers are DEBUG_STATUS_*. */
#define DUMPWRIGHT_EVENT_CALLBACKS(T, STRING) \
    DUMPWRIGHT_UNKNOWN(T) \
    HRESULT (DUMPWRIGHT_CALL *GetInterestMask)(T *This, ULONG *mask); \
    HRESULT (DUMPWRIGHT_CALL *Breakpoint)(T *This, void *breakpoint); \
    HRESULT (DUMPWRIGHT_CALL *Exception)(T *This, EXCEPTION_RECORD64 *exception, ULONG first_chance); \
    HRESULT (DUMPWRIGHT_CALL *CreateThread)(T *This, ULONG64 handle, ULONG64 data_offset, ULONG64 start_offset); \
    HRESULT (DUMPWRIGHT_CALL *ExitThread)(T *This, ULONG exit_code); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcess)(T *This, ULONG64 image_file_handle, ULONG64 handle, ULONG64 base_offset, ULONG module_size, STRING module_name, STRING image_name, ULONG check_sum, ULONG time_date_stamp, ULONG64 initial_thread_handle, ULONG64 thread_data_offset, ULONG64 start_offset); \
    HRESULT (DUMPWRIGHT_CALL *ExitProcess)(T *This, ULONG exit_code); \
    HRESULT (DUMPWRIGHT_CALL *LoadModule)(T *This, ULONG64 image_file_handle, ULONG64 base_offset, ULONG module_size, STRING module_name, STRING image_name, ULONG check_sum, ULONG time_date_stamp); \
    HRESULT (DUMPWRIGHT_CALL *UnloadModule)(T *This, STRING image_base_name, ULONG64 base_offset); \
    HRESULT (DUMPWRIGHT_CALL *SystemError)(T *This, ULONG error, ULONG level); \
    HRESULT (DUMPWRIGHT_CALL *SessionStatus)(T *This, ULONG status); \
    HRESULT (DUMPWRIGHT_CALL *ChangeDebuggeeState)(T *This, ULONG flags, ULONG64 argument); \
    HRESULT (DUMPWRIGHT_CALL *ChangeEngineState)(T *This, ULONG flags, ULONG64 argument); \
    HRESULT (DUMPWRIGHT_CALL *ChangeSymbolState)(T *This, ULONG flags, ULONG64 argument);

typedef struct IDebugEventCallbacks IDebugEventCallbacks;
typedef struct IDebugEventCallbacksVtbl {
    DUMPWRIGHT_EVENT_CALLBACKS(IDebugEventCallbacks, PCSTR)
} IDebugEventCallbacksVtbl;
struct IDebugEventCallbacks {
    const IDebugEventCallbacksVtbl *lpVtbl;
};
typedef struct IDebugEventCallbacksWide IDebugEventCallbacksWide;
typedef struct IDebugEventCallbacksWideVtbl {
    DUMPWRIGHT_EVENT_CALLBACKS(IDebugEventCallbacksWide, PCWSTR)
} IDebugEventCallbacksWideVtbl;
struct IDebugEventCallbacksWide {
    const IDebugEventCallbacksWideVtbl *lpVtbl;
};

