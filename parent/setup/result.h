/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of --result: one JSON object, docs/result.schema.json. */
#ifndef PARENT_SETUP_RESULT_H
#define PARENT_SETUP_RESULT_H

#include "common/utc.h"
#include "parent/options/config.h"

/* Text of one result under construction; fixed memory. */
struct json {
	char *buf;
	size_t size, len;
	bool more; /* a comma comes before the next member or element */
};

/* Members and elements of the innermost object or list; @key NULL: an element. Strings may have any bytes. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *value); /* @value NULL: null */
void json_number(struct json *j, const char *key, uint64_t value);
void json_null(struct json *j, const char *key);

/*
 * Opens config.result into config.result_fd and writes that the guest has not ended. Does nothing without --result.
 * Returns 0, or -1 after logging the reason.
 */
int result_open(struct config *c);
/* Begins @j, in @buf of @size bytes, with the members that every result has. @end: the value of "end". */
void result_begin(struct json *j, char *buf, size_t size, const struct config *c, const char *end);
/* Adds the last bracket to @j and replaces the contents of @fd with it. Returns 0, or -1 with errno set. */
int result_replace(int fd, struct json *j);
/* Reports that the guest could not be started: @status is the exit status, the last error message is the reason. */
void result_host_failed(const struct config *c, int status);

#endif
