// SPDX-License-Identifier: MIT
/*
 * Grants between three invented domains on invented frames: every operation and status, marks in the entries, a hostile granter, and a random run
 * after which no reference may be left.
 */
// needs: grant-table.c grant-mapping.c grant-map.c grant-copy.c grant-op.c tests/unit/fakes-machine.c

#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "frame.h"
#include "grant-internal.h"
#include "hypercall.h"
#include "tlb.h"
#include "vcpu.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 256u
#define SHARED_BASE 128u /* frames from here on are handed out as shared pages and new frames */

static struct domain doms[3];
static struct vcpu vcpus[3];
static struct {
    struct domain *owner;
    uint32_t refs, writers;
    bool table; /* in use as a page table */
    bool shared;
} frames[FRAMES];
static char memory[FRAMES][4096] aligned_to(4096);
static uint64_t ptes[64]; /* at linear address (i + 1) << 12 */
static uint32_t flushes;

struct domain *domain_find(domid_t id)
{
    if (id == DOMID_SELF)
        id = fake_vcpu->domain->id;
    if (id >= 3)
        return NULL;
    doms[id].refs++;
    return &doms[id];
}
void domain_get(struct domain *d)
{
    d->refs++;
}
void domain_put(struct domain *d)
{
    ck_assert_uint_gt(d->refs, 1);
    d->refs--;
}
bool frame_get(mfn_t mfn, const struct domain *owner)
{
    if (mfn.n >= FRAMES || frames[mfn.n].owner != owner || frames[mfn.n].refs == 0)
        return false;
    frames[mfn.n].refs++;
    return true;
}
void frame_put(mfn_t mfn)
{
    ck_assert_uint_gt(frames[mfn.n].refs, 0);
    if (--frames[mfn.n].refs == 0)
        frames[mfn.n].owner = NULL;
}
int frame_get_type(mfn_t mfn, const struct domain *owner, enum frame_type type)
{
    ck_assert_int_eq(type, FRAME_WRITABLE);
    if (mfn.n < FRAMES && frames[mfn.n].table)
        return -EINVAL;
    if (!frame_get(mfn, owner))
        return -EINVAL;
    frames[mfn.n].writers++;
    return 0;
}
void frame_put_type(mfn_t mfn)
{
    ck_assert_uint_gt(frames[mfn.n].writers, 0);
    frames[mfn.n].writers--;
    frame_put(mfn);
}
void *mfn_to_virt(mfn_t mfn)
{
    return memory[mfn.n];
}
mfn_t virt_to_mfn(const void *va)
{
    return MFN(((const char *)va - memory[0]) / 4096);
}
static uint32_t frame_new(struct domain *d)
{
    for (uint32_t i = SHARED_BASE; i < FRAMES; i++)
        if (frames[i].refs == 0) {
            frames[i].owner = d;
            frames[i].refs = 1;
            frames[i].shared = frames[i].table = false;
            memset(memory[i], 0, 4096);
            return i;
        }
    return 0;
}
void *domain_shared_page_alloc(struct domain *d)
{
    uint32_t i = frame_new(d);

    if (i == 0)
        return NULL;
    frames[i].shared = true;
    return memory[i];
}
void domain_shared_page_free(void *page)
{
    frame_put(virt_to_mfn(page));
}
int domain_frame_alloc(struct domain *d, pfn_t pfn, mfn_t *mfn)
{
    uint32_t i = frame_new(d);

    ck_assert(!mfn_valid_number(pfn));
    if (i == 0)
        return -ENOMEM;
    *mfn = MFN(i);
    return 0;
}
int domain_frame_release(struct domain *d, mfn_t mfn)
{
    if (mfn.n >= FRAMES || frames[mfn.n].owner != d || frames[mfn.n].shared)
        return -EINVAL;
    frame_put(mfn);
    return 0;
}
static uint64_t *pte_at(uint64_t where, bool at_pte)
{
    uint64_t i = at_pte ? where / 8 - 1 : (where >> 12) - 1;

    return i < 64 ? &ptes[i] : NULL;
}
int pt_grant_map(uint64_t where, bool at_pte, mfn_t mfn, struct domain *owner, uint64_t flags)
{
    uint64_t *pte = pte_at(where, at_pte);

    if (pte == NULL || *pte != 0)
        return -EINVAL;
    if (flags & 2 ? frame_get_type(mfn, owner, FRAME_WRITABLE) != 0 : !frame_get(mfn, owner))
        return -EINVAL;
    *pte = mfn.n << 12 | flags;
    return 0;
}
int pt_grant_unmap(uint64_t where, bool at_pte, mfn_t mfn, bool writable)
{
    uint64_t *pte = pte_at(where, at_pte);

    if (pte == NULL || *pte >> 12 != mfn.n || !(*pte & 1) || !!(*pte & 2) != writable)
        return -EINVAL;
    *pte = 0;
    writable ? frame_put_type(mfn) : frame_put(mfn);
    return 0;
}
int pt_grant_replace(uint64_t where, mfn_t mfn, bool writable, uint64_t new_linear)
{
    uint64_t *pte = pte_at(where, false), *from = pte_at(new_linear, false);

    if (from == NULL || pt_grant_unmap(where, false, mfn, writable) != 0)
        return -EINVAL;
    *pte = *from;
    *from = 0;
    return 0;
}
void tlb_flush_mask(cpumask_t mask)
{
    (void)mask;
    flushes++;
}

