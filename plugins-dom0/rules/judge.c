// SPDX-License-Identifier: MIT
/*
 * The engine in an ordinary program: memory is malloc's, there is one CPU, time is the packet's.
 * Contract: judge.h. Tests: test-judge.c.
 */
#include "judge.h"

#include <vfr/antispoof.h>
#include <vfr/engine.h>
#include <vfr/packet.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS_MAX 65536u

struct rules_judge {
    struct vfr_engine *engine;
    struct vfr_flows *flows; /* NULL: no rule asks */
    const uint8_t *set;
    struct vfr_memory memory;
    uint64_t last_ns;
    uint64_t *before; /* counts, while tell_passed */
    uint8_t header[VFR_HEADER_MAX];
};

static void *judge_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

static int judge_read(void *arg, uint64_t offset, void *to, size_t bytes)
{
    memcpy(to, (const uint8_t *)arg + offset, bytes);
    return 0;
}

int rules_judge_create(struct rules_judge **judge, const void *set, size_t bytes, char error[256])
{
    struct rules_judge *j = calloc(1, sizeof(*j));
    struct vfr_source source = { judge_read, (void *)(uintptr_t)set, bytes };
    struct vfr_load_error e = { .line = 0 };
    int rc;

    error[0] = 0;
    if (j == NULL)
        return -ENOMEM;
    j->memory = (struct vfr_memory){ .alloc = judge_alloc, .free = free, .cpus = 1 };
    rc = vfr_engine_create(&j->engine, &source, &j->memory, &e);
    if (rc != 0) {
        if (e.line != 0)
            snprintf(error, 256, "line %u: %s", e.line, e.text);
        else
            snprintf(error, 256, "%s", e.text);
    } else if (vfr_engine_wants_flows(j->engine)) {
        rc = vfr_flows_create(&j->flows, FLOWS_MAX, &j->memory);
    }
    if (rc != 0) {
        rules_judge_destroy(j);
        return rc;
    }
    j->before = calloc((size_t)vfr_engine_rules(j->engine) + 1, sizeof(*j->before));
    *judge = j;
    return 0;
}

void rules_judge_destroy(struct rules_judge *j)
{
    if (j == NULL)
        return;
    if (j->flows != NULL)
        vfr_flows_destroy(j->flows);
    if (j->engine != NULL)
        vfr_engine_destroy(j->engine);
    free(j->before);
    free(j);
}

/* ---- Interfaces ---- */

static int iface_address(struct vfr_iface *to, const char *text)
{
    struct vfr_address *a = &to->addresses[to->address_count];
    unsigned int m[6], bits = 0;
    char host[64], end;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5], &end) == 6) {
        for (unsigned int i = 0; i < 6; i++)
            to->mac[i] = (uint8_t)m[i];
        return 0;
    }
    if (to->address_count == VFR_ADDRESSES_MAX || sscanf(text, "%63[^/]/%u", host, &bits) < 1)
        return -EINVAL;
    *a = (struct vfr_address){ .family = strchr(host, ':') != NULL ? 6 : 4 };
    a->bits = strchr(text, '/') != NULL ? (uint8_t)bits : a->family == 6 ? 128 : 32;
    if (inet_pton(a->family == 6 ? AF_INET6 : AF_INET, host, a->bytes) != 1 || bits > (a->family == 6 ? 128u : 32u))
        return -EINVAL;
    to->address_count++;
    return 0;
}

int rules_judge_iface(struct vfr_iface *to, const char *name, const char *addresses)
{
    bool nic = strncmp(name, "nic", 3) == 0 && name[3] >= '0' && name[3] <= '9' && strchr(name, '.') == NULL;
    const char *dot = strrchr(name, '.');
    char list[512], *save = NULL;
    int rc = 0;

    *to = (struct vfr_iface){ .domid = nic ? ~0u : 1 };
    if (nic) {
        to->id = VFR_IFACE_NIC + (uint32_t)strtoul(name + 3, NULL, 10);
        snprintf(to->name, sizeof(to->name), "%s", name);
    } else {
        for (const char *c = name; *c != 0; c++)
            to->id = to->id * 31 + (uint8_t)*c;
        to->id &= ~VFR_IFACE_NIC;
        to->domid = to->id % 30000 + 1;
        snprintf(to->name, sizeof(to->name), "%.60s%s", name, dot != NULL ? "" : ".0");
        snprintf(to->domain, sizeof(to->domain), "%.*s", dot != NULL ? (int)(dot - name) : 63, name);
    }
    /* Whose MAC is not known may send as anybody. */
    to->flags = VFR_IFACE_SPOOF_OK;
    if (addresses == NULL)
        return 0;
    snprintf(list, sizeof(list), "%s", addresses);
    for (char *word = strtok_r(list, ", ", &save); word != NULL && rc == 0; word = strtok_r(NULL, ", ", &save))
        rc = iface_address(to, word);
    return rc;
}

