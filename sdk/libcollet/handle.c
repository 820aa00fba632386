// SPDX-License-Identifier: MIT
/*
 * libcollet's handle: opening and closing, one operation, and what to tell people when it failed.
 *
 * Argument structures and lists are copied through memory that the hypervisor can always reach (internal.h), so that nothing a caller hands in need be special.
 * Contract: <collet/collet.h>.  Tests: test-calls.c.  Page: docs/reference/libcollet.md.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EFAULT_TRIES 8

int collet_fail(struct collet *c, int rc, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->error, sizeof(c->error), format, args);
    va_end(args);
    return rc;
}

static const struct {
    enum collet_op op;
    const char *name; /* completes "cannot ..." */
} op_names[] = {
    {COLLET_OP_VERSION, "ask for the hypervisor's version"},
    {COLLET_OP_MACHINE, "ask about the machine"},
    {COLLET_OP_LOG_READ, "read the hypervisor's log"},
    {COLLET_OP_CHANGES, "read the record of changes"},
    {COLLET_OP_DOMAIN_CREATE, "create the domain"},
    {COLLET_OP_DOMAIN_POPULATE, "give the domain memory"},
    {COLLET_OP_DOMAIN_WRITE, "write to the domain's memory"},
    {COLLET_OP_DOMAIN_SHARE, "share a page of the domain"},
    {COLLET_OP_DOMAIN_START_STATE, "make the domain ready to run"},
    {COLLET_OP_DOMAIN_UNPAUSE, "unpause the domain"},
    {COLLET_OP_DOMAIN_PAUSE, "pause the domain"},
    {COLLET_OP_DOMAIN_DESTROY, "destroy the domain"},
    {COLLET_OP_DOMAIN_RENAME, "rename the domain"},
    {COLLET_OP_DOMAIN_MEMORY_MAX, "set the domain's maximum memory"},
    {COLLET_OP_DOMAIN_LIST, "list the domains"},
    {COLLET_OP_VCPU_LIST, "list the domain's vCPUs"},
    {COLLET_OP_VCPU_AFFINITY, "set where the vCPU may run"},
    {COLLET_OP_DOMAIN_PAGES, "count the domain's pages"},
    {COLLET_OP_SCHED_LIST, "list the schedulers"},
    {COLLET_OP_SCHED_PARAM_LIST, "list the scheduler's parameters"},
    {COLLET_OP_SCHED_STATUS, "ask about the scheduler"},
    {COLLET_OP_SCHED_USE, "change the scheduler"},
    {COLLET_OP_SCHED_GET, "read scheduler parameters"},
    {COLLET_OP_SCHED_SET, "set scheduler parameters"},
    {COLLET_OP_TRACE_START, "start the trace"},
    {COLLET_OP_TRACE_STOP, "stop the trace"},
    {COLLET_OP_CAPTURE_OPEN, "capture"},
    {COLLET_OP_CAPTURE_INFO, "ask about the capture"},
    {COLLET_OP_CAPTURE_CLOSE, "end the capture"},
    {COLLET_OP_TRACE_INFO, "ask about the trace"},
    {COLLET_OP_DISK_LIST, "list the disks"},
    {COLLET_OP_DISK_MODULE_LIST, "list the disk modules"},
    {COLLET_OP_DISK_PARAM_LIST, "list the disk module's parameters"},
    {COLLET_OP_DISK_USE, "change the disk's module"},
    {COLLET_OP_DISK_GET, "read disk parameters"},
    {COLLET_OP_DISK_SET, "set disk parameters"},
    {COLLET_OP_DISK_MODEL, "change the disk's model"},
    {COLLET_OP_DISK_RECORD, "change the disk's recording"},
    {COLLET_OP_DISK_RECORD_READ, "read the disk's recording"},
    {COLLET_OP_VBD_CREATE, "create the VBD"},
    {COLLET_OP_VBD_DESTROY, "destroy the VBD"},
    {COLLET_OP_VBD_CONNECT, "connect the VBD"},
    {COLLET_OP_VBD_DISCONNECT, "disconnect the VBD"},
    {COLLET_OP_VBD_LIMITS, "set the VBD's limits"},
    {COLLET_OP_VBD_LIST, "list the VBDs"},
    {COLLET_OP_VBD_EXTENTS, "read the VBD's extents"},
    {COLLET_OP_NIC_LIST, "list the network cards"},
    {COLLET_OP_VIF_CREATE, "create the VIF"},
    {COLLET_OP_VIF_DESTROY, "destroy the VIF"},
    {COLLET_OP_VIF_CONNECT, "connect the VIF"},
    {COLLET_OP_VIF_DISCONNECT, "disconnect the VIF"},
    {COLLET_OP_VIF_SET, "change the VIF's settings"},
    {COLLET_OP_VIF_LIST, "list the VIFs"},
    {COLLET_OP_NET_SCHED_LIST, "list the packet schedulers"},
    {COLLET_OP_NET_SCHED_USE, "change the packet scheduler"},
    {COLLET_OP_RULES_LOAD, "load the rules"},
    {COLLET_OP_RULES_CONFIRM, "confirm the rules"},
    {COLLET_OP_RULES_INFO, "ask about the rules"},
    {COLLET_OP_RULES_READ, "read the rules back"},
    {COLLET_OP_RULES_COUNTERS, "read the rules' counters"},
    {COLLET_OP_RULE_KINDS, "list the kinds of rules"},
    {COLLET_OP_FLOWS_SET, "change how flows are tracked"},
    {COLLET_OP_FLOWS_LIST, "list the flows"},
};

