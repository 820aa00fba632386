// SPDX-License-Identifier: MIT
/*
 * autowarp: finds the domains that wake often and run briefly, and lets them borrow a little.
 *
 * Such a domain waits for something (packets, disks, keys) and would answer at once if it were let; it uses so little that nobody misses it. One that only computes has no use for warp. So two numbers of the
 * last interval decide: wake-ups a second, and running time for each. A domain is warped when it has been of that kind for some intervals in a row, and unwarped when it has clearly not been (twice as long, half as often)
 * for some more: what lies between changes nothing. The warp is modest, limited in time, and never given to more than a few domains.
 * Values that another plugin owns (latency) are left alone: the daemon sees to it, and domains with a latency target are not even tried.
 * Contract: <hv/plugin.h>.  Tests: test-autowarp.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#define AUTOWARP_DOMAINS_MAX 256
#define AUTOWARP_NAMES_BYTES 512
#define AUTOWARP_FAREWELLS 3 /* answers in a row that say "no warp" before a domain is named no more */

struct autowarp_domain {
    uint32_t domid;
    uint32_t fits, misfits; /* intervals in a row */
    uint32_t farewells;     /* still to say that it is warped no more */
    bool warped, seen;
    double wakes, run_ns;   /* a second; for each wake-up */
};

struct autowarp {
    double wakes_min, run_max_ns, warp_ns, limit_ns, unwarp_ns;
    double most, after, until; /* domains; intervals */
    bool domain0;
    char never[AUTOWARP_NAMES_BYTES]; /* ",web,db," */
    struct autowarp_domain domains[AUTOWARP_DOMAINS_MAX];
    uint32_t count;
    char no_warp[64];
};

static const char autowarp_help[] = "wakes = 20        wake-ups a second, at least, of a domain that waits for something\n"
                                    "run = 1ms         running time for each wake-up, at most\n"
                                    "most = 4          domains that are warped at the same time\n"
                                    "after = 3         intervals (seconds) in a row before a domain is warped\n"
                                    "until = 5         intervals in a row in which it runs twice as long or wakes half as often, before it is no more\n"
                                    "warp = 20ms       what a warped domain borrows, of virtual time\n"
                                    "limit = 2ms       how long it may run warped\n"
                                    "unwarp = 10ms     how long it must not have run warped before that begins anew\n"
                                    "domain0 = no      may Domain0 be warped?\n"
                                    "never = a, b      domains to leave alone; a domain's own definition can say [plugin autowarp] never = yes";

/* ---- Settings ---- */

static int autowarp_read_number(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct autowarp *a, bool *known)
{
    const struct {
        const char *key;
        double *to, least, most;
        bool time;
    } numbers[] = {
        {"wakes", &a->wakes_min, 1, 1e6, false},     {"most", &a->most, 0, 64, false},         {"after", &a->after, 1, 3600, false},         {"until", &a->until, 1, 3600, false},
        {"run", &a->run_max_ns, 1e3, 1e9, true},     {"warp", &a->warp_ns, 0, 60e9, true},     {"limit", &a->limit_ns, 100e3, 60e9, true}, {"unwarp", &a->unwarp_ns, 0, 60e9, true},
    };

    *known = true;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        double value;

        if (strcmp(s->key, numbers[i].key) != 0)
            continue;
        if (numbers[i].time ? !plugin_read_time(s->value, &value) : !plugin_read_count(s->value, &value))
            return plugin_setting_wrong(host, s, numbers[i].time ? "a time was expected, like 2ms" : "a whole number was expected");
        if (value < numbers[i].least || value > numbers[i].most)
            return plugin_setting_wrong(host, s, numbers[i].time ? "a time from %g to %g ms was expected" : "a number from %g to %g was expected", numbers[i].least / (numbers[i].time ? 1e6 : 1),
                                        numbers[i].most / (numbers[i].time ? 1e6 : 1));
        *numbers[i].to = value;
        return 0;
    }
    *known = false;
    return 0;
}

