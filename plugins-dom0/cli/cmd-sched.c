/* SPDX-License-Identifier: MIT */
/*
 * `collet sched`: which scheduler module runs, and its parameters.
 * Values are checked against the module's own declaration before they are sent, so that a mistake is told with what would be right; the hypervisor checks
 * again, and sets all of one command or nothing.
 * Tests: test-cli.c.
 */
#include "commands.h"
#include "format.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = { "uint", "ns", "bool" };

static const char *format_value(char to[FORMAT_BYTES], const struct collet_sched_param *p, uint64_t value)
{
    if (p->type == COLLET_PARAM_NS)
        return format_exact_ns(to, value);
    if (p->type == COLLET_PARAM_BOOL)
        return value != 0 ? "yes" : "no";
    snprintf(to, FORMAT_BYTES, "%" PRIu64, value);
    return to;
}

static const char *type_name(uint32_t type)
{
    return type < 3 ? type_names[type] : "unknown";
}

/* ---- The modules ---- */

static int sched_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_module *modules = NULL;
    json_t *list = json_array();
    struct table *t;
    int count = cli_open(cli);

    (void)args;
    if (count == 0) {
        count = collet_sched_modules(cli->collet, &modules);
        count = count < 0 ? -cli_fail_collet(cli, count, "the list of modules") : count;
    } else {
        count = -count;
    }
    if (count < 0) {
        json_decref(list);
        return -count;
    }
    t = table_new("<|Name<|Parameters>|Summary<");
    for (int i = 0; i < count; i++) {
        table_cell(t, "%s", modules[i].active ? "*" : "");
        table_cell(t, "%s", modules[i].name);
        table_cell(t, "%u", modules[i].params);
        table_cell(t, "%s", modules[i].summary);
        json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:o}", "name", modules[i].name, "active", modules[i].active, "params", (int)modules[i].params,
                                              "summary", cli_json_text(modules[i].summary)));
    }
    table_end(t, cli->json ? NULL : cli->out, NULL);
    cli_result(cli, json_pack("{s:o}", "modules", list));
    free(modules);
    return 0;
}

const struct cli_command cmd_sched_list = {
    .name = "sched list",
    .arguments = "",
    .summary = "List the scheduler modules; a star marks the one in charge",
    .complete = "none",
    .run = sched_list_run,
};

static int no_such_module(struct cli *cli, const char *word)
{
    struct collet_sched_module *modules = NULL;
    int count = collet_sched_modules(cli->collet, &modules), exit;
    const char *names[64], *near;
    size_t known = 0;

    for (int i = 0; i < count && known < 64; i++)
        names[known++] = modules[i].name;
    near = cli_nearest(word, names, known);
    if (near != NULL)
        exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no scheduler module '%s'; did you mean %s?", word, near);
    else
        exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no scheduler module '%s'; `collet sched list` shows them", word);
    free(modules);
    return exit;
}

static int sched_use_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_status before, after;
    int exit = cli_open(cli), rc;

    if (exit != 0)
        return exit;
    rc = collet_sched_status(cli->collet, &before);
    if (rc == 0)
        rc = collet_sched_use(cli->collet, args->words[0]);
    if (rc == -ENOENT)
        return no_such_module(cli, args->words[0]);
    if (rc == 0)
        rc = collet_sched_status(cli->collet, &after);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "sched use %s", args->words[0]);
    if (!cli->json)
        fprintf(cli->out, "%s (before: %s)\n", after.active, before.active);
    cli_result(cli, json_pack("{s:s, s:s}", "active", after.active, "before", before.active));
    return 0;
}

const struct cli_command cmd_sched_use = {
    .name = "sched use",
    .arguments = "MODULE",
    .summary = "Let another scheduler module take over, while all runs",
    .description = "Every vCPU is carried across. Parameters that both modules have keep their values for domains and vCPUs.",
    .examples = "  collet sched use rr",
    .complete = "modules",
    .least = 1,
    .most = 1,
    .run = sched_use_run,
};

/* ---- Parameters ---- */

struct params {
    struct collet_sched_param *list;
    int count;
    char module[COLLET_NAME_MAX]; /* the one in charge, whose they are */
};

