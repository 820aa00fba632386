// SPDX-License-Identifier: MIT
/*
 * Virtual interfaces: what they are, who has them, and their rings' coming and going. Contract: vfr.h, vif-internal.h; operations: <collet/control.h>.
 *
 * Rounds (turn.c) find VIFs through vfr_ports, the table of addresses and the packet scheduler, without a reference; so one that goes is taken out of all of these first, then rounds that were under way are waited for, then
 * it is freed. Others find it by vif_find, and are its users.
 */
#include "vif-internal.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "time.h"

#include <hv/errno.h>

#define HASH_SIZE 1024u
#define WEIGHT_USUAL 100u
#define WEIGHT_MAX   1000u

struct spinlock vifs_lock = SPINLOCK_INIT;
struct list_node vifs = LIST_HEAD_INIT(vifs);
struct vfr_port *vfr_ports[PORTS_MAX];
uint32_t vif_slots, vif_routers;
static struct vif *by_mac[HASH_SIZE];                   /* vifs_lock; read in rounds */
static uint32_t last_id;                                /* vifs_lock */

/* ---- Finding ---- */

static uint32_t mac_hash(uint32_t segment, const uint8_t *mac)
{
    uint32_t low;

    memcpy(&low, mac + 2, sizeof(low));
    return ((low ^ (uint32_t)mac[1] << 13 ^ segment << 7) * 0x9e3779b1u) >> 22;
}
_Static_assert(HASH_SIZE == 1u << 10, "the hash gives ten bits");

struct vif *vif_of_mac(uint32_t segment, const uint8_t *mac)
{
    struct vif *vif;

    for (vif = READ_ONCE(by_mac[mac_hash(segment, mac)]); vif != NULL; vif = READ_ONCE(vif->hash_next))
        if (vif->port.segment == segment && memcmp(vif->port.iface.mac, mac, 6) == 0)
            return vif;
    return NULL;
}

/* vifs_lock held. */
static void hash_insert(struct vif *vif)
{
    struct vif **head = &by_mac[mac_hash(vif->port.segment, vif->port.iface.mac)];

    vif->hash_next = *head;
    __atomic_store_n(head, vif, __ATOMIC_RELEASE);
}

static void hash_remove(struct vif *vif)
{
    struct vif **link = &by_mac[mac_hash(vif->port.segment, vif->port.iface.mac)];

    while (*link != NULL && *link != vif)
        link = &(*link)->hash_next;
    if (*link == vif)
        WRITE_ONCE(*link, vif->hash_next);
}

/* The first of id >= from, of domid unless ~0; the caller is its user. Pair: vif_put. */
static struct vif *vif_from(uint32_t from, uint32_t domid)
{
    struct vif *vif, *found = NULL;

    spin_lock(&vifs_lock);
    list_for_each_entry(vif, &vifs, link) {
        if (vif->port.iface.id >= from && (domid == ~0u || vif->domain->id == domid)) {
            __atomic_fetch_add(&vif->users, 1, __ATOMIC_RELAXED);
            found = vif;
            break;
        }
    }
    spin_unlock(&vifs_lock);
    return found;
}

static void vif_put(struct vif *vif)
{
    __atomic_fetch_sub(&vif->users, 1, __ATOMIC_RELEASE);
}

static struct vif *vif_find(uint32_t id)
{
    struct vif *vif = vif_from(id, ~0u);

    if (vif != NULL && vif->port.iface.id != id) {
        vif_put(vif);
        return NULL;
    }
    return vif;
}

void vif_break(struct vif *vif, const char *why)
{
    vif->flags |= COLLET_VIF_BROKEN;
    strlcpy(vif->broken_why, why, sizeof(vif->broken_why));
    log_guest(vif->domain, LOG_WARNING, "vif %u (%s): %s; it is served no more", vif->port.iface.id, vif->port.iface.name, why);
    change_record(COLLET_CHANGE_VIF_BROKEN, vif->domain, vif->port.iface.id, why);
}

/* ---- Settings ---- */

static bool address_ok(const struct collet_address *a)
{
    return (a->family == 4 && a->bits <= 32) || (a->family == 6 && a->bits <= 128);
}

