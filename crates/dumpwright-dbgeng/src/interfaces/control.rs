//! `IDebugControl` to `IDebugControl7`: what a dumping client needs of it.
//! Each interface is the one before it and the methods after its line.

use crate::abi::{Buffer, Guid, In, Out, Raw, Str, StrBuf, Wide, WideBuf};
use crate::methods::{control, events, execute, last_event};

vtable! {
    /// Methods of `IDebugControl` and its successors.
    Control, 1,
    interface IDebugControl = 0x5182e668_105e_416e_ad92_24ef800424ba {
        fn GetInterrupt() => control::interrupt;
        fn SetInterrupt(flags: u32) => control::set_interrupt;
        fn GetInterruptTimeout(seconds: Out<u32>) => control::interrupt_timeout;
        fn SetInterruptTimeout(seconds: u32) => control::set_interrupt_timeout;
        fn GetLogFile(buffer: StrBuf, buffer_size: u32, file_size: Out<u32>, append: Out<i32>);
        fn OpenLogFile(file: Str, append: i32);
        fn CloseLogFile();
        fn GetLogMask(mask: Out<u32>);
        fn SetLogMask(mask: u32);
        fn Input(buffer: StrBuf, buffer_size: u32, input_size: Out<u32>);
        fn ReturnInput(buffer: Str);
        fn Output(mask: u32, text: Str);
        fn OutputVaList(mask: u32, format: Str, args: Raw);
        fn ControlledOutput(output_control: u32, mask: u32, format: Str);
        fn ControlledOutputVaList(output_control: u32, mask: u32, format: Str, args: Raw);
        fn OutputPrompt(output_control: u32, format: Str);
        fn OutputPromptVaList(output_control: u32, format: Str, args: Raw);
        fn GetPromptText(buffer: StrBuf, buffer_size: u32, text_size: Out<u32>);
        fn OutputCurrentState(output_control: u32, flags: u32);
        fn OutputVersionInformation(output_control: u32);
        fn GetNotifyEventHandle(handle: Out<u64>);
        fn SetNotifyEventHandle(handle: u64);
        fn Assemble(offset: u64, instr: Str, end_offset: Out<u64>);
        fn Disassemble(offset: u64, flags: u32, buffer: StrBuf, buffer_size: u32, disassembly_size: Out<u32>, end_offset: Out<u64>);
        fn GetDisassembleEffectiveOffset(offset: Out<u64>);
        fn OutputDisassembly(output_control: u32, offset: u64, flags: u32, end_offset: Out<u64>);
        fn OutputDisassemblyLines(output_control: u32, previous_lines: u32, total_lines: u32, offset: u64, flags: u32, offset_line: Out<u32>, start_offset: Out<u64>, end_offset: Out<u64>, line_offsets: Out<u64>);
        fn GetNearInstruction(offset: u64, delta: i32, near_offset: Out<u64>);
        fn GetStackTrace(frame_offset: u64, stack_offset: u64, instruction_offset: u64, frames: Raw, frames_size: u32, frames_filled: Out<u32>);
        fn GetReturnOffset(offset: Out<u64>);
        fn OutputStackTrace(output_control: u32, frames: Raw, frames_size: u32, flags: u32);
        fn GetDebuggeeType(debuggee_class: Out<u32>, qualifier: Out<u32>) => control::debuggee_type;
        fn GetActualProcessorType(kind: Out<u32>) => control::processor_type;
        fn GetExecutingProcessorType(kind: Out<u32>) => control::processor_type;
        fn GetNumberPossibleExecutingProcessorTypes(number: Out<u32>);
        fn GetPossibleExecutingProcessorTypes(start: u32, count: u32, types: Out<u32>);
        fn GetNumberProcessors(number: Out<u32>) => control::processors;
        fn GetSystemVersion(platform_id: Out<u32>, major: Out<u32>, minor: Out<u32>, service_pack_string: StrBuf, service_pack_string_size: u32, service_pack_string_used: Out<u32>, service_pack_number: Out<u32>, build_string: StrBuf, build_string_size: u32, build_string_used: Out<u32>);
        fn GetPageSize(size: Out<u32>) => control::page_size;
        fn IsPointer64Bit() => control::pointer_64_bit;
        fn ReadBugCheckData(code: Out<u32>, arg1: Out<u64>, arg2: Out<u64>, arg3: Out<u64>, arg4: Out<u64>) => control::bug_check;
        fn GetNumberSupportedProcessorTypes(number: Out<u32>);
        fn GetSupportedProcessorTypes(start: u32, count: u32, types: Out<u32>);
        fn GetProcessorTypeNames(kind: u32, full_name_buffer: StrBuf, full_name_buffer_size: u32, full_name_size: Out<u32>, abbrev_name_buffer: StrBuf, abbrev_name_buffer_size: u32, abbrev_name_size: Out<u32>);
        fn GetEffectiveProcessorType(kind: Out<u32>) => control::processor_type;
        fn SetEffectiveProcessorType(kind: u32);
        fn GetExecutionStatus(status: Out<u32>) => events::execution_status;
        fn SetExecutionStatus(status: u32) => events::set_execution_status;
        fn GetCodeLevel(level: Out<u32>);
        fn SetCodeLevel(level: u32);
        fn GetEngineOptions(options: Out<u32>) => control::engine_options;
        fn AddEngineOptions(options: u32) => control::add_engine_options;
        fn RemoveEngineOptions(options: u32) => control::remove_engine_options;
        fn SetEngineOptions(options: u32) => control::set_engine_options;
        fn GetSystemErrorControl(output_level: Out<u32>, break_level: Out<u32>);
        fn SetSystemErrorControl(output_level: u32, break_level: u32);
        fn GetTextMacro(slot: u32, buffer: StrBuf, buffer_size: u32, macro_size: Out<u32>);
        fn SetTextMacro(slot: u32, text_macro: Str);
        fn GetRadix(radix: Out<u32>);
        fn SetRadix(radix: u32);
        fn Evaluate(expression: Str, desired_type: u32, value: Raw, remainder_index: Out<u32>);
        fn CoerceValue(input: Raw, out_type: u32, out: Raw);
        fn CoerceValues(count: u32, input: Raw, out_types: In<u32>, out: Raw);
        fn Execute(output_control: u32, command: Str, flags: u32) => execute::execute;
        fn ExecuteCommandFile(output_control: u32, command_file: Str, flags: u32);
        fn GetNumberBreakpoints(number: Out<u32>);
        fn GetBreakpointByIndex(index: u32, bp: Out<Raw>);
        fn GetBreakpointById(id: u32, bp: Out<Raw>);
        fn GetBreakpointParameters(count: u32, ids: In<u32>, start: u32, params: Raw);
        fn AddBreakpoint(kind: u32, desired_id: u32, bp: Out<Raw>);
        fn RemoveBreakpoint(bp: Raw);
        fn AddExtension(path: Str, flags: u32, handle: Out<u64>);
        fn RemoveExtension(handle: u64);
        fn GetExtensionByPath(path: Str, handle: Out<u64>);
        fn CallExtension(handle: u64, function: Str, arguments: Str);
        fn GetExtensionFunction(handle: u64, func_name: Str, function: Raw);
        fn GetWindbgExtensionApis32(api: Raw);
        fn GetWindbgExtensionApis64(api: Raw);
        fn GetNumberEventFilters(specific_events: Out<u32>, specific_exceptions: Out<u32>, arbitrary_exceptions: Out<u32>);
        fn GetEventFilterText(index: u32, buffer: StrBuf, buffer_size: u32, text_size: Out<u32>);
        fn GetEventFilterCommand(index: u32, buffer: StrBuf, buffer_size: u32, command_size: Out<u32>);
        fn SetEventFilterCommand(index: u32, command: Str);
        fn GetSpecificFilterParameters(start: u32, count: u32, params: Raw);
        fn SetSpecificFilterParameters(start: u32, count: u32, params: Raw);
        fn GetSpecificFilterArgument(index: u32, buffer: StrBuf, buffer_size: u32, argument_size: Out<u32>);
        fn SetSpecificFilterArgument(index: u32, argument: Str);
        fn GetExceptionFilterParameters(count: u32, codes: In<u32>, start: u32, params: Raw);
        fn SetExceptionFilterParameters(count: u32, params: Raw);
        fn GetExceptionFilterSecondCommand(index: u32, buffer: StrBuf, buffer_size: u32, command_size: Out<u32>);
        fn SetExceptionFilterSecondCommand(index: u32, command: Str);
        fn WaitForEvent(flags: u32, timeout: u32) => events::wait_for_event;
        fn GetLastEventInformation(kind: Out<u32>, process_id: Out<u32>, thread_id: Out<u32>, extra_information: Buffer, extra_information_size: u32, extra_information_used: Out<u32>, description: StrBuf, description_size: u32, description_used: Out<u32>) => last_event::last;
    }
    interface IDebugControl2 = 0xd4366723_44df_4bed_8c7e_4c05424f4588 {
        fn GetCurrentTimeDate(time_date: Out<u32>) => control::time_date;
        fn GetCurrentSystemUpTime(up_time: Out<u32>) => control::up_time;
        fn GetDumpFormatFlags(format_flags: Out<u32>) => control::dump_format_flags;
        fn GetNumberTextReplacements(num_repl: Out<u32>);
        fn GetTextReplacement(src_text: Str, index: u32, src_buffer: StrBuf, src_buffer_size: u32, src_size: Out<u32>, dst_buffer: StrBuf, dst_buffer_size: u32, dst_size: Out<u32>);
        fn SetTextReplacement(src_text: Str, dst_text: Str);
        fn RemoveTextReplacements();
        fn OutputTextReplacements(output_control: u32, flags: u32);
    }
    interface IDebugControl3 = 0x7df74a86_b03f_407f_90ab_a20dadcead08 {
        fn GetAssemblyOptions(options: Out<u32>);
        fn AddAssemblyOptions(options: u32);
        fn RemoveAssemblyOptions(options: u32);
        fn SetAssemblyOptions(options: u32);
        fn GetExpressionSyntax(flags: Out<u32>);
        fn SetExpressionSyntax(flags: u32);
        fn SetExpressionSyntaxByName(abbrev_name: Str);
        fn GetNumberExpressionSyntaxes(number: Out<u32>);
        fn GetExpressionSyntaxNames(index: u32, full_name_buffer: StrBuf, full_name_buffer_size: u32, full_name_size: Out<u32>, abbrev_name_buffer: StrBuf, abbrev_name_buffer_size: u32, abbrev_name_size: Out<u32>);
        fn GetNumberEvents(events: Out<u32>) => control::number_of_events;
        fn GetEventIndexDescription(index: u32, which: u32, buffer: Str, buffer_size: u32, desc_size: Out<u32>);
        fn GetCurrentEventIndex(index: Out<u32>) => control::event_index;
        fn SetNextEventIndex(relation: u32, value: u32, next_index: Out<u32>);
    }
    interface IDebugControl4 = 0x94e60ce9_9b41_4b19_9fc0_6d9eb35272b3 {
        fn GetLogFileWide(buffer: WideBuf, buffer_size: u32, file_size: Out<u32>, append: Out<i32>);
        fn OpenLogFileWide(file: Wide, append: i32);
        fn InputWide(buffer: WideBuf, buffer_size: u32, input_size: Out<u32>);
        fn ReturnInputWide(buffer: Wide);
        fn OutputWide(mask: u32, text: Wide) => execute::output_wide;
        fn OutputVaListWide(mask: u32, format: Wide, args: Raw);
        fn ControlledOutputWide(output_control: u32, mask: u32, format: Wide);
        fn ControlledOutputVaListWide(output_control: u32, mask: u32, format: Wide, args: Raw);
        fn OutputPromptWide(output_control: u32, format: Wide);
        fn OutputPromptVaListWide(output_control: u32, format: Wide, args: Raw);
        fn GetPromptTextWide(buffer: WideBuf, buffer_size: u32, text_size: Out<u32>);
        fn AssembleWide(offset: u64, instr: Wide, end_offset: Out<u64>);
        fn DisassembleWide(offset: u64, flags: u32, buffer: WideBuf, buffer_size: u32, disassembly_size: Out<u32>, end_offset: Out<u64>);
        fn GetProcessorTypeNamesWide(kind: u32, full_name_buffer: WideBuf, full_name_buffer_size: u32, full_name_size: Out<u32>, abbrev_name_buffer: WideBuf, abbrev_name_buffer_size: u32, abbrev_name_size: Out<u32>);
        fn GetTextMacroWide(slot: u32, buffer: WideBuf, buffer_size: u32, macro_size: Out<u32>);
        fn SetTextMacroWide(slot: u32, text_macro: Wide);
        fn EvaluateWide(expression: Wide, desired_type: u32, value: Raw, remainder_index: Out<u32>);
        fn ExecuteWide(output_control: u32, command: Wide, flags: u32) => execute::execute;
        fn ExecuteCommandFileWide(output_control: u32, command_file: Wide, flags: u32);
        fn GetBreakpointByIndex2(index: u32, result: Out<Raw>);
        fn GetBreakpointById2(id: u32, result: Out<Raw>);
        fn AddBreakpoint2(kind: u32, desiredid: u32, result: Out<Raw>);
        fn RemoveBreakpoint2(bp: Raw);
        fn AddExtensionWide(path: Wide, flags: u32, handle: Out<u64>);
        fn GetExtensionByPathWide(path: Wide, handle: Out<u64>);
        fn CallExtensionWide(handle: u64, function: Wide, arguments: Wide);
        fn GetExtensionFunctionWide(handle: u64, func_name: Wide, function: Raw);
        fn GetEventFilterTextWide(index: u32, buffer: WideBuf, buffer_size: u32, text_size: Out<u32>);
        fn GetEventFilterCommandWide(index: u32, buffer: WideBuf, buffer_size: u32, command_size: Out<u32>);
        fn SetEventFilterCommandWide(index: u32, command: Wide);
        fn GetSpecificFilterArgumentWide(index: u32, buffer: WideBuf, buffer_size: u32, argument_size: Out<u32>);
        fn SetSpecificFilterArgumentWide(index: u32, argument: Wide);
        fn GetExceptionFilterSecondCommandWide(index: u32, buffer: WideBuf, buffer_size: u32, command_size: Out<u32>);
        fn SetExceptionFilterSecondCommandWide(index: u32, command: Wide);
        fn GetLastEventInformationWide(kind: Out<u32>, process_id: Out<u32>, thread_id: Out<u32>, extra_information: Buffer, extra_information_size: u32, extra_information_used: Out<u32>, description: WideBuf, description_size: u32, description_used: Out<u32>) => last_event::last;
        fn GetTextReplacementWide(src_text: Wide, index: u32, src_buffer: WideBuf, src_buffer_size: u32, src_size: Out<u32>, dst_buffer: WideBuf, dst_buffer_size: u32, dst_size: Out<u32>);
        fn SetTextReplacementWide(src_text: Wide, dst_text: Wide);
        fn SetExpressionSyntaxByNameWide(abbrev_name: Wide);
        fn GetExpressionSyntaxNamesWide(index: u32, full_name_buffer: WideBuf, full_name_buffer_size: u32, full_name_size: Out<u32>, abbrev_name_buffer: WideBuf, abbrev_name_buffer_size: u32, abbrev_name_size: Out<u32>);
        fn GetEventIndexDescriptionWide(index: u32, which: u32, buffer: Wide, buffer_size: u32, desc_size: Out<u32>);
        fn GetLogFile2(buffer: StrBuf, buffersize: u32, filesize: Out<u32>, flags: Out<u32>);
        fn OpenLogFile2(file: Str, flags: u32);
        fn GetLogFile2Wide(buffer: WideBuf, buffersize: u32, filesize: Out<u32>, flags: Out<u32>);
        fn OpenLogFile2Wide(file: Wide, flags: u32);
        fn GetSystemVersionValues(platformid: Out<u32>, win32major: Out<u32>, win32minor: Out<u32>, kdmajor: Out<u32>, kdminor: Out<u32>) => control::system_version_values;
        fn GetSystemVersionString(which: u32, buffer: StrBuf, buffersize: u32, stringsize: Out<u32>);
        fn GetSystemVersionStringWide(which: u32, buffer: WideBuf, buffersize: u32, stringsize: Out<u32>);
        fn GetContextStackTrace(startcontext: Raw, startcontextsize: u32, frames: Raw, framessize: u32, framecontexts: Raw, framecontextssize: u32, framecontextsentrysize: u32, framesfilled: Out<u32>);
        fn OutputContextStackTrace(outputcontrol: u32, frames: Raw, framessize: u32, framecontexts: Raw, framecontextssize: u32, framecontextsentrysize: u32, flags: u32);
        fn GetStoredEventInformation(kind: Out<u32>, processid: Out<u32>, threadid: Out<u32>, context: Buffer, contextsize: u32, contextused: Out<u32>, extrainformation: Buffer, extrainformationsize: u32, extrainformationused: Out<u32>) => last_event::stored;
        fn GetManagedStatus(flags: Out<u32>, whichstring: u32, string: StrBuf, stringsize: u32, stringneeded: Out<u32>);
        fn GetManagedStatusWide(flags: Out<u32>, whichstring: u32, string: WideBuf, stringsize: u32, stringneeded: Out<u32>);
        fn ResetManagedStatus(flags: u32);
    }
    interface IDebugControl5 = 0xb2ffe162_2412_429f_8d1d_5bf6dd824696 {
        fn GetStackTraceEx(frameoffset: u64, stackoffset: u64, instructionoffset: u64, frames: Raw, framessize: u32, framesfilled: Out<u32>);
        fn OutputStackTraceEx(outputcontrol: u32, frames: Raw, framessize: u32, flags: u32);
        fn GetContextStackTraceEx(startcontext: Raw, startcontextsize: u32, frames: Raw, framessize: u32, framecontexts: Raw, framecontextssize: u32, framecontextsentrysize: u32, framesfilled: Out<u32>);
        fn OutputContextStackTraceEx(outputcontrol: u32, frames: Raw, framessize: u32, framecontexts: Raw, framecontextssize: u32, framecontextsentrysize: u32, flags: u32);
        fn GetBreakpointByGuid(guid: In<Guid>, result: Out<Raw>);
    }
    interface IDebugControl6 = 0xbc0d583f_126d_43a1_9cc4_a860ab1d537b {
        fn GetExecutionStatusEx(result: Out<u32>);
        fn GetSynchronizationStatus(sendsattempted: Out<u32>, secondssincelastresponse: Out<u32>);
    }
    interface IDebugControl7 = 0xb86fb3b1_80d4_475b_aea3_cf06539cf63a {
        fn GetDebuggeeType2(flags: u32, debuggee_class: Out<u32>, qualifier: Out<u32>) => control::debuggee_type2;
    }
}
