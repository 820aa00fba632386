// SPDX-License-Identifier: MIT
/*
 * The list of virtual block devices: making them, taking them up, and Domain0's raw disks.
 *
 * Order of making: the VBD in the hypervisor, then our nodes, then the front's. A daemon that is killed between leaves a VBD without nodes, and its successor writes them; so nothing of it needs to be noted
 * elsewhere. Nodes without a VBD are what is left of one that is gone.
 * Contract: vbds.h.  Tests: test-vbds.c.
 */
#include "vbds-private.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 64

/* ---- The list ---- */

struct vbd *vbd_by_place(const struct vbds *v, uint32_t domid, uint32_t device)
{
    struct vbd *vbd;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next)
        if (vbd->x.domid == domid && vbd->x.device == device && !vbd->x.gone)
            return vbd;
    return NULL;
}

struct vbd *vbd_by_name(const struct vbds *v, uint32_t domid, const char *name)
{
    struct vbd *vbd;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next)
        if (vbd->x.domid == domid && strcmp(vbd->x.name, name) == 0 && !vbd->x.gone)
            return vbd;
    return NULL;
}

static struct vbd *vbd_by_id(const struct vbds *v, uint32_t id)
{
    struct vbd *vbd;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next)
        if (vbd->x.id == id)
            return vbd;
    return NULL;
}

struct vbd *vbd_add(struct vbds *v, const struct collet_vbd_info *info, const char *backing)
{
    struct vbd *vbd = calloc(1, sizeof(*vbd)), **at = &v->first;
    char device[DEVICE_NAME_BYTES];

    if (vbd == NULL)
        return NULL;
    vbd->vbds = v;
    vbd->x.kind = &vbd_xenbus_kind;
    vbd->x.nodes = v->s.nodes;
    vbd->x.loop = v->s.loop;
    vbd->x.id = info->vbd;
    vbd->x.domid = info->domid;
    vbd->x.device = info->device;
    vbd->read_only = info->flags & COLLET_VBD_READ_ONLY;
    vbd->shared = info->flags & COLLET_VBD_SHARED;
    vbd->raw = info->flags & COLLET_VBD_RAW;
    vbd->x.served = info->flags & (COLLET_VBD_CONNECTED | COLLET_VBD_BROKEN);
    snprintf(vbd->x.name, sizeof(vbd->x.name), "%.31s", info->name);
    snprintf(vbd->backing, sizeof(vbd->backing), "%s", backing);
    device_name(vbd->x.device, device);
    xenbus_name(&vbd->x, device);
    while (*at != NULL && (*at)->x.id < vbd->x.id)
        at = &(*at)->next;
    vbd->next = *at;
    *at = vbd;
    return vbd;
}

void vbd_forget(struct vbd *vbd)
{
    struct vbds *v = vbd->vbds;
    struct vbd **at = &v->first;

    while (*at != vbd)
        at = &(*at)->next;
    *at = vbd->next;
    volumes_release(v->s.volumes, vbd->claim);
    xenbus_free(&vbd->x);
    free(vbd);
}

bool vbd_info(const struct vbds *v, uint32_t id, struct collet_vbd_info *info)
{
    struct collet_vbd_info *all = NULL;
    int i, count = v->s.backend->list(v->s.backend->arg, &all);
    bool found = false;

    for (i = 0; i < count && !found; i++)
        if (all[i].vbd == id) {
            *info = all[i];
            found = true;
        }
    free(all);
    return found;
}

static int begin(struct vbd *vbd, const struct collet_vbd_info *info)
{
    vbd->info = *info;
    return xenbus_begin(&vbd->x);
}

/* ---- Making one ---- */

/* An order on its way. */
struct making {
    struct vbds *v;
    const struct vbd_order *order;
    struct collet_disk_info *disks;
    int disk_count;
    struct collet_extent *extents;
    int extent_count;
    struct volumes_claim *claim;
    char *error;
    size_t error_bytes;
};

