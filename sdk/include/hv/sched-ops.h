/* SPDX-License-Identifier: MIT */
/*
 * The contract between the scheduler core (hypervisor/sched/) and a scheduler module (sched/<name>.c).
 *
 * The core owns states, locks, timers, switches and clocks; a module owns an order. It is told what became runnable
 * and what stopped, and answers two questions: who is next and for how long, and must the running one stop for
 * the one that just woke. Every answer is checked; a module that answers wrongly, or lets a runnable vCPU wait beyond
 * the watchdog's bound, is replaced by the core's own round robin while the guests run on.
 *
 * Rules for every op, unless it says otherwise:
 *   - Time comes as the argument now_ns (never decreasing on one queue). A module reads no clock, keeps no global
 *     variable, and orders nothing by address: the same calls give the same answers anywhere.
 *   - An op that is given a queue runs with that queue's lock held by the core and interrupts off. It touches
 *     that queue's data and that of vCPUs whose home it is; what belongs to a domain or to the instance is shared by all
 *     pCPUs and changed by single atomic operations only. It allocates nothing, logs nothing per call; O(log n), if need be amortised.
 *   - An op without a queue runs with interrupts on under the core's administration lock, and may allocate.
 *   - Where `.xxx_bytes` says so, the core allocates the module's data, zeroed, before the first op that sees it,
 *     and frees it after the last.
 *
 * The life of a vCPU, as a module sees it:
 *
 *     vcpu_insert -> ( enqueue -> pick_next -> charge* -> (enqueue | yield | sleep) )* -> vcpu_remove
 *
 * Each enqueue is ended by exactly one pick_next that returns the vCPU, or one dequeue; each pick_next by one enqueue, yield or sleep (but a
 * change of module removes the running ones as they are). While a vCPU runs it is not in the queue. Between, while it is neither queued nor running, `move` may change its home. Idle vCPUs are never shown.
 *
 * In-tree contract: it may change; then all modules change in the same commit. Tests: hypervisor/sched/test-core.c, test-bad-modules.c.
 */
#pragma once

#include <hv/list.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A module's slice: it may run until it blocks. Only right while nobody else is queued. */
#define SCHED_UNTIL_BLOCK UINT64_MAX
/* Answer of enqueue: leave the running vCPU's slice as it is. */
#define SCHED_KEEP UINT64_MAX
/* Other slices lie between these, or the answer is bad. */
#define SCHED_SLICE_MIN_NS (10ull * 1000)
#define SCHED_SLICE_MAX_NS (10ull * 1000 * 1000 * 1000)

/* Values of sched_vcpu.blockers: why a vCPU cannot run; 0 is runnable. The core's. */
#define SCHED_BLOCKED 1u /* waits for an event: SCHEDOP_block, poll */
#define SCHED_DOWN 2u    /* VCPUOP_down, or not brought up yet */
#define SCHED_PAUSED 4u  /* pause_count is not zero */
#define SCHED_MOVING 8u  /* on its way to a pCPU that it may run on: its affinity has changed */

/* Bucket i of a latency histogram: less than 2^i microseconds; the last: all the rest. */
#define SCHED_LATENCY_BUCKETS 24

/* Where a vCPU is; sched_vcpu.place, changed by the core alone. */
enum sched_place {
    SCHED_OUT,     /* not runnable */
    SCHED_WAITING, /* enqueued at its home queue */
    SCHED_RUNNING, /* the `running` of its home queue, perhaps just becoming or ceasing to be so */
};

/* Embedded in struct domain. */
struct sched_domain {
    void *data;  /* the module's: .domain_bytes, or NULL */
    uint32_t id; /* domain number, for logs and as a tie-break */

    /* The core's. Lock: administration. */
    void *data_next; /* prepared for the module that takes over */
    struct list_node link;
    struct list_node vcpus; /* its vCPUs, by domain_link */
    bool known;
};

/* Embedded in struct vcpu. */
struct sched_vcpu {
    /* What a module may read. */
    void *data; /* the module's: .vcpu_bytes, or NULL */
    struct sched_domain *domain;
    uint32_t id;       /* within its domain */
    uint32_t cpu;      /* its home queue; lock: that queue's */
    uint64_t affinity; /* CPUs it may run on, bit per CPU */
    uint64_t serial;   /* a tie-break that does not depend on addresses: order of creation; when a module takes over, order of waiting */
    uint8_t place;     /* enum sched_place; lock: home queue */

