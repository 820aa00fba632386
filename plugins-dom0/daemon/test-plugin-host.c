// SPDX-License-Identifier: MIT
/*
 * The plugin host with real workers and the plugins of tests/plugins, against a daemon of one page: what is right is applied as one change, what is wrong is contained, told, and changes nothing.
 * Waiting is done by turning the loop until something is so; where a limit is to be overrun it is a fifth of a second; back-off begins at 30 ms.
 */
// needs: plugin-host.c plugin-life.c plugin-update.c plugin-admission.c plugin-tell.c plugin-process.c plugin-answer.c plugin-disk-answer.c plugin-settings.c plugin-json.c plugin-wire.c loop.c ini-lines.c text.c
// libs: -linih -ljansson
#include "plugin-host.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALL 0xffffffffu
#define LIMIT_NS (200 * NS_PER_MS)
#define LIMIT_BUSY_NS (5 * NS_PER_S) /* for plugins that are expected to answer, on a machine that is busy */
#define LONG_MS 10000

/* ---- A daemon ---- */

static struct loop *loop;
static struct plugins *plugins;
static char folder[64];

static struct collet_plugin_domain domains[3];
static struct collet_plugin_parameter parameters[] = {
    {"weight", 0, 7, 1, 65535, 256},
    {"warp_ns", 1, 6, 0, 60000000000ull, 0},
    {"allowance_ns", 1, 1, 100000, 1000000000, 5000000},
};
static struct collet_plugin_world world = {.size = sizeof(world), .cpus = 2, .domain_count = 3, .domains = domains, .sched = "bvt", .parameters = parameters, .parameter_count = 3};

static struct collet_plugin_parameter disk_parameters[] = {{"weight", 0, 3, 1, 10000, 100}};
static struct collet_plugin_disk disks[2];
static struct collet_plugin_vbd vbds[3];

static struct {
    unsigned int disk_changes; /* calls of apply_disk that succeeded */
    char rules[256], rules_of[32]; /* the last part of the network rules, and whose */
    uint32_t rules_order;
    unsigned int rules_changes; /* calls of apply_rules, with a text or without */
    int rules_rc;
    const char *rules_name; /* of domain 1 */
    struct collet_disk_value disk_last[2][8];
    unsigned int disk_count[2];
    unsigned int changes, values; /* calls of apply that succeeded, and what they set */
    struct collet_sched_value last[PLUGIN_VALUES_MAX];
    unsigned int last_count;
    int rc;                       /* what it answers */
    char log[65536];
    unsigned int log_lines;
} fake;

static int fake_world(void *arg, const struct collet_plugin_world **w)
{
    (void)arg;
    world.now_ns += NS_PER_S;
    for (uint32_t i = 0; i < 3; i++)
        domains[i].run_ns += 1000 * (i + 1);
    *w = &world;
    return 0;
}

static int fake_apply(void *arg, const char *plugin, const char *module, struct collet_sched_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed, char *error,
                      size_t error_bytes)
{
    (void)arg, (void)plugin;
    ck_assert_str_eq(module, world.sched);
    ck_assert_uint_gt(count, 0);
    if (fake.rc != 0) {
        *failed = 0;
        snprintf(error, error_bytes, "not today");
        return fake.rc;
    }
    for (unsigned int i = 0; i < count; i++) {
        ck_assert_ptr_nonnull(why[i]);
        before[i] = 256;
        fake.last[i] = values[i];
    }
    fake.last_count = count;
    fake.changes++;
    fake.values += count;
    return 0;
}

static int fake_apply_rules(void *arg, const char *plugin, uint32_t order, const char *text, char *error, size_t error_bytes)
{
    (void)arg;
    snprintf(fake.rules, sizeof(fake.rules), "%s", text != NULL ? text : "(none)");
    snprintf(fake.rules_of, sizeof(fake.rules_of), "%s", plugin);
    fake.rules_order = order;
    fake.rules_changes++;
    snprintf(error, error_bytes, "plugin %s:1:1: not today", plugin);
    return fake.rules_rc;
}

static const char *fake_rules_name(void *arg, uint32_t domid)
{
    (void)arg;
    return domid == 1 ? fake.rules_name : NULL;
}

static int fake_apply_disk(void *arg, const char *plugin, uint32_t disk, const char *module, struct collet_disk_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed,
                           char *error, size_t error_bytes)
{
    (void)arg, (void)plugin;
    ck_assert_uint_lt(disk, 2);
    ck_assert_str_eq(module, disks[disk].module);
    ck_assert(count > 0 && count <= 8);
    if (fake.rc != 0) {
        *failed = 0;
        snprintf(error, error_bytes, "not today");
        return fake.rc;
    }
    for (unsigned int i = 0; i < count; i++) {
        ck_assert_ptr_nonnull(why[i]);
        before[i] = 100;
        fake.disk_last[disk][i] = values[i];
    }
    fake.disk_count[disk] = count;
    fake.disk_changes++;
    return 0;
}

static void fake_log(void *arg, int level, const char *text)
{
    size_t used = strlen(fake.log);

    (void)arg;
    snprintf(fake.log + used, sizeof(fake.log) - used, "%d %s\n", level, text);
    fake.log_lines++;
}

