// SPDX-License-Identifier: MIT
/*
 * Lies in arguments of the operations that are not page tables: event channels, grants, time, vCPU, memory, version, console, physdev. Random handles,
 * ports and references; sub-operations out of range; answers wanted in hypervisor, absent or read-only memory; absurd counts. Nothing here may end the
 * guest, and nothing may be half done.
 */
#include "mini.h"

#define HV_ADDRESS (HYPERVISOR_VIRT_START + 0x28000000000ul)
#define NON_CANONICAL 0x8000000000000000ul
#define UNMAPPED 0x123456789000ul

static struct region r;
static uint8_t *readonly_page, *last_page; /* last_page: the next one is absent */
static uint64_t random_state;
static domid_t self;

static uint64_t rnd(void)
{
    return random_next(&random_state);
}

static const uint64_t bad_pointers[] = {HV_ADDRESS, HYPERVISOR_VIRT_START + 0x30000000000ul, HYPERVISOR_VIRT_END - 4, NON_CANONICAL, 0x00007ffffffffffcul, UNMAPPED,
                                        ~0ul, ~3ul};

static bool alive(void)
{
    return xen_version(XENVER_pagesize, 0) == PAGE_SIZE && catch_read(UNMAPPED, NULL) == 14;
}

/* Every command of a hypercall with every bad pointer: an error each time, except for commands that look at no memory. */
static void pointers(const char *name, unsigned int nr, const unsigned int *commands, unsigned int count, bool counted)
{
    bool all = true;

    for (unsigned int i = 0; i < count; i++)
        for (unsigned int j = 0; j < COUNT_OF(bad_pointers) + 1; j++) {
            uint64_t pointer = j < COUNT_OF(bad_pointers) ? bad_pointers[j] : (uint64_t)last_page + PAGE_SIZE - 1;
            long rc = hypercall3(nr, commands[i], pointer, counted ? 1 : 0);

            /* The commands on extents answer how many were done. */
            if (rc > 0 || (rc == 0 && nr != __HYPERVISOR_memory_op)) {
                note("%s: command %u with pointer %lx: %ld\n", name, commands[i], pointer, rc);
                all = false;
            }
        }
    check(name, all && alive());
}

static void all_pointers(void)
{
    static const unsigned int evtchn[] = {EVTCHNOP_bind_interdomain, EVTCHNOP_bind_virq, EVTCHNOP_close, EVTCHNOP_send, EVTCHNOP_status, EVTCHNOP_alloc_unbound,
                                          EVTCHNOP_bind_ipi, EVTCHNOP_bind_vcpu, EVTCHNOP_unmask, EVTCHNOP_reset};
    static const unsigned int grant[] = {GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GNTTABOP_setup_table, GNTTABOP_transfer, GNTTABOP_copy,
                                         GNTTABOP_query_size, GNTTABOP_unmap_and_replace};
    static const unsigned int sched[] = {SCHEDOP_poll, SCHEDOP_shutdown};
    static const unsigned int memory[] = {XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap, XENMEM_exchange,
                                          XENMEM_current_reservation, XENMEM_machphys_mapping};
    static const unsigned int version[] = {XENVER_extraversion, XENVER_compile_info, XENVER_capabilities, XENVER_changeset, XENVER_platform_parameters,
                                           XENVER_get_features};

    pointers("event-bad-pointers", __HYPERVISOR_event_channel_op, evtchn, COUNT_OF(evtchn), false);
    pointers("grant-bad-pointers", __HYPERVISOR_grant_table_op, grant, COUNT_OF(grant), true);
    pointers("sched-bad-pointers", __HYPERVISOR_sched_op, sched, COUNT_OF(sched), false);
    pointers("memory-bad-pointers", __HYPERVISOR_memory_op, memory, COUNT_OF(memory), false);
    pointers("version-bad-pointers", __HYPERVISOR_xen_version, version, COUNT_OF(version), false);
}

