//! `IDebugSystemObjects` to `IDebugSystemObjects4`: processes and threads.
//! Each interface is the one before it and the methods after its line.

use crate::abi::{Out, StrBuf, WideBuf};
use crate::methods::objects;

vtable! {
    /// Methods of `IDebugSystemObjects` and its successors.
    SystemObjects, 4,
    interface IDebugSystemObjects = 0x6b86fe2c_2c4f_4f0c_9da2_174311acc327 {
        fn GetEventThread(id: Out<u32>) => objects::current_thread;
        fn GetEventProcess(id: Out<u32>) => objects::current_process;
        fn GetCurrentThreadId(id: Out<u32>) => objects::current_thread;
        fn SetCurrentThreadId(id: u32) => objects::set_current_thread;
        fn GetCurrentProcessId(id: Out<u32>) => objects::current_process;
        fn SetCurrentProcessId(id: u32) => objects::set_current_process;
        fn GetNumberThreads(number: Out<u32>) => objects::number_of_threads;
        fn GetTotalNumberThreads(total: Out<u32>, largest_process: Out<u32>) => objects::total_threads;
        fn GetThreadIdsByIndex(start: u32, count: u32, ids: Out<u32>, sys_ids: Out<u32>) => objects::thread_ids;
        fn GetThreadIdByProcessor(processor: u32, id: Out<u32>) => objects::thread_by_processor;
        fn GetCurrentThreadDataOffset(offset: Out<u64>) => objects::thread_data;
        fn GetThreadIdByDataOffset(offset: u64, id: Out<u32>) => objects::thread_by_data;
        fn GetCurrentThreadTeb(offset: Out<u64>) => objects::thread_pointer;
        fn GetThreadIdByTeb(offset: u64, id: Out<u32>) => objects::thread_by_pointer;
        fn GetCurrentThreadSystemId(sys_id: Out<u32>) => objects::thread_system_id;
        fn GetThreadIdBySystemId(sys_id: u32, id: Out<u32>) => objects::thread_by_system_id;
        fn GetCurrentThreadHandle(handle: Out<u64>);
        fn GetThreadIdByHandle(handle: u64, id: Out<u32>);
        fn GetNumberProcesses(number: Out<u32>) => objects::number_of_processes;
        fn GetProcessIdsByIndex(start: u32, count: u32, ids: Out<u32>, sys_ids: Out<u32>) => objects::process_ids;
        fn GetCurrentProcessDataOffset(offset: Out<u64>) => objects::process_data;
        fn GetProcessIdByDataOffset(offset: u64, id: Out<u32>);
        fn GetCurrentProcessPeb(offset: Out<u64>) => objects::peb;
        fn GetProcessIdByPeb(offset: u64, id: Out<u32>);
        fn GetCurrentProcessSystemId(sys_id: Out<u32>) => objects::process_system_id;
        fn GetProcessIdBySystemId(sys_id: u32, id: Out<u32>) => objects::process_by_system_id;
        fn GetCurrentProcessHandle(handle: Out<u64>);
        fn GetProcessIdByHandle(handle: u64, id: Out<u32>);
        fn GetCurrentProcessExecutableName(buffer: StrBuf, buffer_size: u32, exe_size: Out<u32>) => objects::executable;
    }
    interface IDebugSystemObjects2 = 0x0ae9f5ff_1852_4679_b055_494bee6407ee {
        fn GetCurrentProcessUpTime(up_time: Out<u32>);
        fn GetImplicitThreadDataOffset(offset: Out<u64>);
        fn SetImplicitThreadDataOffset(offset: u64);
        fn GetImplicitProcessDataOffset(offset: Out<u64>);
        fn SetImplicitProcessDataOffset(offset: u64);
    }
    interface IDebugSystemObjects3 = 0xe9676e2f_e286_4ea3_b0f9_dfe5d9fc330e {
        fn GetEventSystem(id: Out<u32>) => objects::system;
        fn GetCurrentSystemId(id: Out<u32>) => objects::system;
        fn SetCurrentSystemId(id: u32);
        fn GetNumberSystems(number: Out<u32>) => objects::number_of_systems;
        fn GetSystemIdsByIndex(start: u32, count: u32, ids: Out<u32>);
        fn GetTotalNumberThreadsAndProcesses(total_threads: Out<u32>, total_processes: Out<u32>, largest_process_threads: Out<u32>, largest_system_threads: Out<u32>, largest_system_processes: Out<u32>) => objects::totals;
        fn GetCurrentSystemServer(server: Out<u64>);
        fn GetSystemByServer(server: u64, id: Out<u32>);
        fn GetCurrentSystemServerName(buffer: StrBuf, buffer_size: u32, name_size: Out<u32>);
    }
    interface IDebugSystemObjects4 = 0x489468e6_7d0f_4af5_87ab_25207454d553 {
        fn GetCurrentProcessExecutableNameWide(buffer: WideBuf, buffer_size: u32, exe_size: Out<u32>) => objects::executable;
        fn GetCurrentSystemServerNameWide(buffer: WideBuf, buffer_size: u32, name_size: Out<u32>);
    }
}
