/* SPDX-License-Identifier: MIT */
/*
 * Local APIC (xAPIC by MMIO, x2APIC where on) and IO-APIC. SDM vol. 3 chapter 11. drivers/x86-apic.c, x86-ioapic.c.
 */
#pragma once

#include "types.h"

/* Vectors: higher is more urgent. 0x20-0x2f are where masked legacy PICs would fire. */
enum {
    VECTOR_LEGACY_PIC = 0x20,
    VECTOR_DEVICE_FIRST = 0x30, /* handed out by irq_vector_alloc */
    VECTOR_DEVICE_LAST = 0xdf,
    VECTOR_GUEST_INT80 = 0x80, /* not for devices: DPL 3 */
    VECTOR_TIMER = 0xf0,
    VECTOR_CALL = 0xf1, /* cpu_call */
    VECTOR_KICK = 0xf2, /* cpu_kick: look at softirqs */
    VECTOR_SPURIOUS = 0xff,
};

void apic_init_boot(void); /* map and enable on the boot CPU; mask the PICs */
void apic_init_cpu(void);  /* on each other CPU */
uint32_t apic_id(void);
void apic_eoi(void);
void apic_send(uint32_t target_cpu, uint8_t vector); /* by our CPU number */
void apic_send_nmi_others(void);
/* Fire VECTOR_TIMER on this CPU after this many ns of real time; 0 stops it. Longer than the hardware can: earlier, the caller re-arms. */
void apic_timer_set(uint64_t delay_ns);

void ioapic_init(void);
/* Route an ISA interrupt (by MADT override) to a handler on the boot CPU. Handler context: interrupts off. 0 or -errno. */
int must_check irq_register_isa(uint8_t isa_irq, void (*handler)(void *arg), void *arg);
/*
 * A vector of one's own, for messages of a device (pci_msix_route): it calls this handler on whichever CPU it arrives, so one vector may be sent to several. Returns the vector, or -ENOSPC.
 * Context: boot. The handler's: interrupts off.
 */
int must_check irq_vector_alloc(void (*handler)(void *arg), void *arg);
/* Called by the entry code with interrupts off for every external vector >= 0x20: dispatches, and gives EOI. */
void irq_dispatch(uint8_t vector);

/* Boot CPU, once, after clock_init(): measure the timer. */
void apic_timer_calibrate(void);
/* Start-up of another CPU by its APIC identifier: INIT, then the page (below 1 MiB) it starts in. */
void apic_send_init(uint32_t apic_id_to);
void apic_send_startup(uint32_t apic_id_to, uint8_t page);
