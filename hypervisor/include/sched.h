/* SPDX-License-Identifier: MIT */
/*
 * The scheduler core, as the rest of the hypervisor sees it. It owns vCPU states, run queue locks and accounting, and is the only caller of
 * struct sched_ops (sdk/include/hv/sched-ops.h). hypervisor/sched/.
 */
#pragma once

#include "types.h"

#include <hv/sched-ops.h>

struct vcpu;
struct domain;

/* Choose the module by boot_options.sched (unknown: report, use the first of the index) and make a run queue per CPU. Boot CPU, after all CPUs are counted. */
void sched_init(void);
/* On each pCPU, once: make its idle vCPU current and its queue live. */
void sched_init_cpu(void);

/* Lifetime of a vCPU in the scheduler; it starts paused once (pause count 1). 0 or -errno. Context: no lock held. */
int must_check sched_vcpu_init(struct vcpu *v);
void sched_vcpu_destroy(struct vcpu *v); /* not running anywhere any more */
int must_check sched_domain_init(struct domain *d);
void sched_domain_destroy(struct domain *d);

/* Why a vCPU cannot run: any bit set stops it. v->sched.blockers; changed under its run queue's lock. */
/* SCHED_BLOCKED: waits for an event (SCHEDOP_block, poll). SCHED_DOWN: VCPUOP_down or not yet up. SCHED_PAUSED: paused by others, counted. */

/* Make a blocked vCPU runnable (clears SCHED_BLOCKED and ends a poll). Cheap when it is not blocked. Context: any, irq-safe. */
void vcpu_wake(struct vcpu *v);
/*
 * The current vCPU waits until vcpu_wake. `still_wanted(v)` is called after the state is set and before sleeping; if false, the block is undone: so no wake-up can be lost.
 * Context: hypercall, no lock, interrupts enabled. Returns when the vCPU runs again.
 */
void vcpu_block(bool (*still_wanted)(struct vcpu *v));
void vcpu_yield(void);
/* Stop / allow, counted. pause returns at once (v is off its CPU soon); pause_sync returns when it is off. */
void vcpu_pause(struct vcpu *v);
void vcpu_pause_sync(struct vcpu *v); /* not for the current vCPU */
void vcpu_unpause(struct vcpu *v);
/* VCPUOP_up/down. */
void vcpu_set_down(struct vcpu *v, bool down);
bool vcpu_is_down(const struct vcpu *v);

/* SOFTIRQ_SCHEDULE: let the module choose, and switch. Context: this pCPU, interrupts enabled, no lock held, on the stack of the current vCPU. */
void sched_run(void);

/*
 * Given by the rest to the core (cpu/x86-switch.c): leave prev, become next, on this CPU. Interrupts are off. Returns on prev's stack when prev is
 * chosen again, maybe on another CPU; a vCPU that never ran starts in its entry function instead, which calls sched_switched() first.
 */
void vcpu_switch(struct vcpu *prev, struct vcpu *next);
/* Told by whoever runs after a switch, on the new stack, interrupts off: prev's registers are saved, other CPUs may run it. Enables interrupts. Core side. */
void sched_switched(void);

/* Hand every vCPU from the active module to another while they run. 0, -ENOENT, -ENOMEM. Context: no lock held. */
int must_check sched_use(const char *name);
const char *sched_active_name(void);

/* CPUs it may run on, from its next move on. */
void vcpu_set_affinity(struct vcpu *v, cpumask_t mask);

/*
 * A parameter of the active module: of the instance (d and v NULL), of a domain and all its vCPUs (v NULL), or of one vCPU.
 * 0; -ENOENT: no such name; -EOPNOTSUPP: not settable there; -ERANGE. Context: no lock held.
 */
int must_check sched_param_set(struct domain *d, struct vcpu *v, const char *name, uint64_t value);
int must_check sched_param_get(struct domain *d, struct vcpu *v, const char *name, uint64_t *value);
