/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: the virtual machine has all of its memory, also that of --shmem, before it has interrupt controllers. With
 * them first, Linux 6.18 and later delays each start by one or two timer ticks.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/closefds.h"
#include "vcpu/kvm/kvm.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/vm.h"

#define MEMORY 0x100000u

static struct kvm k;
static struct vm vm;
static struct vcpu_config config = { .shmem_bytes = 4096 };
static unsigned regions, controllers, processors;

/* The double of /dev/kvm; it has no processors, so that kvm_make() ends there. */
int ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CREATE_VM:
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	case KVM_GET_VCPU_MMAP_SIZE:
		return sizeof(struct kvm_run);
	case KVM_CREATE_VCPU:
		processors++;
		errno = EMFILE;
		return -1;
	case KVM_SET_USER_MEMORY_REGION:
		assert_int_equal(controllers, 0);
		regions++;
		return 0;
	case KVM_CREATE_IRQCHIP:
	case KVM_CREATE_PIT2:
		controllers++;
		return 0;
	default:
		return 1;
	}
}

static void *map(int fd)
{
	void *at = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void memory_comes_first(void **state)
{
	struct rlimit files = { VFD_LIMIT, VFD_LIMIT };
	int fd = memfd_create("memory", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(ftruncate(fd, MEMORY), 0);
	for (unsigned i = 0; i < 2; i++) {
		void *at = map(fd);

		vm.mem.r[i] = (struct shm_region){
			.gpa = (uint64_t)i << 32, .size = MEMORY, .hva = at, .map = at, .map_len = MEMORY
		};
	}
	vm.mem.nregions = 2;
	vm.c = &config;
	k.vm = &vm;
	k.ncpus = 1;
	assert_int_equal(place_fd(fd, VFD_SHMEM), 0);
	assert_int_equal(kvm_make(&k), -1);
	assert_int_equal(processors, 1);
	assert_int_equal(regions, 3);
	assert_int_equal(controllers, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
