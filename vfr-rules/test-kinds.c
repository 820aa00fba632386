// SPDX-License-Identifier: MIT
/*
 * What every kind of vfr-rules/index.c owes: a name the rule language can read, parameters that keep their own limits, answers that depend on what it is given alone, no byte written beside its state. A kind that you add
 * is tested here, too. Then what each of ours is for. KINDS_SEED repeats the random run.
 */
// needs: vfr-rules sdk/vfr/packet.c
#include "../sdk/vfr/test-frame.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vfr/bpf.h>

#define SECOND 1000000000ull
#define PARAMS_MAX 16
#define STATE_MAX  65536
#define CANARY     0xa5

/* check's own assertions write a file each time; there are millions here. */
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            ck_abort_msg("line %d: %s", __LINE__, #cond);                                                              \
    } while (0)

static struct frame f;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static const struct vfr_rule_ops *kind(const char *name)
{
    for (uint32_t i = 0; vfr_rule_kinds[i] != NULL; i++)
        if (strcmp(vfr_rule_kinds[i]->name, name) == 0)
            return vfr_rule_kinds[i];
    ck_abort_msg("no kind %s", name);
    return NULL;
}

/* One use of a kind, with its initial values. */
struct one {
    const struct vfr_rule_ops *ops;
    uint64_t values[PARAMS_MAX];
    struct vfr_bpf_insn program[4];
    struct vfr_use use;
    uint8_t *state;
    struct vfr_verdict verdict;
};

static void one_make(struct one *one, const struct vfr_rule_ops *ops)
{
    memset(one, 0, sizeof(*one));
    one->ops = ops;
    for (uint32_t i = 0; i < ops->param_count; i++) {
        one->values[i] = ops->params[i].initial;
        if (ops->params[i].type == VFR_PARAM_PROGRAM) {
            one->program[0] = (struct vfr_bpf_insn){ 0x06, 0, 0, 1 };
            one->values[i] = 1;
            one->use.data = one->program;
            one->use.data_bytes = sizeof(one->program[0]);
        }
    }
    one->use.values = one->values;
    one->state = malloc(ops->state_bytes + 64);
    memset(one->state, 0, ops->state_bytes);
    memset(one->state + ops->state_bytes, CANARY, 64);
    if (ops->start != NULL)
        ops->start(&one->use, one->state);
}

static const char *one_wrong(struct one *one)
{
    return one->ops->check != NULL ? one->ops->check(&one->use) : NULL;
}

static bool one_run(struct one *one, uint64_t now)
{
    if (one->ops->match != NULL)
        return one->ops->match(&one->use, one->state, &f.packet, now);
    one->ops->act(&one->use, one->state, &f.packet, now, &one->verdict);
    return true;
}

static void one_end(struct one *one)
{
    for (uint32_t i = 0; i < 64; i++)
        ck_assert_uint_eq(one->state[one->ops->state_bytes + i], CANARY);
    free(one->state);
}

/* ---- All of them ---- */

static bool is_word(const char *text)
{
    size_t n = strlen(text);

    return n != 0 && n <= 31 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && text[0] >= 'a';
}

/* Words of the rule language itself: no parameter may be called so. */
static bool is_taken(const char *text)
{
    static const char *const words[] = { "in", "out", "on", "proto", "from", "to", "port", "label", "flags", "icmp-type", "vlan", "ether", "arp", "ip", "ip6", "with" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i], text) == 0)
            return true;
    return false;
}

