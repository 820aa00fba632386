/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor, and the one way back to a guest.
 *
 * Entries from a guest land on the running vCPU's stack and build a struct regs at its top; the struct stack_info above it names the vCPU and
 * the pCPU. Two paths never leave this file, because every system call of every guest program takes both: the bounce of a user
 * SYSCALL to the guest kernel, and the iret hypercall that returns from it. Offsets come from asm-offsets.c.
 * Contract: cpu.h, traps.h. Page: docs/paths/hypercall.md. Interrupts are off unless said.
 */
#include "asm-offsets.h"
#include "x86/layout.h"
#include "x86/smap.h"

#define FLAT_CS64 0xe033
#define FLAT_SS 0xe02b
#define ENTRY_SYSCALL 0x100
#define HYPERCALL_IRET 23
#define HYPERCALL_COUNT 64
#define RFLAGS_IF 0x200
#define RFLAGS_ENTRY 0x202 /* IF and the bit that is always one */
#define RFLAGS_DENIED 0x23000 /* VM, IOPL */
#define VGCF_IN_SYSCALL 0x100

/* With rsp at the base of struct regs. */
#define INFO_vcpu (REGS_sizeof + STACK_INFO_vcpu)
#define INFO_cpu (REGS_sizeof + STACK_INFO_cpu)
/* In the fast paths rsp is at regs.rax: the lower members are not stored. */
#define F(member) (REGS_##member - REGS_rax)
#define F_vcpu (INFO_vcpu - REGS_rax)
#define F_cpu (INFO_cpu - REGS_rax)

#define FIXUP(from, to)                                                                                                \
    .pushsection .ex_table, "a";                                                                                       \
    .long from - .;                                                                                                    \
    .long to - .;                                                                                                      \
    .popsection

        .macro SAVE_REST /* the members below rax */
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        .endm

        .macro SAVE_ALL
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        SAVE_REST
        .endm

        .macro RESTORE_ALL
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        .endm

        .text

/*
 * SYSCALL in 64-bit code, from the stub of this pCPU: rsp is at regs.rip, everything above is stored. rcx and r11 hold what they
 * also hold in regs.rip and regs.rflags.
 */
        .globl  syscall_entry
        .align  64
syscall_entry:
        push    $0
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        mov     F_vcpu(%rsp), %rcx
        cmpb    $0, VCPU_in_kernel(%rcx)
        jne     from_guest_kernel

        /* A guest program calls its kernel: its frame {rcx, r11, rip, cs, rflags, rsp, ss} goes on the kernel stack. */
        mov     VCPU_syscall_entry(%rcx), %rax
        mov     VCPU_info(%rcx), %rdx
        test    %rax, %rax
        jz      syscall_slow
        cmpb    $0, VCPU_INFO_mask(%rdx)
        jne     syscall_slow
        mov     VCPU_kernel_cr3(%rcx), %rsi
        mov     %rsi, %cr3
        mov     VCPU_kernel_sp(%rcx), %rdi
        swapgs
        movb    $1, VCPU_in_kernel(%rcx)
        mov     VCPU_syscall_masks_events(%rcx), %cl
        ASM_STAC
        mov     F(rsp)(%rsp), %rsi
1:      movq    $FLAT_SS, -8(%rdi)
2:      mov     %rsi, -16(%rdi)
3:      mov     %r11, -24(%rdi)
4:      movq    $FLAT_CS64, -32(%rdi)
        mov     F(rip)(%rsp), %rsi
5:      mov     %rsi, -40(%rdi)
6:      mov     %r11, -48(%rdi)
7:      mov     %rsi, -56(%rdi)
        ASM_CLAC
        or      %cl, VCPU_INFO_mask(%rdx)
        sub     $56, %rdi
        mov     %rdi, F(rsp)(%rsp)
        mov     $RFLAGS_ENTRY, %r11d
        mov     %rax, %rcx
        mov     F(rax)(%rsp), %rax
        mov     F(rdx)(%rsp), %rdx
        mov     F(rsi)(%rsp), %rsi
        mov     F(rdi)(%rsp), %rdi
        mov     F(rsp)(%rsp), %rsp
        sysretq
        FIXUP(1b, syscall_bad_stack)
        FIXUP(2b, syscall_bad_stack)
        FIXUP(3b, syscall_bad_stack)
        FIXUP(4b, syscall_bad_stack)
        FIXUP(5b, syscall_bad_stack)
        FIXUP(6b, syscall_bad_stack)
        FIXUP(7b, syscall_bad_stack)

/* No handler, or events masked in user mode: in C. */
syscall_slow:
        mov     F(rip)(%rsp), %rcx
        movl    $ENTRY_SYSCALL, F(vector)(%rsp)
        SAVE_REST
        mov     %rsp, %rdi
        call    guest_syscall
        jmp     return_to_guest

