/* SPDX-License-Identifier: MIT */
/*
 * Condition: as long as no more than so many packets, or bytes, a second (or in so many seconds) match; with `over`: those beyond. All packets of the rule share one token bucket each for packets and bytes; limit-source.c has one for each source.
 * A packet whose segmentation is left to the card counts as the packets it will be. Contract: <hv/vfr-ops.h>, <vfr/bucket.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>
#include <vfr/bucket.h>

enum { LIMIT_RATE, LIMIT_BYTES, LIMIT_BURST, LIMIT_BURST_BYTES, LIMIT_OVER, LIMIT_PER, LIMIT_PARAMS };
#define BURST_LEAST       5u
#define BURST_BYTES_LEAST 65536u

struct limit {
    uint64_t packets_paid, bytes_paid;
};

static const char *limit_check(const struct vfr_use *use)
{
    const uint64_t *v = use->values;

    if (v[LIMIT_RATE] == 0 && v[LIMIT_BYTES] == 0)
        return "neither a rate of packets nor one of bytes is given";
    if (v[LIMIT_BURST] != 0 && v[LIMIT_RATE] == 0)
        return "a burst of packets without a rate of packets";
    if (v[LIMIT_BURST_BYTES] != 0 && v[LIMIT_BYTES] == 0)
        return "a burst of bytes without a rate of bytes";
    return NULL;
}

/* Unless it was given: a tenth of a second's worth. */
static uint64_t limit_depth(uint64_t burst, uint64_t per_s, uint64_t seconds, uint64_t least)
{
    if (burst == 0)
        burst = per_s / seconds / 10 > least ? per_s / seconds / 10 : least;
    if (seconds != 1)
        return vfr_bucket_cost_in(burst, per_s, seconds);
    /* Not by vfr_bucket_cost: a burst may be long. */
    return burst / per_s * VFR_BUCKET_TICKS * 1000000000ull + vfr_bucket_cost(burst % per_s, per_s);
}

static bool limit_takes(const uint64_t *v, struct limit *limit, const struct vfr_packet *packet, uint64_t now_ns)
{
    uint64_t cost = 0;

    if (v[LIMIT_RATE] != 0) {
        cost = vfr_bucket_cost_in(packet->segments > 1 ? packet->segments : 1, v[LIMIT_RATE], v[LIMIT_PER]);
        if (!vfr_bucket_take(&limit->packets_paid, cost, limit_depth(v[LIMIT_BURST], v[LIMIT_RATE], v[LIMIT_PER], BURST_LEAST), now_ns))
            return false;
    }
    if (v[LIMIT_BYTES] != 0 &&
        !vfr_bucket_take(&limit->bytes_paid, vfr_bucket_cost(packet->bytes, v[LIMIT_BYTES]), limit_depth(v[LIMIT_BURST_BYTES], v[LIMIT_BYTES], 1, BURST_BYTES_LEAST), now_ns)) {
        vfr_bucket_give_back(&limit->packets_paid, cost);
        return false;
    }
    return true;
}

static bool limit_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    return limit_takes(use->values, state, packet, now_ns) != (use->values[LIMIT_OVER] != 0);
}

static const struct vfr_parameter limit_params[LIMIT_PARAMS] = {
    { "rate", VFR_PARAM_PER_S, 0, 1000000000, 0, "packets a second; 0: any number" },
    { "bytes", VFR_PARAM_BYTES_PER_S, 0, 100000000000, 0, "bytes a second; 0: any number" },
    { "burst", VFR_PARAM_UINT, 0, 10000000, 0, "packets at once; 0: a tenth of a second's, at least 5" },
    { "burst-bytes", VFR_PARAM_UINT, 0, 100000000, 0, "bytes at once; 0: a tenth of a second's, at least 65536" },
    { "over", VFR_PARAM_BOOL, 0, 1, 0, "match what is beyond the limit" },
    { "per", VFR_PARAM_SECONDS, 1, 86400, 1, "the rate of packets is of so many seconds" },
};

const struct vfr_rule_ops vfr_limit = {
    .name = "limit",
    .summary = "no more than so many packets or bytes a second",
    .params = limit_params,
    .param_count = LIMIT_PARAMS,
    .state_bytes = sizeof(struct limit),
    .check = limit_check,
    .match = limit_match,
};
