"""A client of the vtables that knows nothing of our header: interfaces, order of
methods, types of arguments and ids come from mingw-w64's dbgeng.h, and the calls
are made by ctypes.

    python3 client.py LIBRARY DBGENG.H FOLDER

Starts two processes, dumps them through every way that a client has, and opens the
dumps again. Fails with an exception; says OK at the end.
"""

import ctypes
import glob
import os
import re
import struct
import subprocess
import sys
import threading

library_path, header_path, folder = sys.argv[1:]
library = ctypes.CDLL(library_path)
header = open(header_path, encoding="latin-1").read()

TYPES = {"ULONG": ctypes.c_uint32, "LONG": ctypes.c_int32, "ULONG64": ctypes.c_uint64}
TYPES |= {"USHORT": ctypes.c_uint16, "UCHAR": ctypes.c_uint8}
S_OK, S_FALSE = 0, 1
E_INVALIDARG, E_UNEXPECTED, E_NOTIMPL = 0x80070057, 0x8000FFFF, 0x80004001
E_NOINTERFACE, E_POINTER, FILE_EXISTS = 0x80004002, 0x80004003, 0x80070050
SMALL, MA, NO_OVERWRITE = 1024, 0xC07, 0x80000000
NONINVASIVE, NO_SUSPEND = 1, 4


def methods(interface):
    """Names and argument types of an interface, in order."""
    body = re.search(r"DECLARE_INTERFACE_\(%s,IUnknown\) \{(.*?)\n  \};" % interface, header, re.S)
    for name, arguments in re.findall(r"STDMETHODV?(?:_\(\w+,)?\(?(\w+)\)\(THIS_? ?(.*?)\) PURE", body[1]):
        kinds = [a.rsplit(" ", 1)[0].strip() for a in arguments.split(",") if a.strip()]
        yield name, [TYPES.get(kind, ctypes.c_void_p) for kind in kinds]


def iid(interface):
    found = re.search(r"DEFINE_GUID\(IID_%s,(.*?)\)" % interface, header)
    parts = [int(n, 16) for n in found[1].split(",")]
    return struct.pack("<IHH8B", *parts)


class Face:
    """An interface pointer."""

    def __init__(self, interface, pointer):
        self.pointer = pointer
        table = ctypes.cast(pointer, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
        for place, (name, kinds) in enumerate(methods(interface)):
            prototype = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, *kinds)
            setattr(self, name, self.bind(prototype(table[place])))

    def bind(self, function):
        return lambda *arguments: function(self.pointer, *arguments)

    def query(self, interface):
        pointer = ctypes.c_void_p()
        assert self.QueryInterface(iid(interface), ctypes.addressof(pointer)) == S_OK, interface
        return Face(interface, pointer.value)


def number(call, *arguments, kind=ctypes.c_uint32):
    value = kind()
    answer = call(*arguments, ctypes.addressof(value))
    assert answer == S_OK, hex(answer)
    return value.value


class Listener:
    """IDebugOutputCallbacks, with its own count of references."""

    def __init__(self):
        self.text, self.references, self.threads = "", 1, set()
        pointer, ulong = ctypes.c_void_p, ctypes.c_uint32
        self.functions = [
            ctypes.CFUNCTYPE(ulong, pointer, pointer, pointer)(lambda *_: E_NOINTERFACE),
            ctypes.CFUNCTYPE(ulong, pointer)(lambda _: self.count(1)),
            ctypes.CFUNCTYPE(ulong, pointer)(lambda _: self.count(-1)),
            ctypes.CFUNCTYPE(ulong, pointer, ulong, ctypes.c_char_p)(self.output),
        ]
        self.table = (pointer * 4)(*(ctypes.cast(f, pointer) for f in self.functions))
        self.object = pointer(ctypes.addressof(self.table))
        self.pointer = ctypes.addressof(self.object)

    def count(self, by):
        self.references += by
        return self.references

    def output(self, _, mask, text):
        self.text += text.decode()
        self.threads.add(threading.get_ident())
        return S_OK

    def heard(self):
        text, self.text = self.text, ""
        return text


