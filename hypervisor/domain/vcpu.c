// SPDX-License-Identifier: MIT
/*
 * vCPUs: coming, going, and their state as a guest describes it (struct vcpu_guest_context of <xen/arch-x86/xen.h>).
 *
 * Each vCPU has a stack of its own in the hypervisor, 12 KiB above an unmapped page. Stacks are never unmapped again but kept for the next vCPU, so no
 * translation cache ever needs to forget one. A context is checked completely before the vCPU takes any of it.
 * Contract: vcpu.h, domain-internal.h.  Page: docs/concepts/domain.md.
 */
#include "vcpu.h"

#include "alloc.h"
#include "cpu.h"
#include "domain-internal.h"
#include "fpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "mm.h"
#include "paging.h"
#include "sched.h"
#include "traps.h"
#include "x86/layout.h"
#include "x86/switch.h"

#include <hv/errno.h>

#define STACKS_MAX ((uint32_t)(STACK_VIRT_SIZE / STACK_SIZE))
#define DR6_INIT 0xffff0ff0ul
#define DR7_INIT 0x400ul
/* What of RFLAGS a guest may choose; the rest is as every guest has it: IF on, IOPL 0, no VM86. */
#define RFLAGS_GUEST                                                                                                   \
    (RFLAGS_CF | 0x4u | 0x10u | RFLAGS_ZF | 0x80u | RFLAGS_TF | RFLAGS_DF | 0x800u | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

/* Mapped stacks without a vCPU, linked by their lowest word; and how many there have been. */
static struct spinlock stack_lock = SPINLOCK_INIT;
static void *stack_free;
static uint32_t stack_count;

static void *stack_map_new(uint32_t index)
{
    uint64_t base = STACK_VIRT + (uint64_t)index * STACK_SIZE, va;

    for (va = base + PAGE_SIZE; va < base + STACK_SIZE; va += PAGE_SIZE) {
        void *page = page_alloc();

        /* A stack that is half mapped stays so: it happens only when all memory is gone. */
        if (page == NULL || paging_map(va, virt_to_mfn(page), PTE_PRESENT | PTE_WRITE | PTE_NX) != 0)
            return NULL;
    }
    return (void *)(base + PAGE_SIZE);
}

static void *stack_alloc(void)
{
    uint32_t index = STACKS_MAX;
    void *stack;

    spin_lock(&stack_lock);
    stack = stack_free;
    if (stack != NULL)
        stack_free = *(void **)stack;
    else if (stack_count < STACKS_MAX)
        index = stack_count++;
    spin_unlock(&stack_lock);
    if (stack == NULL && index < STACKS_MAX)
        stack = stack_map_new(index);
    return stack;
}

static void stack_release(void *stack)
{
    spin_lock(&stack_lock);
    *(void **)stack = stack_free;
    stack_free = stack;
    spin_unlock(&stack_lock);
}

/* `info` lies at the top of v's stack, the guest's registers below it. */
static void stack_attach(struct vcpu *v, struct stack_info *info, uint32_t cpu)
{
    info->vcpu = v;
    info->cpu = &cpus[cpu];
    v->stack_top = (uint64_t)info;
    v->regs = (struct regs *)info - 1;
}

static int vcpu_stack_create(struct vcpu *v, uint32_t cpu)
{
    v->stack = stack_alloc();
    if (v->stack == NULL)
        return -ENOMEM;
    stack_attach(v, (struct stack_info *)((uint64_t)v->stack - PAGE_SIZE + STACK_SIZE) - 1, cpu);
    memset(v->regs, 0, sizeof(*v->regs));
    return 0;
}

/* The vcpu_info it has before it registers one: in shared_info for the first 32, else a private one that its guest never sees. */
static int vcpu_info_create(struct vcpu *v)
{
    v->info_mfn = INVALID_MFN;
    if (v->id < XEN_LEGACY_MAX_VCPUS) {
        v->info = &v->domain->shared->vcpu_info[v->id];
    } else {
        v->info_private = heap_alloc(sizeof(struct vcpu_info));
        v->info = v->info_private;
    }
    if (v->info == NULL)
        return -ENOMEM;
    v->info->evtchn_upcall_mask = 1;
    return 0;
}

static void vcpu_free(struct vcpu *v)
{
    if (v->fpu_state != NULL)
        fpu_destroy(v);
    if (v->stack != NULL)
        stack_release(v->stack);
    heap_free(v->info_private);
    heap_free(v);
}

struct vcpu *vcpu_create(struct domain *d, uint32_t id)
{
    struct vcpu *v = heap_alloc(sizeof(*v));

    if (v == NULL)
        return NULL;
    v->domain = d;
    v->id = id;
    v->dr[6] = DR6_INIT;
    v->dr[7] = DR7_INIT;
    if (vcpu_stack_create(v, 0) != 0 || vcpu_info_create(v) != 0 || fpu_create(v) != 0)
        goto fail;
    vcpu_time_init(v);
    if (sched_vcpu_init(v) != 0)
        goto fail;
    if (!vcpu_is_down(v))
        vcpu_set_down(v, true);
    vcpu_stack_prepare(v);
    vcpu_time_publish(v);
    __atomic_store_n(&d->vcpus[id], v, __ATOMIC_RELEASE);
    return v;

fail:
    vcpu_free(v);
    return NULL;
}

struct vcpu *vcpu_create_idle(uint32_t cpu)
{
    struct vcpu *v = heap_alloc(sizeof(*v));

    if (v == NULL)
        return NULL;
    v->id = cpu;
    v->cpu = cpu;
    v->is_idle = true;
    v->info_mfn = INVALID_MFN;
    if (cpu == this_cpu_id()) {
        stack_attach(v, stack_info(), cpu); /* the boot CPU's: we are on it */
    } else if (vcpu_stack_create(v, cpu) != 0) {
        heap_free(v);
        return NULL;
    }
    cpus[cpu].idle = v;
    cpus[cpu].current = v;
    return v;
}

void vcpu_destroy(struct vcpu *v)
{
    vcpu_time_destroy(v);
    sched_vcpu_destroy(v);
    if (v->domain->vcpus[v->id] == v)
        v->domain->vcpus[v->id] = NULL;
    vcpu_free(v);
}

void vcpu_drop_memory(struct vcpu *v)
{
    mfn_t info = v->info_mfn;

    vcpu_drop_bases(v);
    vcpu_descriptors_drop(v);
    if (!mfn_valid_number(info))
        return;
    /* Late events of others find a place that is still there. */
    v->info = v->id < XEN_LEGACY_MAX_VCPUS ? &v->domain->shared->vcpu_info[v->id] : v->info_private;
    v->info_mfn = INVALID_MFN;
    frame_put_type(info);
}

void vcpu_set_boot_state(struct vcpu *v, uint64_t entry, uint64_t stack, uint64_t start_info)
{
    *v->regs = (struct regs){
        .rip = entry,
        .cs = FLAT_KERNEL_CS64,
        .rflags = RFLAGS_IF | RFLAGS_MBS,
        .rsp = stack,
        .ss = FLAT_KERNEL_SS64,
        .rsi = start_info,
    };
    v->kernel_sp = stack;
    v->kernel_ss = FLAT_KERNEL_SS64;
    v->in_kernel = true;
    v->initialised = true;
    vcpu_set_down(v, false);
}

int vcpu_register_info(struct vcpu *v, uint64_t mfn, uint32_t offset)
{
    struct domain *d = v->domain;
    struct vcpu_info *info;
    int rc;

    /* Within one page, and on a boundary that its words can be changed atomically at. */
    if (offset > PAGE_SIZE - sizeof(*info) || offset % sizeof(uint64_t) != 0)
        return -EINVAL;
    /* Only once, and only by the vCPU itself or while it is down: nobody may be in the middle of using the old one. */
    if (mfn_valid_number(v->info_mfn) || (v != current_vcpu() && !vcpu_is_down(v)))
        return -EINVAL;
    rc = frame_get_writable(MFN(mfn), d);
    if (rc != 0)
        return -EINVAL;
    info = (struct vcpu_info *)((char *)mfn_to_virt(MFN(mfn)) + offset);
    spin_lock(&d->events.lock);
    if (mfn_valid_number(v->info_mfn)) {
        spin_unlock(&d->events.lock);
        frame_put_type(MFN(mfn));
        return -EINVAL;
    }
    *info = *v->info;
    v->info_mfn = MFN(mfn);
    __atomic_store_n(&v->info, info, __ATOMIC_SEQ_CST);
    spin_unlock(&d->events.lock);
    vcpu_time_publish(v);
    /* An event may have been noted in the old place after the copy: have the guest look at everything. */
    event_rescan(v);
    return 0;
}

static bool address_ok(uint64_t va)
{
    return guest_range_ok(va, 1);
}

/* 0 stands for "none" in callbacks. */
static bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static bool context_addresses_ok(const struct vcpu_guest_context *c)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
        if (c->trap_ctxt[i].address != 0 && !address_ok(c->trap_ctxt[i].address))
            return false;
    for (i = 0; i < 4; i++)
        if (!address_ok(c->debugreg[i]))
            return false;
    return (c->kernel_sp == 0 || kernel_stack_ok(c->kernel_sp)) && address_ok(c->user_regs.rip) && address_ok(c->event_callback_eip) && address_ok(c->failsafe_callback_eip) &&
           address_ok(c->syscall_callback_eip) && canonical(c->fs_base) && canonical(c->gs_base_kernel) &&
           canonical(c->gs_base_user);
}

