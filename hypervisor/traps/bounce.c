/* SPDX-License-Identifier: MIT */
/*
 * Bouncing: a guest is made to take an exception, a system call or an event.
 *
 * The frame that the ABI defines (ABI.md section 3) is written to the guest kernel's stack, and the saved registers are turned to its handler. From
 * user mode that also means the kernel's page table, GS base and stack. A guest whose stack cannot be written is crashed. The user SYSCALL has a copy of this
 * in entry.S. Contract: traps.h, bounce.h.
 */
#include "bounce.h"

#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "traps.h"
#include "vcpu.h"

#include <xen/xen.h>

#define FRAME_WORDS_MAX 12
#define RFLAGS_CLEARED (RFLAGS_TF | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT | RFLAGS_AC | RFLAGS_IOPL)

void vcpu_toggle_mode(struct vcpu *v)
{
    v->in_kernel = !v->in_kernel;
    write_cr3(v->in_kernel ? v->kernel_cr3 : v->user_cr3);
    swapgs();
}

/*
 * The frame: rcx, r11, then `extra` words, then rip, cs, rflags, rsp, ss. False if the guest was crashed instead.
 */
bool bounce_to(struct vcpu *v, struct regs *regs, uint64_t entry, bool mask_events, const uint64_t *extra, unsigned int extras)
{
    uint64_t frame[FRAME_WORDS_MAX], sp, bytes = (7 + extras) * sizeof(frame[0]);
    uint8_t masked = v->info->evtchn_upcall_mask;
    uint64_t cs = regs->cs | 3;
    unsigned int i;

    if (v->in_kernel) {
        sp = regs->rsp & ~15ull;
        cs = regs->cs & ~3ull;
    } else {
        sp = v->kernel_sp;
        vcpu_toggle_mode(v);
    }
    frame[0] = regs->rcx;
    frame[1] = regs->r11;
    for (i = 0; i < extras; i++)
        frame[2 + i] = extra[i];
    frame[2 + i] = regs->rip;
    frame[3 + i] = cs | (uint64_t)(masked & 1) << 32;
    frame[4 + i] = (regs->rflags & ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL)) | (masked ? 0 : RFLAGS_IF);
    frame[5 + i] = regs->rsp;
    frame[6 + i] = regs->ss;
    sp -= bytes;
    if (unlikely(copy_to_guest(sp, frame, bytes) != 0)) {
        domain_crash(v->domain, "v%u: no stack at %#lx for its handler at %#lx", v->id, (unsigned long)sp, (unsigned long)entry);
        return false;
    }
    if (mask_events)
        v->info->evtchn_upcall_mask = 1;
    regs->vector = ENTRY_SYSCALL;
    regs->rip = entry;
    regs->cs = FLAT_RING3_CS64;
    regs->rflags = (regs->rflags & ~(uint64_t)RFLAGS_CLEARED) | RFLAGS_IF;
    regs->rsp = sp;
    regs->ss = FLAT_RING3_SS32;
    return true;
}

static bool vector_has_error_code(unsigned int vector)
{
    return vector == TRAP_DF || (vector >= TRAP_TS && vector <= TRAP_PF) || vector == TRAP_AC || vector == TRAP_CP;
}

void guest_inject_exception(struct vcpu *v, unsigned int vector, uint32_t error_code)
{
    const struct guest_trap *trap = &v->traps[vector];
    struct regs *regs = guest_regs();
    uint64_t error = error_code;

    if (unlikely(trap->address == 0)) {
        domain_crash(v->domain, "v%u: exception %u (error %#x) at %#lx and no handler for it", v->id, vector, error_code,
                     (unsigned long)regs->rip);
        return;
    }
    bounce_to(v, regs, trap->address, trap->masks_events, &error, vector_has_error_code(vector));
}

void guest_inject_page_fault(struct vcpu *v, uint64_t address, uint32_t error_code)
{
    v->cr2_shadow = address;
    v->info->arch.cr2 = address;
    /* The guest kernel runs in ring 3: to it, its own faults are a supervisor's. */
    if (v->in_kernel)
        error_code &= ~4u;
    guest_inject_exception(v, TRAP_PF, error_code);
}

