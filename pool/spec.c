#include "spec.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-mounts.h"
#include "scope.h"
#include "settings.h"
#include "str.h"

/* Docker's least memory is 6 MiB ("Minimum memory limit allowed is 6MB", Engine API), its least CPU quota 1 ms of
 * each 100 ms period (sched-bwc in the kernel's documentation). */
#define MEMORY_LEAST_BYTES 6291456u
#define CPU_LEAST_MILLIS 10u
#define PIDS_LEAST 8u

#define LABEL_BYTES_MAX 1024u
#define EXACT_MAX 9007199254740992.0 /* 2^53: above it a JSON number is no longer exact */

static const char *const POLICY_NAMES[] = {
        [POLICY_UNSET] = "", [POLICY_INTERNET] = "internet", [POLICY_NONE] = "none"
};

const char *carrel_policy_name(enum carrel_policy policy)
{
        return policy <= POLICY_NONE ? POLICY_NAMES[policy] : "";
}

static bool is_image_reference(const char *image)
{
        size_t length = strnlen(image, POOL_IMAGE_BYTES);

        return length < POOL_IMAGE_BYTES &&
               strspn(image, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@") == length;
}

static int resolve_limit(const char *what, uint64_t asked, uint64_t base, uint64_t least, uint64_t ceiling,
                         const struct pool_profile *profile, uint64_t *ret_value, struct fault *why)
{
        char bounds[POOL_PROFILE_BYTES + 16];
        char sizes[3][STR_SIZE_BYTES];

        if (asked == 0 || (asked >= least && asked <= ceiling)) {
                *ret_value = asked != 0 ? asked : base < ceiling ? base : ceiling;
                return 0;
        }
        (void)snprintf(bounds, sizeof bounds, "%s%s", profile != NULL ? "the profile " : "this pool",
                       profile != NULL ? profile->name : "");
        if (str_equal(what, "memory"))
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "memory is %s, %s allows %s to %s",
                                 str_size(asked, sizes[0]), bounds, str_size(least, sizes[1]),
                                 str_size(ceiling, sizes[2]));
        return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "%s is %" PRIu64 ", %s allows %" PRIu64 " to %" PRIu64,
                         what, asked, bounds, least, ceiling);
}

/* POOL_MOUNTS_NONE is a word of requests only. */
static const char *mounts_of(const struct carrel_spec *asked)
{
        static const char NONE[POOL_MOUNTS_BYTES];

        return str_equal(asked->mounts, POOL_MOUNTS_NONE) ? NONE : asked->mounts;
}

/* Sets the fields that `over` sets. */
static void overlay(struct carrel_spec *spec, const struct carrel_spec *over)
{
        if (over->image[0] != '\0')
                memcpy(spec->image, over->image, sizeof spec->image);
        if (over->policy != POLICY_UNSET)
                spec->policy = over->policy;
        if (over->memory_bytes != 0)
                spec->memory_bytes = over->memory_bytes;
        if (over->cpu_millis != 0)
                spec->cpu_millis = over->cpu_millis;
        if (over->pids != 0)
                spec->pids = over->pids;
        if (over->profile[0] != '\0')
                memcpy(spec->profile, over->profile, sizeof spec->profile);
        if (over->mounts[0] != '\0')
                memcpy(spec->mounts, mounts_of(over), sizeof spec->mounts);
}

static bool is_wider(enum carrel_policy policy, enum carrel_policy bound)
{
        return policy == POLICY_INTERNET && bound == POLICY_NONE;
}

/* `set`: the fields of the profile. */
static int check_choices(const struct carrel_spec *asked, const struct carrel_spec *set, struct fault *why)
{
        if (!is_image_reference(asked->image))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the image is not a valid image reference");
        if (asked->image[0] != '\0' && set->image[0] != '\0' && strcmp(asked->image, set->image) != 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EPERM,
                                 "the profile %s names its image, %.120s: leave the image out", set->profile,
                                 set->image);
        if (asked->mounts[0] != '\0' && set->mounts[0] != '\0' && strcmp(asked->mounts, set->mounts) != 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EPERM,
                                 "the profile %s names its mounts, %.120s: leave the mounts out", set->profile,
                                 set->mounts);
        if (is_wider(asked->policy, set->policy))
                return fault_set(why, FAULT_REQUEST_INVALID, EPERM,
                                 "the profile %s has the policy none: it can only be narrowed", set->profile);
        return 0;
}

