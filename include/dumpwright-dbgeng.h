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

#define DEBUG_FORMAT_USER_SMALL_FULL_MEMORY 0x00000001u
#define DEBUG_FORMAT_USER_SMALL_HANDLE_DATA 0x00000002u
#define DEBUG_FORMAT_USER_SMALL_UNLOADED_MODULES 0x00000004u
#define DEBUG_FORMAT_USER_SMALL_INDIRECT_MEMORY 0x00000008u
#define DEBUG_FORMAT_USER_SMALL_DATA_SEGMENTS 0x00000010u
#define DEBUG_FORMAT_USER_SMALL_FILTER_MEMORY 0x00000020u
#define DEBUG_FORMAT_USER_SMALL_FILTER_PATHS 0x00000040u
#define DEBUG_FORMAT_USER_SMALL_PROCESS_THREAD_DATA 0x00000080u
#define DEBUG_FORMAT_USER_SMALL_PRIVATE_READ_WRITE_MEMORY 0x00000100u
#define DEBUG_FORMAT_USER_SMALL_NO_OPTIONAL_DATA 0x00000200u
#define DEBUG_FORMAT_USER_SMALL_FULL_MEMORY_INFO 0x00000400u
#define DEBUG_FORMAT_USER_SMALL_THREAD_INFO 0x00000800u
#define DEBUG_FORMAT_USER_SMALL_CODE_SEGMENTS 0x00001000u
#define DEBUG_FORMAT_USER_SMALL_NO_AUXILIARY_STATE 0x00002000u
#define DEBUG_FORMAT_USER_SMALL_FULL_AUXILIARY_STATE 0x00004000u
#define DEBUG_FORMAT_USER_SMALL_MODULE_HEADERS 0x00008000u
#define DEBUG_FORMAT_USER_SMALL_FILTER_TRIAGE 0x00010000u
#define DEBUG_FORMAT_USER_SMALL_ADD_AVX_XSTATE_CONTEXT 0x00020000u
#define DEBUG_FORMAT_USER_SMALL_IPT_TRACE 0x00040000u
#define DEBUG_FORMAT_USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM 0x04000000u
#define DEBUG_FORMAT_USER_SMALL_IGNORE_INACCESSIBLE_MEM 0x08000000u
#define DEBUG_FORMAT_USER_SMALL_SCAN_PARTIAL_PAGES 0x10000000u
#define DEBUG_FORMAT_WRITE_CAB 0x20000000u
#define DEBUG_FORMAT_CAB_SECONDARY_FILES 0x40000000u
#define DEBUG_FORMAT_NO_OVERWRITE 0x80000000u
/* With DEBUG_FORMAT_WRITE_CAB only; without it the bit is SCAN_PARTIAL_PAGES. */
#define DEBUG_FORMAT_CAB_SECONDARY_ALL_IMAGES 0x10000000u

#define DUMPWRIGHT_IDebugClient_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *AttachKernel)(T *This, ULONG flags, PCSTR connect_options); \
    HRESULT (DUMPWRIGHT_CALL *GetKernelConnectionOptions)(T *This, PSTR buffer, ULONG buffer_size, ULONG *options_size); \
    HRESULT (DUMPWRIGHT_CALL *SetKernelConnectionOptions)(T *This, PCSTR options); \
    HRESULT (DUMPWRIGHT_CALL *StartProcessServer)(T *This, ULONG flags, PCSTR options, void *reserved); \
    HRESULT (DUMPWRIGHT_CALL *ConnectProcessServer)(T *This, PCSTR remote_options, ULONG64 *server); \
    HRESULT (DUMPWRIGHT_CALL *DisconnectProcessServer)(T *This, ULONG64 server); \
    HRESULT (DUMPWRIGHT_CALL *GetRunningProcessSystemIds)(T *This, ULONG64 server, ULONG *ids, ULONG count, ULONG *actual_count); \
    HRESULT (DUMPWRIGHT_CALL *GetRunningProcessSystemIdByExecutableName)(T *This, ULONG64 server, PCSTR exe_name, ULONG flags, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetRunningProcessDescription)(T *This, ULONG64 server, ULONG system_id, ULONG flags, PSTR exe_name, ULONG exe_name_size, ULONG *actual_exe_name_size, PSTR description, ULONG description_size, ULONG *actual_description_size); \
    HRESULT (DUMPWRIGHT_CALL *AttachProcess)(T *This, ULONG64 server, ULONG process_id, ULONG attach_flags); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcess)(T *This, ULONG64 server, PCSTR command_line, ULONG create_flags); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcessAndAttach)(T *This, ULONG64 server, PCSTR command_line, ULONG create_flags, ULONG process_id, ULONG attach_flags); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessOptions)(T *This, ULONG *options); \
    HRESULT (DUMPWRIGHT_CALL *AddProcessOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *RemoveProcessOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *SetProcessOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *OpenDumpFile)(T *This, PCSTR dump_file); \
    HRESULT (DUMPWRIGHT_CALL *WriteDumpFile)(T *This, PCSTR dump_file, ULONG qualifier); \
    HRESULT (DUMPWRIGHT_CALL *ConnectSession)(T *This, ULONG flags, ULONG history_limit); \
    HRESULT (DUMPWRIGHT_CALL *StartServer)(T *This, PCSTR options); \
    HRESULT (DUMPWRIGHT_CALL *OutputServers)(T *This, ULONG output_control, PCSTR machine, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *TerminateProcesses)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *DetachProcesses)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *EndSession)(T *This, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetExitCode)(T *This, ULONG *code); \
    HRESULT (DUMPWRIGHT_CALL *DispatchCallbacks)(T *This, ULONG timeout); \
    HRESULT (DUMPWRIGHT_CALL *ExitDispatch)(T *This, void *client); \
    HRESULT (DUMPWRIGHT_CALL *CreateClient)(T *This, void **client); \
    HRESULT (DUMPWRIGHT_CALL *GetInputCallbacks)(T *This, void **callbacks); \
    HRESULT (DUMPWRIGHT_CALL *SetInputCallbacks)(T *This, void *callbacks); \
    HRESULT (DUMPWRIGHT_CALL *GetOutputCallbacks)(T *This, void **callbacks); \
    HRESULT (DUMPWRIGHT_CALL *SetOutputCallbacks)(T *This, void *callbacks); \
    HRESULT (DUMPWRIGHT_CALL *GetOutputMask)(T *This, ULONG *mask); \
    HRESULT (DUMPWRIGHT_CALL *SetOutputMask)(T *This, ULONG mask); \
    HRESULT (DUMPWRIGHT_CALL *GetOtherOutputMask)(T *This, void *client, ULONG *mask); \
    HRESULT (DUMPWRIGHT_CALL *SetOtherOutputMask)(T *This, void *client, ULONG mask); \
    HRESULT (DUMPWRIGHT_CALL *GetOutputWidth)(T *This, ULONG *columns); \
    HRESULT (DUMPWRIGHT_CALL *SetOutputWidth)(T *This, ULONG columns); \
    HRESULT (DUMPWRIGHT_CALL *GetOutputLinePrefix)(T *This, PSTR buffer, ULONG buffer_size, ULONG *prefix_size); \
    HRESULT (DUMPWRIGHT_CALL *SetOutputLinePrefix)(T *This, PCSTR prefix); \
    HRESULT (DUMPWRIGHT_CALL *GetIdentity)(T *This, PSTR buffer, ULONG buffer_size, ULONG *identity_size); \
    HRESULT (DUMPWRIGHT_CALL *OutputIdentity)(T *This, ULONG output_control, ULONG flags, PCSTR format); \
    HRESULT (DUMPWRIGHT_CALL *GetEventCallbacks)(T *This, void **callbacks); \
    HRESULT (DUMPWRIGHT_CALL *SetEventCallbacks)(T *This, void *callbacks); \
    HRESULT (DUMPWRIGHT_CALL *FlushCallbacks)(T *This);

typedef struct IDebugClient IDebugClient;
typedef struct IDebugClientVtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient)
} IDebugClientVtbl;
struct IDebugClient {
    const IDebugClientVtbl *lpVtbl;
};
static const GUID IID_IDebugClient =
    {0x27fe5639, 0x8407, 0x4f47, {0x83, 0x64, 0xee, 0x11, 0x8f, 0xb0, 0x8a, 0xc8}};

#define DUMPWRIGHT_IDebugClient2_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *WriteDumpFile2)(T *This, PCSTR dump_file, ULONG qualifier, ULONG format_flags, PCSTR comment); \
    HRESULT (DUMPWRIGHT_CALL *AddDumpInformationFile)(T *This, PCSTR info_file, ULONG kind); \
    HRESULT (DUMPWRIGHT_CALL *EndProcessServer)(T *This, ULONG64 server); \
    HRESULT (DUMPWRIGHT_CALL *WaitForProcessServerEnd)(T *This, ULONG timeout); \
    HRESULT (DUMPWRIGHT_CALL *IsKernelDebuggerEnabled)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *TerminateCurrentProcess)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *DetachCurrentProcess)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *AbandonCurrentProcess)(T *This);

typedef struct IDebugClient2 IDebugClient2;
typedef struct IDebugClient2Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient2)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient2)
    DUMPWRIGHT_IDebugClient2_METHODS(IDebugClient2)
} IDebugClient2Vtbl;
struct IDebugClient2 {
    const IDebugClient2Vtbl *lpVtbl;
};
static const GUID IID_IDebugClient2 =
    {0xedbed635, 0x372e, 0x4dab, {0xbb, 0xfe, 0xed, 0x0d, 0x2f, 0x63, 0xbe, 0x81}};

#define DUMPWRIGHT_IDebugClient3_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetRunningProcessSystemIdByExecutableNameWide)(T *This, ULONG64 server, PCWSTR exe_name, ULONG flags, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetRunningProcessDescriptionWide)(T *This, ULONG64 server, ULONG system_id, ULONG flags, PWSTR exe_name, ULONG exe_name_size, ULONG *actual_exe_name_size, PWSTR description, ULONG description_size, ULONG *actual_description_size); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcessWide)(T *This, ULONG64 server, PCWSTR command_line, ULONG create_flags); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcessAndAttachWide)(T *This, ULONG64 server, PCWSTR command_line, ULONG create_flags, ULONG process_id, ULONG attach_flags);

typedef struct IDebugClient3 IDebugClient3;
typedef struct IDebugClient3Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient3)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient3)
    DUMPWRIGHT_IDebugClient2_METHODS(IDebugClient3)
    DUMPWRIGHT_IDebugClient3_METHODS(IDebugClient3)
} IDebugClient3Vtbl;
struct IDebugClient3 {
    const IDebugClient3Vtbl *lpVtbl;
};
static const GUID IID_IDebugClient3 =
    {0xdd492d7f, 0x71b8, 0x4ad6, {0xa8, 0xdc, 0x1c, 0x88, 0x74, 0x79, 0xff, 0x91}};

