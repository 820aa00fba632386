// SPDX-License-Identifier: MIT
/* Turns: a round over domains, and over the VBDs of each; the limit of one run; who leaves the line. */
// needs: block.c tests/unit/fakes-machine.c

#include "vbd-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "time.h"
#include "vcpu.h"

#include <check.h>
#include <string.h>

#define VBDS 9u

static struct domain one, eight;
static struct vbd all[VBDS]; /* the first is one's, the others are eight's */
static uint32_t turns[VBDS], order[64], turn_count, pauses, softirqs;
static bool has_more[VBDS];
static void (*softirq)(void);
static struct vcpu idle = {.is_idle = true};

uint64_t clock_now_ns(void)
{
    return 1000;
}
void softirq_register(enum softirq nr, void (*handler)(void))
{
    ck_assert_int_eq(nr, SOFTIRQ_BLOCK);
    softirq = handler;
}
void softirq_raise(enum softirq nr)
{
    ck_assert_int_eq(nr, SOFTIRQ_BLOCK);
    softirqs++;
}
void timer_init(struct timer *t, void (*handler)(void *), void *arg, uint32_t cpu)
{
    *t = (struct timer){.handler = handler, .arg = arg, .cpu = cpu};
}
void timer_set(struct timer *t, uint64_t deadline_ns)
{
    t->deadline_ns = deadline_ns;
    pauses++;
}
void disks_poll(void)
{
}
void disk_run(struct disk *disk)
{
    (void)disk;
}
void ring_answer(struct vbd *vbd)
{
    (void)vbd;
}
enum ring_state ring_take(struct vbd *vbd, uint32_t most)
{
    uint32_t n = (uint32_t)(vbd - all);

    ck_assert_uint_gt(most, 0);
    ck_assert_uint_gt(vbd->users, 0);
    turns[n]++;
    order[turn_count++ % 64] = n;
    return has_more[n] ? RING_MORE : RING_EMPTY;
}

static void setup(void)
{
    memset(&one, 0, sizeof(one));
    memset(&eight, 0, sizeof(eight));
    memset(all, 0, sizeof(all));
    memset(turns, 0, sizeof(turns));
    turn_count = pauses = softirqs = 0;
    fake_vcpu = &idle;
    for (uint32_t n = 0; n < VBDS; n++) {
        all[n].domain = n == 0 ? &one : &eight;
        list_init(&all[n].turn);
        list_init(&all[n].answers);
        has_more[n] = true;
    }
    block_init();
}

/* Leaves both lists as it found them. */
static void teardown(void)
{
    for (uint32_t n = 0; n < VBDS; n++) {
        block_forget(&all[n]);
        ck_assert_uint_eq(all[n].users, 0);
    }
    softirq();
    fake_vcpu = NULL;
}

START_TEST(more_vbds_are_not_more_turns)
{
    for (uint32_t n = VBDS; n-- > 0;)
        block_want_turn(&all[n]);
    for (uint32_t runs = 0; runs < 8; runs++)
        softirq();
    ck_assert_uint_eq(turn_count, 128);
    ck_assert_uint_eq(pauses, 8);
    ck_assert_uint_eq(turns[0], 64);
    for (uint32_t n = 1; n < VBDS; n++)
        ck_assert_uint_eq(turns[n], 8);
}
END_TEST

START_TEST(who_comes_late_is_next_but_one)
{
    for (uint32_t n = 1; n < VBDS; n++)
        block_want_turn(&all[n]);
    block_want_turn(&all[0]);
    block_want_turn(&all[0]); /* is in line */
    has_more[0] = false;
    softirq();
    ck_assert_uint_eq(order[0], 1);
    ck_assert_uint_eq(order[1], 0);
    ck_assert_uint_eq(order[2], 2);
    ck_assert_uint_eq(turns[0], 1);
}
END_TEST

START_TEST(an_idle_ring_leaves_the_line)
{
    memset(has_more, 0, sizeof(has_more));
    for (uint32_t n = 0; n < VBDS; n++)
        block_want_turn(&all[n]);
    softirq();
    ck_assert_uint_eq(turn_count, VBDS);
    ck_assert_uint_eq(pauses, 0);
    softirq();
    ck_assert_uint_eq(turn_count, VBDS);
    ck_assert_uint_eq(softirqs, VBDS);
}
END_TEST

START_TEST(forgotten_ones_have_no_turn)
{
    for (uint32_t n = 0; n < VBDS; n++)
        block_want_turn(&all[n]);
    block_forget(&all[0]);
    block_forget(&all[5]);
    softirq();
    ck_assert_uint_eq(turns[0] + turns[5], 0);
    ck_assert_uint_eq(turn_count, 16);
    for (uint32_t n = 1; n < VBDS; n++)
        block_forget(&all[n]);
    softirq();
    ck_assert_uint_eq(turn_count, 16);
    has_more[0] = false;
    block_want_turn(&all[0]); /* and come again */
    softirq();
    ck_assert_uint_eq(turns[0], 1);
}
END_TEST

Suite *suite_block(void);
Suite *suite_block(void)
{
    Suite *s = suite_create("block");
    TCase *c = tcase_create("block");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, more_vbds_are_not_more_turns);
    tcase_add_test(c, who_comes_late_is_next_but_one);
    tcase_add_test(c, an_idle_ring_leaves_the_line);
    tcase_add_test(c, forgotten_ones_have_no_turn);
    suite_add_tcase(s, c);
    return s;
}
