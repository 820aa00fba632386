// SPDX-License-Identifier: MIT
/*
 * Virtual block devices against a hypervisor, a XenStore and blkfronts that are made up here: the handshake in every order, fronts that lie, requests, modules that change, and a daemon that is killed at each of its
 * steps and starts again.
 */
// needs: vbds.c vbd-ops.c vbd-xenbus.c xenbus-device.c volumes.c backing.c definition.c definition-vbd.c definition-vif.c addresses.c sched-catalog.c ini-lines.c text.c call.c log.c loop.c
// libs: -linih -ljansson
#include "vbds-private.h"
#include "fake-store.h"
#include "log.h"

#include <check.h>
#include <errno.h>
#include <sanitizer/lsan_interface.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VBDS 80

/* ---- A world made up ---- */

static struct {
    struct collet_vbd_info vbds[VBDS];
    struct collet_extent extents[VBDS];
    struct {
        uint32_t ring, port;
    } rings[VBDS];
    unsigned int count, next;
    struct collet_disk_info disks[2];
    struct collet_disk_value set[16];
    unsigned int sets;
    int fail_create, fail_connect, fail_limits, fail_end; /* errno of the next one */
    unsigned int ends, connects;
    bool slow_end; /* ends do not come before fake_end_now */
} fake;

static struct loop *loop;
static struct vbds *vbds;
static struct volumes *volumes;

struct pending {
    struct pending *next;
    uint32_t vbd;
    bool destroy;
    device_end_done *done;
    void *arg;
};
static struct pending *pending;

static int fake_disks(void *arg, struct collet_disk_info **list)
{
    (void)arg;
    *list = malloc(sizeof(fake.disks));
    memcpy(*list, fake.disks, sizeof(fake.disks));
    return 2;
}

static int fake_modules(void *arg, struct sched_catalog *catalog)
{
    static const char *const names[] = {"elevator", "fair", "deadline"};
    unsigned int i;

    (void)arg;
    *catalog = (struct sched_catalog){.count = 3, .modules = calloc(3, sizeof(*catalog->modules))};
    for (i = 0; i < 3; i++) {
        struct sched_catalog_module *m = &catalog->modules[i];

        strcpy(m->name, names[i]);
        m->active = strcmp(fake.disks[0].module, names[i]) == 0;
        if (i == 0)
            continue;
        m->params = calloc(2, sizeof(*m->params));
        m->param_count = 2;
        m->params[0] = (struct collet_sched_param){.name = "weight", .scopes = COLLET_DISK_SCOPE_VBD, .minimum = 1, .maximum = 1000};
        m->params[1] = (struct collet_sched_param){.scopes = COLLET_DISK_SCOPE_VBD, .maximum = 1000};
        strcpy(m->params[1].name, i == 1 ? "budget" : "expiry");
    }
    return 0;
}

static int fake_disk_set(void *arg, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    (void)arg;
    alive();
    *failed = count;
    if (strcmp(module, fake.disks[disk].module) != 0)
        return -ESTALE;
    if (disk != 0)
        return -ESRCH;
    memcpy(fake.set, values, count * sizeof(*values));
    fake.sets += count;
    return 0;
}

static int fake_list(void *arg, struct collet_vbd_info **list)
{
    (void)arg;
    *list = malloc(sizeof(fake.vbds));
    memcpy(*list, fake.vbds, sizeof(fake.vbds));
    return (int)fake.count;
}

static struct collet_vbd_info *fake_find(uint32_t vbd)
{
    unsigned int i;

    for (i = 0; i < fake.count; i++)
        if (fake.vbds[i].vbd == vbd)
            return &fake.vbds[i];
    return NULL;
}

static int fake_extents(void *arg, uint32_t vbd, struct collet_extent **list)
{
    const struct collet_vbd_info *info = fake_find(vbd);

    (void)arg;
    if (info == NULL)
        return -ENOENT;
    *list = malloc(sizeof(**list));
    **list = fake.extents[info - fake.vbds];
    return 1;
}