/* "a, b" to ",a,b," */
static int autowarp_read_names(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct autowarp *a)
{
    size_t used = 0;

    if (strlen(s->value) + 3 > sizeof(a->never))
        return plugin_setting_wrong(host, s, "at most %zu characters were expected", sizeof(a->never) - 3);
    a->never[used++] = ',';
    for (const char *c = s->value; *c != '\0'; c++)
        if (*c != ' ')
            a->never[used++] = *c;
    a->never[used++] = ',';
    a->never[used] = '\0';
    return 0;
}

static int autowarp_read(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct autowarp *a)
{
    bool known;
    int rc;

    if (s->section[0] != '\0')
        return plugin_setting_wrong(host, s, "autowarp has no sections");
    rc = autowarp_read_number(host, s, a, &known);
    if (known)
        return rc;
    if (strcmp(s->key, "domain0") == 0)
        return plugin_read_bool(s->value, &a->domain0) ? 0 : plugin_setting_wrong(host, s, "yes or no was expected");
    if (strcmp(s->key, "never") == 0)
        return autowarp_read_names(host, s, a);
    return plugin_setting_wrong(host, s, "autowarp knows wakes, run, most, after, until, warp, limit, unwarp, domain0 and never");
}

static int autowarp_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct autowarp *a = calloc(1, sizeof(*a));
    int rc = a != NULL ? 0 : -ENOMEM;

    if (a != NULL)
        *a = (struct autowarp){.wakes_min = 20, .run_max_ns = 1e6, .warp_ns = 20e6, .limit_ns = 2e6, .unwarp_ns = 10e6, .most = 4, .after = 3, .until = 5};
    for (uint32_t i = 0; i < count && a != NULL; i++)
        if (autowarp_read(host, &settings[i], a) != 0)
            rc = -EINVAL;
    if (rc == 0)
        *state = a;
    else
        free(a);
    return rc;
}

/* ---- Watching ---- */

static bool autowarp_never(const struct autowarp *a, const struct collet_plugin_domain *d)
{
    const struct collet_plugin_setting *never = plugin_setting(d->settings, d->setting_count, "plugin autowarp", "never");
    char name[96];
    bool yes = false;

    snprintf(name, sizeof(name), ",%s,", d->name);
    return (d->domid == 0 && !a->domain0) || strstr(a->never, name) != NULL || (never != NULL && (!plugin_read_bool(never->value, &yes) || yes)) ||
           plugin_setting(d->settings, d->setting_count, "plugin latency", "latency") != NULL;
}

static struct autowarp_domain *autowarp_find(struct autowarp *a, uint32_t domid)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->domains[i].domid == domid)
            return &a->domains[i];
    if (a->count == AUTOWARP_DOMAINS_MAX)
        return NULL;
    a->domains[a->count] = (struct autowarp_domain){.domid = domid};
    return &a->domains[a->count++];
}

/* What it has done in this interval, and for how many in a row. */
static void autowarp_watch(const struct autowarp *a, struct autowarp_domain *w, const struct collet_plugin_domain *d, uint64_t interval_ns)
{
    w->wakes = (double)d->interval_wakes * 1e9 / (double)interval_ns;
    w->run_ns = d->interval_wakes != 0 ? (double)d->interval_run_ns / (double)d->interval_wakes : (double)d->interval_run_ns;
    w->fits = w->wakes >= a->wakes_min && w->run_ns <= a->run_max_ns ? w->fits + 1 : 0;
    w->misfits = w->wakes < a->wakes_min / 2 || w->run_ns > a->run_max_ns * 2 ? w->misfits + 1 : 0;
}

static void autowarp_unwarp(const struct collet_plugin_host *host, struct autowarp_domain *w, const char *name)
{
    w->warped = false;
    w->fits = 0;
    w->farewells = AUTOWARP_FAREWELLS;
    plugin_say_text(host, PLUGIN_NOTE, "%s is warped no more", name);
}

static void autowarp_forget_gone(struct autowarp *a)
{
    for (uint32_t i = 0; i < a->count;) {
        if (a->domains[i].seen)
            i++;
        else
            a->domains[i] = a->domains[--a->count];
    }
}

/* The one that fits best and is not warped yet; NULL: none. */
static struct autowarp_domain *autowarp_best(struct autowarp *a)
{
    struct autowarp_domain *best = NULL;

    for (uint32_t i = 0; i < a->count; i++) {
        struct autowarp_domain *w = &a->domains[i];

        if (!w->warped && w->fits >= a->after && (best == NULL || w->wakes > best->wakes))
            best = w;
    }
    return best;
}

