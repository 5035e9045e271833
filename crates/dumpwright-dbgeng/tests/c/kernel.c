/*
 * A program that takes machines as targets: kernel dumps and memory images.
 *
 *   kernel run IMAGE FOLDER   opens IMAGE, prints what it finds, and writes a
 *                             dump of each kind to FOLDER, and of those again
 *   kernel guest SOCKET FOLDER   the same of a live guest
 *
 * Facts are lines of two words; a failed check makes the exit code 1.
 */
#include "check.h"

static IDebugClient4 *client;
/* What mingw-w64 declares; what came later is checked on Linux only. */
static IDebugControl2 *control;
static IDebugDataSpaces2 *spaces;
static IDebugSymbols *symbols;
static IDebugSystemObjects *objects;

static void fact(const char *name, ULONG64 value) {
    printf("%s %llx\n", name, (unsigned long long)value);
}

static HRESULT write_dump(const char *name, ULONG qualifier, ULONG flags, const char *comment) {
    return client->lpVtbl->WriteDumpFile2(client, file(name), qualifier, flags, comment);
}

static HRESULT execute(const char *options, const char *name) {
    char command[2048];
    snprintf(command, sizeof command, ".dump %s \"%s\"", options, file(name));
    return control->lpVtbl->Execute(control, DEBUG_OUTCTL_THIS_CLIENT, command, 0);
}

static void check_type(ULONG wanted) {
    ULONG class = 99, qualifier = 99, value = 0;
    EXPECT(control->lpVtbl->GetDebuggeeType(control, &class, &qualifier), S_OK);
    CHECK(class == DEBUG_CLASS_KERNEL);
    if (qualifier != wanted)
        printf("FAILED: the qualifier is %u and not %u\n", (unsigned)qualifier, (unsigned)wanted);
    CHECK(qualifier == wanted);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &value), S_OK);
    CHECK(value == DEBUG_STATUS_BREAK);
    EXPECT(control->lpVtbl->WaitForEvent(control, 0, INFINITE), S_OK);
}

static void tell_of_machine(void) {
    ULONG value = 0, code = 0;
    ULONG64 arguments[4] = {0};
    EXPECT(control->lpVtbl->GetActualProcessorType(control, &value), S_OK);
    fact("machine", value);
    EXPECT(control->lpVtbl->GetNumberProcessors(control, &value), S_OK);
    fact("processors", value);
    EXPECT(control->lpVtbl->GetPageSize(control, &value), S_OK);
    CHECK(value == 4096);
    EXPECT(control->lpVtbl->IsPointer64Bit(control), S_OK);
#ifndef _WIN32
    ULONG platform = 0, major = 0, minor = 0, kind = 0, build = 0;
    IDebugControl4 *late = (IDebugControl4 *)control;
    if (late->lpVtbl->GetSystemVersionValues(late, &platform, &major, &minor, &kind,
                                                &build) == S_OK) {
        CHECK(platform == 2 && major == 10 && minor == 0 && (kind == 0xF || kind == 0xC));
        fact("build", build);
    }
#endif
    if (control->lpVtbl->ReadBugCheckData(control, &code, &arguments[0], &arguments[1],
                                          &arguments[2], &arguments[3]) == S_OK) {
        fact("bugcheck", code);
        for (int i = 0; i < 4; i++)
            fact("argument", arguments[i]);
    }
    EXPECT(control->lpVtbl->ReadBugCheckData(control, NULL, &arguments[0], &arguments[1],
                                             &arguments[2], &arguments[3]),
           E_POINTER);
}

static void tell_of_modules(void) {
    ULONG loaded = 0, unloaded = 0, index = 99, needed = 0;
    ULONG64 base = 0, found = 0;
    char image[512], name[64];
    EXPECT(symbols->lpVtbl->GetNumberModules(symbols, &loaded, &unloaded), S_OK);
    for (ULONG i = 0; i < loaded; i++) {
        EXPECT(symbols->lpVtbl->GetModuleByIndex(symbols, i, &base), S_OK);
        EXPECT(symbols->lpVtbl->GetModuleNames(symbols, i, 0, image, sizeof image, &needed, name,
                                               sizeof name, NULL, NULL, 0, NULL),
               S_OK);
        printf("module %llx %s\n", (unsigned long long)base, image);
    }
    if (loaded == 0)
        return;
    EXPECT(symbols->lpVtbl->GetModuleByModuleName(symbols, "nt", 0, &index, &base), S_OK);
    CHECK(index == 0);
    EXPECT(symbols->lpVtbl->GetModuleByOffset(symbols, base + 0x100, 0, &index, &found), S_OK);
    CHECK(index == 0 && found == base);
    fact("kernel", base);
}

