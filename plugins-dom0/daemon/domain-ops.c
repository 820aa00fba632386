// SPDX-License-Identifier: MIT
/*
 * Requests about domains that exist: destroy, shut down, reboot, rename, memory, definition, console, the list.
 * Domains that the daemon did not make are served as far as the hypervisor and XenStore go.
 * Contract: domains.h.  Tests: test-domains.c.
 */
#include "domains-private.h"
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_KIB 4u
#define FRAMES_LEAST 1024u /* as a definition's */

bool domain_there(struct call *call, const char *which, const struct domain *domain, const struct collet_domain_info *info)
{
    if (info->domid != DOMID_NONE) {
        if (!(info->flags & COLLET_DOMAIN_PRIVILEGED))
            return true;
        call_fail(call, EINVAL, "%s: not for Domain0", which);
    } else if (domain->phase == PHASE_ENDED) {
        call_fail(call, ESRCH, "%s: it does not run: %s", which, domain->last_exit);
    } else {
        call_fail(call, EBUSY, "%s: it is %s", which, domain_phase_name(domain->phase));
    }
    return false;
}

bool domain_hears(struct call *call, const char *which, const struct domain *domain)
{
    if (domain == NULL || !domain->deaf)
        return true;
    call_fail(call, EHOSTUNREACH, "%s: xenstored has been started anew since this domain began, and its kernel does not hear requests any more; end it from inside, or `destroy` it", which);
    return false;
}

/* ---- destroy ---- */

static void destroy_unmanaged(struct domains *d, struct call *call, const struct collet_domain_info *info)
{
    const struct backend *b = d->s.backend;
    int rc = b->destroy(b->arg, info->domid);

    if (rc != 0) {
        call_fail(call, rc, "%s: %s", info->name, b->error(b->arg));
        return;
    }
    domain_devices_gone(d, info->domid);
    b->store_remove(b->arg, info->domid, "");
    log_note("%s: domain %u destroyed as asked", info->name, info->domid);
    waiters_settle(d, NULL, info->domid, false, "it was destroyed");
    domain_event(d, COLLET_PLUGIN_DOMAIN_WENT);
    call_result(call, NULL);
}

/* It is being built: the builder is told, and answers when it has stopped. */
static void destroy_building(struct domains *d, struct call *call, struct domain *domain)
{
    if (domain->destroyer != NULL) {
        call_fail(call, EALREADY, "%s: it is being destroyed", domain->name);
        return;
    }
    domain->unwanted = true;
    domain->destroyer = call;
    d->s.backend->build_cancel(domain->job);
}

void domains_op_destroy(struct domains *d, struct call *call, const char *which)
{
    struct collet_domain_info info;
    struct domain *domain;

    if (domain_find(d, call, which, &domain, &info) != 0)
        return;
    if (domain != NULL && domain->job != NULL) {
        destroy_building(d, call, domain);
        return;
    }
    if (domain != NULL && domain->phase == PHASE_RESTARTING) {
        domain_undo(domain);
        domain_ended(domain, "destroyed before its restart");
        call_result(call, NULL);
        return;
    }
    if (!domain_there(call, which, domain, &info))
        return;
    if (domain == NULL) {
        destroy_unmanaged(d, call, &info);
        return;
    }
    log_note("%s: domain %u destroyed as asked", domain->name, domain->domid);
    waiters_settle(d, domain, domain->domid, false, "it was destroyed");
    domain_undo(domain);
    domain_ended(domain, "destroyed");
    call_result(call, NULL);
}

/* ---- shutdown, reboot ---- */

static void wait_over(void *arg)
{
    struct waiter *waiter = arg, **at = &waiter->domains->waiters;
    const struct backend *b = waiter->domains->s.backend;
    char *request;

    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    request = b->store_read(b->arg, waiter->domid, "control/shutdown");
    call_fail(waiter->call, ETIMEDOUT, "domain %u did not %s in time: %s; `destroy` would end it", waiter->domid, waiter->reboot ? "reboot" : "shut down",
              request != NULL && *request != '\0' ? "the guest has not taken the request" : "the guest has taken the request and is still at it");
    free(request);
    free(waiter);
}

