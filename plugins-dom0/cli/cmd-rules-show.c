/* SPDX-License-Identifier: MIT */
/*
 * `collet rules show`: the rules in force as they are known to people, with what each has counted.
 * Tests: test-net.c.
 */
#include "commands.h"
#include "format.h"
#include "rules.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define TRIES 10 /* others may load rules between our questions */

/* All that is told of one generation. */
struct shown {
    struct collet_rules_info info;
    struct collet_rule_counter *counters; /* one more than there are rules */
    struct rules_list list;
    uint64_t now_ns;
};

static void shown_free(struct shown *s)
{
    free(s->counters);
    rules_list_free(&s->list);
    *s = (struct shown){ 0 };
}

/* 0; -ESTALE: ask anew. */
static int ask(struct cli *cli, struct shown *s)
{
    struct collet_machine machine;
    void *set = NULL;
    size_t bytes = 0;
    int rc = collet_rules_info(cli->collet, &s->info), count;

    if (rc == 0)
        rc = collet_machine(cli->collet, &machine);
    if (rc < 0 || s->info.generation == 0)
        return rc;
    s->now_ns = machine.now_ns;
    rc = collet_rules_read(cli->collet, s->info.generation, &set, &bytes);
    if (rc == 0 && (rc = rules_read(set, bytes, &s->list)) < 0)
        cli_fail(cli, CLI_FAILED, cli_error_name(-rc), "rules show: the set in force cannot be read: another release's?");
    free(set);
    if (rc < 0)
        return rc;
    count = collet_rules_counters(cli->collet, s->info.generation, &s->counters);
    if (count < 0)
        return count;
    return (size_t)count == s->list.count + 1 ? 0 : -ESTALE;
}

static int ask_until_done(struct cli *cli, struct shown *s)
{
    int rc = -ESTALE;

    for (int i = 0; i < TRIES && rc == -ESTALE; i++) {
        shown_free(s);
        rc = ask(cli, s);
    }
    if (rc < 0 && cli->exit == 0)
        return cli_fail_collet(cli, rc, "rules show");
    return rc < 0 ? cli->exit : 0;
}

static void print_head(struct cli *cli, const struct shown *s)
{
    const struct collet_rules_info *i = &s->info;
    char ago[FORMAT_BYTES], size[FORMAT_BYTES], left[FORMAT_BYTES];

    if (i->confirm_left_ns != 0)
        fprintf(cli->out, "waits to be confirmed: in %s generation %" PRIu64 " is put back (collet rules confirm)\n", format_duration(left, i->confirm_left_ns), i->previous);
    if (i->generation == 0) {
        fputs("no rules are in force: everything passes that is not spoofed\n", cli->out);
        return;
    }
    fprintf(cli->out, "generation %" PRIu64 ": %" PRIu32 " rules, loaded %s ago; %s in the hypervisor; policy in %s, out %s\n", i->generation, i->rules, format_uptime(ago, s->now_ns - i->loaded_ns),
            format_size(size, i->memory_bytes), s->list.policy[1], s->list.policy[0]);
}

static const char *last_text(char to[FORMAT_BYTES], uint64_t now_ns, uint64_t last_ns)
{
    return last_ns == 0 ? "-" : format_uptime(to, now_ns > last_ns ? now_ns - last_ns : 0);
}

static void print_rules(struct cli *cli, const struct shown *s, bool used)
{
    struct table *t = table_new("Line>|Packets>|Bytes>|Last>|Rule<");
    char last[FORMAT_BYTES];

    for (size_t i = 0; i < s->list.count; i++) {
        const struct collet_rule_counter *c = &s->counters[i];
        const struct rules_rule *r = &s->list.rules[i];

        if (used && c->packets == 0)
            continue;
        table_cell(t, "%" PRIu32, r->line);
        table_cell(t, "%" PRIu64, c->packets);
        table_cell(t, "%" PRIu64, c->bytes);
        table_cell(t, "%s", last_text(last, s->now_ns, c->last_ns));
        table_cell(t, "%s%s%s", r->text != NULL ? r->text : "?", r->name != NULL ? "  # " : "", r->name != NULL ? r->name : "");
    }
    table_cell(t, "-");
    table_cell(t, "%" PRIu64, s->counters[s->list.count].packets);
    table_cell(t, "%" PRIu64, s->counters[s->list.count].bytes);
    table_cell(t, "%s", last_text(last, s->now_ns, s->counters[s->list.count].last_ns));
    table_cell(t, "(policy)");
    table_end(t, cli->out, NULL);
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? cli_json_text(text) : json_null();
}

static json_t *rules_json(const struct shown *s)
{
    json_t *list = json_array();
    char id[FORMAT_BYTES];

    for (size_t i = 0; i < s->list.count; i++) {
        const struct collet_rule_counter *c = &s->counters[i];
        const struct rules_rule *r = &s->list.rules[i];

        snprintf(id, sizeof(id), "%016" PRIx64, r->id);
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:I, s:o, s:I, s:I, s:I}", "id", id, "name", text_or_null(r->name), "file", text_or_null(r->file), "line", (json_int_t)r->line, "text",
                                              text_or_null(r->text), "packets", (json_int_t)c->packets, "bytes", (json_int_t)c->bytes, "last_ns", (json_int_t)c->last_ns));
    }
    return list;
}

static json_t *shown_json(const struct shown *s)
{
    const struct collet_rules_info *i = &s->info;
    json_t *json = json_pack("{s:I, s:I, s:I}", "generation", (json_int_t)i->generation, "confirm_left_ns", (json_int_t)i->confirm_left_ns, "previous", (json_int_t)i->previous);

    if (i->generation == 0) {
        json_object_set_new(json, "rules", json_array());
        return json;
    }
    json_object_set_new(json, "loaded_ns", json_integer((json_int_t)i->loaded_ns));
    json_object_set_new(json, "bytes", json_integer((json_int_t)i->bytes));
    json_object_set_new(json, "memory_bytes", json_integer((json_int_t)i->memory_bytes));
    json_object_set_new(json, "policy", json_pack("{s:s, s:s, s:I, s:I}", "in", s->list.policy[1], "out", s->list.policy[0], "packets", (json_int_t)s->counters[s->list.count].packets, "bytes",
                                                  (json_int_t)s->counters[s->list.count].bytes));
    json_object_set_new(json, "rules", rules_json(s));
    return json;
}

static int show_run(struct cli *cli, const struct cli_args *args)
{
    struct shown s = { 0 };
    int exit = cli_open(cli);

    if (exit == 0)
        exit = ask_until_done(cli, &s);
    if (exit == 0) {
        if (!cli->json) {
            print_head(cli, &s);
            if (s.info.generation != 0)
                print_rules(cli, &s, cli_flag(args, "used"));
        }
        cli_result(cli, shown_json(&s));
    }
    shown_free(&s);
    return exit;
}

static const struct cli_option show_options[] = {
    { "used", NULL, "only rules that have met a packet", 'u' },
    { 0 },
};

const struct cli_command cmd_rules_show = {
    .name = "rules show",
    .arguments = "",
    .summary = "Show the rules in force, and how many packets and bytes each has met",
    .description = "Counters of a rule go on when a set with the same rule replaces this one. Packets that no rule decided are\n"
                   "counted in the last line, where a policy other than accept, or any rule, had to be asked.",
    .examples = "  collet rules show\n  collet rules show --used\n  collet rules show --json | jq '.rules[] | [.packets, .text]'",
    .options = show_options,
    .complete = "none",
    .run = show_run,
};
