// SPDX-License-Identifier: MIT
/*
 * The sections [vif NAME] of a domain's definition: what each key means. The same keys are fields of the request vif-add.
 * Contract: definition.h.  Tests: test-definition.c.
 */
#include "addresses.h"
#include "definition.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX 1000u

/* 0, or -EINVAL and what was expected. */
typedef int take_fn(struct definition_vif *vif, const char *value, char *expected, size_t bytes);

static int expect(char *expected, size_t bytes, const char *text)
{
    snprintf(expected, bytes, "%s", text);
    return -EINVAL;
}

static int take_mac(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    vif->mac_given = true;
    return mac_parse(value, vif->mac, expected, bytes);
}

static int take_ip(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    return addresses_parse(value, vif->settings.address, &vif->settings.addresses, expected, bytes);
}

static int take_network(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    if (definition_vif_name_wrong(value) != NULL)
        return expect(expected, bytes, "a card like nic0 was expected, or any name, for a network without a wire");
    snprintf(vif->network, sizeof(vif->network), "%.31s", value);
    return 0;
}

static int take_flag(struct definition_vif *vif, const char *value, uint32_t flag, bool when, char *expected, size_t bytes)
{
    bool yes;

    if (text_bool(value, &yes) != 0)
        return expect(expected, bytes, "yes or no was expected");
    vif->settings.flags = yes == when ? vif->settings.flags | flag : vif->settings.flags & ~flag;
    return 0;
}

static int take_antispoof(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    return take_flag(vif, value, COLLET_VIF_SPOOF_OK, false, expected, bytes);
}

static int take_all(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    return take_flag(vif, value, COLLET_VIF_ALL, true, expected, bytes);
}

static int take_rate(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    return text_size_bytes(value, &vif->settings.bytes_per_s) == 0 ? 0 : expect(expected, bytes, "bytes a second were expected, like 10M (a plain number is bytes); 0 is no limit");
}

static int take_pps(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    return text_number(value, &vif->settings.packets_per_s) == 0 ? 0 : expect(expected, bytes, "a number of packets a second was expected, like 5000; 0 is no limit");
}

static int take_weight(struct definition_vif *vif, const char *value, char *expected, size_t bytes)
{
    uint64_t number;

    if (text_number(value, &number) != 0 || number < 1 || number > WEIGHT_MAX)
        return expect(expected, bytes, "a number from 1 to 1000 was expected; 100 is what others have");
    vif->settings.weight = (uint32_t)number;
    return 0;
}

static const struct {
    const char *name;
    take_fn *take;
} keys[] = {{"mac", take_mac}, {"ip", take_ip}, {"network", take_network}, {"antispoof", take_antispoof}, {"rate", take_rate}, {"pps", take_pps}, {"weight", take_weight}, {"all", take_all}};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

int definition_vif_take(struct definition_vif *vif, const char *key, const char *value, char *expected, size_t expected_bytes)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        if (strcmp(keys[i].name, key) == 0)
            return keys[i].take(vif, value, expected, expected_bytes);
    return -ENOENT;
}

const char *definition_vif_name_wrong(const char *name)
{
    size_t length = strlen(name), i;

    if (length == 0 || length >= COLLET_NAME_MAX)
        return "a number or a name of 1 to 31 characters was expected";
    for (i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("_-+", name[i]) == NULL)
            return "only letters, digits, '_', '-' and '+' can be in the name of an interface or a network";
    return name[0] == '-' ? "a name must begin with a letter, a digit, '_' or '+'" : NULL;
}

/* ---- Sections ---- */

void definition_vif_begin(struct definition_reading *r, const char *name, unsigned int line)
{
    struct definition *d = r->d;
    const char *bad;
    uint32_t i;

    while (isspace((unsigned char)*name))
        name++;
    bad = *name == '\0' ? "the interface's name is missing, as in [vif 0]" : definition_vif_name_wrong(name);
    if (bad == NULL && d->vif_count == COLLET_VIFS_MAX)
        bad = "a domain may have 8 network interfaces";
    r->sections_unknown = bad != NULL;
    if (bad != NULL) {
        text_mistake(r->mistakes, r->file, line, "[vif %.40s]: %s", name, bad);
        return;
    }
    for (i = 0; i < d->vif_count; i++)
        if (strcmp(d->vifs[i].name, name) == 0) {
            text_mistake(r->mistakes, r->file, line, "[vif %s]: given twice, first in line %u", name, d->vifs[i].line);
            r->sections_unknown = true;
            return;
        }
    d->vifs[d->vif_count] = (struct definition_vif){.line = line};
    strcpy(d->vifs[d->vif_count++].name, name);
}

static void unknown(struct definition_reading *r, const char *key, unsigned int line)
{
    const char *names[KEYS + 1] = {NULL}, *near;
    size_t i;

    for (i = 0; i < KEYS; i++)
        names[i] = keys[i].name;
    near = text_nearest(key, names);
    if (near != NULL)
        text_mistake(r->mistakes, r->file, line, "%s: there is no such key in a section [vif NAME]; is %s meant?", key, near);
    else
        text_mistake(r->mistakes, r->file, line, "%s: there is no such key in a section [vif NAME]; there are mac, ip, network, antispoof, rate, pps, weight and all", key);
}

void definition_vif_entry(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    struct definition_vif *vif = &r->d->vifs[r->d->vif_count - 1];
    char expected[300];
    int rc = definition_vif_take(vif, key, value, expected, sizeof(expected));

    if (strcmp(key, "network") == 0)
        vif->network_line = line;
    if (rc == -ENOENT)
        unknown(r, key, line);
    else if (rc != 0)
        text_mistake(r->mistakes, r->file, line, "%s = %.80s: %s", key, value, expected);
}

/* What cannot be seen line by line: two of one address. */
void definition_vifs_check(struct definition_reading *r)
{
    struct definition *d = r->d;
    uint32_t i, j;

    for (i = 0; i < d->vif_count; i++)
        for (j = 0; j < i; j++)
            if (d->vifs[i].mac_given && d->vifs[j].mac_given && memcmp(d->vifs[i].mac, d->vifs[j].mac, 6) == 0)
                text_mistake(r->mistakes, r->file, d->vifs[i].line, "[vif %s]: [vif %s] has this mac already (line %u)", d->vifs[i].name, d->vifs[j].name, d->vifs[j].line);
}
