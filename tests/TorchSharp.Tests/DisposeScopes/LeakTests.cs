using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.DisposeScopes;

/// <summary>Alone in its collection: it counts the tensors of the whole process.</summary>
[Collection(nameof(LeakTests))]
[CollectionDefinition(nameof(LeakTests), DisableParallelization = true)]
public partial class LeakTests
{
    private const int Steps = 10_000;
    private const int Rounds = 5;

    [Fact]
    public void TenThousandTrainingSteps_HoldNoMoreTensorsNorMemory()
    {
        manual_seed(1);
        set_num_threads(1);
        using var model = nn.Sequential(
            ("conv", nn.Conv2d(1, 4, 3)), ("norm", nn.BatchNorm2d(4)), ("relu", nn.ReLU()), ("pool", nn.MaxPool2d(2)),
            ("flatten", nn.Flatten()), ("drop", nn.Dropout(0.1)), ("fc", nn.Linear(4 * 2 * 2, 5)));
        using var images = randn(2, 1, 6, 6);
        using var labels = tensor(new long[] { 0, 3 });
        Train(model, images, labels, Steps / Rounds);
        // Collecting first also ends what other tests left to the finaliser.
        var (managed, tensors, native, resident) = (ManagedBytes(), Tensor.TotalCount, NativeBytes(), ResidentBytes());

        var growth = new List<(long Managed, long Native)>();
        for (var round = 0; round < Rounds; round++)
        {
            Train(model, images, labels, Steps / Rounds);
            var (managedBefore, nativeBefore) = (managed, native);
            (managed, native) = (ManagedBytes(), NativeBytes());
            growth.Add((managed - managedBefore, native - nativeBefore));
        }

        Tensor.TotalCount.ShouldBeLessThanOrEqualTo(tensors);
        // A leak adds to every round; what the compiler and the test runner take for themselves, to some. The least that could leak,
        // a tensor without its data, has some 200 bytes.
        const long halfATensorAStep = 100 * (Steps / Rounds);
        growth.Min(round => round.Managed).ShouldBeLessThan(halfATensorAStep);
        growth.Min(round => round.Native).ShouldBeLessThan(halfATensorAStep);
        // What allocator and collector keep beside that wanders by some arenas.
        (ResidentBytes() - resident).ShouldBeLessThan(64 << 20);
    }

    private static void Train(nn.Module<Tensor, Tensor> model, Tensor images, Tensor labels, int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            model.zero_grad(step % 2 == 0);
            var loss = nn.functional.cross_entropy(Hook.apply(model.call(images)), labels);
            loss.backward();
            using var unrecorded = no_grad();
            foreach (var parameter in model.parameters())
                parameter.sub_(parameter.grad! * 0.01);
        }
    }

    private static long ManagedBytes()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static long NativeBytes()
    {
        var info = mallinfo2();
        return (long)(info.MappedBytes + info.UsedBytes);
    }

    private static long ResidentBytes() =>
        long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * Environment.SystemPageSize;

    [LibraryImport("libc")]
    private static partial MallocInformation mallinfo2();

    // struct mallinfo2 of <malloc.h>, over all arenas.
    [StructLayout(LayoutKind.Sequential)]
    private struct MallocInformation
    {
        public nuint Arena, FreeBlocks, FastBlocks, MappedBlocks, MappedBytes, Unused, FastBytes, UsedBytes, FreeBytes, ReleasableBytes;
    }

    private sealed class Hook : autograd.SingleTensorFunction<Hook>
    {
        public override string Name => nameof(Hook);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_for_backward([(Tensor)vars[0]]);
            return ((Tensor)vars[0]).alias();
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            _ = ctx.get_saved_variables();
            return [grad_output];
        }
    }
}
