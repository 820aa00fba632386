/* SPDX-License-Identifier: MIT */
/*
 * Guest segment descriptors: GDT and LDT pages, and single updates (xen/xen.h, ABI.md section 3).
 *
 * A page of descriptors has the type FRAME_DESCRIPTOR: the guest cannot write it, each entry was checked. Only code and data segments may stand there; their privilege
 * level is forced to 3. The frames are mapped in each pCPU's GDT and LDT windows when the vCPU is switched in.
 */
#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "page-table.h"
#include "vcpu.h"
#include "x86/cpu-area.h"

#include <hv/errno.h>

#define DESC_DPL (3ull << 45)
#define DESC_S (1ull << 44) /* code or data, not a system descriptor */
#define DESC_P (1ull << 47)
#define DESC_L (1ull << 53)
#define DESC_DB (1ull << 54)
#define DESC_CODE (1ull << 43)
#define DESC_CONFORMING (1ull << 42)

/* The descriptor as it may stand, in *out; false if it may not. Not present ones fault on use and may be anything but system ones turned present. */
static bool descriptor_check(uint64_t desc, uint64_t *out)
{
    *out = desc;
    if (desc == 0 || !(desc & DESC_P))
        return true;
    if (!(desc & DESC_S))
        return false; /* gates, TSS and LDT are the hypervisor's */
    /* A conforming code segment would keep ring 3; L with D set is reserved (SDM vol. 3, 3.4.5). */
    if ((desc & DESC_CODE) && (desc & (DESC_L | DESC_DB)) == (DESC_L | DESC_DB))
        return false;
    *out = desc | DESC_DPL;
    return true;
}

int descriptor_page_validate(uint64_t *page)
{
    uint64_t fixed;
    unsigned int i;

    for (i = 0; i < 512; i++)
        if (!descriptor_check(page[i], &fixed))
            return -EINVAL;
    for (i = 0; i < 512; i++) {
        if (descriptor_check(page[i], &fixed) && fixed != page[i])
            page[i] = fixed;
    }
    return 0;
}

static void frames_drop(const uint64_t *mfns, unsigned int count)
{
    while (count-- > 0)
        if (mfns[count] != 0)
            frame_put_type(MFN(mfns[count]));
}

static void reload_if_current(struct vcpu *v)
{
    uint64_t flags;

    if (v != current_vcpu())
        return;
    flags = irq_save();
    vcpu_descriptors_load(v);
    irq_restore(flags);
}

int vcpu_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned int frames, unsigned int entries)
{
    uint64_t old[GDT_GUEST_FRAMES];
    unsigned int i, old_count = v->gdt_frame_count;
    int rc;

    if (entries > FIRST_RESERVED_GDT_ENTRY || frames > GDT_GUEST_FRAMES || frames != (entries + 511) / 512)
        return -EINVAL;
    for (i = 0; i < frames; i++) {
        rc = frame_get_type(MFN(mfns[i]), v->domain, FRAME_DESCRIPTOR);
        if (rc != 0) {
            frames_drop(mfns, i);
            return rc;
        }
    }
    for (i = 0; i < GDT_GUEST_FRAMES; i++) {
        old[i] = v->gdt_frames[i];
        v->gdt_frames[i] = i < frames ? mfns[i] : 0;
    }
    v->gdt_frame_count = frames;
    v->gdt_entries = entries;
    reload_if_current(v);
    frames_drop(old, old_count);
    return 0;
}

int vcpu_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries)
{
    uint64_t old[LDT_FRAMES], fresh[LDT_FRAMES] = {0};
    unsigned int i, frames = (entries + 511) / 512, old_count = v->ldt_frame_count;
    int rc = 0;

    if (entries > 8192 || (entries != 0 && ((base & (PAGE_SIZE - 1)) || !guest_range_ok(base, entries * 8ul))))
        return -EINVAL;
    if (entries == 0 && old_count == 0)
        return 0;
    for (i = 0; i < frames && rc == 0; i++) {
        mfn_t l1;
        uint64_t *entry = v == current_vcpu() ? pt_walk_l1e(base + i * PAGE_SIZE, &l1) : NULL, value;

        value = entry != NULL ? READ_ONCE(*entry) : 0;
        rc = value & PTE_PRESENT ? frame_get_type(pte_mfn(value), v->domain, FRAME_DESCRIPTOR) : -EINVAL;
        if (rc == 0)
            fresh[i] = pte_mfn(value).n;
    }
    if (rc != 0) {
        frames_drop(fresh, frames);
        return rc;
    }
    for (i = 0; i < LDT_FRAMES; i++) {
        old[i] = v->ldt_frames[i];
        v->ldt_frames[i] = fresh[i];
    }
    v->ldt_frame_count = frames;
    v->ldt_base = base;
    v->ldt_entries = entries;
    reload_if_current(v);
    frames_drop(old, old_count);
    return 0;
}

void vcpu_descriptors_drop(struct vcpu *v)
{
    frames_drop(v->gdt_frames, v->gdt_frame_count);
    frames_drop(v->ldt_frames, v->ldt_frame_count);
    v->gdt_frame_count = v->gdt_entries = v->ldt_frame_count = v->ldt_entries = 0;
}

long hypercall_set_gdt(uint64_t frames, unsigned int entries)
{
    uint64_t mfns[GDT_GUEST_FRAMES] = {0};
    unsigned int count = (entries + 511) / 512;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    if (copy_from_guest(mfns, frames, count * sizeof(mfns[0])) != 0)
        return -EFAULT;
    return vcpu_set_gdt(current_vcpu(), mfns, count, entries);
}

long hypercall_update_descriptor(uint64_t maddr, uint64_t desc)
{
    struct domain *d = current_vcpu()->domain;
    mfn_t mfn = maddr_to_mfn(maddr);
    enum frame_type type;
    int rc;

    if ((maddr & 7) || !descriptor_check(desc, &desc))
        return -EINVAL;
    /* A page not yet in use as descriptors is plain memory. */
    type = frame_in_use_as(mfn, FRAME_DESCRIPTOR) ? FRAME_DESCRIPTOR : FRAME_WRITABLE;
    rc = frame_get_type(mfn, d, type);
    if (rc != 0)
        return rc;
    WRITE_ONCE(((uint64_t *)mfn_to_virt(mfn))[(maddr & (PAGE_SIZE - 1)) / 8], desc);
    frame_put_type(mfn);
    return 0;
}
