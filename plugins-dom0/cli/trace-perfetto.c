/* SPDX-License-Identifier: MIT */
/*
 * Perfetto's own trace format: a Trace message of TracePacket messages, of which only these fields are needed (perfetto's protos/perfetto/trace give the numbers):
 *     Trace            1 packet
 *     TracePacket      8 timestamp  10 trusted_packet_sequence_id  11 track_event  13 sequence_flags  60 track_descriptor
 *     TrackDescriptor  1 uuid  2 name  3 process { 1 pid  6 process_name }  5 parent_uuid  11 child_ordering (3 by rank)  12 sibling_order_rank
 *     TrackEvent       4 debug_annotations { 10 name  3 uint_value }  9 type (1 begin, 2 end, 3 instant)  11 track_uuid  22 categories  23 name
 * Times are nanoseconds of the hypervisor's clock, which Perfetto takes for its boot clock: both count from boot.
 * Contract: trace.h. Tests: test-trace.c, which decodes what is written.
 */
#include "trace.h"

#include <string.h>

#define SEQUENCE    1
#define PID_CPUS    1
#define RANK_DISKS  1000 /* below the vCPUs */
#define PID_DOMAINS 1000 /* plus the domain's number: a process 0 would be taken for the idle process */

struct message {
    unsigned char bytes[512];
    size_t used;
};

static void put_varint(struct message *m, uint64_t value)
{
    do {
        unsigned char byte = value & 0x7f;

        value >>= 7;
        if (m->used < sizeof(m->bytes))
            m->bytes[m->used++] = byte | (value != 0 ? 0x80 : 0);
    } while (value != 0);
}

static void put_uint(struct message *m, unsigned int field, uint64_t value)
{
    put_varint(m, field << 3);
    put_varint(m, value);
}

static void put_bytes(struct message *m, unsigned int field, const void *bytes, size_t count)
{
    /* Names are short; one that is not must not spoil the message. */
    if (m->used + count + 8 > sizeof(m->bytes))
        return;
    put_varint(m, field << 3 | 2);
    put_varint(m, count);
    memcpy(m->bytes + m->used, bytes, count);
    m->used += count;
}

static void put_text(struct message *m, unsigned int field, const char *text)
{
    put_bytes(m, field, text, strnlen(text, 200));
}

static void put_message(struct message *m, unsigned int field, const struct message *inner)
{
    put_bytes(m, field, inner->bytes, inner->used);
}

static void write_packet(struct trace_out *o, const struct message *packet)
{
    struct message head = { .used = 0 };

    put_varint(&head, 1 << 3 | 2);
    put_varint(&head, packet->used);
    fwrite(head.bytes, 1, head.used, o->file);
    fwrite(packet->bytes, 1, packet->used, o->file);
}

static uint64_t group_uuid(uint32_t group)
{
    return 0xc011e70000000000ull | group;
}

static uint64_t track_uuid(const struct trace_track *track)
{
    return 0xc0ull << 56 | (uint64_t)track->kind << 48 | (uint64_t)track->domid << 32 | track->number << 16 | track->disk << 8 | track->lane;
}

static void write_descriptor(struct trace_out *o, const struct message *descriptor)
{
    struct message packet = { .used = 0 };

    put_uint(&packet, 10, SEQUENCE);
    put_message(&packet, 60, descriptor);
    write_packet(o, &packet);
}

static void perfetto_begin(struct trace_out *o)
{
    struct message packet = { .used = 0 };

    put_uint(&packet, 10, SEQUENCE);
    put_uint(&packet, 13, 1); /* nothing before this packet matters */
    write_packet(o, &packet);
}

static void perfetto_group(struct trace_out *o, uint32_t group, const char *name)
{
    struct message process = { .used = 0 }, descriptor = { .used = 0 };

    put_uint(&process, 1, group == TRACE_GROUP_CPUS ? PID_CPUS : PID_DOMAINS + group);
    put_text(&process, 6, name);
    put_uint(&descriptor, 1, group_uuid(group));
    put_message(&descriptor, 3, &process);
    put_uint(&descriptor, 11, 3);
    write_descriptor(o, &descriptor);
}

static void perfetto_track(struct trace_out *o, const struct trace_track *track, const char *name)
{
    struct message descriptor = { .used = 0 };

    put_uint(&descriptor, 1, track_uuid(track));
    put_text(&descriptor, 2, name);
    put_uint(&descriptor, 5, group_uuid(trace_track_group(track)));
    put_uint(&descriptor, 12, track->kind == TRACE_TRACK_DISK ? RANK_DISKS + (track->number << 8 | track->disk) : track->number * 2 + (track->kind == TRACE_TRACK_HYPERCALLS));
    write_descriptor(o, &descriptor);
}

static void write_event(struct trace_out *o, const struct trace_track *track, unsigned int type, uint64_t time_ns, const struct trace_span *span)
{
    struct message packet = { .used = 0 }, event = { .used = 0 }, note = { .used = 0 };

    if (span != NULL && span->note_name != NULL) {
        put_text(&note, 10, span->note_name);
        put_uint(&note, 3, span->note);
        put_message(&event, 4, &note);
    }
    put_uint(&event, 9, type);
    put_uint(&event, 11, track_uuid(track));
    if (span != NULL) {
        put_text(&event, 22, "collet");
        put_text(&event, 23, span->name);
    }
    put_uint(&packet, 8, time_ns);
    put_uint(&packet, 10, SEQUENCE);
    put_message(&packet, 11, &event);
    write_packet(o, &packet);
}

static void perfetto_slice(struct trace_out *o, const struct trace_track *track, const struct trace_span *span)
{
    write_event(o, track, 1, span->start_ns, span);
    write_event(o, track, 2, span->end_ns, NULL);
}

static void perfetto_instant(struct trace_out *o, const struct trace_track *track, const struct trace_span *span)
{
    write_event(o, track, 3, span->start_ns, span);
}

const struct trace_format trace_perfetto = {
    .name = "perfetto",
    .ending = ".perfetto-trace",
    .binary = true,
    .begin = perfetto_begin,
    .group = perfetto_group,
    .track = perfetto_track,
    .slice = perfetto_slice,
    .instant = perfetto_instant,
};
