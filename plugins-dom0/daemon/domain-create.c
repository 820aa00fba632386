// SPDX-License-Identifier: MIT
/*
 * A domain from its definition: read, admit, build, give it its CPUs and parameters, introduce it, let it run. Whatever fails, nothing is left.
 * Contract: domains.h.  Tests: test-domains.c.
 */
#include "domains-private.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NAME_RETRIES 50
#define NAME_RETRY_NS (200ull * 1000 * 1000)
#define VALUES_MAX 512

/* A request on its way through admission. */
struct admission {
    struct domains *domains;
    struct call *call;
    struct definition *definition;
    bool paused, check_only;
};

static void uuid_make(char *uuid)
{
    unsigned char b[16] = {0};

    if (getrandom(b, sizeof(b), GRND_NONBLOCK) != (ssize_t)sizeof(b)) {
        uint64_t now = loop_now(); /* early after boot: distinct is enough */
        memcpy(b, &now, sizeof(now));
    }
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(uuid, UUID_BYTES, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

/* ---- Steps after the building ---- */

void domain_undo(struct domain *domain)
{
    const struct backend *b = domain->domains->s.backend;
    int rc;

    if (domain->domid == DOMID_NONE)
        return;
    rc = b->destroy(b->arg, domain->domid);
    if (rc != 0 && rc != -ESRCH)
        log_error("%s: domain %u could not be destroyed: %s", domain->name, domain->domid, b->error(b->arg));
    domain_devices_gone(domain->domains, domain->domid);
    b->store_remove(b->arg, domain->domid, domain->uuid);
    domain->domid = DOMID_NONE;
}

/* NULL, or what could not be done. */
static const char *apply_sched(struct domain *domain, char *text, size_t bytes)
{
    const struct backend *b = domain->domains->s.backend;
    struct collet_sched_value *values = calloc(VALUES_MAX, sizeof(*values));
    struct sched_catalog catalog = {0};
    const struct sched_catalog_module *module;
    unsigned int count = 0, failed = 0;
    const char *wrong = NULL;
    int rc = values != NULL ? b->catalog(b->arg, &catalog) : -ENOMEM;

    module = rc == 0 ? sched_catalog_find(&catalog, NULL) : NULL;
    if (module != NULL)
        count = definition_sched_values(domain->definition, module, NULL, domain->domid, values, VALUES_MAX);
    if (count != 0)
        rc = b->sched_set(b->arg, module->name, values, count, &failed);
    if (rc == -ESTALE)
        rc = 0; /* another module took over this moment: its change is about to be reported, and sets them */
    if (rc != 0) {
        snprintf(text, bytes, "its scheduler parameters%s%.32s: %.300s", failed < count ? ", " : "", failed < count ? values[failed].name : "", b->error(b->arg));
        wrong = text;
    }
    sched_catalog_free(&catalog);
    free(values);
    return wrong;
}

static struct store_order store_order(const struct domain *domain, uint32_t vcpus)
{
    return (struct store_order){.domid = domain->domid,
                                .name = domain->name,
                                .uuid = domain->uuid,
                                .vcpus = vcpus,
                                .frames = domain->frames_target,
                                .frames_max = domain->frames_max,
                                .built = domain->built};
}

static void store_anew(struct domain *domain)
{
    const struct backend *b = domain->domains->s.backend;
    struct store_order order = store_order(domain, domain->definition != NULL ? domain->definition->vcpus : 1);

    domain->deaf = true;
    domain_state_write(domain);
    if (b->store_add(b->arg, &order) != 0)
        log_error("%s: domain %u in the new xenstored: %s", domain->name, domain->domid, b->error(b->arg));
    else
        log_warning("%s: domain %u goes on, but hears no requests (shutdown, reboot, memory) until it is started again", domain->name, domain->domid);
}

/* Does the store know it? */
static bool in_store(const struct domain *domain)
{
    const struct backend *b = domain->domains->s.backend;
    char *name = b->store_read(b->arg, domain->domid, "name");
    bool there = name != NULL || errno != ENOENT;

    free(name);
    return there;
}

void domains_store_anew(struct domains *d)
{
    struct domain *domain;

    for (domain = d->first; domain != NULL; domain = domain->next)
        if ((domain->phase == PHASE_RUNNING || domain->phase == PHASE_PRESERVED) && !in_store(domain))
            store_anew(domain);
    if (d->s.vbds != NULL)
        vbds_store_anew(d->s.vbds);
    if (d->s.vifs != NULL)
        vifs_store_anew(d->s.vifs);
}

static const char *apply_definition(struct domain *domain, int *rc, char *text, size_t bytes)
{
    const struct backend *b = domain->domains->s.backend;
    const struct definition *def = domain->definition;
    struct store_order order = store_order(domain, def->vcpus);

    if (def->cpus != ~0ull && (*rc = b->affinity(b->arg, domain->domid, def->cpus)) != 0) {
        snprintf(text, bytes, "its affinity: %.300s", b->error(b->arg));
        return text;
    }
    *rc = -EINVAL;
    if (apply_sched(domain, text, bytes) != NULL)
        return text;
    *rc = b->store_add(b->arg, &order);
    if (*rc != 0) {
        snprintf(text, bytes, "introducing it to XenStore: %.300s", b->error(b->arg));
        return text;
    }
    if (def->vbd_count != 0 && (*rc = vbds_add_defined(domain->domains->s.vbds, domain->domid, def, text, bytes)) != 0)
        return text;
    if (def->vif_count != 0 && domain->domains->s.vifs != NULL && (*rc = vifs_add_defined(domain->domains->s.vifs, domain->domid, domain->name, def, text, bytes)) != 0)
        return text;
    return NULL;
}

static uint64_t created_of(struct domains *d, uint32_t domid)
{
    struct collet_domain_info *all = NULL;
    int i, count = d->s.backend->list(d->s.backend->arg, &all);
    uint64_t created = 0;

    for (i = 0; i < count; i++)
        if (all[i].domid == domid)
            created = all[i].created_ns;
    free(all);
    return created;
}

/* It could not be made. A new one is forgotten; one that was to be restarted stays as ended. */
static void create_failed(struct domain *domain, int rc, const char *message)
{
    struct call *creator = domain->creator, *destroyer = domain->destroyer;
    bool again = domain->phase == PHASE_RESTARTING;

    domain->creator = domain->destroyer = NULL;
    domain_undo(domain);
    if (domain->unwanted)
        log_note("%s: ended while it was being built", domain->name);
    else
        log_error("%s: it could not be created: %s", domain->name, message);
    if (again) {
        char text[sizeof(domain->last_exit)];

        snprintf(text, sizeof(text), "%.70s; restart failed: %.70s", domain->last_exit, message);
        domain_ended(domain, text);
    } else {
        domain_remove(domain);
    }
    call_fail(creator, rc, "%s", message);
    call_result(destroyer, NULL);
}

static void start(struct domain *domain)
{
    struct domains *d = domain->domains;
    const struct backend *b = d->s.backend;
    bool again = domain->restarts != 0;
    struct call *creator = domain->creator;

    if (!domain->paused && b->unpause(b->arg, domain->domid) != 0) {
        create_failed(domain, -EIO, b->error(b->arg));
        return;
    }
    domain_set_phase(domain, PHASE_RUNNING);
    log_note("%s: domain %u %s", domain->name, domain->domid, domain->paused ? "is made, paused" : again ? "runs again" : "runs");
    domain->creator = NULL;
    call_result(creator, json_pack("{s:I, s:s}", "domid", (json_int_t)domain->domid, "name", domain->name));
    waiters_settle(d, domain, domain->domid, true, NULL);
    domain_event(d, COLLET_PLUGIN_DOMAIN_CAME);
    domains_reconcile(d); /* it may have ended meanwhile */
}

static void retry(void *arg)
{
    struct domain *domain = arg;

    domain->timer = NULL;
    domain_build(domain);
}

/* The name of a domain that ended a moment ago may be taken until Domain0's daemons have let go of its frames. */
static bool name_retry(struct domain *domain, int rc)
{
    if (rc != -EEXIST || domain->phase != PHASE_RESTARTING || domain->unwanted || domain->name_retries++ >= NAME_RETRIES)
        return false;
    domain->timer = loop_timer(domain->domains->s.loop, NAME_RETRY_NS, retry, domain);
    return domain->timer != NULL;
}

static void build_failed(struct domain *domain, int rc, const char *message)
{
    const struct definition *def = domain->definition;
    char text[500];

    if (domain->unwanted)
        snprintf(text, sizeof(text), "destroyed while it was being built");
    else if (rc == -ENOEXEC) /* the definition names it */
        snprintf(text, sizeof(text), "%.90s:%u: %.380s", def->file, definition_line(def, "kernel"), message);
    else
        snprintf(text, sizeof(text), "%.480s", message);
    create_failed(domain, rc, text);
}

static void built(void *arg, int rc, const char *message, const struct build_result *result)
{
    struct domain *domain = arg;
    const char *wrong;
    char text[400];

    domain->job = NULL;
    if (rc != 0) {
        if (!name_retry(domain, rc))
            build_failed(domain, rc, message);
        return;
    }
    domain->domid = result->domid;
    domain->built = *result;
    domain->deaf = false;
    domain->created_ns = created_of(domain->domains, result->domid);
    domain_state_write(domain);
    if (domain->unwanted) {
        create_failed(domain, -ECANCELED, "destroyed while it was being built");
        return;
    }
    domain->frames_target = domain->definition->frames;
    domain->frames_max = domain->definition->frames_max;
    wrong = apply_definition(domain, &rc, text, sizeof(text));
    if (wrong != NULL) {
        create_failed(domain, rc, wrong);
        return;
    }
    if (domain->phase == PHASE_RESTARTING) {
        domain->restarts++;
        domain->paused = false;
    }
    domain_set_phase(domain, PHASE_READY);
    start(domain);
}

static void building(void *arg, unsigned int permille, const char *what)
{
    struct domain *domain = arg;

    call_progress(domain->creator, permille, what);
}

void domain_build(struct domain *domain)
{
    const struct backend *b = domain->domains->s.backend;
    const struct definition *def = domain->definition;
    struct build_order order = {.name = domain->name,
                                .kernel = def->kernel,
                                .ramdisk = def->ramdisk,
                                .command_line = def->cmdline,
                                .vcpus = def->vcpus,
                                .frames = def->frames,
                                .frames_max = def->frames_max};

    uuid_make(domain->uuid);
    domain_state_write(domain);
    domain->job = b->build(b->arg, &order, building, built, domain);
    if (domain->job == NULL)
        create_failed(domain, -ENOMEM, b->error(b->arg));
}

/* ---- Requests ---- */

static void check_vbds(struct domains *d, const struct definition *def, struct text_mistakes *mistakes)
{
    if (d->s.vbds != NULL)
        vbds_check(d->s.vbds, def, mistakes);
    else if (def->vbd_count != 0)
        text_mistake(mistakes, def->file, def->vbds[0].line, "[vbd %s]: this daemon could not begin to look after disks; colletd.log says why", def->vbds[0].name);
}

static void check_vifs(struct domains *d, const struct definition *def, struct text_mistakes *mistakes)
{
    if (d->s.vifs != NULL)
        vifs_check(d->s.vifs, def, mistakes);
    else if (def->vif_count != 0)
        text_mistake(mistakes, def->file, def->vifs[0].line, "[vif %s]: this daemon could not begin to look after network interfaces; colletd.log says why", def->vifs[0].name);
}

static struct definition *definition_read(struct domains *d, struct call *call, const char *file, const char *text)
{
    const struct backend *b = d->s.backend;
    struct text_mistakes *mistakes = calloc(1, sizeof(*mistakes));
    struct sched_catalog catalog = {0}, disks = {0};
    struct definition *def = NULL;
    struct collet_machine machine;
    bool disks_known = d->s.vbds != NULL && vbds_modules(d->s.vbds, &disks) == 0;

    if (mistakes == NULL || b->catalog(b->arg, &catalog) != 0 || b->machine(b->arg, &machine) != 0) {
        call_fail(call, EIO, "%s", mistakes == NULL ? "no memory" : b->error(b->arg));
        goto out;
    }
    def = definition_parse(file, text, &catalog, disks_known ? &disks : NULL, mistakes);
    if (def != NULL) {
        check_vbds(d, def, mistakes);
        check_vifs(d, def, mistakes);
        definition_check_files(def, mistakes);
        definition_check_machine(def, machine.cpus, machine.frames_total, mistakes);
    }
    if (mistakes->count != 0 || def == NULL) {
        call_fail(call, EINVAL, "%s", mistakes->count != 0 ? mistakes->text : "no memory");
        definition_free(def);
        def = NULL;
    }
out:
    sched_catalog_free(&catalog);
    sched_catalog_free(&disks);
    free(mistakes);
    return def;
}

/* Is the name free? If not, the call is answered. */
static bool name_free(struct domains *d, struct call *call, const char *name)
{
    struct domain *old = domain_by_name(d, name);
    struct collet_domain_info *all = NULL;
    int i, count = d->s.backend->list(d->s.backend->arg, &all), taken = -1;

    for (i = 0; i < count && taken < 0; i++)
        if (strcmp(all[i].name, name) == 0 && !(all[i].flags & COLLET_DOMAIN_DYING))
            taken = (int)all[i].domid;
    free(all);
    if (taken >= 0)
        call_fail(call, EEXIST, "%s: there is a domain of this name already, domain %d", name, taken);
    else if (old != NULL && old->phase != PHASE_ENDED)
        call_fail(call, EEXIST, "%s: a domain of this name is %s", name, old->phase == PHASE_RESTARTING ? "about to be restarted" : "being made");
    else
        return true;
    return false;
}

/* Whoever wanted it has gone, by Ctrl-C perhaps: nothing is left of it. Once it runs it stays. */
static void creator_gone(void *arg)
{
    struct domain *domain = arg;

    if (domain->job == NULL)
        return;
    log_note("%s: whoever asked for it has gone", domain->name);
    domain->unwanted = true;
    domain->domains->s.backend->build_cancel(domain->job);
}

static void create_begin(struct domains *d, struct call *call, struct definition *def, bool paused)
{
    struct domain *old = domain_by_name(d, def->name), *domain;

    if (old != NULL)
        domain_remove(old);
    domain = domain_add(d, def->name);
    if (domain == NULL) {
        definition_free(def);
        call_fail(call, ENOMEM, "no memory");
        return;
    }
    domain->definition = def;
    domain->paused = paused;
    domain->creator = call;
    call->gone = creator_gone;
    call->gone_arg = domain;
    log_note("%s: is being made from %s", domain->name, def->file);
    domain_build(domain);
}

static void admitted(void *arg, int rc, const char *message)
{
    struct admission *a = arg;

    if (rc != 0) {
        call_fail(a->call, rc, "%s: refused: %s", a->definition->name, message != NULL ? message : "no reason given");
    } else if (a->check_only) {
        call_result(a->call, json_pack("{s:s}", "name", a->definition->name));
    } else if (name_free(a->domains, a->call, a->definition->name)) {
        create_begin(a->domains, a->call, a->definition, a->paused);
        a->definition = NULL;
    }
    definition_free(a->definition);
    free(a);
}

static void admission_ask(struct domains *d, struct call *call, const char *file, const char *text, bool paused, bool check_only)
{
    struct definition *def = definition_read(d, call, file, text);
    struct admission *a;
    struct collet_plugin_request request;

    if (def == NULL)
        return;
    if (!check_only && !name_free(d, call, def->name)) {
        definition_free(def);
        return;
    }
    a = malloc(sizeof(*a));
    if (a == NULL) {
        definition_free(def);
        call_fail(call, ENOMEM, "no memory");
        return;
    }
    *a = (struct admission){.domains = d, .call = call, .definition = def, .paused = paused, .check_only = check_only};
    request = (struct collet_plugin_request){.size = sizeof(request),
                                             .name = def->name,
                                             .vcpus = def->vcpus,
                                             .frames = def->frames,
                                             .frames_max = def->frames_max,
                                             .settings = def->settings,
                                             .setting_count = def->setting_count};
    if (d->s.plugins != NULL)
        plugins_admit(d->s.plugins, &request, admitted, a);
    else
        admitted(a, 0, NULL);
}

void domains_op_create(struct domains *d, struct call *call, const char *file, const char *text, bool paused)
{
    admission_ask(d, call, file, text, paused, false);
}

void domains_op_check(struct domains *d, struct call *call, const char *file, const char *text)
{
    admission_ask(d, call, file, text, false, true);
}