static void start(void)
{
    static const char *const names[] = {"Domain-0", "web", "db"};
    static const uint32_t vcpus[] = {2, 1, 2};

    memset(&fake, 0, sizeof(fake));
    memset(domains, 0, sizeof(domains));
    for (uint32_t i = 0; i < 3; i++) {
        domains[i].domid = i;
        domains[i].name = names[i];
        domains[i].vcpus = vcpus[i];
    }
    world.domain_count = 3;
    world.sched = "bvt";
    world.parameter_count = 3;
    world.disk_count = world.vbd_count = 0;
    /* A folder that workers can read wherever the tree is. */
    strcpy(folder, "/tmp/collet-plugins-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    chmod(folder, 0755);
    loop = loop_create();
    plugins = plugins_create(&(struct plugins_settings){.loop = loop,
                                                        .daemon = {.world = fake_world, .apply = fake_apply, .apply_disk = fake_apply_disk, .apply_rules = fake_apply_rules, .rules_name = fake_rules_name, .log = fake_log},
                                                        .plugin_folder = folder,
                                                        .settings_folder = folder,
                                                        .worker = "build/dom0/lib/collet/plugin-worker",
                                                        .call_limit_ns = LIMIT_BUSY_NS,
                                                        .memory_limit_bytes = 64u << 20,
                                                        .restarts_max = 3});
    plugins->backoff_first_ns = 30 * NS_PER_MS;
    plugins->backoff_max_ns = 60 * NS_PER_MS;
}

static void stop(void)
{
    char command[128];

    plugins_destroy(plugins);
    loop_destroy(loop);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* ---- Saying what is wanted ---- */

static void provide_as(const char *from, const char *name)
{
    char command[512];

    snprintf(command, sizeof(command), "cp build/tests/plugins/%s.so %s/.new && mv %s/.new %s/%s.so && chmod 755 %s/%s.so", from, folder, folder, folder, name, folder, name);
    ck_assert_int_eq(system(command), 0);
}

static void provide(const char *name)
{
    provide_as(name, name);
}

static void settings(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.ini", folder, name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

struct outcome {
    bool done;
    int rc;
    char message[1024];
};

static void outcome_done(void *arg, int rc, const char *message)
{
    struct outcome *o = arg;

    ck_assert(!o->done);
    o->done = true;
    o->rc = rc;
    snprintf(o->message, sizeof(o->message), "%s", message);
}

#define UNTIL(condition)                                                                                                                                                               \
    do {                                                                                                                                                                               \
        uint64_t end_ns = loop_now() + LONG_MS * NS_PER_MS;                                                                                                                            \
        while (!(condition)) {                                                                                                                                                         \
            ck_assert_msg(loop_now() < end_ns, "never: %s\n%s", #condition, fake.log);                                                                                                 \
            loop_step(loop, 20);                                                                                                                                                       \
        }                                                                                                                                                                              \
    } while (0)

static void run_ms(uint64_t ms)
{
    uint64_t end_ns = loop_now() + ms * NS_PER_MS;

    while (loop_now() < end_ns)
        loop_step(loop, 5);
}

static struct outcome load_file(const char *name, const char *file)
{
    struct outcome o = {0};

    plugins_load(plugins, name, file, outcome_done, &o);
    ck_assert(!o.done); /* never from within */
    UNTIL(o.done);
    return o;
}

static struct outcome load(const char *name)
{
    return load_file(name, NULL);
}

static void load_good(const char *name)
{
    struct outcome o;

    provide(name);
    o = load(name);
    ck_assert_msg(o.rc == 0, "%s: %s", name, o.message);
}

static struct plugin *the(const char *name)
{
    struct plugin *p = plugin_find(plugins, name);

    ck_assert_ptr_nonnull(p);
    return p;
}

static struct outcome admit(const char *name, uint64_t frames)
{
    struct collet_plugin_request request = {.size = sizeof(request), .name = name, .vcpus = 1, .frames = frames, .frames_max = frames};
    struct outcome o = {0};

    plugins_admit(plugins, &request, outcome_done, &o);
    ck_assert(!o.done);
    UNTIL(o.done);
    return o;
}

static const struct collet_sched_value *last_of(uint32_t scope, uint32_t domid, const char *name)
{
    for (unsigned int i = 0; i < fake.last_count; i++)
        if (fake.last[i].scope == scope && fake.last[i].domid == domid && strcmp(fake.last[i].name, name) == 0)
            return &fake.last[i];
    return NULL;
}

#define assert_has(text, part) ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in: %s", part, text)

/* ---- What is right ---- */

START_TEST(values_are_applied_as_one_change_with_their_reasons)
{
    settings("good", "weight = 512\n");
    load_good("good");
    UNTIL(fake.changes == 1);
    ck_assert_uint_eq(fake.last_count, 5); /* three domains, two of them with a vCPU 1 */
    ck_assert_uint_eq(last_of(COLLET_SCOPE_DOMAIN, 1, "weight")->value, 512);
    ck_assert_uint_eq(last_of(COLLET_SCOPE_VCPU, 2, "weight")->value, 513);
    ck_assert_uint_eq(last_of(COLLET_SCOPE_VCPU, 2, "weight")->vcpu, 1);
    ck_assert_int_eq(the("good")->state, PLUGIN_RUNNING);
    ck_assert_uint_eq(the("good")->value_count, 5);
    assert_has(the("good")->values[0].why, "weight 512 for Domain-0");
    ck_assert_uint_eq(the("good")->values[0].before, 256);
}
END_TEST

START_TEST(values_in_force_are_not_set_again)
{
    load_good("good");
    UNTIL(the("good")->updates >= 4);
    ck_assert_uint_eq(fake.changes, 1);
    /* A domain comes: its value alone is set. */
    domains[2].domid = 9;
    plugins_event(plugins, COLLET_PLUGIN_DOMAIN_CAME);
    UNTIL(fake.changes == 2);
    ck_assert_uint_eq(fake.last_count, 2);
    ck_assert_uint_eq(fake.last[0].domid, 9);
    ck_assert_uint_eq(the("good")->value_count, 5); /* those of the one that went are forgotten */
}
END_TEST

START_TEST(another_module_gets_all_values_anew)
{
    load_good("good");
    UNTIL(fake.changes == 1);
    world.sched = "stride";
    plugins_event(plugins, COLLET_PLUGIN_SCHED_CHANGED);
    UNTIL(fake.changes == 2);
    ck_assert_uint_eq(fake.last_count, 5);
}
END_TEST

START_TEST(stale_answers_are_asked_for_again)
{
    fake.rc = -ESTALE;
    load_good("good");
    UNTIL(the("good")->updates >= 2);
    ck_assert_int_eq(the("good")->state, PLUGIN_RUNNING);
    fake.rc = 0;
    UNTIL(fake.changes == 1);
}
END_TEST

START_TEST(failed_changes_are_told_and_tried_again)
{
    fake.rc = -ESRCH;
    load_good("good");
    UNTIL(the("good")->last_error != NULL);
    assert_has(the("good")->last_error, "weight of domain 0 (Domain-0): not today");
    ck_assert_int_eq(the("good")->state, PLUGIN_RUNNING);
    ck_assert_uint_eq(the("good")->value_count, 0);
    fake.rc = 0;
    UNTIL(fake.changes == 1);
    ck_assert_ptr_null(the("good")->last_error);
}
END_TEST

START_TEST(plugins_see_events_and_intervals)
{
    load_good("good");
    UNTIL(strstr(fake.log, "event 4, interval no, runs 0") != NULL);
    UNTIL(strstr(fake.log, "event 4, interval yes, runs 3000") != NULL);
    plugins_event(plugins, COLLET_PLUGIN_DOMAIN_WENT);
    plugins_event(plugins, COLLET_PLUGIN_DOMAIN_WENT);
    UNTIL(strstr(fake.log, "event 2, interval yes") != NULL);
}
END_TEST

/* VBD 2 of web lies on both disks, VBD 3 of db on the first. */
static void disks_are_there(void)
{
    for (uint32_t i = 0; i < 2; i++)
        disks[i] = (struct collet_plugin_disk){.disk = i, .parameter_count = 1, .name = i == 0 ? "disk0" : "disk1", .module = "fair", .parameters = disk_parameters};
    vbds[0] = (struct collet_plugin_vbd){.vbd = 2, .domid = 1, .disk = 0, .name = "root"};
    vbds[1] = (struct collet_plugin_vbd){.vbd = 2, .domid = 1, .disk = 1, .name = "root"};
    vbds[2] = (struct collet_plugin_vbd){.vbd = 3, .domid = 2, .disk = 0, .name = "data"};
    world.disks = disks;
    world.disk_count = 2;
    world.vbds = vbds;
    world.vbd_count = 3;
}

static void load_diskshares(void)
{
    char command[256];

    snprintf(command, sizeof(command), "cp build/dom0/lib/collet/plugins/diskshares.so %s/ && chmod 755 %s/diskshares.so", folder, folder);
    ck_assert_int_eq(system(command), 0);
    settings("diskshares", "[domain web]\nshare = 75%\n");
    ck_assert_int_eq(load("diskshares").rc, 0);
}

START_TEST(values_of_disks_are_applied_disk_by_disk)
{
    json_t *shown;

    disks_are_there();
    load_diskshares();
    UNTIL(fake.disk_changes == 2);
    ck_assert_uint_eq(fake.changes, 0);
    ck_assert(fake.disk_count[0] == 2 && fake.disk_count[1] == 1);
    ck_assert(fake.disk_last[0][0].scope == COLLET_DISK_SCOPE_VBD && fake.disk_last[0][0].vbd == 2 && fake.disk_last[0][0].value == 7500);
    ck_assert(fake.disk_last[0][1].vbd == 3 && fake.disk_last[0][1].value == 2500);
    ck_assert(fake.disk_last[1][0].vbd == 2 && fake.disk_last[1][0].value == 7500);
    shown = plugins_show_json(plugins, "diskshares");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(json_object_get(shown, "values"), 0), "vbd")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(json_object_get(shown, "values"), 0), "before")), 100);
    json_decref(shown);
    /* In force already: nothing is set again, until another module takes over one of the disks. */
    plugins_event(plugins, COLLET_PLUGIN_DISK_CHANGED);
    UNTIL(the("diskshares")->updates >= 2);
    ck_assert_uint_eq(fake.disk_changes, 2);
    disks[1].module = "fairer";
    plugins_event(plugins, COLLET_PLUGIN_DISK_CHANGED);
    UNTIL(fake.disk_changes == 3);
    /* One goes: the other's share stays, the forgotten one is not set. */
    world.vbd_count = 2;
    plugins_event(plugins, COLLET_PLUGIN_DISK_CHANGED);
    UNTIL(the("diskshares")->value_count == 2);
    ck_assert_uint_eq(fake.disk_changes, 3);
}
END_TEST

