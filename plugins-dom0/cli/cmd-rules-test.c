/* SPDX-License-Identifier: MIT */
/*
 * `collet rules test`: what a set does with the packets of a capture. `collet rules explain`: what it does with a packet told in words. Both judge by the code that the hypervisor runs, on any machine.
 * Tests: test-rules-cli.c.
 */
#include "capture-read.h"
#include "commands.h"
#include "rules-set.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VIFS_MAX   64
#define UNREADABLE "rules cannot say what it is: its headers go on beyond what is read"

/* ---- rules test ---- */

struct test {
    struct cli *cli;
    struct rules_set set;
    struct rules_judge *judge;
    struct vfr_iface from, to, nic, vifs[VIFS_MAX];
    unsigned int vif_count;
    bool has_from, has_to;
    struct vfr_iface *named; /* of the capture */
    unsigned int named_count, named_room;
    uint64_t from_names, without_direction, unknown; /* packets: whose interface the capture names; without telling which way; of which nothing is known */
    json_t *list;
    uint64_t packets, accepted, spoofed, told, most;
    uint64_t first_ns;
    const char *only; /* of these verdicts alone */
};

/* The name of one interface; 0 or an exit code. */
static int parse_name(struct test *t, const char *option, const char *name)
{
    if (name == NULL || (name[0] != 0 && name[0] != '.' && strlen(name) <= 60 && strpbrk(name, "*? ") == NULL))
        return 0;
    return cli_fail(t->cli, CLI_USAGE, "EINVAL", "rules test: %s: '%s' is not the name of one interface, as web.0 or nic0", option, name);
}

/* "web.0=10.0.2.16 fec0::16 00:16:3e:00:00:01, db.0=..." */
static int parse_vifs(struct test *t, const char *text)
{
    char *copy = strdup(text), *save = NULL;
    int exit = 0;

    for (char *one = strtok_r(copy, ",", &save); one != NULL && exit == 0; one = strtok_r(NULL, ",", &save)) {
        char *addresses = strchr(one, '=');

        one += strspn(one, " ");
        if (addresses == NULL || t->vif_count == VIFS_MAX)
            exit = cli_fail(t->cli, CLI_USAGE, "EINVAL", addresses == NULL ? "rules test: --vifs: '%s': NAME=ADDRESSES was expected, as web.0=10.0.2.16" : "rules test: --vifs: '%s' is one too many: at most 64", one);
        else if (*addresses++ = 0, (exit = parse_name(t, "--vifs", one)) == 0 && rules_judge_iface(&t->vifs[t->vif_count++], one, addresses) != 0)
            exit = cli_fail(t->cli, CLI_USAGE, "EINVAL", "rules test: --vifs: %s: '%s' are no addresses; as 10.0.2.16, fec0::16 or 00:16:3e:00:00:01, with blanks between them", one, addresses);
    }
    free(copy);
    return exit;
}

static bool is_its(const struct vfr_iface *iface, const uint8_t mac[6], const uint8_t *address, uint8_t family)
{
    static const uint8_t none[6];

    if (memcmp(iface->mac, none, 6) != 0)
        return memcmp(iface->mac, mac, 6) == 0;
    for (unsigned int i = 0; i < iface->address_count; i++)
        if (iface->addresses[i].family == family && memcmp(iface->addresses[i].bytes, address, family == 6 ? 16 : 4) == 0)
            return true;
    return false;
}

/* Which of the VIFs sent it, and which gets it; the wire does the rest. */
static void find_ends(struct test *t, const uint8_t *bytes, uint32_t captured, struct rules_frame *frame)
{
    unsigned int type = captured >= 34 ? (unsigned int)(bytes[12] << 8 | bytes[13]) : 0;
    uint8_t family = type == 0x86dd && captured >= 54 ? 6 : 4;
    static const uint8_t zeros[54];
    const uint8_t *ip = captured >= 34 ? bytes + 14 : zeros;
    size_t source = type == 0x0806 ? 14 : family == 6 ? 8 : 12, target = type == 0x0806 ? 24 : family == 6 ? 24 : 16;

    frame->from = frame->to = &t->nic;
    for (unsigned int i = 0; i < t->vif_count; i++) {
        if (captured >= 42 && is_its(&t->vifs[i], bytes + 6, ip + source, family))
            frame->from = &t->vifs[i];
        if (captured >= 42 && is_its(&t->vifs[i], bytes, ip + target, family))
            frame->to = &t->vifs[i];
    }
}

