/* SPDX-License-Identifier: MIT */
/*
 * Bringing up the other pCPUs, and how pCPUs work for each other: softirqs, calls, kicks, the idle loop. Contract: cpu.h.
 *
 * A call has a slot that belongs to the caller; targets look through the slots. So calls need no lock, and two CPUs that call each other at once serve
 * each other while they wait.
 */
#include "acpi.h"
#include "alloc.h"
#include "apic.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "options.h"
#include "sched.h"
#include "spinlock.h"
#include "time.h"
#include "tlb.h"
#include "vcpu.h"
#include "vfr.h"
#include "x86/cpu-area.h"

#define START_WAIT_NS (200 * NS_PER_MS)
#define INIT_WAIT_NS (10 * NS_PER_MS)

struct cpu cpus[MAX_CPUS];
uint32_t cpu_count = 1;
cpumask_t cpu_online_mask = 1;

static void (*softirq_handlers[SOFTIRQ_COUNT])(void);

static struct {
    void (*fn)(void *arg);
    void *arg;
    cpumask_t pending; /* targets that have not run it yet; atomic */
} calls[MAX_CPUS];

extern const char ap_trampoline[], ap_trampoline_end[];
uint64_t ap_boot_stack_top; /* for boot/head.S: the stack of the pCPU that starts now */
static bool ap_released;
void cpu_start_here(void) noreturn_fn;

void softirq_register(enum softirq nr, void (*handler)(void))
{
    softirq_handlers[nr] = handler;
}

void softirq_raise(enum softirq nr)
{
    __atomic_or_fetch(&this_cpu()->softirq_pending, 1u << nr, __ATOMIC_SEQ_CST);
}

void softirq_raise_on(uint32_t cpu, enum softirq nr)
{
    uint32_t before = __atomic_fetch_or(&cpus[cpu].softirq_pending, 1u << nr, __ATOMIC_SEQ_CST);

    if (cpu != this_cpu_id() && !(before & (1u << nr)))
        cpu_kick(cpu);
}

/* In the order of their numbers, but SCHEDULE last: it may not come back soon. */
static enum softirq softirq_next(uint32_t pending)
{
    uint32_t others = pending & ~(1u << SOFTIRQ_SCHEDULE);

    return (enum softirq)__builtin_ctz(others != 0 ? others : pending);
}

void softirq_run_only(uint32_t kinds)
{
    struct cpu *cpu;
    uint32_t pending;

    /* this_cpu() anew each time: the handler of SCHEDULE may return on another CPU. */
    while ((pending = READ_ONCE((cpu = this_cpu())->softirq_pending) & kinds) != 0) {
        enum softirq nr = softirq_next(pending);

        __atomic_and_fetch(&cpu->softirq_pending, ~(1u << nr), __ATOMIC_SEQ_CST);
        softirq_handlers[nr]();
    }
}

void softirq_run(void)
{
    softirq_run_only(~0u);
}

void cpu_kick(uint32_t cpu)
{
    apic_send(cpu, VECTOR_KICK);
}

void cpu_call_interrupt(void)
{
    cpumask_t me = cpu_bit(this_cpu_id());
    uint32_t i;

    for (i = 0; i < cpu_count; i++) {
        if (!(__atomic_load_n(&calls[i].pending, __ATOMIC_ACQUIRE) & me))
            continue;
        calls[i].fn(calls[i].arg);
        __atomic_and_fetch(&calls[i].pending, ~me, __ATOMIC_RELEASE);
    }
}

void cpu_call(cpumask_t mask, void (*fn)(void *arg), void *arg)
{
    uint32_t me = this_cpu_id();
    uint64_t flags;
    cpumask_t rest;

    mask &= cpu_online_mask & ~cpu_bit(me);
    if (mask == 0)
        return;
    calls[me].fn = fn;
    calls[me].arg = arg;
    __atomic_store_n(&calls[me].pending, mask, __ATOMIC_SEQ_CST);
    for (rest = mask; rest != 0; rest &= rest - 1)
        apic_send((uint32_t)__builtin_ctzll(rest), VECTOR_CALL);
    while (__atomic_load_n(&calls[me].pending, __ATOMIC_ACQUIRE) != 0) {
        flags = irq_save();
        cpu_call_interrupt();
        irq_restore(flags);
        cpu_relax();
    }
}

void cpu_idle_loop(void)
{
    for (;;) {
        irq_disable();
        vfr_cpu_idle();
        if (softirq_any_pending()) {
            irq_enable();
            softirq_run();
        } else {
            irq_enable_and_halt();
        }
    }
}

static void wait_ns(uint64_t ns)
{
    uint64_t until = clock_now_ns() + ns;

    while (clock_now_ns() < until)
        cpu_relax();
}

/* The first C on another pCPU. It waits until the boot CPU has made the run queues. */
void cpu_start_here(void)
{
    struct cpu *cpu = this_cpu();

    cpu_area_load(cpu->id);
    cpu_area_set_stack(cpu->idle->stack_top);
    apic_init_cpu();
    tlb_flush_local();
    __atomic_store_n(&cpu->online, true, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&ap_released, __ATOMIC_ACQUIRE))
        cpu_relax();
    timer_init_cpu();
    sched_init_cpu();
    irq_enable();
    cpu_idle_loop();
}

static bool cpu_start(uint32_t id, uint32_t apic)
{
    struct cpu *cpu = &cpus[id];
    uint64_t until;

    cpu->id = id;
    cpu->apic_id = apic;
    if (cpu_area_init(id) != 0)
        return false;
    cpu->idle = vcpu_create_idle(id);
    if (cpu->idle == NULL)
        return false;
    cpu->current = cpu->idle;
    ap_boot_stack_top = cpu->idle->stack_top;
    apic_send_init(apic);
    wait_ns(INIT_WAIT_NS);
    apic_send_startup(apic, TRAMPOLINE_PHYS >> PAGE_SHIFT);
    until = clock_now_ns() + START_WAIT_NS;
    while (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE)) {
        if (clock_now_ns() > until) {
            log_error("the processor with APIC id %u does not start", apic);
            apic_send_init(apic); /* so that it does not come later */
            return false;
        }
        cpu_relax();
    }
    return true;
}

void cpu_start_others(void)
{
    uint32_t i, limit = min(acpi_info.cpu_count, (uint32_t)MAX_CPUS);

    memcpy(maddr_to_virt(TRAMPOLINE_PHYS), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    if (boot_options.maxcpus != 0)
        limit = min(limit, boot_options.maxcpus);
    for (i = 0; i < acpi_info.cpu_count && cpu_count < limit; i++) {
        if (acpi_info.cpu_apic_id[i] == cpus[0].apic_id || !cpu_start(cpu_count, acpi_info.cpu_apic_id[i]))
            continue;
        cpu_online_mask |= cpu_bit(cpu_count);
        cpu_count++;
    }
}

void cpu_release_others(void)
{
    __atomic_store_n(&ap_released, true, __ATOMIC_RELEASE);
}
