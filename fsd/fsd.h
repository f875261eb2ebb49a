/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system device (virtio 1.2, 5.11): one shared directory, read-only unless cfg.read_write. Requests are those
 * of FUSE 7.31 and later (linux/fuse.h), one in each chain.
 */
#ifndef FSD_FSD_H
#define FSD_FSD_H

#include <errno.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include "common/backend.h"
#include "common/ctl.h"
#include "fsd/nodes.h"

/* Most bytes of a reply other than the data of READ. */
#define FSD_REPLY_MAX (64u << 10)
/* Most bytes of a request's arguments that are looked at: most have two names; SYMLINK a name and a path. */
#define FSD_ARGS_MAX	1024
#define FSD_SYMLINK_MAX 4608
/* Most bytes that one READ or WRITE moves, and most pages of 4096 bytes that INIT promises. */
#define FSD_READ_MAX  (1u << 20)
#define FSD_PAGES_MAX (FSD_READ_MAX / 4096)
/* cache=always: for how long the guest may use names and attributes without asking again, in seconds. */
#define FSD_ALWAYS_S 86400

/* cfg.saved: what saved.h needs from one call to the next. */
struct fsd_file {
	uint32_t *mark;	       /* One for each node */
	uint64_t done;	       /* What the next call has to continue at; 0: no call yet */
	uint32_t way;	       /* Writing: the next node on the way down to one */
	uint32_t next;	       /* Writing: the node after it */
	uint32_t next_handle;  /* Writing: the next handle */
	uint32_t ready, count; /* Reading: what SAVED_BEGIN says */
	bool loading;	       /* Reading has begun, and has not come to its end */
};

struct fsd {
	struct fs_config cfg;
	struct nodes nodes;
	struct fsd_file file;
	bool ready;	/* INIT was received, by this process or by one before it */
	bool restarted; /* Another process served this connection before */
	/* For each queue, FUSE's number of the request in which that process may have been killed; 0: none */
	uint64_t replay[MAX_QUEUES];
	uint32_t work;	 /* So much has idle.c done for this request */
	bool again;	 /* This is that request: what it asks for may have been done already */
	uint64_t *added; /* cfg.read_write: bytes that the guest has added (fsd/quota.h); outlives this process */
	uint8_t slow;	 /* So many replies still get an interrupt each, because the host was slow */
	bool full_said;	 /* A log message has said that there is no more room */
	struct stats *stats;
};

/* INIT was received, or DESTROY. */
static inline void fsd_set_ready(struct fsd *d, bool ready)
{
	d->ready = ready;
	if (d->cfg.fresh)
		d->nodes.kept->past.ready = ready;
}

/* For how long the guest may use names and attributes without asking again, in seconds (entry_valid and attr_valid). */
static inline uint64_t fsd_valid_s(const struct fsd *d)
{
	return d->cfg.cache == FS_CACHE_ALWAYS ? FSD_ALWAYS_S : d->cfg.cache == FS_CACHE_AUTO;
}

/*
 * Flags for a file that the guest has opened (fuse_open_out.open_flags). With FOPEN_KEEP_CACHE the client drops what it
 * has cached only when the file's time stamp or size changes (FUSE_AUTO_INVAL_DATA); otherwise at each open too.
 */
static inline uint32_t fsd_open_flags(const struct fsd *d)
{
	return d->cfg.cache == FS_CACHE_NONE ? 0 : FOPEN_KEEP_CACHE;
}

/* The error for a handle that is not open: after a restart, its file may have no name any more. */
static inline int no_handle(const struct fsd *d)
{
	return d->restarted ? -ESTALE : -EBADF;
}

/* One request, judged by fsd_judge(). Its chain has out_len bytes to read and in_len bytes to write. */
struct fs_req {
	struct fuse_in_header h;
	struct vq_chain chain;
	unsigned queue; /* Index of its queue */
	struct iovec iov[VQ_MAX_SIZE];
	uint32_t args_len; /* Bytes of arguments in the chain */
	uint32_t have;	   /* Bytes of them that @args has */
	uint32_t room;	   /* Bytes of the reply that fit into the chain after its header */
	bool in_place;	   /* The handler has written the reply's data into the chain itself */
	uint8_t args[FSD_SYMLINK_MAX + 1] __attribute__((aligned(8)));
	uint8_t reply[FSD_REPLY_MAX] __attribute__((aligned(8)));
};

#endif
