/* SPDX-License-Identifier: MIT */
/* Debug registers at a vCPU switch. cpu/x86-debugreg.c. Interrupts off. */
#pragma once

#include "vcpu.h"

#define DR7_ENABLES 0xffu

/* Whether v has any breakpoint on: only then are the registers its own. */
static inline bool debugreg_armed(const struct vcpu *v)
{
    return (v->dr[7] & DR7_ENABLES) != 0;
}
void debugreg_load(const struct vcpu *v);
void debugreg_unload(void);
