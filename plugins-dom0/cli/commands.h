/* SPDX-License-Identifier: MIT */
/* Every command's entry; commands.c lists them. */
#pragma once

#include "cli.h"

extern const struct cli_command cmd_list, cmd_info, cmd_create, cmd_destroy, cmd_shutdown, cmd_reboot, cmd_pause, cmd_unpause, cmd_rename, cmd_mem, cmd_console;
extern const struct cli_command cmd_vcpu_list, cmd_vcpu_pin;
extern const struct cli_command cmd_sched_list, cmd_sched_show, cmd_sched_use, cmd_sched_get, cmd_sched_set;
extern const struct cli_command cmd_disk_list, cmd_disk_show, cmd_disk_sched_list, cmd_disk_sched_use, cmd_disk_get, cmd_disk_set, cmd_disk_stats, cmd_disk_model, cmd_disk_record;
extern const struct cli_command cmd_vbd_list, cmd_vbd_show, cmd_vbd_add, cmd_vbd_del, cmd_vbd_volumes;
extern const struct cli_command cmd_vif_list, cmd_vif_show, cmd_vif_set, cmd_vif_add, cmd_vif_del;
extern const struct cli_command cmd_nic_list, cmd_nic_sched_list, cmd_nic_sched_use;
extern const struct cli_command cmd_rules_load, cmd_rules_confirm, cmd_rules_show, cmd_rules_flush, cmd_rules_kinds, cmd_flows;
extern const struct cli_command cmd_rules_check, cmd_rules_test, cmd_rules_explain, cmd_rules_diff;
extern const struct cli_command cmd_top;
extern const struct cli_command cmd_plugin_list, cmd_plugin_show, cmd_plugin_load, cmd_plugin_unload, cmd_plugin_reload;
extern const struct cli_command cmd_trace_start, cmd_trace_stop, cmd_trace_status, cmd_trace_dump;
extern const struct cli_command cmd_capture, cmd_watch, cmd_log, cmd_daemon, cmd_daemon_stop, cmd_version, cmd_help, cmd_complete;
