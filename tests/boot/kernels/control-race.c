// SPDX-License-Identifier: MIT
/*
 * Several vCPUs of Domain0 do everything to the same few domains at once, at random (control.h). No answer is expected but that there is one; afterwards all is destroyed, and every
 * frame has come back.
 */
#include "control.h"

#define TARGETS 4u

static volatile uint32_t target[TARGETS]; /* numbers that were created lately */
static struct child shared_child[TARGETS];
static volatile bool race_on;
static uint64_t race_seed;
static unsigned long turns[VCPUS_MAX];

struct racer {
    uint64_t random;
    unsigned int id;
    uint8_t *scratch;
    struct child own;
};
static struct racer racers[VCPUS_MAX];

static uint64_t below(struct racer *r, uint64_t n)
{
    return random_next(&r->random) % n;
}

static void race_create(struct racer *r, unsigned int which)
{
    char name[COLLET_NAME_MAX];
    struct child c;

    snprintf(name, sizeof(name), "race%u", which);
    if (child_create(&c, name, 2, 2 * CHILD_PAGES) != 0)
        return;
    shared_child[which].domid = c.domid;
    shared_child[which].shared_maddr = c.shared_maddr;
    target[which] = c.domid;
    if (below(r, 4) == 0)
        return;
    if (child_populate(&c) != 0)
        return;
    memcpy(shared_child[which].mfn, c.mfn, sizeof(c.mfn));
    {
        struct child_orders o = {.mode = {CHILD_LOOP + (uint32_t)below(r, 6), (uint32_t)below(r, 7)}};

        if (below(r, 8) != 0 && child_fill(&c, &o) == 0 && child_share(&c) == 0 && below(r, 4) != 0)
            child_start(&c);
    }
}

static void race_lists(struct racer *r, uint32_t domid)
{
    struct collet_domain_list l = {.count = 6, .buffer = (uint64_t)r->scratch, .entry_bytes = sizeof(struct collet_domain_info)};
    struct collet_vcpu_list v = {.domid = domid, .count = 2, .buffer = (uint64_t)r->scratch, .entry_bytes = sizeof(struct collet_vcpu_info)};
    struct collet_domain_pages p = {.domid = domid};

    control(COLLET_OP_DOMAIN_LIST, &l);
    control(COLLET_OP_VCPU_LIST, &v);
    if (below(r, 4) == 0)
        control(COLLET_OP_DOMAIN_PAGES, &p);
}

static void race_views(struct racer *r, struct child *c)
{
    unsigned int slot = r->id * 32 + (unsigned int)below(r, 32);

    if (below(r, 3) == 0)
        pte_set(l1e_maddr(&views, slot), 0);
    else
        view_map(slot, c->mfn[below(r, CHILD_PAGES)], c->domid, below(r, 2) ? PTE_RO : PTE_PAGE);
}

static void race_events(struct racer *r, uint32_t domid)
{
    struct evtchn_status s = {.dom = (domid_t)domid, .port = (evtchn_port_t)below(r, 6)};
    struct evtchn_alloc_unbound a = {.dom = (domid_t)domid, .remote_dom = 0};
    struct evtchn_reset reset = {.dom = (domid_t)domid};
    int port;

    evtchn_op(EVTCHNOP_status, &s);
    if (below(r, 2))
        evtchn_op(EVTCHNOP_alloc_unbound, &a);
    if (below(r, 8) == 0)
        evtchn_op(EVTCHNOP_reset, &reset);
    port = pair_bind((int)below(r, 4), domid);
    if (port > 0) {
        port_send(port);
        port_close(port);
    }
}

static void race_grants(struct racer *r, uint32_t domid)
{
    struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)region_va(&views, 400 + r->id), .flags = GNTMAP_host_map, .ref = (grant_ref_t)below(r, 3)};
    struct gnttab_unmap_grant_ref u;

    m.dom = (domid_t)domid;
    gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
    if (m.status != 0)
        return;
    u = (struct gnttab_unmap_grant_ref){.host_addr = m.host_addr, .handle = m.handle};
    gnttab_op(GNTTABOP_unmap_grant_ref, &u, 1);
    if (u.status != 0)
        check("race-grant-unmap", false);
}

