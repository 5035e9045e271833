//! `IDebugClient` to `IDebugClient8`: the session, its targets and its dumps.
//! Each interface is the one before it and the methods after its line.

use crate::abi::{Bytes, Out, Raw, Str, StrBuf, Wide, WideBuf};
use crate::methods::{attach, callbacks, create, dumps, identity, processes};

vtable! {
    /// Methods of `IDebugClient` and its successors.
    Client, 0,
    interface IDebugClient = 0x27fe5639_8407_4f47_8364_ee118fb08ac8 {
        fn AttachKernel(flags: u32, connect_options: Str) => attach::attach_kernel;
        fn GetKernelConnectionOptions(buffer: StrBuf, buffer_size: u32, options_size: Out<u32>);
        fn SetKernelConnectionOptions(options: Str);
        fn StartProcessServer(flags: u32, options: Str, reserved: Raw);
        fn ConnectProcessServer(remote_options: Str, server: Out<u64>);
        fn DisconnectProcessServer(server: u64);
        fn GetRunningProcessSystemIds(server: u64, ids: Out<u32>, count: u32, actual_count: Out<u32>) => processes::system_ids;
        fn GetRunningProcessSystemIdByExecutableName(server: u64, exe_name: Str, flags: u32, id: Out<u32>) => processes::system_id_by_name;
        fn GetRunningProcessDescription(server: u64, system_id: u32, flags: u32, exe_name: StrBuf, exe_name_size: u32, actual_exe_name_size: Out<u32>, description: StrBuf, description_size: u32, actual_description_size: Out<u32>) => processes::description;
        fn AttachProcess(server: u64, process_id: u32, attach_flags: u32) => attach::attach;
        fn CreateProcess(server: u64, command_line: Str, create_flags: u32) => create::create;
        fn CreateProcessAndAttach(server: u64, command_line: Str, create_flags: u32, process_id: u32, attach_flags: u32) => create::create_and_attach;
        fn GetProcessOptions(options: Out<u32>) => attach::options;
        fn AddProcessOptions(options: u32) => attach::add_options;
        fn RemoveProcessOptions(options: u32) => attach::remove_options;
        fn SetProcessOptions(options: u32) => attach::set_options;
        fn OpenDumpFile(dump_file: Str) => dumps::open;
        fn WriteDumpFile(dump_file: Str, qualifier: u32) => dumps::write;
        fn ConnectSession(flags: u32, history_limit: u32);
        fn StartServer(options: Str);
        fn OutputServers(output_control: u32, machine: Str, flags: u32);
        fn TerminateProcesses() => attach::terminate_all;
        fn DetachProcesses() => attach::detach_all;
        fn EndSession(flags: u32) => attach::end_session;
        fn GetExitCode(code: Out<u32>) => attach::exit_code;
        fn DispatchCallbacks(timeout: u32) => identity::dispatch_callbacks;
        fn ExitDispatch(client: Raw) => identity::exit_dispatch;
        fn CreateClient(client: Out<Raw>) => identity::create_client;
        fn GetInputCallbacks(callbacks: Out<Raw>) => callbacks::input;
        fn SetInputCallbacks(callbacks: Raw) => callbacks::set_input;
        fn GetOutputCallbacks(callbacks: Out<Raw>) => callbacks::output;
        fn SetOutputCallbacks(callbacks: Raw) => callbacks::set_output;
        fn GetOutputMask(mask: Out<u32>) => callbacks::mask;
        fn SetOutputMask(mask: u32) => callbacks::set_mask;
        fn GetOtherOutputMask(client: Raw, mask: Out<u32>);
        fn SetOtherOutputMask(client: Raw, mask: u32);
        fn GetOutputWidth(columns: Out<u32>) => callbacks::width;
        fn SetOutputWidth(columns: u32) => callbacks::set_width;
        fn GetOutputLinePrefix(buffer: StrBuf, buffer_size: u32, prefix_size: Out<u32>) => callbacks::line_prefix;
        fn SetOutputLinePrefix(prefix: Str) => callbacks::set_line_prefix;
        fn GetIdentity(buffer: StrBuf, buffer_size: u32, identity_size: Out<u32>) => identity::identity;
        fn OutputIdentity(output_control: u32, flags: u32, format: Str) => identity::output_identity;
        fn GetEventCallbacks(callbacks: Out<Raw>) => callbacks::event;
        fn SetEventCallbacks(callbacks: Raw) => callbacks::set_event;
        fn FlushCallbacks() => callbacks::flush;
    }
    interface IDebugClient2 = 0xedbed635_372e_4dab_bbfe_ed0d2f63be81 {
        fn WriteDumpFile2(dump_file: Str, qualifier: u32, format_flags: u32, comment: Str) => dumps::write2;
        fn AddDumpInformationFile(info_file: Str, kind: u32) => dumps::add_information;
        fn EndProcessServer(server: u64);
        fn WaitForProcessServerEnd(timeout: u32);
        fn IsKernelDebuggerEnabled() => identity::kernel_debugger;
        fn TerminateCurrentProcess() => attach::terminate_current;
        fn DetachCurrentProcess() => attach::detach_current;
        fn AbandonCurrentProcess() => attach::detach_current;
    }
    interface IDebugClient3 = 0xdd492d7f_71b8_4ad6_a8dc_1c887479ff91 {
        fn GetRunningProcessSystemIdByExecutableNameWide(server: u64, exe_name: Wide, flags: u32, id: Out<u32>) => processes::system_id_by_name;
        fn GetRunningProcessDescriptionWide(server: u64, system_id: u32, flags: u32, exe_name: WideBuf, exe_name_size: u32, actual_exe_name_size: Out<u32>, description: WideBuf, description_size: u32, actual_description_size: Out<u32>) => processes::description;
        fn CreateProcessWide(server: u64, command_line: Wide, create_flags: u32) => create::create;
        fn CreateProcessAndAttachWide(server: u64, command_line: Wide, create_flags: u32, process_id: u32, attach_flags: u32) => create::create_and_attach;
    }
    interface IDebugClient4 = 0xca83c3de_5089_4cf8_93c8_d892387f2a5e {
        fn OpenDumpFileWide(file_name: Wide, file_handle: u64) => dumps::open_handle;
        fn WriteDumpFileWide(file_name: Wide, file_handle: u64, qualifier: u32, format_flags: u32, comment: Wide) => dumps::write_wide;
        fn AddDumpInformationFileWide(file_name: Wide, file_handle: u64, kind: u32) => dumps::add_information_handle;
        fn GetNumberDumpFiles(number: Out<u32>) => dumps::number;
        fn GetDumpFile(index: u32, buffer: StrBuf, buffer_size: u32, name_size: Out<u32>, handle: Out<u64>, kind: Out<u32>) => dumps::file;
        fn GetDumpFileWide(index: u32, buffer: WideBuf, buffer_size: u32, name_size: Out<u32>, handle: Out<u64>, kind: Out<u32>) => dumps::file;
    }
    interface IDebugClient5 = 0xe3acb9d7_7ec2_4f0c_a0da_e81e0cbbe628 {
        fn AttachKernelWide(flags: u32, connect_options: Wide) => attach::attach_kernel;
        fn GetKernelConnectionOptionsWide(buffer: WideBuf, buffer_size: u32, options_size: Out<u32>);
        fn SetKernelConnectionOptionsWide(options: Wide);
        fn StartProcessServerWide(flags: u32, options: Wide, reserved: Raw);
        fn ConnectProcessServerWide(remote_options: Wide, server: Out<u64>);
        fn StartServerWide(options: Wide);
        fn OutputServersWide(output_control: u32, machine: Wide, flags: u32);
        fn GetOutputCallbacksWide(callbacks: Out<Raw>) => callbacks::output_wide;
        fn SetOutputCallbacksWide(callbacks: Raw) => callbacks::set_output_wide;
        fn GetOutputLinePrefixWide(buffer: WideBuf, buffer_size: u32, prefix_size: Out<u32>) => callbacks::line_prefix;
        fn SetOutputLinePrefixWide(prefix: Wide) => callbacks::set_line_prefix;
        fn GetIdentityWide(buffer: WideBuf, buffer_size: u32, identity_size: Out<u32>) => identity::identity;
        fn OutputIdentityWide(output_control: u32, flags: u32, format: Wide) => identity::output_identity;
        fn GetEventCallbacksWide(callbacks: Out<Raw>) => callbacks::event_wide;
        fn SetEventCallbacksWide(callbacks: Raw) => callbacks::set_event_wide;
        fn CreateProcess2(server: u64, command_line: Str, options: Bytes, options_size: u32, directory: Str, environment: Str) => create::create2;
        fn CreateProcess2Wide(server: u64, command_line: Wide, options: Bytes, options_size: u32, directory: Wide, environment: Wide) => create::create2;
        fn CreateProcessAndAttach2(server: u64, command_line: Str, options: Bytes, options_size: u32, directory: Str, environment: Str, process_id: u32, attach_flags: u32) => create::create_and_attach2;
        fn CreateProcessAndAttach2Wide(server: u64, command_line: Wide, options: Bytes, options_size: u32, directory: Wide, environment: Wide, process_id: u32, attach_flags: u32) => create::create_and_attach2;
        fn PushOutputLinePrefix(newprefix: Str, result: Out<u64>);
        fn PushOutputLinePrefixWide(newprefix: Wide, result: Out<u64>);
        fn PopOutputLinePrefix(handle: u64);
        fn GetNumberInputCallbacks(result: Out<u32>) => callbacks::number_input;
        fn GetNumberOutputCallbacks(result: Out<u32>) => callbacks::number_output;
        fn GetNumberEventCallbacks(eventflags: u32, result: Out<u32>) => callbacks::number_event;
        fn GetQuitLockString(buffer: StrBuf, buffersize: u32, stringsize: Out<u32>);
        fn SetQuitLockString(string: Str);
        fn GetQuitLockStringWide(buffer: WideBuf, buffersize: u32, stringsize: Out<u32>);
        fn SetQuitLockStringWide(string: Wide);
    }
    interface IDebugClient6 = 0xfd28b4c5_c498_4686_a28e_62cad2154eb3 {
        fn SetEventContextCallbacks(callbacks: Raw);
    }
    interface IDebugClient7 = 0x13586be3_542e_481e_b1f2_8497ba74f9a9 {
        fn SetClientContext(context: Raw, contextsize: u32);
    }
    interface IDebugClient8 = 0xcec43add_6375_469e_83d5_414e4033c19a {
        fn OpenDumpFileWide2(filename: Wide, filehandle: u64, alternatearch: u32) => dumps::open_handle2;
    }
}