START_TEST(tables_are_whole)
{
    for (uint32_t i = 0; vfr_rule_kinds[i] != NULL; i++) {
        const struct vfr_rule_ops *ops = vfr_rule_kinds[i];

        ck_assert_msg(is_word(ops->name), "%s", ops->name);
        ck_assert_msg(ops->summary != NULL && strchr(ops->summary, '\n') == NULL, "%s", ops->name);
        ck_assert_msg((ops->match == NULL) != (ops->act == NULL), "%s", ops->name);
        ck_assert_uint_le(ops->param_count, PARAMS_MAX);
        ck_assert_uint_le(ops->state_bytes, STATE_MAX);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_str_ne(ops->name, vfr_rule_kinds[j]->name);
        for (uint32_t p = 0; p < ops->param_count; p++) {
            const struct vfr_parameter *param = &ops->params[p];

            ck_assert_msg(is_word(param->name) && !is_taken(param->name), "%s %s", ops->name, param->name);
            ck_assert_msg(param->help != NULL && param->minimum <= param->initial && param->initial <= param->maximum, "%s %s", ops->name, param->name);
            ck_assert_msg(param->type != VFR_PARAM_BOOL || param->maximum == 1, "%s %s", ops->name, param->name);
        }
    }
}
END_TEST

static void draw_packet(void)
{
    uint32_t source = 0x0a000200 + (uint32_t)draw(300);

    if (draw(3) == 0)
        frame_udp4(&f, &frame_vif, source, 0x0a000202, (unsigned int)draw(65536), (unsigned int)draw(65536));
    else
        frame_tcp4(&f, draw(2) != 0 ? &frame_vif : &frame_peer, source, 0x0a000202, (unsigned int)draw(65536), (unsigned int)draw(100), (uint32_t)draw(1 << 30), 1, (unsigned int)draw(64), (uint32_t)draw(1000));
    for (uint64_t n = draw(4); n != 0; n--)
        f.bytes[draw(f.count)] = (uint8_t)draw(256);
    if (draw(8) == 0)
        f.count = (uint32_t)draw(f.count + 1);
    frame_parse(&f, f.packet.from);
    f.packet.state = (uint8_t)draw(5);
    f.packet.segments = (uint16_t)draw(40);
}

static void draw_values(struct one *one)
{
    for (uint32_t p = 0; p < one->ops->param_count; p++) {
        const struct vfr_parameter *param = &one->ops->params[p];

        if (param->type == VFR_PARAM_PROGRAM)
            continue;
        switch (draw(4)) {
        case 0: one->values[p] = param->minimum; break;
        case 1: one->values[p] = param->maximum; break;
        default: one->values[p] = param->minimum + draw(param->maximum - param->minimum + 1); break;
        }
    }
}

/* Two uses in different memory see the same: same answers, same state; and packet and parameters stay as they were. */
START_TEST(answers_depend_on_what_is_given_alone)
{
    const char *given = getenv("KINDS_SEED");

    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    printf("kinds: seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; vfr_rule_kinds[i] != NULL; i++) {
        for (uint32_t round = 0; round < 40; round++) {
            struct one a, b;
            uint64_t values[PARAMS_MAX], now = draw(1ull << 40);

            one_make(&a, vfr_rule_kinds[i]);
            one_make(&b, vfr_rule_kinds[i]);
            draw_values(&a);
            memcpy(b.values, a.values, sizeof(a.values));
            memcpy(values, a.values, sizeof(a.values));
            if (one_wrong(&a) == NULL) {
                for (uint32_t n = 0; n < 500; n++) {
                    struct vfr_packet before;
                    bool met;

                    draw_packet();
                    before = f.packet;
                    now += draw(2) * draw(SECOND);
                    met = one_run(&a, now);
                    CHECK(one_run(&b, now) == met);
                    CHECK(memcmp(&before, &f.packet, sizeof(before)) == 0);
                    CHECK(a.verdict.mirrors <= VFR_MIRRORS_MAX);
                    CHECK(a.verdict.action <= VFR_FORWARD);
                    CHECK(memcmp(&a.verdict, &b.verdict, sizeof(a.verdict)) == 0);
                }
                CHECK(memcmp(a.state, b.state, a.ops->state_bytes) == 0);
                CHECK(memcmp(values, a.values, sizeof(values)) == 0);
            }
            one_end(&a);
            one_end(&b);
        }
    }
}
END_TEST

