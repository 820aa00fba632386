/* SPDX-License-Identifier: MIT */
/*
 * Reading files of frames: pcapng with the names of its interfaces and the direction of each frame, which libpcap keeps to itself; pcap through libpcap.
 *
 * A pcapng file comes from anywhere: lengths are checked before they are believed. Blocks that say nothing of frames or interfaces are passed over.
 * Contract: capture-read.h.  Tests: test-rules-cli.c.
 */
#include "capture-read.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES_MAX (16u << 20)
#define FRAME_BYTES_MAX 262144u
#define LINK_ETHERNET   1u

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_OLD_PACKET = 2, BLOCK_SIMPLE_PACKET = 3, BLOCK_PACKET = 6 };
enum { OPTION_END = 0, INTERFACE_NAME = 2, INTERFACE_RESOLUTION = 9, INTERFACE_OFFSET = 14, PACKET_FLAGS = 2 };

struct interface {
    char name[64]; /* empty: it has none */
    uint16_t link;
    uint32_t snap_bytes;
    long double ns_per_unit;
    int64_t offset_s;
};

struct capture_reader {
    FILE *file;   /* pcapng */
    pcap_t *pcap; /* else */
    bool swapped;
    uint8_t *block; /* its body, 4-byte aligned */
    uint32_t block_bytes, block_room;
    struct interface *interfaces;
    uint32_t interface_count, interface_room;
    uint64_t frames;
    char *error;
};

static int wrong(struct capture_reader *r, const char *what)
{
    snprintf(r->error, CAPTURE_READ_ERROR, "behind packet %llu: %s", (unsigned long long)r->frames, what);
    return -1;
}

static uint32_t get32(const struct capture_reader *r, const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return r->swapped ? __builtin_bswap32(value) : value;
}

static uint16_t get16(const struct capture_reader *r, const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return r->swapped ? __builtin_bswap16(value) : value;
}

/* ---- Blocks ---- */

static bool room_for(struct capture_reader *r, uint32_t bytes)
{
    uint8_t *more = bytes <= r->block_room ? r->block : realloc(r->block, bytes);

    if (more == NULL)
        return false;
    r->block = more;
    r->block_room = bytes > r->block_room ? bytes : r->block_room;
    return true;
}

/* Which order of bytes a section is in, its own header tells behind the length. */
static int section_begin(struct capture_reader *r, const uint8_t head[12])
{
    uint32_t magic;

    memcpy(&magic, head + 8, sizeof(magic));
    if (magic != 0x1a2b3c4d && magic != 0x4d3c2b1a)
        return wrong(r, "a section that is none: the file is damaged");
    r->swapped = magic != 0x1a2b3c4d;
    r->interface_count = 0;
    return 0;
}

/* 1: the block's type, 0: the end, -1. */
static int block_next(struct capture_reader *r, uint32_t *type)
{
    uint8_t head[12], tail[4];
    uint32_t total, begun = 8;
    size_t got = fread(head, 1, 8, r->file);

    if (got == 0 && feof(r->file))
        return 0;
    if (got != 8)
        return wrong(r, "the file ends in the middle of a block");
    memcpy(type, head, sizeof(*type));
    if (*type == BLOCK_SECTION) {
        if (fread(head + 8, 1, 4, r->file) != 4)
            return wrong(r, "the file ends in the middle of a block");
        begun = 12;
        if (section_begin(r, head) != 0)
            return -1;
    }
    *type = get32(r, head);
    total = get32(r, head + 4);
    if (total % 4 != 0 || total < begun + 4 || total > BLOCK_BYTES_MAX)
        return wrong(r, "a block of a length that cannot be: the file is damaged");
    r->block_bytes = total - begun - 4;
    if (!room_for(r, r->block_bytes))
        return wrong(r, "out of memory");
    if (fread(r->block, 1, r->block_bytes, r->file) != r->block_bytes || fread(tail, 1, 4, r->file) != 4)
        return wrong(r, "the file ends in the middle of a block");
    return get32(r, tail) == total ? 1 : wrong(r, "a block that ends otherwise than it begins: the file is damaged");
}

