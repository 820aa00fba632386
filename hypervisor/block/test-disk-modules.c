// SPDX-License-Identifier: MIT
/* Ordering modules at work on a disk: changes under load, bad modules of every kind, holds, the watchdog, parameters that are kept. */
// needs: disk.c disk-ask.c disk-module.c disk-params.c disk-watch.c disk-model-stage.c disk-record.c disk-info.c
#include "test-blkdev.h"

#include "changes.h"

static char changes[32][128];
static uint32_t change_count;

void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text)
{
    (void)d;
    snprintf(changes[change_count++ % 32], sizeof(changes[0]), "%u %llu %s", (unsigned int)kind, (unsigned long long)value, text);
}

/* ---- Bad modules: arrival order with one fault, told by a variable ---- */

enum bad { GOOD, NOBODY, WILD, ISSUED, NULL_CHAIN, CHAIN_TWICE, CHAIN_GAP, CHAIN_OTHER, CHAIN_LONG, HOLD_LONG, HOLD_ZERO, HOLD_EVER, STARVE };

static enum bad bad;
static struct blk_request *bad_queue[TEST_STREAMS_MAX * DISK_STREAM_REQUESTS], *bad_issued;
static uint32_t bad_count, bad_created, bad_destroyed, bad_vbds;
static uint64_t bad_hold_ns, bad_asked;
static int create_rc;

static int bad_create(void *state, const struct blk_disk *d)
{
    (void)state, (void)d;
    bad_created += create_rc == 0;
    bad_count = 0;
    return create_rc;
}

static void bad_destroy(void *state)
{
    (void)state;
    bad_destroyed++;
}

static void bad_vbd_insert(void *state, struct blk_vbd *vbd)
{
    (void)state;
    ck_assert_ptr_nonnull(vbd->data);
    bad_vbds++;
}

static void bad_vbd_remove(void *state, struct blk_vbd *vbd)
{
    (void)state, (void)vbd;
    bad_vbds--;
}

static void bad_insert(void *state, struct blk_request *r, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    ck_assert(!irq_enabled());
    ck_assert(spin_is_locked(&disk->lock));
    ck_assert_uint_eq(*(uint64_t *)r->data, 0);
    *(uint64_t *)r->data = r->serial;
    bad_queue[bad_count++] = r;
}

static void bad_drop(uint32_t at)
{
    for (bad_count--; at < bad_count; at++)
        bad_queue[at] = bad_queue[at + 1];
}

static void bad_remove(void *state, struct blk_request *r, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    for (uint32_t i = 0; i < bad_count; i++)
        if (bad_queue[i] == r)
            bad_drop(i);
}

static void bad_complete(void *state, struct blk_request *r, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    ck_assert_uint_eq(*(uint64_t *)r->data, r->serial);
}

static struct blk_decision bad_wait(uint64_t ns)
{
    bad_hold_ns = ns;
    return (struct blk_decision){NULL, ns};
}

static struct blk_decision bad_dispatch(void *state, uint64_t now_ns)
{
    struct blk_request *first = bad_queue[0], *second = bad_count > 1 ? bad_queue[1] : first;

    (void)state, (void)now_ns;
    bad_asked++;
    first->merged = NULL;
    second->merged = NULL;
    switch (bad) {
    case NOBODY:
    case HOLD_ZERO:
        return bad_wait(0);
    case WILD:
        return (struct blk_decision){(struct blk_request *)0xdead0000beef0000ull, 0};
    case ISSUED:
        if (bad_issued != NULL)
            return (struct blk_decision){bad_issued, 0};
        break;
    case NULL_CHAIN:
        first->merged = (struct blk_request *)8;
        break;
    case CHAIN_TWICE:
        first->merged = first;
        break;
    case CHAIN_GAP:
    case CHAIN_OTHER:
    case CHAIN_LONG:
        first->merged = second;
        break;
    case HOLD_LONG:
        return bad_wait(51 * MS);
    case HOLD_EVER:
        return bad_wait(20 * MS);
    case STARVE:
        if (bad_count < 3) /* the oldest of all never goes */
            return bad_wait(20 * MS);
        first = bad_queue[1];
        first->merged = NULL;
        bad_drop(1);
        return (struct blk_decision){first, 0};
    case GOOD:
        break;
    }
    bad_drop(0);
    bad_issued = first;
    return (struct blk_decision){first, 0};
}

static uint64_t bad_values[3];

static void bad_param_set(void *state, struct blk_vbd *vbd, uint32_t index, uint64_t value, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    if (vbd != NULL)
        *(uint64_t *)vbd->data = value;
    else
        bad_values[index] = value;
}

