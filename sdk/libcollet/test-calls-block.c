// SPDX-License-Identifier: MIT
/* libcollet's operations on disks and VBDs, over a fake hypervisor that has some. */
// needs: handle.c calls.c calls-block.c transport.c fake-hypervisor.c

#include "fake-hypervisor.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VBDS 100u

static struct fake *f;
static struct collet *c;

/* ---- The hypervisor's side ---- */

static struct {
    uint32_t disks, extents, ring_ref, port, drives;
    struct collet_extent *extent;      /* copied at creation */
    struct collet_disk_value value[4]; /* last set */
    struct collet_vbd_limits limits;
    uint32_t ends_left; /* a VBD's end answers -EINTR so often */
    uint32_t records, records_read;
    char module[COLLET_NAME_MAX], drive[COLLET_NAME_MAX];
} hv;

static long op_disk_list(struct collet_disk_list *a)
{
    struct collet_disk_info *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    for (uint32_t i = a->first; i < hv.disks && n < a->count; i++) {
        to[n] = (struct collet_disk_info){.disk = i, .sectors = 1000};
        snprintf(to[n++].name, COLLET_NAME_MAX, "disk%u", i);
    }
    a->count = n;
    return 0;
}

static long op_values(struct collet_disk_values *a, bool set)
{
    struct collet_disk_value *v = (void *)(uintptr_t)a->buffer;

    if (a->disk >= hv.disks)
        return -ENODEV;
    if (a->module[0] != '\0' && strcmp(a->module, "fair") != 0)
        return -ESTALE;
    for (uint32_t i = 0; i < a->count; i++) {
        a->failed = i;
        if (strcmp(v[i].name, "weight") != 0)
            return -ENOENT;
        if (v[i].scope == COLLET_DISK_SCOPE_VBD && v[i].vbd != 7)
            return -ESRCH;
        if (set && v[i].value > 1000)
            return -ERANGE;
        if (set)
            hv.value[i] = v[i];
        else
            v[i].value = 42;
    }
    a->failed = a->count;
    return 0;
}

static long op_vbd_create(struct collet_vbd_create *a)
{
    a->holder = 3;
    if (a->device == 1)
        return -EBUSY;
    a->vbd = 9;
    hv.extents = a->extents;
    hv.extent = malloc(a->extents * sizeof(*hv.extent));
    memcpy(hv.extent, (void *)(uintptr_t)a->buffer, a->extents * sizeof(*hv.extent));
    return 0;
}

static long op_vbd_list(struct collet_vbd_list *a)
{
    struct collet_vbd_info *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    for (uint32_t id = a->first_vbd; id < 2 * VBDS && n < a->count; id++) /* odd ids alone */
        if (id % 2 == 1 && (a->domid == COLLET_VBDS_ALL || a->domid == id % 3))
            to[n++] = (struct collet_vbd_info){.vbd = id, .domid = id % 3};
    a->count = n;
    return 0;
}

static long op_extents(struct collet_vbd_extents *a)
{
    struct collet_extent *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    if (a->vbd != 9)
        return -ENOENT;
    for (; a->first + n < hv.extents && n < a->count; n++)
        to[n] = hv.extent[a->first + n];
    a->count = n;
    return 0;
}

static long op_record_read(struct collet_disk_record_read *a)
{
    struct collet_disk_record *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    if (a->count > 512)
        return -EINVAL;
    if (hv.records_read == hv.records)
        return -ENOENT;
    for (; n < a->count && hv.records_read < hv.records; n++)
        to[n].serial = hv.records_read++;
    a->count = n;
    a->lost = 11;
    a->running = hv.records_read < hv.records;
    return 0;
}

static long op_module_list(struct collet_sched_list *a)
{
    struct collet_sched_module *to = (void *)(uintptr_t)a->buffer;

    a->count = a->first == 0 ? 1 : 0;
    if (a->count != 0)
        to[0] = (struct collet_sched_module){.name = "fair", .active = 2};
    return 0;
}

