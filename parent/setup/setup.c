/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The privileged window: opens, in a fixed order, the engine device, images, kernel and
 * initrd, terminal, taps, guest memory and spawners, then gives up every privilege. Runs
 * in the parent. It parses nothing that a guest or an attacker made, and does only what
 * the command line asks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/clear.h"
#include "common/fmt.h"
#include "common/shm.h"
#include "parent/options/util.h"
#include "parent/room/confine.h"
#include "parent/setup/control.h"
#include "parent/setup/disk.h"
#include "parent/setup/engines.h"
#include "parent/setup/files.h"
#include "parent/setup/firmware.h"
#include "parent/setup/foreign.h"
#include "parent/setup/guard.h"
#include "parent/setup/ids.h"
#include "parent/setup/keeper.h"
#include "parent/setup/limits.h"
#include "parent/setup/link.h"
#include "parent/setup/net.h"
#include "parent/setup/rules.h"
#include "parent/setup/setup.h"
#include "parent/setup/share.h"
#include "parent/setup/shmem.h"
#include "parent/setup/user.h"

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
	return complain(-1, "MEM-MB %llu: this host has only %llu MiB of memory; give the guest less",
			(unsigned long long)(c->mem_bytes >> 20),
			(unsigned long long)((uint64_t)si.totalram * si.mem_unit >> 20));
}

static int check_user(const struct config *c)
{
	const char *why = c->change_user ? cannot_become(c->uid, c->gid) : NULL;

	if (!why)
		return 0;
	return complain(-1,
			"--drop-to=%s: %s; start as an ordinary user (in namespaces of your own: unshare -Un "
			"--map-current-user --keep-caps), or on a host where root may change its user ID",
			c->drop_name, why);
}

/*
 * Raise RLIMIT_NOFILE: three channels per role and the queues of taps can exceed the usual soft limit of 1024. Only
 * root can raise a hard limit that is below the size of a role's table.
 */
static int raise_descriptor_limit(void)
{
	struct rlimit r;
	rlim_t hard;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return complain(-1, "cannot read the limit of open files: %m");
	hard = r.rlim_max;
	r.rlim_max = MAX(hard, (rlim_t)SPAWNER_NOFILE);
	r.rlim_cur = MAX(r.rlim_cur, MIN(r.rlim_max, (rlim_t)65536));
	if (setrlimit(RLIMIT_NOFILE, &r) == 0)
		return 0;
	if (hard < VFD_LIMIT)
		return complain(
			-1,
			"the hard limit of open files is %llu, and cannot be raised to the %u that are needed (ulimit -Hn)",
			(unsigned long long)hard, SPAWNER_NOFILE);
	r.rlim_cur = r.rlim_max = hard;
	return setrlimit(RLIMIT_NOFILE, &r) < 0
		       ? complain(-1, "cannot raise the limit of open files to %llu: %m", (unsigned long long)hard)
		       : 0;
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
	if (user_wanted(h->c)) {
		h->null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (h->null < 0)
			return complain(-1, "cannot open /dev/null: %m");
	}
	for (unsigned i = 0; i < h->c->nnets; i++) {
		const struct net_host *n = &h->net[i];
		const uint8_t *mac = n->config.mac;

		if (h->c->net[i].kind == NET_VHOST_USER)
			continue;
		if (net_open(&h->c->net[i], &h->net[i], h->c->change_user) < 0 || net_guard(h->c, i, &h->net[i]) < 0) {
			link_done();
			return -1;
		}
		if (h->c->verbose)
			complain(0, "net%u: %s, guest's MAC %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, offloads 0x%x", i,
				 n->ifname, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], n->config.mtu,
				 n->config.tap_offloads);
	}
	link_done();
	return rules_send(h);
}

static int make_memory(struct host *h)
{
	h->mem = shm_create(h->c->mem_bytes, &h->mem_sealed);
	if (h->mem < 0)
		return complain(-1, "cannot allocate guest memory of %llu MiB: %m%s",
				(unsigned long long)(h->c->mem_bytes >> 20), errno == EFBIG ? " (ulimit -f)" : "");
	return 0;
}

