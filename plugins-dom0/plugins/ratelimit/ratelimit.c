// SPDX-License-Identifier: MIT
/*
 * ratelimit: how much a domain may send and receive, as rules: packets, bytes and new connections a second.
 *
 * What is beyond a limit is dropped, before any other rule is asked; what is within goes on to them. An interface's own `rate` and `pps` (definition, `collet vif set`) hold the sender back instead, which is kinder to TCP: use this plugin for what
 * arrives, for connections, and for many domains at once.
 * Contract: <hv/plugin.h>.  Tests: test-ratelimit.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#define RATELIMIT_DOMAINS_MAX 256
#define RATELIMIT_ORDER 20

enum { RATELIMIT_OUT, RATELIMIT_IN, RATELIMIT_OUT_BYTES, RATELIMIT_IN_BYTES, RATELIMIT_CONNECTIONS, RATELIMIT_PER_SOURCE, RATELIMIT_KEYS };
static const struct {
    const char *key, *rule, *label;
    bool bytes;
    double most; /* that the rule takes */
} ratelimit_keys[RATELIMIT_KEYS] = {
    {"out", "drop out on \"%s\" limit rate %.0f/s over", "out", false, 1e9},
    {"in", "drop in on \"%s\" limit rate %.0f/s over", "in", false, 1e9},
    {"out_bytes", "drop out on \"%s\" limit bytes %.0f/s over", "out_bytes", true, 100e9},
    {"in_bytes", "drop in on \"%s\" limit bytes %.0f/s over", "in_bytes", true, 100e9},
    {"connections", "drop in on \"%s\" proto tcp flags S/SA limit rate %.0f/s over", "connections", false, 1e9},
    {"per_source", "drop in on \"%s\" limit-source rate %.0f/s over", "per_source", false, 1e7},
};

struct ratelimit_wish {
    char name[64];
    double limit[RATELIMIT_KEYS]; /* negative: not said; 0: none */
};

struct ratelimit {
    struct ratelimit_wish others; /* [default] */
    struct ratelimit_wish wish[RATELIMIT_DOMAINS_MAX];
    uint32_t count;
};

static const char ratelimit_help[] = "[domain NAME], [default] for those that are not named; or, in the domain's own definition, [plugin ratelimit]\n"
                                     "out = 5000/s         packets that it may send\n"
                                     "in = 5000/s          packets that it gets\n"
                                     "out_bytes = 10M/s    in_bytes = 10M/s\n"
                                     "connections = 50/s   new TCP connections to it\n"
                                     "per_source = 500/s   packets that it gets from any one address; 0 anywhere: no limit";

static void ratelimit_clear(struct ratelimit_wish *wish)
{
    for (int i = 0; i < RATELIMIT_KEYS; i++)
        wish->limit[i] = -1;
}

/* "5000/s", "10M/s", "10M" */
static bool ratelimit_amount(const char *text, bool bytes, double most, double *amount)
{
    static const char units[] = "KMG";
    const char *rest, *unit;

    if (!plugin_read_number(text, amount, &rest) || *amount < 0)
        return false;
    unit = *rest != '\0' ? strchr(units, *rest) : NULL;
    if (unit != NULL) {
        *amount *= pow(bytes ? 1024 : 1000, (double)(unit - units) + 1);
        rest++;
    }
    return (*rest == '\0' || strcmp(rest, "/s") == 0) && *amount <= most && (*amount == 0 || *amount >= 1);
}

static int ratelimit_read(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct ratelimit_wish *wish)
{
    double amount;

    for (int i = 0; i < RATELIMIT_KEYS; i++) {
        if (strcmp(s->key, ratelimit_keys[i].key) != 0)
            continue;
        if (!ratelimit_amount(s->value, ratelimit_keys[i].bytes, ratelimit_keys[i].most, &amount))
            return plugin_setting_wrong(host, s, ratelimit_keys[i].bytes ? "bytes a second were expected, like 10M/s, at most %.0f; 0: no limit" : "a number a second was expected, like 5000/s, at most %.0f; 0: no limit", ratelimit_keys[i].most);
        wish->limit[i] = amount;
        return 0;
    }
    return plugin_setting_wrong(host, s, "ratelimit knows out, in, out_bytes, in_bytes, connections and per_source");
}

static struct ratelimit_wish *ratelimit_find(struct ratelimit *r, const char *name, bool add)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->wish[i].name, name) == 0)
            return &r->wish[i];
    if (!add || r->count == RATELIMIT_DOMAINS_MAX || strlen(name) >= sizeof(r->wish[0].name) || !plugin_rules_word(name, ".-_+*"))
        return NULL;
    ratelimit_clear(&r->wish[r->count]);
    strcpy(r->wish[r->count].name, name);
    return &r->wish[r->count++];
}

static int ratelimit_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct ratelimit *r = calloc(1, sizeof(*r));
    int rc = 0;

    if (r == NULL)
        return -ENOMEM;
    ratelimit_clear(&r->others);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = plugin_section_domain(settings[i].section);
        struct ratelimit_wish *wish = strcmp(settings[i].section, "default") == 0 ? &r->others : name != NULL ? ratelimit_find(r, name, true) : NULL;

        if (wish == NULL)
            rc = plugin_setting_wrong(host, &settings[i], "a section [domain NAME] or [default] was expected before it");
        else if (ratelimit_read(host, &settings[i], wish) != 0)
            rc = -EINVAL;
    }
    if (rc != 0) {
        free(r);
        return rc;
    }
    *state = r;
    return 0;
}

/* Each value by itself: the administrator's for this domain, else its owner's, else that of [default]. An owner may be stricter with himself than [default], not more generous. */
static struct ratelimit_wish ratelimit_wish_of(const struct collet_plugin_host *host, struct ratelimit *r, const struct collet_plugin_domain *d)
{
    struct ratelimit_wish wish, *ours = ratelimit_find(r, d->name, false);

    ratelimit_clear(&wish);
    for (uint32_t i = 0; i < d->setting_count; i++)
        if (strcmp(d->settings[i].section, "plugin ratelimit") == 0)
            ratelimit_read(host, &d->settings[i], &wish);
    for (int i = 0; i < RATELIMIT_KEYS; i++) {
        double least = r->others.limit[i];

        if (least > 0 && (wish.limit[i] <= 0 || wish.limit[i] > least))
            wish.limit[i] = least;
        if (ours != NULL && ours->limit[i] >= 0)
            wish.limit[i] = ours->limit[i];
    }
    return wish;
}

static int ratelimit_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    struct plugin_rules rules = {0};

    (void)event;
    for (uint32_t d = 0; d < world->domain_count; d++) {
        const struct collet_plugin_domain *domain = &world->domains[d];
        struct ratelimit_wish wish = ratelimit_wish_of(host, state, domain);

        if (domain->domid == 0 && ratelimit_find(state, domain->name, false) == NULL)
            continue; /* Domain0 is limited by name alone */
        for (int i = 0; i < RATELIMIT_KEYS; i++) {
            if (wish.limit[i] <= 0)
                continue;
            plugin_rules_add(&rules, ratelimit_keys[i].rule, domain->name, wish.limit[i]);
            plugin_rules_add(&rules, " label \"ratelimit %s %s\"\n", domain->name, ratelimit_keys[i].label);
        }
    }
    return plugin_rules_answer(host, &rules, RATELIMIT_ORDER);
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_NET,
    .interval_ms = 2000,
    .name = "ratelimit",
    .summary = "packets, bytes and connections a second for each domain",
    .help = ratelimit_help,
    .configure = ratelimit_configure,
    .update = ratelimit_update,
    .end = free,
};
