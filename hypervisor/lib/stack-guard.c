// SPDX-License-Identifier: MIT
/*
 * What -fstack-protector of debug builds asks for. The guard is constant: it finds our own overruns, it does not stop an attacker. Its zero byte ends strings that run over.
 */
#include "log.h"

extern uint64_t __stack_chk_guard;
void __stack_chk_fail(void) noreturn_fn;

uint64_t __stack_chk_guard = 0x9d2f51c3a7e60b00ull;

void __stack_chk_fail(void)
{
    panic("a function wrote beyond its part of the stack");
}
