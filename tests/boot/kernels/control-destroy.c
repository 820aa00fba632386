// SPDX-License-Identifier: MIT
/*
 * A child's end in every state that it can be in (control.h): afterwards the machine has exactly as many free frames as before. What the hypervisor keeps for later (stacks, heap
 * pages) it has taken in a first round that does not count.
 */
#include "control.h"

static struct child_orders orders_of(unsigned int mode0, unsigned int mode1)
{
    return (struct child_orders){.mode = {mode0, mode1}, .reason = SHUTDOWN_poweroff, .text = ".", .text_bytes = 0};
}

static void destroy(const struct child *c)
{
    struct collet_domain_info info;
    long rc = child_ref(COLLET_OP_DOMAIN_DESTROY, c->domid);

    if (rc != 0)
        expect("destroy", rc, 0);
    if (child_ref(COLLET_OP_DOMAIN_UNPAUSE, c->domid) != -3)
        check("destroyed-answers", false);
    if (domain_info(c->domid, &info))
        check("destroyed-is-listed", false);
}

/* Running in these modes, for a moment. */
static void running(unsigned int mode0, unsigned int mode1, bool paused)
{
    struct child_orders o = orders_of(mode0, mode1);
    struct child c;

    child_build(&c, "running", mode1 == CHILD_STAY_DOWN ? 1 : 2, &o);
    if (view_map(0, c.mfn[CHILD_ORDERS], c.domid, PTE_RO) != 0)
        give_up("view\n");
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    view_counts(0, 0);
    if (mode1 != CHILD_STAY_DOWN)
        view_counts(0, 1);
    view_unmap(0);
    pause_ns(3000000);
    if (paused)
        child_ref(COLLET_OP_DOMAIN_PAUSE, c.domid);
    destroy(&c);
}

static void building(unsigned int steps)
{
    struct child_orders o = orders_of(CHILD_LOOP, CHILD_STAY_DOWN);
    struct child c;

    if (child_create(&c, "building", 4, 5000) != 0)
        give_up("create\n");
    if (steps > 0)
        child_populate(&c);
    if (steps > 1)
        child_fill(&c, &o);
    if (steps > 2)
        child_share(&c);
    if (steps > 3)
        child_start(&c);
    if (steps == 1) { /* a larger one */
        static uint64_t mfns[COLLET_POPULATE_MAX];
        struct collet_domain_populate a = {.domid = c.domid, .count = COLLET_POPULATE_MAX, .first_pfn = CHILD_PAGES, .mfns = (uint64_t)mfns};

        expect("populate-much", control(COLLET_OP_DOMAIN_POPULATE, &a), 0);
    }
    destroy(&c);
}

static void ended(unsigned int mode, unsigned int reason, unsigned int other)
{
    struct child_orders o = orders_of(mode, other);
    struct collet_domain_info info = {.flags = 0};
    uint64_t until = now_ns() + 2000000000;
    struct child c;

    o.reason = reason;
    child_build(&c, "ended", other == CHILD_STAY_DOWN ? 1 : 2, &o);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    while (domain_info(c.domid, &info) && !(info.flags & COLLET_DOMAIN_SHUT_DOWN) && now_ns() < until)
        sched_op(SCHEDOP_yield, 0);
    check("it-ended", (info.flags & COLLET_DOMAIN_SHUT_DOWN) != 0);
    destroy(&c);
}

/* One vCPU stops the other, wherever it is, and Domain0 ends both. */
static void one_downs_other(unsigned int mode)
{
    struct child_orders o = orders_of(mode, CHILD_DOWN_OTHER);
    struct child c;

    child_build(&c, "down", 2, &o);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    pause_ns(4000000);
    destroy(&c);
}

