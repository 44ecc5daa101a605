/* leat/remote.h - mapping a region into another process, which need not know of it, as a debugger
 * would. The functions are in a library of their own: link leat_remote besides leat. (libleat makes
 * no system call that stops, reads or writes another process.)
 *
 * Caveats. The target is stopped for some tenths of a millisecond (one thread of it), and that
 * thread is made to run a few system calls; registers, signal mask and signals are put back as they
 * were, an interrupted system call is restarted as the kernel would. That takes exactly the right
 * that a debugger needs: the same user or CAP_SYS_PTRACE, and nothing in kernel.yama.ptrace_scope
 * against it. Whoever has that right can do anything to the target: this header adds none. If
 * *this* process is killed in those tenths of a millisecond, the target is likely to crash. All
 * steps, and what can go wrong: docs/map-into.md.
 *
 *     leat_region *region;
 *     uint64_t address;
 *     if (leat_region_open_into(&region, "counters", 4096, NULL, pid, &address) != LEAT_OK)
 *         fprintf(stderr, "%s\n", leat_error_detail());
 *     ... write `address` to where the target looks for it; leat_region_data(region) is the same
 *         memory here ...
 *     leat_region_unmap_from(pid, address);
 *     leat_region_close(region);
 *
 * Lifetimes. The view over there stays until leat_region_unmap_from, or until the target unmaps it,
 * executes another program or ends; a child that it forks inherits it. Like a detached view it
 * keeps the memory, not the name: the name lives as long as a handle (here or elsewhere), or until
 * leat_unlink for persistent regions. The target holds no handle and counts as no user.
 *
 * `process` is a process number as seen from this process; its own number is allowed, and maps
 * here. 64-bit Linux on x86-64 and arm64; elsewhere, and for 32-bit targets, LEAT_ENOTSUP.
 *
 * Thread safety: any thread; calls on the same target at the same time get LEAT_EBUSY, as a
 * debugger would. Fork: a region handle of the parent is LEAT_EFORKED. Signals: nothing here may be
 * called from a handler; the calling thread's signals wait until the call is done. The system tells
 * this process of the target's stops as of a child's: a SIGCHLD handler may run, and a wait for
 * *any* child in another thread may see the stops of a process it does not know. Blocking: as in
 * leat/object.h, and until the chosen thread of the target stops and has run the calls, which on a
 * busy machine waits for its turn to run; a target that cannot run (frozen) is LEAT_ETIMEDOUT after
 * ten seconds.
 */
#ifndef LEAT_REMOTE_H
#define LEAT_REMOTE_H

#include "leat/region.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Maps the whole of an open region into the process: readable, and writable unless the handle is
 * read-only; never executable. The address is valid *there*. Each call makes a further view at
 * another address.
 *
 * LEAT_ENOENT: no such process, or it ended or executed another program meanwhile. LEAT_EACCES: not
 * permitted; the detail says which right is missing. LEAT_EBUSY: a debugger has it; the detail says
 * which. LEAT_EAGAIN: every thread of it is in uninterruptible sleep. LEAT_ETIMEDOUT: it is frozen.
 * LEAT_ENOTSUP: a 32-bit process, a kernel thread, or one whose seccomp filter refuses the calls.
 * LEAT_ENOMEM, LEAT_ELIMIT: of the *target's* address space or descriptors. LEAT_EINVAL: the number
 * is no process's, but a thread's, or not positive; or region or address is NULL. LEAT_EFORKED,
 * LEAT_ESTATE: the handle is the parent's, or its view was detached. */
LEAT_API LEAT_CHECKED int leat_region_map_into(const leat_region *region, int process,
                                               uint64_t *address);

/* Opens or creates the region here, as leat_region_open does, and maps it into the
 * process. All or nothing: on failure no handle is left. */
LEAT_API LEAT_CHECKED int leat_region_open_into(leat_region **region, const char *name,
                                                uint64_t size, const leat_region_options *options,
                                                int process, uint64_t *address);

/* Takes a view out of the process again that this process mapped there. The handle may be closed by
 * now. LEAT_EINVAL when this process mapped nothing at that address (any other program's mapping is
 * safe), or the region is no longer what is mapped there: nothing is changed then. LEAT_ENOENT when
 * the process is gone; further codes as above. A view is forgotten once it is known to be gone. */
LEAT_API LEAT_CHECKED int leat_region_unmap_from(int process, uint64_t address);

#ifdef __cplusplus
}
#endif
#endif
