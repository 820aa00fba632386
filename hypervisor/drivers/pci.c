/* SPDX-License-Identifier: MIT */
/*
 * PCI: finding functions, their capabilities and their BARs. Contract: pci.h. Tests: test-pci.c.
 *
 * Buses are found through the bridges, as the firmware has numbered them; a set of the buses seen makes the walk end, whatever numbers a bridge shows.
 */
#include "pci.h"

#include "alloc.h"
#include "log.h"

#define REG_ID              0x00
#define REG_COMMAND         0x04
#define REG_STATUS          0x06
#define REG_CLASS           0x08
#define REG_HEADER_TYPE     0x0e
#define REG_BAR             0x10
#define REG_SECONDARY_BUS   0x19
#define REG_CAPABILITIES    0x34
#define COMMAND_MEMORY      0x2u
#define COMMAND_MASTER      0x4u
#define COMMAND_NO_WIRE     0x400u
#define STATUS_CAPABILITIES 0x10u
#define CLASS_BRIDGE        0x06u
#define HEADER_MULTI        0x80u
#define HEADER_BRIDGE       1u
#define BAR_PORTS           1u
#define BAR_64BIT           4u
#define BAR_TYPE            6u
#define BAR_FLAGS           0xfu
#define CAPABILITY_FIRST    0x40u
#define CAPABILITIES_MAX    48u /* as many as fit between 0x40 and 0x100 */

struct pci_function pci_functions[PCI_FUNCTIONS_MAX];
uint32_t pci_function_count;

static uint32_t address_of(const struct pci_function *f, unsigned int offset)
{
    return (uint32_t)f->bus << 16 | (uint32_t)f->slot << 11 | (uint32_t)f->function << 8 | (offset & 0xfc);
}

uint32_t pci_read32(const struct pci_function *f, unsigned int offset)
{
    return pci_config_read(address_of(f, offset));
}

uint16_t pci_read16(const struct pci_function *f, unsigned int offset)
{
    return (uint16_t)(pci_read32(f, offset) >> 8 * (offset & 2));
}

uint8_t pci_read8(const struct pci_function *f, unsigned int offset)
{
    return (uint8_t)(pci_read32(f, offset) >> 8 * (offset & 3));
}

void pci_write32(const struct pci_function *f, unsigned int offset, uint32_t value)
{
    pci_config_write(address_of(f, offset), value, 0, 4);
}

void pci_write16(const struct pci_function *f, unsigned int offset, uint16_t value)
{
    pci_config_write(address_of(f, offset), value, offset & 2, 2);
}

uint8_t pci_capability_find(const struct pci_function *f, enum pci_capability id, uint8_t after)
{
    unsigned int steps;
    uint8_t at;

    if (!(pci_read16(f, REG_STATUS) & STATUS_CAPABILITIES))
        return 0;
    at = pci_read8(f, after != 0 ? after + 1u : REG_CAPABILITIES) & 0xfc;
    for (steps = 0; steps < CAPABILITIES_MAX && at >= CAPABILITY_FIRST; steps++) {
        uint16_t head = pci_read16(f, at);

        if ((head & 0xff) == id)
            return at;
        at = (uint8_t)(head >> 8) & 0xfc;
    }
    return 0;
}

/* The bits of a BAR that the function does not let us set are its size. */
static uint64_t bar_mask(const struct pci_function *f, unsigned int offset, bool wide, uint64_t value)
{
    uint64_t mask;

    pci_write32(f, offset, 0xffffffff);
    mask = pci_read32(f, offset) & ~(uint64_t)BAR_FLAGS;
    pci_write32(f, offset, (uint32_t)value);
    if (!wide)
        return mask | 0xffffffffull << 32;
    pci_write32(f, offset + 4, 0xffffffff);
    mask |= (uint64_t)pci_read32(f, offset + 4) << 32;
    pci_write32(f, offset + 4, (uint32_t)(value >> 32));
    return mask;
}

