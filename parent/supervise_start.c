// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One start of the guest: its memory, the channels between its processes, each
 * process with its table of descriptors and its configuration. Runs in the
 * supervisor, without any privilege, the first time and after every reboot.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/inflight.h"
#include "common/shm.h"
#include "supervise.h"

/* Address space beyond guest memory that a role of ours may use. */
#define ROLE_SPACE	 (UINT64_C(512) << 20)
#define QEMU_MAX_THREADS 4096

/* The far ends of this start's channels: passed on, then closed here. */
struct far_ends {
	unsigned n;
	int fd[MAX_DEVICES * 2 + MAX_ROLES + 8];
};

static int keep_far(struct far_ends *f, int fd)
{
	f->fd[f->n++] = fd;
	return fd;
}

static void close_far(struct far_ends *f)
{
	while (f->n)
		close(f->fd[--f->n]);
}

static int pair(int type, struct far_ends *f, int *near)
{
	int sv[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	*near = sv[0];
	return keep_far(f, sv[1]);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Memory in which a disk's process notes what it has begun, for its successor. */
static int fresh_notes(struct supervisor *s, struct sup_role *r, unsigned queues)
{
	uint64_t bytes;

	/* A host without memfd_create cannot make any now: then what a disk had begun is lost with its process. */
	if (!s->h->mem_sealed)
		return 0;
	r->inflight = inflight_create((uint16_t)queues, INFLIGHT_MAX_SIZE, &bytes);
	if (r->inflight >= 0)
		return 0;
	sup_line(s, "%s: memory for its notes: %m", r->host->name);
	return -1;
}

/* As fstat(), which is not the same system call in every libc: this is, and the filter names it. */
static int look_at(int fd, struct stat *st)
{
	return fstatat(fd, "", st, AT_EMPTY_PATH);
}

/* A host without memfd_create: nobody uses the file any more, and its pages are new ones. */
static int emptied_memory(struct supervisor *s, struct stat *st)
{
	if (ftruncate(s->mem, 0) == 0 && ftruncate(s->mem, (off_t)s->c->mem_bytes) == 0 && look_at(s->mem, st) == 0)
		return 0;
	sup_line(s, "guest memory: %m");
	return -1;
}

/* The first start uses what the window made; later ones make their own. */
static int fresh_memory(struct supervisor *s, struct stat *st)
{
	if (s->starts == 0)
		s->mem = s->h->mem;
	else if (!s->h->mem_sealed)
		return emptied_memory(s, st);
	else
		s->mem = shm_create(s->c->mem_bytes, &s->h->mem_sealed);
	if (s->mem < 0 || look_at(s->mem, st) < 0) {
		sup_line(s, "guest memory: %m");
		return -1;
	}
	return 0;
}

static uint64_t space_limit(const struct supervisor *s, uint64_t disk)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__i386__)
	(void)s;
	(void)disk;
	return 0;
#else
	/* A snapshot's map has one bit for every 4096 bytes. */
	return s->c->mem_bytes + ROLE_SPACE + disk / 4096 / 8 * 2;
#endif
}

static void common_config(const struct supervisor *s, const struct sup_role *r, const struct stat *mem,
			  struct role_config *rc)
{
	memset(rc, 0, sizeof(*rc));
	rc->type = CTL_CONFIG;
	rc->role = r->host->role;
	memcpy(rc->name, r->host->name, sizeof(rc->name));
	rc->log_level = s->c->verbose ? LOG_DEBUG : LOG_INFO;
	rc->strict = s->c->strict;
	rc->own_front = s->h->engine != ENGINE_QEMU;
	rc->kill_on_fault = s->c->kill_on_fault;
	rc->mem_unsealed = !s->h->mem_sealed;
	rc->poll_us = s->c->poll_us;
	rc->mem_dev = mem->st_dev;
	rc->mem_ino = mem->st_ino;
	rc->generation = r->generation;
	rc->inflight = r->inflight >= 0;
}

