/* SPDX-License-Identifier: MIT */
/*
 * libcollet: Domain0's way to the hypervisor.
 *
 * Thin calls over the control interface (<collet/control.h>, whose structures it uses as they are), and the domain builder. No global state: everything hangs on a handle, and a handle is used by
 * one thread at a time. Functions answer 0 (or a count) or -errno; after a failure collet_error() gives one sentence for people, until the next call on the handle.
 * Nothing here prints, exits, or installs signal handlers. File descriptors are close-on-exec.
 * Page: docs/reference/libcollet.md.  Tests: sdk/libcollet/test-*.c.
 */
#pragma once

#include <collet/capture.h>
#include <collet/control.h>
#include <collet/disk-record.h>
#include <collet/trace.h>
#include <vfr/bpf.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBCOLLET_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

struct collet;

/* Open /dev/xen/privcmd and compare versions. 0 or -errno; *handle is set even then, if there was memory for it, so that collet_error() can tell why; close it in any case. */
int collet_open(struct collet **handle);
void collet_close(struct collet *c);
const char *collet_error(const struct collet *c);
/* One raw operation; arg is copied through memory that the hypervisor can reach. */
int collet_control(struct collet *c, enum collet_op op, void *arg, size_t bytes);

/* ---- The machine ---- */
int collet_version(struct collet *c, struct collet_version *v);
int collet_machine(struct collet *c, struct collet_machine *m);
/* The hypervisor's log from *position on, which moves; bytes written or -errno. */
long collet_log_read(struct collet *c, uint64_t *position, char *text, size_t bytes);
/* Records after *last, which moves; number of records or -errno. *lost: see struct collet_changes. */
int collet_changes(struct collet *c, uint64_t *last, struct collet_change *records, unsigned int room, uint64_t *lost);
/* A file descriptor of /dev/xen/evtchn that becomes readable at a change; or -errno (-EEXIST: another program has it). After a read, call collet_changes_rearm(). */
int collet_changes_fd(struct collet *c);
int collet_changes_rearm(struct collet *c);

/* ---- Domains ---- */
/* All of them, in a new array for free(); number or -errno. */
int collet_domains(struct collet *c, struct collet_domain_info **domains);
int collet_domain_info(struct collet *c, uint32_t domid, struct collet_domain_info *info);
/* By name or by number in decimal; -ESRCH. */
int collet_domain_find(struct collet *c, const char *name_or_id, struct collet_domain_info *info);
int collet_vcpus(struct collet *c, uint32_t domid, struct collet_vcpu_info **vcpus);
int collet_domain_pages(struct collet *c, uint32_t domid, struct collet_domain_pages *pages);
int collet_domain_unpause(struct collet *c, uint32_t domid);
int collet_domain_pause(struct collet *c, uint32_t domid);
/* Repeats until done, asleep between the calls while devices have requests of it. -ETIMEDOUT: they still have after 150 s, or limit_ms; it is dying then, and the next call goes on. */
int collet_domain_destroy(struct collet *c, uint32_t domid);
int collet_domain_destroy_within(struct collet *c, uint32_t domid, unsigned int limit_ms);
int collet_domain_rename(struct collet *c, uint32_t domid, const char *name);
int collet_domain_memory_max(struct collet *c, uint32_t domid, uint64_t frames);
int collet_vcpu_affinity(struct collet *c, uint32_t domid, uint32_t vcpu, uint64_t affinity);

/* ---- Schedulers ---- */
int collet_sched_modules(struct collet *c, struct collet_sched_module **modules);
int collet_sched_params(struct collet *c, const char *module, struct collet_sched_param **params); /* module NULL: the active one */
int collet_sched_status(struct collet *c, struct collet_sched_status *status);
int collet_sched_use(struct collet *c, const char *module);
int collet_sched_get(struct collet *c, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed);
int collet_sched_set(struct collet *c, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed);

/* ---- Disks ---- */
/* All of them, in a new array for free(); number or -errno. */
int collet_disk_list(struct collet *c, struct collet_disk_info **disks);
int collet_disk_info(struct collet *c, uint32_t disk, struct collet_disk_info *info); /* -ENODEV */
/* By name or by number in decimal; -ENODEV. */
int collet_disk_find(struct collet *c, const char *name_or_number, struct collet_disk_info *info);
/* The modules that can order a disk; `active` counts the disks that each one orders now. */
int collet_disk_module_list(struct collet *c, struct collet_sched_module **modules);
int collet_disk_param_list(struct collet *c, const char *module, struct collet_sched_param **params); /* scopes are COLLET_DISK_SCOPE_* */
int collet_disk_use(struct collet *c, uint32_t disk, const char *module);
int collet_disk_get(struct collet *c, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed); /* module NULL: whichever is active */
int collet_disk_set(struct collet *c, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed);
int collet_disk_model(struct collet *c, uint32_t disk, const char *drive); /* NULL: none */
/* Begin (room in the hypervisor for so many records, a power of two), or end (0) a recording. */
int collet_disk_record(struct collet *c, uint32_t disk, unsigned int records);
/* The oldest records that were not taken yet: number, 0 if there is none now, or -errno; -ENOENT: no recording, or it is over and all was taken. *lost: since it began; *running: more will come. Both may be NULL. */
int collet_disk_record_read(struct collet *c, uint32_t disk, struct collet_disk_record *records, unsigned int room, uint64_t *lost, bool *running);

