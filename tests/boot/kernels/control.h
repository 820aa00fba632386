/* SPDX-License-Identifier: MIT */
/*
 * What the kernels that test the control interface share: the calls, and a builder for a child: a domain of a few pages whose code is child.c.
 *
 * A child's pages are mapped from CHILD_VA on, one after the other. It finds its orders in one page and leaves a count there, which Domain0 reads through a
 * foreign mapping.
 */
#pragma once

#include "mini.h"

#include <collet/control.h>

#define CHILD_VA 0x40000000ul
enum { CHILD_CODE, CHILD_START_INFO, CHILD_STACK, CHILD_STACK2, CHILD_ORDERS, CHILD_L1, CHILD_L2, CHILD_L3, CHILD_L4, CHILD_CONSOLE, CHILD_STORE,
       CHILD_SHARED, CHILD_CONTEXT, CHILD_CONTEXT_LAST, CHILD_LIST, CHILD_SPARE_L4, CHILD_SPARE_L3, CHILD_SPARE_L2, CHILD_SPARE_L1, CHILD_DATA,
       CHILD_PAGES = CHILD_DATA + 16 };
#define CHILD_LIST_VIEW 256u  /* from this page on, the list appears again and again, so that one call can take very many requests */
#define CHILD_LIST_VIEWS 256u
#define CHILD_REQUESTS (CHILD_LIST_VIEWS * 256u)

/* What a child's vCPU does. */
enum { CHILD_STAY_DOWN, CHILD_HELLO, CHILD_LOOP, CHILD_BLOCK, CHILD_MMU, CHILD_PIN, CHILD_MEMORY, CHILD_MULTICALL, CHILD_EVENTS, CHILD_CRASH,
       CHILD_END, CHILD_DOWN_OTHER, CHILD_POLL, CHILD_MAP_GRANT, CHILD_CONSOLE_IO, CHILD_MODES };

struct child_orders {
    uint32_t mode[2]; /* of each vCPU */
    uint64_t reason;  /* CHILD_END: for SCHEDOP_shutdown */
    uint32_t port;    /* to send on, or of Domain0 to bind to first (bind != 0) */
    uint32_t bind;
    uint32_t text_bytes;
    uint32_t pad;
    char text[96];
    volatile uint64_t count[2]; /* turns of each vCPU's loop */
    volatile int64_t result;    /* of its last call */
    uint64_t mfns[CHILD_PAGES];
    uint64_t list[16];
};

struct child {
    uint32_t domid;
    uint32_t ports[2]; /* console's, store's */
    uint64_t shared_maddr;
    uint64_t mfn[CHILD_PAGES];
};

extern char child_text_start[], child_text_end[];

/* ---- calls: as the hypervisor answers ---- */
static inline long control_call(unsigned int op, const void *arg, uint64_t bytes)
{
    return hypercall4(COLLET_HYPERCALL, op, arg, bytes, COLLET_CONTROL_VERSION);
}
#define control(op, arg) control_call(op, arg, sizeof(*(arg)))
long child_ref(unsigned int op, uint32_t domid); /* UNPAUSE, PAUSE, DESTROY; a DESTROY that says -EINTR is called again */
uint64_t frames_free(void);
/* The domain's entry of the list; false: it is not there. */
bool domain_info(uint32_t domid, struct collet_domain_info *info);

/* ---- children ---- */
long child_create(struct child *c, const char *name, unsigned int vcpus, uint64_t frames_max);
long child_populate(struct child *c);
/* Its pages are written: code, tables, start_info. Its orders come from *orders, mfns and list apart. */
long child_fill(struct child *c, const struct child_orders *orders);
long child_share(struct child *c);
long child_start(struct child *c);
/* All of it, up to paused and ready; gives up when anything fails. */
void child_build(struct child *c, const char *name, unsigned int vcpus, const struct child_orders *orders);
long child_write(struct child *c, unsigned int page, const void *from, uint64_t bytes);

/* ---- views: a foreign frame at region_va(&views, slot) ---- */
extern struct region views;
void views_init(void);
long view_map(unsigned int slot, uint64_t mfn, uint32_t domid, uint64_t flags); /* PTE_RO or PTE_PAGE */
void view_unmap(unsigned int slot);
static inline volatile struct child_orders *view_orders(unsigned int slot)
{
    return region_va(&views, slot);
}
/* Wait until a count of the child in view moves: false after two seconds. */
bool view_counts(unsigned int slot, unsigned int vcpu);

/* ---- parts of the kernel `control` ---- */
void control_errors(void);
void control_life(void);
void control_foreign(void);
void control_destroy(void);
void control_sched(void);
void control_race(void);
void control_fuzz(void);
