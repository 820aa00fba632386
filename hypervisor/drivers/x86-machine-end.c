/* SPDX-License-Identifier: MIT */
/*
 * Power off and reset, by every way there is, in the order of politeness: ACPI, the chipset, the keyboard controller, a triple fault.
 * Contract: machine_end() in cpu.h. Works from a panic: takes no lock.
 */
#include "acpi.h"
#include "apic.h"
#include "console.h"
#include "cpu.h"
#include "log.h"
#include "x86/cpu-asm.h"

#define SLP_EN (1u << 13)
#define SPINS 10000000u
#define RESET_PORT_PCI 0xcf9
#define KEYBOARD_COMMAND 0x64
#define KEYBOARD_RESET 0xfe

static void wait_a_while(void)
{
    unsigned int i;

    for (i = 0; i < SPINS; i++)
        cpu_relax();
}

static void power_off(void)
{
    if (acpi_info.s5_valid && acpi_info.pm1a_control_port != 0) {
        outw(acpi_info.pm1a_control_port, (uint16_t)(acpi_info.s5_type_a << 10 | SLP_EN));
        if (acpi_info.pm1b_control_port != 0)
            outw(acpi_info.pm1b_control_port, (uint16_t)(acpi_info.s5_type_b << 10 | SLP_EN));
        wait_a_while();
    }
    log_error("the machine does not power off; it may be switched off now");
}

static void reboot(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_idt = {0, 0};

    if (acpi_info.reset_valid) {
        outb(acpi_info.reset_port, acpi_info.reset_value);
        wait_a_while();
    }
    outb(RESET_PORT_PCI, 0x02);
    outb(RESET_PORT_PCI, 0x06);
    wait_a_while();
    outb(KEYBOARD_COMMAND, KEYBOARD_RESET);
    wait_a_while();
    __asm__ volatile("lidt %0; int3" ::"m"(no_idt));
}

void machine_end(enum machine_end how)
{
    irq_disable();
    switch (how) {
    case MACHINE_POWEROFF:
        log_info("power off");
        power_off();
        break;
    case MACHINE_REBOOT:
        log_info("reboot");
        reboot();
        break;
    case MACHINE_HALT:
        log_info("halted");
        break;
    }
    for (;;)
        cpu_halt();
}
