// SPDX-License-Identifier: MIT
/*
 * Where a frame goes: judged where it leaves, looked up by its address within its segment, judged where it enters, handed over. Contract: vif-internal.h; order of the judgements: vfr-internal.h.
 */
#include "vif-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "lib/string.h"
#include "trace.h"

#include <hv/errno.h>
#include <vfr/antispoof.h>
#include <vfr/packet.h>

/* One frame's way through the switch. */
struct passage {
    struct net_packet *packet;
    struct net_tx *tx; /* NULL: from a card */
    struct vfr_generation *rules;
    uint64_t now_ns;
    bool arrived; /* somebody has it */
    bool answered; /* it has been rejected once: no more than one answer */
    bool forwarded; /* a rule has said where, once */
    int parked;   /* 0 or -ENOSPC */
};

#define ANSWER_ROOM 2048u
static uint8_t answers[MAX_CPUS][ANSWER_ROOM] aligned_to(ANSWER_ROOM); /* of this CPU's round: a frame that reject sends */
_Static_assert(VFR_REJECT_BYTES <= ANSWER_ROOM && PAGE_SIZE % ANSWER_ROOM == 0, "an answer does not cross a page");

#define ANSWERS_MAX 100u /* of reject, to one port in one window: RFC 1812 4.3.2.8 asks for a limit */
#define ANSWERS_NS  (100 * NS_PER_MS)

static struct collet_net_counters *sent_by(struct vfr_port *port)
{
    return port_is_nic(port) ? &port_nic(port)->received : &port_vif(port)->sent; /* what the wire brings is what a card "sent" into the machine */
}

static void count_passed(struct collet_net_counters *counters, const struct net_packet *packet)
{
    __atomic_fetch_add(&counters->packets, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counters->bytes, packet->view.bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counters->segments, packet->view.segments, __ATOMIC_RELAXED);
}

/* All ports: VIFs by their slots, then cards. NULL: none at this number. */
static struct vfr_port *port_at(uint32_t i)
{
    return i < vif_slots ? READ_ONCE(vfr_ports[i]) : &nics[i - vif_slots]->port;
}

static void capture(struct passage *way, struct vfr_port *port, unsigned int direction, const struct vfr_verdict *verdict, int dropped)
{
    if (unlikely(READ_ONCE(captures_on)))
        capture_packet(way->packet, port, direction, verdict, rules_generation(way->rules), dropped, way->now_ns);
}

/* ---- Frames of the router's own ---- */

static bool answer_allowed(struct vfr_port *to, uint64_t now_ns)
{
    if ((int64_t)(now_ns - READ_ONCE(to->answers_since_ns)) >= (int64_t)ANSWERS_NS) { /* less than 0: another CPU's round began later */
        WRITE_ONCE(to->answers_since_ns, now_ns);
        WRITE_ONCE(to->answers, 0);
    }
    return __atomic_fetch_add(&to->answers, 1, __ATOMIC_RELAXED) < ANSWERS_MAX;
}

/* To whom the frame came from. */
static void answer_send(struct passage *way, enum vfr_reject kind)
{
    static const struct vfr_verdict nobodys = {.action = VFR_CONTINUE, .rule = VFR_NO_RULE};
    uint8_t *frame = answers[this_cpu_id()];
    struct net_packet answer = {.from = way->packet->from, .segment_count = 1};
    struct net_segment segment = {.maddr = virt_to_maddr(frame)};

    if (way->answered || !answer_allowed(answer.from, way->now_ns))
        return;
    way->answered = true;
    segment.bytes = vfr_reject_make(&way->packet->view, kind, frame);
    if (segment.bytes == 0)
        return;
    answer.segments = &segment;
    answer.view = (struct vfr_packet){.header = frame, .header_bytes = min(segment.bytes, VFR_HEADER_MAX), .bytes = segment.bytes, .from = &answer.from->iface, .segments = 1};
    vfr_parse(&answer.view);
    if (unlikely(READ_ONCE(captures_on)))
        capture_packet(&answer, answer.from, port_is_nic(answer.from) ? VFR_TX : VFR_RX, &nobodys, rules_generation(way->rules), -1, way->now_ns);
    if (port_is_nic(answer.from))
        nic_send_copy(port_nic(answer.from), &answer);
    else
        rx_deliver(port_vif(answer.from), &answer);
}

