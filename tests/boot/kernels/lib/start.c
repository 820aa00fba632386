// SPDX-License-Identifier: MIT
/*
 * The first C of a tiny kernel, and its further vCPUs, which wait for work to be handed to them.
 */
#include "mini.h"

struct start_info *start_info;
struct shared_info *shared_info;
uint64_t *p2m;
unsigned int vcpu_count;
bool on_xen;
static uint8_t shared_info_page[PAGE_SIZE] __attribute__((aligned(4096)));

void mini_start(struct start_info *si);
void mini_secondary(unsigned long id);

void mini_start(struct start_info *si)
{
    char peer[16];

    start_info = si;
    p2m = (uint64_t *)si->mfn_list;
    for (unsigned int i = 0; i < VCPUS_MAX; i++)
        vcpus[i].id = i;
    on_xen = arg_string("peer", peer, sizeof(peer)) && strcmp(peer, "xen") == 0;
    if (update_va_mapping(shared_info_page, si->shared_info | PTE_PAGE, UVMF_INVLPG) != 0) {
        print("[t] FAIL cannot map shared_info\n");
        for (;;)
            sched_op(SCHEDOP_shutdown, &(struct sched_shutdown){SHUTDOWN_poweroff});
    }
    shared_info = (struct shared_info *)shared_info_page;
    standard_traps();
    standard_callbacks();
    stack_switch(FLAT_KERNEL_SS, stacks[0] + STACK_USER_TOP);
    while (vcpu_count < VCPUS_MAX && vcpu_op(VCPUOP_is_up, vcpu_count, 0) >= 0)
        vcpu_count++;
    print("[t] start %s\n", (const char *)si->cmd_line);
    kernel_main();
    finish();
}

void mini_secondary(unsigned long id)
{
    struct vcpu_data *v = &vcpus[id];

    stack_switch(FLAT_KERNEL_SS, stacks[id] + STACK_USER_TOP);
    v->alive++;
    for (;;) {
        while (__atomic_load_n(&v->work_seq, __ATOMIC_ACQUIRE) == v->work_done)
            sched_op(SCHEDOP_yield, 0);
        v->work(v->work_arg);
        __atomic_store_n(&v->work_done, v->work_done + 1, __ATOMIC_RELEASE);
    }
}

long vcpu_start(unsigned int id)
{
    static struct vcpu_guest_context c;
    uint64_t until;
    long rc;

    memset(&c, 0, sizeof(c));
    c.flags = VGCF_in_kernel;
    c.user_regs.rip = (uint64_t)secondary_start;
    c.user_regs.rsp = (uint64_t)(stacks[id] + STACK_BYTES);
    c.user_regs.rdi = id;
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = FLAT_KERNEL_SS;
    c.user_regs.rflags = 2;
    c.kernel_ss = FLAT_KERNEL_SS;
    c.kernel_sp = (uint64_t)(stacks[id] + STACK_USER_TOP);
    for (unsigned int vector = 0; vector < 256; vector++) {
        uint64_t entry = vector < 32 ? trap_entries[vector] : vector == 0x80 ? (uint64_t)int80_entry : vector == 0x81 ? (uint64_t)spare_entry : 0;

        if (entry != 0)
            c.trap_ctxt[vector] = (struct trap_info){(uint8_t)vector, vector == 0x80 || vector == 3 ? 7 : 4, FLAT_KERNEL_CS, entry};
    }
    c.event_callback_eip = (uint64_t)event_entry;
    c.failsafe_callback_eip = (uint64_t)failsafe_entry;
    c.syscall_callback_eip = (uint64_t)syscall_entry;
    c.ctrlreg[0] = 0x80050033;
    c.ctrlreg[3] = mfn_of((void *)start_info->pt_base) << PAGE_SHIFT;
    rc = vcpu_op(VCPUOP_initialise, id, &c);
    if (rc == 0)
        rc = vcpu_op(VCPUOP_up, id, 0);
    until = now_ns() + 2000000000;
    while (rc == 0 && vcpus[id].alive == 0)
        if (sched_op(SCHEDOP_yield, 0) != 0 || now_ns() > until)
            rc = -1000;
    return rc;
}

void vcpu_do(unsigned int id, void (*fn)(void *), void *arg)
{
    vcpus[id].work = fn;
    vcpus[id].work_arg = arg;
    __atomic_store_n(&vcpus[id].work_seq, vcpus[id].work_seq + 1, __ATOMIC_RELEASE);
}

bool vcpu_wait(unsigned int id, uint64_t ns)
{
    uint64_t until = now_ns() + ns;

    while (__atomic_load_n(&vcpus[id].work_done, __ATOMIC_ACQUIRE) != vcpus[id].work_seq) {
        if (now_ns() > until)
            return false;
        sched_op(SCHEDOP_yield, 0);
    }
    return true;
}

struct cpuid cpuid_pv(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid c;

    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid" : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx) : "a"(leaf), "c"(subleaf));
    return c;
}

struct cpuid cpuid_raw(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid c;

    __asm__ volatile("cpuid" : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx) : "a"(leaf), "c"(subleaf));
    return c;
}
