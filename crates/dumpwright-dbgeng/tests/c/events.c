/*
 * A program that debugs processes through dbgeng's interfaces and dumps them for what
 * happens in them. Built as client.c is, for both systems.
 *
 *   events target KIND CUE    waits until the file CUE exists, and then does what KIND says
 *                             (hang: nothing but that)
 *                             (hang: nothing but that)
 *   events run KIND PID CUE FOLDER
 *                             debugs process PID, a target of that kind
 *
 * A failed check makes the exit code 1.
 */
#include "check.h"

#ifdef _WIN32
#define FAULT 0xC0000005u
#define TRAP 0x80000003u
#define FAULT_ENDS 0xC0000005u
typedef DWORD ThreadResult;
#define THREAD_CALL WINAPI
#define pause_ms(ms) Sleep(ms)
#else
#include <setjmp.h>
#define FAULT 11u
#define TRAP 5u
#define FAULT_ENDS (128u + 11u)
typedef void *ThreadResult;
#define THREAD_CALL
#define pause_ms(ms) usleep((ms) * 1000)
#endif

#define HANDLED_FAULTS 20
#define E_STILL_WAITS ((HRESULT)0x8000000A) /* E_PENDING */

/* The target. */

static void start_thread(ThreadResult(THREAD_CALL *body)(void *)) {
#ifdef _WIN32
    CreateThread(NULL, 0, body, NULL, 0, NULL);
#else
    pthread_t thread;
    pthread_create(&thread, NULL, body, NULL);
#endif
}

static void fault(void) {
    *(volatile int *)0x10 = 1;
}

static ThreadResult THREAD_CALL crash(void *unused) {
    fault();
    (void)unused;
    return 0;
}

static ThreadResult THREAD_CALL short_lived(void *unused) {
    (void)unused;
    pause_ms(50);
    return 0;
}

#ifdef _WIN32
/* An instruction of a length that the handler knows: movl $1, (%rcx), 6 bytes. */
static LONG CALLBACK skip_six(EXCEPTION_POINTERS *pointers) {
    if (pointers->ExceptionRecord->ExceptionCode != FAULT)
        return EXCEPTION_CONTINUE_SEARCH;
    pointers->ContextRecord->Rip += 6;
    return EXCEPTION_CONTINUE_EXECUTION;
}
static void handled_faults(void) {
    AddVectoredExceptionHandler(1, skip_six);
    for (int i = 0; i < HANDLED_FAULTS; i++)
        __asm__ volatile("movl $1, (%%rcx)" : : "c"(0x10) : "memory");
}
#else
static sigjmp_buf back;
static void jump_back(int signal) {
    (void)signal;
    siglongjmp(back, 1);
}
static void handled_faults(void) {
    signal(SIGSEGV, jump_back);
    for (volatile int i = 0; i < HANDLED_FAULTS; i++)
        if (!sigsetjmp(back, 1))
            fault();
}
#endif

static int target(const char *kind, const char *cue) {
    printf("READY {\"pid\":%d}\n", (int)getpid());
    fflush(stdout);
    while (size_of(cue) < 0)
        pause_ms(10);
    if (!strcmp(kind, "crash")) {
        start_thread(crash);
        pause_ms(60000);
    } else if (!strcmp(kind, "handled")) {
        handled_faults();
        return 5;
    } else if (!strcmp(kind, "trap")) {
        __asm__ volatile("int3");
        return 3;
    } else if (!strcmp(kind, "threads")) {
        for (int i = 0; i < 3; i++)
            start_thread(short_lived);
#ifdef _WIN32
        LoadLibraryA("version.dll");
#endif
        pause_ms(300);
        return 4;
    }
    return 7;
}

/* Event callbacks. */

static IDebugClient4 *client;
static IDebugControl2 *control;
static ULONG interest, first_chances, threads_started, threads_ended, modules_loaded, came, ended;
static ULONG exit_code = 0xDEAD;
static ULONG64 engine_state;
static HRESULT exception_answer = DEBUG_STATUS_NO_CHANGE;
static ULONG event_references = 1;

