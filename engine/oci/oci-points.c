/* Mount points that an image may lack: those of the binds that come from the settings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "oci-container.h"
#include "oci-root.h"
#include "str.h"

void oci_points_free(char **points)
{
        for (char **point = points; point != NULL && *point != NULL; point++)
                free(*point);
        free(points);
}

static size_t count_parts(const struct container_spec *spec)
{
        size_t count = 0;

        for (size_t i = 0; i < spec->n_binds; i++)
                for (const char *at = spec->binds[i].target; *at != '\0'; at++)
                        count += *at == '/';
        return count;
}

static bool is_file(const char *source)
{
        struct stat status;

        return lstat(source, &status) == 0 && S_ISREG(status.st_mode);
}

/* Appends every directory above the target, and the target. */
static int add_parts(const struct bind_mount *bind, char **points, size_t *n)
{
        for (const char *end = bind->target; end != NULL;) {
                struct buffer path = { 0 };

                end = strchr(end + 1, '/');
                (void)buffer_text(&path, OCI_FILLING);
                (void)buffer_append(&path, bind->target,
                                    end != NULL ? (size_t)(end - bind->target) : strlen(bind->target));
                if (end != NULL || !is_file(bind->source))
                        (void)buffer_text(&path, "/");
                points[*n] = buffer_take(&path);
                buffer_free(&path);
                if (points[*n] == NULL)
                        return -ENOMEM;
                (*n)++;
        }
        return 0;
}

int oci_points_make(const struct container_spec *spec, char ***ret_points)
{
        char **points = calloc(count_parts(spec) + 1, sizeof *points);
        size_t n = 0;
        int r = points == NULL ? -ENOMEM : 0;

        for (size_t i = 0; r == 0 && i < spec->n_binds; i++)
                if (spec->binds[i].is_recursive)
                        r = add_parts(&spec->binds[i], points, &n);
        if (r < 0)
                oci_points_free(points);
        else
                *ret_points = points;
        return r;
}
