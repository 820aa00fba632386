/* SPDX-License-Identifier: MIT */
/*
 * Timers: call me at this system time, on this pCPU.
 *
 * A per-CPU heap behind the local APIC's one-shot timer. The heap's links are inside the timers, so arming never allocates and cannot fail. Handlers run
 * in SOFTIRQ_TIMER on the timer's CPU, interrupts enabled, no lock held, and may re-arm or free their timer. Tests: time/test-timer.c.
 */
#pragma once

#include "types.h"

struct timer {
    uint64_t deadline_ns; /* system time; lock: the queue's of `cpu` */
    void (*handler)(void *arg);
    void *arg;
    struct timer *child, *next, *prev; /* place in the heap: first child, right sibling, left sibling or else parent */
    uint32_t cpu; /* where it fires */
    bool armed;
};

void timer_init(struct timer *timer, void (*handler)(void *), void *arg, uint32_t cpu);
/* (Re)arm for an absolute system time; one in the past fires as soon as may be. Context: any but the timer queue's own lock. */
void timer_set(struct timer *timer, uint64_t deadline_ns);
void timer_cancel(struct timer *timer); /* after return it will not start; a handler under way on another CPU may still run */
void timer_cancel_sync(struct timer *timer); /* and none is under way. Context: no lock that the handler takes */
bool timer_armed(const struct timer *timer);
void timer_migrate(struct timer *timer, uint32_t cpu); /* keeps its deadline */

/* Make a timer follow its user to this CPU; cheap when it is here already, or not armed. */
static inline void timer_follow(struct timer *timer, uint32_t cpu)
{
    if (unlikely(READ_ONCE(timer->cpu) != cpu))
        timer_migrate(timer, cpu);
}

void timer_init_cpu(void); /* on each pCPU, once, after its APIC is up */
/* Driver side: the local APIC's timer interrupt on this CPU has fired. */
void timer_interrupt(void);