/* Connections are tracked only if a rule in force asks for them: who does not say so must not look. */
START_TEST(who_reads_flows_says_so)
{
    seed = 77;
    for (uint32_t i = 0; vfr_rule_kinds[i] != NULL; i++) {
        struct one a, b;

        if (vfr_rule_kinds[i]->wants_flows)
            continue;
        one_make(&a, vfr_rule_kinds[i]);
        one_make(&b, vfr_rule_kinds[i]);
        for (uint32_t n = 0; n < 2000 && one_wrong(&a) == NULL; n++) {
            bool met;

            draw_packet();
            f.packet.state = VFR_STATE_NONE;
            met = one_run(&a, n * 1000000);
            f.packet.state = VFR_STATE_ESTABLISHED;
            f.packet.reply = true;
            if (one_run(&b, n * 1000000) != met)
                ck_abort_msg("%s", a.ops->name);
            f.packet.reply = false;
        }
        one_end(&a);
        one_end(&b);
    }
}
END_TEST

/* ---- Each ---- */

static void usual_packet(void)
{
    frame_udp4(&f, &frame_vif, 0x0a000210, 0x0a000202, 1000, 53);
    f.packet.segments = 0;
}

START_TEST(antispoof_is_about_vifs)
{
    struct one one;

    one_make(&one, kind("antispoof"));
    usual_packet();
    ck_assert(!one_run(&one, 0));
    frame_udp4(&f, &frame_vif, 0x0a000299, 0x0a000202, 1000, 53);
    ck_assert(one_run(&one, 0));
    f.packet.from = &frame_nic;
    ck_assert(!one_run(&one, 0));
    one_end(&one);
}
END_TEST

START_TEST(match_runs_its_filter)
{
    struct one one;

    one_make(&one, kind("match"));
    usual_packet();
    ck_assert(one_run(&one, 0));
    one.program[0].k = 0;
    ck_assert(!one_run(&one, 0));
    ck_assert_ptr_null(one_wrong(&one));
    one.program[0].code = 0;
    ck_assert_ptr_nonnull(one_wrong(&one));
    one.values[0] = 2;
    ck_assert_ptr_nonnull(one_wrong(&one));
    one_end(&one);
}
END_TEST

START_TEST(state_names_what_it_means)
{
    static const uint8_t order[] = { VFR_STATE_NEW, VFR_STATE_ESTABLISHED, VFR_STATE_RELATED, VFR_STATE_INVALID, VFR_STATE_NONE };

    for (uint32_t p = 0; p < 5; p++) {
        struct one one;

        one_make(&one, kind("state"));
        ck_assert_ptr_nonnull(one_wrong(&one));
        one.values[p] = 1;
        ck_assert_ptr_null(one_wrong(&one));
        usual_packet();
        for (uint32_t s = 0; s < 256; s++) {
            f.packet.state = (uint8_t)s;
            CHECK(one_run(&one, 0) == (s == order[p]));
        }
        f.packet.state = 0;
        one_end(&one);
    }
}
END_TEST

static uint32_t met_in_a_second(struct one *one, uint32_t each_second, uint64_t from)
{
    uint32_t met = 0;

    for (uint32_t n = 0; n < each_second; n++)
        met += one_run(one, from + n * (SECOND / each_second));
    return met;
}

START_TEST(limit_keeps_rate_and_burst)
{
    struct one one;

    one_make(&one, kind("limit"));
    ck_assert_ptr_nonnull(one_wrong(&one));
    one.values[0] = 100;
    ck_assert_ptr_null(one_wrong(&one));
    usual_packet();
    ck_assert_uint_eq(met_in_a_second(&one, 10000, 5 * SECOND), 109); /* ten at once, then one each 10 ms */
    ck_assert_uint_eq(met_in_a_second(&one, 10000, 6 * SECOND), 100);
    ck_assert_uint_eq(met_in_a_second(&one, 50, 7 * SECOND), 50);
    one.values[4] = 1; /* over */
    ck_assert_uint_eq(met_in_a_second(&one, 10000, 100 * SECOND), 10000 - 109);
    one_end(&one);
}
END_TEST

