/* SPDX-License-Identifier: MIT */
/*
 * `collet vif list`, `show` and `set`: the virtual interfaces of domains, their counters, and what may be changed while they are in use. What makes and ends them is colletd's: cmd-vif-change.c.
 * Tests: test-net.c.
 */
#include "commands.h"
#include "network.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- vif list ---- */

static void list_row(struct table *t, const struct collet_vif_info *v)
{
    char text[NET_LIST_BYTES], segment[FORMAT_BYTES], mac[NET_ADDRESS_BYTES];

    table_cell(t, "%s", v->name);
    table_cell(t, "%" PRIu32, v->vif);
    table_cell(t, "%s", vif_state_name(v));
    table_cell(t, "%s", net_segment_text(segment, v->settings.segment));
    table_cell(t, "%s", net_mac_text(mac, v->mac));
    table_cell(t, "%" PRIu64, v->tx.packets);
    table_cell(t, "%" PRIu64, v->rx.packets);
    table_cell(t, "%" PRIu64, net_dropped(&v->tx) + net_dropped(&v->rx));
    table_cell(t, "%s", net_addresses_text(text, &v->settings));
}

/* Those of one domain, or of all. */
static int list_of(struct cli *cli, uint32_t domid, struct table *t, json_t *json)
{
    struct collet_vif_info *vifs = NULL;
    int count = collet_vif_list(cli->collet, domid, &vifs);

    if (count < 0)
        return cli_fail_collet(cli, count, "the list of VIFs");
    for (int i = 0; i < count; i++) {
        list_row(t, &vifs[i]);
        json_array_append_new(json, vif_json(&vifs[i]));
    }
    free(vifs);
    return 0;
}

static int vif_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_domain_info info;
    json_t *json = json_array();
    struct table *t = table_new("VIF<|ID>|State<|Network<|MAC<|Sent>|Received>|Dropped>|Addresses<");
    int exit = cli_open(cli);

    for (int i = 0; i < args->count && exit == 0; i++) {
        exit = cli_domain(cli, args->words[i], &info);
        if (exit == 0)
            exit = list_of(cli, info.domid, t, json);
    }
    if (exit == 0 && args->count == 0)
        exit = list_of(cli, COLLET_VIFS_ALL, t, json);
    table_end(t, cli->json || exit != 0 ? NULL : cli->out, "no VIFs");
    if (exit == 0)
        cli_result(cli, json_pack("{s:o}", "vifs", json));
    else
        json_decref(json);
    return exit;
}

const struct cli_command cmd_vif_list = {
    .name = "vif list",
    .arguments = "[DOMAIN...]",
    .summary = "List virtual network interfaces",
    .description = "State: connected (a guest's rings are served), waiting (for its guest), down (by its settings), broken (its guest\n"
                   "broke the rules of the rings). Sent: frames that the domain sent and that went on; dropped: those that did not,\n"
                   "and those that it did not get; `collet vif show` tells why.",
    .examples = "  collet vif list\n  collet vif list web --json",
    .complete = "domains",
    .most = -1,
    .run = vif_list_run,
};

/* ---- vif show ---- */

static void print_counters(struct cli *cli, const char *tx_title, const char *rx_title, const struct collet_net_counters *tx, const struct collet_net_counters *rx)
{
    struct table *t = table_new("<|Packets>|Bytes>|On the wire>|Dropped<");
    const struct collet_net_counters *const both[] = { tx, rx };
    char text[NET_LIST_BYTES];

    for (int i = 0; i < 2; i++) {
        table_cell(t, "%s", i == 0 ? tx_title : rx_title);
        table_cell(t, "%" PRIu64, both[i]->packets);
        table_cell(t, "%" PRIu64, both[i]->bytes);
        table_cell(t, "%" PRIu64, both[i]->segments);
        table_cell(t, "%s", net_drops_text(text, both[i]));
    }
    table_end(t, cli->out, NULL);
}

static char *features_text(char to[NET_LIST_BYTES], uint32_t features)
{
    static const char *const names[] = { "scatter-gather", "TCPv4 segments", "TCPv6 segments", "no IPv4 without checksum", "IPv6 without checksum" };
    size_t at = 0;

    strcpy(to, "none");
    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if ((features & 1u << i) != 0)
            at += (size_t)snprintf(to + at, NET_LIST_BYTES - at, "%s%s", at > 0 ? ", " : "", names[i]);
    return to;
}

