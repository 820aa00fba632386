/* SPDX-License-Identifier: MIT */
/*
 * The control interface: one private hypercall, one table of operations, and the one place where the caller's right is checked.
 *
 * The right comes first, so that another domain learns nothing, not even which operations there are; then the version; then the operation itself.
 * Contract: <collet/control.h>. Tests: tests/boot/kernels/attack-control.c, tests/boot/domains/.
 */
#include "control-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "paging.h"
#include "time.h"
#include "vcpu.h"

#include <hv/errno.h>

#define CHUNK 64u

long hypercall_private(unsigned int nr, uint64_t op, uint64_t arg, uint64_t bytes, uint64_t version, uint64_t a5);

typedef long (*control_fn)(uint64_t arg, size_t bytes);

static const control_fn control_table[] = {
    [COLLET_OP_VERSION] = control_version,
    [COLLET_OP_MACHINE] = control_machine,
    [COLLET_OP_LOG_READ] = control_log_read,
    [COLLET_OP_CHANGES] = control_changes,
    [COLLET_OP_DOMAIN_CREATE] = control_domain_create,
    [COLLET_OP_DOMAIN_POPULATE] = control_domain_populate,
    [COLLET_OP_DOMAIN_WRITE] = control_domain_write,
    [COLLET_OP_DOMAIN_SHARE] = control_domain_share,
    [COLLET_OP_DOMAIN_START_STATE] = control_domain_start_state,
    [COLLET_OP_DOMAIN_UNPAUSE] = control_domain_unpause,
    [COLLET_OP_DOMAIN_PAUSE] = control_domain_pause,
    [COLLET_OP_DOMAIN_DESTROY] = control_domain_destroy,
    [COLLET_OP_DOMAIN_RENAME] = control_domain_rename,
    [COLLET_OP_DOMAIN_MEMORY_MAX] = control_domain_memory_max,
    [COLLET_OP_DOMAIN_LIST] = control_domain_list,
    [COLLET_OP_VCPU_LIST] = control_vcpu_list,
    [COLLET_OP_VCPU_AFFINITY] = control_vcpu_affinity,
    [COLLET_OP_DOMAIN_PAGES] = control_domain_pages,
    [COLLET_OP_SCHED_LIST] = control_sched_list,
    [COLLET_OP_SCHED_PARAM_LIST] = control_sched_param_list,
    [COLLET_OP_SCHED_STATUS] = control_sched_status,
    [COLLET_OP_SCHED_USE] = control_sched_use,
    [COLLET_OP_SCHED_GET] = control_sched_get,
    [COLLET_OP_SCHED_SET] = control_sched_set,
    [COLLET_OP_TRACE_START] = control_trace_start,
    [COLLET_OP_TRACE_STOP] = control_trace_stop,
    [COLLET_OP_TRACE_INFO] = control_trace_info,
    [COLLET_OP_DISK_LIST] = control_disk_list,
    [COLLET_OP_DISK_MODULE_LIST] = control_disk_module_list,
    [COLLET_OP_DISK_PARAM_LIST] = control_disk_param_list,
    [COLLET_OP_DISK_USE] = control_disk_use,
    [COLLET_OP_DISK_GET] = control_disk_get,
    [COLLET_OP_DISK_SET] = control_disk_set,
    [COLLET_OP_DISK_MODEL] = control_disk_model,
    [COLLET_OP_DISK_RECORD] = control_disk_record,
    [COLLET_OP_DISK_RECORD_READ] = control_disk_record_read,
    [COLLET_OP_VBD_CREATE] = control_vbd_create,
    [COLLET_OP_VBD_DESTROY] = control_vbd_destroy,
    [COLLET_OP_VBD_CONNECT] = control_vbd_connect,
    [COLLET_OP_VBD_DISCONNECT] = control_vbd_disconnect,
    [COLLET_OP_VBD_LIMITS] = control_vbd_limits,
    [COLLET_OP_VBD_LIST] = control_vbd_list,
    [COLLET_OP_VBD_EXTENTS] = control_vbd_extents,
    [COLLET_OP_NIC_LIST] = control_nic_list,
    [COLLET_OP_VIF_CREATE] = control_vif_create,
    [COLLET_OP_VIF_DESTROY] = control_vif_destroy,
    [COLLET_OP_VIF_CONNECT] = control_vif_connect,
    [COLLET_OP_VIF_DISCONNECT] = control_vif_disconnect,
    [COLLET_OP_VIF_SET] = control_vif_set,
    [COLLET_OP_VIF_LIST] = control_vif_list,
    [COLLET_OP_NET_SCHED_LIST] = control_net_sched_list,
    [COLLET_OP_NET_SCHED_USE] = control_net_sched_use,
    [COLLET_OP_RULES_LOAD] = control_rules_load,
    [COLLET_OP_RULES_CONFIRM] = control_rules_confirm,
    [COLLET_OP_RULES_INFO] = control_rules_info,
    [COLLET_OP_RULES_READ] = control_rules_read,
    [COLLET_OP_RULES_COUNTERS] = control_rules_counters,
    [COLLET_OP_RULE_KINDS] = control_rule_kinds,
    [COLLET_OP_FLOWS_SET] = control_flows_set,
    [COLLET_OP_FLOWS_LIST] = control_flows_list,
    [COLLET_OP_CAPTURE_OPEN] = control_capture_open,
    [COLLET_OP_CAPTURE_INFO] = control_capture_info,
    [COLLET_OP_CAPTURE_CLOSE] = control_capture_close,
};

