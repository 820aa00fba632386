// SPDX-License-Identifier: MIT
/*
 * Attacks that leave the hypervisor nothing to return to: it must end the guest with a reason, and go on itself. bounce-WAY-STACK: something has to be
 * pushed on a guest stack that cannot take it.
 */
#include "attack-cpu.h"
#include "mini.h"

#define HV_ADDRESS (HYPERVISOR_VIRT_START + 0x28000000000ul)
#define NON_CANONICAL 0x8000000000000000ul
#define UNMAPPED 0x123456789000ul

USER_CODE(user_fault, "mov 0x123456, %rax");
USER_CODE(user_syscall, "syscall");
USER_CODE(user_int80, "int $0x80");
USER_CODE(user_spin, "1: jmp 1b");

static struct region r;

static uint64_t bad_stack(const char *kind)
{
    uint8_t *page;

    if (strcmp(kind, "unmapped") == 0)
        return UNMAPPED;
    if (strcmp(kind, "hypervisor") == 0)
        return HV_ADDRESS;
    if (strcmp(kind, "m2p") == 0)
        return MACH2PHYS_VIRT_START + 0x800;
    if (strcmp(kind, "noncanonical") == 0)
        return NON_CANONICAL;
    if (strcmp(kind, "edge") == 0) /* just above the hole: the frame would lie in it */
        return 0xffff800000000008ul;
    if (strcmp(kind, "zero") == 0)
        return 0;
    region_build(&r, 33);
    page = page_alloc();
    region_map(&r, 1, maddr_of(page) | (strcmp(kind, "readonly") == 0 ? PTE_RO : PTE_PAGE));
    if (strcmp(kind, "readonly") == 0)
        return (uint64_t)region_va(&r, 2);
    if (strcmp(kind, "straddle") == 0) /* half of the frame fits */
        return (uint64_t)region_va(&r, 1) + 24;
    if (strcmp(kind, "hole-above") == 0) { /* ends in the lower half's last page, next to nothing canonical */
        return 0x00007ffffffffff8ul;
    }
    give_up("no such stack: %s\n", kind);
}

/* As good an answer as the crash to come. */
static void refused(void)
{
    print("[t] refused\n");
    finish();
}

static void in_user(const char *from, const char *to, uint64_t sp, uint64_t rflags)
{
    struct frame f = {.rip = USER_VA, .cs = FLAT_USER_CS64, .ss = FLAT_USER_SS64, .rsp = USER_STACK_TOP, .rflags = rflags};

    user_setup();
    user_code(from, to);
    if (stack_switch(FLAT_KERNEL_SS, sp) != 0)
        refused();
    user_enter(&f, NULL, &vcpus[0].catch_rsp);
}

static void timer_in(uint64_t ns)
{
    int port = bind_virq(VIRQ_TIMER, 0);
    struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = now_ns() + ns};

    port_forget(port);
    port_unmask(port);
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
}

static void kernel_on(uint64_t sp, bool event)
{
    if (event) {
        timer_in(100000000); /* long enough that a busy host does not let it strike on the good stack */
        vcpu_info(0)->evtchn_upcall_mask = 0;
        __asm__ volatile("mov %0, %%rsp; 1: jmp 1b" : : "r"(sp) : "memory");
    }
    __asm__ volatile("mov %0, %%rsp; ud2" : : "r"(sp) : "memory");
}

static void kernel_page_fault_on(uint64_t sp)
{
    __asm__ volatile("mov %0, %%rsp; mov 0x123456789000, %%rax" : : "r"(sp) : "rax", "memory");
}

static void kernel_push_on(uint64_t sp)
{
    __asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(sp) : "memory");
}

static void failsafe_on(uint64_t sp)
{
    static uint64_t c[9];

    c[4] = (uint64_t)text_start;
    c[5] = 0xe008; /* a selector that iretq refuses */
    c[6] = 2;
    c[7] = sp;
    c[8] = 0xe040;
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall" : : "r"(c) : "memory");
}

static void hypercall_on(uint64_t sp)
{
    events_mask();
    timer_in(1);
    __asm__ volatile("mov %0, %%rsp; movb $0, (%1); 1: mov $17, %%eax; xor %%edi, %%edi; xor %%esi, %%esi; syscall; jmp 1b"
                     :
                     : "r"(sp), "r"(&vcpu_info(0)->evtchn_upcall_mask)
                     : "memory");
}

static void iret_on(uint64_t sp)
{
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall; ud2" : : "r"(sp) : "memory");
}

static bool starts(const char *name, const char *with, const char **rest)
{
    size_t n = strlen(with);

    *rest = name + n;
    return memcmp(name, with, n) == 0;
}