    /* The core's. Lock: the home queue's, except where said. */
    uint32_t blockers; /* SCHED_BLOCKED ...; atomic: set by the vCPU itself, read by wakers without the lock */
    bool on_cpu;       /* registers are in a processor; true -> false by sched_switched() without the lock */
    bool yielding; /* gave way by itself: set before sched_run, until it is chosen again */
    bool woken;    /* waits since a wake-up, not since the end of a slice */
    bool dead;
    uint32_t ran_cpu; /* where it ran last; ~0: nowhere yet */
    uint32_t pause_count;
    uint64_t waiting_since_ns; /* when it last became WAITING */
    struct list_node wait_link; /* waiting list of its home, oldest first */
    struct sched_vcpu *home_next; /* chain of its home's table of known vCPUs */
    struct list_node link; /* list of all; lock: administration */
    struct list_node domain_link; /* its domain's list; lock: administration */
    void *data_next;

    /* Counters; lock: home queue. */
    uint64_t ran_ns, waited_ns, waited_max_ns, dispatches, wakes, preemptions, migrations;
    uint64_t latency[SCHED_LATENCY_BUCKETS]; /* dispatches after a wake-up, by the logarithm of the wait in microseconds */
};

/* A pCPU's run queue, as modules see it. Lock: its own, held by the core. */
struct sched_queue {
    uint32_t cpu;
    void *data;                 /* the module's: .queue_bytes, or NULL */
    struct sched_vcpu *running; /* NULL while the pCPU idles */
    uint64_t charged_ns;        /* `running` has been charged up to this time */
    uint32_t waiting;           /* number enqueued */
};

/* Given to create and pick_cpu. The queues' numbers are read without their locks there: a hint. */
struct sched_machine {
    uint32_t cpu_count;
    uint64_t idle_mask;                 /* CPUs that run nothing; a hint */
    const struct sched_queue *queues[64]; /* by CPU */
};

struct sched_decision {
    struct sched_vcpu *vcpu; /* NULL: nobody may run now; only if .park_max_ns is not 0 */
    uint64_t slice_ns; /* from now; SCHED_UNTIL_BLOCK or within the SLICE limits. Without a vCPU: ask again then, at most .park_max_ns */
};

/* May a vCPU that waits be taken to this CPU? For steal: its registers must be saved, and its affinity must allow it. */
static inline bool sched_can_move(const struct sched_vcpu *vcpu, uint32_t cpu)
{
    return !__atomic_load_n(&vcpu->on_cpu, __ATOMIC_ACQUIRE) && (vcpu->affinity >> cpu & 1) != 0;
}

enum sched_reason {
    SCHED_WAKE,   /* was blocked, or paused, or new */
    SCHED_AGAIN,  /* ran until now and is still runnable */
    SCHED_TRANSFER, /* was waiting already: comes from another queue, or from another module */
};

/* A parameter that can be read and set by name while the module runs. */
enum sched_param_type { SCHED_PARAM_UINT, SCHED_PARAM_NS, SCHED_PARAM_BOOL };
enum { SCHED_SCOPE_MODULE = 1, SCHED_SCOPE_DOMAIN = 2, SCHED_SCOPE_VCPU = 4 };
struct sched_parameter {
    const char *name;
    enum sched_param_type type;
    uint32_t scopes; /* where it may be set */
    uint64_t minimum, maximum, initial; /* the core refuses what lies outside */
    const char *help; /* one line, with the unit */
};

/* What a parameter is read from or written to. All NULL: the instance. */
struct sched_target {
    struct sched_domain *domain; /* alone: what vCPUs created in it later begin with */
    struct sched_vcpu *vcpu;
    struct sched_queue *queue; /* its home, locked; NULL unless vcpu is given */
};

/* One of several settings that are to be made together. */
struct sched_setting {
    struct sched_target target; /* queue is NULL */
    uint32_t index;             /* of params */
    uint64_t value;             /* within type, limits and scopes */
};

struct sched_ops {
    const char *name;    /* lower case, at most 31 characters */
    const char *summary; /* one line */

    size_t state_bytes, queue_bytes, domain_bytes, vcpu_bytes; /* may be 0 */

    const struct sched_parameter *params;
    uint32_t param_count;

    /*
     * The longest time for which the module keeps a runnable vCPU from running on purpose, because a limit that the user set says so (a cap, a reservation
     * that is used up). 0, the usual: never; the module is work-conserving. The watchdog allows for it: nobody may wait longer than this and its bound.
     */
    uint64_t park_max_ns;

    /* A new instance; `state` is zeroed. Returns 0 or -errno. Optional: nothing to do. */
    int (*create)(void *state, const struct sched_machine *machine);
    /* The instance ends. What create allocated is freed here; vCPUs may still be inserted when the core removes a module that failed. Optional. */
    void (*destroy)(void *state);
    /* A queue's data is to be filled; nothing is queued. Queue locked. Optional. */
    void (*queue_init)(void *state, struct sched_queue *queue, uint64_t now_ns);

