"""The comparison behind bench/kernel: kernel dumps from memory images and, where
QEMU is installed, from a live guest.

Rounds are interleaved, before each run the previous output is removed and dirty
pages are flushed, and the table has medians, as in compare.py.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from compare import DUMPWRIGHT, ROOT, measure, progress, remove_outputs

GUEST = os.path.join(ROOT, "target/release/examples/guest")


def rounds(writers, output, count):
    """name -> (seconds, KiB, bytes) medians; a writer that fails ends the run."""
    results = {name: [] for name in writers}
    for number in range(count):
        order = list(writers)
        order = order[number % len(order):] + order[:number % len(order)]
        for name in order:
            progress(f"round {number + 1} of {count}: {name}")
            result, error = measure(writers[name], output)
            if error:
                raise SystemExit(f"bench: {name}: {error}")
            results[name].append(result)
    progress("")
    remove_outputs(output)
    return {name: tuple(statistics.median(c) for c in zip(*r)) for name, r in results.items()}


def show(title, medians):
    print(f"\n{title}")
    print(f"{'writer':34}{'wall':>12}{'size':>14}{'peak memory':>14}")
    for name, (seconds, rss, size) in medians.items():
        print(f"{name:34}{seconds * 1000:>9.0f} ms{size / 1e6:>11.1f} MB{rss / 1024:>10.1f} MiB")


def images(options, folder):
    """The two images; verdicts of both."""
    output = os.path.join(folder, "kernel.dmp")
    dump = [DUMPWRIGHT, "dump", "-o", "-z"]
    full = os.path.join(folder, "full.raw")
    subprocess.run([GUEST, "--filled", full, str(options.gib)], check=True)
    medians = rounds({
        "dumpwright --type full": [*dump, full, "--ranges", "flat", "--type", "full", output],
        "dumpwright --type bitmap-full": [*dump, full, "--ranges", "flat", "--type", "bitmap-full", output],
        "cp --sparse=never": ["cp", "--sparse=never", full, output],
    }, output, options.rounds)
    os.remove(full)
    show(f"Complete dump of a raw image of {options.gib} GiB, no page of it zero", medians)
    peaks = [medians[name][1] for name in medians if name.startswith("dumpwright")]
    ratio = medians["dumpwright --type full"][0] / medians["cp --sparse=never"][0]
    yield f"full dump of {options.gib} GiB within 1.2 times of cp --sparse=never", ratio <= 1.2, f"{ratio:.2f}"

    sparse = os.path.join(folder, "sparse.elf")
    subprocess.run([GUEST, "--sparse", sparse, "64"], check=True)
    medians = rounds({
        "dumpwright -k": [*dump, sparse, "-k", output],
        "dumpwright --type bitmap-kernel": [*dump, sparse, "--type", "bitmap-kernel", output],
        "dumpwright -m": [*dump, sparse, "-m", output],
    }, output, options.rounds)
    os.remove(sparse)
    show("Kernel dumps of an ELF core of 64 GiB, nearly all of it zero", medians)
    peaks += [m[1] for m in medians.values()]
    slowest = max(m[0] for m in medians.values())
    yield "selection in 64 GiB in seconds", slowest < 10, f"{slowest:.2f} s"
    peak = max(peaks) / 1024
    yield "peak memory under 128 MiB in all cases", peak < 128, f"{peak:.1f} MiB"


class Qemu:
    """A guest with nothing but firmware, its memory in a file that is shared."""

    def __init__(self, mib, folder):
        self.sockets = [os.path.join(folder, name) for name in ("a.sock", "b.sock")]
        memory = f"memory-backend-file,id=ram,size={mib}M,share=on,mem-path={folder}/ram"
        command = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35,memory-backend=ram",
                   "-m", str(mib), "-object", memory, "-display", "none", "-nodefaults"]
        for path in self.sockets:
            command += ["-qmp", f"unix:{path},server=on,wait=off"]
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        for _ in range(100):
            if all(map(os.path.exists, self.sockets)):
                return
            time.sleep(0.1)
        raise SystemExit("bench: QEMU did not start")

    def dump(self, path):
        """Seconds that `dump-guest-memory` holds the guest."""
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.connect(self.sockets[1])
            lines = qmp.makefile("rw")
            lines.readline()

            def ask(command, **arguments):
                lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
                lines.flush()
                while True:
                    answer = json.loads(lines.readline())
                    if "error" in answer:
                        raise SystemExit(f"bench: {command}: {answer['error']}")
                    if "return" in answer:
                        return
            ask("qmp_capabilities")
            start = time.monotonic()
            ask("dump-guest-memory", paging=False, protocol="file:" + path)
            return time.monotonic() - start

    def end(self):
        self.child.kill()
        self.child.wait()


def live(options, folder):
    """The pause of a live guest."""
    if not shutil.which("qemu-system-x86_64"):
        print("SKIPPED: qemu-system-x86_64 is not installed; the live guest is left out", file=sys.stderr)
        return
    output = os.path.join(folder, "live.dmp")
    with tempfile.TemporaryDirectory() as sockets:
        qemu = Qemu(options.live_mib, sockets)
        try:
            time.sleep(5)
            held, theirs = [], []
            for number in range(options.rounds):
                progress(f"live guest, round {number + 1}")
                remove_outputs(output)
                os.sync()
                run = subprocess.run(
                    [DUMPWRIGHT, "dump", "--qemu", qemu.sockets[0], "-f", "-o", "--json", output],
                    capture_output=True, text=True)
                if run.returncode != 0:
                    raise SystemExit(f"bench: dumpwright --qemu: {run.stderr.strip()}")
                held.append(json.loads(run.stdout)["held_ms"] / 1000)
                remove_outputs(output)
                os.sync()
                theirs.append(qemu.dump(output))
        finally:
            qemu.end()
            progress("")
            remove_outputs(output)
    ours, theirs = statistics.median(held), statistics.median(theirs)
    print(f"\nLive guest of {options.live_mib} MiB, held by\n"
          f"  dumpwright --qemu   {ours * 1000:>8.1f} ms\n  dump-guest-memory   {theirs * 1000:>8.1f} ms")
    yield "pause of a live guest 10 times shorter than dump-guest-memory's", theirs / ours >= 10, f"{theirs / ours:.1f}"


def main():
    parser = argparse.ArgumentParser(prog="bench/kernel", description="Kernel dumps: speed, memory, pause.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gib", type=int, default=4, help="size of the image that is dumped whole (default 4)")
    parser.add_argument("--live-mib", type=int, default=2048, help="memory of the live guest (default 2048)")
    parser.add_argument("--no-live", action="store_true", help="without the live guest")
    parser.add_argument("--out", default=os.path.join(ROOT, "bench/target/out"), help="folder for images and dumps (three times the image)")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    verdicts = list(images(options, options.out))
    if not options.no_live:
        verdicts += live(options, options.out)
    print()
    for text, met, value in verdicts:
        print(f"{'met' if met else 'NOT MET':13}{text}: {value}")
    return 0 if all(met for _, met, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
