/* SPDX-License-Identifier: MIT */
/*
 * Condition: what is known of the packet's flow (<vfr/flows.h>): its first packets (new), one that has been answered (established), an error that a flow of ours caused (related), what can belong to none (invalid), or
 * nothing of which there are flows, as ARP (none).
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

enum { STATE_NEW, STATE_ESTABLISHED, STATE_RELATED, STATE_INVALID, STATE_NONE, STATE_PARAMS };

/* By enum vfr_state. */
static const uint8_t state_param[] = {
    [VFR_STATE_NONE] = STATE_NONE, [VFR_STATE_NEW] = STATE_NEW, [VFR_STATE_ESTABLISHED] = STATE_ESTABLISHED, [VFR_STATE_RELATED] = STATE_RELATED, [VFR_STATE_INVALID] = STATE_INVALID,
};

static const char *state_check(const struct vfr_use *use)
{
    for (uint32_t i = 0; i < STATE_PARAMS; i++)
        if (use->values[i] != 0)
            return NULL;
    return "no state is named: new, established, related, invalid, none";
}

static bool state_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    return packet->state < sizeof(state_param) && use->values[state_param[packet->state]] != 0;
}

static const struct vfr_parameter state_params[STATE_PARAMS] = {
    { "new", VFR_PARAM_BOOL, 0, 1, 0, "the first packets, not answered so far" },
    { "established", VFR_PARAM_BOOL, 0, 1, 0, "answers, and what follows them" },
    { "related", VFR_PARAM_BOOL, 0, 1, 0, "ICMP errors about a flow that there is" },
    { "invalid", VFR_PARAM_BOOL, 0, 1, 0, "what belongs to no flow and can begin none" },
    { "none", VFR_PARAM_BOOL, 0, 1, 0, "what is not tracked: ARP, neighbour discovery, multicast listeners" },
};

const struct vfr_rule_ops vfr_state = {
    .name = "state",
    .summary = "what is known of the packet's connection",
    .params = state_params,
    .param_count = STATE_PARAMS,
    .wants_flows = true,
    .check = state_check,
    .match = state_match,
};