/* 0, -EINVAL, -ERANGE, -ENODEV. */
static int settings_check(const struct collet_vif_settings *s)
{
    if (s->flags & ~(COLLET_VIF_SPOOF_OK | COLLET_VIF_DOWN | COLLET_VIF_ALL))
        return -EINVAL;
    if (s->segment < COLLET_SEGMENT_OWN ? s->segment >= nic_count : s->segment >= COLLET_SEGMENTS)
        return s->segment < COLLET_SEGMENT_OWN ? -ENODEV : -ERANGE;
    if (s->weight > WEIGHT_MAX || s->addresses > COLLET_VIF_ADDRESSES || s->packets_per_s > NS_PER_S || s->bytes_per_s > 1ull << 32)
        return -ERANGE; /* times NS_PER_S, they stay within 63 bits (tx.c) */
    for (uint32_t i = 0; i < s->addresses; i++)
        if (!address_ok(&s->address[i]))
            return -ERANGE;
    return 0;
}

static void iface_fill(struct vfr_iface *iface, const struct collet_vif_settings *s)
{
    iface->flags = s->flags & COLLET_VIF_SPOOF_OK ? VFR_IFACE_SPOOF_OK : 0;
    iface->address_count = (uint8_t)s->addresses;
    for (uint32_t i = 0; i < s->addresses; i++) {
        iface->addresses[i] = (struct vfr_address){.family = s->address[i].family, .bits = s->address[i].bits};
        memcpy(iface->addresses[i].bytes, s->address[i].bytes, sizeof(s->address[i].bytes));
    }
}

/* It is in no round. */
static void settings_apply(struct vif *vif, const struct collet_vif_settings *s)
{
    uint32_t changeable = COLLET_VIF_SPOOF_OK | COLLET_VIF_DOWN | COLLET_VIF_ALL;

    __atomic_fetch_sub(&vif_routers, vif->flags & COLLET_VIF_ALL ? 1u : 0u, __ATOMIC_RELAXED);
    __atomic_fetch_add(&vif_routers, s->flags & COLLET_VIF_ALL ? 1u : 0u, __ATOMIC_RELAXED);
    vif->settings = *s;
    if (vif->settings.weight == 0)
        vif->settings.weight = WEIGHT_USUAL;
    vif->flags = (vif->flags & ~changeable) | (s->flags & changeable);
    vif->sender.weight = vif->settings.weight;
    vif->port.segment = s->segment;
    vif->bytes_left = 0;
    vif->packets_left = 0;
    vif->filled_ns = clock_now_ns();
    iface_fill(&vif->port.iface, s);
}

/* ---- Creation ---- */

static bool name_ok(const char *name)
{
    size_t length = strnlen(name, COLLET_VIF_NAME_MAX);

    if (length == 0 || length == COLLET_VIF_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= '0' && name[i] <= '9') || strchr("._-+", name[i]) != NULL))
            return false;
    return true;
}

static bool mac_ok(const uint8_t *mac)
{
    static const uint8_t zero[6];

    return !(mac[0] & 1) && memcmp(mac, zero, sizeof(zero)) != 0;
}

/* Also by one that is out of reach at the moment. vifs_lock held. */
static bool slot_taken(uint32_t slot)
{
    struct vif *vif;

    if (vfr_ports[slot] != NULL)
        return true;
    list_for_each_entry(vif, &vifs, link)
        if (vif->port.slot == slot)
            return true;
    return false;
}

/* A place for it, or why not. vifs_lock held. */
static int place_find(const struct collet_vif_create *op, const struct domain *d, uint32_t *slot)
{
    uint32_t of_domain = 0;
    struct vif *vif;

    list_for_each_entry(vif, &vifs, link) {
        if (vif->domain == d) {
            of_domain++;
            if (vif->device == op->device)
                return -EEXIST;
        }
        if (strcmp(vif->port.iface.name, op->name) == 0 && !vif->domain->dying)
            return -EEXIST;
        if (vif->port.segment == op->settings.segment && memcmp(vif->port.iface.mac, op->mac, 6) == 0 && !vif->domain->dying)
            return -EEXIST;
    }
    if (of_domain >= COLLET_VIFS_MAX)
        return -ENOSPC;
    for (*slot = 0; *slot < COLLET_VIFS_ALL_MAX; ++*slot)
        if (!slot_taken(*slot))
            return 0;
    return -ENOSPC;
}

static struct vif *vif_make(const struct collet_vif_create *op, struct domain *d)
{
    struct vif *vif = heap_alloc(sizeof(*vif));
    struct vfr_iface *iface;

