// SPDX-License-Identifier: MIT
/*
 * Definitions of domains: what is accepted, and each mistake with its line and its advice. The INI reader beneath, too.
 */
// needs: definition.c definition-vbd.c definition-vif.c addresses.c backing.c sched-catalog.c ini-lines.c text.c
// libs: -linih
#include "definition.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct collet_sched_param bvt_params[] = {
    {.name = "weight", .type = COLLET_PARAM_UINT, .scopes = COLLET_SCOPE_DOMAIN, .minimum = 1, .maximum = 1000, .initial = 1},
    {.name = "warp", .type = COLLET_PARAM_NS, .scopes = COLLET_SCOPE_DOMAIN | COLLET_SCOPE_VCPU, .minimum = 0, .maximum = 1000000000},
    {.name = "slice", .type = COLLET_PARAM_NS, .scopes = COLLET_SCOPE_MODULE, .minimum = 1000, .maximum = 1000000000},
};
static struct collet_sched_param edf_params[] = {
    {.name = "weight", .type = COLLET_PARAM_UINT, .scopes = COLLET_SCOPE_DOMAIN, .minimum = 1, .maximum = 10, .initial = 1},
    {.name = "period", .type = COLLET_PARAM_NS, .scopes = COLLET_SCOPE_VCPU, .minimum = 1000, .maximum = 1000000000},
    {.name = "extra", .type = COLLET_PARAM_BOOL, .scopes = COLLET_SCOPE_DOMAIN, .maximum = 1},
};
static struct sched_catalog_module modules[] = {{.name = "bvt", .active = true, .param_count = 3, .params = bvt_params}, {.name = "edf", .param_count = 3, .params = edf_params}};
static const struct sched_catalog catalog = {.count = 2, .modules = modules};
static struct collet_sched_param fair_params[] = {
    {.name = "weight", .type = COLLET_PARAM_UINT, .scopes = COLLET_DISK_SCOPE_VBD, .minimum = 1, .maximum = 1000, .initial = 100},
    {.name = "budget", .type = COLLET_PARAM_UINT, .scopes = COLLET_DISK_SCOPE_DISK, .minimum = 1, .maximum = 100000},
};
static struct sched_catalog_module disk_modules[] = {{.name = "elevator", .active = true}, {.name = "fair", .param_count = 2, .params = fair_params}};
static const struct sched_catalog disk_catalog = {.count = 2, .modules = disk_modules};

static struct text_mistakes mistakes;

static struct definition *parse(const char *text)
{
    memset(&mistakes, 0, sizeof(mistakes));
    return definition_parse("web.ini", text, &catalog, &disk_catalog, &mistakes);
}

static void mistaken(const char *text, const char *what)
{
    struct definition *d = parse(text);

    ck_assert_msg(d == NULL, "accepted: %s", text);
    ck_assert_msg(strstr(mistakes.text, what) != NULL, "%s\n  told: %s\n  not: %s", text, mistakes.text, what);
}

#define HEAD "[domain]\nname = web\nkernel = /boot/vmlinuz\nmemory = 128M\n"

START_TEST(a_whole_definition)
{
    struct definition *d = parse("; a web server\n" HEAD
                                 "ramdisk = /boot/initrd.img ; small\nmaxmem = 1G\nvcpus = 2\ncpus = 0-1,3\ncmdline = console=hvc0 quiet\n"
                                 "on_crash = restart\non_poweroff: preserve\nshare = 40%\n[sched]\nweight = 4\nperiod = 10ms\n[plugin shares]\nfloor = 3\n");

    ck_assert_msg(d != NULL, "%s", mistakes.text);
    ck_assert_str_eq(d->name, "web");
    ck_assert_str_eq(d->ramdisk, "/boot/initrd.img");
    ck_assert_str_eq(d->cmdline, "console=hvc0 quiet");
    ck_assert_uint_eq(d->frames, 32768);
    ck_assert_uint_eq(d->frames_max, 262144);
    ck_assert_uint_eq(d->vcpus, 2);
    ck_assert_uint_eq(d->cpus, 11);
    ck_assert_int_eq(d->on_crash, ACTION_RESTART);
    ck_assert_int_eq(d->on_reboot, ACTION_RESTART);
    ck_assert_int_eq(d->on_poweroff, ACTION_PRESERVE);
    ck_assert_uint_eq(d->setting_count, 14);
    ck_assert_str_eq(d->settings[10].key, "share");
    ck_assert_str_eq(d->settings[10].section, "plugin shares");
    ck_assert_str_eq(d->settings[0].section, "");
    ck_assert_str_eq(d->settings[13].section, "plugin shares");
    ck_assert_uint_eq(d->settings[13].line, 18);
    definition_free(d);
}
END_TEST