static long op_param_list(struct collet_sched_param_list *a)
{
    struct collet_sched_param *to = (void *)(uintptr_t)a->buffer;

    if (strcmp(a->module, "fair") != 0)
        return -ENOENT;
    a->count = a->first == 0 ? 1 : 0;
    if (a->count != 0)
        to[0] = (struct collet_sched_param){.name = "weight"};
    return 0;
}

static long operate_block(struct fake *fake, uint64_t op, void *arg)
{
    (void)fake;
    switch (op) {
    case COLLET_OP_DISK_LIST:
        return op_disk_list(arg);
    case COLLET_OP_DISK_MODULE_LIST:
        return op_module_list(arg);
    case COLLET_OP_DISK_PARAM_LIST:
        return op_param_list(arg);
    case COLLET_OP_DISK_USE:
        memcpy(hv.module, ((struct collet_disk_use *)arg)->module, sizeof(hv.module));
        return strcmp(hv.module, "fair") == 0 ? 0 : -ENOENT;
    case COLLET_OP_DISK_GET:
    case COLLET_OP_DISK_SET:
        return op_values(arg, op == COLLET_OP_DISK_SET);
    case COLLET_OP_DISK_MODEL:
        memcpy(hv.drive, ((struct collet_disk_model *)arg)->drive, sizeof(hv.drive));
        return hv.drive[0] == '\0' || strcmp(hv.drive, "hp97560") == 0 ? 0 : -ENOENT;
    case COLLET_OP_DISK_RECORD:
        hv.records = ((struct collet_disk_recording *)arg)->records;
        return hv.records == 3 ? -EINVAL : 0;
    case COLLET_OP_DISK_RECORD_READ:
        return op_record_read(arg);
    case COLLET_OP_VBD_CREATE:
        return op_vbd_create(arg);
    case COLLET_OP_VBD_DESTROY:
    case COLLET_OP_VBD_DISCONNECT:
        return ((struct collet_vbd_ref *)arg)->vbd != 9 ? -ENOENT : hv.ends_left-- != 0 ? -EINTR : 0;
    case COLLET_OP_VBD_CONNECT:
        hv.ring_ref = ((struct collet_vbd_connect *)arg)->ring_ref;
        hv.port = ((struct collet_vbd_connect *)arg)->port;
        return 0;
    case COLLET_OP_VBD_LIMITS:
        hv.limits = *(struct collet_vbd_limits *)arg;
        return 0;
    case COLLET_OP_VBD_LIST:
        return op_vbd_list(arg);
    case COLLET_OP_VBD_EXTENTS:
        return op_extents(arg);
    default:
        return -ENOSYS;
    }
}

static void setup(void)
{
    memset(&hv, 0, sizeof(hv));
    hv.disks = 3;
    c = fake_open(&f);
    f->more = operate_block;
}

static void teardown(void)
{
    free(hv.extent);
    collet_close(c);
}

/* ---- The tests ---- */

START_TEST(disks_are_listed_and_found)
{
    struct collet_disk_info *all, info;

    hv.disks = 200; /* more than one call gives */
    ck_assert_int_eq(collet_disk_list(c, &all), 200);
    ck_assert_str_eq(all[199].name, "disk199");
    free(all);
    ck_assert_int_eq(collet_disk_info(c, 2, &info), 0);
    ck_assert_str_eq(info.name, "disk2");
    ck_assert_int_eq(collet_disk_find(c, "disk3", &info), 0);
    ck_assert_uint_eq(info.disk, 3);
    ck_assert_int_eq(collet_disk_find(c, "4", &info), 0);
    ck_assert_uint_eq(info.disk, 4);
    ck_assert_int_eq(collet_disk_find(c, "disk", &info), -ENODEV);
    ck_assert_str_eq(collet_error(c), "there is no disk \"disk\"");
    ck_assert_int_eq(collet_disk_info(c, 200, &info), -ENODEV);
    hv.disks = 0;
    ck_assert_int_eq(collet_disk_list(c, &all), 0);
    free(all);
}
END_TEST