static HRESULT CALL events_query(void *this, const GUID *iid, void **object) {
    (void)this;
    (void)iid;
    *object = NULL;
    return E_NOINTERFACE;
}
static ULONG CALL events_add(void *this) {
    (void)this;
    return ++event_references;
}
static ULONG CALL events_release(void *this) {
    (void)this;
    return --event_references;
}
static HRESULT CALL events_interest(void *this, ULONG *mask) {
    (void)this;
    *mask = interest;
    return S_OK;
}
static HRESULT CALL events_exception(void *this, EXCEPTION_RECORD64 *record, ULONG first) {
    (void)this;
    CHECK(this_thread() == calling_thread);
    CHECK(record->ExceptionCode == FAULT);
    first_chances += first;
    /* Everything can be asked and done in a callback. */
    if (first_chances == 3)
        EXPECT(client->lpVtbl->WriteDumpFile2(client, file("callback.dmp"), DEBUG_DUMP_SMALL, 0,
                                              "in a callback"),
               S_OK);
    EXPECT(control->lpVtbl->WaitForEvent(control, 0, 0), 0x800700AA);
    return exception_answer;
}
static HRESULT CALL events_thread(void *this, ULONG64 handle, ULONG64 data, ULONG64 start) {
    (void)this;
    (void)handle;
    (void)start;
#ifdef _WIN32
    (void)data; /* Wine does not always tell of a thread that is only just starting */
#else
    CHECK(data != 0);
#endif
    threads_started++;
    return DEBUG_STATUS_NO_CHANGE;
}
static HRESULT CALL events_thread_end(void *this, ULONG code) {
    (void)this;
    (void)code;
    threads_ended++;
    return DEBUG_STATUS_NO_CHANGE;
}
static HRESULT CALL events_process(void *this, ULONG64 file_handle, ULONG64 handle, ULONG64 base,
                                   ULONG size, PCSTR name, PCSTR image, ULONG check_sum,
                                   ULONG stamp, ULONG64 thread, ULONG64 data, ULONG64 start) {
    (void)this, (void)file_handle, (void)handle, (void)check_sum, (void)stamp, (void)thread;
    (void)data, (void)start;
    CHECK(base != 0 && size != 0 && strstr(image, name) && strlen(name) > 0);
    came++;
    return DEBUG_STATUS_NO_CHANGE;
}
static HRESULT CALL events_end(void *this, ULONG code) {
    (void)this;
    exit_code = code;
    ended++;
    return DEBUG_STATUS_NO_CHANGE;
}
static HRESULT CALL events_module(void *this, ULONG64 file_handle, ULONG64 base, ULONG size,
                                  PCSTR name, PCSTR image, ULONG check_sum, ULONG stamp) {
    (void)this, (void)file_handle, (void)size, (void)name, (void)image, (void)check_sum;
    (void)stamp;
    CHECK(base != 0);
    modules_loaded++;
    return DEBUG_STATUS_NO_CHANGE;
}
static HRESULT CALL events_none(void *this) {
    (void)this;
    CHECK(!"a callback that nobody asked for");
    return DEBUG_STATUS_NO_CHANGE;
}
static HRESULT CALL events_engine(void *this, ULONG flags, ULONG64 argument) {
    (void)this;
    CHECK(flags == DEBUG_CES_EXECUTION_STATUS);
    engine_state = argument;
    return S_OK;
}

static void *event_vtable[] = {
    (void *)events_query,   (void *)events_add,        (void *)events_release,
    (void *)events_interest, (void *)events_none,      (void *)events_exception,
    (void *)events_thread,  (void *)events_thread_end, (void *)events_process,
    (void *)events_end,     (void *)events_module,     (void *)events_none,
    (void *)events_none,    (void *)events_none,       (void *)events_none,
    (void *)events_engine,  (void *)events_none};
static struct {
    void **vtable;
} event_callbacks = {event_vtable};

/* The checks. */

static void go(ULONG status) {
    ULONG now = 99;
    EXPECT(control->lpVtbl->SetExecutionStatus(control, status), S_OK);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &now), S_OK);
    CHECK(now == status);
}

static HRESULT wait_for(ULONG ms) {
    return control->lpVtbl->WaitForEvent(control, DEBUG_WAIT_DEFAULT, ms);
}

static ULONG last_event(void *extra, ULONG size) {
    ULONG kind = 99, process = 99, thread = 99, used = 0, words = 0;
    char text[256] = {0};
    memset(extra, 0, size);
    EXPECT(control->lpVtbl->GetLastEventInformation(control, &kind, &process, &thread, extra, size,
                                                    &used, text, sizeof text, &words),
           S_OK);
    CHECK(process <= 1 && thread != 99);
    CHECK(words == strlen(text) + 1 && (kind == 0) == (text[0] == 0));
    return kind;
}

/* The event is an exception of this code; how often the process sees it still. */
static ULONG exception(ULONG code) {
    DEBUG_LAST_EVENT_INFO_EXCEPTION info;
    CHECK(last_event(&info, sizeof info) == DEBUG_EVENT_EXCEPTION);
    CHECK(info.ExceptionRecord.ExceptionCode == code);
    if (code == FAULT)
#ifdef _WIN32
        CHECK(info.ExceptionRecord.NumberParameters == 2 &&
              info.ExceptionRecord.ExceptionInformation[0] == 1 &&
              info.ExceptionRecord.ExceptionInformation[1] == 0x10);
#else
        CHECK(info.ExceptionRecord.ExceptionAddress == 0x10);
#endif
    return info.FirstChance;
}

