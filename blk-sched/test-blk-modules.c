// SPDX-License-Identifier: MIT
/*
 * What every module of blk-sched/index.c owes: no request lost or given twice, answers that the core accepts, the same inputs the same decisions wherever memory lies, nobody waiting without
 * end, parameters that keep what they are told, a change of module with requests queued and issued. A module that you add is tested here, too. BLK_SEED repeats the random runs.
 */
// needs:
#include "../sdk/sim/blk-host.h"

#include <check.h>
#include <hv/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS (1000ull * 1000)
#define VBDS 6
#define STEPS 30000u
#define ISSUED_MAX 32

/* check's own assertions write a file each time; there are millions here. */
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            ck_abort_msg("line %d: %s (seed %llu)", __LINE__, #cond, (unsigned long long)seed_given);                  \
    } while (0)

static const struct blk_disk disk = {.id = 1, .depth = 8, .sectors = 1u << 20, .sectors_max = 512, .segments_max = 64, .rotates = true};

static struct blk_host host;
static struct blk_vbd *vbds[VBDS];
static struct blk_host_request *queued[4096], *issued[ISSUED_MAX];
static uint32_t queued_count, issued_count;
static uint64_t now_ns, seed, seed_given, submitted, ended, hash, follow;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void start(const struct blk_sched_ops *ops, uint64_t with_seed)
{
    seed = seed_given = with_seed;
    now_ns = MS;
    queued_count = issued_count = 0;
    submitted = ended = follow = 0;
    hash = 0xcbf29ce484222325ull;
    blk_host_open(&host, ops, &disk);
    for (uint32_t i = 0; i < VBDS; i++)
        vbds[i] = blk_host_vbd_add(&host, 10 - i, i / 2);
}

static uint64_t new_seed(void)
{
    const char *given = getenv("BLK_SEED");
    uint64_t s = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;

    return s | 1;
}

static void step_submit(void)
{
    uint32_t vbd = (uint32_t)draw(VBDS), sectors = 1 + (uint32_t)draw(64);
    uint64_t sector = draw(4) != 0 ? follow % (disk.sectors - 64) : draw(2) != 0 ? draw(disk.sectors - 64) : draw(40);
    enum blk_op op = draw(8) == 0 ? (enum blk_op)draw(4) : draw(3) == 0 ? BLK_WRITE : BLK_READ;

    follow = sector + sectors;
    queued[queued_count++] = blk_host_submit(&host, vbds[vbd], op, sector, sectors, 1 + (uint32_t)draw(8), now_ns);
    submitted++;
}

static void forget_queued(const struct blk_host_request *request)
{
    for (uint32_t i = 0; i < queued_count; i++) {
        if (queued[i] == request) {
            queued[i] = queued[--queued_count];
            return;
        }
    }
    ck_abort_msg("answered a request that was not queued");
}

static bool step_dispatch(void)
{
    uint64_t hold_ns;
    struct blk_host_request *first = blk_host_next(&host, now_ns, &hold_ns);

    if (host.fault != NULL)
        ck_abort_msg("%s: %s (seed %llu)", host.ops->name, host.fault, (unsigned long long)seed_given);
    hash = (hash ^ (first != NULL ? first->r.serial : hold_ns)) * 0x100000001b3ull;
    if (first == NULL && hold_ns != 0)
        now_ns += hold_ns;
    for (struct blk_host_request *r = first; r != NULL; r = blk_host_of(r->r.merged)) {
        forget_queued(r);
        hash = (hash ^ r->r.serial) * 0x100000001b3ull;
        CHECK(r->r.place == BLK_HOST_ISSUED);
        if (issued_count == ISSUED_MAX) { /* the device takes no more: one ends */
            blk_host_complete(&host, issued[0], now_ns);
            issued[0] = issued[--issued_count];
            ended++;
        }
        issued[issued_count++] = r;
    }
    return first != NULL;
}

static void step_complete(void)
{
    uint32_t i = (uint32_t)draw(issued_count);

    blk_host_complete(&host, issued[i], now_ns);
    issued[i] = issued[--issued_count];
    ended++;
}

static void step_cancel(void)
{
    uint32_t i = (uint32_t)draw(queued_count);

    blk_host_cancel(&host, queued[i], now_ns);
    queued[i] = queued[--queued_count];
    ended++;
}

static void step_param(void)
{
    const struct blk_parameter *p;
    struct blk_vbd *vbd;
    uint64_t value, got = 0;

    if (host.ops->param_count == 0)
        return;
    p = &host.ops->params[draw(host.ops->param_count)];
    vbd = p->scopes & BLK_SCOPE_VBD && draw(2) != 0 ? vbds[draw(VBDS)] : NULL;
    value = p->minimum + draw(draw(2) != 0 && p->maximum - p->minimum > 100 ? 100 : p->maximum - p->minimum + 1);
    CHECK(blk_host_param_set(&host, vbd, p->name, value) == 0);
    CHECK(blk_host_param_get(&host, vbd, p->name, &got) == 0 && got == value);
}

