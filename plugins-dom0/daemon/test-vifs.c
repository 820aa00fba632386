// SPDX-License-Identifier: MIT
/*
 * Network interfaces against a hypervisor, a XenStore and netfronts that are made up here: the handshake, fronts that lie, networks and addresses, requests, and a daemon that is killed at each of its steps and
 * starts again. What all devices have in common is tried at more length in test-vbds.c.
 */
// needs: vifs.c vif-ops.c vif-xenbus.c xenbus-device.c addresses.c definition.c definition-vif.c definition-vbd.c backing.c sched-catalog.c ini-lines.c text.c call.c log.c loop.c
// libs: -linih -ljansson
#include "vifs-private.h"
#include "addresses.h"
#include "fake-store.h"
#include "log.h"

#include <sanitizer/lsan_interface.h>

#define VIFS 40

static struct {
    struct collet_vif_info vifs[VIFS];
    struct collet_vif_connect rings[VIFS];
    unsigned int count, next, nics;
    int fail_create, fail_connect;
    unsigned int ends;
} fake;

static struct loop *loop;
static struct vifs *vifs;

struct pending {
    struct pending *next;
    uint32_t vif;
    bool destroy;
    device_end_done *done;
    void *arg;
};
static struct pending *pending;

static int fake_nics(void *arg, struct collet_nic_info **list)
{
    unsigned int i;

    (void)arg;
    *list = calloc(fake.nics + 1, sizeof(**list));
    for (i = 0; i < fake.nics; i++) {
        (*list)[i].nic = i;
        snprintf((*list)[i].name, sizeof((*list)[i].name), "nic%u", i);
    }
    return (int)fake.nics;
}

static int fake_list(void *arg, struct collet_vif_info **list)
{
    (void)arg;
    *list = malloc(sizeof(fake.vifs));
    memcpy(*list, fake.vifs, sizeof(fake.vifs));
    return (int)fake.count;
}

static struct collet_vif_info *fake_find(uint32_t vif)
{
    unsigned int i;

    for (i = 0; i < fake.count; i++)
        if (fake.vifs[i].vif == vif)
            return &fake.vifs[i];
    return NULL;
}

static struct collet_vif_info *named(const char *name)
{
    unsigned int i;

    for (i = 0; i < fake.count; i++)
        if (strcmp(fake.vifs[i].name, name) == 0)
            return &fake.vifs[i];
    ck_abort_msg("there is no %s", name);
}

static int fake_create(void *arg, struct collet_vif_create *create)
{
    struct collet_vif_info *info = &fake.vifs[fake.count];
    int rc = -fake.fail_create;
    unsigned int i;

    (void)arg;
    alive();
    fake.fail_create = 0;
    for (i = 0; rc == 0 && i < fake.count; i++)
        if (strcmp(fake.vifs[i].name, create->name) == 0 || (fake.vifs[i].domid == create->domid && fake.vifs[i].device == create->device) ||
            (fake.vifs[i].settings.segment == create->settings.segment && memcmp(fake.vifs[i].mac, create->mac, 6) == 0))
            rc = -EEXIST;
    if (rc != 0)
        return rc;
    create->vif = ++fake.next;
    *info = (struct collet_vif_info){.vif = create->vif, .domid = create->domid, .device = create->device, .settings = create->settings};
    memcpy(info->name, create->name, sizeof(info->name));
    memcpy(info->domain, create->domain, sizeof(info->domain));
    memcpy(info->mac, create->mac, sizeof(info->mac));
    fake.count++;
    return 0;
}

static int fake_connect(void *arg, const struct collet_vif_connect *connect)
{
    struct collet_vif_info *info = fake_find(connect->vif);
    int rc = -fake.fail_connect;

    (void)arg;
    alive();
    fake.fail_connect = 0;
    if (rc != 0 || info == NULL)
        return rc != 0 ? rc : -ENOENT;
    if (info->flags & COLLET_VIF_CONNECTED)
        return -EALREADY;
    info->flags |= COLLET_VIF_CONNECTED;
    fake.rings[info - fake.vifs] = *connect;
    return 0;
}

