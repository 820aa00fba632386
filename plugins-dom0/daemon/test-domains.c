// SPDX-License-Identifier: MIT
/*
 * The life of domains against a hypervisor and a XenStore that are made up here: creation, its failures at each step, ends and policies, requests, and a daemon that is killed and starts again.
 */
// needs: domains.c domain-vbd.c domain-vif.c backing.c definition-vbd.c definition-vif.c addresses.c domain-create.c domain-end.c domain-ops.c domain-state.c domain-takeup.c domain-world.c definition.c sched-catalog.c ini-lines.c text.c policy.c call.c log.c loop.c
// libs: -linih -ljansson
#include "domains-private.h"
#include "log.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/sched.h>

/* ---- A world made up ---- */

#define FAKE_DOMAINS 200
#define FAKE_NODES 400

static struct {
    struct collet_domain_info domains[FAKE_DOMAINS];
    unsigned int count, next_domid;
    struct {
        uint32_t domid;
        char path[64], value[64];
    } nodes[FAKE_NODES];
    unsigned int node_count;
    uint32_t introduced[FAKE_DOMAINS];
    unsigned int introduced_count;
    int fail_build, fail_unpause, fail_affinity, fail_sched, fail_store; /* errno that the next one answers */
    int keep_half; /* a build leaves the domain and never answers: the daemon is about to be killed */
    unsigned int sched_sets;
    char active[COLLET_NAME_MAX];
    uint64_t time;
} fake;

static struct loop *loop;
static struct domains *domains;
static char folder[64];

struct build_job {
    build_done *done;
    build_progress *progress;
    void *arg;
    char name[COLLET_NAME_MAX];
    uint32_t vcpus;
    uint64_t frames, frames_max;
    bool cancelled;
};

static const char *fake_error(void *arg)
{
    (void)arg;
    return "so it was arranged";
}

static struct collet_domain_info *fake_find(uint32_t domid)
{
    unsigned int i;

    for (i = 0; i < fake.count; i++)
        if (fake.domains[i].domid == domid)
            return &fake.domains[i];
    return NULL;
}

static int fake_list(void *arg, struct collet_domain_info **list)
{
    (void)arg;
    *list = malloc((fake.count + 1) * sizeof(**list));
    memcpy(*list, fake.domains, fake.count * sizeof(**list));
    return (int)fake.count;
}

static int fake_vcpus(void *arg, uint32_t domid, struct collet_vcpu_info **vcpus)
{
    const struct collet_domain_info *info = fake_find(domid);

    (void)arg;
    if (info == NULL)
        return -ESRCH;
    *vcpus = calloc(info->vcpus_max + 1, sizeof(**vcpus));
    (*vcpus)[0].time_ns[0] = 5;
    return (int)info->vcpus_max;
}

static int fake_machine(void *arg, struct collet_machine *machine)
{
    (void)arg;
    *machine = (struct collet_machine){.now_ns = ++fake.time, .cpus = 2, .frames_total = 1u << 20, .frames_free = 1u << 19, .domains = fake.count};
    return 0;
}

static struct collet_domain_info *fake_add(const char *name, uint32_t flags)
{
    struct collet_domain_info *info = &fake.domains[fake.count++];

    *info = (struct collet_domain_info){.domid = fake.next_domid++, .flags = flags, .vcpus_max = 1, .created_ns = ++fake.time, .frames = 100, .frames_max = 200};
    strcpy(info->name, name);
    return info;
}

static void fake_build_step(void *arg)
{
    struct build_job *job = arg;
    struct build_result result = {0};
    int rc = job->cancelled ? -ECANCELED : -fake.fail_build;
    unsigned int i;

    for (i = 0; i < fake.count; i++)
        if (strcmp(fake.domains[i].name, job->name) == 0)
            rc = -EEXIST;
    fake.fail_build = 0;
    if (rc == 0) {
        struct collet_domain_info *info = fake_add(job->name, fake.keep_half ? COLLET_DOMAIN_BUILDING | COLLET_DOMAIN_PAUSED : COLLET_DOMAIN_PAUSED);

        info->vcpus_max = job->vcpus;
        info->frames = job->frames;
        info->frames_max = job->frames_max;
        result = (struct build_result){.domid = info->domid, .console_port = 1, .store_port = 2, .console_mfn = 3, .store_mfn = 4};
    }
    if (!fake.keep_half) {
        job->progress(job->arg, 500, "half");
        job->done(job->arg, rc, "the builder says no", &result);
    }
    free(job);
}

static struct build_job *fake_build(void *arg, const struct build_order *order, build_progress *progress, build_done *done, void *done_arg)
{
    struct build_job *job = calloc(1, sizeof(*job));

    (void)arg;
    *job = (struct build_job){.done = done, .progress = progress, .arg = done_arg, .vcpus = order->vcpus, .frames = order->frames, .frames_max = order->frames_max};
    strcpy(job->name, order->name);
    loop_timer(loop, 0, fake_build_step, job);
    return job;
}

static void fake_build_cancel(struct build_job *job)
{
    job->cancelled = true;
}

static int fake_unpause(void *arg, uint32_t domid)
{
    int rc = -fake.fail_unpause;

    (void)arg;
    fake.fail_unpause = 0;
    if (rc == 0)
        fake_find(domid)->flags &= ~(uint32_t)COLLET_DOMAIN_PAUSED;
    return rc;
}

static int fake_destroy(void *arg, uint32_t domid)
{
    struct collet_domain_info *info = fake_find(domid);

    (void)arg;
    if (info == NULL)
        return -ESRCH;
    *info = fake.domains[--fake.count];
    return 0;
}

static int fake_rename(void *arg, uint32_t domid, const char *name)
{
    (void)arg;
    memset(fake_find(domid)->name, 0, COLLET_NAME_MAX);
    strcpy(fake_find(domid)->name, name);
    return 0;
}

static int fake_memory_max(void *arg, uint32_t domid, uint64_t frames)
{
    (void)arg;
    fake_find(domid)->frames_max = frames;
    return 0;
}

static int fake_affinity(void *arg, uint32_t domid, uint64_t cpus)
{
    int rc = -fake.fail_affinity;

    (void)arg;
    (void)domid;
    (void)cpus;
    fake.fail_affinity = 0;
    return rc;
}

