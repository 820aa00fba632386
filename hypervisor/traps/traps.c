/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: what is ours to answer, what is emulated, what the guest takes itself.
 *
 * The page fault is the hot one: from a guest's kernel it may be a page-table write to emulate (ABI.md 4.3), else it is
 * bounced at once. A fault in the hypervisor itself is only allowed at the instructions of the exception table. Called by entry.S.
 */
#include "alloc.h"
#include "apic.h"
#include "bounce.h"
#include "cpu.h"
#include "domain.h"
#include "emulate.h"
#include "guest-access.h"
#include "log.h"
#include "trace.h"
#include "traps.h"
#include "vcpu.h"

#include <hv/errno.h>

struct exception_fixup_entry {
    int32_t from, to; /* relative to each field's own address */
};
extern const struct exception_fixup_entry __ex_table_start[], __ex_table_end[];

void trap_guest_page_fault(struct regs *regs);
void trap_own_page_fault(struct regs *regs);
void trap_guest_exception(struct regs *regs);
void trap_own_exception(struct regs *regs);
void trap_interrupt_dispatch(struct regs *regs);
void trap_ist_own(struct regs *regs);
struct regs *trap_ist_move(const struct regs *regs);
void trap_ist_guest(struct regs *regs);

uint64_t exception_fixup(uint64_t rip)
{
    const struct exception_fixup_entry *e;

    for (e = __ex_table_start; e < __ex_table_end; e++)
        if ((uint64_t)&e->from + (uint64_t)(int64_t)e->from == rip)
            return (uint64_t)&e->to + (uint64_t)(int64_t)e->to;
    return 0;
}

/* Page-fault error code (SDM vol. 3, 4.7). */
#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_RESERVED 8u
#define PF_FETCH 16u

static inline void trace_fault(const struct vcpu *v, const struct regs *regs, uint64_t where)
{
    trace_vcpu(COLLET_TRACE_FAULT, v, regs->vector | (uint64_t)regs->error_code << 32, where);
}

void trap_guest_page_fault(struct regs *regs)
{
    struct vcpu *v = current_vcpu();
    uint64_t address = read_cr2();

    irq_enable();
    v->faults++;
    trace_fault(v, regs, address);
    if (unlikely(regs->error_code & PF_RESERVED)) {
        domain_crash(v->domain, "v%u: reserved bits in the page table for %#lx", v->id, (unsigned long)address);
        return;
    }
    if (v->in_kernel && (regs->error_code & (PF_PRESENT | PF_WRITE | PF_FETCH)) == (PF_PRESENT | PF_WRITE) &&
        emulate_pt_write(v, regs, address)) {
        v->pt_emulations++;
        return;
    }
    guest_inject_page_fault(v, address, regs->error_code);
}

static void own_fault(struct regs *regs, uint64_t address)
{
    uint64_t fixup = exception_fixup(regs->rip);

    if (likely(fixup != 0)) {
        regs->rip = fixup;
        return;
    }
    panic_regs(regs, "exception %u in the hypervisor, error code %#x, address %#lx", regs->vector, regs->error_code,
               (unsigned long)address);
}

void trap_own_page_fault(struct regs *regs)
{
    own_fault(regs, read_cr2());
}

void trap_own_exception(struct regs *regs)
{
    own_fault(regs, 0);
}

/*
 * INT n from ring 3 through a gate of ours with DPL 0. If the guest's own table allows it, the guest takes the trap behind the
 * instruction. The vector is read from the instruction, since QEMU 7.2 gives a wrong error code here.
 */
static bool software_interrupt(struct vcpu *v, struct regs *regs)
{
    uint8_t bytes[2];
    const struct guest_trap *trap;

    if ((regs->error_code & 7) != 2 || copy_from_guest(bytes, regs->rip, sizeof(bytes)) != 0 || bytes[0] != 0xcd)
        return false;
    trap = &v->traps[bytes[1]];
    if (trap->address == 0 || trap->dpl < (v->in_kernel ? 1 : 3)) {
        /* What a processor says about a gate that is not there or not for you: its own error code. */
        guest_inject_exception(v, TRAP_GP, bytes[1] * 8u + 2u);
        return true;
    }
    regs->rip += sizeof(bytes);
    bounce_to(v, regs, trap->address, trap->masks_events, NULL, 0);
    return true;
}

void trap_guest_exception(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    v->faults++;
    trace_fault(v, regs, regs->rip);
    switch (regs->vector) {
    case TRAP_GP:
        if (regs->error_code == 0 ? emulate_privileged(v, regs) : software_interrupt(v, regs))
            return;
        break;
    case TRAP_UD:
        if (emulate_forced_cpuid(v, regs))
            return;
        break;
    case TRAP_NM:
        emulate_device_not_available(v);
        break;
    default:
        break;
    }
    guest_inject_exception(v, regs->vector, regs->error_code);
}

#define INT80 0x80u

void trap_interrupt_dispatch(struct regs *regs)
{
    struct vcpu *v;

    if (regs->vector != INT80) {
        irq_dispatch((uint8_t)regs->vector);
        return;
    }
    /* INT 0x80 has a gate of DPL 3: the 32-bit system call of guest programs. */
    if (!regs_from_guest(regs))
        return;
    v = current_vcpu();
    irq_enable();
    if (v->traps[INT80].address == 0 || v->traps[INT80].dpl < (v->in_kernel ? 1 : 3)) {
        regs->rip -= 2;
        guest_inject_exception(v, TRAP_GP, INT80 * 8u + 2u);
    } else {
        bounce_to(v, regs, v->traps[INT80].address, v->traps[INT80].masks_events, NULL, 0);
    }
}

void trap_ist_own(struct regs *regs)
{
    switch (regs->vector) {
    case TRAP_NMI:
        cpu_nmi(regs);
        return;
    case TRAP_DB:
        debug_trap_own(regs); /* a guest's breakpoint on memory that we copy for it, or one deferred over SYSCALL */
        return;
    case TRAP_MC:
        machine_check(regs);
        return;
    default:
        panic_regs(regs, "double fault in the hypervisor");
    }
}

struct regs *trap_ist_move(const struct regs *regs)
{
    struct vcpu *v = this_cpu()->current;

    *v->regs = *regs;
    return v->regs;
}

void trap_ist_guest(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    switch (regs->vector) {
    case TRAP_NMI:
        cpu_nmi(regs);
        break;
    case TRAP_DB:
        irq_enable();
        if (debug_trap_guest(v, regs))
            guest_inject_exception(v, TRAP_DB, 0);
        break;
    case TRAP_MC:
        machine_check(regs);
        break;
    default:
        panic_regs(regs, "double fault on entry from a guest");
    }
}
