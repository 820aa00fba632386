/* SPDX-License-Identifier: MIT */
/*
 * Traces: records of all CPUs in order of time (trace-session.c), what they say as slices of time and instants on tracks (trace-spans.c, trace-disks.c), and the formats that either is
 * written in (trace-perfetto.c, trace-chrome.c, trace-lines.c).
 * Pages: docs/concepts/trace.md, docs/man/collet-trace.1.  Tests: test-trace.c.
 */
#pragma once

#include "cli.h"

/* ---- Records in order ---- */

struct trace_ring {
    struct collet_trace_ring *ring;
    uint64_t position;
    struct collet_trace_record *records; /* read and not yet given on: from next to count */
    size_t next, count, room;
};

struct trace_session {
    struct collet *collet;
    unsigned int cpus;
    uint64_t lost; /* overwritten before they were read */
    struct trace_ring rings[COLLET_VCPUS_MAX];
};

/* Map every ring. 0 or -errno: -ENOENT there are none yet. */
int trace_session_open(struct trace_session *s, struct collet *collet, unsigned int cpus);
void trace_session_close(struct trace_session *s);
/* Read what is in the rings. 0 or -ENOMEM. */
int trace_session_read(struct trace_session *s);
/* Give on what was read and is older than until_ns, in order of time; what follows stays. Number of records. */
size_t trace_session_take(struct trace_session *s, uint64_t until_ns, void (*take)(void *arg, const struct collet_trace_record *r), void *arg);
/* Forget what was read and not taken. */
void trace_session_drop(struct trace_session *s);

/* ---- Formats ---- */

enum trace_track_kind { TRACE_TRACK_CPU, TRACE_TRACK_VCPU, TRACE_TRACK_HYPERCALLS, TRACE_TRACK_EVENTS, TRACE_TRACK_DISK };

struct trace_track {
    enum trace_track_kind kind;
    uint32_t domid;      /* of a vCPU or VBD */
    uint32_t number;     /* CPU, vCPU or VBD */
    uint32_t disk, lane; /* of a VBD: slices of one lane are inside of one another, if they overlap */
};

struct trace_span {
    uint64_t start_ns, end_ns; /* the same: an instant */
    const char *name;
    const char *note_name; /* one more fact, NULL: none */
    uint64_t note;
};

struct trace_out {
    FILE *file;
    const struct trace_format *format;
    const struct collet_domain_info *domains; /* for names */
    int domain_count;
    uint64_t items; /* written so far */
};

struct trace_format {
    const char *name;
    const char *ending; /* of file names, with its dot */
    bool binary;
    void (*begin)(struct trace_out *o); /* optional */
    void (*end)(struct trace_out *o);   /* optional */
    /* Formats of records have this one: */
    void (*record)(struct trace_out *o, const struct collet_trace_record *r);
    /* Formats of spans have these. A group or track is told before its first use. */
    void (*group)(struct trace_out *o, uint32_t group, const char *name); /* TRACE_GROUP_CPUS, or a domid */
    void (*track)(struct trace_out *o, const struct trace_track *track, const char *name);
    void (*slice)(struct trace_out *o, const struct trace_track *track, const struct trace_span *span);
    void (*instant)(struct trace_out *o, const struct trace_track *track, const struct trace_span *span);
};

#define TRACE_GROUP_CPUS 0x10000u

extern const struct trace_format trace_perfetto, trace_chrome, trace_csv, trace_text, trace_json;
extern const struct trace_format *const trace_formats[]; /* NULL ends it */

uint32_t trace_track_group(const struct trace_track *track);
/* "web" or "domain 7" */
const char *trace_domain_name(const struct trace_out *o, uint32_t domid, char to[COLLET_NAME_MAX + 16]);
/* "web/0", "idle" */
const char *trace_subject_name(const struct trace_out *o, uint32_t subject, char to[COLLET_NAME_MAX + 32]);
const char *trace_kind_name(unsigned int kind); /* "switch" */
/* "switch,wake", "default", "all"; 0 or -EINVAL with *bad at the word. */
int trace_parse_kinds(const char *text, uint64_t *kinds, const char **bad);
const char *trace_hypercall_name(uint64_t number, char to[32]);

/* ---- Records to spans ---- */

struct trace_spans;
struct trace_spans *trace_spans_new(struct trace_out *o);
void trace_spans_record(struct trace_spans *s, const struct collet_trace_record *r);
/* Records were lost: what was going on is not known any more. Open slices end with the last record before. */
void trace_spans_gap(struct trace_spans *s);
/* Slices that are still open end with the last record. Frees. */
void trace_spans_end(struct trace_spans *s);

/* Those of disks (trace-disks.c), a part of the above. The group of the subject's domain has been told. */
struct trace_disks;
struct trace_disks *trace_disks_new(struct trace_out *o);
void trace_disks_record(struct trace_disks *d, const struct collet_trace_record *r);
void trace_disks_gap(struct trace_disks *d, uint64_t last_ns);
void trace_disks_free(struct trace_disks *d);