static void device_config(const struct supervisor *s, unsigned d, struct vcpu_device *v)
{
	unsigned i = s->c->device[d].index;

	v->kind = (uint8_t)s->c->device[d].kind;
	v->foreign = s->h->role[d].foreign >= 0;
	v->index = (uint16_t)i;
	if (v->kind == DEV_BLK) {
		v->queues = s->h->disk[i].config.queues;
		v->read_only = s->h->disk[i].config.read_only;
		v->listening = s->h->disk[i].listener >= 0;
		return;
	}
	v->queues = (uint8_t)(s->h->net[i].config.queue_pairs * 2);
	v->listening = s->h->net[i].listener >= 0;
	v->mtu = s->h->net[i].config.mtu;
	memcpy(v->mac, s->h->net[i].config.mac, ETH_ALEN);
}

/* True if the kernel's last console= is such a one ("ttyS", "hvc"). */
static bool console_is(const char *cmdline, const char *kind)
{
	const char *s = cmdline, *last = NULL;

	while ((s = strstr(s, "console="))) {
		if (s == cmdline || s[-1] == ' ')
			last = s + strlen("console=");
		s++;
	}
	return last && !strncmp(last, kind, strlen(kind));
}

static void vcpu_part(const struct supervisor *s, struct vcpu_config *v)
{
	const char *name = strrchr(s->c->kernel, '/');

	v->engine = (uint8_t)s->h->engine;
	v->smp = (uint8_t)s->c->smp;
	v->rng = s->c->rng;
	v->has_initrd = s->h->initrd >= 0;
	v->mem_bytes = s->c->mem_bytes;
	v->ndevices = s->c->ndevices;
	for (unsigned d = 0; d < v->ndevices; d++)
		device_config(s, d, &v->dev[d]);
	fmt_line(v->kernel_name, sizeof(v->kernel_name), "%s", name ? name + 1 : s->c->kernel);
	make_printable(v->kernel_name, strlen(v->kernel_name));
	memcpy(v->cmdline, s->c->cmdline, sizeof(v->cmdline));
	v->console_is_serial = console_is(v->cmdline, "ttyS");
	/* Unsaid, it may be a kernel that has but a serial port. */
	v->console_is_virtio = s->c->console_said && console_is(v->cmdline, "hvc");
}

/*
 * An lguest device is the guest's alone once it is initialised, which the vCPU
 * process does when it has its configuration: ours goes before that.
 */
static bool forget_engine(struct supervisor *s)
{
	if (s->h->engine == ENGINE_LGUEST)
		close_fd(&s->h->engine_fd[s->starts]);
	return true;
}

/* Starts the role, then hands it its configuration. 0, or -1 having said why. */
static int launch(struct supervisor *s, struct sup_role *r, const struct role_fds *f, const struct role_config *rc,
		  uint64_t fsize, uint64_t as)
{
	bool vcpu = rc->role == ROLE_VCPU;
	uint32_t nofile = vcpu ? VFD_LIMIT : HFD_LIMIT;
	uint32_t threads = 0;

	if (vcpu)
		threads = s->h->engine == ENGINE_QEMU ? QEMU_MAX_THREADS : s->c->smp + 1;
	r->ready = false;
	r->live = false;
	r->diag_len = 0;
	r->said_at = 0;
	r->end_told = false;
	r->have_stats = r->stats_asked = false;
	memset(&r->end, 0, sizeof(r->end));
	if (spawner_start_role(&r->host->spawner, f, nofile, threads, fsize, as) < 0 || (vcpu && !forget_engine(s)) ||
	    write(r->ctl, rc, sizeof(*rc)) != sizeof(*rc)) {
		sup_line(s, "%s: cannot be started: %m", r->host->name);
		return -1;
	}
	r->live = true;
	return 0;
}

/* The helper's end of the connection, or the socket where QEMU connects to it. */
static void add_front(struct role_fds *f, struct role_config *rc, int front, int listener)
{
	rc->listening = listener >= 0;
	role_fds_add(f, rc->listening ? listener : front, rc->listening ? HFD_LISTEN : HFD_FRONT);
}

