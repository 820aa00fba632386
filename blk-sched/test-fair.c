// SPDX-License-Identifier: MIT
/* Fair: shares by weight, in sectors and in time, with any mix of patterns and depths; budgets, waiting for the next read, sleepers, changed weights. */
// needs:
#include "test-order.h"

#include "fair.c"

#define MS (1000ull * 1000)
#define LOADS 8

/* A VBD with a closed loop: always so many requests outstanding, a new one so long after one has ended. */
struct load {
    uint32_t window, sectors;
    bool sequential, writes;
    uint64_t think_ns, service_ns; /* service_ns: what the disk takes for one */
    uint64_t weight;
    /* kept by the run: */
    struct blk_vbd *vbd;
    uint64_t position, due_ns[64];
    uint64_t served_sectors, busy_ns;
    uint32_t due;
};

static struct blk_host host;
static struct load loads[LOADS];
static uint32_t load_count;
static uint64_t now_ns;

static void open_loads(uint32_t count, bool rotates)
{
    const struct blk_disk disk = {.id = 1, .depth = 1, .sectors = 1ull << 32, .sectors_max = 256, .segments_max = 128, .rotates = rotates};

    now_ns = 1000;
    order_seed = 5;
    load_count = count;
    blk_host_open(&host, &blk_fair, &disk);
    for (uint32_t i = 0; i < count; i++) {
        struct load *l = &loads[i];

        l->vbd = blk_host_vbd_add(&host, i + 1, i + 1);
        l->position = (uint64_t)i << 24;
        l->served_sectors = l->busy_ns = 0;
        l->due = l->window;
        for (uint32_t w = 0; w < l->window; w++)
            l->due_ns[w] = now_ns;
        if (l->weight != 0)
            ck_assert_int_eq(blk_host_param_set(&host, l->vbd, "weight", l->weight), 0);
    }
}

static void submit_due(void)
{
    for (uint32_t i = 0; i < load_count; i++) {
        struct load *l = &loads[i];

        for (uint32_t w = 0; w < l->due;) {
            if (l->due_ns[w] > now_ns) {
                w++;
                continue;
            }
            l->due_ns[w] = l->due_ns[--l->due];
            l->position = l->sequential ? l->position + l->sectors : ((uint64_t)i << 24) + order_random() % (1u << 20) * 16;
            blk_host_submit(&host, l->vbd, l->writes ? BLK_WRITE : BLK_READ, l->position, l->sectors, 1, now_ns)->tag = i;
        }
    }
}

static uint64_t next_due(void)
{
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < load_count; i++)
        for (uint32_t w = 0; w < loads[i].due; w++)
            first = loads[i].due_ns[w] < first ? loads[i].due_ns[w] : first;
    return first;
}

static void end(struct blk_host_request *first)
{
    struct load *l = &loads[first->tag];

    now_ns += l->service_ns;
    l->busy_ns += l->service_ns;
    for (struct blk_request *r = &first->r, *next; r != NULL; r = next) {
        next = r->merged;
        l->served_sectors += r->sectors;
        l->due_ns[l->due++] = now_ns + l->think_ns;
        submit_due();
        blk_host_complete(&host, blk_host_of(r), now_ns);
    }
}

static void run_until(uint64_t until_ns)
{
    while (now_ns < until_ns) {
        struct blk_host_request *first;
        uint64_t hold_ns, due_ns;

        submit_due();
        first = blk_host_next(&host, now_ns, &hold_ns);
        ck_assert_msg(host.fault == NULL, "%s", host.fault);
        if (first != NULL) {
            end(first);
            continue;
        }
        due_ns = next_due();
        now_ns = hold_ns != 0 && now_ns + hold_ns < due_ns ? now_ns + hold_ns : due_ns;
    }
}

static void assert_share(uint32_t i, uint64_t got, uint64_t of, double share, double tolerance)
{
    double part = (double)got / (double)of;

    ck_assert_msg(part > share * (1 - tolerance) && part < share * (1 + tolerance), "VBD %u: share %f, want %f", i + 1, part, share);
}

static uint64_t total_sectors(void)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < load_count; i++)
        total += loads[i].served_sectors;
    return total;
}

static uint64_t total_busy(void)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < load_count; i++)
        total += loads[i].busy_ns;
    return total;
}

