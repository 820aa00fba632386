// SPDX-License-Identifier: MIT
/* Sets of rules in their binary form: the writer sorts and joins; the reader refuses each thing that is not right, and says what and in which line. */
// needs: engine.c classifier.c classifier-build.c cache.c linear.c ruleset.c store.c packet.c sdk/rules/ruleset-write.c
#include <vfr/engine.h>
#include <vfr/ruleset-write.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct vfr_rule_ops *const vfr_rule_kinds[] = {NULL};

static void *get(size_t bytes)
{
    return calloc(1, bytes);
}
static const struct vfr_memory memory = {.alloc = get, .free = free, .cpus = 1};

static int read_bytes(void *arg, uint64_t offset, void *to, size_t bytes)
{
    memcpy(to, (const uint8_t *)arg + offset, bytes);
    return 0;
}

static struct vfr_load_error error;

static int load(void *set, size_t bytes)
{
    struct vfr_source source = {.read = read_bytes, .arg = set, .bytes = bytes};
    struct vfr_engine *engine;
    int rc = vfr_engine_create(&engine, &source, &memory, &error);

    if (rc == 0)
        vfr_engine_destroy(engine);
    return rc;
}

/* One rule with something of each section; its parts, to be spoiled. */
struct parts {
    struct vfr_set_header *header;
    struct vfr_set_name *name, *second_name;
    struct vfr_set_addresses *set;
    struct vfr_set_range4 *range4;
    struct vfr_set_range6 *range6;
    struct vfr_set_ports *port_set;
    struct vfr_set_port_range *port_range;
    struct vfr_set_rule *rule, *second;
    uint32_t *iface;
};

static uint8_t *make(size_t *bytes, struct parts *p)
{
    static const struct vfr_set_range4 r4[] = {{30, 40}, {10, 20}, {21, 25}, {15, 17}};
    static const struct vfr_set_range6 r6[] = {{{2, 0}, {2, 5}}, {{1, 0}, {1, UINT64_MAX}}, {{2, 7}, {2, 9}}};
    static const struct vfr_set_port_range ports[] = {{443, 443}, {80, 81}, {82, 90}};
    static const struct vfr_set_policy accept[2] = {{.action = VFR_ACCEPT}, {.action = VFR_ACCEPT}};
    struct vfr_writer *w = vfr_writer_create();
    struct vfr_set_rule rule = {.id = 5, .line = 3, .directions = VFR_RX, .fields = VFR_FIELD_SOURCE | VFR_FIELD_TARGET_PORT | VFR_FIELD_IFACE, .action = VFR_DROP};
    uint32_t iface = vfr_writer_name(w, "web");
    uint8_t *set;

    vfr_writer_name(w, "db*");
    ck_assert_uint_eq(vfr_writer_name(w, "web"), iface);
    rule.source.set = vfr_writer_addresses(w, r4, 4, r6, 3);
    rule.target_port.set = vfr_writer_ports(w, ports, 3);
    vfr_writer_rule(w, &rule, &iface, 1, NULL, 0, 0);
    rule = (struct vfr_set_rule){.id = 6, .line = 4, .directions = VFR_TX, .action = VFR_ACCEPT};
    vfr_writer_rule(w, &rule, NULL, 0, NULL, 0, 0);
    set = vfr_writer_finish(w, accept, "two rules", 9, bytes);
    vfr_writer_destroy(w);
    p->header = (void *)set;
    p->name = (void *)(p->header + 1);
    p->second_name = p->name + 1;
    p->set = (void *)(p->name + 2);
    p->range4 = (void *)(p->set + 1);
    p->range6 = (void *)(p->range4 + p->set->count4);
    p->port_set = (void *)(p->range6 + p->set->count6);
    p->port_range = (void *)(p->port_set + 2); /* filled up to 8 bytes */
    p->rule = (void *)(p->port_range + 2);
    p->second = p->rule + 1;
    p->iface = (void *)(p->rule + 2);
    return set;
}

START_TEST(the_writer_sorts_and_joins)
{
    struct parts p;
    size_t bytes;
    uint8_t *set = make(&bytes, &p);

    ck_assert_uint_eq(p.set->count4, 2);
    ck_assert_uint_eq(p.range4[0].low, 10);
    ck_assert_uint_eq(p.range4[0].high, 25);
    ck_assert_uint_eq(p.range4[1].low, 30);
    ck_assert_uint_eq(p.set->count6, 2);
    ck_assert_uint_eq(p.range6[0].low[0], 1);
    ck_assert_uint_eq(p.range6[0].high[1], 5); /* 1:... to 2:5, 2:7 on is apart */
    ck_assert_uint_eq(p.range6[1].low[1], 7);
    ck_assert_uint_eq(p.port_set->count, 2);
    ck_assert_uint_eq(p.port_range[0].high, 90);
    ck_assert_int_eq(load(set, bytes), 0);
    free(set);
}
END_TEST