/* Answers into read-only memory must fail and leave it alone. */
static void readonly_answers(void)
{
    uint8_t before[64];
    bool all = true;

    memcpy(before, readonly_page, sizeof(before));
    all = all && evtchn_op(EVTCHNOP_alloc_unbound, readonly_page) < 0;
    all = all && evtchn_op(EVTCHNOP_bind_virq, readonly_page) < 0;
    all = all && xen_version(XENVER_get_features, readonly_page) < 0;
    all = all && xen_version(XENVER_capabilities, readonly_page) < 0;
    all = all && memory_op(XENMEM_machphys_mapping, readonly_page) < 0;
    all = all && vcpu_op(VCPUOP_get_runstate_info, 0, readonly_page) < 0;
    all = all && gnttab_op(GNTTABOP_query_size, readonly_page, 1) != 0;
    check("answers-to-readonly-memory", all && memcmp(before, readonly_page, sizeof(before)) == 0 && alive());
    all = true;
    for (int i = 0; i < 300; i++) { /* ports that could not be told must not leak away */
        evtchn_op(EVTCHNOP_alloc_unbound, readonly_page);
        evtchn_op(EVTCHNOP_bind_ipi, readonly_page);
    }
    if (!on_xen) { /* which says that cleaning up would be a mess */
        int port = port_unbound();

        check("ports-not-leaked-by-failed-answers", port > 0 && port < 300);
        port_close(port);
    }
}

static void out_of_range(void)
{
    static const unsigned int numbers[] = {14, 15, 63, 64, 255, 0x7fffffff, 0x80000000, 0xffffffff};
    static uint64_t zero[64];
    bool all = true;

    for (unsigned int i = 0; i < COUNT_OF(numbers); i++) {
        memset(zero, 0, sizeof(zero));
        all = all && evtchn_op(numbers[i], zero) < 0;
        all = all && gnttab_op(numbers[i] + 16, zero, 1) < 0;
        all = all && sched_op(numbers[i] + 16, zero) < 0;
        all = all && vcpu_op(numbers[i] + 32, 0, zero) < 0;
        all = all && memory_op(numbers[i] | 64 | 32, zero) < 0;
        all = all && xen_version(numbers[i], zero) < 0;
        all = all && hypercall2(__HYPERVISOR_nmi_op, numbers[i], zero) < 0;
        all = all && hypercall2(__HYPERVISOR_vm_assist, numbers[i], 0) < 0;
        all = all && hypercall2(__HYPERVISOR_vm_assist, 0, numbers[i] + 32) < 0;
        all = all && callback_op(numbers[i], zero) < 0;
        all = all && vcpu_op(VCPUOP_up, numbers[i], 0) < 0;
        all = all && vcpu_op(VCPUOP_get_runstate_info, numbers[i], zero) < 0;
        if (!all)
            give_up("number %x taken\n", numbers[i]);
    }
    check("sub-operations-out-of-range", all && alive());
}

/* ---- event channels ---- */

