// SPDX-License-Identifier: MIT
/*
 * Backings: their forms, partitions out of a made-up sysfs, volumes out of tables as `dmsetup table` printed them, claims.
 */
// needs: volumes.c backing.c text.c
#include "volumes.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- A machine made up ---- */

static char root[64];
static struct collet_disk_info disks[] = {{.disk = 0, .name = "disk0", .sectors = 131072, .sector_bytes = 512}, {.disk = 1, .name = "disk1", .sectors = 614400, .sector_bytes = 512},
                                          {.disk = 2, .name = "disk2", .sectors = 614400, .sector_bytes = 4096}};
#define DISKS 3

/* As recorded of LVM 2.03 in Domain0. */
static const struct {
    const char *name, *table;
} tables[] = {
    {"vg--x-a--b", "0 81920 linear 202:19 2048\n81920 40960 linear 202:19 124928\n"},
    {"vg--x-c", "0 40960 linear 202:19 83968\n"},
    {"vg--x-joined", "0 8192 linear 202:19 2048\n8192 8192 linear 202:19 10240\n16384 8192 linear 202:0 0\n"},
    {"vg0-striped", "0 16384 striped 2 128 202:0 2048 202:16 2048\n"},
    {"vg0-thin", "0 16384 thin 254:3 1\n"},
    {"vg0-cloned", "0 16384 snapshot-origin 254:1\n"},
    {"vg0-stacked", "0 16384 linear 254:0 2048\n"},
    {"vg0-beyond", "0 16384 linear 202:0 126976\n"},
    {"vg0-crumbs", "0 8 linear 202:0 2048\n8 8192 linear 202:0 8192\n"},
    {"vg0-odd", "0 8193 linear 202:32 2048\n"},
    {"vg0-damaged", "0 8192 linear\n"},
    {"vg0-gap", "0 8192 linear 202:0 2048\n9000 8192 linear 202:0 20480\n"},
    {"vg0-empty", ""},
};
static bool mapper_gone;
static char busy[64], held[64];
static bool held_alone;
static unsigned int opens, closes;

static char *fake_table(void *arg, const char *name)
{
    size_t i;

    (void)arg;
    errno = mapper_gone ? ENODEV : ENXIO;
    for (i = 0; !mapper_gone && i < sizeof(tables) / sizeof(tables[0]); i++)
        if (strcmp(tables[i].name, name) == 0)
            return strdup(tables[i].table);
    return NULL;
}

static char *fake_names(void *arg)
{
    (void)arg;
    return mapper_gone ? NULL : strdup("vg--x-a--b\nvg--x-c\ncrypt\nvg0-striped\n");
}

static int fake_open(void *arg, const char *name, bool alone)
{
    (void)arg;
    if (strcmp(name, busy) == 0 && alone)
        return -EBUSY;
    if (strcmp(name, "xvdc") == 0)
        return -ENOENT;
    snprintf(held, sizeof(held), "%s", name);
    held_alone = alone;
    opens++;
    return 100;
}

static void fake_close(void *arg, int fd)
{
    (void)arg;
    ck_assert_int_eq(fd, 100);
    closes++;
}

static bool fake_device(void *arg, const char *volume, char *name, size_t bytes)
{
    (void)arg;
    snprintf(name, bytes, "dm-%d", strcmp(volume, "vg--x-a--b") == 0 ? 0 : 1);
    return true;
}

static struct volumes_source source = {.table = fake_table, .names = fake_names, .open = fake_open, .close = fake_close, .device = fake_device};
static struct volumes *volumes;

