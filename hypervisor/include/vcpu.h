/* SPDX-License-Identifier: MIT */
/*
 * vCPUs: the register state of one guest processor, and what each concept keeps for it.
 *
 * While a vCPU runs, its general registers are on its own stack (cpu.h: guest_regs); segment, debug and FPU registers are in the processor and come
 * back into this structure when another one is switched in. Fields that entry.S uses are listed in traps/asm-offsets.c.
 */
#pragma once

#include "domain.h"
#include "time.h"
#include "types.h"
#include "x86/regs.h"

#include <xen/xen.h>

#define GDT_GUEST_FRAMES 14 /* FIRST_RESERVED_GDT_PAGE */
#define LDT_FRAMES 16
#define VCPU_STATE_NOWHERE 0xffffffffu /* fpu_cpu: in memory alone */

/* One entry of a guest's trap table, checked on registration. */
struct guest_trap {
    uint64_t address; /* 0: none */
    uint8_t dpl;      /* who may raise it by INT n */
    bool masks_events;
};

struct vcpu {
    struct domain *domain; /* NULL for an idle vCPU */
    uint32_t id;
    bool is_idle;
    /* Guest mode: true in its kernel's context (both run in ring 3; page table and GS tell them apart). Only meaningful on its own CPU. */
    bool in_kernel;
    bool initialised; /* VCPUOP_initialise done, may be brought up */
    bool nmi_pending, nmi_masked;
    bool mce_pending;
    bool crash_logged;
    uint8_t iopl; /* virtual IOPL (PHYSDEVOP_set_iopl); grants nothing by itself */

    /* Page tables: machine addresses; each holds a type reference. user_cr3 0: none given. */
    uint64_t kernel_cr3;
    uint64_t user_cr3;

    /* Where to go in the guest kernel. All checked as guest addresses. */
    uint64_t kernel_sp; /* stack_switch: for entries from user mode */
    uint64_t kernel_ss;
    uint64_t event_entry;
    uint64_t failsafe_entry;
    uint64_t syscall_entry;
    uint64_t syscall32_entry;
    uint64_t sysenter_entry;
    uint64_t nmi_entry; /* CALLBACKTYPE_nmi or nmi_op; else trap 2 */
    bool syscall_masks_events, syscall32_masks_events, sysenter_masks_events, failsafe_masks_events;
    struct guest_trap traps[256];

    struct vcpu_info *info; /* in shared_info or in a page the guest registered; always valid, hypervisor's address */
    mfn_t info_mfn;         /* INVALID_MFN while in shared_info; else held writable */
    uint64_t cr2_shadow;

    struct regs *regs; /* top of its stack */
    uint64_t stack_top; /* value for TSS.rsp0 and the syscall stubs: just above *regs */
    uint64_t switch_sp; /* saved stack pointer while switched out */
    uint32_t cpu;       /* where it runs or last ran; the core's, under run queue lock */

    /* Segment state while switched out. The inactive GS base is the processor's KERNEL_GS_BASE. */
    uint16_t ds, es, fs, gs;
    uint64_t fs_base, gs_base, gs_base_other; /* active base, and that of the other mode */

    uint64_t gdt_frames[GDT_GUEST_FRAMES]; /* machine frame numbers, each held as FRAME_DESCRIPTOR */
    uint32_t gdt_frame_count, gdt_entries;
    uint64_t ldt_base; /* guest VA */
    uint32_t ldt_entries;
    uint64_t ldt_frames[LDT_FRAMES];
    uint32_t ldt_frame_count;

    uint64_t dr[8]; /* DR0-3, 6, 7 as the guest set them */
    uint64_t cr4_guest; /* what it wrote; only remembered */
    uint64_t cr0_ts;  /* CR0.TS wanted (fpu_taskswitch) */

    void *fpu_state; /* XSAVE (or FXSAVE) area, 64-byte aligned; valid while no CPU has it as fpu_owner */
    uint64_t xcr0;

    struct vcpu_time time;
    struct sched_vcpu sched; /* the core's part, with the module's (hv/sched-ops.h) */

    /* Events: lock domain->events.lock for changes. */
    uint16_t virq_port[24]; /* NR_VIRQS; 0 unbound */
    uint16_t poll_port; /* >0: waiting for exactly this port; 0: none or several */
    bool polling;
    struct timer poll_timer;

    void *stack; /* lowest mapped address of its stack */
    uint32_t drained; /* blockers that vcpu_drain_begin took away; lock: its run queue's */
    bool preempted_in_mm; /* switched out inside a memory operation, holding references (mm/page-table.h) */
    uint64_t hypercalls, faults, pt_emulations, upcalls; /* statistics, own CPU only; upcalls: events delivered */
    struct vcpu_info *info_private; /* what info is before registration where shared_info has no place for it; else NULL */
    bool initialising; /* atomic: one VCPUOP_initialise at a time */

    /* The CPU whose registers (segments, FPU, MSRs) last were this vCPU's. They still are if that CPU's fpu_owner is this vCPU. */
    uint32_t fpu_cpu;
    uint32_t tsc_aux; /* MSR_TSC_AUX: what RDTSCP and RDPID return */
    bool failsafe_pending; /* a selector could not be loaded at a switch: the guest's failsafe callback is due */
};

/* A vCPU with its stack, scheduler and time state, down and uninitialised; NULL when out of memory. */
struct vcpu *must_check vcpu_create(struct domain *d, uint32_t id);
void vcpu_destroy(struct vcpu *v);
/* domain/vcpu.c: the idle vCPU of a pCPU, on the stack that the pCPU booted with. */
struct vcpu *must_check vcpu_create_idle(uint32_t cpu);
