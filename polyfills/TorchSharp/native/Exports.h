// The C ABI between the managed binding and libtorch. A tensor handle is an owning `at::Tensor*`.
#pragma once

#include <cstdint>
#include <exception>
#include <utility>

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

using TensorHandle = at::Tensor*;

// Keeps the message for the calling thread until THSTorch_get_and_reset_last_err fetches it.
void remember_error(const char* message) noexcept;

inline TensorHandle to_handle(at::Tensor tensor)
{
    return tensor.defined() ? new at::Tensor(std::move(tensor)) : nullptr;
}

// C++ exceptions must not cross the C boundary: they become the fallback value and a remembered message.
template <typename Result, typename Body>
Result guarded(Result fallback, Body&& body) noexcept
{
    try {
        return body();
    } catch (const c10::Error& error) {
        remember_error(error.what_without_backtrace());
    } catch (const std::exception& error) {
        remember_error(error.what());
    } catch (...) {
        remember_error("libtorch threw something that is not a std::exception");
    }
    return fallback;
}

template <typename Body>
void guarded(Body&& body) noexcept
{
    guarded(0, [&] { body(); return 0; });
}
