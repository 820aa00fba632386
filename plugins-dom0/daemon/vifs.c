// SPDX-License-Identifier: MIT
/*
 * The list of network interfaces: making them, taking them up, the numbers of networks, and Domain0's own interfaces.
 *
 * Order of making: the VIF in the hypervisor, then our nodes, then the front's. A daemon that is killed between leaves a VIF without nodes, and its successor writes them; so nothing of it needs to be noted
 * elsewhere, but for the name of a network without a wire, which is a node of each interface on it. Nodes without a VIF are what is left of one that is gone.
 * Contract: vifs.h.  Tests: test-vifs.c.
 */
#include "addresses.h"
#include "log.h"
#include "vifs-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN0_NAME "Domain-0"
#define NETWORK_NONE "none" /* where one is that names no network, when there is no card */
#define MAC_ATTEMPTS 1000u

/* ---- The list ---- */

struct vif *vif_by_place(const struct vifs *v, uint32_t domid, uint32_t device)
{
    struct vif *vif;

    for (vif = v->first; vif != NULL; vif = vif->next)
        if (vif->x.domid == domid && vif->x.device == device && !vif->x.gone)
            return vif;
    return NULL;
}

struct vif *vif_by_name(const struct vifs *v, uint32_t domid, const char *name)
{
    struct vif *vif;

    for (vif = v->first; vif != NULL; vif = vif->next)
        if (vif->x.domid == domid && !vif->x.gone && (strcmp(vif->x.name, name) == 0 || strcmp(vif->whole, name) == 0))
            return vif;
    return NULL;
}

const char *vifs_domain_name(const struct vifs *v, uint32_t domid)
{
    const struct vif *vif = v->first;

    while (vif != NULL && (vif->x.domid != domid || vif->x.gone))
        vif = vif->next;
    return vif != NULL ? vif->domain : NULL;
}

/* "web.0": what is behind the domain's name. */
static const char *name_alone(const struct collet_vif_info *info)
{
    size_t length = strnlen(info->domain, sizeof(info->domain));

    return strncmp(info->name, info->domain, length) == 0 && info->name[length] == '.' ? info->name + length + 1 : info->name;
}

static struct vif *vif_add(struct vifs *v, const struct collet_vif_info *info, const char *network)
{
    struct vif *vif = calloc(1, sizeof(*vif)), **at = &v->first;

    if (vif == NULL)
        return NULL;
    vif->vifs = v;
    vif->x = (struct xenbus_device){.kind = &vif_xenbus_kind, .nodes = v->s.nodes, .loop = v->s.loop, .id = info->vif, .domid = info->domid, .device = info->device};
    vif->x.served = info->flags & (COLLET_VIF_CONNECTED | COLLET_VIF_BROKEN);
    snprintf(vif->x.name, sizeof(vif->x.name), "%.31s", name_alone(info));
    snprintf(vif->whole, sizeof(vif->whole), "%.63s", info->name);
    snprintf(vif->domain, sizeof(vif->domain), "%.63s", info->domain);
    snprintf(vif->network, sizeof(vif->network), "%.31s", network);
    memcpy(vif->mac, info->mac, sizeof(vif->mac));
    vif->own = info->domid == 0 && info->settings.segment < COLLET_SEGMENT_OWN && info->device == info->settings.segment;
    xenbus_name(&vif->x, "");
    while (*at != NULL && (*at)->x.id < vif->x.id)
        at = &(*at)->next;
    vif->next = *at;
    *at = vif;
    return vif;
}

void vif_forget(struct vif *vif)
{
    struct vif **at = &vif->vifs->first;

    while (*at != vif)
        at = &(*at)->next;
    *at = vif->next;
    xenbus_free(&vif->x);
    free(vif);
}