static void fake_end_now(void *arg)
{
    struct pending *p = pending;
    struct collet_vif_info *info;

    (void)arg;
    if (p == NULL)
        return;
    pending = p->next;
    fake.ends++;
    info = fake_find(p->vif);
    if (info != NULL && p->destroy) {
        size_t at = (size_t)(info - fake.vifs);

        memmove(&fake.rings[at], &fake.rings[at + 1], (VIFS - at - 1) * sizeof(fake.rings[0]));
        memmove(info, info + 1, (VIFS - at - 1) * sizeof(*info));
        fake.count--;
    } else if (info != NULL) {
        info->flags &= ~(uint32_t)(COLLET_VIF_CONNECTED | COLLET_VIF_BROKEN);
    }
    if (p->done != NULL)
        p->done(p->arg, 0, "");
    free(p);
}

static int fake_end(void *arg, uint32_t vif, bool destroy, device_end_done *done, void *done_arg)
{
    struct pending *p = malloc(sizeof(*p)), **at = &pending;

    (void)arg;
    alive();
    *p = (struct pending){.vif = vif, .destroy = destroy, .done = done, .arg = done_arg};
    while (*at != NULL)
        at = &(*at)->next;
    *at = p;
    loop_timer(loop, 0, fake_end_now, NULL);
    return 0;
}

static const struct vif_backend backend = {.error = store_error, .nics = fake_nics, .list = fake_list, .create = fake_create, .connect = fake_connect, .end = fake_end};

static void fired(const char *token)
{
    if (vifs != NULL)
        vifs_watched(vifs, token);
}

/* ---- The daemon ---- */

static void settle(void)
{
    unsigned int i;

    for (i = 0; i < 10; i++)
        loop_step(loop, 1);
}

static void daemon_start(void)
{
    struct vifs_settings settings = {.loop = loop, .backend = &backend, .nodes = &store_nodes, .close_ns = 60000000000ull};

    vifs = vifs_create(&settings);
    ck_assert_int_eq(vifs_take_up(vifs), 0);
    settle();
}

