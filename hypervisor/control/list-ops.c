/* SPDX-License-Identifier: MIT */
/*
 * What Domain0 can read of domains: the list, each vCPU's account, and frames by type. Contract: <collet/control.h>.
 *
 * Figures are read without stopping anybody: each is right at some moment during the call.
 */
#include "control-internal.h"

#include "alloc.h"
#include "block.h"
#include "cpu.h"
#include "fpu.h"
#include "grant.h"
#include "guest-access.h"
#include "lib/string.h"
#include "mm.h"
#include "vcpu.h"
#include "vfr.h"
#include "x86/layout.h"

#include <hv/errno.h>

#define ENTRY_MIN 8u /* the number comes first */

int control_entry_copy_out(uint64_t to, uint32_t entry_bytes, const void *from, size_t known)
{
    static const char zeroes[64];
    size_t n = min((size_t)entry_bytes, known), at;

    if (copy_to_guest(to, from, n) != 0)
        return -EFAULT;
    for (at = n; at < entry_bytes; at += sizeof(zeroes))
        if (copy_to_guest(to + at, zeroes, min(sizeof(zeroes), entry_bytes - at)) != 0)
            return -EFAULT;
    return 0;
}

bool control_entry_size_ok(uint32_t entry_bytes)
{
    return entry_bytes >= ENTRY_MIN && entry_bytes <= PAGE_SIZE;
}

static uint32_t domain_flags(const struct domain *d)
{
    return (READ_ONCE(d->building) ? COLLET_DOMAIN_BUILDING : 0) | (READ_ONCE(d->control_paused) ? COLLET_DOMAIN_PAUSED : 0) |
           (READ_ONCE(d->shut_down) ? COLLET_DOMAIN_SHUT_DOWN : 0) | (READ_ONCE(d->crashed) ? COLLET_DOMAIN_CRASHED : 0) |
           (READ_ONCE(d->dying) ? COLLET_DOMAIN_DYING : 0) | (d->privileged ? COLLET_DOMAIN_PRIVILEGED : 0) |
           (d->destroy_at_end ? COLLET_DOMAIN_BOOT_MODULE : 0);
}

static uint32_t ports_in_use(const struct domain *d)
{
    uint32_t n = 0;

    for (unsigned int i = 0; i < ARRAY_SIZE(d->events.used); i++)
        for (uint64_t bits = READ_ONCE(d->events.used[i]); bits != 0; bits &= bits - 1) /* no popcount: not every processor has one */
            n++;
    return n;
}

/* What the hypervisor keeps for it, its page tables and shared pages not counted. */
static uint64_t hypervisor_bytes(const struct domain *d, uint32_t vcpus)
{
    uint64_t bytes = sizeof(*d) + vcpus * (sizeof(struct vcpu) + STACK_SIZE - PAGE_SIZE + fpu_state_bytes());

    for (unsigned int i = 0; i < ARRAY_SIZE(d->events.groups); i++)
        bytes += d->events.groups[i] != NULL ? PAGE_SIZE : 0;
    return bytes + domain_grants_bytes(d) + block_domain_bytes(d) + vfr_domain_bytes(d) + d->shared_frames * PAGE_SIZE;
}

/* d's vCPUs stay: domain_memory_enter. */
static void info_fill_vcpus(struct domain *d, struct collet_domain_info *info)
{
    uint32_t vcpus = 0;
    struct vcpu *v;

    for_each_vcpu(d, v) {
        vcpus++;
        info->vcpus_online += !vcpu_is_down(v);
        info->runs_ns += vcpu_virtual_now_ns(v);
        info->hypercalls += READ_ONCE(v->hypercalls);
        info->faults += READ_ONCE(v->faults);
    }
    info->hypervisor_bytes = hypervisor_bytes(d, vcpus);
    info->ports = ports_in_use(d);
}

static void info_fill(struct domain *d, struct collet_domain_info *info)
{
    memset(info, 0, sizeof(*info));
    info->domid = d->id;
    info->flags = domain_flags(d);
    spin_lock(&domain_list_lock); /* the name */
    strlcpy(info->name, d->name, sizeof(info->name));
    spin_unlock(&domain_list_lock);
    info->vcpus_max = d->vcpu_max;
    info->shutdown_reason = d->shutdown_reason;
    info->created_ns = d->created_ns;
    info->frames = READ_ONCE(d->frame_count);
    info->frames_max = READ_ONCE(d->frame_max);
    info->frames_shared = READ_ONCE(d->shared_frames);
    info->events = READ_ONCE(d->events.sent);
    info->grants_mapped = domain_grants_in_use(d);
    if (info->flags & COLLET_DOMAIN_CRASHED)
        strlcpy(info->crash_text, d->crash_text, sizeof(info->crash_text));
    if (domain_memory_enter(d)) {
        info_fill_vcpus(d, info);
        domain_memory_leave(d);
    }
}

