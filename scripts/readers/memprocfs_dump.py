"""Reads a kernel dump with MemProcFS and its LeechCore and prints what they saw
as JSON.

    memprocfs_dump.py FILE RAW TABLE [ADDRESS:LENGTH ...]

RAW is a raw image of the same physical memory: every page that LeechCore has is
compared with it. MemProcFS is started with the page table TABLE (hexadecimal; `-`:
not at all, only LeechCore) and reads each ADDRESS:LENGTH (hexadecimal) of virtual memory; the bytes stand
under "samples". That much it does offline; naming processes and modules asks
for a guest that it knows, whose symbols it fetches.
"""

import json
import os
import sys

import leechcorepyc
import memprocfs

PAGE = 4096
CHUNK = 256


def different_pages(dump, raw):
    different = []
    for part in dump.memmap:
        start, end = part["base"], part["base"] + part["size"]
        for at in range(start, end, CHUNK * PAGE):
            size = min(CHUNK * PAGE, end - at)
            ours, image = dump.read(at, size), os.pread(raw, size, at)
            if ours != image:
                different += [
                    (at + i) // PAGE
                    for i in range(0, size, PAGE)
                    if ours[i:i + PAGE] != image[i:i + PAGE]
                ]
    return different


def main():
    path, raw, table = sys.argv[1:4]
    dump = leechcorepyc.LeechCore("file://" + path)
    seen = {
        "runs": [[part["base"] // PAGE, part["size"] // PAGE] for part in dump.memmap],
        "different": different_pages(dump, os.open(raw, os.O_RDONLY)),
    }
    dump.close()
    if table != "-":
        seen["samples"] = samples(path, table)
    print(json.dumps(seen))


def samples(path, table):
    machine = memprocfs.Vmm(["-device", path, "-dtb", "0x" + table, "-disable-symbolserver", "-disable-python"])
    memory = machine.process_list()[0].memory
    places = [[int(part, 16) for part in text.split(":")] for text in sys.argv[4:]]
    found = [bytes(memory.read(at, length)).hex() for at, length in places]
    machine.close()
    return found


if __name__ == "__main__":
    main()
