/* SPDX-License-Identifier: MIT */
/*
 * `collet top`: domains by what they use, renewed as one looks. On a terminal with curses; elsewhere, or with --batch, plain tables one after the other.
 * Tests: test-top.c (the numbers), test-cli.c (batch).
 */
#include "commands.h"
#include "format.h"
#include "table.h"
#include "top.h"

#include <inttypes.h>
#include <limits.h>
#include <ctype.h>
#include <ncursesw/curses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct view {
    struct top_sample before, after;
    enum top_order order;
    bool per_vcpu, help;
    unsigned int delay_ms;
    unsigned long rounds; /* 0: no end */
    int first;            /* line of the list at the top of the screen */
};

/* ---- Lines of text, for both manners ---- */

static uint64_t sum_faults(const struct collet_sched_status *s)
{
    uint64_t sum = 0;

    for (int i = 0; i < COLLET_SCHED_FAULTS; i++)
        sum += s->faults[i];
    return sum;
}

static double switches_per_second(const struct view *v)
{
    uint64_t before = 0, after = 0, ns = v->after.machine.now_ns - v->before.machine.now_ns;

    for (unsigned int cpu = 0; cpu < v->after.sched.cpus && cpu < COLLET_VCPUS_MAX; cpu++) {
        before += v->before.sched.queues[cpu].switches;
        after += v->after.sched.queues[cpu].switches;
    }
    return ns != 0 && after > before ? 1e9 * (double)(after - before) / (double)ns : 0;
}

static void head_lines(const struct view *v, char lines[3][192])
{
    const struct collet_machine *m = &v->after.machine;
    const struct collet_sched_status *s = &v->after.sched;
    char up[FORMAT_BYTES], since[FORMAT_BYTES];
    int states[4] = { 0 };

    for (int i = 0; i < v->after.count; i++) {
        const struct top_domain *d = &v->after.domains[i];
        const char *state = domain_state(&d->info, d->vcpus, d->vcpu_count);

        states[strcmp(state, "running") == 0 || strcmp(state, "runnable") == 0 ? 0
               : strcmp(state, "blocked") == 0                                 ? 1
               : strcmp(state, "paused") == 0                                  ? 2
                                                                               : 3]++;
    }
    snprintf(lines[0], sizeof(lines[0]), "collet top  up %s  domains %d: %d running, %d blocked, %d paused, %d other", format_uptime(up, m->now_ns),
             v->after.count, states[0], states[1], states[2], states[3]);
    snprintf(lines[1], sizeof(lines[1]), "CPUs %u: %.1f%% of %u%% busy   Mem: %" PRIu64 " MiB, %" PRIu64 " free, hypervisor %.1f", m->cpus,
             top_busy_percent(&v->before, &v->after), m->cpus * 100, m->frames_total / 256, m->frames_free / 256, (double)m->frames_hypervisor / 256);
    snprintf(lines[2], sizeof(lines[2]), "Scheduler %s for %s   %.0f switches/s   taken over %" PRIu64 " times   bad answers %" PRIu64 "%s%s", s->active,
             format_uptime(since, m->now_ns - s->since_ns), switches_per_second(v), s->uses, sum_faults(s), s->dropped[0] != 0 ? "   last dropped " : "",
             s->dropped);
}

#define TOP_TITLES "NAME<|ID>|STATE<|CPU%>|WAIT%>|P99>|WAKES/s>|DISP/s>|MIGR/s>|TIME(s)>|MEM(MiB)>|MAX(MiB)>|VCPUS>"