START_TEST(limit_may_be_of_minutes_and_days)
{
    struct one one;
    uint32_t met = 0;

    one_make(&one, kind("limit"));
    one.values[0] = 6;
    one.values[5] = 3600;
    ck_assert_ptr_null(one_wrong(&one));
    usual_packet();
    for (uint64_t s = 0; s < 7200; s++)
        met += one_run(&one, (1000 + s) * SECOND);
    ck_assert_uint_eq(met, 5 + 11); /* five at once, then one each ten minutes */
    one.values[0] = 1;
    one.values[2] = 10000000; /* deeper than a bucket can be: no more than that */
    one.values[5] = 86400;
    ck_assert(one_run(&one, 1000000 * SECOND));
    one_end(&one);
}
END_TEST

START_TEST(limit_counts_bytes_and_segments)
{
    struct one one;

    one_make(&one, kind("limit"));
    one.values[1] = 52000; /* bytes a second; the packet has 52 */
    one.values[3] = 520;
    usual_packet();
    ck_assert_uint_eq(f.packet.bytes, 52);
    ck_assert_uint_eq(met_in_a_second(&one, 100000, 5 * SECOND), 1009);
    one.values[0] = 10; /* both: what the bytes refuse is not taken from the packets */
    one.values[1] = 52;
    one.values[2] = 2;
    one.values[3] = 52;
    ck_assert_uint_eq(met_in_a_second(&one, 1000, 100 * SECOND), 1);
    one.values[1] = 0;
    one.values[3] = 0;
    ck_assert_uint_eq(met_in_a_second(&one, 1000, 200 * SECOND), 11);
    f.packet.segments = 5; /* more than a burst: goes when the bucket is full, and is paid for */
    ck_assert_uint_eq(met_in_a_second(&one, 1000, 300 * SECOND), 2);
    one_end(&one);
}
END_TEST

START_TEST(limit_source_knows_them_apart)
{
    struct one one;
    uint32_t met = 0;

    one_make(&one, kind("limit-source"));
    one.values[0] = 10;
    for (uint32_t source = 0; source < 50; source++) {
        frame_udp4(&f, &frame_vif, 0x0a000200 + source, 0x0a000202, 1000, 53);
        for (uint32_t n = 0; n < 20; n++)
            met += one_run(&one, 5 * SECOND);
    }
    ck_assert_uint_eq(met, 50 * 5);
    one_end(&one);
}
END_TEST

static bool attempt(struct one *one, uint32_t source, unsigned int port, unsigned int flags, unsigned int state, uint64_t now)
{
    bool met;

    frame_tcp4(&f, &frame_peer, source, 0x0a000210, 40000, port, 1, 0, flags, 0);
    f.packet.state = (uint8_t)state;
    met = one_run(one, now);
    f.packet.state = VFR_STATE_NONE;
    return met;
}

START_TEST(portscan_is_port_after_port)
{
    struct one one;

    one_make(&one, kind("portscan"));
    for (uint32_t n = 0; n < 1000; n++) { /* an ordinary client; a server's answers; what is left of old connections */
        CHECK(!attempt(&one, 0x0a000211, 80 + n % 3, 2, VFR_STATE_NEW, SECOND + n));
        CHECK(!attempt(&one, 0x0a000212, 1000 + n, 16, VFR_STATE_ESTABLISHED, SECOND + n));
        CHECK(!attempt(&one, 0x0a000213, 1000 + n, 16, VFR_STATE_NEW, SECOND + n));
        CHECK(!attempt(&one, 0x0a000213, 1000 + n, 20, VFR_STATE_INVALID, SECOND + n));
    }
    for (uint32_t port = 1; port <= 100; port++) {
        bool met = attempt(&one, 0x0a000299, port, port % 2 != 0 ? 2 : 1, port % 2 != 0 ? VFR_STATE_NEW : VFR_STATE_INVALID, SECOND + port);

        ck_assert(port < 15 ? !met : port <= 40 || met);
    }
    ck_assert(attempt(&one, 0x0a000299, 80, 2, VFR_STATE_NEW, 10 * SECOND)); /* still scanning, for all it tries */
    ck_assert(attempt(&one, 0x0a000299, 80, 2, VFR_STATE_NEW, 19 * SECOND));
    ck_assert(!attempt(&one, 0x0a000299, 80, 16, VFR_STATE_ESTABLISHED, 19 * SECOND));
    ck_assert(!attempt(&one, 0x0a000299, 80, 2, VFR_STATE_NEW, 40 * SECOND)); /* quiet for long enough */
    one_end(&one);
}
END_TEST

