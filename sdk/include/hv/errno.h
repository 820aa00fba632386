/* SPDX-License-Identifier: MIT */
/*
 * Error numbers, by their usual names, wherever a file is compiled.
 *
 * A hosted build (unit tests, simulators) has libc's <errno.h>. The hypervisor is freestanding, so there the names
 * come from Xen's public <xen/errno.h>; both give the same numbers, and a guest sees exactly these.
 */
#pragma once

#if __STDC_HOSTED__
#include <errno.h>
#else
#define XEN_ERRNO(name, value) name = (value),
enum {
#include <xen/errno.h>
    /* Linux's, which Xen's list leaves out: the control interface answers Linux programs. */
    EINTR = 4,
    EPROTO = 71,
    EALREADY = 114,
    ESTALE = 116,
};
#endif
