/* Small files of procfs and cgroupfs: they have no size of their own, so they are read to their end, within a bound. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The whole file, NUL-terminated and malloc'd. -E2BIG: longer than max_bytes; -ENOMEM; else the errno of open or
 * read (a process that has ended gives -ENOENT or -ESRCH). */
int proc_file_read(const char *path, size_t max_bytes, char **ret_text);
/* /proc/<pid>/<name>. */
int proc_pid_read(pid_t pid, const char *name, size_t max_bytes, char **ret_text);

/* The fields of /proc/<pid>/stat of one process (proc(5)). */
struct process {
        pid_t pid;
        pid_t parent;
        pid_t session;
        uint64_t start_ticks; /* since boot, in clock ticks; with the pid it names a process for good */
        char state;           /* of its first thread: 'R', 'S', 'T' (stopped), 'Z' (zombie), ... */
        int threads;          /* that have not ended, a zombie first one among them */
};

/* -EBADMSG: not the format of proc(5). */
int process_parse(const char *stat, struct process *ret_process);
/* -ENOENT or -ESRCH: it has ended. */
int process_read(pid_t pid, struct process *ret_process);
