// SPDX-License-Identifier: MIT
/* Messages between daemon and worker: what is written is read; what is cut short, or noise, is found out and never read beyond its end. Random tests print their seed; WIRE_SEED repeats one. */
// needs: plugin-wire.c
#include "plugin-wire.h"

#include <assert.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct collet_plugin_setting settings[] = {{"", "a", "1", "x.ini", 1}, {"domain web", "share", "40%", "x.ini", 7}};
static struct collet_plugin_parameter parameters[] = {{"weight", 0, 7, 1, 65535, 256}, {"warp_ns", 1, 6, 0, 60000000000ull, 0}};
static struct collet_plugin_domain domains[] = {{.domid = 0, .vcpus = 2, .name = "Domain-0", .run_ns = 5, .latency = {1, 2, 3}},
                                                {.domid = 7, .vcpus = 1, .name = "web", .interval_wakes = 9, .interval_latency = {[23] = 4}, .settings = settings, .setting_count = 2}};
static struct collet_plugin_disk disks[] = {{.disk = 3, .parameter_count = 2, .name = "disk3", .module = "fair", .parameters = parameters, .sectors = 12}};
static struct collet_plugin_vbd vbds[] = {{.vbd = 8, .domid = 7, .disk = 3, .flags = 1, .name = "root", .sectors = 11, .reads = 1, .writes = 2, .read_sectors = 3, .write_sectors = 4}};
static struct collet_plugin_world world = {
    .disk_count = 1, .disks = disks, .vbd_count = 1, .vbds = vbds, .size = sizeof(world), .now_ns = 1, .interval_ns = 2, .cpus = 3, .domain_count = 2, .domains = domains, .sched = "bvt", .parameters = parameters, .parameter_count = 2, .frames_total = 4, .frames_free = 5};
static struct collet_plugin_request request = {.size = sizeof(request), .name = "new", .vcpus = 4, .frames = 8, .frames_max = 9, .settings = settings, .setting_count = 2};

static struct plugin_unpack body(const struct plugin_pack *p)
{
    return (struct plugin_unpack){.at = p->data, .end = p->data + p->used};
}

START_TEST(a_world_comes_across)
{
    struct plugin_pack p = {0};
    struct plugin_unpack u;
    struct collet_plugin_world w;

    plugin_pack_world(&p, &world);
    u = body(&p);
    plugin_unpack_world(&u, &w);
    ck_assert(!u.failed && u.at == u.end);
    ck_assert(w.now_ns == 1 && w.interval_ns == 2 && w.cpus == 3 && w.frames_total == 4 && w.frames_free == 5 && w.domain_count == 2 && w.parameter_count == 2);
    ck_assert_str_eq(w.sched, "bvt");
    ck_assert_str_eq(w.parameters[1].name, "warp_ns");
    ck_assert(w.parameters[1].type == 1 && w.parameters[1].scopes == 6 && w.parameters[1].maximum == 60000000000ull);
    ck_assert_str_eq(w.domains[1].name, "web");
    ck_assert(w.domains[0].run_ns == 5 && w.domains[0].latency[2] == 3 && w.domains[1].interval_wakes == 9 && w.domains[1].interval_latency[23] == 4);
    ck_assert(w.domains[1].setting_count == 2 && w.domains[1].settings[1].line == 7);
    ck_assert_str_eq(w.domains[1].settings[1].section, "domain web");
    ck_assert(w.disk_count == 1 && w.disks[0].disk == 3 && w.disks[0].sectors == 12 && w.disks[0].parameter_count == 2 && w.disks[0].parameters[1].maximum == 60000000000ull);
    ck_assert_str_eq(w.disks[0].module, "fair");
    ck_assert(w.vbd_count == 1 && w.vbds[0].vbd == 8 && w.vbds[0].domid == 7 && w.vbds[0].disk == 3 && w.vbds[0].flags == 1 && w.vbds[0].sectors == 11 && w.vbds[0].write_sectors == 4);
    ck_assert_str_eq(w.vbds[0].name, "root");
    plugin_unpack_free(&u);
    plugin_pack_free(&p);
}
END_TEST

START_TEST(a_request_and_a_message_come_across)
{
    struct plugin_pack p = {0};
    struct plugin_unpack u;
    struct collet_plugin_request r;
    struct plugin_head head;

    plugin_pack_begin(&p, PLUGIN_MESSAGE_ADMIT, 42);
    plugin_pack_request(&p, &request);
    plugin_pack_double(&p, 2.5);
    plugin_pack_text(&p, "cut here", 4);
    plugin_pack_text(&p, NULL, 4);
    plugin_pack_end(&p);
    memcpy(&head, p.data, sizeof(head));
    ck_assert(head.kind == PLUGIN_MESSAGE_ADMIT && head.call == 42 && head.bytes == p.used - sizeof(head));
    u = body(&p);
    u.at += sizeof(head);
    plugin_unpack_request(&u, &r);
    ck_assert_str_eq(r.name, "new");
    ck_assert(r.vcpus == 4 && r.frames == 8 && r.frames_max == 9 && r.setting_count == 2);
    ck_assert(plugin_unpack_double(&u) == 2.5);
    ck_assert_str_eq(plugin_unpack_text(&u), "cut");
    ck_assert_str_eq(plugin_unpack_text(&u), "");
    ck_assert(!u.failed && u.at == u.end);
    plugin_unpack_free(&u);
    plugin_pack_free(&p);
}
END_TEST

