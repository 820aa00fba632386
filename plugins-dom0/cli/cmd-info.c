/* SPDX-License-Identifier: MIT */
/*
 * `collet info`: all that is known of the machine, or of one domain.
 * Tests: test-cli.c.
 */
#include "client.h"
#include "commands.h"
#include "format.h"
#include "table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const page_types[COLLET_PAGES_TYPES] = { "none", "l1", "l2", "l3", "l4", "descriptor", "writable", "shared" };

static void print_line(struct cli *cli, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void print_line(struct cli *cli, const char *what, const char *format, ...)
{
    va_list arguments;

    fprintf(cli->out, "%-18s: ", what);
    va_start(arguments, format);
    vfprintf(cli->out, format, arguments);
    va_end(arguments);
    fputc('\n', cli->out);
}

/* ---- The machine ---- */

static json_t *machine_json(const struct collet_machine *m, const struct collet_version *v, const struct collet_sched_status *s)
{
    json_t *idle = json_array();

    for (unsigned int cpu = 0; cpu < m->cpus && cpu < COLLET_VCPUS_MAX; cpu++)
        json_array_append_new(idle, json_integer((json_int_t)m->idle_ns[cpu]));
    return json_pack("{s:{s:o, s:i, s:s, s:i, s:i, s:o, s:I, s:I, s:I, s:I, s:I, s:I}}", "machine", "release", cli_json_text(v->release), "control_version",
                     (int)v->version, "scheduler", s->active, "cpus", (int)m->cpus, "domains", (int)m->domains, "idle_ns", idle, "now_ns",
                     (json_int_t)m->now_ns, "wall_base_ns", (json_int_t)m->wall_base_ns, "tsc_hz", (json_int_t)m->tsc_hz, "memory_bytes",
                     (json_int_t)(m->frames_total * CLI_FRAME_BYTES), "memory_free_bytes", (json_int_t)(m->frames_free * CLI_FRAME_BYTES),
                     "memory_hypervisor_bytes", (json_int_t)(m->frames_hypervisor * CLI_FRAME_BYTES));
}

static void print_machine(struct cli *cli, const struct collet_machine *m, const struct collet_version *v, const struct collet_sched_status *s)
{
    char text[FORMAT_BYTES], date[64];
    time_t now = (time_t)((m->wall_base_ns + m->now_ns) / 1000000000ull);

    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime(&now));
    print_line(cli, "release", "%s", v->release);
    print_line(cli, "control_version", "%u", v->version);
    print_line(cli, "up", "%s", format_uptime(text, m->now_ns));
    print_line(cli, "time", "%s", date);
    print_line(cli, "cpus", "%u", m->cpus);
    print_line(cli, "tsc_mhz", "%.3f", (double)m->tsc_hz / 1e6);
    print_line(cli, "total_memory", "%" PRIu64 " MiB", m->frames_total / 256);
    print_line(cli, "free_memory", "%" PRIu64 " MiB", m->frames_free / 256);
    print_line(cli, "hypervisor_memory", "%s", format_size(text, m->frames_hypervisor * CLI_FRAME_BYTES));
    print_line(cli, "domains", "%u", m->domains);
    print_line(cli, "scheduler", "%s", s->active);
    for (unsigned int cpu = 0; cpu < m->cpus && cpu < COLLET_VCPUS_MAX; cpu++) {
        char name[32];

        snprintf(name, sizeof(name), "cpu %u", cpu);
        print_line(cli, name, "idle %.1f%% of the time", m->now_ns != 0 ? 100.0 * (double)m->idle_ns[cpu] / (double)m->now_ns : 0);
    }
}

static int info_machine(struct cli *cli)
{
    struct collet_machine m;
    struct collet_version v;
    struct collet_sched_status s;
    int rc = cli_open(cli);

    if (rc != 0)
        return rc;
    rc = collet_machine(cli->collet, &m);
    if (rc == 0)
        rc = collet_version(cli->collet, &v);
    if (rc == 0)
        rc = collet_sched_status(cli->collet, &s);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "the machine");
    if (cli->json)
        cli_result(cli, machine_json(&m, &v, &s));
    else
        print_machine(cli, &m, &v, &s);
    return 0;
}

/* ---- One domain ---- */

