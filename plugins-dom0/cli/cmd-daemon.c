/* SPDX-License-Identifier: MIT */
/*
 * `collet daemon` and `collet version`: who answers, and in which version.
 * Tests: test-cli.c, test-client.c.
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

/* Works anywhere: what cannot be asked is said to be missing, and is no failure. */
static int version_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_version v = { 0 };
    struct cli quiet = { .out = cli->out, .err = cli->err, .quiet_errors = true };
    bool reached = cli_open(&quiet) == 0 && collet_version(quiet.collet, &v) == 0;
    json_t *object, *daemon = client_ask_quietly(cli, "ping");

    (void)args;
    cli->collet = quiet.collet;
    object = json_pack("{s:s, s:i, s:o, s:o, s:o}", "collet", CLI_VERSION, "libcollet", LIBCOLLET_VERSION, "hypervisor",
                       reached ? cli_json_text(v.release) : json_null(), "control_version", reached ? json_integer(v.version) : json_null(), "colletd",
                       daemon != NULL ? json_string(client_text(daemon, "version")) : json_null());
    if (!cli->json) {
        fprintf(cli->out, "collet      %s\nlibcollet   %d\n", CLI_VERSION, LIBCOLLET_VERSION);
        fprintf(cli->out, "hypervisor  %s\n", reached ? v.release : "not reachable from here");
        if (reached && v.version != COLLET_CONTROL_VERSION)
            fprintf(cli->out, "            its control interface has version %" PRIu32 ", this program needs %d\n", v.version, COLLET_CONTROL_VERSION);
        fprintf(cli->out, "colletd     %s\n", daemon != NULL ? client_text(daemon, "version") : "does not run");
    }
    cli_result(cli, object);
    json_decref(daemon);
    return 0;
}

const struct cli_command cmd_version = {
    .name = "version",
    .arguments = "",
    .summary = "Tell the versions of all parts",
    .complete = "none",
    .run = version_run,
};
