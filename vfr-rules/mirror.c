/* SPDX-License-Identifier: MIT */
/*
 * Action: another interface gets a copy, whatever becomes of the packet. At most two copies of one packet; the same interface gets one.
 * Contract: <hv/vfr-ops.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>

static void mirror_act(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    uint32_t to = (uint32_t)use->values[0];

    (void)state, (void)packet, (void)now_ns;
    for (uint32_t i = 0; i < verdict->mirrors; i++)
        if (verdict->mirror[i] == to)
            return;
    if (verdict->mirrors < VFR_MIRRORS_MAX)
        verdict->mirror[verdict->mirrors++] = to;
}

static const struct vfr_parameter mirror_params[] = {
    { "iface", VFR_PARAM_IFACE, 0, UINT32_MAX, 0, "the interface that gets a copy" },
};

const struct vfr_rule_ops vfr_mirror = {
    .name = "mirror",
    .summary = "another interface gets a copy",
    .params = mirror_params,
    .param_count = 1,
    .act = mirror_act,
};
