// SPDX-License-Identifier: MIT
/*
 * Packets that may be anything, to what reads their headers: nothing is read outside of what was copied (the copy is exactly as long as it says), and what is told holds together.
 * First two bytes: how much longer the frame is than what was copied; the next: bit 0: segmentation was left to us.
 */
// needs: sdk/vfr/packet.c
#include <vfr/packet.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vfr_iface iface;
    struct vfr_packet p;
    uint8_t *copy;
    uint32_t bytes;

    if (size < 3)
        return 0;
    bytes = size - 3 < VFR_HEADER_MAX ? (uint32_t)size - 3 : VFR_HEADER_MAX;
    copy = malloc(bytes);
    memcpy(copy, data + 3, bytes);
    memset(&p, 0xa5, sizeof(p));
    p.header = copy;
    p.header_bytes = bytes;
    p.bytes = bytes + (bytes == VFR_HEADER_MAX ? (uint32_t)data[0] << 8 | data[1] : 0);
    p.from = &iface;
    p.to = NULL;
    p.segment_bytes = (data[2] & 1) != 0 ? 1400 : 0;
    vfr_parse(&p);
    check(p.family == 0 || p.family == 4 || p.family == 6);
    check(p.family == 0 || p.l3 + (p.family == 4 ? 20u : 40u) <= bytes);
    check(p.l4 == 0 || (p.l4 <= p.bytes && p.l4 >= p.l3 + 20 && !p.fragment && p.l4 <= bytes));
    check(p.l4 != 0 || (p.source_port == 0 && p.target_port == 0 && p.tcp_flags == 0 && p.icmp_type == 0));
    check(p.payload == 0 || p.payload >= p.l4);
    check(p.family != 0 || p.l4 == 0);
    if (p.family != 0)
        vfr_sum_end(vfr_sum_pseudo(&p, bytes));
    vfr_sum_end(vfr_sum(copy, bytes, data[0]));
    free(copy);
    return 0;
}
