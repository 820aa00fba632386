/* SPDX-License-Identifier: MIT */
/*
 * `collet console`: a terminal on a domain's console, or the file that its console is logged to.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"
#include "console.h"
#include "format.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define CONSOLE_LOG_FOLDER "/var/log/collet/console"

/* xenconsoled names them so. */
static FILE *open_log(const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, CONSOLE_LOG_FOLDER "/guest-%s.log", name);
    return fopen(path, "re");
}

/* A number stands for the name of that domain; any other word may be a domain that has ended. */
static int print_log(struct cli *cli, const char *word)
{
    struct collet_domain_info info;
    char path[PATH_MAX], buffer[8192];
    uint64_t number;
    FILE *file;
    size_t n;

    if (strchr(word, '/') != NULL)
        return cli_fail(cli, CLI_NO_SUCH, "ESRCH", "no domain '%s'", word);
    if (parse_u64(word, &number) == 0) {
        int exit = cli_domain(cli, word, &info);

        if (exit != 0)
            return exit;
        word = info.name;
    }
    file = open_log(word, path);
    if (file == NULL)
        return cli_fail(cli, cli_exit_of(errno), cli_error_name(errno), "no console of '%s' was logged (%s: %s)", word, path, strerror(errno));
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        fwrite(buffer, 1, n, cli->out);
    fclose(file);
    return 0;
}

static int console_command_run(struct cli *cli, const struct cli_args *args)
{
    struct console_options options = { .escape = 0x1d, .idle_ms = 1000 };
    const char *escape = cli_option(args, "escape"), *timeout = cli_option(args, "timeout"), *idle = cli_option(args, "idle");
    int fd, exit = 0;

    if (cli->json)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "console: what a guest prints is not JSON");
    if (cli_flag(args, "log"))
        return print_log(cli, args->words[0]);
    if (escape != NULL)
        exit = console_parse_escape(cli, escape, &options.escape);
    if (exit == 0 && timeout != NULL)
        exit = cli_parse_seconds(cli, "--timeout", timeout, &options.total_ms);
    if (exit == 0 && idle != NULL)
        exit = cli_parse_seconds(cli, "--idle", idle, &options.idle_ms);
    if (exit == 0)
        exit = console_open(cli, args->words[0], &fd);
    return exit != 0 ? exit : console_run(cli, args->words[0], fd, &options);
}

static const struct cli_option console_command_options[] = {
    { "escape", "CHAR", "detach with this: ^a, ~, none (^])", 'e' },
    { "timeout", "SECONDS", "detach after so long", 't' },
    { "idle", "SECONDS", "after the end of the input, detach when so long nothing came (1)", 0 },
    { "log", NULL, "print what the console has shown so far, from its log file", 'l' },
    { 0 },
};

const struct cli_command cmd_console = {
    .name = "console",
    .arguments = "DOMAIN",
    .summary = "Attach to a domain's console",
    .description = "Ctrl-] detaches; the guest notices nothing. The command ends when the domain does, and not when\n"
                   "xenconsoled is restarted. Input may come from a pipe:\n"
                   "then it is sent as it is, and the command ends after the last output that follows. Everything that a console\n"
                   "shows is also kept in " CONSOLE_LOG_FOLDER "/guest-NAME.log.",
    .examples = "  collet console web\n  echo uptime | collet console web --idle 3\n  collet console web --log | less",
    .options = console_command_options,
    .complete = "domains",
    .least = 1,
    .most = 1,
    .run = console_command_run,
    .daemon = true,
};
