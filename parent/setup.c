// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The privileged window, in a fixed order: engine device, images, kernel and
 * initrd, terminal, taps, guest memory, spawners; then every privilege goes for
 * good. Runs in the parent. Nothing that a guest or an attacker made is parsed
 * in it, and nothing is decided in it that the command line did not say.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/shm.h"
#include "options.h"
#include "room.h"
#include "setup.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int check_memory(const struct config *c)
{
	struct sysinfo si;

	if (sysinfo(&si) < 0 || c->mem_bytes <= (uint64_t)si.totalram * si.mem_unit)
		return 0;
	return complain(-1, "MEM-MB %llu: this host has %llu MiB of memory; give the guest less",
			(unsigned long long)(c->mem_bytes >> 20),
			(unsigned long long)((uint64_t)si.totalram * si.mem_unit >> 20));
}

static int check_user(const struct config *c)
{
	const char *why = c->change_user ? cannot_become(c->uid, c->gid) : NULL;

	if (!why)
		return 0;
	return complain(-1, "--drop-to=%s: %s; start as an ordinary user, or where root may do it", c->drop_name, why);
}

/*
 * Three channels a role, the taps' queues: more than the usual soft limit of 1024 in the end.
 * A hard limit that is lower than a role's table can be raised here alone, while there is the right.
 */
static int raise_descriptor_limit(void)
{
	struct rlimit r;
	rlim_t hard;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return complain(-1, "limit of descriptors: %m");
	hard = r.rlim_max;
	r.rlim_max = MAX(hard, (rlim_t)SPAWNER_NOFILE);
	r.rlim_cur = MAX(r.rlim_cur, MIN(r.rlim_max, (rlim_t)65536));
	if (setrlimit(RLIMIT_NOFILE, &r) == 0)
		return 0;
	if (hard < VFD_LIMIT)
		return complain(
			-1,
			"the hard limit of descriptors is %llu, and cannot be raised to the %u that are needed (ulimit -Hn)",
			(unsigned long long)hard, SPAWNER_NOFILE);
	r.rlim_cur = r.rlim_max = hard;
	return setrlimit(RLIMIT_NOFILE, &r) < 0 ? complain(-1, "limit of descriptors: %m") : 0;
}

static int open_disks(struct host *h)
{
	for (unsigned i = 0; i < h->c->ndisks; i++) {
		if (h->c->disk[i].vhost_user)
			continue;
		if (disk_open(h->c->disk, h->disk, i) < 0)
			return -1;
		if (h->c->verbose)
			complain(0, "blk%u: %s, %llu MiB%s%s", i, h->c->disk[i].path,
				 (unsigned long long)(h->disk[i].config.capacity >> 20),
				 h->c->disk[i].read_only ? ", read-only" : "",
				 h->c->disk[i].snapshot ? ", snapshot" : "");
	}
	return 0;
}

static int open_nics(struct host *h)
{
	for (unsigned i = 0; i < h->c->nnets; i++) {
		const struct net_host *n = &h->net[i];
		const uint8_t *mac = n->config.mac;

		if (h->c->net[i].kind == NET_VHOST_USER)
			continue;
		if (net_open(&h->c->net[i], &h->net[i]) < 0 || net_guard(h->c, i, &h->net[i]) < 0) {
			link_done();
			return -1;
		}
		if (h->c->verbose)
			complain(0, "net%u: %s, guest's MAC %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, offloads 0x%x", i,
				 n->ifname, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], n->config.mtu,
				 n->config.tap_offloads);
	}
	link_done();
	return 0;
}

static int make_memory(struct host *h)
{
	h->mem = shm_create(h->c->mem_bytes, &h->mem_sealed);
	if (h->mem < 0)
		return complain(-1, "guest memory of %llu MiB: %m%s", (unsigned long long)(h->c->mem_bytes >> 20),
				errno == EFBIG ? " (ulimit -f)" : "");
	return 0;
}

