// SPDX-License-Identifier: MIT
/*
 * libcollet's operations on network cards, virtual interfaces, rules and flows. Each is one operation of <collet/control.h>, or one list read to its end.
 *
 * Contract: <collet/collet.h>.  Tests: test-calls-net.c.  Page: docs/reference/libcollet.md.
 */
#include "internal.h"

#include <vfr/flows.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLOW_BYTES_MAX PAGE_BYTES

static_assert(sizeof(struct vfr_flow_info) <= FLOW_BYTES_MAX, "an entry of a list");

/* ---- Cards ---- */

static uint32_t next_nic(const void *last, uint32_t first, uint32_t count)
{
    (void)first;
    (void)count;
    return ((const struct collet_nic_info *)last)->nic + 1;
}

int collet_nic_list(struct collet *c, struct collet_nic_info **nics)
{
    struct collet_nic_list arg = {.buffer = data_address(c), .entry_bytes = sizeof(**nics)};
    struct list l = {COLLET_OP_NIC_LIST, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**nics), next_nic};

    return list_read(c, &l, (void **)nics);
}

int collet_nic_info(struct collet *c, uint32_t nic, struct collet_nic_info *info)
{
    struct collet_nic_list arg = {.first = nic, .count = 1, .buffer = data_address(c), .entry_bytes = sizeof(*info)};
    int rc = collet_control(c, COLLET_OP_NIC_LIST, &arg, sizeof(arg));

    if (rc < 0)
        return rc;
    memcpy(info, c->data, sizeof(*info));
    if (arg.count == 0 || info->nic != nic)
        return collet_fail(c, -ENODEV, "there is no network card %u", nic);
    return 0;
}

int collet_nic_find(struct collet *c, const char *name_or_number, struct collet_nic_info *info)
{
    const struct collet_nic_info *found = NULL;
    struct collet_nic_info *all;
    int n = collet_nic_list(c, &all);
    uint32_t number = 0;
    bool is_number = number_parse(name_or_number, &number);

    if (n < 0)
        return n;
    for (int i = 0; i < n && found == NULL; i++)
        if (strncmp(all[i].name, name_or_number, sizeof(all[i].name)) == 0 || (is_number && all[i].nic == number))
            found = &all[i];
    if (found != NULL)
        *info = *found;
    free(all);
    return found != NULL ? 0 : collet_fail(c, -ENODEV, "there is no network card \"%.64s\"", name_or_number);
}

/* ---- Virtual interfaces ---- */

int collet_vif_create(struct collet *c, struct collet_vif_create *create)
{
    return collet_control(c, COLLET_OP_VIF_CREATE, create, sizeof(*create));
}

/* Frames that a card still has are waited for. */
static int vif_end(struct collet *c, enum collet_op op, uint32_t vif)
{
    struct collet_vif_ref arg = {.vif = vif};
    struct patience p;
    int rc;

    patience_begin(&p, END_LIMIT_MS);
    do
        rc = collet_control(c, op, &arg, sizeof(arg));
    while (patience_again(&p, rc));
    return rc == -EINTR ? collet_fail(c, -ETIMEDOUT, "VIF %u: a network card still has requests of it after %u s; call again", vif, END_LIMIT_MS / 1000) : rc;
}

int collet_vif_destroy(struct collet *c, uint32_t vif)
{
    return vif_end(c, COLLET_OP_VIF_DESTROY, vif);
}

int collet_vif_connect(struct collet *c, const struct collet_vif_connect *connect)
{
    struct collet_vif_connect arg = *connect;

    return collet_control(c, COLLET_OP_VIF_CONNECT, &arg, sizeof(arg));
}

int collet_vif_disconnect(struct collet *c, uint32_t vif)
{
    return vif_end(c, COLLET_OP_VIF_DISCONNECT, vif);
}

int collet_vif_set(struct collet *c, uint32_t vif, const struct collet_vif_settings *settings)
{
    struct collet_vif_set arg = {.vif = vif, .settings = *settings};

    return collet_control(c, COLLET_OP_VIF_SET, &arg, sizeof(arg));
}

static uint32_t next_vif(const void *last, uint32_t first, uint32_t count)
{
    (void)first;
    (void)count;
    return ((const struct collet_vif_info *)last)->vif + 1;
}

