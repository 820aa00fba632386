// SPDX-License-Identifier: MIT
/*
 * Sets of rules that may be anything, to the engine: it takes them or says what is wrong, nothing leaks, and what it took judges packets as the linear evaluator does. A mutator of our own keeps the size in the header
 * right, so that what lies behind it is reached: sets are made from a seed, then damaged.
 * Input: eight bytes of seed, then places and what is written there.
 */
// needs: sdk/vfr/engine.c sdk/vfr/classifier.c sdk/vfr/classifier-build.c sdk/vfr/cache.c sdk/vfr/linear.c sdk/vfr/ruleset.c sdk/vfr/store.c sdk/vfr/packet.c sdk/rules/ruleset-write.c sdk/rules/generate.c
#include <vfr/engine.h>
#include <vfr/generate.h>
#include <vfr/packet.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool third_match(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns)
{
    (void)use;
    (void)packet;
    (void)now_ns;
    return ++*(uint64_t *)state % 3 == 0;
}
static void note_act(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict)
{
    (void)use;
    (void)packet;
    (void)now_ns;
    verdict->log = ++*(uint64_t *)state % 2 == 0;
}
static const struct vfr_rule_ops third = {.name = "third", .summary = "", .state_bytes = 8, .match = third_match};
static const struct vfr_rule_ops note = {.name = "note", .summary = "", .state_bytes = 8, .act = note_act};
const struct vfr_rule_ops *const vfr_rule_kinds[] = {&third, &note, NULL};

static int64_t pieces;

static void *piece_alloc(size_t bytes)
{
    if (bytes > 2u << 20)
        abort();
    pieces++;
    return calloc(1, bytes);
}
static void piece_free(void *ptr)
{
    pieces--;
    free(ptr);
}
static int read_bytes(void *arg, uint64_t offset, void *to, size_t bytes)
{
    memcpy(to, (const uint8_t *)arg + offset, bytes);
    return 0;
}

static struct vfr_engine *create(void *set, size_t bytes)
{
    static const struct vfr_memory memory = {.alloc = piece_alloc, .free = piece_free, .cpus = 1};
    struct vfr_source source = {.read = read_bytes, .arg = set, .bytes = bytes};
    struct vfr_load_error error;
    struct vfr_engine *engine = NULL;

    return vfr_engine_create(&engine, &source, &memory, &error) == 0 ? engine : NULL;
}

static void compare(struct vfr_engine *a, struct vfr_engine *b, const void *good, uint64_t random)
{
    static uint8_t frame[VFR_HEADER_MAX];

    for (uint32_t i = 0; i < 30; i++) {
        struct vfr_iface iface;
        struct vfr_binding binding;
        struct vfr_verdict v, w;
        uint32_t bytes = vfr_generate_frame(good, &random, 20, frame);
        struct vfr_packet packet = {.header = frame, .header_bytes = bytes, .bytes = bytes, .from = &iface, .to = &iface};

        vfr_generate_iface(i % VFR_GENERATE_IFACES, &iface);
        vfr_parse(&packet);
        vfr_engine_bind(a, &iface, &binding);
        vfr_engine_judge(a, &packet, 1 + i % 2, &binding, 0, i, &v);
        vfr_engine_judge_linear(b, &packet, 1 + i % 2, &binding, 0, i, &w);
        if (memcmp(&v, &w, sizeof(v)) != 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const conditions[] = {"third", NULL}, *const actions[] = {"note", NULL};
    struct vfr_generate how = {.style = VFR_STYLE_MIXED, .odd = 60, .conditions = conditions, .actions = actions};
    struct vfr_engine *a, *b;
    uint8_t *good, *set;
    size_t bytes;

    if (size < 8)
        return 0;
    memcpy(&how.seed, data, 4);
    how.rules = data[4];
    good = vfr_generate_set(&how, &bytes);
    set = malloc(bytes);
    memcpy(set, good, bytes);
    for (size_t at = 8; at + 4 <= size; at += 4) {
        uint32_t place = (uint32_t)data[at] << 16 | data[at + 1] << 8 | data[at + 2];

        set[place % bytes] = data[at + 3];
    }
    a = create(set, bytes);
    b = a != NULL ? create(set, bytes) : NULL;
    if (b != NULL)
        compare(a, b, good, how.seed);
    vfr_engine_destroy(a);
    vfr_engine_destroy(b);
    if (pieces != 0)
        abort();
    free(set);
    free(good);
    return 0;
}
