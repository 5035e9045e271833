"""Packs the pages of a kdump file anew, with the library that the field's writers
use, and prints how many pages there are as JSON.

    repack_kdump.py IN OUT lzo|zstd

IN is a file by QEMU's `dump-guest-memory -z`, which is flattened and of zlib
pages; OUT is not flattened.
"""

import ctypes
import ctypes.util
import json
import struct
import sys
import zlib

DESCRIPTOR = struct.Struct("<QIIQ")
FLAGS = {"lzo": 2, "zstd": 0x20}
# Where `status` and what follows stands in the header of a 64-bit machine.
STATUS = 424


def library(name):
    found = ctypes.util.find_library(name)
    if found is None:
        sys.exit(f"no lib{name} on this machine; see scripts/install-test-tools")
    return ctypes.CDLL(found)


def lzo():
    lib = library("lzo2")
    work = ctypes.create_string_buffer(1 << 20)

    def pack(page):
        out = ctypes.create_string_buffer(2 * len(page))
        length = ctypes.c_size_t(len(out))
        if lib.lzo1x_1_compress(page, ctypes.c_size_t(len(page)), out, ctypes.byref(length), work):
            sys.exit("lzo1x_1_compress failed")
        return out.raw[:length.value]

    return pack


def zstd():
    lib = library("zstd")
    lib.ZSTD_compress.restype = ctypes.c_size_t

    def pack(page):
        out = ctypes.create_string_buffer(2 * len(page))
        length = lib.ZSTD_compress(out, ctypes.c_size_t(len(out)), page, ctypes.c_size_t(len(page)), 1)
        if length > len(out):
            sys.exit("ZSTD_compress failed")
        return out.raw[:length]

    return pack


def flat(path):
    """The file that was flattened."""
    data = open(path, "rb").read()
    whole = bytearray()
    at = 4096
    while True:
        offset, size = struct.unpack_from(">qq", data, at)
        at += 16
        if offset == -1:
            return whole
        whole.extend(bytes(max(0, offset + size - len(whole))))
        whole[offset:offset + size] = data[at:at + size]
        at += size


def main():
    source, target, kind = sys.argv[1:4]
    pack = {"lzo": lzo, "zstd": zstd}[kind]()
    whole = flat(source)
    _, block, sub_blocks, bitmap_blocks = struct.unpack_from("<4I", whole, STATUS)
    first = (1 + sub_blocks) * block
    bitmap = bitmap_blocks // 2 * block
    present = int.from_bytes(whole[first + bitmap:first + 2 * bitmap], "little").bit_count()
    descriptors = first + 2 * bitmap
    out = whole[:descriptors + present * DESCRIPTOR.size]
    struct.pack_into("<I", out, STATUS, FLAGS[kind])
    places = {}
    for index in range(present):
        at = descriptors + index * DESCRIPTOR.size
        offset, size, flags, page_flags = DESCRIPTOR.unpack_from(whole, at)
        if offset not in places:
            page = bytes(whole[offset:offset + size])
            if flags & 1:
                page = zlib.decompress(page)
            packed = pack(page)
            small = len(packed) < block
            places[offset] = (len(out), len(packed) if small else block, FLAGS[kind] if small else 0)
            out += packed if small else page
        DESCRIPTOR.pack_into(out, at, *places[offset], page_flags)
    open(target, "wb").write(out)
    print(json.dumps({"pages": present}))


if __name__ == "__main__":
    main()