static int fake_catalog(void *arg, struct sched_catalog *catalog)
{
    static const char *const names[] = {"bvt", "edf"};
    unsigned int i;

    (void)arg;
    catalog->count = 2;
    catalog->modules = calloc(2, sizeof(*catalog->modules));
    for (i = 0; i < 2; i++) {
        struct sched_catalog_module *m = &catalog->modules[i];

        strcpy(m->name, names[i]);
        m->active = strcmp(fake.active, names[i]) == 0;
        m->params = calloc(2, sizeof(*m->params));
        m->param_count = 2;
        m->params[0] = (struct collet_sched_param){.name = "weight", .scopes = COLLET_SCOPE_DOMAIN, .minimum = 1, .maximum = 100, .initial = 1};
        m->params[1] = (struct collet_sched_param){.scopes = COLLET_SCOPE_DOMAIN, .type = COLLET_PARAM_NS, .maximum = 1000000000};
        strcpy(m->params[1].name, i == 0 ? "warp" : "period");
    }
    return 0;
}

static int fake_sched_get(void *arg, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    (void)arg;
    (void)values;
    *failed = count;
    return strcmp(module, fake.active) == 0 ? 0 : -ESTALE;
}

static int fake_sched_set(void *arg, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    int rc = strcmp(module, fake.active) == 0 ? -fake.fail_sched : -ESTALE;

    (void)arg;
    (void)values;
    *failed = 0;
    fake.fail_sched = 0;
    fake.sched_sets += rc == 0 ? count : 0;
    return rc;
}

static int fake_store_write(void *arg, uint32_t domid, const char *path, const char *value)
{
    unsigned int i;

    (void)arg;
    for (i = 0; i < fake.node_count; i++)
        if (fake.nodes[i].domid == domid && strcmp(fake.nodes[i].path, path) == 0)
            break;
    ck_assert_uint_lt(i, FAKE_NODES);
    if (i == fake.node_count)
        fake.node_count++;
    fake.nodes[i].domid = domid;
    strcpy(fake.nodes[i].path, path);
    strcpy(fake.nodes[i].value, value);
    return 0;
}

static char *fake_store_read(void *arg, uint32_t domid, const char *path)
{
    unsigned int i;

    (void)arg;
    for (i = 0; i < fake.node_count; i++)
        if (fake.nodes[i].domid == domid && strcmp(fake.nodes[i].path, path) == 0)
            return strdup(fake.nodes[i].value);
    errno = ENOENT;
    return NULL;
}

static int fake_store_add(void *arg, const struct store_order *order)
{
    int rc = -fake.fail_store;

    fake.fail_store = 0;
    if (rc != 0)
        return rc;
    fake_store_write(arg, order->domid, "name", order->name);
    fake.introduced[fake.introduced_count++] = order->domid;
    return 0;
}

static void fake_store_remove(void *arg, uint32_t domid, const char *uuid)
{
    unsigned int i;

    (void)arg;
    (void)uuid;
    for (i = 0; i < fake.node_count;)
        if (fake.nodes[i].domid == domid)
            fake.nodes[i] = fake.nodes[--fake.node_count];
        else
            i++;
    for (i = 0; i < fake.introduced_count; i++)
        if (fake.introduced[i] == domid)
            fake.introduced[i] = fake.introduced[--fake.introduced_count];
}

static int fake_store_rename(void *arg, uint32_t domid, const char *uuid, const char *name)
{
    (void)uuid;
    return fake_store_write(arg, domid, "name", name);
}

static const struct backend backend = {.error = fake_error,
                                       .list = fake_list,
                                       .vcpus = fake_vcpus,
                                       .machine = fake_machine,
                                       .build = fake_build,
                                       .build_cancel = fake_build_cancel,
                                       .unpause = fake_unpause,
                                       .destroy = fake_destroy,
                                       .rename = fake_rename,
                                       .memory_max = fake_memory_max,
                                       .affinity = fake_affinity,
                                       .catalog = fake_catalog,
                                       .sched_get = fake_sched_get,
                                       .sched_set = fake_sched_set,
                                       .store_add = fake_store_add,
                                       .store_remove = fake_store_remove,
                                       .store_write = fake_store_write,
                                       .store_read = fake_store_read,
                                       .store_rename = fake_store_rename};

/* The disks: only who was given any, and when. The real ones have tests of their own (test-vbds.c). */
static struct {
    int fail_add;
    bool found; /* backings are there */
    uint32_t given[FAKE_DOMAINS];
    unsigned int count, anew, followed, reconciled;
} disks;

int vbds_modules(struct vbds *v, struct sched_catalog *catalog)
{
    (void)v;
    *catalog = (struct sched_catalog){0};
    return 0;
}

void vbds_check(struct vbds *v, const struct definition *definition, struct text_mistakes *mistakes)
{
    (void)v;
    if (definition->vbd_count != 0 && !disks.found)
        text_mistake(mistakes, definition->file, definition->vbds[0].backing_line, "no such backing");
}

int vbds_add_defined(struct vbds *v, uint32_t domid, const struct definition *definition, char *error, size_t error_bytes)
{
    int rc = -disks.fail_add;

    (void)v;
    ck_assert(fake_find(domid)->flags & COLLET_DOMAIN_PAUSED);
    disks.fail_add = 0;
    snprintf(error, error_bytes, "no disk");
    disks.given[disks.count++] = domid; /* on failure, too: some of them may be made */
    ck_assert_uint_ne(definition->vbd_count, 0);
    return rc;
}

void vbds_domain_gone(struct vbds *v, uint32_t domid)
{
    unsigned int i;

    (void)v;
    for (i = 0; i < disks.count; i++)
        if (disks.given[i] == domid)
            disks.given[i--] = disks.given[--disks.count];
}

void vbds_store_anew(struct vbds *v)
{
    (void)v;
    disks.anew++;
}

void vbds_modules_changed(struct vbds *v, uint32_t domid, const struct definition *definition)
{
    (void)v;
    (void)domid;
    disks.followed += definition->vbd_count;
}

void vbds_modules_noted(struct vbds *v)
{
    (void)v;
}

void vbds_reconcile(struct vbds *v)
{
    (void)v;
    disks.reconciled++;
}

void vbds_op_add(struct vbds *v, struct call *call, const struct vbd_order *order)
{
    (void)v;
    call_result(call, json_pack("{s:I}", "vbd", (json_int_t)order->domid));
}

void vbds_op_remove(struct vbds *v, struct call *call, uint32_t domid, const char *name, bool force)
{
    (void)v;
    call_fail(call, EPERM, "%u %s %d", domid, name, force);
}

void vbds_op_list(struct vbds *v, struct call *call, uint32_t domid, vbds_domain_name *domain_name, void *arg)
{
    (void)v;
    call_fail(call, EPERM, "%d %s", (int)domid, domain_name(arg, 1));
}

