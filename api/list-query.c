#include "list-query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

static int read_user_id(char target[USER_ID_MAX + 1], const char *value, struct fault *why)
{
        size_t length = strlen(value);
        int r = user_id_check(value, length, why);

        if (r == 0)
                memcpy(target, value, length + 1);
        return r;
}

/* The name of a warm carrel begins with a dot. */
static int read_after(void *target, const char *value, const char *name, struct fault *why)
{
        struct list_query *query = target;
        bool is_warm = value[0] == '.';

        (void)name;
        if (!is_warm)
                return read_user_id(query->after, value, why);
        if (user_id_check(value + 1, strlen(value + 1), why) < 0 ||
            str_copy(query->after, sizeof query->after, value) < 0)
                return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "after is no user id, and no warm carrel's name");
        return 0;
}

static int read_all(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct list_query *)target)->has_all, why);
}

static int read_usage(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct list_query *)target)->has_usage, why);
}

static int read_user(void *target, const char *value, const char *name, struct fault *why)
{
        (void)name;
        return read_user_id(((struct list_query *)target)->user, value, why);
}

static int read_limit(void *target, const char *value, const char *name, struct fault *why)
{
        struct list_query *query = target;
        uint64_t limit;

        if (str_parse_u64(value, 1, LIST_LIMIT_MAX, &limit) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "%s is a whole number from 1 to %d", name,
                                 LIST_LIMIT_MAX);
        query->limit = (size_t)limit;
        return 0;
}

/* Finds value among name_of(0) to name_of(n - 1). */
static int read_choice(const char *value, const char *name, const char *(*name_of)(int index), int n, int *ret_index,
                       struct fault *why)
{
        char expected[96] = "";
        size_t length = 0;

        for (int i = 0; i < n; i++) {
                if (str_equal(value, name_of(i))) {
                        *ret_index = i;
                        return 0;
                }
                (void)snprintf(expected + length, sizeof expected - length, "%s%s", i == 0 ? "" : ", ", name_of(i));
                length = strlen(expected);
        }
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s is one of %s", name, expected);
}

static const char *carrel_state(int state)
{
        return carrel_state_name((enum carrel_state)state);
}

static int read_state(void *target, const char *value, const char *name, struct fault *why)
{
        return read_choice(value, name, carrel_state, CARREL_STATES, &((struct list_query *)target)->state, why);
}

static const char *exec_state(int state)
{
        return state == JOB_STATES ? "all" : job_state_name((enum job_state)state);
}

static int read_exec_state(void *target, const char *value, const char *name, struct fault *why)
{
        return read_choice(value, name, exec_state, JOB_STATES + 1, &((struct list_query *)target)->exec_state, why);
}

static int read_seq(void *target, const char *value, const char *name, struct fault *why)
{
        struct list_query *query = target;

        if (str_parse_u64(value, 0, UINT64_MAX - 1, &query->after_seq) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "%s is the seq of an event", name);
        query->has_seq = true;
        return 0;
}

static int read_follow(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct list_query *)target)->is_following, why);
}

static int read_text(char *target, size_t size, const char *value, const char *name, struct fault *why)
{
        if (value[0] == '\0' || str_copy(target, size, value) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s is empty or too long", name);
        return 0;
}

static int read_reference(void *target, const char *value, const char *name, struct fault *why)
{
        struct list_query *query = target;

        return read_text(query->reference, sizeof query->reference, value, name, why);
}

static int read_format(void *target, const char *value, const char *name, struct fault *why)
{
        struct list_query *query = target;

        return read_text(query->format, sizeof query->format, value, name, why);
}

const struct query_parameter CARREL_LIST_QUERY[] = {
        { "after", read_after, false }, { "all", read_all, false },     { "limit", read_limit, false },
        { "state", read_state, false }, { "usage", read_usage, false }, { 0 },
};
const struct query_parameter USAGE_LIST_QUERY[] = {
        { "after", read_after, false },
        { "limit", read_limit, false },
        { 0 },
};
const struct query_parameter EXEC_LIST_QUERY[] = { { "state", read_exec_state, false },
                                                   { "user", read_user, false },
                                                   { 0 } };
const struct query_parameter EXEC_OUTPUT_QUERY[] = { { "after", read_seq, false },
                                                     { "follow", read_follow, false },
                                                     { 0 } };
const struct query_parameter IMAGE_LOAD_QUERY[] = { { "format", read_format, false },
                                                    { "reference", read_reference, false },
                                                    { 0 } };

int list_query_parse(char *text, const struct query_parameter *table, struct list_query *ret_query, struct fault *why)
{
        struct list_query query = {
                .state = -1, .exec_state = JOB_RUNNING, .limit = LIST_LIMIT_DEFAULT, .format = "auto"
        };
        int r = query_parse(text, table, &query, why);

        if (r == 0)
                *ret_query = query;
        return r;
}
