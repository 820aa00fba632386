// SPDX-License-Identifier: MIT
/*
 * Lies about the processor: selectors, addresses, stacks, descriptors, flags, multicalls, debug registers, software interrupts, privileged instructions.
 * Without attack= on the command line: those that the guest must survive. With attack=NAME: one that may or must end the guest (attacks.list says
 * which); attack-crash.c has them.
 */
#include "attack-cpu.h"
#include "mini.h"

#define HV_ADDRESS (HYPERVISOR_VIRT_START + 0x28000000000ul) /* somewhere in the hypervisor's slots */
#define NON_CANONICAL 0x8000000000000000ul
#define UNMAPPED 0x123456789000ul

static const uint64_t bad_pointers[] = {HV_ADDRESS, HYPERVISOR_VIRT_START, HYPERVISOR_VIRT_END - 8, NON_CANONICAL, 0x0000800000000000ul, UNMAPPED, ~0ul, ~7ul};

static bool alive(void)
{
    return xen_version(XENVER_pagesize, 0) == PAGE_SIZE && catch_read(UNMAPPED, NULL) == 14;
}

/* ---- trap tables and callbacks ---- */

static void trap_tables(void)
{
    struct trap_info t[2] = {{0x90, 3, FLAT_KERNEL_CS, NON_CANONICAL}, {0}};
    bool all = true;

    expect_error("trap-address-non-canonical", set_trap_table(t));
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++)
        all = all && set_trap_table(bad_pointers[i]) < 0;
    check("trap-table-bad-pointers", all);
    {
        struct region r;
        struct trap_info *page;

        region_build(&r, 30);
        region_map(&r, 0, maddr_of(page_alloc()) | PTE_PAGE);
        page = region_va(&r, 0);
        for (unsigned int i = 0; i < 256; i++) /* never ends: runs off the page */
            page[i] = (struct trap_info){0x91, 3, FLAT_KERNEL_CS, (uint64_t)spare_entry};
        expect("trap-table-without-end", set_trap_table(page), X_EFAULT);
    }
    expect("trap-table-cleared", set_trap_table(0), 0);
    standard_traps();
    expect_error("callback-non-canonical", callback_register(CALLBACKTYPE_event, (void *)NON_CANONICAL, 0));
    expect_error("failsafe-non-canonical", callback_register(CALLBACKTYPE_failsafe, (void *)NON_CANONICAL, 0));
    expect_error("syscall-non-canonical", callback_register(CALLBACKTYPE_syscall, (void *)NON_CANONICAL, 0));
    expect_error("callback-type-unknown", callback_register(99, event_entry, 0));
    expect_error("callback-op-unknown", callback_op(99, 0));
    expect_error("callback-unregister-event", callback_op(CALLBACKOP_unregister, (&(struct callback_unregister){.type = CALLBACKTYPE_event})));
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++)
        all = all && callback_op(CALLBACKOP_register, bad_pointers[i]) < 0;
    check("callback-bad-pointers", all);
    standard_callbacks();
    check("alive-after-trap-tables", alive());
}

/* ---- iret ---- */

