// SPDX-License-Identifier: MIT
/*
 * Packets that may be anything, to anti-spoofing, to what answers rejected ones, and to connection tracking: nothing is read outside of what was copied; an answer fits, is well formed and is itself never answered; tracking
 * loses no place. One run is a row of packets, each with two bytes of length and one of what happens: bits 0-1 kind of rejection, 2 which way, 3 refused, 4-7 time.
 */
// needs: sdk/vfr/packet.c sdk/vfr/reject.c sdk/vfr/antispoof.c sdk/vfr/flows.c sdk/vfr/flows-key.c sdk/vfr/flows-state.c
#include <vfr/antispoof.h>
#include <vfr/flows.h>
#include <vfr/packet.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct vfr_iface ifaces[2] = {
    {.id = 1, .domid = 1, .mac = {0, 0x16, 0x3e, 1, 2, 3}, .address_count = 1, .addresses = {{{10, 0, 2, 16}, 4, 32, {0}}}},
    {.id = 2, .domid = 2, .mac = {0, 0x16, 0x3e, 1, 2, 3}},
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void *get(size_t bytes)
{
    return calloc(1, bytes);
}

static void answer(const struct vfr_packet *packet, enum vfr_reject kind)
{
    uint8_t *to = malloc(VFR_REJECT_BYTES), again[VFR_REJECT_BYTES];
    uint32_t bytes = vfr_reject_make(packet, kind, to);

    check(bytes <= VFR_REJECT_BYTES);
    if (bytes != 0) {
        struct vfr_packet p = {.header = to, .header_bytes = bytes, .bytes = bytes, .from = packet->from};

        vfr_parse(&p);
        check((p.faults & ~VFR_FAULT_ADDRESS) == 0 && p.l4 != 0);
        check(vfr_reject_make(&p, VFR_REJECT_AUTO, again) == 0);
    }
    free(to);
}

static void one_packet(struct vfr_flows *flows, const uint8_t *data, uint32_t bytes, uint8_t what, uint64_t now_ns)
{
    uint8_t *copy = malloc(bytes);
    struct vfr_packet p = {.header = copy, .header_bytes = bytes, .bytes = bytes, .from = &ifaces[what >> 2 & 1], .to = &ifaces[~what >> 2 & 1]};

    memcpy(copy, data, bytes);
    vfr_parse(&p);
    vfr_spoof_reason(&p);
    answer(&p, what & 3);
    vfr_flows_find(flows, &p, 0, now_ns);
    if ((what & 8) != 0)
        vfr_flows_refuse(flows, &p);
    else
        vfr_flows_keep(flows, &p, 0, now_ns);
    check(p.flow == NULL);
    free(copy);
}

static void check_empties(struct vfr_flows *flows)
{
    struct vfr_flows_stats stats;

    for (uint32_t domid = 1; domid <= 2; domid++) {
        uint64_t cursor = 0;

        while (!vfr_flows_forget(flows, domid, &cursor))
            ;
    }
    vfr_flows_stats(flows, &stats);
    check(stats.flows == 0 && stats.begun == stats.ended);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct vfr_memory memory = {.alloc = get, .free = free, .cpus = 1};
    struct vfr_flows *flows;
    uint64_t now_ns = 1000000000;

    check(vfr_flows_create(&flows, 8, &memory) == 0);
    while (size >= 3) {
        uint32_t bytes = data[0] % (VFR_HEADER_MAX + 1);
        uint8_t what = data[2];

        data += 3;
        size -= 3;
        if (bytes > size)
            bytes = (uint32_t)size;
        now_ns += 1ull << ((what >> 4) * 2 + 10);
        one_packet(flows, data, bytes, what, now_ns);
        data += bytes;
        size -= bytes;
    }
    check_empties(flows);
    vfr_flows_destroy(flows);
    return 0;
}
