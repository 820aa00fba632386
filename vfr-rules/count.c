/* SPDX-License-Identifier: MIT */
/*
 * Action: nothing but counting, which every rule does anyway. A rule with only this word counts what it matches and lets the next rules decide.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c. Start here to read.
 */
#include <hv/vfr-ops.h>

static void count_act(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    (void)use, (void)state, (void)packet, (void)now_ns, (void)verdict;
}

const struct vfr_rule_ops vfr_count = {
    .name = "count",
    .summary = "count, and go on with the next rule",
    .act = count_act,
};
