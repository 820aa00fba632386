// SPDX-License-Identifier: MIT
/*
 * Event channels between two invented domains: every operation's plain use and its errors, the pending protocol, polls, closing and destruction.
 */
// needs: event-channel.c event-op.c event-poll.c tests/unit/fakes-machine.c

#include "cpu.h"
#include "domain.h"
#include "event.h"
#include "hypercall.h"
#include "public/collet-time.h"
#include "sched.h"
#include "vcpu.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct domain doms[3];
static struct vcpu vcpus[3][2];
static struct shared_info shared[3];
struct domain *domain0 = &doms[0];
static uint32_t woken, kicked;
static void (*while_blocked)(void);

struct domain *domain_find(domid_t id)
{
    if (id == DOMID_SELF)
        id = fake_vcpu->domain->id;
    if (id >= 3 || doms[id].refs == 0)
        return NULL;
    __atomic_add_fetch(&doms[id].refs, 1, __ATOMIC_SEQ_CST);
    return &doms[id];
}
void domain_get(struct domain *d)
{
    __atomic_add_fetch(&d->refs, 1, __ATOMIC_SEQ_CST);
}
void domain_put(struct domain *d)
{
    __atomic_sub_fetch(&d->refs, 1, __ATOMIC_SEQ_CST);
}
bool domain_memory_enter(struct domain *d)
{
    d->memory_users++;
    return true;
}
void domain_memory_leave(struct domain *d)
{
    d->memory_users--;
}
void vcpu_wake(struct vcpu *v)
{
    (void)v;
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
}
void vcpu_block(bool (*still_wanted)(struct vcpu *v))
{
    ck_assert(still_wanted(fake_vcpu));
    if (while_blocked != NULL)
        while_blocked();
    ck_assert(!still_wanted(fake_vcpu));
}
void cpu_kick(uint32_t cpu)
{
    ck_assert_uint_ne(cpu, fake_cpu_id);
    __atomic_add_fetch(&kicked, 1, __ATOMIC_SEQ_CST);
}
void vcpu_time_destroy(struct vcpu *v)
{
    (void)v;
}
static uint64_t poll_deadline;
void timer_set(struct timer *timer, uint64_t deadline_ns)
{
    (void)timer;
    poll_deadline = deadline_ns;
}
void timer_cancel(struct timer *timer)
{
    (void)timer;
    poll_deadline = 0;
}

static void setup(void)
{
    memset(doms, 0, sizeof(doms));
    memset(vcpus, 0, sizeof(vcpus));
    memset(shared, 0, sizeof(shared));
    woken = kicked = 0;
    cpu_count = 2;
    fake_cpu_id = 0;
    for (int d = 0; d < 3; d++) {
        doms[d].id = (domid_t)d;
        doms[d].privileged = d == 0;
        doms[d].refs = 1;
        doms[d].shared = &shared[d];
        doms[d].vcpu_max = 2;
        ck_assert_int_eq(domain_events_init(&doms[d]), 0);
        for (uint32_t i = 0; i < 2; i++) {
            vcpus[d][i].domain = &doms[d];
            vcpus[d][i].id = i;
            vcpus[d][i].cpu = i;
            vcpus[d][i].info = &shared[d].vcpu_info[i];
            vcpus[d][i].info->evtchn_upcall_mask = 1;
            doms[d].vcpus[i] = &vcpus[d][i];
        }
    }
    fake_vcpu = &vcpus[1][0];
    cpus[0].current = fake_vcpu;
    cpus[1].current = NULL;
}

static void teardown(void)
{
    for (int d = 0; d < 3; d++) {
        domain_events_destroy(&doms[d]);
        ck_assert_uint_eq(doms[d].refs, 1);
    }
}

static void become(int d)
{
    fake_vcpu = &vcpus[d][0];
    cpus[fake_cpu_id].current = fake_vcpu;
}

static long op(int cmd, void *arg)
{
    return hypercall_event_channel_op(cmd, (uint64_t)arg);
}

static uint32_t unbound(domid_t dom, domid_t remote)
{
    struct evtchn_alloc_unbound a = {.dom = dom, .remote_dom = remote};

    ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), 0);
    return a.port;
}

static uint32_t connect_to(domid_t remote, uint32_t port)
{
    struct evtchn_bind_interdomain b = {.remote_dom = remote, .remote_port = port};

    ck_assert_int_eq(op(EVTCHNOP_bind_interdomain, &b), 0);
    return b.local_port;
}