/* As kill -9: nothing is said to anybody. Its memory goes quietly. */
static void daemon_kill(void)
{
    struct pending *p;
    struct vifs *v = vifs;
    unsigned int i;

    vifs = NULL;
    store.steps_to_live = 0;
    vifs_destroy(v);
    store.watch_count = 0;
    while ((p = pending) != NULL) { /* what the hypervisor was asked for it does all the same */
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
    fake.nics = 1;
    loop = store.loop = loop_create();
    store.fired = fired;
    daemon_start();
}

static void teardown(void)
{
    daemon_kill();
    loop_destroy(loop);
}

/* ---- A front ---- */

static char front_path[100], back_path[100];

static void of(uint32_t domid, uint32_t device)
{
    snprintf(front_path, sizeof(front_path), "/local/domain/%u/device/vif/%u", domid, device);
    snprintf(back_path, sizeof(back_path), "/local/domain/0/collet-vif/%u/%u", domid, device);
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

/* As a kernel's netfront does it: from 1 to 4. */
static void offers(const char *tx, const char *rx, const char *port)
{
    front_puts("tx-ring-ref", tx);
    front_puts("rx-ring-ref", rx);
    front_puts("event-channel", port);
    front_puts("request-rx-copy", "1");
    front_puts("feature-sg", "1");
    front_puts("feature-gso-tcpv4", "1");
    front_puts("feature-gso-tcpv6", "1");
    front_puts("feature-ipv6-csum-offload", "1");
    front_puts("state", "4");
}

static void connects(void)
{
    backs("2");
    offers("8", "9", "5");
    backs("4");
}

static bool served(const char *name)
{
    return named(name)->flags & COLLET_VIF_CONNECTED;
}

static struct definition_vif wanted;

static void add(uint32_t domid, const char *domain, const char *name, const char *const *keys)
{
    struct vif_order order = {.domid = domid, .domain = domain, .vif = &wanted};
    char expected[300];

    wanted = (struct definition_vif){0};
    snprintf(wanted.name, sizeof(wanted.name), "%s", name);
    for (; keys != NULL && *keys != NULL; keys += 2)
        ck_assert_msg(definition_vif_take(&wanted, keys[0], keys[1], expected, sizeof(expected)) == 0, "%s", expected);
    vifs_op_add(vifs, new_call(), &order);
    settle();
}
#define ADD(domid, domain, name, ...) add(domid, domain, name, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static const char *shown(const char *name, const char *key)
{
    static char text[200];
    json_t *list, *one;
    size_t i;

    vifs_op_list(vifs, new_call(), ~0u);
    ok();
    list = json_object_get(last()->line, "result");
    json_array_foreach(list, i, one) if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
    {
        snprintf(text, sizeof(text), "%s", json_string_value(json_object_get(one, key)));
        return text;
    }
    return "(none)";
}

/* ---- Addresses ---- */

START_TEST(addresses_as_people_write_them)
{
    static const struct {
        const char *text, *wrong;
        uint32_t count;
    } cases[] = {{"10.0.2.16", NULL, 1},
                 {"10.0.2.16, fec0::16,10.1.0.0/24", NULL, 3},
                 {"", "were expected", 0},
                 {"10.0.2", "10.0.2: an address like", 0},
                 {"10.0.2.16/24", "without /24", 0},
                 {"10.0.2.0/33", "0 to 32 bits", 0},
                 {"fec0::/", "0 to 128 bits", 0},
                 {"1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9", "at most 8", 0}};
    struct collet_address a[COLLET_VIF_ADDRESSES];
    char expected[300], text[ADDRESS_TEXT_BYTES];
    uint32_t count;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = addresses_parse(cases[i].text, a, &count, expected, sizeof(expected));

        ck_assert_msg((rc == 0) == (cases[i].wrong == NULL), "%s", cases[i].text);
        ck_assert_msg(rc == 0 ? count == cases[i].count : strstr(expected, cases[i].wrong) != NULL, "%s: %s", cases[i].text, expected);
    }
    ck_assert_int_eq(addresses_parse("fec0::/64 10.0.2.16", a, &count, expected, sizeof(expected)), 0);
    address_text(&a[0], text);
    ck_assert_str_eq(text, "fec0::/64");
    address_text(&a[1], text);
    ck_assert_str_eq(text, "10.0.2.16");
}
END_TEST

START_TEST(macs)
{
    uint8_t mac[6], other[6];
    char expected[300], text[MAC_TEXT_BYTES];

    ck_assert_int_eq(mac_parse("00:16:3e:01:0a:FF", mac, expected, sizeof(expected)), 0);
    mac_text(mac, text);
    ck_assert_str_eq(text, "00:16:3e:01:0a:ff");
    ck_assert_int_ne(mac_parse("00:16:3e:01:0a", mac, expected, sizeof(expected)), 0);
    ck_assert_int_ne(mac_parse("00:16:3e:01:0a:ff:01", mac, expected, sizeof(expected)), 0);
    ck_assert_int_ne(mac_parse("01:16:3e:01:0a:ff", mac, expected, sizeof(expected)), 0);
    ck_assert_ptr_nonnull(strstr(expected, "group"));
    ck_assert_int_ne(mac_parse("00:00:00:00:00:00", mac, expected, sizeof(expected)), 0);
    mac_derive("web.0", 0, mac);
    mac_derive("web.0", 0, other);
    ck_assert_mem_eq(mac, other, 6);
    ck_assert_mem_eq(mac, ((uint8_t[]){0x00, 0x16, 0x3e}), 3);
    mac_derive("web.0", 1, other);
    ck_assert_mem_ne(mac, other, 6);
}
END_TEST

/* ---- The handshake ---- */

START_TEST(domain0_gets_an_interface_on_each_card_once)
{
    of(0, 0);
    ck_assert_uint_eq(fake.count, 1);
    ck_assert_str_eq(fake.vifs[0].name, "Domain-0.0");
    ck_assert_str_eq(fake.vifs[0].domain, "Domain-0");
    ck_assert_uint_eq(fake.vifs[0].settings.segment, 0);
    ck_assert_uint_eq(vifs_own_waiting(vifs), 1);
    connects();
    ck_assert_uint_eq(vifs_own_waiting(vifs), 0);
    daemon_kill();
    fake.nics = 2;
    daemon_start();
    ck_assert_uint_eq(fake.count, 2);
    ck_assert_str_eq(fake.vifs[1].name, "Domain-0.1");
    ck_assert_uint_eq(fake.vifs[1].settings.segment, 1);
    ck_assert(served("Domain-0.0"));
    vifs_op_remove(vifs, new_call(), 0, "0", true);
    failed("EINVAL", "stays as long as its card");
}
END_TEST

START_TEST(nodes_and_their_owners)
{
    ADD(3, "web", "0", "ip", "10.0.2.16, fec0::16", "mac", "00:16:3e:00:00:07");
    ok();
    of(3, 0);
    ck_assert_str_eq(value(back_path, "frontend"), front_path);
    ck_assert_str_eq(value(back_path, "frontend-id"), "3");
    ck_assert_str_eq(value(back_path, "feature-rx-copy"), "1");
    ck_assert_str_eq(value(back_path, "feature-sg"), "1");
    ck_assert_str_eq(value(back_path, "feature-gso-tcpv4"), "1");
    ck_assert_str_eq(value(back_path, "feature-gso-tcpv6"), "1");
    ck_assert_str_eq(value(back_path, "feature-ipv6-csum-offload"), "1");
    ck_assert_str_eq(value(back_path, "feature-split-event-channels"), "1");
    ck_assert_str_eq(value(back_path, "network"), "nic0");
    ck_assert_str_eq(value(front_path, "backend"), back_path);
    ck_assert_str_eq(value(front_path, "backend-id"), "32754");
    ck_assert_str_eq(value(front_path, "mac"), "00:16:3e:00:00:07");
    ck_assert_str_eq(value(front_path, "handle"), "0");
    ck_assert_str_eq(value(front_path, "state"), "1");
    ck_assert_uint_eq(store.nodes[node_at(front_path)].owner, 3);
    ck_assert_uint_eq(store.nodes[node_at(back_path)].owner, 0);
    ck_assert_uint_eq(store.nodes[node_at(back_path)].reader, 3);
    ck_assert_uint_eq(named("web.0")->settings.addresses, 2);
    ck_assert_uint_eq(named("web.0")->settings.flags, 0);
}
END_TEST

START_TEST(a_netfront_connects_shuts_down_and_begins_anew)
{
    ADD(3, "web", "0");
    of(3, 0);
    connects();
    ck_assert(served("web.0"));
    ck_assert_uint_eq(fake.rings[1].tx_ref, 8);
    ck_assert_uint_eq(fake.rings[1].rx_ref, 9);
    ck_assert_uint_eq(fake.rings[1].tx_port, 5);
    ck_assert_uint_eq(fake.rings[1].rx_port, 5);
    ck_assert_uint_eq(fake.rings[1].features, COLLET_VIF_RX_SG | COLLET_VIF_RX_TSO4 | COLLET_VIF_RX_TSO6 | COLLET_VIF_RX_SUM6);
    front_puts("state", "5");
    backs("5");
    ck_assert(!served("web.0"));
    front_puts("state", "6");
    backs("6");
    front_puts("state", "1");
    backs("2");
    front_puts("event-channel-tx", "11");
    front_puts("event-channel-rx", "12");
    front_puts("feature-sg", "0");
    offers("18", "19", "5");
    front_puts("state", "4");
    backs("4");
    ck_assert_uint_eq(fake.rings[1].tx_port, 11);
    ck_assert_uint_eq(fake.rings[1].rx_port, 12);
}
END_TEST

START_TEST(features_that_do_not_fit_together)
{
    ADD(3, "web", "0");
    of(3, 0);
    front_puts("tx-ring-ref", "8");
    front_puts("rx-ring-ref", "9");
    front_puts("event-channel", "5");
    front_puts("request-rx-copy", "1");
    front_puts("feature-gso-tcpv4", "1"); /* without sg */
    front_puts("state", "4");
    backs("4");
    ck_assert_uint_eq(fake.rings[1].features, 0);
}
END_TEST

START_TEST(fronts_that_lie)
{
    static const struct {
        const char *leaf, *value, *good, *why;
    } lies[] = {{"tx-ring-ref", "-1", "8", "tx-ring-ref"},      {"rx-ring-ref", "99999999999", "9", "rx-ring-ref"},        {"event-channel", "0", "5", "event-channel"},
                {"request-rx-copy", "0", "1", "rx-copy = 1"},   {"multi-queue-num-queues", "4", "1", "several queues"},    {"event-channel", "x", "5", "event-channel"},
                {"tx-ring-ref", "8\n", "8", "tx-ring-ref"}};
    size_t i;

    ADD(3, "web", "0");
    of(3, 0);
    offers("8", "9", "5");
    for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        front_puts("state", "6");
        front_puts(lies[i].leaf, lies[i].value);
        front_puts("state", "1");
        vifs->first->next->x.steps = 0; /* time goes by */
        front_puts("state", "4");
        backs("5");
        ck_assert(!served("web.0"));
        ck_assert_msg(strstr(shown("web.0", "why"), lies[i].why) != NULL, "%s", shown("web.0", "why"));
        front_puts(lies[i].leaf, lies[i].good);
    }
    fake.fail_connect = EINVAL;
    front_puts("state", "6");
    front_puts("state", "1");
    front_puts("state", "4");
    backs("5");
    ck_assert_ptr_nonnull(strstr(shown("web.0", "why"), "is refused"));
}
END_TEST

