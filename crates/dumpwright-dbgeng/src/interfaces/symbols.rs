//! `IDebugSymbols` to `IDebugSymbols5`: the modules of the target.
//! Each interface is the one before it and the methods after its line.

use crate::abi::{In, ModuleParameters, Out, Raw, Str, StrBuf, Wide, WideBuf};
use crate::methods::modules;

vtable! {
    /// Methods of `IDebugSymbols` and its successors.
    Symbols, 3,
    interface IDebugSymbols = 0x8c31e98c_983a_48a5_9016_6fe5d667a950 {
        fn GetSymbolOptions(options: Out<u32>);
        fn AddSymbolOptions(options: u32);
        fn RemoveSymbolOptions(options: u32);
        fn SetSymbolOptions(options: u32);
        fn GetNameByOffset(offset: u64, name_buffer: StrBuf, name_buffer_size: u32, name_size: Out<u32>, displacement: Out<u64>);
        fn GetOffsetByName(symbol: Str, offset: Out<u64>);
        fn GetNearNameByOffset(offset: u64, delta: i32, name_buffer: StrBuf, name_buffer_size: u32, name_size: Out<u32>, displacement: Out<u64>);
        fn GetLineByOffset(offset: u64, line: Out<u32>, file_buffer: StrBuf, file_buffer_size: u32, file_size: Out<u32>, displacement: Out<u64>);
        fn GetOffsetByLine(line: u32, file: Str, offset: Out<u64>);
        fn GetNumberModules(loaded: Out<u32>, unloaded: Out<u32>) => modules::number;
        fn GetModuleByIndex(index: u32, base: Out<u64>) => modules::by_index;
        fn GetModuleByModuleName(name: Str, start_index: u32, index: Out<u32>, base: Out<u64>) => modules::by_name;
        fn GetModuleByOffset(offset: u64, start_index: u32, index: Out<u32>, base: Out<u64>) => modules::by_offset;
        fn GetModuleNames(index: u32, base: u64, image_name_buffer: StrBuf, image_name_buffer_size: u32, image_name_size: Out<u32>, module_name_buffer: StrBuf, module_name_buffer_size: u32, module_name_size: Out<u32>, loaded_image_name_buffer: StrBuf, loaded_image_name_buffer_size: u32, loaded_image_name_size: Out<u32>) => modules::names;
        fn GetModuleParameters(count: u32, bases: In<u64>, start: u32, params: Out<ModuleParameters>) => modules::parameters;
        fn GetSymbolModule(symbol: Str, base: Out<u64>);
        fn GetTypeName(module: u64, type_id: u32, name_buffer: StrBuf, name_buffer_size: u32, name_size: Out<u32>);
        fn GetTypeId(module: u64, name: Str, type_id: Out<u32>);
        fn GetTypeSize(module: u64, type_id: u32, size: Out<u32>);
        fn GetFieldOffset(module: u64, type_id: u32, field: Str, offset: Out<u32>);
        fn GetSymbolTypeId(symbol: Str, type_id: Out<u32>, module: Out<u64>);
        fn GetOffsetTypeId(offset: u64, type_id: Out<u32>, module: Out<u64>);
        fn ReadTypedDataVirtual(offset: u64, module: u64, type_id: u32, buffer: Raw, buffer_size: u32, bytes_read: Out<u32>);
        fn WriteTypedDataVirtual(offset: u64, module: u64, type_id: u32, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn OutputTypedDataVirtual(output_control: u32, offset: u64, module: u64, type_id: u32, flags: u32);
        fn ReadTypedDataPhysical(offset: u64, module: u64, type_id: u32, buffer: Raw, buffer_size: u32, bytes_read: Out<u32>);
        fn WriteTypedDataPhysical(offset: u64, module: u64, type_id: u32, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn OutputTypedDataPhysical(output_control: u32, offset: u64, module: u64, type_id: u32, flags: u32);
        fn GetScope(instruction_offset: Out<u64>, scope_frame: Raw, scope_context: Raw, scope_context_size: u32);
        fn SetScope(instruction_offset: u64, scope_frame: Raw, scope_context: Raw, scope_context_size: u32);
        fn ResetScope();
        fn GetScopeSymbolGroup(flags: u32, update: Raw, symbols: Out<Raw>);
        fn CreateSymbolGroup(group: Out<Raw>);
        fn StartSymbolMatch(pattern: Str, handle: Out<u64>);
        fn GetNextSymbolMatch(handle: u64, buffer: StrBuf, buffer_size: u32, match_size: Out<u32>, offset: Out<u64>);
        fn EndSymbolMatch(handle: u64);
        fn Reload(module: Str);
        fn GetSymbolPath(buffer: StrBuf, buffer_size: u32, path_size: Out<u32>);
        fn SetSymbolPath(path: Str);
        fn AppendSymbolPath(addition: Str);
        fn GetImagePath(buffer: StrBuf, buffer_size: u32, path_size: Out<u32>);
        fn SetImagePath(path: Str);
        fn AppendImagePath(addition: Str);
        fn GetSourcePath(buffer: StrBuf, buffer_size: u32, path_size: Out<u32>);
        fn GetSourcePathElement(index: u32, buffer: StrBuf, buffer_size: u32, element_size: Out<u32>);
        fn SetSourcePath(path: Str);
        fn AppendSourcePath(addition: Str);
        fn FindSourceFile(start_element: u32, file: Str, flags: u32, found_element: Out<u32>, buffer: StrBuf, buffer_size: u32, found_size: Out<u32>);
        fn GetSourceFileLineOffsets(file: Str, buffer: Out<u64>, buffer_lines: u32, file_lines: Out<u32>);
    }
    interface IDebugSymbols2 = 0x3a707211_afdd_4495_ad4f_56fecdf8163f {
        fn GetModuleVersionInformation(index: u32, base: u64, item: Str, buffer: Raw, buffer_size: u32, ver_info_size: Out<u32>);
        fn GetModuleNameString(which: u32, index: u32, base: u64, buffer: StrBuf, buffer_size: u32, name_size: Out<u32>) => modules::name_string;
        fn GetConstantName(module: u64, type_id: u32, value: u64, name_buffer: StrBuf, name_buffer_size: u32, name_size: Out<u32>);
        fn GetFieldName(module: u64, type_id: u32, field_index: u32, name_buffer: StrBuf, name_buffer_size: u32, name_size: Out<u32>);
        fn GetTypeOptions(options: Out<u32>);
        fn AddTypeOptions(options: u32);
        fn RemoveTypeOptions(options: u32);
        fn SetTypeOptions(options: u32);
    }
    interface IDebugSymbols3 = 0xf02fbecc_50ac_4f36_9ad9_c975e8f32ff8 {
        fn GetNameByOffsetWide(offset: u64, name_buffer: WideBuf, name_buffer_size: u32, name_size: Out<u32>, displacement: Out<u64>);
        fn GetOffsetByNameWide(symbol: Wide, offset: Out<u64>);
        fn GetNearNameByOffsetWide(offset: u64, delta: i32, name_buffer: WideBuf, name_buffer_size: u32, name_size: Out<u32>, displacement: Out<u64>);
        fn GetLineByOffsetWide(offset: u64, line: Out<u32>, file_buffer: WideBuf, file_buffer_size: u32, file_size: Out<u32>, displacement: Out<u64>);
        fn GetOffsetByLineWide(line: u32, file: Wide, offset: Out<u64>);
        fn GetModuleByModuleNameWide(name: Wide, start_index: u32, index: Out<u32>, base: Out<u64>) => modules::by_name;
        fn GetSymbolModuleWide(symbol: Wide, base: Out<u64>);
        fn GetTypeNameWide(module: u64, type_id: u32, name_buffer: WideBuf, name_buffer_size: u32, name_size: Out<u32>);
        fn GetTypeIdWide(module: u64, name: Wide, type_id: Out<u32>);
        fn GetFieldOffsetWide(module: u64, type_id: u32, field: Wide, offset: Out<u32>);
        fn GetSymbolTypeIdWide(symbol: Wide, type_id: Out<u32>, module: Out<u64>);
        fn GetScopeSymbolGroup2(flags: u32, update: Raw, result: Out<Raw>);
        fn CreateSymbolGroup2(result: Out<Raw>);
        fn StartSymbolMatchWide(pattern: Wide, handle: Out<u64>);
        fn GetNextSymbolMatchWide(handle: u64, buffer: WideBuf, buffer_size: u32, match_size: Out<u32>, offset: Out<u64>);
        fn ReloadWide(module: Wide);
        fn GetSymbolPathWide(buffer: WideBuf, buffer_size: u32, path_size: Out<u32>);
        fn SetSymbolPathWide(path: Wide);
        fn AppendSymbolPathWide(addition: Wide);
        fn GetImagePathWide(buffer: WideBuf, buffer_size: u32, path_size: Out<u32>);
        fn SetImagePathWide(path: Wide);
        fn AppendImagePathWide(addition: Wide);
        fn GetSourcePathWide(buffer: WideBuf, buffer_size: u32, path_size: Out<u32>);
        fn GetSourcePathElementWide(index: u32, buffer: WideBuf, buffer_size: u32, element_size: Out<u32>);
        fn SetSourcePathWide(path: Wide);
        fn AppendSourcePathWide(addition: Wide);
        fn FindSourceFileWide(start_element: u32, file: Wide, flags: u32, found_element: Out<u32>, buffer: WideBuf, buffer_size: u32, found_size: Out<u32>);
        fn GetSourceFileLineOffsetsWide(file: Wide, buffer: Out<u64>, buffer_lines: u32, file_lines: Out<u32>);
        fn GetModuleVersionInformationWide(index: u32, base: u64, item: Wide, buffer: Raw, buffer_size: u32, ver_info_size: Out<u32>);
        fn GetModuleNameStringWide(which: u32, index: u32, base: u64, buffer: WideBuf, buffer_size: u32, name_size: Out<u32>) => modules::name_string;
        fn GetConstantNameWide(module: u64, type_id: u32, value: u64, name_buffer: WideBuf, name_buffer_size: u32, name_size: Out<u32>);
        fn GetFieldNameWide(module: u64, type_id: u32, field_index: u32, name_buffer: WideBuf, name_buffer_size: u32, name_size: Out<u32>);
        fn IsManagedModule(index: u32, base: u64);
        fn GetModuleByModuleName2(name: Str, startindex: u32, flags: u32, index: Out<u32>, base: Out<u64>) => modules::by_name2;
        fn GetModuleByModuleName2Wide(name: Wide, startindex: u32, flags: u32, index: Out<u32>, base: Out<u64>) => modules::by_name2;
        fn GetModuleByOffset2(offset: u64, startindex: u32, flags: u32, index: Out<u32>, base: Out<u64>) => modules::by_offset2;
        fn AddSyntheticModule(base: u64, size: u32, imagepath: Str, modulename: Str, flags: u32);
        fn AddSyntheticModuleWide(base: u64, size: u32, imagepath: Wide, modulename: Wide, flags: u32);
        fn RemoveSyntheticModule(base: u64);
        fn GetCurrentScopeFrameIndex(result: Out<u32>);
        fn SetScopeFrameByIndex(index: u32);
        fn SetScopeFromJitDebugInfo(outputcontrol: u32, infooffset: u64);
        fn SetScopeFromStoredEvent();
        fn OutputSymbolByOffset(outputcontrol: u32, flags: u32, offset: u64);
        fn GetFunctionEntryByOffset(offset: u64, flags: u32, buffer: Raw, buffersize: u32, bufferneeded: Out<u32>);
        fn GetFieldTypeAndOffset(module: u64, containertypeid: u32, field: Str, fieldtypeid: Out<u32>, offset: Out<u32>);
        fn GetFieldTypeAndOffsetWide(module: u64, containertypeid: u32, field: Wide, fieldtypeid: Out<u32>, offset: Out<u32>);
        fn AddSyntheticSymbol(offset: u64, size: u32, name: Str, flags: u32, id: Raw);
        fn AddSyntheticSymbolWide(offset: u64, size: u32, name: Wide, flags: u32, id: Raw);
        fn RemoveSyntheticSymbol(id: Raw);
        fn GetSymbolEntriesByOffset(offset: u64, flags: u32, ids: Raw, displacements: Out<u64>, idscount: u32, entries: Out<u32>);
        fn GetSymbolEntriesByName(symbol: Str, flags: u32, ids: Raw, idscount: u32, entries: Out<u32>);
        fn GetSymbolEntriesByNameWide(symbol: Wide, flags: u32, ids: Raw, idscount: u32, entries: Out<u32>);
        fn GetSymbolEntryByToken(modulebase: u64, token: u32, result: Raw);
        fn GetSymbolEntryInformation(id: Raw, info: Raw);
        fn GetSymbolEntryString(id: Raw, which: u32, buffer: StrBuf, buffersize: u32, stringsize: Out<u32>);
        fn GetSymbolEntryStringWide(id: Raw, which: u32, buffer: WideBuf, buffersize: u32, stringsize: Out<u32>);
        fn GetSymbolEntryOffsetRegions(id: Raw, flags: u32, regions: Raw, regionscount: u32, regionsavail: Out<u32>);
        fn GetSymbolEntryBySymbolEntry(fromid: Raw, flags: u32, result: Raw);
        fn GetSourceEntriesByOffset(offset: u64, flags: u32, entries: Raw, entriescount: u32, entriesavail: Out<u32>);
        fn GetSourceEntriesByLine(line: u32, file: Str, flags: u32, entries: Raw, entriescount: u32, entriesavail: Out<u32>);
        fn GetSourceEntriesByLineWide(line: u32, file: Wide, flags: u32, entries: Raw, entriescount: u32, entriesavail: Out<u32>);
        fn GetSourceEntryString(entry: Raw, which: u32, buffer: StrBuf, buffersize: u32, stringsize: Out<u32>);
        fn GetSourceEntryStringWide(entry: Raw, which: u32, buffer: WideBuf, buffersize: u32, stringsize: Out<u32>);
        fn GetSourceEntryOffsetRegions(entry: Raw, flags: u32, regions: Raw, regionscount: u32, regionsavail: Out<u32>);
        fn GetSourceEntryBySourceEntry(fromentry: Raw, flags: u32, toentry: Raw);
    }
    interface IDebugSymbols4 = 0xe391bbd8_9d8c_4418_840b_c006592a1752 {
        fn GetScopeEx(instructionoffset: Out<u64>, scopeframe: Raw, scopecontext: Raw, scopecontextsize: u32);
        fn SetScopeEx(instructionoffset: u64, scopeframe: Raw, scopecontext: Raw, scopecontextsize: u32);
        fn GetNameByInlineContext(offset: u64, inlinecontext: u32, namebuffer: StrBuf, namebuffersize: u32, namesize: Out<u32>, displacement: Out<u64>);
        fn GetNameByInlineContextWide(offset: u64, inlinecontext: u32, namebuffer: WideBuf, namebuffersize: u32, namesize: Out<u32>, displacement: Out<u64>);
        fn GetLineByInlineContext(offset: u64, inlinecontext: u32, line: Out<u32>, filebuffer: StrBuf, filebuffersize: u32, filesize: Out<u32>, displacement: Out<u64>);
        fn GetLineByInlineContextWide(offset: u64, inlinecontext: u32, line: Out<u32>, filebuffer: WideBuf, filebuffersize: u32, filesize: Out<u32>, displacement: Out<u64>);
        fn OutputSymbolByInlineContext(outputcontrol: u32, flags: u32, offset: u64, inlinecontext: u32);
    }
    interface IDebugSymbols5 = 0xc65fa83e_1e69_475e_8e0e_b5d79e9cc17e {
        fn GetCurrentScopeFrameIndexEx(flags: u32, result: Out<u32>);
        fn SetScopeFrameByIndexEx(flags: u32, index: u32);
    }
}