static void tell_of_memory(void) {
    ULONG done = 0, size = 0;
    ULONG64 base = 0, physical = 0, list = 0, pattern = 0, valid = 0;
    static unsigned char virtual_bytes[3 * 4096], physical_bytes[4096];
    if (spaces->lpVtbl->ReadDebuggerData(spaces, DEBUG_DATA_KernBase, &base, 8, &size) != S_OK)
        return;
    CHECK(size == 8);
    fact("kernbase", base);
    EXPECT(spaces->lpVtbl->ReadDebuggerData(spaces, DEBUG_DATA_PsLoadedModuleListAddr, &list, 8,
                                            &size),
           S_OK);
    fact("modulelist", list);
    EXPECT(spaces->lpVtbl->ReadDebuggerData(spaces, 25, &list, 8, &size), E_INVALIDARG);
    EXPECT(spaces->lpVtbl->ReadDebuggerData(spaces, 24, &list, 4, &size), E_INVALIDARG);
    if (spaces->lpVtbl->VirtualToPhysical(spaces, base, &physical) != S_OK)
        return; /* a small dump has no page tables */
    fact("physical", physical);
    EXPECT(spaces->lpVtbl->ReadVirtual(spaces, base, virtual_bytes, 4096, &done), S_OK);
    CHECK(done == 4096 && memcmp(virtual_bytes, "MZ", 2) == 0);
    EXPECT(spaces->lpVtbl->ReadPhysical(spaces, physical, physical_bytes, 4096, &done), S_OK);
    CHECK(done == 4096 && memcmp(virtual_bytes, physical_bytes, 4096) == 0);
#ifndef _WIN32
    IDebugDataSpaces4 *late = (IDebugDataSpaces4 *)spaces;
    EXPECT(late->lpVtbl->ReadPhysical2(late, physical + 8, 0, physical_bytes, 16, &done), S_OK);
    CHECK(done == 16 && memcmp(virtual_bytes + 8, physical_bytes, 16) == 0);
    EXPECT(late->lpVtbl->ReadPhysical2(late, physical, 9, physical_bytes, 16, &done),
           E_INVALIDARG);
#endif
    EXPECT(spaces->lpVtbl->ReadPhysical(spaces, 1ull << 50, physical_bytes, 16, &done), READ_FAULT);
    EXPECT(spaces->lpVtbl->ReadPhysical(spaces, physical, NULL, 16, &done), E_POINTER);
    EXPECT(spaces->lpVtbl->ReadVirtual(spaces, 0x1000, physical_bytes, 16, &done), READ_FAULT);
    CHECK(done == 0);
    EXPECT(spaces->lpVtbl->ReadPointersVirtual(spaces, 1, base, &pattern), S_OK);
    CHECK(memcmp(&pattern, virtual_bytes, 8) == 0);
    EXPECT(spaces->lpVtbl->SearchVirtual(spaces, base, 4096, (void *)"MZ", 2, 1, &list), S_OK);
    CHECK(list == base);
#ifndef _WIN32
    EXPECT(late->lpVtbl->GetValidRegionVirtual(late, base - 4096 * 4, 4096 * 5, &valid, &size),
           S_OK);
    CHECK(valid <= base && valid + size == base + 4096);
#else
    (void)valid;
#endif
}

static void tell_of_processors(void) {
    ULONG count = 0, id = 99, system_id = 99, current = 99;
    ULONG64 offset = 0, same = 0;
    EXPECT(objects->lpVtbl->GetNumberThreads(objects, &count), S_OK);
    EXPECT(objects->lpVtbl->GetThreadIdsByIndex(objects, 0, count, NULL, NULL), S_OK);
    EXPECT(objects->lpVtbl->GetNumberProcesses(objects, &id), S_OK);
    CHECK(id == 1);
    EXPECT(objects->lpVtbl->GetCurrentProcessSystemId(objects, &system_id), E_UNEXPECTED);
    EXPECT(objects->lpVtbl->GetCurrentThreadId(objects, &current), S_OK);
    if (objects->lpVtbl->GetCurrentThreadDataOffset(objects, &offset) == S_OK) {
        fact("thread", offset);
        EXPECT(objects->lpVtbl->GetThreadIdByDataOffset(objects, offset, &id), S_OK);
        CHECK(id == current);
        EXPECT(spaces->lpVtbl->ReadProcessorSystemData(spaces, current, DEBUG_DATA_KTHREAD_OFFSET,
                                                       &same, 8, NULL),
               S_OK);
        CHECK(same == offset);
    }
    if (objects->lpVtbl->GetCurrentProcessDataOffset(objects, &offset) == S_OK)
        fact("process", offset);
    EXPECT(objects->lpVtbl->GetThreadIdByProcessor(objects, count, &id), E_INVALIDARG);
    EXPECT(spaces->lpVtbl->ReadProcessorSystemData(spaces, count, 0, &same, 8, NULL), E_INVALIDARG);
    if (count > 1) {
        EXPECT(objects->lpVtbl->SetCurrentThreadId(objects, 1), S_OK);
        EXPECT(objects->lpVtbl->GetThreadIdByProcessor(objects, 1, &id), S_OK);
        CHECK(id == 1);
        EXPECT(objects->lpVtbl->SetCurrentThreadId(objects, current), S_OK);
    }
    EXPECT(objects->lpVtbl->SetCurrentThreadId(objects, count), E_NOINTERFACE);
}

