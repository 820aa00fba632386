// SPDX-License-Identifier: MIT
/* Generations of rules: one follows another whole or not at all, is put back when nobody confirms it, counters and flows go on, what is read back is what was loaded. */
// needs: rules.c rules-load.c rules-list.c sdk/vfr/engine.c sdk/vfr/classifier.c sdk/vfr/classifier-build.c sdk/vfr/cache.c sdk/vfr/linear.c sdk/vfr/ruleset.c sdk/vfr/store.c sdk/vfr/packet.c sdk/vfr/bpf.c sdk/vfr/antispoof.c sdk/vfr/flows.c sdk/vfr/flows-key.c sdk/vfr/flows-state.c sdk/rules/ruleset-write.c vfr-rules/index.c vfr-rules/antispoof.c vfr-rules/count.c vfr-rules/fifo.c vfr-rules/limit-source.c vfr-rules/limit.c vfr-rules/log.c vfr-rules/malformed.c vfr-rules/match.c vfr-rules/mirror.c vfr-rules/portscan.c vfr-rules/round-robin.c vfr-rules/sample.c vfr-rules/size.c vfr-rules/state.c vfr-rules/weighted.c tests/unit/fakes-machine.c
#include "test-rules.h"

static void *accepts, *drops, *stateful;
static size_t accept_bytes, drop_bytes, stateful_bytes;

/* libc's, for the heap: how much is out, and which allocation fails (counted down; ~0 none). */
static int64_t heap_out;
static uint64_t heap_left = ~0ull;
static uint64_t heap_cleared; /* bytes, as the hypervisor's heap rounds */

void *heap_alloc(size_t bytes)
{
    size_t all = 16;
    void *p;

    if (heap_left == 0)
        return NULL;
    if (heap_left != ~0ull)
        heap_left--;
    while (all < bytes)
        all *= 2;
    heap_cleared += all;
    p = calloc(1, bytes);
    heap_out += p != NULL;
    return p;
}

void heap_free(void *ptr)
{
    heap_out -= ptr != NULL;
    free(ptr);
}

static void setup(void)
{
    cpu_count = 2;
    rules_init();
    accepts = make_set(false, 0, false, &accept_bytes);
    drops = make_set(true, 1, false, &drop_bytes);
    stateful = make_set(false, 0, true, &stateful_bytes);
    rules_port_add(&web);
    rules_port_add(&db);
}

/* With no set in force and flows not tracked nothing is kept. */
static void teardown(void)
{
    fake_now_ns += 1000ull * NS_PER_MS * 1000;
    fake_timer_run();
    ck_assert_int_eq(load_set(NULL, 0, 0, NULL), 0);
    ck_assert_int_eq(flows_set(&(struct collet_flows_set){.on = 0}), 0);
    ck_assert_int_eq(heap_out, 1); /* the generation without a set */
    free(accepts);
    free(drops);
    free(stateful);
}

static uint8_t judge(struct vfr_port *from, struct vfr_port *to, unsigned int direction)
{
    struct vfr_generation *g = rules_enter();
    struct vfr_verdict verdict;
    struct test_packet p;

    packet_make(&p, from, to, 1000);
    rules_judge(g, &p.packet, direction, clock_now_ns(), &verdict);
    rules_leave();
    return verdict.action;
}

static uint64_t in_force(void)
{
    struct collet_rules_info info;

    rules_info(&info);
    return info.generation;
}

START_TEST(without_a_set_everything_passes)
{
    struct collet_rules_info info;

    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_ACCEPT);
    ck_assert_int_eq(rules_info(&info), 0);
    ck_assert_uint_eq(info.generation, 0);
    ck_assert_uint_eq(info.rules, 0);
    ck_assert_int_eq(rules_read(&(struct collet_rules_read){.generation = 0}), -ESTALE);
    ck_assert_int_eq(rules_counters(&(struct collet_rules_counters){.generation = 0}), -ESTALE);
    ck_assert_int_eq(rules_confirm(&(struct collet_rules_confirm){.keep = 1}), -ESTALE);
}
END_TEST

START_TEST(one_set_follows_another)
{
    uint64_t first, second;

    ck_assert_int_eq(load_set(drops, drop_bytes, 0, &first), 0);
    ck_assert_uint_eq(first, 1);
    ck_assert_int_eq(last_change.kind, COLLET_CHANGE_RULES);
    ck_assert_uint_eq(last_change.value, 1);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_DROP);
    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, &second), 0);
    ck_assert_uint_eq(second, 2);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_ACCEPT);
    ck_assert_uint_eq(counted(RULE_ALL), 2);
    ck_assert_uint_eq(counted(RULE_WEB), 1);
    ck_assert_uint_eq(counted(RULE_WEB + 1), ~0ull);
    ck_assert_int_eq(load_set(NULL, 0, 0, &second), 0);
    ck_assert_uint_eq(second, 0);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_ACCEPT);
}
END_TEST

