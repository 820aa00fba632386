// SPDX-License-Identifier: MIT
/*
 * What every packet scheduler of vfr-rules/index.c owes: only who waits gets a turn, nobody waits without end, the same inputs the same turns wherever memory lies; and the shares that ours promise. SCHED_SEED repeats the
 * random runs.
 */
// needs: vfr-rules
#include <check.h>
#include <hv/vfr-ops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SENDERS 12
#define STATE_MAX 65536

/* check's own assertions write a file each time; there are millions here. */
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            ck_abort_msg("line %d: %s", __LINE__, #cond);                                                              \
    } while (0)

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

struct run {
    const struct vfr_sched_ops *ops;
    void *state;
    struct vfr_sender senders[SENDERS];
    bool there[SENDERS], waits[SENDERS];
    uint32_t skipped[SENDERS]; /* turns of others since it waits */
    uint64_t bytes[SENDERS], packets[SENDERS];
    uint64_t hash, now;
    bool early; /* more is seen of a sender before its turn is over */
};

static void run_open(struct run *run, const struct vfr_sched_ops *ops)
{
    memset(run, 0, sizeof(*run));
    run->ops = ops;
    ck_assert_uint_le(ops->state_bytes, STATE_MAX);
    run->state = calloc(1, ops->state_bytes + 1);
    ops->create(run->state);
}

static void run_add(struct run *run, uint32_t i, uint32_t weight)
{
    run->senders[i] = (struct vfr_sender){ .data = calloc(1, run->ops->sender_bytes + 1), .id = i, .domid = i, .weight = weight };
    run->there[i] = true;
    run->ops->insert(run->state, &run->senders[i]);
}

static void run_ready(struct run *run, uint32_t i)
{
    run->waits[i] = true;
    run->skipped[i] = 0;
    run->ops->ready(run->state, &run->senders[i], run->now);
}

static void run_unready(struct run *run, uint32_t i)
{
    run->waits[i] = false;
    run->ops->unready(run->state, &run->senders[i]);
}

static void run_remove(struct run *run, uint32_t i)
{
    if (run->waits[i])
        run_unready(run, i);
    run->ops->remove(run->state, &run->senders[i]);
    free(run->senders[i].data);
    run->there[i] = false;
}

static void run_close(struct run *run)
{
    for (uint32_t i = 0; i < SENDERS; i++)
        if (run->there[i])
            run_remove(run, i);
    ck_assert_ptr_null(run->ops->next(run->state, run->now).sender);
    free(run->state);
}

/* One turn, of packets of so many bytes; the last one may go over. Returns who had it, SENDERS: nobody. */
static uint32_t run_turn(struct run *run, const uint32_t *packet_bytes, bool more)
{
    struct vfr_turn turn = run->ops->next(run->state, run->now);
    uint32_t packets = 0, bytes = 0, i;

    if (turn.sender == NULL) {
        for (i = 0; i < SENDERS; i++)
            CHECK(!run->waits[i]);
        return SENDERS;
    }
    i = (uint32_t)(turn.sender - run->senders);
    CHECK(i < SENDERS);
    CHECK(run->waits[i]);
    CHECK(turn.packets >= 1);
    run->waits[i] = false;
    do {
        packets++;
        bytes += packet_bytes[i];
    } while (packets < turn.packets && bytes < turn.bytes);
    if (run->early && more)
        run_ready(run, i);
    run->ops->sent(run->state, turn.sender, packets, bytes, run->now);
    run->packets[i] += packets;
    run->bytes[i] += bytes;
    run->hash = (run->hash ^ i ^ (uint64_t)bytes << 8) * 0x100000001b3ull;
    for (uint32_t j = 0; j < SENDERS; j++)
        run->skipped[j]++;
    if (more && !run->early)
        run_ready(run, i);
    return i;
}

/* Comings and goings at random. Returns a hash of all turns. */
static uint64_t random_run(const struct vfr_sched_ops *ops, uint64_t with_seed)
{
    static const uint32_t weights[] = { 1, 50, 100, 100, 100, 400, 1000 };
    struct run run;
    uint32_t sizes[SENDERS];
    void *noise[50];
    uint64_t hash;

    seed = with_seed;
    for (uint32_t i = 0; i < 50; i++)
        noise[i] = malloc(rand() % 500 + 1);
    run_open(&run, ops);
    for (uint32_t i = 0; i < SENDERS; i++)
        sizes[i] = (uint32_t)draw(3) == 0 ? 60 : 60 + (uint32_t)draw(65490);
    for (uint32_t n = 0; n < 20000; n++) {
        uint32_t i = (uint32_t)draw(SENDERS);

        run.now += draw(100000);
        run.early = draw(2) == 0;
        switch (draw(12)) {
        case 0:
            if (!run.there[i])
                run_add(&run, i, weights[draw(7)]);
            break;
        case 1:
            if (run.there[i] && draw(20) == 0)
                run_remove(&run, i);
            break;
        case 2:
            if (run.waits[i])
                run_unready(&run, i);
            break;
        case 3:
        case 4:
        case 5:
            if (run.there[i] && !run.waits[i])
                run_ready(&run, i);
            break;
        case 6:
            if (run.there[i] && draw(10) == 0) /* a turn that another module gave it */
                ops->sent(run.state, &run.senders[i], 3, 70000, run.now);
            break;
        default: run_turn(&run, sizes, draw(4) != 0);
        }
    }
    hash = run.hash;
    run_close(&run);
    for (uint32_t i = 0; i < 50; i++)
        free(noise[i]);
    return hash;
}

