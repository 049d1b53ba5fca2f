using Cluster.Worker.Data.Loading;
using Cluster.Worker.Devices.Cuda;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives.Nccl;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Data.Loading;

/// <summary>
/// Against the stand-in for CUDA, which plays the GPU in the CPU's memory and copies slowly; <c>CudaTests</c> is for a real one.
/// </summary>
public sealed class DeviceFeedTests : IDisposable
{
    private const int Pixels = 6;

    private readonly DeviceFeed _feed;

    public DeviceFeedTests()
    {
        Assert.SkipUnless(StandIn.CanBeBuilt, "g++ is missing");
        _feed = new DeviceFeed(new CudaDevice(new CudaDriver(StandIn.Options().CudaLibrary), ordinal: 0), CPU);
    }

    public void Dispose() => _feed?.Dispose();

    [Fact]
    public void Take_OfABatchThatWasNotSent_IsNothing()
    {
        using var sent = ABatch(1, samples: 2);
        using var other = ABatch(2, samples: 2);
        _feed.Begin(sent);

        _feed.Take(other).ShouldBeNull();
        _feed.Take(sent).ShouldNotBeNull();
        _feed.Take(sent).ShouldBeNull(); // once
    }

    /// <summary>What is computed with a batch comes after its copy; and the copy of the next does not touch it.</summary>
    [Fact]
    public void Batches_FollowOneAnother_TheNextOnItsWayWhileOneIsUsed()
    {
        using var scope = NewDisposeScope();
        HostBatch[] batches = [ABatch(1, 2), ABatch(2, 2), ABatch(3, 1), ABatch(4, 2)]; // an epoch may end with fewer
        _feed.Begin(batches[0]);
        for (var i = 0; i < batches.Length; i++)
        {
            var (images, labels) = _feed.Take(batches[i]).ShouldNotBeNull();
            if (i + 1 < batches.Length)
                _feed.Begin(batches[i + 1]);
            using var computed = new DeviceValues<float>(0);
            StandIn.Fill(0, computed.Address, 1, 9, milliseconds: 0);
            SpinWait.SpinUntil(() => Volatile.Read(ref computed.Span[0]) == 9, TimeSpan.FromSeconds(30)).ShouldBeTrue();

            TensorMemory.Values<float>(images).ToArray().ShouldBe(batches[i].Images.ToArray());
            TensorMemory.Values<long>(labels).ToArray().ShouldBe(batches[i].Labels.ToArray());
        }

        foreach (var batch in batches)
            batch.Dispose();
    }

    private static HostBatch ABatch(int number, int samples)
    {
        var batch = new HostBatch(samples, samples, views: 1, Pixels);
        for (var i = 0; i < batch.Images.Length; i++)
            batch.Images[i] = (100 * number) + i;
        batch.Labels.Fill(number);
        return batch;
    }
}
