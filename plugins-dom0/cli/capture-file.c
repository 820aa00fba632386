/* SPDX-License-Identifier: MIT */
/*
 * Files of frames: pcapng (draft-ietf-opsawg-pcapng) with an interface for each VIF, directions, comments and statistics; and pcap with nanoseconds, which has none of these.
 *
 * Numbers are in this machine's order, as both formats allow. Interfaces are described when their first frame comes, or at the end if only frames of theirs were dropped.
 * Contract: capture.h.  Tests: test-capture.c, which has tshark and tcpdump read what is written.
 */
#include "capture.h"

#include <inttypes.h>
#include <string.h>

#define SNAP_ALL 262144u /* as tcpdump says it */
#define LINK_ETHERNET 1u
#define TEXT_MOST 500u

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
enum { OPTION_END = 0, OPTION_COMMENT = 1 };
enum { SECTION_OS = 3, SECTION_PROGRAM = 4 };
enum { INTERFACE_NAME = 2, INTERFACE_DESCRIPTION = 3, INTERFACE_RESOLUTION = 9, INTERFACE_FILTER = 11 };
enum { PACKET_FLAGS = 2, PACKET_DROPPED = 4 };
enum { STATISTICS_BEGAN = 2, STATISTICS_ENDED = 3, STATISTICS_RECEIVED = 4, STATISTICS_ACCEPTED = 6, STATISTICS_OS_DROPPED = 7, STATISTICS_DELIVERED = 8 };

/* A block while it is put together: what it has beside the frame is small. */
struct block {
    uint8_t bytes[2048];
    uint32_t used;
};

static void put(struct block *b, const void *from, size_t bytes)
{
    if (bytes == 0 || bytes > sizeof(b->bytes) - b->used)
        return; /* too much cannot be: see the lengths of texts */
    memcpy(b->bytes + b->used, from, bytes);
    b->used += (uint32_t)bytes;
}

static void put32(struct block *b, uint32_t value)
{
    put(b, &value, sizeof(value));
}

static void put_time(struct block *b, uint64_t time_ns)
{
    put32(b, (uint32_t)(time_ns >> 32));
    put32(b, (uint32_t)time_ns);
}

static void put_option(struct block *b, uint16_t code, const void *value, size_t bytes)
{
    static const uint8_t zeroes[4];
    uint16_t head[2] = { code, (uint16_t)bytes };

    put(b, head, sizeof(head));
    put(b, value, bytes);
    put(b, zeroes, (4 - bytes % 4) % 4);
}

static void put_text(struct block *b, uint16_t code, const char *text)
{
    size_t n = strlen(text);

    put_option(b, code, text, n < TEXT_MOST ? n : TEXT_MOST);
}

static void put_option64(struct block *b, uint16_t code, uint64_t value)
{
    put_option(b, code, &value, sizeof(value));
}

static void write_block(struct capture_file *f, uint32_t type, const struct block *head, const void *data, uint32_t data_bytes, const struct block *tail)
{
    static const uint8_t zeroes[4];
    uint32_t fill = (4 - data_bytes % 4) % 4, total = 12 + head->used + data_bytes + fill + tail->used, begin[2] = { type, total };

    fwrite(begin, 1, sizeof(begin), f->file);
    fwrite(head->bytes, 1, head->used, f->file);
    if (data_bytes != 0)
        fwrite(data, 1, data_bytes, f->file);
    fwrite(zeroes, 1, fill, f->file);
    fwrite(tail->bytes, 1, tail->used, f->file);
    fwrite(&total, 1, sizeof(total), f->file);
}

static const struct block nothing;

static uint32_t snap_told(const struct capture_file *f)
{
    return f->snap_bytes != 0 ? f->snap_bytes : SNAP_ALL;
}

static void write_section(struct capture_file *f)
{
    struct block b = { .used = 0 };
    uint16_t version[2] = { 1, 0 };

    put32(&b, 0x1a2b3c4d);
    put(&b, version, sizeof(version));
    put_time(&b, UINT64_MAX); /* its length is not known yet */
    put_text(&b, SECTION_OS, "Collet " CLI_VERSION);
    put_text(&b, SECTION_PROGRAM, "collet capture " CLI_VERSION);
    put_option(&b, OPTION_END, NULL, 0);
    write_block(f, BLOCK_SECTION, &b, NULL, 0, &nothing);
}

