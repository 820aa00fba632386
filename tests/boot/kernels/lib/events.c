// SPDX-License-Identifier: MIT
/*
 * Event channels, time and waiting for a tiny kernel. The upcall counts each port and clears it; nothing else happens there.
 */
#include "mini.h"

volatile unsigned int port_count[PORTS_MAX];
volatile unsigned int port_vcpu[PORTS_MAX];

struct vcpu_info *vcpu_info(unsigned int id)
{
    return &shared_info->vcpu_info[id];
}

void event_upcall(struct vcpu_data *v);
void event_upcall(struct vcpu_data *v)
{
    struct vcpu_info *info = vcpu_info(v->id);
    uint64_t words;

    v->upcalls++;
    __atomic_store_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    while (words != 0) {
        unsigned int w = (unsigned int)__builtin_ctzl(words);
        uint64_t bits;

        words &= words - 1;
        bits = shared_info->evtchn_pending[w] & ~shared_info->evtchn_mask[w];
        while (bits != 0) {
            unsigned int b = (unsigned int)__builtin_ctzl(bits);

            bits &= bits - 1;
            __atomic_fetch_and(&shared_info->evtchn_pending[w], ~(1ul << b), __ATOMIC_SEQ_CST);
            port_vcpu[w * 64 + b] = v->id;
            __atomic_fetch_add(&port_count[w * 64 + b], 1, __ATOMIC_SEQ_CST);
        }
    }
}

void events_unmask(void)
{
    struct vcpu_info *info = vcpu_info(this_vcpu()->id);

    barrier();
    info->evtchn_upcall_mask = 0;
    barrier();
    if (info->evtchn_upcall_pending)
        xen_version(XENVER_version, 0); /* any hypercall delivers */
}

uint64_t tsc_read(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

uint64_t now_ns(void)
{
    volatile struct vcpu_time_info *t = &vcpu_info(this_vcpu()->id)->time;
    uint32_t version;
    uint64_t ns;

    do {
        uint64_t delta;

        version = t->version & ~1u;
        barrier();
        delta = tsc_read() - t->tsc_timestamp;
        if (t->tsc_shift >= 0)
            delta <<= t->tsc_shift;
        else
            delta >>= -t->tsc_shift;
        ns = t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        barrier();
    } while (version != t->version);
    return ns;
}

int port_unbound(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    long rc = evtchn_op(EVTCHNOP_alloc_unbound, &a);

    return rc != 0 ? (int)rc : (int)a.port;
}

int bind_virq(unsigned int virq, unsigned int vcpu)
{
    struct evtchn_bind_virq b = {.virq = virq, .vcpu = vcpu};
    long rc = evtchn_op(EVTCHNOP_bind_virq, &b);

    return rc != 0 ? (int)rc : (int)b.port;
}

int bind_ipi(unsigned int vcpu)
{
    struct evtchn_bind_ipi b = {.vcpu = vcpu};
    long rc = evtchn_op(EVTCHNOP_bind_ipi, &b);

    return rc != 0 ? (int)rc : (int)b.port;
}

int pair_bind(int port, unsigned int remote_dom)
{
    struct evtchn_bind_interdomain b = {.remote_dom = (domid_t)remote_dom, .remote_port = (evtchn_port_t)port};
    long rc = evtchn_op(EVTCHNOP_bind_interdomain, &b);

    return rc != 0 ? (int)rc : (int)b.local_port;
}

long port_close(int port)
{
    struct evtchn_close c = {.port = (evtchn_port_t)port};

    return evtchn_op(EVTCHNOP_close, &c);
}

long port_send(int port)
{
    struct evtchn_send s = {.port = (evtchn_port_t)port};

    return evtchn_op(EVTCHNOP_send, &s);
}

void port_unmask(int port)
{
    struct evtchn_unmask u = {.port = (evtchn_port_t)port};

    if (evtchn_op(EVTCHNOP_unmask, &u) != 0)
        give_up("unmask %d\n", port);
}

void port_forget(int port)
{
    __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~(1ul << (port % 64)), __ATOMIC_SEQ_CST);
    port_count[port] = 0;
}

bool port_wait(int port, unsigned int more_than, uint64_t ns)
{
    uint64_t until = now_ns() + ns;

    events_unmask();
    while (port_count[port] <= more_than && now_ns() < until)
        sched_op(SCHEDOP_yield, 0);
    events_mask();
    return port_count[port] > more_than;
}

void pause_ns(uint64_t ns)
{
    uint64_t until = now_ns() + ns;

    while (now_ns() < until)
        sched_op(SCHEDOP_yield, 0);
}
