/* SPDX-License-Identifier: MIT */
/*
 * What `collet capture` says of a frame: its verdict, the rule that decided, why it went no further; and the checksums that guests leave to the card.
 *
 * Records name a rule by generation and index; the text is in the set that the hypervisor keeps. A generation that is no longer in force when its first frame is read cannot be asked for any more: then numbers must do.
 * Contract: capture.h.  Tests: test-capture.c.
 */
#include "capture.h"

#include <hv/vfr-ops.h>
#include <vfr/ruleset.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GENERATIONS 4u
#define COMMENT_BYTES 400

struct generation {
    uint64_t number;   /* 0: free */
    uint8_t *set;      /* NULL: it is not known */
    const uint8_t *rules; /* struct vfr_set_rule each */
    uint32_t rule_count;
    const char *text;
    size_t text_bytes;
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

static uint64_t filled(uint64_t bytes)
{
    return (bytes + 7) & ~7ull;
}

/* Where rules and text of a set are; the hypervisor has checked it, but lengths are not believed all the same. */
static void set_take(struct generation *g, uint8_t *set, size_t bytes)
{
    static const unsigned int entry[VFR_SET_RULES] = {
        [VFR_SET_NAMES] = sizeof(struct vfr_set_name),
        [VFR_SET_KINDS] = sizeof(struct vfr_set_name),
        [VFR_SET_ADDRESS_SETS] = sizeof(struct vfr_set_addresses),
        [VFR_SET_RANGES4] = sizeof(struct vfr_set_range4),
        [VFR_SET_RANGES6] = sizeof(struct vfr_set_range6),
        [VFR_SET_PORT_SETS] = sizeof(struct vfr_set_ports),
        [VFR_SET_PORT_RANGES] = sizeof(struct vfr_set_port_range),
    };
    const struct vfr_set_header *h = (const void *)set;
    uint64_t at = sizeof(*h), rules, text;

    g->set = set;
    if (bytes < sizeof(*h) || h->magic != VFR_SET_MAGIC || h->version != VFR_SET_VERSION || h->header_bytes != sizeof(*h))
        return;
    for (unsigned int s = 0; s < VFR_SET_RULES; s++)
        at += filled((uint64_t)h->count[s] * entry[s]);
    rules = (uint64_t)h->count[VFR_SET_RULES] * sizeof(struct vfr_set_rule);
    text = filled(h->count[VFR_SET_TEXT]);
    if (at > bytes || rules > bytes - at || text > bytes - at - rules)
        return;
    g->rules = set + at;
    g->rule_count = h->count[VFR_SET_RULES];
    g->text = (const char *)set + bytes - text;
    g->text_bytes = h->count[VFR_SET_TEXT];
}

static struct generation *generation_find(struct capture_rules *rules, uint64_t number)
{
    struct generation *g;
    void *set = NULL;
    size_t bytes;

    for (unsigned int i = 0; i < GENERATIONS; i++)
        if (rules->generations[i].number == number)
            return &rules->generations[i];
    g = &rules->generations[rules->oldest++ % GENERATIONS];
    free(g->set);
    *g = (struct generation){ .number = number };
    if (rules->collet != NULL && collet_rules_read(rules->collet, number, &set, &bytes) == 0 && set != NULL)
        set_take(g, set, bytes);
    return g;
}

/* The n-th line, counted from 1, without the blanks around it. */
static const char *line_find(const struct generation *g, uint32_t n, int *length)
{
    const char *at = g->text, *end = g->text + g->text_bytes, *stop;

    for (uint32_t i = 1; i < n && at != NULL && at < end; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL || at >= end || n == 0)
        return NULL;
    stop = memchr(at, '\n', (size_t)(end - at));
    if (stop == NULL)
        stop = end;
    while (at < stop && (*at == ' ' || *at == '\t'))
        at++;
    while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
        stop--;
    *length = stop - at < 200 ? (int)(stop - at) : 200;
    return *length > 0 ? at : NULL;
}

static void say_rule(struct capture_rules *rules, const struct collet_capture_record *r, char *to, size_t room)
{
    struct generation *g = generation_find(rules, r->generation);
    struct vfr_set_rule rule;
    const char *line;
    int length;

    if (r->rule >= g->rule_count) {
        snprintf(to, room, " by rule #%u of generation %" PRIu64, r->rule, r->generation);
        return;
    }
    memcpy(&rule, g->rules + (size_t)r->rule * sizeof(rule), sizeof(rule));
    line = line_find(g, rule.line, &length);
    if (line != NULL)
        snprintf(to, room, " by the rule in line %u of generation %" PRIu64 ": %.*s", rule.line, r->generation, length, line);
    else
        snprintf(to, room, " by rule #%u (line %u) of generation %" PRIu64, r->rule, rule.line, r->generation);
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
        free(rules->generations[i].set);
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