void vbds_op_volumes(struct vbds *v, struct call *call, vbds_domain_name *domain_name, void *arg)
{
    (void)v;
    call_fail(call, EPERM, "%s.", domain_name(arg, 77));
}

int rule_parts_set(struct rule_parts *parts, const char *name, uint32_t order, const char *text, char *error, size_t error_bytes)
{
    (void)parts;
    (void)name;
    (void)order;
    (void)error;
    (void)error_bytes;
    return text != NULL ? 0 : -ENOENT;
}

/* Network interfaces: the same (test-vifs.c). */
static struct {
    int fail_add;
    uint32_t given[FAKE_DOMAINS];
    char names[FAKE_DOMAINS][COLLET_NAME_MAX];
    unsigned int count, anew, reconciled;
} nets;

void vifs_check(struct vifs *v, const struct definition *definition, struct text_mistakes *mistakes)
{
    (void)v;
    if (definition->vif_count != 0 && strcmp(definition->vifs[0].network, "nic9") == 0)
        text_mistake(mistakes, definition->file, definition->vifs[0].line, "no such card");
}

const char *vifs_domain_name(const struct vifs *v, uint32_t domid)
{
    unsigned int i;

    (void)v;
    for (i = 0; i < nets.count; i++)
        if (nets.given[i] == domid)
            return nets.names[i];
    return NULL;
}

int vifs_add_defined(struct vifs *v, uint32_t domid, const char *domain, const struct definition *definition, char *error, size_t error_bytes)
{
    int rc = -nets.fail_add;

    (void)v;
    snprintf(nets.names[nets.count], sizeof(nets.names[0]), "%s", domain);
    ck_assert(fake_find(domid)->flags & COLLET_DOMAIN_PAUSED);
    ck_assert_uint_ne(definition->vif_count, 0);
    nets.fail_add = 0;
    snprintf(error, error_bytes, "no interface");
    nets.given[nets.count++] = domid;
    return rc;
}

void vifs_domain_gone(struct vifs *v, uint32_t domid)
{
    unsigned int i;

    (void)v;
    for (i = 0; i < nets.count; i++)
        if (nets.given[i] == domid) {
            memmove(nets.names[i], nets.names[nets.count - 1], sizeof(nets.names[0]));
            nets.given[i--] = nets.given[--nets.count];
        }
}

void vifs_store_anew(struct vifs *v)
{
    (void)v;
    nets.anew++;
}

void vifs_reconcile(struct vifs *v)
{
    (void)v;
    nets.reconciled++;
}

void vifs_op_add(struct vifs *v, struct call *call, const struct vif_order *order)
{
    (void)v;
    call_result(call, json_pack("{s:I, s:s}", "vif", (json_int_t)order->domid, "domain", order->domain));
}

void vifs_op_remove(struct vifs *v, struct call *call, uint32_t domid, const char *name, bool force)
{
    (void)v;
    call_fail(call, EPERM, "%u %s %d", domid, name, force);
}

void vifs_op_list(struct vifs *v, struct call *call, uint32_t domid)
{
    (void)v;
    call_fail(call, EPERM, "%d", (int)domid);
}

int vbds_world(struct vbds *v, struct vbds_world *world)
{
    (void)v;
    memset(world, 0, sizeof(*world));
    return -ENODEV;
}

void vbds_world_free(struct vbds_world *world)
{
    (void)world;
}

int vbds_apply(struct vbds *v, const char *plugin, uint32_t disk, const char *module, struct collet_disk_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed,
               char *error, size_t error_bytes)
{
    (void)v;
    (void)disk;
    (void)module;
    (void)values;
    (void)why;
    (void)before;
    *failed = count;
    snprintf(error, error_bytes, "%s", plugin);
    return -ENODEV;
}

/* The plugin host: it says no to whoever is called "greedy". */
void plugins_event(struct plugins *plugins, enum collet_plugin_event event)
{
    (void)plugins;
    (void)event;
}

struct fake_admission {
    plugins_done *done;
    void *arg;
    bool greedy;
};

static void fake_admitted(void *arg)
{
    struct fake_admission *a = arg;

    a->done(a->arg, a->greedy ? -ENOSPC : 0, a->greedy ? "too much" : NULL);
    free(a);
}

void plugins_admit(struct plugins *plugins, const struct collet_plugin_request *request, plugins_done *done, void *arg)
{
    struct fake_admission *a = malloc(sizeof(*a));

    (void)plugins;
    *a = (struct fake_admission){.done = done, .arg = arg, .greedy = strcmp(request->name, "greedy") == 0};
    loop_timer(loop, 0, fake_admitted, a);
}

/* ---- Calls ---- */

static struct answer {
    struct call call;
    int finals;
    json_t *line;
} answers[32];
static unsigned int answer_count;

static void answer_send(struct call *call, json_t *line, int final)
{
    struct answer *a = (struct answer *)call;

    if (final) {
        a->finals++;
        json_decref(a->line);
        a->line = line;
    } else {
        json_decref(line);
    }
}

static struct call *new_call(void)
{
    struct answer *a = &answers[answer_count++ % 32];

    json_decref(a->line);
    *a = (struct answer){.call.send = answer_send};
    return &a->call;
}

static struct answer *last(void)
{
    return &answers[(answer_count - 1) % 32];
}

static void settle(void)
{
    unsigned int i;

    for (i = 0; i < 12; i++)
        loop_step(loop, 2);
}

static bool ok(const struct answer *a)
{
    ck_assert_int_eq(a->finals, 1);
    return json_is_true(json_object_get(a->line, "ok"));
}

static const char *message(const struct answer *a)
{
    const char *text = json_string_value(json_object_get(a->line, "message"));

    return text != NULL ? text : "";
}

static const char *error_name(const struct answer *a)
{
    const char *text = json_string_value(json_object_get(a->line, "error"));

    return text != NULL ? text : "";
}

static void failed_with(const char *name, const char *words)
{
    ck_assert(!ok(last()));
    ck_assert_str_eq(error_name(last()), name);
    ck_assert_msg(strstr(message(last()), words) != NULL, "%s", message(last()));
}

#define DEFINITION(name) "[domain]\nname = " name "\nkernel = /proc/self/exe\nmemory = 64M\nmaxmem = 128M\non_crash = restart\n[sched]\nweight = 4\nperiod = 5ms\n"

static void create(const char *text)
{
    domains_op_create(domains, new_call(), "web.ini", text, false);
    settle();
}