START_TEST(the_least_that_is_needed)
{
    struct definition *d = parse("name = web\nkernel = /boot/vmlinuz\nmemory = 64\n");

    ck_assert_msg(d != NULL, "%s", mistakes.text);
    ck_assert_uint_eq(d->vcpus, 1);
    ck_assert_uint_eq(d->frames, 16384);
    ck_assert_uint_eq(d->frames_max, 16384);
    ck_assert_ptr_null(d->ramdisk);
    ck_assert_str_eq(d->cmdline, "");
    ck_assert_int_eq(d->on_crash, ACTION_DESTROY);
    definition_free(d);
}
END_TEST

START_TEST(each_mistake_has_its_line_and_advice)
{
    mistaken("[domain]\nname = web\nkernel = /k\nmemory = 12Q\n", "web.ini:4: memory = 12Q: a size like 128M");
    mistaken(HEAD "memroy = 1G\n", "web.ini:5: memroy: there is no such key; is memory meant?");
    mistaken(HEAD "xyzzy = 1\n", "web.ini:5: xyzzy: there is no such key");
    mistaken(HEAD "weight = 3\n", "write it into section [sched]");
    mistaken(HEAD "extra = 3\n", "write it into cmdline");
    mistaken(HEAD "disk = 3\n", "[vbd NAME] with a line like backing = lvm:vg0/web");
    mistaken(HEAD "vcpus = 0\n", "a number from 1 to 64");
    mistaken(HEAD "vcpus = many\n", "a number from 1 to 64");
    mistaken(HEAD "cpus = 9-1\n", "a list of CPUs like");
    mistaken(HEAD "on_crash = restrat\n", "(restart?)");
    mistaken(HEAD "ramdisk = initrd.img\n", "a path from the root");
    mistaken(HEAD "maxmem = 64M\n", "web.ini:5: maxmem is less than memory (line 4)");
    mistaken(HEAD "vcpus = 2\nvcpus = 3\n", "web.ini:6: vcpus: given twice, first in line 5");
    mistaken(HEAD "vcpus = 2\nshare = 3\nvcpus = 3\n", "web.ini:7: vcpus: given twice, first in line 5");
    mistaken(HEAD "share = 40%\n[plugin shares]\nshare = 30%\n", "web.ini:7: share: given twice, first in line 5");
    mistaken(HEAD "share =\n", "a value was expected");
    mistaken("[domain]\nname = 7\nkernel = /k\nmemory = 64M\n", "must not be a number");
    mistaken("[domain]\nname = a b\nkernel = /k\nmemory = 64M\n", "only letters");
    mistaken("[domain]\nname = abcdefghijabcdefghijabcdefghijabc\nkernel = /k\nmemory = 64M\n", "1 to 31");
    mistaken("[domain]\nname =\nkernel = /k\nmemory = 64M\n", "1 to 31");
    mistaken("[domain]\nname = ../../etc\nkernel = /k\nmemory = 64M\n", "only letters");
    mistaken("[domain]\nname = ..\nkernel = /k\nmemory = 64M\n", "must begin with");
    mistaken("[domain]\nkernel = /k\nmemory = 3M\n", "within 4M and 8192G");
    mistaken("[domain]\nkernel = /k\nmemory = 64M\n", "web.ini: name is missing: a line like `name = web`");
    mistaken("", "kernel is missing");
}
END_TEST

