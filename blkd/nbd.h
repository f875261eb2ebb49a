/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Serves the disk by the NBD protocol (https://github.com/NetworkBlockDevice/nbd,
 * doc/proto.md), to QEMU's own device models: a guest without virtio sees the disk as IDE.
 * Part of the protocol: the fixed newstyle handshake without TLS, one export, simple
 * replies; READ, WRITE, FLUSH and DISC.
 *
 * QEMU is not trusted. Each message is checked before it is used, a message that the
 * protocol does not allow ends the connection, and no request is longer than NBD_MAX_DATA.
 */
#ifndef BLKD_NBD_H
#define BLKD_NBD_H

#include "blkd/device.h"

/* Most bytes of data of one request; the client is told this limit. */
#define NBD_MAX_DATA (256u << 10)

/* How a connection ended. */
enum nbd_end {
	NBD_LEFT,  /* The client disconnected in order, or closed the connection */
	NBD_STOP,  /* The supervisor ends this process, or is gone */
	NBD_BROKE, /* The client sent what the protocol does not allow; a message was logged */
};

struct nbd {
	struct blkd *d;
	int fd; /* The connection: a stream socket that does not block */
	/*
	 * Wait until @fd may have become readable or writable. Returns false if the process has to
	 * end. Also called before each request without waiting (@now).
	 */
	bool (*wait)(void *arg, bool now);
	void *arg;
	struct stats *stats;
};

/* Serve the client from the greeting to its end. Makes only the calls that policy/blkd-nbd.policy allows. */
enum nbd_end nbd_serve(struct nbd *n);

/*
 * For the supervised process: confine it, accept one client at HFD_LISTEN and serve @d to it. @missing: layers that
 * the host lacks. Returns the exit status.
 */
int nbd_main(struct blkd *d, uint32_t missing);

#endif
