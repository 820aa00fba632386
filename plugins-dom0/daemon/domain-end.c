// SPDX-License-Identifier: MIT
/*
 * Domains that end, by themselves or by others' hands: what their definition says is done, and whoever waits for it is told.
 *
 * A reported change is only a reason to look: what is done follows from the hypervisor's list, so that a lost or a doubled report does no harm.
 * Contract: domains.h.  Tests: test-domains.c.
 */
#include "domains-private.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/sched.h>

#define VALUES_MAX COLLET_SCHED_VALUES_MAX

/* ---- Those who wait ---- */

/* failure NULL: it ended. restarted: and runs again, which ends the waiting for a reboot. */
void waiters_settle(struct domains *d, const struct domain *domain, uint32_t domid, bool restarted, const char *failure)
{
    struct waiter **at = &d->waiters, *waiter;

    while ((waiter = *at) != NULL) {
        bool about = domain != NULL ? waiter->domain == domain : waiter->domain == NULL && waiter->domid == domid;

        if (!about || (restarted && !waiter->reboot)) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        loop_timer_cancel(waiter->timer);
        if (failure != NULL)
            call_fail(waiter->call, EIO, "%s", failure);
        else
            call_result(waiter->call, NULL);
        free(waiter);
    }
}

/* Those who wait for a shutdown are done as soon as it has ended; those who wait for a reboot wait on if it is restarted. */
static void waiters_ended(struct domains *d, const struct domain *domain, uint32_t reason, bool restarting, const char *text)
{
    struct waiter **at = &d->waiters, *waiter;
    bool bad = reason != SHUTDOWN_poweroff && reason != SHUTDOWN_reboot;

    while ((waiter = *at) != NULL) {
        if (waiter->domain != domain || (waiter->reboot && restarting && !bad)) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        loop_timer_cancel(waiter->timer);
        if (bad)
            call_fail(waiter->call, EIO, "%s: it %s", domain->name, text);
        else
            call_result(waiter->call, NULL);
        free(waiter);
    }
}

/* ---- Its end ---- */

void domain_ended(struct domain *domain, const char *text)
{
    struct domains *d = domain->domains;

    snprintf(domain->last_exit, sizeof(domain->last_exit), "%s", text);
    loop_timer_cancel(domain->timer);
    domain->timer = NULL;
    domain->domid = DOMID_NONE;
    domain->uuid[0] = '\0';
    domain->unwanted = false;
    waiters_settle(d, domain, DOMID_NONE, false, NULL);
    if (domain->definition == NULL) {
        domain_remove(domain);
    } else {
        domain_set_phase(domain, PHASE_ENDED);
        domains_trim_ended(d);
    }
    domain_event(d, COLLET_PLUGIN_DOMAIN_WENT);
}

static void restart_now(void *arg)
{
    struct domain *domain = arg;

    domain->timer = NULL;
    domain->name_retries = 0;
    domain_build(domain);
}

void domain_restart(struct domain *domain, uint64_t delay_ns)
{
    domain->timer = loop_timer(domain->domains->s.loop, delay_ns, restart_now, domain);
    if (domain->timer == NULL)
        log_error("%s: no memory to restart it", domain->name);
}

static void policy_apply(struct domain *domain, const struct collet_domain_info *info)
{
    struct domains *d = domain->domains;
    struct policy_answer answer = {.action = ACTION_DESTROY};
    char text[sizeof(domain->last_exit)];

    policy_exit_text(info->shutdown_reason, info->crash_text, text, sizeof(text));
    if (domain->reboot_asked && info->shutdown_reason == SHUTDOWN_reboot)
        domain->history.count = 0;
    domain->reboot_asked = false;
    if (domain->definition != NULL)
        answer = policy_decide(domain->definition, info->shutdown_reason, &domain->history, &d->s.limits, loop_now());
    if (answer.gave_up)
        strncat(text, "; restarted too often, it stays down", sizeof(text) - strlen(text) - 1);
    snprintf(domain->last_exit, sizeof(domain->last_exit), "%s", text);
    log_note("%s: domain %u %s: %s", domain->name, domain->domid, text, definition_action_name(answer.action));
    waiters_ended(d, domain, info->shutdown_reason, answer.action == ACTION_RESTART, text);
    switch (answer.action) {
    case ACTION_PRESERVE:
        domain_set_phase(domain, PHASE_PRESERVED);
        break;
    case ACTION_RESTART:
        domain_set_phase(domain, PHASE_RESTARTING);
        domain_undo(domain);
        domain_event(d, COLLET_PLUGIN_DOMAIN_WENT);
        domain_restart(domain, answer.delay_ns);
        break;
    case ACTION_DESTROY:
        domain_undo(domain);
        domain_ended(domain, text);
        break;
    }
}

