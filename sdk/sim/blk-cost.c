// SPDX-License-Identifier: MIT
/*
 * blk-cost: how many instructions ordering a disk request takes, by module and number of requests queued. Real modules, this host's processor.
 *
 * A child keeps n requests of eight VBDs queued at random places; the parent steps it through each call one instruction at a time and counts. So the figures repeat exactly, whatever
 * else the host does. They are for this compiler; what matters is how they grow with n.
 *   insert    a request arrives
 *   dispatch  who is next, and its completion
 * --check ends with 1 if one costs over two and a half times as much among 256 as among 16 (the logarithm doubles; a walk would cost 16 times as much).
 */
#include "blk-engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INSERT, DISPATCH, OPS };
enum { ROUNDS = 33, VBDS = 8, SIZES = 5, QUEUED_MAX = 1000 };

static const char *const op_names[OPS] = {"insert", "dispatch"};
static const uint32_t sizes[SIZES] = {1, 4, 16, 64, 256};

/* ---- The child ---- */

/* What follows is stepped, until the next one. */
static void mark(void)
{
    raise(SIGUSR1);
}

static struct blk_request requests[QUEUED_MAX];
static struct blk_vbd vbds[VBDS];

static void *memory(size_t bytes)
{
    void *p = calloc(1, bytes + 1);

    if (p == NULL)
        abort();
    return p;
}

static void renew(struct blk_request *r, uint64_t serial, uint64_t now_ns)
{
    uint64_t random = serial * 0x9e3779b97f4a7c15ull;

    r->serial = serial;
    r->vbd = &vbds[serial % VBDS];
    r->sector = (random >> 36) * 16; /* never contiguous */
    r->sectors = 8;
    r->segments = 1;
    r->op = random >> 20 & 1 ? BLK_READ : BLK_WRITE;
    r->arrived_ns = now_ns;
    r->merged = NULL;
}

static void play(const struct blk_sched_ops *ops, uint32_t queued)
{
    static const struct blk_disk disk = {.id = 1, .depth = 1, .sectors = 1ull << 32, .sectors_max = 1024, .segments_max = 128};
    void *state = memory(ops->state_bytes);
    uint64_t serial = 0, now_ns = 1000;

    if (ops->create != NULL && ops->create(state, &disk) != 0)
        abort();
    for (uint32_t i = 0; i < VBDS; i++) {
        vbds[i] = (struct blk_vbd){.id = i, .domid = i, .data = memory(ops->vbd_bytes)};
        if (ops->vbd_insert != NULL)
            ops->vbd_insert(state, &vbds[i]);
    }
    for (uint32_t i = 0; i < queued - 1; i++) {
        requests[i].data = memory(ops->request_bytes);
        renew(&requests[i], ++serial, now_ns);
        ops->insert(state, &requests[i], now_ns);
    }
    requests[queued - 1].data = memory(ops->request_bytes);
    for (struct blk_request *next = &requests[queued - 1];;) {
        struct blk_decision d;

        now_ns += 100000;
        renew(next, ++serial, now_ns);
        mark();
        ops->insert(state, next, now_ns);
        mark();
        mark();
        d = ops->dispatch(state, now_ns);
        if (ops->complete != NULL)
            ops->complete(state, d.request, now_ns);
        mark();
        next = d.request;
    }
}

/* ---- The parent ---- */

static int step(pid_t child, enum __ptrace_request how)
{
    int status;

    if (ptrace(how, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child) {
        fprintf(stderr, "blk-cost: cannot step: %s\n", strerror(errno));
        exit(2);
    }
    return status;
}

/* Instructions up to the next mark, those of raise() at both ends among them. */
static uint64_t count_steps(pid_t child)
{
    uint64_t steps = 0;
    int status;

    do {
        status = step(child, PTRACE_SINGLESTEP);
        steps++;
    } while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    return steps;
}

/* Means, the cost of an empty pair of marks taken off. */
static void measure(const struct blk_sched_ops *ops, uint32_t queued, uint64_t mean[OPS])
{
    uint64_t sums[OPS] = {0}, empty;
    pid_t child = fork();
    int status;

    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        mark();
        mark();
        play(ops, queued);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        fprintf(stderr, "blk-cost: cannot start: %s\n", strerror(errno));
        exit(2);
    }
    empty = count_steps(child);
    for (int round = 0; round < ROUNDS; round++) {
        for (int op = 0; op < OPS; op++) {
            status = step(child, PTRACE_CONT);
            if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGUSR1) {
                fprintf(stderr, "blk-cost: module %s, %u queued: it stopped with status %x\n", ops->name, queued, (unsigned int)status);
                exit(2);
            }
            sums[op] += count_steps(child) - empty;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    for (int op = 0; op < OPS; op++)
        mean[op] = sums[op] / ROUNDS;
}

int main(int argc, char **argv)
{
    bool check = argc > 1 && strcmp(argv[1], "--check") == 0;
    int bad = 0;

    if (argc > 1 && !check) {
        fputs("usage: blk-cost [--check]\nCounts instructions of ordering a disk request, by module and number of requests queued.\n", stderr);
        return 2;
    }
    printf("| module | operation |");
    for (uint32_t i = 0; i < SIZES; i++)
        printf(" %u |", sizes[i]);
    printf("\n|---|---|--:|--:|--:|--:|--:|\n");
    for (uint32_t m = 0; blk_sched_modules[m] != NULL; m++) {
        uint64_t mean[SIZES][OPS];

        for (uint32_t i = 0; i < SIZES; i++)
            measure(blk_sched_modules[m], sizes[i], mean[i]);
        for (int op = 0; op < OPS; op++) {
            printf("| %s | %s |", blk_sched_modules[m]->name, op_names[op]);
            for (uint32_t i = 0; i < SIZES; i++)
                printf(" %llu |", (unsigned long long)mean[i][op]);
            printf("\n");
            fflush(stdout);
            if (check && 2 * mean[SIZES - 1][op] > 5 * mean[2][op]) {
                fprintf(stderr, "blk-cost: %s of %s grows too much\n", op_names[op], blk_sched_modules[m]->name);
                bad = 1;
            }
        }
    }
    return bad;
}