static void step(void)
{
    now_ns += draw(3) == 0 ? draw(5 * MS) : draw(1000);
    switch (draw(16)) {
    case 0:
        if (queued_count != 0)
            step_cancel();
        break;
    case 1:
        if (draw(8) == 0)
            step_param();
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        if (issued_count != 0)
            step_complete();
        break;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        if (queued_count != 0)
            step_dispatch();
        break;
    default:
        if (queued_count < 300 + draw(2) * 1000)
            step_submit();
    }
    CHECK(host.queued_count == queued_count && host.issued_count == issued_count);
    CHECK(submitted == ended + queued_count + issued_count);
}

static void drain(void)
{
    uint32_t held = 0;

    while (queued_count != 0) {
        if (!step_dispatch()) {
            CHECK(++held < 1000);
            if (issued_count != 0)
                step_complete();
        }
        now_ns += 1000;
    }
    while (issued_count != 0)
        step_complete();
    CHECK(submitted == ended);
    for (uint32_t i = 0; i < VBDS; i++)
        blk_host_vbd_remove(&host, vbds[i]);
    blk_host_close(&host);
}

START_TEST(no_request_is_lost_or_given_twice)
{
    uint64_t s = new_seed();

    printf("modules: BLK_SEED=%llu %s\n", (unsigned long long)s, blk_sched_modules[_i]->name);
    start(blk_sched_modules[_i], s);
    for (uint32_t i = 0; i < STEPS; i++)
        step();
    drain();
}
END_TEST

START_TEST(same_inputs_same_decisions)
{
    uint64_t s = new_seed(), hashes[2];
    void *holes[64] = {0};

    for (int run = 0; run < 2; run++) {
        for (int i = 0; run == 1 && i < 64; i++)
            holes[i] = malloc(40 + (size_t)i * 24); /* other addresses than the first time */
        start(blk_sched_modules[_i], s);
        for (uint32_t i = 0; i < STEPS / 4; i++) {
            step();
            if (run == 1 && i % 100 == 0) {
                free(holes[i / 100 % 64]);
                holes[i / 100 % 64] = malloc(40 + i % 300);
            }
        }
        drain();
        hashes[run] = hash;
    }
    for (int i = 0; i < 64; i++)
        free(holes[i]);
    ck_assert_uint_eq(hashes[0], hashes[1]);
}
END_TEST

/* From this module to each other and back, every few steps. */
START_TEST(modules_change_while_requests_are_there)
{
    uint64_t s = new_seed();
    uint32_t modules = 0;

    while (blk_sched_modules[modules] != NULL)
        modules++;
    printf("changes: BLK_SEED=%llu %s\n", (unsigned long long)s, blk_sched_modules[_i]->name);
    start(blk_sched_modules[_i], s);
    for (uint32_t i = 0; i < STEPS / 2; i++) {
        step();
        if (draw(50) == 0)
            blk_host_use(&host, blk_sched_modules[draw(2) != 0 ? (uint32_t)_i : (uint32_t)draw(modules)], now_ns);
    }
    drain();
}
END_TEST

/* A steady stream of neighbours, ten times as fast as one far away can wait: it comes through, with the defaults, within ten seconds. */
START_TEST(nobody_waits_without_end)
{
    uint64_t sector = 4096, far, waited_ns = 0;

    start(blk_sched_modules[_i], 1);
    for (int i = 0; i < 64; i++, sector += 8)
        blk_host_submit(&host, vbds[i % 2], i % 2 != 0 ? BLK_WRITE : BLK_READ, sector, 8, 1, now_ns);
    far = blk_host_submit(&host, vbds[4], _i % 2 != 0 ? BLK_WRITE : BLK_READ, 8, 8, 1, now_ns)->r.serial;
    for (bool found = false; !found;) {
        uint64_t hold_ns;
        struct blk_host_request *first = blk_host_next(&host, now_ns, &hold_ns);

        ck_assert_msg(host.fault == NULL, "%s", host.fault);
        now_ns += first != NULL ? 5 * MS : hold_ns;
        waited_ns += first != NULL ? 5 * MS : hold_ns;
        ck_assert_uint_le(waited_ns, 10000 * MS);
        for (struct blk_request *r = first != NULL ? &first->r : NULL, *next; r != NULL; r = next, sector += 8) {
            next = r->merged;
            found |= r->serial == far;
            blk_host_complete(&host, blk_host_of(r), now_ns);
            blk_host_submit(&host, vbds[sector / 8 % 2], sector / 8 % 3 != 0 ? BLK_WRITE : BLK_READ, 4096 + sector % (1u << 19), 8, 1, now_ns);
        }
    }
    blk_host_close(&host);
}
END_TEST

