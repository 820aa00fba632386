/* SPDX-License-Identifier: MIT */
/*
 * What the records of a trace say: who ran where and when, what each vCPU was doing, and what happened in between.
 *
 * A CPU's row has a slice from one switch to the next. A vCPU's row has slices running, runnable and blocked (or offline), begun and ended by switches, wakes and blocks; hypercalls are on a row
 * below it, for one may outlast the slice that it began in. Requests of disks: trace-disks.c. A vCPU that the trace has not yet spoken of has no state. Contract: trace.h. Tests: test-trace.c.
 */
#include "trace.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NO_STATE    0xffffffffu
#define DOMAINS_MAX 65536u

struct vcpu_row {
    uint32_t state; /* enum collet_vcpu_state, or NO_STATE */
    uint32_t cpu;
    uint64_t since_ns;
    uint64_t call, call_since_ns;
    bool told, in_call, calls_told;
};

struct cpu_row {
    uint32_t subject;
    uint64_t since_ns;
    bool known, told;
};

struct trace_spans {
    struct trace_out *out;
    struct vcpu_row *domains[DOMAINS_MAX]; /* COLLET_VCPUS_MAX rows each, once spoken of */
    struct cpu_row cpus[COLLET_VCPUS_MAX];
    bool cpus_told, events_told;
    uint64_t last_ns;
    struct trace_disks *disks;
};

struct trace_spans *trace_spans_new(struct trace_out *o)
{
    struct trace_spans *s = calloc(1, sizeof(*s));

    if (s == NULL)
        errx(1, "out of memory");
    s->out = o;
    s->disks = trace_disks_new(o);
    return s;
}

/* ---- Rows, made when first spoken of ---- */

static struct vcpu_row *vcpu_row(struct trace_spans *s, uint32_t subject)
{
    uint32_t domid = subject >> 16, vcpu = subject & 0xffff;
    char name[COLLET_NAME_MAX + 16];

    if (subject == COLLET_TRACE_IDLE || vcpu >= COLLET_VCPUS_MAX)
        return NULL;
    if (s->domains[domid] == NULL) {
        s->domains[domid] = calloc(COLLET_VCPUS_MAX, sizeof(struct vcpu_row));
        if (s->domains[domid] == NULL)
            errx(1, "out of memory");
        for (unsigned int i = 0; i < COLLET_VCPUS_MAX; i++)
            s->domains[domid][i].state = NO_STATE;
        s->out->format->group(s->out, domid, trace_domain_name(s->out, domid, name));
    }
    return &s->domains[domid][vcpu];
}

static struct trace_track vcpu_track(struct trace_spans *s, uint32_t subject, struct vcpu_row *row)
{
    struct trace_track track = { .kind = TRACE_TRACK_VCPU, .domid = subject >> 16, .number = subject & 0xffff };
    char name[32];

    if (!row->told) {
        snprintf(name, sizeof(name), "vCPU %u", track.number);
        s->out->format->track(s->out, &track, name);
        row->told = true;
    }
    return track;
}

static void tell_cpus(struct trace_spans *s)
{
    if (!s->cpus_told)
        s->out->format->group(s->out, TRACE_GROUP_CPUS, "CPUs");
    s->cpus_told = true;
}

/* ---- Slices ---- */

static void end_cpu_slice(struct trace_spans *s, uint32_t cpu, uint64_t now_ns)
{
    struct cpu_row *row = &s->cpus[cpu];
    struct trace_track track = { .kind = TRACE_TRACK_CPU, .number = cpu };
    struct trace_span span = { row->since_ns, now_ns, NULL, NULL, 0 };
    char name[COLLET_NAME_MAX + 32];

    if (!row->told) {
        tell_cpus(s);
        snprintf(name, sizeof(name), "CPU %u", cpu);
        s->out->format->track(s->out, &track, name);
        row->told = true;
    }
    if (!row->known || row->subject == COLLET_TRACE_IDLE || now_ns <= row->since_ns)
        return;
    span.name = trace_subject_name(s->out, row->subject, name);
    s->out->format->slice(s->out, &track, &span);
    s->out->items++;
}

