/* SPDX-License-Identifier: MIT */
/*
 * Traces as lines, one a record: csv for spreadsheets and scripts, text for people, JSON lines for --json. And the names that all formats share.
 * Contract: trace.h. Tests: test-trace.c.
 */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <xen/xen.h>

const struct trace_format *const trace_formats[] = { &trace_perfetto, &trace_chrome, &trace_csv, &trace_text, &trace_json, NULL };

static const char *const kinds[COLLET_TRACE_KINDS] = { "switch", "wake",  "block",     "migrate", "hypercall", "hypercall-enter",
                                                       "fault",  "event", "sched-use", "packet",  "disk-queue",
                                                       "disk-issue", "disk-complete" };

const char *trace_kind_name(unsigned int kind)
{
    return kind < COLLET_TRACE_KINDS ? kinds[kind] : "unknown";
}

int trace_parse_kinds(const char *text, uint64_t *mask, const char **bad)
{
    *mask = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        uint64_t bit = 0;

        for (unsigned int kind = 0; kind < COLLET_TRACE_KINDS; kind++)
            if (strlen(kinds[kind]) == length && memcmp(kinds[kind], text, length) == 0)
                bit = 1ull << kind;
        if (length == 7 && memcmp(text, "default", 7) == 0)
            bit = COLLET_TRACE_DEFAULT;
        if (length == 3 && memcmp(text, "all", 3) == 0)
            bit = (1ull << COLLET_TRACE_KINDS) - 1;
        *bad = text;
        if (bit == 0)
            return -EINVAL;
        *mask |= bit;
        if (text[length] == 0)
            return 0;
        text += length + 1;
    }
}

const char *trace_hypercall_name(uint64_t number, char to[32])
{
    static const char *const names[] = {
        [__HYPERVISOR_set_trap_table] = "set_trap_table",
        [__HYPERVISOR_mmu_update] = "mmu_update",
        [__HYPERVISOR_set_gdt] = "set_gdt",
        [__HYPERVISOR_stack_switch] = "stack_switch",
        [__HYPERVISOR_set_callbacks] = "set_callbacks",
        [__HYPERVISOR_fpu_taskswitch] = "fpu_taskswitch",
        [__HYPERVISOR_set_debugreg] = "set_debugreg",
        [__HYPERVISOR_get_debugreg] = "get_debugreg",
        [__HYPERVISOR_update_descriptor] = "update_descriptor",
        [__HYPERVISOR_memory_op] = "memory_op",
        [__HYPERVISOR_multicall] = "multicall",
        [__HYPERVISOR_update_va_mapping] = "update_va_mapping",
        [__HYPERVISOR_set_timer_op] = "set_timer_op",
        [__HYPERVISOR_xen_version] = "xen_version",
        [__HYPERVISOR_console_io] = "console_io",
        [__HYPERVISOR_grant_table_op] = "grant_table_op",
        [__HYPERVISOR_vm_assist] = "vm_assist",
        [__HYPERVISOR_update_va_mapping_otherdomain] = "update_va_mapping_otherdomain",
        [__HYPERVISOR_iret] = "iret",
        [__HYPERVISOR_vcpu_op] = "vcpu_op",
        [__HYPERVISOR_set_segment_base] = "set_segment_base",
        [__HYPERVISOR_mmuext_op] = "mmuext_op",
        [__HYPERVISOR_sched_op] = "sched_op",
        [__HYPERVISOR_callback_op] = "callback_op",
        [__HYPERVISOR_event_channel_op] = "event_channel_op",
        [__HYPERVISOR_physdev_op] = "physdev_op",
        [__HYPERVISOR_sysctl] = "sysctl",
        [__HYPERVISOR_domctl] = "domctl",
    };

    if (number == COLLET_HYPERCALL)
        return "collet_control";
    if (number < sizeof(names) / sizeof(*names) && names[number] != NULL)
        return names[number];
    snprintf(to, 32, "hypercall %" PRIu64, number);
    return to;
}

uint32_t trace_track_group(const struct trace_track *track)
{
    return track->kind == TRACE_TRACK_CPU || track->kind == TRACE_TRACK_EVENTS ? TRACE_GROUP_CPUS : track->domid;
}

const char *trace_domain_name(const struct trace_out *o, uint32_t domid, char to[COLLET_NAME_MAX + 16])
{
    for (int i = 0; i < o->domain_count; i++)
        if (o->domains[i].domid == domid)
            return strcpy(to, o->domains[i].name);
    snprintf(to, COLLET_NAME_MAX + 16, "domain %" PRIu32, domid);
    return to;
}

const char *trace_subject_name(const struct trace_out *o, uint32_t subject, char to[COLLET_NAME_MAX + 32])
{
    char name[COLLET_NAME_MAX + 16];

    if (subject == COLLET_TRACE_IDLE)
        return "idle";
    snprintf(to, COLLET_NAME_MAX + 32, "%s/%u", trace_domain_name(o, subject >> 16, name), subject & 0xffff);
    return to;
}

/* ---- csv ---- */

static void csv_begin(struct trace_out *o)
{
    fputs("time_ns,cpu,kind,domid,vcpu,a,b\n", o->file);
}

