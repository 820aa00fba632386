// SPDX-License-Identifier: MIT
/*
 * sched-sim: real scheduler modules on the real core, in invented time, under a workload from a file. Prints who got what and who waited how long.
 *
 * A workload is lines of words; see --help. The same file and seed give the same decisions, whichever machine this runs on.
 * Page: docs/write-a-scheduler.md.
 */
#include "sched-engine.h"

#include "log.h"
#include "../../hypervisor/sched/run-queue.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_WORDS 32
#define EVENTS_MAX 256
#define SAMPLES 200
#define TASKS_MAX 4096u

struct sim_event {
    uint64_t at_ns;
    char sched[32];              /* change to this module, or */
    char target[32], name[32];   /* set this of that task */
    uint64_t value;
};

static struct engine engine;
static struct sim_event events[EVENTS_MAX];
static uint32_t event_count;
static uint64_t run_ns = 10 * NS_PER_S;
static uint32_t cpu_total = 1;
static char module[32];
static uint64_t seed = 1;
static const char *file_name = "-";
static uint32_t line_number;
static uint64_t (*samples)[2]; /* per sample and task: time, ran */
static const char *plot_file;
static bool json, all, other_module; /* --sched: the file's parameters may be unknown to it */
static uint64_t weights[TASKS_MAX]; /* as the file says, by task; 0: it says nothing */

static const char help[] =
    "usage: sched-sim [options] [WORKLOAD]      (a workload of - is standard input)\n"
    "Runs a workload on the scheduler core in invented time; prints shares and latencies.\n"
    "\n"
    "  -s, --sched NAME     module: overrides the file's, and parameters it lacks are passed over; --list shows them\n"
    "  -a, --all            every module in turn; prints a line for each: fairness, and latencies of all tasks that sleep\n"
    "  -c, --cpus N         pCPUs\n"
    "  -t, --time TIME      how long (10s)\n"
    "      --seed N         of random lengths (1)\n"
    "  -j, --json           machine-readable output\n"
    "  -g, --gnuplot FILE   write a gnuplot script with its data: run time of each task over time, or with --all a chart (`gnuplot FILE` makes FILE.svg)\n"
    "  -l, --list           list modules and their parameters\n"
    "  -v, --verbose        show the hypervisor's log\n"
    "  -h, --help\n"
    "\n"
    "Workload, one item a line, # begins a comment, TIME is a number with ns, us, ms or s:\n"
    "  cpus N | time TIME | seed N | sched NAME\n"
    "  task NAME run=TIME|forever [sleep=TIME | period=TIME | yield] [random] [start=TIME] [stop=TIME]\n"
    "            [count=N] [cpus=MASK] [PARAMETER=VALUE ...]    parameters are the module's\n"
    "  at TIME set NAME PARAMETER=VALUE\n"
    "  at TIME sched NAME\n"
    "\n"
    "Exit status: 0; 1 the module was replaced for a fault; 2 bad arguments or workload.\n";

static void bad(const char *what, const char *word)
{
    fprintf(stderr, "sched-sim: %s:%u: %s: %s\n", file_name, line_number, what, word);
    exit(2);
}

static uint64_t parse_value(const char *text)
{
    static const struct {
        const char *suffix;
        uint64_t ns;
    } units[] = {{"", 1}, {"ns", 1}, {"us", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_S}};
    char *end;
    double value;

    if (strcmp(text, "forever") == 0)
        return ENGINE_FOREVER;
    value = strtod(text, &end);
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (end != text && value >= 0 && strcmp(end, units[i].suffix) == 0)
            return (uint64_t)(value * (double)units[i].ns);
    bad("no number or time", text);
    return 0;
}

static void parse_name(char to[32], const char *text)
{
    if (text == NULL || text[0] == '\0' || strlen(text) > 31)
        bad("no usable name", text != NULL ? text : "");
    strcpy(to, text);
}