START_TEST(a_failed_change_of_a_disk_is_told_and_tried_again)
{
    disks_are_there();
    fake.rc = -ENOENT;
    load_diskshares();
    UNTIL(the("diskshares")->last_error != NULL);
    assert_has(the("diskshares")->last_error, "weight of VBD 2 (root) on disk 0 (disk0): not today");
    fake.rc = 0;
    plugins_event(plugins, COLLET_PLUGIN_DISK_CHANGED);
    UNTIL(fake.disk_changes == 2);
    ck_assert_ptr_null(the("diskshares")->last_error);
}
END_TEST

START_TEST(a_vbd_that_is_not_there_refuses_the_answer)
{
    disks_are_there();
    provide("disk-nowhere");
    load("disk-nowhere");
    UNTIL(the("disk-nowhere")->last_error != NULL);
    assert_has(the("disk-nowhere")->last_error, "weight of VBD 77 (?) on disk 0 (disk0): there is no such VBD on that disk");
    ck_assert_uint_eq(fake.disk_changes, 0);
}
END_TEST

START_TEST(plugins_of_schedulers_are_not_told_of_disks)
{
    load_good("good");
    UNTIL(the("good")->updates >= 1);
    plugins_event(plugins, COLLET_PLUGIN_DISK_CHANGED);
    UNTIL(the("good")->updates >= 3);
    ck_assert_ptr_null(strstr(fake.log, "event 5"));
}
END_TEST

