/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep doctor: what this host offers to the user who runs it, and how to get
 * what is missing. Starts no guest. It tries features in child processes, so that
 * nothing of the trial is left behind.
 */
#ifndef PARENT_DOCTOR_H
#define PARENT_DOCTOR_H

/* Run "lguest-sep doctor ..."; @argv[0] is "doctor". Returns the exit status: 0 guests can run, 1 they cannot, 2 usage. */
int doctor_main(int argc, char **argv);

#endif
