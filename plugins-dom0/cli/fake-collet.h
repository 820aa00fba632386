/* SPDX-License-Identifier: MIT */
/*
 * A machine made of variables, in place of libcollet and the hypervisor: the tests set it up, run a command, and look at what it did to it.
 */
#pragma once

#include <collet/collet.h>

#define FAKE_DOMAINS_MAX 16
#define FAKE_RECORDS_MAX 4096
#define FAKE_DISKS       2
#define FAKE_VBDS        3

struct fake {
    int open_rc; /* what collet_open() answers */
    struct collet_machine machine;
    struct collet_sched_status sched;
    struct collet_domain_info domains[FAKE_DOMAINS_MAX];
    struct collet_vcpu_info vcpus[FAKE_DOMAINS_MAX][4];
    int domain_count;
    struct collet_sched_value values[64]; /* set so far */
    int value_count;
    int set_calls;
    struct collet_change changes[32];
    int change_count;
    const char *log;
    struct collet_trace_info trace;
    struct collet_trace_record records[4][FAKE_RECORDS_MAX]; /* by CPU */
    size_t record_count[4];
    uint64_t trace_lost;
    uint32_t destroyed[FAKE_DOMAINS_MAX];
    int destroyed_count, paused_count, unpaused_count;
    uint64_t affinity;
    uint32_t affinity_vcpu;
    struct collet_disk_info disks[FAKE_DISKS];
    struct collet_vbd_info vbds[FAKE_VBDS];
    struct collet_disk_value disk_values[32]; /* set so far */
    int disk_count, vbd_count, disk_value_count, disk_set_calls;
    int disk_set_rc;             /* what collet_disk_set() answers */
    struct collet_disk_record disk_records[2048]; /* that a recording finds, a few with each read */
    int disk_record_count, disk_records_read;
    int disk_records_at_once;
    uint64_t disk_records_lost;
    unsigned int recording;      /* room, 0: none */
    bool recording_left;         /* it is over and not all was read */
    int record_begins, record_ends;
};

extern struct fake fake;

/* Domain0, web (2 vCPUs), db (paused), a domain with the longest name (crashed); 2 CPUs; bvt in charge, rr beside it. disk0 under elevator, with Domain0/disk0 and web/root; disk1 under fair, with db/data. */
void fake_reset(void);