static bool pending(int d, uint32_t port)
{
    return shared[d].evtchn_pending[port / 64] >> (port % 64) & 1;
}

static void consume(int d, uint32_t port)
{
    shared[d].evtchn_pending[port / 64] &= ~(1ull << (port % 64));
    for (int v = 0; v < 2; v++) {
        shared[d].vcpu_info[v].evtchn_pending_sel = 0;
        shared[d].vcpu_info[v].evtchn_upcall_pending = 0;
    }
}

static struct evtchn_status status_of(domid_t dom, uint32_t port)
{
    struct evtchn_status s = {.dom = dom, .port = port};

    ck_assert_int_eq(op(EVTCHNOP_status, &s), 0);
    return s;
}

START_TEST(interdomain_both_ways)
{
    uint32_t p1, p2;
    struct evtchn_send send;

    become(1);
    p1 = unbound(DOMID_SELF, 2);
    ck_assert_uint_eq(p1, 1);
    send.port = p1;
    ck_assert_int_eq(op(EVTCHNOP_send, &send), 0); /* nobody there: no error */
    become(2);
    p2 = connect_to(1, p1);
    ck_assert(pending(2, p2)); /* once, for what was lost */
    ck_assert(!pending(1, p1));
    consume(2, p2);
    send.port = p2;
    ck_assert_int_eq(op(EVTCHNOP_send, &send), 0);
    ck_assert(pending(1, p1));
    ck_assert_uint_eq(shared[1].vcpu_info[0].evtchn_pending_sel, 1);
    ck_assert_uint_eq(shared[1].vcpu_info[0].evtchn_upcall_pending, 1);
    become(1);
    send.port = p1;
    ck_assert_int_eq(op(EVTCHNOP_send, &send), 0);
    ck_assert(pending(2, p2));
    ck_assert_uint_eq(status_of(DOMID_SELF, p1).status, EVTCHNSTAT_interdomain);
    ck_assert_uint_eq(status_of(DOMID_SELF, p1).u.interdomain.dom, 2);
    ck_assert_uint_eq(status_of(DOMID_SELF, p1).u.interdomain.port, p2);
    /* closing makes the peer unbound, for the same domain */
    ck_assert_int_eq(op(EVTCHNOP_close, &p1), 0);
    ck_assert_int_eq(op(EVTCHNOP_close, &p1), -EINVAL);
    become(2);
    ck_assert_uint_eq(status_of(DOMID_SELF, p2).status, EVTCHNSTAT_unbound);
    ck_assert_uint_eq(status_of(DOMID_SELF, p2).u.unbound.dom, 1);
    become(1);
    ck_assert_uint_eq(connect_to(2, p2), p1);
}
END_TEST

START_TEST(self_to_self)
{
    uint32_t a, b;

    become(0);
    a = unbound(DOMID_SELF, DOMID_SELF);
    b = connect_to(0, a);
    ck_assert_uint_ne(a, b);
    consume(0, b);
    ck_assert_int_eq(op(EVTCHNOP_send, &b), 0);
    ck_assert(pending(0, a));
    ck_assert_int_eq(op(EVTCHNOP_close, &a), 0);
    ck_assert_uint_eq(status_of(DOMID_SELF, b).status, EVTCHNSTAT_unbound);
    a = unbound(DOMID_SELF, DOMID_SELF);
    b = connect_to(DOMID_SELF, a);
    ck_assert_uint_eq(status_of(DOMID_SELF, b).u.interdomain.dom, 0);
}
END_TEST

START_TEST(bind_interdomain_only_what_was_offered)
{
    struct evtchn_bind_interdomain b = {.remote_dom = 2};

    become(2);
    b.remote_port = unbound(DOMID_SELF, 0);
    become(1);
    ck_assert_int_eq(op(EVTCHNOP_bind_interdomain, &b), -EINVAL); /* offered to domain 0 */
    b.remote_port = 17;
    ck_assert_int_eq(op(EVTCHNOP_bind_interdomain, &b), -EINVAL);
    b.remote_port = 0xffffffff;
    ck_assert_int_eq(op(EVTCHNOP_bind_interdomain, &b), -EINVAL);
    b.remote_dom = 77;
    ck_assert_int_eq(op(EVTCHNOP_bind_interdomain, &b), -ESRCH);
}
END_TEST

