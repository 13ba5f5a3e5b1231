/* The places inside every carrel, and the settings of its network namespace, once for all programs: carreld gives them
 * to the engines and verifies them, carrel-netd sets them, carrel-image makes the mount points, and carrel-init and
 * carrel use them. Each is a string literal and can be a part of another; &INSIDE_TMP[1] is relative to the root. */
#pragma once

/* The directory of carrel's own mounts. */
#define INSIDE_CARREL "/.carrel"
/* carrel-init, mounted read-only: process 1, and the program of file operations (files.h). */
#define INSIDE_INIT INSIDE_CARREL "/init"
/* The directory of the agent's socket and of the carrel's name files, mounted read-only. */
#define INSIDE_AGENT INSIDE_CARREL "/home"
/* The name of the agent's socket in that directory. */
#define INSIDE_SOCKET "agent.sock"
/* The user's directory, which is also HOME and the working directory. */
#define INSIDE_WORKSPACE "/workspace"
/* The carrel's own tmpfs, which counts as its memory. */
#define INSIDE_TMP "/tmp"
/* POSIX shared memory (shm_overview(7)), a tmpfs too. */
#define INSIDE_SHM "/dev/shm"
/* Its control groups, read-only. */
#define INSIDE_CGROUPS "/sys/fs/cgroup"
/* Its own instance of devpts (pts(4)). */
#define INSIDE_TERMINALS "/dev/pts"

/* The carrel's end of its veth: the only interface except lo. */
#define INSIDE_INTERFACE "eth0"
/* net.ipv4.ip_unprivileged_port_start: every program may use ports below 1024 (ip(7)). */
#define INSIDE_PORT_START "0"
/* net.ipv4.ping_group_range: every group may use ping sockets (icmp(7)), up to the kernel's GID_T_MAX. */
#define INSIDE_PING_GROUPS "0 2147483647"
/* net.ipv6.conf.*.disable_ipv6: there is no IPv6. */
#define INSIDE_DISABLE_IPV6 "1"
