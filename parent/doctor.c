// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lguest-sep doctor [--json]: engines, layers, network and permissions of this
 * host, as the one who asks would meet them. A program of its own.
 */
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit.h"
#include "doctor.h"
#include "options.h"
#include "setup.h"
#include "spawn.h"

#define MAX_FINDINGS 64

static struct finding finding[MAX_FINDINGS];
static unsigned n;

void found(const char *group, const char *what, enum finding_state state, const char *advice, const char *fmt, ...)
{
	struct finding *f = &finding[n];
	va_list ap;

	if (n == MAX_FINDINGS)
		return;
	n++;
	f->group = group;
	f->what = what;
	f->state = state;
	if (advice)
		snprintf(f->advice, sizeof(f->advice), "%s", advice);
	va_start(ap, fmt);
	vsnprintf(f->is, sizeof(f->is), fmt, ap);
	va_end(ap);
}

int in_child(int (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/*
 * vcpu/kvm_vm.c asks for huge pages behind guest memory, which is shared with the
 * helpers: most hosts do not give them to shared memory unless they are told to.
 */
static void huge_pages(void)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	char text[128] = "";
	FILE *f = fopen(path, "re");

	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	if (strstr(text, "[never]") || strstr(text, "[deny]"))
		found("memory", "huge pages", LIMITED,
		      "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled",
		      "not for shared memory: guests start about a tenth slower");
	else
		found("memory", "huge pages", text[0] ? FOUND : LIMITED, NULL,
		      text[0] ? "for shared memory as well: guests start faster"
			      : "this kernel has none for shared memory");
}

/* The engines in the order in which --engine=auto tries them; the first that works is taken. */
static void engines(void)
{
	static const enum engine_kind order[] = { ENGINE_LGUEST, ENGINE_KVM, ENGINE_QEMU };
	static struct config c = { .no_reboot = true };
	const char *used = NULL;
	bool kvm = false;

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		static struct host h;
		const char *name = engine_name(order[i]);
		char why[256] = "";

		memset(&h, 0, sizeof(h));
		h.c = &c;
		if (engine_try(&h, order[i], why) < 0) {
			found("engine", name, MISSING, NULL, "%s", why);
			continue;
		}
		found("engine", name, order[i] == ENGINE_QEMU ? LIMITED : FOUND,
		      order[i] == ENGINE_QEMU && !used
			      ? "a CPU emulator is no security boundary: prefer a host with /dev/kvm for hostile guests"
			      : NULL,
		      "%s", used ? "works; not used by --engine=auto" : "works; --engine=auto takes it");
		used = used ? used : name;
		kvm = kvm || order[i] == ENGINE_KVM;
		for (unsigned k = 0; k < h.nengine; k++)
			close(h.engine_fd[k]);
		engine_forget(&h);
	}
	if (!used)
		found("engine", "any", MISSING, "make one of the above work", "no guest can run here");
	if (kvm)
		huge_pages();
}

static void programs(void)
{
	static const struct config c = { .ndisks = 1, .nnets = 1 };
	static struct host h = { .c = &c, .init_exe = -1 };

	for (unsigned i = 0; i < ROLE_COUNT; i++)
		h.exe[i] = -1;
	if (open_programs(&h) < 0)
		found("caller", "programs", MISSING, "make install, or start the lguest-sep of the build's folder",
		      "the roles' programs are not all there");
	else
		found("caller", "programs", FOUND, NULL, "the roles' programs are there");
}

static void caller(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct utsname u;

	if (uname(&u) == 0)
		found("caller", "kernel", FOUND, NULL, "%s %s", u.release, u.machine);
	if (geteuid() == 0 && nobody && cannot_become(nobody->pw_uid, nobody->pw_gid))
		found("caller", "user", MISSING, "start as an ordinary user, or where root may do it", "root, but %s",
		      cannot_become(nobody->pw_uid, nobody->pw_gid));
	else if (geteuid() == 0)
		found("caller", "user", FOUND, NULL,
		      "root: everything can be set up; guests run as nobody, or as --drop-to says");
	else
		found("caller", "user", LIMITED,
		      "a tap has to be made for you: ip tuntap add dev NAME mode tap user YOU; then --net=tap=NAME",
		      "user %u: everything works that needs no privilege", (unsigned)geteuid());
	programs();
}

static const char *state_text(enum finding_state s)
{
	static const char *const text[] = { "yes", "no", "limited" };

	return text[s];
}

static void print_text(void)
{
	const char *group = "";

	for (unsigned i = 0; i < n; i++) {
		const struct finding *f = &finding[i];

		if (strcmp(group, f->group) != 0)
			printf("%s%s\n", i ? "\n" : "", f->group);
		group = f->group;
		printf("  %-8s %-28s %s\n", state_text(f->state), f->what, f->is);
		if (f->advice[0])
			printf("  %-8s %-28s -> %s\n", "", "", f->advice);
	}
}

static void member(const char *key, const char *value, const char *end)
{
	printf("\"%s\": ", key);
	json_string(stdout, value);
	fputs(end, stdout);
}

static void print_json(bool can)
{
	puts("{\"findings\": [");
	for (unsigned i = 0; i < n; i++) {
		fputs("  {", stdout);
		member("group", finding[i].group, ", ");
		member("what", finding[i].what, ", ");
		member("state", state_text(finding[i].state), ", ");
		member("is", finding[i].is, ", ");
		member("advice", finding[i].advice, i + 1 < n ? "},\n" : "}\n");
	}
	printf("],\n \"guests_can_run\": %s}\n", can ? "true" : "false");
}

/* What a guest needs besides an engine; all else is done without. */
static bool is_needed(const struct finding *f)
{
	return !strcmp(f->what, "user") || !strcmp(f->what, "programs") || !strcmp(f->what, "system call filters");
}

static bool guests_can_run(unsigned *missing)
{
	bool engine = false, rest = true;

	for (unsigned i = 0; i < n; i++) {
		const struct finding *f = &finding[i];

		*missing += f->state == MISSING && strcmp(f->group, "engine") != 0;
		if (!strcmp(f->group, "engine"))
			engine = engine || f->state != MISSING;
		else if (is_needed(f))
			rest = rest && f->state != MISSING;
	}
	return engine && rest;
}

int doctor_main(int argc, char **argv)
{
	bool json = false, can;
	unsigned missing = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			puts("Usage: lguest-sep doctor [--json]\n\nSays which engines work here, which layers of confinement this host has, and what\n"
			     "to do about the rest. Exit status: 0 guests can run, 1 they cannot, 2 usage.");
			return EXIT_POWEROFF;
		}
		if (strcmp(argv[i], "--json") != 0)
			return complain(EXIT_USAGE, "doctor: %s: it knows --json alone", argv[i]);
		json = true;
	}
	log_to_fd(2, "lguest-sep", LOG_ERROR);
	caller();
	engines();
	doctor_layers();
	doctor_network();
	can = guests_can_run(&missing);
	if (json)
		print_json(can);
	else
		print_text();
	if (!json)
		printf("\nverdict: guests %s here%s\n", can ? "can run" : "cannot run",
		       missing ? "; something is missing (no, above)" : ", with every layer");
	if (fflush(stdout) != 0)
		return complain(EXIT_HOST, "doctor: cannot write: %m");
	return can ? EXIT_POWEROFF : EXIT_HOST;
}
