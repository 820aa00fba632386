/* SPDX-License-Identifier: MIT */
/*
 * `collet sched get` and `collet sched set`.
 * Values are checked against the module's own declaration before they are sent, so that a mistake is told with what would be right; the hypervisor checks
 * again, and sets all of one command or nothing.
 * Tests: test-cli.c.
 */
#include "commands.h"
#include "sched-params.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The first word is a target unless it is (part of) a parameter; sets scope, domain and vCPU. 0 or an exit code; *used: words taken. */
static int take_target(struct cli *cli, const struct sched_params *p, const struct cli_args *args, struct collet_sched_value *target, int *used)
{
    struct collet_domain_info info;
    uint32_t vcpu;
    int exit;

    *target = (struct collet_sched_value){ .scope = COLLET_SCOPE_MODULE };
    *used = 0;
    if (args->count == 0 || strchr(args->words[0], '=') != NULL)
        return 0;
    for (int i = 0; i < p->count; i++)
        if (sched_param_is(&p->list[i], args->words[0], strlen(args->words[0])))
            return 0;
    exit = cli_domain_vcpu(cli, args->words[0], &info, &vcpu);
    if (exit != 0)
        return exit;
    *used = 1;
    target->domid = info.domid;
    target->scope = vcpu == COLLET_VCPU_ALL ? COLLET_SCOPE_DOMAIN : COLLET_SCOPE_VCPU;
    target->vcpu = vcpu == COLLET_VCPU_ALL ? 0 : vcpu;
    return 0;
}

static const char *scope_words(uint32_t scope)
{
    return scope == COLLET_SCOPE_MODULE ? "for all" : scope == COLLET_SCOPE_DOMAIN ? "for a domain" : "for a vCPU";
}

static int check_scope(struct cli *cli, const struct sched_params *p, const struct collet_sched_param *param, uint32_t scope)
{
    if (param->scopes & scope)
        return 0;
    return cli_fail(cli, CLI_FAILED, "EOPNOTSUPP", "%s: parameter %s cannot be set %s, only for: %s", p->module, param->name, scope_words(scope),
                    sched_scopes_text(param->scopes));
}

static int parse_setting(struct cli *cli, const struct sched_params *p, const char *word, const struct collet_sched_value *target,
                         struct collet_sched_value *value)
{
    const char *equals = strchr(word, '=');
    const struct collet_sched_param *param;
    int exit;

    if (equals == NULL || equals == word)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "sched set: '%s' is not of the form parameter=value", word);
    param = sched_params_find(cli, p, word, (size_t)(equals - word));
    if (param == NULL)
        return CLI_NO_SUCH;
    exit = check_scope(cli, p, param, target->scope);
    if (exit != 0)
        return exit;
    *value = *target;
    memcpy(value->name, param->name, sizeof(value->name));
    return sched_value_parse(cli, param, equals + 1, &value->value);
}

static json_t *values_json(const struct sched_params *p, const struct collet_sched_value *values, int count)
{
    json_t *object = json_object(), *all = json_object();

    for (int i = 0; i < count; i++)
        json_object_set_new(all, values[i].name, json_integer((json_int_t)values[i].value));
    json_object_set_new(object, "module", json_string(p->module));
    if (count > 0 && values[0].scope != COLLET_SCOPE_MODULE)
        json_object_set_new(object, "domid", json_integer(values[0].domid));
    if (count > 0 && values[0].scope == COLLET_SCOPE_VCPU)
        json_object_set_new(object, "vcpu", json_integer(values[0].vcpu));
    json_object_set_new(object, "values", all);
    return object;
}

static int set_values(struct cli *cli, const struct sched_params *p, struct collet_sched_value *values, int count)
{
    unsigned int failed = (unsigned int)count;
    int rc = collet_sched_set(cli->collet, p->module, values, (unsigned int)count, &failed);

    if (rc == -ESTALE)
        return cli_fail(cli, CLI_FAILED, "ESTALE", "another scheduler than %s has just taken over; nothing was set", p->module);
    if (rc < 0 && failed < (unsigned int)count)
        return cli_fail_collet(cli, rc, "%s=%" PRIu64 ": nothing was set", values[failed].name, values[failed].value);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "nothing was set");
    cli_result(cli, values_json(p, values, count));
    return 0;
}