static void irets(void)
{
    static const uint16_t selectors[] = {0,      1,      3,      8,      0x10,   0x33,   0x2b,   0x7,    0xf,    0x1fff, 0xe000, 0xe003, 0xe008, 0xe00b,
                                         0xe010, 0xe013, 0xe019, 0xe023, 0xe02b, 0xe030, 0xe031, 0xe032, 0xe033, 0xe038, 0xe03b, 0xe040, 0xe043, 0xe048,
                                         0xe050, 0xe053, 0xe058, 0xe060, 0xffff, 0xfff8, 0xfffb};
    static uint64_t c[9];
    struct vcpu_data *v = &vcpus[0];
    unsigned int back = 0, tried = 0;
    static const uint8_t stop[16] = {0xcc, 0xcc, 0xcc, 0xcc};

    user_setup();
    user_code(stop, stop + 16);
    for (unsigned int kind = 0; kind < 4; kind++)
        for (unsigned int i = 0; i < COUNT_OF(selectors); i++) {
            bool user = kind >= 2;

            c[0] = c[1] = c[2] = c[3] = 0;
            c[4] = user ? USER_VA : (uint64_t)stop;
            c[5] = user ? FLAT_USER_CS64 : FLAT_KERNEL_CS64 & ~3;
            c[6] = 2;
            c[7] = user ? USER_STACK_TOP : (uint64_t)(stacks[0] + 0x6000);
            c[8] = FLAT_KERNEL_SS;
            c[kind & 1 ? 8 : 5] = selectors[i]; /* even kinds: cs, odd: ss */
            tried++;
            back += iret_raw(c, NULL, &v->catch_rsp) >= 0;
        }
    expect("iret-bad-selectors-come-back", back, tried);
    events_mask();
    for (unsigned int i = 0, bits = 0; i < 64; i++) { /* each flag alone, then all */
        bits++;
        c[0] = c[1] = c[2] = c[3] = 0;
        c[4] = (uint64_t)stop;
        c[5] = FLAT_KERNEL_CS64 & ~3;
        c[6] = i == 9 ? 2 : i == 63 ? ~0x200ul : 1ul << i;
        c[7] = (uint64_t)(stacks[0] + 0x6000);
        c[8] = FLAT_KERNEL_SS;
        iret_raw(c, NULL, &v->catch_rsp);
        if ((v->last.rflags & 0x27000) != 0 && i != 63) /* VM, NT, IOPL shown to have stuck */
            note("flag %u: rflags %lx\n", i, v->last.rflags);
        c[4] = USER_VA;
        c[5] = FLAT_USER_CS64;
        c[6] = i == 9 ? 2 : i == 63 ? ~0x200ul : 1ul << i;
        c[7] = USER_STACK_TOP;
        c[8] = FLAT_USER_SS64;
        iret_raw(c, NULL, &v->catch_rsp);
    }
    check("iret-all-flags-come-back", alive());
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++) {
        c[0] = c[1] = c[2] = c[3] = 0;
        c[4] = bad_pointers[i];
        c[5] = FLAT_KERNEL_CS64 & ~3;
        c[6] = 2;
        c[7] = (uint64_t)(stacks[0] + 0x6000);
        c[8] = FLAT_KERNEL_SS;
        iret_raw(c, NULL, &v->catch_rsp);
        c[4] = bad_pointers[i];
        c[5] = FLAT_USER_CS64;
        c[7] = bad_pointers[(i + 3) % COUNT_OF(bad_pointers)];
        iret_raw(c, NULL, &v->catch_rsp);
        c[3] = VGCF_in_syscall;
        c[4] = bad_pointers[i];
        iret_raw(c, NULL, &v->catch_rsp);
        c[3] = ~0ul;
        c[4] = USER_VA;
        iret_raw(c, NULL, &v->catch_rsp);
    }
    check("iret-bad-addresses-come-back", alive());
    events_mask();
    set_debugreg(6, 0xffff0ff0);
}

static void do_native_iret(void *frame)
{
    __asm__ volatile("mov %0, %%rsp; iretq" : : "r"(frame) : "memory");
}

static void native_irets(void)
{
    static uint64_t f[5];
    static const uint16_t selectors[] = {0, 0xe008, 0xe00b, 0xe010, 0xe013, 0xe02b, 0xe040, 0x7, 0xffff};

    for (unsigned int i = 0; i < COUNT_OF(selectors); i++) {
        f[0] = (uint64_t)text_start;
        f[1] = selectors[i];
        f[2] = 2;
        f[3] = (uint64_t)(stacks[0] + 0x6000);
        f[4] = FLAT_KERNEL_SS;
        /* The stack must be good for the fault to arrive: iretq faults with rsp still on the frame. */
        uint64_t *top = (uint64_t *)(stacks[0] + 0x7000);
        memcpy(top, f, sizeof(f));
        catch(do_native_iret, top);
    }
    check("native-iret-bad-selectors", alive());
}

/* ---- selectors, segments ---- */

static void load_selectors(void *selector)
{
    __asm__ volatile("mov %w0, %%ds; mov %w0, %%es; mov %w0, %%fs; mov %w0, %%gs" : : "r"(selector));
}

static void lar_lsl(void *selector)
{
    uint32_t x = 0;
    __asm__ volatile("lar %k1, %0; lsl %k1, %0; verr %w1; verw %w1" : "+r"(x) : "r"(selector) : "cc");
}

static void far_jump(void *selector)
{
    struct {
        uint32_t offset;
        uint16_t selector;
    } __attribute__((packed)) to = {(uint32_t)(uint64_t)text_start, (uint16_t)(uint64_t)selector};

    __asm__ volatile("lcall *%0" : : "m"(to) : "memory");
}

