/* SPDX-License-Identifier: MIT */
/* Inside mm/: what the audit asks of the frame allocator. */
#pragma once

#include "frame.h"

/* Difference between the frames on the free lists and their count; 0 when all is well. */
uint64_t frames_free_audit(void);
