/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The initrd of lguest-sep run is an archive that cpio can read, with the modules of a guest in load order. A guest's
 * report counts only if it is well-formed, and its ports keep and drop data as documented.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/run/cpio.h"
#include "parent/run/modules.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/ports.h"
#include "parent/supervise/run_result.h"

static struct module_list list;

static int empty_list(void **state)
{
	(void)state;
	memset(&list, 0, sizeof(list));
	return 0;
}

static int add(const char *text, const char *name)
{
	return modules_add(&list, text, strlen(text), name);
}

static void needed_come_first(void **state)
{
	static const char dep[] = "kernel/a/first.ko:\n"
				  "kernel/b/virtio-x.ko.xz: kernel/b/second.ko.xz kernel/a/first.ko\n"
				  "kernel/b/second.ko.xz: kernel/a/first.ko\n";

	(void)state;
	assert_int_equal(add(dep, "virtio_x"), 0);
	assert_int_equal(list.n, 3);
	assert_string_equal(list.path[0], "kernel/a/first.ko");
	assert_string_equal(list.path[1], "kernel/b/second.ko.xz");
	assert_string_equal(list.path[2], "kernel/b/virtio-x.ko.xz");
	/* A module that is listed already, or is built in, adds nothing. */
	assert_int_equal(add(dep, "second"), 0);
	assert_int_equal(add(dep, "virtio"), 0);
	assert_int_equal(list.n, 3);
}

static void each_file_system_has_its_modules(void **state)
{
	static const char dep[] = "k/xfs.ko: k/libcrc32c.ko\nk/btrfs.ko: k/libcrc32c.ko k/virtio.ko\n"
				  "k/libcrc32c.ko:\nk/virtio.ko:\n";

	(void)state;
	assert_int_equal(add(dep, "virtio"), 0);
	list.type = "xfs";
	assert_int_equal(add(dep, "xfs"), 0);
	list.type = "btrfs";
	assert_int_equal(add(dep, "btrfs"), 0);
	/* libcrc32c once for each of them, virtio for all. */
	assert_int_equal(list.n, 5);
	assert_null(list.for_type[0]);
	assert_string_equal(list.for_type[1], "xfs");
	assert_string_equal(list.path[1], "k/libcrc32c.ko");
	assert_string_equal(list.for_type[2], "xfs");
	assert_string_equal(list.for_type[3], "btrfs");
	assert_string_equal(list.path[3], "k/libcrc32c.ko");
	assert_string_equal(list.path[4], "k/btrfs.ko");
}

static void lists_are_bounded(void **state)
{
	static char text[64 * 1024];
	size_t n = 0;

	(void)state;
	/* Paths that leave the directory, and one that is too long. */
	assert_int_equal(add("../../etc/shadow.ko:\n", "shadow"), 0);
	assert_int_equal(add("/etc/shadow.ko:\n", "shadow"), 0);
	assert_int_equal(modules_add(&list, "k/\0/shadow.ko:\n", 15, "shadow"), 0);
	n = (size_t)snprintf(text, sizeof(text), "k/%0*d/long.ko:\n", MODULE_PATH_MAX, 0);
	assert_int_equal(modules_add(&list, text, n, "long"), 0);
	assert_int_equal(list.n, 0);
	n = (size_t)snprintf(text, sizeof(text), "m.ko:");
	for (unsigned i = 0; i <= RUN_MODULES_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " k/%u.ko", i);
	assert_int_equal(modules_add(&list, text, n, "m"), -1);
	assert_int_equal(list.n, RUN_MODULES_MAX);
	/* No newline, no colon, nothing at all. */
	empty_list(NULL);
	assert_int_equal(add("", "m"), 0);
	assert_int_equal(add("k/m.ko", "m"), 0);
	assert_int_equal(list.n, 1);
}

/* A kernel file boot/NAME whose header has @version; the modules that are found for it */
static const char *found_for(const char *name, const char *version, const char *magic)
{
	static struct config c;
	unsigned char head[0x400] = { 0 };
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	memcpy(head + 0x202, magic, 4);
	head[0x20e] = 0x50;
	head[0x20f] = 0x01;
	memcpy(head + 0x350, version, strlen(version) + 1);
	assert_int_equal(fwrite(head, sizeof(head), 1, f), 1);
	assert_int_equal(fclose(f), 0);
	c.kernel = name;
	assert_int_equal(modules_find(&c, &list), 0);
	return list.dir;
}

