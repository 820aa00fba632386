/* SPDX-License-Identifier: MIT */
/*
 * Physical CPUs: who we are, what each one runs, and how they call each other.
 *
 * Every stack (one a vCPU, and the IST stacks) ends in a struct stack_info, found by masking the stack pointer; it
 * leads to the pCPU we run on and to the vCPU whose stack it is. Concepts keep their per-CPU data in arrays of their
 * own, indexed by this_cpu_id().
 *
 * There is no preemption inside the hypervisor: a pCPU changes only at preempt_point() and in sched functions
 * that say that they block. Between two such points this_cpu() is stable.
 */
#pragma once

#include "types.h"
#include "x86/cpu-asm.h"
#include "x86/layout.h"
#include "x86/regs.h"

struct vcpu;

struct cpu {
    uint32_t id;      /* 0 is the boot CPU; numbers are dense */
    uint32_t apic_id; /* local APIC identifier */
    uint32_t softirq_pending; /* bit set of enum softirq; set atomically by anyone, cleared by this CPU */
    bool online;
    struct vcpu *current; /* what runs here now; its own idle vCPU when nothing does. Written by this CPU only */
    struct vcpu *idle;
    struct vcpu *fpu_owner; /* whose FPU state the registers hold; NULL if nobody's (vcpu.h) */
    uint64_t flush_stamp; /* tlb.h */
    uint64_t loaded_cr3;  /* what CR3 holds outside of the syscall fast path's kernel/user toggle */
    const struct regs *irq_regs; /* what an interrupt interrupted, inside its handler; else NULL */
};

extern struct cpu cpus[MAX_CPUS];
extern uint32_t cpu_count;        /* online pCPUs, dense from 0; fixed after boot */
extern cpumask_t cpu_online_mask; /* bit per online pCPU; fixed after boot */

/* At the very top of each stack, above the guest's saved registers. */
struct stack_info {
    struct vcpu *vcpu; /* whose stack; on IST stacks NULL */
    struct cpu *cpu;   /* where it runs now; rewritten by every switch */
};

static inline struct stack_info *stack_info(void)
{
    return (struct stack_info *)((read_stack_pointer() | (STACK_SIZE - 1)) + 1 - sizeof(struct stack_info));
}

static inline struct cpu *this_cpu(void)
{
    /* volatile: a switch moves this stack to another CPU behind the compiler's back */
    return *(struct cpu *volatile *)&stack_info()->cpu;
}

static inline uint32_t this_cpu_id(void)
{
    return this_cpu()->id;
}

/* The vCPU on whose stack we run: the running guest's, or this CPU's idle vCPU. Not usable on an IST stack. */
static inline struct vcpu *current_vcpu(void)
{
    return stack_info()->vcpu;
}

/* The guest's registers as saved at the last entry from it; they lie at the top of its stack. */
static inline struct regs *guest_regs(void)
{
    return (struct regs *)((char *)stack_info() - sizeof(struct regs));
}

/*
 * Work to do before a CPU returns to a guest (or in the idle loop), with interrupts enabled and no lock held.
 * softirq_raise: context any. Work for another CPU is noticed at once: it is sent an interrupt.
 */
enum softirq { SOFTIRQ_AUDIT, SOFTIRQ_TIMER, SOFTIRQ_SCHEDULE, SOFTIRQ_CONSOLE, SOFTIRQ_DOMAIN, SOFTIRQ_CHANGES, SOFTIRQ_BLOCK, SOFTIRQ_NET, SOFTIRQ_COUNT };
void softirq_register(enum softirq nr, void (*handler)(void));
void softirq_raise(enum softirq nr);
void softirq_raise_on(uint32_t cpu, enum softirq nr);
/* Runs what is pending on this CPU. Context: interrupts enabled, no lock held. May switch vCPUs. */
void softirq_run(void);
/* Only these kinds (bits by enum softirq): where others, which may look at everything, must not run. */
void softirq_run_only(uint32_t kinds);

static inline bool softirq_any_pending(void)
{
    return READ_ONCE(this_cpu()->softirq_pending) != 0;
}

/*
 * For long operations: lets interrupts, timers and other vCPUs run if any work is pending, then returns (perhaps on another pCPU, much later).
 * Context: a guest's hypercall, interrupts enabled, no lock held; anything read before must be re-checked by the caller if it may change.
 */
static inline void preempt_point(void)
{
    if (unlikely(softirq_any_pending()))
        softirq_run();
}

/*
 * Run fn(arg) on each other CPU in mask (this one is left out) with interrupts disabled, and wait until all have.
 * Context: interrupts enabled, or disabled where it is certain that no target spins for us (the caller services incoming calls while it waits).
 * fn must not take locks that are held with interrupts enabled.
 */
void cpu_call(cpumask_t mask, void (*fn)(void *arg), void *arg);
/* An interrupt and nothing more, so that the target looks at its softirqs. Context: any. */
void cpu_kick(uint32_t cpu);

/* Boot and end. cpu/smp.c. */
void cpu_start_others(void); /* bring every CPU of the MADT up; each ends in cpu_idle_loop() */
void cpu_idle_loop(void) noreturn_fn; /* softirqs, else hlt */
/* End the machine. Other CPUs are stopped first. Context: any. */
enum machine_end { MACHINE_POWEROFF, MACHINE_REBOOT, MACHINE_HALT };
void machine_end(enum machine_end how) noreturn_fn;

/* cpu/smp.c: VECTOR_CALL has arrived: run what others asked of this CPU. Interrupts off. */
void cpu_call_interrupt(void);
/* After cpu_start_others() and sched_init(): let the others enter their idle loops. */
void cpu_release_others(void);