static json_t *entry(const char *name)
{
    static json_t *kept;
    size_t i;

    domains_op_list(domains, new_call());
    ck_assert(ok(last()));
    json_decref(kept);
    kept = json_incref(json_object_get(last()->line, "result"));
    for (i = 0; i < json_array_size(kept); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(kept, i), "name")), name) == 0)
            return json_array_get(kept, i);
    return NULL;
}

static const char *entry_text(const char *name, const char *key)
{
    const char *text = json_string_value(json_object_get(entry(name), key));

    return text != NULL ? text : "(none)";
}

static void daemon_start(void)
{
    struct domains_settings settings = {
        .loop = loop, .backend = &backend, .plugins = (struct plugins *)&fake, .vbds = (struct vbds *)&disks, .vifs = (struct vifs *)&nets, .state_folder = folder, .limits = {.restarts = 3, .within_ns = 60000000000ull}};

    domains = domains_create(&settings);
    ck_assert_int_eq(domains_take_up(domains), 0);
    settle();
}

/* As kill -9: nothing is said to anybody. Its memory goes quietly. */
static void daemon_kill(void)
{
    unsigned int i;

    domains_destroy(domains);
    loop_destroy(loop);
    loop = loop_create();
    for (i = 0; i < 32; i++)
        json_decref(answers[i].line);
    memset(answers, 0, sizeof(answers));
}

static void setup(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.next_domid = 0;
    memset(&disks, 0, sizeof(disks));
    memset(&nets, 0, sizeof(nets));
    disks.found = true;
    strcpy(fake.active, "bvt");
    fake_add("Domain0", COLLET_DOMAIN_PRIVILEGED);
    strcpy(folder, "/tmp/test-domains-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    log_open("/dev/null", 0, 0, 0);
    loop = loop_create();
    daemon_start();
}

static void teardown(void)
{
    char command[100];

    domains_destroy(domains);
    loop_destroy(loop);
    log_close();
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void shut_down(const char *name, uint32_t reason)
{
    unsigned int i;

    for (i = 0; i < fake.count; i++)
        if (strcmp(fake.domains[i].name, name) == 0) {
            fake.domains[i].flags |= COLLET_DOMAIN_SHUT_DOWN;
            fake.domains[i].shutdown_reason = reason;
        }
    domains_change(domains, &(struct collet_change){.kind = COLLET_CHANGE_DOMAIN_SHUT_DOWN});
    settle();
}

static unsigned int state_files(void)
{
    DIR *dir = opendir(folder);
    unsigned int count = 0;

    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2 - 1; /* and the scheduler's name */
}

/* ---- Creation ---- */

START_TEST(a_domain_is_created)
{
    create(DEFINITION("web"));
    ck_assert_msg(ok(last()), "%s", message(last()));
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_object_get(last()->line, "result"), "domid")), 1);
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_uint_eq(fake.domains[1].flags, 0);
    ck_assert_uint_eq(fake.introduced_count, 1);
    ck_assert_uint_eq(fake.sched_sets, 1); /* period is for edf */
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_str_eq(entry_text("web", "on_crash"), "restart");
    ck_assert_str_eq(entry_text("web", "file"), "web.ini");
    domains_op_definition(domains, new_call(), "1");
    ck_assert(ok(last()));
    ck_assert_uint_eq(domains_unsettled(domains), 0);
}
END_TEST

START_TEST(mistakes_make_nothing)
{
    create("[domain]\nname = web\nkernel = /proc/self/exe\nmemory = 12Q\n");
    failed_with("EINVAL", "web.ini:4: memory = 12Q");
    create("[domain]\nname = web\nkernel = /nonexistent\nmemory = 64M\n");
    failed_with("EINVAL", "web.ini:3: kernel = /nonexistent: No such file");
    create(DEFINITION("greedy"));
    failed_with("ENOSPC", "greedy: refused: too much");
    create(DEFINITION("web"));
    ck_assert(ok(last()));
    create(DEFINITION("web"));
    failed_with("EEXIST", "there is a domain of this name already, domain 1");
    domains_op_check(domains, new_call(), "x.ini", DEFINITION("greedy"));
    settle();
    failed_with("ENOSPC", "too much");
    domains_op_check(domains, new_call(), "x.ini", DEFINITION("other"));
    settle();
    ck_assert(ok(last()));
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_uint_eq(state_files(), 1);
}
END_TEST

static int *const failures[] = {&fake.fail_build, &fake.fail_affinity, &fake.fail_sched, &fake.fail_store, &fake.fail_unpause};

START_TEST(a_failure_at_any_step_leaves_nothing)
{
    *failures[_i] = ENOMEM;
    create(DEFINITION("web") "[domain]\ncpus = 0\n");
    ck_assert(!ok(last()));
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_uint_eq(fake.introduced_count, 0);
    ck_assert_uint_eq(fake.node_count, 0);
    ck_assert_uint_eq(state_files(), 0);
    ck_assert_ptr_null(entry("web"));
    create(DEFINITION("web"));
    ck_assert(ok(last()));
}
END_TEST

START_TEST(destroyed_while_being_built)
{
    struct answer *creator;

    domains_op_create(domains, new_call(), "web.ini", DEFINITION("web"), false);
    creator = last();
    loop_step(loop, 0); /* admitted */
    ck_assert_ptr_nonnull(domain_by_name(domains, "web"));
    domains_op_destroy(domains, new_call(), "web");
    settle();
    ck_assert(!ok(creator));
    ck_assert(ok(last()));
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_uint_eq(state_files(), 0);
}
END_TEST

START_TEST(the_creator_goes_away)
{
    struct answer *creator;

    domains_op_create(domains, new_call(), "web.ini", DEFINITION("web"), false);
    creator = last();
    loop_step(loop, 0);
    ck_assert_ptr_nonnull(creator->call.gone);
    creator->call.gone(creator->call.gone_arg);
    settle();
    ck_assert(!ok(creator));
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_uint_eq(state_files(), 0);
}
END_TEST

START_TEST(a_kernel_that_is_none)
{
    fake.fail_build = ENOEXEC;
    create(DEFINITION("web"));
    failed_with("ENOEXEC", "web.ini:3: the builder says no");
}
END_TEST

/* ---- Ends ---- */

