/* SPDX-License-Identifier: MIT */
/*
 * The control interface: what Domain0 asks of the hypervisor, and all of it. One hypercall of Collet's own, shared by the hypervisor
 * (hypervisor/control/) and libcollet (<collet/collet.h>); nobody else need include this.
 *
 *     rax = COLLET_HYPERCALL, rdi = operation, rsi = address of its argument structure, rdx = size of that structure, r10 = COLLET_CONTROL_VERSION
 *
 * Rules for every operation, unless it says otherwise:
 *   - Privilege: the caller's domain is privileged (Domain0). Anybody else: -EPERM, whatever the other arguments are.
 *   - The structure is copied in once, checked, acted upon, and its [out] fields are copied back on success. [out] fields are ignored on entry.
 *   - On failure nothing has changed.
 *   - A structure may be longer than the hypervisor knows, if the rest is zero (else -E2BIG), or shorter (then the rest counts as zero): fields are only ever
 *     appended. Reserved fields (`pad`) must be zero: -EINVAL.
 *   - Addresses are linear addresses of the caller, of memory that is present (libcollet sees to that): -EFAULT.
 *   - Common errors: -EPERM; -EPROTO the version is another; -ENOSYS no such operation; -EFAULT; -EINVAL; -E2BIG; -ESRCH no such domain (or it is dying);
 *     -ENOENT no such vCPU, module or parameter; -ENOMEM.
 *   - Units are in the names. Frames are of 4096 bytes. Times are system time, nanoseconds since the hypervisor's boot.
 *   - Strings are zero-terminated within their arrays.
 *
 * The version changes when a structure changes other than by appending. Reference made from this file: docs/abi/control.md.
 */
#pragma once

#include <stdint.h>

#define COLLET_HYPERCALL 0x100
#define COLLET_CONTROL_VERSION 1

#define COLLET_NAME_MAX 32 /* with the final zero: domains, modules, parameters */
#define COLLET_TEXT_MAX 96 /* one line for people */
#define COLLET_VCPUS_MAX 64
#define COLLET_DOMID_SELF 0x7ff0u /* DOMID_SELF of <xen/xen.h> */
#define COLLET_VCPU_ALL 0xffffffffu

enum collet_op {
    COLLET_OP_VERSION = 0,
    COLLET_OP_MACHINE = 1,
    COLLET_OP_LOG_READ = 2,
    COLLET_OP_CHANGES = 3,

    COLLET_OP_DOMAIN_CREATE = 16,
    COLLET_OP_DOMAIN_POPULATE = 17,
    COLLET_OP_DOMAIN_WRITE = 18,
    COLLET_OP_DOMAIN_SHARE = 19,
    COLLET_OP_DOMAIN_START_STATE = 20,
    COLLET_OP_DOMAIN_UNPAUSE = 21,
    COLLET_OP_DOMAIN_PAUSE = 22,
    COLLET_OP_DOMAIN_DESTROY = 23,
    COLLET_OP_DOMAIN_RENAME = 24,
    COLLET_OP_DOMAIN_MEMORY_MAX = 25,
    COLLET_OP_DOMAIN_LIST = 26,
    COLLET_OP_VCPU_LIST = 27,
    COLLET_OP_VCPU_AFFINITY = 28,
    COLLET_OP_DOMAIN_PAGES = 29,

    COLLET_OP_SCHED_LIST = 48,
    COLLET_OP_SCHED_PARAM_LIST = 49,
    COLLET_OP_SCHED_STATUS = 50,
    COLLET_OP_SCHED_USE = 51,
    COLLET_OP_SCHED_GET = 52,
    COLLET_OP_SCHED_SET = 53,

    COLLET_OP_TRACE_START = 64,
    COLLET_OP_TRACE_STOP = 65,
    COLLET_OP_TRACE_INFO = 66,

    COLLET_OP_DISK_LIST = 80,
    COLLET_OP_DISK_MODULE_LIST = 81,
    COLLET_OP_DISK_PARAM_LIST = 82,
    COLLET_OP_DISK_USE = 83,
    COLLET_OP_DISK_GET = 84,
    COLLET_OP_DISK_SET = 85,
    COLLET_OP_DISK_MODEL = 86,
    COLLET_OP_DISK_RECORD = 87,
    COLLET_OP_DISK_RECORD_READ = 88,

    COLLET_OP_VBD_CREATE = 96,
    COLLET_OP_VBD_DESTROY = 97,
    COLLET_OP_VBD_CONNECT = 98,
    COLLET_OP_VBD_DISCONNECT = 99,
    COLLET_OP_VBD_LIMITS = 100,
    COLLET_OP_VBD_LIST = 101,
    COLLET_OP_VBD_EXTENTS = 102,

    COLLET_OP_NIC_LIST = 112,
    COLLET_OP_VIF_CREATE = 113,
    COLLET_OP_VIF_DESTROY = 114,
    COLLET_OP_VIF_CONNECT = 115,
    COLLET_OP_VIF_DISCONNECT = 116,
    COLLET_OP_VIF_SET = 117,
    COLLET_OP_VIF_LIST = 118,
    COLLET_OP_NET_SCHED_LIST = 119,
    COLLET_OP_NET_SCHED_USE = 120,

    COLLET_OP_RULES_LOAD = 128,
    COLLET_OP_RULES_CONFIRM = 129,
    COLLET_OP_RULES_INFO = 130,
    COLLET_OP_RULES_READ = 131,
    COLLET_OP_RULES_COUNTERS = 132,
    COLLET_OP_RULE_KINDS = 133,
    COLLET_OP_FLOWS_SET = 134,
    COLLET_OP_FLOWS_LIST = 135,

    COLLET_OP_CAPTURE_OPEN = 144,
    COLLET_OP_CAPTURE_INFO = 145,
    COLLET_OP_CAPTURE_CLOSE = 146,
};

/* ---- The machine ---- */

/* COLLET_OP_VERSION. Any version in r10 is accepted: so a program finds out why another operation answered -EPROTO. */
struct collet_version {
    uint32_t version;    /* [out] COLLET_CONTROL_VERSION of the hypervisor */
    uint32_t pad;
    char release[64];    /* [out] for people: "collet 0.3 (git hash, compiler)" */
};

/* COLLET_OP_MACHINE. */
struct collet_machine {
    uint64_t now_ns;            /* [out] system time */
    uint64_t wall_base_ns;      /* [out] UTC since 1970 at system time 0 */
    uint64_t tsc_hz;            /* [out] */
    uint64_t frames_total;      /* [out] frames that domains and the hypervisor can own */
    uint64_t frames_free;       /* [out] */
    uint64_t frames_hypervisor; /* [out] of the total, those that belong to no domain and are not free */
    uint32_t cpus;              /* [out] pCPUs in use, numbered from 0 */
    uint32_t domains;           /* [out] on the list, Domain0 included */
    uint64_t idle_ns[COLLET_VCPUS_MAX]; /* [out] for each pCPU, how long it ran nothing */
};

