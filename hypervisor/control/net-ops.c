/* SPDX-License-Identifier: MIT */
/*
 * Control operations on the network: cards, virtual interfaces and their rings, packet schedulers; rules, their counters and kinds; flows.
 * Contract: <collet/control.h>. The work is the router's (vfr/vfr-internal.h); here arguments are copied and checked, and answers copied back. Captures: capture-ops.c.
 */
#include "control-internal.h"

#include "../vfr/vfr-internal.h"
#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "time.h"

#include <hv/errno.h>

#define END_PART_NS (10u * 1000 * 1000) /* the caller's signals and timers wait no longer than that for a slow device */
#define VIF_FLAGS_IN (COLLET_VIF_SPOOF_OK | COLLET_VIF_DOWN | COLLET_VIF_ALL)
#define VIF_FEATURES (COLLET_VIF_RX_SG | COLLET_VIF_RX_TSO4 | COLLET_VIF_RX_TSO6 | COLLET_VIF_RX_NO_SUM4 | COLLET_VIF_RX_SUM6)
#define WEIGHT_MAX   1000u
#define WEIGHT_USUAL 100u

_Static_assert(sizeof(struct vfr_flow_info) <= PAGE_SIZE, "an entry of a list");
_Static_assert((int)COLLET_VIF_ADDRESSES == VFR_ADDRESSES_MAX && (int)COLLET_VIF_NAME_MAX == VFR_NAME_MAX, "an interface as rules see it is one as the control interface makes it");
_Static_assert(COLLET_IFACE_NIC == VFR_IFACE_NIC, "numbers of cards among interfaces");

static bool ends(const char *text, size_t room)
{
    return strnlen(text, room) < room;
}

/* ---- Cards ---- */

static long nics_copy_out(struct collet_nic_list *op, struct collet_nic_info *info)
{
    uint32_t room = op->count;
    long rc = 0;

    for (op->count = 0; rc == 0 && op->count < room && op->first + op->count >= op->first; op->count++) {
        memset(info, 0, sizeof(*info));
        if (nic_info(op->first + op->count, info) != 0)
            break;
        rc = control_entry_copy_out(op->buffer + (uint64_t)op->count * op->entry_bytes, op->entry_bytes, info, sizeof(*info));
        preempt_point();
    }
    return rc;
}

long control_nic_list(uint64_t arg, size_t bytes)
{
    struct collet_nic_info *info;
    struct collet_nic_list op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_entry_size_ok(op.entry_bytes) || op.pad != 0)
        return -EINVAL;
    info = heap_alloc(sizeof(*info));
    if (info == NULL)
        return -ENOMEM;
    rc = nics_copy_out(&op, info);
    heap_free(info);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

/* ---- Virtual interfaces ---- */

static int address_check(const struct collet_address *a)
{
    if (a->pad[0] != 0 || a->pad[1] != 0)
        return -EINVAL;
    return (a->family == 4 && a->bits <= 32) || (a->family == 6 && a->bits <= 128) ? 0 : -ERANGE;
}

/* Form and ranges; whether there is such a card is the router's to know. Weight 0 becomes the usual one. */
static int settings_check(struct collet_vif_settings *s)
{
    int rc = 0;

    if ((s->flags & ~VIF_FLAGS_IN) != 0)
        return -EINVAL;
    if (s->weight == 0)
        s->weight = WEIGHT_USUAL;
    if (s->weight > WEIGHT_MAX || s->addresses > COLLET_VIF_ADDRESSES || s->segment >= COLLET_SEGMENTS)
        return -ERANGE;
    for (uint32_t i = 0; rc == 0 && i < s->addresses; i++)
        rc = address_check(&s->address[i]);
    for (uint32_t i = s->addresses; i < COLLET_VIF_ADDRESSES; i++)
        memset(&s->address[i], 0, sizeof(s->address[i]));
    return rc;
}

static bool mac_ok(const uint8_t mac[6])
{
    return (mac[0] & 1) == 0 && (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) != 0;
}

/* Wait for the end, but not for ever: 0, -ENOENT, or -EINTR after a while. */
static long vif_end(long (*end)(uint32_t id), uint32_t id)
{
    uint64_t until_ns = clock_now_ns() + END_PART_NS;
    long rc;

    while ((rc = end(id)) == -EINTR && clock_now_ns() < until_ns)
        preempt_point();
    return rc;
}

static int create_check(struct collet_vif_create *op)
{
    if (!control_name_ok(op->name, sizeof(op->name)) || !control_name_ok(op->domain, sizeof(op->domain)))
        return -EINVAL;
    if (op->pad[0] != 0 || op->pad[1] != 0 || op->pad2 != 0)
        return -EINVAL;
    return mac_ok(op->mac) ? settings_check(&op->settings) : -ERANGE;
}

/* An id that the caller cannot be told of is no good: then the VIF goes again. */
long control_vif_create(uint64_t arg, size_t bytes)
{
    struct collet_vif_create op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);
    int copied;

    if (rc == 0)
        rc = create_check(&op);
    if (rc != 0)
        return rc;
    op.vif = 0;
    rc = vif_create(&op);
    if (rc != 0)
        return rc;
    copied = control_copy_out(arg, bytes, &op, sizeof(op));
    if (copied == 0)
        return 0;
    while (vif_end(vif_destroy, op.vif) == -EINTR)
        preempt_point();
    return copied;
}

