/* SPDX-License-Identifier: MIT */
/*
 * `collet disk get` and `collet disk set`: parameters of the module that orders a disk, for the disk or for one VBD.
 * Values are checked against the module's own declaration before they are sent, so that a mistake is told with what would be right; the hypervisor checks
 * again, and sets all of one command or nothing.
 * Tests: test-disk.c.
 */
#include "block.h"
#include "commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a command is about. */
struct target {
    struct collet_disk_info disk;
    struct sched_params params;     /* .list for free() */
    struct collet_disk_value value; /* scope and VBD */
    char vbd_name[VBD_NAME_BYTES];
};

static int take_vbd(struct cli *cli, const char *word, struct target *target)
{
    const struct collet_vbd_info *vbd;
    struct vbd_list list;
    int exit = vbd_list_load(cli, &list);

    if (exit == 0) {
        vbd = vbd_find(cli, &list, word);
        exit = vbd == NULL ? CLI_NO_SUCH : 0;
        if (exit == 0) {
            target->value = (struct collet_disk_value){ .scope = COLLET_DISK_SCOPE_VBD, .vbd = vbd->vbd };
            vbd_name(target->vbd_name, &list, vbd);
            if (!(vbd_disks(cli, vbd->vbd) & 1ull << target->disk.disk))
                exit = cli_fail(cli, CLI_NO_SUCH, "ESRCH", "VBD %s does not lie on %s", target->vbd_name, target->disk.name);
        }
    }
    vbd_list_free(&list);
    return exit;
}

static int take_target(struct cli *cli, const struct cli_args *args, struct target *target)
{
    const char *vbd = cli_option(args, "vbd");
    int exit;

    memset(target, 0, sizeof(*target));
    target->value.scope = COLLET_DISK_SCOPE_DISK;
    exit = cli_disk(cli, args->words[0], &target->disk);
    if (exit == 0)
        exit = disk_params_load(cli, &target->disk, &target->params);
    if (exit == 0 && vbd != NULL)
        exit = take_vbd(cli, vbd, target);
    return exit;
}

static int check_scope(struct cli *cli, const struct target *target, const struct collet_sched_param *param)
{
    bool of_vbd = target->value.scope == COLLET_DISK_SCOPE_VBD;

    if (param->scopes & target->value.scope)
        return 0;
    if (of_vbd)
        return cli_fail(cli, CLI_FAILED, "EOPNOTSUPP", "%s: parameter %s is of a disk; leave --vbd out", target->params.module, param->name);
    return cli_fail(cli, CLI_FAILED, "EOPNOTSUPP", "%s: parameter %s is of single VBDs; name one with --vbd DOMAIN/NAME", target->params.module, param->name);
}

static int parse_setting(struct cli *cli, const struct target *target, const char *word, struct collet_disk_value *value)
{
    const char *equals = strchr(word, '=');
    const struct collet_sched_param *param;
    int exit;

    if (equals == NULL || equals == word)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "disk set: '%s' is not of the form parameter=value", word);
    param = sched_params_find(cli, &target->params, word, (size_t)(equals - word));
    if (param == NULL)
        return CLI_NO_SUCH;
    exit = check_scope(cli, target, param);
    if (exit != 0)
        return exit;
    *value = target->value;
    memcpy(value->name, param->name, sizeof(value->name));
    return sched_value_parse(cli, param, equals + 1, &value->value);
}

static json_t *values_json(const struct target *target, const struct collet_disk_value *values, int count)
{
    json_t *all = json_object(), *object = json_pack("{s:s, s:s}", "disk", target->disk.name, "module", target->params.module);

    for (int i = 0; i < count; i++)
        json_object_set_new(all, values[i].name, json_integer((json_int_t)values[i].value));
    if (target->value.scope == COLLET_DISK_SCOPE_VBD) {
        json_object_set_new(object, "vbd", json_integer(target->value.vbd));
        json_object_set_new(object, "vbd_name", json_string(target->vbd_name));
    }
    json_object_set_new(object, "values", all);
    return object;
}

