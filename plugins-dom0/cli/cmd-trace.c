/* SPDX-License-Identifier: MIT */
/*
 * `collet trace`: record what the CPUs do, and write it for people, scripts and Perfetto's viewer.
 * Tests: test-trace.c.
 */
#include "commands.h"
#include "format.h"
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DUMP_POLL_MS 50

static int parse_kinds(struct cli *cli, const char *text, uint64_t *kinds)
{
    const char *bad, *near, *names[COLLET_TRACE_KINDS + 2] = { "default", "all" };
    char word[40];

    if (text == NULL)
        return *kinds = COLLET_TRACE_DEFAULT, 0;
    if (trace_parse_kinds(text, kinds, &bad) == 0)
        return 0;
    for (unsigned int i = 0; i < COLLET_TRACE_KINDS; i++)
        names[i + 2] = trace_kind_name(i);
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(bad, ","), bad);
    near = cli_nearest(word, names, COLLET_TRACE_KINDS + 2);
    if (near != NULL)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--kinds: no kind '%s'; did you mean %s?", word, near);
    return cli_fail(cli, CLI_USAGE, "EINVAL",
                    "--kinds: no kind '%s'; there are default, all, switch, wake, block, migrate, hypercall, hypercall-enter, fault, event, sched-use, disk-queue, disk-issue, disk-complete", word);
}

static json_t *kinds_json(uint64_t kinds)
{
    json_t *list = json_array();

    for (unsigned int i = 0; i < COLLET_TRACE_KINDS; i++)
        if (kinds >> i & 1)
            json_array_append_new(list, json_string(trace_kind_name(i)));
    return list;
}

static int trace_info(struct cli *cli, struct collet_trace_info *info)
{
    int rc = cli_open(cli);

    if (rc != 0)
        return rc;
    *info = (struct collet_trace_info){ 0 };
    rc = collet_control(cli->collet, COLLET_OP_TRACE_INFO, info, sizeof(*info));
    return rc < 0 ? cli_fail_collet(cli, rc, "trace") : 0;
}

/* ---- start, stop, status ---- */

static int trace_start_run(struct cli *cli, const struct cli_args *args)
{
    const char *size = cli_option(args, "size");
    unsigned long pages = 0;
    uint64_t kinds;
    int rc, exit = parse_kinds(cli, cli_option(args, "kinds"), &kinds);

    if (exit == 0 && size != NULL)
        exit = cli_parse_count(cli, "--size", size, 1024, &pages);
    if (exit == 0 && (pages & (pages - 1)) != 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "--size: %lu is not a power of two", pages);
    if (exit == 0)
        exit = cli_open(cli);
    if (exit != 0)
        return exit;
    rc = collet_trace_start(cli->collet, kinds, (unsigned int)pages);
    if (rc == -EBUSY)
        return cli_fail(cli, CLI_FAILED, "EBUSY", "the rings exist with another size, which stays until the next boot; leave --size out");
    if (rc < 0)
        return cli_fail_collet(cli, rc, "trace start");
    cli_result(cli, json_pack("{s:o}", "kinds", kinds_json(kinds)));
    return 0;
}

static int trace_stop_run(struct cli *cli, const struct cli_args *args)
{
    int rc = cli_open(cli);

    (void)args;
    if (rc != 0)
        return rc;
    rc = collet_trace_stop(cli->collet);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "trace stop");
    cli_result(cli, json_pack("{s:o}", "kinds", json_array()));
    return 0;
}

static int trace_status_run(struct cli *cli, const struct cli_args *args)
{
    struct collet_trace_info info;
    int exit = trace_info(cli, &info);

    (void)args;
    if (exit != 0)
        return exit;
    if (!cli->json) {
        fputs(info.kinds != 0 ? "recording" : "not recording", cli->out);
        for (unsigned int i = 0; i < COLLET_TRACE_KINDS; i++)
            if (info.kinds >> i & 1)
                fprintf(cli->out, " %s", trace_kind_name(i));
        if (info.pages != 0)
            fprintf(cli->out, "; rings of %zu records for each of %u CPUs\n", info.pages * 4096u / sizeof(struct collet_trace_record), info.cpus);
        else
            fputs("; there are no rings yet\n", cli->out);
    }
    cli_result(cli, json_pack("{s:o, s:i, s:i}", "kinds", kinds_json(info.kinds), "pages", (int)info.pages, "cpus", (int)info.cpus));
    return 0;
}

static const struct cli_option start_options[] = {
    { "kinds", "KINDS", "switch,wake,block,migrate,hypercall,hypercall-enter,fault,event,sched-use,disk-queue,disk-issue,disk-complete; all; default", 'k' },
    { "size", "PAGES", "of each CPU's ring: a power of two up to 1024 (64); fixed by the first start", 's' },
    { 0 },
};

