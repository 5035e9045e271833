"""For `gdb -batch -p PID -x gdb_frames.py`: the frames of every thread, as one
line `FRAMES [{"tid", "frames": [[pc, function], ...]}, ...]`.

Inlined frames and those of tail calls are left out: they are not on the stack
but concluded from debug information, and debuggers differ in that.
"""

import json

import gdb

MOST_FRAMES = 200


def frames():
    frame = gdb.newest_frame()
    while frame is not None:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            yield [frame.pc(), frame.name()]
        try:
            frame = frame.older()
        except gdb.error:
            return


def main():
    gdb.execute("set backtrace past-main on")
    threads = []
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
        thread.switch()
        found = []
        for frame in frames():
            found.append(frame)
            if len(found) == MOST_FRAMES:
                break
        threads.append({"tid": thread.ptid[1], "frames": found})
    print("FRAMES " + json.dumps(threads))


main()
