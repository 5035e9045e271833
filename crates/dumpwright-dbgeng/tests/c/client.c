/*
 * A program that dumps processes through dbgeng's interfaces. The same source
 * is built on Linux with dumpwright-dbgeng.h, and for Windows with mingw-w64's
 * own dbgeng.h.
 *
 *   client target             sleeps, with threads, until its input closes
 *   client sleeper            sleeps until it is ended
 *   client run FOLDER PID RECORD CONTEXT POINTERS
 *                             checks everything on process PID, which keeps an
 *                             exception at these addresses (hexadecimal); dumps
 *                             to FOLDER
 *
 * A failed check makes the exit code 1.
 */
#include "check.h"

/* The target. */

#ifdef _WIN32
static DWORD WINAPI sleeper(void *unused) {
    (void)unused;
    Sleep(INFINITE);
    return 0;
}
#else
static void *sleeper(void *unused) {
    for (;;)
        pause();
    return unused;
}
#endif

static volatile char marker[] = "the target's own marker";

/* An exception as a handler would have kept it. */
#ifdef _WIN32
static CONTEXT context;
static EXCEPTION_RECORD record;
static EXCEPTION_POINTERS pointers = {&record, &context};
#else
static ucontext_t context;
static siginfo_t record;
static void *pointers[] = {&record, &context};
#endif

static void keep_an_exception(void) {
#ifdef _WIN32
    RtlCaptureContext(&context);
    record.ExceptionCode = EXCEPTION_ACCESS_VIOLATION;
    record.ExceptionAddress = (void *)0x1234;
#else
    getcontext(&context);
    record.si_signo = SIGSEGV;
    record.si_code = SEGV_MAPERR;
    record.si_addr = (void *)0x1234;
#endif
}

static int target(void) {
    keep_an_exception();
    for (int i = 0; i < 3; i++) {
#ifdef _WIN32
        CreateThread(NULL, 0, sleeper, NULL, 0, NULL);
#else
        pthread_t thread;
        pthread_create(&thread, NULL, sleeper, NULL);
#endif
    }
    printf("READY {\"pid\":%d,\"marker\":%llu,\"record\":%llu,\"context\":%llu,\"pointers\":%llu}\n",
           (int)getpid(), (unsigned long long)(uintptr_t)marker,
           (unsigned long long)(uintptr_t)&record, (unsigned long long)(uintptr_t)&context,
           (unsigned long long)(uintptr_t)&pointers);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}

/* The checks. */

static IDebugClient4 *client;
static IDebugControl2 *control;
static IDebugDataSpaces *spaces;
static IDebugSymbols *symbols;
static IDebugSystemObjects *objects;

static void check_identity(void) {
    static const GUID unknown = {0, 0, 0, {0xc0, 0, 0, 0, 0, 0, 0, 0x46}};
    static const GUID nothing = {1, 2, 3, {4, 5, 6, 7, 8, 9, 10, 11}};
    void *a = NULL, *b = NULL, *none = &none;
    EXPECT(DebugCreate(&IID_IDebugClient4, NULL), E_POINTER);
    EXPECT(DebugCreate(NULL, &none), E_POINTER);
    EXPECT(DebugCreate(&nothing, &none), E_NOINTERFACE);
    CHECK(none == NULL);
    EXPECT(DebugConnect("tcp:port=5005,server=x", &IID_IDebugClient, &none), E_NOTIMPL);

    EXPECT(DebugCreate(&IID_IDebugClient4, (void **)&client), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugControl2, (void **)&control), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugDataSpaces, (void **)&spaces), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugSymbols, (void **)&symbols), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugSystemObjects, (void **)&objects),
           S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &unknown, &a), S_OK);
    EXPECT(symbols->lpVtbl->QueryInterface(symbols, &unknown, &b), S_OK);
    CHECK(a == b && a != NULL);
    EXPECT(client->lpVtbl->QueryInterface(client, &nothing, &a), E_NOINTERFACE);
    CHECK(a == NULL);
    EXPECT(client->lpVtbl->QueryInterface(client, &unknown, NULL), E_POINTER);
    CHECK(symbols->lpVtbl->Release(symbols) == 6); /* that of b */
    CHECK(client->lpVtbl->AddRef(client) == 7);
    CHECK(client->lpVtbl->Release(client) == 6);
    EXPECT(client->lpVtbl->Release(client), 5); /* that of a, the first time */
}