START_TEST(a_front_cannot_fill_the_log)
{
    struct xenbus_device *dev;
    char state[16];
    unsigned int i;

    ADD(3, "web", "0");
    of(3, 0);
    dev = &vifs->first->next->x;
    dev->lines = 0;
    dev->lines_since_ns = loop_now();
    for (i = 0; i < 200; i++) {
        snprintf(state, sizeof(state), "a%u", i);
        dev->steps = 0; /* time goes by */
        front_puts("state", state);
    }
    ck_assert_uint_eq(dev->lines, 10);
    ck_assert_uint_eq(dev->quiet, 190);
    ck_assert_ptr_nonnull(strstr(shown("web.0", "why"), "a199")); /* the list tells the last all the same */
    dev->lines_since_ns -= 60000000000ull;
    dev->steps = 0;
    front_puts("state", "b");
    ck_assert_uint_eq(dev->lines, 1);
    ck_assert_uint_eq(dev->quiet, 0);
}
END_TEST

START_TEST(a_broken_ring_is_closed)
{
    ADD(3, "web", "0");
    of(3, 0);
    connects();
    fake.vifs[1].flags |= COLLET_VIF_BROKEN;
    strcpy(fake.vifs[1].broken_why, "300 requests where 256 fit");
    vifs_reconcile(vifs);
    backs("5");
    ck_assert_ptr_nonnull(strstr(shown("web.0", "why"), "300 requests"));
    front_puts("state", "6");
    backs("6");
    front_puts("state", "1");
    connects();
}
END_TEST