/* COLLET_OP_LOG_READ: text of the hypervisor's log from position `from` on (counted in bytes since boot; the last 64 KiB are kept, older text is skipped; ~0: where it ends now). */
struct collet_log_read {
    uint64_t from;   /* [in] */
    uint64_t buffer; /* [in] address; receives text without a final zero */
    uint32_t bytes;  /* [in] its size  [out] how much was written */
    uint32_t pad;
    uint64_t next;   /* [out] `from` for the next read */
};

/*
 * COLLET_OP_CHANGES: what has changed since record number `after`. Each change also raises the global virtual IRQ COLLET_VIRQ_CHANGES in Domain0, after the
 * record is in place: bind it (EVTCHNOP_bind_virq, vCPU 0) and read until count is 0; nobody need poll. The last COLLET_CHANGES_KEPT records are kept; if some were overwritten
 * unread, `lost` tells how many and the caller reads the lists anew.
 */
#define COLLET_VIRQ_CHANGES 20 /* VIRQ_ARCH_4 of <xen/xen.h> */
#define COLLET_CHANGES_KEPT 1024

enum collet_change_kind {
    COLLET_CHANGE_DOMAIN_CREATED = 1,
    COLLET_CHANGE_DOMAIN_UNPAUSED = 2,
    COLLET_CHANGE_DOMAIN_PAUSED = 3,
    COLLET_CHANGE_DOMAIN_SHUT_DOWN = 4, /* value: reason, SHUTDOWN_* of <xen/sched.h> */
    COLLET_CHANGE_DOMAIN_DESTROYED = 5, /* the last of it: its number may come again much later */
    COLLET_CHANGE_DOMAIN_RENAMED = 6,
    COLLET_CHANGE_MEMORY_MAX = 7,       /* value: frames */
    COLLET_CHANGE_SCHED_USED = 8,       /* text: the module; value: 0 asked for, 1 put in place because the last one failed */
    COLLET_CHANGE_SCHED_SET = 9,        /* value: number of parameters set in one call */
    COLLET_CHANGE_SCHED_FAULT = 10,     /* text: "<module>: <what it did>" */
    COLLET_CHANGE_DISK_USED = 11,       /* text: "<disk>: <module>"; value: 0 asked for, 1 put in place because the last one failed */
    COLLET_CHANGE_DISK_FAULT = 12,      /* text: "<disk>: <module>: <what it did>" */
    COLLET_CHANGE_VBD_CREATED = 13,     /* value: its id; domid: whose */
    COLLET_CHANGE_VBD_DESTROYED = 14,   /* value: its id; domid: whose. Also when its domain went */
    COLLET_CHANGE_VIF_CREATED = 16,     /* value: its id; domid: whose */
    COLLET_CHANGE_VIF_DESTROYED = 17,   /* value: its id; domid: whose. Also when its domain went */
    COLLET_CHANGE_VIF_BROKEN = 18,      /* value: its id; text: what the ring's guest did; it is served no more until it is connected anew */
    COLLET_CHANGE_VIF_SET = 19,         /* value: its id */
    COLLET_CHANGE_RULES = 20,           /* value: the generation in force from now on; text: "loaded", "confirmed", "put back: not confirmed" */
    COLLET_CHANGE_NET_SCHED = 21,       /* text: the packet scheduler */
    COLLET_CHANGE_VBD_BROKEN = 15,      /* value: its id; text: what the ring's guest did; it is served no more until it is connected anew */
};

struct collet_change {
    uint64_t number; /* counts from 1 */
    uint64_t time_ns;
    uint64_t value;
    uint32_t kind; /* enum collet_change_kind */
    uint32_t domid; /* or ~0 */
    char text[COLLET_TEXT_MAX]; /* the domain's name, or as said above */
};

struct collet_changes {
    uint64_t after;  /* [in] number of the last record that the caller has seen; 0: none; ~0: none wanted, tell `last` alone */
    uint64_t buffer; /* [in] address of struct collet_change[count] */
    uint32_t count;  /* [in] room for so many, at most 256 at a time  [out] written */
    uint32_t pad;
    uint64_t lost;   /* [out] records between `after` and the first one written that are gone */
    uint64_t last;   /* [out] number of the newest record */
};

/* ---- Domains ---- */

/*
 * COLLET_OP_DOMAIN_CREATE: a domain without memory and with vCPUs that are down, paused, in the state `building`.
 * -EEXIST: the name is taken. -EINVAL: empty name, a character that is not a letter, digit, '.', '_', '-', '+' or a number of vCPUs that cannot be.
 */
struct collet_domain_create {
    char name[COLLET_NAME_MAX]; /* [in] */
    uint32_t vcpus;             /* [in] 1..COLLET_VCPUS_MAX */
    uint32_t pad;
    uint64_t frames_max;        /* [in] maximum reservation */
    uint32_t domid;             /* [out] */
    uint32_t pad2;
    uint64_t shared_info_maddr; /* [out] for start_info.shared_info */
};

/*
 * COLLET_OP_DOMAIN_POPULATE: give it zeroed frames for the pfns first_pfn to first_pfn + count - 1. Building only: -EBUSY.
 * All or nothing; -ENOMEM also if the maximum reservation would be exceeded. At most COLLET_POPULATE_MAX at a time, so that the caller's timers are not kept waiting.
 */
#define COLLET_POPULATE_MAX 2048u
struct collet_domain_populate {
    uint32_t domid;     /* [in] */
    uint32_t count;     /* [in] */
    uint64_t first_pfn; /* [in] */
    uint64_t mfns;      /* [in] address of uint64_t[count]: receives the machine frame numbers */
};

/*
 * COLLET_OP_DOMAIN_WRITE: copy into frames of a domain that is being built (-EBUSY otherwise): `bytes` bytes, beginning `offset` (< 4096) bytes into the frame mfns[0], going on in mfns[1]
 * and so forth. source 0 writes zeroes. At most COLLET_WRITE_MAX bytes at a time. -EINVAL: a frame that is not the domain's. After -EFAULT or -EINVAL a part may have been written.
 */
#define COLLET_WRITE_MAX (8u << 20)
struct collet_domain_write {
    uint32_t domid;  /* [in] */
    uint32_t offset; /* [in] */
    uint64_t mfns;   /* [in] address of uint64_t[(offset + bytes + 4095) / 4096] */
    uint64_t source; /* [in] address, or 0 */
    uint64_t bytes;  /* [in] */
};

/*
 * COLLET_OP_DOMAIN_SHARE: before it starts, grant one of its frames to Domain0 for reading and writing under a fixed reference (0 console, 1 XenStore, as <xen/grant_table.h>
 * reserves them; at most 7), and open a port of it that waits for Domain0. Building only: -EBUSY. -EINVAL: not its frame, or the reference is in use.
 */
struct collet_domain_share {
    uint32_t domid;     /* [in] */
    uint32_t grant_ref; /* [in] */
    uint64_t mfn;       /* [in] */
    uint32_t port;      /* [out] its event channel, for start_info */
    uint32_t pad;
};