static uint64_t bad_param_get(void *state, struct blk_vbd *vbd, uint32_t index)
{
    (void)state;
    return vbd != NULL ? *(uint64_t *)vbd->data : bad_values[index];
}

static const struct blk_parameter bad_params[] = {
    {"weight", BLK_PARAM_UINT, BLK_SCOPE_VBD, 1, 500, 100, "as fair's, but of VBDs alone and to 500"},
    {"idle_ns", BLK_PARAM_UINT, BLK_SCOPE_DISK, 0, 1000000000, 7, "as fair's by name alone"},
    {"eager", BLK_PARAM_BOOL, BLK_SCOPE_DISK, 0, 1, 0, "yes or no"},
};

#define BAD_OPS .state_bytes = 64, .vbd_bytes = 16, .request_bytes = 8, .create = bad_create, .destroy = bad_destroy, .vbd_insert = bad_vbd_insert, .vbd_remove = bad_vbd_remove, \
                .insert = bad_insert, .remove = bad_remove, .dispatch = bad_dispatch, .complete = bad_complete, .params = bad_params, .param_count = 3, .param_set = bad_param_set,   \
                .param_get = bad_param_get

static const struct blk_sched_ops blk_bad = {.name = "bad", BAD_OPS};
static const struct blk_sched_ops blk_bad_holds = {.name = "bad-holds", .hold_max_ns = 50 * MS, BAD_OPS};
static const struct blk_sched_ops blk_no_dispatch = {.name = "no-dispatch", .insert = bad_insert, .remove = bad_remove};

extern const struct blk_sched_ops blk_elevator, blk_fifo, blk_deadline, blk_fair;
const struct blk_sched_ops *const blk_sched_modules[] = {&blk_elevator, &blk_fifo, &blk_deadline, &blk_fair, &blk_bad, &blk_bad_holds, &blk_no_dispatch, NULL};

/* ---- Faults ---- */

static void ask_some(void)
{
    bool other = bad == CHAIN_OTHER;

    ask(0, BLK_READ, 1000, 64);
    ask(other ? 1 : 0, BLK_READ, bad == CHAIN_GAP ? 2000 : 1064, 65);
    ask(0, BLK_READ, 3000, 8);
}

/* Under this fault all goes on, the module is gone, and it is told. */
static void check_fault(enum bad kind, const char *module, enum disk_fault fault)
{
    struct collet_disk_info info;
    char said[96];

    disk_start(1, module);
    stream_start(0);
    stream_start(1);
    change_count = 0;
    bad = kind;
    ask_some();
    drain();
    ask_some();
    drain();
    ck_assert_uint_eq(told_errors, 0);
    info = info_now();
    ck_assert_str_eq(info.module, "arrival");
    ck_assert_str_eq(info.dropped, module);
    ck_assert_uint_eq(info.faults[fault], 1);
    ck_assert_ptr_nonnull(strstr(info.dropped_why, info.fault_names[fault]));
    ck_assert_uint_eq(bad_created, 1);
    ck_assert_uint_eq(bad_destroyed, 1);
    ck_assert_uint_eq(change_count, 2);
    snprintf(said, sizeof(said), "%u %u disk0: %s: %s", COLLET_CHANGE_DISK_FAULT, fault, module, info.fault_names[fault]);
    ck_assert_mem_eq(changes[0], said, strlen(said));
    snprintf(said, sizeof(said), "%u 1 disk0: arrival", COLLET_CHANGE_DISK_USED);
    ck_assert_str_eq(changes[1], said);
    ck_assert_ptr_nonnull(strstr(host_log_text(), "replaced by the order of arrival"));
    /* It may be tried again. */
    bad = GOOD;
    ck_assert_int_eq(disk_use(0, module), 0);
    ask_some();
    drain();
    ck_assert_str_eq(info_now().module, module);
    stream_stop(0);
    stream_stop(1);
    ck_assert_uint_eq(bad_vbds, 2); /* of the one that failed: it was not asked to let go of anything */
}

