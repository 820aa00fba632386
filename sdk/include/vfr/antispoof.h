/* SPDX-License-Identifier: MIT */
/*
 * Does a frame claim to come from somebody else? Asked by the core for every frame that a VIF sends (unless VFR_IFACE_SPOOF_OK), before any rule, and by the rule kind `antispoof`. sdk/vfr/antispoof.c.
 *
 * Held against the interface's MAC: the Ethernet source, ARP's sender, the link-layer options of neighbour discovery. Held against its addresses, if any are listed: IPv4 and IPv6 source, ARP's sender, what
 * neighbour discovery announces; nothing but ARP, IPv4 and IPv6 may be sent then, and no router advertisements or redirects. Always allowed: ARP probes, DHCP's 0.0.0.0, the unspecified address of duplicate address
 * detection, the link-local address made from the MAC (RFC 4291, appendix A).
 */
#pragma once

#include <hv/vfr-ops.h>

/* The packet has been parsed. NULL: it is fine; else what is not, for people: one of a few constant strings. Context: any. */
const char *vfr_spoof_reason(const struct vfr_packet *packet);
