/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and calls from guests, and what is bounced back to them.
 */
#pragma once

#include "types.h"
#include "x86/regs.h"

#include <xen/xen.h>

struct vcpu;

/* Processor exceptions (SDM vol. 3, table 6-1). */
enum {
    TRAP_DE = 0, TRAP_DB = 1, TRAP_NMI = 2, TRAP_BP = 3, TRAP_OF = 4, TRAP_BR = 5, TRAP_UD = 6, TRAP_NM = 7, TRAP_DF = 8, TRAP_TS = 10, TRAP_NP = 11,
    TRAP_SS = 12, TRAP_GP = 13, TRAP_PF = 14, TRAP_MF = 16, TRAP_AC = 17, TRAP_MC = 18, TRAP_XM = 19, TRAP_CP = 21,
};

/* Entry i of a guest's trap table, checked (address canonical and outside the hypervisor). 0 or -EINVAL. */
int must_check trap_entry_set(struct vcpu *v, const struct trap_info *t);

/*
 * Have the guest of the current vCPU take an exception when it is next entered: pushes the frame of the ABI (ABI.md section 3) on its kernel stack now.
 * A guest without a handler, or with a bad stack, is crashed. Context: hypercall or trap, interrupts enabled, no lock.
 */
void guest_inject_exception(struct vcpu *v, unsigned int vector, uint32_t error_code);
/* #PF: also stores the address for mov %cr2 and in vcpu_info. */
void guest_inject_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code);

/* Switch the current vCPU between its kernel's and its user's page table and GS base. */
void vcpu_toggle_mode(struct vcpu *v);

/* The fixup address for a faulting instruction of the hypervisor, 0 if there is none. */
uint64_t exception_fixup(uint64_t rip);

/* cpu/x86-debugreg.c: a #DB from the guest: record DR6 for it; true if the guest is to take it. The other one: from our own code. */
bool debug_trap_guest(struct vcpu *v, const struct regs *regs);
void debug_trap_own(struct regs *regs);

/* cpu/x86-nmi.c. NMI: a stop order of panic(), else passed to Domain0. Machine check: logged; fatal only if the processor says that it cannot go on. Interrupts off. */
void cpu_nmi(const struct regs *regs);
void machine_check(const struct regs *regs);

/* As panic(), with the registers of the fault. */
void panic_regs(const struct regs *regs, const char *fmt, ...) noreturn_fn printf_like(2, 3);