static void segments(void)
{
    uint64_t state = 12345, value;
    bool all = true;

    for (unsigned int i = 0; i < 3000; i++) {
        uint64_t selector = i < 256 ? 0xe000 + i : random_next(&state) & 0xffff;

        catch(load_selectors, (void *)selector);
        catch(lar_lsl, (void *)selector);
        if (i % 8 == 0)
            sched_op(SCHEDOP_yield, 0); /* the switch must cope with whatever is loaded */
        if (i % 16 == 0)
            set_segment_base(SEGBASE_GS_USER_SEL, selector);
    }
    check("selectors-loaded", alive());
    load_selectors(0);
    for (unsigned int i = 0; i < 64; i++) {
        int vector;

        if ((0xe000 + i * 4) >> 3 == FLAT_KERNEL_CS64 >> 3 || (0xe000 + i * 4) >> 3 == FLAT_RING3_CS32 >> 3)
            continue;
        vector = catch(far_jump, (void *)(uint64_t)(0xe000 + i * 4));
        all = all && vector >= 0;
    }
    check("far-calls-fault", all);
    for (unsigned int which = 0; which < 3; which++)
        all = all && set_segment_base(which, NON_CANONICAL) < 0;
    check("bases-non-canonical", all);
    set_segment_base(SEGBASE_FS, HV_ADDRESS); /* an address like any other: the access faults */
    __asm__ volatile("" ::: "memory");
    set_segment_base(SEGBASE_GS_KERNEL, HYPERVISOR_VIRT_END - 8);
    set_segment_base(SEGBASE_GS_USER, HV_ADDRESS);
    sched_op(SCHEDOP_yield, 0);
    check("bases-in-hypervisor", alive());
    set_segment_base(SEGBASE_FS, 0);
    set_segment_base(SEGBASE_GS_KERNEL, 0);
    set_segment_base(SEGBASE_GS_USER, 0);
    expect_error("segment-base-which", set_segment_base(0xffffffff, 0));
    (void)value;
}

/* ---- descriptors ---- */

static uint64_t *gdt_page;

static void far_call_gate(void *selector)
{
    far_jump(selector);
}

static void descriptors(void)
{
    static const struct {
        const char *name;
        uint64_t desc;
        bool may_be_taken;
    } lies[] = {
        {"descriptor-interrupt-gate", 0x0000ee000008e008ul, false},
        {"descriptor-trap-gate", 0x0000ef0000080000ul, false},
        {"descriptor-tss-available", 0x0000890000000067ul, false},
        {"descriptor-tss-busy", 0x00008b0000000067ul, false},
        {"descriptor-ldt", 0x000082000000ffffUL, false},
        {"descriptor-call-gate-to-hypervisor", 0xffffec00e0080000ul, true},
        {"descriptor-call-gate-dpl0", 0x00008c00e0330000ul, true},
        {"descriptor-task-gate", 0x0000e50000400000ul, false},
        {"descriptor-code-dpl0", 0x00af9b000000fffful, true},
        {"descriptor-code-conforming-dpl0", 0x00af9f000000fffful, true},
        {"descriptor-data-dpl0", 0x00cf93000000fffful, true},
        {"descriptor-data-expand-down", 0x00cff7000000fffful, true},
    };
    uint64_t frame, at;
    bool all = true;

    gdt_page = page_alloc();
    make_readonly(gdt_page);
    frame = mfn_of(gdt_page);
    if (set_gdt(&frame, 512) != 0)
        give_up("descriptors: set_gdt\n");
    at = maddr_of(&gdt_page[20]);
    for (unsigned int i = 0; i < COUNT_OF(lies); i++) {
        long rc = update_descriptor(at, lies[i].desc);

        if (rc != 0) {
            check(lies[i].name, rc < 0);
            continue;
        }
        /* Taken: then made harmless. Present entries have DPL 3 or are call gates that lead nowhere above ring 3. */
        check(lies[i].name, lies[i].may_be_taken && (!(gdt_page[20] >> 47 & 1) || (gdt_page[20] >> 45 & 3) == 3 || !(gdt_page[20] >> 44 & 1)));
        catch(load_selectors, (void *)(20 * 8 + 3));
        catch(lar_lsl, (void *)(20 * 8 + 3));
        if (lies[i].desc >> 44 & 1)
            continue;
        all = all && catch(far_call_gate, (void *)(20 * 8 + 3)) >= 0;
    }
    check("gates-do-not-lead-anywhere", all && alive());
    load_selectors(0);
    update_descriptor(at, 0);
    expect_error("descriptor-in-page-table", update_descriptor(maddr_of((void *)start_info->pt_base), 0));
    expect_error("descriptor-unaligned", update_descriptor(at + 1, 0));
    expect_error("descriptor-beyond-memory", update_descriptor(0x000ffffffffff000ul, 0));
    expect_error("descriptor-in-hypervisor", update_descriptor(0x100000, 0));
    expect("gdt-empty", set_gdt(&frame, 0), 0);
    make_writable(gdt_page);
    gdt_page[3] = lies[0].desc;
    make_readonly(gdt_page);
    expect_error("gdt-with-gate", set_gdt(&frame, 512));
    make_writable(gdt_page);
    gdt_page[3] = 0;
    expect_error("gdt-writable-frame", set_gdt(&frame, 512));
    expect_error("gdt-too-many", set_gdt(&frame, 8193));
    expect_error("gdt-over-reserved", set_gdt(&frame, 7169));
    frame = mfn_of((void *)start_info->pt_base);
    expect_error("gdt-page-table-frame", set_gdt(&frame, 512));
    frame = ~0ul;
    expect_error("gdt-frame-all-ones", set_gdt(&frame, 512));
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++)
        all = all && set_gdt(bad_pointers[i], 512) < 0;
    check("gdt-bad-pointers", all);
}