START_TEST(sectors_follow_weights_within_two_percent)
{
    static const uint64_t weights[] = {100, 200, 400, 800};

    /* A fast disk: budgets end before slices. Sizes and depths differ. */
    for (uint32_t i = 0; i < 4; i++)
        loads[i] = (struct load){.window = 4u << i, .sectors = 64u >> i, .sequential = i % 2 == 0, .writes = i >= 2, .service_ns = (64u >> i) * 5000, .weight = weights[i]};
    open_loads(4, _i == 1);
    run_until(60000 * MS);
    for (uint32_t i = 0; i < 4; i++)
        assert_share(i, loads[i].served_sectors, total_sectors(), (double)weights[i] / 1500, 0.02);
    blk_host_close(&host);
}
END_TEST

START_TEST(who_seeks_pays_in_time)
{
    /* One reads in a row, 128 KiB in 10 ms, another 4 KiB here and there: for equal sectors it would need 98% of the disk's time. */
    loads[0] = (struct load){.window = 8, .sectors = 128, .sequential = true, .service_ns = 10 * MS, .weight = 100};
    loads[1] = (struct load){.window = 8, .sectors = 8, .service_ns = 15 * MS, .weight = 100};
    open_loads(2, true);
    run_until(200000 * MS);
    ck_assert_uint_le(loads[1].busy_ns * 100, total_busy() * 65);
    ck_assert_uint_ge(loads[1].busy_ns * 100, total_busy() * 45);
    blk_host_close(&host);
}
END_TEST

START_TEST(one_that_reads_in_a_loop_keeps_its_share)
{
    /* Depth one, a short think time; the other always has 32 writes there. */
    loads[0] = (struct load){.window = 1, .sectors = 8, .think_ns = MS / 2, .service_ns = 8 * MS, .weight = 100};
    loads[1] = (struct load){.window = 32, .sectors = 8, .writes = true, .service_ns = 8 * MS, .weight = 100};
    open_loads(2, true);
    run_until(100000 * MS);
    assert_share(0, loads[0].busy_ns, total_busy(), 0.5, 0.1);
    blk_host_close(&host);
}
END_TEST

START_TEST(nobody_waits_for_one_that_thinks_long)
{
    uint64_t held;

    loads[0] = (struct load){.window = 1, .sectors = 8, .think_ns = 20 * MS, .service_ns = 8 * MS, .weight = 100};
    loads[1] = (struct load){.window = 4, .sectors = 8, .writes = true, .service_ns = 8 * MS, .weight = 100};
    open_loads(2, true);
    run_until(2000 * MS);
    held = host.held;
    run_until(20000 * MS);
    ck_assert_uint_eq(host.held, held);
    ck_assert_uint_ge(total_busy(), 19900 * MS);
    blk_host_close(&host);
}
END_TEST

START_TEST(a_disk_without_heads_is_never_idle)
{
    loads[0] = (struct load){.window = 1, .sectors = 8, .think_ns = MS, .service_ns = MS, .weight = 100};
    loads[1] = (struct load){.window = 4, .sectors = 8, .service_ns = MS, .weight = 100};
    open_loads(2, false);
    run_until(10000 * MS);
    ck_assert_uint_eq(host.held, 0);
    blk_host_close(&host);
}
END_TEST

START_TEST(time_without_demand_is_not_saved_up)
{
    uint64_t before[2];

    loads[0] = (struct load){.window = 8, .sectors = 64, .service_ns = MS, .weight = 100};
    loads[1] = (struct load){.window = 8, .sectors = 64, .service_ns = MS, .weight = 100};
    open_loads(2, true);
    for (uint32_t w = 0; w < 8; w++)
        loads[1].due_ns[w] = 30000 * MS; /* it sleeps */
    run_until(30000 * MS);
    before[0] = loads[0].served_sectors;
    run_until(32000 * MS);
    assert_share(0, loads[0].served_sectors - before[0], loads[0].served_sectors - before[0] + loads[1].served_sectors, 0.5, 0.05);
    blk_host_close(&host);
}
END_TEST

START_TEST(weights_can_change_while_it_works)
{
    uint64_t before[2], value;

    for (uint32_t i = 0; i < 2; i++)
        loads[i] = (struct load){.window = 16, .sectors = 32, .service_ns = MS / 5};
    open_loads(2, true);
    run_until(10000 * MS);
    assert_share(0, loads[0].served_sectors, total_sectors(), 0.5, 0.02);
    ck_assert_int_eq(blk_host_param_set(&host, loads[0].vbd, "weight", 300), 0);
    ck_assert_int_eq(blk_host_param_get(&host, loads[0].vbd, "weight", &value), 0);
    ck_assert_uint_eq(value, 300);
    ck_assert_int_eq(blk_host_param_get(&host, loads[1].vbd, "weight", &value), 0);
    ck_assert_uint_eq(value, FAIR_WEIGHT_DEFAULT); /* the disk's */
    before[0] = loads[0].served_sectors;
    before[1] = loads[1].served_sectors;
    run_until(40000 * MS);
    assert_share(0, loads[0].served_sectors - before[0], total_sectors() - before[0] - before[1], 0.75, 0.02);
    blk_host_close(&host);
}
END_TEST