static void print_vif(struct cli *cli, const struct collet_vif_info *v)
{
    const struct collet_vif_settings *s = &v->settings;
    char text[NET_LIST_BYTES], mac[NET_ADDRESS_BYTES], segment[FORMAT_BYTES], rate[NET_ADDRESS_BYTES], held[FORMAT_BYTES];

    fprintf(cli->out, "%s (%" PRIu32 "): %s, device %" PRIu32 " of domain %" PRIu32 ", MAC %s, on %s\n", v->name, v->vif, vif_state_name(v), v->device, v->domid, net_mac_text(mac, v->mac),
            net_segment_text(segment, s->segment));
    if ((v->flags & COLLET_VIF_BROKEN) != 0)
        fprintf(cli->out, "broken: %s\n", v->broken_why);
    fprintf(cli->out, "addresses: %s; spoofing %s%s\n", net_addresses_text(text, s), (s->flags & COLLET_VIF_SPOOF_OK) != 0 ? "allowed" : "prevented",
            (s->flags & COLLET_VIF_ALL) != 0 ? "; gets what is for nobody else" : "");
    fprintf(cli->out, "rate: %s; held back %" PRIu64 " times, for %s; weight %" PRIu32 "\n", net_rate_text(rate, s), v->throttled, format_duration(held, v->throttled_ns), s->weight);
    if ((v->flags & COLLET_VIF_CONNECTED) != 0)
        fprintf(cli->out, "the guest takes: %s\n", features_text(text, v->features));
    fputc('\n', cli->out);
    print_counters(cli, "sent", "received", &v->tx, &v->rx);
    fprintf(cli->out, "in flight %" PRIu32 ", events from the guest %" PRIu64 ", to it %" PRIu64 "\n", v->in_flight, v->notifies, v->events);
}

static int vif_show_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_vif_info info;
    int exit = cli_vif(cli, args->words[0], &info);

    if (exit != 0)
        return exit;
    if (!cli->json)
        print_vif(cli, &info);
    cli_result(cli, json_pack("{s:o}", "vif", vif_json(&info)));
    return 0;
}

const struct cli_command cmd_vif_show = {
    .name = "vif show",
    .arguments = "VIF",
    .summary = "Tell all about a virtual interface: state, settings, counts, why frames were dropped",
    .description = "A VIF is DOMAIN.NAME, or its id. On the wire: frames as the card sends or got them, where one of the guest's is\n"
                   "cut into several (TCP segmentation).\n"
                   "Why frames are dropped: rule (a rule or policy said so), spoofed (an address that is not the sender's),\n"
                   "no-buffer (the receiver had none), not-connected (the receiver is down), malformed, bad-grant, too-long,\n"
                   "no-route (nobody has that address), limit (of its rate), device (the card failed), memory.",
    .examples = "  collet vif show web.0",
    .complete = "vifs none",
    .least = 1,
    .most = 1,
    .run = vif_show_run,
};

/* ---- vif set ---- */

