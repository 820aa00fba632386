/* SPDX-License-Identifier: MIT */
/*
 * `collet rename`: through colletd, for XenStore and its own files know the name too.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"

static int rename_run(struct cli *cli, const struct cli_args *args)
{
    json_t *result;
    int exit = client_ask(cli, json_pack("{s:s, s:s, s:s}", "op", "rename", "domain", args->words[0], "name", args->words[1]), 30000, &result);

    json_decref(result);
    if (exit == 0)
        cli_result(cli, json_pack("{s:s, s:s}", "domain", args->words[0], "name", args->words[1]));
    return exit;
}

const struct cli_command cmd_rename = {
    .name = "rename",
    .arguments = "DOMAIN NAME",
    .summary = "Give a domain another name",
    .description = "A name has 1 to 31 letters, digits and . _ - +, is not a number, and no other domain has it.",
    .examples = "  collet rename web web-old",
    .complete = "domains none",
    .least = 2,
    .most = 2,
    .run = rename_run,
    .daemon = true,
};
