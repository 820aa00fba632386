/* SPDX-License-Identifier: MIT */
/*
 * `collet capture`: the traffic of a domain, a VIF or a card, with the verdict on each frame, to a file, a pipe, an interface of Domain0, or the terminal.
 *
 * The filter is compiled here by libpcap and runs in the hypervisor; what comes through lies in rings until it is taken. Whatever ends the capture, it is closed in the hypervisor, and what was written can be read.
 * Frames younger than a few milliseconds wait for the next round, so that those of all CPUs come out in order of time.
 * Tests: test-capture.c, tests/boot/net.
 */
#include "capture.h"
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SNAP_MOST     262144u
#define PAGES_DEFAULT 256u /* of each CPU's ring: 1 MiB */
#define SETTLE_NS     (5u * 1000 * 1000)
#define SLEEP_MS_LEAST 2u
#define SLEEP_MS_MOST  32u
#define FRAMES_AT_ONCE 512u

static_assert(sizeof(struct bpf_insn) == sizeof(struct vfr_bpf_insn), "libpcap's instructions are the hypervisor's");

struct session {
    struct collet_capture_open open;
    struct collet_capture *capture;
    struct bpf_program filter;
    char filter_text[1024];
    const char *path;      /* NULL: no file */
    const char *interface; /* NULL: none */
    struct capture_file file;
    struct capture_rules *rules;
    struct collet_capture_info info; /* as it was last told */
    int tap;                         /* -1: none */
    uint64_t wall_base_ns;
    uint64_t wanted, frames; /* frames that go out; 0: no end */
    uint64_t tap_lost;
    uint64_t numbers[COLLET_VCPUS_MAX]; /* of the last frame of each ring */
    uint8_t *copy; /* of a frame that is changed */
    size_t copy_room;
    unsigned int ms; /* 0: no end */
    bool later;      /* names need not mean anything yet */
    int error;       /* of writing */
};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- What is wanted ---- */

/* The words behind the target are the filter, as tcpdump has it. */
static int parse_filter(struct cli *cli, const struct cli_args *args, struct session *s)
{
    struct bpf_program *program = &s->filter;
    pcap_t *dead;
    size_t used = 0;
    int exit = 0;

    for (int i = 1; i < args->count; i++) {
        int n = snprintf(s->filter_text + used, sizeof(s->filter_text) - used, "%s%s", used != 0 ? " " : "", args->words[i]);

        if (n < 0 || (size_t)n >= sizeof(s->filter_text) - used)
            return cli_fail(cli, CLI_USAGE, "E2BIG", "the filter is longer than %zu characters", sizeof(s->filter_text) - 1);
        used += (size_t)n;
    }
    if (used == 0)
        return 0;
    dead = pcap_open_dead(DLT_EN10MB, SNAP_MOST);
    if (dead == NULL)
        return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    if (pcap_compile(dead, program, s->filter_text, 1, PCAP_NETMASK_UNKNOWN) != 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "filter '%s': %s; the language is that of tcpdump, see pcap-filter(7)", s->filter_text, pcap_geterr(dead));
    pcap_close(dead);
    s->open.filter_count = exit == 0 ? program->bf_len : 0;
    s->file.filter = s->filter_text;
    return exit;
}

