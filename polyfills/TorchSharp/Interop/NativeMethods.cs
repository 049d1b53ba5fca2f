using System.Reflection;
using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>The exports of <c>libLibTorchSharp.so</c>, in the order of native/*.cpp.</summary>
internal static unsafe partial class NativeMethods
{
    private const string Library = "LibTorchSharp";

    static NativeMethods() => NativeLibrary.SetDllImportResolver(typeof(NativeMethods).Assembly, Resolve);

    private static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) =>
        name == Library ? LoadFrom(AppContext.BaseDirectory) : IntPtr.Zero;

    internal static IntPtr LoadFrom(string folder)
    {
        var path = Path.Combine(folder, "libLibTorchSharp.so");
        if (!File.Exists(path))
            throw new DllNotFoundException($"{path} does not exist: the native part of TorchSharp is not built; run ./cluster setup and build again");
        try
        {
            return NativeLibrary.Load(path);
        }
        catch (DllNotFoundException exception)
        {
            throw new DllNotFoundException($"{path} does not load; run ./cluster setup to install libtorch and rebuild it: {exception.Message}", exception);
        }
    }

    /// <summary>Throws what libtorch reported on this thread since the last call, if anything.</summary>
    internal static void CheckForErrors()
    {
        var message = THSTorch_get_and_reset_last_err();
        if (message != IntPtr.Zero) throw new ExternalException(Marshal.PtrToStringUTF8(message));
    }

    [StructLayout(LayoutKind.Sequential)]
    internal readonly struct TensorArray(IntPtr* handles, long length)
    {
        public readonly IntPtr* Handles = handles;
        public readonly long Length = length;
    }

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)] internal static partial IntPtr THSOperator_find(string name, string overload);
    [LibraryImport(Library)] internal static partial long THSOperator_call(IntPtr op, NativeArgument* arguments, long count, IntPtr* results, long capacity);

    [LibraryImport(Library)] internal static partial IntPtr THSTorch_get_and_reset_last_err();
    [LibraryImport(Library)] internal static partial void THSTensor_dispose(IntPtr tensor);
    [LibraryImport(Library)] internal static partial IntPtr THSTensor_alias(IntPtr tensor);
    [LibraryImport(Library)] internal static partial IntPtr THSTensor_data(IntPtr tensor);
    [LibraryImport(Library)] internal static partial long THSTensor_ndimension(IntPtr tensor);
    [LibraryImport(Library)] internal static partial long THSTensor_numel(IntPtr tensor);
    [LibraryImport(Library)] internal static partial long THSTensor_element_size(IntPtr tensor);
    [LibraryImport(Library)] internal static partial long THSTensor_storage_offset(IntPtr tensor);
    [LibraryImport(Library)] internal static partial void THSTensor_sizes_and_strides(IntPtr tensor, long* sizes, long* strides);
    [LibraryImport(Library)] internal static partial long THSTensor_size(IntPtr tensor, long dim);
    [LibraryImport(Library)] internal static partial long THSTensor_stride(IntPtr tensor, long dim);
    [LibraryImport(Library)] internal static partial sbyte THSTensor_type(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int THSTensor_device_type(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int THSTensor_device_index(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int THSTensor_is_contiguous(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int THSTensor_requires_grad(IntPtr tensor);
    [LibraryImport(Library)] internal static partial void THSTensor_set_requires_grad(IntPtr tensor, int requiresGrad);
    [LibraryImport(Library)] internal static partial int THSTensor_is_leaf(IntPtr tensor);
    [LibraryImport(Library)] internal static partial void THSTensor_retain_grad(IntPtr tensor);
    [LibraryImport(Library)] internal static partial IntPtr THSTensor_grad(IntPtr tensor);
    [LibraryImport(Library)] internal static partial void THSTensor_set_grad(IntPtr tensor, IntPtr grad);

    [LibraryImport(Library)] internal static partial IntPtr THSGenerator_default_generator();
    [LibraryImport(Library)] internal static partial IntPtr THSGenerator_new(ulong seed, int deviceType, int deviceIndex);
    [LibraryImport(Library)] internal static partial void THSGenerator_dispose(IntPtr generator);
    [LibraryImport(Library)] internal static partial void THSGenerator_gen_manual_seed(IntPtr generator, long seed);
    [LibraryImport(Library)] internal static partial long THSGenerator_initial_seed(IntPtr generator);
    [LibraryImport(Library)] internal static partial IntPtr THSGenerator_get_rng_state(IntPtr generator);
    [LibraryImport(Library)] internal static partial void THSGenerator_set_rng_state(IntPtr generator, IntPtr state);

    [LibraryImport(Library)] internal static partial void THSTorch_manual_seed(long seed);
    [LibraryImport(Library)] internal static partial int THSTorchCuda_is_available();
    [LibraryImport(Library)] internal static partial int THSTorchCuda_device_count();
    [LibraryImport(Library)] internal static partial int THSBackend_cublas_get_allow_tf32();
    [LibraryImport(Library)] internal static partial void THSBackend_cublas_set_allow_tf32(int flag);
    [LibraryImport(Library)] internal static partial int THSBackend_cudnn_get_allow_tf32();
    [LibraryImport(Library)] internal static partial void THSBackend_cudnn_set_allow_tf32(int flag);
    [LibraryImport(Library)] internal static partial void THSTorch_set_num_threads(int threads);
    [LibraryImport(Library)] internal static partial int THSTorch_get_num_threads();
    [LibraryImport(Library)] internal static partial void THSTorch_set_num_interop_threads(int threads);
    [LibraryImport(Library)] internal static partial int THSTorch_get_num_interop_threads();
    [LibraryImport(Library)] internal static partial IntPtr THSTorch_version();

    [LibraryImport(Library)] internal static partial int THSAutograd_isGradEnabled();
    [LibraryImport(Library)] internal static partial void THSAutograd_setGrad(int enabled);
    [LibraryImport(Library)] internal static partial int THSAutograd_isInferenceModeEnabled();
    [LibraryImport(Library)] internal static partial IntPtr THSAutograd_getInferenceModeGuard(int mode);
    [LibraryImport(Library)] internal static partial void THSAutograd_deleteInferenceModeGuard(IntPtr guard);
    [LibraryImport(Library)]
    internal static partial void THSAutograd_backward(
        TensorArray tensors, TensorArray gradTensors, int retainGraph, int createGraph, TensorArray inputs);
    [LibraryImport(Library)]
    internal static partial void THSAutograd_grad(
        TensorArray outputs, TensorArray inputs, TensorArray gradOutputs, int retainGraph, int createGraph, int allowUnused, IntPtr* results);
    [LibraryImport(Library)]
    internal static partial void THSAutograd_Function_apply(
        TensorArray inputs, TensorArray outputs, TensorArray saved, TensorArray dirty, TensorArray nonDifferentiable, int materializeGrads,
        IntPtr context, delegate* unmanaged<IntPtr, IntPtr, TensorArray, TensorArray, void> backward,
        delegate* unmanaged<IntPtr, void> release, IntPtr* results);
    [LibraryImport(Library)] internal static partial long THSAutograd_saved_variables(IntPtr context, IntPtr* results, long capacity);
}