static void mapped(bool by_start)
{
    struct child_orders o = orders_of(CHILD_LOOP, CHILD_STAY_DOWN);
    struct child c;
    uint64_t before = frames_free();

    child_build(&c, "mapped", 1, &o);
    if (by_start)
        child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    for (unsigned int i = 0; i < 4; i++) /* one frame twice, a page table, a writable one */
        if (view_map(i, c.mfn[i == 2 ? CHILD_L1 : CHILD_DATA + i / 3], c.domid, i == 2 ? PTE_RO : i == 0 ? PTE_PAGE : PTE_RO) != 0)
            check("map-for-destroy", false);
    destroy(&c);
    check("mapped-frames-stay", frames_free() < before && before - frames_free() <= 8);
    *(volatile uint64_t *)region_va(&views, 0) = 77;
    check("mapped-frames-work", *(volatile uint64_t *)region_va(&views, 1) == 77);
    for (unsigned int i = 0; i < 4; i++)
        view_unmap(i);
}

static void granted(void)
{
    struct child_orders o = orders_of(CHILD_LOOP, CHILD_STAY_DOWN);
    struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)region_va(&views, 8), .flags = GNTMAP_host_map, .ref = 0};
    struct gnttab_unmap_grant_ref u;
    struct collet_domain_info info;
    struct child c;

    child_build(&c, "granted", 1, &o);
    m.dom = (domid_t)c.domid;
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    expect("grant-map", m.status, 0);
    check("grant-map-shows", domain_info(c.domid, &info) && info.grants_mapped == 1);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    destroy(&c);
    *(volatile uint64_t *)region_va(&views, 8) = 5;
    u = (struct gnttab_unmap_grant_ref){.host_addr = m.host_addr, .handle = m.handle};
    gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1);
    expect("grant-unmap-after-destroy", u.status, 0);
    m.ref = 1;
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    check("grant-map-of-the-destroyed", m.status < 0);
}

/* Our grant, mapped by the child when it dies. */
static void grants_us(void)
{
    static void *shared;
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    static xen_pfn_t frames[1];
    struct child_orders o = orders_of(CHILD_MAP_GRANT, CHILD_STAY_DOWN);
    volatile grant_entry_v1_t *entry;
    struct child c;

    set_xen_guest_handle(s.frame_list, frames);
    gnttab_op(GNTTABOP_setup_table, &s, 1);
    region_map(&views, 9, frames[0] << PAGE_SHIFT | PTE_PAGE);
    entry = (volatile grant_entry_v1_t *)region_va(&views, 9) + 20;
    if (shared == NULL)
        shared = page_alloc();
    o.port = 20;
    child_build(&c, "maps-ours", 1, &o);
    entry->domid = (domid_t)c.domid;
    entry->frame = (uint32_t)mfn_of(shared);
    barrier();
    entry->flags = GTF_permit_access;
    view_map(0, c.mfn[CHILD_ORDERS], c.domid, PTE_RO);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    view_counts(0, 0);
    pause_ns(2000000);
    check("child-maps-our-grant", view_orders(0)->result == 0 && view_orders(0)->count[0] > 0);
    view_unmap(0);
    destroy(&c);
    check("our-grant-is-free-again", (entry->flags & (GTF_reading | GTF_writing)) == 0);
    entry->flags = 0;
    pte_set(l1e_maddr(&views, 9), 0);
}

static void ports(void)
{
    struct child_orders o = orders_of(CHILD_EVENTS, CHILD_LOOP);
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF};
    struct evtchn_status status = {.dom = DOMID_SELF};
    struct child c;
    int console;

    child_create(&c, "ports", 2, 100);
    a.remote_dom = (domid_t)c.domid;
    evtchn_op(EVTCHNOP_alloc_unbound, &a);
    o.port = a.port;
    o.bind = 1;
    child_populate(&c);
    child_fill(&c, &o);
    child_share(&c);
    console = pair_bind((int)c.ports[0], c.domid);
    check("bind-to-its-console", console > 0);
    expect("start", child_start(&c), 0);
    port_forget((int)a.port);
    port_unmask((int)a.port);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    check("child-sends", port_wait((int)a.port, 0, 2000000000));
    expect("send-to-child", port_send(console), 0);
    destroy(&c);
    expect("send-to-the-destroyed", port_send(console), 0);
    status.port = (evtchn_port_t)console;
    evtchn_op(EVTCHNOP_status, &status);
    expect("port-to-the-destroyed", status.status, EVTCHNSTAT_unbound);
    status.port = a.port;
    evtchn_op(EVTCHNOP_status, &status);
    expect("port-from-the-destroyed", status.status, EVTCHNSTAT_unbound);
    port_close(console);
    port_close((int)a.port);
}

