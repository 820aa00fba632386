/* SPDX-License-Identifier: MIT */
/*
 * Invented sets of rules, and packets that meet them, from a seed: for tests and measurements. The shape is that of ClassBench (Taylor, Turner, "ClassBench: A Packet Classification Benchmark", INFOCOM 2005): few
 * networks with many hosts, ports that are mostly one, one of the usual ranges, or any; three styles. What ClassBench does not know comes on top: IPv6, sets, negation, interfaces, flags, ICMP types.
 * sdk/rules/generate.c (libc; not part of the hypervisor).
 */
#pragma once

#include <hv/vfr-ops.h>
#include <vfr/ruleset.h>

#include <stddef.h>
#include <stdio.h>

enum vfr_style {
    VFR_STYLE_ACL,   /* access list: most rules say both addresses, and a target port */
    VFR_STYLE_FW,    /* firewall: many wildcards, source ports too */
    VFR_STYLE_IPC,   /* chains: both, in between */
    VFR_STYLE_MIXED, /* of all three */
};
struct vfr_generate {
    uint64_t seed;
    uint32_t rules;
    enum vfr_style style;
    uint32_t odd;        /* rules in a hundred that have something of what ClassBench does not know; IPv6 as well */
    bool plain;          /* no conditions and actions, and no interfaces but all */
    bool dense;             /* few addresses and ports: nearly all rules overlap */
    bool no_macs;           /* none looks at hardware addresses */
    const char *const *conditions; /* names of kinds without parameters, for some of the odd ones; ends with NULL; may be NULL */
    const char *const *actions;
};
/* One random number after the other. */
uint64_t vfr_random(uint64_t *state);
/* A set, to be freed; *bytes its size. */
void *vfr_generate_set(const struct vfr_generate *how, size_t *bytes);
/*
 * A frame of at most VFR_HEADER_MAX bytes that is likely to meet one of the rules of such a set (by its binary form, which must be right). Returns its length.
 * hostile: out of a hundred, how many are damaged at random.
 */
uint32_t vfr_generate_frame(const void *set, uint64_t *random, uint32_t hostile, uint8_t frame[VFR_HEADER_MAX]);
/* Interfaces that the rules' names may mean: number 0..VFR_GENERATE_IFACES-1. */
#define VFR_GENERATE_IFACES 6u
void vfr_generate_iface(uint32_t number, struct vfr_iface *iface);
/* A set without conditions and actions, as text of the rule language. */
void vfr_generate_print(const void *set, FILE *to);
