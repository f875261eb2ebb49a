/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PARENT_DOCTOR_NET_H
#define PARENT_DOCTOR_NET_H

#include <net/if.h>

/* Move the caller, a child of in_child(), into a network of its own. Returns 0, or -1 with errno set. */
int doctor_own_network(void);
/* Make a tap that lasts as long as the caller, its name into @name. Returns its descriptor, or -1 with errno set. */
int doctor_make_tap(char name[IFNAMSIZ]);

/* Add the findings about taps, bridges and the filter on a tap. */
void doctor_network(void);

#endif
