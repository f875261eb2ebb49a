/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the facts about one process from /proc (proc(5)). Runs in lguest-sep audit. A
 * fact that this user may not see stays unknown; it never counts as good.
 */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/audit/facts.h"
#include "parent/audit/maps.h"
#include "parent/terminal/console.h"

const char *ns_text(enum ns_kind k)
{
	static const char *const text[NS_COUNT] = { "mnt", "pid", "net", "ipc", "uts", "cgroup", "user" };

	return text[k];
}

static FILE *open_text(pid_t pid, const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return fopen(path, "re");
}

size_t facts_cmdline(pid_t pid, char *buf, size_t size)
{
	FILE *f = open_text(pid, "cmdline");
	size_t n;

	if (!f)
		return 0;
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = '\0';
	return n;
}

/* The last part of argv[0]: old kernels name a program that was executed by descriptor only after that descriptor. */
static void read_name(struct facts *f)
{
	char line[512];
	const char *slash;
	FILE *file;

	if (facts_cmdline(f->pid, line, sizeof(line)) && *line) {
		slash = strrchr(line, '/');
		snprintf(f->name, sizeof(f->name), "%.60s", slash ? slash + 1 : line);
	} else {
		file = open_text(f->pid, "comm");
		if (!file)
			return;
		if (fgets(line, sizeof(line), file)) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(f->name, sizeof(f->name), "%.60s", line);
		}
		fclose(file);
	}
	make_printable(f->name, strlen(f->name));
}

static unsigned count_words(const char *s)
{
	unsigned n = 0;

	for (s += strspn(s, " \t\n"); *s; s += strspn(s, " \t\n")) {
		n++;
		s += strcspn(s, " \t\n");
	}
	return n;
}

static void read_ids(const char *s, uint32_t id[4])
{
	char *end = NULL;

	for (unsigned i = 0; i < 4; i++) {
		id[i] = (uint32_t)strtoul(s, &end, 10);
		s = end;
	}
}

static bool key_is(const char *line, const char *key, const char **value)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0 || line[n] != ':')
		return false;
	*value = line + n + 1;
	return true;
}

/* Returns the lower of @known and @value, which is that of one more thread. @first: there is no @known yet. */
static int lower(int known, bool first, const char *value)
{
	int v = (int)strtol(value, NULL, 10);

	return first || v < known ? v : known;
}

static void status_line(struct facts *f, const char *line, bool first)
{
	static const char *const cap[CAP_SETS] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	const char *v;

	for (unsigned i = 0; i < CAP_SETS; i++)
		if (key_is(line, cap[i], &v))
			f->cap[i] |= strtoull(v, NULL, 16);
	if (key_is(line, "NoNewPrivs", &v))
		f->no_new_privs = lower(f->no_new_privs, first, v);
	else if (key_is(line, "Seccomp", &v))
		f->seccomp = lower(f->seccomp, first, v);
	else if (key_is(line, "Seccomp_filters", &v))
		f->filters = lower(f->filters, first, v);
	else if (key_is(line, "Groups", &v))
		f->groups = MAX(f->groups, count_words(v));
	else if (key_is(line, "TracerPid", &v) && !f->tracer)
		f->tracer = (pid_t)strtol(v, NULL, 10);
	if (!first)
		return;
	if (key_is(line, "Uid", &v))
		read_ids(v, f->uid);
	else if (key_is(line, "Gid", &v))
		read_ids(v, f->gid);
	else if (key_is(line, "PPid", &v))
		f->ppid = (pid_t)strtol(v, NULL, 10);
}

static bool read_status(struct facts *f, const char *file, bool first)
{
	FILE *s = open_text(f->pid, file);
	char *line = NULL;
	size_t size = 0;

	if (!s)
		return false;
	while (getline(&line, &size, s) > 0)
		status_line(f, line, first);
	free(line);
	fclose(s);
	return true;
}

/* Each thread has its own filters, capabilities and no_new_privs; keep the weakest of them. */
static void read_threads(struct facts *f)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)f->pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (!isdigit((unsigned char)*d->d_name))
			continue;
		f->threads++;
		snprintf(path, sizeof(path), "task/%.20s/status", d->d_name);
		if (strtol(d->d_name, NULL, 10) != f->pid)
			read_status(f, path, false);
	}
	closedir(dir);
}

/* "pid (name) state ppid … starttime" */
static bool read_stat(struct facts *f)
{
	FILE *s = open_text(f->pid, "stat");
	char line[1024], *p;

	if (!s)
		return false;
	p = fgets(line, sizeof(line), s) ? strrchr(line, ')') : NULL;
	for (unsigned field = 2; p && field < 22; field++) {
		if (field == 3)
			f->ppid = (pid_t)strtol(p + 2, NULL, 10);
		p = strchr(p + 1, ' ');
	}
	if (p)
		f->born = strtoull(p, NULL, 10);
	fclose(s);
	return p != NULL;
}

