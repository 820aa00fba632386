/* SPDX-License-Identifier: MIT */
/*
 * Inside the virtual firewall-router.
 *
 *     netfront tx ring --tx.c--> struct net_packet --judge TX (rules.c)--> switch.c: whose address? --judge RX--> rx.c: netfront rx ring of the receiver (one copy)
 *                                 header copied once                                            \\--> nic.c: a card (no copy)
 *     a card --nic.c--> struct net_packet --judge RX of the NIC--> switch.c --judge RX--> rx.c
 *
 * A packet is judged wholly by one generation of rules. Everything below runs in SOFTIRQ_NET, without giving way. Locks, in this order: a sender's (vif->lock), rules' own, a receiver's (vif->rx_lock), a card's. No two of
 * one kind are held together.
 */
#pragma once

#include "netdev.h"
#include "spinlock.h"
#include "vfr.h"

#include <collet/control.h>
#include <hv/list.h>
#include <hv/vfr-ops.h>
#include <vfr/engine.h>
#include <vfr/flows.h>
#include <vfr/packet.h>

#define PORTS_MAX (COLLET_VIFS_ALL_MAX + 16u)

/* What a VIF and a card have in common: to rules, to captures, to the switch. */
struct vfr_port {
    uint32_t slot;      /* < PORTS_MAX, its own as long as it exists */
    uint32_t segment;
    struct vfr_iface iface;
    uint64_t answers_since_ns; /* answers of reject to it: so many in this window. Without a lock: a bound, not a count */
    uint32_t answers;
    uint64_t uncaptured; /* atomic: no capture of this epoch (upper half) means this port (lower half: its id). capture.c */
    struct vfr_binding bindings[2]; /* what of a set's is this port's, by struct vfr_generation's place: rules.c */
};

/* A packet on its way. On the stack, or in the sender's memory while a card has it. */
struct net_packet {
    struct vfr_packet view;
    struct vfr_port *from, *to;
    const struct net_segment *segments; /* the whole frame, header included (it may lie elsewhere: the first segments are our copy of the header) */
    uint32_t segment_count;
    struct net_offload offload;
};

/* ---- rules.c: generations, flows, and what Domain0 asks of them ---- */

struct vfr_generation;
void rules_init(void);
/* Once for each packet (or a batch of them): the generation that judges it. Never NULL. Pair: rules_leave, on the same CPU, without giving way. May not be nested. */
struct vfr_generation *rules_enter(void);
void rules_leave(void);
/* All CPUs that are between the two now have left once on return. Context: hypercall, no lock held, not between the two itself; gives way. Who has taken something out of vfr_ports, or out of packets' sight, may free it then. */
void rules_wait(void);
/* Judge: VFR_TX for packet->from, VFR_RX for packet->to. Fast when no rule of the generation can match there. */
void rules_judge(struct vfr_generation *g, struct net_packet *packet, unsigned int direction, uint64_t now_ns, struct vfr_verdict *verdict);
/* Which port a verdict's target means: asked for each port. */
bool rules_means(struct vfr_generation *g, uint32_t target, const struct vfr_port *port);
/* Flows, if they are on: find before the first judgement, keep or refuse after the last. */
void rules_flow_find(struct vfr_generation *g, struct net_packet *packet, uint64_t now_ns);
void rules_flow_keep(struct vfr_generation *g, struct net_packet *packet, uint64_t now_ns);
void rules_flow_refuse(struct vfr_generation *g, struct net_packet *packet);
/* A port comes, changes its addresses or segment, goes: bindings of all generations. Context: hypercall, no lock held; sends nothing meanwhile (added before it is served, removed after). */
void rules_port_add(struct vfr_port *port);
void rules_port_remove(struct vfr_port *port);
void rules_domain_gone(uint32_t domid); /* its flows are forgotten; may take several parts inside */

long rules_load(struct collet_rules_load *op);
long rules_confirm(const struct collet_rules_confirm *op);
long rules_info(struct collet_rules_info *op);
long rules_read(struct collet_rules_read *op);
long rules_counters(struct collet_rules_counters *op);
long rules_kinds(struct collet_sched_list *op);
long flows_set(const struct collet_flows_set *op);
long flows_list(struct collet_flows_list *op);

/* ---- capture.c: packets for people ---- */

extern uint32_t captures_on; /* somebody captures: one load and one branch when nobody does */
/* One packet at one place, with what was said about it. `dropped`: COLLET_NET_DROP_*, or -1: it passes. Context: softirq; any lock of the router held. */
void capture_packet(const struct net_packet *packet, struct vfr_port *port, unsigned int direction, const struct vfr_verdict *verdict, uint64_t generation, int dropped, uint64_t now_ns);
uint64_t rules_generation(const struct vfr_generation *g);

/* ---- vif.c, nic.c, switch.c: LEAD ---- */

long vif_create(struct collet_vif_create *op);
long vif_destroy(uint32_t id);
long vif_connect(const struct collet_vif_connect *op);
long vif_disconnect(uint32_t id);
long vif_set(const struct collet_vif_set *op);
/* The first of id >= from (and of domid, unless ~0): 0 or -ENOENT. */
long vif_info(uint32_t from, uint32_t domid, struct collet_vif_info *info);
long nic_info(uint32_t nic, struct collet_nic_info *info);
/* turn.c: index of a module in vfr_schedulers, its name, whether it is in use: for the list. */
long net_sched_use(const char *module);
const char *net_sched_active(void);

/* Every port there is, for rules and captures: by slot; NULL: none. Context: port_lock held, or in between rules_enter and rules_leave. */
extern struct vfr_port *vfr_ports[PORTS_MAX];
