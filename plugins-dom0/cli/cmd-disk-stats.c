/* SPDX-License-Identifier: MIT */
/*
 * `collet disk stats`: what disks and VBDs do, as iostat has it, and where the time of their requests goes, as fio has it: percentiles for each VBD and phase.
 * One report since boot; or with --interval one after each interval, of that interval alone.
 * Tests: test-disk.c.
 */
#include "block.h"
#include "commands.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One look at everything. */
struct look {
    struct collet_machine machine;
    struct collet_disk_info *disks;
    int disk_count;
    struct vbd_list vbds;
    uint64_t *on; /* for each VBD, the bits of its disks */
};

struct report {
    const struct look *now, *before; /* before NULL: since boot */
    double seconds;
    uint64_t wanted; /* bits of disks */
};

static void look_free(struct look *l)
{
    free(l->disks);
    free(l->on);
    vbd_list_free(&l->vbds);
    *l = (struct look){ 0 };
}

static int look_take(struct cli *cli, struct look *l)
{
    int exit = 0, rc;

    *l = (struct look){ 0 };
    rc = collet_machine(cli->collet, &l->machine);
    if (rc == 0)
        rc = l->disk_count = collet_disk_list(cli->collet, &l->disks);
    if (rc < 0)
        exit = cli_fail_collet(cli, rc, "the disks");
    if (exit == 0)
        exit = vbd_list_load(cli, &l->vbds);
    if (exit == 0)
        l->on = calloc((size_t)l->vbds.count + 1, sizeof(*l->on));
    for (int i = 0; exit == 0 && l->on != NULL && i < l->vbds.count; i++)
        l->on[i] = vbd_disks(cli, l->vbds.vbds[i].vbd);
    if (exit != 0)
        look_free(l);
    return exit;
}

static const struct collet_disk_info *disk_before(const struct report *r, uint32_t disk)
{
    for (int i = 0; r->before != NULL && i < r->before->disk_count; i++)
        if (r->before->disks[i].disk == disk)
            return &r->before->disks[i];
    return NULL;
}

static const struct collet_vbd_info *vbd_before(const struct report *r, uint32_t vbd)
{
    for (int i = 0; r->before != NULL && i < r->before->vbds.count; i++)
        if (r->before->vbds.vbds[i].vbd == vbd)
            return &r->before->vbds.vbds[i];
    return NULL;
}

static bool disk_wanted(const struct report *r, uint32_t disk)
{
    return disk < DISKS_BITS && (r->wanted >> disk & 1) != 0;
}

/* Per second, of what has grown from `before` to `now`. */
static double rate(const struct report *r, uint64_t now, uint64_t before)
{
    return r->seconds > 0 ? (double)(now - before) / r->seconds : 0;
}

#define GROWN(now, before, field)   ((now)->field - ((before) != NULL ? (before)->field : 0))
#define RATE(r, now, before, field) rate(r, (now)->field, (before) != NULL ? (before)->field : 0)

/* ---- Tables ---- */

/* The share of requests that went to the device as a part of another. */
static double merged_percent(const struct collet_disk_info *now, const struct collet_disk_info *before)
{
    uint64_t requests = 0, device = GROWN(now, before, device_requests);

    for (int kind = 0; kind < COLLET_BLK_KINDS; kind++)
        requests += GROWN(now, before, requests[kind]);
    return requests > device && requests != 0 ? 100.0 * (double)(requests - device) / (double)requests : 0;
}

static double busy_percent(const struct report *r, const struct collet_disk_info *now, const struct collet_disk_info *before)
{
    double percent = r->seconds > 0 ? (double)GROWN(now, before, busy_ns) / r->seconds / 1e7 : 0;

    return percent > 100 ? 100 : percent;
}

