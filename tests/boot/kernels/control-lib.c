// SPDX-License-Identifier: MIT
/* Children made, and their frames looked at, by Domain0 (control.h). */
#include "control.h"

struct region views;
void child_main(uint64_t id);

long child_ref(unsigned int op, uint32_t domid)
{
    struct collet_domain_ref ref = {.domid = domid};
    long rc;

    do
        rc = control(op, &ref);
    while (op == COLLET_OP_DOMAIN_DESTROY && rc == -4 /* -EINTR */);
    return rc;
}

uint64_t frames_free(void)
{
    struct collet_machine m;

    if (control(COLLET_OP_MACHINE, &m) != 0)
        give_up("MACHINE\n");
    return m.frames_free;
}

bool domain_info(uint32_t domid, struct collet_domain_info *info)
{
    struct collet_domain_list list = {.first_domid = domid, .count = 1, .entry_bytes = sizeof(*info), .buffer = (uint64_t)info};

    return control(COLLET_OP_DOMAIN_LIST, &list) == 0 && list.count == 1 && info->domid == domid;
}

long child_create(struct child *c, const char *name, unsigned int vcpus, uint64_t frames_max)
{
    struct collet_domain_create a = {.vcpus = vcpus, .frames_max = frames_max};
    long rc;

    memcpy(a.name, name, MIN(strlen(name) + 1, sizeof(a.name)));
    rc = control(COLLET_OP_DOMAIN_CREATE, &a);
    c->domid = a.domid;
    c->shared_maddr = a.shared_info_maddr;
    return rc;
}

long child_populate(struct child *c)
{
    struct collet_domain_populate a = {.domid = c->domid, .count = CHILD_PAGES, .first_pfn = 0, .mfns = (uint64_t)c->mfn};

    return control(COLLET_OP_DOMAIN_POPULATE, &a);
}

long child_write(struct child *c, unsigned int page, const void *from, uint64_t bytes)
{
    struct collet_domain_write a = {.domid = c->domid, .mfns = (uint64_t)&c->mfn[page], .source = (uint64_t)from, .bytes = bytes};

    return control(COLLET_OP_DOMAIN_WRITE, &a);
}

static bool page_is_table(unsigned int page)
{
    return (page >= CHILD_L1 && page <= CHILD_L4) || (page >= CHILD_SPARE_L4 && page <= CHILD_SPARE_L1);
}

static void l1_fill(struct child *c, uint64_t *l1)
{
    for (unsigned int i = 0; i < CHILD_PAGES; i++)
        l1[i] = c->mfn[i] << PAGE_SHIFT | (page_is_table(i) ? PTE_RO : PTE_PAGE);
    l1[CHILD_SHARED] = c->shared_maddr | PTE_PAGE;
    for (unsigned int i = 0; i < CHILD_LIST_VIEWS; i++)
        l1[CHILD_LIST_VIEW + i] = c->mfn[CHILD_LIST] << PAGE_SHIFT | PTE_PAGE;
}

static long tables_write(struct child *c, uint64_t *page)
{
    static const unsigned int chain[2][4] = {{CHILD_L1, CHILD_L2, CHILD_L3, CHILD_L4}, {CHILD_SPARE_L1, CHILD_SPARE_L2, CHILD_SPARE_L3, CHILD_SPARE_L4}};
    long rc = 0;

    for (unsigned int tree = 0; tree < 2 && rc == 0; tree++) {
        memset(page, 0, PAGE_SIZE);
        l1_fill(c, page);
        rc = child_write(c, chain[tree][0], page, PAGE_SIZE);
        for (unsigned int level = 1; level < 4 && rc == 0; level++) {
            memset(page, 0, PAGE_SIZE);
            page[level == 1 ? (CHILD_VA >> 21) & 511 : level == 2 ? (CHILD_VA >> 30) & 511 : 0] = c->mfn[chain[tree][level - 1]] << PAGE_SHIFT | PTE_TABLE;
            rc = child_write(c, chain[tree][level], page, PAGE_SIZE);
        }
    }
    return rc;
}

/* Requests that change one spare entry to and fro; or as many calls for the version. */
static long list_write(struct child *c, const struct child_orders *o, uint64_t *page)
{
    struct mmu_update *req = (struct mmu_update *)page;
    struct multicall_entry *call = (struct multicall_entry *)page;

    memset(page, 0, PAGE_SIZE);
    if (o->mode[0] == CHILD_MULTICALL || o->mode[1] == CHILD_MULTICALL) {
        for (unsigned int i = 0; i < 64; i++)
            call[i].op = __HYPERVISOR_xen_version;
    } else {
        for (unsigned int i = 0; i < 256; i++) {
            req[i].ptr = (c->mfn[CHILD_L1] << PAGE_SHIFT) + 200 * 8;
            req[i].val = i & 1 ? c->mfn[CHILD_DATA + i % 16] << PAGE_SHIFT | PTE_PAGE : 0;
        }
    }
    return child_write(c, CHILD_LIST, page, PAGE_SIZE);
}

