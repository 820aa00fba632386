/* SPDX-License-Identifier: MIT */
/* The registers as they are here, for a report. What C functions do not keep is whatever it is now. */
#pragma once

#include "regs.h"

static inline __attribute__((always_inline)) void registers_capture(struct regs *r)
{
    __asm__ volatile("mov %%rax,%c[ax](%[r]); mov %%rbx,%c[bx](%[r]); mov %%rcx,%c[cx](%[r]); mov %%rdx,%c[dx](%[r])\n"
                     "mov %%rsi,%c[si](%[r]); mov %%rdi,%c[di](%[r]); mov %%rbp,%c[bp](%[r]); mov %%rsp,%c[sp](%[r])\n"
                     "mov %%r8,%c[r8](%[r]); mov %%r9,%c[r9](%[r]); mov %%r10,%c[r10](%[r]); mov %%r11,%c[r11](%[r])\n"
                     "mov %%r12,%c[r12](%[r]); mov %%r13,%c[r13](%[r]); mov %%r14,%c[r14](%[r]); mov %%r15,%c[r15](%[r])\n" ::[r] "r"(r),
                     [ax] "i"(offsetof(struct regs, rax)), [bx] "i"(offsetof(struct regs, rbx)), [cx] "i"(offsetof(struct regs, rcx)),
                     [dx] "i"(offsetof(struct regs, rdx)), [si] "i"(offsetof(struct regs, rsi)), [di] "i"(offsetof(struct regs, rdi)),
                     [bp] "i"(offsetof(struct regs, rbp)), [sp] "i"(offsetof(struct regs, rsp)), [r8] "i"(offsetof(struct regs, r8)),
                     [r9] "i"(offsetof(struct regs, r9)), [r10] "i"(offsetof(struct regs, r10)), [r11] "i"(offsetof(struct regs, r11)),
                     [r12] "i"(offsetof(struct regs, r12)), [r13] "i"(offsetof(struct regs, r13)), [r14] "i"(offsetof(struct regs, r14)),
                     [r15] "i"(offsetof(struct regs, r15))
                     : "memory");
    __asm__ volatile("lea 0f(%%rip),%0; 0: pushfq; popq %1; mov %%cs,%2; mov %%ss,%3"
                     : "=&r"(r->rip), "=&r"(r->rflags), "=&r"(r->cs), "=&r"(r->ss)::"memory");
}
