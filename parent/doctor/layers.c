/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which layers of confinement (LAYERS in common/ctl.h) this host has. Each one is
 * tried in a child process, in the way a role would use it. Runs in lguest-sep doctor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "common/share.h"
#include "common/shm.h"
#include "parent/doctor/findings.h"
#include "parent/doctor/layers.h"
#include "parent/room/confine.h"
#include "parent/room/mounts.h"
#include "parent/room/room.h"
#include "policy/policies.h"

#define MDWE_SET 65 /* PR_SET_MDWE, linux/prctl.h of 6.3 */

static int landlock_abi(void)
{
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)MIN(abi, 250);
}

static void landlock(void)
{
	int abi = in_child(landlock_abi);

	if (abi < 1)
		add_finding("layer", "Landlock", MISSING, "use Linux 5.13 or later, with landlock in its lsm= list",
			    "not in this kernel, or switched off");
	else if (abi < 6)
		add_finding("layer", "Landlock", LIMITED,
			    "Linux 6.7 (ABI 4) adds the network, Linux 6.12 (ABI 6) signals and abstract sockets",
			    "ABI %d: files%s", abi, abi >= 4 ? " and network" : " only");
	else
		add_finding("layer", "Landlock", FOUND, NULL, "ABI %d: files, network, signals", abi);
}

static int try_mdwe(void)
{
	return prctl(MDWE_SET, 1, 0, 0, 0) < 0;
}

static int try_mseal(void)
{
	return sandbox_mseal((void *)1, 0) < 0 && errno == ENOSYS;
}

static int try_memfd_seal(void)
{
	bool sealed = false;
	int fd = shm_create(1 << 20, &sealed);

	return fd < 0 || !sealed;
}

static int try_close_range(void)
{
	return syscall(__NR_close_range, 900U, 901U, 0U) < 0;
}

static int try_kill_process(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0;
}

/* Install the seccomp filter that every spawner has. Returns 0 if that works. */
static int try_filter(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return sandbox_filter(&policy_start, NULL) < 0;
}

static int try_trace(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? 1 : 0);
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ? 1 : WEXITSTATUS(status);
}

static int try_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) < 0;
}

/* Make the namespaces of a role; as an ordinary user, in a new user namespace. Returns 0 if that works. */
static int try_namespaces(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (geteuid() != 0 && (unshare(CLONE_NEWUSER) < 0 || room_map_ids(uid, gid, uid, gid) < 0))
		return 1;
	return unshare(CLONE_NEWPID) < 0 || (room_namespaces(true) & LAYER_BIT(LAYER_NAMESPACES));
}

/*
 * Check only that the kernel has cgroup namespaces. Whether this user may make any namespaces at all is the finding
 * of try_namespaces().
 */
static int try_cgroup_namespace(void)
{
	return access("/proc/self/ns/cgroup", F_OK) < 0;
}

/* Set up a ring as blkd does: disabled at first, because restrictions can be added only then. */
static int try_io_uring(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_R_DISABLED };
	struct io_uring_restriction r = { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV };
	int fd = (int)syscall(__NR_io_uring_setup, 4, &p);

	if (fd < 0)
		return errno == EPERM ? 2 : errno == EINVAL ? 3 : 1;
	return syscall(__NR_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, &r, 1) < 0 ? 3 : 0;
}

static void io_uring(void)
{
	switch (in_child(try_io_uring)) {
	case 0:
		add_finding("layer", "io_uring", FOUND, NULL,
			    "with restrictions: blkd's ring can access only its disk image");
		break;
	case 2:
		add_finding("layer", "io_uring", MISSING, "sysctl kernel.io_uring_disabled=0, if speed matters",
			    "forbidden here; disks use preadv and pwritev");
		break;
	case 3:
		add_finding("layer", "io_uring", MISSING, "use Linux 5.10 or later, if speed matters",
			    "it has no restrictions here, so it is not used; disks use preadv and pwritev");
		break;
	default:
		add_finding("layer", "io_uring", MISSING, "use Linux 5.10 or later, if speed matters",
			    "not in this kernel; disks use preadv and pwritev");
	}
}