START_TEST(a_plugin_that_prints_is_no_worse)
{
    load_good("stdout");
    UNTIL(fake.changes == 1);
    ck_assert_uint_eq(fake.last[0].value, 42);
}
END_TEST

START_TEST(a_plugin_of_the_first_release_works)
{
    settings("first-release", "\nkey = told\n");
    load_good("first-release");
    UNTIL(fake.changes == 1);
    ck_assert_uint_eq(last_of(COLLET_SCOPE_DOMAIN, 2, "weight")->value, 2002);
    assert_has(the("first-release")->values[1].why, "web");
    assert_has(fake.log, "plugin first-release: told");
}
END_TEST

START_TEST(settings_are_told_with_file_and_line)
{
    struct outcome o;

    provide("good");
    settings("good", "# a comment\nweight = 300\n\nwieght = 7\n");
    o = load("good");
    ck_assert_int_eq(o.rc, -EINVAL);
    assert_has(o.message, "good.ini:4: wieght = 7: a number was expected");
    ck_assert_int_eq(the("good")->state, PLUGIN_REFUSED);
    settings("good", "[host]\ntime_limit = soon\non_failure = maybe\ntimelimit = 3s\n");
    o = load("good");
    ck_assert_int_eq(o.rc, -EINVAL);
    assert_has(o.message, "good.ini:2: time_limit = soon: a time from 10ms to 60s");
    assert_has(o.message, "good.ini:3: on_failure = maybe");
    assert_has(o.message, "good.ini:4: [host] knows no `timelimit`");
    settings("good", "weight = 300\n[host]\ntime_limit = 3s\n");
    ck_assert_int_eq(load("good").rc, 0);
    UNTIL(fake.changes == 1);
    ck_assert_uint_eq(fake.last[0].value, 300);
    ck_assert_uint_eq(the("good")->worker->call_limit_ns, 3 * NS_PER_S);
    o = load("good");
    ck_assert_int_eq(o.rc, -EEXIST);
}
END_TEST

START_TEST(names_and_files_that_are_not_there)
{
    ck_assert_int_eq(load("../etc").rc, -EINVAL);
    ck_assert_int_eq(load("").rc, -EINVAL);
    ck_assert_int_eq(load("nobody").rc, -ENOENT);
    ck_assert_ptr_null(plugins->list);
    provide("good");
    ck_assert_int_eq(load_file("good", "/nonexistent/x.ini").rc, -ENOENT);
    ck_assert_ptr_null(plugins_show_json(plugins, "nobody"));
}
END_TEST

START_TEST(rules_of_the_network_are_handed_on)
{
    struct outcome o = {0};
    char command[256];

    snprintf(command, sizeof(command), "cp build/dom0/lib/collet/plugins/blocklist.so %s/ && chmod 755 %s/blocklist.so", folder, folder);
    ck_assert_int_eq(system(command), 0);
    settings("blocklist", "[list a]\nfile = /etc/a\ndirection = in\n");
    fake.rules_rc = -EINVAL;
    ck_assert_int_eq(load("blocklist").rc, 0);
    UNTIL(fake.rules_changes == 1);
    ck_assert_str_eq(fake.rules, "set blocklist-a file \"/etc/a\"\ndrop in from blocklist-a label \"blocklist a\"\n");
    ck_assert_str_eq(fake.rules_of, "blocklist");
    ck_assert_uint_eq(fake.rules_order, 10);
    UNTIL(the("blocklist")->last_error != NULL);
    assert_has(the("blocklist")->last_error, "plugin blocklist:1:1: not today");
    ck_assert_int_eq(the("blocklist")->state, PLUGIN_RUNNING); /* the mistake is in a file */
    fake.rules_rc = 0;
    plugins_event(plugins, COLLET_PLUGIN_DOMAIN_CAME);
    UNTIL(fake.rules_changes == 2 && the("blocklist")->last_error == NULL);
    plugins_unload(plugins, "blocklist", outcome_done, &o);
    UNTIL(o.done);
    ck_assert_str_eq(fake.rules, "(none)");
}
END_TEST

START_TEST(rules_name_domains_as_their_interfaces_do)
{
    char command[256];

    snprintf(command, sizeof(command), "cp build/dom0/lib/collet/plugins/ratelimit.so %s/ && chmod 755 %s/ratelimit.so", folder, folder);
    ck_assert_int_eq(system(command), 0);
    settings("ratelimit", "[domain www]\nin = 7/s\n[domain web]\nin = 8/s\n");
    fake.rules_name = "www";
    ck_assert_int_eq(load("ratelimit").rc, 0);
    UNTIL(fake.rules_changes == 1);
    ck_assert_str_eq(fake.rules, "drop in on \"www\" limit rate 7/s over label \"ratelimit www in\"\n");
    fake.rules_name = NULL;
    plugins_event(plugins, COLLET_PLUGIN_DOMAIN_CAME);
    UNTIL(fake.rules_changes == 2);
    ck_assert_str_eq(fake.rules, "drop in on \"web\" limit rate 8/s over label \"ratelimit web in\"\n");
}
END_TEST

