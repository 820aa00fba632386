// SPDX-License-Identifier: MIT
/*
 * All vCPUs of the domain: bring-up, work on each, IPIs, shootdown, FPU and segment bases kept apart, down and up again.
 */
#include "abi.h"
#include "mini.h"

static volatile uint64_t seen[VCPUS_MAX];
static volatile bool stop;
static struct region r;

static void say_who(void *arg)
{
    seen[(uint64_t)arg] = this_vcpu()->id + 100;
}

static void bring_up(void)
{
    bool all = true;
    static struct vcpu_guest_context again;

    for (unsigned int i = 1; i < vcpu_count; i++) {
        expect("vcpu-not-up-yet", vcpu_op(VCPUOP_is_up, i, 0), 0);
        expect("vcpu-starts", vcpu_start(i), 0);
        expect("vcpu-is-up-now", vcpu_op(VCPUOP_is_up, i, 0), 1);
        expect("vcpu-up-again-harmless", vcpu_op(VCPUOP_up, i, 0), 0);
        expect_error("vcpu-initialise-twice", vcpu_op(VCPUOP_initialise, i, &again));
        vcpu_do(i, say_who, (void *)(uint64_t)i);
    }
    for (unsigned int i = 1; i < vcpu_count; i++)
        all = all && vcpu_wait(i, 2000000000) && seen[i] == i + 100;
    check("vcpus-all-work", all);
}

static void take_events(void *arg)
{
    int port = (int)(uint64_t)arg;
    uint64_t until = now_ns() + 2000000000;

    events_unmask();
    while (port_count[port] == 0 && now_ns() < until)
        sched_op(SCHEDOP_yield, 0);
    events_mask();
}

static void wait_blocked(void *arg)
{
    (void)arg;
    sched_op(SCHEDOP_block, 0); /* until the IPI */
    events_mask();
}

static void ipis(void)
{
    for (unsigned int i = 1; i < vcpu_count; i++) {
        int port = bind_ipi(i), moved = port_unbound(), other = pair_bind(moved, DOMID_SELF);
        struct evtchn_bind_vcpu move = {.port = (evtchn_port_t)moved, .vcpu = i};

        port_forget(port);
        port_unmask(port);
        vcpu_do(i, take_events, (void *)(uint64_t)port);
        port_send(port);
        check("ipi-arrives", vcpu_wait(i, 3000000000) && port_count[port] >= 1 && port_vcpu[port] == i);
        port_forget(port);
        vcpu_do(i, wait_blocked, NULL);
        pause_ns(3000000);
        port_send(port);
        check("ipi-wakes-blocked", vcpu_wait(i, 3000000000) && port_count[port] >= 1);
        expect("bind-vcpu-other", evtchn_op(EVTCHNOP_bind_vcpu, &move), 0);
        port_forget(moved);
        port_unmask(moved);
        vcpu_do(i, take_events, (void *)(uint64_t)moved);
        port_send(other);
        check("moved-port-arrives-there", vcpu_wait(i, 3000000000) && port_count[moved] >= 1 && port_vcpu[moved] == i);
        move.port = (evtchn_port_t)port;
        expect_error("ipi-port-does-not-move", evtchn_op(EVTCHNOP_bind_vcpu, &move));
        port_close(port);
        port_close(moved);
        port_close(other);
    }
}

static void own_timer(void *arg)
{
    struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = now_ns() + 3000000};
    uint64_t until = now_ns() + 1000000000;
    int port = (int)(uint64_t)arg;

    vcpu_op(VCPUOP_set_singleshot_timer, this_vcpu()->id, &shot);
    events_unmask();
    while (port_count[port] == 0 && now_ns() < until)
        sched_op(SCHEDOP_block, 0);
    events_mask();
}

static void timers(void)
{
    for (unsigned int i = 1; i < vcpu_count; i++) {
        int port = bind_virq(VIRQ_TIMER, i);
        struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = 1};

        port_forget(port);
        port_unmask(port);
        vcpu_do(i, own_timer, (void *)(uint64_t)port);
        check("timer-on-own-vcpu", vcpu_wait(i, 3000000000) && port_count[port] >= 1 && port_vcpu[port] == i);
        expect_error("timer-of-another-vcpu", vcpu_op(VCPUOP_set_singleshot_timer, i, &shot));
        port_close(port);
    }
}

/* Each vCPU holds values of its own in what a switch must carry, for a while, beside the others. */
static bool avx, fsgsbase;
static volatile bool kept[VCPUS_MAX];