static struct engine_task *task_find(const char *name)
{
    for (uint32_t i = 0; i < engine.task_count; i++)
        if (strcmp(engine.tasks[i]->name, name) == 0)
            return engine.tasks[i];
    return NULL;
}

static const char *why_not(int rc)
{
    switch (rc) {
    case 0:
        return NULL;
    case -ENOENT:
        return "the module has no such parameter";
    case -EOPNOTSUPP:
        return "not a parameter of domains";
    case -EINVAL:
        return "does not fit the other parameters";
    case -ENOSPC:
        return "refused by admission";
    default:
        return "value out of range";
    }
}

/* The parameters of one line, set together: they may have to fit each other. */
static struct sim_settings {
    char names[LINE_WORDS][32];
    struct sched_param_entry entries[LINE_WORDS];
    uint32_t count;
} settings;

static void ignore(const char *word, int rc)
{
    if (!other_module)
        fprintf(stderr, "sched-sim: %s:%u: %s: %s (module %s); ignored\n", file_name, line_number, why_not(rc), word, sched_active_name());
}

static void settings_add(struct engine_task *t, const char *name, uint64_t value)
{
    struct sched_param_entry *e = &settings.entries[settings.count];
    uint64_t present;
    int rc = sched_param_get(t->domain, NULL, name, &present);

    if (strcmp(name, "weight") == 0 && engine.task_count <= TASKS_MAX)
        weights[engine.task_count - 1] = value; /* it is the newest */
    if (rc != 0) {
        ignore(name, rc);
        return;
    }
    snprintf(settings.names[settings.count], sizeof(settings.names[0]), "%s", name);
    *e = (struct sched_param_entry){.domain = t->domain, .scope = SCHED_SCOPE_DOMAIN, .name = settings.names[settings.count], .value = value};
    settings.count++;
}

static void settings_make(const struct engine_task *t)
{
    uint32_t failed;
    int rc = sched_params_set(NULL, settings.entries, settings.count, &failed);

    if (rc != 0)
        ignore(failed < settings.count ? settings.names[failed] : t->name, rc);
    settings.count = 0;
}

/* First pass: only what the machine is. Second pass: tasks and events. */
static void parse_machine(char **words, uint32_t count)
{
    if (count != 2)
        bad("wants one word", words[0]);
    if (strcmp(words[0], "cpus") == 0)
        cpu_total = (uint32_t)parse_value(words[1]);
    else if (strcmp(words[0], "time") == 0)
        run_ns = parse_value(words[1]);
    else if (strcmp(words[0], "seed") == 0)
        seed = parse_value(words[1]);
    else
        parse_name(module, words[1]);
}

static void parse_task_word(struct engine_task *t, const char *word)
{
    char name[32];
    const char *equals = strchr(word, '=');
    uint64_t value;

    if (strcmp(word, "random") == 0) {
        t->random = true;
        return;
    }
    if (strcmp(word, "yield") == 0) {
        t->yields = true;
        return;
    }
    if (equals == NULL || equals == word || equals - word > 31)
        bad("not NAME=VALUE", word);
    snprintf(name, sizeof(name), "%.*s", (int)(equals - word), word);
    value = parse_value(equals + 1);
    if (strcmp(name, "run") == 0)
        t->run_ns = value;
    else if (strcmp(name, "sleep") == 0)
        t->sleep_ns = value;
    else if (strcmp(name, "period") == 0)
        t->period_ns = value;
    else if (strcmp(name, "start") == 0)
        t->start_ns = value;
    else if (strcmp(name, "stop") == 0)
        t->stop_ns = value;
    else if (strcmp(name, "cpus") == 0)
        vcpu_set_affinity(t->vcpu, value);
    else if (strcmp(name, "count") != 0)
        settings_add(t, name, value);
}