static void ldts(void)
{
    uint64_t *page = page_alloc();

    expect_error("ldt-unaligned", mmuext(MMUEXT_SET_LDT, (uint64_t)page + 8, 1));
    expect_error("ldt-too-many", mmuext(MMUEXT_SET_LDT, (uint64_t)page, 8193));
    mmuext(MMUEXT_SET_LDT, HV_ADDRESS, 512); /* refused, or every use of it faults */
    expect("ldt-hypervisor", catch(load_selectors, (void *)7) >= 0, 1);
    mmuext(MMUEXT_SET_LDT, NON_CANONICAL, 512);
    expect("ldt-non-canonical", catch(load_selectors, (void *)7) >= 0, 1);
    mmuext(MMUEXT_SET_LDT, UNMAPPED, 8192);
    for (unsigned int i = 0; i < 8192; i += 300)
        if (catch(load_selectors, (void *)(uint64_t)(i * 8 + 7)) < 0)
            check("ldt-unmapped-entry-loads", false);
    sched_op(SCHEDOP_yield, 0);
    page[0] = 0x00cff3000000fffful;
    mmuext(MMUEXT_SET_LDT, (uint64_t)page, 512); /* the page is mapped writable: it must not be used as it is */
    if (catch(load_selectors, (void *)7) < 0) {
        expect("ldt-of-writable-page", catch_write((uint64_t)page, 0), 14);
    } else {
        check("ldt-of-writable-page", true);
    }
    load_selectors(0);
    mmuext(MMUEXT_SET_LDT, 0, 0);
    page[1] = 0x0000ee000008e008ul;
    page[2] = 0x0000890000000067ul;
    make_readonly(page);
    mmuext(MMUEXT_SET_LDT, (uint64_t)page, 512);
    check("ldt-with-gates", catch(load_selectors, (void *)(1 * 8 + 7)) >= 0 && catch(far_jump, (void *)(1 * 8 + 7)) >= 0 &&
                                catch(far_jump, (void *)(2 * 8 + 7)) >= 0);
    mmuext(MMUEXT_SET_LDT, (uint64_t)start_info->pt_base, 512);
    check("ldt-is-page-table", catch(load_selectors, (void *)7) >= 0);
    load_selectors(0);
    mmuext(MMUEXT_SET_LDT, 0, 0);
    check("alive-after-ldts", alive());
    make_writable(page);
    page_free(page);
}

/* ---- multicalls ---- */

static void multicalls(void)
{
    static multicall_entry_t inner[2], outer[4], many[64];
    bool all = true;

    memset(inner, 0, sizeof(inner));
    memset(outer, 0, sizeof(outer));
    inner[0].op = inner[1].op = __HYPERVISOR_xen_version;
    outer[0].op = __HYPERVISOR_multicall;
    outer[0].args[0] = (uint64_t)inner;
    outer[0].args[1] = 2;
    outer[1].op = __HYPERVISOR_multicall; /* itself */
    outer[1].args[0] = (uint64_t)outer;
    outer[1].args[1] = 4;
    outer[2].op = 0xffffffffffffffff;
    outer[3].op = __HYPERVISOR_xen_version;
    expect("multicall-nested", multicall(outer, 4), 0);
    check("multicall-nested-results", (long)outer[1].result < 0 && (long)outer[2].result == X_ENOSYS && (long)outer[3].result > 0);
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++)
        all = all && multicall(bad_pointers[i], 1) < 0;
    check("multicall-bad-pointers", all);
    expect_error("multicall-count-huge", multicall(UNMAPPED, 0xffffffff));
    expect("multicall-none", multicall(UNMAPPED, 0), 0);
    for (unsigned int i = 0; i < COUNT_OF(many); i++) {
        many[i].op = i & 1 ? __HYPERVISOR_sched_op : __HYPERVISOR_mmuext_op;
        many[i].args[0] = i & 1 ? (uint64_t)SCHEDOP_yield : HV_ADDRESS;
        many[i].args[1] = i & 1 ? 0 : 0x7fffffff;
        many[i].args[3] = DOMID_SELF;
    }
    expect("multicall-many", multicall(many, COUNT_OF(many)), 0);
    /* Entries in a read-only page: the results cannot be stored. */
    {
        multicall_entry_t *page = page_alloc();

        page[0].op = __HYPERVISOR_xen_version;
        make_readonly(page);
        expect_error("multicall-readonly-entries", multicall(page, 1));
        make_writable(page);
        page_free(page);
    }
    check("alive-after-multicalls", alive());
}

