#include "host-mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-path.h"
#include "inside.h"
#include "profile.h"
#include "scope.h"
#include "str.h"

/* Places of every carrel beside the mounts of the profile; Docker and Podman add the files below /etc and /run. */
static const char *const PLACES[] = { INSIDE_CARREL, "/etc/group",       "/etc/hostname",  "/etc/hosts", "/etc/mtab",
                                      "/etc/passwd", "/etc/resolv.conf", INSIDE_WORKSPACE, NULL };

/* ---- parsing ---- */

static int wrong(struct fault *why, const char *text, const char *sentence)
{
        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "mounts: \"%.100s\": %s", text, sentence);
}

/* Whether it is absolute, has no empty, "." or ".." component, and no character that a list of mounts, an engine or
 * /proc/PID/mountinfo would understand otherwise. */
static bool is_plain_path(const char *path)
{
        static const char GOOD[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/@+=~%";

        if (path[0] != '/' || path[strspn(path, GOOD)] != '\0')
                return false;
        for (const char *at = path; at != NULL; at = strchr(at, '/')) {
                size_t length = strcspn(++at, "/");

                if (length == 0 || (length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
                        return false;
        }
        return true;
}

/* Whether one path is the other, or lies in it. */
static bool is_overlap(const char *a, const char *b)
{
        size_t length = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

        return strncmp(a, b, length) == 0 && (a[length] == '\0' || a[length] == '/') &&
               (b[length] == '\0' || b[length] == '/');
}

static bool is_taken(const char *target)
{
        for (const struct profile_mount *row = PROFILE.mounts; row->target != NULL; row++)
                if (is_overlap(target, row->target))
                        return true;
        for (size_t i = 0; PLACES[i] != NULL; i++)
                if (is_overlap(target, PLACES[i]))
                        return true;
        return false;
}

/* word: "source:target", then ":ro" or ":rw". Its bytes become the paths. */
static int parse_mount(char *word, struct host_mount *ret_mount, struct fault *why)
{
        AUTO(auto_free) char *given = strdup(word);
        const char *source = strsep(&word, ":");
        const char *target = strsep(&word, ":");
        bool is_writable = str_equal(word, "rw");

        if (given == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        if (target == NULL || (word != NULL && !is_writable && !str_equal(word, "ro")))
                return wrong(why, given, "must be SOURCE:TARGET:ro or SOURCE:TARGET:rw, e.g. /srv/models:/models:ro");
        if (!is_plain_path(source) || !is_plain_path(target))
                return wrong(why, given,
                             "both paths must be absolute and below /, without . and .. components, of letters, "
                             "digits and ._-/@+=~%");
        if (is_taken(target))
                return wrong(why, given,
                             "the target is, holds or lies in a place that every carrel has: choose "
                             "another");
        *ret_mount = (struct host_mount){ source, target, !is_writable };
        return 0;
}

static void trim(char **word)
{
        *word += strspn(*word, " ");
        for (size_t length = strlen(*word); length > 0 && (*word)[length - 1] == ' '; length--)
                (*word)[length - 1] = '\0';
}

static int parse(struct host_mounts *mounts, struct fault *why)
{
        int r = 0;

        for (char *rest = mounts->text; r == 0 && rest != NULL;) {
                char *word = strsep(&rest, ",");

                trim(&word);
                if (word[0] == '\0')
                        continue;
                if (mounts->n == HOST_MOUNTS_MAX)
                        return fault_set(why, FAULT_SETTING_INVALID, E2BIG, "mounts: at most %d in one carrel",
                                         HOST_MOUNTS_MAX);
                r = parse_mount(word, &mounts->at[mounts->n], why);
                mounts->n += r == 0;
        }
        return r;
}

static int compare_targets(const void *a, const void *b)
{
        return strcmp(((const struct host_mount *)a)->target, ((const struct host_mount *)b)->target);
}

static int judge_overlaps(const struct host_mounts *mounts, enum fault_kind kind, struct fault *why)
{
        for (size_t i = 0; i < mounts->n; i++)
                for (size_t k = i + 1; k < mounts->n; k++)
                        if (is_overlap(mounts->at[i].target, mounts->at[k].target))
                                return fault_set(why, kind, EINVAL,
                                                 "mounts: %s and %s cannot be inside the same carrel: one is, or is "
                                                 "below, the other",
                                                 mounts->at[i].target, mounts->at[k].target);
        return 0;
}

/* Takes over the text. kind: of two mounts at the same place. */
static int make(struct buffer *text, enum fault_kind kind, struct host_mounts *ret_mounts, struct fault *why)
{
        struct host_mounts mounts = { .text = buffer_take(text) };
        int r = mounts.text == NULL && text->has_failed
                        ? fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory")
                        : parse(&mounts, why);

        if (r == 0)
                r = judge_overlaps(&mounts, kind, why);
        if (r < 0) {
                host_mounts_release(&mounts);
                return r;
        }
        qsort(mounts.at, mounts.n, sizeof *mounts.at, compare_targets);
        *ret_mounts = mounts;
        return 0;
}

void host_mounts_release(struct host_mounts *mounts)
{
        free(mounts->text);
        *mounts = (struct host_mounts){ 0 };
}

/* ---- finding ---- */

static const struct pool_mount_set *find_set(const struct pool_options *options, const char *name, size_t length)
{
        for (size_t i = 0; i < options->n_mount_sets; i++)
                if (strlen(options->mount_sets[i].name) == length &&
                    memcmp(options->mount_sets[i].name, name, length) == 0)
                        return &options->mount_sets[i];
        return NULL;
}

static int refuse_set(const struct pool_options *options, const char *name, size_t length, struct fault *why)
{
        struct buffer known = { 0 };

        for (size_t i = 0; i < options->n_mount_sets; i++)
                (void)buffer_format(&known, "%s%s", i > 0 ? ", " : "", options->mount_sets[i].name);
        (void)fault_set(why, FAULT_REQUEST_INVALID, ENOENT, "there is no mount set \"%.*s\": the settings have %.150s",
                        (int)length, name, known.data != NULL ? known.data : "none");
        buffer_free(&known);
        return -ENOENT;
}

static void add_text(struct buffer *text, const char *mounts)
{
        (void)buffer_format(text, "%s,", mounts != NULL ? mounts : "");
}

int host_mounts_find(const struct pool_options *options, const char *names, struct host_mounts *ret_mounts,
                     struct fault *why)
{
        struct buffer text = { 0 };
        int r = 0;

        add_text(&text, options->mounts);
        for (const char *name = names; r == 0 && *name != '\0';) {
                size_t length = strcspn(name, ",");
                const struct pool_mount_set *set = find_set(options, name, length);

                if (set == NULL)
                        r = refuse_set(options, name, length, why);
                else
                        add_text(&text, set->mounts);
                name += length + (name[length] == ',');
        }
        if (r == 0)
                r = make(&text, FAULT_REQUEST_INVALID, ret_mounts, why);
        buffer_free(&text);
        return r;
}

static int check_text(const char *everybodys, const char *mounts, struct fault *why)
{
        struct host_mounts parsed = { 0 };
        struct buffer text = { 0 };
        int r;

        add_text(&text, everybodys);
        add_text(&text, mounts);
        r = make(&text, FAULT_SETTING_INVALID, &parsed, why);
        buffer_free(&text);
        host_mounts_release(&parsed);
        return r;
}

int host_mounts_check(const struct pool_options *options, struct fault *why)
{
        int r = check_text(options->mounts, NULL, why);

        for (size_t i = 0; r == 0 && i < options->n_mount_sets; i++) {
                const struct pool_mount_set *set = &options->mount_sets[i];

                r = set->mounts[0] != '\0'
                            ? check_text(options->mounts, set->mounts, why)
                            : fault_set(why, FAULT_SETTING_INVALID, EINVAL,
                                        "[mounts %s] has no mounts: add mounts = SOURCE:TARGET:ro", set->name);
        }
        return r;
}

int host_mount_open(const struct host_mount *mount, int *ret_fd, struct fault *why)
{
        return host_path_open("mounts:", mount->source, HOST_PATH_GIVEN, ret_fd, why);
}

static int check_sources(const struct pool_options *options, const char *names, struct fault *why)
{
        struct host_mounts mounts = { 0 };
        int r = host_mounts_find(options, names, &mounts, why);

        for (size_t i = 0; r == 0 && i < mounts.n; i++) {
                AUTO(auto_close) int fd = -1;

                r = host_mount_open(&mounts.at[i], &fd, why);
        }
        host_mounts_release(&mounts);
        return r;
}

int pool_check_mounts(const struct pool_options *options, struct fault *why)
{
        int r = check_sources(options, "", why);

        for (size_t i = 0; r == 0 && i < options->n_mount_sets; i++)
                r = check_sources(options, options->mount_sets[i].name, why);
        return r;
}