static void race_memory(struct racer *r, uint32_t domid)
{
    struct xen_memory_reservation m = {.nr_extents = 4, .domid = (domid_t)domid};
    uint64_t *list = (uint64_t *)r->scratch;

    for (unsigned int i = 0; i < 4; i++)
        list[i] = 2000 + i;
    set_xen_guest_handle(m.extent_start, list);
    if (memory_op(XENMEM_populate_physmap, &m) > 0 && below(r, 2))
        memory_op(XENMEM_decrease_reservation, &m);
}

static void race_turn(struct racer *r)
{
    unsigned int which = (unsigned int)below(r, TARGETS);
    struct child *c = &shared_child[which];
    uint32_t domid = target[which];

    if (domid == 0)
        domid = 20000;
    switch (below(r, 16)) {
    case 0:
    case 1:
        race_create(r, which);
        break;
    case 2:
        child_ref(COLLET_OP_DOMAIN_DESTROY, domid);
        break;
    case 3:
    case 4:
        child_ref(COLLET_OP_DOMAIN_UNPAUSE, domid);
        break;
    case 5:
        child_ref(COLLET_OP_DOMAIN_PAUSE, domid);
        break;
    case 6:
        c->domid = domid;
        child_populate(&r->own);
        r->own.domid = domid;
        break;
    case 7:
        child_write(c, (unsigned int)below(r, CHILD_PAGES), r->scratch, below(r, PAGE_SIZE));
        break;
    case 8:
        child_start(c);
        break;
    case 9:
        child_share(c);
        break;
    case 10:
        race_lists(r, domid);
        break;
    case 11:
        race_views(r, c);
        break;
    case 12:
        race_events(r, domid);
        break;
    case 13:
        race_grants(r, domid);
        break;
    case 14:
        race_memory(r, domid);
        break;
    default: {
        struct collet_vcpu_affinity a = {.domid = domid, .vcpu = COLLET_VCPU_ALL, .affinity = 1 + below(r, 3)};
        struct collet_domain_rename n = {.domid = domid};

        control(COLLET_OP_VCPU_AFFINITY, &a);
        snprintf(n.name, sizeof(n.name), "race%u", (unsigned int)below(r, TARGETS));
        control(COLLET_OP_DOMAIN_RENAME, &n);
    }
    }
}

static void race_run(void *arg)
{
    struct racer *r = arg;

    while (race_on) {
        race_turn(r);
        turns[r->id]++;
    }
}

/* All but ourselves. */
static void destroy_all(void)
{
    struct collet_domain_info info;
    struct collet_domain_list list;

    for (;;) {
        list = (struct collet_domain_list){.first_domid = 1, .count = 1, .entry_bytes = sizeof(info), .buffer = (uint64_t)&info};
        if (control(COLLET_OP_DOMAIN_LIST, &list) != 0 || list.count == 0)
            return;
        child_ref(COLLET_OP_DOMAIN_DESTROY, info.domid);
    }
}

static void race(uint64_t ns)
{
    uint64_t until = now_ns() + ns;

    race_on = true;
    for (unsigned int i = 0; i < vcpu_count; i++) {
        racers[i].random = (race_seed += 0x9e3779b97f4a7c15ul) | 1;
        if (i != 0)
            vcpu_do(i, race_run, &racers[i]);
    }
    while (now_ns() < until) {
        race_turn(&racers[0]);
        turns[0]++;
    }
    race_on = false;
    for (unsigned int i = 1; i < vcpu_count; i++)
        check("racer-came-through", vcpu_wait(i, 20000000000ul));
    for (unsigned int slot = 0; slot < 512; slot++)
        pte_set(l1e_maddr(&views, slot), 0);
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
    destroy_all();
}

/* The heap and the stacks grow with what there was at once, which chance decides: until a round takes nothing more. */
void control_race(void)
{
    uint64_t ns = arg_number("seconds", 5) * 1000000000ul / 4, free = 0, before = 1;
    unsigned int rounds = 0;

    race_seed = arg_number("seed", 1);
    for (unsigned int i = 0; i < vcpu_count; i++) {
        racers[i].id = i;
        racers[i].scratch = page_alloc();
        page_alloc();
        if (i != 0 && vcpu_start(i) != 0)
            give_up("vcpu_start %u\n", i);
    }
    for (rounds = 0; rounds < 4 || (free != before && rounds < 16); rounds++) {
        before = free;
        race(ns);
        free = frames_free();
        note("round %u: %lu frames free\n", rounds, (unsigned long)free);
    }
    for (unsigned int i = 0; i < vcpu_count; i++)
        note("vcpu %u: %lu turns\n", i, turns[i]);
    expect("every-frame-back-after-the-race", free, before);
}