static int fake_create(void *arg, struct collet_vbd_create *create, const struct collet_extent *extents)
{
    struct collet_vbd_info *info = &fake.vbds[fake.count];
    unsigned int i;
    int rc = -fake.fail_create;

    (void)arg;
    alive();
    fake.fail_create = 0;
    if (rc != 0)
        return rc;
    for (i = 0; i < fake.count; i++)
        if (fake.vbds[i].domid == create->domid && fake.vbds[i].device == create->device)
            return -EEXIST;
    for (i = 0; i < fake.count; i++)
        if (!((create->flags | fake.vbds[i].flags) & COLLET_VBD_RAW) && !(create->flags & fake.vbds[i].flags & COLLET_VBD_SHARED) && fake.extents[i].disk == extents->disk &&
            fake.extents[i].sector < extents->sector + extents->sectors && extents->sector < fake.extents[i].sector + fake.extents[i].sectors) {
            create->holder = fake.vbds[i].vbd;
            return -EBUSY;
        }
    create->vbd = ++fake.next;
    *info = (struct collet_vbd_info){.vbd = create->vbd,
                                     .domid = create->domid,
                                     .device = create->device,
                                     .flags = create->flags,
                                     .sectors = extents->sectors,
                                     .extents = create->extents,
                                     .sector_bytes = 512,
                                     .disk_flags = COLLET_DISK_CAN_FLUSH | COLLET_DISK_CAN_DISCARD};
    memcpy(info->name, create->name, sizeof(info->name));
    fake.extents[fake.count++] = *extents;
    return 0;
}

static int fake_connect(void *arg, uint32_t vbd, uint32_t ring_ref, uint32_t port)
{
    struct collet_vbd_info *info = fake_find(vbd);
    int rc = -fake.fail_connect;

    (void)arg;
    alive();
    fake.fail_connect = 0;
    fake.connects++;
    if (rc != 0 || info == NULL)
        return rc != 0 ? rc : -ENOENT;
    if (info->flags & COLLET_VBD_CONNECTED)
        return -EALREADY;
    if (ring_ref > 1000 || port > 1000)
        return -EINVAL;
    info->flags |= COLLET_VBD_CONNECTED;
    fake.rings[info - fake.vbds].ring = ring_ref;
    fake.rings[info - fake.vbds].port = port;
    return 0;
}

static int fake_limits(void *arg, uint32_t vbd, uint64_t requests_per_s, uint64_t bytes_per_s)
{
    int rc = -fake.fail_limits;

    (void)arg;
    alive();
    fake.fail_limits = 0;
    fake_find(vbd)->requests_per_s = requests_per_s;
    fake_find(vbd)->bytes_per_s = bytes_per_s;
    return rc;
}

static void fake_drop(uint32_t vbd)
{
    struct collet_vbd_info *info = fake_find(vbd);
    size_t at = (size_t)(info - fake.vbds);

    if (info == NULL)
        return;
    for (fake.count--; at < fake.count; at++) {
        fake.vbds[at] = fake.vbds[at + 1];
        fake.extents[at] = fake.extents[at + 1];
        fake.rings[at] = fake.rings[at + 1];
    }
}

static void fake_end_now(void *arg)
{
    struct pending *p = pending;
    int rc = fake.fail_end;

    (void)arg;
    if (p == NULL)
        return;
    pending = p->next;
    fake.ends++;
    fake.fail_end = 0;
    if (rc == 0 && p->destroy)
        fake_drop(p->vbd);
    else if (rc == 0 && fake_find(p->vbd) != NULL)
        fake_find(p->vbd)->flags &= ~(uint32_t)(COLLET_VBD_CONNECTED | COLLET_VBD_BROKEN);
    if (p->done != NULL)
        p->done(p->arg, -rc, rc != 0 ? "it hangs" : "");
    free(p);
}

static int fake_end(void *arg, uint32_t vbd, bool destroy, device_end_done *done, void *done_arg)
{
    struct pending *p = malloc(sizeof(*p)), **at = &pending;

    (void)arg;
    alive();
    *p = (struct pending){.vbd = vbd, .destroy = destroy, .done = done, .arg = done_arg};
    while (*at != NULL)
        at = &(*at)->next;
    *at = p;
    if (!fake.slow_end)
        loop_timer(loop, 0, fake_end_now, NULL);
    return 0;
}

static void fired(const char *token)
{
    if (vbds != NULL)
        vbds_watched(vbds, token);
}

static const struct vbd_backend backend = {.error = store_error,
                                           .disks = fake_disks,
                                           .modules = fake_modules,
                                           .disk_set = fake_disk_set,
                                           .list = fake_list,
                                           .extents = fake_extents,
                                           .create = fake_create,
                                           .connect = fake_connect,
                                           .limits = fake_limits,
                                           .end = fake_end};

