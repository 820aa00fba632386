/* SPDX-License-Identifier: MIT */
/*
 * Instructions that a guest kernel executes as if it were in ring 0, and that fault in ring 3 where it really is. ABI.md 3.1 and 4.3. cpu/.
 *
 * Context of all: the trap of the current vCPU, its registers in regs, interrupts enabled, no lock held. true: done, rip is behind the instruction (or an
 * exception was injected). false: none of ours, nothing has changed; the caller bounces the fault to the guest.
 */
#pragma once

#include "types.h"
#include "x86/regs.h"

struct vcpu;

/* #GP with error code 0. */
bool must_check emulate_privileged(struct vcpu *v, struct regs *regs);
/* #UD: CPUID behind the prefix "ud2; .ascii xen", in kernel and user mode. */
bool must_check emulate_forced_cpuid(struct vcpu *v, struct regs *regs);
/* #PF, present and write, kernel mode: a write to a page table (a page of type FRAME_L1 that is mapped read-only). */
bool must_check emulate_pt_write(struct vcpu *v, struct regs *regs, uint64_t cr2);
/* #NM: CR0.TS is cleared before the guest takes it (xen/xen.h, fpu_taskswitch). */
void emulate_device_not_available(struct vcpu *v);

/* cpu/x86-msr.c: the guest's view of model-specific registers. false: #GP. */
bool must_check msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
bool must_check msr_write(struct vcpu *v, uint32_t msr, uint64_t value);
