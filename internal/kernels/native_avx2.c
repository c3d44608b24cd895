#if defined(__x86_64__)
#pragma GCC target("avx2,fma,bmi2")
#define VL 8
#else
#define VL 4
#endif
#define LW_TABLE lw_avx2
#define NV 2
#include "native_impl.h"
