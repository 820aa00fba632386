/* SPDX-License-Identifier: MIT */
/*
 * Condition: one packet of every n that come here, the first one first. For mirrors and logs of busy lines.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

static bool sample_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    uint64_t *seen = state;

    (void)packet, (void)now_ns;
    return __atomic_fetch_add(seen, 1, __ATOMIC_RELAXED) % use->values[0] == 0;
}

static const struct vfr_parameter sample_params[] = {
    { "every", VFR_PARAM_UINT, 1, 1000000000, 100, "one packet of so many" },
};

const struct vfr_rule_ops vfr_sample = {
    .name = "sample",
    .summary = "one packet of every n",
    .params = sample_params,
    .param_count = 1,
    .state_bytes = sizeof(uint64_t),
    .match = sample_match,
};
