// SPDX-License-Identifier: MIT
/*
 * What plugins see of the world, gathered when one of them is to be called, and what they ask for, put in force.
 * Contract: plugins.h (struct plugins_daemon).  Tests: test-domains.c.
 */
#include "domains-private.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world_memory {
    struct collet_plugin_world world;
    struct collet_domain_info *infos;
    struct collet_plugin_domain *domains;
    struct sched_catalog catalog;
    struct collet_plugin_parameter *parameters;
    struct vbds_world disks;
};

static void world_clear(struct world_memory *w)
{
    free(w->infos);
    free(w->domains);
    free(w->parameters);
    sched_catalog_free(&w->catalog);
    vbds_world_free(&w->disks);
    memset(w, 0, sizeof(*w));
}

void domains_world_free(struct domains *d)
{
    if (d->world != NULL)
        world_clear(d->world);
    free(d->world);
    d->world = NULL;
}

static void add_vcpu(struct collet_plugin_domain *out, const struct collet_vcpu_info *vcpu)
{
    unsigned int i;

    out->run_ns += vcpu->time_ns[COLLET_VCPU_RUNNING];
    out->runnable_ns += vcpu->time_ns[COLLET_VCPU_RUNNABLE];
    out->blocked_ns += vcpu->time_ns[COLLET_VCPU_BLOCKED];
    out->wakes += vcpu->wakes;
    out->dispatches += vcpu->dispatches;
    if (vcpu->waited_max_ns > out->waited_max_ns)
        out->waited_max_ns = vcpu->waited_max_ns;
    for (i = 0; i < COLLET_LATENCY_BUCKETS; i++)
        out->latency[i] += vcpu->latency[i];
}

/* false: it has gone meanwhile. */
static bool add_domain(struct domains *d, struct collet_plugin_domain *out, const struct collet_domain_info *info)
{
    const struct domain *domain = domain_by_id(d, info->domid);
    struct collet_vcpu_info *vcpus = NULL;
    int i, count = d->s.backend->vcpus(d->s.backend->arg, info->domid, &vcpus);

    if (count < 0)
        return false;
    *out = (struct collet_plugin_domain){.domid = info->domid, .vcpus = info->vcpus_max, .name = info->name, .frames = info->frames, .frames_max = info->frames_max};
    for (i = 0; i < count; i++)
        add_vcpu(out, &vcpus[i]);
    free(vcpus);
    if (domain != NULL && domain->definition != NULL) {
        out->settings = domain->definition->settings;
        out->setting_count = domain->definition->setting_count;
    }
    return true;
}

static int gather_domains(struct domains *d, struct world_memory *w)
{
    int i, count = d->s.backend->list(d->s.backend->arg, &w->infos);

    if (count < 0)
        return count;
    w->domains = calloc((size_t)count + 1, sizeof(*w->domains));
    if (w->domains == NULL)
        return -ENOMEM;
    for (i = 0; i < count; i++)
        if (!(w->infos[i].flags & (COLLET_DOMAIN_BUILDING | COLLET_DOMAIN_DYING | COLLET_DOMAIN_SHUT_DOWN)) && add_domain(d, &w->domains[w->world.domain_count], &w->infos[i]))
            w->world.domain_count++;
    w->world.domains = w->domains;
    return 0;
}

static int gather_sched(struct domains *d, struct world_memory *w)
{
    const struct sched_catalog_module *module;
    unsigned int i;
    int rc = d->s.backend->catalog(d->s.backend->arg, &w->catalog);

    module = rc == 0 ? sched_catalog_find(&w->catalog, NULL) : NULL;
    if (module == NULL)
        return rc != 0 ? rc : -ENOENT;
    w->parameters = calloc((size_t)module->param_count + 1, sizeof(*w->parameters));
    if (w->parameters == NULL)
        return -ENOMEM;
    for (i = 0; i < module->param_count; i++) {
        const struct collet_sched_param *p = &module->params[i];

        w->parameters[i] =
            (struct collet_plugin_parameter){.name = p->name, .type = p->type, .scopes = p->scopes, .minimum = p->minimum, .maximum = p->maximum, .initial = p->initial};
    }
    w->world.sched = module->name;
    w->world.parameters = w->parameters;
    w->world.parameter_count = module->param_count;
    return 0;
}