/* Domain0 has no volumes and uses nothing. */
static char *no_text(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    errno = ENXIO;
    return NULL;
}
static char *no_names(void *arg)
{
    (void)arg;
    return NULL;
}
static int no_open(void *arg, const char *name, bool alone)
{
    (void)arg;
    (void)alone;
    return strcmp(name, "xvdb") == 0 ? -EBUSY : -ENOENT;
}
static const struct volumes_source source = {.sysfs = "/nonexistent", .table = no_text, .names = no_names, .open = no_open};

/* ---- The daemon ---- */

static void settle(void)
{
    unsigned int i;

    for (i = 0; i < 10; i++)
        loop_step(loop, 1);
}

static void daemon_start(void)
{
    static struct vbds_settings settings;

    settings = (struct vbds_settings){.loop = loop, .backend = &backend, .nodes = &store_nodes, .volumes = volumes, .close_ns = 60000000000ull};
    vbds = vbds_create(&settings);
    ck_assert_int_eq(vbds_take_up(vbds), 0);
    settle();
}

/* As kill -9: nothing is said to anybody. Its memory goes quietly. */
static void daemon_kill(void)
{
    struct pending *p;
    struct vbds *v = vbds;
    unsigned int i;

    vbds = NULL;
    store.steps_to_live = 0;
    vbds_destroy(v);
    store.watch_count = 0;
    /* What the hypervisor was asked for it does all the same. */
    while ((p = pending) != NULL) {
        p->done = NULL;
        fake_end_now(NULL);
    }
    for (i = 0; i < 4; i++)
        loop_step(loop, 1);
    for (i = 0; i < 8; i++)
        json_decref(answers[i].line);
    memset(answers, 0, sizeof(answers));
}

static void setup(void)
{
    memset(&fake, 0, sizeof(fake));
    memset(&store, 0, sizeof(store));
    fake.disks[0] = (struct collet_disk_info){.disk = 0, .name = "disk0", .module = "elevator", .sectors = 1 << 20, .sector_bytes = 512};
    fake.disks[1] = (struct collet_disk_info){.disk = 1, .name = "disk1", .module = "elevator", .sectors = 1000001, .sector_bytes = 1024};
    loop = store.loop = loop_create();
    store.fired = fired;
    volumes = volumes_create(&source);
    daemon_start();
}

static void teardown(void)
{
    daemon_kill();
    volumes_destroy(volumes);
    loop_destroy(loop);
}

/* ---- A front ---- */

static char front_path[100], back_path[100];

static void of(uint32_t domid, uint32_t device)
{
    snprintf(front_path, sizeof(front_path), "/local/domain/%u/device/vbd/%u", domid, device);
    snprintf(back_path, sizeof(back_path), "/local/domain/0/collet-vbd/%u/%u", domid, device);
}

static void front_puts(const char *leaf, const char *value)
{
    char path[140];

    snprintf(path, sizeof(path), "%s/%s", front_path, leaf);
    put(path, value);
    if (strcmp(leaf, "state") == 0)
        fire(path);
    settle();
}

static const char *value(const char *folder, const char *leaf)
{
    char path[140];
    int at;

    snprintf(path, sizeof(path), "%s/%s", folder, leaf);
    at = node_at(path);
    return at >= 0 ? store.nodes[at].value : "(none)";
}

static void backs(const char *state)
{
    ck_assert_msg(strcmp(value(back_path, "state"), state) == 0, "%s is in state %s, not %s", back_path, value(back_path, "state"), state);
}

static void offers(const char *ring, const char *port)
{
    front_puts("ring-ref", ring);
    front_puts("event-channel", port);
    front_puts("protocol", "x86_64-abi");
    front_puts("state", "3");
}

static bool served(uint32_t domid, uint32_t device)
{
    unsigned int i;

    for (i = 0; i < fake.count; i++)
        if (fake.vbds[i].domid == domid && fake.vbds[i].device == device)
            return fake.vbds[i].flags & COLLET_VBD_CONNECTED;
    return false;
}

/* As Linux does when it sees state 2. */
static void connects(void)
{
    backs("2");
    offers("8", "9");
    backs("4");
    front_puts("state", "4");
    backs("4");
}

