// SPDX-License-Identifier: MIT
/*
 * vfr-cost: how many instructions judging a packet takes, by number of rules: sets shaped as ClassBench's (<vfr/generate.h>), packets that meet them. The very sources that the hypervisor links, this host's processor.
 *
 * A child judges packets; the parent steps it through each call one instruction at a time and counts. So the figures repeat exactly, whatever else the host does.
 *   first     the packet's flow has not been seen: the classifier is asked
 *   later     the next packet of that flow
 *   parse     reading the headers (of any set)
 *   linear    every rule in turn, as other filters do (for comparison; up to 100 rules)
 * Also: how long loading takes here, memory, and the shape of the trees. --check ends with 1 if a first packet at 10,000 rules costs 2,400 instructions more than at 10 (a third of what all of a packet's way takes).
 * STYLE and numbers of RULES: that alone. --print RULES STYLE SEED: the set as text of the rule language. STYLE: acl, fw, ipc, mixed.
 */
#include <vfr/engine.h>
#include <vfr/generate.h>
#include <vfr/packet.h>

#include "../vfr/engine-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST, LATER, PARSE, LINEAR, OPS };
enum { PACKETS = 60, LINEAR_RULES = 100, STYLES = 4 };
static const uint32_t sizes[] = {0, 1, 10, 100, 1000, 10000, 100000};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
static const char *const style_names[STYLES] = {"acl", "fw", "ipc", "mixed"};

const struct vfr_rule_ops *const vfr_rule_kinds[] = {NULL};

static void *get(size_t bytes)
{
    return calloc(1, bytes);
}
static int read_bytes(void *arg, uint64_t offset, void *to, size_t bytes)
{
    memcpy(to, (const uint8_t *)arg + offset, bytes);
    return 0;
}

static void *make_set(uint32_t rules, enum vfr_style style, uint64_t seed, size_t *bytes)
{
    struct vfr_generate how = {.seed = seed, .rules = rules, .style = style, .odd = style == VFR_STYLE_MIXED ? 20 : 0, .plain = true};

    return vfr_generate_set(&how, bytes);
}

static struct vfr_engine *make_engine(void *set, size_t bytes)
{
    static const struct vfr_memory memory = {.alloc = get, .free = free, .cpus = 1};
    struct vfr_source source = {.read = read_bytes, .arg = set, .bytes = bytes};
    struct vfr_load_error error;
    struct vfr_engine *engine;
    int rc = vfr_engine_create(&engine, &source, &memory, &error);

    if (rc != 0) {
        fprintf(stderr, "vfr-cost: line %u: %s (%d)\n", error.line, error.text, rc);
        exit(2);
    }
    return engine;
}

/* ---- The child ---- */

/* What follows is stepped, until the next one. */
static void mark(void)
{
    raise(SIGUSR1);
}

static void play(struct vfr_engine *engine, const void *set, uint64_t seed)
{
    static uint8_t frame[VFR_HEADER_MAX];
    struct vfr_binding binding;
    struct vfr_iface iface;
    struct vfr_verdict v;
    uint64_t random = seed;

    vfr_generate_iface(0, &iface);
    vfr_engine_bind(engine, &iface, &binding);
    for (;;) {
        uint32_t bytes = vfr_generate_frame(set, &random, 0, frame);
        struct vfr_packet packet = {.header = frame, .header_bytes = bytes, .bytes = bytes, .from = &iface};

        vfr_parse(&packet);
        mark();
        vfr_engine_judge(engine, &packet, VFR_TX, &binding, 0, 1, &v);
        mark();
        mark();
        vfr_engine_judge(engine, &packet, VFR_TX, &binding, 0, 2, &v);
        mark();
        mark();
        vfr_parse(&packet);
        mark();
        mark();
        if (engine->rule_count <= LINEAR_RULES)
            vfr_engine_judge_linear(engine, &packet, VFR_TX, &binding, 0, 3, &v);
        mark();
    }
}

/* ---- The parent ---- */

static int step(pid_t child, enum __ptrace_request how)
{
    int status;

    if (ptrace(how, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child) {
        fprintf(stderr, "vfr-cost: cannot step: %s\n", strerror(errno));
        exit(2);
    }
    return status;
}

/* Instructions up to the next mark, those of raise() at both ends among them. */
static uint64_t count_steps(pid_t child)
{
    uint64_t steps = 0;
    int status;

    do {
        status = step(child, PTRACE_SINGLESTEP);
        steps++;
    } while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    return steps;
}

static uint64_t empty_steps;

static pid_t start(void (*run)(void *), void *arg)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        run(arg);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return child;
}