static void add_row(struct table *t, const struct top_row *r, int name_width)
{
    char text[FORMAT_BYTES];

    /* As top and xentop do it: a plus sign stands for what did not fit. */
    if ((int)strlen(r->name) > name_width)
        table_cell(t, "%.*s+", name_width - 1, r->name);
    else
        table_cell(t, "%s", r->name);
    table_cell(t, "%u", r->domid);
    table_cell(t, "%s", r->state);
    table_cell(t, "%.1f", r->cpu_percent);
    table_cell(t, "%.1f", r->wait_percent);
    table_cell(t, "%s", r->p99_ns != 0 ? format_duration(text, r->p99_ns) : "-");
    table_cell(t, "%.0f", r->wakes);
    table_cell(t, "%.0f", r->dispatches);
    table_cell(t, "%.0f", r->migrations);
    table_cell(t, "%.1f", (double)r->run_ns / 1e9);
    table_cell(t, "%" PRIu64, r->frames / 256);
    table_cell(t, "%" PRIu64, r->frames_max / 256);
    table_cell(t, "%u", r->vcpus);
}

static void print_table(const struct view *v, FILE *out, int name_width)
{
    struct table *t = table_new(TOP_TITLES);
    struct top_row *rows;
    int count;

    rows = top_rows(&v->before, &v->after, v->order, v->per_vcpu, &count);
    for (int i = 0; rows != NULL && i < count; i++)
        add_row(t, &rows[i], name_width);
    table_end(t, out, NULL);
    free(rows);
}

/* ---- Batch ---- */

static json_t *row_json(const struct top_row *r)
{
    return json_pack("{s:s, s:i, s:o, s:s, s:f, s:f, s:I, s:I, s:I, s:i, s:f, s:f, s:f, s:I}", "name", r->name, "domid", (int)r->domid, "vcpu",
                     r->vcpu >= 0 ? json_integer(r->vcpu) : json_null(), "state", r->state, "cpu_percent", r->cpu_percent, "wait_percent", r->wait_percent,
                     "run_ns", (json_int_t)r->run_ns, "memory_bytes", (json_int_t)(r->frames * CLI_FRAME_BYTES), "memory_max_bytes",
                     (json_int_t)(r->frames_max * CLI_FRAME_BYTES), "vcpus_online", (int)r->vcpus, "wakes_per_s", r->wakes, "dispatches_per_s", r->dispatches,
                     "migrations_per_s", r->migrations, "latency_p99_ns", (json_int_t)r->p99_ns);
}

static void print_round_json(struct cli *cli, const struct view *v)
{
    json_t *list = json_array();
    int count;
    struct top_row *rows = top_rows(&v->before, &v->after, v->order, v->per_vcpu, &count);

    for (int i = 0; rows != NULL && i < count; i++)
        json_array_append_new(list, row_json(&rows[i]));
    free(rows);
    cli_result_line(cli, json_pack("{s:I, s:I, s:f, s:i, s:I, s:s, s:I, s:f, s:o}", "now_ns", (json_int_t)v->after.machine.now_ns, "interval_ns",
                                   (json_int_t)(v->after.machine.now_ns - v->before.machine.now_ns), "busy_percent", top_busy_percent(&v->before, &v->after),
                                   "cpus", (int)v->after.machine.cpus, "memory_free_bytes", (json_int_t)(v->after.machine.frames_free * CLI_FRAME_BYTES),
                                   "scheduler", v->after.sched.active, "scheduler_uses", (json_int_t)v->after.sched.uses, "switches_per_s",
                                   switches_per_second(v), "rows", list));
}

static void print_round(struct cli *cli, const struct view *v, bool first)
{
    char lines[3][192];

    if (cli->json) {
        print_round_json(cli, v);
        return;
    }
    head_lines(v, lines);
    if (!first)
        fputc('\n', cli->out);
    for (int i = 0; i < 3; i++)
        fprintf(cli->out, "%s\n", lines[i]);
    print_table(v, cli->out, INT_MAX);
    fflush(cli->out);
}

static int next_sample(struct cli *cli, struct view *v)
{
    int rc;

    top_free(&v->before);
    v->before = v->after;
    rc = top_take(cli->collet, &v->after);
    return rc < 0 ? cli_fail_collet(cli, rc, "top") : 0;
}

