/* SPDX-License-Identifier: MIT */
/*
 * What the records of a trace say about disks: each request of a VBD is a slice from its arrival at the disk to its end, with the device's part as a slice inside of it.
 *
 * Many requests of a VBD are under way at once, so its row has lanes: a request takes the first that is free. What was under way when the trace began, or when records were lost, is drawn as far as it is known: a
 * record says how long ago the one before was made. Contract: trace.h. Tests: test-trace.c.
 */
#include "trace.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>

#define BUCKETS 1024u /* a power of two; serials follow one another */
#define LANES   64u   /* a VBD has 32 requests on a disk at a time */
#define FAILED  (1ull << 63)

struct disk_row {
    struct disk_row *next;
    uint32_t subject; /* domain and VBD */
    uint32_t disk;
    uint64_t busy, told; /* bit set: the lane has a request; its track was told */
    uint64_t drawn_ns[LANES]; /* until when there is something */
};

struct disk_request {
    struct disk_request *next;
    uint64_t id; /* serial << 8 | disk */
    struct disk_row *row;
    unsigned int lane;
    const char *op;
    uint64_t sector, queued_ns, issued_ns; /* issued_ns 0: not yet */
};

struct trace_disks {
    struct trace_out *out;
    struct disk_row *rows;
    struct disk_request *requests[BUCKETS];
};

struct trace_disks *trace_disks_new(struct trace_out *o)
{
    struct trace_disks *d = calloc(1, sizeof(*d));

    if (d == NULL)
        errx(1, "out of memory");
    d->out = o;
    return d;
}

static struct disk_row *row_of(struct trace_disks *d, uint32_t subject, uint32_t disk)
{
    struct disk_row *row = d->rows;

    while (row != NULL && (row->subject != subject || row->disk != disk))
        row = row->next;
    if (row == NULL) {
        row = calloc(1, sizeof(*row));
        if (row == NULL)
            errx(1, "out of memory");
        *row = (struct disk_row){ .next = d->rows, .subject = subject, .disk = disk };
        d->rows = row;
    }
    return row;
}

static struct disk_request **request_at(struct trace_disks *d, uint64_t id)
{
    struct disk_request **at = &d->requests[(id >> 8) % BUCKETS];

    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* It begins; NULL: its row has no lane left, which no hypervisor's trace has. */
static struct disk_request *request_begin(struct trace_disks *d, const struct collet_trace_record *r, uint64_t queued_ns)
{
    struct disk_row *row = row_of(d, r->subject, r->a & 0xff);
    struct disk_request *request, **at = request_at(d, r->a);

    if (*at != NULL || row->busy == UINT64_MAX)
        return NULL;
    request = calloc(1, sizeof(*request));
    if (request == NULL)
        errx(1, "out of memory");
    *request = (struct disk_request){ .id = r->a, .row = row, .lane = (unsigned int)__builtin_ctzll(~row->busy), .op = "request" };
    request->queued_ns = queued_ns > row->drawn_ns[request->lane] ? queued_ns : row->drawn_ns[request->lane];
    row->busy |= 1ull << request->lane;
    *at = request;
    return request;
}

static struct trace_track track_of(struct trace_disks *d, const struct disk_request *request)
{
    struct disk_row *row = request->row;
    struct trace_track track = { .kind = TRACE_TRACK_DISK, .domid = row->subject >> 16, .number = row->subject & 0xffff, .disk = row->disk, .lane = request->lane };
    char name[48];

    if (!(row->told >> request->lane & 1)) {
        snprintf(name, sizeof(name), "VBD %" PRIu32 " on disk%" PRIu32, track.number, track.disk);
        d->out->format->track(d->out, &track, name); /* the lanes of one name are drawn as one */
        row->told |= 1ull << request->lane;
    }
    return track;
}

static void request_end(struct trace_disks *d, struct disk_request **at, uint64_t now_ns, bool failed)
{
    struct disk_request *request = *at;
    struct trace_track track = track_of(d, request);
    char name[32];
    struct trace_span whole = { request->queued_ns, now_ns, name, "sector", request->sector }, device = { request->issued_ns, now_ns, "device", NULL, 0 };

    snprintf(name, sizeof(name), "%s%s", request->op, failed ? ", failed" : "");
    if (now_ns > whole.start_ns) {
        d->out->format->slice(d->out, &track, &whole);
        if (device.start_ns != 0 && now_ns > device.start_ns)
            d->out->format->slice(d->out, &track, &device);
    } else {
        d->out->format->instant(d->out, &track, &whole);
    }
    d->out->items++;
    request->row->busy &= ~(1ull << request->lane);
    request->row->drawn_ns[request->lane] = now_ns;
    *at = request->next;
    free(request);
}

static uint64_t before(uint64_t time_ns, uint64_t ns)
{
    return ns < time_ns ? time_ns - ns : 0;
}

void trace_disks_record(struct trace_disks *d, const struct collet_trace_record *r)
{
    static const char *const ops[16] = { "read", "write", "discard", "write zeroes", "flush" };
    struct disk_request *request, **at = request_at(d, r->a);

    switch (r->kind) {
    case COLLET_TRACE_DISK_QUEUE:
        request = request_begin(d, r, r->time_ns);
        if (request != NULL) {
            request->op = ops[r->b >> 60] != NULL ? ops[r->b >> 60] : "request";
            request->sector = r->b & ((1ull << 60) - 1);
        }
        break;
    case COLLET_TRACE_DISK_ISSUE:
        request = *at != NULL ? *at : request_begin(d, r, before(r->time_ns, r->b));
        if (request != NULL)
            request->issued_ns = r->time_ns;
        break;
    case COLLET_TRACE_DISK_COMPLETE:
        if (*at == NULL) {
            request = request_begin(d, r, before(r->time_ns, r->b & ~FAILED));
            if (request != NULL)
                request->issued_ns = request->queued_ns;
            at = request_at(d, r->a);
        }
        if (*at != NULL)
            request_end(d, at, r->time_ns, r->b & FAILED);
        break;
    default: break;
    }
}

void trace_disks_gap(struct trace_disks *d, uint64_t last_ns)
{
    for (unsigned int i = 0; i < BUCKETS; i++)
        while (d->requests[i] != NULL)
            request_end(d, &d->requests[i], last_ns, false);
}

void trace_disks_free(struct trace_disks *d)
{
    struct disk_row *row;

    while ((row = d->rows) != NULL) {
        d->rows = row->next;
        free(row);
    }
    free(d);
}
