// SPDX-License-Identifier: MIT
/* libcollet's operations on network cards, VIFs, rules and flows, over a fake hypervisor that has some. */
// needs: handle.c calls.c calls-block.c calls-net.c transport.c fake-hypervisor.c

#include "fake-hypervisor.h"

#include <vfr/flows.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIFS  300u
#define FLOWS 3000u

static struct fake *f;
static struct collet *c;

/* ---- The hypervisor's side ---- */

static struct {
    uint32_t nics, ends_left;
    struct collet_vif_set set;
    struct collet_vif_connect connect;
    uint8_t *rules;
    uint64_t rules_bytes, generation, confirmed;
    uint32_t keep;
    int load_rc, flows_stuck;
    struct collet_rules_load load; /* what it answers beside */
    struct collet_flows_set flows;
} hv;

static long op_nic_list(struct collet_nic_list *a)
{
    struct collet_nic_info *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    for (uint32_t i = a->first; i < hv.nics && n < a->count; i++, n++) {
        to[n] = (struct collet_nic_info){.nic = i};
        snprintf(to[n].name, sizeof(to[n].name), "nic%u", i);
    }
    a->count = n;
    return 0;
}

static long op_vif_list(struct collet_vif_list *a)
{
    struct collet_vif_info *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    for (uint32_t id = a->first_vif; id < 2 * VIFS && n < a->count; id++) /* odd ids alone */
        if (id % 2 == 1 && (a->domid == COLLET_VIFS_ALL || a->domid == id % 3)) {
            to[n] = (struct collet_vif_info){.vif = id, .domid = id % 3};
            snprintf(to[n++].name, sizeof(to[0].name), "d%u.0", id);
        }
    a->count = n;
    return 0;
}

static long op_load(struct collet_rules_load *a)
{
    if (hv.load_rc != 0) {
        a->error_rule = hv.load.error_rule;
        a->error_line = hv.load.error_line;
        memcpy(a->error_text, hv.load.error_text, sizeof(a->error_text));
        return hv.load_rc;
    }
    free(hv.rules);
    hv.rules = malloc(a->bytes + 1);
    if (a->bytes != 0)
        memcpy(hv.rules, (void *)(uintptr_t)a->buffer, a->bytes);
    hv.rules_bytes = a->bytes;
    hv.load = *a;
    a->generation = ++hv.generation;
    return 0;
}

static long op_read(struct collet_rules_read *a)
{
    uint64_t n = a->offset < hv.rules_bytes ? hv.rules_bytes - a->offset : 0;

    if (a->generation != hv.generation)
        return -ESTALE;
    a->bytes = n < a->bytes ? n : a->bytes;
    memcpy((void *)(uintptr_t)a->buffer, hv.rules + a->offset, a->bytes);
    return 0;
}

static long op_counters(struct collet_rules_counters *a)
{
    struct collet_rule_counter *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    if (a->generation != hv.generation)
        return -ESTALE;
    for (; a->first + n < 5001 && n < a->count; n++)
        to[n] = (struct collet_rule_counter){.id = a->first + n + 1};
    a->count = n;
    return 0;
}

static long op_flows(struct collet_flows_list *a)
{
    struct vfr_flow_info *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    if (hv.flows_stuck)
        return 0;
    for (; a->cursor < FLOWS && n < a->count; a->cursor++)
        to[n++] = (struct vfr_flow_info){.source_port = (uint16_t)a->cursor};
    a->count = n;
    if (a->cursor == FLOWS)
        a->cursor = ~0ull;
    return 0;
}

static long operate(struct fake *fake, uint64_t op, void *arg)
{
    (void)fake;
    switch (op) {
    case COLLET_OP_NIC_LIST: return op_nic_list(arg);
    case COLLET_OP_VIF_LIST: return op_vif_list(arg);
    case COLLET_OP_VIF_CREATE:
        ((struct collet_vif_create *)arg)->vif = 17;
        return ((struct collet_vif_create *)arg)->device == 9 ? -EEXIST : 0;
    case COLLET_OP_VIF_SET: hv.set = *(struct collet_vif_set *)arg; return hv.set.vif == 17 ? 0 : -ENOENT;
    case COLLET_OP_VIF_CONNECT: hv.connect = *(struct collet_vif_connect *)arg; return 0;
    case COLLET_OP_VIF_DISCONNECT:
    case COLLET_OP_VIF_DESTROY: return hv.ends_left-- != 0 ? -EINTR : 0;
    case COLLET_OP_NET_SCHED_USE: return strcmp(((struct collet_net_sched_use *)arg)->module, "fifo") == 0 ? 0 : -ENOENT;
    case COLLET_OP_RULES_LOAD: return op_load(arg);
    case COLLET_OP_RULES_CONFIRM:
        hv.confirmed = ((struct collet_rules_confirm *)arg)->generation;
        hv.keep = ((struct collet_rules_confirm *)arg)->keep;
        return hv.confirmed == hv.generation ? 0 : -ESTALE;
    case COLLET_OP_RULES_READ: return op_read(arg);
    case COLLET_OP_RULES_COUNTERS: return op_counters(arg);
    case COLLET_OP_FLOWS_SET: hv.flows = *(struct collet_flows_set *)arg; return 0;
    case COLLET_OP_FLOWS_LIST: return op_flows(arg);
    default: return -ENOSYS;
    }
}

