/* SPDX-License-Identifier: MIT */
/*
 * Parameters of the active module: found by name, checked against what the module declares, read and set, one or many at once.
 * Contract: sched.h and <hv/sched-ops.h>. Tests: test-params.c.
 */
#include "run-queue.h"

#include "alloc.h"
#include "changes.h"
#include "domain.h"
#include "lib/string.h"
#include "log.h"
#include "options.h"

#include <hv/errno.h>

bool sched_param_in_range(const struct sched_parameter *param, uint64_t value)
{
    return value >= param->minimum && value <= param->maximum && (param->type != SCHED_PARAM_BOOL || value <= 1);
}

static int param_find(const char *name, uint32_t scope, uint32_t *index)
{
    for (uint32_t i = 0; i < active.param_count; i++) {
        if (strcmp(active.params[i].name, name) != 0)
            continue;
        *index = i;
        return (active.params[i].scopes & scope) ? 0 : -EOPNOTSUPP;
    }
    return -ENOENT;
}

/* Administration lock held: so the vCPU stays. */
static struct sched_vcpu *vcpu_by_id(struct sched_domain *d, uint32_t id)
{
    struct sched_vcpu *s;

    list_for_each_entry(s, &d->vcpus, domain_link)
        if (s->id == id)
            return s;
    return NULL;
}

/* What an entry is about; administration lock held. */
static int entry_find(const struct sched_param_entry *e, struct sched_setting *s)
{
    *s = (struct sched_setting){.value = e->value};
    switch (e->scope) {
    case SCHED_SCOPE_MODULE:
        break;
    case SCHED_SCOPE_DOMAIN:
    case SCHED_SCOPE_VCPU:
        if (e->domain == NULL || !e->domain->sched.known)
            return -ESRCH;
        s->target.domain = &e->domain->sched;
        break;
    default:
        return -EINVAL;
    }
    if (e->scope == SCHED_SCOPE_VCPU) {
        s->target.vcpu = vcpu_by_id(s->target.domain, e->vcpu);
        if (s->target.vcpu == NULL)
            return -ENOENT;
    }
    return param_find(e->name, e->scope, &s->index);
}

static bool module_is_active(const char *name)
{
    return name == NULL || name[0] == '\0' || strcmp(name, active.name) == 0;
}

/* ---- Setting ---- */

static void set_vcpu(struct sched_vcpu *s, uint32_t index, uint64_t value, uint64_t *touched)
{
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);
    struct sched_target target = {.domain = s->domain, .vcpu = s, .queue = &rq->queue};
    uint64_t now_ns = run_queue_now(rq);

    if (rq->queue.running != NULL)
        run_queue_charge(rq, now_ns);
    active.param_set(active_state, &target, index, value, now_ns);
    *touched |= cpu_bit(rq->queue.cpu);
    spin_unlock_irqrestore(&rq->lock, flags);
}

static void make_setting(const struct sched_setting *setting, uint64_t *touched)
{
    const struct sched_target *target = &setting->target;
    struct sched_vcpu *s;

    if (target->vcpu != NULL) {
        set_vcpu(target->vcpu, setting->index, setting->value, touched);
        return;
    }
    active.param_set(active_state, target, setting->index, setting->value, clock_now_ns());
    if (target->domain != NULL)
        list_for_each_entry(s, &target->domain->vcpus, domain_link)
            set_vcpu(s, setting->index, setting->value, touched);
}

/* Each makes sense by itself; do they together? */
int sched_settings_check(const struct sched_setting *settings, uint32_t count)
{
    int rc = active.param_check != NULL ? active.param_check(active_state, settings, count) : 0;

    return rc == 0 || rc == -ENOSPC ? rc : -EINVAL;
}

void sched_settings_make(const struct sched_setting *settings, uint32_t count)
{
    uint64_t touched = 0;

    for (uint32_t i = 0; i < count; i++)
        make_setting(&settings[i], &touched);
    /* The running slices were reckoned with the old values. */
    for (; touched != 0; touched &= touched - 1)
        softirq_raise_on((uint32_t)__builtin_ctzll(touched), SOFTIRQ_SCHEDULE);
}

static int find_all(const struct sched_param_entry *entries, struct sched_setting *settings, uint32_t count, uint32_t *failed)
{
    for (uint32_t i = 0; i < count; i++) {
        int rc = entry_find(&entries[i], &settings[i]);

        if (rc == 0 && !sched_param_in_range(&active.params[settings[i].index], settings[i].value))
            rc = -ERANGE;
        if (rc != 0) {
            *failed = i;
            return rc;
        }
    }
    return 0;
}

