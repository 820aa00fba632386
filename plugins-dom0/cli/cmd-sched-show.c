/* SPDX-License-Identifier: MIT */
/*
 * `collet sched show`: the module in charge, its queues and faults, and the values of its parameters.
 * Tests: test-cli.c.
 */
#include "commands.h"
#include "sched-params.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void print_params(struct cli *cli, const struct sched_params *p, const char *value_title, uint32_t scope, uint32_t domid, json_t *json)
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
        table_cell(t, "%s", known ? sched_value_format(text, param, v.value) : "-");
        table_cell(t, "%s", sched_value_format(text, param, param->minimum));
        table_cell(t, "%s", sched_value_format(text, param, param->maximum));
        table_cell(t, "%s", sched_value_format(text, param, param->initial));
        table_cell(t, "%s", sched_scopes_text(param->scopes));
        table_cell(t, "%s", param->help);
        json_array_append_new(json, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:b, s:b, s:b, s:o}", "name", param->name, "type", sched_type_name(param->type),
                                              "value", known ? json_integer((json_int_t)v.value) : json_null(), "minimum", (json_int_t)param->minimum,
                                              "maximum", (json_int_t)param->maximum, "initial", (json_int_t)param->initial, "for_module",
                                              param->scopes & COLLET_SCOPE_MODULE, "for_domain", param->scopes & COLLET_SCOPE_DOMAIN, "for_vcpu",
                                              param->scopes & COLLET_SCOPE_VCPU, "help", cli_json_text(param->help)));
    }
    if (!cli->json)
        fprintf(cli->out, "\n%s\n", value_title);
    table_end(t, cli->json ? NULL : cli->out, "  none");
}

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

static int show_module(struct cli *cli, const struct sched_params *p)
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

static void show_vcpu_values(struct cli *cli, const struct sched_params *p, const struct collet_domain_info *info, json_t *json)
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
            table_cell(t, "%s", sched_value_format(text, &p->list[i], v.value));
            json_array_append_new(json, json_pack("{s:i, s:s, s:I}", "vcpu", (int)vcpu, "name", p->list[i].name, "value", (json_int_t)v.value));
        }
    if (!cli->json)
        fputs("\nOf its vCPUs:\n", cli->out);
    table_end(t, cli->json ? NULL : cli->out, "  nothing can be set for a vCPU");
}

static int show_domain(struct cli *cli, const struct sched_params *p, const char *word)
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
    struct sched_params p;
    int exit = sched_params_load(cli, &p);

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