static void random_ports(void)
{
    struct evtchn_status s;
    unsigned int taken = 0, open = 0;

    for (unsigned int i = 0; i < 20000; i++) {
        uint32_t port = (uint32_t)(i % 3 == 0 ? rnd() : rnd() % 5000), vcpu = (uint32_t)(i % 5 == 0 ? rnd() : rnd() % 4);
        struct evtchn_close close = {port};
        struct evtchn_send send = {port};
        struct evtchn_unmask unmask = {port};
        struct evtchn_bind_vcpu move = {port, vcpu};
        struct evtchn_bind_interdomain bind = {(domid_t)(i & 1 ? DOMID_SELF : rnd()), port, 0};
        struct evtchn_alloc_unbound alloc = {(domid_t)(i & 1 ? rnd() : DOMID_SELF), (domid_t)rnd(), 0};
        struct evtchn_bind_virq virq = {(uint32_t)(i & 1 ? rnd() : rnd() % 32), vcpu, 0};
        struct evtchn_bind_ipi ipi = {vcpu, 0};

        s = (struct evtchn_status){.dom = (domid_t)(i & 1 ? DOMID_SELF : rnd()), .port = port};
        switch (rnd() % 9) {
        case 0: taken += evtchn_op(EVTCHNOP_close, &close) == 0; break;
        case 1: taken += evtchn_op(EVTCHNOP_send, &send) == 0; break;
        case 2: taken += evtchn_op(EVTCHNOP_unmask, &unmask) == 0; break;
        case 3: taken += evtchn_op(EVTCHNOP_bind_vcpu, &move) == 0; break;
        case 4: taken += evtchn_op(EVTCHNOP_bind_interdomain, &bind) == 0; break;
        case 5: taken += evtchn_op(EVTCHNOP_alloc_unbound, &alloc) == 0; break;
        case 6: taken += evtchn_op(EVTCHNOP_bind_virq, &virq) == 0; break;
        case 7: taken += evtchn_op(EVTCHNOP_bind_ipi, &ipi) == 0; break;
        case 8: taken += evtchn_op(EVTCHNOP_status, &s) == 0; break;
        }
    }
    for (int port = 1; port < PORTS_MAX; port++)
        port_close(port);
    for (int port = 1; port < PORTS_MAX; port++) {
        s = (struct evtchn_status){.dom = DOMID_SELF, .port = (uint32_t)port};
        open += evtchn_op(EVTCHNOP_status, &s) == 0 && s.status != EVTCHNSTAT_closed && s.status != EVTCHNSTAT_pirq;
    }
    note("%u of 20000 taken\n", taken);
    if (!on_xen) /* Xen keeps ports of its own */
        expect("all-ports-closed-again", open, 0);
    check("alive-after-random-ports", alive());
}

static void exhaust_ports(void)
{
    unsigned int count = 0, again = 0;
    long rc = 0;

    while (count < 140000 && (rc = port_unbound()) > 0)
        count++;
    note("%u unbound ports\n", count);
    check("ports-end", rc < 0 && count > 1000);
    expect_error("no-port-for-virq", bind_virq(VIRQ_DEBUG, 0));
    for (int port = 1; port < 140000; port++)
        if (port_close(port) != 0 && port > 4 + (int)count)
            break;
    while (again < count && port_unbound() > 0)
        again++;
    expect("ports-come-back", again, count);
    for (int port = 1; port < 140000; port++)
        if (port_close(port) != 0 && port > 4 + (int)count)
            break;
}

static void polls(void)
{
    static evtchn_port_t ports[256];
    struct sched_poll p = {.nr_ports = 1};
    uint64_t start = now_ns();

    set_xen_guest_handle(p.ports, ports);
    p.nr_ports = 129;
    expect_error("poll-too-many", sched_op(SCHEDOP_poll, &p));
    p.nr_ports = 0xffffffff;
    expect_error("poll-count-huge", sched_op(SCHEDOP_poll, &p));
    p.nr_ports = 1;
    p.ports.p = (void *)UNMAPPED;
    expect_error("poll-ports-unmapped", sched_op(SCHEDOP_poll, &p));
    p.ports.p = (void *)HV_ADDRESS;
    expect_error("poll-ports-hypervisor", sched_op(SCHEDOP_poll, &p));
    set_xen_guest_handle(p.ports, ports);
    ports[0] = 0xffffffff;
    expect_error("poll-port-huge", sched_op(SCHEDOP_poll, &p));
    p.nr_ports = 0;
    p.timeout = 1;
    expect("poll-timeout-past", sched_op(SCHEDOP_poll, &p), 0);
    check("poll-timeout-past-at-once", now_ns() - start < 1000000000);
}

/* ---- grants ---- */

static struct grant_entry_v1 *entries;

