// SPDX-License-Identifier: MIT
/* The copied kind: it lets through what fits, and nothing more. */
// needs:
#include "mine.c"

#include <check.h>

START_TEST(lets_through_what_fits)
{
    uint64_t most = 1000;
    struct vfr_use use = {.values = &most};
    struct mine state = {0};
    struct vfr_packet large = {.bytes = 600}, small = {.bytes = 300};

    ck_assert(mine_match(&use, &state, &large, 0));
    ck_assert(!mine_match(&use, &state, &large, 0));
    ck_assert(mine_match(&use, &state, &small, 0)); /* what was refused has cost nothing */
    ck_assert(!mine_match(&use, &state, &small, 1ull << 60));
    ck_assert_uint_eq(state.bytes, 900);
}
END_TEST

Suite *suite_mine(void);
Suite *suite_mine(void)
{
    Suite *s = suite_create("mine");
    TCase *tc = tcase_create("mine");

    tcase_add_test(tc, lets_through_what_fits);
    suite_add_tcase(s, tc);
    return s;
}
