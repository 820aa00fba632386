/* SPDX-License-Identifier: MIT */
/*
 * Condition: what is known of the packet's flow (<vfr/flows.h>): its first packets (new), one that has been answered (established), an error that a flow of ours caused (related), what can belong to none (invalid), or
 * nothing of which there are flows, as ARP (none).
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

static bool state_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    return (use->values[0] >> (packet->state & 7) & 1) != 0;
}

static const struct vfr_parameter state_params[] = {
    { "states", VFR_PARAM_UINT, 1, (1u << (VFR_STATE_INVALID + 1)) - 1, 1u << VFR_STATE_NEW, "1 none, 2 new, 4 established, 8 related, 16 invalid, added up" },
};

const struct vfr_rule_ops vfr_state = {
    .name = "state",
    .summary = "what is known of the packet's connection",
    .params = state_params,
    .param_count = 1,
    .wants_flows = true,
    .match = state_match,
};
