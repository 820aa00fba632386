/* SPDX-License-Identifier: MIT */
/*
 * Captures, as the control interface asks for them. The packets' side is capture_packet in vfr/vfr-internal.h; rings: <collet/capture.h>; vfr/capture.c.
 * Context of all: hypercall, no lock held, may give way.
 */
#pragma once

#include "types.h"

#include <collet/control.h>
#include <vfr/bpf.h>

/* `filter` is checked here and kept, from heap_alloc; on failure it stays the caller's. 0, and op's [out]; -EINVAL with op->error_text, -EBUSY, -ENOMEM. */
int must_check capture_open(struct collet_capture_open *op, struct vfr_bpf_insn *filter);
/* Unless `look_only`, this counts as asking about it. 0 or -ENOENT; op's [out] but count. */
int must_check capture_info(struct collet_capture_info *op);
/* What was read of ring `cpu`. 0, -ENOENT, -EINVAL. */
int must_check capture_consume(uint32_t capture, uint32_t cpu, uint64_t position);
/* A page of a ring: 0 is the header; NULL: there is none. */
const void *capture_page(uint32_t capture, uint32_t cpu, uint32_t index);
int must_check capture_close(uint32_t capture);
