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
struct collet_vcpu_info;    /* <collet/control.h> */
struct collet_sched_status;

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
/*
 * Let v run though it is paused or down, because it holds what only it can give back; whoever paused it must stand that. A further vcpu_pause stops it nevertheless. vcpu_drain_end
 * stops it for the same reasons as before, and returns at once. Context: any, not on v itself.
 */
void vcpu_drain_begin(struct vcpu *v);
void vcpu_drain_end(struct vcpu *v); /* of one that is not being drained: nothing */
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

/* How long a pCPU has run no vCPU since boot. Context: any. */
uint64_t sched_idle_ns(uint32_t cpu);

/* CPUs it may run on, from its next dispatch on; if it runs elsewhere now, it is moved soon. A mask without any pCPU of ours changes nothing. */
void vcpu_set_affinity(struct vcpu *v, cpumask_t mask);

/*
 * A parameter of the active module: of the instance (d and v NULL), of a domain and all its vCPUs (v NULL), or of one vCPU.
 * 0; -ENOENT: no such name; -EOPNOTSUPP: not settable there; -ERANGE. Context: no lock held.
 */
int must_check sched_param_set(struct domain *d, struct vcpu *v, const char *name, uint64_t value);
int must_check sched_param_get(struct domain *d, struct vcpu *v, const char *name, uint64_t *value);

/*
 * Several parameters at once, of the module that is active. All entries are checked before the first is set, and no change of module comes between: they come into force
 * whole or not at all. module: NULL or "", or the name of the module that they are meant for.
 * 0, or *failed is the index of the entry to blame (count: none) and: -ESTALE another module is active; -ESRCH the domain is gone; -ENOENT no such vCPU or parameter;
 * -EOPNOTSUPP; -ERANGE; -EINVAL no such scope. Context: no lock held.
 */
struct sched_param_entry {
    struct domain *domain; /* referenced by the caller; NULL for the scope of the module */
    uint32_t scope;        /* one SCHED_SCOPE_* */
    uint32_t vcpu;         /* for SCHED_SCOPE_VCPU */
    const char *name;
    uint64_t value; /* get: the answer */
};
int must_check sched_params_set(const char *module, const struct sched_param_entry *entries, uint32_t count, uint32_t *failed);
int must_check sched_params_get(const char *module, struct sched_param_entry *entries, uint32_t count, uint32_t *failed);

/* What the scheduler knows of v: state, cpu, affinity, the times up to now, wakes, dispatches, preemptions, migrations, waited_max_ns and latency of *info. O(1). Context: no lock held. */
void sched_vcpu_account(struct vcpu *v, struct collet_vcpu_info *info);
/* All of *status. Context: no lock held. */
void sched_status_read(struct collet_sched_status *status);
/* The module by that name (NULL or "": the active one), or NULL. By index: the list's order; NULL at its end. Tables never go away. */
const struct sched_ops *sched_module_find(const char *name);
const struct sched_ops *sched_module_at(uint32_t index);