static void print_disks(struct cli *cli, const struct report *r)
{
    struct table *t = table_new("Disk<|Module<|r/s>|w/s>|d/s>|f/s>|rMB/s>|wMB/s>|Merged%>|Queued>|Issued>|Errors>|Busy%>");

    for (int i = 0; i < r->now->disk_count; i++) {
        const struct collet_disk_info *d = &r->now->disks[i], *b = disk_before(r, d->disk);

        if (!disk_wanted(r, d->disk))
            continue;
        table_cell(t, "%s", d->name);
        table_cell(t, "%s%s%s", d->module, d->model[0] != 0 ? " on " : "", d->model);
        for (int kind = 0; kind < COLLET_BLK_KINDS; kind++)
            table_cell(t, "%.1f", RATE(r, d, b, requests[kind]));
        table_cell(t, "%.2f", RATE(r, d, b, sectors_done[COLLET_BLK_READ]) * 512 / 1e6);
        table_cell(t, "%.2f", RATE(r, d, b, sectors_done[COLLET_BLK_WRITE]) * 512 / 1e6);
        table_cell(t, "%.1f", merged_percent(d, b));
        table_cell(t, "%" PRIu32, d->queued);
        table_cell(t, "%" PRIu32, d->issued);
        table_cell(t, "%" PRIu64, GROWN(d, b, errors));
        table_cell(t, "%.1f", busy_percent(r, d, b));
    }
    table_end(t, cli->out, "no disks");
}

static void print_rates(struct cli *cli, const struct report *r)
{
    struct table *t = table_new("VBD<|r/s>|w/s>|d/s>|f/s>|rMB/s>|wMB/s>|In flight>|Throttled>|Refused>|Errors>");
    char name[VBD_NAME_BYTES];

    for (int i = 0; i < r->now->vbds.count; i++) {
        const struct collet_vbd_info *v = &r->now->vbds.vbds[i], *b = vbd_before(r, v->vbd);

        if (!(r->now->on[i] & r->wanted))
            continue;
        table_cell(t, "%s", vbd_name(name, &r->now->vbds, v));
        for (int kind = 0; kind < COLLET_BLK_KINDS; kind++)
            table_cell(t, "%.1f", RATE(r, v, b, requests[kind]));
        table_cell(t, "%.2f", RATE(r, v, b, sectors_done[COLLET_BLK_READ]) * 512 / 1e6);
        table_cell(t, "%.2f", RATE(r, v, b, sectors_done[COLLET_BLK_WRITE]) * 512 / 1e6);
        table_cell(t, "%" PRIu32, v->in_flight);
        table_cell(t, "%" PRIu64, GROWN(v, b, throttled));
        table_cell(t, "%" PRIu64, GROWN(v, b, refused));
        table_cell(t, "%" PRIu64, GROWN(v, b, errors));
    }
    fputc('\n', cli->out);
    table_end(t, cli->out, "no VBDs");
}

static void print_phase(struct table *t, const uint64_t buckets[COLLET_LATENCY_BUCKETS])
{
    static const unsigned int permilles[] = { 500, 900, 990, 999 };
    char text[FORMAT_BYTES];

    for (size_t i = 0; i < sizeof(permilles) / sizeof(*permilles); i++)
        table_cell(t, "%s", latency_text(text, buckets, permilles[i]));
}

static void print_latencies(struct cli *cli, const struct report *r)
{
    struct table *t = table_new("VBD<|Kind<|Phase<|Requests>|p50>|p90>|p99>|p99.9>");
    uint64_t buckets[COLLET_LATENCY_BUCKETS], sum;
    char name[VBD_NAME_BYTES];

    for (int i = 0; i < r->now->vbds.count; i++) {
        const struct collet_vbd_info *v = &r->now->vbds.vbds[i], *b = vbd_before(r, v->vbd);

        for (int op = 0; op < 2 && (r->now->on[i] & r->wanted) != 0; op++)
            for (int phase = 0; phase < COLLET_PHASES; phase++) {
                sum = latency_since(buckets, v->latency[op][phase], b != NULL ? b->latency[op][phase] : NULL);
                if (sum == 0)
                    continue;
                table_cell(t, "%s", vbd_name(name, &r->now->vbds, v));
                table_cell(t, "%s", latency_op_names[op]);
                table_cell(t, "%s", latency_phase_names[phase]);
                table_cell(t, "%" PRIu64, sum);
                print_phase(t, buckets);
            }
    }
    fputc('\n', cli->out);
    table_end(t, cli->out, r->before != NULL ? "no requests ended" : "no requests have ended yet");
}