bool facts_brief(pid_t pid, pid_t *ppid, uint64_t *born, char *name, size_t size)
{
	static struct facts f;

	memset(&f, 0, sizeof(f));
	f.pid = pid;
	if (!read_stat(&f))
		return false;
	read_name(&f);
	*ppid = f.ppid;
	*born = f.born;
	snprintf(name, size, "%s", f.name);
	return true;
}

static uint64_t limit_value(char **p)
{
	*p += strspn(*p, " ");
	if (!strncmp(*p, "unlimited", 9)) {
		*p += 9;
		return LIM_INFINITY;
	}
	return strtoull(*p, p, 10);
}

static void read_limits(struct facts *f)
{
	static const char *const row[LIM_COUNT] = { "Max file size", "Max core file size", "Max processes",
						    "Max open files", "Max address space" };
	FILE *s = open_text(f->pid, "limits");
	char line[256], *p;

	if (!s)
		return;
	while (fgets(line, sizeof(line), s))
		for (unsigned i = 0; i < LIM_COUNT; i++) {
			if (strncmp(line, row[i], strlen(row[i])) != 0)
				continue;
			p = line + strlen(row[i]);
			f->limit[i].soft = limit_value(&p);
			f->limit[i].hard = limit_value(&p);
			f->have_limits = true;
		}
	fclose(s);
}

static void read_namespaces(struct facts *f)
{
	char path[64];
	ssize_t n;

	for (unsigned i = 0; i < NS_COUNT; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)f->pid, ns_text((enum ns_kind)i));
		n = readlink(path, f->ns[i], sizeof(f->ns[i]) - 1);
		f->ns[i][n > 0 ? n : 0] = '\0';
	}
}

/* How the program was linked. A PT_INTERP segment means dynamically. */
static enum link_kind link_kind(int fd)
{
	static char head[8192];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	const Elf64_Ehdr *e64 = (const void *)head;
	const Elf32_Ehdr *e32 = (const void *)head;
	size_t at, step, count;
	bool wide;

	if (n < (ssize_t)sizeof(*e64) || memcmp(head, ELFMAG, SELFMAG) != 0)
		return LINK_UNKNOWN;
	wide = head[EI_CLASS] == ELFCLASS64;
	if ((wide ? e64->e_type : e32->e_type) != ET_DYN)
		return LINK_FIXED;
	at = wide ? (size_t)e64->e_phoff : e32->e_phoff;
	step = wide ? e64->e_phentsize : e32->e_phentsize;
	count = wide ? e64->e_phnum : e32->e_phnum;
	for (; count; count--, at += step) {
		uint32_t type;

		if (at + sizeof(type) > (size_t)n)
			return LINK_UNKNOWN;
		memcpy(&type, head + at, sizeof(type)); /* p_type is the first member in both classes. */
		if (type == PT_INTERP)
			return LINK_PIE;
	}
	return LINK_STATIC_PIE;
}

static void read_exe(struct facts *f)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)f->pid);
	n = readlink(path, f->exe, sizeof(f->exe) - 1);
	f->exe[n > 0 ? n : 0] = '\0';
	make_printable(f->exe, strlen(f->exe));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	f->link = link_kind(fd);
	close(fd);
}

/* AppArmor's own file exists since Linux 5.8; the other one is that of all security modules. */
static void read_label(struct facts *f)
{
	static const char *const places[] = { "attr/apparmor/current", "attr/current" };
	char path[64];
	ssize_t n = -1;

	for (size_t i = 0; i < ARRAY_SIZE(places) && n < 0; i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)f->pid, places[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, f->label, sizeof(f->label) - 1);
		close(fd);
	}
	f->label[n > 0 ? n : 0] = '\0';
	f->label[strcspn(f->label, "\n")] = '\0';
	make_printable(f->label, strlen(f->label));
}

/* The /proc files of a process that is not dumpable belong to root (proc(5)). */
static void read_dumpable(struct facts *f)
{
	char path[64];
	struct stat st;

	f->dumpable = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)f->pid);
	if (f->have_status && f->uid[1] != 0 && stat(path, &st) == 0)
		f->dumpable = st.st_uid == f->uid[1];
}

bool facts_read(struct facts *f, pid_t pid)
{
	memset(f, 0, sizeof(*f));
	f->pid = pid;
	f->no_new_privs = f->seccomp = f->filters = f->seals = -1;
	f->have_status = read_status(f, "status", true);
	if (!f->have_status)
		return false;
	read_name(f);
	read_threads(f);
	read_stat(f);
	read_limits(f);
	read_namespaces(f);
	read_exe(f);
	read_label(f);
	read_dumpable(f);
	facts_fds(f);
	facts_maps(f);
	facts_root(f);
	return true;
}

void facts_free(struct facts *f)
{
	free(f->fd);
	f->fd = NULL;
	f->nfds = 0;
}
