/* SPDX-License-Identifier: MIT */
/*
 * Building a domain for Domain0: it gets frames, bytes in them, two shared pages, and a first vCPU. What goes where is the builder's business (sdk/libcollet); that nothing of it can
 * harm anybody else is ours: the page tables pass the same checks as any guest's.
 * While a domain is `building` it cannot run, so nobody but the builder looks at its memory. Contract: <collet/control.h>.
 */
#include "control-internal.h"

#include "../domain/domain-internal.h"
#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "grant.h"
#include "guest-access.h"
#include "lib/string.h"
#include "log.h"
#include "mm.h"

#include <hv/errno.h>
#include <xen/grant_table.h>

#define RESERVE_FRAMES 512u /* kept for the hypervisor's own needs: a builder cannot take the last frames */
#define MFNS_CHUNK 128u

/* A domain that is being built, held so that its memory stays. Pair: building_release. */
static int building_find(uint32_t domid, struct domain **d)
{
    int rc = control_domain_find(domid, d);

    if (rc != 0)
        return rc;
    rc = !READ_ONCE((*d)->building) ? -EBUSY : domain_memory_enter(*d) ? 0 : -ESRCH;
    if (rc != 0)
        domain_put(*d);
    return rc;
}

static void building_release(struct domain *d)
{
    domain_memory_leave(d);
    domain_put(d);
}

static int vcpus_create(struct domain *d)
{
    for (uint32_t id = 0; id < d->vcpu_max; id++)
        if (vcpu_create(d, id) == NULL)
            return -ENOMEM;
    return 0;
}

long control_domain_create(uint64_t arg, size_t bytes)
{
    struct collet_domain_create a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_name_ok(a.name, sizeof(a.name)) || a.vcpus == 0 || a.vcpus > DOMAIN_MAX_VCPUS || a.pad != 0 || a.pad2 != 0)
        return -EINVAL;
    d = domain_create(DOMID_INVALID, a.name, false, a.vcpus, a.frames_max);
    if (d == NULL)
        return -ENOMEM;
    d->building = true;
    d->control_paused = true;
    a.domid = d->id;
    a.shared_info_maddr = virt_to_maddr(d->shared);
    rc = vcpus_create(d);
    domain_get(d); /* once it is on the list, another vCPU may destroy it */
    if (rc == 0)
        rc = domain_publish_unique(d);
    if (rc == 0) {
        change_record(COLLET_CHANGE_DOMAIN_CREATED, d, 0, a.name);
        rc = control_copy_out(arg, bytes, &a, sizeof(a));
    }
    if (rc != 0)
        domain_destroy(d);
    domain_put(d);
    return rc;
}

long control_domain_populate(uint64_t arg, size_t bytes)
{
    struct collet_domain_populate a;
    uint64_t *mfns = NULL;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (a.count == 0 || a.count > COLLET_POPULATE_MAX || a.first_pfn >= 1ull << 40)
        return -EINVAL;
    rc = building_find(a.domid, &d);
    if (rc != 0)
        return rc;
    if (frames_free_count() >= a.count + RESERVE_FRAMES)
        mfns = heap_alloc(a.count * sizeof(mfns[0]));
    rc = mfns == NULL ? -ENOMEM : domain_frames_populate(d, a.first_pfn, a.count, mfns);
    if (rc == 0 && copy_to_guest(a.mfns, mfns, a.count * sizeof(mfns[0])) != 0) {
        for (uint32_t i = 0; i < a.count; i++)
            if (domain_frame_release(d, MFN(mfns[i])) != 0)
                log_error("d%u: frame %#lx stays after a failed population", d->id, (unsigned long)mfns[i]);
        rc = -EFAULT;
    }
    heap_free(mfns);
    building_release(d);
    return rc;
}

/* Into one frame, from `source` or zeroes. */
static int frame_write(struct domain *d, uint64_t mfn, uint64_t offset, uint64_t source, uint64_t bytes)
{
    char *to = (char *)mfn_to_virt(MFN(mfn)) + offset;
    int rc = frame_get_writable(MFN(mfn), d);

    if (rc != 0)
        return rc;
    if (source == 0)
        memset(to, 0, bytes);
    else
        rc = copy_from_guest(to, source, bytes);
    frame_put_type(MFN(mfn));
    return rc;
}