/*
 * COLLET_OP_DOMAIN_START_STATE: check and pin the page tables under l4_mfn, and give vCPU 0 the state of the start of day (<xen/xen.h>): it will run at
 * `entry` with stack pointer `stack` and rsi = `start_info`. Ends the building: afterwards the domain's memory is its own. It is still paused.
 * -EBUSY: not building. -EINVAL: the page tables are refused (the log says where), or an address is not a guest's.
 */
struct collet_domain_start_state {
    uint32_t domid;      /* [in] */
    uint32_t pad;
    uint64_t l4_mfn;     /* [in] */
    uint64_t entry;      /* [in] */
    uint64_t stack;      /* [in] */
    uint64_t start_info; /* [in] */
    uint64_t ram_frames; /* [in] size of its memory map (XENMEM_memory_map); at least the frames that it has */
};

/* COLLET_OP_DOMAIN_UNPAUSE, _PAUSE, _DESTROY.
 * Pausing what is paused, or unpausing what runs, is no error and changes nothing. -EBUSY (unpause): it is still being built. -EINVAL (pause, destroy): Domain0.
 * pause returns when none of its vCPUs runs any more.
 * destroy works in every state, returns when the domain is gone from the list, and gives back all that it has; frames that another domain still has mapped follow when those mappings
 * go. It takes about a tenth of a second a GiB, preemptible, on the caller's vCPU. Meanwhile the domain is dying: lists show it, other operations answer -ESRCH.
 */
struct collet_domain_ref {
    uint32_t domid; /* [in] */
    uint32_t pad;
};

/* COLLET_OP_DOMAIN_RENAME. -EEXIST, -EINVAL as for create. Domain0's name stays: -EINVAL. */
struct collet_domain_rename {
    uint32_t domid; /* [in] */
    uint32_t pad;
    char name[COLLET_NAME_MAX]; /* [in] */
};

/* COLLET_OP_DOMAIN_MEMORY_MAX: its maximum reservation. It may be less than what it has: then it cannot grow until it has given enough back. */
struct collet_domain_memory_max {
    uint32_t domid; /* [in] */
    uint32_t pad;
    uint64_t frames_max; /* [in] */
};

enum {
    COLLET_DOMAIN_BUILDING = 1u << 0,
    COLLET_DOMAIN_PAUSED = 1u << 1,    /* by the control interface */
    COLLET_DOMAIN_SHUT_DOWN = 1u << 2, /* it has ended by itself; shutdown_reason tells why; it waits for its destruction */
    COLLET_DOMAIN_CRASHED = 1u << 3,   /* and that was a crash */
    COLLET_DOMAIN_DYING = 1u << 4,     /* being destroyed */
    COLLET_DOMAIN_PRIVILEGED = 1u << 5,
    COLLET_DOMAIN_BOOT_MODULE = 1u << 6, /* made at boot: destroyed by the hypervisor when it ends */
};

struct collet_domain_info {
    uint32_t domid;
    uint32_t flags; /* COLLET_DOMAIN_* */
    char name[COLLET_NAME_MAX];
    uint32_t vcpus_max, vcpus_online; /* online: up at this moment */
    uint32_t shutdown_reason;         /* SHUTDOWN_* of <xen/sched.h>, if COLLET_DOMAIN_SHUT_DOWN */
    uint32_t pad;
    uint64_t created_ns;
    uint64_t frames, frames_max; /* current and maximum reservation */
    uint64_t frames_shared;      /* hypervisor's pages that it may map: shared_info, grant table */
    uint64_t hypervisor_bytes;   /* what the hypervisor keeps for it: structures, stacks, FPU areas, grant and event tables */
    uint64_t runs_ns;            /* sums over its vCPUs; struct collet_vcpu_info has each */
    uint64_t hypercalls, faults, events;
    uint32_t ports;              /* event channels in use */
    uint32_t grants_mapped;      /* of its grants, how many others have mapped */
    char crash_text[COLLET_TEXT_MAX]; /* why it was crashed, or empty */
};

/* COLLET_OP_DOMAIN_LIST: domains in order of their numbers, from first_domid on. */
struct collet_domain_list {
    uint32_t first_domid; /* [in] */
    uint32_t count;       /* [in] room for so many  [out] written; fewer than there was room for: that was the last */
    uint64_t buffer;      /* [in] address of struct collet_domain_info[count] */
    uint32_t entry_bytes; /* [in] sizeof(struct collet_domain_info) as the caller knows it: entries are cut or filled with zeroes to that */
    uint32_t pad;
};

/* The latency of wake-ups. Bucket i counts first dispatches after a wake-up that came less than 2^i microseconds after it (and not less than 2^(i-1)); the last one counts the rest.
 * Waits after the end of a slice are not in it: they are the share of others, not latency. */
#define COLLET_LATENCY_BUCKETS 24

enum collet_vcpu_state { COLLET_VCPU_RUNNING, COLLET_VCPU_RUNNABLE, COLLET_VCPU_BLOCKED, COLLET_VCPU_OFFLINE }; /* as RUNSTATE_* of <xen/vcpu.h> */

struct collet_vcpu_info {
    uint32_t vcpu;
    uint32_t state; /* enum collet_vcpu_state */
    uint32_t cpu;   /* where it runs, or ran last */
    uint32_t pad;
    uint64_t affinity;   /* CPUs that it may run on, bit per CPU */
    uint64_t time_ns[4]; /* spent in each state, up to now */
    uint64_t wakes;      /* blocked to runnable */
    uint64_t dispatches; /* runnable to running */
    uint64_t preemptions; /* of these, how often its slice was cut short or ran out while it still wanted to run */
    uint64_t migrations; /* dispatches on another CPU than the one before */
    uint64_t waited_max_ns; /* longest time from runnable to running */
    uint64_t latency[COLLET_LATENCY_BUCKETS];
    uint64_t events;      /* upcalls delivered to it */
    uint64_t hypercalls, faults, pt_emulations; /* page-table writes emulated */
};

/* COLLET_OP_VCPU_LIST: vCPUs of a domain, from first_vcpu on. */
struct collet_vcpu_list {
    uint32_t domid;      /* [in] */
    uint32_t first_vcpu; /* [in] */
    uint32_t count;      /* [in] room  [out] written */
    uint32_t entry_bytes; /* [in] as in struct collet_domain_list */
    uint64_t buffer;     /* [in] address of struct collet_vcpu_info[count] */
};

/* COLLET_OP_VCPU_AFFINITY: it may run on these CPUs alone, from its next dispatch on. -EINVAL: none of them exists. */
struct collet_vcpu_affinity {
    uint32_t domid;    /* [in] */
    uint32_t vcpu;     /* [in] or COLLET_VCPU_ALL */
    uint64_t affinity; /* [in] bits of CPUs that do not exist are ignored */
};

/* COLLET_OP_DOMAIN_PAGES: its frames by what they are used as at this moment. A walk over all its frames: not for every second. */
enum { COLLET_PAGES_NONE, COLLET_PAGES_L1, COLLET_PAGES_L2, COLLET_PAGES_L3, COLLET_PAGES_L4, COLLET_PAGES_DESCRIPTOR, COLLET_PAGES_WRITABLE, COLLET_PAGES_SHARED, COLLET_PAGES_TYPES };
struct collet_domain_pages {
    uint32_t domid; /* [in] */
    uint32_t pad;
    uint64_t frames[COLLET_PAGES_TYPES]; /* [out] by COLLET_PAGES_* */
    uint64_t pinned;                     /* [out] of all, how many are pinned page tables */
};

