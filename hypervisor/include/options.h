/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line. An unknown or malformed word is reported with what would be right, and skipped.
 * Tests: boot/test-options.c. Reference: docs/command-line.md.
 */
#pragma once

#include "types.h"

struct boot_options {
    bool console_com1;         /* console=com1 (default) | none */
    uint64_t dom0_mem_bytes;   /* dom0_mem=SIZE (K, M, G suffix); 0: all that is left */
    uint32_t dom0_max_vcpus;   /* dom0_max_vcpus=N; 0: as many as pCPUs */
    char sched[32];            /* sched=NAME; empty: the first module of sched/index.c */
    uint32_t watchdog_ms;      /* watchdog=MS; 5000 unless told, 0 turns the scheduler watchdog off */
    bool noreboot;             /* noreboot: halt after a crash, with the report on the screen; with `noreboot=exit` power off instead */
    bool noreboot_exit;
    bool smap_asked;           /* smap was given: even where it is known not to work */
    bool smap;                 /* smap | nosmap: default on where the CPU has it */
    uint32_t maxcpus;          /* maxcpus=N: bring up at most N pCPUs */
    bool audit;                /* audit: walk all frames when Domain0 shuts down */
    char disksched[32];        /* disksched=NAME; empty: the first module of blk-sched/index.c */
    uint32_t disk_timeout_ms;  /* disk_timeout_ms=MS; 30000 unless told: a disk that has not ended a request after so long is reset; 0: never */
    char sched_params[128];    /* sched_params=name:value,...: handed to the module at creation */
};
extern struct boot_options boot_options;

/* Parses; reports through log_warning. Context: boot, once. */
void options_parse(const char *command_line);
