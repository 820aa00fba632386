// SPDX-License-Identifier: MIT
/*
 * The state in which a kernel is started: registers, start_info, initial mapping, p2m and M2P, shared_info, features, version calls, console.
 */
#include "abi.h"
#include "mini.h"

static uint64_t mapping_end; /* first address past the initial mapping */

static void registers(void)
{
    static const int zero[] = {START_RAX, START_RBX, START_RCX, START_RDX, START_RDI, START_RBP, START_R8,  START_R9,
                               START_R10, START_R11, START_R12, START_R13, START_R14, START_R15, START_DS, START_ES, START_FS, START_GS};
    bool all_zero = true;

    for (unsigned int i = 0; i < COUNT_OF(zero); i++)
        if (start_regs[zero[i]] != 0) {
            note("start register %d is %lx\n", zero[i], start_regs[zero[i]]);
            all_zero = false;
        }
    check("start-rsi-is-start-info", start_regs[START_RSI] == (uint64_t)start_info);
    check("start-other-registers-zero", all_zero);
    expect("start-cs", start_regs[START_CS], FLAT_KERNEL_CS64);
    expect("start-ss", start_regs[START_SS], FLAT_KERNEL_SS);
    check("start-rflags", (start_regs[START_RFLAGS] & 0x247700) == 0x200); /* IF alone of TF IF DF IOPL NT AC ID */
    check("start-stack-aligned", start_regs[START_RSP] != 0 && start_regs[START_RSP] % 16 == 0);
}

static void info_fields(void)
{
    check("start-info-magic", memcmp((const char *)start_info->magic, "xen-3.", 6) == 0);
    check("start-info-nr-pages", start_info->nr_pages > pfn_of(image_end));
    check("start-info-page-aligned", (uint64_t)start_info % PAGE_SIZE == 0);
    check("start-info-after-image", (uint64_t)start_info >= (uint64_t)image_end);
    check("start-info-no-module", start_info->mod_len == 0);
    if (arg_number("domu", 0))
        expect("start-info-flags-domu", start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN), 0);
    else
        expect("start-info-flags-domain0", start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN), SIF_PRIVILEGED | SIF_INITDOMAIN);
    if (hypercall_by_page) {
        check("p2m-within-initial-mapping", start_info->mfn_list > (uint64_t)virt_base);
    } else {
        check("p2m-where-asked", start_info->mfn_list == 0x8000000000);
        check("p2m-frames-told", start_info->nr_p2m_frames >= (start_info->nr_pages * 8 + PAGE_SIZE - 1) / PAGE_SIZE && start_info->first_p2m_pfn != 0);
    }
}

static void tables(void)
{
    uint64_t va = (uint64_t)virt_base;
    bool identity = true, bits = true, readonly = true;

    for (;; va += PAGE_SIZE) {
        uint64_t *pte = pte_find(va, 1);

        if (pte == NULL || !(*pte & PTE_P))
            break;
        if (va == (uint64_t)shared_info)
            continue;
        identity = identity && ((*pte & PTE_ADDR) >> PAGE_SHIFT) == p2m[pfn_of((void *)va)];
        bits = bits && (*pte & PTE_US) && (*pte & PTE_RW) == (va >= start_info->pt_base && va < start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE ? 0 : PTE_RW);
    }
    mapping_end = va;
    check("mapping-is-pfn-order", identity);
    check("mapping-bits-rw-user-tables-ro", bits);
    check("mapping-ends-4mb-aligned", ((va - (uint64_t)virt_base) & 0x3fffff) == 0);
    check("mapping-slack-512k", va - start_regs[START_RSP] >= 512 * 1024);
    for (unsigned int i = 0; i < start_info->nr_pt_frames; i++) {
        uint64_t *pte = pte_find(start_info->pt_base + i * PAGE_SIZE, 1);

        readonly = readonly && pte != NULL && !(*pte & PTE_RW);
    }
    check("table-pages-readonly", readonly);
    expect("root-unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn_of((void *)start_info->pt_base), 0), 0);
    expect_error("root-unpin-once-only", mmuext(MMUEXT_UNPIN_TABLE, mfn_of((void *)start_info->pt_base), 0));
    expect("root-pin-again", mmuext(MMUEXT_PIN_L4_TABLE, mfn_of((void *)start_info->pt_base), 0), 0);
}

static void p2m_and_m2p(void)
{
    uint64_t bad = 0;

    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++)
        if (m2p[p2m[pfn]] != pfn)
            bad++;
    expect("p2m-inverts-m2p", bad, 0);
    expect("m2p-readonly", catch_write((uint64_t)m2p, 0), 14);
}

