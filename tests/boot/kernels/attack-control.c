// SPDX-License-Identifier: MIT
/*
 * An ordinary domain asks for what only Domain0 may have: every operation of the control interface, with arguments that look right, are random or absurd; other private numbers; domctl;
 * other domains' frames, reservations, ports and grants. Alone, within multicalls, and while another vCPU changes the arguments. Every answer is -EPERM where the contract says so, else a
 * refusal. other=N: a domain that exists beside us (2).
 */
#include "mini.h"

#include <collet/control.h>

#define OPS 150u /* some more than there are */

static uint8_t *scratch;
static uint64_t state;
static struct region r;
static volatile bool stop;
static int changes_port;

static void fill(unsigned int kind, uint32_t other)
{
    uint64_t *word = (uint64_t *)scratch;

    for (unsigned int i = 0; i < 64; i++)
        word[i] = kind == 0 ? 0 : kind == 1 ? random_next(&state) : kind == 2 ? ~0ul : i == 0 ? other : (uint64_t)scratch;
}

static void every_operation(uint32_t other)
{
    static const uint64_t sizes[] = {0, 8, 64, 600, PAGE_SIZE, PAGE_SIZE + 1, ~0ul};
    static const uint64_t versions[] = {COLLET_CONTROL_VERSION, 0, 2, ~0ul};
    uint64_t addresses[] = {(uint64_t)scratch, 0, 0xffff830000000000ul, MACH2PHYS_VIRT_START, 0x800000000000ul, ~0ul, (uint64_t)text_start};
    unsigned long other_answers = 0, tried = 0;

    for (uint64_t op = 0; op < OPS + 3; op++) {
        uint64_t number = op < OPS ? op : op == OPS ? ~0ul : op == OPS + 1 ? 1ul << 32 : 1ul << 63 | COLLET_OP_DOMAIN_DESTROY;

        for (unsigned int kind = 0; kind < 4; kind++) {
            fill(kind, other);
            for (unsigned int i = 0; i < COUNT_OF(sizes) * COUNT_OF(versions) * COUNT_OF(addresses); i++) {
                long rc = hypercall4(COLLET_HYPERCALL, number, addresses[i / COUNT_OF(sizes) / COUNT_OF(versions)], sizes[i % COUNT_OF(sizes)],
                                     versions[i / COUNT_OF(sizes) % COUNT_OF(versions)]);

                tried++;
                other_answers += rc != X_EPERM;
            }
        }
    }
    note("%lu tried\n", tried);
    expect("every-operation-EPERM", other_answers, 0);
}

static void numbers(void)
{
    unsigned long wrong = 0;

    for (uint64_t nr = 64; nr < 0x100000000ul; nr += nr < 0x1000 ? 1 : nr / 7) {
        long rc = nr == COLLET_HYPERCALL ? X_ENOSYS : hypercall5(nr, COLLET_OP_DOMAIN_DESTROY, scratch, 8, COLLET_CONTROL_VERSION, 0);

        wrong += rc != X_ENOSYS && rc != X_EPERM;
    }
    wrong += hypercall5(0xffffffff, 0, 0, 0, 0, 0) != X_ENOSYS;
    wrong += hypercall5(1ul << 32 | COLLET_HYPERCALL, COLLET_OP_DOMAIN_DESTROY, scratch, 8, COLLET_CONTROL_VERSION, 0) > 0;
    expect("private-numbers", wrong, 0);
}

/* <xen/domctl.h> is for Domain0's programs; its first words are a command, the interface's version and a domain. */
static void domctls(uint32_t other)
{
    unsigned long wrong = 0;

    for (uint32_t command = 0; command < 100; command++)
        for (uint32_t interface = 0; interface < 0x20; interface++) {
            uint32_t *word = (uint32_t *)scratch;

            fill(0, 0);
            word[0] = command;
            word[1] = interface;
            word[2] = other;
            wrong += hypercall1(__HYPERVISOR_domctl, scratch) != X_EPERM;
        }
    wrong += hypercall1(__HYPERVISOR_domctl, 0) != X_EPERM;
    wrong += hypercall1(__HYPERVISOR_domctl, 0xffff830000000000ul) != X_EPERM;
    expect("domctl-EPERM", wrong, 0);
    expect_any("sysctl", hypercall1(__HYPERVISOR_sysctl, scratch), X_EPERM, X_ENOSYS);
    expect_any("platform-op", hypercall1(__HYPERVISOR_platform_op, scratch), X_EPERM, X_ENOSYS);
}

