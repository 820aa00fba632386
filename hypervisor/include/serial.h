/* SPDX-License-Identifier: MIT */
/*
 * The serial port behind the console. drivers/serial.c. Context of serial_put: the console's lock, or none in a panic.
 */
#pragma once

#include "types.h"

void serial_init(void);
void serial_put(char c);
/* handler is called for each byte received: interrupts off, on the boot CPU. 0 or -errno. */
int must_check serial_input_start(void (*handler)(char c));
