/* SPDX-License-Identifier: MIT */
/* Orders of a child with a disk (child-blk.c): they stand in the list of struct child_orders. */
#pragma once

#include "blk.h"

enum { BLK_CHILD_NEW, BLK_CHILD_OFFERED, BLK_CHILD_GO, BLK_CHILD_SENT };
enum { BLK_CHILD_LOAD, BLK_CHILD_SPIN, BLK_CHILD_CRASH, BLK_CHILD_END }; /* what it does once its requests are sent */

struct blk_orders {
    uint32_t state; /* BLK_CHILD_OFFERED: its ring waits; GO: Domain0 has connected it */
    uint32_t then;
    uint8_t operation, segments;
    uint16_t depth;
    uint32_t spread; /* so many places, of 88 sectors each */
    uint32_t ring_ref, port;
    int64_t rc;
    uint64_t bad;
};
_Static_assert(sizeof(struct blk_orders) <= sizeof(((struct child_orders *)0)->list), "fits");
