"""Reads a full dump with PyPI's `udmp-parser` and prints what it saw as JSON.

    pypi_udmp.py FILE [ADDRESS:LENGTH ...]
"""

import json
import pathlib
import sys

import udmp_parser


def sample(dump, text):
    address, length = (int(part, 16) for part in text.split(":"))
    return bytes(dump.ReadMemory(address, length)).hex()


def main():
    dump = udmp_parser.UserDumpParser()
    if not dump.Parse(pathlib.Path(sys.argv[1])):
        sys.exit(f"udmp-parser cannot parse {sys.argv[1]}")
    blocks = dump.Memory()
    print(json.dumps({
        "threads": sorted(dump.Threads()),
        "modules": sorted(dump.Modules()),
        "blocks": len(blocks),
        "memory": sorted((b.BaseAddress, b.DataSize) for b in blocks.values() if b.DataSize),
        "samples": [sample(dump, text) for text in sys.argv[2:]],
    }))


if __name__ == "__main__":
    main()
