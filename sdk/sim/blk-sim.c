// SPDX-License-Identifier: MIT
/*
 * blk-sim: recorded or made-up disk loads through real ordering modules on a modelled disk, in virtual time. Prints who waited how long, under one module or all.
 *
 * The same input and seed give the same decisions, whichever machine this runs on. Page: docs/reference/blk-sim.md.
 */
#include "blk-input.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX 64
#define RUNS_MAX 32
#define PLOT_POINTS 200
#define DISK_SECTORS_MAX 1024u
#define DISK_SEGMENTS_MAX 128u
#define TIME_MADE_UP_NS (60ull * 1000 * 1000 * 1000)

static const char help[] =
    "usage: blk-sim [options] FILE...             (- is standard input)\n"
    "Runs disk loads through an ordering module on a modelled disk (HP 97560) in virtual time; prints latencies by domain.\n"
    "\n"
    "A FILE is a fio iolog (version 2 or 3), blkparse text, a recording of `collet disk record`, or a workload:\n"
    "  load NAME random|sequential [read=PERCENT] [size=BYTES] [window=N | rate=PER_SECOND] [think=TIME]\n"
    "            [range=A%-B%] [weight=N] [domain=N] [start=TIME] [stop=TIME] [requests=N]\n"
    "  time TIME | seed N | depth N | size BYTES (of the disk; before loads)      # begins a comment\n"
    "\n"
    "  -p, --policy NAME    module (the default one); --list shows them\n"
    "  -c, --compare        every module in turn, side by side\n"
    "  -s, --set [STREAM:]NAME=VALUE   a parameter of the disk, or of one stream; with --compare where the module has it\n"
    "  -d, --depth N        requests that the drive takes at a time (1)\n"
    "  -t, --time TIME      how long (until all is done; 60s for loads without end)\n"
    "      --size BYTES     of the disk (that of the drive, 1.37 GB, or what the load needs); spread over the whole stroke\n"
    "      --loop open|closed   requests come at their times, or after earlier ones have ended (as the file allows)\n"
    "      --window N       closed loop of iologs and blkparse: outstanding per stream (1)\n"
    "      --think TIME     and time from an end to the next (0)\n"
    "      --by process|command|device   blkparse: what is a domain (process)\n"
    "      --shared         iologs: offsets are those of the disk; else each file has a part of its own\n"
    "      --seed N         of made-up loads (1)\n"
    "  -j, --json           machine-readable output\n"
    "  -g, --gnuplot FILE   write a gnuplot script with its data (`gnuplot FILE` makes FILE.svg)\n"
    "  -r, --record FILE    write a recording of the run\n"
    "      --decisions FILE a line for each request issued: time, serial, vbd, op, sector, sectors\n"
    "  -v, --verify         repeat recordings call by call; every decision must be the recorded one\n"
    "  -l, --list           list modules and their parameters\n"
    "  -h, --help\n"
    "\n"
    "TIME is a number with ns, us, ms or s. Exit status: 0; 1 a module answered wrongly, or a decision differs; 2 bad arguments or input.\n";

static struct blk_load load;
static struct blk_setting settings[SETTINGS_MAX];
static uint32_t setting_count;
static struct blk_input_options input = {.window = 1};
static uint64_t arg_time_ns, arg_size, arg_seed;
static uint32_t arg_depth;
static bool json, compare, verify, parts = true; /* parts: each iolog has its own */
static const char *plot_file, *record_file, *decisions_file;

static void die(const char *what, const char *word)
{
    fprintf(stderr, "blk-sim: %s: %s\n", what, word);
    exit(2);
}

static FILE *open_out(const char *path)
{
    FILE *out = fopen(path, "w");

    if (out == NULL)
        die(path, strerror(errno));
    return out;
}

static void close_out(FILE *out, const char *path)
{
    bool failed = ferror(out) != 0;

    if (fclose(out) != 0 || failed)
        die(path, "could not be written");
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* ---- The load ---- */

static uint64_t stream_end(const struct blk_stream *s)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i].sector + s->items[i].sectors > end)
            end = s->items[i].sector + s->items[i].sectors;
    return end;
}