static void print_vcpus(struct cli *cli, const struct collet_vcpu_info *vcpus, int count, unsigned int cpus)
{
    struct table *t = table_new("VCPU>|CPU>|State<|Affinity<|Run(s)>|Runnable(s)>|Blocked(s)>|Wakes>|Dispatches>|Preempt>|Migr>|p50>|p90>|p99>|Max>");
    char text[256];

    for (int i = 0; i < count; i++) {
        const struct collet_vcpu_info *v = &vcpus[i];

        table_cell(t, "%u", v->vcpu);
        table_cell(t, "%u", v->cpu);
        table_cell(t, "%s", vcpu_state_name(v->state));
        table_cell(t, "%s", format_cpus(text, v->affinity, cpus));
        table_cell(t, "%.3f", (double)v->time_ns[0] / 1e9);
        table_cell(t, "%.3f", (double)v->time_ns[1] / 1e9);
        table_cell(t, "%.3f", (double)v->time_ns[2] / 1e9);
        table_cell(t, "%" PRIu64, v->wakes);
        table_cell(t, "%" PRIu64, v->dispatches);
        table_cell(t, "%" PRIu64, v->preemptions);
        table_cell(t, "%" PRIu64, v->migrations);
        for (unsigned int permille = 500; permille != 0; permille = permille == 500 ? 900 : permille == 900 ? 990 : 0) {
            uint64_t ns = latency_percentile(v->latency, permille, v->waited_max_ns);

            table_cell(t, "%s", ns != 0 ? format_duration(text, ns) : "-");
        }
        table_cell(t, "%s", format_duration(text, v->waited_max_ns));
    }
    table_end(t, cli->out, NULL);
}

static void print_counts(struct cli *cli, const struct collet_domain_info *info)
{
    char text[FORMAT_BYTES];

    print_line(cli, "memory", "%" PRIu64 " MiB (%" PRIu64 " frames), at most %" PRIu64 " MiB", info->frames / 256, info->frames, info->frames_max / 256);
    print_line(cli, "hypervisor_memory", "%s", format_size(text, info->hypervisor_bytes));
    print_line(cli, "shared_frames", "%" PRIu64, info->frames_shared);
    print_line(cli, "vcpus", "%u online of %u", info->vcpus_online, info->vcpus_max);
    print_line(cli, "run_time", "%.3f s", (double)info->runs_ns / 1e9);
    print_line(cli, "hypercalls", "%" PRIu64, info->hypercalls);
    print_line(cli, "faults", "%" PRIu64, info->faults);
    print_line(cli, "events", "%" PRIu64 " delivered, %u ports", info->events, info->ports);
    print_line(cli, "grants_mapped", "%u", info->grants_mapped);
}

static void print_pages(struct cli *cli, const struct collet_domain_pages *pages)
{
    fprintf(cli->out, "%-18s:", "pages");
    for (int i = 0; i < COLLET_PAGES_TYPES; i++)
        fprintf(cli->out, " %s %" PRIu64, page_types[i], pages->frames[i]);
    fprintf(cli->out, ", pinned tables %" PRIu64 "\n", pages->pinned);
}

static json_t *pages_json(const struct collet_domain_pages *pages)
{
    json_t *object = json_object();

    for (int i = 0; i < COLLET_PAGES_TYPES; i++)
        json_object_set_new(object, page_types[i], json_integer((json_int_t)pages->frames[i]));
    json_object_set_new(object, "pinned", json_integer((json_int_t)pages->pinned));
    return object;
}

/* The daemon's entry for this domain; a new reference, or NULL. */
static json_t *known_to_daemon(struct cli *cli, const struct collet_domain_info *info)
{
    json_t *known = client_ask_quietly(cli, "domains"), *entry, *found = NULL;
    size_t i;

    json_array_foreach(known, i, entry) if (json_is_integer(json_object_get(entry, "domid")) && client_number(entry, "domid") == info->domid &&
                                            strcmp(client_text(entry, "name"), info->name) == 0) found = json_incref(entry);
    json_decref(known);
    return found;
}

static void print_daemon_entry(struct cli *cli, const json_t *entry)
{
    static const char *const keys[] = { "file", "on_crash", "on_reboot", "on_poweroff", "last_exit" };

    for (size_t i = 0; entry != NULL && i < sizeof(keys) / sizeof(*keys); i++)
        if (*client_text(entry, keys[i]) != 0)
            print_line(cli, keys[i], "%s", client_text(entry, keys[i]));
    if (entry != NULL) {
        print_line(cli, "restarts", "%" PRIu64, client_number(entry, "restarts"));
        print_line(cli, "memory_target", "%" PRIu64 " MiB", client_number(entry, "target_frames") / 256);
    }
}

