// SPDX-License-Identifier: MIT
/*
 * Requests about disks of domains: finding the domain, and its name for the lists. The work is done by vbds.h.
 * Contract: domains.h.  Tests: test-domains.c.
 */
#include "domains-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool have_vbds(struct domains *d, struct call *call)
{
    if (d->s.vbds == NULL)
        call_fail(call, ENOTSUP, "this daemon could not begin to look after disks; colletd.log says why");
    return d->s.vbds != NULL;
}

void domains_op_vbd_add(struct domains *d, struct call *call, const char *which, const struct vbd_order *wanted)
{
    struct collet_domain_info info;
    struct vbd_order order = *wanted;
    struct domain *domain;

    if (!have_vbds(d, call) || domain_find(d, call, which, &domain, &info) != 0 || !domain_there(call, which, domain, &info) || !domain_hears(call, which, domain))
        return;
    order.domid = info.domid;
    vbds_op_add(d->s.vbds, call, &order);
}

void domains_op_vbd_remove(struct domains *d, struct call *call, const char *which, const char *name, bool force)
{
    struct collet_domain_info info;
    struct domain *domain;

    if (have_vbds(d, call) && domain_find(d, call, which, &domain, &info) == 0 && domain_there(call, which, domain, &info) && (force || domain_hears(call, which, domain)))
        vbds_op_remove(d->s.vbds, call, info.domid, name, force);
}

struct names {
    struct collet_domain_info *all;
    int count;
};

static const char *name_of(void *arg, uint32_t domid)
{
    const struct names *names = arg;
    int i;

    for (i = 0; i < names->count; i++)
        if (names->all[i].domid == domid)
            return names->all[i].name;
    return "";
}

void domains_op_vbds(struct domains *d, struct call *call, const char *which)
{
    struct collet_domain_info info = {.domid = ~0u};
    struct names names = {0};
    struct domain *domain;

    if (!have_vbds(d, call) || (which != NULL && domain_find(d, call, which, &domain, &info) != 0))
        return;
    if (which != NULL && info.domid == DOMID_NONE) {
        call_result(call, json_array()); /* it does not run: it has none */
        return;
    }
    names.count = d->s.backend->list(d->s.backend->arg, &names.all);
    vbds_op_list(d->s.vbds, call, info.domid, name_of, &names);
    free(names.all);
}

void domains_op_volumes(struct domains *d, struct call *call)
{
    struct names names = {0};

    if (!have_vbds(d, call))
        return;
    names.count = d->s.backend->list(d->s.backend->arg, &names.all);
    vbds_op_volumes(d->s.vbds, call, name_of, &names);
    free(names.all);
}

void domains_disks_used(struct domains *d)
{
    struct domain *domain;

    if (d->s.vbds == NULL)
        return;
    for (domain = d->first; domain != NULL; domain = domain->next)
        if (domain->phase == PHASE_RUNNING && domain->definition != NULL)
            vbds_modules_changed(d->s.vbds, domain->domid, domain->definition);
    vbds_modules_noted(d->s.vbds);
    domain_event(d, COLLET_PLUGIN_DISK_CHANGED);
}
