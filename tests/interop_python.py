"""A Python program that knows nothing of leat: multiprocessing.shared_memory. See interop_shm.c, which does the same.

Python's resource tracker (3.8 to 3.12) unlinks at exit every segment that the process has merely opened, too; a program that
shares memory with others has to take it off that list."""
import sys
from multiprocessing import resource_tracker, shared_memory


def text(memory, offset):
    return bytes(memory.buf[offset:offset + 64]).split(b"\0")[0].decode()


command, name = sys.argv[1:3]
message = b"from a stranger\0"
if command == "create":
    memory = shared_memory.SharedMemory(name=name, create=True, size=int(sys.argv[3]))
    memory.buf[0:len(message)] = message
    print("ready", memory.size, flush=True)
    if sys.stdin.readline() != "\n":
        sys.exit(1)
    print(text(memory, 64), flush=True)
    memory.close()
    memory.unlink()
    print("removed", flush=True)
else:
    memory = shared_memory.SharedMemory(name=name)
    resource_tracker.unregister(memory._name, "shared_memory")
    print(f"{memory.size}: {text(memory, 0)}", flush=True)
    memory.buf[64:64 + len(message)] = message
    memory.close()
    print("done", flush=True)