static int start_disk(struct supervisor *s, struct sup_role *r, const struct role_fds *common, struct role_config *rc)
{
	struct disk_host *d = &s->h->disk[s->c->device[r->device].index];
	struct role_fds f = *common;

	rc->blk = d->config;
	add_front(&f, rc, r->front, d->listener);
	role_fds_add(&f, d->fd, HFD_DISK);
	if (r->inflight >= 0)
		role_fds_add(&f, r->inflight, HFD_INFLIGHT);
	if (d->delta >= 0) {
		role_fds_add(&f, d->delta, HFD_DELTA);
		role_fds_add(&f, d->map, HFD_SNAPMAP);
	}
	return launch(s, r, &f, rc, d->config.is_block_device && d->delta < 0 ? 0 : d->config.capacity,
		      space_limit(s, d->config.capacity));
}

static int start_nic(struct supervisor *s, struct sup_role *r, const struct role_fds *common, struct role_config *rc)
{
	struct net_host *n = &s->h->net[s->c->device[r->device].index];
	struct role_fds f = *common;

	rc->net = n->config;
	add_front(&f, rc, r->front, n->listener);
	for (unsigned q = 0; q < n->ntaps; q++)
		role_fds_add(&f, n->tap[q], HFD_TAP0 + q);
	return launch(s, r, &f, rc, 0, space_limit(s, 0));
}

/* The process of device r->device, the first or a later one. */
static int start_helper(struct supervisor *s, struct sup_role *r, const struct stat *mem, struct far_ends *far)
{
	static struct role_config rc;
	struct role_fds f = { 0 };
	int ctl = pair(SOCK_SEQPACKET, far, &r->ctl);

	if (ctl < 0) {
		sup_line(s, "%s: %m", r->host->name);
		return -1;
	}
	common_config(s, r, mem, &rc);
	role_fds_add(&f, ctl, HFD_CTL);
	return s->c->device[r->device].kind == DEV_BLK ? start_disk(s, r, &f, &rc) : start_nic(s, r, &f, &rc);
}

int sup_start_again(struct supervisor *s, struct sup_role *r)
{
	struct far_ends far = { 0 };
	struct stat mem;
	int result;

	if (look_at(s->mem, &mem) < 0) {
		sup_line(s, "guest memory: %m");
		return -1;
	}
	result = start_helper(s, r, &mem, &far);
	close_far(&far);
	return result;
}

/* The console's two pipes, and with QEMU the monitor and the other console. */
static int vcpu_channels(struct supervisor *s, struct role_fds *f, struct far_ends *far)
{
	int in[2], out[2], fd;

	if (pipe2(in, O_CLOEXEC) < 0)
		return -1;
	s->con_in = in[1];
	role_fds_add(f, keep_far(far, in[0]), VFD_CON_IN);
	if (pipe2(out, O_CLOEXEC) < 0)
		return -1;
	s->con_out = out[0];
	role_fds_add(f, keep_far(far, out[1]), VFD_CON_OUT);
	fd = pair(SOCK_SEQPACKET, far, &sup_vcpu(s)->ctl);
	if (fd < 0)
		return -1;
	role_fds_add(f, fd, VFD_CTL);
	if (s->h->engine != ENGINE_QEMU)
		return 0;
	fd = pair(SOCK_STREAM, far, &s->monitor);
	if (fd < 0)
		return -1;
	role_fds_add(f, fd, VFD_MONITOR);
	fd = pair(SOCK_STREAM, far, &s->serial);
	if (fd < 0)
		return -1;
	role_fds_add(f, fd, VFD_SERIAL);
	return 0;
}

static int engine_descriptor(const struct supervisor *s)
{
	const struct host *h = s->h;

	if (!h->nengine)
		return -1;
	return h->engine_fd[h->engine == ENGINE_LGUEST ? s->starts : 0];
}

/* A request to /dev/lguest counts as a write of a few bytes where the device is a file (in tests). */
static uint64_t vcpu_file_size(const struct host *h)
{
	return h->engine == ENGINE_QEMU ? UINT64_MAX : h->engine_is_file ? 4096 : 0;
}

