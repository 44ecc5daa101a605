/* lib/object/descriptor.c - descriptors of objects over a unix socket (leat/object.h). */
#include "lib/base/fail.h"
#include "lib/object/object.h"

int leat_descriptor_send(int socket, int descriptor, uint64_t deadline_ns) {
    return leat__os_descriptor_send(socket, descriptor, deadline_ns);
}

int leat_descriptor_receive(int socket, int *descriptor, uint64_t deadline_ns) {
    return descriptor != NULL ? leat__os_descriptor_receive(socket, descriptor, deadline_ns)
                              : leat__fail(LEAT_EINVAL, 0, "no place for the descriptor");
}