    if (vif == NULL)
        return NULL;
    iface = &vif->port.iface;
    iface->domid = d->id;
    memcpy(iface->mac, op->mac, sizeof(iface->mac));
    strlcpy(iface->name, op->name, sizeof(iface->name));
    strlcpy(iface->domain, op->domain, sizeof(iface->domain));
    vif->device = op->device;
    vif->domain = d;
    vif->created_ns = clock_now_ns();
    vif->tx_sink.notify = tx_notified;
    vif->rx_sink.notify = rx_notified;
    list_init(&vif->shows);
    list_init(&vif->sender.link);
    timer_init(&vif->limit_timer, tx_limit_passed, vif, this_cpu_id());
    timer_init(&vif->hold_timer, tx_hold_over, vif, this_cpu_id());
    settings_apply(vif, &op->settings);
    domain_get(d);
    return vif;
}

static void vif_free(struct vif *vif)
{
    if (vif->flags & COLLET_VIF_ALL)
        __atomic_fetch_sub(&vif_routers, 1, __ATOMIC_RELAXED);
    domain_put(vif->domain);
    heap_free(vif);
}

/* Into the list, under a number and a slot of its own; not into rounds yet. */
static int vif_list_insert(struct vif *vif, const struct collet_vif_create *op)
{
    uint32_t slot;
    int rc;

    spin_lock(&vifs_lock);
    rc = vif->domain->dying ? -ESRCH : place_find(op, vif->domain, &slot);
    if (rc == 0) {
        vif->port.slot = slot;
        vif->port.iface.id = ++last_id;
        vif->sender.id = vif->port.iface.id;
        vif->sender.domid = vif->domain->id;
        vif->users = 1; /* us */
        rules_port_add(&vif->port);
        vfr_ports[slot] = &vif->port;
        vif_slots = max(vif_slots, slot + 1);
        list_push_back(&vifs, &vif->link);
        hash_insert(vif);
    }
    spin_unlock(&vifs_lock);
    return rc;
}

long vif_create(struct collet_vif_create *op)
{
    struct domain *d;
    struct vif *vif;
    int rc;

    if (!name_ok(op->name) || !name_ok(op->domain))
        return -EINVAL;
    rc = mac_ok(op->mac) ? settings_check(&op->settings) : -ERANGE;
    if (rc != 0)
        return rc;
    d = op->domid < DOMID_FIRST_RESERVED ? domain_find((domid_t)op->domid) : NULL;
    if (d == NULL)
        return -ESRCH;
    vif = vif_make(op, d);
    domain_put(d);
    if (vif == NULL)
        return -ENOMEM;
    if (turn_insert(vif) != 0) {
        vif_free(vif);
        return -ENOMEM;
    }
    rc = vif_list_insert(vif, op);
    if (rc != 0) {
        turn_remove(vif);
        vif_free(vif);
        return rc;
    }
    op->vif = vif->port.iface.id;
    change_record(COLLET_CHANGE_VIF_CREATED, vif->domain, op->vif, vif->port.iface.name);
    vif_put(vif);
    return 0;
}

/* ---- Its rings ---- */

static int rings_pin(struct vif *vif, const struct collet_vif_connect *op, struct vif_rings *rings)
{
    if (grant_hold(vif->domain, op->tx_ref, DOMID_XEN, true, &rings->tx_mfn) != 0)
        return -EINVAL;
    if (grant_hold(vif->domain, op->rx_ref, DOMID_XEN, true, &rings->rx_mfn) != 0) {
        grant_release(vif->domain, op->tx_ref, true, rings->tx_mfn);
        return -EINVAL;
    }
    return 0;
}

/* Both locks in turn: whoever serves one ring needs not the other's. */
static int rings_attach(struct vif *vif, const struct collet_vif_connect *op, struct vif_rings *fresh)
{
    struct vif_rings *rings = &vif->rings;
    int rc = 0;

    spin_lock(&vif->lock);
    if (vif->closing || vif->ending)
        rc = -EBUSY;
    else if (rings->tx != NULL)
        rc = -EALREADY;
    else
        rc = rings_pin(vif, op, fresh);
    if (rc == 0) {
        fresh->tx = mfn_to_virt(fresh->tx_mfn);
        fresh->rx = mfn_to_virt(fresh->rx_mfn);
        /* Rings that were in use before go on where their answers ended. */
        fresh->answered = READ_ONCE(fresh->tx->rsp_prod);
        fresh->taken = fresh->answered;
        fresh->shown = fresh->answered;
        fresh->given = READ_ONCE(fresh->rx->rsp_prod);
        fresh->given_shown = fresh->given;
        *rings = *fresh;
        vif->features = op->features;
        vif->flags = (vif->flags & ~COLLET_VIF_BROKEN) | COLLET_VIF_CONNECTED;
        vif->broken_why[0] = '\0';
        vif->connected_ns = clock_now_ns();
        vif->streak = 0;
        spin_lock(&vif->rx_lock);
        vif->rx_served = true;
        vif->rx_broken = false;
        spin_unlock(&vif->rx_lock);
    }
    spin_unlock(&vif->lock);
    return rc;
}

