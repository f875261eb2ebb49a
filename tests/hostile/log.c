/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of written pages, from a front-end that lies about it: too short, outside its file, truncated, replaced while
 * requests are served. Against back-ends that run as stand-alone ones do; and once under a supervisor.
 */
#include <errno.h>
#include <linux/vhost_types.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"
#include "tests/lib/oracle.h"

/* One bit for each page up to the end of guest memory. */
#define LOG_BYTES ((D_GPA + D_LEN) / 4096 / 8)

static enum kind kind;
static struct dev once;

static struct dev *fresh(bool standalone)
{
	dev_end_all();
	dev_spawn(&once, &(struct dev_options){ .kind = kind, .disk = -1, .open = true, .any_memory = standalone });
	dev_greet(&once);
	dev_start(&once);
	return &once;
}

static void leave(struct dev *d, int status)
{
	need(dev_end(d) == status);
}

struct bad_log {
	uint64_t file, bytes, offset;
	unsigned nfds;
};

static void bad_log(const void *arg)
{
	const struct bad_log *b = arg;
	const struct vhu_log l = { .mmap_size = b->bytes, .mmap_offset = b->offset };
	struct dev *d = fresh(true);
	int fd = front_memfd(b->file, true), fds[2] = { fd, fd };

	need(dev_serves(d, d->victim));
	need(front_send(&d->f, VHU_SET_LOG_BASE, 0, &l, sizeof(l), fds, b->nfds));
	need(front_closed(&d->f, PATIENCE));
	close(fd);
	leave(d, 1);
	counted("ended");
}

static void truncated(const void *arg)
{
	struct dev *d = fresh(true);
	int fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)arg;
	need(ftruncate(fd, LOG_BYTES) == 0);
	need(oracle_set_base(&d->f, fd, LOG_BYTES, 0));
	need(ftruncate(fd, 0) < 0 && errno == EPERM);
	close(fd);
	for (unsigned i = 0; i < 20; i++)
		need(dev_serves(d, d->victim));
	leave(d, 0);
	counted("served");
}

/* A new log, and logging switched off and on, between all requests. */
static void replaced(const void *arg)
{
	struct dev *d = fresh(true);
	int fd = front_memfd(LOG_BYTES, true);
	uint64_t off = d->f.features & ~BIT64(VHOST_F_LOG_ALL), on = off | BIT64(VHOST_F_LOG_ALL);

	(void)arg;
	for (unsigned i = 0; i < 200; i++) {
		need(oracle_set_base(&d->f, fd, LOG_BYTES, 0));
		need(front_ack_u64(&d->f, VHU_SET_FEATURES, i % 2 ? on : off) == 0);
		need(dev_serves(d, d->victim));
	}
	close(fd);
	leave(d, 0);
	counted("served");
}

static void without_the_feature(const void *arg)
{
	const struct vhu_log l = { .mmap_size = LOG_BYTES };
	struct dev *d = fresh(true);
	uint64_t no_log = d->f.protocol_features & ~BIT64(VHU_PF_LOG_SHMFD);
	int fd = front_memfd(LOG_BYTES, true);

	(void)arg;
	need(front_ack_u64(&d->f, VHU_SET_PROTOCOL_FEATURES, no_log) == 0);
	need(front_ack(&d->f, VHU_SET_LOG_BASE, &l, sizeof(l), &fd, 1) == 1);
	need(dev_serves(d, d->victim));
	close(fd);
	leave(d, 0);
	counted("refused");
}

static void supervised(const void *arg)
{
	const struct vhu_log l = { .mmap_size = LOG_BYTES };
	struct dev *d = fresh(false);
	int fd = front_memfd(LOG_BYTES, true);

	(void)arg;
	need(!(d->f.features & BIT64(VHOST_F_LOG_ALL)) && !(d->f.protocol_features & BIT64(VHU_PF_LOG_SHMFD)));
	need(front_ack(&d->f, VHU_SET_LOG_BASE, &l, sizeof(l), &fd, 1) == 1);
	need(dev_serves(d, d->victim));
	close(fd);
	leave(d, 0);
	counted("refused");
}

static void play_all(void)
{
	static const struct {
		const char *name;
		struct bad_log log;
	} bad[] = {
		{ "shorter than memory", { LOG_BYTES, LOG_BYTES - 1, 0, 1 } },
		{ "one byte", { 4096, 1, 0, 1 } },
		{ "empty", { LOG_BYTES, 0, 0, 1 } },
		{ "longer than its file", { LOG_BYTES, LOG_BYTES + 1, 0, 1 } },
		{ "of 2^64 - 1 bytes", { LOG_BYTES, UINT64_MAX, 0, 1 } },
		{ "at an offset behind its file", { LOG_BYTES, LOG_BYTES, LOG_BYTES, 1 } },
		{ "at an offset that wraps", { LOG_BYTES, LOG_BYTES, UINT64_MAX - 4095, 1 } },
		{ "without a descriptor", { LOG_BYTES, LOG_BYTES, 0, 0 } },
		{ "of two descriptors", { LOG_BYTES, LOG_BYTES, 0, 2 } },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		play(bad[i].name, "ended", bad_log, &bad[i].log);
	play("truncated afterwards", "served", truncated, NULL);
	play("replaced and switched off between requests", "served", replaced, NULL);
	play("without the feature", "refused", without_the_feature, NULL);
	play("under a supervisor", "refused", supervised, NULL);
}

void log_group(void)
{
	group("log of written pages, blkd");
	kind = BLKD;
	play_all();
	group("log of written pages, netd");
	kind = NETD;
	play_all();
}
