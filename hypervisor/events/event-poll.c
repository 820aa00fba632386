// SPDX-License-Identifier: MIT
/*
 * SCHEDOP_poll: sleep until one of some ports is pending, masked or not, or a time comes.
 *
 * A poller enters itself in its domain's `polling` set and then looks at the pending bits; who raises an event sets the bit and then looks at the set. So
 * one of the two always sees the other. Whoever takes the poller out of the set wakes it. A poller for several ports is woken by any port of its domain, and the
 * guest looks again: spurious returns are part of the ABI.
 * Contract: event.h; <xen/sched.h>.
 */
#include "event-internal.h"

#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "sched.h"
#include "timer.h"
#include "vcpu.h"

#include <hv/errno.h>

#define POLL_PORTS_MAX 128u

static bool poll_leave(struct vcpu *v)
{
    uint64_t bit = 1ull << v->id;

    return __atomic_fetch_and(&v->domain->events.polling, ~bit, __ATOMIC_SEQ_CST) & bit;
}

void event_wake_pollers(struct domain *d, uint32_t port)
{
    uint64_t set = READ_ONCE(d->events.polling);

    for (; set != 0; set &= set - 1) {
        struct vcpu *v = d->vcpus[__builtin_ctzll(set)];
        uint32_t wanted = READ_ONCE(v->poll_port);

        if ((wanted == 0 || wanted == port) && poll_leave(v))
            vcpu_wake(v);
    }
}

void event_poll_timeout(void *arg)
{
    struct vcpu *v = arg;

    if (poll_leave(v))
        vcpu_wake(v);
}

static bool poll_still_wanted(struct vcpu *v)
{
    return (READ_ONCE(v->domain->events.polling) & (1ull << v->id)) && !event_deliverable(v->info);
}

static bool poll_any_pending(const struct domain *d, const uint32_t *ports, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (READ_ONCE(d->shared->evtchn_pending[ports[i] / 64]) & (1ull << (ports[i] % 64)))
            return true;
    return false;
}

long event_poll(uint64_t guest_ports, uint32_t count, uint64_t timeout_ns)
{
    struct vcpu *v = current_vcpu();
    struct domain *d = v->domain;
    evtchn_port_t ports[POLL_PORTS_MAX];

    if (count > POLL_PORTS_MAX)
        return -EINVAL;
    if (count != 0 && copy_from_guest(ports, guest_ports, count * sizeof(ports[0])) != 0)
        return -EFAULT;
    for (uint32_t i = 0; i < count; i++)
        if (ports[i] >= EVENT_PORTS)
            return -EINVAL;

    WRITE_ONCE(v->poll_port, count == 1 ? (uint16_t)ports[0] : 0);
    v->polling = true;
    __atomic_fetch_or(&d->events.polling, 1ull << v->id, __ATOMIC_SEQ_CST);
    if (!event_deliverable(v->info) && !poll_any_pending(d, ports, count)) {
        if (timeout_ns != 0)
            timer_set(&v->poll_timer, timeout_ns);
        vcpu_block(poll_still_wanted);
        timer_cancel(&v->poll_timer);
    }
    (void)poll_leave(v);
    v->polling = false;
    return 0;
}