static void write_interface(struct capture_file *f, const char *name)
{
    struct block b = { .used = 0 };
    uint16_t link[2] = { LINK_ETHERNET, 0 };
    const char *dot = strchr(name, '.');
    char text[128], filter[502];

    put(&b, link, sizeof(link));
    put32(&b, snap_told(f));
    put_text(&b, INTERFACE_NAME, name);
    if (dot != NULL) {
        snprintf(text, sizeof(text), "VIF of the domain %.*s", (int)(dot - name), name);
        put_text(&b, INTERFACE_DESCRIPTION, text);
    }
    put_option(&b, INTERFACE_RESOLUTION, "\x09", 1); /* 10^-9 s */
    if (f->filter != NULL) {
        filter[0] = 0; /* it is text of libpcap */
        snprintf(filter + 1, sizeof(filter) - 1, "%s", f->filter);
        put_option(&b, INTERFACE_FILTER, filter, 1 + strlen(filter + 1));
    }
    put_option(&b, OPTION_END, NULL, 0);
    write_block(f, BLOCK_INTERFACE, &b, NULL, 0, &nothing);
}

/* The number of an interface in the file. Beyond what there is room for, the last one is everybody's. */
static uint32_t interface_number(struct capture_file *f, const char *name)
{
    const unsigned int most = sizeof(f->names) / sizeof(f->names[0]);

    for (unsigned int i = 0; i < f->name_count; i++)
        if (strcmp(f->names[i], name) == 0)
            return i;
    if (f->name_count == most)
        return most - 1;
    snprintf(f->names[f->name_count], sizeof(f->names[0]), "%s", f->name_count < most - 1 ? name : "others");
    write_interface(f, f->names[f->name_count]);
    return f->name_count++;
}

static void write_packet(struct capture_file *f, const struct capture_frame *frame)
{
    const struct collet_capture_record *r = frame->record;
    uint32_t flags = r->direction == COLLET_CAPTURE_IN ? 1 : 2;
    struct block head = { .used = 0 }, tail = { .used = 0 };

    put32(&head, interface_number(f, r->name));
    put_time(&head, frame->time_ns);
    put32(&head, r->captured);
    put32(&head, r->frame_bytes);
    put_option(&tail, PACKET_FLAGS, &flags, sizeof(flags));
    if (frame->dropped != 0)
        put_option64(&tail, PACKET_DROPPED, frame->dropped);
    if (frame->comment != NULL)
        put_text(&tail, OPTION_COMMENT, frame->comment);
    put_option(&tail, OPTION_END, NULL, 0);
    write_block(f, BLOCK_PACKET, &head, frame->bytes, r->captured, &tail);
}

static void write_statistics(struct capture_file *f, const struct collet_capture_iface *counters)
{
    struct block b = { .used = 0 }, time = { .used = 0 };

    put32(&b, interface_number(f, counters->name));
    put_time(&b, f->ended_ns);
    put_time(&time, f->begun_ns);
    put_option(&b, STATISTICS_BEGAN, time.bytes, time.used);
    time.used = 0;
    put_time(&time, f->ended_ns);
    put_option(&b, STATISTICS_ENDED, time.bytes, time.used);
    put_option64(&b, STATISTICS_RECEIVED, counters->seen);
    put_option64(&b, STATISTICS_ACCEPTED, counters->recorded + counters->dropped);
    put_option64(&b, STATISTICS_OS_DROPPED, counters->dropped);
    put_option64(&b, STATISTICS_DELIVERED, counters->recorded);
    put_option(&b, OPTION_END, NULL, 0);
    write_block(f, BLOCK_STATISTICS, &b, NULL, 0, &nothing);
}

/* ---- pcap ---- */

static void write_pcap_header(struct capture_file *f)
{
    struct {
        uint32_t magic; /* of nanoseconds */
        uint16_t major, minor;
        uint32_t zone, accuracy, snap, link;
    } h = { 0xa1b23c4d, 2, 4, 0, 0, snap_told(f), LINK_ETHERNET };

    fwrite(&h, 1, sizeof(h), f->file);
}

static void write_pcap_frame(struct capture_file *f, const struct capture_frame *frame)
{
    uint32_t head[4] = { (uint32_t)(frame->time_ns / 1000000000), (uint32_t)(frame->time_ns % 1000000000), frame->record->captured, frame->record->frame_bytes };

    fwrite(head, 1, sizeof(head), f->file);
    fwrite(frame->bytes, 1, frame->record->captured, f->file);
}

/* ---- Either ---- */

void capture_file_begin(struct capture_file *f)
{
    if (f->format == CAPTURE_PCAP)
        write_pcap_header(f);
    else
        write_section(f);
}

void capture_file_frame(struct capture_file *f, const struct capture_frame *frame)
{
    if (f->format == CAPTURE_PCAP)
        write_pcap_frame(f, frame);
    else
        write_packet(f, frame);
}

void capture_file_end(struct capture_file *f, const struct collet_capture_iface *counters, unsigned int count)
{
    if (f->format == CAPTURE_PCAPNG)
        for (unsigned int i = 0; i < count; i++)
            write_statistics(f, &counters[i]);
    fflush(f->file);
}