class Target:
    def __init__(self):
        code = (
            "import ctypes,sys;m=ctypes.create_string_buffer(b'the marker of %d' % __import__('os').getpid());"
            "print(ctypes.addressof(m),flush=True);sys.stdin.read()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid, self.marker = self.process.pid, int(self.process.stdout.readline())
        self.text = b"the marker of %d" % self.pid

    def stops(self):
        return open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()[0] in "tT"

    def end(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def file(name):
    return os.path.join(folder, name)


def create():
    pointer = ctypes.c_void_p()
    create = library.DebugCreate
    create.restype = ctypes.c_uint32
    assert create(iid("IDebugClient4"), ctypes.byref(pointer)) == S_OK
    return Face("IDebugClient4", pointer.value)


def check_target(target, spaces, objects, symbols):
    buffer, done = ctypes.create_string_buffer(len(target.text)), ctypes.c_uint32()
    at = ctypes.addressof
    assert spaces.ReadVirtual(target.marker, at(buffer), len(buffer), at(done)) == S_OK
    assert buffer.raw == target.text and done.value == len(buffer)
    assert number(objects.GetCurrentProcessSystemId) == target.pid
    assert number(objects.GetNumberThreads) >= 1
    loaded = ctypes.c_uint32()
    count = number(lambda out: symbols.GetNumberModules(out, at(loaded)))
    names = []
    for index in range(count):
        base = number(symbols.GetModuleByIndex, index, kind=ctypes.c_uint64)
        name = ctypes.create_string_buffer(4096)
        assert symbols.GetModuleNames(index, 0, at(name), 4096, 0, 0, 0, 0, 0, 0, 0) == S_OK
        assert spaces.ReadVirtual(base, at(buffer), 4, 0) == S_OK
        assert buffer.raw[:4] == b"\x7fELF" or b"vdso" in name.value, name.value
        names.append(name.value.decode())
    assert any("libc.so" in name or "python" in name for name in names), names


def run():
    targets = [Target(), Target()]
    client, listener = create(), Listener()
    control, spaces = client.query("IDebugControl2"), client.query("IDebugDataSpaces2")
    symbols, objects = client.query("IDebugSymbols"), client.query("IDebugSystemObjects")
    assert client.SetOutputCallbacks(listener.pointer) == S_OK and listener.references == 2
    assert client.QueryInterface(iid("IDebugAdvanced"), ctypes.addressof(ctypes.c_void_p())) == E_NOINTERFACE
    assert client.QueryInterface(iid("IDebugClient"), None) == E_POINTER
    ids = (ctypes.c_uint32 * 65536)()
    found = number(client.GetRunningProcessSystemIds, 0, ctypes.addressof(ids), 65536)
    assert {t.pid for t in targets} <= set(ids[:found])
    assert client.WriteDumpFile2(file("x.dmp").encode(), SMALL, MA, None) == E_UNEXPECTED

    first, second = targets
    for target in targets:
        assert client.AttachProcess(0, target.pid, NONINVASIVE) == S_OK
        assert control.WaitForEvent(0, 1000) == S_OK
        assert target.stops()
        check_target(target, spaces, objects, symbols)
    assert number(objects.GetNumberProcesses) == 2
    live = file("live.dmp")
    assert client.WriteDumpFile2(live.encode(), SMALL, MA | NO_OVERWRITE, b"by ctypes") == S_OK
    assert client.WriteDumpFile2(live.encode(), SMALL, MA | NO_OVERWRITE, None) == FILE_EXISTS
    assert client.WriteDumpFile2(live.encode(), SMALL, 0x80000, None) == E_INVALIDARG
    assert client.WriteDumpFile2(None, SMALL, MA, None) == E_INVALIDARG
    assert "Writing: 100%" in listener.heard()
    # Several commands; a comment with a semicolon and spaces; a name with spaces.
    command = '.dump /o /ma /c "a; b" "%s"; .dump /mh /b %s' % (file("two words.dmp"), file("small.cab"))
    assert control.Execute(0, command.encode(), 0) == S_OK
    assert control.Execute(0, (".dump /m %s" % live).encode(), 0) == FILE_EXISTS
    assert "exists" in listener.heard()
    assert control.Execute(0, (".dump /a %s" % file("all.dmp")).encode(), 0) == E_INVALIDARG
    assert "/u" in listener.heard()
    assert control.Execute(0, (".dump /a /u /m %s" % file("all.dmp")).encode(), 0) == S_OK
    every = glob.glob(file("all_*.dmp"))
    assert sorted(int(name[:-4].rsplit("_", 1)[1]) for name in every) == sorted(t.pid for t in targets)
    # As far as it knows, no dump can be written twice in a millisecond.
    assert control.Execute(0, b"lm", 0) == E_NOTIMPL and "lm" in listener.heard()
    assert client.DetachProcesses() == S_OK
    assert not any(t.stops() for t in targets)

    assert client.AttachProcess(0, first.pid, NONINVASIVE | NO_SUSPEND) == S_OK
    assert not first.stops()
    wide = file("wide.dmp").encode("utf-16le") + b"\0\0"
    assert client.WriteDumpFileWide(wide, 0, SMALL, MA, "ж".encode("utf-16le") + b"\0\0") == S_OK
    with open(file("handle.dmp"), "w+b") as opened:
        assert client.WriteDumpFileWide(None, opened.fileno(), SMALL, MA, None) == S_OK
        opened.seek(0)
        assert opened.read(4) == b"MDMP"
    assert client.DetachCurrentProcess() == S_OK
    first.end()
    listener.heard()
    for name, target in [("two words.dmp", second), ("wide.dmp", first), ("handle.dmp", first)]:
        assert client.OpenDumpFile(file(name).encode()) == S_OK
        check_target(target, spaces, objects, symbols)
        assert number(control.GetDumpFormatFlags) & MA == MA
        assert client.WriteDumpFile2(file("again.dmp").encode(), SMALL, 0, b"smaller") == S_OK
        assert os.path.getsize(file("again.dmp")) < os.path.getsize(file(name))
        assert client.DetachProcesses() == S_OK
    heard = listener.heard()
    assert "Comment: 'a; b'" in heard and "Comment: 'ж'" in heard, heard
    assert listener.threads == {threading.get_ident()}
    second.end()

    # Every interface counts with the others; the client lives until the last is gone.
    assert client.SetOutputCallbacks(None) == S_OK and listener.references == 1
    left = [face.Release() for face in (control, spaces, symbols, objects)]
    assert left == [4, 3, 2, 1] and client.AddRef() == 2
    assert [client.Release(), client.Release()] == [1, 0]
    print("OK")


run()