static void do_iret_in_multicall(void *unused)
{
    static multicall_entry_t m[2];

    (void)unused;
    memset(m, 0, sizeof(m));
    m[0].op = __HYPERVISOR_iret;
    m[1].op = __HYPERVISOR_xen_version;
    multicall(m, 2);
}

/* ---- debug registers ---- */

static volatile uint64_t watched[64];

/* We too touch what is watched. */
static bool ignore_debug(struct frame *f)
{
    return f->vector == 1 && (f->cs & 3) == 0;
}

static void debug_registers(void)
{
    struct xen_feature_info *info = (struct xen_feature_info *)&watched[0];
    struct frame f = {0};
    static const uint8_t stop[1] = {0xcc};
    bool all = true;

    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++)
        for (int reg = 0; reg < 4; reg++)
            if (bad_pointers[i] != UNMAPPED && bad_pointers[i] < ~7ul)
                all = all && set_debugreg(reg, bad_pointers[i]) < 0;
    check("debugreg-hypervisor-and-non-canonical", all);
    expect_error("debugreg-8", set_debugreg(8, 0));
    expect_error("debugreg-minus-1", set_debugreg(-1, 0));
    expect_any("debugreg-get-99", get_debugreg(99), X_EINVAL, X_ENODEV);
    set_debugreg(7, 0x2000 | 0x400); /* general detect */
    set_debugreg(7, ~0ul);
    set_debugreg(7, 0xffffffff);
    check("debugreg-7-all-ones", alive());
    set_debugreg(7, 0x400);
    vcpus[0].hook = ignore_debug;
    /* A watchpoint on what the hypervisor writes for us: a hypercall's answer, the frame of a trap from user mode, a shared page. */
    set_debugreg(0, &watched[0]);
    set_debugreg(1, stacks[0] + STACK_USER_TOP - 40);
    set_debugreg(2, &shared_info->evtchn_pending[0]);
    set_debugreg(3, &vcpu_info(0)->time);
    set_debugreg(7, 0x400 | 0xff | 0x3333ul << 16 | 0xccccul << 16); /* all, read-write, 4 bytes */
    info->submap_idx = 0;
    for (int i = 0; i < 20; i++) {
        struct frame g = f;
        int vector;

        user_setup();
        user_code(stop, stop + 1);
        vector = user_run(&g); /* may be #DB on the way in */
        if (vector != 3 && vector != 1)
            check("watchpoint-on-frame-vector", false);
    }
    set_debugreg(7, 0x400);
    check("watchpoints-on-hypervisor-writes", alive());
    set_debugreg(0, &watched[0]);
    set_debugreg(7, 0x400 | 3 | 0xful << 16);
    for (int i = 0; i < 20; i++)
        hypercall_raw(__HYPERVISOR_xen_version, XENVER_get_features, (uint64_t)info, 0, 0, 0);
    set_debugreg(7, 0x400);
    check("watchpoint-on-hypercall-answer", alive());
    vcpus[0].hook = NULL;
    for (int reg = 0; reg < 4; reg++)
        set_debugreg(reg, 0);
    set_debugreg(6, 0xffff0ff0);
}

static bool step_over(struct frame *f)
{
    if (f->vector != 1)
        return false;
    f->rflags |= 0x100;
    return --watched[63] != 0; /* when used up: as an unexpected trap, to catch() */
}

static void step_hypercalls(void *unused)
{
    (void)unused;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq" : : : "memory", "cc");
    for (;;) {
        hypercall2(__HYPERVISOR_xen_version, XENVER_pagesize, 0);
        hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
        hypercall2(__HYPERVISOR_set_timer_op, 0, 0);
    }
}