const char *collet_op_name(enum collet_op op)
{
    for (size_t i = 0; i < sizeof(op_names) / sizeof(op_names[0]); i++)
        if (op_names[i].op == op)
            return op_names[i].name;
    return "do an operation that this library does not know";
}

/* What an operation means by an error, where that is more than the error's usual meaning; op 0: any. */
static const struct {
    int op, error;
    const char *why;
} reasons[] = {
    {COLLET_OP_DOMAIN_CREATE, EEXIST, "another domain has that name"},
    {COLLET_OP_DOMAIN_CREATE, EINVAL, "the name must be 1 to 31 letters, digits or any of . _ - +, and there must be 1 to 64 vCPUs"},
    {COLLET_OP_DOMAIN_POPULATE, ENOMEM, "not enough memory is free, or its maximum is less than that"},
    {COLLET_OP_DOMAIN_START_STATE, EINVAL, "the hypervisor refused its page tables or addresses; the hypervisor's log says which"},
    {COLLET_OP_DOMAIN_UNPAUSE, EBUSY, "it is still being built"},
    {COLLET_OP_DOMAIN_PAUSE, EINVAL, "Domain0 cannot be paused"},
    {COLLET_OP_DOMAIN_DESTROY, EINVAL, "Domain0 cannot be destroyed: shut the machine down instead"},
    {COLLET_OP_DOMAIN_RENAME, EEXIST, "another domain has that name"},
    {COLLET_OP_DOMAIN_RENAME, EINVAL, "the name must be 1 to 31 letters, digits or any of . _ - +, and Domain0's name stays"},
    {COLLET_OP_VCPU_AFFINITY, EINVAL, "none of these CPUs exists"},
    {COLLET_OP_VCPU_AFFINITY, ENOENT, "it has no such vCPU"},
    {COLLET_OP_SCHED_PARAM_LIST, ENOENT, "there is no scheduler of that name"},
    {COLLET_OP_SCHED_USE, ENOENT, "there is no scheduler of that name"},
    {COLLET_OP_SCHED_USE, EBUSY, "another change is under way: try again"},
    {COLLET_OP_SCHED_USE, EINVAL, "that scheduler is incomplete: one of its required functions is missing"},
    {COLLET_OP_SCHED_GET, ENOENT, "there is no such parameter, or no such vCPU"},
    {COLLET_OP_SCHED_SET, ENOENT, "there is no such parameter, or no such vCPU"},
    {COLLET_OP_SCHED_SET, EINVAL, "the scheduler says that these values make no sense together"},
    {COLLET_OP_SCHED_SET, ENOSPC, "the scheduler has not so much left to promise"},
    {COLLET_OP_SCHED_GET, EOPNOTSUPP, "that parameter does not exist at that scope"},
    {COLLET_OP_SCHED_SET, EOPNOTSUPP, "that parameter cannot be set at that scope"},
    {COLLET_OP_SCHED_SET, ERANGE, "the value is out of the parameter's range"},
    {COLLET_OP_SCHED_GET, ESTALE, "another scheduler is active now"},
    {COLLET_OP_SCHED_SET, ESTALE, "another scheduler is active now"},
    {COLLET_OP_DOMAIN_MEMORY_MAX, EINVAL, "it must be at least one frame, and less than 4 PiB"},
    {COLLET_OP_SCHED_GET, EINVAL, "it has no such scope: module, domain or vCPU"},
    {COLLET_OP_TRACE_INFO, EINVAL, "there is no such CPU"},
    {COLLET_OP_TRACE_START, EINVAL, "there are no such kinds of records, or the pages of a ring are not a power of two up to 1024"},
    {COLLET_OP_TRACE_START, EBUSY, "there are rings of another size since boot: leave the size alone"},
    {COLLET_OP_DISK_PARAM_LIST, ENOENT, "there is no disk module of that name"},
    {COLLET_OP_DISK_USE, ENOENT, "there is no disk module of that name"},
    {COLLET_OP_DISK_USE, EBUSY, "another change is under way: try again"},
    {COLLET_OP_DISK_GET, ENOENT, "there is no such parameter"},
    {COLLET_OP_DISK_SET, ENOENT, "there is no such parameter"},
    {COLLET_OP_DISK_GET, ESRCH, "there is no such VBD on this disk"},
    {COLLET_OP_DISK_SET, ESRCH, "there is no such VBD on this disk"},
    {COLLET_OP_DISK_SET, EINVAL, "the module says that these values make no sense together"},
    {COLLET_OP_DISK_SET, ENOSPC, "the module has not so much left to promise"},
    {COLLET_OP_DISK_GET, EINVAL, "it has no such scope: disk or VBD"},
    {COLLET_OP_DISK_GET, EOPNOTSUPP, "that parameter does not exist at that scope"},
    {COLLET_OP_DISK_SET, EOPNOTSUPP, "that parameter cannot be set at that scope"},
    {COLLET_OP_DISK_SET, ERANGE, "the value is out of the parameter's range"},
    {COLLET_OP_DISK_GET, ESTALE, "another module orders the disk now"},
    {COLLET_OP_DISK_SET, ESTALE, "another module orders the disk now"},
    {COLLET_OP_DISK_MODEL, ENOENT, "there is no model of that drive"},
    {COLLET_OP_DISK_RECORD, EBUSY, "a recording of this disk is under way"},
    {COLLET_OP_DISK_RECORD, ENOENT, "no recording of this disk is under way"},
    {COLLET_OP_DISK_RECORD, EINVAL, "the room must be a power of two up to 65536 records"},
    {COLLET_OP_DISK_RECORD_READ, ENOENT, "there is no recording of this disk, or all of it was read"},
    {COLLET_OP_VBD_CREATE, EEXIST, "the domain has a VBD of that device number"},
    {COLLET_OP_VBD_CREATE, ERANGE, "an extent goes beyond the end of its disk, or is not aligned to the disk's blocks"},
    {COLLET_OP_VBD_CREATE, EROFS, "the disk can only be read, and the VBD is to be written"},
    {COLLET_OP_VBD_CREATE, EBUSY, "another VBD holds some of these sectors, and they are not shared by both"},
    {COLLET_OP_VBD_CREATE, EPERM, "only Domain0 may: run this there; and only Domain0 may have raw disks"},
    {COLLET_OP_VBD_CREATE, E2BIG, "it has too many extents: at most 8192"},
    {COLLET_OP_VBD_CREATE, EINVAL, "its name, flags or extents are wrong: a name has 1 to 31 letters, digits or any of . _ - +; every extent but the last has at least 256 sectors; none overlaps another"},
    {COLLET_OP_VBD_CREATE, ENOSPC, "the domain has as many VBDs as a domain may have (64)"},
    {COLLET_OP_VBD_CONNECT, EALREADY, "it is connected already"},
    {COLLET_OP_VBD_CONNECT, EINVAL, "the guest has granted no such ring page to the backend, or has no such port for it"},
    {COLLET_OP_VBD_DESTROY, ENOENT, "there is no such VBD"},
    {COLLET_OP_VBD_CONNECT, ENOENT, "there is no such VBD"},
    {COLLET_OP_VBD_DISCONNECT, ENOENT, "there is no such VBD"},
    {COLLET_OP_VBD_LIMITS, ENOENT, "there is no such VBD"},
    {COLLET_OP_VBD_EXTENTS, ENOENT, "there is no such VBD"},
    {COLLET_OP_VIF_CREATE, EEXIST, "the domain has a VIF of that device number, or that name or MAC address is taken on its network"},
    {COLLET_OP_VIF_CREATE, ENODEV, "its network is that of a card that does not exist"},
    {COLLET_OP_VIF_CREATE, ERANGE, "its MAC address is not that of one interface, or an address, the network or the weight (1 to 1000) is out of range"},
    {COLLET_OP_VIF_CREATE, EINVAL, "its name must be DOMAIN.VIF, of letters, digits or any of . _ - +, and its flags ones that exist"},
    {COLLET_OP_VIF_CREATE, ENOSPC, "the domain has as many VIFs as a domain may have (8), or there are 1024 in all"},
    {COLLET_OP_VIF_SET, ENODEV, "that network is that of a card that does not exist"},
    {COLLET_OP_VIF_SET, ERANGE, "an address, the network or the weight (1 to 1000) is out of range"},
    {COLLET_OP_VIF_SET, EEXIST, "that network has an interface with this MAC address"},
    {COLLET_OP_VIF_SET, ENOENT, "there is no such VIF"},
    {COLLET_OP_VIF_SET, EBUSY, "it ends just now, or somebody else is changing it: try again"},
    {COLLET_OP_VIF_CONNECT, EALREADY, "it is connected already"},
    {COLLET_OP_VIF_CONNECT, EINVAL, "the guest has granted no such ring pages to the backend, or has no such port for it"},
    {COLLET_OP_VIF_CONNECT, ENOENT, "there is no such VIF"},
    {COLLET_OP_VIF_DESTROY, ENOENT, "there is no such VIF"},
    {COLLET_OP_VIF_DISCONNECT, ENOENT, "there is no such VIF"},
    {COLLET_OP_NET_SCHED_USE, ENOENT, "there is no packet scheduler of that name"},
    {COLLET_OP_RULES_LOAD, EBUSY, "a set that was loaded before waits to be confirmed: `collet rules confirm`, or wait"},
    {COLLET_OP_RULES_LOAD, ESTALE, "other rules were loaded meanwhile"},
    {COLLET_OP_RULES_LOAD, E2BIG, "the set is longer than 64 MiB, or has more rules, names or addresses than fit"},
    {COLLET_OP_RULES_LOAD, EINVAL, "the set is damaged"},
    {COLLET_OP_RULES_LOAD, ENOMEM, "the hypervisor has not enough memory for this set beside the one in force, which stays"},
    {COLLET_OP_RULES_CONFIRM, ESTALE, "that generation does not wait to be confirmed: it was confirmed, or put back when its time was over"},
    {COLLET_OP_RULES_READ, ESTALE, "other rules are in force now"},
    {COLLET_OP_RULES_COUNTERS, ESTALE, "other rules are in force now"},
    {COLLET_OP_FLOWS_SET, ERANGE, "there can be at most 1048576 flows"},
    {COLLET_OP_CAPTURE_OPEN, EBUSY, "eight captures are open already; `collet capture --list` shows them, and --end ends one"},
    {COLLET_OP_CAPTURE_INFO, ENOENT, "it was closed by somebody, or because nobody had asked about it for ten minutes"},
    {COLLET_OP_CAPTURE_INFO, EINVAL, "more was given back than was read"},
    {COLLET_OP_CAPTURE_CLOSE, ENOENT, "there is no such capture"},
    {0, ENODEV, "there is no such disk"},
    {0, EPERM, "only Domain0 may: run this there"},
    {0, EPROTO, "the hypervisor speaks another version of the control interface: install a libcollet of the same release"},
    {0, ENOSYS, "the hypervisor does not know how: it is older than this program, or not Collet"},
    {0, E2BIG, "the hypervisor is older than this program and does not know one of its fields"},
    {0, ESRCH, "there is no such domain"},
    {0, ENOMEM, "the hypervisor has not enough memory"},
    {0, EFAULT, "the hypervisor could not reach this program's memory; Domain0 may be short of memory"},
    {0, EBUSY, "not in this state of the domain"},
};

