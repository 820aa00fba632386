/* SPDX-License-Identifier: MIT */
/*
 * Network cards and virtual interfaces for the commands: names, addresses, counters.
 * Contract: network.h. Tests: test-net.c.
 */
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const drop_names[COLLET_NET_DROPS] = {
    [COLLET_NET_DROP_RULE] = "rule",         [COLLET_NET_DROP_SPOOF] = "spoofed",   [COLLET_NET_DROP_NO_BUFFER] = "no-buffer", [COLLET_NET_DROP_NOT_CONNECTED] = "not-connected",
    [COLLET_NET_DROP_MALFORMED] = "malformed", [COLLET_NET_DROP_GRANT] = "bad-grant", [COLLET_NET_DROP_TOO_LONG] = "too-long",   [COLLET_NET_DROP_NO_ROUTE] = "no-route",
    [COLLET_NET_DROP_LIMIT] = "limit",       [COLLET_NET_DROP_DEVICE] = "device",   [COLLET_NET_DROP_MEMORY] = "memory",
};

/* ---- Finding ---- */

static int no_such_vif(struct cli *cli, const char *word)
{
    struct collet_vif_info *vifs = NULL;
    int count = collet_vif_list(cli->collet, COLLET_VIFS_ALL, &vifs), exit;
    const char **names = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof(*names)), *near;

    for (int i = 0; names != NULL && i < count; i++)
        names[i] = vifs[i].name;
    near = names != NULL && count > 0 ? cli_nearest(word, names, (size_t)count) : NULL;
    exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no VIF '%s'; %s%s%s", word, near != NULL ? "did you mean " : "`collet vif list` shows them", near != NULL ? near : "", near != NULL ? "?" : "");
    free(names);
    free(vifs);
    return exit;
}

int cli_vif(struct cli *cli, const char *word, struct collet_vif_info *info)
{
    int exit = cli_open(cli), rc;

    if (exit != 0)
        return exit;
    rc = collet_vif_find(cli->collet, word, info);
    if (rc == -ENOENT)
        return no_such_vif(cli, word);
    return rc < 0 ? cli_fail_collet(cli, rc, "VIF %s", word) : 0;
}

/* ---- Text ---- */

