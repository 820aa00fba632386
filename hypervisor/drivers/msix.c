/* SPDX-License-Identifier: MIT */
/*
 * MSI-X: a table in the device's own memory says, for each of its interrupts, which word to write where; writing it into the local APIC's window is the interrupt. Contract: pci.h.
 * PCI Local Bus 3.0, 6.8.2; SDM vol. 3, 10.11 (message address and data).
 */
#include "cpu.h"
#include "pci.h"

#include <hv/errno.h>

#define CONTROL            2u /* from the capability */
#define CONTROL_ENTRIES    0x7ffu
#define CONTROL_MASK       0x4000u
#define CONTROL_ENABLE     0x8000u
#define TABLE              4u
#define TABLE_BAR          7u
#define ENTRY_WORDS        4u
#define ENTRY_ADDRESS      0u
#define ENTRY_ADDRESS_HIGH 1u
#define ENTRY_DATA         2u
#define ENTRY_CONTROL      3u
#define ENTRY_MASKED       1u
#define APIC_WINDOW        0xfee00000u

int pci_msix_init(const struct pci_function *f, struct pci_msix *msix)
{
    uint8_t at = pci_capability_find(f, PCI_CAPABILITY_MSIX, 0);
    uint32_t place, i;
    uint16_t control;

    if (at == 0)
        return -ENODEV;
    control = pci_read16(f, at + CONTROL);
    place = pci_read32(f, at + TABLE);
    msix->entries = (uint16_t)min((control & CONTROL_ENTRIES) + 1u, PCI_MSIX_MAX);
    msix->table = pci_map(f, place & TABLE_BAR, place & ~TABLE_BAR, msix->entries * ENTRY_WORDS * 4);
    if (msix->table == NULL)
        return -ENODEV;
    /* The function's own mask first: entries hold anything until they are written. */
    pci_write16(f, at + CONTROL, control | CONTROL_ENABLE | CONTROL_MASK);
    for (i = 0; i < msix->entries; i++)
        msix->table[i * ENTRY_WORDS + ENTRY_CONTROL] = ENTRY_MASKED;
    pci_write16(f, at + CONTROL, (uint16_t)((control | CONTROL_ENABLE) & ~CONTROL_MASK));
    return 0;
}

void pci_msix_route(struct pci_msix *msix, uint32_t entry, uint32_t cpu, uint8_t vector)
{
    volatile uint32_t *e = msix->table + entry * ENTRY_WORDS;

    e[ENTRY_CONTROL] = ENTRY_MASKED;
    e[ENTRY_ADDRESS] = APIC_WINDOW | cpus[cpu].apic_id << 12;
    e[ENTRY_ADDRESS_HIGH] = 0;
    e[ENTRY_DATA] = vector; /* fixed delivery, edge */
    e[ENTRY_CONTROL] = 0;
}
