// SPDX-License-Identifier: MIT
/*
 * PCI against an invented configuration space: bridges that form a ring, capability lists that never end, BARs of every kind, places outside of them.
 */
// needs: pci.c msix.c tests/unit/fakes-machine.c

#include "pci.h"

#include "alloc.h"
#include "cpu.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Some functions of 256 bytes, and which bits of each BAR can be written. */
static struct {
    uint32_t address; /* bus, slot, function */
    uint8_t space[256];
    uint32_t writable[6];
} functions[40];
static unsigned int count, reads;
static uint32_t table[PCI_MSIX_MAX * 4];
static uint64_t mapped_maddr, mapped_bytes;

void pci_config_init(void)
{
}

static uint8_t *space_of(uint32_t address)
{
    unsigned int i;

    for (i = 0; i < count; i++)
        if (functions[i].address == (address & ~0xffu))
            return functions[i].space;
    return NULL;
}

uint32_t pci_config_read(uint32_t address)
{
    const uint8_t *space = space_of(address);
    uint32_t value = 0xffffffff;

    reads++;
    ck_assert_uint_eq(address & 3, 0);
    if (space != NULL)
        memcpy(&value, space + (address & 0xff), 4);
    return value;
}

void pci_config_write(uint32_t address, uint32_t value, unsigned int byte, unsigned int bytes)
{
    uint8_t *space = space_of(address);
    unsigned int offset = address & 0xff, bar = (offset - 0x10) / 4;

    ck_assert_ptr_nonnull(space);
    if (offset >= 0x10 && offset < 0x28) {
        uint32_t mask = functions[0].writable[bar], before;

        memcpy(&before, space + offset, 4);
        value = (value & mask) | (before & ~mask);
    }
    memcpy(space + offset + byte, &value, bytes);
}

void *fixmap_map(uint64_t maddr, size_t bytes, bool cached)
{
    ck_assert(!cached);
    mapped_maddr = maddr;
    mapped_bytes = bytes;
    return table;
}

static uint8_t *add(uint8_t bus, uint8_t slot, uint8_t function, uint16_t device, uint8_t header)
{
    uint8_t *space;

    functions[count].address = (uint32_t)bus << 16 | (uint32_t)slot << 11 | (uint32_t)function << 8;
    space = functions[count++].space;
    memset(space, 0, 256);
    space[0] = 0xf4;
    space[1] = 0x1a;
    memcpy(space + 2, &device, 2);
    space[0x0e] = header;
    return space;
}

static void setup(void)
{
    memset(functions, 0, sizeof(functions));
    count = reads = 0;
}

START_TEST(functions_behind_bridges_are_found)
{
    add(0, 0, 0, 1, 0);
    add(0, 3, 0, 2, 0x80);
    add(0, 3, 5, 3, 0);
    add(0, 4, 0, 4, 0);
    add(0, 4, 1, 5, 0); /* not there: function 0 says it is the only one */
    add(0, 31, 0, 6, 1)[0x19] = 9;
    add(9, 0, 0, 7, 1)[0x19] = 2; /* numbered downwards */
    add(2, 31, 7, 8, 0);          /* no function 0: not there */
    add(2, 30, 0, 9, 0);
    pci_init();
    ck_assert_uint_eq(pci_function_count, 7);
    ck_assert_uint_eq(pci_functions[2].device, 3);
    ck_assert_uint_eq(pci_functions[2].function, 5);
    ck_assert_uint_eq(pci_functions[6].device, 9);
    ck_assert_uint_eq(pci_functions[6].bus, 2);
}
END_TEST

START_TEST(what_the_firmware_left_running_is_stopped)
{
    uint8_t *disk = add(0, 1, 0, 1, 0), *bridge = add(0, 2, 0, 2, 0);
    struct pci_function f = { .slot = 1 };

    disk[4] = bridge[4] = 7;
    disk[0x0b] = 1;
    bridge[0x0b] = 6;
    pci_init();
    ck_assert_uint_eq(disk[4], 3);
    ck_assert_uint_eq(bridge[4], 7);
    pci_enable(&f);
    ck_assert_uint_eq(disk[4], 7);
    ck_assert_uint_eq(disk[5], 4); /* and no interrupt by wire */
    pci_stop(&f);
    ck_assert_uint_eq(disk[4], 3);
}
END_TEST

START_TEST(bridges_in_a_ring_are_walked_once)
{
    add(0, 1, 0, 1, 1)[0x19] = 5;
    add(5, 1, 0, 2, 1)[0x19] = 0;
    add(5, 2, 0, 3, 1)[0x19] = 5;
    pci_init();
    ck_assert_uint_eq(pci_function_count, 3);
}
END_TEST

