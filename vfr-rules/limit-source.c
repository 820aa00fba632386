/* SPDX-License-Identifier: MIT */
/*
 * Condition: as long as a source address sends no more than so many packets a second that match; with `over`: those beyond. A token bucket for each of the last 256 sources: one that sends much keeps its place, because
 * the one that was idle longest is given up, and an idle bucket is a full one.
 * Contract: <hv/vfr-ops.h>, <vfr/bucket.h>, <vfr/sources.h>. Tests: test-kinds.c.
 */
#include <vfr/bucket.h>
#include <vfr/sources.h>

enum { LIMIT_RATE, LIMIT_BURST, LIMIT_OVER, LIMIT_PER, LIMIT_PARAMS };
#define BURST_LEAST 5u

static bool limit_source_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    uint64_t rate = use->values[LIMIT_RATE], burst = use->values[LIMIT_BURST], seconds = use->values[LIMIT_PER];
    struct vfr_source_place *place = vfr_source_find(state, vfr_source_key(packet));

    if (burst == 0)
        burst = rate / seconds / 10 > BURST_LEAST ? rate / seconds / 10 : BURST_LEAST;
    return vfr_bucket_take(&place->until, vfr_bucket_cost_in(packet->segments > 1 ? packet->segments : 1, rate, seconds), vfr_bucket_cost_in(burst, rate, seconds), now_ns) !=
           (use->values[LIMIT_OVER] != 0);
}

static const struct vfr_parameter limit_source_params[LIMIT_PARAMS] = {
    { "rate", VFR_PARAM_PER_S, 1, 10000000, 100, "packets a second, of each source" },
    { "burst", VFR_PARAM_UINT, 0, 1000000, 0, "packets at once; 0: a tenth of a second's, at least 5" },
    { "over", VFR_PARAM_BOOL, 0, 1, 0, "match what is beyond the limit" },
    { "per", VFR_PARAM_SECONDS, 1, 86400, 1, "the rate is of so many seconds" },
};

const struct vfr_rule_ops vfr_limit_source = {
    .name = "limit-source",
    .summary = "no more than so many packets a second from each source address",
    .params = limit_source_params,
    .param_count = LIMIT_PARAMS,
    .state_bytes = sizeof(struct vfr_sources),
    .match = limit_source_match,
};
