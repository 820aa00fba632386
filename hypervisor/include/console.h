/* SPDX-License-Identifier: MIT */
/*
 * The console: COM1, shared by the hypervisor's log and Domain0.
 *
 * Output of both is written in whole lines where possible. Input goes to Domain0 (VIRQ_CONSOLE, then CONSOLEIO_read); three Ctrl-A in a row switch it to the
 * hypervisor's keys ('h' lists them) and back, as on Xen.
 */
#pragma once

#include "types.h"

void console_init(void); /* polled output; usable before memory is set up */
void console_init_irq(void); /* input by interrupt; after the IO-APIC */
/* Context: any. */
void console_write(const char *text, size_t bytes);
/* The same with every lock ignored: for panic. */
void console_write_unlocked(const char *text, size_t bytes);

/* A key of the hypervisor's own. handler's context: SOFTIRQ_CONSOLE on the boot CPU, interrupts enabled, no lock held. */
void console_register_key(char key, void (*handler)(char key), const char *help);
