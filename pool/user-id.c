#include "user-id.h"

#include <errno.h>
#include <string.h>

static bool is_letter_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_allowed(char c)
{
        return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
}

/* The message never quotes the id, which may contain anything. */
int user_id_check(const char *id, size_t length, struct fault *why)
{
        if (length == 0)
                return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "the user id is empty");
        if (length > USER_ID_MAX)
                return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "the user id has %zu characters, at most %d fit",
                                 length, USER_ID_MAX);
        if (length > strlen(WARM_USER_PREFIX) && memcmp(id, WARM_USER_PREFIX, strlen(WARM_USER_PREFIX)) == 0)
                return fault_set(why, FAULT_USER_ID_INVALID, EINVAL,
                                 "this is the name of a warm carrel, which has no user yet: it is only listed");
        if (!is_letter_or_digit(id[0]))
                return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "a user id begins with a letter or a digit");
        for (size_t i = 1; i < length; i++)
                if (!is_allowed(id[i]))
                        return fault_set(why, FAULT_USER_ID_INVALID, EINVAL,
                                         "character %zu of the user id is not a letter, digit, '.', '_' or '-'", i + 1);
        return 0;
}

bool user_id_is_valid(const char *id)
{
        return id != NULL && user_id_check(id, strnlen(id, USER_ID_MAX + 1), NULL) == 0;
}
