#include "entry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

void entry_show(const char *name, char ret_text[static ENTRY_SHOWN_BYTES])
{
        size_t length = 0;

        while (*name != '\0' && length + 8 < ENTRY_SHOWN_BYTES) {
                uint32_t code = 0;
                size_t n = str_decode_utf8(name, &code);

                if (n == 0 || str_is_unprintable(code))
                        ret_text[length++] = '?';
                else
                        memcpy(ret_text + length, name, n);
                length += n == 0 || str_is_unprintable(code) ? 0 : n;
                name += n == 0 ? 1 : n;
        }
        (void)snprintf(ret_text + length, ENTRY_SHOWN_BYTES - length, "%s", *name == '\0' ? "" : "...");
}

static int refuse(const char *name, const char *reason, struct fault *why)
{
        char shown[ENTRY_SHOWN_BYTES];

        entry_show(name, shown);
        return fault_set(why, FAULT_IMAGE_REFUSED, EINVAL, "entry \"%s\" %s", shown, reason);
}

static bool is_dots(const char *component, size_t length)
{
        return length == 2 && component[0] == '.' && component[1] == '.';
}

int entry_path(const char *name, char ret_path[static ENTRY_PATH_BYTES], struct fault *why)
{
        char path[ENTRY_PATH_BYTES];
        size_t length = 0;
        unsigned depth = 0;

        if (name[0] == '/')
                return refuse(name, "has an absolute path", why);
        for (const char *at = name; *at != '\0';) {
                size_t n = strcspn(at, "/");

                if (is_dots(at, n))
                        return refuse(name, "climbs out with \"..\"", why);
                if (n > ENTRY_COMPONENT_MAX || length + n + 2 > sizeof path || depth > ENTRY_DEPTH_MAX)
                        return refuse(name, "has too long or too deep a name", why);
                if (n > 0 && !(n == 1 && at[0] == '.')) {
                        if (length > 0)
                                path[length++] = '/';
                        memcpy(path + length, at, n);
                        length += n;
                        depth++;
                }
                at += n + (at[n] == '/' ? 1 : 0);
        }
        path[length] = '\0';
        memcpy(ret_path, path, length + 1);
        return 0;
}

/* Whether target, followed from the directory of path, leaves the root by its text alone; links on the path may still
 * lead elsewhere. This keeps obviously wrong links out of an image. tree.h confines the unpacker, and its root confines
 * a carrel. */
static bool climbs_out(const char *path, const char *target)
{
        int depth = 0;

        for (const char *at = strchr(path, '/'); at != NULL; at = strchr(at + 1, '/'))
                depth++;
        for (const char *at = target; *at != '\0';) {
                size_t n = strcspn(at, "/");

                if (is_dots(at, n) && --depth < 0)
                        return true;
                if (n > 0 && !is_dots(at, n) && !(n == 1 && at[0] == '.'))
                        depth++;
                at += n + (at[n] == '/' ? 1 : 0);
        }
        return false;
}

static int judge_symlink(const struct entry *entry, const char *path, struct fault *why)
{
        const char *target = entry->target == NULL ? "" : entry->target;

        if (target[0] == '\0' || strlen(target) >= ENTRY_PATH_BYTES)
                return refuse(entry->name, "is a symbolic link whose target cannot be a name", why);
        if (target[0] != '/' && climbs_out(path, target))
                return refuse(entry->name, "is a symbolic link that leads out of the image", why);
        return 0;
}

static int judge_hardlink(const struct entry *entry, char ret_target[static ENTRY_PATH_BYTES], struct fault *why)
{
        const char *target = entry->target == NULL ? "" : entry->target;

        if (entry_path(target, ret_target, NULL) < 0 || ret_target[0] == '\0')
                return refuse(entry->name, "is a hard link that leads out of the image", why);
        return 0;
}

int entry_judge(const struct entry *entry, const char *path, char ret_target[static ENTRY_PATH_BYTES],
                struct fault *why)
{
        char reason[64];

        ret_target[0] = '\0';
        if (path[0] == '\0' && entry->type != ENTRY_DIRECTORY)
                return refuse(entry->name, "is the root, and is no directory", why);
        switch (entry->type) {
        case ENTRY_FILE:
        case ENTRY_DIRECTORY:
                return 0;
        case ENTRY_SYMLINK:
                return judge_symlink(entry, path, why);
        case ENTRY_HARDLINK:
                return judge_hardlink(entry, ret_target, why);
        case ENTRY_OTHER:
                break;
        }
        (void)snprintf(reason, sizeof reason, "is %s", entry->what == NULL ? "of an unknown type" : entry->what);
        return refuse(entry->name, reason, why);
}

uint32_t entry_mode(const struct entry *entry)
{
        return (entry->mode & 0555) | (entry->type == ENTRY_DIRECTORY ? 0700 : 0600);
}

enum whiteout entry_whiteout(const char *path, char ret_path[static ENTRY_PATH_BYTES])
{
        const char *slash = strrchr(path, '/');
        const char *base = slash == NULL ? path : slash + 1;
        size_t above = (size_t)(base - path);
        const char *hidden = base + strlen(WHITEOUT_PREFIX);

        if (!str_has_prefix(base, WHITEOUT_PREFIX))
                return WHITEOUT_NONE;
        if (strcmp(base, WHITEOUT_OPAQUE) == 0) {
                (void)snprintf(ret_path, ENTRY_PATH_BYTES, "%.*s", above == 0 ? 0 : (int)above - 1, path);
                return WHITEOUT_ALL;
        }
        /* .wh..wh.plnk and the like belong to a storage driver. The rest of the name could be "", "." or "..". */
        if (str_has_prefix(hidden, WHITEOUT_PREFIX) || hidden[0] == '\0' || strcmp(hidden, ".") == 0 ||
            strcmp(hidden, "..") == 0)
                return WHITEOUT_IGNORED;
        (void)snprintf(ret_path, ENTRY_PATH_BYTES, "%.*s%s", (int)above, path, hidden);
        return WHITEOUT_ONE;
}