static int set_values(struct cli *cli, const struct target *target, struct collet_disk_value *values, int count)
{
    unsigned int failed = (unsigned int)count;
    int rc = collet_disk_set(cli->collet, target->disk.disk, target->params.module, values, (unsigned int)count, &failed);

    if (rc == -ESTALE)
        return cli_fail(cli, CLI_FAILED, "ESTALE", "another module than %s orders %s since just now; nothing was set", target->params.module,
                        target->disk.name);
    if (rc < 0 && failed < (unsigned int)count)
        return cli_fail_collet(cli, rc, "%s=%" PRIu64 ": nothing was set", values[failed].name, values[failed].value);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "nothing was set");
    cli_result(cli, values_json(target, values, count));
    return 0;
}

static int disk_set_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_disk_value *values = calloc((size_t)args->count, sizeof(*values));
    int count = args->count - 1, exit;
    struct target target;

    exit = take_target(cli, args, &target);
    if (exit == 0 && values == NULL)
        exit = cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    if (exit == 0 && count > (int)COLLET_SCHED_VALUES_MAX)
        exit = cli_fail(cli, CLI_USAGE, "E2BIG", "disk set: at most %u at once", COLLET_SCHED_VALUES_MAX);
    for (int i = 0; i < count && exit == 0; i++)
        exit = parse_setting(cli, &target, args->words[i + 1], &values[i]);
    if (exit == 0)
        exit = set_values(cli, &target, values, count);
    free(values);
    free(target.params.list);
    return exit;
}

static int get_one(struct cli *cli, const struct target *target, const struct collet_sched_param *param, struct collet_disk_value *value)
{
    char text[FORMAT_BYTES];
    int rc;

    *value = target->value;
    memcpy(value->name, param->name, sizeof(value->name));
    rc = collet_disk_get(cli->collet, target->disk.disk, target->params.module, value, 1, NULL);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "%s", param->name);
    if (!cli->json)
        fprintf(cli->out, "%s=%s\n", param->name, sched_value_format(text, param, value->value));
    return 0;
}

static int disk_get_run(struct cli *cli, const struct cli_args *args)
{
    const struct collet_sched_param *param;
    struct collet_disk_value *values = NULL;
    struct target target;
    int count = 0, exit = take_target(cli, args, &target);

    if (exit == 0)
        values = calloc((size_t)target.params.count + (size_t)args->count, sizeof(*values));
    for (int i = 1; i < args->count && exit == 0 && values != NULL; i++) {
        param = sched_params_find(cli, &target.params, args->words[i], strlen(args->words[i]));
        exit = param == NULL ? CLI_NO_SUCH : check_scope(cli, &target, param);
        if (exit == 0)
            exit = get_one(cli, &target, param, &values[count++]);
    }
    for (int i = 0; args->count == 1 && i < target.params.count && exit == 0 && values != NULL; i++)
        if (target.params.list[i].scopes & target.value.scope)
            exit = get_one(cli, &target, &target.params.list[i], &values[count++]);
    if (exit == 0)
        cli_result(cli, values_json(&target, values, count));
    free(values);
    free(target.params.list);
    return exit;
}

#define TARGET_TEXT "Without --vbd: of the disk, for every VBD that has no value of its own."

static const struct cli_option target_options[] = {
    { "vbd", "VBD", "of one VBD: DOMAIN/NAME or its id", 'b' },
    { 0 },
};

const struct cli_command cmd_disk_get = {
    .name = "disk get",
    .arguments = "DISK [PARAMETER...]",
    .summary = "Print values of the disk module's parameters, as `disk set` takes them",
    .description = TARGET_TEXT,
    .examples = "  collet disk get disk0\n  collet disk get disk0 weight --vbd web/root",
    .options = target_options,
    .complete = "disks disk-params",
    .least = 1,
    .most = -1,
    .run = disk_get_run,
};

const struct cli_command cmd_disk_set = {
    .name = "disk set",
    .arguments = "DISK PARAMETER=VALUE...",
    .summary = "Set parameters of the module that orders a disk; all of them or none",
    .description = TARGET_TEXT "\nTimes take a unit: 10ms, 500us, 1s; without one they are nanoseconds. read_expire is short for read_expire_ns.",
    .examples = "  collet disk set disk0 read_expire=100ms\n  collet disk set disk0 weight=300 --vbd web/root",
    .options = target_options,
    .complete = "disks disk-settings",
    .least = 2,
    .most = -1,
    .run = disk_set_run,
};