START_TEST(privilege)
{
    struct evtchn_alloc_unbound a = {.dom = 2, .remote_dom = 1};
    struct evtchn_status s = {.dom = 2, .port = 1};
    struct evtchn_reset r = {.dom = 2};

    become(1);
    ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), -EPERM);
    ck_assert_int_eq(op(EVTCHNOP_status, &s), -EPERM);
    ck_assert_int_eq(op(EVTCHNOP_reset, &r), -EPERM);
    become(0);
    ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), 0);
    ck_assert_int_eq(op(EVTCHNOP_status, &s), 0);
    ck_assert_uint_eq(s.status, EVTCHNSTAT_unbound);
    ck_assert_uint_eq(s.u.unbound.dom, 1);
    ck_assert_int_eq(op(EVTCHNOP_reset, &r), 0);
    ck_assert_uint_eq(status_of(2, a.port).status, EVTCHNSTAT_closed);
    a.dom = 9;
    ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), -ESRCH);
}
END_TEST

START_TEST(virqs)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_TIMER, .vcpu = 1};
    struct evtchn_bind_vcpu m;

    become(0);
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), 0);
    event_raise_virq(&vcpus[0][0], VIRQ_TIMER); /* not bound there */
    ck_assert(!pending(0, b.port));
    event_raise_virq(&vcpus[0][1], VIRQ_TIMER);
    ck_assert(pending(0, b.port));
    ck_assert_uint_eq(shared[0].vcpu_info[1].evtchn_upcall_pending, 1);
    ck_assert_uint_eq(shared[0].vcpu_info[0].evtchn_upcall_pending, 0);
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), -EEXIST);
    m = (struct evtchn_bind_vcpu){b.port, 0};
    ck_assert_int_eq(op(EVTCHNOP_bind_vcpu, &m), -EINVAL);
    ck_assert_int_eq(op(EVTCHNOP_send, &b.port), -EINVAL);
    ck_assert_int_eq(op(EVTCHNOP_close, &b.port), 0);
    ck_assert(!pending(0, b.port));
    ck_assert_uint_eq(vcpus[0][1].virq_port[VIRQ_TIMER], 0);
    b.vcpu = 7;
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), -ENOENT);
    b = (struct evtchn_bind_virq){.virq = 24};
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), -EINVAL);
    b = (struct evtchn_bind_virq){.virq = COLLET_VIRQ_VIRTUAL_ALARM, .vcpu = 1};
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), 0);
}
END_TEST

START_TEST(global_virq_has_one_holder_and_may_move)
{
    struct evtchn_bind_virq b = {.virq = VIRQ_CONSOLE, .vcpu = 1};
    struct evtchn_bind_vcpu m;

    become(0);
    event_raise_global_virq(VIRQ_CONSOLE); /* unbound: nothing */
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), -EINVAL);
    b.vcpu = 0;
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), 0);
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), -EEXIST);
    m = (struct evtchn_bind_vcpu){b.port, 1};
    ck_assert_int_eq(op(EVTCHNOP_bind_vcpu, &m), 0);
    event_raise_global_virq(VIRQ_CONSOLE);
    ck_assert(pending(0, b.port));
    ck_assert_uint_eq(shared[0].vcpu_info[1].evtchn_upcall_pending, 1);
    ck_assert_uint_eq(status_of(DOMID_SELF, b.port).vcpu, 1);
    ck_assert_uint_eq(status_of(DOMID_SELF, b.port).u.virq, VIRQ_CONSOLE);
    ck_assert_int_eq(op(EVTCHNOP_close, &b.port), 0);
    ck_assert_int_eq(op(EVTCHNOP_bind_virq, &b), 0);
}
END_TEST

START_TEST(ipi)
{
    struct evtchn_bind_ipi b = {.vcpu = 1};
    struct evtchn_bind_vcpu m;

    ck_assert_int_eq(op(EVTCHNOP_bind_ipi, &b), 0);
    ck_assert_int_eq(op(EVTCHNOP_send, &b.port), 0);
    ck_assert(pending(1, b.port));
    ck_assert_uint_eq(shared[1].vcpu_info[1].evtchn_upcall_pending, 1);
    m = (struct evtchn_bind_vcpu){b.port, 0};
    ck_assert_int_eq(op(EVTCHNOP_bind_vcpu, &m), -EINVAL);
    b.vcpu = 2;
    ck_assert_int_eq(op(EVTCHNOP_bind_ipi, &b), -ENOENT);
}
END_TEST