static void is_over(ULONG code) {
    ULONG value = 0;
    EXPECT(wait_for(20000), E_UNEXPECTED);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &value), S_OK);
    CHECK(value == DEBUG_STATUS_NO_DEBUGGEE);
    EXPECT(client->lpVtbl->GetExitCode(client, &value), S_OK);
    if (value != code)
        printf("FAILED exit code %x and not %x\n", (unsigned)value, (unsigned)code);
    CHECK(value == code);
    EXPECT(client->lpVtbl->DetachProcesses(client), E_UNEXPECTED);
}

static void dump(const char *name) {
    EXPECT(client->lpVtbl->WriteDumpFile2(client, file(name), DEBUG_DUMP_SMALL, MA, name), S_OK);
}

static void run_crash(ULONG pid, const char *cue) {
    ULONG value = 0;
    char extra[8];
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, DEBUG_ATTACH_NONINVASIVE), S_OK);
    EXPECT(wait_for(0), S_OK);
    EXPECT(control->lpVtbl->SetExecutionStatus(control, DEBUG_STATUS_GO), E_UNEXPECTED);
    EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);
    EXPECT(control->lpVtbl->SetExecutionStatus(control, DEBUG_STATUS_GO), E_UNEXPECTED);

    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, DEBUG_ATTACH_DEFAULT), S_OK);
    EXPECT(wait_for(0), S_OK);
    CHECK(came == 2); /* both times */
    EXPECT(wait_for(0), E_UNEXPECTED);
    CHECK(last_event(extra, sizeof extra) == 0);
    EXPECT(control->lpVtbl->SetExecutionStatus(control, 99), E_INVALIDARG);
    EXPECT(control->lpVtbl->SetExecutionStatus(control, DEBUG_STATUS_BREAK), E_INVALIDARG);
    EXPECT(control->lpVtbl->SetExecutionStatus(control, 5), E_NOTIMPL);
    EXPECT(control->lpVtbl->GetLastEventInformation(control, NULL, &value, &value, NULL, 0, NULL,
                                                    NULL, 0, NULL),
           E_POINTER);

    go(DEBUG_STATUS_GO);
    EXPECT(wait_for(200), S_FALSE);
    EXPECT(client->lpVtbl->WriteDumpFile2(client, file("runs.dmp"), DEBUG_DUMP_SMALL, 0, NULL),
           E_UNEXPECTED);
    put(cue, "go");
    EXPECT(wait_for(INFINITE), S_OK);
    CHECK(engine_state == (DEBUG_STATUS_INSIDE_WAIT | DEBUG_STATUS_BREAK));
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &value), S_OK);
    CHECK(value == DEBUG_STATUS_BREAK);
#ifdef _WIN32
    CHECK(exception(FAULT) == 1);
    dump("first.dmp");
    EXPECT(control->lpVtbl->Execute(control, DEBUG_OUTCTL_ALL_CLIENTS, "g", 0), S_OK);
    EXPECT(wait_for(INFINITE), S_OK);
#endif
    CHECK(exception(FAULT) == 0);
    dump("crash.dmp");
    go(DEBUG_STATUS_GO_NOT_HANDLED);
    is_over(FAULT_ENDS);
    CHECK(ended == 1 && exit_code == FAULT_ENDS);
}

static void attach_and_go(ULONG pid, const char *cue) {
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, DEBUG_ATTACH_DEFAULT), S_OK);
    EXPECT(wait_for(0), S_OK);
    if (cue)
        put(cue, "go");
    go(DEBUG_STATUS_GO);
}

static void run_handled(ULONG pid, const char *cue) {
    exception_answer = DEBUG_STATUS_GO_NOT_HANDLED;
    attach_and_go(pid, cue);
    is_over(5);
    CHECK(first_chances == HANDLED_FAULTS);
    CHECK(ended == 1 && exit_code == 5);
}

static void run_trap(ULONG pid, const char *cue) {
    interest = 0;
    attach_and_go(pid, cue);
    EXPECT(wait_for(INFINITE), S_OK);
    exception(TRAP);
    dump("trap.dmp");
    go(DEBUG_STATUS_GO); /* past the breakpoint */
    is_over(3);
}

