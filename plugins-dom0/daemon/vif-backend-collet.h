/* SPDX-License-Identifier: MIT */
/* The real backend of network interfaces: libcollet. */
#pragma once

#include "device-link.h"
#include "vif-backend.h"

struct vif_backend vif_backend_collet(struct device_link *link);