/* ---- Networks ---- */

START_TEST(networks_have_numbers)
{
    ADD(3, "web", "0");
    ADD(3, "web", "lan", "network", "lan");
    ADD(4, "db", "0", "network", "lan");
    ADD(4, "db", "1", "network", "other");
    ck_assert_uint_eq(named("web.0")->settings.segment, 0);
    ck_assert_uint_eq(named("web.lan")->settings.segment, COLLET_SEGMENT_OWN);
    ck_assert_uint_eq(named("db.0")->settings.segment, COLLET_SEGMENT_OWN);
    ck_assert_uint_eq(named("db.1")->settings.segment, COLLET_SEGMENT_OWN + 1);
    ck_assert_uint_eq(named("db.1")->device, 1);
    daemon_kill(); /* the names stand in XenStore */
    daemon_start();
    ADD(5, "mail", "0", "network", "other");
    ck_assert_uint_eq(named("mail.0")->settings.segment, COLLET_SEGMENT_OWN + 1);
    ADD(5, "mail", "1", "network", "nic1");
    failed("ENODEV", "there is no such card");
    vifs_domain_gone(vifs, 5);
    ck_assert_str_eq(shown("mail.0", "network"), "(none)");
}
END_TEST

START_TEST(without_a_card)
{
    teardown();
    memset(&fake, 0, sizeof(fake));
    memset(&store, 0, sizeof(store));
    loop = store.loop = loop_create();
    store.fired = fired;
    daemon_start();
    ck_assert_uint_eq(fake.count, 0);
    ADD(3, "web", "0");
    ok();
    ck_assert_str_eq(shown("web.0", "network"), "none");
    ck_assert_uint_eq(named("web.0")->settings.segment, COLLET_SEGMENT_OWN);
    ADD(3, "web", "1", "network", "nic0");
    failed("ENODEV", "no network card");
}
END_TEST

START_TEST(macs_differ_on_their_own)
{
    uint8_t mac[6];

    mac_derive("web.0", 0, mac);
    ADD(4, "db", "0", "mac", "00:16:3e:00:00:07");
    memcpy(named("db.0")->mac, mac, 6); /* as luck has it */
    ADD(3, "web", "0");
    ok();
    ck_assert_mem_ne(named("web.0")->mac, mac, 6);
    ADD(5, "mail", "0", "mac", "00:16:3e:00:00:07");
    ok();
    ADD(6, "news", "0", "mac", "00:16:3e:00:00:07");
    failed("EEXIST", "has the address 00:16:3e:00:00:07 on this network already");
    ADD(6, "news", "0", "mac", "00:16:3e:00:00:07", "network", "lan");
    ok();
}
END_TEST

