/* SPDX-License-Identifier: MIT */
/* The network of the machine of variables (fake-collet.h): one card, two VIFs, a set of rules that is kept as it was loaded, flows. Tests set it up and look at what a command did to it. */
#pragma once

#include <collet/collet.h>
#include <vfr/flows.h>

#define FAKE_VIFS  2
#define FAKE_FLOWS 3

struct fake_net {
    struct collet_nic_info nics[1];
    struct collet_vif_info vifs[FAKE_VIFS];
    struct vfr_flow_info flows[FAKE_FLOWS];
    int nic_count, vif_count, flow_count;
    char sched[COLLET_NAME_MAX];
    /* Rules. */
    uint64_t generation, generations; /* in force; ever loaded */
    void *set;
    size_t set_bytes;
    uint32_t rules;
    struct collet_rules_load load; /* the last one */
    int load_rc, stale_times;      /* what loading answers; so many reads find other rules in force */
    uint64_t confirm_left_ns;
    int confirms, undone;
    bool flows_on;
    uint32_t flows_room;
    int flows_sets;
};
extern struct fake_net fake_net;
/* nic0; web.0 (connected, two addresses, limits) and db.0 (broken); no rules; flows not tracked. */
void fake_net_reset(void);
