// SPDX-License-Identifier: MIT
/*
 * Requests about virtual block devices: add, remove, the list, and what could be given to a domain.
 * Contract: vbds.h.  Tests: test-vbds.c.
 */
#include "vbds-private.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- add, remove ---- */

void vbds_op_add(struct vbds *v, struct call *call, const struct vbd_order *order)
{
    const char *bad = definition_name_wrong(order->name);
    char error[500], device[DEVICE_NAME_BYTES];
    struct vbd *made;
    int rc;

    if (bad != NULL) {
        call_fail(call, EINVAL, "%.40s: %s", order->name, bad);
        return;
    }
    if (vbd_by_name(v, order->domid, order->name) != NULL) {
        call_fail(call, EEXIST, "%s: the domain has a disk of this name already", order->name);
        return;
    }
    rc = vbd_make(v, order, &made, error, sizeof(error));
    if (rc != 0) {
        call_fail(call, rc, "%s: %s", order->name, error);
        return;
    }
    device_name(made->x.device, device);
    log_note("domain %" PRIu32 ": disk %s (%s), %s, is VBD %" PRIu32, order->domid, order->name, device, order->backing, made->x.id);
    call_result(call, json_pack("{s:I, s:s}", "vbd", (json_int_t)made->x.id, "device", device));
}

static void remove_nearest(struct vbds *v, struct call *call, uint32_t domid, const char *name)
{
    const char *names[COLLET_VBDS_MAX + 1], *near;
    unsigned int count = 0;
    struct vbd *vbd;

    for (vbd = v->first; vbd != NULL && count < COLLET_VBDS_MAX; vbd = vbd->next)
        if (vbd->x.domid == domid && !vbd->x.gone)
            names[count++] = vbd->x.name;
    names[count] = NULL;
    near = text_nearest(name, names);
    call_fail(call, ENOENT, "%.40s: the domain has no disk of this name%s%s%s", name, near != NULL ? "; is " : "", near != NULL ? near : "", near != NULL ? " meant?" : "");
}

/* By its name, or by that of its device. */
static struct vbd *find(const struct vbds *v, uint32_t domid, const char *name)
{
    struct vbd *vbd = vbd_by_name(v, domid, name);
    uint32_t device;

    return vbd == NULL && device_parse(name, &device) == 0 ? vbd_by_place(v, domid, device) : vbd;
}

void vbds_op_remove(struct vbds *v, struct call *call, uint32_t domid, const char *name, bool force)
{
    struct vbd *vbd = find(v, domid, name);

    if (vbd == NULL) {
        remove_nearest(v, call, domid, name);
        return;
    }
    if (vbd->raw) {
        call_fail(call, EINVAL, "%s: Domain0's view of a disk stays as long as the disk", vbd->x.name);
        return;
    }
    if (xenbus_remove(&vbd->x, call, force, v->s.close_ns) != 0)
        call_fail(call, EALREADY, "%s: it is being removed", vbd->x.name);
}

/* ---- The list ---- */

static void list_one(json_t *list, const struct vbd *vbd, const struct collet_vbd_info *info, const char *domain)
{
    char device[DEVICE_NAME_BYTES];
    const char *why = vbd->x.why[0] == '\0' && info->broken_why[0] != '\0' ? info->broken_why : vbd->x.why;

    if (vbd->x.closing && *why == '\0')
        why = "it is being removed";
    device_name(vbd->x.device, device);
    json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "domid", (json_int_t)vbd->x.domid, "domain", domain, "name", vbd->x.name, "vbd", (json_int_t)vbd->x.id, "device", device,
                                          "backing", vbd->backing, "mode", vbd->read_only ? "r" : "w", "state", xenbus_state_name(vbd->x.back_state), "front", xenbus_state_name(vbd->x.front_state), "shared",
                                          vbd->shared, "why", why));
}