START_TEST(a_bad_set_changes_nothing)
{
    struct collet_rules_load op = {.buffer = (uintptr_t)drops, .bytes = drop_bytes, .expect = 5};
    uint8_t *damaged = malloc(drop_bytes);

    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, NULL), 0);
    ck_assert_int_eq(rules_load(&op), -ESTALE);
    memcpy(damaged, drops, drop_bytes);
    damaged[0] ^= 1;
    op = (struct collet_rules_load){.buffer = (uintptr_t)damaged, .bytes = drop_bytes, .expect = ~0ull};
    ck_assert_int_eq(rules_load(&op), -EINVAL);
    ck_assert_uint_eq(op.error_rule, VFR_NO_RULE);
    ck_assert_uint_ne(op.error_text[0], 0);
    op = (struct collet_rules_load){.buffer = 8, .bytes = drop_bytes, .expect = ~0ull};
    ck_assert_int_eq(rules_load(&op), -EFAULT);
    op = (struct collet_rules_load){.buffer = (uintptr_t)drops, .bytes = COLLET_RULES_BYTES_MAX + 1ull, .expect = ~0ull};
    ck_assert_int_eq(rules_load(&op), -E2BIG);
    ck_assert_uint_eq(in_force(), 1);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_ACCEPT);
    free(damaged);
}
END_TEST

START_TEST(memory_may_run_out_anywhere)
{
    long rc = -ENOMEM;
    int64_t before;

    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, NULL), 0);
    before = heap_out;
    for (uint64_t n = 0; rc == -ENOMEM; n++) {
        heap_left = n;
        rc = load_set(drops, drop_bytes, 0, NULL);
        heap_left = ~0ull;
        ck_assert(rc == 0 || (rc == -ENOMEM && heap_out == before));
        ck_assert_uint_eq(judge(&web, &db, VFR_TX), rc == 0 ? VFR_DROP : VFR_ACCEPT);
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(in_force(), 2); /* failures use up no numbers */
}
END_TEST

/* A thousand times a second is possible because little is cleared: most of what a load of few rules costs. */
START_TEST(a_small_set_takes_little_memory_to_load)
{
    heap_cleared = 0;
    ck_assert_int_eq(load_set(drops, drop_bytes, 0, NULL), 0);
    ck_assert_uint_lt(heap_cleared, 40000);
}
END_TEST

/* The timer waits for nobody: a CPU may be judging by what it took out of use, when a port comes. */
START_TEST(a_port_that_comes_is_known_to_what_was_put_back)
{
    struct vfr_port other = {.slot = PORTS_MAX - 1, .iface = {.id = 9, .domid = 3, .name = "web.0", .domain = "web"}};
    struct vfr_generation *g;
    struct vfr_verdict verdict;
    struct test_packet p;

    ck_assert_int_eq(load_set(drops, drop_bytes, 60000, NULL), 0);
    packet_make(&p, &other, &db, 1);
    g = rules_enter();
    fake_now_ns += 60001 * NS_PER_MS;
    fake_timer_run();
    rules_port_add(&other);
    rules_judge(g, &p.packet, VFR_TX, clock_now_ns(), &verdict);
    rules_leave();
    ck_assert_uint_eq(verdict.action, VFR_DROP);
    ck_assert_uint_eq(judge(&other, &db, VFR_TX), VFR_ACCEPT);
    ck_assert_int_eq(load_set(drops, drop_bytes, 0, NULL), 0);
    ck_assert_uint_eq(judge(&other, &db, VFR_TX), VFR_DROP);
    rules_port_remove(&other);
}
END_TEST

START_TEST(what_nobody_confirms_is_put_back)
{
    struct collet_rules_info info;

    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, NULL), 0);
    judge(&web, &db, VFR_TX);
    ck_assert_int_eq(load_set(drops, drop_bytes, 60000, NULL), 0);
    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, NULL), -EBUSY);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_DROP);
    rules_info(&info);
    ck_assert_uint_eq(info.previous, 1);
    ck_assert_uint_eq(info.confirm_left_ns, 60000 * NS_PER_MS);
    fake_now_ns += 59999 * NS_PER_MS;
    fake_timer_run();
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_DROP);
    fake_now_ns += NS_PER_MS;
    fake_timer_run();
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_ACCEPT);
    ck_assert_uint_eq(last_change.value, 1);
    ck_assert_str_eq(last_change.text, "put back: not confirmed");
    ck_assert_uint_eq(in_force(), 1);
    ck_assert_uint_eq(counted(RULE_ALL), 4); /* also what the other one has counted */
    ck_assert_uint_eq(counted(RULE_WEB), 2);
    ck_assert_int_eq(rules_confirm(&(struct collet_rules_confirm){.generation = 2, .keep = 1}), -ESTALE);
    ck_assert_int_eq(load_set(drops, drop_bytes, 0, NULL), 0);
    ck_assert_uint_eq(in_force(), 3);
    ck_assert_uint_eq(counted(RULE_ALL), 4);
}
END_TEST