/* The vCPU is in another state from now on. */
static void enter_state(struct trace_spans *s, uint32_t subject, uint32_t state, uint32_t cpu, uint64_t now_ns)
{
    struct vcpu_row *row = vcpu_row(s, subject);

    if (row == NULL || row->state == state)
        return;
    if (row->state != NO_STATE && now_ns > row->since_ns) {
        struct trace_track track = vcpu_track(s, subject, row);
        struct trace_span span = { row->since_ns, now_ns, vcpu_state_name(row->state), row->state == COLLET_VCPU_RUNNING ? "cpu" : NULL, row->cpu };

        s->out->format->slice(s->out, &track, &span);
        s->out->items++;
    }
    row->state = state;
    row->cpu = cpu;
    row->since_ns = now_ns;
}

static void on_switch(struct trace_spans *s, const struct collet_trace_record *r)
{
    struct vcpu_row *before = vcpu_row(s, (uint32_t)r->a);

    if (r->cpu >= COLLET_VCPUS_MAX)
        return;
    end_cpu_slice(s, r->cpu, r->time_ns);
    s->cpus[r->cpu].subject = r->subject;
    s->cpus[r->cpu].since_ns = r->time_ns;
    s->cpus[r->cpu].known = true;
    /* One that had blocked has said so; and one that already runs elsewhere is no concern of this CPU. */
    if (before != NULL && (uint32_t)r->a != r->subject && (before->state == NO_STATE || (before->state == COLLET_VCPU_RUNNING && before->cpu == r->cpu)))
        enter_state(s, (uint32_t)r->a, COLLET_VCPU_RUNNABLE, r->cpu, r->time_ns);
    enter_state(s, r->subject, COLLET_VCPU_RUNNING, r->cpu, r->time_ns);
}

static void on_wake(struct trace_spans *s, const struct collet_trace_record *r)
{
    struct vcpu_row *row = vcpu_row(s, r->subject);

    if (row != NULL && row->state != COLLET_VCPU_RUNNING)
        enter_state(s, r->subject, COLLET_VCPU_RUNNABLE, r->cpu, r->time_ns);
}

/* ---- Hypercalls and instants ---- */

static void on_call_end(struct trace_spans *s, const struct collet_trace_record *r)
{
    struct vcpu_row *row = vcpu_row(s, r->subject);
    struct trace_track track = { .kind = TRACE_TRACK_HYPERCALLS, .domid = r->subject >> 16, .number = r->subject & 0xffff };
    struct trace_span span = { r->time_ns, r->time_ns, NULL, "result", r->b };
    char name[32], title[32];

    if (row == NULL)
        return;
    vcpu_track(s, r->subject, row);
    if (!row->calls_told) {
        snprintf(title, sizeof(title), "vCPU %u hypercalls", track.number);
        s->out->format->track(s->out, &track, title);
        row->calls_told = true;
    }
    span.name = trace_hypercall_name(r->a, name);
    /* A call inside of a multicall has an end and no beginning; the multicall goes on. */
    if (row->in_call && row->call == r->a) {
        span.start_ns = row->call_since_ns;
        row->in_call = false;
    }
    if (span.end_ns > span.start_ns)
        s->out->format->slice(s->out, &track, &span);
    else
        s->out->format->instant(s->out, &track, &span);
    s->out->items++;
}

static void on_vcpu_instant(struct trace_spans *s, const struct collet_trace_record *r, const char *name, const char *note_name, uint64_t note)
{
    struct vcpu_row *row = vcpu_row(s, r->subject);
    struct trace_span span = { r->time_ns, r->time_ns, name, note_name, note };
    struct trace_track track;

    if (row == NULL)
        return;
    track = vcpu_track(s, r->subject, row);
    s->out->format->instant(s->out, &track, &span);
    s->out->items++;
}

