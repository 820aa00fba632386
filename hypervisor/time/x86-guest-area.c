// SPDX-License-Identifier: MIT
/*
 * A vCPU that was preempted in user mode is switched in with its user page table, where its kernel's memory is not mapped. To write into the
 * kernel's registered areas, the kernel's table is loaded for a moment. Both tables belong to one domain and hold the hypervisor's slots.
 */
#include "guest-area.h"
#include "vcpu.h"
#include "x86/cpu-asm.h"

uint64_t guest_area_enter(const struct vcpu *v)
{
    uint64_t loaded;

    if (likely(v->in_kernel) || v->kernel_cr3 == 0)
        return 0;
    loaded = read_cr3();
    write_cr3(v->kernel_cr3);
    return loaded;
}

void guest_area_leave(uint64_t token)
{
    if (token != 0)
        write_cr3(token);
}
