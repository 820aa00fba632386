/* SPDX-License-Identifier: MIT */
/* Registers that the vCPU switch (x86-switch.c) carries for x86-msr.c. */
#pragma once

#include "types.h"

struct vcpu;

/* For the current vCPU. */
void vcpu_tsc_aux_set(struct vcpu *v, uint32_t value);