static void parse_task(char **words, uint32_t count)
{
    uint64_t copies = 1;
    char base[32], name[32];

    if (count < 3)
        bad("task wants a name and run=", words[0]);
    parse_name(base, words[1]);
    for (uint32_t i = 2; i < count; i++)
        if (strncmp(words[i], "count=", 6) == 0)
            copies = parse_value(words[i] + 6);
    if (copies == 0 || copies > 1000)
        bad("count is 1 to 1000", words[1]);
    for (uint64_t copy = 0; copy < copies; copy++) {
        struct engine_task *t;

        if (copies == 1)
            snprintf(name, sizeof(name), "%s", base);
        else
            snprintf(name, sizeof(name), "%.24s.%u", base, (unsigned int)copy);
        if (task_find(name) != NULL)
            bad("two tasks of this name", name);
        t = engine_add(&engine, name, NULL, 0, 0);
        for (uint32_t i = 2; i < count; i++)
            parse_task_word(t, words[i]);
        settings_make(t);
        if (t->run_ns == 0)
            bad("task without run=", name);
        if (t->run_ns != ENGINE_FOREVER && t->sleep_ns == 0 && t->period_ns == 0 && !t->yields)
            bad("a task that does not run for ever wants sleep=, period= or yield", name);
    }
}

static void parse_event(char **words, uint32_t count)
{
    struct sim_event *e = &events[event_count];
    char *equals;

    if (count < 4 || event_count == EVENTS_MAX)
        bad("at TIME set NAME PARAMETER=VALUE, or at TIME sched NAME; at most 256", words[0]);
    e->at_ns = parse_value(words[1]);
    if (strcmp(words[2], "sched") == 0) {
        parse_name(e->sched, words[3]);
    } else if (strcmp(words[2], "set") == 0 && count == 5 && (equals = strchr(words[4], '=')) != NULL) {
        *equals = '\0';
        parse_name(e->target, words[3]);
        parse_name(e->name, words[4]);
        e->value = parse_value(equals + 1);
        if (task_find(e->target) == NULL)
            bad("no such task before this line", e->target);
    } else {
        bad("neither set nor sched", words[2]);
    }
    event_count++;
}

static void parse_line(char *line, bool machine)
{
    char *words[LINE_WORDS], *save = NULL, *word;
    uint32_t count = 0;
    bool is_machine;

    line[strcspn(line, "#\n")] = '\0';
    for (word = strtok_r(line, " \t\r", &save); word != NULL; word = strtok_r(NULL, " \t\r", &save)) {
        if (count == LINE_WORDS)
            bad("too many words", word);
        words[count++] = word;
    }
    if (count == 0)
        return;
    is_machine = strcmp(words[0], "task") != 0 && strcmp(words[0], "at") != 0;
    if (is_machine && strcmp(words[0], "cpus") != 0 && strcmp(words[0], "time") != 0 && strcmp(words[0], "seed") != 0 &&
        strcmp(words[0], "sched") != 0)
        bad("unknown word", words[0]);
    if (is_machine != machine)
        return;
    if (is_machine)
        parse_machine(words, count);
    else if (words[0][0] == 't')
        parse_task(words, count);
    else
        parse_event(words, count);
}

static void parse_text(const char *text, bool machine)
{
    char line[1024];

    line_number = 0;
    while (*text != '\0') {
        size_t bytes = strcspn(text, "\n");

        line_number++;
        if (bytes >= sizeof(line))
            bad("line too long", "");
        memcpy(line, text, bytes);
        line[bytes] = '\0';
        text += bytes + (text[bytes] == '\n');
        parse_line(line, machine);
    }
}

static char *read_all(const char *name)
{
    FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    char *text = NULL;
    size_t used = 0, got;

    if (in == NULL) {
        fprintf(stderr, "sched-sim: %s: %s\n", name, strerror(errno));
        exit(2);
    }
    do {
        text = realloc(text, used + 4097);
        if (text == NULL)
            abort();
        got = fread(text + used, 1, 4096, in);
        used += got;
    } while (got != 0);
    text[used] = '\0';
    if (in != stdin)
        fclose(in);
    return text;
}

