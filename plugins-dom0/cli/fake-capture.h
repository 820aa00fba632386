/* SPDX-License-Identifier: MIT */
/* Captures of the fake machine: frames that are there when one is opened. See fake-collet.h. */
#pragma once

#include <collet/collet.h>

#define FAKE_FRAMES_MAX 32

struct fake_capture {
    struct collet_capture_open open; /* what the last one was asked for */
    struct vfr_bpf_insn filter[64];  /* its beginning */
    struct collet_capture_record records[FAKE_FRAMES_MAX];
    uint8_t frames[FAKE_FRAMES_MAX][2048];
    int count, next;
    int open_now, opens, closes, releases;
    int ended;      /* the number that was given */
    int release_rc; /* what collet_capture_release() answers */
    struct collet_capture_iface counters[4];
    int counter_count;
};

extern struct fake_capture fake_capture;
