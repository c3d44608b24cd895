// Threads that have done their part of a kernel wait for the others. libgomp's spin for
// some milliseconds before they sleep, and whatever else wants to run, the thread that they wait
// for among it, waits as long. How long they spin it reads from the environment as it is
// loaded, before any code of this program: so the program starts itself once more with that
// set, before anything else begins (its libraries are loaded twice, which is lost in the noise of a start). Who sets one of the variables is not overruled.
#include <stdlib.h>
#include <unistd.h>
#if defined(__GLIBC__)

// Some microseconds, of the order of what it takes to wake a thread that sleeps: spinning longer
// than that can at most halve the wait.
#define SPINS "1000"

__attribute__((constructor)) static void lw_wait(int argc, char **argv) {
	(void)argc;
	if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
	if (setenv("GOMP_SPINCOUNT", SPINS, 1)) return;
	execv("/proc/self/exe", argv); // only returns if it fails: then they spin
}
#endif