static void apply(const struct sim_event *e)
{
    if (e->sched[0] != '\0') {
        int rc = sched_use(e->sched);

        if (rc != 0)
            fprintf(stderr, "sched-sim: no change to %s: %s\n", e->sched, strerror(-rc));
    } else {
        const char *flaw = why_not(sched_param_set(task_find(e->target)->domain, NULL, e->name, e->value));

        if (flaw != NULL)
            fprintf(stderr, "sched-sim: set %s %s: %s\n", e->target, e->name, flaw);
    }
}

static int event_order(const void *a, const void *b)
{
    const struct sim_event *x = a, *y = b;

    return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

static void simulate(void)
{
    uint32_t next = 0, sample = 0;

    qsort(events, event_count, sizeof(events[0]), event_order);
    samples = calloc((size_t)(SAMPLES + 1) * (engine.task_count + 1), sizeof(*samples));
    if (samples == NULL)
        abort();
    while (sample <= SAMPLES) {
        uint64_t due = run_ns / SAMPLES * sample;

        if (sample == SAMPLES)
            due = run_ns;
        if (next < event_count && events[next].at_ns <= due) {
            engine_run(&engine, events[next].at_ns);
            apply(&events[next++]);
            continue;
        }
        engine_run(&engine, due);
        for (uint32_t i = 0; i < engine.task_count; i++) {
            samples[sample * engine.task_count + i][0] = due;
            samples[sample * engine.task_count + i][1] = engine.tasks[i]->ran_ns;
        }
        sample++;
    }
}

/* ---- Results ---- */

/* What the file says, also if the module knows no weights: so that modules can be compared. */
static uint64_t weight_of(struct engine_task *t)
{
    uint64_t weight;

    for (uint32_t i = 0; i < engine.task_count && i < TASKS_MAX; i++)
        if (engine.tasks[i] == t && weights[i] != 0)
            return weights[i];
    return sched_param_get(t->domain, NULL, "weight", &weight) == 0 ? weight : 1;
}

/* Jain's index over run time by weight, of tasks that always wanted to run: 1 is perfect. 0 if there are fewer than two. */
static double fairness(void)
{
    double sum = 0, squares = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < engine.task_count; i++) {
        struct engine_task *t = engine.tasks[i];
        double x = (double)t->ran_ns / (double)weight_of(t);

        if (t->runnable_ns < run_ns)
            continue;
        sum += x;
        squares += x * x;
        n++;
    }
    return n < 2 || squares == 0 ? 0 : sum * sum / (n * squares);
}

static uint64_t busy_ns(void)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < engine.task_count; i++)
        total += engine.tasks[i]->ran_ns;
    return total;
}

static uint64_t switches(void)
{
    uint64_t total = 0;

    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        total += run_queue_of(cpu)->switches;
    return total;
}

static double us(uint64_t ns)
{
    return (double)ns / 1000.0;
}

static void print_table(void)
{
    printf("%s, %u pCPU%s, %.3f s; busy %.2f%%, %llu switches", sched_active_name(), cpu_count, cpu_count == 1 ? "" : "s",
           (double)run_ns / 1e9, 100.0 * (double)busy_ns() / ((double)run_ns * cpu_count), (unsigned long long)switches());
    if (fairness() != 0)
        printf(", fairness %.5f", fairness());
    printf("\n\n%-16s %7s %8s %8s %10s %9s | %10s %10s %10s %10s\n", "task", "weight", "cpu%", "wanted%", "dispatches", "wakes", "p50 us",
           "p99 us", "max us", "wait max");
    for (uint32_t i = 0; i < engine.task_count; i++) {
        struct engine_task *t = engine.tasks[i];
        const struct sched_vcpu *s = &t->vcpu->sched;

        printf("%-16s %7llu %8.3f %8.3f %10llu %9llu | %10.1f %10.1f %10.1f %10.1f\n", t->name, (unsigned long long)weight_of(t),
               100.0 * (double)t->ran_ns / (double)run_ns, 100.0 * (double)t->runnable_ns / (double)run_ns,
               (unsigned long long)s->dispatches, (unsigned long long)s->wakes, us(engine_latency(t, 50)), us(engine_latency(t, 99)),
               us(engine_latency(t, 100)), us(s->waited_max_ns));
    }
    printf("\ncpu%%: of one pCPU. wanted%%: running or waiting. p50, p99, max: from wake to run. wait max: longest wait of any kind, in us.\n");
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        if (sched_fault_counts[fault] != 0)
            printf("FAULT: a module %s (%llu)\n", sched_fault_names[fault], (unsigned long long)sched_fault_counts[fault]);
}