START_TEST(modules_and_their_parameters)
{
    struct collet_sched_module *modules;
    struct collet_sched_param *params;

    ck_assert_int_eq(collet_disk_module_list(c, &modules), 1);
    ck_assert_uint_eq(modules[0].active, 2);
    free(modules);
    ck_assert_int_eq(collet_disk_param_list(c, "fair", &params), 1);
    ck_assert_str_eq(params[0].name, "weight");
    free(params);
    ck_assert_int_eq(collet_disk_param_list(c, "unfair", &params), -ENOENT);
    ck_assert_ptr_null(params);
    ck_assert_int_eq(collet_disk_use(c, 0, "fair"), 0);
    ck_assert_int_eq(collet_disk_use(c, 0, "unfair"), -ENOENT);
    ck_assert_str_eq(collet_error(c), "there is no disk module \"unfair\"");
    ck_assert_int_eq(collet_disk_use(c, 0, "a-name-that-is-much-longer-than-any-name"), -ENOENT);
}
END_TEST

START_TEST(values_say_which_one_is_wrong)
{
    struct collet_disk_value v[2] = {{.name = "weight", .scope = COLLET_DISK_SCOPE_DISK, .value = 5}, {.name = "weight", .scope = COLLET_DISK_SCOPE_VBD, .vbd = 7, .value = 6}};
    unsigned int failed;

    ck_assert_int_eq(collet_disk_set(c, 0, "fair", v, 2, &failed), 0);
    ck_assert_uint_eq(failed, 2);
    ck_assert_uint_eq(hv.value[1].vbd, 7);
    ck_assert_int_eq(collet_disk_get(c, 0, NULL, v, 2, NULL), 0);
    ck_assert_uint_eq(v[1].value, 42);
    v[1].value = 1001;
    ck_assert_int_eq(collet_disk_set(c, 0, NULL, v, 2, &failed), -ERANGE);
    ck_assert_uint_eq(failed, 1);
    ck_assert_str_eq(collet_error(c), "weight: the value is out of the parameter's range");
    v[1].vbd = 8;
    ck_assert_int_eq(collet_disk_get(c, 0, NULL, v, 2, &failed), -ESRCH);
    ck_assert_str_eq(collet_error(c), "weight: there is no such VBD on this disk");
    ck_assert_int_eq(collet_disk_get(c, 0, "fifo", v, 1, &failed), -ESTALE);
    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(collet_disk_get(c, 5, NULL, v, 1, &failed), -ENODEV);
    ck_assert_str_eq(collet_error(c), "cannot read disk parameters: there is no such disk");
    ck_assert_int_eq(collet_disk_get(c, 0, NULL, v, COLLET_SCHED_VALUES_MAX + 1, &failed), -EINVAL);
}
END_TEST

START_TEST(models_and_recordings)
{
    struct collet_disk_record records[600];
    uint64_t lost;
    bool running;

    ck_assert_int_eq(collet_disk_model(c, 0, "hp97560"), 0);
    ck_assert_int_eq(collet_disk_model(c, 0, NULL), 0);
    ck_assert_str_eq(hv.drive, "");
    ck_assert_int_eq(collet_disk_model(c, 0, "abc"), -ENOENT);
    ck_assert_str_eq(collet_error(c), "there is no model of a drive \"abc\"");
    ck_assert_int_eq(collet_disk_record(c, 0, 3), -EINVAL);
    ck_assert_int_eq(collet_disk_record(c, 0, 700), 0);
    ck_assert_int_eq(collet_disk_record_read(c, 0, records, 600, &lost, &running), 512);
    ck_assert_uint_eq(records[511].serial, 511);
    ck_assert_uint_eq(lost, 11);
    ck_assert(running);
    ck_assert_int_eq(collet_disk_record_read(c, 0, records, 600, NULL, &running), 188);
    ck_assert_uint_eq(records[187].serial, 699);
    ck_assert(!running);
    ck_assert_int_eq(collet_disk_record_read(c, 0, records, 600, NULL, NULL), -ENOENT);
}
END_TEST

