/* SPDX-License-Identifier: MIT */
/*
 * The JSON trace format of chrome://tracing, which ui.perfetto.dev opens too: complete events ("X"), instants ("i"), names ("M"), and for requests of disks, of which many are under way at once, async events ("b", "e"). Times are microseconds with three decimals.
 * The processes are the CPUs and each domain, the threads their rows. Contract: trace.h. Tests: test-trace.c.
 */
#include "trace.h"

#include <inttypes.h>

#define PID_CPUS    1
#define PID_DOMAINS 1000 /* plus the domain's number */

static unsigned int pid_of(uint32_t group)
{
    return group == TRACE_GROUP_CPUS ? PID_CPUS : PID_DOMAINS + group;
}

static unsigned int tid_of(const struct trace_track *track)
{
    /* Below 1 is taken for no thread by some viewers. */
    if (track->kind == TRACE_TRACK_EVENTS)
        return 1000;
    return track->number * 2 + 1 + (track->kind == TRACE_TRACK_HYPERCALLS);
}

static void write_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        fputc((unsigned char)*text < 32 || (unsigned char)*text > 126 ? '?' : *text, file);
    }
    fputc('"', file);
}

static void begin_event(struct trace_out *o, char phase, unsigned int pid, unsigned int tid, const char *name)
{
    fprintf(o->file, ",\n{\"ph\":\"%c\",\"pid\":%u,\"tid\":%u,\"name\":", phase, pid, tid);
    write_text(o->file, name);
}

static void write_us(FILE *file, const char *key, uint64_t ns)
{
    fprintf(file, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned int)(ns % 1000));
}

static void end_event(struct trace_out *o, const struct trace_span *span)
{
    if (span->note_name != NULL) {
        fputs(",\"args\":{", o->file);
        write_text(o->file, span->note_name);
        /* More than a double holds goes as text. */
        fprintf(o->file, span->note >> 53 != 0 ? ":\"%#" PRIx64 "\"}" : ":%" PRIu64 "}", span->note);
    }
    fputc('}', o->file);
}

/* The first event stands here so that all others can begin with a comma. */
static void chrome_begin(struct trace_out *o)
{
    fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"source\":\"collet\"},\"traceEvents\":[\n"
          "{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"process_sort_index\",\"args\":{\"sort_index\":-1}}",
          o->file);
}

static void chrome_end(struct trace_out *o)
{
    fputs("\n]}\n", o->file);
}

static void chrome_group(struct trace_out *o, uint32_t group, const char *name)
{
    begin_event(o, 'M', pid_of(group), 0, "process_name");
    fputs(",\"args\":{\"name\":", o->file);
    write_text(o->file, name);
    fputs("}}", o->file);
}

static void chrome_track(struct trace_out *o, const struct trace_track *track, const char *name)
{
    unsigned int pid = pid_of(trace_track_group(track));

    if (track->kind == TRACE_TRACK_DISK)
        return; /* no thread: async events have their row by category and name */
    begin_event(o, 'M', pid, tid_of(track), "thread_name");
    fputs(",\"args\":{\"name\":", o->file);
    write_text(o->file, name);
    fputs("}}", o->file);
    begin_event(o, 'M', pid, tid_of(track), "thread_sort_index");
    fprintf(o->file, ",\"args\":{\"sort_index\":%u}}", tid_of(track));
}

static void begin_async(struct trace_out *o, char phase, const struct trace_track *track, const struct trace_span *span, uint64_t ns)
{
    char name[96];

    snprintf(name, sizeof(name), "VBD %" PRIu32 " on disk%" PRIu32 ": %s", track->number, track->disk, span->name);
    begin_event(o, phase, pid_of(trace_track_group(track)), 0, name);
    fprintf(o->file, ",\"cat\":\"disk%" PRIu32 "\",\"id\":\"%#" PRIx64 "\"", track->disk, (uint64_t)track->domid << 32 | track->number << 16 | track->disk << 8 | track->lane);
    write_us(o->file, "ts", ns);
}

/* Those of one id are nested by time. */
static void write_async(struct trace_out *o, const struct trace_track *track, const struct trace_span *span)
{
    begin_async(o, 'b', track, span, span->start_ns);
    end_event(o, span);
    begin_async(o, 'e', track, span, span->end_ns);
    fputc('}', o->file);
}

static void chrome_slice(struct trace_out *o, const struct trace_track *track, const struct trace_span *span)
{
    if (track->kind == TRACE_TRACK_DISK) {
        write_async(o, track, span);
        return;
    }
    begin_event(o, 'X', pid_of(trace_track_group(track)), tid_of(track), span->name);
    write_us(o->file, "ts", span->start_ns);
    write_us(o->file, "dur", span->end_ns - span->start_ns);
    end_event(o, span);
}

static void chrome_instant(struct trace_out *o, const struct trace_track *track, const struct trace_span *span)
{
    if (track->kind == TRACE_TRACK_DISK) {
        begin_async(o, 'n', track, span, span->start_ns);
        end_event(o, span);
        return;
    }
    begin_event(o, 'i', pid_of(trace_track_group(track)), tid_of(track), span->name);
    write_us(o->file, "ts", span->start_ns);
    fputs(",\"s\":\"t\"", o->file);
    end_event(o, span);
}

const struct trace_format trace_chrome = {
    .name = "chrome",
    .ending = ".json",
    .begin = chrome_begin,
    .end = chrome_end,
    .group = chrome_group,
    .track = chrome_track,
    .slice = chrome_slice,
    .instant = chrome_instant,
};
