// SPDX-License-Identifier: MIT
/*
 * libcollet: captures. The rings of all pCPUs are mapped read-only; frames come out of them in order of time, and their places are given back by one hypercall for many of them.
 *
 * A record that wraps around the end of its ring is put together in a buffer; the others are read where they lie, until their place is given back.
 * Contract: <collet/collet.h>, <collet/capture.h>.  Tests: test-capture.c.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGES_MAX (COLLET_CAPTURE_PAGES_MAX + 1u)

struct ring {
    const struct collet_capture_header *header;
    const uint8_t *bytes;
    uint64_t size; /* a power of two */
    uint64_t position;
    size_t mapped; /* bytes to be unmapped */
};

struct collet_capture {
    struct collet *collet;
    uint32_t number, cpus;
    uint8_t *joined; /* a record that wrapped */
    size_t joined_room;
    struct ring rings[COLLET_VCPUS_MAX];
};

static_assert(PAGES_MAX * sizeof(uint64_t) <= DATA_BYTES, "frame numbers of a ring fit");
static_assert(COLLET_CAPTURE_FILTER_MAX * 8 <= DATA_BYTES, "a filter fits");

const char *capture_ring_wrong(const struct collet_capture_header *h, size_t bytes)
{
    if (h->magic != COLLET_CAPTURE_MAGIC)
        return "its header is not that of a capture";
    if (h->record_bytes != sizeof(struct collet_capture_record))
        return "its records are of another release";
    if (h->bytes < PAGE_BYTES || (h->bytes & (h->bytes - 1)) != 0 || h->bytes > bytes - PAGE_BYTES)
        return "its size is impossible";
    return NULL;
}

static int ring_map(struct collet_capture *capture, uint32_t cpu)
{
    struct collet *c = capture->collet;
    struct ring *ring = &capture->rings[cpu];
    struct collet_capture_info info = {.capture = capture->number, .cpu = cpu, .count = PAGES_MAX, .mfns = data_address(c)};
    int rc = collet_control(c, COLLET_OP_CAPTURE_INFO, &info, sizeof(info));
    const char *wrong;
    void *at;

    if (rc < 0)
        return rc;
    if (info.count < 2 || info.count > PAGES_MAX)
        return collet_fail(c, -EPROTO, "the hypervisor's ring of captured frames has an impossible size");
    at = c->transport->map(c->state, COLLET_TRACE_DOMID, (const uint64_t *)(const void *)c->data, info.count);
    if (at == NULL)
        return collet_fail(c, -errno, "cannot map the ring of captured frames: %s", strerror(errno));
    ring->header = at;
    ring->mapped = (size_t)info.count * PAGE_BYTES;
    wrong = capture_ring_wrong(ring->header, ring->mapped);
    if (wrong != NULL)
        return collet_fail(c, -EPROTO, "cannot use the ring of captured frames: %s", wrong);
    ring->bytes = (const uint8_t *)at + PAGE_BYTES;
    ring->size = ring->header->bytes;
    return 0;
}

/* collet_control() would explain -EINVAL by a general sentence; this one comes with its own. */
static int open_call(struct collet *c, struct collet_capture_open *open, const struct vfr_bpf_insn *filter)
{
    int rc;

    if (open->filter_count > COLLET_CAPTURE_FILTER_MAX)
        return collet_fail(c, -E2BIG, "the filter has %u instructions; at most %u are allowed", open->filter_count, COLLET_CAPTURE_FILTER_MAX);
    if (open->filter_count != 0)
        memcpy(c->data, filter, open->filter_count * 8u);
    open->filter = open->filter_count != 0 ? data_address(c) : 0;
    rc = collet_control(c, COLLET_OP_CAPTURE_OPEN, open, sizeof(*open));
    open->error_text[sizeof(open->error_text) - 1] = '\0';
    if (rc == -EINVAL && open->error_text[0] != '\0')
        return collet_fail(c, rc, "cannot capture: %s", open->error_text);
    return rc;
}

int collet_capture_open(struct collet *c, struct collet_capture_open *open, const struct vfr_bpf_insn *filter, struct collet_capture **capture)
{
    struct collet_capture *new = calloc(1, sizeof(*new));
    int rc;

    *capture = NULL;
    if (new == NULL)
        return collet_fail(c, -ENOMEM, "out of memory");
    rc = open_call(c, open, filter);
    if (rc < 0) {
        free(new);
        return rc;
    }
    new->collet = c;
    new->number = open->capture;
    new->cpus = open->cpus <= COLLET_VCPUS_MAX ? open->cpus : COLLET_VCPUS_MAX;
    for (uint32_t cpu = 0; cpu < new->cpus && rc >= 0; cpu++)
        rc = ring_map(new, cpu);
    if (rc >= 0) {
        *capture = new;
        return 0;
    }
    collet_capture_close(new);
    return rc;
}

uint32_t collet_capture_number(const struct collet_capture *capture)
{
    return capture->number;
}

/* ---- Reading ---- */

static void ring_read(const struct ring *ring, uint64_t from, void *to, size_t bytes)
{
    uint64_t at = from & (ring->size - 1);
    size_t first = bytes < ring->size - at ? bytes : (size_t)(ring->size - at);

    memcpy(to, ring->bytes + at, first);
    memcpy((uint8_t *)to + first, ring->bytes, bytes - first);
}

/* The time of a ring's next record; false: it has none. */
static bool ring_next(const struct ring *ring, uint64_t *time_ns)
{
    struct collet_capture_record r;

    if (__atomic_load_n(&ring->header->head, __ATOMIC_ACQUIRE) - ring->position < sizeof(r))
        return false;
    ring_read(ring, ring->position, &r, sizeof(r));
    *time_ns = r.time_ns;
    return true;
}