/* Every file of an iolog becomes an extent of its own: equal parts of the disk, large enough for the largest. */
static void spread(void)
{
    uint64_t part = 0, files = 0, start = 0;

    for (uint32_t i = 0; i < load.count; i++) {
        if (!load.streams[i].is_file)
            continue;
        files++;
        if (stream_end(&load.streams[i]) > part)
            part = stream_end(&load.streams[i]);
    }
    if (files != 0 && load.sectors / files > part)
        part = load.sectors / files;
    for (uint32_t i = 0; i < load.count; i++) {
        if (!load.streams[i].is_file)
            continue;
        for (uint32_t n = 0; n < load.streams[i].count; n++)
            load.streams[i].items[n].sector += start;
        start += part;
    }
}

static void read_loads(char **paths, int count)
{
    char error[512];
    bool endless = false;

    for (int i = 0; i < count; i++)
        if (!blk_input_read(&load, paths[i], &input, error, sizeof(error))) {
            fprintf(stderr, "blk-sim: %s\n", error);
            exit(2);
        }
    if (arg_size != 0)
        load.sectors = arg_size / 512;
    if (load.sectors == 0)
        load.sectors = disk_drive_sectors(&disk_hp97560);
    if (parts)
        spread();
    for (uint32_t i = 0; i < load.count; i++) {
        struct blk_stream *s = &load.streams[i];
        uint64_t end = s->items != NULL ? stream_end(s) : s->pattern.to;

        endless |= s->items == NULL && s->pattern.requests == 0 && s->pattern.stop_ns == 0;
        if (end > load.sectors)
            load.sectors = end;
    }
    if (arg_time_ns != 0)
        load.time_ns = arg_time_ns;
    if (load.time_ns == 0 && endless)
        load.time_ns = TIME_MADE_UP_NS;
    if (arg_seed != 0)
        load.seed = arg_seed;
    if (arg_depth != 0)
        load.depth = arg_depth;
    if (load.flushes != 0)
        fprintf(stderr, "blk-sim: %llu flushes passed over: the block core orders around them, not the module\n", (unsigned long long)load.flushes);
}

static bool has_param(const struct blk_sched_ops *ops, const char *name)
{
    for (uint32_t i = 0; i < ops->param_count; i++)
        if (strcmp(ops->params[i].name, name) == 0)
            return true;
    return false;
}

static struct blk_run run_module(const struct blk_sched_ops *ops, FILE *record, FILE *decisions)
{
    struct blk_setting own[SETTINGS_MAX];
    struct blk_run run = {.ops = ops, .drive = &disk_hp97560, .time_ns = load.time_ns, .seed = load.seed, .record = record, .decisions = decisions, .settings = own,
                          .disk = {.id = 1, .depth = load.depth != 0 ? load.depth : 1, .sectors = load.sectors, .sectors_max = DISK_SECTORS_MAX,
                                   .segments_max = DISK_SEGMENTS_MAX, .rotates = true}};
    const char *flaw;

    for (uint32_t i = 0; i < setting_count; i++)
        if (!compare || has_param(ops, settings[i].name))
            own[run.setting_count++] = settings[i];
    flaw = blk_engine_run(&run, &load);
    if (flaw != NULL)
        die("--set", flaw);
    if (run.fault != NULL)
        fprintf(stderr, "blk-sim: FAULT: %s %s (request %llu); arrival order from there on\n", ops->name, run.fault, (unsigned long long)run.fault_serial);
    run.settings = NULL;
    return run;
}

/* ---- Tables ---- */

static double seconds(const struct blk_run *run)
{
    return run->now_ns != 0 ? (double)run->now_ns / 1e9 : 1e-9;
}

