/* SPDX-License-Identifier: MIT */
/*
 * `collet mem`: how much memory a domain shall have. It is a target that the guest's balloon follows; --wait looks until it has.
 * Tests: test-client.c.
 */
#include "client.h"
#include "commands.h"
#include "format.h"

#include <inttypes.h>

static int parse_size(struct cli *cli, const char *text, uint64_t *frames)
{
    if (parse_frames(text, frames) != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "mem: '%s' is not a size; such as 128M, 1G, 262144K, or a number of MiB", text);
    return 0;
}

static int wait_for_size(struct cli *cli, const char *word, uint64_t frames, unsigned int ms)
{
    struct collet_domain_info info;

    for (unsigned int waited = 0;; waited += 100) {
        int exit = cli_domain(cli, word, &info);
        uint64_t apart;

        if (exit != 0)
            return exit;
        apart = info.frames > frames ? info.frames - frames : frames - info.frames;
        if (apart <= 256)
            return 0;
        if (waited >= ms)
            return cli_fail(cli, CLI_TIMED_OUT, "ETIMEDOUT", "%s has %" PRIu64 " MiB, the target is %" PRIu64 " MiB: its balloon has not followed in time",
                            info.name, info.frames / 256, frames / 256);
        if (!cli_sleep_ms(100))
            return CLI_FAILED;
    }
}

static int mem_run(struct cli *cli, const struct cli_args *args)
{
    const char *max = cli_option(args, "max"), *wait = cli_option(args, "wait");
    uint64_t frames, max_frames = 0;
    unsigned int ms = 0;
    json_t *request, *result;
    int exit = parse_size(cli, args->words[1], &frames);

    if (exit == 0 && max != NULL)
        exit = parse_size(cli, max, &max_frames);
    if (exit == 0 && wait != NULL)
        exit = cli_parse_seconds(cli, "--wait", wait, &ms);
    if (exit == 0 && max != NULL && max_frames < frames)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "mem: the maximum %s is less than %s", max, args->words[1]);
    if (exit != 0)
        return exit;
    request = json_pack("{s:s, s:s, s:I}", "op", "mem", "domain", args->words[0], "frames", (json_int_t)frames);
    if (max != NULL)
        json_object_set_new(request, "max_frames", json_integer((json_int_t)max_frames));
    exit = client_ask(cli, request, 30000, &result);
    if (exit != 0)
        return exit;
    cli_result(cli,
               json_pack("{s:s, s:I, s:I}", "domain", args->words[0], "memory_target_bytes", (json_int_t)(client_number(result, "frames") * CLI_FRAME_BYTES),
                         "memory_max_bytes", (json_int_t)(client_number(result, "frames_max") * CLI_FRAME_BYTES)));
    json_decref(result);
    cli_catch_signals();
    return wait != NULL ? wait_for_size(cli, args->words[0], frames, ms) : 0;
}

static const struct cli_option mem_options[] = {
    { "max", "SIZE", "change the maximum too", 'm' },
    { "wait", "SECONDS", "wait until the guest has followed; exit code 6 if it has not", 'w' },
    { 0 },
};

const struct cli_command cmd_mem = {
    .name = "mem",
    .arguments = "DOMAIN SIZE",
    .summary = "Set how much memory a domain shall have",
    .description = "SIZE is 128M, 1G, 262144K; a bare number is MiB. It is a target: the guest's balloon driver\n"
                   "follows as fast as it can give pages back, or as there are pages to get.",
    .examples = "  collet mem web 128M\n  collet mem web 512M --max 1G --wait 10",
    .options = mem_options,
    .complete = "domains none",
    .least = 2,
    .most = 2,
    .run = mem_run,
    .daemon = true,
};
