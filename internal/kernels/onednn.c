#include "onednn.h"
#include "native.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// The parts of oneDNN's C API that are called. Handles are opaque pointers. In
// version 2 descriptors are structs that the caller owns (a memory descriptor
// has 696 bytes in 2.6, a matmul descriptor 2,800): they are filled and read by the
// library alone, so a large enough buffer serves.
typedef void *handle;
typedef struct {
	const int major, minor, patch;
} version_t;
typedef struct {
	int arg;
	handle memory;
} exec_arg;
typedef struct {
	_Alignas(64) char bytes[2048];
} memory_desc;
typedef struct {
	_Alignas(64) char bytes[16384];
} matmul_desc;

enum { engine_cpu = 1, stream_in_order = 1, type_bf16 = 2, type_f32 = 3, arg_src = 1, arg_dst = 17, arg_weights = 33 };

static struct {
	int major;
	handle engine, stream;
	int (*sgemm)(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t, float, float *, int64_t);
	int (*engine_create)(handle *, int, size_t);
	int (*stream_create)(handle *, handle, unsigned);
	int (*stream_wait)(handle);
	int (*attr_create)(handle *);
	int (*attr_destroy)(handle);
	int (*attr_set_post_ops)(handle, handle);
	int (*post_ops_create)(handle *);
	int (*post_ops_destroy)(handle);
	int (*append_sum_2)(handle, float);
	int (*append_sum_3)(handle, float, int32_t, int);
	int (*md_init_2)(void *, int, const int64_t *, int, const int64_t *);
	int (*md_create_3)(handle *, int, const int64_t *, int, const int64_t *);
	int (*md_destroy_3)(handle);
	int (*matmul_init_2)(void *, const void *, const void *, const void *, const void *);
	int (*pd_create_2)(handle *, const void *, handle, handle, handle);
	int (*matmul_pd_create_3)(handle *, handle, handle, handle, handle, handle, handle);
	int (*pd_destroy)(handle);
	int (*primitive_create)(handle *, handle);
	int (*memory_create)(handle *, const void *, handle, void *);
	int (*memory_set)(handle, void *);
	int (*execute)(handle, handle, int, const exec_arg *);
} d;

int lw_onednn_open(int *version) {
	static const char *names[] = {"libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"};
	void *lib = NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names && !lib; i++) lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib) return 0;
	const version_t *(*get_version)(void) = (const version_t *(*)(void))dlsym(lib, "dnnl_version");
	if (!get_version) return 0;
	const version_t *v = get_version();
	*version = v->major * 10000 + v->minor * 100 + v->patch;
	d.major = v->major;
	if (v->major != 2 && v->major != 3) return 0;
#define FIND(field, name)                                                                                                                  \
	if (!(*(void **)&d.field = dlsym(lib, name))) return 0;
	FIND(sgemm, "dnnl_sgemm")
	FIND(engine_create, "dnnl_engine_create")
	FIND(stream_create, "dnnl_stream_create")
	FIND(stream_wait, "dnnl_stream_wait")
	FIND(attr_create, "dnnl_primitive_attr_create")
	FIND(attr_destroy, "dnnl_primitive_attr_destroy")
	FIND(attr_set_post_ops, "dnnl_primitive_attr_set_post_ops")
	FIND(post_ops_create, "dnnl_post_ops_create")
	FIND(post_ops_destroy, "dnnl_post_ops_destroy")
	FIND(pd_destroy, "dnnl_primitive_desc_destroy")
	FIND(primitive_create, "dnnl_primitive_create")
	FIND(memory_create, "dnnl_memory_create")
	FIND(memory_set, "dnnl_memory_set_data_handle")
	FIND(execute, "dnnl_primitive_execute")
	if (d.major == 2) {
		FIND(append_sum_2, "dnnl_post_ops_append_sum")
		FIND(md_init_2, "dnnl_memory_desc_init_by_strides")
		FIND(matmul_init_2, "dnnl_matmul_desc_init")
		FIND(pd_create_2, "dnnl_primitive_desc_create")
	} else {
		FIND(append_sum_3, "dnnl_post_ops_append_sum")
		FIND(md_create_3, "dnnl_memory_desc_create_with_strides")
		FIND(md_destroy_3, "dnnl_memory_desc_destroy")
		FIND(matmul_pd_create_3, "dnnl_matmul_primitive_desc_create")
	}
