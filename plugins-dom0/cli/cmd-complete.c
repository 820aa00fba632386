/* SPDX-License-Identifier: MIT */
/*
 * `collet __complete`: what the shell's completion asks. Nothing is ever said on failure: a missing hypervisor or daemon completes to nothing.
 *     __complete KIND            names of a kind: commands domains targets modules plugins plugin-files params settings kinds formats cpus
 *                        disks disk-modules disk-params disk-settings vbds volumes drives vifs nics interfaces net-modules capture-targets
 *     __complete words WORD...   what can stand in place of the last WORD; the line "@files" stands for files
 * Tests: test-cli.c.
 */
#include "block.h"
#include "client.h"
#include "commands.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static void say(struct cli *cli, const char *prefix, const char *word)
{
    if (strncmp(word, prefix, strlen(prefix)) == 0)
        fprintf(cli->out, "%s\n", word);
}

/* Words of commands at place `at`, behind the words before it. */
static void complete_commands(struct cli *cli, char **words, int at)
{
    char last[64] = "";

    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        const char *name = (*c)->name;
        char word[64];
        int i;

        for (i = 0; i < at && *name != 0; i++) {
            size_t length = strcspn(name, " ");

            if (strlen(words[i]) != length || memcmp(words[i], name, length) != 0)
                break;
            name += length + (name[length] != 0);
        }
        if (i < at || *name == 0 || *name == '_')
            continue;
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(name, " "), name);
        if (strcmp(word, last) != 0)
            say(cli, words[at], word);
        memcpy(last, word, sizeof(last));
    }
}

static void complete_domains(struct cli *cli, const char *prefix)
{
    struct collet_domain_info *domains = NULL;
    int count = cli_open(cli) == 0 ? collet_domains(cli->collet, &domains) : 0;

    for (int i = 0; i < count; i++)
        say(cli, prefix, domains[i].name);
    free(domains);
}

static void complete_modules(struct cli *cli, const char *prefix)
{
    struct collet_sched_module *modules = NULL;
    int count = cli_open(cli) == 0 ? collet_sched_modules(cli->collet, &modules) : 0;

    for (int i = 0; i < count; i++)
        say(cli, prefix, modules[i].name);
    free(modules);
}

static void complete_params(struct cli *cli, const char *prefix, const char *end)
{
    struct collet_sched_param *params = NULL;
    int count = cli_open(cli) == 0 ? collet_sched_params(cli->collet, NULL, &params) : 0;
    char word[COLLET_NAME_MAX + 2];

    for (int i = 0; i < count; i++) {
        snprintf(word, sizeof(word), "%s%s", params[i].name, end);
        say(cli, prefix, word);
    }
    free(params);
}

static void complete_disks(struct cli *cli, const char *prefix)
{
    struct collet_disk_info *disks = NULL;
    int count = cli_open(cli) == 0 ? collet_disk_list(cli->collet, &disks) : 0;

    for (int i = 0; i < count; i++)
        say(cli, prefix, disks[i].name);
    free(disks);
}

static void complete_disk_modules(struct cli *cli, const char *prefix)
{
    struct collet_sched_module *modules = NULL;
    int count = cli_open(cli) == 0 ? collet_disk_module_list(cli->collet, &modules) : 0;

    for (int i = 0; i < count; i++)
        say(cli, prefix, modules[i].name);
    free(modules);
}

/* Of the modules that order a disk now. */
static void complete_disk_params(struct cli *cli, const char *prefix, const char *end)
{
    struct collet_sched_module *modules = NULL;
    int count = cli_open(cli) == 0 ? collet_disk_module_list(cli->collet, &modules) : 0;
    char word[COLLET_NAME_MAX + 2];

    for (int i = 0; i < count; i++) {
        struct collet_sched_param *params = NULL;
        int n = modules[i].active != 0 ? collet_disk_param_list(cli->collet, modules[i].name, &params) : 0;

        for (int j = 0; j < n; j++) {
            snprintf(word, sizeof(word), "%s%s", params[j].name, end);
            say(cli, prefix, word);
        }
        free(params);
    }
    free(modules);
}

static void complete_vbds(struct cli *cli, const char *prefix)
{
    struct vbd_list list;
    char name[VBD_NAME_BYTES];

    if (vbd_list_load(cli, &list) != 0)
        return;
    for (int i = 0; i < list.count; i++)
        say(cli, prefix, vbd_name(name, &list, &list.vbds[i]));
    vbd_list_free(&list);
}

static void complete_vifs(struct cli *cli, const char *prefix)
{
    struct collet_vif_info *vifs = NULL;
    int count = cli_open(cli) == 0 ? collet_vif_list(cli->collet, COLLET_VIFS_ALL, &vifs) : 0;

    for (int i = 0; i < count; i++)
        say(cli, prefix, vifs[i].name);
    free(vifs);
}

