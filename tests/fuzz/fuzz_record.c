/* The embedded engine's records, as a damaged disk or a stranger could leave them: what is taken comes back the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci-engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct oci oci;
        struct box *first = box_new(&oci);
        struct box *second = box_new(&oci);
        char *text = NULL;

        if (first != NULL && second != NULL && box_decode(first, (const char *)data, size) == 0) {
                text = box_encode(first);
                if (text == NULL || box_decode(second, text, strlen(text)) < 0)
                        abort();
        }
        free(text);
        box_free(first);
        box_free(second);
        return 0;
}