static void print_row(const struct blk_run *run, const struct blk_result *r)
{
    double n = r->requests != 0 ? (double)r->requests : 1;

    printf("%-20s %9llu %8.1f %8.3f %6.1f%% | %9.2f %9.2f %9.2f %9.2f %9.2f %9.2f %9.2f\n", r->name[0] != '\0' ? r->name : "all", (unsigned long long)r->requests,
           (double)r->requests / seconds(run), (double)r->sectors * 512 / 1e6 / seconds(run), 100 * (double)r->disk_ns / 1e9 / seconds(run), (double)r->wait_ns / n / 1e6,
           ms(blk_percentile(r, 50)), ms(blk_percentile(r, 90)), ms(blk_percentile(r, 99)), ms(blk_percentile(r, 99.9)), ms(blk_percentile(r, 100)),
           (double)r->disk_ns / n / 1e6);
}

static void print_table(const struct blk_run *run, const struct blk_result *results, uint32_t count)
{
    printf("%s on the modelled %s, depth %u, %.3f s; busy %.1f%%, fairness %.4f\n", run->ops->name, run->drive->name, run->disk.depth, seconds(run),
           100 * (double)run->busy_ns / 1e9 / seconds(run), blk_fairness(results, count));
    printf("%llu requests, %llu to the drive (%llu merged); arm: %llu seeks, %llu cylinders, %llu sectors; ms each: seek %.2f, rotation %.2f, transfer %.2f\n\n",
           (unsigned long long)run->requests, (unsigned long long)run->device_requests, (unsigned long long)run->merged, (unsigned long long)run->model.seeks,
           (unsigned long long)run->model.distance, (unsigned long long)run->sector_distance, ms(run->model.seek_ns) / (double)(run->model.requests + (run->model.requests == 0)),
           ms(run->model.rotate_ns) / (double)(run->model.requests + (run->model.requests == 0)),
           ms(run->model.transfer_ns) / (double)(run->model.requests + (run->model.requests == 0)));
    printf("%-20s %9s %8s %8s %7s | %9s %9s %9s %9s %9s %9s %9s\n", "domain", "requests", "per s", "MB/s", "disk", "wait ms", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms",
           "disk ms");
    for (uint32_t i = 0; i < count; i++)
        print_row(run, &results[i]);
    if (count > 1)
        print_row(run, &results[count]);
}

static void print_name(const char *name)
{
    putchar('"');
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            printf("\\%c", *name);
        else if ((unsigned char)*name < 32)
            printf("\\u%04x", (unsigned char)*name);
        else
            putchar(*name);
    }
    putchar('"');
}

static void print_json(const struct blk_run *run, const struct blk_result *results, uint32_t count)
{
    printf("{\"policy\": \"%s\", \"drive\": \"%s\", \"depth\": %u, \"ns\": %llu, \"busy_ns\": %llu, \"fairness\": %.6f, \"requests\": %llu, \"device_requests\": %llu, "
           "\"merged\": %llu, \"seeks\": %llu, \"seek_cylinders\": %llu, \"seek_sectors\": %llu, \"held\": %llu, \"decisions_hash\": \"%016llx\", \"faulty\": %s,\n \"domains\": [\n",
           run->ops->name, run->drive->name, run->disk.depth, (unsigned long long)run->now_ns, (unsigned long long)run->busy_ns, blk_fairness(results, count),
           (unsigned long long)run->requests, (unsigned long long)run->device_requests, (unsigned long long)run->merged, (unsigned long long)run->model.seeks,
           (unsigned long long)run->model.distance, (unsigned long long)run->sector_distance, (unsigned long long)run->held, (unsigned long long)run->hash,
           run->fault != NULL ? "true" : "false");
    for (uint32_t i = 0; i <= count; i++) {
        const struct blk_result *r = &results[i];

        if (i == count)
            printf(" ],\n \"all\": ");
        printf(i == count ? "{\"name\": " : "  {\"name\": ");
        print_name(i == count ? "all" : r->name);
        printf(", \"domid\": %u, \"weight\": %llu, \"requests\": %llu, \"bytes\": %llu, \"disk_ns\": %llu, \"wait_ns\": %llu, \"latency_ns\": "
               "{\"p50\": %llu, \"p90\": %llu, \"p99\": %llu, \"p99.9\": %llu, \"max\": %llu}}%s\n",
               i == count ? 0 : r->domid, (unsigned long long)r->weight, (unsigned long long)r->requests, (unsigned long long)r->sectors * 512,
               (unsigned long long)r->disk_ns, (unsigned long long)r->wait_ns, (unsigned long long)blk_percentile(r, 50), (unsigned long long)blk_percentile(r, 90),
               (unsigned long long)blk_percentile(r, 99), (unsigned long long)blk_percentile(r, 99.9), (unsigned long long)blk_percentile(r, 100),
               i + 1 < count ? "," : "");
    }
    printf("}");
}