static void autowarp_decide(const struct collet_plugin_host *host, struct autowarp *a, const struct collet_plugin_world *world)
{
    struct autowarp_domain *best;
    uint32_t warped = 0;

    for (uint32_t i = 0; i < world->domain_count; i++) {
        const struct collet_plugin_domain *d = &world->domains[i];
        struct autowarp_domain *w = autowarp_find(a, d->domid);

        if (w != NULL && w->warped && (w->misfits >= a->until || autowarp_never(a, d)))
            autowarp_unwarp(host, w, d->name);
        warped += w != NULL && w->warped;
    }
    while (warped < a->most && (best = autowarp_best(a)) != NULL) {
        best->warped = true;
        best->misfits = 0;
        warped++;
        for (uint32_t i = 0; i < world->domain_count; i++)
            if (world->domains[i].domid == best->domid)
                plugin_say_text(host, PLUGIN_NOTE, "%s is warped: it wakes often and runs briefly", world->domains[i].name);
    }
}

/* ---- Answering ---- */

static void autowarp_set(const struct collet_plugin_host *host, const struct autowarp *a, struct autowarp_domain *w)
{
    if (w->warped) {
        /* The reason of the decision, in numbers that do not change each second: a reason that changes is no change of the value. */
        plugin_set_domain(host, w->domid, "warp_ns", a->warp_ns, "wakes at least %g times a second and runs at most %g ms for each: borrows %g ms", a->wakes_min, a->run_max_ns / 1e6, a->warp_ns / 1e6);
        plugin_set_domain(host, w->domid, "warp_limit_ns", a->limit_ns, "for at most %g ms", a->limit_ns / 1e6);
        plugin_set_domain(host, w->domid, "unwarp_ns", a->unwarp_ns, "again after %g ms", a->unwarp_ns / 1e6);
    } else if (w->farewells > 0) {
        w->farewells--;
        plugin_set_domain(host, w->domid, "warp_ns", 0, "runs longer than %g ms, or wakes less often than %g times a second", a->run_max_ns * 2 / 1e6, a->wakes_min / 2);
    }
}

static bool autowarp_possible(const struct collet_plugin_host *host, struct autowarp *a, const struct collet_plugin_world *world)
{
    bool possible = plugin_parameter(world, "warp_ns", PLUGIN_SCOPE_DOMAIN) != NULL && plugin_parameter(world, "warp_limit_ns", PLUGIN_SCOPE_DOMAIN) != NULL &&
                    plugin_parameter(world, "unwarp_ns", PLUGIN_SCOPE_DOMAIN) != NULL;

    if (!possible && strcmp(a->no_warp, world->sched) != 0)
        plugin_say_text(host, PLUGIN_WARNING, "the scheduler %s has no warp: nothing to do until one that has it (bvt) is used", world->sched);
    snprintf(a->no_warp, sizeof(a->no_warp), "%s", possible ? "" : world->sched);
    return possible;
}

static int autowarp_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    struct autowarp *a = state;

    if (!autowarp_possible(host, a, world))
        return 0;
    for (uint32_t i = 0; i < a->count; i++)
        a->domains[i].seen = false;
    for (uint32_t i = 0; i < world->domain_count; i++) {
        struct autowarp_domain *w = autowarp_find(a, world->domains[i].domid);

        if (w == NULL)
            continue;
        w->seen = true;
        /* Only whole intervals count: between an event and the last tick there may be a few milliseconds. */
        if (event == COLLET_PLUGIN_TICK && world->interval_ns >= 500000000 && !autowarp_never(a, &world->domains[i]))
            autowarp_watch(a, w, &world->domains[i], world->interval_ns);
    }
    autowarp_forget_gone(a);
    autowarp_decide(host, a, world);
    for (uint32_t i = 0; i < a->count; i++)
        autowarp_set(host, a, &a->domains[i]);
    return 0;
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_SCHED,
    .interval_ms = 1000,
    .name = "autowarp",
    .summary = "finds domains that wake often and run briefly, and warps them modestly",
    .help = autowarp_help,
    .configure = autowarp_configure,
    .update = autowarp_update,
    .end = free,
};