static int load_params(struct cli *cli, struct params *p)
{
    struct collet_sched_status status;
    int exit = cli_open(cli), rc;

    *p = (struct params){ 0 };
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
static bool is_param(const struct collet_sched_param *p, const char *word, size_t length)
{
    size_t whole = strlen(p->name);

    if (memcmp(p->name, word, length < whole ? length : whole) != 0)
        return false;
    return whole == length || (whole == length + 3 && strcmp(p->name + length, "_ns") == 0);
}

static const struct collet_sched_param *find_param(struct cli *cli, const struct params *p, const char *name, size_t length)
{
    const char *names[128], *near;
    char word[COLLET_NAME_MAX * 2];
    size_t known = 0;

    for (int i = 0; i < p->count; i++)
        if (is_param(&p->list[i], name, length))
            return &p->list[i];
    for (int i = 0; i < p->count && known < 128; i++)
        names[known++] = p->list[i].name;
    snprintf(word, sizeof(word), "%.*s", (int)length, name);
    near = cli_nearest(word, names, known);
    if (near != NULL)
        cli_fail(cli, CLI_NO_SUCH, "ENOENT", "scheduler %s has no parameter '%s'; did you mean %s?", p->module, word, near);
    else
        cli_fail(cli, CLI_NO_SUCH, "ENOENT", "scheduler %s has no parameter '%s'; `collet sched show` lists them", p->module, word);
    return NULL;
}

static const char *scopes_text(uint32_t scopes)
{
    static const char *const texts[8] = { "-", "all", "domain", "all, domain", "vcpu", "all, vcpu", "domain, vcpu", "all, domain, vcpu" };

    return texts[scopes & (COLLET_SCOPE_MODULE | COLLET_SCOPE_DOMAIN | COLLET_SCOPE_VCPU)];
}

static void print_params(struct cli *cli, const struct params *p, const char *value_title, uint32_t scope, uint32_t domid, json_t *json)
{
    struct table *t = table_new("Parameter<|Value>|Least>|Most>|Default>|For<|Meaning<");
    char text[FORMAT_BYTES];

    for (int i = 0; i < p->count; i++) {
        const struct collet_sched_param *param = &p->list[i];
        struct collet_sched_value v = { .scope = scope, .domid = domid };
        unsigned int failed;
        bool known = false;

        memcpy(v.name, param->name, sizeof(v.name));
        if (param->scopes & scope)
            known = collet_sched_get(cli->collet, p->module, &v, 1, &failed) == 0;
        if (!known && scope != COLLET_SCOPE_MODULE)
            continue;
        table_cell(t, "%s", param->name);
        table_cell(t, "%s", known ? format_value(text, param, v.value) : "-");
        table_cell(t, "%s", format_value(text, param, param->minimum));
        table_cell(t, "%s", format_value(text, param, param->maximum));
        table_cell(t, "%s", format_value(text, param, param->initial));
        table_cell(t, "%s", scopes_text(param->scopes));
        table_cell(t, "%s", param->help);
        json_array_append_new(json, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:b, s:b, s:b, s:o}", "name", param->name, "type", type_name(param->type),
                                              "value", known ? json_integer((json_int_t)v.value) : json_null(), "minimum", (json_int_t)param->minimum,
                                              "maximum", (json_int_t)param->maximum, "initial", (json_int_t)param->initial, "for_module",
                                              param->scopes & COLLET_SCOPE_MODULE, "for_domain", param->scopes & COLLET_SCOPE_DOMAIN, "for_vcpu",
                                              param->scopes & COLLET_SCOPE_VCPU, "help", cli_json_text(param->help)));
    }
    if (!cli->json)
        fprintf(cli->out, "\n%s\n", value_title);
    table_end(t, cli->json ? NULL : cli->out, "  none");
}

/* ---- sched show ---- */

static json_t *queues_json(const struct collet_sched_status *s)
{
    json_t *list = json_array();

    for (unsigned int cpu = 0; cpu < s->cpus && cpu < COLLET_VCPUS_MAX; cpu++)
        json_array_append_new(list, json_pack("{s:i, s:I, s:I, s:I, s:I, s:i, s:i}", "cpu", (int)cpu, "switches", (json_int_t)s->queues[cpu].switches, "runs",
                                              (json_int_t)s->queues[cpu].runs, "preemptions", (json_int_t)s->queues[cpu].preemptions, "steals",
                                              (json_int_t)s->queues[cpu].steals, "waiting", (int)s->queues[cpu].waiting, "homed", (int)s->queues[cpu].homed));
    return list;
}

static json_t *faults_json(const struct collet_sched_status *s)
{
    json_t *object = json_object();

    for (int i = 0; i < COLLET_SCHED_FAULTS; i++)
        if (s->fault_names[i][0] != 0)
            json_object_set_new(object, s->fault_names[i], json_integer((json_int_t)s->faults[i]));
    return object;
}

static json_t *status_json(const struct collet_sched_status *s, json_t *params)
{
    return json_pack(
        "{s:s, s:I, s:I, s:o, s:I, s:o, s:o, s:o}", "active", s->active, "since_ns", (json_int_t)s->since_ns, "uses", (json_int_t)s->uses, "dropped",
        s->dropped[0] != 0 ? json_pack("{s:s, s:o, s:I}", "module", s->dropped, "why", cli_json_text(s->dropped_why), "at_ns", (json_int_t)s->dropped_ns)
                           : json_null(),
        "watchdog_ns", (json_int_t)s->watchdog_ns, "faults", faults_json(s), "queues", queues_json(s), "params", params);
}

