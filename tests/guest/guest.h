/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Library of the freestanding guest: ports, serial output, interrupts, PCI, one virtio queue. */
#ifndef TESTS_GUEST_GUEST_H
#define TESTS_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void outb(uint16_t p, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outw(uint16_t p, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outl(uint16_t p, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(p));
}
static inline uint8_t inb(uint16_t p)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p));
	return v;
}
static inline uint16_t inw(uint16_t p)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(p));
	return v;
}
static inline uint32_t inl(uint16_t p)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p));
	return v;
}
#define MMIO(type, addr) (*(volatile type *)(uintptr_t)(addr))
static inline void barrier(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

/* machine.c */
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
void say(const char *s);
void say_num(const char *s, uint64_t v);
void power_off(void) __attribute__((noreturn));
void fail(const char *why) __attribute__((noreturn)); /* says so and powers off */
void interrupts_init(void);
extern volatile uint32_t irqs[96];
/* Wait until irqs[@vector] is at least @n. Returns false after a time limit. */
bool wait_irq(unsigned vector, uint32_t n);
/* Read or write an MSR. Returns false if that causes a fault. */
bool rdmsr(uint32_t msr, uint64_t *v);
bool wrmsr(uint32_t msr, uint64_t v);
void ioapic_route(unsigned pin, unsigned vector, bool level);
#define LAPIC 0xfee00000u

/* pci.c */
uint32_t pci_read(unsigned slot, unsigned reg);
void pci_write(unsigned slot, unsigned reg, uint32_t v);
unsigned pci_find(uint32_t id); /* slot of vendor | device << 16, or 0 */

/* virtio.c */
struct vdev {
	unsigned slot;
	uintptr_t common, notify, isr, config, msix;
	uint32_t multiplier;
	unsigned msix_cap;
};
#define QSIZE 16
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
struct vqueue {
	struct vdev *d;
	unsigned index;
	uint16_t seen;
	struct desc desc[QSIZE] __attribute__((aligned(4096)));
	struct {
		uint16_t flags, idx, ring[QSIZE], event;
	} avail __attribute__((aligned(64)));
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[QSIZE];
		uint16_t event;
	} used __attribute__((aligned(4096))); /* Only the device writes to this page. */
};
bool vdev_find(struct vdev *d, uint32_t id);
/* Reset, negotiate VERSION_1 and @features, up to FEATURES_OK. */
bool vdev_begin(struct vdev *d, uint64_t features);
/* Queue @index with its interrupt at @vector (0: the line); then vdev_ready(). */
void vdev_queue(struct vdev *d, struct vqueue *q, unsigned index, unsigned vector);
void vdev_ready(struct vdev *d);
void vdev_reset(struct vdev *d);
uint8_t vdev_status(struct vdev *d);
void vq_offer(struct vqueue *q, uint16_t head);
void vq_kick(struct vqueue *q);
/* Poll until the next used entry is there. */
bool vq_wait(struct vqueue *q, uint32_t *len);

/* The tests: what "t=NAME" on the command line chooses. */
void test_block(bool line);
void test_load(void);
void test_again(void);
void test_rings(void);
void test_sweep(void);
void test_console(void);
void test_flood(void);
void test_prompt(void);
void test_serial_in(void);
void test_ring_in(void);
void test_ring_late(void);
void test_ports(void);
void test_msrs(void);
void test_bars(void);
void test_high(void);
void test_window(void);
void test_size(void);
void test_rng(void);
void test_typed(void);
void test_steer(void);
void test_run(void);
enum rounds_test { ROUNDS_GOOD, ROUNDS_SEVEN, ROUNDS_HALF, ROUNDS_EARLIER, ROUNDS_DEAF, ROUNDS_RESET, ROUNDS_SPIN };
void test_rounds(enum rounds_test how);
enum share_test { SHARE_READ, SHARE_KILLED, SHARE_WRITE };
void test_share(enum share_test test);
/* checkpoint.c: fail if one of the @n values of @size bytes at @a, each a @what, is another one at @b */
void expect_same(const char *what, const void *a, const void *b, unsigned size, unsigned n);
/* checkpoint_cpu.c: look at the processor's registers, fail if one is another one now, and write all of them */
void cpu_look_first(void);
void cpu_look_again(void);
void cpu_write(uint64_t nonce);
void test_checkpoint(bool look_at);
void test_checkpoint_rings(void);
void test_checkpoint_host(void);
void test_checkpoint_timer(void);
void test_checkpoint_id(void);
void test_checkpoint_disk(bool ro, bool restarts);
void test_dirty_disk(unsigned pages, bool net);
void test_migrate(void);
void test_checkpoint_net(bool pairs, bool late);
void test_checkpoint_port(void);
void test_checkpoint_paging(void);
void test_shmem(void);
void test_shmem_ro(void);
void test_shmem_reset(void);
void test_shmem_cut(void);
void test_shmem_fuzz(void);
void test_checkpoint_share(void);
void test_checkpoint_reader(void);
/* checkpoint_net.c: set up the NIC; send a request to the host and wait for the answer */
void net_begin(void);
void net_use(void);
void test_dirty(unsigned pages);
void test_reset_two(void);
void test_reset_first(void);
void test_checkpoint_reboot(void);
void test_checkpoint_full(void);

#endif
