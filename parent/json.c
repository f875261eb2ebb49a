/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON strings, for the commands that print JSON (audit, doctor). Uses stdio; runs in
 * these commands only.
 */
#include "parent/json.h"

void json_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch == '"' || ch == '\\')
			fprintf(f, "\\%c", ch);
		else if (ch < 0x20 || ch >= 0x7f)
			fprintf(f, "\\u%04x", ch);
		else
			fputc(ch, f);
	}
	fputc('"', f);
}

void json_member(const char *key, const char *value, const char *end)
{
	printf("\"%s\": ", key);
	json_string(stdout, value);
	fputs(end, stdout);
}