void guest_event_upcall(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    if (unlikely(v->event_entry == 0)) {
        v->info->evtchn_upcall_mask = 1; /* nowhere to go yet: as if the guest had masked */
        return;
    }
    v->upcalls++;
    bounce_to(v, regs, v->event_entry, true, NULL, 0);
}

void guest_syscall(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    if (v->syscall_entry == 0)
        domain_crash(v->domain, "v%u: system call and no callback for it", v->id);
    else
        bounce_to(v, regs, v->syscall_entry, v->syscall_masks_events, NULL, 0);
}

void guest_syscall32(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    if (v->in_kernel || v->syscall32_entry == 0)
        guest_inject_exception(v, TRAP_GP, 0);
    else
        bounce_to(v, regs, v->syscall32_entry, v->syscall32_masks_events, NULL, 0);
}

void guest_syscall_bad_stack(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    domain_crash(v->domain, "v%u: no stack at %#lx for the system call at %#lx", v->id, (unsigned long)v->kernel_sp,
                 (unsigned long)regs->rip);
}

/* rcx, r11, ds, es, fs, gs, rip ...: xen/callback.h CALLBACKTYPE_failsafe. */
static void failsafe_bounce(struct vcpu *v, struct regs *regs)
{
    uint64_t selectors[4];

    segment_selectors_read(selectors);
    if (v->failsafe_entry == 0)
        domain_crash(v->domain, "v%u: its state cannot be loaded (rip %#lx cs %#lx ss %#lx) and no failsafe callback", v->id,
                     (unsigned long)regs->rip, (unsigned long)regs->cs, (unsigned long)regs->ss);
    else
        bounce_to(v, regs, v->failsafe_entry, v->failsafe_masks_events, selectors, 4);
}

void guest_iret_failed(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    irq_enable();
    failsafe_bounce(v, regs);
}

void guest_no_user_table(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    domain_crash(v->domain, "v%u: return to user mode at %#lx without a user page table", v->id, (unsigned long)regs->rip);
}

void guest_iret_bad_context(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    domain_crash(v->domain, "v%u: iret with an unreadable context near rip %#lx", v->id, (unsigned long)regs->rip);
}

void guest_exit_work(struct regs *regs)
{
    struct vcpu *v = current_vcpu();

    if (unlikely(v->failsafe_pending)) {
        v->failsafe_pending = false;
        failsafe_bounce(v, regs);
    }
    if (unlikely(v->mce_pending) && v->traps[TRAP_MC].address != 0) {
        v->mce_pending = false;
        guest_inject_exception(v, TRAP_MC, 0);
    }
    if (unlikely(v->nmi_pending) && !v->nmi_masked) {
        uint64_t entry = v->nmi_entry != 0 ? v->nmi_entry : v->traps[TRAP_NMI].address;

        v->nmi_pending = false;
        if (entry == 0)
            return;
        v->nmi_masked = true;
        bounce_to(v, regs, entry, true, NULL, 0);
    }
}

long hypercall_iret(void)
{
    struct vcpu *v = current_vcpu();
    struct regs *regs = guest_regs();
    struct iret_context context;

    if (copy_from_guest(&context, regs->rsp, sizeof(context)) != 0) {
        domain_crash(v->domain, "v%u: iret without a readable context at %#lx", v->id, (unsigned long)regs->rsp);
        return 0;
    }
    if ((context.cs & 3) == 3) {
        if (v->user_cr3 == 0) {
            guest_no_user_table(regs);
            return 0;
        }
        vcpu_toggle_mode(v);
    }
    regs->rip = context.rip;
    regs->cs = (context.cs | 3) & 0xffff;
    regs->rflags = (context.rflags & 0xffffffff & ~(uint64_t)(RFLAGS_IOPL | RFLAGS_VM)) | RFLAGS_IF | RFLAGS_MBS;
    regs->rsp = context.rsp;
    regs->ss = (context.ss | 3) & 0xffff;
    if (!(context.flags & VGCF_in_syscall)) {
        regs->r11 = context.r11;
        regs->rcx = context.rcx;
    }
    regs->rax = context.rax;
    v->info->evtchn_upcall_mask = !(context.rflags & RFLAGS_IF);
    v->nmi_masked = false;
    if (v->nmi_pending)
        softirq_raise(SOFTIRQ_SCHEDULE); /* to pass by guest_exit_work */
    return (long)regs->rax;
}
