// SPDX-License-Identifier: MIT
/*
 * Requests about network interfaces: add, remove, and the list.
 * Contract: vifs.h.  Tests: test-vifs.c.
 */
#include "addresses.h"
#include "log.h"
#include "vifs-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void vifs_op_add(struct vifs *v, struct call *call, const struct vif_order *order)
{
    const char *bad = definition_vif_name_wrong(order->vif->name);
    char error[500], mac[MAC_TEXT_BYTES];
    struct vif *made;
    int rc;

    if (bad != NULL) {
        call_fail(call, EINVAL, "%.40s: %s", order->vif->name, bad);
        return;
    }
    if (vif_by_name(v, order->domid, order->vif->name) != NULL) {
        call_fail(call, EEXIST, "%s: the domain has an interface of this name already", order->vif->name);
        return;
    }
    rc = vif_make(v, order, &made, error, sizeof(error));
    if (rc != 0) {
        call_fail(call, rc, "%s: %s", order->vif->name, error);
        return;
    }
    mac_text(made->mac, mac);
    log_note("%s: %s on %s, is VIF %" PRIu32 " (%s)", made->x.title, mac, made->network, made->x.id, made->whole);
    call_result(call, json_pack("{s:I, s:s, s:s, s:s, s:I}", "vif", (json_int_t)made->x.id, "name", made->whole, "mac", mac, "network", made->network, "device", (json_int_t)made->x.device));
}

static void remove_nearest(struct vifs *v, struct call *call, uint32_t domid, const char *name)
{
    const char *names[2 * COLLET_VIFS_MAX + 1], *near;
    unsigned int count = 0;
    struct vif *vif;

    for (vif = v->first; vif != NULL && count < 2 * COLLET_VIFS_MAX; vif = vif->next)
        if (vif->x.domid == domid && !vif->x.gone)
            names[count++] = vif->x.name;
    names[count] = NULL;
    near = text_nearest(name, names);
    call_fail(call, ENOENT, "%.40s: the domain has no interface of this name%s%s%s", name, near != NULL ? "; is " : "", near != NULL ? near : "", near != NULL ? " meant?" : "");
}

void vifs_op_remove(struct vifs *v, struct call *call, uint32_t domid, const char *name, bool force)
{
    struct vif *vif = vif_by_name(v, domid, name);

    if (vif == NULL)
        remove_nearest(v, call, domid, name);
    else if (vif->own)
        call_fail(call, EINVAL, "%s: Domain0's own interface stays as long as its card; `collet vif set %s --up no` silences it", vif->whole, vif->whole);
    else if (xenbus_remove(&vif->x, call, force, v->s.close_ns) != 0)
        call_fail(call, EALREADY, "%s: it is being removed", vif->whole);
}

static json_t *addresses_json(const struct collet_vif_settings *settings)
{
    json_t *list = json_array();
    char text[ADDRESS_TEXT_BYTES];
    uint32_t i;

    for (i = 0; i < settings->addresses && i < COLLET_VIF_ADDRESSES; i++) {
        address_text(&settings->address[i], text);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

static void list_one(json_t *list, const struct vif *vif, const struct collet_vif_info *info)
{
    const char *why = vif->x.why[0] == '\0' && info->broken_why[0] != '\0' ? info->broken_why : vif->x.why;
    char mac[MAC_TEXT_BYTES];

    if (vif->x.closing && *why == '\0')
        why = "it is being removed";
    mac_text(vif->mac, mac);
    json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:I, s:I, s:s, s:s, s:o, s:s, s:s, s:s}", "domid", (json_int_t)vif->x.domid, "domain", vif->domain, "name", vif->whole, "vif", (json_int_t)vif->x.id, "device",
                                          (json_int_t)vif->x.device, "mac", mac, "network", vif->network, "ip", addresses_json(&info->settings), "state", xenbus_state_name(vif->x.back_state), "front",
                                          xenbus_state_name(vif->x.front_state), "why", why));
}

void vifs_op_list(struct vifs *v, struct call *call, uint32_t domid)
{
    const struct vif_backend *b = v->s.backend;
    struct collet_vif_info *all = NULL, none = {0};
    int i, count = b->list(b->arg, &all);
    json_t *list = json_array();
    const struct vif *vif;

    for (vif = v->first; vif != NULL; vif = vif->next) {
        const struct collet_vif_info *info = &none;

        if (vif->x.gone || (domid != ~0u && vif->x.domid != domid))
            continue;
        for (i = 0; i < count; i++)
            if (all[i].vif == vif->x.id)
                info = &all[i];
        list_one(list, vif, info);
    }
    free(all);
    call_result(call, list);
}