static void grant_setup(void)
{
    static xen_pfn_t frames[64];
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};

    set_xen_guest_handle(s.frame_list, frames);
    if (gnttab_op(GNTTABOP_setup_table, &s, 1) != 0 || s.status != 0 || region_map(&r, 0, (uint64_t)frames[0] << PAGE_SHIFT | PTE_PAGE) != 0)
        give_up("grant_setup\n");
    entries = region_va(&r, 0);
    s.nr_frames = 0x7fffffff;
    gnttab_op(GNTTABOP_setup_table, &s, 1);
    check("grant-table-huge", s.status < 0);
    s.nr_frames = 1;
    s.dom = 0x1234;
    gnttab_op(GNTTABOP_setup_table, &s, 1);
    check("grant-table-of-absent-domain", s.status < 0);
    s.dom = DOMID_SELF;
    s.frame_list.p = (void *)HV_ADDRESS;
    s.status = 0;
    check("grant-frame-list-hypervisor", gnttab_op(GNTTABOP_setup_table, &s, 1) < 0 || s.status < 0);
    expect_error("grant-frame-as-table", pte_set(maddr_of(&r.l2[1]), (uint64_t)frames[0] << PAGE_SHIFT | PTE_TABLE));
}

/* The image of the hypervisor, and what it allots from the memory behind: but not our own shared page, since a copy over it would stop our clock. */
static uint64_t hypervisor_frame(void)
{
    uint64_t mfn;

    do
        mfn = 0x100 + rnd() % 0x400;
    while (mfn == start_info->shared_info >> PAGE_SHIFT);
    return mfn;
}

static uint64_t lie_frame(const uint8_t *own)
{
    switch (rnd() % 5) {
    case 0: return mfn_of(own);
    case 1: return mfn_of((void *)start_info->pt_base);
    case 2: return hypervisor_frame();
    case 3: return rnd() & 0xffffffff;
    default: return mfn_of(r.l1);
    }
}