/* ---- Schedulers ---- */

/* COLLET_OP_SCHED_LIST: the modules that are linked in, in the order of the index; then the core's own round robin, "fallback", which takes over from a module that failed. */
struct collet_sched_module {
    char name[COLLET_NAME_MAX];
    char summary[COLLET_TEXT_MAX];
    uint32_t params;
    uint32_t active; /* 1: it is in charge */
};
struct collet_sched_list {
    uint32_t first;  /* [in] index */
    uint32_t count;  /* [in] room  [out] written */
    uint64_t buffer; /* [in] address of struct collet_sched_module[count] */
};

/* COLLET_OP_SCHED_PARAM_LIST: what a module lets one set. Types and scopes are those of <hv/sched-ops.h>. */
enum { COLLET_PARAM_UINT, COLLET_PARAM_NS, COLLET_PARAM_BOOL };
enum { COLLET_SCOPE_MODULE = 1, COLLET_SCOPE_DOMAIN = 2, COLLET_SCOPE_VCPU = 4 };
struct collet_sched_param {
    char name[COLLET_NAME_MAX];
    char help[160];
    uint32_t type;   /* COLLET_PARAM_* */
    uint32_t scopes; /* COLLET_SCOPE_* */
    uint64_t minimum, maximum, initial;
};
struct collet_sched_param_list {
    char module[COLLET_NAME_MAX]; /* [in] empty: the active one */
    uint32_t first;               /* [in] index */
    uint32_t count;               /* [in] room  [out] written */
    uint64_t buffer;              /* [in] address of struct collet_sched_param[count] */
};

/* COLLET_OP_SCHED_STATUS. */
#define COLLET_SCHED_FAULTS 8
struct collet_sched_status {
    char active[COLLET_NAME_MAX];  /* [out] */
    uint64_t since_ns;             /* [out] when it took over */
    uint64_t uses;                 /* [out] how often a module has taken over since boot */
    char dropped[COLLET_NAME_MAX]; /* [out] the last module that was replaced for a fault, or empty */
    char dropped_why[COLLET_TEXT_MAX]; /* [out] */
    uint64_t dropped_ns;           /* [out] */
    uint64_t faults[COLLET_SCHED_FAULTS]; /* [out] bad answers since boot, by kind */
    char fault_names[COLLET_SCHED_FAULTS][COLLET_NAME_MAX]; /* [out] empty: no such kind */
    uint64_t watchdog_ns;          /* [out] a runnable vCPU may wait so long; 0: it is off */
    struct {
        uint64_t switches, runs, preemptions, steals;
        uint32_t waiting, homed;
    } queues[COLLET_VCPUS_MAX];    /* [out] by pCPU */
    uint32_t cpus;                 /* [out] */
    uint32_t pad;
};

/* COLLET_OP_SCHED_USE: another module takes over, with every vCPU; parameters that the new one has under the same name, of the same type, keep their values for
 * domains and vCPUs if the new one allows them; what it does not know is remembered until a module comes that does; the others begin with their initial values. The one in charge already: nothing changes. -ENOENT; -ENOMEM; -EINVAL the module's table is incomplete. */
struct collet_sched_use {
    char module[COLLET_NAME_MAX]; /* [in] */
};

/*
 * COLLET_OP_SCHED_GET, _SET: parameters of the active module. Both take a list; SET checks all of it before it sets the first, so that a set of values comes into force whole or not at all.
 * -ENOENT: no such parameter or vCPU; -EOPNOTSUPP: not settable at that scope; -ERANGE; -ESRCH; -EINVAL: no such scope. `failed` tells which entry it was.
 * No entry by itself is to blame (failed == count): -ESTALE: the active module is not the one named; -EINVAL: the module says that they make no sense together; -ENOSPC: it has not so much to promise; -ENOMEM.
 */
struct collet_sched_value {
    char name[COLLET_NAME_MAX];
    uint32_t scope; /* one COLLET_SCOPE_* */
    uint32_t domid; /* for scopes DOMAIN and VCPU */
    uint32_t vcpu;  /* for scope VCPU */
    uint32_t pad;
    uint64_t value; /* SET: [in]  GET: [out] */
};
#define COLLET_SCHED_VALUES_MAX 512u
struct collet_sched_values {
    char module[COLLET_NAME_MAX]; /* [in] the module that these are for; empty: whichever is active */
    uint64_t buffer;              /* [in] address of struct collet_sched_value[count] */
    uint32_t count;               /* [in] at most COLLET_SCHED_VALUES_MAX */
    uint32_t failed;              /* [out], on failure too: index of the first bad entry; count if none is to blame */
};

/* ---- Trace: records and rings are in <collet/trace.h> ---- */

/* COLLET_OP_TRACE_START: record these kinds from now on (COLLET_TRACE_* bits); rings of `pages` pages per pCPU are made the first time (a power of two, at most 1024; 0: 64) and stay.
 * -EBUSY: rings of another size exist. _STOP: no argument; the rings keep what they have. */
struct collet_trace_start {
    uint64_t kinds; /* [in] */
    uint32_t pages; /* [in] */
    uint32_t pad;
};
/* COLLET_OP_TRACE_INFO. Frames are mapped read-only through privcmd as those of the domain COLLET_TRACE_DOMID. */
#define COLLET_TRACE_DOMID 0x7ff2u /* DOMID_XEN of <xen/xen.h> */
struct collet_trace_info {
    uint64_t kinds;  /* [out] recorded now */
    uint32_t cpus;   /* [out] */
    uint32_t pages;  /* [out] per pCPU, the header page not counted; 0: there are no rings yet */
    uint32_t cpu;    /* [in] whose ring to tell the frames of */
    uint32_t count;  /* [in] room in mfns  [out] written: 1 header page and then `pages` pages of records */
    uint64_t mfns;   /* [in] address of uint64_t[count], or 0 */
};

/* ---- Disks: what the hypervisor drives. Modules are those of <hv/blk-ops.h>, one at work on each disk ---- */

enum {
    COLLET_DISK_READ_ONLY = 1u << 0,
    COLLET_DISK_CAN_FLUSH = 1u << 1,        /* it has a volatile cache, and empties it when asked */
    COLLET_DISK_CAN_DISCARD = 1u << 2,
    COLLET_DISK_CAN_WRITE_ZEROES = 1u << 3,
    COLLET_DISK_MODELLED = 1u << 4,         /* completions come when the modelled drive would have them */
    COLLET_DISK_FAILED = 1u << 5,           /* the device does not answer, resets neither: every request ends with an error */
    COLLET_DISK_RECORDED = 1u << 6,
    COLLET_DISK_ROTATES = 1u << 7, /* seeking costs, or the modelled drive has it cost */
};

