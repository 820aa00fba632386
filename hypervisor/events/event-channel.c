// SPDX-License-Identifier: MIT
/*
 * Event channels: what is bound to what, and the way from a send to a guest's pending bits.
 *
 * Sending is the hot path. It takes only the lock of the sender's own channel, and none at all for an IPI or when the hypervisor raises an
 * event: raising touches nothing but the shared page, the vcpu_info and the vCPU pointer, which stay in place while their domain lives. An event that
 * crosses with the closing of its port may leave a pending bit behind; guests must stand spurious events anyway.
 * Contract: event.h; <xen/event_channel.h>, ABI.md 5.  Locks: docs/locking.md.  Tests: test-event-channel.c, tests/boot/kernels.
 * Page: docs/concepts/events.md; the path: docs/paths/event.md.
 */
#include "event-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "public/collet-time.h"
#include "sched.h"
#include "trace.h"
#include "vcpu.h"

#include <hv/errno.h>

_Static_assert(EVENT_PORTS == EVTCHN_2L_NR_CHANNELS, "two-level ports");

/* --- raising --- */

/* v must look at its events: end its sleep, or interrupt it if it is in guest mode on another CPU. One on this CPU looks before it returns to its guest. */
static void event_notify(struct vcpu *v)
{
    uint32_t cpu;

    vcpu_wake(v);
    /* The upcall bit was set by a locked instruction; if v is being switched in meanwhile, it reads the bit after `current` is set. */
    cpu = READ_ONCE(v->cpu);
    if (cpu != this_cpu_id() && READ_ONCE(cpus[cpu].current) == v)
        cpu_kick(cpu);
}