static int frames_write(struct domain *d, const struct collet_domain_write *a)
{
    uint64_t mfns[MFNS_CHUNK], done = 0, page, frames = (a->offset + a->bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
    int rc = 0;

    for (page = 0; page < frames && rc == 0; page++) {
        uint64_t offset = page == 0 ? a->offset : 0, n = min(PAGE_SIZE - offset, a->bytes - done);

        if (page % MFNS_CHUNK == 0)
            rc = copy_from_guest(mfns, a->mfns + page * sizeof(mfns[0]), min(frames - page, (uint64_t)MFNS_CHUNK) * sizeof(mfns[0]));
        if (rc == 0)
            rc = frame_write(d, mfns[page % MFNS_CHUNK], offset, a->source == 0 ? 0 : a->source + done, n);
        done += n;
        preempt_point();
    }
    return rc;
}

long control_domain_write(uint64_t arg, size_t bytes)
{
    struct collet_domain_write a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (a.bytes > COLLET_WRITE_MAX || a.offset >= PAGE_SIZE)
        return -EINVAL;
    rc = building_find(a.domid, &d);
    if (rc != 0)
        return rc;
    rc = frames_write(d, &a);
    building_release(d);
    return rc;
}

long control_domain_share(uint64_t arg, size_t bytes)
{
    struct collet_domain_share a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes), port;

    if (rc != 0)
        return rc;
    if (a.grant_ref >= GNTTAB_NR_RESERVED_ENTRIES || a.pad != 0)
        return -EINVAL;
    rc = building_find(a.domid, &d);
    if (rc != 0)
        return rc;
    port = event_alloc_unbound(d, current_vcpu()->domain->id);
    a.port = (uint32_t)port;
    /* The answer before the grant, which cannot be taken back. */
    rc = port < 0 ? port : control_copy_out(arg, bytes, &a, sizeof(a));
    if (rc == 0)
        rc = grant_seed(d, a.grant_ref, current_vcpu()->domain->id, MFN(a.mfn));
    if (rc != 0 && port >= 0)
        event_close(d, (evtchn_port_t)port);
    building_release(d);
    return rc;
}

/* One start at a time: false if another is going on, or has been. */
static bool start_begin(struct domain *d)
{
    uint64_t flags = spin_lock_irqsave(&d->lifetime_lock);
    bool first = d->building && !d->starting;

    d->starting |= first;
    spin_unlock_irqrestore(&d->lifetime_lock, flags);
    return first;
}

/* From here on the domain is not the builder's any more; or it may try again, after other writes. */
static void start_end(struct domain *d, bool started)
{
    uint64_t flags = spin_lock_irqsave(&d->lifetime_lock);

    d->starting = false;
    d->building = !started;
    spin_unlock_irqrestore(&d->lifetime_lock, flags);
}

static int start_state_set(struct domain *d, const struct collet_domain_start_state *a)
{
    int rc;

    if (!guest_range_ok(a->entry, 1) || !guest_range_ok(a->stack, 0) || !guest_range_ok(a->start_info, 1) || a->ram_frames >= 1ull << 40)
        return -EINVAL;
    if (!start_begin(d))
        return -EBUSY;
    rc = pt_adopt_initial(d, MFN(a->l4_mfn));
    if (rc == 0)
        rc = vcpu_set_base(d->vcpus[0], MFN(a->l4_mfn), false);
    if (rc == 0) {
        d->ram_frames = a->ram_frames;
        vcpu_set_boot_state(d->vcpus[0], a->entry, a->stack, a->start_info);
        domain_wallclock_publish(d);
    }
    start_end(d, rc == 0);
    return rc;
}

long control_domain_start_state(uint64_t arg, size_t bytes)
{
    struct collet_domain_start_state a;
    struct domain *d;
    int rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (a.pad != 0)
        return -EINVAL;
    rc = building_find(a.domid, &d);
    if (rc != 0)
        return rc;
    rc = start_state_set(d, &a);
    building_release(d);
    return rc;
}