static void memory_of_others(uint32_t other)
{
    static const unsigned int commands[] = {XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap, XENMEM_current_reservation,
                                            XENMEM_maximum_reservation, XENMEM_exchange};
    uint64_t list[8] = {0}, last = (uint64_t)memory_op(XENMEM_maximum_ram_page, 0);
    struct xen_memory_reservation *m = (struct xen_memory_reservation *)scratch;
    struct mmu_update u = {.ptr = l1e_maddr(&r, 0)};
    struct mmuext_op op = {.cmd = MMUEXT_CLEAR_PAGE};
    unsigned long wrong = 0;

    for (unsigned int i = 0; i < COUNT_OF(commands); i++) {
        fill(0, 0);
        if (commands[i] == XENMEM_current_reservation || commands[i] == XENMEM_maximum_reservation) {
            *(domid_t *)scratch = (domid_t)other;
        } else {
            m->nr_extents = 4;
            m->domid = (domid_t)other;
            set_xen_guest_handle(m->extent_start, list);
            if (commands[i] == XENMEM_exchange)
                m[1] = m[0];
        }
        wrong += memory_op(commands[i], scratch) > 0;
        wrong += memory_op(commands[i], scratch) == 0 && commands[i] != XENMEM_increase_reservation;
    }
    for (uint64_t mfn = 0x100; mfn < last; mfn += 37) {
        u.val = mfn << PAGE_SHIFT | (mfn & 1 ? PTE_RO : PTE_PAGE);
        wrong += mmu_update(&u, 1, 0, other) != X_EPERM;
        wrong += mmu_update(&u, 1, 0, DOMID_XEN) != X_EPERM;
        wrong += mmu_update(&u, 1, 0, DOMID_IO) != X_EPERM;
        wrong += mmu_update(&u, 1, 0, (other + 1) << 16 | DOMID_SELF) != X_EPERM;
        wrong += hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, region_va(&r, 0), u.val, 0, other) != X_EPERM;
    }
    op.arg1.mfn = 0x1000;
    wrong += mmuext_op(&op, 1, 0, other) != X_EPERM;
    wrong += mmuext_op(&op, 1, 0, DOMID_XEN) != X_EPERM;
    expect("memory-of-others", wrong, 0);
    expect_error("machine-memory-map", memory_op(XENMEM_machine_memory_map, scratch));
}

static void ports_and_grants_of_others(uint32_t other)
{
    struct gnttab_setup_table s = {.nr_frames = 1};
    struct gnttab_query_size q = {.dom = 0};
    unsigned long wrong = 0;
    static xen_pfn_t frame;

    for (uint32_t port = 0; port < 4096; port++) {
        struct evtchn_bind_interdomain b = {.remote_dom = (domid_t)other, .remote_port = port};
        struct evtchn_status status = {.dom = (domid_t)other, .port = port};

        wrong += evtchn_op(EVTCHNOP_bind_interdomain, &b) == 0;
        wrong += evtchn_op(EVTCHNOP_status, &status) != X_EPERM;
    }
    {
        struct evtchn_alloc_unbound a = {.dom = (domid_t)other, .remote_dom = DOMID_SELF};
        struct evtchn_reset reset = {.dom = (domid_t)other};
        struct evtchn_bind_virq global = {.virq = COLLET_VIRQ_CHANGES};

        wrong += evtchn_op(EVTCHNOP_alloc_unbound, &a) != X_EPERM;
        wrong += evtchn_op(EVTCHNOP_reset, &reset) != X_EPERM;
        evtchn_op(EVTCHNOP_bind_virq, &global); /* may be bound; nothing ever comes: see the end */
        changes_port = MAX(changes_port, (int)global.port);
    }
    for (uint32_t ref = 0; ref < 600; ref++) {
        struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)region_va(&r, 1), .flags = GNTMAP_host_map, .ref = ref, .dom = (domid_t)other};

        wrong += gnttab_op(GNTTABOP_map_grant_ref, &m, 1) == 0 && m.status >= 0;
    }
    s.dom = (domid_t)other;
    set_xen_guest_handle(s.frame_list, &frame);
    wrong += gnttab_op(GNTTABOP_setup_table, &s, 1) == 0 && s.status == 0;
    q.dom = (domid_t)other;
    wrong += gnttab_op(GNTTABOP_query_size, &q, 1) == 0 && q.status == 0;
    expect("ports-and-grants-of-others", wrong, 0);
}

