/* SPDX-License-Identifier: MIT */
/*
 * The local APIC by its memory-mapped registers (SDM vol. 3, chapter 11): interrupts between CPUs, and the one-shot timer.
 * Contract: apic.h. The timer is calibrated once against the TSC clock and is the same on every CPU.
 */
#include "acpi.h"
#include "alloc.h"
#include "apic.h"
#include "cpu.h"
#include "log.h"
#include "time.h"
#include "x86/cpu-asm.h"

#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define APIC_ENABLED 0x100
#define APIC_MASKED 0x10000
#define APIC_DELIVERY_NMI 0x400
#define APIC_DELIVERY_INIT 0x500
#define APIC_DELIVERY_STARTUP 0x600
#define APIC_LEVEL_ASSERT 0x4000
#define APIC_PENDING 0x1000
#define APIC_OTHERS 0xc0000
#define DIVIDE_BY_1 0xb
#define MSR_APIC_BASE 0x1b
#define MSR_APIC_BASE_ENABLE 0x800
#define CALIBRATION_NS (10 * NS_PER_MS)

static volatile uint32_t *apic; /* the same address on every CPU */
static uint64_t ticks_per_ns_32; /* timer ticks a nanosecond, 32.32 fixed point */

static uint32_t apic_read(unsigned int reg)
{
    return apic[reg / 4];
}

static void apic_write(unsigned int reg, uint32_t value)
{
    apic[reg / 4] = value;
}

/* The legacy controllers: moved out of the exceptions' way, then masked for good. */
static void pic_mask(void)
{
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, VECTOR_LEGACY_PIC);
    outb(0xa1, VECTOR_LEGACY_PIC + 8);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

void apic_init_cpu(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | MSR_APIC_BASE_ENABLE);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
    apic_write(APIC_LVT_LINT0, APIC_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_DELIVERY_NMI);
    apic_write(APIC_LVT_ERROR, APIC_MASKED);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_SPURIOUS, APIC_ENABLED | VECTOR_SPURIOUS);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    apic_eoi();
}

void apic_init_boot(void)
{
    pic_mask();
    apic = fixmap_map(acpi_info.lapic_maddr, PAGE_SIZE, false);
    if (apic == NULL)
        panic("no room to map the local APIC");
    apic_init_cpu();
}

void apic_timer_calibrate(void)
{
    uint64_t start, end;
    uint32_t ticks;

    apic_write(APIC_LVT_TIMER, APIC_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, 0xffffffff);
    start = clock_now_ns();
    do {
        end = clock_now_ns();
    } while (end - start < CALIBRATION_NS);
    ticks = 0xffffffff - apic_read(APIC_TIMER_CURRENT);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    ticks_per_ns_32 = ((uint64_t)ticks << 32) / (end - start);
    log_debug("local APIC timer: %lu kHz", (unsigned long)((uint64_t)ticks * 1000000 / (end - start)));
}

uint32_t apic_id(void)
{
    return apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

static void icr_write(uint32_t apic_id_to, uint32_t command)
{
    uint64_t flags = irq_save();

    while (apic_read(APIC_ICR_LOW) & APIC_PENDING)
        cpu_relax();
    apic_write(APIC_ICR_HIGH, apic_id_to << 24);
    apic_write(APIC_ICR_LOW, command);
    irq_restore(flags);
}

void apic_send(uint32_t target_cpu, uint8_t vector)
{
    icr_write(cpus[target_cpu].apic_id, vector | APIC_LEVEL_ASSERT);
}

void apic_send_nmi_others(void)
{
    icr_write(0, APIC_DELIVERY_NMI | APIC_LEVEL_ASSERT | APIC_OTHERS);
}

void apic_send_init(uint32_t apic_id_to)
{
    icr_write(apic_id_to, APIC_DELIVERY_INIT | APIC_LEVEL_ASSERT);
}

void apic_send_startup(uint32_t apic_id_to, uint8_t page)
{
    icr_write(apic_id_to, APIC_DELIVERY_STARTUP | APIC_LEVEL_ASSERT | page);
}

void apic_timer_set(uint64_t delay_ns)
{
    uint64_t ticks;

    /* Beyond 2^32 ns the product would overflow; the caller re-arms when we fire early. */
    if (delay_ns > 0xffffffffull)
        delay_ns = 0xffffffffull;
    ticks = (uint64_t)(((unsigned __int128)delay_ns * ticks_per_ns_32) >> 32);
    if (ticks > 0xffffffffull)
        ticks = 0xffffffffull;
    if (delay_ns != 0 && ticks == 0)
        ticks = 1;
    apic_write(APIC_TIMER_INITIAL, (uint32_t)ticks);
}
