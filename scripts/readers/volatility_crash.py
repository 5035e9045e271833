"""Reads a kernel dump with volatility3's crash-dump layer and prints what it saw
as JSON.

    volatility_crash.py FILE RAW

RAW is a raw image of the same physical memory: every page that the layer has is
compared with it. The layer is driven alone, without plugins, since those ask
for symbol tables of the kernel that cannot be had offline. It knows bitmaps of
type 5 only; types 6 and 7 have the same, and are handed to it as that.
"""

import json
import os
import pathlib
import sys

from volatility3.framework import contexts, interfaces
from volatility3.framework.layers import crash, physical

PAGE = 4096
# Pages that are read at a time.
CHUNK = 256


class Bitmaps(crash.WindowsCrashDump64Layer):
    """The layer, with every type of bitmap."""

    supported_dumptypes = [1, 5, 6, 7]

    def _load_segments(self):
        kind = self.dump_type
        self.dump_type = 5 if kind in (6, 7) else kind
        super()._load_segments()
        self.dump_type = kind


def layer_of(path):
    context = contexts.Context()
    join = interfaces.configuration.path_join
    context.config[join("file", "location")] = pathlib.Path(path).resolve().as_uri()
    context.add_layer(physical.FileLayer(context, "file", "file"))
    crash.WindowsCrashDump64Layer = Bitmaps
    layer = crash.WindowsCrashDumpStacker.stack(context, "file")
    if layer is None:
        sys.exit(f"volatility3 sees no crash dump in {path}")
    return layer


def different_pages(layer, raw):
    """Pages that are not as in the image."""
    different = []
    for start, _, length, _ in layer._segments:
        for at in range(start, start + length, CHUNK * PAGE):
            size = min(CHUNK * PAGE, start + length - at)
            ours, image = layer.read(at, size), os.pread(raw, size, at)
            if ours != image:
                different += [
                    (at + i) // PAGE
                    for i in range(0, size, PAGE)
                    if ours[i:i + PAGE] != image[i:i + PAGE]
                ]
    return different


def main():
    layer = layer_of(sys.argv[1])
    raw = os.open(sys.argv[2], os.O_RDONLY)
    header = layer.get_header()
    print(json.dumps({
        "layer": (Bitmaps.__base__ if type(layer) is Bitmaps else type(layer)).__name__,
        "dump_type": int(header.DumpType),
        "directory_table_base": int(header.DirectoryTableBase),
        "machine": int(header.MachineImageType),
        "processors": int(header.NumberProcessors if hasattr(header, "NumberProcessors") else header.NumberOfProcessors),
        "loaded_module_list": int(header.PsLoadedModuleList),
        "active_process_head": int(header.PsActiveProcessHead),
        "debugger_data": int(header.KdDebuggerDataBlock),
        "bug_check": int(header.BugCheckCode),
        "runs": [[start // PAGE, length // PAGE] for start, _, length, _ in layer._segments],
        "different": different_pages(layer, raw),
    }))


if __name__ == "__main__":
    main()
