// SPDX-License-Identifier: MIT
/*
 * The engine: sets are judged as they are written, the classifier says what the linear evaluator says of random sets and packets (its seed is printed when it does not), counters go over to the next generation.
 * VFR_TEST_ROUNDS=n and VFR_TEST_SEED=s in the environment: more of it.
 */
// needs: engine.c classifier.c classifier-build.c cache.c linear.c ruleset.c store.c packet.c sdk/rules/ruleset-write.c sdk/rules/generate.c
#include <vfr/engine.h>
#include <vfr/generate.h>
#include <vfr/packet.h>
#include <vfr/ruleset-write.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Kinds of our own: they keep count, so that calling one too often, too rarely or too early shows ---- */

static bool third_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)use;
    (void)packet;
    (void)now_ns;
    return ++*(uint64_t *)state % 3 == 0;
}
static bool long_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)state;
    (void)now_ns;
    return packet->bytes >= (use->values != NULL && use->rule % 2 == 0 ? 60 : 40);
}
static void note_act(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    (void)use;
    (void)packet;
    (void)now_ns;
    verdict->log = ++*(uint64_t *)state % 2 == 0;
}
static void sink_act(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    (void)use;
    (void)now_ns;
    if (++*(uint64_t *)state % 4 == 0)
        verdict->action = packet->bytes % 2 == 0 ? VFR_DROP : VFR_CONTINUE;
}
static const struct vfr_parameter bound_params[] = {{"least", VFR_PARAM_UINT, 1, 100, 1, ""}};
static const char *bound_check(const struct vfr_use *use)
{
    return use->values[0] == 13 ? "13 brings bad luck" : NULL;
}
static bool bound_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)state;
    (void)now_ns;
    return packet->bytes >= use->values[0];
}
static const struct vfr_rule_ops third = {.name = "third", .summary = "", .state_bytes = 8, .match = third_match};
static const struct vfr_rule_ops longer = {.name = "long", .summary = "", .wants_flows = true, .match = long_match};
static const struct vfr_rule_ops bound = {.name = "bound", .summary = "", .params = bound_params, .param_count = 1, .check = bound_check, .match = bound_match};
static const struct vfr_rule_ops note = {.name = "note", .summary = "", .state_bytes = 8, .act = note_act};
static const struct vfr_rule_ops sink = {.name = "sink", .summary = "", .state_bytes = 8, .act = sink_act};
const struct vfr_rule_ops *const vfr_rule_kinds[] = {&third, &longer, &bound, &note, &sink, NULL};

/* ---- Memory that counts ---- */

static uint64_t pieces, pieces_left;

static void *piece_alloc(size_t bytes)
{
    ck_assert_uint_le(bytes, 2u << 20);
    if (pieces_left == 0)
        return NULL;
    pieces_left--;
    pieces++;
    return calloc(1, bytes);
}
static void piece_free(void *ptr)
{
    ck_assert_ptr_nonnull(ptr);
    pieces--;
    free(ptr);
}
static const struct vfr_memory memory = {.alloc = piece_alloc, .free = piece_free, .cpus = 2};

struct bytes {
    const uint8_t *bytes;
    uint64_t next;
};
static int read_bytes(void *arg, uint64_t offset, void *to, size_t bytes)
{
    struct bytes *b = arg;

    ck_assert_uint_ge(offset, b->next); /* no byte twice */
    b->next = offset + bytes;
    memcpy(to, b->bytes + offset, bytes);
    return 0;
}
static struct vfr_load_error error;

static int create(struct vfr_engine **engine, const void *set, size_t bytes)
{
    struct bytes b = {.bytes = set};
    struct vfr_source source = {.read = read_bytes, .arg = &b, .bytes = bytes};

    *engine = NULL;
    return vfr_engine_create(engine, &source, &memory, &error);
}

static struct vfr_writer *writer;
static struct vfr_engine *engine;
static struct vfr_iface ifaces[VFR_GENERATE_IFACES];

static void setup(void)
{
    pieces = 0;
    pieces_left = UINT64_MAX;
    writer = vfr_writer_create();
    for (uint32_t i = 0; i < VFR_GENERATE_IFACES; i++)
        vfr_generate_iface(i, &ifaces[i]);
}

static void teardown(void)
{
    vfr_engine_destroy(engine);
    engine = NULL;
    vfr_writer_destroy(writer);
    ck_assert_uint_eq(pieces, 0);
}