static void add(uint32_t domid, const char *name, const char *backing)
{
    struct vbd_order order = {.domid = domid, .name = name, .backing = backing};

    vbds_op_add(vbds, new_call(), &order);
    settle();
}

static const char *domain_name(void *arg, uint32_t domid)
{
    (void)arg;
    return domid == 3 ? "web" : "";
}

static const char *shown(uint32_t domid, const char *name, const char *key)
{
    json_t *list, *entry;
    size_t i;

    vbds_op_list(vbds, new_call(), domid, domain_name, NULL);
    ok();
    list = json_object_get(last()->line, "result");
    json_array_foreach(list, i, entry) if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0) return json_string_value(json_object_get(entry, key));
    return "(none)";
}

/* ---- The handshake ---- */

START_TEST(domain0_gets_every_disk_once)
{
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_uint_eq(vbds_raw_waiting(vbds), 2);
    of(0, 51712);
    ck_assert_str_eq(value(front_path, "backend"), "/local/domain/0/collet-vbd/0/51712");
    ck_assert_str_eq(value(front_path, "backend-id"), "32754");
    connects();
    of(0, 51728);
    ck_assert_str_eq(value(back_path, "sectors"), "1000000"); /* whole blocks */
    connects();
    ck_assert_uint_eq(vbds_raw_waiting(vbds), 0);
    ck_assert(fake.vbds[0].flags & COLLET_VBD_RAW);
    daemon_kill();
    daemon_start();
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_uint_eq(vbds_raw_waiting(vbds), 0);
    ck_assert_uint_eq(fake.connects, 2);
    backs("4");
    vbds_op_remove(vbds, new_call(), 0, "disk0", true);
    failed("EINVAL", "stays as long as the disk");
}
END_TEST

START_TEST(nodes_and_their_owners)
{
    add(3, "root", "disk:disk0:2048+4096");
    ok();
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(last()->line, "result"), "device")), "xvda");
    of(3, 51712);
    ck_assert_uint_eq(store.nodes[node_at(front_path)].owner, 3);
    ck_assert_uint_eq(store.nodes[node_at(back_path)].owner, 0);
    ck_assert_uint_eq(store.nodes[node_at(back_path)].reader, 3);
    ck_assert_str_eq(value(front_path, "virtual-device"), "51712");
    ck_assert_str_eq(value(front_path, "device-type"), "disk");
    ck_assert_str_eq(value(back_path, "sectors"), "4096");
    ck_assert_str_eq(value(back_path, "feature-flush-cache"), "1");
    ck_assert_str_eq(value(back_path, "feature-discard"), "1");
    ck_assert_str_eq(value(back_path, "feature-max-indirect-segments"), "32");
    ck_assert_str_eq(value(back_path, "feature-persistent"), "(none)");
    ck_assert_str_eq(value(back_path, "info"), "0");
    connects();
    ck_assert(served(3, 51712));
    ck_assert_str_eq(shown(3, "root", "state"), "connected");
    ck_assert_str_eq(shown(3, "root", "domain"), "web");
    ck_assert_str_eq(shown(3, "root", "backing"), "disk:disk0:2048+4096");
}
END_TEST

START_TEST(a_guest_shuts_down_or_begins_anew)
{
    unsigned int round;

    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    for (round = 0; round < 3; round++) {
        connects();
        front_puts("state", "5");
        backs("5");
        ck_assert(!served(3, 51712));
        front_puts("state", "6");
        backs("6");
        front_puts("state", "1");
    }
    connects();
    front_puts("state", "1"); /* kexec without a word */
    backs("2");
    ck_assert(!served(3, 51712));
    connects();
    front_puts("state", "6"); /* and a driver that is taken out */
    backs("6");
    offers("10", "11"); /* without going through 1 */
    backs("4");
    ck_assert(served(3, 51712));
}
END_TEST

START_TEST(states_wait_until_the_ring_is_given_back)
{
    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    fake.slow_end = true;
    front_puts("state", "5");
    backs("4"); /* requests are still in the device */
    front_puts("state", "6");
    front_puts("state", "1");
    backs("4");
    ck_assert(pending != NULL && pending->next == NULL);
    fake_end_now(NULL);
    settle();
    backs("2");
    connects();
}
END_TEST

