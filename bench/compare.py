"""The comparison behind bench/run.

Rounds are interleaved (each round runs every writer once, in turning order),
so that a slow minute of the machine falls on all of them; the table has
medians. Every writer writes to the same folder; before each run the previous
output is removed and dirty pages are flushed, so no one pays for another's.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = os.path.join(ROOT, "bench/target/release")
DUMPWRIGHT = os.path.join(ROOT, "target/release/dumpwright")
# (name, heap in MiB, threads)
TARGETS = [("A", 1024, 64), ("B", 64, 1000)]
# A peer slower than this is not waited for.
TIMEOUT = 300


def writers(lldb):
    """name -> (kind, command from pid, output file, ranges file)"""
    save = "process save-core --plugin-name=minidump --style={} {}"
    return {
        "dumpwright -ma": ("full", lambda p, o, r: [DUMPWRIGHT, "dump", "-p", p, "-ma", "-o", o]),
        "floor (readv+write)": ("full", lambda p, o, r: [TOOLS + "/floor", p, r, o]),
        "gcore": ("full", lambda p, o, r: ["gcore", "-o", o, p]),
        "lldb full": ("full", lambda p, o, r: [lldb, "--no-lldbinit", "-b", "-p", p, "-o", save.format("full", o), "-o", "detach"]),
        "dumpwright -m": ("small", lambda p, o, r: [DUMPWRIGHT, "dump", "-p", p, "-m", "-o", o]),
        "minidump-writer": ("small", lambda p, o, r: [TOOLS + "/peer-minidump-writer", p, o]),
        "lldb stacks": ("small", lambda p, o, r: [lldb, "--no-lldbinit", "-b", "-p", p, "-o", save.format("stack", o), "-o", "detach"]),
    }


def memory_ranges(path):
    """The ranges of a minidump's memory lists, read here and not by dumpwright."""
    ranges = []
    with open(path, "rb") as f:
        signature, _, streams, directory = struct.unpack("<4sIII", f.read(16))
        if signature != b"MDMP":
            raise SystemExit(f"bench: {path} is not a minidump")
        f.seek(directory)
        for kind, _, rva in struct.iter_unpack("<III", f.read(12 * streams)):
            f.seek(rva)
            if kind == 5:
                (count,) = struct.unpack("<I", f.read(4))
                ranges += [(start, start + size) for start, size, _ in struct.iter_unpack("<QII", f.read(16 * count))]
            elif kind == 9:
                count, _ = struct.unpack("<QQ", f.read(16))
                ranges += [(start, start + size) for start, size in struct.iter_unpack("<QQ", f.read(16 * count))]
    return sorted(ranges)


