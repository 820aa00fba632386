/* SPDX-License-Identifier: MIT */
/*
 * Where a tiny kernel begins, and everything that enters it later: exceptions, the event, failsafe and syscall callbacks. All build one struct frame
 * (mini.h), call trap_c and leave by the iret hypercall. Also the two ways of coming back from a deliberate fault: catch_call and user_enter.
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>
#include <xen/xen.h>

    .macro NOTE_STRING type, text
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  .asciz "\text"
2:  .balign 4
    .endm
    .macro NOTE_QUAD type, value
    .balign 4
    .long 4, 8, \type
    .asciz "Xen"
    .quad \value
    .endm

    .section .note.xen, "a", @note
    NOTE_STRING XEN_ELFNOTE_GUEST_OS, "collet-test"
    NOTE_STRING XEN_ELFNOTE_GUEST_VERSION, "1"
    NOTE_STRING XEN_ELFNOTE_XEN_VERSION, "xen-3.0"
    NOTE_STRING XEN_ELFNOTE_LOADER, "generic"
    NOTE_STRING XEN_ELFNOTE_PAE_MODE, "yes"
    NOTE_STRING XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb"
    NOTE_QUAD XEN_ELFNOTE_VIRT_BASE, virt_base
    NOTE_QUAD XEN_ELFNOTE_ENTRY, _start

    .section .text.start, "ax"
    .globl _start
_start:
    mov %rax, start_regs + 0(%rip)
    mov %rbx, start_regs + 8(%rip)
    mov %rcx, start_regs + 16(%rip)
    mov %rdx, start_regs + 24(%rip)
    mov %rsi, start_regs + 32(%rip)
    mov %rdi, start_regs + 40(%rip)
    mov %rbp, start_regs + 48(%rip)
    mov %r8, start_regs + 56(%rip)
    mov %r9, start_regs + 64(%rip)
    mov %r10, start_regs + 72(%rip)
    mov %r11, start_regs + 80(%rip)
    mov %r12, start_regs + 88(%rip)
    mov %r13, start_regs + 96(%rip)
    mov %r14, start_regs + 104(%rip)
    mov %r15, start_regs + 112(%rip)
    mov %rsp, start_regs + 120(%rip)
    pushfq
    pop %rax
    mov %rax, start_regs + 128(%rip)
    mov %cs, start_regs + 136(%rip)
    mov %ss, start_regs + 144(%rip)
    mov %ds, start_regs + 152(%rip)
    mov %es, start_regs + 160(%rip)
    mov %fs, start_regs + 168(%rip)
    mov %gs, start_regs + 176(%rip)
    cld
    lea stacks + STACK_BYTES(%rip), %rsp
    xor %ebp, %ebp
    mov %rsi, %rdi
    call mini_start
    ud2

    .text
/* Entry of every vCPU but the first: rsp is its own stack, rdi its number. */
    .globl secondary_start
secondary_start:
    cld
    xor %ebp, %ebp
    call mini_secondary
    ud2

    .macro TRAP vector, has_error
    .balign 16
trap_\vector:
    pop %rcx
    pop %r11
    .if !\has_error
    push $0
    .endif
    push $\vector
    jmp trap_common
    .endm

    .irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    TRAP \vector, 0
    .endr
    .irp vector, 8, 10, 11, 12, 13, 14, 17, 21
    TRAP \vector, 1
    .endr
    TRAP 128, 0 /* int $0x80 */
    TRAP 129, 0 /* a vector of no meaning, for gates of our own */
    TRAP 256, 0 /* event callback */
    TRAP 258, 0 /* 64-bit syscall callback */
    TRAP 259, 0 /* 32-bit syscall callback */

    .balign 16
    .globl failsafe_entry
failsafe_entry: /* rcx r11 ds es fs gs, then a frame without error code */
    pop %rcx
    pop %r11
    popq failsafe_segments(%rip)
    popq failsafe_segments + 8(%rip)
    popq failsafe_segments + 16(%rip)
    popq failsafe_segments + 24(%rip)
    push $0
    push $257
    jmp trap_common

    .globl trap_common
trap_common:
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    cld
    call trap_c
    mov %rbx, %rsp
    .globl trap_return
trap_return:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $8, %rsp     /* vector */
    movq $0, (%rsp)  /* the error code's slot takes the iret flags */
    jmp hypercall_iret

/* int catch_call(fn, arg, unsigned long *catch_rsp): run fn(arg); -1, or the vector of the exception that ended it. */
    .globl catch_call
catch_call:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    mov %rsp, (%rdx)
    mov %rdi, %rax
    mov %rsi, %rdi
    call *%rax
    mov $-1, %eax
catch_out:
    pop %rdx
    movq $0, (%rdx)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
/* void catch_jump(unsigned long rsp, int vector) */
    .globl catch_jump
catch_jump:
    mov %rdi, %rsp
    mov %esi, %eax
    jmp catch_out

/* int user_enter(frame, unused, unsigned long *catch_rsp): iret into *frame (which is used up as a stack); the vector that ended it. */
    .globl user_enter
user_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    mov %rsp, (%rdx)
    mov %rdi, %rsp
    jmp trap_return

/* long iret_raw(struct iret_context *, flags unused, unsigned long *catch_rsp): the iret hypercall with exactly these words. */
    .globl iret_raw
iret_raw:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    mov %rsp, (%rdx)
    mov %rdi, %rsp
    mov 8(%rsp), %r11
    mov $__HYPERVISOR_iret, %eax
    syscall
    ud2

    .section .rodata
    .balign 8
    .globl trap_entries
trap_entries:
    .irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .quad trap_\vector
    .endr
    .globl int80_entry, spare_entry, event_entry, syscall_entry, syscall32_entry
    .set int80_entry, trap_128
    .set spare_entry, trap_129
    .set event_entry, trap_256
    .set syscall_entry, trap_258
    .set syscall32_entry, trap_259

    .section .bss.aligned, "aw", @nobits
    .balign 65536
    .globl stacks
stacks:
    .skip STACK_BYTES * VCPUS_MAX
    .globl start_regs, failsafe_segments
start_regs:
    .skip 8 * 24
failsafe_segments:
    .skip 8 * 4
    .section .note.GNU-stack, "", @progbits