static bool ports_bind(struct vif *vif, const struct collet_vif_connect *op)
{
    if (event_sink_bind(vif->domain, op->tx_port, &vif->tx_sink) != 0)
        return false;
    if (op->rx_port == op->tx_port || event_sink_bind(vif->domain, op->rx_port, &vif->rx_sink) == 0)
        return true;
    event_sink_unbind(vif->domain, op->tx_port, &vif->tx_sink);
    return false;
}

static void ports_unbind(struct vif *vif, evtchn_port_t tx_port, evtchn_port_t rx_port)
{
    event_sink_unbind(vif->domain, tx_port, &vif->tx_sink);
    if (rx_port != tx_port)
        event_sink_unbind(vif->domain, rx_port, &vif->rx_sink);
}

static bool rings_make(struct vif_rings *fresh, const struct collet_vif_connect *op)
{
    *fresh = (struct vif_rings){.tx_ref = op->tx_ref, .rx_ref = op->rx_ref, .tx_port = op->tx_port, .rx_port = op->rx_port};
    fresh->entries = heap_alloc(TX_ENTRIES * sizeof(*fresh->entries));
    fresh->headers = heap_alloc(TX_ENTRIES * VFR_HEADER_MAX);
    for (uint32_t i = 0; i < TX_ENTRIES; i++)
        fresh->free[fresh->free_count++] = (uint16_t)(TX_ENTRIES - 1 - i);
    return fresh->entries != NULL && fresh->headers != NULL;
}

static void rings_free(struct vif_rings *rings)
{
    heap_free(rings->entries);
    heap_free(rings->headers);
}

/* The channels first, as for VBDs: one that is out of service ignores what it hears, but nobody may unbind before it is bound. */
static long vif_connect_one(struct vif *vif, const struct collet_vif_connect *op)
{
    struct vif_rings *fresh = heap_alloc(sizeof(*fresh));
    long rc = -ENOMEM;

    if (fresh == NULL)
        return -ENOMEM;
    if (READ_ONCE(vif->rings.tx) != NULL) {
        rc = -EALREADY;
    } else if (!rings_make(fresh, op)) {
        rings_free(fresh);
    } else if (!ports_bind(vif, op)) {
        rc = -EINVAL;
        rings_free(fresh);
    } else {
        rc = rings_attach(vif, op, fresh);
        if (rc != 0) {
            ports_unbind(vif, op->tx_port, op->rx_port);
            rings_free(fresh);
        } else {
            turn_want(vif);
        }
    }
    heap_free(fresh);
    return rc;
}

long vif_connect(const struct collet_vif_connect *op)
{
    struct vif *vif = vif_find(op->vif);
    long rc;

    if (vif == NULL)
        return -ENOENT;
    rc = vif_connect_one(vif, op);
    vif_put(vif);
    return rc;
}

/* Nothing is in flight any more. vif->lock held. */
static void rings_detach(struct vif *vif, struct vif_rings *old)
{
    struct vif_rings *rings = &vif->rings;

    spin_lock(&vif->rx_lock);
    vif->rx_served = false;
    *old = *rings;
    memset(rings, 0, sizeof(*rings));
    spin_unlock(&vif->rx_lock);
    grant_release(vif->domain, old->tx_ref, true, old->tx_mfn);
    grant_release(vif->domain, old->rx_ref, true, old->rx_mfn);
    vif->flags &= ~COLLET_VIF_CONNECTED;
    vif->throttled_since_ns = 0;
    vif->closing = false;
    vif->holds = false;
}

