/* File operations inside a carrel: `carrel-init file OPERATION ARGUMENT...`, run by carreld as an exec like any other,
 * with the user's own rights. Whatever a symlink, FIFO or device of the user leads to is what he could reach himself.
 *
 * stdout begins with one line: "ok" and the result of the operation, "error ERRNO SENTENCE", or (get) "range SIZE". */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { FILES_DEPTH_MAX = 256, FILES_LINE_BYTES = 512, FILES_BLOCK_BYTES = 64 << 10 };

/* argv after "file". Returns the exit status: 0, or 1 with the error's line on stdout. */
int files_main(int argc, char **argv);

/* ---- for the operations ---- */

/* All of it, or -1. */
int files_write(int fd, const void *bytes, size_t length);
/* As much as comes, up to length; less only at the end. -1: errno. */
ssize_t files_read(int fd, void *target, size_t length);
/* The error's line; `name`, unless NULL, is what it is about. Returns 1. */
int files_fail(int err, const char *sentence, const char *name);
int files_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A regular file for reading, never waiting for a FIFO's writer or a device. The descriptor, or -1 with errno; EINVAL:
 * it is something else, EISDIR: a directory. */
int files_open_regular(int directory_fd, const char *path, int flags, struct stat *ret_status);

int files_pack(const char *path);
int files_unpack(const char *path);

/* ---- for carrel(1), which has the other end ---- */

/* The tar stream alone, to stdout. Returns the exit status. */
int files_pack_stream(const char *path);
/* files_unpack with these bits of each mode at most, and the directory opened with these flags, too. */
int files_unpack_masked(const char *path, mode_t mask, int flags);
