// SPDX-License-Identifier: MIT
/* Says more than anybody wants to hear, and not in plain letters. */
#include "bad.h"

static int talk_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    for (int i = 0; i < 100000; i++)
        plugin_say_text(host, PLUGIN_WARNING, "word %d \033[2J \xff", i);
    return 0;
}

SCHED_PLUGIN("talk", talk_update);