static void print_report(struct cli *cli, const struct report *r)
{
    char text[FORMAT_BYTES];

    if (r->before == NULL)
        fprintf(cli->out, "since boot, %s ago; of VBDs since they were made\n", format_uptime(text, r->now->machine.now_ns));
    else
        fprintf(cli->out, "at %s, over %.2f s\n", format_uptime(text, r->now->machine.now_ns), r->seconds);
    print_disks(cli, r);
    print_rates(cli, r);
    print_latencies(cli, r);
    fflush(cli->out);
}

/* ---- JSON ---- */

static json_t *grown_json(const struct report *r, const uint64_t *now, const uint64_t *before, bool per_second)
{
    json_t *object = json_object();

    for (int kind = 0; kind < COLLET_BLK_KINDS; kind++) {
        uint64_t was = before != NULL ? before[kind] : 0;

        json_object_set_new(object, disk_kind_name(kind), per_second ? json_real(rate(r, now[kind], was)) : json_integer((json_int_t)(now[kind] - was)));
    }
    return object;
}

static json_t *stats_disk_json(const struct report *r, const struct collet_disk_info *d)
{
    const struct collet_disk_info *b = disk_before(r, d->disk);

    return json_pack("{s:i, s:s, s:s, s:s?, s:o, s:o, s:o, s:I, s:I, s:I, s:f, s:f, s:i, s:i}", "disk", (int)d->disk, "name", d->name, "module", d->module,
                     "model", d->model[0] != 0 ? d->model : NULL, "requests", grown_json(r, d->requests, b != NULL ? b->requests : NULL, false),
                     "requests_per_s", grown_json(r, d->requests, b != NULL ? b->requests : NULL, true), "sectors_done",
                     grown_json(r, d->sectors_done, b != NULL ? b->sectors_done : NULL, false), "device_requests", (json_int_t)GROWN(d, b, device_requests),
                     "errors", (json_int_t)GROWN(d, b, errors), "seek_sectors", (json_int_t)GROWN(d, b, seek_sectors), "merged_percent", merged_percent(d, b),
                     "busy_percent", busy_percent(r, d, b), "queued", (int)d->queued, "issued", (int)d->issued);
}

static json_t *stats_vbd_json(const struct report *r, const struct collet_vbd_info *v)
{
    const struct collet_vbd_info *b = vbd_before(r, v->vbd);

    return json_pack("{s:I, s:s, s:i, s:s?, s:o, s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:o}", "vbd", (json_int_t)v->vbd, "name", v->name, "domid", (int)v->domid,
                     "domain", vbd_domain_name(&r->now->vbds, v->domid), "requests", grown_json(r, v->requests, b != NULL ? b->requests : NULL, false),
                     "requests_per_s", grown_json(r, v->requests, b != NULL ? b->requests : NULL, true), "sectors_done",
                     grown_json(r, v->sectors_done, b != NULL ? b->sectors_done : NULL, false), "in_flight", (int)v->in_flight, "throttled",
                     (json_int_t)GROWN(v, b, throttled), "throttled_ns", (json_int_t)GROWN(v, b, throttled_ns), "refused", (json_int_t)GROWN(v, b, refused),
                     "errors", (json_int_t)GROWN(v, b, errors), "latency", vbd_latency_json(v, b));
}

static json_t *report_json(const struct report *r)
{
    json_t *disks = json_array(), *vbds = json_array();

    for (int i = 0; i < r->now->disk_count; i++)
        if (disk_wanted(r, r->now->disks[i].disk))
            json_array_append_new(disks, stats_disk_json(r, &r->now->disks[i]));
    for (int i = 0; i < r->now->vbds.count; i++)
        if (r->now->on[i] & r->wanted)
            json_array_append_new(vbds, stats_vbd_json(r, &r->now->vbds.vbds[i]));
    return json_pack("{s:I, s:o, s:o, s:o}", "now_ns", (json_int_t)r->now->machine.now_ns, "interval_ns",
                     r->before != NULL ? json_integer((json_int_t)(r->now->machine.now_ns - r->before->machine.now_ns)) : json_null(), "disks", disks, "vbds",
                     vbds);
}