START_TEST(disks_in_order_of_the_text)
{
    struct definition *d = parse(HEAD "[vbd root]\nbacking = lvm:vg0/web-root\niops = 500\nbytes_per_s = 10M\nweight = 300\n"
                                      "[vbd data]\nbacking = disk:disk1:2048+4096\nmode = r\ndevice = xvda\nshared = yes\n[vbd swap]\nbacking = /dev/xvdb2\ndevice = xvdq\n[vbd last]\nbacking = part:disk1p3\n");
    struct collet_disk_value values[4];

    ck_assert_msg(d != NULL, "%s", mistakes.text);
    ck_assert_uint_eq(d->vbd_count, 4);
    ck_assert_str_eq(d->vbds[0].name, "root");
    ck_assert_str_eq(d->vbds[0].backing, "lvm:vg0/web-root");
    ck_assert_uint_eq(d->vbds[0].device, 51728); /* xvda was asked for by another */
    ck_assert_uint_eq(d->vbds[0].requests_per_s, 500);
    ck_assert_uint_eq(d->vbds[0].bytes_per_s, 10u << 20);
    ck_assert_uint_eq(d->vbds[1].device, 51712);
    ck_assert(d->vbds[1].read_only && d->vbds[1].shared && !d->vbds[0].read_only);
    ck_assert_uint_eq(d->vbds[2].device, 1u << 28 | 16u << 8);
    ck_assert_uint_eq(d->vbds[3].device, 51744);
    ck_assert_uint_eq(definition_vbd_values(d, "root", &disk_modules[1], NULL, 7, values, 4), 1);
    ck_assert(strcmp(values[0].name, "weight") == 0 && values[0].value == 300 && values[0].vbd == 7 && values[0].scope == COLLET_DISK_SCOPE_VBD);
    ck_assert_uint_eq(definition_vbd_values(d, "root", &disk_modules[0], NULL, 7, values, 4), 0);
    ck_assert_uint_eq(definition_vbd_values(d, "root", &disk_modules[1], &disk_modules[1], 7, values, 4), 0);
    ck_assert_uint_eq(definition_vbd_values(d, "data", &disk_modules[1], NULL, 7, values, 4), 0);
    definition_free(d);
}
END_TEST

START_TEST(mistakes_in_disks)
{
    mistaken(HEAD "[vbd root]\n", "web.ini:5: [vbd root]: backing is missing: a line like `backing = lvm:vg0/root`");
    mistaken(HEAD "[vbd]\nbacking = disk:disk0\n", "web.ini:5: [vbd ]: the disk's name is missing");
    mistaken(HEAD "[vbd a b]\nbacking = disk:disk0\n", "only letters");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\n[vbd root]\nbacking = disk:disk1\n", "web.ini:7: [vbd root]: given twice, first in line 5");
    mistaken(HEAD "[vbd root]\nbacking = vg0/root\n", "web.ini:6: backing = vg0/root: disk:disk1, disk:disk1:SECTOR+SECTORS");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk1:2048\n", "a disk and perhaps a range");
    mistaken(HEAD "[vbd root]\nbacking = part:disk1\n", "like part:disk1p2");
    mistaken(HEAD "[vbd root]\nbacking = lvm:vg0\n", "like lvm:vg0/web-root");
    mistaken(HEAD "[vbd root]\nbacking = /var/lib/root.img\n", "files are no backings");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\nmode = rw\n", "web.ini:7: mode = rw: r (read only) or w");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\ndevice = sda\n", "a name like xvda");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\ndevice = /dev/xvda\n", "the name alone was expected");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\nshared = perhaps\n", "yes or no");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\niops = 10M\n", "a number of requests a second");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\nbytes_per_s = fast\n", "a size was expected, like 10M");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\nwieght = 3\n", "web.ini:7: wieght: there is no such key in a section [vbd NAME]; is weight meant?");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\nbudget = 3\n", "that is set for a whole disk");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\nweight = 0\n", "weight = 0: it must be within 1 to 1000 (parameter of disk module fair)");
    mistaken(HEAD "[vbd root]\nbacking = disk:disk0\ndevice = xvdb\n[vbd data]\nbacking = disk:disk1\ndevice = xvdb\n", "web.ini:10: [vbd data]: [vbd root] has this device already (line 7)");
    mistaken(HEAD "[vif]\n", "the interface's name is missing");
}
END_TEST

