/* SPDX-License-Identifier: MIT */
/*
 * What Domain0 does to domains that exist: pause, unpause, destroy, rename, limit, bind to pCPUs.
 * Contract: <collet/control.h>.
 */
#include "control-internal.h"

#include "changes.h"
#include "cpu.h"
#include "lib/string.h"
#include "vcpu.h"

#include <hv/errno.h>

/* The argument of the operations that only name a domain; with a reference. */
static int ref_copy(uint64_t arg, size_t bytes, struct domain **d)
{
    struct collet_domain_ref a;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    return a.pad != 0 ? -EINVAL : control_domain_find(a.domid, d);
}

/* The same, and its vCPUs stay until hold_release. */
static int hold_copy(uint64_t arg, size_t bytes, struct domain **d)
{
    int rc = ref_copy(arg, bytes, d);

    if (rc == 0 && !domain_memory_enter(*d)) {
        domain_put(*d);
        rc = -ESRCH;
    }
    return rc;
}

static void hold_release(struct domain *d)
{
    domain_memory_leave(d);
    domain_put(d);
}

/* It is (not) paused by us from now on: false if that was so already. Note and deed under one lock, or two callers could do them in different orders. */
static bool paused_change(struct domain *d, bool paused)
{
    uint64_t flags = spin_lock_irqsave(&d->lifetime_lock);
    bool changes = d->control_paused != paused;

    d->control_paused = paused;
    if (changes && paused)
        domain_pause(d);
    else if (changes)
        domain_unpause(d);
    spin_unlock_irqrestore(&d->lifetime_lock, flags);
    return changes;
}

long control_domain_unpause(uint64_t arg, size_t bytes)
{
    struct domain *d;
    int rc = hold_copy(arg, bytes, &d);

    if (rc != 0)
        return rc;
    if (READ_ONCE(d->building)) {
        rc = -EBUSY;
    } else if (paused_change(d, false)) {
        change_record(COLLET_CHANGE_DOMAIN_UNPAUSED, d, 0, d->name);
    }
    hold_release(d);
    return rc;
}

long control_domain_pause(uint64_t arg, size_t bytes)
{
    struct domain *d;
    int rc = hold_copy(arg, bytes, &d);

    if (rc != 0)
        return rc;
    if (d->privileged) {
        rc = -EINVAL;
    } else if (paused_change(d, true)) {
        domain_pause_sync(d);
        domain_unpause(d); /* that was one more, for the waiting */
        change_record(COLLET_CHANGE_DOMAIN_PAUSED, d, 0, d->name);
    }
    hold_release(d);
    return rc;
}

long control_domain_destroy(uint64_t arg, size_t bytes)
{
    struct collet_domain_ref a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (a.pad != 0)
        return -EINVAL;
    /* Not control_domain_find: one that is dying may wait for us to go on. */
    d = a.domid <= 0xffff ? domain_find((domid_t)a.domid) : NULL;
    if (d == NULL)
        return -ESRCH;
    rc = d->privileged ? -EINVAL : domain_destroy_part(d);
    domain_put(d);
    return rc;
}

long control_domain_rename(uint64_t arg, size_t bytes)
{
    struct collet_domain_rename a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_name_ok(a.name, sizeof(a.name)) || a.pad != 0)
        return -EINVAL;
    rc = control_domain_find(a.domid, &d);
    if (rc != 0)
        return rc;
    rc = d->privileged ? -EINVAL : domain_set_name(d, a.name);
    if (rc == 0)
        change_record(COLLET_CHANGE_DOMAIN_RENAMED, d, 0, a.name);
    domain_put(d);
    return rc;
}

long control_domain_memory_max(uint64_t arg, size_t bytes)
{
    struct collet_domain_memory_max a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (a.pad != 0 || a.frames_max == 0 || a.frames_max >= 1ull << 40)
        return -EINVAL;
    rc = control_domain_find(a.domid, &d);
    if (rc != 0)
        return rc;
    spin_lock(&d->memory_lock);
    d->frame_max = a.frames_max;
    spin_unlock(&d->memory_lock);
    change_record(COLLET_CHANGE_MEMORY_MAX, d, a.frames_max, d->name);
    domain_put(d);
    return 0;
}

long control_vcpu_affinity(uint64_t arg, size_t bytes)
{
    struct collet_vcpu_affinity a;
    struct domain *d;
    struct vcpu *v;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if ((a.affinity & cpu_online_mask) == 0)
        return -EINVAL;
    rc = control_domain_find(a.domid, &d);
    if (rc != 0)
        return rc;
    if (!domain_memory_enter(d)) {
        domain_put(d);
        return -ESRCH;
    }
    if (a.vcpu == COLLET_VCPU_ALL) {
        for_each_vcpu(d, v)
            vcpu_set_affinity(v, a.affinity);
    } else if (a.vcpu < d->vcpu_max && d->vcpus[a.vcpu] != NULL) {
        vcpu_set_affinity(d->vcpus[a.vcpu], a.affinity);
    } else {
        rc = -ENOENT;
    }
    hold_release(d);
    return rc;
}
