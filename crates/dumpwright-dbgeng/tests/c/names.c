/*
 * Makes names of the target's handles never come, as Windows does with those of
 * pipes on which someone waits, and dumps the target's handles all the same.
 *
 *   names target            sleeps until its input closes
 *   names run FOLDER PID HANDLE
 *
 * The library is built with its feature fault-points. Windows only.
 */
#include "check.h"

#define HANDLE_DATA 0x2u

static void(WINAPI *block_names)(ULONG64 first, ULONG64 last);

/* Writes a dump; the milliseconds that it took. */
static DWORD write_dump(IDebugClient4 *client, const char *name) {
    DWORD begun = GetTickCount();
    EXPECT(client->lpVtbl->WriteDumpFile2(client, file(name), DEBUG_DUMP_SMALL, HANDLE_DATA, NULL),
           S_OK);
    return GetTickCount() - begun;
}

static int run(ULONG pid, ULONG64 handle) {
    IDebugClient4 *client;
    EXPECT(DebugCreate(&IID_IDebugClient4, (void **)&client), S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, &listener), S_OK);
    /* Without suspending: each dump looks at the handles itself. */
    EXPECT(client->lpVtbl->AttachProcess(client, 0, pid,
                                         DEBUG_ATTACH_NONINVASIVE |
                                             DEBUG_ATTACH_NONINVASIVE_NO_SUSPEND),
           S_OK);
    block_names(handle, handle);
    CHECK(write_dump(client, "one.dmp") < 10000);
    block_names(1, ~0u);
    CHECK(write_dump(client, "all.dmp") < 20000);
    block_names(1, 0);
    write_dump(client, "none.dmp");
    EXPECT(client->lpVtbl->DetachProcesses(client), S_OK);
    EXPECT(client->lpVtbl->SetOutputCallbacks(client, NULL), S_OK);
    client->lpVtbl->Release(client);
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}

int main(int count, char **words) {
    setvbuf(stdout, NULL, _IONBF, 0);
    calling_thread = this_thread();
    if (count == 2 && strcmp(words[1], "target") == 0) {
        /* The pipe is the one whose name does not come. */
        HANDLE pipe = CreateNamedPipeA("\\\\.\\pipe\\dumpwright-names", PIPE_ACCESS_DUPLEX,
                                       PIPE_TYPE_BYTE | PIPE_WAIT, 1, 64, 64, 0, NULL);
        for (int i = 0; i < 16; i++)
            CreateEventA(NULL, TRUE, FALSE, NULL);
        printf("READY {\"pid\":%d,\"pipe\":%llu}\n", getpid(),
               (unsigned long long)(UINT_PTR)pipe);
        return getchar() != EOF;
    }
    if (count == 5 && strcmp(words[1], "run") == 0) {
        block_names = (void(WINAPI *)(ULONG64, ULONG64))(void *)GetProcAddress(
            GetModuleHandleA("dbgeng"), "dumpwright_test_block_names");
        if (!block_names) {
            printf("FAILED: the library has no fault points\n");
            return 1;
        }
        folder = words[2];
        return run((ULONG)strtoul(words[3], NULL, 10), strtoull(words[4], NULL, 10));
    }
    fprintf(stderr, "usage: names target | names run FOLDER PID HANDLE\n");
    return 2;
}
