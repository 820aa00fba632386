/* SPDX-License-Identifier: MIT */
/*
 * `collet daemon`: whether colletd runs; and how to end it.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"
#include "format.h"

#include <inttypes.h>
#include <string.h>

static int daemon_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_machine m = { 0 };
    char text[FORMAT_BYTES];
    json_t *result;
    int exit;

    if (args->count == 1 && strcmp(args->words[0], "status") != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "daemon: '%s' is neither status nor stop", args->words[0]);
    exit = client_ask(cli, json_pack("{s:s}", "op", "ping"), 5000, &result);
    if (exit != 0)
        return exit;
    if (!cli->json) {
        fprintf(cli->out, "colletd %s runs, process %" PRIu64, client_text(result, "version"), client_number(result, "pid"));
        if (cli_open(cli) == 0 && collet_machine(cli->collet, &m) == 0 && m.now_ns >= client_number(result, "started_ns"))
            fprintf(cli->out, ", for %s", format_uptime(text, m.now_ns - client_number(result, "started_ns")));
        fputc('\n', cli->out);
    }
    cli_result(cli, json_pack("{s:o}", "daemon", result));
    return 0;
}

const struct cli_command cmd_daemon = {
    .name = "daemon",
    .arguments = "[status]",
    .summary = "Tell whether colletd runs",
    .description = "Exit code 5: it does not.",
    .complete = "none",
    .most = 1,
    .run = daemon_run,
    .daemon = true,
};

static int daemon_stop_run(struct cli *cli, const struct cli_args *args)
{
    json_t *result;
    int exit = client_ask(cli, json_pack("{s:s}", "op", "stop"), 10000, &result);

    (void)args;
    json_decref(result);
    if (exit == 0)
        cli_result(cli, json_pack("{s:b}", "stopped", 1));
    return exit;
}

const struct cli_command cmd_daemon_stop = {
    .name = "daemon stop",
    .arguments = "",
    .summary = "End colletd; domains and consoles stay",
    .complete = "none",
    .run = daemon_stop_run,
    .daemon = true,
};