long control_domain_list(uint64_t arg, size_t bytes)
{
    struct collet_domain_list a;
    struct collet_domain_info info;
    struct domain *d;
    uint32_t room, id;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_entry_size_ok(a.entry_bytes) || a.pad != 0)
        return -EINVAL;
    room = a.count;
    id = a.first_domid;
    for (a.count = 0; a.count < room && rc == 0; a.count++) {
        d = domain_find_from(id);
        if (d == NULL)
            break;
        id = d->id + 1u;
        info_fill(d, &info);
        domain_put(d);
        rc = control_entry_copy_out(a.buffer + (uint64_t)a.count * a.entry_bytes, a.entry_bytes, &info, sizeof(info));
        preempt_point();
    }
    return rc != 0 ? rc : control_copy_out(arg, bytes, &a, sizeof(a));
}

static void vcpu_fill(struct vcpu *v, struct collet_vcpu_info *info)
{
    memset(info, 0, sizeof(*info));
    info->vcpu = v->id;
    sched_vcpu_account(v, info);
    info->hypercalls = READ_ONCE(v->hypercalls);
    info->events = READ_ONCE(v->upcalls);
    info->faults = READ_ONCE(v->faults);
    info->pt_emulations = READ_ONCE(v->pt_emulations);
}

static int vcpus_list(struct domain *d, struct collet_vcpu_list *a)
{
    struct collet_vcpu_info info;
    uint32_t room = a->count, id;
    int rc = 0;

    a->count = 0;
    for (id = a->first_vcpu; id < d->vcpu_max && a->count < room && rc == 0; id++) {
        if (d->vcpus[id] == NULL)
            continue;
        vcpu_fill(d->vcpus[id], &info);
        rc = control_entry_copy_out(a->buffer + (uint64_t)a->count * a->entry_bytes, a->entry_bytes, &info, sizeof(info));
        a->count++;
    }
    return rc;
}

long control_vcpu_list(uint64_t arg, size_t bytes)
{
    struct collet_vcpu_list a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_entry_size_ok(a.entry_bytes))
        return -EINVAL;
    rc = control_domain_find(a.domid, &d);
    if (rc != 0)
        return rc;
    rc = -ESRCH;
    if (domain_memory_enter(d)) {
        rc = vcpus_list(d, &a);
        domain_memory_leave(d);
    }
    domain_put(d);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &a, sizeof(a));
}

static void page_count(void *arg, mfn_t mfn unused_arg, uint64_t word)
{
    static const uint8_t kinds[16] = {
        [FRAME_NONE] = COLLET_PAGES_NONE, [FRAME_L1] = COLLET_PAGES_L1, [FRAME_L2] = COLLET_PAGES_L2,
        [FRAME_L3] = COLLET_PAGES_L3, [FRAME_L4] = COLLET_PAGES_L4, [FRAME_DESCRIPTOR] = COLLET_PAGES_DESCRIPTOR,
        [FRAME_WRITABLE] = COLLET_PAGES_WRITABLE, [FRAME_SHARED] = COLLET_PAGES_SHARED,
    };
    struct collet_domain_pages *pages = arg;

    pages->frames[word & FRAME_TYPE_COUNT_MASK ? kinds[frame_type_of(word)] : COLLET_PAGES_NONE]++;
    pages->pinned += (word & FRAME_PINNED) != 0;
}

long control_domain_pages(uint64_t arg, size_t bytes)
{
    struct collet_domain_pages a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (a.pad != 0)
        return -EINVAL;
    rc = control_domain_find(a.domid, &d);
    if (rc != 0)
        return rc;
    memset(a.frames, 0, sizeof(a.frames));
    a.pinned = 0;
    rc = -ESRCH;
    if (domain_memory_enter(d)) {
        domain_frames_each(d, page_count, &a);
        domain_memory_leave(d);
        a.frames[COLLET_PAGES_SHARED] += READ_ONCE(d->shared_frames);
        rc = control_copy_out(arg, bytes, &a, sizeof(a));
    }
    domain_put(d);
    return rc;
}