#define DUMPWRIGHT_IDebugClient4_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *OpenDumpFileWide)(T *This, PCWSTR file_name, ULONG64 file_handle); \
    HRESULT (DUMPWRIGHT_CALL *WriteDumpFileWide)(T *This, PCWSTR file_name, ULONG64 file_handle, ULONG qualifier, ULONG format_flags, PCWSTR comment); \
    HRESULT (DUMPWRIGHT_CALL *AddDumpInformationFileWide)(T *This, PCWSTR file_name, ULONG64 file_handle, ULONG kind); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberDumpFiles)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetDumpFile)(T *This, ULONG index, PSTR buffer, ULONG buffer_size, ULONG *name_size, ULONG64 *handle, ULONG *kind); \
    HRESULT (DUMPWRIGHT_CALL *GetDumpFileWide)(T *This, ULONG index, PWSTR buffer, ULONG buffer_size, ULONG *name_size, ULONG64 *handle, ULONG *kind);

typedef struct IDebugClient4 IDebugClient4;
typedef struct IDebugClient4Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient4)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient4)
    DUMPWRIGHT_IDebugClient2_METHODS(IDebugClient4)
    DUMPWRIGHT_IDebugClient3_METHODS(IDebugClient4)
    DUMPWRIGHT_IDebugClient4_METHODS(IDebugClient4)
} IDebugClient4Vtbl;
struct IDebugClient4 {
    const IDebugClient4Vtbl *lpVtbl;
};
static const GUID IID_IDebugClient4 =
    {0xca83c3de, 0x5089, 0x4cf8, {0x93, 0xc8, 0xd8, 0x92, 0x38, 0x7f, 0x2a, 0x5e}};

#define DUMPWRIGHT_IDebugClient5_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *AttachKernelWide)(T *This, ULONG flags, PCWSTR connect_options); \
    HRESULT (DUMPWRIGHT_CALL *GetKernelConnectionOptionsWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *options_size); \
    HRESULT (DUMPWRIGHT_CALL *SetKernelConnectionOptionsWide)(T *This, PCWSTR options); \
    HRESULT (DUMPWRIGHT_CALL *StartProcessServerWide)(T *This, ULONG flags, PCWSTR options, void *reserved); \
    HRESULT (DUMPWRIGHT_CALL *ConnectProcessServerWide)(T *This, PCWSTR remote_options, ULONG64 *server); \
    HRESULT (DUMPWRIGHT_CALL *StartServerWide)(T *This, PCWSTR options); \
    HRESULT (DUMPWRIGHT_CALL *OutputServersWide)(T *This, ULONG output_control, PCWSTR machine, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetOutputCallbacksWide)(T *This, void **callbacks); \
    HRESULT (DUMPWRIGHT_CALL *SetOutputCallbacksWide)(T *This, void *callbacks); \
    HRESULT (DUMPWRIGHT_CALL *GetOutputLinePrefixWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *prefix_size); \
    HRESULT (DUMPWRIGHT_CALL *SetOutputLinePrefixWide)(T *This, PCWSTR prefix); \
    HRESULT (DUMPWRIGHT_CALL *GetIdentityWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *identity_size); \
    HRESULT (DUMPWRIGHT_CALL *OutputIdentityWide)(T *This, ULONG output_control, ULONG flags, PCWSTR format); \
    HRESULT (DUMPWRIGHT_CALL *GetEventCallbacksWide)(T *This, void **callbacks); \
    HRESULT (DUMPWRIGHT_CALL *SetEventCallbacksWide)(T *This, void *callbacks); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcess2)(T *This, ULONG64 server, PCSTR command_line, const void *options, ULONG options_size, PCSTR directory, PCSTR environment); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcess2Wide)(T *This, ULONG64 server, PCWSTR command_line, const void *options, ULONG options_size, PCWSTR directory, PCWSTR environment); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcessAndAttach2)(T *This, ULONG64 server, PCSTR command_line, const void *options, ULONG options_size, PCSTR directory, PCSTR environment, ULONG process_id, ULONG attach_flags); \
    HRESULT (DUMPWRIGHT_CALL *CreateProcessAndAttach2Wide)(T *This, ULONG64 server, PCWSTR command_line, const void *options, ULONG options_size, PCWSTR directory, PCWSTR environment, ULONG process_id, ULONG attach_flags); \
    HRESULT (DUMPWRIGHT_CALL *PushOutputLinePrefix)(T *This, PCSTR newprefix, ULONG64 *result); \
    HRESULT (DUMPWRIGHT_CALL *PushOutputLinePrefixWide)(T *This, PCWSTR newprefix, ULONG64 *result); \
    HRESULT (DUMPWRIGHT_CALL *PopOutputLinePrefix)(T *This, ULONG64 handle); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberInputCallbacks)(T *This, ULONG *result); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberOutputCallbacks)(T *This, ULONG *result); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberEventCallbacks)(T *This, ULONG eventflags, ULONG *result); \
    HRESULT (DUMPWRIGHT_CALL *GetQuitLockString)(T *This, PSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *SetQuitLockString)(T *This, PCSTR string); \
    HRESULT (DUMPWRIGHT_CALL *GetQuitLockStringWide)(T *This, PWSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *SetQuitLockStringWide)(T *This, PCWSTR string);

typedef struct IDebugClient5 IDebugClient5;
typedef struct IDebugClient5Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient5)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient5)
    DUMPWRIGHT_IDebugClient2_METHODS(IDebugClient5)
    DUMPWRIGHT_IDebugClient3_METHODS(IDebugClient5)
    DUMPWRIGHT_IDebugClient4_METHODS(IDebugClient5)
    DUMPWRIGHT_IDebugClient5_METHODS(IDebugClient5)
} IDebugClient5Vtbl;
struct IDebugClient5 {
    const IDebugClient5Vtbl *lpVtbl;
};
static const GUID IID_IDebugClient5 =
    {0xe3acb9d7, 0x7ec2, 0x4f0c, {0xa0, 0xda, 0xe8, 0x1e, 0x0c, 0xbb, 0xe6, 0x28}};

#define DUMPWRIGHT_IDebugClient6_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *SetEventContextCallbacks)(T *This, void *callbacks);

typedef struct IDebugClient6 IDebugClient6;
typedef struct IDebugClient6Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient6)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient6)
    DUMPWRIGHT_IDebugClient2_METHODS(IDebugClient6)
    DUMPWRIGHT_IDebugClient3_METHODS(IDebugClient6)
    DUMPWRIGHT_IDebugClient4_METHODS(IDebugClient6)
    DUMPWRIGHT_IDebugClient5_METHODS(IDebugClient6)
    DUMPWRIGHT_IDebugClient6_METHODS(IDebugClient6)
} IDebugClient6Vtbl;
struct IDebugClient6 {
    const IDebugClient6Vtbl *lpVtbl;
};
static const GUID IID_IDebugClient6 =
    {0xfd28b4c5, 0xc498, 0x4686, {0xa2, 0x8e, 0x62, 0xca, 0xd2, 0x15, 0x4e, 0xb3}};

#define DUMPWRIGHT_IDebugClient7_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *SetClientContext)(T *This, void *context, ULONG contextsize);

typedef struct IDebugClient7 IDebugClient7;
typedef struct IDebugClient7Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient7)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient7)
    DUMPWRIGHT_IDebugClient2_METHODS(IDebugClient7)
    DUMPWRIGHT_IDebugClient3_METHODS(IDebugClient7)
    DUMPWRIGHT_IDebugClient4_METHODS(IDebugClient7)
    DUMPWRIGHT_IDebugClient5_METHODS(IDebugClient7)
    DUMPWRIGHT_IDebugClient6_METHODS(IDebugClient7)
    DUMPWRIGHT_IDebugClient7_METHODS(IDebugClient7)
} IDebugClient7Vtbl;
struct IDebugClient7 {
    const IDebugClient7Vtbl *lpVtbl;
};
static const GUID IID_IDebugClient7 =
    {0x13586be3, 0x542e, 0x481e, {0xb1, 0xf2, 0x84, 0x97, 0xba, 0x74, 0xf9, 0xa9}};

#define DUMPWRIGHT_IDebugClient8_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *OpenDumpFileWide2)(T *This, PCWSTR filename, ULONG64 filehandle, ULONG alternatearch);

typedef struct IDebugClient8 IDebugClient8;
typedef struct IDebugClient8Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugClient8)
    DUMPWRIGHT_IDebugClient_METHODS(IDebugClient8)
    DUMPWRIGHT_IDebugClient2_METHODS(IDebugClient8)
    DUMPWRIGHT_IDebugClient3_METHODS(IDebugClient8)
    DUMPWRIGHT_IDebugClient4_METHODS(IDebugClient8)
    DUMPWRIGHT_IDebugClient5_METHODS(IDebugClient8)
    DUMPWRIGHT_IDebugClient6_METHODS(IDebugClient8)
    DUMPWRIGHT_IDebugClient7_METHODS(IDebugClient8)
    DUMPWRIGHT_IDebugClient8_METHODS(IDebugClient8)
} IDebugClient8Vtbl;
struct IDebugClient8 {
    const IDebugClient8Vtbl *lpVtbl;
};
static const GUID IID_IDebugClient8 =
    {0xcec43add, 0x6375, 0x469e, {0x83, 0xd5, 0x41, 0x4e, 0x40, 0x33, 0xc1, 0x9a}};