/* What is counted, for each disk and each VBD, by these kinds. */
enum { COLLET_BLK_READ, COLLET_BLK_WRITE, COLLET_BLK_DISCARD, COLLET_BLK_FLUSH, COLLET_BLK_KINDS };
/* Where the time of a request goes: in the ring until it was taken and checked and in the queue of its VBD's limits; in the ordering module; in the device. */
enum { COLLET_PHASE_RING, COLLET_PHASE_QUEUE, COLLET_PHASE_DEVICE, COLLET_PHASES };
#define COLLET_DISK_FAULTS 6

struct collet_disk_info {
    uint32_t disk;               /* its number, from 0 */
    uint32_t flags;              /* COLLET_DISK_* */
    char name[COLLET_NAME_MAX];  /* "disk0" */
    char driver[COLLET_NAME_MAX];
    char serial_number[COLLET_NAME_MAX]; /* as the device tells it, or empty */
    uint64_t sectors;            /* of 512 bytes */
    uint32_t sector_bytes;       /* logical block of the device: 512 or more; requests must be multiples */
    uint32_t depth;              /* requests that it takes at a time */
    uint32_t queues;             /* hardware queues in use */
    uint32_t sectors_max, segments_max; /* of one device request */
    uint32_t pad;
    char module[COLLET_NAME_MAX]; /* in charge of the order; "arrival": the core's own order, after a fault */
    uint64_t since_ns, uses;
    char dropped[COLLET_NAME_MAX]; /* the last module that was replaced for a fault, or empty */
    char dropped_why[COLLET_TEXT_MAX];
    uint64_t dropped_ns;
    uint64_t faults[COLLET_DISK_FAULTS]; /* bad answers since boot, by kind */
    char fault_names[COLLET_DISK_FAULTS][COLLET_NAME_MAX];
    uint64_t watchdog_ns;        /* a module may sit on a request so long */
    uint32_t queued, issued;     /* now */
    uint64_t requests[COLLET_BLK_KINDS];     /* completed, without error or with */
    uint64_t sectors_done[COLLET_BLK_KINDS]; /* without error only */
    uint64_t device_requests;    /* what these became after merging */
    uint64_t errors;             /* device requests that ended with an error */
    uint64_t timeouts, resets;
    uint64_t interrupts;
    uint64_t seek_sectors;       /* sum of the distances between the end of a device request and the begin of the next */
    uint64_t busy_ns;            /* with at least one request in the device */
    char model[COLLET_NAME_MAX]; /* name of the modelled drive, or empty */
    uint64_t model_cylinders;    /* that its arm has moved over */
    uint64_t model_busy_ns;
};

/* COLLET_OP_DISK_LIST. */
struct collet_disk_list {
    uint32_t first;       /* [in] number */
    uint32_t count;       /* [in] room  [out] written */
    uint64_t buffer;      /* [in] address of struct collet_disk_info[count] */
    uint32_t entry_bytes; /* [in] as in struct collet_domain_list */
    uint32_t pad;
};

/* COLLET_OP_DISK_MODULE_LIST: struct collet_sched_list; `active` counts the disks that it orders. COLLET_OP_DISK_PARAM_LIST: struct collet_sched_param_list (module must be named), scopes are these. */
enum { COLLET_DISK_SCOPE_DISK = 1, COLLET_DISK_SCOPE_VBD = 2 };

/*
 * COLLET_OP_DISK_USE: another module orders this disk, from the next decision on; what is queued is handed over, what the device has ends as it would. Parameters keep their values by name, as for schedulers.
 * -ENODEV: no such disk; -ENOENT: no such module; -ENOMEM.
 */
struct collet_disk_use {
    uint32_t disk; /* [in] */
    uint32_t pad;
    char module[COLLET_NAME_MAX]; /* [in] */
};

/* COLLET_OP_DISK_GET, _SET: as COLLET_OP_SCHED_GET and _SET. -ENODEV: no such disk; -ESRCH: no such VBD (failed tells), or it does not lie on this disk. */
struct collet_disk_value {
    char name[COLLET_NAME_MAX];
    uint32_t scope; /* one COLLET_DISK_SCOPE_* */
    uint32_t vbd;   /* id, for scope VBD */
    uint64_t value; /* SET: [in]  GET: [out] */
};
struct collet_disk_values {
    char module[COLLET_NAME_MAX]; /* [in] the module that these are for (-ESTALE if another is in charge); empty: whichever is active */
    uint64_t buffer;              /* [in] address of struct collet_disk_value[count] */
    uint32_t count;               /* [in] at most COLLET_SCHED_VALUES_MAX */
    uint32_t failed;              /* [out], on failure too: index of the first bad entry; count if none is to blame */
    uint32_t disk;                /* [in] */
    uint32_t pad;
};

/* COLLET_OP_DISK_MODEL: delay completions as this drive would (<disk/disk-model.h>): "hp97560", or empty: as they come. Requests in the device end first. -ENODEV; -ENOENT no such drive;
 * -EBUSY: the disk is being recorded, and would be another one from here on. */
struct collet_disk_model {
    uint32_t disk; /* [in] */
    uint32_t pad;
    char drive[COLLET_NAME_MAX]; /* [in] */
};

/*
 * COLLET_OP_DISK_RECORD: begin (records != 0: room in the hypervisor for so many, a power of two, at most 65536) or end (0) a recording of one disk in the format of <collet/disk-record.h>. When
 * it begins, USE, SET and VBD records tell the state, and ARRIVE records what is queued. -EBUSY: it is under way. When there is no room left, records are counted and LOST stands in their place.
 * COLLET_OP_DISK_RECORD_READ takes the oldest records out. After the end what is left can still be read; then -ENOENT.
 */
struct collet_disk_recording {
    uint32_t disk;    /* [in] */
    uint32_t records; /* [in] */
};
struct collet_disk_record_read {
    uint32_t disk;    /* [in] */
    uint32_t count;   /* [in] room, at most 512 at a time  [out] written */
    uint64_t buffer;  /* [in] address of struct collet_disk_record[count] */
    uint64_t lost;    /* [out] records lost since it began */
    uint32_t running; /* [out] 1: more will come */
    uint32_t pad;
};

/* ---- Virtual block devices: what domains see ---- */

/* A run of sectors of one disk. A VBD is a list of them, in its own order. */
struct collet_extent {
    uint32_t disk;
    uint32_t pad;
    uint64_t sector;  /* first one on the disk */
    uint64_t sectors; /* at least COLLET_EXTENT_MIN, but the last may be shorter */
};
#define COLLET_EXTENT_MIN 256u
#define COLLET_EXTENTS_MAX 8192u

enum {
    COLLET_VBD_READ_ONLY = 1u << 0,
    COLLET_VBD_SHARED = 1u << 1,    /* others may hold the same sectors, if they say so too, or both only read */
    COLLET_VBD_CONNECTED = 1u << 2, /* [out] a ring is served */
    COLLET_VBD_BROKEN = 1u << 3,    /* [out] its guest broke the rules of the ring */
    COLLET_VBD_RAW = 1u << 4,       /* Domain0's view of whole disks: does not count as a holder of sectors ("unchecked access") */
};

