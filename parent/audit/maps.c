/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a process's mappings, descriptors and root directory from /proc (proc(5)). Runs
 * in lguest-sep audit. The only foreign file that it opens is guest memory, to read its
 * seals. It recognises memory files by the name that the kernel shows.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/fdtab.h"
#include "common/fmt.h"
#include "common/shm.h"
#include "parent/audit/facts.h"
#include "parent/audit/maps.h"
#include "parent/terminal/console.h"

#define GUEST_MEMORY "/memfd:" SHM_GUEST
/* Before Linux 3.17, guest memory is an unlinked file (common/shm.c). */
#define OLD_GUEST_MEMORY "/dev/shm/lguest-sep-"
#define DELETED		 " (deleted)"

/* One line of /proc/PID/maps and smaps: "start-end perms offset dev inode   name". */
struct mapping {
	char range[40], perms[5];
	uint64_t size, ino;
	const char *name;
};

static bool parse_mapping(char *line, struct mapping *m)
{
	char *p = line;
	size_t n = strcspn(p, " ");

	if (!isxdigit((unsigned char)*p) || n >= sizeof(m->range) || !memchr(p, '-', n))
		return false;
	memcpy(m->range, p, n);
	m->range[n] = '\0';
	m->size = strtoull(strchr(m->range, '-') + 1, NULL, 16) - strtoull(m->range, NULL, 16);
	p += n;
	p += strspn(p, " ");
	if (strlen(p) < 5)
		return false;
	memcpy(m->perms, p, 4);
	m->perms[4] = '\0';
	for (unsigned field = 0; field < 3; field++) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	m->ino = strtoull(p, &p, 10);
	p += strspn(p, " ");
	p[strcspn(p, "\n")] = '\0';
	m->name = p;
	return true;
}

/* True if code may be there: in a file (the program, a library), or in the kernel's own pages. */
static bool usual_code(const struct mapping *m)
{
	return *m->name == '/' || !strcmp(m->name, "[vdso]") || !strcmp(m->name, "[vsyscall]");
}

static void ask_seals(struct facts *f, const char *range)
{
	char path[96];
	int fd;

	f->seals = -1;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%s", (int)f->pid, range);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	f->seals = fcntl(fd, F_GET_SEALS);
	if (f->seals < 0 && errno == EINVAL)
		f->seals = 0; /* This kind of file cannot have seals. */
	close(fd);
}

static bool is_old_guest_memory(const char *name)
{
	size_t len = strlen(name), deleted = sizeof(DELETED) - 1;

	return !strncmp(name, OLD_GUEST_MEMORY, sizeof(OLD_GUEST_MEMORY) - 1) && len > deleted &&
	       !strcmp(name + len - deleted, DELETED);
}

static bool is_guest_memory(const char *name)
{
	return !strncmp(name, GUEST_MEMORY, sizeof(GUEST_MEMORY) - 1) || is_old_guest_memory(name);
}

static void one_mapping(struct facts *f, const struct mapping *m)
{
	bool exec = m->perms[2] == 'x';

	if (exec && m->perms[1] == 'w')
		f->write_exec++;
	if (exec && !usual_code(m)) {
		f->odd_exec++;
		snprintf(f->odd_exec_what, sizeof(f->odd_exec_what), "%s %.50s", m->range, m->name);
	}
	if (!is_guest_memory(m->name))
		return;
	f->guest_maps++;
	f->guest_exec += exec;
	/* If guest memory has several mappings, examine the largest one. */
	if (m->size <= f->guest_size)
		return;
	f->guest_size = m->size;
	f->guest_ino = m->ino;
	ask_seals(f, m->range);
}

static bool has_flag(const char *flags, const char *flag)
{
	const char *p = strstr(flags, flag);

	return p && p[-1] == ' ' && (p[2] == ' ' || p[2] == '\n' || !p[2]);
}

/* Evaluate lines such as "VmFlags: rd wr dd sl": dd is left out of core dumps, sl is sealed. */
static void read_flags(struct facts *f, FILE *s)
{
	struct mapping m = { .name = "" };
	bool guest = false;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, s) > 0) {
		if (parse_mapping(line, &m)) {
			guest = is_guest_memory(m.name);
			continue;
		}
		if (strncmp(line, "VmFlags:", 8) != 0)
			continue;
		f->have_smaps = true;
		f->guest_dumped += guest && !has_flag(line, "dd");
		f->sealed_maps += has_flag(line, "sl");
	}
	free(line);
}

void facts_maps(struct facts *f)
{
	char path[64], *line = NULL;
	struct mapping m;
	size_t size = 0;
	FILE *s;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)f->pid);
	s = fopen(path, "re");
	if (!s)
		return;
	while (getline(&line, &size, s) > 0)
		if (parse_mapping(line, &m)) {
			f->have_maps = true;
			one_mapping(f, &m);
		}
	free(line);
	fclose(s);
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)f->pid);
	s = fopen(path, "re");
	if (!s)
		return;
	read_flags(f, s);
	fclose(s);
}

/* ---- descriptors ---- */

