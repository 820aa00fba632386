/* SPDX-License-Identifier: MIT */
/*
 * FPU, SSE and AVX state of guests. The hypervisor itself is compiled without any of them. cpu/x86-fpu.c.
 *
 * A vCPU's state is written to memory whenever it leaves a pCPU and loaded when it comes to one whose registers hold anything else; across idle
 * periods they still hold its own, and nothing is loaded.
 */
#pragma once

#include "types.h"

struct vcpu;
struct cpu;

/* Boot CPU, once, before any vCPU: how large a state is and which components guests may have. */
void fpu_init(void);
extern uint64_t fpu_xcr0_allowed; /* XCR0 bits offered to guests; 0: no XSAVE, FXSAVE is used */

/* Memory for a clean state; -ENOMEM. Pair. */
int must_check fpu_create(struct vcpu *v);
void fpu_destroy(struct vcpu *v);

/* Part of a switch, this CPU, interrupts off. */
void fpu_leave(struct vcpu *v);
void fpu_enter(struct cpu *cpu, struct vcpu *v);

/* XSETBV by v's guest, current: 0 or -EINVAL. */
int must_check fpu_set_xcr0(struct vcpu *v, uint64_t value);