/* Names as `collet capture` gives them: web.0, nic0. Others, eth0, are of some Linux, and say nothing of VIFs. */
static bool is_our_name(const char *name)
{
    const char *dot = strrchr(name, '.'), *digits = dot != NULL ? dot + 1 : strncmp(name, "nic", 3) == 0 ? name + 3 : "";

    return digits[0] != 0 && digits[strspn(digits, "0123456789")] == 0 && dot != name && strlen(name) < sizeof(((struct vfr_iface *)NULL)->name);
}

static const struct vfr_iface *named_iface(struct test *t, const char *name)
{
    for (unsigned int i = 0; i < t->named_count; i++)
        if (strcmp(t->named[i].name, name) == 0)
            return &t->named[i];
    if (t->named_count == t->named_room) {
        unsigned int room = t->named_room * 2 + 16;
        struct vfr_iface *more = realloc(t->named, room * sizeof(*more));

        if (more == NULL)
            return &t->nic;
        t->named = more;
        t->named_room = room;
    }
    rules_judge_iface(&t->named[t->named_count], name, NULL);
    return &t->named[t->named_count++];
}

/* Seen at one interface, going one way: judged there alone, as what the capture has of its other end is another record. */
static void at_its_interface(struct test *t, const struct capture_read *seen, struct rules_frame *frame)
{
    const struct vfr_iface *at = named_iface(t, seen->interface);
    bool nic = (at->id & VFR_IFACE_NIC) != 0, out = seen->direction == CAPTURE_READ_OUT;

    t->from_names++;
    t->without_direction += seen->direction == CAPTURE_READ_UNKNOWN;
    /* What a VIF sends goes out there; what a card sends, too, but was sent to it. */
    frame->from = out != nic ? at : NULL;
    frame->to = out != nic ? NULL : at;
}

static void tell_packet(struct test *t, const struct rules_frame *frame, const struct rules_answer *a)
{
    const struct rules_step *last = a->count > 0 ? &a->steps[a->count - 1] : NULL;
    const char *action = a->spoofed != NULL ? "spoofed" : a->unreadable ? "malformed" : rules_action_name(last != NULL ? last->verdict.action : VFR_ACCEPT);
    char words[256], rule[512], at[160] = "";

    if (t->only != NULL && strcmp(t->only, action) != 0)
        return;
    if (t->most != 0 && t->told == t->most)
        return;
    t->told++;
    if (last != NULL)
        snprintf(at, sizeof(at), "%s on %s", last->direction == VFR_TX ? "out" : "in", last->at->name);
    if (!t->cli->json)
        fprintf(t->cli->out, "%6" PRIu64 " %10.6f  %-7s %-14s %s  [%s]\n", t->packets, (double)(frame->ns - t->first_ns) / 1e9, action, at, rules_packet_to_words(&a->packet, words, sizeof(words)),
                a->spoofed != NULL ? a->spoofed : a->unreadable ? UNREADABLE : rules_set_rule_text(&t->set, last != NULL ? last->verdict.rule : VFR_NO_RULE, last != NULL ? last->direction : VFR_RX, rule, sizeof(rule)));
    else
        json_array_append_new(t->list, json_pack("{s:I, s:I, s:s, s:s?, s:s?, s:s, s:o, s:b}", "packet", (json_int_t)t->packets, "time_ns", (json_int_t)frame->ns, "verdict", action, "direction",
                                                 last == NULL ? NULL : last->direction == VFR_TX ? "out" : "in", "interface", last == NULL ? NULL : last->at->name, "words",
                                                 rules_packet_to_words(&a->packet, words, sizeof(words)), "rule", rules_set_rule_json(&t->set, last != NULL ? last->verdict.rule : VFR_NO_RULE), "log",
                                                 last != NULL && last->verdict.log));
}

