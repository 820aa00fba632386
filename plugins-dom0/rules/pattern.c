// SPDX-License-Identifier: MIT
/*
 * Patterns: filter expressions as of tcpdump, compiled by libpcap for Ethernet frames. The program is checked once more by the hypervisor.
 * Contract: ast.h. Tests: test-rules.c.
 */
#include "ast.h"

#include <vfr/bpf.h>

#include <pcap/pcap.h>
#include <setjmp.h>
#include <string.h>

#define SNAP_BYTES 262144

bool rules_pattern(struct rules_run *run, const struct rules_pos *pos, const char *text, const void **program, uint32_t *instructions)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAP_BYTES);
    struct bpf_program compiled;
    bool good;

    if (pcap == NULL)
        longjmp(*(jmp_buf *)run->out_of_memory, 1);
    good = pcap_compile(pcap, &compiled, text, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (!good) {
        rules_error(run, pos, "pcap-filter(7) has the words", "pattern '%.100s': %.120s", text, pcap_geterr(pcap));
    } else {
        size_t bytes = compiled.bf_len * sizeof(struct vfr_bpf_insn);
        void *copy = rules_alloc(&run->arena, bytes);

        memcpy(copy, compiled.bf_insns, bytes);
        *program = copy;
        *instructions = compiled.bf_len;
        pcap_freecode(&compiled);
    }
    pcap_close(pcap);
    return good;
}