/* ---- Requests ---- */

START_TEST(refusals_leave_nothing)
{
    unsigned int nodes = store.node_count, i;

    ADD(3, "web", "a.b");
    failed("EINVAL", "only letters");
    fake.fail_create = ENOSPC;
    ADD(3, "web", "0");
    failed("ENOSPC", "so it was arranged");
    for (i = 0; i < 18; i++) {
        store.fail_write = EIO;
        store.writes_left = i;
        ADD(3, "web", "0");
        failed("EIO", "so it was arranged");
        ck_assert_uint_eq(fake.count, 1);
        ck_assert_uint_eq(store.node_count, nodes);
    }
    store.fail_write = 0;
    for (i = 0; i < COLLET_VIFS_MAX; i++) {
        char name[8];

        snprintf(name, sizeof(name), "%u", i);
        ADD(3, "web", name);
        ok();
    }
    ADD(3, "web", "0");
    failed("EEXIST", "of this name");
    ADD(3, "web", "more");
    failed("ENOSPC", "may have 8");
}
END_TEST

START_TEST(removal_waits_for_the_guest_or_not)
{
    struct answer *waiting;

    ADD(3, "web", "0");
    of(3, 0);
    connects();
    vifs_op_remove(vifs, new_call(), 3, "1", false);
    failed("ENOENT", "no interface of this name");
    vifs_op_remove(vifs, new_call(), 3, "web.0", false);
    backs("5");
    waiting = last();
    ck_assert_int_eq(waiting->finals, 0);
    front_puts("state", "6");
    ck_assert_int_eq(waiting->finals, 1);
    ok();
    ck_assert_int_eq(node_at(front_path), -1);
    ck_assert_uint_eq(fake.count, 1);
    ADD(3, "web", "0");
    connects();
    vifs_op_remove(vifs, new_call(), 3, "0", true);
    settle();
    ok();
    ck_assert_uint_eq(fake.count, 1);
}
END_TEST

START_TEST(a_renamed_domain_keeps_one_name_for_rules)
{
    ADD(3, "web", "0");
    ADD(3, "db", "1"); /* it has been renamed meanwhile */
    ck_assert_str_eq(named("web.1")->domain, "web");
    ck_assert_str_eq(vifs_domain_name(vifs, 3), "web");
    ck_assert_ptr_null(vifs_domain_name(vifs, 4));
    ADD(4, "web", "lan"); /* who is called so now would meet the other's rules */
    failed("EEXIST", "the interfaces of domain 3 are called web");
    daemon_kill();
    daemon_start();
    ck_assert_str_eq(vifs_domain_name(vifs, 3), "web");
    vifs_domain_gone(vifs, 3);
    ADD(4, "web", "lan");
    ck_assert_str_eq(named("web.lan")->domain, "web");
}
END_TEST

START_TEST(interfaces_of_a_definition)
{
    struct text_mistakes *mistakes = calloc(1, sizeof(*mistakes));
    static const struct sched_catalog none;
    struct definition *d = definition_parse("web.ini", "[domain]\nname = web\nkernel = /k\nmemory = 128M\n[vif 0]\nip = 10.0.2.16\nrate = 10M\n[vif lan]\nnetwork = lan\nantispoof = no\nall = yes\nweight = 200\n", &none, NULL,
                                            mistakes);
    char error[400];

    ck_assert_msg(d != NULL, "%s", mistakes->text);
    vifs_check(vifs, d, mistakes);
    ck_assert_uint_eq(mistakes->count, 0);
    ck_assert_int_eq(vifs_add_defined(vifs, 3, d->name, d, error, sizeof(error)), 0);
    ck_assert_uint_eq(named("web.0")->settings.bytes_per_s, 10u << 20);
    ck_assert_uint_eq(named("web.lan")->settings.flags, COLLET_VIF_SPOOF_OK | COLLET_VIF_ALL);
    ck_assert_uint_eq(named("web.lan")->settings.weight, 200);
    ck_assert_uint_eq(named("web.lan")->device, 1);
    strcpy(d->vifs[0].network, "nic7");
    vifs_check(vifs, d, mistakes);
    ck_assert_ptr_nonnull(strstr(mistakes->text, "web.ini:5: network = nic7: nic7: there is no such card"));
    ck_assert_int_eq(vifs_add_defined(vifs, 4, "db", d, error, sizeof(error)), -ENODEV);
    ck_assert_ptr_nonnull(strstr(error, "web.ini:5: [vif 0]: nic7"));
    vifs_domain_gone(vifs, 3);
    ck_assert_int_eq(node_at("/local/domain/0/collet-vif/3"), -1);
    definition_free(d);
    free(mistakes);
}
END_TEST

