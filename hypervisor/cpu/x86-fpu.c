// SPDX-License-Identifier: MIT
/*
 * x87, SSE and AVX registers. They are saved whenever their vCPU leaves its CPU, so its memory image is always good for any other CPU; they
 * are loaded only if somebody else's were in this CPU meanwhile (cpu->fpu_owner, v->fpu_cpu; x86-switch.c). So a vCPU that blocks and is woken costs one
 * XSAVEOPT, which writes nothing that has not changed.
 *
 * Save and load always move every component that guests can have, whatever XCR0 the vCPU has chosen: what it has switched off for a while must neither get lost nor be
 * seen by the next one. CR0.TS is the guest's (fpu_taskswitch); it is off while we save or load. Contract: fpu.h. Page: docs/concepts/cpu.md.
 */
#include "fpu.h"

#include "alloc.h"
#include "cpu-policy.h"
#include "cpu.h"
#include "emulate.h"
#include "hypercall.h"
#include "lib/string.h"
#include "vcpu.h"
#include "x86/state-asm.h"

#include <hv/errno.h>

/* The FXSAVE image (SDM vol. 1, 10.5.1), and the header of XSAVE behind it (13.4.2). */
struct fx_image {
    uint16_t fcw, fsw, ftw, fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[480];
    uint64_t xstate_bv, xcomp_bv;
    uint64_t reserved[6];
};
_Static_assert(sizeof(struct fx_image) == 576, "legacy region and header");
#define FCW_INIT 0x37f
#define MXCSR_INIT 0x1f80
#define MXCSR_BITS 0xffffu
#define XSTATE_X87_SSE 3u
#define FSW_EXCEPTION 0x80u

bool xrstor_checked(const void *area, uint32_t components);
bool fxrstor_checked(const void *area);

static uint64_t xcr0_loaded[MAX_CPUS]; /* 0: not known yet */

static inline void xcr0_load(uint32_t cpu, uint64_t xcr0)
{
    if (unlikely(xcr0_loaded[cpu] != xcr0)) {
        xsetbv(0, xcr0);
        xcr0_loaded[cpu] = xcr0;
    }
}

static void image_reset(struct vcpu *v)
{
    struct fx_image *image = v->fpu_state;

    memset(image, 0, cpu_policy.xcr0_mask != 0 ? cpu_policy.xsave_bytes : 512);
    image->fcw = FCW_INIT;
    image->mxcsr = MXCSR_INIT;
}

static size_t area_bytes(void)
{
    size_t bytes = 1024; /* a power of two, so that heap_alloc aligns it */

    while (bytes < cpu_policy.xsave_bytes)
        bytes *= 2;
    return bytes;
}

uint32_t fpu_state_bytes(void)
{
    return (uint32_t)area_bytes();
}

int fpu_create(struct vcpu *v)
{
    v->fpu_state = heap_alloc(area_bytes());
    if (v->fpu_state == NULL)
        return -ENOMEM;
    image_reset(v);
    v->xcr0 = 1; /* as after reset: a kernel that knows no XSAVE keeps its programs from AVX */
    v->cr0_ts = 0;
    v->fpu_cpu = VCPU_STATE_NOWHERE;
    return 0;
}

void fpu_destroy(struct vcpu *v)
{
    heap_free(v->fpu_state);
    v->fpu_state = NULL;
}

void fpu_set_legacy(struct vcpu *v, const void *from)
{
    struct fx_image *image = v->fpu_state;

    image_reset(v);
    memcpy(image, from, 512);
    image->mxcsr &= MXCSR_BITS;
    if (cpu_policy.xcr0_mask != 0)
        image->xstate_bv = XSTATE_X87_SSE;
    v->fpu_cpu = VCPU_STATE_NOWHERE;
}

void fpu_save(struct vcpu *v)
{
    uint32_t mask = (uint32_t)cpu_policy.xcr0_mask;

    if (unlikely(v->cr0_ts))
        clear_ts();
    if (unlikely(mask == 0)) {
        __asm__ volatile("fxsave64 (%0)" ::"r"(v->fpu_state) : "memory");
        return;
    }
    xcr0_load(this_cpu_id(), mask);
    if (likely(cpu_policy.xsaveopt))
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(v->fpu_state), "a"(mask), "d"(0) : "memory");
    else
        __asm__ volatile("xsave64 (%0)" ::"r"(v->fpu_state), "a"(mask), "d"(0) : "memory");
}

/* Where loading leaves FIP, FDP and FOP alone, the last vCPU's would show through: load some of our own. SDM vol. 1, 8.1.8. */
static void fp_pointers_clear(const struct fx_image *image)
{
    static const uint32_t zero = 0;

    if (!(image->fsw & FSW_EXCEPTION))
        __asm__ volatile("fnclex; emms; fildl %0" ::"m"(zero));
}

void fpu_load(struct vcpu *v)
{
    uint32_t mask = (uint32_t)cpu_policy.xcr0_mask;

    if (cpu_policy.fp_pointers_leak)
        fp_pointers_clear(v->fpu_state);
    if (unlikely(mask == 0)) {
        if (unlikely(!fxrstor_checked(v->fpu_state))) {
            image_reset(v);
            (void)fxrstor_checked(v->fpu_state);
        }
        return;
    }
    xcr0_load(this_cpu_id(), mask);
    if (unlikely(!xrstor_checked(v->fpu_state, mask))) {
        image_reset(v);
        (void)xrstor_checked(v->fpu_state, mask);
    }
}

/* After load, or when the registers are still the vCPU's: what the guest itself has set. */
void fpu_guest_controls(struct vcpu *v)
{
    if (likely(cpu_policy.xcr0_mask != 0))
        xcr0_load(this_cpu_id(), v->xcr0);
    if (unlikely(v->cr0_ts))
        set_ts();
}

void fpu_save_if_owner(struct vcpu *v)
{
    uint64_t flags = irq_save();

    /* A vCPU that is off its CPU has been saved. */
    if (this_cpu()->current == v && !v->is_idle) {
        fpu_save(v);
        fpu_guest_controls(v);
    }
    irq_restore(flags);
}

int fpu_set_xcr0(struct vcpu *v, uint64_t xcr0)
{
    uint64_t flags;

    if (cpu_policy.xcr0_mask == 0 || !cpu_policy_xcr0_ok(&cpu_policy, xcr0))
        return -EINVAL;
    flags = irq_save();
    v->xcr0 = xcr0;
    xcr0_load(this_cpu_id(), xcr0);
    irq_restore(flags);
    return 0;
}

void emulate_device_not_available(struct vcpu *v)
{
    v->cr0_ts = 0;
    clear_ts();
}

long hypercall_fpu_taskswitch(int set)
{
    struct vcpu *v = current_vcpu();
    uint64_t flags = irq_save();

    v->cr0_ts = set != 0;
    if (set)
        set_ts();
    else
        clear_ts();
    irq_restore(flags);
    return 0;
}
