// SPDX-License-Identifier: MIT
/*
 * Writing a set of rules in its binary form: each section is a buffer that grows; at the end they are laid one behind the other. For programs on libc: the compiler of the rule language, generators, tests.
 * Contract: <vfr/ruleset-write.h>, <vfr/ruleset.h>. Tests: sdk/vfr/test-ruleset.c.
 */
#include <vfr/ruleset-write.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    uint8_t *bytes;
    size_t used, room;
};
struct vfr_writer {
    struct buffer section[VFR_SET_SECTIONS];
    uint32_t count[VFR_SET_SECTIONS];
    bool failed;
};

static void put(struct vfr_writer *w, enum vfr_set_section section, const void *bytes, size_t count)
{
    struct buffer *b = &w->section[section];

    if (count == 0)
        return;
    if (b->used + count > b->room) {
        size_t room = (b->room + count) * 2;
        uint8_t *more = realloc(b->bytes, room);

        if (more == NULL) {
            w->failed = true;
            return;
        }
        b->bytes = more;
        b->room = room;
    }
    memcpy(b->bytes + b->used, bytes, count);
    b->used += count;
}

static uint32_t put_entry(struct vfr_writer *w, enum vfr_set_section section, const void *entry, size_t bytes)
{
    put(w, section, entry, bytes);
    return w->count[section]++;
}

struct vfr_writer *vfr_writer_create(void)
{
    return calloc(1, sizeof(struct vfr_writer));
}

void vfr_writer_destroy(struct vfr_writer *writer)
{
    if (writer == NULL)
        return;
    for (unsigned int i = 0; i < VFR_SET_SECTIONS; i++)
        free(writer->section[i].bytes);
    free(writer);
}

static uint32_t put_name(struct vfr_writer *w, enum vfr_set_section section, const char *text)
{
    struct vfr_set_name name = {{0}};
    const struct vfr_set_name *have = (const struct vfr_set_name *)(const void *)w->section[section].bytes;

    memcpy(name.text, text, strnlen(text, sizeof(name.text) - 1));
    for (uint32_t i = 0; i < w->section[section].used / sizeof(name); i++) {
        if (memcmp(&have[i], &name, sizeof(name)) == 0)
            return i;
    }
    return put_entry(w, section, &name, sizeof(name));
}

uint32_t vfr_writer_name(struct vfr_writer *writer, const char *name)
{
    return put_name(writer, VFR_SET_NAMES, name);
}

uint32_t vfr_writer_kind(struct vfr_writer *writer, const char *name)
{
    return put_name(writer, VFR_SET_KINDS, name);
}

/* ---- Sets: sorted, joined ---- */

static int compare_range4(const void *x, const void *y)
{
    const struct vfr_set_range4 *a = x, *b = y;

    return a->low < b->low ? -1 : a->low > b->low;
}

static int compare_range6(const void *x, const void *y)
{
    const struct vfr_set_range6 *a = x, *b = y;

    if (a->low[0] != b->low[0])
        return a->low[0] < b->low[0] ? -1 : 1;
    return a->low[1] < b->low[1] ? -1 : a->low[1] > b->low[1];
}

static int compare_ports(const void *x, const void *y)
{
    const struct vfr_set_port_range *a = x, *b = y;

    return a->low < b->low ? -1 : a->low > b->low;
}

static uint32_t join4(struct vfr_set_range4 *r, uint32_t count)
{
    uint32_t n = 0;

    qsort(r, count, sizeof(*r), compare_range4);
    for (uint32_t i = 0; i < count; i++) {
        if (n != 0 && (r[n - 1].high == UINT32_MAX || r[i].low <= r[n - 1].high + 1)) {
            if (r[i].high > r[n - 1].high)
                r[n - 1].high = r[i].high;
        } else {
            r[n++] = r[i];
        }
    }
    return n;
}

static bool above(const uint64_t a[2], const uint64_t b[2])
{
    return a[0] != b[0] ? a[0] > b[0] : a[1] > b[1];
}

static uint32_t join6(struct vfr_set_range6 *r, uint32_t count)
{
    uint32_t n = 0;

    qsort(r, count, sizeof(*r), compare_range6);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t next[2] = {0, 0};

        if (n != 0) {
            next[1] = r[n - 1].high[1] + 1;
            next[0] = r[n - 1].high[0] + (next[1] == 0);
        }
        if (n != 0 && ((next[0] == 0 && next[1] == 0) || !above(r[i].low, next))) {
            if (above(r[i].high, r[n - 1].high))
                memcpy(r[n - 1].high, r[i].high, sizeof(r[i].high));
        } else {
            r[n++] = r[i];
        }
    }
    return n;
}

static uint32_t join_ports(struct vfr_set_port_range *r, uint32_t count)
{
    uint32_t n = 0;

    qsort(r, count, sizeof(*r), compare_ports);
    for (uint32_t i = 0; i < count; i++) {
        if (n != 0 && (uint32_t)r[i].low <= (uint32_t)r[n - 1].high + 1) {
            if (r[i].high > r[n - 1].high)
                r[n - 1].high = r[i].high;
        } else {
            r[n++] = r[i];
        }
    }
    return n;
}

static void *copy_of(struct vfr_writer *w, const void *bytes, size_t count)
{
    void *copy = malloc(count + 1);

    if (copy == NULL)
        w->failed = true;
    else if (count != 0)
        memcpy(copy, bytes, count);
    return copy;
}

