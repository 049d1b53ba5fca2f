using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp.Interop;
using static TorchSharp.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public static partial class autograd
    {
        /// <summary>
        /// An operator whose forward and backward are managed code. Forward runs without recording a graph, on the caller's thread.
        /// Backward runs on the thread that drives the backward pass (the caller's, on the CPU), once for each use of the result, before
        /// the gradients it returns are accumulated.
        /// </summary>
        /// <remarks>
        /// An exception that leaves backward cannot pass through libtorch: it ends the process, here as in the genuine package. Catch it
        /// inside, and throw it again once <see cref="Tensor.backward()"/> has returned.
        /// </remarks>
        public abstract class Function<T> where T : Function<T>, new()
        {
            private static readonly T Instance = new();

            public abstract string Name { get; }

            public static unsafe List<Tensor> apply_internal(params object[] vars)
            {
                var context = new AutogradContext([.. vars.Select(value => value is Tensor { IsInvalid: false })]);
                List<Tensor> outputs;
                using (no_grad()) outputs = Instance.forward_internal(context, vars);

                var inputs = Handles(vars.OfType<Tensor>().Where(tensor => !tensor.IsInvalid));
                var savedTensors = context.TakeSaved();
                var (outs, saved) = (Handles(outputs), Handles(savedTensors.Select(tensor => tensor is { IsInvalid: true } ? null : tensor)));
                var (dirty, constant) = (Handles(context.DirtyTensors), Handles(context.NonDifferentiableTensors));
                var results = new IntPtr[outs.Length];
                var node = GCHandle.Alloc(new Node(context, Instance.BackwardOf));
                fixed (IntPtr* i = inputs, o = outs, s = saved, d = dirty, c = constant, r = results)
                {
                    THSAutograd_Function_apply(
                        new(i, inputs.Length), new(o, outs.Length), new(s, saved.Length), new(d, dirty.Length), new(c, constant.Length),
                        context.MaterializeGrads ? 1 : 0, GCHandle.ToIntPtr(node), &Node.Backward, &Node.Release, r);
                }
                CheckForErrors();
                GC.KeepAlive((vars, outputs, savedTensors));
                return [.. results.Select(handle => new Tensor(handle))];
            }

            internal abstract List<Tensor> forward_internal(AutogradContext ctx, params object[] vars);

            internal abstract List<Tensor> backward_internal(AutogradContext ctx, List<Tensor> grad_outputs);

            /// <summary>The gradients of the tensor arguments alone, in order.</summary>
            private List<Tensor> BackwardOf(AutogradContext context, List<Tensor> gradOutputs)
            {
                var grads = backward_internal(context, gradOutputs);
                var arguments = context.TensorArguments;
                var surplus = grads.Skip(arguments.Length).Any(grad => grad is { IsInvalid: false });
                if (grads.Count < arguments.Length || surplus)
                    throw new InvalidOperationException(
                        $"Function {Name} returned an incorrect number of gradients (expected {arguments.Length}), got {grads.Count}");
                for (var i = 0; i < arguments.Length; i++)
                {
                    if (!arguments[i] && grads[i] is { IsInvalid: false })
                        throw new InvalidOperationException(
                            $"Function {Name} returned a gradient at position {i + 1}, but the corresponding forward input was not a Tensor");
                }
                return [.. grads.Take(arguments.Length).Where((_, i) => arguments[i])];
            }
        }

        /// <summary>A custom function with one result.</summary>
        public abstract class SingleTensorFunction<T> : Function<T> where T : SingleTensorFunction<T>, new()
        {
            public static Tensor apply(params object[] vars) => apply_internal(vars)[0];

            public abstract Tensor forward(AutogradContext ctx, params object[] vars);

            /// <summary>One gradient for each of forward's arguments; null for those that are no tensors or need none.</summary>
            public abstract List<Tensor> backward(AutogradContext ctx, Tensor grad_output);

            internal sealed override List<Tensor> forward_internal(AutogradContext ctx, params object[] vars) => [forward(ctx, vars)];

            internal sealed override List<Tensor> backward_internal(AutogradContext ctx, List<Tensor> grad_outputs) => backward(ctx, grad_outputs[0]);
        }

        /// <summary>A custom function with any number of results.</summary>
        public abstract class MultiTensorFunction<T> : Function<T> where T : MultiTensorFunction<T>, new()
        {
            public static List<Tensor> apply(params object[] vars) => apply_internal(vars);

            public abstract List<Tensor> forward(AutogradContext ctx, params object[] vars);

            public abstract List<Tensor> backward(AutogradContext ctx, List<Tensor> grad_outputs);

            internal sealed override List<Tensor> forward_internal(AutogradContext ctx, params object[] vars) => forward(ctx, vars);

            internal sealed override List<Tensor> backward_internal(AutogradContext ctx, List<Tensor> grad_outputs) => backward(ctx, grad_outputs);
        }

        /// <summary>The managed half of a graph node: what libtorch calls back, and when it lets go.</summary>
        private sealed class Node(AutogradContext context, Func<AutogradContext, List<Tensor>, List<Tensor>> backward)
        {
            [UnmanagedCallersOnly]
            public static unsafe void Backward(IntPtr handle, IntPtr native, TensorArray gradOutputs, TensorArray gradInputs)
            {
                try
                {
                    ((Node)GCHandle.FromIntPtr(handle).Target!).Run(native, gradOutputs, gradInputs);
                }
                catch (Exception exception)
                {
                    // As in the genuine package: the frames in between are libtorch's and know no managed exceptions.
                    Environment.FailFast("An exception left the backward of a custom autograd function.", exception);
                }
            }

            [UnmanagedCallersOnly]
            public static void Release(IntPtr handle)
            {
                var pinned = GCHandle.FromIntPtr(handle);
                ((Node)pinned.Target!).Context.Dispose();
                pinned.Free();
            }

            private AutogradContext Context => context;

            private unsafe void Run(IntPtr native, TensorArray gradOutputs, TensorArray gradInputs)
            {
                lock (context)
                {
                    var grads = new List<Tensor>((int)gradOutputs.Length);
                    for (var i = 0; i < gradOutputs.Length; i++) grads.Add(new Tensor(gradOutputs.Handles[i]));
                    context.Native = native;
                    try
                    {
                        var results = backward(context, grads);
                        for (var i = 0; i < gradInputs.Length; i++)
                            gradInputs.Handles[i] = results[i] is { IsInvalid: false } grad ? THSTensor_alias(grad.Handle) : IntPtr.Zero;
                        GC.KeepAlive(results);
                    }
                    finally
                    {
                        context.Native = IntPtr.Zero;
                    }
                }
            }
        }
    }
}