/* ---- Judging ---- */

static void counts_keep(struct rules_judge *j)
{
    struct vfr_rule_info info;

    for (uint32_t i = 0; j->before != NULL && i < vfr_engine_rules(j->engine); i++) {
        vfr_engine_rule_info(j->engine, i, &info);
        j->before[i] = info.packets;
    }
}

static void counts_compare(struct rules_judge *j, struct rules_step *step)
{
    struct vfr_rule_info info;

    for (uint32_t i = 0; j->before != NULL && i < vfr_engine_rules(j->engine) && step->passed_count < RULES_PASSED_MAX; i++) {
        vfr_engine_rule_info(j->engine, i, &info);
        if (info.packets != j->before[i] && i != step->verdict.rule)
            step->passed[step->passed_count++] = i;
    }
}

/* At one interface; true: it goes on. */
static bool judge_at(struct rules_judge *j, const struct rules_frame *f, struct rules_answer *a, const struct vfr_iface *at, unsigned int direction)
{
    struct rules_step *step = &a->steps[a->count++];
    struct vfr_binding binding;

    *step = (struct rules_step){ .direction = direction, .at = at };
    vfr_engine_bind(j->engine, at, &binding);
    /* The engine asks the interface that sends for TX and the one that receives for RX; the one that is judged at is both. */
    a->packet.to = direction == VFR_RX ? at : NULL;
    if (f->tell_passed)
        counts_keep(j);
    (f->linear ? vfr_engine_judge_linear : vfr_engine_judge)(j->engine, &a->packet, direction, &binding, 0, j->last_ns, &step->verdict);
    if (f->tell_passed)
        counts_compare(j, step);
    return step->verdict.action == VFR_ACCEPT || step->verdict.action == VFR_FORWARD;
}

static bool is_nic(const struct vfr_iface *iface)
{
    return (iface->id & VFR_IFACE_NIC) != 0;
}

void rules_judge_frame(struct rules_judge *j, const struct rules_frame *f, struct rules_answer *a)
{
    const struct vfr_iface *first = f->from != NULL ? f->from : f->to;
    bool on;

    *a = (struct rules_answer){ .accepted = false };
    a->packet.header_bytes = f->captured < VFR_HEADER_MAX ? f->captured : VFR_HEADER_MAX;
    memcpy(j->header, f->bytes, a->packet.header_bytes);
    a->packet.header = j->header;
    a->packet.bytes = f->length;
    a->packet.from = first;
    if (f->ns > j->last_ns)
        j->last_ns = f->ns;
    vfr_parse(&a->packet);
    if (f->from != NULL && !(f->from->flags & VFR_IFACE_SPOOF_OK))
        a->spoofed = vfr_spoof_reason(&a->packet);
    if (a->spoofed != NULL)
        return;
    a->unreadable = vfr_unreadable(&a->packet);
    if (a->unreadable)
        return;
    if (f->state == VFR_STATE_NONE && j->flows != NULL)
        vfr_flows_find(j->flows, &a->packet, 0, j->last_ns);
    else
        a->packet.state = f->state;
    a->state = a->packet.state;
    on = f->from == NULL || judge_at(j, f, a, f->from, is_nic(f->from) ? VFR_RX : VFR_TX);
    on = on && (f->to == NULL || judge_at(j, f, a, f->to, is_nic(f->to) ? VFR_TX : VFR_RX));
    a->accepted = on;
    if (f->state == VFR_STATE_NONE && j->flows != NULL) {
        if (on)
            vfr_flows_keep(j->flows, &a->packet, 0, j->last_ns);
        else
            vfr_flows_refuse(j->flows, &a->packet);
    }
}

struct rules_count rules_judge_count(struct rules_judge *j, uint32_t rule)
{
    struct vfr_rule_info info;

    vfr_engine_rule_info(j->engine, rule, &info);
    return (struct rules_count){ info.packets, info.bytes };
}

uint32_t rules_judge_rules(struct rules_judge *j)
{
    return vfr_engine_rules(j->engine);
}

const char *rules_action_name(uint8_t action)
{
    static const char *const names[] = { "continue", "accept", "drop", "reject", "forward" };

    return action < sizeof(names) / sizeof(names[0]) ? names[action] : "?";
}
