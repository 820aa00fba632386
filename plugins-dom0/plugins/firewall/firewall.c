// SPDX-License-Identifier: MIT
/*
 * firewall: rules by domains, groups and named sets.
 *
 * It puts together: sets, which rule files use by their names; groups, with the domains that belong to them now; rule files, of groups and of domains that are there; and for domains that say what is open on them, the rules that close all else.
 * Rule files are read by the daemon, which also looks whether they change. Who belongs to what is seen anew whenever a domain comes or goes.
 * Contract: <hv/plugin.h>.  Tests: test-firewall.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#include <arpa/inet.h>

#define FIREWALL_ITEMS_MAX 128
#define FIREWALL_VALUE_BYTES 512
#define FIREWALL_NAME_BYTES 64
#define FIREWALL_ORDER 50
#define FIREWALL_FOLDER "/etc/collet/firewall"
#define FIREWALL_WORD ".-_+*?"

enum firewall_kind { FIREWALL_SET, FIREWALL_GROUP, FIREWALL_DOMAIN };

/* A section. What a kind has no use for stays empty. */
struct firewall_item {
    enum firewall_kind kind;
    char name[FIREWALL_NAME_BYTES];
    char addresses[FIREWALL_VALUE_BYTES]; /* of a set */
    char file[FIREWALL_VALUE_BYTES];      /* of a set */
    char domains[FIREWALL_VALUE_BYTES];   /* of a group */
    char groups[FIREWALL_VALUE_BYTES];    /* of a domain */
    char rules[FIREWALL_VALUE_BYTES];     /* of a group or a domain: files */
    char open[FIREWALL_VALUE_BYTES];      /* the same: what others may reach; everything else is closed */
    bool has_open;
};

struct firewall {
    char folder[256];
    char common[FIREWALL_VALUE_BYTES]; /* rule files for all */
    struct firewall_item items[FIREWALL_ITEMS_MAX];
    uint32_t count;
};

static const char firewall_help[] = "folder = /etc/collet/firewall   where rule files are\n"
                                    "rules = common.rules            files for all\n"
                                    "[set NAME]     addresses = 10.0.2.2, 10.1.0.0/16   or   file = /etc/collet/admins: used in rules by NAME\n"
                                    "[group NAME]   domains = web, db*   rules = web.rules   open = tcp/80, tcp/443: `on NAME` in rules is all of them\n"
                                    "[domain NAME]  groups = web-servers   rules = db.rules   open = tcp/22, udp/53, icmp; or open = nothing\n"
                                    "The same keys as of [domain NAME] may stand in the domain's definition, under [plugin firewall]: groups and open";

/* ---- Settings ---- */

static struct firewall_item *firewall_find(struct firewall *f, enum firewall_kind kind, const char *name)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->items[i].kind == kind && strcmp(f->items[i].name, name) == 0)
            return &f->items[i];
    return NULL;
}

static struct firewall_item *firewall_section(struct firewall *f, const char *section)
{
    static const char *const words[] = {[FIREWALL_SET] = "set ", [FIREWALL_GROUP] = "group ", [FIREWALL_DOMAIN] = "domain "};
    struct firewall_item *item;

    for (int kind = 0; kind <= FIREWALL_DOMAIN; kind++) {
        const char *name = section + strlen(words[kind]);

        if (strncmp(section, words[kind], strlen(words[kind])) != 0)
            continue;
        item = firewall_find(f, (enum firewall_kind)kind, name);
        if (item != NULL || f->count == FIREWALL_ITEMS_MAX || strlen(name) >= FIREWALL_NAME_BYTES || !plugin_rules_word(name, kind == FIREWALL_DOMAIN ? "._-+" : "-_"))
            return item;
        item = &f->items[f->count++];
        *item = (struct firewall_item){.kind = (enum firewall_kind)kind};
        strcpy(item->name, name);
        return item;
    }
    return NULL;
}

static int firewall_take(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, char *to)
{
    if (strlen(s->value) >= FIREWALL_VALUE_BYTES)
        return plugin_setting_wrong(host, s, "too long: at most %d characters", FIREWALL_VALUE_BYTES - 1);
    strcpy(to, s->value);
    return 0;
}

