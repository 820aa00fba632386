/* SPDX-License-Identifier: MIT */
/*
 * Shared by domain-*.c alone: a domain as the daemon remembers it.
 */
#pragma once

#include "domains.h"

#define DOMID_NONE 0xffffffffu
#define UUID_BYTES 37
#define ENDED_KEPT 64

enum domain_phase { PHASE_CREATING, PHASE_READY, PHASE_RUNNING, PHASE_RESTARTING, PHASE_PRESERVED, PHASE_ENDED };

/* Somebody waits for its shutdown or reboot. */
struct waiter {
    struct waiter *next;
    struct domains *domains;
    struct domain *domain; /* NULL: one that is not managed */
    uint32_t domid;
    struct call *call;
    bool reboot;
    struct loop_timer *timer;
};

struct domain {
    struct domain *next; /* in order of creation */
    struct domains *domains;
    char name[COLLET_NAME_MAX];
    struct definition *definition;
    enum domain_phase phase;
    uint32_t domid; /* or DOMID_NONE */
    uint64_t created_ns;
    char uuid[UUID_BYTES];
    bool paused;    /* its creator wanted it paused: do not unpause it when taking it up in READY */
    bool taken_up;  /* while the daemon starts */
    bool unwanted;  /* destroyed while it was being built */
    unsigned int restarts, name_retries;
    struct policy_history history;
    char last_exit[160];
    uint64_t frames_target, frames_max;
    struct build_result built; /* what its peers in Domain0 were told */
    bool reboot_asked;         /* by a request: no reason to slow it down */
    bool deaf;                 /* xenstored was started anew after it: its kernel's watches are gone, so it hears no requests */

    /* While it is being built. */
    struct build_job *job;
    struct loop_timer *timer; /* its restart */
    struct call *creator;
    struct call *destroyer;
};

struct domains {
    struct domains_settings s;
    struct domain *first;
    struct waiter *waiters;
    char active_module[COLLET_NAME_MAX];
    struct world_memory *world;
};

/* domains.c */
struct domain *domain_by_name(const struct domains *d, const char *name);
struct domain *domain_by_id(const struct domains *d, uint32_t domid);
struct domain *domain_add(struct domains *d, const char *name);
void domain_remove(struct domain *domain); /* from the list, with its memory and its state file */
void domain_set_phase(struct domain *domain, enum domain_phase phase); /* and write it down */
const char *domain_phase_name(enum domain_phase phase);
void domains_trim_ended(struct domains *d);
/*
 * A domain by name or number, managed or not. *domain: NULL if it is not managed. *info: as the hypervisor has it; domid DOMID_NONE if it is not there (being built, ended).
 * 0, or -errno with the call answered.
 */
int domain_find(struct domains *d, struct call *call, const char *which, struct domain **domain, struct collet_domain_info *info);
bool domain_lives(const struct domain *domain); /* it has a domid that the hypervisor knows */
void domain_event(struct domains *d, enum collet_plugin_event event);

/* domain-create.c */
void domain_build(struct domain *domain); /* from phase CREATING or RESTARTING on */
void domain_undo(struct domain *domain);  /* give back what it has in the hypervisor and the store */

/* domain-end.c */
void domains_reconcile(struct domains *d);
void domains_sched_used(struct domains *d); /* another module may be in charge */
void domain_ended(struct domain *domain, const char *text); /* it is gone: keep its definition and why */
void domain_restart(struct domain *domain, uint64_t delay_ns);
void waiters_settle(struct domains *d, const struct domain *domain, uint32_t domid, bool restarted, const char *failure);

/* domain-state.c */
void domain_state_write(const struct domain *domain);
void domain_state_remove(const struct domains *d, const char *name);
void domain_state_module_write(const struct domains *d);
/* Reads all state files into the list, and which scheduler module was active. */
void domains_state_read(struct domains *d);

/* domain-ops.c */
/* Is there a domain to act upon in the hypervisor, and can it hear what XenStore tells it? If not, the call is answered. */
bool domain_there(struct call *call, const char *which, const struct domain *domain, const struct collet_domain_info *info);
bool domain_hears(struct call *call, const char *which, const struct domain *domain);

/* domain-vif.c */
void domain_devices_gone(struct domains *d, uint32_t domid); /* the domain has been destroyed, its disks and interfaces with it */

/* domain-vbd.c */
void domains_disks_used(struct domains *d); /* another module may order a disk */

/* domain-world.c */
void domains_world_free(struct domains *d);
