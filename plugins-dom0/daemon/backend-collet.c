// SPDX-License-Identifier: MIT
/*
 * The real backend: each entry hands on to libcollet or to the store, and remembers whose sentence explains the last failure.
 * Contract: backend.h.
 */
#include "backend-collet.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DESTROY_WAIT_MS 5000u /* for the last requests of a domain: a disk that works needs no longer */

static int hypervisor(struct backend_collet *b, int rc)
{
    if (rc < 0)
        b->sentence = collet_error(b->collet);
    return rc;
}

static int xenstore(struct backend_collet *b, int rc)
{
    if (rc < 0)
        b->sentence = b->store != NULL ? store_error(b->store) : "xenstored has ended (guests go on; a new one is being started)";
    return rc;
}

static const char *last_error(void *arg)
{
    struct backend_collet *b = arg;

    return b->sentence != NULL && *b->sentence != '\0' ? b->sentence : "an unknown error";
}

static int list(void *arg, struct collet_domain_info **domains)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_domains(b->collet, domains));
}

static int vcpus(void *arg, uint32_t domid, struct collet_vcpu_info **vcpus)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_vcpus(b->collet, domid, vcpus));
}

static int machine(void *arg, struct collet_machine *machine)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_machine(b->collet, machine));
}

static struct build_job *build(void *arg, const struct build_order *order, build_progress *progress, build_done *done, void *done_arg)
{
    struct backend_collet *b = arg;
    struct build_job *job = builder_start(b->builder, order, progress, done, done_arg);

    if (job == NULL)
        b->sentence = "no memory";
    return job;
}

static int unpause(void *arg, uint32_t domid)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_domain_unpause(b->collet, domid));
}

static void destroyed_late(void *arg, int rc, const char *text)
{
    if (rc != 0 && rc != -ESRCH) /* which is another program's work */
        log_error("domain %u is still not gone: %s", (unsigned int)(uintptr_t)arg, text);
    else
        log_note("domain %u is gone, now its devices have ended", (unsigned int)(uintptr_t)arg);
}

/* A device that does not answer may keep it for as long as its time limit: the daemon's other work does not wait for that. */
static int destroy(void *arg, uint32_t domid)
{
    struct backend_collet *b = arg;

    int rc = collet_domain_destroy_within(b->collet, domid, DESTROY_WAIT_MS);

    if (rc == -ETIMEDOUT && b->devices != NULL && device_link_end(b->devices, domid, collet_domain_destroy, destroyed_late, (void *)(uintptr_t)domid) == 0) {
        log_warning("domain %u: a disk or a network card still has requests of it; its memory and its devices go when they have ended", domid);
        return 0;
    }
    return hypervisor(b, rc);
}

static int rename_domain(void *arg, uint32_t domid, const char *name)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_domain_rename(b->collet, domid, name));
}

static int memory_max(void *arg, uint32_t domid, uint64_t frames)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_domain_memory_max(b->collet, domid, frames));
}

static int affinity(void *arg, uint32_t domid, uint64_t cpus)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_vcpu_affinity(b->collet, domid, COLLET_VCPU_ALL, cpus));
}

static int catalog(void *arg, struct sched_catalog *catalog)
{
    struct backend_collet *b = arg;
    struct collet_sched_module *modules = NULL;
    int i, count = hypervisor(b, collet_sched_modules(b->collet, &modules)), params = 0;

    *catalog = (struct sched_catalog){0};
    if (count < 0)
        return count;
    catalog->modules = calloc((size_t)count + 1, sizeof(*catalog->modules));
    for (i = 0; catalog->modules != NULL && params >= 0 && i < count; i++) {
        struct sched_catalog_module *m = &catalog->modules[catalog->count++];

        memcpy(m->name, modules[i].name, sizeof(m->name));
        m->active = modules[i].active;
        params = hypervisor(b, collet_sched_params(b->collet, m->name, &m->params));
        m->param_count = params > 0 ? (unsigned int)params : 0;
    }
    free(modules);
    if (params < 0)
        sched_catalog_free(catalog);
    return params < 0 ? params : catalog->modules != NULL ? 0 : -ENOMEM;
}

static int sched_get(void *arg, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_sched_get(b->collet, module, values, count, failed));
}

static int sched_set(void *arg, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    struct backend_collet *b = arg;

    return hypervisor(b, collet_sched_set(b->collet, module, values, count, failed));
}

static int add(void *arg, const struct store_order *order)
{
    struct backend_collet *b = arg;

    return xenstore(b, store_add(b->store, order));
}

static void take_away(void *arg, uint32_t domid, const char *uuid)
{
    struct backend_collet *b = arg;

    store_remove(b->store, domid, uuid);
}

static int write_node(void *arg, uint32_t domid, const char *path, const char *value)
{
    struct backend_collet *b = arg;

    return xenstore(b, store_write(b->store, domid, path, value));
}

static char *read_node(void *arg, uint32_t domid, const char *path)
{
    struct backend_collet *b = arg;
    char *value = store_read(b->store, domid, path);
    int error = errno;

    if (value == NULL)
        xenstore(b, -error);
    errno = error;
    return value;
}

static int rename_nodes(void *arg, uint32_t domid, const char *uuid, const char *name)
{
    struct backend_collet *b = arg;

    return xenstore(b, store_rename(b->store, domid, uuid, name));
}

void backend_collet_init(struct backend_collet *b)
{
    b->backend = (struct backend){.arg = b,
                                  .error = last_error,
                                  .list = list,
                                  .vcpus = vcpus,
                                  .machine = machine,
                                  .build = build,
                                  .build_cancel = builder_cancel,
                                  .unpause = unpause,
                                  .destroy = destroy,
                                  .rename = rename_domain,
                                  .memory_max = memory_max,
                                  .affinity = affinity,
                                  .catalog = catalog,
                                  .sched_get = sched_get,
                                  .sched_set = sched_set,
                                  .store_add = add,
                                  .store_remove = take_away,
                                  .store_write = write_node,
                                  .store_read = read_node,
                                  .store_rename = rename_nodes};
}
