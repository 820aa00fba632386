// SPDX-License-Identifier: MIT
/*
 * blocklist: files of addresses that nobody here speaks with.
 *
 * The plugin names the files in its part of the network rules, and the daemon reads them, and again when one changes: so a list of 100,000 prefixes never passes through here, and costs a packet one look into a set, however long it is.
 * Its part comes before those of all others.
 * Contract: <hv/plugin.h>.  Tests: test-blocklist.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#define BLOCKLIST_LISTS_MAX 32
#define BLOCKLIST_ORDER 10

struct blocklist_list {
    char name[32];
    char file[256];
    char on[64]; /* interfaces; empty: all */
    bool in, out, log, reject;
};

struct blocklist {
    struct blocklist_list list[BLOCKLIST_LISTS_MAX];
    uint32_t count;
};

static const char blocklist_help[] = "[list NAME]\n"
                                     "file = /etc/collet/bad-hosts   addresses, prefixes and ranges, one a line; looked at again when it changes\n"
                                     "direction = both               in: what comes from them; out: what goes to them\n"
                                     "on = *                         which domains, interfaces or cards: web, web.0, web*, nic0\n"
                                     "action = drop                  or reject: the sender is told\n"
                                     "log = no                       yes: dropped packets go into the log, a few each second";

static struct blocklist_list *blocklist_of(struct blocklist *b, const char *section)
{
    const char *name = strncmp(section, "list ", 5) == 0 ? section + 5 : NULL;

    if (name == NULL || strlen(name) >= sizeof(b->list[0].name) || !plugin_rules_word(name, "-_"))
        return NULL;
    for (uint32_t i = 0; i < b->count; i++)
        if (strcmp(b->list[i].name, name) == 0)
            return &b->list[i];
    if (b->count == BLOCKLIST_LISTS_MAX)
        return NULL;
    b->list[b->count] = (struct blocklist_list){.in = true, .out = true};
    strcpy(b->list[b->count].name, name);
    return &b->list[b->count++];
}

static int blocklist_direction(struct blocklist_list *list, const char *value)
{
    list->in = strcmp(value, "in") == 0 || strcmp(value, "both") == 0;
    list->out = strcmp(value, "out") == 0 || strcmp(value, "both") == 0;
    return list->in || list->out ? 0 : -EINVAL;
}

static int blocklist_read(const struct collet_plugin_host *host, struct blocklist_list *list, const struct collet_plugin_setting *s)
{
    if (strcmp(s->key, "file") == 0) {
        if (s->value[0] != '/' || strlen(s->value) >= sizeof(list->file) || strpbrk(s->value, "\"\\\n") != NULL)
            return plugin_setting_wrong(host, s, "a path from the root was expected, like /etc/collet/bad-hosts");
        strcpy(list->file, s->value);
    } else if (strcmp(s->key, "on") == 0) {
        if (!plugin_rules_word(s->value, ".-_+*?") || strlen(s->value) >= sizeof(list->on))
            return plugin_setting_wrong(host, s, "one name was expected: of a domain, an interface or a card, or a pattern like web*");
        strcpy(list->on, strcmp(s->value, "*") != 0 ? s->value : "");
    } else if (strcmp(s->key, "direction") == 0) {
        if (blocklist_direction(list, s->value) != 0)
            return plugin_setting_wrong(host, s, "in, out or both was expected");
    } else if (strcmp(s->key, "action") == 0) {
        list->reject = strcmp(s->value, "reject") == 0;
        if (!list->reject && strcmp(s->value, "drop") != 0)
            return plugin_setting_wrong(host, s, "drop or reject was expected");
    } else if (strcmp(s->key, "log") == 0) {
        if (!plugin_read_bool(s->value, &list->log))
            return plugin_setting_wrong(host, s, "yes or no was expected");
    } else {
        return plugin_setting_wrong(host, s, "blocklist knows file, direction, on, action and log");
    }
    return 0;
}

static int blocklist_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct blocklist *b = calloc(1, sizeof(*b));
    int rc = 0;

    if (b == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct blocklist_list *list = blocklist_of(b, settings[i].section);

        if (list == NULL)
            rc = plugin_setting_wrong(host, &settings[i], "a section [list NAME] was expected before it; at most %d, with names of letters, digits, - and _", BLOCKLIST_LISTS_MAX);
        else if (blocklist_read(host, list, &settings[i]) != 0)
            rc = -EINVAL;
    }
    for (uint32_t i = 0; i < b->count && rc == 0; i++)
        if (b->list[i].file[0] == '\0') {
            plugin_say_text(host, PLUGIN_ERROR, "[list %s]: a line `file = /etc/collet/%s` is missing", b->list[i].name, b->list[i].name);
            rc = -EINVAL;
        }
    if (rc != 0) {
        free(b);
        return rc;
    }
    *state = b;
    return 0;
}

static void blocklist_rule(struct plugin_rules *rules, const struct blocklist_list *list, const char *direction, const char *whom)
{
    plugin_rules_add(rules, "%s %s%s%s%s %s blocklist-%s%s label \"blocklist %s\"\n", list->reject ? "reject" : "drop", direction, list->on[0] != '\0' ? " on \"" : "", list->on, list->on[0] != '\0' ? "\"" : "", whom, list->name, list->log ? " log 5/s" : "",
                     list->name);
}

static int blocklist_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    const struct blocklist *b = state;
    struct plugin_rules rules = {0};

    (void)event;
    (void)world;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct blocklist_list *list = &b->list[i];

        plugin_rules_add(&rules, "set blocklist-%s file \"%s\"\n", list->name, list->file);
        if (list->in)
            blocklist_rule(&rules, list, "in", "from");
        if (list->out)
            blocklist_rule(&rules, list, "out", "to");
    }
    return plugin_rules_answer(host, &rules, BLOCKLIST_ORDER);
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_NET,
    .interval_ms = 10000,
    .name = "blocklist",
    .summary = "addresses from files that nobody here speaks with",
    .help = blocklist_help,
    .configure = blocklist_configure,
    .update = blocklist_update,
    .end = free,
};
