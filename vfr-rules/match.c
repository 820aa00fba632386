/* SPDX-License-Identifier: MIT */
/*
 * Condition: a filter expression of libpcap matches, as `tcpdump` has it; compiled in Domain0 to classic BPF, checked and run here. It sees the first 256 bytes of the frame.
 * Contract: <hv/vfr-ops.h>, <vfr/bpf.h>. Tests: test-kinds.c.
 */
#include <hv/vfr-ops.h>
#include <vfr/bpf.h>

static const char *match_check(const struct vfr_use *use)
{
    if (use->values[0] * sizeof(struct vfr_bpf_insn) != use->data_bytes)
        return "the filter's length contradicts its data";
    return vfr_bpf_check(use->data, (uint32_t)use->values[0], NULL);
}

static bool match_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    return vfr_bpf_run(use->data, packet->header, packet->header_bytes, packet->bytes) != 0;
}

static const struct vfr_parameter match_params[] = {
    { "filter", VFR_PARAM_PROGRAM, 1, VFR_BPF_MAX, 1, "filter expression of libpcap (man pcap-filter)" },
};

const struct vfr_rule_ops vfr_match = {
    .name = "match",
    .summary = "a filter expression of libpcap matches",
    .params = match_params,
    .param_count = 1,
    .check = match_check,
    .match = match_match,
};
