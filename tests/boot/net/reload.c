// SPDX-License-Identifier: MIT
/*
 * Replaces the rules in force as fast as it can, for a test on a real machine; runs in Domain0, linked statically with libcollet.
 *
 *   reload SECONDS
 *
 * Two sets in turn. By one, datagrams to port 9 may leave their sender and may not enter their receiver; by the other they may not leave and might enter. So whoever gets one got it because a packet was judged by both. In the last third of the time each is
 * on trial for a millisecond and nobody confirms it. Both sets have a rule, with the same id, that counts these datagrams. Leaves the second set in force; says how many it loaded, how long the longest took, and what was counted.
 */
#include <collet/collet.h>
#include <hv/vfr-ops.h>
#include <vfr/ruleset-write.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PORT 9
#define UDP  17

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void *set_make(uint8_t dropped, uint64_t id, size_t *bytes)
{
    static const struct vfr_set_policy policy[2] = {{.action = VFR_ACCEPT}, {.action = VFR_ACCEPT}};
    struct vfr_set_rule rule = {.fields = VFR_FIELD_PROTOCOL | VFR_FIELD_TARGET_PORT, .protocols = {1u << UDP}, .target_port = {.low = PORT, .high = PORT, .set = VFR_SET_NO_SET}};
    struct vfr_writer *w = vfr_writer_create();
    void *set;

    rule.id = 1;
    rule.directions = VFR_TX;
    rule.action = VFR_CONTINUE;
    vfr_writer_rule(w, &rule, NULL, 0, NULL, 0, 0);
    rule.id = id;
    rule.directions = dropped;
    rule.action = VFR_DROP;
    vfr_writer_rule(w, &rule, NULL, 0, NULL, 0, 0);
    set = vfr_writer_finish(w, policy, NULL, 0, bytes);
    vfr_writer_destroy(w);
    return set;
}

static int fail(struct collet *c, const char *what)
{
    printf("reload: %s: %s\n", what, collet_error(c));
    return 1;
}

int main(int argc, char **argv)
{
    uint64_t start = now_us(), length = (argc > 1 ? strtoull(argv[1], NULL, 10) : 10) * 1000000u, loads = 0, trials = 0, longest = 0, at, took;
    struct collet_rule_counter *counters;
    struct collet_rules_info info;
    struct collet_rules_load load;
    struct collet *c;
    size_t bytes[2];
    void *sets[2] = {set_make(VFR_RX, 2, &bytes[0]), set_make(VFR_TX, 3, &bytes[1])};
    int rc;

    if (collet_open(&c) != 0)
        return fail(c, "open");
    for (uint64_t i = 0; (at = now_us()) < start + length || i % 2 != 0; i++) {
        load = (struct collet_rules_load){.expect = ~0ull, .confirm_ms = at > start + length / 3 * 2 && at < start + length};
        while ((rc = collet_rules_load(c, sets[i % 2], bytes[i % 2], &load)) == -EBUSY)
            ;
        if (rc != 0)
            return fail(c, "load");
        took = now_us() - at;
        longest = took > longest ? took : longest;
        loads += load.confirm_ms == 0;
        trials += load.confirm_ms != 0;
    }
    while (collet_rules_info(c, &info) == 0 && info.confirm_left_ns != 0)
        ;
    if (collet_rules_counters(c, info.generation, &counters) != 3)
        return fail(c, "counters");
    printf("reload: %llu sets, %llu a second, and %llu on trial; the longest took %llu us; counted %llu\n", (unsigned long long)loads, (unsigned long long)(loads * 1000000u / (length / 3 * 2)), (unsigned long long)trials,
           (unsigned long long)longest, (unsigned long long)counters[0].packets);
    free(counters);
    collet_close(c);
    return 0;
}
