/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One start of the guest: its memory, the channels between its processes, and each
 * process with its descriptor table and configuration. Runs in the supervisor without
 * any privilege, the first time and after each reboot.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/fmt.h"
#include "parent/setup/rules.h"
#include "parent/supervise/consoles.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/disks.h"
#include "parent/supervise/exit_port.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/memory.h"
#include "parent/supervise/passt.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/start.h"
#include "parent/supervise/state.h"
#include "parent/supervise/steer.h"

#define QEMU_MAX_THREADS 4096

/* The roles' ends of this start's channels: passed to the roles, then closed here. */
struct far_ends {
	unsigned n;
	int fd[MAX_DEVICES * 4 + MAX_ROLES + MAX_PORTS + 8];
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

static void common_config(const struct supervisor *s, const struct sup_role *r, const struct stat *mem,
			  struct role_config *rc)
{
	memset(rc, 0, sizeof(*rc));
	rc->type = CTL_CONFIG;
	rc->role = r->host->role;
	memcpy(rc->name, r->host->name, sizeof(rc->name));
	rc->log_level = s->c->verbose ? LOG_DEBUG : s->c->quiet ? LOG_WARN : LOG_INFO;
	rc->strict = s->c->strict;
	rc->own_front = s->h->engine != ENGINE_QEMU;
	rc->kill_on_fault = s->c->kill_on_fault;
	/* A guest from a file begins with rings in use, for which helpers need the same messages. */
	rc->checkpoint = s->c->checkpoint || s->c->from;
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
	v->used_before = v->foreign && s->starts > 0;
	v->index = (uint16_t)i;
	if (v->kind == DEV_FS) {
		v->queues = v->foreign ? FS_QUEUES : FS_ALL_QUEUES(&s->h->share[i].config);
		memcpy(v->tag, s->c->share[i].tag, sizeof(v->tag));
		v->cache = (uint8_t)s->h->share[i].config.cache;
		v->others_are_root = s->h->share[i].config.others_are_root;
		v->inodes = s->h->share[i].config.inodes;
		return;
	}
	if (v->kind == DEV_BLK) {
		v->queues = s->h->disk[i].config.queues;
		v->read_only = s->h->disk[i].config.read_only;
		v->snapshot = s->h->disk[i].config.snapshot;
		v->image_time = s->h->disk[i].written_at;
		v->listening = s->h->disk[i].listener >= 0;
		v->boot = (uint8_t)s->c->disk[i].boot;
		v->bus = (uint8_t)s->c->disk[i].bus;
		v->cdrom = s->c->disk[i].cdrom;
		return;
	}
	v->queues = (uint8_t)(s->h->net[i].config.queue_pairs * 2);
	v->listening = s->h->net[i].listener >= 0;
	v->mtu = s->h->net[i].config.mtu;
	memcpy(v->mac, s->h->net[i].config.mac, ETH_ALEN);
}

static void vcpu_part(struct supervisor *s, struct vcpu_config *v)
{
	const char *name = strrchr(s->c->kernel, '/');

	v->engine = (uint8_t)s->h->engine;
	v->smp = (uint8_t)s->c->smp;
	v->rng = s->c->rng;
	v->has_initrd = s->h->initrd >= 0;
	v->has_kernel = s->h->kernel >= 0;
	sup_exit_port_config(s, v);
	v->machine = (uint8_t)s->c->machine;
	v->machine_type = (uint8_t)s->c->machine_type;
	v->firmware = (uint8_t)s->c->firmware;
	fmt_line(v->cpu, sizeof(v->cpu), "%s", s->c->cpu ? s->c->cpu : "");
	v->mem_bytes = s->c->mem_bytes;
	v->ndevices = s->c->ndevices;
	v->nports = (uint8_t)s->c->nports;
	for (unsigned i = 0; i < s->c->nports; i++)
		memcpy(v->port[i], s->c->port[i].name, PORT_NAME_MAX);
	for (unsigned d = 0; d < v->ndevices; d++)
		device_config(s, d, &v->dev[d]);
	fmt_line(v->kernel_name, sizeof(v->kernel_name), "%s", name ? name + 1 : s->c->kernel);
	make_printable(v->kernel_name, strlen(v->kernel_name));
	sup_console_config(s, v);
}

/*
 * Close the supervisor's descriptor of /dev/lguest before the vCPU process gets its
 * configuration and initialises the guest, so that only the vCPU process can use it.
 */
static bool forget_engine(struct supervisor *s)
{
	if (s->h->engine == ENGINE_LGUEST)
		close_fd(&s->h->engine_fd[s->starts]);
	return true;
}

/* Start the role @r, then send its configuration. Returns 0, or -1 after logging the reason. */
static int launch(struct supervisor *s, struct sup_role *r, const struct role_fds *f, const struct role_config *rc,
		  uint64_t fsize, uint64_t as)
{
	bool vcpu = rc->role == ROLE_VCPU;
	uint32_t nofile = vcpu ? VFD_LIMIT : sup_is_control(r) ? CFD_LIMIT : f->more ? FSD_FD0 : HFD_LIMIT;
	uint32_t threads = 0;

	if (vcpu)
		threads = s->h->engine == ENGINE_QEMU ? QEMU_MAX_THREADS : s->c->smp + 1;
	sup_role_fresh(r);
	if (spawner_start_role(&r->host->spawner, f, nofile, threads, fsize, as) < 0 || (vcpu && !forget_engine(s)) ||
	    write(r->ctl, rc, sizeof(*rc)) != sizeof(*rc)) {
		sup_line(s, "%s: cannot start its process: %m%s", r->host->name, spawn_limit_text(errno));
		return -1;
	}
	r->live = true;
	return 0;
}

/* Pass the helper its end of the vhost-user connection, or the listening socket that QEMU connects to. */
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
	role_fds_add_open(&f, r->inflight, HFD_INFLIGHT);
	sup_disk_files(s, r, d, &f, rc);
	return launch(s, r, &f, rc, sup_disk_file_size(s, d), sup_space_limit(s, d->config.capacity));
}

