/* SPDX-License-Identifier: MIT */
/*
 * Inside the scheduler core: the run queue of a pCPU, and what its files share. Nobody else includes this.
 *
 * Locks, in the order they are taken: sched_admin_lock (which vCPUs and domains exist, which module is active; interrupts on),
 * then run queues by rising CPU number (interrupts off). A second queue out of that order is only ever tried.
 */
#pragma once

#include "cpu.h"
#include "sched.h"
#include "spinlock.h"
#include "timer.h"
#include "vcpu.h"

#define SCHED_NOWHERE UINT32_MAX /* ran_cpu of a vCPU that has not run yet */
#define HOME_BUCKETS 256u
#define HOME_BUCKET_BITS 8

struct run_queue {
    struct spinlock lock;     /* protects all of this, and the place of every vCPU whose home it is */
    bool watching;            /* watchdog_timer is armed */
    struct sched_queue queue; /* what modules see */
    struct list_node waiting; /* vCPUs that are WAITING here, longest first: the core's own record, and the fallback's order */
    struct sched_vcpu *leaving; /* switched out on this pCPU, registers not saved yet; this pCPU only */
    bool leaving_moves;       /* and then to be brought to where it may run */
    uint64_t now_ns;          /* latest time a module was told */
    uint64_t slice_end_ns;    /* of queue.running; UINT64_MAX: none */
    uint64_t slice_timer_ns;  /* when slice_timer fires; may be before slice_end_ns, then it is armed again. UINT64_MAX: not armed */
    uint64_t watch_due_ns;
    uint64_t patient_until_ns; /* the machine stood still; nobody is called starved before */
    uint64_t pull_due_ns; /* when it may look for somebody to take over even though it has somebody to run */
    struct timer slice_timer, watchdog_timer;
    uint32_t homed;           /* vCPUs at home here */
    void *data_next;          /* module data prepared for a change of module */
    uint64_t runs, switches, preemptions, pulls; /* counters */
    uint64_t busy_ns; /* time charged to vCPUs here */
    struct sched_vcpu *home[HOME_BUCKETS]; /* every vCPU at home here, by address: so a pointer from a module can be checked unread */
} aligned_to(64);

extern struct run_queue *run_queues; /* [cpu_count] */
extern struct spinlock sched_admin_lock;
extern struct list_node sched_all_vcpus, sched_all_domains; /* lock: sched_admin_lock */
extern struct sched_machine sched_machine;

/*
 * The active module: its table with stubs for what it leaves out, and its state. Written with every run queue locked,
 * so stable under any one of them.
 */
extern struct sched_ops active;
extern void *active_state;
extern const struct sched_ops sched_fallback;

/* Faults of modules since boot, by kind. Atomic. */
enum sched_fault {
    FAULT_IDLE_WHILE_RUNNABLE,
    FAULT_UNKNOWN_VCPU,
    FAULT_NOT_QUEUED,
    FAULT_SLICE,
    FAULT_STARVED,
    FAULT_PLACEMENT, /* harmless: ignored and counted */
    FAULT_COUNT
};
extern uint64_t sched_fault_counts[FAULT_COUNT];
extern const char *const sched_fault_names[FAULT_COUNT]; /* what the module did, for a sentence */

static inline struct vcpu *vcpu_of(struct sched_vcpu *s)
{
    return container_of(s, struct vcpu, sched);
}

static inline struct run_queue *run_queue_of(uint32_t cpu)
{
    return &run_queues[cpu];
}

/* Now, for this queue: never earlier than what its module has heard, even if another pCPU's counter is a little behind. */
static inline uint64_t run_queue_now(struct run_queue *rq)
{
    uint64_t now = clock_now_ns();

    if (unlikely(now < rq->now_ns))
        return rq->now_ns;
    rq->now_ns = now;
    return now;
}

static inline struct sched_vcpu **home_bucket(struct run_queue *rq, const struct sched_vcpu *s)
{
    /* Multiplicative hashing: vCPUs lie some pages apart, and any such distance spreads well. */
    return &rq->home[((uint64_t)(uintptr_t)s * 0x9e3779b97f4a7c15ull) >> (64 - HOME_BUCKET_BITS)];
}

static inline void run_queue_lock_all(uint64_t *flags)
{
    *flags = irq_save();
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        spin_lock(&run_queues[cpu].lock);
}

static inline void run_queue_unlock_all(uint64_t flags)
{
    for (uint32_t cpu = cpu_count; cpu-- > 0;)
        spin_unlock(&run_queues[cpu].lock);
    irq_restore(flags);
}

