using TorchSharp.Interop;
using static TorchSharp.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>
    /// An owned reference to a libtorch tensor. Operators return new references, disposed of by the thread's innermost
    /// <see cref="DisposeScope"/>, by <see cref="Dispose()"/> or at last by the finaliser.
    /// </summary>
    public partial class Tensor : IDisposable
    {
        private static long _totalCount;
        private static long _peakCount;

        internal IntPtr handle;

        internal Tensor(IntPtr handle, bool register = true)
        {
            this.handle = handle;
            var total = Interlocked.Increment(ref _totalCount);
            if (total > Volatile.Read(ref _peakCount)) _peakCount = total;
            if (register) OwningDisposeScope = DisposeScopeManager.ThreadSingleton.RegisterOnCurrentDisposeScope(this);
        }

        ~Tensor() => Dispose(false);

        /// <summary>How many managed references exist; a figure that grows from step to step is a leak.</summary>
        public static long TotalCount => Interlocked.Read(ref _totalCount);

        public static long PeakCount => Interlocked.Read(ref _peakCount);

        /// <summary>The native <c>at::Tensor*</c>.</summary>
        /// <exception cref="InvalidOperationException">The tensor has been disposed of.</exception>
        public IntPtr Handle => handle != IntPtr.Zero ? handle : throw new InvalidOperationException("Tensor invalid -- empty handle.");

        public bool IsInvalid => handle == IntPtr.Zero;

        /// <summary>A name for people to read.</summary>
        public string? name { get; set; }

        internal DisposeScope? OwningDisposeScope { get; set; }

        /// <summary>A managed reference to a native tensor, which it owns from then on.</summary>
        public static Tensor UnsafeCreateTensor(IntPtr handle) => new(handle);

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (handle == IntPtr.Zero) return;
            DisposeScopeManager.ThreadSingleton.DisposingOnCurrentScope(this);
            OwningDisposeScope?.MarkAsDisposed(this);
            Interlocked.Decrement(ref _totalCount);
            THSTensor_dispose(handle);
            handle = IntPtr.Zero;
        }

        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach(this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.OwningDisposeScope);

        public Tensor MoveToOtherDisposeScope(DisposeScope? other)
        {
            if (OwningDisposeScope is null && other is not null) other.Attach(this);
            else OwningDisposeScope?.MoveToOther(other, this);
            return this;
        }

        /// <summary>Gives up the native tensor to the caller, who must free it.</summary>
        public IntPtr DecoupleFromNativeHandle()
        {
            GC.SuppressFinalize(this);
            var native = Handle;
            Interlocked.Decrement(ref _totalCount);
            handle = IntPtr.Zero;
            return native;
        }

        /// <summary>A second reference to the same native tensor: both may be disposed of independently.</summary>
        public Tensor alias()
        {
            var result = THSTensor_alias(Handle);
            if (result == IntPtr.Zero) CheckForErrors();
            return new Tensor(result);
        }

        /// <summary>Equality of values and shapes, as <see cref="Equals(Tensor)"/>.</summary>
        public override bool Equals(object? obj) => obj is Tensor other && Equals(other);

        public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);

        /// <summary>Type, shape and device, such as <c>[2x3], type = Float32, device = cpu</c>.</summary>
        public override string ToString() => $"[{string.Join('x', shape)}], type = {dtype}, device = {device}";

        /// <summary>Leaves the native tensor to a <see cref="Modules.Parameter"/>. As in the genuine package the emptied reference stays counted.</summary>
        internal IntPtr MoveHandle()
        {
            var native = handle;
            handle = IntPtr.Zero;
            return native;
        }

        private static Tensor Call(string op, params ReadOnlySpan<Argument> arguments) => Operators.Call(op, arguments);

        private Tensor Update(string op, params ReadOnlySpan<Argument> arguments)
        {
            Operators.Run(op, arguments);
            return this;
        }
    }
}