static bool bounce(const char *name)
{
    const char *kind;

    if (starts(name, "bounce-user-fault-", &kind))
        in_user(user_fault, user_fault_end, bad_stack(kind), 2);
    else if (starts(name, "bounce-user-syscall-", &kind))
        in_user(user_syscall, user_syscall_end, bad_stack(kind), 2);
    else if (starts(name, "bounce-user-int80-", &kind))
        in_user(user_int80, user_int80_end, bad_stack(kind), 2);
    else if (starts(name, "bounce-user-event-", &kind)) {
        timer_in(5000000);
        in_user(user_spin, user_spin_end, bad_stack(kind), 0x202);
    } else if (starts(name, "bounce-kernel-trap-", &kind))
        kernel_on(bad_stack(kind), false);
    else if (starts(name, "bounce-kernel-fault-", &kind))
        kernel_page_fault_on(bad_stack(kind));
    else if (starts(name, "bounce-kernel-push-", &kind))
        kernel_push_on(bad_stack(kind));
    else if (starts(name, "bounce-kernel-event-", &kind))
        kernel_on(bad_stack(kind), true);
    else if (starts(name, "bounce-hypercall-event-", &kind))
        hypercall_on(bad_stack(kind));
    else if (starts(name, "bounce-failsafe-", &kind))
        failsafe_on(bad_stack(kind));
    else if (starts(name, "bounce-iret-", &kind))
        iret_on(bad_stack(kind));
    else
        return false;
    return true;
}

static void handlers_at(uint64_t address)
{
    struct trap_info t[33] = {0};

    for (unsigned int i = 0; i < 32; i++)
        t[i] = (struct trap_info){(uint8_t)i, 0, FLAT_KERNEL_CS, address};
    if (set_trap_table(t) != 0)
        refused();
    __asm__ volatile("ud2");
}

static void no_handlers(void)
{
    set_trap_table(0);
    __asm__ volatile("ud2");
}

static void do_ud2(void *unused)
{
    (void)unused;
    __asm__ volatile("ud2");
}

static void bad_handler_selector(void)
{
    struct trap_info t[2] = {{6, 4, 0xe008, trap_entries[6]}, {0}};

    set_trap_table(t);
    catch_read(UNMAPPED, NULL);
    for (unsigned int cs = 0; cs < 0x10000; cs += 0x11) {
        t[0].cs = (uint16_t)cs;
        set_trap_table(t);
        if (cs % 0x1100 == 0)
            catch(do_ud2, NULL);
    }
}

static void user_without_table(void)
{
    user_setup();
    mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    in_user(user_int80, user_int80_end, (uint64_t)(stacks[0] + STACK_USER_TOP), 2);
}

static void callbacks_at(uint64_t address)
{
    callback_register(CALLBACKTYPE_event, (void *)address, 0);
    callback_register(CALLBACKTYPE_failsafe, (void *)address, 0);
    callback_register(CALLBACKTYPE_syscall, (void *)address, 0);
}

static void event_at_hypervisor(void)
{
    callbacks_at(HV_ADDRESS);
    timer_in(1000000);
    vcpu_info(0)->evtchn_upcall_mask = 0;
    handlers_at(HV_ADDRESS);
}

static void second_vcpu_wild(uint64_t rip, uint64_t rsp, uint64_t cs)
{
    static struct vcpu_guest_context c;

    c.flags = VGCF_in_kernel;
    c.user_regs.rip = rip;
    c.user_regs.rsp = rsp;
    c.user_regs.cs = (uint16_t)cs;
    c.user_regs.ss = FLAT_KERNEL_SS;
    c.user_regs.rflags = ~0ul;
    c.ctrlreg[3] = mfn_of((void *)start_info->pt_base) << PAGE_SHIFT;
    if (vcpu_op(VCPUOP_initialise, 1, &c) == 0 && vcpu_op(VCPUOP_up, 1, 0) == 0)
        pause_ns(2000000000);
}

static void root_zeroed(void)
{
    uint64_t *root = (uint64_t *)start_info->pt_base;

    for (unsigned int slot = 511; slot > 271; slot--)
        pte_set(maddr_of(&root[slot]), 0);
    for (unsigned int slot = 0; slot < 256; slot++)
        pte_set(maddr_of(&root[slot]), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
}

static void crash_with_two(void)
{
    if (vcpu_count > 1)
        vcpu_start(1);
    sched_op(SCHEDOP_shutdown, &(struct sched_shutdown){SHUTDOWN_crash});
}

void attack_run(const char *name)
{
    print("[t] attack %s\n", name);
    if (bounce(name))
        ;
    else if (strcmp(name, "handler-unmapped") == 0)
        handlers_at(UNMAPPED);
    else if (strcmp(name, "handler-hypervisor") == 0)
        handlers_at(HV_ADDRESS);
    else if (strcmp(name, "handler-m2p") == 0)
        handlers_at(MACH2PHYS_VIRT_START);
    else if (strcmp(name, "handler-none") == 0)
        no_handlers();
    else if (strcmp(name, "handler-selector") == 0)
        bad_handler_selector();
    else if (strcmp(name, "callbacks-hypervisor") == 0)
        event_at_hypervisor();
    else if (strcmp(name, "user-without-table") == 0)
        user_without_table();
    else if (strcmp(name, "vcpu-rip-non-canonical") == 0)
        second_vcpu_wild(NON_CANONICAL, (uint64_t)(stacks[1] + 4096), FLAT_KERNEL_CS);
    else if (strcmp(name, "vcpu-rip-hypervisor") == 0)
        second_vcpu_wild(HV_ADDRESS, HV_ADDRESS, FLAT_KERNEL_CS);
    else if (strcmp(name, "vcpu-cs-hypervisor") == 0)
        second_vcpu_wild((uint64_t)secondary_start, (uint64_t)(stacks[1] + 4096), 0xe008);
    else if (strcmp(name, "root-zeroed") == 0)
        root_zeroed();
    else if (strcmp(name, "shutdown-crash") == 0)
        crash_with_two();
    else
        give_up("no such attack: %s\n", name);
    note("survived %s\n", name);
}
