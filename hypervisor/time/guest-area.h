/* SPDX-License-Identifier: MIT */
/*
 * Writing into areas that a guest kernel has registered by virtual address, whatever mode its vCPU was stopped in.
 */
#pragma once

#include "types.h"

struct vcpu;

/* Make the kernel's addresses of v, the current vCPU, reachable; returns what guest_area_leave wants back. No block or preemption in between. */
uint64_t must_check guest_area_enter(const struct vcpu *v);
void guest_area_leave(uint64_t token);
