/* What is dumped: `target HEAP_MIB THREADS` touches that much heap with bytes
 * that are not zero and parks that many threads on default stacks. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static sem_t started;

/* A few frames above the wait, as programs have. */
__attribute__((noinline)) static int wait_here(int depth) {
    if (depth > 0) return wait_here(depth - 1) + depth;
    sem_post(&started);
    pause();
    return 0;
}

static void *worker(void *argument) {
    for (;;) wait_here(8);
    return argument;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    size_t words = ((size_t)atol(argv[1]) << 20) / sizeof(uint64_t);
    int threads = atoi(argv[2]);
    volatile uint64_t *heap = malloc(words * sizeof *heap);
    if (!heap) return 2;
    uint64_t x = 1;
    for (size_t i = 0; i < words; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        heap[i] = x;
    }
    sem_init(&started, 0, 0);
    for (int i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, NULL)) return 2;
        sem_wait(&started);
    }
    puts("READY");
    fflush(stdout);
    for (;;) pause();
}