static void test_packet(struct test *t, const struct capture_read *seen)
{
    struct rules_frame frame = { .bytes = seen->bytes, .captured = seen->captured, .length = seen->length, .ns = seen->ns };
    struct rules_answer answer;

    if (t->packets++ == 0)
        t->first_ns = frame.ns;
    if (frame.ns < t->first_ns)
        frame.ns = t->first_ns;
    if (t->vif_count == 0 && !t->has_from && !t->has_to && seen->interface != NULL && is_our_name(seen->interface)) {
        at_its_interface(t, seen, &frame);
    } else {
        if (t->vif_count != 0)
            find_ends(t, seen->bytes, seen->captured, &frame);
        if (t->has_from || t->vif_count == 0)
            frame.from = t->has_from ? &t->from : NULL;
        if (t->has_to || t->vif_count == 0)
            frame.to = t->has_to ? &t->to : NULL;
        if (frame.from == NULL && frame.to == NULL) {
            frame.from = &t->nic;
            t->unknown++;
        }
        if (frame.from == frame.to)
            frame.to = NULL;
    }
    rules_judge_frame(t->judge, &frame, &answer);
    t->accepted += answer.accepted;
    t->spoofed += answer.spoofed != NULL;
    tell_packet(t, &frame, &answer);
}

static int test_capture(struct test *t, const char *path)
{
    char error[CAPTURE_READ_ERROR] = "";
    struct capture_reader *reader = capture_read_open(path, error);
    struct capture_read seen;
    int rc;

    if (reader == NULL)
        return cli_fail(t->cli, CLI_FAILED, "EINVAL", "rules test: %s: %s", path, error);
    while ((rc = capture_read_next(reader, &seen)) == 1)
        test_packet(t, &seen);
    capture_read_close(reader);
    return rc == 0 ? 0 : cli_fail(t->cli, CLI_FAILED, "EINVAL", "rules test: %s: %s", path, error);
}

/* What nobody said, and was taken to be so. */
static const char *assumed(const struct test *t, char *to, size_t bytes)
{
    if (t->unknown != 0)
        snprintf(to, bytes, "%" PRIu64 " packets without an interface were taken as coming in on nic0; --from, --to and --vifs say otherwise", t->unknown);
    else if (t->without_direction != 0)
        snprintf(to, bytes, "%" PRIu64 " packets without a direction were taken as coming in; --from, --to and --vifs say otherwise", t->without_direction);
    else
        return NULL;
    return to;
}

static void tell_counts(struct test *t)
{
    char note[160];
    struct table *table = table_new("Packets>|Bytes>|Rule<");
    json_t *list = json_array();
    char text[512];

    for (uint32_t i = 0; i <= t->set.list.count; i++) {
        bool policy = i == t->set.list.count;
        struct rules_count c = rules_judge_count(t->judge, policy ? VFR_NO_RULE : i);

        if (c.packets == 0)
            continue;
        table_cell(table, "%" PRIu64, c.packets);
        table_cell(table, "%" PRIu64, c.bytes);
        table_cell(table, "%s", policy ? "the policies" : rules_set_rule_text(&t->set, i, 0, text, sizeof(text)));
        json_array_append_new(list, json_pack("{s:o, s:I, s:I}", "rule", policy ? json_null() : rules_set_rule_json(&t->set, i), "packets", (json_int_t)c.packets, "bytes", (json_int_t)c.bytes));
    }
    if (!t->cli->json)
        fprintf(t->cli->out, "\n%" PRIu64 " packets: %" PRIu64 " accepted, %" PRIu64 " not%s\n", t->packets, t->accepted, t->packets - t->accepted, t->spoofed != 0 ? ", some for a wrong sender" : "");
    if (!t->cli->json && assumed(t, note, sizeof(note)) != NULL)
        fprintf(t->cli->out, "%s\n", note);
    table_end(table, t->cli->json ? NULL : t->cli->out, "no rule was asked");
    cli_result(t->cli, json_pack("{s:I, s:I, s:I, s:s?, s:o, s:o}", "packets", (json_int_t)t->packets, "accepted", (json_int_t)t->accepted, "spoofed", (json_int_t)t->spoofed, "assumed", assumed(t, note, sizeof(note)), "verdicts", t->list, "counts", list));
    t->list = NULL;
}

