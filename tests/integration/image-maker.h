/* Archives of a test's own, and carrel-image run on them: for the tests of images. The world is a scratch directory
 * with an image store in it that holds one image, "enforcer", of plain.tar. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "content.h"
#include "image-reference.h"

enum { PATH_BYTES = 256, ANSWER_BYTES = 4096, ITEMS_MAX = 8 };

struct item {
        const char *name;
        char type;          /* f(ile) d(irectory) l(ink) h(ard link) c b p s(ocket); 0 ends the list */
        const char *target; /* of a link; of a file its content */
        mode_t mode;        /* 0: 0755 */
};

/* A file of the scratch directory under another name in an archive. */
struct member {
        const char *file;
        char name[PATH_BYTES];
};

/* Three trees: the first is enforcer's. Each ends with an item without a type. */
extern const struct item PLAIN[], LOWER[], UPPER[];

extern char store[PATH_BYTES];       /* its path */
extern char scratch[PATH_BYTES / 4]; /* its path */
/* The limits that the program is given as arguments, and its RLIMIT_NOFILE (0: that of the test). */
extern const char *max_bytes, *max_entries;
extern rlim_t n_open_max;

/* Group fixtures. */
int set_up(void **state);
int tear_down(void **state);

/* Of a file in the scratch directory; valid until the next call. */
const char *path_of(const char *name);
void write_text(const char *name, const char *text);
/* malloc'd, NUL-terminated; ret_length may be NULL. */
char *read_all(const char *path, size_t *ret_length);
/* filter: "gzip", ...; NULL: none. */
void write_archive(const char *name, const char *filter, const struct item *items);
void pack(const char *name, const struct member *members, size_t count);
void hash_of(const char *name, char text[static SHA256_TEXT_BYTES]);

/* Runs carrel-image to its end and returns its status; its JSON is in answer. input NULL: nothing. */
int run_image(const char *const *arguments, const char *input, char answer[static ANSWER_BYTES]);
int import(const char *archive, const char *format, const char *reference, char answer[static ANSWER_BYTES]);
void must_import(const char *archive, const char *format, const char *reference, char id[static IMAGE_ID_BYTES]);
/* Everything in the store, as find(1) prints it; malloc'd. */
char *list_store(void);
/* Whether the image's tree has this path. If so, *ret_about is its stat(2). */
bool stored_has(const char *id, const char *path, struct stat *ret_about);
/* The import is refused (image_refused) with this part of a sentence, and the store is as it was. */
void assert_refused(const char *title, const char *archive, const char *format, const char *part);
