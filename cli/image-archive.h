/* Archives to send: a file as it is; a directory or a pipe as a temporary file without a name; or what the recipe of
 * the default sandbox image makes. Failures are on stderr already; all return an exit status. */
#pragma once

#include <stdint.h>

#include "verb.h"

struct image_archive {
        int fd; /* a regular file, at its beginning; -1: none */
        uint64_t bytes;
        const char *format; /* what it holds, where that is plain to see; else "auto" */
};

/* Where temporary files go: TMPDIR, or /var/tmp. */
const char *scratch_directory(void);
/* A file there without a name. */
int scratch_open(const struct cli *cli, int *ret_fd);

void auto_archive(struct image_archive *archive);

/* path: "-" is stdin. */
int image_archive_open(const struct cli *cli, const char *path, struct image_archive *ret_archive);

struct image_recipe {
        const char *packages; /* files and names as build-debian takes them; NULL: its defaults */
        const char *sources;
        const char *suite;
        const char *reference;
        const char *target; /* where the archive goes */
};

/* Runs build-debian (image/), which shows its progress on stderr. */
int image_archive_build(const struct cli *cli, const struct image_recipe *recipe);