/* A guest's selectors are all of ring 3; null stays null. Whether the descriptor is any good shows when it is loaded. */
static uint16_t selector(uint64_t value)
{
    return (value & ~3ul & 0xffff) != 0 ? (uint16_t)(value | 3) : 0;
}

static void context_take_registers(struct vcpu *v, const struct vcpu_guest_context *c)
{
    const struct cpu_user_regs *r = &c->user_regs;

    *v->regs = (struct regs){
        .r15 = r->r15, .r14 = r->r14, .r13 = r->r13, .r12 = r->r12, .rbp = r->rbp, .rbx = r->rbx,
        .r11 = r->r11, .r10 = r->r10, .r9 = r->r9,   .r8 = r->r8,   .rax = r->rax, .rcx = r->rcx,
        .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi, .rip = r->rip, .rsp = r->rsp,
        .cs = (r->cs & 0xffff) | 3,
        .ss = (r->ss & 0xffff) | 3,
        .rflags = (r->rflags & RFLAGS_GUEST) | RFLAGS_IF | RFLAGS_MBS,
    };
    v->ds = selector(r->ds);
    v->es = selector(r->es);
    v->fs = selector(r->fs);
    v->gs = selector(r->gs);
    v->in_kernel = c->flags & VGCF_in_kernel;
    v->fs_base = c->fs_base;
    v->gs_base = v->in_kernel ? c->gs_base_kernel : c->gs_base_user;
    v->gs_base_other = v->in_kernel ? c->gs_base_user : c->gs_base_kernel;
}