START_TEST(fronts_that_lie)
{
    static const char *const rings[][2] = {{"-1", "9"}, {"8", "0"}, {"8", "nine"}, {"99999999999", "9"}, {"8 ", "9"}, {"", "9"}, {"5000", "9"}, {"8", "4000000000"}, {"0x8", "9"}};
    static const char *const states[] = {"", "0", "-3", "99", "2", "7", "8", "three", "33333333333333333333333333", "3 4", "\xff\xfe"};
    unsigned int i;

    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        vbds->first->x.steps = 0; /* time goes by */
        vbd_by_place(vbds, 3, 51712)->x.steps = 0;
        backs("2");
        offers(rings[i][0], rings[i][1]);
        backs("5");
        ck_assert(!served(3, 51712));
        ck_assert_ptr_nonnull(strstr(shown(3, "root", "why"), "its front's "));
        front_puts("state", "3"); /* it insists */
        backs("5");
        front_puts("state", "6");
        front_puts("state", "1");
    }
    vbd_by_place(vbds, 3, 51712)->x.steps = 0;
    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        front_puts("state", states[i]);
        backs("2");
    }
    ck_assert_ptr_nonnull(strstr(shown(3, "root", "why"), "which is none"));
    vbd_by_place(vbds, 3, 51712)->x.steps = 0;
    front_puts("state", "1");
    front_puts("ring-page-order", "4");
    offers("8", "9");
    ck_assert_ptr_nonnull(strstr(shown(3, "root", "why"), "several pages"));
    front_puts("state", "6");
    front_puts("state", "1");
    front_puts("ring-page-order", "0");
    connects();
    ck_assert_str_eq(shown(3, "root", "why"), "");
    erase(front_path);
    fire(front_path);
    settle();
    backs("6");
    ck_assert(!served(3, 51712));
    ck_assert_ptr_nonnull(strstr(shown(3, "root", "why"), "has removed it"));
}
END_TEST

START_TEST(a_front_that_never_rests_is_looked_at_seldom)
{
    unsigned int i, before;

    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    before = fake.ends;
    for (i = 0; i < 300; i++) {
        char path[140];

        snprintf(path, sizeof(path), "%s/state", front_path);
        put(path, i % 2 ? "6" : "3");
        fire(path);
        loop_step(loop, 0);
    }
    ck_assert_uint_lt(fake.ends - before, 60);
    ck_assert_ptr_nonnull(strstr(shown(3, "root", "why"), "too often"));
    of(0, 51712);
    connects(); /* others do not notice */
}
END_TEST

START_TEST(a_broken_ring_is_closed)
{
    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    fake.vbds[2].flags |= COLLET_VBD_BROKEN;
    strcpy(fake.vbds[2].broken_why, "40 requests where 32 fit");
    vbds_reconcile(vbds);
    backs("5");
    ck_assert_ptr_nonnull(strstr(shown(3, "root", "why"), "40 requests where 32 fit"));
    front_puts("state", "6");
    backs("6");
    front_puts("state", "1");
    connects();
}
END_TEST

/* ---- Requests ---- */

START_TEST(refusals_leave_nothing)
{
    unsigned int nodes = store.node_count, i;

    add(3, "7", "disk:disk0");
    failed("EINVAL", "must not be a number");
    add(3, "root", "disk:disk9");
    failed("ENOENT", "there is no disk disk9");
    add(3, "root", "disk:disk1");
    failed("EBUSY", "Domain0 uses it as /dev/xvdb");
    fake.fail_create = ENOSPC;
    add(3, "root", "disk:disk0");
    failed("ENOSPC", "so it was arranged");
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_uint_eq(store.node_count, nodes);
    for (i = 0; i < 22; i++) {
        store.fail_write = EIO;
        store.writes_left = i;
        add(3, "root", "disk:disk0:2048+4096");
        failed("EIO", "so it was arranged");
        ck_assert_uint_eq(fake.count, 2);
        of(3, 51712);
        ck_assert_int_eq(node_at(back_path), -1);
        ck_assert_int_eq(node_at(front_path), -1);
    }
    store.fail_write = 0;
    add(3, "root", "disk:disk0:2048+4096");
    ok();
    add(3, "root", "disk:disk0:9000+4096");
    failed("EEXIST", "a disk of this name");
    add(3, "other", "disk:disk0:4096+10");
    failed("EBUSY", "belongs to disk root of domain 3 (disk:disk0:2048+4096)");
    add(3, "other", "disk:disk0:9000+4096");
    ok();
    ck_assert_str_eq(shown(3, "other", "device"), "xvdb");
}
END_TEST