static void print_domain(struct cli *cli, const struct collet_domain_info *info, const struct collet_vcpu_info *vcpus, int count,
                         const struct collet_machine *m)
{
    char text[FORMAT_BYTES];

    print_line(cli, "name", "%s", info->name);
    print_line(cli, "id", "%u", info->domid);
    print_line(cli, "state", "%s%s%s", domain_state(info, vcpus, count), info->flags & COLLET_DOMAIN_PRIVILEGED ? ", privileged" : "",
               info->flags & COLLET_DOMAIN_BOOT_MODULE ? ", made at boot" : "");
    if (info->flags & COLLET_DOMAIN_SHUT_DOWN)
        print_line(cli, "exit_reason", "%s", domain_shutdown_reason(info->shutdown_reason));
    if (info->crash_text[0] != 0)
        print_line(cli, "crash", "%s", info->crash_text);
    print_line(cli, "age", "%s", format_uptime(text, m->now_ns - info->created_ns));
    print_counts(cli, info);
}

static int info_domain(struct cli *cli, const char *word)
{
    struct collet_domain_info info;
    struct collet_domain_pages pages = { 0 };
    struct collet_vcpu_info *vcpus = NULL;
    struct collet_machine m = { 0 };
    json_t *entry, *object, *list = json_array();
    int count, rc = cli_domain(cli, word, &info);

    if (rc == 0) {
        count = collet_vcpus(cli->collet, info.domid, &vcpus);
        rc = count < 0 ? count : collet_machine(cli->collet, &m);
        if (rc == 0)
            rc = collet_domain_pages(cli->collet, info.domid, &pages);
        if (rc < 0)
            rc = cli_fail_collet(cli, rc, "%s", info.name);
    }
    if (rc != 0) {
        free(vcpus);
        json_decref(list);
        return rc;
    }
    entry = known_to_daemon(cli, &info);
    for (int i = 0; i < count; i++)
        json_array_append_new(list, vcpu_json(&vcpus[i], m.cpus));
    object = domain_json(&info, vcpus, count);
    json_object_set_new(object, "vcpus", list);
    json_object_set_new(object, "pages", pages_json(&pages));
    json_object_set_new(object, "daemon", entry != NULL ? json_incref(entry) : json_null());
    if (!cli->json) {
        print_domain(cli, &info, vcpus, count, &m);
        print_pages(cli, &pages);
        print_daemon_entry(cli, entry);
        fputc('\n', cli->out);
        print_vcpus(cli, vcpus, count, m.cpus);
    }
    cli_result(cli, json_pack("{s:o}", "domain", object));
    json_decref(entry);
    free(vcpus);
    return 0;
}

static int info_definition(struct cli *cli, const char *word)
{
    json_t *result;
    int exit = client_ask(cli, json_pack("{s:s, s:s}", "op", "definition", "domain", word), 10000, &result);

    if (exit != 0)
        return exit;
    if (!cli->json)
        fputs(client_text(result, "text"), cli->out);
    cli_result(cli, json_pack("{s:O}", "definition", result));
    json_decref(result);
    return 0;
}

static int info_run(struct cli *cli, const struct cli_args *args)
{
    if (cli_flag(args, "definition"))
        return args->count == 1 ? info_definition(cli, args->words[0]) : cli_fail(cli, CLI_USAGE, "EINVAL", "info: --definition needs a DOMAIN");
    return args->count == 0 ? info_machine(cli) : info_domain(cli, args->words[0]);
}

static const struct cli_option info_options[] = {
    { "definition", NULL, "the text that the domain was created from (asks colletd)", 'd' },
    { 0 },
};

const struct cli_command cmd_info = {
    .name = "info",
    .arguments = "[DOMAIN]",
    .summary = "Tell all about the machine, or about a domain",
    .description = "Latencies are of wake-ups: from becoming runnable to running. Percentiles come from a histogram whose\n"
                   "buckets double: p99 = 64us says that 99% of the dispatches took less than 64us.",
    .examples = "  collet info\n  collet info web\n  collet info web --definition >web.ini",
    .options = info_options,
    .complete = "domains",
    .most = 1,
    .run = info_run,
};