#define DUMPWRIGHT_IDebugControl_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetInterrupt)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *SetInterrupt)(T *This, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetInterruptTimeout)(T *This, ULONG *seconds); \
    HRESULT (DUMPWRIGHT_CALL *SetInterruptTimeout)(T *This, ULONG seconds); \
    HRESULT (DUMPWRIGHT_CALL *GetLogFile)(T *This, PSTR buffer, ULONG buffer_size, ULONG *file_size, LONG *append); \
    HRESULT (DUMPWRIGHT_CALL *OpenLogFile)(T *This, PCSTR file, LONG append); \
    HRESULT (DUMPWRIGHT_CALL *CloseLogFile)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *GetLogMask)(T *This, ULONG *mask); \
    HRESULT (DUMPWRIGHT_CALL *SetLogMask)(T *This, ULONG mask); \
    HRESULT (DUMPWRIGHT_CALL *Input)(T *This, PSTR buffer, ULONG buffer_size, ULONG *input_size); \
    HRESULT (DUMPWRIGHT_CALL *ReturnInput)(T *This, PCSTR buffer); \
    HRESULT (DUMPWRIGHT_CALL *Output)(T *This, ULONG mask, PCSTR text); \
    HRESULT (DUMPWRIGHT_CALL *OutputVaList)(T *This, ULONG mask, PCSTR format, void *args); \
    HRESULT (DUMPWRIGHT_CALL *ControlledOutput)(T *This, ULONG output_control, ULONG mask, PCSTR format); \
    HRESULT (DUMPWRIGHT_CALL *ControlledOutputVaList)(T *This, ULONG output_control, ULONG mask, PCSTR format, void *args); \
    HRESULT (DUMPWRIGHT_CALL *OutputPrompt)(T *This, ULONG output_control, PCSTR format); \
    HRESULT (DUMPWRIGHT_CALL *OutputPromptVaList)(T *This, ULONG output_control, PCSTR format, void *args); \
    HRESULT (DUMPWRIGHT_CALL *GetPromptText)(T *This, PSTR buffer, ULONG buffer_size, ULONG *text_size); \
    HRESULT (DUMPWRIGHT_CALL *OutputCurrentState)(T *This, ULONG output_control, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *OutputVersionInformation)(T *This, ULONG output_control); \
    HRESULT (DUMPWRIGHT_CALL *GetNotifyEventHandle)(T *This, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *SetNotifyEventHandle)(T *This, ULONG64 handle); \
    HRESULT (DUMPWRIGHT_CALL *Assemble)(T *This, ULONG64 offset, PCSTR instr, ULONG64 *end_offset); \
    HRESULT (DUMPWRIGHT_CALL *Disassemble)(T *This, ULONG64 offset, ULONG flags, PSTR buffer, ULONG buffer_size, ULONG *disassembly_size, ULONG64 *end_offset); \
    HRESULT (DUMPWRIGHT_CALL *GetDisassembleEffectiveOffset)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *OutputDisassembly)(T *This, ULONG output_control, ULONG64 offset, ULONG flags, ULONG64 *end_offset); \
    HRESULT (DUMPWRIGHT_CALL *OutputDisassemblyLines)(T *This, ULONG output_control, ULONG previous_lines, ULONG total_lines, ULONG64 offset, ULONG flags, ULONG *offset_line, ULONG64 *start_offset, ULONG64 *end_offset, ULONG64 *line_offsets); \
    HRESULT (DUMPWRIGHT_CALL *GetNearInstruction)(T *This, ULONG64 offset, LONG delta, ULONG64 *near_offset); \
    HRESULT (DUMPWRIGHT_CALL *GetStackTrace)(T *This, ULONG64 frame_offset, ULONG64 stack_offset, ULONG64 instruction_offset, void *frames, ULONG frames_size, ULONG *frames_filled); \
    HRESULT (DUMPWRIGHT_CALL *GetReturnOffset)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *OutputStackTrace)(T *This, ULONG output_control, void *frames, ULONG frames_size, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetDebuggeeType)(T *This, ULONG *debuggee_class, ULONG *qualifier); \
    HRESULT (DUMPWRIGHT_CALL *GetActualProcessorType)(T *This, ULONG *kind); \
    HRESULT (DUMPWRIGHT_CALL *GetExecutingProcessorType)(T *This, ULONG *kind); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberPossibleExecutingProcessorTypes)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetPossibleExecutingProcessorTypes)(T *This, ULONG start, ULONG count, ULONG *types); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberProcessors)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetSystemVersion)(T *This, ULONG *platform_id, ULONG *major, ULONG *minor, PSTR service_pack_string, ULONG service_pack_string_size, ULONG *service_pack_string_used, ULONG *service_pack_number, PSTR build_string, ULONG build_string_size, ULONG *build_string_used); \
    HRESULT (DUMPWRIGHT_CALL *GetPageSize)(T *This, ULONG *size); \
    HRESULT (DUMPWRIGHT_CALL *IsPointer64Bit)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *ReadBugCheckData)(T *This, ULONG *code, ULONG64 *arg1, ULONG64 *arg2, ULONG64 *arg3, ULONG64 *arg4); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberSupportedProcessorTypes)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetSupportedProcessorTypes)(T *This, ULONG start, ULONG count, ULONG *types); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessorTypeNames)(T *This, ULONG kind, PSTR full_name_buffer, ULONG full_name_buffer_size, ULONG *full_name_size, PSTR abbrev_name_buffer, ULONG abbrev_name_buffer_size, ULONG *abbrev_name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetEffectiveProcessorType)(T *This, ULONG *kind); \
    HRESULT (DUMPWRIGHT_CALL *SetEffectiveProcessorType)(T *This, ULONG kind); \
    HRESULT (DUMPWRIGHT_CALL *GetExecutionStatus)(T *This, ULONG *status); \
    HRESULT (DUMPWRIGHT_CALL *SetExecutionStatus)(T *This, ULONG status); \
    HRESULT (DUMPWRIGHT_CALL *GetCodeLevel)(T *This, ULONG *level); \
    HRESULT (DUMPWRIGHT_CALL *SetCodeLevel)(T *This, ULONG level); \
    HRESULT (DUMPWRIGHT_CALL *GetEngineOptions)(T *This, ULONG *options); \
    HRESULT (DUMPWRIGHT_CALL *AddEngineOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *RemoveEngineOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *SetEngineOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *GetSystemErrorControl)(T *This, ULONG *output_level, ULONG *break_level); \
    HRESULT (DUMPWRIGHT_CALL *SetSystemErrorControl)(T *This, ULONG output_level, ULONG break_level); \
    HRESULT (DUMPWRIGHT_CALL *GetTextMacro)(T *This, ULONG slot, PSTR buffer, ULONG buffer_size, ULONG *macro_size); \
    HRESULT (DUMPWRIGHT_CALL *SetTextMacro)(T *This, ULONG slot, PCSTR text_macro); \
    HRESULT (DUMPWRIGHT_CALL *GetRadix)(T *This, ULONG *radix); \
    HRESULT (DUMPWRIGHT_CALL *SetRadix)(T *This, ULONG radix); \
    HRESULT (DUMPWRIGHT_CALL *Evaluate)(T *This, PCSTR expression, ULONG desired_type, void *value, ULONG *remainder_index); \
    HRESULT (DUMPWRIGHT_CALL *CoerceValue)(T *This, void *input, ULONG out_type, void *out); \
    HRESULT (DUMPWRIGHT_CALL *CoerceValues)(T *This, ULONG count, void *input, const ULONG *out_types, void *out); \
    HRESULT (DUMPWRIGHT_CALL *Execute)(T *This, ULONG output_control, PCSTR command, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *ExecuteCommandFile)(T *This, ULONG output_control, PCSTR command_file, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberBreakpoints)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetBreakpointByIndex)(T *This, ULONG index, void **bp); \
    HRESULT (DUMPWRIGHT_CALL *GetBreakpointById)(T *This, ULONG id, void **bp); \
    HRESULT (DUMPWRIGHT_CALL *GetBreakpointParameters)(T *This, ULONG count, const ULONG *ids, ULONG start, void *params); \
    HRESULT (DUMPWRIGHT_CALL *AddBreakpoint)(T *This, ULONG kind, ULONG desired_id, void **bp); \
    HRESULT (DUMPWRIGHT_CALL *RemoveBreakpoint)(T *This, void *bp); \
    HRESULT (DUMPWRIGHT_CALL *AddExtension)(T *This, PCSTR path, ULONG flags, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *RemoveExtension)(T *This, ULONG64 handle); \
    HRESULT (DUMPWRIGHT_CALL *GetExtensionByPath)(T *This, PCSTR path, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *CallExtension)(T *This, ULONG64 handle, PCSTR function, PCSTR arguments); \
    HRESULT (DUMPWRIGHT_CALL *GetExtensionFunction)(T *This, ULONG64 handle, PCSTR func_name, void *function); \
    HRESULT (DUMPWRIGHT_CALL *GetWindbgExtensionApis32)(T *This, void *api); \
    HRESULT (DUMPWRIGHT_CALL *GetWindbgExtensionApis64)(T *This, void *api); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberEventFilters)(T *This, ULONG *specific_events, ULONG *specific_exceptions, ULONG *arbitrary_exceptions); \
    HRESULT (DUMPWRIGHT_CALL *GetEventFilterText)(T *This, ULONG index, PSTR buffer, ULONG buffer_size, ULONG *text_size); \
    HRESULT (DUMPWRIGHT_CALL *GetEventFilterCommand)(T *This, ULONG index, PSTR buffer, ULONG buffer_size, ULONG *command_size); \
    HRESULT (DUMPWRIGHT_CALL *SetEventFilterCommand)(T *This, ULONG index, PCSTR command); \
    HRESULT (DUMPWRIGHT_CALL *GetSpecificFilterParameters)(T *This, ULONG start, ULONG count, void *params); \
    HRESULT (DUMPWRIGHT_CALL *SetSpecificFilterParameters)(T *This, ULONG start, ULONG count, void *params); \
    HRESULT (DUMPWRIGHT_CALL *GetSpecificFilterArgument)(T *This, ULONG index, PSTR buffer, ULONG buffer_size, ULONG *argument_size); \
    HRESULT (DUMPWRIGHT_CALL *SetSpecificFilterArgument)(T *This, ULONG index, PCSTR argument); \
    HRESULT (DUMPWRIGHT_CALL *GetExceptionFilterParameters)(T *This, ULONG count, const ULONG *codes, ULONG start, void *params); \
    HRESULT (DUMPWRIGHT_CALL *SetExceptionFilterParameters)(T *This, ULONG count, void *params); \
    HRESULT (DUMPWRIGHT_CALL *GetExceptionFilterSecondCommand)(T *This, ULONG index, PSTR buffer, ULONG buffer_size, ULONG *command_size); \
    HRESULT (DUMPWRIGHT_CALL *SetExceptionFilterSecondCommand)(T *This, ULONG index, PCSTR command); \
    HRESULT (DUMPWRIGHT_CALL *WaitForEvent)(T *This, ULONG flags, ULONG timeout); \
    HRESULT (DUMPWRIGHT_CALL *GetLastEventInformation)(T *This, ULONG *kind, ULONG *process_id, ULONG *thread_id, void *extra_information, ULONG extra_information_size, ULONG *extra_information_used, PSTR description, ULONG description_size, ULONG *description_used);

typedef struct IDebugControl IDebugControl;
typedef struct IDebugControlVtbl {
    DUMPWRIGHT_UNKNOWN(IDebugControl)
    DUMPWRIGHT_IDebugControl_METHODS(IDebugControl)
} IDebugControlVtbl;
struct IDebugControl {
    const IDebugControlVtbl *lpVtbl;
};
static const GUID IID_IDebugControl =
    {0x5182e668, 0x105e, 0x416e, {0xad, 0x92, 0x24, 0xef, 0x80, 0x04, 0x24, 0xba}};

