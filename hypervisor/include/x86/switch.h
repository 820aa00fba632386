/* SPDX-License-Identifier: MIT */
/*
 * Switching vCPUs: what those who create one must do. The switch itself is vcpu_switch() of sched.h. cpu/x86-switch.c.
 */
#pragma once

#include "../guest-access.h"

struct vcpu;

/*
 * v->stack is mapped: make its first switch-in start at return_to_guest with what *v->regs then holds. Sets v->regs, v->stack_top, v->switch_sp. Again for a vCPU
 * that starts anew (down, off its CPU).
 */
void vcpu_stack_prepare(struct vcpu *v);
/* v's saved state (segments, FPU, descriptor tables) was changed in memory: no CPU's registers count as a copy of it any more. v does not run. */
void vcpu_state_changed(struct vcpu *v);

/* The frame of a system call is written below a kernel stack pointer without a further check of the range (traps/entry.S). */
#define KERNEL_STACK_ROOM 4096
static inline bool kernel_stack_ok(uint64_t sp)
{
    return guest_range_ok(sp - KERNEL_STACK_ROOM, KERNEL_STACK_ROOM);
}