/* ---- Pictures ---- */

static void plot_head(FILE *out, const char *title)
{
    fprintf(out, "set terminal svg size 900,500 background 'white'\nset output '%s.svg'\nset title '%s' noenhanced\n", plot_file, title);
}

/* How large a part of a domain's requests took at most so long. */
static void plot_one(const struct blk_run *run, const struct blk_result *results, uint32_t count)
{
    FILE *out = open_out(plot_file);

    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "$d%u << END\n0 0\n", i);
        for (uint32_t p = 1; p <= PLOT_POINTS && results[i].requests != 0; p++)
            fprintf(out, "%.4f %.3f\n", ms(blk_percentile(&results[i], 100.0 * p / PLOT_POINTS)), 100.0 * p / PLOT_POINTS);
        fprintf(out, "END\n");
    }
    plot_head(out, run->ops->name);
    fprintf(out, "set key right bottom\nset xlabel 'latency (ms)'\nset ylabel 'requests (%%)'\nset logscale x\nplot ");
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s$d%u using ($1 > 0 ? $1 : 0.01):2 with lines title '%s' noenhanced", i != 0 ? ", " : "", i, results[i].name);
    fprintf(out, "\n");
    close_out(out, plot_file);
}

/* A group of bars for each domain, a bar for each module: p99; and the throughput of each module. */
static void plot_compare(const struct blk_run *runs, struct blk_result *const *results, uint32_t modules, uint32_t count)
{
    FILE *out = open_out(plot_file);

    fprintf(out, "$rows << END\ndomain");
    for (uint32_t m = 0; m < modules; m++)
        fprintf(out, " %s", runs[m].ops->name);
    fprintf(out, "\n");
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "\"%s\"", results[0][i].name);
        for (uint32_t m = 0; m < modules; m++)
            fprintf(out, " %.4f", ms(blk_percentile(&results[m][i], 99)));
        fprintf(out, "\n");
    }
    fprintf(out, "END\n");
    plot_head(out, "99th percentile of latency by domain and module");
    fprintf(out, "set style data histogram\nset style fill solid\nset ylabel 'ms'\nset logscale y\nset yrange [0.1:*]\nset key autotitle columnhead noenhanced\nset xtics noenhanced\nplot for [i=2:%u] $rows using i:xtic(1)\n",
            modules + 1);
    close_out(out, plot_file);
}

/* ---- Commands ---- */

static int run_one(const struct blk_sched_ops *ops)
{
    FILE *record = record_file != NULL ? open_out(record_file) : NULL, *decisions = decisions_file != NULL ? open_out(decisions_file) : NULL;
    struct blk_run run = run_module(ops, record, decisions);
    uint32_t count;
    struct blk_result *results = blk_results(&load, &count);

    if (record != NULL)
        close_out(record, record_file);
    if (decisions != NULL)
        close_out(decisions, decisions_file);
    if (json) {
        print_json(&run, results, count);
        putchar('\n');
    } else {
        print_table(&run, results, count);
    }
    if (plot_file != NULL)
        plot_one(&run, results, count);
    blk_results_free(results, count);
    return run.fault != NULL;
}