START_TEST(an_end_follows_the_policy)
{
    create(DEFINITION("web"));
    shut_down("web", SHUTDOWN_poweroff);
    ck_assert_str_eq(entry_text("web", "state"), "ended");
    ck_assert_str_eq(entry_text("web", "last_exit"), "powered off");
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_uint_eq(fake.introduced_count, 0);
    create(DEFINITION("web"));
    ck_assert(ok(last()));
    shut_down("web", SHUTDOWN_reboot);
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_int_eq((int)json_integer_value(json_object_get(entry("web"), "domid")), 3);
    ck_assert_int_eq((int)json_integer_value(json_object_get(entry("web"), "restarts")), 1);
    domains_op_destroy(domains, new_call(), "web");
    ck_assert(ok(last()));
    ck_assert_str_eq(entry_text("web", "last_exit"), "destroyed");
    domains_op_destroy(domains, new_call(), "web");
    failed_with("ESRCH", "does not run: destroyed");
}
END_TEST

START_TEST(crashing_again_and_again)
{
    struct domain *domain;
    unsigned int i;

    create(DEFINITION("web"));
    for (i = 0; i < 3; i++) {
        shut_down("web", SHUTDOWN_crash);
        domain = domain_by_name(domains, "web");
        if (domain->timer != NULL) { /* do not wait for it */
            ck_assert_int_eq(domain->phase, PHASE_RESTARTING);
            loop_timer_cancel(domain->timer);
            domain->timer = NULL;
            domain_build(domain);
            settle();
        }
        ck_assert_str_eq(entry_text("web", "state"), "running");
    }
    shut_down("web", SHUTDOWN_crash);
    ck_assert_str_eq(entry_text("web", "state"), "preserved");
    ck_assert_ptr_nonnull(strstr(entry_text("web", "last_exit"), "too often"));
    ck_assert_uint_eq(fake.count, 2);
    domains_op_destroy(domains, new_call(), "web");
    ck_assert(ok(last()));
    ck_assert_uint_eq(fake.count, 1);
}
END_TEST

START_TEST(a_restart_that_fails)
{
    create(DEFINITION("web"));
    fake.fail_build = ENOMEM;
    shut_down("web", SHUTDOWN_reboot);
    ck_assert_str_eq(entry_text("web", "state"), "ended");
    ck_assert_ptr_nonnull(strstr(entry_text("web", "last_exit"), "restart failed: the builder says no"));
}
END_TEST

START_TEST(the_name_may_be_taken_for_a_moment)
{
    create(DEFINITION("web"));
    fake.fail_build = EEXIST;
    shut_down("web", SHUTDOWN_reboot);
    ck_assert_str_eq(entry_text("web", "state"), "restarting");
    while (domains_unsettled(domains) != 0)
        loop_step(loop, 100);
    ck_assert_str_eq(entry_text("web", "state"), "running");
}
END_TEST

START_TEST(destroyed_behind_our_back)
{
    create(DEFINITION("web"));
    create(DEFINITION("mail"));
    fake_destroy(NULL, 1);
    domains_change(domains, &(struct collet_change){.kind = 0});
    ck_assert_str_eq(entry_text("web", "last_exit"), "destroyed by another program");
    ck_assert_uint_eq(fake.introduced_count, 1);
    ck_assert_str_eq(entry_text("mail", "state"), "running");
    strcpy(fake_find(2)->name, "post");
    domains_change(domains, &(struct collet_change){.kind = COLLET_CHANGE_DOMAIN_RENAMED});
    ck_assert_str_eq(entry_text("post", "state"), "running");
}
END_TEST

START_TEST(many_ended_ones_are_forgotten)
{
    char text[200];
    unsigned int i;

    for (i = 0; i < ENDED_KEPT + 10; i++) {
        snprintf(text, sizeof(text), "[domain]\nname = d%u\nkernel = /proc/self/exe\nmemory = 64M\n", i);
        create(text);
        snprintf(text, sizeof(text), "d%u", i);
        shut_down(text, SHUTDOWN_poweroff);
    }
    ck_assert_ptr_null(entry("d9"));
    ck_assert_ptr_nonnull(entry("d10"));
    ck_assert_uint_eq(state_files(), ENDED_KEPT);
}
END_TEST

/* ---- Requests ---- */

START_TEST(shutting_down)
{
    struct answer *waits;

    create(DEFINITION("web"));
    domains_op_shutdown(domains, new_call(), "web", false, false, 0);
    ck_assert(ok(last()));
    domains_op_shutdown(domains, new_call(), "web", false, true, 1000000000);
    waits = last();
    settle();
    ck_assert_int_eq(waits->finals, 0);
    shut_down("web", SHUTDOWN_poweroff);
    ck_assert(ok(waits));

    create(DEFINITION("web"));
    domains_op_shutdown(domains, new_call(), "web", true, true, 1000000000);
    waits = last();
    shut_down("web", SHUTDOWN_reboot);
    ck_assert(ok(waits));
    ck_assert_str_eq(entry_text("web", "state"), "running");

    domains_op_shutdown(domains, new_call(), "web", false, true, 1000000);
    while (last()->finals == 0)
        loop_step(loop, 10);
    failed_with("ETIMEDOUT", "the guest has not taken the request; `destroy` would end it");

    domains_op_shutdown(domains, new_call(), "web", false, true, 1000000000);
    waits = last();
    shut_down("web", SHUTDOWN_crash);
    ck_assert(!ok(waits));
    domains_op_shutdown(domains, new_call(), "nobody", false, true, 1000000000);
    failed_with("ESRCH", "nobody: there is no such domain");
    domains_op_shutdown(domains, new_call(), "Domain0", false, true, 1000000000);
    failed_with("EINVAL", "not for Domain0");
}
END_TEST

START_TEST(a_waiter_is_told_of_destruction)
{
    struct answer *waits;

    create(DEFINITION("web"));
    domains_op_shutdown(domains, new_call(), "web", false, true, 1000000000);
    waits = last();
    domains_op_destroy(domains, new_call(), "web");
    ck_assert(ok(last()));
    ck_assert(!ok(waits));
}
END_TEST

START_TEST(a_new_store)
{
    create(DEFINITION("web"));
    fake.node_count = fake.introduced_count = 0;
    domains_store_anew(domains);
    ck_assert_uint_eq(fake.introduced_count, 1);
    domains_op_shutdown(domains, new_call(), "web", false, false, 0);
    failed_with("EHOSTUNREACH", "does not hear");
    daemon_kill();
    daemon_start();
    ck_assert_str_eq(entry_text("web", "state"), "deaf");
    ck_assert_uint_eq(fake.introduced_count, 1);
    ck_assert_uint_eq(domain_by_name(domains, "web")->built.store_mfn, 4);
    shut_down("web", SHUTDOWN_reboot);
    ck_assert_str_eq(entry_text("web", "state"), "running");
    domains_op_shutdown(domains, new_call(), "web", false, false, 0);
    ck_assert(ok(last()));
}
END_TEST