static void mirror_send(struct passage *way, uint32_t target)
{
    for (uint32_t i = 0; i < vif_slots + nic_count; i++) {
        struct vfr_port *port = port_at(i);

        if (port == NULL || port == way->packet->from || !rules_means(way->rules, target, port))
            continue;
        if (!port_is_nic(port) && (port_vif(port)->flags & COLLET_VIF_DOWN))
            return;
        if (port_is_nic(port))
            nic_send_copy(port_nic(port), way->packet);
        else
            rx_deliver(port_vif(port), way->packet);
        return;
    }
}

/* ---- Judging ---- */

/* Judged at a port. True: it may go on; verdict tells how. */
static bool judge(struct passage *way, struct vfr_port *port, unsigned int direction, struct collet_net_counters *counters, struct vfr_verdict *verdict)
{
    struct net_packet *packet = way->packet;
    struct vfr_port *from = packet->from;
    bool drop;

    if (direction == VFR_TX) {
        packet->from = port; /* the rules of where it leaves */
    } else {
        packet->to = port;
        packet->view.to = &port->iface;
    }
    rules_judge(way->rules, packet, direction, way->now_ns, verdict);
    packet->from = from;
    drop = verdict->action == VFR_DROP || verdict->action == VFR_REJECT;
    capture(way, port, direction, verdict, drop ? COLLET_NET_DROP_RULE : -1);
    packet->view.to = NULL;
    for (uint32_t i = 0; i < verdict->mirrors; i++)
        mirror_send(way, verdict->mirror[i]);
    if (likely(!drop))
        return true;
    count_drop(counters, COLLET_NET_DROP_RULE);
    if (verdict->action == VFR_REJECT)
        answer_send(way, verdict->reject);
    return false;
}

static bool spoofed(struct passage *way)
{
    struct net_packet *packet = way->packet;
    static const struct vfr_verdict none = {.action = VFR_DROP, .rule = VFR_NO_RULE};

    if (port_is_nic(packet->from) || (packet->from->iface.flags & VFR_IFACE_SPOOF_OK) || likely(vfr_spoof_reason(&packet->view) == NULL))
        return false;
    count_drop(&port_vif(packet->from)->sent, COLLET_NET_DROP_SPOOF);
    capture(way, packet->from, VFR_TX, &none, COLLET_NET_DROP_SPOOF);
    return true;
}

/* Rules that name ports or types would not see it, and what they are to keep out would come in. */
static bool unreadable(struct passage *way)
{
    static const struct vfr_verdict none = {.action = VFR_DROP, .rule = VFR_NO_RULE};
    struct vfr_port *from = way->packet->from;

    if (likely(!vfr_unreadable(&way->packet->view)) || rules_generation(way->rules) == 0)
        return false;
    count_drop(sent_by(from), COLLET_NET_DROP_MALFORMED);
    capture(way, from, port_is_nic(from) ? VFR_RX : VFR_TX, &none, COLLET_NET_DROP_MALFORMED);
    return true;
}

/* ---- Handing over ---- */

static void to_target(struct passage *way, uint32_t target);

/* The rules where it enters have the last word: it goes elsewhere. Once: rules may not play at ball. */
static void forward(struct passage *way, struct collet_net_counters *counters, const struct vfr_verdict *verdict)
{
    if (way->forwarded)
        count_drop(counters, COLLET_NET_DROP_NO_ROUTE);
    else
        to_target(way, verdict->target);
}

static void to_vif(struct passage *way, struct vif *vif)
{
    struct vfr_verdict verdict;
    int rc;

    if (unlikely(vif->flags & COLLET_VIF_DOWN)) {
        count_drop(&vif->received, COLLET_NET_DROP_NOT_CONNECTED);
        return;
    }
    if (!judge(way, &vif->port, VFR_RX, &vif->received, &verdict))
        return;
    if (unlikely(verdict.action == VFR_FORWARD)) {
        forward(way, &vif->received, &verdict);
        return;
    }
    rc = rx_deliver(vif, way->packet);
    if (way->tx != NULL)
        way->tx->receivers++; /* or has cost as much */
    if (rc == 0)
        way->arrived = true;
    else
        capture(way, &vif->port, VFR_RX, &verdict, rc - 1);
}

