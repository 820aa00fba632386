/* SPDX-License-Identifier: MIT */
/*
 * What is read from ACPI tables: processors, IO-APICs, PCI configuration space, the PM timer, and how to power off. drivers/acpi.c.
 * Tables are firmware's: every length and checksum is checked, a bad one is reported and left out.
 */
#pragma once

#include "types.h"

struct acpi_info {
    uint32_t cpu_count;
    uint32_t cpu_apic_id[MAX_CPUS]; /* enabled ones, the boot CPU first */
    uint64_t lapic_maddr;
    uint64_t ioapic_maddr; /* 0: none */
    uint32_t ioapic_gsi_base;
    struct {
        uint32_t gsi;
        uint16_t flags; /* MADT polarity and trigger */
    } isa_irq[16]; /* after interrupt source overrides */
    uint64_t ecam_maddr; /* PCI configuration space by memory, of bus 0 in segment 0 (MCFG); 0: none */
    uint8_t ecam_bus_first, ecam_bus_last;
    uint16_t pm_timer_port; /* 0: none */
    bool pm_timer_32bit;
    uint16_t pm1a_control_port, pm1b_control_port;
    uint8_t s5_type_a, s5_type_b; /* SLP_TYP of \_S5 */
    bool s5_valid;
    bool reset_valid;
    uint16_t reset_port;
    uint8_t reset_value;
};
extern struct acpi_info acpi_info;

void acpi_init(void); /* boot, once */