#define DUMPWRIGHT_IDebugControl2_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentTimeDate)(T *This, ULONG *time_date); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentSystemUpTime)(T *This, ULONG *up_time); \
    HRESULT (DUMPWRIGHT_CALL *GetDumpFormatFlags)(T *This, ULONG *format_flags); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberTextReplacements)(T *This, ULONG *num_repl); \
    HRESULT (DUMPWRIGHT_CALL *GetTextReplacement)(T *This, PCSTR src_text, ULONG index, PSTR src_buffer, ULONG src_buffer_size, ULONG *src_size, PSTR dst_buffer, ULONG dst_buffer_size, ULONG *dst_size); \
    HRESULT (DUMPWRIGHT_CALL *SetTextReplacement)(T *This, PCSTR src_text, PCSTR dst_text); \
    HRESULT (DUMPWRIGHT_CALL *RemoveTextReplacements)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *OutputTextReplacements)(T *This, ULONG output_control, ULONG flags);

typedef struct IDebugControl2 IDebugControl2;
typedef struct IDebugControl2Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugControl2)
    DUMPWRIGHT_IDebugControl_METHODS(IDebugControl2)
    DUMPWRIGHT_IDebugControl2_METHODS(IDebugControl2)
} IDebugControl2Vtbl;
struct IDebugControl2 {
    const IDebugControl2Vtbl *lpVtbl;
};
static const GUID IID_IDebugControl2 =
    {0xd4366723, 0x44df, 0x4bed, {0x8c, 0x7e, 0x4c, 0x05, 0x42, 0x4f, 0x45, 0x88}};

#define DUMPWRIGHT_IDebugControl3_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetAssemblyOptions)(T *This, ULONG *options); \
    HRESULT (DUMPWRIGHT_CALL *AddAssemblyOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *RemoveAssemblyOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *SetAssemblyOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *GetExpressionSyntax)(T *This, ULONG *flags); \
    HRESULT (DUMPWRIGHT_CALL *SetExpressionSyntax)(T *This, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *SetExpressionSyntaxByName)(T *This, PCSTR abbrev_name); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberExpressionSyntaxes)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetExpressionSyntaxNames)(T *This, ULONG index, PSTR full_name_buffer, ULONG full_name_buffer_size, ULONG *full_name_size, PSTR abbrev_name_buffer, ULONG abbrev_name_buffer_size, ULONG *abbrev_name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberEvents)(T *This, ULONG *events); \
    HRESULT (DUMPWRIGHT_CALL *GetEventIndexDescription)(T *This, ULONG index, ULONG which, PCSTR buffer, ULONG buffer_size, ULONG *desc_size); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentEventIndex)(T *This, ULONG *index); \
    HRESULT (DUMPWRIGHT_CALL *SetNextEventIndex)(T *This, ULONG relation, ULONG value, ULONG *next_index);

typedef struct IDebugControl3 IDebugControl3;
typedef struct IDebugControl3Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugControl3)
    DUMPWRIGHT_IDebugControl_METHODS(IDebugControl3)
    DUMPWRIGHT_IDebugControl2_METHODS(IDebugControl3)
    DUMPWRIGHT_IDebugControl3_METHODS(IDebugControl3)
} IDebugControl3Vtbl;
struct IDebugControl3 {
    const IDebugControl3Vtbl *lpVtbl;
};
static const GUID IID_IDebugControl3 =
    {0x7df74a86, 0xb03f, 0x407f, {0x90, 0xab, 0xa2, 0x0d, 0xad, 0xce, 0xad, 0x08}};

#define DUMPWRIGHT_IDebugControl4_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetLogFileWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *file_size, LONG *append); \
    HRESULT (DUMPWRIGHT_CALL *OpenLogFileWide)(T *This, PCWSTR file, LONG append); \
    HRESULT (DUMPWRIGHT_CALL *InputWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *input_size); \
    HRESULT (DUMPWRIGHT_CALL *ReturnInputWide)(T *This, PCWSTR buffer); \
    HRESULT (DUMPWRIGHT_CALL *OutputWide)(T *This, ULONG mask, PCWSTR text); \
    HRESULT (DUMPWRIGHT_CALL *OutputVaListWide)(T *This, ULONG mask, PCWSTR format, void *args); \
    HRESULT (DUMPWRIGHT_CALL *ControlledOutputWide)(T *This, ULONG output_control, ULONG mask, PCWSTR format); \
    HRESULT (DUMPWRIGHT_CALL *ControlledOutputVaListWide)(T *This, ULONG output_control, ULONG mask, PCWSTR format, void *args); \
    HRESULT (DUMPWRIGHT_CALL *OutputPromptWide)(T *This, ULONG output_control, PCWSTR format); \
    HRESULT (DUMPWRIGHT_CALL *OutputPromptVaListWide)(T *This, ULONG output_control, PCWSTR format, void *args); \
    HRESULT (DUMPWRIGHT_CALL *GetPromptTextWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *text_size); \
    HRESULT (DUMPWRIGHT_CALL *AssembleWide)(T *This, ULONG64 offset, PCWSTR instr, ULONG64 *end_offset); \
    HRESULT (DUMPWRIGHT_CALL *DisassembleWide)(T *This, ULONG64 offset, ULONG flags, PWSTR buffer, ULONG buffer_size, ULONG *disassembly_size, ULONG64 *end_offset); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessorTypeNamesWide)(T *This, ULONG kind, PWSTR full_name_buffer, ULONG full_name_buffer_size, ULONG *full_name_size, PWSTR abbrev_name_buffer, ULONG abbrev_name_buffer_size, ULONG *abbrev_name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetTextMacroWide)(T *This, ULONG slot, PWSTR buffer, ULONG buffer_size, ULONG *macro_size); \
    HRESULT (DUMPWRIGHT_CALL *SetTextMacroWide)(T *This, ULONG slot, PCWSTR text_macro); \
    HRESULT (DUMPWRIGHT_CALL *EvaluateWide)(T *This, PCWSTR expression, ULONG desired_type, void *value, ULONG *remainder_index); \
    HRESULT (DUMPWRIGHT_CALL *ExecuteWide)(T *This, ULONG output_control, PCWSTR command, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *ExecuteCommandFileWide)(T *This, ULONG output_control, PCWSTR command_file, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetBreakpointByIndex2)(T *This, ULONG index, void **result); \
    HRESULT (DUMPWRIGHT_CALL *GetBreakpointById2)(T *This, ULONG id, void **result); \
    HRESULT (DUMPWRIGHT_CALL *AddBreakpoint2)(T *This, ULONG kind, ULONG desiredid, void **result); \
    HRESULT (DUMPWRIGHT_CALL *RemoveBreakpoint2)(T *This, void *bp); \
    HRESULT (DUMPWRIGHT_CALL *AddExtensionWide)(T *This, PCWSTR path, ULONG flags, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *GetExtensionByPathWide)(T *This, PCWSTR path, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *CallExtensionWide)(T *This, ULONG64 handle, PCWSTR function, PCWSTR arguments); \
    HRESULT (DUMPWRIGHT_CALL *GetExtensionFunctionWide)(T *This, ULONG64 handle, PCWSTR func_name, void *function); \
    HRESULT (DUMPWRIGHT_CALL *GetEventFilterTextWide)(T *This, ULONG index, PWSTR buffer, ULONG buffer_size, ULONG *text_size); \
    HRESULT (DUMPWRIGHT_CALL *GetEventFilterCommandWide)(T *This, ULONG index, PWSTR buffer, ULONG buffer_size, ULONG *command_size); \
    HRESULT (DUMPWRIGHT_CALL *SetEventFilterCommandWide)(T *This, ULONG index, PCWSTR command); \
    HRESULT (DUMPWRIGHT_CALL *GetSpecificFilterArgumentWide)(T *This, ULONG index, PWSTR buffer, ULONG buffer_size, ULONG *argument_size); \
    HRESULT (DUMPWRIGHT_CALL *SetSpecificFilterArgumentWide)(T *This, ULONG index, PCWSTR argument); \
    HRESULT (DUMPWRIGHT_CALL *GetExceptionFilterSecondCommandWide)(T *This, ULONG index, PWSTR buffer, ULONG buffer_size, ULONG *command_size); \
    HRESULT (DUMPWRIGHT_CALL *SetExceptionFilterSecondCommandWide)(T *This, ULONG index, PCWSTR command); \
    HRESULT (DUMPWRIGHT_CALL *GetLastEventInformationWide)(T *This, ULONG *kind, ULONG *process_id, ULONG *thread_id, void *extra_information, ULONG extra_information_size, ULONG *extra_information_used, PWSTR description, ULONG description_size, ULONG *description_used); \
    HRESULT (DUMPWRIGHT_CALL *GetTextReplacementWide)(T *This, PCWSTR src_text, ULONG index, PWSTR src_buffer, ULONG src_buffer_size, ULONG *src_size, PWSTR dst_buffer, ULONG dst_buffer_size, ULONG *dst_size); \
    HRESULT (DUMPWRIGHT_CALL *SetTextReplacementWide)(T *This, PCWSTR src_text, PCWSTR dst_text); \
    HRESULT (DUMPWRIGHT_CALL *SetExpressionSyntaxByNameWide)(T *This, PCWSTR abbrev_name); \
    HRESULT (DUMPWRIGHT_CALL *GetExpressionSyntaxNamesWide)(T *This, ULONG index, PWSTR full_name_buffer, ULONG full_name_buffer_size, ULONG *full_name_size, PWSTR abbrev_name_buffer, ULONG abbrev_name_buffer_size, ULONG *abbrev_name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetEventIndexDescriptionWide)(T *This, ULONG index, ULONG which, PCWSTR buffer, ULONG buffer_size, ULONG *desc_size); \
    HRESULT (DUMPWRIGHT_CALL *GetLogFile2)(T *This, PSTR buffer, ULONG buffersize, ULONG *filesize, ULONG *flags); \
    HRESULT (DUMPWRIGHT_CALL *OpenLogFile2)(T *This, PCSTR file, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetLogFile2Wide)(T *This, PWSTR buffer, ULONG buffersize, ULONG *filesize, ULONG *flags); \
    HRESULT (DUMPWRIGHT_CALL *OpenLogFile2Wide)(T *This, PCWSTR file, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetSystemVersionValues)(T *This, ULONG *platformid, ULONG *win32major, ULONG *win32minor, ULONG *kdmajor, ULONG *kdminor); \
    HRESULT (DUMPWRIGHT_CALL *GetSystemVersionString)(T *This, ULONG which, PSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *GetSystemVersionStringWide)(T *This, ULONG which, PWSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *GetContextStackTrace)(T *This, void *startcontext, ULONG startcontextsize, void *frames, ULONG framessize, void *framecontexts, ULONG framecontextssize, ULONG framecontextsentrysize, ULONG *framesfilled); \
    HRESULT (DUMPWRIGHT_CALL *OutputContextStackTrace)(T *This, ULONG outputcontrol, void *frames, ULONG framessize, void *framecontexts, ULONG framecontextssize, ULONG framecontextsentrysize, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetStoredEventInformation)(T *This, ULONG *kind, ULONG *processid, ULONG *threadid, void *context, ULONG contextsize, ULONG *contextused, void *extrainformation, ULONG extrainformationsize, ULONG *extrainformationused); \
    HRESULT (DUMPWRIGHT_CALL *GetManagedStatus)(T *This, ULONG *flags, ULONG whichstring, PSTR string, ULONG stringsize, ULONG *stringneeded); \
    HRESULT (DUMPWRIGHT_CALL *GetManagedStatusWide)(T *This, ULONG *flags, ULONG whichstring, PWSTR string, ULONG stringsize, ULONG *stringneeded); \
    HRESULT (DUMPWRIGHT_CALL *ResetManagedStatus)(T *This, ULONG flags);

