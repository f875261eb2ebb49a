/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lower limit of a start: what the kernel needs for the processes of a guest, without our programs. For each room one
 * process in namespaces of its own of every kind, with an empty root, no privileges and a seccomp filter of one
 * instruction, executes a static program, which starts a second one; and a virtual machine of 32 MiB with one processor
 * executes one instruction. There are no configuration, devices, rings or rules, and only one message each way.
 *
 * startbare UID ROOMS [TAP]: TAP is the name of a tap that it creates. Prints the microseconds from the beginning of main()
 * until the instruction has run and all other rooms are ready. The processes run as user UID.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROOMS 16
/* The descriptors of a room: above all that the parent opens. */
#define KVM	  100
#define COMMAND	  101
#define PROGRAM	  102
#define GUEST_MEM (32U << 20)

static void die(const char *what)
{
	fprintf(stderr, "startbare: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- one room ---- */

static void new_root(void)
{
	int old;

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,nr_inodes=128,mode=0555") < 0 ||
	    chdir("/tmp") < 0)
		die("namespaces");
	old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (old < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0 ||
	    close(old) < 0 || chdir("/") < 0 ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		die("an empty root");
}

static void no_privileges(unsigned id)
{
	struct sock_filter all[] = { { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
	struct sock_fprog prog = { 1, all };

	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		die("privileges");
}

/* Execute this program again as @role. */
static void become(const char *role)
{
	char name[] = "startbare", word[16], *argv[] = { name, word, NULL }, *envp[] = { NULL };

	snprintf(word, sizeof(word), "%s", role);
	syscall(SYS_execveat, PROGRAM, "", argv, envp, AT_EMPTY_PATH);
	die("execveat");
}

/* Wait for one byte, or send one. */
static void wait_byte(int sock)
{
	char byte;

	if (read(sock, &byte, 1) != 1)
		die("a process ended too early");
}

static void send_byte(int sock)
{
	if (write(sock, "", 1) != 1)
		die("write");
}

/* Wait until the parent has ended. */
static void wait_end(void)
{
	char byte;

	while (read(COMMAND, &byte, 1) > 0)
		;
	_exit(0);
}

/* Start process 1 of a room in a new process namespace. Returns the parent's end of its socket. */
static int start_room(unsigned id, int program, int kvm)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	switch ((int)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0UL, 0UL, 0UL, 0UL)) {
	case -1:
		die("clone");
		break;
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		new_root();
		no_privileges(id);
		dup2(pair[1], COMMAND);
		dup2(program, PROGRAM);
		if (kvm >= 0)
			dup2(kvm, KVM);
		become(kvm >= 0 ? "vm-first" : "first");
		break;
	default:
		close(pair[1]);
	}
	return pair[0];
}

/* Process 1 of a room: starts the second program when it is told to, and lives until the end. */
static void first(bool vm)
{
	send_byte(COMMAND);
	wait_byte(COMMAND);
	if (fork() == 0)
		become(vm ? "vm-second" : "second");
	wait_end();
}

/* ---- the virtual machine ---- */

static void one_instruction(void)
{
	static const uint8_t code[] = { 0xe6, 0x80 }; /* out %al,$0x80 */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_userspace_memory_region m = { .memory_size = GUEST_MEM };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;
	uint8_t *mem = mmap(NULL, GUEST_MEM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int vm = ioctl(KVM, KVM_CREATE_VM, 0), cpu;

	if (mem == MAP_FAILED || vm < 0)
		die("KVM_CREATE_VM");
	memcpy(mem, code, sizeof(code));
	m.userspace_addr = (uintptr_t)mem;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &m) < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 ||
	    ioctl(vm, KVM_CREATE_PIT2, &pit) < 0)
		die("the virtual machine");
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0 || ioctl(cpu, KVM_GET_SREGS, &sregs) < 0)
		die("KVM_CREATE_VCPU");
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu, KVM_SET_REGS, &regs) < 0 || ioctl(cpu, KVM_RUN, 0) < 0)
		die("KVM_RUN");
}

/* The two programs of a room. */
static void in_room(const char *role)
{
	bool vm = strncmp(role, "vm-", 3) == 0;

	if (strstr(role, "first"))
		first(vm);
	if (vm)
		one_instruction();
	send_byte(COMMAND);
	wait_end();
}

/* Create a tap and set it up. It goes with the descriptor, which stays open. */
static void make_tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC), sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (tap < 0 || sock < 0 || ioctl(tap, TUNSETIFF, &r) < 0)
		die(name);
	r.ifr_flags = IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &r) < 0)
		die(name);
	close(sock);
}

int main(int argc, char **argv)
{
	uint64_t began = now_us();
	int sock[MAX_ROOMS], kvm, program;
	unsigned rooms, id;

	if (argc == 2)
		in_room(argv[1]);
	if (argc < 3)
		return 2;
	id = (unsigned)strtoul(argv[1], NULL, 10);
	rooms = (unsigned)strtoul(argv[2], NULL, 10);
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (rooms == 0 || rooms > MAX_ROOMS || program < 0 || kvm < 0)
		die("start");
	for (unsigned i = 0; i < rooms; i++)
		sock[i] = start_room(id, program, i == rooms - 1 ? kvm : -1);
	if (argc > 3)
		make_tap(argv[3]);
	for (unsigned i = 0; i < rooms; i++)
		wait_byte(sock[i]);
	for (unsigned i = 0; i < rooms; i++)
		send_byte(sock[i]);
	for (unsigned i = 0; i < rooms; i++)
		wait_byte(sock[i]);
	printf("%llu\n", (unsigned long long)(now_us() - began));
	/* Wait for their end, so that the processor time of this process includes theirs. */
	for (unsigned i = 0; i < rooms; i++)
		close(sock[i]);
	while (wait(NULL) > 0)
		;
	return 0;
}
