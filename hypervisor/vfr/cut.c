// SPDX-License-Identifier: MIT
/*
 * What hardware often does: segmentation of TCP frames (as RFC 9293 3.7 and the sequence arithmetic of RFC 9293 3.4 have it) and checksums (RFC 1071), for cards and guests that cannot. Contract: vif-internal.h.
 */
#include "vif-internal.h"

#include "alloc.h"
#include "lib/string.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u
#define TCP_SUM 16u /* offset of the checksum in the header */

static void put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *from)
{
    return (uint32_t)from[0] << 8 | from[1];
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value);
}

static uint32_t get32(const uint8_t *from)
{
    return get16(from) << 16 | get16(from + 2);
}

/* ---- Sums: over memory in this machine's order, folded and swapped at the end ---- */

static uint64_t sum_add(uint64_t sum, uint64_t word)
{
    return __builtin_add_overflow(sum, word, &sum) ? sum + 1 : sum;
}

static uint64_t sum_bytes(const uint8_t *at, uint32_t bytes, uint64_t sum)
{
    uint64_t word;

    for (; bytes >= 32; at += 32, bytes -= 32) {
        uint64_t words[4];

        memcpy(words, at, 32);
        sum = sum_add(sum, words[0]);
        sum = sum_add(sum, words[1]);
        sum = sum_add(sum, words[2]);
        sum = sum_add(sum, words[3]);
    }
    for (; bytes >= 8; at += 8, bytes -= 8) {
        memcpy(&word, at, 8);
        sum = sum_add(sum, word);
    }
    if (bytes != 0) {
        word = 0;
        for (uint32_t i = 0; i < bytes; i++)
            word |= (uint64_t)at[i] << (i * 8);
        sum = sum_add(sum, word);
    }
    return sum;
}

/* To 16 bits, in this machine's order. */
static uint32_t sum_fold(uint64_t sum)
{
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint32_t)((sum >> 16) + (sum & 0xffff)) & 0xffff;
}

static uint32_t swap16(uint32_t value)
{
    return (value >> 8 & 0xff) | (value & 0xff) << 8;
}

/* Of all segments from `skip` bytes on, in this machine's order. A segment that begins at an odd place counts swapped. */
static uint32_t sum_segments(const struct net_segment *segments, uint32_t count, uint32_t skip)
{
    uint64_t total = 0;
    uint32_t place = 0;

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = maddr_to_virt(segments[i].maddr);
        uint32_t bytes = segments[i].bytes, part;

        if (skip >= bytes) {
            skip -= bytes;
            continue;
        }
        part = sum_fold(sum_bytes(at + skip, bytes - skip, 0));
        total += place & 1 ? swap16(part) : part;
        place += bytes - skip;
        skip = 0;
    }
    return sum_fold(total);
}

static void sum_store(uint8_t *to, uint32_t sum, bool udp)
{
    uint16_t value = (uint16_t)~sum;

    if (udp && value == 0)
        value = 0xffff; /* RFC 768: 0 says that there is none */
    memcpy(to, &value, 2);
}

void sum_complete(const struct net_packet *packet, uint8_t *header)
{
    uint32_t start = packet->offload.sum_start;

    sum_store(header + start + packet->offload.sum_offset, sum_segments(packet->segments, packet->segment_count, start), packet->view.protocol == 17);
}

/* ---- Cutting ---- */

uint32_t cut_header_bytes(const struct vfr_packet *view)
{
    if (view->protocol != 6 || view->l4 == 0 || view->payload < view->l4 + 20u || view->fragment || view->more_fragments)
        return 0;
    return view->payload;
}

/* Segments for `bytes` of payload from `at` on; the frame's header is skipped. */
static uint32_t payload_segments(const struct net_packet *packet, uint32_t at, uint32_t bytes, struct net_segment *to)
{
    uint32_t skip = packet->view.payload + at, count = 0;

    for (uint32_t i = 0; i < packet->segment_count && bytes > 0; i++) {
        const struct net_segment *from = &packet->segments[i];
        uint32_t part;

        if (skip >= from->bytes) {
            skip -= from->bytes;
            continue;
        }
        part = min(from->bytes - skip, bytes);
        to[count++] = (struct net_segment){.maddr = from->maddr + skip, .bytes = part};
        bytes -= part;
        skip = 0;
    }
    return count;
}

static uint32_t pseudo_sum(const struct vfr_packet *view, uint32_t l4_bytes)
{
    uint32_t address_bytes = view->family == 4 ? 4 : 16;
    uint64_t sum = sum_bytes(view->source, address_bytes, sum_bytes(view->target, address_bytes, 0));

    return sum_fold(sum_add(sum, swap16(view->protocol) + swap16(l4_bytes & 0xffff)));
}

static void lengths_set(const struct vfr_packet *view, uint8_t *header, uint32_t bytes, uint32_t number)
{
    uint8_t *l3 = header + view->l3;

    if (view->family == 4) {
        uint32_t header_bytes = (l3[0] & 15u) * 4;

        put16(l3 + 2, bytes - view->l3);
        put16(l3 + 4, get16(l3 + 4) + number);
        put16(l3 + 10, 0);
        sum_store(l3 + 10, sum_fold(sum_bytes(l3, header_bytes, 0)), false);
    } else {
        put16(l3 + 4, bytes - view->l3 - 40);
    }
}

uint32_t cut_next(const struct net_packet *packet, struct net_cut *cut, bool sum, uint8_t *header, struct net_segment *segments, uint32_t *segment_count)
{
    const struct vfr_packet *view = &packet->view;
    uint32_t header_bytes = view->payload, left = packet->view.bytes - header_bytes - cut->at;
    uint32_t payload = min(left, (uint32_t)packet->offload.segment_bytes), bytes = header_bytes + payload, count;
    uint8_t *tcp = header + view->l4;
    uint32_t partial;

    if (left == 0)
        return 0;
    memcpy(header, view->header, header_bytes);
    lengths_set(view, header, bytes, cut->number);
    put32(tcp + 4, get32(tcp + 4) + cut->at);
    if (left > payload)
        tcp[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
    if (cut->number != 0)
        tcp[13] &= (uint8_t)~TCP_CWR;
    segments[0] = (struct net_segment){.maddr = virt_to_maddr(header), .bytes = header_bytes};
    count = 1 + payload_segments(packet, cut->at, payload, segments + 1);
    partial = pseudo_sum(view, bytes - view->l4);
    if (sum) {
        put16(tcp + TCP_SUM, 0);
        partial = sum_fold((uint64_t)partial + sum_segments(segments, count, view->l4));
        sum_store(tcp + TCP_SUM, partial, false);
    } else {
        uint16_t value = (uint16_t)partial;

        memcpy(tcp + TCP_SUM, &value, 2);
    }
    cut->at += payload;
    cut->number++;
    *segment_count = count;
    return bytes;
}