START_TEST(rules_of_a_plugin_that_has_no_business_with_them)
{
    provide("rules-other");
    load("rules-other");
    UNTIL(the("rules-other")->failures != 0);
    assert_has(the("rules-other")->last_error, "it is not of kind COLLET_PLUGIN_NET");
    ck_assert_uint_eq(fake.rules_changes, 0);
}
END_TEST

START_TEST(rules_that_are_too_long)
{
    provide("rules-long");
    load("rules-long");
    UNTIL(the("rules-long")->failures != 0);
    assert_has(the("rules-long")->last_error, "at most 1 MiB");
    ck_assert_uint_eq(fake.rules_changes, 0);
}
END_TEST

/* ---- Reload, unload ---- */

static struct outcome reload(const char *name)
{
    struct outcome o = {0};

    plugins_reload(plugins, name, outcome_done, &o);
    UNTIL(o.done);
    return o;
}

START_TEST(reload_takes_new_settings_and_code)
{
    pid_t before;

    load_good("good");
    UNTIL(fake.changes == 1);
    before = the("good")->worker->pid;
    settings("good", "weight = 777\n");
    ck_assert_int_eq(reload("good").rc, 0);
    UNTIL(fake.changes == 2);
    ck_assert_uint_eq(fake.last[0].value, 777);
    ck_assert_uint_eq(the("good")->values[0].before, 256);
    ck_assert_int_ne(the("good")->worker->pid, before);
    UNTIL(plugins->endings == NULL);
    ck_assert_int_eq(kill(before, 0), -1);
}
END_TEST

START_TEST(a_bad_reload_costs_nothing)
{
    struct outcome o;
    pid_t before;

    load_good("good");
    UNTIL(fake.changes == 1);
    before = the("good")->worker->pid;
    settings("good", "weight = much\n");
    o = reload("good");
    ck_assert_int_eq(o.rc, -EINVAL);
    assert_has(o.message, "good.ini:1: weight = much");
    settings("good", "weight = 5\n");
    provide_as("api", "good");
    ck_assert_int_eq(reload("good").rc, -ENOEXEC);
    provide_as("crash-load", "good");
    ck_assert_int_eq(reload("good").rc, -EIO);
    ck_assert_int_eq(the("good")->state, PLUGIN_RUNNING);
    ck_assert_int_eq(the("good")->worker->pid, before);
    run_ms(150);
    ck_assert_uint_eq(fake.changes, 1);
}
END_TEST

START_TEST(unload_ends_the_worker)
{
    struct outcome o = {0};
    pid_t pid;

    load_good("good");
    pid = the("good")->worker->pid;
    UNTIL(the("good")->worker->phase == PHASE_IDLE);
    plugins_unload(plugins, "good", outcome_done, &o);
    ck_assert_ptr_null(plugins->list);
    UNTIL(o.done);
    ck_assert_int_eq(o.rc, 0);
    ck_assert_int_eq(kill(pid, 0), -1);
    o.done = false;
    plugins_unload(plugins, "good", outcome_done, &o);
    UNTIL(o.done);
    ck_assert_int_eq(o.rc, -ENOENT);
}
END_TEST

START_TEST(a_hanging_worker_is_unloaded_too)
{
    struct outcome o = {0};

    plugins->set.call_limit_ns = LIMIT_NS;
    load_good("hang-update");
    UNTIL(the("hang-update")->worker->phase == PHASE_CALL);
    plugins_unload(plugins, "hang-update", outcome_done, &o);
    UNTIL(o.done);
    ck_assert_int_eq(o.rc, 0);
}
END_TEST

START_TEST(destroy_tells_those_who_wait)
{
    struct outcome o = {0}, p = {0};
    struct collet_plugin_request request = {.size = sizeof(request), .name = "x", .vcpus = 1};

    provide("good");
    plugins_load(plugins, "good", NULL, outcome_done, &o);
    plugins_admit(plugins, &request, outcome_done, &p);
    plugins_destroy(plugins);
    plugins = NULL;
    ck_assert(o.done && p.done);
    ck_assert_int_eq(o.rc, -ECANCELED);
    ck_assert_int_eq(p.rc, -ECANCELED);
}
END_TEST

START_TEST(a_worker_that_is_killed_is_replaced)
{
    pid_t pid;

    load_good("good");
    UNTIL(fake.changes == 1);
    pid = the("good")->worker->pid;
    kill(pid, SIGKILL);
    UNTIL(the("good")->state == PLUGIN_BACKOFF);
    assert_has(the("good")->last_error, "signal 9");
    UNTIL(the("good")->state == PLUGIN_RUNNING);
    ck_assert_int_ne(the("good")->worker->pid, pid);
    ck_assert_uint_eq(the("good")->restarts, 1);
    UNTIL(the("good")->updates >= 3);
    ck_assert_uint_eq(fake.changes, 1); /* it wants what is in force already */
}
END_TEST

/* Ended, or waiting for somebody to ask how. */
static bool has_ended(pid_t pid)
{
    char path[64], state = 'Z';
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (file == NULL)
        return true;
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    fclose(file);
    return state == 'Z' || state == 'X';
}

