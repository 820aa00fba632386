/* SPDX-License-Identifier: MIT */
/* The real backend of virtual block devices: libcollet. */
#pragma once

#include "device-link.h"
#include "vbd-backend.h"

struct vbd_backend vbd_backend_collet(struct device_link *link);