START_TEST(prefixes_become_ranges)
{
    uint8_t a[16] = {0x20, 0x01, [9] = 0xff, [15] = 1};
    struct vfr_set_range4 r4 = vfr_writer_prefix4(0x0a0b0c0d, 20);
    struct vfr_set_range6 r6 = vfr_writer_prefix6(a, 72);

    ck_assert_uint_eq(r4.low, 0x0a0b0000);
    ck_assert_uint_eq(r4.high, 0x0a0b0fff);
    ck_assert_uint_eq(vfr_writer_prefix4(5, 0).high, UINT32_MAX);
    ck_assert_uint_eq(vfr_writer_prefix4(5, 32).low, 5);
    ck_assert(r6.low[0] == 0x2001000000000000 && r6.high[0] == 0x2001000000000000 && r6.low[1] == 0 && r6.high[1] == UINT64_MAX >> 8);
    r6 = vfr_writer_prefix6(a, 16);
    ck_assert(r6.high[0] == 0x2001ffffffffffff && r6.high[1] == UINT64_MAX && r6.low[1] == 0);
}
END_TEST

enum { NO_LINE = 0 };
static void refused(void *set, size_t bytes, const char *why, uint32_t line, int number)
{
    int rc = load(set, bytes);

    ck_assert_msg(rc == -EINVAL && strstr(error.text, why) != NULL && error.line == line, "%d: %d, line %u, \"%s\", want line %u, \"%s\"", number, rc, error.line, error.text, line, why);
}

/* Each spoils one thing of a set that is right. */
static void spoil(struct parts *p, int what)
{
    switch (what) {
    case 0: p->header->magic++; break;
    case 1: p->header->version++; break;
    case 2: p->header->policy[1].action = VFR_FORWARD; break;
    case 3: p->header->count[VFR_SET_RULES] = VFR_SET_RULES_MAX + 1; break;
    case 4: p->header->count[VFR_SET_NAMES]++; break;
    case 5: p->name->text[0] = ' '; break;
    case 6: memset(p->name->text, 'x', 64); break;
    case 7: *p->second_name = *p->name; break;
    case 8: p->set->count4--; break;
    case 9: p->set->count6++; break;
    case 10: p->range4[1].low = 26; break; /* touches */
    case 11: p->range4[0].low = 26; break;
    case 12: p->range6[1].low[1] = 6; break;
    case 13: p->port_range[1].low = 91; break;
    case 14: p->port_set->count = 0; break;
    case 15: p->rule->id = 0; break;
    case 16: p->second->id = 5; break;
    case 17: p->rule->fields |= 1u << 20; break;
    case 18: p->rule->negated = VFR_FIELD_TARGET; break;
    case 19: p->rule->directions = 4; break;
    case 20: p->rule->source.set = 1; break;
    case 21: p->second->target.bits = 1; break;
    case 22: p->rule->source = (struct vfr_set_address){.family = 4, .bits = 8, .bytes = {10, 1}}; break;
    case 23: p->rule->source = (struct vfr_set_address){.family = 4, .bits = 33}; break;
    case 24: p->rule->target_port.set = 9; break;
    case 25: p->rule->action = 9; break;
    case 26: p->rule->reject = 1; break;
    case 27: p->second->action = VFR_FORWARD; p->second->target_name = 1; break; /* a glob */
    case 28: p->rule->ifaces = 2; break;
    case 29: *p->iface = 2; break;
    case 30: p->second->conditions = 1; break;
    case 31: p->rule->icmp_code_high = 1; break;
    case 32: p->rule->source_mac[0] = 1; break;
    default: p->rule->tcp_flags = 2; break;
    }
}

START_TEST(what_is_wrong_is_refused_and_named)
{
    static const struct {
        const char *why;
        uint32_t line;
    } want[] = {
        {"no rule set", 0}, {"version", 0}, {"policy", 0}, {"too many \"rules\"", 0}, {"size", 0}, {"name", 0}, {"name", 0}, {"twice", 0}, {"belong to no set", 0}, {"more ranges", 0}, {"not in order", 0}, {"not in order", 0},
        {"not in order", 0}, {"not in order", 0}, {"empty", 0}, {"without an id", 3}, {"same id", 4}, {"does not know", 3}, {"does not know", 3}, {"direction", 3}, {"no such set of addresses", 3}, {"not used", 4},
        {"behind its end", 3}, {"prefix that is none", 3}, {"no such set of ports", 3}, {"verdict", 3}, {"reject", 3}, {"one interface", 4}, {"than there are", 3}, {"no such interface", 0}, {"than there are", 4}, {"ICMP", 3},
        {"outside of its mask", 3}, {"TCP flags", 3},
    };
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct parts p;
        size_t bytes;
        uint8_t *set = make(&bytes, &p);

        spoil(&p, (int)i);
        refused(set, bytes, want[i].why, want[i].line, (int)i);
        free(set);
    }
}
END_TEST

START_TEST(a_set_cut_short_is_refused)
{
    struct parts p;
    size_t bytes;
    uint8_t *set = make(&bytes, &p);

    for (size_t n = 0; n < bytes; n++)
        ck_assert_int_eq(load(set, n), -EINVAL);
    free(set);
}
END_TEST

Suite *suite_ruleset(void)
{
    Suite *s = suite_create("ruleset");
    TCase *t = tcase_create("ruleset");

    tcase_add_test(t, the_writer_sorts_and_joins);
    tcase_add_test(t, prefixes_become_ranges);
    tcase_add_test(t, what_is_wrong_is_refused_and_named);
    tcase_add_test(t, a_set_cut_short_is_refused);
    suite_add_tcase(s, t);
    return s;
}
