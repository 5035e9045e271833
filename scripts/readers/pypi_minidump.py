"""Reads a dump with PyPI's `minidump` and prints what it saw as JSON.

    pypi_minidump.py FILE [ADDRESS:LENGTH ...]

Each ADDRESS:LENGTH (hexadecimal) is read through the library's reader; the
bytes stand under "samples". What the library logs as an error stands under
"complaints" (but for the PEB, which only Windows dumps have).
"""

import json
import logging
import sys

from minidump.minidumpfile import MinidumpFile


class Complaints(logging.Handler):
    """Collects errors that the library logs and swallows."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.texts = []

    def emit(self, record):
        text = record.getMessage()
        if "PEB" not in text:
            cause = record.exc_info[1] if record.exc_info else ""
            self.texts.append(f"{text} {cause}")


def listed(stream, attribute):
    return getattr(stream, attribute) if stream is not None else []


def segments(dump):
    """(start, size) of every range of memory that has bytes in the file."""
    memory64, memory = dump.memory_segments_64, dump.memory_segments
    both = listed(memory64, "memory_segments") + listed(memory, "memory_segments")
    return sorted((s.start_virtual_address, s.size) for s in both)


def sample(dump, text):
    address, length = (int(part, 16) for part in text.split(":"))
    reader = dump.get_reader().get_buffered_reader()
    reader.move(address)
    return reader.read(length).hex()


def context(thread):
    registers = thread.ContextObject
    if hasattr(registers, "Rip"):
        return [thread.ThreadId, registers.Rip, registers.Rsp]
    if hasattr(registers, "Eip"):
        return [thread.ThreadId, registers.Eip, registers.Esp]
    return None


def main():
    complaints = Complaints()
    logging.getLogger().handlers = [complaints]
    dump = MinidumpFile.parse(sys.argv[1])
    comment = dump.comment_w.data.rstrip("\0") if dump.comment_w else None
    threads = listed(dump.threads, "threads")
    print(json.dumps({
        "streams": [d.StreamType.name for d in dump.directories],
        "threads": sorted(t.ThreadId for t in threads),
        "contexts": sorted(filter(None, map(context, threads))),
        "modules": sorted([m.baseaddress, m.size, m.name] for m in listed(dump.modules, "modules")),
        "memory": segments(dump),
        "memory_info": [
            [i.BaseAddress, i.RegionSize, i.State.value if i.State is not None else None]
            for i in listed(dump.memory_info, "infos")
        ],
        "handles": [
            [h.Handle, h.TypeName, h.ObjectName]
            for h in sorted(listed(dump.handles, "handles"), key=lambda h: h.Handle)
        ],
        "thread_info": sorted(t.ThreadId for t in listed(dump.thread_info, "infos")),
        "comment": comment,
        "pid": dump.misc_info.ProcessId if dump.misc_info else None,
        "exceptions": [
            [e.ThreadId, e.ExceptionRecord.ExceptionCode_raw, e.ExceptionRecord.ExceptionAddress]
            for e in listed(dump.exception, "exception_records")
        ],
        "samples": [sample(dump, text) for text in sys.argv[2:]],
        "complaints": complaints.texts,
    }))


if __name__ == "__main__":
    main()