static int start_nic(struct supervisor *s, struct sup_role *r, const struct role_fds *common, struct role_config *rc,
		     struct far_ends *far)
{
	struct net_host *n = &s->h->net[s->c->device[r->device].index];
	struct role_fds f = *common;
	int passt;

	rc->net = n->config;
	if (n->config.user.on) {
		passt = sup_passt_start(s, r);
		if (passt < 0)
			return -1;
		role_fds_add(&f, keep_far(far, passt), HFD_TAP0);
	}
	add_front(&f, rc, r->front, n->listener);
	for (unsigned q = 0; q < n->ntaps; q++)
		role_fds_add(&f, n->tap[q], HFD_TAP0 + q);
	/* netd holds a reference to the rules, so that they outlive the tap even if the supervisor is killed. */
	if (s->h->rules >= 0 && rules_wanted(&s->c->net[s->c->device[r->device].index]))
		role_fds_add(&f, s->h->rules, HFD_RULES);
	role_fds_add_open(&f, n->capture, HFD_CAPTURE);
	return launch(s, r, &f, rc, n->config.capture_max, sup_space_limit(s, 0));
}

static int start_share(struct supervisor *s, struct sup_role *r, const struct role_fds *common, struct role_config *rc)
{
	struct share_host *h = &s->h->share[s->c->device[r->device].index];
	struct role_fds f = *common;

	rc->fs = h->config;
	add_front(&f, rc, r->front, -1);
	role_fds_add(&f, h->root, HFD_ROOT);
	role_fds_add_open(&f, r->inflight, HFD_INFLIGHT);
	sup_share_files(s, r, h, &f, rc);
	f.more = (uint32_t)fs_descriptors(h->config.open) - FSD_FD0;
	return launch(s, r, &f, rc, s->h->save >= 0 ? sup_save_file_size(s) : h->config.max, sup_space_limit(s, 0));
}

/* Start controld, the first one or a successor. Returns 0, or -1 after logging the reason. */
static int start_control(struct supervisor *s, struct sup_role *r, const struct stat *mem, struct far_ends *far)
{
	static struct role_config rc;
	struct role_fds f = { 0 };
	int ctl = pair(SOCK_SEQPACKET, far, &r->ctl), console;

	sup_control_close(s);
	console = ctl < 0 ? -1 : pair(SOCK_STREAM | SOCK_NONBLOCK, far, &s->control_console);
	if (console < 0) {
		sup_line(s, "%s: %m", r->host->name);
		return -1;
	}
	common_config(s, r, mem, &rc);
	rc.control.owner = s->h->owner;
	rc.control.owner_is_self = !s->c->change_user;
	memset(&s->control_state, 0, sizeof(s->control_state));
	role_fds_add(&f, ctl, CFD_CTL);
	role_fds_add(&f, console, CFD_CONSOLE);
	role_fds_add(&f, s->h->control, CFD_LISTEN);
	return launch(s, r, &f, &rc, 0, sup_space_limit(s, 0));
}