bool pci_bar(const struct pci_function *f, unsigned int bar, uint64_t *maddr, uint64_t *bytes)
{
    unsigned int offset = REG_BAR + 4 * bar;
    uint16_t command;
    uint64_t value, mask;
    bool wide;

    if (f->header_type != 0 || bar >= PCI_BARS)
        return false;
    value = pci_read32(f, offset);
    wide = (value & BAR_TYPE) == BAR_64BIT;
    if ((value & BAR_PORTS) || (wide && bar + 1 == PCI_BARS))
        return false;
    if (wide)
        value |= (uint64_t)pci_read32(f, offset + 4) << 32;
    command = pci_read16(f, REG_COMMAND);
    pci_write16(f, REG_COMMAND, command & (uint16_t)~COMMAND_MEMORY);
    mask = bar_mask(f, offset, wide, value);
    pci_write16(f, REG_COMMAND, command);
    *maddr = value & ~(uint64_t)BAR_FLAGS;
    *bytes = ~mask + 1;
    return *maddr != 0 && *bytes != 0 && (*bytes & (*bytes - 1)) == 0 && (*maddr & (*bytes - 1)) == 0;
}

volatile void *pci_map(const struct pci_function *f, unsigned int bar, uint64_t offset, uint64_t bytes)
{
    uint64_t maddr, size;

    if (!pci_bar(f, bar, &maddr, &size) || bytes == 0 || offset > size || bytes > size - offset)
        return NULL;
    return fixmap_map(maddr + offset, bytes, false);
}

void pci_enable(const struct pci_function *f)
{
    pci_write16(f, REG_COMMAND, pci_read16(f, REG_COMMAND) | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_WIRE);
}

void pci_stop(const struct pci_function *f)
{
    pci_write16(f, REG_COMMAND, pci_read16(f, REG_COMMAND) & (uint16_t)~COMMAND_MASTER);
}

/* True: it is there. */
static bool function_read(struct pci_function *f)
{
    uint32_t id = pci_read32(f, REG_ID);

    if ((id & 0xffff) == 0xffff || id == 0)
        return false;
    f->vendor = (uint16_t)id;
    f->device = (uint16_t)(id >> 16);
    f->class_code = pci_read32(f, REG_CLASS) >> 8;
    f->header_type = pci_read8(f, REG_HEADER_TYPE) & (uint8_t)~HEADER_MULTI;
    return true;
}

static void bus_scan(uint8_t bus, uint64_t found[4])
{
    unsigned int at;

    for (at = 0; at < 256; at++) {
        struct pci_function f = { .bus = bus, .slot = (uint8_t)(at >> 3), .function = at & 7 };

        if (!function_read(&f)) {
            at |= (at & 7) == 0 ? 7u : 0u; /* no function 0: no device */
            continue;
        }
        if (f.header_type == HEADER_BRIDGE) {
            uint8_t behind = pci_read8(&f, REG_SECONDARY_BUS);

            found[behind / 64] |= 1ull << behind % 64;
        }
        /* What the firmware has used may still write where the firmware was: nobody masters the bus who is not asked to. */
        if (f.header_type == 0 && f.class_code >> 16 != CLASS_BRIDGE)
            pci_stop(&f);
        if (pci_function_count < PCI_FUNCTIONS_MAX)
            pci_functions[pci_function_count++] = f;
        if ((at & 7) == 0 && !(pci_read8(&f, REG_HEADER_TYPE) & HEADER_MULTI))
            at |= 7;
    }
}

void pci_init(void)
{
    uint64_t found[4] = { 1 }, seen[4] = { 0 };
    unsigned int bus, buses = 0;

    pci_config_init();
    pci_function_count = 0;
    for (bus = 0; bus < 256; bus++) {
        uint64_t bit = 1ull << bus % 64;

        if (!(found[bus / 64] & bit) || (seen[bus / 64] & bit))
            continue;
        seen[bus / 64] |= bit;
        bus_scan((uint8_t)bus, found);
        buses++;
        /* Firmware numbers what is behind a bridge higher than the bridge; where it does not, begin again. */
        if ((found[0] & ~seen[0]) | (found[1] & ~seen[1]) | (found[2] & ~seen[2]) | (found[3] & ~seen[3]))
            bus = (unsigned int)-1;
    }
    if (pci_function_count == PCI_FUNCTIONS_MAX)
        log_warning("PCI: more than %u functions; the others are left out", PCI_FUNCTIONS_MAX - 1);
    log_debug("PCI: %u functions on %u buses", pci_function_count, buses);
}