/* Out of service: 0 when nothing is under way any more; -EINTR: a card still has frames. The caller is its user. */
static int rings_close(struct vif *vif)
{
    struct vif_rings *old = heap_alloc(sizeof(*old));
    struct net_tx *parked;
    bool busy;

    if (old == NULL)
        return -EINTR;
    spin_lock(&vif->lock);
    if (vif->rings.tx == NULL || vif->being_closed) {
        int rc = vif->rings.tx == NULL ? 0 : -EINTR;

        spin_unlock(&vif->lock);
        heap_free(old);
        return rc;
    }
    vif->being_closed = true;
    vif->closing = true;
    parked = vif->rings.parked;
    vif->rings.parked = NULL;
    spin_unlock(&vif->lock);
    spin_lock(&vif->rx_lock);
    vif->rx_served = false;
    spin_unlock(&vif->rx_lock);
    if (parked != NULL)
        tx_put(parked);
    ports_unbind(vif, vif->rings.tx_port, vif->rings.rx_port);
    timer_cancel_sync(&vif->limit_timer);
    timer_cancel_sync(&vif->hold_timer);
    tx_show(vif);
    spin_lock(&vif->lock);
    busy = vif->in_flight != 0;
    vif->being_closed = false;
    if (!busy && vif->rings.tx != NULL && vif->closing) /* and not connected anew meanwhile */
        rings_detach(vif, old);
    spin_unlock(&vif->lock);
    if (busy)
        softirq_raise(SOFTIRQ_NET); /* what the card has sent may not have been taken back yet */
    rings_free(old);
    heap_free(old);
    return busy ? -EINTR : 0;
}

long vif_disconnect(uint32_t id)
{
    struct vif *vif = vif_find(id);
    int rc;

    if (vif == NULL)
        return -ENOENT;
    rc = rings_close(vif);
    vif_put(vif);
    return rc;
}

/* ---- Its end ---- */

/* The caller is its user, and stays so unless 0. 0: it is gone; -EINTR: to be called again. */
static int vif_end(struct vif *vif)
{
    int rc;

    spin_lock(&vif->lock);
    vif->ending = true;
    spin_unlock(&vif->lock);
    rc = rings_close(vif);
    if (rc != 0)
        return rc;
    spin_lock(&vifs_lock);
    if (vif->changing) {
        spin_unlock(&vifs_lock);
        return -EINTR;
    }
    if (vfr_ports[vif->port.slot] == &vif->port) {
        hash_remove(vif);
        WRITE_ONCE(vfr_ports[vif->port.slot], NULL);
    }
    spin_unlock(&vifs_lock);
    turn_remove(vif);
    rules_wait();
    turn_remove(vif); /* what a round that was under way has put there again */
    spin_lock(&vifs_lock);
    if (__atomic_load_n(&vif->users, __ATOMIC_ACQUIRE) != 1) { /* somebody looks at it: in a moment */
        spin_unlock(&vifs_lock);
        return -EINTR;
    }
    list_remove(&vif->link);
    spin_unlock(&vifs_lock);
    rules_port_remove(&vif->port);
    change_record(COLLET_CHANGE_VIF_DESTROYED, vif->domain, vif->port.iface.id, vif->port.iface.name);
    vif_free(vif);
    return 0;
}

long vif_destroy(uint32_t id)
{
    struct vif *vif = vif_find(id);
    int rc;

    if (vif == NULL)
        return -ENOENT;
    rc = vif_end(vif);
    if (rc != 0)
        vif_put(vif);
    return rc;
}

bool vfr_domain_destroy(struct domain *d)
{
    uint32_t next = 0;
    bool all = true, any = false;

    for (;;) {
        struct vif *vif = vif_from(next, d->id);

        if (vif == NULL)
            break;
        next = vif->port.iface.id + 1;
        if (vif->domain != d) { /* one of that number that went before */
            vif_put(vif);
            continue;
        }
        any = true;
        if (vif_end(vif) != 0) {
            vif_put(vif);
            all = false;
        }
    }
    if (all && any)
        rules_domain_gone(d->id);
    return all;
}

/* ---- Changing and looking ---- */

static bool mac_taken(const struct vif *vif, uint32_t segment)
{
    struct vif *other;

    list_for_each_entry(other, &vifs, link)
        if (other != vif && other->port.segment == segment && memcmp(other->port.iface.mac, vif->port.iface.mac, 6) == 0)
            return true;
    return false;
}

/* Out of reach of rounds, but for its own turns, which vif->lock keeps off. 0; -EBUSY: it ends, or is being changed; -EEXIST. */
static int change_begin(struct vif *vif, uint32_t segment)
{
    int rc = -EBUSY;

    spin_lock(&vifs_lock);
    if (vfr_ports[vif->port.slot] == &vif->port && !vif->changing)
        rc = mac_taken(vif, segment) ? -EEXIST : 0;
    if (rc == 0) {
        vif->changing = true;
        hash_remove(vif);
        WRITE_ONCE(vfr_ports[vif->port.slot], NULL); /* the slot stays its own: place_find looks at the list, too */
    }
    spin_unlock(&vifs_lock);
    return rc;
}