START_TEST(kick_only_when_running_elsewhere)
{
    struct evtchn_bind_ipi b = {.vcpu = 1};

    ck_assert_int_eq(op(EVTCHNOP_bind_ipi, &b), 0);
    ck_assert_int_eq(op(EVTCHNOP_send, &b.port), 0);
    ck_assert_uint_eq(kicked, 0); /* not running: woken */
    ck_assert_uint_eq(woken, 1);
    consume(1, b.port);
    cpus[1].current = &vcpus[1][1];
    ck_assert_int_eq(op(EVTCHNOP_send, &b.port), 0);
    ck_assert_uint_eq(kicked, 1);
    ck_assert_int_eq(op(EVTCHNOP_send, &b.port), 0); /* pending already: nothing more */
    ck_assert_uint_eq(kicked, 1);
    ck_assert_uint_eq(woken, 2);
}
END_TEST

START_TEST(masked_is_only_pending_until_unmasked)
{
    struct evtchn_bind_ipi b = {.vcpu = 0};

    ck_assert_int_eq(op(EVTCHNOP_bind_ipi, &b), 0);
    shared[1].evtchn_mask[0] = ~0ull;
    ck_assert_int_eq(op(EVTCHNOP_send, &b.port), 0);
    ck_assert(pending(1, b.port));
    ck_assert_uint_eq(shared[1].vcpu_info[0].evtchn_pending_sel, 0);
    ck_assert_int_eq(op(EVTCHNOP_unmask, &b.port), 0);
    ck_assert_uint_eq(shared[1].evtchn_mask[0], ~(1ull << b.port));
    ck_assert_uint_eq(shared[1].vcpu_info[0].evtchn_pending_sel, 1);
    ck_assert_uint_eq(shared[1].vcpu_info[0].evtchn_upcall_pending, 1);
    b.port = 4096;
    ck_assert_int_eq(op(EVTCHNOP_unmask, &b.port), -EINVAL);
    b.port = 4000;
    ck_assert_int_eq(op(EVTCHNOP_unmask, &b.port), -EINVAL);
}
END_TEST

START_TEST(registered_info_is_rescanned)
{
    static struct vcpu_info elsewhere;

    memset(&elsewhere, 0, sizeof(elsewhere));
    vcpus[1][0].info = &elsewhere;
    event_rescan(&vcpus[1][0]);
    ck_assert_uint_eq(elsewhere.evtchn_pending_sel, ~0ull);
    ck_assert_uint_eq(elsewhere.evtchn_upcall_pending, 1);
}
END_TEST

START_TEST(ports_run_out)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};
    uint32_t port = 77;

    for (uint32_t i = 1; i < EVENT_PORTS; i++) {
        ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), 0);
        ck_assert_uint_eq(a.port, i);
    }
    ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), -ENOSPC);
    ck_assert_int_eq(op(EVTCHNOP_close, &port), 0);
    ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), 0);
    ck_assert_uint_eq(a.port, 77);
}
END_TEST

START_TEST(bad_pointers_and_operations)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};

    for (int cmd = -1; cmd < 16; cmd++) {
        long rc = op(cmd, NULL);

        ck_assert(rc == -EFAULT || rc == -ENOSYS);
    }
    ck_assert_int_eq(op(EVTCHNOP_init_control, &a), -ENOSYS);
    ck_assert_int_eq(op(EVTCHNOP_bind_pirq, &a), -ENOSYS);
    ck_assert_int_eq(hypercall_event_channel_op(EVTCHNOP_send, 0xffff800000000000), -EFAULT);
}
END_TEST

START_TEST(dying_domain_binds_nothing)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 2};
    uint32_t p1, p2;
    struct evtchn_bind_interdomain b;

    p1 = unbound(DOMID_SELF, 2);
    become(2);
    p2 = connect_to(1, p1);
    become(1);
    b = (struct evtchn_bind_interdomain){.remote_dom = 1, .remote_port = unbound(DOMID_SELF, 2)};
    doms[1].dying = true;
    ck_assert_int_eq(op(EVTCHNOP_alloc_unbound, &a), -EINVAL);
    become(2);
    ck_assert_int_eq(op(EVTCHNOP_bind_interdomain, &b), -EINVAL);
    domain_events_destroy(&doms[1]);
    ck_assert_uint_eq(status_of(DOMID_SELF, p2).status, EVTCHNSTAT_unbound);
    ck_assert_int_eq(op(EVTCHNOP_send, &p2), 0);
    event_raise(&doms[1], p1); /* late: nothing happens */
}
END_TEST

