/* File operations inside a carrel: `carrel-init file OPERATION ARGUMENT...`, which carreld runs as an exec like any
 * other, with the user's rights. A symlink, FIFO or device leads only to files that the user could reach himself.
 *
 * stdout begins with one line: "ok" and the operation's answer, "error ERRNO SENTENCE", or (get) "range SIZE". */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { FILES_DEPTH_MAX = 256, FILES_LINE_BYTES = 512, FILES_BLOCK_BYTES = 64 << 10 };

/* argv begins after "file". Returns the exit status: 0, or 1 with the error line on stdout. */
int files_main(int argc, char **argv);

/* ---- for the operations ---- */

/* Writes all bytes. 0, or -1 with errno. */
int files_write(int fd, const void *bytes, size_t length);
/* Reads length bytes, fewer only at the end. Returns how many, or -1 with errno. */
ssize_t files_read(int fd, void *target, size_t length);
/* Writes the error line; name, unless NULL, is the file that it is about. Returns 1. */
int files_fail(int err, const char *sentence, const char *name);
int files_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Opens a regular file for reading, without waiting for a FIFO's writer or a device. Returns the descriptor, or -1 with
 * errno; EISDIR: a directory, EINVAL: another kind of file. */
int files_open_regular(int directory_fd, const char *path, int flags, struct stat *ret_status);

int files_pack(const char *path);
int files_unpack(const char *path);

/* ---- for carrel(1), on the other end of a copy ---- */

/* Writes the tar stream to stdout, without the answer line. Returns the exit status. */
int files_pack_stream(const char *path);
/* Like files_unpack; limits each mode to the bits of mask, and also opens the directory with flags. */
int files_unpack_masked(const char *path, mode_t mask, int flags);