__attribute__((format(printf, 3, 4))) static int say(struct making *m, int rc, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(m->error, m->error_bytes, format, args);
    va_end(args);
    return rc;
}

static int backend_says(struct making *m, int rc)
{
    return say(m, rc, "%.300s", m->v->s.backend->error(m->v->s.backend->arg));
}

/* The number that it shall have: as it was said, or the first that is free. */
static int device_choose(struct making *m, uint32_t *device)
{
    char name[DEVICE_NAME_BYTES];
    unsigned int i;
    struct vbd *vbd;
    bool taken;

    if (m->order->device != 0) {
        *device = m->order->device;
        vbd = vbd_by_place(m->v, m->order->domid, *device);
        device_name(*device, name);
        return vbd == NULL ? 0 : say(m, -EEXIST, "it has a device %s already, its disk %s", name, vbd->x.name);
    }
    for (i = 0; i < 2 * COLLET_VBDS_MAX; i++) {
        for (taken = false, vbd = m->v->first; vbd != NULL; vbd = vbd->next)
            taken = taken || (vbd->x.domid == m->order->domid && device_index(vbd->x.device) == i);
        if (!taken) {
            *device = device_number(i);
            return 0;
        }
    }
    return say(m, -ENOSPC, "a domain may have %u disks", COLLET_VBDS_MAX);
}

static int create_refused(struct making *m, int rc, const struct collet_vbd_create *create)
{
    const struct vbd *holder = vbd_by_id(m->v, create->holder);

    if (rc != -EBUSY)
        return backend_says(m, rc);
    if (holder != NULL)
        return say(m, rc, "%s: some of it belongs to disk %s of domain %" PRIu32 " (%s); shared = yes in both would allow that, for guests that can share", m->order->backing, holder->x.name, holder->x.domid, holder->backing);
    return say(m, rc, "%s: some of it belongs to VBD %" PRIu32, m->order->backing, create->holder);
}

static int create(struct making *m, uint32_t flags, struct collet_vbd_info *info)
{
    const struct vbd_backend *b = m->v->s.backend;
    struct collet_vbd_create create = {.domid = m->order->domid, .flags = flags, .extents = (uint32_t)m->extent_count, .holder = ~0u};
    int rc = device_choose(m, &create.device);

    if (rc != 0)
        return rc;
    snprintf(create.name, sizeof(create.name), "%.31s", m->order->name);
    rc = b->create(b->arg, &create, m->extents);
    if (rc != 0)
        return create_refused(m, rc, &create);
    return vbd_info(m->v, create.vbd, info) ? 0 : say(m, -EIO, "VBD %" PRIu32 " was made and is not there", create.vbd);
}

static int resolve(struct making *m)
{
    const struct vbd_backend *b = m->v->s.backend;
    int rc;

    m->disk_count = b->disks(b->arg, &m->disks);
    if (m->disk_count < 0)
        return backend_says(m, m->disk_count);
    m->extent_count = volumes_find(m->v->s.volumes, m->order->backing, m->disks, (unsigned int)m->disk_count, &m->extents, m->error, m->error_bytes);
    if (m->extent_count < 0)
        return m->extent_count;
    rc = volumes_claim(m->v->s.volumes, m->order->backing, m->disks, (unsigned int)m->disk_count, !m->order->shared, &m->claim, m->error, m->error_bytes);
    return rc;
}

/* Parameters of the section [vbd NAME] for the module that orders this disk, without those that `except` has too. */
static int disk_params_set(struct vbds *v, const struct definition *definition, const char *name, uint32_t id, const struct collet_disk_info *disk, const struct sched_catalog *catalog,
                           const struct sched_catalog_module *except)
{
    const struct vbd_backend *b = v->s.backend;
    const struct sched_catalog_module *module = sched_catalog_find(catalog, disk->module);
    struct collet_disk_value values[VALUES_MAX];
    unsigned int failed, count;
    int rc;

    if (module == NULL)
        return 0;
    count = definition_vbd_values(definition, name, module, except, id, values, VALUES_MAX);
    if (count == 0)
        return 0;
    rc = b->disk_set(b->arg, disk->disk, module->name, values, count, &failed);
    return rc == -ESTALE ? 0 : rc; /* another took over this moment: that is about to be reported, and sets them */
}

