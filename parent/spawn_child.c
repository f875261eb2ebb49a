/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cloned child of the parent, from furnishing its room to executing
 * lguest-sep-init: the order of DESIGN section 5 in one function. It speaks on
 * its channel alone, and ends on any failure: a room is never half furnished.
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
#include "common/log.h"
#include "policy/policies.h"
#include "room.h"

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
	union {
		char buf[CMSG_SPACE(MAX_DEVICES * sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(n * sizeof(int))
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	if (sendmsg(sock, &mh, MSG_NOSIGNAL) < 0)
		return -1;
	while (n)
		close(fds[--n]);
	return 0;
}

/* No descriptor that was inherited has a higher number; to be asked before the limit is lowered. */
static unsigned highest(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l) < 0 ? 65536 : (unsigned)MIN(l.rlim_cur, 65536);
}

/* The table of enum init_fd, and the program itself above it, which goes when it is executed. */
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

static int limits(const struct room *r, bool privileged)
{
	struct rlimit files = { SPAWNER_NOFILE, SPAWNER_NOFILE }, none = { 0, 0 }, old;
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* Before Linux 5.12 an io_uring counts as locked memory, and all of a user's count together. */
	if (privileged && r->role == ROLE_BLKD)
		(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (getrlimit(RLIMIT_NOFILE, &old) < 0)
		return -1;
	files.rlim_cur = files.rlim_max = MIN(files.rlim_max, old.rlim_max);
	return setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ? -1 : 0;
}

static void default_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
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

	default_signals();
	if (own_user && room_map_ids(uid, gid) < 0)
		no_room(sock, STEP_IDS);
	missing |= root ? room_namespaces() : LAYER_BIT(LAYER_NAMESPACES) | LAYER_BIT(LAYER_ROOT);
	if (!(missing & LAYER_BIT(LAYER_ROOT)) && room_root(r, uid, gid, listen_fd, &step) < 0)
		no_room(sock, step);
	if (r->nlisten && missing & LAYER_BIT(LAYER_ROOT)) {
		errno = EPERM;
		no_room(sock, STEP_NAMESPACES);
	}
	if (r->nlisten && hand_back(sock, listen_fd, r->nlisten) < 0)
		no_room(sock, STEP_LISTEN);
	if (!(missing & LAYER_BIT(LAYER_NAMESPACES)) && (sethostname("", 0) < 0 || setdomainname("", 0) < 0))
		no_room(sock, STEP_ROOT);
	if (room_needs_paths())
		missing |= LAYER_BIT(LAYER_ROOT);
	(void)setpriority(PRIO_PROCESS, 0, r->nice);
	if (limits(r, privileged && geteuid() == 0) < 0)
		no_room(sock, STEP_LIMITS);
	if (confine_self(privileged || own_user ? uid : (uid_t)-1, gid) < 0)
		no_room(sock, STEP_IDS);
	if (place(r, sock, &exe) < 0)
		no_room(sock, STEP_DESCRIPTORS);
	if (!close_fds(IFD_SCRATCH0 + 1, ~0U, table))
		missing |= LAYER_BIT(LAYER_CLOSE_RANGE);
	umask(0077);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (sandbox_filter(r->qemu ? &policy_start_qemu : &policy_start, &missing) < 0)
		no_room(IFD_CMD, STEP_FILTER);
	fmt_line(digits, sizeof(digits), "%u", missing);
	syscall(__NR_execveat, exe, "", argv, envp, 0x1000 /* AT_EMPTY_PATH */);
#ifdef __i386__
	if (errno == ENOSYS)
		execve(SPAWN_INIT_PATH, argv, envp);
#endif
	no_room(IFD_CMD, STEP_EXEC);
}
