// SPDX-License-Identifier: MIT
/* Event channels: every operation, the upcall, masking, ports bound to another vCPU, poll. */
#include "abi.h"
#include "mini.h"

static long status(int port, struct evtchn_status *s)
{
    *s = (struct evtchn_status){.dom = DOMID_SELF, .port = (evtchn_port_t)port};
    return evtchn_op(EVTCHNOP_status, s);
}

static bool pending(int port)
{
    return shared_info->evtchn_pending[port / 64] >> (port % 64) & 1;
}

static void pair(void)
{
    struct evtchn_status s;
    int a = port_unbound(), b;

    check("alloc-unbound", a > 0);
    expect("status-unbound", status(a, &s), 0);
    expect("status-unbound-is", s.status, EVTCHNSTAT_unbound);
    b = pair_bind(a, DOMID_SELF);
    check("bind-interdomain-self", b > 0 && b != a);
    status(a, &s);
    check("status-interdomain", s.status == EVTCHNSTAT_interdomain && s.u.interdomain.port == (evtchn_port_t)b);
    check("bind-sets-local-pending", pending(b));
    port_forget(b);
    port_forget(a);
    port_unmask(a);
    expect("send", port_send(b), 0);
    check("event-stays-while-masked", pending(a) && port_count[a] == 0 && vcpu_info(0)->evtchn_upcall_pending);
    check("event-arrives-when-unmasked", port_wait(a, 0, 1000000000) && !pending(a));
    /* A masked port collects; unmask raises it. */
    shared_info->evtchn_mask[a / 64] |= 1ul << (a % 64);
    port_forget(a);
    vcpu_info(0)->evtchn_upcall_pending = 0;
    port_send(b);
    port_send(b);
    check("masked-port-no-upcall", pending(a) && !port_wait(a, 0, 1000000));
    events_mask();
    port_unmask(a);
    check("unmask-raises", vcpu_info(0)->evtchn_upcall_pending && port_wait(a, 0, 1000000000));
    expect("two-sends-one-event", port_count[a], 1);
    expect("close", port_close(b), 0);
    status(a, &s);
    expect("peer-becomes-unbound", s.status, EVTCHNSTAT_unbound);
    expect_any("send-to-unbound", port_send(a), 0, X_EINVAL);
    expect("close-peer", port_close(a), 0);
    status(a, &s);
    expect("status-closed", s.status, EVTCHNSTAT_closed);
    expect_error("close-twice", port_close(a));
}

static void upcall_frame(void)
{
    int ipi = bind_ipi(0);
    unsigned int before = vcpus[0].upcalls;

    check("bind-ipi", ipi > 0);
    port_forget(ipi);
    port_unmask(ipi);
    events_mask();
    port_send(ipi);
    expect("no-upcall-while-masked", vcpus[0].upcalls, before);
    vcpu_info(0)->evtchn_upcall_mask = 0;
    xen_version(XENVER_version, 0);
    expect("any-hypercall-delivers", vcpus[0].upcalls, before + 1);
    expect("upcall-returns-unmasked", vcpu_info(0)->evtchn_upcall_mask, 0);
    port_send(ipi);
    expect("send-delivers-at-once-when-unmasked", vcpus[0].upcalls, before + 2);
    events_mask();
    expect("close-ipi", port_close(ipi), 0);
}

static void virqs(void)
{
    int timer = bind_virq(VIRQ_TIMER, 0);
    struct evtchn_status s;

    check("bind-virq", timer > 0);
    status(timer, &s);
    check("status-virq", s.status == EVTCHNSTAT_virq && s.u.virq == VIRQ_TIMER);
    expect("bind-virq-twice", bind_virq(VIRQ_TIMER, 0), X_EEXIST);
    expect("bind-virq-unknown", bind_virq(99, 0), X_EINVAL);
    expect("bind-virq-no-vcpu", bind_virq(VIRQ_TIMER, 4711), X_ENOENT);
    expect_error("send-on-virq", port_send(timer));
    port_close(timer);
}

static void block_and_poll(void)
{
    static evtchn_port_t ports[1];
    struct sched_poll poll = {.nr_ports = 1};
    int timer = bind_virq(VIRQ_TIMER, 0);
    struct vcpu_set_singleshot_timer shot = {0};
    uint64_t start;

    set_xen_guest_handle(poll.ports, ports);
    vcpu_op(VCPUOP_stop_periodic_timer, 0, 0); /* a domain may start with one of 10 ms */
    port_forget(timer);
    port_unmask(timer);
    events_mask();
    start = now_ns();
    shot.timeout_abs_ns = start + 3000000;
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    expect("block", sched_op(SCHEDOP_block, 0), 0);
    check("block-ends-with-event", port_count[timer] >= 1 && now_ns() - start >= 2900000);
    expect("block-unmasks", vcpu_info(0)->evtchn_upcall_mask, 0);
    events_mask();
    /* poll: wakes for the port although masked, and for the timeout. */
    ports[0] = (evtchn_port_t)timer;
    port_forget(timer);
    shared_info->evtchn_mask[timer / 64] |= 1ul << (timer % 64);
    shot.timeout_abs_ns = now_ns() + 3000000;
    poll.timeout = now_ns() + 2000000000;
    start = now_ns();
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    expect("poll-port", sched_op(SCHEDOP_poll, &poll), 0);
    check("poll-woken-by-port", pending(timer) && now_ns() - start < 1000000000);
    expect("poll-already-pending", sched_op(SCHEDOP_poll, &poll), 0);
    port_forget(timer);
    start = now_ns();
    poll.timeout = start + 3000000;
    expect("poll-timeout", sched_op(SCHEDOP_poll, &poll), 0);
    check("poll-waited", now_ns() - start >= 2900000 && now_ns() - start < 1000000000);
    ports[0] = 65535;
    expect_error("poll-bad-port", sched_op(SCHEDOP_poll, &poll));
    port_close(timer);
}

static void errors(void)
{
    struct evtchn_bind_vcpu move = {.port = 0, .vcpu = 0};
    struct evtchn_unmask u = {.port = 65535};
    struct evtchn_reset reset = {.dom = DOMID_SELF};

    expect_error("unmask-bad-port", evtchn_op(EVTCHNOP_unmask, &u));
    expect_error("send-port-0", port_send(0));
    expect_error("bind-vcpu-port-0", evtchn_op(EVTCHNOP_bind_vcpu, &move));
    move.port = (evtchn_port_t)port_unbound();
    expect("bind-vcpu", evtchn_op(EVTCHNOP_bind_vcpu, &move), 0);
    move.vcpu = 4711;
    expect("bind-vcpu-no-vcpu", evtchn_op(EVTCHNOP_bind_vcpu, &move), X_ENOENT);
    expect_error("evtchn-unknown-op", evtchn_op(99, &move));
    expect("evtchn-bad-pointer", evtchn_op(EVTCHNOP_send, 0x123456789000), X_EFAULT);
    expect_any("reset", evtchn_op(EVTCHNOP_reset, &reset), 0, X_ENOSYS);
    port_close((int)move.port);
}

void abi_event(void)
{
    pair();
    upcall_frame();
    virqs();
    block_and_poll();
    errors();
}
