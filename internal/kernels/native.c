#include "native.h"
#include <omp.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const struct lw_kernels *lw = &lw_base;

int lw_team = 1;

static _Thread_local int home; // the team of this thread stays

void lw_home(void) { home = 1; }

void lw_join(void) {
	omp_set_dynamic(0);
	omp_set_num_threads(lw_team);
}

void lw_leave(void) {
	if (!home) omp_pause_resource(omp_pause_soft, omp_get_initial_device());
}

#define LW_DISPATCH(name, params, args)                                                                                                    \
	void lw_##name params {                                                                                                                \
		lw_join();                                                                                                                         \
		lw->name args;                                                                                                                     \
		lw_leave();                                                                                                                        \
	}
LW_KERNELS(LW_DISPATCH)

int lw_best(void) {
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512dq"))
		return 2;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
	return 0;
}

void lw_select(int level) { lw = level == 2 ? &lw_avx512 : level == 1 ? &lw_avx2 : &lw_base; }

int lw_has_bf16(void) {
#if defined(__x86_64__)
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512bf16") != 0;
#else
	return 0;
#endif
}

// Of Intel's, those with AMX multiply bf16 by its tiles, and leave the vector instruction half of what float32 does
// (measured on Emerald Rapids whose tiles a virtual machine hides: 162 against 300 GFLOP/s); Cooper Lake, which came
// before AMX, and AMD's from Zen 4 on do twice as much in bf16.
int lw_has_fast_bf16(void) {
#if defined(__x86_64__)
	if (!lw_has_bf16()) return 0;
	if (!__builtin_cpu_is("intel") || __builtin_cpu_is("cooperlake")) return 1;
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);
#else
	return 0;
#endif
}

void lw_threads(int n) { lw_team = n; }
