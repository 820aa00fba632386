/* SPDX-License-Identifier: MIT */
/*
 * Included before every file by the build: whatever is declared is in this image, so code reaches it directly. (-fvisibility=hidden says so of
 * definitions only; other files' variables and functions would still be reached through a table of addresses.)
 */
#pragma GCC visibility push(hidden)