static int parse_direction(struct cli *cli, const char *text, uint32_t *flags)
{
    if (text == NULL)
        return 0;
    if (strcmp(text, "in") == 0)
        *flags |= COLLET_CAPTURE_IN;
    else if (strcmp(text, "out") == 0)
        *flags |= COLLET_CAPTURE_OUT;
    else if (strcmp(text, "both") != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--direction: '%s' is none; there are in (to the domain), out (from it), both", text);
    return 0;
}

static int parse_limits(struct cli *cli, const struct cli_args *args, struct session *s)
{
    const char *count = cli_option(args, "count"), *snap = cli_option(args, "snaplen"), *seconds = cli_option(args, "seconds"), *buffer = cli_option(args, "buffer");
    unsigned long wanted = 0, bytes = 0, pages = PAGES_DEFAULT;
    int exit = 0;

    if (count != NULL)
        exit = cli_parse_count(cli, "--count", count, 1ul << 40, &wanted);
    if (exit == 0 && snap != NULL)
        exit = cli_parse_count(cli, "--snaplen", snap, SNAP_MOST, &bytes);
    if (exit == 0 && seconds != NULL)
        exit = cli_parse_seconds(cli, "--seconds", seconds, &s->ms);
    if (exit == 0 && buffer != NULL)
        exit = cli_parse_count(cli, "--buffer", buffer, COLLET_CAPTURE_PAGES_MAX, &pages);
    if (exit == 0 && (pages & (pages - 1)) != 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "--buffer: %lu is not a power of two up to %u", pages, COLLET_CAPTURE_PAGES_MAX);
    s->wanted = wanted;
    s->open.snap_bytes = s->file.snap_bytes = (uint32_t)bytes;
    s->open.pages = (uint32_t)pages;
    return exit;
}

static int parse_output(struct cli *cli, const struct cli_args *args, struct session *s)
{
    const char *format = cli_option(args, "format"), *dot;

    s->path = cli_option(args, "write");
    s->interface = cli_option(args, "interface");
    if (s->interface != NULL && (s->interface[0] == '\0' || strlen(s->interface) > 15))
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--interface: '%s': a name has 1 to 15 characters", s->interface);
    dot = s->path != NULL ? strrchr(s->path, '.') : NULL;
    s->file.format = dot != NULL && strcmp(dot, ".pcap") == 0 ? CAPTURE_PCAP : CAPTURE_PCAPNG;
    if (format != NULL && strcmp(format, "pcap") == 0)
        s->file.format = CAPTURE_PCAP;
    else if (format != NULL && strcmp(format, "pcapng") == 0)
        s->file.format = CAPTURE_PCAPNG;
    else if (format != NULL)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--format: no format '%s'; there are pcapng and pcap", format);
    if (s->path == NULL || strcmp(s->path, "-") != 0)
        return 0;
    if (cli->json)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "capture: --json and -w - both want standard output");
    if (cli->terminal)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "capture: a file of frames is not for a terminal; name a file: -w FILE, or leave -w out for lines");
    return 0;
}

static int parse(struct cli *cli, const struct cli_args *args, struct session *s)
{
    int exit;

    if (args->count == 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "capture: no domain, VIF or card is named; try: collet capture '*'   (all of them)");
    if (strlen(args->words[0]) >= sizeof(s->open.targets))
        return cli_fail(cli, CLI_USAGE, "EINVAL", "capture: the names are longer than %zu characters", sizeof(s->open.targets) - 1);
    strcpy(s->open.targets, args->words[0]);
    s->later = cli_flag(args, "later");
    if (cli_flag(args, "dropped"))
        s->open.flags |= COLLET_CAPTURE_DROPPED;
    if (cli_flag(args, "passed"))
        s->open.flags |= COLLET_CAPTURE_PASSED;
    exit = parse_direction(cli, cli_option(args, "direction"), &s->open.flags);
    if (exit == 0)
        exit = parse_limits(cli, args, s);
    if (exit == 0)
        exit = parse_output(cli, args, s);
    return exit == 0 ? parse_filter(cli, args, s) : exit;
}

/* ---- Where it goes ---- */

static int open_outputs(struct cli *cli, struct session *s)
{
    const char *what;

    if (s->path != NULL) {
        s->file.file = strcmp(s->path, "-") == 0 ? cli->out : fopen(s->path, "we");
        if (s->file.file == NULL)
            return cli_fail(cli, CLI_FAILED, cli_error_name(errno), "%s: %s; nothing is captured", s->path, strerror(errno));
        capture_file_begin(&s->file);
        fflush(s->file.file); /* who reads a pipe wants to know what it is */
    }
    if (s->interface == NULL)
        return 0;
    s->tap = capture_tap_open(s->interface, &what);
    if (s->tap >= 0)
        return 0;
    if (s->tap == -EBUSY)
        return cli_fail(cli, CLI_FAILED, "EBUSY", "there is an interface %s already; give another name", what);
    return cli_fail(cli, CLI_FAILED, cli_error_name(-s->tap), "%s: %s; nothing is captured", what, strerror(-s->tap));
}

