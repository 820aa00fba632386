/* SPDX-License-Identifier: MIT */
/*
 * `collet disk list`, `show`, `sched list`, `sched use` and `model`: the disks, and which module orders each of them.
 * Tests: test-disk.c.
 */
#include "block.h"
#include "commands.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- disk list ---- */

static uint64_t sum(const uint64_t counts[COLLET_BLK_KINDS])
{
    return counts[COLLET_BLK_READ] + counts[COLLET_BLK_WRITE] + counts[COLLET_BLK_DISCARD] + counts[COLLET_BLK_FLUSH];
}

static int disk_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_disk_info *disks = NULL;
    json_t *list;
    struct table *t;
    char size[FORMAT_BYTES], flags[128];
    int exit = cli_open(cli), count;

    (void)args;
    if (exit != 0)
        return exit;
    count = collet_disk_list(cli->collet, &disks);
    if (count < 0)
        return cli_fail_collet(cli, count, "the list of disks");
    list = json_array();
    t = table_new("Name<|Driver<|Size>|Module<|Model<|Queued>|Issued>|Requests>|Errors>|Features<");
    for (const struct collet_disk_info *d = disks; d < disks + count; d++) {
        table_cell(t, "%s", d->name);
        table_cell(t, "%s", d->driver);
        table_cell(t, "%s", format_size(size, d->sectors * 512));
        table_cell(t, "%s", d->module);
        table_cell(t, "%s", d->model[0] != 0 ? d->model : "-");
        table_cell(t, "%" PRIu32, d->queued);
        table_cell(t, "%" PRIu32, d->issued);
        table_cell(t, "%" PRIu64, sum(d->requests));
        table_cell(t, "%" PRIu64, d->errors);
        table_cell(t, "%s", disk_flags_text(flags, d->flags));
        json_array_append_new(list, disk_json(d));
    }
    table_end(t, cli->json ? NULL : cli->out, "the hypervisor drives no disk (it looks for virtio-blk devices at boot; `collet log` tells)");
    cli_result(cli, json_pack("{s:o}", "disks", list));
    free(disks);
    return 0;
}

const struct cli_command cmd_disk_list = {
    .name = "disk list",
    .arguments = "",
    .summary = "List the disks that the hypervisor drives",
    .description = "Queued: requests that the module has; issued: those that the device has; requests: all that ended since boot.",
    .examples = "  collet disk list\n  collet disk list --json | jq '.disks[].module'",
    .complete = "none",
    .run = disk_list_run,
};

/* ---- disk show ---- */

static void print_counts(struct cli *cli, const struct collet_disk_info *d)
{
    struct table *t = table_new("Requests<|Ended>|Sectors done>");

    for (int kind = 0; kind < COLLET_BLK_KINDS; kind++) {
        table_cell(t, "%s", disk_kind_name(kind));
        table_cell(t, "%" PRIu64, d->requests[kind]);
        table_cell(t, "%" PRIu64, d->sectors_done[kind]);
    }
    fputc('\n', cli->out);
    table_end(t, cli->out, NULL);
    fprintf(cli->out,
            "device requests %" PRIu64 ", errors %" PRIu64 ", timeouts %" PRIu64 ", resets %" PRIu64 ", interrupts %" PRIu64 "\nqueued now %" PRIu32
            ", issued %" PRIu32 "; seek distance %" PRIu64 " sectors\n",
            d->device_requests, d->errors, d->timeouts, d->resets, d->interrupts, d->queued, d->issued, d->seek_sectors);
}