#undef FIND
	return d.engine_create(&d.engine, engine_cpu, 0) == 0 && d.stream_create(&d.stream, d.engine, stream_in_order) == 0;
}

int lw_onednn_sgemm(int ta, int tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
					float *c, int64_t ldc) {
	lw_join();
	const int failed = d.sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
	lw_leave();
	return failed;
}

// A product of one shape, made once: making a primitive compiles code.
typedef struct {
	int64_t key[9];
	handle primitive, src, weights, dst;
} product;

static int describe(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, int type, memory_desc *own, handle *md) {
	const int64_t dims[2] = {rows, cols}, strides[2] = {row_stride, col_stride};
	if (d.major == 3) return d.md_create_3(md, 2, dims, type, strides);
	*md = own;
	return d.md_init_2(own, 2, dims, type, strides);
}

static int make(product *p, int ta, int tb, int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldb, int64_t ldc, int add) {
	memory_desc own[3];
	handle a, b, c, attr, ops, pd;
	if (describe(m, k, ta ? 1 : lda, ta ? lda : 1, type_bf16, &own[0], &a) ||
		describe(k, n, tb ? 1 : ldb, tb ? ldb : 1, type_bf16, &own[1], &b) ||
		describe(m, n, ldc, 1, type_f32, &own[2], &c) || d.attr_create(&attr))
		return 1;
	if (add) {
		if (d.post_ops_create(&ops)) return 1;
		if (d.major == 3 ? d.append_sum_3(ops, 1, 0, 0) : d.append_sum_2(ops, 1)) return 1;
		if (d.attr_set_post_ops(attr, ops)) return 1;
		d.post_ops_destroy(ops);
	}
	int failed;
	if (d.major == 3) {
		failed = d.matmul_pd_create_3(&pd, d.engine, a, b, NULL, c, attr);
	} else {
		static matmul_desc op;
		failed = d.matmul_init_2(&op, a, b, NULL, c) || d.pd_create_2(&pd, &op, attr, d.engine, NULL);
	}
	if (failed || d.primitive_create(&p->primitive, pd)) return 1;
	failed = d.memory_create(&p->src, a, d.engine, NULL) || d.memory_create(&p->weights, b, d.engine, NULL) ||
			 d.memory_create(&p->dst, c, d.engine, NULL);
	d.pd_destroy(pd);
	d.attr_destroy(attr);
	if (d.major == 3) d.md_destroy_3(a), d.md_destroy_3(b), d.md_destroy_3(c);
	return failed;
}

int lw_onednn_bf16(int ta, int tb, int64_t m, int64_t n, int64_t k, const uint16_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
				   float beta, float *c, int64_t ldc) {
	lw_join();
	static product *cache;
	static size_t count, room;
	const int64_t key[9] = {ta, tb, m, n, k, lda, ldb, ldc, beta != 0};
	product *p = NULL;
	for (size_t i = 0; i < count; i++)
		if (!memcmp(cache[i].key, key, sizeof key)) p = &cache[i];
	if (!p) {
		if (count == room) {
			room = room ? 2 * room : 64;
			product *more = realloc(cache, room * sizeof *cache);
			if (!more) return 1;
			cache = more;
		}
		product made = {0};
		if (make(&made, ta, tb, m, n, k, lda, ldb, ldc, beta != 0)) return 1;
		memcpy(made.key, key, sizeof key);
		cache[count] = made;
		p = &cache[count++];
	}
	const exec_arg args[3] = {{arg_src, p->src}, {arg_weights, p->weights}, {arg_dst, p->dst}};
	const int failed = d.memory_set(p->src, (void *)a) || d.memory_set(p->weights, (void *)b) || d.memory_set(p->dst, c) ||
					   d.execute(p->primitive, d.stream, 3, args) || d.stream_wait(d.stream);
	lw_leave();
	return failed;
}
