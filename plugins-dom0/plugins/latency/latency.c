// SPDX-License-Identifier: MIT
/*
 * latency: a target for the time from wake-up to running, to BVT's warp (W), warp limit (L) and unwarp time (U).
 *
 * The rules that the numbers follow (docs/concepts/bvt.md, and the paper of 1999):
 *   L  how long a domain may run warped: the processor time that one of its wake-ups needs (`burst`).
 *   U  so that warping lends time and gives none: a domain that runs warped L of every L + U uses the part `cpu` of a processor: U = L x (1/cpu - 1).
 *   W  greater than the lead over the others that it can have: one burst, and the allowance C of others, both at the least weight that is provided for; and greater than that of every domain with a longer
 *      target by as much again, so that among the warped ones the tighter target goes first.
 * Then, if all are on one processor, a vCPU waits at most for what cannot be interrupted (a switch, the least slice) and for the bursts of those with a tighter or equal target that can come meanwhile:
 * R = B + sum over them of ceil(R / (L + U)) x (L + least slice), solved by repeating. A target below its R is refused, with these numbers.
 * All this holds for a domain whose weight grants it the part `cpu`: what is borrowed must be paid back. Who uses more waits; then this plugin warns.
 * Contract: <hv/plugin.h>.  Tests: test-latency.c; on the real scheduler: tests/unit/test-latency-bvt.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#define LATENCY_DOMAINS_MAX 128
#define LATENCY_SWITCH_NS 100e3  /* interrupt, wake-up and switch, allowed for */
#define LATENCY_LEAST_NS 100e3   /* bvt's least slice; a warp limit may be exceeded by so much */
#define LATENCY_BURST_NS 1e6
#define LATENCY_CPU_PERCENT 10.0
#define LATENCY_WEIGHT_DEFAULT 256.0 /* bvt's virtual time is that of this weight */
#define LATENCY_WEIGHT_LEAST 16.0
#define LATENCY_PARAMETER_MAX_NS 60e9 /* bvt's greatest W, L and U */
#define LATENCY_ROUNDS 1000

/* What is wanted for a domain. */
struct latency_wish {
    char name[64];
    double target_ns; /* negative: none said; 0: "none", no warp at all */
    double burst_ns, cpu_percent;
    char place[128]; /* file:line of the target */
};

struct latency {
    struct latency_wish wish[LATENCY_DOMAINS_MAX];
    uint32_t count;
    char no_warp[64]; /* module that was found to have no warp, and has been complained about */
};

/* A domain with a target, and what comes of it. */
struct latency_plan {
    struct latency_wish wish;
    uint32_t domid, vcpus;
    double warp_ns, limit_ns, unwarp_ns, worst_ns;
};

static const char latency_help[] = "[domain NAME]        or, in the domain's own definition, [plugin latency]\n"
                                   "latency = 5ms        from wake-up to running, at most; `none`: never warped\n"
                                   "burst = 1ms          processor time that it needs for one wake-up (1ms)\n"
                                   "cpu = 10%            of a processor that it may use in such bursts, all its vCPUs together (10%)";

/* ---- Settings ---- */

static int latency_read(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct latency_wish *wish)
{
    if (strcmp(s->key, "latency") == 0) {
        snprintf(wish->place, sizeof(wish->place), "%.100s:%u", s->file, s->line);
        if (strcmp(s->value, "none") == 0)
            wish->target_ns = 0;
        else if (!plugin_read_time(s->value, &wish->target_ns) || wish->target_ns > 10e9)
            return plugin_setting_wrong(host, s, "a time up to 10s was expected, like 5ms, or `none`");
        else if (wish->target_ns < LATENCY_SWITCH_NS + LATENCY_LEAST_NS)
            return plugin_setting_wrong(host, s, "%g us is less than a switch takes: %g us, and %g us for which a vCPU runs at least", wish->target_ns / 1e3, LATENCY_SWITCH_NS / 1e3, LATENCY_LEAST_NS / 1e3);
        return 0;
    }
    if (strcmp(s->key, "burst") == 0) {
        if (!plugin_read_time(s->value, &wish->burst_ns) || wish->burst_ns < LATENCY_LEAST_NS || wish->burst_ns > 1e9)
            return plugin_setting_wrong(host, s, "a time from 100us to 1s was expected, like 1ms");
        return 0;
    }
    if (strcmp(s->key, "cpu") == 0) {
        if (!plugin_read_percent(s->value, &wish->cpu_percent) || wish->cpu_percent < 0.1 || wish->cpu_percent > 6400)
            return plugin_setting_wrong(host, s, "a percentage of one processor was expected, like 10%%");
        return 0;
    }
    return plugin_setting_wrong(host, s, "latency knows `latency`, `burst` and `cpu`");
}

