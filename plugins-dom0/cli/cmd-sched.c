/* SPDX-License-Identifier: MIT */
/*
 * `collet sched list` and `collet sched use`: the modules, and which of them is in charge.
 * Tests: test-cli.c.
 */
#include "commands.h"
#include "table.h"

#include <errno.h>
#include <stdlib.h>

static int sched_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_module *modules = NULL;
    json_t *list = json_array();
    struct table *t;
    int count = cli_open(cli);

    (void)args;
    if (count == 0) {
        count = collet_sched_modules(cli->collet, &modules);
        count = count < 0 ? -cli_fail_collet(cli, count, "the list of modules") : count;
    } else {
        count = -count;
    }
    if (count < 0) {
        json_decref(list);
        return -count;
    }
    t = table_new("<|Name<|Parameters>|Summary<");
    for (int i = 0; i < count; i++) {
        table_cell(t, "%s", modules[i].active ? "*" : "");
        table_cell(t, "%s", modules[i].name);
        table_cell(t, "%u", modules[i].params);
        table_cell(t, "%s", modules[i].summary);
        json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:o}", "name", modules[i].name, "active", modules[i].active, "params", (int)modules[i].params,
                                              "summary", cli_json_text(modules[i].summary)));
    }
    table_end(t, cli->json ? NULL : cli->out, NULL);
    cli_result(cli, json_pack("{s:o}", "modules", list));
    free(modules);
    return 0;
}

const struct cli_command cmd_sched_list = {
    .name = "sched list",
    .arguments = "",
    .summary = "List the scheduler modules; a star marks the one in charge",
    .complete = "none",
    .run = sched_list_run,
};

static int no_such_module(struct cli *cli, const char *word)
{
    struct collet_sched_module *modules = NULL;
    int count = collet_sched_modules(cli->collet, &modules), exit;
    const char *names[64], *near;
    size_t known = 0;

    for (int i = 0; i < count && known < 64; i++)
        names[known++] = modules[i].name;
    near = cli_nearest(word, names, known);
    if (near != NULL)
        exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no scheduler module '%s'; did you mean %s?", word, near);
    else
        exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no scheduler module '%s'; `collet sched list` shows them", word);
    free(modules);
    return exit;
}

static int sched_use_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_status before, after;
    int exit = cli_open(cli), rc;

    if (exit != 0)
        return exit;
    rc = collet_sched_status(cli->collet, &before);
    if (rc == 0)
        rc = collet_sched_use(cli->collet, args->words[0]);
    if (rc == -ENOENT)
        return no_such_module(cli, args->words[0]);
    if (rc == 0)
        rc = collet_sched_status(cli->collet, &after);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "sched use %s", args->words[0]);
    if (!cli->json)
        fprintf(cli->out, "%s (before: %s)\n", after.active, before.active);
    cli_result(cli, json_pack("{s:s, s:s}", "active", after.active, "before", before.active));
    return 0;
}

const struct cli_command cmd_sched_use = {
    .name = "sched use",
    .arguments = "MODULE",
    .summary = "Let another scheduler module take over, while all runs",
    .description = "Every vCPU is carried across. Parameters that both modules have keep their values for domains and vCPUs.",
    .examples = "  collet sched use rr",
    .complete = "modules",
    .least = 1,
    .most = 1,
    .run = sched_use_run,
};
