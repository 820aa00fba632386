/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables, as far as CPUs, interrupts, PCI and power-off need (ACPI 6.4, chapter 5). Contract: acpi.h.
 *
 * Firmware's tables are input like any other: each is read through the direct map or the fixmap only after its length and checksum were checked. The sleep
 * type for S5 is the one thing wanted from AML; its package has a fixed form, so it is found by its name rather than by an interpreter.
 */
#include "acpi.h"
#include "alloc.h"
#include "boot-info.h"
#include "lib/string.h"
#include "log.h"

#define TABLE_MAX (1u << 20)

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} __attribute__((packed));

struct table_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct acpi_info acpi_info;

static bool checksum_ok(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint8_t sum = 0;

    while (bytes-- > 0)
        sum = (uint8_t)(sum + *p++);
    return sum == 0;
}

static const struct rsdp *rsdp_at(uint64_t maddr)
{
    const struct rsdp *r = fixmap_map(maddr, sizeof(*r), true);

    return r != NULL && memcmp(r->signature, "RSD PTR ", 8) == 0 && checksum_ok(r, 20) ? r : NULL;
}

/* In the first KiB of the EBDA, or 0xe0000..0xfffff (ACPI 5.2.5.1). */
static const struct rsdp *rsdp_find(void)
{
    const char *bios;
    uint64_t at;

    if (boot_info.acpi_rsdp != 0)
        return rsdp_at(boot_info.acpi_rsdp);
    bios = fixmap_map(0xe0000, 0x20000, true);
    for (at = 0; bios != NULL && at < 0x20000; at += 16)
        if (memcmp(bios + at, "RSD PTR ", 8) == 0 && checksum_ok(bios + at, 20))
            return (const struct rsdp *)(bios + at);
    return NULL;
}

static const struct table_header *table_map(uint64_t maddr)
{
    const struct table_header *t = fixmap_map(maddr, sizeof(*t), true);
    uint32_t length;

    if (t == NULL || t->length < sizeof(*t) || t->length > TABLE_MAX)
        return NULL;
    length = t->length;
    t = fixmap_map(maddr, length, true);
    if (t == NULL || !checksum_ok(t, length)) {
        log_warning("ACPI: table at %#lx left out: bad checksum", (unsigned long)maddr);
        return NULL;
    }
    return t;
}

static uint64_t field(const struct table_header *t, uint32_t offset, unsigned int bytes)
{
    uint64_t value = 0;

    if (offset + bytes <= t->length)
        memcpy(&value, (const char *)t + offset, bytes);
    return value;
}

static void madt_processor(uint8_t id, uint32_t flags)
{
    if (!(flags & 1))
        return;
    if (acpi_info.cpu_count < MAX_CPUS)
        acpi_info.cpu_apic_id[acpi_info.cpu_count++] = id;
}

static void madt_override(const uint8_t *e)
{
    uint32_t gsi;

    memcpy(&gsi, e + 4, 4);
    if (e[3] > 15)
        return;
    acpi_info.isa_irq[e[3]].gsi = gsi;
    memcpy(&acpi_info.isa_irq[e[3]].flags, e + 8, 2);
}

static void madt_read(const struct table_header *t)
{
    const uint8_t *start = (const uint8_t *)t;
    uint32_t at, flags, address;

    acpi_info.lapic_maddr = field(t, 36, 4);
    for (at = 44; at + 2 <= t->length && start[at + 1] >= 2 && at + start[at + 1] <= t->length; at += start[at + 1]) {
        const uint8_t *e = start + at;

        if (e[0] == 0 && e[1] >= 8) {
            memcpy(&flags, e + 4, 4);
            madt_processor(e[3], flags);
        } else if (e[0] == 1 && e[1] >= 12 && acpi_info.ioapic_maddr == 0) {
            memcpy(&address, e + 4, 4);
            acpi_info.ioapic_maddr = address;
            memcpy(&acpi_info.ioapic_gsi_base, e + 8, 4);
        } else if (e[0] == 2 && e[1] >= 10) {
            madt_override(e);
        } else if (e[0] == 5 && e[1] >= 12) {
            memcpy(&acpi_info.lapic_maddr, e + 4, 8);
        }
    }
}