static void print_compare(const struct blk_run *runs, struct blk_result *const *results, uint32_t modules, uint32_t count)
{
    printf("%-10s %9s %8s %8s %7s %9s %12s | p50 / p99 / max ms of", "module", "requests", "per s", "MB/s", "busy", "fairness", "cylinders");
    for (uint32_t i = 0; i < count; i++)
        printf(" %s%s", results[0][i].name, i + 1 < count ? "," : "");
    printf("\n");
    for (uint32_t m = 0; m < modules; m++) {
        const struct blk_run *run = &runs[m];
        const struct blk_result *all = &results[m][count];

        printf("%-10s %9llu %8.1f %8.3f %6.1f%% %9.4f %12llu |", run->ops->name, (unsigned long long)all->requests, (double)all->requests / seconds(run),
               (double)all->sectors * 512 / 1e6 / seconds(run), 100 * (double)run->busy_ns / 1e9 / seconds(run), blk_fairness(results[m], count),
               (unsigned long long)run->model.distance);
        for (uint32_t i = 0; i < count; i++)
            printf(" %.1f/%.1f/%.1f%s", ms(blk_percentile(&results[m][i], 50)), ms(blk_percentile(&results[m][i], 99)), ms(blk_percentile(&results[m][i], 100)),
                   i + 1 < count ? "," : "");
        printf("%s\n", run->fault != NULL ? "  FAULT" : "");
    }
}

static int run_all(void)
{
    struct blk_run runs[RUNS_MAX];
    struct blk_result *results[RUNS_MAX];
    uint32_t modules = 0, count = 0;
    int faulty = 0;

    for (; blk_sched_modules[modules] != NULL && modules < RUNS_MAX; modules++) {
        runs[modules] = run_module(blk_sched_modules[modules], NULL, NULL);
        results[modules] = blk_results(&load, &count);
        faulty |= runs[modules].fault != NULL;
        if (json) {
            printf(modules == 0 ? "[" : ",\n");
            print_json(&runs[modules], results[modules], count);
        }
    }
    if (json)
        printf("]\n");
    else
        print_compare(runs, results, modules, count);
    if (plot_file != NULL)
        plot_compare(runs, results, modules, count);
    for (uint32_t m = 0; m < modules; m++)
        blk_results_free(results[m], count);
    return faulty;
}

static int run_verify(char **paths, int count)
{
    char text[512];
    int worst = 0;

    for (int i = 0; i < count; i++) {
        size_t bytes_count;
        char *bytes = blk_input_bytes(paths[i], &bytes_count, text, sizeof(text));
        int rc = bytes == NULL ? 2 : blk_verify(paths[i], bytes, bytes_count, text, sizeof(text));

        fprintf(rc == 0 ? stdout : stderr, "%s%s\n", rc == 0 ? "" : "blk-sim: ", text);
        worst = rc > worst ? rc : worst;
        free(bytes);
    }
    return worst;
}

static void list_modules(void)
{
    for (uint32_t i = 0; blk_sched_modules[i] != NULL; i++) {
        const struct blk_sched_ops *ops = blk_sched_modules[i];

        printf("%s%s: %s\n", ops->name, i == 0 ? " (default)" : "", ops->summary);
        for (uint32_t p = 0; p < ops->param_count; p++)
            printf("    %-16s %llu (%llu to %llu)%s  %s\n", ops->params[p].name, (unsigned long long)ops->params[p].initial, (unsigned long long)ops->params[p].minimum,
                   (unsigned long long)ops->params[p].maximum, ops->params[p].scopes & BLK_SCOPE_VBD ? " [STREAM:]" : "", ops->params[p].help);
    }
}

/* ---- Arguments ---- */

static void arg_set(const char *word)
{
    struct blk_setting *s = &settings[setting_count];
    const char *equals = strrchr(word, '='), *colon = strrchr(word, ':');
    const char *name = colon != NULL ? colon + 1 : word;

    if (setting_count == SETTINGS_MAX || equals == NULL || equals == name || equals - name >= ENGINE_NAME || (colon != NULL && colon - word >= ENGINE_NAME) ||
        (!blk_parse_time(equals + 1, &s->value)))
        die("--set wants [STREAM:]NAME=VALUE, the value a number or a time", word);
    snprintf(s->name, sizeof(s->name), "%.*s", (int)(equals - name), name);
    snprintf(s->stream, sizeof(s->stream), "%.*s", colon != NULL ? (int)(colon - word) : 0, word);
    setting_count++;
}

