// SPDX-License-Identifier: MIT
/*
 * admission: refuses a domain for which there would not be enough memory or processor time, before anything of it is made.
 *
 * Memory: the maxima of all domains, the new one included, and a reserve have to fit the machine, so that everybody can balloon up to what was promised. Processor time: what was promised to each must fit the
 * processors. A promise is, whichever is greatest: a share of the machine ([plugin shares] share), a reservation (period and slice of edf, under [sched]), or what the definition
 * says itself ([plugin admission] cpu). A cap is no promise, unless the settings say so.
 * Contract: <hv/plugin.h>.  Tests: test-admission.c.  Page: README.md.
 */
#include <hv/plugin-tools.h>

#define FRAMES_PER_MIB 256.0

struct admission {
    double reserve_frames, memory_percent, cpu_percent;
    bool caps;
};

static const char admission_help[] = "reserve = 64M       memory that no domain is promised\n"
                                     "memory = 100%       of the rest that may be promised (more than 100%: not everybody can have all at once)\n"
                                     "cpu = 100%          of the processors that may be promised\n"
                                     "caps = no           does a cap count as a promise?\n"
                                     "In a domain's definition: [plugin admission] cpu = 50%, of one processor: what it counts for";

static int admission_read(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, struct admission *a)
{
    if (s->section[0] != '\0')
        return plugin_setting_wrong(host, s, "admission has no sections");
    if (strcmp(s->key, "reserve") == 0)
        return plugin_read_frames(s->value, &a->reserve_frames) ? 0 : plugin_setting_wrong(host, s, "a size was expected, like 64M");
    if (strcmp(s->key, "memory") == 0)
        return plugin_read_percent(s->value, &a->memory_percent) && a->memory_percent <= 1000 ? 0 : plugin_setting_wrong(host, s, "a percentage up to 1000%% was expected");
    if (strcmp(s->key, "cpu") == 0)
        return plugin_read_percent(s->value, &a->cpu_percent) && a->cpu_percent <= 1000 ? 0 : plugin_setting_wrong(host, s, "a percentage up to 1000%% was expected");
    if (strcmp(s->key, "caps") == 0)
        return plugin_read_bool(s->value, &a->caps) ? 0 : plugin_setting_wrong(host, s, "yes or no was expected");
    return plugin_setting_wrong(host, s, "admission knows reserve, memory, cpu and caps");
}

static int admission_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct admission *a = calloc(1, sizeof(*a));
    int rc = a != NULL ? 0 : -ENOMEM;

    if (a != NULL)
        *a = (struct admission){.reserve_frames = 64 * FRAMES_PER_MIB, .memory_percent = 100, .cpu_percent = 100};
    for (uint32_t i = 0; i < count && a != NULL; i++)
        if (admission_read(host, &settings[i], a) != 0)
            rc = -EINVAL;
    if (rc == 0)
        *state = a;
    else
        free(a);
    return rc;
}

/* ---- Memory ---- */

static int admission_memory(const struct collet_plugin_host *host, const struct admission *a, const struct collet_plugin_request *request, const struct collet_plugin_world *world)
{
    double wanted = (double)(request->frames_max > request->frames ? request->frames_max : request->frames), promised = 0;
    double most = fmax((double)world->frames_total - a->reserve_frames, 0) * a->memory_percent / 100;

    for (uint32_t i = 0; i < world->domain_count; i++) {
        const struct collet_plugin_domain *d = &world->domains[i];

        /* Domain0 counts with what it has: its maximum is what it was given at boot, and it grows only if its operator lets it. */
        promised += (double)(d->domid != 0 && d->frames_max > d->frames ? d->frames_max : d->frames);
    }
    if (promised + wanted <= most)
        return 0;
    plugin_say_text(host, PLUGIN_ERROR,
                    "memory: %s may grow to %.1f MiB, and %u domains that are there to %.1f MiB: together %.1f MiB; %.1f MiB may be promised (%g%% of %.1f MiB without a reserve of %.1f MiB): %.1f MiB are left", request->name,
                    wanted / FRAMES_PER_MIB, world->domain_count, promised / FRAMES_PER_MIB, (promised + wanted) / FRAMES_PER_MIB, most / FRAMES_PER_MIB, a->memory_percent,
                    (double)world->frames_total / FRAMES_PER_MIB, a->reserve_frames / FRAMES_PER_MIB, fmax(most - promised, 0) / FRAMES_PER_MIB);
    return -ENOMEM;
}

