/* SPDX-License-Identifier: MIT */
/*
 * Domains: a guest and what it owns. Lifetime in domain/domain.c.
 */
#pragma once

#include "block.h"
#include "event.h"
#include "grant.h"
#include "log.h"
#include "sched.h"
#include "spinlock.h"
#include "timer.h"
#include "types.h"

#include <xen/xen.h>

#define DOMAIN_MAX_VCPUS 64
#define DOMAIN_NAME_MAX 32

struct vcpu;

struct domain {
    domid_t id;
    char name[DOMAIN_NAME_MAX];
    bool privileged; /* may use the control interface, foreign mappings, console input */
    bool dying;      /* being destroyed: no new references to anything of it */
    bool crashed;
    bool shut_down;
    bool ending;     /* shut down or dying: its memory operations end soon, and do not give way (mm_preempt_point) */
    uint8_t shutdown_reason; /* SHUTDOWN_* of xen/sched.h, once shut_down */
    uint32_t refs;   /* atomic; domain_find takes one */
    struct domain *next; /* list of all domains, ascending id; lock: domain_list_lock */

    struct shared_info *shared; /* the hypervisor's mapping of its shared_info page */

    /* Memory: lock protects the list and both numbers. */
    struct spinlock memory_lock;
    uint32_t frame_list;    /* first of its frames (frame.h), FRAME_LIST_END when none */
    uint64_t frame_count;   /* current reservation */
    uint64_t frame_max;     /* maximum reservation */
    uint64_t shared_frames; /* hypervisor pages it may map */
    uint64_t ram_frames;    /* pfns at build, for the memory map */

    cpumask_t dirty_cpus; /* CPUs whose CR3 is one of its page tables; atomic; a bit is set before the load and cleared after the next */

    struct domain_events events;
    struct domain_grants grants;
    struct sched_domain sched; /* the core's part (hv/sched-ops.h) */
    struct block_line block_line;

    uint32_t vm_assist; /* VMASST_TYPE_* bits */
    uint32_t vcpu_max;
    struct vcpu *vcpus[DOMAIN_MAX_VCPUS];

    /* log_guest's budget */
    uint64_t log_window_ns;
    uint32_t log_lines, log_suppressed;

    /* console_io of a domain without rights to the console: the line so far. Its vCPUs may mix their text, no more. */
    char console_line[160];
    uint32_t console_used;

    /* Lifetime; the lock protects what decides that it has ended (shut_down, shutdown_reason, shutdown_code), that its last vCPU went down, and the watchdogs. */
    struct spinlock lifetime_lock;
    int shutdown_code;   /* SCHEDOP_shutdown_code: what it reports instead of its reason; -1: none */
    bool destroy_at_end; /* a boot module's: nobody else would */
    struct timer watchdog[2]; /* SCHEDOP_watchdog; id is the place + 1 */
    bool watchdog_used[2];

    /* Control (hypervisor/control/). */
    bool building;        /* made by Domain0 and not started yet: its memory is still the builder's to fill. Lock: lifetime_lock */
    bool unpinned;        /* dying, and none of its frames is pinned */
    bool destroy_rests;   /* dying, and its destruction is to be continued by domain_destroy_part; atomic */
    bool starting;        /* while `building`: its tables are being taken over. Lock: lifetime_lock */
    bool control_paused;  /* holds one pause of every vCPU. Lock: lifetime_lock */
    uint64_t created_ns;
    uint32_t memory_users; /* others inside an operation on its memory; lock: memory_lock. Destruction waits for them */
    bool foreign_seen;     /* some other domain has mapped a frame of it: translations to its frames may be in any CPU */
    char crash_text[96];   /* why it was crashed; written once, before crashed can be seen as ended */
};

extern struct spinlock domain_list_lock;
extern struct domain *domain_list;
extern struct domain *domain0;

/* A new domain without memory or running vCPUs, or NULL. id DOMID_INVALID: any free one. Not on the list until domain_publish. */
struct domain *must_check domain_create(domid_t id, const char *name, bool privileged, uint32_t vcpu_max, uint64_t frame_max);
/* With a reference, or NULL. DOMID_SELF is the caller's. Pair: domain_put. */
struct domain *must_check domain_find(domid_t id);
/* The first with this number or a higher one, with a reference; NULL: there is none. To walk the list while it changes. */
struct domain *domain_find_from(uint32_t id);
void domain_get(struct domain *d);
void domain_put(struct domain *d);
void domain_publish(struct domain *d);
/* The same if no domain on the list has its name; else -EEXIST. */
int must_check domain_publish_unique(struct domain *d);
/* Another name, if no other domain has it: 0 or -EEXIST. */
int must_check domain_set_name(struct domain *d, const char *name);
void domain_unpause(struct domain *d); /* start it: undo the creation's pause */
void domain_pause(struct domain *d);
void domain_pause_sync(struct domain *d);

/* A guest did what it may not: log the reason, stop it for good, tell Domain0. For the current domain it does not return control to the guest: its
 * vCPU leaves at the next return to guest mode. Context: hypercall or trap, any lock but the domain's own. */
void domain_crash(struct domain *d, const char *fmt, ...) printf_like(2, 3);
/* SCHEDOP_shutdown. */
void domain_shutdown(struct domain *d, uint8_t reason);
/* Free everything: d is off the list afterwards, and gone with its last reference (frames that others still map hold one). Waits for vCPUs that are inside a
 * memory operation, and may preempt. Context: hypercall of another domain, or nothing of d ever ran; no lock held. */
void domain_destroy(struct domain *d);
/*
 * The same, in parts: 0 when d is destroyed; -EINTR: a part is done, and d is dying; to be called again. -ESRCH: another caller is at it. The caller has a reference.
 */
int must_check domain_destroy_part(struct domain *d);
/* Boot, once, before the first domain: the console keys and what happens when a domain ends. */
void domains_init(void);
/*
 * Another domain is about to change or walk d's memory (build it, fill it, change its reservation): false if d is dying. In between it may preempt, and d's memory does not go away.
 * Pair: domain_memory_leave. Context: no lock held.
 */
bool must_check domain_memory_enter(struct domain *d);
void domain_memory_leave(struct domain *d);
/* End the machine as after a crash of Domain0: reboot, or what noreboot says. */
void domain0_failed(void) noreturn_fn;

#define for_each_vcpu(d, v)                                                                                            \
    for (uint32_t vcpu_index_ = 0; vcpu_index_ < (d)->vcpu_max; vcpu_index_++)                                         \
        if (((v) = (d)->vcpus[vcpu_index_]) != NULL)
