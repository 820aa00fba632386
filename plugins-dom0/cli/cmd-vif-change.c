/* SPDX-License-Identifier: MIT */
/*
 * `collet vif add` and `collet vif del`: through colletd, which does the handshake with the guest.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#define ADD_MS 30000
#define DEL_MS 30000 /* the daemon gives the guest ten seconds */

static int add_run(struct cli *cli, const struct cli_args *args)
{
    static const char *const options[] = { "mac", "ip", "network", "rate", "pps", "weight" };
    json_t *request = json_pack("{s:s, s:s, s:s, s:b, s:b}", "op", "vif-add", "domain", args->words[0], "name", args->words[1], "antispoof", !cli_flag(args, "spoof-ok"), "all", cli_flag(args, "all")), *result;
    int exit;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (cli_option(args, options[i]) != NULL)
            json_object_set_new(request, options[i], json_string(cli_option(args, options[i])));
    exit = client_ask(cli, request, ADD_MS, &result);
    if (exit != 0)
        return exit;
    if (!cli->json)
        fprintf(cli->out, "%s: VIF %" PRIu64 ", %s on %s\n", client_text(result, "name"), client_number(result, "vif"), client_text(result, "mac"), client_text(result, "network"));
    cli_result(cli, json_pack("{s:s, s:s, s:I, s:s, s:s}", "domain", args->words[0], "name", client_text(result, "name"), "vif", (json_int_t)client_number(result, "vif"), "mac", client_text(result, "mac"), "network",
                              client_text(result, "network")));
    json_decref(result);
    return 0;
}

static const struct cli_option add_options[] = {
    { "ip", "ADDRESSES", "it may use these alone: 10.0.2.16,fec0::16; default: any", 'i' },
    { "network", "NETWORK", "nic0 (default), or a name: a network without a wire", 'n' },
    { "mac", "MAC", "default: one that is made of the names", 'm' },
    { "rate", "SIZE", "it may send at most so many bytes a second: 10M", 'r' },
    { "pps", "NUMBER", "it may send at most so many packets a second", 'p' },
    { "weight", "NUMBER", "its part of a busy card against others: 1 to 1000, default 100", 'w' },
    { "all", NULL, "it also gets frames for addresses that nobody has (routers, bridges)", 'a' },
    { "spoof-ok", NULL, "what it sends is not held against its addresses", 's' },
    { 0 },
};

const struct cli_command cmd_vif_add = {
    .name = "vif add",
    .arguments = "DOMAIN NAME",
    .summary = "Give a running domain a network interface",
    .description = "NAME is a number or a word; rules and lists call the interface DOMAIN.NAME. It lasts until the domain\n"
                   "ends; a section [vif NAME] in its definition comes again with each start.",
    .examples = "  collet vif add web 1 --ip 10.0.2.17\n  collet vif add web lan --network lan --ip 192.168.0.0/24 --rate 10M",
    .options = add_options,
    .complete = "domains none",
    .least = 2,
    .most = 2,
    .run = add_run,
    .daemon = true,
};

static int del_run(struct cli *cli, const struct cli_args *args)
{
    json_t *request = json_pack("{s:s, s:s, s:s, s:b}", "op", "vif-del", "domain", args->words[0], "name", args->words[1], "force", cli_flag(args, "force")), *result;
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

const struct cli_command cmd_vif_del = {
    .name = "vif del",
    .arguments = "DOMAIN NAME",
    .summary = "Take a network interface away from a running domain",
    .description = "NAME is the interface's name, with or without the domain's before it. The guest is asked to let go of it.\n"
                   "Exit code 6: the guest has not let go within ten seconds; it goes when the guest does, or with --force.",
    .examples = "  collet vif del web 1\n  collet vif del web web.lan --force",
    .options = del_options,
    .complete = "domains none",
    .least = 2,
    .most = 2,
    .run = del_run,
    .daemon = true,
};