/* ---- Virtual block devices ---- */
/* create->extents of them; create->buffer need not be set. create->vbd receives the id; create->holder, with -EBUSY, who has some of the sectors. */
int collet_vbd_create(struct collet *c, struct collet_vbd_create *create, const struct collet_extent *extents);
int collet_vbd_destroy(struct collet *c, uint32_t vbd); /* repeats until done */
int collet_vbd_connect(struct collet *c, uint32_t vbd, uint32_t ring_ref, uint32_t port);
int collet_vbd_disconnect(struct collet *c, uint32_t vbd); /* repeats until done */
int collet_vbd_limits(struct collet *c, uint32_t vbd, uint64_t requests_per_s, uint64_t bytes_per_s);
/* Those of one domain, or (COLLET_VBDS_ALL) of all, in a new array for free(); number or -errno. */
#define COLLET_VBDS_ALL 0xffffffffu
int collet_vbd_list(struct collet *c, uint32_t domid, struct collet_vbd_info **vbds);
int collet_vbd_info(struct collet *c, uint32_t vbd, struct collet_vbd_info *info); /* -ENOENT */
/* Its extents, in a new array for free(); number or -errno. */
int collet_vbd_extents(struct collet *c, uint32_t vbd, struct collet_extent **extents);

/* ---- Network cards and virtual interfaces ---- */
/* All cards, in a new array for free(); number or -errno. */
int collet_nic_list(struct collet *c, struct collet_nic_info **nics);
int collet_nic_info(struct collet *c, uint32_t nic, struct collet_nic_info *info); /* -ENODEV */
/* By name ("nic0") or by number in decimal; -ENODEV. */
int collet_nic_find(struct collet *c, const char *name_or_number, struct collet_nic_info *info);
int collet_vif_create(struct collet *c, struct collet_vif_create *create); /* create->vif receives the id */
int collet_vif_destroy(struct collet *c, uint32_t vif);                    /* repeats until done */
int collet_vif_connect(struct collet *c, const struct collet_vif_connect *connect);
int collet_vif_disconnect(struct collet *c, uint32_t vif); /* repeats until done */
int collet_vif_set(struct collet *c, uint32_t vif, const struct collet_vif_settings *settings); /* all settings at once */
/* Those of one domain, or (COLLET_VIFS_ALL) of all, in a new array for free(); number or -errno. */
#define COLLET_VIFS_ALL 0xffffffffu
int collet_vif_list(struct collet *c, uint32_t domid, struct collet_vif_info **vifs);
int collet_vif_info(struct collet *c, uint32_t vif, struct collet_vif_info *info); /* -ENOENT */
/* By name ("web.0") or by id in decimal; -ENOENT. */
int collet_vif_find(struct collet *c, const char *name_or_id, struct collet_vif_info *info);
/* The packet schedulers; `active` is 1 for the one in use. */
int collet_net_sched_list(struct collet *c, struct collet_sched_module **modules);
int collet_net_sched_use(struct collet *c, const char *module);

/* ---- Rules and flows ---- */
/*
 * Put a set in its binary form (<vfr/ruleset.h>) in force, whole or not at all; bytes 0: none. load: expect (~0: any) and confirm_ms are taken from it, generation comes back, and after -EINVAL error_rule, error_line and
 * error_text; its other fields need not be set. -ESTALE, -EBUSY: see struct collet_rules_load.
 */
int collet_rules_load(struct collet *c, const void *set, size_t bytes, struct collet_rules_load *load);
/* Keep the generation that waits to be confirmed; or (keep false) put the one before it back now. -ESTALE: it does not wait. */
int collet_rules_confirm(struct collet *c, uint64_t generation, bool keep);
int collet_rules_info(struct collet *c, struct collet_rules_info *info);
/* The set in force, as it was loaded, in new memory for free(); *set is NULL and *bytes 0 if there is none. -ESTALE: generation is not that in force. */
int collet_rules_read(struct collet *c, uint64_t generation, void **set, size_t *bytes);
/* One entry for each rule, and one more for the policies, in a new array for free(); number or -errno; -ESTALE. */
int collet_rules_counters(struct collet *c, uint64_t generation, struct collet_rule_counter **counters);
/* Kinds of conditions and actions; `active` counts the rules in force that use it. */
int collet_rule_kinds(struct collet *c, struct collet_sched_module **kinds);
int collet_flows_set(struct collet *c, bool on, uint32_t flows_max); /* flows_max 0: as it is */
/* Flows of one domain, or (COLLET_VIFS_ALL) all, in a new array for free(); number or -errno. The structure: <vfr/flows.h>. */
struct vfr_flow_info;
int collet_flows_list(struct collet *c, uint32_t domid, struct vfr_flow_info **flows);