int collet_vif_list(struct collet *c, uint32_t domid, struct collet_vif_info **vifs)
{
    struct collet_vif_list arg = {.buffer = data_address(c), .entry_bytes = sizeof(**vifs), .domid = domid};
    struct list l = {COLLET_OP_VIF_LIST, &arg, sizeof(arg), &arg.first_vif, &arg.count, sizeof(**vifs), next_vif};

    return list_read(c, &l, (void **)vifs);
}

int collet_vif_info(struct collet *c, uint32_t vif, struct collet_vif_info *info)
{
    struct collet_vif_list arg = {.first_vif = vif, .count = 1, .buffer = data_address(c), .entry_bytes = sizeof(*info), .domid = COLLET_VIFS_ALL};
    int rc = collet_control(c, COLLET_OP_VIF_LIST, &arg, sizeof(arg));

    if (rc < 0)
        return rc;
    memcpy(info, c->data, sizeof(*info));
    if (arg.count == 0 || info->vif != vif)
        return collet_fail(c, -ENOENT, "there is no VIF %u", vif);
    return 0;
}

int collet_vif_find(struct collet *c, const char *name_or_id, struct collet_vif_info *info)
{
    const struct collet_vif_info *found = NULL;
    struct collet_vif_info *all;
    int n = collet_vif_list(c, COLLET_VIFS_ALL, &all);
    uint32_t number = 0;
    bool is_number = number_parse(name_or_id, &number);

    if (n < 0)
        return n;
    for (int i = 0; i < n && found == NULL; i++)
        if (strncmp(all[i].name, name_or_id, sizeof(all[i].name)) == 0 || (is_number && all[i].vif == number))
            found = &all[i];
    if (found != NULL)
        *info = *found;
    free(all);
    return found != NULL ? 0 : collet_fail(c, -ENOENT, "there is no VIF \"%.64s\"", name_or_id);
}

/* ---- Packet schedulers, kinds of rules ---- */

int collet_net_sched_list(struct collet *c, struct collet_sched_module **modules)
{
    struct collet_sched_list arg = {.buffer = data_address(c)};
    struct list l = {COLLET_OP_NET_SCHED_LIST, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**modules), list_next_by_index};

    return list_read(c, &l, (void **)modules);
}

int collet_net_sched_use(struct collet *c, const char *module)
{
    struct collet_net_sched_use arg = {.module = ""};
    int rc = name_set(arg.module, module) ? collet_control(c, COLLET_OP_NET_SCHED_USE, &arg, sizeof(arg)) : -ENOENT;

    return rc == -ENOENT ? collet_fail(c, rc, "there is no packet scheduler \"%.64s\"", module) : rc;
}

int collet_rule_kinds(struct collet *c, struct collet_sched_module **kinds)
{
    struct collet_sched_list arg = {.buffer = data_address(c)};
    struct list l = {COLLET_OP_RULE_KINDS, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**kinds), list_next_by_index};

    return list_read(c, &l, (void **)kinds);
}

/* ---- Rules ---- */

/* What is wrong with the set, by the hypervisor's own words. */
static int set_refused(struct collet *c, const struct collet_rules_load *load)
{
    if (load->error_text[0] == '\0')
        return collet_explain(c, COLLET_OP_RULES_LOAD, -EINVAL);
    if (load->error_line != 0)
        return collet_fail(c, -EINVAL, "the hypervisor refused the rules: line %u: %.159s", load->error_line, load->error_text);
    if (load->error_rule != ~0u)
        return collet_fail(c, -EINVAL, "the hypervisor refused the rules: rule %u: %.159s", load->error_rule + 1, load->error_text);
    return collet_fail(c, -EINVAL, "the hypervisor refused the rules: %.159s", load->error_text);
}

