using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Devices.Cuda;
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
            var sent = _feed.Take(batches[i]).ShouldNotBeNull();
            var (images, labels) = (sent[0], sent[1]);
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

    /// <summary>A byte a pixel, and what turns it into what the network sees, which the GPU does.</summary>
    [Fact]
    public void Levels_TravelAsBytes_WithWhatNormalisesThem()
    {
        using var scope = NewDisposeScope();
        var normalization = new ChannelNormalization([0.5f, 0.25f], [0.5f, 2f]);
        using var floats = ABatch(1, samples: 2);
        using var levels = new HostBatch(samples: 2, globalSize: 2, views: 1, Pixels, normalization);
        for (var i = 0; i < levels.Levels.Length; i++)
            levels.Levels[i] = (byte)(20 * i);
        levels.SetShift(0, [0, 0]);
        levels.SetShift(1, [0.125, 0]);
        _feed.Begin(floats);
        _feed.Begin(levels);
        _feed.Take(floats).ShouldNotBeNull().Count.ShouldBe(2);

        var sent = _feed.Take(levels).ShouldNotBeNull();
        using var computed = new DeviceValues<float>(0);
        StandIn.Fill(0, computed.Address, 1, 9, milliseconds: 0);
        SpinWait.SpinUntil(() => Volatile.Read(ref computed.Span[0]) == 9, TimeSpan.FromSeconds(30)).ShouldBeTrue();

        (sent[0].dtype, sent[0].numel()).ShouldBe((ScalarType.Byte, 2 * Pixels));
        TensorMemory.Values<byte>(sent[0]).ToArray().ShouldBe(levels.Levels.ToArray());
        TensorMemory.Values<float>(sent[2]).ToArray().ShouldBe([255, 255, 0.5f, 2, -0.5f, -0.25f, -0.375f, -0.25f]);
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
