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
        struct oci_container *first = oci_container_new(&oci);
        struct oci_container *second = oci_container_new(&oci);
        char *text = NULL;

        if (first != NULL && second != NULL && oci_container_decode(first, (const char *)data, size) == 0) {
                text = oci_container_encode(first);
                if (text == NULL || oci_container_decode(second, text, strlen(text)) < 0)
                        abort();
        }
        free(text);
        oci_container_free(first);
        oci_container_free(second);
        return 0;
}
