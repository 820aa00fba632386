/* SPDX-License-Identifier: MIT */
/*
 * The end: registers, a symbolised stack trace, what each pCPU was doing; then reboot, power off or halt as `noreboot` says.
 *
 * Everything here is written to work when little else does: no lock is waited for, the other CPUs are stopped by NMI with a time limit,
 * a second panic on the way stops at once. Without frame pointers (release builds) every word on the stack that is a code address is
 * printed, so a trace may name functions that have returned already: those are marked '?'.
 */
#include "panic.h"

#include "apic.h"
#include "console.h"
#include "cpu.h"
#include "domain.h"
#include "lib/string.h"
#include "log.h"
#include "options.h"
#include "traps.h"
#include "vcpu.h"
#include "x86/capture-asm.h"
#include "x86/cpu-asm.h"

#include <stdarg.h>

#define TRACE_MAX 24
#define STOP_SPINS 20000000u

extern const uint32_t symbol_count, symbol_offsets[], symbol_name_offsets[];
extern const char symbol_names[];
extern const char __image_start[], __text_end[];

static uint32_t panicking;      /* 1 + the CPU that panics; atomic */
static cpumask_t stopped;       /* CPUs that have answered; atomic */
static uint32_t report_turn;    /* the CPU that may write its report; atomic */

static void say(const char *fmt, ...) printf_like(1, 2);
static void say(const char *fmt, ...)
{
    char line[200];
    va_list args;
    int at = snprintf(line, sizeof(line), "(collet) "), n;

    va_start(args, fmt);
    n = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, fmt, args);
    va_end(args);
    at = min(at + n, (int)sizeof(line) - 2);
    line[at++] = '\n';
    console_write_unlocked(line, (size_t)at);
}

/* The function that an address lies in, and how far; NULL outside of our code. */
static const char *symbol_find(uint64_t address, uint64_t *offset)
{
    uint64_t at = address - (uint64_t)__image_start;
    uint32_t low = 0, high = symbol_count;

    if (address < (uint64_t)__image_start || address >= (uint64_t)__text_end || symbol_count == 0)
        return NULL;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;

        if (symbol_offsets[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    *offset = at - symbol_offsets[low];
    return symbol_names + symbol_name_offsets[low];
}

static void say_symbol(uint64_t address, const char *mark)
{
    uint64_t offset = 0;
    const char *name = symbol_find(address, &offset);

    if (name != NULL)
        say("  [%#lx] %s%s+%#lx", (unsigned long)address, mark, name, (unsigned long)offset);
    else
        say("  [%#lx] %sguest or data", (unsigned long)address, mark);
}

static void trace_from(uint64_t sp)
{
    uint64_t top = (sp | (STACK_SIZE - 1)) + 1 - sizeof(struct stack_info), offset;
    unsigned int lines = 0;

    for (sp &= ~7ull; sp < top && lines < TRACE_MAX; sp += 8) {
        uint64_t word = *(const uint64_t *)sp;

        if (symbol_find(word, &offset) != NULL && offset != 0) {
            say_symbol(word, "? ");
            lines++;
        }
    }
}

static void say_registers(const struct regs *r)
{
    say("rip %016lx cs %04lx rflags %08lx rsp %016lx ss %04lx", (unsigned long)r->rip, (unsigned long)r->cs,
        (unsigned long)r->rflags, (unsigned long)r->rsp, (unsigned long)r->ss);
    say("rax %016lx rbx %016lx rcx %016lx rdx %016lx", (unsigned long)r->rax, (unsigned long)r->rbx, (unsigned long)r->rcx,
        (unsigned long)r->rdx);
    say("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", (unsigned long)r->rsi, (unsigned long)r->rdi, (unsigned long)r->rbp,
        (unsigned long)r->r8);
    say("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", (unsigned long)r->r9, (unsigned long)r->r10, (unsigned long)r->r11,
        (unsigned long)r->r12);
    say("r13 %016lx r14 %016lx r15 %016lx cr2 %016lx cr3 %016lx", (unsigned long)r->r13, (unsigned long)r->r14,
        (unsigned long)r->r15, (unsigned long)read_cr2(), (unsigned long)read_cr3());
}

static void say_cpu(const struct cpu *cpu, const struct regs *regs)
{
    const struct vcpu *v = cpu->current;

    if (v == NULL || v->is_idle || v->domain == NULL)
        say("cpu %u: idle", cpu->id);
    else
        say("cpu %u: d%u v%u, %s", cpu->id, v->domain->id, v->id,
            regs != NULL && regs_from_guest(regs) ? (v->in_kernel ? "in its kernel" : "in user mode") : "in the hypervisor");
    if (regs == NULL)
        return;
    say_symbol(regs->rip, "");
    if (!regs_from_guest(regs))
        trace_from(regs->rsp);
}

bool panic_stop_requested(const struct regs *regs)
{
    uint32_t me = this_cpu_id();
    uint32_t spins;

    if (__atomic_load_n(&panicking, __ATOMIC_ACQUIRE) == 0)
        return false;
    __atomic_or_fetch(&stopped, cpu_bit(me), __ATOMIC_SEQ_CST);
    for (spins = 0; __atomic_load_n(&report_turn, __ATOMIC_ACQUIRE) != me + 1 && spins < STOP_SPINS; spins++)
        cpu_relax();
    say_cpu(&cpus[me], regs);
    __atomic_store_n(&report_turn, 0, __ATOMIC_RELEASE);
    for (;;) {
        irq_disable();
        cpu_halt();
    }
}

static void others_report(uint32_t me)
{
    uint32_t i, spins;

    apic_send_nmi_others();
    for (i = 0; i < cpu_count; i++) {
        if (i == me)
            continue;
        for (spins = 0; !(__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) & cpu_bit(i)) && spins < STOP_SPINS; spins++)
            cpu_relax();
        if (!(__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) & cpu_bit(i))) {
            say("cpu %u: does not answer", i);
            continue;
        }
        __atomic_store_n(&report_turn, i + 1, __ATOMIC_RELEASE);
        for (spins = 0; __atomic_load_n(&report_turn, __ATOMIC_ACQUIRE) != 0 && spins < STOP_SPINS; spins++)
            cpu_relax();
    }
}

static noreturn_fn void panic_end(const struct regs *regs, const char *fmt, va_list args)
{
    uint32_t me = this_cpu_id(), none = 0;
    char reason[160];

    irq_disable();
    if (!__atomic_compare_exchange_n(&panicking, &none, me + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        for (;;) /* someone is at it, or we came here from the report itself */
            cpu_halt();
    }
    vsnprintf(reason, sizeof(reason), fmt, args);
    say("PANIC on cpu %u: %s", me, reason);
    say_registers(regs);
    say_cpu(&cpus[me], regs);
    if (cpu_count > 1)
        others_report(me);
    if (!boot_options.noreboot)
        machine_end(MACHINE_REBOOT);
    machine_end(boot_options.noreboot_exit ? MACHINE_POWEROFF : MACHINE_HALT);
}

void panic(const char *fmt, ...)
{
    struct regs here;
    va_list args;

    registers_capture(&here);
    va_start(args, fmt);
    panic_end(&here, fmt, args);
}

void panic_regs(const struct regs *regs, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    panic_end(regs, fmt, args);
}
