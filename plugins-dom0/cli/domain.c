/* SPDX-License-Identifier: MIT */
/*
 * Domains as the commands see them: found by name or number, their states in words and letters, and as JSON.
 * Contract: cli.h. Tests: test-cli.c.
 */
#include "cli.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/sched.h>

static int no_such_domain(struct cli *cli, const char *word)
{
    struct collet_domain_info *domains = NULL;
    int count = collet_domains(cli->collet, &domains);
    const char **names = calloc(count > 0 ? (size_t)count : 1, sizeof(*names)), *near = NULL;
    int exit;

    for (int i = 0; names != NULL && i < count; i++)
        names[i] = domains[i].name;
    if (names != NULL && count > 0)
        near = cli_nearest(word, names, (size_t)count);
    if (near != NULL)
        exit = cli_fail(cli, CLI_NO_SUCH, "ESRCH", "no domain '%s'; did you mean %s?", word, near);
    else
        exit = cli_fail(cli, CLI_NO_SUCH, "ESRCH", "no domain '%s'; `collet list` shows them", word);
    free(names);
    free(domains);
    return exit;
}

int cli_domain(struct cli *cli, const char *word, struct collet_domain_info *info)
{
    int rc = cli_open(cli);

    if (rc != 0)
        return rc;
    rc = collet_domain_find(cli->collet, word, info);
    if (rc == -ESRCH || rc == -ENOENT)
        return no_such_domain(cli, word);
    return rc < 0 ? cli_fail_collet(cli, rc, "%s", word) : 0;
}

int cli_domain_vcpu(struct cli *cli, const char *word, struct collet_domain_info *info, uint32_t *vcpu)
{
    const char *slash = strchr(word, '/');
    char name[64];
    uint64_t number = 0;
    int exit;

    *vcpu = COLLET_VCPU_ALL;
    if (slash == NULL)
        return cli_domain(cli, word, info);
    snprintf(name, sizeof(name), "%.*s", (int)(slash - word), word);
    exit = cli_domain(cli, name, info);
    if (exit != 0)
        return exit;
    if (parse_u64(slash + 1, &number) != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "'%s': a vCPU is a number, as in %s/0", word, info->name);
    if (number >= info->vcpus_max)
        return cli_fail(cli, CLI_NO_SUCH, "ENOENT", "%s has no vCPU %s: it has %u, counted from 0", info->name, slash + 1, info->vcpus_max);
    *vcpu = (uint32_t)number;
    return 0;
}

static bool any_vcpu(const struct collet_vcpu_info *vcpus, int count, uint32_t state)
{
    for (int i = 0; vcpus != NULL && i < count; i++)
        if (vcpus[i].state == state)
            return true;
    return false;
}

/* Blocked as xl means it: no vCPU wants to run. */
static bool all_blocked(const struct collet_vcpu_info *vcpus, int count)
{
    return vcpus != NULL && count > 0 && !any_vcpu(vcpus, count, COLLET_VCPU_RUNNING) && !any_vcpu(vcpus, count, COLLET_VCPU_RUNNABLE);
}

const char *domain_state(const struct collet_domain_info *info, const struct collet_vcpu_info *vcpus, int count)
{
    if (info->flags & COLLET_DOMAIN_DYING)
        return "dying";
    if (info->flags & COLLET_DOMAIN_CRASHED)
        return "crashed";
    if (info->flags & COLLET_DOMAIN_SHUT_DOWN)
        return "shut down";
    if (info->flags & COLLET_DOMAIN_BUILDING)
        return "building";
    if (info->flags & COLLET_DOMAIN_PAUSED)
        return "paused";
    if (any_vcpu(vcpus, count, COLLET_VCPU_RUNNING))
        return "running";
    return all_blocked(vcpus, count) ? "blocked" : "runnable";
}

void domain_state_letters(const struct collet_domain_info *info, const struct collet_vcpu_info *vcpus, int count, char letters[7])
{
    /* What the vCPUs would do is no news of a domain that may not. */
    bool stopped = (info->flags & ~(uint32_t)(COLLET_DOMAIN_PRIVILEGED | COLLET_DOMAIN_BOOT_MODULE)) != 0;

    strcpy(letters, "------");
    if (!stopped && any_vcpu(vcpus, count, COLLET_VCPU_RUNNING))
        letters[0] = 'r';
    if (!stopped && all_blocked(vcpus, count))
        letters[1] = 'b';
    if (info->flags & (COLLET_DOMAIN_PAUSED | COLLET_DOMAIN_BUILDING))
        letters[2] = 'p';
    if (info->flags & COLLET_DOMAIN_SHUT_DOWN)
        letters[3] = 's';
    if (info->flags & COLLET_DOMAIN_CRASHED)
        letters[4] = 'c';
    if (info->flags & COLLET_DOMAIN_DYING)
        letters[5] = 'd';
}

