/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls by a bare SYSCALL instruction and no HYPERCALL_PAGE note, as recent kernels do it; the p2m is asked for at an address of its own.
 * Its twin is hypercall-page.S.
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/xen.h>

    .section .note.xen, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_INIT_P2M
    .asciz "Xen"
    .quad 0x8000000000

    .text
/* long hypercall_raw(nr, a1, a2, a3, a4, a5) */
    .globl hypercall_raw
hypercall_raw:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    syscall
    ret

    .globl hypercall_iret
hypercall_iret:
    push %rcx
    push %r11
    push %rax
    mov $__HYPERVISOR_iret, %eax
    syscall
    ud2

    .globl hypercall_by_page
    .section .rodata
hypercall_by_page:
    .long 0
    .section .note.GNU-stack, "", @progbits