/* Words of letters, digits and `others`. */
static int firewall_words(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, char *to, const char *others, const char *expected)
{
    const char *at = s->value;
    char word[FIREWALL_VALUE_BYTES];

    if (firewall_take(host, s, to) != 0)
        return -EINVAL;
    while (plugin_next_word(&at, word, sizeof(word)))
        if (!plugin_rules_word(word, others) || strcmp(word, "..") == 0)
            return plugin_setting_wrong(host, s, "%s: %s", word, expected);
    return 0;
}

/* "tcp/80", "udp/5000-6000", "icmp" */
static bool firewall_open_word(const char *word, char protocol[8], unsigned int *first, unsigned int *last)
{
    int end = 0;

    *first = *last = 0;
    if (strcmp(word, "icmp") == 0) {
        strcpy(protocol, word);
        return true;
    }
    if (sscanf(word, "%4[a-z]/%5u%n-%5u%n", protocol, first, &end, last, &end) < 2 || word[end] != '\0' || (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0))
        return false;
    if (strchr(word, '-') == NULL)
        *last = *first;
    return *first > 0 && *first <= *last && *last <= 65535;
}

static int firewall_open(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct firewall_item *item)
{
    const char *at = s->value;
    char word[FIREWALL_VALUE_BYTES], protocol[8];
    unsigned int first, last;

    item->has_open = true;
    if (strcmp(s->value, "nothing") == 0) {
        item->open[0] = '\0';
        return 0;
    }
    if (firewall_take(host, s, item->open) != 0)
        return -EINVAL;
    while (plugin_next_word(&at, word, sizeof(word)))
        if (!firewall_open_word(word, protocol, &first, &last))
            return plugin_setting_wrong(host, s, "%s: tcp/80, udp/5000-6000 or icmp were expected, or `nothing`", word);
    return 0;
}

static bool firewall_number(const char *text, unsigned long most)
{
    return plugin_rules_word(text, "") && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10 && strtoul(text, NULL, 10) <= most;
}

/* "10.0.2.2", "fec0::/64", "10.0.0.1-10.0.0.9", "80", "8000-8080"; or the name of a set that stands before. The rules would not compile with anything else, and would be left as they were. */
static bool firewall_element(const struct firewall *f, const struct firewall_item *set, const char *word)
{
    char low[FIREWALL_VALUE_BYTES], *rest;
    uint8_t address[16];
    int family = strchr(word, ':') != NULL ? AF_INET6 : AF_INET;

    for (const struct firewall_item *item = f->items; item < set; item++)
        if (item->kind == FIREWALL_SET && strcmp(item->name, word) == 0)
            return true;
    strcpy(low, word);
    rest = strpbrk(low, "-/");
    if (rest == NULL)
        return inet_pton(family, low, address) == 1 || firewall_number(low, 65535);
    *rest++ = '\0';
    if (word[rest - low - 1] == '/')
        return inet_pton(family, low, address) == 1 && firewall_number(rest, family == AF_INET ? 32 : 128);
    return firewall_number(low, 65535) ? firewall_number(rest, 65535) && strtoul(low, NULL, 10) <= strtoul(rest, NULL, 10)
                                       : inet_pton(family, low, address) == 1 && inet_pton(family, rest, address) == 1;
}

static int firewall_addresses(const struct collet_plugin_host *host, const struct firewall *f, const struct collet_plugin_setting *s, struct firewall_item *set)
{
    static const char expected[] = "addresses like 10.0.2.2, fec0::/64 or 10.0.0.1-10.0.0.9 were expected, ports, or names of sets before this one";
    const char *at = s->value;
    char word[FIREWALL_VALUE_BYTES];

    if (firewall_words(host, s, set->addresses, ".:/-_", expected) != 0)
        return -EINVAL;
    while (plugin_next_word(&at, word, sizeof(word)))
        if (!firewall_element(f, set, word))
            return plugin_setting_wrong(host, s, "%s: %s", word, expected);
    return 0;
}

