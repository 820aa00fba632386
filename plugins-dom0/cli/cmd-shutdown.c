/* SPDX-License-Identifier: MIT */
/*
 * `collet shutdown` and `collet reboot`: ask the guest, through colletd. With --wait they return when it has happened.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"

#define WAIT_SECONDS 60

static int ask_all(struct cli *cli, const struct cli_args *args, const char *op)
{
    const char *timeout = cli_option(args, "timeout");
    bool wait = cli_flag(args, "wait") || timeout != NULL;
    unsigned long seconds = WAIT_SECONDS;
    json_t *done = json_array(), *result;
    int exit = timeout != NULL ? cli_parse_count(cli, "--timeout", timeout, 86400, &seconds) : 0;

    for (int i = 0; i < args->count && exit == 0; i++) {
        json_t *request = json_pack("{s:s, s:s, s:b, s:i}", "op", op, "domain", args->words[i], "wait", wait, "timeout_s", (int)seconds);

        exit = client_ask(cli, request, wait ? (unsigned int)seconds * 1000 + 10000 : 30000, &result);
        json_decref(result);
        if (exit == 0)
            json_array_append_new(done, json_pack("{s:s, s:b}", "domain", args->words[i], "done", wait));
    }
    cli_result(cli, json_pack("{s:o}", "domains", done));
    return exit;
}

static int shutdown_run(struct cli *cli, const struct cli_args *args)
{
    return ask_all(cli, args, "shutdown");
}

static int reboot_run(struct cli *cli, const struct cli_args *args)
{
    return ask_all(cli, args, "reboot");
}

static const struct cli_option wait_options[] = {
    { "wait", NULL, "return when it has happened, at most 60 seconds later", 'w' },
    { "timeout", "SECONDS", "wait so long; exit code 6 if it has not happened then", 't' },
    { 0 },
};

const struct cli_command cmd_shutdown = {
    .name = "shutdown",
    .arguments = "DOMAIN...",
    .summary = "Ask domains to shut down",
    .description = "The guest decides: one that does not listen goes on running; `collet destroy` ends it.",
    .examples = "  collet shutdown web\n  collet shutdown --wait web && collet create web.ini",
    .options = wait_options,
    .complete = "domains",
    .least = 1,
    .most = -1,
    .run = shutdown_run,
    .daemon = true,
};

const struct cli_command cmd_reboot = {
    .name = "reboot",
    .arguments = "DOMAIN...",
    .summary = "Ask domains to reboot",
    .examples = "  collet reboot web\n  collet reboot --timeout 20 web",
    .options = wait_options,
    .complete = "domains",
    .least = 1,
    .most = -1,
    .run = reboot_run,
    .daemon = true,
};