    /* A domain appears / goes; no vCPU of it is inserted yet / any more. May not allocate: on a change of module all queues are locked. Optional. Pair. */
    void (*domain_insert)(void *state, struct sched_domain *domain);
    void (*domain_remove)(void *state, struct sched_domain *domain);

    /* A vCPU appears; it is neither queued nor (except when this module takes over from another) running. Queue locked. Optional. Pair. */
    void (*vcpu_insert)(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns);
    void (*vcpu_remove)(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns);

    /*
     * vcpu is runnable and waits at `queue` from now on. queue->running, if any, may be charged by the module up to now in thought; charge has not been called.
     * Returns: how long queue->running may still run: 0 ends its slice now, SCHED_KEEP leaves it. Ignored while nothing runs, and for SCHED_AGAIN.
     * Queue locked. Required.
     */
    uint64_t (*enqueue)(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason,
                        uint64_t now_ns);
    /* vcpu was waiting and does so no more, without having been picked. Queue locked. Required. */
    void (*dequeue)(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns);
    /*
     * The running vCPU gives way for once: as enqueue(SCHED_AGAIN), but somebody else should be next if anybody waits.
     * Queue locked, charge has been called. Optional: absent means enqueue(SCHED_AGAIN).
     */
    void (*yield)(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns);

    /*
     * Choose what this pCPU runs next; it leaves the queue. queue->running is NULL. Called only when queue->waiting > 0.
     * Returns: a vCPU queued here, and its slice. Or, if all that wait here are parked (see park_max_ns): no vCPU, and after how long one of them may run;
     * the pCPU idles, and asks again then or when somebody comes. Nobody without such leave, a foreign or blocked vCPU, or an absurd
     * slice is a fault: the one that waits longest runs, and the module is replaced.
     * Queue locked. Required.
     */
    struct sched_decision (*pick_next)(void *state, struct sched_queue *queue, uint64_t now_ns);
    /* vcpu, the running one, has run for ran_ns since the last charge (or since it was picked). Queue locked. Optional. */
    void (*charge)(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t ran_ns, uint64_t now_ns);
    /* vcpu, which ran until now, is runnable no more. charge has been called. Queue locked. Optional. */
    void (*sleep)(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns);

    /*
     * Where should vcpu, about to wake, wait? Reads machine and vcpu only. vcpu's home queue is locked, others are not.
     * Returns: a CPU of vcpu->affinity. The core may keep the old home all the same (its lock is busy, or the registers are still there).
     * Optional: absent means its home if that idles, else any idle CPU, else its home.
     */
    uint32_t (*pick_cpu)(void *state, const struct sched_machine *machine, const struct sched_vcpu *vcpu,
                         uint64_t now_ns);
    /*
     * The pCPU of `to` is about to choose; it has nobody to run, or it has not asked for some milliseconds: which of those waiting at `from`, a queue that runs
     * somebody, should it take over? Changes nothing: dequeue, move and enqueue (SCHED_TRANSFER) follow.
     * Returns: a vCPU that waits at `from` and for which sched_can_move(vcpu, to->cpu), or NULL: none; then the next fullest queue is
     * asked, a few in all. A wrong answer is ignored and counted. BOTH queues locked.
     * Optional: absent means the one that waits longest, if at least two more are runnable at `from` than at `to`.
     */
    struct sched_vcpu *(*steal)(void *state, struct sched_queue *from, struct sched_queue *to, uint64_t now_ns);
    /* vcpu, neither queued nor running, changes its home. BOTH queues locked. Optional. */
    void (*move)(void *state, struct sched_queue *from, struct sched_queue *to, struct sched_vcpu *vcpu,
                 uint64_t now_ns);

    /*
     * May these settings be made, all together? For what limits of single values cannot say: two parameters that must fit each other, or
     * admission. A setting of a domain without a vCPU means its vCPUs, too. Changes nothing. Administration lock held, no queue's: what only param_set
     * and the insert and remove ops change can be read. The param_set calls follow at once, in this order.
     * Returns 0; -EINVAL: these values make no sense together; -ENOSPC: refused by admission. The user is told just this.
     * Optional: absent means yes.
     */
    int (*param_check)(void *state, const struct sched_setting *settings, uint32_t count);
    /*
     * Set or read params[index]. value has been checked against type, limits and scopes. Takes effect at once for what runs and waits.
     * When a domain is set by the user, the core calls this for the domain and then for each of its vCPUs. Administration lock held; queue locked if a vCPU is given.
     * Required if param_count is not 0.
     */
    void (*param_set)(void *state, const struct sched_target *target, uint32_t index, uint64_t value, uint64_t now_ns);
    uint64_t (*param_get)(void *state, const struct sched_target *target, uint32_t index);
};

/* sched/index.c: every module that is linked in; the first is the default. Ends with NULL. */
extern const struct sched_ops *const sched_modules[];
