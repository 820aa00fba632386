/* SPDX-License-Identifier: MIT */
/*
 * `collet log`: what the hypervisor has logged, or colletd.
 * Guests can make the hypervisor log text of theirs: on a terminal, control characters are shown as question marks.
 * Tests: test-cli.c.
 */
#include "client.h"
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#define LOG_POLL_MS 250
#define LOG_CHUNK   16384

struct log_text {
    char *text;
    size_t used, room;
};

static void clean(char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((unsigned char)text[i] < 32 && text[i] != '\n' && text[i] != '\t') || text[i] == 127)
            text[i] = '?';
}

static int append(struct log_text *log, const char *bytes, size_t count)
{
    if (log->used + count + 1 > log->room) {
        size_t room = (log->used + count + 1) * 2;
        char *grown = realloc(log->text, room);

        if (grown == NULL)
            return -1;
        log->text = grown;
        log->room = room;
    }
    memcpy(log->text + log->used, bytes, count);
    log->used += count;
    log->text[log->used] = 0;
    return 0;
}

/* Everything from *position on. */
static int read_all(struct cli *cli, uint64_t *position, struct log_text *log)
{
    char chunk[LOG_CHUNK];
    long n;

    while ((n = collet_log_read(cli->collet, position, chunk, sizeof(chunk))) > 0)
        if (append(log, chunk, (size_t)n) != 0)
            return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    return n < 0 ? cli_fail_collet(cli, (int)n, "the hypervisor's log") : 0;
}

/* Where the last `lines` lines begin. */
static const char *last_lines(const struct log_text *log, unsigned long lines)
{
    const char *at = log->text + log->used;

    while (at > log->text) {
        if (at[-1] == '\n' && at != log->text + log->used && lines-- <= 1)
            break;
        at--;
    }
    return at;
}

static void print_text(struct cli *cli, char *text)
{
    if (cli->json) {
        char *rest, *line;

        for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
            cli_result_line(cli, json_pack("{s:o}", "line", cli_json_text(line)));
    } else {
        if (cli->terminal)
            clean(text, strlen(text));
        fputs(text, cli->out);
    }
    fflush(cli->out);
}

/* Print what has come. In JSON, half a line waits for its rest. */
static void print_news(struct cli *cli, struct log_text *log)
{
    char *end, kept;
    size_t left;

    if (log->used == 0)
        return;
    end = cli->json ? memrchr(log->text, '\n', log->used) : log->text + log->used;
    if (end == NULL)
        return;
    if (cli->json)
        end++;
    left = log->used - (size_t)(end - log->text);
    kept = *end;
    *end = 0;
    print_text(cli, log->text);
    *end = kept;
    memmove(log->text, end, left + 1);
    log->used = left;
}

static int print_hypervisor_log(struct cli *cli, unsigned long lines, bool follow)
{
    struct log_text log = { 0 };
    uint64_t position = 0;
    int exit = cli_open(cli);

    if (exit == 0)
        exit = read_all(cli, &position, &log);
    if (exit == 0 && log.used != 0)
        print_text(cli, lines != 0 ? log.text + (last_lines(&log, lines) - log.text) : log.text);
    log.used = 0;
    cli_catch_signals();
    while (exit == 0 && follow && cli_sleep_ms(LOG_POLL_MS)) {
        exit = read_all(cli, &position, &log);
        if (exit == 0)
            print_news(cli, &log);
    }
    free(log.text);
    return exit;
}

static int print_daemon_log(struct cli *cli, unsigned long lines)
{
    json_t *result;
    char *text;
    int exit = client_ask(cli, json_pack("{s:s, s:I}", "op", "log", "lines", (json_int_t)(lines != 0 ? lines : 200)), 10000, &result);

    if (exit != 0)
        return exit;
    text = strdup(client_text(result, "text"));
    json_decref(result);
    if (text == NULL)
        return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    print_text(cli, text);
    free(text);
    return 0;
}

static int log_run(struct cli *cli, const struct cli_args *args)
{
    const char *lines = cli_option(args, "lines");
    unsigned long count = 0;
    int exit = lines != NULL ? cli_parse_count(cli, "--lines", lines, 1000000, &count) : 0;

    if (exit == 0 && cli_flag(args, "daemon") && cli_flag(args, "follow"))
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "log: --follow is for the hypervisor's log; for colletd's: tail -f /var/log/collet/colletd.log");
    if (exit != 0)
        return exit;
    return cli_flag(args, "daemon") ? print_daemon_log(cli, count) : print_hypervisor_log(cli, count, cli_flag(args, "follow"));
}

static const struct cli_option log_options[] = {
    { "lines", "N", "only the last N lines", 'n' },
    { "follow", NULL, "go on with what comes, until Ctrl-C", 'f' },
    { "daemon", NULL, "colletd's log (its last 200 lines, or --lines)", 'd' },
    { 0 },
};

const struct cli_command cmd_log = {
    .name = "log",
    .arguments = "",
    .summary = "Print the hypervisor's log, or colletd's",
    .examples = "  collet log -n 20\n  collet log --follow\n  collet log --daemon",
    .options = log_options,
    .complete = "none",
    .run = log_run,
};
