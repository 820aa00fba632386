// SPDX-License-Identifier: MIT
/*
 * on_poweroff, on_reboot, on_crash, and the brake on domains that end again and again.
 *
 * The first restart comes at once; each further one within the window waits twice as long, from one second on; after the limit the domain stays down, and its last state is kept for a look if it crashed.
 * Contract: policy.h.  Tests: test-policy.c.
 */
#include "policy.h"

#include <stdio.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/sched.h>

#define SECOND_NS 1000000000ull
#define DELAY_MAX_NS (30 * SECOND_NS)

static enum definition_action action_for(const struct definition *d, uint32_t reason)
{
    switch (reason) {
    case SHUTDOWN_poweroff:
        return d->on_poweroff;
    case SHUTDOWN_reboot:
    case SHUTDOWN_soft_reset:
        return d->on_reboot;
    case SHUTDOWN_suspend: /* nobody here saves it, and it cannot go on */
        return ACTION_DESTROY;
    default:
        return d->on_crash;
    }
}

static void history_trim(struct policy_history *h, uint64_t since_ns)
{
    unsigned int gone = 0;

    while (gone < h->count && h->at_ns[gone] < since_ns)
        gone++;
    memmove(h->at_ns, h->at_ns + gone, (h->count - gone) * sizeof(h->at_ns[0]));
    h->count -= gone;
}

static uint64_t restart_delay(unsigned int recent)
{
    uint64_t delay;

    if (recent == 0)
        return 0;
    delay = recent > 6 ? DELAY_MAX_NS : SECOND_NS << (recent - 1);
    return delay < DELAY_MAX_NS ? delay : DELAY_MAX_NS;
}

struct policy_answer policy_decide(const struct definition *d, uint32_t reason, struct policy_history *h, const struct policy_limits *limits, uint64_t now_ns)
{
    struct policy_answer answer = {.action = action_for(d, reason)};
    unsigned int limit = limits->restarts < POLICY_HISTORY ? limits->restarts : POLICY_HISTORY;

    if (answer.action != ACTION_RESTART)
        return answer;
    history_trim(h, now_ns > limits->within_ns ? now_ns - limits->within_ns : 0);
    if (h->count >= limit) {
        answer.gave_up = true;
        answer.action = reason == SHUTDOWN_reboot || reason == SHUTDOWN_poweroff ? ACTION_DESTROY : ACTION_PRESERVE;
        return answer;
    }
    answer.delay_ns = restart_delay(h->count);
    h->at_ns[h->count++] = now_ns;
    return answer;
}

void policy_exit_text(uint32_t reason, const char *crash_text, char *text, size_t bytes)
{
    switch (reason) {
    case SHUTDOWN_poweroff:
        snprintf(text, bytes, "powered off");
        break;
    case SHUTDOWN_reboot:
        snprintf(text, bytes, "rebooted");
        break;
    case SHUTDOWN_suspend:
        snprintf(text, bytes, "suspended itself, which is not supported");
        break;
    case SHUTDOWN_crash:
        snprintf(text, bytes, "crashed%s%s", crash_text[0] != '\0' ? ": " : "", crash_text);
        break;
    case SHUTDOWN_watchdog:
        snprintf(text, bytes, "its watchdog fired");
        break;
    case SHUTDOWN_soft_reset:
        snprintf(text, bytes, "asked for a soft reset");
        break;
    default:
        snprintf(text, bytes, "ended for reason %u", reason);
        break;
    }
}
