// SPDX-License-Identifier: MIT
/*
 * The processor as a guest kernel sees it: emulated privileged instructions, CPUID, MSRs, segment bases, debug registers, FPU.
 */
#include "abi.h"
#include "mini.h"

#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr) : "memory");
}

static void do_rdmsr(void *msr)
{
    rdmsr((uint32_t)(uint64_t)msr);
}

static void identification(void)
{
    struct cpuid c = cpuid_pv(0x40000000, 0), raw = cpuid_raw(1, 0);
    char name[13] = {0};

    memcpy(name, &c.ebx, 12);
    check("cpuid-signature", memcmp(name, "XenVMMXenVMM", 12) == 0);
    check("cpuid-leaves", c.eax >= 0x40000002);
    c = cpuid_pv(1, 0);
    check("cpuid-hypervisor-bit", c.ecx & (1u << 31));
    check("cpuid-hides-pse", !(c.edx & (1u << 3)));
    check("cpuid-hides-pcid-x2apic-deadline", on_xen || !(c.ecx & (1u << 17 | 1u << 21 | 1u << 24)));
    check("cpuid-family-as-raw", (c.eax & 0x0fff3fff) == (raw.eax & 0x0fff3fff));
    c = cpuid_pv(7, 0);
    check("cpuid-hides-smap-smep", !(c.ebx & (1u << 20 | 1u << 7)));
    c = cpuid_pv(0x80000001, 0);
    check("cpuid-nx-lm-syscall", (c.edx & (1u << 20)) && (c.edx & (1u << 29)) && (c.edx & (1u << 11)));
}

static void cli_sti(void *unused)
{
    (void)unused;
    __asm__ volatile("cli; sti");
}

static void control_registers(void *unused)
{
    uint64_t cr;

    (void)unused;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr));
    check("cr0-protected-paged-no-ts", (cr & 0x80000009) == 0x80000001);
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr));
    check("cr4-pae", cr & 0x20);
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr));
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr));
    check("cr2-read", cr == vcpu_info(0)->arch.cr2);
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr));
    check("cr3-names-root", cr >> PAGE_SHIFT == mfn_of((void *)start_info->pt_base));
    __asm__ volatile("clts");
    __asm__ volatile("wbinvd");
}

static void ports(void *unused)
{
    uint8_t b;
    uint32_t l;

    (void)unused;
    __asm__ volatile("inb $0x61, %0" : "=a"(b));
    __asm__ volatile("outb %0, $0xed" : : "a"((uint8_t)0)); /* POST delay port: nothing listens */
    __asm__ volatile("inl %w1, %0" : "=a"(l) : "d"(0x3f0));
    check("port-in-32-absent-is-ones", on_xen || l == 0xffffffff);
}

static void privileged(void)
{
    struct physdev_set_iopl iopl = {.iopl = 1}; /* kernels ask for it; a domain without ports may be refused */

    hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &iopl);
    vcpu_info(0)->evtchn_upcall_mask = 1;
    expect("cli-sti-emulated", catch(cli_sti, NULL), -1);
    expect("cli-sti-leave-event-mask", vcpu_info(0)->evtchn_upcall_mask, 1);
    catch_read(0x123456789000, NULL); /* for cr2 */
    expect("control-registers-emulated", catch(control_registers, NULL), -1);
    expect("ports-emulated", catch(ports, NULL), -1);
    expect("rdmsr-unknown-is-gp", catch(do_rdmsr, (void *)0x12345678), 13);
}

static uint64_t fs_read(void)
{
    uint64_t v;

    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    return v;
}

static uint64_t gs_read(void)
{
    uint64_t v;

    __asm__ volatile("mov %%gs:0, %0" : "=r"(v));
    return v;
}

