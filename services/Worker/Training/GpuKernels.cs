using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using TorchSharp;

namespace Cluster.Worker.Training;

/// <summary>Which kernels libtorch takes on a GPU, in this process from here on.</summary>
/// <remarks>TorchSharp shows few of the choices; libtorch's own C++ functions do, by their mangled names.</remarks>
internal static unsafe class GpuKernels
{
    private const string Context = "_ZN2at13globalContextEv"; // at::globalContext()
    private const string Search = "_ZN2at7Context17setBenchmarkCuDNNEb"; // torch.backends.cudnn.benchmark
    private const string DeterministicCudnn = "_ZN2at7Context21setDeterministicCuDNNEb"; // torch.backends.cudnn.deterministic
    private const string FillWithNan = "_ZN2at7Context39setDeterministicFillUninitializedMemoryEb";
    private const string DeterministicOnly = "_ZN2at7Context26setDeterministicAlgorithmsEbb"; // torch.use_deterministic_algorithms

    /// <summary>
    /// Of float32 products those of the tensor cores, if the job says so: PyTorch's own default is convolutions yes, other products no.
    /// Of convolutions the fastest; or of all kernels only those that give the same bits in every run.
    /// </summary>
    /// <exception cref="JobMisconfiguredException">The job wants these, and libtorch has not got the choice.</exception>
    public static void Choose(Hyperparameters hyperparameters)
    {
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = hyperparameters.Precision == Precision.Tf32;
        if (!torch.cuda.is_available())
            return;
        if (hyperparameters.Deterministic)
            BeDeterministic(isWanted: true);
        else
            SearchForTheFastest(isWanted: true);
    }

    /// <summary>
    /// Has cuDNN time its kernels for each new shape instead of guessing; false where libtorch lacks the choice, which leaves it
    /// guessing.
    /// </summary>
    internal static bool SearchForTheFastest(bool isWanted)
    {
        if (!TryFind(Search, out var search, out var context))
            return false;
        ((delegate* unmanaged<nint, byte, void>)search)(context, isWanted ? (byte)1 : (byte)0);
        return true;
    }

    /// <summary>
    /// Only kernels that give the same bits every time; an operation that has none throws (<see cref="OrderFault"/>). Nothing is timed,
    /// for the fastest may be another each time.
    /// </summary>
    /// <exception cref="JobMisconfiguredException">libtorch has not got the choice.</exception>
    internal static void BeDeterministic(bool isWanted)
    {
        if (!TryFind(DeterministicOnly, out var only, out var context) || !TryFind(DeterministicCudnn, out var cudnn, out _)
            || !TryFind(FillWithNan, out var fill, out _) || !SearchForTheFastest(isWanted: false))
        {
            throw new JobMisconfiguredException(
                $"hyperparameters.deterministic is true, but libtorch {torch.__version__} of this worker does not let it be chosen; "
                + "set it to false, or resources.deviceKind to cpu");
        }

        var wanted = isWanted ? (byte)1 : (byte)0;
        ((delegate* unmanaged<nint, byte, void>)cudnn)(context, wanted);
        // Such a pass over every new tensor finds what reads memory before it is written, which is not looked for here.
        ((delegate* unmanaged<nint, byte, void>)fill)(context, 0);
        ((delegate* unmanaged<nint, byte, byte, void>)only)(context, wanted, 0); // not merely a warning
    }

    private static bool TryFind(string setter, out nint function, out nint context)
    {
        (function, context) = (0, 0);
        if (!NativeLibrary.TryLoad("libtorch_cpu.so", out var libtorch)
            || !NativeLibrary.TryGetExport(libtorch, Context, out var globalContext)
            || !NativeLibrary.TryGetExport(libtorch, setter, out function))
            return false;
        context = ((delegate* unmanaged<nint>)globalContext)();
        return true;
    }
}
