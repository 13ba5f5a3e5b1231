/* The archive of the default sandbox image (image/build-debian). It takes a minute and the machine's network to make,
 * so it is made once for each build directory, and the tests share it. */
#pragma once

/* Makes it, or waits for the test that does. Returns its path, which is not freed. NULL, with the reason on stderr: it
 * cannot be made, e.g. because no packages can be downloaded here. Call it outside the enclosure. */
const char *default_image(void);

/* The time of creation in the archive: SOURCE_DATE_EPOCH. */
#define DEFAULT_IMAGE_EPOCH "1700000000"
