/* SPDX-License-Identifier: MIT */
/*
 * Structure offsets for assembly: compiled to assembly text, from which hypervisor/build.mk extracts the "->NAME value" lines.
 */
#include "cpu.h"
#include "vcpu.h"

#define OFFSET_DEFINE(name, value) __asm__ volatile(".ascii \"->" #name " %c0\"" ::"i"(value))

void asm_offsets(void);
void asm_offsets(void)
{
    OFFSET_DEFINE(REGS_rip, offsetof(struct regs, rip));
    OFFSET_DEFINE(REGS_cs, offsetof(struct regs, cs));
    OFFSET_DEFINE(REGS_rflags, offsetof(struct regs, rflags));
    OFFSET_DEFINE(REGS_rsp, offsetof(struct regs, rsp));
    OFFSET_DEFINE(REGS_ss, offsetof(struct regs, ss));
    OFFSET_DEFINE(REGS_rax, offsetof(struct regs, rax));
    OFFSET_DEFINE(REGS_rcx, offsetof(struct regs, rcx));
    OFFSET_DEFINE(REGS_rdx, offsetof(struct regs, rdx));
    OFFSET_DEFINE(REGS_rsi, offsetof(struct regs, rsi));
    OFFSET_DEFINE(REGS_rdi, offsetof(struct regs, rdi));
    OFFSET_DEFINE(REGS_error_code, offsetof(struct regs, error_code));
    OFFSET_DEFINE(REGS_vector, offsetof(struct regs, vector));
    OFFSET_DEFINE(REGS_sizeof, sizeof(struct regs));
    OFFSET_DEFINE(STACK_INFO_vcpu, offsetof(struct stack_info, vcpu));
    OFFSET_DEFINE(STACK_INFO_cpu, offsetof(struct stack_info, cpu));
    OFFSET_DEFINE(STACK_INFO_sizeof, sizeof(struct stack_info));
    OFFSET_DEFINE(CPU_softirq_pending, offsetof(struct cpu, softirq_pending));
    OFFSET_DEFINE(VCPU_in_kernel, offsetof(struct vcpu, in_kernel));
    OFFSET_DEFINE(VCPU_nmi_masked, offsetof(struct vcpu, nmi_masked));
    OFFSET_DEFINE(VCPU_kernel_cr3, offsetof(struct vcpu, kernel_cr3));
    OFFSET_DEFINE(VCPU_user_cr3, offsetof(struct vcpu, user_cr3));
    OFFSET_DEFINE(VCPU_kernel_sp, offsetof(struct vcpu, kernel_sp));
    OFFSET_DEFINE(VCPU_syscall_entry, offsetof(struct vcpu, syscall_entry));
    OFFSET_DEFINE(VCPU_syscall_masks_events, offsetof(struct vcpu, syscall_masks_events));
    OFFSET_DEFINE(VCPU_info, offsetof(struct vcpu, info));
    OFFSET_DEFINE(VCPU_hypercalls, offsetof(struct vcpu, hypercalls));
    OFFSET_DEFINE(VCPU_switch_sp, offsetof(struct vcpu, switch_sp));
    OFFSET_DEFINE(VCPU_INFO_pending, offsetof(struct vcpu_info, evtchn_upcall_pending));
    OFFSET_DEFINE(VCPU_INFO_mask, offsetof(struct vcpu_info, evtchn_upcall_mask));
    OFFSET_DEFINE(IRET_rax, offsetof(struct iret_context, rax));
    OFFSET_DEFINE(IRET_r11, offsetof(struct iret_context, r11));
    OFFSET_DEFINE(IRET_rcx, offsetof(struct iret_context, rcx));
    OFFSET_DEFINE(IRET_flags, offsetof(struct iret_context, flags));
    OFFSET_DEFINE(IRET_rip, offsetof(struct iret_context, rip));
    OFFSET_DEFINE(IRET_cs, offsetof(struct iret_context, cs));
    OFFSET_DEFINE(IRET_rflags, offsetof(struct iret_context, rflags));
    OFFSET_DEFINE(IRET_rsp, offsetof(struct iret_context, rsp));
    OFFSET_DEFINE(IRET_ss, offsetof(struct iret_context, ss));
}
