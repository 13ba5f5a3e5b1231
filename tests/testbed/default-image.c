#include "default-image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

enum { PATH_BYTES = 512, SCRIPT_BYTES = 2048 };

/* The stamp is that of the recipe, so that a changed recipe makes another image. */
static const char SCRIPT[] =
        "set -e; source=%s; cd %s; exec 9>default-image.lock; flock 9\n"
        "stamp=$(cat $source/image/build-debian $source/image/packages-debian | sha256sum)\n"
        "if [ -e default-image.tar ] && [ \"$(cat default-image.stamp)\" = \"$stamp\" ]; then exit; fi\n"
        "rm -f default-image.stamp; export CARREL_HELPER_DIR=$source/image\n"
        "SOURCE_DATE_EPOCH=" DEFAULT_IMAGE_EPOCH " cli/carrel image build --archive default-image.tar 9>&-\n"
        "echo \"$stamp\" >default-image.stamp\n";

const char *default_image(void)
{
        static char path[PATH_BYTES];
        static struct output output;
        const char *build = getenv("TESTBED_BUILD_DIR");
        const char *source = getenv("TESTBED_SOURCE_DIR");
        char script[SCRIPT_BYTES];

        if (build == NULL || source == NULL ||
            snprintf(script, sizeof script, SCRIPT, source, build) >= (int)sizeof script ||
            snprintf(path, sizeof path, "%s/default-image.tar", build) >= (int)sizeof path) {
                fprintf(stderr, "TESTBED_BUILD_DIR and TESTBED_SOURCE_DIR are to name the directories\n");
                exit(EXIT_FAILURE);
        }
        RUN(&output, "sh", "-c", script);
        if (output.status == 0)
                return path;
        fprintf(stderr, "%s", output.text);
        return NULL;
}