static void wait_begin(struct domains *d, struct call *call, struct domain *domain, uint32_t domid, bool reboot, uint64_t timeout_ns)
{
    struct waiter *waiter = malloc(sizeof(*waiter));

    if (waiter == NULL) {
        call_fail(call, ENOMEM, "no memory");
        return;
    }
    *waiter = (struct waiter){.next = d->waiters, .domains = d, .domain = domain, .domid = domid, .call = call, .reboot = reboot};
    waiter->timer = loop_timer(d->s.loop, timeout_ns, wait_over, waiter);
    d->waiters = waiter;
}

void domains_op_shutdown(struct domains *d, struct call *call, const char *which, bool reboot, bool wait, uint64_t timeout_ns)
{
    const struct backend *b = d->s.backend;
    struct collet_domain_info info;
    struct domain *domain;
    int rc;

    if (domain_find(d, call, which, &domain, &info) != 0 || !domain_there(call, which, domain, &info) || !domain_hears(call, which, domain))
        return;
    if (info.flags & COLLET_DOMAIN_SHUT_DOWN) {
        call_fail(call, EALREADY, "%s: it has ended already; `destroy` removes what is left", which);
        return;
    }
    if (info.flags & COLLET_DOMAIN_PAUSED) {
        call_fail(call, EBUSY, "%s: it is paused and cannot hear; unpause it first", which);
        return;
    }
    rc = b->store_write(b->arg, info.domid, "control/shutdown", reboot ? "reboot" : "poweroff");
    if (rc != 0) {
        call_fail(call, rc, "%s: %s", which, b->error(b->arg));
        return;
    }
    if (domain != NULL)
        domain->reboot_asked = reboot;
    log_note("%s: asked to %s", info.name, reboot ? "reboot" : "shut down");
    if (wait)
        wait_begin(d, call, domain, info.domid, reboot, timeout_ns);
    else
        call_result(call, NULL);
}

/* ---- rename ---- */

static bool name_fits(struct domains *d, struct call *call, const char *name, const struct domain *self)
{
    struct domain *other = domain_by_name(d, name);
    const char *bad = definition_domain_name_wrong(name);

    if (bad != NULL) {
        call_fail(call, EINVAL, "%.60s: %s", name, bad);
        return false;
    }
    if (other == NULL || other == self)
        return true;
    if (other->phase != PHASE_ENDED) {
        call_fail(call, EEXIST, "%s: there is a domain of this name", name);
        return false;
    }
    return true;
}

void domains_op_rename(struct domains *d, struct call *call, const char *which, const char *name)
{
    const struct backend *b = d->s.backend;
    struct collet_domain_info info;
    struct domain *domain, *old;
    const char *vifs_said;
    int rc;

    if (domain_find(d, call, which, &domain, &info) != 0 || !domain_there(call, which, domain, &info) || !name_fits(d, call, name, domain))
        return;
    rc = b->rename(b->arg, info.domid, name);
    if (rc != 0) {
        call_fail(call, rc, "%s: %s", which, b->error(b->arg));
        return;
    }
    vifs_said = d->s.vifs != NULL ? vifs_domain_name(d->s.vifs, info.domid) : NULL;
    old = domain_by_name(d, name);
    if (old != NULL && old != domain)
        domain_remove(old);
    if (domain != NULL && strcmp(domain->name, name) != 0) {
        char before[COLLET_NAME_MAX];

        memcpy(before, domain->name, sizeof(before));
        memset(domain->name, 0, sizeof(domain->name));
        strncpy(domain->name, name, sizeof(domain->name) - 1);
        domain_state_write(domain);
        domain_state_remove(d, before);
    }
    if (b->store_rename(b->arg, info.domid, domain != NULL ? domain->uuid : "", name) != 0)
        log_warning("%s: its name in XenStore: %s", name, b->error(b->arg));
    log_note("%s: is called %s now", info.name, name);
    if (vifs_said != NULL && strcmp(vifs_said, name) != 0)
        log_warning("%s: its interfaces, network rules and plugins for them know it as %s until its next start; then what they say of %s does not hold for it any more", name, vifs_said, vifs_said);
    call_result(call, NULL);
}

/* ---- memory ---- */