START_TEST(memory)
{
    char *target;

    create(DEFINITION("web"));
    domains_op_memory(domains, new_call(), "web", 8192, 0);
    ck_assert(ok(last()));
    target = fake_store_read(NULL, 1, "memory/target");
    ck_assert_str_eq(target, "32768");
    free(target);
    domains_op_memory(domains, new_call(), "web", 256, 0);
    failed_with("ERANGE", "web: at least 4 MiB were expected; a plain number is MiB");
    domains_op_memory(domains, new_call(), "web", 40000, 0);
    failed_with("ERANGE", "156 MiB are more than its maximum, 128 MiB");
    domains_op_memory(domains, new_call(), "web", 40000, 50000);
    ck_assert(ok(last()));
    ck_assert_uint_eq(fake_find(1)->frames_max, 50000);
    ck_assert_int_eq((int)json_integer_value(json_object_get(entry("web"), "target_frames")), 40000);
}
END_TEST

START_TEST(renaming)
{
    create(DEFINITION("web"));
    create(DEFINITION("mail"));
    domains_op_rename(domains, new_call(), "web", "mail");
    failed_with("EEXIST", "mail");
    domains_op_rename(domains, new_call(), "web", "77");
    failed_with("EINVAL", "must not be a number");
    domains_op_rename(domains, new_call(), "web", "nic1");
    failed_with("EINVAL", "network cards");
    domains_op_rename(domains, new_call(), "web", "w\"");
    failed_with("EINVAL", "only letters");
    domains_op_rename(domains, new_call(), "web", "www");
    ck_assert(ok(last()));
    ck_assert_str_eq(fake_find(1)->name, "www");
    ck_assert_str_eq(entry_text("www", "state"), "running");
    ck_assert_ptr_null(entry("web"));
    ck_assert_uint_eq(state_files(), 2);
    /* Its restart keeps the new name. */
    shut_down("www", SHUTDOWN_reboot);
    ck_assert_str_eq(entry_text("www", "state"), "running");
    ck_assert_str_eq(fake.domains[fake.count - 1].name, "www");
}
END_TEST

START_TEST(rules_follow_a_renamed_domain)
{
    create(DEFINITION("web") "[vif 0]\nip = 10.0.2.16\n");
    ck_assert_str_eq(domains_rules_name(domains, 1), "web");
    domains_op_rename(domains, new_call(), "web", "db");
    ck_assert(ok(last()));
    ck_assert_str_eq(domains_rules_name(domains, 1), "web");
    shut_down("db", SHUTDOWN_reboot);
    ck_assert_str_eq(entry_text("db", "state"), "running");
    ck_assert_str_eq(domains_rules_name(domains, fake.domains[fake.count - 1].domid), "db");
    ck_assert_ptr_null(domains_rules_name(domains, 77));
}
END_TEST

START_TEST(consoles)
{
    create(DEFINITION("web"));
    domains_op_console(domains, new_call(), "web");
    failed_with("EAGAIN", "no console yet");
    fake_store_write(NULL, 1, "console/tty", "/dev/pts/3");
    domains_op_console(domains, new_call(), "1");
    ck_assert(ok(last()));
}
END_TEST

START_TEST(domains_of_others)
{
    fake_add("guest", 0);
    ck_assert_str_eq(entry_text("guest", "state"), "unmanaged");
    domains_op_definition(domains, new_call(), "guest");
    failed_with("ENOENT", "did not make it");
    domains_op_memory(domains, new_call(), "guest", 2048, 4096);
    ck_assert(ok(last()));
    create(DEFINITION("guest"));
    failed_with("EEXIST", "already");
    domains_op_destroy(domains, new_call(), "guest");
    ck_assert(ok(last()));
    ck_assert_uint_eq(fake.count, 1);
    create(DEFINITION("web"));
    shut_down("web", SHUTDOWN_poweroff);
    fake_add("web", 0);
    domains_op_destroy(domains, new_call(), "web");
    ck_assert(ok(last()));
    ck_assert_uint_eq(fake.count, 1);
}
END_TEST

START_TEST(destroyed_before_its_restart)
{
    create(DEFINITION("web"));
    shut_down("web", SHUTDOWN_crash);
    shut_down("web", SHUTDOWN_crash); /* this one waits */
    ck_assert_str_eq(entry_text("web", "state"), "restarting");
    domains_op_destroy(domains, new_call(), "web");
    ck_assert(ok(last()));
    ck_assert_str_eq(entry_text("web", "state"), "ended");
    ck_assert_uint_eq(fake.count, 1);
}
END_TEST

/* ---- Schedulers and plugins ---- */

/* ---- Disks ---- */

#define WITH_DISK(name) DEFINITION(name) "[vbd root]\nbacking = disk:disk0\n"

START_TEST(a_domain_with_disks)
{
    create(WITH_DISK("web"));
    ck_assert_msg(ok(last()), "%s", message(last()));
    ck_assert(disks.count == 1 && disks.given[0] == 1);
    shut_down("web", SHUTDOWN_reboot);
    settle();
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_msg(disks.count == 1 && disks.given[0] == 2, "%u", disks.count); /* made again for the new one, and gone with the old one */
    domains_change(domains, &(struct collet_change){.kind = COLLET_CHANGE_DISK_USED, .text = "disk0: fair"});
    ck_assert_uint_eq(disks.followed, 1);
    domains_change(domains, &(struct collet_change){.kind = COLLET_CHANGE_VBD_BROKEN});
    ck_assert_uint_eq(disks.reconciled, 1);
    daemon_kill();
    daemon_start();
    ck_assert_uint_eq(disks.count, 1);
    domains_op_destroy(domains, new_call(), "web");
    ck_assert(ok(last()));
    ck_assert_uint_eq(disks.count, 0);
    create(DEFINITION("web"));
    ck_assert(ok(last()));
    ck_assert_uint_eq(disks.count, 0);
}
END_TEST

START_TEST(disks_that_cannot_be_made)
{
    disks.found = false;
    create(WITH_DISK("web"));
    failed_with("EINVAL", "web.ini:11: no such backing");
    domains_op_check(domains, new_call(), "web.ini", WITH_DISK("web"));
    failed_with("EINVAL", "web.ini:11: no such backing");
    disks.found = true;
    disks.fail_add = EBUSY;
    create(WITH_DISK("web"));
    failed_with("EBUSY", "no disk");
    ck_assert_uint_eq(disks.count, 0);
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_uint_eq(fake.introduced_count, 0);
    ck_assert_uint_eq(state_files(), 0);
}
END_TEST

