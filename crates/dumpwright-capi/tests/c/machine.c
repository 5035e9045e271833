/*
 * Writes kernel dumps of the machine in a memory image, and of those dumps:
 *
 *   machine IMAGE FOLDER
 */
#include <dumpwright.h>
#include <stdio.h>
#include <stdlib.h>

static const char *folder;

static uint64_t dump(const char *source, const char *name, uint32_t qualifier, uint32_t flags,
                     uint32_t wanted) {
    char file[1024];
    dumpwright_summary summary = {0};
    summary.struct_size = sizeof summary;
    snprintf(file, sizeof file, "%s/%s", folder, name);
    int32_t got = dumpwright_dump_file(source, file, qualifier, flags, "from C", NULL, &summary);
    if (got != (int32_t)wanted) {
        printf("FAILED: %s answers %08x and not %08x: %s\n", name, (unsigned)got, (unsigned)wanted,
               dumpwright_error_message());
        exit(1);
    }
    return summary.size;
}

int main(int count, char **words) {
    char kernel[1024];
    if (count != 3)
        return 2;
    folder = words[2];
    snprintf(kernel, sizeof kernel, "%s/kernel.dmp", folder);
    uint64_t full = dump(words[1], "full.dmp", DUMPWRIGHT_DUMP_FULL, 0, 0);
    uint64_t some = dump(words[1], "kernel.dmp", DUMPWRIGHT_DUMP_DEFAULT, 0, 0);
    uint64_t small = dump(kernel, "small.dmp", DUMPWRIGHT_DUMP_SMALL, 0, 0);
    dump(kernel, "kernel.cab", DUMPWRIGHT_DUMP_DEFAULT, DUMPWRIGHT_FORMAT_WRITE_CAB, 0);
    dump(words[1], "small.dmp", DUMPWRIGHT_DUMP_SMALL, DUMPWRIGHT_FORMAT_NO_OVERWRITE, 0x80070050);
    dump(words[1], "never.dmp", DUMPWRIGHT_DUMP_SMALL, DUMPWRIGHT_FORMAT_USER_SMALL_FULL_MEMORY,
         0x80070057);
    int32_t guest = dumpwright_dump_guest("/no/such/socket", kernel, DUMPWRIGHT_DUMP_SMALL, 0,
                                          NULL, NULL, NULL);
    if (guest != (int32_t)0x8000FFFF || small >= some || some >= full)
        return 1;
    printf("%llu %llu %llu\n", (unsigned long long)full, (unsigned long long)some,
           (unsigned long long)small);
    return 0;
}
