/* SPDX-License-Identifier: MIT */
/*
 * `collet destroy`: end domains at once. Through colletd, so that its policies and consoles follow; with --force by the hypervisor alone.
 * Tests: test-cli.c.
 */
#include "client.h"
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_NUMBER 0xffffffffu /* it has none at this moment */

struct targets {
    struct collet_domain_info *infos;
    int count;
};

static int all_targets(struct cli *cli, struct targets *targets)
{
    int count = collet_domains(cli->collet, &targets->infos), kept = 0;

    if (count < 0)
        return cli_fail_collet(cli, count, "the list of domains");
    for (int i = 0; i < count; i++)
        if (!(targets->infos[i].flags & COLLET_DOMAIN_PRIVILEGED))
            targets->infos[kept++] = targets->infos[i];
    targets->count = kept;
    return 0;
}

/* One that is being made, or waits for its restart, is known to colletd alone. */
static bool is_coming(struct cli *cli, const char *name, struct collet_domain_info *info)
{
    json_t *known = client_ask_quietly(cli, "domains"), *entry;
    bool found = false;
    size_t i;

    json_array_foreach(known, i, entry) if (json_is_null(json_object_get(entry, "domid")) && strcmp(client_text(entry, "name"), name) == 0 &&
                                            strcmp(client_text(entry, "state"), "ended") != 0) found = true;
    json_decref(known);
    if (found) {
        *info = (struct collet_domain_info){ .domid = NO_NUMBER };
        snprintf(info->name, sizeof(info->name), "%s", name);
    }
    return found;
}

static int target_find(struct cli *cli, const char *word, bool force, struct collet_domain_info *info)
{
    int rc = cli_open(cli);

    if (rc == 0 && !force && collet_domain_find(cli->collet, word, info) == -ESRCH && is_coming(cli, word, info))
        return 0;
    return rc != 0 ? rc : cli_domain(cli, word, info);
}

static int named_targets(struct cli *cli, const struct cli_args *args, struct targets *targets)
{
    int exit = 0;

    targets->infos = calloc((size_t)args->count + 1, sizeof(*targets->infos));
    if (targets->infos == NULL)
        return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    for (int i = 0; i < args->count && exit == 0; i++) {
        exit = target_find(cli, args->words[i], cli_flag(args, "force"), &targets->infos[i]);
        if (exit == 0 && (targets->infos[i].flags & COLLET_DOMAIN_PRIVILEGED))
            exit = cli_fail(cli, CLI_FAILED, "EINVAL", "%s is the domain that you are in; `poweroff` ends the machine", targets->infos[i].name);
    }
    targets->count = args->count;
    return exit;
}

static bool confirmed(struct cli *cli, const struct targets *targets)
{
    char answer[16] = "";

    if (!isatty(0) || !cli->terminal)
        return false;
    fprintf(cli->err, "Destroy %d domain%s? [y/N] ", targets->count, targets->count == 1 ? "" : "s");
    fflush(cli->err);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static int destroy_one(struct cli *cli, const struct collet_domain_info *info, bool force)
{
    json_t *result = NULL;
    int rc;

    if (!force) {
        rc = client_ask(cli, json_pack("{s:s, s:s}", "op", "destroy", "domain", info->name), 120000, &result);
        json_decref(result);
        return rc;
    }
    rc = collet_domain_destroy(cli->collet, info->domid);
    return rc < 0 ? cli_fail_collet(cli, rc, "destroy %s", info->name) : 0;
}

static json_t *number_of(const struct collet_domain_info *info)
{
    return info->domid != NO_NUMBER ? json_integer((json_int_t)info->domid) : json_null();
}

/* One that cannot be destroyed does not save the others, unless there is nobody to ask. */
static int destroy_targets(struct cli *cli, const struct targets *targets, bool force, json_t *done)
{
    int exit = 0;

    for (int i = 0; i < targets->count && exit != CLI_NO_DAEMON; i++) {
        int rc = destroy_one(cli, &targets->infos[i], force);

        if (rc == 0)
            json_array_append_new(done, json_pack("{s:o, s:s}", "domid", number_of(&targets->infos[i]), "name", targets->infos[i].name));
        else if (exit == 0 || rc == CLI_NO_DAEMON)
            exit = rc;
    }
    if (exit == CLI_NO_DAEMON && !cli->json)
        fputs("collet: `collet destroy --force` works without colletd\n", cli->err);
    return exit;
}

static int destroy_run(struct cli *cli, const struct cli_args *args)
{
    struct targets targets = { 0 };
    json_t *done = json_array();
    bool all = cli_flag(args, "all");
    int exit = cli_open(cli);

    if (exit == 0 && all == (args->count != 0))
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "destroy: name the domains, or say --all");
    if (exit == 0)
        exit = all ? all_targets(cli, &targets) : named_targets(cli, args, &targets);
    if (exit == 0 && all && targets.count != 0 && !cli_flag(args, "yes") && !confirmed(cli, &targets))
        exit = cli_fail(cli, CLI_FAILED, "ECANCELED", "nothing was destroyed: --all wants a `y`, or --yes");
    if (exit == 0)
        exit = destroy_targets(cli, &targets, cli_flag(args, "force"), done);
    cli_result(cli, json_pack("{s:o}", "domains", done));
    free(targets.infos);
    return exit;
}

static const struct cli_option destroy_options[] = {
    { "force", NULL, "without colletd, by the hypervisor alone", 'f' },
    { "all", NULL, "every domain but Domain0", 'a' },
    { "yes", NULL, "do not ask", 'y' },
    { 0 },
};

const struct cli_command cmd_destroy = {
    .name = "destroy",
    .arguments = "DOMAIN... | --all",
    .summary = "End domains at once, as if their power was cut",
    .description = "`collet shutdown` asks the guest first. Names are looked up before anything is destroyed.",
    .examples = "  collet destroy web\n  collet destroy a b c\n  collet destroy --all --yes\n  collet destroy --force web",
    .options = destroy_options,
    .complete = "domains",
    .most = -1,
    .run = destroy_run,
    .daemon = true,
};