/*
 * COLLET_OP_VBD_CREATE: give a domain these sectors, under a device number of its own. -EEXIST: it has a VBD of that number. -ENODEV: no such disk. -ERANGE: beyond the end of the disk, or not
 * aligned to its blocks. -EROFS: the disk is read-only, the VBD not. -EBUSY: another VBD holds some of these sectors, and they may not be shared; `holder` tells which. -EPERM: COLLET_VBD_RAW for another than
 * Domain0. -E2BIG; -EINVAL: no extents, an extent too short, overlapping itself. -ENOSPC: more VBDs than a domain may have (COLLET_VBDS_MAX).
 */
#define COLLET_VBDS_MAX 64u
struct collet_vbd_create {
    uint32_t domid;             /* [in] */
    uint32_t flags;             /* [in] COLLET_VBD_READ_ONLY, _SHARED, _RAW */
    uint32_t device;            /* [in] virtual device number, as xenbus has it (51712: xvda) */
    uint32_t extents;           /* [in] how many */
    uint64_t buffer;            /* [in] address of struct collet_extent[extents] */
    char name[COLLET_NAME_MAX]; /* [in] for people; as names of domains */
    uint32_t vbd;               /* [out] id: never given again while the machine runs */
    uint32_t holder;            /* [out] on -EBUSY too: id of a VBD that has some of these sectors */
};

/*
 * COLLET_OP_VBD_CONNECT: serve the ring that a blkfront has offered: a page granted to COLLET_BACKEND_DOMID, and a port that waits for it. The layout is that of x86_64 (<xen/io/blkif.h>), with indirect requests of up to
 * COLLET_VBD_INDIRECT_MAX segments, flush, barrier and discard as the disks below can; grants are mapped for each request (feature-persistent is not offered).
 * -EALREADY: connected. -EINVAL: no such grant or port, or not for the backend.
 * COLLET_OP_VBD_DISCONNECT: no more requests are taken; returns when those that were taken have ended, and ring and port are given back. No error if it is not connected.
 * COLLET_OP_VBD_DESTROY: the same, and the VBD is gone. A domain's end does the same for all of its.
 * Both may answer -EINTR when the disks take their time: call again, until the answer is another (libcollet does). -ENOENT, for all of them: no such VBD.
 */
#define COLLET_BACKEND_DOMID 0x7ff2u /* DOMID_XEN of <xen/xen.h>: no process of Domain0 can map what is granted to it */
#define COLLET_VBD_INDIRECT_MAX 32u
struct collet_vbd_connect {
    uint32_t vbd;      /* [in] */
    uint32_t ring_ref; /* [in] */
    uint32_t port;     /* [in] of the guest */
    uint32_t pad;
};
struct collet_vbd_ref {
    uint32_t vbd; /* [in] */
    uint32_t pad;
};

/* COLLET_OP_VBD_LIMITS: at most so much, over one tenth of a second; 0: no limit. Discards count as requests, not as bytes. -ERANGE: more than 10^9 requests or 2^32 bytes. */
struct collet_vbd_limits {
    uint32_t vbd; /* [in] */
    uint32_t pad;
    uint64_t requests_per_s; /* [in] */
    uint64_t bytes_per_s;    /* [in] */
};

struct collet_vbd_info {
    uint32_t vbd, domid, device, flags;
    char name[COLLET_NAME_MAX];
    uint64_t sectors;
    uint32_t extents;
    uint32_t sector_bytes; /* the largest of its disks */
    uint32_t disk_flags;   /* COLLET_DISK_CAN_* that all of its disks have */
    uint32_t in_flight;    /* taken and not answered */
    uint64_t created_ns, connected_ns;
    uint64_t requests_per_s, bytes_per_s; /* limits */
    uint64_t throttled, throttled_ns;     /* how often, and how long, a limit held requests back */
    uint64_t requests[COLLET_BLK_KINDS];     /* completed, without error or with */
    uint64_t sectors_done[COLLET_BLK_KINDS]; /* without error only: of a request that failed, the pieces before that */
    uint64_t refused;  /* answered with an error by the core: out of range, read-only, bad grants, bad segments */
    uint64_t errors;   /* answered with an error because the device had one */
    uint64_t notifies; /* events from the guest */
    uint64_t events;   /* events to the guest */
    char broken_why[COLLET_TEXT_MAX]; /* or empty */
    /* Buckets as in struct collet_vcpu_info; for reads [0] and for all else [1]. */
    uint64_t latency[2][COLLET_PHASES][COLLET_LATENCY_BUCKETS];
};

/* COLLET_OP_VBD_LIST: in order of their ids, from first_vbd on. */
struct collet_vbd_list {
    uint32_t first_vbd;   /* [in] */
    uint32_t count;       /* [in] room  [out] written */
    uint64_t buffer;      /* [in] address of struct collet_vbd_info[count] */
    uint32_t entry_bytes; /* [in] */
    uint32_t domid;       /* [in] of this domain only; ~0: of all */
};

/* COLLET_OP_VBD_EXTENTS: read back. */
struct collet_vbd_extents {
    uint32_t vbd;    /* [in] */
    uint32_t first;  /* [in] */
    uint32_t count;  /* [in] room  [out] written */
    uint32_t pad;
    uint64_t buffer; /* [in] address of struct collet_extent[count] */
};

/* ---- Network: NICs and virtual interfaces. Both are "interfaces" to rules and captures: a VIF by its id, NIC n as COLLET_IFACE_NIC + n ---- */

#define COLLET_IFACE_NIC     0x80000000u
#define COLLET_IFACE_NONE    0xffffffffu
#define COLLET_VIF_NAME_MAX  64u /* "domain.vif", with the final zero */
#define COLLET_VIF_ADDRESSES 8u
#define COLLET_VIFS_MAX      8u    /* of one domain */
#define COLLET_VIFS_ALL_MAX  1024u /* of all */
#define COLLET_SEGMENT_OWN   0x100u /* network segments: below, that of NIC n; from here on, without a wire */
#define COLLET_SEGMENTS      0x200u

/* Why a frame went no further. */
enum {
    COLLET_NET_DROP_RULE,     /* a rule or policy said drop, or reject */
    COLLET_NET_DROP_SPOOF,    /* an address that is not its sender's */
    COLLET_NET_DROP_NO_BUFFER,/* the receiver had none posted */
    COLLET_NET_DROP_NOT_CONNECTED, /* the receiver is down */
    COLLET_NET_DROP_MALFORMED,/* a frame too short, too long, or with lies about segmentation or checksums */
    COLLET_NET_DROP_GRANT,    /* a page that was not granted */
    COLLET_NET_DROP_TOO_LONG, /* for the receiver, who takes no segmented frames */
    COLLET_NET_DROP_NO_ROUTE, /* nobody has that address, and there is no wire */
    COLLET_NET_DROP_LIMIT,    /* of its rate */
    COLLET_NET_DROP_DEVICE,   /* the card failed, or was full */
    COLLET_NET_DROP_MEMORY,
    COLLET_NET_DROPS = 16
};
struct collet_net_counters {
    uint64_t packets, bytes; /* that passed */
    uint64_t segments;       /* what they become, or were, on the wire */
    uint64_t dropped[COLLET_NET_DROPS];
};

