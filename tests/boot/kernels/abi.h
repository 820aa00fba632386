/* SPDX-License-Identifier: MIT */
/* The parts of the abi kernel, in the order in which abi.c runs them. Each leaves the machine as it found it. */
#pragma once

void abi_start(void);
void abi_cpu(void);
void abi_trap(void);
void abi_user(void);
void abi_pagetable(void);
void abi_memory(void);
void abi_descriptor(void);
void abi_emulation(void);
void abi_event(void);
void abi_grant(void);
void abi_time(void);
void abi_smp(void);