static uint32_t blocked_port;
static void send_while_blocked(void)
{
    event_raise(&doms[1], blocked_port);
}
static void time_out_while_blocked(void)
{
    ck_assert_uint_eq(poll_deadline, 12345);
    event_poll_timeout(fake_vcpu);
}

START_TEST(polls)
{
    struct evtchn_bind_ipi b = {.vcpu = 0}, other = {.vcpu = 0};
    uint32_t ports[2];

    ck_assert_int_eq(op(EVTCHNOP_bind_ipi, &b), 0);
    ck_assert_int_eq(op(EVTCHNOP_bind_ipi, &other), 0);
    shared[1].evtchn_mask[0] = ~0ull; /* polls see masked ports too */
    ports[0] = b.port;
    ports[1] = other.port;
    blocked_port = b.port;
    while_blocked = send_while_blocked;
    ck_assert_int_eq(event_poll((uint64_t)ports, 1, 0), 0);
    ck_assert_uint_eq(woken, 1);
    while_blocked = NULL; /* pending: returns at once (blocking would fail) */
    ck_assert_int_eq(event_poll((uint64_t)ports, 1, 0), 0);
    consume(1, b.port);
    while_blocked = send_while_blocked;
    ck_assert_int_eq(event_poll((uint64_t)ports, 2, 0), 0);
    ck_assert_uint_eq(woken, 2);
    consume(1, b.port);
    while_blocked = time_out_while_blocked;
    ck_assert_int_eq(event_poll((uint64_t)ports, 2, 12345), 0);
    ck_assert_uint_eq(poll_deadline, 0);
    ck_assert_uint_eq(doms[1].events.polling, 0);
    ports[1] = 4096;
    ck_assert_int_eq(event_poll((uint64_t)ports, 2, 0), -EINVAL);
    ck_assert_int_eq(event_poll((uint64_t)ports, 129, 0), -EINVAL);
    ck_assert_int_eq(event_poll(8, 1, 0), -EFAULT);
    ck_assert_uint_eq(vcpus[1][0].polling, false);
}
END_TEST

static void random_operations(unsigned int *seed, int steps)
{
    for (int step = 0; step < steps; step++) {
        int d = rand_r(seed) % 3, e = rand_r(seed) % 3;
        uint32_t port = (uint32_t)rand_r(seed) % 40;
        struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = (domid_t)e};
        struct evtchn_bind_interdomain b = {.remote_dom = (domid_t)e, .remote_port = port};
        struct evtchn_bind_virq q = {.virq = (uint32_t)rand_r(seed) % 26, .vcpu = (uint32_t)rand_r(seed) % 3};

        become(d);
        switch (rand_r(seed) % 8) {
        case 0: op(EVTCHNOP_alloc_unbound, &a); break;
        case 1: op(EVTCHNOP_bind_interdomain, &b); break;
        case 2: op(EVTCHNOP_bind_virq, &q); break;
        case 3:
        case 4:
        case 5: op(EVTCHNOP_send, &port); break;
        default: op(EVTCHNOP_close, &port); break;
        }
    }
}

static void check_peers_agree(void)
{
    become(0);
    for (int d = 0; d < 3; d++) {
        for (uint32_t port = 1; port < 60; port++) {
            struct evtchn_status s = status_of((domid_t)d, port), t;

            if (s.status != EVTCHNSTAT_interdomain)
                continue;
            t = status_of(s.u.interdomain.dom, s.u.interdomain.port);
            ck_assert_uint_eq(t.status, EVTCHNSTAT_interdomain);
            ck_assert_uint_eq(t.u.interdomain.dom, (uint32_t)d);
            ck_assert_uint_eq(t.u.interdomain.port, port);
        }
    }
}

static unsigned int heard;

static void hear(struct event_sink *sink)
{
    (void)sink;
    heard++;
}