static void event_select(struct vcpu *v, uint32_t word)
{
    struct vcpu_info *info = READ_ONCE(v->info);
    uint64_t bit = 1ull << word;

    if (__atomic_fetch_or(&info->evtchn_pending_sel, bit, __ATOMIC_SEQ_CST) & bit)
        return;
    if (__atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    event_notify(v);
}

static void event_set_pending(struct vcpu *v, uint32_t port)
{
    struct domain *d = v->domain;
    struct shared_info *s = d->shared;
    uint32_t word = port / 64;
    uint64_t bit = 1ull << (port % 64);

    if (__atomic_fetch_or(&s->evtchn_pending[word], bit, __ATOMIC_SEQ_CST) & bit)
        return;
    d->events.sent++;
    trace_vcpu(COLLET_TRACE_EVENT, v, port, 0);
    /* After the pending bit: a poller enters itself before it looks at the bits. */
    if (unlikely(READ_ONCE(d->events.polling) != 0))
        event_wake_pollers(d, port);
    /* Set before reading the mask: the guest clears the mask and then tests pending, so the other order could lose the last event. */
    if (READ_ONCE(s->evtchn_mask[word]) & bit)
        return;
    event_select(v, word);
}

void event_raise(struct domain *d, evtchn_port_t port)
{
    struct event_channel *ch = channel_find(&d->events, port);
    struct vcpu *v;

    if (ch == NULL || (v = READ_ONCE(ch->vcpu)) == NULL)
        return;
    event_set_pending(v, port);
}

void event_raise_virq(struct vcpu *v, uint32_t virq)
{
    uint32_t port = READ_ONCE(v->virq_port[virq]);

    if (port != 0)
        event_raise(v->domain, port);
}

void event_raise_global_virq(uint32_t virq)
{
    struct domain *d = READ_ONCE(domain0);

    /* Bound on vCPU 0; bind_vcpu may have moved the notification. */
    if (d != NULL && d->vcpus[0] != NULL)
        event_raise_virq(d->vcpus[0], virq);
}

void event_rescan(struct vcpu *v)
{
    struct vcpu_info *info = READ_ONCE(v->info);

    __atomic_store_n(&info->evtchn_pending_sel, ~0ull, __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
    event_notify(v);
}

long channel_send(struct domain *d, uint32_t port)
{
    struct event_channel *ch = channel_find(&d->events, port);
    long rc = 0;

    if (ch == NULL)
        return -EINVAL;
    if (READ_ONCE(ch->state) == CHANNEL_IPI) { /* its vCPU never changes */
        event_set_pending(ch->vcpu, port);
        return 0;
    }
    spin_lock(&ch->lock);
    if (likely(ch->state == CHANNEL_INTERDOMAIN))
        event_set_pending(READ_ONCE(ch->peer->vcpu), ch->peer_port);
    else if (ch->state == CHANNEL_BACKEND)
        ch->sink->notify(ch->sink);
    else if (ch->state != CHANNEL_UNBOUND) /* that one: nobody there to hear it, which is no error */
        rc = -EINVAL;
    spin_unlock(&ch->lock);
    return rc;
}

long channel_unmask(struct domain *d, uint32_t port)
{
    struct event_channel *ch = channel_find(&d->events, port);
    struct shared_info *s = d->shared;
    uint32_t word = port / 64;
    uint64_t bit = 1ull << (port % 64);

    if (ch == NULL || ch->vcpu == NULL)
        return -EINVAL;
    if (!(__atomic_fetch_and(&s->evtchn_mask[word], ~bit, __ATOMIC_SEQ_CST) & bit))
        return 0;
    if (READ_ONCE(s->evtchn_pending[word]) & bit)
        event_select(READ_ONCE(ch->vcpu), word);
    return 0;
}

/* --- binding --- */

static struct vcpu *domain_vcpu(struct domain *d, uint32_t id)
{
    return id < d->vcpu_max && id < DOMAIN_MAX_VCPUS ? d->vcpus[id] : NULL;
}

static void lock_pair(struct domain *a, struct domain *b)
{
    if (a == b) {
        spin_lock(&a->events.lock);
        return;
    }
    spin_lock(a->id < b->id ? &a->events.lock : &b->events.lock);
    spin_lock(a->id < b->id ? &b->events.lock : &a->events.lock);
}

static void unlock_pair(struct domain *a, struct domain *b)
{
    spin_unlock(&a->events.lock);
    if (a != b)
        spin_unlock(&b->events.lock);
}

/* The lowest free port, taken, with its channel still free. events.lock held. The port, or -ENOSPC, -ENOMEM. */
static long port_take(struct domain *d, struct event_channel **channel)
{
    struct domain_events *e = &d->events;
    uint32_t port, word;

    lock_assert_held(&e->lock);
    if (d->dying)
        return -EINVAL;
    for (word = 0; word < ARRAY_SIZE(e->used); word++)
        if (e->used[word] != ~0ull)
            break;
    if (word == ARRAY_SIZE(e->used))
        return -ENOSPC;
    port = word * 64 + (uint32_t)__builtin_ctzll(~e->used[word]);
    if (e->groups[port / EVENT_PORTS_PER_PAGE] == NULL) {
        struct event_channel *group = page_alloc();

        if (group == NULL)
            return -ENOMEM;
        __atomic_store_n(&e->groups[port / EVENT_PORTS_PER_PAGE], group, __ATOMIC_RELEASE);
    }
    e->used[word] |= 1ull << (port % 64);
    *channel = channel_find(e, port);
    return port;
}

/* Give a port back, its channel disconnected. events.lock held. */
static void port_return(struct domain *d, uint32_t port, struct event_channel *ch)
{
    uint64_t bit = 1ull << (port % 64);

    spin_lock(&ch->lock);
    ch->state = CHANNEL_FREE;
    ch->peer = NULL;
    spin_unlock(&ch->lock);
    /* Whoever gets this port next must not find our event. */
    __atomic_fetch_and(&d->shared->evtchn_pending[port / 64], ~bit, __ATOMIC_SEQ_CST);
    d->events.used[port / 64] &= ~bit;
}

/* What a freshly taken port becomes; the rest of its fields set before. */
static void channel_set_state(struct event_channel *ch, enum channel_state state, struct vcpu *v)
{
    WRITE_ONCE(ch->vcpu, v);
    spin_lock(&ch->lock);
    ch->state = (uint8_t)state;
    spin_unlock(&ch->lock);
}

static void channel_connect(struct event_channel *ch, struct event_channel *peer, uint32_t peer_port)
{
    spin_lock(&ch->lock);
    ch->peer = peer;
    ch->peer_port = (uint16_t)peer_port;
    ch->state = CHANNEL_INTERDOMAIN;
    spin_unlock(&ch->lock);
}

int event_alloc_unbound(struct domain *d, domid_t remote)
{
    struct event_channel *ch;
    long port;

    spin_lock(&d->events.lock);
    port = port_take(d, &ch);
    if (port >= 0) {
        ch->remote_id = remote;
        channel_set_state(ch, CHANNEL_UNBOUND, d->vcpus[0]);
    }
    spin_unlock(&d->events.lock);
    return (int)port;
}

static long bind_interdomain_locked(struct domain *d, struct domain *remote, uint32_t remote_port)
{
    struct event_channel *there = channel_find(&remote->events, remote_port), *here;
    long port;

    if (there == NULL || there->state != CHANNEL_UNBOUND || there->remote_id != d->id || remote->dying)
        return -EINVAL;
    port = port_take(d, &here);
    if (port < 0)
        return port;
    WRITE_ONCE(here->vcpu, d->vcpus[0]);
    channel_connect(here, there, remote_port);
    channel_connect(there, here, (uint32_t)port);
    /* What the other end sent while it was alone is lost: have this end look once. */
    event_set_pending(here->vcpu, (uint32_t)port);
    return port;
}

long channel_bind_interdomain(struct domain *d, domid_t remote_id, uint32_t remote_port)
{
    struct domain *remote = domain_find(remote_id);
    long port;

    if (remote == NULL)
        return -ESRCH;
    lock_pair(d, remote);
    port = bind_interdomain_locked(d, remote, remote_port);
    unlock_pair(d, remote);
    domain_put(remote);
    return port;
}

bool event_virq_per_vcpu(uint32_t virq)
{
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU || virq == COLLET_VIRQ_VIRTUAL_ALARM;
}

long channel_bind_virq(struct domain *d, uint32_t virq, uint32_t vcpu_id)
{
    struct vcpu *v = domain_vcpu(d, vcpu_id);
    struct event_channel *ch;
    long port;

    if (virq >= ARRAY_SIZE(v->virq_port) || (!event_virq_per_vcpu(virq) && vcpu_id != 0))
        return -EINVAL;
    if (v == NULL)
        return -ENOENT;
    spin_lock(&d->events.lock);
    if (v->virq_port[virq] != 0) {
        port = -EEXIST;
    } else {
        port = port_take(d, &ch);
        if (port >= 0) {
            ch->virq = (uint8_t)virq;
            channel_set_state(ch, CHANNEL_VIRQ, v);
            WRITE_ONCE(v->virq_port[virq], (uint16_t)port);
        }
    }
    spin_unlock(&d->events.lock);
    return port;
}

long channel_bind_ipi(struct domain *d, uint32_t vcpu_id)
{
    struct vcpu *v = domain_vcpu(d, vcpu_id);
    struct event_channel *ch;
    long port;

    if (v == NULL)
        return -ENOENT;
    spin_lock(&d->events.lock);
    port = port_take(d, &ch);
    if (port >= 0)
        channel_set_state(ch, CHANNEL_IPI, v);
    spin_unlock(&d->events.lock);
    return port;
}

long channel_bind_vcpu(struct domain *d, uint32_t port, uint32_t vcpu_id)
{
    struct event_channel *ch = channel_find(&d->events, port);
    struct vcpu *v = domain_vcpu(d, vcpu_id);
    long rc = -EINVAL;

    if (v == NULL)
        return -ENOENT;
    if (ch == NULL)
        return -EINVAL;
    spin_lock(&d->events.lock);
    if (ch->state == CHANNEL_UNBOUND || ch->state == CHANNEL_INTERDOMAIN || ch->state == CHANNEL_BACKEND ||
        (ch->state == CHANNEL_VIRQ && !event_virq_per_vcpu(ch->virq))) {
        WRITE_ONCE(ch->vcpu, v);
        rc = 0;
    }
    spin_unlock(&d->events.lock);
    return rc;
}

long channel_status(struct domain *d, uint32_t port, struct evtchn_status *status)
{
    struct event_channel *ch = channel_find(&d->events, port);

    if (port >= EVENT_PORTS)
        return -EINVAL;
    status->status = EVTCHNSTAT_closed;
    if (ch == NULL)
        return 0;
    spin_lock(&d->events.lock);
    status->status = ch->state;
    if (ch->state != CHANNEL_FREE)
        status->vcpu = ch->vcpu->id;
    if (ch->state == CHANNEL_UNBOUND)
        status->u.unbound.dom = ch->remote_id;
    if (ch->state == CHANNEL_INTERDOMAIN) {
        status->u.interdomain.dom = ch->peer->vcpu->domain->id;
        status->u.interdomain.port = ch->peer_port;
    }
    if (ch->state == CHANNEL_BACKEND) {
        status->status = EVTCHNSTAT_interdomain;
        status->u.interdomain.dom = DOMID_XEN;
        status->u.interdomain.port = 0;
    }
    if (ch->state == CHANNEL_VIRQ)
        status->u.virq = ch->virq;
    spin_unlock(&d->events.lock);
    return 0;
}

/* --- the hypervisor's own ends --- */

int event_sink_bind(struct domain *d, evtchn_port_t port, struct event_sink *sink)
{
    struct event_channel *ch = channel_find(&d->events, port);
    int rc = -EINVAL;

    if (ch == NULL)
        return -EINVAL;
    spin_lock(&d->events.lock);
    if (ch->state == CHANNEL_UNBOUND && ch->remote_id == DOMID_XEN && !d->dying) {
        spin_lock(&ch->lock);
        ch->sink = sink;
        ch->state = CHANNEL_BACKEND;
        spin_unlock(&ch->lock);
        rc = 0;
    }
    spin_unlock(&d->events.lock);
    return rc;
}

void event_sink_unbind(struct domain *d, evtchn_port_t port, struct event_sink *sink)
{
    struct event_channel *ch = channel_find(&d->events, port);

    if (ch == NULL)
        return;
    spin_lock(&d->events.lock);
    spin_lock(&ch->lock);
    if (ch->state == CHANNEL_BACKEND && ch->sink == sink) {
        ch->sink = NULL;
        ch->remote_id = DOMID_XEN;
        ch->state = CHANNEL_UNBOUND;
    }
    spin_unlock(&ch->lock);
    spin_unlock(&d->events.lock);
}

/* --- closing --- */

/* The port's channel and, if it is connected, its peer's domain, both locked. The peer's with a reference. -EINVAL (nothing locked) if it is free. */
static int close_lock(struct domain *d, struct event_channel *ch, struct domain **remote)
{
    struct domain *r = NULL;

    for (;;) {
        struct domain *now = NULL;

        lock_pair(d, r != NULL ? r : d);
        if (ch->state == CHANNEL_INTERDOMAIN)
            now = ch->peer->vcpu->domain;
        if (ch->state == CHANNEL_FREE) {
            unlock_pair(d, r != NULL ? r : d);
            if (r != NULL)
                domain_put(r);
            return -EINVAL;
        }
        if (now == r || now == NULL)
            break;
        /* Its domain's lock may come before ours. The reference keeps it while we hold none; then look again. */
        domain_get(now);
        unlock_pair(d, r != NULL ? r : d);
        if (r != NULL)
            domain_put(r);
        r = now;
    }
    *remote = r;
    return 0;
}

long channel_close(struct domain *d, uint32_t port)
{
    struct event_channel *ch = channel_find(&d->events, port), *peer;
    struct domain *remote = NULL;

    if (ch == NULL || close_lock(d, ch, &remote) != 0)
        return -EINVAL;
    if (ch->state == CHANNEL_INTERDOMAIN) {
        peer = ch->peer;
        spin_lock(&peer->lock);
        peer->state = CHANNEL_UNBOUND;
        peer->remote_id = d->id;
        peer->peer = NULL;
        spin_unlock(&peer->lock);
    } else if (ch->state == CHANNEL_VIRQ) {
        struct vcpu *v = event_virq_per_vcpu(ch->virq) ? ch->vcpu : d->vcpus[0];

        WRITE_ONCE(v->virq_port[ch->virq], 0);
    }
    port_return(d, port, ch);
    unlock_pair(d, remote != NULL ? remote : d);
    if (remote != NULL)
        domain_put(remote);
    return 0;
}

void channel_close_all(struct domain *d)
{
    for (uint32_t port = 1; port < EVENT_PORTS; port++) {
        if (d->events.groups[port / EVENT_PORTS_PER_PAGE] == NULL) {
            port |= EVENT_PORTS_PER_PAGE - 1;
            continue;
        }
        (void)channel_close(d, port); /* a free one says so */
    }
}

int domain_events_init(struct domain *d)
{
    d->events = (struct domain_events){.lock = SPINLOCK_INIT};
    d->events.used[0] = 1; /* port 0 means "none" to guests */
    return 0;
}

void domain_events_destroy(struct domain *d)
{
    struct vcpu *v;

    /* The timers of its vCPUs raise events: none may be at it when the channels go. Nobody arms them any more. */
    for_each_vcpu(d, v)
        vcpu_time_destroy(v);
    channel_close_all(d);
    for (uint32_t i = 0; i < ARRAY_SIZE(d->events.groups); i++) {
        struct event_channel *group = d->events.groups[i];

        WRITE_ONCE(d->events.groups[i], NULL);
        if (group != NULL)
            page_free(group);
    }
}
