/* SPDX-License-Identifier: MIT */
/*
 * Condition: the frame, Ethernet header included, has at least and at most so many bytes. One whose segmentation is left to the card is as long as it is before.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

static const char *size_check(const struct vfr_use *use)
{
    return use->values[0] <= use->values[1] ? NULL : "the least size is above the greatest";
}

static bool size_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    return packet->bytes >= use->values[0] && packet->bytes <= use->values[1];
}

static const struct vfr_parameter size_params[] = {
    { "least", VFR_PARAM_UINT, 0, 131072, 0, "bytes" },
    { "most", VFR_PARAM_UINT, 0, 131072, 131072, "bytes" },
};

const struct vfr_rule_ops vfr_size = {
    .name = "size",
    .summary = "the length of the frame",
    .params = size_params,
    .param_count = 2,
    .check = size_check,
    .match = size_match,
};