static const struct {
    enum bad kind;
    const char *module;
    enum disk_fault fault;
} faults[] = {
    {NOBODY, "bad", DISK_FAULT_NOBODY},           {NOBODY, "bad-holds", DISK_FAULT_NOBODY},   {WILD, "bad", DISK_FAULT_REQUEST},          {ISSUED, "bad", DISK_FAULT_REQUEST},
    {NULL_CHAIN, "bad", DISK_FAULT_CHAIN},        {CHAIN_TWICE, "bad", DISK_FAULT_CHAIN},     {CHAIN_GAP, "bad", DISK_FAULT_CHAIN},       {CHAIN_OTHER, "bad", DISK_FAULT_CHAIN},
    {CHAIN_LONG, "bad", DISK_FAULT_TOO_MUCH},     {HOLD_LONG, "bad", DISK_FAULT_NOBODY},      {HOLD_LONG, "bad-holds", DISK_FAULT_HOLD},  {HOLD_ZERO, "bad-holds", DISK_FAULT_NOBODY},
    {HOLD_EVER, "bad-holds", DISK_FAULT_SAT},     {STARVE, "bad-holds", DISK_FAULT_SAT},
};

START_TEST(a_bad_module_is_replaced)
{
    check_fault(faults[_i].kind, faults[_i].module, faults[_i].fault);
}
END_TEST

START_TEST(the_watchdog_counts_time_with_room)
{
    disk_start(1, "bad-holds");
    stream_start(0);
    bad = HOLD_EVER;
    ask(0, BLK_READ, 1000, 8);
    disk_run(disk);
    run_ms(4900);
    ck_assert_str_eq(info_now().module, "bad-holds");
    ck_assert_uint_eq(fake.submits, 0);
    run_ms(150);
    ck_assert_str_eq(info_now().module, "arrival");
    drain();
    ck_assert_ptr_nonnull(strstr(info_now().dropped_why, "request 1 of VBD 100"));
}
END_TEST

START_TEST(a_slow_device_is_no_fault_of_the_module)
{
    disk_start(1, "bad");
    stream_start(0);
    fake.service_ns = 2000 * MS;
    for (uint32_t i = 0; i < 20; i++)
        ask(0, BLK_READ, 1000 * i, 8);
    drain();
    ck_assert_str_eq(info_now().module, "bad");
}
END_TEST

START_TEST(a_machine_that_stood_still_is_no_fault_of_the_module)
{
    disk_start(1, "bad-holds");
    stream_start(0);
    bad = HOLD_EVER;
    ask(0, BLK_READ, 1000, 8);
    disk_run(disk);
    run_ms(100);
    host_clock_skip(20000 * MS);
    run_ms(100);
    ck_assert_str_eq(info_now().module, "bad-holds");
    bad = GOOD;
    drain();
}
END_TEST

START_TEST(a_hold_ends_by_its_time_an_arrival_or_an_end)
{
    uint64_t asked, now;

    disk_start(4, "bad-holds");
    stream_start(0);
    ask(0, BLK_READ, 1000, 8);
    disk_run(disk);
    bad = HOLD_EVER;
    ask(0, BLK_READ, 2000, 8);
    disk_run(disk);
    asked = bad_asked;
    disk_run(disk);
    ck_assert_uint_eq(bad_asked, asked); /* nothing has happened */
    ask(0, BLK_READ, 3000, 8);
    disk_run(disk);
    ck_assert_uint_eq(bad_asked, asked + 1);
    now = host_now_ns;
    host_run_until(now + 110 * US); /* the first one ends */
    ck_assert_uint_eq(bad_asked, asked + 2);
    host_run_until(now + 19 * MS);
    ck_assert_uint_eq(bad_asked, asked + 2);
    host_run_until(now + 21 * MS);
    ck_assert_uint_eq(bad_asked, asked + 3);
    bad = GOOD;
    drain();
    ck_assert_str_eq(info_now().module, "bad-holds");
}
END_TEST

/* ---- Changes of module ---- */

START_TEST(use_refuses_what_it_cannot)
{
    disk_start(1, "no-such");
    stream_start(0);
    ck_assert_str_eq(info_now().module, "elevator");
    ck_assert_ptr_nonnull(strstr(host_log_text(), "no such module"));
    ck_assert_int_eq(disk_use(3, "fifo"), -ENODEV);
    ck_assert_int_eq(disk_use(0, "nobody"), -ENOENT);
    ck_assert_int_eq(disk_use(0, "no-dispatch"), -EINVAL);
    create_rc = -ENOSPC;
    ck_assert_int_eq(disk_use(0, "bad"), -ENOSPC);
    ck_assert_str_eq(info_now().module, "elevator");
    ck_assert_int_eq(disk_use(0, "elevator"), 0);
    ck_assert_uint_eq(info_now().uses, 2);
}
END_TEST

