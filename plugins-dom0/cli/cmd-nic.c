/* SPDX-License-Identifier: MIT */
/*
 * `collet nic list`, `nic sched list` and `nic sched use`: the network cards, and who decides whose frames go next.
 * Tests: test-net.c.
 */
#include "commands.h"
#include "network.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- nic list ---- */

static const char *features_text(uint32_t flags)
{
    bool sum = (flags & COLLET_NIC_CAN_SUM) != 0, segment = (flags & (COLLET_NIC_CAN_SEGMENT4 | COLLET_NIC_CAN_SEGMENT6)) != 0;

    return sum ? segment ? "checksums, segmentation" : "checksums" : segment ? "segmentation" : "none";
}

static void list_row(struct table *t, const struct collet_nic_info *n)
{
    char mac[NET_ADDRESS_BYTES];

    table_cell(t, "%s", n->name);
    table_cell(t, "%s", n->driver);
    table_cell(t, "%s", net_mac_text(mac, n->mac));
    table_cell(t, "%s", (n->flags & COLLET_NIC_FAILED) != 0 ? "failed" : (n->flags & COLLET_NIC_LINK) != 0 ? "up" : "down");
    table_cell(t, "%u", n->mtu);
    table_cell(t, "%" PRIu32, n->queues);
    table_cell(t, "%" PRIu64, n->tx.segments);
    table_cell(t, "%" PRIu64, n->rx.segments);
    table_cell(t, "%" PRIu64, net_dropped(&n->tx) + net_dropped(&n->rx));
    table_cell(t, "%s", features_text(n->flags));
}

static int nic_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_nic_info *nics = NULL;
    json_t *list;
    struct table *t;
    int exit = cli_open(cli), count;

    (void)args;
    if (exit != 0)
        return exit;
    count = collet_nic_list(cli->collet, &nics);
    if (count < 0)
        return cli_fail_collet(cli, count, "the list of network cards");
    list = json_array();
    t = table_new("Name<|Driver<|MAC<|Link<|MTU>|Queues>|Sent>|Received>|Dropped>|Does itself<");
    for (const struct collet_nic_info *n = nics; n < nics + count; n++) {
        list_row(t, n);
        json_array_append_new(list, nic_json(n));
    }
    table_end(t, cli->json ? NULL : cli->out, "the hypervisor drives no network card (it looks for virtio-net devices at boot; `collet log` tells)");
    cli_result(cli, json_pack("{s:o}", "nics", list));
    free(nics);
    return 0;
}

const struct cli_command cmd_nic_list = {
    .name = "nic list",
    .arguments = "",
    .summary = "List the network cards that the hypervisor drives",
    .description = "Sent, received: frames on the wire since boot. Does itself: what the card takes off the hypervisor.",
    .examples = "  collet nic list\n  collet nic list --json | jq '.nics[].rx.packets'",
    .complete = "none",
    .run = nic_list_run,
};

/* ---- nic sched ---- */

static int sched_list_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_sched_module *modules = NULL;
    json_t *list;
    struct table *t;
    int exit = cli_open(cli), count;

    (void)args;
    if (exit != 0)
        return exit;
    count = collet_net_sched_list(cli->collet, &modules);
    if (count < 0)
        return cli_fail_collet(cli, count, "the list of packet schedulers");
    list = json_array();
    t = table_new("<|Name<|Summary<");
    for (int i = 0; i < count; i++) {
        table_cell(t, "%s", modules[i].active ? "*" : "");
        table_cell(t, "%s", modules[i].name);
        table_cell(t, "%s", modules[i].summary);
        json_array_append_new(list, json_pack("{s:s, s:b, s:o}", "name", modules[i].name, "active", modules[i].active, "summary", cli_json_text(modules[i].summary)));
    }
    table_end(t, cli->json ? NULL : cli->out, NULL);
    cli_result(cli, json_pack("{s:o}", "modules", list));
    free(modules);
    return 0;
}

const struct cli_command cmd_nic_sched_list = {
    .name = "nic sched list",
    .arguments = "",
    .summary = "List the packet schedulers; a star marks the one in charge",
    .complete = "none",
    .run = sched_list_run,
};

static int no_such_module(struct cli *cli, const char *word)
{
    struct collet_sched_module *modules = NULL;
    int count = collet_net_sched_list(cli->collet, &modules), exit;
    const char *names[64], *near;
    size_t known = 0;

    for (int i = 0; i < count && known < 64; i++)
        names[known++] = modules[i].name;
    near = cli_nearest(word, names, known);
    exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no packet scheduler '%s'; %s%s%s", word, near != NULL ? "did you mean " : "`collet nic sched list` shows them", near != NULL ? near : "",
                    near != NULL ? "?" : "");
    free(modules);
    return exit;
}

static int sched_use_run(struct cli *cli, const struct cli_args *args)
{
    int exit = cli_open(cli), rc;

    if (exit != 0)
        return exit;
    rc = collet_net_sched_use(cli->collet, args->words[0]);
    if (rc == -ENOENT)
        return no_such_module(cli, args->words[0]);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "nic sched use %s", args->words[0]);
    cli_result(cli, json_pack("{s:s}", "active", args->words[0]));
    return 0;
}

const struct cli_command cmd_nic_sched_use = {
    .name = "nic sched use",
    .arguments = "MODULE",
    .summary = "Let another packet scheduler choose whose frames go next, while all runs",
    .examples = "  collet nic sched use weighted",
    .complete = "net-modules none",
    .least = 1,
    .most = 1,
    .run = sched_use_run,
};
