/* SPDX-License-Identifier: MIT */
/*
 * Condition: something is wrong with the packet's headers (VFR_FAULT_*): too short, lengths that contradict each other, options that cannot be followed, dangerous fragments, TCP flags or addresses that cannot be.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

#define ALL_FAULTS (VFR_FAULT_SHORT | VFR_FAULT_LENGTH | VFR_FAULT_OPTIONS | VFR_FAULT_FRAGMENT | VFR_FAULT_FLAGS | VFR_FAULT_ADDRESS)

static bool malformed_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    return (packet->faults & use->values[0]) != 0;
}

static const struct vfr_parameter malformed_params[] = {
    { "faults", VFR_PARAM_UINT, 1, ALL_FAULTS, ALL_FAULTS, "1 short, 2 length, 4 options, 8 fragment, 16 flags, 32 address, added up" },
};

const struct vfr_rule_ops vfr_malformed = {
    .name = "malformed",
    .summary = "headers that no honest stack sends",
    .params = malformed_params,
    .param_count = 1,
    .match = malformed_match,
};