static int test_options(struct test *t, const struct cli_args *args)
{
    const char *from = cli_option(args, "from"), *to = cli_option(args, "to"), *vifs = cli_option(args, "vifs"), *most = cli_option(args, "count");
    static const char *const verdicts[] = { "accept", "drop", "reject", "forward", "spoofed", "malformed" };
    unsigned long count = 0;
    int exit = vifs != NULL ? parse_vifs(t, vifs) : 0;

    rules_judge_iface(&t->nic, "nic0", NULL);
    if (exit == 0 && most != NULL)
        exit = cli_parse_count(t->cli, "--count", most, ~0ul, &count);
    t->most = count;
    t->has_from = from != NULL;
    t->has_to = to != NULL;
    rules_judge_iface(&t->from, from != NULL ? from : "nic0", NULL);
    if (to != NULL)
        rules_judge_iface(&t->to, to, NULL);
    t->only = cli_option(args, "only");
    for (size_t i = 0; exit == 0 && t->only != NULL && i <= sizeof(verdicts) / sizeof(verdicts[0]); i++)
        if (i == sizeof(verdicts) / sizeof(verdicts[0]))
            exit = cli_fail(t->cli, CLI_USAGE, "EINVAL", "rules test: --only: '%s' is no verdict; there are accept, drop, reject, forward, spoofed and malformed", t->only);
        else if (strcmp(t->only, verdicts[i]) == 0)
            break;
    if (exit == 0)
        exit = parse_name(t, "--from", from);
    if (exit == 0)
        exit = parse_name(t, "--to", to);
    /* Whose MAC is told is held to it. */
    for (unsigned int i = 0; i < t->vif_count && cli_flag(args, "antispoof"); i++)
        t->vifs[i].flags &= ~(uint32_t)VFR_IFACE_SPOOF_OK;
    return exit;
}

static int test_run(struct cli *cli, const struct cli_args *args)
{
    struct test *t = calloc(1, sizeof(*t));
    char error[256];
    int exit;

    t->cli = cli;
    t->list = json_array();
    exit = test_options(t, args);
    if (exit == 0)
        exit = rules_set_compile(cli, "rules test", args->words, args->count - 1, &t->set);
    if (exit == 0 && rules_judge_create(&t->judge, t->set.bytes, t->set.size, error) != 0)
        exit = cli_fail(cli, CLI_FAILED, "EINVAL", "rules test: %s", error);
    if (exit == 0)
        exit = test_capture(t, args->words[args->count - 1]);
    if (exit == 0)
        tell_counts(t);
    json_decref(t->list);
    free(t->named);
    rules_judge_destroy(t->judge);
    rules_set_free(&t->set);
    free(t);
    return exit;
}

static const struct cli_option test_options_list[] = {
    { "from", "IFACE", "all come from there: web.0, or nic0", 'f' },
    { "to", "IFACE", "all go there", 't' },
    { "vifs", "LIST", "VIFs with their addresses: each packet then comes from, and goes to, whose they are, else nic0: 'web.0=10.0.2.16 fec0::16,db.0=10.0.2.17'", 'v' },
    { "antispoof", NULL, "hold the VIFs of --vifs to their MACs and addresses", 'a' },
    { "only", "VERDICT", "tell packets of this verdict alone: accept, drop, reject, forward, spoofed, malformed", 'o' },
    { "count", "N", "tell so many packets; all are judged", 'c' },
    { 0 },
};

const struct cli_command cmd_rules_test = {
    .name = "rules test",
    .arguments = "FILE... CAPTURE",
    .summary = "Judge the packets of a capture by files of rules, on any machine",
    .description = "CAPTURE is a file of tcpdump, Wireshark or collet capture. For each packet: its number, its time, the verdict, where\nit fell, the packet, and the rule or policy that decided. A packet that comes from a VIF is judged going out there; one\n"
                   "that goes to a VIF, coming in there; one from a card, coming in there; one to a card, going out. A pcapng of collet capture\nnames the interface and the direction of each packet, and it is judged there; other files do not: --from, --to or --vifs\n"
                   "say where, else packets are taken as coming in on nic0. Time is that of the capture, so that limits and connections do as\nthey would have done. CAPTURE -: standard input.",
    .examples = "  collet rules test web.rules web.pcapng\n  collet rules test web.rules web.pcap --from nic0 --to web.0\n  collet rules test web.rules all.pcapng --vifs 'web.0=10.0.2.16,db.0=10.0.2.17' --only drop",
    .options = test_options_list,
    .complete = "files",
    .least = 2,
    .most = -1,
    .run = test_run,
};

