/* SPDX-License-Identifier: MIT */
/*
 * Between the files of control/: one function per operation of <collet/control.h>, listed in one table (control.c).
 *
 * Every operation: context is the hypercall of a privileged domain's vCPU, interrupts enabled, no lock held; `arg` is a guest address of a structure of
 * `bytes` bytes, to be copied by control_copy_in and control_copy_out alone. Returns 0 or -errno.
 */
#pragma once

#include "domain.h"
#include "types.h"

#include <collet/control.h>

/*
 * Copy an argument structure in: `known` is its size here. A shorter one is filled up with zeroes; of a longer one the rest must be zero: else -E2BIG.
 * 0, -EFAULT, -E2BIG.
 */
int must_check control_copy_in(void *to, size_t known, uint64_t arg, size_t bytes);
/* Copy it back, as much as the caller has room for. 0 or -EFAULT. */
int must_check control_copy_out(uint64_t arg, size_t bytes, const void *from, size_t known);

/* An entry into a list of the caller, whose entries are of `entry_bytes` as it knows them: cut, or filled with zeroes, to that size. 0 or -EFAULT. */
int must_check control_entry_copy_out(uint64_t to, uint32_t entry_bytes, const void *from, size_t known);
bool control_entry_size_ok(uint32_t entry_bytes);

/* The domain, with a reference: 0; -ESRCH if there is none, or it is dying. Pair: domain_put. */
int must_check control_domain_find(uint32_t domid, struct domain **d);

/* A guest's string in a fixed array: it ends, and is a name: letters, digits, . _ - + */
bool control_name_ok(const char *name, size_t room);

long control_version(uint64_t arg, size_t bytes);
long control_machine(uint64_t arg, size_t bytes);
long control_log_read(uint64_t arg, size_t bytes);
long control_changes(uint64_t arg, size_t bytes);

/* build-ops.c */
long control_domain_create(uint64_t arg, size_t bytes);
long control_domain_populate(uint64_t arg, size_t bytes);
long control_domain_write(uint64_t arg, size_t bytes);
long control_domain_share(uint64_t arg, size_t bytes);
long control_domain_start_state(uint64_t arg, size_t bytes);

/* domain-ops.c */
long control_domain_unpause(uint64_t arg, size_t bytes);
long control_domain_pause(uint64_t arg, size_t bytes);
long control_domain_destroy(uint64_t arg, size_t bytes);
long control_domain_rename(uint64_t arg, size_t bytes);
long control_domain_memory_max(uint64_t arg, size_t bytes);
long control_vcpu_affinity(uint64_t arg, size_t bytes);

/* list-ops.c */
long control_domain_list(uint64_t arg, size_t bytes);
long control_vcpu_list(uint64_t arg, size_t bytes);
long control_domain_pages(uint64_t arg, size_t bytes);

/* sched-ops.c */
long control_sched_list(uint64_t arg, size_t bytes);
long control_sched_param_list(uint64_t arg, size_t bytes);
long control_sched_status(uint64_t arg, size_t bytes);
long control_sched_use(uint64_t arg, size_t bytes);
long control_sched_get(uint64_t arg, size_t bytes);
long control_sched_set(uint64_t arg, size_t bytes);

/* trace-ops.c */
long control_trace_start(uint64_t arg, size_t bytes);
long control_trace_stop(uint64_t arg, size_t bytes);
long control_trace_info(uint64_t arg, size_t bytes);

/* block-ops.c */
long control_disk_list(uint64_t arg, size_t bytes);
long control_disk_module_list(uint64_t arg, size_t bytes);
long control_disk_param_list(uint64_t arg, size_t bytes);
long control_disk_use(uint64_t arg, size_t bytes);
long control_disk_get(uint64_t arg, size_t bytes);
long control_disk_set(uint64_t arg, size_t bytes);
long control_disk_model(uint64_t arg, size_t bytes);
long control_disk_record(uint64_t arg, size_t bytes);
long control_disk_record_read(uint64_t arg, size_t bytes);
long control_vbd_create(uint64_t arg, size_t bytes);
long control_vbd_destroy(uint64_t arg, size_t bytes);
long control_vbd_connect(uint64_t arg, size_t bytes);
long control_vbd_disconnect(uint64_t arg, size_t bytes);
long control_vbd_limits(uint64_t arg, size_t bytes);
long control_vbd_list(uint64_t arg, size_t bytes);
long control_vbd_extents(uint64_t arg, size_t bytes);

/* capture-ops.c */
long control_capture_open(uint64_t arg, size_t bytes);
long control_capture_info(uint64_t arg, size_t bytes);
long control_capture_close(uint64_t arg, size_t bytes);

/* net-ops.c */
long control_nic_list(uint64_t arg, size_t bytes);
long control_vif_create(uint64_t arg, size_t bytes);
long control_vif_destroy(uint64_t arg, size_t bytes);
long control_vif_connect(uint64_t arg, size_t bytes);
long control_vif_disconnect(uint64_t arg, size_t bytes);
long control_vif_set(uint64_t arg, size_t bytes);
long control_vif_list(uint64_t arg, size_t bytes);
long control_net_sched_list(uint64_t arg, size_t bytes);
long control_net_sched_use(uint64_t arg, size_t bytes);
long control_rules_load(uint64_t arg, size_t bytes);
long control_rules_confirm(uint64_t arg, size_t bytes);
long control_rules_info(uint64_t arg, size_t bytes);
long control_rules_read(uint64_t arg, size_t bytes);
long control_rules_counters(uint64_t arg, size_t bytes);
long control_rule_kinds(uint64_t arg, size_t bytes);
long control_flows_set(uint64_t arg, size_t bytes);
long control_flows_list(uint64_t arg, size_t bytes);