/* Start the helper of device r->device, the first one or a successor. Returns 0, or -1 after logging the reason. */
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
	switch (s->c->device[r->device].kind) {
	case DEV_BLK:
		return start_disk(s, r, &f, &rc);
	case DEV_FS:
		return start_share(s, r, &f, &rc);
	default:
		return start_nic(s, r, &f, &rc, far);
	}
}

int sup_start_again(struct supervisor *s, struct sup_role *r)
{
	struct far_ends far = { 0 };
	struct stat mem = { 0 };
	int result;

	if (fd_stat(s->mem, &mem) < 0) {
		sup_line(s, "guest memory: %m");
		return -1;
	}
	result = sup_is_control(r) ? start_control(s, r, &mem, &far) : start_helper(s, r, &mem, &far);
	close_far(&far);
	return result;
}

/* A pair of sockets, of which the vCPU process gets one as its descriptor @number. */
static int channel(int type, struct role_fds *f, struct far_ends *far, int *near, int number)
{
	int fd = pair(type, far, near);

	if (fd >= 0)
		role_fds_add(f, fd, number);
	return fd < 0 ? -1 : 0;
}

/* Make the console's two pipes and the control channel, and with QEMU the monitor and the serial console. */
static int vcpu_channels(struct supervisor *s, struct role_fds *f, struct far_ends *far)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return -1;
	s->con_in = in[1];
	role_fds_add(f, keep_far(far, in[0]), VFD_CON_IN);
	if (pipe2(out, O_CLOEXEC) < 0)
		return -1;
	s->con_out = out[0];
	role_fds_add(f, keep_far(far, out[1]), VFD_CON_OUT);
	if (channel(SOCK_SEQPACKET, f, far, &sup_vcpu(s)->ctl, VFD_CTL) < 0)
		return -1;
	if (s->h->engine != ENGINE_QEMU)
		return 0;
	if (channel(SOCK_STREAM, f, far, &s->monitor, VFD_MONITOR) < 0 ||
	    channel(SOCK_STREAM, f, far, &s->serial, VFD_SERIAL) < 0)
		return -1;
	return s->c->exit_port.kind == EXIT_PORT_BYTE ? channel(SOCK_STREAM, f, far, &s->exit_port, VFD_EXIT) : 0;
}

static int engine_descriptor(const struct supervisor *s)
{
	const struct host *h = s->h;

	if (!h->nengine)
		return -1;
	return h->engine_fd[h->engine == ENGINE_LGUEST ? s->starts : 0];
}

/* Make the named ports' socket pairs; there are none without --port or run. */
static int port_channels(struct supervisor *s, struct role_fds *f, struct far_ends *far)
{
	int fd[MAX_PORTS], result;

	memset(fd, -1, sizeof(fd));
	result = sup_ports_start(s, fd);
	for (unsigned i = 0; i < MAX_PORTS; i++)
		if (fd[i] >= 0)
			role_fds_add(f, keep_far(far, fd[i]), VFD_PORT0 + 2 * i);
	return result;
}

/* With --checkpoint, the logs of pages that helpers write. The vCPU process gives each helper its own. */
static int page_logs(struct supervisor *s, struct role_fds *f, struct far_ends *far)
{
	for (unsigned d = 0; s->c->checkpoint && d < s->c->ndevices; d++) {
		int fd = sup_fresh_log(s, d);

		if (fd < 0)
			return -1;
		role_fds_add(f, keep_far(far, fd), VFD_LOG0 + d);
	}
	return 0;
}

