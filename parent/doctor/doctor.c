/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep doctor [--json]: reports which engines, confinement layers and network
 * features this host offers to the user who runs it. Starts no guest.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/machine.h"
#include "parent/doctor/doctor.h"
#include "parent/doctor/findings.h"
#include "parent/doctor/layers.h"
#include "parent/doctor/net.h"
#include "parent/doctor/rules.h"
#include "parent/json.h"
#include "parent/options/util.h"
#include "parent/room/confine.h"
#include "parent/setup/engines.h"
#include "parent/setup/files.h"
#include "parent/setup/setup.h"

/*
 * vcpu/kvm/vm.c asks for huge pages for guest memory. Guest memory is shared with the
 * helpers, and by default most hosts give huge pages to private memory only.
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
		add_finding("memory", "huge pages", LIMITED,
			    "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled",
			    "not for shared memory: guests start about 10 %% slower");
	else
		add_finding("memory", "huge pages", text[0] ? FOUND : LIMITED, NULL,
			    text[0] ? "for shared memory as well: guests start faster"
				    : "this kernel has none for shared memory");
}

/* The engine that --engine=auto takes on this host; NULL: none works. */
static const char *auto_engine;

/* Try the engines in the order of --engine=auto, which takes the first one that works. */
static void engines(void)
{
	static const enum engine_kind order[] = { ENGINE_LGUEST, ENGINE_KVM, ENGINE_QEMU };
	static struct config c = { .no_reboot = true };
	bool kvm = false, room = doctor_has_namespaces();

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		static struct host h;
		const char *name = engine_name(order[i]);
		char why[256] = "";

		memset(&h, 0, sizeof(h));
		h.c = &c;
		if (engine_try(&h, order[i], why) < 0) {
			add_finding("engine", name, MISSING, NULL, "%s", why);
			continue;
		}
		if (order[i] == ENGINE_QEMU && !room)
			add_finding(
				"engine", name, LIMITED, "allow mount and pid namespaces to this container or service",
				"starts only guests without disks and NICs: QEMU's namespaces, where it connects to them, cannot be made");
		else
			add_finding(
				"engine", name, order[i] == ENGINE_QEMU ? LIMITED : FOUND,
				order[i] == ENGINE_QEMU && !auto_engine
					? "a CPU emulator is not a security boundary: prefer a host with /dev/kvm for hostile guests"
					: NULL,
				"%s",
				auto_engine ? "works; not used by --engine=auto" : "works; --engine=auto takes it");
		auto_engine = auto_engine ? auto_engine : name;
		kvm = kvm || order[i] == ENGINE_KVM;
		for (unsigned k = 0; k < h.nengine; k++)
			close(h.engine_fd[k]);
		engine_forget(&h);
	}
	if (!auto_engine)
		add_finding("engine", "any", MISSING, "make one of the above work", "no guest can run here");
	if (kvm)
		huge_pages();
}

/* The machines of --machine whose QEMU program is installed. Each needs a program of its own. */
static void machines(void)
{
	for (unsigned i = 0; i < MACHINE_COUNT; i++) {
		const struct machine *m = machine_get(i);
		const char *program = machine_program(m);

#ifndef __x86_64__
		add_finding("machine", m->name, LIMITED, NULL,
			    "not in this 32-bit build, which cannot use the qemu engine");
		continue;
#endif
		if (access(program, X_OK) < 0) {
			char advice[64];

			snprintf(advice, sizeof(advice), "apt install %s", m->package);
			add_finding("machine", m->name, LIMITED, advice, "not with --machine: %s: %m", program);
		} else if (m->firmware && access(m->firmware, R_OK) < 0) {
			add_finding("machine", m->name, LIMITED, NULL, "only with --firmware=none: %s: %m",
				    m->firmware);
		} else {
			add_finding("machine", m->name, FOUND, NULL, "%s", program);
		}
	}
}

/* The files of --firmware=ovmf and u-boot: for which machines they are installed. */
static void firmware(bool uefi)
{
	const char *name = uefi ? "ovmf" : "u-boot";
	char have[128] = "", lack[128] = "";

	for (unsigned i = 0; i < MACHINE_COUNT; i++) {
		const struct machine *m = machine_get(i);
		const struct firmware_file *f = uefi ? &m->uefi : &m->uboot;
		char *to = f->path && access(f->path, R_OK) == 0 ? have : lack;

		if (f->path)
			snprintf(to + strlen(to), 128 - strlen(to), "%s%s", *to ? ", " : "",
				 to == have ? m->name : f->package);
	}
	if (*have)
		add_finding("firmware", name, FOUND, NULL, "for %s", have);
	else
		add_finding("firmware", name, LIMITED, NULL, "not with --firmware=%s; Debian's packages: %s", name,
			    lack);
}