const struct cli_command cmd_trace_start = {
    .name = "trace start",
    .arguments = "",
    .summary = "Record from now on",
    .description = "Each CPU has a ring in which the newest records overwrite the oldest. Default kinds: switch, wake, block,\n"
                   "migrate and sched-use.",
    .examples = "  collet trace start\n  collet trace start --kinds default,hypercall --size 256",
    .options = start_options,
    .complete = "none",
    .run = trace_start_run,
};

const struct cli_command cmd_trace_stop = {
    .name = "trace stop",
    .arguments = "",
    .summary = "Record no more; what was recorded stays readable",
    .complete = "none",
    .run = trace_stop_run,
};

const struct cli_command cmd_trace_status = {
    .name = "trace status",
    .arguments = "",
    .summary = "Tell what is being recorded",
    .complete = "none",
    .run = trace_status_run,
};

/* ---- dump ---- */

struct dump {
    struct trace_session session;
    struct trace_out out;
    struct trace_spans *spans; /* of formats of spans */
    const char *file;          /* NULL: standard output */
    struct collet_domain_info *domains;
    unsigned int seconds_ms; /* 0: what is there */
    bool follow;
    bool started_here;
    uint64_t records;
};

static const struct trace_format *format_by_ending(const char *file)
{
    const char *dot = strrchr(file, '.');

    for (const struct trace_format *const *f = trace_formats; dot != NULL && *f != NULL; f++)
        if (strcmp((*f)->ending, dot) == 0)
            return *f;
    return &trace_perfetto;
}

static int choose_format(struct cli *cli, const struct cli_args *args, struct dump *d)
{
    const char *name = cli_option(args, "format");

    d->file = cli_option(args, "output");
    if (d->file != NULL && strcmp(d->file, "-") == 0)
        d->file = NULL;
    d->out.format = d->file != NULL ? format_by_ending(d->file) : cli->json ? &trace_json : &trace_text;
    if (name != NULL) {
        const struct trace_format *const *f = trace_formats;

        while (*f != NULL && strcmp((*f)->name, name) != 0)
            f++;
        if (*f == NULL)
            return cli_fail(cli, CLI_USAGE, "EINVAL", "--format: no format '%s'; there are perfetto, chrome, csv, text, jsonl", name);
        d->out.format = *f;
    }
    if (d->out.format->binary && d->file == NULL && cli->terminal)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "trace dump: %s is not for a terminal; name a file: -o cpu%s", d->out.format->name, d->out.format->ending);
    return 0;
}

static void take_record(void *arg, const struct collet_trace_record *r)
{
    struct dump *d = arg;

    d->records++;
    if (d->spans != NULL)
        trace_spans_record(d->spans, r);
    else
        d->out.format->record(&d->out, r);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Read and write until the time is over. Records younger than the moment before the reading wait for the next round: another ring may still hold older ones. */
static int copy_records(struct cli *cli, struct dump *d)
{
    uint64_t until = d->follow ? UINT64_MAX : now_ms() + d->seconds_ms, lost = d->session.lost;
    bool goes_on = true;

    while (goes_on) {
        struct collet_machine m;
        int rc;

        goes_on = d->follow || now_ms() < until;
        if (goes_on && (d->follow || d->seconds_ms != 0))
            goes_on = cli_sleep_ms(DUMP_POLL_MS);
        rc = collet_machine(cli->collet, &m);
        if (rc == 0)
            rc = trace_session_read(&d->session);
        if (rc < 0)
            return cli_fail_collet(cli, rc, "trace");
        if (d->session.lost != lost && d->spans != NULL)
            trace_spans_gap(d->spans);
        lost = d->session.lost;
        trace_session_take(&d->session, goes_on ? m.now_ns : UINT64_MAX, take_record, d);
        if (d->follow)
            fflush(d->out.file);
    }
    return 0;
}

/* Recording must be on for --seconds and --follow: turned on if it is off, and off again afterwards. */
static int start_if_needed(struct cli *cli, struct dump *d, uint64_t kinds, bool kinds_given)
{
    struct collet_trace_info info;
    int rc, exit = trace_info(cli, &info);

    if (exit != 0)
        return exit;
    if (d->seconds_ms == 0 && !d->follow)
        return info.pages != 0 ? 0 : cli_fail(cli, CLI_FAILED, "ENOENT", "nothing has been recorded; begin with: collet trace start   (or use --seconds)");
    if (info.kinds != 0 && !kinds_given)
        return 0;
    if (info.kinds != 0)
        return cli_fail(cli, CLI_FAILED, "EBUSY", "--kinds: recording is on already, with its own kinds; end it first: collet trace stop");
    rc = collet_trace_start(cli->collet, kinds, 0);
    if (rc < 0 && info.pages != 0)
        rc = collet_trace_start(cli->collet, kinds, info.pages);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "trace start");
    d->started_here = true;
    return 0;
}

