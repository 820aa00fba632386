/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space: by memory where ACPI's MCFG table says so (ECAM), else by the two ports of old.
 *
 * ECAM has 1 MiB a bus. A bus is mapped when it is first looked at, which is during pci_init(); at most ECAM_BUSES of them, so that a bus full of bridges does not eat the fixmap, and those beyond go by the
 * ports, which every PC still has. The port pair is one for all CPUs: it has a lock, and interrupts stay off, since a device may be stopped in any context.
 */
#include "acpi.h"
#include "alloc.h"
#include "log.h"
#include "pci.h"
#include "spinlock.h"
#include "x86/cpu-asm.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000u
#define ECAM_BUS_BYTES (1ul << 20)
#define ECAM_BUSES     32

static struct spinlock port_lock; /* protects the port pair; innermost, interrupts off */
static char *ecam_bus[256];       /* mapped ones; written at boot only */
static bool ecam_tried[256];
static unsigned int ecam_mapped;

void pci_config_init(void)
{
    if (acpi_info.ecam_maddr != 0)
        log_debug("PCI: configuration by memory at %#lx, buses %u to %u", (unsigned long)acpi_info.ecam_maddr, acpi_info.ecam_bus_first,
                  acpi_info.ecam_bus_last);
}

static volatile char *ecam(uint32_t address)
{
    uint32_t bus = address >> 16;

    if (!ecam_tried[bus]) {
        ecam_tried[bus] = true;
        /* The base is where bus 0 would be, also if the range begins with another (PCI Firmware 3.0, 4.1.2). */
        if (acpi_info.ecam_maddr != 0 && bus >= acpi_info.ecam_bus_first && bus <= acpi_info.ecam_bus_last && ecam_mapped++ < ECAM_BUSES)
            ecam_bus[bus] = fixmap_map(acpi_info.ecam_maddr + bus * ECAM_BUS_BYTES, ECAM_BUS_BYTES, false);
    }
    return ecam_bus[bus] != NULL ? ecam_bus[bus] + ((address >> 8 & 0xff) << 12) + (address & 0xff) : NULL;
}

uint32_t pci_config_read(uint32_t address)
{
    volatile char *at = ecam(address);
    uint64_t flags;
    uint32_t value;

    if (at != NULL)
        return *(volatile uint32_t *)at;
    flags = spin_lock_irqsave(&port_lock);
    outl(CONFIG_ADDRESS, CONFIG_ENABLE | address);
    value = inl(CONFIG_DATA);
    spin_unlock_irqrestore(&port_lock, flags);
    return value;
}

void pci_config_write(uint32_t address, uint32_t value, unsigned int byte, unsigned int bytes)
{
    volatile char *at = ecam(address);
    uint64_t flags;

    if (at != NULL) {
        if (bytes == 4)
            *(volatile uint32_t *)at = value;
        else
            *(volatile uint16_t *)(at + byte) = (uint16_t)value;
        return;
    }
    flags = spin_lock_irqsave(&port_lock);
    outl(CONFIG_ADDRESS, CONFIG_ENABLE | address);
    if (bytes == 4)
        outl(CONFIG_DATA, value);
    else
        outw((uint16_t)(CONFIG_DATA + byte), (uint16_t)value);
    spin_unlock_irqrestore(&port_lock, flags);
}