START_TEST(mistakes_in_sections)
{
    mistaken(HEAD "[vif eth0]\nmac = 1\n", "web.ini:6: mac = 1: six bytes like");
    mistaken(HEAD "[vif a.b]\n", "web.ini:5: [vif a.b]: only letters");
    mistaken(HEAD "[vif 0]\n[vif 0]\n", "web.ini:6: [vif 0]: given twice, first in line 5");
    mistaken(HEAD "[vif 0]\nip = 10.0.2.16/24\n", "web.ini:6: ip = 10.0.2.16/24: 10.0.2.16/24: an address that may be used is written without /24");
    mistaken(HEAD "[vif 0]\nantispof = no\n", "web.ini:6: antispof: there is no such key in a section [vif NAME]; is antispoof meant?");
    mistaken(HEAD "[vif 0]\nweight = 0\n", "1 to 1000");
    mistaken(HEAD "[vif 0]\nall = perhaps\n", "yes or no");
    mistaken(HEAD "[vif 0]\nrate = fast\n", "like 10M");
    mistaken(HEAD "[vif 0]\npps = 1k5\n", "packets a second");
    mistaken(HEAD "[vif 0]\nnetwork = a b\n", "a card like nic0");
    mistaken(HEAD "[vif 0]\nmac = 00:16:3e:00:00:01\n[vif 1]\nmac = 00:16:3e:00:00:01\n", "[vif 1]: [vif 0] has this mac already (line 5)");
    mistaken(HEAD "[vif 0]\n[vif 1]\n[vif 2]\n[vif 3]\n[vif 4]\n[vif 5]\n[vif 6]\n[vif 7]\n[vif 8]\n", "8 network interfaces");
    mistaken(HEAD "vif = bridge=xenbr0\n", "a section of its own: [vif 0]");
    mistaken(HEAD "[shced]\nweight = 1\n", "web.ini:5: [shced]: there is no such section; is [sched] meant?");
    mistaken(HEAD "[plugin]\nweight = 1\n", "the plugin's name is missing");
    mistaken(HEAD "[sched]\nwieght = 2\n", "web.ini:6: wieght: no scheduler module has such a parameter; is weight meant?");
    mistaken(HEAD "[sched]\nweight = 2000\n", "it must be within 1 to 1000 (parameter of scheduler bvt)");
    mistaken(HEAD "[sched]\nweight = -2\n", "a number was expected");
    mistaken(HEAD "[sched]\nslice = 10ms\n", "set for the whole module bvt");
    mistaken(HEAD "[sched]\nextra = maybe\n", "yes or no was expected (parameter of scheduler edf)");
    mistaken(HEAD "[sched]\nperiod = soon\n", "a time like");
    mistaken(HEAD "[sched\nweight = 1\n", "web.ini:5: [sched: the ']' is missing");
    mistaken(HEAD "what is this\n", "web.ini:5: what is this: a line like `key = value`");
    mistaken("[domain]\nname = nic0\nkernel = k\nmemory = 64M\n", "web.ini:2: name = nic0: nic0, nic1, ... are the network cards");
    mistaken(HEAD "= 5\n", "web.ini:5: = 5: a line like");
}
END_TEST

START_TEST(all_mistakes_at_once)
{
    char text[4000] = "[domain]\n";
    unsigned int i;

    mistaken("[domain]\nname = 1\nkernel = k\nmemory = x\nvcpus = 0\nnonsense\n", "web.ini:6: nonsense");
    ck_assert_uint_eq(mistakes.count, 5);
    ck_assert_ptr_nonnull(strstr(mistakes.text, "web.ini:2: name = 1"));
    for (i = 0; i < 100; i++)
        strcat(text, "nonsense\n");
    mistaken(text, "and more mistakes");
    ck_assert_uint_eq(mistakes.count, 103);
}
END_TEST

START_TEST(long_lines_and_continuations)
{
    char text[3000] = HEAD "cmdline = ", expected[2000] = "";
    struct definition *d;
    unsigned int i;

    for (i = 0; i < 60; i++)
        sprintf(expected + strlen(expected), "%soption%u=value", i != 0 ? " " : "", i);
    strcat(text, expected);
    strcat(text, "\nvcpus = 2\n");
    d = parse(text);
    ck_assert_msg(d != NULL, "%s", mistakes.text);
    ck_assert_str_eq(d->cmdline, expected);
    ck_assert_uint_eq(d->vcpus, 2);
    definition_free(d);

    d = parse(HEAD "cmdline = a\n  b ; comment\n\tc\nvcpus = 2\n");
    ck_assert_msg(d != NULL, "%s", mistakes.text);
    ck_assert_str_eq(d->cmdline, "a b c");
    ck_assert_uint_eq(d->settings[4].line, 8);
    definition_free(d);

    memset(expected, 'x', 1990);
    strcpy(text, HEAD "cmdline = ");
    strcat(text, expected);
    mistaken(text, "a word longer than");
    strcpy(text, HEAD "cmdline =");
    for (i = 0; i < 260; i++)
        strcat(text, " abc");
    mistaken(text, "are too long for a kernel's command line");
}
END_TEST

