/* SPDX-License-Identifier: MIT */
/*
 * What packets mean to a flow. TCP (RFC 9293): SYN, its answer, the acknowledgement of that answer, FIN from both sides or RST; numbers are followed so far that a stranger who knows only the ports cannot open or close a
 * connection. Everything else: one way or both ways. How long a silent flow is remembered: RFC 5382 (TCP), 4787 (UDP), 5508 (ICMP).
 * Contract: flows-internal.h. Tests: test-flows.c.
 */
#include "flows-internal.h"

#include <string.h>

#define P_TCP 6u
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
#define SECOND_NS 1000000000ull
/* How far before or behind what was acknowledged a FIN or RST may lie: what a large window has in flight. */
#define WINDOW_MAX (1u << 22)

static const uint16_t remembered_s[] = {
    [VFR_FLOW_NEW] = 30, [VFR_FLOW_OPENING] = 30, [VFR_FLOW_OPEN] = 7440, [VFR_FLOW_CLOSING] = 240, [VFR_FLOW_CLOSED] = 30, [VFR_FLOW_ONE_WAY] = 30, [VFR_FLOW_TWO_WAY] = 180,
};

const char *const vfr_flow_state_names[] = {
    [VFR_FLOW_NEW] = "new", [VFR_FLOW_OPENING] = "opening", [VFR_FLOW_OPEN] = "open", [VFR_FLOW_CLOSING] = "closing", [VFR_FLOW_CLOSED] = "closed", [VFR_FLOW_ONE_WAY] = "one-way", [VFR_FLOW_TWO_WAY] = "two-way",
};

static uint32_t tcp_number(const struct vfr_packet *packet, uint32_t offset)
{
    uint32_t v;

    memcpy(&v, packet->header + packet->l4 + offset, sizeof(v));
    return __builtin_bswap32(v);
}

/* Where the other side is, give or take a window. */
static bool tcp_plausible(const struct flow *flow, const struct vfr_packet *packet, unsigned int direction)
{
    uint32_t distance = tcp_number(packet, 4) - flow->ack[!direction];

    return distance < WINDOW_MAX || distance > 0u - WINDOW_MAX || flow->ack[!direction] == 0;
}

static void tcp_begin(struct flow *flow, const struct vfr_packet *packet)
{
    flow->ack[0] = (packet->tcp_flags & TCP_ACK) != 0 ? tcp_number(packet, 8) : 0;
    flow->ack[1] = 0;
    flow->begin = 0;
}

static void tcp_answer(struct flow *flow, const struct vfr_packet *packet)
{
    if ((packet->tcp_flags & TCP_RST) != 0) {
        flow->state = VFR_FLOW_CLOSED;
    } else if ((packet->tcp_flags & TCP_SYN) != 0) {
        flow->state = VFR_FLOW_OPENING;
        flow->begin = tcp_number(packet, 4) + 1;
    } else {
        flow->state = VFR_FLOW_OPEN; /* picked up in its middle */
    }
}

static void tcp_advance(struct flow *flow, const struct vfr_packet *packet, unsigned int direction)
{
    uint8_t flags = packet->tcp_flags;

    if (flow->state == VFR_FLOW_NEW && direction == 1)
        tcp_answer(flow, packet);
    else if (flow->state == VFR_FLOW_OPENING && direction == 0 && (flags & TCP_ACK) != 0 && tcp_number(packet, 8) - flow->begin < WINDOW_MAX)
        flow->state = VFR_FLOW_OPEN;
    if ((flags & (TCP_FIN | TCP_RST)) != 0 && flow->state != VFR_FLOW_CLOSED && tcp_plausible(flow, packet, direction)) {
        if ((flags & TCP_RST) != 0)
            flow->fins = 3;
        else
            flow->fins |= 1u << direction;
        flow->state = flow->fins == 3 ? VFR_FLOW_CLOSED : VFR_FLOW_CLOSING;
    }
    if ((flags & TCP_ACK) != 0)
        flow->ack[direction] = tcp_number(packet, 8);
}

void flow_begin(struct flow *flow, const struct vfr_packet *packet, uint64_t now_ns)
{
    flow->answered = false;
    flow->fins = 0;
    flow->packets[0] = flow->packets[1] = flow->bytes[0] = flow->bytes[1] = 0;
    flow->begun_ns = now_ns;
    flow->state = packet->protocol == P_TCP ? VFR_FLOW_NEW : VFR_FLOW_ONE_WAY;
    if (packet->protocol == P_TCP)
        tcp_begin(flow, packet);
}

void flow_advance(struct flow *flow, const struct vfr_packet *packet, unsigned int direction, uint64_t now_ns)
{
    flow->packets[direction] += packet->segments > 1 ? packet->segments : 1;
    flow->bytes[direction] += packet->bytes;
    flow->seen_ns = now_ns;
    if (direction == 1)
        flow->answered = true;
    if (flow->key.protocol == P_TCP)
        tcp_advance(flow, packet, direction);
    else if (direction == 1)
        flow->state = VFR_FLOW_TWO_WAY;
    flow->ends_ns = now_ns + remembered_s[flow->state] * SECOND_NS;
}

bool flow_begins_anew(const struct flow *flow, const struct vfr_packet *packet)
{
    return flow->key.protocol == P_TCP && (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && flow->state == VFR_FLOW_CLOSED;
}
