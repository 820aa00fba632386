/* SPDX-License-Identifier: MIT */
/*
 * A host for unit tests of plugins: include the plugin's .c file, call its functions with `test_host`, and look at what it has asked for and said. For programs of the host alone; static state, one plugin at a time.
 *
 *     #include "mine.c"
 *     #include <hv/plugin-test.h>
 *     ...
 *     struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "40%", 1)};
 *     ck_assert_int_eq(collet_plugin.configure(&test_host, settings, 1, &state), 0);
 *     ck_assert(plugin_test_value(1, PLUGIN_ALL, "weight") == 4000);
 */
#pragma once

#include <hv/plugin-tools.h>

#define PLUGIN_TEST_MAX 512
#define PLUGIN_TEST_SETTING(the_section, the_key, the_value, the_line)                                                                                                                 \
    {                                                                                                                                                                                  \
        .section = (the_section), .key = (the_key), .value = (the_value), .file = "test.ini", .line = (the_line)                                                                       \
    }

static struct {
    struct {
        uint32_t domid, vcpu; /* of_disk: disk and VBD */
        bool of_disk;
        char parameter[64], why[1024];
        double value;
    } set[PLUGIN_TEST_MAX];
    unsigned int sets;
    char said[16384]; /* lines: level, text */
    char rules[16384]; /* the part of the network rules that was answered last */
    uint32_t order;
    unsigned int rules_answers;
} plugin_test;

PLUGIN_UNUSED void plugin_test_clear(void)
{
    memset(&plugin_test, 0, sizeof(plugin_test));
}

PLUGIN_UNUSED void plugin_test_set(const struct collet_plugin_host *host, uint32_t domid, uint32_t vcpu, const char *parameter, double value, const char *why)
{
    unsigned int i = plugin_test.sets;

    (void)host;
    if (i == PLUGIN_TEST_MAX)
        return;
    plugin_test.sets++;
    plugin_test.set[i].domid = domid;
    plugin_test.set[i].vcpu = vcpu;
    plugin_test.set[i].value = value;
    snprintf(plugin_test.set[i].parameter, sizeof(plugin_test.set[i].parameter), "%s", parameter);
    snprintf(plugin_test.set[i].why, sizeof(plugin_test.set[i].why), "%s", why);
}

PLUGIN_UNUSED void plugin_test_set_disk(const struct collet_plugin_host *host, uint32_t disk, uint32_t vbd, const char *parameter, double value, const char *why)
{
    unsigned int i = plugin_test.sets;

    plugin_test_set(host, disk, vbd, parameter, value, why);
    if (i < PLUGIN_TEST_MAX)
        plugin_test.set[i].of_disk = true;
}

PLUGIN_UNUSED void plugin_test_say(const struct collet_plugin_host *host, int level, const char *text)
{
    size_t used = strlen(plugin_test.said);

    (void)host;
    snprintf(plugin_test.said + used, sizeof(plugin_test.said) - used, "%d %s\n", level, text);
}

PLUGIN_UNUSED void plugin_test_rules(const struct collet_plugin_host *host, uint32_t order, const char *text)
{
    (void)host;
    plugin_test.rules_answers++;
    plugin_test.order = order;
    snprintf(plugin_test.rules, sizeof(plugin_test.rules), "%s", text);
}

static const struct collet_plugin_host test_host = {.size = sizeof(test_host), .daemon = NULL, .set = plugin_test_set, .say = plugin_test_say, .set_disk = plugin_test_set_disk, .rules = plugin_test_rules};

/* Place in plugin_test.set of a value that was asked for, or -1. */
PLUGIN_UNUSED int plugin_test_find(uint32_t domid, uint32_t vcpu, const char *parameter)
{
    for (unsigned int i = 0; i < plugin_test.sets; i++)
        if (!plugin_test.set[i].of_disk && plugin_test.set[i].domid == domid && plugin_test.set[i].vcpu == vcpu && strcmp(plugin_test.set[i].parameter, parameter) == 0)
            return (int)i;
    return -1;
}

/* The value, or -1 if it was not asked for. */
PLUGIN_UNUSED double plugin_test_value(uint32_t domid, uint32_t vcpu, const char *parameter)
{
    int i = plugin_test_find(domid, vcpu, parameter);

    return i >= 0 ? plugin_test.set[i].value : -1;
}

PLUGIN_UNUSED const char *plugin_test_why(uint32_t domid, uint32_t vcpu, const char *parameter)
{
    int i = plugin_test_find(domid, vcpu, parameter);

    return i >= 0 ? plugin_test.set[i].why : "";
}

/* The same of disks. */
PLUGIN_UNUSED int plugin_test_find_disk(uint32_t disk, uint32_t vbd, const char *parameter)
{
    for (unsigned int i = 0; i < plugin_test.sets; i++)
        if (plugin_test.set[i].of_disk && plugin_test.set[i].domid == disk && plugin_test.set[i].vcpu == vbd && strcmp(plugin_test.set[i].parameter, parameter) == 0)
            return (int)i;
    return -1;
}

PLUGIN_UNUSED double plugin_test_disk_value(uint32_t disk, uint32_t vbd, const char *parameter)
{
    int i = plugin_test_find_disk(disk, vbd, parameter);

    return i >= 0 ? plugin_test.set[i].value : -1;
}