uint32_t vfr_writer_addresses(struct vfr_writer *writer, const struct vfr_set_range4 *ranges4, uint32_t count4, const struct vfr_set_range6 *ranges6, uint32_t count6)
{
    struct vfr_set_range4 *r4 = copy_of(writer, ranges4, count4 * sizeof(*r4));
    struct vfr_set_range6 *r6 = copy_of(writer, ranges6, count6 * sizeof(*r6));
    struct vfr_set_addresses set = {0, 0};

    if (r4 != NULL && r6 != NULL) {
        set.count4 = join4(r4, count4);
        set.count6 = join6(r6, count6);
        put(writer, VFR_SET_RANGES4, r4, set.count4 * sizeof(*r4));
        put(writer, VFR_SET_RANGES6, r6, set.count6 * sizeof(*r6));
        writer->count[VFR_SET_RANGES4] += set.count4;
        writer->count[VFR_SET_RANGES6] += set.count6;
    }
    free(r4);
    free(r6);
    return put_entry(writer, VFR_SET_ADDRESS_SETS, &set, sizeof(set));
}

uint32_t vfr_writer_ports(struct vfr_writer *writer, const struct vfr_set_port_range *ranges, uint32_t count)
{
    struct vfr_set_port_range *r = copy_of(writer, ranges, count * sizeof(*r));
    struct vfr_set_ports set = {0};

    if (r != NULL) {
        set.count = join_ports(r, count);
        put(writer, VFR_SET_PORT_RANGES, r, set.count * sizeof(*r));
        writer->count[VFR_SET_PORT_RANGES] += set.count;
    }
    free(r);
    return put_entry(writer, VFR_SET_PORT_SETS, &set, sizeof(set));
}

struct vfr_set_range4 vfr_writer_prefix4(uint32_t address, unsigned int bits)
{
    uint32_t mask = bits == 0 ? 0 : ~0u << (32 - bits);

    return (struct vfr_set_range4){address & mask, address | ~mask};
}

struct vfr_set_range6 vfr_writer_prefix6(const uint8_t address[16], unsigned int bits)
{
    struct vfr_set_range6 range;

    for (unsigned int half = 0; half < 2; half++) {
        unsigned int here = bits > 64 * half ? bits - 64 * half : 0;
        uint64_t word = 0, mask = here == 0 ? 0 : here >= 64 ? ~0ull : ~0ull << (64 - here);

        for (unsigned int i = 0; i < 8; i++)
            word = word << 8 | address[half * 8 + i];
        range.low[half] = word & mask;
        range.high[half] = word | ~mask;
    }
    return range;
}

/* ---- Rules ---- */

static void put_use(struct vfr_writer *w, const struct vfr_writer_use *from)
{
    static const uint8_t zeros[8];
    struct vfr_set_use use = {.kind = from->kind, .values = from->value_count, .data_bytes = from->data_bytes};
    uint32_t fill = -from->data_bytes & 7;

    put_entry(w, VFR_SET_USES, &use, sizeof(use));
    put(w, VFR_SET_VALUES, from->values, from->value_count * sizeof(uint64_t));
    w->count[VFR_SET_VALUES] += from->value_count;
    put(w, VFR_SET_DATA, from->data, from->data_bytes);
    put(w, VFR_SET_DATA, zeros, fill);
    w->count[VFR_SET_DATA] += from->data_bytes + fill;
}

uint32_t vfr_writer_rule(struct vfr_writer *writer, const struct vfr_set_rule *rule, const uint32_t *ifaces, uint32_t iface_count, const struct vfr_writer_use *uses, uint32_t conditions, uint32_t actions)
{
    struct vfr_set_rule copy = *rule;

    copy.ifaces = (uint16_t)iface_count;
    copy.conditions = (uint8_t)conditions;
    copy.actions = (uint8_t)actions;
    put(writer, VFR_SET_RULE_IFACES, ifaces, iface_count * sizeof(*ifaces));
    writer->count[VFR_SET_RULE_IFACES] += iface_count;
    for (uint32_t i = 0; i < conditions + actions; i++)
        put_use(writer, &uses[i]);
    return put_entry(writer, VFR_SET_RULES, &copy, sizeof(copy));
}

void *vfr_writer_finish(struct vfr_writer *writer, const struct vfr_set_policy policy[2], const char *text, size_t text_bytes, size_t *bytes)
{
    struct vfr_set_header header = {.magic = VFR_SET_MAGIC, .version = VFR_SET_VERSION, .header_bytes = sizeof(header)};
    size_t at = sizeof(header);
    uint8_t *set;

    if (text != NULL) {
        put(writer, VFR_SET_TEXT, text, text_bytes);
        writer->count[VFR_SET_TEXT] = (uint32_t)text_bytes;
    }
    header.bytes = sizeof(header);
    for (unsigned int i = 0; i < VFR_SET_SECTIONS; i++)
        header.bytes += (writer->section[i].used + 7) & ~7ull;
    memcpy(header.policy, policy, sizeof(header.policy));
    memcpy(header.count, writer->count, sizeof(header.count));
    set = writer->failed ? NULL : calloc(1, header.bytes);
    if (set == NULL)
        return NULL;
    memcpy(set, &header, sizeof(header));
    for (unsigned int i = 0; i < VFR_SET_SECTIONS; i++) {
        if (writer->section[i].used != 0)
            memcpy(set + at, writer->section[i].bytes, writer->section[i].used);
        at += (writer->section[i].used + 7) & ~7ull;
    }
    *bytes = header.bytes;
    return set;
}
