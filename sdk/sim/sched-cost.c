// SPDX-License-Identifier: MIT
/*
 * sched-cost: how many instructions a decision takes, by module and number of vCPUs. Real core, real modules, this host's processor.
 *
 * A child plays one pCPU with n runnable vCPUs; the parent steps it through each operation one instruction at a time and counts. So the figures repeat
 * exactly, whatever else the host does. They are for this compiler and the host harness; what matters is how they grow with n.
 *   switch  a slice ends: charge, enqueue, pick_next, timers
 *   block   the running one blocks: charge, sleep, pick_next
 *   wake    one that sleeps wakes: place, enqueue
 * --check ends with 1 if an operation costs over three times as much among 1000 vCPUs as among 4. docs/performance.md shows a run.
 */
#include "../host/host.h"
#include "../../hypervisor/sched/run-queue.h"

#include <errno.h>
#include <hv/errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SWITCH, BLOCK, WAKE, OPS };
enum { ROUNDS = 16, VCPUS_EACH = 4 };

static const char *const op_names[OPS] = {"switch", "block", "wake"};
static const uint32_t sizes[] = {4, 16, 64, 250, 1000};

/* ---- The child ---- */

/* What follows is stepped, until the next one. */
static void mark(void)
{
    raise(SIGUSR1);
}

static void play(const char *module, uint32_t vcpus)
{
    struct domain *d = NULL;

    host_machine_start(1, module);
    for (uint32_t i = 0; i < vcpus; i++) {
        struct vcpu *v;

        if (i % VCPUS_EACH == 0) {
            d = host_domain_create((domid_t)(i / VCPUS_EACH + 1));
            if (sched_param_set(d, NULL, "weight", 64 + i * 37 % 1000) == -EAGAIN)
                abort();
        }
        v = host_vcpu_create(d);
        host_vcpu_start(v);
    }
    host_run_until(vcpus * 20 * NS_PER_MS); /* each has run */
    for (int round = 0; round < ROUNDS; round++) {
        struct vcpu *sleeper;

        host_now_ns += 10 * NS_PER_MS;
        mark();
        sched_run();
        mark();
        host_settle();
        sleeper = current_vcpu();
        host_now_ns += 1 * NS_PER_MS;
        mark();
        vcpu_block(NULL);
        mark();
        host_settle();
        host_now_ns += 1 * NS_PER_MS;
        mark();
        vcpu_wake(sleeper);
        mark();
        host_settle();
    }
}

/* ---- The parent ---- */

static int step(pid_t child, enum __ptrace_request how)
{
    int status;

    if (ptrace(how, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child) {
        fprintf(stderr, "sched-cost: cannot step: %s\n", strerror(errno));
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

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Medians, the cost of an empty pair of marks taken off. */
static void measure(const char *module, uint32_t vcpus, uint64_t median[OPS])
{
    uint64_t counts[OPS][ROUNDS], empty = 0;
    pid_t child = fork();
    int status;

    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        mark();
        mark();
        play(module, vcpus);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        fprintf(stderr, "sched-cost: cannot start: %s\n", strerror(errno));
        exit(2);
    }
    empty = count_steps(child);
    for (int round = 0; round < ROUNDS; round++) {
        for (int op = 0; op < OPS; op++) {
            status = step(child, PTRACE_CONT);
            if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGUSR1) {
                fprintf(stderr, "sched-cost: module %s, %u vCPUs: it stopped with status %x\n", module, vcpus, (unsigned int)status);
                exit(2);
            }
            counts[op][round] = count_steps(child);
        }
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    for (int op = 0; op < OPS; op++) {
        qsort(counts[op], ROUNDS, sizeof(uint64_t), compare);
        median[op] = counts[op][ROUNDS / 2] - empty;
    }
}

int main(int argc, char **argv)
{
    bool check = argc > 1 && strcmp(argv[1], "--check") == 0;
    int bad = 0;

    if (argc > 1 && !check) {
        fputs("usage: sched-cost [--check]\nCounts instructions of scheduling decisions, by module and number of vCPUs.\n", stderr);
        return 2;
    }
    printf("| module | operation |");
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        printf(" %u |", sizes[i]);
    printf("\n|---|---|--:|--:|--:|--:|--:|\n");
    for (uint32_t m = 0; sched_modules[m] != NULL; m++) {
        uint64_t median[ARRAY_SIZE(sizes)][OPS];

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
            measure(sched_modules[m]->name, sizes[i], median[i]);
        for (int op = 0; op < OPS; op++) {
            printf("| %s | %s |", sched_modules[m]->name, op_names[op]);
            for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                printf(" %llu |", (unsigned long long)median[i][op]);
            printf("\n");
            fflush(stdout);
            if (check && median[ARRAY_SIZE(sizes) - 1][op] > 3 * median[0][op]) {
                fprintf(stderr, "sched-cost: %s of %s grows too much\n", op_names[op], sched_modules[m]->name);
                bad = 1;
            }
        }
    }
    return bad;
}
