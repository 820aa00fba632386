/* SPDX-License-Identifier: MIT */
/*
 * `collet vbd list` and `collet vbd show`: what domains see of the disks. What makes and ends VBDs is colletd's: cmd-vbd-change.c.
 * Tests: test-disk.c.
 */
#include "block.h"
#include "commands.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EXTENTS_PRINTED 16

/* ---- vbd list ---- */

static uint64_t sum(const uint64_t counts[COLLET_BLK_KINDS])
{
    return counts[COLLET_BLK_READ] + counts[COLLET_BLK_WRITE] + counts[COLLET_BLK_DISCARD] + counts[COLLET_BLK_FLUSH];
}

static const char *mode_text(const struct collet_vbd_info *v)
{
    if (v->flags & COLLET_VBD_READ_ONLY)
        return v->flags & COLLET_VBD_RAW ? "r raw" : v->flags & COLLET_VBD_SHARED ? "r shared" : "r";
    return v->flags & COLLET_VBD_RAW ? "w raw" : v->flags & COLLET_VBD_SHARED ? "w shared" : "w";
}

/* Whether one of the words names its domain; without words all are meant. */
static bool wanted(const struct collet_vbd_info *v, const uint32_t *domids, int count)
{
    for (int i = 0; i < count; i++)
        if (domids[i] == v->domid)
            return true;
    return count == 0;
}

static void list_row(struct table *t, const struct vbd_list *list, const struct collet_vbd_info *v)
{
    char text[VBD_NAME_BYTES], device[FORMAT_BYTES], size[FORMAT_BYTES];

    table_cell(t, "%s", vbd_name(text, list, v));
    table_cell(t, "%" PRIu32, v->vbd);
    table_cell(t, "%s", vbd_device_name(device, v->device));
    table_cell(t, "%s", mode_text(v));
    table_cell(t, "%s", format_size(size, v->sectors * 512));
    table_cell(t, "%s", vbd_state_name(v));
    table_cell(t, "%" PRIu64, sum(v->requests));
    table_cell(t, "%" PRIu32, v->in_flight);
    table_cell(t, "%" PRIu64, v->refused + v->errors);
}

static int vbd_list_run(struct cli *cli, const struct cli_args *args)
{
    uint32_t *domids = calloc((size_t)args->count + 1, sizeof(*domids));
    struct collet_domain_info info;
    struct vbd_list list = { 0 };
    json_t *json;
    struct table *t;
    int exit = domids == NULL ? cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory") : 0;

    for (int i = 0; i < args->count && exit == 0; i++) {
        exit = cli_domain(cli, args->words[i], &info);
        domids[i] = info.domid;
    }
    if (exit == 0)
        exit = vbd_list_load(cli, &list);
    if (exit == 0) {
        json = json_array();
        t = table_new("VBD<|ID>|Device<|Mode<|Size>|State<|Requests>|In flight>|Failed>");
        for (int i = 0; i < list.count; i++)
            if (wanted(&list.vbds[i], domids, args->count)) {
                list_row(t, &list, &list.vbds[i]);
                json_array_append_new(json, vbd_json(&list, &list.vbds[i]));
            }
        table_end(t, cli->json ? NULL : cli->out, "no VBDs");
        cli_result(cli, json_pack("{s:o}", "vbds", json));
    }
    vbd_list_free(&list);
    free(domids);
    return exit;
}

const struct cli_command cmd_vbd_list = {
    .name = "vbd list",
    .arguments = "[DOMAIN...]",
    .summary = "List virtual block devices",
    .description = "State: connected (a guest's ring is served), waiting (for its guest), broken (its guest broke the rules of the ring).\n"
                   "Mode: r read-only, w writable; shared with others; raw: Domain0's own view of a disk.\nFailed: requests answered with an error.",
    .examples = "  collet vbd list\n  collet vbd list web --json",
    .complete = "domains",
    .most = -1,
    .run = vbd_list_run,
};

/* ---- vbd show ---- */

static void print_limits(struct cli *cli, const struct collet_vbd_info *v)
{
    char text[FORMAT_BYTES];

    fputs("limits:", cli->out);
    if (v->requests_per_s == 0 && v->bytes_per_s == 0)
        fputs(" none", cli->out);
    if (v->requests_per_s != 0)
        fprintf(cli->out, " %" PRIu64 " requests/s", v->requests_per_s);
    if (v->bytes_per_s != 0)
        fprintf(cli->out, " %s/s", format_size(text, v->bytes_per_s));
    fprintf(cli->out, "; held back %" PRIu64 " times, for %s\n", v->throttled, format_duration(text, v->throttled_ns));
}