START_TEST(no_memory_changes_nothing)
{
    int64_t live;

    disk_start(4, "elevator");
    stream_start(0);
    stream_start(1);
    for (uint32_t i = 0; i < 20; i++)
        ask(i % 2, BLK_READ, 1000 * i, 8);
    disk_run(disk);
    live = host_heap_live;
    for (uint64_t budget = 0;; budget++) {
        int rc;

        host_heap_budget = budget;
        rc = (int)disk_use(0, "fair");
        host_heap_budget = UINT64_MAX;
        if (rc == 0)
            break;
        ck_assert_int_eq(rc, -ENOMEM);
        ck_assert_str_eq(info_now().module, "elevator");
        ck_assert_int_eq(host_heap_live, live);
        ck_assert_uint_lt(budget, 100);
    }
    drain();
    host_heap_budget = 1;
    ck_assert_int_eq(disk_stream_open(&streams[2], disk, 7, 7), -ENOMEM);
    host_heap_budget = UINT64_MAX;
}
END_TEST

/* Requests, changes, cancels, streams that come and go, errors, a device with too little room: each is told once. */
START_TEST(changes_under_load_lose_nothing)
{
    static const char *const names[] = {"elevator", "fifo", "deadline", "fair", "arrival", "bad"};
    static const uint32_t depths[] = {1, 4, 32};
    int64_t live;
    uint64_t swaps = 0;

    disk_start(depths[_i % 3], "");
    live = host_heap_live;
    fake.random = 99 + (uint64_t)_i;
    fake.spread_ns = 300 * US;
    fake.capacity = _i % 2 ? 3 : FAKE_INSIDE_MAX;
    for (uint32_t i = 0; i < 4; i++)
        stream_start(i);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t n = (uint32_t)fake_random(4), op = (uint32_t)fake_random(40);
        uint64_t start = fake_random(2000);

        if (op == 0)
            swaps += disk_use(0, names[fake_random(ARRAY_SIZE(names))]) == 0;
        else if (op == 1 && i % 5 == 0)
            disk_cancel(&streams[n]);
        else if (op == 2)
            fake.bad_sector = fake_random(2) ? fake_random(16000) : UINT64_MAX;
        else if (op == 3)
            ask(n, BLKDEV_FLUSH, 0, 0);
        else if (op == 4 && streams[n].in_flight == 0)
            stream_stop(n), stream_start(n);
        else
            ask(n, op < 20 ? BLK_READ : BLK_WRITE, start * 8, 8);
        if (op % 3 == 0)
            disk_run(disk);
        host_run_until(host_now_ns + fake_random(200 * US));
    }
    drain();
    ck_assert_uint_gt(asked_count, 5000);
    ck_assert_uint_gt(swaps, 300);
    for (uint32_t i = 0; i < 4; i++)
        stream_stop(i);
    ck_assert_int_eq(disk_use(0, "elevator"), 0);
    ck_assert_int_eq(host_heap_live, live);
    for (uint32_t i = 0; i < DISK_FAULT_COUNT; i++)
        ck_assert_uint_eq(info_now().faults[i], 0);
}
END_TEST

/* ---- Parameters ---- */

static long set_one(const char *name, uint32_t scope, uint32_t vbd, uint64_t value)
{
    struct collet_disk_values op = {.count = 1, .disk = 0};
    struct collet_disk_value v = {.scope = scope, .vbd = vbd, .value = value};

    snprintf(v.name, sizeof(v.name), "%s", name);
    return disk_set(&op, &v);
}

static uint64_t get_one(const char *name, uint32_t scope, uint32_t vbd)
{
    struct collet_disk_values op = {.count = 1, .disk = 0};
    struct collet_disk_value v = {.scope = scope, .vbd = vbd, .value = 12345};

    snprintf(v.name, sizeof(v.name), "%s", name);
    ck_assert_int_eq(disk_get(&op, &v), 0);
    return v.value;
}