static void check_without_target(void) {
    ULONG class, qualifier, count;
    EXPECT(client->lpVtbl->WriteDumpFile2(client, file("none.dmp"), DEBUG_DUMP_SMALL, 0, NULL),
           E_UNEXPECTED);
    CHECK(size_of(file("none.dmp")) == -1);
    EXPECT(client->lpVtbl->DetachProcesses(client), E_UNEXPECTED);
    EXPECT(client->lpVtbl->TerminateProcesses(client), E_UNEXPECTED);
    EXPECT(control->lpVtbl->WaitForEvent(control, 0, INFINITE), E_UNEXPECTED);
    EXPECT(control->lpVtbl->GetDebuggeeType(control, &class, &qualifier), S_OK);
    CHECK(class == DEBUG_CLASS_UNINITIALIZED);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &count), S_OK);
    CHECK(count == DEBUG_STATUS_NO_DEBUGGEE);
    EXPECT(symbols->lpVtbl->GetNumberModules(symbols, &count, &count), E_UNEXPECTED);
    EXPECT(objects->lpVtbl->GetNumberProcesses(objects, &count), S_OK);
    CHECK(count == 0);
    EXPECT(client->lpVtbl->AttachKernel(client, 0, NULL), E_NOTIMPL);
}

static void check_processes(ULONG pid) {
    static ULONG ids[1 << 16];
    ULONG count = 0, needed = 0, found = 0;
    char name[1024], line[1024], tiny[4];
    EXPECT(client->lpVtbl->GetRunningProcessSystemIds(client, 0, ids, 1 << 16, &count), S_OK);
    for (ULONG i = 0; i < count; i++)
        found |= ids[i] == pid;
    CHECK(found);
    EXPECT(client->lpVtbl->GetRunningProcessSystemIds(client, 0, ids, 1, &count), S_FALSE);
    EXPECT(client->lpVtbl->GetRunningProcessSystemIds(client, 1, ids, 1, &count), E_INVALIDARG);
    EXPECT(client->lpVtbl->GetRunningProcessDescription(client, 0, pid, 0, name, sizeof name,
                                                        &needed, line, sizeof line, NULL),
           S_OK);
    CHECK(needed == strlen(name) + 1 && strlen(name) > 0);
    EXPECT(client->lpVtbl->GetRunningProcessDescription(client, 0, pid, 0, tiny, sizeof tiny,
                                                        &needed, NULL, 0, NULL),
           S_FALSE);
    CHECK(strlen(tiny) == 3 && strncmp(tiny, name, 3) == 0 && needed == strlen(name) + 1);
    EXPECT(client->lpVtbl->GetRunningProcessDescription(client, 0, 0x7FFFFFF0, 0, name, sizeof name,
                                                        NULL, line, sizeof line, NULL),
           E_INVALIDARG);
    EXPECT(client->lpVtbl->GetRunningProcessSystemIdByExecutableName(client, 0, NULL, 0, &found),
           E_POINTER);
    EXPECT(client->lpVtbl->GetRunningProcessSystemIdByExecutableName(client, 0, "no such program",
                                                                     0, &found),
           E_NOINTERFACE);
}