/* It may not run where it is at home; lock: home queue. */
static inline bool misplaced(const struct sched_vcpu *s)
{
    return !(s->affinity & cpu_bit(s->cpu));
}

/* core.c */
struct run_queue *run_queue_lock_home(struct sched_vcpu *s, uint64_t *flags);
void run_queue_charge(struct run_queue *rq, uint64_t now_ns);
void run_queue_add_home(struct run_queue *rq, struct sched_vcpu *s);
void run_queue_remove_home(struct run_queue *rq, struct sched_vcpu *s);
void run_queue_set_slice(struct run_queue *rq, uint64_t now_ns, uint64_t slice_ns);

/* checked-pick.c */
struct sched_vcpu *checked_pick(struct run_queue *rq, uint64_t now_ns, uint64_t *slice_ns, enum sched_fault *fault);
struct sched_vcpu *checked_steal(struct run_queue *from, struct run_queue *to, uint64_t now_ns);
uint32_t checked_pick_cpu(struct run_queue *rq, const struct sched_vcpu *s, uint64_t now_ns);

/* place.c */
struct run_queue *place_allowed(struct run_queue *rq, struct sched_vcpu *s);
struct run_queue *place_waking(struct run_queue *rq, struct sched_vcpu *s, uint64_t now_ns);
uint64_t place_pull(struct run_queue *rq, uint64_t now_ns);
struct sched_vcpu *place_default_steal(void *state, struct sched_queue *from, struct sched_queue *to, uint64_t now_ns);
void place_wake_idle(struct run_queue *rq, uint64_t idle);

/* Somebody stays waiting here: let a pCPU that idles come for it. */
static inline void place_offer(struct run_queue *rq)
{
    uint64_t idle = READ_ONCE(sched_machine.idle_mask) & ~cpu_bit(rq->queue.cpu);

    if (unlikely(idle != 0))
        place_wake_idle(rq, idle);
}

/* watchdog.c */
void slice_timer_fired(void *rq);
void watchdog_fired(void *rq);
void watchdog_arm(struct run_queue *rq, uint64_t now_ns);

/* Somebody stays waiting: be sure that we look in time. Cheap when already armed. */
static inline void watchdog_watch(struct run_queue *rq, uint64_t now_ns)
{
    if (unlikely(!rq->watching))
        watchdog_arm(rq, now_ns);
}

/* module.c: the module has failed; the fallback takes over, unless somebody else has seen to it. Context: no lock held. */
void sched_replace_failed(enum sched_fault fault, const char *module, const char *detail);

/* Which module ran when, and what became of the last one. Lock: sched_admin_lock. */
struct sched_history {
    uint64_t since_ns, uses;
    uint64_t dropped_ns;
    char dropped[32], dropped_why[96];
};
extern struct sched_history sched_history;

/* Parameter values that outlive a change of module. kept.c */
struct sched_shelved {
    struct sched_domain *domain;
    struct sched_vcpu *vcpu; /* NULL: the domain's own */
    const struct sched_parameter *param; /* of the module in which it was set */
    uint64_t value;
};
struct sched_kept {
    struct sched_setting *settings; /* in the new module's terms; one domain after the other: its own, then its vCPUs' */
    uint32_t count, shelf_count;
    struct sched_shelved *shelf; /* what the new module does not know */
};
/* What the active module says now, and what is on the shelf; -ENOMEM. Administration lock held, no queue's. Pair: sched_kept_free. */
int must_check sched_kept_collect(struct sched_kept *kept, const struct sched_ops *next);
void sched_kept_free(struct sched_kept *kept);
/* Set them in the module that is active now, and keep the shelf. Administration lock held, no queue's. */
void sched_kept_give(struct sched_kept *kept);
/* The domain goes, or (s not NULL) one vCPU of it. Administration lock held. */
void sched_kept_forget(const struct sched_domain *d, const struct sched_vcpu *s);

/* params.c */
bool sched_param_in_range(const struct sched_parameter *param, uint64_t value);
/* Whether the active module agrees to these together: 0, -EINVAL, -ENOSPC. Then: make them. A domain's goes to its vCPUs too. Administration lock held, no queue's. */
int must_check sched_settings_check(const struct sched_setting *settings, uint32_t count);
void sched_settings_make(const struct sched_setting *settings, uint32_t count);
void sched_params_from_options(void);

/* keys.c */
void sched_keys_init(void);