static uint64_t last_id;

static void add(struct vfr_set_rule rule, const char *iface)
{
    uint32_t name = iface != NULL ? vfr_writer_name(writer, iface) : 0;

    rule.id = rule.id != 0 ? rule.id : ++last_id;
    if (rule.directions == 0)
        rule.directions = VFR_TX | VFR_RX;
    if (iface != NULL)
        rule.fields |= VFR_FIELD_IFACE;
    vfr_writer_rule(writer, &rule, &name, iface != NULL, NULL, 0, 0);
}

static void *finish(size_t *bytes)
{
    static const struct vfr_set_policy accept[2] = {{.action = VFR_ACCEPT}, {.action = VFR_ACCEPT}};
    void *set = vfr_writer_finish(writer, accept, "text", 4, bytes);

    ck_assert_ptr_nonnull(set);
    return set;
}

static void load(void)
{
    size_t bytes;
    void *set = finish(&bytes);
    int rc = create(&engine, set, bytes);

    ck_assert_msg(rc == 0, "%d: %s", rc, error.text);
    free(set);
}

/* ---- Packets ---- */

static uint8_t frame[VFR_HEADER_MAX];
static struct vfr_packet packet;

static void parse(uint32_t bytes)
{
    packet = (struct vfr_packet){.header = frame, .header_bytes = bytes, .bytes = bytes, .from = &ifaces[0], .to = &ifaces[1]};
    vfr_parse(&packet);
}

static void make_udp(uint32_t source, uint32_t target, uint16_t port)
{
    static const uint8_t head[38] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17};

    memcpy(frame, head, sizeof(head));
    for (int i = 0; i < 4; i++) {
        frame[26 + i] = (uint8_t)(source >> (24 - 8 * i));
        frame[30 + i] = (uint8_t)(target >> (24 - 8 * i));
    }
    frame[34] = 4;
    frame[35] = 0;
    frame[36] = (uint8_t)(port >> 8);
    frame[37] = (uint8_t)port;
    frame[38] = 0;
    frame[39] = 8;
    parse(42);
}

static uint32_t judge(unsigned int direction, const struct vfr_iface *iface)
{
    struct vfr_binding binding;
    struct vfr_verdict v, w;

    vfr_engine_bind(engine, iface, &binding);
    vfr_engine_judge(engine, &packet, direction, &binding, 1, 5, &v);
    vfr_engine_judge_linear(engine, &packet, direction, &binding, 1, 5, &w);
    ck_assert_mem_eq(&v, &w, sizeof(v));
    return v.rule;
}

/* ---- Tests ---- */

START_TEST(an_empty_set_lets_pass)
{
    struct vfr_binding binding;

    load();
    vfr_engine_bind(engine, &ifaces[0], &binding);
    ck_assert(!binding.any[VFR_TX] && !binding.any[VFR_RX]);
    make_udp(0x0a000001, 0x0a000002, 80);
    ck_assert_uint_eq(judge(VFR_TX, &ifaces[0]), VFR_NO_RULE);
}
END_TEST

START_TEST(the_first_that_matches_decides)
{
    add((struct vfr_set_rule){.fields = VFR_FIELD_TARGET_PORT, .target_port = {.low = 443, .high = 443, .set = VFR_SET_NO_SET}, .action = VFR_DROP}, NULL);
    add((struct vfr_set_rule){.fields = VFR_FIELD_TARGET, .target = {.family = 4, .bits = 24, .bytes = {10, 0, 2}}, .action = VFR_ACCEPT}, "web");
    add((struct vfr_set_rule){.action = VFR_DROP, .directions = VFR_TX}, "*.0");
    load();
    make_udp(0x0a000001, 0x0a000205, 443);
    ck_assert_uint_eq(judge(VFR_TX, &ifaces[0]), 0);
    make_udp(0x0a000001, 0x0a000205, 80);
    ck_assert_uint_eq(judge(VFR_TX, &ifaces[0]), 1);
    ck_assert_uint_eq(judge(VFR_TX, &ifaces[1]), 2); /* db.0 */
    ck_assert_uint_eq(judge(VFR_RX, &ifaces[1]), VFR_NO_RULE);
    make_udp(0x0a000001, 0x0a000305, 80);
    ck_assert_uint_eq(judge(VFR_TX, &ifaces[0]), 2);
    ck_assert_uint_eq(judge(VFR_TX, &ifaces[3]), VFR_NO_RULE); /* nic0 */
}
END_TEST