START_TEST(what_is_confirmed_stays)
{
    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, NULL), 0);
    ck_assert_int_eq(load_set(drops, drop_bytes, 1000, NULL), 0);
    ck_assert_int_eq(rules_confirm(&(struct collet_rules_confirm){.generation = 1, .keep = 1}), -ESTALE);
    ck_assert_int_eq(rules_confirm(&(struct collet_rules_confirm){.generation = 2, .keep = 1}), 0);
    fake_now_ns += 5000 * NS_PER_MS;
    fake_timer_run();
    fake_timer->handler(fake_timer->arg); /* a handler that was under way already */
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_DROP);
    /* Or it is put back at once; also to none. */
    ck_assert_int_eq(load_set(NULL, 0, 1000, NULL), 0);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_ACCEPT);
    ck_assert_int_eq(rules_confirm(&(struct collet_rules_confirm){.generation = 0, .keep = 0}), 0);
    ck_assert_uint_eq(in_force(), 2);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_DROP);
}
END_TEST

START_TEST(ports_come_and_go)
{
    struct vfr_port other = {.slot = 9, .iface = {.id = 8, .domid = 3, .name = "web.0", .domain = "web"}};

    ck_assert_int_eq(load_set(drops, drop_bytes, 0, NULL), 0);
    ck_assert_int_eq(load_set(accepts, accept_bytes, 1000, NULL), 0);
    rules_port_add(&other);
    ck_assert_uint_eq(judge(&other, &db, VFR_TX), VFR_ACCEPT);
    ck_assert_uint_eq(counted(RULE_WEB), 1);
    fake_now_ns += 1000 * NS_PER_MS;
    fake_timer_run();
    ck_assert_uint_eq(judge(&other, &db, VFR_TX), VFR_DROP); /* it was bound in the one that waited, too */
    rules_port_remove(&other);
    other.slot = 10;
    rules_port_add(&other);
    ck_assert_uint_eq(judge(&other, &db, VFR_TX), VFR_DROP);
    rules_port_remove(&other);
}
END_TEST

START_TEST(the_set_is_read_back_as_it_was)
{
    struct collet_rules_read op = {.generation = 1, .bytes = 1u << 20};
    uint8_t *copy = malloc(1u << 20);

    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, NULL), 0);
    op.buffer = (uintptr_t)copy;
    ck_assert_int_eq(rules_read(&op), 0);
    ck_assert_uint_eq(op.bytes, accept_bytes);
    ck_assert_mem_eq(copy, accepts, accept_bytes);
    op = (struct collet_rules_read){.generation = 1, .offset = 100, .buffer = (uintptr_t)copy, .bytes = 7};
    ck_assert_int_eq(rules_read(&op), 0);
    ck_assert_uint_eq(op.bytes, 7);
    ck_assert_mem_eq(copy, (uint8_t *)accepts + 100, 7);
    op = (struct collet_rules_read){.generation = 1, .offset = accept_bytes + 5, .buffer = (uintptr_t)copy, .bytes = 7};
    ck_assert_int_eq(rules_read(&op), 0);
    ck_assert_uint_eq(op.bytes, 0);
    op = (struct collet_rules_read){.generation = 2};
    ck_assert_int_eq(rules_read(&op), -ESTALE);
    op = (struct collet_rules_read){.generation = 1, .buffer = 8, .bytes = 7};
    ck_assert_int_eq(rules_read(&op), -EFAULT);
    free(copy);
}
END_TEST

START_TEST(kinds_tell_how_many_rules_use_them)
{
    struct collet_sched_module kinds[64];
    struct collet_sched_list op = {.count = 64, .buffer = (uintptr_t)kinds};
    uint32_t used = 0;

    ck_assert_int_eq(load_set(stateful, stateful_bytes, 0, NULL), 0);
    ck_assert_int_eq(rules_kinds(&op), 0);
    ck_assert_uint_gt(op.count, 5);
    for (uint32_t i = 0; i < op.count; i++) {
        ck_assert_uint_eq(kinds[i].active, strcmp(kinds[i].name, "state") == 0);
        used += kinds[i].active;
    }
    ck_assert_uint_eq(used, 1);
    op = (struct collet_sched_list){.first = 2, .count = 1, .buffer = (uintptr_t)kinds};
    ck_assert_int_eq(rules_kinds(&op), 0);
    ck_assert_uint_eq(op.count, 1);
    ck_assert_str_eq(kinds[0].name, vfr_rule_kinds[2]->name);
    op = (struct collet_sched_list){.first = ~0u, .count = 5, .buffer = (uintptr_t)kinds};
    ck_assert_int_eq(rules_kinds(&op), 0);
    ck_assert_uint_eq(op.count, 0);
}
END_TEST