static void on_sched_use(struct trace_spans *s, const struct collet_trace_record *r)
{
    struct trace_track track = { .kind = TRACE_TRACK_EVENTS };
    struct trace_span span = { r->time_ns, r->time_ns, NULL, NULL, 0 };
    char name[64] = "scheduler ";

    memcpy(name + 10, &r->a, 8);
    memcpy(name + 18, &r->b, 8);
    if (!s->events_told) {
        tell_cpus(s);
        s->out->format->track(s->out, &track, "scheduler");
        s->events_told = true;
    }
    span.name = name;
    s->out->format->instant(s->out, &track, &span);
    s->out->items++;
}

void trace_spans_record(struct trace_spans *s, const struct collet_trace_record *r)
{
    char name[64];
    struct vcpu_row *row;

    if (r->time_ns > s->last_ns)
        s->last_ns = r->time_ns;
    switch (r->kind) {
    case COLLET_TRACE_SWITCH: on_switch(s, r); break;
    case COLLET_TRACE_WAKE: on_wake(s, r); break;
    case COLLET_TRACE_BLOCK: enter_state(s, r->subject, r->a == COLLET_VCPU_OFFLINE ? COLLET_VCPU_OFFLINE : COLLET_VCPU_BLOCKED, r->cpu, r->time_ns); break;
    case COLLET_TRACE_MIGRATE:
        snprintf(name, sizeof(name), "migrate %" PRIu64 " to %" PRIu64, r->a, r->b);
        on_vcpu_instant(s, r, name, NULL, 0);
        break;
    case COLLET_TRACE_HYPERCALL_ENTER:
        row = vcpu_row(s, r->subject);
        if (row != NULL) {
            row->in_call = true;
            row->call = r->a;
            row->call_since_ns = r->time_ns;
        }
        break;
    case COLLET_TRACE_HYPERCALL: on_call_end(s, r); break;
    case COLLET_TRACE_FAULT:
        if ((r->a & 0xffffffff) == 14)
            strcpy(name, "page fault");
        else
            snprintf(name, sizeof(name), "fault %u", (unsigned int)(r->a & 0xff));
        on_vcpu_instant(s, r, name, "address", r->b);
        break;
    case COLLET_TRACE_EVENT: on_vcpu_instant(s, r, "event", "port", r->a); break;
    case COLLET_TRACE_SCHED_USE: on_sched_use(s, r); break;
    case COLLET_TRACE_DISK_QUEUE:
    case COLLET_TRACE_DISK_ISSUE:
    case COLLET_TRACE_DISK_COMPLETE:
        (void)vcpu_row(s, r->subject & ~0xffffu); /* its group is told */
        trace_disks_record(s->disks, r);
        break;
    default: break; /* kinds of a later version */
    }
}

void trace_spans_gap(struct trace_spans *s)
{
    for (uint32_t cpu = 0; cpu < COLLET_VCPUS_MAX; cpu++)
        if (s->cpus[cpu].known) {
            end_cpu_slice(s, cpu, s->last_ns);
            s->cpus[cpu].known = false;
        }
    for (uint32_t domid = 0; domid < DOMAINS_MAX; domid++)
        for (uint32_t vcpu = 0; s->domains[domid] != NULL && vcpu < COLLET_VCPUS_MAX; vcpu++) {
            enter_state(s, COLLET_TRACE_SUBJECT(domid, vcpu), NO_STATE, 0, s->last_ns);
            s->domains[domid][vcpu].in_call = false;
        }
    trace_disks_gap(s->disks, s->last_ns);
}

void trace_spans_end(struct trace_spans *s)
{
    trace_spans_gap(s);
    for (uint32_t domid = 0; domid < DOMAINS_MAX; domid++)
        free(s->domains[domid]);
    trace_disks_free(s->disks);
    free(s);
}
