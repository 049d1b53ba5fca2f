// What is asked of a tensor handle directly, random generators, and libtorch's process-wide settings.
#include "Exports.h"

#include <algorithm>
#include <mutex>
#include <string>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Generator.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/version.h>

namespace {
thread_local std::string last_error;
thread_local bool has_error = false;
thread_local std::string fetched_error;
} // namespace

void remember_error(const char* message) noexcept
{
    try {
        last_error = message;
        has_error = true;
    } catch (...) {
        std::terminate(); // not even the message fits into memory
    }
}

// The pointer stays valid until the thread's next call; null when nothing failed since the last one.
EXPORT const char* THSTorch_get_and_reset_last_err()
{
    if (!has_error)
        return nullptr;
    has_error = false;
    fetched_error.swap(last_error);
    return fetched_error.c_str();
}

EXPORT void THSTensor_dispose(TensorHandle tensor) { delete tensor; }

EXPORT TensorHandle THSTensor_alias(TensorHandle tensor)
{
    return guarded<TensorHandle>(nullptr, [&] { return to_handle(*tensor); });
}

EXPORT void* THSTensor_data(TensorHandle tensor)
{
    return guarded<void*>(nullptr, [&] { return tensor->data_ptr(); });
}

EXPORT int64_t THSTensor_ndimension(TensorHandle tensor)
{
    return guarded<int64_t>(-1, [&] { return tensor->dim(); });
}

EXPORT int64_t THSTensor_numel(TensorHandle tensor)
{
    return guarded<int64_t>(-1, [&] { return tensor->numel(); });
}

EXPORT int64_t THSTensor_element_size(TensorHandle tensor)
{
    return guarded<int64_t>(-1, [&] { return static_cast<int64_t>(tensor->element_size()); });
}

EXPORT int64_t THSTensor_storage_offset(TensorHandle tensor)
{
    return guarded<int64_t>(-1, [&] { return tensor->storage_offset(); });
}

// Both arrays have room for THSTensor_ndimension elements; strides may be null.
EXPORT void THSTensor_sizes_and_strides(TensorHandle tensor, int64_t* sizes, int64_t* strides)
{
    guarded([&] {
        const auto size = tensor->sizes();
        std::copy(size.begin(), size.end(), sizes);
        if (strides != nullptr) {
            const auto stride = tensor->strides();
            std::copy(stride.begin(), stride.end(), strides);
        }
    });
}

EXPORT int64_t THSTensor_size(TensorHandle tensor, int64_t dim)
{
    return guarded<int64_t>(-1, [&] { return tensor->size(dim); });
}

EXPORT int64_t THSTensor_stride(TensorHandle tensor, int64_t dim)
{
    return guarded<int64_t>(-1, [&] { return tensor->stride(dim); });
}

EXPORT int8_t THSTensor_type(TensorHandle tensor)
{
    return guarded<int8_t>(-1, [&] { return static_cast<int8_t>(tensor->scalar_type()); });
}

EXPORT int32_t THSTensor_device_type(TensorHandle tensor)
{
    return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->device().type()); });
}

EXPORT int32_t THSTensor_device_index(TensorHandle tensor)
{
    return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->device().index()); });
}

EXPORT int32_t THSTensor_is_contiguous(TensorHandle tensor)
{
    return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->is_contiguous()); });
}

EXPORT int32_t THSTensor_requires_grad(TensorHandle tensor)
{
    return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->requires_grad()); });
}

EXPORT void THSTensor_set_requires_grad(TensorHandle tensor, int32_t requires_grad)
{
    guarded([&] { tensor->set_requires_grad(requires_grad != 0); });
}

EXPORT int32_t THSTensor_is_leaf(TensorHandle tensor)
{
    return guarded<int32_t>(-1, [&] { return static_cast<int32_t>(tensor->is_leaf()); });
}

EXPORT void THSTensor_retain_grad(TensorHandle tensor)
{
    guarded([&] { tensor->retain_grad(); });
}

EXPORT TensorHandle THSTensor_grad(TensorHandle tensor)
{
    return guarded<TensorHandle>(nullptr, [&] { return to_handle(tensor->grad()); });
}

