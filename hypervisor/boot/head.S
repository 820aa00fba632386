/* SPDX-License-Identifier: MIT */
/*
 * The first instructions: from the boot loader, and on each further CPU from the start-up page.
 *
 * Multiboot 1 and 2 both enter at boot_entry in 32-bit protected mode without paging, magic in eax, information in ebx. We build page
 * tables that show the first 4 GiB at their own address and the image at its linked one, enter long mode and call hypervisor_main(magic, information)
 * on the boot CPU's stack. boot/x86-paging.c replaces the tables; they stay for the start of other CPUs (ap_trampoline below,
 * copied to TRAMPOLINE_PHYS by cpu/smp.c).
 */
#include "x86/layout.h"

#define PHYS(symbol) ((symbol)-IMAGE_VIRT)
#define CR0_LONG_MODE 0x80050033 /* PG AM WP NE ET MP PE */
#define EFER_NXE_LME 0x900
#define MSR_EFER 0xc0000080

    .section .text.head, "ax"
    .code32
    .globl boot_entry
boot_entry:
    jmp start32

    .balign 8
    /* Multiboot 1: modules page-aligned, memory map wanted. */
    .long 0x1badb002, 0x3, -(0x1badb002 + 0x3)

    .balign 8
multiboot2_header:
    .long 0xe85250d6, 0, multiboot2_header_end - multiboot2_header
    .long 0x100000000 - (0xe85250d6 + (multiboot2_header_end - multiboot2_header))
    .balign 8
    .short 1, 0 /* information request: command line, modules, memory map */
    .long 20, 1, 3, 6
    .balign 8
    .short 6, 0 /* modules page-aligned */
    .long 8
    .balign 8
    .short 0, 0
    .long 8
multiboot2_header_end:

start32:
    cli
    cld
    mov %eax, %ebp /* magic */
    mov %ebx, %esi /* information */

    /* The zeroed part, in case the loader left it. */
    mov $PHYS(__data_end), %edi
    mov $PHYS(__image_end), %ecx
    sub %edi, %ecx
    shr $2, %ecx
    xor %eax, %eax
    rep stosl

    mov $PHYS(boot_stack_end), %esp
    mov $0x80000001, %eax
    cpuid
    mov %edx, %eax
    and $0x20100000, %eax /* long mode and NX */
    cmp $0x20100000, %eax
    jne no_long_mode

    /* 4 GiB in 2 MiB pages. */
    mov $PHYS(boot_l2), %edi
    mov $0x83, %eax
    mov $2048, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    dec %ecx
    jnz 1b
    mov $PHYS(boot_l3_low), %edi
    mov $PHYS(boot_l2) + 3, %eax
    mov $4, %ecx
2:  mov %eax, (%edi)
    add $0x1000, %eax
    add $8, %edi
    dec %ecx
    jnz 2b
    movl $PHYS(boot_l2) + 3, PHYS(boot_l3_image)
    movl $PHYS(boot_l3_low) + 3, PHYS(boot_l4)
    movl $PHYS(boot_l3_image) + 3, PHYS(boot_l4) + 8 * ((IMAGE_VIRT >> 39) & 511)

    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $PHYS(boot_l4), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_NXE_LME, %eax
    wrmsr
    mov $CR0_LONG_MODE, %eax
    mov %eax, %cr0
    lgdt PHYS(boot_gdt_low)
    ljmp $0x08, $PHYS(start64_low)

no_long_mode:
    mov $PHYS(no_long_mode_text), %esi
    mov $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  hlt
    jmp 2b
no_long_mode_text:
    .asciz "(collet) this processor has no long mode with NX: cannot run\r\n"

    .code64
start64_low:
    movabs $start64, %rax
    jmp *%rax
start64:
    lgdt boot_gdt_high(%rip)
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov $0x10, %eax
    mov %eax, %ss
    /* struct stack_info: no vCPU yet, CPU 0. */
    lea boot_stack_end - 16(%rip), %rsp
    movq $0, (%rsp)
    lea cpus(%rip), %rax
    mov %rax, 8(%rsp)
    mov %ebp, %edi
    mov %esi, %esi
    xor %ebp, %ebp
    call hypervisor_main
1:  hlt
    jmp 1b

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 64-bit code */
    .quad 0x00cf93000000ffff /* data */
    .quad 0x00cf9b000000ffff /* 32-bit code, for other CPUs on their way */
boot_gdt_end:
boot_gdt_low:
    .short boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)
boot_gdt_high:
    .short boot_gdt_end - boot_gdt - 1
    .quad boot_gdt

/* Each further CPU: long mode on, the boot tables loaded. Takes the real tables and the stack that cpu/smp.c prepared. */
    .globl ap_start64
ap_start64:
    lgdt boot_gdt_high(%rip)
    mov paging_idle_cr3(%rip), %rax
    mov %rax, %cr3
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov $0x10, %eax
    mov %eax, %ss
    mov ap_boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    call cpu_start_here
1:  hlt
    jmp 1b

/* The start-up page: entered in real mode at TRAMPOLINE_PHYS, cs = TRAMPOLINE_PHYS >> 4. */
#define AT(label) (TRAMPOLINE_PHYS + (label)-ap_trampoline)
    .section .rodata, "a"
    .balign 16
    .globl ap_trampoline, ap_trampoline_end
    .code16
ap_trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdt_pointer - ap_trampoline
    mov $0x11, %eax
    mov %eax, %cr0
    ljmpl $0x18, $AT(ap_start32)
    .code32
ap_start32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $PHYS(boot_l4), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_NXE_LME, %eax
    wrmsr
    mov $CR0_LONG_MODE, %eax
    mov %eax, %cr0
    ljmp $0x08, $AT(ap_start64_low)
    .code64
ap_start64_low:
    movabs $ap_start64, %rax
    jmp *%rax
    .balign 8
ap_gdt_pointer:
    .short boot_gdt_end - boot_gdt - 1
    .long PHYS(boot_gdt)
ap_trampoline_end:

    .section .bss.page_aligned, "aw", @nobits
    .balign 16384
    .globl boot_stack, boot_stack_end
boot_stack: /* its lowest page becomes the guard page */
    .skip STACK_SIZE
boot_stack_end:
    .globl boot_l4
boot_l4:
    .skip 4096
boot_l3_low:
    .skip 4096
boot_l3_image:
    .skip 4096
boot_l2:
    .skip 4 * 4096

    .section .note.GNU-stack, "", @progbits
