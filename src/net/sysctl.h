/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysctl.h - kernel settings.
 *
 * waylay changes one only where nothing else will do, and puts it back.
 */
#ifndef WL_NET_SYSCTL_H
#define WL_NET_SYSCTL_H

/* The number in /proc/sys/NAME ("net/ipv4/ip_forward"), or -errno when
 * it is missing or no number.  Settings below zero do not occur among those
 * that waylay reads. */
int sysctl_read(const char *name);
/* 0 or -errno. */
int sysctl_write(const char *name, int value);

#endif