START_TEST(parameters_are_what_they_are_told)
{
    const struct blk_sched_ops *ops = blk_sched_modules[_i];
    uint64_t value;

    start(ops, 1);
    ck_assert_uint_le(strlen(ops->name), 31);
    ck_assert_ptr_nonnull(ops->summary);
    for (uint32_t i = 0; i < ops->param_count; i++) {
        const struct blk_parameter *p = &ops->params[i];

        ck_assert_ptr_nonnull(p->help);
        ck_assert_uint_le(p->minimum, p->initial);
        ck_assert_uint_le(p->initial, p->maximum);
        ck_assert_int_eq(blk_host_param_get(&host, NULL, p->name, &value), 0);
        ck_assert_uint_eq(value, p->initial);
        ck_assert_int_eq(blk_host_param_set(&host, NULL, p->name, p->maximum), 0);
        ck_assert_int_eq(blk_host_param_get(&host, NULL, p->name, &value), 0);
        ck_assert_uint_eq(value, p->maximum);
        ck_assert_int_ne(blk_host_param_set(&host, NULL, p->name, p->maximum + 1), 0);
        if (p->scopes & BLK_SCOPE_VBD) {
            ck_assert_int_eq(blk_host_param_get(&host, vbds[0], p->name, &value), 0);
            ck_assert_uint_eq(value, p->maximum); /* the disk's, as it has none of its own */
            ck_assert_int_eq(blk_host_param_set(&host, vbds[0], p->name, p->minimum), 0);
            ck_assert_int_eq(blk_host_param_get(&host, vbds[0], p->name, &value), 0);
            ck_assert_uint_eq(value, p->minimum);
            ck_assert_int_eq(blk_host_param_get(&host, vbds[1], p->name, &value), 0);
            ck_assert_uint_eq(value, p->maximum);
        } else {
            ck_assert_int_eq(blk_host_param_set(&host, vbds[0], p->name, p->minimum), -EOPNOTSUPP);
        }
    }
    ck_assert_int_eq(blk_host_param_set(&host, NULL, "no-such", 1), -ENOENT);
    blk_host_close(&host);
}
END_TEST

/* ---- The stand-in itself: it finds wrong answers ---- */

static struct blk_request *wrong_kept[8];
static uint32_t wrong_count;

static void wrong_insert(void *state, struct blk_request *request, uint64_t time_ns)
{
    (void)state, (void)time_ns;
    wrong_kept[wrong_count++ % 8] = request;
}
static void wrong_remove(void *state, struct blk_request *request, uint64_t time_ns)
{
    (void)state, (void)request, (void)time_ns;
}
static struct blk_decision wrong_nobody(void *state, uint64_t time_ns)
{
    (void)state, (void)time_ns;
    return (struct blk_decision){NULL, 5};
}
static struct blk_decision wrong_twice(void *state, uint64_t time_ns)
{
    (void)state, (void)time_ns;
    return (struct blk_decision){wrong_kept[0], 0};
}
static struct blk_decision wrong_chain(void *state, uint64_t time_ns)
{
    (void)state, (void)time_ns;
    wrong_kept[0]->merged = wrong_kept[1];
    return (struct blk_decision){wrong_kept[0], 0};
}
static struct blk_decision wrong_circle(void *state, uint64_t time_ns)
{
    (void)state, (void)time_ns;
    wrong_kept[0]->merged = wrong_kept[0];
    return (struct blk_decision){wrong_kept[0], 0};
}

START_TEST(wrong_answers_are_found_and_nothing_is_lost)
{
    struct blk_decision (*const answers[])(void *, uint64_t) = {wrong_nobody, wrong_twice, wrong_chain, wrong_circle};
    const struct blk_sched_ops ops = {.name = "wrong", .summary = "", .insert = wrong_insert, .remove = wrong_remove, .dispatch = answers[_i]};
    uint32_t count = 0;
    uint64_t hold_ns;
    struct blk_host_request *first;

    wrong_count = 0;
    start(&ops, 1);
    for (int i = 0; i < 4; i++)
        blk_host_submit(&host, vbds[0], BLK_READ, (uint64_t)i * 100, 8, 1, now_ns);
    while ((first = blk_host_next(&host, now_ns, &hold_ns)) != NULL) {
        ck_assert_uint_eq(first->r.serial, ++count); /* the oldest */
        ck_assert_ptr_null(first->r.merged);
    }
    ck_assert_ptr_nonnull(host.fault);
    ck_assert_uint_eq(count, 4);
    ck_assert(host.fallback);
    blk_host_use(&host, blk_sched_modules[0], now_ns);
    ck_assert(!host.fallback);
    blk_host_close(&host);
}
END_TEST

Suite *suite_blk_modules(void);
Suite *suite_blk_modules(void)
{
    Suite *s = suite_create("blk-modules");
    TCase *tc = tcase_create("blk-modules");
    int modules = 0;

    while (blk_sched_modules[modules] != NULL)
        modules++;
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, no_request_is_lost_or_given_twice, 0, modules);
    tcase_add_loop_test(tc, same_inputs_same_decisions, 0, modules);
    tcase_add_loop_test(tc, modules_change_while_requests_are_there, 0, modules);
    tcase_add_loop_test(tc, nobody_waits_without_end, 0, modules);
    tcase_add_loop_test(tc, parameters_are_what_they_are_told, 0, modules);
    tcase_add_loop_test(tc, wrong_answers_are_found_and_nothing_is_lost, 0, 4);
    suite_add_tcase(s, tc);
    return s;
}