const char *domain_shutdown_reason(uint32_t reason)
{
    switch (reason) {
    case SHUTDOWN_poweroff: return "poweroff";
    case SHUTDOWN_reboot: return "reboot";
    case SHUTDOWN_suspend: return "suspend";
    case SHUTDOWN_crash: return "crash";
    case SHUTDOWN_watchdog: return "watchdog";
    case SHUTDOWN_soft_reset: return "soft-reset";
    default: return "unknown";
    }
}

const char *vcpu_state_name(uint32_t state)
{
    static const char *const names[] = { "running", "runnable", "blocked", "offline" };

    return state < 4 ? names[state] : "unknown";
}

json_t *domain_json(const struct collet_domain_info *info, const struct collet_vcpu_info *vcpus, int count)
{
    json_t *object = json_object();
    char letters[7];

    domain_state_letters(info, vcpus, count, letters);
    json_object_set_new(object, "domid", json_integer(info->domid));
    json_object_set_new(object, "name", cli_json_text(info->name));
    json_object_set_new(object, "state", json_string(domain_state(info, vcpus, count)));
    json_object_set_new(object, "state_letters", json_string(letters));
    json_object_set_new(object, "privileged", json_boolean(info->flags & COLLET_DOMAIN_PRIVILEGED));
    json_object_set_new(object, "boot_module", json_boolean(info->flags & COLLET_DOMAIN_BOOT_MODULE));
    if (info->flags & COLLET_DOMAIN_SHUT_DOWN)
        json_object_set_new(object, "shutdown_reason", json_string(domain_shutdown_reason(info->shutdown_reason)));
    json_object_set_new(object, "crash_text", cli_json_text(info->crash_text));
    json_object_set_new(object, "vcpus_max", json_integer(info->vcpus_max));
    json_object_set_new(object, "vcpus_online", json_integer(info->vcpus_online));
    json_object_set_new(object, "memory_bytes", json_integer((json_int_t)(info->frames * CLI_FRAME_BYTES)));
    json_object_set_new(object, "memory_max_bytes", json_integer((json_int_t)(info->frames_max * CLI_FRAME_BYTES)));
    json_object_set_new(object, "shared_bytes", json_integer((json_int_t)(info->frames_shared * CLI_FRAME_BYTES)));
    json_object_set_new(object, "hypervisor_bytes", json_integer((json_int_t)info->hypervisor_bytes));
    json_object_set_new(object, "created_ns", json_integer((json_int_t)info->created_ns));
    json_object_set_new(object, "run_ns", json_integer((json_int_t)info->runs_ns));
    json_object_set_new(object, "hypercalls", json_integer((json_int_t)info->hypercalls));
    json_object_set_new(object, "faults", json_integer((json_int_t)info->faults));
    json_object_set_new(object, "events", json_integer((json_int_t)info->events));
    json_object_set_new(object, "ports", json_integer(info->ports));
    json_object_set_new(object, "grants_mapped", json_integer(info->grants_mapped));
    return object;
}

static json_t *cpus_json(uint64_t mask, unsigned int cpus)
{
    json_t *list = json_array();

    for (unsigned int cpu = 0; cpu < cpus && cpu < 64; cpu++)
        if (mask >> cpu & 1)
            json_array_append_new(list, json_integer(cpu));
    return list;
}

json_t *vcpu_json(const struct collet_vcpu_info *v, unsigned int cpus)
{
    json_t *buckets = json_array();

    for (unsigned int i = 0; i < COLLET_LATENCY_BUCKETS; i++)
        json_array_append_new(buckets, json_integer((json_int_t)v->latency[i]));
    return json_pack("{s:i, s:s, s:i, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I}", "vcpu", (int)v->vcpu, "state",
                     vcpu_state_name(v->state), "cpu", (int)v->cpu, "affinity", cpus_json(v->affinity, cpus), "running_ns", (json_int_t)v->time_ns[0],
                     "runnable_ns", (json_int_t)v->time_ns[1], "blocked_ns", (json_int_t)v->time_ns[2], "offline_ns", (json_int_t)v->time_ns[3], "wakes",
                     (json_int_t)v->wakes, "dispatches", (json_int_t)v->dispatches, "preemptions", (json_int_t)v->preemptions, "migrations",
                     (json_int_t)v->migrations, "latency_p50_ns", (json_int_t)latency_percentile(v->latency, 500, v->waited_max_ns), "latency_p90_ns",
                     (json_int_t)latency_percentile(v->latency, 900, v->waited_max_ns), "latency_p99_ns",
                     (json_int_t)latency_percentile(v->latency, 990, v->waited_max_ns), "latency_max_ns", (json_int_t)v->waited_max_ns, "latency_buckets",
                     buckets, "events", (json_int_t)v->events, "hypercalls", (json_int_t)v->hypercalls, "faults", (json_int_t)v->faults, "pt_emulations",
                     (json_int_t)v->pt_emulations);
}