static struct latency_wish latency_wish_new(const char *name)
{
    struct latency_wish wish = {.target_ns = -1, .burst_ns = LATENCY_BURST_NS, .cpu_percent = LATENCY_CPU_PERCENT};

    snprintf(wish.name, sizeof(wish.name), "%s", name);
    return wish;
}

static struct latency_wish *latency_find(struct latency *latency, const char *name)
{
    for (uint32_t i = 0; i < latency->count; i++)
        if (strcmp(latency->wish[i].name, name) == 0)
            return &latency->wish[i];
    return NULL;
}

/* The plugin's settings go before the domain's own definition. A definition that makes no sense counts as none. */
static struct latency_wish latency_wish_of(const struct collet_plugin_host *host, struct latency *latency, const char *name, const struct collet_plugin_setting *settings, uint32_t count, bool *wrong)
{
    struct latency_wish wish = latency_wish_new(name), *ours = latency_find(latency, name);

    if (ours != NULL && ours->target_ns >= 0)
        return *ours;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(settings[i].section, "plugin latency") == 0 && latency_read(host, &settings[i], &wish) != 0)
            *wrong = true;
    return *wrong ? latency_wish_new(name) : wish;
}

/* ---- Arithmetic ---- */

static int latency_by_target(const void *a, const void *b)
{
    const struct latency_plan *x = a, *y = b;

    if (x->wish.target_ns != y->wish.target_ns)
        return x->wish.target_ns < y->wish.target_ns ? -1 : 1;
    return x->domid < y->domid ? -1 : x->domid > y->domid;
}

static double latency_period(const struct latency_plan *p)
{
    return p->limit_ns + p->unwarp_ns;
}

/* The longest that a vCPU of plans[which] waits; HUGE_VAL if the others never leave it room. */
static double latency_worst(const struct latency_plan *plans, uint32_t count, uint32_t which)
{
    const double blocked_ns = LATENCY_SWITCH_NS + LATENCY_LEAST_NS;
    double worst_ns = blocked_ns, next_ns;

    for (int round = 0; round < LATENCY_ROUNDS; round++) {
        next_ns = blocked_ns;
        for (uint32_t i = 0; i < count && plans[i].wish.target_ns <= plans[which].wish.target_ns; i++) {
            uint32_t others = plans[i].vcpus - (i == which ? 1 : 0);

            next_ns += others * ceil(worst_ns / latency_period(&plans[i])) * (plans[i].limit_ns + LATENCY_LEAST_NS);
        }
        if (next_ns == worst_ns)
            return worst_ns;
        worst_ns = next_ns;
    }
    return HUGE_VAL;
}