START_TEST(removal_waits_for_the_guest)
{
    struct answer *waiting;

    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    vbds_op_remove(vbds, new_call(), 3, "rot", false);
    failed("ENOENT", "is root meant?");
    vbds_op_remove(vbds, new_call(), 3, "root", false);
    backs("5");
    ck_assert_int_eq(last()->finals, 0);
    ck_assert(served(3, 51712));
    waiting = last();
    front_puts("state", "6");
    ck_assert_int_eq(waiting->finals, 1);
    ok();
    ck_assert_int_eq(node_at(back_path), -1);
    ck_assert_int_eq(node_at(front_path), -1);
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_uint_eq(store.watch_count, 2);
}
END_TEST

START_TEST(removal_of_one_that_was_never_taken)
{
    add(3, "root", "disk:disk0:2048+4096");
    vbds_op_remove(vbds, new_call(), 3, "xvda", false); /* by its device */
    settle();
    ok();
    ck_assert_uint_eq(fake.count, 2);
}
END_TEST

START_TEST(a_guest_that_holds_on)
{
    unsigned int i;

    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    vbds->s.close_ns = 20000000;
    vbds_op_remove(vbds, new_call(), 3, "root", false);
    for (i = 0; i < 1000 && last()->finals == 0; i++)
        loop_step(loop, 2);
    failed("ETIMEDOUT", "has not let go of it in time (its front is connected)");
    ck_assert_uint_eq(fake.count, 3);
    ck_assert_str_eq(shown(3, "root", "why"), "it is being removed");
    daemon_kill(); /* the wish stands in XenStore */
    daemon_start();
    ck_assert_uint_eq(fake.count, 3);
    backs("5");
    vbds_op_remove(vbds, new_call(), 3, "root", true);
    settle();
    ok();
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_int_eq(node_at(front_path), -1);
}
END_TEST

START_TEST(force_while_the_device_hangs)
{
    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    fake.slow_end = true;
    front_puts("state", "5");
    vbds_op_remove(vbds, new_call(), 3, "root", true);
    settle();
    ck_assert_int_eq(last()->finals, 0);
    fake_end_now(NULL); /* the disconnection */
    settle();
    ck_assert(pending != NULL && pending->destroy);
    fake_end_now(NULL);
    settle();
    ok();
    ck_assert_uint_eq(fake.count, 2);
}
END_TEST

START_TEST(a_domain_goes_while_its_ring_is_given_back)
{
    unsigned int nodes = store.node_count;

    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    fake.slow_end = true;
    front_puts("state", "5");
    fake_drop(3); /* the hypervisor's part of a destroyed domain */
    vbds_domain_gone(vbds, 3);
    ck_assert_uint_eq(store.node_count, nodes);
    ck_assert_str_eq(shown(3, "root", "name"), "(none)");
    fake_end_now(NULL);
    settle();
    ck_assert_uint_eq(store.watch_count, 2);
    fake.slow_end = false;
    add(3, "root", "disk:disk0:2048+4096");
    ok();
}
END_TEST

START_TEST(who_uses_what)
{
    json_t *list, *entry;
    size_t i;

    add(3, "root", "disk:disk0:2048+4096");
    vbds_op_volumes(vbds, new_call(), domain_name, NULL);
    ok();
    list = json_object_get(last()->line, "result");
    ck_assert_uint_eq(json_array_size(list), 2);
    json_array_foreach(list, i, entry) ck_assert_str_eq(json_string_value(json_object_get(entry, "used_by")), i == 0 ? "web/root" : "Domain0");
}
END_TEST

START_TEST(destroyed_by_another_program)
{
    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    fake_drop(3);
    vbds_reconcile(vbds);
    ck_assert_int_eq(node_at(back_path), -1);
    ck_assert_str_eq(shown(3, "root", "name"), "(none)");
}
END_TEST

/* ---- Definitions ---- */

#define TEXT "name = web\nkernel = /k\nmemory = 64M\n[vbd root]\nbacking = disk:disk0:2048+4096\niops = 500\nweight = 300\nbudget = 7\n[vbd data]\nbacking = disk:disk0:8192+4096\nmode = r\ndevice = xvdf\n"

