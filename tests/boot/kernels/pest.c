// SPDX-License-Identifier: MIT
/*
 * A guest that does one costly thing after another, each for phase_ms=N (3500), beside others whose share must not suffer: it computes, faults, sends itself events, sets timers, sleeps
 * and wakes, yields, makes and unmakes address spaces, calls at random, and floods its console. phase=NAME: that one alone, for ever.
 * Before each it says "[t] pest phase=NAME from=NS to=NS", in system time.
 */
#include "mini.h"

#define FORK_PAGES 64u

static struct region r;
static uint64_t *space, *space_l3, *space_l2, *space_l1[2]; /* an address space that is not ours to live in */
static int port, timer_port;
static uint64_t state = 0x9e3779b97f4a7c15ul;

static void compute(void)
{
    for (unsigned int i = 0; i < 1000; i++)
        barrier();
}

static void fault(void)
{
    uint64_t value;

    catch_read((uint64_t)region_va(&r, (unsigned int)(random_next(&state) % 512)), &value);
    catch_write((uint64_t)r.l1, 1);
}

static void events(void)
{
    port_send(port);
    events_unmask();
    events_mask();
}

static void timers(void)
{
    struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = now_ns() + random_next(&state) % 20000};

    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    set_timer_op(shot.timeout_abs_ns + 5000);
    events_unmask();
    events_mask();
}

/* Asleep most of the time, awake often: what an unfair scheduler rewards. */
static void naps(void)
{
    struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = now_ns() + 50000};
    uint64_t until;

    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    sched_op(SCHEDOP_block, 0);
    events_mask();
    for (until = now_ns() + 100000; now_ns() < until;)
        barrier();
}

static void yields(void)
{
    sched_op(SCHEDOP_yield, 0);
}

/* As fork, write and exit do: tables filled, pinned, pages made read-only, faults resolved one by one, all undone. */
static void forks(void)
{
    struct mmu_update u[FORK_PAGES];

    for (unsigned int i = 0; i < FORK_PAGES; i++) {
        u[i].ptr = maddr_of(&space_l1[i % 2][i]);
        u[i].val = maddr_of(va_of_pfn(heap_first_pfn() + i)) | PTE_RO;
    }
    mmu_update(u, FORK_PAGES, 0, DOMID_SELF);
    if (mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(space), 0) != 0)
        give_up("pin\n");
    for (unsigned int i = 0; i < FORK_PAGES; i += 4) {
        region_map(&r, i, maddr_of(space_l2) | PTE_RO);
        catch_write((uint64_t)region_va(&r, i), 1);
        region_map(&r, i, 0);
    }
    mmuext(MMUEXT_UNPIN_TABLE, mfn_of(space), 0);
    for (unsigned int i = 0; i < FORK_PAGES; i++)
        u[i].val = 0;
    mmu_update(u, FORK_PAGES, 0, DOMID_SELF);
    mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
}

/* Nothing here ends or blocks us, whatever the arguments. */
static void calls(void)
{
    static const unsigned short numbers[] = {__HYPERVISOR_mmu_update, __HYPERVISOR_memory_op, __HYPERVISOR_event_channel_op, __HYPERVISOR_grant_table_op,
                                            __HYPERVISOR_xen_version, __HYPERVISOR_multicall, __HYPERVISOR_update_va_mapping, __HYPERVISOR_mmuext_op,
                                            __HYPERVISOR_domctl, __HYPERVISOR_update_descriptor, __HYPERVISOR_physdev_op, 0x100, 63, 0x4000};
    uint64_t nr = numbers[random_next(&state) % COUNT_OF(numbers)], bad = 1ul << 47;
    uint64_t a = random_next(&state) % 24;

    if (nr == __HYPERVISOR_event_channel_op && (a == EVTCHNOP_close || a == EVTCHNOP_reset))
        a = EVTCHNOP_status;
    if (nr == __HYPERVISOR_mmu_update || nr == __HYPERVISOR_multicall || nr == __HYPERVISOR_mmuext_op)
        a |= bad;
    hypercall5(nr, a, random_next(&state) | bad, random_next(&state), random_next(&state), random_next(&state));
}

static void flood(void)
{
    print("[pest] %lx %lx %lx %lx\n", random_next(&state), random_next(&state), random_next(&state), random_next(&state));
}

static const struct {
    const char *name;
    void (*turn)(void);
} phases[] = {
    {"compute", compute}, {"fault", fault}, {"events", events}, {"timers", timers}, {"naps", naps},
    {"yields", yields}, {"forks", forks}, {"calls", calls}, {"flood", flood},
};

static void prepare(void)
{
    port = port_unbound();
    port = pair_bind(port, DOMID_SELF);
    timer_port = bind_virq(VIRQ_TIMER, 0);
    vcpu_op(VCPUOP_stop_periodic_timer, 0, 0);
    for (int p = 1; p < 8; p++) {
        port_forget(p);
        shared_info->evtchn_mask[0] &= ~(1ul << p);
    }
    region_build(&r, 5);
    space = table_alloc();
    space_l3 = table_alloc();
    space_l2 = table_alloc();
    space_l1[0] = table_alloc();
    space_l1[1] = table_alloc();
    for (unsigned int i = 0; i < 2; i++)
        if (pte_set(maddr_of(&space_l2[i]), maddr_of(space_l1[i]) | PTE_TABLE) != 0)
            give_up("space\n");
    if (pte_set(maddr_of(&space_l3[0]), maddr_of(space_l2) | PTE_TABLE) != 0 || pte_set(maddr_of(&space[0]), maddr_of(space_l3) | PTE_TABLE) != 0)
        give_up("space\n");
}

void kernel_main(void)
{
    uint64_t phase_ns = arg_number("phase_ms", 3500) * 1000000;
    char only[16] = "";

    prepare();
    arg_string("phase", only, sizeof(only));
    for (;;) {
        for (unsigned int i = 0; i < COUNT_OF(phases); i++) {
            uint64_t from = now_ns();

            if (only[0] != '\0' && strcmp(only, phases[i].name) != 0)
                continue;
            print("[t] pest phase=%s from=%lu to=%lu\n", phases[i].name, (unsigned long)from, (unsigned long)(from + phase_ns));
            while (now_ns() < from + phase_ns)
                phases[i].turn();
        }
    }
}
