/* SPDX-License-Identifier: MIT */
/*
 * `collet vbd add`, `collet vbd del` and `collet vbd volumes`: through colletd, which knows what Domain0's disks hold and does the handshake with the guest.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"
#include "format.h"
#include "table.h"

#include <inttypes.h>
#include <string.h>

#define ADD_MS 30000
#define DEL_MS 30000 /* the daemon gives the guest ten seconds */

static int add_run(struct cli *cli, const struct cli_args *args)
{
    const char *mode = cli_option(args, "mode"), *device = cli_option(args, "device"), *bytes = cli_option(args, "bytes-per-s"), *iops = cli_option(args, "iops");
    unsigned long count = 0;
    json_t *request, *result;
    int exit = iops != NULL ? cli_parse_count(cli, "--iops", iops, UINT32_MAX, &count) : 0;

    if (exit == 0 && mode != NULL && strcmp(mode, "r") != 0 && strcmp(mode, "w") != 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "vbd add: --mode %s: r (read only) or w (read and write) was expected", mode);
    if (exit != 0)
        return exit;
    request = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I}", "op", "vbd-add", "domain", args->words[0], "name", args->words[1], "backing", args->words[2], "mode", mode != NULL ? mode : "w", "shared",
                        cli_flag(args, "shared"), "iops", (json_int_t)count);
    if (device != NULL)
        json_object_set_new(request, "device", json_string(device));
    if (bytes != NULL)
        json_object_set_new(request, "bytes_per_s", json_string(bytes));
    exit = client_ask(cli, request, ADD_MS, &result);
    if (exit != 0)
        return exit;
    if (!cli->json)
        fprintf(cli->out, "%s: VBD %" PRIu64 ", %s in the guest\n", args->words[1], client_number(result, "vbd"), client_text(result, "device"));
    cli_result(cli, json_pack("{s:s, s:s, s:s, s:I, s:s}", "domain", args->words[0], "name", args->words[1], "backing", args->words[2], "vbd", (json_int_t)client_number(result, "vbd"), "device",
                              client_text(result, "device")));
    json_decref(result);
    return 0;
}

static const struct cli_option add_options[] = {
    { "mode", "MODE", "r: the guest may only read; w (default): write, too", 'm' },
    { "device", "DEVICE", "its name in the guest, such as xvdb; default: the next one that is free", 'd' },
    { "shared", NULL, "others may have the same sectors, if they say so too", 's' },
    { "iops", "NUMBER", "at most so many requests a second", 'i' },
    { "bytes-per-s", "SIZE", "at most so many bytes a second: 10M", 'b' },
    { 0 },
};

const struct cli_command cmd_vbd_add = {
    .name = "vbd add",
    .arguments = "DOMAIN NAME BACKING",
    .summary = "Give a running domain a disk",
    .description = "BACKING is what the disk is made of:\n"
                   "  disk:disk1              a whole disk           disk:disk1:2048+409600  so many sectors from that one on\n"
                   "  part:disk1p2            a partition            /dev/xvdb2              the same, by Domain0's name\n"
                   "  lvm:vg/name             a logical volume       /dev/vg/name            the same\n"
                   "`collet vbd volumes` lists what there is. It lasts until the domain ends; a section [vbd NAME] in its\n"
                   "definition comes again with each start.",
    .examples = "  collet vbd add web data lvm:vg0/web-data\n  collet vbd add web cd part:disk1p3 --mode r --shared --iops 200",
    .options = add_options,
    .complete = "domains none volumes",
    .least = 3,
    .most = 3,
    .run = add_run,
    .daemon = true,
};

static int del_run(struct cli *cli, const struct cli_args *args)
{
    json_t *request = json_pack("{s:s, s:s, s:s, s:b}", "op", "vbd-del", "domain", args->words[0], "name", args->words[1], "force", cli_flag(args, "force")), *result;
    int exit = client_ask(cli, request, DEL_MS, &result);

    if (exit != 0)
        return exit;
    json_decref(result);
    cli_result(cli, json_pack("{s:s, s:s}", "domain", args->words[0], "name", args->words[1]));
    return 0;
}

static const struct cli_option del_options[] = {
    { "force", NULL, "take it away at once, also if the guest does not let go of it", 'f' },
    { 0 },
};

const struct cli_command cmd_vbd_del = {
    .name = "vbd del",
    .arguments = "DOMAIN NAME",
    .summary = "Take a disk away from a running domain",
    .description = "NAME is the disk's name, or its device in the guest. The guest is asked to let go of it. Unmount it there\n"
                   "first: Linux lets go even of a disk that is mounted, and what was not yet written is lost with it.\n"
                   "Exit code 6: the guest has not let go within ten seconds; it goes when the guest does, or with --force.",
    .examples = "  collet vbd del web data\n  collet vbd del web data --force",
    .options = del_options,
    .complete = "domains none",
    .least = 2,
    .most = 2,
    .run = del_run,
    .daemon = true,
};

static int volumes_run(struct cli *cli, const struct cli_args *args)
{
    json_t *list, *entry, *volumes = json_array();
    char size[FORMAT_BYTES];
    struct table *t;
    size_t i;
    int exit = client_ask(cli, json_pack("{s:s}", "op", "volumes"), ADD_MS, &list);

    (void)args;
    if (exit != 0) {
        json_decref(volumes);
        return exit;
    }
    t = table_new("Backing<|Size>|Used by<");
    json_array_foreach(list, i, entry)
    {
        const char *used = client_text(entry, "used_by"), *why = client_text(entry, "why_not");
        uint64_t sectors = client_number(entry, "sectors");

        table_cell(t, "%s", client_text(entry, "backing"));
        table_cell(t, "%s", *why == '\0' ? format_size(size, sectors * 512) : "-");
        table_cell(t, "%s%s", used, *why != '\0' ? why : "");
        json_array_append_new(volumes, json_pack("{s:s, s:I, s:s, s:s}", "backing", client_text(entry, "backing"), "bytes", (json_int_t)(sectors * 512), "used_by", used, "why_not", why));
    }
    table_end(t, cli->json ? NULL : cli->out, NULL);
    cli_result(cli, json_pack("{s:o}", "volumes", volumes));
    json_decref(list);
    return 0;
}

const struct cli_command cmd_vbd_volumes = {
    .name = "vbd volumes",
    .arguments = "",
    .summary = "List what disks of domains can be made of",
    .description = "Disks, their partitions, and logical volumes that are active in Domain0; who uses each: DOMAIN/DISK, or\n"
                   "Domain0 (mounted there, or part of a volume group).",
    .examples = "  collet vbd volumes",
    .complete = "none",
    .run = volumes_run,
    .daemon = true,
};