static void setup(void)
{
    memset(doms, 0, sizeof(doms));
    memset(vcpus, 0, sizeof(vcpus));
    memset(frames, 0, sizeof(frames));
    memset(ptes, 0, sizeof(ptes));
    flushes = 0;
    for (uint32_t d = 0; d < 3; d++) {
        doms[d].id = (domid_t)d;
        doms[d].refs = 1;
        doms[d].privileged = d == 0;
        vcpus[d].domain = &doms[d];
        ck_assert_int_eq(domain_grants_init(&doms[d]), 0);
    }
    for (uint32_t i = 0; i < SHARED_BASE; i++) {
        frames[i].owner = &doms[i % 3];
        frames[i].refs = 1;
        memset(memory[i], (int)i, 4096);
    }
    fake_vcpu = &vcpus[0];
}

/* Everything goes; nothing may be left over. */
static void teardown(void)
{
    for (int d = 0; d < 3; d++)
        domain_grants_destroy(&doms[d]);
    for (uint32_t i = 0; i < 64; i++) /* as page tables would be dropped before */
        if (ptes[i] & 1)
            ptes[i] & 2 ? frame_put_type(MFN(ptes[i] >> 12)) : frame_put(MFN(ptes[i] >> 12));
    for (int d = 0; d < 3; d++) {
        ck_assert_uint_eq(doms[d].refs, 1);
        ck_assert_uint_eq(domain_grants_in_use(&doms[d]), 0);
        ck_assert_uint_eq(doms[d].grants.frame_count, 0);
    }
    for (uint32_t i = 0; i < FRAMES; i++) {
        ck_assert_uint_eq(frames[i].writers, 0);
        ck_assert_uint_le(frames[i].refs, frames[i].owner != NULL);
    }
}

static grant_entry_v1_t *entry(int d, uint32_t ref)
{
    return &doms[d].grants.frames[ref / 512][ref % 512];
}

static void grant(int d, uint32_t ref, domid_t to, uint32_t frame, uint16_t flags)
{
    *entry(d, ref) = (grant_entry_v1_t){.flags = GTF_permit_access | flags, .domid = to, .frame = frame};
}

static void become(int d)
{
    fake_vcpu = &vcpus[d];
}

static long op(unsigned int cmd, void *arg, unsigned int count)
{
    return hypercall_grant_table_op(cmd, (uint64_t)arg, count);
}

static struct gnttab_map_grant_ref map(domid_t dom, uint32_t ref, uint64_t addr, uint32_t flags)
{
    struct gnttab_map_grant_ref m = {.dom = dom, .ref = ref, .host_addr = addr, .flags = flags, .handle = 12345};

    ck_assert_int_eq(op(GNTTABOP_map_grant_ref, &m, 1), 0);
    return m;
}

