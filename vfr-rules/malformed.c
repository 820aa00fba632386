/* SPDX-License-Identifier: MIT */
/*
 * Condition: something is wrong with the packet's headers (VFR_FAULT_*): too short, lengths that contradict each other, options that cannot be followed, dangerous fragments, TCP flags or addresses that cannot be.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

enum { FAULT_PARAMS = 6 }; /* in the order of VFR_FAULT_* */

static bool malformed_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    uint64_t named = 0;

    (void)state, (void)now_ns;
    if (packet->faults == 0)
        return false;
    for (uint32_t i = 0; i < FAULT_PARAMS; i++)
        named |= use->values[i] << i;
    return named == 0 || (packet->faults & named) != 0;
}

static const struct vfr_parameter malformed_params[FAULT_PARAMS] = {
    { "short", VFR_PARAM_BOOL, 0, 1, 0, "a header ends behind the end of the packet" },
    { "length", VFR_PARAM_BOOL, 0, 1, 0, "lengths that contradict each other" },
    { "options", VFR_PARAM_BOOL, 0, 1, 0, "options or extension headers that cannot be followed" },
    { "fragments", VFR_PARAM_BOOL, 0, 1, 0, "fragments that overlap headers" },
    { "tcp-flags", VFR_PARAM_BOOL, 0, 1, 0, "TCP flags that no stack sends together" },
    { "address", VFR_PARAM_BOOL, 0, 1, 0, "addresses that cannot be there" },
};

const struct vfr_rule_ops vfr_malformed = {
    .name = "malformed",
    .summary = "headers that no honest stack sends; faults may be named",
    .params = malformed_params,
    .param_count = FAULT_PARAMS,
    .match = malformed_match,
};
