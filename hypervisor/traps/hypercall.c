/* SPDX-License-Identifier: MIT */
/*
 * The one hypercall table, and multicall. entry.S calls through the table with interrupts enabled; the result goes to the guest's rax.
 * Numbers: xen/xen.h. Page: docs/paths/hypercall.md.
 */
#include "hypercall.h"

#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "trace.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/xen.h>

#define HYPERCALL_COUNT 64 /* HYPERCALL_COUNT of entry.S */

static long hypercall_unknown(void)
{
    return -ENOSYS;
}

/* The functions differ in the width and number of their arguments; the calling convention makes the calls the same. */
#define ENTRY(function) (hypercall_fn)(void (*)(void))(function)

const hypercall_fn hypercall_table[HYPERCALL_COUNT] = {
    [__HYPERVISOR_set_trap_table] = ENTRY(hypercall_set_trap_table),
    [__HYPERVISOR_mmu_update] = ENTRY(hypercall_mmu_update),
    [__HYPERVISOR_set_gdt] = ENTRY(hypercall_set_gdt),
    [__HYPERVISOR_stack_switch] = ENTRY(hypercall_stack_switch),
    [__HYPERVISOR_set_callbacks] = ENTRY(hypercall_set_callbacks),
    [__HYPERVISOR_fpu_taskswitch] = ENTRY(hypercall_fpu_taskswitch),
    [__HYPERVISOR_sched_op_compat] = ENTRY(hypercall_sched_op_compat),
    [__HYPERVISOR_platform_op] = ENTRY(hypercall_platform_op),
    [__HYPERVISOR_set_debugreg] = ENTRY(hypercall_set_debugreg),
    [__HYPERVISOR_get_debugreg] = ENTRY(hypercall_get_debugreg),
    [__HYPERVISOR_update_descriptor] = ENTRY(hypercall_update_descriptor),
    [__HYPERVISOR_memory_op] = ENTRY(hypercall_memory_op),
    [__HYPERVISOR_multicall] = ENTRY(hypercall_multicall),
    [__HYPERVISOR_update_va_mapping] = ENTRY(hypercall_update_va_mapping),
    [__HYPERVISOR_set_timer_op] = ENTRY(hypercall_set_timer_op),
    [__HYPERVISOR_xen_version] = ENTRY(hypercall_xen_version),
    [__HYPERVISOR_console_io] = ENTRY(hypercall_console_io),
    [__HYPERVISOR_grant_table_op] = ENTRY(hypercall_grant_table_op),
    [__HYPERVISOR_vm_assist] = ENTRY(hypercall_vm_assist),
    [__HYPERVISOR_update_va_mapping_otherdomain] = ENTRY(hypercall_update_va_mapping_otherdomain),
    [__HYPERVISOR_iret] = ENTRY(hypercall_iret),
    [__HYPERVISOR_vcpu_op] = ENTRY(hypercall_vcpu_op),
    [__HYPERVISOR_set_segment_base] = ENTRY(hypercall_set_segment_base),
    [__HYPERVISOR_mmuext_op] = ENTRY(hypercall_mmuext_op),
    [__HYPERVISOR_nmi_op] = ENTRY(hypercall_nmi_op),
    [__HYPERVISOR_sched_op] = ENTRY(hypercall_sched_op),
    [__HYPERVISOR_callback_op] = ENTRY(hypercall_callback_op),
    [__HYPERVISOR_event_channel_op] = ENTRY(hypercall_event_channel_op),
    [__HYPERVISOR_physdev_op] = ENTRY(hypercall_physdev_op),
    [__HYPERVISOR_domctl] = ENTRY(hypercall_domctl),
    /* Not offered, so that the table has no holes: */
    [11] = ENTRY(hypercall_unknown),
    [__HYPERVISOR_event_channel_op_compat] = ENTRY(hypercall_unknown),
    [__HYPERVISOR_physdev_op_compat] = ENTRY(hypercall_unknown),
    [__HYPERVISOR_xsm_op] = ENTRY(hypercall_unknown),
    [__HYPERVISOR_xenoprof_op] = ENTRY(hypercall_unknown),
    [__HYPERVISOR_hvm_op ... __HYPERVISOR_domctl - 1] = ENTRY(hypercall_unknown),
    [__HYPERVISOR_domctl + 1 ... HYPERCALL_COUNT - 1] = ENTRY(hypercall_unknown),
};

/* ---- Traced ---- */

/* Instead of every function while hypercalls are traced; the number is still where the guest left it. */
static long hypercall_detour(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct vcpu *v = current_vcpu();
    uint32_t nr = (uint32_t)guest_regs()->rax; /* entry.S has checked it */
    long result;

    trace_vcpu(COLLET_TRACE_HYPERCALL_ENTER, v, nr, 0);
    result = hypercall_table[nr](a1, a2, a3, a4, a5);
    trace_vcpu(COLLET_TRACE_HYPERCALL, v, nr, (uint64_t)result);
    return result;
}

static const hypercall_fn detours[HYPERCALL_COUNT] = {[0 ... HYPERCALL_COUNT - 1] = hypercall_detour};

const hypercall_fn *hypercall_dispatch = hypercall_table;

void hypercalls_trace(bool on)
{
    __atomic_store_n(&hypercall_dispatch, on ? detours : hypercall_table, __ATOMIC_RELEASE);
}

/* ---- Multicall ---- */

/* Not inside a multicall: itself, and what replaces the registers that the multicall answers in. */
static bool allowed_in_multicall(uint64_t op)
{
    return op < HYPERCALL_COUNT && op != __HYPERVISOR_multicall && op != __HYPERVISOR_iret;
}

long hypercall_multicall(uint64_t calls, unsigned int count)
{
    struct multicall_entry call;
    unsigned int i;

    for (i = 0; i < count; i++, calls += sizeof(call)) {
        if (copy_from_guest(&call, calls, sizeof(call)) != 0)
            return -EFAULT;
        if (likely(allowed_in_multicall(call.op)))
            call.result = (unsigned long)hypercall_table[call.op](call.args[0], call.args[1], call.args[2], call.args[3],
                                                                  call.args[4]);
        else
            call.result = (unsigned long)(long)-ENOSYS;
        trace_vcpu(COLLET_TRACE_HYPERCALL, current_vcpu(), call.op, call.result);
        if (copy_to_guest(calls + offsetof(struct multicall_entry, result), &call.result, sizeof(call.result)) != 0)
            return -EFAULT;
        preempt_point();
    }
    return 0;
}