/* Fills in L, U, W and R of all, sorted by target. allowance_ns: C. */
static void latency_plan_all(struct latency_plan *plans, uint32_t count, double allowance_ns)
{
    double longest_ns = 0, step_ns;

    qsort(plans, count, sizeof(*plans), latency_by_target);
    for (uint32_t i = 0; i < count; i++) {
        double part = fmin(plans[i].wish.cpu_percent / 100 / plans[i].vcpus, 1);

        plans[i].limit_ns = plans[i].wish.burst_ns;
        plans[i].unwarp_ns = ceil(plans[i].limit_ns * (1 / part - 1));
        longest_ns = fmax(longest_ns, plans[i].limit_ns);
    }
    step_ns = fmin((longest_ns + allowance_ns) * LATENCY_WEIGHT_DEFAULT / LATENCY_WEIGHT_LEAST, floor(LATENCY_PARAMETER_MAX_NS / (count + 1)));
    for (uint32_t i = 0; i < count; i++) {
        plans[i].warp_ns = step_ns * (count - i);
        plans[i].worst_ns = latency_worst(plans, count, i);
    }
}

/* The sum over the tighter ones in words: " + web 1.1 ms". */
static void latency_terms(const struct latency_plan *plans, uint32_t count, uint32_t which, char *text, size_t bytes)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < count && plans[i].wish.target_ns <= plans[which].wish.target_ns && used < bytes; i++) {
        uint32_t others = plans[i].vcpus - (i == which ? 1 : 0);
        double times = isfinite(plans[which].worst_ns) ? ceil(plans[which].worst_ns / latency_period(&plans[i])) : 1;

        if (others > 0)
            used += (size_t)snprintf(text + used, bytes - used, " + %s %g x %.4g", plans[i].wish.name, others * times, (plans[i].limit_ns + LATENCY_LEAST_NS) / 1e6);
    }
}

/* The first plan that cannot be kept, or count. `text`: why, with numbers. */
static uint32_t latency_infeasible(const struct latency_plan *plans, uint32_t count, uint32_t cpus, char *text, size_t bytes)
{
    char terms[512];
    double sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        sum += plans[i].wish.cpu_percent;
        if (sum > 100.0 * cpus || plans[i].wish.cpu_percent > 100.0 * plans[i].vcpus) {
            snprintf(text, bytes, "latency of %s: the bursts of the domains with targets up to this one take %g%% of a processor (its own: %g%% on %u vCPUs); there are %u x 100%%", plans[i].wish.name, sum,
                     plans[i].wish.cpu_percent, plans[i].vcpus, cpus);
            return i;
        }
        if (plans[i].unwarp_ns > LATENCY_PARAMETER_MAX_NS) {
            snprintf(text, bytes, "latency of %s: a burst of %g ms in %g%% of a processor needs an unwarp time of %.4g s; the scheduler's greatest is %g s", plans[i].wish.name, plans[i].limit_ns / 1e6,
                     plans[i].wish.cpu_percent, plans[i].unwarp_ns / 1e9, LATENCY_PARAMETER_MAX_NS / 1e9);
            return i;
        }
        if (plans[i].worst_ns > plans[i].wish.target_ns) {
            latency_terms(plans, count, i, terms, sizeof(terms));
            snprintf(text, bytes, "latency = %g ms of %s cannot be kept: it may wait %.4g ms = %.4g switch and least slice%s (bursts of those that go first)", plans[i].wish.target_ns / 1e6, plans[i].wish.name,
                     plans[i].worst_ns / 1e6, (LATENCY_SWITCH_NS + LATENCY_LEAST_NS) / 1e6, terms);
            return i;
        }
    }
    return count;
}

/* ---- The plugin ---- */

static double latency_allowance(const struct collet_plugin_world *world)
{
    const struct collet_plugin_parameter *c = plugin_parameter(world, "allowance_ns", PLUGIN_SCOPE_DOMAIN);

    return c != NULL ? (double)c->initial : 5e6;
}

