/* SPDX-License-Identifier: MIT */
/*
 * Between clock.c and the machine's clocks in x86-clock.c.
 */
#pragma once

#include "types.h"

/* TSC frequency against a clock of known rate; 0 if there is none that ticks. *source: its name. Takes tens of milliseconds. Boot, once. */
uint64_t clock_measure_tsc_hz(const char **source);
/* The real-time clock, in seconds since 1970; 0 if it makes no sense. Boot, once. */
uint64_t clock_read_rtc(void);
uint64_t clock_read_tsc(void);
/* Whether the TSC of each other pCPU, asked for by an interrupt, lies between two readings of ours. Context: interrupts on, all pCPUs up. */
bool clock_tscs_agree(void);

/* Seconds since 1970 of a date of the Gregorian calendar; year with its century, month 1..12, day 1..31. */
uint64_t clock_seconds_from_date(uint32_t year, uint32_t month, uint32_t day, uint32_t hour, uint32_t minute, uint32_t second);