typedef struct IDebugControl4 IDebugControl4;
typedef struct IDebugControl4Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugControl4)
    DUMPWRIGHT_IDebugControl_METHODS(IDebugControl4)
    DUMPWRIGHT_IDebugControl2_METHODS(IDebugControl4)
    DUMPWRIGHT_IDebugControl3_METHODS(IDebugControl4)
    DUMPWRIGHT_IDebugControl4_METHODS(IDebugControl4)
} IDebugControl4Vtbl;
struct IDebugControl4 {
    const IDebugControl4Vtbl *lpVtbl;
};
static const GUID IID_IDebugControl4 =
    {0x94e60ce9, 0x9b41, 0x4b19, {0x9f, 0xc0, 0x6d, 0x9e, 0xb3, 0x52, 0x72, 0xb3}};

#define DUMPWRIGHT_IDebugControl5_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetStackTraceEx)(T *This, ULONG64 frameoffset, ULONG64 stackoffset, ULONG64 instructionoffset, void *frames, ULONG framessize, ULONG *framesfilled); \
    HRESULT (DUMPWRIGHT_CALL *OutputStackTraceEx)(T *This, ULONG outputcontrol, void *frames, ULONG framessize, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetContextStackTraceEx)(T *This, void *startcontext, ULONG startcontextsize, void *frames, ULONG framessize, void *framecontexts, ULONG framecontextssize, ULONG framecontextsentrysize, ULONG *framesfilled); \
    HRESULT (DUMPWRIGHT_CALL *OutputContextStackTraceEx)(T *This, ULONG outputcontrol, void *frames, ULONG framessize, void *framecontexts, ULONG framecontextssize, ULONG framecontextsentrysize, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetBreakpointByGuid)(T *This, const GUID *guid, void **result);

typedef struct IDebugControl5 IDebugControl5;
typedef struct IDebugControl5Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugControl5)
    DUMPWRIGHT_IDebugControl_METHODS(IDebugControl5)
    DUMPWRIGHT_IDebugControl2_METHODS(IDebugControl5)
    DUMPWRIGHT_IDebugControl3_METHODS(IDebugControl5)
    DUMPWRIGHT_IDebugControl4_METHODS(IDebugControl5)
    DUMPWRIGHT_IDebugControl5_METHODS(IDebugControl5)
} IDebugControl5Vtbl;
struct IDebugControl5 {
    const IDebugControl5Vtbl *lpVtbl;
};
static const GUID IID_IDebugControl5 =
    {0xb2ffe162, 0x2412, 0x429f, {0x8d, 0x1d, 0x5b, 0xf6, 0xdd, 0x82, 0x46, 0x96}};

#define DUMPWRIGHT_IDebugControl6_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetExecutionStatusEx)(T *This, ULONG *result); \
    HRESULT (DUMPWRIGHT_CALL *GetSynchronizationStatus)(T *This, ULONG *sendsattempted, ULONG *secondssincelastresponse);

typedef struct IDebugControl6 IDebugControl6;
typedef struct IDebugControl6Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugControl6)
    DUMPWRIGHT_IDebugControl_METHODS(IDebugControl6)
    DUMPWRIGHT_IDebugControl2_METHODS(IDebugControl6)
    DUMPWRIGHT_IDebugControl3_METHODS(IDebugControl6)
    DUMPWRIGHT_IDebugControl4_METHODS(IDebugControl6)
    DUMPWRIGHT_IDebugControl5_METHODS(IDebugControl6)
    DUMPWRIGHT_IDebugControl6_METHODS(IDebugControl6)
} IDebugControl6Vtbl;
struct IDebugControl6 {
    const IDebugControl6Vtbl *lpVtbl;
};
static const GUID IID_IDebugControl6 =
    {0xbc0d583f, 0x126d, 0x43a1, {0x9c, 0xc4, 0xa8, 0x60, 0xab, 0x1d, 0x53, 0x7b}};

#define DUMPWRIGHT_IDebugControl7_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetDebuggeeType2)(T *This, ULONG flags, ULONG *debuggee_class, ULONG *qualifier);

typedef struct IDebugControl7 IDebugControl7;
typedef struct IDebugControl7Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugControl7)
    DUMPWRIGHT_IDebugControl_METHODS(IDebugControl7)
    DUMPWRIGHT_IDebugControl2_METHODS(IDebugControl7)
    DUMPWRIGHT_IDebugControl3_METHODS(IDebugControl7)
    DUMPWRIGHT_IDebugControl4_METHODS(IDebugControl7)
    DUMPWRIGHT_IDebugControl5_METHODS(IDebugControl7)
    DUMPWRIGHT_IDebugControl6_METHODS(IDebugControl7)
    DUMPWRIGHT_IDebugControl7_METHODS(IDebugControl7)
} IDebugControl7Vtbl;
struct IDebugControl7 {
    const IDebugControl7Vtbl *lpVtbl;
};
static const GUID IID_IDebugControl7 =
    {0xb86fb3b1, 0x80d4, 0x475b, {0xae, 0xa3, 0xcf, 0x06, 0x53, 0x9c, 0xf6, 0x3a}};

#define DUMPWRIGHT_IDebugDataSpaces_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *ReadVirtual)(T *This, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WriteVirtual)(T *This, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *SearchVirtual)(T *This, ULONG64 offset, ULONG64 length, const void *pattern, ULONG pattern_size, ULONG pattern_granularity, ULONG64 *match_offset); \
    HRESULT (DUMPWRIGHT_CALL *ReadVirtualUncached)(T *This, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WriteVirtualUncached)(T *This, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *ReadPointersVirtual)(T *This, ULONG count, ULONG64 offset, ULONG64 *ptrs); \
    HRESULT (DUMPWRIGHT_CALL *WritePointersVirtual)(T *This, ULONG count, ULONG64 offset, const ULONG64 *ptrs); \
    HRESULT (DUMPWRIGHT_CALL *ReadPhysical)(T *This, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WritePhysical)(T *This, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *ReadControl)(T *This, ULONG processor, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WriteControl)(T *This, ULONG processor, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *ReadIo)(T *This, ULONG interface_type, ULONG bus_number, ULONG address_space, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WriteIo)(T *This, ULONG interface_type, ULONG bus_number, ULONG address_space, ULONG64 offset, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *ReadMsr)(T *This, ULONG msr, ULONG64 *value); \
    HRESULT (DUMPWRIGHT_CALL *WriteMsr)(T *This, ULONG msr, ULONG64 value); \
    HRESULT (DUMPWRIGHT_CALL *ReadBusData)(T *This, ULONG bus_data_type, ULONG bus_number, ULONG slot_number, ULONG offset, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WriteBusData)(T *This, ULONG bus_data_type, ULONG bus_number, ULONG slot_number, ULONG offset, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *CheckLowMemory)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *ReadDebuggerData)(T *This, ULONG index, void *buffer, ULONG buffer_size, ULONG *data_size); \
    HRESULT (DUMPWRIGHT_CALL *ReadProcessorSystemData)(T *This, ULONG processor, ULONG index, void *buffer, ULONG buffer_size, ULONG *data_size);

typedef struct IDebugDataSpaces IDebugDataSpaces;
typedef struct IDebugDataSpacesVtbl {
    DUMPWRIGHT_UNKNOWN(IDebugDataSpaces)
    DUMPWRIGHT_IDebugDataSpaces_METHODS(IDebugDataSpaces)
} IDebugDataSpacesVtbl;
struct IDebugDataSpaces {
    const IDebugDataSpacesVtbl *lpVtbl;
};
static const GUID IID_IDebugDataSpaces =
    {0x88f7dfab, 0x3ea7, 0x4c3a, {0xae, 0xfb, 0xc4, 0xe8, 0x10, 0x61, 0x73, 0xaa}};

#define DUMPWRIGHT_IDebugDataSpaces2_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *VirtualToPhysical)(T *This, ULONG64 address, ULONG64 *physical); \
    HRESULT (DUMPWRIGHT_CALL *GetVirtualTranslationPhysicalOffsets)(T *This, ULONG64 address, ULONG64 *offsets, ULONG offsets_size, ULONG *levels); \
    HRESULT (DUMPWRIGHT_CALL *ReadHandleData)(T *This, ULONG64 handle, ULONG data_type, void *buffer, ULONG buffer_size, ULONG *data_size); \
    HRESULT (DUMPWRIGHT_CALL *FillVirtual)(T *This, ULONG64 start, ULONG size, void *pattern, ULONG pattern_size, ULONG *filled); \
    HRESULT (DUMPWRIGHT_CALL *FillPhysical)(T *This, ULONG64 start, ULONG size, void *pattern, ULONG pattern_size, ULONG *filled); \
    HRESULT (DUMPWRIGHT_CALL *QueryVirtual)(T *This, ULONG64 offset, MEMORY_BASIC_INFORMATION64 *info);

typedef struct IDebugDataSpaces2 IDebugDataSpaces2;
typedef struct IDebugDataSpaces2Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugDataSpaces2)
    DUMPWRIGHT_IDebugDataSpaces_METHODS(IDebugDataSpaces2)
    DUMPWRIGHT_IDebugDataSpaces2_METHODS(IDebugDataSpaces2)
} IDebugDataSpaces2Vtbl;
struct IDebugDataSpaces2 {
    const IDebugDataSpaces2Vtbl *lpVtbl;
};
static const GUID IID_IDebugDataSpaces2 =
    {0x7a5e852f, 0x96e9, 0x468f, {0xac, 0x1b, 0x0b, 0x3a, 0xdd, 0xc4, 0xa0, 0x49}};

#define DUMPWRIGHT_IDebugDataSpaces3_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *ReadImageNtHeaders)(T *This, ULONG64 image_base, void *headers); \
    HRESULT (DUMPWRIGHT_CALL *ReadTagged)(T *This, const GUID *tag, ULONG offset, void *buffer, ULONG buffer_size, ULONG *total_size); \
    HRESULT (DUMPWRIGHT_CALL *StartEnumTagged)(T *This, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *GetNextTagged)(T *This, ULONG64 handle, void *tag, ULONG *size); \
    HRESULT (DUMPWRIGHT_CALL *EndEnumTagged)(T *This, ULONG64 handle);

