/* SPDX-License-Identifier: MIT */
/* Orders of a child with a network interface (child-net.c): they stand in the list of struct child_orders. */
#pragma once

#include "net.h"

enum { NET_CHILD_NEW, NET_CHILD_OFFERED, NET_CHILD_GO, NET_CHILD_SENT };
enum { NET_CHILD_LOAD, NET_CHILD_SPIN, NET_CHILD_CRASH, NET_CHILD_END, NET_CHILD_LIE }; /* what it does once its ring is full */

struct net_orders {
    uint32_t state; /* NET_CHILD_OFFERED: its rings wait; GO: Domain0 has connected them */
    uint32_t then;
    uint32_t bytes; /* of a frame */
    uint32_t depth; /* slots */
    uint32_t tx_ref, rx_ref, port;
    uint32_t pad;
    uint8_t head[16]; /* of each frame */
    int64_t rc;
    uint64_t bad;
};
_Static_assert(sizeof(struct net_orders) <= sizeof(((struct child_orders *)0)->list), "fits");