static int params_set(struct making *m, uint32_t id)
{
    struct sched_catalog catalog = {0};
    int i, j, rc = vbds_modules(m->v, &catalog);

    for (i = 0; rc == 0 && i < m->disk_count; i++)
        for (j = 0; j < m->extent_count; j++)
            if (m->extents[j].disk == m->disks[i].disk) {
                rc = disk_params_set(m->v, m->order->definition, m->order->name, id, &m->disks[i], &catalog, NULL);
                break;
            }
    sched_catalog_free(&catalog);
    return rc;
}

static int limits_set(struct making *m, uint32_t id)
{
    const struct vbd_backend *b = m->v->s.backend;

    if (m->order->requests_per_s == 0 && m->order->bytes_per_s == 0)
        return 0;
    return b->limits(b->arg, id, m->order->requests_per_s, m->order->bytes_per_s);
}

/* It exists; the rest of it. On failure it is taken away again. */
static int equip(struct making *m, const struct collet_vbd_info *info, struct vbd **made)
{
    struct vbd *vbd = vbd_add(m->v, info, m->order->backing);
    int rc;

    if (vbd == NULL) {
        m->v->s.backend->end(m->v->s.backend->arg, info->vbd, true, NULL, NULL);
        return say(m, -ENOMEM, "no memory");
    }
    vbd->claim = m->claim;
    m->claim = NULL;
    rc = limits_set(m, info->vbd);
    if (rc == 0 && m->order->definition != NULL)
        rc = params_set(m, info->vbd);
    if (rc == 0)
        rc = begin(vbd, info);
    if (rc != 0) {
        backend_says(m, rc);
        xenbus_close(&vbd->x, true);
        return rc;
    }
    *made = vbd;
    return 0;
}

int vbd_make(struct vbds *v, const struct vbd_order *order, struct vbd **made, char *error, size_t error_bytes)
{
    struct making m = {.v = v, .order = order, .error = error, .error_bytes = error_bytes};
    uint32_t flags = (order->read_only ? (uint32_t)COLLET_VBD_READ_ONLY : 0) | (order->shared ? (uint32_t)COLLET_VBD_SHARED : 0);
    struct collet_vbd_info info;
    int rc = resolve(&m);

    if (rc == 0)
        rc = create(&m, flags, &info);
    if (rc == 0)
        rc = equip(&m, &info, made);
    volumes_release(v->s.volumes, m.claim);
    free(m.extents);
    free(m.disks);
    return rc;
}

/* ---- Those of definitions ---- */

static struct vbd_order defined_order(const struct definition *definition, const struct definition_vbd *d, uint32_t domid)
{
    return (struct vbd_order){.domid = domid,
                              .name = d->name,
                              .backing = d->backing,
                              .read_only = d->read_only,
                              .shared = d->shared,
                              .device = d->device,
                              .requests_per_s = d->requests_per_s,
                              .bytes_per_s = d->bytes_per_s,
                              .definition = definition};
}

void vbds_check(struct vbds *v, const struct definition *definition, struct text_mistakes *mistakes)
{
    struct definition_vbd *d;
    char error[400];
    uint32_t i;
    int rc;

    for (i = 0; i < definition->vbd_count; i++) {
        struct vbd_order order = defined_order(definition, d = &definition->vbds[i], DOMID_INVALID);
        struct making m = {.v = v, .order = &order, .error = error, .error_bytes = sizeof(error)};

        rc = resolve(&m);
        if (rc != 0)
            text_mistake(mistakes, definition->file, d->backing_line, "backing = %.80s: %s", d->backing, error);
        volumes_release(v->s.volumes, m.claim);
        free(m.extents);
        free(m.disks);
    }
}