typedef struct IDebugDataSpaces3 IDebugDataSpaces3;
typedef struct IDebugDataSpaces3Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugDataSpaces3)
    DUMPWRIGHT_IDebugDataSpaces_METHODS(IDebugDataSpaces3)
    DUMPWRIGHT_IDebugDataSpaces2_METHODS(IDebugDataSpaces3)
    DUMPWRIGHT_IDebugDataSpaces3_METHODS(IDebugDataSpaces3)
} IDebugDataSpaces3Vtbl;
struct IDebugDataSpaces3 {
    const IDebugDataSpaces3Vtbl *lpVtbl;
};
static const GUID IID_IDebugDataSpaces3 =
    {0x23f79d6c, 0x8aaf, 0x4f7c, {0xa6, 0x07, 0x99, 0x95, 0xf5, 0x40, 0x7e, 0x63}};

#define DUMPWRIGHT_IDebugDataSpaces4_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetOffsetInformation)(T *This, ULONG space, ULONG which, ULONG64 offset, void *buffer, ULONG buffersize, ULONG *infosize); \
    HRESULT (DUMPWRIGHT_CALL *GetNextDifferentlyValidOffsetVirtual)(T *This, ULONG64 offset, ULONG64 *result); \
    HRESULT (DUMPWRIGHT_CALL *GetValidRegionVirtual)(T *This, ULONG64 base, ULONG size, ULONG64 *validbase, ULONG *validsize); \
    HRESULT (DUMPWRIGHT_CALL *SearchVirtual2)(T *This, ULONG64 offset, ULONG64 length, ULONG flags, void *pattern, ULONG patternsize, ULONG patterngranularity, ULONG64 *result); \
    HRESULT (DUMPWRIGHT_CALL *ReadMultiByteStringVirtual)(T *This, ULONG64 offset, ULONG maxbytes, PSTR buffer, ULONG buffersize, ULONG *stringbytes); \
    HRESULT (DUMPWRIGHT_CALL *ReadMultiByteStringVirtualWide)(T *This, ULONG64 offset, ULONG maxbytes, ULONG codepage, PWSTR buffer, ULONG buffersize, ULONG *stringbytes); \
    HRESULT (DUMPWRIGHT_CALL *ReadUnicodeStringVirtual)(T *This, ULONG64 offset, ULONG maxbytes, ULONG codepage, PSTR buffer, ULONG buffersize, ULONG *stringbytes); \
    HRESULT (DUMPWRIGHT_CALL *ReadUnicodeStringVirtualWide)(T *This, ULONG64 offset, ULONG maxbytes, PWSTR buffer, ULONG buffersize, ULONG *stringbytes); \
    HRESULT (DUMPWRIGHT_CALL *ReadPhysical2)(T *This, ULONG64 offset, ULONG flags, void *buffer, ULONG buffersize, ULONG *bytesread); \
    HRESULT (DUMPWRIGHT_CALL *WritePhysical2)(T *This, ULONG64 offset, ULONG flags, void *buffer, ULONG buffersize, ULONG *byteswritten);

typedef struct IDebugDataSpaces4 IDebugDataSpaces4;
typedef struct IDebugDataSpaces4Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugDataSpaces4)
    DUMPWRIGHT_IDebugDataSpaces_METHODS(IDebugDataSpaces4)
    DUMPWRIGHT_IDebugDataSpaces2_METHODS(IDebugDataSpaces4)
    DUMPWRIGHT_IDebugDataSpaces3_METHODS(IDebugDataSpaces4)
    DUMPWRIGHT_IDebugDataSpaces4_METHODS(IDebugDataSpaces4)
} IDebugDataSpaces4Vtbl;
struct IDebugDataSpaces4 {
    const IDebugDataSpaces4Vtbl *lpVtbl;
};
static const GUID IID_IDebugDataSpaces4 =
    {0xd98ada1f, 0x29e9, 0x4ef5, {0xa6, 0xc0, 0xe5, 0x33, 0x49, 0x88, 0x32, 0x12}};

#define DUMPWRIGHT_IDebugSymbols_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolOptions)(T *This, ULONG *options); \
    HRESULT (DUMPWRIGHT_CALL *AddSymbolOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *RemoveSymbolOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *SetSymbolOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *GetNameByOffset)(T *This, ULONG64 offset, PSTR name_buffer, ULONG name_buffer_size, ULONG *name_size, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetOffsetByName)(T *This, PCSTR symbol, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetNearNameByOffset)(T *This, ULONG64 offset, LONG delta, PSTR name_buffer, ULONG name_buffer_size, ULONG *name_size, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetLineByOffset)(T *This, ULONG64 offset, ULONG *line, PSTR file_buffer, ULONG file_buffer_size, ULONG *file_size, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetOffsetByLine)(T *This, ULONG line, PCSTR file, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberModules)(T *This, ULONG *loaded, ULONG *unloaded); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleByIndex)(T *This, ULONG index, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleByModuleName)(T *This, PCSTR name, ULONG start_index, ULONG *index, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleByOffset)(T *This, ULONG64 offset, ULONG start_index, ULONG *index, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleNames)(T *This, ULONG index, ULONG64 base, PSTR image_name_buffer, ULONG image_name_buffer_size, ULONG *image_name_size, PSTR module_name_buffer, ULONG module_name_buffer_size, ULONG *module_name_size, PSTR loaded_image_name_buffer, ULONG loaded_image_name_buffer_size, ULONG *loaded_image_name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleParameters)(T *This, ULONG count, const ULONG64 *bases, ULONG start, DEBUG_MODULE_PARAMETERS *params); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolModule)(T *This, PCSTR symbol, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetTypeName)(T *This, ULONG64 module, ULONG type_id, PSTR name_buffer, ULONG name_buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetTypeId)(T *This, ULONG64 module, PCSTR name, ULONG *type_id); \
    HRESULT (DUMPWRIGHT_CALL *GetTypeSize)(T *This, ULONG64 module, ULONG type_id, ULONG *size); \
    HRESULT (DUMPWRIGHT_CALL *GetFieldOffset)(T *This, ULONG64 module, ULONG type_id, PCSTR field, ULONG *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolTypeId)(T *This, PCSTR symbol, ULONG *type_id, ULONG64 *module); \
    HRESULT (DUMPWRIGHT_CALL *GetOffsetTypeId)(T *This, ULONG64 offset, ULONG *type_id, ULONG64 *module); \
    HRESULT (DUMPWRIGHT_CALL *ReadTypedDataVirtual)(T *This, ULONG64 offset, ULONG64 module, ULONG type_id, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WriteTypedDataVirtual)(T *This, ULONG64 offset, ULONG64 module, ULONG type_id, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *OutputTypedDataVirtual)(T *This, ULONG output_control, ULONG64 offset, ULONG64 module, ULONG type_id, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *ReadTypedDataPhysical)(T *This, ULONG64 offset, ULONG64 module, ULONG type_id, void *buffer, ULONG buffer_size, ULONG *bytes_read); \
    HRESULT (DUMPWRIGHT_CALL *WriteTypedDataPhysical)(T *This, ULONG64 offset, ULONG64 module, ULONG type_id, void *buffer, ULONG buffer_size, ULONG *bytes_written); \
    HRESULT (DUMPWRIGHT_CALL *OutputTypedDataPhysical)(T *This, ULONG output_control, ULONG64 offset, ULONG64 module, ULONG type_id, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *GetScope)(T *This, ULONG64 *instruction_offset, void *scope_frame, void *scope_context, ULONG scope_context_size); \
    HRESULT (DUMPWRIGHT_CALL *SetScope)(T *This, ULONG64 instruction_offset, void *scope_frame, void *scope_context, ULONG scope_context_size); \
    HRESULT (DUMPWRIGHT_CALL *ResetScope)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *GetScopeSymbolGroup)(T *This, ULONG flags, void *update, void **symbols); \
    HRESULT (DUMPWRIGHT_CALL *CreateSymbolGroup)(T *This, void **group); \
    HRESULT (DUMPWRIGHT_CALL *StartSymbolMatch)(T *This, PCSTR pattern, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *GetNextSymbolMatch)(T *This, ULONG64 handle, PSTR buffer, ULONG buffer_size, ULONG *match_size, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *EndSymbolMatch)(T *This, ULONG64 handle); \
    HRESULT (DUMPWRIGHT_CALL *Reload)(T *This, PCSTR module); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolPath)(T *This, PSTR buffer, ULONG buffer_size, ULONG *path_size); \
    HRESULT (DUMPWRIGHT_CALL *SetSymbolPath)(T *This, PCSTR path); \
    HRESULT (DUMPWRIGHT_CALL *AppendSymbolPath)(T *This, PCSTR addition); \
    HRESULT (DUMPWRIGHT_CALL *GetImagePath)(T *This, PSTR buffer, ULONG buffer_size, ULONG *path_size); \
    HRESULT (DUMPWRIGHT_CALL *SetImagePath)(T *This, PCSTR path); \
    HRESULT (DUMPWRIGHT_CALL *AppendImagePath)(T *This, PCSTR addition); \
    HRESULT (DUMPWRIGHT_CALL *GetSourcePath)(T *This, PSTR buffer, ULONG buffer_size, ULONG *path_size); \
    HRESULT (DUMPWRIGHT_CALL *GetSourcePathElement)(T *This, ULONG index, PSTR buffer, ULONG buffer_size, ULONG *element_size); \
    HRESULT (DUMPWRIGHT_CALL *SetSourcePath)(T *This, PCSTR path); \
    HRESULT (DUMPWRIGHT_CALL *AppendSourcePath)(T *This, PCSTR addition); \
    HRESULT (DUMPWRIGHT_CALL *FindSourceFile)(T *This, ULONG start_element, PCSTR file, ULONG flags, ULONG *found_element, PSTR buffer, ULONG buffer_size, ULONG *found_size); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceFileLineOffsets)(T *This, PCSTR file, ULONG64 *buffer, ULONG buffer_lines, ULONG *file_lines);

typedef struct IDebugSymbols IDebugSymbols;
typedef struct IDebugSymbolsVtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSymbols)
    DUMPWRIGHT_IDebugSymbols_METHODS(IDebugSymbols)
} IDebugSymbolsVtbl;
struct IDebugSymbols {
    const IDebugSymbolsVtbl *lpVtbl;
};
static const GUID IID_IDebugSymbols =
    {0x8c31e98c, 0x983a, 0x48a5, {0x90, 0x16, 0x6f, 0xe5, 0xd6, 0x67, 0xa9, 0x50}};

