/* SPDX-License-Identifier: MIT */
/*
 * `collet rules load`: files of rules become one set, and that replaces the one in force in one step; or nothing changes and the mistakes are told.
 * Tests: test-net.c.
 */
#include "commands.h"
#include "format.h"
#include "rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static json_t *errors_json(const struct rules_compiled *set)
{
    json_t *list = json_array();

    for (size_t i = 0; i < set->error_count; i++) {
        const struct rules_error *e = &set->errors[i];

        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:o, s:o, s:b}", "file", cli_json_text(e->file), "line", (json_int_t)e->line, "column", (json_int_t)e->column, "text", cli_json_text(e->text), "hint",
                                              cli_json_text(e->hint), "warning", e->warning));
    }
    return list;
}

static int compile(struct cli *cli, const struct cli_args *args, struct rules_compiled *set)
{
    struct rules_input *inputs = calloc((size_t)args->count, sizeof(*inputs));
    size_t errors = 0;
    int rc = inputs != NULL ? 0 : -ENOMEM;

    for (int i = 0; rc == 0 && i < args->count; i++)
        inputs[i].path = args->words[i];
    memset(set, 0, sizeof(*set));
    if (rc == 0)
        rc = rules_compile(inputs, (size_t)args->count, NULL, set);
    free(inputs);
    if (!cli->json)
        rules_print_errors(cli->err, set);
    if (rc == 0)
        return 0;
    for (size_t i = 0; i < set->error_count; i++)
        errors += !set->errors[i].warning;
    if (rc != -EINVAL)
        return cli_fail(cli, CLI_FAILED, cli_error_name(-rc), "rules load: %s", strerror(-rc));
    cli_result(cli, json_pack("{s:o}", "errors", errors_json(set)));
    return cli_fail(cli, CLI_FAILED, "EINVAL", "rules load: %zu error%s; the rules in force stay as they are", errors, errors == 1 ? "" : "s");
}

static int put_in_force(struct cli *cli, const struct rules_compiled *set, struct collet_rules_load *load)
{
    int rc = collet_rules_load(cli->collet, set->bytes, set->size, load);

    if (rc < 0)
        return cli_fail_collet(cli, rc, "rules load");
    if (!cli->json) {
        fprintf(cli->out, "generation %" PRIu64 ": %" PRIu32 " rule%s in force\n", load->generation, set->rules, set->rules == 1 ? "" : "s");
        if (load->confirm_ms != 0)
            fprintf(cli->out, "put back in %.1f s unless you say: collet rules confirm\n", load->confirm_ms / 1000.0);
    }
    cli_result(cli, json_pack("{s:I, s:I, s:I, s:I, s:o}", "generation", (json_int_t)load->generation, "rules", (json_int_t)set->rules, "bytes", (json_int_t)set->size, "confirm_ms", (json_int_t)load->confirm_ms,
                              "errors", errors_json(set)));
    return 0;
}

static int load_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_rules_load load = { .expect = ~0ull };
    const char *confirm = cli_option(args, "confirm"), *expect = cli_option(args, "expect");
    struct rules_compiled set;
    unsigned int ms = 0;
    int exit = confirm != NULL ? cli_parse_seconds(cli, "--confirm", confirm, &ms) : 0;

    if (exit == 0 && expect != NULL && parse_u64(expect, &load.expect) != 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "rules load: --expect %s: the number of a generation was expected", expect);
    if (exit != 0)
        return exit;
    load.confirm_ms = ms;
    exit = compile(cli, args, &set);
    if (exit == 0)
        exit = cli_open(cli);
    if (exit == 0)
        exit = put_in_force(cli, &set, &load);
    rules_compiled_free(&set);
    return exit;
}

static const struct cli_option load_options[] = {
    { "confirm", "SECONDS", "put the rules before them back after that time unless `collet rules confirm` comes first", 'c' },
    { "expect", "GENERATION", "only if that generation is in force now (0: none)", 'e' },
    { 0 },
};

const struct cli_command cmd_rules_load = {
    .name = "rules load",
    .arguments = "FILE...",
    .summary = "Put rules in force: the whole set is replaced in one step, or not at all",
    .description = "Several files make one set, in their order. Counters of rules that were in force before go on. The language:\n"
                   "collet-rules(5). What is loaded here stays: colletd puts the rules of its plugins in force\nonly when none, or its own, are; `collet rules flush` makes room for them.",
    .examples = "  collet rules check web.rules\n  collet rules load web.rules --confirm 60\n  collet rules confirm",
    .options = load_options,
    .complete = "files",
    .least = 1,
    .most = -1,
    .run = load_run,
};