char *net_mac_text(char to[NET_ADDRESS_BYTES], const uint8_t mac[6])
{
    snprintf(to, NET_ADDRESS_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    return to;
}

char *net_address_text(char to[NET_ADDRESS_BYTES], const uint8_t *bytes, unsigned int family, unsigned int bits)
{
    size_t length;

    if (inet_ntop(family == 6 ? AF_INET6 : AF_INET, bytes, to, NET_ADDRESS_BYTES) == NULL)
        strcpy(to, "?");
    length = strlen(to);
    if (bits < (family == 6 ? 128u : 32u))
        snprintf(to + length, NET_ADDRESS_BYTES - length, "/%u", bits);
    return to;
}

char *net_addresses_text(char to[NET_LIST_BYTES], const struct collet_vif_settings *settings)
{
    char one[NET_ADDRESS_BYTES];
    size_t at = 0;

    strcpy(to, "any");
    for (uint32_t i = 0; i < settings->addresses && i < COLLET_VIF_ADDRESSES; i++)
        at += (size_t)snprintf(to + at, NET_LIST_BYTES - at, "%s%s", i > 0 ? ", " : "", net_address_text(one, settings->address[i].bytes, settings->address[i].family, settings->address[i].bits));
    return to;
}

char *net_segment_text(char to[FORMAT_BYTES], uint32_t segment)
{
    if (segment < COLLET_SEGMENT_OWN)
        snprintf(to, FORMAT_BYTES, "nic%" PRIu32, segment);
    else
        snprintf(to, FORMAT_BYTES, "own%" PRIu32, segment - COLLET_SEGMENT_OWN);
    return to;
}

char *net_rate_text(char to[NET_ADDRESS_BYTES], const struct collet_vif_settings *settings)
{
    char size[FORMAT_BYTES];
    size_t at = 0;

    strcpy(to, "-");
    if (settings->bytes_per_s != 0)
        at = (size_t)snprintf(to, NET_ADDRESS_BYTES, "%s/s", format_size(size, settings->bytes_per_s));
    if (settings->packets_per_s != 0)
        snprintf(to + at, NET_ADDRESS_BYTES - at, "%s%" PRIu64 " packets/s", at > 0 ? ", " : "", settings->packets_per_s);
    return to;
}

const char *vif_state_name(const struct collet_vif_info *vif)
{
    if ((vif->flags & COLLET_VIF_BROKEN) != 0)
        return "broken";
    if ((vif->flags & COLLET_VIF_CONNECTED) == 0)
        return "waiting";
    return (vif->settings.flags & COLLET_VIF_DOWN) != 0 ? "down" : "connected";
}

const char *net_drop_name(unsigned int reason)
{
    return reason < COLLET_NET_DROPS && drop_names[reason] != NULL ? drop_names[reason] : "other";
}

uint64_t net_dropped(const struct collet_net_counters *counters)
{
    uint64_t sum = 0;

    for (unsigned int i = 0; i < COLLET_NET_DROPS; i++)
        sum += counters->dropped[i];
    return sum;
}

char *net_drops_text(char to[NET_LIST_BYTES], const struct collet_net_counters *counters)
{
    size_t at = 0;

    strcpy(to, "none");
    for (unsigned int i = 0; i < COLLET_NET_DROPS; i++)
        if (counters->dropped[i] != 0)
            at += (size_t)snprintf(to + at, NET_LIST_BYTES - at, "%s%s %" PRIu64, at > 0 ? ", " : "", net_drop_name(i), counters->dropped[i]);
    return to;
}

/* ---- Parsing ---- */

/* "ADDRESS" or "ADDRESS/BITS". */
static bool parse_address(const char *text, struct collet_address *to)
{
    char copy[NET_ADDRESS_BYTES], *slash;
    uint64_t bits;

    if (strlen(text) >= sizeof(copy))
        return false;
    strcpy(copy, text);
    slash = strchr(copy, '/');
    if (slash != NULL)
        *slash++ = 0;
    memset(to, 0, sizeof(*to));
    to->family = strchr(copy, ':') != NULL ? 6 : 4;
    to->bits = to->family == 6 ? 128 : 32;
    if (inet_pton(to->family == 6 ? AF_INET6 : AF_INET, copy, to->bytes) != 1)
        return false;
    if (slash == NULL)
        return true;
    if (parse_u64(slash, &bits) != 0 || bits > to->bits)
        return false;
    to->bits = (uint8_t)bits;
    return true;
}

int net_parse_addresses(struct cli *cli, const char *what, const char *text, struct collet_vif_settings *settings)
{
    char copy[NET_LIST_BYTES], *rest, *word;

    settings->addresses = 0;
    memset(settings->address, 0, sizeof(settings->address));
    if (strcmp(text, "any") == 0)
        return 0;
    snprintf(copy, sizeof(copy), "%s", text);
    for (word = strtok_r(copy, ", ", &rest); word != NULL; word = strtok_r(NULL, ", ", &rest)) {
        if (settings->addresses == COLLET_VIF_ADDRESSES)
            return cli_fail(cli, CLI_USAGE, "E2BIG", "%s: more than %u addresses", what, COLLET_VIF_ADDRESSES);
        if (!parse_address(word, &settings->address[settings->addresses++]))
            return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: '%s' is not an address such as 10.0.2.16, 10.0.0.0/8 or fec0::16", what, word);
    }
    return settings->addresses != 0 ? 0 : cli_fail(cli, CLI_USAGE, "EINVAL", "%s: '%s' has no address in it; `any` means all", what, text);
}

int net_parse_bytes(struct cli *cli, const char *what, const char *text, uint64_t *bytes)
{
    static const char suffixes[] = "KMG";
    char copy[FORMAT_BYTES];
    size_t length = strlen(text);
    const char *suffix = length > 0 ? strchr(suffixes, text[length - 1]) : NULL;
    unsigned int shift = suffix != NULL ? 10u * (unsigned int)(suffix - suffixes + 1) : 0;

    *bytes = 0;
    if (strcmp(text, "none") == 0)
        return 0;
    snprintf(copy, sizeof(copy), "%.*s", (int)(length - (suffix != NULL)), text);
    if (length >= sizeof(copy) || parse_u64(copy, bytes) != 0 || *bytes > UINT64_MAX >> 30)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: '%s' is not a number of bytes such as 10M, or none", what, text);
    *bytes <<= shift;
    return 0;
}

/* ---- JSON ---- */

json_t *net_counters_json(const struct collet_net_counters *counters)
{
    json_t *dropped = json_object();

    for (unsigned int i = 0; i < COLLET_NET_DROPS; i++)
        if (drop_names[i] != NULL)
            json_object_set_new(dropped, drop_names[i], json_integer((json_int_t)counters->dropped[i]));
    return json_pack("{s:I, s:I, s:I, s:o}", "packets", (json_int_t)counters->packets, "bytes", (json_int_t)counters->bytes, "segments", (json_int_t)counters->segments, "dropped", dropped);
}

static json_t *addresses_json(const struct collet_vif_settings *settings)
{
    json_t *list = json_array();
    char one[NET_ADDRESS_BYTES];

    for (uint32_t i = 0; i < settings->addresses && i < COLLET_VIF_ADDRESSES; i++)
        json_array_append_new(list, json_string(net_address_text(one, settings->address[i].bytes, settings->address[i].family, settings->address[i].bits)));
    return list;
}

json_t *vif_json(const struct collet_vif_info *vif)
{
    const struct collet_vif_settings *s = &vif->settings;
    char mac[NET_ADDRESS_BYTES], segment[FORMAT_BYTES];
    json_t *json = json_pack("{s:I, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:o, s:b, s:b, s:b}", "vif", (json_int_t)vif->vif, "name", vif->name, "domain", vif->domain, "domid", (json_int_t)vif->domid, "device",
                             (json_int_t)vif->device, "state", vif_state_name(vif), "mac", net_mac_text(mac, vif->mac), "network", net_segment_text(segment, s->segment), "addresses", addresses_json(s),
                             "antispoof", (s->flags & COLLET_VIF_SPOOF_OK) == 0, "all", (s->flags & COLLET_VIF_ALL) != 0, "down", (s->flags & COLLET_VIF_DOWN) != 0);
    json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "weight", (json_int_t)s->weight, "bytes_per_s", (json_int_t)s->bytes_per_s, "packets_per_s", (json_int_t)s->packets_per_s,
                             "created_ns", (json_int_t)vif->created_ns, "in_flight", (json_int_t)vif->in_flight, "notifies", (json_int_t)vif->notifies, "events", (json_int_t)vif->events, "throttled",
                             (json_int_t)vif->throttled, "throttled_ns", (json_int_t)vif->throttled_ns, "tx", net_counters_json(&vif->tx), "rx", net_counters_json(&vif->rx));

    json_object_update(json, more);
    json_decref(more);
    if ((vif->flags & COLLET_VIF_BROKEN) != 0)
        json_object_set_new(json, "broken_why", cli_json_text(vif->broken_why));
    return json;
}

