/* SPDX-License-Identifier: MIT */
/*
 * `collet`: the command line of a Collet machine. Everything is in cli.c, so that tests can call it; the list of commands is commands.c.
 * Pages: docs/man/collet.1, docs/reference/json.md.
 */
#include "cli.h"

#include <locale.h>
#include <signal.h>

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_DFL); /* `collet log | head` ends quietly */
    return cli_main(argc, argv, stdout, stderr);
}