/* References to frames that are not ours to give, mapped and unmapped with what comes. A table page must never become writable through it. */
static void random_grants(void)
{
    uint8_t *own = page_alloc(), *target = page_alloc();
    static uint32_t handles[64];
    unsigned int mapped = 0, unmapped = 0, copied = 0;
    bool breach = false;

    for (unsigned int i = 0; i < 20000; i++) {
        unsigned int ref = 8 + rnd() % 24, slot = rnd() % 64;

        if (i % 7 == 0) {
            entries[ref].domid = (domid_t)(rnd() % 4 ? self : rnd());
            entries[ref].frame = (uint32_t)lie_frame(own);
            entries[ref].flags = (uint16_t)(rnd() % 3 ? GTF_permit_access : rnd());
        }
        switch (rnd() % 4) {
        case 0: {
            struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)region_va(&r, 100 + slot), .flags = GNTMAP_host_map, .ref = ref, .dom = self};

            if (rnd() % 4 == 0)
                m.flags = (uint32_t)rnd();
            if (rnd() % 8 == 0)
                m.host_addr = rnd() % 2 ? bad_pointers[rnd() % COUNT_OF(bad_pointers)] : l1e_maddr(&r, 100 + slot);
            if (rnd() % 8 == 0)
                m.ref = (uint32_t)rnd();
            if (gnttab_op(GNTTABOP_map_grant_ref, &m, 1) == 0 && m.status == 0) {
                uint64_t frame = m.dev_bus_addr >> PAGE_SHIFT;

                mapped++;
                handles[slot] = m.handle;
                if ((m.flags & GNTMAP_device_map) && (frame == mfn_of(r.l1) || frame == mfn_of((void *)start_info->pt_base)) && !(m.flags & GNTMAP_readonly))
                    breach = true;
            }
            break;
        }
        case 1:
        case 2: {
            struct gnttab_unmap_grant_ref u = {.host_addr = (uint64_t)region_va(&r, 100 + slot), .handle = handles[slot]};

            if (rnd() % 4 == 0)
                u.handle = (uint32_t)(rnd() % 2 ? rnd() : rnd() % 100);
            if (rnd() % 8 == 0)
                u.host_addr = rnd();
            if (rnd() % 8 == 0)
                u.dev_bus_addr = rnd();
            unmapped += gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1) == 0 && u.status == 0;
            break;
        }
        default: {
            struct gnttab_copy c;

            memset(&c, 0, sizeof(c));
            c.flags = (uint16_t)(rnd() % 4);
            c.source.domid = c.flags & GNTCOPY_source_gref ? self : DOMID_SELF;
            c.dest.domid = c.flags & GNTCOPY_dest_gref ? self : DOMID_SELF;
            if (c.flags & GNTCOPY_source_gref)
                c.source.u.ref = ref;
            else
                c.source.u.gmfn = lie_frame(own);
            if (c.flags & GNTCOPY_dest_gref)
                c.dest.u.ref = 8 + rnd() % 24;
            else
                c.dest.u.gmfn = rnd() % 2 ? mfn_of(target) : lie_frame(own);
            c.source.offset = (uint16_t)(rnd() % 8 ? 0 : rnd());
            c.dest.offset = (uint16_t)(rnd() % 8 ? 0 : rnd());
            c.len = (uint16_t)(rnd() % 8 ? 64 : rnd());
            copied += gnttab_op(GNTTABOP_copy, &c, 1) == 0 && c.status == 0;
        }
        }
    }
    note("%u mapped, %u unmapped, %u copied\n", mapped, unmapped, copied);
    check("random-grants-no-breach", !breach && mapped > 0 && unmapped > 0);
    for (unsigned int handle = 0; handle < 4096; handle++)
        for (unsigned int slot = 0; slot < 64; slot++) {
            struct gnttab_unmap_grant_ref u = {.host_addr = (uint64_t)region_va(&r, 100 + slot), .handle = handle};

            gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1);
            if (u.status == GNTST_bad_handle)
                break;
        }
    for (unsigned int slot = 0; slot < 64; slot++)
        region_map(&r, 100 + slot, 0);
    memset(entries + 8, 0, 24 * sizeof(*entries));
    check("alive-after-random-grants", alive() && region_map(&r, 99, maddr_of(own) | PTE_PAGE) == 0);
    region_map(&r, 99, 0);
}

static void grant_lies(void)
{
    uint8_t *page = page_alloc();
    struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)region_va(&r, 3), .flags = GNTMAP_host_map, .ref = 40, .dom = self};
    struct gnttab_unmap_grant_ref u = {0};
    struct gnttab_transfer t = {.mfn = mfn_of(page), .domid = self, .ref = 41};
    static uint8_t many[PAGE_SIZE] __attribute__((aligned(4096)));

    entries[40].domid = self;
    entries[40].frame = (uint32_t)mfn_of(r.l1);
    entries[40].flags = GTF_permit_access;
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("grant-of-page-table-writable", m.status < 0);
    m.host_addr = l1e_maddr(&r, 3) + 4;
    m.flags |= GNTMAP_contains_pte;
    entries[40].frame = (uint32_t)mfn_of(page);
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("grant-to-unaligned-entry", m.status < 0);
    m.host_addr = maddr_of(page);
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("grant-to-entry-in-data-page", m.status < 0);
    m.host_addr = maddr_of(r.l2);
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("grant-to-l2-entry", m.status < 0);
    m.host_addr = 0x100000;
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("grant-to-entry-in-hypervisor", m.status < 0);
    /* mapped, then the entry changed by hand: the unmapping must notice and both counts must hold */
    m = (struct gnttab_map_grant_ref){.host_addr = (uint64_t)region_va(&r, 3), .flags = GNTMAP_host_map, .ref = 40, .dom = self};
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    expect("grant-map", m.status, GNTST_okay);
    pte_set(l1e_maddr(&r, 3), 0);
    u = (struct gnttab_unmap_grant_ref){.host_addr = m.host_addr, .handle = m.handle};
    gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1);
    note("unmap of an entry cleared by hand: %d\n", u.status);
    entries[40].flags = 0;
    /* a grant frame given back while mapped by the grant */
    gnttab_op(GNTTABOP_transfer, &t, 1);
    check("transfer-to-no-slot", t.status < 0 || on_xen);
    expect_error("grant-count-huge", gnttab_op(GNTTABOP_map_grant_ref, UNMAPPED, 0xffffffff));
    expect_error("grant-count-negative", gnttab_op(GNTTABOP_unmap_grant_ref, many, 0x80000000));
    check("alive-after-grant-lies", alive());
}

