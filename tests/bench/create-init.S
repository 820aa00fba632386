/* SPDX-License-Identifier: MIT */
/* The first process of a guest whose creation is measured: its first instruction is the last one of interest, and then it sleeps for good. */
        .globl  _start
_start: mov     $34, %eax /* pause */
        syscall
        jmp     _start
        .section .note.GNU-stack, "", @progbits