static int run_batch(struct cli *cli, struct view *v)
{
    int exit = next_sample(cli, v);

    for (unsigned long round = 0; exit == 0 && (v->rounds == 0 || round < v->rounds); round++) {
        if (!cli_sleep_ms(v->delay_ms))
            break;
        exit = next_sample(cli, v);
        if (exit == 0)
            print_round(cli, v, round == 0);
    }
    return exit;
}

/* ---- Curses ---- */

static const char *const help_lines[] = {
    "c  by CPU             m  by memory          n  by name           i  by number",
    "w  by wake-ups        l  by latency         s  by waiting        o  next order",
    "v  domains or vCPUs   + -  faster, slower   arrows, PgUp, PgDn   scroll",
    "h  this help          space  now            q  quit",
    "",
    "CPU%   running, of one CPU          WAIT%  runnable, while others ran",
    "P99    99% of the wake-ups of the last interval ran within this time",
    NULL,
};

static bool on_key(struct view *v, int key)
{
    static const char letters[] = "cmniwls";
    const char *at = key > 0 && key < 128 ? strchr(letters, key) : NULL;

    if (at != NULL && *at != 0)
        v->order = (enum top_order)(at - letters);
    switch (key) {
    case 'q':
    case 27: return false;
    case 'o': v->order = (v->order + 1) % TOP_ORDERS; break;
    case 'v':
    case 'V': v->per_vcpu = !v->per_vcpu; break;
    case 'h':
    case '?': v->help = !v->help; break;
    case '+': v->delay_ms = v->delay_ms > 200 ? v->delay_ms / 2 : 100; break;
    case '-': v->delay_ms = v->delay_ms < 30000 ? v->delay_ms * 2 : 60000; break;
    case KEY_DOWN: v->first++; break;
    case KEY_UP: v->first--; break;
    case KEY_NPAGE: v->first += LINES / 2; break;
    case KEY_PPAGE: v->first -= LINES / 2; break;
    default: break;
    }
    if (v->first < 0)
        v->first = 0;
    return true;
}

static void draw_help(int line)
{
    for (int i = 0; help_lines[i] != NULL && line + i < LINES; i++)
        mvaddnstr(line + i, 2, help_lines[i], COLS > 2 ? COLS - 2 : 0);
}

/* The table as text, cut to the screen line by line. */
static void draw_table(struct view *v, int line)
{
    char *text = NULL, *rest, *row;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    int number = -1, rows = 0;

    if (out == NULL)
        return;
    print_table(v, out, COLS >= 130 ? INT_MAX : 16);
    fclose(out);
    for (char *c = text; *c != 0; c++)
        rows += *c == '\n';
    if (v->first > rows - 2)
        v->first = rows > 2 ? rows - 2 : 0;
    for (row = strtok_r(text, "\n", &rest); row != NULL && line < LINES; row = strtok_r(NULL, "\n", &rest), number++) {
        if (number >= 0 && number < v->first)
            continue;
        if (number < 0)
            attron(A_REVERSE);
        mvaddnstr(line++, 0, row, COLS);
        if (number < 0)
            attroff(A_REVERSE);
    }
    free(text);
}