static void print_json(void)
{
    printf("{\"sched\": \"%s\", \"cpus\": %u, \"time_ns\": %llu, \"seed\": %llu, \"busy_ns\": %llu, \"switches\": %llu, \"fairness\": %.6f,\n",
           sched_active_name(), cpu_count, (unsigned long long)run_ns, (unsigned long long)seed, (unsigned long long)busy_ns(),
           (unsigned long long)switches(), fairness());
    printf(" \"faults\": {");
    for (int fault = 0, first = 1; fault < FAULT_COUNT; fault++)
        if (sched_fault_counts[fault] != 0) {
            printf("%s\"%s\": %llu", first ? "" : ", ", sched_fault_names[fault], (unsigned long long)sched_fault_counts[fault]);
            first = 0;
        }
    printf("},\n \"tasks\": [\n");
    for (uint32_t i = 0; i < engine.task_count; i++) {
        struct engine_task *t = engine.tasks[i];
        const struct sched_vcpu *s = &t->vcpu->sched;

        printf("  {\"name\": \"");
        for (const char *c = t->name; *c != '\0'; c++)
            printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        printf("\", \"weight\": %llu, \"ran_ns\": %llu, \"wanted_ns\": %llu, \"dispatches\": %llu, \"wakes\": %llu, "
               "\"latency_p50_ns\": %llu, \"latency_p99_ns\": %llu, \"latency_max_ns\": %llu, \"wait_max_ns\": %llu}%s\n",
               (unsigned long long)weight_of(t), (unsigned long long)t->ran_ns, (unsigned long long)t->runnable_ns,
               (unsigned long long)s->dispatches, (unsigned long long)s->wakes, (unsigned long long)engine_latency(t, 50),
               (unsigned long long)engine_latency(t, 99), (unsigned long long)engine_latency(t, 100),
               (unsigned long long)s->waited_max_ns, i + 1 < engine.task_count ? "," : "");
    }
    printf(" ]}\n");
}

static void write_plot(void)
{
    FILE *out = fopen(plot_file, "w");

    if (out == NULL) {
        fprintf(stderr, "sched-sim: %s: %s\n", plot_file, strerror(errno));
        exit(2);
    }
    for (uint32_t i = 0; i < engine.task_count; i++) {
        fprintf(out, "$t%u << END\n", i);
        for (uint32_t sample = 0; sample <= SAMPLES; sample++)
            fprintf(out, "%.6f %.6f\n", (double)samples[sample * engine.task_count + i][0] / 1e9,
                    (double)samples[sample * engine.task_count + i][1] / 1e9);
        fprintf(out, "END\n");
    }
    fprintf(out, "set terminal svg size 900,500\nset output '%s.svg'\nset key left top\nset xlabel 'time (s)'\n"
                 "set ylabel 'ran (s)'\nset title 'run time under %s'\nplot ", plot_file, sched_active_name());
    for (uint32_t i = 0; i < engine.task_count; i++)
        fprintf(out, "%s$t%u with lines title '%s' noenhanced", i == 0 ? "" : ", ", i, engine.tasks[i]->name);
    fprintf(out, "\n");
    fclose(out);
}

/* ---- All modules ---- */

/* What a child tells of one module. */
struct summary {
    double busy, fairness;
    uint64_t switches, p50_ns, p99_ns, max_ns, wait_max_ns;
    int faulty;
};

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int any_fault(void)
{
    int faulty = 0;

    for (int fault = 0; fault < FAULT_PLACEMENT; fault++)
        faulty |= sched_fault_counts[fault] != 0;
    return faulty;
}

