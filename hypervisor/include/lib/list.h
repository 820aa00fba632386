/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked circular lists, links inside the objects. Hypervisor and modules share the one in the sdk.
 */
#pragma once

#include <hv/list.h>
