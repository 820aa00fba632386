/* SPDX-License-Identifier: MIT */
/*
 * Condition: the packet claims to come from somebody else than its VIF. The core refuses such packets by itself; this kind is for VIFs where that is switched off (antispoof = no), and to see or log what they send.
 * Contract: <hv/vfr-ops.h>, <vfr/antispoof.h>. Tests: test-kinds.c. Page: docs/concepts/anti-spoofing.md.
 */
#include <hv/vfr-ops.h>
#include <vfr/antispoof.h>

static bool antispoof_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)use, (void)state, (void)now_ns;
    return (packet->from->id & VFR_IFACE_NIC) == 0 && vfr_spoof_reason(packet) != NULL;
}

const struct vfr_rule_ops vfr_antispoof = {
    .name = "antispoof",
    .summary = "claims another's MAC or address",
    .match = antispoof_match,
};