json_t *nic_json(const struct collet_nic_info *nic)
{
    char mac[NET_ADDRESS_BYTES];
    json_t *json = json_pack("{s:I, s:s, s:s, s:s, s:b, s:b, s:I, s:b, s:b, s:b}", "nic", (json_int_t)nic->nic, "name", nic->name, "driver", nic->driver, "mac", net_mac_text(mac, nic->mac), "link",
                             (nic->flags & COLLET_NIC_LINK) != 0, "failed", (nic->flags & COLLET_NIC_FAILED) != 0, "mtu", (json_int_t)nic->mtu, "can_sum", (nic->flags & COLLET_NIC_CAN_SUM) != 0,
                             "can_segment4", (nic->flags & COLLET_NIC_CAN_SEGMENT4) != 0, "can_segment6", (nic->flags & COLLET_NIC_CAN_SEGMENT6) != 0);
    json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "queues", (json_int_t)nic->queues, "depth", (json_int_t)nic->depth, "in_flight", (json_int_t)nic->in_flight, "interrupts",
                             (json_int_t)nic->interrupts, "resets", (json_int_t)nic->resets, "lies", (json_int_t)nic->lies, "tx", net_counters_json(&nic->tx), "rx", net_counters_json(&nic->rx));

    json_object_update(json, more);
    json_decref(more);
    return json;
}
