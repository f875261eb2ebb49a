/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An EFI program that prints a line, keeps a variable and powers the machine off. Offsets are those
 * of the UEFI specification 2.10: EFI_SYSTEM_TABLE (4.3), EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL (12.4)
 * and EFI_RUNTIME_SERVICES (4.5). tests/long/firmware builds it.
 */
#include <stdint.h>

struct text_output {
	void *reset;
	uint64_t (*output_string)(struct text_output *o, const uint16_t *text);
};

struct guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

struct runtime_services {
	uint8_t header[24];
	void *get_time, *set_time, *get_wakeup, *set_wakeup, *set_map, *convert;
	uint64_t (*get_variable)(const uint16_t *name, const struct guid *g, uint32_t *attributes, uint64_t *size,
				 void *data);
	void *get_next;
	uint64_t (*set_variable)(const uint16_t *name, const struct guid *g, uint32_t attributes, uint64_t size,
				 const void *data);
	void *get_count;
	void (*reset_system)(uint32_t kind, uint64_t status, uint64_t size, void *data);
};

struct system_table {
	uint8_t header[24];
	void *vendor;
	uint32_t revision;
	void *in_handle, *in, *out_handle;
	struct text_output *out;
	void *err_handle, *err;
	struct runtime_services *runtime;
};

/* EFI_VARIABLE_NON_VOLATILE, _BOOTSERVICE_ACCESS and _RUNTIME_ACCESS */
#define KEPT		7
#define RESET_POWER_OFF 2

uint64_t efi_main(void *image, struct system_table *s);

uint64_t efi_main(void *image, struct system_table *s)
{
	static const struct guid guid = { 0x6c677365, 0x7465, 0x7374, { 1, 2, 3, 4, 5, 6, 7, 8 } };
	static const uint16_t name[] = u"LguestSepTest";
	uint32_t attributes = 0;
	uint64_t size = 1;
	uint8_t value = 42;

	(void)image;
	s->out->output_string(s->out, u"\r\nT: an EFI program\r\n");
	if (s->runtime->get_variable(name, &guid, &attributes, &size, &value) == 0)
		s->out->output_string(s->out, u"T: a variable of another guest\r\n");
	value = 42;
	if (s->runtime->set_variable(name, &guid, KEPT, 1, &value) == 0) {
		value = 0;
		if (s->runtime->get_variable(name, &guid, &attributes, &size, &value) == 0 && value == 42)
			s->out->output_string(s->out, u"T: a variable\r\n");
	}
	s->runtime->reset_system(RESET_POWER_OFF, 0, 0, 0);
	for (;;)
		;
}