static void exhaust_handles(void)
{
    uint8_t *page = page_alloc();
    unsigned int count = 0;
    static uint32_t handles[20000];
    struct gnttab_map_grant_ref m;

    entries[50].domid = self;
    entries[50].frame = (uint32_t)mfn_of(page);
    entries[50].flags = GTF_permit_access | GTF_readonly;
    for (; count < COUNT_OF(handles); count++) {
        m = (struct gnttab_map_grant_ref){.flags = GNTMAP_device_map | GNTMAP_readonly, .ref = 50, .dom = self};
        gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
        if (m.status != 0)
            break;
        handles[count] = m.handle;
    }
    note("%u mappings of one reference, then %d\n", count, m.status);
    for (unsigned int i = 0; i < count; i++) {
        struct gnttab_unmap_grant_ref u = {.dev_bus_addr = maddr_of(page), .handle = handles[i]};

        gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1);
        if (u.status != 0) {
            check("every-mapping-unmaps", false);
            break;
        }
    }
    check("grant-unpinned-afterwards", !(entries[50].flags & (GTF_reading | GTF_writing)));
    entries[50].flags = 0;
}

/* ---- the rest ---- */

static void vcpu_areas(void)
{
    struct vcpu_register_vcpu_info info = {.mfn = mfn_of((void *)start_info->pt_base), .offset = 0};
    struct vcpu_register_runstate_memory_area area = {0};
    struct vcpu_register_time_memory_area time = {0};
    struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = ~0ul, .flags = ~0u};
    struct vcpu_set_periodic_timer period = {.period_ns = 0};
    bool all = true;

    expect_error("vcpu-info-on-page-table", vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    info.mfn = 0x100;
    expect_error("vcpu-info-on-hypervisor-frame", vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    info.mfn = ~0ul;
    expect_error("vcpu-info-beyond-memory", vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    info.mfn = (*pte_find((uint64_t)last_page, 1) & PTE_ADDR) >> PAGE_SHIFT;
    info.offset = PAGE_SIZE - 8;
    expect_error("vcpu-info-over-page-end", vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    info.offset = 0xffffffc0;
    expect_error("vcpu-info-offset-huge", vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++) {
        area.addr.p = bad_pointers[i];
        vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area); /* refused, or written to in vain */
        time.addr.p = bad_pointers[i];
        vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time);
        sched_op(SCHEDOP_yield, 0);
        pause_ns(200000);
        all = all && alive();
    }
    area.addr.p = (uint64_t)start_info->pt_base + 256 * 8; /* the root's hypervisor slots: not writable by anyone's address */
    vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    pause_ns(2000000);
    check("runstate-areas-anywhere", all && alive());
    area.addr.p = 0;
    vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    time.addr.p = 0;
    vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time);
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    shot.timeout_abs_ns = 0x8000000000000000;
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    vcpu_op(VCPUOP_set_periodic_timer, 0, &period);
    period.period_ns = ~0ul;
    vcpu_op(VCPUOP_set_periodic_timer, 0, &period);
    period.period_ns = 1;
    expect_error("periodic-timer-of-a-nanosecond", vcpu_op(VCPUOP_set_periodic_timer, 0, &period));
    set_timer_op(~0ul);
    set_timer_op(0x7fffffffffffffff);
    set_timer_op(0);
    vcpu_op(VCPUOP_stop_periodic_timer, 0, 0);
    vcpu_op(VCPUOP_stop_singleshot_timer, 0, 0);
    check("timers-absurd", alive());
}