START_TEST(turns_are_for_those_who_wait_and_repeatable)
{
    const char *given = getenv("SCHED_SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;

    printf("schedulers: seed %llu\n", (unsigned long long)first);
    for (uint32_t m = 0; vfr_schedulers[m] != NULL; m++)
        for (uint64_t s = first; s < first + 20; s++)
            ck_assert_uint_eq(random_run(vfr_schedulers[m], s), random_run(vfr_schedulers[m], s));
}
END_TEST

START_TEST(nobody_waits_without_end)
{
    for (uint32_t m = 0; vfr_schedulers[m] != NULL; m++) {
        struct run run;
        uint32_t sizes[SENDERS];

        run_open(&run, vfr_schedulers[m]);
        for (uint32_t i = 0; i < SENDERS; i++) {
            sizes[i] = i % 2 != 0 ? 65549 : 60;
            run_add(&run, i, i == 0 ? 1 : 1000);
            run_ready(&run, i);
        }
        for (uint32_t n = 0; n < 100000; n++) {
            run_turn(&run, sizes, true);
            for (uint32_t i = 0; i < SENDERS; i++)
                if (run.skipped[i] >= 50000)
                    ck_abort_msg("%s: %u waits", vfr_schedulers[m]->name, i);
        }
        run_close(&run);
    }
}
END_TEST

static const struct vfr_sched_ops *module(const char *name)
{
    for (uint32_t m = 0; vfr_schedulers[m] != NULL; m++)
        if (strcmp(vfr_schedulers[m]->name, name) == 0)
            return vfr_schedulers[m];
    ck_abort_msg("no %s", name);
    return NULL;
}

static bool near(double value, double wanted, double part)
{
    return value > wanted * (1 - part) && value < wanted * (1 + part);
}

START_TEST(round_robin_gives_equal_shares_of_the_wire)
{
    static const uint32_t sizes[SENDERS] = { 60, 1514, 9014, 65549 };
    struct run run;

    run_open(&run, module("round-robin"));
    for (uint32_t i = 0; i < 4; i++) {
        run_add(&run, i, 1 + i * 300);
        run_ready(&run, i);
    }
    for (uint32_t n = 0; n < 100000; n++) {
        run.early = n % 3 == 0;
        run_turn(&run, sizes, true);
    }
    for (uint32_t i = 1; i < 4; i++)
        ck_assert_msg(near((double)(run.bytes[i] + 24 * run.packets[i]) / (run.bytes[0] + 24 * run.packets[0]), 1, 0.02), "%u", i);
    run_close(&run);
}
END_TEST

/* Who pauses now and then gains nothing by it: neither by saving up, nor by leaving its debts behind. */
START_TEST(round_robin_pauses_gain_nothing)
{
    static const uint32_t sizes[SENDERS] = { 65549, 1514, 1514 };
    struct run run;

    run_open(&run, module("round-robin"));
    for (uint32_t i = 0; i < 3; i++) {
        run_add(&run, i, 100);
        run_ready(&run, i);
    }
    for (uint32_t n = 0; n < 100000; n++) {
        uint32_t who = run_turn(&run, sizes, false);

        if (who != 0)
            run_ready(&run, who);
        else
            run_ready(&run, 0); /* it had nothing for a moment */
        if (n % 3 == 0 && run.waits[0]) {
            run_unready(&run, 0);
            run_ready(&run, 0);
        }
    }
    ck_assert_uint_le(run.bytes[0], (run.bytes[1] + 24 * run.packets[1]) * 102 / 100);
    run_close(&run);
}
END_TEST

START_TEST(weighted_shares_by_weight)
{
    static const uint32_t sizes[SENDERS] = { 1514, 60, 65549 };
    struct run run;
    double one;

    run_open(&run, module("weighted"));
    run_add(&run, 0, 100);
    run_add(&run, 1, 200);
    run_add(&run, 2, 1000);
    for (uint32_t i = 0; i < 3; i++)
        run_ready(&run, i);
    for (uint32_t n = 0; n < 200000; n++) {
        run.early = n % 3 == 0;
        run_turn(&run, sizes, true);
    }
    one = (double)(run.bytes[0] + 24 * run.packets[0]);
    ck_assert(near((run.bytes[1] + 24 * run.packets[1]) / one, 2, 0.02));
    ck_assert(near((run.bytes[2] + 24 * run.packets[2]) / one, 10, 0.02));
    run_close(&run);
}
END_TEST

START_TEST(tables_are_whole)
{
    for (uint32_t m = 0; vfr_schedulers[m] != NULL; m++) {
        const struct vfr_sched_ops *ops = vfr_schedulers[m];

        ck_assert(ops->name != NULL && strlen(ops->name) < 32 && ops->summary != NULL);
        ck_assert(ops->create != NULL && ops->insert != NULL && ops->remove != NULL && ops->ready != NULL && ops->unready != NULL && ops->next != NULL && ops->sent != NULL);
        for (uint32_t n = 0; n < m; n++)
            ck_assert_str_ne(ops->name, vfr_schedulers[n]->name);
    }
    ck_assert_str_eq(vfr_schedulers[0]->name, "round-robin");
}
END_TEST

Suite *suite_schedulers(void);
Suite *suite_schedulers(void)
{
    Suite *suite = suite_create("schedulers");
    TCase *tests = tcase_create("schedulers");

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, tables_are_whole);
    tcase_add_test(tests, turns_are_for_those_who_wait_and_repeatable);
    tcase_add_test(tests, nobody_waits_without_end);
    tcase_add_test(tests, round_robin_gives_equal_shares_of_the_wire);
    tcase_add_test(tests, round_robin_pauses_gain_nothing);
    tcase_add_test(tests, weighted_shares_by_weight);
    return suite;
}