static int latency_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct latency *latency = calloc(1, sizeof(*latency));
    struct latency_plan plans[LATENCY_DOMAINS_MAX];
    uint32_t planned = 0, bad;
    char text[1024];
    int rc = latency != NULL ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < count && latency != NULL; i++) {
        const char *name = plugin_section_domain(settings[i].section);
        struct latency_wish *wish = name != NULL ? latency_find(latency, name) : NULL;

        if (name != NULL && wish == NULL && latency->count < LATENCY_DOMAINS_MAX) {
            wish = &latency->wish[latency->count++];
            *wish = latency_wish_new(name);
        }
        if (wish == NULL)
            rc = plugin_setting_wrong(host, &settings[i], name == NULL ? "a section [domain NAME] was expected before it" : "too many domains");
        else if (latency_read(host, &settings[i], wish) != 0)
            rc = -EINVAL;
    }
    /* What could not be kept even if each had one vCPU is refused now, with its line; the rest shows when the domains are there. */
    for (uint32_t i = 0; rc == 0 && i < latency->count; i++)
        if (latency->wish[i].target_ns > 0)
            plans[planned++] = (struct latency_plan){.wish = latency->wish[i], .domid = i, .vcpus = 1};
    if (rc == 0) {
        latency_plan_all(plans, planned, 5e6);
        bad = latency_infeasible(plans, planned, 64, text, sizeof(text));
        if (bad < planned) {
            plugin_say_text(host, PLUGIN_ERROR, "%s: %s", plans[bad].wish.place, text);
            rc = -ERANGE;
        }
    }
    if (rc == 0)
        *state = latency;
    else
        free(latency);
    return rc;
}

/* The domains that are there and have a target. */
static uint32_t latency_collect(const struct collet_plugin_host *host, struct latency *latency, const struct collet_plugin_world *world, struct latency_plan *plans)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->domain_count; i++) {
        const struct collet_plugin_domain *d = &world->domains[i];
        bool wrong = false;
        struct latency_wish wish = latency_wish_of(host, latency, d->name, d->settings, d->setting_count, &wrong);

        if (wish.target_ns > 0 && count < LATENCY_DOMAINS_MAX)
            plans[count++] = (struct latency_plan){.wish = wish, .domid = d->domid, .vcpus = d->vcpus};
    }
    return count;
}

static void latency_set(const struct collet_plugin_host *host, const struct latency_plan *plans, uint32_t count, uint32_t which, double allowance_ns)
{
    const struct latency_plan *p = &plans[which];
    char terms[512];

    latency_terms(plans, count, which, terms, sizeof(terms));
    plugin_set_domain(host, p->domid, "warp_ns", p->warp_ns,
                      "latency %g ms: W = %u x (longest burst + C %g ms) x 256/%g, place %u of %u by target; waits at most %.4g ms = %.4g switch and least slice%s", p->wish.target_ns / 1e6, count - which,
                      allowance_ns / 1e6, LATENCY_WEIGHT_LEAST, which + 1, count, p->worst_ns / 1e6, (LATENCY_SWITCH_NS + LATENCY_LEAST_NS) / 1e6, terms);
    plugin_set_domain(host, p->domid, "warp_limit_ns", p->limit_ns, "latency %g ms: L = burst = %g ms", p->wish.target_ns / 1e6, p->limit_ns / 1e6);
    plugin_set_domain(host, p->domid, "unwarp_ns", p->unwarp_ns, "latency %g ms: U = L x (1/cpu - 1) = %g ms x (%u vCPU%s / %g%% - 1)", p->wish.target_ns / 1e6, p->limit_ns / 1e6, p->vcpus,
                      p->vcpus == 1 ? "" : "s", p->wish.cpu_percent);
}

static bool latency_possible(const struct collet_plugin_host *host, struct latency *latency, const struct collet_plugin_world *world)
{
    if (plugin_parameter(world, "warp_ns", PLUGIN_SCOPE_DOMAIN) != NULL && plugin_parameter(world, "warp_limit_ns", PLUGIN_SCOPE_DOMAIN) != NULL &&
        plugin_parameter(world, "unwarp_ns", PLUGIN_SCOPE_DOMAIN) != NULL)
        return true;
    if (strcmp(latency->no_warp, world->sched) != 0)
        plugin_say_text(host, PLUGIN_WARNING, "the scheduler %s has no warp: latency targets have no effect until one that has it (bvt) is used", world->sched);
    snprintf(latency->no_warp, sizeof(latency->no_warp), "%s", world->sched);
    return false;
}

