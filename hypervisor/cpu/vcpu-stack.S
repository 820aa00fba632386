/* SPDX-License-Identifier: MIT */
/*
 * The switch of stacks, and where a new vCPU begins. x86-switch.c.
 */
        .text
/* rdi: where to save the stack pointer, rsi: the one to take. Returns on the other stack. */
        .globl  vcpu_stack_switch
        .align  32
vcpu_stack_switch:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, (%rdi)
        mov     %rsi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/* rsp is at the vCPU's struct regs, as in return_to_guest. */
        .globl  vcpu_first_run
vcpu_first_run:
        call    vcpu_first_entered
        jmp     return_to_guest
        .section .note.GNU-stack, "", @progbits
