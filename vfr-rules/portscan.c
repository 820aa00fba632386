/* SPDX-License-Identifier: MIT */
/*
 * Condition: the packet begins something, and its source address has tried at least `ports` different ports of whoever the rule is about within `seconds`; it is met until the source has tried nothing for as long.
 * What answers a flow is no attempt, and is never met: a server that is asked from many ports may answer them all. Nor is TCP with ACK or RST, which may be the end of a connection that was forgotten.
 * A place for each of the last 256 sources: 64 bits, one of which each port sets (so that `ports` is an estimate from below: two ports may have the same bit), and when they are cleared.
 * Contract: <hv/vfr-ops.h>, <vfr/sources.h>. Tests: test-kinds.c.
 */
#include <vfr/sources.h>

enum { SCAN_PORTS, SCAN_SECONDS, SCAN_PARAMS };
#define SECOND_NS 1000000000ull

static uint32_t bits_set(uint64_t bits)
{
    uint32_t count = 0;

    for (; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

enum { P_TCP = 6, TCP_RST = 4, TCP_ACK = 16 };

static bool is_attempt(const struct vfr_packet *packet)
{
    if (packet->family == 0 || packet->l4 == 0 || (packet->state != VFR_STATE_NEW && packet->state != VFR_STATE_INVALID))
        return false;
    return packet->protocol != P_TCP ? packet->state == VFR_STATE_NEW && packet->target_port != 0 : (packet->tcp_flags & (TCP_ACK | TCP_RST)) == 0;
}

static bool portscan_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    uint64_t window_ns = use->values[SCAN_SECONDS] * SECOND_NS, bit = 1ull << ((packet->target_port * 0x9e3779b1u & 0xffffffffu) >> 26);
    struct vfr_source_place *place;
    uint64_t tried;

    if (!is_attempt(packet))
        return false;
    place = vfr_source_find(state, vfr_source_key(packet));
    if (now_ns >= __atomic_load_n(&place->until, __ATOMIC_RELAXED)) {
        __atomic_store_n(&place->data, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&place->until, now_ns + window_ns, __ATOMIC_RELAXED);
    }
    tried = __atomic_or_fetch(&place->data, bit, __ATOMIC_RELAXED);
    if (bits_set(tried) < use->values[SCAN_PORTS])
        return false;
    __atomic_store_n(&place->until, now_ns + window_ns, __ATOMIC_RELAXED);
    return true;
}

static const struct vfr_parameter portscan_params[SCAN_PARAMS] = {
    { "ports", VFR_PARAM_UINT, 2, 40, 15, "different ports that make a scan" },
    { "seconds", VFR_PARAM_UINT, 1, 86400, 10, "within so many seconds; and so long it must try nothing then" },
};

const struct vfr_rule_ops vfr_portscan = {
    .name = "portscan",
    .summary = "the source tries port after port",
    .params = portscan_params,
    .param_count = SCAN_PARAMS,
    .state_bytes = sizeof(struct vfr_sources),
    .wants_flows = true,
    .match = portscan_match,
};
