// SPDX-License-Identifier: MIT
/*
 * diskshares: percentages of each disk's time, to weights of its VBDs.
 *
 * The module `fair` weighs each VBD; people think of domains. So on every disk whose module has weights, the domains with a share get it, the others divide what is left equally, and a domain's part is divided over the VBDs that it has on
 * that disk. Shares are of each disk that a domain uses, not of all disks together: disks do not stand in for one another.
 * Contract: <hv/plugin.h>.  Tests: test-diskshares.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#define DISKSHARES_DOMAINS_MAX 256
#define DISKSHARES_WEIGHT_PER_PERCENT 100.0

struct diskshares_wish {
    char name[64];
    double share;    /* per cent; negative: not said */
    char place[128]; /* file:line of it */
};

struct diskshares {
    struct diskshares_wish wish[DISKSHARES_DOMAINS_MAX];
    uint32_t count;
    char no_weight[64]; /* module that was found to have no weights, and has been complained about */
};

/* A domain on one disk. */
struct diskshares_user {
    const struct collet_plugin_domain *domain;
    struct diskshares_wish wish;
    uint32_t vbds; /* on the disk at hand */
};

static const char diskshares_help[] = "[domain NAME]        or, in the domain's own definition, [plugin diskshares]\n"
                                      "share = 40%          of the time of each disk that it uses, while all want it; at most 100% together; domains without one divide the rest equally";

static int diskshares_read(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct diskshares_wish *wish)
{
    if (strcmp(s->key, "share") != 0)
        return plugin_setting_wrong(host, s, "diskshares knows `share`");
    if (!plugin_read_percent(s->value, &wish->share) || wish->share <= 0 || wish->share > 100) {
        wish->share = -1;
        return plugin_setting_wrong(host, s, "a percentage above 0 and up to 100 was expected, like 40%%");
    }
    snprintf(wish->place, sizeof(wish->place), "%.100s:%u", s->file, s->line);
    return 0;
}

static struct diskshares_wish *diskshares_find(struct diskshares *shares, const char *name)
{
    for (uint32_t i = 0; i < shares->count; i++)
        if (strcmp(shares->wish[i].name, name) == 0)
            return &shares->wish[i];
    return NULL;
}

static struct diskshares_wish *diskshares_add(struct diskshares *shares, const char *name)
{
    struct diskshares_wish *wish = diskshares_find(shares, name);

    if (wish == NULL && shares->count < DISKSHARES_DOMAINS_MAX) {
        wish = &shares->wish[shares->count++];
        *wish = (struct diskshares_wish){.share = -1};
        snprintf(wish->name, sizeof(wish->name), "%s", name);
    }
    return wish;
}

static int diskshares_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct diskshares *shares = calloc(1, sizeof(*shares));
    double sum = 0;
    int rc = 0;

    if (shares == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = plugin_section_domain(settings[i].section);
        struct diskshares_wish *wish = name != NULL ? diskshares_add(shares, name) : NULL;
        double before;

        if (wish == NULL) {
            rc = plugin_setting_wrong(host, &settings[i], name == NULL ? "a section [domain NAME] was expected before it" : "too many domains");
            continue;
        }
        before = fmax(wish->share, 0);
        if (diskshares_read(host, &settings[i], wish) != 0) {
            rc = -EINVAL;
            continue;
        }
        sum += wish->share - before;
        if (sum > 100)
            rc = plugin_setting_wrong(host, &settings[i], "with this one the shares add up to %g%%; 100%% is all there is", sum);
    }
    if (rc != 0) {
        free(shares);
        return rc;
    }
    *state = shares;
    return 0;
}

/* The plugin's settings go before the domain's own definition. A definition that makes no sense counts as none, and is told. */
static struct diskshares_wish diskshares_wish_of(const struct collet_plugin_host *host, struct diskshares *shares, const struct collet_plugin_domain *d)
{
    struct diskshares_wish wish = {.share = -1}, *ours = diskshares_find(shares, d->name);

    for (uint32_t i = 0; i < d->setting_count; i++)
        if (strcmp(d->settings[i].section, "plugin diskshares") == 0)
            diskshares_read(host, &d->settings[i], &wish);
    if (ours != NULL && ours->share >= 0)
        wish = *ours;
    return wish;
}

static const struct collet_plugin_parameter *diskshares_weight(const struct collet_plugin_disk *disk)
{
    for (uint32_t i = 0; i < disk->parameter_count; i++)
        if (strcmp(disk->parameters[i].name, "weight") == 0 && (disk->parameters[i].scopes & PLUGIN_SCOPE_VBD) != 0)
            return &disk->parameters[i];
    return NULL;
}

