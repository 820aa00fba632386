// SPDX-License-Identifier: MIT
/*
 * Filters that may be anything: what is accepted reads nothing outside of the packet, ends, and says what libpcap's own machine says. First byte: how much of the rest is the program, in instructions; then the program,
 * then the packet.
 */
// needs: sdk/vfr/bpf.c
// libs: -lpcap
#include <vfr/bpf.h>

#include <sys/types.h>
#include <pcap/bpf.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vfr_bpf_insn *program;
    struct bpf_insn theirs[256 + VFR_BPF_MEMORY];
    uint32_t count, seen, result;
    uint8_t *packet;

    if (size < 1 || size - 1 < data[0] * sizeof(*program))
        return 0;
    count = data[0];
    seen = (uint32_t)(size - 1 - count * sizeof(*program));
    program = malloc(count * sizeof(*program));
    packet = malloc(seen);
    memcpy(program, data + 1, count * sizeof(*program));
    memcpy(packet, data + 1 + count * sizeof(*program), seen);
    if (vfr_bpf_check(program, count, NULL) == NULL) {
        result = vfr_bpf_run(program, packet, seen, seen + 100);
        /* Theirs does not clear its memory: it is written first. */
        for (uint32_t i = 0; i < VFR_BPF_MEMORY; i++)
            theirs[i] = (struct bpf_insn){BPF_ST, 0, 0, i};
        memcpy(theirs + VFR_BPF_MEMORY, program, count * sizeof(*program));
        if (result != bpf_filter(theirs, packet, seen + 100, seen))
            abort();
    }
    free(program);
    free(packet);
    return 0;
}