int collet_rules_load(struct collet *c, const void *set, size_t bytes, struct collet_rules_load *load)
{
    void *memory = NULL;
    int rc;

    if (bytes > COLLET_RULES_BYTES_MAX)
        return collet_explain(c, COLLET_OP_RULES_LOAD, -E2BIG);
    if (bytes != 0) {
        memory = bytes <= DATA_BYTES ? c->data : collet_memory(c, bytes); /* a small set waits for no new pages */
        if (memory == NULL)
            return collet_fail(c, -ENOMEM, "out of memory for a set of rules of %zu bytes", bytes);
        memcpy(memory, set, bytes);
    }
    load->buffer = (uintptr_t)memory;
    load->bytes = bytes;
    rc = collet_control(c, COLLET_OP_RULES_LOAD, load, sizeof(*load));
    load->buffer = 0;
    if (memory != NULL && memory != c->data)
        collet_memory_free(c, memory, bytes);
    load->error_text[sizeof(load->error_text) - 1] = '\0';
    return rc == -EINVAL ? set_refused(c, load) : rc;
}

int collet_rules_confirm(struct collet *c, uint64_t generation, bool keep)
{
    struct collet_rules_confirm arg = {.generation = generation, .keep = keep};

    return collet_control(c, COLLET_OP_RULES_CONFIRM, &arg, sizeof(arg));
}

int collet_rules_info(struct collet *c, struct collet_rules_info *info)
{
    return collet_control(c, COLLET_OP_RULES_INFO, info, sizeof(*info));
}

int collet_rules_read(struct collet *c, uint64_t generation, void **set, size_t *bytes)
{
    struct collet_rules_read arg;
    uint8_t *all = NULL, *more;
    size_t n = 0;
    int rc;

    *set = NULL;
    *bytes = 0;
    if (generation == 0)
        return 0;
    do {
        arg = (struct collet_rules_read){.generation = generation, .offset = n, .buffer = data_address(c), .bytes = DATA_BYTES};
        rc = collet_control(c, COLLET_OP_RULES_READ, &arg, sizeof(arg));
        if (rc >= 0 && (arg.bytes > DATA_BYTES || n + arg.bytes > COLLET_RULES_BYTES_MAX))
            rc = collet_fail(c, -EPROTO, "the hypervisor answered with more bytes of rules than there can be");
        if (rc < 0)
            break;
        more = realloc(all, n + arg.bytes + 1);
        if (more == NULL) {
            rc = collet_fail(c, -ENOMEM, "out of memory for the rules in force");
            break;
        }
        all = more;
        memcpy(all + n, c->data, arg.bytes);
        n += arg.bytes;
    } while (arg.bytes == DATA_BYTES);
    if (rc < 0) {
        free(all);
        return rc;
    }
    *set = all;
    *bytes = n;
    return 0;
}

int collet_rules_counters(struct collet *c, uint64_t generation, struct collet_rule_counter **counters)
{
    struct collet_rules_counters arg = {.generation = generation, .buffer = data_address(c)};
    struct list l = {COLLET_OP_RULES_COUNTERS, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**counters), list_next_by_index};

    return list_read(c, &l, (void **)counters);
}

/* ---- Flows ---- */

int collet_flows_set(struct collet *c, bool on, uint32_t flows_max)
{
    struct collet_flows_set arg = {.on = on, .flows_max = flows_max};

    return collet_control(c, COLLET_OP_FLOWS_SET, &arg, sizeof(arg));
}

int collet_flows_list(struct collet *c, uint32_t domid, struct vfr_flow_info **flows)
{
    struct collet_flows_list arg = {.buffer = data_address(c), .entry_bytes = sizeof(**flows), .domid = domid};
    const uint32_t room = DATA_BYTES / sizeof(**flows);
    struct vfr_flow_info *all = NULL, *more;
    size_t n = 0;
    uint64_t from;
    int rc;

    *flows = NULL;
    do {
        from = arg.cursor;
        arg.count = room;
        rc = collet_control(c, COLLET_OP_FLOWS_LIST, &arg, sizeof(arg));
        if (rc >= 0 && (arg.count > room || arg.cursor <= from))
            rc = collet_fail(c, -EPROTO, "the hypervisor's list of flows has no end");
        if (rc < 0)
            break;
        more = realloc(all, (n + arg.count + 1) * sizeof(*all));
        if (more == NULL) {
            rc = collet_fail(c, -ENOMEM, "out of memory for a list of flows");
            break;
        }
        all = more;
        memcpy(all + n, c->data, arg.count * sizeof(*all));
        n += arg.count;
    } while (arg.cursor != ~0ull);
    if (rc < 0) {
        free(all);
        return rc;
    }
    *flows = all;
    return (int)n;
}
