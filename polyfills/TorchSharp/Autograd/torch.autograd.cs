using static TorchSharp.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Until the result is disposed of, this thread records no graph.</summary>
    public static IDisposable no_grad() => new GradMode(false);

    public static IDisposable enable_grad(bool enabled = true) => new GradMode(enabled);

    public static IDisposable set_grad_enabled(bool mode = true) => new GradMode(mode);

    public static bool is_grad_enabled() => THSAutograd_isGradEnabled() != 0;

    /// <summary>As <see cref="no_grad"/>, and tensors made meanwhile can never take part in a graph.</summary>
    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    public static bool is_inference_mode_enabled() => THSAutograd_isInferenceModeEnabled() != 0;

    private sealed class GradMode : IDisposable
    {
        private readonly bool _previous = is_grad_enabled();

        public GradMode(bool enabled) => THSAutograd_setGrad(enabled ? 1 : 0);

        public void Dispose() => THSAutograd_setGrad(_previous ? 1 : 0);
    }

    private sealed class InferenceMode(bool mode) : IDisposable
    {
        private IntPtr _guard = THSAutograd_getInferenceModeGuard(mode ? 1 : 0);

        public void Dispose()
        {
            if (_guard == IntPtr.Zero) return;
            THSAutograd_deleteInferenceModeGuard(_guard);
            _guard = IntPtr.Zero;
        }
    }

    /// <summary>Backward passes.</summary>
    public static partial class autograd
    {
        /// <summary>
        /// The gradients of the outputs' sum (weighted by grad_outputs) for each input, returned rather than accumulated. With
        /// <paramref name="allow_unused"/> an input that does not matter gets null.
        /// </summary>
        public static unsafe IList<Tensor> grad(
            IList<Tensor> outputs, IList<Tensor> inputs, IList<Tensor>? grad_outputs = null,
            bool retain_graph = false, bool create_graph = false, bool allow_unused = false)
        {
            var (outs, ins, grads) = (Handles(outputs), Handles(inputs), Handles(grad_outputs));
            var results = new IntPtr[ins.Length];
            fixed (IntPtr* o = outs, i = ins, g = grads, r = results)
            {
                THSAutograd_grad(
                    new(o, outs.Length), new(i, ins.Length), new(g, grads.Length),
                    retain_graph ? 1 : 0, create_graph ? 1 : 0, allow_unused ? 1 : 0, r);
            }
            CheckForErrors();
            GC.KeepAlive((outputs, inputs, grad_outputs));
            return [.. results.Select(handle => handle == IntPtr.Zero ? null! : new Tensor(handle))];
        }

        /// <summary>
        /// Accumulates gradients in the leaves, or in <paramref name="inputs"/> alone. On the CPU custom functions run on the calling
        /// thread; with CUDA on an autograd thread.
        /// </summary>
        public static unsafe void backward(
            IList<Tensor> tensors, IList<Tensor>? grad_tensors = null, bool? retain_graph = null, bool create_graph = false,
            IList<Tensor>? inputs = null)
        {
            var (roots, grads, ins) = (Handles(tensors), Handles(grad_tensors), Handles(inputs));
            fixed (IntPtr* t = roots, g = grads, i = ins)
            {
                THSAutograd_backward(
                    new(t, roots.Length), new(g, grads.Length), retain_graph ?? create_graph ? 1 : 0, create_graph ? 1 : 0,
                    new(i, ins.Length));
            }
            CheckForErrors();
            GC.KeepAlive((tensors, grad_tensors, inputs));
        }

        public static void backward(
            Tensor tensor, IList<Tensor>? grad_tensors = null, bool? retain_graph = null, bool create_graph = false,
            IList<Tensor>? inputs = null) =>
            backward([tensor], grad_tensors, retain_graph, create_graph, inputs);

        private static IntPtr[] Handles(IEnumerable<Tensor?>? tensors) =>
            tensors is null ? [] : [.. tensors.Select(tensor => tensor?.Handle ?? IntPtr.Zero)];
    }
}
