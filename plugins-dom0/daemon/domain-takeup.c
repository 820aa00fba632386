// SPDX-License-Identifier: MIT
/*
 * A daemon that starts finds domains running, and its predecessor's notes: which are ours, what was half done when it was killed.
 *
 *     creating    the domain of that name, if there is one, was never finished: destroyed and forgotten
 *     restarting  the same, but built anew
 *     ready       all was done but the unpausing: unpaused, unless it was to stay paused
 *     running, preserved   taken up; gone ones are kept as ended
 * Contract: domains.h.  Tests: test-domains.c.
 */
#include "domains-private.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

static const struct collet_domain_info *info_same(const struct domain *domain, const struct collet_domain_info *all, int count)
{
    int i;

    for (i = 0; i < count; i++)
        if (all[i].domid == domain->domid && all[i].created_ns == domain->created_ns && !(all[i].flags & COLLET_DOMAIN_DYING))
            return &all[i];
    return NULL;
}

/* Half-built ones have no number in the notes yet: by name, and only if nobody can have begun to use it. */
static const struct collet_domain_info *info_half(const struct domain *domain, const struct collet_domain_info *all, int count)
{
    int i;

    for (i = 0; i < count; i++)
        if (strcmp(all[i].name, domain->name) == 0 && !(all[i].flags & COLLET_DOMAIN_DYING) && (all[i].flags & (COLLET_DOMAIN_BUILDING | COLLET_DOMAIN_PAUSED)))
            return &all[i];
    return NULL;
}

/* Its number names something else now. */
static bool is_other(const struct domain *domain, const struct collet_domain_info *all, int count)
{
    int i;

    for (i = 0; i < count; i++)
        if (all[i].domid == domain->domid && all[i].created_ns != domain->created_ns)
            return true;
    return false;
}

/* What there is of it goes: also if only XenStore still knows of it, or if its destruction was cut short. */
static void destroy_half(struct domain *domain, const struct collet_domain_info *all, int count)
{
    const struct collet_domain_info *info = info_same(domain, all, count);

    if (info == NULL)
        info = info_half(domain, all, count);
    if (info != NULL) {
        log_warning("%s: domain %u was half made when the daemon ended: destroyed", domain->name, info->domid);
        domain->domid = info->domid;
    } else if (is_other(domain, all, count)) {
        return;
    }
    domain_undo(domain);
}

/* One whose destruction was begun and left by somebody who has gone stays so until somebody goes on. */
static void finish_dying(struct domains *d, const struct collet_domain_info *all, int count)
{
    const struct backend *b = d->s.backend;
    int i;

    for (i = 0; i < count; i++)
        if ((all[i].flags & COLLET_DOMAIN_DYING) && b->destroy(b->arg, all[i].domid) == 0) {
            domain_devices_gone(d, all[i].domid);
            b->store_remove(b->arg, all[i].domid, "");
            log_warning("%s: domain %u was half destroyed: it is gone now", all[i].name, all[i].domid);
        }
}

/* A rename was cut between the new file and the removal of the old one. */
static bool is_old_name(const struct domain *domain, const struct collet_domain_info *info)
{
    const struct domain *other = domain_by_name(domain->domains, info->name);

    return other != NULL && other != domain && strcmp(other->uuid, domain->uuid) == 0;
}

static void take_up_running(struct domain *domain, const struct collet_domain_info *info)
{
    if (info == NULL) {
        log_note("%s: domain %u is gone", domain->name, domain->domid);
        domain_undo(domain);
        domain_ended(domain, "ended while the daemon was not there");
        return;
    }
    if (is_old_name(domain, info)) {
        domain_remove(domain);
        return;
    }
    log_note("%s: domain %u taken up", domain->name, domain->domid);
}

static void take_up_ready(struct domain *domain, const struct collet_domain_info *info)
{
    const struct backend *b = domain->domains->s.backend;

    if (info != NULL && !domain->paused && b->unpause(b->arg, domain->domid) != 0)
        log_error("%s: %s", domain->name, b->error(b->arg));
    domain_set_phase(domain, PHASE_RUNNING);
    take_up_running(domain, info);
}

static void take_up(struct domain *domain, const struct collet_domain_info *all, int count)
{
    const struct collet_domain_info *same = info_same(domain, all, count);

    switch (domain->phase) {
    case PHASE_CREATING:
        destroy_half(domain, all, count);
        domain_remove(domain);
        break;
    case PHASE_RESTARTING:
        destroy_half(domain, all, count);
        domain->domid = DOMID_NONE;
        if (domain->definition != NULL)
            domain_restart(domain, 0);
        else
            domain_ended(domain, domain->last_exit);
        break;
    case PHASE_READY:
        take_up_ready(domain, same);
        break;
    case PHASE_RUNNING:
    case PHASE_PRESERVED:
        take_up_running(domain, same);
        break;
    case PHASE_ENDED:
        domain->domid = DOMID_NONE;
        break;
    }
}

/* From the beginning each time: taking up one may remove any other. */
static struct domain *not_taken_up(const struct domains *d)
{
    struct domain *domain = d->first;

    while (domain != NULL && domain->taken_up)
        domain = domain->next;
    return domain;
}

int domains_take_up(struct domains *d)
{
    struct collet_domain_info *all = NULL;
    struct domain *domain;
    int i, count = d->s.backend->list(d->s.backend->arg, &all);

    if (count < 0)
        return count;
    domains_state_read(d);
    while ((domain = not_taken_up(d)) != NULL) {
        domain->taken_up = true;
        take_up(domain, all, count);
    }
    free(all); /* some of them are gone now */
    all = NULL;
    count = d->s.backend->list(d->s.backend->arg, &all);
    finish_dying(d, all, count);
    for (i = 0; i < count; i++)
        if (!(all[i].flags & (COLLET_DOMAIN_PRIVILEGED | COLLET_DOMAIN_DYING)) && domain_by_id(d, all[i].domid) == NULL && domain_by_name(d, all[i].name) == NULL)
            log_note("%s: domain %u is not ours: it is left alone", all[i].name, all[i].domid);
    free(all);
    domains_reconcile(d);
    domains_store_anew(d); /* xenstored may have ended together with our predecessor */
    domains_disks_used(d);
    domains_sched_used(d); /* it may have changed while nobody looked */
    domain_state_module_write(d);
    return 0;
}