/* yes or no into a flag; `inverse`: yes clears it. */
static int set_flag(struct cli *cli, const struct cli_args *args, const char *option, uint32_t flag, bool inverse, struct collet_vif_settings *s)
{
    const char *text = cli_option(args, option);
    uint64_t value;

    if (text == NULL)
        return 0;
    if (parse_bool(text, &value) != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--%s %s: yes or no was expected", option, text);
    if ((value != 0) != inverse)
        s->flags |= flag;
    else
        s->flags &= ~flag;
    return 0;
}

static int set_network(struct cli *cli, const char *text, struct collet_vif_settings *s)
{
    bool own = text != NULL && strncmp(text, "own", 3) == 0;
    uint64_t number;

    if (text == NULL)
        return 0;
    if ((!own && strncmp(text, "nic", 3) != 0) || parse_u64(text + 3, &number) != 0 || number >= COLLET_SEGMENT_OWN)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--network %s: a network such as nic0 (that of a card) or own3 (without a wire) was expected", text);
    s->segment = (uint32_t)number + (own ? COLLET_SEGMENT_OWN : 0);
    return 0;
}

/* A number, or "none": 0. */
static int set_number(struct cli *cli, const char *what, const char *text, unsigned long most, uint64_t *to)
{
    unsigned long count = 0;
    int exit = text == NULL || strcmp(text, "none") == 0 ? 0 : cli_parse_count(cli, what, text, most, &count);

    if (exit == 0 && text != NULL)
        *to = count;
    return exit;
}

static int settings_read(struct cli *cli, const struct cli_args *args, struct collet_vif_settings *s)
{
    const char *ip = cli_option(args, "ip"), *rate = cli_option(args, "rate");
    uint64_t weight = s->weight;
    int exit = ip != NULL ? net_parse_addresses(cli, "--ip", ip, s) : 0;

    if (exit == 0 && rate != NULL)
        exit = net_parse_bytes(cli, "--rate", rate, &s->bytes_per_s);
    if (exit == 0)
        exit = set_number(cli, "--pps", cli_option(args, "pps"), UINT32_MAX, &s->packets_per_s);
    if (exit == 0)
        exit = set_number(cli, "--weight", cli_option(args, "weight"), 1000, &weight);
    s->weight = (uint32_t)weight;
    if (exit == 0)
        exit = set_network(cli, cli_option(args, "network"), s);
    if (exit == 0)
        exit = set_flag(cli, args, "antispoof", COLLET_VIF_SPOOF_OK, true, s);
    if (exit == 0)
        exit = set_flag(cli, args, "all", COLLET_VIF_ALL, false, s);
    if (exit == 0)
        exit = set_flag(cli, args, "up", COLLET_VIF_DOWN, true, s);
    return exit;
}

static bool any_option(const struct cli_args *args)
{
    for (int i = 0; args->options[i].name != NULL; i++)
        if (args->values[i] != NULL)
            return true;
    return false;
}

static int vif_set_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_vif_settings settings;
    struct collet_vif_info info;
    int exit, rc;

    if (!any_option(args))
        return cli_fail(cli, CLI_USAGE, "EINVAL", "vif set: nothing to set: --ip, --antispoof, --network, --rate, --pps, --weight, --all or --up was expected");
    exit = cli_vif(cli, args->words[0], &info);
    settings = info.settings;
    if (exit == 0)
        exit = settings_read(cli, args, &settings);
    if (exit != 0)
        return exit;
    rc = collet_vif_set(cli->collet, info.vif, &settings);
    if (rc == 0)
        rc = collet_vif_info(cli->collet, info.vif, &info);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "vif set %s", args->words[0]);
    cli_result(cli, json_pack("{s:o}", "vif", vif_json(&info)));
    return 0;
}

static const struct cli_option set_options[] = {
    { "ip", "ADDRESSES", "addresses it may use, separated by commas: 10.0.2.16,fec0::/64; any: all", 'i' },
    { "antispoof", "YES|NO", "drop what it sends under another MAC or IP address", 'a' },
    { "network", "NETWORK", "nic0: the card's; own3: one without a wire", 'n' },
    { "rate", "SIZE", "it may send so many bytes a second: 10M; none", 'r' },
    { "pps", "NUMBER", "it may send so many packets a second; none", 'p' },
    { "weight", "NUMBER", "its share of the wire beside others that send: 1 to 1000, usual 100", 'w' },
    { "all", "YES|NO", "it gets frames for addresses that nobody has (a router, a bridge)", 0 },
    { "up", "YES|NO", "no: nothing passes", 'u' },
    { 0 },
};

const struct cli_command cmd_vif_set = {
    .name = "vif set",
    .arguments = "VIF",
    .summary = "Change a virtual interface while it is in use",
    .description = "What is not named stays. It lasts as long as the VIF; the section [vif NAME] of the domain's definition says\nwhat it begins with.",
    .examples = "  collet vif set web.0 --rate 10M --pps 5000\n  collet vif set web.0 --ip 10.0.2.16,fec0::16\n  collet vif set web.0 --up no",
    .options = set_options,
    .complete = "vifs none",
    .least = 1,
    .most = 1,
    .run = vif_set_run,
};
