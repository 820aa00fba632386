/* SPDX-License-Identifier: MIT */
/*
 * COM1, a 16550 UART: output by polling with its FIFO, input by interrupt. Contract: serial.h.
 */
#include "serial.h"

#include "apic.h"
#include "x86/cpu-asm.h"

#define COM1 0x3f8
#define COM1_IRQ 4
#define THR (COM1 + 0)
#define IER (COM1 + 1)
#define FCR (COM1 + 2)
#define LCR (COM1 + 3)
#define MCR (COM1 + 4)
#define LSR (COM1 + 5)
#define LSR_DATA 0x01
#define LSR_EMPTY 0x20
#define FIFO_BYTES 16
#define SPINS_MAX 1000000u /* a UART that never gets ready loses output, not the machine */

static void (*input_handler)(char c);
static unsigned int room; /* bytes that certainly fit in the FIFO; under the console's lock */

void serial_init(void)
{
    outb(IER, 0);
    outb(LCR, 0x80);
    outb(THR, 1); /* 115200 baud */
    outb(IER, 0);
    outb(LCR, 0x03); /* 8n1 */
    outb(FCR, 0x07);
    outb(MCR, 0x0b);
    room = 0;
}

void serial_put(char c)
{
    unsigned int spins = 0;

    if (room == 0) {
        while (!(inb(LSR) & LSR_EMPTY) && ++spins < SPINS_MAX)
            cpu_relax();
        room = FIFO_BYTES;
    }
    room--;
    outb(THR, (uint8_t)c);
}

static void serial_interrupt(void *arg unused_arg)
{
    unsigned int n;

    for (n = 0; n < 256 && (inb(LSR) & LSR_DATA); n++)
        input_handler((char)inb(THR));
}

int serial_input_start(void (*handler)(char c))
{
    int rc;

    input_handler = handler;
    rc = irq_register_isa(COM1_IRQ, serial_interrupt, NULL);
    if (rc == 0)
        outb(IER, 0x01);
    return rc;
}
