// SPDX-License-Identifier: MIT
/*
 * libcollet: the hypervisor's trace. Rings are mapped read-only and read without asking anybody.
 *
 * The writer never waits. So a record is copied first and believed only if the head, read again afterwards, shows that its place has not been written meanwhile; what was overwritten
 * is counted. The header's geometry is taken once, when the ring is opened.
 * Contract: <collet/collet.h>, <collet/trace.h>.  Tests: test-trace.c.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define READ_TRIES 8
#define PAGES_MAX 1025u

struct collet_trace_ring {
    const struct collet_trace_header *header;
    const struct collet_trace_record *records;
    uint64_t count; /* a power of two */
    void *mapping;  /* to be unmapped, or NULL */
    size_t bytes;
};

int collet_trace_start(struct collet *c, uint64_t kinds, unsigned int pages)
{
    struct collet_trace_start arg = {.kinds = kinds, .pages = pages};

    return collet_control(c, COLLET_OP_TRACE_START, &arg, sizeof(arg));
}

int collet_trace_stop(struct collet *c)
{
    return collet_control(c, COLLET_OP_TRACE_STOP, NULL, 0);
}

struct collet_trace_ring *trace_ring_make(const void *pages, size_t bytes, const char **why)
{
    const struct collet_trace_header *h = pages;
    struct collet_trace_ring *ring;
    uint64_t count = h->records;

    *why = "its header is not that of a trace ring";
    if (h->magic != COLLET_TRACE_MAGIC)
        return NULL;
    *why = "its records are of another release";
    if (h->record_bytes != sizeof(struct collet_trace_record))
        return NULL;
    *why = "its size is impossible";
    if (count < 2 || (count & (count - 1)) != 0 || count > (bytes - PAGE_BYTES) / sizeof(struct collet_trace_record))
        return NULL;
    *why = "out of memory";
    ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return NULL;
    ring->header = h;
    ring->records = (const void *)((const uint8_t *)pages + PAGE_BYTES);
    ring->count = count;
    return ring;
}

static int ring_map(struct collet *c, const uint64_t *mfns, uint32_t count, struct collet_trace_ring **ring)
{
    size_t bytes = (size_t)count * PAGE_BYTES;
    void *at = c->transport->map(c->state, COLLET_TRACE_DOMID, mfns, count);
    const char *why;

    if (at == NULL)
        return collet_fail(c, -errno, "cannot map the trace ring: %s", strerror(errno));
    *ring = trace_ring_make(at, bytes, &why);
    if (*ring == NULL) {
        munmap(at, bytes);
        return collet_fail(c, -EPROTO, "cannot use the trace ring: %s", why);
    }
    (*ring)->mapping = at;
    (*ring)->bytes = bytes;
    return 0;
}

int collet_trace_open(struct collet *c, unsigned int cpu, struct collet_trace_ring **ring)
{
    struct collet_trace_info info = {.cpu = cpu, .count = PAGES_MAX, .mfns = (uintptr_t)c->data};
    int rc;

    static_assert(PAGES_MAX * sizeof(uint64_t) <= DATA_BYTES, "frame numbers of a ring fit");
    *ring = NULL;
    rc = collet_control(c, COLLET_OP_TRACE_INFO, &info, sizeof(info));
    if (rc < 0)
        return rc;
    if (info.pages == 0)
        return collet_fail(c, -ENXIO, "there are no trace rings yet: start the trace first");
    if (cpu >= info.cpus)
        return collet_fail(c, -ENXIO, "there is no CPU %u: they are numbered 0 to %u", cpu, info.cpus - 1);
    if (info.count < 2 || info.count > PAGES_MAX)
        return collet_fail(c, -EPROTO, "the hypervisor's trace ring has an impossible size");
    return ring_map(c, (const uint64_t *)(const void *)c->data, info.count, ring);
}

void collet_trace_close(struct collet_trace_ring *ring)
{
    if (ring == NULL)
        return;
    if (ring->mapping != NULL)
        munmap(ring->mapping, ring->bytes);
    free(ring);
}

static uint64_t head_read(const struct collet_trace_ring *ring)
{
    return __atomic_load_n(&ring->header->head, __ATOMIC_ACQUIRE);
}

/* The oldest record that is whole for sure: the place before it may be just being written. */
static uint64_t oldest(const struct collet_trace_ring *ring, uint64_t head)
{
    return head >= ring->count ? head - ring->count + 1 : 0;
}

static size_t copy(const struct collet_trace_ring *ring, uint64_t from, struct collet_trace_record *records, size_t n)
{
    uint64_t at = from & (ring->count - 1);
    size_t first = n < ring->count - at ? n : (size_t)(ring->count - at);

    memcpy(records, ring->records + at, first * sizeof(*records));
    memcpy(records + first, ring->records, (n - first) * sizeof(*records));
    return n;
}

/* One attempt from *position, which is not older than the oldest at `head`; what came out whole is moved to the front. */
static size_t read_once(const struct collet_trace_ring *ring, uint64_t head, uint64_t *position, struct collet_trace_record *records, size_t room, uint64_t *lost)
{
    size_t n = copy(ring, *position, records, room < head - *position ? room : (size_t)(head - *position)), gone = 0;
    uint64_t whole;

    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the copy before the second look */
    whole = oldest(ring, head_read(ring));
    if (whole > *position)
        gone = whole - *position < n ? (size_t)(whole - *position) : n;
    memmove(records, records + gone, (n - gone) * sizeof(*records));
    *lost += gone;
    *position += n;
    return n - gone;
}

size_t collet_trace_read(struct collet_trace_ring *ring, uint64_t *position, struct collet_trace_record *records, size_t room, uint64_t *lost)
{
    uint64_t ignored = 0, head, first;
    size_t n = 0;

    if (lost == NULL)
        lost = &ignored;
    for (int tries = 0; n == 0 && room > 0 && tries < READ_TRIES; tries++) {
        head = head_read(ring);
        first = oldest(ring, head);
        if (*position == 0)
            *position = first; /* what was there before anybody looked is not lost */
        if (*position >= head)
            return 0;
        if (*position < first) {
            *lost += first - *position;
            *position = first;
        }
        n = read_once(ring, head, position, records, room, lost);
    }
    return n;
}
