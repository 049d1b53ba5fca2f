using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Worker.Training;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training;

public sealed unsafe class GpuKernelsTests
{
    [Fact]
    public void SearchForTheFastest_IsUnderstoodByLibtorch()
    {
        _ = get_num_threads(); // libtorch is loaded
        var libtorch = NativeLibrary.Load("libtorch_cpu.so");
        var context = ((delegate* unmanaged<nint>)NativeLibrary.GetExport(libtorch, "_ZN2at13globalContextEv"))();

        GpuKernels.SearchForTheFastest().ShouldBeTrue();

        ((delegate* unmanaged<nint, byte>)NativeLibrary.GetExport(libtorch, "_ZNK2at7Context14benchmarkCuDNNEv"))(context)
            .ShouldBe((byte)1);
    }

    [Theory]
    [InlineData(Precision.Tf32, true)]
    [InlineData(Precision.Float32, false)]
    public void Choose_LetsProductsBeTf32WhereTheJobSaysSo(Precision precision, bool allowed)
    {
        GpuKernels.Choose(precision);

        (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32).ShouldBe((allowed, allowed));
        GpuKernels.Choose(Precision.Float32);
    }
}
