#include "warm-targets.h"

#include <errno.h>
#include <string.h>

#include "engine.h"
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
                r = targets.n < WARM_TARGETS_MAX ? add(&targets, word, default_image, why)
                                                 : wrong(why, "at most 16 images");
        }
        if (r == 0 && targets.total > max_carrels)
                r = fault_set(why, FAULT_SETTING_INVALID, EINVAL,
                              "warm: %u carrels are more than max_carrels (%u): lower warm, or raise max_carrels",
                              targets.total, max_carrels);
        if (r == 0)
                *ret_targets = targets;
        return r;
}