static int open_dump(struct cli *cli, struct dump *d)
{
    struct collet_machine m;
    int rc = collet_machine(cli->collet, &m);

    if (rc == 0)
        rc = d->out.domain_count = collet_domains(cli->collet, &d->domains);
    if (rc >= 0)
        rc = trace_session_open(&d->session, cli->collet, m.cpus);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "trace");
    d->out.domains = d->domains;
    d->out.file = d->file != NULL ? fopen(d->file, "we") : cli->out;
    if (d->out.file == NULL) {
        trace_session_close(&d->session);
        return cli_fail(cli, CLI_FAILED, cli_error_name(errno), "%s: %s", d->file, strerror(errno));
    }
    return 0;
}

/* What is older than the seconds that are wanted goes; then recording is begun once more, which tells who runs on each pCPU now. */
static void drop_old(struct cli *cli, struct dump *d)
{
    struct collet_trace_info info;

    if (trace_session_read(&d->session) != 0)
        return;
    trace_session_drop(&d->session);
    if (trace_info(cli, &info) == 0 && info.kinds != 0)
        (void)collet_trace_start(cli->collet, info.kinds, info.pages);
}

static int write_dump(struct cli *cli, struct dump *d)
{
    int rc = 0, exit;

    if (d->seconds_ms != 0)
        drop_old(cli, d);
    if (d->out.format->begin != NULL)
        d->out.format->begin(&d->out);
    if (d->out.format->slice != NULL)
        d->spans = trace_spans_new(&d->out);
    exit = copy_records(cli, d);
    if (d->spans != NULL)
        trace_spans_end(d->spans);
    if (d->out.format->end != NULL)
        d->out.format->end(&d->out);
    if (ferror(d->out.file) != 0 || fflush(d->out.file) != 0)
        rc = errno;
    if (d->file != NULL && fclose(d->out.file) != 0)
        rc = errno;
    if (rc != 0 && exit == 0)
        exit = cli_fail(cli, CLI_FAILED, cli_error_name(rc), "%s: %s", d->file != NULL ? d->file : "standard output", strerror(rc));
    return exit;
}

static void tell_dump(struct cli *cli, const struct dump *d)
{
    if (d->session.lost != 0)
        fprintf(cli->err, "collet: %" PRIu64 " records were overwritten before they were read; larger rings keep more (trace start --size)\n", d->session.lost);
    if (d->file != NULL) {
        if (!cli->json)
            fprintf(cli->err, "collet: %" PRIu64 " records to %s (%s)\n", d->records, d->file, d->out.format->name);
        cli_result(cli, json_pack("{s:s, s:s, s:I, s:I}", "file", d->file, "format", d->out.format->name, "records", (json_int_t)d->records, "lost",
                                  (json_int_t)d->session.lost));
    }
}

static int trace_dump_run(struct cli *cli, const struct cli_args *args)
{
    struct dump d = { .follow = cli_flag(args, "follow") };
    const char *seconds = cli_option(args, "seconds"), *kinds_text = cli_option(args, "kinds");
    uint64_t kinds;
    int exit = choose_format(cli, args, &d);

    if (exit == 0 && seconds != NULL)
        exit = cli_parse_seconds(cli, "--seconds", seconds, &d.seconds_ms);
    if (exit == 0 && d.follow && seconds != NULL)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "trace dump: --follow and --seconds do not go together");
    if (exit == 0)
        exit = parse_kinds(cli, kinds_text, &kinds);
    if (exit == 0 && kinds_text != NULL && !d.follow && seconds == NULL)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "trace dump: --kinds is for --seconds or --follow; what is recorded is recorded");
    if (exit == 0)
        exit = start_if_needed(cli, &d, kinds, kinds_text != NULL);
    if (exit != 0)
        return exit;
    cli_catch_signals();
    exit = open_dump(cli, &d);
    if (exit == 0) {
        exit = write_dump(cli, &d);
        if (exit == 0)
            tell_dump(cli, &d);
        trace_session_close(&d.session);
    }
    if (d.started_here)
        collet_trace_stop(cli->collet);
    free(d.domains);
    return exit;
}

static const struct cli_option dump_options[] = {
    { "format", "FORMAT", "perfetto, chrome, csv, text or jsonl (by the ending of FILE; else text)", 'f' },
    { "output", "FILE", "write to a file", 'o' },
    { "seconds", "N", "only the next N seconds; recording is turned on for them if it is off", 's' },
    { "follow", NULL, "what is there and what comes, until Ctrl-C", 'F' },
    { "kinds", "KINDS", "what to record, with --seconds or --follow", 'k' },
    { 0 },
};

const struct cli_command cmd_trace_dump = {
    .name = "trace dump",
    .arguments = "",
    .summary = "Write what was recorded",
    .description = "perfetto and chrome open in ui.perfetto.dev, with one row a CPU and one a vCPU; csv, text and jsonl have a line a record.\n"
                   "Records of all CPUs are in order of time. What was overwritten unread is counted on standard error.",
    .examples = "  collet trace dump --seconds 2 -o load.perfetto-trace\n  collet trace dump --format csv >trace.csv\n  collet trace dump --follow",
    .options = dump_options,
    .complete = "none",
    .run = trace_dump_run,
};