/* PCI configuration by memory: the first range of segment 0 (PCI Firmware 3.0, 4.1.2). */
static void mcfg_read(const struct table_header *t)
{
    uint32_t at;

    for (at = 44; at + 16 <= t->length && acpi_info.ecam_maddr == 0; at += 16) {
        if (field(t, at + 8, 2) != 0 || (field(t, at, 8) & ((1u << 20) - 1)) != 0)
            continue;
        acpi_info.ecam_maddr = field(t, at, 8);
        acpi_info.ecam_bus_first = (uint8_t)field(t, at + 10, 1);
        acpi_info.ecam_bus_last = (uint8_t)field(t, at + 11, 1);
    }
}

/* One integer of an AML package: ZeroOp, OneOp, BytePrefix n. */
static const uint8_t *aml_integer(const uint8_t *p, uint8_t *value)
{
    if (*p == 0x0a)
        p++;
    *value = *p++;
    return p;
}

/* Name (_S5, Package () {type_a, type_b, ...}): 08 '_S5_' 12 length count ... */
static void dsdt_read(const struct table_header *t)
{
    const uint8_t *p = (const uint8_t *)t, *end = p + t->length;

    for (p += sizeof(*t); p + 16 <= end; p++) {
        const uint8_t *q = p + 4;

        if (memcmp(p, "_S5_", 4) != 0 || *q++ != 0x12)
            continue;
        q += (*q >> 6) + 1; /* package length: one to four bytes */
        q++;                /* number of elements */
        q = aml_integer(q, &acpi_info.s5_type_a);
        aml_integer(q, &acpi_info.s5_type_b);
        acpi_info.s5_valid = true;
        return;
    }
}

static void fadt_read(const struct table_header *t)
{
    const struct table_header *dsdt;
    uint64_t x_dsdt = field(t, 140, 8);
    uint32_t flags = (uint32_t)field(t, 112, 4);

    acpi_info.pm1a_control_port = (uint16_t)field(t, 64, 4);
    acpi_info.pm1b_control_port = (uint16_t)field(t, 68, 4);
    acpi_info.pm_timer_port = (uint16_t)field(t, 76, 4);
    acpi_info.pm_timer_32bit = flags & (1u << 8);
    if ((flags & (1u << 10)) && field(t, 116, 1) == 1) { /* RESET_REG_SUP, in I/O space */
        acpi_info.reset_valid = true;
        acpi_info.reset_port = (uint16_t)field(t, 120, 8);
        acpi_info.reset_value = (uint8_t)field(t, 128, 1);
    }
    dsdt = table_map(x_dsdt != 0 ? x_dsdt : field(t, 40, 4));
    if (dsdt != NULL && memcmp(dsdt->signature, "DSDT", 4) == 0)
        dsdt_read(dsdt);
}

static void root_read(const struct table_header *root, unsigned int entry_bytes)
{
    uint32_t at;

    for (at = sizeof(*root); at + entry_bytes <= root->length; at += entry_bytes) {
        const struct table_header *t = table_map(field(root, at, entry_bytes));

        if (t == NULL)
            continue;
        if (memcmp(t->signature, "APIC", 4) == 0)
            madt_read(t);
        else if (memcmp(t->signature, "FACP", 4) == 0)
            fadt_read(t);
        else if (memcmp(t->signature, "MCFG", 4) == 0)
            mcfg_read(t);
    }
}

void acpi_init(void)
{
    const struct rsdp *rsdp = rsdp_find();
    const struct table_header *root = NULL;
    unsigned int i;

    acpi_info.lapic_maddr = 0xfee00000;
    for (i = 0; i < 16; i++)
        acpi_info.isa_irq[i].gsi = i;
    if (rsdp != NULL && rsdp->revision >= 2 && rsdp->xsdt != 0)
        root = table_map(rsdp->xsdt);
    if (root != NULL)
        root_read(root, 8);
    else if (rsdp != NULL && (root = table_map(rsdp->rsdt)) != NULL)
        root_read(root, 4);
    if (root == NULL)
        log_warning("ACPI: no tables; one CPU, no power-off");
    if (acpi_info.cpu_count == 0)
        acpi_info.cpu_count = 1;
}