static void print_queues(struct cli *cli, const struct collet_sched_status *s)
{
    struct table *t = table_new("CPU>|Waiting>|Homed>|Switches>|Runs>|Preemptions>|Steals>");

    for (unsigned int cpu = 0; cpu < s->cpus && cpu < COLLET_VCPUS_MAX; cpu++) {
        table_cell(t, "%u", cpu);
        table_cell(t, "%u", s->queues[cpu].waiting);
        table_cell(t, "%u", s->queues[cpu].homed);
        table_cell(t, "%" PRIu64, s->queues[cpu].switches);
        table_cell(t, "%" PRIu64, s->queues[cpu].runs);
        table_cell(t, "%" PRIu64, s->queues[cpu].preemptions);
        table_cell(t, "%" PRIu64, s->queues[cpu].steals);
    }
    fputc('\n', cli->out);
    table_end(t, cli->out, NULL);
}

static void print_status(struct cli *cli, const struct collet_sched_status *s, uint64_t now_ns)
{
    char text[FORMAT_BYTES], at[FORMAT_BYTES];
    bool any = false;

    fprintf(cli->out, "scheduler %s, for %s (since %s after boot); modules put in charge since boot: %" PRIu64 "\n", s->active,
            format_uptime(text, now_ns - s->since_ns), format_uptime(at, s->since_ns), s->uses);
    if (s->dropped[0] != 0)
        fprintf(cli->out, "last dropped: %s, at %s: %s\n", s->dropped, format_uptime(text, s->dropped_ns), s->dropped_why);
    else
        fputs("no module was dropped\n", cli->out);
    fprintf(cli->out, "bad answers:");
    for (int i = 0; i < COLLET_SCHED_FAULTS; i++)
        if (s->fault_names[i][0] != 0 && s->faults[i] != 0) {
            fprintf(cli->out, "%s %s %" PRIu64, any ? "," : "", s->fault_names[i], s->faults[i]);
            any = true;
        }
    fprintf(cli->out, "%s\n", any ? "" : " none");
    if (s->watchdog_ns != 0)
        fprintf(cli->out, "watchdog: a runnable vCPU may wait %s\n", format_exact_ns(text, s->watchdog_ns));
    else
        fputs("watchdog: off\n", cli->out);
    print_queues(cli, s);
}

static int show_module(struct cli *cli, const struct params *p)
{
    struct collet_sched_status status;
    struct collet_machine m;
    json_t *list;
    int rc = collet_sched_status(cli->collet, &status);

    if (rc == 0)
        rc = collet_machine(cli->collet, &m);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "the scheduler");
    list = json_array();
    if (!cli->json)
        print_status(cli, &status, m.now_ns);
    print_params(cli, p, "Parameters; the value is that of domains and vCPUs that have none of their own:", COLLET_SCOPE_MODULE, 0, list);
    cli_result(cli, status_json(&status, list));
    return 0;
}

static void show_vcpu_values(struct cli *cli, const struct params *p, const struct collet_domain_info *info, json_t *json)
{
    struct table *t = table_new("VCPU>|Parameter<|Value>");
    char text[FORMAT_BYTES];
    unsigned int failed;

    for (uint32_t vcpu = 0; vcpu < info->vcpus_max; vcpu++)
        for (int i = 0; i < p->count; i++) {
            struct collet_sched_value v = { .scope = COLLET_SCOPE_VCPU, .domid = info->domid, .vcpu = vcpu };

            memcpy(v.name, p->list[i].name, sizeof(v.name));
            if (!(p->list[i].scopes & COLLET_SCOPE_VCPU) || collet_sched_get(cli->collet, p->module, &v, 1, &failed) != 0)
                continue;
            table_cell(t, "%u", vcpu);
            table_cell(t, "%s", p->list[i].name);
            table_cell(t, "%s", format_value(text, &p->list[i], v.value));
            json_array_append_new(json, json_pack("{s:i, s:s, s:I}", "vcpu", (int)vcpu, "name", p->list[i].name, "value", (json_int_t)v.value));
        }
    if (!cli->json)
        fputs("\nOf its vCPUs:\n", cli->out);
    table_end(t, cli->json ? NULL : cli->out, "  nothing can be set for a vCPU");
}