/* Without disks a plugin for schedulers goes on: their failure is no failure of the world. */
static void gather_disks(struct domains *d, struct world_memory *w)
{
    if (d->s.vbds == NULL || vbds_world(d->s.vbds, &w->disks) != 0)
        return;
    w->world.disks = w->disks.disks;
    w->world.disk_count = w->disks.disk_count;
    w->world.vbds = w->disks.vbds;
    w->world.vbd_count = w->disks.vbd_count;
}

int domains_world(void *arg, const struct collet_plugin_world **world)
{
    struct domains *d = arg;
    struct collet_machine machine;
    struct world_memory *w;
    int rc;

    if (d->world == NULL && (d->world = calloc(1, sizeof(*d->world))) == NULL)
        return -ENOMEM;
    w = d->world;
    world_clear(w);
    rc = d->s.backend->machine(d->s.backend->arg, &machine);
    if (rc == 0)
        rc = gather_domains(d, w);
    if (rc == 0)
        rc = gather_sched(d, w);
    if (rc != 0)
        return rc;
    gather_disks(d, w);
    w->world.size = sizeof(w->world);
    w->world.now_ns = machine.now_ns;
    w->world.cpus = machine.cpus;
    w->world.frames_total = machine.frames_total;
    w->world.frames_free = machine.frames_free;
    *world = &w->world;
    return 0;
}

static void log_applied(struct domains *d, const char *plugin, const struct collet_sched_value *value, uint64_t before, const char *why)
{
    const struct domain *domain = domain_by_id(d, value->domid);
    char whose[64];

    if (value->scope == COLLET_SCOPE_MODULE)
        snprintf(whose, sizeof(whose), "the module");
    else if (value->scope == COLLET_SCOPE_VCPU)
        snprintf(whose, sizeof(whose), "%s vCPU %u", domain != NULL ? domain->name : "domain", value->vcpu);
    else
        snprintf(whose, sizeof(whose), "%s (%u)", domain != NULL ? domain->name : "domain", value->domid);
    if (before != value->value)
        log_note("plugin %s: %s of %s: %" PRIu64 " -> %" PRIu64 "%s%s", plugin, value->name, whose, before, value->value, why != NULL ? ": " : "", why != NULL ? why : "");
}

int domains_apply(void *arg, const char *plugin, const char *module, struct collet_sched_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed, char *error,
                  size_t error_bytes)
{
    struct domains *d = arg;
    const struct backend *b = d->s.backend;
    struct collet_sched_value *old = calloc((size_t)count + 1, sizeof(*old));
    unsigned int i;
    int rc = -ENOMEM;

    *failed = count;
    if (old != NULL) {
        memcpy(old, values, count * sizeof(*old));
        rc = b->sched_get(b->arg, module, old, count, failed);
    }
    if (rc == 0)
        rc = b->sched_set(b->arg, module, values, count, failed);
    if (rc != 0)
        snprintf(error, error_bytes, "%s", old != NULL ? b->error(b->arg) : "no memory");
    for (i = 0; rc == 0 && i < count; i++) {
        before[i] = old[i].value;
        log_applied(d, plugin, &values[i], before[i], why != NULL ? why[i] : NULL);
    }
    free(old);
    return rc;
}

int domains_apply_disk(void *arg, const char *plugin, uint32_t disk, const char *module, struct collet_disk_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed,
                       char *error, size_t error_bytes)
{
    struct domains *d = arg;

    if (d->s.vbds != NULL)
        return vbds_apply(d->s.vbds, plugin, disk, module, values, why, count, before, failed, error, error_bytes);
    snprintf(error, error_bytes, "no disks here");
    return -ENODEV;
}

int domains_apply_rules(void *arg, const char *plugin, uint32_t order, const char *text, char *error, size_t error_bytes)
{
    struct domains *d = arg;

    if (d->s.rules != NULL)
        return rule_parts_set(d->s.rules, plugin, order, text, error, error_bytes);
    snprintf(error, error_bytes, "this daemon does not look after network rules");
    return -ENODEV;
}

const char *domains_rules_name(void *arg, uint32_t domid)
{
    struct domains *d = arg;

    return d->s.vifs != NULL ? vifs_domain_name(d->s.vifs, domid) : NULL;
}
