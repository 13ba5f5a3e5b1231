#include "exec-id.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

bool exec_id_is_valid(const char *id)
{
        static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        static const char ALL[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        size_t length = strnlen(id, EXEC_ID_BYTES);

        return length > 0 && length < EXEC_ID_BYTES && strchr(LETTERS, id[0]) != NULL && strspn(id, ALL) == length;
}

static int make_id(char ret_id[static EXEC_ID_BYTES])
{
        unsigned char random[(EXEC_OWN_ID_BYTES - 1) / 2];
        ssize_t length;

        do
                length = getrandom(random, sizeof random, 0);
        while (length < 0 && errno == EINTR);
        if (length != (ssize_t)sizeof random)
                return length < 0 ? -errno : -EIO;
        for (size_t i = 0; i < sizeof random; i++)
                (void)snprintf(ret_id + 2 * i, 3, "%02x", random[i]);
        return 0;
}

int exec_id_choose(const char *wanted, char ret_id[static EXEC_ID_BYTES])
{
        if (wanted == NULL)
                return make_id(ret_id);
        if (!exec_id_is_valid(wanted))
                return -EINVAL;
        memcpy(ret_id, wanted, strlen(wanted) + 1);
        return 0;
}