/* Make the pipe for a role's standard error. Returns the role's end, or -1 after logging the reason. */
static int diag_pipe(struct role_host *r)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return complain(-1, "%s: cannot make a pipe for its messages: %m", r->name);
	r->diag = fd[0];
	if (fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0) {
		complain(-1, "%s: cannot set the flags of its pipe: %m", r->name);
		close(fd[1]);
		return -1;
	}
	return fd[1];
}

/* With QEMU: true if it connects to device @d by path, so that it can connect to a restarted helper again. */
static bool has_listener(const struct config *c, unsigned d)
{
	return c->device[d].kind != DEV_FS && !device_is_foreign(c, d);
}

static int begin_room(struct host *h, struct role_host *r)
{
	static char name[MAX_DEVICES][16];
	struct room room = {
		.name = r->name,
		.role = r->role,
		.uid = r->uid,
		.gid = r->gid,
		.exe = h->exe[r->role],
		.init_exe = h->init_exe,
		.nice = h->nice,
		.qemu = r->role == ROLE_VCPU && h->engine == ENGINE_QEMU ? machine_get(h->c->machine) : NULL,
		.checkpoint = r->role == ROLE_VCPU && (h->c->checkpoint || h->c->from),
	};
	struct resolvers resolvers;
	int begun;

	for (unsigned d = 0; room.qemu && d < h->c->ndevices; d++) {
		if (!has_listener(h->c, d))
			continue;
		fmt_line(name[d], sizeof(name[d]), "%s%u.sock", h->c->device[d].kind == DEV_BLK ? "blk" : "net",
			 h->c->device[d].index);
		room.listen[room.nlisten++] = name[d];
	}
	if (r->role == ROLE_FSD) {
		const struct share_host *s = &h->share[h->c->device[r->device].index];

		room.share = s->path;
		room.share_writable = s->config.read_write;
		room.share_userns = s->userns;
		room.files = (unsigned)fs_descriptors(s->config.open);
	}
	if (r->role == ROLE_PASST) {
		user_resolvers(&resolvers);
		room.resolv = resolvers.text;
	}
	room.diag = diag_pipe(r);
	if (room.diag < 0)
		return -1;
	/* passt opens this pipe by its name in /proc (it writes its process ID to it), and so must own it. */
	if (r->role == ROLE_PASST && h->c->change_user && fchown(room.diag, room.uid, (gid_t)-1) < 0) {
		close(room.diag);
		return complain(-1, "%s: cannot make user %u the owner of its pipe: %m", r->name, room.uid);
	}
	begun = spawner_begin(&r->spawner, &room);
	close(room.diag);
	if (begun < 0)
		r->spawner.pid = -1;
	else if (r->role != ROLE_CONTROLD && limits_add(h, r->spawner.pid) < 0)
		begun = -1;
	if (!r->own_ids)
		r->spawner.missing |= LAYER_BIT(LAYER_OWN_UID);
	return begun;
}

static void add_role(struct host *h, enum role role, const char *kind, unsigned i, int device)
{
	struct role_host *r = &h->role[h->nroles++];

	r->role = role;
	r->device = device;
	r->diag = r->foreign = -1;
	r->spawner.pid = -1;
	r->spawner.sock = -1;
	if (role == ROLE_VCPU || role == ROLE_CONTROLD)
		fmt_line(r->name, sizeof(r->name), "%s", kind);
	else
		fmt_line(r->name, sizeof(r->name), "%s%u", kind, i);
}

/* Distribute the listening sockets in QEMU's root to the devices: one per helper, in the order of the devices. */
static void take_listeners(struct host *h, const struct spawner *s)
{
	for (unsigned d = 0, n = 0; n < s->nlisten; d++) {
		unsigned i = h->c->device[d].index;

		if (!has_listener(h->c, d))
			continue;
		if (h->c->device[d].kind == DEV_BLK)
			h->disk[i].listener = s->listen_fd[n++];
		else
			h->net[i].listener = s->listen_fd[n++];
	}
}

