/* SPDX-License-Identifier: MIT */
/*
 * `collet rules confirm`, `flush` and `kinds`: what is done with the rules in force without reading a text of them. Loading: cmd-rules-load.c; showing: cmd-rules-show.c.
 * Tests: test-net.c.
 */
#include "commands.h"
#include "format.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- rules confirm ---- */

static int confirm_run(struct cli *cli, const struct cli_args *args)
{
    bool undo = cli_flag(args, "undo");
    struct collet_rules_info info;
    uint64_t generation;
    int exit = cli_open(cli), rc;

    if (exit != 0)
        return exit;
    rc = collet_rules_info(cli->collet, &info);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "rules confirm");
    generation = info.generation;
    if (args->count > 0 && parse_u64(args->words[0], &generation) != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "rules confirm: '%s' is not the number of a generation", args->words[0]);
    if (args->count == 0 && info.confirm_left_ns == 0)
        return cli_fail(cli, CLI_FAILED, "ESTALE", "rules confirm: no set of rules waits to be confirmed; generation %" PRIu64 " is in force", info.generation);
    rc = collet_rules_confirm(cli->collet, generation, !undo);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "rules confirm");
    if (undo)
        generation = info.previous;
    if (!cli->json)
        fprintf(cli->out, "generation %" PRIu64 " %s\n", generation, undo ? "is in force again" : "stays");
    cli_result(cli, json_pack("{s:I}", "generation", (json_int_t)generation));
    return 0;
}

static const struct cli_option confirm_options[] = {
    { "undo", NULL, "put the rules before them back now", 'u' },
    { 0 },
};

const struct cli_command cmd_rules_confirm = {
    .name = "rules confirm",
    .arguments = "[GENERATION]",
    .summary = "Keep the rules that `rules load --confirm` put in force, or put the ones before back",
    .description = "Without it the hypervisor puts the rules before them back when the time is over, whatever has become of Domain0.",
    .examples = "  collet rules load web.rules --confirm 60 && collet rules confirm",
    .options = confirm_options,
    .complete = "none",
    .most = 1,
    .run = confirm_run,
};

/* ---- rules flush ---- */

static int flush_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_rules_load load = { .expect = ~0ull };
    const char *confirm = cli_option(args, "confirm");
    unsigned int ms = 0;
    int exit = confirm != NULL ? cli_parse_seconds(cli, "--confirm", confirm, &ms) : 0, rc;

    if (exit == 0)
        exit = cli_open(cli);
    if (exit != 0)
        return exit;
    load.confirm_ms = ms;
    rc = collet_rules_load(cli->collet, NULL, 0, &load);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "rules flush");
    if (!cli->json)
        fprintf(cli->out, "no rules are in force%s\n", ms != 0 ? "; `collet rules confirm` keeps it so" : "");
    cli_result(cli, json_pack("{s:I, s:I}", "generation", (json_int_t)load.generation, "confirm_ms", (json_int_t)ms));
    return 0;
}

static const struct cli_option flush_options[] = {
    { "confirm", "SECONDS", "put the rules back after that time unless `collet rules confirm` comes first", 'c' },
    { 0 },
};

const struct cli_command cmd_rules_flush = {
    .name = "rules flush",
    .arguments = "",
    .summary = "Take all rules out of force: everything passes that is not spoofed",
    .examples = "  collet rules flush --confirm 30",
    .options = flush_options,
    .complete = "none",
    .run = flush_run,
};

/* ---- rules kinds ---- */

static int kinds_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_module *kinds = NULL;
    json_t *list;
    struct table *t;
    int exit = cli_open(cli), count;

    (void)args;
    if (exit != 0)
        return exit;
    count = collet_rule_kinds(cli->collet, &kinds);
    if (count < 0)
        return cli_fail_collet(cli, count, "the list of kinds of rules");
    list = json_array();
    t = table_new("Name<|Parameters>|Rules>|Summary<");
    for (int i = 0; i < count; i++) {
        table_cell(t, "%s", kinds[i].name);
        table_cell(t, "%" PRIu32, kinds[i].params);
        table_cell(t, "%" PRIu32, kinds[i].active);
        table_cell(t, "%s", kinds[i].summary);
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:o}", "name", kinds[i].name, "params", (json_int_t)kinds[i].params, "rules", (json_int_t)kinds[i].active, "summary",
                                              cli_json_text(kinds[i].summary)));
    }
    table_end(t, cli->json ? NULL : cli->out, "the hypervisor has no kinds of rules");
    cli_result(cli, json_pack("{s:o}", "kinds", list));
    free(kinds);
    return 0;
}

const struct cli_command cmd_rules_kinds = {
    .name = "rules kinds",
    .arguments = "",
    .summary = "List the kinds of conditions and actions that the hypervisor knows, and how many rules in force use each",
    .examples = "  collet rules kinds",
    .complete = "none",
    .run = kinds_run,
};