static int close_outputs(struct cli *cli, struct session *s)
{
    struct collet_capture_iface counters[COLLET_CAPTURE_IFACES];
    int exit = 0;

    if (s->tap >= 0)
        close(s->tap);
    if (s->file.file == NULL)
        return 0;
    if (s->capture != NULL && s->error == 0) {
        s->file.ended_ns = s->wall_base_ns + s->info.now_ns;
        capture_file_end(&s->file, counters, (unsigned int)collet_capture_counters(s->capture, counters, COLLET_CAPTURE_IFACES));
    }
    errno = 0;
    if (fflush(s->file.file) != 0 && s->error == 0)
        s->error = errno != 0 ? errno : EIO;
    if (s->file.file != cli->out && fclose(s->file.file) != 0 && s->error == 0)
        s->error = errno;
    if (s->error != 0 && s->error != EPIPE)
        exit = cli_fail(cli, CLI_FAILED, cli_error_name(s->error), "%s: %s; the capture has ended, and the %" PRIu64 " frames before can be read",
                        strcmp(s->path, "-") == 0 ? "standard output" : s->path, strerror(s->error), s->frames);
    return exit;
}

/* ---- Frames ---- */

/* A copy of its own if its checksum is to be completed. */
static const uint8_t *frame_bytes(struct session *s, const struct collet_capture_record *r, const uint8_t *bytes)
{
    uint8_t *copy;

    if ((r->flags & COLLET_CAPTURED_SUM) == 0)
        return bytes;
    if (s->copy_room < r->captured) {
        copy = realloc(s->copy, r->captured);
        if (copy == NULL)
            return bytes;
        s->copy = copy;
        s->copy_room = r->captured;
    }
    memcpy(s->copy, bytes, r->captured);
    capture_sum_complete(r, s->copy);
    return s->copy;
}

static uint64_t lost_before(struct session *s, const struct collet_capture_record *r)
{
    uint64_t *last, lost;

    if (r->cpu >= COLLET_VCPUS_MAX)
        return 0;
    last = &s->numbers[r->cpu];
    lost = r->number > *last ? r->number - *last - 1 : 0;
    *last = r->number;
    return lost;
}

static void take_frame(struct cli *cli, struct session *s, const struct collet_capture_record *r, const uint8_t *bytes)
{
    struct capture_frame frame = {
        .record = r,
        .bytes = frame_bytes(s, r, bytes),
        .time_ns = s->wall_base_ns + r->time_ns,
        .dropped = lost_before(s, r),
        .comment = capture_comment(s->rules, r),
    };

    s->frames++;
    if (s->file.file != NULL) {
        errno = 0;
        capture_file_frame(&s->file, &frame);
        if (ferror(s->file.file) != 0)
            s->error = errno != 0 ? errno : EIO;
    }
    if (s->tap >= 0 && capture_tap_write(s->tap, &frame) != 0)
        s->tap_lost++;
    if (s->file.file != NULL || s->tap >= 0)
        return;
    if (cli->json)
        cli_result_line(cli, capture_frame_json(&frame));
    else
        capture_line(cli, &frame);
}

static bool over(const struct session *s)
{
    return s->error != 0 || (s->wanted != 0 && s->frames >= s->wanted);
}

/* Up to so many frames; how many, or -errno. */
static int take_frames(struct cli *cli, struct session *s, uint64_t until_ns)
{
    struct collet_capture_record record;
    const uint8_t *bytes;
    int n = 0, rc = 1;

    while (!over(s) && n < (int)FRAMES_AT_ONCE) {
        rc = collet_capture_next(s->capture, until_ns, &record, &bytes);
        if (rc <= 0)
            break;
        take_frame(cli, s, &record, bytes);
        n++;
    }
    if (n > 0 && s->file.file != NULL && fflush(s->file.file) != 0)
        s->error = errno;
    if (n > 0 && s->file.file == NULL && (fflush(cli->out) != 0 || ferror(cli->out) != 0))
        s->error = EPIPE;
    return rc < 0 ? rc : n;
}

