/* SPDX-License-Identifier: MIT */
/*
 * Control operations on the scheduler: which modules there are, which one is in charge and how it fares, another one, parameters.
 * Contract: <collet/control.h>. The work is the scheduler core's (sched.h); here arguments are copied and checked.
 */
#include "control-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "sched.h"

#include <hv/errno.h>

_Static_assert((int)COLLET_PARAM_UINT == SCHED_PARAM_UINT && (int)COLLET_PARAM_NS == SCHED_PARAM_NS &&
                   (int)COLLET_PARAM_BOOL == SCHED_PARAM_BOOL,
               "types of parameters are the modules'");
_Static_assert((int)COLLET_SCOPE_MODULE == SCHED_SCOPE_MODULE && (int)COLLET_SCOPE_DOMAIN == SCHED_SCOPE_DOMAIN &&
                   (int)COLLET_SCOPE_VCPU == SCHED_SCOPE_VCPU,
               "scopes are the modules'");

static bool ends(const char *text, size_t room)
{
    return strnlen(text, room) < room;
}

long control_sched_list(uint64_t arg, size_t bytes)
{
    struct collet_sched_list op;
    struct collet_sched_module m;
    const struct sched_ops *ops;
    uint32_t written = 0;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    while (written < op.count && op.first + written >= op.first && (ops = sched_module_at(op.first + written)) != NULL) {
        memset(&m, 0, sizeof(m));
        strlcpy(m.name, ops->name, sizeof(m.name));
        if (ops->summary != NULL)
            strlcpy(m.summary, ops->summary, sizeof(m.summary));
        m.params = ops->param_count;
        m.active = strcmp(ops->name, sched_active_name()) == 0;
        if (copy_to_guest(op.buffer + written * sizeof(m), &m, sizeof(m)) != 0)
            return -EFAULT;
        written++;
    }
    op.count = written;
    return control_copy_out(arg, bytes, &op, sizeof(op));
}

static int copy_param(uint64_t to, const struct sched_parameter *from)
{
    struct collet_sched_param p;

    memset(&p, 0, sizeof(p));
    strlcpy(p.name, from->name, sizeof(p.name));
    if (from->help != NULL)
        strlcpy(p.help, from->help, sizeof(p.help));
    p.type = (uint32_t)from->type;
    p.scopes = from->scopes;
    p.minimum = from->minimum;
    p.maximum = from->maximum;
    p.initial = from->initial;
    return copy_to_guest(to, &p, sizeof(p));
}

long control_sched_param_list(uint64_t arg, size_t bytes)
{
    struct collet_sched_param_list op;
    const struct sched_ops *ops;
    uint32_t count;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!ends(op.module, sizeof(op.module)))
        return -EINVAL;
    ops = sched_module_find(op.module);
    if (ops == NULL)
        return -ENOENT;
    count = op.first < ops->param_count ? min(op.count, ops->param_count - op.first) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (copy_param(op.buffer + i * sizeof(struct collet_sched_param), &ops->params[op.first + i]) != 0)
            return -EFAULT;
    op.count = count;
    return control_copy_out(arg, bytes, &op, sizeof(op));
}

long control_sched_status(uint64_t arg, size_t bytes)
{
    struct collet_sched_status *status = heap_alloc(sizeof(*status)); /* some KiB: too much for the stack */
    int rc;

    if (status == NULL)
        return -ENOMEM;
    rc = control_copy_in(status, sizeof(*status), arg, bytes);
    if (rc == 0) {
        sched_status_read(status);
        rc = control_copy_out(arg, bytes, status, sizeof(*status));
    }
    heap_free(status);
    return rc;
}

long control_sched_use(uint64_t arg, size_t bytes)
{
    struct collet_sched_use op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!ends(op.module, sizeof(op.module)) || op.module[0] == '\0')
        return -EINVAL;
    return sched_use(op.module);
}

/* ---- Values ---- */

/* A list of values while it is worked on. */
struct values {
    struct collet_sched_values op;
    struct collet_sched_value *wire;   /* as the caller gave them */
    struct sched_param_entry *entries; /* the same for the core; each holds a reference to its domain */
};

static int entry_from_wire(struct sched_param_entry *e, const struct collet_sched_value *w)
{
    if (!ends(w->name, sizeof(w->name)) || w->pad != 0)
        return -EINVAL;
    e->name = w->name;
    e->scope = w->scope;
    e->vcpu = w->vcpu;
    e->value = w->value;
    if (w->scope == COLLET_SCOPE_MODULE)
        return 0;
    if (w->scope != COLLET_SCOPE_DOMAIN && w->scope != COLLET_SCOPE_VCPU)
        return -EINVAL;
    return control_domain_find(w->domid, &e->domain);
}

static void values_free(struct values *v)
{
    if (v->entries != NULL)
        for (uint32_t i = 0; i < v->op.count; i++)
            if (v->entries[i].domain != NULL)
                domain_put(v->entries[i].domain);
    heap_free(v->entries);
    heap_free(v->wire);
}

/* Copied, checked for form, domains found. On an error everything is given back, and op.failed says which entry it was. */
static int values_read(struct values *v, uint64_t arg, size_t bytes)
{
    int rc = control_copy_in(&v->op, sizeof(v->op), arg, bytes);

    v->wire = NULL;
    v->entries = NULL;
    if (rc != 0)
        return rc;
    v->op.failed = v->op.count;
    if (!ends(v->op.module, sizeof(v->op.module)) || v->op.count > COLLET_SCHED_VALUES_MAX)
        return -EINVAL;
    if (v->op.count == 0)
        return 0;
    v->wire = heap_alloc(v->op.count * sizeof(v->wire[0]));
    v->entries = heap_alloc(v->op.count * sizeof(v->entries[0]));
    if (v->wire == NULL || v->entries == NULL)
        rc = -ENOMEM;
    else if (copy_from_guest(v->wire, v->op.buffer, v->op.count * sizeof(v->wire[0])) != 0)
        rc = -EFAULT;
    for (uint32_t i = 0; rc == 0 && i < v->op.count; i++) {
        rc = entry_from_wire(&v->entries[i], &v->wire[i]);
        if (rc != 0)
            v->op.failed = i;
    }
    if (rc != 0)
        values_free(v);
    return rc;
}

/* `failed` is told on failure too. */
static long values_answer(struct values *v, uint64_t arg, size_t bytes, long rc)
{
    int copied = control_copy_out(arg, bytes, &v->op, sizeof(v->op));

    return rc != 0 ? rc : copied;
}

long control_sched_set(uint64_t arg, size_t bytes)
{
    struct values v;
    int rc = values_read(&v, arg, bytes);

    if (rc == -EFAULT || rc == -E2BIG)
        return rc;
    if (rc == 0) {
        rc = sched_params_set(v.op.module, v.entries, v.op.count, &v.op.failed);
        values_free(&v);
    }
    return values_answer(&v, arg, bytes, rc);
}

long control_sched_get(uint64_t arg, size_t bytes)
{
    struct values v;
    int rc = values_read(&v, arg, bytes);

    if (rc == -EFAULT || rc == -E2BIG)
        return rc;
    if (rc == 0) {
        rc = sched_params_get(v.op.module, v.entries, v.op.count, &v.op.failed);
        for (uint32_t i = 0; rc == 0 && i < v.op.count; i++)
            v.wire[i].value = v.entries[i].value;
        if (rc == 0 && v.op.count != 0 && copy_to_guest(v.op.buffer, v.wire, v.op.count * sizeof(v.wire[0])) != 0)
            rc = -EFAULT;
        values_free(&v);
    }
    return values_answer(&v, arg, bytes, rc);
}
