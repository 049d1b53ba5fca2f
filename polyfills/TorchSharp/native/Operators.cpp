// Calls any operator of the dispatcher by its schema name, so that one entry point serves all of them.
// The managed side names operators as PyTorch's native_functions.yaml does, for example "aten::add" / "Tensor".
#include "Exports.h"

#include <algorithm>
#include <string>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/jit_type.h>
#include <ATen/core/stack.h>

namespace {

enum class Kind : int32_t {
    None = 0, Tensor = 1, Int = 2, Double = 3, Bool = 4, Ints = 5, Tensors = 6, OptionalTensors = 7, Device = 8, String = 9, Generator = 10
};

// Mirrors NativeArgument in Operator.cs. `length` counts the elements of a list; for a device it is the index.
struct Argument {
    Kind kind;
    union {
        int64_t integer;
        double real;
        const void* pointer;
    };
    int64_t length;
};

at::Tensor tensor_or_undefined(TensorHandle handle)
{
    return handle == nullptr ? at::Tensor() : *handle;
}

c10::IValue to_ivalue(const Argument& argument)
{
    switch (argument.kind) {
        case Kind::None:
            return {};
        case Kind::Tensor:
            return tensor_or_undefined(static_cast<TensorHandle>(const_cast<void*>(argument.pointer)));
        case Kind::Int:
            return argument.integer;
        case Kind::Double:
            return argument.real;
        case Kind::Bool:
            return argument.integer != 0;
        case Kind::Ints: {
            const auto* first = static_cast<const int64_t*>(argument.pointer);
            return std::vector<int64_t>(first, first + argument.length);
        }
        case Kind::Tensors: {
            const auto* handles = static_cast<const TensorHandle*>(argument.pointer);
            std::vector<at::Tensor> tensors;
            tensors.reserve(argument.length);
            for (int64_t i = 0; i < argument.length; i++)
                tensors.push_back(tensor_or_undefined(handles[i]));
            return tensors;
        }
        case Kind::OptionalTensors: {
            const auto* handles = static_cast<const TensorHandle*>(argument.pointer);
            // By element type rather than as c10::List<optional<Tensor>>: which optional that is differs between versions.
            c10::impl::GenericList tensors(c10::OptionalType::create(c10::TensorType::get()));
            tensors.reserve(argument.length);
            for (int64_t i = 0; i < argument.length; i++)
                tensors.push_back(handles[i] == nullptr ? c10::IValue() : c10::IValue(*handles[i]));
            return tensors;
        }
        case Kind::Device:
            return c10::Device(static_cast<c10::DeviceType>(argument.integer), static_cast<c10::DeviceIndex>(argument.length));
        case Kind::String:
            return std::string(static_cast<const char*>(argument.pointer), argument.length);
        case Kind::Generator:
            return *static_cast<const at::Generator*>(argument.pointer);
    }
    TORCH_CHECK(false, "unknown argument kind ", static_cast<int32_t>(argument.kind));
}

void append_result(c10::IValue&& value, std::vector<TensorHandle>& results)
{
    if (value.isTensor()) {
        results.push_back(to_handle(std::move(value).toTensor()));
    } else if (value.isTensorList()) {
        for (at::Tensor tensor : value.toTensorVector())
            results.push_back(to_handle(std::move(tensor)));
    } else if (value.isBool()) {
        // The handle-sized slot carries the truth value itself.
        results.push_back(reinterpret_cast<TensorHandle>(static_cast<intptr_t>(value.toBool())));
    } else {
        TORCH_CHECK(false, "an operator returned ", value.tagKind(), ", which the binding does not read");
    }
}

} // namespace

// Operators live as long as the process; so does the handle.
EXPORT const c10::OperatorHandle* THSOperator_find(const char* name, const char* overload)
{
    return guarded<const c10::OperatorHandle*>(nullptr, [&] {
        return new c10::OperatorHandle(c10::Dispatcher::singleton().findSchemaOrThrow(name, overload));
    });
}

// Arguments beyond `count` take the schema's defaults. With `capacity` 0 the results are dropped (in-place operators return
// their own argument). Returns how many results were written, or -1 with an error remembered.
EXPORT int64_t THSOperator_call(
    const c10::OperatorHandle* op, const Argument* arguments, int64_t count, TensorHandle* results, int64_t capacity)
{
    return guarded<int64_t>(-1, [&]() -> int64_t {
        const auto& schema = op->schema().arguments();
        TORCH_CHECK(count <= static_cast<int64_t>(schema.size()), op->schema().name(), " takes ", schema.size(), " arguments, not ", count);
        torch::jit::Stack stack;
        stack.reserve(schema.size());
        for (int64_t i = 0; i < count; i++)
            stack.push_back(to_ivalue(arguments[i]));
        for (size_t i = count; i < schema.size(); i++) {
            TORCH_CHECK(schema[i].default_value().has_value(), op->schema().name(), " lacks its argument ", schema[i].name());
            stack.push_back(*schema[i].default_value());
        }

        op->callBoxed(&stack);

        if (capacity == 0)
            return 0;
        std::vector<TensorHandle> handles;
        for (auto& value : stack)
            append_result(std::move(value), handles);
        if (static_cast<int64_t>(handles.size()) > capacity) {
            for (auto* handle : handles)
                delete handle;
            TORCH_CHECK(false, op->schema().name(), " gave ", handles.size(), " results where ", capacity, " were expected");
        }
        std::copy(handles.begin(), handles.end(), results);
        return static_cast<int64_t>(handles.size());
    });
}