START_TEST(a_hanging_worker_dies_with_the_daemon)
{
    pid_t daemon, worker = 0;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    daemon = fork();
    if (daemon == 0) { /* with a loop of its own, and our folder */
        loop = loop_create();
        plugins->set.loop = loop;
        load_good("hang-update");
        UNTIL(the("hang-update")->worker->phase == PHASE_CALL);
        run_ms(100); /* in the middle of it */
        worker = the("hang-update")->worker->pid;
        if (write(ends[1], &worker, sizeof(worker)) == sizeof(worker))
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    ck_assert_int_eq(read(ends[0], &worker, sizeof(worker)), sizeof(worker));
    UNTIL(has_ended(daemon));
    UNTIL(has_ended(worker));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* ---- What is wrong ---- */

static const struct {
    const char *name, *says;
} refused[] = {
    {"api", "made for plugin API 2; this daemon speaks 1"},
    {"short-size", "its descriptor says 16 bytes"},
    {"other-name", "it calls itself \"something-else\"; \"other-name\" was expected"},
    {"no-kind", "kind is 0"},
    {"no-update", "no function `update`"},
    {"no-symbol", "exports no `collet_plugin`"},
    {"wrong-symbol", "is 1 bytes long"},
    {"refuse-configure", "line one is wrong\nline two too"},
};

START_TEST(what_is_no_plugin_is_refused_with_the_reason)
{
    struct outcome o;

    provide(refused[_i].name);
    o = load(refused[_i].name);
    ck_assert_int_ne(o.rc, 0);
    assert_has(o.message, refused[_i].says);
    ck_assert_int_eq(the(refused[_i].name)->state, PLUGIN_REFUSED);
    ck_assert_str_eq(the(refused[_i].name)->last_error, o.message);
}
END_TEST

START_TEST(a_file_that_is_no_shared_object_is_refused)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/text.so", folder);
    file = fopen(path, "w");
    fputs("this is text\n", file);
    fclose(file);
    ck_assert_int_eq(load("text").rc, -ENOEXEC);
    assert_has(the("text")->last_error, "text.so");
}
END_TEST

/* These load, and do it at each update (or at each load). */
static const struct {
    const char *name, *says;
} contained[] = {
    {"crash-update", "crashed in update: signal 11"},
    {"crash-load", "crashed in loading: signal 11"},
    {"hang-update", "no answer in update after 200 ms: killed"},
    {"hang-load", "no answer in loading after 1000 ms: killed"},
    {"leak", "crashed in update: signal 11"},
    {"nan", "weight of domain 1 (web): NaN is no number"},
    {"infinite", "infinity is no number"},
    {"negative", "-5 is negative"},
    {"range", "65536 is not in 1 to 65535"},
    {"huge", "is not in 1 to 65535"},
    {"parameter", "wieght of domain 1 (web): the scheduler bvt has no parameter of that name"},
    {"domain", "weight of domain 77 (?): there is no such domain"},
    {"vcpu", "vCPU 9: it has 1 vCPUs"},
    {"twice", "asked for twice, 5 and 6"},
    {"many", "more than 512 values"},
    {"wire", "its process is damaged"},
    {"abort", "the end is near, this far"},
    {"silent-exit", "ended in update by itself, status 0"},
};

START_TEST(what_goes_wrong_is_contained_and_tried_again_until_it_is_stopped)
{
    const char *name = contained[_i].name;
    uint64_t begin_ns = loop_now();
    uint32_t lines;

    /* A right one beside it does not notice. */
    settings("good", "only = 2\n");
    load_good("good");
    UNTIL(fake.changes == 1);
    provide(name);
    if (strncmp(name, "hang-", 5) == 0)
        plugins->set.call_limit_ns = LIMIT_NS;
    load(name);
    UNTIL(the(name)->state == PLUGIN_BACKOFF);
    assert_has(the(name)->last_error, contained[_i].says);
    ck_assert_ptr_null(the(name)->worker);
    UNTIL(the(name)->state == PLUGIN_STOPPED);
    ck_assert_uint_eq(the(name)->restarts, 3);
    ck_assert_uint_eq(the(name)->failures, 4);
    ck_assert_uint_ge(loop_now() - begin_ns, (30 + 60 + 60) * NS_PER_MS);
    ck_assert_uint_eq(fake.changes, 1);
    ck_assert_uint_eq(the(name)->value_count, 0);
    ck_assert_int_eq(the("good")->state, PLUGIN_RUNNING);
    ck_assert_uint_eq(the("good")->restarts, 0);
    lines = fake.log_lines;
    run_ms(150);
    ck_assert_uint_le(fake.log_lines, lines + 2);
}
END_TEST

START_TEST(one_bad_value_refuses_the_whole_answer)
{
    settings("good", "weight = 500\n");
    load_good("good");
    UNTIL(fake.changes == 1);
    settings("good", "weight = 65535\n"); /* then vCPU 1 wants 65536 */
    ck_assert_int_eq(reload("good").rc, 0);
    UNTIL(the("good")->state == PLUGIN_BACKOFF);
    assert_has(the("good")->last_error, "answer refused: weight of domain 0 (Domain-0), vCPU 1: 65536 is not in 1 to 65535");
    ck_assert_uint_eq(fake.changes, 1);
    ck_assert_uint_eq(the("good")->value_count, 5);
    ck_assert_uint_eq(the("good")->values[0].value, 500);
    /* Better settings heal it at once. */
    settings("good", "weight = 400\n");
    ck_assert_int_eq(reload("good").rc, 0);
    UNTIL(fake.changes == 2);
    ck_assert_uint_eq(the("good")->values[0].before, 256);
    ck_assert_uint_eq(the("good")->values[0].value, 400);
}
END_TEST

START_TEST(an_error_of_update_changes_nothing_and_stops_nobody)
{
    load_good("refuse-update");
    UNTIL(the("refuse-update")->updates >= 3);
    assert_has(the("refuse-update")->last_error, "not in the mood");
    ck_assert_int_eq(the("refuse-update")->state, PLUGIN_RUNNING);
    ck_assert_uint_eq(fake.changes, 0);
    /* Told once, counted often. */
    ck_assert_ptr_null(strstr(strstr(fake.log, "not in the mood; nothing") + 1, "not in the mood; nothing"));
}
END_TEST

START_TEST(talk_is_bounded_and_clean)
{
    load_good("talk");
    UNTIL(the("talk")->updates >= 3);
    ck_assert_uint_eq(fake.log_lines, 60);
    assert_has(fake.log, "says too much");
    assert_has(fake.log, "word 3 ?[2J ?");
    ck_assert_int_eq(the("talk")->state, PLUGIN_RUNNING);
}
END_TEST

START_TEST(a_plugin_has_no_rights)
{
    load_good("rights");
    UNTIL(the("rights")->updates >= 1);
    if (geteuid() == 0)
        assert_has(fake.log, "rights 0\n");
}
END_TEST

START_TEST(reload_goes_before_a_restart)
{
    pid_t first;

    provide_as("hang-load", "good");
    plugins_load(plugins, "good", NULL, NULL, NULL);
    first = the("good")->candidate->pid;
    provide("good");
    ck_assert_int_eq(reload("good").rc, 0);
    ck_assert_int_ne(the("good")->worker->pid, first);
    UNTIL(fake.changes == 1);
    UNTIL(kill(first, 0) != 0);
}
END_TEST

/* ---- Two plugins, one value ---- */

START_TEST(the_plugin_that_was_loaded_first_owns_a_value)
{
    settings("good", "weight = 111\nonly = 1\n");
    settings("twin", "weight = 222\n");
    load_good("good");
    UNTIL(fake.changes == 1);
    load_good("twin");
    UNTIL(fake.changes == 2);
    ck_assert_ptr_null(last_of(COLLET_SCOPE_DOMAIN, 1, "weight"));
    ck_assert_uint_eq(last_of(COLLET_SCOPE_DOMAIN, 2, "weight")->value, 222);
    assert_has(fake.log, "plugin twin: weight of domain 1 (web): left out, because plugin good, loaded before this one, sets it");
    UNTIL(the("twin")->updates >= 4);
    ck_assert_uint_eq(fake.changes, 2);
    ck_assert_int_eq(the("twin")->state, PLUGIN_RUNNING);
    /* When the owner goes, the value is free. */
    plugins_unload(plugins, "good", NULL, NULL);
    UNTIL(fake.changes == 3);
    ck_assert_uint_eq(fake.last_count, 1);
    ck_assert_uint_eq(fake.last[0].value, 222);
}
END_TEST

START_TEST(the_earlier_one_takes_what_the_later_had)
{
    settings("good", "weight = 111\nonly = 1\n");
    settings("twin", "weight = 222\nonly = 2\n");
    load_good("good");
    load_good("twin");
    UNTIL(fake.changes == 2);
    settings("good", "weight = 111\n");
    ck_assert_int_eq(reload("good").rc, 0);
    UNTIL(fake.changes == 3);
    ck_assert_uint_eq(last_of(COLLET_SCOPE_DOMAIN, 2, "weight")->value, 111);
    UNTIL(the("twin")->updates >= 6);
    ck_assert_uint_eq(the("twin")->value_count, 0);
    ck_assert_uint_eq(fake.changes, 3);
    assert_has(fake.log, "plugin twin: weight of domain 2 (db): plugin good, loaded before this one, sets it now");
}
END_TEST

/* ---- Admission ---- */

START_TEST(admission_without_plugins_is_granted)
{
    ck_assert_int_eq(admit("web", 3).rc, 0);
    load_good("good"); /* of another kind */
    ck_assert_int_eq(admit("web", 3).rc, 0);
}
END_TEST

START_TEST(an_admission_plugin_decides_and_says_why)
{
    struct outcome o;

    load_good("admit-even");
    ck_assert_int_eq(admit("web", 4).rc, 0);
    o = admit("web", 5);
    ck_assert_int_eq(o.rc, -EPERM);
    assert_has(o.message, "web wants 5 frames, which is odd; 3 domains are there (plugin admit-even)");
    ck_assert_int_eq(the("admit-even")->state, PLUGIN_RUNNING);
}
END_TEST

START_TEST(no_answer_is_no_unless_the_settings_say_otherwise)
{
    struct outcome o;

    load_good("admit-even");
    plugins->set.call_limit_ns = LIMIT_NS;
    load_good("admit-hang");
    o = admit("web", 4);
    ck_assert_int_eq(o.rc, -EAGAIN);
    assert_has(o.message, "plugin admit-hang, which has to agree to a creation, cannot be asked (no answer in admit after 200 ms: killed)");
    ck_assert_int_eq(admit("web", 5).rc, -EPERM);
    settings("admit-hang", "[host]\non_failure = allow\n");
    ck_assert_int_eq(reload("admit-hang").rc, 0);
    ck_assert_int_eq(admit("web", 4).rc, 0);
    assert_has(fake.log, "goes on without it, as `on_failure = allow` says");
    plugins_unload(plugins, "admit-hang", NULL, NULL);
    ck_assert_int_eq(admit("web", 4).rc, 0);
}
END_TEST

START_TEST(many_admissions_at_once_are_asked_in_turn)
{
    struct collet_plugin_request request = {.size = sizeof(request), .name = "x", .vcpus = 1};
    struct outcome o[20] = {0};

    load_good("admit-even");
    for (int i = 0; i < 20; i++) {
        request.frames = (uint64_t)i;
        plugins_admit(plugins, &request, outcome_done, &o[i]);
    }
    for (int i = 0; i < 20; i++) {
        UNTIL(o[i].done);
        ck_assert_int_eq(o[i].rc, i % 2 == 0 ? 0 : -EPERM);
    }
}
END_TEST

START_TEST(unloading_lets_a_waiting_admission_through)
{
    struct collet_plugin_request request = {.size = sizeof(request), .name = "x", .vcpus = 1};
    struct outcome o = {0};

    load_good("admit-hang");
    plugins_admit(plugins, &request, outcome_done, &o);
    UNTIL(the("admit-hang")->admitting != NULL);
    plugins_unload(plugins, "admit-hang", NULL, NULL);
    UNTIL(o.done);
    ck_assert_int_eq(o.rc, 0);
}
END_TEST

/* ---- JSON ---- */

START_TEST(show_tells_values_settings_and_messages)
{
    json_t *o, *value;

    settings("good", "weight = 512\n");
    load_good("good");
    UNTIL(fake.changes == 1);
    o = plugins_show_json(plugins, "good");
    ck_assert_str_eq(json_string_value(json_object_get(o, "state")), "running");
    ck_assert_str_eq(json_string_value(json_object_get(o, "summary")), "sets a weight");
    ck_assert_str_eq(json_string_value(json_object_get(o, "help")), "weight = N");
    ck_assert_int_eq(json_integer_value(json_object_get(o, "pid")), the("good")->worker->pid);
    ck_assert_int_eq(json_integer_value(json_object_get(o, "values_set")), 5);
    value = json_array_get(json_object_get(o, "values"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(value, "why")), "weight 512 for Domain-0");
    ck_assert_int_eq(json_integer_value(json_object_get(value, "before")), 256);
    ck_assert_int_eq(json_integer_value(json_object_get(value, "value")), 512);
    ck_assert(json_is_null(json_object_get(value, "vcpu")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(json_object_get(o, "settings"), 0), "line")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(o, "messages"), 0), "text")), "weight 512");
    json_decref(o);
    o = plugins_list_json(plugins);
    ck_assert_uint_eq(json_array_size(o), 1);
    json_decref(o);
}
END_TEST

