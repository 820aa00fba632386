// SPDX-License-Identifier: MIT
/* Grant table version 1 with ourselves as the peer: set-up, map by address and by entry, unmap, copy, sizes. */
#include "abi.h"
#include "mini.h"

static struct region r;
static struct grant_entry_v1 *entries;
static domid_t self;

static void setup(void)
{
    static xen_pfn_t frames[1];
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    struct gnttab_set_version version = {.version = 1};

    expect("query-size", gnttab_op(GNTTABOP_query_size, &size, 1), 0);
    check("query-size-answer", size.status == GNTST_okay && size.max_nr_frames >= 1);
    expect("set-version-1", gnttab_op(GNTTABOP_set_version, &version, 1), 0);
    set_xen_guest_handle(s.frame_list, frames);
    expect("setup-table", gnttab_op(GNTTABOP_setup_table, &s, 1), 0);
    expect("setup-table-status", s.status, GNTST_okay);
    expect("grant-frame-maps", region_map(&r, 0, (uint64_t)frames[0] << PAGE_SHIFT | PTE_PAGE), 0);
    entries = region_va(&r, 0);
}

static void grant(unsigned int ref, const void *page, uint16_t flags)
{
    entries[ref].domid = self;
    entries[ref].frame = (uint32_t)mfn_of(page);
    barrier();
    entries[ref].flags = GTF_permit_access | flags;
}

static void map_unmap(void)
{
    uint64_t *page = page_alloc();
    struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)region_va(&r, 2), .flags = GNTMAP_host_map | GNTMAP_device_map, .ref = 20, .dom = self};
    struct gnttab_unmap_grant_ref u = {0};

    grant(20, page, 0);
    expect("map", gnttab_op(GNTTABOP_map_grant_ref, &m, 1), 0);
    expect("map-status", m.status, GNTST_okay);
    check("map-bus-address", m.dev_bus_addr == maddr_of(page));
    *(volatile uint64_t *)region_va(&r, 2) = 0x9a9a;
    check("map-works", page[0] == 0x9a9a);
    check("map-marks-entry", (entries[20].flags & (GTF_reading | GTF_writing)) == (GTF_reading | GTF_writing));
    u.host_addr = m.host_addr;
    u.dev_bus_addr = m.dev_bus_addr;
    u.handle = m.handle;
    expect("unmap", gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1), 0);
    expect("unmap-status", u.status, GNTST_okay);
    check("unmap-clears-entry", (entries[20].flags & (GTF_reading | GTF_writing)) == 0);
    expect("unmapped-faults", catch_read(m.host_addr, NULL), 14);
    u.status = 77;
    gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1);
    check("unmap-twice", u.status < 0);
    /* by the machine address of the entry, read-only */
    grant(20, page, GTF_readonly);
    m = (struct gnttab_map_grant_ref){.host_addr = l1e_maddr(&r, 3), .flags = GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_readonly, .ref = 20, .dom = self};
    expect("map-by-entry", gnttab_op(GNTTABOP_map_grant_ref, &m, 1) == 0 ? m.status : -1000, GNTST_okay);
    check("map-by-entry-works", *(volatile uint64_t *)region_va(&r, 3) == 0x9a9a);
    expect("map-readonly", catch_write((uint64_t)region_va(&r, 3), 1), 14);
    u = (struct gnttab_unmap_grant_ref){.host_addr = m.host_addr, .handle = m.handle};
    gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1);
    expect("unmap-by-entry", u.status, GNTST_okay);
    m = (struct gnttab_map_grant_ref){.host_addr = (uint64_t)region_va(&r, 2), .flags = GNTMAP_host_map, .ref = 20, .dom = self};
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("map-readonly-grant-writable", m.status < 0);
    entries[20].flags = 0;
    m.flags |= GNTMAP_readonly;
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("map-revoked", m.status < 0);
    page_free(page);
}

static void copies(void)
{
    uint64_t *from = page_alloc(), *to = page_alloc();
    struct gnttab_copy c[2];

    memset(c, 0, sizeof(c));
    from[1] = 0xc0c0;
    grant(21, from, GTF_readonly);
    c[0].source.u.ref = 21;
    c[0].source.domid = self;
    c[0].source.offset = 8;
    c[0].dest.u.gmfn = mfn_of(to);
    c[0].dest.domid = DOMID_SELF;
    c[0].dest.offset = 16;
    c[0].len = 8;
    c[0].flags = GNTCOPY_source_gref;
    c[1] = c[0];
    c[1].len = 4090; /* past the end of the page */
    expect("copy", gnttab_op(GNTTABOP_copy, c, 2), 0);
    expect("copy-status", c[0].status, GNTST_okay);
    check("copy-copied", to[2] == 0xc0c0);
    check("copy-over-page-end", c[1].status < 0);
    c[0].flags = GNTCOPY_dest_gref;
    c[0].dest.u.ref = 21;
    c[0].dest.domid = self;
    c[0].source.u.gmfn = mfn_of(to);
    c[0].source.domid = DOMID_SELF;
    gnttab_op(GNTTABOP_copy, c, 1);
    check("copy-to-readonly-grant", c[0].status < 0);
    grant(21, from, 0);
    c[0].source.offset = 16;
    c[0].dest.offset = 24;
    gnttab_op(GNTTABOP_copy, c, 1);
    expect("copy-to-grant", c[0].status, GNTST_okay);
    check("copy-to-grant-copied", from[3] == 0xc0c0);
    entries[21].flags = 0;
    page_free(from);
    page_free(to);
}

static void others(void)
{
    struct gnttab_get_version v = {.dom = DOMID_SELF};
    struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)region_va(&r, 2), .flags = GNTMAP_host_map, .ref = 0x7fffffff, .dom = self};

    expect_any("get-version", gnttab_op(GNTTABOP_get_version, &v, 1), 0, X_ENOSYS);
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("map-bad-ref", m.status < 0);
    m.ref = 20;
    m.dom = 0x1234;
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    expect("map-bad-domain", m.status, GNTST_bad_domain);
    expect("grant-bad-pointer", gnttab_op(GNTTABOP_map_grant_ref, 0x123456789000, 1), X_EFAULT);
    expect_error("grant-unknown-op", gnttab_op(99, &m, 1));
    expect("grant-none", gnttab_op(GNTTABOP_map_grant_ref, &m, 0), 0);
}

void abi_grant(void)
{
    self = (domid_t)arg_number("domu", 0);
    region_build(&r, 10);
    setup();
    map_unmap();
    copies();
    others();
    region_map(&r, 0, 0);
}