static const struct {
	const char *begins, *text;
	enum fd_kind kind;
} kinds[] = {
	{ "pipe:", "pipe", FD_PIPE },
	{ "socket:", "socket", FD_SOCKET },
	{ "anon_inode:[eventfd", "eventfd", FD_EVENTFD },
	{ "anon_inode:[eventpoll", "epoll", FD_EPOLL },
	{ "anon_inode:[timerfd", "timer", FD_TIMERFD },
	{ "anon_inode:[signalfd", "signals", FD_SIGNALFD },
	{ "anon_inode:[io_uring", "io_uring", FD_URING },
	{ "anon_inode:kvm-vm", "virtual machine", FD_VM },
	{ "anon_inode:kvm-vcpu", "virtual CPU", FD_CPU },
	{ "/memfd:", "memory file", FD_MEMFD },
	{ "/dev/net/tun", "tap", FD_TAP },
	{ "/dev/kvm", "engine", FD_ENGINE },
	{ "/dev/lguest", "engine", FD_ENGINE },
	{ NULL, "file", FD_FILE },
	{ NULL, "directory", FD_DIRECTORY },
	{ NULL, "block device", FD_BLOCK },
	{ NULL, "character device", FD_CHAR },
	{ NULL, "something else", FD_OTHER },
};

const char *fd_kind_text(enum fd_kind k)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == k)
			return kinds[i].text;
	return "?";
}

static enum fd_kind kind_of(const char *target, const struct stat *st)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds) && kinds[i].begins; i++)
		if (!strncmp(target, kinds[i].begins, strlen(kinds[i].begins)))
			return kinds[i].kind;
	if (is_old_guest_memory(target))
		return FD_MEMFD;
	if (!st)
		return FD_OTHER;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return FD_FILE;
	case S_IFDIR:
		return FD_DIRECTORY;
	case S_IFBLK:
		return FD_BLOCK;
	case S_IFCHR:
		return FD_CHAR;
	case S_IFIFO:
		return FD_PIPE;
	default:
		return FD_OTHER;
	}
}

/*
 * Set how @d was opened. One that is not close-on-exec may have been inherited from the shell. If that cannot be read,
 * nothing is set.
 */
static void read_open_flags(pid_t pid, const char *number, struct audit_fd *d)
{
	char path[64], text[256], *flags;
	unsigned long opened;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.12s", (int)pid, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	flags = strstr(text, "flags:");
	if (!flags)
		return;
	opened = strtoul(flags + strlen("flags:"), NULL, 8);
	d->kept = !(opened & O_CLOEXEC);
	d->writable = (opened & O_ACCMODE) != O_RDONLY;
}

static void add_fd(struct facts *f, const char *number)
{
	struct audit_fd d = { .number = (unsigned)strtoul(number, NULL, 10) }, *more;
	struct stat st;
	char path[64];
	bool have;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.12s", (int)f->pid, number);
	n = readlink(path, d.target, sizeof(d.target) - 1);
	if (n < 0)
		return; /* It was closed in the meantime. */
	d.target[n] = '\0';
	have = stat_cached(path, &st) == 0 || (errno == ENOSYS && stat(path, &st) == 0);
	d.kind = kind_of(d.target, have ? &st : NULL);
	make_printable(d.target, strlen(d.target));
	read_open_flags(f->pid, number, &d);
	if (have && (d.number == HFD_DELTA || (d.number == HFD_DISK && !f->disk_size))) {
		f->disk_block = S_ISBLK(st.st_mode);
		f->disk_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	}
	if (!(f->nfds & (f->nfds + 1))) {
		more = realloc(f->fd, (2 * (size_t)f->nfds + 2) * sizeof(*more));
		if (!more)
			return;
		f->fd = more;
	}
	f->fd[f->nfds++] = d;
}

static int by_number(const void *a, const void *b)
{
	const struct audit_fd *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

void facts_fds(struct facts *f)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)f->pid);
	dir = opendir(path);
	if (!dir)
		return;
	f->have_fds = true;
	while ((d = readdir(dir)))
		if (isdigit((unsigned char)*d->d_name))
			add_fd(f, d->d_name);
	closedir(dir);
	if (f->nfds)
		qsort(f->fd, f->nfds, sizeof(*f->fd), by_number);
}

/* ---- the root directory ---- */

/* Evaluate a line of mountinfo: "36 35 98:0 /mnt1 /mnt2 ro,noatime master:1 - ext3 /dev/root rw" */
static void one_mount(struct facts *f, char *line)
{
	char *field[10] = { NULL }, *save = NULL, *dash = strstr(line, " - ");
	unsigned n = 0;
	bool ro;

	for (char *p = strtok_r(line, " ", &save); p && n < ARRAY_SIZE(field); p = strtok_r(NULL, " ", &save))
		field[n++] = p;
	if (n < 6 || !dash)
		return;
	ro = !strncmp(field[5], "ro", 2) && (field[5][2] == ',' || !field[5][2]);
	f->writable_mounts += !ro;
	if (strcmp(field[4], "/") != 0)
		return;
	f->root_read_only = ro;
	snprintf(f->root_type, sizeof(f->root_type), "%.15s", dash + 3);
	f->root_type[strcspn(f->root_type, " \n")] = '\0';
}

void facts_root(struct facts *f)
{
	char path[64], *line = NULL;
	struct dirent *d;
	size_t size = 0;
	FILE *s;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)f->pid);
	s = fopen(path, "re");
	if (!s)
		return;
	while (getline(&line, &size, s) > 0)
		one_mount(f, line);
	free(line);
	fclose(s);
	snprintf(path, sizeof(path), "/proc/%d/root/.", (int)f->pid);
	dir = opendir(path);
	if (!dir)
		return;
	f->have_root = true;
	while ((d = readdir(dir)))
		f->root_entries += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	closedir(dir);
}
