// SPDX-License-Identifier: MIT
/*
 * The CPUID policy: raw leaves in, a guest's leaves out. Every feature word is a list of what is let through; what a new processor brings stays hidden until
 * somebody has thought about it. Reasons for the hidden ones: docs/concepts/cpu.md. Contract: cpu-policy.h. Pure: tested in test-cpuid.c.
 */
#include "cpu-policy.h"

#define BIT(n) (1u << (n))

/* Features that live in AVX registers, or in their EVEX forms, go when XCR0 does not offer those. */
#define L1C_AVX (BIT(12) | BIT(28) | BIT(29)) /* FMA AVX F16C */
#define L1C_SHOWN                                                                                                      \
    (BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) | BIT(26) | BIT(27) | BIT(28) | BIT(29) |         \
     BIT(30)) /* SSE3 PCLMULQDQ SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE OSXSAVE AVX F16C RDRAND */
#define L1C_XSAVE (BIT(26) | BIT(27))
#define L1C_HYPERVISOR BIT(31)
#define L1D_SHOWN                                                                                                      \
    (BIT(0) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(9) | BIT(15) | BIT(16) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26) |             \
     BIT(27)) /* FPU DE TSC MSR PAE CX8 APIC CMOV PAT CLFSH MMX FXSR SSE SSE2 SS */
#define L7B_AVX BIT(5)
#define L7B_AVX512 (BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31))
#define L7B_SHOWN                                                                                                      \
    (BIT(0) | BIT(3) | L7B_AVX | BIT(6) | BIT(8) | BIT(9) | L7B_AVX512 | BIT(18) | BIT(19) | BIT(23) | BIT(24) |                                      \
     BIT(29)) /* FSGSBASE BMI1 AVX2 FDP_EXCPTN BMI2 ERMS RDSEED ADX CLFLUSHOPT CLWB SHA */
#define L7B_FSGSBASE BIT(0)
#define L7C_AVX (BIT(9) | BIT(10)) /* VAES VPCLMULQDQ */
#define L7C_AVX512 (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define L7C_SHOWN (L7C_AVX512 | BIT(8) | L7C_AVX | BIT(22) | BIT(25) | BIT(27) | BIT(28)) /* GFNI RDPID CLDEMOTE MOVDIRI MOVDIR64B */
#define L7C_RDPID BIT(22)
#define L7D_AVX512 (BIT(2) | BIT(3) | BIT(8) | BIT(23))
#define L7D_SHOWN (L7D_AVX512 | BIT(4) | BIT(10)) /* FSRM MD_CLEAR */
#define L71A_AVX (BIT(4) | BIT(23))                /* AVX-VNNI AVX-IFMA */
#define L71A_AVX512 BIT(5)
#define L71A_SHOWN (L71A_AVX | L71A_AVX512 | BIT(10) | BIT(11) | BIT(12)) /* fast short REP */
#define E1C_AVX (BIT(11) | BIT(16))                                       /* XOP FMA4 */
#define E1C_SHOWN (BIT(0) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | E1C_AVX | BIT(21)) /* LAHF LZCNT SSE4A MISALIGNSSE PREFETCHW TBM */
#define E1D_SHARED                                                                                                     \
    (BIT(0) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(9) | BIT(15) | BIT(16) | BIT(23) | BIT(24)) /* AMD repeats leaf 1 here */
#define E1D_SHOWN (E1D_SHARED | BIT(11) | BIT(20) | BIT(22) | BIT(25) | BIT(27) | BIT(29) | BIT(30) | BIT(31)) /* SYSCALL NX MMXEXT FFXSR RDTSCP LM 3DNOW */
#define E1D_RDTSCP BIT(27)
#define E7D_SHOWN BIT(8) /* invariant TSC */
#define E8B_SHOWN (BIT(0) | BIT(2)) /* CLZERO, XSAVE saves error pointers */
#define D1A_SHOWN (BIT(0) | BIT(1) | BIT(2)) /* XSAVEOPT XSAVEC XGETBV(1); not XSAVES */

#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u
#define XCR0_AVX512 0xe0u
#define XCR0_KNOWN (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)
#define XSAVE_LEGACY_BYTES 576u /* FXSAVE image and header */

#define XEN_LEAF 0x40000000u
#define XEN_LEAVES 5u
#define XEN_VERSION (4u << 16 | 17u)
#define FEATURE_PRESERVE_AD BIT(0)
#define TSC_NEVER_EMULATED 2u

static struct cpuid_regs masked(struct cpuid_regs r, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    return (struct cpuid_regs){r.eax & a, r.ebx & b, r.ecx & c, r.edx & d};
}

