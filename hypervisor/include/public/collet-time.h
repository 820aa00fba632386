/* SPDX-License-Identifier: MIT */
/*
 * Collet's extension of the guest ABI: virtual time, which passes only while a vCPU runs, and an alarm on it.
 *
 * All are sub-operations of HYPERVISOR_vcpu_op. Another hypervisor answers -ENOSYS, so a guest can probe for them.
 */
#pragma once

#include <stdint.h>

/* arg: pointer to struct collet_virtual_time, which is filled. Any vCPU of the caller's domain. */
#define COLLET_VCPUOP_get_virtual_time 0x4001
/* arg: pointer to struct collet_virtual_alarm. Only the calling vCPU's own. An alarm in the past rings at once; 0 stops it. Always 0. */
#define COLLET_VCPUOP_set_virtual_alarm 0x4002

/* A per-vCPU VIRQ (VIRQ_ARCH_5 of xen/xen.h), to be bound with EVTCHNOP_bind_virq: the alarm has rung. */
#define COLLET_VIRQ_VIRTUAL_ALARM 21

struct collet_virtual_time {
    uint64_t virtual_ns; /* how long the vCPU has run since it was made */
    uint64_t alarm_ns;   /* virtual time at which the alarm is set, 0 none */
};

struct collet_virtual_alarm {
    uint64_t virtual_ns; /* absolute virtual time; 0: no alarm */
};
