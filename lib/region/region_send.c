/* lib/region/region_send.c - regions over a unix socket (leat/region.h). */
#include "lib/base/fail.h"
#include "lib/region/region.h"

int leat_region_send(const leat_region *region, leat_access access, int socket,
                     uint64_t deadline_ns) {
    int descriptor;
    int result = leat_region_descriptor(region, access, false, &descriptor);
    if (result != LEAT_OK)
        return result;
    result = leat__os_descriptor_send(socket, descriptor, deadline_ns);
    leat__os_file_close(descriptor); /* what is under way holds it */
    return result;
}

int leat_region_receive(leat_region **region, int socket, uint64_t size,
                        const leat_region_options *options, uint64_t deadline_ns) {
    int descriptor;
    int result = leat__region_options(&options); /* before anything is taken out of the socket */
    if (result == LEAT_OK && region == NULL)
        result = leat__fail(LEAT_EINVAL, 0, "the place for the handle is NULL");
    if (result == LEAT_OK)
        result = leat__os_descriptor_receive(socket, &descriptor, deadline_ns);
    if (result != LEAT_OK)
        return result;
    result = leat_region_open_descriptor(region, descriptor, size, options);
    leat__os_file_close(descriptor);
    return result;
}
