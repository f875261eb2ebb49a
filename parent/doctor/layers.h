/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PARENT_DOCTOR_LAYERS_H
#define PARENT_DOCTOR_LAYERS_H

#include <stdbool.h>

/* Add a finding for each layer of confinement. */
void doctor_layers(void);
/* True if this user can make the namespaces of a role. */
bool doctor_has_namespaces(void);

#endif
