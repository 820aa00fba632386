// SPDX-License-Identifier: MIT
/* The symbol is there, and is something else. */
char collet_plugin __attribute__((visibility("default"))) = 1;
