/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls that guests may issue, one function each, in one table (traps/hypercall.c).
 *
 * Every function: context is the current vCPU's hypercall, interrupts enabled, no lock held, on that vCPU's stack; guest pointers are guest virtual
 * addresses, to be reached through guest-access.h alone; the result goes to the guest's rax: 0 or a positive value, or -errno (xen/errno.h).
 * Numbers, structures and meaning come from Xen's public headers, named in each.
 */
#pragma once

#include "types.h"

/*
 * Make a trace record of each hypercall from now on, or not. entry.S calls through hypercall_dispatch, which names the table itself or, while tracing, one of detours: so
 * that it costs nothing when off. iret's short way in entry.S is never traced.
 */
typedef long (*hypercall_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern const hypercall_fn *hypercall_dispatch;
void hypercalls_trace(bool on);

/* <xen/event_channel.h>; events/ */
long hypercall_event_channel_op(int cmd, uint64_t arg);
/* <xen/grant_table.h>; grants/ */
long hypercall_grant_table_op(unsigned int cmd, uint64_t uop, unsigned int count);
/* <xen/sched.h>; domain/sched-op.c */
long hypercall_sched_op(int cmd, uint64_t arg);
long hypercall_sched_op_compat(int cmd, unsigned long arg);
/* <xen/vcpu.h>; domain/vcpu-op.c (time parts call time/guest-time.c) */
long hypercall_vcpu_op(int cmd, unsigned int vcpu_id, uint64_t arg);
/* <xen/xen.h> set_timer_op: absolute system time in ns, 0 disarms; time/ */
long hypercall_set_timer_op(uint64_t timeout_ns);
/* <xen/xen.h> console_io: CONSOLEIO_write / read; drivers/console.c */
long hypercall_console_io(unsigned int cmd, unsigned int count, uint64_t buffer);
/* <xen/xen.h>, <xen/memory.h>; mm/ */
long hypercall_mmu_update(uint64_t ureqs, unsigned int count, uint64_t pdone, unsigned int foreigndom);
long hypercall_mmuext_op(uint64_t uops, unsigned int count, uint64_t pdone, unsigned int foreigndom);
long hypercall_update_va_mapping(uint64_t va, uint64_t val, uint64_t flags);
long hypercall_update_va_mapping_otherdomain(uint64_t va, uint64_t val, uint64_t flags, uint16_t domid);
long hypercall_memory_op(unsigned int cmd, uint64_t arg);
long hypercall_vm_assist(unsigned int cmd, unsigned int type);
/* descriptor tables; mm/descriptor.c */
long hypercall_set_gdt(uint64_t frames, unsigned int entries);
long hypercall_update_descriptor(uint64_t maddr, uint64_t desc);
/* traps/ */
long hypercall_set_trap_table(uint64_t traps);
long hypercall_callback_op(int cmd, uint64_t arg);
long hypercall_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall);
long hypercall_iret(void);
long hypercall_multicall(uint64_t calls, unsigned int count);
/* cpu/ */
long hypercall_stack_switch(uint64_t ss, uint64_t esp);
long hypercall_fpu_taskswitch(int set);
long hypercall_set_debugreg(int reg, uint64_t value);
long hypercall_get_debugreg(int reg);
long hypercall_set_segment_base(unsigned int which, uint64_t base);
/* domain/ */
long hypercall_xen_version(int cmd, uint64_t arg);
long hypercall_physdev_op(int cmd, uint64_t arg);
long hypercall_platform_op(uint64_t arg);
long hypercall_nmi_op(unsigned int cmd, uint64_t arg);
/* <xen/domctl.h>: getdomaininfo alone, for xenstored and xenconsoled; domain/domctl.c */
long hypercall_domctl(uint64_t arg);
