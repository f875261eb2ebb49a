/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --config: words of the command line from a file. */
#ifndef PARENT_OPTIONS_CONF_H
#define PARENT_OPTIONS_CONF_H

/*
 * Make a command line of @program, the words of the file @path, and the @n words @rest. Each line of the file is one
 * word, without the blanks around it; empty lines and lines that begin with # are left out. No shell is involved, and no
 * character is special otherwise. Writes the number of words to *@argc and returns the words, which stay valid until the
 * next call; or NULL with the reason in *@why.
 */
char **conf_words(const char *path, char *program, int n, char **rest, int *argc, const char **why);

#endif
