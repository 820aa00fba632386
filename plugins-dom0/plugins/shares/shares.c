// SPDX-License-Identifier: MIT
/*
 * shares: percentages of the machine, and caps, to scheduler weights.
 *
 * "40%" is what people mean; weights only say it if all of them are known. So this plugin sets the weight of every domain: those with a share get it, the others divide what is left equally. Where the scheduler's
 * weight counts for each vCPU, a domain's is divided by their number.
 * Contract: <hv/plugin.h>.  Tests: test-shares.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#define SHARES_DOMAINS_MAX 256
#define SHARES_WEIGHT_PER_PERCENT 100.0

/* What is said about a domain in the plugin's own settings or in the domain's definition. */
struct shares_wish {
    char name[64];
    double share, cap; /* per cent; negative: not said */
    char place[128];   /* file:line of the share */
};

struct shares {
    struct shares_wish wish[SHARES_DOMAINS_MAX];
    uint32_t count;
    char no_cap[64]; /* module that was found to have no caps, and has been complained about */
};

static const char shares_help[] = "[domain NAME]        or, in the domain's own definition, [plugin shares]\n"
                                  "share = 40%          of the machine's processor time while all want it; all shares together at most 100%; domains without one divide the rest equally\n"
                                  "cap = 50%            of one processor, at most, even if others are idle (if the scheduler has caps); 0: no cap";

/* One setting of a domain. 0; -EINVAL: said. */
static int shares_read(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct shares_wish *wish)
{
    if (strcmp(s->key, "share") == 0) {
        if (!plugin_read_percent(s->value, &wish->share) || wish->share <= 0 || wish->share > 100)
            return plugin_setting_wrong(host, s, "a percentage above 0 and up to 100 was expected, like 40%%");
        snprintf(wish->place, sizeof(wish->place), "%.100s:%u", s->file, s->line);
        return 0;
    }
    if (strcmp(s->key, "cap") == 0) {
        if (!plugin_read_percent(s->value, &wish->cap) || wish->cap > 6400)
            return plugin_setting_wrong(host, s, "a percentage of one processor was expected, like 50%%");
        return 0;
    }
    return plugin_setting_wrong(host, s, "shares knows `share` and `cap`");
}

static struct shares_wish *shares_find(struct shares *shares, const char *name)
{
    for (uint32_t i = 0; i < shares->count; i++)
        if (strcmp(shares->wish[i].name, name) == 0)
            return &shares->wish[i];
    return NULL;
}

static struct shares_wish *shares_add(struct shares *shares, const char *name)
{
    struct shares_wish *wish = shares_find(shares, name);

    if (wish == NULL && shares->count < SHARES_DOMAINS_MAX) {
        wish = &shares->wish[shares->count++];
        *wish = (struct shares_wish){.share = -1, .cap = -1};
        snprintf(wish->name, sizeof(wish->name), "%s", name);
    }
    return wish;
}

static int shares_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct shares *shares = calloc(1, sizeof(*shares));
    double sum = 0;
    int rc = 0;

    if (shares == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = plugin_section_domain(settings[i].section);
        struct shares_wish *wish = name != NULL ? shares_add(shares, name) : NULL;
        double before;

        if (wish == NULL) {
            rc = plugin_setting_wrong(host, &settings[i], name == NULL ? "a section [domain NAME] was expected before it" : "too many domains");
            continue;
        }
        before = wish->share > 0 ? wish->share : 0;
        if (shares_read(host, &settings[i], wish) != 0) {
            rc = -EINVAL;
            continue;
        }
        sum += (wish->share > 0 ? wish->share : 0) - before;
        if (sum > 100 && strcmp(settings[i].key, "share") == 0)
            rc = plugin_setting_wrong(host, &settings[i], "with this one the shares add up to %g%%; 100%% is all there is", sum);
    }
    if (rc != 0) {
        free(shares);
        return rc;
    }
    *state = shares;
    return 0;
}

/* What holds for a domain: the plugin's settings go before its own definition. A definition that makes no sense counts as none, and is told. */
static struct shares_wish shares_wish_of(const struct collet_plugin_host *host, struct shares *shares, const char *name, const struct collet_plugin_setting *settings, uint32_t count, bool *wrong)
{
    struct shares_wish wish = {.share = -1, .cap = -1}, *ours = shares_find(shares, name);

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(settings[i].section, "plugin shares") == 0 && shares_read(host, &settings[i], &wish) != 0)
            *wrong = true;
    if (*wrong)
        wish.share = wish.cap = -1;
    if (ours != NULL && ours->share >= 0) {
        wish.share = ours->share;
        memcpy(wish.place, ours->place, sizeof(wish.place));
    }
    if (ours != NULL && ours->cap >= 0)
        wish.cap = ours->cap;
    snprintf(wish.name, sizeof(wish.name), "%s", name);
    return wish;
}