int sched_params_set(const char *module, const struct sched_param_entry *entries, uint32_t count, uint32_t *failed)
{
    struct sched_setting *settings = count != 0 ? heap_alloc(count * sizeof(*settings)) : NULL;
    int rc;

    *failed = count;
    if (count != 0 && settings == NULL)
        return -ENOMEM;
    spin_lock(&sched_admin_lock);
    rc = module_is_active(module) ? find_all(entries, settings, count, failed) : -ESTALE;
    if (rc == 0 && count != 0)
        rc = sched_settings_check(settings, count);
    if (rc == 0 && count != 0) {
        sched_settings_make(settings, count);
        change_record(COLLET_CHANGE_SCHED_SET, NULL, count, active.name);
    }
    spin_unlock(&sched_admin_lock);
    heap_free(settings);
    return rc;
}

/* ---- Reading ---- */

static uint64_t get_value(const struct sched_setting *setting)
{
    struct sched_target target = setting->target;
    struct run_queue *rq;
    uint64_t flags, value;

    if (target.vcpu == NULL)
        return active.param_get(active_state, &target, setting->index);
    rq = run_queue_lock_home(target.vcpu, &flags);
    target.queue = &rq->queue;
    value = active.param_get(active_state, &target, setting->index);
    spin_unlock_irqrestore(&rq->lock, flags);
    return value;
}

int sched_params_get(const char *module, struct sched_param_entry *entries, uint32_t count, uint32_t *failed)
{
    struct sched_setting found;
    int rc;

    *failed = count;
    spin_lock(&sched_admin_lock);
    rc = module_is_active(module) ? 0 : -ESTALE;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        rc = entry_find(&entries[i], &found);
        if (rc == 0)
            entries[i].value = get_value(&found);
        else
            *failed = i;
    }
    spin_unlock(&sched_admin_lock);
    return rc;
}

/* ---- One at a time ---- */

static struct sched_param_entry entry_of(struct domain *d, struct vcpu *v, const char *name, uint64_t value)
{
    return (struct sched_param_entry){
        .domain = v != NULL ? v->domain : d,
        .scope = v != NULL ? SCHED_SCOPE_VCPU : d != NULL ? SCHED_SCOPE_DOMAIN : SCHED_SCOPE_MODULE,
        .vcpu = v != NULL ? v->sched.id : 0,
        .name = name,
        .value = value,
    };
}

int sched_param_set(struct domain *d, struct vcpu *v, const char *name, uint64_t value)
{
    struct sched_param_entry entry = entry_of(d, v, name, value);
    uint32_t failed;

    return sched_params_set(NULL, &entry, 1, &failed);
}

int sched_param_get(struct domain *d, struct vcpu *v, const char *name, uint64_t *value)
{
    struct sched_param_entry entry = entry_of(d, v, name, 0);
    uint32_t failed;
    int rc = sched_params_get(NULL, &entry, 1, &failed);

    if (rc == 0)
        *value = entry.value;
    return rc;
}

/* ---- Boot options ---- */

/* Digits of text up to one of the ends, or false. */
static bool parse_number(const char **text, uint64_t *value)
{
    const char *digit = *text;

    *value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (__builtin_mul_overflow(*value, 10ull, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*digit - '0'), value))
            return false;
    if (digit == *text || (*digit != '\0' && *digit != ','))
        return false;
    *text = digit;
    return true;
}

/* sched_params=name:value,... */
void sched_params_from_options(void)
{
    const char *text = boot_options.sched_params;

    while (*text != '\0') {
        const char *colon = strchr(text, ':');
        char name[32];
        uint64_t value;
        int rc;

        if (colon == NULL || (size_t)(colon - text) >= sizeof(name)) {
            log_warning("sched_params: \"%s\" is not name:value; ignored", text);
            return;
        }
        memcpy(name, text, (size_t)(colon - text));
        name[colon - text] = '\0';
        text = colon + 1;
        if (!parse_number(&text, &value)) {
            log_warning("sched_params: %s wants a number; the rest is ignored", name);
            return;
        }
        rc = sched_param_set(NULL, NULL, name, value);
        if (rc != 0)
            log_warning("sched_params: %s has no parameter %s that can be %llu (error %d)", active.name, name,
                        (unsigned long long)value, -rc);
        text += *text == ',';
    }
}
