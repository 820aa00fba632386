/* SPDX-License-Identifier: MIT */
/*
 * Start-up, in order, and nothing else: each concept's own start says why it needs those before it.
 * boot/head.S calls hypervisor_main on the boot CPU's stack, interrupts off.
 */
#include "acpi.h"
#include "apic.h"
#include "block.h"
#include "boot-info.h"
#include "build.h"
#include "changes.h"
#include "console.h"
#include "cpu-policy.h"
#include "cpu.h"
#include "log.h"
#include "options.h"
#include "paging.h"
#include "pci.h"
#include "sched.h"
#include "time.h"
#include "tlb.h"
#include "types.h"
#include "vcpu.h"
#include "vfr.h"
#include "virtio-blk.h"
#include "virtio-net.h"
#include "x86/cpu-area.h"
#include "x86/cpu-asm.h"
#include "alloc.h"

void hypervisor_main(uint32_t magic, uint64_t info_maddr) noreturn_fn;

static void cpu_boot_init(void)
{
    struct cpu *cpu = &cpus[0];

    if (cpu_area_init(0) != 0)
        panic("no memory for the boot CPU's tables");
    cpu_area_load(0);
    cpu->idle = vcpu_create_idle(0);
    if (cpu->idle == NULL)
        panic("no memory for the boot CPU's idle vCPU");
    cpu->current = cpu->idle;
    cpu->online = true;
    cpu_area_set_stack(cpu->idle->stack_top);
    tlb_flush_local();
}

static uint64_t ram_bytes(void)
{
    uint64_t bytes = 0;
    uint32_t i;

    for (i = 0; i < boot_info.ram_count; i++)
        bytes += boot_info.ram[i].end - boot_info.ram[i].start;
    return bytes;
}

static void clocks_init(void)
{
    clock_init();
    apic_timer_calibrate();
    timer_init_cpu();
}

void hypervisor_main(uint32_t magic, uint64_t info_maddr)
{
    bool booted;

    console_init();
    booted = boot_info_read(magic, info_maddr);
    options_parse(boot_info.command_line);
    log_info("Collet " COLLET_VERSION ", started by %s", booted ? boot_info.loader : "nobody we know");
    if (!booted)
        machine_end(MACHINE_HALT);
    paging_init();
    acpi_init(); /* before its tables' neighbours are given away */
    paging_release_memory();
    log_info("memory: %lu MiB, %lu MiB free", (unsigned long)(ram_bytes() >> 20), (unsigned long)(frames_free_count() >> 8));
    cpu_boot_init();
    apic_init_boot();
    cpus[0].apic_id = apic_id();
    ioapic_init();
    clocks_init();
    cpu_policy_init();
    cpu_start_others();
    sched_init();
    sched_init_cpu();
    changes_init();
    console_init_irq();
    cpu_release_others();
    log_info("%u CPU%s, scheduler %s", cpu_count, cpu_count == 1 ? "" : "s", sched_active_name());
    paging_seal();
    irq_enable();
    block_init();
    vfr_init();
    pci_init();
    virtio_blk_init();
    virtio_net_init();
    if (build_domain0() != 0) {
        log_error("no Domain0: nothing to run");
        machine_end(boot_options.noreboot_exit ? MACHINE_POWEROFF : MACHINE_HALT);
    }
    build_boot_domains();
    build_start_domains();
    cpu_idle_loop();
}
