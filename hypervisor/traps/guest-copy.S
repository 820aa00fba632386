/* SPDX-License-Identifier: MIT */
/*
 * guest_copy_raw: copy between the hypervisor and guest addresses, surviving page faults. Contract: guest-access.h.
 * rdi to, rsi from, rdx bytes; returns in rax the number of bytes not copied.
 */
#include "x86/smap.h"

#define FIXUP(from, to)                                                                                                \
    .pushsection .ex_table, "a";                                                                                       \
    .long from - .;                                                                                                    \
    .long to - .;                                                                                                      \
    .popsection

        .text
        .globl  guest_copy_raw
        .align  32
guest_copy_raw:
        ASM_STAC
        mov     %edx, %ecx
        and     $7, %edx
        shr     $3, %ecx
1:      rep movsq
        mov     %edx, %ecx
        test    %edx, %edx
        jz      3f
2:      rep movsb
3:      ASM_CLAC
        mov     %ecx, %eax
        ret
4:      lea     (%rdx,%rcx,8), %rcx /* words left, and the tail */
        jmp     3b
        FIXUP(1b, 4b)
        FIXUP(2b, 3b)
        .section .note.GNU-stack, "", @progbits
