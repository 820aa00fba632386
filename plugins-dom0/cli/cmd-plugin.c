/* SPDX-License-Identifier: MIT */
/*
 * `collet plugin`: the policy plugins that colletd runs.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"
#include "format.h"
#include "table.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int plugin_list_run(struct cli *cli, const struct cli_args *args)
{
    json_t *list, *entry;
    struct table *t;
    size_t i;
    int exit = client_ask(cli, json_pack("{s:s}", "op", "plugins"), 10000, &list);

    (void)args;
    if (exit != 0)
        return exit;
    t = table_new("Name<|State<|PID>|Restarts>|Updates>|Values set>|Summary<");
    json_array_foreach(list, i, entry)
    {
        table_cell(t, "%s", client_text(entry, "name"));
        table_cell(t, "%s", client_text(entry, "state"));
        table_cell(t, "%" PRIu64, client_number(entry, "pid"));
        table_cell(t, "%" PRIu64, client_number(entry, "restarts"));
        table_cell(t, "%" PRIu64, client_number(entry, "updates"));
        table_cell(t, "%" PRIu64, client_number(entry, "values_set"));
        table_cell(t, "%s%s%s", client_text(entry, "summary"), *client_text(entry, "summary") != 0 && *client_text(entry, "last_error") != 0 ? "; " : "", client_text(entry, "last_error"));
    }
    table_end(t, cli->json ? NULL : cli->out, "no plugin is loaded");
    cli_result(cli, json_pack("{s:o}", "plugins", list));
    return 0;
}

/* Where a value is in force: a domain and one of its vCPUs, or a disk and one of its VBDs. */
static void print_place(struct table *t, const json_t *entry, const char *whole, const char *part)
{
    const json_t *number = json_object_get(entry, part);

    if (json_is_integer(json_object_get(entry, whole)))
        table_cell(t, "%s%" PRIu64, strcmp(whole, "disk") == 0 ? "disk" : "", client_number(entry, whole));
    else
        table_cell(t, "-");
    if (json_is_integer(number) && json_integer_value(number) >= 0 && json_integer_value(number) < (json_int_t)COLLET_VCPU_ALL)
        table_cell(t, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    else
        table_cell(t, "-");
}

static void print_values(struct cli *cli, const json_t *values)
{
    struct table *t = table_new("Domain>|VCPU>|Parameter<|Value>|Before>|Why<");
    const json_t *entry;
    size_t i;

    json_array_foreach(values, i, entry)
    {
        bool of_disk = json_object_get(entry, "disk") != NULL;

        print_place(t, entry, of_disk ? "disk" : "domid", of_disk ? "vbd" : "vcpu");
        table_cell(t, "%s", client_text(entry, "name"));
        table_cell(t, "%" PRIu64, client_number(entry, "value"));
        table_cell(t, "%" PRIu64, client_number(entry, "before"));
        table_cell(t, "%s", client_text(entry, "why"));
    }
    fputs("\nValues in force from it:\n", cli->out);
    table_end(t, cli->out, "  none");
}

static void print_settings_and_messages(struct cli *cli, const json_t *plugin)
{
    const json_t *entry;
    char text[FORMAT_BYTES];
    size_t i;

    fprintf(cli->out, "\nSettings:%s\n", json_array_size(json_object_get(plugin, "settings")) == 0 ? " none" : "");
    json_array_foreach(json_object_get(plugin, "settings"), i, entry)
        fprintf(cli->out, "  [%s] %s = %s   (line %" PRIu64 ")\n", client_text(entry, "section"), client_text(entry, "key"), client_text(entry, "value"),
                client_number(entry, "line"));
    fprintf(cli->out, "\nMessages:%s\n", json_array_size(json_object_get(plugin, "messages")) == 0 ? " none" : "");
    json_array_foreach(json_object_get(plugin, "messages"), i, entry)
        fprintf(cli->out, "  %s %s: %s\n", format_uptime(text, client_number(entry, "at_ns")), client_text(entry, "level"), client_text(entry, "text"));
}

static int plugin_show_run(struct cli *cli, const struct cli_args *args)
{
    json_t *plugin;
    int exit = client_ask(cli, json_pack("{s:s, s:s}", "op", "plugin-show", "plugin", args->words[0]), 10000, &plugin);

    if (exit != 0)
        return exit;
    if (!cli->json) {
        fprintf(cli->out, "%s: %s\nstate %s, process %" PRIu64 ", restarts %" PRIu64 ", updates %" PRIu64 ", values set %" PRIu64 "\n",
                client_text(plugin, "name"), client_text(plugin, "summary"), client_text(plugin, "state"), client_number(plugin, "pid"),
                client_number(plugin, "restarts"), client_number(plugin, "updates"), client_number(plugin, "values_set"));
        if (*client_text(plugin, "last_error") != 0)
            fprintf(cli->out, "last error: %s\n", client_text(plugin, "last_error"));
        if (*client_text(plugin, "help") != 0)
            fprintf(cli->out, "\nWhat it can be told:\n%s\n", client_text(plugin, "help"));
        print_values(cli, json_object_get(plugin, "values"));
        print_settings_and_messages(cli, plugin);
    }
    cli_result(cli, json_pack("{s:o}", "plugin", plugin));
    return 0;
}

static int ask_and_tell(struct cli *cli, json_t *request, const char *done)
{
    json_t *plugin;
    const char *name = client_text(request, "plugin");
    int exit;

    json_incref(request);
    exit = client_ask(cli, request, 30000, &plugin);
    if (exit == 0) {
        if (!cli->json)
            fprintf(cli->out, "%s %s%s%s\n", done, name, *client_text(plugin, "state") != 0 ? ": " : "", client_text(plugin, "state"));
        cli_result(cli, json_pack("{s:o}", "plugin", plugin));
    }
    json_decref(request);
    return exit;
}

static int plugin_load_run(struct cli *cli, const struct cli_args *args)
{
    json_t *request = json_pack("{s:s, s:s}", "op", "plugin-load", "plugin", args->words[0]);
    char path[PATH_MAX];

    if (args->count == 2 && realpath(args->words[1], path) == NULL) {
        json_decref(request);
        return cli_fail(cli, CLI_FAILED, "ENOENT", "%s: no such file", args->words[1]);
    }
    if (args->count == 2)
        json_object_set_new(request, "file", cli_json_text(path));
    return ask_and_tell(cli, request, "loaded");
}

static int plugin_unload_run(struct cli *cli, const struct cli_args *args)
{
    return ask_and_tell(cli, json_pack("{s:s, s:s}", "op", "plugin-unload", "plugin", args->words[0]), "unloaded");
}

static int plugin_reload_run(struct cli *cli, const struct cli_args *args)
{
    return ask_and_tell(cli, json_pack("{s:s, s:s}", "op", "plugin-reload", "plugin", args->words[0]), "reloaded");
}

const struct cli_command cmd_plugin_list = {
    .name = "plugin list",
    .arguments = "",
    .summary = "List the loaded plugins",
    .complete = "none",
    .run = plugin_list_run,
    .daemon = true,
};

const struct cli_command cmd_plugin_show = {
    .name = "plugin show",
    .arguments = "PLUGIN",
    .summary = "Show a plugin's settings, values, reasons and messages",
    .examples = "  collet plugin show shares",
    .complete = "plugins",
    .least = 1,
    .most = 1,
    .run = plugin_show_run,
    .daemon = true,
};

const struct cli_command cmd_plugin_load = {
    .name = "plugin load",
    .arguments = "PLUGIN [FILE]",
    .summary = "Start a plugin in a worker process of its own",
    .description = "PLUGIN is a name under /usr/lib/collet/plugins; FILE its settings, /etc/collet/plugins/PLUGIN.ini unless said.",
    .examples = "  collet plugin load latency\n  collet plugin load shares ./shares.ini",
    .complete = "plugin-files files",
    .least = 1,
    .most = 2,
    .run = plugin_load_run,
    .daemon = true,
};

const struct cli_command cmd_plugin_unload = {
    .name = "plugin unload",
    .arguments = "PLUGIN",
    .summary = "End a plugin; what it has set stays",
    .complete = "plugins",
    .least = 1,
    .most = 1,
    .run = plugin_unload_run,
    .daemon = true,
};

const struct cli_command cmd_plugin_reload = {
    .name = "plugin reload",
    .arguments = "PLUGIN",
    .summary = "Start a plugin anew, with its settings read again",
    .complete = "plugins",
    .least = 1,
    .most = 1,
    .run = plugin_reload_run,
    .daemon = true,
};
