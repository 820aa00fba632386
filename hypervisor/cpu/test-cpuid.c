// SPDX-License-Identifier: MIT
/*
 * The CPUID policy, for invented processors: with everything, with nothing, and what may never be seen.
 */
// needs: cpu-policy.c

#include "cpu-policy.h"

#include <check.h>
#include <string.h>

static struct cpu_policy policy;
static bool with_avx512, with_xsave = true;
static const struct cpu_policy_asker asker = {.vcpu_id = 3, .xcr0 = 7, .tsc_khz = 2400000, .machine_address_bits = 36};

#define NAME(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* A processor that claims every bit, on a hypervisor that is not us. */
static struct cpuid_regs everything(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs all = {~0u, ~0u, ~0u, ~0u};

    switch (leaf) {
    case 0:
        return (struct cpuid_regs){0x20, NAME('A', 'u', 't', 'h'), NAME('c', 'A', 'M', 'D'), NAME('e', 'n', 't', 'i')};
    case 1:
        if (!with_xsave)
            all.ecx &= ~(1u << 26);
        return all;
    case 7:
        all.eax = 2;
        return all;
    case 0xd:
        if (subleaf == 0)
            return (struct cpuid_regs){with_avx512 ? 0xe7u | 0x200u : 0x207u, 832, 2696, 0};
        if (subleaf == 2)
            return (struct cpuid_regs){256, 576, 0, 0};
        if (subleaf >= 5 && subleaf <= 7)
            return (struct cpuid_regs){subleaf == 5 ? 64 : subleaf == 6 ? 512 : 1024, subleaf == 5 ? 1088 : subleaf == 6 ? 1152 : 1664, 0, 0};
        return all;
    case 0x40000000:
        return (struct cpuid_regs){0x40000001, NAME('T', 'C', 'G', 'T'), NAME('C', 'G', 'T', 'C'), NAME('G', 'T', 'C', 'G')};
    case 0x80000000:
        return (struct cpuid_regs){0x8000001f, NAME('A', 'u', 't', 'h'), NAME('c', 'A', 'M', 'D'), NAME('e', 'n', 't', 'i')};
    case 0x80000008:
        return (struct cpuid_regs){0x3930, ~0u, ~0u, ~0u};
    default:
        return all;
    }
}

static struct cpuid_regs nothing(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    if (leaf == 0)
        return (struct cpuid_regs){1, NAME('G', 'e', 'n', 'u'), NAME('n', 't', 'e', 'l'), NAME('i', 'n', 'e', 'I')};
    if (leaf == 0x80000000)
        return (struct cpuid_regs){0x80000001, 0, 0, 0};
    return (struct cpuid_regs){0};
}

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
    return cpu_policy_answer(&policy, &asker, leaf, subleaf);
}

static void build(void)
{
    with_xsave = true;
    with_avx512 = false;
    cpu_policy_build(&policy, everything);
}

static void hidden(uint32_t word, const char *what, const uint8_t *bits, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++)
        ck_assert_msg(!(word >> bits[i] & 1), "%s bit %u is shown", what, bits[i]);
}
#define HIDDEN(word, what, ...) hidden(word, what, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

