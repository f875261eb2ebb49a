// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The layers of confinement (common/ctl.h, LAYERS) that this host has, each
 * tried as a role would use it, in a child. Runs in lguest-sep doctor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "common/shm.h"
#include "doctor.h"
#include "policy/policies.h"
#include "room.h"

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
		found("layer", "Landlock", MISSING, "a kernel from 5.13 on, with landlock in its lsm= list",
		      "not in this kernel, or switched off");
	else if (abi < 6)
		found("layer", "Landlock", LIMITED,
		      "network from ABI 4 (Linux 6.7) on, signals and abstract sockets from 6 (6.12) on",
		      "ABI %d: files%s", abi, abi >= 4 ? " and network" : " alone");
	else
		found("layer", "Landlock", FOUND, NULL, "ABI %d: files, network, signals", abi);
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

/* The filter that every spawner has; 0: on. */
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

/* Those of a room, with a user namespace first where the caller is not root. */
static int try_namespaces(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (geteuid() != 0 && (unshare(CLONE_NEWUSER) < 0 || room_map_ids(uid, gid) < 0))
		return 1;
	return unshare(CLONE_NEWPID) < 0 || (room_namespaces() & LAYER_BIT(LAYER_NAMESPACES));
}

/* Where all the others may be refused as well, that is the finding. */
static int try_cgroup_namespace(void)
{
	return access("/proc/self/ns/cgroup", F_OK) < 0;
}

/* As blkd sets it up: disabled at first, so that restrictions can go on. */
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
		found("layer", "io_uring", FOUND, NULL, "with restrictions: blkd's ring can reach one image alone");
		break;
	case 2:
		found("layer", "io_uring", MISSING, "sysctl kernel.io_uring_disabled=0, if speed matters",
		      "forbidden here; disks use preadv and pwritev");
		break;
	case 3:
		found("layer", "io_uring", MISSING, "a kernel from 5.10 on, if speed matters",
		      "without restrictions, so it is not used; disks use preadv and pwritev");
		break;
	default:
		found("layer", "io_uring", MISSING, "a kernel from 5.10 on, if speed matters",
		      "not in this kernel; disks use preadv and pwritev");
	}
}

void doctor_layers(void)
{
	static const struct {
		const char *what;
		int (*fn)(void);
		const char *yes, *no, *advice;
	} layer[] = {
		{ "system call filters", try_filter, "the spawners' filter can be put on", "no filter can be put on",
		  "a kernel from 3.5 on, with CONFIG_SECCOMP_FILTER" },
		{ "kill-process action", try_kill_process, "a forbidden system call ends the whole process",
		  "a forbidden system call ends the process by SIGSYS", "a kernel from 4.14 on" },
		{ "naming of forbidden calls", try_trace, "spawners may trace their roles",
		  "spawners may not trace: a forbidden call ends the role without being named",
		  "allow ptrace to this container (kernel.yama.ptrace_scope below 3)" },
		{ "namespaces", try_namespaces, "mount, pid, net, ipc and uts",
		  "some are refused: roles share them with the host",
		  "start as root, or allow user namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces, AppArmor)" },
		{ "user namespaces", try_user_namespace, "a user's guests get rooms of their own",
		  "refused: a user's guests share the host's namespaces and root folder",
		  "start as root, or allow them (kernel.unprivileged_userns_clone, user.max_user_namespaces)" },
		{ "cgroup namespace", try_cgroup_namespace, "there", "not in this kernel",
		  "a kernel from 4.6 on, with CONFIG_CGROUPS" },
		{ "memory-deny-write-execute", try_mdwe, "no mapping becomes executable", "not in this kernel",
		  "a kernel from 6.3 on" },
		{ "sealed mappings (mseal)", try_mseal, "mappings that never change are sealed", "not in this kernel",
		  "a 64-bit kernel from 6.10 on" },
		{ "sealed guest memory", try_memfd_seal, "its size cannot change under a process",
		  "memory files cannot be sealed", "a kernel from 3.17 on" },
		{ "close_range", try_close_range, "there", "not in this kernel; descriptors are closed one by one",
		  "a kernel from 5.9 on" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(layer); i++) {
		bool yes = in_child(layer[i].fn) == 0;

		found("layer", layer[i].what, yes ? FOUND : MISSING, yes ? NULL : layer[i].advice, "%s",
		      yes ? layer[i].yes : layer[i].no);
	}
	landlock();
	io_uring();
}
