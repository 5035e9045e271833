"""Reads a kernel dump whose pages are told by a bitmap (types 2, 5, 6 and 7) and
prints what it saw as JSON.

    bitmap_dump.py FILE RAW

RAW is a raw image of the same physical memory: every page of the dump is
compared with it. No reader that others wrote takes types 2 and 7, so this one
was written from descriptions alone, without a line of dumpwright's: the headers
as the public metadata and the type information of debug symbols have them
(_SUMMARY_DUMP64: Signature, ValidDump, DumpOptions, HeaderSize, BitmapSize,
Pages, and at 0x18 an RTL_BITMAP of SizeOfBitMap, 8 reserved bytes and the bits;
half that padding in the 32-bit form), and what kdmp-parser says of types 5 and 6.
Anything that contradicts itself ends it.
"""

import json
import mmap
import struct
import sys

PAGE = 0x1000


def need(condition, what):
    if not condition:
        sys.exit(f"bitmap_dump.py: {what}")


def at(dump, form, offset):
    return struct.unpack_from("<" + form, dump, offset)


def summary(dump, start, wide):
    """Type 2: (bits, where the bitmap is, pages set, file offset of the first)."""
    signature, valid, _, first, bits, pages, again = at(dump, "4s4sIIIII", start)
    need((signature, valid) == (b"SDMP", b"DUMP"), "no SDMP DUMP")
    need(bits == again, "BitmapSize and RTL_BITMAP.SizeOfBitMap differ")
    return bits, start + (0x28 if wide else 0x20), pages, first


def bitmap(dump, start):
    """Types 5, 6 and 7: the same."""
    signature, valid = at(dump, "4s4s", start)
    need(signature in (b"SDMP", b"FDMP") and valid == b"DUMP", "no bitmap header")
    first, pages, bits = at(dump, "QQQ", start + 0x20)
    return bits, start + 0x38, pages, first


def main():
    with open(sys.argv[1], "rb") as file:
        dump = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    wide = dump[:8] == b"PAGEDU64"
    need(wide or dump[:8] == b"PAGEDUMP", "no kernel dump")
    start, kind_at, space_at = (0x2000, 0xF98, 0xFA0) if wide else (0x1000, 0xF88, 0xFA0)
    (kind,), (space,) = at(dump, "I", kind_at), at(dump, "Q", space_at)
    need(space == len(dump), "RequiredDumpSpace is not the file's size")
    need(kind in (2, 5, 6, 7), f"type {kind} has no bitmap")
    bits, where, pages, first = summary(dump, start, wide) if kind == 2 else bitmap(dump, start)
    need(first % PAGE == 0, "the first page does not stand at a multiple of a page")
    need(where + (bits + 7) // 8 <= first, "the bitmap runs into the pages")
    present = [
        8 * index + bit
        for index, byte in enumerate(dump[where:where + (bits + 7) // 8])
        if byte
        for bit in range(8)
        if byte >> bit & 1
    ]
    need(len(present) == pages, "the count of pages is not that of the bits")
    need(first + PAGE * pages <= len(dump), "the file ends before its pages")
    different = []
    with open(sys.argv[2], "rb") as raw:
        for index, frame in enumerate(present):
            raw.seek(frame * PAGE)
            if raw.read(PAGE) != dump[first + PAGE * index:first + PAGE * (index + 1)]:
                different.append(frame)
    print(json.dumps({"type": kind, "bits": bits, "pages": present, "different": different}))


if __name__ == "__main__":
    main()
