// SPDX-License-Identifier: MIT
/* The copied policy in the stand-in for the block core: reads pass writes, but not for ever. */
// needs:
#include "mine.c"

#include "blk-host.h"

#include <check.h>

START_TEST(reads_pass_writes_but_not_for_ever)
{
    static const struct blk_disk disk = {.id = 1, .depth = 1, .sectors = 1 << 20, .sectors_max = 1024, .segments_max = 128};
    static const char expected[] = "RRRRWRRRRWW";
    struct blk_host host;
    uint64_t hold_ns;

    blk_host_open(&host, &blk_mine, &disk);
    blk_host_vbd_add(&host, 1, 1);
    for (uint32_t i = 0; i < 11; i++)
        blk_host_submit(&host, blk_host_vbd(&host, 1), i < 3 ? BLK_WRITE : BLK_READ, i * 1000, 8, 1, 0);
    for (uint32_t i = 0; i < 11; i++) {
        struct blk_host_request *first = blk_host_next(&host, i, &hold_ns);

        ck_assert_int_eq(first->r.op == BLK_READ ? 'R' : 'W', expected[i]);
        blk_host_complete(&host, first, i);
    }
    ck_assert_ptr_null(host.fault);
    blk_host_close(&host);
}
END_TEST

Suite *suite_mine(void);
Suite *suite_mine(void)
{
    Suite *s = suite_create("mine");
    TCase *tc = tcase_create("mine");

    tcase_add_test(tc, reads_pass_writes_but_not_for_ever);
    suite_add_tcase(s, tc);
    return s;
}
