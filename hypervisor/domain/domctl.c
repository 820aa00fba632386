/* SPDX-License-Identifier: MIT */
/*
 * The one stock operation that Debian's xenstored and xenconsoled ask of the hypervisor about other domains: XEN_DOMCTL_getdomaininfo (<xen/domctl.h>).
 *
 * They take -ESRCH as "no such domain and none above". Domains that are still being built are not shown: the store shall not look at half of one. Everything else that Domain0 wants is
 * asked through the control interface (control/). ABI.md 8.4.
 */
#define __XEN_TOOLS__ 1

#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "lib/string.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/domctl.h>
#include <xen/vcpu.h>

/* The first domain with this number or a higher one that has been built, with a reference. */
static struct domain *domain_built_from(uint32_t id)
{
    struct domain *d;

    while ((d = domain_find_from(id)) != NULL && READ_ONCE(d->building)) {
        id = d->id + 1u;
        domain_put(d);
    }
    return d;
}

static void vcpus_fill(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    bool blocked = true, running = false;
    struct vcpu *v;

    for_each_vcpu(d, v) {
        int state = v->time.runstate.state;

        info->max_vcpu_id = v->id;
        info->cpu_time += vcpu_virtual_now_ns(v);
        if (vcpu_is_down(v))
            continue;
        info->nr_online_vcpus++;
        blocked &= state == RUNSTATE_blocked;
        running |= state == RUNSTATE_running;
    }
    if (info->nr_online_vcpus > 0 && blocked)
        info->flags |= XEN_DOMINF_blocked;
    if (running)
        info->flags |= XEN_DOMINF_running;
}

static void info_fill(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    info->flags = (READ_ONCE(d->dying) ? XEN_DOMINF_dying : 0) | (READ_ONCE(d->control_paused) ? XEN_DOMINF_paused : 0);
    if (READ_ONCE(d->shut_down))
        info->flags |= XEN_DOMINF_shutdown | (uint32_t)d->shutdown_reason << XEN_DOMINF_shutdownshift;
    info->tot_pages = READ_ONCE(d->frame_count);
    info->max_pages = READ_ONCE(d->frame_max);
    info->shared_info_frame = virt_to_mfn(d->shared).n;
    if (domain_memory_enter(d)) {
        vcpus_fill(d, info);
        domain_memory_leave(d);
    }
}

long hypercall_domctl(uint64_t arg)
{
    struct xen_domctl op;
    struct domain *d;

    if (!current_vcpu()->domain->privileged)
        return -EPERM;
    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -EACCES;
    if (op.cmd != XEN_DOMCTL_getdomaininfo)
        return -ENOSYS;
    d = domain_built_from(op.domain);
    if (d == NULL)
        return -ESRCH;
    info_fill(d, &op.u.getdomaininfo);
    op.domain = d->id;
    domain_put(d);
    return copy_to_guest(arg, &op, sizeof(op));
}