/* Start one spawner per role. All of them set themselves up in parallel, while the rest of the window goes on. */
static int begin_rooms(struct host *h)
{
	static const enum role role[] = { [DEV_BLK] = ROLE_BLKD, [DEV_NET] = ROLE_NETD, [DEV_FS] = ROLE_FSD };
	static const char *const name[] = { [DEV_BLK] = "blk", [DEV_NET] = "net", [DEV_FS] = "fs" };

	for (unsigned d = 0; d < h->c->ndevices; d++) {
		enum device_kind kind = h->c->device[d].kind;

		add_role(h, role[kind], name[kind], h->c->device[d].index, (int)d);
	}
	for (unsigned d = 0; d < h->c->ndevices; d++)
		if (h->c->device[d].kind == DEV_NET && h->c->net[h->c->device[d].index].kind == NET_USER)
			add_role(h, ROLE_PASST, "passt", h->c->device[d].index, (int)d);
	if (h->c->control)
		add_role(h, ROLE_CONTROLD, "control", 0, -1);
	add_role(h, ROLE_VCPU, "vcpu", 0, -1);
	ids_assign(h);
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
	for (unsigned d = 0; d < h->c->ndevices; d++)
		if (h->c->device[d].kind == DEV_FS && h->role[d].spawner.pid > 0)
			share_take(h, h->c->device[d].index, &h->role[d].spawner);
	if (failed)
		return -1;
	take_listeners(h, &h->role[h->nroles - 1].spawner);
	return 0;
}

/* Open the files for the guest's output. Returns 0, or -1 after logging the reason. */
static int open_outputs(struct host *h)
{
	char what[PORT_NAME_MAX + 16];

	for (unsigned i = 0; i < h->c->nports; i++) {
		const struct port_option *o = &h->c->port[i];

		if (!o->path)
			continue;
		fmt_line(what, sizeof(what), "--port=%s:", o->name);
		h->port_file[i] = open_output_file(o->path, what);
		if (h->port_file[i] < 0)
			return -1;
	}
	if (!h->c->console.path)
		return 0;
	h->console_file = open_output_file(h->c->console.path, "--console=");
	return h->console_file < 0 ? -1 : 0;
}

/* Choose where the console goes: standard output, or the file of --console=, which gets no messages of ours. */
static void place_console(struct host *h)
{
	struct terminal *t = &h->term;

	h->console = (struct console_place){ .fd = t->out, .tty = t->out_tty, .own = t->out_own };
	if (h->console_file < 0)
		return;
	h->console = (struct console_place){ .fd = h->console_file, .tty = isatty(h->console_file), .own = true };
	t->together = false;
}

static int open_files(struct host *h)
{
	if (open_disks(h) < 0)
		return -1;
	if (!h->c->no_kernel) {
		h->kernel = open_boot_file(h->c->kernel, h->c->from ? "--from=" : "kernel ");
		if (h->kernel < 0)
			return -1;
	}
	if ((h->c->firmware_path && firmware_open(h) < 0) || open_outputs(h) < 0)
		return -1;
	if (h->c->run.on)
		h->initrd = h->c->run.initrd;
	else if (h->c->initrd)
		h->initrd = open_boot_file(h->c->initrd, "--initrd=");
	return h->c->initrd && h->initrd < 0 ? -1 : open_save_file(h);
}

static int window(struct host *h)
{
	if (confine_bounds() < 0 || limits_open(h) < 0 || control_open(h) < 0 || engine_open(h) < 0 ||
	    shares_open(h) < 0 || begin_rooms(h) < 0 || open_files(h) < 0)
		return -1;
	terminal_open(&h->term);
	place_console(h);
	if (h->c->run.on) {
		h->run_tty = h->term.in_tty;
		h->term.in_tty = false;
	}
	if (open_nics(h) < 0 || shmem_open(h) < 0 || make_memory(h) < 0 || finish_rooms(h) < 0 || rules_confirm(h) < 0)
		return -1;
	return confine_self(h->c->change_user ? h->c->uid : (uid_t)-1, h->c->change_user ? h->c->gid : (gid_t)-1);
}