/* The frame could not be written. The mode is switched already; the guest is to be crashed. */
syscall_bad_stack:
        ASM_CLAC
        movl    $ENTRY_SYSCALL, F(vector)(%rsp)
        SAVE_REST
        mov     %rsp, %rdi
        call    guest_syscall_bad_stack
        jmp     return_to_guest

/* SYSCALL in compatibility mode, from the other stub. Rare: all in C. */
        .globl  syscall32_entry
        .align  16
syscall32_entry:
        push    $0
        SAVE_ALL
        movl    $ENTRY_SYSCALL, REGS_vector(%rsp)
        mov     %rsp, %rdi
        call    guest_syscall32
        jmp     return_to_guest

/* A hypercall. Arguments in rdi, rsi, rdx, r10, r8; number in rax; the vCPU in rcx. */
        .align  32
from_guest_kernel:
        cmp     $HYPERCALL_IRET, %eax
        je      iret_fast
        SAVE_REST
        incq    VCPU_hypercalls(%rcx)
        movl    $ENTRY_SYSCALL, REGS_vector(%rsp)
        sti
        cmp     $HYPERCALL_COUNT, %eax
        jae     1f
        mov     %r10, %rcx
        mov     %eax, %eax
        mov     hypercall_dispatch(%rip), %r11 /* hypercall_table, but while hypercalls are traced */
        call    *(%r11,%rax,8)
        mov     %rax, REGS_rax(%rsp)
        jmp     return_to_guest
1:      mov     %r8, %r9
        mov     %r10, %r8
        mov     %rdx, %rcx
        mov     %rsi, %rdx
        mov     %rdi, %rsi
        mov     %eax, %edi
        call    hypercall_private
        mov     %rax, REGS_rax(%rsp)
        jmp     return_to_guest

/*
 * iret: the guest kernel returns to its user mode, or to itself, by the struct iret_context on its stack. Anything unusual goes to
 * hypercall_iret() in C.
 */
        .align  32
iret_fast:
        mov     F(rsp)(%rsp), %rdi
        movabs  $HV_VIRT_END, %rax
        cmp     %rax, %rdi
        jb      iret_slow
        cmpb    $0, VCPU_nmi_masked(%rcx)
        jne     iret_slow
        ASM_STAC
1:      mov     IRET_flags(%rdi), %eax
2:      mov     IRET_rip(%rdi), %rdx
        test    $VGCF_IN_SYSCALL, %eax
        jnz     iret_slow_clac
3:      mov     IRET_cs(%rdi), %eax
4:      mov     IRET_rflags(%rdi), %esi
        mov     %rdx, F(rip)(%rsp)
        mov     %eax, %edx
        or      $3, %eax
        movzwl  %ax, %eax
        mov     %rax, F(cs)(%rsp)
5:      mov     IRET_rsp(%rdi), %rax
        mov     %rax, F(rsp)(%rsp)
6:      mov     IRET_ss(%rdi), %eax
        or      $3, %eax
        movzwl  %ax, %eax
        mov     %rax, F(ss)(%rsp)
        mov     %esi, %eax
        and     $~RFLAGS_DENIED, %eax
        or      $RFLAGS_ENTRY, %eax
        mov     %rax, F(rflags)(%rsp)
7:      mov     IRET_rax(%rdi), %rax
        mov     %rax, F(rax)(%rsp)
8:      mov     IRET_r11(%rdi), %r11
9:      mov     IRET_rcx(%rdi), %rax
        ASM_CLAC
        mov     %rax, F(rcx)(%rsp)
        /* upcall_mask = !IF; then anything pending must be seen. */
        mov     VCPU_info(%rcx), %rax
        not     %esi
        shr     $9, %esi
        and     $1, %esi
        mov     %sil, VCPU_INFO_mask(%rax)
        test    $3, %dl
        jz      iret_same_mode
        mov     VCPU_user_cr3(%rcx), %rdi
        test    %rdi, %rdi
        jz      iret_no_user
        movb    $0, VCPU_in_kernel(%rcx)
        mov     %rdi, %cr3
        swapgs
iret_same_mode:
        mov     F_cpu(%rsp), %rdi
        cmpl    $0, CPU_softirq_pending(%rdi)
        jne     iret_with_work
        cmpb    $0, VCPU_INFO_pending(%rax)
        jne     iret_with_work
iret_no_work:
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        add     $8, %rsp
10:     iretq
        FIXUP(10b, iret_failed)
        FIXUP(1b, iret_slow_clac)
        FIXUP(2b, iret_slow_clac)
        FIXUP(3b, iret_slow_clac)
        FIXUP(4b, iret_bad_context)
        FIXUP(5b, iret_bad_context)
        FIXUP(6b, iret_bad_context)
        FIXUP(7b, iret_bad_context)
        FIXUP(8b, iret_bad_context)
        FIXUP(9b, iret_bad_context)