static bool info_of(const struct vifs *v, uint32_t id, struct collet_vif_info *info)
{
    struct collet_vif_info *all = NULL;
    int i, count = v->s.backend->list(v->s.backend->arg, &all);
    bool found = false;

    for (i = 0; i < count && !found; i++)
        if (all[i].vif == id) {
            *info = all[i];
            found = true;
        }
    free(all);
    return found;
}

/* ---- Networks ---- */

__attribute__((format(printf, 4, 5))) static int say(char *error, size_t bytes, int rc, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, bytes, format, args);
    va_end(args);
    return rc;
}

/* "nic0": its number. */
static bool card_of(const char *network, uint32_t *nic)
{
    uint64_t number;

    if (strncmp(network, "nic", 3) != 0 || text_number(network + 3, &number) != 0 || number >= COLLET_SEGMENT_OWN)
        return false;
    *nic = (uint32_t)number;
    return true;
}

static bool segment_used(const struct collet_vif_info *all, int count, uint32_t segment)
{
    int i;

    for (i = 0; i < count; i++)
        if (all[i].settings.segment == segment)
            return true;
    return false;
}

/* The number of a network without a wire: that of the others on it, or the first that nobody has. */
static int segment_named(struct vifs *v, const char *network, uint32_t *segment, char *error, size_t bytes)
{
    const struct vif_backend *b = v->s.backend;
    struct collet_vif_info *all = NULL;
    int i, count = b->list(b->arg, &all);
    const struct vif *vif;
    bool found = false;

    if (count < 0)
        return say(error, bytes, count, "%.300s", b->error(b->arg));
    for (vif = v->first; vif != NULL && !found; vif = vif->next)
        for (i = 0; i < count && !found && strcmp(vif->network, network) == 0; i++)
            if (all[i].vif == vif->x.id) {
                *segment = all[i].settings.segment;
                found = true;
            }
    for (*segment = found ? *segment : COLLET_SEGMENT_OWN; !found && *segment < COLLET_SEGMENTS; *segment += !found)
        found = !segment_used(all, count, *segment);
    free(all);
    return found ? 0 : say(error, bytes, -ENOSPC, "there are %u networks already", COLLET_SEGMENTS - COLLET_SEGMENT_OWN);
}

/* NULL: the first card, or none. *name: as it is called. */
static int network_find(struct vifs *v, const char *network, const char **name, uint32_t *segment, char *error, size_t bytes)
{
    const struct vif_backend *b = v->s.backend;
    struct collet_nic_info *nics = NULL;
    int i, count = b->nics(b->arg, &nics);
    bool found = false;

    *name = network != NULL && *network != '\0' ? network : count > 0 ? "nic0" : NETWORK_NONE;
    for (i = 0; i < count && card_of(*name, segment); i++)
        found = found || nics[i].nic == *segment;
    free(nics);
    if (count < 0)
        return say(error, bytes, count, "%.300s", b->error(b->arg));
    if (!card_of(*name, segment))
        return segment_named(v, *name, segment, error, bytes);
    if (found)
        return 0;
    return say(error, bytes, -ENODEV, count == 0 ? "%s: this machine has no network card that the hypervisor drives" : "%s: there is no such card (`collet nic list`)", *name);
}

/* ---- Making one ---- */

static int begin(struct vif *vif)
{
    return xenbus_begin(&vif->x);
}

static int device_choose(const struct vifs *v, uint32_t domid, uint32_t *device, char *error, size_t bytes)
{
    for (*device = 0; *device < COLLET_VIFS_MAX; (*device)++)
        if (vif_by_place(v, domid, *device) == NULL)
            return 0;
    return say(error, bytes, -ENOSPC, "a domain may have %u network interfaces", COLLET_VIFS_MAX);
}

static bool mac_used(const struct collet_vif_info *all, int count, const uint8_t mac[6])
{
    int i;

    for (i = 0; i < count; i++)
        if (memcmp(all[i].mac, mac, 6) == 0)
            return true;
    return false;
}