static int firewall_read(const struct collet_plugin_host *host, const struct firewall *f, struct firewall_item *item, const struct collet_plugin_setting *s)
{
    const char *key = s->key;

    if (item->kind == FIREWALL_SET) {
        if (strcmp(key, "addresses") == 0)
            return firewall_addresses(host, f, s, item);
        if (strcmp(key, "file") == 0)
            return *s->value == '/' ? firewall_words(host, s, item->file, "/._-+", "a path was expected") : plugin_setting_wrong(host, s, "a path from the root was expected");
        return plugin_setting_wrong(host, s, "a [set NAME] has addresses or file");
    }
    if (strcmp(key, "rules") == 0)
        return firewall_words(host, s, item->rules, "._-+", "names of files in the folder were expected, like web.rules");
    if (strcmp(key, "open") == 0)
        return firewall_open(host, s, item);
    if (item->kind == FIREWALL_GROUP && strcmp(key, "domains") == 0)
        return firewall_words(host, s, item->domains, FIREWALL_WORD, "names of domains were expected, or patterns like web*");
    if (item->kind == FIREWALL_DOMAIN && strcmp(key, "groups") == 0)
        return firewall_words(host, s, item->groups, "-_", "names of groups were expected");
    return plugin_setting_wrong(host, s, item->kind == FIREWALL_GROUP ? "a [group NAME] has domains, rules and open" : "a [domain NAME] has groups, rules and open");
}

static int firewall_read_own(const struct collet_plugin_host *host, struct firewall *f, const struct collet_plugin_setting *s)
{
    if (strcmp(s->key, "rules") == 0)
        return firewall_words(host, s, f->common, "._-+", "names of files in the folder were expected, like common.rules");
    if (strcmp(s->key, "folder") != 0)
        return plugin_setting_wrong(host, s, "firewall knows folder and rules here, and sections [set NAME], [group NAME] and [domain NAME]");
    if (*s->value != '/' || strlen(s->value) >= sizeof(f->folder) || !plugin_rules_word(s->value, "/._-+"))
        return plugin_setting_wrong(host, s, "a path from the root was expected, like " FIREWALL_FOLDER);
    strcpy(f->folder, s->value);
    return 0;
}

static int firewall_check(const struct collet_plugin_host *host, const struct firewall *f)
{
    int rc = 0;

    for (uint32_t i = 0; i < f->count; i++)
        if (f->items[i].kind == FIREWALL_SET && (f->items[i].addresses[0] != '\0') == (f->items[i].file[0] != '\0')) {
            plugin_say_text(host, PLUGIN_ERROR, "[set %s]: either addresses or file must be there", f->items[i].name);
            rc = -EINVAL;
        }
    return rc;
}

static int firewall_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct firewall *f = calloc(1, sizeof(*f));
    int rc = 0;

    if (f == NULL)
        return -ENOMEM;
    strcpy(f->folder, FIREWALL_FOLDER);
    for (uint32_t i = 0; i < count; i++) {
        const struct collet_plugin_setting *s = &settings[i];
        struct firewall_item *item = firewall_section(f, s->section);

        if (*s->section == '\0' || strcmp(s->section, "firewall") == 0)
            rc = firewall_read_own(host, f, s) != 0 ? -EINVAL : rc;
        else if (item == NULL)
            rc = plugin_setting_wrong(host, s, "a section [set NAME], [group NAME] or [domain NAME] was expected before it");
        else if (firewall_read(host, f, item, s) != 0)
            rc = -EINVAL;
    }
    if (rc == 0)
        rc = firewall_check(host, f);
    if (rc != 0) {
        free(f);
        return rc;
    }
    *state = f;
    return 0;
}

/* ---- Rules ---- */

/* "web*": does it mean this name? '*' is any part, '?' one letter. */
static bool firewall_glob(const char *pattern, const char *name)
{
    for (; *pattern != '\0'; pattern++, name++) {
        if (*pattern == '*') {
            for (; *name != '\0'; name++)
                if (firewall_glob(pattern + 1, name))
                    return true;
            return firewall_glob(pattern + 1, name);
        }
        if (*name == '\0' || (*pattern != '?' && *pattern != *name))
            return false;
    }
    return *name == '\0';
}