static void remote_shutdown(uint32_t other)
{
    struct sched_remote_shutdown s = {.domain_id = (domid_t)other, .reason = SHUTDOWN_crash};

    expect_any("remote-shutdown", sched_op(SCHEDOP_remote_shutdown, &s), X_EPERM, X_ENOSYS, X_ESRCH);
}

static void multicalls(void)
{
    static struct multicall_entry call[OPS];
    unsigned long wrong = 0;

    for (unsigned int i = 0; i < OPS; i++) {
        call[i] = (struct multicall_entry){.op = i < 4 ? __HYPERVISOR_domctl : COLLET_HYPERCALL};
        call[i].args[0] = i < 4 ? (uint64_t)scratch : i;
        call[i].args[1] = (uint64_t)scratch;
        call[i].args[2] = 8;
        call[i].args[3] = COLLET_CONTROL_VERSION;
    }
    expect("multicall", multicall(call, OPS), 0);
    for (unsigned int i = 0; i < OPS; i++)
        wrong += (long)call[i].result != X_EPERM && (long)call[i].result != X_ENOSYS;
    expect("control-in-multicall", wrong, 0);
}

static void change_arguments(void *unused)
{
    uint32_t *word = (uint32_t *)scratch;

    (void)unused;
    for (uint32_t i = 0; !stop; i++)
        ((volatile uint32_t *)word)[i % 64] = i;
}

/* From user mode a SYSCALL is the guest kernel's, whatever its number. */
USER_CODE(user_control, "mov $0x100, %eax; mov $23, %edi; xor %esi, %esi; mov $8, %edx; mov $1, %r10d; syscall");

static void from_user_mode(void)
{
    struct frame f = {0};

    user_setup();
    user_code(user_control, user_control_end);
    expect("syscall-of-a-user-program", user_run(&f), VECTOR_SYSCALL);
}

void kernel_main(void)
{
    uint32_t other = (uint32_t)arg_number("other", 2);
    bool two = vcpu_count > 1 && vcpu_start(1) == 0;

    print("[t] attack control\n");
    state = arg_number("seed", 1) | 1;
    scratch = page_alloc();
    page_alloc();
    region_build(&r, 5);
    for (unsigned int round = 0; round < 2; round++) {
        if (round == 1 && two)
            vcpu_do(1, change_arguments, NULL);
        every_operation(round == 0 ? 0 : other);
        domctls(round == 0 ? 0 : other);
    }
    stop = true;
    if (two)
        vcpu_wait(1, 5000000000ul);
    numbers();
    multicalls();
    for (unsigned int i = 0; i < 3; i++) {
        uint32_t whom = i == 0 ? 0 : i == 1 ? other : 30000;

        memory_of_others(whom);
        ports_and_grants_of_others(whom);
        remote_shutdown(whom);
    }
    if (changes_port > 0) {
        port_forget(changes_port);
        port_unmask(changes_port);
        pause_ns(20000000);
        events_unmask();
        events_mask();
        expect("no-news-of-others", port_count[changes_port], 0);
    }
    from_user_mode();
}