static int unmap(uint32_t handle, uint64_t addr, uint64_t bus)
{
    struct gnttab_unmap_grant_ref u = {.handle = handle, .host_addr = addr, .dev_bus_addr = bus};

    ck_assert_int_eq(op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    return u.status;
}

START_TEST(map_and_unmap)
{
    struct gnttab_map_grant_ref m;

    grant(1, 8, 0, 4, 0);
    m = map(1, 8, 0x1000, GNTMAP_host_map | GNTMAP_application_map | (1u << _GNTMAP_guest_avail0));
    ck_assert_int_eq(m.status, GNTST_okay);
    ck_assert_uint_eq(ptes[0], 4ull << 12 | 0x200 | 0x67);
    ck_assert_uint_eq(entry(1, 8)->flags, GTF_permit_access | GTF_reading | GTF_writing);
    ck_assert_uint_eq(domain_grants_in_use(&doms[1]), 1);
    ck_assert_int_eq(unmap(m.handle, 0x2000, 0), GNTST_general_error); /* not there */
    ck_assert_int_eq(unmap(m.handle, 0, 0), GNTST_okay);               /* nothing asked, nothing done */
    ck_assert_int_eq(unmap(m.handle + 1, 0x1000, 0), GNTST_bad_handle);
    ck_assert_int_eq(unmap(m.handle, 0x1000, 0), GNTST_okay);
    ck_assert_int_eq(unmap(m.handle, 0x1000, 0), GNTST_bad_handle);
    ck_assert_uint_eq(ptes[0], 0);
    ck_assert_uint_eq(entry(1, 8)->flags, GTF_permit_access);
    ck_assert_uint_eq(flushes, 1);
    ck_assert_uint_eq(frames[4].refs, 1);
}
END_TEST

START_TEST(readonly_and_device)
{
    struct gnttab_map_grant_ref r, d;

    grant(1, 9, 0, 4, GTF_readonly);
    ck_assert_int_eq(map(1, 9, 0x1000, GNTMAP_host_map).status, GNTST_general_error);
    r = map(1, 9, 0x8, GNTMAP_host_map | GNTMAP_readonly | GNTMAP_contains_pte);
    ck_assert_int_eq(r.status, GNTST_okay);
    ck_assert_uint_eq(ptes[0], 4ull << 12 | 0x65);
    ck_assert_uint_eq(entry(1, 9)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
    d = map(1, 9, 0x2000, GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly);
    ck_assert_int_eq(d.status, GNTST_okay);
    ck_assert_uint_eq(d.dev_bus_addr, 4ull << 12);
    ck_assert_int_eq(unmap(r.handle, 0x8, 0), GNTST_okay);
    ck_assert_int_eq(unmap(d.handle, 0, 0x5000), GNTST_bad_dev_addr);
    ck_assert_int_eq(unmap(d.handle, 0x2000, 0), GNTST_okay); /* half of it */
    ck_assert_uint_eq(entry(1, 9)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
    ck_assert_int_eq(unmap(d.handle, 0, 0x4000), GNTST_okay);
    ck_assert_uint_eq(entry(1, 9)->flags, GTF_permit_access | GTF_readonly);
}
END_TEST

START_TEST(map_refusals)
{
    grant(1, 8, 2, 4, 0); /* to another */
    grant(1, 9, 0, 5, 0); /* frame of domain 2 */
    grant(1, 10, 0, 4, GTF_sub_page);
    grant(1, 11, 0, 7, 0);
    grant(1, 12, 0, 100000, 0);
    frames[7].table = true;
    ck_assert_int_eq(map(1, 8, 0x1000, GNTMAP_host_map).status, GNTST_general_error);
    ck_assert_int_eq(map(1, 9, 0x1000, GNTMAP_host_map).status, GNTST_bad_page);
    ck_assert_int_eq(map(1, 10, 0x1000, GNTMAP_host_map).status, GNTST_general_error);
    ck_assert_int_eq(map(1, 11, 0x1000, GNTMAP_host_map).status, GNTST_bad_page);
    ck_assert_int_eq(map(1, 12, 0x1000, GNTMAP_host_map).status, GNTST_bad_page);
    ck_assert_uint_eq(entry(1, 11)->flags, GTF_permit_access); /* marks are taken back */
    ck_assert_int_eq(map(1, 13, 0x1000, GNTMAP_host_map).status, GNTST_general_error); /* empty entry */
    ck_assert_int_eq(map(1, 512, 0x1000, GNTMAP_host_map).status, GNTST_bad_gntref);
    ck_assert_int_eq(map(1, 0xffffffff, 0x1000, GNTMAP_host_map).status, GNTST_bad_gntref);
    ck_assert_int_eq(map(5, 8, 0x1000, GNTMAP_host_map).status, GNTST_bad_domain);
    ck_assert_int_eq(map(1, 8, 0x1000, 0).status, GNTST_bad_gntref);
    grant(1, 8, 0, 4, 0);
    ck_assert_int_eq(map(1, 8, 0x100000, GNTMAP_host_map).status, GNTST_bad_virt_addr);
    ck_assert_int_eq(map(1, 8, 0xffff830000000000, GNTMAP_host_map).status, GNTST_bad_virt_addr);
    ck_assert_int_eq(map(1, 8, 0x9, GNTMAP_host_map | GNTMAP_contains_pte).status, GNTST_bad_virt_addr);
    ck_assert_uint_eq(entry(1, 8)->flags, GTF_permit_access);
}
END_TEST

START_TEST(entry_changed_under_a_mapping)
{
    struct gnttab_map_grant_ref a, b;

    grant(1, 8, 0, 4, 0);
    a = map(1, 8, 0x1000, GNTMAP_host_map);
    grant(1, 8, 2, 7, 0); /* the granter lies: the mapping goes on meaning what was granted */
    ck_assert_int_eq(map(1, 8, 0x2000, GNTMAP_host_map).status, GNTST_okay);
    ck_assert_uint_eq(ptes[1] >> 12, 4);
    become(2);
    b = map(1, 8, 0x3000, GNTMAP_host_map);
    ck_assert_int_eq(b.status, GNTST_general_error); /* in use by domain 0 */
    become(0);
    ck_assert_int_eq(unmap(a.handle, 0x1000, 0), GNTST_okay);
}
END_TEST

START_TEST(unmap_and_replace)
{
    struct gnttab_map_grant_ref m;
    struct gnttab_unmap_and_replace r;

    grant(1, 8, 0, 4, 0);
    m = map(1, 8, 0x1000, GNTMAP_host_map);
    ptes[5] = 0xabc000;
    r = (struct gnttab_unmap_and_replace){.handle = m.handle, .host_addr = 0x1000, .new_addr = 0x6000};
    ck_assert_int_eq(op(GNTTABOP_unmap_and_replace, &r, 1), 0);
    ck_assert_int_eq(r.status, GNTST_okay);
    ck_assert_uint_eq(ptes[0], 0xabc000);
    ck_assert_uint_eq(ptes[5], 0);
    ck_assert_uint_eq(domain_grants_in_use(&doms[1]), 0);
    ptes[0] = 0;
}
END_TEST

START_TEST(many_in_one_call)
{
    static struct gnttab_map_grant_ref maps[60];
    static struct gnttab_unmap_grant_ref unmaps[60];

    for (uint32_t i = 0; i < 60; i++) {
        grant(1, 20 + i, 0, 4 + 3 * (i % 30), 0);
        maps[i] = (struct gnttab_map_grant_ref){.dom = 1, .ref = 20 + i, .host_addr = (i + 1) << 12, .flags = GNTMAP_host_map};
    }
    ck_assert_int_eq(op(GNTTABOP_map_grant_ref, maps, 60), 0);
    for (uint32_t i = 0; i < 60; i++) {
        ck_assert_int_eq(maps[i].status, GNTST_okay);
        unmaps[i] = (struct gnttab_unmap_grant_ref){.host_addr = (i + 1) << 12, .handle = maps[i].handle};
    }
    ck_assert_int_eq(op(GNTTABOP_unmap_grant_ref, unmaps, 60), 0);
    for (uint32_t i = 0; i < 60; i++)
        ck_assert_int_eq(unmaps[i].status, GNTST_okay);
    ck_assert_uint_eq(flushes, 2);
    ck_assert_uint_eq(domain_grants_in_use(&doms[1]), 0);
}
END_TEST

START_TEST(handles_grow_and_end)
{
    struct gnttab_map_grant_ref m;

    grant(1, 8, 0, 4, 0);
    for (uint32_t i = 0; i < GRANT_MAPPINGS_MAX; i++) {
        m = map(1, 8, 0, GNTMAP_device_map);
        ck_assert_int_eq(m.status, GNTST_okay);
        ck_assert_uint_eq(m.handle, i);
    }
    ck_assert_int_eq(map(1, 8, 0, GNTMAP_device_map).status, GNTST_no_space);
    ck_assert_int_eq(unmap(777, 0, 0x4000), GNTST_okay);
    m = map(1, 8, 0, GNTMAP_device_map);
    ck_assert_uint_eq(m.handle, 777);
}
END_TEST

static int copy(struct gnttab_copy c)
{
    ck_assert_int_eq(op(GNTTABOP_copy, &c, 1), 0);
    return c.status;
}

START_TEST(copies)
{
    struct gnttab_copy c = {.source = {.u.ref = 8, .domid = 1, .offset = 10},
                            .dest = {.u.gmfn = 3, .domid = DOMID_SELF, .offset = 20},
                            .len = 100,
                            .flags = GNTCOPY_source_gref};

    grant(1, 8, 0, 4, GTF_readonly);
    ck_assert_int_eq(copy(c), GNTST_okay);
    ck_assert_int_eq(memory[3][19], 3);
    ck_assert_int_eq(memory[3][20], 4);
    ck_assert_int_eq(memory[3][119], 4);
    ck_assert_int_eq(memory[3][120], 3);
    ck_assert_uint_eq(entry(1, 8)->flags, GTF_permit_access | GTF_readonly);
    c.len = 4087;
    ck_assert_int_eq(copy(c), GNTST_bad_copy_arg);
    c.len = 0;
    c.source.offset = 4097;
    ck_assert_int_eq(copy(c), GNTST_bad_copy_arg);
    c.source.offset = 65535;
    c.len = 65535;
    ck_assert_int_eq(copy(c), GNTST_bad_copy_arg);
    c = (struct gnttab_copy){.source = {.u.gmfn = 3, .domid = DOMID_SELF}, .dest = {.u.ref = 8, .domid = 1}, .len = 8, .flags = GNTCOPY_dest_gref};
    ck_assert_int_eq(copy(c), GNTST_general_error); /* read-only */
    grant(1, 8, 0, 4, 0);
    ck_assert_int_eq(copy(c), GNTST_okay);
    ck_assert_int_eq(memory[4][7], 3);
    c.source.u.gmfn = 4; /* not ours */
    ck_assert_int_eq(copy(c), GNTST_bad_page);
    c.source.domid = 1;
    ck_assert_int_eq(copy(c), GNTST_permission_denied);
    c = (struct gnttab_copy){.source = {.u.gmfn = 3, .domid = DOMID_SELF}, .dest = {.u.gmfn = 6, .domid = DOMID_SELF}, .len = 8};
    frames[6].table = true;
    ck_assert_int_eq(copy(c), GNTST_bad_page);
    ck_assert_uint_eq(frames[3].refs, 1);
}
END_TEST

START_TEST(tables)
{
    xen_pfn_t list[8] = {0};
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 4};
    struct gnttab_query_size q = {.dom = DOMID_SELF};
    struct gnttab_set_version v = {.version = 2};
    struct gnttab_get_version g = {.dom = DOMID_SELF};

    become(1);
    set_xen_guest_handle(s.frame_list, list);
    ck_assert_int_eq(op(GNTTABOP_setup_table, &s, 1), 0);
    ck_assert_int_eq(s.status, GNTST_okay);
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_eq(memory[list[i]], doms[1].grants.frames[i]);
    ck_assert_int_eq(op(GNTTABOP_query_size, &q, 1), 0);
    ck_assert_uint_eq(q.nr_frames, 4);
    ck_assert_uint_eq(q.max_nr_frames, GRANT_FRAMES_MAX);
    s.nr_frames = GRANT_FRAMES_MAX + 1;
    ck_assert_int_eq(op(GNTTABOP_setup_table, &s, 1), 0);
    ck_assert_int_eq(s.status, GNTST_general_error);
    s.dom = 2;
    s.nr_frames = 1;
    ck_assert_int_eq(op(GNTTABOP_setup_table, &s, 1), 0);
    ck_assert_int_eq(s.status, GNTST_permission_denied);
    ck_assert_int_eq(op(GNTTABOP_setup_table, &s, 2), -EINVAL);
    s.dom = DOMID_SELF;
    set_xen_guest_handle(s.frame_list, (xen_pfn_t *)8);
    ck_assert_int_eq(op(GNTTABOP_setup_table, &s, 1), 0);
    ck_assert_int_eq(s.status, GNTST_bad_virt_addr);
    ck_assert_int_eq(op(GNTTABOP_set_version, &v, 1), -ENOSYS);
    v.version = 3;
    ck_assert_int_eq(op(GNTTABOP_set_version, &v, 1), -EINVAL);
    v.version = 1;
    ck_assert_int_eq(op(GNTTABOP_set_version, &v, 1), 0);
    ck_assert_int_eq(op(GNTTABOP_get_version, &g, 1), 0);
    ck_assert_uint_eq(g.version, 1);
    g.dom = 0;
    ck_assert_int_eq(op(GNTTABOP_get_version, &g, 1), -EPERM);
    ck_assert_int_eq(op(GNTTABOP_dump_table, &g, 1), -ENOSYS);
    ck_assert_int_eq(op(99, &g, 1), -ENOSYS);
    ck_assert_int_eq(op(GNTTABOP_map_grant_ref, NULL, 0x80000000), -EINVAL);
    for (unsigned int cmd = 0; cmd < 13; cmd++) {
        long rc = op(cmd, NULL, 1);

        ck_assert(rc == -EFAULT || rc == -ENOSYS || rc == -EOPNOTSUPP);
    }
}
END_TEST

START_TEST(swap)
{
    struct gnttab_swap_grant_ref s = {.ref_a = 8, .ref_b = 9};
    struct gnttab_map_grant_ref m;

    grant(0, 8, 0, 3, 0);
    grant(0, 9, 1, 6, GTF_readonly);
    ck_assert_int_eq(op(GNTTABOP_swap_grant_ref, &s, 1), 0);
    ck_assert_int_eq(s.status, GNTST_okay);
    ck_assert_uint_eq(entry(0, 8)->frame, 6);
    ck_assert_uint_eq(entry(0, 9)->frame, 3);
    m = map(0, 9, 0x1000, GNTMAP_host_map); /* one's own grant */
    ck_assert_int_eq(m.status, GNTST_okay);
    ck_assert_int_eq(op(GNTTABOP_swap_grant_ref, &s, 1), 0);
    ck_assert_int_eq(s.status, GNTST_eagain);
    s.ref_b = 512;
    ck_assert_int_eq(op(GNTTABOP_swap_grant_ref, &s, 1), 0);
    ck_assert_int_eq(s.status, GNTST_bad_gntref);
}
END_TEST

START_TEST(transfer)
{
    struct gnttab_transfer t = {.mfn = 3, .domid = 1, .ref = 8};

    *entry(1, 8) = (grant_entry_v1_t){.flags = GTF_accept_transfer, .domid = 0};
    ck_assert_int_eq(op(GNTTABOP_transfer, &t, 1), 0);
    ck_assert_int_eq(t.status, GNTST_okay);
    ck_assert_uint_eq(entry(1, 8)->flags, GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    ck_assert_ptr_eq(frames[entry(1, 8)->frame].owner, &doms[1]);
    ck_assert_int_eq(memory[entry(1, 8)->frame][100], 3);
    ck_assert_ptr_null(frames[3].owner);
    ck_assert_int_eq(op(GNTTABOP_transfer, &t, 1), 0);
    ck_assert_int_eq(t.status, GNTST_bad_page); /* gone */
    t.mfn = 6;
    ck_assert_int_eq(op(GNTTABOP_transfer, &t, 1), 0);
    ck_assert_int_eq(t.status, GNTST_bad_gntref); /* that entry is used up; and so is the frame */
    ck_assert_ptr_null(frames[6].owner);
    t.mfn = 4;
    ck_assert_int_eq(op(GNTTABOP_transfer, &t, 1), 0);
    ck_assert_int_eq(t.status, GNTST_bad_page); /* domain 1's */
}
END_TEST

START_TEST(granter_goes_first)
{
    struct gnttab_map_grant_ref m;

    grant(1, 8, 0, 4, 0);
    m = map(1, 8, 0x1000, GNTMAP_host_map);
    domain_grants_destroy(&doms[1]);
    ck_assert_uint_eq(domain_grants_in_use(&doms[1]), 1);
    ck_assert_int_eq(map(1, 8, 0x2000, GNTMAP_host_map).status, GNTST_bad_domain);
    ck_assert_int_eq(unmap(m.handle, 0x1000, 0), GNTST_okay);
    ck_assert_uint_eq(doms[1].grants.frame_count, 0); /* the last one freed the table */
}
END_TEST

START_TEST(backend_holds)
{
    mfn_t mfn;

    grant(1, 8, 0, 4, GTF_readonly);
    ck_assert_int_eq(grant_hold(&doms[1], 8, 0, true, &mfn), GNTST_general_error);
    ck_assert_int_eq(grant_hold(&doms[1], 8, 0, false, &mfn), 0);
    ck_assert_uint_eq(mfn.n, 4);
    grant_release(&doms[1], 8, false, mfn);
    ck_assert_uint_eq(entry(1, 8)->flags, GTF_permit_access | GTF_readonly);
}
END_TEST

START_TEST(random_run_leaves_nothing)
{
    static struct {
        uint32_t handle;
        uint64_t addr;
        int d;
    } live[64];
    unsigned int seed = 2003;

    printf("test-grant: seed %u\n", seed);
    for (int step = 0; step < 100000; step++) {
        int d = rand_r(&seed) % 3, g = rand_r(&seed) % 3, slot = rand_r(&seed) % 64;
        uint32_t ref = 8 + (uint32_t)rand_r(&seed) % 16;

        become(d);
        switch (rand_r(&seed) % 4) {
        case 0: /* the guest scribbles */
            *entry(g, ref) = (grant_entry_v1_t){.flags = (uint16_t)rand_r(&seed) & 0x1f,
                                                .domid = (domid_t)(rand_r(&seed) % 3),
                                                .frame = (uint32_t)rand_r(&seed) % (SHARED_BASE + 4)};
            break;
        case 1:
            if (live[slot].addr == 0) {
                uint32_t flags = GNTMAP_host_map | ((uint32_t)rand_r(&seed) & GNTMAP_readonly);
                struct gnttab_map_grant_ref m = map((domid_t)g, ref, (uint64_t)(slot + 1) << 12, flags);

                if (m.status == GNTST_okay) {
                    live[slot].handle = m.handle;
                    live[slot].addr = m.host_addr;
                    live[slot].d = d;
                }
            }
            break;
        case 2:
            if (live[slot].addr != 0) {
                become(live[slot].d);
                ck_assert_int_eq(unmap(live[slot].handle, live[slot].addr, 0), GNTST_okay);
                live[slot].addr = 0;
            } else {
                unmap((uint32_t)rand_r(&seed) % 70, (uint64_t)(slot + 1) << 12 | 0x800000, 0);
            }
            break;
        default:
            copy((struct gnttab_copy){.source = {.u.ref = ref, .domid = (domid_t)g, .offset = (uint16_t)rand_r(&seed)},
                                      .dest = {.u.gmfn = (uint32_t)rand_r(&seed) % FRAMES, .domid = DOMID_SELF},
                                      .len = (uint16_t)(rand_r(&seed) % 4096),
                                      .flags = GNTCOPY_source_gref});
        }
    }
}
END_TEST

Suite *suite_grant(void);
Suite *suite_grant(void)
{
    Suite *s = suite_create("grant");
    TCase *c = tcase_create("grant");

    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, map_and_unmap);
    tcase_add_test(c, readonly_and_device);
    tcase_add_test(c, map_refusals);
    tcase_add_test(c, entry_changed_under_a_mapping);
    tcase_add_test(c, unmap_and_replace);
    tcase_add_test(c, many_in_one_call);
    tcase_add_test(c, handles_grow_and_end);
    tcase_add_test(c, copies);
    tcase_add_test(c, tables);
    tcase_add_test(c, swap);
    tcase_add_test(c, transfer);
    tcase_add_test(c, granter_goes_first);
    tcase_add_test(c, backend_holds);
    tcase_add_test(c, random_run_leaves_nothing);
    suite_add_tcase(s, c);
    return s;
}