static void run_threads(ULONG pid, const char *cue) {
    attach_and_go(pid, cue);
    is_over(4);
    CHECK(threads_started == 3 && threads_ended >= 3);
#ifdef _WIN32
    CHECK(modules_loaded >= 1);
#endif
    CHECK(exit_code == 4);
}

static void run_exit(ULONG pid, const char *cue) {
    ULONG value = 0, code = 0;
    EXPECT(control->lpVtbl->AddEngineOptions(control, DEBUG_ENGOPT_FINAL_BREAK), S_OK);
    EXPECT(control->lpVtbl->GetEngineOptions(control, &value), S_OK);
    CHECK(value & DEBUG_ENGOPT_FINAL_BREAK);
    attach_and_go(pid, cue);
    HRESULT came_to_an_end = wait_for(INFINITE);
#ifdef _WIN32
    /* Wine keeps no memory of a process that ends, so that it cannot be stopped for. */
    if (came_to_an_end == E_UNEXPECTED) {
        CHECK(ended == 1 && exit_code == 7);
        EXPECT(client->lpVtbl->GetExitCode(client, &code), S_OK);
        CHECK(code == 7);
        return;
    }
#endif
    EXPECT(came_to_an_end, S_OK);
    CHECK(last_event(&code, sizeof code) == DEBUG_EVENT_EXIT_PROCESS);
    CHECK(code == 7);
    dump("exit.dmp");
    go(DEBUG_STATUS_GO);
    is_over(7);
}

static ULONG interrupt_kind;

static ThreadResult THREAD_CALL interrupt(void *unused) {
    (void)unused;
    pause_ms(200);
    control->lpVtbl->SetInterrupt(control, interrupt_kind);
    return 0;
}

/* Breaks in, dumps, leaves; the target must live on. */
static void run_hang(ULONG pid, const char *cue) {
    char extra[8];
    ULONG value = 0;
    (void)cue;
    attach_and_go(pid, NULL);
    interrupt_kind = DEBUG_INTERRUPT_EXIT;
    start_thread(interrupt);
    EXPECT(wait_for(INFINITE), E_STILL_WAITS);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &value), S_OK);
    CHECK(value == DEBUG_STATUS_GO);
    interrupt_kind = DEBUG_INTERRUPT_ACTIVE;
    start_thread(interrupt);
    EXPECT(wait_for(INFINITE), S_OK);
    CHECK(last_event(extra, sizeof extra) == 0);
    dump("hang.dmp");
    go(DEBUG_STATUS_GO);
    EXPECT(wait_for(100), S_FALSE);
    EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);
}

/* Ends a process that runs, and one that stands at an event. */
static void run_terminate(ULONG pid, const char *cue) {
    ULONG value = 0;
    (void)cue;
    attach_and_go(pid, NULL);
    EXPECT(wait_for(100), S_FALSE);
    EXPECT(client->lpVtbl->TerminateProcesses(client), S_OK);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &value), S_OK);
    CHECK(value == DEBUG_STATUS_NO_DEBUGGEE);
}

static int run(const char *kind, ULONG pid, const char *cue) {
    static const struct {
        const char *name;
        void (*body)(ULONG, const char *);
    } kinds[] = {{"crash", run_crash}, {"handled", run_handled},     {"trap", run_trap},
                 {"threads", run_threads}, {"exit", run_exit},       {"hang", run_hang},
                 {"terminate", run_terminate}};
    calling_thread = this_thread();
    interest = DEBUG_EVENT_EXCEPTION | DEBUG_EVENT_CREATE_PROCESS | DEBUG_EVENT_EXIT_PROCESS |
               DEBUG_EVENT_CHANGE_ENGINE_STATE;
    if (!strcmp(kind, "threads"))
        interest |= DEBUG_EVENT_CREATE_THREAD | DEBUG_EVENT_EXIT_THREAD | DEBUG_EVENT_LOAD_MODULE;
    EXPECT(DebugCreate(&IID_IDebugClient4, (void **)&client), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugControl2, (void **)&control), S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, &listener), S_OK);
    EXPECT(client->lpVtbl->SetEventCallbacks(client, (void *)&event_callbacks), S_OK);
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, kind))
            kinds[i].body(pid, cue);
    EXPECT(client->lpVtbl->SetEventCallbacks(client, NULL), S_OK);
    CHECK(event_references == 1);
    control->lpVtbl->Release(control);
    CHECK(client->lpVtbl->Release(client) == 0);
    if (failures)
        printf("%s\n", said);
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "target"))
        return target(argv[2], argv[3]);
    if (argc == 6 && !strcmp(argv[1], "run")) {
        folder = argv[5];
        return run(argv[2], (ULONG)strtoul(argv[3], NULL, 10), argv[4]);
    }
    return 2;
}
