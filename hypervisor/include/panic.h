/* SPDX-License-Identifier: MIT */
/*
 * The end of the hypervisor: what traps.c and smp.c share with lib/panic.c. panic() itself is in log.h.
 */
#pragma once

#include "types.h"
#include "x86/regs.h"

#include <stdarg.h>

/* As panic(), for an exception in the hypervisor itself: prints these registers instead of the caller's. */
void panic_regs(const struct regs *regs, const char *fmt, ...) noreturn_fn printf_like(2, 3);
/*
 * To be called first by the NMI handler, with what it interrupted. When another CPU is stopping the machine it notes regs and does not
 * return; otherwise it returns at once.
 */
void panic_nmi(const struct regs *regs);
/* Make every other CPU stop in panic_nmi; waits a moment for them. Context: any. */
void cpu_stop_others(void);

/* lib/symbols.c: the function an address of the image's text lies in; NULL if it is not there. *offset: from its start. */
const char *symbol_find(uint64_t address, uint64_t *offset);
bool symbol_is_text(uint64_t address);

/* lib/x86-backtrace.c: log the callers from this stack position on, up to the top of its stack. */
void backtrace_log(uint64_t rip, uint64_t rsp, uint64_t rbp);