static void setup(void)
{
    memset(&hv, 0, sizeof(hv));
    c = fake_open(&f);
    f->more = operate;
}

static void teardown(void)
{
    free(hv.rules);
    collet_close(c);
}

#define error_has(text) ck_assert_msg(strstr(collet_error(c), text) != NULL, "%s", collet_error(c))

START_TEST(cards_are_listed_and_found)
{
    struct collet_nic_info *nics, info;

    ck_assert_int_eq(collet_nic_list(c, &nics), 0);
    free(nics);
    hv.nics = 3;
    ck_assert_int_eq(collet_nic_list(c, &nics), 3);
    free(nics);
    ck_assert_int_eq(collet_nic_find(c, "nic2", &info), 0);
    ck_assert_uint_eq(info.nic, 2);
    ck_assert_int_eq(collet_nic_find(c, "1", &info), 0);
    ck_assert_uint_eq(info.nic, 1);
    ck_assert_int_eq(collet_nic_find(c, "nic9", &info), -ENODEV);
    ck_assert_int_eq(collet_nic_info(c, 3, &info), -ENODEV);
    error_has("there is no network card 3");
}
END_TEST

START_TEST(vifs_are_listed_and_found)
{
    struct collet_vif_info *vifs, info;

    ck_assert_int_eq(collet_vif_list(c, COLLET_VIFS_ALL, &vifs), (int)VIFS); /* in several pieces */
    for (uint32_t i = 0; i < VIFS; i++)
        ck_assert_uint_eq(vifs[i].vif, 2 * i + 1);
    free(vifs);
    ck_assert_int_eq(collet_vif_list(c, 1, &vifs), (int)VIFS / 3);
    free(vifs);
    ck_assert_int_eq(collet_vif_find(c, "d33.0", &info), 0);
    ck_assert_uint_eq(info.vif, 33);
    ck_assert_int_eq(collet_vif_find(c, "35", &info), 0);
    ck_assert_uint_eq(info.vif, 35);
    ck_assert_int_eq(collet_vif_find(c, "d34.0", &info), -ENOENT);
    ck_assert_int_eq(collet_vif_info(c, 34, &info), -ENOENT);
    error_has("there is no VIF 34");
}
END_TEST

START_TEST(vifs_are_made_changed_and_ended)
{
    struct collet_vif_create create = {.domid = 1};
    struct collet_vif_settings settings = {.weight = 3};

    ck_assert_int_eq(collet_vif_create(c, &create), 0);
    ck_assert_uint_eq(create.vif, 17);
    create.device = 9;
    ck_assert_int_eq(collet_vif_create(c, &create), -EEXIST);
    error_has("device number");
    ck_assert_int_eq(collet_vif_set(c, 17, &settings), 0);
    ck_assert_uint_eq(hv.set.settings.weight, 3);
    ck_assert_int_eq(collet_vif_set(c, 18, &settings), -ENOENT);
    ck_assert_int_eq(collet_vif_connect(c, &(struct collet_vif_connect){.vif = 17, .rx_port = 5}), 0);
    ck_assert_uint_eq(hv.connect.rx_port, 5);
    hv.ends_left = 3;
    ck_assert_int_eq(collet_vif_disconnect(c, 17), 0);
    hv.ends_left = 3;
    ck_assert_int_eq(collet_vif_destroy(c, 17), 0);
    ck_assert_uint_eq(f->memory_bytes, PAGE_BYTES + DATA_BYTES);
    ck_assert_int_eq(collet_net_sched_use(c, "fifo"), 0);
    ck_assert_int_eq(collet_net_sched_use(c, "lifo"), -ENOENT);
    error_has("there is no packet scheduler \"lifo\"");
    ck_assert_int_eq(collet_net_sched_use(c, "a-name-that-is-much-too-long-for-a-module"), -ENOENT);
}
END_TEST