int spec_resolve(const struct carrel_spec *asked, const struct carrel_spec *live, const struct pool_profile *profile,
                 const struct carrel_spec *defaults, struct carrel_spec *ret_spec, struct fault *why)
{
        struct carrel_spec set = { 0 };
        struct carrel_spec most = *defaults;
        struct carrel_spec resolved;
        uint64_t pids = 0;
        int r;

        if (profile != NULL) {
                set = profile->spec;
                (void)snprintf(set.profile, sizeof set.profile, "%s", profile->name);
        }
        overlay(&most, &set);
        resolved = live != NULL ? *live : most;
        if (asked->profile[0] != '\0')
                overlay(&resolved, &set);
        r = check_choices(asked, &set, why);
        if (r < 0)
                return r;
        if (asked->image[0] != '\0' || set.image[0] != '\0')
                memcpy(resolved.image, set.image[0] != '\0' ? set.image : asked->image, sizeof resolved.image);
        if (asked->policy != POLICY_UNSET)
                resolved.policy = asked->policy;
        if (asked->mounts[0] != '\0' || set.mounts[0] != '\0')
                memcpy(resolved.mounts, mounts_of(set.mounts[0] != '\0' ? &set : asked), sizeof resolved.mounts);
        if (is_wider(resolved.policy, set.policy))
                resolved.policy = set.policy;
        memcpy(resolved.profile, set.profile, sizeof resolved.profile);
        r = resolve_limit("memory", asked->memory_bytes, resolved.memory_bytes, MEMORY_LEAST_BYTES, most.memory_bytes,
                          profile, &resolved.memory_bytes, why);
        if (r == 0)
                r = resolve_limit("cpu_millis", asked->cpu_millis, resolved.cpu_millis, CPU_LEAST_MILLIS,
                                  most.cpu_millis, profile, &resolved.cpu_millis, why);
        if (r == 0)
                r = resolve_limit("pids", asked->pids, resolved.pids, PIDS_LEAST, most.pids, profile, &pids, why);
        if (r < 0)
                return r;
        resolved.pids = (uint32_t)pids;
        *ret_spec = resolved;
        return 0;
}

bool spec_matches(const struct carrel_spec *asked, const struct carrel_spec *live)
{
        return (asked->image[0] == '\0' || strcmp(asked->image, live->image) == 0) &&
               (asked->policy == POLICY_UNSET || asked->policy == live->policy) &&
               (asked->memory_bytes == 0 || asked->memory_bytes == live->memory_bytes) &&
               (asked->cpu_millis == 0 || asked->cpu_millis == live->cpu_millis) &&
               (asked->pids == 0 || asked->pids == live->pids) &&
               (asked->profile[0] == '\0' || strcmp(asked->profile, live->profile) == 0) &&
               (asked->mounts[0] == '\0' || strcmp(mounts_of(asked), live->mounts) == 0);
}

bool spec_matches_profile(const struct carrel_spec *asked, const struct pool_profile *profile,
                          const struct carrel_spec *live)
{
        struct carrel_spec set = profile->spec;

        overlay(&set, asked);
        return spec_matches(&set, live);
}

char *spec_encode(const struct carrel_spec *spec)
{
        cJSON *json = cJSON_CreateObject();
        char *text = NULL;

        if (cJSON_AddStringToObject(json, "image", spec->image) != NULL &&
            cJSON_AddStringToObject(json, "policy", carrel_policy_name(spec->policy)) != NULL &&
            cJSON_AddNumberToObject(json, "memory_bytes", (double)spec->memory_bytes) != NULL &&
            cJSON_AddNumberToObject(json, "cpu_millis", (double)spec->cpu_millis) != NULL &&
            cJSON_AddNumberToObject(json, "pids", (double)spec->pids) != NULL &&
            (spec->profile[0] == '\0' || cJSON_AddStringToObject(json, "profile", spec->profile) != NULL) &&
            (spec->mounts[0] == '\0' || cJSON_AddStringToObject(json, "mounts", spec->mounts) != NULL))
                text = cJSON_PrintUnformatted(json);
        cJSON_Delete(json);
        return text;
}

static bool decode_number(const cJSON *json, const char *key, double max, uint64_t *ret_value)
{
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1) || item->valuedouble > max)
                return false;
        *ret_value = (uint64_t)item->valuedouble;
        return true;
}

static enum carrel_policy policy_from_name(const char *name)
{
        if (str_equal(name, carrel_policy_name(POLICY_INTERNET)))
                return POLICY_INTERNET;
        return str_equal(name, carrel_policy_name(POLICY_NONE)) ? POLICY_NONE : POLICY_UNSET;
}

/* A carrel without a profile has no such key, nor has any of a carreld that knew none. */
static bool decode_profile(const cJSON *json, struct carrel_spec *spec)
{
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "profile");
        const char *profile = cJSON_GetStringValue(item);

        if (item == NULL)
                return true;
        return profile != NULL && settings_check_name(profile) == NULL &&
               str_copy(spec->profile, sizeof spec->profile, profile) == 0;
}

/* A label without the key has no set, as every one of TEMPLATE_3. */
static bool decode_mounts(const cJSON *json, struct carrel_spec *spec)
{
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "mounts");
        const char *mounts = cJSON_GetStringValue(item);

        if (item == NULL)
                return true;
        return mounts != NULL && host_mounts_are_names(mounts) &&
               str_copy(spec->mounts, sizeof spec->mounts, mounts) == 0;
}

