"""Types of the dumpwright package."""

import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union, final

_Path = Union[str, os.PathLike[str]]
_Progress = Callable[[str, int, int], Any]
# A number, or names of the constants below: "MA", "USER_SMALL_HANDLE_DATA|WRITE_CAB".
_Value = Union[int, str, Sequence[str]]

__version__: str

# Qualifiers, DEBUG_DUMP_*; the last two are of machines.
SMALL: int
DEFAULT: int
FULL: int
ACTIVE: int

# Format flags, DEBUG_FORMAT_*; MA is what `.dump /ma` takes.
MA: int
USER_SMALL_FULL_MEMORY: int
USER_SMALL_HANDLE_DATA: int
USER_SMALL_UNLOADED_MODULES: int
USER_SMALL_INDIRECT_MEMORY: int
USER_SMALL_DATA_SEGMENTS: int
USER_SMALL_FILTER_MEMORY: int
USER_SMALL_FILTER_PATHS: int
USER_SMALL_PROCESS_THREAD_DATA: int
USER_SMALL_PRIVATE_READ_WRITE_MEMORY: int
USER_SMALL_NO_OPTIONAL_DATA: int
USER_SMALL_FULL_MEMORY_INFO: int
USER_SMALL_THREAD_INFO: int
USER_SMALL_CODE_SEGMENTS: int
USER_SMALL_NO_AUXILIARY_STATE: int
USER_SMALL_FULL_AUXILIARY_STATE: int
USER_SMALL_MODULE_HEADERS: int
USER_SMALL_FILTER_TRIAGE: int
USER_SMALL_ADD_AVX_XSTATE_CONTEXT: int
USER_SMALL_IPT_TRACE: int
USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM: int
USER_SMALL_IGNORE_INACCESSIBLE_MEM: int
USER_SMALL_SCAN_PARTIAL_PAGES: int
CAB_SECONDARY_ALL_IMAGES: int
WRITE_CAB: int
CAB_SECONDARY_FILES: int
NO_OVERWRITE: int

class DumpwrightError(Exception):
    """Any failure that is not one of a file (those are OSError)."""

    hresult: int

class InvalidRequest(DumpwrightError):
    """The request cannot be carried out."""

class DumpExists(DumpwrightError):
    """The file exists and was left alone; see `overwrite`."""

class NoSuchProcess(DumpwrightError):
    """There is no such process, or none any more."""

class AccessDenied(DumpwrightError):
    """The process may not be attached to."""

class Cancelled(DumpwrightError):
    """The progress function answered False."""

class NotADump(DumpwrightError):
    """The file is no dump that can be read."""

@final
class Summary:
    """What was written."""

    file: Optional[os.PathLike[str]]
    pid: int
    process: str
    size: int
    dump_size: int
    memory_bytes: int
    minidump_type: int
    kernel_type: Optional[str]
    threads: int
    modules: int
    handles: int
    holes: List[Tuple[str, str, str]]
    soft_errors: List[Tuple[str, str]]
    held: float
    total: float

def dump(
    pid: int,
    file: _Path,
    *,
    qualifier: _Value = ...,
    flags: _Value = ...,
    comment: Optional[str] = ...,
    overwrite: bool = ...,
    progress: Optional[_Progress] = ...,
) -> Summary:
    """Writes a dump of a live process.

    `progress(phase, done, total)` is called now and then; if it answers False,
    the dump is given up. Other Python threads run meanwhile, and Ctrl-C raises
    KeyboardInterrupt; nothing is left under the file's name then.
    """

def dump_on(
    pid: int,
    on: str,
    file: _Path,
    *,
    wait_seconds: Optional[float] = ...,
    qualifier: _Value = ...,
    flags: _Value = ...,
    comment: Optional[str] = ...,
    overwrite: bool = ...,
    progress: Optional[_Progress] = ...,
) -> Summary:
    """Waits in a live process, as its debugger, until something happens, and writes a
    dump of it there: `on` is "crash" (what nothing handles and ends the process),
    "exception" (handled or not) or "exit" (the end, whatever way).

    `progress("wait", milliseconds, limit)` is called meanwhile. A DumpwrightError with
    the `hresult` 0x800705B4 if `wait_seconds` pass; the process runs on then.
    """

def dump_file(
    source: _Path,
    file: _Path,
    *,
    qualifier: _Value = ...,
    flags: _Value = ...,
    comment: Optional[str] = ...,
    overwrite: bool = ...,
    sysroot: Optional[_Path] = ...,
    progress: Optional[_Progress] = ...,
) -> Summary:
    """Writes a dump of what a file holds: of the process in a minidump, ELF core or
    full user dump, or of the machine in a kernel dump or memory image."""

def dump_guest(
    socket: _Path,
    file: _Path,
    *,
    qualifier: _Value = ...,
    flags: _Value = ...,
    comment: Optional[str] = ...,
    overwrite: bool = ...,
    progress: Optional[_Progress] = ...,
) -> Summary:
    """Writes a kernel dump of a live QEMU or KVM guest, by the socket of its QMP
    monitor. The guest stands still meanwhile. On Linux only."""

@final
class Dump:
    """An open minidump."""

    path: os.PathLike[str]
    minidump_type: int
    time: int
    comment: Optional[str]
    soft_errors: Optional[str]
    pid: Optional[int]
    streams: List[Tuple[int, int, int]]
    exception: Optional[Dict[str, Any]]
    threads: List[Dict[str, Any]]
    modules: List[Dict[str, Any]]
    memory_ranges: List[Tuple[int, int]]

    def stream(self, kind: int) -> Optional[bytes]:
        """The bytes of a stream."""

    def read_memory(self, address: int, size: int) -> bytes:
        """Exactly so many bytes; LookupError if the dump does not hold them."""

    def verify(self) -> List[Dict[str, Any]]:
        """The faults of the dump; none if it is sound."""

@final
class Machine:
    """A machine in a file: a kernel dump or a memory image."""

    path: os.PathLike[str]
    kind: Optional[str]
    build: int
    processors: int
    bug_check: Optional[Tuple[int, List[int]]]
    comment: Optional[str]
    time: int
    modules: List[Dict[str, Any]]
    memory_ranges: List[Tuple[int, int]]

    def read_physical(self, address: int, size: int) -> bytes:
        """Exactly so many bytes; LookupError if the file does not hold them."""

    def read_memory(self, address: int, size: int) -> bytes:
        """The same, at a virtual address of the kernel."""

    def verify(self) -> List[Dict[str, Any]]:
        """The faults of a kernel dump; none if it is sound."""

def open_machine(path: _Path, /) -> Machine:
    """Opens a kernel dump or a memory image to read it."""

def open(path: _Path, /) -> Dump:
    """Opens a minidump to read it."""

def verify(path: _Path, /) -> List[Dict[str, Any]]:
    """The faults of a minidump or kernel dump; none if it is sound."""
