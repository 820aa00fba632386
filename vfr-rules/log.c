/* SPDX-License-Identifier: MIT */
/*
 * Action: tell the log of the packet, at most `rate` times a second (or in so many seconds), so that no guest can flood it.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>
#include <vfr/bucket.h>

static void log_act(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    uint64_t rate = use->values[0], seconds = use->values[1];

    (void)packet;
    if (vfr_bucket_take(state, vfr_bucket_cost_in(1, rate, seconds), vfr_bucket_cost_in(rate, rate, seconds), now_ns))
        verdict->log = true;
}

static const struct vfr_parameter log_params[] = {
    { "rate", VFR_PARAM_PER_S, 1, 10000, 10, "packets told a second, at most" },
    { "per", VFR_PARAM_SECONDS, 1, 86400, 1, "the rate is of so many seconds" },
};

const struct vfr_rule_ops vfr_log = {
    .name = "log",
    .summary = "tell the log of the packet",
    .params = log_params,
    .param_count = 2,
    .state_bytes = sizeof(uint64_t),
    .act = log_act,
};
