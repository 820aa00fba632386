/* SPDX-License-Identifier: MIT */
/*
 * The text of a domain definition, as the command line sends it to colletd, which alone understands it.
 * Tests: test-format.c.
 */
#pragma once

/*
 * Put `key = value` in place of a line of the same key in a section (and of the lines that go on with its value); a key that is not there comes at the end, in a section of its own, so that the numbers of the
 * lines before it stay as in the file. setting: "key=value" (section [domain]) or "section.key=value". *text is replaced by a new allocation. 0, -EINVAL, -ENOMEM.
 */
int definition_override(char **text, const char *setting);
/* The whole file as text: 0 or -errno; -EFBIG over 512 KiB, -EILSEQ a zero byte. */
int definition_read(const char *path, char **text);