/* The hypervisor's own end: it hears what is sent while it is bound, and only ports that wait for it may be bound. */
START_TEST(sink_hears_while_bound)
{
    struct event_sink sink = {.notify = hear}, other = {.notify = hear};
    struct evtchn_close shut;
    struct evtchn_send send;
    uint32_t port, wrong;

    heard = 0;
    become(1);
    port = unbound(DOMID_SELF, DOMID_XEN);
    wrong = unbound(DOMID_SELF, 0);
    send.port = port;
    ck_assert_int_eq(event_sink_bind(&doms[1], wrong, &sink), -EINVAL);
    ck_assert_int_eq(event_sink_bind(&doms[1], EVENT_PORTS, &sink), -EINVAL);
    ck_assert_int_eq(event_sink_bind(&doms[1], 4000, &sink), -EINVAL);
    ck_assert_int_eq(op(EVTCHNOP_send, &send), 0);
    ck_assert_uint_eq(heard, 0);
    ck_assert_int_eq(event_sink_bind(&doms[1], port, &sink), 0);
    ck_assert_int_eq(event_sink_bind(&doms[1], port, &other), -EINVAL);
    ck_assert_int_eq(op(EVTCHNOP_send, &send), 0);
    ck_assert_uint_eq(heard, 1);
    ck_assert_uint_eq(status_of(DOMID_SELF, port).status, EVTCHNSTAT_interdomain);
    ck_assert_uint_eq(status_of(DOMID_SELF, port).u.interdomain.dom, DOMID_XEN);
    event_raise(&doms[1], port);
    ck_assert(pending(1, port));
    event_sink_unbind(&doms[1], port, &other);
    ck_assert_int_eq(op(EVTCHNOP_send, &send), 0);
    ck_assert_uint_eq(heard, 2);
    event_sink_unbind(&doms[1], port, &sink);
    ck_assert_int_eq(op(EVTCHNOP_send, &send), 0);
    ck_assert_uint_eq(heard, 2);
    ck_assert_int_eq(event_sink_bind(&doms[1], port, &sink), 0);
    /* The guest closes its end: nobody is left to hear, and unbinding finds nothing to undo. */
    shut.port = port;
    ck_assert_int_eq(op(EVTCHNOP_close, &shut), 0);
    ck_assert_int_eq(op(EVTCHNOP_send, &send), -EINVAL);
    ck_assert_uint_eq(unbound(DOMID_SELF, 0), port);
    event_sink_unbind(&doms[1], port, &sink);
    ck_assert_uint_eq(status_of(DOMID_SELF, port).status, EVTCHNSTAT_unbound);
    ck_assert_uint_eq(heard, 2);
}
END_TEST

START_TEST(random_operations_keep_peers_consistent)
{
    unsigned int seed = 1999;

    printf("test-event-channel: seed %u\n", seed);
    for (int round = 0; round < 2000; round++) {
        random_operations(&seed, 100);
        check_peers_agree();
    }
}
END_TEST

static void *random_thread(void *arg)
{
    unsigned int seed = (unsigned int)(uintptr_t)arg;

    fake_cpu_id = seed % 4;
    random_operations(&seed, 100000);
    return NULL;
}

/* The same from four pCPUs at once: no deadlock, no lost peer. */
START_TEST(racing_operations_keep_peers_consistent)
{
    pthread_t threads[4];

    cpu_count = 4;
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, random_thread, (void *)(i + 100)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check_peers_agree();
}
END_TEST

Suite *suite_event_channel(void);
Suite *suite_event_channel(void)
{
    Suite *s = suite_create("event-channel");
    TCase *c = tcase_create("event-channel");

    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, interdomain_both_ways);
    tcase_add_test(c, self_to_self);
    tcase_add_test(c, bind_interdomain_only_what_was_offered);
    tcase_add_test(c, privilege);
    tcase_add_test(c, virqs);
    tcase_add_test(c, global_virq_has_one_holder_and_may_move);
    tcase_add_test(c, ipi);
    tcase_add_test(c, kick_only_when_running_elsewhere);
    tcase_add_test(c, masked_is_only_pending_until_unmasked);
    tcase_add_test(c, registered_info_is_rescanned);
    tcase_add_test(c, ports_run_out);
    tcase_add_test(c, bad_pointers_and_operations);
    tcase_add_test(c, dying_domain_binds_nothing);
    tcase_add_test(c, polls);
    tcase_add_test(c, sink_hears_while_bound);
    tcase_add_test(c, random_operations_keep_peers_consistent);
    tcase_add_test(c, racing_operations_keep_peers_consistent);
    suite_add_tcase(s, c);
    return s;
}