static void flags(void)
{
    static const uint64_t bits[] = {1ul << 8, 1ul << 10, 3ul << 12, 1ul << 14, 1ul << 16, 1ul << 17, 1ul << 18, 1ul << 19, 1ul << 20, 1ul << 21};

    watched[63] = 400;
    vcpus[0].hook = step_over;
    expect("single-step-through-hypercalls", catch(step_hypercalls, NULL), 1);
    vcpus[0].hook = NULL;
    set_debugreg(6, 0xffff0ff0);
    for (unsigned int i = 1; i < COUNT_OF(bits); i++) {
        static struct xen_feature_info info;

        __asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "r"(bits[i]) : "memory", "cc");
        xen_version(XENVER_get_features, &info);
        __asm__ volatile("cld; pushfq; andq %0, (%%rsp); popfq" : : "r"(0x8d5ul | 0x200) : "memory", "cc");
    }
    check("hypercall-under-every-flag", alive());
    for (unsigned int i = 1; i < COUNT_OF(bits); i++) {
        struct frame f = {.rflags = bits[i] | 2};
        static const uint8_t syscall[] = {0x0f, 0x05, 0xcc};

        user_code(syscall, syscall + 3);
        user_run(&f);
        if ((vcpus[0].handler_rflags & 0x44500) != 0)
            check("handler-entered-with-bad-flags", false);
    }
    check("syscall-under-every-flag", alive());
}

/* ---- instructions ---- */

