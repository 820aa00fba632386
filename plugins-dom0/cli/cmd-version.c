/* SPDX-License-Identifier: MIT */
/*
 * `collet version`: of all parts.
 * Tests: test-cli.c.
 */
#include "client.h"
#include "commands.h"

#include <inttypes.h>

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