static void states(void)
{
    for (unsigned int steps = 0; steps < 5; steps++)
        building(steps);
    for (unsigned int mode = CHILD_LOOP; mode < CHILD_MODES; mode++) {
        if (mode == CHILD_CRASH || mode == CHILD_END || mode == CHILD_DOWN_OTHER || mode == CHILD_EVENTS || mode == CHILD_MAP_GRANT)
            continue;
        running(mode, CHILD_STAY_DOWN, false);
        running(mode, CHILD_STAY_DOWN, true);
        running(CHILD_LOOP, mode, false);
        running(CHILD_MMU, mode, true);
    }
    running(CHILD_PIN, CHILD_PIN, false);
    running(CHILD_MEMORY, CHILD_MEMORY, true);
    for (unsigned int other = 0; other < 2; other++) {
        static const unsigned int others[] = {CHILD_STAY_DOWN, CHILD_MMU};

        ended(CHILD_END, SHUTDOWN_poweroff, others[other]);
        ended(CHILD_END, SHUTDOWN_crash, others[other]);
        ended(CHILD_CRASH, 0, others[other]);
    }
    one_downs_other(CHILD_MMU);
    one_downs_other(CHILD_PIN);
    one_downs_other(CHILD_MEMORY);
    mapped(false);
    mapped(true);
    granted();
    grants_us();
    ports();
}

/* As much memory as there is: asked for until it is refused, and given back while our own timer goes on. */
static void large(void)
{
    static uint64_t mfns[COLLET_POPULATE_MAX];
    struct collet_domain_populate a = {.count = COLLET_POPULATE_MAX, .mfns = (uint64_t)mfns};
    struct collet_domain_ref ref;
    struct collet_domain_info info = {.frames = 0};
    uint64_t longest = 0, whole;
    struct child c;
    long rc;

    if (child_create(&c, "large", 1, 1ul << 30) != 0)
        give_up("create\n");
    a.domid = c.domid;
    while ((rc = control(COLLET_OP_DOMAIN_POPULATE, &a)) == 0)
        a.first_pfn += a.count;
    expect("populate-until-nothing-is-left", rc, X_ENOMEM);
    check("large-has-what-it-was-given", domain_info(c.domid, &info) && info.frames == a.first_pfn);
    ref = (struct collet_domain_ref){.domid = c.domid};
    whole = now_ns();
    do {
        uint64_t began = now_ns();

        rc = control(COLLET_OP_DOMAIN_DESTROY, &ref);
        longest = MAX(longest, now_ns() - began);
    } while (rc == -4);
    expect("destroy-large", rc, 0);
    note("%lu frames destroyed in %lu us, the longest call %lu us\n", (unsigned long)info.frames, (unsigned long)(now_ns() - whole) / 1000,
         (unsigned long)longest / 1000);
}

static void cycles(unsigned int count)
{
    struct child_orders o = orders_of(CHILD_LOOP, CHILD_MMU);
    struct child c;

    for (unsigned int i = 0; i < count; i++) {
        o.mode[0] = CHILD_LOOP + i % 5;
        child_build(&c, "cycle", 2, &o);
        if (i % 4 != 0)
            child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
        if (child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid) != 0)
            check("cycle-destroy", false);
    }
}

void control_destroy(void)
{
    unsigned int rounds = (unsigned int)arg_number("rounds", 3), count = (unsigned int)arg_number("cycles", 1000);
    uint64_t free;

    states();
    large();
    for (unsigned int i = 0; i < rounds; i++) {
        free = frames_free();
        states();
        large();
        expect("every-frame-back", frames_free(), free);
    }
    free = frames_free();
    cycles(count);
    expect("every-frame-back-after-the-cycles", frames_free(), free);
}
