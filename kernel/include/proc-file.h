/* Reads small files of procfs and cgroupfs. They report no size, so they are read to their end, within a limit. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The whole file, NUL-terminated and malloc'd. -E2BIG: longer than max_bytes; -ENOMEM; else the errno of open or
 * read (a process that has ended gives -ENOENT or -ESRCH). */
int proc_file_read(const char *path, size_t max_bytes, char **ret_text);
/* The same of a file in an open directory. */
int proc_file_read_at(int directory, const char *path, size_t max_bytes, char **ret_text);
/* /proc/<pid>/<name>. */
int proc_pid_read(pid_t pid, const char *name, size_t max_bytes, char **ret_text);

/* Fields of /proc/<pid>/stat (proc(5)). */
struct process {
        pid_t pid;
        pid_t parent;
        pid_t session;
        uint64_t start_ticks; /* since boot, in clock ticks; with the pid it identifies a process */
        char state;           /* of its first thread: 'R', 'S', 'T' (stopped), 'Z' (zombie), ... */
        int threads;          /* that have not ended; a zombie first thread counts */
};

/* -EBADMSG: not the format of proc(5). */
int process_parse(const char *stat, struct process *ret_process);
/* -ENOENT or -ESRCH: it has ended. */
int process_read(pid_t pid, struct process *ret_process);