START_TEST(destroyed_by_another_program)
{
    ADD(3, "web", "0");
    of(3, 0);
    connects();
    fake.count--;
    vifs_reconcile(vifs);
    ck_assert_str_eq(shown("web.0", "name"), "(none)");
    ck_assert_int_eq(node_at(front_path), -1);
}
END_TEST

/* ---- Lives of the daemon ---- */

/* One life of an interface with the daemon killed before its step number `step`; true: it did not get that far. */
static bool one_life(unsigned int step)
{
    __lsan_disable();
    if (setjmp(store.killed) == 0) {
        store.steps_to_live = step;
        ADD(3, "web", "0");
        of(3, 0);
        if (strcmp(value(back_path, "state"), "2") == 0)
            offers("8", "9", "5");
        front_puts("state", "5");
        front_puts("state", "6");
        vifs_op_remove(vifs, new_call(), 3, "0", false);
        settle();
        if (store.steps_to_live != 0) {
            store.steps_to_live = 0;
            __lsan_enable();
            return true;
        }
    }
    __lsan_enable();
    return false;
}

START_TEST(killed_before_each_step)
{
    unsigned int step;

    for (step = 1; !one_life(step); step++) {
        of(3, 0);
        daemon_kill();
        daemon_start();
        if (fake.count == 2) { /* it had been made: its guest can begin, and it can go */
            if (strcmp(value(front_path, "state"), "1") != 0) {
                front_puts("state", "6");
                front_puts("state", "1");
            }
            if (strcmp(value(back_path, "online"), "1") == 0) {
                offers("8", "9", "5");
                ck_assert_msg(served("web.0"), "killed before step %u: front %s, back %s", step, value(front_path, "state"), value(back_path, "state"));
            }
            vifs_op_remove(vifs, new_call(), 3, "0", true);
            settle();
        }
        ck_assert_uint_eq(fake.count, 1);
        ck_assert_msg(node_at(front_path) < 0 && node_at(back_path) < 0, "killed before step %u: nodes are left", step);
        ck_assert_uint_lt(step, 200);
    }
    ck_assert_uint_gt(step, 20);
}
END_TEST

START_TEST(a_new_xenstored)
{
    ADD(3, "web", "0", "network", "lan");
    of(3, 0);
    connects();
    store.gone = true;
    vifs_store_lost(vifs);
    store.watch_count = store.node_count = 0;
    store.gone = false;
    vifs_store_anew(vifs);
    settle();
    backs("4");
    ck_assert_str_eq(value(front_path, "state"), "4");
    ck_assert_str_eq(value(back_path, "network"), "lan");
    ck_assert(served("web.0"));
    front_puts("state", "6");
    backs("6");
    ck_assert(!served("web.0"));
}
END_TEST

Suite *suite_vifs(void)
{
    Suite *suite = suite_create("vifs");
    TCase *t = tcase_create("vifs");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, addresses_as_people_write_them);
    tcase_add_test(t, macs);
    tcase_add_test(t, domain0_gets_an_interface_on_each_card_once);
    tcase_add_test(t, nodes_and_their_owners);
    tcase_add_test(t, a_netfront_connects_shuts_down_and_begins_anew);
    tcase_add_test(t, features_that_do_not_fit_together);
    tcase_add_test(t, fronts_that_lie);
    tcase_add_test(t, a_front_cannot_fill_the_log);
    tcase_add_test(t, a_broken_ring_is_closed);
    tcase_add_test(t, networks_have_numbers);
    tcase_add_test(t, without_a_card);
    tcase_add_test(t, macs_differ_on_their_own);
    tcase_add_test(t, refusals_leave_nothing);
    tcase_add_test(t, removal_waits_for_the_guest_or_not);
    tcase_add_test(t, a_renamed_domain_keeps_one_name_for_rules);
    tcase_add_test(t, interfaces_of_a_definition);
    tcase_add_test(t, destroyed_by_another_program);
    tcase_add_test(t, killed_before_each_step);
    tcase_add_test(t, a_new_xenstored);
    suite_add_tcase(suite, t);
    return suite;
}
