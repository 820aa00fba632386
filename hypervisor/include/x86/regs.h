/* SPDX-License-Identifier: MIT */
/*
 * The registers of an interrupted context, as the entry code of traps/entry.S pushes them.
 */
#pragma once

#include "../types.h"

struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx;          /* kept by C functions */
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi; /* not kept */
    uint32_t error_code;
    uint32_t vector; /* ENTRY_SYSCALL for a system call or hypercall */
    /* From here on as the processor pushes them. */
    uint64_t rip;
    uint64_t cs;
    uint64_t rflags;
    uint64_t rsp;
    uint64_t ss;
};

#define ENTRY_SYSCALL 0x100

#define RFLAGS_CF (1u << 0)
#define RFLAGS_MBS (1u << 1)
#define RFLAGS_ZF (1u << 6)
#define RFLAGS_TF (1u << 8)
#define RFLAGS_IF (1u << 9)
#define RFLAGS_DF (1u << 10)
#define RFLAGS_IOPL (3u << 12)
#define RFLAGS_NT (1u << 14)
#define RFLAGS_RF (1u << 16)
#define RFLAGS_VM (1u << 17)
#define RFLAGS_AC (1u << 18)
#define RFLAGS_VIF (1u << 19)
#define RFLAGS_VIP (1u << 20)
#define RFLAGS_ID (1u << 21)

/* Whether the interrupted code was a guest's (ring 3); the hypervisor itself runs in ring 0. */
static inline bool regs_from_guest(const struct regs *regs)
{
    return (regs->cs & 3) == 3;
}
