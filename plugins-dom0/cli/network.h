/* SPDX-License-Identifier: MIT */
/*
 * Network cards and virtual interfaces as the commands see them: found by name or number, their addresses and counters as text and as JSON.
 * Tests: test-net.c.
 */
#pragma once

#include "cli.h"
#include "format.h"

#define NET_ADDRESS_BYTES 64u
#define NET_LIST_BYTES    640u

/* Find a VIF by name ("web.0") or id; 0 or an exit code, with the failure said and the nearest name suggested. */
int cli_vif(struct cli *cli, const char *word, struct collet_vif_info *info);

/* All return `to`. */
char *net_mac_text(char to[NET_ADDRESS_BYTES], const uint8_t mac[6]);
/* "10.0.2.16", "fec0::/64"; of an address with all its bits the length is left out. family 4 or 6. */
char *net_address_text(char to[NET_ADDRESS_BYTES], const uint8_t *bytes, unsigned int family, unsigned int bits);
char *net_addresses_text(char to[NET_LIST_BYTES], const struct collet_vif_settings *settings); /* "any" without one */
char *net_segment_text(char to[FORMAT_BYTES], uint32_t segment);                               /* "nic0", "own3" */
char *net_rate_text(char to[NET_ADDRESS_BYTES], const struct collet_vif_settings *settings);   /* "10.0 MiB/s, 500 packets/s", "-" */
const char *vif_state_name(const struct collet_vif_info *vif);                                 /* "connected", "waiting", "broken", "down" */
const char *net_drop_name(unsigned int reason);                                                /* COLLET_NET_DROP_*: "rule" ... */
uint64_t net_dropped(const struct collet_net_counters *counters);                              /* for all reasons together */
char *net_drops_text(char to[NET_LIST_BYTES], const struct collet_net_counters *counters);     /* "rule 3, spoof 1"; "none" */

/* "10.0.0.0/8,fec0::1" or "any" into the settings; 0 or a usage failure that says what is wrong. */
int net_parse_addresses(struct cli *cli, const char *what, const char *text, struct collet_vif_settings *settings);
/* "10M", "512K", "1000", "none" (0): bytes, by powers of 1024. 0 or a usage failure. */
int net_parse_bytes(struct cli *cli, const char *what, const char *text, uint64_t *bytes);

json_t *net_counters_json(const struct collet_net_counters *counters);
json_t *vif_json(const struct collet_vif_info *vif);
json_t *nic_json(const struct collet_nic_info *nic);
