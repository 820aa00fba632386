/* SPDX-License-Identifier: MIT */
/* For the tests of rules.c and its kin: sets of a few rules, two ports, a packet, and a machine whose clock and timer are variables. */
#pragma once

#include "rules-internal.h"

#include "changes.h"
#include "cpu.h"
#include "sched.h"
#include "time.h"

#include <check.h>
#include <hv/errno.h>
#include <vfr/ruleset-write.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static uint64_t fake_now_ns;
static struct timer *fake_timer;
static struct collet_change last_change;

uint64_t clock_now_ns(void)
{
    return __atomic_load_n(&fake_now_ns, __ATOMIC_RELAXED);
}

void timer_init(struct timer *timer, void (*handler)(void *), void *arg, uint32_t cpu)
{
    *timer = (struct timer){.handler = handler, .arg = arg, .cpu = cpu};
    fake_timer = timer;
}

void timer_set(struct timer *timer, uint64_t deadline_ns)
{
    __atomic_store_n(&timer->deadline_ns, deadline_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&timer->armed, true, __ATOMIC_RELEASE);
}

void timer_cancel(struct timer *timer)
{
    __atomic_store_n(&timer->armed, false, __ATOMIC_RELEASE);
}

/* As the softirq would. */
static inline void fake_timer_run(void)
{
    if (__atomic_load_n(&fake_timer->armed, __ATOMIC_ACQUIRE) && clock_now_ns() >= __atomic_load_n(&fake_timer->deadline_ns, __ATOMIC_RELAXED)) {
        timer_cancel(fake_timer);
        fake_timer->handler(fake_timer->arg);
    }
}

void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text)
{
    (void)d;
    last_change.kind = kind;
    last_change.value = value;
    strncpy(last_change.text, text, sizeof(last_change.text) - 1);
}

void vcpu_yield(void)
{
    sched_yield();
}

void softirq_run(void)
{
}

/* Debian 12's libc has none. */
size_t strlcpy(char *to, const char *from, size_t size);
size_t strlcpy(char *to, const char *from, size_t size)
{
    strncpy(to, from, size - 1);
    to[size - 1] = '\0';
    return strlen(from);
}

/* ---- Sets ---- */

enum { RULE_ALL = 7, RULE_WEB = 100 }; /* ids */

/*
 * Rule 7: every packet, both ways, goes on. Rule 100 + which: what web.0 sends or gets is accepted or dropped, by `drop`. Policy: the same. wants_state: another rule asks for the state of connections. For free().
 */
static inline void *make_set(bool drop, unsigned int which, bool wants_state, size_t *bytes)
{
    const uint64_t states[8] = {1};
    struct vfr_set_policy policy[2] = {{.action = drop ? VFR_DROP : VFR_ACCEPT}, {.action = drop ? VFR_DROP : VFR_ACCEPT}};
    struct vfr_writer *w = vfr_writer_create();
    uint32_t web = vfr_writer_name(w, "web.0");
    struct vfr_set_rule all = {.id = RULE_ALL, .line = 1, .directions = VFR_TX | VFR_RX, .action = VFR_CONTINUE};
    struct vfr_set_rule one = {.id = RULE_WEB + which, .line = 2, .fields = VFR_FIELD_IFACE, .directions = VFR_TX | VFR_RX, .action = drop ? VFR_DROP : VFR_ACCEPT};
    struct vfr_set_rule state = {.id = 50, .line = 3, .directions = VFR_TX, .action = VFR_CONTINUE};
    uint32_t count = 0;
    void *set;

    for (uint32_t i = 0; vfr_rule_kinds[i] != NULL; i++)
        if (strcmp(vfr_rule_kinds[i]->name, "state") == 0)
            count = vfr_rule_kinds[i]->param_count;
    vfr_writer_rule(w, &all, NULL, 0, NULL, 0, 0);
    if (wants_state) {
        struct vfr_writer_use use = {.kind = vfr_writer_kind(w, "state"), .value_count = count, .values = states};

        vfr_writer_rule(w, &state, NULL, 0, &use, 1, 0);
    }
    vfr_writer_rule(w, &one, &web, 1, NULL, 0, 0);
    set = vfr_writer_finish(w, policy, NULL, 0, bytes);
    vfr_writer_destroy(w);
    return set;
}

/* ---- Ports and a packet ---- */

static struct vfr_port web = {.slot = 3, .iface = {.id = 5, .domid = 1, .name = "web.0", .domain = "web"}};
static struct vfr_port db = {.slot = 4, .iface = {.id = 6, .domid = 2, .name = "db.0", .domain = "db"}};

/* UDP from 10.0.0.1 to 10.0.0.2. */
struct test_packet {
    uint8_t header[64];
    struct net_packet packet;
};

static inline void packet_make(struct test_packet *p, struct vfr_port *from, struct vfr_port *to, uint16_t source_port)
{
    static const uint8_t bytes[42] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 53, 0, 8, 0, 0};

    memset(p, 0, sizeof(*p));
    memcpy(p->header, bytes, sizeof(bytes));
    p->header[34] = (uint8_t)(source_port >> 8);
    p->header[35] = (uint8_t)source_port;
    p->packet.from = from;
    p->packet.to = to;
    p->packet.view = (struct vfr_packet){.header = p->header, .header_bytes = 42, .bytes = 42, .from = &from->iface, .to = &to->iface};
    vfr_parse(&p->packet.view);
}

static inline long load_set(const void *set, size_t bytes, uint32_t confirm_ms, uint64_t *generation)
{
    struct collet_rules_load op = {.buffer = (uintptr_t)set, .bytes = bytes, .expect = ~0ull, .confirm_ms = confirm_ms};
    long rc = rules_load(&op);

    if (generation != NULL)
        *generation = op.generation;
    return rc;
}

/* What rule `id` has counted; ~0: no such rule is in force. id 0: the policies. */
static inline uint64_t counted(uint64_t id)
{
    struct collet_rule_counter counters[8];
    struct collet_rules_counters op = {.buffer = (uintptr_t)counters, .count = 8};
    struct collet_rules_info info;

    rules_info(&info);
    op.generation = info.generation;
    if (rules_counters(&op) != 0)
        return ~0ull;
    for (uint32_t i = 0; i < op.count; i++)
        if (counters[i].id == id)
            return counters[i].packets;
    return ~0ull;
}
