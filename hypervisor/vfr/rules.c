// SPDX-License-Identifier: MIT
/*
 * Rules as packets meet them: which generation judges, what it says, flows, and the ports that rules know by name.
 *
 * A CPU that judges says so by a counter of its own, odd while it is inside: one locked instruction to enter, a store to leave, and no line that two CPUs write. Who takes a generation out of use exchanges the pointer first
 * and then waits until every counter that was odd has moved. Contract: vfr-internal.h, rules-internal.h. Tests: test-rules.c.
 */
#include "rules-internal.h"

#include "cpu.h"
#include "lib/string.h"

struct vfr_generation rules_none;
struct rules_state rules_state = {.current = &rules_none};
struct spinlock rules_lock = SPINLOCK_INIT;

#define LINE_BYTES 64u
static struct {
    uint64_t turns; /* odd: this CPU is between rules_enter and rules_leave. Written by it alone */
} __attribute__((aligned(LINE_BYTES))) inside[MAX_CPUS];

/* ---- Which generation ---- */

struct vfr_generation *rules_enter(void)
{
    /* Locked: it must be seen before the pointer is read, or the one who waits would not wait for us. */
    __atomic_fetch_add(&inside[this_cpu_id()].turns, 1, __ATOMIC_SEQ_CST);
    return READ_ONCE(rules_state.current);
}

void rules_leave(void)
{
    uint64_t *turns = &inside[this_cpu_id()].turns;

    __atomic_store_n(turns, *turns + 1, __ATOMIC_RELEASE);
}

void rules_wait(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        uint64_t seen = __atomic_load_n(&inside[cpu].turns, __ATOMIC_ACQUIRE);

        if ((seen & 1) == 0)
            continue;
        while (__atomic_load_n(&inside[cpu].turns, __ATOMIC_ACQUIRE) == seen)
            cpu_relax(); /* a round is short, and this may be a softirq, which must not give way */
    }
}

uint64_t rules_generation(const struct vfr_generation *g)
{
    return g->set != NULL ? g->set->number : 0;
}

/* ---- What it says ---- */

static void accept(struct vfr_verdict *verdict)
{
    verdict->action = VFR_ACCEPT;
    verdict->reject = VFR_REJECT_AUTO;
    verdict->log = false;
    verdict->mirrors = 0;
    verdict->rule = VFR_NO_RULE;
}

void rules_judge(struct vfr_generation *g, struct net_packet *packet, unsigned int direction, uint64_t now_ns, struct vfr_verdict *verdict)
{
    const struct vfr_port *port = direction == VFR_TX ? packet->from : packet->to;
    const struct vfr_binding *binding = &port->bindings[g->place];

    if (!binding->any[direction])
        accept(verdict);
    else
        vfr_engine_judge(g->set->engine, &packet->view, direction, binding, this_cpu_id(), now_ns, verdict);
}

bool rules_means(struct vfr_generation *g, uint32_t target, const struct vfr_port *port)
{
    return g->set != NULL && vfr_engine_means(g->set->engine, target, &port->iface);
}

/* ---- Flows ---- */

void rules_flow_find(struct vfr_generation *g, struct net_packet *packet, uint64_t now_ns)
{
    if (g->flows != NULL)
        vfr_flows_find(g->flows, &packet->view, packet->from->segment, now_ns);
}

void rules_flow_keep(struct vfr_generation *g, struct net_packet *packet, uint64_t now_ns)
{
    if (g->flows == NULL)
        return;
    packet->view.to = packet->to != NULL ? &packet->to->iface : NULL; /* a flow from a card counts for the domain that it enters */
    vfr_flows_keep(g->flows, &packet->view, packet->from->segment, now_ns);
    packet->view.to = NULL;
}

void rules_flow_refuse(struct vfr_generation *g, struct net_packet *packet)
{
    if (g->flows != NULL)
        vfr_flows_refuse(g->flows, &packet->view);
}

/* Part by part, each as a packet would be: the table may be exchanged in between, and a new one has none of its flows. */
void rules_domain_gone(uint32_t domid)
{
    struct vfr_flows *before = NULL, *flows;
    uint64_t cursor = 0;
    bool done;

    do {
        rules_enter();
        flows = READ_ONCE(flows_table); /* freed only after all have left; flows are forgotten even while they are not tracked */
        if (flows != before)
            cursor = 0;
        before = flows;
        done = flows == NULL || vfr_flows_forget(flows, domid, &cursor);
        rules_leave();
    } while (!done);
}

/* ---- Ports ---- */

/* Lock: rules_lock; nobody judges for this port by this generation. */
static void port_bind(const struct vfr_generation *g, struct vfr_port *port)
{
    if (g != NULL && g->set != NULL)
        vfr_engine_bind(g->set->engine, &port->iface, &port->bindings[g->place]);
    else if (g != NULL)
        memset(&port->bindings[g->place], 0, sizeof(port->bindings[0]));
}

void rules_port_add(struct vfr_port *port)
{
    spin_lock(&rules_lock);
    rules_state.ports[port->slot] = port;
    rules_state.ports_there[port->slot / 64] |= 1ull << port->slot % 64;
    port_bind(rules_state.current, port);
    port_bind(rules_state.previous, port);
    port_bind(rules_state.retired, port);
    port_bind(rules_state.incoming, port);
    spin_unlock(&rules_lock);
}

void rules_port_remove(struct vfr_port *port)
{
    spin_lock(&rules_lock);
    if (rules_state.ports[port->slot] == port) {
        rules_state.ports[port->slot] = NULL;
        rules_state.ports_there[port->slot / 64] &= ~(1ull << port->slot % 64);
    }
    spin_unlock(&rules_lock);
}

void rules_bind_all(struct vfr_generation *g)
{
    for (uint32_t slot = 0; slot < PORTS_MAX; slot++) {
        /* One that comes behind us is bound by who brings it. */
        if ((READ_ONCE(rules_state.ports_there[slot / 64]) >> slot % 64) == 0) {
            slot |= 63;
            continue;
        }
        spin_lock(&rules_lock);
        if (rules_state.ports[slot] != NULL)
            port_bind(g, rules_state.ports[slot]);
        spin_unlock(&rules_lock);
        preempt_point();
    }
}