static void shared(void)
{
    bool masked = true;

    for (unsigned int i = 0; i < 32; i++)
        masked = masked && shared_info->vcpu_info[i].evtchn_upcall_mask == 1;
    check("upcalls-masked-at-start", masked);
    check("time-valid-at-start", shared_info->vcpu_info[0].time.tsc_to_system_mul != 0 && (shared_info->vcpu_info[0].time.version & 1) == 0);
}

static void versions(void)
{
    struct xen_feature_info features = {.submap_idx = 0};
    struct xen_platform_parameters platform = {0};
    static char text[1024];
    long version = xen_version(XENVER_version, 0);

    check("version-number", (version >> 16) >= 3);
    expect("features", xen_version(XENVER_get_features, &features), 0);
    check("feature-preserve-ad", features.submap & (1u << XENFEAT_mmu_pt_update_preserve_ad));
    check("feature-gnttab-avail-bits", features.submap & (1u << XENFEAT_gnttab_map_avail_bits));
    check("feature-no-writable-tables", !(features.submap & (1u << XENFEAT_writable_page_tables)));
    check("feature-no-auto-translate", !(features.submap & (1u << XENFEAT_auto_translated_physmap)));
    expect("version-page-size", xen_version(XENVER_pagesize, 0), PAGE_SIZE);
    expect("version-platform", xen_version(XENVER_platform_parameters, &platform), 0);
    check("version-virt-start", platform.virt_start == HYPERVISOR_VIRT_START);
    memset(text, 0, sizeof(text));
    expect("version-capabilities", xen_version(XENVER_capabilities, text), 0);
    check("version-capabilities-text", memcmp(text, "xen-", 4) == 0);
    expect("version-extraversion", xen_version(XENVER_extraversion, text), 0);
    expect("version-unknown", xen_version(9999, text), X_ENOSYS);
    expect("version-bad-pointer", xen_version(XENVER_get_features, 0x123456789000), X_EFAULT);
}

static void hypercalls(void)
{
    uint64_t rbx = 0x1111, rbp_out, rdi = XENVER_version, rsi = 0x3333, rdx = 0x4444, rax = __HYPERVISOR_xen_version;
    register uint64_t r8 __asm__("r8") = 0x8888;
    register uint64_t r9 __asm__("r9") = 0x9999;
    register uint64_t r10 __asm__("r10") = 0xaaaa;
    register uint64_t r12 __asm__("r12") = 0xcccc;
    register uint64_t r15 __asm__("r15") = 0xffff;

    __asm__ volatile("push %%rbp; mov $0x7777, %%ebp; syscall; mov %%rbp, %%rcx; pop %%rbp; mov %%rcx, %[out]"
                     : "+a"(rax), "+b"(rbx), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r12), "+r"(r15), [out] "=&r"(rbp_out)
                     :
                     : "rcx", "r11", "memory");
    check("hypercall-preserves-registers", rbx == 0x1111 && rbp_out == 0x7777 && rdi == XENVER_version && rsi == 0x3333 && rdx == 0x4444 &&
                                               r8 == 0x8888 && r9 == 0x9999 && r10 == 0xaaaa && r12 == 0xcccc && r15 == 0xffff);
    expect("hypercall-unknown", hypercall0(63), X_ENOSYS);
    expect("hypercall-unknown-huge", hypercall0(0x7fffffff), X_ENOSYS);
    expect("console-write", hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 0, ""), 0);
    expect("console-unknown", hypercall3(__HYPERVISOR_console_io, 77, 0, 0), X_ENOSYS);
    expect("console-bad-pointer", hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 8, 0x123456789000), X_EFAULT);
    expect("vm-assist", hypercall2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_4gb_segments), 0);
    expect_error("vm-assist-unknown", hypercall2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 31));
}

static void multicalls(void)
{
    static multicall_entry_t calls[4];

    memset(calls, 0, sizeof(calls));
    calls[0].op = __HYPERVISOR_xen_version;
    calls[0].args[0] = XENVER_pagesize;
    calls[1].op = 63;
    calls[2].op = __HYPERVISOR_xen_version;
    calls[2].args[0] = XENVER_get_features;
    calls[2].args[1] = 0x123456789000;
    calls[3].op = __HYPERVISOR_update_va_mapping;
    calls[3].args[0] = (uint64_t)calls;
    calls[3].args[1] = (maddr_of(calls) & PAGE_MASK) | PTE_PAGE;
    expect("multicall", multicall(calls, 4), 0);
    check("multicall-results", calls[0].result == PAGE_SIZE && (long)calls[1].result == X_ENOSYS && (long)calls[2].result == X_EFAULT && calls[3].result == 0);
}

void abi_start(void)
{
    registers();
    info_fields();
    tables();
    p2m_and_m2p();
    shared();
    versions();
    hypercalls();
    multicalls();
}
