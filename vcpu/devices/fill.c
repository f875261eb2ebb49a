/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input of the console and of named ports: see fill.h. Runs in the vCPU process, under the engine's device lock. */
#include "common/fault.h"
#include "common/iov.h"
#include "vcpu/devices/fill.h"
#include "vcpu/devices/written.h"

size_t fill_queue(struct vq *vq, const uint8_t *buf, size_t len, bool *used)
{
	static struct iovec iov[VQ_MAX_SIZE];
	struct vq_chain chain;
	size_t done = 0;

	*used = false;
	/* One more than there can be chains, so that an empty queue is noticed. */
	for (unsigned n = 0; done < len && n <= vq->size && vq->running; n++) {
		size_t some;

		if (vq_pop(vq, iov, ARRAY_SIZE(iov), &chain) != VQ_POP_CHAIN) {
			if (vq->running && vq_enable_kicks(vq))
				continue;
			break;
		}
		if (!chain.nin) {
			guest_fault(vq, FAULT_NO_WRITABLE, chain.head);
			break;
		}
		some = iov_from_buf(iov + chain.nout, chain.nin, 0, buf + done, len - done);
		written_mark_iov(iov + chain.nout, chain.nin, some);
		done += some;
		vq_push(vq, chain.head, (uint32_t)some);
		*used = true;
	}
	return done;
}