/* ---- Processor time, in percent of one processor ---- */

struct promise {
    double percent;
    const char *kind; /* of the greatest */
    const struct collet_plugin_setting *wrong; /* what cannot be read */
};

static void promise_raise(struct promise *p, double percent, const char *kind)
{
    if (percent > p->percent) {
        p->percent = percent;
        p->kind = kind;
    }
}

static void promise_percent(struct promise *p, const struct collet_plugin_setting *s, double factor, const char *kind)
{
    double percent;

    if (s != NULL && !plugin_read_percent(s->value, &percent))
        p->wrong = s;
    else if (s != NULL)
        promise_raise(p, percent * factor, kind);
}

/* What a definition promises a domain with so many vCPUs. */
static struct promise promise_of(const struct admission *a, const struct collet_plugin_setting *settings, uint32_t count, uint32_t vcpus, uint32_t cpus)
{
    const struct collet_plugin_setting *slice = plugin_setting(settings, count, "sched", "slice_ns"), *period = plugin_setting(settings, count, "sched", "period_ns");
    double slice_ns, period_ns = 20e6; /* edf's initial period */
    struct promise p = {.kind = "nothing"};

    promise_percent(&p, plugin_setting(settings, count, "plugin admission", "cpu"), 1, "its own word");
    promise_percent(&p, plugin_setting(settings, count, "plugin shares", "share"), cpus, "a share");
    if (a->caps) {
        promise_percent(&p, plugin_setting(settings, count, "plugin shares", "cap"), 1, "a cap");
        promise_percent(&p, plugin_setting(settings, count, "sched", "cap"), 1, "a cap");
    }
    if (slice != NULL) {
        if (!plugin_read_time(slice->value, &slice_ns))
            p.wrong = slice;
        else if (period != NULL && (!plugin_read_time(period->value, &period_ns) || period_ns == 0))
            p.wrong = period;
        else
            promise_raise(&p, slice_ns / period_ns * 100 * vcpus, "slices in each period");
    }
    return p;
}

static int admission_cpu(const struct collet_plugin_host *host, const struct admission *a, const struct collet_plugin_request *request, const struct collet_plugin_world *world)
{
    struct promise wanted = promise_of(a, request->settings, request->setting_count, request->vcpus, world->cpus);
    double promised = 0, most = a->cpu_percent * world->cpus;

    if (wanted.wrong != NULL)
        return plugin_setting_wrong(host, wanted.wrong, "a number was expected, like 40%% or 5ms");
    if (wanted.percent == 0)
        return 0;
    for (uint32_t i = 0; i < world->domain_count; i++)
        promised += promise_of(a, world->domains[i].settings, world->domains[i].setting_count, world->domains[i].vcpus, world->cpus).percent;
    if (promised + wanted.percent <= most)
        return 0;
    plugin_say_text(host, PLUGIN_ERROR,
                    "processor time: %s is to be promised %g%% of one processor (%s), and the domains that are there have %g%%: together %g%%; %g%% may be promised (%g%% of %u processors): %g%% are left", request->name,
                    wanted.percent, wanted.kind, promised, promised + wanted.percent, most, a->cpu_percent, world->cpus, fmax(most - promised, 0));
    return -ENOSPC;
}

static int admission_admit(const struct collet_plugin_host *host, void *state, const struct collet_plugin_request *request, const struct collet_plugin_world *world)
{
    int memory = admission_memory(host, state, request, world), cpu = admission_cpu(host, state, request, world);

    return memory != 0 ? memory : cpu;
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_ADMISSION,
    .name = "admission",
    .summary = "refuses domains that would overcommit memory or promised processor time",
    .help = admission_help,
    .configure = admission_configure,
    .admit = admission_admit,
    .end = free,
};
