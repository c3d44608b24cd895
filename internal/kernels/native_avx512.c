#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,bmi2,prefer-vector-width=512")
// bf16 instructions come from intrinsics alone, in kernels that only run where
// lw_has_bf16 says so.
#define LW_BF16
#define VL 16
#define NV 4
#else
#define VL 4
#define NV 2
#endif
#define LW_TABLE lw_avx512
#include "native_impl.h"
