/* SPDX-License-Identifier: MIT */
/*
 * PCI: what is plugged in, where its registers are, and its interrupts by message (MSI-X). drivers/pci.c, pci-config.c, msix.c. Tests: drivers/test-pci.c.
 *
 * The bus belongs to the hypervisor alone; Domain0 has none. What a device says of itself (lists of capabilities, places in its BARs) is input like any other: walks are bounded and every place is checked
 * against the size of its BAR before it is mapped. References: PCI Local Bus 3.0, chapter 6; PCI Express Base 3.0, 7.2.2 (ECAM).
 */
#pragma once

#include "types.h"

#define PCI_FUNCTIONS_MAX 256u
#define PCI_BARS          6u

enum pci_capability { PCI_CAPABILITY_VENDOR = 0x09, PCI_CAPABILITY_MSIX = 0x11 };

struct pci_function {
    uint8_t bus, slot, function;
    uint8_t header_type; /* without the bit for several functions */
    uint16_t vendor, device;
    uint32_t class_code; /* class, subclass, interface: 24 bits */
};

extern struct pci_function pci_functions[PCI_FUNCTIONS_MAX];
extern uint32_t pci_function_count; /* fixed after pci_init() */

/* Boot CPU, once, after acpi_init(): finds all functions behind the first host bridge, and takes the bus from those that are no bridges until pci_enable(). */
void pci_init(void);

/* Configuration space, little-endian as the CPU. Offsets are below 256 and aligned at the width. Context: any, interrupts on or off. */
uint32_t pci_read32(const struct pci_function *f, unsigned int offset);
uint16_t pci_read16(const struct pci_function *f, unsigned int offset);
uint8_t pci_read8(const struct pci_function *f, unsigned int offset);
void pci_write32(const struct pci_function *f, unsigned int offset, uint32_t value);
void pci_write16(const struct pci_function *f, unsigned int offset, uint16_t value);

/* The first capability of this kind behind the one at `after` (0: from the start); 0: none. Ends however the list is linked. */
uint8_t pci_capability_find(const struct pci_function *f, enum pci_capability id, uint8_t after);
/* Where a memory BAR lies and its size; false: none, not placed by the firmware, or for ports. Boot only: it stops the function's decoding for a moment. */
bool must_check pci_bar(const struct pci_function *f, unsigned int bar, uint64_t *maddr, uint64_t *bytes);
/* Registers at an offset of a BAR, mapped for good; NULL if they do not lie in it, or no room. Boot only. */
volatile void *must_check pci_map(const struct pci_function *f, unsigned int bar, uint64_t offset, uint64_t bytes);

/* Decode memory, be a bus master, no interrupt by wire. */
void pci_enable(const struct pci_function *f);
/* Not a bus master any more: whatever the device does, it reaches no memory. Context: any. */
void pci_stop(const struct pci_function *f);

/* ---- MSI-X (PCI 3.0, 6.8.2) ---- */

struct pci_msix {
    volatile uint32_t *table;
    uint16_t entries; /* as many as the device has, at most PCI_MSIX_MAX */
};
#define PCI_MSIX_MAX 128u

/* Switch it on with every entry masked. 0; -ENODEV: the function has none, or a bad one. Boot only. */
int must_check pci_msix_init(const struct pci_function *f, struct pci_msix *msix);
/* Entry sends this vector (irq_vector_alloc) to this CPU, from now on. */
void pci_msix_route(struct pci_msix *msix, uint32_t entry, uint32_t cpu, uint8_t vector);

/* Access itself, pci-config.c; tests have their own. `address`: bus << 16 | slot << 11 | function << 8 | offset aligned at 4. */
void pci_config_init(void);
uint32_t pci_config_read(uint32_t address);
void pci_config_write(uint32_t address, uint32_t value, unsigned int byte, unsigned int bytes);