static bool firewall_listed(const char *list, const char *name)
{
    char word[FIREWALL_VALUE_BYTES];

    while (plugin_next_word(&list, word, sizeof(word)))
        if (firewall_glob(word, name))
            return true;
    return false;
}

/* What is said of a domain: its section, and for what that leaves out its owner's words (groups and open). */
static struct firewall_item firewall_domain(const struct collet_plugin_host *host, struct firewall *f, const struct collet_plugin_domain *d)
{
    const struct firewall_item *ours = firewall_find(f, FIREWALL_DOMAIN, d->name);
    struct firewall_item item = {.kind = FIREWALL_DOMAIN}, owners = {.kind = FIREWALL_DOMAIN};

    if (ours != NULL)
        item = *ours;
    for (uint32_t i = 0; i < d->setting_count; i++) {
        const struct collet_plugin_setting *s = &d->settings[i];

        if (strcmp(s->section, "plugin firewall") != 0)
            continue;
        if (strcmp(s->key, "groups") != 0 && strcmp(s->key, "open") != 0)
            plugin_setting_wrong(host, s, "in a definition, firewall knows groups and open");
        else if (firewall_read(host, f, &owners, s) == 0 && strcmp(s->key, "groups") == 0 && item.groups[0] == '\0')
            strcpy(item.groups, owners.groups);
        else if (owners.has_open && !item.has_open) {
            strcpy(item.open, owners.open);
            item.has_open = true;
        }
    }
    return item;
}

static bool firewall_member(const struct firewall_item *group, const struct firewall_item *said, const char *domain)
{
    return firewall_listed(group->domains, domain) || firewall_listed(said->groups, group->name);
}

static void firewall_includes(struct plugin_rules *rules, const struct firewall *f, const char *files)
{
    char word[FIREWALL_VALUE_BYTES];

    while (plugin_next_word(&files, word, sizeof(word)))
        plugin_rules_add(rules, "include \"%s/%s\"\n", f->folder, word);
}

/* What the daemon takes for a file that has a mistake and never was right: the domain that it is for is closed, rather than left as if it had no rules. Domain0 is not, or nobody could mend the file. */
static void firewall_instead(struct plugin_rules *rules, const struct firewall *f, const char *files, const struct collet_plugin_domain *d)
{
    char word[FIREWALL_VALUE_BYTES];

    while (d->domid != 0 && plugin_next_word(&files, word, sizeof(word)))
        plugin_rules_add(rules, PLUGIN_RULES_INSTEAD "\"%s/%s\": drop on \"%s\" label \"firewall %s closed: %s is wrong\"\n", f->folder, word, d->name, d->name, word);
}

/*
 * Answers to what it began itself, what it gets and keeps its addresses by, and what is said to be open; nothing else comes in.
 * A DHCP server's offer is no answer of the request's flow, which went from no address to all; nor are neighbours' questions, a router's advertisement and who asks for members of a multicast group (RFC 4890).
 */
static void firewall_close(struct plugin_rules *rules, const char *on, const char *open)
{
    char word[FIREWALL_VALUE_BYTES], protocol[8];
    unsigned int first, last;

    plugin_rules_add(rules, "accept in on \"%s\" arp\naccept in on \"%s\" icmp6-type 130-137\naccept in on \"%s\" state established related\n", on, on, on);
    plugin_rules_add(rules, "accept in on \"%s\" ip proto udp from any port 67 to any port 68\naccept in on \"%s\" ip6 proto udp from any port 547 to any port 546\n", on, on);
    while (plugin_next_word(&open, word, sizeof(word))) {
        if (!firewall_open_word(word, protocol, &first, &last))
            continue;
        if (first == 0)
            plugin_rules_add(rules, "accept in on \"%s\" icmp-type 8\naccept in on \"%s\" icmp6-type 128\n", on, on);
        else if (first == last)
            plugin_rules_add(rules, "accept in on \"%s\" proto %s to any port %u\n", on, protocol, first);
        else
            plugin_rules_add(rules, "accept in on \"%s\" proto %s to any port %u-%u\n", on, protocol, first, last);
    }
    plugin_rules_add(rules, "drop in on \"%s\" label \"firewall %s closed\"\n", on, on);
}

