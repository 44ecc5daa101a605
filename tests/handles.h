/* handles.h - the calls of leat's handles in the short forms that tests want: a mode in the name,
 * one property of an open handle, an object over a socket at one go. */
#ifndef LEAT_TESTS_HANDLES_H
#define LEAT_TESTS_HANDLES_H

#include <unistd.h>

#include "harness.h"
#include "leat/leat.h"

/* --- Regions ---------------------------------------------------------------------------------- */

/* A name of NULL: an anonymous region. */
static inline int region_by_mode(leat_region **region, const char *name, uint64_t size,
                                 const leat_region_options *options, leat_mode mode) {
    leat_region_options with = options != NULL ? *options : (leat_region_options){0};
    with.mode = mode;
    with.anonymous = name == NULL && mode != LEAT_OPEN;
    return leat_region_open(region, name, size, &with);
}

static inline int create_region(leat_region **region, const char *name, uint64_t size,
                                const leat_region_options *options) {
    return region_by_mode(region, name, size, options, LEAT_CREATE);
}

static inline int open_region(leat_region **region, const char *name, uint64_t size,
                              const leat_region_options *options) {
    return region_by_mode(region, name, size, options, LEAT_OPEN);
}

static inline int open_or_create_region(leat_region **region, const char *name, uint64_t size,
                                        const leat_region_options *options) {
    return region_by_mode(region, name, size, options, LEAT_OPEN_OR_CREATE);
}

static inline int file_region(leat_region **region, const char *path, leat_mode mode, uint64_t size,
                              const leat_region_options *options) {
    leat_region_options with = options != NULL ? *options : (leat_region_options){0};
    with.mode = mode;
    return leat_region_file(region, path, size, &with);
}

static inline leat_region_details region_details(const leat_region *region) {
    leat_region_details details;
    assert_ok(leat_region_info(region, &details));
    return details;
}

static inline int region_type(const leat_region *region, leat_type *type) {
    leat_region_details details = {0};
    int code = leat_region_info(region, &details);
    if (code == LEAT_OK)
        *type = details.type;
    return code;
}

static inline int stat_region_type(const char *name, leat_scope scope, leat_type *type) {
    leat_region_details details = {0};
    int code = leat_region_stat(name, scope, &details);
    if (code == LEAT_OK)
        *type = details.type;
    return code;
}

static inline int send_region(const leat_region *region, leat_access access, int socket,
                              uint64_t deadline_ns) {
    int descriptor;
    int code = leat_region_descriptor(region, access, false, &descriptor);
    if (code != LEAT_OK)
        return code;
    code = leat_descriptor_send(socket, descriptor, deadline_ns);
    close(descriptor);
    return code;
}

static inline int receive_region(leat_region **region, int socket, uint64_t size,
                                 const leat_region_options *options, uint64_t deadline_ns) {
    int descriptor;
    int code = leat_descriptor_receive(socket, &descriptor, deadline_ns);
    if (code != LEAT_OK)
        return code;
    code = leat_region_open_descriptor(region, descriptor, size, options);
    close(descriptor);
    return code;
}

/* --- Mutexes, events, semaphores -------------------------------------------------------------- */

static const leat_sync_options without_name __attribute__((unused)) = {.anonymous = true};

static inline leat_sync_info sync_details(const leat_waitable *object) {
    leat_sync_info info;
    assert_ok(leat_waitable_info(object, &info));
    return info;
}

static inline bool mutex_created(leat_mutex *mutex) {
    return sync_details(leat_mutex_waitable(mutex)).created;
}

static inline bool event_created(leat_event *event) {
    return sync_details(leat_event_waitable(event)).created;
}

static inline bool event_is_set(leat_event *event) {
    return sync_details(leat_event_waitable(event)).set;
}

static inline bool semaphore_created(leat_semaphore *semaphore) {
    return sync_details(leat_semaphore_waitable(semaphore)).created;
}

static inline uint32_t semaphore_count(const leat_semaphore *semaphore) {
    return sync_details(leat_semaphore_waitable((leat_semaphore *)(uintptr_t)semaphore)).count;
}

static inline uint32_t semaphore_maximum(leat_semaphore *semaphore) {
    return sync_details(leat_semaphore_waitable(semaphore)).maximum;
}

static inline int send_waitable(const leat_waitable *object, int socket, uint64_t deadline_ns) {
    int descriptor;
    int code = leat_sync_descriptor(object, false, &descriptor);
    if (code != LEAT_OK)
        return code;
    code = leat_descriptor_send(socket, descriptor, deadline_ns);
    close(descriptor);
    return code;
}

#define HANDLES_RECEIVE(kind)                                                                      \
    static inline int receive_##kind(leat_##kind **object, int socket,                             \
                                     const leat_sync_options *options, uint64_t deadline_ns) {     \
        int descriptor;                                                                            \
        int code = leat_descriptor_receive(socket, &descriptor, deadline_ns);                      \
        if (code != LEAT_OK)                                                                       \
            return code;                                                                           \
        code = leat_##kind##_open_descriptor(object, descriptor, options);                         \
        close(descriptor);                                                                         \
        return code;                                                                               \
    }
HANDLES_RECEIVE(mutex)
HANDLES_RECEIVE(event)
HANDLES_RECEIVE(semaphore)

/* --- Channels --------------------------------------------------------------------------------- */

static inline bool sender_created(const leat_sender *sender) {
    leat_channel_info info;
    assert_ok(leat_sender_info(sender, &info));
    return info.created;
}

static inline bool receiver_created(const leat_receiver *receiver) {
    leat_channel_info info;
    assert_ok(leat_receiver_info(receiver, &info));
    return info.created;
}

#endif