static struct ring *oldest(struct collet_capture *capture, uint64_t until_ns)
{
    struct ring *found = NULL;
    uint64_t best = until_ns, at;

    for (uint32_t cpu = 0; cpu < capture->cpus; cpu++)
        if (ring_next(&capture->rings[cpu], &at) && at < best) {
            best = at;
            found = &capture->rings[cpu];
        }
    return found;
}

/* The record at a position, where it lies or put together; NULL with -errno. */
static const void *record_at(struct collet_capture *capture, const struct ring *ring, size_t bytes)
{
    uint64_t at = ring->position & (ring->size - 1);
    uint8_t *more;

    if (bytes <= ring->size - at)
        return ring->bytes + at;
    if (capture->joined_room < bytes) {
        more = realloc(capture->joined, bytes);
        if (more == NULL)
            return NULL;
        capture->joined = more;
        capture->joined_room = bytes;
    }
    ring_read(ring, ring->position, capture->joined, bytes);
    return capture->joined;
}

int collet_capture_next(struct collet_capture *capture, uint64_t until_ns, struct collet_capture_record *record, const uint8_t **frame)
{
    struct ring *ring = oldest(capture, until_ns);
    uint64_t there;
    const uint8_t *at;

    if (ring == NULL)
        return 0;
    ring_read(ring, ring->position, record, sizeof(*record));
    there = __atomic_load_n(&ring->header->head, __ATOMIC_ACQUIRE) - ring->position;
    if (record->bytes < sizeof(*record) || record->bytes % 8 != 0 || record->bytes > there || record->captured > record->bytes - sizeof(*record))
        return collet_fail(capture->collet, -EPROTO, "the ring of captured frames holds what is none");
    at = record_at(capture, ring, record->bytes);
    if (at == NULL)
        return collet_fail(capture->collet, -ENOMEM, "out of memory");
    record->name[sizeof(record->name) - 1] = '\0';
    *frame = at + sizeof(*record);
    ring->position += record->bytes;
    return 1;
}

int collet_capture_release(struct collet_capture *capture, struct collet_capture_info *info)
{
    struct collet *c = capture->collet;
    uint64_t *positions = (uint64_t *)(void *)c->data;

    *info = (struct collet_capture_info){.capture = capture->number, .consumed = data_address(c)};
    for (uint32_t cpu = 0; cpu < capture->cpus; cpu++)
        positions[cpu] = capture->rings[cpu].position;
    return collet_control(c, COLLET_OP_CAPTURE_INFO, info, sizeof(*info));
}

static int counters_find(struct collet_capture_iface *sums, int count, const char *name)
{
    int i = 0;

    while (i < count && strcmp(sums[i].name, name) != 0)
        i++;
    return i;
}

int collet_capture_counters(const struct collet_capture *capture, struct collet_capture_iface *sums, unsigned int room)
{
    int count = 0;

    for (uint32_t cpu = 0; cpu < capture->cpus; cpu++)
        for (unsigned int i = 0; i < COLLET_CAPTURE_IFACES; i++) {
            struct collet_capture_iface one = capture->rings[cpu].header->iface[i];
            int at;

            one.name[sizeof(one.name) - 1] = '\0';
            if (one.name[0] == '\0')
                continue;
            at = counters_find(sums, count, one.name);
            if ((unsigned int)at == room)
                continue;
            if (at == count)
                sums[count++] = (struct collet_capture_iface){.seen = 0};
            memcpy(sums[at].name, one.name, sizeof(one.name));
            sums[at].seen += one.seen;
            sums[at].recorded += one.recorded;
            sums[at].dropped += one.dropped;
        }
    return count;
}

void collet_capture_close(struct collet_capture *capture)
{
    if (capture == NULL)
        return;
    for (uint32_t cpu = 0; cpu < capture->cpus; cpu++)
        if (capture->rings[cpu].header != NULL)
            munmap((void *)(uintptr_t)capture->rings[cpu].header, capture->rings[cpu].mapped);
    (void)collet_capture_end(capture->collet, capture->number);
    free(capture->joined);
    free(capture);
}

/* ---- All of them ---- */

int collet_capture_list(struct collet *c, struct collet_capture_info **captures)
{
    struct collet_capture_info *all = calloc(COLLET_CAPTURES_MAX, sizeof(*all)), info;
    uint32_t from = 0;
    int n = 0;
    long rc;

    *captures = NULL;
    if (all == NULL)
        return collet_fail(c, -ENOMEM, "out of memory");
    do {
        info = (struct collet_capture_info){.capture = from, .next = 1};
        rc = collet_call(c, COLLET_OP_CAPTURE_INFO, &info, sizeof(info));
        if (rc >= 0 && n < (int)COLLET_CAPTURES_MAX) {
            info.targets[sizeof(info.targets) - 1] = '\0';
            all[n++] = info;
            from = info.capture + 1;
        }
    } while (rc >= 0 && n < (int)COLLET_CAPTURES_MAX);
    if (rc < 0 && rc != -ENOENT) {
        free(all);
        return collet_explain(c, COLLET_OP_CAPTURE_INFO, (int)rc);
    }
    *captures = all;
    return n;
}

int collet_capture_end(struct collet *c, uint32_t number)
{
    struct collet_capture_ref arg = {.capture = number};

    return collet_control(c, COLLET_OP_CAPTURE_CLOSE, &arg, sizeof(arg));
}
