/* SPDX-License-Identifier: MIT */
/*
 * The few instructions of a vCPU switch that C cannot say: changing stacks, the start of a new vCPU, and loads of segment registers that may
 * fault. Contract: x86-switch.c, x86/state-asm.h.
 */
        .text

/* rdi: where to keep the stack pointer of the one that leaves; rsi: that of the one that comes. */
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

/* A vCPU's first instructions: rsp is at its struct regs. */
        .globl  vcpu_first_run
        .align  16
vcpu_first_run:
        xor     %ebp, %ebp
        call    vcpu_first_run_prepare
        jmp     return_to_guest

        .macro SEGMENT_LOAD seg
        .globl  segment_load_\seg
        .align  16
segment_load_\seg:
        mov     $1, %eax
1:      mov     %edi, %\seg
        ret
2:      xor     %eax, %eax
        mov     %eax, %\seg
        ret
        .pushsection .ex_table, "a"
        .long   1b - .
        .long   2b - .
        .popsection
        .endm

        SEGMENT_LOAD ds
        SEGMENT_LOAD es
        SEGMENT_LOAD fs
        SEGMENT_LOAD gs

/* rdi: an XSAVE area, esi: the components. rax: 1, or 0 if the processor refused the image (state unchanged). */
        .globl  xrstor_checked
        .align  16
xrstor_checked:
        mov     %esi, %eax
        xor     %edx, %edx
1:      xrstor64 (%rdi)
        mov     $1, %eax
        ret
2:      xor     %eax, %eax
        ret
        .pushsection .ex_table, "a"
        .long   1b - .
        .long   2b - .
        .popsection

        .globl  fxrstor_checked
        .align  16
fxrstor_checked:
        mov     $1, %eax
1:      fxrstor64 (%rdi)
        ret
2:      xor     %eax, %eax
        ret
        .pushsection .ex_table, "a"
        .long   1b - .
        .long   2b - .
        .popsection

        .section .note.GNU-stack, "", @progbits
