/* SPDX-License-Identifier: MIT */
/*
 * The IO-APIC, as far as ISA interrupts need, and the dispatch of external vectors. Contract: apic.h.
 */
#include "acpi.h"
#include "alloc.h"
#include "apic.h"
#include "cpu.h"
#include "log.h"

#include "timer.h"

#include <hv/errno.h>

#define IOAPIC_VERSION 1
#define IOAPIC_REDIRECTION(pin) (0x10 + 2 * (pin))
#define REDIRECT_MASKED 0x10000
#define REDIRECT_LEVEL 0x8000
#define REDIRECT_LOW 0x2000
#define MADT_POLARITY_LOW 3
#define MADT_TRIGGER_LEVEL (3 << 2)
#define HANDLERS (VECTOR_DEVICE_LAST + 1)

static volatile uint32_t *ioapic;
static unsigned int ioapic_pins;
static struct {
    void (*handler)(void *arg);
    void *arg;
} handlers[HANDLERS]; /* written at boot only */
static uint8_t next_vector = VECTOR_DEVICE_FIRST;

static uint32_t ioapic_read(uint32_t reg)
{
    ioapic[0] = reg;
    return ioapic[4];
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
    ioapic[0] = reg;
    ioapic[4] = value;
}

void ioapic_init(void)
{
    unsigned int pin;

    if (acpi_info.ioapic_maddr == 0) {
        log_warning("no IO-APIC: console input by polling only");
        return;
    }
    ioapic = fixmap_map(acpi_info.ioapic_maddr, PAGE_SIZE, false);
    if (ioapic == NULL)
        return;
    ioapic_pins = ((ioapic_read(IOAPIC_VERSION) >> 16) & 0xff) + 1;
    for (pin = 0; pin < ioapic_pins; pin++)
        ioapic_write(IOAPIC_REDIRECTION(pin), REDIRECT_MASKED);
}

int irq_vector_alloc(void (*handler)(void *arg), void *arg)
{
    uint8_t vector = next_vector;

    if (vector == VECTOR_GUEST_INT80)
        vector++;
    if (vector > VECTOR_DEVICE_LAST)
        return -ENOSPC;
    next_vector = vector + 1;
    handlers[vector].arg = arg;
    handlers[vector].handler = handler;
    return vector;
}

int irq_register_isa(uint8_t isa_irq, void (*handler)(void *arg), void *arg)
{
    uint32_t pin = acpi_info.isa_irq[isa_irq & 15].gsi - acpi_info.ioapic_gsi_base, low;
    uint16_t flags = acpi_info.isa_irq[isa_irq & 15].flags;
    int vector;

    if (ioapic == NULL || isa_irq > 15 || pin >= ioapic_pins)
        return -ENODEV;
    vector = irq_vector_alloc(handler, arg);
    if (vector < 0)
        return vector;
    low = (uint32_t)vector;
    if ((flags & 3) == MADT_POLARITY_LOW)
        low |= REDIRECT_LOW;
    if ((flags & (3 << 2)) == MADT_TRIGGER_LEVEL)
        low |= REDIRECT_LEVEL;
    ioapic_write(IOAPIC_REDIRECTION(pin) + 1, cpus[0].apic_id << 24);
    ioapic_write(IOAPIC_REDIRECTION(pin), low);
    return 0;
}

void irq_dispatch(uint8_t vector)
{
    switch (vector) {
    case VECTOR_TIMER:
        apic_eoi();
        timer_interrupt();
        return;
    case VECTOR_KICK:
        apic_eoi();
        return; /* softirqs are looked at on the way out */
    case VECTOR_CALL:
        apic_eoi();
        cpu_call_interrupt();
        return;
    case VECTOR_SPURIOUS:
        return;
    default:
        break;
    }
    if (vector < HANDLERS && handlers[vector].handler != NULL)
        handlers[vector].handler(handlers[vector].arg);
    else
        log_debug("cpu %u: unexpected interrupt, vector %#x", this_cpu_id(), vector);
    apic_eoi();
}