static void shares_set_caps(const struct collet_plugin_host *host, struct shares *shares, const struct collet_plugin_world *world, const struct shares_wish *wishes)
{
    const struct collet_plugin_parameter *cap = plugin_parameter(world, "cap", PLUGIN_SCOPE_DOMAIN);

    for (uint32_t i = 0; i < world->domain_count; i++) {
        if (wishes[i].cap < 0)
            continue;
        if (cap != NULL) {
            plugin_set_domain(host, world->domains[i].domid, "cap", wishes[i].cap, "cap = %g%% of one processor", wishes[i].cap);
        } else if (strcmp(shares->no_cap, world->sched) != 0) {
            snprintf(shares->no_cap, sizeof(shares->no_cap), "%s", world->sched);
            plugin_say_text(host, PLUGIN_WARNING, "cap = %g%% of %s has no effect: the scheduler %s has no caps", wishes[i].cap, wishes[i].name, world->sched);
        }
    }
}

struct shares_sum {
    double said, rest_each;
    uint32_t without;
    const char *last_place;
};

static struct shares_sum shares_add_up(const struct shares_wish *wishes, uint32_t count)
{
    struct shares_sum sum = {0};

    for (uint32_t i = 0; i < count; i++) {
        if (wishes[i].share > 0) {
            sum.said += wishes[i].share;
            sum.last_place = wishes[i].place;
        } else {
            sum.without++;
        }
    }
    sum.rest_each = sum.without > 0 ? (100 - sum.said) / sum.without : 0;
    return sum;
}

static void shares_set_weight(const struct collet_plugin_host *host, const struct collet_plugin_domain *domain, const struct collet_plugin_parameter *weight, double share, bool said,
                              const struct shares_sum *sum)
{
    /* A weight that cannot be set for a vCPU is the whole domain's. */
    uint32_t parts = (weight->scopes & PLUGIN_SCOPE_VCPU) != 0 ? domain->vcpus : 1;
    double per_percent = fmin(SHARES_WEIGHT_PER_PERCENT, (double)weight->maximum / 100), asked = share * per_percent / parts;
    double value = fmin(fmax(round(asked), (double)weight->minimum), (double)weight->maximum);
    char rest[96] = "", divided[32] = "";

    if (parts > 1)
        snprintf(divided, sizeof(divided), " / %u vCPUs", parts);
    if (!said)
        snprintf(rest, sizeof(rest), "the rest, (100%% - %g%%) / %u = ", sum->said, sum->without);
    plugin_set_domain(host, domain->domid, "weight", value, "%sshare %.4g%%: %.4g%% x %g%s = %.5g%s", rest, share, share, per_percent, divided, asked,
                      value != round(asked) ? ", brought into the parameter's range" : "");
}

static int shares_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    const struct collet_plugin_parameter *weight = plugin_parameter(world, "weight", PLUGIN_SCOPE_DOMAIN);
    struct shares_wish *wishes = calloc(world->domain_count + 1, sizeof(*wishes));
    struct shares_sum sum;

    (void)event;
    if (wishes == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < world->domain_count; i++) {
        const struct collet_plugin_domain *d = &world->domains[i];
        bool wrong = false;

        wishes[i] = shares_wish_of(host, state, d->name, d->settings, d->setting_count, &wrong);
    }
    sum = shares_add_up(wishes, world->domain_count);
    if (sum.said > 100) {
        plugin_say_text(host, PLUGIN_ERROR, "%s: with this one the shares of the domains that are there add up to %g%%; 100%% is all there is", sum.last_place, sum.said);
        free(wishes);
        return -ERANGE;
    }
    if (weight == NULL)
        plugin_say_text(host, PLUGIN_WARNING, "the scheduler %s has no weights: shares have no effect", world->sched);
    if (sum.without > 0 && sum.rest_each <= 0)
        plugin_say_text(host, PLUGIN_WARNING, "the shares add up to 100%%: domains without a share get next to nothing");
    for (uint32_t i = 0; i < world->domain_count && weight != NULL; i++) {
        bool said = wishes[i].share > 0;

        shares_set_weight(host, &world->domains[i], weight, said ? wishes[i].share : sum.rest_each, said, &sum);
    }
    shares_set_caps(host, state, world, wishes);
    free(wishes);
    return 0;
}

/* A definition whose share makes no sense, or no longer fits, is refused while its owner is there to read why. */
static int shares_admit(const struct collet_plugin_host *host, void *state, const struct collet_plugin_request *request, const struct collet_plugin_world *world)
{
    struct shares_wish wish;
    bool wrong = false, ignored = false;
    double sum = 0;

    wish = shares_wish_of(host, state, request->name, request->settings, request->setting_count, &wrong);
    if (wrong)
        return -EINVAL;
    if (wish.share <= 0)
        return 0;
    for (uint32_t i = 0; i < world->domain_count; i++) {
        const struct collet_plugin_domain *d = &world->domains[i];
        struct shares_wish other = shares_wish_of(host, state, d->name, d->settings, d->setting_count, &ignored);

        if (other.share > 0 && strcmp(d->name, request->name) != 0)
            sum += other.share;
    }
    if (sum + wish.share <= 100)
        return 0;
    plugin_say_text(host, PLUGIN_ERROR, "%s: share = %g%%: the domains that are there have %g%% already; %g%% is left", wish.place, wish.share, sum, 100 - sum);
    return -ERANGE;
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_SCHED | COLLET_PLUGIN_ADMISSION,
    .interval_ms = 5000,
    .name = "shares",
    .summary = "percentages of the machine, and caps, to scheduler weights",
    .help = shares_help,
    .configure = shares_configure,
    .update = shares_update,
    .admit = shares_admit,
    .end = free,
};
