/* SPDX-License-Identifier: MIT */
/*
 * The text of --help, made from the table of commands, and `collet help`.
 * Contract: cli.h. Tests: test-cli.c.
 */
#include "cli.h"

#include <string.h>

static void print_option(FILE *out, char letter, const char *name, const char *value, const char *help)
{
    char left[64];

    snprintf(left, sizeof(left), "--%s%s%s", name, value != NULL ? " " : "", value != NULL ? value : "");
    if (letter != 0)
        fprintf(out, "  -%c, %-22s  %s\n", letter, left, help);
    else
        fprintf(out, "      %-22s  %s\n", left, help);
}

void cli_help_command(FILE *out, const struct cli_command *command)
{
    fprintf(out, "Usage: collet %s%s%s%s\n\n%s.\n", command->name, command->options != NULL ? " [OPTIONS]" : "", *command->arguments != 0 ? " " : "",
            command->arguments, command->summary);
    if (command->description != NULL)
        fprintf(out, "\n%s\n", command->description);
    if (command->daemon)
        fprintf(out, "\nAsks colletd, which must run.\n");
    fprintf(out, "\nOptions:\n");
    for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++)
        print_option(out, o->letter, o->name, o->value, o->help);
    print_option(out, 0, "json", NULL, "print JSON (docs/reference/json.md)");
    print_option(out, 'h', "help", NULL, "this text");
    if (command->examples != NULL)
        fprintf(out, "\nExamples:\n%s\n", command->examples);
}

static void list_commands(FILE *out, const char *group)
{
    size_t length = group != NULL ? strlen(group) : 0;

    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        char left[80];

        if ((*c)->name[0] == '_')
            continue;
        if (group != NULL && (strncmp((*c)->name, group, length) != 0 || ((*c)->name[length] != ' ' && (*c)->name[length] != 0)))
            continue;
        snprintf(left, sizeof(left), "%s %s", (*c)->name, (*c)->arguments);
        fprintf(out, "  %-40s %s\n", left, (*c)->summary);
    }
}

void cli_help_group(FILE *out, const char *group)
{
    fprintf(out, "Usage: collet %s COMMAND\n\n", group);
    list_commands(out, group);
    fprintf(out, "\n`collet %s COMMAND --help` tells more of each.\n", group);
}

void cli_help_all(FILE *out)
{
    fputs("Usage: collet COMMAND [OPTIONS] [WORDS]\n\nControls the domains, schedulers, disks and plugins of a Collet machine, from Domain0.\n\n", out);
    list_commands(out, NULL);
    fputs("\nA DOMAIN is a name or a number. Every command takes --json and --help.\n"
          "Exit codes: 0 done, 1 failed, 2 usage, 3 no such domain, disk, module or plugin,\n"
          "            4 not permitted or not in Domain0, 5 colletd does not run, 6 timed out.\n",
          out);
}

static json_t *command_json(const struct cli_command *command)
{
    json_t *options = json_array();

    for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++)
        json_array_append_new(options, json_pack("{s:s, s:s?, s:s}", "name", o->name, "value", o->value, "help", o->help));
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", command->name, "arguments", command->arguments, "summary", command->summary, "daemon",
                     command->daemon, "options", options);
}

static int help_run(struct cli *cli, const struct cli_args *args)
{
    const struct cli_command *command;
    json_t *list = json_array();
    char group[64];
    int used;

    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        if ((*c)->name[0] != '_')
            json_array_append_new(list, command_json(*c));
    cli_result(cli, json_pack("{s:o}", "commands", list));
    if (cli->json)
        return CLI_OK;
    if (args->count == 0) {
        cli_help_all(cli->out);
        return CLI_OK;
    }
    command = cli_command_find(args->words, args->count, &used);
    if (command != NULL)
        cli_help_command(cli->out, command);
    else if (cli_command_group(args->words, args->count, group) > 0)
        cli_help_group(cli->out, group);
    else
        return cli_fail(cli, CLI_USAGE, "EINVAL", "no command '%s'; `collet help` lists them", args->words[0]);
    return CLI_OK;
}

const struct cli_command cmd_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "List the commands, or explain one",
    .examples = "  collet help\n  collet help sched set",
    .complete = "commands",
    .most = 3,
    .run = help_run,
};
