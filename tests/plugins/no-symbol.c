// SPDX-License-Identifier: MIT
/* A shared object that is no plugin. */
int something_else __attribute__((visibility("default"))) = 1;