/* Has it waited longer than its target since the last call? Then it is not as its owner said, and should know. */
static void latency_look(const struct collet_plugin_host *host, const struct latency_plan *p, const struct collet_plugin_domain *d)
{
    for (int i = 1; i < 24; i++)
        if (d->interval_latency[i] > 0 && ldexp(1e3, i - 1) >= p->wish.target_ns) {
            plugin_say_text(host, PLUGIN_WARNING, "%s has waited longer than its target of %g ms: it runs longer than %g ms when woken, or uses more of the processor than its weight grants it", p->wish.name,
                            p->wish.target_ns / 1e6, p->limit_ns / 1e6);
            return;
        }
}

static int latency_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    struct latency *latency = state;
    struct latency_plan plans[LATENCY_DOMAINS_MAX];
    double allowance_ns = latency_allowance(world);
    uint32_t count, bad;
    char text[1024];

    (void)event;
    if (!latency_possible(host, latency, world))
        return 0;
    latency->no_warp[0] = '\0';
    count = latency_collect(host, latency, world, plans);
    latency_plan_all(plans, count, allowance_ns);
    /* One that cannot be kept is left out, so that the others are: it is refused at creation; here it got in some other way. */
    while ((bad = latency_infeasible(plans, count, world->cpus, text, sizeof(text))) < count) {
        plugin_say_text(host, PLUGIN_ERROR, "%s: %s; it is left out", plans[bad].wish.place, text);
        memmove(&plans[bad], &plans[bad + 1], (count - bad - 1) * sizeof(plans[0]));
        count--;
        latency_plan_all(plans, count, allowance_ns);
    }
    for (uint32_t i = 0; i < count; i++)
        latency_set(host, plans, count, i, allowance_ns);
    for (uint32_t i = 0; i < world->domain_count; i++) {
        const struct collet_plugin_domain *d = &world->domains[i];
        bool wrong = false;

        for (uint32_t j = 0; j < count; j++)
            if (plans[j].domid == d->domid)
                latency_look(host, &plans[j], d);
        if (latency_wish_of(host, latency, d->name, d->settings, d->setting_count, &wrong).target_ns == 0)
            plugin_set_domain(host, d->domid, "warp_ns", 0, "latency = none");
    }
    return 0;
}

/* A target that cannot be kept, or that would break another's, is refused while its owner is there to read why. */
static int latency_admit(const struct collet_plugin_host *host, void *state, const struct collet_plugin_request *request, const struct collet_plugin_world *world)
{
    struct latency *latency = state;
    struct latency_plan plans[LATENCY_DOMAINS_MAX];
    struct latency_wish wish;
    uint32_t count, bad;
    bool wrong = false;
    char text[1024];

    wish = latency_wish_of(host, latency, request->name, request->settings, request->setting_count, &wrong);
    if (wrong)
        return -EINVAL;
    if (wish.target_ns <= 0 || plugin_parameter(world, "warp_ns", PLUGIN_SCOPE_DOMAIN) == NULL)
        return 0;
    count = latency_collect(host, latency, world, plans);
    if (count == LATENCY_DOMAINS_MAX)
        return -ENOSPC;
    plans[count++] = (struct latency_plan){.wish = wish, .domid = ~0u, .vcpus = request->vcpus};
    latency_plan_all(plans, count, latency_allowance(world));
    bad = latency_infeasible(plans, count, world->cpus, text, sizeof(text));
    if (bad == count)
        return 0;
    plugin_say_text(host, PLUGIN_ERROR, "%s: %s", wish.place, text);
    return -ERANGE;
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_SCHED | COLLET_PLUGIN_ADMISSION,
    .interval_ms = 5000,
    .name = "latency",
    .summary = "a latency target for each domain, to BVT's warp, warp limit and unwarp time",
    .help = latency_help,
    .configure = latency_configure,
    .update = latency_update,
    .admit = latency_admit,
    .end = free,
};