static int settings_change(struct vif *vif, const struct collet_vif_settings *s)
{
    int rc = change_begin(vif, s->segment);

    if (rc != 0)
        return rc;
    rules_wait();
    spin_lock(&vif->lock);
    settings_apply(vif, s);
    rules_port_add(&vif->port);
    spin_unlock(&vif->lock);
    spin_lock(&vifs_lock);
    WRITE_ONCE(vfr_ports[vif->port.slot], &vif->port);
    hash_insert(vif);
    vif->changing = false;
    spin_unlock(&vifs_lock);
    tx_limit_passed(vif);
    return 0;
}

long vif_set(const struct collet_vif_set *op)
{
    struct vif *vif;
    long rc = settings_check(&op->settings);

    if (rc != 0)
        return rc;
    vif = vif_find(op->vif);
    if (vif == NULL)
        return -ENOENT;
    rc = settings_change(vif, &op->settings);
    if (rc == 0)
        change_record(COLLET_CHANGE_VIF_SET, vif->domain, op->vif, vif->port.iface.name);
    vif_put(vif);
    return rc;
}

static void info_fill(struct vif *vif, struct collet_vif_info *info)
{
    info->vif = vif->port.iface.id;
    info->domid = vif->domain->id;
    info->device = vif->device;
    info->flags = vif->flags;
    strlcpy(info->name, vif->port.iface.name, sizeof(info->name));
    strlcpy(info->domain, vif->port.iface.domain, sizeof(info->domain));
    memcpy(info->mac, vif->port.iface.mac, sizeof(info->mac));
    info->settings = vif->settings;
    info->features = vif->features;
    info->in_flight = vif->in_flight;
    info->created_ns = vif->created_ns;
    info->connected_ns = vif->connected_ns;
    info->notifies = vif->notifies;
    info->events = vif->events;
    info->throttled = vif->throttled;
    info->throttled_ns = vif->throttled_ns + (vif->throttled_since_ns != 0 ? clock_now_ns() - vif->throttled_since_ns : 0);
    info->tx = vif->sent;
    info->rx = vif->received;
    strlcpy(info->broken_why, vif->broken_why, sizeof(info->broken_why));
    if (vif->rx_broken && !(vif->flags & COLLET_VIF_BROKEN)) {
        info->flags |= COLLET_VIF_BROKEN;
        strlcpy(info->broken_why, "its producer index is beyond the receive ring", sizeof(info->broken_why));
    }
}

long vif_info(uint32_t from, uint32_t domid, struct collet_vif_info *info)
{
    struct vif *vif = vif_from(from, domid);

    if (vif == NULL)
        return -ENOENT;
    memset(info, 0, sizeof(*info));
    spin_lock(&vif->lock);
    info_fill(vif, info);
    spin_unlock(&vif->lock);
    vif_put(vif);
    return 0;
}

/* An entry that is not free: its pages are held. */
static void rings_each_hold(const struct vif_rings *rings, void (*each)(void *arg, mfn_t mfn, bool write), void *arg)
{
    bool is_free[TX_ENTRIES] = {false};

    if (rings->tx == NULL)
        return;
    each(arg, rings->tx_mfn, true);
    each(arg, rings->rx_mfn, true);
    for (uint32_t i = 0; i < rings->free_count; i++)
        is_free[rings->free[i]] = true;
    for (uint32_t i = 0; i < TX_ENTRIES; i++)
        for (uint32_t g = 0; !is_free[i] && g < rings->entries[i].held; g++)
            each(arg, MFN(rings->entries[i].grant[g].mfn), false);
}

void vfr_each_hold(struct domain *d, void (*each)(void *arg, mfn_t mfn, bool write), void *arg)
{
    struct vif *vif;

    spin_lock(&vifs_lock);
    list_for_each_entry(vif, &vifs, link)
        if (vif->domain == d)
            rings_each_hold(&vif->rings, each, arg);
    spin_unlock(&vifs_lock);
}

uint64_t vfr_domain_bytes(const struct domain *d)
{
    uint64_t bytes = 0;
    struct vif *vif;

    spin_lock(&vifs_lock);
    list_for_each_entry(vif, &vifs, link)
        if (vif->domain == d)
            bytes += sizeof(*vif) + (vif->rings.tx != NULL ? TX_ENTRIES * (sizeof(struct net_tx) + VFR_HEADER_MAX) : 0);
    spin_unlock(&vifs_lock);
    return bytes;
}

void vfr_init(void)
{
    rules_init();
    turn_init();
}