static void hold_state(void *arg)
{
    uint64_t id = (uint64_t)arg, ymm[4], back[4], bases[VCPUS_MAX], value;
    uint16_t control = (uint16_t)(id & 1 ? 0x0f7f : 0x037f), control_back;
    uint32_t mxcsr = id & 1 ? 0x7f80 : 0x1f80, mxcsr_back;
    bool good = true;

    for (int i = 0; i < 4; i++)
        ymm[i] = id * 0x1010101 + (uint64_t)i;
    bases[id] = id + 0x5000;
    set_segment_base(SEGBASE_FS, &bases[id]);
    if (fsgsbase)
        __asm__ volatile("wrgsbase %0" : : "r"(&bases[id]));
    else
        set_segment_base(SEGBASE_GS_KERNEL, &bases[id]);
    for (int round = 0; round < 60; round++) {
        __asm__ volatile("fninit; fldcw %0; ldmxcsr %1" : : "m"(control), "m"(mxcsr));
        if (avx)
            __asm__ volatile("vmovups %0, %%ymm3; vmovups %0, %%ymm14" : : "m"(ymm));
        else
            __asm__ volatile("movups %0, %%xmm3; movups %0, %%xmm14" : : "m"(ymm));
        for (int i = 0; i < 3; i++)
            if (round & 1)
                sched_op(SCHEDOP_yield, 0);
            else
                for (volatile int spin = 0; spin < 20000; spin++)
                    ;
        memset(back, 0, sizeof(back));
        if (avx)
            __asm__ volatile("vmovups %%ymm14, %0" : "=m"(back));
        else
            __asm__ volatile("movups %%xmm14, %0" : "=m"(back));
        __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(control_back), "=m"(mxcsr_back));
        good = good && memcmp(ymm, back, avx ? 32 : 16) == 0 && control == control_back && mxcsr == mxcsr_back;
        __asm__ volatile("mov %%fs:0, %0" : "=r"(value));
        good = good && value == id + 0x5000;
        __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
        good = good && value == id + 0x5000;
    }
    set_segment_base(SEGBASE_FS, 0);
    set_segment_base(SEGBASE_GS_KERNEL, 0);
    mxcsr = 0x1f80;
    __asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
    kept[id] = good;
}

/* As a kernel does on each processor: ask for what CPUID offers. */
static void enable_features(void *unused)
{
    uint64_t cr4;

    (void)unused;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    if (fsgsbase)
        cr4 |= 1ul << 16;
    if (avx)
        cr4 |= 1ul << 18; /* OSXSAVE */
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
    if (avx)
        __asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
}

static void states(void)
{
    struct cpuid one = cpuid_pv(1, 0), seven = cpuid_pv(7, 0);
    bool all = true;

    avx = (one.ecx & (1u << 26)) && (one.ecx & (1u << 28));
    fsgsbase = seven.ebx & 1;
    note("avx %d fsgsbase %d\n", avx, fsgsbase);
    enable_features(NULL);
    for (unsigned int i = 1; i < vcpu_count; i++) {
        vcpu_do(i, enable_features, NULL);
        vcpu_wait(i, 1000000000);
        vcpu_do(i, hold_state, (void *)(uint64_t)i);
    }
    hold_state((void *)0);
    for (unsigned int i = 1; i < vcpu_count; i++)
        all = all && vcpu_wait(i, 50000000000) && kept[i];
    check("vcpu-state-kept-apart", all && kept[0]);
}

static volatile uint64_t reads;

static void reader(void *arg)
{
    (void)arg;
    while (!stop) {
        seen[this_vcpu()->id] = *(volatile uint64_t *)r.va;
        if (++reads % 256 == 0)
            sched_op(SCHEDOP_yield, 0);
    }
}

static void shootdown(void)
{
    uint64_t *a = page_alloc(), *b = page_alloc();

    if (vcpu_count < 2)
        return;
    a[0] = 0xa;
    b[0] = 0xb;
    region_build(&r, 11);
    region_map(&r, 0, maddr_of(a) | PTE_PAGE);
    stop = false;
    seen[1] = 0;
    vcpu_do(1, reader, NULL);
    while (seen[1] != 0xa)
        sched_op(SCHEDOP_yield, 0);
    expect("shootdown-update", update_va_mapping(r.va, maddr_of(b) | PTE_PAGE, UVMF_INVLPG | UVMF_ALL), 0);
    a[0] = 0xdead;
    for (uint64_t before = reads, until = now_ns() + 2000000000; reads < before + 600 && now_ns() < until;)
        sched_op(SCHEDOP_yield, 0);
    expect("shootdown-seen", seen[1], 0xb);
    stop = true;
    vcpu_wait(1, 2000000000);
}

static void go_down(void *arg)
{
    (void)arg;
    vcpu_op(VCPUOP_down, this_vcpu()->id, 0);
    seen[this_vcpu()->id] = 0x0b; /* continues here when up again */
}

static void down_and_up(void)
{
    for (unsigned int i = 1; i < vcpu_count; i++) {
        uint64_t until = now_ns() + 2000000000;

        seen[i] = 0;
        vcpu_do(i, go_down, NULL);
        while (vcpu_op(VCPUOP_is_up, i, 0) == 1 && now_ns() < until)
            sched_op(SCHEDOP_yield, 0);
        expect("vcpu-down", vcpu_op(VCPUOP_is_up, i, 0), 0);
        pause_ns(2000000);
        check("vcpu-stays-down", seen[i] == 0);
        expect("vcpu-up-again", vcpu_op(VCPUOP_up, i, 0), 0);
        check("vcpu-continues", vcpu_wait(i, 2000000000) && seen[i] == 0x0b);
    }
}

void abi_smp(void)
{
    if (vcpu_count < 2) {
        skip("smp", "one vCPU");
        return;
    }
    expect_error("vcpu-initialise-absent", vcpu_op(VCPUOP_initialise, 4711, 0));
    expect_error("vcpu-up-uninitialised", vcpu_op(VCPUOP_up, 1, 0));
    bring_up();
    ipis();
    timers();
    states();
    shootdown();
    down_and_up();
}
