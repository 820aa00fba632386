// SPDX-License-Identifier: MIT
/*
 * The code of a child domain with a network interface (net-child.h): one function, wholly in section child_net, that Domain0 copies into the first page in place of child.c's. It grants, offers its rings, and when
 * Domain0 has connected them it sends as fast as it can, and takes nothing. It may use nothing but its pages: no data of this kernel, no calls.
 */
#include "net-child.h"

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
    for (unsigned int i = 0; i < 16; i++) { /* two rings, and 14 pages of data */
        g[16 + i].domid = COLLET_BACKEND_DOMID;
        g[16 + i].frame = (uint32_t)o->mfns[CHILD_DATA + i];
        __asm__ volatile("" ::: "memory");
        g[16 + i].flags = GTF_permit_access;
    }
    return 0;
}

ALWAYS void offer(struct child_orders *o, volatile struct net_orders *n)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = COLLET_BACKEND_DOMID};

    n->rc = grants_up(o);
    if (n->rc == 0)
        n->rc = call(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (uint64_t)&a, 0, 0);
    n->tx_ref = 16;
    n->rx_ref = 17;
    n->port = a.port;
    n->state = NET_CHILD_OFFERED;
    while (n->state == NET_CHILD_OFFERED)
        call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
}

/* A frame in one or two slots (over 700 bytes); returns how many. */
ALWAYS uint32_t submit(struct netif_tx_sring *ring, volatile struct net_orders *n, uint32_t at)
{
    volatile struct netif_tx_request *req = &ring->ring[at % NET_RING].req;
    uint32_t rest = n->bytes > 700 ? n->bytes - 700 : 0;

    req->gref = 18 + at % 13;
    req->offset = 0;
    req->id = (uint16_t)(at % NET_RING);
    req->size = (uint16_t)n->bytes;
    req->flags = rest != 0 ? NETTXF_more_data : 0;
    if (rest == 0)
        return 1;
    req = &ring->ring[(at + 1) % NET_RING].req;
    req->gref = 19 + at % 13;
    req->offset = (uint16_t)(at % 64 * 16);
    req->id = (uint16_t)((at + 1) % NET_RING);
    req->size = (uint16_t)rest;
    req->flags = 0;
    return 2;
}

ALWAYS void notify(volatile struct net_orders *n)
{
    struct evtchn_send s = {.port = n->port};

    call(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&s, 0, 0);
}

ALWAYS void heads(volatile struct net_orders *n)
{
    for (unsigned int page = 2; page < 16; page++)
        for (unsigned int i = 0; i < sizeof(n->head); i++)
            *((volatile uint8_t *)page_at(CHILD_DATA + page) + i) = n->head[i];
}

void child_net_main(uint64_t id);
__attribute__((section("child_net"), noreturn)) void child_net_main(uint64_t id)
{
    struct child_orders *o = page_at(CHILD_ORDERS);
    volatile struct net_orders *n = (void *)o->list;
    struct netif_tx_sring *ring = page_at(CHILD_DATA);
    uint32_t sent = 0, seen = 0;

    (void)id;
    ring->req_event = ring->rsp_event = 1;
    offer(o, n);
    heads(n);
    for (;;) {
        while (sent - seen + 2 <= n->depth)
            sent += submit(ring, n, sent);
        __atomic_store_n(&ring->req_prod, n->then == NET_CHILD_LIE ? sent + 1000 : sent, __ATOMIC_SEQ_CST);
        notify(n);
        n->state = NET_CHILD_SENT;
        if (n->then == NET_CHILD_CRASH)
            __asm__ volatile("ud2");
        if (n->then == NET_CHILD_END) {
            struct sched_shutdown s = {.reason = SHUTDOWN_poweroff};

            call(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint64_t)&s, 0, 0);
        }
        while ((n->then == NET_CHILD_SPIN || n->then == NET_CHILD_LIE) || __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) == seen)
            call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
        for (; seen != __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE); seen++) {
            if (ring->ring[seen % NET_RING].rsp.status < 0)
                n->bad++;
            o->count[0]++;
        }
    }
}
