/* SPDX-License-Identifier: MIT */
/*
 * The SYSCALL stubs: template of the page that each pCPU has as the first of its area, its struct cpu_entry_data in the page behind it.
 *
 * SYSCALL leaves rsp as the guest had it, and we keep no base register of our own; so each pCPU has a copy of this code that
 * finds its data relative to itself. Here the data "page" is only an address 4 KiB behind the template.
 */
        .section .rodata, "a"
        .balign 64
        .globl  syscall_stubs, syscall_stub64, syscall_stub32, syscall_stubs_end
syscall_stubs:
#define DATA (syscall_stubs + 0x1000)
syscall_stub64:
        mov     %rsp, DATA + 8(%rip)
        mov     DATA(%rip), %rsp
        push    $0xe02b /* FLAT_RING3_SS32 */
        push    DATA + 8(%rip)
        push    %r11
        push    $0xe033 /* FLAT_RING3_CS64 */
        push    %rcx
        jmp     *(DATA + 16)(%rip)
        .balign 16
syscall_stub32:
        mov     %rsp, DATA + 8(%rip)
        mov     DATA(%rip), %rsp
        push    $0xe02b
        push    DATA + 8(%rip)
        push    %r11
        push    $0xe023 /* FLAT_RING3_CS32 */
        push    %rcx
        jmp     *(DATA + 24)(%rip)
syscall_stubs_end:
        .section .note.GNU-stack, "", @progbits
