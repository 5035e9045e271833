//! `IDebugDataSpaces` to `IDebugDataSpaces4`: the memory of the target.
//! Each interface is the one before it and the methods after its line.

use crate::abi::{Buffer, Bytes, Guid, In, MemoryBasicInformation, Out, Raw, StrBuf, WideBuf};
use crate::methods::{memory, physical};

vtable! {
    /// Methods of `IDebugDataSpaces` and its successors.
    DataSpaces, 2,
    interface IDebugDataSpaces = 0x88f7dfab_3ea7_4c3a_aefb_c4e8106173aa {
        fn ReadVirtual(offset: u64, buffer: Buffer, buffer_size: u32, bytes_read: Out<u32>) => memory::read;
        fn WriteVirtual(offset: u64, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn SearchVirtual(offset: u64, length: u64, pattern: Bytes, pattern_size: u32, pattern_granularity: u32, match_offset: Out<u64>) => memory::search;
        fn ReadVirtualUncached(offset: u64, buffer: Buffer, buffer_size: u32, bytes_read: Out<u32>) => memory::read;
        fn WriteVirtualUncached(offset: u64, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn ReadPointersVirtual(count: u32, offset: u64, ptrs: Out<u64>) => memory::read_pointers;
        fn WritePointersVirtual(count: u32, offset: u64, ptrs: In<u64>);
        fn ReadPhysical(offset: u64, buffer: Buffer, buffer_size: u32, bytes_read: Out<u32>) => physical::read;
        fn WritePhysical(offset: u64, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn ReadControl(processor: u32, offset: u64, buffer: Raw, buffer_size: u32, bytes_read: Out<u32>);
        fn WriteControl(processor: u32, offset: u64, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn ReadIo(interface_type: u32, bus_number: u32, address_space: u32, offset: u64, buffer: Raw, buffer_size: u32, bytes_read: Out<u32>);
        fn WriteIo(interface_type: u32, bus_number: u32, address_space: u32, offset: u64, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn ReadMsr(msr: u32, value: Out<u64>);
        fn WriteMsr(msr: u32, value: u64);
        fn ReadBusData(bus_data_type: u32, bus_number: u32, slot_number: u32, offset: u32, buffer: Raw, buffer_size: u32, bytes_read: Out<u32>);
        fn WriteBusData(bus_data_type: u32, bus_number: u32, slot_number: u32, offset: u32, buffer: Raw, buffer_size: u32, bytes_written: Out<u32>);
        fn CheckLowMemory();
        fn ReadDebuggerData(index: u32, buffer: Buffer, buffer_size: u32, data_size: Out<u32>) => physical::debugger_data;
        fn ReadProcessorSystemData(processor: u32, index: u32, buffer: Buffer, buffer_size: u32, data_size: Out<u32>) => physical::processor_data;
    }
    interface IDebugDataSpaces2 = 0x7a5e852f_96e9_468f_ac1b_0b3addc4a049 {
        fn VirtualToPhysical(address: u64, physical: Out<u64>) => physical::translate;
        fn GetVirtualTranslationPhysicalOffsets(address: u64, offsets: Out<u64>, offsets_size: u32, levels: Out<u32>);
        fn ReadHandleData(handle: u64, data_type: u32, buffer: Raw, buffer_size: u32, data_size: Out<u32>);
        fn FillVirtual(start: u64, size: u32, pattern: Raw, pattern_size: u32, filled: Out<u32>);
        fn FillPhysical(start: u64, size: u32, pattern: Raw, pattern_size: u32, filled: Out<u32>);
        fn QueryVirtual(offset: u64, info: Out<MemoryBasicInformation>) => memory::query;
    }
    interface IDebugDataSpaces3 = 0x23f79d6c_8aaf_4f7c_a607_9995f5407e63 {
        fn ReadImageNtHeaders(image_base: u64, headers: Raw);
        fn ReadTagged(tag: In<Guid>, offset: u32, buffer: Raw, buffer_size: u32, total_size: Out<u32>);
        fn StartEnumTagged(handle: Out<u64>);
        fn GetNextTagged(handle: u64, tag: Raw, size: Out<u32>);
        fn EndEnumTagged(handle: u64);
    }
    interface IDebugDataSpaces4 = 0xd98ada1f_29e9_4ef5_a6c0_e53349883212 {
        fn GetOffsetInformation(space: u32, which: u32, offset: u64, buffer: Raw, buffersize: u32, infosize: Out<u32>);
        fn GetNextDifferentlyValidOffsetVirtual(offset: u64, result: Out<u64>) => memory::next_difference;
        fn GetValidRegionVirtual(base: u64, size: u32, validbase: Out<u64>, validsize: Out<u32>) => memory::valid_region;
        fn SearchVirtual2(offset: u64, length: u64, flags: u32, pattern: Raw, patternsize: u32, patterngranularity: u32, result: Out<u64>);
        fn ReadMultiByteStringVirtual(offset: u64, maxbytes: u32, buffer: StrBuf, buffersize: u32, stringbytes: Out<u32>) => memory::read_string;
        fn ReadMultiByteStringVirtualWide(offset: u64, maxbytes: u32, codepage: u32, buffer: WideBuf, buffersize: u32, stringbytes: Out<u32>);
        fn ReadUnicodeStringVirtual(offset: u64, maxbytes: u32, codepage: u32, buffer: StrBuf, buffersize: u32, stringbytes: Out<u32>);
        fn ReadUnicodeStringVirtualWide(offset: u64, maxbytes: u32, buffer: WideBuf, buffersize: u32, stringbytes: Out<u32>) => memory::read_wide_string;
        fn ReadPhysical2(offset: u64, flags: u32, buffer: Buffer, buffersize: u32, bytesread: Out<u32>) => physical::read2;
        fn WritePhysical2(offset: u64, flags: u32, buffer: Raw, buffersize: u32, byteswritten: Out<u32>);
    }
}
