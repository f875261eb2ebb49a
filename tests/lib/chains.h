/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chains of descriptors that several tests use, as initializers of arrays of descriptors. */
#ifndef TESTS_LIB_CHAINS_H
#define TESTS_LIB_CHAINS_H

#include <linux/virtio_ring.h>

/*
 * One readable buffer of @len bytes at @addr. If @flags is VRING_DESC_F_NEXT, entry @next of
 * the table continues the chain.
 */
#define DESCRIPTOR(addr, len, flags, next)     \
	{                                      \
		(addr), (len), (flags), (next) \
	}
#define LINKED(addr, len, next) DESCRIPTOR(addr, len, VRING_DESC_F_NEXT, next)

/* The same buffer eight times: entries 0 to 7, linked to one chain. */
#define EIGHT_LINKED(addr, len)                                                                                        \
	{                                                                                                              \
		LINKED(addr, len, 1), LINKED(addr, len, 2), LINKED(addr, len, 3), LINKED(addr, len, 4),                \
			LINKED(addr, len, 5), LINKED(addr, len, 6), LINKED(addr, len, 7), DESCRIPTOR(addr, len, 0, 0), \
	}

#endif
