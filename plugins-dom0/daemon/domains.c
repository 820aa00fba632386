// SPDX-License-Identifier: MIT
/*
 * The list of domains, and finding one in it.
 * Contract: domains.h.  Tests: test-domains.c.
 */
#include "domains-private.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const phase_names[] = {
    [PHASE_CREATING] = "creating",     [PHASE_READY] = "ready",         [PHASE_RUNNING] = "running",
    [PHASE_RESTARTING] = "restarting", [PHASE_PRESERVED] = "preserved", [PHASE_ENDED] = "ended",
};

const char *domain_phase_name(enum domain_phase phase)
{
    return phase_names[phase];
}

struct domain *domain_by_name(const struct domains *d, const char *name)
{
    struct domain *domain;

    for (domain = d->first; domain != NULL; domain = domain->next)
        if (strcmp(domain->name, name) == 0)
            return domain;
    return NULL;
}

struct domain *domain_by_id(const struct domains *d, uint32_t domid)
{
    struct domain *domain;

    for (domain = d->first; domain != NULL; domain = domain->next)
        if (domain->domid == domid && domid != DOMID_NONE)
            return domain;
    return NULL;
}

struct domain *domain_add(struct domains *d, const char *name)
{
    struct domain *domain = calloc(1, sizeof(*domain)), **at = &d->first;

    if (domain == NULL)
        return NULL;
    domain->domains = d;
    domain->domid = DOMID_NONE;
    strncpy(domain->name, name, sizeof(domain->name) - 1);
    while (*at != NULL)
        at = &(*at)->next;
    *at = domain;
    return domain;
}

static void domain_free(struct domain *domain)
{
    struct domain **at = &domain->domains->first;

    while (*at != domain)
        at = &(*at)->next;
    *at = domain->next;
    loop_timer_cancel(domain->timer);
    definition_free(domain->definition);
    free(domain);
}

void domain_remove(struct domain *domain)
{
    domain_state_remove(domain->domains, domain->name);
    domain_free(domain);
}

void domain_set_phase(struct domain *domain, enum domain_phase phase)
{
    domain->phase = phase;
    domain_state_write(domain);
}

/* Of ended domains the newest are kept. The list is in order of creation, which serves. */
void domains_trim_ended(struct domains *d)
{
    struct domain *domain, *next;
    unsigned int ended = 0;

    for (domain = d->first; domain != NULL; domain = domain->next)
        ended += domain->phase == PHASE_ENDED;
    for (domain = d->first; domain != NULL && ended > ENDED_KEPT; domain = next) {
        next = domain->next;
        if (domain->phase == PHASE_ENDED) {
            domain_remove(domain);
            ended--;
        }
    }
}

bool domain_lives(const struct domain *domain)
{
    return domain->domid != DOMID_NONE && domain->phase != PHASE_ENDED;
}

void domain_event(struct domains *d, enum collet_plugin_event event)
{
    if (d->s.plugins != NULL)
        plugins_event(d->s.plugins, event);
}

/* The hypervisor's entry for a number, or for a name. */
static bool info_find(struct domains *d, const char *name, uint32_t domid, struct collet_domain_info *info)
{
    struct collet_domain_info *all = NULL;
    int i, count = d->s.backend->list(d->s.backend->arg, &all);
    bool found = false;

    for (i = 0; i < count && !found; i++)
        if (!(all[i].flags & COLLET_DOMAIN_DYING) && (name != NULL ? strcmp(all[i].name, name) == 0 : all[i].domid == domid)) {
            *info = all[i];
            found = true;
        }
    free(all);
    return found;
}

int domain_find(struct domains *d, struct call *call, const char *which, struct domain **domain, struct collet_domain_info *info)
{
    uint64_t number;
    bool numbered = text_number(which, &number) == 0 && number < DOMID_NONE, there;

    memset(info, 0, sizeof(*info));
    *domain = numbered ? domain_by_id(d, (uint32_t)number) : domain_by_name(d, which);
    if (*domain != NULL && (*domain)->phase == PHASE_ENDED && info_find(d, (*domain)->name, 0, info)) {
        *domain = NULL; /* another program made one of the same name */
        return 0;
    }
    if (*domain != NULL)
        there = domain_lives(*domain) && info_find(d, NULL, (*domain)->domid, info);
    else
        there = info_find(d, numbered ? NULL : which, (uint32_t)number, info);
    if (!there)
        info->domid = DOMID_NONE;
    if (there || *domain != NULL)
        return 0;
    call_fail(call, ESRCH, "%.60s: there is no such domain", which);
    return -ESRCH;
}

unsigned int domains_unsettled(const struct domains *d)
{
    struct domain *domain;
    unsigned int count = 0;

    for (domain = d->first; domain != NULL; domain = domain->next)
        count += domain->phase == PHASE_CREATING || domain->phase == PHASE_READY || domain->phase == PHASE_RESTARTING;
    return count;
}

struct domains *domains_create(const struct domains_settings *settings)
{
    struct domains *d = calloc(1, sizeof(*d));
    struct sched_catalog catalog = {0};
    const struct sched_catalog_module *active;

    if (d == NULL)
        return NULL;
    d->s = *settings;
    d->s.state_folder = settings->state_folder != NULL ? strdup(settings->state_folder) : NULL;
    if (d->s.backend->catalog(d->s.backend->arg, &catalog) == 0 && (active = sched_catalog_find(&catalog, NULL)) != NULL)
        memcpy(d->active_module, active->name, sizeof(d->active_module));
    sched_catalog_free(&catalog);
    return d;
}

void domains_set_plugins(struct domains *d, struct plugins *plugins)
{
    d->s.plugins = plugins;
}

void domains_destroy(struct domains *d)
{
    struct waiter *waiter;

    if (d == NULL)
        return;
    while ((waiter = d->waiters) != NULL) {
        d->waiters = waiter->next;
        loop_timer_cancel(waiter->timer);
        call_fail(waiter->call, ECANCELED, "the daemon ends");
        free(waiter);
    }
    while (d->first != NULL) {
        call_fail(d->first->creator, ECANCELED, "the daemon ends");
        call_fail(d->first->destroyer, ECANCELED, "the daemon ends");
        domain_free(d->first);
    }
    domains_world_free(d);
    free((char *)d->s.state_folder);
    free(d);
}
