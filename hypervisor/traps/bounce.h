/* SPDX-License-Identifier: MIT */
/* Inside traps/: making a guest take a callback. */
#pragma once

#include "types.h"
#include "x86/regs.h"

struct vcpu;

/*
 * Push the ABI's frame for `entry` on the guest kernel's stack and turn regs there. `extra`: words between r11 and rip (an error code, selectors).
 * Context: current vCPU, interrupts on or off, no lock. False if the guest had no usable stack and was crashed.
 */
bool bounce_to(struct vcpu *v, struct regs *regs, uint64_t entry, bool mask_events, const uint64_t *extra, unsigned int extras);

/* Called by entry.S. */
void guest_event_upcall(struct regs *regs);
void guest_syscall(struct regs *regs);
void guest_syscall32(struct regs *regs);
void guest_syscall_bad_stack(struct regs *regs);
void guest_iret_failed(struct regs *regs);
void guest_no_user_table(struct regs *regs);
void guest_iret_bad_context(struct regs *regs);
void guest_exit_work(struct regs *regs);
