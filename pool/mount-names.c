/* The names of mount sets, in requests and labels. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-mounts.h"
#include "scope.h"
#include "str.h"

/* The grammar of settings_check_name. */
static bool is_name(const char *name, size_t length)
{
        static const char GOOD[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

        return length > 0 && strspn(name, GOOD) >= length && strchr("._-", name[0]) == NULL;
}

bool host_mounts_are_names(const char *text)
{
        for (const char *at = text;; at++) {
                size_t length = strcspn(at, ",");

                if (!is_name(at, length))
                        return false;
                at += length;
                if (*at == '\0')
                        return true;
        }
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int append_name(char mounts[static POOL_MOUNTS_BYTES], const char *name, struct fault *why)
{
        size_t length = strlen(mounts);

        if (!is_name(name, strlen(name)))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "mounts: a name has letters, digits, '.', '_' and '-'");
        if (length > 0)
                mounts[length++] = ',';
        if (length < POOL_MOUNTS_BYTES && str_copy(mounts + length, POOL_MOUNTS_BYTES - length, name) == 0)
                return 0;
        return fault_set(why, FAULT_REQUEST_INVALID, E2BIG, "mounts: the names together have more than %d bytes",
                         POOL_MOUNTS_BYTES - 1);
}

int pool_mounts_join(const char *const *names, size_t n_names, char ret_mounts[static POOL_MOUNTS_BYTES],
                     struct fault *why)
{
        AUTO(auto_free) const char **sorted = calloc(n_names + 1, sizeof *sorted);
        char mounts[POOL_MOUNTS_BYTES] = "";
        int r = 0;

        if (sorted == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        for (size_t i = 0; i < n_names; i++)
                sorted[i] = names[i];
        qsort(sorted, n_names, sizeof *sorted, compare_names);
        for (size_t i = 0; r == 0 && i < n_names; i++)
                if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0)
                        r = append_name(mounts, sorted[i], why);
        if (r == 0)
                memcpy(ret_mounts, n_names > 0 ? mounts : POOL_MOUNTS_NONE "\0", n_names > 0 ? sizeof mounts : 2);
        return r;
}