/*
 * Raise our priority during the window, because on a busy host other processes would
 * lengthen it. The spawners restore the previous priority for themselves.
 */
static int window_first(struct host *h)
{
	int nice = getpriority(PRIO_PROCESS, 0), result;

	h->nice = nice;
	(void)setpriority(PRIO_PROCESS, 0, -20); /* Fails for ordinary users, which is harmless. */
	result = window(h);
	(void)setpriority(PRIO_PROCESS, 0, nice);
	return result;
}

int host_open(struct host *h, const struct config *c)
{
	uint64_t from;

	clear_object(h, sizeof(*h));
	h->c = c;
	h->kernel = h->initrd = h->firmware = h->mem = h->init_exe = h->null = h->rules = h->console_file = -1;
	h->control = h->tell_ready = h->notify = h->save = h->shmem = -1;
	h->limits = (struct limits_host){ .procs = -1, .peak = -1, .refused = -1, .alive = -1 };
	for (unsigned i = 0; i < ARRAY_SIZE(h->limits.events); i++)
		h->limits.events[i] = -1;
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		h->exe[i] = -1;
	for (unsigned i = 0; i < MAX_PORTS; i++)
		h->port_file[i] = -1;
	/* Only those that the guest has: the others take no memory. */
	for (unsigned i = 0; i < c->ndisks; i++)
		disk_clear(&h->disk[i]);
	for (unsigned i = 0; i < c->nnets; i++)
		h->net[i].listener = h->net[i].capture = -1;
	for (unsigned i = 0; i < c->nshares; i++)
		share_clear(&h->share[i]);
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
		complain(0, "privileges were held for %llu us; all processes now run as %s",
			 (unsigned long long)h->window_us, c->change_user ? c->drop_name : "the user who started it");
	}
	return 0;
}

/* The files that the user named. close(2) may block for a file whose server is dead (FUSE, NFS). */
static void close_users_files(struct host *h)
{
	for (unsigned i = 0; i < MAX_PORTS; i++)
		close_fd(&h->port_file[i]);
	close_fd(&h->console_file);
	close_fd(&h->kernel);
	close_fd(&h->initrd);
	close_fd(&h->save);
	close_fd(&h->shmem);
	for (unsigned i = 0; i < h->c->ndisks; i++)
		disk_close(&h->disk[i]);
	for (unsigned i = 0; i < h->c->nshares; i++)
		share_close(&h->share[i]);
}

void host_close(struct host *h)
{
	if (!h->c)
		return; /* host_open() was not called */
	for (unsigned i = 0; i < h->nroles; i++)
		spawner_hang_up(&h->role[i].spawner); /* They end side by side. */
	for (unsigned i = 0; i < h->nroles; i++) {
		if (h->role[i].spawner.pid > 0)
			spawner_destroy(&h->role[i].spawner);
		h->role[i].spawner.pid = -1;
		close_fd(&h->role[i].diag);
		close_fd(&h->role[i].foreign);
	}
	limits_close(h);
	for (unsigned i = 0; i < h->c->nnets; i++) {
		if (h->keeper)
			h->net[i].capture = -1; /* Left open, as the files below. */
		net_close(&h->net[i]);
	}
	close_fd(&h->rules); /* After the taps, so that no packet arrives when the rules are gone. */
	for (unsigned i = 0; i < h->nengine; i++)
		close_fd(&h->engine_fd[i]);
	free(h->engine_fd);
	h->engine_fd = NULL;
	close_fd(&h->null);
	close_fd(&h->control);
	close_fd(&h->tell_ready);
	close_fd(&h->notify);
	close_fd(&h->mem);
	close_fd(&h->firmware);
	close_fd(&h->init_exe);
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		close_fd(&h->exe[i]);
	if (!h->keeper) {
		close_users_files(h);
		return;
	}
	/* The child that closes the other files shares these, and a reader of ours waits for their end. */
	close_fd(&h->term.out);
	close_fd(&h->term.err);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (!(h->served & (1U << (OUTPUT_IN + fd))))
			close(fd);
}