/* ---- Comparing with what there is ---- */

static const struct collet_domain_info *info_of(const struct domain *domain, const struct collet_domain_info *all, int count)
{
    int i;

    for (i = 0; i < count; i++)
        if (all[i].domid == domain->domid && all[i].created_ns == domain->created_ns && !(all[i].flags & COLLET_DOMAIN_DYING))
            return &all[i];
    return NULL;
}

/* Somebody else renamed it. */
static bool adopt_name(struct domain *domain, const char *name)
{
    struct domains *d = domain->domains;
    struct domain *other = domain_by_name(d, name);

    if (other != NULL && other->phase != PHASE_ENDED)
        return false;
    if (other != NULL)
        domain_remove(other);
    log_note("%s: is called %s now", domain->name, name);
    domain_state_remove(d, domain->name);
    memcpy(domain->name, name, sizeof(domain->name));
    domain->name[sizeof(domain->name) - 1] = '\0';
    domain_state_write(domain);
    d->s.backend->store_rename(d->s.backend->arg, domain->domid, domain->uuid, domain->name);
    return true;
}

/* Was something done, so that the list may have changed? */
static bool reconcile_one(struct domain *domain, const struct collet_domain_info *info)
{
    if (info == NULL) {
        log_note("%s: domain %u is gone: destroyed by another program", domain->name, domain->domid);
        domain_undo(domain);
        domain_ended(domain, "destroyed by another program");
        return true;
    }
    if (strcmp(domain->name, info->name) != 0 && adopt_name(domain, info->name))
        return true;
    domain->frames_max = info->frames_max;
    if (domain->phase != PHASE_RUNNING || !(info->flags & COLLET_DOMAIN_SHUT_DOWN))
        return false;
    policy_apply(domain, info);
    return true;
}

/* A domain that nobody manages: whoever waits for it is told when it has ended. */
static void reconcile_unmanaged(struct domains *d, const struct collet_domain_info *all, int count)
{
    struct waiter *waiter, *next;
    int i;

    for (waiter = d->waiters; waiter != NULL; waiter = next) {
        bool lives = false;

        next = waiter->next;
        if (waiter->domain != NULL)
            continue;
        for (i = 0; i < count; i++)
            lives = lives || (all[i].domid == waiter->domid && !(all[i].flags & (COLLET_DOMAIN_SHUT_DOWN | COLLET_DOMAIN_DYING)));
        if (!lives) {
            waiters_settle(d, NULL, waiter->domid, false, NULL);
            next = d->waiters;
        }
    }
}

void domains_reconcile(struct domains *d)
{
    struct collet_domain_info *all = NULL;
    struct domain *domain;
    int count = d->s.backend->list(d->s.backend->arg, &all);

    if (count < 0) {
        log_error("the list of domains: %s", d->s.backend->error(d->s.backend->arg));
        return;
    }
    /* From the beginning after each step: it may have removed any of them. Each step leaves one less to do. */
    for (domain = d->first; domain != NULL;)
        if ((domain->phase == PHASE_RUNNING || domain->phase == PHASE_PRESERVED) && reconcile_one(domain, info_of(domain, all, count)))
            domain = d->first;
        else
            domain = domain->next;
    reconcile_unmanaged(d, all, count);
    free(all);
}

/* ---- Another scheduler ---- */