static void memory_lies(void)
{
    static xen_pfn_t list[8];
    struct xen_memory_reservation x;
    domid_t self_id = DOMID_SELF;
    long before = memory_op(XENMEM_current_reservation, &self_id);
    static const unsigned int commands[] = {XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap};

    for (unsigned int i = 0; i < 3000; i++) {
        memset(&x, 0, sizeof(x));
        for (unsigned int j = 0; j < COUNT_OF(list); j++)
            list[j] = rnd() % 3 == 0 ? mfn_of((void *)start_info->pt_base) ^ (rnd() & ~0xffffful) : rnd() >> (rnd() % 64) | 1ul << 40;
        set_xen_guest_handle(x.extent_start, list);
        x.nr_extents = rnd() % 4 ? 1 + rnd() % 8 : rnd();
        x.extent_order = (unsigned int)(rnd() % 4 ? 20 + rnd() % 30 : rnd());
        x.mem_flags = (unsigned int)(rnd() % 2 ? 0 : rnd());
        x.domid = (domid_t)(rnd() % 2 ? DOMID_SELF : rnd());
        if (rnd() % 4 == 0)
            x.extent_start.p = (void *)bad_pointers[rnd() % COUNT_OF(bad_pointers)];
        memory_op(commands[rnd() % COUNT_OF(commands)], &x);
    }
    expect("memory-lies-change-nothing", memory_op(XENMEM_current_reservation, &self_id), before);
    expect_error("memory-of-absent-domain", memory_op(XENMEM_current_reservation, (&(domid_t){0x1234})));
    check("alive-after-memory-lies", alive());
}

static void console_and_others(void)
{
    static uint64_t zero[128];

    expect_error("console-write-hypervisor", hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 16, HV_ADDRESS));
    expect_error("console-write-non-canonical", hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 16, NON_CANONICAL));
    expect_error("console-write-huge-unmapped", hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 0x7fffffff, UNMAPPED));
    expect_error("console-command", hypercall3(__HYPERVISOR_console_io, 0x7fffffff, 1, zero));
    hypercall3(__HYPERVISOR_console_io, CONSOLEIO_read, 0x7fffffff, HV_ADDRESS);
    for (unsigned int i = 0; i < 64; i++) {
        memset(zero, 0xff, sizeof(zero));
        if (on_xen && i < 40)
            continue; /* a real Domain0 may do real things */
        hypercall2(__HYPERVISOR_physdev_op, i, zero);
        hypercall2(__HYPERVISOR_physdev_op, i, HV_ADDRESS);
        zero[0] = i;
        hypercall1(__HYPERVISOR_platform_op, zero);
        hypercall1(__HYPERVISOR_platform_op, HV_ADDRESS);
    }
    check("alive-after-odd-commands", alive());
}

void kernel_main(void)
{
    uint64_t seed = arg_number("seed", 4711);

    random_state = seed * 0x9e3779b97f4a7c15ul + 1;
    note("seed=%lu\n", seed);
    self = (domid_t)arg_number("domu", 0);
    region_build(&r, 40);
    last_page = page_alloc();
    region_map(&r, 1, maddr_of(last_page) | PTE_PAGE);
    last_page = region_va(&r, 1);
    readonly_page = page_alloc();
    *(uint16_t *)readonly_page = DOMID_SELF;
    *(uint16_t *)(readonly_page + 2) = DOMID_SELF;
    make_readonly(readonly_page);
    all_pointers();
    readonly_answers();
    out_of_range();
    polls();
    random_ports();
    exhaust_ports();
    grant_setup();
    grant_lies();
    random_grants();
    exhaust_handles();
    vcpu_areas();
    memory_lies();
    console_and_others();
}
