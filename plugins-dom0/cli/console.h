/* SPDX-License-Identifier: MIT */
/*
 * Attaching a terminal, or a script's pipes, to a domain's console.
 * Tests: test-client.c.
 */
#pragma once

#include "cli.h"

struct console_options {
    int escape;            /* the character that detaches, -1: none */
    unsigned int total_ms; /* detach after so long, 0: never */
    unsigned int idle_ms;  /* detach after so long without output, once the input has ended; 0: at once */
};

/* "^]", "^a" or one character; 0 or a usage failure. "none": no escape. */
int console_parse_escape(struct cli *cli, const char *text, int *escape);
/* Ask colletd for the pty of a domain, waiting a little if there is none yet. *fd on success. */
int console_open(struct cli *cli, const char *domain, int *fd);
/*
 * Copy both ways until the escape, the end of the input, or the end of the domain. Closes fd. Exit code.
 * A pty that closes while the domain goes on is xenconsoled's restart: the new one is attached to.
 */
int console_run(struct cli *cli, const char *domain, int fd, const struct console_options *options);