START_TEST(names_mean_interfaces_domains_and_globs)
{
    static const char *const yes[] = {"web", "web.0", "w*", "?eb.0", "*", "w*.0", "*b"}, *const no[] = {"we", "web.1", "db", "x*", "?eb.?.?", "*c"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        vfr_writer_name(writer, yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        vfr_writer_name(writer, no[i]);
    load();
    for (uint32_t i = 0; i < sizeof(yes) / sizeof(yes[0]) + sizeof(no) / sizeof(no[0]); i++)
        ck_assert_msg(vfr_engine_means(engine, i, &ifaces[0]) == (i < sizeof(yes) / sizeof(yes[0])), "%u", i);
}
END_TEST

START_TEST(a_set_of_100000_prefixes_is_searched)
{
    struct vfr_set_range4 *r = calloc(100000, sizeof(*r));
    uint32_t set;

    for (uint32_t i = 0; i < 100000; i++)
        r[i] = (struct vfr_set_range4){0x0b000000 + i * 512, 0x0b000000 + i * 512 + 255};
    set = vfr_writer_addresses(writer, r, 100000, NULL, 0);
    free(r);
    add((struct vfr_set_rule){.fields = VFR_FIELD_SOURCE, .source = {.set = set}, .action = VFR_DROP}, NULL);
    load();
    for (uint32_t i = 0; i < 100000; i += 997) {
        make_udp(0x0b000000 + i * 512 + 255, 1, 1);
        ck_assert_uint_eq(judge(VFR_TX, &ifaces[0]), 0);
        make_udp(0x0b000000 + i * 512 + 256, 1, 1);
        ck_assert_uint_eq(judge(VFR_TX, &ifaces[0]), VFR_NO_RULE);
    }
}
END_TEST

START_TEST(parameters_are_checked_by_range_and_by_kind)
{
    const uint64_t values[] = {1, 100, 0, 101, 13};
    size_t bytes;

    for (size_t i = 0; i < 5; i++) {
        struct vfr_writer *w = vfr_writer_create();
        struct vfr_writer_use use = {.kind = vfr_writer_kind(w, "bound"), .value_count = 1, .values = &values[i]};
        struct vfr_set_rule rule = {.id = 1, .line = 7, .directions = VFR_TX, .action = VFR_DROP};
        static const struct vfr_set_policy accept[2] = {{.action = VFR_ACCEPT}, {.action = VFR_ACCEPT}};
        void *set;

        vfr_writer_rule(w, &rule, NULL, 0, &use, 1, 0);
        set = vfr_writer_finish(w, accept, NULL, 0, &bytes);
        ck_assert_int_eq(create(&engine, set, bytes), i < 2 ? 0 : -EINVAL);
        if (i >= 2)
            ck_assert_uint_eq(error.line, 7);
        if (i == 4)
            ck_assert_str_eq(error.text, "bound: 13 brings bad luck");
        vfr_engine_destroy(engine);
        engine = NULL;
        vfr_writer_destroy(w);
        free(set);
    }
}
END_TEST

/* ---- Random sets ---- */

static const char *const conditions[] = {"third", "long", NULL}, *const actions[] = {"note", "sink", NULL};

/* One thing of the parsed packet. */
static void change(uint64_t *random, uint32_t n)
{
    const uint32_t r = (uint32_t)vfr_random(random);

    switch (n) {
    case 2:
        packet.fragment = packet.family != 0 && !packet.fragment && r % 2;
        packet.l4 = packet.fragment ? 0 : packet.l4;
        break;
    case 3:
        packet.more_fragments = packet.family != 0 && !packet.more_fragments;
        break;
    case 4:
        packet.tcp_flags ^= 0x12;
        break;
    case 5:
        packet.vlan = r % 5 == 4 ? 0xffff : r % 5;
        break;
    case 6:
        packet.source[r % 16] ^= 1;
        packet.target[r / 16 % 16] ^= (uint8_t)(r / 256 % 2);
        break;
    case 7:
        packet.target_port ^= 1;
        packet.icmp_code ^= 1;
        break;
    default:
        break;
    }
}

static void compare(struct vfr_engine *a, struct vfr_engine *b, const void *set, uint64_t *random, uint32_t packets, uint64_t seed)
{
    for (uint32_t i = 0; i < packets; i++) {
        const uint32_t bytes = vfr_generate_frame(set, random, 10, frame), times = vfr_random(random) % 3 == 0 ? 8 : 1;

        parse(bytes);
        for (uint32_t n = 0; n < times; n++) { /* some of them again and nearly again: what comes out of the cache must not be of the other */
            const unsigned int direction = vfr_random(random) % 2 != 0 ? VFR_TX : VFR_RX;
            struct vfr_binding binding;
            struct vfr_verdict v, w;

            vfr_engine_bind(a, &ifaces[vfr_random(random) % (n == 0 ? VFR_GENERATE_IFACES : 3)], &binding);
            change(random, n);
            vfr_engine_judge(a, &packet, direction, &binding, 0, i, &v);
            vfr_engine_judge_linear(b, &packet, direction, &binding, 0, i, &w);
            ck_assert_msg(memcmp(&v, &w, sizeof(v)) == 0, "seed %llu packet %u: action %u rule %d log %d, linear %u %d %d", (unsigned long long)seed, i, v.action, (int)v.rule, v.log, w.action, (int)w.rule, w.log);
        }
    }
    for (uint32_t i = 0; i <= vfr_engine_rules(a); i++) {
        struct vfr_rule_info x, y;

        vfr_engine_rule_info(a, i, &x);
        vfr_engine_rule_info(b, i, &y);
        ck_assert_msg(memcmp(&x, &y, sizeof(x)) == 0, "seed %llu rule %u: counted differently", (unsigned long long)seed, i);
    }
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

START_TEST(classifier_and_linear_agree)
{
    static const uint32_t sizes[] = {0, 1, 3, 10, 30, 100, 300, 1000, 3000};
    const uint64_t rounds = from_environment("VFR_TEST_ROUNDS", 100), first = from_environment("VFR_TEST_SEED", 1);

    for (uint64_t seed = first; seed < first + rounds; seed++) {
        uint64_t random = seed * 77;
        struct vfr_generate how = {.seed = seed, .rules = sizes[seed % 9], .style = seed % 4, .odd = seed % 3 * 40, .plain = seed % 5 == 0, .dense = seed / 2 % 2 == 0, .no_macs = seed % 2 == 0, .conditions = conditions, .actions = actions};
        struct vfr_engine *other;
        size_t bytes;
        void *set = vfr_generate_set(&how, &bytes);

        ck_assert_msg(create(&engine, set, bytes) == 0, "seed %llu line %u: %s", (unsigned long long)seed, error.line, error.text);
        ck_assert_int_eq(create(&other, set, bytes), 0);
        compare(engine, other, set, &random, 600, seed);
        vfr_engine_destroy(other);
        vfr_engine_destroy(engine);
        engine = NULL;
        free(set);
    }
}
END_TEST

/* Rules that differ in nothing but their conditions: more matches than fit at once. */
START_TEST(many_matches_come_in_order)
{
    static const struct vfr_set_policy accept[2] = {{.action = VFR_ACCEPT}, {.action = VFR_ACCEPT}};
    struct vfr_writer_use use = {.kind = vfr_writer_kind(writer, "third")};
    struct vfr_engine *other;
    uint64_t random = 5;
    size_t bytes;
    void *set;

    for (uint32_t i = 0; i < 200; i++) {
        struct vfr_set_rule rule = {.id = i + 1, .directions = VFR_TX | VFR_RX, .action = i % 7 == 6 ? VFR_DROP : VFR_CONTINUE};

        vfr_writer_rule(writer, &rule, NULL, 0, &use, 1, 0);
    }
    set = vfr_writer_finish(writer, accept, NULL, 0, &bytes);
    ck_assert_int_eq(create(&engine, set, bytes), 0);
    ck_assert_int_eq(create(&other, set, bytes), 0);
    compare(engine, other, set, &random, 1000, 0);
    vfr_engine_destroy(other);
    free(set);
}
END_TEST

/* Every allocation in turn fails: nothing leaks, nothing else happens. */
START_TEST(memory_may_run_out_anywhere)
{
    struct vfr_generate how = {.seed = 9, .rules = 500, .style = VFR_STYLE_MIXED, .odd = 50, .conditions = conditions, .actions = actions};
    size_t bytes;
    void *set = vfr_generate_set(&how, &bytes);
    int rc = -ENOMEM;

    for (uint64_t n = 0; rc != 0; n++) {
        pieces_left = n;
        rc = create(&engine, set, bytes);
        ck_assert(rc == 0 || rc == -ENOMEM);
        ck_assert(rc == 0 || pieces == 0);
    }
    pieces_left = UINT64_MAX;
    free(set);
}
END_TEST

START_TEST(counters_go_over_and_come_back)
{
    struct vfr_engine *old, *new;
    struct vfr_rule_info info;
    struct vfr_binding binding;
    struct vfr_verdict v;
    size_t bytes;
    void *set;

    add((struct vfr_set_rule){.id = 77, .action = VFR_ACCEPT}, NULL);
    set = finish(&bytes);
    ck_assert_int_eq(create(&old, set, bytes), 0);
    ck_assert_int_eq(create(&new, set, bytes), 0);
    free(set);
    vfr_engine_bind(old, &ifaces[0], &binding);
    make_udp(1, 2, 3);
    vfr_engine_judge(old, &packet, VFR_TX, &binding, 0, 1, &v);
    vfr_engine_inherit(new, old, false);
    vfr_engine_judge(old, &packet, VFR_TX, &binding, 0, 2, &v); /* still in force for a moment */
    vfr_engine_judge(new, &packet, VFR_TX, &binding, 0, 3, &v);
    vfr_engine_inherit(new, old, true);
    vfr_engine_rule_info(new, 0, &info);
    ck_assert_uint_eq(info.packets, 3);
    ck_assert_uint_eq(info.bytes, 3 * 42);
    ck_assert_uint_eq(info.last_ns, 3);
    vfr_engine_inherit(new, old, true);
    vfr_engine_rule_info(new, 0, &info);
    ck_assert_uint_eq(info.packets, 3);
    /* Put back: the old one judges on, and gets what the new one counted. */
    vfr_engine_judge(old, &packet, VFR_TX, &binding, 0, 4, &v);
    vfr_engine_inherit(old, new, true);
    vfr_engine_rule_info(old, 0, &info);
    ck_assert_uint_eq(info.packets, 4);
    vfr_engine_destroy(old);
    vfr_engine_destroy(new);
}
END_TEST

/* A set with one byte changed is refused or taken, and whatever was taken agrees with the oracle. */
START_TEST(damaged_sets_do_no_harm)
{
    struct vfr_generate how = {.seed = 4, .rules = 40, .style = VFR_STYLE_MIXED, .odd = 60, .conditions = conditions, .actions = actions};
    uint64_t random = 3, taken = 0;
    size_t bytes;
    uint8_t *set = vfr_generate_set(&how, &bytes), *copy = malloc(bytes);

    for (uint32_t i = 0; i < 3000; i++) {
        struct bytes b = {.bytes = copy};
        struct vfr_source source = {.read = read_bytes, .arg = &b, .bytes = vfr_random(&random) % 10 == 0 ? vfr_random(&random) % bytes : bytes};
        int rc;

        memcpy(copy, set, bytes);
        copy[vfr_random(&random) % (i % 2 == 0 ? bytes : 200)] ^= (uint8_t)(1u << vfr_random(&random) % 8);
        rc = vfr_engine_create(&engine, &source, &memory, &error);
        if (rc == 0) {
            make_udp((uint32_t)vfr_random(&random), (uint32_t)vfr_random(&random), 80);
            taken++;
            vfr_engine_destroy(engine);
        } else {
            ck_assert_uint_eq(pieces, 0);
            ck_assert(rc != -EINVAL || error.text[0] != '\0');
        }
        engine = NULL;
    }
    ck_assert_uint_gt(taken, 10);
    free(copy);
    free(set);
}
END_TEST

Suite *suite_engine(void)
{
    Suite *s = suite_create("engine");
    TCase *t = tcase_create("engine");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, an_empty_set_lets_pass);
    tcase_add_test(t, the_first_that_matches_decides);
    tcase_add_test(t, names_mean_interfaces_domains_and_globs);
    tcase_add_test(t, a_set_of_100000_prefixes_is_searched);
    tcase_add_test(t, parameters_are_checked_by_range_and_by_kind);
    tcase_add_test(t, classifier_and_linear_agree);
    tcase_add_test(t, many_matches_come_in_order);
    tcase_add_test(t, memory_may_run_out_anywhere);
    tcase_add_test(t, counters_go_over_and_come_back);
    tcase_add_test(t, damaged_sets_do_no_harm);
    suite_add_tcase(s, t);
    return s;
}