/* Which register sets may be shown, and how large their area is. Sets p->xcr0_mask, xsave_bytes, xstate. */
static void build_xstate(struct cpu_policy *p, struct cpuid_regs (*raw)(uint32_t, uint32_t), uint32_t max_leaf)
{
    struct cpuid_regs d0;
    uint32_t i;

    p->xsave_bytes = 512;
    if (max_leaf < 0xd || !(raw(1, 0).ecx & BIT(26)))
        return;
    d0 = raw(0xd, 0);
    p->xcr0_mask = d0.eax & XCR0_KNOWN;
    if (!(p->xcr0_mask & XCR0_AVX) || (p->xcr0_mask & XCR0_AVX512) != XCR0_AVX512)
        p->xcr0_mask &= ~(uint64_t)XCR0_AVX512;
    p->xsave_bytes = XSAVE_LEGACY_BYTES;
    for (i = 2; i < POLICY_XSTATE_LEAVES; i++) {
        if (!(p->xcr0_mask >> i & 1))
            continue;
        p->xstate[i] = raw(0xd, i);
        p->xstate[i].ecx = p->xstate[i].edx = 0;
        p->xsave_bytes = max(p->xsave_bytes, p->xstate[i].eax + p->xstate[i].ebx);
    }
    p->xstate[0] = (struct cpuid_regs){(uint32_t)p->xcr0_mask, 0, p->xsave_bytes, 0};
    p->xstate[1] = masked(raw(0xd, 1), D1A_SHOWN, 0, 0, 0);
    p->xsaveopt = p->xstate[1].eax & BIT(0);
}

static void build_features(struct cpu_policy *p, struct cpuid_regs (*raw)(uint32_t, uint32_t), uint32_t max_leaf)
{
    struct cpuid_regs *one = &p->basic[1], *seven = &p->basic[7];

    *one = masked(raw(1, 0), ~0u, 0xffffu, L1C_SHOWN, L1D_SHOWN);
    if (p->xcr0_mask == 0)
        one->ecx &= ~(L1C_XSAVE | L1C_AVX);
    if (one->ecx & BIT(26))
        one->ecx |= BIT(27); /* we run with CR4.OSXSAVE */
    one->ecx |= L1C_HYPERVISOR;
    if (max_leaf >= 7) {
        *seven = masked(raw(7, 0), 1, L7B_SHOWN, L7C_SHOWN, L7D_SHOWN);
        seven->eax = min(raw(7, 0).eax, 1u);
        if (seven->eax == 1)
            p->seven_one = masked(raw(7, 1), L71A_SHOWN, 0, 0, 0);
    }
    if (!(p->xcr0_mask & XCR0_AVX)) {
        one->ecx &= ~L1C_AVX;
        seven->ebx &= ~L7B_AVX;
        seven->ecx &= ~L7C_AVX;
        p->seven_one.eax &= ~L71A_AVX;
        p->extended[1].ecx &= ~E1C_AVX;
    }
    if (!(p->xcr0_mask & XCR0_AVX512)) {
        seven->ebx &= ~L7B_AVX512;
        seven->ecx &= ~L7C_AVX512;
        seven->edx &= ~L7D_AVX512;
        p->seven_one.eax &= ~L71A_AVX512;
    }
    p->fsgsbase = seven->ebx & L7B_FSGSBASE;
    p->tsc_aux = (p->extended[1].edx & E1D_RDTSCP) || (seven->ecx & L7C_RDPID);
}

static void build_extended(struct cpu_policy *p, struct cpuid_regs (*raw)(uint32_t, uint32_t))
{
    struct cpuid_regs e0 = raw(0x80000000, 0);
    uint32_t i, last = e0.eax >= 0x80000000 && e0.eax < 0x80010000 ? min(e0.eax - 0x80000000, POLICY_EXTENDED_LEAVES - 1u) : 0;

    for (i = 1; i <= last; i++)
        p->extended[i] = raw(0x80000000 + i, 0);
    p->extended[0] = e0;
    p->extended[0].eax = 0x80000000 + last;
    p->extended[1] = masked(p->extended[1], ~0u, 0, E1C_SHOWN, E1D_SHOWN);
    p->extended[7] = masked(p->extended[7], 0, 0, 0, E7D_SHOWN);
    p->extended[8] = masked(p->extended[8], 0xff, E8B_SHOWN, 0, 0);
    p->extended[8].eax |= 48u << 8;
}