static void print_module(struct cli *cli, const struct collet_disk_info *d, uint64_t now_ns)
{
    char text[FORMAT_BYTES], at[FORMAT_BYTES];
    bool any = false;

    fprintf(cli->out, "module %s, for %s (since %s after boot); modules put in charge since boot: %" PRIu64 "\n", d->module,
            format_uptime(text, now_ns - d->since_ns), format_uptime(at, d->since_ns), d->uses);
    if (d->dropped[0] != 0)
        fprintf(cli->out, "last dropped: %s, at %s: %s\n", d->dropped, format_uptime(text, d->dropped_ns), d->dropped_why);
    fprintf(cli->out, "bad answers:");
    for (int i = 0; i < COLLET_DISK_FAULTS; i++)
        if (d->fault_names[i][0] != 0 && d->faults[i] != 0) {
            fprintf(cli->out, "%s %s %" PRIu64, any ? "," : "", d->fault_names[i], d->faults[i]);
            any = true;
        }
    fprintf(cli->out, "%s\n", any ? "" : " none");
    if (d->watchdog_ns != 0)
        fprintf(cli->out, "watchdog: a module may sit on a request for %s\n", format_exact_ns(text, d->watchdog_ns));
}

static void print_disk(struct cli *cli, const struct collet_disk_info *d, uint64_t now_ns)
{
    char size[FORMAT_BYTES], flags[128];

    fprintf(cli->out, "%s (%" PRIu32 "): %s, %s%s%s; %s: %s\n", d->name, d->disk, d->driver, format_size(size, d->sectors * 512),
            d->serial_number[0] != 0 ? ", serial " : "", d->serial_number, "features", disk_flags_text(flags, d->flags));
    fprintf(cli->out,
            "%" PRIu64 " sectors; blocks of %" PRIu32 " bytes; takes %" PRIu32 " requests of %" PRIu32 " sectors in %" PRIu32 " segments, %" PRIu32
            " queue%s\n",
            d->sectors, d->sector_bytes, d->depth, d->sectors_max, d->segments_max, d->queues, d->queues == 1 ? "" : "s");
    print_module(cli, d, now_ns);
    if (d->model[0] != 0)
        fprintf(cli->out, "model %s: moved over %" PRIu64 " cylinders, busy %.1f s\n", d->model, d->model_cylinders, (double)d->model_busy_ns / 1e9);
    print_counts(cli, d);
}

static const char *disk_scopes_text(uint32_t scopes)
{
    static const char *const texts[4] = { "-", "disk", "vbd", "disk, vbd" };

    return texts[scopes & 3];
}

static json_t *show_params(struct cli *cli, const struct collet_disk_info *d, const struct sched_params *p)
{
    struct table *t = table_new("Parameter<|Value>|Least>|Most>|Default>|For<|Meaning<");
    json_t *list = json_array();
    char text[FORMAT_BYTES];

    for (int i = 0; i < p->count; i++) {
        const struct collet_sched_param *param = &p->list[i];
        struct collet_disk_value v = { .scope = COLLET_DISK_SCOPE_DISK };
        bool known;

        memcpy(v.name, param->name, sizeof(v.name));
        known = (param->scopes & COLLET_DISK_SCOPE_DISK) && collet_disk_get(cli->collet, d->disk, p->module, &v, 1, NULL) == 0;
        table_cell(t, "%s", param->name);
        table_cell(t, "%s", known ? sched_value_format(text, param, v.value) : "-");
        table_cell(t, "%s", sched_value_format(text, param, param->minimum));
        table_cell(t, "%s", sched_value_format(text, param, param->maximum));
        table_cell(t, "%s", sched_value_format(text, param, param->initial));
        table_cell(t, "%s", disk_scopes_text(param->scopes));
        table_cell(t, "%s", param->help);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:b, s:b, s:o}", "name", param->name, "type", sched_type_name(param->type), "value",
                                        known ? json_integer((json_int_t)v.value) : json_null(), "minimum", (json_int_t)param->minimum, "maximum",
                                        (json_int_t)param->maximum, "initial", (json_int_t)param->initial, "for_disk", param->scopes & COLLET_DISK_SCOPE_DISK,
                                        "for_vbd", param->scopes & COLLET_DISK_SCOPE_VBD, "help", cli_json_text(param->help)));
    }
    if (!cli->json)
        fputs("\nParameters; the value is that of VBDs that have none of their own:\n", cli->out);
    table_end(t, cli->json ? NULL : cli->out, "  none");
    return list;
}