static void a_kernel_names_its_version(void **state)
{
	char dir[] = "/tmp/parent_run-XXXXXX", command[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(system("mkdir -p boot lib/modules/1.2-a lib/modules/3.4 secret; echo 'k/virtio_pci.ko:' |"
				"tee lib/modules/1.2-a/modules.dep > lib/modules/3.4/modules.dep"),
			 0);
	assert_string_equal(found_for("boot/vmlinuz", "1.2-a (me@here) #1", "HdrS"), "boot/../lib/modules/1.2-a");
	assert_int_equal(list.n, 1);
	/* The name comes first; a name whose modules are not there is no obstacle. */
	assert_string_equal(found_for("boot/vmlinuz-3.4", "1.2-a #1", "HdrS"), "boot/../lib/modules/3.4");
	assert_string_equal(found_for("boot/vmlinuz-mine", "1.2-a #1", "HdrS"), "boot/../lib/modules/1.2-a");
	/* Not a bzImage; nothing; paths; a version without an end. */
	assert_string_equal(found_for("boot/vmlinuz", "1.2-a #1", "HdrX"), "");
	assert_string_equal(found_for("boot/vmlinuz", "", "HdrS"), "");
	assert_string_equal(found_for("boot/vmlinuz", " 3.4 ", "HdrS"), "");
	assert_string_equal(found_for("boot/vmlinuz", "../../secret #1", "HdrS"), "");
	assert_string_equal(found_for("boot/vmlinuz", ".. #1", "HdrS"), "");
	assert_string_equal(found_for("boot/vmlinuz", "3.4/../1.2-a #1", "HdrS"), "");
	assert_string_equal(found_for("boot/vmlinuz", "3.4", "HdrS"), "");
	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void cpio_reads_it(void **state)
{
	struct cpio a = { .fd = memfd_create("a", 0), .max = 1u << 20 };
	int from = memfd_create("b", 0);
	char command[128], text[512] = "";
	FILE *f;

	(void)state;
	assert_true(a.fd >= 0 && from >= 0);
	assert_int_equal(write(from, "12345", 5), 5);
	assert_int_equal(cpio_directory(&a, "one/two"), 0);
	assert_int_equal(cpio_data(&a, "one/two/three", 0755, "abc", 3), 0);
	assert_int_equal(cpio_file(&a, "four", 0644, from, 5), 0);
	assert_int_equal(cpio_end(&a), 0);
	assert_int_equal(a.off % 4, 0);
	/* Check the archive's names; also with busybox's cpio, if it is installed. */
	if (access("/bin/busybox", X_OK) < 0) {
		print_message("skipped: no /bin/busybox\n");
		skip();
	}
	snprintf(command, sizeof(command), "/bin/busybox cpio -t -v < /proc/%d/fd/%d 2>/dev/null", getpid(), a.fd);
	f = popen(command, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	assert_int_equal(pclose(f), 0);
	assert_non_null(strstr(text, "one/two/three"));
	assert_non_null(strstr(text, "-rwxr-xr-x"));
	assert_non_null(strstr(text, "four"));
	close(a.fd);
	close(from);
}

static void archives_are_bounded(void **state)
{
	struct cpio a = { .fd = memfd_create("a", 0), .max = 200 };
	char data[100] = "";

	(void)state;
	assert_int_equal(cpio_data(&a, "x", 0644, data, sizeof(data)), -1);
	assert_int_equal(errno, ENOSPC);
	assert_true(lseek(a.fd, 0, SEEK_END) <= 200);
	close(a.fd);
}

static struct run_result good(void)
{
	return (struct run_result){ .magic = RUN_MAGIC, .end = RUN_EXITED, .value = 7, .text = "x\033[31m" };
}

static void reports_are_judged(void **state)
{
	struct run_result r = good();

	(void)state;
	assert_true(run_result_ok(&r));
	assert_string_equal(r.text, "x?[31m");
	r = good();
	r.magic++;
	assert_false(run_result_ok(&r));
	r = good();
	memset(r.text, 'x', sizeof(r.text));
	assert_false(run_result_ok(&r));
	r = good();
	r.value = 256;
	assert_false(run_result_ok(&r));
	r.end = RUN_SIGNALED;
	r.value = 0;
	assert_false(run_result_ok(&r));
	r.value = 65;
	assert_false(run_result_ok(&r));
	r.end = 4;
	r.value = 1;
	assert_false(run_result_ok(&r));
}

static void statuses(void **state)
{
	struct run_result r = good();

	(void)state;
	assert_int_equal(run_result_status(&r, false), 7);
	r.value = 123;
	assert_int_equal(run_result_status(&r, false), 123);
	r.value = 124;
	assert_int_equal(run_result_status(&r, false), 123);
	assert_int_equal(run_result_status(&r, true), 124);
	r.end = RUN_SIGNALED;
	r.value = 9;
	assert_int_equal(run_result_status(&r, false), 123);
	assert_int_equal(run_result_status(&r, true), 137);
	r.end = RUN_NOT_STARTED;
	assert_int_equal(run_result_status(&r, false), -1);
}

/* ---- ports ---- */

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE];
static int far[MAX_PORTS];

static int one_port(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&config, 0, sizeof(config));
	s.h = &host;
	s.c = &config;
	s.status = -1;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	config.nports = 1;
	config.port[0] = (struct port_option){ .name = "p", .path = "FILE", .max = 10 };
	host.port_file[0] = memfd_create("file", 0);
	host.term.in = host.term.out = host.term.err = -1;
	sup_ports_prepare(&s);
	return sup_ports_start(&s, far);
}

static int port_done(void **state)
{
	(void)state;
	sup_ports_clean(&s);
	close(far[0]);
	close(host.port_file[0]);
	return 0;
}

static void a_full_file_holds_the_port_back(void **state)
{
	short events;

	(void)state;
	assert_true(sup_port_fd(&s, 0, &events) >= 0);
	assert_int_equal(sup_port_file(&s, 0), -1);
	assert_int_equal(write(far[0], "123", 3), 3);
	sup_port_ready(&s, 0, POLLIN);
	/* Nothing more is read before this is written. */
	assert_int_equal(sup_port_fd(&s, 0, &events), -1);
	assert_int_equal(sup_port_file(&s, 0), host.port_file[0]);
	sup_port_write(&s, 0);
	assert_true(sup_port_fd(&s, 0, &events) >= 0);
	assert_true(sup_ports_busy(&s));
	close(far[0]);
	sup_port_ready(&s, 0, POLLIN | POLLHUP);
	assert_false(sup_ports_busy(&s));
	far[0] = open("/dev/null", O_RDONLY);
}

static void a_file_never_grows_past_max(void **state)
{
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(write(far[0], "1234", 4), 4);
		sup_port_ready(&s, 0, POLLIN);
		while (sup_port_file(&s, 0) >= 0)
			sup_port_write(&s, 0);
	}
	assert_int_equal(fstat(host.port_file[0], &st), 0);
	assert_int_equal(st.st_size, 10);
	sup_ports_report(&s);
	assert_non_null(memmem(lines, s.err.len, "dropped 10 bytes beyond max=10", 30));
}

