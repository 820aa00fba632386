// SPDX-License-Identifier: MIT
/* Tries what a plugin must not be able to do. */
#include "bad.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What it could do, as a sum of bits: 0 is as it should be. */
static int rights_found(void)
{
    int found = 0;
    pid_t child;

    if (open("/etc/passwd", O_RDONLY) >= 0)
        found |= 1;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0)
        found |= 2;
    child = fork();
    if (child == 0)
        _exit(0);
    if (child > 0)
        found |= 4;
    if (kill(getppid(), 0) == 0)
        found |= 8;
    if (getuid() == 0 || setuid(0) == 0)
        found |= 16;
    if (execl("/bin/true", "true", NULL) == 0)
        found |= 32;
    if (dup(0) >= 0)
        found |= 64;
    return found;
}

static int rights_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    plugin_say_text(host, PLUGIN_NOTE, "rights %d", rights_found());
    return 0;
}

SCHED_PLUGIN("rights", rights_update);
