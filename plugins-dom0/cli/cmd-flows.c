/* SPDX-License-Identifier: MIT */
/*
 * `collet flows`: connections that the router tracks, once or again and again; and whether it tracks them.
 * Tests: test-net.c.
 */
#include "commands.h"
#include "network.h"
#include "table.h"

#include <vfr/flows.h>

#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define CLEAR       "\033[H\033[2J"
#define ROWS_SHOWN  200
#define PROTO_ICMP  1
#define PROTO_TCP   6
#define PROTO_UDP   17
#define PROTO_ICMP6 58

static const char *const state_names[] = { "new", "opening", "open", "closing", "closed", "one-way", "two-way" };

static const char *state_name(uint8_t state)
{
    return state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "?";
}

static const char *protocol_text(char to[FORMAT_BYTES], uint8_t protocol)
{
    switch (protocol) {
    case PROTO_ICMP: return "icmp";
    case PROTO_TCP: return "tcp";
    case PROTO_UDP: return "udp";
    case PROTO_ICMP6: return "icmp6";
    default: snprintf(to, FORMAT_BYTES, "%u", protocol); return to;
    }
}

static const char *end_text(char to[NET_ADDRESS_BYTES + 8], const uint8_t *bytes, unsigned int family, uint16_t port)
{
    char address[NET_ADDRESS_BYTES];

    net_address_text(address, bytes, family, 128);
    if (port == 0)
        snprintf(to, NET_ADDRESS_BYTES + 8, "%s", address);
    else
        snprintf(to, NET_ADDRESS_BYTES + 8, family == 6 ? "[%s]:%u" : "%s:%u", address, port);
    return to;
}

struct view {
    uint32_t domid; /* COLLET_VIFS_ALL: of all */
    struct collet_domain_info *domains;
    int domain_count;
};

static const char *domain_name(const struct view *view, uint32_t domid)
{
    for (int i = 0; i < view->domain_count; i++)
        if (view->domains[i].domid == domid)
            return view->domains[i].name;
    return "-";
}

/* Those seen last come first. */
static int by_seen(const void *a, const void *b)
{
    const struct vfr_flow_info *x = a, *y = b;

    return (x->seen_ns < y->seen_ns) - (x->seen_ns > y->seen_ns);
}

static void flow_row(struct table *t, const struct view *view, const struct vfr_flow_info *f, uint64_t now_ns)
{
    char protocol[FORMAT_BYTES], source[NET_ADDRESS_BYTES + 8], target[NET_ADDRESS_BYTES + 8], idle[FORMAT_BYTES];
    bool ports = f->protocol != PROTO_ICMP && f->protocol != PROTO_ICMP6;

    table_cell(t, "%s", domain_name(view, f->domid));
    table_cell(t, "%s", protocol_text(protocol, f->protocol));
    table_cell(t, "%s", end_text(source, f->source, f->family, ports ? f->source_port : 0));
    table_cell(t, "%s", end_text(target, f->target, f->family, ports ? f->target_port : 0));
    table_cell(t, "%s", state_name(f->state));
    table_cell(t, "%" PRIu64, f->packets[0]);
    table_cell(t, "%" PRIu64, f->bytes[0]);
    table_cell(t, "%" PRIu64, f->packets[1]);
    table_cell(t, "%" PRIu64, f->bytes[1]);
    table_cell(t, "%s", format_uptime(idle, now_ns > f->seen_ns ? now_ns - f->seen_ns : 0));
}

static json_t *flow_json(const struct view *view, const struct vfr_flow_info *f)
{
    char protocol[FORMAT_BYTES], source[NET_ADDRESS_BYTES], target[NET_ADDRESS_BYTES];
    json_t *json = json_pack("{s:s, s:I, s:s, s:i, s:s, s:i, s:s, s:i, s:s}", "domain", domain_name(view, f->domid), "domid", (json_int_t)f->domid, "protocol", protocol_text(protocol, f->protocol), "protocol_number",
                             (int)f->protocol, "source", net_address_text(source, f->source, f->family, 128), "source_port", (int)f->source_port, "target",
                             net_address_text(target, f->target, f->family, 128), "target_port", (int)f->target_port, "state", state_name(f->state));
    json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "packets", (json_int_t)f->packets[0], "bytes", (json_int_t)f->bytes[0], "reply_packets", (json_int_t)f->packets[1], "reply_bytes",
                             (json_int_t)f->bytes[1], "begun_ns", (json_int_t)f->begun_ns, "seen_ns", (json_int_t)f->seen_ns, "ends_ns", (json_int_t)f->ends_ns);

    json_object_update(json, more);
    json_decref(more);
    return json;
}

static void print_summary(struct cli *cli, const struct collet_rules_info *rules, int count)
{
    fprintf(cli->out, "%d flows; room for %" PRIu64 "; since they are tracked: begun %" PRIu64 ", expired %" PRIu64 ", evicted %" PRIu64 ", refused %" PRIu64 "\n", count, rules->flows_max, rules->flows_begun,
            rules->flows_expired, rules->flows_evicted, rules->flows_refused);
    if (!rules->flows_on)
        fputs("no rule asks for the state of connections, so flows are not tracked; `collet flows --track on` has them tracked all the same\n", cli->out);
}