/* B-WF2Q+ lets nobody run ahead: over any stretch, equal VBDs differ by two budgets and a chain at most. */
START_TEST(nobody_runs_ahead)
{
    for (uint32_t i = 0; i < 4; i++)
        loads[i] = (struct load){.window = 8, .sectors = 16, .writes = true, .service_ns = MS / 10};
    open_loads(4, true);
    for (uint64_t ms = 100; ms <= 5000; ms++) {
        run_until(ms * MS);
        for (uint32_t i = 1; i < 4; i++) {
            uint64_t a = loads[0].served_sectors, b = loads[i].served_sectors;

            ck_assert_uint_le(a > b ? a - b : b - a, 2 * FAIR_BUDGET_DEFAULT + 256);
        }
    }
    blk_host_close(&host);
}
END_TEST

START_TEST(virtual_time_wraps_around)
{
    for (uint32_t i = 0; i < 2; i++)
        loads[i] = (struct load){.window = 8, .sectors = 16, .writes = true, .service_ns = MS / 10, .weight = 100 + i * 200};
    open_loads(0, true);
    ((struct fair *)host.state)->virtual_time = UINT64_MAX - FAIR_UNIT * 100;
    blk_host_close(&host);
    open_loads(2, true);
    ((struct fair *)host.state)->virtual_time = UINT64_MAX - FAIR_UNIT * 100;
    for (uint32_t i = 0; i < 2; i++)
        ((struct fair_vbd *)loads[i].vbd->data)->finish = UINT64_MAX - FAIR_UNIT * 100;
    run_until(20000 * MS);
    assert_share(1, loads[1].served_sectors, total_sectors(), 0.75, 0.02);
    ck_assert_uint_lt(((struct fair *)host.state)->virtual_time, UINT64_MAX / 2);
    blk_host_close(&host);
}
END_TEST

/* Among many VBDs, one request each: the heaps. Amortised: when virtual time passes many starts at once, each of them moves once. */
START_TEST(comparisons_grow_with_the_logarithm)
{
    static const struct blk_disk disk = {.id = 1, .depth = 1, .sectors = 1ull << 32, .sectors_max = 256, .segments_max = 128};
    uint64_t each[2] = {0, 0};

    for (int round = 0; round < 2; round++) {
        uint32_t vbds = round == 0 ? 32 : 1024;

        blk_host_open(&host, &blk_fair, &disk);
        for (uint32_t i = 0; i < vbds; i++)
            blk_host_submit(&host, blk_host_vbd_add(&host, i + 1, i + 1), BLK_READ, i * 4096, 8, 1, 1);
        order_compares = 0;
        for (uint32_t i = 0; i < 8 * vbds; i++) {
            uint64_t hold_ns;
            struct blk_host_request *first = blk_host_next(&host, 2 + i, &hold_ns);
            struct blk_vbd *vbd = first->r.vbd;

            blk_host_complete(&host, first, 2 + i);
            blk_host_submit(&host, vbd, BLK_READ, i * 64, 8, 1, 2 + i);
        }
        each[round] = order_compares / (8 * vbds);
        ck_assert_ptr_null(host.fault);
        blk_host_close(&host);
    }
    ck_assert_uint_le(each[1], each[0] * 3); /* log 1024 = 2 log 32, and rounding */
    ck_assert_uint_le(order_cost(&blk_fair, 4096), order_cost(&blk_fair, 64) * 5 / 2);
}
END_TEST

Suite *suite_fair(void);
Suite *suite_fair(void)
{
    Suite *s = suite_create("fair");
    TCase *tc = tcase_create("fair");

    tcase_add_loop_test(tc, sectors_follow_weights_within_two_percent, 0, 2);
    tcase_add_test(tc, who_seeks_pays_in_time);
    tcase_add_test(tc, one_that_reads_in_a_loop_keeps_its_share);
    tcase_add_test(tc, nobody_waits_for_one_that_thinks_long);
    tcase_add_test(tc, a_disk_without_heads_is_never_idle);
    tcase_add_test(tc, time_without_demand_is_not_saved_up);
    tcase_add_test(tc, weights_can_change_while_it_works);
    tcase_add_test(tc, nobody_runs_ahead);
    tcase_add_test(tc, virtual_time_wraps_around);
    tcase_add_test(tc, comparisons_grow_with_the_logarithm);
    suite_add_tcase(s, tc);
    return s;
}