START_TEST(requests_about_disks)
{
    struct vbd_order order = {.name = "data", .backing = "disk:disk0"};

    create(DEFINITION("web"));
    domains_op_vbd_add(domains, new_call(), "web", &order);
    ck_assert(ok(last()));
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_object_get(last()->line, "result"), "vbd")), 1);
    domains_op_vbd_add(domains, new_call(), "wbe", &order);
    failed_with("ESRCH", "there is no such domain");
    domains_op_vbd_add(domains, new_call(), "0", &order);
    failed_with("EINVAL", "not for Domain0");
    domains_op_vbd_remove(domains, new_call(), "1", "data", true);
    failed_with("EPERM", "1 data 1");
    domains_op_vbds(domains, new_call(), NULL);
    failed_with("EPERM", "-1 web");
    domains_op_vbds(domains, new_call(), "web");
    failed_with("EPERM", "1 web");
    domains_op_volumes(domains, new_call());
    failed_with("EPERM", ".");
    shut_down("web", SHUTDOWN_poweroff);
    domains_op_vbds(domains, new_call(), "web");
    ck_assert(ok(last()));
}
END_TEST

#define WITH_VIF(name) DEFINITION(name) "[vif 0]\nip = 10.0.2.16\n"

START_TEST(a_domain_with_interfaces)
{
    create(WITH_VIF("web"));
    ck_assert_msg(ok(last()), "%s", message(last()));
    ck_assert(nets.count == 1 && nets.given[0] == 1);
    shut_down("web", SHUTDOWN_reboot);
    settle();
    ck_assert_msg(nets.count == 1 && nets.given[0] == 2, "%u", nets.count); /* made again for the new one, and gone with the old one */
    domains_change(domains, &(struct collet_change){.kind = COLLET_CHANGE_VIF_BROKEN});
    ck_assert_uint_eq(nets.reconciled, 1);
    daemon_kill();
    daemon_start();
    ck_assert_uint_eq(nets.count, 1);
    domains_op_destroy(domains, new_call(), "web");
    ck_assert(ok(last()));
    ck_assert_uint_eq(nets.count, 0);
    create(DEFINITION("web") "[vif 0]\nnetwork = nic9\n");
    failed_with("EINVAL", "no such card");
    nets.fail_add = EEXIST;
    create(WITH_VIF("web"));
    failed_with("EEXIST", "no interface");
    ck_assert_uint_eq(nets.count, 0);
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_uint_eq(state_files(), 0);
}
END_TEST

START_TEST(requests_about_interfaces)
{
    struct definition_vif vif = {.name = "lan"};

    create(DEFINITION("web"));
    domains_op_vif_add(domains, new_call(), "web", &vif);
    ck_assert(ok(last()));
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(last()->line, "result"), "domain")), "web");
    domains_op_vif_add(domains, new_call(), "0", &vif);
    ck_assert(ok(last())); /* Domain0 may have more than its own */
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(last()->line, "result"), "domain")), "Domain-0");
    domains_op_vif_add(domains, new_call(), "wbe", &vif);
    failed_with("ESRCH", "there is no such domain");
    domains_op_vif_remove(domains, new_call(), "web", "lan", true);
    failed_with("EPERM", "1 lan 1");
    domains_op_vifs(domains, new_call(), NULL);
    failed_with("EPERM", "-1");
    shut_down("web", SHUTDOWN_poweroff);
    domains_op_vifs(domains, new_call(), "web");
    ck_assert(ok(last()));
}
END_TEST

START_TEST(another_scheduler_takes_over)
{
    create(DEFINITION("web"));
    fake.sched_sets = 0;
    strcpy(fake.active, "edf");
    domains_change(domains, &(struct collet_change){.kind = COLLET_CHANGE_SCHED_USED});
    ck_assert_uint_eq(fake.sched_sets, 1); /* period; weight was carried over */
    domains_change(domains, &(struct collet_change){.kind = COLLET_CHANGE_SCHED_USED});
    ck_assert_uint_eq(fake.sched_sets, 1);
}
END_TEST

START_TEST(the_world_for_plugins)
{
    const struct collet_plugin_world *world;
    struct collet_sched_value value = {.name = "weight", .scope = COLLET_SCOPE_DOMAIN, .domid = 1, .value = 7};
    uint64_t before = 99;
    unsigned int failed;
    char error[100];

    create(DEFINITION("web"));
    fake_add("half", COLLET_DOMAIN_BUILDING);
    ck_assert_int_eq(domains_world(domains, &world), 0);
    ck_assert_uint_eq(world->domain_count, 2);
    ck_assert_str_eq(world->domains[1].name, "web");
    ck_assert_uint_eq(world->domains[1].run_ns, 5);
    ck_assert_uint_eq(world->domains[1].setting_count, 7);
    ck_assert_str_eq(world->sched, "bvt");
    ck_assert_uint_eq(world->parameter_count, 2);
    ck_assert_int_eq(domains_world(domains, &world), 0);
    ck_assert_int_eq(domains_apply(domains, "shares", "bvt", &value, NULL, 1, &before, &failed, error, sizeof(error)), 0);
    ck_assert_uint_eq(before, 7); /* as the fake has it */
    ck_assert_int_eq(domains_apply(domains, "shares", "edf", &value, NULL, 1, &before, &failed, error, sizeof(error)), -ESTALE);
    ck_assert_str_eq(error, "so it was arranged");
}
END_TEST

/* ---- The daemon is killed ---- */

START_TEST(killed_while_all_is_well)
{
    create(DEFINITION("web"));
    create(DEFINITION("mail"));
    shut_down("mail", SHUTDOWN_poweroff);
    daemon_kill();
    daemon_start();
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_str_eq(entry_text("web", "on_crash"), "restart");
    ck_assert_str_eq(entry_text("mail", "last_exit"), "powered off");
    shut_down("web", SHUTDOWN_crash);
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_int_eq((int)json_integer_value(json_object_get(entry("web"), "restarts")), 1);
}
END_TEST

START_TEST(killed_and_much_happened)
{
    create(DEFINITION("web"));
    create(DEFINITION("mail"));
    create(DEFINITION("gone"));
    daemon_kill();
    fake_find(1)->flags |= COLLET_DOMAIN_SHUT_DOWN;
    fake_find(1)->shutdown_reason = SHUTDOWN_reboot;
    fake_destroy(NULL, 3);
    fake_add("gone", 0); /* the same name, another domain */
    fake_find(2)->created_ns += 1000; /* the same number, another domain */
    daemon_start();
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_int_eq((int)json_integer_value(json_object_get(entry("web"), "restarts")), 1);
    ck_assert_str_eq(entry_text("gone", "state"), "ended");
}
END_TEST

