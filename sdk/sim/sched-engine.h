/* SPDX-License-Identifier: MIT */
/*
 * The engine of sched-sim and of the scheduler tests: guests made of bursts and sleeps, on the real core and real modules, in invented time.
 *
 * A task is a vCPU that runs for a while, sleeps for a while, and so on. Time jumps from event to event, so ten virtual seconds take milliseconds, and the
 * same input gives the same decisions. After each event `check` may look at everything.
 */
#pragma once

#include "../host/host.h"

#define ENGINE_FOREVER UINT64_MAX

struct engine_latencies {
    uint64_t *ns; /* wake to run, one per wake-up that was served */
    uint32_t count, room;
};

struct engine_task {
    char name[32];
    struct domain *domain;
    struct vcpu *vcpu;
    uint64_t run_ns;   /* length of a burst; ENGINE_FOREVER */
    uint64_t sleep_ns; /* between bursts */
    uint64_t start_ns;
    uint64_t stop_ns;  /* when it goes for good; 0: never */
    uint64_t period_ns; /* if not 0: wakes at multiples of this instead of after sleep_ns */
    bool random;       /* bursts and sleeps are exponential with these means */
    bool yields;       /* ends a burst with a yield instead of a sleep */

    uint64_t left_ns;  /* of the present burst */
    uint64_t wake_at_ns; /* UINT64_MAX while not asleep */
    uint64_t woken_ns; /* when it last woke, until it runs; UINT64_MAX then */
    uint64_t ran_ns;   /* total */
    uint64_t runnable_ns; /* total of running and waiting */
    bool started, stopped;
    struct engine_latencies latencies;
};

struct engine {
    struct engine_task **tasks;
    uint32_t task_count;
    uint64_t seed; /* state of the generator; any number but 0 */
    uint64_t steps;
    void (*check)(struct engine *engine, void *arg);
    void *check_arg;
};

/* A task of its own domain, or of `domain`. It starts at start_ns. */
struct engine_task *engine_add(struct engine *e, const char *name, struct domain *domain, uint64_t run_ns, uint64_t sleep_ns);
void engine_run(struct engine *e, uint64_t until_ns);
/* Destroys tasks, vCPUs and the domains that engine_add made. */
void engine_free(struct engine *e);
uint64_t engine_random(struct engine *e); /* 64 bits */
/* The p-th percentile (0..100) of a task's latencies; sorts them. */
uint64_t engine_latency(struct engine_task *t, double p);
