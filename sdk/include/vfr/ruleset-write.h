/* SPDX-License-Identifier: MIT */
/*
 * Writing a set of rules (<vfr/ruleset.h>), for programs: a writer gathers the sections and puts them together. It checks nothing: that is the reader's (vfr_engine_create on the result says what is wrong).
 * sdk/rules/ruleset-write.c (libc; not part of the hypervisor). Tests: sdk/vfr/test-ruleset.c.
 */
#pragma once

#include <vfr/ruleset.h>

#include <stddef.h>

struct vfr_writer;

/* NULL: no memory. Later failures to get memory are remembered: vfr_writer_finish says so. */
struct vfr_writer *vfr_writer_create(void);
void vfr_writer_destroy(struct vfr_writer *writer);
/* Index of a name of interfaces, or of a kind; the same name gives the same index. Longer than 63 bytes: cut off. */
uint32_t vfr_writer_name(struct vfr_writer *writer, const char *name);
uint32_t vfr_writer_kind(struct vfr_writer *writer, const char *name);
/* Index of a new set. The ranges, in any order, overlapping or not, are sorted and joined (in a copy). */
uint32_t vfr_writer_addresses(struct vfr_writer *writer, const struct vfr_set_range4 *ranges4, uint32_t count4, const struct vfr_set_range6 *ranges6, uint32_t count6);
uint32_t vfr_writer_ports(struct vfr_writer *writer, const struct vfr_set_port_range *ranges, uint32_t count);
/* The range of a prefix; bits behind it do not matter. */
struct vfr_set_range4 vfr_writer_prefix4(uint32_t address, unsigned int bits);
struct vfr_set_range6 vfr_writer_prefix6(const uint8_t address[16], unsigned int bits);

struct vfr_writer_use {
    uint32_t kind; /* vfr_writer_kind */
    uint32_t value_count;
    const uint64_t *values;
    const void *data;
    uint32_t data_bytes;
};
/* The next rule. Its counts (ifaces, conditions, actions) are set from the arguments; uses: conditions first. Returns its index. */
uint32_t vfr_writer_rule(struct vfr_writer *writer, const struct vfr_set_rule *rule, const uint32_t *ifaces, uint32_t iface_count, const struct vfr_writer_use *uses, uint32_t conditions, uint32_t actions);
/* All the rest at once: policies by direction VFR_TX, VFR_RX; the text (may be NULL). Returns the set, to be freed by free(), and its size; NULL: no memory. */
void *vfr_writer_finish(struct vfr_writer *writer, const struct vfr_set_policy policy[2], const char *text, size_t text_bytes, size_t *bytes);
