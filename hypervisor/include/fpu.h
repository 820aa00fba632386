/* SPDX-License-Identifier: MIT */
/*
 * x87, SSE and AVX registers of guests. cpu/x86-fpu.c. The hypervisor itself is compiled without them.
 */
#pragma once

#include "types.h"

struct vcpu;

/* A clean state in memory of its own. 0 or -ENOMEM. */
int must_check fpu_create(struct vcpu *v);
void fpu_destroy(struct vcpu *v);
uint32_t fpu_state_bytes(void); /* size of that memory */
/* Take the 512-byte FXSAVE image of a vcpu_guest_context; unknown MXCSR bits are dropped. v has never run, or is down and off its CPU. */
void fpu_set_legacy(struct vcpu *v, const void *image);

/* For the vCPU switch. Interrupts off. save: v, which ran here, is leaving. load: the registers hold somebody else's state. */
void fpu_save(struct vcpu *v);
void fpu_load(struct vcpu *v);
/* Then, or if the registers are still its own: XCR0 and CR0.TS as the guest has set them. */
void fpu_guest_controls(struct vcpu *v);
/* XSETBV by the running vCPU: 0 or -EINVAL. */
int must_check fpu_set_xcr0(struct vcpu *v, uint64_t xcr0);