/* The pipe of a role's standard error: our end, and the role's. */
static int diag_pipe(struct role_host *r)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return complain(-1, "%s: %m", r->name);
	r->diag = fd[0];
	if (fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0) {
		close(fd[1]);
		return complain(-1, "%s: %m", r->name);
	}
	return fd[1];
}

/*
 * Where the target user has ranges of subordinate ids for all roles
 * (/etc/subuid, /etc/subgid), each role becomes an id of its own from them; a
 * group that was asked for stays. An ordinary user cannot change to them.
 */
static void own_ids(const struct host *h, struct room *room, unsigned i)
{
	uid_t uid, gid, uids, gids;
	char user[sizeof(h->c->drop_name)];
	size_t len = strcspn(h->c->drop_name, ":");

	if (!h->c->change_user)
		return;
	memcpy(user, h->c->drop_name, len);
	user[len] = '\0';
	if (subid_range("/etc/subuid", user, &uid, &uids) < 0 || h->nroles > uids)
		return;
	room->uid = uid + i;
	if (!h->c->drop_name[len] && subid_range("/etc/subgid", user, &gid, &gids) == 0 && h->nroles <= gids)
		room->gid = gid + i;
}

static int begin_room(struct host *h, struct role_host *r)
{
	static char name[MAX_DEVICES][16];
	struct room room = {
		.name = r->name,
		.role = r->role,
		.uid = h->c->change_user ? h->c->uid : (uid_t)-1,
		.gid = h->c->change_user ? h->c->gid : (gid_t)-1,
		.exe = h->exe[r->role],
		.init_exe = h->init_exe,
		.nice = h->nice,
		.qemu = r->role == ROLE_VCPU && h->engine == ENGINE_QEMU,
	};
	int begun;

	own_ids(h, &room, (unsigned)(r - h->role));
	/* QEMU connects by path: only so does it connect again. */
	for (unsigned d = 0; room.qemu && d < h->c->ndevices; d++) {
		if (device_is_foreign(h->c, d))
			continue;
		fmt_line(name[d], sizeof(name[d]), "%s%u.sock", h->c->device[d].kind == DEV_BLK ? "blk" : "net",
			 h->c->device[d].index);
		room.listen[room.nlisten++] = name[d];
	}
	room.diag = diag_pipe(r);
	if (room.diag < 0)
		return -1;
	begun = spawner_begin(&r->spawner, &room);
	close(room.diag);
	if (begun < 0)
		r->spawner.pid = -1;
	return begun;
}

static void add_role(struct host *h, enum role role, const char *kind, unsigned i)
{
	struct role_host *r = &h->role[h->nroles++];

	r->role = role;
	r->diag = r->foreign = -1;
	r->spawner.pid = -1;
	r->spawner.sock = -1;
	if (role == ROLE_VCPU)
		fmt_line(r->name, sizeof(r->name), "%s", kind);
	else
		fmt_line(r->name, sizeof(r->name), "%s%u", kind, i);
}

/* The sockets in QEMU's root: one for each helper, in their order. */
static void take_listeners(struct host *h, const struct spawner *s)
{
	for (unsigned d = 0, n = 0; n < s->nlisten; d++) {
		unsigned i = h->c->device[d].index;

		if (device_is_foreign(h->c, d))
			continue;
		if (h->c->device[d].kind == DEV_BLK)
			h->disk[i].listener = s->listen_fd[n++];
		else
			h->net[i].listener = s->listen_fd[n++];
	}
}

/* One room per role, all furnished at the same time, and while the rest is opened. */
static int begin_rooms(struct host *h)
{
	for (unsigned d = 0; d < h->c->ndevices; d++) {
		bool disk = h->c->device[d].kind == DEV_BLK;

		add_role(h, disk ? ROLE_BLKD : ROLE_NETD, disk ? "blk" : "net", h->c->device[d].index);
	}
	add_role(h, ROLE_VCPU, "vcpu", 0);
	for (unsigned i = 0; i < h->nroles; i++) {
		bool foreign = i < h->c->ndevices && device_is_foreign(h->c, i);

		if ((foreign ? foreign_open(h, i) : begin_room(h, &h->role[i])) < 0)
			return -1;
	}
	return 0;
}

