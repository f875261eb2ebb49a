/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: the named ports of a saved guest go on in a guest from the file: the rest of output that was half sent is sent,
 * messages that waited for the guest wait again, and a connection that had ended is a new one. No file leads to a state
 * that a guest could not have reached.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/unit/vcpu_save_rig.h"

#define OUTPUT 0x80000u
#define CTL_TX PORTS_CTL_TX
#define TX     (PORTS_FIRST + 1)
/* Bits of port.pending, as ports.c numbers them. */
#define SAY_KIND   2
#define SAY_OPEN   4
#define SAY_CLOSED 8

static int far_end; /* Of the port's connection */

static void connect_port(void)
{
	int sv[2], size = 4096;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	assert_int_equal(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	if (far_end > 0)
		close(far_end);
	far_end = fcntl(sv[1], F_DUPFD, 700);
	assert_int_equal(dup2(sv[0], VFD_PORT0), VFD_PORT0);
	close(sv[0]);
	close(sv[1]);
}

static void to_port(uint16_t event, uint16_t value)
{
	struct virtio_console_control m = { .id = 1, .event = event, .value = value };

	memcpy(memory[0] + BUFFER, &m, sizeof(m));
	offer(0, CTL_TX, CTL_TX, sizeof(m), false);
	while (ports_work(&k.devices.ports))
		;
}

static void drive(void)
{
	reg(0, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	reg(0, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	reg(0, VIRTIO_PCI_COMMON_GF, 4, 1u << VIRTIO_CONSOLE_F_MULTIPORT);
	begin(0);
	for (unsigned q = 0; q < PORTS_FIRST + 2; q++)
		set_up(0, q, q);
	reg(0, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
	to_port(VIRTIO_CONSOLE_PORT_OPEN, 1);
	to_port(VIRTIO_CONSOLE_PORT_READY, 1);
}

static void new_guest(void)
{
	connect_port();
	assert_int_equal(new_machine(), 0);
}

/* A guest whose port sends more than the connection takes. @ended: the other end has closed it. */
static void save_ports(bool ended)
{
	int fd;

	config.checkpoint = config.save = true;
	config.from = false;
	assert_true(place_file(VFD_SAVE));
	new_guest();
	drive();
	if (ended) {
		shutdown(far_end, SHUT_RDWR);
		ports_event(&k.devices.ports, 0, EPOLLHUP);
		assert_true(k.devices.ports.port[1].gone);
	} else {
		memset(memory[0] + BUFFER, 'x', OUTPUT);
		offer(0, TX, TX, OUTPUT, false);
		assert_true(k.devices.ports.port[1].busy && k.devices.ports.port[1].done);
	}
	fd = save_machine();
	assert_true(fd >= 0);
	assert_int_equal(vm.end, 0);
	file_len = (size_t)lseek(fd, 0, SEEK_END);
	assert_int_equal(pread(fd, file, file_len, 0), file_len);
	close(fd);
	config.checkpoint = config.save = false;
	config.from = true;
}

static int setup_ports(void **state)
{
	static bool once;

	reset_options(state);
	config.nports = 1;
	memcpy(config.port[0], "p", 2);
	if (!once)
		assert_int_equal(dup2(epoll_create1(0), VFD_EPOLL), VFD_EPOLL);
	once = true;
	surroundings = connect_port;
	save_ports(false);
	return 0;
}

static struct port *port(void)
{
	return &k.devices.ports.port[1];
}

/* Read all that the port sends. */
static size_t read_all(void)
{
	static char some[65536];
	size_t sum = 0;
	ssize_t n;

	do {
		port()->blocked = false;
		ports_kick(&k.devices.ports, TX);
		while ((n = read(far_end, some, sizeof(some))) > 0)
			sum += (size_t)n;
	} while (port()->busy);
	return sum;
}

static void the_rest_of_output_is_sent_and_messages_wait(void **state)
{
	size_t done = port()->done;

	(void)state;
	new_guest();
	assert_int_equal(load_bytes(file, file_len), 0);
	assert_true(port()->guest_open && port()->busy && port()->again);
	assert_int_equal(port()->done, done);
	assert_int_equal(port()->pending, SAY_KIND | SAY_OPEN);
	assert_true(k.devices.ports.ctl_again);
	(void)ports_work(&k.devices.ports);
	assert_int_equal(port()->watched, EPOLLIN | EPOLLOUT);
	assert_int_equal(read_all(), OUTPUT - done);
	assert_int_equal(used(TX), 1);
	/* Input for the guest comes through the new connection. */
	offer(0, PORTS_FIRST, PORTS_FIRST, 16, true);
	assert_int_equal(write(far_end, "input", 5), 5);
	ports_event(&k.devices.ports, 0, EPOLLIN);
	assert_int_equal(used(PORTS_FIRST), 1);
	assert_memory_equal(memory[0] + BUFFER, "input", 5);
}

static void a_connection_that_had_ended_is_a_new_one(void **state)
{
	(void)state;
	save_ports(true);
	assert_true(port()->pending & SAY_CLOSED);
	new_guest();
	assert_int_equal(load_bytes(file, file_len), 0);
	assert_false(port()->gone);
	assert_int_equal(port()->pending & (SAY_OPEN | SAY_CLOSED), SAY_OPEN);
}

static void other_ports_are_refused(void **state)
{
	(void)state;
	memcpy(config.port[0], "other", 6);
	refused_hostile("port 1 of the guest is not named other; give the --port options of the saved guest");
	config.nports = 2;
	refused_hostile("the guest has 1 ports, and this one 2; give the --port options of the saved guest");
	config.nports = 0;
	refused_hostile("the guest has 1 ports, and this one 0; give the --port options of the saved guest");
}

static void impossible_ports_are_refused(void **state)
{
	const unsigned first = CONSOLE_QUEUES + 1 + CTL_TX;

	(void)state;
	change(RECORD_PORT, 1, 7, 0x20, "port 1 has the messages 0x20 for the guest");
	change(RECORD_PORT, 1, 7, 0x10, "port 1 has the messages 0x10 for the guest");
	change(RECORD_PORT, 0, 7, 4, "port 0 has the messages 0x4 for the guest");
	change(RECORD_PORT, 0, 5, 1, "the console has the connection of a named port");
	change(RECORD_PORT, 0, 6, 1, "the console has the connection of a named port");
	change(RECORD_PORT, 1, 4, 2, "output in progress is 2, not 0 or 1");
	change(RECORD_PORT, 1, 5, 2, "an open port is 2, not 0 or 1");
	change(RECORD_PORT, 1, 6, 2, "a closed connection is 2, not 0 or 1");
	change(RECORD_PORT, 0, 8, 2, "a known size is 2, not 0 or 1");
	change(RECORD_PORT, 1, 16 + 1, 'q', "port 1 of the guest is not named p");
	/* More chains than entries, and output in progress without a chain that was taken. */
	change(RECORD_QUEUE, first, 2, 99, "is available");
	object(RECORD_QUEUE, first + 2)[2] = (uint8_t)(object(RECORD_QUEUE, first + 2)[0] + RING_LEN);
	refused_hostile("output is in progress, but its queue does not run");
}

static void ports_without_their_feature_are_refused(void **state)
{
	uint8_t *device = object(RECORD_DEVICE, 0);

	(void)state;
	device[16] &= (uint8_t) ~(1u << VIRTIO_CONSOLE_F_MULTIPORT);
	device[24] &= (uint8_t) ~(1u << VIRTIO_CONSOLE_F_MULTIPORT);
	refused_hostile("console: queue 2 runs, but its driver uses no ports");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_rest_of_output_is_sent_and_messages_wait, setup_ports),
		cmocka_unit_test_setup(a_connection_that_had_ended_is_a_new_one, setup_ports),
		cmocka_unit_test_setup(other_ports_are_refused, setup_ports),
		cmocka_unit_test_setup(impossible_ports_are_refused, setup_ports),
		cmocka_unit_test_setup(ports_without_their_feature_are_refused, setup_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
