/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fsload: measures a vhost-user-fs back-end (fsd, virtiofsd) as its front-end.
 *
 *   fsload --socket=PATH --op=read --path=FILE [--bs=4k] [--size=64M] [--sequential] …
 *   fsload --socket=PATH --op=lookup-new|lookup|getattr --path=DIRECTORY --files=10000 …
 *   … --depth=32 [--ms=1000] [--cpu=N] [--seed=N] [--memory]
 *
 * FILE and DIRECTORY are names in the root of the share. FILE is made by blkload --fill; DIRECTORY has the files f00000,
 * f00001, … lookup-new looks each of them up once; the others run for --ms. --memory: print the memory of the back-end
 * after the load instead. Prints one line of JSON. Runs on its own; never part of what is installed.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/fsload.h"

static uint64_t kib_of(pid_t pid)
{
	char path[64], line[128];
	uint64_t pss = 0, shared = 0, v;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss: %llu", (unsigned long long *)&v) == 1)
			pss = v;
		else if (sscanf(line, "Pss_Shmem: %llu", (unsigned long long *)&v) == 1)
			shared = v;
	}
	if (f)
		fclose(f);
	return pss - shared;
}

uint64_t fs_memory(pid_t pid)
{
	uint64_t sum = kib_of(pid);
	char path[64];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		sum += fs_memory(child);
	if (f)
		fclose(f);
	return sum;
}

static void check(struct fs_load *l)
{
	static const char *const names[] = { "read", "lookup-new", "lookup", "getattr" };
	bool known = false;

	for (unsigned i = 0; l->op_name && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(l->op_name, names[i])) {
			l->op = (enum fs_op)i;
			known = true;
		}
	if (!known || !l->socket || !l->path || !*l->path || strlen(l->path) > 63 || !l->depth ||
	    l->depth > FS_MAX_DEPTH || 1024 / l->depth < 3 + l->bs / FS_BLOCK || !l->bs || l->bs % FS_BLOCK ||
	    l->bs > 128u << 10 || l->bs > l->size || !l->files || l->files > FS_MAX_FILES) {
		fprintf(stderr,
			"fsload: --socket, --op and --path; --bs a multiple of 4k, at most 128k; --depth at most %u (128k: 29); "
			"--files at most %u\n",
			FS_MAX_DEPTH, FS_MAX_FILES);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench_latency latency;
	struct bench_result r = { .latency = &latency };
	struct fs_load l = { .bs = 4096, .depth = 1, .ms = 1000, .size = 64u << 20, .files = 10000, .seed = 1 };
	const struct bench_option options[] = {
		{ "socket", &l.socket, NULL, NULL }, { "op", &l.op_name, NULL, NULL },
		{ "path", &l.path, NULL, NULL },     { "sequential", NULL, NULL, &l.sequential },
		{ "memory", NULL, NULL, &l.memory }, { "bs", NULL, &l.bs, NULL },
		{ "depth", NULL, &l.depth, NULL },   { "ms", NULL, &l.ms, NULL },
		{ "size", NULL, &l.size, NULL },     { "files", NULL, &l.files, NULL },
		{ "cpu", NULL, &l.cpu, NULL },	     { "seed", NULL, &l.seed, NULL },
	};

	l.cpu = UINT64_MAX;
	bench_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	check(&l);
	if (l.cpu != UINT64_MAX)
		bench_pin(l.cpu);
	fs_front(&l, &r);
	if (l.memory)
		printf("{\"kib\": %llu}\n", (unsigned long long)fs_memory_kib);
	else
		bench_print(&r);
	if (r.bad)
		fprintf(stderr, "fsload: %llu requests failed or brought wrong data\n", (unsigned long long)r.bad);
	return r.bad != 0;
}
