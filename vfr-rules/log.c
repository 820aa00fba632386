/* SPDX-License-Identifier: MIT */
/*
 * Action: tell the log of the packet, at most `rate` times a second, so that no guest can flood it.
 * One word holds the time until which what has been told is paid for (a token bucket of one second's worth); it is changed by compare and exchange.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

#define SECOND_NS 1000000000ull

static void log_act(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    uint64_t *paid = state, cost = SECOND_NS / use->values[0];
    uint64_t seen = __atomic_load_n(paid, __ATOMIC_RELAXED);
    uint64_t from = seen > now_ns ? seen : now_ns;

    (void)packet;
    if (from + cost > now_ns + SECOND_NS)
        return;
    /* Who loses the race is not told: another CPU just was. */
    if (__atomic_compare_exchange_n(paid, &seen, from + cost, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        verdict->log = true;
}

static const struct vfr_parameter log_params[] = {
    { "rate", VFR_PARAM_PER_S, 1, 10000, 10, "packets told a second, at most" },
};

const struct vfr_rule_ops vfr_log = {
    .name = "log",
    .summary = "tell the log of the packet",
    .params = log_params,
    .param_count = 1,
    .state_bytes = sizeof(uint64_t),
    .act = log_act,
};
