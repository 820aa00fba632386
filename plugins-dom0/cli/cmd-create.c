/* SPDX-License-Identifier: MIT */
/*
 * `collet create`: send a definition to colletd, with changes from the command line, and show how far it is.
 * Tests: test-client.c, test-format.c (the changes).
 */
#include "client.h"
#include "commands.h"
#include "console.h"
#include "definition.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFINITIONS_FOLDER "/etc/collet"

/* "web" stands for /etc/collet/web.ini, unless there is a file of that name here. */
static void find_file(const char *word, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s", word);
    if (strchr(word, '/') == NULL && access(path, F_OK) != 0) {
        snprintf(path, PATH_MAX, DEFINITIONS_FOLDER "/%s", word);
        if (access(path, F_OK) != 0)
            snprintf(path, PATH_MAX, DEFINITIONS_FOLDER "/%s.ini", word);
        if (access(path, F_OK) != 0)
            snprintf(path, PATH_MAX, "%s", word);
    }
}

static const char *read_error(int error)
{
    return error == EFBIG    ? "this is no definition: that is a text of at most 64 KiB"
           : error == EILSEQ ? "this is no definition: that is a text, and here are zero bytes"
                             : strerror(error);
}

static int read_definition(struct cli *cli, const struct cli_args *args, char path[PATH_MAX], char **text)
{
    char absolute[PATH_MAX];
    int rc;

    find_file(args->words[0], path);
    rc = definition_read(path, text);
    if (rc == -ENOENT && strchr(args->words[0], '/') == NULL)
        return cli_fail(cli, CLI_FAILED, "ENOENT", "%s: no such file, here or in " DEFINITIONS_FOLDER, path);
    if (rc != 0)
        return cli_fail(cli, CLI_FAILED, cli_error_name(-rc), "%s: %s", path, read_error(-rc));
    if (realpath(path, absolute) != NULL)
        strcpy(path, absolute);
    for (int i = 1; i < args->count; i++) {
        rc = definition_override(text, args->words[i]);
        if (rc == -EINVAL)
            return cli_fail(cli, CLI_USAGE, "EINVAL", "create: '%s' is not a setting; such as memory=256M or sched.weight=512", args->words[i]);
        if (rc != 0)
            return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    }
    return 0;
}

/* Attach before the first word of the guest, then let it go. */
static int create_with_console(struct cli *cli, const char *name, uint32_t domid, bool paused)
{
    struct console_options options = { .escape = 0x1d, .idle_ms = 1000 };
    int fd, rc, exit = cli_open(cli);

    if (exit == 0)
        exit = console_open(cli, name, &fd);
    if (exit != 0)
        return exit;
    rc = paused ? 0 : collet_domain_unpause(cli->collet, domid);
    if (rc < 0) {
        close(fd);
        return cli_fail_collet(cli, rc, "unpause %s", name);
    }
    return console_run(cli, name, fd, &options);
}

static int create_run(struct cli *cli, const struct cli_args *args)
{
    bool check = cli_flag(args, "dry-run"), console = cli_flag(args, "console"), paused = cli_flag(args, "paused");
    char path[PATH_MAX], name[COLLET_NAME_MAX], *text = NULL;
    json_t *result;
    uint32_t domid;
    int exit;

    if (console && cli->json)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "create: --console and --json do not go together");
    exit = read_definition(cli, args, path, &text);
    if (exit == 0)
        exit = client_ask(cli,
                          json_pack("{s:s, s:o, s:o, s:b}", "op", check ? "check" : "create", "file", cli_json_text(path), "text", cli_json_text(text),
                                    "paused", paused || console),
                          0, &result);
    free(text);
    if (exit != 0)
        return exit;
    snprintf(name, sizeof(name), "%s", client_text(result, "name"));
    domid = (uint32_t)client_number(result, "domid");
    if (!cli->json && check)
        fprintf(cli->out, "%s: fine; it defines %s\n", path, name);
    else if (!cli->json)
        fprintf(cli->out, "created %s, domain %" PRIu32 "%s\n", name, domid, paused ? ", paused" : "");
    fflush(cli->out);
    if (check)
        cli_result(cli, json_pack("{s:s, s:b}", "name", name, "accepted", 1));
    else
        cli_result(cli, json_pack("{s:s, s:i, s:b}", "name", name, "domid", (int)domid, "paused", paused));
    json_decref(result);
    return console && !check ? create_with_console(cli, name, domid, paused) : 0;
}

static const struct cli_option create_options[] = {
    { "paused", NULL, "leave it paused, before its first instruction", 'p' },
    { "console", NULL, "attach to its console from the first line on", 'c' },
    { "dry-run", NULL, "only check the definition; nothing is created", 'n' },
    { 0 },
};

const struct cli_command cmd_create = {
    .name = "create",
    .arguments = "FILE [KEY=VALUE...]",
    .summary = "Make a domain from its definition and start it",
    .description = "FILE is a domain definition (docs/reference/domain.md); a bare name is also looked for in\n" DEFINITIONS_FOLDER
                   ", with .ini added. KEY=VALUE changes a setting of the section [domain], SECTION.KEY=VALUE one of another.\n"
                   "A mistake is reported with the file and the line, and nothing is left of the domain.",
    .examples =
        "  collet create web.ini\n  collet create web memory=256M vcpus=2\n  collet create web.ini name=web2 --console\n  collet create web.ini --dry-run",
    .options = create_options,
    .complete = "files none",
    .least = 1,
    .most = -1,
    .run = create_run,
    .daemon = true,
};
