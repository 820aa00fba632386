/* SPDX-License-Identifier: MIT */
/*
 * Register switch between vCPUs: cpu/x86-switch.c. vcpu_switch() itself is in sched.h.
 */
#pragma once

#include "../types.h"

struct vcpu;

/* Make a vCPU that never ran begin in its guest, with v->regs as they are then, when it is first switched to. */
void vcpu_stack_prepare(struct vcpu *v);

/* Whether RDFSBASE and its kind may be used. Fixed at boot. */
extern bool cpu_has_fsgsbase;

/* Load a selector into gs (or ds, es, fs): false, and null loaded, if its descriptor is no good. */
bool selector_load_ds(uint16_t selector);
bool selector_load_es(uint16_t selector);
bool selector_load_fs(uint16_t selector);
bool selector_load_gs(uint16_t selector);

/* Debug registers of v into this CPU, or none if v has no breakpoints. Interrupts off. cpu/x86-debugreg.c. */
void debug_registers_enter(struct vcpu *v);