#define DUMPWRIGHT_IDebugSymbols2_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetModuleVersionInformation)(T *This, ULONG index, ULONG64 base, PCSTR item, void *buffer, ULONG buffer_size, ULONG *ver_info_size); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleNameString)(T *This, ULONG which, ULONG index, ULONG64 base, PSTR buffer, ULONG buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetConstantName)(T *This, ULONG64 module, ULONG type_id, ULONG64 value, PSTR name_buffer, ULONG name_buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetFieldName)(T *This, ULONG64 module, ULONG type_id, ULONG field_index, PSTR name_buffer, ULONG name_buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetTypeOptions)(T *This, ULONG *options); \
    HRESULT (DUMPWRIGHT_CALL *AddTypeOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *RemoveTypeOptions)(T *This, ULONG options); \
    HRESULT (DUMPWRIGHT_CALL *SetTypeOptions)(T *This, ULONG options);

typedef struct IDebugSymbols2 IDebugSymbols2;
typedef struct IDebugSymbols2Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSymbols2)
    DUMPWRIGHT_IDebugSymbols_METHODS(IDebugSymbols2)
    DUMPWRIGHT_IDebugSymbols2_METHODS(IDebugSymbols2)
} IDebugSymbols2Vtbl;
struct IDebugSymbols2 {
    const IDebugSymbols2Vtbl *lpVtbl;
};
static const GUID IID_IDebugSymbols2 =
    {0x3a707211, 0xafdd, 0x4495, {0xad, 0x4f, 0x56, 0xfe, 0xcd, 0xf8, 0x16, 0x3f}};

#define DUMPWRIGHT_IDebugSymbols3_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetNameByOffsetWide)(T *This, ULONG64 offset, PWSTR name_buffer, ULONG name_buffer_size, ULONG *name_size, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetOffsetByNameWide)(T *This, PCWSTR symbol, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetNearNameByOffsetWide)(T *This, ULONG64 offset, LONG delta, PWSTR name_buffer, ULONG name_buffer_size, ULONG *name_size, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetLineByOffsetWide)(T *This, ULONG64 offset, ULONG *line, PWSTR file_buffer, ULONG file_buffer_size, ULONG *file_size, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetOffsetByLineWide)(T *This, ULONG line, PCWSTR file, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleByModuleNameWide)(T *This, PCWSTR name, ULONG start_index, ULONG *index, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolModuleWide)(T *This, PCWSTR symbol, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetTypeNameWide)(T *This, ULONG64 module, ULONG type_id, PWSTR name_buffer, ULONG name_buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetTypeIdWide)(T *This, ULONG64 module, PCWSTR name, ULONG *type_id); \
    HRESULT (DUMPWRIGHT_CALL *GetFieldOffsetWide)(T *This, ULONG64 module, ULONG type_id, PCWSTR field, ULONG *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolTypeIdWide)(T *This, PCWSTR symbol, ULONG *type_id, ULONG64 *module); \
    HRESULT (DUMPWRIGHT_CALL *GetScopeSymbolGroup2)(T *This, ULONG flags, void *update, void **result); \
    HRESULT (DUMPWRIGHT_CALL *CreateSymbolGroup2)(T *This, void **result); \
    HRESULT (DUMPWRIGHT_CALL *StartSymbolMatchWide)(T *This, PCWSTR pattern, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *GetNextSymbolMatchWide)(T *This, ULONG64 handle, PWSTR buffer, ULONG buffer_size, ULONG *match_size, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *ReloadWide)(T *This, PCWSTR module); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolPathWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *path_size); \
    HRESULT (DUMPWRIGHT_CALL *SetSymbolPathWide)(T *This, PCWSTR path); \
    HRESULT (DUMPWRIGHT_CALL *AppendSymbolPathWide)(T *This, PCWSTR addition); \
    HRESULT (DUMPWRIGHT_CALL *GetImagePathWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *path_size); \
    HRESULT (DUMPWRIGHT_CALL *SetImagePathWide)(T *This, PCWSTR path); \
    HRESULT (DUMPWRIGHT_CALL *AppendImagePathWide)(T *This, PCWSTR addition); \
    HRESULT (DUMPWRIGHT_CALL *GetSourcePathWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *path_size); \
    HRESULT (DUMPWRIGHT_CALL *GetSourcePathElementWide)(T *This, ULONG index, PWSTR buffer, ULONG buffer_size, ULONG *element_size); \
    HRESULT (DUMPWRIGHT_CALL *SetSourcePathWide)(T *This, PCWSTR path); \
    HRESULT (DUMPWRIGHT_CALL *AppendSourcePathWide)(T *This, PCWSTR addition); \
    HRESULT (DUMPWRIGHT_CALL *FindSourceFileWide)(T *This, ULONG start_element, PCWSTR file, ULONG flags, ULONG *found_element, PWSTR buffer, ULONG buffer_size, ULONG *found_size); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceFileLineOffsetsWide)(T *This, PCWSTR file, ULONG64 *buffer, ULONG buffer_lines, ULONG *file_lines); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleVersionInformationWide)(T *This, ULONG index, ULONG64 base, PCWSTR item, void *buffer, ULONG buffer_size, ULONG *ver_info_size); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleNameStringWide)(T *This, ULONG which, ULONG index, ULONG64 base, PWSTR buffer, ULONG buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetConstantNameWide)(T *This, ULONG64 module, ULONG type_id, ULONG64 value, PWSTR name_buffer, ULONG name_buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *GetFieldNameWide)(T *This, ULONG64 module, ULONG type_id, ULONG field_index, PWSTR name_buffer, ULONG name_buffer_size, ULONG *name_size); \
    HRESULT (DUMPWRIGHT_CALL *IsManagedModule)(T *This, ULONG index, ULONG64 base); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleByModuleName2)(T *This, PCSTR name, ULONG startindex, ULONG flags, ULONG *index, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleByModuleName2Wide)(T *This, PCWSTR name, ULONG startindex, ULONG flags, ULONG *index, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *GetModuleByOffset2)(T *This, ULONG64 offset, ULONG startindex, ULONG flags, ULONG *index, ULONG64 *base); \
    HRESULT (DUMPWRIGHT_CALL *AddSyntheticModule)(T *This, ULONG64 base, ULONG size, PCSTR imagepath, PCSTR modulename, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *AddSyntheticModuleWide)(T *This, ULONG64 base, ULONG size, PCWSTR imagepath, PCWSTR modulename, ULONG flags); \
    HRESULT (DUMPWRIGHT_CALL *RemoveSyntheticModule)(T *This, ULONG64 base); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentScopeFrameIndex)(T *This, ULONG *result); \
    HRESULT (DUMPWRIGHT_CALL *SetScopeFrameByIndex)(T *This, ULONG index); \
    HRESULT (DUMPWRIGHT_CALL *SetScopeFromJitDebugInfo)(T *This, ULONG outputcontrol, ULONG64 infooffset); \
    HRESULT (DUMPWRIGHT_CALL *SetScopeFromStoredEvent)(T *This); \
    HRESULT (DUMPWRIGHT_CALL *OutputSymbolByOffset)(T *This, ULONG outputcontrol, ULONG flags, ULONG64 offset); \
    HRESULT (DUMPWRIGHT_CALL *GetFunctionEntryByOffset)(T *This, ULONG64 offset, ULONG flags, void *buffer, ULONG buffersize, ULONG *bufferneeded); \
    HRESULT (DUMPWRIGHT_CALL *GetFieldTypeAndOffset)(T *This, ULONG64 module, ULONG containertypeid, PCSTR field, ULONG *fieldtypeid, ULONG *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetFieldTypeAndOffsetWide)(T *This, ULONG64 module, ULONG containertypeid, PCWSTR field, ULONG *fieldtypeid, ULONG *offset); \
    HRESULT (DUMPWRIGHT_CALL *AddSyntheticSymbol)(T *This, ULONG64 offset, ULONG size, PCSTR name, ULONG flags, void *id); \
    HRESULT (DUMPWRIGHT_CALL *AddSyntheticSymbolWide)(T *This, ULONG64 offset, ULONG size, PCWSTR name, ULONG flags, void *id); \
    HRESULT (DUMPWRIGHT_CALL *RemoveSyntheticSymbol)(T *This, void *id); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntriesByOffset)(T *This, ULONG64 offset, ULONG flags, void *ids, ULONG64 *displacements, ULONG idscount, ULONG *entries); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntriesByName)(T *This, PCSTR symbol, ULONG flags, void *ids, ULONG idscount, ULONG *entries); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntriesByNameWide)(T *This, PCWSTR symbol, ULONG flags, void *ids, ULONG idscount, ULONG *entries); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntryByToken)(T *This, ULONG64 modulebase, ULONG token, void *result); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntryInformation)(T *This, void *id, void *info); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntryString)(T *This, void *id, ULONG which, PSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntryStringWide)(T *This, void *id, ULONG which, PWSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntryOffsetRegions)(T *This, void *id, ULONG flags, void *regions, ULONG regionscount, ULONG *regionsavail); \
    HRESULT (DUMPWRIGHT_CALL *GetSymbolEntryBySymbolEntry)(T *This, void *fromid, ULONG flags, void *result); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceEntriesByOffset)(T *This, ULONG64 offset, ULONG flags, void *entries, ULONG entriescount, ULONG *entriesavail); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceEntriesByLine)(T *This, ULONG line, PCSTR file, ULONG flags, void *entries, ULONG entriescount, ULONG *entriesavail); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceEntriesByLineWide)(T *This, ULONG line, PCWSTR file, ULONG flags, void *entries, ULONG entriescount, ULONG *entriesavail); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceEntryString)(T *This, void *entry, ULONG which, PSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceEntryStringWide)(T *This, void *entry, ULONG which, PWSTR buffer, ULONG buffersize, ULONG *stringsize); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceEntryOffsetRegions)(T *This, void *entry, ULONG flags, void *regions, ULONG regionscount, ULONG *regionsavail); \
    HRESULT (DUMPWRIGHT_CALL *GetSourceEntryBySourceEntry)(T *This, void *fromentry, ULONG flags, void *toentry);

typedef struct IDebugSymbols3 IDebugSymbols3;
typedef struct IDebugSymbols3Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSymbols3)
    DUMPWRIGHT_IDebugSymbols_METHODS(IDebugSymbols3)
    DUMPWRIGHT_IDebugSymbols2_METHODS(IDebugSymbols3)
    DUMPWRIGHT_IDebugSymbols3_METHODS(IDebugSymbols3)
} IDebugSymbols3Vtbl;
struct IDebugSymbols3 {
    const IDebugSymbols3Vtbl *lpVtbl;
};
static const GUID IID_IDebugSymbols3 =
    {0xf02fbecc, 0x50ac, 0x4f36, {0x9a, 0xd9, 0xc9, 0x75, 0xe8, 0xf3, 0x2f, 0xf8}};