static int show_domain(struct cli *cli, const struct params *p, const char *word)
{
    struct collet_domain_info info;
    json_t *list, *vcpus;
    char title[128];
    int exit = cli_domain(cli, word, &info);

    if (exit != 0)
        return exit;
    list = json_array();
    vcpus = json_array();
    if (!cli->json)
        fprintf(cli->out, "scheduler %s, domain %s (%u)\n", p->module, info.name, info.domid);
    snprintf(title, sizeof(title), "Of the domain:");
    print_params(cli, p, title, COLLET_SCOPE_DOMAIN, info.domid, list);
    show_vcpu_values(cli, p, &info, vcpus);
    cli_result(cli,
               json_pack("{s:s, s:s, s:i, s:o, s:o}", "active", p->module, "name", info.name, "domid", (int)info.domid, "params", list, "vcpu_values", vcpus));
    return 0;
}

static int sched_show_run(struct cli *cli, const struct cli_args *args)
{
    struct params p;
    int exit = load_params(cli, &p);

    if (exit == 0)
        exit = args->count == 0 ? show_module(cli, &p) : show_domain(cli, &p, args->words[0]);
    free(p.list);
    return exit;
}

const struct cli_command cmd_sched_show = {
    .name = "sched show",
    .arguments = "[DOMAIN]",
    .summary = "Show the scheduler: since when, its queues, faults and parameters",
    .description = "With a DOMAIN: the values in force for it and for its vCPUs.",
    .examples = "  collet sched show\n  collet sched show web",
    .complete = "domains",
    .most = 1,
    .run = sched_show_run,
};

/* ---- sched get, sched set ---- */

/* The first word is a target unless it is (part of) a parameter; sets scope, domain and vCPU. 0 or an exit code; *used: words taken. */
static int take_target(struct cli *cli, const struct params *p, const struct cli_args *args, struct collet_sched_value *target, int *used)
{
    struct collet_domain_info info;
    uint32_t vcpu;
    int exit;

    *target = (struct collet_sched_value){ .scope = COLLET_SCOPE_MODULE };
    *used = 0;
    if (args->count == 0 || strchr(args->words[0], '=') != NULL)
        return 0;
    for (int i = 0; i < p->count; i++)
        if (is_param(&p->list[i], args->words[0], strlen(args->words[0])))
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

static int check_scope(struct cli *cli, const struct params *p, const struct collet_sched_param *param, uint32_t scope)
{
    if (param->scopes & scope)
        return 0;
    return cli_fail(cli, CLI_FAILED, "EOPNOTSUPP", "%s: parameter %s cannot be set %s, only for: %s", p->module, param->name, scope_words(scope),
                    scopes_text(param->scopes));
}

static int parse_value(struct cli *cli, const struct collet_sched_param *param, const char *text, uint64_t *value)
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
        return cli_fail(cli, CLI_FAILED, "ERANGE", "%s: %s is out of range; from %s to %s", param->name, text, format_value(least, param, param->minimum),
                        format_value(most, param, param->maximum));
    return 0;
}

static int parse_setting(struct cli *cli, const struct params *p, const char *word, const struct collet_sched_value *target, struct collet_sched_value *value)
{
    const char *equals = strchr(word, '=');
    const struct collet_sched_param *param;
    int exit;

    if (equals == NULL || equals == word)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "sched set: '%s' is not of the form parameter=value", word);
    param = find_param(cli, p, word, (size_t)(equals - word));
    if (param == NULL)
        return CLI_NO_SUCH;
    exit = check_scope(cli, p, param, target->scope);
    if (exit != 0)
        return exit;
    *value = *target;
    memcpy(value->name, param->name, sizeof(value->name));
    return parse_value(cli, param, equals + 1, &value->value);
}

static json_t *values_json(const struct params *p, const struct collet_sched_value *values, int count)
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

static int set_values(struct cli *cli, const struct params *p, struct collet_sched_value *values, int count)
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
    struct params p;
    int used = 0, exit = load_params(cli, &p);

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

static int get_one(struct cli *cli, const struct params *p, const struct collet_sched_param *param, struct collet_sched_value *value)
{
    char text[FORMAT_BYTES];
    unsigned int failed;
    int rc;

    memcpy(value->name, param->name, sizeof(value->name));
    rc = collet_sched_get(cli->collet, p->module, value, 1, &failed);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "%s", param->name);
    if (!cli->json)
        fprintf(cli->out, "%s=%s\n", param->name, format_value(text, param, value->value));
    return 0;
}

static int sched_get_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_value target = { 0 }, *values = NULL;
    const struct collet_sched_param *param;
    struct params p;
    int used = 0, count = 0, exit = load_params(cli, &p);

    if (exit == 0)
        exit = take_target(cli, &p, args, &target, &used);
    if (exit == 0)
        values = calloc((size_t)p.count + (size_t)args->count + 1, sizeof(*values));
    for (int i = used; i < args->count && exit == 0 && values != NULL; i++) {
        param = find_param(cli, &p, args->words[i], strlen(args->words[i]));
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