/* The domains that have something of this disk: how many. */
static uint32_t diskshares_users(const struct collet_plugin_host *host, struct diskshares *shares, const struct collet_plugin_world *world, uint32_t disk, struct diskshares_user *users)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->domain_count; i++) {
        struct diskshares_user user = {.domain = &world->domains[i]};

        for (uint32_t j = 0; j < world->vbd_count; j++)
            user.vbds += world->vbds[j].disk == disk && world->vbds[j].domid == user.domain->domid;
        if (user.vbds == 0)
            continue;
        user.wish = diskshares_wish_of(host, shares, user.domain);
        users[count++] = user;
    }
    return count;
}

static void diskshares_set(const struct collet_plugin_host *host, const struct collet_plugin_world *world, const struct collet_plugin_disk *disk, const struct collet_plugin_parameter *weight,
                           const struct diskshares_user *user, double share, const char *rest)
{
    double per_percent = fmin(DISKSHARES_WEIGHT_PER_PERCENT, (double)weight->maximum / 100), asked = share * per_percent / user->vbds;
    double value = fmin(fmax(round(asked), (double)weight->minimum), (double)weight->maximum);
    char divided[32] = "";

    if (user->vbds > 1)
        snprintf(divided, sizeof(divided), " / %u VBDs", user->vbds);
    for (uint32_t i = 0; i < world->vbd_count; i++)
        if (world->vbds[i].disk == disk->disk && world->vbds[i].domid == user->domain->domid)
            plugin_set_vbd(host, disk->disk, world->vbds[i].vbd, "weight", value, "%s of %s: %sshare %.4g%%: %.4g%% x %g%s = %.5g%s", world->vbds[i].name, user->domain->name, rest, share, share, per_percent,
                           divided, asked, value != round(asked) ? ", brought into the parameter's range" : "");
}

static int diskshares_disk(const struct collet_plugin_host *host, struct diskshares *shares, const struct collet_plugin_world *world, const struct collet_plugin_disk *disk, struct diskshares_user *users)
{
    const struct collet_plugin_parameter *weight = diskshares_weight(disk);
    uint32_t count = diskshares_users(host, shares, world, disk->disk, users), without = 0;
    double said = 0, rest_each;
    const char *last = "";
    char rest[96];

    for (uint32_t i = 0; i < count; i++) {
        said += fmax(users[i].wish.share, 0);
        without += users[i].wish.share < 0;
        last = users[i].wish.share >= 0 ? users[i].wish.place : last;
    }
    if (said > 100) {
        plugin_say_text(host, PLUGIN_ERROR, "%s: the shares of the domains on %s add up to %g%%; 100%% is all there is", last, disk->name, said);
        return -ERANGE;
    }
    if (weight == NULL) {
        if (said > 0 && strcmp(shares->no_weight, disk->module) != 0) {
            snprintf(shares->no_weight, sizeof(shares->no_weight), "%s", disk->module);
            plugin_say_text(host, PLUGIN_WARNING, "%s: the module %s has no weights: shares have no effect (`collet disk sched use %s fair`)", disk->name, disk->module, disk->name);
        }
        return 0;
    }
    if (said == 0)
        return 0; /* nobody said anything: weights set by hand stay */
    rest_each = without > 0 ? (100 - said) / without : 0;
    snprintf(rest, sizeof(rest), "the rest, (100%% - %g%%) / %u = ", said, without);
    for (uint32_t i = 0; i < count; i++)
        diskshares_set(host, world, disk, weight, &users[i], users[i].wish.share >= 0 ? users[i].wish.share : rest_each, users[i].wish.share >= 0 ? "" : rest);
    return 0;
}

static int diskshares_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    struct diskshares_user *users;
    int rc = 0;

    (void)event;
    if (world->size < offsetof(struct collet_plugin_world, vbds) + sizeof(world->vbds) || host->size < sizeof(struct collet_plugin_host)) {
        plugin_say_text(host, PLUGIN_ERROR, "this daemon is older than disks");
        return -ENOTSUP;
    }
    users = calloc(world->domain_count + 1, sizeof(*users));
    if (users == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < world->disk_count && rc == 0; i++)
        rc = diskshares_disk(host, state, world, &world->disks[i], users);
    free(users);
    return rc;
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_DISK,
    .interval_ms = 2000,
    .name = "diskshares",
    .summary = "percentages of each disk's time to weights of VBDs",
    .help = diskshares_help,
    .configure = diskshares_configure,
    .update = diskshares_update,
    .end = free,
};