START_TEST(a_vbd_of_thousands_of_extents)
{
    struct collet_extent *extents = calloc(COLLET_EXTENTS_MAX, sizeof(*extents)), *back;
    struct collet_vbd_create create = {.domid = 3, .device = 51712, .extents = COLLET_EXTENTS_MAX, .name = "root"};

    for (uint32_t i = 0; i < COLLET_EXTENTS_MAX; i++)
        extents[i] = (struct collet_extent){.sector = i * 512ull, .sectors = 256};
    ck_assert_int_eq(collet_vbd_create(c, &create, extents), 0);
    ck_assert_uint_eq(create.vbd, 9);
    ck_assert_uint_eq(hv.extents, COLLET_EXTENTS_MAX);
    ck_assert_int_eq(collet_vbd_extents(c, 9, &back), COLLET_EXTENTS_MAX);
    ck_assert_int_eq(memcmp(back, extents, COLLET_EXTENTS_MAX * sizeof(*back)), 0);
    free(back);
    ck_assert_int_eq(collet_vbd_extents(c, 8, &back), -ENOENT);
    ck_assert_str_eq(collet_error(c), "cannot read the VBD's extents: there is no such VBD");
    create.extents = COLLET_EXTENTS_MAX + 1;
    ck_assert_int_eq(collet_vbd_create(c, &create, extents), -E2BIG);
    create.extents = 0;
    ck_assert_int_eq(collet_vbd_create(c, &create, extents), -EINVAL);
    create.extents = 1;
    create.device = 1;
    ck_assert_int_eq(collet_vbd_create(c, &create, extents), -EBUSY);
    ck_assert_uint_eq(create.holder, 3); /* told on failure */
    ck_assert_uint_eq(f->memory_bytes, PAGE_BYTES + DATA_BYTES); /* all given back */
    free(extents);
}
END_TEST

START_TEST(vbds_are_listed_by_domain)
{
    struct collet_vbd_info *all, info;

    ck_assert_int_eq(collet_vbd_list(c, COLLET_VBDS_ALL, &all), VBDS);
    for (uint32_t i = 0; i < VBDS; i++)
        ck_assert_uint_eq(all[i].vbd, 2 * i + 1);
    free(all);
    ck_assert_int_eq(collet_vbd_list(c, 1, &all), 34);
    free(all);
    ck_assert_int_eq(collet_vbd_info(c, 5, &info), 0);
    ck_assert_int_eq(collet_vbd_info(c, 6, &info), -ENOENT); /* not the next one */
    ck_assert_int_eq(collet_vbd_info(c, 999, &info), -ENOENT);
}
END_TEST

START_TEST(ends_are_repeated_until_done)
{
    hv.ends_left = 5;
    ck_assert_int_eq(collet_vbd_disconnect(c, 9), 0);
    ck_assert_uint_eq(f->calls[COLLET_OP_VBD_DISCONNECT], 6);
    hv.ends_left = 2;
    ck_assert_int_eq(collet_vbd_destroy(c, 9), 0);
    ck_assert_int_eq(collet_vbd_destroy(c, 8), -ENOENT);
    ck_assert_int_eq(collet_vbd_connect(c, 9, 8, 12), 0);
    ck_assert_uint_eq(hv.ring_ref, 8);
    ck_assert_uint_eq(hv.port, 12);
    ck_assert_int_eq(collet_vbd_limits(c, 9, 100, 1 << 20), 0);
    ck_assert_uint_eq(hv.limits.bytes_per_s, 1 << 20);
}
END_TEST

Suite *suite_calls_block(void);
Suite *suite_calls_block(void)
{
    Suite *s = suite_create("calls-block");
    TCase *t = tcase_create("calls");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, disks_are_listed_and_found);
    tcase_add_test(t, modules_and_their_parameters);
    tcase_add_test(t, values_say_which_one_is_wrong);
    tcase_add_test(t, models_and_recordings);
    tcase_add_test(t, a_vbd_of_thousands_of_extents);
    tcase_add_test(t, vbds_are_listed_by_domain);
    tcase_add_test(t, ends_are_repeated_until_done);
    return s;
}