static int sched_set_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_value target, *values = calloc((size_t)args->count + 1, sizeof(*values));
    struct sched_params p;
    int used = 0, exit = sched_params_load(cli, &p);

    if (values == NULL && exit == 0)
        exit = cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    if (exit == 0)
        exit = take_target(cli, &p, args, &target, &used);
    if (exit == 0 && used == args->count)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "sched set: no parameter=value is given");
    if (exit == 0 && args->count - used > (int)COLLET_SCHED_VALUES_MAX)
        exit = cli_fail(cli, CLI_USAGE, "E2BIG", "sched set: at most %u at once", COLLET_SCHED_VALUES_MAX);
    for (int i = used; i < args->count && exit == 0; i++)
        exit = parse_setting(cli, &p, args->words[i], &target, &values[i - used]);
    if (exit == 0)
        exit = set_values(cli, &p, values, args->count - used);
    free(values);
    free(p.list);
    return exit;
}

static int get_one(struct cli *cli, const struct sched_params *p, const struct collet_sched_param *param, struct collet_sched_value *value)
{
    char text[FORMAT_BYTES];
    unsigned int failed;
    int rc;

    memcpy(value->name, param->name, sizeof(value->name));
    rc = collet_sched_get(cli->collet, p->module, value, 1, &failed);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "%s", param->name);
    if (!cli->json)
        fprintf(cli->out, "%s=%s\n", param->name, sched_value_format(text, param, value->value));
    return 0;
}

static int sched_get_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_value target = { 0 }, *values = NULL;
    const struct collet_sched_param *param;
    struct sched_params p;
    int used = 0, count = 0, exit = sched_params_load(cli, &p);

    if (exit == 0)
        exit = take_target(cli, &p, args, &target, &used);
    if (exit == 0)
        values = calloc((size_t)p.count + (size_t)args->count + 1, sizeof(*values));
    for (int i = used; i < args->count && exit == 0 && values != NULL; i++) {
        param = sched_params_find(cli, &p, args->words[i], strlen(args->words[i]));
        exit = param == NULL ? CLI_NO_SUCH : check_scope(cli, &p, param, target.scope);
        values[count] = target;
        if (exit == 0)
            exit = get_one(cli, &p, param, &values[count++]);
    }
    for (int i = 0; used == args->count && i < p.count && exit == 0 && values != NULL; i++) {
        values[count] = target;
        if (p.list[i].scopes & target.scope)
            exit = get_one(cli, &p, &p.list[i], &values[count++]);
    }
    if (exit == 0)
        cli_result(cli, values_json(&p, values, count));
    free(values);
    free(p.list);
    return exit;
}

#define TARGET_TEXT "Without a DOMAIN: of the module, for every vCPU that has no value of its own. DOMAIN/VCPU is one vCPU, as web/0."

const struct cli_command cmd_sched_get = {
    .name = "sched get",
    .arguments = "[DOMAIN[/VCPU]] [PARAMETER...]",
    .summary = "Print values of parameters, as `sched set` takes them",
    .description = TARGET_TEXT,
    .examples = "  collet sched get\n  collet sched get web weight\n  collet sched set db $(collet sched get web)",
    .complete = "targets params",
    .most = -1,
    .run = sched_get_run,
};

const struct cli_command cmd_sched_set = {
    .name = "sched set",
    .arguments = "[DOMAIN[/VCPU]] PARAMETER=VALUE...",
    .summary = "Set parameters of the scheduler; all of them or none",
    .description = TARGET_TEXT "\nTimes take a unit: 10ms, 500us, 1s; without one they are nanoseconds. warp is short for warp_ns.",
    .examples = "  collet sched set web weight=512\n  collet sched set web/0 warp_ns=5ms warp_limit_ns=1ms\n  collet sched set allowance_ns=2ms",
    .complete = "targets settings",
    .least = 1,
    .most = -1,
    .run = sched_set_run,
};