static void run_bytes(void *code)
{
    /* All registers point at something: a hypervisor address, small numbers. */
    __asm__ volatile("push %%rbx; push %%rbp; mov %0, %%r11; mov %1, %%rax; mov %%rax, %%rdi; mov %%rax, %%rsi; mov $0x10, %%ecx; mov $0x3f8, %%edx; call *%%r11; pop %%rbp; pop %%rbx"
                     :
                     : "r"(code), "i"(0xffff828000000000ul)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void instructions(void)
{
    static const struct {
        const char *name;
        uint8_t length, bytes[9];
        bool must_fault;
    } list[] = {
        {"invd", 2, {0x0f, 0x08}, false},
        {"lgdt", 3, {0x0f, 0x01, 0x10}, true},
        {"lidt", 3, {0x0f, 0x01, 0x18}, true},
        {"lldt", 3, {0x0f, 0x00, 0xd0}, true},
        {"ltr", 3, {0x0f, 0x00, 0xd8}, true},
        {"sgdt-to-hypervisor", 3, {0x0f, 0x01, 0x00}, true},
        {"lmsw", 3, {0x0f, 0x01, 0xf0}, false},
        {"invlpg", 3, {0x0f, 0x01, 0x38}, false},
        {"mov-cr3", 3, {0x0f, 0x22, 0xd8}, true},
        {"mov-cr8", 4, {0x44, 0x0f, 0x22, 0xc0}, true},
        {"mov-dr7", 3, {0x0f, 0x23, 0xf8}, false},
        {"mov-dr4", 3, {0x0f, 0x23, 0xe0}, false},
        {"sysenter", 2, {0x0f, 0x34}, true},
        {"sysexit", 2, {0x0f, 0x35}, true},
        {"sysretq", 3, {0x48, 0x0f, 0x07}, true},
        {"swapgs", 3, {0x0f, 0x01, 0xf8}, true},
        {"rsm", 2, {0x0f, 0xaa}, true},
        {"vmcall", 3, {0x0f, 0x01, 0xc1}, true},
        {"vmmcall", 3, {0x0f, 0x01, 0xd9}, true},
        {"vmrun", 3, {0x0f, 0x01, 0xd8}, true},
        {"clgi", 3, {0x0f, 0x01, 0xdd}, true},
        {"stgi", 3, {0x0f, 0x01, 0xdc}, true},
        {"monitor", 3, {0x0f, 0x01, 0xc8}, true},
        {"stac", 3, {0x0f, 0x01, 0xcb}, true},
        {"clac", 3, {0x0f, 0x01, 0xca}, true},
        {"rdpmc", 2, {0x0f, 0x33}, false},
        {"insb-to-hypervisor", 2, {0xf3, 0x6c}, true},
        {"outsb-from-hypervisor", 2, {0xf3, 0x6e}, false},
        {"movsb-in-hypervisor", 2, {0xf3, 0xa4}, true},
        {"far-return", 1, {0xcb}, true},
        {"int1", 1, {0xf1}, true},
        {"ud2-almost-prefix", 5, {0x0f, 0x0b, 0x78, 0x65, 0x6d}, true},
        {"forced-hlt", 6, {0x0f, 0x0b, 0x78, 0x65, 0x6e, 0xf4}, true},
        {"forced-ud2", 7, {0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0x0b}, true},
        {"lock-cli", 2, {0xf0, 0xfa}, true},
        {"xsetbv", 3, {0x0f, 0x01, 0xd1}, true},
        {"mov-cr0", 3, {0x0f, 0x22, 0xc0}, false},
        {"mov-cr4", 3, {0x0f, 0x22, 0xe0}, false},
        {"wrmsr-low", 2, {0x0f, 0x30}, false},
    };
    static uint8_t code[PAGE_SIZE] __attribute__((aligned(4096)));

    for (unsigned int i = 0; i < COUNT_OF(list); i++) {
        int vector;

        memcpy(code, list[i].bytes, list[i].length);
        code[list[i].length] = 0xc3;
        vector = catch(run_bytes, code);
        if (list[i].must_fault && vector < 0)
            note("%s did not fault\n", list[i].name);
        check(list[i].name, !(list[i].must_fault && vector < 0) && alive());
        set_debugreg(7, 0x400);
    }
    /* an instruction that ends in the next, absent page */
    {
        struct region r;
        uint8_t *page;

        region_build(&r, 31);
        region_map(&r, 0, maddr_of(page_alloc()) | PTE_PAGE);
        page = region_va(&r, 0);
        page[0xffe] = 0x0f; /* then 01 10 in the next page */
        page[0xfff] = 0x01;
        expect("instruction-over-page-end", catch(run_bytes, page + 0xffe), 14);
        page[0xfff] = 0xf3; /* prefixes up to the end */
        page[0xffe] = 0xf3;
        catch(run_bytes, page + 0xffe);
        memset(page, 0x66, 64);
        page[64] = 0xf4;
        expect("instruction-of-sixty-prefixes", catch(run_bytes, page) >= 0, 1);
    }
    check("alive-after-instructions", alive());
}

static void do_wrmsr(void *pair)
{
    uint64_t *p = pair;
    __asm__ volatile("wrmsr" : : "c"((uint32_t)p[0]), "a"((uint32_t)p[1]), "d"((uint32_t)(p[1] >> 32)));
}

static void do_rdmsr(void *pair)
{
    uint64_t *p = pair;
    uint32_t a, d;
    __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"((uint32_t)p[0]));
}

static void msrs(void)
{
    static const uint32_t list[] = {0x10, 0x1b, 0x3a, 0x48, 0x49, 0x8b, 0xc1, 0xe7, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x17b, 0x186, 0x1a0, 0x1d9, 0x200, 0x250, 0x277,
                                    0x2ff, 0x38f, 0x400, 0x401, 0x480, 0x600, 0x6e0, 0x800, 0x830, 0xda0, 0x40000000, 0x40000001, 0xc0000080, 0xc0000081, 0xc0000082,
                                    0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0010000, 0xc0010010, 0xc0010015, 0xc001001f,
                                    0xc0010114, 0xc0010117, 0xffffffff};
    static const uint64_t values[] = {0, ~0ul, NON_CANONICAL, HV_ADDRESS, 0x500, 1};

    for (unsigned int i = 0; i < COUNT_OF(list); i++)
        for (unsigned int j = 0; j < COUNT_OF(values); j++) {
            uint64_t pair[2] = {list[i], values[j]};

            if (on_xen && (list[i] == 0x40000000 || list[i] == 0x1b))
                continue;
            catch(do_rdmsr, pair);
            catch(do_wrmsr, pair);
        }
    set_segment_base(SEGBASE_FS, 0);
    set_segment_base(SEGBASE_GS_KERNEL, 0);
    set_segment_base(SEGBASE_GS_USER, 0);
    {
        uint64_t fs[2] = {0xc0000100, NON_CANONICAL};

        expect("wrmsr-base-non-canonical", catch(do_wrmsr, fs), 13);
    }
    check("alive-after-msrs", alive());
}

static void interrupts(void)
{
    static uint8_t code[PAGE_SIZE] __attribute__((aligned(4096)));
    bool all = true, user = true;

    for (unsigned int n = 0; n < 256; n++) {
        struct frame f = {0};
        int vector;
        bool good;

        code[0] = 0xcd;
        code[1] = (uint8_t)n;
        code[2] = 0xc3;
        vector = catch(run_bytes, code);
        /* QEMU 7.2 reports a refused gate as vector * 16 + 2, which reads as twice the vector. */
        good = vector == 13 || vector == (int)n || vector == 14 || vector == (int)(n * 2 & 0xff);
        all = all && good;
        if (!good)
            note("int %u in the kernel: vector %d\n", n, vector);
        user_code(code, code + 3);
        vector = user_run(&f);
        good = vector == 13 || ((n == 3 || n == 4 || n == 0x80) && vector == (int)n) || (((n * 2 & 0xff) == 4 || (n * 2 & 0xff) == 0x80) && vector == (int)(n * 2 & 0xff));
        user = user && good;
        if (!good)
            note("int %u in user mode: vector %d\n", n, vector);
    }
    check("int-n-kernel", all);
    check("int-n-user", user);
}

static void do_hlt(void *unused)
{
    (void)unused;
    __asm__ volatile("hlt");
}

/* Refused, or a block: then the timer ends it. */
static void halt(void)
{
    int port = bind_virq(VIRQ_TIMER, 0);
    struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = now_ns() + 3000000};
    int vector;

    port_forget(port);
    port_unmask(port);
    events_mask();
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    vcpu_info(0)->evtchn_upcall_mask = 0;
    vector = catch(do_hlt, NULL);
    events_mask();
    expect_any("hlt", vector, 13, -1);
    port_close(port);
}

/* ---- a vCPU's first context ---- */

static void contexts(void)
{
    static struct vcpu_guest_context c;
    static const struct {
        const char *name;
        size_t offset;
        uint64_t value;
    } lies[] = {
        {"context-cr3-invalid", offsetof(struct vcpu_guest_context, ctrlreg[3]), 0x000ffffffffff000ul},
        {"context-event-non-canonical", offsetof(struct vcpu_guest_context, event_callback_eip), NON_CANONICAL},
        {"context-failsafe-non-canonical", offsetof(struct vcpu_guest_context, failsafe_callback_eip), NON_CANONICAL},
        {"context-syscall-non-canonical", offsetof(struct vcpu_guest_context, syscall_callback_eip), NON_CANONICAL},
        {"context-gdt-too-many", offsetof(struct vcpu_guest_context, gdt_ents), 9000},
        {"context-gdt-bad-frame", offsetof(struct vcpu_guest_context, gdt_ents), 512},
        {"context-ldt-too-many", offsetof(struct vcpu_guest_context, ldt_ents), 9000},
        {"context-gs-non-canonical", offsetof(struct vcpu_guest_context, gs_base_user), NON_CANONICAL},
        {"context-fs-non-canonical", offsetof(struct vcpu_guest_context, fs_base), NON_CANONICAL},
        {"context-cr3-is-data", offsetof(struct vcpu_guest_context, ctrlreg[3]), 0},
    };
    bool all = true;

    if (vcpu_count < 2) {
        skip("contexts", "one vCPU");
        return;
    }
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++)
        all = all && vcpu_op(VCPUOP_initialise, 1, bad_pointers[i]) < 0;
    check("context-bad-pointers", all);
    for (unsigned int i = 0; i < COUNT_OF(lies); i++) {
        memset(&c, 0, sizeof(c));
        c.flags = VGCF_in_kernel;
        c.user_regs.rip = (uint64_t)secondary_start;
        c.user_regs.rsp = (uint64_t)(stacks[1] + STACK_BYTES);
        c.user_regs.cs = FLAT_KERNEL_CS;
        c.user_regs.ss = FLAT_KERNEL_SS;
        c.ctrlreg[3] = mfn_of((void *)start_info->pt_base) << PAGE_SHIFT;
        c.gdt_frames[0] = ~0ul;
        if (lies[i].value == 0)
            c.ctrlreg[3] = mfn_of(&c) << PAGE_SHIFT;
        else
            *(uint64_t *)((uint8_t *)&c + lies[i].offset) = lies[i].value;
        expect_error(lies[i].name, vcpu_op(VCPUOP_initialise, 1, &c));
        if (vcpu_op(VCPUOP_up, 1, 0) == 0)
            check("context-refused-but-up", false);
    }
}

static void stacks_switched(void)
{
    for (unsigned int i = 0; i < COUNT_OF(bad_pointers); i++)
        stack_switch(0xe010, bad_pointers[i]); /* taken: the next bounce is the attack, see attack-crash.c */
    expect("stack-switch-back", stack_switch(FLAT_KERNEL_SS, stacks[0] + STACK_USER_TOP), 0);
}

void kernel_main(void)
{
    char name[64];

    if (arg_string("attack", name, sizeof(name))) {
        attack_run(name);
        return;
    }
    user_setup();
    trap_tables();
    stacks_switched();
    irets();
    native_irets();
    segments();
    descriptors();
    ldts();
    multicalls();
    debug_registers();
    flags();
    instructions();
    msrs();
    interrupts();
    halt();
    contexts();
    note("iret in a multicall: vector %d\n", catch(do_iret_in_multicall, NULL));
    check("alive-at-the-end", alive());
}
