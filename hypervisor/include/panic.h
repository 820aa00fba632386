/* SPDX-License-Identifier: MIT */
/*
 * Between panic() and the NMI handler. boot/ or lib/ panic.c; contracts of panic() in log.h, of panic_regs() in traps.h.
 */
#pragma once

#include "types.h"
#include "x86/regs.h"

/*
 * An NMI has arrived on this CPU. If another CPU panics: report what this one was doing (for the panic's list) and stop for good (does not return then).
 * Else false.
 */
bool panic_stop_requested(const struct regs *regs);