static void complete_nics(struct cli *cli, const char *prefix)
{
    struct collet_nic_info *nics = NULL;
    int count = cli_open(cli) == 0 ? collet_nic_list(cli->collet, &nics) : 0;

    for (int i = 0; i < count; i++)
        say(cli, prefix, nics[i].name);
    free(nics);
}

static void complete_net_modules(struct cli *cli, const char *prefix)
{
    struct collet_sched_module *modules = NULL;
    int count = cli_open(cli) == 0 ? collet_net_sched_list(cli->collet, &modules) : 0;

    for (int i = 0; i < count; i++)
        say(cli, prefix, modules[i].name);
    free(modules);
}

static void complete_volumes(struct cli *cli, const char *prefix)
{
    json_t *list = client_ask_quietly(cli, "volumes"), *entry;
    size_t i;

    json_array_foreach(list, i, entry) say(cli, prefix, client_text(entry, "backing"));
    json_decref(list);
}

static void complete_plugins(struct cli *cli, const char *prefix)
{
    json_t *list = client_ask_quietly(cli, "plugins"), *entry;
    size_t i;

    json_array_foreach(list, i, entry) say(cli, prefix, client_text(entry, "name"));
    json_decref(list);
}

static void complete_plugin_files(struct cli *cli, const char *prefix)
{
    DIR *folder = opendir("/usr/lib/collet/plugins");
    struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char *dot = strrchr(entry->d_name, '.');

        if (dot == NULL || strcmp(dot, ".so") != 0)
            continue;
        *dot = 0;
        say(cli, prefix, entry->d_name);
    }
    if (folder != NULL)
        closedir(folder);
}

static void complete_cpus(struct cli *cli, const char *prefix)
{
    struct collet_machine m;
    char word[16];

    say(cli, prefix, "all");
    if (cli_open(cli) == 0 && collet_machine(cli->collet, &m) == 0)
        for (unsigned int cpu = 0; cpu < m.cpus; cpu++) {
            snprintf(word, sizeof(word), "%u", cpu);
            say(cli, prefix, word);
        }
}

static void complete_list(struct cli *cli, const char *prefix, const char *const *words)
{
    for (; *words != NULL; words++)
        say(cli, prefix, *words);
}

static void complete_kind(struct cli *cli, const char *kind, const char *prefix)
{
    static const char *const kinds[] = { "default",         "all",   "switch", "wake",      "block", "migrate", "hypercall",
                                         "hypercall-enter", "fault", "event",  "sched-use", "disk-queue", "disk-issue", "disk-complete", NULL };
    static const char *const drives[] = { "hp97560", "none", NULL };
    static const char *const formats[] = { "perfetto", "chrome", "csv", "text", NULL };

    if (strcmp(kind, "domains") == 0 || strcmp(kind, "targets") == 0 || strcmp(kind, "capture-targets") == 0)
        complete_domains(cli, prefix);
    if (strcmp(kind, "modules") == 0)
        complete_modules(cli, prefix);
    if (strcmp(kind, "disks") == 0)
        complete_disks(cli, prefix);
    if (strcmp(kind, "disk-modules") == 0)
        complete_disk_modules(cli, prefix);
    if (strcmp(kind, "disk-params") == 0)
        complete_disk_params(cli, prefix, "");
    if (strcmp(kind, "disk-settings") == 0)
        complete_disk_params(cli, prefix, "=");
    if (strcmp(kind, "vbds") == 0)
        complete_vbds(cli, prefix);
    if (strcmp(kind, "vifs") == 0 || strcmp(kind, "interfaces") == 0 || strcmp(kind, "capture-targets") == 0)
        complete_vifs(cli, prefix);
    if (strcmp(kind, "nics") == 0 || strcmp(kind, "interfaces") == 0 || strcmp(kind, "capture-targets") == 0)
        complete_nics(cli, prefix);
    if (strcmp(kind, "interfaces") == 0)
        complete_domains(cli, prefix);
    if (strcmp(kind, "net-modules") == 0)
        complete_net_modules(cli, prefix);
    if (strcmp(kind, "drives") == 0)
        complete_list(cli, prefix, drives);
    if (strcmp(kind, "volumes") == 0)
        complete_volumes(cli, prefix);
    if (strcmp(kind, "plugins") == 0)
        complete_plugins(cli, prefix);
    if (strcmp(kind, "plugin-files") == 0)
        complete_plugin_files(cli, prefix);
    if (strcmp(kind, "params") == 0)
        complete_params(cli, prefix, "");
    if (strcmp(kind, "settings") == 0 || strcmp(kind, "targets") == 0)
        complete_params(cli, prefix, "=");
    if (strcmp(kind, "cpus") == 0 || strcmp(kind, "vcpus") == 0)
        complete_cpus(cli, prefix);
    if (strcmp(kind, "kinds") == 0)
        complete_list(cli, prefix, kinds);
    if (strcmp(kind, "formats") == 0)
        complete_list(cli, prefix, formats);
    if (strcmp(kind, "files") == 0)
        fputs("@files\n", cli->out);
    if (strcmp(kind, "commands") == 0) {
        char *words[] = { (char *)prefix };

        complete_commands(cli, words, 0);
    }
}

