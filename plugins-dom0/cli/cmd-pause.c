/* SPDX-License-Identifier: MIT */
/*
 * `collet pause` and `collet unpause`: straight to the hypervisor. Every name is looked up before the first domain is touched.
 * Tests: test-cli.c.
 */
#include "commands.h"

#include <stdlib.h>

static int act_on_all(struct cli *cli, const struct cli_args *args, const char *what, int (*act)(struct collet *c, uint32_t domid))
{
    struct collet_domain_info *infos = calloc((size_t)args->count, sizeof(*infos));
    json_t *done = json_array();
    int exit = infos != NULL ? 0 : CLI_FAILED;

    for (int i = 0; i < args->count && exit == 0; i++)
        exit = cli_domain(cli, args->words[i], &infos[i]);
    for (int i = 0; i < args->count && exit == 0; i++) {
        int rc = act(cli->collet, infos[i].domid);

        if (rc < 0)
            exit = cli_fail_collet(cli, rc, "%s %s", what, infos[i].name);
        else
            json_array_append_new(done, json_pack("{s:i, s:s}", "domid", (int)infos[i].domid, "name", infos[i].name));
    }
    cli_result(cli, json_pack("{s:o}", "domains", done));
    free(infos);
    return exit;
}

static int pause_run(struct cli *cli, const struct cli_args *args)
{
    return act_on_all(cli, args, "pause", collet_domain_pause);
}

static int unpause_run(struct cli *cli, const struct cli_args *args)
{
    return act_on_all(cli, args, "unpause", collet_domain_unpause);
}

const struct cli_command cmd_pause = {
    .name = "pause",
    .arguments = "DOMAIN...",
    .summary = "Stop domains where they are",
    .description = "None of their vCPUs runs any more when the command returns. Pausing a paused domain is no error.",
    .examples = "  collet pause web\n  collet pause web db 7",
    .complete = "domains",
    .least = 1,
    .most = -1,
    .run = pause_run,
};

const struct cli_command cmd_unpause = {
    .name = "unpause",
    .arguments = "DOMAIN...",
    .summary = "Let paused domains go on",
    .examples = "  collet unpause web",
    .complete = "domains",
    .least = 1,
    .most = -1,
    .run = unpause_run,
};