static bool decode_fields(const cJSON *json, struct carrel_spec *spec)
{
        const char *image = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "image"));
        uint64_t pids = 0;

        if (image == NULL || image[0] == '\0' || str_copy(spec->image, sizeof spec->image, image) < 0 ||
            !is_image_reference(spec->image))
                return false;
        spec->policy = policy_from_name(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "policy")));
        if (spec->policy == POLICY_UNSET || !decode_number(json, "memory_bytes", EXACT_MAX, &spec->memory_bytes) ||
            !decode_number(json, "cpu_millis", EXACT_MAX, &spec->cpu_millis) ||
            !decode_number(json, "pids", UINT32_MAX, &pids))
                return false;
        spec->pids = (uint32_t)pids;
        return decode_profile(json, spec) && decode_mounts(json, spec);
}

int spec_decode(const char *json, struct carrel_spec *ret_spec)
{
        struct carrel_spec spec = { 0 };
        size_t length = strnlen(json, LABEL_BYTES_MAX);
        cJSON *parsed = length < LABEL_BYTES_MAX ? cJSON_ParseWithLength(json, length) : NULL;
        bool is_good = parsed != NULL && decode_fields(parsed, &spec);

        cJSON_Delete(parsed);
        if (!is_good)
                return -EBADMSG;
        *ret_spec = spec;
        return 0;
}

/* Hashes each part after its length, so that two different lists of parts never give the same bytes. */
static void hash_text(struct sha256_ctx *sha, const char *text)
{
        size_t length = strlen(text);
        char prefix[24];

        (void)snprintf(prefix, sizeof prefix, "%zu:", length);
        sha256_update(sha, strlen(prefix), (const uint8_t *)prefix);
        sha256_update(sha, length, (const uint8_t *)text);
}

static void hash_number(struct sha256_ctx *sha, uint64_t number)
{
        char text[24];

        (void)snprintf(text, sizeof text, "%" PRIu64, number);
        hash_text(sha, text);
}

static const char *dns_of(const struct pool_options *options)
{
        return options->dns_setting != NULL && options->dns_setting[0] != '\0' ? options->dns_setting : options->dns;
}

static void hash_options(struct sha256_ctx *sha, const struct pool_options *options, const struct pool_owner *owner)
{
        const char *const texts[] = { options->users_dir, options->init_path, dns_of(options), options->runtime,
                                      options->cgroup_parent };
        const uint64_t numbers[] = { options->tmp_bytes, options->shm_bytes, owner->uid, owner->gid, options->nofile };

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                hash_text(sha, texts[i]);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                hash_number(sha, numbers[i]);
}

/* Their order in the settings changes no container. */
static void hash_mounts(struct sha256_ctx *sha, const struct host_mounts *mounts)
{
        hash_number(sha, mounts->n);
        for (size_t i = 0; i < mounts->n; i++) {
                hash_text(sha, mounts->at[i].source);
                hash_text(sha, mounts->at[i].target);
                hash_number(sha, mounts->at[i].is_read_only);
        }
}

int spec_hash(const struct carrel_spec *spec, const struct pool_options *options, const struct pool_owner *owner,
              enum template_version version, char ret_hash[static SPEC_HASH_BYTES])
{
        static const char *const NAMES[] = { [TEMPLATE_3] = "carrel-template-3", [TEMPLATE_4] = "carrel-template-4" };
        struct host_mounts mounts = { 0 };
        struct sha256_ctx sha;
        uint8_t digest[(SPEC_HASH_BYTES - 1) / 2];
        AUTO(auto_free) char *json = spec_encode(spec);
        int r;

        if (json == NULL)
                return -ENOMEM;
        r = version >= TEMPLATE_4 ? host_mounts_find(options, spec->mounts, &mounts, NULL) : 0;
        if (r < 0)
                return r;
        sha256_init(&sha);
        hash_text(&sha, NAMES[version]);
        hash_text(&sha, json);
        hash_options(&sha, options, owner);
        if (version >= TEMPLATE_4) {
                hash_mounts(&sha, &mounts);
                hash_number(&sha, options->lxcfs); /* the setting: lxcfs may end and start again */
        }
        host_mounts_release(&mounts);
        sha256_digest(&sha, sizeof digest, digest);
        for (size_t i = 0; i < sizeof digest; i++)
                (void)snprintf(ret_hash + 2 * i, 3, "%02x", digest[i]);
        return 0;
}

enum template_version spec_version_of(const struct carrel_spec *spec, const struct pool_options *options,
                                      const struct pool_owner *owner, const char *claimed)
{
        char hash[SPEC_HASH_BYTES];

        for (int version = TEMPLATE_CURRENT; version >= TEMPLATE_3; version--)
                if (spec_hash(spec, options, owner, (enum template_version)version, hash) == 0 &&
                    strcmp(hash, claimed) == 0)
                        return (enum template_version)version;
        return TEMPLATE_NONE;
}
