/* SPDX-License-Identifier: MIT */
/*
 * NMI and machine check: neither loses the machine, if the processor can go on.
 *
 * An NMI that nobody here asked for is Domain0's (its first vCPU), as the ABI's XEN_NMIREASON has it. A machine check is read out of its
 * banks, logged and cleared (SDM vol. 3, 15.10); it ends the machine only if the state is lost or the interrupted instruction cannot be resumed in the hypervisor. A
 * guest that was hit is told by its own #MC handler. Runs on an IST stack, or on the vCPU's after a move from it: no lock but the log's.
 */
#include "cpu.h"
#include "domain.h"
#include "log.h"
#include "panic.h"
#include "traps.h"
#include "vcpu.h"
#include "x86/cpu-asm.h"

#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MC_STATUS(bank) (0x401 + 4 * (bank))
#define MSR_MC_ADDR(bank) (0x402 + 4 * (bank))
#define MCG_RIPV 1u
#define MC_VALID (1ull << 63)
#define MC_UNCORRECTED (1ull << 61)
#define MC_ADDR_VALID (1ull << 58)
#define MC_CONTEXT_CORRUPT (1ull << 57)
#define BANKS_MAX 32u

static bool mce_present(void)
{
    struct cpuid_regs r = cpuid(1, 0);

    return (r.edx & (1u << 7)) && (r.edx & (1u << 14));
}

/* Log and clear each bank; true if one says that the processor's context is corrupt. */
static bool banks_read_out(void)
{
    unsigned int bank, banks = (unsigned int)(rdmsr(MSR_MCG_CAP) & 0xff);
    bool corrupt = false;

    for (bank = 0; bank < min(banks, BANKS_MAX); bank++) {
        uint64_t status = rdmsr(MSR_MC_STATUS(bank));

        if (!(status & MC_VALID))
            continue;
        log_error("cpu %u: machine check, bank %u: status %#lx, address %#lx", this_cpu_id(), bank, (unsigned long)status,
                  status & MC_ADDR_VALID ? (unsigned long)rdmsr(MSR_MC_ADDR(bank)) : 0);
        corrupt |= (status & MC_UNCORRECTED) && (status & MC_CONTEXT_CORRUPT);
        wrmsr(MSR_MC_STATUS(bank), 0);
    }
    return corrupt;
}

void machine_check(const struct regs *regs)
{
    bool corrupt, resumable;
    struct vcpu *v = this_cpu()->current;

    if (!mce_present()) {
        log_error("cpu %u: machine check without machine check registers; going on", this_cpu_id());
        return;
    }
    corrupt = banks_read_out();
    resumable = rdmsr(MSR_MCG_STATUS) & MCG_RIPV;
    if (corrupt || (!resumable && !regs_from_guest(regs)))
        panic_regs(regs, "machine check that cannot be survived");
    wrmsr(MSR_MCG_STATUS, 0);
    if (!regs_from_guest(regs) || v->is_idle)
        return;
    v->mce_pending = true;
    if (!resumable && v->traps[TRAP_MC].address == 0)
        domain_crash(v->domain, "v%u: a machine check struck it and it has no handler", v->id);
    softirq_raise(SOFTIRQ_SCHEDULE); /* by way of guest_exit_work */
}

void cpu_nmi(const struct regs *regs)
{
    struct domain *d = domain0;
    struct vcpu *v = d != NULL ? d->vcpus[0] : NULL;

    if (panic_stop_requested(regs))
        return;
    log_warning("cpu %u: NMI from outside, given to Domain0", this_cpu_id());
    if (v == NULL)
        return;
    v->nmi_pending = true;
    softirq_raise_on(v->cpu, SOFTIRQ_SCHEDULE);
}
