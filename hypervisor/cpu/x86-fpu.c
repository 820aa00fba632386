/* SPDX-License-Identifier: MIT */
/*
 * FPU state: eager, but not loaded where the registers still hold it. Contract: fpu.h. Page: docs/concepts/cpu.md.
 *
 * Saving at each departure keeps one rule: a vCPU that is not running has its state in memory. XSAVEOPT leaves out what has not changed. XCR0 is each vCPU's own; only
 * components that it has enabled can have been touched by it, and all that the next one has enabled are loaded, so nothing leaks.
 */
#include "fpu.h"

#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "emulate.h"
#include "hypercall.h"
#include "lib/string.h"
#include "log.h"
#include "vcpu.h"
#include "x86/cpu-asm.h"

#include <hv/errno.h>

#define XCR0_X87 1ull
#define XCR0_SSE 2ull
#define XCR0_AVX 4ull
#define XCR0_AVX512 0xe0ull
#define FXSAVE_BYTES 512
#define FCW_INIT 0x37f
#define MXCSR_INIT 0x1f80
#define CR0_TS 8ull
#define NO_CPU (~0u)

uint64_t fpu_xcr0_allowed;
static uint32_t state_bytes = FXSAVE_BYTES;
static bool have_xsaveopt;

void fpu_init(void)
{
    struct cpuid_regs one = cpuid(1, 0), d;
    uint64_t offered;

    if (!(one.ecx & (1u << 26)))
        return;
    d = cpuid(0xd, 0);
    offered = ((uint64_t)d.edx << 32) | d.eax;
    fpu_xcr0_allowed = offered & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
    if ((offered & XCR0_AVX512) == XCR0_AVX512)
        fpu_xcr0_allowed |= XCR0_AVX512;
    have_xsaveopt = cpuid(0xd, 1).eax & 1;
    xsetbv(fpu_xcr0_allowed);
    state_bytes = cpuid(0xd, 0).ebx; /* for what is enabled now */
}

int fpu_create(struct vcpu *v)
{
    char *state = heap_alloc(state_bytes); /* aligned at 64 at least: classes are powers of two */
    uint16_t fcw = FCW_INIT;
    uint32_t mxcsr = MXCSR_INIT;

    if (state == NULL)
        return -ENOMEM;
    memcpy(state, &fcw, sizeof(fcw));
    memcpy(state + 24, &mxcsr, sizeof(mxcsr));
    v->fpu_state = state;
    v->fpu_cpu = NO_CPU;
    v->xcr0 = XCR0_X87;
    return 0;
}

void fpu_destroy(struct vcpu *v)
{
    heap_free(v->fpu_state);
    v->fpu_state = NULL;
}

static void state_save(void *area)
{
    if (fpu_xcr0_allowed == 0)
        __asm__ volatile("fxsaveq (%0)" ::"r"(area) : "memory");
    else if (have_xsaveopt)
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
}

static void state_load(const void *area)
{
    if (fpu_xcr0_allowed == 0)
        __asm__ volatile("fxrstorq (%0)" ::"r"(area) : "memory");
    else
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
}

void fpu_leave(struct vcpu *v)
{
    if (unlikely(v->cr0_ts))
        clts();
    state_save(v->fpu_state);
}

void fpu_enter(struct cpu *cpu, struct vcpu *v)
{
    if (cpu->fpu_owner != v || v->fpu_cpu != cpu->id) {
        if (fpu_xcr0_allowed != 0 && cpu->xcr0 != v->xcr0) {
            xsetbv(v->xcr0);
            cpu->xcr0 = v->xcr0;
        }
        state_load(v->fpu_state);
        cpu->fpu_owner = v;
        v->fpu_cpu = cpu->id;
    }
    if (unlikely(v->cr0_ts))
        write_cr0(read_cr0() | CR0_TS);
}

int fpu_set_xcr0(struct vcpu *v, uint64_t value)
{
    if (!(value & XCR0_X87) || (value & ~fpu_xcr0_allowed) || ((value & XCR0_AVX) && !(value & XCR0_SSE)))
        return -EINVAL;
    if ((value & XCR0_AVX512) != 0 && ((value & XCR0_AVX512) != XCR0_AVX512 || !(value & XCR0_AVX)))
        return -EINVAL;
    v->xcr0 = value;
    this_cpu()->xcr0 = value;
    xsetbv(value);
    return 0;
}

long hypercall_fpu_taskswitch(int set)
{
    struct vcpu *v = current_vcpu();

    v->cr0_ts = set != 0;
    if (set)
        write_cr0(read_cr0() | CR0_TS);
    else
        clts();
    return 0;
}

/* #NM with TS set by the guest itself: the guest's handler expects TS clear, as the ABI has it. */
void emulate_device_not_available(struct vcpu *v)
{
    v->cr0_ts = 0;
    clts();
}
