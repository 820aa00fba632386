// SPDX-License-Identifier: MIT
/*
 * User mode: its own page table, the way in by iret and out by syscall, exceptions and software interrupts, and what is kept across.
 */
#include "abi.h"
#include "mini.h"

USER_CODE(user_int3, "int3");
USER_CODE(user_int80, "int $0x80");
USER_CODE(user_int81, "int $0x81");
USER_CODE(user_int4, "int $4");
USER_CODE(user_syscall, "mov $0x5a5a, %eax; syscall");
USER_CODE(user_read, "mov (%rdi), %rax; int3");
USER_CODE(user_write, "mov %rax, (%rdi); int3");
USER_CODE(user_gs, "mov %gs:0, %rax; mov %fs:0, %rbx; int3");
USER_CODE(user_cli, "cli");
USER_CODE(user_in, "in $0x61, %al");
USER_CODE(user_step, "nop; nop");
USER_CODE(user_cpuid, ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid; int3");
USER_CODE(user_rdmsr, "mov $0xc0000100, %ecx; rdmsr; int3");

static struct frame *last(void)
{
    return &vcpus[0].last;
}

static int run(const char *from, const char *to, uint64_t rdi, uint64_t rax)
{
    struct frame f = {.rdi = rdi, .rax = rax, .rcx = 0xc0c0, .r11 = 0x1111, .r15 = 0xf5, .rbp = 0xb9};

    user_code(from, to);
    return user_run(&f);
}
#define RUN(code, rdi, rax) run(code, code##_end, (uint64_t)(rdi), (uint64_t)(rax))

static void ways_out(void)
{
    expect("user-int3", RUN(user_int3, 0x77, 0x88), 3);
    check("user-registers-by-iret", last()->rcx == 0xc0c0 && last()->r11 == 0x1111 && last()->rax == 0x88 && last()->rdi == 0x77 && last()->r15 == 0xf5);
    check("user-frame-selectors", (last()->cs & 0xffff) == FLAT_USER_CS64 && (last()->ss & 0xffff) == FLAT_USER_SS64);
    check("user-frame-on-kernel-stack", vcpus[0].handler_rsp + sizeof(struct frame) == (uint64_t)(stacks[0] + STACK_USER_TOP));
    check("user-frame-rip-rsp", last()->rip == USER_VA + 1 && last()->rsp == USER_STACK_TOP - 16);
    check("user-rflags-iopl-0", (last()->rflags & 0x3000) == 0);
    expect("user-int80", RUN(user_int80, 0, 0), 0x80);
    check("user-int80-rip", last()->rip == USER_VA + 2);
    expect("user-int4-dpl3", RUN(user_int4, 0, 0), 4);
    expect("user-int81-dpl0-is-gp", RUN(user_int81, 0, 0), 13);
    /* QEMU 7.2 pushes vector * 16 + 2 in long mode, where the processor pushes vector * 8 + 2. */
    check("user-int81-error-rip", (last()->error == 0x81 * 8 + 2 || last()->error == 0x81 * 16 + 2) && last()->rip == USER_VA);
    expect("user-syscall", RUN(user_syscall, 0, 0), VECTOR_SYSCALL);
    check("user-syscall-frame", last()->rax == 0x5a5a && last()->rip == USER_VA + 7 && last()->rsp == USER_STACK_TOP - 16 && (last()->cs & 3) == 3);
    expect("user-syscall-masks-events", vcpus[0].mask_in_handler, 1);
    expect("user-privileged-is-gp", RUN(user_cli, 0, 0), 13);
    expect("user-port-is-gp", RUN(user_in, 0, 0), 13);
    expect("user-rdmsr-is-gp", RUN(user_rdmsr, 0, 0), 13);
    expect("user-forced-cpuid", RUN(user_cpuid, 0, 0x40000000), 3);
    check("user-forced-cpuid-answer", last()->rbx == 0x566e6558);
}

static void syscall_without_mask(void)
{
    struct frame f = {.rflags = 0x202};

    callback_register(CALLBACKTYPE_syscall, syscall_entry, 0);
    user_code(user_syscall, user_syscall_end);
    expect("user-syscall-unmasked", user_run(&f), VECTOR_SYSCALL);
    check("user-syscall-leaves-mask", vcpus[0].mask_in_handler == 0 && (last()->rflags & 0x200));
    standard_callbacks();
    events_mask();
}

static void memory(void)
{
    uint64_t page2 = USER_VA + PAGE_SIZE;
    uint64_t pte = *pte_find(page2, 1);

    expect("user-reads-kernel", RUN(user_read, text_start, 0), 14);
    check("user-reads-kernel-error", last()->error == 4 && vcpus[0].cr2 == (uint64_t)text_start);
    expect("user-writes-user", RUN(user_write, page2, 0x4242), 3);
    check("user-write-seen-by-kernel", *(uint64_t *)page2 == 0x4242);
    region_map(&user_region, 1, pte & ~PTE_RW);
    expect("user-writes-readonly", RUN(user_write, page2, 1), 14);
    expect("user-writes-readonly-error", last()->error, 7);
    region_map(&user_region, 1, pte);
    expect("user-reads-hypervisor", RUN(user_read, HYPERVISOR_VIRT_START + 0x30000000000, 0), 14);
    check("user-reads-hypervisor-error", last()->error & 4);
    expect("user-non-canonical", RUN(user_read, 0x8000000000000000, 0), 13);
}

static void state(void)
{
    struct frame f = {.rflags = 0x102};
    static uint64_t user_gs_value;
    uint64_t *u = (uint64_t *)(USER_VA + PAGE_SIZE), value;

    (void)user_gs_value;
    u[0] = 0x6666;
    u[1] = 0x7777;
    set_segment_base(SEGBASE_GS_USER, u);
    set_segment_base(SEGBASE_FS, u + 1);
    user_gs_value = 0x8888;
    set_segment_base(SEGBASE_GS_KERNEL, &user_gs_value);
    expect("user-gs-run", RUN(user_gs, 0, 0), 3);
    check("user-gs-fs-bases", last()->rax == 0x6666 && last()->rbx == 0x7777);
    __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
    check("kernel-gs-base-back", value == 0x8888);
    set_segment_base(SEGBASE_GS_USER, 0);
    set_segment_base(SEGBASE_GS_KERNEL, 0);
    set_segment_base(SEGBASE_FS, 0);
    user_code(user_step, user_step_end);
    expect("user-single-step", user_run(&f), 1);
    check("user-single-step-rip", last()->rip == USER_VA + 1 && (last()->rflags & 0x100));
    check("handler-without-tf", !(vcpus[0].handler_rflags & 0x100));
    set_debugreg(6, 0xffff0ff0);
}

static void second_table(void)
{
    uint64_t *other = table_alloc();

    expect("user-table-empty-pin", mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(other), 0), 0);
    expect("user-table-switch", mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(other), 0), 0);
    expect("user-in-empty-table", RUN(user_int3, 0, 0), 14);
    check("user-in-empty-table-error", last()->error & 4);
    expect("user-table-back", mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(user_l4), 0), 0);
    expect("user-again", RUN(user_int3, 0, 0), 3);
    expect("user-table-none", mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    expect("user-table-set", mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(user_l4), 0), 0);
    expect("user-table-unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(other), 0), 0);
    table_free(other);
}


void abi_user(void)
{
    user_setup();
    ways_out();
    syscall_without_mask();
    memory();
    state();
    second_table();
}