Suite *suite_plugin_host(void);
Suite *suite_plugin_host(void)
{
    Suite *s = suite_create("plugin-host");
    TCase *t = tcase_create("plugin-host");

    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, values_are_applied_as_one_change_with_their_reasons);
    tcase_add_test(t, values_in_force_are_not_set_again);
    tcase_add_test(t, another_module_gets_all_values_anew);
    tcase_add_test(t, stale_answers_are_asked_for_again);
    tcase_add_test(t, failed_changes_are_told_and_tried_again);
    tcase_add_test(t, plugins_see_events_and_intervals);
    tcase_add_test(t, a_plugin_that_prints_is_no_worse);
    tcase_add_test(t, values_of_disks_are_applied_disk_by_disk);
    tcase_add_test(t, a_failed_change_of_a_disk_is_told_and_tried_again);
    tcase_add_test(t, a_vbd_that_is_not_there_refuses_the_answer);
    tcase_add_test(t, plugins_of_schedulers_are_not_told_of_disks);
    tcase_add_test(t, a_plugin_of_the_first_release_works);
    tcase_add_test(t, settings_are_told_with_file_and_line);
    tcase_add_test(t, names_and_files_that_are_not_there);
    tcase_add_test(t, reload_takes_new_settings_and_code);
    tcase_add_test(t, a_bad_reload_costs_nothing);
    tcase_add_test(t, unload_ends_the_worker);
    tcase_add_test(t, rules_of_the_network_are_handed_on);
    tcase_add_test(t, rules_name_domains_as_their_interfaces_do);
    tcase_add_test(t, rules_of_a_plugin_that_has_no_business_with_them);
    tcase_add_test(t, rules_that_are_too_long);
    tcase_add_test(t, a_hanging_worker_is_unloaded_too);
    tcase_add_test(t, destroy_tells_those_who_wait);
    tcase_add_test(t, a_worker_that_is_killed_is_replaced);
    tcase_add_test(t, a_hanging_worker_dies_with_the_daemon);
    tcase_add_loop_test(t, what_is_no_plugin_is_refused_with_the_reason, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(t, a_file_that_is_no_shared_object_is_refused);
    tcase_add_loop_test(t, what_goes_wrong_is_contained_and_tried_again_until_it_is_stopped, 0, sizeof(contained) / sizeof(contained[0]));
    tcase_add_test(t, one_bad_value_refuses_the_whole_answer);
    tcase_add_test(t, an_error_of_update_changes_nothing_and_stops_nobody);
    tcase_add_test(t, talk_is_bounded_and_clean);
    tcase_add_test(t, a_plugin_has_no_rights);
    tcase_add_test(t, reload_goes_before_a_restart);
    tcase_add_test(t, the_plugin_that_was_loaded_first_owns_a_value);
    tcase_add_test(t, the_earlier_one_takes_what_the_later_had);
    tcase_add_test(t, admission_without_plugins_is_granted);
    tcase_add_test(t, an_admission_plugin_decides_and_says_why);
    tcase_add_test(t, no_answer_is_no_unless_the_settings_say_otherwise);
    tcase_add_test(t, many_admissions_at_once_are_asked_in_turn);
    tcase_add_test(t, unloading_lets_a_waiting_admission_through);
    tcase_add_test(t, show_tells_values_settings_and_messages);
    suite_add_tcase(s, t);
    return s;
}
