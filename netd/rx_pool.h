/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive chains that were popped from a queue and not yet pushed or given back. With mergeable buffers
 * (VIRTIO_NET_F_MRG_RXBUF, virtio 1.2, 5.1.6.4) a frame may span several of them. Only netd's receive path uses a pool.
 */
#ifndef NETD_RX_POOL_H
#define NETD_RX_POOL_H

#include <limits.h>

#include "common/vring.h"
#include "netd/frames.h"
#include "netd/tap.h"

/* Entries of one readv() for guest buffers; the header and the sentinel need one each. */
#define RX_IOV_USE (IOV_MAX - 2)
/*
 * Size of the pool's list. A chain of VQ_MAX_SIZE pieces must fit behind RX_IOV_USE used
 * entries; the second RX_IOV_USE makes it rare that entries are moved.
 */
#define RX_IOV_ALL (1 + 2 * RX_IOV_USE + VQ_MAX_SIZE)

struct rx_chain {
	uint16_t head, pieces;
	uint32_t len;
};

/* The chains of one queue, oldest first. */
struct rx_pool {
	struct rx_chain chain[VQ_MAX_SIZE];
	unsigned first, last;		  /* In use: chain[first .. last) */
	struct iovec iov[RX_IOV_ALL + 1]; /* Buffers of these chains, in order; one spare for the sentinel */
	unsigned begin, end;		  /* In use: iov[begin .. end); begin >= 1, for the tap's header */
	uint64_t bytes;			  /* Total size of these chains */
	struct iovec hdr[TAP_HDR_LEN];	  /* Place of the virtio-net header in the first chain */
	unsigned hdr_pieces;		  /* Entries of hdr; 0: not determined yet */
};

/* Empty @p. Chains in it are forgotten: the caller has given them back with vq_unpop(). */
void rx_pool_clear(struct rx_pool *p);

static inline unsigned rx_pool_chains(const struct rx_pool *p)
{
	return p->last - p->first;
}

/*
 * Pop chains from @vq until the pool has room for @bytes, the ring is empty or a readv() could use no more; if @merge
 * is false, pop only one. Each has room for the header, of @hdr_len bytes; one that has not is a fault (vq->broken).
 */
void rx_pool_fill(struct rx_pool *p, struct vq *vq, uint64_t bytes, bool merge, unsigned hdr_len);

/*
 * Largest frame, in bytes without its header, that fits into the pool, or into its first chain if @merge is false. The
 * pool has at least one chain.
 */
uint64_t rx_pool_room(const struct rx_pool *p, bool merge, unsigned hdr_len);

/* Reserve the first @len bytes of the first chain for the header, unless that was done. */
void rx_pool_cut_header(struct rx_pool *p, unsigned len);

/*
 * A frame of @len bytes is in the first chains, behind the place of its header. Write its header @h there and push
 * the chains that it occupies.
 */
void rx_pool_use(struct rx_pool *p, struct vq *vq, struct virtio_net_hdr_mrg_rxbuf *h, unsigned hdr_len, uint32_t len);

#endif