static struct definition *definition(const char *text)
{
    static struct text_mistakes mistakes;
    static const struct sched_catalog none;
    struct definition *d;

    memset(&mistakes, 0, sizeof(mistakes));
    d = definition_parse("web.ini", text, &none, NULL, &mistakes);
    ck_assert_msg(d != NULL, "%s", mistakes.text);
    return d;
}

START_TEST(devices_of_a_definition)
{
    struct text_mistakes mistakes = {0};
    struct definition *d = definition(TEXT), *bad = definition("name = web\nkernel = /k\nmemory = 64M\n[vbd root]\nbacking = disk:disk0:2048+4096\n[vbd data]\nbacking = disk:dsik1\n");
    char error[500] = "";

    vbds_check(vbds, d, &mistakes);
    ck_assert_uint_eq(mistakes.count, 0);
    vbds_check(vbds, bad, &mistakes);
    ck_assert_msg(strstr(mistakes.text, "web.ini:7: backing = disk:dsik1: there is no disk dsik1; is disk1 meant?") != NULL, "%s", mistakes.text);
    ck_assert_uint_eq(fake.count, 2);

    strcpy(fake.disks[0].module, "fair");
    ck_assert_int_eq(vbds_add_defined(vbds, 3, d, error, sizeof(error)), 0);
    settle();
    ck_assert_uint_eq(fake.sets, 2);
    ck_assert(fake.set[0].value == 300 && fake.set[0].vbd == 3 && fake.set[1].value == 7);
    ck_assert_uint_eq(fake.vbds[2].requests_per_s, 500);
    ck_assert_uint_eq(fake.vbds[3].device, device_number(5));
    ck_assert(fake.vbds[3].flags & COLLET_VBD_READ_ONLY);
    of(3, device_number(5));
    ck_assert_str_eq(value(back_path, "info"), "4");
    ck_assert_str_eq(value(back_path, "feature-discard"), "0");

    /* Another that wants the same sectors. */
    ck_assert_int_eq(vbds_add_defined(vbds, 4, d, error, sizeof(error)), -EBUSY);
    ck_assert_msg(strstr(error, "web.ini:5: backing = disk:disk0:2048+4096: ") != NULL && strstr(error, "disk root of domain 3") != NULL, "%s", error);
    vbds_domain_gone(vbds, 4);
    definition_free(d);
    definition_free(bad);
}
END_TEST

START_TEST(parameters_follow_the_module)
{
    struct definition *d = definition(TEXT "expiry = 9\n");
    char error[500];

    d->settings[d->setting_count - 1].section[0] != '\0' ? (void)0 : ck_abort();
    ck_assert_int_eq(vbds_add_defined(vbds, 3, d, error, sizeof(error)), 0);
    ck_assert_uint_eq(fake.sets, 0); /* the elevator has none */
    strcpy(fake.disks[0].module, "fair");
    vbds_modules_changed(vbds, 3, d);
    vbds_modules_noted(vbds);
    ck_assert_uint_eq(fake.sets, 2);
    strcpy(fake.disks[0].module, "deadline");
    vbds_modules_changed(vbds, 3, d);
    vbds_modules_noted(vbds);
    ck_assert_uint_eq(fake.sets, 3); /* weight was carried over; expiry of data is new */
    ck_assert(strcmp(fake.set[0].name, "expiry") == 0 && fake.set[0].vbd == 4);
    vbds_modules_changed(vbds, 3, d);
    ck_assert_uint_eq(fake.sets, 3);
    definition_free(d);
}
END_TEST

/* ---- Killed ---- */

/* One life of a device with the daemon killed before its step number `step`; true: it did not get that far. */
static bool life(unsigned int step)
{
    volatile bool whole = false;

    __lsan_disable(); /* what it had at hand is lost with it */
    of(3, 51712);
    store.steps_to_live = step;
    if (setjmp(store.killed) == 0) {
        add(3, "root", "disk:disk0:2048+4096");
        if (strcmp(value(back_path, "state"), "2") == 0)
            connects();
        front_puts("state", "5");
        front_puts("state", "6");
        front_puts("state", "1");
        connects();
        vbds_op_remove(vbds, new_call(), 3, "root", false);
        front_puts("state", "6");
        whole = store.steps_to_live != 0;
    }
    store.steps_to_live = 0;
    __lsan_enable();
    return whole;
}

