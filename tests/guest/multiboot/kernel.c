/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Multiboot kernel (version 1 or 2) that prints to the serial port what it got at its entry,
 * then reports 0 through I/O port 0xf4, or 1 if something is wrong.
 */
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned char u8;

static u8 zeroed[65536]; /* .bss: must be zero at the entry */
static u8 status;

static void outb(unsigned short port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void say(const char *s)
{
	while (*s)
		outb(0x3f8, (u8)*s++);
}

static void hex(const char *name, u64 v)
{
	char t[17];
	int i = 16;

	say(name);
	t[i] = 0;
	do {
		t[--i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v);
	say(t + i);
}

static void check(const char *what, int ok)
{
	if (ok)
		return;
	say("WRONG: ");
	say(what);
	say("\n");
	status = 1;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void text(const char *name, const char *s)
{
	say(name);
	say(s);
	say("\n");
}

static void map(u64 addr, u64 len, u32 type)
{
	hex("map ", addr);
	hex(" ", len);
	hex(" ", type);
	say("\n");
}

static void module(u32 start, u32 end, const char *name)
{
	hex("module bytes ", end - start);
	say(start % 4096 ? " unaligned " : " aligned ");
	text("name ", name);
	for (const char *p = (const char *)start; p < (const char *)end && *p >= ' '; p++)
		outb(0x3f8, (u8)*p);
	say("\n");
}

/* The section headers, whose names and symbols the loader has put into memory. */
static void sections(const u8 *table, u32 count, u32 size, u32 names)
{
	const u32 *strings = (const u32 *)(table + names * size);

	check("the size of a section header", size == 40);
	for (u32 i = 1; i < count; i++) {
		const u32 *s = (const u32 *)(table + i * size);
		const char *name = (const char *)strings[3] + s[0];

		check("the place of a section", s[3] >= 0x100000 || !s[5]);
		if (same(name, ".symtab"))
			hex("symtab entry ", s[9]), say("\n");
	}
}

static void info1(const u32 *i)
{
	const u32 *m = (const u32 *)i[6];

	hex("flags ", i[0]);
	say("\n");
	check("the flags", (i[0] & 0x241) == 0x241);
	hex("lower ", i[1]);
	hex(" upper ", i[2]);
	say("\n");
	for (const u8 *p = (const u8 *)i[12]; p < (const u8 *)i[12] + i[11];) {
		const u32 *e = (const u32 *)p;

		map(e[1] | (u64)e[2] << 32, e[3] | (u64)e[4] << 32, e[5]);
		p += e[0] + 4;
	}
	for (u32 n = 0; n < i[5]; n++, m += 4)
		module(m[0], m[1], (const char *)m[2]);
	text("command line: ", (const char *)i[4]);
	text("loader: ", (const char *)i[16]);
	if (i[0] & 0x20)
		sections((const u8 *)i[9], i[7], i[8], i[10]);
}

static void tag(const u32 *t)
{
	switch (t[0]) {
	case 1:
		text("command line: ", (const char *)(t + 2));
		break;
	case 2:
		text("loader: ", (const char *)(t + 2));
		break;
	case 3:
		module(t[2], t[3], (const char *)(t + 4));
		break;
	case 4:
		hex("lower ", t[2]);
		hex(" upper ", t[3]);
		say("\n");
		break;
	case 6:
		check("the memory map's entries", t[2] == 24 && t[3] == 0);
		for (const u32 *e = t + 4; e < t + t[1] / 4; e += 6)
			map(e[0] | (u64)e[1] << 32, e[2] | (u64)e[3] << 32, e[4]);
		break;
	case 9:
		sections((const u8 *)(t + 5), t[2], t[3], t[4]);
		break;
	case 15:
		check("the RSDP", t[2] == 0x20445352 && t[3] == 0x20525450);
		say("ACPI\n");
		break;
	default:
		hex("tag ", t[0]);
		say("\n");
	}
}

static void info2(const u8 *i)
{
	u32 total = *(const u32 *)i, at = 8;

	while (at < total && *(const u32 *)(i + at)) {
		tag((const u32 *)(i + at));
		at += (*(const u32 *)(i + at + 4) + 7) & ~7u;
	}
	check("the end tag", at + 8 == total);
}

void kernel_main(u32 magic, u32 info, u32 flags, u32 cr0);
void kernel_main(u32 magic, u32 info, u32 flags, u32 cr0)
{
	u32 sum = 0;
	volatile u32 *low = (volatile u32 *)0x8000, *high = (volatile u32 *)0x108000;

	hex("magic ", magic);
	say("\n");
	for (u32 n = 0; n < sizeof(zeroed); n++)
		sum += zeroed[n];
	check("a cleared .bss", !sum);
	check("protected mode without paging", (cr0 & 0x80000001) == 1);
	check("interrupts are off", !(flags & 0x20200));
	*low = 1;
	*high = 2;
	check("line A20 is on", *low == 1);
	if (magic == 0x2badb002)
		info1((const u32 *)info);
	else if (magic == 0x36d76289)
		info2((const u8 *)info);
	else
		check("the magic number", 0);
	outb(0xf4, status);
}