static void complete_options(struct cli *cli, const struct cli_command *command, const char *prefix)
{
    char word[64];

    for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++) {
        snprintf(word, sizeof(word), "--%s", o->name);
        say(cli, prefix, word);
    }
    say(cli, prefix, "--json");
    say(cli, prefix, "--help");
}

/* "in|out|both": one of these words. */
static void complete_alternatives(struct cli *cli, const char *alternatives, const char *prefix)
{
    char copy[64], *rest, *word;

    snprintf(copy, sizeof(copy), "%s", alternatives);
    for (word = strtok_r(copy, "|", &rest); word != NULL; word = strtok_r(NULL, "|", &rest))
        say(cli, prefix, word);
}

static const char *const yes_no[] = { "yes", "no", NULL }, *const on_off[] = { "on", "off", NULL };

/* What an option's value is, by what the help calls it. */
static bool complete_option_value(struct cli *cli, const struct cli_command *command, const char *option, const char *prefix)
{
    for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++) {
        bool is_it = option[0] == '-' && (option[1] == '-' ? strcmp(option + 2, o->name) == 0 : option[1] == o->letter && option[2] == 0);

        if (!is_it || o->value == NULL)
            continue;
        if (strcmp(o->value, "FILE") == 0)
            complete_kind(cli, "files", prefix);
        if (strcmp(o->value, "FORMAT") == 0)
            complete_kind(cli, "formats", prefix);
        if (strcmp(o->value, "VBD") == 0)
            complete_kind(cli, "vbds", prefix);
        if (strcmp(o->value, "YES|NO") == 0 || strcmp(o->value, "ON|OFF") == 0)
            complete_list(cli, prefix, strcmp(o->value, "ON|OFF") == 0 ? on_off : yes_no);
        if (strchr(o->value, '|') != NULL && o->value[0] >= 'a' && o->value[0] <= 'z')
            complete_alternatives(cli, o->value, prefix);
        if (strcmp(o->value, "NETWORK") == 0)
            complete_kind(cli, "nics", prefix);
        if (strcmp(o->value, "KINDS") == 0)
            complete_kind(cli, "kinds", prefix);
        return true;
    }
    return false;
}

/* The kind of the n-th word of a command; the last kind repeats. */
static void kind_at(const char *kinds, int n, char kind[32])
{
    const char *at = kinds != NULL ? kinds : "none";

    for (; n > 0 && strchr(at, ' ') != NULL; n--)
        at = strchr(at, ' ') + 1;
    snprintf(kind, 32, "%.*s", (int)strcspn(at, " "), at);
}

static void complete_words(struct cli *cli, char **words, int count)
{
    const struct cli_command *command;
    const char *last = words[count - 1];
    char kind[32], group[64];
    int used, place = 0;

    command = cli_command_find(words, count - 1, &used);
    if (count == 1 || cli_command_group(words, count - 1, group) == count - 1) {
        complete_commands(cli, words, count - 1);
        if (count == 1 || command == NULL)
            return;
    }
    if (command == NULL)
        return;
    if (last[0] == '-') {
        complete_options(cli, command, last);
        return;
    }
    if (count - 1 > used && complete_option_value(cli, command, words[count - 2], last))
        return;
    for (int i = used; i < count - 1; i++)
        place += words[i][0] != '-';
    if (command->most >= 0 && place >= command->most)
        return;
    kind_at(command->complete, place, kind);
    complete_kind(cli, kind, last);
}

static int complete_run(struct cli *cli, const struct cli_args *args)
{
    cli->quiet_errors = true;
    if (args->count > 1 && strcmp(args->words[0], "words") == 0)
        complete_words(cli, args->words + 1, args->count - 1);
    else if (args->count != 0)
        complete_kind(cli, args->words[0], "");
    cli->exit = 0;
    return 0;
}

const struct cli_command cmd_complete = {
    .name = "__complete",
    .arguments = "KIND",
    .summary = "Words for the completion of the shell",
    .most = -1,
    .run = complete_run,
};