static void check_attach(ULONG pid) {
    ULONG class, qualifier, value;
    EXPECT(client->lpVtbl->AttachProcess(client, 0, 0x7FFFFFF0, 0), E_INVALIDARG);
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, 0x8000), E_INVALIDARG);
    EXPECT(client->lpVtbl->AttachProcess(client, 7, pid, 0), E_INVALIDARG);
    EXPECT(client->lpVtbl->AttachProcess(client, 0, (ULONG)getpid(), 0), E_UNEXPECTED);
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, DEBUG_ATTACH_NONINVASIVE), S_OK);
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, DEBUG_ATTACH_DEFAULT), E_INVALIDARG);
    EXPECT(control->lpVtbl->WaitForEvent(control, 0, INFINITE), S_OK);
    EXPECT(control->lpVtbl->WaitForEvent(control, 0, 0), E_UNEXPECTED);
    EXPECT(control->lpVtbl->GetDebuggeeType(control, &class, &qualifier), S_OK);
    CHECK(class == DEBUG_CLASS_USER_WINDOWS && qualifier == DEBUG_USER_WINDOWS_PROCESS);
    EXPECT(control->lpVtbl->GetDebuggeeType(control, NULL, &qualifier), E_POINTER);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &value), S_OK);
    CHECK(value == DEBUG_STATUS_BREAK);
    EXPECT(control->lpVtbl->GetPageSize(control, &value), S_OK);
    CHECK(value >= 4096);
    EXPECT(control->lpVtbl->IsPointer64Bit(control), S_OK);
    EXPECT(control->lpVtbl->GetDumpFormatFlags(control, &value), E_UNEXPECTED);
    EXPECT(objects->lpVtbl->GetCurrentProcessSystemId(objects, &value), S_OK);
    CHECK(value == pid);
    EXPECT(client->lpVtbl->GetExitCode(client, &value), S_OK);
    CHECK(value == 259);
}

static void check_memory_and_modules(void) {
    ULONG loaded = 0, unloaded = 0, done = 0, needed = 0, index = 9;
    ULONG64 base = 0, found = 0;
    char bytes[8192], image[1024], name[256];
    DEBUG_MODULE_PARAMETERS parameters;
    EXPECT(symbols->lpVtbl->GetNumberModules(symbols, &loaded, &unloaded), S_OK);
    CHECK(loaded >= 2);
    EXPECT(symbols->lpVtbl->GetModuleByIndex(symbols, 0, &base), S_OK);
    EXPECT(symbols->lpVtbl->GetModuleByIndex(symbols, loaded + unloaded, &found), E_INVALIDARG);
    EXPECT(symbols->lpVtbl->GetModuleByOffset(symbols, base + 10, 0, &index, &found), S_OK);
    CHECK(index == 0 && found == base);
    EXPECT(symbols->lpVtbl->GetModuleByOffset(symbols, 1, 0, &index, &found), E_NOINTERFACE);
    EXPECT(symbols->lpVtbl->GetModuleNames(symbols, 0, 0, image, sizeof image, &needed, name,
                                           sizeof name, NULL, NULL, 0, NULL),
           S_OK);
    CHECK(needed == strlen(image) + 1 && strstr(image, name) != NULL);
    EXPECT(symbols->lpVtbl->GetModuleByModuleName(symbols, name, 0, &index, &found), S_OK);
    CHECK(found == base);
    EXPECT(symbols->lpVtbl->GetModuleParameters(symbols, 1, &base, 0, &parameters), S_OK);
    CHECK(parameters.Base == base && parameters.Size > 0 && parameters.ImageNameSize == needed);
    EXPECT(symbols->lpVtbl->GetModuleParameters(symbols, 1, NULL, loaded + unloaded, &parameters),
           E_INVALIDARG);

    EXPECT(spaces->lpVtbl->ReadVirtual(spaces, base, bytes, 64, &done), S_OK);
    CHECK(done == 64 && memcmp(bytes, PROGRAM_MAGIC, strlen(PROGRAM_MAGIC)) == 0);
    EXPECT(spaces->lpVtbl->ReadVirtual(spaces, 16, bytes, 64, &done), READ_FAULT);
    CHECK(done == 0);
    EXPECT(spaces->lpVtbl->ReadVirtual(spaces, base, NULL, 64, &done), E_POINTER);
    EXPECT(spaces->lpVtbl->WriteVirtual(spaces, base, bytes, 4, &done), E_NOTIMPL);
    EXPECT(spaces->lpVtbl->SearchVirtual(spaces, base, 64, (void *)PROGRAM_MAGIC, 2, 1, &found),
           S_OK);
    CHECK(found == base);
}