void domains_op_memory(struct domains *d, struct call *call, const char *which, uint64_t frames, uint64_t frames_max)
{
    const struct backend *b = d->s.backend;
    struct collet_domain_info info;
    struct domain *domain;
    char kib[24];
    int rc = 0;

    if (domain_find(d, call, which, &domain, &info) != 0 || !domain_there(call, which, domain, &info) || !domain_hears(call, which, domain))
        return;
    if (frames_max == 0)
        frames_max = info.frames_max;
    if (frames < FRAMES_LEAST) {
        call_fail(call, ERANGE, "%s: at least %u MiB were expected; a plain number is MiB", which, FRAMES_LEAST >> 8);
        return;
    }
    if (frames > frames_max) {
        call_fail(call, ERANGE, "%s: %" PRIu64 " MiB are more than its maximum, %" PRIu64 " MiB", which, frames >> 8, frames_max >> 8);
        return;
    }
    if (frames_max != info.frames_max)
        rc = b->memory_max(b->arg, info.domid, frames_max);
    snprintf(kib, sizeof(kib), "%" PRIu64, frames * FRAMES_KIB);
    if (rc == 0)
        rc = b->store_write(b->arg, info.domid, "memory/target", kib);
    if (rc != 0) {
        call_fail(call, rc, "%s: %s", which, b->error(b->arg));
        return;
    }
    log_note("%s: memory target %s KiB, maximum %" PRIu64 " KiB", info.name, kib, frames_max * FRAMES_KIB);
    if (domain != NULL) {
        domain->frames_target = frames;
        domain->frames_max = frames_max;
        domain_state_write(domain);
    }
    call_result(call, json_pack("{s:I, s:I}", "frames", (json_int_t)frames, "frames_max", (json_int_t)frames_max));
}

/* ---- Looking ---- */

void domains_op_definition(struct domains *d, struct call *call, const char *which)
{
    struct collet_domain_info info;
    struct domain *domain;

    if (domain_find(d, call, which, &domain, &info) != 0)
        return;
    if (domain == NULL || domain->definition == NULL)
        call_fail(call, ENOENT, "%s: this daemon did not make it, so it knows no definition of it", which);
    else
        call_result(call, json_pack("{s:s, s:s}", "file", domain->definition->file, "text", domain->definition->text));
}

void domains_op_console(struct domains *d, struct call *call, const char *which)
{
    const struct backend *b = d->s.backend;
    struct collet_domain_info info;
    struct domain *domain;
    char *pty;

    if (domain_find(d, call, which, &domain, &info) != 0 || !domain_there(call, which, domain, &info))
        return;
    pty = b->store_read(b->arg, info.domid, "console/tty");
    if (pty != NULL && *pty != '\0')
        call_result(call, json_pack("{s:s}", "pty", pty));
    else if (pty == NULL && errno != ENOENT)
        call_fail(call, EIO, "%s: %s", which, b->error(b->arg));
    else
        call_fail(call, EAGAIN, "%s: it has no console yet; xenconsoled gives it one soon after it starts", which);
    free(pty);
}

static json_t *entry_json(const struct domain *domain)
{
    const struct definition *def = domain->definition;

    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:s}", "domid", domain->domid != DOMID_NONE ? json_integer((json_int_t)domain->domid) : json_null(), "name", domain->name, "file",
                     def != NULL ? def->file : "", "on_crash", def != NULL ? definition_action_name(def->on_crash) : "", "on_reboot", def != NULL ? definition_action_name(def->on_reboot) : "",
                     "on_poweroff", def != NULL ? definition_action_name(def->on_poweroff) : "", "restarts", (int)domain->restarts, "target_frames", (json_int_t)domain->frames_target, "last_exit",
                     domain->last_exit, "state", domain->deaf && domain->phase == PHASE_RUNNING ? "deaf" : domain_phase_name(domain->phase));
}

static json_t *unmanaged_json(const struct collet_domain_info *info)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:s}", "domid", (json_int_t)info->domid, "name", info->name, "file", "", "on_crash", "", "on_reboot", "", "on_poweroff", "", "restarts",
                     0, "target_frames", (json_int_t)info->frames, "last_exit", "", "state", "unmanaged");
}

void domains_op_list(struct domains *d, struct call *call)
{
    struct collet_domain_info *all = NULL;
    int i, count = d->s.backend->list(d->s.backend->arg, &all);
    struct domain *domain;
    json_t *list = json_array();

    for (domain = d->first; domain != NULL; domain = domain->next)
        json_array_append_new(list, entry_json(domain));
    for (i = 0; i < count; i++)
        if (!(all[i].flags & (COLLET_DOMAIN_PRIVILEGED | COLLET_DOMAIN_DYING)) && domain_by_id(d, all[i].domid) == NULL && domain_by_name(d, all[i].name) == NULL)
            json_array_append_new(list, unmanaged_json(&all[i]));
    free(all);
    call_result(call, list);
}
