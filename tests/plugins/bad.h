/* SPDX-License-Identifier: MIT */
/*
 * Plugins that do wrong, each in one way; plugins-dom0/daemon/test-plugin-host.c runs them in the real worker and looks at what the host makes of it.
 * `good` and `twin` are the right ones beside them.
 */
#pragma once

#include <hv/plugin-tools.h>

#include <signal.h>
#include <unistd.h>

PLUGIN_UNUSED int configure_nothing(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    (void)host, (void)settings, (void)count, (void)state;
    return 0;
}

#define UPDATE_ARGS const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world
#define UPDATE_UNUSED (void)host, (void)state, (void)event, (void)world

#define SCHED_PLUGIN(plugin_name, update_function)                                                                                                                                     \
    const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API,                                                                                                              \
                                                .size = sizeof(struct collet_plugin),                                                                                                  \
                                                .kind = COLLET_PLUGIN_SCHED,                                                                                                           \
                                                .interval_ms = 100,                                                                                                                    \
                                                .name = plugin_name,                                                                                                                   \
                                                .summary = "a test",                                                                                                                   \
                                                .configure = configure_nothing,                                                                                                        \
                                                .update = update_function}