// The gradient is taken as it is, a view of a larger buffer included: backward then accumulates into that memory.
EXPORT void THSTensor_set_grad(TensorHandle tensor, TensorHandle grad)
{
    guarded([&] {
        if (grad == nullptr)
            tensor->mutable_grad().reset();
        else
            tensor->mutable_grad() = *grad;
    });
}

EXPORT at::Generator* THSGenerator_default_generator()
{
    return guarded<at::Generator*>(nullptr, [] { return new at::Generator(at::globalContext().defaultGenerator(at::kCPU)); });
}

// A clone of the device's default generator is the one way to a generator of any device that all libtorch versions share.
EXPORT at::Generator* THSGenerator_new(uint64_t seed, int32_t device_type, int32_t device_index)
{
    return guarded<at::Generator*>(nullptr, [&] {
        const c10::Device device(static_cast<c10::DeviceType>(device_type), static_cast<c10::DeviceIndex>(device_index));
        auto generator = at::globalContext().defaultGenerator(device).clone();
        generator.set_current_seed(seed);
        return new at::Generator(std::move(generator));
    });
}

EXPORT void THSGenerator_dispose(at::Generator* generator) { delete generator; }

EXPORT void THSGenerator_gen_manual_seed(at::Generator* generator, int64_t seed)
{
    guarded([&] {
        const std::lock_guard<std::mutex> lock(generator->mutex());
        generator->set_current_seed(static_cast<uint64_t>(seed));
    });
}

EXPORT int64_t THSGenerator_initial_seed(at::Generator* generator)
{
    return guarded<int64_t>(-1, [&] { return static_cast<int64_t>(generator->current_seed()); });
}

EXPORT TensorHandle THSGenerator_get_rng_state(at::Generator* generator)
{
    return guarded<TensorHandle>(nullptr, [&] {
        const std::lock_guard<std::mutex> lock(generator->mutex());
        return to_handle(generator->get_state());
    });
}

EXPORT void THSGenerator_set_rng_state(at::Generator* generator, TensorHandle state)
{
    guarded([&] {
        const std::lock_guard<std::mutex> lock(generator->mutex());
        generator->set_state(*state);
    });
}

EXPORT void THSTorch_manual_seed(int64_t seed)
{
    guarded([&] { at::manual_seed(static_cast<uint64_t>(seed)); });
}

EXPORT int32_t THSTorchCuda_is_available()
{
    return guarded<int32_t>(0, [] { return static_cast<int32_t>(at::hasCUDA() && at::getNumGPUs() > 0); });
}

EXPORT int32_t THSTorchCuda_device_count()
{
    return guarded<int32_t>(0, [] { return at::hasCUDA() ? static_cast<int32_t>(at::getNumGPUs()) : 0; });
}

// Of float32 products on a GPU's tensor cores, whose factors keep 10 bits of mantissa.
EXPORT int32_t THSBackend_cublas_get_allow_tf32()
{
    return guarded<int32_t>(0, [] { return static_cast<int32_t>(at::globalContext().allowTF32CuBLAS()); });
}

EXPORT void THSBackend_cublas_set_allow_tf32(int32_t flag)
{
    guarded([&] { at::globalContext().setAllowTF32CuBLAS(flag != 0); });
}

EXPORT int32_t THSBackend_cudnn_get_allow_tf32()
{
    return guarded<int32_t>(0, [] { return static_cast<int32_t>(at::globalContext().allowTF32CuDNN()); });
}

EXPORT void THSBackend_cudnn_set_allow_tf32(int32_t flag)
{
    guarded([&] { at::globalContext().setAllowTF32CuDNN(flag != 0); });
}

EXPORT void THSTorch_set_num_threads(int32_t threads)
{
    guarded([&] { at::set_num_threads(threads); });
}

EXPORT int32_t THSTorch_get_num_threads()
{
    return guarded<int32_t>(-1, [] { return at::get_num_threads(); });
}

EXPORT void THSTorch_set_num_interop_threads(int32_t threads)
{
    guarded([&] { at::set_num_interop_threads(threads); });
}

EXPORT int32_t THSTorch_get_num_interop_threads()
{
    return guarded<int32_t>(-1, [] { return at::get_num_interop_threads(); });
}

EXPORT const char* THSTorch_version() { return TORCH_VERSION; }