static void firewall_sets(struct plugin_rules *rules, const struct firewall *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct firewall_item *set = &f->items[i];

        if (set->kind != FIREWALL_SET)
            continue;
        if (set->file[0] != '\0')
            plugin_rules_add(rules, "set \"%s\" file \"%s\"\n", set->name, set->file);
        else
            plugin_rules_add(rules, "set \"%s\" { %s }\n", set->name, set->addresses);
    }
}

/* An empty group would be a mistake in the rule language; rules for one that has no domain now must do no harm. */
static void firewall_groups(struct plugin_rules *rules, const struct firewall *f, const struct firewall_item *said, const struct collet_plugin_world *world)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct firewall_item *group = &f->items[i];
        unsigned int members = 0;

        if (group->kind != FIREWALL_GROUP)
            continue;
        plugin_rules_add(rules, "group \"%s\" {", group->name);
        for (uint32_t d = 0; d < world->domain_count; d++)
            if (firewall_member(group, &said[d], world->domains[d].name)) {
                plugin_rules_add(rules, "%s \"%s\"", members++ != 0 ? "," : "", world->domains[d].name);
            }
        plugin_rules_add(rules, "%s }\n", members == 0 ? " \"no-domain.none\"" : "");
    }
}

static void firewall_unknown_groups(const struct collet_plugin_host *host, struct firewall *f, const struct firewall_item *said, const char *domain)
{
    const char *at = said->groups;
    char word[FIREWALL_VALUE_BYTES];

    while (plugin_next_word(&at, word, sizeof(word)))
        if (firewall_find(f, FIREWALL_GROUP, word) == NULL)
            plugin_say_text(host, PLUGIN_WARNING, "%s: there is no group %s", domain, word);
}

static void firewall_all(const struct collet_plugin_host *host, struct plugin_rules *rules, struct firewall *f, const struct firewall_item *said, const struct collet_plugin_world *world)
{
    firewall_sets(rules, f);
    firewall_groups(rules, f, said, world);
    firewall_includes(rules, f, f->common);
    for (uint32_t d = 0; d < world->domain_count; d++) {
        firewall_unknown_groups(host, f, &said[d], world->domains[d].name);
        firewall_instead(rules, f, said[d].rules, &world->domains[d]);
        firewall_includes(rules, f, said[d].rules);
    }
    for (uint32_t i = 0; i < f->count; i++)
        if (f->items[i].kind == FIREWALL_GROUP) {
            for (uint32_t d = 0; d < world->domain_count; d++)
                if (firewall_member(&f->items[i], &said[d], world->domains[d].name))
                    firewall_instead(rules, f, f->items[i].rules, &world->domains[d]);
            firewall_includes(rules, f, f->items[i].rules);
        }
    /* What closes a domain comes last. A domain's own word goes before those of its groups, so that these close only who has none. */
    for (uint32_t d = 0; d < world->domain_count; d++)
        if (said[d].has_open)
            firewall_close(rules, world->domains[d].name, said[d].open);
    for (uint32_t i = 0; i < f->count; i++)
        for (uint32_t d = 0; f->items[i].kind == FIREWALL_GROUP && f->items[i].has_open && d < world->domain_count; d++)
            if (!said[d].has_open && firewall_member(&f->items[i], &said[d], world->domains[d].name))
                firewall_close(rules, world->domains[d].name, f->items[i].open);
}

static int firewall_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    struct firewall_item *said = calloc(world->domain_count + 1, sizeof(*said));
    struct plugin_rules rules = {0};

    (void)event;
    if (said == NULL)
        return -ENOMEM;
    for (uint32_t d = 0; d < world->domain_count; d++)
        said[d] = firewall_domain(host, state, &world->domains[d]);
    firewall_all(host, &rules, state, said, world);
    free(said);
    return plugin_rules_answer(host, &rules, FIREWALL_ORDER);
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_NET,
    .interval_ms = 2000,
    .name = "firewall",
    .summary = "network rules by domains, groups and named sets",
    .help = firewall_help,
    .configure = firewall_configure,
    .update = firewall_update,
    .end = free,
};