void vbds_op_list(struct vbds *v, struct call *call, uint32_t domid, vbds_domain_name *domain_name, void *arg)
{
    const struct vbd_backend *b = v->s.backend;
    struct collet_vbd_info *all = NULL, none = {0};
    int i, count = b->list(b->arg, &all);
    json_t *list = json_array();
    const struct vbd *vbd;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next) {
        const struct collet_vbd_info *info = &none;

        if (vbd->x.gone || (domid != ~0u && vbd->x.domid != domid))
            continue;
        for (i = 0; i < count; i++)
            if (all[i].vbd == vbd->x.id)
                info = &all[i];
        list_one(list, vbd, info, domain_name(arg, vbd->x.domid));
    }
    free(all);
    call_result(call, list);
}

/* ---- What there is to be given ---- */

struct holding {
    struct vbd *vbd;
    struct collet_extent *extents;
    int count;
};

struct listing {
    json_t *list;
    struct holding *holdings;
    unsigned int count;
    vbds_domain_name *domain_name;
    void *arg;
};

static bool overlap(const struct collet_extent *a, unsigned int a_count, const struct collet_extent *b, int b_count)
{
    unsigned int i;
    int j;

    for (i = 0; i < a_count; i++)
        for (j = 0; j < b_count; j++)
            if (a[i].disk == b[j].disk && a[i].sector < b[j].sector + b[j].sectors && b[j].sector < a[i].sector + a[i].sectors)
                return true;
    return false;
}

static void list_volume(void *arg, const char *backing, const struct collet_extent *extents, unsigned int count, bool used, const char *why_not)
{
    struct listing *l = arg;
    char text[400] = "";
    uint64_t sectors = 0;
    unsigned int i;

    for (i = 0; i < count; i++)
        sectors += extents[i].sectors;
    for (i = 0; i < l->count; i++)
        if (overlap(extents, count, l->holdings[i].extents, l->holdings[i].count) && strlen(text) < sizeof(text) - 100)
            snprintf(text + strlen(text), 100, "%s%.32s/%.32s", *text != '\0' ? ", " : "", l->domain_name(l->arg, l->holdings[i].vbd->x.domid), l->holdings[i].vbd->x.name);
    if (used && *text == '\0')
        strcpy(text, "Domain0");
    json_array_append_new(l->list, json_pack("{s:s, s:I, s:s, s:s}", "backing", backing, "sectors", (json_int_t)sectors, "used_by", text, "why_not", why_not != NULL ? why_not : ""));
}

static void holdings_gather(struct vbds *v, struct listing *l)
{
    const struct vbd_backend *b = v->s.backend;
    unsigned int room = 0;
    struct vbd *vbd;

    for (vbd = v->first; vbd != NULL; vbd = vbd->next)
        room++;
    l->holdings = calloc(room + 1, sizeof(*l->holdings));
    for (vbd = v->first; l->holdings != NULL && vbd != NULL; vbd = vbd->next) {
        struct holding *h = &l->holdings[l->count];

        if (vbd->raw || vbd->x.gone)
            continue;
        h->vbd = vbd;
        h->count = b->extents(b->arg, vbd->x.id, &h->extents);
        l->count++;
    }
}

void vbds_op_volumes(struct vbds *v, struct call *call, vbds_domain_name *domain_name, void *arg)
{
    const struct vbd_backend *b = v->s.backend;
    struct listing l = {.list = json_array(), .domain_name = domain_name, .arg = arg};
    struct collet_disk_info *disks = NULL;
    int count = b->disks(b->arg, &disks);
    unsigned int i;

    if (count < 0) {
        json_decref(l.list);
        call_fail(call, count, "%s", b->error(b->arg));
        return;
    }
    holdings_gather(v, &l);
    volumes_each(v->s.volumes, disks, (unsigned int)count, list_volume, &l);
    for (i = 0; i < l.count; i++)
        free(l.holdings[i].extents);
    free(l.holdings);
    free(disks);
    call_result(call, l.list);
}
