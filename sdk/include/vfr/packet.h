/* SPDX-License-Identifier: MIT */
/*
 * Headers of packets: reading them, checking them, and the answers that reject sends. Compiles into the hypervisor, the unit tests, `collet rules test`. Nothing here trusts a byte of a packet, reads beyond
 * header_bytes, or loops more than a bounded number of times. sdk/vfr/packet.c, sdk/vfr/reject.c.
 */
#pragma once

#include <hv/vfr-ops.h>

/* Fill the parsed fields from header, header_bytes, bytes. Cannot fail: what cannot be read is 0 and a fault. */
void vfr_parse(struct vfr_packet *packet);

/*
 * Rules cannot say what such a packet is, though its receiver might: its transport header is further in than we read, in the next fragment, or under more VLAN tags than we follow. While rules are in force it is dropped as
 * malformed before they are asked (RFC 1858 section 3, RFC 7112 section 5, RFC 8200 section 5 let a filter do so).
 */
static inline bool vfr_unreadable(const struct vfr_packet *packet)
{
    if (packet->family == 0)
        return packet->faults & VFR_FAULT_OPTIONS;
    return packet->l4 == 0 && !packet->fragment && (packet->faults & (VFR_FAULT_SHORT | VFR_FAULT_OPTIONS | VFR_FAULT_FRAGMENT));
}

/* Checksums of RFC 1071: the sum of some bytes on top of another sum; and its end, to be stored. */
uint32_t vfr_sum(const void *bytes, uint32_t count, uint32_t sum);
uint16_t vfr_sum_end(uint32_t sum);
/* Of the pseudo header of a TCP or UDP packet that was parsed, `l4_bytes` long. */
uint32_t vfr_sum_pseudo(const struct vfr_packet *packet, uint32_t l4_bytes);

#define VFR_REJECT_BYTES 1294u /* of an answer, at most: an ICMPv6 error may quote so much; we quote at most what was seen of the header */
/* The frame that tells the sender so: a TCP reset, or ICMP unreachable (RFC 792, 1122, 4443, 9293 section 3.5.2). Its length; 0: there must be none (to a broadcast, an error, a fragment, a reset). `to` has room for VFR_REJECT_BYTES. */
uint32_t vfr_reject_make(const struct vfr_packet *packet, enum vfr_reject kind, uint8_t *to);
