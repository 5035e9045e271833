/*
 * Makes the library panic at each of its fault points, in the middle of real
 * calls: each call answers E_FAIL, says so to the output callbacks, and leaves
 * program, client and target as they were before.
 *
 *   panics target             sleeps until its input closes
 *   panics run FOLDER PID     dumps process PID to FOLDER
 *
 * The library is built with its feature fault-points.
 */
#include "check.h"

enum { METHOD = 1, STATE_LOCKED, PROGRESS, CALLBACKS_LOCKED, LAST_RELEASE };

#ifdef _WIN32
static ULONG(WINAPI *panic_at)(ULONG place);
#else
ULONG dumpwright_test_panic_at(ULONG place);
#define panic_at dumpwright_test_panic_at
#endif

static IDebugClient4 *client;
static IDebugControl *control;

/* Nothing may be left of a dump that a panic ended; a dump works, and is whole. */
static void check_usable(ULONG pid, const char *name) {
    ULONG seen = 0, status = 0;
    IDebugSystemObjects *objects = NULL;
    EXPECT(panic_at(0), 0); /* the place was reached */
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugSystemObjects, (void **)&objects),
           S_OK);
    EXPECT(objects->lpVtbl->GetCurrentProcessSystemId(objects, &seen), S_OK);
    CHECK(seen == pid);
    objects->lpVtbl->Release(objects);
    EXPECT(control->lpVtbl->GetExecutionStatus(control, &status), S_OK);
    CHECK(status == DEBUG_STATUS_BREAK);
    EXPECT(client->lpVtbl->WriteDumpFile2(client, file(name), DEBUG_DUMP_SMALL, MA, "afterwards"),
           S_OK);
    CHECK(holds(file(name), "MDMP"));
}

static void check_place(ULONG pid, ULONG place, const char *refused, const char *written) {
    said[0] = 0;
    EXPECT(panic_at(place), 0);
    EXPECT(client->lpVtbl->WriteDumpFile2(client, file(refused), DEBUG_DUMP_SMALL, MA, NULL),
           E_FAIL);
    CHECK(size_of(file(refused)) == -1);
    CHECK(strstr(said, "please report") != NULL);
    check_usable(pid, written);
}

static int run(ULONG pid) {
    IDebugClient *other = NULL;
    EXPECT(DebugCreate(&IID_IDebugClient4, (void **)&client), S_OK);
    EXPECT(client->lpVtbl->QueryInterface(client, &IID_IDebugControl, (void **)&control), S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, &listener), S_OK);

    EXPECT(panic_at(METHOD), 0);
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, DEBUG_ATTACH_NONINVASIVE), E_FAIL);
    EXPECT(client->lpVtbl->DetachProcesses(client), E_UNEXPECTED); /* it was not attached to */
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid, DEBUG_ATTACH_NONINVASIVE), S_OK);

    check_place(pid, METHOD, "x1.dmp", "method.dmp");
    check_place(pid, STATE_LOCKED, "x2.dmp", "state.dmp");
    check_place(pid, PROGRESS, "x3.dmp", "progress.dmp");
    check_place(pid, CALLBACKS_LOCKED, "x4.dmp", "callbacks.dmp");

    /* A client's end: Release has no way to fail, and the session goes on. */
    EXPECT(client->lpVtbl->CreateClient(client, (void *)&other), S_OK);
    EXPECT(panic_at(LAST_RELEASE), 0);
    CHECK(other && other->lpVtbl->Release(other) == 0);
    check_usable(pid, "release.dmp");

    /* The target is let go even so. */
    EXPECT(panic_at(STATE_LOCKED), 0);
    EXPECT(client->lpVtbl->DetachProcesses(client), E_FAIL);
    EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, NULL), S_OK);
    CHECK(listeners == 1);
    control->lpVtbl->Release(control);
    EXPECT(panic_at(LAST_RELEASE), 0);
    CHECK(client->lpVtbl->Release(client) == 0);
    EXPECT(panic_at(0), 0);
    EXPECT(DebugCreate(&IID_IDebugClient4, (void **)&client), S_OK);
    CHECK(client->lpVtbl->Release(client) == 0);
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}

int main(int count, char **words) {
    setvbuf(stdout, NULL, _IONBF, 0);
    calling_thread = this_thread();
    if (count == 2 && strcmp(words[1], "target") == 0) {
        printf("READY {\"pid\":%d}\n", getpid());
        return getchar() != EOF;
    }
    if (count == 4 && strcmp(words[1], "run") == 0) {
#ifdef _WIN32
        panic_at = (ULONG(WINAPI *)(ULONG))(void *)GetProcAddress(GetModuleHandleA("dbgeng"),
                                                                  "dumpwright_test_panic_at");
        if (!panic_at) {
            printf("FAILED: the library has no fault points\n");
            return 1;
        }
#endif
        folder = words[2];
        return run((ULONG)strtoul(words[3], NULL, 10));
    }
    fprintf(stderr, "usage: panics target | panics run FOLDER PID\n");
    return 2;
}