static int run_ports(void **state)
{
	one_port(state);
	port_done(state);
	config.run.on = true;
	config.nports = RUN_PORTS;
	sup_ports_prepare(&s);
	return sup_ports_start(&s, far);
}

static int run_done(void **state)
{
	(void)state;
	sup_ports_clean(&s);
	for (unsigned i = 0; i < RUN_PORTS; i++)
		close(far[i]);
	return 0;
}

/* A report whose output has not arrived does not count; with the output it does, and the guest may power off. */
static void a_claim_needs_its_output(void **state)
{
	struct run_result r = good();
	char taken = 0;

	(void)state;
	r.out_bytes = 3;
	assert_int_equal(write(far[RUN_RESULT], &r, sizeof(r)), sizeof(r));
	sup_port_ready(&s, RUN_RESULT, POLLIN);
	assert_non_null(sup_run_result(&s));
	assert_int_equal(recv(far[RUN_RESULT], &taken, 1, MSG_DONTWAIT), -1);
	assert_int_equal(sup_run_status(&s, EXIT_POWEROFF), EXIT_RUN_FAILED);
	assert_int_equal(write(far[RUN_STDOUT], "abc", 3), 3);
	sup_port_ready(&s, RUN_STDOUT, POLLIN);
	assert_int_equal(recv(far[RUN_RESULT], &taken, 1, MSG_DONTWAIT), 1);
	assert_int_equal(taken, RUN_TAKEN);
	assert_int_equal(sup_run_status(&s, EXIT_POWEROFF), 7);
	/* A panic, a timeout and a dead role, which the supervisor observed, override the report. */
	assert_int_equal(sup_run_status(&s, EXIT_GUEST_PANIC), EXIT_RUN_FAILED);
	assert_int_equal(sup_run_status(&s, EXIT_ROLE_DIED), EXIT_RUN_FAILED);
	assert_int_equal(sup_run_status(&s, EXIT_TIMEOUT), EXIT_RUN_TIMEOUT);
	assert_int_equal(sup_run_status(&s, EXIT_SIGTERM), EXIT_SIGTERM);
	/* A second report changes nothing. */
	r.value = 0;
	assert_int_equal(write(far[RUN_RESULT], &r, sizeof(r)), sizeof(r));
	sup_port_ready(&s, RUN_RESULT, POLLIN);
	assert_int_equal(sup_run_status(&s, EXIT_POWEROFF), 7);
}