/* The same on every start of the domain, and on every machine, unless two names have the same one. */
static void mac_choose(struct vifs *v, const char *name, uint8_t mac[6])
{
    struct collet_vif_info *all = NULL;
    int count = v->s.backend->list(v->s.backend->arg, &all);
    unsigned int attempt = 0;

    do
        mac_derive(name, attempt++, mac);
    while (mac_used(all, count, mac) && attempt < MAC_ATTEMPTS);
    free(all);
}

static int create_refused(const struct vifs *v, int rc, const struct collet_vif_create *create, const char *network, char *error, size_t bytes)
{
    const struct vif *vif;
    char mac[MAC_TEXT_BYTES];

    mac_text(create->mac, mac);
    for (vif = v->first; rc == -EEXIST && vif != NULL; vif = vif->next) {
        if (strcmp(vif->whole, create->name) == 0)
            return say(error, bytes, rc, "there is an interface %s already, of domain %" PRIu32, vif->whole, vif->x.domid);
        if (memcmp(vif->mac, create->mac, 6) == 0 && strcmp(vif->network, network) == 0)
            return say(error, bytes, rc, "%s has the address %s on this network already", vif->whole, mac);
    }
    return say(error, bytes, rc, "%.300s", v->s.backend->error(v->s.backend->arg));
}

/* Rules that name a domain mean all of its interfaces, and those of no other: one that was renamed gives its old name to a new interface too, and nobody else gets it before its next start. */
static int domain_choose(const struct vifs *v, const struct vif_order *order, const char **domain, char *error, size_t bytes)
{
    const char *before = vifs_domain_name(v, order->domid);
    const struct vif *vif;

    *domain = before != NULL ? before : order->domain;
    for (vif = v->first; vif != NULL; vif = vif->next)
        if (vif->x.domid != order->domid && !vif->x.gone && strcmp(vif->domain, *domain) == 0)
            return say(error, bytes, -EEXIST, "the interfaces of domain %" PRIu32 " are called %.63s; it was renamed, and keeps that until it starts anew", vif->x.domid, *domain);
    return 0;
}

static int create(struct vifs *v, const struct vif_order *order, struct collet_vif_info *info, const char **network, char *error, size_t bytes)
{
    const struct definition_vif *wanted = order->vif;
    struct collet_vif_create create = {.domid = order->domid, .settings = wanted->settings};
    const char *domain;
    int rc = domain_choose(v, order, &domain, error, bytes);

    if (rc == 0)
        rc = device_choose(v, order->domid, &create.device, error, bytes);
    if (rc == 0)
        rc = network_find(v, wanted->network, network, &create.settings.segment, error, bytes);
    if (rc != 0)
        return rc;
    snprintf(create.name, sizeof(create.name), "%.31s.%.31s", domain, wanted->name);
    snprintf(create.domain, sizeof(create.domain), "%.31s", domain);
    memcpy(create.mac, wanted->mac, sizeof(create.mac));
    if (!wanted->mac_given)
        mac_choose(v, create.name, create.mac);
    rc = v->s.backend->create(v->s.backend->arg, &create);
    if (rc != 0)
        return create_refused(v, rc, &create, *network, error, bytes);
    return info_of(v, create.vif, info) ? 0 : say(error, bytes, -EIO, "VIF %" PRIu32 " was made and is not there", create.vif);
}

int vif_make(struct vifs *v, const struct vif_order *order, struct vif **made, char *error, size_t error_bytes)
{
    const struct vif_backend *b = v->s.backend;
    struct collet_vif_info info;
    const char *network;
    int rc = create(v, order, &info, &network, error, error_bytes);

    if (rc != 0)
        return rc;
    *made = vif_add(v, &info, network);
    if (*made == NULL) {
        b->end(b->arg, info.vif, true, NULL, NULL);
        return say(error, error_bytes, -ENOMEM, "no memory");
    }
    rc = begin(*made);
    if (rc != 0) {
        say(error, error_bytes, rc, "%.300s", v->s.nodes->error(v->s.nodes->arg));
        xenbus_close(&(*made)->x, true);
    }
    return rc;
}

