// SPDX-License-Identifier: MIT
/*
 * xen_version of <xen/version.h>: who we are and what we can do. Guests also use it as the cheapest call there is, to have pending events delivered.
 * Contract: hypercall.h.
 */
#include "boot-info.h"
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "lib/string.h"
#include "version-text.h"
#include "vcpu.h"
#include "x86/layout.h"

#include <hv/errno.h>
#include <xen/features.h>
#include <xen/version.h>

/* The generation of the interface that is spoken here. */
#define INTERFACE_MAJOR 4
#define INTERFACE_MINOR 17

_Static_assert(sizeof(xen_capabilities_info_t) == 1024 && sizeof(struct xen_compile_info) == 144, "sizes that guests see");

static long give(uint64_t arg, const void *answer, size_t bytes)
{
    return copy_to_guest(arg, answer, bytes);
}

/* The whole buffer is given, so that nothing of it stays what it was. */
static long give_text(uint64_t arg, const char *text, size_t bytes)
{
    char buffer[1024];

    memset(buffer, 0, sizeof(buffer));
    strlcpy(buffer, text, min(bytes, sizeof(buffer)));
    return give(arg, buffer, min(bytes, sizeof(buffer)));
}

static uint32_t features(const struct domain *d)
{
    uint32_t bits = 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist | 1u << XENFEAT_gnttab_map_avail_bits;

    if (d->vm_assist & (1u << VMASST_TYPE_pae_extended_cr3))
        bits |= 1u << XENFEAT_pae_pgdir_above_4gb;
    if (d == domain0)
        bits |= 1u << XENFEAT_dom0;
    return bits;
}

static long version_features(const struct domain *d, uint64_t arg)
{
    struct xen_feature_info info;

    if (copy_from_guest(&info, arg, sizeof(info)) != 0)
        return -EFAULT;
    if (info.submap_idx >= XENFEAT_NR_SUBMAPS)
        return -EINVAL;
    info.submap = features(d);
    return give(arg, &info, sizeof(info));
}

static long version_compile_info(uint64_t arg)
{
    struct xen_compile_info info;

    memset(&info, 0, sizeof(info));
    strlcpy(info.compiler, COLLET_COMPILER, sizeof(info.compiler));
    strlcpy(info.compile_by, "collet", sizeof(info.compile_by));
    strlcpy(info.compile_date, COLLET_BUILD_DATE, sizeof(info.compile_date));
    return give(arg, &info, sizeof(info));
}

static long version_platform(uint64_t arg)
{
    struct xen_platform_parameters parameters = {.virt_start = HV_VIRT_START};

    return give(arg, &parameters, sizeof(parameters));
}

static long version_handle(uint64_t arg)
{
    xen_domain_handle_t handle; /* no toolstack has given one yet */

    memset(handle, 0, sizeof(handle));
    return give(arg, handle, sizeof(handle));
}

long hypercall_xen_version(int cmd, uint64_t arg)
{
    struct domain *d = current_vcpu()->domain;

    switch (cmd) {
    case XENVER_version:
        return INTERFACE_MAJOR << 16 | INTERFACE_MINOR;
    case XENVER_extraversion:
        return give_text(arg, COLLET_EXTRAVERSION, XEN_EXTRAVERSION_LEN);
    case XENVER_compile_info:
        return version_compile_info(arg);
    case XENVER_capabilities:
        return give_text(arg, "xen-3.0-x86_64", XEN_CAPABILITIES_INFO_LEN);
    case XENVER_changeset:
        return give_text(arg, COLLET_CHANGESET, XEN_CHANGESET_INFO_LEN);
    case XENVER_platform_parameters:
        return version_platform(arg);
    case XENVER_get_features:
        return version_features(d, arg);
    case XENVER_pagesize:
        return arg == 0 ? (long)PAGE_SIZE : -EINVAL;
    case XENVER_guest_handle:
        return version_handle(arg);
    case XENVER_commandline:
        return give_text(arg, d->privileged ? boot_info.command_line : "<denied>", sizeof(xen_commandline_t));
    case XENVER_build_id:
        return d->privileged ? -ENODATA : -EPERM; /* the image carries none */
    default:
        return -ENOSYS;
    }
}