/* Whether guest memory is all zero: 0, -E2BIG, -EFAULT. */
static int rest_is_zero(uint64_t at, size_t bytes)
{
    char chunk[CHUNK];

    while (bytes > 0) {
        size_t n = min(bytes, sizeof(chunk));

        if (copy_from_guest(chunk, at, n) != 0)
            return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (chunk[i] != 0)
                return -E2BIG;
        at += n;
        bytes -= n;
    }
    return 0;
}

int control_copy_in(void *to, size_t known, uint64_t arg, size_t bytes)
{
    size_t n = min(known, bytes);

    if (bytes > PAGE_SIZE)
        return -E2BIG;
    memset((char *)to + n, 0, known - n);
    if (copy_from_guest(to, arg, n) != 0)
        return -EFAULT;
    return rest_is_zero(arg + n, bytes - n);
}

int control_copy_out(uint64_t arg, size_t bytes, const void *from, size_t known)
{
    return copy_to_guest(arg, from, min(known, bytes));
}

int control_domain_find(uint32_t domid, struct domain **d)
{
    if (domid > 0xffff)
        return -ESRCH;
    *d = domain_find((domid_t)domid);
    if (*d == NULL)
        return -ESRCH;
    if (READ_ONCE((*d)->dying)) {
        domain_put(*d);
        return -ESRCH;
    }
    return 0;
}

bool control_name_ok(const char *name, size_t room)
{
    size_t i;

    for (i = 0; i < room && name[i] != '\0'; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
              c == '+'))
            return false;
    }
    return i > 0 && i < room;
}

long control_version(uint64_t arg, size_t bytes)
{
    struct collet_version v = {.version = COLLET_CONTROL_VERSION};

    strlcpy(v.release, "collet " COLLET_VERSION " (" __VERSION__ ")", sizeof(v.release));
    return control_copy_out(arg, bytes, &v, sizeof(v));
}

long control_machine(uint64_t arg, size_t bytes)
{
    struct collet_machine m;
    uint64_t owned = 0;
    struct domain *d;
    int rc = control_copy_in(&m, sizeof(m), arg, bytes);

    if (rc != 0)
        return rc;
    memset(&m, 0, sizeof(m));
    m.now_ns = clock_now_ns();
    m.wall_base_ns = clock_wall_base_ns();
    m.tsc_hz = clock_tsc_hz;
    m.cpus = cpu_count;
    spin_lock(&domain_list_lock);
    for (d = domain_list; d != NULL; d = d->next) {
        m.domains++;
        owned += READ_ONCE(d->frame_count) + READ_ONCE(d->shared_frames);
    }
    spin_unlock(&domain_list_lock);
    m.frames_total = frames_total_count();
    m.frames_free = frames_free_count();
    m.frames_hypervisor = m.frames_total - min(m.frames_total, m.frames_free + owned);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        m.idle_ns[cpu] = sched_idle_ns(cpu);
    return control_copy_out(arg, bytes, &m, sizeof(m));
}

/* Numbers from 64 on; there is one. Context and arguments: traps/entry.S. */
long hypercall_private(unsigned int nr, uint64_t op, uint64_t arg, uint64_t bytes, uint64_t version, uint64_t a5 unused_arg)
{
    if (nr != COLLET_HYPERCALL)
        return -ENOSYS;
    if (!current_vcpu()->domain->privileged)
        return -EPERM;
    if (op == COLLET_OP_VERSION)
        return control_version(arg, bytes);
    if (version != COLLET_CONTROL_VERSION)
        return -EPROTO;
    if (op >= ARRAY_SIZE(control_table) || control_table[op] == NULL)
        return -ENOSYS;
    return control_table[op](arg, bytes);
}
