// SPDX-License-Identifier: MIT
/* The same as good, under another name: two that want the same values. */
#define GOOD_NAME "twin"
#include "good.c"
