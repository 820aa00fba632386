/* SPDX-License-Identifier: MIT */
/*
 * What `collet top` shows: two looks at the machine and the rates between them. Drawing is in cmd-top.c.
 * Tests: test-top.c.
 */
#pragma once

#include "cli.h"

struct top_domain {
    struct collet_domain_info info;
    struct collet_vcpu_info *vcpus;
    int vcpu_count;
};

/* One look. */
struct top_sample {
    struct collet_machine machine;
    struct collet_sched_status sched;
    struct top_domain *domains;
    int count;
};

/* One line: a domain, or one of its vCPUs. Rates are per second of the interval. */
struct top_row {
    char name[COLLET_NAME_MAX + 12];
    uint32_t domid;
    int32_t vcpu;        /* -1: the whole domain */
    char state[10];      /* xl's letters, or a vCPU's state */
    double cpu_percent;  /* of one CPU: two vCPUs can make 200 */
    double wait_percent; /* runnable, not running: what others cost it */
    uint64_t run_ns;     /* in all */
    uint64_t frames, frames_max;
    uint32_t vcpus;
    double wakes, dispatches, migrations;
    uint64_t p99_ns; /* of wake-ups in the interval; 0: there was none */
};

enum top_order { TOP_BY_CPU, TOP_BY_MEMORY, TOP_BY_NAME, TOP_BY_ID, TOP_BY_WAKES, TOP_BY_LATENCY, TOP_BY_WAIT, TOP_ORDERS };
extern const char *const top_order_names[TOP_ORDERS];

int top_take(struct collet *c, struct top_sample *s); /* 0 or -errno; free with top_free() in any case */
void top_free(struct top_sample *s);
/* Rows of the second look, in order; free(). NULL: no memory. before->count 0: everything since the domains' creation. */
struct top_row *top_rows(const struct top_sample *before, const struct top_sample *after, enum top_order order, bool per_vcpu, int *count);
/* How much of all CPUs was in use in the interval, in percent of one. */
double top_busy_percent(const struct top_sample *before, const struct top_sample *after);