static void check_threads(void) {
    ULONG count = 0, ids[64], system_ids[64], id = 99;
    EXPECT(objects->lpVtbl->GetNumberThreads(objects, &count), S_OK);
    CHECK(count >= 4 && count < 64);
    EXPECT(objects->lpVtbl->GetThreadIdsByIndex(objects, 0, count, ids, system_ids), S_OK);
    EXPECT(objects->lpVtbl->GetThreadIdBySystemId(objects, system_ids[2], &id), S_OK);
    CHECK(id == ids[2]);
    EXPECT(objects->lpVtbl->SetCurrentThreadId(objects, ids[1]), S_OK);
    EXPECT(objects->lpVtbl->GetCurrentThreadSystemId(objects, &id), S_OK);
    CHECK(id == system_ids[1]);
    EXPECT(objects->lpVtbl->GetThreadIdsByIndex(objects, 0, count + 1, ids, system_ids),
           E_INVALIDARG);
    EXPECT(objects->lpVtbl->SetCurrentThreadId(objects, 1000), E_NOINTERFACE);
}

static HRESULT write_dump(const char *name, ULONG qualifier, ULONG flags, const char *comment) {
    return client->lpVtbl->WriteDumpFile2(client, name ? file(name) : NULL, qualifier, flags,
                                          comment);
}

/* Every format flag by itself and all of them that go together. */
static void check_every_flag(const char *prefix) {
    char name[64];
    for (int bit = 0; bit < 32; bit++) {
        ULONG flag = 1u << bit;
        int known = bit <= 18 || bit >= 26;
        snprintf(name, sizeof name, "%s-%02d.%s", prefix, bit, flag == WRITE_CAB ? "cab" : "dmp");
        EXPECT(write_dump(name, DEBUG_DUMP_SMALL, flag, NULL), known ? S_OK : E_INVALIDARG);
        CHECK((size_of(file(name)) > 0) == known);
    }
    snprintf(name, sizeof name, "%s-ma.dmp", prefix);
    EXPECT(write_dump(name, DEBUG_DUMP_SMALL, MA, "all of it"), S_OK);
    snprintf(name, sizeof name, "%s-default.dmp", prefix);
    EXPECT(write_dump(name, DEBUG_DUMP_DEFAULT, 0, NULL), S_OK);
    snprintf(name, sizeof name, "%s-plain.dmp", prefix);
    EXPECT(client->lpVtbl->WriteDumpFile(client, file(name), DEBUG_DUMP_SMALL), S_OK);
}

static void check_answers_of_writing(void) {
    put(file("exists.dmp"), "precious");
    EXPECT(write_dump("exists.dmp", DEBUG_DUMP_SMALL, NO_OVERWRITE, NULL), FILE_EXISTS);
    CHECK(holds(file("exists.dmp"), "precious"));
    EXPECT(write_dump("exists.dmp", DEBUG_DUMP_SMALL, 0, NULL), S_OK);
    CHECK(holds(file("exists.dmp"), "MDMP"));
    EXPECT(write_dump(NULL, DEBUG_DUMP_SMALL, 0, NULL), E_INVALIDARG);
    EXPECT(client->lpVtbl->WriteDumpFile2(client, "", DEBUG_DUMP_SMALL, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", 0, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", 1023, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", DEBUG_DUMP_FULL, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", 1030, 0, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", DEBUG_DUMP_SMALL, 0x80000, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", DEBUG_DUMP_SMALL, 0x6000, NULL), E_INVALIDARG);
    EXPECT(write_dump("x.dmp", DEBUG_DUMP_SMALL, 0xC000000, NULL), E_INVALIDARG);
    HRESULT missing = write_dump("no/such/folder/x.dmp", DEBUG_DUMP_SMALL, 0, NULL);
    CHECK(missing == NOT_FOUND || missing == NO_PATH);
    CHECK(size_of(file("x.dmp")) == -1);

    interrupt_at_start = (IDebugControl *)control;
    EXPECT(write_dump("cancelled.dmp", DEBUG_DUMP_SMALL, MA, NULL), CANCELLED);
    interrupt_at_start = NULL;
    CHECK(size_of(file("cancelled.dmp")) == -1);
    EXPECT(control->lpVtbl->GetInterrupt(control), S_FALSE);
    EXPECT(control->lpVtbl->SetInterrupt(control, DEBUG_INTERRUPT_PASSIVE), S_OK);
    EXPECT(control->lpVtbl->GetInterrupt(control), S_OK);
    EXPECT(control->lpVtbl->SetInterrupt(control, 3), E_INVALIDARG);

    EXPECT(client->lpVtbl->WriteDumpFileWide(client, (PWSTR)wide(file("wide.dmp")), 0,
                                             DEBUG_DUMP_SMALL, MA, (PWSTR)wide("wide comment")),
           S_OK);
    CHECK(holds(file("wide.dmp"), "MDMP"));
}