START_TEST(values_are_checked_all_before_one_is_set)
{
    struct collet_disk_values op = {.count = 3, .disk = 0, .module = "fair"};
    struct collet_disk_value v[3] = {{.name = "weight", .scope = COLLET_DISK_SCOPE_VBD, .vbd = 100, .value = 300},
                                     {.name = "weight", .scope = COLLET_DISK_SCOPE_DISK, .value = 50},
                                     {.name = "slice_ns", .scope = COLLET_DISK_SCOPE_DISK, .value = 1}};

    disk_start(1, "fair");
    stream_start(0);
    ck_assert_int_eq(disk_set(&op, v), -ERANGE);
    ck_assert_uint_eq(op.failed, 2);
    ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 100), 100);
    v[2].value = 5 * MS;
    ck_assert_int_eq(disk_set(&op, v), 0);
    ck_assert_uint_eq(op.failed, 3);
    ck_assert_int_eq(disk_get(&op, v), 0);
    ck_assert_uint_eq(v[0].value, 300);
    ck_assert_uint_eq(v[1].value, 50);
    v[1].scope = COLLET_DISK_SCOPE_VBD;
    ck_assert_int_eq(disk_set(&op, v), -ESRCH);
    ck_assert_uint_eq(op.failed, 1);
    v[1].scope = 3;
    ck_assert_int_eq(disk_set(&op, v), -EINVAL);
    memset(v[0].name, 'w', sizeof(v[0].name));
    ck_assert_int_eq(disk_set(&op, v), -EINVAL);
    ck_assert_int_eq(disk_get(&op, v), -EINVAL);
    snprintf(op.module, sizeof(op.module), "fifo");
    ck_assert_int_eq(disk_set(&op, v), -ESTALE);
    ck_assert_int_eq(disk_get(&op, v), -ESTALE);
    op.disk = 9;
    ck_assert_int_eq(disk_set(&op, v), -ENODEV);
    ck_assert_int_eq(disk_get(&op, v), -ENODEV);
    ck_assert_int_eq(set_one("batch", COLLET_DISK_SCOPE_DISK, 0, 1), -ENOENT);
    ck_assert_int_eq(set_one("slice_ns", COLLET_DISK_SCOPE_VBD, 100, 5 * MS), -EOPNOTSUPP);
}
END_TEST

START_TEST(values_outlive_a_change_of_module)
{
    disk_start(1, "fair");
    stream_start(0);
    stream_start(1);
    stream_start(2);
    ck_assert_int_eq(set_one("weight", COLLET_DISK_SCOPE_VBD, 100, 300), 0);
    ck_assert_int_eq(set_one("weight", COLLET_DISK_SCOPE_VBD, 102, 700), 0);
    ck_assert_int_eq(set_one("weight", COLLET_DISK_SCOPE_DISK, 0, 60), 0);
    ck_assert_int_eq(set_one("idle_ns", COLLET_DISK_SCOPE_DISK, 0, 5 * MS), 0);
    ck_assert_int_eq(disk_use(0, "fifo"), 0);
    ck_assert_int_eq(disk_use(0, "bad"), 0);
    ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 100), 300);
    ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 101), 0); /* the module's own */
    ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 102), 0); /* 700 is too much for it */
    ck_assert_uint_eq(get_one("idle_ns", COLLET_DISK_SCOPE_DISK, 0), 0); /* another type */
    ck_assert_int_eq(set_one("eager", COLLET_DISK_SCOPE_DISK, 0, 2), -ERANGE);
    ck_assert_int_eq(set_one("weight", COLLET_DISK_SCOPE_VBD, 101, 200), 0);
    stream_stop(0);
    ck_assert_int_eq(disk_use(0, "fair"), 0);
    stream_start(0); /* with the id of one that is gone: ids are never given again, but if they were */
    ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 100), 60);
    ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 101), 200);
    ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 102), 700);
    ck_assert_uint_eq(get_one("idle_ns", COLLET_DISK_SCOPE_DISK, 0), 5 * MS);
}
END_TEST

START_TEST(no_memory_sets_nothing)
{
    disk_start(1, "fair");
    stream_start(0);
    for (uint64_t budget = 0; budget < 2; budget++) {
        host_heap_budget = budget;
        ck_assert_int_eq(set_one("weight", COLLET_DISK_SCOPE_VBD, 100, 300), -ENOMEM);
        host_heap_budget = UINT64_MAX;
        ck_assert_uint_eq(get_one("weight", COLLET_DISK_SCOPE_VBD, 100), 100);
    }
}
END_TEST

Suite *suite_disk_modules(void)
{
    Suite *s = suite_create("disk-modules");
    TCase *c = tcase_create("disk-modules");

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, a_bad_module_is_replaced, 0, ARRAY_SIZE(faults));
    tcase_add_test(c, the_watchdog_counts_time_with_room);
    tcase_add_test(c, a_slow_device_is_no_fault_of_the_module);
    tcase_add_test(c, a_machine_that_stood_still_is_no_fault_of_the_module);
    tcase_add_test(c, a_hold_ends_by_its_time_an_arrival_or_an_end);
    tcase_add_test(c, use_refuses_what_it_cannot);
    tcase_add_test(c, no_memory_changes_nothing);
    tcase_add_loop_test(c, changes_under_load_lose_nothing, 0, 6);
    tcase_add_test(c, values_are_checked_all_before_one_is_set);
    tcase_add_test(c, values_outlive_a_change_of_module);
    tcase_add_test(c, no_memory_sets_nothing);
    suite_add_tcase(s, c);
    return s;
}
