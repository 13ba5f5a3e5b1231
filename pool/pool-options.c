#include "pool-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "host-mounts.h"
#include "profiles.h"
#include "template.h"
#include "user-id.h"
#include "warm-targets.h"

enum { N_TEXTS = 12 };

static void list_texts(struct pool_options *options, const char **ret_texts[static N_TEXTS])
{
        const char **texts[N_TEXTS] = { &options->pool,        &options->prefix,        &options->users_dir,
                                        &options->runtime_dir, &options->init_path,     &options->dns,
                                        &options->runtime,     &options->cgroup_parent, &options->dns_setting,
                                        &options->mounts,      &options->warm,          &options->profile };

        memcpy(ret_texts, texts, sizeof texts);
}

static void free_sets(const struct pool_mount_set *sets, size_t n_sets)
{
        for (size_t i = 0; sets != NULL && i < n_sets; i++) {
                free((char *)sets[i].name);
                free((char *)sets[i].mounts);
        }
        free((void *)sets);
}

/* NULL: out of memory. */
static struct pool_mount_set *copy_sets(const struct pool_mount_set *sets, size_t n_sets)
{
        struct pool_mount_set *copy = calloc(n_sets + 1, sizeof *copy);
        bool has_all = copy != NULL;

        for (size_t i = 0; copy != NULL && i < n_sets; i++) {
                copy[i] = (struct pool_mount_set){ strdup(sets[i].name), strdup(sets[i].mounts) };
                has_all = has_all && copy[i].name != NULL && copy[i].mounts != NULL;
        }
        if (has_all)
                return copy;
        free_sets(copy, n_sets);
        return NULL;
}

void options_release(struct pool_options *options)
{
        const char **texts[N_TEXTS];

        list_texts(options, texts);
        for (size_t i = 0; i < N_TEXTS; i++)
                free((char *)*texts[i]);
        profiles_release(options);
        free_sets(options->mount_sets, options->n_mount_sets);
        *options = (struct pool_options){ 0 };
}

int options_copy(struct pool_options *ret_options, const struct pool_options *options)
{
        struct pool_options copy = *options;
        const char **texts[N_TEXTS];
        bool has_all = true;

        list_texts(&copy, texts);
        for (size_t i = 0; i < N_TEXTS; i++) {
                *texts[i] = strdup(*texts[i] != NULL ? *texts[i] : "");
                has_all = has_all && *texts[i] != NULL;
        }
        has_all = profiles_copy(&copy) == 0 && has_all;
        copy.mount_sets = copy_sets(options->mount_sets, options->n_mount_sets);
        has_all = has_all && copy.mount_sets != NULL;
        *ret_options = copy;
        if (has_all)
                return 0;
        options_release(ret_options);
        return -ENOMEM;
}

static int wrong(struct fault *why, const char *sentence)
{
        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "%s", sentence);
}

static int check_names(const struct pool_options *options, struct fault *why)
{
        if (!user_id_is_valid(options->pool))
                return wrong(why, "pool: letters, digits, '.', '_' and '-', at most 64 of them");
        if (!user_id_is_valid(options->prefix) || strlen(options->prefix) + USER_ID_MAX >= ENGINE_NAME_BYTES)
                return wrong(why, "prefix: letters, digits, '.', '_' and '-', at most 63 of them");
        if (options->users_dir[0] != '/' || options->runtime_dir[0] != '/' || options->init_path[0] != '/')
                return wrong(why, "users_dir, runtime_dir and the path of carrel-init must be absolute");
        return 0;
}

int options_check(const struct pool_options *options, struct fault *why)
{
        const struct carrel_spec *spec = &options->defaults;
        struct warm_targets targets;
        int r = check_names(options, why);

        if (r < 0)
                return r;
        if (options->owner.uid == 0 || options->owner.gid == 0)
                return wrong(why, "uid and gid of a carrel must not be 0");
        if (spec->image[0] == '\0' || spec->policy == POLICY_UNSET || spec->memory_bytes == 0 ||
            spec->cpu_millis == 0 || spec->pids == 0)
                return wrong(why, "the pool's default spec leaves a field open");
        if (options->tmp_bytes == 0 || options->shm_bytes == 0 || options->nofile == 0)
                return wrong(why, "tmp_size, shm_size and nofile must be above 0");
        if (options->max_carrels == 0 || options->max_concurrent_starts == 0 || !(options->ensure_timeout_s > 0))
                return wrong(why, "max_carrels, max_concurrent_starts and ensure_timeout_s must be above 0");
        r = profiles_check(options, why);
        if (r == 0)
                r = host_mounts_check(options, why);
        if (r < 0)
                return r;
        r = warm_targets_of(options, &targets, why);
        return r < 0 ? r : template_check_dns(options->dns, why);
}

int pool_check(const struct pool_options *options, struct fault *why)
{
        return options_check(options, why);
}