enum { COLLET_NIC_LINK = 1u << 0, COLLET_NIC_CAN_SUM = 1u << 1, COLLET_NIC_CAN_SEGMENT4 = 1u << 2, COLLET_NIC_CAN_SEGMENT6 = 1u << 3, COLLET_NIC_FAILED = 1u << 4 };
struct collet_nic_info {
    uint32_t nic;   /* its number, from 0; also that of its segment */
    uint32_t flags; /* COLLET_NIC_* */
    char name[COLLET_NAME_MAX]; /* "nic0" */
    char driver[COLLET_NAME_MAX];
    uint8_t mac[6];
    uint16_t mtu;
    uint32_t queues, depth, in_flight;
    uint64_t interrupts, resets, lies;
    struct collet_net_counters tx, rx; /* tx: onto the wire */
};
/* COLLET_OP_NIC_LIST. */
struct collet_nic_list {
    uint32_t first; /* [in] number */
    uint32_t count; /* [in] room  [out] written */
    uint64_t buffer; /* [in] address of struct collet_nic_info[count] */
    uint32_t entry_bytes; /* [in] */
    uint32_t pad;
};

enum {
    COLLET_VIF_SPOOF_OK = 1u << 0,   /* what it sends is not held against its addresses */
    COLLET_VIF_DOWN = 1u << 1,       /* administratively: nothing passes */
    COLLET_VIF_CONNECTED = 1u << 2,  /* [out] */
    COLLET_VIF_BROKEN = 1u << 3,     /* [out] */
    COLLET_VIF_ALL = 1u << 4,        /* it also gets frames for addresses that nobody has (a router, a bridge) */
};
/* An address: family 4 (the first four bytes) or 6, and how many bits of it count (32, 128: a host). */
struct collet_address {
    uint8_t bytes[16]; /* network order */
    uint8_t family, bits;
    uint8_t pad[2];
};
/* What may be changed while it is in use. */
struct collet_vif_settings {
    uint32_t flags;   /* COLLET_VIF_SPOOF_OK, _DOWN, _ALL */
    uint32_t segment; /* 0.. that of NIC n (-ENODEV: no such card); from COLLET_SEGMENT_OWN on one without a wire */
    uint32_t weight;  /* for the packet scheduler: 1..1000, 0: 100 */
    uint32_t addresses;
    uint64_t bytes_per_s, packets_per_s; /* transmit limits over a tenth of a second, 0: none */
    struct collet_address address[COLLET_VIF_ADDRESSES]; /* none: any IP address may be used */
};
/* COLLET_OP_VIF_CREATE. -EEXIST: the domain has one of that device number, or the segment has that mac, or the name is taken. -ENODEV; -ERANGE: a bad mac, address, segment or weight; -ENOSPC: too many. */
struct collet_vif_create {
    uint32_t domid;  /* [in] */
    uint32_t device; /* [in] virtual device number, as xenbus has it: 0, 1, ... */
    uint8_t mac[6];  /* [in] unicast */
    uint8_t pad[2];
    char name[COLLET_VIF_NAME_MAX];   /* [in] "web.0": as names of domains */
    char domain[COLLET_VIF_NAME_MAX]; /* [in] "web": rules may name all of a domain's */
    struct collet_vif_settings settings; /* [in] */
    uint32_t vif;    /* [out] id: never given again while the machine runs */
    uint32_t pad2;
};
/* COLLET_OP_VIF_SET: all settings at once. */
struct collet_vif_set {
    uint32_t vif; /* [in] */
    uint32_t pad;
    struct collet_vif_settings settings; /* [in] */
};

/* What the netfront has said it takes (<xen/io/netif.h>). */
enum {
    COLLET_VIF_RX_SG = 1u << 0,       /* feature-sg: frames in several buffers */
    COLLET_VIF_RX_TSO4 = 1u << 1,     /* feature-gso-tcpv4 */
    COLLET_VIF_RX_TSO6 = 1u << 2,     /* feature-gso-tcpv6 */
    COLLET_VIF_RX_NO_SUM4 = 1u << 3,  /* feature-no-csum-offload: no IPv4 frames without a checksum */
    COLLET_VIF_RX_SUM6 = 1u << 4,     /* feature-ipv6-csum-offload: IPv6 frames without a checksum are welcome */
};
/*
 * COLLET_OP_VIF_CONNECT: serve the two rings of a netfront: pages granted to COLLET_BACKEND_DOMID, one port (both the same) or two. The backend offers feature-rx-copy, feature-sg, feature-gso-tcpv4, -tcpv6,
 * feature-ipv6-csum-offload, feature-split-event-channels. -EALREADY; -EINVAL: no such grant or port. _DISCONNECT, _DESTROY: struct collet_vif_ref; -EINTR: call again, as for VBDs.
 */
struct collet_vif_connect {
    uint32_t vif;              /* [in] */
    uint32_t features;         /* [in] COLLET_VIF_RX_* */
    uint32_t tx_ref, rx_ref;   /* [in] */
    uint32_t tx_port, rx_port; /* [in] */
};
struct collet_vif_ref {
    uint32_t vif; /* [in] */
    uint32_t pad;
};
struct collet_vif_info {
    uint32_t vif, domid, device, flags;
    char name[COLLET_VIF_NAME_MAX];
    char domain[COLLET_VIF_NAME_MAX];
    uint8_t mac[6];
    uint8_t pad[2];
    struct collet_vif_settings settings;
    uint32_t features;
    uint32_t in_flight;         /* frames of it in a card */
    uint64_t created_ns, connected_ns;
    uint64_t notifies, events;  /* from the guest, to the guest */
    uint64_t throttled, throttled_ns;
    struct collet_net_counters tx, rx; /* tx: what the domain sent; each dropped frame is counted where it was dropped: rules of the sender in tx, of the receiver in rx */
    char broken_why[COLLET_TEXT_MAX];
};
/* COLLET_OP_VIF_LIST: in order of their ids. */
struct collet_vif_list {
    uint32_t first_vif;   /* [in] */
    uint32_t count;       /* [in] room  [out] written */
    uint64_t buffer;      /* [in] address of struct collet_vif_info[count] */
    uint32_t entry_bytes; /* [in] */
    uint32_t domid;       /* [in] of this domain only; ~0: of all */
};
/* COLLET_OP_NET_SCHED_LIST: struct collet_sched_list. COLLET_OP_NET_SCHED_USE: another one chooses whose packets go next, from the next turn on. -ENOENT, -ENOMEM. */
struct collet_net_sched_use {
    char module[COLLET_NAME_MAX]; /* [in] */
};

/* ---- Rules: a set in the form of <vfr/ruleset.h> replaces the one in force, whole or not at all; each has a generation, counted from 1 (0: none loaded: all passes that is not spoofed) ---- */

/*
 * COLLET_OP_RULES_LOAD. confirm_ms != 0: unless RULES_CONFIRM names this generation in time, the hypervisor puts the one before back, whatever has become of Domain0. bytes 0: back to none. -EINVAL: error_* say
 * what is wrong; -EBUSY: one waits to be confirmed (confirm or await it); -ESTALE: `expect` is not ~0, and not the generation in force; -E2BIG: more than COLLET_RULES_BYTES_MAX.
 */