const char *collet_reason(enum collet_op op, int rc)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].error == -rc && (reasons[i].op == (int)op || reasons[i].op == 0))
            return reasons[i].why;
    return strerror(-rc);
}

int collet_explain(struct collet *c, enum collet_op op, int rc)
{
    return collet_fail(c, rc, "cannot %s: %s", collet_op_name(op), collet_reason(op, rc));
}

long collet_call(struct collet *c, enum collet_op op, void *arg, size_t bytes)
{
    long rc;

    if (bytes > PAGE_BYTES)
        return -E2BIG;
    if (bytes != 0)
        memcpy(c->arg, arg, bytes);
    rc = c->transport->hypercall(c->state, op, (uintptr_t)c->arg, bytes, COLLET_CONTROL_VERSION);
    if (bytes != 0)
        memcpy(arg, c->arg, bytes);
    return rc;
}

/* With no /dev/xen/hypercall, Linux may have been moving one of our pages just then: the next time it is there. */
int collet_control(struct collet *c, enum collet_op op, void *arg, size_t bytes)
{
    long rc = -EFAULT;

    for (int tries = 0; rc == -EFAULT && tries < EFAULT_TRIES; tries++)
        rc = collet_call(c, op, arg, bytes);
    return rc < 0 ? collet_explain(c, op, (int)rc) : (int)rc;
}