/* ---- Those of definitions ---- */

void vifs_check(struct vifs *v, const struct definition *definition, struct text_mistakes *mistakes)
{
    const char *name;
    char error[400];
    uint32_t i, segment;

    for (i = 0; i < definition->vif_count; i++) {
        const struct definition_vif *d = &definition->vifs[i];

        if (network_find(v, d->network, &name, &segment, error, sizeof(error)) != 0)
            text_mistake(mistakes, definition->file, d->network_line != 0 ? d->network_line : d->line, "network = %.40s: %s", d->network, error);
    }
}

int vifs_add_defined(struct vifs *v, uint32_t domid, const char *domain, const struct definition *definition, char *error, size_t error_bytes)
{
    struct vif *made;
    char text[400];
    uint32_t i;
    int rc;

    for (i = 0; i < definition->vif_count; i++) {
        struct vif_order order = {.domid = domid, .domain = domain, .vif = &definition->vifs[i]};

        rc = vif_make(v, &order, &made, text, sizeof(text));
        if (rc != 0)
            return say(error, error_bytes, rc, "%.90s:%u: [vif %s]: %.300s", definition->file, order.vif->line, order.vif->name, text);
    }
    return 0;
}

void vifs_domain_gone(struct vifs *v, uint32_t domid)
{
    struct vif *vif, *next;

    for (vif = v->first; vif != NULL; vif = next) {
        next = vif->next;
        if (vif->x.domid != domid)
            continue;
        vif->x.gone = true;
        xenbus_forget(&vif->x);
        if (!vif->x.ending)
            vif_forget(vif);
    }
    xenbus_domain_forget(v->s.nodes, vif_xenbus_kind.word, domid);
}

/* ---- Domain0's own ---- */

/* Domain0 is trusted with every address: it may route for others, or lend its card to a bridge. */
static void own_make(struct vifs *v, const struct collet_nic_info *nic)
{
    struct definition_vif wanted = {.settings = {.flags = COLLET_VIF_SPOOF_OK}};
    struct vif_order order = {.domain = DOMAIN0_NAME, .vif = &wanted};
    struct vif *made;
    char error[400];

    snprintf(wanted.name, sizeof(wanted.name), "%" PRIu32, nic->nic);
    snprintf(wanted.network, sizeof(wanted.network), "nic%" PRIu32, nic->nic);
    if (vif_make(v, &order, &made, error, sizeof(error)) != 0)
        log_error("%.31s: Domain0 has no interface on it: %s", nic->name, error);
}

static int own_all(struct vifs *v)
{
    const struct vif_backend *b = v->s.backend;
    struct collet_nic_info *nics = NULL;
    int i, count = b->nics(b->arg, &nics);

    for (i = 0; i < count; i++)
        if (vif_by_place(v, 0, nics[i].nic) == NULL)
            own_make(v, &nics[i]);
    free(nics);
    return count < 0 ? count : 0;
}

unsigned int vifs_own_waiting(const struct vifs *v)
{
    const struct vif *vif;
    unsigned int count = 0;

    for (vif = v->first; vif != NULL; vif = vif->next)
        count += vif->own && vif->x.front_state != XenbusStateConnected;
    return count;
}

/* ---- Taking up ---- */

static void network_recall(struct vifs *v, const struct collet_vif_info *info, char *network, size_t bytes)
{
    char path[STORE_PATH_BYTES], *noted = NULL;

    if (info->settings.segment < COLLET_SEGMENT_OWN) {
        snprintf(network, bytes, "nic%" PRIu32, info->settings.segment);
        return;
    }
    snprintf(path, sizeof(path), "/local/domain/0/collet-vif/%" PRIu32 "/%" PRIu32 "/network", info->domid, info->device);
    noted = v->s.nodes->read(v->s.nodes->arg, path);
    if (noted != NULL)
        snprintf(network, bytes, "%s", noted);
    else
        snprintf(network, bytes, "segment%" PRIu32, info->settings.segment);
    free(noted);
}