START_TEST(malformed_names_faults)
{
    struct one one;

    one_make(&one, kind("malformed"));
    usual_packet();
    ck_assert(!one_run(&one, 0));
    f.packet.faults = VFR_FAULT_FLAGS;
    ck_assert(one_run(&one, 0));
    one.values[0] = 1;
    ck_assert(!one_run(&one, 0));
    one.values[4] = 1;
    ck_assert(one_run(&one, 0));
    one_end(&one);
}
END_TEST

START_TEST(size_and_sample)
{
    struct one size, sample;

    one_make(&size, kind("size"));
    usual_packet();
    ck_assert(one_run(&size, 0));
    size.values[0] = 53;
    ck_assert(!one_run(&size, 0));
    size.values[0] = size.values[1] = 52;
    ck_assert(one_run(&size, 0));
    size.values[1] = 51;
    ck_assert_ptr_nonnull(one_wrong(&size));
    one_end(&size);
    one_make(&sample, kind("sample"));
    ck_assert_uint_eq(met_in_a_second(&sample, 1000, 0), 10);
    one_end(&sample);
}
END_TEST

START_TEST(actions_act)
{
    struct one log, mirror, count;
    uint32_t told = 0;

    usual_packet();
    one_make(&log, kind("log"));
    for (uint32_t n = 0; n < 1000; n++) {
        log.verdict.log = false;
        one_run(&log, 5 * SECOND + n * (SECOND / 1000));
        told += log.verdict.log;
    }
    ck_assert_uint_eq(told, 19); /* ten at once, ten a second */
    one_end(&log);
    one_make(&mirror, kind("mirror"));
    for (uint32_t n = 0; n < 6; n++) {
        mirror.values[0] = n / 2 + 7;
        one_run(&mirror, 0);
    }
    ck_assert_uint_eq(mirror.verdict.mirrors, 2);
    ck_assert_uint_eq(mirror.verdict.mirror[0], 7);
    ck_assert_uint_eq(mirror.verdict.mirror[1], 8);
    one_end(&mirror);
    one_make(&count, kind("count"));
    one_run(&count, 0);
    ck_assert_uint_eq(count.verdict.action, VFR_CONTINUE);
    one_end(&count);
}
END_TEST

Suite *suite_kinds(void);
Suite *suite_kinds(void)
{
    Suite *suite = suite_create("kinds");
    TCase *tests = tcase_create("kinds");

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, tables_are_whole);
    tcase_add_test(tests, answers_depend_on_what_is_given_alone);
    tcase_add_test(tests, who_reads_flows_says_so);
    tcase_add_test(tests, antispoof_is_about_vifs);
    tcase_add_test(tests, match_runs_its_filter);
    tcase_add_test(tests, state_names_what_it_means);
    tcase_add_test(tests, limit_keeps_rate_and_burst);
    tcase_add_test(tests, limit_may_be_of_minutes_and_days);
    tcase_add_test(tests, limit_counts_bytes_and_segments);
    tcase_add_test(tests, limit_source_knows_them_apart);
    tcase_add_test(tests, portscan_is_port_after_port);
    tcase_add_test(tests, malformed_names_faults);
    tcase_add_test(tests, size_and_sample);
    tcase_add_test(tests, actions_act);
    return suite;
}