static void one_flow(uint16_t port)
{
    struct vfr_generation *g = rules_enter();
    struct test_packet p;

    packet_make(&p, &web, &db, port);
    rules_flow_find(g, &p.packet, clock_now_ns());
    rules_flow_keep(g, &p.packet, clock_now_ns());
    rules_leave();
}

static uint32_t flow_count(uint32_t domid)
{
    static struct vfr_flow_info flows[64];
    struct collet_flows_list op = {.buffer = (uintptr_t)flows, .count = 64, .entry_bytes = sizeof(flows[0]), .domid = domid};

    ck_assert_int_eq(flows_list(&op), 0);
    ck_assert_uint_eq(op.cursor, ~0ull);
    return op.count;
}

START_TEST(flows_are_tracked_while_somebody_asks_for_them)
{
    struct collet_rules_info info;

    one_flow(1);
    ck_assert_uint_eq(flow_count(~0u), 0);
    ck_assert_int_eq(load_set(stateful, stateful_bytes, 0, NULL), 0);
    one_flow(1);
    one_flow(2);
    ck_assert_uint_eq(flow_count(~0u), 2);
    ck_assert_uint_eq(flow_count(1), 2);
    ck_assert_uint_eq(flow_count(2), 0);
    ck_assert_int_eq(load_set(accepts, accept_bytes, 0, NULL), 0); /* wants none: they are not tracked, but not forgotten */
    one_flow(3);
    ck_assert_uint_eq(flow_count(~0u), 2);
    ck_assert_int_eq(flows_set(&(struct collet_flows_set){.on = 1}), 0);
    one_flow(3);
    ck_assert_uint_eq(flow_count(~0u), 3);
    rules_info(&info);
    ck_assert_uint_eq(info.flows_on, 1);
    ck_assert_uint_eq(info.flows, 3);
    ck_assert_int_eq(flows_set(&(struct collet_flows_set){.on = 1, .flows_max = 5000}), 0);
    ck_assert_uint_eq(flow_count(~0u), 0);
    one_flow(1);
    rules_domain_gone(2);
    ck_assert_uint_eq(flow_count(~0u), 1);
    rules_domain_gone(1);
    ck_assert_uint_eq(flow_count(~0u), 0);
    ck_assert_int_eq(flows_set(&(struct collet_flows_set){.on = 1, .flows_max = (1u << 20) + 1}), -ERANGE);
    ck_assert_int_eq(flows_set(&(struct collet_flows_set){.on = 0}), 0);
    one_flow(1);
    rules_info(&info);
    ck_assert_uint_eq(info.flows_on, 0);
    ck_assert_uint_eq(flow_count(~0u), 0);
}
END_TEST

/* Changing what is tracked does not touch the rules, nor what waits to be confirmed. */
START_TEST(flows_change_while_a_set_waits)
{
    ck_assert_int_eq(load_set(stateful, stateful_bytes, 0, NULL), 0);
    ck_assert_int_eq(load_set(drops, drop_bytes, 1000, NULL), 0);
    ck_assert_int_eq(flows_set(&(struct collet_flows_set){.on = 0, .flows_max = 2000}), 0);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_DROP);
    fake_now_ns += 1000 * NS_PER_MS;
    fake_timer_run();
    one_flow(1);
    ck_assert_uint_eq(flow_count(~0u), 1);
    ck_assert_uint_eq(judge(&web, &db, VFR_TX), VFR_ACCEPT);
}
END_TEST

Suite *suite_rules(void);
Suite *suite_rules(void)
{
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("rules");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, without_a_set_everything_passes);
    tcase_add_test(t, one_set_follows_another);
    tcase_add_test(t, a_bad_set_changes_nothing);
    tcase_add_test(t, memory_may_run_out_anywhere);
    tcase_add_test(t, a_small_set_takes_little_memory_to_load);
    tcase_add_test(t, a_port_that_comes_is_known_to_what_was_put_back);
    tcase_add_test(t, what_nobody_confirms_is_put_back);
    tcase_add_test(t, what_is_confirmed_stays);
    tcase_add_test(t, ports_come_and_go);
    tcase_add_test(t, the_set_is_read_back_as_it_was);
    tcase_add_test(t, kinds_tell_how_many_rules_use_them);
    tcase_add_test(t, flows_are_tracked_while_somebody_asks_for_them);
    tcase_add_test(t, flows_change_while_a_set_waits);
    suite_add_tcase(s, t);
    return s;
}
