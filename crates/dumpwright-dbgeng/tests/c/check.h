/*
 * What the test programs share: includes for both systems, checks, output
 * callbacks that remember what was said, files.
 *
 * Each failed check is a line that begins with FAILED.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define INITGUID
#include <windows.h>
#include <dbgeng.h>
#include <io.h>
#define CALL STDMETHODCALLTYPE
#define getpid() ((int)GetCurrentProcessId())
#define PROGRAM_MAGIC "MZ"
typedef void *Object;
#else
#include "dumpwright-dbgeng.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>
#define CALL
#define PROGRAM_MAGIC "\177ELF"
#endif

#define FILE_EXISTS ((HRESULT)0x80070050)
#define CANCELLED ((HRESULT)0x800704C7)
#define READ_FAULT ((HRESULT)0x8007001E)
#define FILE_CORRUPT ((HRESULT)0x80070570)
#define NOT_FOUND ((HRESULT)0x80070002)
#define NO_PATH ((HRESULT)0x80070003)

#define NO_OVERWRITE 0x80000000u
#define WRITE_CAB 0x20000000u
#define FULL_MEMORY 0x1u
#define MA 0xC07u /* /mfFhut */

static int failures, checks;

#define SHARED static __attribute__((unused))

SHARED void expect(const char *what, int line, HRESULT got, HRESULT wanted) {
    checks++;
    if (got != wanted) {
        failures++;
        printf("FAILED line %d: %s answers %08x and not %08x\n", line, what, (unsigned)got,
               (unsigned)wanted);
    }
}
#define EXPECT(call, wanted) expect(#call, __LINE__, (call), (HRESULT)(wanted))
#define CHECK(what) \
    do { \
        checks++; \
        if (!(what)) { \
            failures++; \
            printf("FAILED line %d: %s\n", __LINE__, #what); \
        } \
    } while (0)

/* Output callbacks: what was said, and an interrupt when it begins to write. */

static char said[1 << 16];
static uint64_t calling_thread;

SHARED uint64_t this_thread(void) {
#ifdef _WIN32
    return GetCurrentThreadId();
#else
    return (uint64_t)pthread_self();
#endif
}
static IDebugControl *interrupt_at_start;
static ULONG listeners = 1;

static HRESULT CALL listener_query(IDebugOutputCallbacks *this, const GUID *iid, void **object) {
    (void)this;
    (void)iid;
    *object = NULL;
    return E_NOINTERFACE;
}
static ULONG CALL listener_add(IDebugOutputCallbacks *this) {
    (void)this;
    return ++listeners;
}
static ULONG CALL listener_release(IDebugOutputCallbacks *this) {
    (void)this;
    return --listeners;
}
static HRESULT CALL listener_output(IDebugOutputCallbacks *this, ULONG mask, PCSTR text) {
    (void)this;
    (void)mask;
    CHECK(this_thread() == calling_thread); /* callbacks come on the thread that called */
    if (strlen(said) + strlen(text) < sizeof said)
        strcat(said, text);
    if (interrupt_at_start && strstr(text, "Writing"))
        interrupt_at_start->lpVtbl->SetInterrupt(interrupt_at_start, DEBUG_INTERRUPT_ACTIVE);
    return S_OK;
}
#ifdef _WIN32
static IDebugOutputCallbacksVtbl listener_vtable = {
    (void *)listener_query, (void *)listener_add, (void *)listener_release,
    (void *)listener_output};
static IDebugOutputCallbacks listener = {&listener_vtable};
#else
static const IDebugOutputCallbacksVtbl listener_vtable = {listener_query, listener_add,
                                                          listener_release, listener_output};
static IDebugOutputCallbacks listener = {&listener_vtable};
#endif

/* Files. */

static const char *folder;
static char name_buffer[8][1024];

SHARED const char *file(const char *name) {
    static int next;
    char *buffer = name_buffer[next++ % 8];
    snprintf(buffer, sizeof name_buffer[0], "%s/%s", folder, name);
    return buffer;
}

SHARED long size_of(const char *path) {
    FILE *f = fopen(path, "rb");
    long size = -1;
    if (f) {
        fseek(f, 0, SEEK_END);
        size = ftell(f);
        fclose(f);
    }
    return size;
}

SHARED void put(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

SHARED int holds(const char *path, const char *text) {
    char buffer[64] = {0};
    FILE *f = fopen(path, "rb");
    size_t count = f ? fread(buffer, 1, sizeof buffer - 1, f) : 0;
    if (f)
        fclose(f);
    return count >= strlen(text) && memcmp(buffer, text, strlen(text)) == 0;
}

SHARED const WCHAR *wide(const char *text) {
    static WCHAR buffer[4][1024];
    static int next;
    WCHAR *out = buffer[next++ % 4];
    size_t i = 0;
    for (; text[i]; i++)
        out[i] = (WCHAR)(unsigned char)text[i];
    out[i] = 0;
    return out;
}
