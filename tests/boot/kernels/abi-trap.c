// SPDX-License-Identifier: MIT
/*
 * Exceptions in the guest kernel: the frame, the event mask, error codes, cr2; and the iret hypercall back to the kernel.
 */
#include "abi.h"
#include "mini.h"

static struct frame *last(void)
{
    return &vcpus[0].last;
}

static void do_int3(void *unused)
{
    (void)unused;
    __asm__ volatile("int3");
}
static void do_int80(void *unused)
{
    (void)unused;
    __asm__ volatile("int $0x80");
}
static void do_ud2(void *unused)
{
    (void)unused;
    __asm__ volatile("ud2");
}
static void do_divide(void *unused)
{
    (void)unused;
    __asm__ volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; div %%ecx" : : : "eax", "ecx", "edx", "cc");
}
static void do_jump(void *to)
{
    ((void (*)(void))to)();
}
static void do_odd_stack(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %%rsp, %%rbx; sub $0x105, %%rsp; int3; mov %%rbx, %%rsp" : : : "rbx", "memory");
}

static void frames(void)
{
    vcpu_info(0)->evtchn_upcall_mask = 0;
    expect("int3", catch(do_int3, NULL), 3);
    check("kernel-frame-cs-rpl0", (last()->cs & 0xffff) == (FLAT_KERNEL_CS64 & ~3) && (uint8_t)(last()->cs >> 32) == 0);
    check("kernel-frame-ss", (last()->ss & ~3ul) == (FLAT_KERNEL_SS & ~3));
    check("frame-if-is-unmasked", last()->rflags & 0x200);
    expect("int3-gate-leaves-mask", vcpus[0].mask_in_handler, 0);
    expect("ud2", catch(do_ud2, NULL), 6);
    expect("masking-gate-masks", vcpus[0].mask_in_handler, 1);
    vcpu_info(0)->evtchn_upcall_mask = 1;
    expect("ud2-when-masked", catch(do_ud2, NULL), 6);
    check("frame-if-is-masked", !(last()->rflags & 0x200) && (uint8_t)(last()->cs >> 32) == 1);
    check("handler-flags", (vcpus[0].handler_rflags & 0x57700) == 0x200 || (vcpus[0].handler_rflags & 0x54700) == 0x200);
    expect("frame-on-unaligned-stack", catch(do_odd_stack, NULL), 3);
    check("frame-aligned-below-rsp", vcpus[0].handler_rsp + sizeof(struct frame) == (last()->rsp & ~15ul));
}

static void exceptions(void)
{
    uint64_t *text = (uint64_t *)((uint64_t)text_start & PAGE_MASK);
    uint64_t cr2;

    expect("divide", catch(do_divide, NULL), 0);
    expect("int80", catch(do_int80, NULL), 0x80);
    check("int80-rip-after", ((uint8_t *)last()->rip)[-2] == 0xcd);
    check("int3-rip-after", catch(do_int3, NULL) == 3 && ((uint8_t *)last()->rip)[-1] == 0xcc);
    expect("gp-non-canonical", catch_read(0x8000000000000000, NULL), 13);
    expect("gp-error-code", last()->error, 0);
    expect("pf-absent", catch_read(0x123456789abc, NULL), 14);
    check("pf-absent-error-cr2", last()->error == 0 && vcpus[0].cr2 == 0x123456789abc);
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    check("pf-mov-cr2", cr2 == 0x123456789abc);
    expect("pf-write-absent", catch_write(0x123456789ab8, 1), 14);
    expect("pf-write-absent-error", last()->error, 2);
    make_readonly(text);
    expect("pf-readonly", catch_write((uint64_t)text, 0), 14);
    expect("pf-readonly-error-has-no-user-bit", last()->error, 3);
    make_writable(text);
    /* The M2P holds 0 or all-ones beyond RAM or is not mapped there: either way the guest lives. */
    catch_read(MACH2PHYS_VIRT_START + 0x3000000000, NULL);
    check("m2p-tail-read-survives", true);
    expect("pf-hypervisor-address", catch_read(HYPERVISOR_VIRT_START + 0x30000000000, NULL), 14);
    check("pf-hypervisor-address-error-not-user", !(last()->error & 4));
    expect("jump-absent", catch(do_jump, (void *)0x123456789000), 14);
    check("jump-absent-rip", last()->rip == 0x123456789000 && (last()->error & ~0x10ul) == 0);
}

static void nx(void)
{
    static uint8_t code[PAGE_SIZE] __attribute__((aligned(4096)));

    code[0] = 0xc3;
    expect("nx-map", update_va_mapping(code, maddr_of(code) | PTE_PAGE | PTE_NX, UVMF_INVLPG), 0);
    expect("nx-fetch", catch(do_jump, code), 14);
    expect("nx-fetch-error", last()->error & 0x15, 0x11);
    make_writable(code);
    expect("nx-cleared", catch(do_jump, code), -1);
}

/* iret back to this kernel: rax, rcx and r11 from the frame, the event mask from rflags.IF. */
static void iret_kernel(void)
{
    static uint64_t context[9];
    struct vcpu_data *v = &vcpus[0];

    static char land[] __attribute__((aligned(16))) = {(char)0xcc};
    for (int in_syscall = 0; in_syscall < 2; in_syscall++)
        for (int masked = 0; masked < 2; masked++) {
            context[0] = 0x1234;
            context[1] = 0x1111;
            context[2] = 0x2222;
            context[3] = in_syscall ? VGCF_in_syscall : 0;
            context[4] = (uint64_t)land;
            context[5] = FLAT_KERNEL_CS64 & ~3;
            context[6] = masked ? 2 : 0x202;
            context[7] = (uint64_t)(stacks[0] + 0x6000);
            context[8] = FLAT_KERNEL_SS;
            vcpu_info(0)->evtchn_upcall_mask = 1;
            expect(in_syscall ? "iret-kernel-in-syscall" : "iret-kernel", iret_raw(context, NULL, &v->catch_rsp), 3);
            check("iret-kernel-rax-rip-rsp", v->last.rax == 0x1234 && v->last.rip == (uint64_t)land + 1 && v->last.rsp == (uint64_t)(stacks[0] + 0x6000));
            if (!in_syscall)
                check("iret-kernel-rcx-r11", v->last.rcx == 0x2222 && v->last.r11 == 0x1111);
            expect("iret-kernel-event-mask", (uint8_t)(v->last.cs >> 32), masked);
        }
    vcpu_info(0)->evtchn_upcall_mask = 1;
}

static void do_native_iretq(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %%rsp, %%rax; pushq %0; push %%rax; pushfq; pushq %1; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"
                     :
                     : "i"(FLAT_KERNEL_SS), "i"(FLAT_KERNEL_CS64)
                     : "rax", "memory");
}

void abi_trap(void)
{
    frames();
    exceptions();
    nx();
    iret_kernel();
    expect("native-iretq-to-self", catch(do_native_iretq, NULL), -1);
}