static struct summary summarize(void)
{
    struct summary s = {.busy = 100.0 * (double)busy_ns() / ((double)run_ns * cpu_count), .fairness = fairness(), .switches = switches(), .faulty = any_fault()};
    uint64_t *pool = NULL, count = 0;

    for (uint32_t i = 0; i < engine.task_count; i++) {
        const struct engine_task *t = engine.tasks[i];

        s.wait_max_ns = max(s.wait_max_ns, t->vcpu->sched.waited_max_ns);
        if (t->run_ns == ENGINE_FOREVER || t->latencies.count == 0)
            continue;
        pool = realloc(pool, (count + t->latencies.count) * sizeof(*pool));
        if (pool == NULL)
            abort();
        memcpy(pool + count, t->latencies.ns, t->latencies.count * sizeof(*pool));
        count += t->latencies.count;
    }
    if (count != 0) {
        qsort(pool, count, sizeof(*pool), by_value);
        s.p50_ns = pool[count / 2];
        s.p99_ns = pool[count * 99 / 100];
        s.max_ns = pool[count - 1];
    }
    free(pool);
    return s;
}

static void run_workload(const char *text)
{
    host_machine_start(cpu_total, module);
    if (module[0] != '\0' && strcmp(module, sched_active_name()) != 0)
        bad("no such module; --list shows them", module);
    engine.seed = seed != 0 ? seed : 1;
    parse_text(text, false);
    if (engine.task_count == 0)
        bad("a workload without tasks", "");
    simulate();
}

/* In a process of its own: nothing is left of the module before. */
static struct summary run_module(const char *name, const char *text)
{
    struct summary s;
    int ends[2], status;
    pid_t child;

    fflush(stdout);
    if (pipe(ends) != 0 || (child = fork()) < 0) {
        fprintf(stderr, "sched-sim: %s\n", strerror(errno));
        exit(2);
    }
    if (child == 0) {
        snprintf(module, sizeof(module), "%s", name);
        run_workload(text);
        s = summarize();
        _exit(write(ends[1], &s, sizeof(s)) == (ssize_t)sizeof(s) ? 0 : 2);
    }
    close(ends[1]);
    if (read(ends[0], &s, sizeof(s)) != (ssize_t)sizeof(s))
        s = (struct summary){.faulty = 2};
    close(ends[0]);
    waitpid(child, &status, 0);
    return s;
}

static void write_chart(const struct summary *rows, uint32_t count)
{
    FILE *out = fopen(plot_file, "w");

    if (out == NULL) {
        fprintf(stderr, "sched-sim: %s: %s\n", plot_file, strerror(errno));
        exit(2);
    }
    fprintf(out, "$rows << END\n");
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s %.6f %.3f %.3f\n", sched_modules[i]->name, rows[i].fairness, us(rows[i].p50_ns), us(rows[i].p99_ns));
    fprintf(out, "END\nset terminal svg size 900,500\nset output '%s.svg'\nset style data histogram\nset style fill solid\nset ylabel 'wake to run (us)'\n"
                 "set y2label 'fairness'\nset y2range [0:1.05]\nset y2tics\nplot $rows using 3:xtic(1) title 'p50', '' using 4 title 'p99', "
                 "'' using 2 axes x1y2 title 'fairness'\n", plot_file);
    fclose(out);
}

