/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parent's cloned child, from the set-up of its namespaces to the execution of
 * lguest-sep-init. spawn_child() has the layers in the order of SECURITY.md, "The
 * layers". The child reports only over its socket, and exits if any step fails, so that
 * no role runs with half of its confinement.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fdpass.h"
#include "common/fmt.h"
#include "common/share.h"
#include "parent/room/apparmor.h"
#include "parent/room/child.h"
#include "parent/room/confine.h"
#include "parent/room/mounts.h"
#include "parent/room/room.h"
#include "policy/policies.h"

static NORETURN void no_room(int sock, uint32_t step)
{
	struct spawn_msg m = { .type = SPAWN_NO_ROOM, .value = (uint32_t)errno, .step = step };

	while (write(sock, &m, sizeof(m)) < 0 && errno == EINTR)
		;
	_exit(1);
}

static int hand_back(int sock, const int *fds, unsigned n)
{
	struct spawn_msg m = { .type = SPAWN_LISTENING, .value = n };

	if (fdpass_send(sock, &m, sizeof(m), fds, n, 0) < 0)
		return -1;
	while (n)
		close(fds[--n]);
	return 0;
}

/* Returns a number above all inherited descriptors. Call it before RLIMIT_NOFILE is lowered. */
static unsigned highest(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l) < 0 ? 65536 : (unsigned)MIN(l.rlim_cur, 65536);
}

/*
 * Place the descriptors of enum init_fd at their numbers, and the spawner's program (*@exe) above them. The program's
 * descriptor is close-on-exec.
 */
static int place(const struct room *r, int sock, int *exe)
{
	int from[] = { r->diag, sock, r->exe, r->init_exe }, high[4];
	static const int to[] = { IFD_DIAG, IFD_CMD, IFD_EXE, IFD_SCRATCH0 };

	for (unsigned i = 0; i < 4; i++) {
		high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 16);
		if (high[i] < 0)
			return -1;
	}
	for (unsigned i = 0; i < 4; i++)
		if (dup3(high[i], to[i], to[i] == IFD_SCRATCH0 ? O_CLOEXEC : 0) < 0)
			return -1;
	close(0);
	close(1);
	*exe = IFD_SCRATCH0;
	return 0;
}

static int limits(const struct room *r, bool privileged, bool *partly)
{
	rlim_t most = MAX(SPAWNER_NOFILE, r->files);
	struct rlimit files = { most, most }, old;
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* Before Linux 5.12, the memory of all io_urings of a user counts against RLIMIT_MEMLOCK. */
	if (privileged && (r->role == ROLE_BLKD || r->role == ROLE_NETD))
		(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (getrlimit(RLIMIT_NOFILE, &old) < 0)
		return -1;
	files.rlim_cur = files.rlim_max = MIN(files.rlim_max, old.rlim_max);
	return setrlimit(RLIMIT_NOFILE, &files) < 0 || sandbox_no_core(partly) < 0 ? -1 : 0;
}

/* Clone the mounts of the shared directory, before the empty root hides it, and send their root. Returns 0 or -1. */
static int clone_share(const struct room *r, int sock)
{
	int root = room_private() < 0  ? -1
		   : r->share_writable ? share_clone_writable(r->share, r->share_userns)
				       : share_clone(r->share);

	return root < 0 ? -1 : hand_back(sock, &root, 1);
}

/* Ask for the role's AppArmor profile at the exec of the spawner. Call it before privileges and /proc are gone. */
static void request_profile(const struct room *r, int sock)
{
	if (apparmor_change(APPARMOR_SELF, apparmor_profile(r), true) < 0)
		no_room(sock, STEP_APPARMOR);
}

static void default_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static const struct policy *start_filter(const struct room *r)
{
	if (r->qemu)
		return &policy_start_qemu;
	if (r->resolv)
		return &policy_start_passt;
	if (r->share)
		return r->share_writable ? &policy_start_fsd_rw : &policy_start_fsd;
	return r->checkpoint ? &policy_start_checkpoint : &policy_start;
}

void spawn_child(const struct room *r, int sock, bool own_user, uint32_t missing)
{
	bool privileged = r->uid != (uid_t)-1, root = geteuid() == 0 || own_user;
	uid_t uid = privileged ? r->uid : r->own_uid;
	gid_t gid = privileged ? r->gid : r->own_gid;
	char digits[16], name[] = "lguest-sep-init", *argv[] = { name, digits, NULL };
	char *envp[] = { NULL };
	int listen_fd[MAX_DEVICES], exe;
	uint32_t step = STEP_ROOT;
	unsigned table = highest();
	bool partly = false;

	default_signals();
	/* Create directories and sockets with the modes given in the code, whatever the user's umask is. */
	umask(0022);
	request_profile(r, sock);
	if (own_user && r->role == ROLE_CONTROLD)
		uid = gid = CONTROLD_INSIDE_ID;
	if (own_user && room_map_ids(uid, gid, r->own_uid, r->own_gid) < 0)
		no_room(sock, STEP_IDS);
	missing |= root ? room_namespaces(!r->resolv) : LAYER_BIT(LAYER_NAMESPACES) | LAYER_BIT(LAYER_ROOT);
	if ((r->nlisten || r->resolv || r->share) && missing & LAYER_BIT(LAYER_ROOT)) {
		errno = EPERM;
		no_room(sock, STEP_NAMESPACES);
	}
	if (r->share && clone_share(r, sock) < 0)
		no_room(sock, r->share_writable ? STEP_SHARE_WRITABLE : STEP_SHARE);
	if (!(missing & LAYER_BIT(LAYER_ROOT)) && room_root(r, uid, gid, listen_fd, &step) < 0)
		no_room(sock, step);
	if (r->nlisten && hand_back(sock, listen_fd, r->nlisten) < 0)
		no_room(sock, STEP_LISTEN);
	if (!(missing & LAYER_BIT(LAYER_NAMESPACES)) && (sethostname("", 0) < 0 || setdomainname("", 0) < 0))
		no_room(sock, STEP_ROOT);
	if (room_needs_paths())
		missing |= LAYER_BIT(LAYER_ROOT);
	(void)setpriority(PRIO_PROCESS, 0, r->nice);
	if (limits(r, privileged && geteuid() == 0, &partly) < 0)
		no_room(sock, STEP_LIMITS);
	/* execve(2) makes QEMU dumpable again; our own roles are never dumpable. */
	if (partly && (r->qemu || r->resolv))
		missing |= LAYER_BIT(LAYER_NO_CORE);
	if (confine_self(privileged || own_user ? uid : (uid_t)-1, gid) < 0)
		no_room(sock, STEP_IDS);
	if (place(r, sock, &exe) < 0)
		no_room(sock, STEP_DESCRIPTORS);
	if (!close_fds(IFD_SCRATCH0 + 1, ~0U, table))
		missing |= LAYER_BIT(LAYER_CLOSE_RANGE);
	/* Files in a share have the mode that the guest gives them. */
	umask(r->share_writable ? 0 : 0077);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (sandbox_filter(start_filter(r), &missing) < 0)
		no_room(IFD_CMD, STEP_FILTER);
	fmt_line(digits, sizeof(digits), "%u", missing);
	syscall(__NR_execveat, exe, "", argv, envp, 0x1000 /* AT_EMPTY_PATH */);
#ifdef __i386__
	if (errno == ENOSYS)
		execve(SPAWN_INIT_PATH, argv, envp);
#endif
	no_room(IFD_CMD, STEP_EXEC);
}