/* The VBDs on it, with what has been set for each. */
static json_t *show_vbds(struct cli *cli, const struct collet_disk_info *d, const struct sched_params *p)
{
    struct table *t = table_new("VBD<|ID>|Mode<|Size>|State<|In flight>|Values<");
    json_t *list = json_array();
    struct vbd_list all;
    char name[VBD_NAME_BYTES], size[FORMAT_BYTES], text[FORMAT_BYTES], values[256];

    if (vbd_list_load(cli, &all) != 0)
        all.count = 0;
    for (const struct collet_vbd_info *v = all.vbds; v < all.vbds + all.count; v++) {
        json_t *settings = json_object();
        size_t used = 0;

        values[0] = 0;
        if (!(vbd_disks(cli, v->vbd) & 1ull << d->disk)) {
            json_decref(settings);
            continue;
        }
        for (int i = 0; i < p->count; i++) {
            struct collet_disk_value value = { .scope = COLLET_DISK_SCOPE_VBD, .vbd = v->vbd };

            memcpy(value.name, p->list[i].name, sizeof(value.name));
            if (!(p->list[i].scopes & COLLET_DISK_SCOPE_VBD) || collet_disk_get(cli->collet, d->disk, p->module, &value, 1, NULL) != 0)
                continue;
            json_object_set_new(settings, value.name, json_integer((json_int_t)value.value));
            if (used < sizeof(values))
                used += (size_t)snprintf(values + used, sizeof(values) - used, "%s%s=%s", used != 0 ? " " : "", value.name,
                                         sched_value_format(text, &p->list[i], value.value));
        }
        table_cell(t, "%s", vbd_name(name, &all, v));
        table_cell(t, "%" PRIu32, v->vbd);
        table_cell(t, "%s%s", v->flags & COLLET_VBD_READ_ONLY ? "r" : "w", v->flags & COLLET_VBD_RAW ? " raw" : v->flags & COLLET_VBD_SHARED ? " shared" : "");
        table_cell(t, "%s", format_size(size, v->sectors * 512));
        table_cell(t, "%s", vbd_state_name(v));
        table_cell(t, "%" PRIu32, v->in_flight);
        table_cell(t, "%s", values[0] != 0 ? values : "-");
        json_array_append_new(list, json_pack("{s:I, s:s, s:i, s:s?, s:o}", "vbd", (json_int_t)v->vbd, "name", v->name, "domid", (int)v->domid, "domain",
                                              vbd_domain_name(&all, v->domid), "values", settings));
    }
    if (!cli->json)
        fputs("\nVBDs on it:\n", cli->out);
    table_end(t, cli->json ? NULL : cli->out, "  none");
    vbd_list_free(&all);
    return list;
}

static int disk_show_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_disk_info info;
    struct collet_machine m;
    struct sched_params p = { 0 };
    json_t *disk;
    int exit = cli_disk(cli, args->words[0], &info), rc;

    if (exit == 0 && (rc = collet_machine(cli->collet, &m)) < 0)
        exit = cli_fail_collet(cli, rc, "the machine");
    if (exit == 0)
        exit = disk_params_load(cli, &info, &p);
    if (exit == 0) {
        if (!cli->json)
            print_disk(cli, &info, m.now_ns);
        disk = disk_json(&info);
        json_object_set_new(disk, "params", show_params(cli, &info, &p));
        json_object_set_new(disk, "vbds", show_vbds(cli, &info, &p));
        cli_result(cli, json_pack("{s:o}", "disk", disk));
    }
    free(p.list);
    return exit;
}

const struct cli_command cmd_disk_show = {
    .name = "disk show",
    .arguments = "DISK",
    .summary = "Tell all about a disk: its module, parameters, counts and VBDs",
    .examples = "  collet disk show disk0",
    .complete = "disks",
    .least = 1,
    .most = 1,
    .run = disk_show_run,
};

/* ---- disk sched list, disk sched use ---- */