static void print_counts(struct cli *cli, const struct collet_vbd_info *v)
{
    struct table *t = table_new("Requests<|Ended>|Sectors done>");

    for (int kind = 0; kind < COLLET_BLK_KINDS; kind++) {
        table_cell(t, "%s", disk_kind_name(kind));
        table_cell(t, "%" PRIu64, v->requests[kind]);
        table_cell(t, "%" PRIu64, v->sectors_done[kind]);
    }
    fputc('\n', cli->out);
    table_end(t, cli->out, NULL);
    fprintf(cli->out, "in flight %" PRIu32 ", refused %" PRIu64 ", device errors %" PRIu64 ", events from the guest %" PRIu64 ", to it %" PRIu64 "\n",
            v->in_flight, v->refused, v->errors, v->notifies, v->events);
}

static void print_latencies(struct cli *cli, const struct collet_vbd_info *v)
{
    struct table *t = table_new("Kind<|Phase<|Requests>|p50>|p90>|p99>|p99.9>");
    uint64_t buckets[COLLET_LATENCY_BUCKETS], count;
    char text[FORMAT_BYTES];

    for (int op = 0; op < 2; op++)
        for (int phase = 0; phase < COLLET_PHASES; phase++) {
            count = latency_since(buckets, v->latency[op][phase], NULL);
            if (count == 0)
                continue;
            table_cell(t, "%s", latency_op_names[op]);
            table_cell(t, "%s", latency_phase_names[phase]);
            table_cell(t, "%" PRIu64, count);
            table_cell(t, "%s", latency_text(text, buckets, 500));
            table_cell(t, "%s", latency_text(text, buckets, 900));
            table_cell(t, "%s", latency_text(text, buckets, 990));
            table_cell(t, "%s", latency_text(text, buckets, 999));
        }
    fputc('\n', cli->out);
    table_end(t, cli->out, "no requests have ended yet");
}

static json_t *show_extents(struct cli *cli, const struct collet_extent *extents, int count)
{
    struct table *t = table_new("Disk>|First sector>|Sectors>");
    json_t *list = json_array();

    for (int i = 0; i < count; i++) {
        if (i < EXTENTS_PRINTED) {
            table_cell(t, "%" PRIu32, extents[i].disk);
            table_cell(t, "%" PRIu64, extents[i].sector);
            table_cell(t, "%" PRIu64, extents[i].sectors);
        }
        json_array_append_new(list, json_pack("{s:i, s:I, s:I}", "disk", (int)extents[i].disk, "sector", (json_int_t)extents[i].sector, "sectors",
                                              (json_int_t)extents[i].sectors));
    }
    if (!cli->json)
        fputc('\n', cli->out);
    table_end(t, cli->json ? NULL : cli->out, "no extents");
    if (!cli->json && count > EXTENTS_PRINTED)
        fprintf(cli->out, "... and %d more (--json has them all)\n", count - EXTENTS_PRINTED);
    return list;
}

static void print_vbd(struct cli *cli, const struct vbd_list *list, const struct collet_vbd_info *v)
{
    char name[VBD_NAME_BYTES], device[FORMAT_BYTES], size[FORMAT_BYTES], flags[128];

    fprintf(cli->out, "%s (%" PRIu32 "): %s, %s, %s, %s; features: %s\n", vbd_name(name, list, v), v->vbd, vbd_device_name(device, v->device),
            format_size(size, v->sectors * 512), mode_text(v), vbd_state_name(v),
            disk_flags_text(flags, v->disk_flags & (COLLET_DISK_CAN_FLUSH | COLLET_DISK_CAN_DISCARD | COLLET_DISK_CAN_WRITE_ZEROES)));
    if (v->flags & COLLET_VBD_BROKEN)
        fprintf(cli->out, "broken: %s\n", v->broken_why);
    print_limits(cli, v);
    print_counts(cli, v);
    print_latencies(cli, v);
}

static int vbd_show_run(struct cli *cli, const struct cli_args *args)
{
    const struct collet_vbd_info *v = NULL;
    struct collet_extent *extents = NULL;
    struct vbd_list list;
    json_t *json;
    int exit = vbd_list_load(cli, &list), count = 0;

    if (exit == 0) {
        v = vbd_find(cli, &list, args->words[0]);
        exit = v == NULL ? CLI_NO_SUCH : 0;
    }
    if (exit == 0 && (count = collet_vbd_extents(cli->collet, v->vbd, &extents)) < 0)
        exit = cli_fail_collet(cli, count, "%s", args->words[0]);
    if (exit == 0) {
        if (!cli->json)
            print_vbd(cli, &list, v);
        json = vbd_json(&list, v);
        json_object_set_new(json, "latency", vbd_latency_json(v, NULL));
        json_object_set_new(json, "extents", show_extents(cli, extents, count));
        cli_result(cli, json_pack("{s:o}", "vbd", json));
    }
    free(extents);
    vbd_list_free(&list);
    return exit;
}

const struct cli_command cmd_vbd_show = {
    .name = "vbd show",
    .arguments = "VBD",
    .summary = "Tell all about a virtual block device: state, limits, counts, latencies, extents",
    .description = "A VBD is DOMAIN/NAME, or its id.",
    .examples = "  collet vbd show web/root",
    .complete = "vbds",
    .least = 1,
    .most = 1,
    .run = vbd_show_run,
};
