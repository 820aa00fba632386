// SPDX-License-Identifier: MIT
/* pCPUs, softirqs and switches of the host harness. Contract: host.h, cpu.h. */
#include "host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define weak __attribute__((weak))

weak struct cpu cpus[MAX_CPUS];
weak uint32_t cpu_count = 1;
weak cpumask_t cpu_online_mask = 1;
weak bool host_threads;

static struct stack_info stacks[MAX_CPUS];
weak _Thread_local struct stack_info *host_stack = &stacks[0];
weak _Thread_local bool host_irq_on = true;

static void (*handlers[SOFTIRQ_COUNT])(void);

weak void host_relax(void)
{
    if (!host_threads) {
        fprintf(stderr, "host: a single thread spins for ever on pCPU %u\n", this_cpu_id());
        abort();
    }
    sched_yield();
}

weak void host_on_cpu(uint32_t cpu)
{
    stacks[cpu].cpu = &cpus[cpu];
    host_stack = &stacks[cpu];
}

weak void softirq_register(enum softirq nr, void (*handler)(void))
{
    handlers[nr] = handler;
}

weak void softirq_raise_on(uint32_t cpu, enum softirq nr)
{
    __atomic_fetch_or(&cpus[cpu].softirq_pending, 1u << nr, __ATOMIC_SEQ_CST);
}

weak void softirq_raise(enum softirq nr)
{
    softirq_raise_on(this_cpu_id(), nr);
}

weak void softirq_run(void)
{
    uint32_t pending;

    while ((pending = __atomic_load_n(&this_cpu()->softirq_pending, __ATOMIC_SEQ_CST)) != 0) {
        uint32_t others = pending & ~(1u << SOFTIRQ_SCHEDULE);
        uint32_t nr = (uint32_t)__builtin_ctz(others != 0 ? others : pending);

        __atomic_fetch_and(&this_cpu()->softirq_pending, ~(1u << nr), __ATOMIC_SEQ_CST);
        if (!host_irq_on) {
            fprintf(stderr, "host: softirqs run with interrupts off\n");
            abort();
        }
        if (handlers[nr] != NULL)
            handlers[nr]();
        if (!host_irq_on) {
            fprintf(stderr, "host: a softirq left interrupts off\n");
            abort();
        }
    }
}

weak void host_settle(void)
{
    uint32_t cpu = 0, quiet = 0, before = this_cpu_id();

    for (; quiet < cpu_count; cpu = (cpu + 1) % cpu_count) {
        if (cpus[cpu].softirq_pending == 0) {
            quiet++;
            continue;
        }
        quiet = 0;
        host_on_cpu(cpu);
        softirq_run();
    }
    host_on_cpu(before);
}

/* No stacks here: the new vCPU is current at once, and the caller goes on as whoever it plays. */
weak void vcpu_switch(struct vcpu *prev, struct vcpu *next)
{
    struct stack_info *stack = host_stack;

    if (stack->cpu->current != prev || stack->vcpu != prev || prev == next || host_irq_on) {
        fprintf(stderr, "host: vcpu_switch from a vCPU that is not current, or with interrupts on\n");
        abort();
    }
    stack->cpu->current = next;
    stack->vcpu = next;
    sched_switched();
}

weak struct vcpu *vcpu_create_idle(uint32_t cpu)
{
    struct vcpu *v = calloc(1, sizeof(*v));

    if (v == NULL)
        abort();
    v->is_idle = true;
    v->id = cpu;
    v->cpu = cpu;
    cpus[cpu].idle = v;
    cpus[cpu].current = v;
    stacks[cpu].vcpu = v;
    return v;
}