START_TEST(capabilities_are_found_and_rings_of_them_end)
{
    uint8_t *space = add(0, 0, 0, 1, 0);
    struct pci_function f = { 0 };

    ck_assert_uint_eq(pci_capability_find(&f, PCI_CAPABILITY_VENDOR, 0), 0); /* status says there are none */
    space[0x06] = 0x10;
    space[0x34] = 0x43; /* the low two bits are to be ignored */
    space[0x40] = 0x09;
    space[0x41] = 0x60;
    space[0x60] = 0x11;
    space[0x61] = 0x84;
    space[0x84] = 0x09;
    space[0x85] = 0x60; /* back */
    ck_assert_uint_eq(pci_capability_find(&f, PCI_CAPABILITY_VENDOR, 0), 0x40);
    ck_assert_uint_eq(pci_capability_find(&f, PCI_CAPABILITY_VENDOR, 0x40), 0x84);
    ck_assert_uint_eq(pci_capability_find(&f, PCI_CAPABILITY_MSIX, 0), 0x60);
    reads = 0;
    ck_assert_uint_eq(pci_capability_find(&f, (enum pci_capability)0x55, 0), 0);
    ck_assert_uint_lt(reads, 60);
    space[0x61] = 0x10; /* into the header */
    ck_assert_uint_eq(pci_capability_find(&f, (enum pci_capability)0x55, 0), 0);
}
END_TEST

START_TEST(bars_have_their_place_and_size)
{
    static const uint32_t values[6] = { 0xfe000000, 0xc001, 0x0000000c, 0x38, 0xfd000004, 0 };
    static const uint32_t masks[6] = { 0xfffff000, 0xffffffe0, 0xffffc000, 0xffffffff, 0xfffff000, 0 };
    uint8_t *space = add(0, 0, 0, 1, 0);
    struct pci_function f = { 0 };
    uint64_t maddr, bytes;

    memcpy(space + 0x10, values, sizeof(values));
    memcpy(functions[0].writable, masks, sizeof(masks));
    space[4] = 2;
    ck_assert(pci_bar(&f, 0, &maddr, &bytes));
    ck_assert_uint_eq(maddr, 0xfe000000);
    ck_assert_uint_eq(bytes, 0x1000);
    ck_assert(!pci_bar(&f, 1, &maddr, &bytes)); /* ports */
    ck_assert(pci_bar(&f, 2, &maddr, &bytes));
    ck_assert_uint_eq(maddr, 0x3800000000);
    ck_assert_uint_eq(bytes, 0x4000);
    ck_assert(!pci_bar(&f, 5, &maddr, &bytes)); /* not there */
    ck_assert(!pci_bar(&f, 6, &maddr, &bytes));
    ck_assert(!pci_bar(&f, 4, &maddr, &bytes)); /* its upper half cannot be set: a size that is no power of two */
    ck_assert_int_eq(memcmp(space + 0x10, values, sizeof(values)), 0);
    ck_assert_uint_eq(space[4], 2);
    ck_assert_ptr_nonnull((void *)pci_map(&f, 2, 0x3000, 0x1000));
    ck_assert_uint_eq(mapped_maddr, 0x3800003000);
    ck_assert_ptr_null((void *)pci_map(&f, 2, 0x3001, 0x1000));
    ck_assert_ptr_null((void *)pci_map(&f, 2, 0xfffffffffffff000, 0x2000));
    ck_assert_ptr_null((void *)pci_map(&f, 2, 0, 0));
    f.header_type = 1;
    ck_assert(!pci_bar(&f, 0, &maddr, &bytes));
}
END_TEST

START_TEST(messages_are_masked_until_routed)
{
    uint8_t *space = add(0, 0, 0, 1, 0);
    struct pci_function f = { 0 };
    struct pci_msix msix;
    uint32_t bar = 0xfe000000;

    ck_assert_int_eq(pci_msix_init(&f, &msix), -ENODEV);
    space[0x06] = 0x10;
    space[0x34] = 0x40;
    space[0x40] = 0x11;
    space[0x42] = 4; /* five entries */
    space[0x45] = 0x02;
    memcpy(space + 0x10, &bar, 4);
    functions[0].writable[0] = 0xfffff000;
    memset(table, 0x55, sizeof(table));
    ck_assert_int_eq(pci_msix_init(&f, &msix), 0);
    ck_assert_uint_eq(msix.entries, 5);
    ck_assert_uint_eq(mapped_maddr, 0xfe000200);
    ck_assert_uint_eq(mapped_bytes, 80);
    ck_assert_uint_eq(space[0x43], 0x80);
    ck_assert_uint_eq(table[4 * 4 + 3], 1);
    ck_assert_uint_eq(table[5 * 4 + 3], 0x55555555);
    cpus[3].apic_id = 6;
    pci_msix_route(&msix, 2, 3, 0x41);
    ck_assert_uint_eq(table[8], 0xfee06000);
    ck_assert_uint_eq(table[9], 0);
    ck_assert_uint_eq(table[10], 0x41);
    ck_assert_uint_eq(table[11], 0);
    space[0x45] = 0x10; /* behind its BAR */
    ck_assert_int_eq(pci_msix_init(&f, &msix), -ENODEV);
}
END_TEST

Suite *suite_pci(void);
Suite *suite_pci(void)
{
    Suite *s = suite_create("pci");
    TCase *t = tcase_create("pci");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, functions_behind_bridges_are_found);
    tcase_add_test(t, what_the_firmware_left_running_is_stopped);
    tcase_add_test(t, bridges_in_a_ring_are_walked_once);
    tcase_add_test(t, capabilities_are_found_and_rings_of_them_end);
    tcase_add_test(t, bars_have_their_place_and_size);
    tcase_add_test(t, messages_are_masked_until_routed);
    suite_add_tcase(s, t);
    return s;
}