iret_with_work:
        SAVE_REST
        jmp     return_to_guest

iret_no_user:
        SAVE_REST
        mov     %rsp, %rdi
        call    guest_no_user_table
        jmp     return_to_guest

/* The context crosses into memory that is not there, and half of it is read: nothing to go back to. */
iret_bad_context:
        ASM_CLAC
        SAVE_REST
        mov     %rsp, %rdi
        call    guest_iret_bad_context
        jmp     return_to_guest

iret_slow_clac:
        ASM_CLAC
iret_slow:
        movl    $ENTRY_SYSCALL, F(vector)(%rsp)
        SAVE_REST
        sti
        call    hypercall_iret
        jmp     return_to_guest

/*
 * Back to the guest with the registers in struct regs at rsp: first whatever this pCPU has to do, then an event that the guest can take.
 */
        .globl  return_to_guest
        .align  32
return_to_guest:
        cli
        mov     INFO_cpu(%rsp), %rax
        mov     INFO_vcpu(%rsp), %rbx
        cmpl    $0, CPU_softirq_pending(%rax)
        jne     2f
        mov     VCPU_info(%rbx), %rax
        cmpb    $0, VCPU_INFO_pending(%rax)
        jne     3f
1:      RESTORE_ALL
        add     $8, %rsp
10:     iretq
        FIXUP(10b, iret_failed)
2:      sti
        call    softirq_run
        mov     %rsp, %rdi
        call    guest_exit_work
        jmp     return_to_guest
3:      cmpb    $0, VCPU_INFO_mask(%rax)
        jne     1b
        mov     %rsp, %rdi
        call    guest_event_upcall
        jmp     return_to_guest

/* iretq refused the guest's selectors or address: rebuild struct regs as it was and tell the guest through its failsafe callback. */
iret_failed:
        push    $0
        SAVE_ALL
        mov     %rsp, %rdi
        call    guest_iret_failed
        jmp     return_to_guest

/*
 * Exceptions and interrupts: 256 stubs of equal form; each makes the error code / vector word.
 */
        .align  32
        .globl  trap_stubs
trap_stubs:
vector = 0
        .rept 256
        .align  16
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        push    $0
        .endif
        movl    $vector, 4(%rsp)
        .if vector == 1 || vector == 2 || vector == 8 || vector == 18
        jmp     trap_ist
        .elseif vector == 14
        jmp     trap_page_fault
        .elseif vector >= 32
        jmp     trap_interrupt
        .else
        jmp     trap_exception
        .endif
vector = vector + 1
        .endr

        .section .rodata
        .align  8
        .globl  trap_entry_table
trap_entry_table:
vector = 0
        .rept 256
        .quad   trap_stubs + vector * 16
vector = vector + 1
        .endr
        .text

        .align  32
trap_page_fault:
        SAVE_ALL
        cld
        ASM_CLAC
        mov     %rsp, %rdi
        testb   $3, REGS_cs(%rsp)
        jz      1f
        call    trap_guest_page_fault
        jmp     return_to_guest
1:      call    trap_own_page_fault
        jmp     return_to_self

        .align  16
trap_exception:
        SAVE_ALL
        cld
        ASM_CLAC
        mov     %rsp, %rdi
        testb   $3, REGS_cs(%rsp)
        jz      1f
        sti
        call    trap_guest_exception
        jmp     return_to_guest
1:      call    trap_own_exception
        jmp     return_to_self

        .align  16
trap_interrupt:
        SAVE_ALL
        cld
        ASM_CLAC
        mov     %rsp, %rdi
        call    trap_interrupt_dispatch
        testb   $3, REGS_cs(%rsp)
        jnz     return_to_guest
return_to_self:
        RESTORE_ALL
        add     $8, %rsp
        iretq

/*
 * NMI, #DF, #MC, #DB run on stacks of their own, since they may strike where rsp is still the guest's. If a guest was interrupted,
 * its frame is moved to its vCPU's stack, and all goes on as for any exception, but that NMIs stay blocked until the next iretq.
 */
        .align  16
trap_ist:
        SAVE_ALL
        cld
        ASM_CLAC
        mov     %rsp, %rdi
        testb   $3, REGS_cs(%rsp)
        jnz     1f
        call    trap_ist_own
        jmp     return_to_self
1:      call    trap_ist_move /* returns the struct regs on the vCPU's stack */
        mov     %rax, %rsp
        mov     %rax, %rdi
        call    trap_ist_guest
        jmp     return_to_guest

        .section .note.GNU-stack, "", @progbits