int vbds_add_defined(struct vbds *v, uint32_t domid, const struct definition *definition, char *error, size_t error_bytes)
{
    struct vbd *made;
    char text[400];
    uint32_t i;
    int rc;

    for (i = 0; i < definition->vbd_count; i++) {
        struct vbd_order order = defined_order(definition, &definition->vbds[i], domid);

        rc = vbd_make(v, &order, &made, text, sizeof(text));
        if (rc != 0) {
            snprintf(error, error_bytes, "%.90s:%u: backing = %.80s: %.300s", definition->file, definition->vbds[i].backing_line, order.backing, text);
            return rc;
        }
    }
    return 0;
}

void vbds_domain_gone(struct vbds *v, uint32_t domid)
{
    struct vbd *vbd, *next;

    for (vbd = v->first; vbd != NULL; vbd = next) {
        next = vbd->next;
        if (vbd->x.domid != domid)
            continue;
        vbd->x.gone = true;
        xenbus_forget(&vbd->x);
        if (!vbd->x.ending)
            vbd_forget(vbd);
    }
    xenbus_domain_forget(v->s.nodes, vbd_xenbus_kind.word, domid);
}

/* ---- Modules ---- */

int vbds_modules(struct vbds *v, struct sched_catalog *catalog)
{
    return v->s.backend->modules(v->s.backend->arg, catalog);
}

static bool changed(const struct vbds *v, const struct collet_disk_info *disk)
{
    return disk->disk < VBDS_DISKS && strcmp(v->before_of[disk->disk], disk->module) != 0;
}

/* Parameters that both modules have were carried over, perhaps with newer values. */
static void follow(struct vbds *v, uint32_t domid, const struct definition *definition, const struct vbd *vbd, const struct collet_disk_info *disk, const struct sched_catalog *catalog)
{
    const struct vbd_backend *b = v->s.backend;
    const struct sched_catalog_module *before = v->before_of[disk->disk][0] != '\0' ? sched_catalog_find(&v->before, v->before_of[disk->disk]) : NULL;
    int rc = disk_params_set(v, definition, vbd->x.name, vbd->x.id, disk, catalog, before);

    if (rc != 0 && rc != -ESRCH) /* that: it does not lie on this disk */
        log_warning("domain %" PRIu32 ", disk %s: its parameters for module %s of %s are not in force: %s", domid, vbd->x.name, disk->module, disk->name, b->error(b->arg));
}

void vbds_modules_noted(struct vbds *v)
{
    const struct vbd_backend *b = v->s.backend;
    struct collet_disk_info *disks = NULL;
    int i, count = b->disks(b->arg, &disks);

    sched_catalog_free(&v->before);
    vbds_modules(v, &v->before);
    for (i = 0; i < count; i++)
        if (disks[i].disk < VBDS_DISKS)
            memcpy(v->before_of[disks[i].disk], disks[i].module, COLLET_NAME_MAX);
    free(disks);
}

void vbds_modules_changed(struct vbds *v, uint32_t domid, const struct definition *definition)
{
    const struct vbd_backend *b = v->s.backend;
    struct collet_disk_info *disks = NULL;
    struct sched_catalog catalog = {0};
    int i, count = definition->vbd_count != 0 && vbds_modules(v, &catalog) == 0 ? b->disks(b->arg, &disks) : 0;
    uint32_t j;

    for (j = 0; j < definition->vbd_count; j++) {
        const struct vbd *vbd = vbd_by_name(v, domid, definition->vbds[j].name);

        for (i = 0; vbd != NULL && i < count; i++)
            if (changed(v, &disks[i]))
                follow(v, domid, definition, vbd, &disks[i], &catalog);
    }
    sched_catalog_free(&catalog);
    free(disks);
}

/* ---- Domain0's raw disks ---- */

