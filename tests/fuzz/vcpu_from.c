/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the file of --from, as a whole and as changes of a file that --save has written, with and without right checksums.
 * Whatever it contains, loading writes only inside guest memory, and either refuses it with a line or leads to devices
 * that work within their bounds. KVM's calls are a double.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/lib/saved_guest.h"

#define CANARY 0x5a

static uint8_t base[256 << 10], file[256 << 10];
static size_t base_len;
static uint8_t *behind[2];

/* The pages behind both parts of guest memory are ours. */
static void make_memory(void)
{
	PROMISE(place_file(VFD_MEM) && ftruncate(VFD_MEM, LOW + HIGH) == 0);
	for (unsigned i = 0; i < 2; i++) {
		size_t size = i ? HIGH : LOW;

		memory[i] = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		PROMISE(memory[i] != MAP_FAILED);
		PROMISE(mmap(memory[i], size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, VFD_MEM, i ? LOW : 0) !=
			MAP_FAILED);
		behind[i] = memory[i] + size;
		memset(behind[i], CANARY, PAGE);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd;

	(void)argc;
	(void)argv;
	symbolizer_first();
	log_to_fd(fcntl(open("/dev/null", O_WRONLY), F_DUPFD_CLOEXEC, 700), "fuzz", LOG_ERROR);
	config = (struct vcpu_config){ .mem_bytes = LOW + HIGH,
				       .smp = 1,
				       .rng = true,
				       .ndevices = 1,
				       .dev[0].kind = DEV_NET,
				       .nports = 1,
				       .port[0] = "p",
				       .exit_port = EXIT_PORT_BYTE,
				       .exit_base = EXIT_PORT,
				       .checkpoint = true,
				       .save = true,
				       .vmgenid_same = true,
				       .kernel_name = "file" };
	tsc_khz = 2000000;
	PROMISE(place_file(VFD_SAVE));
	make_memory();
	PROMISE(new_machine() == 0);
	use_machine();
	fd = save_machine();
	base_len = (size_t)lseek(fd, 0, SEEK_END);
	PROMISE(vm.end == 0 && base_len <= sizeof(base));
	PROMISE(pread(fd, base, base_len, 0) == (ssize_t)base_len);
	close(fd);
	config.checkpoint = config.save = false;
	config.from = true;
	return 0;
}

/* Changes of the file: where (4 bytes), how many bytes, and these. */
static size_t change(struct input *in)
{
	size_t len = base_len;

	memcpy(file, base, base_len);
	while (left(in) >= 6) {
		size_t at = take32(in) % base_len, n = take8(in) % 9;

		if (!n) {
			len = at;
			continue;
		}
		take(in, file + at, MIN(n, base_len - at));
	}
	return len;
}

/* What the guest and the user may do next. */
static void go_on(void)
{
	struct devices *ds = &k.devices;
	uint32_t v;

	PROMISE(k.pc.uart.head < PC_SERIAL_FIFO && k.pc.uart.count <= PC_SERIAL_FIFO);
	ds->conio.gone = true;
	for (unsigned i = 0; i < 40; i++) {
		own_send_output(ds);
		own_feed_rng(ds);
		console_input(&ds->console, (const uint8_t *)"input", 5);
		pc_serial_input(&k.pc, (const uint8_t *)"in", 2);
		pc_in(&k.pc, PC_SERIAL_PORT, 1, &v);
	}
	for (unsigned i = 0; i < ds->n; i++)
		for (unsigned q = 0; q < ds->dev[i].v.dev->nqueues; q++) {
			vpci_interrupt(&ds->dev[i].v, q);
			reg(i, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
			reg(i, 0x3000 + 4 * q, 2, q);
		}
	for (unsigned i = 0; i < ds->n; i++)
		reg(i, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (unsigned i = 0; i < 64; i += 4) {
		pci_port_out(&ds->bus, PCI_PORT_ADDRESS, 4, 0x80000800u | i);
		(void)pci_port_in(&ds->bus, PCI_PORT_DATA, 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	size_t len;
	uint8_t how;
	int fd, rc;

	if (!size)
		return 0;
	/* At the end, so that seeds are files. */
	how = *--in.end;
	if (how & 1) {
		len = change(&in);
	} else {
		len = MIN(left(&in), sizeof(file));
		take(&in, file, len);
	}
	if (how & 2)
		fit_checksums(file, len);
	fd = memory_file();
	PROMISE(fd >= 0 && write(fd, file, len) == (ssize_t)len);
	PROMISE(new_machine() == 0);
	rc = load_machine(fd);
	close(fd);
	PROMISE(rc == 0 || rc == -1);
	PROMISE((rc == 0) == (vm.end == 0));
	PROMISE(memchr(vm.end_text, '\0', sizeof(vm.end_text)));
	for (const char *s = vm.end_text; *s; s++)
		PROMISE(*s >= 0x20 && *s <= 0x7e);
	if (rc == 0)
		go_on();
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < PAGE; j++)
			PROMISE(behind[i][j] == CANARY);
	return 0;
}