static void programs(void)
{
	static const struct config c = { .ndisks = 1, .nnets = 1, .nshares = 1, .control = true };
	static struct host h = { .c = &c, .init_exe = -1 };

	for (unsigned i = 0; i < ROLE_COUNT; i++)
		h.exe[i] = -1;
	if (open_programs(&h) < 0)
		add_finding("caller", "programs", MISSING, "run make install, or start build/bin/lguest-sep",
			    "some of the programs lguest-sep-init, -vcpu, -netd and -blkd are missing");
	else
		add_finding("caller", "programs", FOUND, NULL, "lguest-sep-init, -vcpu, -netd and -blkd are installed");
}

static void caller(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct utsname u;

	if (uname(&u) == 0)
		add_finding("caller", "kernel", FOUND, NULL, "%s %s", u.release, u.machine);
	if (geteuid() == 0 && nobody && cannot_become(nobody->pw_uid, nobody->pw_gid))
		add_finding("caller", "user", MISSING,
			    "start as an ordinary user (in namespaces of your own: unshare -Un --map-current-user "
			    "--keep-caps), or on a host where root may change its user ID",
			    "root, but %s", cannot_become(nobody->pw_uid, nobody->pw_gid));
	else if (geteuid() == 0)
		add_finding("caller", "user", FOUND, NULL,
			    "root: everything can be set up; guests run as nobody, or as --drop-to says");
	else
		add_finding(
			"caller", "user", LIMITED,
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

	for (unsigned i = 0; i < nfindings; i++) {
		const struct finding *f = &finding[i];

		if (strcmp(group, f->group) != 0)
			printf("%s%s\n", i ? "\n" : "", f->group);
		group = f->group;
		printf("  %-8s %-28s %s\n", state_text(f->state), f->what, f->text);
		if (f->advice[0])
			printf("  %-8s %-28s -> %s\n", "", "", f->advice);
	}
}

static void print_json(bool can)
{
	puts("{\"findings\": [");
	for (unsigned i = 0; i < nfindings; i++) {
		fputs("  {", stdout);
		json_member("group", finding[i].group, ", ");
		json_member("what", finding[i].what, ", ");
		json_member("state", state_text(finding[i].state), ", ");
		json_member("is", finding[i].text, ", ");
		json_member("advice", finding[i].advice, i + 1 < nfindings ? "},\n" : "}\n");
	}
	printf("],\n \"auto_engine\": ");
	if (auto_engine)
		json_string(stdout, auto_engine);
	else
		fputs("null", stdout);
	printf(",\n \"guests_can_run\": %s}\n", can ? "true" : "false");
}

/* True if no guest can run without @f. An engine is needed as well; the rest is optional. */
static bool is_needed(const struct finding *f)
{
	return !strcmp(f->what, "user") || !strcmp(f->what, "programs") || !strcmp(f->what, "system call filters");
}

static bool guests_can_run(unsigned *missing)
{
	bool engine = false, rest = true;

	for (unsigned i = 0; i < nfindings; i++) {
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
			puts("Usage: lguest-sep doctor [--json]\n"
			     "\n"
			     "Reports which engines work here, which layers of confinement this host has, and how\n"
			     "to get what is missing. Exit status: 0 guests can run, 1 they cannot, 2 usage.");
			return EXIT_POWEROFF;
		}
		if (strcmp(argv[i], "--json") != 0)
			return complain(EXIT_USAGE, "doctor: %s: unknown argument; the only option is --json", argv[i]);
		json = true;
	}
	log_to_fd(2, "lguest-sep", LOG_ERROR);
	caller();
	engines();
	machines();
	firmware(true);
	firmware(false);
	doctor_layers();
	doctor_network();
	doctor_rules();
	can = guests_can_run(&missing);
	if (json)
		print_json(can);
	else
		print_text();
	if (!json)
		printf("\nverdict: guests %s here%s\n", can ? "can run" : "cannot run",
		       missing ? "; the lines with \"no\" name what is missing" : ", with every layer");
	if (fflush(stdout) != 0)
		return complain(EXIT_HOST, "doctor: cannot write to standard output: %m");
	return can ? EXIT_POWEROFF : EXIT_HOST;
}