#define DUMPWRIGHT_IDebugSymbols4_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetScopeEx)(T *This, ULONG64 *instructionoffset, void *scopeframe, void *scopecontext, ULONG scopecontextsize); \
    HRESULT (DUMPWRIGHT_CALL *SetScopeEx)(T *This, ULONG64 instructionoffset, void *scopeframe, void *scopecontext, ULONG scopecontextsize); \
    HRESULT (DUMPWRIGHT_CALL *GetNameByInlineContext)(T *This, ULONG64 offset, ULONG inlinecontext, PSTR namebuffer, ULONG namebuffersize, ULONG *namesize, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetNameByInlineContextWide)(T *This, ULONG64 offset, ULONG inlinecontext, PWSTR namebuffer, ULONG namebuffersize, ULONG *namesize, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetLineByInlineContext)(T *This, ULONG64 offset, ULONG inlinecontext, ULONG *line, PSTR filebuffer, ULONG filebuffersize, ULONG *filesize, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *GetLineByInlineContextWide)(T *This, ULONG64 offset, ULONG inlinecontext, ULONG *line, PWSTR filebuffer, ULONG filebuffersize, ULONG *filesize, ULONG64 *displacement); \
    HRESULT (DUMPWRIGHT_CALL *OutputSymbolByInlineContext)(T *This, ULONG outputcontrol, ULONG flags, ULONG64 offset, ULONG inlinecontext);

typedef struct IDebugSymbols4 IDebugSymbols4;
typedef struct IDebugSymbols4Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSymbols4)
    DUMPWRIGHT_IDebugSymbols_METHODS(IDebugSymbols4)
    DUMPWRIGHT_IDebugSymbols2_METHODS(IDebugSymbols4)
    DUMPWRIGHT_IDebugSymbols3_METHODS(IDebugSymbols4)
    DUMPWRIGHT_IDebugSymbols4_METHODS(IDebugSymbols4)
} IDebugSymbols4Vtbl;
struct IDebugSymbols4 {
    const IDebugSymbols4Vtbl *lpVtbl;
};
static const GUID IID_IDebugSymbols4 =
    {0xe391bbd8, 0x9d8c, 0x4418, {0x84, 0x0b, 0xc0, 0x06, 0x59, 0x2a, 0x17, 0x52}};

#define DUMPWRIGHT_IDebugSymbols5_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentScopeFrameIndexEx)(T *This, ULONG flags, ULONG *result); \
    HRESULT (DUMPWRIGHT_CALL *SetScopeFrameByIndexEx)(T *This, ULONG flags, ULONG index);

typedef struct IDebugSymbols5 IDebugSymbols5;
typedef struct IDebugSymbols5Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSymbols5)
    DUMPWRIGHT_IDebugSymbols_METHODS(IDebugSymbols5)
    DUMPWRIGHT_IDebugSymbols2_METHODS(IDebugSymbols5)
    DUMPWRIGHT_IDebugSymbols3_METHODS(IDebugSymbols5)
    DUMPWRIGHT_IDebugSymbols4_METHODS(IDebugSymbols5)
    DUMPWRIGHT_IDebugSymbols5_METHODS(IDebugSymbols5)
} IDebugSymbols5Vtbl;
struct IDebugSymbols5 {
    const IDebugSymbols5Vtbl *lpVtbl;
};
static const GUID IID_IDebugSymbols5 =
    {0xc65fa83e, 0x1e69, 0x475e, {0x8e, 0x0e, 0xb5, 0xd7, 0x9e, 0x9c, 0xc1, 0x7e}};

#define DUMPWRIGHT_IDebugSystemObjects_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetEventThread)(T *This, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetEventProcess)(T *This, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentThreadId)(T *This, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *SetCurrentThreadId)(T *This, ULONG id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessId)(T *This, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *SetCurrentProcessId)(T *This, ULONG id); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberThreads)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetTotalNumberThreads)(T *This, ULONG *total, ULONG *largest_process); \
    HRESULT (DUMPWRIGHT_CALL *GetThreadIdsByIndex)(T *This, ULONG start, ULONG count, ULONG *ids, ULONG *sys_ids); \
    HRESULT (DUMPWRIGHT_CALL *GetThreadIdByProcessor)(T *This, ULONG processor, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentThreadDataOffset)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetThreadIdByDataOffset)(T *This, ULONG64 offset, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentThreadTeb)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetThreadIdByTeb)(T *This, ULONG64 offset, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentThreadSystemId)(T *This, ULONG *sys_id); \
    HRESULT (DUMPWRIGHT_CALL *GetThreadIdBySystemId)(T *This, ULONG sys_id, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentThreadHandle)(T *This, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *GetThreadIdByHandle)(T *This, ULONG64 handle, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberProcesses)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessIdsByIndex)(T *This, ULONG start, ULONG count, ULONG *ids, ULONG *sys_ids); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessDataOffset)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessIdByDataOffset)(T *This, ULONG64 offset, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessPeb)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessIdByPeb)(T *This, ULONG64 offset, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessSystemId)(T *This, ULONG *sys_id); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessIdBySystemId)(T *This, ULONG sys_id, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessHandle)(T *This, ULONG64 *handle); \
    HRESULT (DUMPWRIGHT_CALL *GetProcessIdByHandle)(T *This, ULONG64 handle, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessExecutableName)(T *This, PSTR buffer, ULONG buffer_size, ULONG *exe_size);

typedef struct IDebugSystemObjects IDebugSystemObjects;
typedef struct IDebugSystemObjectsVtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSystemObjects)
    DUMPWRIGHT_IDebugSystemObjects_METHODS(IDebugSystemObjects)
} IDebugSystemObjectsVtbl;
struct IDebugSystemObjects {
    const IDebugSystemObjectsVtbl *lpVtbl;
};
static const GUID IID_IDebugSystemObjects =
    {0x6b86fe2c, 0x2c4f, 0x4f0c, {0x9d, 0xa2, 0x17, 0x43, 0x11, 0xac, 0xc3, 0x27}};

#define DUMPWRIGHT_IDebugSystemObjects2_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessUpTime)(T *This, ULONG *up_time); \
    HRESULT (DUMPWRIGHT_CALL *GetImplicitThreadDataOffset)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *SetImplicitThreadDataOffset)(T *This, ULONG64 offset); \
    HRESULT (DUMPWRIGHT_CALL *GetImplicitProcessDataOffset)(T *This, ULONG64 *offset); \
    HRESULT (DUMPWRIGHT_CALL *SetImplicitProcessDataOffset)(T *This, ULONG64 offset);

typedef struct IDebugSystemObjects2 IDebugSystemObjects2;
typedef struct IDebugSystemObjects2Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSystemObjects2)
    DUMPWRIGHT_IDebugSystemObjects_METHODS(IDebugSystemObjects2)
    DUMPWRIGHT_IDebugSystemObjects2_METHODS(IDebugSystemObjects2)
} IDebugSystemObjects2Vtbl;
struct IDebugSystemObjects2 {
    const IDebugSystemObjects2Vtbl *lpVtbl;
};
static const GUID IID_IDebugSystemObjects2 =
    {0x0ae9f5ff, 0x1852, 0x4679, {0xb0, 0x55, 0x49, 0x4b, 0xee, 0x64, 0x07, 0xee}};

#define DUMPWRIGHT_IDebugSystemObjects3_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetEventSystem)(T *This, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentSystemId)(T *This, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *SetCurrentSystemId)(T *This, ULONG id); \
    HRESULT (DUMPWRIGHT_CALL *GetNumberSystems)(T *This, ULONG *number); \
    HRESULT (DUMPWRIGHT_CALL *GetSystemIdsByIndex)(T *This, ULONG start, ULONG count, ULONG *ids); \
    HRESULT (DUMPWRIGHT_CALL *GetTotalNumberThreadsAndProcesses)(T *This, ULONG *total_threads, ULONG *total_processes, ULONG *largest_process_threads, ULONG *largest_system_threads, ULONG *largest_system_processes); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentSystemServer)(T *This, ULONG64 *server); \
    HRESULT (DUMPWRIGHT_CALL *GetSystemByServer)(T *This, ULONG64 server, ULONG *id); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentSystemServerName)(T *This, PSTR buffer, ULONG buffer_size, ULONG *name_size);

typedef struct IDebugSystemObjects3 IDebugSystemObjects3;
typedef struct IDebugSystemObjects3Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSystemObjects3)
    DUMPWRIGHT_IDebugSystemObjects_METHODS(IDebugSystemObjects3)
    DUMPWRIGHT_IDebugSystemObjects2_METHODS(IDebugSystemObjects3)
    DUMPWRIGHT_IDebugSystemObjects3_METHODS(IDebugSystemObjects3)
} IDebugSystemObjects3Vtbl;
struct IDebugSystemObjects3 {
    const IDebugSystemObjects3Vtbl *lpVtbl;
};
static const GUID IID_IDebugSystemObjects3 =
    {0xe9676e2f, 0xe286, 0x4ea3, {0xb0, 0xf9, 0xdf, 0xe5, 0xd9, 0xfc, 0x33, 0x0e}};

#define DUMPWRIGHT_IDebugSystemObjects4_METHODS(T) \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentProcessExecutableNameWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *exe_size); \
    HRESULT (DUMPWRIGHT_CALL *GetCurrentSystemServerNameWide)(T *This, PWSTR buffer, ULONG buffer_size, ULONG *name_size);

typedef struct IDebugSystemObjects4 IDebugSystemObjects4;
typedef struct IDebugSystemObjects4Vtbl {
    DUMPWRIGHT_UNKNOWN(IDebugSystemObjects4)
    DUMPWRIGHT_IDebugSystemObjects_METHODS(IDebugSystemObjects4)
    DUMPWRIGHT_IDebugSystemObjects2_METHODS(IDebugSystemObjects4)
    DUMPWRIGHT_IDebugSystemObjects3_METHODS(IDebugSystemObjects4)
    DUMPWRIGHT_IDebugSystemObjects4_METHODS(IDebugSystemObjects4)
} IDebugSystemObjects4Vtbl;
struct IDebugSystemObjects4 {
    const IDebugSystemObjects4Vtbl *lpVtbl;
};
static const GUID IID_IDebugSystemObjects4 =
    {0x489468e6, 0x7d0f, 0x4af5, {0x87, 0xab, 0x25, 0x20, 0x74, 0x54, 0xd5, 0x53}};

HRESULT DUMPWRIGHT_CALL DebugCreate(const GUID *iid, void **object);
HRESULT DUMPWRIGHT_CALL DebugCreateEx(const GUID *iid, ULONG options, void **object);
HRESULT DUMPWRIGHT_CALL DebugConnect(PCSTR remote_options, const GUID *iid, void **object);
HRESULT DUMPWRIGHT_CALL DebugConnectWide(PCWSTR remote_options, const GUID *iid, void **object);

#ifdef __cplusplus
}
#endif

#endif
