// SPDX-License-Identifier: MIT
/*
 * Reading and writing MAC and IP addresses.
 * Contract: addresses.h.  Tests: test-vifs.c.
 */
#include "addresses.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- MAC ---- */

static int mac_wrong(const char *what, char *expected, size_t bytes)
{
    snprintf(expected, bytes, "%s", what);
    return -EINVAL;
}

int mac_parse(const char *text, uint8_t mac[6], char *expected, size_t expected_bytes)
{
    static const uint8_t zeros[6];
    unsigned int i;

    for (i = 0; i < 6; i++, text += 3) {
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) || text[2] != (i < 5 ? ':' : '\0'))
            return mac_wrong("six bytes like 00:16:3e:01:02:03 were expected", expected, expected_bytes);
        mac[i] = (uint8_t)strtoul((char[]){text[0], text[1], '\0'}, NULL, 16);
    }
    if (mac[0] & 1)
        return mac_wrong("that is an address of a group; the first byte of an interface's own is even", expected, expected_bytes);
    return memcmp(mac, zeros, 6) != 0 ? 0 : mac_wrong("an address that is not all zeros was expected", expected, expected_bytes);
}

void mac_text(const uint8_t mac[6], char text[MAC_TEXT_BYTES])
{
    snprintf(text, MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* FNV-1a, folded to the 24 bits that are free. */
void mac_derive(const char *name, unsigned int attempt, uint8_t mac[6])
{
    uint32_t hash = 2166136261u ^ attempt;

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    hash ^= hash >> 24;
    memcpy(mac, (uint8_t[]){0x00, 0x16, 0x3e, (uint8_t)(hash >> 16), (uint8_t)(hash >> 8), (uint8_t)hash}, 6);
}

/* ---- IP ---- */

static bool bits_beyond(const struct collet_address *a)
{
    unsigned int all = a->family == 4 ? 32 : 128, i;

    for (i = a->bits; i < all; i++)
        if (a->bytes[i / 8] & (0x80u >> i % 8))
            return true;
    return false;
}

static int one_parse(char *word, struct collet_address *a, char *expected, size_t bytes)
{
    char *slash = strchr(word, '/'), *end;
    unsigned long bits;

    *a = (struct collet_address){0};
    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, word, a->bytes) == 1)
        a->family = 4;
    else if (inet_pton(AF_INET6, word, a->bytes) == 1)
        a->family = 6;
    else {
        snprintf(expected, bytes, "%.60s: an address like 10.0.2.16 or fec0::16 was expected, or a prefix like 10.1.0.0/24", word);
        return -EINVAL;
    }
    a->bits = a->family == 4 ? 32 : 128;
    if (slash == NULL)
        return 0;
    bits = strtoul(slash + 1, &end, 10);
    if (!isdigit((unsigned char)slash[1]) || *end != '\0' || bits > a->bits) {
        snprintf(expected, bytes, "%.60s/%.10s: a prefix has 0 to %u bits", word, slash + 1, a->bits);
        return -EINVAL;
    }
    a->bits = (uint8_t)bits;
    if (!bits_beyond(a))
        return 0;
    snprintf(expected, bytes, "%.60s/%lu: an address that may be used is written without /%lu; with it, a whole network is meant, and then the bits behind are 0", word, bits, bits);
    return -EINVAL;
}

int addresses_parse(const char *text, struct collet_address *addresses, uint32_t *count, char *expected, size_t expected_bytes)
{
    char *copy = strdup(text), *rest = copy, *word;
    int rc = copy != NULL ? 0 : -ENOMEM;

    *count = 0;
    snprintf(expected, expected_bytes, "no memory");
    while (rc == 0 && (word = strsep(&rest, ", \t")) != NULL) {
        if (*word == '\0')
            continue;
        if (*count == COLLET_VIF_ADDRESSES) {
            snprintf(expected, expected_bytes, "at most %u addresses or prefixes can be given", COLLET_VIF_ADDRESSES);
            rc = -EINVAL;
        } else {
            rc = one_parse(word, &addresses[*count], expected, expected_bytes);
            *count += rc == 0;
        }
    }
    if (rc == 0 && *count == 0) {
        snprintf(expected, expected_bytes, "addresses like 10.0.2.16, fec0::16 were expected; without this line any may be used");
        rc = -EINVAL;
    }
    free(copy);
    return rc;
}

void address_text(const struct collet_address *address, char text[ADDRESS_TEXT_BYTES])
{
    bool four = address->family == 4;

    if (inet_ntop(four ? AF_INET : AF_INET6, address->bytes, text, ADDRESS_TEXT_BYTES) == NULL)
        strcpy(text, "?");
    if (address->bits < (four ? 32 : 128))
        snprintf(text + strlen(text), ADDRESS_TEXT_BYTES - strlen(text), "/%u", address->bits);
}
