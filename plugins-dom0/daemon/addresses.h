/* SPDX-License-Identifier: MIT */
/*
 * Addresses of network interfaces as people write them: in definitions, requests, and what is told of them.
 * Tests: test-vifs.c.
 */
#pragma once

#include <collet/control.h>

#include <stddef.h>

#define MAC_TEXT_BYTES 18
#define ADDRESS_TEXT_BYTES 50

/* "00:16:3e:01:02:03". 0; or -EINVAL and what was expected. */
int mac_parse(const char *text, uint8_t mac[6], char *expected, size_t expected_bytes);
void mac_text(const uint8_t mac[6], char text[MAC_TEXT_BYTES]);
/* One that belongs to "web.0" on every machine, in the range 00:16:3e that is for guests; another one for each `attempt`. */
void mac_derive(const char *name, unsigned int attempt, uint8_t mac[6]);

/* "10.0.2.16, fec0::16, 10.1.0.0/24": separated by commas or blanks. */
int addresses_parse(const char *text, struct collet_address *addresses, uint32_t *count, char *expected, size_t expected_bytes);
void address_text(const struct collet_address *address, char text[ADDRESS_TEXT_BYTES]);