static long context_write(struct child *c)
{
    static struct vcpu_guest_context context;

    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.user_regs.rip = CHILD_VA;
    context.user_regs.rdi = 1;
    context.user_regs.rsp = CHILD_VA + (CHILD_STACK2 + 1) * PAGE_SIZE - 8;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rflags = 2;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = CHILD_VA + (CHILD_STACK2 + 1) * PAGE_SIZE - 8;
    context.ctrlreg[3] = c->mfn[CHILD_L4] << PAGE_SHIFT;
    return child_write(c, CHILD_CONTEXT, &context, sizeof(context));
}

static long orders_write(struct child *c, const struct child_orders *orders, uint64_t *page)
{
    struct child_orders *o = (struct child_orders *)page;

    memset(page, 0, PAGE_SIZE);
    memcpy(o, orders, sizeof(*o));
    memcpy(o->mfns, c->mfn, sizeof(o->mfns));
    return child_write(c, CHILD_ORDERS, page, PAGE_SIZE);
}

long child_fill(struct child *c, const struct child_orders *orders)
{
    uint64_t *page = page_alloc();
    long rc = child_write(c, CHILD_CODE, child_text_start, (uint64_t)(child_text_end - child_text_start));

    if (rc == 0)
        rc = tables_write(c, page);
    if (rc == 0)
        rc = list_write(c, orders, page);
    if (rc == 0)
        rc = context_write(c);
    if (rc == 0)
        rc = orders_write(c, orders, page);
    page_free(page);
    return rc;
}

long child_share(struct child *c)
{
    long rc = 0;

    for (unsigned int i = 0; i < 2 && rc == 0; i++) {
        struct collet_domain_share a = {.domid = c->domid, .grant_ref = i, .mfn = c->mfn[CHILD_CONSOLE + i]};

        rc = control(COLLET_OP_DOMAIN_SHARE, &a);
        c->ports[i] = a.port;
    }
    return rc;
}

long child_start(struct child *c)
{
    struct collet_domain_start_state a = {.domid = c->domid, .l4_mfn = c->mfn[CHILD_L4], .entry = CHILD_VA,
                                          .stack = CHILD_VA + (CHILD_STACK + 1) * PAGE_SIZE - 8,
                                          .start_info = CHILD_VA + CHILD_START_INFO * PAGE_SIZE, .ram_frames = CHILD_PAGES};

    return control(COLLET_OP_DOMAIN_START_STATE, &a);
}

void child_build(struct child *c, const char *name, unsigned int vcpus, const struct child_orders *orders)
{
    long rc = child_create(c, name, vcpus, 2 * CHILD_PAGES);

    if (rc != 0)
        give_up("create %s: %ld\n", name, rc);
    if ((rc = child_populate(c)) != 0 || (rc = child_fill(c, orders)) != 0 || (rc = child_share(c)) != 0 || (rc = child_start(c)) != 0)
        give_up("build %s: %ld\n", name, rc);
}

void views_init(void)
{
    region_build(&views, 40);
}

long view_map(unsigned int slot, uint64_t mfn, uint32_t domid, uint64_t flags)
{
    struct mmu_update u = {.ptr = l1e_maddr(&views, slot), .val = mfn << PAGE_SHIFT | flags};
    long rc = mmu_update(&u, 1, 0, domid);

    mmuext(MMUEXT_INVLPG_ALL, (uint64_t)region_va(&views, slot), 0);
    return rc;
}

void view_unmap(unsigned int slot)
{
    if (pte_set(l1e_maddr(&views, slot), 0) != 0)
        give_up("view_unmap %u\n", slot);
    mmuext(MMUEXT_INVLPG_ALL, (uint64_t)region_va(&views, slot), 0);
}

bool view_counts(unsigned int slot, unsigned int vcpu)
{
    volatile struct child_orders *o = view_orders(slot);
    uint64_t was = o->count[vcpu], until = now_ns() + 2000000000;

    while (o->count[vcpu] == was && now_ns() < until)
        sched_op(SCHEDOP_yield, 0);
    return o->count[vcpu] != was;
}
