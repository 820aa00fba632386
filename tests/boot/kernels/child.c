// SPDX-License-Identifier: MIT
/*
 * The code of a child domain (control.h): one function, wholly in section .child, that Domain0 copies into a new domain's first page. It may use nothing but its arguments and the
 * pages at CHILD_VA: no data of this kernel, no calls.
 */
#include "control.h"

#define ALWAYS static inline __attribute__((always_inline))

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

ALWAYS void end_with(unsigned int reason)
{
    struct sched_shutdown s = {.reason = reason};

    for (;;)
        call(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint64_t)&s, 0, 0);
}

ALWAYS void hello(struct child_orders *o)
{
    call(__HYPERVISOR_console_io, CONSOLEIO_write, o->text_bytes, (uint64_t)o->text, 0);
}

/* A second top-level table is pinned and unpinned, checked each time all the way down. */
ALWAYS long pin_turn(struct child_orders *o)
{
    struct mmuext_op op[2];

    op[0].cmd = MMUEXT_PIN_L4_TABLE;
    op[0].arg1.mfn = o->mfns[CHILD_SPARE_L4];
    op[1].cmd = MMUEXT_UNPIN_TABLE;
    op[1].arg1.mfn = o->mfns[CHILD_SPARE_L4];
    return call(__HYPERVISOR_mmuext_op, (uint64_t)op, 2, 0, DOMID_SELF);
}

/* Sixteen frames come and go. */
ALWAYS long memory_turn(struct child_orders *o)
{
    struct xen_memory_reservation r = {.nr_extents = 16, .domid = DOMID_SELF};
    long rc;

    for (unsigned int i = 0; i < 16; i++)
        o->list[i] = 1000 + i;
    r.extent_start.p = (xen_pfn_t *)o->list;
    rc = call(__HYPERVISOR_memory_op, XENMEM_populate_physmap, (uint64_t)&r, 0, 0);
    if (rc > 0) {
        r.nr_extents = (uint64_t)rc;
        call(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, (uint64_t)&r, 0, 0);
    }
    return rc;
}

ALWAYS long poll_turn(void)
{
    struct sched_poll p = {.nr_ports = 0};

    return call(__HYPERVISOR_sched_op, SCHEDOP_poll, (uint64_t)&p, 0, 0);
}

ALWAYS long map_grant_turn(struct child_orders *o)
{
    struct gnttab_map_grant_ref m = {.dom = 0, .ref = o->port, .flags = GNTMAP_device_map};
    struct gnttab_unmap_grant_ref u = {.dev_bus_addr = 0};

    call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, (uint64_t)&m, 1, 0);
    if (m.status == 0 && (o->count[0] & 15) != 0) { /* every sixteenth stays */
        u.handle = m.handle;
        u.dev_bus_addr = m.dev_bus_addr;
        call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, (uint64_t)&u, 1, 0);
    }
    return m.status;
}

ALWAYS long turn(struct child_orders *o, unsigned int mode, uint64_t id)
{
    if (mode == CHILD_BLOCK)
        return call(__HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0);
    if (mode == CHILD_POLL)
        return poll_turn();
    if (mode == CHILD_MMU)
        return call(__HYPERVISOR_mmu_update, (uint64_t)page_at(CHILD_LIST_VIEW), CHILD_REQUESTS, 0, DOMID_SELF);
    if (mode == CHILD_PIN)
        return pin_turn(o);
    if (mode == CHILD_MEMORY)
        return memory_turn(o);
    if (mode == CHILD_MULTICALL)
        return call(__HYPERVISOR_multicall, (uint64_t)page_at(CHILD_LIST_VIEW), CHILD_LIST_VIEWS * 64, 0, 0);
    if (mode == CHILD_EVENTS) {
        struct evtchn_send s = {.port = o->port};

        return call(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&s, 0, 0);
    }
    if (mode == CHILD_MAP_GRANT)
        return map_grant_turn(o);
    if (mode == CHILD_CONSOLE_IO)
        hello(o);
    if (mode == CHILD_DOWN_OTHER) {
        call(__HYPERVISOR_vcpu_op, VCPUOP_down, 1 - id, 0, 0);
        for (unsigned int i = 0; i < 1000; i++)
            __asm__ volatile("pause");
        return call(__HYPERVISOR_vcpu_op, VCPUOP_up, 1 - id, 0, 0);
    }
    return 0;
}

/* vCPU 0 has 0 in rdi and start_info in rsi; vCPU 1 what its context says. */
void child_main(uint64_t id);
__attribute__((section(".child"), noreturn)) void child_main(uint64_t id)
{
    struct child_orders *o = page_at(CHILD_ORDERS);
    unsigned int mode = o->mode[id & 1];

    if (id == 0 && o->mode[1] != CHILD_STAY_DOWN) {
        call(__HYPERVISOR_vcpu_op, VCPUOP_initialise, 1, (uint64_t)page_at(CHILD_CONTEXT), 0);
        call(__HYPERVISOR_vcpu_op, VCPUOP_up, 1, 0, 0);
    }
    if (id == 0 && o->bind) {
        struct evtchn_bind_interdomain b = {.remote_dom = 0, .remote_port = o->port};

        o->result = call(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, (uint64_t)&b, 0, 0);
        o->port = b.local_port;
    }
    if (mode == CHILD_HELLO)
        hello(o);
    if (mode == CHILD_HELLO || mode == CHILD_END)
        end_with((unsigned int)o->reason);
    if (mode == CHILD_CRASH)
        __asm__ volatile("ud2");
    for (;;) {
        o->count[id & 1]++;
        o->result = turn(o, mode, id);
    }
}
