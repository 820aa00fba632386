/* SPDX-License-Identifier: MIT */
/*
 * Judging packets by a set, on any machine: the evaluator, the rule kinds and the connection tracking that the hypervisor links, with interfaces that exist by name alone. Behind `collet rules test` and `explain`, and the
 * comparison with nftables. Part of librules.a. Tests: test-judge.c, tests/rules.
 */
#pragma once

#include "rules.h"

#include <hv/vfr-ops.h>

#define RULES_FRAME_MAX 65536u
#define RULES_PASSED_MAX 16u

struct rules_judge;

/* 0; -EINVAL: error says why; -ENOMEM. */
int rules_judge_create(struct rules_judge **judge, const void *set, size_t bytes, char error[256]);
void rules_judge_destroy(struct rules_judge *judge);

/* An interface by its name: "web.0" is the VIF 0 of the domain web, "nic0" a card, "web" is "web.0". addresses: "10.0.2.16,fec0::16,00:16:3e:00:00:01", may be NULL. -EINVAL: one of them is none. */
int rules_judge_iface(struct vfr_iface *to, const char *name, const char *addresses);

/* One crossing of a packet, and what became of it there. */
struct rules_step {
    unsigned int direction; /* VFR_TX, VFR_RX */
    const struct vfr_iface *at;
    struct vfr_verdict verdict;
    uint32_t passed[RULES_PASSED_MAX]; /* rules before the last that matched and let it go on; only if asked for */
    uint32_t passed_count;
};
struct rules_answer {
    struct rules_step steps[2];
    unsigned int count;   /* of them: until one drops it */
    bool accepted;
    uint8_t state;        /* enum vfr_state */
    const char *spoofed;  /* it says whom it is not; then no rule was asked. NULL: fine */
    bool unreadable;      /* the router drops it as malformed before a rule is asked: vfr_unreadable(). Then no rule was asked here either */
    struct vfr_packet packet; /* parsed */
};
struct rules_frame {
    const uint8_t *bytes;
    uint32_t captured, length;
    uint64_t ns;
    const struct vfr_iface *from, *to; /* either may be NULL: it is judged at the other alone. A VIF sends: out; receives: in; the wire brings it to a card: in; it goes out there: out */
    uint8_t state;                     /* enum vfr_state; NONE: as connection tracking finds, if the set asks for it */
    bool linear;                       /* by the evaluator that asks every rule in turn */
    bool tell_passed;
};
void rules_judge_frame(struct rules_judge *judge, const struct rules_frame *frame, struct rules_answer *answer);

struct rules_count {
    uint64_t packets, bytes;
};
/* rule VFR_NO_RULE: the policies. */
struct rules_count rules_judge_count(struct rules_judge *judge, uint32_t rule);
uint32_t rules_judge_rules(struct rules_judge *judge);

/* ---- A packet in words ---- */

/* "tcp from 10.0.2.16 port 4000 to 10.0.2.17 port 22 flags S in on web.0": frame's bytes, interfaces and state are filled. */
struct rules_worded {
    struct rules_frame frame;
    struct vfr_iface iface;
    uint8_t bytes[2048];
    char error[256]; /* what was not understood */
};
/* 0 or -EINVAL. */
int rules_packet_in_words(const char *words, struct rules_worded *to);
/* The other way: "tcp 10.0.2.16:4000 > 10.0.2.17:22 flags S". */
char *rules_packet_to_words(const struct vfr_packet *packet, char *to, size_t bytes);
const char *rules_action_name(uint8_t action);
