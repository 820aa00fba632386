/* SPDX-License-Identifier: MIT */
/*
 * Event channels: two-level, 4096 ports a domain (xen/event_channel.h, ABI.md section 5).
 */
#pragma once

#include "spinlock.h"
#include "types.h"

#include <xen/event_channel.h>
#include <xen/xen.h>

struct domain;
struct vcpu;

#define EVENT_PORTS 4096u
#define EVENT_PORTS_PER_PAGE 128u /* channels are allocated in groups, one page each, as ports are used */

struct event_channel; /* events/event-channel.c */

/* Embedded in struct domain. */
struct domain_events {
    struct spinlock lock; /* binding and closing; order: the lower domain id first when two are taken */
    struct event_channel *groups[EVENT_PORTS / EVENT_PORTS_PER_PAGE];
    uint64_t used[EVENT_PORTS / 64]; /* bit set: the port is taken; lock */
    uint64_t polling; /* atomic: vCPUs that sleep in SCHEDOP_poll and have not been woken by a port since */
    uint64_t sent; /* statistics: notifications delivered; updated without a lock, so a guide only */
};

int domain_events_init(struct domain *d);
/* Stops the vCPUs' timers for good and closes every port; peers become unbound. Its vCPUs do not run any more. Context: no lock held. */
void domain_events_destroy(struct domain *d);

/*
 * Raise a port of d from inside the hypervisor: sets pending, and wakes or kicks the vCPU that it is bound to if the guest must look.
 * Context: any, interrupts on or off; takes no lock that is held by callers in this tree but the run queue's.
 */
void event_raise(struct domain *d, evtchn_port_t port);
/* Raise a per-vCPU VIRQ (VIRQ_TIMER, VIRQ_DEBUG ...) on v; nothing if it has not bound it. */
void event_raise_virq(struct vcpu *v, uint32_t virq);
/* Raise a global VIRQ (VIRQ_CONSOLE, VIRQ_DOM_EXC ...) on its holder in Domain0; nothing if unbound. */
void event_raise_global_virq(uint32_t virq);

/*
 * The hypervisor's own end of a channel, for ring backends. Bind: the port must be unbound and wait for DOMID_XEN; 0 or -EINVAL. From then on each EVTCHNOP_send of the guest calls notify, on its vCPU's
 * stack, the channel's lock held, interrupts enabled: it may raise a softirq and take locks that are never held while an event is sent. The other way is event_raise. After unbind no notify is under way, and
 * the port, if the guest still has it, waits for another binding. Context of both: no lock held that notify takes.
 */
struct event_sink {
    void (*notify)(struct event_sink *sink);
};
int must_check event_sink_bind(struct domain *d, evtchn_port_t port, struct event_sink *sink);
void event_sink_unbind(struct domain *d, evtchn_port_t port, struct event_sink *sink);

/* EVTCHNOP_bind_vcpu0-style initialisation for Domain0/DomU builders: allocate an unbound port in d for remote. Returns the port or -errno. */
int event_alloc_unbound(struct domain *d, domid_t remote);

/* Close a port of d, as its own EVTCHNOP_close would: for builders. */
void event_close(struct domain *d, evtchn_port_t port);

/* The guest has registered a new vcpu_info for v (VCPUOP_register_vcpu_info): make it look at everything once. */
void event_rescan(struct vcpu *v);

/* Whether v has an event it would take now (pending and not masked). */
static inline bool event_deliverable(const struct vcpu_info *info)
{
    return READ_ONCE(info->evtchn_upcall_pending) && !READ_ONCE(info->evtchn_upcall_mask);
}

/* SCHEDOP_poll: 0 at once if one of the ports is pending, else blocks v until one is, or until timeout_ns (absolute, 0 none). ports is a guest array. */
long event_poll(uint64_t guest_ports, uint32_t count, uint64_t timeout_ns);
/* The handler of v->poll_timer, which vcpu_time_init sets up; arg is the vCPU. */
void event_poll_timeout(void *arg);

/* Whether a VIRQ is bound once per vCPU, not once per domain. */
bool event_virq_per_vcpu(uint32_t virq);
