using static TorchSharp.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public static partial class autograd
    {
        /// <summary>What a custom function's forward leaves for its backward; it lives as long as the graph node does.</summary>
        public class AutogradContext : IDisposable
        {
            private readonly Dictionary<string, object> _data = [];
            private List<Tensor> _toSave = [];
            private int _savedCount;

            internal AutogradContext(bool[] tensorArguments) => TensorArguments = tensorArguments;

            public bool MaterializeGrads { get; private set; } = true;

            /// <summary>Which of forward's arguments are tensors, in order.</summary>
            internal bool[] TensorArguments { get; }

            internal List<Tensor> DirtyTensors { get; private set; } = [];
            internal List<Tensor> NonDifferentiableTensors { get; private set; } = [];

            /// <summary>libtorch's context while backward runs, zero at any other time.</summary>
            internal IntPtr Native { get; set; }

            /// <summary>Inputs and outputs that backward needs. Changing one in place before backward makes backward fail.</summary>
            public void save_for_backward(List<Tensor> tensors) => _toSave = tensors;

            /// <summary>Anything but tensors, by name.</summary>
            public void save_data(string key, object value) => _data[key] = value;

            public object? get_data(string key) => _data.GetValueOrDefault(key);

            /// <summary>Inputs that forward changed in place.</summary>
            public void mark_dirty(List<Tensor> tensors) => DirtyTensors = [.. tensors];

            public void mark_non_differentiable(List<Tensor> tensors) => NonDifferentiableTensors = [.. tensors];

            /// <summary>Whether backward gets zeros (the default) or an invalid tensor for an output without a gradient.</summary>
            public void set_materialize_grads(bool value) => MaterializeGrads = value;

            /// <summary>New references to what forward saved; to be called from backward.</summary>
            public unsafe List<Tensor> get_saved_variables()
            {
                if (Native == IntPtr.Zero) throw new InvalidOperationException("Saved variables can be read in backward only.");
                var results = new IntPtr[_savedCount];
                fixed (IntPtr* first = results)
                {
                    if (THSAutograd_saved_variables(Native, first, results.Length) < 0) CheckForErrors();
                }
                return [.. results.Select(handle => handle == IntPtr.Zero ? null! : new Tensor(handle))];
            }

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
                if (disposing) _data.Clear();
            }

            /// <summary>The tensors to save; the references are the native side's from then on.</summary>
            internal List<Tensor> TakeSaved()
            {
                var saved = _toSave;
                _savedCount = saved.Count;
                _toSave = [];
                return saved;
            }
        }
    }
}