static long ref_end(uint64_t arg, size_t bytes, long (*end)(uint32_t id))
{
    struct collet_vif_ref op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return op.pad != 0 ? -EINVAL : vif_end(end, op.vif);
}

long control_vif_destroy(uint64_t arg, size_t bytes)
{
    return ref_end(arg, bytes, vif_destroy);
}

long control_vif_disconnect(uint64_t arg, size_t bytes)
{
    return ref_end(arg, bytes, vif_disconnect);
}

long control_vif_connect(uint64_t arg, size_t bytes)
{
    struct collet_vif_connect op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return (op.features & ~(uint32_t)VIF_FEATURES) != 0 ? -EINVAL : vif_connect(&op);
}

long control_vif_set(uint64_t arg, size_t bytes)
{
    struct collet_vif_set op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (op.pad != 0)
        return -EINVAL;
    rc = settings_check(&op.settings);
    return rc != 0 ? rc : vif_set(&op);
}

static long vifs_copy_out(struct collet_vif_list *op, struct collet_vif_info *info)
{
    uint32_t room = op->count, from = op->first_vif;
    long rc = 0;

    for (op->count = 0; op->count < room && rc == 0; op->count++) {
        memset(info, 0, sizeof(*info));
        if (vif_info(from, op->domid, info) != 0)
            break;
        rc = control_entry_copy_out(op->buffer + (uint64_t)op->count * op->entry_bytes, op->entry_bytes, info, sizeof(*info));
        from = info->vif + 1;
        preempt_point();
    }
    return rc;
}

long control_vif_list(uint64_t arg, size_t bytes)
{
    struct collet_vif_info *info;
    struct collet_vif_list op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_entry_size_ok(op.entry_bytes))
        return -EINVAL;
    info = heap_alloc(sizeof(*info));
    if (info == NULL)
        return -ENOMEM;
    rc = vifs_copy_out(&op, info);
    heap_free(info);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

/* ---- Packet schedulers ---- */

static int net_sched_copy_out(uint64_t to, const struct vfr_sched_ops *ops)
{
    struct collet_sched_module m;

    memset(&m, 0, sizeof(m));
    strlcpy(m.name, ops->name, sizeof(m.name));
    if (ops->summary != NULL)
        strlcpy(m.summary, ops->summary, sizeof(m.summary));
    m.active = strcmp(ops->name, net_sched_active()) == 0;
    return copy_to_guest(to, &m, sizeof(m));
}

long control_net_sched_list(uint64_t arg, size_t bytes)
{
    struct collet_sched_list op;
    uint32_t total = 0, room;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    while (vfr_schedulers[total] != NULL)
        total++;
    room = op.count;
    for (op.count = 0; rc == 0 && op.count < room && (uint64_t)op.first + op.count < total; op.count++)
        rc = net_sched_copy_out(op.buffer + op.count * sizeof(struct collet_sched_module), vfr_schedulers[op.first + op.count]);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

long control_net_sched_use(uint64_t arg, size_t bytes)
{
    struct collet_net_sched_use op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return !ends(op.module, sizeof(op.module)) || op.module[0] == '\0' ? -EINVAL : net_sched_use(op.module);
}

/* ---- Rules ---- */

long control_rules_load(uint64_t arg, size_t bytes)
{
    struct collet_rules_load op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);
    int copied;

    if (rc != 0)
        return rc;
    if (op.pad != 0)
        return -EINVAL;
    rc = rules_load(&op);
    copied = control_copy_out(arg, bytes, &op, sizeof(op)); /* what is wrong is told on failure too */
    return rc != 0 ? rc : copied;
}

long control_rules_confirm(uint64_t arg, size_t bytes)
{
    struct collet_rules_confirm op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return op.pad != 0 || op.keep > 1 ? -EINVAL : rules_confirm(&op);
}

long control_rules_info(uint64_t arg, size_t bytes)
{
    struct collet_rules_info op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc == 0)
        rc = rules_info(&op);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

long control_rules_read(uint64_t arg, size_t bytes)
{
    struct collet_rules_read op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc == 0)
        rc = rules_read(&op);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

long control_rules_counters(uint64_t arg, size_t bytes)
{
    struct collet_rules_counters op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc == 0)
        rc = rules_counters(&op);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

long control_rule_kinds(uint64_t arg, size_t bytes)
{
    struct collet_sched_list op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc == 0)
        rc = rules_kinds(&op);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

/* ---- Flows ---- */

long control_flows_set(uint64_t arg, size_t bytes)
{
    struct collet_flows_set op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return op.on > 1 ? -EINVAL : flows_set(&op);
}

long control_flows_list(uint64_t arg, size_t bytes)
{
    struct collet_flows_list op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_entry_size_ok(op.entry_bytes) || op.pad != 0)
        return -EINVAL;
    rc = flows_list(&op);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}
