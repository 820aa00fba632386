// SPDX-License-Identifier: MIT
/*
 * Condition: as long as no more than so many bytes have come here, ever. A kind of rule to copy; docs/write-a-rule-kind.md goes through it.
 * Contract: <hv/vfr-ops.h>. Tests: test-mine.c.
 */
#include <hv/vfr-ops.h>

struct mine {
    uint64_t bytes; /* that were let through */
};

static bool mine_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    struct mine *mine = state;
    uint64_t before = __atomic_fetch_add(&mine->bytes, packet->bytes, __ATOMIC_RELAXED);

    (void)now_ns;
    if (before + packet->bytes <= use->values[0])
        return true;
    __atomic_sub_fetch(&mine->bytes, packet->bytes, __ATOMIC_RELAXED); /* this one was not */
    return false;
}

static const struct vfr_parameter mine_params[] = {
    {"most", VFR_PARAM_UINT, 1, 1ull << 60, 1000000, "bytes in all"},
};

const struct vfr_rule_ops vfr_mine = {
    .name = "mine",
    .summary = "no more than so many bytes in all",
    .params = mine_params,
    .param_count = 1,
    .state_bytes = sizeof(struct mine),
    .match = mine_match,
};
