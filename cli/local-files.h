/* Files on our side of a copy: packed and unpacked in a process of their own, by the code that does it in a carrel. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* An unlinked file for what cannot be sent as it comes. The descriptor, or a negative errno. */
int local_nameless(void);
/* A directory's content as a tar archive in such a file, at its beginning. The descriptor, or a negative errno. */
int local_pack(const char *directory);

/* The input of fd, to its end, as a regular file at its beginning; fd itself if it is one. Returns a descriptor other
 * than 0, or a negative errno. */
int local_take_input(int fd);

/* An archive that comes in pieces, from a carrel: nothing of it leaves the directory, and setuid, setgid and
 * sticky are dropped. */
struct local_unpack {
        pid_t pid;
        int input_fd, answer_fd; /* of pipes */
};

/* directory is made if it is missing; a symlink in its last place is not followed. 0 or a negative errno. */
int local_unpack_begin(struct local_unpack *unpack, const char *directory);
/* 0 or a negative errno (-EPIPE: it has given up; local_unpack_end says why). */
int local_unpack_write(struct local_unpack *unpack, const void *bytes, size_t length);
/* Waits for its end. 0, or a negative errno with the sentence in ret_problem. */
int local_unpack_end(struct local_unpack *unpack, char *ret_problem, size_t size);

/* Moves a regular file out of a directory. -EPROTO: it is not an archive; or another errno. */
int local_take_file(const char *directory, const char *name, const char *target);
/* The same for a directory, which replaces nothing but an empty one. */
int local_take_directory(const char *directory, const char *name, const char *target);
/* With all that is in it; no symlink is followed. 0 or a negative errno. */
int local_remove(const char *directory);

/* Whether it is a directory; false too if it does not exist. */
int local_is_directory(const char *path);
