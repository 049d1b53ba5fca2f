using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Worker.Training;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training;

/// <summary>Alone, since what libtorch chooses holds for the whole process.</summary>
[Collection(nameof(GpuKernelsTests))]
[CollectionDefinition(nameof(GpuKernelsTests), DisableParallelization = true)]
public sealed unsafe class GpuKernelsTests
{
    [Fact]
    public void SearchForTheFastest_IsUnderstoodByLibtorch()
    {
        GpuKernels.SearchForTheFastest(isWanted: true).ShouldBeTrue();

        Is("benchmarkCuDNN").ShouldBeTrue();
    }

    [Fact]
    public void BeDeterministic_IsUnderstoodByLibtorch()
    {
        GpuKernels.SearchForTheFastest(isWanted: true);
        try
        {
            GpuKernels.BeDeterministic(isWanted: true);

            (Is("deterministicAlgorithms"), Is("deterministicAlgorithmsWarnOnly")).ShouldBe((true, false));
            (Is("deterministicCuDNN"), Is("benchmarkCuDNN"), Is("deterministicFillUninitializedMemory")).ShouldBe((true, false, false));
        }
        finally
        {
            GpuKernels.BeDeterministic(isWanted: false);
        }

        (Is("deterministicAlgorithms"), Is("deterministicCuDNN")).ShouldBe((false, false));
    }

    /// <summary>Of the operations that have no fixed order there are some on CPUs too.</summary>
    [Fact]
    public void AnOperationWithoutADeterministicForm_IsToldAsSuch()
    {
        GpuKernels.BeDeterministic(isWanted: true);
        try
        {
            using var scope = NewDisposeScope();
            var (pooled, places) = (ones(1, 1, 1, 1), zeros([1, 1, 1, 1], ScalarType.Int64));
            var fault = Should.Throw<ExternalException>(() => nn.functional.max_unpool2d(pooled, places, [2, 2]));

            OrderFault.Find(new InvalidOperationException("a step failed", fault)).ShouldBe(
                "hyperparameters.deterministic is true, but on a GPU libtorch adds up in no fixed order in "
                + "max_unpooling2d_forward_out, which this network needs; set it to false, use another network, "
                + "or set resources.deviceKind to cpu");
            OrderFault.Find(new ExternalException("CUDA error: an illegal memory access was encountered")).ShouldBeNull();
        }
        finally
        {
            GpuKernels.BeDeterministic(isWanted: false);
        }
    }

    [Theory]
    [InlineData(Precision.Tf32, true)]
    [InlineData(Precision.Float32, false)]
    public void Choose_LetsProductsBeTf32WhereTheJobSaysSo(Precision precision, bool allowed)
    {
        GpuKernels.Choose(new Hyperparameters { Precision = precision });

        (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32).ShouldBe((allowed, allowed));
        GpuKernels.Choose(new Hyperparameters { Precision = Precision.Float32 });
    }

    /// <summary>Of at::Context, by its getter.</summary>
    private static bool Is(string property)
    {
        _ = get_num_threads(); // libtorch is loaded
        var libtorch = NativeLibrary.Load("libtorch_cpu.so");
        var context = ((delegate* unmanaged<nint>)NativeLibrary.GetExport(libtorch, "_ZN2at13globalContextEv"))();
        var getter = (delegate* unmanaged<nint, byte>)NativeLibrary.GetExport(libtorch, $"_ZNK2at7Context{property.Length}{property}Ev");
        return getter(context) != 0;
    }
}