static void draw(struct view *v)
{
    char lines[3][192];

    head_lines(v, lines);
    erase();
    for (int i = 0; i < 3 && i < LINES; i++)
        mvaddnstr(i, 0, lines[i], COLS);
    if (LINES > 3)
        mvprintw(3, 0, "order: %s%s   every %.1f s   h: help", top_order_names[v->order], v->per_vcpu ? ", by vCPU" : "", v->delay_ms / 1000.0);
    if (v->help)
        draw_help(5);
    else
        draw_table(v, 4);
    refresh();
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Keys until it is time for the next look; false: quit. */
static bool wait_for_keys(struct view *v)
{
    uint64_t until = now_ms() + v->delay_ms;

    for (;;) {
        uint64_t now = now_ms();
        int key;

        if (now >= until)
            return !cli_interrupted();
        timeout(until - now > 1000 ? 1000 : (int)(until - now)); /* short: signals end it then at the latest */
        key = getch();
        if (cli_interrupted() || (key != ERR && !on_key(v, key)))
            return false;
        if (key == ' ')
            return true;
        if (key != ERR)
            draw(v); /* a resize comes as a key, too */
    }
}

static int run_curses(struct cli *cli, struct view *v)
{
    const char *type = getenv("TERM") != NULL ? getenv("TERM") : "";
    int exit;

    if (strcmp(type, "dumb") == 0)
        return cli_fail(cli, CLI_FAILED, "ENOTTY", "top: a terminal of type 'dumb' cannot be drawn on; use --batch, or set TERM (such as vt100)");
    if (newterm(NULL, stdout, stdin) == NULL)
        return cli_fail(cli, CLI_FAILED, "ENOTTY", "top: terminal type '%s' is not known here; use --batch, or set TERM (such as vt100)", type);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    set_escdelay(50);
    exit = next_sample(cli, v);
    for (unsigned long round = 0; exit == 0 && (v->rounds == 0 || round < v->rounds); round++) {
        if (round == 0)
            cli_sleep_ms(v->delay_ms < 300 ? v->delay_ms : 300); /* the first screen soon */
        exit = next_sample(cli, v);
        if (exit == 0)
            draw(v);
        if (exit != 0 || !wait_for_keys(v))
            break;
    }
    endwin();
    return exit;
}

static int top_options(struct cli *cli, const struct cli_args *args, struct view *v)
{
    const char *delay = cli_option(args, "delay"), *rounds = cli_option(args, "iterations"), *order = cli_option(args, "sort");
    int exit = 0;

    if (delay != NULL)
        exit = cli_parse_seconds(cli, "--delay", delay, &v->delay_ms);
    if (exit == 0 && rounds != NULL)
        exit = cli_parse_count(cli, "--iterations", rounds, 1ul << 30, &v->rounds);
    if (exit == 0 && order != NULL) {
        for (v->order = 0; v->order < TOP_ORDERS && strcmp(top_order_names[v->order], order) != 0;)
            v->order++;
        if (v->order == TOP_ORDERS)
            exit = cli_fail(cli, CLI_USAGE, "EINVAL", "--sort: no order '%s'; there are cpu, memory, name, id, wakes, latency, wait", order);
    }
    return exit;
}

static int top_run(struct cli *cli, const struct cli_args *args)
{
    struct view v = { .delay_ms = 2000, .per_vcpu = cli_flag(args, "vcpus") };
    bool batch = cli_flag(args, "batch") || cli->json || !cli->terminal || !isatty(0);
    int exit = top_options(cli, args, &v);

    if (exit == 0)
        exit = cli_open(cli);
    if (exit != 0)
        return exit;
    cli_catch_signals();
    exit = batch ? run_batch(cli, &v) : run_curses(cli, &v);
    /* An error that curses took from the screen is said now; with JSON it comes at the end anyway. */
    top_free(&v.before);
    top_free(&v.after);
    return exit;
}

static const struct cli_option options[] = {
    { "batch", NULL, "plain tables, also on a terminal", 'b' },
    { "delay", "SECONDS", "between two looks (2)", 'd' },
    { "iterations", "N", "end after N looks", 'n' },
    { "sort", "ORDER", "cpu, memory, name, id, wakes, latency, wait", 's' },
    { "vcpus", NULL, "a line for each vCPU", 'v' },
    { 0 },
};

const struct cli_command cmd_top = {
    .name = "top",
    .arguments = "",
    .summary = "Show domains by what they use, live",
    .description = "WAIT% is the time that vCPUs were runnable while others ran; P99 bounds 99% of the wake-up latencies of the\n"
                   "last interval. Keys: h lists them. With --json: a line of JSON each interval.",
    .examples = "  collet top\n  collet top --batch -n 3 -d 1\n  collet top --sort latency --vcpus",
    .options = options,
    .complete = "none",
    .run = top_run,
};