/* Make the view of a directory that fsd gets, in the namespaces of its room. Returns 0 if that works. */
static int try_share(void)
{
	return try_namespaces() || room_private() < 0 || share_clone("/") < 0;
}

static void shares(void)
{
	if (in_child(try_share) == 0)
		add_finding("layer", "read-only views", FOUND, NULL, "directories can be shared (--share=)");
	else
		add_finding("layer", "read-only views", LIMITED, "use Linux 5.12 or later, and allow namespaces",
			    "no directory can be shared (--share=)");
}

bool doctor_has_namespaces(void)
{
	return in_child(try_namespaces) == 0;
}

/* How many subordinate user IDs to look for: enough for a guest with a few devices. */
#define SOME_ROLES 8

/* Roles that share a user ID can send each other signals, so each role gets a subordinate ID of its own if possible. */
static void own_ids(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t id;

	if (geteuid() != 0)
		add_finding("layer", "user IDs of their own", MISSING, "start as root",
			    "a user's guests run with that user's ID");
	else if (nobody && subid_nth("/etc/subuid", "nobody", nobody->pw_uid, SOME_ROLES - 1, &id) == 0)
		add_finding("layer", "user IDs of their own", FOUND, NULL,
			    "each role has one of nobody's subordinate IDs");
	else
		add_finding(
			"layer", "user IDs of their own", MISSING,
			"give the user nobody an unused range: echo nobody:300000:65536 >> /etc/subuid, and the same in /etc/subgid",
			"all roles of a guest share the ID of nobody, or of --drop-to");
}

/* True if doctor itself was started under a seccomp filter, which may be what forbids a layer. */
static bool is_filtered(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

void doctor_layers(void)
{
	static const struct {
		const char *what;
		int (*fn)(void);
		const char *yes, *no, *advice;
	} layer[] = {
		{ "system call filters", try_filter, "the spawners' seccomp filter can be installed",
		  "no seccomp filter can be installed", "use Linux 3.5 or later, with CONFIG_SECCOMP_FILTER" },
		{ "kill-process action", try_kill_process, "a forbidden system call ends the whole process",
		  "a forbidden system call ends the process by SIGSYS", "use Linux 4.14 or later" },
		{ "naming of forbidden calls", try_trace, "spawners may trace their roles",
		  "spawners may not trace: a forbidden call ends the role, but is not named",
		  "allow ptrace in this container (kernel.yama.ptrace_scope below 3)" },
		{ "namespaces", try_namespaces, "mount, pid, net, ipc and uts",
		  "some are refused: roles share them with the host",
		  "start as root, or allow user namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces, AppArmor)" },
		{ "user namespaces", try_user_namespace, "an ordinary user's guests get namespaces of their own",
		  "refused: an ordinary user's guests share the host's namespaces and root directory",
		  "start as root, or allow them (kernel.unprivileged_userns_clone, user.max_user_namespaces)" },
		{ "cgroup namespace", try_cgroup_namespace, "available", "not in this kernel",
		  "use Linux 4.6 or later, with CONFIG_CGROUPS" },
		{ "memory-deny-write-execute", try_mdwe, "no mapping becomes executable", "not in this kernel",
		  "use Linux 6.3 or later" },
		{ "sealed mappings (mseal)", try_mseal, "mappings that never change are sealed", "not in this kernel",
		  "use a 64-bit Linux 6.10 or later" },
		{ "sealed guest memory", try_memfd_seal, "its size cannot change under a process",
		  "memory files cannot be sealed", "use Linux 3.17 or later" },
		{ "close_range", try_close_range, "available", "not in this kernel; descriptors are closed one by one",
		  "use Linux 5.9 or later" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(layer); i++) {
		bool yes = in_child(layer[i].fn) == 0;
		const char *advice =
			is_filtered()
				? "this program was started under a system call filter (SystemCallFilter= of systemd, a container's profile), which may forbid it: start lguest-sep without that filter"
				: layer[i].advice;

		add_finding("layer", layer[i].what, yes ? FOUND : MISSING, yes ? NULL : advice, "%s",
			    yes ? layer[i].yes : layer[i].no);
	}
	landlock();
	io_uring();
	shares();
	own_ids();
}
