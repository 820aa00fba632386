/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls through the page that the hypervisor fills (ELF note HYPERCALL_PAGE): 32 bytes for each number. Its twin is hypercall-bare.S.
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/xen.h>

    .section .note.xen, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_HYPERCALL_PAGE
    .asciz "Xen"
    .quad hypercall_page

    .text
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096, 0xcc

/* long hypercall_raw(nr, a1, a2, a3, a4, a5) */
    .globl hypercall_raw
hypercall_raw:
    lea hypercall_page(%rip), %rax
    mov %edi, %r11d
    shl $5, %r11
    add %r11, %rax
    cmp $128, %edi /* numbers the page has no room for */
    jb 1f
    mov %edi, %r11d
    lea bare_syscall(%rip), %rax
1:  mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    call *%rax
    ret
bare_syscall:
    mov %r11, %rax
    syscall
    ret

/* Jumped to with rax, r11, rcx as the guest is to see them; on the stack: flags, rip, cs, rflags, rsp, ss. The stub pushes the three registers. */
    .globl hypercall_iret
hypercall_iret:
    jmp hypercall_page + 32 * __HYPERVISOR_iret

    .globl hypercall_by_page
    .section .rodata
hypercall_by_page:
    .long 1
    .section .note.GNU-stack, "", @progbits