static void file(const char *folder, const char *leaf, const char *text)
{
    char path[300];
    FILE *out;

    snprintf(path, sizeof(path), "mkdir -p %s/%s", root, folder);
    ck_assert_int_eq(system(path), 0);
    snprintf(path, sizeof(path), "%s/%s/%s", root, folder, leaf);
    out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

static void block(const char *name, const char *numbers, const char *start, const char *size)
{
    char folder[100], uevent[200];

    snprintf(folder, sizeof(folder), "class/block/%s", name);
    if (start != NULL)
        file(folder, "start", start);
    file(folder, "size", size);
    snprintf(folder, sizeof(folder), "dev/block/%s", numbers);
    snprintf(uevent, sizeof(uevent), "MAJOR=202\nMINOR=1\nDEVNAME=%s\nDEVTYPE=%s\n", name, start != NULL ? "partition" : "disk");
    file(folder, "uevent", uevent);
}

static void setup(void)
{
    strcpy(root, "/tmp/test-volumes.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    block("xvda", "202:0", NULL, "131072\n");
    block("xvdb", "202:16", NULL, "614400\n");
    block("xvdb1", "202:17", "2048\n", "40960\n");
    block("xvdb2", "202:18", "43008\n", "61440\n");
    block("xvdb3", "202:19", "104448\n", "409600\n");
    block("xvdc", "202:32", NULL, "614400\n");
    block("dm-0", "254:0", NULL, "122880\n");
    source.sysfs = root;
    mapper_gone = false;
    *busy = *held = '\0';
    opens = closes = 0;
    volumes = volumes_create(&source);
}

static void teardown(void)
{
    char command[100];

    volumes_destroy(volumes);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

/* "disk sector+sectors ..." */
static const char *found(const char *backing)
{
    static char text[400];
    struct collet_extent *extents;
    char error[400] = "";
    int i, count = volumes_find(volumes, backing, disks, DISKS, &extents, error, sizeof(error));

    ck_assert_msg(count > 0, "%s: %s", backing, error);
    *text = '\0';
    for (i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u %llu+%llu", i != 0 ? ", " : "", extents[i].disk, (unsigned long long)extents[i].sector, (unsigned long long)extents[i].sectors);
    free(extents);
    return text;
}

static void refused(const char *backing, const char *words)
{
    struct collet_extent *extents;
    char error[400] = "";
    int rc = volumes_find(volumes, backing, disks, DISKS, &extents, error, sizeof(error));

    ck_assert_msg(rc < 0, "%s was found", backing);
    ck_assert_ptr_null(extents);
    ck_assert_msg(strstr(error, words) != NULL, "%s: %s", backing, error);
}

/* ---- Tests ---- */

START_TEST(disks_and_ranges)
{
    ck_assert_str_eq(found("disk:disk0"), "0 0+131072");
    ck_assert_str_eq(found("/dev/xvdb"), "1 0+614400");
    ck_assert_str_eq(found("disk:disk1:2048+4096"), "1 2048+4096");
    refused("disk:disk7", "is disk0 meant?");
    refused("disk:tape", "there are disk0, disk1, disk2");
    refused("/dev/xvdz", "there is no disk xvdz");
    refused("disk:disk0:131000+4096", "beyond the end of disk0, which has 131072");
    refused("disk:disk0:1+18446744073709551615", "like disk:disk1");
    refused("disk:disk0:5+0", "like disk:disk1");
    refused("disk:disk2:2049+4096", "do not begin and end with a block of disk2, which are of 4096 bytes");
    refused("disk:../../etc", "like disk:disk1");
}
END_TEST

START_TEST(partitions)
{
    ck_assert_str_eq(found("part:disk1p2"), "1 43008+61440");
    ck_assert_str_eq(found("/dev/xvdb2"), "1 43008+61440");
    refused("part:disk1p9", "disk1 has no partition 9; there are part:disk1p1, part:disk1p2, part:disk1p3");
    refused("part:disk0p1", "there is none");
    refused("part:disk1p0", "like part:disk1p2");
    refused("/dev/xvdb0", "like /dev/xvdb2");
}
END_TEST

START_TEST(volumes_of_lvm)
{
    ck_assert_str_eq(found("lvm:vg-x/a-b"), "1 106496+81920, 1 229376+40960");
    ck_assert_str_eq(found("/dev/vg-x/a-b"), "1 106496+81920, 1 229376+40960");
    ck_assert_str_eq(found("/dev/mapper/vg--x-c"), "1 188416+40960");
    ck_assert_str_eq(found("lvm:vg-x/joined"), "1 106496+16384, 0 0+8192"); /* neighbours are one */
    refused("lvm:vg-x/d", "there is no active volume vg-x/d; is lvm:vg-x/c meant?");
    refused("lvm:other/volume", "vgchange -ay");
    refused("lvm:vg0/striped", "of kind striped: only linear volumes");
    refused("lvm:vg0/thin", "of kind thin");
    refused("lvm:vg0/cloned", "of kind snapshot-origin");
    refused("lvm:vg0/stacked", "lies on dm-0, which is no disk of the hypervisor");
    refused("lvm:vg0/beyond", "beyond the end of disk0");
    refused("lvm:vg0/crumbs", "its piece 1 has 8 sectors only");
    refused("lvm:vg0/odd", "do not begin and end with a block");
    refused("lvm:vg0/damaged", "cannot be read");
    refused("lvm:vg0/gap", "cannot be read");
    refused("lvm:vg0/empty", "it is empty");
    refused("lvm:vg0/a/b", "like lvm:vg0/web-root");
    refused("lvm:vg0/../x y", "like lvm:vg0/web-root");
    mapper_gone = true;
    refused("lvm:vg-x/c", "modprobe dm-mod");
}
END_TEST

START_TEST(names_of_devices)
{
    char name[DEVICE_NAME_BYTES];
    uint32_t device, index;

    for (index = 0; index < DEVICES_LETTERS; index++) {
        device_name(device_number(index), name);
        ck_assert_int_eq(device_parse(name, &device), 0);
        ck_assert_uint_eq(device, device_number(index));
        ck_assert_uint_eq(device_index(device), index);
    }
    ck_assert_int_eq(device_parse("xvda1", &device), 0);
    ck_assert_uint_eq(device, 51713);
    device_name(51713, name);
    ck_assert_str_eq(name, "xvda1");
    ck_assert_int_eq(device_parse("xvda16", &device), -EINVAL);
    ck_assert_int_eq(device_parse("xvda01", &device), -EINVAL);
    ck_assert_int_eq(device_parse("xvd", &device), -EINVAL);
    ck_assert_int_eq(device_parse("xvdA", &device), -EINVAL);
    ck_assert_int_eq(device_parse("hda", &device), -EINVAL);
    device_name(7, name);
    ck_assert_str_eq(name, "7");
}
END_TEST

static int claim(const char *backing, bool alone, struct volumes_claim **c)
{
    char error[400] = "";
    int rc = volumes_claim(volumes, backing, disks, DISKS, alone, c, error, sizeof(error));

    if (rc == -EBUSY)
        ck_assert_ptr_nonnull(strstr(error, "Domain0 uses it as /dev/"));
    return rc;
}

START_TEST(claims_hold_the_device)
{
    struct volumes_claim *one, *two;

    ck_assert_int_eq(claim("lvm:vg-x/a-b", true, &one), 0);
    ck_assert(strcmp(held, "dm-0") == 0 && held_alone && opens == 1);
    ck_assert_int_eq(claim("lvm:vg-x/a-b", true, &two), 0); /* another guest that only reads, say: the hypervisor decides */
    ck_assert_ptr_eq(one, two);
    volumes_release(volumes, one);
    ck_assert_uint_eq(closes, 0);
    volumes_release(volumes, two);
    ck_assert_uint_eq(closes, 1);

    strcpy(busy, "xvdb2");
    ck_assert_int_eq(claim("part:disk1p2", true, &one), -EBUSY);
    ck_assert_ptr_null(one);
    ck_assert_int_eq(claim("part:disk1p2", false, &one), 0); /* shared: Domain0 may go on */
    ck_assert(!held_alone);
    ck_assert_int_eq(claim("part:disk1p2", true, &two), -EBUSY);
    volumes_release(volumes, one);

    ck_assert_int_eq(claim("disk:disk1:50000+100", true, &one), -EBUSY); /* a range within that partition */
    ck_assert_int_eq(claim("disk:disk1:50+100", true, &one), 0);         /* within none */
    ck_assert_ptr_null(one);
    ck_assert_int_eq(claim("disk:disk2", true, &one), 0); /* Domain0 does not drive it */
    ck_assert_ptr_null(one);
    volumes_release(volumes, one);
    ck_assert_uint_eq(opens, closes);
}
END_TEST

static char listed[2000];

static void list_one(void *arg, const char *backing, const struct collet_extent *extents, unsigned int count, bool used, const char *why_not)
{
    (void)arg;
    (void)extents;
    snprintf(listed + strlen(listed), sizeof(listed) - strlen(listed), "%s %u%s%s;", backing, count, used ? " used" : "", why_not != NULL ? " no" : "");
}

START_TEST(all_that_there_is)
{
    *listed = '\0';
    strcpy(busy, "xvdb3");
    volumes_each(volumes, disks, DISKS, list_one, NULL);
    ck_assert_str_eq(listed, "disk:disk0 1;disk:disk1 1;part:disk1p1 1;part:disk1p2 1;part:disk1p3 1 used;disk:disk2 1;lvm:vg-x/a-b 2;lvm:vg-x/c 1;lvm:vg0/striped 0 no;");
    ck_assert_uint_eq(opens, closes);
}
END_TEST

Suite *suite_volumes(void)
{
    Suite *suite = suite_create("volumes");
    TCase *t = tcase_create("volumes");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, disks_and_ranges);
    tcase_add_test(t, partitions);
    tcase_add_test(t, volumes_of_lvm);
    tcase_add_test(t, names_of_devices);
    tcase_add_test(t, claims_hold_the_device);
    tcase_add_test(t, all_that_there_is);
    suite_add_tcase(suite, t);
    return suite;
}