class Target:
    """The process that is dumped; ended, by its handle, on the way out."""

    def __init__(self, heap, threads):
        self.child = subprocess.Popen(
            [os.path.join(ROOT, "bench/target/bench-target"), str(heap), str(threads)],
            stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.child.stdout.readline().strip() != "READY":
            raise SystemExit("bench: the target did not start")
        return str(self.child.pid)

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def output_files(path):
    """gcore appends the pid to the name that it is given."""
    folder, name = os.path.split(path)
    return [os.path.join(folder, f) for f in os.listdir(folder) if f.startswith(name)]


def remove_outputs(path):
    for f in output_files(path):
        os.remove(f)


def measure(command, output):
    """Runs a writer once: seconds, KiB at its peak, bytes written; or why not."""
    remove_outputs(output)
    os.sync()
    try:
        run = subprocess.run([TOOLS + "/measure", *command], capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return None, f"took more than {TIMEOUT} s"
    if run.returncode != 0:
        return None, (run.stderr.strip().splitlines() or ["failed"])[-1]
    result = json.loads(run.stdout.strip().splitlines()[-1])
    written = sum(os.stat(f).st_size for f in output_files(output))
    if result["status"] != 0 or written == 0:
        lines = run.stderr.strip().splitlines() or [f"exit status {result['status']}, {written} bytes"]
        return None, lines[-1]
    return (result["seconds"], result["rss_kib"], written), None


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def compare(name, heap, threads, options, folder):
    """Runs all rounds on one target; name -> medians or an error text."""
    table = {k: v for k, v in writers(options.lldb).items()
             if not any(s and s in k for s in options.skip)}
    if name == "B" and not options.slow:
        for slow in ("gcore", "lldb full"):
            table.pop(slow, None)
    output = os.path.join(folder, f"{name}.dmp")
    ranges = os.path.join(folder, f"{name}.ranges")
    results, errors = {k: [] for k in table}, {}
    with Target(heap, threads) as pid:
        # One dump that is not timed, for the ranges that the floor copies.
        subprocess.run(writers(options.lldb)["dumpwright -ma"][1](pid, output, ranges), check=True,
                       stdout=subprocess.DEVNULL)
        found = memory_ranges(output)
        if sum(end - start for start, end in found) < heap << 20:
            raise SystemExit(f"bench: the full dump of target {name} lacks its heap; nothing to compare")
        with open(ranges, "w") as f:
            f.writelines(f"{start:x} {end:x}\n" for start, end in found)
        for number in range(options.rounds):
            order = list(table)
            order = order[number % len(order):] + order[:number % len(order)]
            for writer in order:
                if writer in errors:
                    continue
                progress(f"{name}, round {number + 1} of {options.rounds}: {writer}")
                result, error = measure(table[writer][1](pid, output, ranges), output)
                if error:
                    errors[writer] = error
                else:
                    results[writer].append(result)
        progress("")
    medians = {k: tuple(statistics.median(column) for column in zip(*v)) for k, v in results.items() if v and k not in errors}
    return table, medians, errors


def show(name, heap, threads, table, medians, errors):
    print(f"\nTarget {name}: {heap} MiB of touched heap, {threads} threads")
    print(f"{'writer':22}{'wall':>11}{'size':>13}{'peak memory':>14}{'time / dumpwright':>20}")
    for writer, (kind, _) in table.items():
        if writer in errors:
            print(f"{writer:22}  failed: {errors[writer]}")
            continue
        seconds, rss, size = medians[writer]
        own = medians.get("dumpwright -ma" if kind == "full" else "dumpwright -m")
        ratio = f"{seconds / own[0]:.2f}" if own else "-"
        print(f"{writer:22}{seconds * 1000:>8.1f} ms{size / 1e6:>10.2f} MB{rss / 1024:>10.1f} MiB{ratio:>20}")


def verdicts(results):
    """The project's targets, each met or not by this run."""
    def time(target, writer):
        return results.get(target, ({}, {}, {}))[1].get(writer, (None,))[0]

    def at_least(text, slow, fast, factor):
        if slow is None or fast is None:
            return text, None, ""
        return text, slow / fast >= factor, f"{slow / fast:.2f}"

    yield at_least("A: full dump at least 6 times as fast as gcore", time("A", "gcore"), time("A", "dumpwright -ma"), 6)
    yield at_least("A: full dump at least 20 times as fast as LLDB's", time("A", "lldb full"), time("A", "dumpwright -ma"), 20)
    floor, own = time("A", "floor (readv+write)"), time("A", "dumpwright -ma")
    yield ("A: full dump within 1.3 times of the bare loop",
           None if floor is None or own is None else own <= 1.3 * floor,
           "" if floor is None or own is None else f"{own / floor:.2f}")
    yield at_least("B: small dump no slower than minidump-writer", time("B", "minidump-writer"), time("B", "dumpwright -m"), 1)
    peaks = [medians[w][1] / 1024 for _, medians, _ in results.values() for w in medians if w.startswith("dumpwright")]
    yield ("peak memory under 64 MiB in all cases", max(peaks) < 64 if peaks else None,
           f"{max(peaks):.1f} MiB" if peaks else "")


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description="Compares dumpwright with other writers of dumps.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every writer (default 5)")
    parser.add_argument("--quick", action="store_true", help="without gcore and lldb, three rounds")
    parser.add_argument("--slow", action="store_true", help="also gcore and lldb full on target B (8 GB and more)")
    parser.add_argument("--skip", default="", help="comma-separated parts of names of writers to leave out")
    parser.add_argument("--target", choices=["A", "B"], help="only this target")
    parser.add_argument("--out", default=os.path.join(ROOT, "bench/target/out"), help="folder for the dumps")
    parser.add_argument("--json", help="also write the medians to this file")
    options = parser.parse_args()
    options.skip = options.skip.split(",")
    if options.quick:
        options.rounds = min(options.rounds, 3)
        options.skip += ["gcore", "lldb"]
    options.lldb = shutil.which("lldb-19") or shutil.which("lldb") or ""
    for tool, found in (("gcore", shutil.which("gcore")), ("lldb", options.lldb)):
        if not found and tool not in options.skip:
            print(f"SKIPPED: {tool} is not installed; its rows and targets are left out", file=sys.stderr)
            options.skip.append(tool)

    os.makedirs(options.out, exist_ok=True)
    results = {}
    for name, heap, threads in TARGETS:
        if options.target in (None, name):
            try:
                results[name] = compare(name, heap, threads, options, options.out)
            finally:
                remove_outputs(os.path.join(options.out, name + "."))
            show(name, heap, threads, *results[name])
    print()
    met = True
    for text, verdict, value in verdicts(results):
        word = {True: "met", False: "NOT MET", None: "not measured"}[verdict]
        met = met and verdict is not False
        print(f"{word:13}{text}{': ' + value if value else ''}")
    if options.json:
        with open(options.json, "w") as f:
            json.dump({n: {w: dict(zip(("seconds", "rss_kib", "bytes"), m)) for w, m in r[1].items()} for n, r in results.items()}, f, indent=1)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