static int run_all(const char *text)
{
    struct summary rows[32];
    uint32_t count = 0;
    int faulty = 0;

    other_module = true;
    if (!json)
        printf("%-10s %8s %10s %9s | %10s %10s %10s %10s\n", "module", "busy%", "switches", "fairness", "p50 us", "p99 us", "max us", "wait max");
    for (; sched_modules[count] != NULL && count < ARRAY_SIZE(rows); count++) {
        const struct summary *s = &rows[count];

        rows[count] = run_module(sched_modules[count]->name, text);
        faulty |= s->faulty;
        printf(json ? "%s{\"sched\": \"%s\", \"busy\": %.2f, \"switches\": %llu, \"fairness\": %.5f, \"latency_p50_us\": %.1f, \"latency_p99_us\": %.1f, "
                      "\"latency_max_us\": %.1f, \"wait_max_us\": %.1f, \"faulty\": %s}"
                    : "%s%-10s %8.2f %10llu %9.5f | %10.1f %10.1f %10.1f %10.1f%s\n",
               json ? (count == 0 ? "[" : ",\n ") : "", sched_modules[count]->name, s->busy, (unsigned long long)s->switches, s->fairness, us(s->p50_ns), us(s->p99_ns),
               us(s->max_ns), us(s->wait_max_ns), json ? (s->faulty ? "true" : "false") : s->faulty ? "  FAULT" : "");
    }
    puts(json ? "]" : "\np50, p99, max: from wake to run, of all tasks that sleep. wait max: longest wait of any kind of any task.");
    if (plot_file != NULL)
        write_chart(rows, count);
    return faulty;
}

static void list_modules(void)
{
    for (uint32_t i = 0; sched_modules[i] != NULL; i++) {
        const struct sched_ops *ops = sched_modules[i];

        printf("%s%s: %s\n", ops->name, i == 0 ? " (default)" : "", ops->summary != NULL ? ops->summary : "");
        for (uint32_t p = 0; p < ops->param_count; p++)
            printf("    %-14s %llu (%llu to %llu)  %s\n", ops->params[p].name, (unsigned long long)ops->params[p].initial,
                   (unsigned long long)ops->params[p].minimum, (unsigned long long)ops->params[p].maximum, ops->params[p].help);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"sched", 1, 0, 's'},   {"cpus", 1, 0, 'c'}, {"time", 1, 0, 't'},    {"seed", 1, 0, 'S'},
                                            {"json", 0, 0, 'j'},    {"list", 0, 0, 'l'}, {"verbose", 0, 0, 'v'}, {"help", 0, 0, 'h'},
                                            {"gnuplot", 1, 0, 'g'}, {"all", 0, 0, 'a'},   {0, 0, 0, 0}};
    const char *sched_arg = NULL, *cpus_arg = NULL, *time_arg = NULL, *seed_arg = NULL;
    char *text;
    int option, faulty;

    while ((option = getopt_long(argc, argv, "s:c:t:ajlvhg:", options, NULL)) != -1) {
        switch (option) {
        case 's': sched_arg = optarg; break;
        case 'c': cpus_arg = optarg; break;
        case 't': time_arg = optarg; break;
        case 'S': seed_arg = optarg; break;
        case 'g': plot_file = optarg; break;
        case 'a': all = true; break;
        case 'j': json = true; break;
        case 'v': host_log_echo = true; break;
        case 'l': list_modules(); return 0;
        case 'h': fputs(help, stdout); return 0;
        default: fputs("try sched-sim --help\n", stderr); return 2;
        }
    }
    if (optind == argc) {
        fputs("sched-sim: no workload; try sched-sim --help\n", stderr);
        return 2;
    }
    file_name = argv[optind];
    text = read_all(file_name);
    parse_text(text, true);
    line_number = 0;
    if (sched_arg != NULL) {
        other_module = strcmp(module, sched_arg) != 0;
        parse_name(module, sched_arg);
    }
    if (cpus_arg != NULL)
        cpu_total = (uint32_t)parse_value(cpus_arg);
    if (time_arg != NULL)
        run_ns = parse_value(time_arg);
    if (seed_arg != NULL)
        seed = parse_value(seed_arg);
    if (cpu_total == 0 || cpu_total > MAX_CPUS)
        bad("cpus is 1 to 64", "");
    if (all)
        return run_all(text);
    run_workload(text);
    free(text);
    if (json)
        print_json();
    else
        print_table();
    if (plot_file != NULL)
        write_plot();
    faulty = any_fault();
    engine_free(&engine);
    free(samples);
    host_machine_stop();
    return faulty;
}