void *collet_memory(struct collet *c, size_t bytes)
{
    return c->transport->memory(c->state, (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));
}

void collet_memory_free(struct collet *c, void *memory, size_t bytes)
{
    if (memory != NULL)
        c->transport->memory_free(c->state, memory, (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));
}

int collet_begin(struct collet *c)
{
    struct collet_version v;
    int rc;

    c->arg = collet_memory(c, PAGE_BYTES + DATA_BYTES);
    if (c->arg == NULL)
        return collet_fail(c, -ENOMEM, "out of memory for hypercalls");
    c->data = c->arg + PAGE_BYTES;
    rc = collet_version(c, &v);
    if (rc == -ENOSYS)
        return collet_fail(c, rc, "the hypervisor below is not Collet, or too old to be controlled: boot Collet of this release");
    if (rc == 0 && v.version != COLLET_CONTROL_VERSION)
        return collet_fail(c, -EPROTO, "the hypervisor (%.64s) speaks version %u of the control interface and this library version %u: install both from one release", v.release,
                           v.version, COLLET_CONTROL_VERSION);
    return rc;
}

int collet_open(struct collet **handle)
{
    struct collet *c = calloc(1, sizeof(*c));
    int rc;

    *handle = c;
    if (c == NULL)
        return -ENOMEM;
    c->changes_fd = -1;
    rc = transport_linux_open(c);
    return rc == 0 ? collet_begin(c) : rc;
}

void collet_close(struct collet *c)
{
    if (c == NULL)
        return;
    if (c->changes_fd >= 0)
        close(c->changes_fd);
    if (c->transport != NULL) {
        collet_memory_free(c, c->arg, PAGE_BYTES + DATA_BYTES);
        c->transport->close(c->state);
    }
    free(c);
}

const char *collet_error(const struct collet *c)
{
    return c != NULL ? c->error : "out of memory";
}
