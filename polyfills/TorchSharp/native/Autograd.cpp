// Backward passes, gradient modes, and functions whose backward is managed code.
#include "Exports.h"

#include <algorithm>
#include <vector>

#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/grad_mode.h>

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

namespace {

struct TensorArray {
    TensorHandle* handles;
    int64_t length;
};

variable_list to_list(const TensorArray& array)
{
    variable_list list;
    list.reserve(array.length);
    for (int64_t i = 0; i < array.length; i++)
        list.push_back(array.handles[i] == nullptr ? at::Tensor() : *array.handles[i]);
    return list;
}

// Called on the thread that runs backward, before the gradients it returns are accumulated. Takes ownership of the handles in
// `grad_outputs` and gives ownership of those it writes to `grad_inputs`. Must not throw.
using ManagedBackward = void (*)(void* context, AutogradContext* native, TensorArray grad_outputs, TensorArray grad_inputs);
using ManagedRelease = void (*)(void* context);

// Owned by the graph node, so that the managed context lives exactly as long as the node does.
struct ManagedContext : torch::CustomClassHolder {
    void* context;
    ManagedBackward backward;
    ManagedRelease release;
    ManagedContext(void* context_, ManagedBackward backward_, ManagedRelease release_)
        : context(context_), backward(backward_), release(release_) {}
    ~ManagedContext() override { release(context); }
};

// What the managed forward pass decided before the graph node is made.
struct ForwardResult {
    variable_list outputs, saved, dirty, non_differentiable;
    bool materialize_grads;
};

constexpr const char* kManagedContext = "managed context";
constexpr const char* kInputCount = "input count";

// The forward pass has run in managed code already; this makes the graph node around its outputs. libtorch's own Function
// does the wrapping (views, in-place marks, version counters), whose details differ between its versions. The inputs come as
// a TensorList: a std::vector would not be recognised as tensors.
struct ManagedFunction : torch::autograd::Function<ManagedFunction> {
    static variable_list forward(
        AutogradContext* ctx, at::TensorList inputs, ForwardResult* result, c10::intrusive_ptr<ManagedContext> managed)
    {
        ctx->set_materialize_grads(result->materialize_grads);
        ctx->mark_dirty(result->dirty);
        ctx->mark_non_differentiable(result->non_differentiable);
        ctx->save_for_backward(result->saved);
        ctx->saved_data[kInputCount] = static_cast<int64_t>(inputs.size());
        ctx->saved_data[kManagedContext] =
            c10::IValue::make_capsule(std::move(managed));
        return result->outputs;
    }

    static variable_list backward(AutogradContext* ctx, variable_list grad_outputs)
    {
        const auto capsule = ctx->saved_data[kManagedContext].toCapsule();
        const auto* managed = static_cast<const ManagedContext*>(capsule.get());
        const auto inputs = ctx->saved_data[kInputCount].toInt();

        std::vector<TensorHandle> grads;
        grads.reserve(grad_outputs.size());
        for (auto& grad : grad_outputs)
            grads.push_back(to_handle(std::move(grad)));
        std::vector<TensorHandle> results(inputs, nullptr);
        managed->backward(managed->context, ctx, {grads.data(), static_cast<int64_t>(grads.size())}, {results.data(), inputs});

        // One gradient an input, and an undefined one for each of the two arguments of `forward` that are no tensors.
        variable_list grad_inputs(inputs + 2);
        for (int64_t i = 0; i < inputs; i++) {
            if (results[i] != nullptr) {
                grad_inputs[i] = std::move(*results[i]);
                delete results[i];
            }
        }
        return grad_inputs;
    }
};

} // namespace

EXPORT int32_t THSAutograd_isGradEnabled() { return at::GradMode::is_enabled(); }

EXPORT void THSAutograd_setGrad(int32_t enabled) { at::GradMode::set_enabled(enabled != 0); }

EXPORT int32_t THSAutograd_isInferenceModeEnabled() { return c10::InferenceMode::is_enabled(); }

EXPORT c10::InferenceMode* THSAutograd_getInferenceModeGuard(int32_t mode)
{
    return guarded<c10::InferenceMode*>(nullptr, [&] { return new c10::InferenceMode(mode != 0); });
}

EXPORT void THSAutograd_deleteInferenceModeGuard(c10::InferenceMode* guard) { delete guard; }

EXPORT void THSAutograd_backward(
    TensorArray tensors, TensorArray grad_tensors, int32_t retain_graph, int32_t create_graph, TensorArray inputs)
{
    guarded([&] {
        torch::autograd::backward(
            to_list(tensors), to_list(grad_tensors), retain_graph != 0, create_graph != 0, to_list(inputs));
    });
}

// Writes one handle (null where unused) for each input into `results`.
EXPORT void THSAutograd_grad(
    TensorArray outputs, TensorArray inputs, TensorArray grad_outputs, int32_t retain_graph, int32_t create_graph,
    int32_t allow_unused, TensorHandle* results)
{
    guarded([&] {
        auto grads = torch::autograd::grad(
            to_list(outputs), to_list(inputs), to_list(grad_outputs), retain_graph != 0, create_graph != 0, allow_unused != 0);
        for (auto& grad : grads)
            *results++ = to_handle(std::move(grad));
    });
}

// `context` is released when the graph node is gone, also when this call fails. Writes one handle an output into `results`.
EXPORT void THSAutograd_Function_apply(
    TensorArray inputs, TensorArray outputs, TensorArray saved, TensorArray dirty, TensorArray non_differentiable,
    int32_t materialize_grads, void* context, ManagedBackward backward, ManagedRelease release, TensorHandle* results)
{
    guarded([&] {
        auto managed = c10::make_intrusive<ManagedContext>(context, backward, release);
        ForwardResult forward{to_list(outputs), to_list(saved), to_list(dirty), to_list(non_differentiable), materialize_grads != 0};
        const auto variables = to_list(inputs);
        auto wrapped = ManagedFunction::apply(at::TensorList(variables), &forward, std::move(managed));
        for (auto& output : wrapped)
            *results++ = to_handle(std::move(output));
    });
}

// How many tensors the forward pass saved, with the first `capacity` of them in `results`; -1 with an error remembered, for
// example when a saved tensor was changed in place since or the graph was freed.
EXPORT int64_t THSAutograd_saved_variables(AutogradContext* context, TensorHandle* results, int64_t capacity)
{
    return guarded<int64_t>(-1, [&] {
        auto saved = context->get_saved_variables();
        for (int64_t i = 0; i < std::min<int64_t>(capacity, saved.size()); i++)
            results[i] = to_handle(std::move(saved[i]));
        return static_cast<int64_t>(saved.size());
    });
}
