/* SPDX-License-Identifier: MIT */
/*
 * `collet list`: the domains, in the columns of `xl list`. What colletd knows beyond the hypervisor (policies, last exits) is added when it runs.
 * Tests: test-cli.c.
 */
#include "client.h"
#include "commands.h"
#include "format.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

/* What the daemon says of a domain: the entry with that number, or that name for one that has ended. */
static const json_t *daemon_entry(const json_t *known, uint32_t domid, const char *name)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(known, i, entry)
    {
        const json_t *number = json_object_get(entry, "domid");

        if (json_is_integer(number) && json_integer_value(number) == (json_int_t)domid && strcmp(client_text(entry, "name"), name) == 0)
            return entry;
    }
    return NULL;
}

static bool is_listed(const struct collet_domain_info *domains, int count, const json_t *entry)
{
    for (int i = 0; i < count; i++)
        if (strcmp(domains[i].name, client_text(entry, "name")) == 0)
            return true;
    return false;
}

static void add_daemon_json(json_t *object, const json_t *entry)
{
    static const char *const keys[] = { "file", "on_crash", "on_reboot", "on_poweroff", "restarts", "last_exit" };

    for (size_t i = 0; entry != NULL && i < sizeof(keys) / sizeof(*keys); i++)
        if (json_object_get(entry, keys[i]) != NULL)
            json_object_set(object, keys[i], json_object_get(entry, keys[i]));
    if (entry != NULL && json_object_get(entry, "target_frames") != NULL)
        json_object_set_new(object, "memory_target_bytes", json_integer((json_int_t)(client_number(entry, "target_frames") * CLI_FRAME_BYTES)));
}

/* A dash stands for what nobody knows, or what does not apply. */
static void add_daemon_cells(struct table *t, const json_t *entry)
{
    static const char *const keys[] = { "on_crash", "on_reboot", "on_poweroff" };
    bool made_here = *client_text(entry, "on_crash") != 0;

    for (size_t i = 0; i < 3; i++)
        table_cell(t, "%s", made_here ? client_text(entry, keys[i]) : "-");
    if (made_here)
        table_cell(t, "%llu", (unsigned long long)client_number(entry, "restarts"));
    else
        table_cell(t, "-");
    table_cell(t, "%s", *client_text(entry, "last_exit") != 0 ? client_text(entry, "last_exit") : "-");
}

struct listing {
    struct table *table;
    json_t *json;
    bool long_form;
};

static void list_one(struct cli *cli, struct listing *l, const struct collet_domain_info *info, const json_t *entry)
{
    struct collet_vcpu_info *vcpus = NULL;
    int count = collet_vcpus(cli->collet, info->domid, &vcpus);
    char letters[7];
    json_t *object = domain_json(info, vcpus, count);

    domain_state_letters(info, vcpus, count, letters);
    table_cell(l->table, "%s", info->name);
    table_cell(l->table, "%u", info->domid);
    table_cell(l->table, "%llu", (unsigned long long)(info->frames / 256));
    if (l->long_form)
        table_cell(l->table, "%llu", (unsigned long long)(info->frames_max / 256));
    table_cell(l->table, "%u", info->vcpus_online);
    table_cell(l->table, "%s", letters);
    table_cell(l->table, "%.1f", (double)info->runs_ns / 1e9);
    if (l->long_form)
        add_daemon_cells(l->table, entry);
    add_daemon_json(object, entry);
    json_array_append_new(l->json, object);
    free(vcpus);
}

/* A domain that the hypervisor has not: it has ended, or is about to be made again. Only the daemon knows. */
static void list_ended(struct listing *l, const json_t *entry)
{
    const char *state = *client_text(entry, "state") != 0 ? client_text(entry, "state") : "ended";
    json_t *object = json_pack("{s:n, s:s, s:s}", "domid", "name", client_text(entry, "name"), "state", state);

    table_cell(l->table, "%s", client_text(entry, "name"));
    table_cell(l->table, "-");
    table_cell(l->table, "-");
    if (l->long_form)
        table_cell(l->table, "-");
    table_cell(l->table, "-");
    table_cell(l->table, "%s", state);
    table_cell(l->table, "-");
    if (l->long_form)
        add_daemon_cells(l->table, entry);
    add_daemon_json(object, entry);
    json_array_append_new(l->json, object);
}

static int list_named(struct cli *cli, struct listing *l, const struct cli_args *args, const json_t *known)
{
    struct collet_domain_info info;
    int exit = 0;

    for (int i = 0; i < args->count; i++) {
        int rc = cli_domain(cli, args->words[i], &info);

        if (rc == 0)
            list_one(cli, l, &info, daemon_entry(known, info.domid, info.name));
        else if (exit == 0)
            exit = rc;
    }
    return exit;
}

static int list_all(struct cli *cli, struct listing *l, bool ended, const json_t *known)
{
    struct collet_domain_info *domains = NULL;
    int count = collet_domains(cli->collet, &domains);
    const json_t *entry;
    size_t i;

    if (count < 0)
        return cli_fail_collet(cli, count, "the list of domains");
    for (int d = 0; d < count; d++)
        list_one(cli, l, &domains[d], daemon_entry(known, domains[d].domid, domains[d].name));
    json_array_foreach(known, i, entry) if (ended && !is_listed(domains, count, entry)) list_ended(l, entry);
    free(domains);
    return 0;
}

static int list_run(struct cli *cli, const struct cli_args *args)
{
    struct listing l = { .long_form = cli_flag(args, "long") };
    json_t *known = NULL;
    int exit = cli_open(cli);

    if (exit != 0)
        return exit;
    if (l.long_form || cli_flag(args, "all") || cli->json)
        known = client_ask_quietly(cli, "domains");
    l.json = json_array();
    l.table = table_new(l.long_form ? "Name<|ID>|Mem(MiB)>|Max(MiB)>|VCPUs>|State<|Time(s)>|On crash<|On reboot<|On poweroff<|Restarts>|Last exit<"
                                    : "Name<|ID>|Mem(MiB)>|VCPUs>|State<|Time(s)>");
    exit = args->count != 0 ? list_named(cli, &l, args, known) : list_all(cli, &l, cli_flag(args, "all"), known);
    table_end(l.table, cli->json || json_array_size(l.json) == 0 ? NULL : cli->out, NULL);
    if ((l.long_form || cli_flag(args, "all")) && known == NULL && !cli->json)
        fputs("collet: colletd does not run: policies, and domains that have ended, are not known\n", cli->err);
    cli_result(cli, json_pack("{s:o, s:b}", "domains", l.json, "daemon", known != NULL));
    json_decref(known);
    return exit;
}

static const struct cli_option list_options[] = {
    { "long", NULL, "maximum memory, policies, restarts and the last exit too", 'l' },
    { "all", NULL, "ended domains too, as far as colletd remembers them", 'a' },
    { 0 },
};

const struct cli_command cmd_list = {
    .name = "list",
    .arguments = "[DOMAIN...]",
    .summary = "List the domains",
    .description = "State: r running, b blocked, p paused, s shut down, c crashed, d dying. Time is what its\n"
                   "vCPUs ran, together. Works without colletd, which adds what --long and --all show.",
    .examples = "  collet list\n  collet list --long web db\n  collet list --json | jq '.domains[].name'",
    .options = list_options,
    .complete = "domains",
    .most = -1,
    .run = list_run,
};