START_TEST(odd_input_is_refused_quietly)
{
    static const char *const odd[] = {"\xef\xbb\xbf", "]", "[", "[]", "=", ":", "\n\n\n", " ", "\t=\n", "[domain]\n\tname = x\n", "a=b=c", "[domain] name = x", "\x01\x02", "[[[[]]]]"};
    char *large = malloc(200000);
    unsigned int seed = 1, round;
    size_t i;

    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        ck_assert_ptr_null(parse(odd[i]));
    memset(large, 'a', 199999);
    large[199999] = '\0';
    mistaken(large, "longer than 64 KiB");
    for (round = 0; round < 3000; round++) {
        size_t length = (size_t)rand_r(&seed) % 600;

        for (i = 0; i < length; i++)
            large[i] = "[]=:;# \n\tabcsched domain name kernel 123%/.\r"[(unsigned int)rand_r(&seed) % 44];
        large[length] = '\0';
        definition_free(parse(large));
    }
    free(large);
}
END_TEST

START_TEST(values_for_a_module)
{
    struct definition *d = parse(HEAD "vcpus = 3\n[sched]\nweight = 4\nperiod = 10ms\nextra = yes\nwarp = 1us\n");
    struct collet_sched_value values[16];

    ck_assert_msg(d != NULL, "%s", mistakes.text);
    ck_assert_uint_eq(definition_sched_values(d, &modules[0], NULL, 5, values, 16), 2);
    ck_assert_str_eq(values[0].name, "weight");
    ck_assert_uint_eq(values[0].value, 4);
    ck_assert_uint_eq(values[0].domid, 5);
    ck_assert_uint_eq(values[0].scope, COLLET_SCOPE_DOMAIN);
    ck_assert_str_eq(values[1].name, "warp");
    ck_assert_uint_eq(values[1].scope, COLLET_SCOPE_DOMAIN);
    /* period has vCPU scope alone: one for each. */
    ck_assert_uint_eq(definition_sched_values(d, &modules[1], NULL, 5, values, 16), 5);
    ck_assert_uint_eq(values[1].scope, COLLET_SCOPE_VCPU);
    ck_assert_uint_eq(values[3].vcpu, 2);
    /* What the module before had too was carried over. */
    ck_assert_uint_eq(definition_sched_values(d, &modules[1], &modules[0], 5, values, 16), 4);
    ck_assert_uint_eq(definition_sched_values(d, &modules[1], NULL, 5, values, 2), 2); /* no room for period */
    definition_free(d);
}
END_TEST

START_TEST(files_and_machine)
{
    struct definition *d = parse("[domain]\nname = web\nkernel = /nonexistent/vmlinuz\nmemory = 4G\ncpus = 7\nramdisk = /nonexistent/initrd\n");

    ck_assert_ptr_nonnull(d);
    definition_check_files(d, &mistakes);
    ck_assert_ptr_nonnull(strstr(mistakes.text, "web.ini:3: kernel = /nonexistent/vmlinuz: No such file"));
    ck_assert_ptr_nonnull(strstr(mistakes.text, "web.ini:6: ramdisk"));
    definition_check_machine(d, 2, 262144, &mistakes);
    ck_assert_ptr_nonnull(strstr(mistakes.text, "web.ini:5: cpus: none of these exists: this machine has CPUs 0 to 1"));
    ck_assert_ptr_nonnull(strstr(mistakes.text, "web.ini:4: memory: the whole machine has 1024 MiB"));
    definition_free(d);
}
END_TEST

Suite *suite_definition(void);
Suite *suite_definition(void)
{
    Suite *suite = suite_create("definition");
    TCase *tcase = tcase_create("definition");

    tcase_add_test(tcase, a_whole_definition);
    tcase_add_test(tcase, the_least_that_is_needed);
    tcase_add_test(tcase, each_mistake_has_its_line_and_advice);
    tcase_add_test(tcase, mistakes_in_sections);
    tcase_add_test(tcase, disks_in_order_of_the_text);
    tcase_add_test(tcase, mistakes_in_disks);
    tcase_add_test(tcase, all_mistakes_at_once);
    tcase_add_test(tcase, long_lines_and_continuations);
    tcase_add_test(tcase, odd_input_is_refused_quietly);
    tcase_add_test(tcase, values_for_a_module);
    tcase_add_test(tcase, files_and_machine);
    suite_add_tcase(suite, tcase);
    return suite;
}
