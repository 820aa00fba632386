/* SPDX-License-Identifier: MIT */
/*
 * A table of text whose columns are as wide as what they hold. Nothing is cut: a long name makes a wide column.
 * Tests: test-format.c.
 */
#pragma once

#include <stdio.h>

struct table;

/* titles: "Name<|ID>|Mem(MiB)>": `>` after a title puts the column to the right, `<` to the left. Never NULL: without memory the program ends. */
struct table *table_new(const char *titles);
/* The next cell of the row; after the last column comes the next row. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Print it, with a line of titles unless there are no rows and `empty` is not NULL (then that is printed), and free it. out NULL: free it only. */
void table_end(struct table *t, FILE *out, const char *empty);