/* An option of a block whose options begin at `from`; its length, or -1: it has none of that code. */
static int option_find(const struct capture_reader *r, uint32_t from, uint16_t code, const uint8_t **value)
{
    while (from + 4 <= r->block_bytes) {
        uint16_t is = get16(r, r->block + from), bytes = get16(r, r->block + from + 2);

        if (is == OPTION_END || bytes > r->block_bytes - from - 4)
            break;
        *value = r->block + from + 4;
        if (is == code)
            return bytes;
        from += 4 + (bytes + 3u) / 4 * 4;
    }
    return -1;
}

static int interface_add(struct capture_reader *r)
{
    struct interface *i;
    const uint8_t *value;
    int bytes;

    if (r->block_bytes < 8)
        return wrong(r, "an interface that is cut off: the file is damaged");
    if (r->interface_count == r->interface_room) {
        uint32_t room = r->interface_room * 2 + 16;
        struct interface *more = realloc(r->interfaces, room * sizeof(*more));

        if (more == NULL)
            return wrong(r, "out of memory");
        r->interfaces = more;
        r->interface_room = room;
    }
    i = &r->interfaces[r->interface_count++];
    *i = (struct interface){ .link = get16(r, r->block), .snap_bytes = get32(r, r->block + 4), .ns_per_unit = 1000 };
    bytes = option_find(r, 8, INTERFACE_NAME, &value);
    if (bytes > 0)
        snprintf(i->name, sizeof(i->name), "%.*s", bytes, (const char *)value);
    if (option_find(r, 8, INTERFACE_RESOLUTION, &value) == 1) {
        /* A negative power of ten, or with the highest bit of two. */
        i->ns_per_unit = 1e9;
        for (unsigned int n = *value & 0x7f; n > 0; n--)
            i->ns_per_unit /= *value & 0x80 ? 2 : 10;
    }
    if (option_find(r, 8, INTERFACE_OFFSET, &value) == 8) {
        uint64_t low = get32(r, value), high = get32(r, value + 4);

        i->offset_s = (int64_t)(r->swapped ? low << 32 | high : high << 32 | low);
    }
    return 0;
}

/* A long double has digits enough for nanoseconds since 1970. */
static uint64_t time_ns(const struct interface *i, uint64_t units)
{
    long double ns = (long double)units * i->ns_per_unit;

    return (ns < 9e18L ? (uint64_t)ns : 0) + (uint64_t)i->offset_s * 1000000000u;
}

static int frame_read(struct capture_reader *r, uint32_t type, struct capture_read *to)
{
    bool simple = type == BLOCK_SIMPLE_PACKET;
    uint32_t head = simple ? 4 : 20, number = 0, options;
    const struct interface *i;
    const uint8_t *value;
    uint64_t units = 0;

    if (r->block_bytes < head)
        return wrong(r, "a packet that is cut off: the file is damaged");
    if (!simple)
        number = type == BLOCK_PACKET ? get32(r, r->block) : get16(r, r->block);
    if (number >= r->interface_count)
        return wrong(r, "a packet of an interface that is not described: the file is damaged");
    i = &r->interfaces[number];
    to->length = get32(r, r->block + head - 4);
    if (simple) {
        to->captured = i->snap_bytes != 0 && i->snap_bytes < to->length ? i->snap_bytes : to->length;
        to->captured = to->captured < r->block_bytes - head ? to->captured : r->block_bytes - head;
    } else {
        to->captured = get32(r, r->block + 12);
        units = (uint64_t)get32(r, r->block + 4) << 32 | get32(r, r->block + 8);
    }
    if (to->captured > r->block_bytes - head || to->captured > FRAME_BYTES_MAX)
        return wrong(r, "a packet longer than its block: the file is damaged");
    if (to->length < to->captured)
        to->length = to->captured;
    to->bytes = r->block + head;
    if (i->link != LINK_ETHERNET) {
        snprintf(r->error, CAPTURE_READ_ERROR, "packet %llu is not of Ethernet (link type %u)", (unsigned long long)r->frames + 1, i->link);
        return -1;
    }
    to->ns = time_ns(i, units);
    to->interface = i->name[0] != 0 ? i->name : NULL;
    options = head + (to->captured + 3) / 4 * 4;
    if (type == BLOCK_PACKET && option_find(r, options, PACKET_FLAGS, &value) == 4)
        to->direction = (enum capture_read_direction)(get32(r, value) & 3);
    if (to->direction > CAPTURE_READ_OUT)
        to->direction = CAPTURE_READ_UNKNOWN;
    r->frames++;
    return 1;
}