static int disk_sched_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_module *modules = NULL;
    json_t *list;
    struct table *t;
    int exit = cli_open(cli), count;

    (void)args;
    if (exit != 0)
        return exit;
    count = collet_disk_module_list(cli->collet, &modules);
    if (count < 0)
        return cli_fail_collet(cli, count, "the list of disk modules");
    list = json_array();
    t = table_new("Name<|Disks>|Parameters>|Summary<");
    for (const struct collet_sched_module *m = modules; m < modules + count; m++) {
        table_cell(t, "%s", m->name);
        table_cell(t, "%" PRIu32, m->active);
        table_cell(t, "%" PRIu32, m->params);
        table_cell(t, "%s", m->summary);
        json_array_append_new(
            list, json_pack("{s:s, s:i, s:i, s:o}", "name", m->name, "disks", (int)m->active, "params", (int)m->params, "summary", cli_json_text(m->summary)));
    }
    table_end(t, cli->json ? NULL : cli->out, NULL);
    cli_result(cli, json_pack("{s:o}", "modules", list));
    free(modules);
    return 0;
}

const struct cli_command cmd_disk_sched_list = {
    .name = "disk sched list",
    .arguments = "",
    .summary = "List the modules that can order a disk's requests",
    .description = "Disks: how many each of them orders now.",
    .complete = "none",
    .run = disk_sched_list_run,
};

static int disk_sched_use_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_disk_info before, after;
    int exit = cli_disk(cli, args->words[0], &before), rc;

    if (exit != 0)
        return exit;
    rc = collet_disk_use(cli->collet, before.disk, args->words[1]);
    if (rc == -ENOENT)
        return cli_no_such_disk_module(cli, args->words[1]);
    if (rc == 0)
        rc = collet_disk_info(cli->collet, before.disk, &after);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "disk sched use %s %s", before.name, args->words[1]);
    if (!cli->json)
        fprintf(cli->out, "%s: %s (before: %s)\n", after.name, after.module, before.module);
    cli_result(cli, json_pack("{s:s, s:s, s:s}", "disk", after.name, "active", after.module, "before", before.module));
    return 0;
}

const struct cli_command cmd_disk_sched_use = {
    .name = "disk sched use",
    .arguments = "DISK MODULE",
    .summary = "Let another module order a disk's requests, while they are under way",
    .description = "What is queued is handed over, none is lost or repeated. Parameters that both modules have keep their values.",
    .examples = "  collet disk sched use disk0 deadline",
    .complete = "disks disk-modules none",
    .least = 2,
    .most = 2,
    .run = disk_sched_use_run,
};

/* ---- disk model ---- */

static int disk_model_run(struct cli *cli, const struct cli_args *args)
{
    bool none = strcmp(args->words[1], "none") == 0;
    static const char *const drives[] = { "hp97560", "none" };
    struct collet_disk_info before, after;
    const char *near;
    int exit = cli_disk(cli, args->words[0], &before), rc;

    if (exit != 0)
        return exit;
    rc = collet_disk_model(cli->collet, before.disk, none ? NULL : args->words[1]);
    if (rc == -ENOENT) {
        near = cli_nearest(args->words[1], drives, 2);
        return cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no model of a drive '%s'; %s%s%s", args->words[1],
                        near != NULL ? "did you mean " : "there is hp97560, or none", near != NULL ? near : "", near != NULL ? "?" : "");
    }
    if (rc == 0)
        rc = collet_disk_info(cli->collet, before.disk, &after);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "disk model %s %s", before.name, args->words[1]);
    if (!cli->json)
        fprintf(cli->out, "%s: %s (before: %s)\n", after.name, after.model[0] != 0 ? after.model : "none", before.model[0] != 0 ? before.model : "none");
    cli_result(cli, json_pack("{s:s, s:s, s:s}", "disk", after.name, "drive", after.model[0] != 0 ? after.model : "none", "before",
                              before.model[0] != 0 ? before.model : "none"));
    return 0;
}

const struct cli_command cmd_disk_model = {
    .name = "disk model",
    .arguments = "DISK DRIVE",
    .summary = "Delay a disk's completions as a drive that seeks would, or no more",
    .description = "DRIVE is hp97560, or none. Requests that the device has end first. An emulated disk does not seek, so that modules cannot\nbe compared on "
                   "it; on the modelled one they can.",
    .examples = "  collet disk model disk0 hp97560\n  collet disk model disk0 none",
    .complete = "disks drives none",
    .least = 2,
    .most = 2,
    .run = disk_model_run,
};