START_TEST(rules_are_loaded_and_read_back)
{
    struct collet_rules_load load = {.expect = 4, .confirm_ms = 100};
    size_t bytes = 3 * DATA_BYTES, read;
    uint8_t *set = malloc(bytes);
    void *back;

    for (size_t i = 0; i < bytes; i++)
        set[i] = (uint8_t)(i * 7 / 3);
    ck_assert_int_eq(collet_rules_load(c, set, bytes, &load), 0);
    ck_assert_uint_eq(load.generation, 1);
    ck_assert_uint_eq(hv.load.expect, 4);
    ck_assert_uint_eq(hv.load.confirm_ms, 100);
    ck_assert_uint_eq(f->memory_bytes, PAGE_BYTES + DATA_BYTES);
    ck_assert_int_eq(collet_rules_read(c, 1, &back, &read), 0);
    ck_assert_uint_eq(read, bytes);
    ck_assert_mem_eq(back, set, bytes);
    free(back);
    ck_assert_int_eq(collet_rules_read(c, 2, &back, &read), -ESTALE);
    ck_assert_ptr_null(back);
    ck_assert_int_eq(collet_rules_read(c, 0, &back, &read), 0);
    ck_assert_ptr_null(back);
    ck_assert_int_eq(collet_rules_load(c, NULL, 0, &load), 0);
    ck_assert_uint_eq(hv.rules_bytes, 0);
    ck_assert_int_eq(collet_rules_load(c, set, (size_t)COLLET_RULES_BYTES_MAX + 1, &load), -E2BIG);
    ck_assert_int_eq(collet_rules_confirm(c, 2, true), 0);
    ck_assert_uint_eq(hv.keep, 1);
    ck_assert_int_eq(collet_rules_confirm(c, 1, false), -ESTALE);
    error_has("does not wait");
    free(set);
}
END_TEST

START_TEST(what_is_wrong_with_a_set_is_told)
{
    struct collet_rules_load load = {.expect = ~0ull};

    hv.load_rc = -EINVAL;
    hv.load = (struct collet_rules_load){.error_rule = 2, .error_line = 40, .error_text = "its rate is 0"};
    ck_assert_int_eq(collet_rules_load(c, "x", 1, &load), -EINVAL);
    error_has("line 40: its rate is 0");
    hv.load.error_line = 0;
    ck_assert_int_eq(collet_rules_load(c, "x", 1, &load), -EINVAL);
    error_has("rule 3: its rate is 0");
    hv.load.error_rule = ~0u;
    ck_assert_int_eq(collet_rules_load(c, "x", 1, &load), -EINVAL);
    error_has("the rules: its rate is 0");
    hv.load.error_text[0] = 0;
    ck_assert_int_eq(collet_rules_load(c, "x", 1, &load), -EINVAL);
    error_has("the set is damaged");
    hv.load_rc = -EBUSY;
    ck_assert_int_eq(collet_rules_load(c, "x", 1, &load), -EBUSY);
    error_has("collet rules confirm");
}
END_TEST

START_TEST(counters_and_flows_come_in_pieces)
{
    struct collet_rule_counter *counters;
    struct vfr_flow_info *flows;

    ck_assert_int_eq(collet_rules_counters(c, 0, &counters), 5001);
    ck_assert_uint_eq(counters[5000].id, 5001);
    free(counters);
    ck_assert_int_eq(collet_rules_counters(c, 3, &counters), -ESTALE);
    ck_assert_int_eq(collet_flows_list(c, COLLET_VIFS_ALL, &flows), (int)FLOWS);
    for (uint32_t i = 0; i < FLOWS; i++)
        ck_assert_uint_eq(flows[i].source_port, i);
    free(flows);
    hv.flows_stuck = 1;
    ck_assert_int_eq(collet_flows_list(c, COLLET_VIFS_ALL, &flows), -EPROTO);
    ck_assert_ptr_null(flows);
    ck_assert_int_eq(collet_flows_set(c, true, 100), 0);
    ck_assert_uint_eq(hv.flows.on, 1);
    ck_assert_uint_eq(hv.flows.flows_max, 100);
}
END_TEST

Suite *suite_calls_net(void);
Suite *suite_calls_net(void)
{
    Suite *s = suite_create("calls-net");
    TCase *t = tcase_create("calls-net");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, cards_are_listed_and_found);
    tcase_add_test(t, vifs_are_listed_and_found);
    tcase_add_test(t, vifs_are_made_changed_and_ended);
    tcase_add_test(t, rules_are_loaded_and_read_back);
    tcase_add_test(t, what_is_wrong_with_a_set_is_told);
    tcase_add_test(t, counters_and_flows_come_in_pieces);
    suite_add_tcase(s, t);
    return s;
}
