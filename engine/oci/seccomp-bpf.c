/* Compiles the profile's JSON, not the tables of seccomp.c, so that crun gets the same filter as runc and Docker. */
#include "seccomp-bpf.h"

#include <cJSON.h>
#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "json-scope.h"
#include "seccomp-profile.h"

enum { ARGS_MAX = 6, FILTER_MAX = 1024 * 1024 };

static void buffer_release(struct buffer *buffer)
{
        buffer_free(buffer);
}

static void filter_release(scmp_filter_ctx *filter)
{
        if (*filter != NULL)
                seccomp_release(*filter);
}

static uint64_t number_of(const cJSON *object, const char *key)
{
        return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_text(const cJSON *object, const char *key, const char *wanted)
{
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

        return text != NULL && strcmp(text, wanted) == 0;
}

static int read_comparisons(const cJSON *args, struct scmp_arg_cmp ret_comparisons[static ARGS_MAX],
                            unsigned *ret_count)
{
        const cJSON *arg;
        unsigned n = 0;

        cJSON_ArrayForEach(arg, args)
        {
                bool is_masked = is_text(arg, "op", "SCMP_CMP_MASKED_EQ");

                if (n == ARGS_MAX || (!is_masked && !is_text(arg, "op", "SCMP_CMP_EQ")))
                        return -EBADMSG;
                ret_comparisons[n++] = (struct scmp_arg_cmp){
                        .arg = (unsigned)number_of(arg, "index"),
                        .op = is_masked ? SCMP_CMP_MASKED_EQ : SCMP_CMP_EQ,
                        .datum_a = number_of(arg, "value"),
                        .datum_b = number_of(arg, "valueTwo"),
                };
        }
        *ret_count = n;
        return 0;
}

/* libseccomp refuses a rule whose answer is the default. */
static int add_entry(scmp_filter_ctx filter, const cJSON *entry, uint32_t default_action)
{
        uint32_t action = is_text(entry, "action", "SCMP_ACT_ALLOW")
                                  ? SCMP_ACT_ALLOW
                                  : SCMP_ACT_ERRNO((uint32_t)number_of(entry, "errnoRet"));
        struct scmp_arg_cmp comparisons[ARGS_MAX];
        const cJSON *name;
        unsigned n;
        int r = read_comparisons(cJSON_GetObjectItemCaseSensitive(entry, "args"), comparisons, &n);

        cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(entry, "names"))
        {
                int number = cJSON_IsString(name) ? seccomp_syscall_resolve_name(name->valuestring) : __NR_SCMP_ERROR;

                if (r == 0 && number != __NR_SCMP_ERROR && action != default_action)
                        r = seccomp_rule_add_array(filter, action, number, n, comparisons);
        }
        return r;
}

static int add_entries(scmp_filter_ctx filter, const cJSON *profile, uint32_t default_action)
{
        const cJSON *entry;
        int r = 0;

        cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(profile, "syscalls")) if (r == 0) r =
                add_entry(filter, entry, default_action);
        return r;
}

/* libseccomp 2.5 can write only to a descriptor. */
static int export(scmp_filter_ctx filter, struct buffer *ret_bpf)
{
        AUTO(auto_close) int fd = memfd_create("seccomp", MFD_CLOEXEC);
        AUTO(auto_free) char *bytes = NULL;
        off_t length;
        int r = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);

        if (r < 0)
                return r;
        length = lseek(fd, 0, SEEK_END);
        if (length <= 0 || length > FILTER_MAX)
                return -EBADMSG;
        bytes = malloc((size_t)length);
        if (bytes == NULL)
                return -ENOMEM;
        if (pread(fd, bytes, (size_t)length, 0) != length)
                return -EIO;
        return buffer_append(ret_bpf, bytes, (size_t)length);
}

int seccomp_profile_bpf(struct buffer *ret_bpf)
{
        AUTO(buffer_release) struct buffer text = { 0 };
        AUTO(auto_json) cJSON *profile = NULL;
        AUTO(filter_release) scmp_filter_ctx filter = NULL;
        uint32_t default_action;
        int r = seccomp_profile_json(&text);

        if (r < 0)
                return r;
        profile = cJSON_ParseWithLength(text.data, text.length);
        if (profile == NULL || !is_text(profile, "defaultAction", "SCMP_ACT_ERRNO"))
                return -EBADMSG;
        default_action = SCMP_ACT_ERRNO((uint32_t)number_of(profile, "defaultErrnoRet"));
        filter = seccomp_init(default_action);
        if (filter == NULL)
                return -ENOMEM;
        /* A tree, not a list, because the kernel runs the filter at every system call. The filter already has the
         * native architecture. */
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r == 0)
                r = add_entries(filter, profile, default_action);
        return r == 0 ? export(filter, ret_bpf) : r;
}
