/*
 * Watches a process and dumps it where it crashes:
 *
 *   on_event PID FOLDER
 */
#define _POSIX_C_SOURCE 200809L
#include <dumpwright.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT 0x800705B4u
#define CANCELLED 0x800704C7u
#define E_INVALIDARG 0x80070057u

static int waits;

static int stop(void *context, uint32_t phase, uint64_t done, uint64_t total) {
    (void)context;
    (void)done;
    (void)total;
    waits += phase == DUMPWRIGHT_PHASE_WAIT;
    return 1;
}

static void check(const char *what, int32_t got, uint32_t wanted) {
    if (got != (int32_t)wanted) {
        printf("FAILED: %s answers %08x and not %08x: %s\n", what, (unsigned)got, (unsigned)wanted,
               dumpwright_error_message());
        exit(1);
    }
}

int main(int count, char **words) {
    if (count != 3)
        return 2;
    uint32_t pid = (uint32_t)strtoul(words[1], NULL, 10);
    char file[1024];
    snprintf(file, sizeof file, "%s/crash.dmp", words[2]);

    check("no event",
          dumpwright_dump_on_event(pid, 0x80, 100, file, DUMPWRIGHT_DUMP_SMALL, 0, NULL, NULL, NULL),
          E_INVALIDARG);
    check("nothing happens",
          dumpwright_dump_on_event(pid, DUMPWRIGHT_EVENT_CRASH, 200, file, DUMPWRIGHT_DUMP_SMALL, 0,
                                   NULL, NULL, NULL),
          TIMEOUT);
    dumpwright_options options = {.struct_size = sizeof options, .progress = stop};
    check("given up",
          dumpwright_dump_on_event(pid, DUMPWRIGHT_EVENT_CRASH, 0xFFFFFFFF, file,
                                   DUMPWRIGHT_DUMP_SMALL, 0, NULL, &options, NULL),
          CANCELLED);

    pid_t child = fork();
    if (child == 0) {
        struct timespec half = {.tv_nsec = 500000000};
        nanosleep(&half, NULL);
        kill((pid_t)pid, SIGSEGV);
        _exit(0);
    }
    dumpwright_summary summary = {.struct_size = sizeof summary};
    check("the crash",
          dumpwright_dump_on_event(pid, DUMPWRIGHT_EVENT_CRASH | DUMPWRIGHT_EVENT_EXIT, 0xFFFFFFFF,
                                   file, DUMPWRIGHT_DUMP_SMALL, 0, "from C", NULL, &summary),
          0);
    waitpid(child, NULL, 0);
    printf("%d waits, %u threads\n", waits, (unsigned)summary.threads);
    return waits == 0;
}
