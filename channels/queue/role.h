/* channels/queue/role.h - what a sender and a receiver have in common: a place in a channel, a
 * wait, and a peer.
 *
 * Waiting is the loop of lib/wake/wait.h. A role sleeps on the *peer's* wake count, which only the
 * peer changes, so that every shared word has one writer:
 *
 *     waiter                                        the peer, after publishing
 *       count = the peer's wake count
 *       own waiting = new ticket
 *       full fence               [S1] pairs [S2]    full fence
 *       poll the ring; ready? stop                  ticket = the waiter's waiting
 *       sleep while the peer's wake count == count  if it is 0, or was woken before: done
 *                                                   own wake count + 1; wake; note the ticket
 *
 * A handle that is awake costs its peer nothing more, and each sleep is ended once.
 *
 * A sender that has sent many messages without having to wake its peer is *hot*: its page records
 * that [S4], and it leaves out the full fence, which would cost as much as all the rest. Before a
 * waiter with a hot peer sleeps, it makes the peer execute a full fence, wherever the peer is, by a
 * system call (membarrier) [S3]. When the sender finds the waiter's ticket, it cools down. So each
 * sleep costs one fence, and the handle pays it that has nothing else to do. Where the system call
 * fails, the sleep lasts at most a first slice.
 *
 * A peer is dead when the kernel has dropped the lock on its role, and for no other reason: a
 * stopped peer keeps its lock. A waiting handle asks the kernel about it after 50 ms, and then
 * after each slice. If the kernel does not answer, nothing is reported, and the handle asks again
 * within a slice. channels/queue/presence.h has the exact question.
 *
 * The first slice, of 50 ms, is a sleep on the wake count, with a futex. After it the handle sleeps
 * on a *watch* (lib/os/os.h): the kernel itself reports when the peer dies. So the slices grow to a
 * minute, and an idle handle soon does nothing at all. Reports that came before are taken before
 * arming, so that a touch between the poll and the sleep ends the sleep at once. The kernel reports
 * a death shortly *before* it drops the dead peer's lock: the peer still seems alive then. So a
 * report makes the handle begin with slices of 50 ms again, and the end of one of them finds the
 * lock gone. Where no watch is available, all slices are of 50 ms. Model: tests/model/watch.pml.
 *
 * Flags of the ticket say where the waiter sleeps: none, on the wake count; LEAT__WATCHES, on a
 * watch; LEAT__WATCHES and LEAT__LOOPS, in an event loop (channels/waitset/waitset.h), and with
 * LEAT__EVENTS_ONLY too, for events of the peer only.
 */
#ifndef LEAT_CHANNELS_QUEUE_ROLE_H
#define LEAT_CHANNELS_QUEUE_ROLE_H

#include "channels/queue/wire.h"
#include "leat/channel.h"
#include "lib/object/object.h"
#include "lib/wake/wait.h"

/* The counts since the last flush into the role's page, except messages and bytes, which the lane
 * counts. */
struct leat__tally {
    uint64_t stalls, sleeps, wake_calls, wakes, wake_ns;
};

struct leat__role {
    struct leat__object object; /* first: it is cast to and from the role */
    const struct leat__role_kind *kind;
    struct leat__watch watch; /* on when it has slept for long */
    struct leat__ring_memory memory;
    leat_lane *lane; /* of the same handle */
    /* the peer's is mapped read-only where pages are 4096 bytes */
    struct leat__role_page *own, *peer;
    const leat__u32 *wake_count; /* the peer's, to sleep on; NULL before the first sleep */
    struct leat__resource again; /* the page of the wake count, mapped once more */
    bool unanswered; /* the kernel did not answer the last question whether the peer lives */
    bool interruptible;
    bool stays_awake; /* never sleeps: LEAT_SPIN_FOREVER, LEAT_SPIN_YIELD */
    bool yields;      /* the latter */
    /* it arms before it sleeps; false for one of many senders that does not have the lock: that one
     * only polls often */
    bool arms;
    struct leat__spin spin;
    const struct leat__role_wait *wait; /* the present wait's kind */
    uint64_t slice_ns;                  /* of the present wait; 0: none yet */
    uint32_t slept_on;                  /* the peer's wake count at the last sleep */
    bool reached;           /* whether a hot peer executed its fence before the last sleep */
    bool closed;            /* the watch reported that a process closed the object */
    uint64_t next_probe_ns; /* when to ask the kernel about the peer again; 0: it was never asked */
    /* what else to undo when a thread is cancelled while it waits; or NULL */
    void (*leave)(struct leat__role *role);
    leat_peer peer_state; /* as last reported to the caller */
    uint32_t peer_seen;   /* the peer's `opened` to which peer_state belongs */
    struct leat__tally tally;
};

/* What a call waits for. */
struct leat__role_wait {
    bool (*ready)(struct leat__role *role); /* polls; cheap: called in a spin */
    bool reports;                           /* whether an event of the peer ends the wait */
    /* May be NULL. Called if it is not ready when events are asked for; an error ends the wait. */
    int (*check)(struct leat__role *role);
};

