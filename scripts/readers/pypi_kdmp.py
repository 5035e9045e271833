"""Reads a kernel dump with PyPI's `kdmp-parser` and prints what it saw as JSON.

    pypi_kdmp.py FILE RAW [TABLE:ADDRESS ...]

RAW is a raw image of the same physical memory: every page of the dump is
compared with it. Each TABLE:ADDRESS (hexadecimal) is translated; the physical
addresses (or null) stand under "translated".
"""

import json
import os
import sys

import kdmp_parser

PAGE = 4096


def main():
    dump = kdmp_parser.KernelDumpParser(sys.argv[1])
    raw = os.open(sys.argv[2], os.O_RDONLY)
    pages = sorted(dump.pages.keys())
    different = [
        at // PAGE
        for at in pages
        if bytes(dump.read_physical_page(at)) != os.pread(raw, PAGE, at)
    ]
    places = [[int(part, 16) for part in text.split(":")] for text in sys.argv[3:]]
    print(json.dumps({
        "type": int(dump.type),
        "directory_table_base": dump.directory_table_base,
        "rip": dump.context.Rip,
        "rsp": dump.context.Rsp,
        "bug_check": dump.header.BugCheckCode,
        "pages": [at // PAGE for at in pages],
        "different": different,
        "translated": [dump.translate_virtual(va, table) for table, va in places],
    }))


if __name__ == "__main__":
    main()