/* ---- rules explain ---- */

static void tell_passed(struct cli *cli, const struct rules_set *set, const struct rules_step *step, json_t *passed)
{
    char text[512];

    for (uint32_t i = 0; i < step->passed_count; i++) {
        if (!cli->json)
            fprintf(cli->out, "  matches, and goes on: %s\n", rules_set_rule_text(set, step->passed[i], step->direction, text, sizeof(text)));
        json_array_append_new(passed, rules_set_rule_json(set, step->passed[i]));
    }
}

static int explain(struct cli *cli, const struct rules_set *set, struct rules_judge *judge, struct rules_worded *words)
{
    struct rules_answer a;
    const struct rules_step *step = &a.steps[0];
    json_t *passed = json_array();
    char text[512], packet[256];

    rules_judge_frame(judge, &words->frame, &a);
    rules_packet_to_words(&a.packet, packet, sizeof(packet));
    if (a.unreadable) {
        json_decref(passed);
        return cli_fail(cli, CLI_FAILED, "EINVAL", "rules explain: %s: malformed, and dropped before a rule is asked: " UNREADABLE, packet);
    }
    if (!cli->json)
        fprintf(cli->out, "%s, %u bytes, %s on %s\n", packet, a.packet.bytes, step->direction == VFR_TX ? "out" : "in", step->at->name);
    tell_passed(cli, set, step, passed);
    if (!cli->json)
        fprintf(cli->out, "  %s%s, by %s\n", rules_action_name(step->verdict.action), step->verdict.log ? " and log" : "", rules_set_rule_text(set, step->verdict.rule, step->direction, text, sizeof(text)));
    cli_result(cli, json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "packet", packet, "verdict", rules_action_name(step->verdict.action), "direction", step->direction == VFR_TX ? "out" : "in", "interface",
                              step->at->name, "log", step->verdict.log, "rule", rules_set_rule_json(set, step->verdict.rule), "passed", passed));
    return 0;
}

static int explain_run(struct cli *cli, const struct cli_args *args)
{
    char *file = (char *)(uintptr_t)cli_option(args, "file"), error[256], words[1024] = "";
    struct rules_worded *worded = calloc(1, sizeof(*worded));
    struct rules_judge *judge = NULL;
    struct rules_set set = { .size = 0 };
    size_t used = 0;
    int exit = 0;

    for (int i = 0; i < args->count && used < sizeof(words); i++)
        used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s", i > 0 ? " " : "", args->words[i]);
    if (rules_packet_in_words(words, worded) != 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "rules explain: %s", worded->error);
    if (exit == 0)
        exit = file != NULL ? rules_set_compile(cli, "rules explain", &file, 1, &set) : rules_set_in_force(cli, "rules explain", &set);
    if (exit == 0 && set.bytes == NULL)
        exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "rules explain: no rules are in force: all passes that is not spoofed; --file names others");
    if (exit == 0 && rules_judge_create(&judge, set.bytes, set.size, error) != 0)
        exit = cli_fail(cli, CLI_FAILED, "EINVAL", "rules explain: %s", error);
    if (exit == 0)
        exit = explain(cli, &set, judge, worded);
    rules_judge_destroy(judge);
    rules_set_free(&set);
    free(worded);
    return exit;
}

static const struct cli_option explain_options[] = {
    { "file", "FILE", "by the rules of this file; without it, by those in force", 'f' },
    { 0 },
};

const struct cli_command cmd_rules_explain = {
    .name = "rules explain",
    .arguments = "PACKET",
    .summary = "Tell which rule decides about a packet that is told in words",
    .description = "PACKET: [tcp|udp|icmp|icmp6|arp|proto N] [from ADDRESS] [port N] [to ADDRESS] [port N] [flags S] [type N] [code N]\n[fragment] [vlan N] [size BYTES] [mac MAC] [state new|established|related|invalid] in|out on INTERFACE. What is left\n"
                   "out: a TCP SYN to port 80, in on nic0.",
    .examples = "  collet rules explain 'tcp from 1.2.3.4 to 10.0.2.16 port 22 in on web.0'\n  collet rules explain --file web.rules 'icmp from 10.0.2.16 out on web.0'",
    .options = explain_options,
    .complete = "none",
    .least = 1,
    .most = -1,
    .run = explain_run,
};