#define COLLET_RULES_BYTES_MAX (64u << 20)
struct collet_rules_load {
    uint64_t buffer;     /* [in] the set */
    uint64_t bytes;      /* [in] */
    uint64_t expect;     /* [in] generation that it is to replace, ~0: any */
    uint32_t confirm_ms; /* [in] */
    uint32_t pad;
    uint64_t generation; /* [out] */
    uint32_t error_rule; /* [out] on -EINVAL too: index, ~0: the set as a whole */
    uint32_t error_line; /* [out] on -EINVAL too: of the text, 0: unknown */
    char error_text[160]; /* [out] on -EINVAL too */
};
/* COLLET_OP_RULES_CONFIRM. keep 0: put the one before back now. -ESTALE: it does not wait. */
struct collet_rules_confirm {
    uint64_t generation; /* [in] */
    uint32_t keep;       /* [in] */
    uint32_t pad;
};
/* COLLET_OP_RULES_INFO. */
struct collet_rules_info {
    uint64_t generation;      /* [out] in force; 0: none */
    uint64_t previous;        /* [out] put back if it is not confirmed; meaningful while confirm_left_ns is not 0 */
    uint64_t confirm_left_ns; /* [out] */
    uint64_t loaded_ns;       /* [out] */
    uint64_t bytes;           /* [out] of the set: RULES_READ gives them */
    uint64_t memory_bytes;    /* [out] that it takes in the hypervisor, compiled */
    uint32_t rules;           /* [out] */
    uint32_t flows_on;        /* [out] */
    uint64_t flows, flows_max, flows_begun, flows_expired, flows_evicted, flows_refused; /* [out] */
};
/* COLLET_OP_RULES_READ: the set in force, as it was loaded. -ESTALE: generation is not that in force. */
struct collet_rules_read {
    uint64_t generation; /* [in] */
    uint64_t offset;     /* [in] */
    uint64_t buffer;     /* [in] */
    uint64_t bytes;      /* [in] room  [out] written */
};
/* COLLET_OP_RULES_COUNTERS: rule `first` and on; the entry behind the last rule is that of the policies (id 0). */
struct collet_rule_counter {
    uint64_t id;
    uint32_t line, pad;
    uint64_t packets, bytes, last_ns;
};
struct collet_rules_counters {
    uint64_t generation; /* [in] -ESTALE */
    uint64_t buffer;     /* [in] address of struct collet_rule_counter[count] */
    uint32_t first;      /* [in] */
    uint32_t count;      /* [in] room  [out] written */
};
/* COLLET_OP_RULE_KINDS: struct collet_sched_list; `active` counts the rules in force that use it. */

/* COLLET_OP_FLOWS_SET: track flows even if no rule asks for their state (`collet flows`), and room for how many (0: as it is). */
struct collet_flows_set {
    uint32_t on;        /* [in] */
    uint32_t flows_max; /* [in] at most 2^20; changing it forgets all flows. 0: as it is */
};
/* COLLET_OP_FLOWS_LIST: entries are struct vfr_flow_info of <vfr/flows.h>. */
struct collet_flows_list {
    uint64_t cursor;      /* [in] 0 first  [out] for the next call; ~0: that was all */
    uint64_t buffer;      /* [in] */
    uint32_t count;       /* [in] room  [out] written */
    uint32_t entry_bytes; /* [in] */
    uint32_t domid;       /* [in] ~0: of all */
    uint32_t pad;
};

/* ---- Captures: copies of frames, with what was said about them, in rings that Domain0 maps (<collet/capture.h>) ---- */

#define COLLET_CAPTURES_MAX       8u
#define COLLET_CAPTURE_TARGETS    256u
#define COLLET_CAPTURE_FILTER_MAX 4096u /* instructions */
#define COLLET_CAPTURE_PAGES_MAX  1024u /* of each pCPU's ring */

enum {
    COLLET_CAPTURE_OUT = 1u << 0,      /* what a domain sends; of a card: what goes out to the wire */
    COLLET_CAPTURE_IN = 1u << 1,       /* the other way. Neither of them: both */
    COLLET_CAPTURE_DROPPED = 1u << 2,  /* only what goes no further */
    COLLET_CAPTURE_PASSED = 1u << 3,   /* only what passes. Neither of them: both */
};
/*
 * COLLET_OP_CAPTURE_OPEN: from now on copy frames of these interfaces. They are known by name: a domain that comes back is captured again. The filter is classic BPF without extensions and sees the first
 * VFR_HEADER_MAX bytes of a frame: it refuses what it cannot decide from these. -EINVAL: error_text tells; -EBUSY: COLLET_CAPTURES_MAX are open; -ENOMEM.
 */
struct collet_capture_open {
    char targets[COLLET_CAPTURE_TARGETS]; /* [in] names separated by commas, as in rules: "web.0", "web", "nic0", "web*", "*" */
    uint64_t filter;       /* [in] address of struct vfr_bpf_insn[filter_count] (<vfr/bpf.h>) */
    uint32_t filter_count; /* [in] 0: all frames */
    uint32_t snap_bytes;   /* [in] of each frame, at most; 0: all of it */
    uint32_t flags;        /* [in] COLLET_CAPTURE_* */
    uint32_t pages;        /* [in] of each pCPU's ring: a power of two; 0: 64 */
    uint32_t capture;      /* [out] its number, for the others: never given twice */
    uint32_t cpus;         /* [out] so many rings */
    char error_text[COLLET_TEXT_MAX]; /* [out] on -EINVAL too */
};
/* COLLET_OP_CAPTURE_INFO: what it is, where its rings are, and what has been read of them. One that nobody asks about for ten minutes is closed. -ENOENT: it is closed; -EINVAL: more was read than was written. */
struct collet_capture_info {
    uint32_t capture;    /* [in] with `next`: the first that is not less than this  [out] */
    uint32_t next;       /* [in] 1: look only, for lists: this does not count as asking about it */
    uint64_t consumed;   /* [in] address of uint64_t[cpus]: for each ring, read up to there; or 0 */
    uint64_t mfns;       /* [in] address of uint64_t[count]: receives the frames of the ring of `cpu`, header page first; or 0 */
    uint32_t cpu, count; /* [in] count: room  [out] written */
    uint32_t cpus, pages; /* [out] */
    uint64_t now_ns, opened_ns, asked_ns; /* [out] system time */
    uint64_t seen;       /* [out] frames of its interfaces, in its directions */
    uint64_t recorded, recorded_bytes; /* [out] copied into the rings */
    uint64_t dropped, dropped_bytes;   /* [out] should have been, but a ring was full. Bytes of frames, cut to snap_bytes */
    uint32_t flags, snap_bytes, filter_count; /* [out] */
    uint32_t pad;
    char targets[COLLET_CAPTURE_TARGETS]; /* [out] */
};
/* COLLET_OP_CAPTURE_CLOSE. -ENOENT. Its rings are not to be read any more. */
struct collet_capture_ref {
    uint32_t capture; /* [in] */
    uint32_t pad;
};
