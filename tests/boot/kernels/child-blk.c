// SPDX-License-Identifier: MIT
/*
 * The code of a child domain with a disk (blk-child.h): one function, wholly in section child_blk, that Domain0 copies into the first page in place of child.c's. It grants, offers a ring, and when
 * Domain0 has connected it keeps requests under way. It may use nothing but its pages: no data of this kernel, no calls.
 */
#include "blk-child.h"

#define ALWAYS static inline __attribute__((always_inline))
#define GRANTS_SLOT 220u /* of its L1, for the grant table */

ALWAYS void *page_at(unsigned int page)
{
    return (void *)(CHILD_VA + page * PAGE_SIZE);
}

ALWAYS long call(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = 0;
    long rc = (long)nr;

    __asm__ volatile("syscall" : "+a"(rc), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8) : : "rcx", "r11", "memory");
    return rc;
}

ALWAYS long grants_up(struct child_orders *o)
{
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};
    volatile grant_entry_v1_t *g = page_at(GRANTS_SLOT);
    xen_pfn_t frame = 0;
    long rc;

    s.frame_list.p = &frame;
    rc = call(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (uint64_t)&s, 1, 0);
    if (rc == 0)
        rc = call(__HYPERVISOR_update_va_mapping, (uint64_t)g, frame << PAGE_SHIFT | PTE_PAGE, UVMF_INVLPG, 0);
    if (rc != 0)
        return rc;
    for (unsigned int i = 0; i < 16; i++) { /* the ring, and 15 pages of data */
        g[16 + i].domid = COLLET_BACKEND_DOMID;
        g[16 + i].frame = (uint32_t)o->mfns[CHILD_DATA + i];
        __asm__ volatile("" ::: "memory");
        g[16 + i].flags = GTF_permit_access;
    }
    return 0;
}

ALWAYS void offer(struct child_orders *o, volatile struct blk_orders *b)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = COLLET_BACKEND_DOMID};

    b->rc = grants_up(o);
    if (b->rc == 0)
        b->rc = call(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (uint64_t)&a, 0, 0);
    b->ring_ref = 16;
    b->port = a.port;
    b->state = BLK_CHILD_OFFERED;
    while (b->state == BLK_CHILD_OFFERED)
        call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
}

ALWAYS void submit(struct blkif_sring *ring, volatile struct blk_orders *b, uint32_t n)
{
    volatile struct blkif_request *req = &ring->ring[n % 32].req;

    req->operation = b->operation;
    req->nr_segments = b->segments;
    req->id = n;
    req->sector_number = (uint64_t)(n * 37 % b->spread) * 88;
    for (unsigned int i = 0; i < b->segments; i++) {
        req->seg[i].gref = 17 + (n + i) % 15;
        req->seg[i].first_sect = 0;
        req->seg[i].last_sect = 7;
    }
}

ALWAYS void notify(volatile struct blk_orders *b)
{
    struct evtchn_send s = {.port = b->port};

    call(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&s, 0, 0);
}

void child_blk_main(uint64_t id);
__attribute__((section("child_blk"), noreturn)) void child_blk_main(uint64_t id)
{
    struct child_orders *o = page_at(CHILD_ORDERS);
    volatile struct blk_orders *b = (void *)o->list;
    struct blkif_sring *ring = page_at(CHILD_DATA);
    uint32_t sent = 0, seen = 0;

    (void)id;
    ring->req_event = ring->rsp_event = 1;
    offer(o, b);
    for (;;) {
        for (; sent - seen < b->depth; sent++)
            submit(ring, b, sent);
        __atomic_store_n(&ring->req_prod, sent, __ATOMIC_SEQ_CST);
        notify(b);
        b->state = BLK_CHILD_SENT;
        if (b->then == BLK_CHILD_CRASH)
            __asm__ volatile("ud2");
        if (b->then == BLK_CHILD_END) {
            struct sched_shutdown s = {.reason = SHUTDOWN_poweroff};

            call(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint64_t)&s, 0, 0);
        }
        while (b->then == BLK_CHILD_SPIN || __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) == seen)
            call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
        for (; seen != __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE); seen++) {
            if (ring->ring[seen % 32].rsp.status != 0)
                b->bad++;
            o->count[0]++;
        }
    }
}
