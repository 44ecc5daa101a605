/* leat/leat.h - all of leat's core.
 *
 *     leat/base.h       version, deadlines, scopes
 *     leat/error.h      error codes and what they mean
 *     leat/object.h     named objects: list, inspect, remove, clean up
 *     leat/region.h     shared memory
 *     leat/view.h       further views of it, and the memory behind them
 *     leat/sync.h       mutexes, events, semaphores, waiting for several of them
 *     leat/channel.h    messages: sender and receiver
 *     leat/waitset.h    waiting for many channels and sync objects in an event loop
 *
 * Not included here:
 *
 *     leat/inline.h     the calls for one message, compiled into the caller
 *     leat/remote.h     regions mapped into a process that does not use leat: leat_remote
 *     leat/uv.h         channels as libuv handles: leat_uv
 */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include "leat/base.h"
#include "leat/channel.h"
#include "leat/error.h"
#include "leat/object.h"
#include "leat/region.h"
#include "leat/sync.h"
#include "leat/view.h"
#include "leat/waitset.h"

#endif