static void check_handle(const char *name, ULONG flags, const char *magic) {
#ifdef _WIN32
    HANDLE handle = CreateFileA(file(name), GENERIC_READ | GENERIC_WRITE, 0, NULL,
                                CREATE_ALWAYS, 0, NULL);
    ULONG64 number = (ULONG64)(uintptr_t)handle;
#else
    int handle = open(file(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ULONG64 number = (ULONG64)handle;
#endif
    EXPECT(client->lpVtbl->WriteDumpFileWide(client, NULL, number, DEBUG_DUMP_SMALL, flags, NULL),
           S_OK);
#ifdef _WIN32
    CloseHandle(handle);
#else
    EXPECT(write(handle, "", 0) < 0, 0); /* still the program's, and open */
    close(handle);
#endif
    CHECK(holds(file(name), magic));
    EXPECT(client->lpVtbl->WriteDumpFileWide(client, NULL, 0xFFFFFF, DEBUG_DUMP_SMALL, 0, NULL),
           E_HANDLE);
}

static HRESULT execute(const char *format, const char *path) {
    char command[2048];
    snprintf(command, sizeof command, format, path);
    return control->lpVtbl->Execute(control, DEBUG_OUTCTL_THIS_CLIENT, command, 0);
}

/* The exception that the target keeps, from wherever the process is read. */
static void check_exception(const char *prefix, char **places) {
    static const char *const options[] = {"/xp %s", "/xr %s /xc %s", "/xt %x"};
    ULONG id = 0;
    char name[64], command[2048], words[256];
    EXPECT(objects->lpVtbl->GetCurrentThreadSystemId(objects, &id), S_OK);
    for (int i = 0; i < 3; i++) {
        if (i == 0)
            snprintf(words, sizeof words, options[i], places[2]);
        else if (i == 1)
            snprintf(words, sizeof words, options[i], places[0], places[1]);
        else
            snprintf(words, sizeof words, options[i], (unsigned)id);
        snprintf(name, sizeof name, "%s-exception-%d.dmp", prefix, i);
        snprintf(command, sizeof command, ".dump %s \"%s\"", words, file(name));
        EXPECT(control->lpVtbl->Execute(control, 0, command, 0), S_OK);
    }
    EXPECT(execute(".dump /xr 10 %s", file("x.dmp")), E_INVALIDARG);
    EXPECT(execute(".dump /xt 7ffffff0 %s", file("x.dmp")), E_INVALIDARG);
    CHECK(size_of(file("x.dmp")) == -1);
}

static void check_commands(void) {
    EXPECT(execute(".dump /ma /c \"quoted; comment\" \"%s\"", file("dot dump.dmp")), S_OK);
    CHECK(holds(file("dot dump.dmp"), "MDMP"));
    EXPECT(execute(".dump /mh %s", file("dotdump.dmp")), S_OK);
    EXPECT(execute(".dump /mh %s", file("dotdump.dmp")), FILE_EXISTS);
    EXPECT(execute(".dump /o /mh %s", file("dotdump.dmp")), S_OK);
    EXPECT(execute(".DUMP/o/mh %s", file("dotdump.dmp")), E_INVALIDARG); /* one word */
    EXPECT(execute(".DUMP/o /mh %s", file("dotdump.dmp")), S_OK);
    EXPECT(execute(".dump /a /mh %s", file("dotdump2.dmp")), E_INVALIDARG); /* without /u */
    CHECK(strstr(said, "/u") != NULL);
    EXPECT(execute(".dump /a /u /mh %s", file("dotdump-all.dmp")), S_OK);
    EXPECT(execute(".dump /j 10 %s", file("dotdump2.dmp")), E_INVALIDARG);
    EXPECT(execute(".dump /mz %s", file("dotdump2.dmp")), E_INVALIDARG);
    EXPECT(execute(".dump /ma", ""), E_INVALIDARG);
    EXPECT(execute(".dump /k %s", file("dotdump2.dmp")), E_INVALIDARG);
    EXPECT(execute(".dump /f %s", file("dotdump-f.dmp")), S_OK);
    EXPECT(execute("!analyze -v %s", ""), E_NOTIMPL);
    EXPECT(control->lpVtbl->Execute(control, 0, NULL, 0), E_POINTER);
    CHECK(strstr(said, "analyze") != NULL);
}

static void check_dump_files(void) {
    ULONG value, class, qualifier, needed, kind;
    ULONG64 handle;
    char name[1024];
    put(file("broken.dmp"), "this is no dump at all, and long enough to be looked at");
    EXPECT(client->lpVtbl->OpenDumpFile(client, NULL), E_INVALIDARG);
    EXPECT(client->lpVtbl->OpenDumpFile(client, file("absent.dmp")), NOT_FOUND);
    EXPECT(client->lpVtbl->OpenDumpFile(client, file("broken.dmp")), FILE_CORRUPT);
    EXPECT(client->lpVtbl->AddDumpInformationFile(client, file("absent.dmp"), 0), NOT_FOUND);
    EXPECT(client->lpVtbl->AddDumpInformationFile(client, file("broken.dmp"), 7), E_INVALIDARG);
    EXPECT(client->lpVtbl->AddDumpInformationFileWide(client, NULL, 0xFFFFFF, 0), E_HANDLE);
    said[0] = 0;
    EXPECT(client->lpVtbl->AddDumpInformationFile(client, file("broken.dmp"), 0), S_OK);
    CHECK(strstr(said, "not read") != NULL);

    said[0] = 0;
    EXPECT(client->lpVtbl->OpenDumpFile(client, file("live-ma.dmp")), S_OK);
    EXPECT(control->lpVtbl->WaitForEvent(control, 0, INFINITE), S_OK);
    CHECK(strstr(said, "Comment: 'all of it'") != NULL);
    EXPECT(control->lpVtbl->GetDebuggeeType(control, &class, &qualifier), S_OK);
    CHECK(class == DEBUG_CLASS_USER_WINDOWS && qualifier == DEBUG_USER_WINDOWS_SMALL_DUMP);
    EXPECT(control->lpVtbl->GetDumpFormatFlags(control, &value), S_OK);
    CHECK((value & MA) == MA);
    EXPECT(client->lpVtbl->GetNumberDumpFiles(client, &value), S_OK);
    CHECK(value == 2);
    EXPECT(client->lpVtbl->GetDumpFile(client, 0, name, sizeof name, &needed, &handle, &kind),
           S_OK);
    CHECK(strcmp(name, file("live-ma.dmp")) == 0 && needed == strlen(name) + 1 && handle == 0);
    EXPECT(client->lpVtbl->GetDumpFile(client, 1, name, sizeof name, &needed, &handle, &kind),
           S_OK);
    CHECK(strcmp(name, file("broken.dmp")) == 0 && kind == DEBUG_DUMP_FILE_PAGE_FILE_DUMP);
    EXPECT(client->lpVtbl->GetDumpFile(client, 1, name, 4, &needed, &handle, &kind), S_FALSE);
    CHECK(strlen(name) == 3 && needed == strlen(file("broken.dmp")) + 1);
    EXPECT(client->lpVtbl->GetDumpFile(client, 1, name, 0, &needed, NULL, NULL), E_INVALIDARG);
    EXPECT(client->lpVtbl->GetDumpFile(client, 1, NULL, 0, NULL, NULL, NULL), S_OK);
    EXPECT(client->lpVtbl->GetDumpFile(client, 2, name, sizeof name, &needed, &handle, &kind),
           E_INVALIDARG);
    check_memory_and_modules();
    check_threads();
    check_every_flag("again");
    EXPECT(write_dump("again-small.dmp", DEBUG_DUMP_SMALL, 0, "smaller"), S_OK);
    CHECK(size_of(file("again-small.dmp")) < size_of(file("live-ma.dmp")));
    /* A dump may be written over the one that it is made of; but Windows lets
       nobody replace a file that is open. */
#ifdef _WIN32
    EXPECT(write_dump("live-ma.dmp", DEBUG_DUMP_SMALL, MA, "itself"), E_ACCESSDENIED);
#else
    EXPECT(write_dump("live-ma.dmp", DEBUG_DUMP_SMALL, MA, "itself"), S_OK);
#endif
    EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);
}

static void check_created_process(const char *program) {
    char line[2048];
    ULONG pid = 0, code = 0;
    snprintf(line, sizeof line, "\"%s\" sleeper", program);
    EXPECT(client->lpVtbl->CreateProcess(client, 0, NULL, 1), E_POINTER);
    HRESULT missing = client->lpVtbl->CreateProcess(client, 0, (PSTR)"/no/such/program", 1);
    CHECK(missing == NOT_FOUND || missing == NO_PATH);
    EXPECT(client->lpVtbl->CreateProcess(client, 0, line, 1), S_OK);
    EXPECT(control->lpVtbl->WaitForEvent(control, 0, INFINITE), S_OK);
    EXPECT(objects->lpVtbl->GetCurrentProcessSystemId(objects, &pid), S_OK);
    CHECK(pid != 0);
    EXPECT(write_dump("created.dmp", DEBUG_DUMP_SMALL, MA, NULL), S_OK);
    EXPECT(client->lpVtbl->TerminateCurrentProcess(client), S_OK);
    EXPECT(client->lpVtbl->TerminateProcesses(client), E_UNEXPECTED);
    HRESULT exit = client->lpVtbl->GetExitCode(client, &code);
    CHECK(exit == S_OK || exit == E_UNEXPECTED);
    CHECK(exit != S_OK || code != 259);
}

static int run(const char *program, ULONG pid, char **places) {
    IDebugClient *other = NULL;
    IDebugOutputCallbacks *set = NULL;
    check_identity();
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, &listener), S_OK);
    CHECK(listeners == 2);
    EXPECT(client->lpVtbl->GetOutputCallbacks(client, (void *)&set), S_OK);
    CHECK(set == &listener && listeners == 3);
    set->lpVtbl->Release(set);
    check_without_target();
    check_processes(pid);
    check_attach(pid);
    check_memory_and_modules();
    check_threads();
    check_every_flag("live");
    check_answers_of_writing();
    check_handle("handle.dmp", MA, "MDMP");
    check_handle("handle.cab", MA | WRITE_CAB, "MSCF");
    check_commands();
    check_exception("held", places);
    EXPECT(client->lpVtbl->CreateClient(client, (void *)&other), S_OK);
    CHECK(other && other->lpVtbl->Release(other) == 0);
    EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);

    EXPECT(client->lpVtbl->AttachProcess(
               client, 0, pid, DEBUG_ATTACH_NONINVASIVE | DEBUG_ATTACH_NONINVASIVE_NO_SUSPEND),
           S_OK);
    EXPECT(write_dump("running.dmp", DEBUG_DUMP_SMALL, MA, NULL), S_OK);
    check_exception("running", places);
    check_memory_and_modules();
    EXPECT(client->lpVtbl->DetachCurrentProcess(client), S_OK);

    check_dump_files();
    check_created_process(program);
    EXPECT(client->lpVtbl->EndSession(client, 99), E_INVALIDARG);
    EXPECT(client->lpVtbl->EndSession(client, DEBUG_END_PASSIVE), S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, NULL), S_OK);
    CHECK(listeners == 1);
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
    if (count == 2 && strcmp(words[1], "target") == 0)
        return target();
    if (count == 2 && strcmp(words[1], "sleeper") == 0)
        sleeper(NULL);
    if (count == 7 && strcmp(words[1], "run") == 0) {
        folder = words[2];
        return run(words[0], (ULONG)strtoul(words[3], NULL, 10), words + 4);
    }
    fprintf(stderr, "usage: client target | client sleeper | "
                    "client run FOLDER PID RECORD CONTEXT POINTERS\n");
    return 2;
}