static void to_nic(struct passage *way, struct nic *nic)
{
    struct vfr_verdict verdict;
    int rc;

    if (!judge(way, &nic->port, VFR_TX, &nic->sent, &verdict))
        return;
    if (unlikely(verdict.action == VFR_FORWARD)) {
        forward(way, &nic->sent, &verdict);
        return;
    }
    if (way->tx != NULL && way->tx->nic == NULL) {
        way->tx->nic = nic;
        rc = nic_send(nic, way->tx);
        if (rc == -ENOSPC) {
            way->parked = rc;
            rc = 0;
        }
    } else {
        rc = nic_send_copy(nic, way->packet);
    }
    if (rc == 0)
        way->arrived = true;
    else
        capture(way, &nic->port, VFR_TX, &verdict, rc - 1);
}

static void to_port(struct passage *way, struct vfr_port *port)
{
    if (port_is_nic(port))
        to_nic(way, port_nic(port));
    else
        to_vif(way, port_vif(port));
}

static struct nic *nic_of_segment(uint32_t segment)
{
    return segment < nic_count ? nics[segment] : NULL;
}

/* To all of its segment. The card comes last: it may keep the frame. */
static void to_all(struct passage *way, uint32_t segment)
{
    struct nic *nic = nic_of_segment(segment);

    for (uint32_t slot = 0; slot < vif_slots; slot++) {
        struct vfr_port *port = READ_ONCE(vfr_ports[slot]);

        if (port != NULL && port->segment == segment && port != way->packet->from && port_vif(port)->rx_served)
            to_vif(way, port_vif(port));
    }
    if (nic != NULL && &nic->port != way->packet->from)
        to_nic(way, nic);
}

/* An address that no VIF has: to the wire, and to those who get all. */
static bool to_outside(struct passage *way, uint32_t segment)
{
    struct nic *nic = nic_of_segment(segment);
    bool any = false;

    for (uint32_t slot = 0; slot < vif_slots && vif_routers != 0; slot++) {
        struct vfr_port *port = READ_ONCE(vfr_ports[slot]);

        if (port != NULL && port->segment == segment && port != way->packet->from && (port_vif(port)->flags & COLLET_VIF_ALL)) {
            to_vif(way, port_vif(port));
            any = true;
        }
    }
    if (nic != NULL && &nic->port != way->packet->from) {
        to_nic(way, nic);
        any = true;
    }
    return any;
}

static void to_address(struct passage *way)
{
    const uint8_t *mac = way->packet->view.header;
    struct vfr_port *from = way->packet->from;
    struct vif *vif;

    if (mac[0] & 1) {
        to_all(way, from->segment);
        return;
    }
    vif = vif_of_mac(from->segment, mac);
    if (likely(vif != NULL)) {
        if (&vif->port != from)
            to_vif(way, vif);
        else
            count_drop(sent_by(from), COLLET_NET_DROP_NO_ROUTE);
    } else if (!to_outside(way, from->segment)) {
        count_drop(sent_by(from), COLLET_NET_DROP_NO_ROUTE);
        capture(way, from, port_is_nic(from) ? VFR_RX : VFR_TX, NULL, COLLET_NET_DROP_NO_ROUTE);
    }
}

/* A rule has said where. */
static void to_target(struct passage *way, uint32_t target)
{
    way->forwarded = true;
    for (uint32_t i = 0; i < vif_slots + nic_count; i++) {
        struct vfr_port *port = port_at(i);

        if (port != NULL && port != way->packet->from && rules_means(way->rules, target, port)) {
            to_port(way, port);
            return;
        }
    }
    count_drop(sent_by(way->packet->from), COLLET_NET_DROP_NO_ROUTE);
}

int switch_packet(struct net_packet *packet, struct net_tx *tx)
{
    struct vfr_port *from = packet->from;
    struct passage way = {.packet = packet, .tx = tx, .rules = round_generation(), .now_ns = round_now_ns()};
    struct vfr_verdict verdict;

    if (!port_is_nic(from) && unlikely(port_vif(from)->flags & COLLET_VIF_DOWN)) {
        count_drop(sent_by(from), COLLET_NET_DROP_NOT_CONNECTED);
        return 0;
    }
    if (spoofed(&way) || unreadable(&way))
        return 0;
    rules_flow_find(way.rules, packet, way.now_ns);
    if (judge(&way, from, port_is_nic(from) ? VFR_RX : VFR_TX, sent_by(from), &verdict)) {
        count_passed(sent_by(from), packet);
        if (unlikely(verdict.action == VFR_FORWARD))
            to_target(&way, verdict.target);
        else
            to_address(&way);
    }
    if (way.arrived)
        rules_flow_keep(way.rules, packet, way.now_ns);
    else
        rules_flow_refuse(way.rules, packet);
    return way.parked;
}