static void context_take_entries(struct vcpu *v, const struct vcpu_guest_context *c)
{
    v->kernel_sp = c->kernel_sp;
    v->kernel_ss = selector(c->kernel_ss);
    v->event_entry = c->event_callback_eip;
    v->failsafe_entry = c->failsafe_callback_eip;
    v->syscall_entry = c->syscall_callback_eip;
    v->failsafe_masks_events = c->flags & VGCF_failsafe_disables_events;
    v->syscall_masks_events = c->flags & VGCF_syscall_disables_events;
    v->iopl = (c->user_regs.rflags >> 12) & 3;
}

static int context_take_traps(struct vcpu *v, const struct vcpu_guest_context *c)
{
    unsigned int i;
    int rc = 0;

    for (i = 0; rc == 0 && i < ARRAY_SIZE(c->trap_ctxt); i++) {
        struct trap_info t = c->trap_ctxt[i];

        t.vector = (uint8_t)i;
        rc = trap_entry_set(v, &t);
    }
    return rc;
}

/* cr3 holds a frame number shifted up, as the processor has it (XEN_CR3 macros of the public header). */
static int context_take_tables(struct vcpu *v, const struct vcpu_guest_context *c)
{
    unsigned int frames = (unsigned int)((c->gdt_ents + 511) / 512);
    int rc;

    rc = vcpu_set_gdt(v, c->gdt_frames, frames, (unsigned int)c->gdt_ents);
    if (rc == 0)
        rc = vcpu_set_ldt(v, c->ldt_base, (unsigned int)c->ldt_ents);
    if (rc == 0)
        rc = vcpu_set_base(v, MFN(c->ctrlreg[3] >> PAGE_SHIFT), false);
    if (rc == 0 && c->ctrlreg[1] != 0)
        rc = vcpu_set_base(v, MFN(c->ctrlreg[1] >> PAGE_SHIFT), true);
    return rc;
}

static void context_take_debug(struct vcpu *v, const struct vcpu_guest_context *c)
{
    unsigned int i;

    for (i = 0; i < 4; i++)
        v->dr[i] = c->debugreg[i];
    v->dr[6] = DR6_INIT;
    v->dr[7] = DR7_INIT; /* armed only through set_debugreg, which checks what it enables */
}

int vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    int rc;

    if (!context_addresses_ok(c) || c->gdt_ents > FIRST_RESERVED_GDT_ENTRY || c->ldt_ents > 8192)
        return -EINVAL;
    if (!(c->flags & VGCF_in_kernel) && c->ctrlreg[1] == 0)
        return -EINVAL; /* to start in user mode takes a page table for it */
    rc = context_take_tables(v, c);
    if (rc == 0)
        rc = context_take_traps(v, c);
    if (rc != 0) {
        vcpu_drop_bases(v);
        vcpu_descriptors_drop(v);
        return rc;
    }
    context_take_registers(v, c);
    context_take_entries(v, c);
    context_take_debug(v, c);
    if (c->flags & VGCF_i387_valid)
        fpu_set_legacy(v, &c->fpu_ctxt);
    return 0;
}
