// SPDX-License-Identifier: MIT
/*
 * plugin-run: a policy plugin on a desk, without Collet. Loads NAME.so, gives it settings and a world (or a recording of worlds, one a tick) from a JSON file, and prints what it would set, and why.
 *
 *     build/sdk/plugin-run build/dom0/lib/collet/plugins/shares.so shares.ini world.json
 *
 * The answer is judged by the daemon's own code (plugins-dom0/daemon/plugin-answer.c). The plugin runs in this process, without limits: so gdb, valgrind and sanitizers can see it.
 * The file is explained by --help.  Example: sdk/sim/world.json.  Guide: docs/write-a-plugin.md.
 */
#include "plugin-host.h"

#include <hv/plugin-tools.h>

#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>

#define STRINGS_MAX 65536
#define ROOM 512

static const char usage[] =
    "Usage: plugin-run [--quiet] PLUGIN.so [SETTINGS.ini] WORLD.json\n"
    "Ask a policy plugin what it would set, without Collet.\n"
    "\n"
    "  -q, --quiet   changes and refusals alone, without notes\n"
    "  -h, --help    this\n"
    "\n"
    "WORLD.json is an object, or an array of objects: one for each call, in order. What an object leaves out is as in the one before. Its members:\n"
    "  now_ns, cpus, frames_total, frames_free   numbers\n"
    "  sched         name of the active scheduler\n"
    "  parameters    [{\"name\": \"weight\", \"minimum\": 1, \"maximum\": 65535, \"initial\": 256, \"type\": \"number\", \"scopes\": [\"module\", \"domain\", \"vcpu\"]}, ...]; type: number, ns, bool\n"
    "  domains       [{\"domid\": 1, \"name\": \"web\", \"vcpus\": 1, \"frames\": , \"run_ns\": , \"runnable_ns\": , \"blocked_ns\": , \"wakes\": , \"dispatches\": , \"settings\": {\"plugin shares\": {\"share\": \"40%\"}}}, ...]\n"
    "                totals; intervals are their differences, or given as interval_run_ns and so forth\n"
    "  event         tick (unless said), came, went, sched\n"
    "  request       ask for admission instead: {\"name\": , \"vcpus\": , \"frames\": , \"frames_max\": , \"settings\": {...}}\n"
    "\n"
    "Ends with 0; 1 if the plugin refused its settings, an update or an admission, or its answer was refused; 2 for wrong use.\n";

static struct plugins plugins;
static struct plugin plugin_entry;
static struct plugin_worker worker; /* holds the answer, as a worker's would be held */
static struct collet_plugin_domain domains[ROOM], before[ROOM];
static uint32_t before_count;
static struct collet_plugin_parameter parameters[ROOM];
static struct collet_plugin_world world = {.size = sizeof(world), .sched = "bvt", .domains = domains, .parameters = parameters};
static bool quiet, refused;

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
    va_list list;

    fputs("plugin-run: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(2);
}

/* ---- What the daemon's code asks for ---- */

uint64_t plugin_now_ns(const struct plugins *unused)
{
    (void)unused;
    return world.now_ns;
}

