/* SPDX-License-Identifier: MIT */
/*
 * Parameters of the scheduler module in charge, and their values as people write them.
 * Contract: sched-params.h. Tests: test-cli.c.
 */
#include "sched-params.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const type_names[] = { "uint", "ns", "bool" };

const char *sched_value_format(char to[FORMAT_BYTES], const struct collet_sched_param *p, uint64_t value)
{
    if (p->type == COLLET_PARAM_NS)
        return format_exact_ns(to, value);
    if (p->type == COLLET_PARAM_BOOL)
        return value != 0 ? "yes" : "no";
    snprintf(to, FORMAT_BYTES, "%" PRIu64, value);
    return to;
}

int sched_value_parse(struct cli *cli, const struct collet_sched_param *param, const char *text, uint64_t *value)
{
    static const char *const such_as[] = { "a number", "a time such as 10ms, 500us or 1s", "yes or no" };
    char least[FORMAT_BYTES], most[FORMAT_BYTES];
    int rc;

    if (param->type == COLLET_PARAM_NS)
        rc = parse_duration_ns(text, value);
    else if (param->type == COLLET_PARAM_BOOL)
        rc = parse_bool(text, value);
    else
        rc = parse_u64(text, value);
    if (rc == -EINVAL)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: '%s' is not %s", param->name, text, such_as[param->type < 3 ? param->type : 0]);
    if (rc != 0 || *value < param->minimum || *value > param->maximum)
        return cli_fail(cli, CLI_FAILED, "ERANGE", "%s: %s is out of range; from %s to %s", param->name, text, sched_value_format(least, param, param->minimum),
                        sched_value_format(most, param, param->maximum));
    return 0;
}

const char *sched_type_name(uint32_t type)
{
    return type < 3 ? type_names[type] : "unknown";
}

int sched_params_load(struct cli *cli, struct sched_params *p)
{
    struct collet_sched_status status;
    int exit = cli_open(cli), rc;

    *p = (struct sched_params){ .what = "scheduler", .shown_by = "sched show" };
    if (exit != 0)
        return exit;
    rc = collet_sched_status(cli->collet, &status);
    if (rc == 0) {
        memcpy(p->module, status.active, sizeof(p->module));
        rc = p->count = collet_sched_params(cli->collet, NULL, &p->list);
    }
    return rc < 0 ? cli_fail_collet(cli, rc, "parameters of the scheduler") : 0;
}

/* Times may be named without the unit of the hypervisor: warp for warp_ns. */
bool sched_param_is(const struct collet_sched_param *p, const char *word, size_t length)
{
    size_t whole = strlen(p->name);

    if (memcmp(p->name, word, length < whole ? length : whole) != 0)
        return false;
    return whole == length || (whole == length + 3 && strcmp(p->name + length, "_ns") == 0);
}

const struct collet_sched_param *sched_params_find(struct cli *cli, const struct sched_params *p, const char *name, size_t length)
{
    const char *names[128], *near;
    char word[COLLET_NAME_MAX * 2];
    size_t known = 0;

    for (int i = 0; i < p->count; i++)
        if (sched_param_is(&p->list[i], name, length))
            return &p->list[i];
    for (int i = 0; i < p->count && known < 128; i++)
        names[known++] = p->list[i].name;
    snprintf(word, sizeof(word), "%.*s", (int)length, name);
    near = cli_nearest(word, names, known);
    if (near != NULL)
        cli_fail(cli, CLI_NO_SUCH, "ENOENT", "%s %s has no parameter '%s'; did you mean %s?", p->what, p->module, word, near);
    else
        cli_fail(cli, CLI_NO_SUCH, "ENOENT", "%s %s has no parameter '%s'; `collet %s` lists them", p->what, p->module, word, p->shown_by);
    return NULL;
}

const char *sched_scopes_text(uint32_t scopes)
{
    static const char *const texts[8] = { "-", "all", "domain", "all, domain", "vcpu", "all, vcpu", "domain, vcpu", "all, domain, vcpu" };

    return texts[scopes & (COLLET_SCOPE_MODULE | COLLET_SCOPE_DOMAIN | COLLET_SCOPE_VCPU)];
}
