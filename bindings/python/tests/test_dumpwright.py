"""The package against a process of its own; run by scripts/python-bindings.

Only the standard library and, where it is there, PyPI's `minidump`.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import dumpwright

# PyPI minidump looks for a PEB in every dump, and complains.
logging.disable(logging.ERROR)

MARKER = b"a marker in the memory of the target"
TARGET = """
import sys, threading
marker = bytearray(%r)
big = bytearray(b"x" * (300 << 20))
threading.Thread(target=threading.Event().wait, daemon=True).start()
import ctypes
print(ctypes.addressof(ctypes.c_char.from_buffer(marker)), flush=True)
sys.stdin.read()
""" % MARKER


class Bindings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = subprocess.Popen(
            [sys.executable, "-c", TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        cls.address = int(cls.target.stdout.readline())
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.target.stdin.close()
        cls.target.wait()
        cls.target.stdout.close()
        cls.folder.cleanup()

    def file(self, name):
        return os.path.join(self.folder.name, name)

    def test_a_crash_is_waited_for(self):
        target = subprocess.Popen(["sleep", "600"])
        path = self.file("crash.dmp")
        with self.assertRaises(dumpwright.DumpwrightError) as raised:
            dumpwright.dump_on(target.pid, "crash", path, wait_seconds=0.2)
        self.assertEqual(raised.exception.hresult, 0x800705B4)
        with self.assertRaises(dumpwright.InvalidRequest):
            dumpwright.dump_on(target.pid, "boredom", path)
        with self.assertRaises(dumpwright.InvalidRequest):
            dumpwright.dump_on(target.pid, "crash", path, wait_seconds=-1)
        phases = set()
        with self.assertRaises(dumpwright.Cancelled):
            dumpwright.dump_on(
                target.pid, "exit", path, progress=lambda phase, *_: phases.add(phase) or False
            )
        self.assertEqual(phases, {"wait"})
        threading.Timer(0.5, target.send_signal, [signal.SIGSEGV]).start()
        dumpwright.dump_on(target.pid, "crash", path)
        self.assertEqual(target.wait(), -signal.SIGSEGV)
        self.assertEqual(dumpwright.open(path).exception["code"], signal.SIGSEGV)

    def test_a_dump_holds_what_the_target_has(self):
        path = self.file("app.dmp")
        summary = dumpwright.dump(
            self.target.pid, path, flags=dumpwright.MA, comment="from Python \u2713"
        )
        self.assertEqual(summary.pid, self.target.pid)
        self.assertEqual(str(summary.file), path)
        self.assertEqual(summary.size, os.path.getsize(path))
        self.assertIn("dumpwright.Summary", repr(summary))

        dump = dumpwright.open(path)
        self.assertEqual(dump.comment, "from Python \u2713")
        self.assertEqual(dump.pid, self.target.pid)
        self.assertEqual(len(dump.threads), summary.threads)
        self.assertGreaterEqual(summary.threads, 2)
        self.assertIn(self.target.pid, [t["id"] for t in dump.threads])
        self.assertTrue(all(t["registers"] for t in dump.threads))
        self.assertEqual(dump.read_memory(self.address, len(MARKER)), MARKER)
        base = dump.modules[0]["base"]
        self.assertEqual(dump.read_memory(base, 4), b"\x7fELF")
        self.assertEqual(dump.verify(), [])
        self.assertEqual(dumpwright.verify(path), [])
        self.assertIn(7, [kind for kind, _, _ in dump.streams])
        self.assertEqual(len(dump.stream(7)), 56)
        self.assertIsNone(dump.stream(0x1234))
        with self.assertRaises(LookupError):
            dump.read_memory(16, 4)
        json.loads(dump.soft_errors or "[]")

        again = dumpwright.dump_file(path, self.file("again.dmp"), comment="smaller")
        self.assertLess(again.size, summary.size)
        self.assertEqual(dumpwright.open(self.file("again.dmp")).comment, "smaller")

        try:
            from minidump.minidumpfile import MinidumpFile
        except ImportError:
            print("SKIPPED: PyPI minidump: it is not installed in this environment")
            return
        theirs = MinidumpFile.parse(path)
        ids = sorted(t.ThreadId for t in theirs.threads.threads)
        self.assertEqual(ids, sorted(t["id"] for t in dump.threads))

    def test_errors_have_types_and_codes(self):
        path = self.file("exists.dmp")
        with open(path, "w") as file:
            file.write("precious")
        with self.assertRaises(dumpwright.DumpExists) as caught:
            dumpwright.dump(self.target.pid, path)
        self.assertEqual(caught.exception.hresult, 0x80070050)
        self.assertIsInstance(caught.exception, dumpwright.DumpwrightError)
        with open(path) as file:
            self.assertEqual(file.read(), "precious")
        dumpwright.dump(self.target.pid, path, overwrite=True)
        for error, call in [
            (dumpwright.InvalidRequest, lambda: dumpwright.dump(1, "x.dmp", qualifier=3)),
            (dumpwright.InvalidRequest, lambda: dumpwright.dump(1, "x.dmp", flags=1 << 20)),
            (dumpwright.InvalidRequest, lambda: dumpwright.dump(1, "")),
            (dumpwright.NoSuchProcess, lambda: dumpwright.dump(0x7FFFFFF0, self.file("n.dmp"))),
            (dumpwright.DumpwrightError, lambda: dumpwright.dump(os.getpid(), self.file("n.dmp"))),
            (FileNotFoundError, lambda: dumpwright.open(self.file("absent.dmp"))),
            (dumpwright.NotADump, lambda: dumpwright.open(__file__)),
            (TypeError, lambda: dumpwright.dump("me", "x.dmp")),
        ]:
            with self.assertRaises(error):
                call()

    def test_flags_have_names(self):
        names = self.file("names.dmp")
        flags = dumpwright.USER_SMALL_THREAD_INFO | dumpwright.USER_SMALL_HANDLE_DATA
        for given in [
            flags,
            "USER_SMALL_THREAD_INFO|user_small_handle_data",
            ["DEBUG_FORMAT_USER_SMALL_THREAD_INFO", "USER_SMALL_HANDLE_DATA"],
        ]:
            dumpwright.dump(
                self.target.pid, names, qualifier="SMALL", flags=given, overwrite=True
            )
            # MiniDumpWithThreadInfo and MiniDumpWithHandleData.
            self.assertEqual(dumpwright.open(names).minidump_type & 0x1004, 0x1004)
        with self.assertRaisesRegex(dumpwright.InvalidRequest, "NO_SUCH"):
            dumpwright.dump(self.target.pid, names, flags="NO_SUCH", overwrite=True)

    def test_machines_are_dumped_and_read(self):
        image = os.environ.get("DUMPWRIGHT_TEST_MACHINE")
        if image is None:
            print("SKIPPED: machines in Python: DUMPWRIGHT_TEST_MACHINE names no memory image")
            return
        path, small = self.file("kernel.dmp"), self.file("small-kernel.dmp")
        summary = dumpwright.dump_file(image, path, qualifier="FULL", comment="a machine")
        self.assertEqual(summary.kernel_type, "full")
        self.assertEqual(summary.size, os.path.getsize(path))
        dumpwright.dump_file(path, small, qualifier=dumpwright.SMALL)
        with self.assertRaises(dumpwright.InvalidRequest):
            dumpwright.dump_file(image, self.file("no.dmp"), flags=dumpwright.MA)
        kernel = int(os.environ["DUMPWRIGHT_TEST_KERNEL"], 16)
        for name, kind in [(image, None), (path, "full"), (small, "triage")]:
            machine = dumpwright.open_machine(name)
            self.assertEqual(machine.kind, kind)
            self.assertGreater(machine.build, 0)
            self.assertGreater(machine.processors, 0)
            self.assertEqual(machine.modules[0]["base"], kernel)
            self.assertEqual(machine.verify(), [])
            self.assertEqual(dumpwright.verify(path), [])
        self.assertEqual(dumpwright.open_machine(path).comment, "a machine")
        machine = dumpwright.open_machine(path)
        self.assertEqual(machine.read_memory(kernel, 2), b"MZ")
        start, size = machine.memory_ranges[-1]
        page = machine.read_physical(start + size - 4096, 4096)
        self.assertEqual(page, dumpwright.open_machine(image).read_physical(start + size - 4096, 4096))
        with self.assertRaises(LookupError):
            machine.read_physical(start + size, 1)
        with self.assertRaises(LookupError):
            machine.read_memory(16, 1)
        with self.assertRaises(dumpwright.NotADump):
            dumpwright.open(path)
        with self.assertRaises(dumpwright.NotADump):
            dumpwright.open_machine(__file__)
        with self.assertRaises(dumpwright.DumpwrightError):
            dumpwright.dump_guest(self.file("no.sock"), self.file("no.dmp"))

    def test_progress_is_told_and_can_give_up(self):
        calls = []
        path = self.file("progress.dmp")
        dumpwright.dump(
            self.target.pid, path, flags=dumpwright.MA, progress=lambda *c: calls.append(c)
        )
        self.assertTrue(calls and calls[-1][0] == "write" and calls[-1][1] <= calls[-1][2])
        with self.assertRaises(dumpwright.Cancelled):
            dumpwright.dump(
                self.target.pid, self.file("no.dmp"), flags=dumpwright.MA,
                progress=lambda *_: False,
            )

        def fail(*_):
            raise KeyError("from the progress function")

        with self.assertRaises(KeyError):
            dumpwright.dump(
                self.target.pid, self.file("no.dmp"), flags=dumpwright.MA, progress=fail
            )
        self.assertFalse(os.path.exists(self.file("no.dmp")))

    def test_other_threads_run_and_ctrl_c_ends_a_dump(self):
        seen = []
        stop = threading.Event()

        def count():
            while not stop.is_set():
                seen.append(time.monotonic())
                time.sleep(0.001)

        counter = threading.Thread(target=count)
        counter.start()
        start = time.monotonic()
        dumpwright.dump(self.target.pid, self.file("threads.dmp"), flags=dumpwright.MA)
        end = time.monotonic()
        stop.set()
        counter.join()
        self.assertTrue(any(start < t < end for t in seen), "the GIL was held")

        def interrupt(*_):
            # A signal that comes while a dump is written.
            os.kill(os.getpid(), signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            dumpwright.dump(
                self.target.pid, self.file("interrupted.dmp"), flags=dumpwright.MA,
                progress=interrupt,
            )
        self.assertFalse(os.path.exists(self.file("interrupted.dmp")))
        self.assertIsNone(self.target.poll())

    def test_the_stubs_name_what_there_is(self):
        stubs = os.path.join(os.path.dirname(dumpwright.__file__), "__init__.pyi")
        with open(stubs) as file:
            text = file.read()
        for name in dir(dumpwright):
            if not name.startswith("_"):
                self.assertRegex(text, r"(?m)^(class |def |)%s\b" % name)


if __name__ == "__main__":
    unittest.main()
