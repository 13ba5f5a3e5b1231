/* The archive of the default sandbox image (image/build-debian), made once per build directory and shared by the tests
 * that need it: it takes a minute and the machine's network. */
#pragma once

/* Makes it, or waits for the test that does. Its path, valid for good; NULL, with the reason on stderr, when it cannot
 * be made (no packages can be had here). To call outside any enclosure. */
const char *default_image(void);

/* The time that the archive says it was made at: SOURCE_DATE_EPOCH. */
#define DEFAULT_IMAGE_EPOCH "1700000000"