static int raw_make(struct vbds *v, const struct collet_disk_info *disk)
{
    const struct vbd_backend *b = v->s.backend;
    uint64_t block = disk->sector_bytes > 512 ? disk->sector_bytes / 512 : 1;
    struct collet_extent whole = {.disk = disk->disk, .sectors = disk->sectors - disk->sectors % block};
    struct collet_vbd_create create = {.flags = COLLET_VBD_RAW | (disk->flags & COLLET_DISK_READ_ONLY ? (uint32_t)COLLET_VBD_READ_ONLY : 0), .device = device_number(disk->disk), .extents = 1};
    struct collet_vbd_info info;
    char backing[BACKING_BYTES];
    struct vbd *vbd;
    int rc;

    snprintf(create.name, sizeof(create.name), "%.31s", disk->name);
    snprintf(backing, sizeof(backing), "disk:%.31s", disk->name);
    rc = b->create(b->arg, &create, &whole);
    if (rc != 0 || !vbd_info(v, create.vbd, &info)) {
        log_error("%s: Domain0 does not get it: %s", disk->name, rc != 0 ? b->error(b->arg) : "it was made and is not there");
        return rc != 0 ? rc : -EIO;
    }
    vbd = vbd_add(v, &info, backing);
    if (vbd == NULL)
        return -ENOMEM;
    rc = begin(vbd, &info);
    if (rc != 0)
        log_error("%s: %s", disk->name, b->error(b->arg));
    return rc;
}

static int raw_disks(struct vbds *v)
{
    const struct vbd_backend *b = v->s.backend;
    struct collet_disk_info *disks = NULL;
    int i, count = b->disks(b->arg, &disks);

    for (i = 0; i < count; i++)
        if (vbd_by_place(v, 0, device_number(disks[i].disk)) == NULL)
            raw_make(v, &disks[i]);
    free(disks);
    return count < 0 ? count : 0;
}

unsigned int vbds_raw_waiting(const struct vbds *v)
{
    const struct vbd *vbd;
    unsigned int count = 0;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next)
        count += vbd->raw && vbd->x.front_state != XenbusStateConnected;
    return count;
}

/* ---- Taking up ---- */

/* What it lies on, if only the hypervisor knows. */
static void backing_guess(struct vbds *v, const struct collet_vbd_info *info, char *backing)
{
    const struct vbd_backend *b = v->s.backend;
    struct collet_extent *extents = NULL;
    struct collet_disk_info *disks = NULL;
    int count = b->extents(b->arg, info->vbd, &extents), disk_count = b->disks(b->arg, &disks), i;

    snprintf(backing, BACKING_BYTES, "?");
    for (i = 0; count > 0 && i < disk_count; i++)
        if (disks[i].disk == extents[0].disk)
            snprintf(backing, BACKING_BYTES, "disk:%.31s:%" PRIu64 "+%" PRIu64 "%s", disks[i].name, extents[0].sector, extents[0].sectors, count > 1 ? " and more" : "");
    free(extents);
    free(disks);
}

static void claim_again(struct vbd *vbd)
{
    struct vbds *v = vbd->vbds;
    struct collet_disk_info *disks = NULL;
    int count = v->s.backend->disks(v->s.backend->arg, &disks);
    char error[400];

    if (!vbd->raw && count >= 0 && volumes_claim(v->s.volumes, vbd->backing, disks, (unsigned int)count, !vbd->shared, &vbd->claim, error, sizeof(error)) == -EBUSY)
        log_error("domain %" PRIu32 ", disk %s: %s", vbd->x.domid, vbd->x.name, error);
    free(disks);
}

static void take_up_one(struct vbds *v, const struct collet_vbd_info *info)
{
    char path[STORE_PATH_BYTES], backing[BACKING_BYTES], *noted;
    struct vbd *vbd;
    int rc;

    snprintf(path, sizeof(path), "/local/domain/0/collet-vbd/%" PRIu32 "/%" PRIu32 "/params", info->domid, info->device);
    noted = v->s.nodes->read(v->s.nodes->arg, path);
    if (noted != NULL)
        snprintf(backing, sizeof(backing), "%s", noted);
    else
        backing_guess(v, info, backing);
    free(noted);
    vbd = vbd_add(v, info, backing);
    if (vbd == NULL)
        return;
    claim_again(vbd);
    rc = xenbus_whole(&vbd->x) ? xenbus_take_up(&vbd->x) : begin(vbd, info);
    if (rc != 0)
        log_error("domain %" PRIu32 ", disk %s: %s", vbd->x.domid, vbd->x.name, v->s.backend->error(v->s.backend->arg));
}