/* What definitions say for parameters that the module before did not have. Those that both have were carried over, perhaps with newer values. */
static void apply_to_module(struct domains *d, const struct sched_catalog *catalog, const struct sched_catalog_module *now, const struct sched_catalog_module *before)
{
    struct collet_sched_value *values = calloc(VALUES_MAX, sizeof(*values));
    struct domain *domain;
    unsigned int count, failed;
    int rc;

    (void)catalog;
    for (domain = d->first; values != NULL && domain != NULL; domain = domain->next) {
        if (domain->phase != PHASE_RUNNING || domain->definition == NULL)
            continue;
        count = definition_sched_values(domain->definition, now, before, domain->domid, values, VALUES_MAX);
        if (count == 0)
            continue;
        rc = d->s.backend->sched_set(d->s.backend->arg, now->name, values, count, &failed);
        if (rc != 0)
            log_warning("%s: its parameters for scheduler %s are not in force: %s", domain->name, now->name, d->s.backend->error(d->s.backend->arg));
        else
            log_note("%s: %u parameters of its definition set for scheduler %s", domain->name, count, now->name);
    }
    free(values);
}

void domains_sched_used(struct domains *d)
{
    struct sched_catalog catalog = {0};
    const struct sched_catalog_module *now;

    if (d->s.backend->catalog(d->s.backend->arg, &catalog) != 0)
        return;
    now = sched_catalog_find(&catalog, NULL);
    if (now != NULL && strcmp(now->name, d->active_module) != 0) {
        log_note("scheduler %s is in charge now, before it was %s", now->name, d->active_module);
        apply_to_module(d, &catalog, now, sched_catalog_find(&catalog, d->active_module));
        memcpy(d->active_module, now->name, sizeof(d->active_module));
        domain_state_module_write(d);
    }
    sched_catalog_free(&catalog);
    domain_event(d, COLLET_PLUGIN_SCHED_CHANGED);
}

void domains_change(struct domains *d, const struct collet_change *change)
{
    switch (change->kind) {
    case COLLET_CHANGE_SCHED_FAULT:
        log_warning("scheduler: %.*s", (int)sizeof(change->text), change->text);
        break;
    case COLLET_CHANGE_SCHED_USED:
        if (change->value != 0)
            log_error("scheduler: the last module was replaced for a fault, %.*s is in charge", (int)sizeof(change->text), change->text);
        domains_sched_used(d);
        break;
    case COLLET_CHANGE_DOMAIN_UNPAUSED:
        domain_event(d, COLLET_PLUGIN_DOMAIN_CAME); /* others make domains, too */
        break;
    case COLLET_CHANGE_DOMAIN_SHUT_DOWN:
    case COLLET_CHANGE_DOMAIN_DESTROYED:
    case COLLET_CHANGE_DOMAIN_RENAMED:
    case COLLET_CHANGE_MEMORY_MAX:
        domains_reconcile(d);
        break;
    case COLLET_CHANGE_DISK_FAULT:
        log_warning("disk %.*s", (int)sizeof(change->text), change->text);
        break;
    case COLLET_CHANGE_DISK_USED:
        if (change->value != 0)
            log_error("disk %.*s is in charge: the module before was replaced for a fault", (int)sizeof(change->text), change->text);
        domains_disks_used(d);
        break;
    case COLLET_CHANGE_VBD_DESTROYED:
    case COLLET_CHANGE_VBD_BROKEN:
        domains_reconcile(d); /* it may be its domain that has gone */
        if (d->s.vbds != NULL)
            vbds_reconcile(d->s.vbds);
        domain_event(d, COLLET_PLUGIN_DISK_CHANGED);
        break;
    case COLLET_CHANGE_VBD_CREATED:
        domain_event(d, COLLET_PLUGIN_DISK_CHANGED);
        break;
    case COLLET_CHANGE_VIF_DESTROYED:
    case COLLET_CHANGE_VIF_BROKEN:
        domains_reconcile(d); /* it may be its domain that has gone */
        if (d->s.vifs != NULL)
            vifs_reconcile(d->s.vifs);
        break;
    case 0:
        if (d->s.vbds != NULL)
            vbds_reconcile(d->s.vbds);
        if (d->s.vifs != NULL)
            vifs_reconcile(d->s.vifs);
        domains_disks_used(d);
        domains_sched_used(d);
        domains_reconcile(d);
        break;
    default:
        break;
    }
}
