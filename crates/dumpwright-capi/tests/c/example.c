/*
 * Dumps a process, and makes a smaller dump of that one:
 *
 *   example PID FOLDER
 */
#include <dumpwright.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int show(void *context, uint32_t phase, uint64_t done, uint64_t total) {
    int *calls = context;
    (void)phase;
    if (done > total)
        abort();
    ++*calls;
    return 0;
}

static int stop(void *context, uint32_t phase, uint64_t done, uint64_t total) {
    (void)context;
    (void)phase;
    (void)done;
    (void)total;
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
    char file[1024], again[1024], never[1024];
    int calls = 0;
    if (count != 3)
        return 2;
    uint32_t pid = (uint32_t)strtoul(words[1], NULL, 10);
    snprintf(file, sizeof file, "%s/example.dmp", words[2]);
    snprintf(again, sizeof again, "%s/again.dmp", words[2]);
    snprintf(never, sizeof never, "%s/never.dmp", words[2]);

    dumpwright_options options = {0};
    options.struct_size = sizeof options;
    options.vm_counters = 1;
    options.progress = show;
    options.context = &calls;
    dumpwright_summary summary = {0};
    summary.struct_size = sizeof summary;
    uint32_t flags = DUMPWRIGHT_FORMAT_USER_SMALL_FULL_MEMORY |
                     DUMPWRIGHT_FORMAT_USER_SMALL_THREAD_INFO | DUMPWRIGHT_FORMAT_NO_OVERWRITE;
    check("a dump", dumpwright_dump_process(pid, file, DUMPWRIGHT_DUMP_SMALL, flags, "from C",
                                            &options, &summary), 0);
    check("the message of success", (int32_t)strlen(dumpwright_error_message()), 0);
    printf("%s: %u threads, %llu bytes, %d calls\n", file, summary.threads,
           (unsigned long long)summary.size, calls);
    if (summary.pid != pid || summary.threads == 0 || summary.size == 0 || calls == 0)
        return 1;

    check("a file that exists", dumpwright_dump_process(pid, file, DUMPWRIGHT_DUMP_SMALL, flags,
                                                        NULL, NULL, NULL), 0x80070050);
    if (!strstr(dumpwright_error_message(), "exists"))
        return 1;
    options.progress = stop;
    check("a dump that is given up", dumpwright_dump_process(pid, never, 1024, flags, NULL,
                                                             &options, NULL), 0x800704C7);
    check("no name", dumpwright_dump_process(pid, NULL, 1024, 0, NULL, NULL, NULL), 0x80070057);
    check("no qualifier", dumpwright_dump_process(pid, never, 7, 0, NULL, NULL, NULL), 0x80070057);
    check("no flag", dumpwright_dump_process(pid, never, 1024, 0x100000, NULL, NULL, NULL),
          0x80070057);
    check("no process", dumpwright_dump_process(0x7FFFFFF0, never, 1024, 0, NULL, NULL, NULL),
          0x80070057);
    check("no source", dumpwright_dump_file(never, again, 1024, 0, NULL, NULL, NULL), 0x80070002);
    check("a dump of a dump", dumpwright_dump_file(file, again, DUMPWRIGHT_DUMP_SMALL, 0,
                                                   "smaller", NULL, &summary), 0);
    printf("%s: %llu bytes (dumpwright %s)\n", again, (unsigned long long)summary.size,
           dumpwright_version());
    return 0;
}
