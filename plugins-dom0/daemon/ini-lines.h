/* SPDX-License-Identifier: MIT */
/*
 * INI text, entry by entry and with line numbers, through inih. Lines of any form that is none are reported with their place, all of them, and left out. Values may go on in following lines that
 * begin with a blank; the parts are joined with one blank. ';' or '#' begins a comment line; " ;" a comment behind a value.
 * Tests: test-definition.c.
 */
#pragma once

#include "text.h"

#define INI_LINES_BYTES_MAX (64u << 10)

/* key NULL: a section begins here (told even if it has no entries). Section "" before the first header. */
typedef void ini_lines_fn(void *arg, const char *section, const char *key, const char *value, unsigned int line);

/* 0, or -EINVAL if something was reported. */
int ini_lines_parse(const char *file, const char *text, struct text_mistakes *mistakes, ini_lines_fn *fn, void *arg);