static void print_flows(struct cli *cli, const struct view *view, struct vfr_flow_info *flows, int count, int most, uint64_t now_ns)
{
    struct table *t = table_new("Domain<|Protocol<|From<|To<|State<|Packets>|Bytes>|Replies>|Bytes>|Idle>");

    for (int i = 0; i < count && i < most; i++)
        flow_row(t, view, &flows[i], now_ns);
    table_end(t, cli->out, "no flows");
    if (count > most)
        fprintf(cli->out, "... and %d more (--count N, or --json, shows more)\n", count - most);
}

static json_t *flows_json(const struct view *view, const struct collet_rules_info *rules, const struct vfr_flow_info *flows, int count)
{
    json_t *list = json_array();

    for (int i = 0; i < count; i++)
        json_array_append_new(list, flow_json(view, &flows[i]));
    return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:o}", "tracked", rules->flows_on, "room", (json_int_t)rules->flows_max, "begun", (json_int_t)rules->flows_begun, "expired", (json_int_t)rules->flows_expired,
                     "evicted", (json_int_t)rules->flows_evicted, "refused", (json_int_t)rules->flows_refused, "flows", list);
}

/* One look. lines: JSON in one line, as looks follow each other. */
static int look(struct cli *cli, struct view *view, int most, bool lines)
{
    struct vfr_flow_info *flows = NULL;
    struct collet_rules_info rules;
    struct collet_machine machine;
    int count, rc = collet_rules_info(cli->collet, &rules);
    json_t *json;

    free(view->domains);
    view->domains = NULL;
    view->domain_count = collet_domains(cli->collet, &view->domains);
    if (rc == 0)
        rc = collet_machine(cli->collet, &machine);
    count = rc == 0 ? collet_flows_list(cli->collet, view->domid, &flows) : rc;
    if (count < 0)
        return cli_fail_collet(cli, count, "flows");
    qsort(flows, (size_t)count, sizeof(*flows), by_seen);
    if (!cli->json) {
        print_flows(cli, view, flows, count, most, machine.now_ns);
        print_summary(cli, &rules, count);
    } else {
        json = flows_json(view, &rules, flows, count);
        if (lines)
            cli_result_line(cli, json);
        else
            cli_result(cli, json);
    }
    free(flows);
    return 0;
}

static int track(struct cli *cli, const char *on, unsigned long room)
{
    struct collet_rules_info rules;
    uint64_t value = 0;
    int rc = collet_rules_info(cli->collet, &rules);

    if (on != NULL && parse_bool(on, &value) != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--track %s: on or off was expected", on);
    if (rc == 0)
        rc = collet_flows_set(cli->collet, on != NULL ? value != 0 : rules.flows_on != 0, (uint32_t)room);
    return rc < 0 ? cli_fail_collet(cli, rc, "flows") : 0;
}

static int look_again(struct cli *cli, struct view *view, int most, unsigned int ms)
{
    int exit;

    cli_catch_signals();
    do {
        if (cli->terminal && !cli->json)
            fputs(CLEAR, cli->out);
        exit = look(cli, view, most, true);
        fflush(cli->out);
    } while (exit == 0 && cli_sleep_ms(ms));
    return exit;
}

static int flows_run(struct cli *cli, const struct cli_args *args)
{
    const char *on = cli_option(args, "track"), *room = cli_option(args, "room"), *every = cli_option(args, "every"), *most = cli_option(args, "count");
    unsigned long room_count = 0, most_count = ROWS_SHOWN;
    struct view view = { .domid = COLLET_VIFS_ALL };
    struct collet_domain_info info;
    unsigned int ms = 0;
    int exit = cli_open(cli);

    if (exit == 0 && room != NULL)
        exit = cli_parse_count(cli, "--room", room, 1ul << 20, &room_count);
    if (exit == 0 && most != NULL)
        exit = cli_parse_count(cli, "--count", most, 1ul << 20, &most_count);
    if (exit == 0 && every != NULL)
        exit = cli_parse_seconds(cli, "--every", every, &ms);
    if (exit == 0 && args->count > 0) {
        exit = cli_domain(cli, args->words[0], &info);
        view.domid = info.domid;
    }
    if (exit == 0 && (on != NULL || room != NULL))
        exit = track(cli, on, room_count);
    if (exit == 0)
        exit = ms != 0 ? look_again(cli, &view, (int)most_count, ms) : look(cli, &view, (int)most_count, false);
    free(view.domains);
    return exit;
}

static const struct cli_option flows_options[] = {
    { "every", "SECONDS", "again and again, until interrupted", 'e' },
    { "count", "NUMBER", "show at most so many (200)", 'c' },
    { "track", "ON|OFF", "on: track flows even if no rule asks for the state of connections; off: only then", 't' },
    { "room", "NUMBER", "for how many flows there is room (at most 1048576); what is tracked is forgotten", 0 },
    { 0 },
};

const struct cli_command cmd_flows = {
    .name = "flows",
    .arguments = "[DOMAIN]",
    .summary = "Show the connections that the router tracks: who with whom, state, packets, bytes",
    .description = "A flow belongs to the domain that sent its first packet, or that was meant by it. Flows are tracked while a rule\n"
                   "asks for the state of connections (`state established`), or if --track says so. The first packet went From - To.",
    .examples = "  collet flows --track on\n  collet flows web --every 1\n  collet flows --json | jq '.flows[] | select(.state == \"open\")'",
    .options = flows_options,
    .complete = "domains none",
    .most = 1,
    .run = flows_run,
};