static void tell_all(void) {
    tell_of_machine();
    tell_of_modules();
    tell_of_memory();
    tell_of_processors();
}

/* Flags that only processes have, and what is wrong for any target. */
static void check_refusals(void) {
    for (int bit = 0; bit < 32; bit++) {
        int for_machines = bit == 29 || bit == 30 || bit == 31; /* CAB, its files, NO_OVERWRITE */
        if (!for_machines)
            EXPECT(write_dump("x.dmp", DEBUG_DUMP_SMALL, 1u << bit, NULL), E_INVALIDARG);
    }
    EXPECT(write_dump("x.dmp", 1027, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", 1028, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", 1029, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", 1031, 0, NULL), E_INVALIDARG);
    EXPECT(client->lpVtbl->WriteDumpFile2(client, NULL, DEBUG_DUMP_SMALL, 0, NULL), E_INVALIDARG);
    EXPECT(execute("/ma", "x.dmp"), E_INVALIDARG);
    EXPECT(execute("/f /k", "x.dmp"), E_INVALIDARG);
    EXPECT(execute("/xt 1", "x.dmp"), E_INVALIDARG);
    CHECK(size_of(file("x.dmp")) == -1);
    put(file("precious.dmp"), "precious");
    EXPECT(write_dump("precious.dmp", DEBUG_DUMP_SMALL, NO_OVERWRITE, NULL), FILE_EXISTS);
    EXPECT(execute("/k", "precious.dmp"), FILE_EXISTS);
    CHECK(holds(file("precious.dmp"), "precious"));
}

static void check_cab_to_handle(void) {
#ifdef _WIN32
    HANDLE handle = CreateFileA(file("handle.cab"), GENERIC_READ | GENERIC_WRITE, 0, NULL,
                                CREATE_ALWAYS, 0, NULL);
    ULONG64 number = (ULONG64)(uintptr_t)handle;
#else
    int handle = open(file("handle.cab"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ULONG64 number = (ULONG64)handle;
#endif
    EXPECT(client->lpVtbl->WriteDumpFileWide(client, (PWSTR)wide("named.cab"), number,
                                             DEBUG_DUMP_DEFAULT, WRITE_CAB, NULL),
           S_OK);
#ifdef _WIN32
    CloseHandle(handle);
#else
    close(handle);
#endif
    CHECK(holds(file("handle.cab"), "MSCF"));
}

static void write_each(void) {
    EXPECT(write_dump("small.dmp", DEBUG_DUMP_SMALL, 0, "a small one"), S_OK);
    EXPECT(write_dump("kernel.dmp", DEBUG_DUMP_DEFAULT, 0, "kernel memory"), S_OK);
    EXPECT(write_dump("full.dmp", DEBUG_DUMP_FULL, 0, "all of it"), S_OK);
    EXPECT(write_dump("kernel.cab", DEBUG_DUMP_DEFAULT, WRITE_CAB, "packed"), S_OK);
    EXPECT(execute("/m /c \"by command\"", "dot-m.dmp"), S_OK);
    EXPECT(execute("/k", "dot-k.dmp"), S_OK);
    EXPECT(execute("/ka", "dot-ka.dmp"), S_OK);
    EXPECT(execute("/f", "dot-f.dmp"), S_OK);
    EXPECT(execute("/b /k", "dot-k.cab"), S_OK);
    CHECK(strstr(said, "Writing: 100%") != NULL);
    CHECK(size_of(file("small.dmp")) < size_of(file("kernel.dmp")));
    CHECK(size_of(file("kernel.dmp")) < size_of(file("full.dmp")));
    CHECK(holds(file("kernel.cab"), "MSCF"));
    check_cab_to_handle();
    interrupt_at_start = (IDebugControl *)control;
    EXPECT(write_dump("cancelled.dmp", DEBUG_DUMP_FULL, 0, NULL), CANCELLED);
    interrupt_at_start = NULL;
    CHECK(size_of(file("cancelled.dmp")) == -1);
}

/* What was written is opened in turn. */
static void reopen(const char *name, ULONG type, const char *comment) {
    ULONG value = 0, kind = 0;
    char found[1024];
    printf("dump %s\n", name);
    said[0] = 0;
    EXPECT(client->lpVtbl->OpenDumpFile(client, file(name)), S_OK);
    CHECK(strstr(said, comment) != NULL);
    check_type(type);
    EXPECT(control->lpVtbl->GetDumpFormatFlags(control, &value), S_OK);
    EXPECT(client->lpVtbl->GetNumberDumpFiles(client, &value), S_OK);
    CHECK(value == 1);
    EXPECT(client->lpVtbl->GetDumpFile(client, 0, found, sizeof found, NULL, NULL, &kind), S_OK);
    CHECK(strcmp(found, file(name)) == 0);
    tell_all();
    EXPECT(write_dump("again.dmp", DEBUG_DUMP_SMALL, 0, NULL), S_OK);
    CHECK(holds(file("again.dmp"), "PAGEDU64"));
    EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);
}

static int run(const char *kind, const char *target) {
    EXPECT(DebugCreate(&IID_IDebugClient4, (void **)&client), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugControl2, (void **)&control), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugDataSpaces2, (void **)&spaces), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugSymbols, (void **)&symbols), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugSystemObjects, (void **)&objects),
           S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, &listener), S_OK);
    EXPECT(client->lpVtbl->AttachKernel(client, DEBUG_ATTACH_KERNEL_CONNECTION, "com:port=1"),
           E_NOTIMPL);
    EXPECT(client->lpVtbl->AttachKernel(client, 8, NULL), E_INVALIDARG);
    printf("dump source\n");
    if (strcmp(kind, "guest") == 0) {
        char options[1024];
        snprintf(options, sizeof options, "qemu:socket=%s", target);
        EXPECT(client->lpVtbl->AttachKernel(client, DEBUG_ATTACH_KERNEL_CONNECTION, options), S_OK);
        check_type(DEBUG_KERNEL_CONNECTION);
        tell_all();
        check_refusals();
        EXPECT(write_dump("full.dmp", DEBUG_DUMP_FULL, 0, "all of it"), S_OK);
        EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);
    } else {
        EXPECT(client->lpVtbl->OpenDumpFile(client, target), S_OK);
        check_type(DEBUG_KERNEL_FULL_DUMP);
        tell_all();
        check_refusals();
        write_each();
        EXPECT(client->lpVtbl->TerminateProcesses(client), S_OK); /* only closes it */
        CHECK(size_of(target) > 0);
        reopen("small.dmp", DEBUG_KERNEL_SMALL_DUMP, "Comment: 'a small one'");
        reopen("kernel.dmp", DEBUG_KERNEL_DUMP, "Comment: 'kernel memory'");
        reopen("full.dmp", DEBUG_KERNEL_FULL_DUMP, "Comment: 'all of it'");
        reopen("kernel.cab", DEBUG_KERNEL_DUMP, "Comment: 'packed'");
        reopen("dot-m.dmp", DEBUG_KERNEL_SMALL_DUMP, "Comment: 'by command'");
        reopen("dot-ka.dmp", DEBUG_KERNEL_DUMP, "kernel dump");
        reopen("handle.cab", DEBUG_KERNEL_DUMP, "kernel dump");
    }
    EXPECT(client->lpVtbl->EndSession(client, DEBUG_END_PASSIVE), S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, NULL), S_OK);
    control->lpVtbl->Release(control);
    spaces->lpVtbl->Release(spaces);
    symbols->lpVtbl->Release(symbols);
    objects->lpVtbl->Release(objects);
    CHECK(client->lpVtbl->Release(client) == 0);
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}

int main(int count, char **words) {
    setvbuf(stdout, NULL, _IONBF, 0);
    calling_thread = this_thread();
    if (count != 4) {
        fprintf(stderr, "usage: kernel run IMAGE FOLDER | kernel guest SOCKET FOLDER\n");
        return 2;
    }
    folder = words[3];
    return run(words[1], words[2]);
}