/* ---- The builder ---- */

/*
 * A kernel as it will be loaded: an ELF64 PV kernel, unpacked if the file was a bzImage (gzip, xz, zstd, lz4). Unpacked kernels are kept in `cache_folder` (NULL: none is kept) under a name made of the
 * file's path, size, times and inode, and mapped from there, so that the second creation costs no unpacking. Old entries of the same path are removed.
 * -ENOENT, -EACCES ...: the file; -ENOEXEC: not a kernel that can run here; collet_error() says what is wrong and what would be right.
 */
struct collet_image;
int collet_image_open(struct collet *c, const char *path, const char *cache_folder, struct collet_image **image);
void collet_image_close(struct collet_image *image);

/*
 * Ask this, from time to time, whether a call on the handle that takes long should end: unpacking a kernel, waiting for somebody else's unpacking. A non-zero answer ends it with -ECANCELED, and nothing is
 * left of it. NULL, as a new handle has it: never ask. (Building asks its own progress function.) Since 1.
 */
void collet_set_cancel(struct collet *c, int (*cancelled)(void *arg), void *arg);

struct collet_build {
    const char *name;
    struct collet_image *image;
    const char *ramdisk;      /* path, or NULL */
    const char *command_line; /* at most 1023 bytes */
    uint32_t vcpus;
    uint64_t memory_frames;     /* at start */
    uint64_t memory_frames_max; /* 0: as memory_frames */
    bool rings;                 /* give it a console and a XenStore ring towards Domain0 */
    /* Called between steps with a share of the work done (0 to 1000) and what is going on; may be NULL. A non-zero answer stops the building: -ECANCELED, and nothing is left of it. */
    int (*progress)(void *arg, unsigned int permille, const char *what);
    void *progress_arg;
};

struct collet_built {
    uint32_t domid;
    uint32_t console_port, store_port; /* the domain's side: what Domain0's daemons bind to */
    uint64_t console_mfn, store_mfn;
    uint64_t kernel_bytes; /* loaded */
};

/* Make the domain, paused and ready to run. On failure nothing is left of it. */
int collet_domain_build(struct collet *c, const struct collet_build *build, struct collet_built *built);

/* ---- Trace ---- */
int collet_trace_start(struct collet *c, uint64_t kinds, unsigned int pages);
int collet_trace_stop(struct collet *c);

/* A pCPU's ring, mapped. */
struct collet_trace_ring;
int collet_trace_open(struct collet *c, unsigned int cpu, struct collet_trace_ring **ring);
void collet_trace_close(struct collet_trace_ring *ring);
/* Records from *position on (0: the oldest that is left), which moves; number, 0 if there is none yet. *lost grows by those that were overwritten before they were read, but not for position 0. */
size_t collet_trace_read(struct collet_trace_ring *ring, uint64_t *position, struct collet_trace_record *records, size_t room, uint64_t *lost);

/* ---- Captures ---- */

/* One that is open, with its rings mapped. */
struct collet_capture;
/* Begin; open: as struct collet_capture_open says, but for `filter`, which is given by itself (NULL with filter_count 0). -EBUSY: as many as can be are open. Failures leave none open. */
int collet_capture_open(struct collet *c, struct collet_capture_open *open, const struct vfr_bpf_insn *filter, struct collet_capture **capture);
/* The oldest frame that is older than until_ns (system time): 1, 0 if there is none yet, or -errno. *frame: record->captured bytes, until the next call of collet_capture_next, _release or _close. A frame is in its ring
 * soon after its time; so until_ns some milliseconds ago keeps the order among the CPUs. */
int collet_capture_next(struct collet_capture *capture, uint64_t until_ns, struct collet_capture_record *record, const uint8_t **frame);
/* Give back the places of all that was read, and tell how it stands (now_ns, the counters). -ENOENT: somebody has closed it. */
int collet_capture_release(struct collet_capture *capture, struct collet_capture_info *info);
/* What was seen, recorded and dropped of each interface, by name: how many entries of sums[room] were filled. COLLET_CAPTURE_IFACES are enough. */
int collet_capture_counters(const struct collet_capture *capture, struct collet_capture_iface *sums, unsigned int room);
uint32_t collet_capture_number(const struct collet_capture *capture);
void collet_capture_close(struct collet_capture *capture);
/* All that are open, in a new array for free(); number or -errno. */
int collet_capture_list(struct collet *c, struct collet_capture_info **captures);
/* Close one of another program, by its number. */
int collet_capture_end(struct collet *c, uint32_t number);

#ifdef __cplusplus
}
#endif
