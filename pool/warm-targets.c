#include "warm-targets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "profiles.h"
#include "spec.h"
#include "str.h"

/* The longest text of the setting. */
enum { TEXT_BYTES = 4096 };

static int wrong(struct fault *why, const char *sentence)
{
        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "warm: %s", sentence);
}

static bool is_known(const struct warm_targets *targets, const char *image)
{
        for (size_t i = 0; i < targets->n; i++)
                if (strcmp(targets->at[i].image, image) == 0)
                        return true;
        return false;
}

/* word: one image with its count, or a count alone. */
static int add(struct warm_targets *targets, char *word, const char *default_image, struct fault *why)
{
        char *colon = strrchr(word, ':');
        const char *image = colon != NULL ? word : default_image;
        struct warm_target *target = &targets->at[targets->n];
        char resolved[IMAGE_REFERENCE_BYTES];
        struct fault unusable;
        uint64_t count;

        if (str_parse_u64(colon != NULL ? colon + 1 : word, 0, UINT16_MAX, &count) < 0)
                return wrong(why, "a number, or image:number for each image, separated by commas: \"debian:12:4, "
                                  "node:2\"");
        if (count == 0)
                return 0;
        if (colon != NULL)
                *colon = '\0';
        if (image[0] == '\0' || str_copy(target->image, sizeof target->image, image) < 0)
                return wrong(why, "the name of an image is empty or too long");
        if (image_reference_resolve(image, resolved, &unusable) < 0)
                return wrong(why, unusable.message);
        if (is_known(targets, image))
                return wrong(why, "an image is named twice");
        target->count = (unsigned)count;
        targets->total += target->count;
        targets->n++;
        return 0;
}

static int check_total(const struct warm_targets *targets, unsigned max_carrels, struct fault *why)
{
        if (targets->total <= max_carrels)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EINVAL,
                         "warm: %u carrels are more than max_carrels (%u): lower warm, or raise max_carrels",
                         targets->total, max_carrels);
}

int warm_targets_parse(const char *text, const char *default_image, unsigned max_carrels,
                       struct warm_targets *ret_targets, struct fault *why)
{
        struct warm_targets targets = { 0 };
        char words[TEXT_BYTES];
        int r = str_copy(words, sizeof words, text != NULL ? text : "") < 0 ? wrong(why, "the text is too long") : 0;

        for (char *rest = words; r == 0 && rest != NULL && words[0] != '\0';) {
                char *word = strsep(&rest, ",");

                word += strspn(word, " ");
                for (size_t length = strlen(word); length > 0 && word[length - 1] == ' '; length--)
                        word[length - 1] = '\0';
                r = targets.n < WARM_IMAGES_MAX ? add(&targets, word, default_image, why)
                                                : wrong(why, "at most 16 images");
        }
        if (r == 0)
                r = check_total(&targets, max_carrels, why);
        if (r == 0)
                *ret_targets = targets;
        return r;
}

static const char *image_of(const struct pool_options *options, const struct pool_profile *profile)
{
        return profile != NULL && profile->spec.image[0] != '\0' ? profile->spec.image : options->defaults.image;
}

static int add_profile(struct warm_targets *targets, const struct pool_options *options,
                       const struct pool_profile *profile, struct fault *why)
{
        struct warm_target target = { .count = profile->warm };

        if (profile->warm == 0)
                return 0;
        if (targets->n == WARM_TARGETS_MAX)
                return wrong(why, "too many images and profiles");
        if (str_copy(target.image, sizeof target.image, image_of(options, profile)) < 0 ||
            str_copy(target.profile, sizeof target.profile, profile->name) < 0)
                return wrong(why, "the name of an image or a profile is too long");
        for (size_t i = 0; i < targets->n; i++)
                if (strcmp(targets->at[i].image, target.image) == 0 &&
                    strcmp(targets->at[i].profile, target.profile) == 0)
                        return fault_set(why, FAULT_SETTING_INVALID, EINVAL,
                                         "warm: the carrels of the profile %s are counted twice, by warm and by "
                                         "[profile %s]: leave one out",
                                         profile->name, profile->name);
        targets->at[targets->n++] = target;
        targets->total += target.count;
        return 0;
}

int warm_target_spec(const struct pool_options *options, const struct warm_target *target, struct carrel_spec *ret_spec,
                     struct fault *why)
{
        struct carrel_spec asked = { 0 };

        memcpy(asked.image, target->image, sizeof asked.image);
        memcpy(asked.profile, target->profile, sizeof asked.profile);
        return spec_resolve(&asked, NULL, profiles_find(options, target->profile), &options->defaults, ret_spec, why);
}

int warm_targets_of(const struct pool_options *options, struct warm_targets *ret_targets, struct fault *why)
{
        const struct pool_profile *usual = profiles_find(options, options->profile);
        struct warm_targets targets = { 0 };
        struct carrel_spec spec;
        struct fault own = { 0 };
        int r = warm_targets_parse(options->warm, image_of(options, usual), options->max_carrels, &targets, why);

        if (r < 0)
                return r;
        for (size_t i = 0; usual != NULL && i < targets.n; i++)
                (void)snprintf(targets.at[i].profile, sizeof targets.at[i].profile, "%s", usual->name);
        for (size_t i = 0; i < options->n_profiles && r == 0; i++)
                r = add_profile(&targets, options, &options->profiles[i], why);
        if (r == 0)
                r = check_total(&targets, options->max_carrels, why);
        for (size_t i = 0; i < targets.n && r == 0; i++)
                if (warm_target_spec(options, &targets.at[i], &spec, &own) < 0)
                        r = wrong(why, own.message);
        if (r == 0)
                *ret_targets = targets;
        return r;
}
