// SPDX-License-Identifier: MIT
/*
 * plugin-run: a policy plugin on a desk, without Collet. Loads NAME.so, gives it settings and a world (or a recording of worlds, one a tick) from a JSON file, and prints what it would set, and why.
 *
 *     build/sdk/plugin-run build/dom0/lib/collet/plugins/shares.so shares.ini world.json
 *
 * The answer is judged by the daemon's own code (plugins-dom0/daemon/plugin-answer.c). The plugin runs in this process, without limits: so gdb, valgrind and sanitizers can see it.
 * The file is explained by --help.  Example: sdk/sim/world.json.  Guide: docs/write-a-plugin.md.
 */
#include "plugin-world.h"

#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>

static const char usage[] =
    "Usage: plugin-run [--quiet] PLUGIN.so [SETTINGS.ini] WORLD.json...\n"
    "Ask a policy plugin what it would set, without Collet.\n"
    "\n"
    "  -q, --quiet   changes and refusals alone, without notes\n"
    "  -h, --help    this\n"
    "\n"
    "WORLD.json holds objects, alone or in arrays: one for each call, in order. What an object leaves out is as in the one before. Its members:\n"
    "  now_ns, cpus, frames_total, frames_free   numbers\n"
    "  sched         name of the active scheduler\n"
    "  parameters    [{\"name\": \"weight\", \"minimum\": 1, \"maximum\": 65535, \"initial\": 256, \"type\": \"number\", \"scopes\": [\"module\", \"domain\", \"vcpu\"]}, ...]; type: number, ns, bool\n"
    "  domains       [{\"domid\": 1, \"name\": \"web\", \"vcpus\": 1, \"frames\": , \"run_ns\": , \"runnable_ns\": , \"blocked_ns\": , \"wakes\": , \"dispatches\": , \"settings\": {\"plugin shares\": {\"share\": \"40%\"}}}, ...]\n"
    "                totals; intervals are their differences, or given as interval_run_ns and so forth\n"
    "  event         tick (unless said), came, went, sched\n"
    "  request       ask for admission instead: {\"name\": , \"vcpus\": , \"frames\": , \"frames_max\": , \"settings\": {...}}\n"
    "\n"
    "Or it is a recording, made in Domain0; each `vcpu list` is a tick:\n"
    "  (collet sched show --json; while sleep 1; do collet info --json; collet list --json; collet vcpu list --json; done) >world.json\n"
    "\n"
    "Ends with 0; 1 if the plugin refused its settings, an update or an admission, or its answer was refused; 2 for wrong use.\n";

static struct plugins plugins;
static struct plugin plugin_entry;
static struct plugin_worker worker; /* holds the answer, as a worker's would be held */
static bool quiet, refused;

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
            if (world.domains[d].domid == v->domid)
                whose = world.domains[d].name;
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

/* No world here has disks yet: the answer is refused for it, in the daemon's words. */
static void host_set_disk(const struct collet_plugin_host *host, uint32_t disk, uint32_t vbd, const char *parameter, double value, const char *why)
{
    host_set(host, plugin_disk_place(disk), vbd, parameter, value, why);
}

static void host_say(const struct collet_plugin_host *host, int level, const char *text)
{
    (void)host;
    plugin_say(&plugin_entry, level < 0 ? 0 : level > 2 ? 2 : level, "%s", text);
}

/* What the daemon would compile; `collet rules check` does that. */
static void host_rules(const struct collet_plugin_host *host, uint32_t order, const char *text)
{
    (void)host;
    printf("  rules, order %u:\n", order);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
        printf("    %.*s\n", (int)strcspn(line, "\n"), line);
}

static const struct collet_plugin_host host = {.size = sizeof(host), .set = host_set, .say = host_say, .set_disk = host_set_disk, .rules = host_rules};

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
    enum collet_plugin_event event = named != NULL ? (enum collet_plugin_event)world_one_of(named, events, "event") : COLLET_PLUGIN_TICK;
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
    struct collet_plugin_request request = {.size = sizeof(request), .name = world_text(json_object_get(o, "name"), "unnamed"), .vcpus = 1};
    int rc;

    world_number32(o, "vcpus", &request.vcpus);
    world_number(o, "frames", &request.frames);
    request.frames_max = request.frames;
    world_number(o, "frames_max", &request.frames_max);
    request.settings = world_settings(json_object_get(o, "settings"), &request.setting_count);
    printf("%.3f s, may %s be created?\n", (double)world.now_ns / NS_PER_S, request.name);
    rc = plugin->admit(&host, state, &request, &world);
    printf("  %s\n", rc == 0 ? "yes" : strerror(-rc));
    refused |= rc != 0;
}

/* Each object of a file, and of the arrays in it. */
static void run(const struct collet_plugin *plugin, void *state, json_t *o)
{
    json_t *request = json_object_get(o, "request"), *item;
    size_t i;

    if (json_is_array(o)) {
        json_array_foreach(o, i, item)
            run(plugin, state, item);
        return;
    }
    if (!world_read(o))
        return;
    if (request != NULL && plugin->admit == NULL)
        die("%s is not asked before a creation: its kind is not COLLET_PLUGIN_ADMISSION", plugin->name);
    else if (request != NULL)
        run_admit(plugin, state, request);
    else if (plugin->update != NULL)
        run_update(plugin, state, o);
    else
        die("%s is asked before a creation alone: give it a world with a `request`", plugin->name);
}

static void run_file(const struct collet_plugin *plugin, void *state, const char *path)
{
    FILE *file = fopen(path, "r");
    json_error_t error;
    json_t *o;
    int c;

    if (file == NULL)
        die("%s: %s", path, strerror(errno));
    for (;;) {
        do
            c = getc(file);
        while (c == ' ' || c == '\n' || c == '\t' || c == '\r');
        if (c == EOF)
            break;
        ungetc(c, file);
        o = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);
        if (o == NULL)
            die("%s:%d: %s", path, error.line, error.text);
        run(plugin, state, o);
    }
    fclose(file);
}

/* From which argument on there are worlds. */
static int take_settings(int argc, char **argv, int first, struct plugin_settings *settings)
{
    size_t length = strlen(argv[first]);
    char error[8192];

    if (first == argc - 1 || length < 4 || strcmp(argv[first] + length - 4, ".ini") != 0)
        return first;
    if (plugin_settings_read(settings, argv[first], error, sizeof(error)) != 0)
        die("%s", error);
    return first + 1;
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
    void *state = NULL;
    int option, rc, first;

    while ((option = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
        if (option != 'q')
            fputs(usage, option == 'h' ? stdout : stderr);
        if (option != 'q')
            return option == 'h' ? 0 : 2;
        quiet = true;
    }
    if (argc - optind < 2) {
        fputs(usage, stderr);
        return 2;
    }
    plugin = load(argv[optind]);
    first = take_settings(argc, argv, optind + 1, &settings);
    worker.asks = asks;
    plugin_entry.plugins = &plugins;
    snprintf(plugin_entry.name, sizeof(plugin_entry.name), "%s", plugin->name);
    plugins.set.daemon.apply = print_change;
    rc = plugin->configure(&host, settings.list, settings.count, &state);
    if (rc != 0) {
        printf("%s refuses its settings: %s\n", plugin->name, strerror(-rc));
        return 1;
    }
    for (; first < argc; first++)
        run_file(plugin, state, argv[first]);
    if (plugin->end != NULL)
        plugin->end(state);
    answer_clear();
    plugin_values_free(&plugin_entry);
    plugin_settings_free(&settings);
    return refused;
}
