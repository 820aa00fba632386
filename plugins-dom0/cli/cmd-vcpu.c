/* SPDX-License-Identifier: MIT */
/*
 * `collet vcpu`: virtual CPUs, where they run and where they may.
 * Tests: test-cli.c.
 */
#include "commands.h"
#include "format.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int list_vcpus(struct cli *cli, struct table *t, json_t *json, const struct collet_domain_info *info, unsigned int cpus)
{
    struct collet_vcpu_info *vcpus = NULL;
    int count = collet_vcpus(cli->collet, info->domid, &vcpus);
    char text[256];

    if (count < 0)
        return cli_fail_collet(cli, count, "%s", info->name);
    for (int i = 0; i < count; i++) {
        const struct collet_vcpu_info *v = &vcpus[i];
        json_t *object = vcpu_json(v, cpus);

        json_object_set_new(object, "domid", json_integer(info->domid));
        json_object_set_new(object, "name", json_string(info->name));
        json_array_append_new(json, object);
        table_cell(t, "%s", info->name);
        table_cell(t, "%u", info->domid);
        table_cell(t, "%u", v->vcpu);
        if (v->state == COLLET_VCPU_OFFLINE)
            table_cell(t, "-");
        else
            table_cell(t, "%u", v->cpu);
        table_cell(t, "%s", vcpu_state_name(v->state));
        table_cell(t, "%.1f", (double)v->time_ns[0] / 1e9);
        table_cell(t, "%" PRIu64, v->migrations);
        table_cell(t, "%s", format_cpus(text, v->affinity, cpus));
    }
    free(vcpus);
    return 0;
}

static int vcpu_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_domain_info *domains = NULL, info;
    struct collet_machine m;
    struct table *t;
    json_t *json;
    int count = 0, exit = cli_open(cli), rc;

    if (exit != 0)
        return exit;
    rc = collet_machine(cli->collet, &m);
    if (rc == 0 && args->count == 0)
        rc = count = collet_domains(cli->collet, &domains);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "the list of vCPUs");
    t = table_new("Name<|ID>|VCPU>|CPU>|State<|Time(s)>|Migrations>|Affinity<");
    json = json_array();
    for (int i = 0; i < count; i++)
        exit = list_vcpus(cli, t, json, &domains[i], m.cpus);
    for (int i = 0; i < args->count && exit == 0; i++) {
        exit = cli_domain(cli, args->words[i], &info);
        if (exit == 0)
            exit = list_vcpus(cli, t, json, &info, m.cpus);
    }
    table_end(t, cli->json || (exit != 0 && json_array_size(json) == 0) ? NULL : cli->out, NULL);
    cli_result(cli, json_pack("{s:o}", "vcpus", json));
    free(domains);
    return exit;
}

const struct cli_command cmd_vcpu_list = {
    .name = "vcpu list",
    .arguments = "[DOMAIN...]",
    .summary = "List vCPUs, where they run and where they may",
    .examples = "  collet vcpu list\n  collet vcpu list web",
    .complete = "domains",
    .most = -1,
    .run = vcpu_list_run,
};

static int vcpu_pin_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_domain_info info;
    struct collet_machine m;
    uint64_t mask, number;
    uint32_t vcpu = COLLET_VCPU_ALL;
    char text[256];
    int rc = cli_domain(cli, args->words[0], &info);

    if (rc != 0)
        return rc;
    if (strcmp(args->words[1], "all") != 0) {
        if (parse_u64(args->words[1], &number) != 0)
            return cli_fail(cli, CLI_USAGE, "EINVAL", "vcpu pin: '%s' is not the number of a vCPU, nor `all`", args->words[1]);
        if (number >= info.vcpus_max)
            return cli_fail(cli, CLI_NO_SUCH, "ENOENT", "%s has no vCPU %s: it has %u, counted from 0", info.name, args->words[1], info.vcpus_max);
        vcpu = (uint32_t)number;
    }
    rc = collet_machine(cli->collet, &m);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "the machine");
    rc = parse_cpus(args->words[2], m.cpus, &mask);
    if (rc == -ERANGE)
        return cli_fail(cli, CLI_USAGE, "ERANGE", "vcpu pin: '%s': the CPUs are 0 to %u", args->words[2], m.cpus - 1);
    if (rc != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "vcpu pin: '%s' is not a list of CPUs; such as 0, 0-3, 0,2, all", args->words[2]);
    rc = collet_vcpu_affinity(cli->collet, info.domid, vcpu, mask);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "pin %s", info.name);
    cli_result(cli, json_pack("{s:s, s:i, s:o, s:s}", "name", info.name, "domid", (int)info.domid, "vcpu",
                              vcpu == COLLET_VCPU_ALL ? json_string("all") : json_integer(vcpu), "affinity", format_cpus(text, mask, m.cpus)));
    return 0;
}

const struct cli_command cmd_vcpu_pin = {
    .name = "vcpu pin",
    .arguments = "DOMAIN VCPU CPUS",
    .summary = "Say on which CPUs a vCPU may run",
    .description = "VCPU is a number or `all`; CPUS a list such as 0, 0-3, 0,2-3 or `all`. In force from its next dispatch on.",
    .examples = "  collet vcpu pin web 0 1\n  collet vcpu pin web all 0-1\n  collet vcpu pin web all all",
    .complete = "domains vcpus cpus",
    .least = 3,
    .most = 3,
    .run = vcpu_pin_run,
};
