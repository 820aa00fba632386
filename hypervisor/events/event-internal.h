/* SPDX-License-Identifier: MIT */
/*
 * Between event-channel.c, event-op.c and event-poll.c.
 */
#pragma once

#include "event.h"

/* As EVTCHNOP_status tells them, so a state is its own answer. */
enum channel_state {
    CHANNEL_FREE = EVTCHNSTAT_closed,
    CHANNEL_UNBOUND = EVTCHNSTAT_unbound,
    CHANNEL_INTERDOMAIN = EVTCHNSTAT_interdomain,
    CHANNEL_VIRQ = EVTCHNSTAT_virq,
    CHANNEL_IPI = EVTCHNSTAT_ipi,
    CHANNEL_BACKEND, /* the other end is the hypervisor's; told as interdomain, with DOMID_XEN */
};

/*
 * One end of a channel; 128 to a page, at an address that is good until its domain is freed.
 * State and peer change with the owner's events.lock (and the peer's owner's) *and* this lock held; reading takes one of them. `vcpu` is read without.
 */
struct event_channel {
    struct spinlock lock; /* held by a sender while it raises the peer: so a peer that is being closed waits for it */
    uint8_t state;        /* enum channel_state */
    uint8_t virq;         /* CHANNEL_VIRQ */
    domid_t remote_id;    /* UNBOUND: who may bind */
    uint16_t peer_port;   /* INTERDOMAIN */
    union {
        struct event_channel *peer; /* INTERDOMAIN */
        struct event_sink *sink;    /* BACKEND */
    };
    struct vcpu *vcpu;    /* who is notified; stays when the channel is closed, so that a late event_raise finds one */
};
_Static_assert(sizeof(struct event_channel) * EVENT_PORTS_PER_PAGE <= 4096, "a group of channels is a page");

/* The channel of a port, or NULL if there is none by that number yet. */
static inline struct event_channel *channel_find(const struct domain_events *events, uint32_t port)
{
    struct event_channel *group;

    if (unlikely(port >= EVENT_PORTS))
        return NULL;
    group = __atomic_load_n(&events->groups[port / EVENT_PORTS_PER_PAGE], __ATOMIC_ACQUIRE);
    return likely(group != NULL) ? &group[port % EVENT_PORTS_PER_PAGE] : NULL;
}

/* The operations on channels; each 0 or a port, or -errno. Context: hypercall, no lock held. */
long channel_bind_interdomain(struct domain *d, domid_t remote_id, uint32_t remote_port);
long channel_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu_id);
long channel_bind_ipi(struct domain *d, uint32_t vcpu_id);
long channel_bind_vcpu(struct domain *d, uint32_t port, uint32_t vcpu_id);
long channel_close(struct domain *d, uint32_t port);
long channel_send(struct domain *d, uint32_t port);
long channel_unmask(struct domain *d, uint32_t port);
long channel_status(struct domain *d, uint32_t port, struct evtchn_status *status);
void channel_close_all(struct domain *d);

/* A port of d has become pending: wake the vCPUs that poll for it. Only called when d->events.polling is not 0. */
void event_wake_pollers(struct domain *d, uint32_t port);