/* ---- The command ---- */

static int take_disks(struct cli *cli, const struct cli_args *args, uint64_t *wanted)
{
    struct collet_disk_info info;
    int exit = 0;

    *wanted = args->count == 0 ? ~0ull : 0;
    for (int i = 0; i < args->count && exit == 0; i++) {
        exit = cli_disk(cli, args->words[i], &info);
        if (exit == 0 && info.disk < DISKS_BITS)
            *wanted |= 1ull << info.disk;
    }
    return exit;
}

static int report_once(struct cli *cli, uint64_t wanted)
{
    struct look now;
    int exit = look_take(cli, &now);

    if (exit == 0) {
        struct report r = { .now = &now, .seconds = (double)now.machine.now_ns / 1e9, .wanted = wanted };

        if (cli->json)
            cli_result(cli, report_json(&r));
        else
            print_report(cli, &r);
        look_free(&now);
    }
    return exit;
}

static int report_again(struct cli *cli, uint64_t wanted, unsigned int interval_ms, unsigned long count)
{
    struct look before, now;
    int exit = look_take(cli, &before);

    if (exit != 0)
        return exit;
    cli_catch_signals();
    for (unsigned long n = 0; (count == 0 || n < count) && cli_sleep_ms(interval_ms); n++) {
        struct report r = { .now = &now, .before = &before, .wanted = wanted };

        exit = look_take(cli, &now);
        if (exit != 0)
            break;
        r.seconds = (double)(now.machine.now_ns - before.machine.now_ns) / 1e9;
        if (cli->json) {
            cli_result_line(cli, report_json(&r));
        } else {
            if (n != 0)
                fputc('\n', cli->out);
            print_report(cli, &r);
        }
        look_free(&before);
        before = now;
    }
    look_free(&before);
    return exit;
}

static int disk_stats_run(struct cli *cli, const struct cli_args *args)
{
    const char *interval = cli_option(args, "interval"), *count_text = cli_option(args, "count");
    unsigned long count = 0;
    unsigned int ms = 0;
    uint64_t wanted;
    int exit = cli_open(cli);

    if (exit == 0 && interval != NULL)
        exit = cli_parse_seconds(cli, "--interval", interval, &ms);
    if (exit == 0 && count_text != NULL)
        exit = cli_parse_count(cli, "--count", count_text, 1ul << 30, &count);
    if (exit == 0 && count_text != NULL && interval == NULL)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "disk stats: --count is for --interval");
    if (exit == 0)
        exit = take_disks(cli, args, &wanted);
    if (exit != 0)
        return exit;
    return interval != NULL ? report_again(cli, wanted, ms, count) : report_once(cli, wanted);
}

static const struct cli_option stats_options[] = {
    { "interval", "SECONDS", "a report after each interval, of that interval", 'i' },
    { "count", "N", "end after so many reports", 'n' },
    { 0 },
};

const struct cli_command cmd_disk_stats = {
    .name = "disk stats",
    .arguments = "[DISK...]",
    .summary = "Print what disks and VBDs do, and where the time of their requests goes",
    .description = "Of disks and VBDs: reads, writes, discards and flushes per second, bytes, merged requests, time with a request in the device.\n"
                   "Of each VBD's reads, and of all else: upper bounds of percentiles of the time in the ring (until it was taken and let\n"
                   "through by the VBD's limits), in the queue (the module) and in the device. Without --interval: since boot.",
    .examples = "  collet disk stats --interval 2\n  collet disk stats disk0 --interval 1 --count 10 --json",
    .options = stats_options,
    .complete = "disks",
    .most = -1,
    .run = disk_stats_run,
};