/* Until it is to end; then what is there is taken. 0 or an exit code. */
static int copy_frames(struct cli *cli, struct session *s)
{
    uint64_t until = s->ms != 0 ? now_ms() + s->ms : UINT64_MAX;
    unsigned int sleep_ms = SLEEP_MS_LEAST;
    bool ending = false;
    int n;

    do {
        int rc = collet_capture_release(s->capture, &s->info);

        if (rc < 0)
            return cli_fail_collet(cli, rc, "capture");
        ending = ending || now_ms() >= until || cli_interrupted();
        n = take_frames(cli, s, ending ? UINT64_MAX : s->info.now_ns - SETTLE_NS);
        if (n < 0)
            return cli_fail_collet(cli, n, "capture");
        sleep_ms = n > 0 ? SLEEP_MS_LEAST : sleep_ms < SLEEP_MS_MOST ? sleep_ms * 2 : SLEEP_MS_MOST;
        if (n < (int)FRAMES_AT_ONCE && !ending && !over(s))
            (void)cli_sleep_ms(sleep_ms);
    } while (!over(s) && (!ending || (n == (int)FRAMES_AT_ONCE && s->ms == 0)));
    (void)!collet_capture_release(s->capture, &s->info);
    return 0;
}

static int begin(struct cli *cli, struct session *s)
{
    struct collet_machine machine;
    int rc = collet_machine(cli->collet, &machine);

    if (rc >= 0)
        rc = collet_capture_open(cli->collet, &s->open, (const struct vfr_bpf_insn *)(const void *)s->filter.bf_insns, &s->capture);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "capture %s", s->open.targets);
    s->wall_base_ns = machine.wall_base_ns;
    s->file.begun_ns = machine.wall_base_ns + machine.now_ns;
    s->info.now_ns = machine.now_ns;
    return 0;
}

static void tell(struct cli *cli, const struct session *s)
{
    const struct collet_capture_info *i = &s->info;

    if (!cli->json)
        fprintf(cli->err, "collet: %" PRIu64 " frames captured of %" PRIu64 " that passed by; %" PRIu64 " more were dropped because they were not taken in time%s\n", s->frames, i->seen,
                i->dropped, i->dropped != 0 ? " (--buffer keeps more)" : "");
    if (s->tap_lost != 0)
        fprintf(cli->err, "collet: %" PRIu64 " frames could not be given to %s\n", s->tap_lost, s->interface);
    if (!cli->json || (s->file.file == NULL && s->tap < 0))
        return;
    cli_result(cli, json_pack("{s:s, s:I, s:I, s:I, s:I}", "targets", s->open.targets, "frames", (json_int_t)s->frames, "seen", (json_int_t)i->seen, "recorded", (json_int_t)i->recorded,
                              "dropped", (json_int_t)i->dropped));
}

static int capture(struct cli *cli, struct session *s)
{
    int exit = cli_open(cli), ended;

    if (exit != 0)
        return exit;
    signal(SIGPIPE, SIG_IGN); /* writing tells */
    cli_catch_signals();
    s->rules = capture_rules_new(cli->collet);
    if (s->rules == NULL)
        return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    if (!s->later)
        exit = capture_targets_check(cli, s->open.targets);
    if (exit == 0)
        exit = begin(cli, s);
    if (exit == 0)
        exit = open_outputs(cli, s);
    if (exit == 0)
        exit = copy_frames(cli, s);
    if (exit == 0)
        tell(cli, s);
    ended = close_outputs(cli, s);
    collet_capture_close(s->capture);
    capture_rules_free(s->rules);
    free(s->copy);
    return exit != 0 ? exit : ended;
}

/* ---- Those that are open ---- */