static void segment_bases(void)
{
    static uint64_t a = 0xaaaa, b = 0xbbbb;

    expect("fs-base-set", set_segment_base(SEGBASE_FS, &a), 0);
    check("fs-base-used", fs_read() == 0xaaaa);
    wrmsr(MSR_FS_BASE, (uint64_t)&b);
    check("fs-base-wrmsr", fs_read() == 0xbbbb && rdmsr(MSR_FS_BASE) == (uint64_t)&b);
    expect("gs-base-set", set_segment_base(SEGBASE_GS_KERNEL, &a), 0);
    check("gs-base-used", gs_read() == 0xaaaa);
    expect("gs-user-base-set", set_segment_base(SEGBASE_GS_USER, &b), 0);
    check("gs-user-base-is-apart", gs_read() == 0xaaaa);
    wrmsr(MSR_GS_BASE, (uint64_t)&b);
    check("gs-base-wrmsr", gs_read() == 0xbbbb);
    sched_op(SCHEDOP_yield, 0);
    check("bases-survive-yield", gs_read() == 0xbbbb && fs_read() == 0xbbbb);
    check("gs-user-base-read", rdmsr(MSR_KERNEL_GS_BASE) == (uint64_t)&b);
    expect("base-non-canonical", set_segment_base(SEGBASE_FS, 0x8000000000000000), X_EINVAL);
    expect("gs-bad-selector-is-null", set_segment_base(SEGBASE_GS_USER_SEL, 0x7773), 0);
    expect_error("segment-base-unknown", set_segment_base(17, 0));
    set_segment_base(SEGBASE_FS, 0);
    set_segment_base(SEGBASE_GS_KERNEL, 0);
    set_segment_base(SEGBASE_GS_USER, 0);
}

static volatile uint64_t watched;

static void touch_watched(void *unused)
{
    (void)unused;
    watched = 1;
}

static void single_step(void *unused)
{
    (void)unused;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" : : : "memory", "cc");
}

static void debug_registers(void)
{
    expect("debugreg-set", set_debugreg(0, &watched), 0);
    expect("debugreg-get", get_debugreg(0), (long)&watched);
    expect("debugreg-arm", set_debugreg(7, 0xd0001 | 0x400), 0); /* write, 4 bytes, local 0 */
    expect("watchpoint-fires", catch(touch_watched, NULL), 1);
    check("watchpoint-in-dr6", (get_debugreg(6) & 0xf) == 1);
    sched_op(SCHEDOP_yield, 0);
    expect("watchpoint-after-yield", catch(touch_watched, NULL), 1);
    expect("debugreg-disarm", set_debugreg(7, 0x400), 0);
    expect("watchpoint-gone", catch(touch_watched, NULL), -1);
    set_debugreg(6, 0xffff0ff0);
    expect("single-step", catch(single_step, NULL), 1);
    check("single-step-in-dr6", get_debugreg(6) & 0x4000);
    expect("single-step-off-afterwards", catch(touch_watched, NULL), -1);
    set_debugreg(0, 0);
    set_debugreg(6, 0xffff0ff0);
}

static void do_fnop(void *unused)
{
    (void)unused;
    __asm__ volatile("fnop");
}

static void fpu(void)
{
    uint16_t control = 0x037f, back = 0;
    uint64_t in[2] = {0x0123456789abcdef, 0xfedcba9876543210}, out[2] = {0, 0};

    expect("taskswitch-set", hypercall1(__HYPERVISOR_fpu_taskswitch, 1), 0);
    expect("taskswitch-gives-nm", catch(do_fnop, NULL), 7);
    expect("taskswitch-once", catch(do_fnop, NULL), -1);
    hypercall1(__HYPERVISOR_fpu_taskswitch, 0);
    __asm__ volatile("fninit; fldcw %0" : : "m"(control));
    __asm__ volatile("movups %0, %%xmm15" : : "m"(in));
    for (int i = 0; i < 10; i++)
        pause_ns(1000000);
    __asm__ volatile("movups %%xmm15, %0" : "=m"(out));
    __asm__ volatile("fnstcw %0" : "=m"(back));
    check("fpu-state-kept", back == 0x037f && out[0] == in[0] && out[1] == in[1]);
}

void abi_cpu(void)
{
    identification();
    privileged();
    segment_bases();
    debug_registers();
    fpu();
}
