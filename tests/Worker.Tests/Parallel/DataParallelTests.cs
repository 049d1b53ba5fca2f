using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

public sealed class DataParallelTests
{
    [Theory]
    [InlineData("aa", true)]
    [InlineData("ab", false)]
    public void ForwardBackward_SendsBucketsOffWhileBackwardStillRuns(string placement, bool shared)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group, bucketBytes: 1024);
            Trainings.Train(partition, ScalarType.Float32, 2);
            partition.Buckets.IsShared.ShouldBe(shared);
            // All but the first layer's, whose input needs no gradient and so reports nothing.
            partition.SentDuringBackward.ShouldBeGreaterThan(partition.Buckets.Count / 2);
            partition.SentDuringBackward.ShouldBeLessThan(partition.Buckets.Count);
        });
    }

    [Fact]
    public void Parameters_AreWholeAndOwnedByRank0()
    {
        using var ranks = new Ranks("aa");
        var owned = ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group);
            partition.Parameters.ShouldAllBe(p => p.Shape.SequenceEqual(p.GlobalShape) && p.Offset.All(o => o == 0));
            return partition.Parameters.Count(p => p.IsOwner);
        });
        owned.ShouldBe([10, 0]);
    }

    [Fact]
    public void ForwardBackward_OfReplicasThatDiffer_NamesTheRank()
    {
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using var partition = DataParallel.CreateAsync(
                Trainings.Network("lenet5", ScalarType.Float32, seed: (ulong)group.Rank), Trainings.CrossEntropy, group,
                new GradientOptions(), syncBatchNorm: true, CancellationToken.None).GetAwaiter().GetResult();
            Should.Throw<InvalidOperationException>(() => Trainings.Train(partition, ScalarType.Float32, 1))
                .Message.ShouldStartWith("rank 1 starts with other weights than rank 0");
        });
    }

    [Fact]
    public void ForwardBackward_LeavesEveryGradientInTheBuckets()
    {
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group);
            partition.Network.zero_grad(); // takes them out, and changes nothing
            Trainings.Train(partition, ScalarType.Float32, 1);
            var (start, bytes) = partition.Buckets.Memory;
            foreach (var parameter in partition.Parameters)
                ((long)TensorMemory.AddressOf(parameter.Tensor.grad!) - start).ShouldBeInRange(0, bytes - 1, parameter.Name);
        });
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ForwardBackward_WhenAPeerHasLeft_ThrowsAndNamesIt(string placement)
    {
        using var ranks = new Ranks(placement);
        var failures = ranks.RunToFailure(group =>
        {
            using var partition = Trainings.Data("lenet5", ScalarType.Float32, group);
            Trainings.Train(partition, ScalarType.Float32, group.Rank == 0 ? 3 : 1);
        });
        failures[0].ShouldBeOfType<CollectiveException>().Peer.ShouldBe(1);
        failures[1].ShouldBeNull();
    }

    [Fact]
    [Trait("Device", "cuda")]
    public void Create_OnACudaDeviceInAGroupWithoutGpus_IsRefused()
    {
        Assert.SkipUnless(cuda.is_available(), "no CUDA device");
        using var ranks = new Ranks("aa");
        ranks.Run(group => Refusal(Trainings.Network("lenet5", ScalarType.Float32).to(CUDA), group))
            .ShouldAllBe(message => message.Contains("which ranks joined by shared-memory do not exchange values of"));
    }

    private static string Refusal(ImageClassifier network, ICollectiveGroup group)
    {
        using (network)
        {
            return Should.Throw<NotSupportedException>(() => DataParallel.CreateAsync(
                network, Trainings.CrossEntropy, group, new GradientOptions(), syncBatchNorm: true,
                CancellationToken.None).GetAwaiter().GetResult()).Message;
        }
    }

    [Fact]
    public void Dispose_LeavesTheNetworkUsableByNobodyAndTheGroupToOthers()
    {
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using (var partition = Trainings.Data("lenet5", ScalarType.Float32, group))
                Trainings.Train(partition, ScalarType.Float32, 1);
            group.Barrier("after");
        });
    }
}
