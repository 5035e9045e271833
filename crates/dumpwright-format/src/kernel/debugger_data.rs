//! `KDDEBUGGER_DATA64` of wdbgexts.h: where a kernel keeps what a debugger asks
//! for, and the offsets in its structures that go with that kernel.

use crate::wire;
use zerocopy::little_endian::{U16, U32, U64};

/// `KDBG_TAG` of wdbgexts.h: the bytes `KDBG`, the owner tag of the block.
pub const DEBUGGER_DATA_TAG: u32 = 0x4742_444B;

/// Bytes of the block up to and with `OffsetPrcbContext` (Windows 7), the least
/// that a modern kernel has.
pub const DEBUGGER_DATA_SIZE_WINDOWS_7: usize = 0x340;

/// Bytes of the block of Windows 10 from version 1809 on.
pub const DEBUGGER_DATA_SIZE_WINDOWS_10: usize = 0x380;

wire! {
    /// `DBGKD_DEBUG_DATA_HEADER64`, wdbgexts.h.
    pub struct DebuggerDataHeader [24] {
        /// `List.Flink`: address of the next block.
        pub flink: U64,
        /// `List.Blink`: address of the previous block.
        pub blink: U64,
        /// [`DEBUGGER_DATA_TAG`].
        pub owner_tag: U32,
        /// Bytes of the block, this header included: how many of the fields of
        /// [`DebuggerData`] this kernel has.
        pub size: U32,
    }

    /// `KDDEBUGGER_DATA64`, wdbgexts.h, with all fields that any kernel up to
    /// Windows 11 has. A kernel's own block is shorter: `header.size` says where
    /// it ends, and what lies beyond reads as zero here.
    ///
    /// Fields named after variables hold their addresses; `offset_` ones are
    /// offsets in bytes in a structure, `size_` ones its bytes.
    pub struct DebuggerData [0x3A0] {
        /// `Header`.
        pub header: DebuggerDataHeader,
        /// `KernBase`: base of the kernel image.
        pub kern_base: U64,
        /// `BreakpointWithStatus` (0x20).
        pub breakpoint_with_status: U64,
        /// `SavedContext`: the context of a bug check.
        pub saved_context: U64,
        /// `ThCallbackStack`.
        pub th_callback_stack: U16,
        /// `NextCallback` (0x32).
        pub next_callback: U16,
        /// `FramePointer` (0x34).
        pub frame_pointer: U16,
        /// Bit 0: `PaeEnabled`.
        pub pae_enabled: U16,
        /// `KiCallUserMode` (0x38).
        pub ki_call_user_mode: U64,
        /// `KeUserCallbackDispatcher` (0x40).
        pub ke_user_callback_dispatcher: U64,
        /// `PsLoadedModuleList` (0x48).
        pub ps_loaded_module_list: U64,
        /// `PsActiveProcessHead` (0x50).
        pub ps_active_process_head: U64,
        /// `PspCidTable` (0x58).
        pub psp_cid_table: U64,
        /// `ExpSystemResourcesList` (0x60).
        pub exp_system_resources_list: U64,
        /// `ExpPagedPoolDescriptor` (0x68).
        pub exp_paged_pool_descriptor: U64,
        /// `ExpNumberOfPagedPools` (0x70).
        pub exp_number_of_paged_pools: U64,
        /// `KeTimeIncrement` (0x78).
        pub ke_time_increment: U64,
        /// `KeBugCheckCallbackListHead` (0x80).
        pub ke_bug_check_callback_list_head: U64,
        /// `KiBugcheckData`: address of code and parameters of a bug check.
        pub ki_bugcheck_data: U64,
        /// `IopErrorLogListHead` (0x90).
        pub iop_error_log_list_head: U64,
        /// `ObpRootDirectoryObject` (0x98).
        pub obp_root_directory_object: U64,
        /// `ObpTypeObjectType` (0xA0).
        pub obp_type_object_type: U64,
        /// `MmSystemCacheStart` (0xA8).
        pub mm_system_cache_start: U64,
        /// `MmSystemCacheEnd` (0xB0).
        pub mm_system_cache_end: U64,
        /// `MmSystemCacheWs` (0xB8).
        pub mm_system_cache_ws: U64,
        /// `MmPfnDatabase` (0xC0).
        pub mm_pfn_database: U64,
        /// `MmSystemPtesStart` (0xC8).
        pub mm_system_ptes_start: U64,
        /// `MmSystemPtesEnd` (0xD0).
        pub mm_system_ptes_end: U64,
        /// `MmSubsectionBase` (0xD8).
        pub mm_subsection_base: U64,
        /// `MmNumberOfPagingFiles` (0xE0).
        pub mm_number_of_paging_files: U64,
        /// `MmLowestPhysicalPage` (0xE8).
        pub mm_lowest_physical_page: U64,
        /// `MmHighestPhysicalPage` (0xF0).
        pub mm_highest_physical_page: U64,
        /// `MmNumberOfPhysicalPages` (0xF8).
        pub mm_number_of_physical_pages: U64,
        /// `MmMaximumNonPagedPoolInBytes` (0x100).
        pub mm_maximum_non_paged_pool_in_bytes: U64,
        /// `MmNonPagedSystemStart` (0x108).
        pub mm_non_paged_system_start: U64,
        /// `MmNonPagedPoolStart` (0x110).
        pub mm_non_paged_pool_start: U64,
        /// `MmNonPagedPoolEnd` (0x118).
        pub mm_non_paged_pool_end: U64,
        /// `MmPagedPoolStart` (0x120).
        pub mm_paged_pool_start: U64,
        /// `MmPagedPoolEnd` (0x128).
        pub mm_paged_pool_end: U64,
        /// `MmPagedPoolInformation` (0x130).
        pub mm_paged_pool_information: U64,
        /// `MmPageSize` (0x138).
        pub mm_page_size: U64,
        /// `MmSizeOfPagedPoolInBytes` (0x140).
        pub mm_size_of_paged_pool_in_bytes: U64,
        /// `MmTotalCommitLimit` (0x148).
        pub mm_total_commit_limit: U64,
        /// `MmTotalCommittedPages` (0x150).
        pub mm_total_committed_pages: U64,
        /// `MmSharedCommit` (0x158).
        pub mm_shared_commit: U64,
        /// `MmDriverCommit` (0x160).
        pub mm_driver_commit: U64,
        /// `MmProcessCommit` (0x168).
        pub mm_process_commit: U64,
        /// `MmPagedPoolCommit` (0x170).
        pub mm_paged_pool_commit: U64,
        /// `MmExtendedCommit` (0x178).
        pub mm_extended_commit: U64,
        /// `MmZeroedPageListHead` (0x180).
        pub mm_zeroed_page_list_head: U64,
        /// `MmFreePageListHead` (0x188).
        pub mm_free_page_list_head: U64,
        /// `MmStandbyPageListHead` (0x190).
        pub mm_standby_page_list_head: U64,
        /// `MmModifiedPageListHead` (0x198).
        pub mm_modified_page_list_head: U64,
        /// `MmModifiedNoWritePageListHead` (0x1A0).
        pub mm_modified_no_write_page_list_head: U64,
        /// `MmAvailablePages` (0x1A8).
        pub mm_available_pages: U64,
        /// `MmResidentAvailablePages` (0x1B0).
        pub mm_resident_available_pages: U64,
        /// `PoolTrackTable` (0x1B8).
        pub pool_track_table: U64,
        /// `NonPagedPoolDescriptor` (0x1C0).
        pub non_paged_pool_descriptor: U64,
        /// `MmHighestUserAddress` (0x1C8).
        pub mm_highest_user_address: U64,
        /// `MmSystemRangeStart` (0x1D0).
        pub mm_system_range_start: U64,
        /// `MmUserProbeAddress` (0x1D8).
        pub mm_user_probe_address: U64,
        /// `KdPrintCircularBuffer` (0x1E0).
        pub kd_print_circular_buffer: U64,
        /// `KdPrintCircularBufferEnd` (0x1E8).
        pub kd_print_circular_buffer_end: U64,
        /// `KdPrintWritePointer` (0x1F0).
        pub kd_print_write_pointer: U64,
        /// `KdPrintRolloverCount` (0x1F8).
        pub kd_print_rollover_count: U64,
        /// `MmLoadedUserImageList` (0x200).
        pub mm_loaded_user_image_list: U64,
        /// `NtBuildLab` (0x208).
        pub nt_build_lab: U64,
        /// `KiNormalSystemCall` (0x210).
        pub ki_normal_system_call: U64,
        /// `KiProcessorBlock`: address of the array of `KPRCB` pointers.
        pub ki_processor_block: U64,
        /// `MmUnloadedDrivers` (0x220).
        pub mm_unloaded_drivers: U64,
        /// `MmLastUnloadedDriver` (0x228).
        pub mm_last_unloaded_driver: U64,
        /// `MmTriageActionTaken` (0x230).
        pub mm_triage_action_taken: U64,
        /// `MmSpecialPoolTag` (0x238).
        pub mm_special_pool_tag: U64,
        /// `KernelVerifier` (0x240).
        pub kernel_verifier: U64,
        /// `MmVerifierData` (0x248).
        pub mm_verifier_data: U64,
        /// `MmAllocatedNonPagedPool` (0x250).
        pub mm_allocated_non_paged_pool: U64,
        /// `MmPeakCommitment` (0x258).
        pub mm_peak_commitment: U64,
        /// `MmTotalCommitLimitMaximum` (0x260).
        pub mm_total_commit_limit_maximum: U64,
        /// `CmNtCsdVersion` (0x268).
        pub cm_nt_csd_version: U64,
        /// `MmPhysicalMemoryBlock` (0x270).
        pub mm_physical_memory_block: U64,
        /// `MmSessionBase` (0x278).
        pub mm_session_base: U64,
        /// `MmSessionSize` (0x280).
        pub mm_session_size: U64,
        /// `MmSystemParentTablePage` (0x288).
        pub mm_system_parent_table_page: U64,
        /// `MmVirtualTranslationBase` (0x290).
        pub mm_virtual_translation_base: U64,
        /// `OffsetKthreadNextProcessor` (0x298).
        pub offset_kthread_next_processor: U16,
        /// `OffsetKthreadTeb` (0x29A).
        pub offset_kthread_teb: U16,
        /// `OffsetKthreadKernelStack` (0x29C).
        pub offset_kthread_kernel_stack: U16,
        /// `OffsetKthreadInitialStack` (0x29E).
        pub offset_kthread_initial_stack: U16,
        /// `OffsetKthreadApcProcess` (0x2A0).
        pub offset_kthread_apc_process: U16,
        /// `OffsetKthreadState` (0x2A2).
        pub offset_kthread_state: U16,
        /// `OffsetKthreadBStore` (0x2A4).
        pub offset_kthread_b_store: U16,
        /// `OffsetKthreadBStoreLimit` (0x2A6).
        pub offset_kthread_b_store_limit: U16,
        /// `SizeEprocess` (0x2A8).
        pub size_eprocess: U16,
        /// `OffsetEprocessPeb` (0x2AA).
        pub offset_eprocess_peb: U16,
        /// `OffsetEprocessParentCid` (0x2AC).
        pub offset_eprocess_parent_cid: U16,
        /// `OffsetEprocessDirectoryTableBase` (0x2AE).
        pub offset_eprocess_directory_table_base: U16,
        /// `SizePrcb` (0x2B0).
        pub size_prcb: U16,
        /// `OffsetPrcbDpcRoutine` (0x2B2).
        pub offset_prcb_dpc_routine: U16,
        /// `OffsetPrcbCurrentThread` (0x2B4).
        pub offset_prcb_current_thread: U16,
        /// `OffsetPrcbMhz` (0x2B6).
        pub offset_prcb_mhz: U16,
        /// `OffsetPrcbCpuType` (0x2B8).
        pub offset_prcb_cpu_type: U16,
        /// `OffsetPrcbVendorString` (0x2BA).
        pub offset_prcb_vendor_string: U16,
        /// `OffsetPrcbProcStateContext` (0x2BC).
        pub offset_prcb_proc_state_context: U16,
        /// `OffsetPrcbNumber` (0x2BE).
        pub offset_prcb_number: U16,
        /// `SizeEthread` (0x2C0).
        pub size_ethread: U16,
        /// Unused (0x2C2).
        pub alignment0: U16,
        /// Unused (0x2C4).
        pub alignment1: U16,
        /// Unused (0x2C6).
        pub alignment2: U16,
        /// `KdPrintCircularBufferPtr` (0x2C8).
        pub kd_print_circular_buffer_ptr: U64,
        /// `KdPrintBufferSize` (0x2D0).
        pub kd_print_buffer_size: U64,
        /// `KeLoaderBlock` (0x2D8).
        pub ke_loader_block: U64,
        /// `SizePcr` (0x2E0).
        pub size_pcr: U16,
        /// `OffsetPcrSelfPcr` (0x2E2).
        pub offset_pcr_self_pcr: U16,
        /// `OffsetPcrCurrentPrcb` (0x2E4).
        pub offset_pcr_current_prcb: U16,
        /// `OffsetPcrContainedPrcb` (0x2E6).
        pub offset_pcr_contained_prcb: U16,
        /// `OffsetPcrInitialBStore` (0x2E8).
        pub offset_pcr_initial_b_store: U16,
        /// `OffsetPcrBStoreLimit` (0x2EA).
        pub offset_pcr_b_store_limit: U16,
        /// `OffsetPcrInitialStack` (0x2EC).
        pub offset_pcr_initial_stack: U16,
        /// `OffsetPcrStackLimit` (0x2EE).
        pub offset_pcr_stack_limit: U16,
        /// `OffsetPrcbPcrPage` (0x2F0).
        pub offset_prcb_pcr_page: U16,
        /// `OffsetPrcbProcStateSpecialReg` (0x2F2).
        pub offset_prcb_proc_state_special_reg: U16,
        /// `GdtR0Code` (0x2F4).
        pub gdt_r0_code: U16,
        /// `GdtR0Data` (0x2F6).
        pub gdt_r0_data: U16,
        /// `GdtR0Pcr` (0x2F8).
        pub gdt_r0_pcr: U16,
        /// `GdtR3Code` (0x2FA).
        pub gdt_r3_code: U16,
        /// `GdtR3Data` (0x2FC).
        pub gdt_r3_data: U16,
        /// `GdtR3Teb` (0x2FE).
        pub gdt_r3_teb: U16,
        /// `GdtLdt` (0x300).
        pub gdt_ldt: U16,
        /// `GdtTss` (0x302).
        pub gdt_tss: U16,
        /// `Gdt64R3CmCode` (0x304).
        pub gdt64_r3_cm_code: U16,
        /// `Gdt64R3CmTeb` (0x306).
        pub gdt64_r3_cm_teb: U16,
        /// `IopNumTriageDumpDataBlocks` (0x308).
        pub iop_num_triage_dump_data_blocks: U64,
        /// `IopTriageDumpDataBlocks` (0x310).
        pub iop_triage_dump_data_blocks: U64,
        /// `VfCrashDataBlock` (0x318).
        pub vf_crash_data_block: U64,
        /// `MmBadPagesDetected` (0x320).
        pub mm_bad_pages_detected: U64,
        /// `MmZeroedPageSingleBitErrorsDetected` (0x328).
        pub mm_zeroed_page_single_bit_errors_detected: U64,
        /// `EtwpDebuggerData` (0x330).
        pub etwp_debugger_data: U64,
        /// `OffsetPrcbContext` (0x338).
        pub offset_prcb_context: U16,
        /// `OffsetPrcbMaxBreakpoints` (0x33A).
        pub offset_prcb_max_breakpoints: U16,
        /// `OffsetPrcbMaxWatchpoints` (0x33C).
        pub offset_prcb_max_watchpoints: U16,
        /// Unused (0x33E).
        pub padding1: U16,
        /// `OffsetKthreadStackLimit` (0x340).
        pub offset_kthread_stack_limit: U32,
        /// `OffsetKthreadStackBase` (0x344).
        pub offset_kthread_stack_base: U32,
        /// `OffsetKthreadQueueListEntry` (0x348).
        pub offset_kthread_queue_list_entry: U32,
        /// `OffsetEthreadIrpList` (0x34C).
        pub offset_ethread_irp_list: U32,
        /// `OffsetPrcbIdleThread` (0x350).
        pub offset_prcb_idle_thread: U16,
        /// `OffsetPrcbNormalDpcState` (0x352).
        pub offset_prcb_normal_dpc_state: U16,
        /// `OffsetPrcbDpcStack` (0x354).
        pub offset_prcb_dpc_stack: U16,
        /// `OffsetPrcbIsrStack` (0x356).
        pub offset_prcb_isr_stack: U16,
        /// `SizeKdpcStackFrame` (0x358).
        pub size_kdpc_stack_frame: U16,
        /// `OffsetKpriQueueThreadListHead` (0x35A).
        pub offset_kpri_queue_thread_list_head: U16,
        /// `OffsetKthreadWaitReason` (0x35C).
        pub offset_kthread_wait_reason: U16,
        /// Unused (0x35E).
        pub padding2: U16,
        /// `PteBase` (0x360).
        pub pte_base: U64,
        /// `RetpolineStubFunctionTable` (0x368).
        pub retpoline_stub_function_table: U64,
        /// `RetpolineStubFunctionTableSize` (0x370).
        pub retpoline_stub_function_table_size: U32,
        /// `RetpolineStubOffset` (0x374).
        pub retpoline_stub_offset: U32,
        /// `RetpolineStubSize` (0x378).
        pub retpoline_stub_size: U32,
        /// `OffsetEprocessMmHotPatchContext` (0x37C).
        pub offset_eprocess_mm_hot_patch_context: U16,
        /// Unused (0x37E).
        pub padding3: U16,
        /// `OffsetKthreadShadowStackLimit` (0x380).
        pub offset_kthread_shadow_stack_limit: U32,
        /// `OffsetKthreadShadowStackBase` (0x384).
        pub offset_kthread_shadow_stack_base: U32,
        /// `ShadowStackEnabled` (0x388).
        pub shadow_stack_enabled: U64,
        /// `PointerAuthMask` (0x390).
        pub pointer_auth_mask: U64,
        /// `OffsetPrcbExceptionStack` (0x398).
        pub offset_prcb_exception_stack: U16,
        /// Unused (0x39A).
        pub padding4: U16,
        /// Unused (0x39C).
        pub padding5: U32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_stand_where_real_kernels_have_them() {
        assert_eq!(offset_of!(DebuggerData, ps_loaded_module_list), 0x48);
        assert_eq!(offset_of!(DebuggerData, ki_bugcheck_data), 0x88);
        assert_eq!(offset_of!(DebuggerData, mm_pfn_database), 0xC0);
        assert_eq!(offset_of!(DebuggerData, ki_processor_block), 0x218);
        assert_eq!(offset_of!(DebuggerData, size_prcb), 0x2B0);
        assert_eq!(offset_of!(DebuggerData, offset_prcb_context), 0x338);
        assert_eq!(offset_of!(DebuggerData, pte_base), 0x360);
    }
}
