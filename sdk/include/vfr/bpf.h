/* SPDX-License-Identifier: MIT */
/*
 * Classic BPF (McCanne and Jacobson, USENIX Winter 1993): what libpcap compiles filter expressions to. Programs are checked completely before use; they only jump forward, so that each instruction is carried out at most
 * once. They see the part of a packet that was copied; loading from behind it is a packet that does not match. Used by the rule kind `match` and by captures. sdk/vfr/bpf.c.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#define VFR_BPF_MAX    4096u /* instructions */
#define VFR_BPF_MEMORY 16u   /* words */

/* As libpcap's struct bpf_insn. */
struct vfr_bpf_insn {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};
static_assert(sizeof(struct vfr_bpf_insn) == 8, "libpcap's layout");

/* NULL, or what is wrong with the program. *at, unless at is NULL: the instruction's number. Refused as well: extensions of one system or another. */
const char *vfr_bpf_check(const struct vfr_bpf_insn *program, uint32_t count, uint32_t *at);
/* Run a program that was checked over a packet of which header_bytes of bytes can be seen. Returns what it returns: 0 does not match; else how many bytes of it are wanted. Context: any. */
uint32_t vfr_bpf_run(const struct vfr_bpf_insn *program, const uint8_t *header, uint32_t header_bytes, uint32_t bytes);