static int pcapng_next(struct capture_reader *r, struct capture_read *to)
{
    uint32_t type;
    int rc;

    while ((rc = block_next(r, &type)) == 1) {
        if (type == BLOCK_INTERFACE && interface_add(r) != 0)
            return -1;
        if (type == BLOCK_PACKET || type == BLOCK_OLD_PACKET || type == BLOCK_SIMPLE_PACKET)
            return frame_read(r, type, to);
    }
    return rc;
}

/* ---- pcap, and whatever else libpcap reads ---- */

static int pcap_next_frame(struct capture_reader *r, struct capture_read *to)
{
    struct pcap_pkthdr *header;
    int rc = pcap_next_ex(r->pcap, &header, &to->bytes);

    if (rc == PCAP_ERROR)
        return wrong(r, pcap_geterr(r->pcap));
    if (rc != 1)
        return 0;
    to->captured = header->caplen;
    to->length = header->len;
    to->ns = (uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec; /* of nanoseconds, as asked for */
    r->frames++;
    return 1;
}

static int pcap_begin(struct capture_reader *r, FILE *file)
{
    char error[PCAP_ERRBUF_SIZE] = "";

    r->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error);
    if (r->pcap == NULL) {
        snprintf(r->error, CAPTURE_READ_ERROR, "%s", error);
        if (file != stdin)
            fclose(file);
        return -1;
    }
    if (pcap_datalink(r->pcap) == DLT_EN10MB)
        return 0;
    snprintf(r->error, CAPTURE_READ_ERROR, "its packets are not of Ethernet (%s)", pcap_datalink_val_to_name(pcap_datalink(r->pcap)));
    return -1;
}

/* ---- Either ---- */

struct capture_reader *capture_read_open(const char *path, char error[CAPTURE_READ_ERROR])
{
    struct capture_reader *r = calloc(1, sizeof(*r));
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    int first = file != NULL ? getc(file) : EOF, rc = 0;

    if (r == NULL || file == NULL || first == EOF) {
        snprintf(error, CAPTURE_READ_ERROR, "%s", r == NULL ? "out of memory" : file == NULL || ferror(file) ? strerror(errno) : "an empty file");
        if (file != NULL && file != stdin)
            fclose(file);
        free(r);
        return NULL;
    }
    r->error = error;
    ungetc(first, file);
    /* No other format begins like that. */
    if (first == (BLOCK_SECTION & 0xff))
        r->file = file;
    else
        rc = pcap_begin(r, file);
    if (rc == 0)
        return r;
    capture_read_close(r);
    return NULL;
}

int capture_read_next(struct capture_reader *r, struct capture_read *to)
{
    *to = (struct capture_read){ .direction = CAPTURE_READ_UNKNOWN };
    return r->pcap != NULL ? pcap_next_frame(r, to) : pcapng_next(r, to);
}

void capture_read_close(struct capture_reader *r)
{
    if (r->pcap != NULL)
        pcap_close(r->pcap);
    else if (r->file != NULL && r->file != stdin)
        fclose(r->file);
    free(r->block);
    free(r->interfaces);
    free(r);
}