static void csv_record(struct trace_out *o, const struct collet_trace_record *r)
{
    fprintf(o->file, "%" PRIu64 ",%u,%s,", r->time_ns, r->cpu, trace_kind_name(r->kind));
    if (r->subject != COLLET_TRACE_IDLE)
        fprintf(o->file, "%u,%u", r->subject >> 16, r->subject & 0xffff);
    else
        fputc(',', o->file);
    fprintf(o->file, ",%" PRIu64 ",%" PRIu64 "\n", r->a, r->b);
    o->items++;
}

const struct trace_format trace_csv = { .name = "csv", .ending = ".csv", .begin = csv_begin, .record = csv_record };

/* ---- text ---- */

/* A request of a VBD: its subject is domain and VBD, its first word disk and serial. */
static void describe_disk(const struct collet_trace_record *r, char *to, size_t bytes)
{
    static const char *const ops[16] = { "read", "write", "discard", "write zeroes", "flush" };
    const char *op = ops[r->b >> 60];
    uint64_t ns = r->b & ~(1ull << 63);
    int at = snprintf(to, bytes, "disk%u request %" PRIu64 ", ", (unsigned int)(r->a & 0xff), r->a >> 8);

    to += at;
    bytes -= (size_t)at;
    if (r->kind == COLLET_TRACE_DISK_QUEUE)
        snprintf(to, bytes, "%s at sector %" PRIu64, op != NULL ? op : "?", (uint64_t)(r->b & ((1ull << 60) - 1)));
    else if (r->kind == COLLET_TRACE_DISK_ISSUE)
        snprintf(to, bytes, "after %" PRIu64 " ns in the queue", r->b);
    else
        snprintf(to, bytes, "after %" PRIu64 " ns in the device%s", ns, r->b >> 63 ? ", error" : "");
}

static void describe(const struct trace_out *o, const struct collet_trace_record *r, char *to, size_t bytes)
{
    char name[COLLET_NAME_MAX + 32], call[32];

    switch (r->kind) {
    case COLLET_TRACE_SWITCH:
        if (r->b == ~0ull || r->b == 0)
            snprintf(to, bytes, "after %s", trace_subject_name(o, (uint32_t)r->a, name));
        else
            snprintf(to, bytes, "after %s, slice %" PRIu64 " us", trace_subject_name(o, (uint32_t)r->a, name), r->b / 1000);
        break;
    case COLLET_TRACE_WAKE: snprintf(to, bytes, "waits at CPU %" PRIu64, r->a); break;
    case COLLET_TRACE_BLOCK: snprintf(to, bytes, "%s", vcpu_state_name((uint32_t)r->a)); break;
    case COLLET_TRACE_MIGRATE: snprintf(to, bytes, "from CPU %" PRIu64 " to %" PRIu64, r->a, r->b); break;
    case COLLET_TRACE_HYPERCALL: snprintf(to, bytes, "%s = %" PRId64, trace_hypercall_name(r->a, call), (int64_t)r->b); break;
    case COLLET_TRACE_HYPERCALL_ENTER: snprintf(to, bytes, "%s", trace_hypercall_name(r->a, call)); break;
    case COLLET_TRACE_FAULT: snprintf(to, bytes, "vector %u, error %#x, at %#" PRIx64, (unsigned int)(r->a & 0xff), (unsigned int)(r->a >> 32), r->b); break;
    case COLLET_TRACE_EVENT: snprintf(to, bytes, "port %" PRIu64, r->a); break;
    case COLLET_TRACE_SCHED_USE: snprintf(to, bytes, "%.8s%.8s", (const char *)&r->a, (const char *)&r->b); break;
    case COLLET_TRACE_DISK_QUEUE:
    case COLLET_TRACE_DISK_ISSUE:
    case COLLET_TRACE_DISK_COMPLETE: describe_disk(r, to, bytes); break;
    default: snprintf(to, bytes, "%#" PRIx64 " %#" PRIx64, r->a, r->b);
    }
}

static void text_record(struct trace_out *o, const struct collet_trace_record *r)
{
    char name[COLLET_NAME_MAX + 32], text[128];

    describe(o, r, text, sizeof(text));
    fprintf(o->file, "%8" PRIu64 ".%09u  [%u] %-15s %-14s %s\n", r->time_ns / 1000000000, (unsigned int)(r->time_ns % 1000000000), r->cpu,
            trace_kind_name(r->kind), r->kind == COLLET_TRACE_SCHED_USE ? "-" : trace_subject_name(o, r->subject, name), text);
    o->items++;
}

const struct trace_format trace_text = { .name = "text", .ending = ".txt", .record = text_record };

/* ---- JSON lines ---- */

static void json_record(struct trace_out *o, const struct collet_trace_record *r)
{
    fprintf(o->file, "{\"time_ns\":%" PRIu64 ",\"cpu\":%u,\"kind\":\"%s\",", r->time_ns, r->cpu, trace_kind_name(r->kind));
    if (r->subject != COLLET_TRACE_IDLE)
        fprintf(o->file, "\"domid\":%u,\"vcpu\":%u,", r->subject >> 16, r->subject & 0xffff);
    else
        fputs("\"domid\":null,\"vcpu\":null,", o->file);
    /* As signed numbers: JSON readers know 64 bits with a sign at most. */
    fprintf(o->file, "\"a\":%" PRId64 ",\"b\":%" PRId64 "}\n", (int64_t)r->a, (int64_t)r->b);
    o->items++;
}

const struct trace_format trace_json = { .name = "jsonl", .ending = ".jsonl", .record = json_record };