static int finish_rooms(struct host *h)
{
	bool failed = false;

	for (unsigned i = 0; i < h->nroles; i++)
		if (h->role[i].foreign < 0 && spawner_finish(&h->role[i].spawner) < 0) {
			h->role[i].spawner.pid = -1;
			failed = true;
		}
	if (failed)
		return -1;
	take_listeners(h, &h->role[h->nroles - 1].spawner);
	return 0;
}

static int open_files(struct host *h)
{
	if (open_disks(h) < 0)
		return -1;
	h->kernel = open_boot_file(h->c->kernel, "kernel ");
	if (h->kernel < 0)
		return -1;
	if (!h->c->initrd)
		return 0;
	h->initrd = open_boot_file(h->c->initrd, "--initrd=");
	return h->initrd < 0 ? -1 : 0;
}

static int window(struct host *h)
{
	if (engine_open(h) < 0 || begin_rooms(h) < 0 || open_files(h) < 0)
		return -1;
	terminal_open(&h->term);
	if (open_nics(h) < 0 || make_memory(h) < 0 || finish_rooms(h) < 0)
		return -1;
	return confine_self(h->c->change_user ? h->c->uid : (uid_t)-1, h->c->change_user ? h->c->gid : (gid_t)-1);
}

/*
 * Where others keep the processors busy, each time slice that they get would
 * lengthen the window. The children of the window put their own back.
 */
static int window_first(struct host *h)
{
	int nice = getpriority(PRIO_PROCESS, 0), result;

	h->nice = nice;
	(void)setpriority(PRIO_PROCESS, 0, -20); /* not without the privilege: then as it is */
	result = window(h);
	(void)setpriority(PRIO_PROCESS, 0, nice);
	return result;
}

int host_open(struct host *h, const struct config *c)
{
	uint64_t from;

	memset(h, 0, sizeof(*h));
	h->c = c;
	h->kernel = h->initrd = h->mem = h->init_exe = -1;
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		h->exe[i] = -1;
	for (unsigned i = 0; i < MAX_DEVICES; i++) {
		h->disk[i].fd = h->disk[i].delta = h->disk[i].map = h->disk[i].listener = -1;
		h->net[i].listener = -1;
	}
	if (check_memory(c) < 0 || check_user(c) < 0 || raise_descriptor_limit() < 0 || open_programs(h) < 0)
		return -1;
	from = now_us();
	if (window_first(h) < 0)
		return -1;
	h->window_from_us = from;
	h->window_us = now_us() - from;
	close_fd(&h->init_exe);
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		close_fd(&h->exe[i]);
	if (c->verbose) {
		complain(0, "engine: %s", engine_name(h->engine));
		complain(0, "privileges were held for %llu us; everything runs as %s now",
			 (unsigned long long)h->window_us, c->change_user ? c->drop_name : "the user who started it");
	}
	return 0;
}

void host_close(struct host *h)
{
	for (unsigned i = 0; i < h->nroles; i++) {
		if (h->role[i].spawner.pid > 0)
			spawner_destroy(&h->role[i].spawner);
		h->role[i].spawner.pid = -1;
		close_fd(&h->role[i].diag);
		close_fd(&h->role[i].foreign);
	}
	for (unsigned i = 0; i < h->c->ndisks; i++)
		disk_close(&h->disk[i]);
	for (unsigned i = 0; i < h->c->nnets; i++)
		net_close(&h->net[i]);
	for (unsigned i = 0; i < h->nengine; i++)
		close_fd(&h->engine_fd[i]);
	free(h->engine_fd);
	h->engine_fd = NULL;
	close_fd(&h->mem);
	close_fd(&h->kernel);
	close_fd(&h->initrd);
	close_fd(&h->init_exe);
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		close_fd(&h->exe[i]);
}
