/* SPDX-License-Identifier: MIT */
/* What the hypervisor says of its own build. The build may define COLLET_CHANGESET; dates are left out so that builds repeat byte for byte. */
#pragma once

#define COLLET_EXTRAVERSION ".collet"
#ifndef COLLET_CHANGESET
#define COLLET_CHANGESET "unknown"
#endif
#ifndef COLLET_BUILD_DATE
#define COLLET_BUILD_DATE "not recorded"
#endif
#ifdef __clang__
#define COLLET_COMPILER "clang " __clang_version__
#else
#define COLLET_COMPILER "gcc " __VERSION__
#endif