static bool there(void *arg, uint32_t domid, uint32_t device, bool any_of_domain)
{
    const struct vbds *v = arg;
    const struct vbd *vbd = v->first;

    if (!any_of_domain)
        return vbd_by_place(v, domid, device) != NULL;
    while (vbd != NULL && vbd->x.domid != domid)
        vbd = vbd->next;
    return vbd != NULL;
}

int vbds_take_up(struct vbds *v)
{
    const struct vbd_backend *b = v->s.backend;
    struct collet_vbd_info *all = NULL;
    int i, count = b->list(b->arg, &all);

    for (i = 0; i < count; i++)
        take_up_one(v, &all[i]);
    free(all);
    if (count < 0)
        return count;
    xenbus_sweep(v->s.nodes, vbd_xenbus_kind.word, there, v);
    vbds_modules_noted(v);
    return raw_disks(v);
}

void vbds_store_anew(struct vbds *v)
{
    struct collet_vbd_info info;
    struct vbd *vbd;
    int rc;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next) {
        if (vbd->x.gone || (vbd->x.watched && xenbus_whole(&vbd->x)))
            continue;
        rc = xenbus_whole(&vbd->x) ? xenbus_take_up(&vbd->x) : vbd_info(v, vbd->x.id, &info) ? begin(vbd, &info) : 0;
        if (rc != 0)
            log_error("domain %" PRIu32 ", disk %s in the new xenstored: %s", vbd->x.domid, vbd->x.name, v->s.backend->error(v->s.backend->arg));
    }
}

void vbds_store_lost(struct vbds *v)
{
    struct vbd *vbd;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next)
        vbd->x.watched = false;
}

static void reconcile_one(struct vbd *vbd, const struct collet_vbd_info *all, int count)
{
    int i;

    for (i = 0; i < count; i++)
        if (all[i].vbd == vbd->x.id) {
            if (all[i].flags & COLLET_VBD_BROKEN)
                xenbus_broken(&vbd->x, all[i].broken_why);
            return;
        }
    if (vbd->x.ending)
        return;
    log_note("domain %" PRIu32 ", disk %s: destroyed by another program", vbd->x.domid, vbd->x.name);
    xenbus_forget(&vbd->x);
    vbd_forget(vbd);
}

void vbds_reconcile(struct vbds *v)
{
    struct collet_vbd_info *all = NULL;
    int count = v->s.backend->list(v->s.backend->arg, &all);
    struct vbd *vbd, *next;

    for (vbd = v->first; count >= 0 && vbd != NULL; vbd = next) {
        next = vbd->next;
        reconcile_one(vbd, all, count);
    }
    free(all);
}

void vbds_watched(struct vbds *v, const char *token)
{
    uint32_t domid, device;
    struct vbd *vbd;

    if (!xenbus_token(token, vbd_xenbus_kind.word, &domid, &device))
        return;
    vbd = vbd_by_place(v, domid, device);
    if (vbd != NULL)
        xenbus_look(&vbd->x);
}

struct vbds *vbds_create(const struct vbds_settings *settings)
{
    struct vbds *v = calloc(1, sizeof(*v));

    if (v != NULL)
        v->s = *settings;
    return v;
}

/* The backend has ended before: no device_end_done comes any more. */
void vbds_destroy(struct vbds *v)
{
    if (v == NULL)
        return;
    while (v->first != NULL) {
        call_fail(v->first->x.remover, ECANCELED, "the daemon ends");
        v->first->x.remover = NULL;
        vbd_forget(v->first);
    }
    sched_catalog_free(&v->before);
    free(v);
}
