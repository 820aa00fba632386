/* SPDX-License-Identifier: MIT */
/*
 * What `collet capture` says of a frame: its verdict, the rule that decided, why it went no further; and the checksums that guests leave to the card.
 *
 * Records name a rule by generation and index; the text is in the set that the hypervisor keeps. A generation that is no longer in force when its first frame is read cannot be asked for any more: then numbers must do.
 * Contract: capture.h.  Tests: test-capture.c.
 */
#include "capture.h"

#include "rules.h"

#include <hv/vfr-ops.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GENERATIONS 4u
#define COMMENT_BYTES 400

struct generation {
    uint64_t number; /* 0: free */
    struct rules_list list;
};

struct capture_rules {
    struct collet *collet;
    struct generation generations[GENERATIONS];
    unsigned int oldest;
    char comment[COMMENT_BYTES];
};

static const char *const drop_sentences[COLLET_NET_DROPS] = {
    [COLLET_NET_DROP_SPOOF] = "an address that is not its sender's",
    [COLLET_NET_DROP_NO_BUFFER] = "the receiver had no buffer posted",
    [COLLET_NET_DROP_NOT_CONNECTED] = "the receiver is not connected",
    [COLLET_NET_DROP_MALFORMED] = "malformed",
    [COLLET_NET_DROP_GRANT] = "a page that was not granted",
    [COLLET_NET_DROP_TOO_LONG] = "too long for the receiver",
    [COLLET_NET_DROP_NO_ROUTE] = "nobody has that address",
    [COLLET_NET_DROP_LIMIT] = "over the limit of its interface",
    [COLLET_NET_DROP_DEVICE] = "the card failed, or was full",
    [COLLET_NET_DROP_MEMORY] = "no memory",
};

/* ---- Rules ---- */

static struct generation *generation_find(struct capture_rules *rules, uint64_t number)
{
    struct generation *g;
    void *set = NULL;
    size_t bytes;

    for (unsigned int i = 0; i < GENERATIONS; i++)
        if (rules->generations[i].number == number)
            return &rules->generations[i];
    g = &rules->generations[rules->oldest++ % GENERATIONS];
    rules_list_free(&g->list);
    *g = (struct generation){ .number = number };
    if (rules->collet != NULL && collet_rules_read(rules->collet, number, &set, &bytes) == 0 && set != NULL)
        (void)rules_read(set, bytes, &g->list); /* else numbers must do */
    free(set);
    return g;
}

static void say_rule(struct capture_rules *rules, const struct collet_capture_record *r, char *to, size_t room)
{
    const struct generation *g = generation_find(rules, r->generation);
    const struct rules_rule *rule = r->rule < g->list.count ? &g->list.rules[r->rule] : NULL;

    if (rule == NULL)
        snprintf(to, room, " by rule #%u of generation %" PRIu64, r->rule, r->generation);
    else if (rule->text == NULL)
        snprintf(to, room, " by rule #%u (line %u) of generation %" PRIu64, r->rule, rule->line, r->generation);
    else
        snprintf(to, room, " by %s:%u of generation %" PRIu64 ": %.200s", rule->file != NULL ? rule->file : "line", rule->line, r->generation, rule->text);
}

static const char *verdict_word(const struct collet_capture_record *r)
{
    static const char *const words[] = { "passed", "accepted", "dropped", "rejected", "forwarded" };

    return r->action < sizeof(words) / sizeof(words[0]) ? words[r->action] : "judged";
}

const char *capture_comment(struct capture_rules *rules, const struct collet_capture_record *r)
{
    char *to = rules->comment;
    size_t n;

    if (r->drop != COLLET_CAPTURED_PASSED && r->drop != COLLET_NET_DROP_RULE) {
        snprintf(to, COMMENT_BYTES, "dropped: %s", r->drop < COLLET_NET_DROPS && drop_sentences[r->drop] != NULL ? drop_sentences[r->drop] : "for an unknown reason");
        return to;
    }
    if (r->drop == COLLET_CAPTURED_PASSED && r->action == VFR_CONTINUE) {
        snprintf(to, COMMENT_BYTES, "sent by the router itself, because a frame was rejected");
        return to;
    }
    snprintf(to, COMMENT_BYTES, "%s", r->drop == COLLET_NET_DROP_RULE && r->action < VFR_DROP ? "dropped" : verdict_word(r));
    n = strlen(to);
    if (r->generation == 0)
        snprintf(to + n, COMMENT_BYTES - n, ": no rules are loaded");
    else if (r->rule == VFR_NO_RULE)
        snprintf(to + n, COMMENT_BYTES - n, " by the policy of generation %" PRIu64, r->generation);
    else
        say_rule(rules, r, to + n, COMMENT_BYTES - n);
    return to;
}

struct capture_rules *capture_rules_new(struct collet *c)
{
    struct capture_rules *rules = calloc(1, sizeof(*rules));

    if (rules != NULL)
        rules->collet = c;
    return rules;
}

void capture_rules_free(struct capture_rules *rules)
{
    if (rules == NULL)
        return;
    for (unsigned int i = 0; i < GENERATIONS; i++)
        rules_list_free(&rules->generations[i].list);
    free(rules);
}

/* ---- Checksums ---- */

void capture_sum_complete(const struct collet_capture_record *r, uint8_t *frame)
{
    uint32_t at = (uint32_t)r->sum_start + r->sum_offset, sum = 0;

    if ((r->flags & COLLET_CAPTURED_SUM) == 0 || r->captured != r->frame_bytes || at + 2 > r->captured)
        return;
    for (uint32_t i = r->sum_start; i < r->captured; i++) {
        sum += (i - r->sum_start) % 2 == 0 ? (uint32_t)frame[i] << 8 : frame[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum = ~sum & 0xffff;
    if (sum == 0)
        sum = 0xffff; /* as UDP has it; for others it is the same number */
    frame[at] = (uint8_t)(sum >> 8);
    frame[at + 1] = (uint8_t)sum;
}