/* What distinguishes the two roles when they open the channel. */
struct leat__role_kind {
    bool sends;
    /* locks the role's own byte: role->object.place. The channel is mapped */
    int (*take_place)(struct leat__role *role);
    int (*attach)(struct leat__role *role); /* takes the role */
};

/* Opens or creates the channel (options may be NULL), maps it, and takes the role. On failure
 * nothing is left and the channel's name is in the detail. */
int leat__role_open(struct leat__role *role, leat_lane *lane, const char *name,
                    const leat_channel_options *options, const struct leat__role_kind *kind);

/* Unmaps and leaves. */
void leat__role_close(struct leat__role *role);

/* Waits until `ready`, or until an event of the peer if wait->reports. Returns LEAT_OK,
 * LEAT_EAGAIN, LEAT_ETIMEDOUT, LEAT_EINTR, or the event. */
int leat__role_wait(struct leat__role *role, const struct leat__role_wait *wait,
                    uint64_t deadline_ns);

/* A thread that is cancelled while it waits calls this last. context: its role. */
void leat__role_leave_wait(void *context);

/* For a call that waits without being armed: the thread may be cancelled here, and leaves nothing
 * behind. */
void leat__role_cancellation_point(struct leat__role *role);

/* Wakes the peer from the sleep with this ticket, unless it did so before. */
void leat__role_wake_for(struct leat__role *role, uint32_t ticket);

/* Wakes the peer if it sleeps. Call it after publishing what the peer waits for. */
static inline void leat__role_wake(struct leat__role *role) {
    leat__fence_full(); /* [S2] what was published before the load of the ticket */
    uint32_t ticket = leat__load_relaxed32(&role->peer->waiting);
    if (__builtin_expect(ticket != 0, 0))
        leat__role_wake_for(role, ticket);
}

/* The same, but not if the peer waits for events only. */
static inline void leat__role_wake_for_room(struct leat__role *role) {
    leat__fence_full(); /* [S2] */
    uint32_t ticket = leat__load_relaxed32(&role->peer->waiting);
    if (__builtin_expect(ticket != 0 && (ticket & LEAT__EVENTS_ONLY) == 0, 0))
        leat__role_wake_for(role, ticket);
}

/* Makes all senders that wait in event loops poll again, this one too. */
void leat__role_touch_senders(struct leat__role *role);

/* Stores a ticket; `how`: its flags. Then executes a full fence, here and in a hot peer. False:
 * there was none in the peer, so the sleep must be short. */
bool leat__role_arm(struct leat__role *role, uint32_t how);

/* Adapts the next spin, after a wait in an event loop. The wait began at began_ns, its sleep at
 * slept_ns; 0: it had no sleep. */
void leat__role_learn(struct leat__role *role, uint64_t began_ns, uint64_t slept_ns);

/* --- For other kinds of wait --- */

/* When the event that ended a sleep between these two times came: when the peer woke this role, or
 * else awake_ns. */
uint64_t leat__role_came_between(const struct leat__role *role, uint64_t slept_ns,
                                 uint64_t awake_ns);

/* Takes the ticket back. */
void leat__role_disarm(struct leat__role *role);

/* Counts a wake by the peer if the wake-up time that the peer stored lies between these two. */
void leat__role_count_wake(struct leat__role *role, uint64_t slept_ns, uint64_t awake_ns);

/* Returns an event of the peer, each once, if the wait reports events. Does not wait. */
int leat__role_report_event(struct leat__role *role, const struct leat__role_wait *wait);

/* The same for callers that poll and never wait: asks the kernel once in a slice. */
int leat__role_event_for_poller(struct leat__role *role, const struct leat__role_wait *wait);

/* The same for a wait that goes on: asks the kernel once in a slice, and when the call is about to
 * give up. */
int leat__role_event_in_time(struct leat__role *role, const struct leat__role_wait *wait,
                             uint64_t now_ns, bool gives_up);

/* Whether the peer's page shows that it came, or left in order. Only the kernel knows of a
 * death. */
bool leat__role_page_has_event(const struct leat__role *role);

/* Whether a call that waits would return an event of the peer. Asks the kernel; role->unanswered:
 * it did not answer. */
bool leat__role_has_event(struct leat__role *role);

/* Whether the peer is there. Sets role->unanswered, so that a wait polls again within a slice where
 * the kernel did not answer. */
bool leat__role_finds_peer(struct leat__role *role);

/* The peer's present state, from its page and the kernel: a system call if it seems to be there. */
leat_peer leat__role_peer(const struct leat__role *role);

/* Adds the tally to the page's counters and clears it. */
void leat__role_flush(struct leat__role *role);

/* A page's counters. */
void leat__counters_read(const struct leat__counters *counters, leat_statistics *statistics);

/* The own page's counters plus the tally. */
void leat__role_statistics(const struct leat__role *role, leat_statistics *statistics);

/* LEAT_EFORKED, recorded, for every call on a handle that was inherited. */
int leat__role_fail_forked(void);

#endif
