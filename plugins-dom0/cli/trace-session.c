/* SPDX-License-Identifier: MIT */
/*
 * The rings of all CPUs as one stream. Each ring is in order; the stream is made by taking the oldest first record, which for a few CPUs is quickest by looking at each.
 * Contract: trace.h. Tests: test-trace.c.
 */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_CHUNK    4096u
#define SESSION_READ_MAX (1u << 20) /* records of one ring at a time: a ring that fills as fast as it is read must not hold up the others */

int trace_session_open(struct trace_session *s, struct collet *collet, unsigned int cpus)
{
    *s = (struct trace_session){ .collet = collet };
    for (unsigned int cpu = 0; cpu < cpus && cpu < COLLET_VCPUS_MAX; cpu++) {
        int rc = collet_trace_open(collet, cpu, &s->rings[cpu].ring);

        if (rc < 0) {
            trace_session_close(s);
            return rc;
        }
        s->cpus = cpu + 1;
    }
    return 0;
}

void trace_session_close(struct trace_session *s)
{
    for (unsigned int cpu = 0; cpu < s->cpus; cpu++) {
        collet_trace_close(s->rings[cpu].ring);
        free(s->rings[cpu].records);
    }
    s->cpus = 0;
}

static int read_ring(struct trace_session *s, struct trace_ring *r)
{
    size_t n, sum = 0;

    memmove(r->records, r->records + r->next, (r->count - r->next) * sizeof(*r->records));
    r->count -= r->next;
    r->next = 0;
    do {
        if (r->room - r->count < SESSION_CHUNK) {
            size_t room = (r->count + SESSION_CHUNK) * 2;
            struct collet_trace_record *grown = realloc(r->records, room * sizeof(*grown));

            if (grown == NULL)
                return -ENOMEM;
            r->records = grown;
            r->room = room;
        }
        n = collet_trace_read(r->ring, &r->position, r->records + r->count, SESSION_CHUNK, &s->lost);
        r->count += n;
        sum += n;
    } while (n == SESSION_CHUNK && sum < SESSION_READ_MAX);
    return 0;
}

int trace_session_read(struct trace_session *s)
{
    for (unsigned int cpu = 0; cpu < s->cpus; cpu++) {
        int rc;

        if (s->rings[cpu].records == NULL) {
            s->rings[cpu].records = malloc(SESSION_CHUNK * sizeof(struct collet_trace_record));
            s->rings[cpu].room = s->rings[cpu].records != NULL ? SESSION_CHUNK : 0;
        }
        rc = s->rings[cpu].records != NULL ? read_ring(s, &s->rings[cpu]) : -ENOMEM;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static struct trace_ring *oldest(struct trace_session *s)
{
    struct trace_ring *found = NULL;

    for (unsigned int cpu = 0; cpu < s->cpus; cpu++) {
        struct trace_ring *r = &s->rings[cpu];

        if (r->next < r->count && (found == NULL || r->records[r->next].time_ns < found->records[found->next].time_ns))
            found = r;
    }
    return found;
}

size_t trace_session_take(struct trace_session *s, uint64_t until_ns, void (*take)(void *arg, const struct collet_trace_record *r), void *arg)
{
    struct trace_ring *r;
    size_t taken = 0;

    while ((r = oldest(s)) != NULL && r->records[r->next].time_ns < until_ns) {
        take(arg, &r->records[r->next++]);
        taken++;
    }
    return taken;
}

void trace_session_drop(struct trace_session *s)
{
    for (unsigned int cpu = 0; cpu < s->cpus; cpu++)
        s->rings[cpu].next = s->rings[cpu].count = 0;
    s->lost = 0;
}