static uint64_t arg_number(const char *option, const char *text, uint64_t most)
{
    uint64_t value;

    if (!blk_parse_size(text, &value) || value == 0 || value > most)
        die(option, text);
    return value;
}

static uint64_t arg_time(const char *option, const char *text)
{
    uint64_t ns;

    if (!blk_parse_time(text, &ns))
        die(option, text);
    return ns;
}

static int arg_choice(const char *option, const char *text, const char *const *choices)
{
    for (int i = 0; choices[i] != NULL; i++)
        if (strcmp(choices[i], text) == 0)
            return i;
    die(option, text);
    return 0;
}

int main(int argc, char **argv)
{
    enum { SIZE = 256, LOOP, WINDOW, THINK, BY, SHARED, SEED, DECISIONS };
    static const char *const loops[] = {"auto", "open", "closed", NULL}, *const streams[] = {"process", "command", "device", NULL};
    static const struct option options[] = {{"policy", 1, 0, 'p'},  {"compare", 0, 0, 'c'},   {"set", 1, 0, 's'},       {"depth", 1, 0, 'd'},  {"time", 1, 0, 't'},
                                            {"size", 1, 0, SIZE},   {"loop", 1, 0, LOOP},     {"window", 1, 0, WINDOW}, {"think", 1, 0, THINK}, {"by", 1, 0, BY},
                                            {"shared", 0, 0, SHARED}, {"seed", 1, 0, SEED},   {"json", 0, 0, 'j'},      {"gnuplot", 1, 0, 'g'}, {"record", 1, 0, 'r'},
                                            {"decisions", 1, 0, DECISIONS}, {"verify", 0, 0, 'v'}, {"list", 0, 0, 'l'}, {"help", 0, 0, 'h'},   {0, 0, 0, 0}};
    const struct blk_sched_ops *ops = blk_sched_modules[0];
    int option, rc;

    while ((option = getopt_long(argc, argv, "p:cs:d:t:jg:r:vlh", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            ops = blk_module(optarg);
            if (ops == NULL)
                die("no such module; --list shows them", optarg);
            break;
        case 'c': compare = true; break;
        case 's': arg_set(optarg); break;
        case 'd': arg_depth = (uint32_t)arg_number("--depth is 1 to 256", optarg, 256); break;
        case 't': arg_time_ns = arg_time("--time wants a time like 30s", optarg); break;
        case SIZE: arg_size = arg_number("--size wants bytes, 1M or more, like 4G", optarg, 1ull << 62); break;
        case LOOP: input.loop = arg_choice("--loop is open or closed", optarg, loops); break;
        case WINDOW: input.window = (uint32_t)arg_number("--window is 1 to 4096", optarg, 4096); break;
        case THINK: input.think_ns = arg_time("--think wants a time like 5ms", optarg); break;
        case BY: input.by = arg_choice("--by is process, command or device", optarg, streams); break;
        case SHARED: parts = false; break;
        case SEED: arg_seed = arg_number("--seed is a number from 1 up", optarg, UINT64_MAX); break;
        case 'j': json = true; break;
        case 'g': plot_file = optarg; break;
        case 'r': record_file = optarg; break;
        case DECISIONS: decisions_file = optarg; break;
        case 'v': verify = true; break;
        case 'l': list_modules(); return 0;
        case 'h': fputs(help, stdout); return 0;
        default: fputs("try blk-sim --help\n", stderr); return 2;
        }
    }
    if (optind == argc) {
        fputs("blk-sim: no load; try blk-sim --help\n", stderr);
        return 2;
    }
    if (verify)
        return run_verify(argv + optind, argc - optind);
    if (compare && (record_file != NULL || decisions_file != NULL))
        die("--record and --decisions are of one run", "not with --compare");
    if (arg_size != 0 && arg_size < 1048576)
        die("--size wants bytes, 1M or more, like 4G", "too small");
    read_loads(argv + optind, argc - optind);
    rc = compare ? run_all() : run_one(ops);
    blk_load_free(&load);
    return rc;
}
