#include "linked.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct file {
        ino_t inode;
        uint8_t digest[SHA256_DIGEST_SIZE];
};

static int compare(const void *a, const void *b)
{
        ino_t x = ((const struct file *)a)->inode;
        ino_t y = ((const struct file *)b)->inode;

        return (x > y) - (x < y);
}

const uint8_t *linked_find(const struct linked *linked, ino_t inode)
{
        const struct file wanted = { .inode = inode };
        struct file *const *found = tfind(&wanted, &linked->tree, compare);

        return found == NULL ? NULL : (*found)->digest;
}

int linked_add(struct linked *linked, ino_t inode, const uint8_t digest[static SHA256_DIGEST_SIZE])
{
        struct file *file = calloc(1, sizeof *file);

        if (file == NULL)
                return -ENOMEM;
        file->inode = inode;
        memcpy(file->digest, digest, sizeof file->digest);
        if (tsearch(file, &linked->tree, compare) == NULL)
                return free(file), -ENOMEM;
        return 0;
}

void linked_release(struct linked *linked)
{
        tdestroy(linked->tree, free);
        linked->tree = NULL;
}