/* Whatever the front was at, an honest one ends connected or its device is gone. */
static void go_on(void)
{
    static const char *const before[] = {"1", "3", "4"};
    unsigned int i;

    for (i = 0; i < 6 && node_at(front_path) >= 0; i++) {
        const char *back = value(back_path, "state"), *front = value(front_path, "state");

        if (strcmp(back, "2") == 0 && strcmp(front, before[0]) == 0)
            offers("8", "9");
        else if (strcmp(back, "4") == 0 && strcmp(front, before[1]) == 0)
            front_puts("state", "4");
        else if (strcmp(back, "5") == 0)
            front_puts("state", "6");
        else if (strcmp(front, "5") == 0)
            front_puts("state", "6");
        else if (strcmp(back, "6") == 0)
            front_puts("state", "1");
    }
}

START_TEST(killed_before_each_step)
{
    unsigned int step, count = 0;

    for (step = 1;; step++) {
        if (life(step)) {
            count = step;
            break;
        }
        daemon_kill();
        daemon_start();
        go_on();
        ck_assert_uint_le(fake.count, 3);
        if (fake.count == 3) {
            ck_assert_msg(served(3, 51712), "killed before step %u: front %s, back %s", step, value(front_path, "state"), value(back_path, "state"));
            backs("4");
            ck_assert_str_eq(value(front_path, "state"), "4");
            vbds_op_remove(vbds, new_call(), 3, "root", false);
            front_puts("state", "6");
            ok();
        }
        ck_assert_uint_eq(fake.count, 2);
        ck_assert_msg(node_at(front_path) < 0 && node_at(back_path) < 0, "killed before step %u: nodes are left", step);
    }
    ck_assert_uint_gt(count, 40);
}
END_TEST

START_TEST(a_front_that_begins_anew_while_nobody_looks)
{
    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    daemon_kill();
    offers("20", "21");
    daemon_start();
    backs("4");
    ck_assert_uint_eq(fake.rings[2].ring, 20);
    ck_assert_uint_eq(fake.rings[2].port, 21);
}
END_TEST

START_TEST(a_new_xenstored)
{
    add(3, "root", "disk:disk0:2048+4096");
    of(3, 51712);
    connects();
    store.gone = true;
    vbds_store_lost(vbds);
    store.watch_count = 0;
    store.node_count = 0;
    add(3, "other", "disk:disk0:9000+4096");
    failed("ENOTCONN", "so it was arranged");
    store.gone = false;
    vbds_store_anew(vbds);
    settle();
    backs("4");
    ck_assert_str_eq(value(front_path, "state"), "4");
    ck_assert(served(3, 51712));
    ck_assert_uint_eq(store.watch_count, 3);
    ck_assert_uint_eq(fake.ends, 1); /* of `other` */
    vbds_op_remove(vbds, new_call(), 3, "root", true);
    settle();
    ok();
}
END_TEST

Suite *suite_vbds(void)
{
    Suite *suite = suite_create("vbds");
    TCase *t = tcase_create("vbds");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, domain0_gets_every_disk_once);
    tcase_add_test(t, nodes_and_their_owners);
    tcase_add_test(t, a_guest_shuts_down_or_begins_anew);
    tcase_add_test(t, states_wait_until_the_ring_is_given_back);
    tcase_add_test(t, fronts_that_lie);
    tcase_add_test(t, a_front_that_never_rests_is_looked_at_seldom);
    tcase_add_test(t, a_broken_ring_is_closed);
    tcase_add_test(t, refusals_leave_nothing);
    tcase_add_test(t, removal_waits_for_the_guest);
    tcase_add_test(t, removal_of_one_that_was_never_taken);
    tcase_add_test(t, a_guest_that_holds_on);
    tcase_add_test(t, force_while_the_device_hangs);
    tcase_add_test(t, a_domain_goes_while_its_ring_is_given_back);
    tcase_add_test(t, who_uses_what);
    tcase_add_test(t, destroyed_by_another_program);
    tcase_add_test(t, devices_of_a_definition);
    tcase_add_test(t, parameters_follow_the_module);
    tcase_add_test(t, killed_before_each_step);
    tcase_add_test(t, a_front_that_begins_anew_while_nobody_looks);
    tcase_add_test(t, a_new_xenstored);
    suite_add_tcase(suite, t);
    return suite;
}
