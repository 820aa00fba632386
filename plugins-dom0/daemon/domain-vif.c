// SPDX-License-Identifier: MIT
/*
 * Requests about network interfaces of domains: finding the domain. The work is done by vifs.h.
 * Contract: domains.h.  Tests: test-domains.c.
 */
#include "domains-private.h"

#include <errno.h>

void domain_devices_gone(struct domains *d, uint32_t domid)
{
    if (d->s.vbds != NULL)
        vbds_domain_gone(d->s.vbds, domid);
    if (d->s.vifs != NULL)
        vifs_domain_gone(d->s.vifs, domid);
}

static bool have_vifs(struct domains *d, struct call *call)
{
    if (d->s.vifs == NULL)
        call_fail(call, ENOTSUP, "this daemon could not begin to look after network interfaces; colletd.log says why");
    return d->s.vifs != NULL;
}

/* Unlike disks, Domain0 may have more than its own: one on a network without a wire, to route for it. */
static bool may_have(struct call *call, const char *which, const struct domain *domain, const struct collet_domain_info *info)
{
    return info->domid == 0 || domain_there(call, which, domain, info);
}

void domains_op_vif_add(struct domains *d, struct call *call, const char *which, const struct definition_vif *wanted)
{
    struct collet_domain_info info;
    struct vif_order order = {.vif = wanted};
    struct domain *domain;

    if (!have_vifs(d, call) || domain_find(d, call, which, &domain, &info) != 0 || !may_have(call, which, domain, &info) || !domain_hears(call, which, domain))
        return;
    order.domid = info.domid;
    order.domain = info.domid == 0 ? "Domain-0" : info.name;
    vifs_op_add(d->s.vifs, call, &order);
}

void domains_op_vif_remove(struct domains *d, struct call *call, const char *which, const char *name, bool force)
{
    struct collet_domain_info info;
    struct domain *domain;

    if (have_vifs(d, call) && domain_find(d, call, which, &domain, &info) == 0 && may_have(call, which, domain, &info) && (force || domain_hears(call, which, domain)))
        vifs_op_remove(d->s.vifs, call, info.domid, name, force);
}

void domains_op_vifs(struct domains *d, struct call *call, const char *which)
{
    struct collet_domain_info info = {.domid = ~0u};
    struct domain *domain;

    if (!have_vifs(d, call) || (which != NULL && domain_find(d, call, which, &domain, &info) != 0))
        return;
    if (which != NULL && info.domid == DOMID_NONE)
        call_result(call, json_array()); /* it does not run: it has none */
    else
        vifs_op_list(d->s.vifs, call, info.domid);
}
