/* SPDX-License-Identifier: MIT */
/*
 * Clocks, and the time that guests see.
 *
 * System time is nanoseconds since boot, from the TSC by a fixed 32.32 multiplication, the same on every CPU. Guests read it by the same
 * factors in vcpu_time_info (xen/xen.h). Wall time is the RTC's at boot plus system time. Virtual time of a vCPU is the sum of its running time.
 */
#pragma once

#include "timer.h"
#include "types.h"

#include <xen/xen.h>
#include <xen/vcpu.h>

struct vcpu;
struct domain;

/* TSC to nanoseconds as the ABI has it: ns = ((tsc << shift or >> -shift) * mul) >> 32. Fixed after clock_init(). */
extern uint32_t clock_tsc_mul;
extern int8_t clock_tsc_shift;
extern uint64_t clock_tsc_base; /* TSC at system time 0 */
extern uint64_t clock_tsc_hz;

void clock_init(void); /* boot CPU, once: calibrate the TSC against the ACPI PM timer or the PIT; read the RTC */
uint64_t clock_now_ns(void); /* system time. Context: any */
uint64_t clock_ns_from_tsc(uint64_t tsc);
/* TSC ticks to nanoseconds as guests compute it; mul and shift as in vcpu_time_info. Exact for any count of ticks that is less than 2^64 >> shift. */
static inline uint64_t clock_scale(uint64_t ticks, uint32_t mul, int8_t shift)
{
    if (shift >= 0)
        ticks <<= shift;
    else
        ticks >>= -shift;
    return (uint64_t)(((unsigned __int128)ticks * mul) >> 32);
}
/* The factors for a frequency: mul is even, shift is 0 or more, so that a multiple of CLOCK_GRANULE ticks is a whole number of nanoseconds. */
void clock_factors(uint64_t hz, uint32_t *mul, int8_t *shift);
/* Wall time (UTC, since 1970) at system time 0, in ns. */
uint64_t clock_wall_base_ns(void);
/* Domain0 knows the time better (XENPF_settime64): it was sec.nsec at this system time. Every domain must be told: domain_wallclock_publish. */
void clock_set_wall(uint64_t sec, uint32_t nsec, uint64_t system_time_ns);

/* What a vCPU has of time; embedded in struct vcpu. */
struct vcpu_time {
    struct timer singleshot; /* VCPUOP_set_singleshot_timer, set_timer_op */
    struct timer periodic;   /* VCPUOP_set_periodic_timer */
    uint64_t period_ns;      /* 0: stopped */
    struct timer virtual_alarm;   /* Collet extension: fires when virtual time reaches virtual_deadline_ns */
    uint64_t virtual_deadline_ns; /* 0: not set */
    struct vcpu_runstate_info runstate; /* xen/vcpu.h; times in ns. Written by the scheduler core alone */
    uint64_t published_ns;  /* system time in v->info: renewed once a granule (guest-time.c) */
    uint64_t runstate_area; /* guest VA registered with VCPUOP_register_runstate_memory_area, 0 none */
    uint64_t time_area;     /* guest VA of register_vcpu_time_memory_area, 0 none */
    bool time_area_stale;
};

/* Lifetime. Context: no lock held. */
void vcpu_time_init(struct vcpu *v);
void vcpu_time_destroy(struct vcpu *v);
/* Fill v->info's vcpu_time_info (version odd while changing). Called at creation, after registration of a vcpu_info, and on each switch to v. */
void vcpu_time_publish(struct vcpu *v);
/* Fill wc_* of the domain's shared_info. */
void domain_wallclock_publish(struct domain *d);
/*
 * Called by the scheduler core, this CPU, interrupts off, on every change of v's runstate (RUNSTATE_* of xen/vcpu.h). O(1). The registered guest area of
 * the *incoming* vCPU is written by vcpu_time_switched_in, once its page table is loaded.
 */
void vcpu_runstate_change(struct vcpu *v, int new_state, uint64_t now_ns);
/* v has just become this CPU's running vCPU, its page table loaded, interrupts enabled, no lock held: publish time, runstate area, move its timers here, arm its virtual alarm. */
void vcpu_time_switched_in(struct vcpu *v);
/* v is about to leave this CPU: stop its virtual alarm. Interrupts off. Its other timers stay where they are: they must wake it when it blocks. */
void vcpu_time_switched_out(struct vcpu *v);
/* Virtual time: nanoseconds that v has run. Context: any. */
uint64_t vcpu_virtual_now_ns(const struct vcpu *v);

/* The time parts of VCPUOP_*: set/stop periodic and singleshot, register runstate and time areas, get_runstate_info, and those of public/collet-time.h.
 * -ENOSYS for a cmd that is none of them. v is a vCPU of the caller's domain. */
long vcpu_op_time(struct vcpu *v, int cmd, uint64_t arg);