static void take_up_one(struct vifs *v, const struct collet_vif_info *info)
{
    char network[COLLET_NAME_MAX];
    struct vif *vif;
    int rc;

    network_recall(v, info, network, sizeof(network));
    vif = vif_add(v, info, network);
    if (vif == NULL)
        return;
    rc = xenbus_whole(&vif->x) ? xenbus_take_up(&vif->x) : begin(vif);
    if (rc != 0)
        log_error("%s: %s", vif->x.title, v->s.nodes->error(v->s.nodes->arg));
}

static bool there(void *arg, uint32_t domid, uint32_t device, bool any_of_domain)
{
    const struct vifs *v = arg;
    const struct vif *vif = v->first;

    if (!any_of_domain)
        return vif_by_place(v, domid, device) != NULL;
    while (vif != NULL && vif->x.domid != domid)
        vif = vif->next;
    return vif != NULL;
}

int vifs_take_up(struct vifs *v)
{
    const struct vif_backend *b = v->s.backend;
    struct collet_vif_info *all = NULL;
    int i, count = b->list(b->arg, &all);

    for (i = 0; i < count; i++)
        take_up_one(v, &all[i]);
    free(all);
    if (count < 0)
        return count;
    xenbus_sweep(v->s.nodes, vif_xenbus_kind.word, there, v);
    return own_all(v);
}

void vifs_store_anew(struct vifs *v)
{
    struct vif *vif;
    int rc;

    for (vif = v->first; vif != NULL; vif = vif->next) {
        if (vif->x.gone || (vif->x.watched && xenbus_whole(&vif->x)))
            continue;
        rc = xenbus_whole(&vif->x) ? xenbus_take_up(&vif->x) : begin(vif);
        if (rc != 0)
            log_error("%s, in the new xenstored: %s", vif->x.title, v->s.nodes->error(v->s.nodes->arg));
    }
}

void vifs_store_lost(struct vifs *v)
{
    struct vif *vif;

    for (vif = v->first; vif != NULL; vif = vif->next)
        vif->x.watched = false;
}

static void reconcile_one(struct vif *vif, const struct collet_vif_info *all, int count)
{
    int i;

    for (i = 0; i < count; i++)
        if (all[i].vif == vif->x.id) {
            if (all[i].flags & COLLET_VIF_BROKEN)
                xenbus_broken(&vif->x, all[i].broken_why);
            return;
        }
    if (vif->x.ending)
        return;
    log_note("%s: destroyed by another program", vif->x.title);
    xenbus_forget(&vif->x);
    vif_forget(vif);
}

void vifs_reconcile(struct vifs *v)
{
    struct collet_vif_info *all = NULL;
    int count = v->s.backend->list(v->s.backend->arg, &all);
    struct vif *vif, *next;

    for (vif = v->first; count >= 0 && vif != NULL; vif = next) {
        next = vif->next;
        reconcile_one(vif, all, count);
    }
    free(all);
}

void vifs_watched(struct vifs *v, const char *token)
{
    uint32_t domid, device;
    struct vif *vif;

    if (!xenbus_token(token, vif_xenbus_kind.word, &domid, &device))
        return;
    vif = vif_by_place(v, domid, device);
    if (vif != NULL)
        xenbus_look(&vif->x);
}

struct vifs *vifs_create(const struct vifs_settings *settings)
{
    struct vifs *v = calloc(1, sizeof(*v));

    if (v != NULL)
        v->s = *settings;
    return v;
}

/* The link has ended before: no answer of an end comes any more. */
void vifs_destroy(struct vifs *v)
{
    if (v == NULL)
        return;
    while (v->first != NULL) {
        call_fail(v->first->x.remover, ECANCELED, "the daemon ends");
        v->first->x.remover = NULL;
        vif_forget(v->first);
    }
    free(v);
}