static int list_captures(struct cli *cli)
{
    struct collet_capture_info *all;
    json_t *list = json_array();
    int n, exit = cli_open(cli);

    if (exit != 0) {
        json_decref(list);
        return exit;
    }
    n = collet_capture_list(cli->collet, &all);
    if (n < 0) {
        json_decref(list);
        return cli_fail_collet(cli, n, "capture --list");
    }
    if (!cli->json)
        fprintf(cli->out, n != 0 ? "Number  Targets                   Seen    Recorded     Dropped  Idle s\n" : "nothing is being captured\n");
    for (int i = 0; i < n; i++) {
        const struct collet_capture_info *c = &all[i];

        if (!cli->json)
            fprintf(cli->out, "%6u  %-18s  %10" PRIu64 "  %10" PRIu64 "  %10" PRIu64 "  %6" PRIu64 "\n", c->capture, c->targets, c->seen, c->recorded, c->dropped,
                    (c->now_ns - c->asked_ns) / 1000000000);
        json_array_append_new(list, json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:I}", "number", (int)c->capture, "targets", c->targets, "opened_ns", (json_int_t)c->opened_ns, "asked_ns",
                                              (json_int_t)c->asked_ns, "seen", (json_int_t)c->seen, "recorded", (json_int_t)c->recorded, "dropped", (json_int_t)c->dropped));
    }
    cli_result(cli, json_pack("{s:o}", "captures", list));
    free(all);
    return 0;
}

static int end_capture(struct cli *cli, const char *text)
{
    unsigned long number;
    int rc, exit = cli_parse_count(cli, "--end", text, UINT32_MAX, &number);

    if (exit == 0)
        exit = cli_open(cli);
    if (exit != 0)
        return exit;
    rc = collet_capture_end(cli->collet, (uint32_t)number);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "capture --end %lu", number);
    cli_result(cli, json_pack("{s:i}", "ended", (int)number));
    return 0;
}

static int capture_run(struct cli *cli, const struct cli_args *args)
{
    struct session s = { .tap = -1 };
    int exit;

    if (cli_flag(args, "list"))
        return list_captures(cli);
    if (cli_flag(args, "end"))
        return end_capture(cli, cli_option(args, "end"));
    exit = parse(cli, args, &s);
    if (exit == 0)
        exit = capture(cli, &s);
    pcap_freecode(&s.filter);
    return exit;
}

static const struct cli_option capture_options[] = {
    { "write", "FILE", "where the frames go, for Wireshark and tcpdump; - is standard output", 'w' },
    { "format", "pcapng|pcap", "pcapng (verdicts, interfaces, drop counters) or pcap; by the ending of FILE, else pcapng", 'F' },
    { "snaplen", "BYTES", "of each frame, at most", 's' },
    { "count", "N", "end after so many frames", 'c' },
    { "seconds", "N", "end after so long", 't' },
    { "dropped", NULL, "only frames that go no further", 'd' },
    { "passed", NULL, "only frames that pass", 'p' },
    { "direction", "in|out|both", "in is to the domain, or from the wire", 'Q' },
    { "interface", "NAME", "make an interface of Domain0 that they come out of, as long as this runs", 'i' },
    { "buffer", "PAGES", "of 4 KiB that the hypervisor keeps for each CPU, a power of two up to 1024 (256)", 'B' },
    { "later", NULL, "the names need not mean anything yet", 'L' },
    { "list", NULL, "show what is being captured, by anybody", 'l' },
    { "end", "NUMBER", "end one that nobody reads any more", 'x' },
    { 0 },
};

const struct cli_command cmd_capture = {
    .name = "capture",
    .arguments = "DOMAIN|VIF|NIC [FILTER]",
    .summary = "Capture traffic, with the verdict on each frame",
    .description = "Several names are separated by commas; * stands for any characters. The filter is tcpdump's, see pcap-filter(7); it runs in the\n"
                   "hypervisor, over the first 256 bytes of a frame. Names are what counts: a domain that is made anew is captured again.\n"
                   "In pcapng, each VIF is an interface, verdict and rule are the packet's comment, and times are in nanoseconds.",
    .examples = "  collet capture web -w web.pcapng\n  collet capture web.0 'tcp port 80' -c 100\n  collet capture '*' --dropped\n"
                "  ssh domain0 collet capture web -w - | wireshark -k -i -\n  collet capture web --interface web0 & tcpdump -i web0",
    .options = capture_options,
    .complete = "capture-targets none",
    .least = 0,
    .most = -1,
    .run = capture_run,
};