static int start_vcpu(struct supervisor *s, const struct stat *mem, struct far_ends *far, const int *front)
{
	static struct role_config rc;
	struct role_fds f = { 0 };
	int engine = engine_descriptor(s);

	if (vcpu_channels(s, &f, far) < 0) {
		sup_line(s, "vcpu: %m");
		return -1;
	}
	common_config(s, sup_vcpu(s), mem, &rc);
	vcpu_part(s, &rc.vcpu);
	role_fds_add(&f, s->mem, VFD_MEM);
	role_fds_add(&f, s->h->kernel, VFD_KERNEL);
	if (s->h->initrd >= 0)
		role_fds_add(&f, s->h->initrd, VFD_INITRD);
	if (engine >= 0)
		role_fds_add(&f, engine, VFD_ENGINE);
	if (s->h->random > 0)
		role_fds_add(&f, s->h->random, VFD_RANDOM);
	for (unsigned d = 0; d < s->c->ndevices; d++)
		if (front[d] >= 0)
			role_fds_add(&f, front[d], VFD_FRONT0 + d);
	return launch(s, sup_vcpu(s), &f, &rc, vcpu_file_size(s->h),
		      s->h->engine == ENGINE_QEMU ? 0 : space_limit(s, 0));
}

/* What connects device @d with its front-end. *@front: our own front-end's end, or -1. */
static int connect_device(struct supervisor *s, unsigned d, struct far_ends *far, int *front)
{
	unsigned i = s->c->device[d].index;
	bool disk = s->c->device[d].kind == DEV_BLK;
	struct sup_role *r = &s->role[d];

	*front = s->h->role[d].foreign;
	if (*front >= 0)
		return 0;
	if ((disk ? s->h->disk[i].listener : s->h->net[i].listener) < 0) {
		*front = pair(SOCK_STREAM, far, &r->front);
		if (*front < 0) {
			sup_line(s, "%s: %m", r->host->name);
			return -1;
		}
	}
	return disk ? fresh_notes(s, r, s->h->disk[i].config.queues) : 0;
}

static int start_all(struct supervisor *s, struct far_ends *far)
{
	int front[MAX_DEVICES];
	struct stat mem;

	if (fresh_memory(s, &mem) < 0)
		return -1;
	for (unsigned d = 0; d < s->c->ndevices; d++)
		if (connect_device(s, d, far, &front[d]) < 0 ||
		    (s->h->role[d].foreign < 0 && start_helper(s, &s->role[d], &mem, far) < 0))
			return -1;
	return start_vcpu(s, &mem, far, front);
}

static void prepare_role(struct sup_role *r)
{
	r->ctl = r->front = r->inflight = -1;
	r->generation = 0;
	r->ready = r->host->foreign >= 0; /* nobody of ours is waited for */
	r->down_since = r->restart_at = 0;
}

int sup_start(struct supervisor *s)
{
	struct far_ends far = { 0 };
	int result;

	s->con_in = s->con_out = s->serial = s->monitor = -1;
	for (unsigned i = 0; i < s->nroles; i++)
		prepare_role(&s->role[i]);
	s->in.head = s->in.len = 0;
	s->in.gone = false;
	memset(&s->qmp, 0, sizeof(s->qmp));
	memset(&s->panic, 0, sizeof(s->panic));
	memset(&s->panic_serial, 0, sizeof(s->panic_serial));
	s->heard = s->ran = s->greeted = false;
	s->have_end = false;
	s->end_text[0] = '\0';
	s->blamed = NULL;
	s->stop_by = s->nics_stop_by = s->button_until = s->blame_at = s->let_go_at = 0;
	s->started = now_ms();
	s->phase = PHASE_STARTING;
	result = start_all(s, &far);
	close_far(&far);
	s->starts++;
	return result;
}

void sup_clean(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++) {
		close_fd(&s->role[i].ctl);
		close_fd(&s->role[i].front);
		close_fd(&s->role[i].inflight);
	}
	close_fd(&s->con_in);
	close_fd(&s->con_out);
	close_fd(&s->serial);
	close_fd(&s->monitor);
	if (s->h->mem_sealed)
		close_fd(&s->mem);
	s->h->mem = -1;
}
