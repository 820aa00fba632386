/* SPDX-License-Identifier: MIT */
/*
 * A domain's definition: the INI text that its owner wrote, checked, and the values in it.
 *
 * All mistakes are found in one go and told with file and line and what would be right; a definition with a mistake is none. Scheduler parameters are checked against what the linked-in modules
 * declare: those of the active module now, those of others kept until their module is active.
 * Reference for people: docs/reference/domain.md.  Tests: test-definition.c.
 */
#pragma once

#include "text.h"

#include <collet/control.h>
#include <hv/plugin.h>

#define DEFINITION_CMDLINE_MAX 1023u

/* The scheduler modules and what they let one set. */
struct sched_catalog {
    unsigned int count;
    struct sched_catalog_module {
        char name[COLLET_NAME_MAX];
        bool active;
        unsigned int param_count;
        struct collet_sched_param *params;
    } *modules;
};
const struct sched_catalog_module *sched_catalog_find(const struct sched_catalog *catalog, const char *module); /* NULL: the active one */
const struct collet_sched_param *sched_catalog_param(const struct sched_catalog_module *module, const char *name);
void sched_catalog_free(struct sched_catalog *catalog); /* its contents */
/* A parameter's value as written: a number, a time, or yes or no; by the type and the range of the parameter. 0; or -EINVAL or -ERANGE and what was expected. */
int sched_param_parse(const struct collet_sched_param *param, const char *text, uint64_t *value, char *expected, size_t expected_bytes);

/* A section [vbd NAME]. Parameters of disk modules stay among the settings. */
struct definition_vbd {
    char name[COLLET_NAME_MAX];
    unsigned int line, backing_line, device_line; /* 0: not given */
    char *backing;
    bool read_only, shared;
    uint32_t device; /* chosen, if it is not given */
    uint64_t requests_per_s, bytes_per_s; /* 0: no limit */
};

/* A section [vif NAME]. */
struct definition_vif {
    char name[COLLET_NAME_MAX];
    unsigned int line, network_line; /* 0: not given */
    bool mac_given;
    uint8_t mac[6];
    char network[COLLET_NAME_MAX];       /* empty: the first card */
    struct collet_vif_settings settings; /* its segment is found by `network` */
};

enum definition_action { ACTION_DESTROY, ACTION_RESTART, ACTION_PRESERVE };
const char *definition_action_name(enum definition_action action);

struct definition {
    char *file, *text;
    char name[COLLET_NAME_MAX];
    char *kernel, *ramdisk, *cmdline; /* ramdisk: NULL if there is none */
    uint64_t frames, frames_max;
    uint32_t vcpus;
    uint64_t cpus; /* ~0: all */
    enum definition_action on_poweroff, on_reboot, on_crash;
    struct definition_vbd *vbds; /* in order of the text */
    uint32_t vbd_count;
    struct definition_vif *vifs; /* the same; the first is device 0 */
    uint32_t vif_count;
    struct collet_plugin_setting *settings; /* all entries: those of [domain] under section "" */
    uint32_t setting_count;
};

/* NULL: mistakes tell why (or memory ran out). `file` is for messages. Does not look at the files that it names. disks: the modules that order disks; NULL: not known, any parameter of theirs is taken. */
struct definition *definition_parse(const char *file, const char *text, const struct sched_catalog *catalog, const struct sched_catalog *disks, struct text_mistakes *mistakes);
void definition_free(struct definition *definition);
/* Can kernel and ramdisk be read? What cannot is told as a mistake at its line. */
void definition_check_files(const struct definition *definition, struct text_mistakes *mistakes);
/* The line of a key of [domain]; 0 if it is not given. */
unsigned int definition_line(const struct definition *definition, const char *key);
/* Does its memory fit a domain in principle, are its CPUs there? */
void definition_check_machine(const struct definition *definition, unsigned int cpus, uint64_t frames_total, struct text_mistakes *mistakes);
/*
 * Its parameters for `module`, without those that `except` (or NULL) has too, for domain domid: at most `room` values; the number. Parameters without domain scope are set for each vCPU.
 */
unsigned int definition_sched_values(const struct definition *definition, const struct sched_catalog_module *module, const struct sched_catalog_module *except, uint32_t domid,
                                     struct collet_sched_value *values, unsigned int room);
/* The same for the disk of this name and the modules that order disks: VBD number `vbd`. */
unsigned int definition_vbd_values(const struct definition *definition, const char *name, const struct sched_catalog_module *module, const struct sched_catalog_module *except, uint32_t vbd,
                                   struct collet_disk_value *values, unsigned int room);

/* Within the reading of a definition (definition-vbd.c): a section [vbd NAME] begins, one of its entries, the end of the text. */
struct definition_reading {
    const char *file;
    const struct sched_catalog *catalog, *disks;
    struct text_mistakes *mistakes;
    struct definition *d;
    bool sections_unknown; /* in a section that was refused: its entries are not told one by one */
    unsigned int memory_line, maxmem_line;
};
void definition_vbd_begin(struct definition_reading *r, const char *name, unsigned int line);
void definition_vbd_entry(struct definition_reading *r, const char *key, const char *value, unsigned int line);
void definition_vbds_check(struct definition_reading *r);
/* The same for a section [vif NAME] (definition-vif.c). */
void definition_vif_begin(struct definition_reading *r, const char *name, unsigned int line);
void definition_vif_entry(struct definition_reading *r, const char *key, const char *value, unsigned int line);
void definition_vifs_check(struct definition_reading *r);
/* One key, wherever it stands: 0; -ENOENT: there is no such key; -EINVAL and what was expected. */
int definition_vif_take(struct definition_vif *vif, const char *key, const char *value, char *expected, size_t expected_bytes);
/* Is this a name for an interface or a network? NULL, or what was expected. */
const char *definition_vif_name_wrong(const char *name);
/* Is this a name for a domain or a disk? NULL, or what was expected. */
const char *definition_name_wrong(const char *name);
const char *definition_domain_name_wrong(const char *name); /* which is no card's either */