static void stop(pid_t child)
{
    int status;

    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

static void play_nothing(void *arg)
{
    (void)arg;
    for (;;) {
        mark();
        mark();
    }
}

struct played {
    struct vfr_engine *engine;
    const void *set;
    uint64_t seed;
};
static void play_set(void *arg)
{
    struct played *p = arg;

    play(p->engine, p->set, p->seed);
}

/* Means and largest. */
struct cost {
    double mean[OPS];
    uint64_t most[OPS];
};

static void measure(struct played *p, struct cost *cost)
{
    pid_t child = start(play_set, p);
    uint64_t sum[OPS] = {0};

    memset(cost, 0, sizeof(*cost));
    for (uint32_t n = 0; n < PACKETS; n++) {
        for (unsigned int op = 0; op < OPS; op++) {
            uint64_t steps;

            step(child, PTRACE_CONT);
            steps = count_steps(child) - empty_steps;
            sum[op] += steps;
            cost->most[op] = steps > cost->most[op] ? steps : cost->most[op];
        }
    }
    for (unsigned int op = 0; op < OPS; op++)
        cost->mean[op] = (double)sum[op] / PACKETS;
    stop(child);
}

/* Of our own: others may be busy here. */
static uint64_t used_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double run_one(enum vfr_style style, uint32_t rules, uint64_t seed)
{
    size_t bytes;
    void *set = make_set(rules, style, seed, &bytes);
    uint64_t from = used_ns();
    struct vfr_engine *e = make_engine(set, bytes);
    uint64_t took = used_ns() - from;
    struct played p = {e, set, seed + 1};
    struct cost c;

    measure(&p, &c);
    printf("%-6s %7u %7.0f %6llu %7.0f %6.0f ", style_names[style], rules, c.mean[FIRST], (unsigned long long)c.most[FIRST], c.mean[LATER], c.mean[PARSE]);
    if (rules <= LINEAR_RULES)
        printf("%8.0f", c.mean[LINEAR]);
    else
        printf("%8s", "-");
    printf(" %7.1f %8.1f %6.1f %6llu %5llu\n", (double)took / 1e6, (double)vfr_engine_bytes(e) / 1e3, rules != 0 ? (double)e->stats.entries / rules : 0, (unsigned long long)e->stats.longest, (unsigned long long)e->stats.depth);
    fflush(stdout);
    vfr_engine_destroy(e);
    free(set);
    return c.mean[FIRST];
}

static enum vfr_style style_by_name(const char *name)
{
    for (unsigned int i = 0; i < STYLES; i++) {
        if (strcmp(style_names[i], name) == 0)
            return i;
    }
    fprintf(stderr, "vfr-cost: there is no style \"%s\": acl, fw, ipc, mixed\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    bool check = argc == 2 && strcmp(argv[1], "--check") == 0, failed = false;

    if (argc == 5 && strcmp(argv[1], "--print") == 0) {
        size_t bytes;
        void *set = make_set((uint32_t)atoi(argv[2]), style_by_name(argv[3]), strtoull(argv[4], NULL, 0), &bytes);

        vfr_generate_print(set, stdout);
        free(set);
        return 0;
    }
    if (argc == 2 && !check) {
        fprintf(stderr, "vfr-cost [--check | STYLE RULES... | --print RULES STYLE SEED]\n");
        return 2;
    }
    pid_t child = start(play_nothing, NULL);

    step(child, PTRACE_CONT);
    empty_steps = count_steps(child);
    stop(child);
    printf("style    rules   first   most   later  parse   linear load/ms       kB copies longest depth\n");
    for (int i = 2; i < argc; i++)
        run_one(style_by_name(argv[1]), (uint32_t)atoi(argv[i]), 42);
    for (unsigned int style = 0; style < STYLES && argc <= 2; style++) {
        double at_10 = 0;

        for (unsigned int i = 0; i < SIZES; i++) {
            double first = run_one(style, sizes[i], 42);

            at_10 = sizes[i] == 10 ? first : at_10;
            failed |= sizes[i] == 10000 && first > at_10 + 2400;
        }
    }
    return check && failed;
}