void plugin_say(struct plugin *plugin, int level, const char *format, ...)
{
    static const char *const levels[] = {"note", "warning", "error"};
    va_list list;

    (void)plugin;
    if (quiet && level == 0)
        return;
    printf("  %s: ", levels[level]);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

static uint64_t value_before(const struct collet_sched_value *v)
{
    const struct plugin_value *last = NULL;

    for (uint32_t i = 0; i < plugin_entry.value_count; i++)
        if (strcmp(plugin_entry.values[i].name, v->name) == 0 && (v->scope == COLLET_SCOPE_MODULE ? plugin_entry.values[i].domid == ~0u : plugin_entry.values[i].domid == v->domid))
            last = &plugin_entry.values[i];
    if (last != NULL)
        return last->value;
    return plugin_parameter(&world, v->name, v->scope)->initial;
}

static int print_change(void *arg, const char *name, const char *module, struct collet_sched_value *values, const char *const *why, unsigned int count, uint64_t *old, unsigned int *failed, char *error,
                        size_t error_bytes)
{
    (void)arg, (void)name, (void)module, (void)failed, (void)error, (void)error_bytes;
    for (unsigned int i = 0; i < count; i++) {
        const struct collet_sched_value *v = &values[i];
        const char *whose = "module";
        char place[80];

        for (uint32_t d = 0; d < world.domain_count && v->scope != COLLET_SCOPE_MODULE; d++)
            if (domains[d].domid == v->domid)
                whose = domains[d].name;
        snprintf(place, sizeof(place), v->scope == COLLET_SCOPE_VCPU ? "%.60s.%u" : "%.60s", whose, v->vcpu);
        old[i] = value_before(v);
        printf("  %-12s %-14s %12" PRIu64 " -> %-12" PRIu64 " %s\n", place, v->name, old[i], v->value, why[i]);
    }
    return 0;
}

/* ---- What the plugin asks for ---- */

static void host_set(const struct collet_plugin_host *host, uint32_t domid, uint32_t vcpu, const char *parameter, double value, const char *why)
{
    (void)host;
    if (worker.ask_count > PLUGIN_VALUES_MAX)
        return;
    worker.asks[worker.ask_count++] = (struct plugin_ask){.domid = domid, .vcpu = vcpu, .value = value, .name = strdup(parameter), .why = strdup(why != NULL ? why : "")};
}

static void host_say(const struct collet_plugin_host *host, int level, const char *text)
{
    (void)host;
    plugin_say(&plugin_entry, level < 0 ? 0 : level > 2 ? 2 : level, "%s", text);
}

static const struct collet_plugin_host host = {.size = sizeof(host), .set = host_set, .say = host_say};

/* ---- Reading a world ---- */

/* Strings live as long as the program. */
static const char *kept(json_t *text, const char *otherwise)
{
    return json_is_string(text) ? json_string_value(json_incref(text)) : otherwise;
}

static void read_number(json_t *o, const char *key, uint64_t *to)
{
    json_t *value = json_object_get(o, key);

    if (value != NULL && !json_is_number(value))
        die("%s: a number was expected", key);
    if (value != NULL)
        *to = json_is_integer(value) ? (uint64_t)json_integer_value(value) : (uint64_t)json_real_value(value);
}

static void read_number32(json_t *o, const char *key, uint32_t *to)
{
    uint64_t value = *to;

    read_number(o, key, &value);
    *to = (uint32_t)value;
}

static const struct collet_plugin_setting *read_settings(json_t *sections, uint32_t *count)
{
    struct collet_plugin_setting *list = calloc(ROOM, sizeof(*list));
    const char *section, *key;
    json_t *entries, *value;

    *count = 0;
    json_object_foreach(sections, section, entries)
        json_object_foreach(entries, key, value)
            if (*count < ROOM) {
                list[*count] = (struct collet_plugin_setting){section, key, kept(value, ""), "world.json", *count + 1};
                ++*count;
            }
    json_incref(sections);
    return list;
}

static void read_domain(json_t *o, struct collet_plugin_domain *d, uint32_t number)
{
    *d = (struct collet_plugin_domain){.domid = number, .vcpus = 1, .name = kept(json_object_get(o, "name"), "unnamed")};
    read_number32(o, "domid", &d->domid);
    read_number32(o, "vcpus", &d->vcpus);
    read_number(o, "frames", &d->frames);
    d->frames_max = d->frames;
    read_number(o, "frames_max", &d->frames_max);
    read_number(o, "run_ns", &d->run_ns);
    read_number(o, "runnable_ns", &d->runnable_ns);
    read_number(o, "blocked_ns", &d->blocked_ns);
    read_number(o, "wakes", &d->wakes);
    read_number(o, "dispatches", &d->dispatches);
    read_number(o, "waited_max_ns", &d->waited_max_ns);
    for (size_t i = 0; i < 24; i++)
        d->latency[i] = (uint64_t)json_integer_value(json_array_get(json_object_get(o, "latency"), i));
    d->settings = read_settings(json_object_get(o, "settings"), &d->setting_count);
}

static uint64_t grown(uint64_t total, uint64_t old)
{
    return total >= old ? total - old : total;
}

static void read_interval(json_t *o, struct collet_plugin_domain *d)
{
    static const struct collet_plugin_domain none;
    const struct collet_plugin_domain *b = &none;

    for (uint32_t i = 0; i < before_count; i++)
        if (before[i].domid == d->domid)
            b = &before[i];
    if (world.interval_ns != 0) {
        d->interval_run_ns = grown(d->run_ns, b->run_ns);
        d->interval_runnable_ns = grown(d->runnable_ns, b->runnable_ns);
        d->interval_blocked_ns = grown(d->blocked_ns, b->blocked_ns);
        d->interval_wakes = grown(d->wakes, b->wakes);
        d->interval_dispatches = grown(d->dispatches, b->dispatches);
        for (int i = 0; i < 24; i++)
            d->interval_latency[i] = grown(d->latency[i], b->latency[i]);
    }
    read_number(o, "interval_run_ns", &d->interval_run_ns);
    read_number(o, "interval_runnable_ns", &d->interval_runnable_ns);
    read_number(o, "interval_blocked_ns", &d->interval_blocked_ns);
    read_number(o, "interval_wakes", &d->interval_wakes);
    read_number(o, "interval_dispatches", &d->interval_dispatches);
}

static uint32_t one_of(json_t *value, const char *const *names, const char *what)
{
    for (uint32_t i = 0; names[i] != NULL; i++)
        if (json_is_string(value) && strcmp(json_string_value(value), names[i]) == 0)
            return i;
    die("%s: %s is unknown", what, json_is_string(value) ? json_string_value(value) : "that");
}

static void read_parameter(json_t *o, struct collet_plugin_parameter *p)
{
    static const char *const types[] = {"number", "ns", "bool", NULL}, *const scopes[] = {"module", "domain", "vcpu", NULL};
    json_t *scope;
    size_t i;

    *p = (struct collet_plugin_parameter){.name = kept(json_object_get(o, "name"), ""), .maximum = UINT64_MAX, .scopes = 7};
    read_number(o, "minimum", &p->minimum);
    read_number(o, "maximum", &p->maximum);
    read_number(o, "initial", &p->initial);
    if (json_object_get(o, "type") != NULL)
        p->type = one_of(json_object_get(o, "type"), types, "type");
    if (json_object_get(o, "scopes") != NULL)
        p->scopes = 0;
    json_array_foreach(json_object_get(o, "scopes"), i, scope)
        p->scopes |= 1u << one_of(scope, scopes, "scopes");
}

static void read_world(json_t *o)
{
    uint64_t last_ns = world.now_ns;
    bool first = before_count == 0 && world.domain_count == 0;
    json_t *item;
    size_t i;

    memcpy(before, domains, sizeof(before));
    before_count = world.domain_count;
    world.now_ns += first ? 0 : NS_PER_S;
    read_number(o, "now_ns", &world.now_ns);
    world.interval_ns = first ? 0 : grown(world.now_ns, last_ns);
    read_number(o, "interval_ns", &world.interval_ns);
    read_number32(o, "cpus", &world.cpus);
    read_number(o, "frames_total", &world.frames_total);
    read_number(o, "frames_free", &world.frames_free);
    world.sched = kept(json_object_get(o, "sched"), world.sched);
    if (json_object_get(o, "parameters") != NULL)
        world.parameter_count = 0;
    json_array_foreach(json_object_get(o, "parameters"), i, item)
        if (world.parameter_count < ROOM)
            read_parameter(item, &parameters[world.parameter_count++]);
    if (json_object_get(o, "domains") == NULL)
        return;
    world.domain_count = 0;
    json_array_foreach(json_object_get(o, "domains"), i, item)
        if (world.domain_count < ROOM) {
            read_domain(item, &domains[world.domain_count], (uint32_t)i);
            read_interval(item, &domains[world.domain_count++]);
        }
}

/* ---- Calls ---- */

static void answer_clear(void)
{
    for (uint32_t i = 0; i < worker.ask_count; i++) {
        free(worker.asks[i].name);
        free(worker.asks[i].why);
    }
    worker.ask_count = 0;
}

static void run_update(const struct collet_plugin *plugin, void *state, json_t *o)
{
    static const char *const events[] = {"", "came", "went", "sched", "tick", NULL};
    json_t *named = json_object_get(o, "event");
    enum collet_plugin_event event = named != NULL ? (enum collet_plugin_event)one_of(named, events, "event") : COLLET_PLUGIN_TICK;
    char error[1024] = "";
    int rc;

    printf("%.3f s, %s\n", (double)world.now_ns / NS_PER_S, events[event]);
    if (event == COLLET_PLUGIN_SCHED_CHANGED)
        plugin_values_forget(&plugin_entry, true, &world);
    plugin_values_forget(&plugin_entry, false, &world);
    answer_clear();
    rc = plugin->update(&host, state, event, &world);
    if (rc != 0)
        printf("  update answered %d (%s): nothing is changed\n", rc, strerror(-rc));
    else if ((rc = plugin_answer(&plugins, &plugin_entry, &worker, &world, error, sizeof(error))) < 0)
        printf("  %s\n", error);
    refused |= rc < 0;
}

static void run_admit(const struct collet_plugin *plugin, void *state, json_t *o)
{
    struct collet_plugin_request request = {.size = sizeof(request), .name = kept(json_object_get(o, "name"), "unnamed"), .vcpus = 1};
    int rc;

    read_number32(o, "vcpus", &request.vcpus);
    read_number(o, "frames", &request.frames);
    request.frames_max = request.frames;
    read_number(o, "frames_max", &request.frames_max);
    request.settings = read_settings(json_object_get(o, "settings"), &request.setting_count);
    printf("%.3f s, may %s be created?\n", (double)world.now_ns / NS_PER_S, request.name);
    rc = plugin->admit(&host, state, &request, &world);
    printf("  %s\n", rc == 0 ? "yes" : strerror(-rc));
    refused |= rc != 0;
}

static void run(const struct collet_plugin *plugin, void *state, json_t *o)
{
    json_t *request = json_object_get(o, "request");

    if (!json_is_object(o))
        die("a world is an object; --help explains its members");
    read_world(o);
    if (request != NULL && plugin->admit != NULL)
        run_admit(plugin, state, request);
    else if (request != NULL)
        die("%s is not asked before a creation: its kind is not COLLET_PLUGIN_ADMISSION", plugin->name);
    else if (plugin->update != NULL)
        run_update(plugin, state, o);
    else
        die("%s is asked before a creation alone: give it a world with a `request`", plugin->name);
}

static const struct collet_plugin *load(const char *path)
{
    char real[4096];
    const struct collet_plugin *plugin;
    void *library;

    /* dlopen looks for a name without a slash elsewhere */
    snprintf(real, sizeof(real), "%s%s", strchr(path, '/') == NULL ? "./" : "", path);
    library = dlopen(real, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        die("%s", dlerror());
    plugin = dlsym(library, "collet_plugin");
    if (plugin == NULL || plugin->api != COLLET_PLUGIN_API || plugin->configure == NULL || (plugin->update == NULL && plugin->admit == NULL))
        die("%s: no plugin of API %u: it has to export `collet_plugin` with .api, .configure, and .update or .admit", path, COLLET_PLUGIN_API);
    return plugin;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const struct collet_plugin *plugin;
    struct plugin_settings settings = {0};
    struct plugin_ask asks[PLUGIN_VALUES_MAX + 1];
    json_error_t json_error;
    json_t *file, *o;
    void *state = NULL;
    char error[8192];
    size_t i;
    int option, rc;

    while ((option = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
        if (option != 'q')
            fputs(usage, option == 'h' ? stdout : stderr);
        if (option != 'q')
            return option == 'h' ? 0 : 2;
        quiet = true;
    }
    if (argc - optind < 2 || argc - optind > 3) {
        fputs(usage, stderr);
        return 2;
    }
    plugin = load(argv[optind]);
    if (argc - optind == 3 && plugin_settings_read(&settings, argv[optind + 1], error, sizeof(error)) != 0)
        die("%s", error);
    file = json_load_file(argv[argc - 1], 0, &json_error);
    if (file == NULL)
        die("%s:%d: %s", argv[argc - 1], json_error.line, json_error.text);
    worker.asks = asks;
    plugin_entry.plugins = &plugins;
    snprintf(plugin_entry.name, sizeof(plugin_entry.name), "%s", plugin->name);
    plugins.set.daemon.apply = print_change;
    rc = plugin->configure(&host, settings.list, settings.count, &state);
    if (rc != 0) {
        printf("%s refuses its settings: %s\n", plugin->name, strerror(-rc));
        return 1;
    }
    if (json_is_array(file)) {
        json_array_foreach(file, i, o)
            run(plugin, state, o);
    } else {
        run(plugin, state, file);
    }
    if (plugin->end != NULL)
        plugin->end(state);
    answer_clear();
    plugin_values_free(&plugin_entry);
    plugin_settings_free(&settings);
    return refused;
}
