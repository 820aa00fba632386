// SPDX-License-Identifier: MIT
/* memory_op: reservation numbers, giving frames back and taking them again, the memory map, the M2P's place. */
#include "abi.h"
#include "mini.h"

static void numbers(void)
{
    domid_t self = DOMID_SELF;
    struct xen_machphys_mapping place = {0};
    long current = memory_op(XENMEM_current_reservation, &self), maximum = memory_op(XENMEM_maximum_reservation, &self);

    check("current-reservation", current >= (long)start_info->nr_pages - 1 && current <= (long)start_info->nr_pages + 64);
    check("maximum-reservation", maximum >= current);
    check("maximum-ram-page", memory_op(XENMEM_maximum_ram_page, 0) > 1000);
    expect("machphys-mapping", memory_op(XENMEM_machphys_mapping, &place), 0);
    check("machphys-mapping-place", place.v_start == MACH2PHYS_VIRT_START && place.max_mfn >= mfn_of(start_info));
    expect_error("memory-op-unknown", memory_op(63, 0));
    expect("memory-op-bad-pointer", memory_op(XENMEM_machphys_mapping, 0x123456789000), X_EFAULT);
}

static void map(void)
{
    static struct {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) entries[128];
    struct xen_memory_map m = {.nr_entries = COUNT_OF(entries)};
    bool domu = arg_number("domu", 0);
    uint64_t ram = 0;

    set_xen_guest_handle(m.buffer, (void *)entries);
    expect("memory-map", memory_op(domu ? XENMEM_memory_map : XENMEM_machine_memory_map, &m), 0);
    check("memory-map-entries", m.nr_entries >= 1 && m.nr_entries <= COUNT_OF(entries));
    for (unsigned int i = 0; i < m.nr_entries && i < COUNT_OF(entries); i++)
        if (entries[i].type == 1)
            ram += entries[i].size;
    check("memory-map-holds-domain", ram / PAGE_SIZE >= start_info->nr_pages - 1);
    m.nr_entries = 0;
    expect_any("memory-map-no-room", memory_op(domu ? XENMEM_memory_map : XENMEM_machine_memory_map, &m), 0, X_EINVAL);
}

static struct xen_memory_reservation one_frame(xen_pfn_t *frame)
{
    struct xen_memory_reservation x = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(x.extent_start, frame);
    return x;
}

static void balloon(void)
{
    domid_t self = DOMID_SELF;
    uint64_t *page = page_alloc();
    uint64_t pfn = pfn_of(page);
    xen_pfn_t frame = p2m[pfn];
    struct xen_memory_reservation x = one_frame(&frame);
    long before = memory_op(XENMEM_current_reservation, &self);

    update_va_mapping(page, 0, UVMF_INVLPG | UVMF_ALL);
    expect("decrease-reservation", memory_op(XENMEM_decrease_reservation, &x), 1);
    expect("reservation-shrunk", memory_op(XENMEM_current_reservation, &self), before - 1);
    expect_error("given-frame-not-mappable", update_va_mapping(page, (uint64_t)frame << PAGE_SHIFT | PTE_PAGE, 0));
    x = one_frame(&frame);
    frame = pfn;
    expect("populate-physmap", memory_op(XENMEM_populate_physmap, &x), 1);
    check("populate-sets-m2p", m2p[frame] == pfn);
    expect("reservation-grown", memory_op(XENMEM_current_reservation, &self), before);
    p2m[pfn] = frame;
    expect("populated-mappable", update_va_mapping(page, (uint64_t)frame << PAGE_SHIFT | PTE_PAGE, UVMF_INVLPG), 0);
    for (unsigned int i = 0; i < 512; i++)
        if (page[i] != 0 && !on_xen) {
            check("populated-frame-is-clean", false);
            break;
        }
    memset(page, 0, PAGE_SIZE);
    page_free(page);
}

static void exchange(void)
{
    xen_pfn_t in = 0, out = 0;
    struct xen_memory_exchange e = {.in = one_frame(&in), .out = one_frame(&out)};
    uint64_t *page = page_alloc();
    long rc;

    in = mfn_of(page);
    out = pfn_of(page);
    update_va_mapping(page, 0, UVMF_INVLPG | UVMF_ALL);
    rc = memory_op(XENMEM_exchange, &e);
    if (rc == 0) {
        check("exchange-done", e.nr_exchanged == 1 && m2p[out] == pfn_of(page));
        p2m[pfn_of(page)] = out;
    } else {
        check("exchange-refused", rc < 0 && e.nr_exchanged == 0);
    }
    expect("exchange-frame-mappable", update_va_mapping(page, mfn_of(page) << PAGE_SHIFT | PTE_PAGE, UVMF_INVLPG), 0);
    page_free(page);
}

void abi_memory(void)
{
    numbers();
    map();
    balloon();
    exchange();
}
