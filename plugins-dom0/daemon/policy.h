/* SPDX-License-Identifier: MIT */
/*
 * What happens to a domain that has ended by itself: pure decisions, no effects.
 * Tests: test-policy.c.
 */
#pragma once

#include "definition.h"

#define POLICY_HISTORY 16

/* When a domain was restarted, newest last. */
struct policy_history {
    unsigned int count;
    uint64_t at_ns[POLICY_HISTORY];
};

struct policy_limits {
    unsigned int restarts; /* at most so many ... */
    uint64_t within_ns;    /* ... in this time; then a domain stays down */
};

struct policy_answer {
    enum definition_action action;
    uint64_t delay_ns; /* before the restart */
    bool gave_up;      /* it would have been restarted, but too often */
};

/* reason: SHUTDOWN_* of <xen/sched.h>. A restart is entered into the history. */
struct policy_answer policy_decide(const struct definition *definition, uint32_t reason, struct policy_history *history, const struct policy_limits *limits, uint64_t now_ns);
/* "powered off", "crashed: ..." */
void policy_exit_text(uint32_t reason, const char *crash_text, char *text, size_t bytes);
