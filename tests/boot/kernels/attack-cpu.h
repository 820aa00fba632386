/* SPDX-License-Identifier: MIT */
/* The attacks of attack-crash.c, by the names in attacks.list. */
#pragma once

/* Announces itself ("[t] attack NAME"), then attacks. Returning means that the guest survived. */
void attack_run(const char *name);