void cpu_policy_build(struct cpu_policy *p, struct cpuid_regs (*raw)(uint32_t leaf, uint32_t subleaf))
{
    struct cpuid_regs zero = raw(0, 0);
    uint32_t i, max_leaf = zero.eax;

    *p = (struct cpu_policy){0};
    build_xstate(p, raw, max_leaf);
    build_extended(p, raw);
    build_features(p, raw, max_leaf);
    p->basic[0] = zero;
    p->basic[0].eax = min(max_leaf, p->xcr0_mask != 0 ? 0xdu : 7u);
    if (max_leaf >= 2)
        p->basic[2] = raw(2, 0);
    for (i = 0; max_leaf >= 4 && i < POLICY_CACHE_LEAVES; i++) {
        p->cache[i] = raw(4, i);
        p->cache[i].eax &= 0x3fff; /* not who shares it: vCPUs have no fixed place */
    }
    /* "AuthenticAMD", "HygonGenuine" */
    p->fp_pointers_leak = (zero.ebx == 0x68747541 || zero.ebx == 0x6f677948) && !(p->extended[8].ebx & BIT(2));
}

bool cpu_policy_xcr0_ok(const struct cpu_policy *p, uint64_t xcr0)
{
    if (!(xcr0 & XCR0_X87) || (xcr0 & ~p->xcr0_mask))
        return false;
    if ((xcr0 & XCR0_AVX) && !(xcr0 & XCR0_SSE))
        return false;
    if (xcr0 & XCR0_AVX512)
        return (xcr0 & XCR0_AVX512) == XCR0_AVX512 && (xcr0 & XCR0_AVX);
    return true;
}

/* Leaf 0xd, 0 and 1: ebx is the size of the area for what XCR0 has on, in the standard or the compacted form (SDM vol. 1, 13.4.3). */
static struct cpuid_regs answer_xstate(const struct cpu_policy *p, uint64_t xcr0, uint32_t subleaf)
{
    struct cpuid_regs r;
    uint32_t i, standard = XSAVE_LEGACY_BYTES, compact = XSAVE_LEGACY_BYTES;

    if (subleaf >= POLICY_XSTATE_LEAVES)
        return (struct cpuid_regs){0};
    r = p->xstate[subleaf];
    for (i = 2; subleaf < 2 && i < POLICY_XSTATE_LEAVES; i++) {
        if (!(xcr0 >> i & 1))
            continue;
        standard = max(standard, p->xstate[i].eax + p->xstate[i].ebx);
        compact += p->xstate[i].eax;
    }
    if (subleaf == 0 && p->xcr0_mask != 0)
        r.ebx = standard;
    if (subleaf == 1 && (r.eax & BIT(1)))
        r.ebx = compact;
    return r;
}

static struct cpuid_regs answer_xen(const struct cpu_policy_asker *who, uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0: /* "XenVMMXenVMM" */
        return (struct cpuid_regs){XEN_LEAF + XEN_LEAVES, 0x566e6558, 0x65584d4d, 0x4d4d566e};
    case 1:
        return (struct cpuid_regs){XEN_VERSION, 0, 0, 0};
    case 2: /* no page to be filled by MSR; ebx: where that MSR would be */
        return (struct cpuid_regs){0, XEN_LEAF, FEATURE_PRESERVE_AD, 0};
    case 3:
        return subleaf == 0   ? (struct cpuid_regs){0, TSC_NEVER_EMULATED, who->tsc_khz, 0}
               : subleaf == 2 ? (struct cpuid_regs){who->tsc_khz, 0, 0, 0}
                              : (struct cpuid_regs){0};
    case 5:
        return subleaf == 0 ? (struct cpuid_regs){0, who->machine_address_bits, 0, 0} : (struct cpuid_regs){0};
    default:
        return (struct cpuid_regs){0};
    }
}

static struct cpuid_regs answer_basic(const struct cpu_policy *p, const struct cpu_policy_asker *who, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = p->basic[leaf];

    switch (leaf) {
    case 1:
        r.ebx |= who->vcpu_id << 24; /* initial APIC id */
        return r;
    case 4:
        return subleaf < POLICY_CACHE_LEAVES ? p->cache[subleaf] : (struct cpuid_regs){0};
    case 7:
        return subleaf == 0 ? r : subleaf == 1 ? p->seven_one : (struct cpuid_regs){0};
    case 0xd:
        return answer_xstate(p, who->xcr0, subleaf);
    default:
        return r;
    }
}

struct cpuid_regs cpu_policy_answer(const struct cpu_policy *p, const struct cpu_policy_asker *who, uint32_t leaf, uint32_t subleaf)
{
    if (leaf <= p->basic[0].eax)
        return answer_basic(p, who, leaf, subleaf);
    if (leaf >= XEN_LEAF && leaf <= XEN_LEAF + XEN_LEAVES)
        return answer_xen(who, leaf - XEN_LEAF, subleaf);
    if (leaf >= 0x80000000 && leaf <= p->extended[0].eax)
        return p->extended[leaf - 0x80000000];
    return (struct cpuid_regs){0};
}