/* The console's end is shown in at most 50 short lines that are fit for a terminal. */
static void the_console_is_bounded(void **state)
{
	static const char text[] = "\033[2Jlong line long line\r\n";
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		sup_run_console((const uint8_t *)text, strlen(text));
	assert_int_equal(sup_run_status(&s, EXIT_GUEST_PANIC), EXIT_RUN_FAILED);
	assert_null(memchr(lines, '\033', s.err.len));
	for (const uint8_t *l = lines; (l = memmem(l, s.err.len - (size_t)(l - lines), "| ?[2J", 6)); l++)
		n++;
	assert_int_equal(n, 50);
}

/* Standard input waits for room in the port; its end is sent after the data. */
static void input_is_framed(void **state)
{
	struct run_frame f[2];
	int in[2];
	short events;
	char buf[16];

	(void)state;
	assert_int_equal(pipe(in), 0);
	host.term.in = in[0];
	assert_int_equal(write(in[1], "hi", 2), 2);
	close(in[1]);
	assert_int_equal(sup_run_stdin(&s), in[0]);
	sup_run_read_stdin(&s);
	assert_int_equal(sup_run_stdin(&s), -1);
	assert_true(sup_port_fd(&s, RUN_STDIN, &events) >= 0);
	assert_true(events & POLLOUT);
	sup_port_ready(&s, RUN_STDIN, POLLOUT);
	sup_run_read_stdin(&s);
	assert_int_equal(sup_run_stdin(&s), -1);
	assert_true(sup_run_signal(&s, 2));
	sup_port_ready(&s, RUN_STDIN, POLLOUT);
	assert_int_equal(read(far[RUN_STDIN], buf, 6), 6);
	memcpy(f, buf, sizeof(f[0]));
	assert_int_equal(f[0].type, RUN_DATA);
	assert_int_equal(f[0].value, 2);
	assert_memory_equal(buf + 4, "hi", 2);
	assert_int_equal(read(far[RUN_STDIN], f, sizeof(f)), sizeof(f));
	assert_int_equal(f[0].type, RUN_EOF);
	assert_int_equal(f[1].type, RUN_SIGNAL);
	assert_int_equal(f[1].value, 2);
	close(in[0]);
	host.term.in = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(needed_come_first, empty_list),
		cmocka_unit_test_setup(each_file_system_has_its_modules, empty_list),
		cmocka_unit_test_setup(lists_are_bounded, empty_list),
		cmocka_unit_test_setup(a_kernel_names_its_version, empty_list),
		cmocka_unit_test(cpio_reads_it),
		cmocka_unit_test(archives_are_bounded),
		cmocka_unit_test(reports_are_judged),
		cmocka_unit_test(statuses),
		cmocka_unit_test_setup_teardown(a_full_file_holds_the_port_back, one_port, port_done),
		cmocka_unit_test_setup_teardown(a_file_never_grows_past_max, one_port, port_done),
		cmocka_unit_test_setup_teardown(a_claim_needs_its_output, run_ports, run_done),
		cmocka_unit_test_setup_teardown(the_console_is_bounded, run_ports, run_done),
		cmocka_unit_test_setup_teardown(input_is_framed, run_ports, run_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