START_TEST(what_needs_ring_0_is_hidden)
{
    struct cpuid_regs one = ask(1, 0), seven = ask(7, 0), e1 = ask(0x80000001, 0);

    HIDDEN(one.edx, "1.edx", 1 /* VME */, 3 /* PSE */, 7 /* MCE */, 11 /* SEP */, 12 /* MTRR */, 13 /* PGE */, 14 /* MCA */, 17 /* PSE36 */);
    HIDDEN(one.ecx, "1.ecx", 3 /* MONITOR */, 5 /* VMX */, 15 /* PDCM */, 17 /* PCID */, 21 /* x2APIC */, 24 /* TSC deadline */);
    HIDDEN(seven.ebx, "7.ebx", 1 /* TSC_ADJUST */, 4 /* HLE */, 7 /* SMEP */, 10 /* INVPCID */, 11 /* RTM */, 14 /* MPX */, 20 /* SMAP */, 25 /* PT */);
    HIDDEN(seven.ecx, "7.ecx", 2 /* UMIP */, 3 /* PKU */, 4, 5 /* WAITPKG */, 7 /* CET */, 16 /* LA57 */, 31 /* PKS */);
    HIDDEN(seven.edx, "7.edx", 20 /* IBT */, 24 /* AMX */, 25, 26 /* SPEC_CTRL */, 27, 28, 29 /* ARCH_CAP */, 30, 31);
    HIDDEN(e1.edx, "80000001.edx", 3, 7, 12, 13, 14, 17, 26 /* 1 GiB pages */);
    HIDDEN(e1.ecx, "80000001.ecx", 2 /* SVM */, 3, 4, 9, 10 /* IBS */, 12, 15, 22 /* TOPOEXT */, 23, 24);
    ck_assert_uint_eq(ask(0xd, 1).eax & 8, 0); /* XSAVES */
    ck_assert_uint_eq(ask(0xa, 0).eax, 0);
    ck_assert_uint_eq(ask(0xb, 0).ebx, 0);
    ck_assert_uint_eq(ask(6, 0).eax, 0);
    ck_assert_uint_eq(ask(5, 0).eax, 0);
}
END_TEST

START_TEST(what_is_saved_is_shown)
{
    struct cpuid_regs one = ask(1, 0), seven = ask(7, 0);

    ck_assert_uint_eq(one.ecx >> 26 & 7, 7); /* XSAVE OSXSAVE AVX */
    ck_assert_uint_eq(seven.ebx & 0x21, 0x21); /* FSGSBASE AVX2 */
    ck_assert(policy.fsgsbase && policy.tsc_aux && policy.xsaveopt);
    ck_assert_uint_eq(policy.xcr0_mask, 7); /* not PKRU, whatever the processor has */
    ck_assert_uint_eq(policy.xsave_bytes, 832);
    ck_assert_uint_eq(one.ecx >> 31, 1);
    ck_assert_uint_eq(one.ebx >> 24, 3);
    ck_assert_uint_eq(ask(0, 0).eax, 0xd);
    ck_assert_uint_eq(ask(0x80000000, 0).eax, 0x80000008);
    ck_assert_uint_eq(ask(0x80000008, 0).eax, 48 << 8 | 48);
}
END_TEST

START_TEST(avx512_comes_with_its_registers)
{
    HIDDEN(ask(7, 0).ebx, "7.ebx", 16, 17, 21, 28, 30, 31);
    with_avx512 = true;
    cpu_policy_build(&policy, everything);
    ck_assert_uint_eq(policy.xcr0_mask, 0xe7);
    ck_assert_uint_eq(policy.xsave_bytes, 1664 + 1024);
    ck_assert(ask(7, 0).ebx >> 16 & 1);
}
END_TEST

START_TEST(without_xsave_there_is_no_avx)
{
    struct cpuid_regs one;

    with_xsave = false;
    cpu_policy_build(&policy, everything);
    one = ask(1, 0);
    HIDDEN(one.ecx, "1.ecx", 12, 26, 27, 28, 29);
    HIDDEN(ask(7, 0).ebx, "7.ebx", 5, 16);
    HIDDEN(ask(7, 0).ecx, "7.ecx", 9, 10);
    HIDDEN(ask(0x80000001, 0).ecx, "80000001.ecx", 11, 16);
    ck_assert_uint_eq(ask(0xd, 0).eax, 0);
    ck_assert_uint_eq(policy.xsave_bytes, 512);
    ck_assert(!cpu_policy_xcr0_ok(&policy, 1));
}
END_TEST

START_TEST(xsave_sizes_follow_xcr0)
{
    struct cpu_policy_asker who = asker;

    ck_assert_uint_eq(ask(0xd, 0).ebx, 832);
    ck_assert_uint_eq(ask(0xd, 1).ebx, 832);
    who.xcr0 = 3;
    ck_assert_uint_eq(cpu_policy_answer(&policy, &who, 0xd, 0).ebx, 576);
    ck_assert_uint_eq(cpu_policy_answer(&policy, &who, 0xd, 0).ecx, 832);
    ck_assert_uint_eq(ask(0xd, 2).eax, 256);
    ck_assert_uint_eq(ask(0xd, 9).eax, 0);
    ck_assert_uint_eq(ask(0xd, 63).eax, 0);
    ck_assert_uint_eq(ask(0xd, ~0u).eax, 0);
}
END_TEST