static int start_vcpu(struct supervisor *s, const struct stat *mem, struct far_ends *far, const int *front)
{
	static struct role_config rc;
	struct role_fds f = { 0 };
	int engine = engine_descriptor(s);

	if (vcpu_channels(s, &f, far) < 0 || port_channels(s, &f, far) < 0) {
		sup_line(s, "vcpu: %m");
		return -1;
	}
	common_config(s, sup_vcpu(s), mem, &rc);
	vcpu_part(s, &rc.vcpu);
	role_fds_add(&f, s->mem, VFD_MEM);
	role_fds_add_open(&f, s->h->kernel, VFD_KERNEL);
	role_fds_add_open(&f, s->h->initrd, VFD_INITRD);
	role_fds_add_open(&f, s->h->firmware, VFD_FIRMWARE);
	role_fds_add_open(&f, s->h->save, VFD_SAVE);
	role_fds_add_open(&f, s->h->shmem, VFD_SHMEM);
	role_fds_add_open(&f, engine, VFD_ENGINE);
	if (s->h->random > 0)
		role_fds_add(&f, s->h->random, VFD_RANDOM);
	for (unsigned d = 0; d < s->c->ndevices; d++)
		role_fds_add_open(&f, front[d], VFD_FRONT0 + d);
	if (page_logs(s, &f, far) < 0)
		return -1;
	return launch(s, sup_vcpu(s), &f, &rc, sup_vcpu_file_size(s),
		      s->h->engine == ENGINE_QEMU ? 0 : sup_space_limit(s, 0));
}

/*
 * Connect device @d with its front-end. *@front gets the end of our own front-end (vCPU process), or -1 if QEMU
 * connects by itself. Returns 0, or -1 after logging the reason.
 */
static int connect_device(struct supervisor *s, unsigned d, struct far_ends *far, int *front)
{
	unsigned i = s->c->device[d].index;
	enum device_kind kind = s->c->device[d].kind;
	struct sup_role *r = &s->role[d];

	*front = s->h->role[d].foreign;
	if (*front >= 0)
		return 0;
	if (kind == DEV_FS || (kind == DEV_BLK ? s->h->disk[i].listener : s->h->net[i].listener) < 0) {
		*front = pair(SOCK_STREAM, far, &r->front);
		if (*front < 0) {
			sup_line(s, "%s: %m", r->host->name);
			return -1;
		}
	}
	if (kind == DEV_FS) /* QEMU cannot connect to a successor. */
		return s->h->engine == ENGINE_QEMU ? 0 : sup_fresh_notes(s, r, FS_ALL_QUEUES(&s->h->share[i].config));
	return kind == DEV_BLK ? sup_fresh_notes(s, r, s->h->disk[i].config.queues) : 0;
}

static int start_all(struct supervisor *s, struct far_ends *far)
{
	int front[MAX_DEVICES] = { 0 };
	struct stat mem = { 0 };

	if (sup_fresh_memory(s, &mem) < 0)
		return -1;
	for (unsigned d = 0; d < s->c->ndevices; d++)
		if (connect_device(s, d, far, &front[d]) < 0 ||
		    (s->h->role[d].foreign < 0 && start_helper(s, &s->role[d], &mem, far) < 0))
			return -1;
	/* Controld outlives a reboot of the guest. */
	if (s->starts == 0 && sup_control(s) && start_control(s, sup_control(s), &mem, far) < 0)
		return -1;
	return start_vcpu(s, &mem, far, front);
}

static void prepare_role(struct sup_role *r)
{
	r->ctl = r->front = r->inflight = -1;
	r->generation = 0;
	r->ready = r->host->foreign >= 0; /* A foreign back-end sends no CTL_READY. */
	r->down_since = r->restart_at = 0;
}

int sup_start(struct supervisor *s)
{
	struct far_ends far = { 0 };
	int result;

	s->con_in = s->con_out = s->serial = s->monitor = s->exit_port = -1;
	s->reported_at = 0;
	sup_steer_over(s);
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->starts == 0 || !sup_is_control(&s->role[i]))
			prepare_role(&s->role[i]);
	s->in.head = s->in.len = 0;
	s->in.gone = false;
	memset(&s->qmp, 0, sizeof(s->qmp));
	memset(&s->panic, 0, sizeof(s->panic));
	memset(&s->panic_serial, 0, sizeof(s->panic_serial));
	s->panic_at = s->ended_at = 0;
	s->guest_running = s->qmp_ready = s->told_ready = s->qemu_ended_itself = s->have_end = false;
	sup_consoles_start(s);
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
	int *const console[] = { &s->con_in, &s->con_out, &s->serial, &s->monitor, &s->exit_port };

	for (unsigned i = 0; i < s->nroles; i++) {
		if (sup_is_control(&s->role[i]))
			continue;
		close_fd(&s->role[i].ctl);
		close_fd(&s->role[i].front);
		close_fd(&s->role[i].inflight);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(console); i++)
		close_fd(console[i]);
	sup_ports_clean(s);
	if (s->h->mem_sealed)
		close_fd(&s->mem);
	s->h->mem = -1;
}