/* Each shorter copy lies at the end of its own allocation, so that the sanitizer sees a byte too many. */
START_TEST(what_is_cut_short_is_found_out)
{
    struct plugin_pack p = {0};

    plugin_pack_world(&p, &world);
    for (size_t length = 0; length < p.used; length++) {
        char *copy = malloc(length + 1);
        struct plugin_unpack u = {.at = copy, .end = copy + length};
        struct collet_plugin_world w;

        memcpy(copy, p.data, length);
        plugin_unpack_world(&u, &w);
        ck_assert(u.failed);
        plugin_unpack_free(&u);
        free(copy);
    }
    plugin_pack_free(&p);
}
END_TEST

START_TEST(noise_is_read_without_harm)
{
    unsigned int seed = getenv("WIRE_SEED") != NULL ? (unsigned int)atoi(getenv("WIRE_SEED")) : (unsigned int)time(NULL);
    struct plugin_pack p = {0};

    printf("WIRE_SEED=%u\n", seed);
    srand(seed);
    plugin_pack_world(&p, &world);
    for (int round = 0; round < 20000; round++) {
        char *copy = malloc(p.used);
        struct plugin_unpack u = {.at = copy, .end = copy + p.used};
        struct collet_plugin_world w;

        memcpy(copy, p.data, p.used);
        for (int i = rand() % 20; i >= 0; i--)
            copy[(size_t)rand() % p.used] = (char)(rand() % 3 == 0 ? rand() : -1);
        plugin_unpack_world(&u, &w);
        for (uint32_t i = 0; i < w.domain_count; i++)
            ck_assert_ptr_nonnull(w.domains[i].name != NULL || u.failed ? "" : NULL);
        plugin_unpack_free(&u);
        free(copy);
    }
    plugin_pack_free(&p);
}
END_TEST

/* Structures that come in arrays never change; others only grow at their end. */
START_TEST(the_abi_is_as_it_was_released)
{
    static_assert(sizeof(struct collet_plugin_setting) == 40, "collet_plugin_setting");
    static_assert(sizeof(struct collet_plugin_domain) == 520, "collet_plugin_domain");
    static_assert(sizeof(struct collet_plugin_parameter) == 40, "collet_plugin_parameter");
    static_assert(offsetof(struct collet_plugin_world, now_ns) == 8, "collet_plugin_world");
    static_assert(offsetof(struct collet_plugin_world, domains) == 32, "collet_plugin_world");
    static_assert(offsetof(struct collet_plugin_world, sched) == 40, "collet_plugin_world");
    static_assert(offsetof(struct collet_plugin_world, parameters) == 48, "collet_plugin_world");
    static_assert(offsetof(struct collet_plugin_world, frames_free) == 72, "collet_plugin_world");
    static_assert(offsetof(struct collet_plugin_request, frames_max) == 32, "collet_plugin_request");
    static_assert(offsetof(struct collet_plugin_request, setting_count) == 48, "collet_plugin_request");
    static_assert(offsetof(struct collet_plugin_host, set) == 16, "collet_plugin_host");
    static_assert(offsetof(struct collet_plugin_host, say) == 24, "collet_plugin_host");
    static_assert(offsetof(struct collet_plugin, name) == 16, "collet_plugin");
    static_assert(offsetof(struct collet_plugin, configure) == 40, "collet_plugin");
    static_assert(offsetof(struct collet_plugin, update) == 48, "collet_plugin");
    static_assert(offsetof(struct collet_plugin, admit) == 56, "collet_plugin");
    static_assert(offsetof(struct collet_plugin, end) == 64, "collet_plugin");
}
END_TEST

Suite *suite_plugin_wire(void);
Suite *suite_plugin_wire(void)
{
    Suite *s = suite_create("plugin-wire");
    TCase *t = tcase_create("plugin-wire");

    tcase_add_test(t, the_abi_is_as_it_was_released);
    tcase_add_test(t, a_world_comes_across);
    tcase_add_test(t, a_request_and_a_message_come_across);
    tcase_add_test(t, what_is_cut_short_is_found_out);
    tcase_add_test(t, noise_is_read_without_harm);
    suite_add_tcase(s, t);
    return s;
}