START_TEST(xcr0_is_checked)
{
    ck_assert(cpu_policy_xcr0_ok(&policy, 1));
    ck_assert(cpu_policy_xcr0_ok(&policy, 3));
    ck_assert(cpu_policy_xcr0_ok(&policy, 7));
    ck_assert(!cpu_policy_xcr0_ok(&policy, 0));
    ck_assert(!cpu_policy_xcr0_ok(&policy, 2));
    ck_assert(!cpu_policy_xcr0_ok(&policy, 5)); /* AVX without SSE */
    ck_assert(!cpu_policy_xcr0_ok(&policy, 0xf));
    ck_assert(!cpu_policy_xcr0_ok(&policy, 0xe7));
    ck_assert(!cpu_policy_xcr0_ok(&policy, 1ull << 63 | 7));
    with_avx512 = true;
    cpu_policy_build(&policy, everything);
    ck_assert(cpu_policy_xcr0_ok(&policy, 0xe7));
    ck_assert(!cpu_policy_xcr0_ok(&policy, 0x67));
    ck_assert(!cpu_policy_xcr0_ok(&policy, 0xe3));
}
END_TEST

START_TEST(xen_leaves_are_ours)
{
    struct cpuid_regs r = ask(0x40000000, 0);

    ck_assert_uint_ge(r.eax, 0x40000002);
    ck_assert(memcmp(&r.ebx, "XenV", 4) == 0 && memcmp(&r.ecx, "MMXe", 4) == 0 && memcmp(&r.edx, "nVMM", 4) == 0);
    ck_assert_uint_eq(ask(0x40000001, 0).eax, 4 << 16 | 17);
    ck_assert_uint_eq(ask(0x40000003, 0).ecx, 2400000);
    ck_assert_uint_eq(ask(0x40000005, 0).ebx, 36);
    ck_assert_uint_eq(ask(0x40000006, 0).eax, 0);
    ck_assert_uint_eq(ask(0x40000100, 0).eax, 0);
}
END_TEST

START_TEST(leaves_that_are_not_there_are_zero)
{
    static const uint32_t leaves[] = {0xe, 0x14, 0x1f, 0x20, 0x3fffffff, 0x80000009, 0x8000001e, 0x8000001f, 0x80860000, 0xffffffff};
    unsigned int i;

    for (i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        struct cpuid_regs r = ask(leaves[i], 0);

        ck_assert_uint_eq(r.eax | r.ebx | r.ecx | r.edx, 0);
    }
    ck_assert_uint_eq(ask(4, 1000).eax, 0);
    ck_assert_uint_eq(ask(7, 2).eax, 0);
}
END_TEST

START_TEST(a_poor_processor_will_do)
{
    cpu_policy_build(&policy, nothing);
    ck_assert_uint_eq(policy.xcr0_mask, 0);
    ck_assert(!policy.fsgsbase && !policy.tsc_aux && !policy.fp_pointers_leak);
    ck_assert_uint_eq(ask(0, 0).eax, 1);
    ck_assert_uint_eq(ask(1, 0).ecx, 1u << 31);
    ck_assert_uint_eq(ask(7, 0).ebx, 0);
    ck_assert_uint_eq(ask(0x80000008, 0).eax, 0);
}
END_TEST

Suite *suite_cpuid(void);
Suite *suite_cpuid(void)
{
    Suite *s = suite_create("cpuid");
    TCase *t = tcase_create("cpuid");

    tcase_add_checked_fixture(t, build, NULL);
    tcase_add_test(t, what_needs_ring_0_is_hidden);
    tcase_add_test(t, what_is_saved_is_shown);
    tcase_add_test(t, avx512_comes_with_its_registers);
    tcase_add_test(t, without_xsave_there_is_no_avx);
    tcase_add_test(t, xsave_sizes_follow_xcr0);
    tcase_add_test(t, xcr0_is_checked);
    tcase_add_test(t, xen_leaves_are_ours);
    tcase_add_test(t, leaves_that_are_not_there_are_zero);
    tcase_add_test(t, a_poor_processor_will_do);
    suite_add_tcase(s, t);
    return s;
}