START_TEST(killed_and_the_scheduler_changed)
{
    create(DEFINITION("web"));
    daemon_kill();
    fake.sched_sets = 0;
    strcpy(fake.active, "edf");
    daemon_start();
    ck_assert_uint_eq(fake.sched_sets, 1);
    daemon_kill();
    daemon_start();
    ck_assert_uint_eq(fake.sched_sets, 1);
}
END_TEST

START_TEST(killed_together_with_xenstored)
{
    create(DEFINITION("web"));
    daemon_kill();
    fake.node_count = fake.introduced_count = 0;
    daemon_start();
    ck_assert_uint_eq(fake.introduced_count, 1);
    ck_assert_str_eq(entry_text("web", "state"), "deaf");
}
END_TEST

START_TEST(killed_while_building)
{
    fake.keep_half = 1;
    create(DEFINITION("web"));
    ck_assert_int_eq(last()->finals, 0);
    ck_assert_uint_eq(fake.count, 2);
    daemon_kill();
    fake.keep_half = 0;
    daemon_start();
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_uint_eq(state_files(), 0);
    ck_assert_ptr_null(entry("web"));
}
END_TEST

START_TEST(killed_while_destroying)
{
    create(DEFINITION("web"));
    create(DEFINITION("mail"));
    fake_find(1)->flags |= COLLET_DOMAIN_DYING;
    daemon_kill();
    fake.domains[fake.count++] = (struct collet_domain_info){.domid = 9, .name = "stray", .flags = COLLET_DOMAIN_DYING};
    daemon_start();
    ck_assert_ptr_null(fake_find(1));
    ck_assert_ptr_null(fake_find(9));
    ck_assert_ptr_nonnull(fake_find(2));
    ck_assert_str_eq(entry_text("web", "state"), "ended");
    ck_assert_str_eq(entry_text("mail", "state"), "running");
}
END_TEST

/* The old one was to be destroyed for a restart: what is left of it must not keep the name. */
START_TEST(killed_while_destroying_for_a_restart)
{
    create(DEFINITION("web"));
    domain_set_phase(domain_by_name(domains, "web"), PHASE_RESTARTING);
    fake_find(1)->flags |= COLLET_DOMAIN_DYING;
    daemon_kill();
    daemon_start();
    ck_assert_ptr_null(fake_find(1));
    ck_assert_uint_eq(fake.introduced_count, 1);
    ck_assert_str_eq(entry_text("web", "state"), "running");
}
END_TEST

START_TEST(killed_while_rebuilding)
{
    create(DEFINITION("web"));
    fake.keep_half = 1;
    shut_down("web", SHUTDOWN_reboot);
    ck_assert_str_eq(entry_text("web", "state"), "restarting");
    daemon_kill();
    fake.keep_half = 0;
    daemon_start();
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_uint_eq(fake.count, 2);
}
END_TEST

START_TEST(killed_before_the_unpausing)
{
    create(DEFINITION("web"));
    domain_set_phase(domain_by_name(domains, "web"), PHASE_READY);
    fake_find(1)->flags |= COLLET_DOMAIN_PAUSED;
    daemon_kill();
    daemon_start();
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_uint_eq(fake_find(1)->flags, 0);
}
END_TEST

START_TEST(state_files_that_are_none)
{
    char path[200];
    FILE *file;

    snprintf(path, sizeof(path), "%s/bad.json", folder);
    file = fopen(path, "w");
    fputs("{\"name\": 7", file);
    fclose(file);
    snprintf(path, sizeof(path), "%s/worse.json", folder);
    file = fopen(path, "w");
    fputs("{\"name\": \"worse\"}", file);
    fclose(file);
    create(DEFINITION("web"));
    daemon_kill();
    daemon_start();
    ck_assert_str_eq(entry_text("web", "state"), "running");
    ck_assert_ptr_null(entry("worse"));
}
END_TEST

Suite *suite_domains(void);
Suite *suite_domains(void)
{
    Suite *suite = suite_create("domains");
    TCase *tcase = tcase_create("domains");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, a_domain_is_created);
    tcase_add_test(tcase, mistakes_make_nothing);
    tcase_add_loop_test(tcase, a_failure_at_any_step_leaves_nothing, 0, 5);
    tcase_add_test(tcase, destroyed_while_being_built);
    tcase_add_test(tcase, the_creator_goes_away);
    tcase_add_test(tcase, a_kernel_that_is_none);
    tcase_add_test(tcase, an_end_follows_the_policy);
    tcase_add_test(tcase, crashing_again_and_again);
    tcase_add_test(tcase, a_restart_that_fails);
    tcase_add_test(tcase, the_name_may_be_taken_for_a_moment);
    tcase_add_test(tcase, destroyed_behind_our_back);
    tcase_add_test(tcase, many_ended_ones_are_forgotten);
    tcase_add_test(tcase, shutting_down);
    tcase_add_test(tcase, a_waiter_is_told_of_destruction);
    tcase_add_test(tcase, a_new_store);
    tcase_add_test(tcase, memory);
    tcase_add_test(tcase, renaming);
    tcase_add_test(tcase, rules_follow_a_renamed_domain);
    tcase_add_test(tcase, consoles);
    tcase_add_test(tcase, domains_of_others);
    tcase_add_test(tcase, destroyed_before_its_restart);
    tcase_add_test(tcase, another_scheduler_takes_over);
    tcase_add_test(tcase, a_domain_with_disks);
    tcase_add_test(tcase, disks_that_cannot_be_made);
    tcase_add_test(tcase, requests_about_disks);
    tcase_add_test(tcase, a_domain_with_interfaces);
    tcase_add_test(tcase, requests_about_interfaces);
    tcase_add_test(tcase, the_world_for_plugins);
    tcase_add_test(tcase, killed_while_all_is_well);
    tcase_add_test(tcase, killed_and_much_happened);
    tcase_add_test(tcase, killed_and_the_scheduler_changed);
    tcase_add_test(tcase, killed_together_with_xenstored);
    tcase_add_test(tcase, killed_while_building);
    tcase_add_test(tcase, killed_while_destroying);
    tcase_add_test(tcase, killed_while_destroying_for_a_restart);
    tcase_add_test(tcase, killed_while_rebuilding);
    tcase_add_test(tcase, killed_before_the_unpausing);
    tcase_add_test(tcase, state_files_that_are_none);
    suite_add_tcase(suite, tcase);
    return suite;
}
